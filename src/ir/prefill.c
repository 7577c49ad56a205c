/* ir/prefill.c - takes the beginning that the client wrote itself out of an answer.
 *
 * The hard thing is that the words may come in any pieces and stop being the same in the middle of one: what was held
 * back until then is text after all, and goes out first. */
#include "ir/prefill.h"

struct str ir_prefill_words(const struct ir_request *r)
{
	const struct ir_message *last = r->n_messages ? &r->messages[r->n_messages - 1] : NULL;

	if (!last || last->role != IR_ROLE_ASSISTANT || last->n_parts != 1 ||
	    last->parts[0].kind != IR_PART_TEXT || last->parts[0].text.len == 0)
		return STR_NONE;
	return last->parts[0].text;
}

static int pass_text(struct ir_prefill *p, const struct ir_event *like, struct str text)
{
	struct ir_event ev = *like;

	if (text.len == 0)
		return RC_OK;
	ev.kind = IR_DELTA;
	ev.delta = IR_DELTA_TEXT;
	ev.text = text;
	return ir_emit(p->next, &ev);
}

/* It was no repetition: what was held back comes first. */
static int give_up(struct ir_prefill *p, const struct ir_event *ev)
{
	struct ir_event held = { .index = ev->index, .block = IR_BLOCK_TEXT };

	p->over_ = true;
	return pass_text(p, &held, (struct str){ p->words_.ptr, p->matched_ });
}

static int compare(struct ir_prefill *p, const struct ir_event *ev)
{
	struct str left = str_from_offset(p->words_, p->matched_);
	size_t n = ev->text.len < left.len ? ev->text.len : left.len;
	int rc;

	if (!str_eq((struct str){ left.ptr, n }, (struct str){ ev->text.ptr, n })) {
		rc = give_up(p, ev);
		return rc ? rc : ir_emit(p->next, ev);
	}
	p->matched_ += n;
	p->over_ = p->matched_ == p->words_.len;
	return p->over_ ? pass_text(p, ev, str_from_offset(ev->text, n)) : RC_OK;
}

static int on_event(struct ir_sink *self, const struct ir_event *ev)
{
	struct ir_prefill *p = (struct ir_prefill *)self;
	int rc = RC_OK;

	if (p->over_ || ev->kind == IR_PING)
		return ir_emit(p->next, ev);
	if (ev->kind == IR_DELTA && ev->block == IR_BLOCK_TEXT && ev->delta == IR_DELTA_TEXT)
		return compare(p, ev);
	if (ev->block == IR_BLOCK_TEXT && (ev->kind == IR_CLOSE || ev->kind == IR_DELTA))
		rc = give_up(p, ev); /* it ended within the words */
	return rc ? rc : ir_emit(p->next, ev);
}

void ir_prefill_init(struct ir_prefill *p, struct str words, struct ir_sink *next)
{
	*p = (struct ir_prefill){
		.sink = { on_event }, .next = next, .words_ = words, .over_ = words.len == 0
	};
}
