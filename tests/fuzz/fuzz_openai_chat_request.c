/* tests/fuzz/fuzz_openai_chat_request.c - any bytes as a Chat request. */
#include "codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_request(&protocol_openai_chat, &request_line_plain,
		     (struct str){ (const char *)data, size },
		     QUIRK_TOP_K | QUIRK_SEND_REASONING | QUIRK_ALLOWED_TOOLS);
	return 0;
}
