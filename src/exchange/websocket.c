/* exchange/websocket.c - clients on WebSockets; see websocket.h.
 *
 * The hard thing is the end of a turn: it comes from deep inside the path, where the next one must not begin. So the next begins
 * when the stack is empty (`kick`), and until then the client is merely without an exchange. */
#include "exchange/websocket.h"

#include <stdlib.h>

#include "exchange/exchange_impl.h"
#include "http/websocket.h"
#include "wire/framer.h"

struct waiting {
	struct list node;
	size_t len;
	char text[];
};

struct websocket_client {
	struct exchange_env *env;
	struct http_websocket *ws; /* NULL: over */
	struct arena *arena;       /* of this, and of the head */
	const struct http_head *head;
	struct str peer;
	struct recent recent;
	struct list waiting; /* messages, oldest first */
	unsigned n_waiting;
	size_t waiting_bytes;
	struct deadline lifetime;
	struct loop_dead kick;
	bool kicked, expired;

	/* the turn under way; zero between two */
	struct exchange *x;
	struct socket_message message; /* in the exchange's arena, as the next two */
	struct str headers;            /* for the first event; absent when that is out */
	struct str error;              /* an event of that type, which may be the end */
	struct buf out;                /* events that have not been sent */
	struct framer framer;
	unsigned skipped; /* events that the client does not get */
	bool ended;       /* the end is out */
	bool failed;
};

static void start_next(struct websocket_client *c);

/* --- the end of it all --- */

static void on_lifetime_closed(struct deadline *d)
{
	struct websocket_client *c = LIST_ENTRY(d, struct websocket_client, lifetime);

	recent_clear(&c->recent);
	arena_free(c->arena);
}

static void drop_waiting(struct websocket_client *c, struct waiting *w)
{
	list_remove(&w->node);
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

static void say_own_error(struct websocket_client *c, int status, const char *code,
			  struct str message, struct str stream_id)
{
	struct buf out;

	buf_init(&out, 64 * 1024);
	socket_put_own_error(&out, status, code, message, stream_id);
	if (buf_ok(&out))
		http_websocket_send(c->ws, buf_str(&out));
	buf_done(&out);
	http_websocket_flush(c->ws);
}

/* To a message that is not carried out. */
static void refuse_text(struct websocket_client *c, struct str text, int status, const char *code,
			struct str message)
{
	struct arena *a = arena_new(64 * 1024);

	say_own_error(c, status, code, message, a ? socket_message_stream_id(a, text) : STR_NONE);
	arena_free(a);
}

static void expire(struct websocket_client *c)
{
	say_own_error(c, 400, "websocket_connection_limit_reached",
		      STR("This WebSocket has been open for as long as one may be. Open a new one "
			  "to go on."),
		      STR_NONE);
	close_with(c, WS_GOING_AWAY, "connection limit reached");
}

static void go_away(struct websocket_client *c)
{
	while (first_waiting(c)) {
		struct waiting *w = first_waiting(c);

		refuse_text(c, (struct str){ w->text, w->len }, 503, "server_shutting_down",
			    STR("The gateway is shutting down. Open a new WebSocket."));
		drop_waiting(c, w);
	}
	close_with(c, WS_GOING_AWAY, "the gateway is shutting down");
}

/* --- turns --- */

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

static void refresh_limits(struct websocket_client *c)
{
	const struct snapshot *s = c->env->snapshot;
	struct http_websocket_limits limits = { .max_message = s->max_body,
						.ping_ms = s->keepalive_ms };

	http_websocket_set_limits(c->ws, &limits);
}

static void start(struct websocket_client *c, struct str text)
{
	struct snapshot *s = c->env->snapshot;
	struct arena *a = arena_new(s->server.arena_max);
	struct exchange *x = a ? arena_alloc(a, sizeof(*x)) : NULL;

	if (x)
		x->peek.body = arena_dup(a, text);
	if (!x || !x->peek.body.ptr) {
		arena_free(a);
		refuse_text(c, text, 503, "server_error",
			    STR("The gateway is out of memory for this request."));
		start_later(c);
		return;
	}
	refresh_limits(c);
	buf_init(&c->out, 2 * s->max_response + s->max_event);
	framer_init(&c->framer, FRAMING_SSE, c->out.max);
	c->message = (struct socket_message){ .generate = true };
	c->x = x;
	x->out.ws = c;
	exchange_begin(x, c->env, a, c->head);
}

static void start_next(struct websocket_client *c)
{
	struct waiting *w = first_waiting(c);

	if (c->x)
		return;
	if (http_websocket_draining(c->ws)) {
		go_away(c);
	} else if (c->expired) {
		expire(c);
	} else if (w) {
		list_remove(&w->node);
		c->n_waiting--;
		c->waiting_bytes -= w->len;
		start(c, (struct str){ w->text, w->len });
		free(w);
	}
}

/* The exchange is over; its memory lives on to the end of the loop's turn. */
static void turn_over(struct websocket_client *c)
{
	if (c->failed && str_present(c->message.previous))
		recent_forget(&c->recent, c->message.previous);
	framer_done(&c->framer);
	buf_done(&c->out);
	c->x = NULL;
	c->message = (struct socket_message){ .generate = true };
	c->headers = c->error = STR_NONE;
	c->skipped = 0;
	c->ended = c->failed = false;
	start_later(c);
}

int websocket_read_message(struct exchange *x, struct err *reterr)
{
	struct websocket_client *c = x->out.ws;
	int rc = socket_message_read(x->arena, x->peek.body, &c->message, reterr);

	if (rc == RC_OK)
		x->peek.body = c->message.body;
	return rc;
}

bool websocket_generates(const struct websocket_client *c)
{
	return c->message.generate;
}

struct str websocket_peer(const struct websocket_client *c)
{
	return c->peer;
}

struct recent *websocket_recent(struct websocket_client *c)
{
	return &c->recent;
}

/* --- the answer --- */

static void send_text(struct websocket_client *c, struct buf *text)
{
	if (buf_ok(text))
		http_websocket_send(c->ws, buf_str(text));
	buf_done(text);
}

void websocket_respond(struct websocket_client *c, int status, const struct http_field *fields,
		       unsigned n, struct str body)
{
	struct arena *a = c->x->arena;
	struct buf text;

	buf_init(&text, SIZE_MAX / 4); /* as long as the error is */
	socket_put_error(&text, a, status, body, socket_headers(a, fields, n),
			 c->message.stream_id);
	send_text(c, &text);
	http_websocket_flush(c->ws);
	c->failed = true;
	turn_over(c);
}

void websocket_head(struct websocket_client *c, const struct http_field *fields, unsigned n)
{
	c->headers = socket_headers(c->x->arena, fields, n);
}

struct buf *websocket_buf(struct websocket_client *c)
{
	return &c->out;
}

static struct str event_type(struct websocket_client *c, const struct frame *f)
{
	if (str_present(f->name))
		return f->name;
	return json_unquote(c->x->arena, turn_get(f->data, "type"));
}

static void send_event(struct websocket_client *c, const struct frame *f)
{
	struct str type;
	struct buf text;

	if (!str_present(f->data) || str_eq(f->data, STR("[DONE]")))
		return;
	type = event_type(c, f);
	if (str_eq(type, STR("error"))) { /* response.failed says it again, if it comes */
		c->error = arena_dup(c->x->arena, f->data);
		c->skipped++;
		return;
	}
	c->failed |= str_eq(type, STR("response.failed"));
	c->ended |= c->failed || str_eq(type, STR("response.completed")) ||
		    str_eq(type, STR("response.incomplete"));
	buf_init(&text, SIZE_MAX / 4);
	socket_put_event(&text, c->x->arena, f->data, c->headers, c->message.stream_id, c->skipped);
	send_text(c, &text);
	c->headers = STR_NONE;
}

static void send_events(struct websocket_client *c)
{
	struct frame f;
	size_t used;

	while (framer_next(&c->framer, buf_str(&c->out), &f, &used) == FRAMER_FRAME) {
		send_event(c, &f);
		buf_consume(&c->out, used);
	}
}

void websocket_flush(struct websocket_client *c)
{
	send_events(c);
	http_websocket_flush(c->ws);
}

size_t websocket_pending(const struct websocket_client *c)
{
	return http_websocket_pending(c->ws);
}

void websocket_end(struct websocket_client *c)
{
	struct buf text;

	send_events(c);
	if (!c->ended) {
		c->failed = true;
		buf_init(&text, SIZE_MAX / 4);
		socket_put_error_event(&text, c->x->arena,
				       str_present(c->error) ? c->error : STR("{}"),
				       c->message.stream_id);
		send_text(c, &text);
	}
	http_websocket_flush(c->ws);
	turn_over(c);
}

/* --- what the client does --- */

static void enqueue(struct websocket_client *c, struct str text)
{
	const struct snapshot *s = c->env->snapshot;
	struct waiting *w;

	if (c->n_waiting >= s->responses.websocket_queue ||
	    text.len > s->max_body -
			       (c->waiting_bytes < s->max_body ? c->waiting_bytes : s->max_body)) {
		refuse_text(
			c, text, 429, "websocket_queue_full",
			STR("Too many messages wait on this WebSocket, which makes one response "
			    "after another. Send the next when one has ended, or open another "
			    "WebSocket."));
		return;
	}
	w = malloc(sizeof(*w) + text.len);
	if (!w) {
		refuse_text(c, text, 503, "server_error", STR("The gateway is out of memory."));
		return;
	}
	w->len = text.len;
	memcpy(w->text, text.ptr, text.len);
	list_append(&c->waiting, &w->node);
	c->n_waiting++;
	c->waiting_bytes += text.len;
}

static void on_text(void *user, struct str text)
{
	struct websocket_client *c = user;

	if (c->x || c->kicked || first_waiting(c))
		enqueue(c, text);
	else
		start(c, text);
}

static void on_drain(void *user)
{
	struct websocket_client *c = user;

	if (c->x)
		exchange_drained(c->x);
}

static void on_shutdown(void *user)
{
	struct websocket_client *c = user;

	if (!c->x)
		go_away(c);
}

static void on_gone(void *user, const char *why)
{
	struct websocket_client *c = user;
	struct exchange *x = c->x;

	release(c);
	if (!x)
		return;
	exchange_gone(x, why);
	turn_over(c);
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
	if (!c->x && !c->kicked)
		expire(c);
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
	}
	if (!c || !c->head || !c->peer.ptr) {
		arena_free(a);
		return NULL;
	}
	recent_init(&c->recent);
	list_init(&c->waiting);
	list_init(&c->kick.node);
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
		arena_free(c->arena);
	refuse(x, IR_ERR_UNAVAILABLE, 503, STR("No WebSocket can be opened now. Try again later."));
}
