/* tests/fuzz/fuzz_anthropic_complete_response.c - any bytes as an upstream's Text Completion: a stream, a body, an error. */
#include "codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_response(&protocol_anthropic_complete, (struct str){ (const char *)data, size });
	return 0;
}
