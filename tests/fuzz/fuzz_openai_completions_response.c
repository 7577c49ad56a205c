/* tests/fuzz/fuzz_openai_completions_response.c - any bytes as a Completions upstream's answer: a stream, a body, an error. */
#include "codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_response(&protocol_openai_completions, (struct str){ (const char *)data, size });
	return 0;
}
