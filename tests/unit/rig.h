/* tests/unit/rig.h - a loop to test on, and plain peers at the other end of real sockets.
 *
 * Everything runs in the test's own thread: RUN_UNTIL turns the loop until a condition holds,
 * and fails the test when it does not within GUARD_MS. A peer keeps what it received and sends
 * what it is told, nothing else.
 */
#ifndef GW_TESTS_RIG_H
#define GW_TESTS_RIG_H

#include <stdlib.h>
#include <unistd.h>

#include "check.h"

#include "base/buf.h"
#include "loop/loop.h"
#include "net/listener.h"
#include "net/stream.h"

enum { GUARD_MS = 20000, PEERS_MAX = 64 };

struct rig {
	struct loop loop;
	uv_timer_t tick; /* so that a condition that came true between two waits is seen */
	uint64_t until_ms;
};

static inline uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static inline void rig_tick(uv_timer_t *tick)
{
	(void)tick;
}

static inline void rig_init(struct rig *r)
{
	*r = (struct rig){ .until_ms = 0 };
	assert_int_equal(loop_init(&r->loop, NULL), RC_OK);
	uv_timer_init(&r->loop.uv, &r->tick);
}

static inline void rig_done(struct rig *r)
{
	uv_close((uv_handle_t *)&r->tick, NULL);
	loop_done(&r->loop);
}

#define RUN_UNTIL(rig, condition)                                  \
	do {                                                       \
		(rig)->until_ms = now_ms() + GUARD_MS;             \
		uv_update_time(&(rig)->loop.uv);                   \
		uv_timer_start(&(rig)->tick, rig_tick, 5, 5);      \
		while (!(condition)) {                             \
			if (now_ms() > (rig)->until_ms)            \
				fail_msg("never: %s", #condition); \
			uv_run(&(rig)->loop.uv, UV_RUN_ONCE);      \
		}                                                  \
		uv_timer_stop(&(rig)->tick);                       \
	} while (0)

/* Turns the loop while something is ready, `n` times over: for "and nothing else happens". */
static inline void rig_settle(struct rig *r, int n)
{
	while (n-- > 0)
		uv_run(&r->loop.uv, UV_RUN_NOWAIT);
}

/* --- peers --- */

struct peer {
	struct rig *rig;
	struct stream *stream; /* NULL when closed by us */
	struct buf got;
	struct buf sending;
	bool open, ended, writing;
	int end_status, open_status;
};

static inline void peer_read(void *user, struct str bytes)
{
	buf_put(&((struct peer *)user)->got, bytes);
}

static inline void peer_end(void *user, int status)
{
	((struct peer *)user)->ended = true;
	((struct peer *)user)->end_status = status;
}

static inline void peer_written(void *user, int status)
{
	struct peer *p = user;

	(void)status;
	p->writing = false;
	buf_done(&p->sending);
}

static inline void peer_open(void *user, int status, struct str detail)
{
	struct peer *p = user;

	(void)detail;
	p->open = status == 0;
	p->open_status = status;
	if (p->open)
		assert_int_equal(stream_read_start(p->stream), 0);
}

static const struct stream_events peer_events = {
	.on_read = peer_read,
	.on_end = peer_end,
	.on_written = peer_written,
	.on_open = peer_open,
};

static inline struct peer *peer_new(struct rig *r, struct stream *s)
{
	struct peer *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->rig = r;
	p->stream = s;
	buf_init(&p->got, 256 * 1024 * 1024);
	buf_init(&p->sending, 256 * 1024 * 1024);
	if (s) {
		p->open = true;
		stream_own(s, &peer_events, p);
		assert_int_equal(stream_read_start(s), 0);
	}
	return p;
}

/* Connected when it returns. */
static inline struct peer *peer_connect(struct rig *r, uint16_t port)
{
	struct peer *p = peer_new(r, NULL);
	struct sockaddr_in a;
	int status = 0;

	uv_ip4_addr("127.0.0.1", port, &a);
	p->stream = stream_connect(&r->loop, (struct sockaddr *)&a, &peer_events, p, &status);
	assert_non_null(p->stream);
	RUN_UNTIL(r, p->open);
	return p;
}

static inline void peer_close(struct peer *p)
{
	if (p->stream)
		stream_close(p->stream);
	p->stream = NULL;
}

static inline void peer_reset(struct peer *p)
{
	stream_reset(p->stream);
	p->stream = NULL;
}

static inline void peer_free(struct peer *p)
{
	peer_close(p);
	rig_settle(p->rig, 2); /* what was being written is with the stream no longer */
	buf_done(&p->got);
	buf_done(&p->sending);
	free(p);
}

/* All of it, sooner or later. */
static inline void peer_send(struct peer *p, struct str bytes)
{
	ssize_t n;

	RUN_UNTIL(p->rig, !p->writing);
	n = stream_try_write(p->stream, &bytes, 1);
	if (n < 0 || (size_t)n == bytes.len)
		return;
	buf_put(&p->sending, str_from_offset(bytes, (size_t)n));
	bytes = buf_str(&p->sending);
	p->writing = true;
	assert_int_equal(stream_write(p->stream, &bytes, 1), 0);
}

static inline void peer_sends(struct peer *p, const char *text)
{
	peer_send(p, str_from(text));
}

static inline bool peer_has(const struct peer *p, const char *text)
{
	return str_find(buf_str(&p->got), str_from(text)) >= 0;
}

static inline unsigned peer_count(const struct peer *p, const char *text)
{
	struct str rest = buf_str(&p->got), needle = str_from(text);
	unsigned n = 0;

	for (ptrdiff_t at; (at = str_find(rest, needle)) >= 0; n++)
		rest = str_from_offset(rest, (size_t)at + needle.len);
	return n;
}

/* --- a listening end: every connection becomes a peer --- */

struct host {
	struct rig *rig;
	struct listener *listener;
	struct peer *peers[PEERS_MAX];
	unsigned n_peers;
	bool deaf; /* peers do not read */
};

static inline void host_accept(void *user, struct stream *s, const char *name)
{
	struct host *h = user;

	assert_non_null(name);
	assert_true(h->n_peers < PEERS_MAX);
	h->peers[h->n_peers] = peer_new(h->rig, s);
	if (h->deaf)
		stream_read_stop(s);
	h->n_peers++;
}

static const struct listener_events host_events = { .on_accept = host_accept };

static inline void host_init(struct host *h, struct rig *r)
{
	*h = (struct host){ .rig = r };
	h->listener =
		listener_open(&r->loop, &(struct listener_options){ .host = STR("127.0.0.1") },
			      &host_events, h, NULL);
	assert_non_null(h->listener);
}

static inline void host_done(struct host *h)
{
	listener_close(h->listener);
	for (unsigned i = 0; i < h->n_peers; i++)
		peer_free(h->peers[i]);
}

#endif
