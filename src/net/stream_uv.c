/* net/stream_uv.c - TCP and Unix sockets as streams.
 *
 * The hard thing is what is not done: one read and one write per message and no other system
 * call, so nothing is stopped, started or timed here.
 */
#include "net/stream.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

struct uv_carrier {
	struct stream base;
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} h;
	uv_write_t write;
	union {
		uv_connect_t connect;
		uv_shutdown_t shutdown;
	} req; /* a stream is opened before it is shut down */
	bool closed;
};

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
	struct uv_carrier *c = LIST_ENTRY(h, struct uv_carrier, h);

	(void)suggested;
	ret->base = c->base.loop->read_buf;
	ret->len = LOOP_READ_BUF;
}

/* libuv calls a hang-up an end of file even where the peer has reset the connection; the socket
 * knows. */
static int end_status(struct uv_carrier *c, int status)
{
	int error = 0, fd;
	socklen_t len = sizeof(error);

	if (status != UV_EOF || uv_fileno(&c->h.handle, &fd) < 0)
		return status;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error
		       ? uv_translate_sys_error(error)
		       : status;
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
	struct uv_carrier *c = LIST_ENTRY(h, struct uv_carrier, h);

	if (c->closed || n == 0)
		return;
	if (n < 0) {
		c->base.ev->on_end(c->base.user, end_status(c, (int)n));
		return;
	}
	c->base.ev->on_read(c->base.user, (struct str){ b->base, (size_t)n });
	if (!c->closed && c->base.ev->on_read_done)
		c->base.ev->on_read_done(c->base.user);
}

static int carrier_read_start(struct stream *s)
{
	struct uv_carrier *c = (struct uv_carrier *)s;
	int rc = uv_read_start(&c->h.stream, on_alloc, on_read);

	return rc == UV_EALREADY ? 0 : rc;
}

static void carrier_read_stop(struct stream *s)
{
	uv_read_stop(&((struct uv_carrier *)s)->h.stream);
}

static unsigned to_bufs(const struct str *v, unsigned n, uv_buf_t *ret)
{
	unsigned k = 0;

	assert(n <= STREAM_IOV_MAX);
	for (unsigned i = 0; i < n; i++) {
		if (v[i].len > 0)
			ret[k++] = (uv_buf_t){ .base = (char *)v[i].ptr, .len = v[i].len };
	}
	return k;
}

static ssize_t carrier_try_write(struct stream *s, const struct str *v, unsigned n)
{
	uv_buf_t bufs[STREAM_IOV_MAX];
	unsigned k = to_bufs(v, n, bufs);
	int rc;

	if (k == 0)
		return 0;
	rc = uv_try_write(&((struct uv_carrier *)s)->h.stream, bufs, k);
	return rc == UV_EAGAIN ? 0 : rc;
}

static void on_written(uv_write_t *w, int status)
{
	struct uv_carrier *c = LIST_ENTRY(w, struct uv_carrier, write);

	if (!c->closed)
		c->base.ev->on_written(c->base.user, status);
}

static int carrier_write(struct stream *s, const struct str *v, unsigned n)
{
	struct uv_carrier *c = (struct uv_carrier *)s;
	uv_buf_t bufs[STREAM_IOV_MAX];
	unsigned k = to_bufs(v, n, bufs);

	return uv_write(&c->write, &c->h.stream, bufs, k, on_written);
}

static size_t carrier_pending(const struct stream *s)
{
	return uv_stream_get_write_queue_size(&((const struct uv_carrier *)s)->h.stream);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
	(void)req;
	(void)status; /* a peer that is gone already shows itself to the reader */
}

static void carrier_shutdown(struct stream *s)
{
	struct uv_carrier *c = (struct uv_carrier *)s;

	uv_shutdown(&c->req.shutdown, &c->h.stream, on_shutdown);
}

static void on_closed(uv_handle_t *h)
{
	free(LIST_ENTRY(h, struct uv_carrier, h));
}

static void carrier_close(struct stream *s, bool reset)
{
	struct uv_carrier *c = (struct uv_carrier *)s;

	if (c->closed)
		return;
	c->closed = true;
	if (reset && c->h.handle.type == UV_TCP && uv_tcp_close_reset(&c->h.tcp, on_closed) == 0)
		return;
	if (!uv_is_closing(&c->h.handle))
		uv_close(&c->h.handle, on_closed);
}

static const struct stream_vt vt_carrier = {
	.read_start = carrier_read_start,
	.read_stop = carrier_read_stop,
	.try_write = carrier_try_write,
	.write = carrier_write,
	.pending = carrier_pending,
	.shutdown = carrier_shutdown,
	.close = carrier_close,
};

static struct uv_carrier *carrier_new(struct loop *l, bool is_unix)
{
	struct uv_carrier *c = malloc(sizeof(*c));

	if (!c)
		return NULL;
	c->base = (struct stream){ .vt = &vt_carrier, .loop = l };
	c->closed = false;
	if (is_unix)
		uv_pipe_init(&l->uv, &c->h.pipe, 0);
	else
		uv_tcp_init(&l->uv, &c->h.tcp);
	return c;
}

struct stream *stream_from_fd(struct loop *l, int fd, bool is_unix)
{
	struct uv_carrier *c = carrier_new(l, is_unix);
	int rc;

	if (!c) {
		close(fd);
		return NULL;
	}
	rc = is_unix ? uv_pipe_open(&c->h.pipe, fd) : uv_tcp_open(&c->h.tcp, fd);
	if (rc < 0) {
		close(fd);
		carrier_close(&c->base, false);
		return NULL;
	}
	if (!is_unix)
		uv_tcp_nodelay(&c->h.tcp, 1);
	return &c->base;
}

static void on_connected(uv_connect_t *req, int status)
{
	struct uv_carrier *c = LIST_ENTRY(req, struct uv_carrier, req);

	if (c->closed)
		return;
	if (status == 0 && c->h.handle.type == UV_TCP)
		uv_tcp_nodelay(&c->h.tcp, 1);
	c->base.ev->on_open(c->base.user, status,
			    status < 0 ? str_from(uv_strerror(status)) : STR_NONE);
}

struct stream *stream_connect(struct loop *l, const struct sockaddr *addr,
			      const struct stream_events *ev, void *user, int *ret_status)
{
	struct uv_carrier *c = carrier_new(l, false);
	int rc;

	if (!c) {
		*ret_status = UV_ENOMEM;
		return NULL;
	}
	stream_own(&c->base, ev, user);
	rc = uv_tcp_connect(&c->req.connect, &c->h.tcp, addr, on_connected);
	if (rc < 0) {
		carrier_close(&c->base, false);
		*ret_status = rc;
		return NULL;
	}
	return &c->base;
}

struct stream *stream_connect_unix(struct loop *l, const char *path, const struct stream_events *ev,
				   void *user, int *ret_status)
{
	struct uv_carrier *c = carrier_new(l, true);

	if (!c) {
		*ret_status = UV_ENOMEM;
		return NULL;
	}
	stream_own(&c->base, ev, user);
	uv_pipe_connect(&c->req.connect, &c->h.pipe, path,
			on_connected); /* failures come to on_connected */
	return &c->base;
}
