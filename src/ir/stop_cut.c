/* ir/stop_cut.c - ends an answer before the client's stop sequence where the provider cannot.
 *
 * The hard thing is that a sequence comes in any pieces, and that half of one may be nothing after all. An automaton for each
 * sequence (Knuth, Morris, Pratt) tells at each byte how much of it stands at the end of the text: the longest of these
 * beginnings is what is held back, so nothing has to be copied. Log probabilities come a token at a time and
 * leave with the byte that ends their token. */
#include "ir/stop_cut.h"

#include <assert.h>
#include <string.h>

#include "base/utf8.h"
#include "json/json.h"

struct stop_word {
	struct str text;
	uint32_t *border; /* [i]: the longest beginning that also ends text[0..i] */
	uint32_t matched; /* so much of it ends what came; at most held back */
};

struct stop_token {
	uint64_t end; /* the byte of the block behind it */
	struct str raw;
	struct stop_token *next;
};

unsigned ir_stop_cut_count(const struct ir_request *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_stop; i++)
		n += r->stop[i].len > 0;
	return n;
}

static uint32_t step(const struct stop_word *w, uint32_t matched, char c)
{
	while (matched > 0 && w->text.ptr[matched] != c)
		matched = w->border[matched - 1];
	return matched + (w->text.ptr[matched] == c);
}

static const struct stop_word *longest(const struct ir_stop_cut *c)
{
	const struct stop_word *best = &c->words_[0];

	for (unsigned i = 1; i < c->n_words_; i++)
		if (c->words_[i].matched > best->matched)
			best = &c->words_[i];
	return best;
}

/* --- log probabilities --- */

static size_t token_len(const json *token)
{
	const json *bytes = JSON_GET(token, "bytes");

	return bytes ? json_len(bytes) : json_str(JSON_GET(token, "token")).len;
}

/* The tokens of a piece of text that is still to be said. */
static int note_tokens(struct ir_stop_cut *c, const struct ir_event *ev)
{
	uint64_t at = c->came_, end = c->came_ + ev->text.len;
	const json *list;
	struct json_iter it;

	if (!str_present(ev->logprobs))
		return RC_OK;
	list = json_parse(c->arena_, ev->logprobs, NULL);
	it = json_iter(list);
	for (size_t left = json_len(list); json_next(&it); left--) {
		struct stop_token *t = arena_alloc(c->arena_, sizeof(*t));

		at += token_len(it.val);
		if (!t)
			return RC_NOMEM;
		*t = (struct stop_token){ .end = left == 1 || at > end ? end : at,
					  .raw = json_text(c->arena_, it.val) };
		if (!str_present(t->raw))
			return RC_NOMEM;
		*c->last_token_ = t;
		c->last_token_ = &t->next;
	}
	return RC_OK;
}

/* Those of the text that has been said, as a list; absent when there are none. */
static int take_tokens(struct ir_stop_cut *c, struct str *ret)
{
	size_t len = 1;
	char *to;

	*ret = STR_NONE;
	for (const struct stop_token *t = c->tokens_; t && t->end <= c->said_; t = t->next)
		len += t->raw.len + 1;
	if (len == 1)
		return RC_OK;
	to = arena_alloc_raw(c->arena_, len);
	if (!to)
		return RC_NOMEM;
	*ret = (struct str){ to, len };
	*to = '[';
	while (c->tokens_ && c->tokens_->end <= c->said_) {
		memcpy(to + 1, c->tokens_->raw.ptr, c->tokens_->raw.len);
		to += c->tokens_->raw.len + 1;
		*to = ',';
		c->tokens_ = c->tokens_->next;
	}
	*to = ']';
	if (!c->tokens_)
		c->last_token_ = &c->tokens_;
	return RC_OK;
}

/* --- text --- */

static int pass(struct ir_stop_cut *c, unsigned index, struct str text)
{
	struct ir_event ev = { .kind = IR_DELTA,
			       .index = index,
			       .block = IR_BLOCK_TEXT,
			       .delta = IR_DELTA_TEXT,
			       .text = text };
	int rc;

	if (text.len == 0)
		return RC_OK;
	c->said_ += text.len;
	c->chars_ += utf8_count(text);
	rc = take_tokens(c, &ev.logprobs);
	return rc ? rc : ir_emit(c->next, &ev);
}

/* The first `n` bytes of what was held back and `text` together. */
static int pass_both(struct ir_stop_cut *c, unsigned index, struct str held, struct str text,
		     size_t n)
{
	size_t first = n < held.len ? n : held.len;
	int rc = pass(c, index, (struct str){ held.ptr, first });

	return rc ? rc : pass(c, index, (struct str){ text.ptr, n - first });
}

/* Feeds one byte; the longest sequence that ends in it, or NULL. */
static const struct stop_word *feed(struct ir_stop_cut *c, char byte)
{
	const struct stop_word *whole = NULL;

	for (unsigned i = 0; i < c->n_words_; i++) {
		struct stop_word *w = &c->words_[i];

		w->matched = step(w, w->matched, byte);
		if (w->matched == w->text.len && (!whole || w->text.len > whole->text.len))
			whole = w;
	}
	return whole;
}

/* The block stays open: what is cited of its text may come at its end. */
static int cut(struct ir_stop_cut *c, const struct ir_event *ev, struct str held, size_t n)
{
	c->last_ = ev->index;
	return pass_both(c, ev->index, held, ev->text, n);
}

static int on_text(struct ir_stop_cut *c, const struct ir_event *ev)
{
	const struct stop_word *w = longest(c);
	struct str held = { w->text.ptr, w->matched };
	int rc = note_tokens(c, ev);

	if (rc)
		return rc;
	c->came_ += ev->text.len;
	for (size_t i = 0; i < ev->text.len; i++) {
		c->found_ = feed(c, ev->text.ptr[i]);
		if (c->found_)
			return cut(c, ev, held, held.len + i + 1 - c->found_->text.len);
	}
	return pass_both(c, ev->index, held, ev->text,
			 held.len + ev->text.len - longest(c)->matched);
}

/* It was no sequence: what was held back is text. */
static int on_close(struct ir_stop_cut *c, const struct ir_event *ev)
{
	const struct stop_word *w = longest(c);
	int rc = pass(c, ev->index, (struct str){ w->text.ptr, w->matched });

	for (unsigned i = 0; i < c->n_words_; i++)
		c->words_[i].matched = 0;
	c->came_ = c->said_ = 0;
	c->tokens_ = NULL;
	c->last_token_ = &c->tokens_;
	return rc ? rc : ir_emit(c->next, ev);
}

/* One that stands behind what was said has nothing to stand on. */
static int pass_citation(struct ir_stop_cut *c, const struct ir_event *ev)
{
	struct ir_citation cited = *ev->citation;
	struct ir_event out = *ev;

	if (c->chars_ == 0 || cited.start >= c->chars_)
		return RC_OK;
	if (cited.end > c->chars_)
		cited.end = c->chars_;
	out.citation = &cited;
	return ir_emit(c->next, &out);
}

static int after_the_cut(struct ir_stop_cut *c, const struct ir_event *ev)
{
	bool of_the_text = ev->index == c->last_;
	struct ir_event end = *ev;

	switch (ev->kind) {
	case IR_OPEN:
		return RC_OK;
	case IR_DELTA:
		return of_the_text && ev->delta == IR_DELTA_CITATION && ev->citation
			       ? pass_citation(c, ev)
			       : RC_OK;
	case IR_CLOSE:
		return of_the_text ? ir_emit(c->next, ev) : RC_OK;
	case IR_FINISH:
		end.stop = IR_STOP_SEQUENCE;
		end.stop_sequence = c->found_->text;
		return ir_emit(c->next, &end);
	case IR_START:
	case IR_USAGE:
	case IR_ERROR:
	case IR_PING:
		return ir_emit(c->next, ev);
	}
	return RC_OK;
}

static int on_event(struct ir_sink *self, const struct ir_event *ev)
{
	struct ir_stop_cut *c = (struct ir_stop_cut *)self;

	if (c->found_)
		return after_the_cut(c, ev);
	if (ev->kind == IR_DELTA && ev->block == IR_BLOCK_TEXT && ev->delta == IR_DELTA_TEXT)
		return ev->text.len ? on_text(c, ev) : ir_emit(c->next, ev);
	if (ev->kind == IR_CLOSE && ev->block == IR_BLOCK_TEXT)
		return on_close(c, ev);
	return ir_emit(c->next, ev);
}

/* --- setting up --- */

static int prepare(struct stop_word *w, struct arena *a, struct str text)
{
	uint32_t *border = arena_array(a, text.len, sizeof(*border));

	if (!border || text.len > UINT32_MAX)
		return RC_NOMEM;
	*w = (struct stop_word){ .text = text, .border = border };
	for (size_t i = 1; i < text.len; i++)
		border[i] = step(w, border[i - 1], text.ptr[i]);
	return RC_OK;
}

int ir_stop_cut_init(struct ir_stop_cut *c, struct arena *arena, const struct ir_request *r,
		     struct ir_sink *next)
{
	unsigned n = ir_stop_cut_count(r);

	assert(n > 0 && n <= IR_STOP_CUT_MAX);
	*c = (struct ir_stop_cut){ .sink = { on_event }, .next = next, .arena_ = arena };
	c->last_token_ = &c->tokens_;
	c->words_ = arena_array(arena, n, sizeof(*c->words_));
	if (!c->words_)
		return RC_NOMEM;
	for (unsigned i = 0; i < r->n_stop; i++) {
		if (r->stop[i].len &&
		    prepare(&c->words_[c->n_words_++], arena, r->stop[i]) != RC_OK)
			return RC_NOMEM;
	}
	return RC_OK;
}
