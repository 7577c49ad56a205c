/* tests/fuzz/fuzz_ollama_request.c - any bytes as a request of Ollama's, in each of its forms. */
#include "codec.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(256 << 20);
	struct str body = { (const char *)data, size };

	fuzz_request(&protocol_ollama_chat, &request_line_plain, body, 0);
	fuzz_request(&protocol_ollama_generate, &request_line_plain, body, 0);
	for (const struct protocol_route *r = protocol_ollama_chat.routes; r->path; r++)
		if (r->op == IR_OP_EMBED)
			check_embedding(a, r, body);
	arena_free(a);
	return 0;
}
