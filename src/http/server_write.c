/* http/server_write.c - answers on their way out.
 *
 *	head, frame, data -> out --end of the turn--> try_write --what is left--> fly (with the stream)
 *
 * What the connections have to say leaves at the end of the loop's turn, one write right after the
 * other: to wake a sleeping peer costs more than the write, and a peer that the first write has
 * woken is awake for the rest.
 *
 * The hard thing is a client that goes while its answer is being written: the writer above is on
 * the stack then. So a failed write only marks the connection; on_gone comes when the stack is
 * empty, and what is written until then is dropped.
 */
#include <assert.h>

#include "http/server_parts.h"

enum {
	WRITE_TOGETHER = 16,  /* connections; with more, the first would wait for too long */
	COPY_MAX = 16 * 1024, /* longer output is written from where it lies, at once */
};

/* --- bytes --- */

void server_break_off(struct server_conn *c, const char *why)
{
	c->broken = why;
	buf_done(&c->out);
	server_forget_output(c);
	server_conn_kick(c);
}

static void fly(struct server_conn *c)
{
	struct buf b = c->fly;
	struct str bytes;

	assert(!c->flying);
	c->fly = c->out;
	c->out = b;
	bytes = buf_str(&c->fly);
	int rc = stream_write(c->stream, &bytes, 1);

	if (rc < 0) {
		server_break_off(c, uv_strerror(rc));
		return;
	}
	c->flying = true;
	if (c->req) /* not by the low mark: a reload may move it meanwhile */
		c->req->waited = true;
	if (c->ws)
		server_websocket_waits(c->ws);
	c->unsent = stream_pending(c->stream);
	deadline_set(&c->write_deadline, c->server->limits.write_timeout_ms);
}

/* Some output has left; all of it unless more is flying. */
static void flushed(struct server_conn *c)
{
	struct http_request *r = c->req;

	if (!c->flying)
		server_conn_flushed(c);
	if (c->state == CONN_SOCKET)
		server_websocket_flushed(c);
	if (r && c->req == r && r->waited && server_pending(c) < c->server->limits.write_low) {
		r->waited = false;
		if (r->ev.on_drain)
			r->ev.on_drain(r->user);
	}
}

/* Sends what is in `out`, and hands to the stream what the kernel does not take. */
static void send_out(struct server_conn *c)
{
	struct str bytes = buf_str(&c->out);
	ssize_t taken = stream_try_write(c->stream, &bytes, 1);

	if (taken < 0) {
		server_break_off(c, uv_strerror((int)taken));
		return;
	}
	buf_consume(&c->out, (size_t)taken);
	if (buf_len(&c->out) || stream_pending(c->stream)) {
		fly(c);
		return;
	}
	server_keep_buf(c->server, &c->out);
	buf_init(&c->out, ANSWER_DATA_MAX);
	flushed(c);
}

void server_forget_output(struct server_conn *c)
{
	if (!list_empty(&c->waiting_node)) {
		list_remove(&c->waiting_node);
		c->server->n_waiting--;
	}
}

static void send_waiting(struct http_server *s)
{
	while (!list_empty(&s->waiting)) {
		struct server_conn *c =
			LIST_ENTRY(s->waiting.next, struct server_conn, waiting_node);

		server_forget_output(c);
		send_out(c);
	}
}

static void on_turn_end(struct loop_dead *turn_end)
{
	struct http_server *s = LIST_ENTRY(turn_end, struct http_server, turn_end);

	s->turn_end_due = false;
	send_waiting(s);
}

static void send_later(struct server_conn *c)
{
	struct http_server *s = c->server;

	if (!list_empty(&c->waiting_node))
		return;
	if (s->n_waiting == WRITE_TOGETHER)
		send_waiting(s);
	list_append(&s->waiting, &c->waiting_node);
	s->n_waiting++;
	if (!s->turn_end_due)
		loop_free_later(s->loop, &s->turn_end, on_turn_end);
	s->turn_end_due = true;
}

static bool is_long(const struct str *v, unsigned n)
{
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += v[i].len;
	return len > COPY_MAX;
}

void server_write(struct server_conn *c, const struct str *v, unsigned n)
{
	bool at_once = !c->flying && !buf_len(&c->out) && is_long(v, n);
	ssize_t taken = 0;

	if (c->broken || c->state == CONN_CLOSED)
		return;
	if (at_once)
		taken = stream_try_write(c->stream, v, n);
	if (taken < 0) {
		server_break_off(c, uv_strerror((int)taken));
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		size_t k = (size_t)taken < v[i].len ? (size_t)taken : v[i].len;

		taken -= (ssize_t)k;
		if (k == v[i].len)
			continue;
		if (!c->out.cap)
			c->out = server_spare_buf(c->server);
		buf_put(&c->out, str_from_offset(v[i], k));
	}
	if (!buf_ok(&c->out))
		server_break_off(c, "no memory for what the client does not take");
	else if (!c->flying && buf_len(&c->out) && !at_once)
		send_later(c);
	else if (!c->flying && (buf_len(&c->out) || stream_pending(c->stream)))
		fly(c); /* also with nothing of ours: TLS may have taken all and not sent it yet */
}

size_t server_pending(const struct server_conn *c)
{
	return buf_len(&c->out) + (c->flying ? stream_pending(c->stream) : 0);
}

void server_written(struct server_conn *c, int status)
{
	c->flying = false;
	buf_done(&c->fly); /* idle connections hold no buffers */
	deadline_clear(&c->write_deadline);
	if (status < 0) {
		server_conn_gone(c, uv_strerror(status));
		return;
	}
	if (buf_len(&c->out))
		fly(c);
	if (c->broken)
		return;
	flushed(c);
}

void server_write_deadline(struct server_conn *c)
{
	size_t unsent = stream_pending(c->stream);

	if (unsent < c->unsent) {
		c->unsent = unsent;
		deadline_set(&c->write_deadline, c->server->limits.write_timeout_ms);
		return;
	}
	c->reset = true; /* nobody reads what is queued */
	server_conn_gone(c, "the client stopped reading");
}

/* --- heads --- */

/* The connection may carry a further request after this answer. */
static bool may_keep(const struct http_request *r)
{
	const struct server_conn *c = r->conn;

	if (!r->keep_alive || c->last || c->server->draining)
		return false;
	if (c->message_ended)
		return true;
	/* A short rest of the body is read and dropped; unless the client still waits to be told
	 * to send it. */
	return r->head.content_length >= 0 &&
	       r->head.content_length - (int64_t)r->body_got <= DRAIN_MAX &&
	       (!r->head.expect_continue || r->continued);
}

static bool status_without_body(int status)
{
	return status < 200 || status == 204 || status == 304;
}

/* Everything but the framing and the empty line. */
static struct buf *begin_head(struct http_request *r, int status, const struct http_field *fields,
			      unsigned n)
{
	struct server_conn *c = r->conn;
	struct buf *b = &c->server->head;

	if (!may_keep(r)) {
		c->last = true;
		c->linger |= !c->message_ended || buf_len(&c->in) > 0;
	}
	buf_reset(b);
	http1_put_status(b, status);
	for (unsigned i = 0; i < n; i++)
		http1_put_field(b, fields[i].name, fields[i].value);
	buf_put(b, server_date(c->server));
	if (c->last)
		buf_put(b, STR("Connection: close\r\n"));
	else if (r->head.minor == 0)
		buf_put(b, STR("Connection: keep-alive\r\n"));
	r->head_out = true;
	return b;
}

static void over(struct http_request *r)
{
	struct server_conn *c = r->conn;

	request_over(r);
	server_conn_answered(c);
}

/* --- whole answers --- */

void http_respond(struct http_request *r, int status, const struct http_field *fields, unsigned n,
		  struct str body)
{
	if (!r->conn)
		return;
	assert(!r->head_out);
	struct buf *b = begin_head(r, status, fields, n);

	if (!status_without_body(status)) {
		buf_put(b, STR("Content-Length: "));
		buf_put_u64(b, body.len);
		buf_put(b, STR("\r\n"));
	}
	buf_put(b, STR("\r\n"));
	if (status_without_body(status) || r->head.method == HTTP_HEAD)
		body.len = 0;
	struct str v[2] = { buf_str(b), body };

	if (buf_ok(b))
		server_write(r->conn, v, 2);
	else
		server_break_off(r->conn, "no memory for the answer's head");
	over(r);
}

/* --- streamed answers --- */

void http_respond_head(struct http_request *r, int status, const struct http_field *fields,
		       unsigned n)
{
	if (!r->conn)
		return;
	assert(!r->head_out);
	r->no_content = status_without_body(status) || r->head.method == HTTP_HEAD;
	r->chunked = r->head.minor > 0 && !status_without_body(status);
	if (r->head.minor == 0)
		r->keep_alive = false; /* the end of the connection is the end of the body */
	struct buf *b = begin_head(r, status, fields, n);

	if (r->chunked)
		buf_put(b, STR("Transfer-Encoding: chunked\r\n"));
	buf_put(b, STR("\r\n"));
	r->answer_head = buf_ok(b) ? arena_dup(r->arena, buf_str(b)) : STR_NONE;
	if (!r->answer_head.ptr)
		server_break_off(r->conn, "no memory for the answer's head");
}

struct buf *http_respond_buf(struct http_request *r)
{
	if (!r->data.max) {
		if (r->conn)
			r->data = server_spare_buf(r->conn->server);
		else
			buf_init(&r->data, ANSWER_DATA_MAX);
	}
	return &r->data;
}

void http_respond_write(struct http_request *r, struct str bytes)
{
	buf_put(http_respond_buf(r), bytes);
}

/* The end of a chunked body, with the fields that stand there. */
static struct str last_chunk(struct server_conn *c, const struct http_field *trailers, unsigned n)
{
	struct buf *b = &c->server->head;

	if (!n)
		return http1_last_chunk;
	buf_reset(b);
	buf_put(b, STR("0\r\n"));
	for (unsigned i = 0; i < n; i++)
		http1_put_field(b, trailers[i].name, trailers[i].value);
	buf_put(b, STR("\r\n"));
	return buf_ok(b) ? buf_str(b) : http1_last_chunk;
}

/* `last`: the framing's end, STR_NONE where the body goes on. */
static void put_out(struct http_request *r, struct str last)
{
	struct server_conn *c = r->conn;
	struct str data = r->data.max ? buf_str(&r->data) : STR("");
	char frame[24];
	struct buf size = { .ptr = frame, .cap = sizeof(frame), .max = sizeof(frame) };
	struct str v[5] = { r->answer_head };
	unsigned n = 1;

	if (r->data.failed) {
		server_break_off(c, "no memory for the answer");
		return;
	}
	if (data.len && !r->no_content) {
		if (r->chunked) {
			http1_put_chunk_head(&size, data.len);
			v[n++] = buf_str(&size);
		}
		v[n++] = data;
		if (r->chunked)
			v[n++] = STR("\r\n");
	}
	if (str_present(last) && r->chunked && !r->no_content)
		v[n++] = last;
	server_write(c, v, n);
	r->answer_head = STR("");
	if (r->data.max)
		buf_reset(&r->data);
}

void http_respond_flush(struct http_request *r)
{
	assert(r->head_out || !r->conn);
	if (r->conn && !r->conn->broken)
		put_out(r, STR_NONE);
}

size_t http_respond_pending(const struct http_request *r)
{
	if (!r->conn || r->conn->broken)
		return 0;
	/* What is only to leave at the end of the turn does not wait for the client. */
	return (r->conn->flying ? server_pending(r->conn) : 0) + r->answer_head.len +
	       (r->data.max ? buf_len(&r->data) : 0);
}

void http_respond_end_with(struct http_request *r, const struct http_field *trailers, unsigned n)
{
	if (!r->conn)
		return;
	assert(r->head_out);
	if (!r->conn->broken)
		put_out(r, last_chunk(r->conn, trailers, n));
	over(r);
}

void http_respond_end(struct http_request *r)
{
	http_respond_end_with(r, NULL, 0);
}

void http_respond_abort(struct http_request *r)
{
	struct server_conn *c = r->conn;

	if (!c)
		return;
	if (!c->broken && r->head_out)
		put_out(r, STR_NONE);
	c->last = true;
	c->cut = r->head_out;
	c->reset = r->head_out && !r->chunked &&
		   !r->no_content; /* or the end would look like the body's */
	over(r);
}
