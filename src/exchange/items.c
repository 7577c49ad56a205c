/* exchange/items.c - items that a request only names (item_reference): found, and put in their place.
 *
 * On a WebSocket they are looked for among its own turns before the store. The hard thing is for whom the input is: our own
 * decoder gets the items, and so does a provider that speaks the protocol, but for those that it made and keeps itself.
 */
#include "exchange/exchange_impl.h"

static void not_found(struct exchange *x, struct str id)
{
	struct ir_error e = { .kind = IR_ERR_NOT_FOUND, .retry_after_ms = -1 };

	e.message = arena_printf(x->arena, "Item with id '%.*s' not found.",
				 (int)(id.len < 128 ? id.len : 128), id.ptr);
	e.param = STR("input");
	answer_error(x, &e, "refused");
}

/* The one account that all targets which relay belong to; absent when there are several. */
static struct str relaying_account(const struct exchange *x)
{
	struct str name = STR_NONE;

	for (unsigned i = 0; i < x->route.n_targets; i++) {
		const struct target *t = &x->route.targets[i];

		if (t->relay && str_present(name) && !str_eq(name, t->account->name))
			return STR_NONE;
		if (t->relay)
			name = t->account->name;
	}
	return name;
}

static int with_input(struct exchange *x, struct str input, struct request_peek *ret,
		      struct err *reterr)
{
	const struct turn_member m = { "input", input };
	struct str body = turn_set(x->arena, x->turn.body, &m, 1);

	return str_present(body) ? turns_peek_again(x, body, ret, reterr) : RC_NOMEM;
}

static int put_in(struct exchange *x, const struct turn_resolved *r, struct err *reterr)
{
	int rc = with_input(x, r->ours, &x->peek, reterr);

	x->turn.ask.input = r->ours;
	x->turn.foreign_input = r->foreign;
	if (rc != RC_OK || !turns_some_relay(x))
		return rc;
	x->turn.relay = arena_alloc(x->arena, sizeof(*x->turn.relay));
	return x->turn.relay ? with_input(x, r->foreign, x->turn.relay, reterr) : RC_NOMEM;
}

void items_let_go(struct exchange *x)
{
	while (x->turn.n_held > 0)
		recent_unref(x->turn.held[--x->turn.n_held]);
}

/* Those that this connection remembers, and `more`. */
static struct stored_turn *all_turns(struct exchange *x, const struct stored_turn *more, unsigned n)
{
	struct stored_turn *all = arena_array(x->arena, x->turn.n_held + n + 1, sizeof(*all));

	for (unsigned i = 0; all && i < x->turn.n_held; i++)
		all[i] = recent_turn_text(x->turn.held[i]);
	for (unsigned i = 0; all && i < n; i++)
		all[x->turn.n_held + i] = more[i];
	return all;
}

/* All that can be found was found. */
static enum step_result go_on_with(struct exchange *x, const struct stored_turn *more, unsigned n)
{
	struct stored_turn *turns = all_turns(x, more, n);
	struct turn_resolved r;
	struct err e = { 0 };
	struct ir_error error;
	int rc = turns ? turn_resolve(x->arena, x->turn.ask.input, turns, x->turn.n_held + n,
				      relaying_account(x), &r)
		       : RC_NOMEM;

	if (turns)
		proofs_see_kept(x, turns, x->turn.n_held + n);
	items_let_go(x);
	if (rc == RC_OK && str_present(r.missing) && !turns_may_be_theirs(x)) {
		not_found(x, r.missing);
		return DONE;
	}
	if (rc == RC_OK && str_present(r.missing))
		x->turn.keep = x->turn.remember = false; /* what it means only the provider knows */
	else if (rc == RC_OK)
		rc = put_in(x, &r, &e);
	if (rc == RC_OK)
		return turns_recall_previous(x);
	error = forward_error_of(x, rc, &e);
	answer_error(x, &error, "refused");
	return DONE;
}

static void found(void *user, const struct store_answer *a)
{
	struct exchange *x = user;

	x->turn.call = NULL;
	if (a->rc != RC_OK)
		turns_store_failed(x, a->rc,
				   "The answers that the named items are of are longer than this "
				   "gateway brings back. Send the items themselves.");
	else if (go_on_with(x, a->turns, a->n) == NEXT)
		exchange_go_on(x);
}

/* The turn of this connection that has it, with a reference. */
static struct recent_turn *remembered(struct exchange *x, const struct turn_ref *ref)
{
	struct recent_turn *t = NULL;

	for (unsigned i = 0; i < ref->n && x->out.ws && !t; i++)
		t = recent_find_item(websocket_recent(x->out.ws), ref->ids[i]);
	return t;
}

static void hold(struct exchange *x, struct recent_turn *t)
{
	for (unsigned i = 0; i < x->turn.n_held; i++) {
		if (x->turn.held[i] == t) {
			recent_unref(t);
			return;
		}
	}
	x->turn.held[x->turn.n_held++] = t;
}

enum step_result items_recall(struct exchange *x, const struct turn_refs *refs)
{
	struct store_wish w = { .loop = x->env->loop, .done = found, .user = x };
	struct str *ids = arena_array(x->arena, 3 * (size_t)refs->n, sizeof(*ids));
	unsigned n = 0;

	x->turn.held = arena_array(x->arena, refs->n, sizeof(struct recent_turn *));
	if (!ids || !x->turn.held) {
		turns_refuse(x, IR_ERR_UNAVAILABLE, STR("The gateway is out of memory."));
		return DONE;
	}
	for (unsigned i = 0; i < refs->n; i++) {
		struct recent_turn *t = remembered(x, &refs->refs[i]);

		if (t)
			hold(x, t);
		for (unsigned k = 0; !t && k < refs->refs[i].n; k++)
			ids[n++] = refs->refs[i].ids[k];
	}
	if (n == 0 || !x->env->store)
		return go_on_with(x, NULL, 0);
	if (store_find(x->env->store, turns_owner(x), ids, n, x->snapshot->responses.max_context,
		       &w, &x->turn.call) == RC_OK)
		return WAIT;
	turns_store_failed(x, RC_NOMEM, NULL);
	return DONE;
}
