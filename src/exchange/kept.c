/* exchange/kept.c - answers that were kept: fetched, listed, cancelled and deleted.
 *
 * The hard thing is where an answer is: what is still being made is its job's, and of what its maker left unfinished
 * nobody wrote how it ended.
 */
#include "exchange/exchange_impl.h"

#include "base/clock.h"
#include "json/write.h"
#include "store/store.h"
#include "wire/framer.h"

static void not_found(struct exchange *x)
{
	struct ir_error e = { .kind = IR_ERR_NOT_FOUND, .retry_after_ms = -1 };

	e.message = arena_printf(x->arena, "Response with id '%.*s' not found.",
				 STR_ARG(x->match.line.arg));
	e.param = STR("id");
	answer_error(x, &e, "refused");
}

void turns_answer_json(struct exchange *x, struct str body)
{
	if (str_present(body))
		answer_whole(x, 200, STR("application/json"), body, false, "ok");
	else
		turns_refuse(x, IR_ERR_UNAVAILABLE, STR("The gateway is out of memory."));
}

/* Whoever was making it is gone, and nobody wrote how it ended. */
static struct str lost(struct exchange *x, struct str resource)
{
	static const struct turn_member members[] = {
		{ "status", STR_INIT("\"failed\"") },
		{ "error",
		  STR_INIT("{\"code\":\"server_error\",\"message\":\"The gateway stopped before "
			   "this response was finished.\"}") },
	};

	return turn_set(x->arena, resource, members, 2);
}

static bool wants_stream(struct exchange *x)
{
	return str_eq(query_get(x->arena, x->match.line.query, "stream"), STR("true"));
}

/* The number of the first event that is wanted. False: no number. */
static bool wanted_from(struct exchange *x, uint64_t *ret)
{
	struct str after = query_get(x->arena, x->match.line.query, "starting_after");
	uint64_t n;

	*ret = 0;
	if (!str_present(after))
		return true;
	if (!str_to_u64(after, &n) || n > UINT32_MAX) {
		turns_refuse(x, IR_ERR_INVALID_REQUEST,
			     STR("'starting_after' must be the sequence_number of an event."));
		return false;
	}
	*ret = n + 1;
	return true;
}

static bool is_includable(struct str field)
{
	static const struct str known[] = {
		STR_INIT("file_search_call.results"),
		STR_INIT("web_search_call.results"),
		STR_INIT("web_search_call.action.sources"),
		STR_INIT("message.input_image.image_url"),
		STR_INIT("computer_call_output.output.image_url"),
		STR_INIT("code_interpreter_call.outputs"),
		STR_INIT("reasoning.encrypted_content"),
		STR_INIT("message.output_text.logprobs"),
	};

	for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (str_eq(known[i], field))
			return true;
	return false;
}

static void refuse_include(struct exchange *x, struct str field, unsigned at)
{
	struct ir_error e = { .kind = IR_ERR_INVALID_REQUEST, .retry_after_ms = -1 };

	e.message = arena_printf(
		x->arena,
		"Invalid value: '%.*s'. Supported values are: 'file_search_call.results', "
		"'web_search_call.results', 'web_search_call.action.sources', "
		"'message.input_image.image_url', 'computer_call_output.output.image_url', "
		"'code_interpreter_call.outputs', 'reasoning.encrypted_content', and "
		"'message.output_text.logprobs'.",
		(int)(field.len < 80 ? field.len : 80), field.ptr ? field.ptr : "");
	e.param = arena_printf(x->arena, "include[%u]", at);
	e.code = STR("invalid_value");
	answer_error(x, &e, "refused");
}

/* What may be asked for besides is shown anyway when it was kept. SDKs write the list as include[]=a&include[]=b. False: a value
 * is none of these, and the client has been told. */
static bool include_is_known(struct exchange *x)
{
	struct str rest = x->match.line.query, name, field;

	for (unsigned n = 0; query_next(x->arena, &rest, &name, &field);) {
		if (!str_eq(name, STR("include")) && !str_starts(name, STR("include[")))
			continue;
		if (!is_includable(field)) {
			refuse_include(x, field, n);
			return false;
		}
		n++;
	}
	return true;
}

/* Of the events that were kept, those from number `from` on. */
static void put_events(struct buf *out, struct str events, uint64_t from)
{
	struct framer framer;
	uint64_t number = 0;
	struct frame f;
	size_t n;

	framer_init(&framer, FRAMING_SSE, events.len + 1);
	while (framer_next(&framer, events, &f, &n) == FRAMER_FRAME) {
		number = job_event_number(f.data, number);
		if (number++ >= from)
			buf_put(out, f.raw);
		events = str_from_offset(events, n);
	}
	framer_done(&framer);
}

/* A job that is over, once more. Where its events were lost with their maker, or were too many, it is told how it ended. */
static void replay(struct exchange *x, const struct stored_turn *t, struct str resource)
{
	struct buf out;
	uint64_t from;

	if (!str_eq(turn_get(resource, "background"), STR("true"))) {
		turns_refuse(x, IR_ERR_INVALID_REQUEST,
			     STR("Only a response that was made in the background can be streamed "
				 "again."));
		return;
	}
	if (!wanted_from(x, &from))
		return;
	buf_init(&out, t->events.len + resource.len + 1024);
	if (str_present(t->events))
		put_events(&out, t->events, from);
	else
		job_put_end_event(&out, x->arena, resource, from);
	buf_put(&out, STR("data: [DONE]\n\n"));
	if (buf_ok(&out))
		answer_whole(x, 200, STR("text/event-stream; charset=utf-8"), buf_str(&out), false,
			     "ok");
	else
		turns_refuse(x, IR_ERR_UNAVAILABLE, STR("The gateway is out of memory."));
	buf_done(&out);
}

/* What is still being made is not in the store, or not as it is now. True: answered. */
static bool kept_by_job(struct exchange *x, struct job *j)
{
	uint64_t from;

	switch ((enum kept_op)x->match.line.variant) {
	case KEPT_GET:
		if (!wants_stream(x))
			turns_answer_json(x, job_resource(j, x->arena));
		else if (wanted_from(x, &from))
			background_follow(x, j, from);
		return true;
	case KEPT_CANCEL:
	case KEPT_DELETE:
		job_cancel(j); /* the store is asked behind it */
		return false;
	case KEPT_INPUT:
		return false;
	}
	return false;
}

/* While one gateway takes over from another. */
static void made_elsewhere(struct exchange *x)
{
	struct ir_error e = {
		.kind = IR_ERR_INVALID_REQUEST,
		.status = 409,
		.message = STR("The response is being made by the gateway that this one takes over "
			       "from. Poll it, or stream it when it is finished."),
		.retry_after_ms = -1,
	};

	answer_error(x, &e, "refused");
}

/* The store has answered. False: without what was asked for, and the client has been told. */
static bool found(struct exchange *x, const struct store_answer *a)
{
	x->turn.call = NULL;
	if (a->rc == RC_NOTFOUND)
		not_found(x);
	else if (a->rc != RC_OK)
		turns_store_failed(x, a->rc, NULL);
	return a->rc == RC_OK;
}

static void got(void *user, const struct store_answer *a)
{
	struct exchange *x = user;
	const struct stored_turn *t = a->turns;
	bool streams = x->match.line.variant == KEPT_GET && wants_stream(x);
	struct str resource;

	if (!found(x, a))
		return;
	resource = t->answer;
	if (t->alive_until_s && t->alive_until_s < clock_wall_s())
		resource = lost(x, resource);
	if (!str_present(resource))
		turns_refuse(x, IR_ERR_UNAVAILABLE, STR("The gateway is out of memory."));
	else if (!streams)
		turns_answer_json(x, resource);
	else if (t->alive_until_s >= clock_wall_s())
		made_elsewhere(x);
	else
		replay(x, t, resource);
}

static void removed(void *user, const struct store_answer *a)
{
	struct exchange *x = user;
	struct buf out;
	struct jw w;

	if (!found(x, a))
		return;
	buf_init(&out, 64 * 1024);
	w = jw_on(&out);
	jw_obj(&w);
	jw_kstr(&w, "id", x->match.line.arg);
	jw_kcstr(&w, "object", "response");
	jw_kbool(&w, "deleted", true);
	jw_end_obj(&w);
	turns_answer_json(x, buf_ok(&out) ? buf_str(&out) : STR_NONE);
	buf_done(&out);
}

/* It is there, but not all that it continues. */
static void listed_in_part(void *user, const struct store_answer *a)
{
	struct exchange *x = user;

	if (found(x, a))
		turns_refuse(
			x, IR_ERR_NOT_FOUND,
			STR("What this response continues is not kept here, so its input cannot "
			    "be listed."));
}

static void listed(void *user, const struct store_answer *a)
{
	struct exchange *x = user;
	struct store_wish w = { .loop = x->env->loop, .done = listed_in_part, .user = x };
	struct err e = { 0 };
	struct ir_error error;
	struct buf out;
	int rc;

	if (a->rc == RC_NOTFOUND) {
		x->turn.call = NULL;
		if (store_get(x->env->store, turns_owner(x), x->match.line.arg, &w,
			      &x->turn.call) != RC_OK)
			turns_store_failed(x, RC_NOMEM, NULL);
		return;
	}
	if (!found(x, a))
		return;
	buf_init(&out, 2 * x->snapshot->responses.max_context + 65536);
	rc = turn_page_write(x->arena, &x->turn.page, a->turns, a->n, &out, &e);
	if (rc == RC_OK) {
		turns_answer_json(x, buf_str(&out));
	} else {
		error = forward_error_of(x, rc, &e);
		answer_error(x, &error, "refused");
	}
	buf_done(&out);
}

static int list_items(struct exchange *x, struct str owner, struct err *reterr)
{
	struct store_wish w = { .loop = x->env->loop, .done = listed, .user = x };
	int rc = turn_page_read(x->arena, x->match.line.query, &x->turn.page, reterr);

	if (rc != RC_OK)
		return rc;
	return store_chain(x->env->store, owner, x->match.line.arg,
			   x->snapshot->responses.max_context, &w, &x->turn.call);
}

static void cancelled_elsewhere(void *user, const struct store_answer *a)
{
	struct exchange *x = user;
	struct store_wish w = { .loop = x->env->loop, .done = got, .user = x };

	x->turn.call = NULL;
	if (a->rc == RC_OK)
		turns_answer_json(x, x->turn.cancelled);
	else if (a->rc != RC_NOTFOUND)
		turns_store_failed(x, a->rc, NULL);
	else if (store_get(x->env->store, turns_owner(x), x->match.line.arg, &w, &x->turn.call) !=
		 RC_OK) /* it has ended meanwhile: how, the store knows */
		turns_store_failed(x, RC_NOMEM, NULL);
}

/* What another process makes is ended in the store, where that process looks now and then (job_beat()). */
static void cancel_elsewhere(struct exchange *x, const struct stored_turn *t)
{
	static const struct turn_member cancelled = { "status", STR_INIT("\"cancelled\"") };
	struct store_wish w = { .loop = x->env->loop, .done = cancelled_elsewhere, .user = x };
	struct stored_turn end = *t;

	x->turn.call = NULL;
	end.answer = x->turn.cancelled = turn_set(x->arena, t->answer, &cancelled, 1);
	end.alive_until_s = 0;
	end.ends = true;
	if (!str_present(end.answer) || store_put(x->env->store, &end, &w, &x->turn.call) != RC_OK)
		turns_store_failed(x, RC_NOMEM, NULL);
}

/* Only what runs in the background can be cancelled; what this process makes was, as far as the store takes it (kept_by_job()). */
static void cancel_finished(void *user, const struct store_answer *a)
{
	struct exchange *x = user;

	if (a->rc != RC_OK || !str_eq(turn_get(a->turns->answer, "background"), STR("true"))) {
		if (found(x, a))
			turns_refuse(x, IR_ERR_INVALID_REQUEST,
				     STR("Cannot cancel a response that was not made in the "
					 "background."));
		return;
	}
	if (a->turns->alive_until_s >= clock_wall_s())
		cancel_elsewhere(x, a->turns);
	else
		got(user, a); /* it is over: cancelling again changes nothing */
}

static int start_kept(struct exchange *x, struct err *reterr)
{
	struct str id = x->match.line.arg, owner = turns_owner(x);
	struct store_wish w = { .loop = x->env->loop, .user = x };
	struct store *s = x->env->store;

	switch ((enum kept_op)x->match.line.variant) {
	case KEPT_GET:
		w.done = got;
		return store_get(s, owner, id, &w, &x->turn.call);
	case KEPT_DELETE:
		w.done = removed;
		return store_remove(s, owner, id, &w, &x->turn.call);
	case KEPT_INPUT:
		return list_items(x, owner, reterr);
	case KEPT_CANCEL:
		w.done = cancel_finished;
		return store_get(s, owner, id, &w, &x->turn.call);
	}
	return RC_INVALID;
}

enum step_result kept_answer(struct exchange *x)
{
	struct err e = { 0 };
	struct ir_error error;
	struct job *job;
	int rc;

	if (x->match.line.op != IR_OP_KEPT)
		return NEXT;
	if (!x->env->store) {
		not_found(x);
		return DONE;
	}
	if (!include_is_known(x))
		return DONE;
	job = job_find(x->env->jobs, turns_owner(x), x->match.line.arg);
	if (job && kept_by_job(x, job)) {
		job_unref(job);
		return DONE;
	}
	job_unref(job);
	rc = start_kept(x, &e);
	if (rc == RC_INVALID) {
		error = forward_error_of(x, rc, &e);
		answer_error(x, &error, "refused");
	} else if (rc != RC_OK) {
		turns_store_failed(x, RC_NOMEM, NULL);
	}
	return DONE; /* an answer is out, or comes with the store's */
}
