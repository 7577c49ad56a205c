/* tests/fuzz/fuzz_anthropic_messages_response.c - any bytes as an upstream's answer: a stream, a
 * body, an error, a tap. Held: the events keep to the grammar whatever comes, and what a client
 * gets of them decodes again to the same end.
 */
#include <stdlib.h>

#include "ir/fold.h"
#include "ir/grammar.h"
#include "protocols/protocol.h"
#include "wire/sse.h"

enum { ARENA_MAX = 64 << 20, OUT_MAX = 16 << 20 };

static const struct protocol *const am = &protocol_anthropic_messages;

/* Behind the grammar: a client's stream and a fold at once. */
struct both {
	struct ir_sink sink;
	struct ir_fold fold;
	struct protocol_encoder *e;
	struct buf out;
};

static void check(bool ok)
{
	if (!ok)
		abort();
}

static int both_event(struct ir_sink *s, const struct ir_event *ev)
{
	struct both *b = (struct both *)s;
	int rc = b->e ? am->encode_event(b->e, ev, &b->out) : 0;

	return rc ? rc : ir_emit(&b->fold.sink, ev);
}

static int stream(struct arena *a, struct str in, struct ir_sink *sink)
{
	struct arena *scratch = arena_new(ARENA_MAX);
	struct ir_grammar g;
	struct decoder_options o = { .arena = a, .scratch = scratch, .sink = &g.sink };
	struct protocol_decoder *d;
	struct sse_parser p;
	struct frame ev;
	struct err e = { 0 };
	size_t used;
	int rc = 0;

	ir_grammar_init(&g, sink);
	d = am->decoder_new(&o);
	sse_init(&p, OUT_MAX);
	while (!rc && sse_next(&p, in, &ev, &used) == SSE_EVENT) {
		rc = am->decode_event(d, &ev, &e);
		arena_reset(scratch);
		in = str_from_offset(in, used);
	}
	if (!rc)
		rc = am->decode_end(d, &e);
	check(!g.breach);
	check(rc == 0 || rc == RC_NOMEM || e.msg[0]);
	sse_done(&p);
	arena_free(scratch);
	return rc;
}

static int body(struct arena *a, struct str in, struct ir_sink *sink)
{
	struct arena *scratch = arena_new(ARENA_MAX);
	struct ir_grammar g;
	struct decoder_options o = { .arena = a, .scratch = scratch, .sink = &g.sink };
	struct err e = { 0 };
	int rc;

	ir_grammar_init(&g, sink);
	rc = am->decode_body(&o, in, &e);
	check(!g.breach);
	check(rc == 0 || rc == RC_NOMEM || e.msg[0]);
	arena_free(scratch);
	return rc;
}

typedef int decode_fn(struct arena *a, struct str in, struct ir_sink *sink);

/* Decodes, and decodes again what the clients get. */
static void twice(struct str in, decode_fn *decode)
{
	struct arena *a = arena_new(ARENA_MAX);
	struct encoder_options o = { .arena = a, .id = STR("msg_1"), .model = STR("m") };
	struct both first = { .sink.event = both_event };
	struct ir_fold again;

	ir_fold_init(&first.fold, a);
	ir_fold_init(&again, a);
	first.e = am->encoder_new(&o);
	buf_init(&first.out, OUT_MAX);
	if (decode(a, in, &first.sink) == 0 && first.fold.finished) {
		check(stream(a, buf_str(&first.out), &again.sink) == 0);
		check(again.finished && again.response.stop == first.fold.response.stop);
		buf_reset(&first.out);
		check(am->encode_response(&o, &first.fold.response, &first.out) == 0);
		ir_fold_init(&again, a);
		check(body(a, buf_str(&first.out), &again.sink) == 0);
		check(again.finished);
	}
	buf_done(&first.out);
	arena_free(a);
}

static void read_along(struct str in)
{
	struct arena *a = arena_new(ARENA_MAX);
	struct relay_tap t = { .arena = a, .usage = IR_USAGE_NONE };
	struct sse_parser p;
	struct frame ev;
	struct ir_error e;
	struct str rest = in;
	size_t used;

	sse_init(&p, OUT_MAX);
	while (sse_next(&p, rest, &ev, &used) == SSE_EVENT) {
		(void)am->tap_event(&t, a, &ev);
		rest = str_from_offset(rest, used);
	}
	(void)am->tap_body(&t, a, in);
	(void)am->decode_error(a, 500, in, &e);
	check(e.message.len > 0);
	sse_done(&p);
	buf_done(&t.scratch);
	arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };

	twice(in, stream);
	twice(in, body);
	read_along(in);
	return 0;
}
