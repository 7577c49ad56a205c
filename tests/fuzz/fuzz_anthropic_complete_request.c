/* tests/fuzz/fuzz_anthropic_complete_request.c - any bytes as a request for one of Anthropic's Text Completions. */
#include "codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_request(&protocol_anthropic_complete, &request_line_plain,
		     (struct str){ (const char *)data, size }, 0);
	return 0;
}
