/* exchange/proofs.c - whose proofs are whose, where the texts do not say.
 *
 * Answers that pass are looked at for what their vendor encrypted or signed, and that is remembered with the account
 * (policy/proof_memory.h). A request to another account leaves out what is known to be of no use there, and says so.
 *
 * What is not known is tried. An account that refuses the request for it is asked once more without all that is not known to be its
 * own, and if it must be without any; and what it was spared is remembered, so that the next turn goes straight.
 */
#include "exchange/exchange_impl.h"

#include "base/log.h"
#include "ir/carrier.h"

static struct proof_account account_of(const struct account *a)
{
	return (struct proof_account){ a->name, a->minter };
}

static enum proof_verdict ask(const struct exchange *x, struct str proof)
{
	struct proof_account target = account_of(x->target->account);

	return proof_memory_ask(x->env->proofs, &target, proof);
}

/* --- what a target may have --- */

static bool either(const enum proof_verdict v[2], enum proof_verdict what)
{
	return v[0] == what || v[1] == what;
}

/* Who does not look at proofs loses nothing by having others'. */
static bool verifies(const struct exchange *x)
{
	const struct proof_codec *codec = x->target->protocol->proofs;

	return !codec || !codec->verifier ||
	       strcmp(codec->verifier, x->target->account->minter) == 0;
}

static bool drops(const struct proof_check *c, struct str proof, struct str id)
{
	const struct proofs *p = (const struct proofs *)c;
	enum proof_verdict v[2];

	if (!proof.len && !id.len)
		return false;
	v[0] = ask(p->x, proof);
	v[1] = ask(p->x, id);
	if (p->let_through == PROOFS_NONE || either(v, PROOF_REFUSED))
		return true;
	if (either(v, PROOF_OWN))
		return false;
	return p->let_through == PROOFS_OWN || (either(v, PROOF_FOREIGN) && verifies(p->x));
}

/* Only what it was spared for its refusal: all else is known anyway. */
static void dropped(struct proof_check *c, struct str proof, struct str id)
{
	struct proofs *p = (struct proofs *)c;
	struct proof_account target = account_of(p->x->target->account);

	p->n_dropped++;
	if (p->let_through == PROOFS_ALL)
		return;
	proof_memory_refused(p->x->env->proofs, &target, proof);
	if (!proof.len)
		proof_memory_refused(p->x->env->proofs, &target, id);
}

void proofs_begin(struct exchange *x)
{
	x->proofs = (struct proofs){ .base = { drops, dropped }, .x = x };
}

bool proofs_again(struct exchange *x, const struct ir_error *e)
{
	const struct proof_codec *codec = x->target->protocol->proofs;

	if (!codec || x->committed || !codec->refuses(e) || !forward_without_proofs(x))
		return false;
	log_event(LOG_INFO, "proofs.refused", NULL, LF_STR("id", x->id),
		  LF_STR("provider", x->target->account->name),
		  LF_STR("upstream_model", x->target->model));
	return true;
}

/* --- what answers hold --- */

struct seeing {
	struct proof_sink sink;
	struct proof_memory *memory;
	struct proof_account by;
};

static void see(struct proof_sink *sink, struct str proof)
{
	struct seeing *s = (struct seeing *)sink;

	if (!ir_carrier_is(proof)) /* which says itself whose it is */
		proof_memory_minted(s->memory, &s->by, proof);
}

static void see_all(struct exchange *x, const struct protocol *p, const struct account *by,
		    struct arena *scratch, struct str text)
{
	struct seeing s = { { see }, x->env->proofs, account_of(by) };

	if (p->proofs)
		p->proofs->each(scratch, text, &s.sink);
}

void proofs_see_event(struct exchange *x, const struct frame *ev)
{
	const struct protocol *p = x->target->protocol;

	if (p->proofs && p->proofs->in_event(ev))
		see_all(x, p, x->target->account, x->pump.scratch, ev->data);
}

void proofs_see_body(struct exchange *x, struct str body)
{
	see_all(x, x->target->protocol, x->target->account, x->pump.scratch, body);
}

void proofs_see_told(struct exchange *x, struct str text)
{
	see_all(x, x->match.protocol, x->target->account, x->pump.scratch, text);
}

void proofs_see_kept(struct exchange *x, const struct stored_turn *turns, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct account *by = str_present(turns[i].maker)
						   ? snapshot_account(x->snapshot, turns[i].maker)
						   : NULL;

		if (by)
			see_all(x, x->match.protocol, by, x->arena, turns[i].answer);
	}
}
