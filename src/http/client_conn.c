/* http/client_conn.c - one connection to an upstream: opening, writing a request, reading the
 * answer, lying idle.
 *
 * The hard thing is the end of a connection during a write: an upstream may refuse a long
 * request early, answer, and close with our bytes unread. So a failed write does not end the
 * call; the reading side decides, which finds the answer or the end of the connection, and soon.
 */
#include <stdlib.h>

#include "http/client_parts.h"

enum {
	AFTER_FAILED_WRITE_MS = 2000,
	TRUST_MS = 10000,   /* for reading the certificates to trust, once */
	SEND_TOGETHER = 16, /* requests; with more, the first would wait for too long */
};

static struct str method_text(enum http_method m)
{
	switch (m) {
	case HTTP_GET:
		return STR("GET");
	case HTTP_HEAD:
		return STR("HEAD");
	case HTTP_POST:
		return STR("POST");
	case HTTP_PUT:
		return STR("PUT");
	case HTTP_DELETE:
		return STR("DELETE");
	case HTTP_OPTIONS:
		return STR("OPTIONS");
	case HTTP_PATCH:
		return STR("PATCH");
	case HTTP_OTHER:
		break;
	}
	return STR_NONE;
}

/* --- deadlines --- */

/* 0 in the options: no deadline. */
static void set(struct conn *conn, uint64_t in_ms)
{
	if (in_ms)
		deadline_set(&conn->deadline, in_ms);
	else
		deadline_clear(&conn->deadline);
}

void conn_arm(struct conn *conn)
{
	struct http_call *call = conn->call;
	const struct http_deadlines *d = &call->o.deadlines;

	if (call->write_failed && !call->answered)
		set(conn, AFTER_FAILED_WRITE_MS);
	else if (call->paused && !call->writing)
		deadline_clear(&conn->deadline);
	else if (call->state == CALL_WAITING)
		set(conn, d->first_byte_ms);
	else /* between two reads, or between two signs of progress of a slow write */
		set(conn, d->idle_ms);
}

static void on_busy_deadline(struct conn *conn)
{
	struct http_call *call = conn->call;

	if (call->write_failed && !call->answered) {
		call_failed(call, HTTP_FAIL_WRITE, STR("the upstream takes no more bytes"));
	} else if (call->writing) {
		size_t unsent = stream_pending(conn->stream);

		if (unsent < call->unsent) {
			call->unsent = unsent;
			conn_arm(conn);
		} else {
			call_failed(call, HTTP_FAIL_WRITE,
				    STR("the upstream stopped reading the request"));
		}
	} else if (call->state == CALL_WAITING) {
		call_failed(call, HTTP_FAIL_FIRST_BYTE_TIMEOUT,
			    STR("no byte of an answer in time"));
	} else {
		call_failed(call, HTTP_FAIL_IDLE_TIMEOUT,
			    STR("the upstream fell silent inside its answer"));
	}
}

static void on_deadline(struct deadline *d)
{
	struct conn *conn = LIST_ENTRY(d, struct conn, deadline);

	switch (conn->state) {
	case CONN_SHAKING:
		call_failed(conn->call, HTTP_FAIL_TLS_TIMEOUT,
			    STR("the TLS handshake did not end in time"));
		break;
	case CONN_BUSY:
		on_busy_deadline(conn);
		break;
	case CONN_IDLE:
		conn_close(conn);
		break;
	case CONN_DIALLING: /* the dial keeps its own */
	case CONN_CLOSED:
		break;
	}
}

/* --- writing --- */

static void put_head(struct buf *b, const struct http_call_options *o)
{
	buf_put(b, method_text(o->method));
	buf_putc(b, ' ');
	buf_put(b, o->path);
	buf_put(b, STR(" HTTP/1.1\r\n"));
	http1_put_field(b, STR("Host"), o->origin->host_header);
	for (unsigned i = 0; i < o->n_fields; i++)
		http1_put_field(b, o->fields[i].name, o->fields[i].value);
	if (o->body.len || o->method == HTTP_POST || o->method == HTTP_PUT ||
	    o->method == HTTP_PATCH) {
		buf_put(b, STR("Content-Length: "));
		buf_put_u64(b, o->body.len);
		buf_put(b, STR("\r\n"));
	}
	buf_put(b, STR("\r\n"));
}

static void written(struct conn *conn)
{
	struct http_call *call = conn->call;

	call->writing = false;
	if (call->state == CALL_WRITING)
		call->state = CALL_WAITING;
	conn_arm(conn);
}

/* The answer or the end of the connection is about to be read; see above. */
static void write_failed(struct conn *conn)
{
	conn->call->write_failed = true;
	conn->call->writing = false;
	conn_arm(conn);
}

static void write_rest(struct conn *conn, struct str head, struct str body, size_t taken)
{
	struct http_call *call = conn->call;
	struct str v[2];

	v[1] = str_from_offset(body, taken > head.len ? taken - head.len : 0);
	v[0] = str_from_offset(head, taken < head.len ? taken : head.len);
	/* client.head serves other calls meanwhile; the body is the caller's and stays */
	if (v[0].len) {
		buf_put(&conn->rest, v[0]);
		v[0] = buf_str(&conn->rest);
	}
	call->writing = true;
	if (!buf_ok(&conn->rest) || stream_write(conn->stream, v, 2) < 0) {
		write_failed(conn);
		return;
	}
	call->unsent = stream_pending(conn->stream);
	conn_arm(conn);
}

void conn_send(struct conn *conn)
{
	struct http_call *call = conn->call;
	struct buf *head = &conn->client->head;
	ssize_t n;

	conn->state = CONN_BUSY;
	call->state = CALL_WRITING;
	http1_expect(conn->parser, call->o.method);
	buf_reset(head);
	put_head(head, &call->o);
	struct str v[2] = { buf_str(head), call->o.body };

	n = buf_ok(head) ? stream_try_write(conn->stream, v, 2) : UV_ENOMEM;
	if (n < 0)
		write_failed(conn);
	else if ((size_t)n == v[0].len + v[1].len)
		written(conn);
	else
		write_rest(conn, v[0], v[1], (size_t)n);
}

/* As in server_write.c: the requests of a turn leave at its end, one right after the other. */
static void forget_unsent(struct conn *conn)
{
	if (!list_empty(&conn->unsent_node)) {
		list_remove(&conn->unsent_node);
		conn->client->n_unsent--;
	}
}

static void send_unsent(struct http_client *c)
{
	while (!list_empty(&c->unsent)) {
		struct conn *conn = LIST_ENTRY(c->unsent.next, struct conn, unsent_node);

		forget_unsent(conn);
		conn_send(conn);
	}
}

static void on_turn_end(struct loop_dead *turn_end)
{
	struct http_client *c = LIST_ENTRY(turn_end, struct http_client, turn_end);

	c->turn_end_due = false;
	send_unsent(c);
}

void conn_send_later(struct conn *conn)
{
	struct http_client *c = conn->client;

	conn->state = CONN_BUSY;
	conn->call->state = CALL_UNSENT;
	deadline_clear(&conn->deadline); /* of its idle time */
	if (c->n_unsent == SEND_TOGETHER)
		send_unsent(c);
	list_append(&c->unsent, &conn->unsent_node);
	c->n_unsent++;
	if (!c->turn_end_due)
		loop_free_later(c->loop, &c->turn_end, on_turn_end);
	c->turn_end_due = true;
}

static void on_written(void *user, int status)
{
	struct conn *conn = user;

	buf_done(&conn->rest);
	if (!conn->call)
		return;
	if (status < 0)
		write_failed(conn);
	else
		written(conn);
}

/* --- reading --- */

static void after_feed(struct conn *conn, bool left_over)
{
	struct http_call *call = conn->call;
	enum http1_error e = http1_error(conn->parser);

	if (call->doomed)
		call_failed(call, call->doom, STR_NONE);
	else if (call->whole)
		call_whole(call, !left_over);
	else if (e == HTTP1_E_NOMEM)
		call_failed(call, HTTP_FAIL_NOMEM, STR_NONE);
	else if (e != HTTP1_OK)
		call_failed(call, HTTP_FAIL_PROTOCOL, str_from(http1_error_text(e)));
	else
		conn_arm(conn);
}

static void on_read(void *user, struct str bytes)
{
	struct conn *conn = user;
	struct http_call *call = conn->call;

	if (!call) { /* nothing was asked for: never to be trusted again */
		conn_close(conn);
		return;
	}
	if (call->state == CALL_UNSENT) { /* an answer to what was not asked yet */
		call_failed(call, HTTP_FAIL_RESET, STR_NONE);
		return;
	}
	if (!call->answered) {
		call->answered = true;
		call->state = CALL_READING;
		call->stats.first_byte_ms = loop_now_ms(conn->client->loop) - call->started_at_ms;
	}
	while (bytes.len > 0) {
		size_t n = http1_feed(conn->parser, bytes);

		bytes = str_from_offset(bytes, n);
		if (conn->call != call) /* cancelled by a callback */
			return;
		if (n == 0 || call->whole || call->doomed || http1_error(conn->parser) != HTTP1_OK)
			break;
	}
	after_feed(conn, bytes.len > 0);
}

static void on_read_done(void *user)
{
	struct conn *conn = user;

	/* `answered`: on_end may have put a new call on this connection already */
	if (conn->call && conn->call->answered && conn->call->ev.on_read_done)
		conn->call->ev.on_read_done(conn->call->user);
}

static void on_end(void *user, int status)
{
	struct conn *conn = user;
	struct http_call *call = conn->call;

	if (!call) {
		conn_close(conn);
		return;
	}
	if (status == UV_EOF && call->answered) {
		http1_eof(conn->parser); /* ends a body that is delimited by the close */
		if (conn->call != call)
			return;
		if (call->doomed || call->whole) {
			if (call->whole)
				call->keep_alive = false;
			after_feed(conn, false);
			return;
		}
	}
	if (call->write_failed && !call->answered)
		call_failed(call, HTTP_FAIL_WRITE, str_from(uv_strerror(status)));
	else
		call_failed(call, status == UV_EOF ? HTTP_FAIL_EOF : HTTP_FAIL_RESET,
			    str_from(uv_strerror(status)));
}

/* --- opening --- */

static void ready(struct conn *conn)
{
	struct http_call *call = conn->call;

	call->stats.connect_ms = loop_now_ms(conn->client->loop) - call->started_at_ms;
	if (!call->paused && stream_read_start(conn->stream) < 0) {
		call_failed(call, HTTP_FAIL_CONNECT, STR("the new connection cannot be read"));
		return;
	}
	conn_send(conn);
}

static void on_open(void *user, int status, struct str detail)
{
	struct conn *conn = user;

	if (status < 0)
		call_failed(conn->call, HTTP_FAIL_TLS, detail);
	else
		ready(conn);
}

static const struct stream_events conn_events = {
	.on_read = on_read,
	.on_read_done = on_read_done,
	.on_end = on_end,
	.on_written = on_written,
	.on_open = on_open,
};

void conn_trusted(struct conn *conn, struct tls_ctx *ctx, struct str why_not)
{
	const struct http_call_options *o = &conn->call->o;

	if (!ctx) {
		call_failed(conn->call, HTTP_FAIL_TLS, why_not);
		return;
	}
	conn->stream = tls_client(conn->stream, ctx, o->origin->host, &conn_events, conn);
	if (!conn->stream)
		call_failed(conn->call, HTTP_FAIL_NOMEM, STR_NONE);
	else
		set(conn, o->deadlines.tls_ms);
}

static void start_tls(struct conn *conn)
{
	struct trust *t = trust_find(conn->client, conn->call->o.origin);

	conn->state = CONN_SHAKING;
	if (!t) {
		call_failed(conn->call, HTTP_FAIL_NOMEM, STR_NONE);
	} else if (!t->client) { /* made */
		conn_trusted(conn, t->ctx, STR_NONE);
	} else {
		list_append(&t->waiting, &conn->trust_node);
		deadline_set(&conn->deadline, TRUST_MS);
	}
}

static void on_dialled(void *user, struct stream *s)
{
	struct conn *conn = user;

	conn->dial = NULL;
	conn->stream = s;
	stream_own(s, &conn_events, conn);
	if (conn->call->o.origin->tls)
		start_tls(conn);
	else
		ready(conn);
}

static void on_dial_failed(void *user, enum dial_failure f, struct str detail)
{
	static const enum http_failure as[] = {
		[DIAL_DNS] = HTTP_FAIL_DNS,
		[DIAL_REFUSED] = HTTP_FAIL_CONNECT,
		[DIAL_TIMEOUT] = HTTP_FAIL_CONNECT_TIMEOUT,
		[DIAL_NOMEM] = HTTP_FAIL_NOMEM,
	};
	struct conn *conn = user;

	conn->dial = NULL;
	call_failed(conn->call, as[f], detail);
}

static const struct dial_events dial_events = { .on_open = on_dialled, .on_fail = on_dial_failed };

struct conn *conn_open(struct http_call *call, struct pool *p)
{
	struct http_client *c = call->client;
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->parser = http1_new(HTTP1_RESPONSES, &c->h1, &call_parser_callbacks, conn);
	if (conn->parser)
		conn->dial = dial_start(c->loop, c->dns, call->o.origin,
					call->o.deadlines.connect_ms, &dial_events, conn);
	if (!conn->dial) {
		http1_free(conn->parser);
		free(conn);
		return NULL;
	}
	conn->client = c;
	conn->pool = p;
	conn->call = call;
	conn->state = CONN_DIALLING;
	list_init(&conn->idle_node);
	list_init(&conn->trust_node);
	list_init(&conn->unsent_node);
	list_append(&c->conns, &conn->node);
	c->n_conns++;
	p->n_conns++;
	buf_init(&conn->rest, c->head.max);
	deadline_init(&conn->deadline, c->loop, on_deadline);
	call->state = CALL_OPENING;
	call->conn = conn;
	if (call->o.origin->tls) /* it is made, if it must be, while we dial */
		(void)trust_find(c, call->o.origin);
	return conn;
}

static void conn_free(struct deadline *d)
{
	struct conn *conn = LIST_ENTRY(d, struct conn, deadline);
	struct http_client *c = conn->client;

	http1_free(conn->parser);
	buf_done(&conn->rest);
	free(conn);
	if (--c->n_conns == 0 && c->closing)
		client_gone(c);
}

void conn_close(struct conn *conn)
{
	/* A peer that does not read would not see an end that stands behind our unsent bytes. */
	bool unsent = conn->state == CONN_BUSY && conn->call && conn->call->writing;

	if (conn->state == CONN_CLOSED)
		return;
	if (conn->state == CONN_IDLE) {
		list_remove(&conn->idle_node);
		conn->pool->n_idle--;
	}
	conn->state = CONN_CLOSED;
	conn->call = NULL;
	conn->pool->n_conns--;
	conn->pool = NULL;
	list_remove(&conn->node);
	list_remove(&conn->trust_node);
	forget_unsent(conn);
	dial_cancel(conn->dial);
	conn->dial = NULL;
	if (conn->stream && unsent)
		stream_reset(conn->stream);
	else if (conn->stream)
		stream_close(conn->stream);
	conn->stream = NULL;
	/* after this turn: a parser may be on the stack */
	deadline_close(&conn->deadline, conn_free);
}
