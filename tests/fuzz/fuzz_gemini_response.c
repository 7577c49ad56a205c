/* tests/fuzz/fuzz_gemini_response.c - any bytes as a Gemini upstream's answer: a stream, a body, an error, a list of models.
 * Held: events keep to the grammar, do not depend on how the bytes are cut, and every protocol can write them. */
#include <stdint.h>
#include <stdlib.h>

#include "../unit/tape.h"
#include "json/json.h"

static int record(struct tape *t, struct str in, size_t step)
{
	struct feed f = { .p = &protocol_gemini, .sink = &t->sink };
	int rc;

	tape_init(t);
	rc = feed_stream(&f, in, step);
	if (f.breach)
		abort();
	return rc;
}

static void check_cuts(struct str in)
{
	struct tape whole, cut;

	if (record(&whole, in, 0) != record(&cut, in, 1))
		abort();
	if (!str_eq(buf_str(&whole.text), buf_str(&cut.text)))
		abort();
	tape_done(&whole);
	tape_done(&cut);
}

static void check_clients(struct str in)
{
	for (unsigned i = 0; protocols[i]; i++) {
		struct client_tape c;
		struct feed f = { .p = &protocol_gemini, .sink = &c.sink };

		client_init(&c, protocols[i], true);
		(void)feed_stream(&f, in, 0);
		if (f.breach)
			abort();
		client_done(&c);
	}
}

static void check_tap(struct str in, enum framing framing)
{
	struct arena *a = arena_new(TAPE_ARENA), *scratch = arena_new(TAPE_ARENA);
	struct relay_tap tap = { .arena = a, .usage = IR_USAGE_NONE };
	struct framer f;
	struct frame ev;
	struct str left = in;
	size_t used;

	framer_init(&f, framing, TAPE_MAX);
	while (left.len && framer_next(&f, left, &ev, &used) == FRAMER_FRAME) {
		/* Nothing is ever taken out of this vendor's streams. */
		if (protocol_gemini.tap_event(&tap, scratch, &ev) & (TAP_EDIT | TAP_DROP))
			abort();
		left = str_from_offset(left, used);
		arena_reset(scratch);
	}
	(void)protocol_gemini.tap_body(&tap, scratch, in);
	framer_done(&f);
	buf_done(&tap.scratch);
	arena_free(scratch);
	arena_free(a);
}

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

static void check_bodies(struct str in)
{
	struct arena *a = arena_new(TAPE_ARENA);
	struct ir_error e;
	struct str *ids;
	unsigned n;
	struct err err;
	struct tape t;
	struct feed f = { .p = &protocol_gemini, .sink = &t.sink };

	tape_init(&t);
	(void)feed_body(&f, in);
	if (f.breach)
		abort();
	tape_done(&t);
	(void)protocol_gemini.decode_error(a, 500, in, &e);
	if (!str_present(e.message))
		abort();
	(void)protocol_gemini.decode_models(a, in, &ids, &n, &err);
	arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };

	check_cuts(in);
	check_clients(in);
	check_tap(in, FRAMING_SSE);
	check_tap(in, FRAMING_JSON_ARRAY);
	check_embeddings(in);
	check_bodies(in);
	return 0;
}
