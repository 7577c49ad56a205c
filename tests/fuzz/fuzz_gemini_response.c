/* tests/fuzz/fuzz_gemini_response.c - any bytes as a Gemini upstream's answer: a stream in either form, a body, embeddings. */
#include "codec.h"

static void check_embeddings(struct str in)
{
	struct arena *a = arena_new(TAPE_ARENA);
	struct ir_embed_request r = { .single = true };
	struct ir_embed_response *e;
	struct err err;
	struct buf out;

	buf_init(&out, TAPE_MAX);
	if (protocol_gemini.embed->decode_response(a, &r, in, &e, &err) == RC_OK && e->n_vectors) {
		if (protocol_gemini.embed->encode_response(&r, e, STR("m"), &out) != RC_OK ||
		    !json_parse(a, buf_str(&out), &err))
			abort();
	}
	buf_done(&out);
	arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };

	fuzz_response(&protocol_gemini, in);
	fuzz_tap(&protocol_gemini, FRAMING_JSON_ARRAY, in);
	check_embeddings(in);
	return 0;
}
