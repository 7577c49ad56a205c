/* base/str.c - comparing, cutting and reading slices.
 * Everything here is byte-wise: letters are ASCII, all other bytes stand for themselves. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem(): linear for any needle, unlike a loop of memcmp() */
#endif

#include "base/str.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

bool str_ieq_bytes_(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char differ = (unsigned char)(a[i] ^ b[i]),
			      low = (unsigned char)(a[i] | 0x20);

		if (differ && (differ != 0x20 || low < 'a' || low > 'z'))
			return false;
	}
	return true;
}

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
	while (s.len && is_blank(s.ptr[s.len - 1]))
		s.len--;
	while (s.len && is_blank(*s.ptr)) {
		s.ptr++;
		s.len--;
	}
	return s;
}

ptrdiff_t str_chr(struct str s, char c)
{
	const char *p = s.len ? memchr(s.ptr, c, s.len) : NULL;

	return p ? p - s.ptr : -1;
}

#ifdef __SSE2__
static inline __m128i bytes_equal(const char *at, char c)
{
	return _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)at), _mm_set1_epi8(c));
}

/* Sixteen places at a time: those where three bytes of the needle fit are compared. The needles are mostly names in quotes, so
 * it takes two bytes inside of them to tell. There must be sixteen places; the last look goes back so far that it has sixteen too. */
static const char *find_by_three(struct str s, struct str needle)
{
	size_t n = needle.len, places = s.len - n + 1, inner = n > 2 ? n - 2 : 0;

	for (size_t i = 0; i < places; i += 16) {
		const char *at = s.ptr + (i + 16 <= places ? i : places - 16);
		unsigned fits = (unsigned)_mm_movemask_epi8(
			_mm_and_si128(bytes_equal(at, needle.ptr[0]),
				      _mm_and_si128(bytes_equal(at + n / 2, needle.ptr[n / 2]),
						    bytes_equal(at + inner, needle.ptr[inner]))));

		for (; fits; fits &= fits - 1) {
			const char *p = at + __builtin_ctz(fits);

			if (memcmp(p, needle.ptr, n) == 0)
				return p;
		}
	}
	return NULL;
}
#endif

ptrdiff_t str_find(struct str s, struct str needle)
{
	const char *p;

	if (!needle.len)
		return 0;
	if (s.len < needle.len)
		return -1;
#ifdef __SSE2__
	if (s.len - needle.len >= 15)
		p = find_by_three(s, needle);
	else
#endif
		p = memmem(s.ptr, s.len, needle.ptr, needle.len);
	return p ? p - s.ptr : -1;
}

struct str str_cut(struct str *rest, char sep)
{
	struct str all = *rest;
	ptrdiff_t at = str_chr(all, sep);

	if (at < 0) {
		*rest = STR_NONE;
		return all;
	}
	*rest = str_from_offset(all, (size_t)at + 1);
	return (struct str){ all.ptr, (size_t)at };
}

bool str_to_u64(struct str s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!s.len)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned d = (unsigned)(unsigned char)s.ptr[i] - '0';

		if (d > 9 || v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*ret = v;
	return true;
}

bool str_to_i64(struct str s, int64_t *ret)
{
	bool minus = s.len && *s.ptr == '-';
	uint64_t v;

	if (!str_to_u64(minus ? str_from_offset(s, 1) : s, &v))
		return false;
	if (v > (uint64_t)INT64_MAX + minus)
		return false;
	*ret = minus ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

/* Where behind a star it is worth trying again: at the next byte that is the one the pattern wants. */
static size_t glob_mark(struct str pattern, size_t star, struct str s, size_t from)
{
	ptrdiff_t next;

	if (star == pattern.len || pattern.ptr[star] == '?')
		return from;
	next = str_chr(str_from_offset(s, from), pattern.ptr[star]);
	return next < 0 ? s.len : from + (size_t)next;
}

/* Only the last `*` needs to be tried again: whatever an earlier one could have
 * taken besides, the later one can take too. Hence no recursion. */
bool str_glob(struct str pattern, struct str s)
{
	size_t p = 0, i = 0, star = 0, mark = 0;
	bool starred = false;

	while (i < s.len) {
		if (p < pattern.len && pattern.ptr[p] == '*') {
			starred = true;
			star = ++p;
			mark = i;
		} else if (p < pattern.len &&
			   (pattern.ptr[p] == '?' || pattern.ptr[p] == s.ptr[i])) {
			p++;
			i++;
		} else if (starred) {
			mark = glob_mark(pattern, star, s, mark + 1);
			p = star;
			i = mark;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.ptr[p] == '*')
		p++;
	return p == pattern.len;
}

/* One row of the usual table is kept: row[j] is the distance between the part of
 * `a` read so far and the first j bytes of `b`. Names longer than the row count as far apart. */
unsigned str_distance(struct str a, struct str b, unsigned cap)
{
	unsigned row[128];

	while (a.len && b.len && *a.ptr == *b.ptr) {
		a = str_from_offset(a, 1);
		b = str_from_offset(b, 1);
	}
	while (a.len && b.len && a.ptr[a.len - 1] == b.ptr[b.len - 1]) {
		a.len--;
		b.len--;
	}
	if (a.len >= sizeof(row) / sizeof(row[0]) || b.len >= sizeof(row) / sizeof(row[0]))
		return cap;
	for (unsigned j = 0; j <= b.len; j++)
		row[j] = j;
	for (unsigned i = 0; i < a.len; i++) {
		unsigned diagonal = row[0];

		row[0] = i + 1;
		for (unsigned j = 0; j < b.len; j++) {
			unsigned d = diagonal + (a.ptr[i] != b.ptr[j]);

			diagonal = row[j + 1];
			if (d > row[j] + 1)
				d = row[j] + 1;
			if (d > diagonal + 1)
				d = diagonal + 1;
			row[j + 1] = d;
		}
	}
	return row[b.len] < cap ? row[b.len] : cap;
}
