/* json/skim.c - the top-level members of a text that somebody else will check.
 *
 * The hard thing is doing little for each byte without losing the depth: strings are jumped over, inside values only brackets and
 * quotes are looked at, and only the outermost names are read. What is found in a valid text is what json_scan() finds
 * (held by fuzzing); of an invalid one nothing is promised but that no byte outside of it is read.
 */
#include "json/scan.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef const char *cursor; /* a place in the text */

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static inline cursor skip_blanks(cursor p, cursor end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

/* `p` is behind an opening quote; returns behind the closing one, `end` when there is none. */
static inline cursor skip_string(cursor p, cursor end, bool *ret_escaped)
{
	for (*ret_escaped = false;; *ret_escaped = true) {
#ifdef __SSE2__
		while (end - p >= 16) {
			__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
			unsigned stops = (unsigned)_mm_movemask_epi8(
				_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
					     _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))));

			if (stops) {
				p += __builtin_ctz(stops);
				break;
			}
			p += 16;
		}
#endif
		while (p < end && *p != '"' && *p != '\\')
			p++;
		if (p == end)
			return end;
		if (*p == '"')
			return p + 1;
		if (end - p < 2)
			return end;
		p += 2;
	}
}

/* The next quote or bracket; `end` when there is none. */
static inline cursor next_mark(cursor p, cursor end)
{
#ifdef __SSE2__
	for (; end - p >= 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i low = _mm_or_si128(
			v, _mm_set1_epi8(0x20)); /* [ and { are one then, as are ] and } */
		unsigned marks = (unsigned)_mm_movemask_epi8(
			_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
				     _mm_or_si128(_mm_cmpeq_epi8(low, _mm_set1_epi8('{')),
						  _mm_cmpeq_epi8(low, _mm_set1_epi8('}')))));

		if (marks)
			return p + __builtin_ctz(marks);
	}
#endif
	while (p < end && *p != '"' && (*p | 0x20) != '{' && (*p | 0x20) != '}')
		p++;
	return p;
}

/* `p` is behind an opening bracket; returns behind the one that closes it, NULL when there is none. */
static cursor skip_nested(cursor p, cursor end)
{
	size_t depth = 1;
	bool unused;

	while ((p = next_mark(p, end)) < end) {
		char c = *p++;

		if (c == '"')
			p = skip_string(p, end, &unused);
		else if ((c | 0x20) == '{')
			depth++;
		else if (--depth == 0)
			return p;
	}
	return NULL;
}

/* Behind the value that begins at `p`; NULL when there is none. */
static cursor skip_value(cursor p, cursor end)
{
	cursor start = p;
	bool unused;

	if (p == end)
		return NULL;
	if (*p == '"')
		return skip_string(p + 1, end, &unused);
	if (*p == '{' || *p == '[')
		return skip_nested(p + 1, end);
	while (p < end && *p != ',' && *p != '}' && !is_blank(*p))
		p++;
	return p == start ? NULL : p;
}

/* Who wants this key? NULL: nobody. */
static struct json_want *wanted(struct str key, bool escaped, struct json_want *wants, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const char *want = wants[i].key;

		if (escaped ? json_key_means_(key, want)
			    : *want == *key.ptr && strlen(want) == key.len &&
				      memcmp(want, key.ptr, key.len) == 0)
			return &wants[i];
	}
	return NULL;
}

bool json_skim(struct str text, struct json_want *wants, unsigned n)
{
	cursor p = text.ptr ? text.ptr : "", end = p + text.len;

	for (unsigned i = 0; i < n; i++)
		wants[i] = (struct json_want){ .key = wants[i].key };
	p = skip_blanks(p, end);
	if (p == end || *p != '{')
		return false;
	p = skip_blanks(p + 1, end);
	while (p < end && *p == '"') {
		bool escaped;
		cursor open = p, close = skip_string(p + 1, end, &escaped), value;
		struct json_want *w;

		p = skip_blanks(close, end);
		if (p == end || *p != ':')
			return false;
		w = wanted((struct str){ open + 1, (size_t)(close - open) - 2 }, escaped, wants, n);
		value = skip_blanks(p + 1, end);
		p = skip_value(value, end);
		if (!p)
			return false;
		if (w) {
			w->first = *value;
			w->value = (struct str){ value, (size_t)(p - value) };
			w->member = (struct str){ open, (size_t)(p - open) };
		}
		p = skip_blanks(p, end);
		if (p == end || *p != ',')
			break;
		p = skip_blanks(p + 1, end);
	}
	return p < end && *p == '}' && skip_blanks(p + 1, end) == end;
}
