/* exchange/exchange.c - the path of one request, as a table of steps.
 *
 * Read `steps` first: it is the path. Each step returns NEXT (go on), WAIT (a callback will go on) or DONE (the
 * answer is out, the exchange may be gone). The hard thing is the end: it may come from the client, the upstream or
 * a step, at any moment, so all ways out meet in exchange_over(), and nobody touches `x` after a step said DONE.
 */
#include "exchange/exchange_impl.h"

#include "base/clock.h"
#include "base/id.h"
#include "protocols/glance.h"
#include "wire/websocket.h"

enum { KEEPALIVE_TICK_MS = 500, RESPONSE_ID_LEN = 24 };

struct step {
	const char *name;
	enum step_result (*run)(struct exchange *x);
};

/* --- the steps --- */

static enum step_result refuse(struct exchange *x, enum ir_error_kind kind, struct str message)
{
	answer_error(x,
		     &(struct ir_error){ .kind = kind, .message = message, .retry_after_ms = -1 },
		     "refused");
	return DONE;
}

static enum step_result out_of_memory(struct exchange *x)
{
	return refuse(x, IR_ERR_UNAVAILABLE,
		      STR("The gateway is out of memory for this request. Try again later."));
}

static enum step_result refuse_body(struct exchange *x, int rc, const struct err *e)
{
	struct ir_error error = { .kind = IR_ERR_INVALID_REQUEST, .retry_after_ms = -1 };

	if (rc == RC_NOMEM)
		return out_of_memory(x);
	error.message = arena_dup(x->arena, str_from(e->msg));
	if (e->param[0])
		error.param = arena_dup(x->arena, str_from(e->param));
	answer_error(x, &error, "refused");
	return DONE;
}

/* A caller's own id is kept when it can stand in a log line and a field as it is. */
static bool sane_id(struct str id)
{
	if (id.len == 0 || id.len > 128)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		unsigned char c = (unsigned char)id.ptr[i];
		bool alnum =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!alnum && c != '-' && c != '_' && c != '.')
			return false;
	}
	return true;
}

static void make_id(struct exchange *x)
{
	struct str own = http_field_get(x->head, STR("x-request-id"));

	if (x->out.ws)
		own = STR_NONE; /* that was the handshake's */
	else if (!str_present(own))
		own = http_field_get(x->head, STR("request-id"));
	if (sane_id(own)) {
		x->id = own;
		return;
	}
	memcpy(x->id_text, "req_", 4);
	id_make(x->id_text + 4, 22);
	x->id = (struct str){ x->id_text, 26 };
}

static bool protocol_enabled(const struct exchange *x)
{
	struct str name = str_from(x->match.protocol->name);

	if (str_starts(name, STR("openai-")))
		return x->snapshot->enable_openai;
	if (str_starts(name, STR("anthropic-")))
		return x->snapshot->enable_anthropic;
	return true;
}

static enum step_result check_enabled(struct exchange *x)
{
	if (protocol_enabled(x))
		return NEXT;
	return refuse(x, IR_ERR_NOT_FOUND,
		      STR("This protocol is switched off in the gateway's configuration."));
}

/* What the path leaves open. */
static enum detect_place place_to_detect(const struct exchange *x)
{
	return x->match.protocol == &protocol_openai_chat && x->match.line.op == IR_OP_GENERATE
		       ? (enum detect_place)x->match.line.variant
		       : DETECT_NOTHING;
}

static struct detect_ask detect_ask(const struct exchange *x)
{
	return (struct detect_ask){
		.lals_provider = http_field_get(x->head, STR("x-lals-provider")),
		.protocol = http_field_get(x->head, STR("x-llm-gateway-protocol")),
		.anthropic_version = str_present(http_field_get(x->head, STR("anthropic-version"))),
		.body = x->peek.body,
	};
}

static enum step_result identify_universal(struct exchange *x)
{
	const struct detect_ask ask = detect_ask(x);

	if (!x->snapshot->enable_universal)
		return refuse(x, IR_ERR_NOT_FOUND,
			      STR("/v1/inference is switched off in the gateway's configuration "
				  "(enable.universal)."));
	x->match.protocol = detect_speaker(ask.lals_provider, ask.protocol, ask.anthropic_version);
	return NEXT;
}

/* GET, where POST makes an answer: by a WebSocket each of its messages is such a request. */
static bool asks_for_websocket(struct exchange *x)
{
	struct http_head *as_post;
	const char *why;

	if (x->out.ws || ws_handshake(x->head, &why) == WS_SHAKE_NONE)
		return false;
	as_post = arena_alloc(x->arena, sizeof(*as_post));
	if (!as_post)
		return false;
	*as_post = *x->head;
	as_post->method = HTTP_POST;
	if (route_find(x->arena, as_post, &x->match) != ROUTE_OK ||
	    x->match.line.op != IR_OP_GENERATE || !x->match.protocol->over_websocket)
		return false;
	x->head = as_post;
	x->upgrades = true;
	return true;
}

static enum step_result identify(struct exchange *x)
{
	struct ir_error e = { .retry_after_ms = -1 };

	make_id(x);
	if (asks_for_websocket(x))
		return check_enabled(x);
	switch (route_find(x->arena, x->head, &x->match)) {
	case ROUTE_OK:
		x->detect = place_to_detect(x);
		if (x->detect == DETECT_UNIVERSAL)
			return identify_universal(x);
		return check_enabled(x);
	case ROUTE_METHOD:
		e.kind = IR_ERR_METHOD;
		e.message = arena_printf(x->arena, "Method %.*s is not allowed for %.*s; use %.*s.",
					 STR_ARG(x->head->method_text), STR_ARG(x->head->path),
					 STR_ARG(x->match.allow));
		answer_error(x, &e, "refused");
		return DONE;
	case ROUTE_NOT_FOUND:
		break;
	}
	e.kind = IR_ERR_NOT_FOUND;
	e.message = arena_printf(
		x->arena,
		"There is no %.*s %.*s here. Known: POST /v1/chat/completions, POST /v1/messages, "
		"POST /v1/messages/count_tokens, POST /v1/inference, POST /api/chat, GET "
		"/v1/models.",
		STR_ARG(x->head->method_text), STR_ARG(x->head->path));
	answer_error(x, &e, "refused");
	return DONE;
}

static enum step_result authenticate(struct exchange *x)
{
	struct ir_error e = { .retry_after_ms = -1 };

	if (auth_check(x->snapshot, x->head, &x->principal, &e) == RC_OK)
		return NEXT;
	answer_error(x, &e, "refused");
	return DONE;
}

static enum step_result upgrade(struct exchange *x)
{
	if (!x->upgrades)
		return NEXT;
	websocket_open(x);
	return DONE;
}

static enum step_result list_models(struct exchange *x)
{
	if (x->match.line.op != IR_OP_LIST_MODELS && x->match.line.op != IR_OP_GET_MODEL)
		return NEXT;
	answer_models(x);
	return DONE;
}

/* Only JSON in no encoding can be read here (R18); a missing Content-Type is let pass, curl users forget it. */
static enum step_result accept_media(struct exchange *x)
{
	struct str encoding = http_field_get(x->head, STR("content-encoding"));
	struct str type = http_field_get(x->head, STR("content-type"));

	if (encoding.len > 0 && !str_ieq(encoding, STR("identity")))
		return refuse(x, IR_ERR_MEDIA_TYPE, STR("Send the body without Content-Encoding."));
	if (str_istarts(type, STR("multipart/")) ||
	    str_istarts(type, STR("application/octet-stream")))
		return refuse(x, IR_ERR_MEDIA_TYPE, STR("Send the body as application/json."));
	return NEXT;
}

static enum step_result read_body(struct exchange *x)
{
	struct err e = { 0 };
	int rc;

	if (x->out.ws) {
		rc = websocket_read_message(x->out.ws, &e);
		return rc == RC_OK ? NEXT : refuse_body(x, rc, &e);
	}
	http_request_read_body(x->request, x->snapshot->max_body);
	return WAIT;
}

/* Which dialect the body is in, where that decides. */
static enum step_result detect(struct exchange *x)
{
	struct detect_ask ask;
	struct detected found;
	struct err e = { 0 };
	int rc;

	if (x->detect != DETECT_UNIVERSAL)
		return NEXT;
	ask = detect_ask(x);
	rc = detect_protocol(x->arena, &ask, &found, &e);
	if (rc != RC_OK)
		return refuse_body(x, rc, &e);
	x->match.protocol = found.protocol;
	x->match.line = found.line;
	x->peek.body = found.body;
	return check_enabled(x);
}

static enum step_result peek(struct exchange *x)
{
	struct str pin = http_field_get(x->head, STR("x-llm-gateway-provider"));
	struct str strict = http_field_get(x->head, STR("x-llm-gateway-strict"));
	struct err e = { 0 };
	int rc = x->match.protocol->peek(x->arena, &x->match.line, x->peek.body, &x->peek, &e);

	if (rc != RC_OK)
		return refuse_body(x, rc, &e);
	if (x->detect == DETECT_CHAT && x->peek.asks_input) { /* Chat's path, but not its body */
		x->detect = DETECT_NOTHING;
		x->match.protocol = &protocol_openai_responses;
		return peek(x);
	}
	x->pin = pin.len > 0 ? pin : x->peek.provider_pin;
	x->strict = x->snapshot->strict_parameters || str_ieq(strict, STR("true"));
	return NEXT;
}

static enum step_result authorise(struct exchange *x)
{
	struct ir_error e = { .retry_after_ms = -1 };

	if (auth_check_model(&x->principal, x->peek.model, x->arena, &e) == RC_OK)
		return NEXT;
	answer_error(x, &e, "refused");
	return DONE;
}

/* There is text behind the gap: only some of a provider's protocols have a place for it. */
static bool has_suffix(const struct exchange *x)
{
	struct str value = x->match.protocol->fills_gaps
				   ? glance_last(x->peek.body, STR("\"suffix\""))
				   : STR_NONE;

	return value.len > 1 && value.ptr[0] == '"' && value.ptr[1] != '"';
}

static enum step_result route(struct exchange *x)
{
	struct route_facts facts = {
		.model = x->peek.model,
		.pin = x->pin,
		.protocol = x->match.protocol,
		.op = x->match.line.op,
		.needs = (x->peek.stream ? IR_NEED_STREAM : 0) | (has_suffix(x) ? IR_NEED_GAP : 0),
		.principal = &x->principal,
	};
	struct ir_error e = { .retry_after_ms = -1 };

	if (routing_resolve(x->snapshot, x->env->catalog, &facts, x->arena, &x->route, &e) == RC_OK)
		return NEXT;
	answer_error(x, &e, "refused");
	return DONE;
}

/* Questions about models that need no provider, once it is known who asks. */
static enum step_result inform_unasked(struct exchange *x)
{
	if (x->match.line.op != IR_OP_INFO || x->head->method == HTTP_POST)
		return NEXT;
	answer_info(x);
	return DONE;
}

static enum step_result inform(struct exchange *x)
{
	if (x->match.line.op != IR_OP_INFO)
		return NEXT;
	answer_info(x);
	return DONE;
}

/* A provider of the client's own protocol loads the model itself; of others there is nothing to load. */
static enum step_result load(struct exchange *x)
{
	if (!str_present(x->peek.load) || x->route.targets[0].relay)
		return NEXT;
	answer_load(x);
	return DONE;
}

static enum step_result forward(struct exchange *x)
{
	forward_next(x);
	return DONE;
}

static const struct step steps[] = {
	{ "identify", identify },         /* which protocol and operation */
	{ "authenticate", authenticate }, /* from the head alone (R17) */
	{ "upgrade", upgrade },           /* what follows comes in messages */
	{ "list_models", list_models },
	{ "inform_unasked", inform_unasked },
	{ "kept", kept_answer }, /* GET /v1/responses/{id} and its like */
	{ "accept_media", accept_media },
	{ "read_body", read_body },
	{ "detect", detect },       /* the protocol, where the path leaves it open */
	{ "peek", peek },           /* model, stream: no tree is built */
	{ "authorise", authorise }, /* this principal, this model */
	{ "inform", inform },
	{ "route", route }, /* model -> ordered targets */
	{ "load", load },
	{ "recall", turns_recall }, /* what previous_response_id names */
	{ "warm_up", warm_up },
	{ "compact", compact_start },
	{ "background", background_start },
	{ "forward", forward }, /* attempts, pump, settle */
};

static void run_steps(struct exchange *x)
{
	while (x->step < sizeof(steps) / sizeof(steps[0]))
		if (steps[x->step++].run(x) != NEXT)
			return;
}

void exchange_go_on(struct exchange *x)
{
	run_steps(x);
}

void exchange_run_from_route(struct exchange *x)
{
	while (steps[x->step].run != route)
		x->step++;
	run_steps(x);
}

/* --- the request's callbacks --- */

static void on_body(void *user, struct str body)
{
	struct exchange *x = user;

	x->peek.body = body;
	run_steps(x);
}

static void on_body_failed(void *user, int status, struct str message)
{
	struct exchange *x = user;

	answer_error(x,
		     &(struct ir_error){ .kind = ir_error_kind_of_status(status),
					 .status = status,
					 .message = message,
					 .retry_after_ms = -1 },
		     "refused");
}

static void on_drain(void *user)
{
	exchange_drained(user);
}

static void on_gone(void *user, const char *why)
{
	exchange_gone(user, why);
}

static const struct http_request_events request_events = {
	.on_body = on_body,
	.on_body_failed = on_body_failed,
	.on_drain = on_drain,
	.on_gone = on_gone,
};

/* --- life --- */

void exchange_open(struct exchange_env *env, struct http_request *r)
{
	struct arena *a = http_request_arena(r);
	struct exchange *x = arena_alloc(a, sizeof(*x));

	if (!x) {
		http_respond(r, 503, NULL, 0, STR(""));
		return;
	}
	x->request = r;
	x->out.request = r;
	http_request_set_user(r, x, &request_events);
	exchange_begin(x, env, a, http_request_head(r));
}

void exchange_begin(struct exchange *x, struct exchange_env *env, struct arena *a,
		    const struct http_head *head)
{
	x->env = env;
	x->arena = a;
	x->head = head;
	x->snapshot = snapshot_ref(env->snapshot);
	x->record.start_us = clock_mono_us();
	x->record.usage = IR_USAGE_NONE;
	ir_losses_init(&x->losses, a);
	list_append(&env->live, &x->live);
	env->n_live++;
	exchange_keep_ticking(env);
	run_steps(x);
}

int exchange_mint_id(struct exchange *x)
{
	struct str prefix = str_from(x->match.protocol->id_prefix);
	char *text;

	if (str_present(x->response_id))
		return RC_OK;
	text = arena_alloc(x->arena, prefix.len + RESPONSE_ID_LEN + 1);
	if (!text)
		return RC_NOMEM;
	memcpy(text, prefix.ptr, prefix.len);
	id_make(text + prefix.len, RESPONSE_ID_LEN);
	x->response_id = (struct str){ text, prefix.len + RESPONSE_ID_LEN };
	x->created_s = clock_wall_s();
	return RC_OK;
}

void exchange_drained(struct exchange *x)
{
	background_drained(x);
	pump_drained(x);
}

void exchange_gone(struct exchange *x, const char *why)
{
	x->record.detail = str_from(why);
	exchange_over(x, "client_gone");
}

/* Without a request its memory is its own: it ends with the turn, so that who called may still end the answer. */
static void free_own(struct loop_dead *d)
{
	struct exchange *x = LIST_ENTRY(d, struct exchange, dead);

	job_unref(x->out.job);
	arena_free(x->arena);
}

void exchange_cancel(struct exchange *x)
{
	if (x->over)
		return;
	exchange_over(x, "cancelled");
	job_end(x->out.job, STR_NONE);
}

void exchange_over(struct exchange *x, const char *end)
{
	if (x->over)
		return;
	x->over = true;
	x->record.end = end;
	count_cancel(x);
	load_cancel(x);
	turns_cancel(x);
	background_drop(x);
	background_unfollow(x);
	if (x->attempt)
		attempt_cancel(x->attempt);
	if (x->relay && x->pump.ready)
		ir_usage_merge(&x->record.usage, &x->pump.tap.usage);
	pump_done(&x->pump);
	settle(x);
	list_remove(&x->live);
	x->env->n_live--;
	x->snapshot = snapshot_unref(x->snapshot);
	if (!x->request)
		loop_free_later(x->env->loop, &x->dead, free_own);
}

void exchange_end_all(struct exchange_env *env, const char *why)
{
	struct ir_error e = {
		.kind = IR_ERR_UNAVAILABLE,
		.message = STR("The gateway is shutting down. Try again."),
		.retry_after_ms = -1,
	};

	LIST_EACH_SAFE (&env->live, it, tmp)
		answer_error(LIST_ENTRY(it, struct exchange, live), &e, why);
}

/* --- the environment --- */

/* One tick looks at all streams: cheaper than a timer a stream, and silence is counted in seconds. */
static void keepalive_tick(struct deadline *d)
{
	struct exchange_env *env = LIST_ENTRY(d, struct exchange_env, keepalive);
	uint64_t now = loop_now_ms(env->loop);

	LIST_EACH_SAFE (&env->live, it, tmp) {
		struct exchange *x = LIST_ENTRY(it, struct exchange, live);
		uint64_t after = x->snapshot->keepalive_ms;

		if (x->out.job)
			job_beat(x->out.job);
		else if (x->out.ws)
			continue; /* it has pings of its own */
		else if (!after || now - x->last_sent_ms < after)
			continue;
		else if (x->following)
			background_keepalive(x);
		else if (x->attempt && x->peek.stream)
			pump_keepalive(x);
	}
	if (env->n_live > 0)
		deadline_set(&env->keepalive, KEEPALIVE_TICK_MS);
}

void exchange_keep_ticking(struct exchange_env *env)
{
	if (!env->keepalive.at_ms)
		deadline_set(&env->keepalive, KEEPALIVE_TICK_MS);
}

void exchange_env_init(struct exchange_env *env, struct loop *l)
{
	env->loop = l;
	list_init(&env->live);
	list_init(&env->detached);
	deadline_init(&env->keepalive, l, keepalive_tick);
}

void exchange_env_close(struct exchange_env *env, void (*closed)(struct deadline *self))
{
	attempt_cancel_detached(&env->detached);
	deadline_close(&env->keepalive, closed);
	env->snapshot = snapshot_unref(env->snapshot);
}

void exchange_refuse(const struct http_head *head, int status, struct str message, struct arena *a,
		     struct buf *body, struct str *ret_content_type, void *env)
{
	const struct protocol *p = &protocol_openai_chat;
	struct ir_error e = { .kind = ir_error_kind_of_status(status),
			      .status = status,
			      .message = message,
			      .retry_after_ms = -1 };
	struct route_match match;
	int ignored;

	if (head && head->path.ptr) {
		(void)route_find(a, head, &match);
		p = match.protocol;
	}
	p->encode_error(&e, STR_NONE, body, &ignored);
	*ret_content_type = str_from(p->error_content_type);
}
