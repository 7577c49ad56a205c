/* tests/unit/tape.h - events written down as JSON lines, and decoders fed as the pump feeds them.
 *
 * A tape is what tests compare: the same bytes cut in any way must give the same tape.
 * Between a decoder and its tape stands the grammar checker, so that no test can miss a breach.
 */
#ifndef GW_TESTS_TAPE_H
#define GW_TESTS_TAPE_H

#include "base/arena.h"
#include "base/buf.h"
#include "ir/fit.h"
#include "ir/fold.h"
#include "ir/grammar.h"
#include "json/write.h"
#include "protocols/protocol.h"
#include "wire/framer.h"

enum { TAPE_MAX = 64 << 20, TAPE_ARENA = 256 << 20 };

struct tape {
	struct ir_sink sink;
	struct buf text;
	bool join; /* write runs of DELTAs of one kind as one: what a text is does not depend on its pieces */
	/* private */
	bool in_delta_;
	enum ir_delta_kind delta_;
};

static inline void tape_usage(struct jw *w, const struct ir_usage *u)
{
	const struct {
		const char *name;
		int64_t n;
	} rows[] = {
		{ "input", u->input },
		{ "output", u->output },
		{ "cache_read", u->cache_read },
		{ "cache_write", u->cache_write },
		{ "cache_write_5m", u->cache_write_5m },
		{ "cache_write_1h", u->cache_write_1h },
		{ "reasoning", u->reasoning },
		{ "audio_input", u->audio_input },
		{ "audio_output", u->audio_output },
		{ "accepted_prediction", u->accepted_prediction },
		{ "rejected_prediction", u->rejected_prediction },
	};

	jw_key(w, "usage");
	jw_obj(w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (rows[i].n >= 0)
			jw_ki64(w, rows[i].name, rows[i].n);
	}
	jw_end_obj(w);
}

static inline const char *tape_block_name(enum ir_block_kind k)
{
	switch (k) {
	case IR_BLOCK_TEXT:
		return "text";
	case IR_BLOCK_REASONING:
		return "reasoning";
	case IR_BLOCK_TOOL_CALL:
		return "tool_call";
	case IR_BLOCK_REFUSAL:
		return "refusal";
	case IR_BLOCK_OPAQUE:
		return "opaque";
	}
	return "?";
}

static inline const char *tape_delta_name(enum ir_delta_kind k)
{
	switch (k) {
	case IR_DELTA_TEXT:
		return "text";
	case IR_DELTA_ARGUMENTS:
		return "arguments";
	case IR_DELTA_SIGNATURE:
		return "signature";
	case IR_DELTA_REDACTED:
		return "redacted";
	case IR_DELTA_CITATION:
		return "citation";
	case IR_DELTA_RAW:
		return "raw";
	}
	return "?";
}

static inline void tape_kstr(struct jw *w, const char *key, struct str s)
{
	if (str_present(s))
		jw_kstr(w, key, s);
}

static inline void tape_delta(struct jw *w, const struct ir_event *ev)
{
	jw_kcstr(w, "of", tape_delta_name(ev->delta));
	if (ev->delta == IR_DELTA_CITATION) {
		tape_kstr(w, "url", ev->citation->url);
		tape_kstr(w, "title", ev->citation->title);
		tape_kstr(w, "cited", ev->citation->cited_text);
		jw_ki64(w, "start", ev->citation->start);
		jw_ki64(w, "end", ev->citation->end);
		return;
	}
	jw_kstr(w, "text", ev->text);
	tape_kstr(w, "picture", ev->picture);
	tape_kstr(w, "lost", ev->name);
}

static inline int tape_event(struct ir_sink *self, const struct ir_event *ev)
{
	struct tape *t = (struct tape *)self;
	struct jw w = jw_on(&t->text);
	bool joins = ev->kind == IR_DELTA && t->join && ev->delta != IR_DELTA_CITATION;

	if (joins && t->in_delta_ && t->delta_ == ev->delta) {
		buf_truncate(&t->text, t->text.len - 3); /* "}\n behind the text */
		json_escape(&t->text, ev->text);
		buf_puts(&t->text, "\"}\n");
		return buf_ok(&t->text) ? 0 : RC_NOMEM;
	}
	t->in_delta_ = joins;
	t->delta_ = ev->delta;
	jw_obj(&w);
	jw_kcstr(&w, "event", ir_event_name(ev->kind));
	switch (ev->kind) {
	case IR_START:
		tape_kstr(&w, "id", ev->id);
		tape_kstr(&w, "model", ev->name);
		tape_usage(&w, &ev->usage);
		break;
	case IR_OPEN:
		jw_ki64(&w, "index", ev->index);
		jw_kcstr(&w, "block", tape_block_name(ev->block));
		tape_kstr(&w, "id", ev->id);
		tape_kstr(&w, "name", ev->name);
		if (ev->origin)
			jw_kcstr(&w, "origin", ev->origin);
		break;
	case IR_DELTA:
		tape_delta(&w, ev);
		break;
	case IR_CLOSE:
		jw_ki64(&w, "index", ev->index);
		break;
	case IR_USAGE:
		tape_usage(&w, &ev->usage);
		break;
	case IR_FINISH:
		jw_kcstr(&w, "stop", ir_stop_name(ev->stop));
		tape_kstr(&w, "sequence", ev->stop_sequence);
		break;
	case IR_ERROR:
		jw_kcstr(&w, "kind", ir_error_kind_name(ev->error->kind));
		jw_ki64(&w, "status", ir_error_status(ev->error));
		tape_kstr(&w, "message", ev->error->message);
		tape_kstr(&w, "code", ev->error->code);
		break;
	case IR_PING:
		break;
	}
	jw_end_obj(&w);
	buf_putc(&t->text, '\n');
	return buf_ok(&t->text) ? 0 : RC_NOMEM;
}

static inline void tape_init(struct tape *t)
{
	*t = (struct tape){ .sink.event = tape_event };
	buf_init(&t->text, TAPE_MAX);
}

static inline void tape_done(struct tape *t)
{
	buf_done(&t->text);
}

/* --- feeding --- */

/* One upstream answer on its way through a decoder. */
struct feed {
	const struct protocol *p;
	const struct ir_request *request; /* MAY be NULL */
	struct ir_sink *sink;
	struct err err;
	const char *breach; /* of the grammar, after RC_INVALID */
	uint64_t seed; /* not 0: of the random sizes that a stream is fed in; feeding changes it */
	void (*fed)(struct feed *f,
		    const struct frame *ev); /* after each frame of a stream; MAY be NULL */
};

/* How many of `left` bytes come next. */
static inline size_t feed_piece(struct feed *f, size_t step, size_t left)
{
	if (f->seed) { /* xorshift: the same pieces everywhere */
		f->seed ^= f->seed << 13;
		f->seed ^= f->seed >> 7;
		f->seed ^= f->seed << 17;
		step = 1 + (size_t)(f->seed % 400);
	}
	return step && step < left ? step : left;
}

/* Feeds `bytes` as a stream, `step` bytes at a time (0: all at once), each window moved to
 * memory of its own so that a slice kept too long is seen. */
static inline int feed_stream(struct feed *f, struct str bytes, size_t step)
{
	struct arena *a = arena_new(TAPE_ARENA), *scratch = arena_new(TAPE_ARENA);
	struct ir_grammar g;
	struct decoder_options o = {
		.arena = a, .scratch = scratch, .sink = &g.sink, .request = f->request
	};
	struct protocol_decoder *d;
	struct framer framer;
	struct frame ev;
	struct buf window;
	size_t fed = 0, used;
	int rc = 0;

	ir_grammar_init(&g, f->sink);
	framer_init(&framer, f->p->framing, TAPE_MAX);
	buf_init(&window, TAPE_MAX);
	d = f->p->decoder_new(&o);
	while (!rc && fed < bytes.len) {
		size_t n = feed_piece(f, step, bytes.len - fed);
		enum framer_result got;

		buf_put(&window, (struct str){ bytes.ptr + fed, n });
		fed += n;
		while (!rc &&
		       (got = framer_next(&framer, buf_str(&window), &ev, &used)) == FRAMER_FRAME) {
			rc = f->p->decode_event(d, &ev, &f->err);
			arena_reset(scratch);
			if (f->fed)
				f->fed(f, &ev);
			buf_consume(&window, used);
		}
	}
	if (!rc)
		rc = f->p->decode_end(d, &f->err);
	f->breach = g.breach;
	buf_done(&window);
	framer_done(&framer);
	arena_free(scratch);
	arena_free(a);
	return rc;
}

static inline int feed_body(struct feed *f, struct str body)
{
	struct arena *a = arena_new(TAPE_ARENA), *scratch = arena_new(TAPE_ARENA);
	struct ir_grammar g;
	struct decoder_options o = {
		.arena = a, .scratch = scratch, .sink = &g.sink, .request = f->request
	};
	int rc;

	ir_grammar_init(&g, f->sink);
	rc = f->p->decode_body(&o, body, &f->err);
	f->breach = g.breach;
	arena_free(scratch);
	arena_free(a);
	return rc;
}

/* Writes what comes as a client of `p` gets it. */
struct client_tape {
	struct ir_sink sink;
	struct ir_fit fit; /* for events straight from a decoder: as they go through the pump */
	struct ir_losses losses;
	const struct protocol *p;
	struct protocol_encoder *e;
	struct arena *arena;
	struct buf out;
};

static inline int client_event(struct ir_sink *self, const struct ir_event *ev)
{
	struct client_tape *c = (struct client_tape *)self;

	return c->p->encode_event(c->e, ev, &c->out);
}

/* `asked`: the client's request; MAY be NULL. */
static inline void client_init_asking(struct client_tape *c, const struct protocol *p,
				      bool include_usage, const struct ir_request *asked)
{
	struct encoder_options o = { .id = STR("id-1"),
				     .model = STR("model-1"),
				     .created_s = 1700000000,
				     .include_usage = include_usage,
				     .request = asked };

	*c = (struct client_tape){ .sink.event = client_event, .p = p };
	o.arena = c->arena = arena_new(TAPE_ARENA);
	c->e = p->encoder_new(&o);
	ir_losses_init(&c->losses, c->arena);
	ir_fit_init(&c->fit, c->arena, p->name, p->pictures, asked, &c->losses, &c->sink);
	buf_init(&c->out, TAPE_MAX);
}

static inline void client_init(struct client_tape *c, const struct protocol *p, bool include_usage)
{
	client_init_asking(c, p, include_usage, NULL);
}

static inline void client_done(struct client_tape *c)
{
	buf_done(&c->out);
	arena_free(c->arena);
}

#endif
