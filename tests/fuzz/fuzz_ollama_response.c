/* tests/fuzz/fuzz_ollama_response.c - any bytes as an Ollama server's answer: lines, a body, an error, a list of models.
 * Held: events keep to the grammar, do not depend on how the bytes are cut, and every protocol can write them. */
#include <stdint.h>
#include <stdlib.h>

#include "../unit/tape.h"

static const struct protocol *form;

static int record(struct tape *t, struct str in, size_t step)
{
	struct feed f = { .p = form, .sink = &t->sink };
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
		struct feed f = { .p = form, .sink = &c.sink };

		client_init(&c, protocols[i], true);
		(void)feed_stream(&f, in, 0);
		if (f.breach)
			abort();
		client_done(&c);
	}
}

static void check_tap(struct str in)
{
	struct arena *a = arena_new(TAPE_ARENA), *scratch = arena_new(TAPE_ARENA);
	struct relay_tap tap = { .arena = a, .usage = IR_USAGE_NONE };
	struct framer framer;
	struct frame ev;
	struct str left = in;
	size_t used;

	framer_init(&framer, FRAMING_NDJSON, TAPE_MAX);
	while (framer_next(&framer, left, &ev, &used) == FRAMER_FRAME) {
		unsigned flags = form->tap_event(&tap, scratch, &ev);

		/* Nothing of a stream is ours: it passes as it is. */
		if (flags & (TAP_EDIT | TAP_DROP))
			abort();
		left = str_from_offset(left, used);
		arena_reset(scratch);
	}
	(void)form->tap_body(&tap, scratch, in);
	framer_done(&framer);
	buf_done(&tap.scratch);
	arena_free(scratch);
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
	struct feed f = { .p = form, .sink = &t.sink };

	tape_init(&t);
	(void)feed_body(&f, in);
	if (f.breach)
		abort();
	tape_done(&t);
	(void)form->decode_error(a, 500, in, &e);
	if (!str_present(e.message))
		abort();
	(void)form->decode_models(a, in, &ids, &n, &err);
	arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };

	for (unsigned i = 0; i < 2; i++) {
		form = i ? &protocol_ollama_generate : &protocol_ollama_chat;
		check_cuts(in);
		check_clients(in);
		check_tap(in);
		check_bodies(in);
	}
	return 0;
}
