/* tests/fuzz/fuzz_ollama_request.c - any bytes as a request of Ollama's, in each of its forms: decoded, encoded, decoded again.
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

/* Any body as what is to be embedded, and as an answer to it. */
static void check_embedding(struct arena *a, const struct protocol_route *route, struct str body)
{
	const struct embed_codec *c = protocol_ollama_chat.embed;
	struct request_line line = { .op = route->op, .variant = route->variant };
	struct request_target t = { .model = STR("m") };
	struct ir_embed_request *r;
	struct ir_embed_response *e;
	struct ir_losses losses;
	struct err err;
	struct buf out;

	if (c->decode_request(a, &line, body, &r, &err) != RC_OK)
		return;
	ir_losses_init(&losses, a);
	buf_init(&out, 64 << 20);
	if (c->encode_request(a, r, &t, &out, &losses, &err) != RC_OK ||
	    !json_parse(a, buf_str(&out), NULL))
		abort();
	buf_reset(&out);
	if (c->decode_response(a, r, body, &e, &err) == RC_OK && e->n_vectors &&
	    (c->encode_response(r, e, STR("m"), &out) != RC_OK ||
	     !json_parse(a, buf_str(&out), NULL)))
		abort();
	buf_done(&out);
}

static void check_form(struct arena *a, const struct protocol *p, struct str body)
{
	struct ir_request *r, *again;
	struct str once, twice;
	struct request_peek peek;
	struct err err;
	int rc;

	if (p->decode_request(a, &request_line_plain, body, &r, &err) != RC_OK)
		return;
	/* Duplicate members are refused by the one and not by the other. */
	if (p->peek(a, &request_line_plain, body, &peek, &err) == RC_OK &&
	    (!str_eq(peek.model, r->model) || peek.stream != r->stream))
		abort();
	once = encode(a, p, r, r->model, 0, &rc);
	if (rc != RC_OK || p->decode_request(a, &request_line_plain, once, &again, &err) != RC_OK)
		abort();
	twice = encode(a, p, again, r->model, 0, &rc);
	if (rc != RC_OK || !str_eq(once, twice))
		abort();
	for (unsigned i = 0; protocols[i]; i++) {
		once = encode(a, protocols[i], r, r->model, 0, &rc);
		if (rc == RC_OK && !json_parse(a, once, NULL))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(256 << 20);
	struct str body = { (const char *)data, size };

	check_form(a, &protocol_ollama_chat, body);
	check_form(a, &protocol_ollama_generate, body);
	for (const struct protocol_route *r = protocol_ollama_chat.routes; r->path; r++)
		if (r->op == IR_OP_EMBED)
			check_embedding(a, r, body);
	arena_free(a);
	return 0;
}
