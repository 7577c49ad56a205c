/* tests/fuzz/fuzz_openai_responses_response.c - any bytes as a Responses upstream's answer: a stream, a body, an error. */
#include "codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_response(&protocol_openai_responses, (struct str){ (const char *)data, size });
	return 0;
}
