/* tests/fuzz/fuzz_openai_responses_response.c - any bytes as a Responses upstream's answer: a stream, a body, an error.
 * Held: events keep to the grammar, do not depend on how the bytes are cut, and every protocol can write them. */
#include <stdint.h>
#include <stdlib.h>

#include "../unit/tape.h"

static int record(struct tape *t, struct str in, size_t step)
{
	struct feed f = { .p = &protocol_openai_responses, .sink = &t->sink };
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
		struct feed f = { .p = &protocol_openai_responses, .sink = &c.sink };

		client_init(&c, protocols[i], true);
		(void)feed_stream(&f, in, 0);
		if (f.breach)
			abort();
		client_done(&c);
	}
}

/* Whatever passed, what says that it failed is whole events. */
static void check_relay_error(const struct relay_tap *tap)
{
	struct ir_error e = { .kind = IR_ERR_UPSTREAM, .retry_after_ms = -1 };
	struct buf out;

	buf_init(&out, TAPE_MAX);
	protocol_openai_responses.encode_relay_error(tap, &e, STR("req_1"), &out);
	if (!buf_ok(&out) || !str_ends(buf_str(&out), STR("}\n\n")))
		abort();
	buf_done(&out);
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
		(void)protocol_openai_responses.tap_event(&tap, scratch, &ev);
		left = str_from_offset(left, used);
		arena_reset(scratch);
	}
	(void)protocol_openai_responses.tap_body(&tap, scratch, in);
	check_relay_error(&tap);
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
	struct feed f = { .p = &protocol_openai_responses, .sink = &t.sink };

	tape_init(&t);
	(void)feed_body(&f, in);
	if (f.breach)
		abort();
	tape_done(&t);
	(void)protocol_openai_responses.decode_error(a, 500, in, &e);
	if (!str_present(e.message))
		abort();
	(void)protocol_openai_responses.decode_token_count(a, in);
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
