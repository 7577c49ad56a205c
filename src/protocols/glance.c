/* protocols/glance.c - substring search that knows where quotes can stand.
 *
 * The hard thing is the cost: every byte of every relayed answer comes by. So all names are looked for in one pass, which
 * stops at quotes only and looks closer where the letter behind one begins a name. */
#include "protocols/glance.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/escape.h"

static size_t skip_blanks(struct str s, size_t i)
{
	while (i < s.len &&
	       (s.ptr[i] == ' ' || s.ptr[i] == '\n' || s.ptr[i] == '\r' || s.ptr[i] == '\t'))
		i++;
	return i;
}

struct search {
	struct str text;
	struct glance_member *members;
	unsigned n;
	uint32_t letters; /* bit c & 31: a name begins with the letter c */
};

/* A quote stands at `at`: does one of the members begin there? */
static void look_closer(const struct search *s, size_t at)
{
	struct str rest = str_from_offset(s->text, at);

	for (unsigned k = 0; k < s->n; k++) {
		struct glance_member *m = &s->members[k];
		size_t colon;

		if (m->quoted.ptr[1] != rest.ptr[1] || !str_starts(rest, m->quoted))
			continue;
		colon = skip_blanks(rest, m->quoted.len);
		if (colon == rest.len || rest.ptr[colon] != ':')
			continue; /* a value that reads like the name */
		rest = str_from_offset(rest, skip_blanks(rest, colon + 1));
		if (!m->value.len || !str_starts(rest, STR("null")))
			m->value = rest;
		return;
	}
}

static inline void look(const struct search *s, size_t at)
{
	if (at + 1 < s->text.len && s->letters >> (s->text.ptr[at + 1] & 31) & 1)
		look_closer(s, at);
}

void glance_members(struct str text, struct glance_member *members, unsigned n)
{
	struct search s = { .text = text, .members = members, .n = n };
	size_t i = 0;

	for (unsigned k = 0; k < n; k++) {
		members[k].value = STR_NONE;
		s.letters |= UINT32_C(1) << (members[k].quoted.ptr[1] & 31);
	}
#ifdef __SSE2__
	for (; i + 16 <= text.len; i += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(text.ptr + i));
		unsigned quotes =
			(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')));

		for (; quotes; quotes &= quotes - 1)
			look(&s, i + (unsigned)__builtin_ctz(quotes));
	}
#endif
	for (; i < text.len; i++) {
		if (text.ptr[i] == '"')
			look(&s, i);
	}
}

struct str glance_last(struct str text, struct str quoted)
{
	struct glance_member m = { .quoted = quoted };

	glance_members(text, &m, 1);
	return m.value;
}

/* The place behind the string whose opening quote is before `i`. */
static size_t skip_string(struct str s, size_t i)
{
	const unsigned char *start = (const unsigned char *)s.ptr, *end = start + s.len;

	while (i < s.len) {
		i = (size_t)(escape_plain_end(start + i, end) - start);
		if (i < s.len && s.ptr[i] == '"')
			break;
		i += i < s.len && s.ptr[i] == '\\' ? 2 : 1;
	}
	return i + 1;
}

/* Where the walk over nested objects is: names are kept for the first two levels, which is where counts are. */
struct walk {
	struct str name; /* of the member whose value comes */
	struct str inner;
	unsigned depth;
};

static void take(const struct walk *w, struct str digits, const struct glance_count *counts,
		 unsigned n, void *into)
{
	struct str object = w->depth == 1 ? STR("") : w->inner;
	uint64_t v;

	for (unsigned k = 0; k < n; k++) {
		if (!str_eq(w->name, counts[k].name) || !str_eq(object, counts[k].object))
			continue;
		if (str_to_u64(digits, &v) && v <= INT64_MAX)
			*(int64_t *)((char *)into + counts[k].at) = (int64_t)v;
		return;
	}
}

bool glance_counts(struct str text, const struct glance_count *counts, unsigned n, void *into)
{
	struct walk w = { .name = STR("") };
	size_t i = 0, from;

	if (text.len == 0 || text.ptr[0] != '{')
		return false;
	while (i < text.len) {
		char c = text.ptr[i++];

		if (c == '"') {
			from = i;
			i = skip_string(text, i);
			if (i <= text.len)
				w.name = (struct str){ text.ptr + from, i - 1 - from };
		} else if (c >= '0' && c <= '9') {
			for (from = i - 1;
			     i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9';)
				i++;
			if (w.depth <= 2 && text.ptr[from - 1] != '-' && text.ptr[from - 1] != '.')
				take(&w, (struct str){ text.ptr + from, i - from }, counts, n,
				     into);
		} else if (c == '{' || c == '[') {
			if (++w.depth == 2)
				w.inner = w.name;
		} else if ((c == '}' || c == ']') && --w.depth == 0) {
			return true;
		}
	}
	return false;
}

bool glance_is_object(struct str text)
{
	struct str s = str_trim(text);

	return s.len >= 2 && s.ptr[0] == '{' && s.ptr[s.len - 1] == '}';
}
