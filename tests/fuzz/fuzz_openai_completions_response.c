/* tests/fuzz/fuzz_openai_completions_response.c - any bytes as a Completions upstream's answer: a stream, a body, an error.
 * Held: events keep to the grammar, do not depend on how the bytes are cut, and every protocol can write them. */
#include <stdint.h>
#include <stdlib.h>

#include "../unit/tape.h"

static int record(struct tape *t, struct str in, size_t step)
{
	struct feed f = { .p = &protocol_openai_completions, .sink = &t->sink };
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
		struct feed f = { .p = &protocol_openai_completions, .sink = &c.sink };

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
	struct relay_tap tap = { .arena = a, .hide_usage = true, .usage = IR_USAGE_NONE };
	struct sse_parser sse;
	struct frame ev;
	struct str left = in;
	size_t used;

	sse_init(&sse, TAPE_MAX);
	while (sse_next(&sse, left, &ev, &used) == SSE_EVENT) {
		unsigned flags = protocol_openai_completions.tap_event(&tap, scratch, &ev);

		/* Taking usage out never makes an event longer. */
		if ((flags & TAP_EDIT) && tap.edited.len > ev.raw.len + 16)
			abort();
		left = str_from_offset(left, used);
		arena_reset(scratch);
	}
	(void)protocol_openai_completions.tap_body(&tap, scratch, in);
	sse_done(&sse);
	buf_done(&tap.scratch);
	arena_free(scratch);
	arena_free(a);
}

static void check_bodies(struct str in)
{
	struct arena *a = arena_new(TAPE_ARENA);
	struct ir_error e;
	struct tape t;
	struct feed f = { .p = &protocol_openai_completions, .sink = &t.sink };

	tape_init(&t);
	(void)feed_body(&f, in);
	if (f.breach)
		abort();
	tape_done(&t);
	(void)protocol_openai_completions.decode_error(a, 500, in, &e);
	if (!str_present(e.message))
		abort();
	arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };

	check_cuts(in);
	check_clients(in);
	check_tap(in);
	check_bodies(in);
	return 0;
}
