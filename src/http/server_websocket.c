/* http/server_websocket.c - a connection in the state CONN_SOCKET; see websocket.h.
 *
 * The end, like HTTP's, goes through CONN_FLUSH and CONN_LINGER: our close frame leaves, then our side is shut, and what the client
 * still sends is dropped. When the end is our wish, the client's close frame is waited for before that.
 *
 * The hard thing is that the owner may be told of the end, or end it, in any callback: `ev` is NULL from then on.
 */
#include "http/websocket.h"

#include <stdlib.h>

#include "http/server_parts.h"

enum {
	CLOSE_MS = 5000,          /* for the client's close frame */
	UNREAD_MAX = 1024 * 1024, /* output waiting, above which the client is not read */
};

struct http_websocket {
	struct server_conn *conn;
	struct ws_reader *reader;
	struct http_websocket_limits limits;
	const struct http_websocket_events
		*ev; /* NULL: the owner has nothing to do with it any more */
	void *user;
	struct buf data; /* frames, until the flush */
	uint64_t heard_ms, said_ms, pinged_ms;
	bool waited; /* for bytes to leave: on_drain is owed */
	bool shut;   /* our close frame is out: nothing follows it */
	bool told;   /* that the server drains */
};

void server_websocket_free(struct http_websocket *ws)
{
	if (!ws)
		return;
	ws_reader_free(ws->reader);
	buf_done(&ws->data);
	free(ws);
}

void server_websocket_over(struct server_conn *c, const char *why)
{
	struct http_websocket *ws = c->ws;
	const struct http_websocket_events *ev = ws ? ws->ev : NULL;

	if (!ev)
		return;
	ws->ev = NULL;
	ev->on_gone(ws->user, why);
}

/* --- writing --- */

static struct buf *data_of(struct http_websocket *ws)
{
	if (!ws->data.max)
		ws->data = server_spare_buf(ws->conn->server);
	return &ws->data;
}

void http_websocket_flush(struct http_websocket *ws)
{
	struct server_conn *c = ws->conn;
	struct str bytes = ws->data.max ? buf_str(&ws->data) : STR("");

	if (ws->data.max && !buf_ok(&ws->data))
		server_break_off(c, "no memory for what the client is told");
	else if (bytes.len)
		server_write(c, &bytes, 1);
	ws->said_ms = loop_now_ms(c->server->loop);
	server_keep_buf(c->server, &ws->data);
}

void http_websocket_send(struct http_websocket *ws, struct str text)
{
	if (!ws->shut)
		ws_put_frame(data_of(ws), WS_OP_TEXT, text);
}

size_t http_websocket_pending(const struct http_websocket *ws)
{
	const struct server_conn *c = ws->conn;

	if (c->broken || c->state == CONN_CLOSED)
		return 0;
	/* What is only to leave at the end of the turn does not wait for the client. */
	return (c->flying ? server_pending(c) : 0) + (ws->data.max ? buf_len(&ws->data) : 0);
}

static void send_control(struct http_websocket *ws, enum ws_opcode opcode, struct str payload)
{
	if (ws->shut)
		return;
	ws_put_frame(data_of(ws), opcode, payload);
	http_websocket_flush(ws);
}

static void send_close(struct http_websocket *ws, enum ws_code code, struct str reason)
{
	if (ws->shut)
		return;
	ws_put_close(data_of(ws), code, reason);
	http_websocket_flush(ws);
	ws->shut = true;
}

/* --- the end --- */

/* Both sides have said what they had to. */
static void finish(struct server_conn *c, const char *why)
{
	server_websocket_over(c, why);
	c->last = c->linger = true;
	server_conn_answered(c);
}

void http_websocket_close(struct http_websocket *ws, enum ws_code code, struct str reason)
{
	ws->ev = NULL;
	send_close(ws, code, reason);
	deadline_set(&ws->conn->read_deadline, CLOSE_MS);
}

/* Not inside the call, which walks over all connections: what the owner does now may move others about. */
void server_websocket_drain(struct server_conn *c)
{
	if (c->ws->ev)
		deadline_set(&c->read_deadline, 0);
}

/* --- reading --- */

static void on_news(struct server_conn *c, enum ws_got got, const struct ws_news *news)
{
	struct http_websocket *ws = c->ws;

	switch (got) {
	case WS_TEXT:
		if (ws->ev)
			ws->ev->on_text(ws->user, news->payload);
		break;
	case WS_PING:
		send_control(ws, WS_OP_PONG, news->payload);
		break;
	case WS_CLOSE:
		send_close(ws, news->code, STR(""));
		finish(c, "the client closed the WebSocket");
		break;
	case WS_FAILED:
		send_close(ws, news->code, str_from(news->why));
		finish(c, news->why);
		break;
	case WS_PONG:
	case WS_MORE:
		break;
	}
}

void server_websocket_read(struct server_conn *c, struct str bytes)
{
	struct http_websocket *ws = c->ws;
	struct ws_news news;
	enum ws_got got;

	ws->heard_ms = loop_now_ms(c->server->loop);
	while (c->state == CONN_SOCKET && !c->broken) {
		got = ws_read(ws->reader, &bytes, ws->limits.max_message, &news);
		if (got == WS_MORE)
			break;
		on_news(c, got, &news);
	}
	if (c->state == CONN_SOCKET && !c->held && server_pending(c) > UNREAD_MAX) {
		c->held = true;
		stream_read_stop(c->stream);
	}
}

void server_websocket_flushed(struct server_conn *c)
{
	struct http_websocket *ws = c->ws;

	if (c->held && server_pending(c) <= UNREAD_MAX) {
		c->held = false;
		if (stream_read_start(c->stream) < 0) {
			server_break_off(c, "the connection cannot be read any more");
			return;
		}
	}
	if (!ws->waited || server_pending(c) >= c->server->limits.write_low)
		return;
	ws->waited = false;
	if (ws->ev)
		ws->ev->on_drain(ws->user);
}

void server_websocket_waits(struct http_websocket *ws)
{
	ws->waited = true;
}

/* --- time --- */

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t ping_ms(const struct server_conn *c)
{
	uint64_t half = c->server->limits.idle_timeout_ms / 2, ms = c->ws->limits.ping_ms;

	return ms && ms < half ? ms : half ? half : 1;
}

/* When the next ping is due: some time after the last word of either side. */
static void wait_for_silence(struct server_conn *c)
{
	const struct http_websocket *ws = c->ws;
	uint64_t now = loop_now_ms(c->server->loop), heard = later(ws->heard_ms, ws->pinged_ms);
	uint64_t due = (heard < ws->said_ms ? heard : ws->said_ms) + ping_ms(c);

	deadline_set(&c->read_deadline, due > now ? due - now : 1);
}

void server_websocket_tick(struct server_conn *c)
{
	struct http_websocket *ws = c->ws;
	uint64_t now = loop_now_ms(c->server->loop), ping = ping_ms(c);

	if (c->flying) /* the deadline of that write counts; a ping would only wait behind it */
		ws->heard_ms = ws->said_ms = now;
	if (ws->shut && !c->flying) {
		server_conn_close(c, false);
		return;
	}
	if (c->server->draining && ws->ev && !ws->told) {
		ws->told = true;
		ws->ev->on_shutdown(ws->user);
		if (!ws->ev) /* closed: that has a deadline of its own */
			return;
	}
	if (now - ws->heard_ms >= c->server->limits.idle_timeout_ms) {
		send_close(ws, WS_GOING_AWAY, STR("no answer to pings"));
		finish(c, "the client answered no pings");
		return;
	}
	if (now - later(ws->heard_ms, ws->pinged_ms) >= ping || now - ws->said_ms >= ping) {
		ws->pinged_ms = now;
		send_control(ws, WS_OP_PING, STR(""));
	}
	wait_for_silence(c);
}

/* --- birth --- */

void http_websocket_set_limits(struct http_websocket *ws,
			       const struct http_websocket_limits *limits)
{
	ws->limits = *limits;
}

bool http_websocket_draining(const struct http_websocket *ws)
{
	return ws->conn->server->draining;
}

struct str http_websocket_peer(const struct http_websocket *ws)
{
	return str_from(ws->conn->peer);
}

static bool put_head(struct http_request *r, const struct http_field *fields, unsigned n)
{
	struct buf *b = &r->conn->server->head;
	char accept[WS_ACCEPT_LEN + 1];

	buf_reset(b);
	http1_put_status(b, 101);
	buf_put(b, STR("Upgrade: websocket\r\nConnection: Upgrade\r\n"));
	http1_put_field(b, STR("Sec-WebSocket-Accept"),
			ws_accept(http_field_get(&r->head, STR("sec-websocket-key")), accept));
	for (unsigned i = 0; i < n; i++)
		http1_put_field(b, fields[i].name, fields[i].value);
	buf_put(b, server_date(r->conn->server));
	buf_put(b, STR("\r\n"));
	return buf_ok(b);
}

struct http_websocket *http_websocket_accept(struct http_request *r,
					     const struct http_field *fields, unsigned n,
					     const struct http_websocket_limits *limits,
					     const struct http_websocket_events *ev, void *user)
{
	struct server_conn *c = r->conn;
	struct http_websocket *ws;
	struct str head;

	if (!c || c->broken || c->server->draining || !put_head(r, fields, n))
		return NULL;
	ws = calloc(1, sizeof(*ws));
	if (ws)
		ws->reader = ws_reader_new();
	if (!ws || !ws->reader) {
		free(ws);
		return NULL;
	}
	*ws = (struct http_websocket){
		.conn = c, .reader = ws->reader, .limits = *limits, .ev = ev, .user = user
	};
	ws->heard_ms = ws->said_ms = loop_now_ms(c->server->loop);
	request_over(r);
	c->ws = ws;
	server_conn_upgraded(c);
	wait_for_silence(c);
	head = buf_str(&c->server->head);
	server_write(c, &head, 1);
	return ws;
}
