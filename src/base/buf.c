/* base/buf.c - the growing buffer. The one hard thing is that dropping bytes at the front
 * must not cost a move each time: see make_room(). */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAP = 1024 };

void buf_init(struct buf *b, size_t max)
{
	assert(max > 0);
	*b = (struct buf){ .max = max };
}

void buf_done(struct buf *b)
{
	free(b->ptr);
	*b = (struct buf){ .max = b->max };
}

void buf_reset(struct buf *b)
{
	b->pos = b->len = 0;
	b->failed = b->over = false;
}

static char *fail(struct buf *b, bool over)
{
	buf_done(b);
	b->failed = true;
	b->over = over;
	return NULL;
}

void buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->len - b->pos);
	b->pos += n;
	if (b->pos == b->len)
		b->pos = b->len = 0;
}

/* The capacity that holds `need` (<= max) bytes. Doubling, up to max; beyond it only
 * when max bytes of room exist already and are merely not contiguous. */
static size_t next_cap(const struct buf *b, size_t need)
{
	size_t cap = b->cap ? b->cap : FIRST_CAP / 2;

	if (b->cap >= b->max)
		return b->max > SIZE_MAX / 2 ? SIZE_MAX : 2 * b->max;
	cap = cap > SIZE_MAX / 2 ? SIZE_MAX : 2 * cap;
	if (cap < need)
		cap = need;
	return cap < b->max ? cap : b->max;
}

/* Room for `n` more. The readable bytes are moved to the front only when at least as
 * many were consumed since the last move, which makes consuming O(1) a byte. Otherwise
 * the memory grows, at most to twice max, where that condition always holds. */
static bool make_room(struct buf *b, size_t n)
{
	size_t live = b->len - b->pos, cap;
	char *p;

	if (b->pos >= live && n <= b->cap - live && b->ptr) {
		memmove(b->ptr, b->ptr + b->pos, live);
		b->pos = 0;
		b->len = live;
		return true;
	}
	cap = next_cap(b, live + n);
	if (b->pos == 0) {
		p = realloc(b->ptr, cap);
		if (!p)
			return false;
	} else {
		p = malloc(cap);
		if (!p)
			return false;
		memcpy(p, b->ptr + b->pos, live);
		free(b->ptr);
	}
	b->ptr = p;
	b->cap = cap;
	b->pos = 0;
	b->len = live;
	return true;
}

char *buf_reserve_grown(struct buf *b, size_t n)
{
	assert(b->max > 0);
	if (b->failed)
		return NULL;
	if (n > b->max - (b->len - b->pos))
		return fail(b, true);
	if ((n > b->cap - b->len || !b->ptr) && !make_room(b, n))
		return fail(b, false);
	return b->ptr + b->len;
}

void buf_put_grown(struct buf *b, struct str s)
{
	char *to = buf_reserve(b, s.len);

	if (!to || !s.len)
		return;
	memcpy(to, s.ptr, s.len);
	b->len += s.len;
}

/* Two digits at a time from the end: a division is dear, and there is a number in nearly every member. */
void buf_put_u64(struct buf *b, uint64_t v)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
				    "25262728293031323334353637383940414243444546474849"
				    "50515253545556575859606162636465666768697071727374"
				    "75767778798081828384858687888990919293949596979899";
	char digits[20], *at = digits + sizeof(digits); /* UINT64_MAX has twenty */

	for (; v >= 10; v /= 100)
		memcpy(at -= 2, &pairs[v % 100 * 2], 2);
	if (v || at == digits + sizeof(digits))
		*--at = (char)('0' + v);
	buf_put(b, (struct str){ at, (size_t)(digits + sizeof(digits) - at) });
}

void buf_put_i64(struct buf *b, int64_t v)
{
	if (v < 0)
		buf_putc(b, '-');
	buf_put_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char small[256], *to;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < 0) {
		fail(b, false);
		return;
	}
	if ((size_t)n < sizeof(small)) {
		buf_put(b, (struct str){ small, (size_t)n });
		return;
	}
	/* One byte more than counts, for the NUL that vsnprintf() insists on: it may
	 * stand beyond `max`, so it is written to memory that is not part of it. */
	if (!buf_reserve(b, (size_t)n))
		return;
	to = malloc((size_t)n + 1);
	if (!to) {
		fail(b, false);
		return;
	}
	va_start(ap, fmt);
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf_put(b, (struct str){ to, (size_t)n });
	free(to);
}

void buf_truncate(struct buf *b, size_t len)
{
	if (b->failed)
		return;
	assert(len >= b->pos && len <= b->len);
	b->len = len;
	if (b->pos == b->len)
		b->pos = b->len = 0;
}
