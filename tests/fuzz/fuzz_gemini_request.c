/* tests/fuzz/fuzz_gemini_request.c - any bytes as a generateContent request, for every generation of models. */
#include "codec.h"

static const struct request_line line = { .op = IR_OP_GENERATE, .arg = STR_INIT("models/m") };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(256 << 20);
	struct str body = { (const char *)data, size };
	struct ir_request *r;
	struct err err;

	fuzz_patch(a, &protocol_gemini, &line, body);
	if (protocol_gemini.decode_request(a, &line, body, &r, &err) == RC_OK) {
		fuzz_round(a, &protocol_gemini, &line, r, STR("gemini-2.5-flash"), 0, 3);
		fuzz_round(a, &protocol_gemini, &line, r, STR("gemini-3-pro"), 0, 3);
		fuzz_round(a, &protocol_gemini, &line, r, STR("gemini-2.0-flash"),
			   QUIRK_NO_JSON_SCHEMA, 3);
		for (unsigned i = 0; protocols[i]; i++) {
			int rc;

			(void)fuzz_encode(a, protocols[i], r, STR("m"), 0, &rc);
		}
	}
	arena_free(a);
	return 0;
}
