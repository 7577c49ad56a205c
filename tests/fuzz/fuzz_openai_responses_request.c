/* tests/fuzz/fuzz_openai_responses_request.c - any bytes as a Responses request. */
#include "codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_request(&protocol_openai_responses, &request_line_plain,
		     (struct str){ (const char *)data, size }, 0);
	return 0;
}
