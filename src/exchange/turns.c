/* exchange/turns.c - answers that outlive their exchange: kept, and continued. (What else is asked of them: kept.c.)
 *
 * The gateway keeps turns itself, whoever the upstream is: so a conversation goes on when the next turn goes to another
 * provider. What a request continues is put into its body before a target is asked, and its previous_response_id is taken
 * out; from there on the request is like any other. The answer is taken from the client's own bytes, so that what is
 * fetched later is what was sent.
 *
 * The hard thing is whose an id is. Only what was kept here for this caller counts. An id that nobody kept here may be the
 * provider's; it is passed on only where it cannot be another caller's (see turns_may_be_theirs()).
 */
#include "exchange/exchange_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "json/scan.h"
#include "store/store.h"
#include "wire/framer.h"

struct str turns_owner(const struct exchange *x)
{
	return x->principal.key ? x->principal.key->name : STR("");
}

static struct ir_error error_of(enum ir_error_kind kind, struct str message)
{
	return (struct ir_error){ .kind = kind, .message = message, .retry_after_ms = -1 };
}

void turns_refuse(struct exchange *x, enum ir_error_kind kind, struct str message)
{
	struct ir_error e = error_of(kind, message);

	answer_error(x, &e, "refused");
}

void turns_store_failed(struct exchange *x, int rc, const char *too_big)
{
	if (rc == RC_TOOBIG && too_big)
		turns_refuse(x, IR_ERR_TOO_LARGE, str_from(too_big));
	else
		turns_refuse(x, IR_ERR_UNAVAILABLE,
			     STR("The gateway cannot reach what it has kept. Try again later."));
}

void turns_cancel(struct exchange *x)
{
	x->turn.before = recent_unref(x->turn.before);
	items_let_go(x);
	if (x->turn.call)
		store_cancel(x->turn.call);
	x->turn.call = NULL;
}

/* --- what a request continues --- */

static void previous_not_found(struct exchange *x)
{
	/* 404 by HTTP; on a WebSocket the specification has a 400. */
	struct ir_error e =
		error_of(x->out.ws ? IR_ERR_INVALID_REQUEST : IR_ERR_NOT_FOUND, STR_NONE);

	e.message = arena_printf(x->arena, "Previous response with id '%.*s' not found.",
				 STR_ARG(x->turn.ask.previous));
	e.code = STR("previous_response_not_found");
	e.param = STR("previous_response_id");
	answer_error(x, &e, "refused");
}

/* An id that was not kept here can only be the provider's own, when that speaks the protocol and is the only target. The
 * account is shared by all callers, so with several keys nobody could say whose it is. */
bool turns_may_be_theirs(const struct exchange *x)
{
	return x->route.n_targets == 1 && x->route.targets[0].relay && x->snapshot->n_keys <= 1 &&
	       !x->turn.ask.background;
}

int turns_peek_again(struct exchange *x, struct str body, struct request_peek *ret,
		     struct err *reterr)
{
	*ret = (struct request_peek){ .body = body };
	return x->match.protocol->peek(x->arena, &x->match.line, body, ret, reterr);
}

bool turns_some_relay(const struct exchange *x)
{
	for (unsigned i = 0; i < x->route.n_targets; i++) {
		if (x->route.targets[i].relay)
			return true;
	}
	return false;
}

/* The request with all it continues, for one kind of reader. */
static int expand(struct exchange *x, const struct store_answer *a, enum turn_reader reader,
		  struct request_peek *ret, struct err *reterr)
{
	struct turn_ask ask = x->turn.ask;
	struct str body = STR_NONE;
	struct buf out;
	int rc;

	if (reader == TURN_FOREIGN && str_present(x->turn.foreign_input))
		ask.input = x->turn.foreign_input;
	buf_init(&out, x->snapshot->max_body + 2 * x->snapshot->responses.max_context + 65536);
	rc = turn_expand(x->arena, x->turn.body, &ask, a->turns, a->n, reader, &out, reterr);
	if (rc == RC_OK)
		body = arena_dup(x->arena, buf_str(&out));
	buf_done(&out);
	if (rc != RC_OK)
		return rc;
	return str_present(body) ? turns_peek_again(x, body, ret, reterr) : RC_NOMEM;
}

static int expand_all(struct exchange *x, const struct store_answer *a, struct err *reterr)
{
	int rc;

	/* A target that could relay may be translated for after all (forward.c), so there is always one for our decoder. */
	rc = expand(x, a, TURN_OURS, &x->peek, reterr);
	if (rc != RC_OK || !turns_some_relay(x))
		return rc;
	x->turn.relay = arena_alloc(x->arena, sizeof(*x->turn.relay));
	return x->turn.relay ? expand(x, a, TURN_FOREIGN, x->turn.relay, reterr) : RC_NOMEM;
}

/* Items of ours that stand for a longer conversation are for no other's eyes. */
static int open_one(struct exchange *x, struct request_peek *peek, struct err *reterr)
{
	struct str body;

	if (!peek->carriers)
		return RC_OK;
	body = turn_open_summaries(x->arena, peek->body);
	if (!str_present(body))
		return RC_NOMEM;
	return body.ptr == peek->body.ptr ? RC_OK : turns_peek_again(x, body, peek, reterr);
}

static int open_summaries(struct exchange *x, struct err *reterr)
{
	int rc = open_one(x, &x->peek, reterr);

	return rc == RC_OK && x->turn.relay ? open_one(x, x->turn.relay, reterr) : rc;
}

static void recalled(void *user, const struct store_answer *a)
{
	struct exchange *x = user;
	struct err e = { 0 };
	struct ir_error error;
	int rc;

	x->turn.call = NULL;
	if (a->rc == RC_NOTFOUND && turns_may_be_theirs(x)) {
		x->turn.keep = x->turn.remember =
			false; /* its beginning is not ours to bring back */
		exchange_go_on(x);
		return;
	}
	if (a->rc == RC_NOTFOUND) {
		previous_not_found(x);
		return;
	}
	if (a->rc != RC_OK) {
		turns_store_failed(
			x, a->rc,
			"The conversation that previous_response_id names is longer than "
			"this gateway brings back. Send what matters of it as input.");
		return;
	}
	if (a->turns[a->n - 1].alive_until_s >= clock_wall_s()) {
		turns_refuse(
			x, IR_ERR_INVALID_REQUEST,
			STR("The response that previous_response_id names is still being made."));
		return;
	}
	proofs_see_kept(x, a->turns, a->n);
	rc = expand_all(x, a, &e);
	if (rc == RC_OK && x->turn.remember && !x->turn.before) {
		x->turn.before = recent_turns_new(websocket_recent(x->out.ws), a->turns, a->n);
		rc = x->turn.before ? RC_OK : RC_NOMEM;
	}
	if (rc != RC_OK) {
		error = forward_error_of(x, rc, &e);
		answer_error(x, &error, "refused");
		return;
	}
	x->turn.recalled = true;
	rc = open_summaries(x, &e);
	if (rc == RC_OK) {
		exchange_go_on(x);
		return;
	}
	error = forward_error_of(x, rc, &e);
	answer_error(x, &error, "refused");
}

/* Measured as the store does. */
static bool is_too_long(const struct exchange *x, const struct stored_turn *turns, unsigned n)
{
	size_t left = x->snapshot->responses.max_context;

	for (unsigned i = 0; i < n; i++) {
		size_t bytes = turns[i].answer.len + turns[i].input.len;

		if (bytes > left)
			return true;
		left -= bytes;
	}
	return false;
}

/* On a WebSocket what was said there last needs no store. False: it is not known there. */
static bool ask_recent(struct exchange *x)
{
	struct store_answer a = { .rc = RC_OK };

	if (!x->out.ws)
		return false;
	x->turn.before = recent_find(websocket_recent(x->out.ws), x->turn.ask.previous);
	if (!x->turn.before)
		return false;
	a.turns = recent_chain(x->turn.before, x->arena, &a.n);
	if (!a.turns)
		a.rc = RC_NOMEM;
	else if (is_too_long(x, a.turns, a.n))
		a.rc = RC_TOOBIG;
	recalled(x, &a);
	return true;
}

static enum step_result ask_store(struct exchange *x)
{
	struct store_wish w = { .loop = x->env->loop, .done = recalled, .user = x };

	if (store_chain(x->env->store, turns_owner(x), x->turn.ask.previous,
			x->snapshot->responses.max_context, &w, &x->turn.call) == RC_OK)
		return WAIT;
	turns_store_failed(x, RC_NOMEM, NULL);
	return DONE;
}

/* It continues nothing that was kept; a summary may stand in it all the same. */
static enum step_result alone(struct exchange *x)
{
	struct err e = { 0 };
	struct ir_error error;
	int rc = open_summaries(x, &e);

	if (rc == RC_OK)
		return NEXT;
	error = forward_error_of(x, rc, &e);
	answer_error(x, &error, "refused");
	return DONE;
}

enum step_result turns_recall_previous(struct exchange *x)
{
	if (!str_present(x->turn.ask.previous))
		return alone(x);
	if (ask_recent(x))
		return DONE;                   /* it went on from there */
	if (x->out.ws && !x->turn.ask.store) { /* it has no other place to be */
		previous_not_found(x);
		return DONE;
	}
	if (x->env->store)
		return ask_store(x);
	if (turns_may_be_theirs(x)) {
		x->turn.remember = false; /* its beginning is not ours to bring back */
		return NEXT;
	}
	previous_not_found(x);
	return DONE;
}

/* A conversation is the provider's, and not known here: what continues such an answer is the provider's to answer. */
static enum step_result check_conversation(struct exchange *x)
{
	struct ir_error e = error_of(IR_ERR_NOT_FOUND, STR_NONE);
	struct str id = x->turn.ask.conversation;

	if (!str_present(id))
		return NEXT;
	x->turn.remember = false;
	if (x->snapshot->n_keys <= 1 || !turns_some_relay(x))
		return NEXT;
	e.message =
		arena_printf(x->arena,
			     "Conversation with id '%.*s' not found: it would be the provider's, "
			     "whose account several gateway keys share.",
			     (int)(id.len < 128 ? id.len : 128), id.ptr);
	e.param = STR("conversation");
	answer_error(x, &e, "refused");
	return DONE;
}

enum step_result turns_recall(struct exchange *x)
{
	struct turn_refs refs;
	struct err e = { 0 };
	struct ir_error error;
	int rc;

	if (!x->match.protocol->keeps_turns || x->turn.known)
		return NEXT;
	x->turn.known = true;
	x->turn.body = x->peek.body;
	rc = turn_ask_read(x->arena, x->peek.turn_at, &x->turn.ask, &e);
	if (rc != RC_OK) {
		error = forward_error_of(x, rc, &e);
		answer_error(x, &error, "refused");
		return DONE;
	}
	x->turn.keep = x->match.line.op == IR_OP_GENERATE && x->turn.ask.store &&
		       x->snapshot->responses.store && x->env->store;
	x->turn.remember = x->match.line.op == IR_OP_GENERATE && x->out.ws;
	if (check_conversation(x) == DONE)
		return DONE;
	rc = turn_references(x->arena, x->turn.ask.input, &refs, &e);
	if (rc != RC_OK) {
		error = forward_error_of(x, rc, &e);
		answer_error(x, &error, "refused");
		return DONE;
	}
	return refs.n ? items_recall(x, &refs) : turns_recall_previous(x);
}

const struct request_peek *turns_relay_peek(const struct exchange *x)
{
	return x->turn.relay ? x->turn.relay : &x->peek;
}

const struct ir_request *turns_asked(struct exchange *x)
{
	struct ir_request *plain;

	if (!x->match.protocol->keeps_turns)
		return x->ir;
	plain = arena_alloc(x->arena, sizeof(*plain));
	if (!plain)
		return NULL;
	/* What the gateway does itself is not asked of the target, and so not lost there either. */
	*plain = *x->ir;
	plain->previous_response_id = STR_NONE;
	plain->background = IR_TRI_UNSET;
	plain->store = IR_TRI_UNSET;
	if (x->turn.recalled) /* for the answer, which repeats what the client asked */
		x->ir->previous_response_id = x->turn.ask.previous;
	return plain;
}

/* The provider was asked something else than the client asked us, and its answer repeats what it was asked. */
static struct str rewrite_resource(struct exchange *x, struct arena *a, struct str resource)
{
	struct turn_member m[4];
	unsigned n = 0;

	if (x->turn.recalled)
		m[n++] = (struct turn_member){ "previous_response_id",
					       arena_printf(a, "\"%.*s\"",
							    STR_ARG(x->turn.ask.previous)) };
	if (x->out.job) {
		m[n++] = (struct turn_member){ "id", arena_printf(a, "\"%.*s\"",
								  STR_ARG(x->response_id)) };
		m[n++] = (struct turn_member){ "background", STR("true") };
		m[n++] = (struct turn_member){ "store", STR("true") };
	}
	return turn_set(a, resource, m, n);
}

struct str turns_rewrite(struct exchange *x, struct arena *a, const struct frame *f)
{
	struct turn_member response = { .key = "response" };
	struct str data;

	if ((!x->turn.recalled && !x->out.job) || !str_starts(f->name, STR("response.")) ||
	    str_find(str_from_offset(f->name, 9), STR(".")) >= 0)
		return STR_NONE; /* only the lifecycle's events carry the resource */
	response.with = turn_get(f->data, "response");
	if (!str_present(response.with))
		return STR_NONE;
	response.with = rewrite_resource(x, a, response.with);
	data = str_present(response.with) ? turn_set(a, f->data, &response, 1) : STR_NONE;
	return str_present(data) ? arena_printf(a, "event: %.*s\ndata: %.*s\n\n", STR_ARG(f->name),
						STR_ARG(data))
				 : STR_NONE;
}

struct str turns_rewrite_body(struct exchange *x, struct arena *a, struct str body)
{
	return x->turn.recalled && x->match.line.op == IR_OP_GENERATE ? rewrite_resource(x, a, body)
								      : STR_NONE;
}

/* --- keeping an answer --- */

/* An answer in the provider's conversation continues what nobody has here, so that nobody continues it here without that. */
static struct str previous_of(const struct exchange *x)
{
	return x->turn.recalled ? x->turn.ask.previous : x->turn.ask.conversation;
}

struct stored_turn turns_turn(struct exchange *x, struct str id, struct str resource)
{
	int64_t now = clock_wall_s();

	return (struct stored_turn){
		.id = id,
		.owner = turns_owner(x),
		.previous = previous_of(x),
		.created_s = now,
		.expires_s = now + (int64_t)(x->snapshot->responses.retention_ms / 1000),
		.maker = x->relay && x->target && !x->out.job ? x->target->account->name : STR_NONE,
		.answer = resource,
		.input = str_present(x->turn.ask.input) ? x->turn.ask.input : STR("[]"),
	};
}

static void put(struct exchange *x, struct str resource)
{
	struct str id = json_unquote(x->arena, turn_get(resource, "id"));
	struct stored_turn t = turns_turn(x, id, resource);

	if (!t.id.len || store_put(x->env->store, &t, NULL, NULL) != RC_OK)
		log_event(LOG_WARN, "response.not_kept", NULL, LF_STR("id", x->id));
}

static void remember(struct exchange *x, struct str resource)
{
	struct recent *r = websocket_recent(x->out.ws);
	struct stored_turn t =
		turns_turn(x, json_unquote(x->arena, turn_get(resource, "id")), resource);
	struct recent_turn *made;

	if (!x->turn.ask.store) /* then its maker did not keep it either */
		t.maker = STR_NONE;
	made = t.id.len ? recent_turn_new(r, x->turn.before, &t) : NULL;
	if (made)
		websocket_show(x->out.ws, made);
	recent_unref(made);
}

static bool is_wanted(const struct exchange *x)
{
	return x->turn.keep || x->turn.remember;
}

/* It stands in the queue before the client has the last byte: what the client asks next comes behind it. */
void turns_keep_body(struct exchange *x, struct str body)
{
	if (x->match.line.op != IR_OP_GENERATE)
		return;
	if (x->turn.remember)
		remember(x, body);
	if (x->turn.keep)
		put(x, body);
	x->turn.remember = x->turn.keep = false;
}

static bool is_end(struct str type)
{
	return str_eq(type, STR("response.completed")) || str_eq(type, STR("response.incomplete"));
}

void turns_keep_frame(struct exchange *x, const struct frame *f)
{
	struct str resource;

	if (!is_wanted(x) || !is_end(f->name))
		return;
	resource = turn_get(f->data, "response");
	if (str_present(resource))
		turns_keep_body(x, resource);
}

void turns_keep_frames(struct exchange *x, struct str bytes)
{
	struct framer framer;
	struct frame f;
	size_t n;

	if (!is_wanted(x))
		return;
	framer_init(&framer, FRAMING_SSE, bytes.len + 1);
	while (framer_next(&framer, bytes, &f, &n) == FRAMER_FRAME) {
		turns_keep_frame(x, &f);
		bytes = str_from_offset(bytes, n);
	}
	framer_done(&framer);
}
