/* tests/fuzz/fuzz_gemini_request.c - any bytes as a generateContent request: decoded, encoded, decoded again.
 * Held: what decodes and can be encoded becomes JSON that decodes again and then encodes to the same bytes, for every generation of
 * models; every protocol makes JSON of it; what peek takes can be patched. */
#include <stdint.h>
#include <stdlib.h>

#include "json/json.h"
#include "protocols/protocol.h"

static const struct request_line line = { .op = IR_OP_GENERATE, .arg = STR_INIT("models/m") };

static struct str encode(struct arena *a, const struct protocol *p, const struct ir_request *r,
			 struct str model, unsigned quirks, int *rc)
{
	struct request_target t = { .model = model,
				    .quirks = quirks,
				    .default_max_tokens = 4096,
				    .budget = { 0, 0, 1024, 2048, 8192, 16384, 32768, 65536 } };
	struct ir_losses losses;
	struct buf out;
	struct str copy;
	struct err err;

	ir_losses_init(&losses, a);
	buf_init(&out, 64 << 20);
	*rc = p->encode_request(a, r, &t, &out, &losses, &err);
	copy = *rc ? STR("") : arena_dup(a, buf_str(&out));
	buf_done(&out);
	return copy;
}

static void check_model(struct arena *a, const struct ir_request *r, struct str model,
			unsigned quirks)
{
	struct ir_request *again;
	struct str once, twice;
	struct err err;
	int rc;

	once = encode(a, &protocol_gemini, r, model, quirks, &rc);
	if (rc)
		return;
	if (protocol_gemini.decode_request(a, &line, once, &again, &err) != RC_OK)
		abort();
	once = encode(a, &protocol_gemini, again, model, quirks, &rc);
	if (rc || protocol_gemini.decode_request(a, &line, once, &again, &err) != RC_OK)
		abort();
	twice = encode(a, &protocol_gemini, again, model, quirks, &rc);
	if (rc || !str_eq(once, twice))
		abort();
}

static void check_patch(struct arena *a, struct str body)
{
	struct patch_options o = { .model = STR("gemini-3-flash"), .strip_provider = true };
	struct request_peek peek;
	struct buf out;
	struct err err;

	if (protocol_gemini.peek(a, &line, body, &peek, &err) != RC_OK)
		return;
	buf_init(&out, 64 << 20);
	if (protocol_gemini.patch(a, &peek, &o, &out) != RC_OK ||
	    !json_parse(a, buf_str(&out), &err))
		abort();
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(256 << 20);
	struct str body = { (const char *)data, size }, text;
	struct ir_request *r;
	struct err err;
	int rc;

	check_patch(a, body);
	if (protocol_gemini.decode_request(a, &line, body, &r, &err) == RC_OK) {
		check_model(a, r, STR("gemini-2.5-flash"), 0);
		check_model(a, r, STR("gemini-3-pro"), 0);
		check_model(a, r, STR("gemini-2.0-flash"), QUIRK_NO_JSON_SCHEMA);
		for (unsigned i = 0; protocols[i]; i++) {
			text = encode(a, protocols[i], r, STR("m"), 0, &rc);
			if (rc == RC_OK && !json_parse(a, text, NULL))
				abort();
		}
	}
	arena_free(a);
	return 0;
}
