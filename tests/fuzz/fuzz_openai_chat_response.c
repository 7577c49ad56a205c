/* tests/fuzz/fuzz_openai_chat_response.c - any bytes as a Chat upstream's answer: a stream, a body, an error, a list of models. */
#include "codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_response(&protocol_openai_chat, (struct str){ (const char *)data, size });
	return 0;
}
