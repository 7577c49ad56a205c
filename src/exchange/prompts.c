/* exchange/prompts.c - several prompts of one request, for a target that answers one at a time.
 *
 * They go up one after another, as parts of embeddings do (embed.c), each as an attempt of its own; the client sees one answer,
 * whose choices and tokens these are the parts of. The hard thing is where one prompt ends and the whole goes on: each has
 * a commit gate of its own, so that another target may take over from the prompt that failed. What came before stays,
 * with what was lost for it and what it cost.
 */
#include "exchange/exchange_impl.h"

void prompts_ask(struct exchange *x, const struct ir_request **io, struct ir_request *room)
{
	x->prompts.apart = (*io)->n_prompts > 1;
	if (!x->prompts.apart)
		return;
	if (x->prompts.done == 0)
		x->prompts.usage = IR_USAGE_NONE;
	x->prompts.current = IR_USAGE_NONE;
	ir_request_prompt(*io, x->prompts.done, room);
	*io = room;
}

unsigned prompts_first_choice(const struct exchange *x)
{
	return x->prompts.done ? x->prompts.done * (unsigned)ir_request_answers(x->ir) : 0;
}

bool prompts_more(const struct exchange *x)
{
	return x->prompts.apart && x->prompts.done + 1 < x->ir->n_prompts;
}

void prompts_count(struct exchange *x, const struct ir_usage *usage)
{
	struct ir_usage all = x->prompts.usage;

	ir_usage_merge(&x->prompts.current, usage);
	ir_usage_add(&all, &x->prompts.current);
	x->record.usage = all;
}

/* --- answers that are not streamed --- */

static size_t size_of(const struct ir_response *r)
{
	size_t n = 0;

	for (unsigned i = 0; i < r->n_blocks; i++)
		n += r->blocks[i].text.len + r->blocks[i].logprobs.len;
	return n;
}

/* The attempt and its memory end before the answer does. */
static int keep_one(struct exchange *x, const struct ir_response *r)
{
	struct prompts *p = &x->prompts;
	struct ir_fold *copy = arena_alloc(x->arena, sizeof(*copy));
	int rc;

	if (!copy)
		return RC_NOMEM;
	p->kept += size_of(r);
	if (p->kept > x->snapshot->max_response)
		return RC_TOOBIG;
	ir_fold_init(copy, x->arena);
	rc = ir_unfold(r, &copy->sink);
	if (rc)
		return rc;
	copy->response.choice = r->choice;
	if (p->last)
		p->last->next = &copy->response;
	else
		p->answers = &copy->response;
	p->last = &copy->response;
	return RC_OK;
}

int prompts_keep(struct exchange *x, const struct ir_response *answers)
{
	int rc = RC_OK;

	for (const struct ir_response *r = answers; !rc && r; r = r->next)
		rc = keep_one(x, r);
	return rc;
}

const struct ir_response *prompts_answers(struct exchange *x)
{
	x->prompts.answers->usage = x->record.usage;
	return x->prompts.answers;
}

/* --- the next --- */

void prompts_next(struct exchange *x)
{
	struct prompts *p = &x->prompts;

	p->done++;
	ir_usage_add(&p->usage, &p->current);
	p->n_losses = x->losses.n;
	x->committed = false;
	forward_again(x);
}
