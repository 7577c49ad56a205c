/* http/server_request.c - a request: its head, its body, its refusal.
 *
 * The hard thing is the body's size: what is declared is checked before a byte is read, what is
 * chunked as it grows, and memory is taken as bytes come, never on the word of a Content-Length.
 */
#include <assert.h>
#include <stdlib.h>

#include "http/server_parts.h"

enum {
	SMALL_BODY = 32 * 1024, /* that comes in one piece goes to the arena */
	REFUSAL_MAX = 64 * 1024,
};

/* --- the head, copied --- */

/* All slices of a head lie in one run of bytes, so one copy and an offset do; what does not lie
 * there is copied by itself. */
struct move {
	struct arena *arena;
	uintptr_t from, end;
	char *to;
	bool failed;
};

static struct str moved(struct move *m, struct str s)
{
	uintptr_t at = (uintptr_t)s.ptr;

	if (!s.ptr || s.len == 0)
		return s.ptr ? STR("") : s;
	if (at >= m->from && at + s.len <= m->end)
		return (struct str){ m->to + (at - m->from), s.len };
	s = arena_dup(m->arena, s);
	m->failed |= !s.ptr;
	return s;
}

static bool copy_head(struct arena *a, const struct http_head *h, struct http_head *ret)
{
	struct move m = { .arena = a, .from = (uintptr_t)h->method_text.ptr };
	const struct http_field *last = h->n_fields ? &h->fields[h->n_fields - 1] : NULL;
	struct str tail = !last ? h->target : last->value.len ? last->value : last->name;

	*ret = *h;
	m.end = (uintptr_t)tail.ptr + tail.len;
	if (m.end < m.from || m.end - m.from > UINT32_MAX)
		m.end = m.from;
	m.to = arena_alloc_raw(a, m.end - m.from + 1);
	ret->fields = arena_alloc_raw(a, (h->n_fields + 1) * sizeof(*ret->fields));
	if (!m.to || !ret->fields)
		return false;
	memcpy(m.to, h->method_text.ptr, m.end - m.from);
	ret->method_text = moved(&m, h->method_text);
	ret->target = moved(&m, h->target);
	ret->path = moved(&m, h->path);
	ret->query = moved(&m, h->query);
	for (unsigned i = 0; i < h->n_fields; i++) {
		ret->fields[i].name = moved(&m, h->fields[i].name);
		ret->fields[i].value = moved(&m, h->fields[i].value);
	}
	return !m.failed;
}

/* --- life --- */

static struct http_request *request_new(struct server_conn *c, const struct http_head *head)
{
	struct arena *a = arena_new(c->server->limits.arena_max);
	struct http_request *r = a ? arena_alloc(a, sizeof(*r)) : NULL;

	if (!r || (head && !copy_head(a, head, &r->head))) {
		arena_free(a);
		return NULL;
	}
	if (!head) {
		r->no_head = true;
		r->head = (struct http_head){ .minor = 1, .content_length = -1 };
	}
	r->conn = c;
	r->peer = c->peer;
	r->arena = a;
	r->keep_alive = r->head.keep_alive;
	c->req = r;
	return r;
}

static void request_free(struct loop_dead *dead)
{
	struct http_request *r = LIST_ENTRY(dead, struct http_request, dead);

	if (r->body.max)
		buf_done(&r->body);
	if (r->data.max)
		buf_done(&r->data);
	arena_free(r->arena);
}

/* The memory stays as it is until the turn is over. */
void request_over(struct http_request *r)
{
	struct server_conn *c = r->conn;

	c->req = NULL;
	r->conn = NULL;
	server_keep_buf(c->server, &r->data);
	loop_free_later(c->server->loop, &r->dead, request_free);
}

/* --- what the parser finds --- */

static enum http1_next on_head(void *user, const struct http_head *head)
{
	struct server_conn *c = user;

	c->message_ended = false;
	c->no_memory = !request_new(c, head);
	return HTTP1_PAUSE;
}

static bool put_body(struct http_request *r, struct str bytes)
{
	if (r->body_got == 0 && bytes.len <= SMALL_BODY &&
	    r->head.content_length == (int64_t)bytes.len) {
		r->whole = arena_dup(r->arena, bytes);
		if (r->whole.ptr)
			return true;
	}
	if (!r->body.max)
		buf_init(&r->body, r->body_max);
	buf_put(&r->body, bytes);
	return buf_ok(&r->body);
}

static enum http1_next on_body(void *user, struct str bytes)
{
	struct server_conn *c = user;
	struct http_request *r = c->req;

	if (!r) /* CONN_DRAIN */
		return HTTP1_GO;
	if (bytes.len > r->body_max - r->body_got) {
		r->body_too_large = true;
		return HTTP1_PAUSE;
	}
	if (!put_body(r, bytes)) {
		r->body_no_memory = true;
		return HTTP1_PAUSE;
	}
	r->body_got += bytes.len;
	return HTTP1_GO;
}

static void on_message_end(void *user)
{
	((struct server_conn *)user)->message_ended = true;
}

const struct http1_callbacks server_parser_callbacks = { .on_head = on_head,
							 .on_body = on_body,
							 .on_end = on_message_end };

/* --- on to the handler --- */

void request_begin(struct server_conn *c)
{
	struct http_request *r = c->req;

	if (!r->head.chunked && r->head.content_length <= 0)
		http1_feed(c->parser, STR("")); /* nothing follows: the end is due */
	if (r->head.expect_unknown)
		request_refuse(c, 417,
			       STR("The only expectation that can be met is 100-continue."));
	else
		c->server->handler.on_request(r, c->server->handler.user);
}

/* What came of a head that was refused may still tell which protocol was meant. */
static void guess_path(struct http_request *r, const struct http1_parser *p)
{
	struct str target = http1_target_start(p);

	r->head.path = str_cut(&target, '?');
}

void request_refuse(struct server_conn *c, int status, struct str message)
{
	const struct http_handler *h = &c->server->handler;
	struct http_request *r = c->req ? c->req : request_new(c, NULL);
	struct http_field type = { STR("Content-Type"), STR("text/plain") };
	struct buf body;

	c->last = c->linger = true;
	if (!r) {
		server_conn_close(c, false);
		return;
	}
	if (r->no_head)
		guess_path(r, c->parser);
	buf_init(&body, REFUSAL_MAX);
	h->refuse(r->head.path.len ? &r->head : NULL, status, message, r->arena, &body, &type.value,
		  h->user);
	http_respond(r, status, &type, 1, buf_str(&body));
	buf_done(&body);
}

/* --- the body --- */

static void tell_body(struct http_request *r)
{
	r->wants_body = false;
	r->body_told = true;
	deadline_clear(&r->conn->read_deadline);
	r->ev.on_body(r->user, r->whole.ptr ? r->whole : r->body.max ? buf_str(&r->body) : STR(""));
}

void request_body_fail(struct http_request *r, int status, struct str message)
{
	r->wants_body = false;
	r->body_failed = true;
	r->conn->last = r->conn->linger = true;
	deadline_clear(&r->conn->read_deadline);
	if (r->body.max)
		buf_done(&r->body);
	r->ev.on_body_failed(r->user, status, message);
}

void request_body_progress(struct http_request *r)
{
	if (r->body_too_large)
		request_body_fail(r, 413,
				  STR("The request's body is larger than what is accepted here."));
	else if (r->body_no_memory)
		request_body_fail(
			r, 503, STR("There is no memory for the request's body; try again later."));
	else if (r->conn->message_ended)
		tell_body(r);
}

void http_request_read_body(struct http_request *r, size_t max)
{
	struct server_conn *c = r->conn;

	if (!c || c->broken || r->wants_body || r->body_told || r->body_failed)
		return;
	r->body_max = max;
	if (c->message_ended) {
		tell_body(r);
		return;
	}
	if (r->head.content_length > 0 && (uint64_t)r->head.content_length > max) {
		r->body_too_large = true;
		request_body_progress(r);
		return;
	}
	r->wants_body = true;
	deadline_set(&c->read_deadline, c->server->limits.body_timeout_ms);
	if (r->head.expect_continue && !r->continued && !buf_len(&c->in)) {
		struct str go = STR("HTTP/1.1 100 Continue\r\n\r\n");

		r->continued = true;
		server_write(c, &go, 1);
	}
	c->in_call = true;
	server_conn_go_on(c);
	c->in_call = false;
	if (c->state == CONN_IDLE && buf_len(&c->in))
		server_conn_kick(c);
}

/* --- accessors --- */

const struct http_head *http_request_head(const struct http_request *r)
{
	return &r->head;
}

struct arena *http_request_arena(struct http_request *r)
{
	return r->arena;
}

struct str http_request_peer(const struct http_request *r)
{
	return str_from(r->peer);
}

void http_request_set_user(struct http_request *r, void *user, const struct http_request_events *ev)
{
	r->user = user;
	r->ev = *ev;
}
