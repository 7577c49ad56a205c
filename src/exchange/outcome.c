/* exchange/outcome.c - what an attempt came to: for its provider's health, for the log, for the next target and for the client.
 *
 * All failures of an attempt end here, whoever noticed them. The hard thing is whose fault one is: memory of ours that runs out
 * says nothing of the provider, and no other target would do better; the request's own mistakes are the same everywhere.
 */
#include "exchange/exchange_impl.h"

#include "base/log.h"
#include "upstream/health.h"

static const struct {
	const char
		*reason; /* in the log and in the provider's state; NULL: whoever noticed it says */
	const char *end; /* in the access record, when nothing follows */
	bool ours;       /* not the provider's fault, and the same with any other */
	enum ir_error_kind kind;
	const char *words; /* about the provider, or NULL: it said something itself */
} outcomes[] = {
	[OUTCOME_CUT] = { "truncated", "upstream_truncated", false, IR_ERR_UPSTREAM,
			  "ended its answer before it was whole" },
	[OUTCOME_NONSENSE] = { "nonsense", "upstream_error", false, IR_ERR_UPSTREAM,
			       "sent something that is no answer of its protocol" },
	[OUTCOME_NO_BEGINNING] = { "no_beginning", "upstream_error", false, IR_ERR_UPSTREAM,
				   "sent more before its answer than can be held back" },
	[OUTCOME_ERROR_EVENT] = { "error_event", "upstream_error", false, IR_ERR_UPSTREAM, NULL },
	[OUTCOME_ERROR_BODY] = { "error_body", "upstream_error", false, IR_ERR_UPSTREAM, NULL },
	[OUTCOME_NO_ANSWER] = { NULL, "upstream_error", false, IR_ERR_UPSTREAM, NULL },
	[OUTCOME_BROKEN_OFF] = { NULL, "upstream_truncated", false, IR_ERR_UPSTREAM, NULL },
	[OUTCOME_STATUS] = { NULL, "upstream_error", false, IR_ERR_UPSTREAM, NULL },
	[OUTCOME_NO_MEMORY] = { "out_of_memory", "out_of_memory", true, IR_ERR_UNAVAILABLE, NULL },
};

static const struct str no_memory = STR_INIT("The gateway is out of memory for this answer.");

/* --- the provider's health --- */

void outcome_ok(struct exchange *x)
{
	health_ok(x->env->health, x->target->account->name);
}

static void note(struct exchange *x, const char *reason)
{
	health_failed(x->env->health, x->target->account->name, reason);
	log_event(LOG_WARN, "attempt.failed", NULL, LF_STR("id", x->id),
		  LF_STR("provider", x->target->account->name),
		  LF_STR("upstream_model", x->target->model), LF_CSTR("reason", reason));
}

void outcome_note(struct exchange *x, enum outcome o)
{
	note(x, outcomes[o].reason);
}

/* --- the next target, or the client --- */

/* Before the commit another target may follow, where that is of use. */
static void settle_failure(struct exchange *x, enum outcome o, const struct ir_error *e,
			   const char *reason)
{
	if (!outcomes[o].ours)
		note(x, reason);
	if (x->committed || outcomes[o].ours)
		answer_error(x, e, outcomes[o].end);
	else
		forward_failed(x, e, outcomes[o].end);
}

void outcome_error(struct exchange *x, enum outcome o, const struct ir_error *e)
{
	if (proofs_again(x, e))
		return;
	settle_failure(x, o, e, outcomes[o].reason);
}

static struct ir_error about_provider(struct exchange *x, enum ir_error_kind kind,
				      const char *words)
{
	return (struct ir_error){
		.kind = kind,
		.message = arena_printf(x->arena, "Provider \"%.*s\" %s.",
					STR_ARG(x->target->account->name), words),
		.retry_after_ms = -1,
	};
}

void outcome_failed(struct exchange *x, enum outcome o, const char *why)
{
	struct ir_error e = { .kind = outcomes[o].kind,
			      .message = no_memory,
			      .retry_after_ms = -1 };

	if (outcomes[o].words)
		e = about_provider(x, outcomes[o].kind, outcomes[o].words);
	if (why && *why)
		e.message = arena_printf(x->arena, "%.*s (%s)", STR_ARG(e.message), why);
	outcome_error(x, o, &e);
}

void outcome_attempt(struct exchange *x, const struct attempt_fail *f)
{
	bool ours = f->kind == ATTEMPT_NOMEM ||
		    (f->kind == ATTEMPT_TRANSPORT && f->http == HTTP_FAIL_NOMEM);
	enum outcome o = ours           ? OUTCOME_NO_MEMORY
			 : x->committed ? OUTCOME_BROKEN_OFF
					: OUTCOME_NO_ANSWER;
	struct ir_error e = f->error;

	e.message = arena_dup(x->arena, e.message);
	if (!str_present(e.message))
		e.message = no_memory;
	settle_failure(x, o, &e, f->name);
}

/* --- statuses other than 2xx --- */

/* May another target do better? The request's own mistakes are the same everywhere. */
static bool worth_another(int status)
{
	return status < 400 || status == 401 || status == 402 || status == 403 || status == 404 ||
	       status == 408 || status == 409 || status == 429 || status >= 500;
}

static const char *status_reason(int status)
{
	switch (status) {
	case 401:
		return "status_401";
	case 403:
		return "status_403";
	case 404:
		return "status_404";
	case 408:
		return "status_408";
	case 429:
		return "status_429";
	case 500:
		return "status_500";
	case 502:
		return "status_502";
	case 503:
		return "status_503";
	case 504:
		return "status_504";
	case 529:
		return "status_529";
	default:
		return status >= 500 ? "status_5xx" : status >= 400 ? "status_4xx" : "status_3xx";
	}
}

/* The account's own trouble is not the client's: its key is ours, and a redirect is never followed (traps 108, R12). */
static struct ir_error own_trouble(struct exchange *x, int status)
{
	if (status < 400)
		return about_provider(
			x, IR_ERR_UPSTREAM,
			"answered with a redirect, which is never followed; check its base_url");
	return about_provider(
		x, IR_ERR_UPSTREAM,
		"refused the gateway's own credential; its operator has to check the api_key");
}

void outcome_status(struct exchange *x, int status, struct str body)
{
	const struct attempt_fields *f = attempt_fields(x->attempt);
	struct ir_error e = { .status = status, .retry_after_ms = -1 };
	bool native = x->target->protocol->decode_error(x->arena, status, body, &e);
	/* Google says 400 to a bad key. */
	bool ours =
		status < 400 || status == 401 || status == 403 || e.kind == IR_ERR_AUTHENTICATION;
	bool last = x->next_target >= x->route.n_targets;

	if (count_refused(x, status, &e, native) || proofs_again(x, &e))
		return;
	if (ours)
		e = own_trouble(x, status);
	else if (f->retry_after_ms >= 0)
		e.retry_after_ms = f->retry_after_ms;
	if (ours || worth_another(status)) {
		if (!last || ours || x->head_sent) {
			settle_failure(x, OUTCOME_STATUS, &e, status_reason(status));
			return;
		}
		note(x, status_reason(status));
	} else {
		outcome_ok(x);
	}
	/* Our own engine is no vendor whose words clients know: its errors are put into the dialect. */
	if (x->relay && native && !ours && !x->head_sent && !x->target->account->local)
		answer_whole(x, status, f->content_type, body, true, outcomes[OUTCOME_STATUS].end);
	else
		answer_error(x, &e, outcomes[OUTCOME_STATUS].end);
}
