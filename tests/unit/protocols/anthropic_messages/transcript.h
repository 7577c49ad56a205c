/* tests/unit/protocols/anthropic_messages/transcript.h - events as lines of text, so that a test
 *can say what it wants to see.
 *
 *	START msg_1 claude-x in=10 out=1
 *	OPEN 0 tool_call toolu_1 get_weather
 *	DELTA 0 arguments {"city":
 *	CLOSE 0
 *	USAGE in=10 out=5
 *	FINISH tool_calls
 *
 * A merging tape joins neighbouring deltas of one kind, for comparisons where the pieces' sizes do
 *not matter.
 */
#ifndef GW_TESTS_ANTHROPIC_TRANSCRIPT_H
#define GW_TESTS_ANTHROPIC_TRANSCRIPT_H

#include "check.h"

#include "base/arena.h"
#include "base/buf.h"
#include "ir/fold.h"
#include "ir/grammar.h"
#include "protocols/protocol.h"
#include "wire/sse.h"

static const struct protocol *const am = &protocol_anthropic_messages;

struct tape {
	struct ir_sink sink;
	struct buf log;
	bool merge;                /* set by the test after tape_init() */
	bool no_start;             /* leave START's and USAGE's lines out */
	char last[64];             /* "DELTA 0 text " of the last line, for merging */
	struct ir_grammar grammar; /* give &grammar.sink to the decoder */
};

static inline const char *tape_block(enum ir_block_kind k)
{
	static const char *const names[] = { "text", "reasoning", "tool_call", "refusal",
					     "opaque" };

	return names[k];
}

static inline const char *tape_delta(enum ir_delta_kind k)
{
	static const char *const names[] = { "text",     "arguments", "signature",
					     "redacted", "citation",  "raw" };

	return names[k];
}

static inline void tape_usage(struct buf *log, const struct ir_usage *u)
{
	const struct {
		const char *name;
		int64_t n;
	} counts[] = {
		{ "in", u->input },
		{ "out", u->output },
		{ "read", u->cache_read },
		{ "write", u->cache_write },
		{ "5m", u->cache_write_5m },
		{ "1h", u->cache_write_1h },
		{ "reasoning", u->reasoning },
	};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (counts[i].n >= 0)
			buf_printf(log, " %s=%lld", counts[i].name, (long long)counts[i].n);
	}
}

static inline void tape_put_delta(struct tape *t, const struct ir_event *ev)
{
	char head[64];

	(void)snprintf(head, sizeof(head), "DELTA %u %s ", ev->index, tape_delta(ev->delta));
	if (t->merge && ev->delta != IR_DELTA_CITATION && strcmp(head, t->last) == 0) {
		buf_truncate(&t->log, t->log.len - 1);
	} else {
		buf_puts(&t->log, head);
		(void)snprintf(t->last, sizeof(t->last), "%s", head);
	}
	if (ev->delta == IR_DELTA_CITATION)
		buf_printf(&t->log, "%.*s|%.*s|%.*s", STR_ARG(ev->citation->url),
			   STR_ARG(ev->citation->title), STR_ARG(ev->citation->raw));
	else
		buf_put(&t->log, ev->text);
	buf_putc(&t->log, '\n');
}

static inline int tape_event(struct ir_sink *s, const struct ir_event *ev)
{
	struct tape *t = (struct tape *)s;
	struct buf *log = &t->log;

	if (ev->kind != IR_DELTA)
		t->last[0] = '\0';
	switch (ev->kind) {
	case IR_START:
		if (t->no_start)
			return 0;
		buf_printf(log, "START %.*s %.*s", STR_ARG(ev->id), STR_ARG(ev->name));
		tape_usage(log, &ev->usage);
		break;
	case IR_OPEN:
		buf_printf(log, "OPEN %u %s", ev->index, tape_block(ev->block));
		if (ev->block == IR_BLOCK_TOOL_CALL)
			buf_printf(log, " %.*s %.*s", STR_ARG(ev->id), STR_ARG(ev->name));
		if (ev->origin)
			buf_printf(log, " by %s", ev->origin);
		break;
	case IR_DELTA:
		tape_put_delta(t, ev);
		return 0;
	case IR_CLOSE:
		buf_printf(log, "CLOSE %u", ev->index);
		break;
	case IR_USAGE:
		if (t->no_start)
			return 0;
		buf_puts(log, "USAGE");
		tape_usage(log, &ev->usage);
		break;
	case IR_FINISH:
		buf_printf(log, "FINISH %s", ir_stop_name(ev->stop));
		if (str_present(ev->stop_sequence))
			buf_printf(log, " %.*s", STR_ARG(ev->stop_sequence));
		break;
	case IR_ERROR:
		buf_printf(log, "ERROR %s %.*s", ir_error_kind_name(ev->error->kind),
			   STR_ARG(ev->error->message));
		break;
	case IR_PING:
		buf_puts(log, "PING");
		break;
	}
	buf_putc(log, '\n');
	return 0;
}

static inline void tape_init(struct tape *t)
{
	*t = (struct tape){ .sink.event = tape_event };
	buf_init(&t->log, 64 << 20);
	ir_grammar_init(&t->grammar, &t->sink);
}

static inline void tape_done(struct tape *t)
{
	buf_done(&t->log);
}

/* Feeds `bytes` in two pieces, cut after `cut` bytes, and ends the decoder. Returns the first
 * failure. */
static inline int play_stream(struct str bytes, size_t cut, struct tape *t)
{
	struct arena *a = arena_new(64 << 20), *scratch = arena_new(64 << 20);
	struct decoder_options o = { .arena = a, .scratch = scratch, .sink = &t->grammar.sink };
	struct protocol_decoder *d = am->decoder_new(&o);
	struct sse_parser p;
	struct err e = { 0 };
	size_t from = 0, seen = cut < bytes.len ? cut : bytes.len;
	int rc = 0;

	sse_init(&p, 16 << 20);
	while (!rc) {
		struct frame ev;
		size_t used = 0;
		enum sse_result r =
			sse_next(&p, (struct str){ bytes.ptr + from, seen - from }, &ev, &used);

		if (r == SSE_EVENT) {
			rc = am->decode_event(d, &ev, &e);
			arena_reset(scratch);
			from += used;
		} else if (seen < bytes.len) {
			seen = bytes.len;
		} else {
			break;
		}
	}
	if (!rc)
		rc = am->decode_end(d, &e);
	if (t->grammar.breach)
		print_error("breach: %s\n", t->grammar.breach);
	sse_done(&p);
	arena_free(scratch);
	arena_free(a);
	return rc;
}

/* A whole body. */
static inline int play_body(struct str body, struct tape *t)
{
	struct arena *a = arena_new(64 << 20), *scratch = arena_new(64 << 20);
	struct decoder_options o = { .arena = a, .scratch = scratch, .sink = &t->grammar.sink };
	struct err e = { 0 };
	int rc = am->decode_body(&o, body, &e);

	arena_free(scratch);
	arena_free(a);
	return rc;
}

#endif
