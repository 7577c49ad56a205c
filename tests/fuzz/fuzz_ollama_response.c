/* tests/fuzz/fuzz_ollama_response.c - any bytes as an Ollama server's answer, in each of its forms. */
#include "codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };

	fuzz_response(&protocol_ollama_chat, in);
	fuzz_response(&protocol_ollama_generate, in);
	return 0;
}
