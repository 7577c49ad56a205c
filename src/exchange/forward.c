/* exchange/forward.c - the targets of an exchange, one attempt after another.
 *
 * A target is tried once, in the order that routing gave. Another may follow only while nothing of an answer
 * has been committed to the client; the decision who may follow is taken here, the commit in pump.c. What a target takes in parts
 * only (embed.c, prompts.c) is one attempt after another at it.
 */
#include "exchange/exchange_impl.h"

#include "upstream/health.h"

/* --- the body for one target --- */

static unsigned quirks_of(const struct target *t)
{
	return t->account->quirks;
}

/* Relay unless the target cannot do as it is told in its own protocol, or would answer again what has its answer. */
static bool may_relay(const struct exchange *x, const struct target *t)
{
	unsigned quirks = quirks_of(t);

	if (!t->relay || x->prompts.done > 0 ||
	    (x->peek.forces_tool && (quirks & QUIRK_FORCED_TOOL_AS_SCHEMA)))
		return false;
	return x->match.line.op != IR_OP_GENERATE || !t->protocol->needs_encoder ||
	       !t->protocol->needs_encoder(&x->peek, quirks);
}

static struct model_wants wants_of(const struct target *t)
{
	const struct provider *kind = t->account->kind;

	return kind->wants ? kind->wants(t->model) : (struct model_wants){ 0 };
}

struct request_target forward_target(struct exchange *x, const struct target *t)
{
	struct model_wants wants = wants_of(t);
	struct request_target rt = {
		.model = t->model,
		.quirks = quirks_of(t),
		.minter = t->account->minter,
		.proofs = &x->proofs.base,
		.default_max_tokens = x->snapshot->default_max_tokens,
		.adaptive_thinking = wants.adaptive_thinking,
		.never_thinks = wants.never_thinks,
		.sampling = wants.sampling,
	};

	if (rt.default_max_tokens <= 0)
		rt.default_max_tokens = wants.max_output;
	if (rt.default_max_tokens <= 0)
		rt.default_max_tokens = 4096;
	memcpy(rt.budget, x->snapshot->budget, sizeof(rt.budget));
	return rt;
}

bool forward_keeps(const struct exchange *x, const struct target *t, int64_t *ret_ms)
{
	int64_t longest = t->local ? (int64_t)t->local->keep_alive_max_ms : 0;

	*ret_ms = x->peek.keep_alive_ms;
	if (longest && (*ret_ms < 0 || *ret_ms > longest))
		*ret_ms = longest;
	return x->peek.keeps && t->local && t->local->keep_alive;
}

int forward_check_losses(struct exchange *x, const struct target *t, struct err *reterr)
{
	int64_t ignored;

	if (x->losses.failed)
		return RC_NOMEM;
	if (forward_keeps(x, t, &ignored))
		ir_losses_forget(&x->losses, STR("keep_alive"));
	if (!x->strict || x->losses.n == 0)
		return RC_OK;
	return err_set(reterr, RC_UNSUPPORTED,
		       "Provider \"%.*s\" cannot take: %.*s. Leave them out, or do not ask "
		       "to be strict.",
		       STR_ARG(t->account->name), STR_ARG(ir_losses_text(&x->losses)));
}

bool forward_cuts_stops(const struct ir_request *r, const struct target *t)
{
	const struct protocol *p = t->protocol;
	unsigned n = ir_stop_cut_count(r);

	return n > 0 && (p->cannot_stop || (p->max_stops > 0 && n > p->max_stops) ||
			 ir_refuses_sampling(wants_of(t).sampling, r));
}

/* What no encoder has to know: the gateway's own limits. */
static int check_limits(const struct ir_request *r, const struct target *t, struct err *reterr)
{
	if (r->n > IR_CHOICES_MAX)
		return err_param(reterr, RC_UNSUPPORTED, "n",
				 "answers of this provider are translated; ask for %d at most",
				 IR_CHOICES_MAX);
	if (forward_cuts_stops(r, t) && ir_stop_cut_count(r) > IR_STOP_CUT_MAX)
		return err_param(reterr, RC_UNSUPPORTED, "stop",
				 "%d stop sequences are the most this model's answers are "
				 "searched for",
				 IR_STOP_CUT_MAX);
	return RC_OK;
}

bool forward_asks_usage(const struct exchange *x, const struct target *t)
{
	return x->peek.stream && !x->peek.include_usage &&
	       !(quirks_of(t) & QUIRK_NO_STREAM_OPTIONS);
}

int forward_patch_body(struct exchange *x, const struct target *t, struct buf *out,
		       struct err *reterr)
{
	struct patch_options o = {
		.model = t->model,
		.quirks = quirks_of(t),
		.strip_provider = str_present(x->peek.provider_pin),
		.ask_usage = forward_asks_usage(x, t),
		.losses = &x->losses,
		.proofs = &x->proofs.base,
	};
	int rc = t->protocol->patch(x->arena, turns_relay_peek(x), &o, out);

	return rc == RC_OK ? forward_check_losses(x, t, reterr) : rc;
}

int forward_read_request(struct exchange *x, struct err *reterr)
{
	const struct protocol *p = x->match.protocol;
	int rc;

	if (x->ir)
		return RC_OK;
	rc = p->decode_request(x->arena, &x->match.line, x->peek.body, &x->ir, reterr);
	if (rc == RC_OK && x->match.line.op == IR_OP_GENERATE && p->check_generate)
		rc = p->check_generate(x->ir, reterr);
	return rc;
}

int forward_translate_body(struct exchange *x, const struct target *t, struct buf *out,
			   struct err *reterr)
{
	struct request_target rt = forward_target(x, t);
	const struct ir_request *r;
	struct ir_request one, forced, plain;
	int rc = forward_read_request(x, reterr);

	if (rc != RC_OK)
		return rc;
	r = turns_asked(x);
	if (!r)
		return RC_NOMEM;
	prompts_ask(x, &r, &one);
	x->forced = ir_forces_tool(r) && (rt.quirks & QUIRK_FORCED_TOOL_AS_SCHEMA);
	if (x->forced) {
		rc = ir_forced_tool_request(x->arena, r, &forced, reterr);
		if (rc != RC_OK)
			return rc;
		r = &forced;
	}
	rc = check_limits(r, t, reterr);
	if (rc != RC_OK)
		return rc;
	if (ir_refuses_sampling(rt.sampling, r)) {
		ir_without_sampling(r, &plain, &x->losses);
		r = &plain;
	}
	rc = t->protocol->encode_request(x->arena, r, &rt, out, &x->losses, reterr);
	ir_lose_unknown(&x->losses, r);
	return rc == RC_OK ? forward_check_losses(x, t, reterr) : rc;
}

/* --- one attempt --- */

struct ir_error forward_error_of(struct exchange *x, int rc, const struct err *e)
{
	struct ir_error error = { .kind = IR_ERR_INVALID_REQUEST, .retry_after_ms = -1 };

	if (rc == RC_NOMEM || rc == RC_TOOBIG) {
		error.kind = rc == RC_NOMEM ? IR_ERR_UNAVAILABLE : IR_ERR_TOO_LARGE;
		error.message = rc == RC_NOMEM
					? STR("The gateway is out of memory for this request.")
					: STR("The request is too large to be translated.");
		return error;
	}
	error.message = arena_dup(x->arena, str_from(e->msg));
	if (e->param[0])
		error.param = arena_dup(x->arena, str_from(e->param));
	return error;
}

/* What targets before lost counts as far as their answers to earlier prompts do. */
static void forget_losses(struct exchange *x)
{
	if (x->prompts.done > 0) {
		x->losses.n = x->prompts.n_losses;
		return;
	}
	ir_losses_init(&x->losses, x->arena);
	x->losses_told = 0;
}

/* The body that goes up, and what of the request it leaves out. The caller ends `out`, whatever comes. */
static int make_body(struct exchange *x, const struct target *t, struct buf *out,
		     struct err *reterr)
{
	int rc;

	x->proofs.n_dropped = 0;
	buf_init(out, 2 * x->snapshot->max_body + 65536);
	if (!t->protocol)
		return err_set(reterr, RC_UNSUPPORTED, "Provider \"%.*s\" has no such operation.",
			       STR_ARG(t->account->name));
	if (x->match.line.op == IR_OP_COUNT_TOKENS)
		rc = count_body(x, t, out, reterr);
	else if (x->relay)
		rc = forward_patch_body(x, t, out, reterr);
	else if (x->match.line.op == IR_OP_EMBED)
		rc = embed_translate_body(x, t, out, reterr);
	else
		rc = forward_translate_body(x, t, out, reterr);
	if (rc == RC_OK && !buf_ok(out))
		rc = out->over ? RC_TOOBIG : RC_NOMEM;
	return rc;
}

/* Takes the body, also when it fails. */
static int ask(struct exchange *x, const struct target *t, struct buf body, struct err *reterr)
{
	struct attempt_options o = {
		.loop = x->env->loop,
		.client = x->env->client,
		.engine = x->env->engine,
		.snapshot = x->snapshot,
		.account = t->account,
		.model = t->model,
		.protocol = t->protocol,
		.op = x->match.line.op,
		.stream = x->peek.stream,
		.relay = x->relay,
		.framing = x->relay ? x->peek.framing : t->protocol->framing,
		.client_head = x->head,
		.budget = arena_budget_of(x->arena),
		.body = body,
	};

	o.keeps = forward_keeps(x, t, &o.keep_alive_ms);
	x->attempt = attempt_start(&o, &pump_events, x, reterr);
	if (x->attempt && x->paused)
		attempt_pause(x->attempt); /* the client still has enough of what came before */
	return x->attempt ? RC_OK : reterr->code;
}

static int start(struct exchange *x, const struct target *t, struct err *reterr)
{
	struct buf body;
	int rc = make_body(x, t, &body, reterr);

	if (rc == RC_OK)
		return ask(x, t, body, reterr);
	buf_done(&body);
	return rc;
}

void forward_next(struct exchange *x)
{
	while (x->next_target < x->route.n_targets) {
		const struct target *t = &x->route.targets[x->next_target++];
		struct err e = { 0 };
		int rc;

		x->target = t;
		x->relay = may_relay(x, t);
		x->forced = x->reformed = x->prompts.apart = false;
		x->embedded = (struct embedded){ 0 };
		forget_losses(x);
		proofs_begin(x);
		x->last_sent_ms = loop_now_ms(x->env->loop);
		if (count_is_ours(x, t)) {
			rc = count_tokens(x, t, &e);
		} else {
			x->record.attempts++;
			rc = start(x, t, &e);
		}
		if (rc == RC_OK)
			return;
		/* Why a target failed says more than that the next cannot take the request. */
		if (!x->last_end)
			x->last_error = forward_error_of(x, rc, &e);
	}
	answer_error(x, &x->last_error, x->last_end ? x->last_end : "refused");
}

/* What became of asking the current target once more. */
static void asked_again(struct exchange *x, int rc, const struct err *e)
{
	if (rc == RC_OK)
		return;
	x->last_error = forward_error_of(x, rc, e);
	answer_error(x, &x->last_error, "refused");
}

static void end_attempt(struct exchange *x)
{
	if (x->attempt)
		attempt_cancel(x->attempt);
	x->attempt = NULL;
	pump_done(&x->pump);
}

void forward_again(struct exchange *x)
{
	struct err e = { 0 };

	attempt_detach(x->attempt, &x->env->detached);
	x->attempt = NULL;
	pump_done(&x->pump);
	asked_again(x, start(x, x->target, &e), &e);
}

bool forward_without_proofs(struct exchange *x)
{
	unsigned refused = x->proofs.n_dropped;
	struct err e = { 0 };
	struct buf body = { 0 };
	int rc = RC_OK;
	bool fewer = false;

	while (x->proofs.let_through < PROOFS_NONE && rc == RC_OK && !fewer) {
		x->proofs.let_through++;
		forget_losses(x);
		rc = make_body(x, x->target, &body, &e);
		fewer = x->proofs.n_dropped > refused;
		if (rc != RC_OK || !fewer)
			buf_done(&body);
	}
	if (rc == RC_OK && !fewer)
		return false;
	end_attempt(x);
	x->record.attempts++;
	asked_again(x, rc == RC_OK ? ask(x, x->target, body, &e) : rc, &e);
	return true;
}

/* Longer-lived copy: the attempt's arena ends before the exchange does. */
static struct ir_error keep_error(struct exchange *x, const struct ir_error *e)
{
	struct ir_error copy = *e;

	copy.message = arena_dup(x->arena, e->message);
	copy.code = arena_dup(x->arena, e->code);
	copy.param = arena_dup(x->arena, e->param);
	copy.type = arena_dup(x->arena, e->type);
	return copy;
}

void forward_failed(struct exchange *x, const struct ir_error *e, const char *end)
{
	x->last_error = keep_error(x, e);
	x->last_end = end;
	if (x->next_target >= x->route.n_targets) {
		answer_error(x, &x->last_error, end);
		return;
	}
	end_attempt(x);
	forward_next(x);
}
