/* http/client_call.c - calls: from a request to exactly one of on_end and on_error.
 *
 * The hard thing is the one replay. A pooled connection may have been closed by the peer just
 * before we wrote; then the request was not processed and goes out again on a new connection.
 * Once a byte of an answer has come, or on a connection that was new, nobody can know, and the
 * call fails.
 */
#include <assert.h>
#include <stdlib.h>

#include "http/client_parts.h"

enum { FREE_CALLS_KEPT = 1024 };

const char *http_failure_name(enum http_failure f)
{
	switch (f) {
	case HTTP_FAIL_DNS:
		return "dns";
	case HTTP_FAIL_CONNECT:
		return "connect";
	case HTTP_FAIL_CONNECT_TIMEOUT:
		return "connect_timeout";
	case HTTP_FAIL_TLS:
		return "tls";
	case HTTP_FAIL_TLS_TIMEOUT:
		return "tls_timeout";
	case HTTP_FAIL_WRITE:
		return "write";
	case HTTP_FAIL_FIRST_BYTE_TIMEOUT:
		return "first_byte_timeout";
	case HTTP_FAIL_IDLE_TIMEOUT:
		return "idle_timeout";
	case HTTP_FAIL_RESET:
		return "reset";
	case HTTP_FAIL_EOF:
		return "eof";
	case HTTP_FAIL_PROTOCOL:
		return "protocol";
	case HTTP_FAIL_ENCODING:
		return "encoding";
	case HTTP_FAIL_NOMEM:
		return "memory";
	}
	return "unknown";
}

/* --- the end of a call --- */

static void call_recycle(struct loop_dead *dead)
{
	struct http_call *call = LIST_ENTRY(dead, struct http_call, dead);
	struct http_client *c = call->client;

	if (c->closing || c->n_free_calls == FREE_CALLS_KEPT) {
		free(call);
		return;
	}
	list_prepend(&c->free_calls, &call->node);
	c->n_free_calls++;
}

/* The memory stays as it is until the turn is over. */
static void call_over(struct http_call *call)
{
	call->state = CALL_OVER;
	call->conn = NULL;
	call->decoder = decoder_free(call->decoder);
	list_remove(&call->node);
	list_remove(&call->dead.node);
	loop_free_later(call->client->loop, &call->dead, call_recycle);
}

static void drop_conn(struct http_call *call)
{
	struct conn *conn = call->conn;

	call->conn = NULL;
	if (conn)
		conn_close(conn);
}

static bool may_replay(const struct http_call *call, enum http_failure f)
{
	bool of_connection = f == HTTP_FAIL_EOF || f == HTTP_FAIL_RESET || f == HTTP_FAIL_WRITE;

	return of_connection && call->stats.reused && !call->answered && !call->o.no_replay;
}

void call_failed(struct http_call *call, enum http_failure f, struct str detail)
{
	bool replay = may_replay(call, f);
	struct pool *pool = call->conn->pool;

	drop_conn(call);
	if (replay) {
		call->stats.reused = false;
		call->stats.replayed = true;
		call->write_failed = call->writing = false;
		if (conn_open(call, pool)) /* a new one: the others in the pool are as old */
			return;
		f = HTTP_FAIL_NOMEM;
	}
	call_over(call);
	call->ev.on_error(call->user, f,
			  str_present(detail) ? detail : str_from(http_failure_name(f)));
}

void call_whole(struct http_call *call, bool reusable)
{
	struct conn *conn = call->conn;

	if (call->decoder && !decoder_complete(call->decoder)) {
		call_failed(call, HTTP_FAIL_ENCODING, STR("the compressed answer ends too early"));
		return;
	}
	if (reusable && call->keep_alive && !call->writing && !call->write_failed &&
	    stream_read_start(conn->stream) == 0) /* it may be paused */
		pool_put(conn);
	else
		conn_close(conn);
	call_over(call);
	call->ev.on_end(call->user);
}

/* --- what the parser finds --- */

static enum http1_next doom(struct http_call *call, enum http_failure f)
{
	call->doomed = true;
	call->doom = f;
	return HTTP1_PAUSE;
}

/* The connection may be closed, and the call over, after anything that was called back. */
static enum http1_next go_on(const struct conn *conn, const struct http_call *call)
{
	return conn->call == call ? HTTP1_GO : HTTP1_PAUSE;
}

static bool is_hidden(struct str name)
{
	return str_ieq(name, STR("content-encoding")) || str_ieq(name, STR("content-length"));
}

/* The head as it would be had the body come uncoded. */
static void show_decoded(struct http_call *call, const struct http_head *head)
{
	struct http_head shown = *head;

	shown.fields = call->client->shown;
	shown.n_fields = 0;
	shown.content_length = -1;
	for (unsigned i = 0; i < head->n_fields && shown.n_fields < call->client->limits.max_fields;
	     i++) {
		if (!is_hidden(head->fields[i].name))
			shown.fields[shown.n_fields++] = head->fields[i];
	}
	call->ev.on_head(call->user, &shown);
}

static bool has_body(const struct http_call *call, const struct http_head *head)
{
	return call->o.method != HTTP_HEAD && head->status != 204 && head->status != 304 &&
	       head->content_length != 0;
}

static enum http1_next on_head(void *user, const struct http_head *head)
{
	struct conn *conn = user;
	struct http_call *call = conn->call;
	enum coding coding;

	if (head->status < 200)
		return HTTP1_GO;
	call->head_done = true;
	call->keep_alive = head->keep_alive;
	coding = has_body(call, head) ? coding_of(http_field_get(head, STR("content-encoding")))
				      : CODING_IDENTITY;
	if (coding == CODING_UNKNOWN)
		return doom(call, HTTP_FAIL_ENCODING);
	if (coding == CODING_IDENTITY) {
		call->ev.on_head(call->user, head);
		return go_on(conn, call);
	}
	call->decoder = decoder_new(coding);
	if (!call->decoder)
		return doom(call, HTTP_FAIL_NOMEM);
	show_decoded(call, head);
	return go_on(conn, call);
}

static bool decoded(void *user, struct str bytes)
{
	struct conn *conn = user;
	struct http_call *call = conn->call;

	call->ev.on_body(call->user, bytes);
	return conn->call == call;
}

static enum http1_next on_body(void *user, struct str bytes)
{
	struct conn *conn = user;
	struct http_call *call = conn->call;

	if (!call->decoder) {
		call->ev.on_body(call->user, bytes);
		return go_on(conn, call);
	}
	/* The callbacks may cancel the call, and so end its decoder under zlib's feet: keep it
	 * for the moment. */
	struct decoder *d = call->decoder;

	call->decoder = NULL;
	enum decode_result r = decoder_feed(d, bytes, decoded, conn);

	if (conn->call != call) {
		decoder_free(d);
		return HTTP1_PAUSE;
	}
	call->decoder = d;
	return r == DECODE_OK ? HTTP1_GO : doom(call, HTTP_FAIL_ENCODING);
}

static void on_message_end(void *user)
{
	struct conn *conn = user;

	if (conn->call && conn->call->head_done) /* not a 1xx's */
		conn->call->whole = true;
}

const struct http1_callbacks call_parser_callbacks = {
	.on_head = on_head,
	.on_body = on_body,
	.on_end = on_message_end,
};

/* --- the interface --- */

static struct http_call *call_new(struct http_client *c)
{
	struct http_call *call;

	if (list_empty(&c->free_calls)) {
		call = malloc(sizeof(*call));
	} else {
		call = LIST_ENTRY(c->free_calls.next, struct http_call, node);
		list_remove(&call->node);
		c->n_free_calls--;
	}
	if (call)
		*call = (struct http_call){ .client = c };
	return call;
}

struct http_call *http_call_start(struct http_client *c, const struct http_call_options *o,
				  const struct http_call_events *ev, void *user)
{
	struct pool *pool = pool_find(c, o->origin);
	struct http_call *call = pool && !c->closing ? call_new(c) : NULL;

	if (!call)
		return NULL;
	assert(o->method != HTTP_OTHER && o->path.len > 0);
	call->o = *o;
	call->ev = *ev;
	call->user = user;
	call->started_at_ms = loop_now_ms(c->loop);
	list_init(&call->dead.node);
	list_append(&c->calls, &call->node);
	struct conn *conn = pool_take(pool);

	if (conn) {
		conn->call = call;
		call->conn = conn;
		call->stats.reused = true;
		conn_send_later(conn);
	} else if (!conn_open(call, pool)) {
		call_over(call);
		return NULL;
	}
	return call;
}

void http_call_cancel(struct http_call *call)
{
	if (call->state == CALL_OVER)
		return;
	drop_conn(call);
	call_over(call);
}

void http_call_pause(struct http_call *call)
{
	if (call->state == CALL_OVER || call->paused)
		return;
	call->paused = true;
	if (call->conn->state != CONN_BUSY)
		return;
	stream_read_stop(call->conn->stream);
	conn_arm(call->conn);
}

void http_call_resume(struct http_call *call)
{
	if (call->state == CALL_OVER || !call->paused)
		return;
	call->paused = false;
	if (call->conn->state != CONN_BUSY)
		return;
	/* A stream that cannot be read any more has said so already, or will by its deadline. */
	(void)stream_read_start(call->conn->stream);
	conn_arm(call->conn);
}

const struct http_call_stats *http_call_stats(const struct http_call *call)
{
	return &call->stats;
}

void http_call_set_idle(struct http_call *call, uint64_t idle_ms)
{
	if (call->state == CALL_OVER)
		return;
	call->o.deadlines.idle_ms = idle_ms;
	if (call->conn->state == CONN_BUSY)
		conn_arm(call->conn);
}
