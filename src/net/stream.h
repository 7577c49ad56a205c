/* net/stream.h - one byte stream, whatever carries it: TCP, a Unix socket, TLS over either, or
 * memory (tests).
 *
 * The owner tries to write at once (stream_try_write) and hands the rest to stream_write(), one
 * write at a time, leaving the bytes alone until on_written. Reading stays armed: it is how a
 * leaving peer is seen.
 *
 * stream_close() may be called anywhere, callbacks included. Nothing is called back after it,
 * borrowed bytes are not read any more when it returns, and the stream frees itself later.
 */
#ifndef GW_NET_STREAM_H
#define GW_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/str.h"
#include "loop/loop.h"

struct stream;

enum { STREAM_IOV_MAX = 8 };

struct stream_events {
	/* MUST. Bytes came; valid during the call only (they may lie in loop->read_buf). */
	void (*on_read)(void *user, struct str bytes);
	/* MAY. Everything of one read of the socket has been delivered. */
	void (*on_read_done)(void *user);
	/* MUST. Nothing more comes: UV_EOF, or the negative UV error that ended the stream.
	 * Writing may go on after UV_EOF. */
	void (*on_end)(void *user, int status);
	/* MUST. The bytes of stream_write() have left (0) or never will (negative UV error). */
	void (*on_written)(void *user, int status);
	/* MAY, when the stream is born open. Connected or shaken hands (0), or failed; detail
	 * then says why. */
	void (*on_open)(void *user, int status, struct str detail);
};

struct stream_vt {
	int (*read_start)(struct stream *s); /* MUST; 0 or a negative UV error */
	void (*read_stop)(struct stream *s); /* MUST */
	ssize_t (*try_write)(struct stream *s, const struct str *v, unsigned n); /* MUST */
	int (*write)(struct stream *s, const struct str *v, unsigned n);         /* MUST */
	size_t (*pending)(const struct stream *s);                               /* MUST */
	void (*shutdown)(struct stream *s);                                      /* MUST */
	void (*close)(struct stream *s, bool reset);                             /* MUST */
};

/* The head of every kind of stream; only net/ looks inside. */
struct stream {
	const struct stream_vt *vt;
	struct loop *loop;
	const struct stream_events *ev;
	void *user;
};

/* Whom to tell from now on; before reading starts. `ev` is borrowed. */
static inline void stream_own(struct stream *s, const struct stream_events *ev, void *user)
{
	s->ev = ev;
	s->user = user;
}

static inline int stream_read_start(struct stream *s)
{
	return s->vt->read_start(s);
}

static inline void stream_read_stop(struct stream *s)
{
	s->vt->read_stop(s);
}

/* Writes what can leave now: the number of bytes taken (0: none at present, or a write is under
 * way), or a negative UV error. n <= STREAM_IOV_MAX. */
static inline ssize_t stream_try_write(struct stream *s, const struct str *v, unsigned n)
{
	return s->vt->try_write(s, v, n);
}

/* Sends all of `v` in its own time; on_written follows, never inside. One at a time. The slices
 * are copied, their bytes borrowed. 0 or a negative UV error (then no on_written). */
static inline int stream_write(struct stream *s, const struct str *v, unsigned n)
{
	return s->vt->write(s, v, n);
}

/* Bytes of stream_write() not yet taken by the kernel. */
static inline size_t stream_pending(const struct stream *s)
{
	return s->vt->pending(s);
}

/* Closes the writing side; not while a write is under way. */
static inline void stream_shutdown(struct stream *s)
{
	s->vt->shutdown(s);
}

static inline void stream_close(struct stream *s)
{
	s->vt->close(s, false);
}

/* Closes so that the peer sees a reset rather than an end, where the carrier can tell them
 * apart. */
static inline void stream_reset(struct stream *s)
{
	s->vt->close(s, true);
}

/* An accepted socket (non-blocking). Takes the descriptor, closing it on failure too. NULL when
 * that fails. */
struct stream *stream_from_fd(struct loop *l, int fd, bool is_unix);
/* Connects to an address; on_open tells. NULL on failure, with the negative UV error in
 * *ret_status. */
struct stream *stream_connect(struct loop *l, const struct sockaddr *addr,
			      const struct stream_events *ev, void *user, int *ret_status);
struct stream *stream_connect_unix(struct loop *l, const char *path, const struct stream_events *ev,
				   void *user, int *ret_status);

/* Two ends of a pipe in memory. At most `window` bytes are under way in each direction, and a
 * reader gets at most `piece` at a time (0: all). False when memory is out. */
bool stream_mem_pair(struct loop *l, size_t window, size_t piece, struct stream *ret[2]);

#endif
