/* base/buf.h - a growing byte buffer that is born with its maximum.
 *
 *	0 ........ pos ........ len ........ cap
 *	 consumed     readable     free            readable <= max
 *
 * (cap may pass max, up to twice, when bytes are consumed at the front of a full
 * buffer: the price of never moving the same bytes again and again.)
 *
 * Failure is sticky: when memory runs out or `max` would be passed, the buffer
 * frees what it holds, `.failed` is set, and every further put is a no-op; so a
 * run of puts needs one check at its end (buf_ok()). The memory is malloc'ed and
 * belongs to the buffer.
 */
#ifndef GW_BASE_BUF_H
#define GW_BASE_BUF_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct buf {
	char *ptr;
	size_t pos, len, cap, max;
	bool failed;
	bool over; /* failed because `max` would have been passed, not for memory */
};

/* `max` must be given (> 0). Allocates nothing yet. */
void buf_init(struct buf *b, size_t max);
/* Frees; leaves an empty buffer with the same max. Accepts a zeroed struct. */
void buf_done(struct buf *b);
/* Empties without freeing; clears failure. */
void buf_reset(struct buf *b);

static inline bool buf_ok(const struct buf *b)
{
	return !b->failed;
}

/* The readable bytes. Valid until the next put, reserve or consume. */
static inline struct str buf_str(const struct buf *b)
{
	return (struct str){ b->ptr ? b->ptr + b->pos : "", b->len - b->pos };
}

static inline size_t buf_len(const struct buf *b)
{
	return b->len - b->pos;
}

/* Drops `n` readable bytes from the front (n <= buf_len()); space is reclaimed
 * when it pays. When the buffer becomes empty, pos and len return to 0. */
void buf_consume(struct buf *b, size_t n);

/* The slow ways of those below: when the memory has to grow, or cannot. */
char *buf_reserve_grown(struct buf *b, size_t n) __attribute__((warn_unused_result));
void buf_put_grown(struct buf *b, struct str s);

/* Room for `n` more bytes at the end; returns where to write, or NULL (sticky). Follow with buf_added(). */
__attribute__((warn_unused_result)) static inline char *buf_reserve(struct buf *b, size_t n)
{
	if (b->ptr && n <= b->cap - b->len && n <= b->max - (b->len - b->pos))
		return b->ptr + b->len;
	return buf_reserve_grown(b, n);
}

static inline void buf_added(struct buf *b, size_t n)
{
	assert(n <= b->cap - b->len);
	b->len += n;
}

/* Inline, because whole messages are put together from small pieces. A buffer with room has not failed. */
static inline void buf_put(struct buf *b, struct str s)
{
	/* For an empty `s` the subtraction wraps, and the slow way finds nothing to do. */
	if (s.len - 1 < b->cap - b->len && b->len - b->pos + s.len <= b->max) {
		memcpy(b->ptr + b->len, s.ptr, s.len);
		b->len += s.len;
	} else {
		buf_put_grown(b, s);
	}
}

static inline void buf_puts(struct buf *b, const char *c_string)
{
	buf_put(b, str_from(c_string));
}

static inline void buf_putc(struct buf *b, char c)
{
	if (b->len < b->cap && b->len - b->pos < b->max)
		b->ptr[b->len++] = c;
	else
		buf_put_grown(b, (struct str){ &c, 1 });
}

void buf_put_u64(struct buf *b, uint64_t v);
void buf_put_i64(struct buf *b, int64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Cuts back to `len` bytes counted from ptr (pos <= len <= b->len): undoes puts. A put
 * may move what stands behind consumed bytes, so remember `len` only while pos is 0. */
void buf_truncate(struct buf *b, size_t len);

#endif
