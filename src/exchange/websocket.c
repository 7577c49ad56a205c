/* exchange/websocket.c - clients on WebSockets: opened, their messages put in lanes, and their end; see websocket.h.
 *
 * The hard thing is what begins when: messages of one lane one after another, lanes side by side, and none of it from inside a turn's
 * end, which comes from deep inside the path. So the next turns begin when the stack is empty (`kick`). */
#include "exchange/websocket.h"

#include <stdlib.h>

#include "exchange/websocket_impl.h"

struct waiting {
	struct list node;
	struct lane *lane;
	size_t len;
	char text[];
};

enum { ENVELOPE_MAX = 64 * 1024 };

/* What all turns may take together: as much as one could alone, who has an arena of its own and one of its attempt. */
static size_t budget_of(const struct snapshot *s)
{
	return 2 * s->server.arena_max;
}

static void start_next(struct websocket_client *c);

/* --- the end of it all --- */

static void client_free(struct websocket_client *c)
{
	recent_clear(&c->recent);
	arena_budget_unref(c->budget); /* an attempt that only reads its rest may hold it on */
	arena_free(c->arena);
}

static void on_lifetime_closed(struct deadline *d)
{
	struct websocket_client *c = LIST_ENTRY(d, struct websocket_client, lifetime);

	client_free(c);
}

static void drop_waiting(struct websocket_client *c, struct waiting *w)
{
	list_remove(&w->node);
	w->lane->n_waiting--;
	c->n_waiting--;
	c->waiting_bytes -= w->len;
	free(w);
}

static struct waiting *first_waiting(struct websocket_client *c)
{
	return list_empty(&c->waiting) ? NULL : LIST_ENTRY(c->waiting.next, struct waiting, node);
}

static void release(struct websocket_client *c)
{
	c->ws = NULL;
	while (first_waiting(c))
		drop_waiting(c, first_waiting(c));
	list_remove(&c->kick.node);
	deadline_close(&c->lifetime, on_lifetime_closed);
}

static void close_with(struct websocket_client *c, enum ws_code code, const char *reason)
{
	http_websocket_close(c->ws, code, str_from(reason));
	release(c);
}

/* --- words of our own --- */

static void say_own_error(struct websocket_client *c, const struct socket_own_error *e)
{
	struct buf out;

	buf_init(&out, 64 * 1024);
	socket_put_own_error(&out, e);
	if (buf_ok(&out))
		http_websocket_send(c->ws, buf_str(&out));
	buf_done(&out);
	http_websocket_flush(c->ws);
}

/* To a message that comes, or still waits, when nothing more begins. */
static void refuse_ending(struct websocket_client *c, struct str stream_id)
{
	const struct socket_own_error leaving = {
		.status = 503,
		.code = "server_shutting_down",
		.message = STR("The gateway is shutting down. Open a new WebSocket."),
		.stream_id = stream_id,
	};
	const struct socket_own_error expired = {
		.status = 400,
		.code = "websocket_connection_limit_reached",
		.message = STR("This WebSocket has been open for as long as one may be. Open a new "
			       "one to go on."),
		.stream_id = stream_id,
	};

	say_own_error(c, http_websocket_draining(c->ws) ? &leaving : &expired);
}

static bool is_ending(const struct websocket_client *c)
{
	return c->expired || http_websocket_draining(c->ws);
}

/* Nothing is under way any more: who waits is told, and who has been here too long is in any case. */
static void end_connection(struct websocket_client *c)
{
	bool leaving = http_websocket_draining(c->ws);

	if (!leaving && !first_waiting(c))
		refuse_ending(c, STR_NONE);
	for (struct waiting *w; (w = first_waiting(c)) != NULL;) {
		refuse_ending(c, w->lane->name);
		drop_waiting(c, w);
	}
	close_with(c, WS_GOING_AWAY,
		   leaving ? "the gateway is shutting down" : "connection limit reached");
}

/* To a message that is not carried out. */
static void no_memory(struct websocket_client *c, const struct lane *lane)
{
	const struct socket_own_error e = {
		.status = 503,
		.code = "server_error",
		.message = STR("The gateway is out of memory for this request."),
		.stream_id = lane ? lane->name : STR_NONE,
	};

	say_own_error(c, &e);
}

/* --- what begins when --- */

static void on_kick(struct loop_dead *kick)
{
	struct websocket_client *c = LIST_ENTRY(kick, struct websocket_client, kick);

	c->kicked = false;
	start_next(c);
}

static void start_later(struct websocket_client *c)
{
	if (c->kicked || !c->ws)
		return;
	c->kicked = true;
	loop_free_later(c->env->loop, &c->kick, on_kick);
}

void websocket_lane_free(struct websocket_client *c, struct lane *lane)
{
	lane->turn = NULL;
	c->n_turns--;
	start_later(c);
}

static void refresh_limits(struct websocket_client *c)
{
	const struct snapshot *s = c->env->snapshot;
	struct http_websocket_limits limits = { .max_message = s->max_body,
						.ping_ms = s->keepalive_ms };

	http_websocket_set_limits(c->ws, &limits);
	arena_budget_set_max(c->budget, budget_of(s));
}

static void start(struct websocket_client *c, struct lane *lane, struct str text)
{
	struct arena *a = arena_new_within(c->env->snapshot->server.arena_max, c->budget);
	struct exchange *x = a ? arena_alloc(a, sizeof(*x)) : NULL;

	if (x)
		x->peek.body = arena_dup(a, text);
	if (x && x->peek.body.ptr)
		x->out.ws = websocket_turn_new(c, lane, x, a);
	if (!x || !x->out.ws) {
		arena_free(a);
		no_memory(c, lane);
		start_later(c);
		return;
	}
	refresh_limits(c);
	lane->turn = x->out.ws;
	c->n_turns++;
	exchange_begin(x, c->env, a, c->head);
}

/* A reload may have made it less than what is under way. */
static bool has_room(const struct websocket_client *c)
{
	return c->n_turns < c->env->snapshot->responses.websocket_lanes;
}

/* The oldest message that may begin; NULL. */
static struct waiting *next_ready(struct websocket_client *c)
{
	LIST_EACH (&c->waiting, it) {
		struct waiting *w = LIST_ENTRY(it, struct waiting, node);

		if (!w->lane->turn)
			return has_room(c) ? w : NULL;
	}
	return NULL;
}

static void start_next(struct websocket_client *c)
{
	struct waiting *w;

	if (is_ending(c) && c->n_turns > 0)
		return; /* what is under way is finished, nothing more begins */
	if (is_ending(c))
		end_connection(c);
	while (c->ws && (w = next_ready(c)) != NULL) {
		list_remove(&w->node);
		w->lane->n_waiting--;
		c->n_waiting--;
		c->waiting_bytes -= w->len;
		start(c, w->lane, (struct str){ w->text, w->len });
		free(w);
	}
}

/* --- what the client does --- */

static void enqueue(struct websocket_client *c, struct lane *lane, struct str text)
{
	const struct snapshot *s = c->env->snapshot;
	const struct socket_own_error full = {
		.status = 429,
		.code = "websocket_queue_full",
		.message = STR(
			"Too many messages wait on this WebSocket. Send the next when a response "
			"has ended, or open another WebSocket."),
		.stream_id = lane->name,
	};
	struct waiting *w;

	if (c->n_waiting >= s->responses.websocket_queue ||
	    text.len > s->max_body -
			       (c->waiting_bytes < s->max_body ? c->waiting_bytes : s->max_body)) {
		say_own_error(c, &full);
		return;
	}
	w = malloc(sizeof(*w) + text.len);
	if (!w) {
		no_memory(c, lane);
		return;
	}
	w->lane = lane;
	w->len = text.len;
	memcpy(w->text, text.ptr, text.len);
	list_append(&c->waiting, &w->node);
	lane->n_waiting++;
	c->n_waiting++;
	c->waiting_bytes += text.len;
}

static struct lane *find_lane(struct websocket_client *c, struct str name)
{
	LIST_EACH (&c->lanes, it) {
		struct lane *lane = LIST_ENTRY(it, struct lane, node);

		if (str_present(name) ? str_present(lane->name) && str_eq(lane->name, name)
				      : !str_present(lane->name))
			return lane;
	}
	return NULL;
}

/* NULL, and the client has been told, when there are too many. */
static struct lane *lane_of(struct websocket_client *c, struct str name)
{
	const struct socket_own_error many = {
		.status = 400,
		.code = "websocket_stream_limit_reached",
		.message = STR("This WebSocket has used as many distinct values of 'stream_id' as "
			       "one may (32). Use one of them again, or open another WebSocket."),
		.param = "stream_id",
		.stream_id = name,
	};
	struct lane *lane = find_lane(c, name);

	if (lane)
		return lane;
	if (c->n_named == LANES_NAMED_MAX) {
		say_own_error(c, &many);
		return NULL;
	}
	lane = arena_alloc(c->arena, sizeof(*lane));
	if (lane)
		lane->name = arena_dup(c->arena, name);
	if (!lane || !lane->name.ptr) {
		no_memory(c, NULL);
		return NULL;
	}
	list_append(&c->lanes, &lane->node);
	c->n_named++;
	return lane;
}

static void take(struct websocket_client *c, const struct socket_envelope *e, struct str text)
{
	const struct socket_own_error bad = {
		.status = 400,
		.code = "invalid_stream_id",
		.message = STR("'stream_id' must be 1 to 256 of the characters A-Z a-z 0-9 _ . -"),
		.param = "stream_id",
	};
	struct lane *lane;

	if (e->steers) {
		websocket_steer(c, text);
		return;
	}
	if (e->bad_stream_id) {
		say_own_error(c, &bad);
		return;
	}
	lane = lane_of(c, e->stream_id);
	if (!lane)
		return;
	if (is_ending(c))
		refuse_ending(c, lane->name);
	else if (lane->turn || (c->kicked && c->n_waiting) || lane->n_waiting || !has_room(c))
		enqueue(c, lane, text);
	else
		start(c, lane, text);
}

static void on_text(void *user, struct str text)
{
	struct websocket_client *c = user;
	struct arena *a = arena_new(ENVELOPE_MAX);
	struct socket_envelope e;

	if (a) {
		socket_envelope_read(a, text, &e);
		take(c, &e, text);
	} else {
		no_memory(c, NULL);
	}
	arena_free(a);
}

static void on_drain(void *user)
{
	struct websocket_client *c = user;

	LIST_EACH (&c->lanes, it) {
		struct websocket_turn *t = LIST_ENTRY(it, struct lane, node)->turn;

		if (t)
			exchange_drained(t->x);
	}
}

static void on_shutdown(void *user)
{
	struct websocket_client *c = user;

	if (!c->n_turns)
		end_connection(c);
}

static void on_gone(void *user, const char *why)
{
	struct websocket_client *c = user;

	release(c);
	LIST_EACH (&c->lanes, it) {
		struct websocket_turn *t = LIST_ENTRY(it, struct lane, node)->turn;

		if (!t)
			continue;
		exchange_gone(t->x, why);
		websocket_turn_over(t);
	}
}

static const struct http_websocket_events events = {
	.on_text = on_text,
	.on_drain = on_drain,
	.on_shutdown = on_shutdown,
	.on_gone = on_gone,
};

static void on_lifetime(struct deadline *d)
{
	struct websocket_client *c = LIST_ENTRY(d, struct websocket_client, lifetime);

	c->expired = true;
	if (!c->n_turns && !c->kicked)
		end_connection(c);
}

/* --- opening --- */

/* Where no key is asked for, a web page must not use the gateway behind its visitor's back: browsers let any page open a
 * WebSocket anywhere, and only say in Origin whose page it is. */
static bool origin_ok(const struct exchange *x)
{
	struct str origin = http_field_get(x->head, STR("origin"));
	ptrdiff_t at = str_find(origin, STR("://"));

	if (!str_present(origin) || x->principal.key)
		return true;
	return at >= 0 && str_ieq(str_from_offset(origin, (size_t)at + 3),
				  http_field_get(x->head, STR("host")));
}

static struct websocket_client *client_new(struct exchange *x)
{
	struct arena *a = arena_new(x->snapshot->server.arena_max);
	struct websocket_client *c = a ? arena_alloc(a, sizeof(*c)) : NULL;

	if (c) {
		c->arena = a;
		c->env = x->env;
		c->head = http_head_copy(a, x->head);
		c->peer = arena_dup(a, http_request_peer(x->request));
		c->budget = arena_budget_new(budget_of(x->snapshot));
		recent_init(&c->recent);
	}
	if (!c) {
		arena_free(a);
		return NULL;
	}
	if (!c->head || !c->peer.ptr || !c->budget) {
		client_free(c);
		return NULL;
	}
	list_init(&c->waiting);
	list_init(&c->kick.node);
	list_init(&c->lanes);
	c->plain.name = STR_NONE;
	list_append(&c->lanes, &c->plain.node);
	return c;
}

static bool accept_on(struct websocket_client *c, struct exchange *x)
{
	const struct http_websocket_limits limits = { .max_message = x->snapshot->max_body,
						      .ping_ms = x->snapshot->keepalive_ms };
	const struct http_field id = { STR("x-request-id"), x->id };

	c->ws = http_websocket_accept(x->request, &id, 1, &limits, &events, c);
	if (!c->ws)
		return false;
	deadline_init(&c->lifetime, c->env->loop, on_lifetime);
	deadline_set(&c->lifetime, x->snapshot->websocket_ms);
	return true;
}

static void refuse(struct exchange *x, enum ir_error_kind kind, int status, struct str message)
{
	struct ir_error e = {
		.kind = kind, .status = status, .message = message, .retry_after_ms = -1
	};

	answer_error(x, &e, "refused");
}

void websocket_open(struct exchange *x)
{
	struct websocket_client *c;
	const char *why;

	switch (ws_handshake(http_request_head(x->request), &why)) {
	case WS_SHAKE_OK:
		break;
	case WS_SHAKE_VERSION:
		refuse(x, IR_ERR_INVALID_REQUEST, 426, str_from(why));
		return;
	case WS_SHAKE_NONE:
	case WS_SHAKE_MALFORMED:
		refuse(x, IR_ERR_INVALID_REQUEST, 400, str_from(why));
		return;
	}
	if (!origin_ok(x)) {
		refuse(x, IR_ERR_PERMISSION, 403,
		       STR("A web page of another origin may not open a WebSocket here without a "
			   "gateway key."));
		return;
	}
	c = client_new(x);
	if (c && accept_on(c, x)) {
		x->record.status = 101;
		exchange_over(x, "upgraded");
		return;
	}
	if (c)
		client_free(c);
	refuse(x, IR_ERR_UNAVAILABLE, 503, STR("No WebSocket can be opened now. Try again later."));
}
