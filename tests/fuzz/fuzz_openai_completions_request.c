/* tests/fuzz/fuzz_openai_completions_request.c - any bytes as a Completions request. */
#include "codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_request(&protocol_openai_completions, &request_line_plain,
		     (struct str){ (const char *)data, size }, QUIRK_TOP_K);
	return 0;
}
