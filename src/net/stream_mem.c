/* net/stream_mem.c - a pair of streams in memory, for tests of what stands above.
 *
 * The hard thing is to behave like a socket: nothing is delivered inside a write, a full window
 * takes no more, and a closed end is an end of file for the other only after all bytes before
 * it.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/buf.h"
#include "net/stream.h"

struct mem_pipe; /* both ends; freed with the second */

struct mem_end {
	struct stream base;
	struct mem_pipe *pipe;
	struct mem_end *peer;
	struct buf in;                   /* written by the peer, not read yet */
	struct str left[STREAM_IOV_MAX]; /* of a write under way */
	unsigned n_left;
	bool reading, shut, closed, reset, end_told;
};

struct mem_pipe {
	struct mem_end end[2];
	struct loop_dead kick;
	bool kicked;
	size_t window, piece;
};

static void run(struct loop_dead *kick);

static void wake(struct mem_pipe *p)
{
	if (p->kicked)
		return;
	p->kicked = true;
	loop_free_later(p->end[0].base.loop, &p->kick, run);
}

static size_t take(struct mem_end *e, const struct str *v, unsigned n)
{
	size_t taken = 0;

	for (unsigned i = 0; i < n; i++) {
		size_t room = e->pipe->window - buf_len(&e->peer->in);
		struct str s = v[i];

		if (s.len > room)
			s.len = room;
		buf_put(&e->peer->in, s);
		taken += s.len;
	}
	assert(buf_ok(&e->peer->in));
	if (taken)
		wake(e->pipe);
	return taken;
}

static ssize_t mem_try_write(struct stream *s, const struct str *v, unsigned n)
{
	struct mem_end *e = (struct mem_end *)s;

	if (e->peer->closed || e->shut)
		return UV_EPIPE;
	if (e->n_left)
		return 0;
	return (ssize_t)take(e, v, n);
}

static int mem_write(struct stream *s, const struct str *v, unsigned n)
{
	struct mem_end *e = (struct mem_end *)s;

	assert(e->n_left == 0 && n > 0 && n <= STREAM_IOV_MAX);
	for (unsigned i = 0; i < n; i++)
		e->left[i] = v[i];
	e->n_left = n;
	wake(e->pipe);
	return 0;
}

static size_t mem_pending(const struct stream *s)
{
	const struct mem_end *e = (const struct mem_end *)s;
	size_t sum = 0;

	for (unsigned i = 0; i < e->n_left; i++)
		sum += e->left[i].len;
	return sum;
}

static int mem_read_start(struct stream *s)
{
	struct mem_end *e = (struct mem_end *)s;

	e->reading = true;
	wake(e->pipe);
	return 0;
}

static void mem_read_stop(struct stream *s)
{
	((struct mem_end *)s)->reading = false;
}

static void mem_shutdown(struct stream *s)
{
	((struct mem_end *)s)->shut = true;
	wake(((struct mem_end *)s)->pipe);
}

static void mem_close(struct stream *s, bool reset)
{
	struct mem_end *e = (struct mem_end *)s;

	e->closed = true;
	e->reset = reset || buf_len(&e->in) > 0;
	e->n_left = 0;
	wake(e->pipe);
}

static void push_write(struct mem_end *e)
{
	if (e->closed || !e->n_left)
		return;
	if (e->peer->closed) {
		e->n_left = 0;
		e->base.ev->on_written(e->base.user, UV_EPIPE);
		return;
	}
	size_t n = take(e, e->left, e->n_left);

	for (unsigned i = 0; i < e->n_left; i++) {
		size_t k = n < e->left[i].len ? n : e->left[i].len;

		e->left[i] = str_from_offset(e->left[i], k);
		n -= k;
	}
	if (mem_pending(&e->base) > 0)
		return;
	e->n_left = 0;
	e->base.ev->on_written(e->base.user, 0);
}

static void deliver(struct mem_end *e)
{
	struct mem_pipe *p = e->pipe;
	char copy[4096];

	if (e->closed || !e->reading || e->end_told)
		return;
	size_t n = buf_len(&e->in);

	if (n == 0 || e->peer->reset) {
		if (!e->peer->closed && !e->peer->shut)
			return;
		e->end_told = true;
		e->base.ev->on_end(e->base.user, e->peer->reset ? UV_ECONNRESET : UV_EOF);
		return;
	}
	if (p->piece && n > p->piece)
		n = p->piece;
	if (n > sizeof(copy))
		n = sizeof(copy);
	memcpy(copy, buf_str(&e->in).ptr, n);
	buf_consume(&e->in, n);
	wake(p); /* for the rest, and for a writer that waits for room */
	e->base.ev->on_read(e->base.user, (struct str){ copy, n });
	if (!e->closed && e->base.ev->on_read_done)
		e->base.ev->on_read_done(e->base.user);
}

static void run(struct loop_dead *kick)
{
	struct mem_pipe *p = LIST_ENTRY(kick, struct mem_pipe, kick);

	for (int i = 0; i < 2; i++)
		push_write(&p->end[i]);
	for (int i = 0; i < 2; i++)
		deliver(&p->end[i]);
	p->kicked = false;
	if (p->end[0].closed && p->end[1].closed) {
		buf_done(&p->end[0].in);
		buf_done(&p->end[1].in);
		free(p);
		return;
	}
	for (int i = 0; i < 2; i++) {
		struct mem_end *e = &p->end[i];
		bool ended = e->peer->closed || e->peer->shut;

		if (!e->closed && e->reading && !e->end_told && (buf_len(&e->in) || ended))
			wake(p);
		if (!e->closed && e->n_left &&
		    (e->peer->closed || buf_len(&e->peer->in) < p->window))
			wake(p);
	}
}

static const struct stream_vt vt_mem = {
	.read_start = mem_read_start,
	.read_stop = mem_read_stop,
	.try_write = mem_try_write,
	.write = mem_write,
	.pending = mem_pending,
	.shutdown = mem_shutdown,
	.close = mem_close,
};

bool stream_mem_pair(struct loop *l, size_t window, size_t piece, struct stream *ret[2])
{
	struct mem_pipe *p = calloc(1, sizeof(*p));

	if (!p)
		return false;
	p->window = window;
	p->piece = piece;
	for (int i = 0; i < 2; i++) {
		p->end[i].base = (struct stream){ .vt = &vt_mem, .loop = l };
		p->end[i].pipe = p;
		p->end[i].peer = &p->end[1 - i];
		buf_init(&p->end[i].in, window);
		ret[i] = &p->end[i].base;
	}
	return true;
}
