/* ir/fold.c - events into a whole answer, and back.
 *
 * The hard thing is that text grows delta by delta in an arena: the open block's text is kept as one
 * allocation that doubles, so that a long answer costs linear time and at most twice its size. */
#include "ir/fold.h"

static int grow_array(struct arena *a, void **items, unsigned n, unsigned *cap, size_t size)
{
	unsigned want = *cap ? *cap * 2 : 4;
	void *bigger;

	if (n < *cap)
		return RC_OK;
	bigger = arena_grow(a, *items, *cap * size, want * size);
	if (!bigger)
		return RC_NOMEM;
	*items = bigger;
	*cap = want;
	return RC_OK;
}

/* *cap is what the text was given room for; 0: it is not ours to write to yet. */
static int append(struct arena *a, struct str *to, size_t *cap, struct str more)
{
	size_t need = to->len + more.len;
	char *text = (char *)to->ptr;

	if (need > *cap) {
		size_t bigger = *cap ? *cap : 256;

		while (bigger < need)
			bigger *= 2;
		text = arena_grow(a, *cap ? text : NULL, *cap, bigger);
		if (!text)
			return RC_NOMEM;
		*cap = bigger;
	}
	if (more.len)
		memcpy(text + to->len, more.ptr, more.len);
	*to = (struct str){ text, need };
	return RC_OK;
}

/* Copies `s` unless it is absent. */
static int keep(struct arena *a, struct str *to, struct str s)
{
	if (!str_present(s))
		return RC_OK;
	*to = arena_dup(a, s);
	return to->ptr ? RC_OK : RC_NOMEM;
}

static int fold_open(struct ir_fold *f, const struct ir_event *ev)
{
	struct ir_response *r = &f->response;
	struct ir_block *b;
	void *blocks = r->blocks;
	int rc = grow_array(f->arena, &blocks, r->n_blocks, &f->cap_blocks_, sizeof(*b));

	if (rc)
		return rc;
	r->blocks = blocks;
	b = &r->blocks[r->n_blocks++];
	*b = (struct ir_block){ .kind = ev->block, .text = STR(""), .origin = ev->origin };
	f->cap_citations_ = 0;
	f->cap_text_ = f->cap_logprobs_ = 0;
	f->open_ = true;
	rc = keep(f->arena, &b->id, ev->id);
	return rc ? rc : keep(f->arena, &b->name, ev->name);
}

static int fold_citation(struct ir_fold *f, struct ir_block *b, const struct ir_citation *c)
{
	void *citations = b->citations;
	struct ir_citation *to;
	int rc;

	if (!c)
		return RC_OK;
	rc = grow_array(f->arena, &citations, b->n_citations, &f->cap_citations_, sizeof(*to));
	if (rc)
		return rc;
	b->citations = citations;
	to = &b->citations[b->n_citations];
	*to = (struct ir_citation){ .start = c->start, .end = c->end, .origin = c->origin };
	if ((rc = keep(f->arena, &to->url, c->url)) ||
	    (rc = keep(f->arena, &to->title, c->title)) ||
	    (rc = keep(f->arena, &to->cited_text, c->cited_text)) ||
	    (rc = keep(f->arena, &to->raw, c->raw)))
		return rc;
	b->n_citations++;
	return RC_OK;
}

/* "[a]" and "[b,c]" make "[a,b,c]". */
static int append_list(struct ir_fold *f, struct ir_block *b, struct str more)
{
	bool first = b->logprobs.len == 0;
	int rc;

	if (!first) {
		b->logprobs.len--; /* the closing bracket */
		more = str_from_offset(more, 1);
		rc = append(f->arena, &b->logprobs, &f->cap_logprobs_, STR(","));
		if (rc)
			return rc;
	}
	return append(f->arena, &b->logprobs, &f->cap_logprobs_, more);
}

static int fold_delta(struct ir_fold *f, const struct ir_event *ev)
{
	struct ir_block *b;

	if (!f->open_)
		return RC_INVALID;
	b = &f->response.blocks[f->response.n_blocks - 1];
	switch (ev->delta) {
	case IR_DELTA_TEXT:
		if (ev->logprobs.len > 2 && append_list(f, b, ev->logprobs) != RC_OK)
			return RC_NOMEM;
		return append(f->arena, &b->text, &f->cap_text_, ev->text);
	case IR_DELTA_RAW:
		if (keep(f->arena, &b->picture, ev->picture) != RC_OK)
			return RC_NOMEM;
		return append(f->arena, &b->text, &f->cap_text_, ev->text);
	case IR_DELTA_ARGUMENTS:
		return append(f->arena, &b->text, &f->cap_text_, ev->text);
	case IR_DELTA_SIGNATURE:
		return keep(f->arena, &b->signature, ev->text);
	case IR_DELTA_REDACTED:
		return keep(f->arena, &b->redacted, ev->text);
	case IR_DELTA_CITATION:
		return fold_citation(f, b, ev->citation);
	}
	return RC_INVALID;
}

static int fold_close(struct ir_fold *f)
{
	struct ir_block *b;

	if (!f->open_)
		return RC_INVALID;
	b = &f->response.blocks[f->response.n_blocks - 1];
	f->open_ = false;
	/* Trap 16: a call without arguments streams nothing, but is an empty object to every client. */
	if (b->kind == IR_BLOCK_TOOL_CALL && str_trim(b->text).len == 0)
		b->text = STR("{}");
	return RC_OK;
}

static int fold_error(struct ir_fold *f, const struct ir_error *e)
{
	int rc;

	if (!e)
		return RC_INVALID;
	f->error = (struct ir_error){ .kind = e->kind,
				      .status = e->status,
				      .retry_after_ms = e->retry_after_ms };
	if ((rc = keep(f->arena, &f->error.message, e->message)) ||
	    (rc = keep(f->arena, &f->error.code, e->code)) ||
	    (rc = keep(f->arena, &f->error.param, e->param)) ||
	    (rc = keep(f->arena, &f->error.type, e->type)))
		return rc;
	f->failed = true;
	return RC_OK;
}

static int fold_event(struct ir_sink *self, const struct ir_event *ev)
{
	struct ir_fold *f = (struct ir_fold *)self;
	int rc;

	switch (ev->kind) {
	case IR_START:
		ir_usage_merge(&f->response.usage, &ev->usage);
		rc = keep(f->arena, &f->response.id, ev->id);
		return rc ? rc : keep(f->arena, &f->response.model, ev->name);
	case IR_OPEN:
		return fold_open(f, ev);
	case IR_DELTA:
		return fold_delta(f, ev);
	case IR_CLOSE:
		return fold_close(f);
	case IR_USAGE:
		ir_usage_merge(&f->response.usage, &ev->usage);
		return RC_OK;
	case IR_FINISH:
		f->response.stop = ev->stop;
		f->finished = true;
		return keep(f->arena, &f->response.stop_sequence, ev->stop_sequence);
	case IR_ERROR:
		return fold_error(f, ev->error);
	case IR_PING:
		return RC_OK;
	}
	return RC_INVALID;
}

void ir_fold_init(struct ir_fold *f, struct arena *a)
{
	*f = (struct ir_fold){ .sink.event = fold_event,
			       .arena = a,
			       .response.usage = IR_USAGE_NONE };
}

/* --- unfold --- */

static int emit_delta(struct ir_sink *sink, struct ir_event at, enum ir_delta_kind kind,
		      struct str text)
{
	at.kind = IR_DELTA;
	at.delta = kind;
	at.text = text;
	return ir_emit(sink, &at);
}

static int unfold_content(const struct ir_block *b, struct ir_event at, struct ir_sink *sink)
{
	int rc = RC_OK;

	switch (b->kind) {
	case IR_BLOCK_TEXT:
		at.logprobs = b->logprobs;
		if (b->text.len)
			rc = emit_delta(sink, at, IR_DELTA_TEXT, b->text);
		at.logprobs = STR_NONE;
		for (unsigned i = 0; !rc && i < b->n_citations; i++) {
			at.citation = &b->citations[i];
			rc = emit_delta(sink, at, IR_DELTA_CITATION, STR_NONE);
		}
		return rc;
	case IR_BLOCK_REASONING:
		if (b->text.len)
			rc = emit_delta(sink, at, IR_DELTA_TEXT, b->text);
		if (!rc && str_present(b->redacted))
			rc = emit_delta(sink, at, IR_DELTA_REDACTED, b->redacted);
		if (!rc && str_present(b->signature))
			rc = emit_delta(sink, at, IR_DELTA_SIGNATURE, b->signature);
		return rc;
	case IR_BLOCK_REFUSAL:
		at.logprobs = b->logprobs;
		return b->text.len ? emit_delta(sink, at, IR_DELTA_TEXT, b->text) : RC_OK;
	case IR_BLOCK_TOOL_CALL:
		return b->text.len ? emit_delta(sink, at, IR_DELTA_ARGUMENTS, b->text) : RC_OK;
	case IR_BLOCK_OPAQUE:
		at.picture = b->picture;
		return emit_delta(sink, at, IR_DELTA_RAW, b->text);
	}
	return RC_INVALID;
}

static int unfold_block(const struct ir_block *b, unsigned index, struct ir_sink *sink)
{
	struct ir_event at = { .kind = IR_OPEN,
			       .index = index,
			       .block = b->kind,
			       .origin = b->origin,
			       .usage = IR_USAGE_NONE };
	struct ir_event open = at;
	int rc;

	open.id = b->id;
	open.name = b->name;
	rc = ir_emit(sink, &open);
	if (!rc)
		rc = unfold_content(b, at, sink);
	if (rc)
		return rc;
	at.kind = IR_CLOSE;
	return ir_emit(sink, &at);
}

int ir_unfold(const struct ir_response *r, struct ir_sink *sink)
{
	struct ir_event ev = { .kind = IR_START, .id = r->id, .name = r->model, .usage = r->usage };
	int rc = ir_emit(sink, &ev);

	for (unsigned i = 0; !rc && i < r->n_blocks; i++)
		rc = unfold_block(&r->blocks[i], i, sink);
	if (!rc) {
		ev = (struct ir_event){ .kind = IR_USAGE, .usage = r->usage };
		rc = ir_emit(sink, &ev);
	}
	if (!rc) {
		ev = (struct ir_event){ .kind = IR_FINISH,
					.usage = IR_USAGE_NONE,
					.stop = r->stop,
					.stop_sequence = r->stop_sequence };
		rc = ir_emit(sink, &ev);
	}
	return rc;
}
