/* http/server_conn.c - one client connection: reading, pipelining, its states and its end.
 *
 * Reading never stops while a request is being worked on, because that is how a leaving client
 * is seen; what comes meanwhile is kept, up to KEPT_STOP.
 *
 * The hard thing is that any callback may answer, and so end, the request: the parse loop looks
 * at the state again after each step, and whatever would start the next request from within
 * somebody's call waits for server_conn_kick().
 */
#include <assert.h>
#include <stdlib.h>

#include "http/server_parts.h"

/* The only place where the state changes; each comes with its list and its deadline. */
static void conn_set(struct server_conn *c, enum conn_state state)
{
	struct http_server *s = c->server;
	const struct http_server_limits *l = &s->limits;

	c->state = state;
	list_remove(&c->node);
	list_append(state == CONN_IDLE ? &s->idle : &s->busy, &c->node);
	switch (state) {
	case CONN_SHAKING:
	case CONN_HEAD:
		deadline_set(&c->read_deadline, l->head_timeout_ms);
		break;
	case CONN_IDLE:
		c->idle_at_ms = loop_now_ms(s->loop);
		deadline_set(&c->read_deadline, l->idle_timeout_ms);
		break;
	case CONN_DRAIN:
		deadline_set(&c->read_deadline, l->body_timeout_ms);
		break;
	case CONN_LINGER:
		deadline_set(&c->read_deadline, LINGER_MS);
		break;
	case CONN_CUT:
		deadline_set(&c->read_deadline, CUT_MS);
		break;
	case CONN_REQUEST: /* http_request_read_body() sets it */
	case CONN_SOCKET:  /* server_websocket.c does */
	case CONN_FLUSH:   /* the write deadline counts */
		deadline_clear(&c->read_deadline);
		break;
	case CONN_CLOSED:
		list_remove(&c->node);
		break;
	}
}

/* --- the end --- */

static void conn_free(struct server_conn *c)
{
	struct http_server *s = c->server;

	http1_free(c->parser);
	buf_done(&c->in);
	buf_done(&c->out);
	buf_done(&c->fly);
	server_websocket_free(c->ws);
	free(c);
	server_conn_freed(s);
}

static void on_write_deadline_closed(struct deadline *d)
{
	conn_free(LIST_ENTRY(d, struct server_conn, write_deadline));
}

static void on_read_deadline_closed(struct deadline *d)
{
	struct server_conn *c = LIST_ENTRY(d, struct server_conn, read_deadline);

	deadline_close(&c->write_deadline, on_write_deadline_closed);
}

static void close_conn(struct server_conn *c, bool reset, const char *why)
{
	if (c->state == CONN_CLOSED)
		return;
	assert(!c->req);
	conn_set(c, CONN_CLOSED);
	list_remove(&c->kick.node);
	server_forget_output(c);
	if (reset)
		stream_reset(c->stream);
	else
		stream_close(c->stream);
	deadline_clear(&c->write_deadline);
	/* after this turn: the parser may be on the stack */
	deadline_close(&c->read_deadline, on_read_deadline_closed);
	server_conn_closed(c->server);
	server_websocket_over(c, why);
}

void server_conn_close(struct server_conn *c, bool reset)
{
	close_conn(c, reset, "the connection was closed");
}

void server_conn_gone(struct server_conn *c, const char *why)
{
	struct http_request *r = c->req;

	if (r)
		request_over(r);
	close_conn(c, c->reset, why);
	if (r && r->ev.on_gone)
		r->ev.on_gone(r->user, why);
}

/* Shuts our side and lets the peer finish: closing with unread bytes would send a reset, which
 * can overtake the answer. */
static void linger(struct server_conn *c)
{
	conn_set(c, CONN_LINGER);
	buf_done(&c->in);
	stream_shutdown(c->stream);
	if (c->held && stream_read_start(c->stream) < 0)
		server_conn_close(c, false);
}

/* Many clients throw away what they have received and not yet looked at when the connection breaks: the
 * end of the answer, which says what went wrong, gets a moment's start. */
static void cut(struct server_conn *c)
{
	conn_set(c, CONN_CUT);
	buf_done(&c->in);
}

static void finish(struct server_conn *c)
{
	if (c->cut)
		cut(c);
	else if (c->linger && !c->reset)
		linger(c);
	else
		server_conn_close(c, c->reset);
}

/* --- from one request to the next --- */

static void next(struct server_conn *c)
{
	if (server_pending(c) > 0) {
		conn_set(c, CONN_FLUSH);
		return;
	}
	if (c->last) {
		finish(c);
		return;
	}
	conn_set(c, c->message_ended ? CONN_IDLE : CONN_DRAIN);
	if (c->feeding)
		return;
	if (buf_len(&c->in) > 0)
		server_conn_kick(c);
	else if (c->server->draining && c->state == CONN_IDLE)
		server_conn_close(c, false);
}

void server_conn_answered(struct server_conn *c)
{
	if (c->broken)
		conn_set(c, CONN_FLUSH); /* until the kick that is on its way */
	else if (c->state != CONN_CLOSED)
		next(c);
}

void server_conn_flushed(struct server_conn *c)
{
	if (c->state == CONN_FLUSH)
		next(c);
}

static void on_kick(struct loop_dead *kick)
{
	struct server_conn *c = LIST_ENTRY(kick, struct server_conn, kick);

	c->kicked = false;
	if (c->broken)
		server_conn_gone(c, c->broken);
	else
		server_conn_go_on(c);
}

void server_conn_kick(struct server_conn *c)
{
	if (c->kicked)
		return;
	c->kicked = true;
	loop_free_later(c->server->loop, &c->kick, on_kick);
}

/* --- reading --- */

static bool can_parse(const struct server_conn *c)
{
	switch (c->state) {
	case CONN_IDLE:
	case CONN_HEAD:
		return !c->in_call;
	case CONN_DRAIN:
		return true;
	case CONN_REQUEST:
		return c->req->wants_body;
	case CONN_SHAKING:
	case CONN_FLUSH:
	case CONN_SOCKET:
	case CONN_LINGER:
	case CONN_CUT:
	case CONN_CLOSED:
		break;
	}
	return false;
}

static void parse_failed(struct server_conn *c, enum http1_error e)
{
	int status = http1_error_status(e);
	struct str text = str_from(http1_error_text(e));

	switch (c->state) {
	case CONN_IDLE:
	case CONN_HEAD:
		conn_set(c, CONN_REQUEST);
		request_refuse(c, status, text);
		break;
	case CONN_REQUEST:
		request_body_fail(c->req, status, text);
		break;
	case CONN_DRAIN: /* answered already */
	case CONN_SHAKING:
	case CONN_FLUSH:
	case CONN_SOCKET:
	case CONN_LINGER:
	case CONN_CUT:
	case CONN_CLOSED:
		server_conn_close(c, false);
		break;
	}
}

/* Acts on what the parser found. */
static void parsed(struct server_conn *c)
{
	switch (c->state) {
	case CONN_IDLE:
	case CONN_HEAD:
		if (c->no_memory) {
			server_conn_close(c, false);
		} else if (c->req) {
			c->served = true;
			conn_set(c, CONN_REQUEST);
			request_begin(c);
		}
		break;
	case CONN_REQUEST:
		request_body_progress(c->req);
		break;
	case CONN_DRAIN:
		if (c->message_ended)
			next(c);
		break;
	case CONN_SHAKING:
	case CONN_FLUSH:
	case CONN_SOCKET:
	case CONN_LINGER:
	case CONN_CUT:
	case CONN_CLOSED:
		break;
	}
}

/* Consumes a prefix of `bytes`: all that may be looked at now. */
static size_t parse(struct server_conn *c, struct str bytes)
{
	size_t done = 0;

	c->feeding = true;
	while (done < bytes.len && can_parse(c)) {
		done += http1_feed(c->parser, str_from_offset(bytes, done));
		enum http1_error e = http1_error(c->parser);

		if (e != HTTP1_OK) {
			parse_failed(c, e);
			break;
		}
		parsed(c);
	}
	c->feeding = false;
	return done;
}

/* After a read: the deadline of what has come only in part. */
static void settle(struct server_conn *c)
{
	if (c->state == CONN_IDLE && http1_in_message(c->parser))
		conn_set(c, CONN_HEAD);
	else if (c->state == CONN_REQUEST && c->req->wants_body)
		deadline_set(&c->read_deadline, c->server->limits.body_timeout_ms);
	else if (c->state == CONN_IDLE && c->server->draining && c->served)
		server_conn_close(c, false);
}

static bool is_dropping(const struct server_conn *c)
{
	return (c->state == CONN_FLUSH && c->last) ||
	       (c->state == CONN_REQUEST && c->req->body_failed);
}

static void keep(struct server_conn *c, struct str bytes)
{
	if (is_dropping(c)) {
		c->linger = true;
		return;
	}
	buf_put(&c->in, bytes);
	if (!buf_ok(&c->in)) {
		server_conn_gone(c, "no memory for what the client sends");
		return;
	}
	if (buf_len(&c->in) > KEPT_STOP && !c->held) {
		c->held = true;
		stream_read_stop(c->stream);
	}
}

/* What comes now is for nobody. */
static bool is_over(const struct server_conn *c)
{
	return c->state == CONN_LINGER || c->state == CONN_CUT || c->state == CONN_CLOSED;
}

static void on_read(void *user, struct str bytes)
{
	struct server_conn *c = user;

	if (is_over(c)) {
		c->lingered += bytes.len;
		if (c->lingered > LINGER_MAX)
			server_conn_close(c, false);
		return;
	}
	size_t n = buf_len(&c->in) ? 0 : parse(c, bytes);

	if (is_over(c))
		return;
	if (c->state == CONN_SOCKET && !buf_len(&c->in)) {
		server_websocket_read(c, str_from_offset(bytes, n));
		return;
	}
	if (n < bytes.len)
		keep(c, str_from_offset(bytes, n));
	settle(c);
}

/* The first bytes of a WebSocket, which came together with requests. */
static void read_kept(struct server_conn *c)
{
	struct buf in = c->in;

	buf_init(&c->in, KEPT_MAX);
	server_websocket_read(c, buf_str(&in));
	buf_done(&in);
}

void server_conn_upgraded(struct server_conn *c)
{
	conn_set(c, CONN_SOCKET);
	if (buf_len(&c->in) && !c->feeding)
		server_conn_kick(c);
}

void server_conn_go_on(struct server_conn *c)
{
	if (c->feeding || c->state == CONN_CLOSED)
		return;
	if (buf_len(&c->in)) {
		size_t n = parse(c, buf_str(&c->in));

		if (is_over(c))
			return;
		buf_consume(&c->in, n);
		if (!buf_len(&c->in))
			buf_done(&c->in);
	}
	if (c->state == CONN_SOCKET && buf_len(&c->in))
		read_kept(c);
	if (is_over(c))
		return;
	if (c->held && buf_len(&c->in) <= KEPT_STOP) {
		c->held = false;
		if (stream_read_start(c->stream) < 0) {
			server_conn_gone(c, "the connection cannot be read any more");
			return;
		}
	}
	settle(c);
}

/* How long a new connection is waited for. */
static uint64_t first_head_ms(const struct http_server *s)
{
	uint64_t ms = s->limits.head_timeout_ms;

	return s->draining && ms > FRESH_MS ? FRESH_MS : ms;
}

void server_conn_drain(struct server_conn *c)
{
	if (c->state == CONN_SOCKET)
		server_websocket_drain(c);
	else if (c->state != CONN_IDLE)
		return;
	else if (c->served)
		server_conn_close(c, false);
	else /* its first request is on its way: whoever connects is answered */
		deadline_set(&c->read_deadline, first_head_ms(c->server));
}

static void on_end(void *user, int status)
{
	struct server_conn *c = user;

	if (c->state == CONN_FLUSH && status == UV_EOF)
		c->last = true; /* it may have closed one side only, and still read the answer */
	else if (c->req || c->state == CONN_SOCKET)
		server_conn_gone(c, status == UV_EOF ? "the client closed the connection"
						     : uv_strerror(status));
	else
		server_conn_close(c, false);
}

static void on_written(void *user, int status)
{
	server_written(user, status);
}

static void on_open(void *user, int status, struct str detail)
{
	struct server_conn *c = user;

	(void)detail;
	if (status < 0) {
		server_conn_close(c, false);
		return;
	}
	conn_set(c, CONN_IDLE);
	deadline_set(&c->read_deadline, first_head_ms(c->server));
}

static const struct stream_events conn_events = {
	.on_read = on_read,
	.on_end = on_end,
	.on_written = on_written,
	.on_open = on_open,
};

static void on_read_deadline(struct deadline *d)
{
	struct server_conn *c = LIST_ENTRY(d, struct server_conn, read_deadline);

	if (c->state == CONN_HEAD) {
		conn_set(c, CONN_REQUEST);
		request_refuse(c, 408, STR("The request's headers did not arrive in time."));
	} else if (c->state == CONN_REQUEST) {
		request_body_fail(c->req, 408, STR("The request's body did not arrive in time."));
	} else if (c->state == CONN_SOCKET) {
		server_websocket_tick(c);
	} else {
		server_conn_close(c, c->reset);
	}
}

static void on_write_deadline(struct deadline *d)
{
	server_write_deadline(LIST_ENTRY(d, struct server_conn, write_deadline));
}

/* --- birth --- */

struct server_conn *server_conn_new(struct http_server *s, struct stream *stream,
				    struct tls_ctx *tls, const char *peer)
{
	struct server_conn *c = calloc(1, sizeof(*c));

	if (c)
		c->parser = http1_new(HTTP1_REQUESTS, &s->h1, &server_parser_callbacks, c);
	if (c && c->parser && tls)
		stream = tls_server(stream, tls, &conn_events, c);
	if (!c || !c->parser || !stream) {
		if (stream)
			stream_close(stream);
		if (c)
			http1_free(c->parser);
		free(c);
		return NULL;
	}
	c->server = s;
	c->stream = stream;
	c->message_ended = true;
	list_init(&c->node);
	list_init(&c->waiting_node);
	list_init(&c->kick.node);
	buf_init(&c->in, KEPT_MAX);
	buf_init(&c->out, ANSWER_DATA_MAX);
	buf_init(&c->fly, ANSWER_DATA_MAX);
	memcpy(c->peer, peer, strnlen(peer, sizeof(c->peer) - 1));
	deadline_init(&c->read_deadline, s->loop, on_read_deadline);
	deadline_init(&c->write_deadline, s->loop, on_write_deadline);
	stream_own(stream, &conn_events, c);
	conn_set(c, tls ? CONN_SHAKING : CONN_IDLE);
	deadline_set(&c->read_deadline, first_head_ms(s));
	if (stream_read_start(stream) < 0) {
		s->n_conns++; /* as the close will count it out */
		server_conn_close(c, false);
		return NULL;
	}
	return c;
}
