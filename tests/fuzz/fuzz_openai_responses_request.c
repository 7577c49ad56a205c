/* tests/fuzz/fuzz_openai_responses_request.c - any bytes as a Responses request: decoded, encoded, decoded again.
 * Held: what decodes also encodes, into JSON that decodes again and then encodes to the same bytes; peek and decode agree. */
#include <stdint.h>
#include <stdlib.h>

#include "json/json.h"
#include "protocols/protocol.h"

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
	(void)ir_losses_text(&losses);
	copy = arena_dup(a, buf_str(&out));
	buf_done(&out);
	return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct protocol *p = &protocol_openai_responses;
	struct arena *a = arena_new(256 << 20);
	struct str body = { (const char *)data, size }, once, twice;
	struct ir_request *r, *again;
	struct request_peek peek;
	struct err err;
	int rc;

	if (p->decode_request(a, &request_line_plain, body, &r, &err) == RC_OK) {
		/* Duplicate members are refused by the one and not by the other. */
		if (p->peek(a, &request_line_plain, body, &peek, &err) == RC_OK &&
		    !str_eq(peek.model, r->model))
			abort();
		once = encode(a, p, r, r->model, 0, &rc);
		if (rc == RC_OK) {
			if (p->decode_request(a, &request_line_plain, once, &again, &err) != RC_OK)
				abort();
			twice = encode(a, p, again, r->model, 0, &rc);
			if (rc != RC_OK || !str_eq(once, twice))
				abort();
		}
		for (unsigned q = 0; q <= QUIRK_COUNT; q++) {
			once = encode(a, p, r, r->model, q == QUIRK_COUNT ? 0 : 1u << q, &rc);
			if (rc == RC_OK && !json_parse(a, once, NULL))
				abort();
		}
		for (unsigned i = 0; protocols[i]; i++) {
			once = encode(a, protocols[i], r, r->model, 0, &rc);
			if (rc == RC_OK && !json_parse(a, once, NULL))
				abort();
		}
	}
	arena_free(a);
	return 0;
}
