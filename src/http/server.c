/* http/server.c - the server of one worker: listeners, the set of connections, drain and end.
 *
 * The hard thing is being full: accepting pauses, and idle keep-alive connections, oldest first,
 * make room for callers who wait (RFC 9112 section 9.5 lets a server close an idle connection at
 * any time).
 */
#include "http/server.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/server_parts.h"

enum {
	ROOM_RETRY_MS = 250,
	ROOM_IDLE_MS = 1000, /* idle for so long: may be closed to make room */
	ROOM_AT_ONCE = 16,
	LAST_CALL_MS = 100, /* a handshake takes one round trip more */
	CHUNK_EXT_MAX = 1024,
};

/* --- the set of connections --- */

static void pause_accepting(struct http_server *s, bool pause)
{
	s->paused = pause;
	for (unsigned i = 0; i < s->n_listeners; i++) {
		if (pause)
			listener_pause(s->listeners[i].listener);
		else
			listener_resume(s->listeners[i].listener);
	}
}

static bool is_full(const struct http_server *s)
{
	return s->limits.max_connections && s->n_conns >= s->limits.max_connections;
}

static void end_idle(struct http_server *s, unsigned most)
{
	uint64_t now = loop_now_ms(s->loop);

	while (most-- > 0 && !list_empty(&s->idle)) {
		struct server_conn *c = LIST_ENTRY(s->idle.next, struct server_conn, node);

		if (c->state != CONN_IDLE || now - c->idle_at_ms < ROOM_IDLE_MS)
			return;
		server_conn_close(c, false);
	}
}

static void make_room(struct http_server *s)
{
	if (!is_full(s))
		return;
	pause_accepting(s, true);
	end_idle(s, 1);
	if (s->paused)
		deadline_set(&s->room, ROOM_RETRY_MS);
}

static void close_listeners(struct http_server *s)
{
	while (s->n_listeners > 0) {
		struct server_listener *l = &s->listeners[--s->n_listeners];

		listener_finish(l->listener);
		tls_ctx_free(l->tls);
	}
	s->paused = false;
	deadline_clear(&s->room);
}

static void on_room(struct deadline *d)
{
	struct http_server *s = LIST_ENTRY(d, struct http_server, room);

	if (s->draining)
		close_listeners(s);
	else
		make_room(s);
}

void server_conn_closed(struct http_server *s)
{
	s->n_conns--;
	s->n_closing++;
	if (s->paused && !is_full(s))
		pause_accepting(s, false);
}

static void server_free(struct loop_dead *dead)
{
	struct http_server *s = LIST_ENTRY(dead, struct http_server, dead);
	void (*closed)(void *user) = s->closed;
	void *user = s->closed_user;

	while (s->n_spare > 0)
		buf_done(&s->spare[--s->n_spare]);
	buf_done(&s->head);
	free(s);
	if (closed)
		closed(user);
}

static void free_when_nothing_left(struct http_server *s)
{
	if (s->closing && s->n_conns == 0 && s->n_closing == 0 && s->n_own == 0)
		loop_free_later(s->loop, &s->dead, server_free);
}

void server_conn_freed(struct http_server *s)
{
	s->n_closing--;
	free_when_nothing_left(s);
}

static void accept_conn(struct http_server *s, struct stream *stream, struct tls_ctx *tls,
			const char *peer)
{
	if (!server_conn_new(s, stream, tls, peer))
		return; /* no memory: the stream is closed */
	s->n_conns++;
	make_room(s);
}

static void on_accept(void *user, struct stream *stream, const char *peer)
{
	struct server_listener *l = user;

	accept_conn(l->server, stream, l->tls, peer);
}

static void on_exhausted(void *user, bool exhausted)
{
	struct server_listener *l = user;

	if (exhausted)
		end_idle(l->server, ROOM_AT_ONCE);
}

static const struct listener_events listener_events = { .on_accept = on_accept,
							.on_exhausted = on_exhausted };

void server_adopt(struct http_server *s, struct stream *stream, const char *peer)
{
	accept_conn(s, stream, NULL, peer);
}

/* --- what connections share --- */

struct str server_date(struct http_server *s)
{
	int64_t now = clock_wall_s();

	if (now != s->date_s) {
		time_t t = (time_t)now;
		struct tm tm;

		gmtime_r(&t, &tm);
		strftime(s->date, sizeof(s->date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
		s->date_s = now;
	}
	return str_from(s->date);
}

struct buf server_spare_buf(struct http_server *s)
{
	struct buf b;

	if (s->n_spare > 0)
		return s->spare[--s->n_spare];
	buf_init(&b, ANSWER_DATA_MAX);
	return b;
}

void server_keep_buf(struct http_server *s, struct buf *b)
{
	if (!b->max) /* none was taken */
		return;
	if (s->n_spare == SPARE_BUFS || b->cap == 0 || b->cap > SPARE_BUF_MAX || b->failed) {
		buf_done(b);
	} else {
		buf_reset(b);
		s->spare[s->n_spare++] = *b;
	}
	*b = (struct buf){ 0 };
}

/* --- the interface --- */

void http_server_set_limits(struct http_server *s, const struct http_server_limits *limits)
{
	s->limits = *limits;
	s->h1 = (struct http1_limits){
		.max_target = limits->max_target,
		.max_head = limits->max_head,
		.max_fields = limits->max_fields,
		.max_chunk_ext = CHUNK_EXT_MAX,
	};
	if (s->paused && !is_full(s))
		pause_accepting(s, false);
}

struct http_server *http_server_new(struct loop *l, const struct http_server_limits *limits,
				    const struct http_handler *handler)
{
	struct http_server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = l;
	s->handler = *handler;
	http_server_set_limits(s, limits);
	list_init(&s->idle);
	list_init(&s->busy);
	list_init(&s->waiting);
	buf_init(&s->head, ANSWER_HEAD_MAX);
	deadline_init(&s->room, l, on_room);
	s->n_own = 1;
	return s;
}

int http_server_listen(struct http_server *s, const struct http_listener_options *o,
		       struct err *reterr)
{
	struct listener_options lo = {
		.host = o->host,
		.port = o->port,
		.unix_path = o->unix_path,
		.reuse_port = o->reuse_port,
	};
	struct server_listener *l = &s->listeners[s->n_listeners];

	if (s->n_listeners == LISTENERS_MAX)
		return err_set(reterr, RC_TOOBIG, "more than %d listeners", LISTENERS_MAX);
	*l = (struct server_listener){ .server = s };
	if (str_present(o->tls_certificate)) {
		l->tls = tls_server_ctx(o->tls_certificate, o->tls_key, reterr);
		if (!l->tls)
			return RC_INVALID;
	}
	l->listener = listener_open(s->loop, &lo, &listener_events, l, reterr);
	if (!l->listener) {
		tls_ctx_free(l->tls);
		return RC_IO;
	}
	s->n_listeners++;
	return RC_OK;
}

uint16_t http_server_port(const struct http_server *s)
{
	return s->n_listeners ? listener_port(s->listeners[0].listener) : 0;
}

void http_server_drain(struct http_server *s)
{
	bool wait = s->n_listeners > 0;

	s->draining = true;
	for (unsigned i = 0; i < s->n_listeners; i++)
		wait = listener_last_call(s->listeners[i].listener) && wait;
	if (wait)
		deadline_set(&s->room, LAST_CALL_MS);
	else
		close_listeners(s);
	LIST_EACH_SAFE (&s->idle, it, tmp)
		server_conn_drain(LIST_ENTRY(it, struct server_conn, node));
	LIST_EACH_SAFE (&s->busy, it, tmp)
		server_conn_drain(LIST_ENTRY(it, struct server_conn, node));
}

bool http_server_listening(const struct http_server *s)
{
	return s->n_listeners > 0;
}

unsigned http_server_connections(const struct http_server *s)
{
	return s->n_conns;
}

static void on_room_closed(struct deadline *d)
{
	struct http_server *s = LIST_ENTRY(d, struct http_server, room);

	s->n_own--;
	free_when_nothing_left(s);
}

void http_server_close(struct http_server *s, void (*done)(void *user), void *user)
{
	assert(!s->closing);
	s->closed = done;
	s->closed_user = user;
	http_server_drain(s);
	close_listeners(s);
	while (!list_empty(&s->idle))
		server_conn_close(LIST_ENTRY(s->idle.next, struct server_conn, node), false);
	while (!list_empty(&s->busy))
		server_conn_gone(LIST_ENTRY(s->busy.next, struct server_conn, node),
				 "the server closes");
	s->closing = true;
	deadline_close(&s->room, on_room_closed);
}
