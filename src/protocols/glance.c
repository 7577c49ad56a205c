/* protocols/glance.c - substring search that knows where quotes can stand.
 *
 * The hard thing is the cost: every byte of every relayed answer comes by. So names are looked for four at a time, sixteen bytes at a
 * time, and it is looked closer only where a quote and the first two letters of one stand. */
#include "protocols/glance.h"

#include <assert.h>

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

/* What is looked for in strings, told from the rest by the two bytes behind a quote. */
struct search {
	struct str text;
	struct glance_member *members;
	const struct str *starts;
	unsigned from, to; /* those that are looked for now */
	unsigned found;    /* of `starts` */
	glance_hit *hit;
	void *user;
};

/* A quote stands at `at`: does one of the members begin there? */
static void look_for_member(struct search *s, size_t at)
{
	struct str rest = str_from_offset(s->text, at);

	for (unsigned k = s->from; k < s->to; k++) {
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
		m->times++;
		return;
	}
}

static void look_for_start(struct search *s, size_t at)
{
	struct str rest = str_from_offset(s->text, at);

	for (unsigned k = s->from; k < s->to; k++) {
		if (s->starts[k].ptr[1] == rest.ptr[1] && str_starts(rest, s->starts[k]))
			s->found |= 1u << k;
	}
}

static void tell_of_start(struct search *s, size_t at)
{
	struct str rest = str_from_offset(s->text, at);

	for (unsigned k = s->from; k < s->to; k++) {
		if (s->starts[k].ptr[1] == rest.ptr[1] && str_starts(rest, s->starts[k]))
			s->hit(s->user, k, rest);
	}
}

static inline struct str quoted(const struct search *s, unsigned k)
{
	return s->members ? s->members[k].quoted : s->starts[k];
}

typedef void (*closer_look)(struct search *s, size_t at);

#ifdef __SSE2__

enum { PAIRS = 4 };

/* The first two letters of what is looked for; there may be fewer. */
struct pairs {
	__m128i first[PAIRS], second[PAIRS];
};

static inline __m128i at(struct str text, size_t i)
{
	return _mm_loadu_si128((const __m128i *)(const void *)(text.ptr + i));
}

static inline __m128i is_pair(__m128i first, __m128i second, const struct pairs *p, unsigned k)
{
	return _mm_and_si128(_mm_cmpeq_epi8(first, p->first[k]),
			     _mm_cmpeq_epi8(second, p->second[k]));
}

/* A bit for each of the sixteen bytes from `i` on that is a quote with one of the pairs behind it, or with the only one. */
static inline unsigned pairs_at(struct str text, size_t i, const struct pairs *p, bool one)
{
	__m128i first = at(text, i + 1), second = at(text, i + 2);
	__m128i any = is_pair(first, second, p, 0);

	if (!one)
		any = _mm_or_si128(_mm_or_si128(any, is_pair(first, second, p, 1)),
				   _mm_or_si128(is_pair(first, second, p, 2),
						is_pair(first, second, p, 3)));
	any = _mm_and_si128(any, _mm_cmpeq_epi8(at(text, i), _mm_set1_epi8('"')));
	return (unsigned)_mm_movemask_epi8(any);
}

/* Returns where it stopped: near the end. */
static inline size_t each_pair(struct search *s, closer_look closer, bool one)
{
	struct str text = s->text;
	struct pairs p;
	size_t i = 0;

	for (unsigned k = 0; k < PAIRS; k++) {
		const char *q = quoted(s, s->from + k < s->to ? s->from + k : s->from).ptr;

		p.first[k] = _mm_set1_epi8(q[1]);
		p.second[k] = _mm_set1_epi8(q[2]);
	}
	for (; i + 18 <= text.len; i += 16) {
		for (unsigned hits = pairs_at(text, i, &p, one); hits; hits &= hits - 1)
			closer(s, i + (unsigned)__builtin_ctz(hits));
	}
	return i;
}

#endif

static inline void search(struct search *s, unsigned n, closer_look closer)
{
	size_t i = 0;

#ifdef __SSE2__
	for (s->from = 0; s->from < n; s->from += PAIRS) {
		s->to = s->from + PAIRS < n ? s->from + PAIRS : n;
		i = n == 1 ? each_pair(s, closer, true) : each_pair(s, closer, false);
	}
#endif
	s->from = 0;
	s->to = n;
	for (; i + 1 < s->text.len; i++) {
		if (s->text.ptr[i] == '"')
			closer(s, i);
	}
}

void glance_members(struct str text, struct glance_member *members, unsigned n)
{
	struct search s = { .text = text, .members = members };

	for (unsigned k = 0; k < n; k++) {
		members[k].value = STR_NONE;
		members[k].times = 0;
	}
	search(&s, n, look_for_member);
}

unsigned glance_strings(struct str text, const struct str *starts, unsigned n)
{
	struct search s = { .text = text, .starts = starts };

	search(&s, n, look_for_start);
	return s.found;
}

void glance_each(struct str text, const struct str *starts, unsigned n, glance_hit *hit, void *user)
{
	struct search s = { .text = text, .starts = starts, .hit = hit, .user = user };

	search(&s, n, tell_of_start);
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

struct str glance_string(struct str rest)
{
	size_t end = rest.len && rest.ptr[0] == '"' ? skip_string(rest, 1) : rest.len + 1;

	return end <= rest.len ? (struct str){ rest.ptr, end } : STR_NONE;
}

struct str glance_string_of(struct str rest)
{
	size_t at = skip_blanks(rest, glance_string(rest).len);

	if (at == 0 || at >= rest.len || rest.ptr[at] != ':')
		return STR_NONE;
	return glance_string(str_from_offset(rest, skip_blanks(rest, at + 1)));
}

/* Where the walk over nested objects is: names are kept for the first two levels, which is where counts are. */
struct walk {
	struct str name; /* of the member whose value comes */
	struct str inner;
	unsigned depth;
	unsigned next; /* of the counts */
};

static inline bool is_name(struct str a, struct str b)
{
	return a.len == b.len && (!a.len || (*a.ptr == *b.ptr && str_eq(a, b)));
}

/* They mostly stand in the order of `counts`: so it is gone on there behind the last one. */
static void take(struct walk *w, struct str digits, const struct glance_count *counts, unsigned n,
		 void *into)
{
	struct str object = w->depth == 1 ? STR("") : w->inner;
	uint64_t v;

	for (unsigned tried = 0; tried < n; tried++) {
		const struct glance_count *c = &counts[w->next];

		w->next = w->next + 1 < n ? w->next + 1 : 0;
		if (!is_name(w->name, c->name) || !is_name(object, c->object))
			continue;
		if (str_to_u64(digits, &v) && v <= INT64_MAX)
			*(int64_t *)((char *)into + c->at) = (int64_t)v;
		return;
	}
}

/* What matters of a byte outside of strings. */
static const enum mark {
	PLAIN,
	QUOTE,
	DIGIT,
	OPENS,
	CLOSES
} marks[256] = {
	['"'] = QUOTE, ['0' ... '9'] = DIGIT, ['{'] = OPENS,
	['['] = OPENS, ['}'] = CLOSES,        [']'] = CLOSES,
};

static inline enum mark mark_of(struct str s, size_t i)
{
	return marks[(unsigned char)s.ptr[i]];
}

bool glance_counts(struct str text, const struct glance_count *counts, unsigned n, void *into)
{
	struct walk w = { .name = STR("") };
	size_t i = 0, from;

	if (text.len == 0 || text.ptr[0] != '{')
		return false;
	while (i < text.len) {
		enum mark m = mark_of(text, i++);

		if (m == PLAIN)
			continue;
		from = i;
		if (m == QUOTE) {
			i = skip_string(text, i);
			if (i <= text.len)
				w.name = (struct str){ text.ptr + from, i - 1 - from };
		} else if (m == DIGIT) {
			from--;
			while (i < text.len && mark_of(text, i) == DIGIT)
				i++;
			if (w.depth <= 2 && text.ptr[from - 1] != '-' && text.ptr[from - 1] != '.')
				take(&w, (struct str){ text.ptr + from, i - from }, counts, n,
				     into);
		} else if (m == OPENS) {
			if (++w.depth == 2)
				w.inner = w.name;
		} else if (--w.depth == 0) {
			return true;
		}
	}
	return false;
}

enum { MAX_COUNTS = 32 };

void glance_counts_read(const json *object, const struct glance_count *counts, unsigned n,
			void *into)
{
	const json *said[MAX_COUNTS];
	int64_t v;

	assert(n <= MAX_COUNTS);
	for (unsigned from = 0, to; from < n; from = to) {
		const struct str name = counts[from].object;
		const json *holder = name.len ? json_get(object, name) : object;

		for (to = from + 1; to < n && str_eq(counts[to].object, name);)
			to++;
		json_find(holder, &counts[from].name, sizeof(*counts), to - from, &said[from]);
	}
	for (unsigned i = 0; i < n; i++)
		if (json_i64(said[i], &v) && v >= 0)
			*(int64_t *)((char *)into + counts[i].at) = v;
}

bool glance_is_object(struct str text)
{
	struct str s = str_trim(text);

	return s.len >= 2 && s.ptr[0] == '{' && s.ptr[s.len - 1] == '}';
}
