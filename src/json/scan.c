/* json/scan.c - checking a JSON text in one pass, and changing it in place.
 *
 * The hard thing is being exactly as strict as json_parse() while running over every
 * relayed body: strings are skipped eight bytes at a time, nesting is a bit for each depth
 * (set: object), and nothing is stored but the places that were asked for.
 */
#include "json/scan.h"

#include <assert.h>

#include "base/escape.h"
#include "base/utf8.h"
#include "json/json.h"

typedef const unsigned char *cursor; /* a place in the text */

struct scan {
	cursor start, end;
	cursor bad; /* where the text stops being JSON */
	const char *why;
	unsigned depth;
	uint64_t objects[JSON_MAX_DEPTH / 64 + 1]; /* bit d: at depth d we are in an object */
	struct json_want *wants;
	unsigned n_wants;
	uint32_t letters;          /* bit c & 31: somebody wants a name that begins with c */
	struct json_want *current; /* whose value is being read */
	cursor member;             /* where its key began */
	cursor value;
	bool twice; /* a wanted key stood twice: at `bad` */
};

static cursor refuse(struct scan *s, cursor where, const char *why)
{
	s->bad = where;
	s->why = why;
	return NULL;
}

static inline cursor skip_blanks(cursor p, cursor end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
		p++;
	return p;
}

/* --- strings --- */

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits at `p`, or -1. */
static int32_t hex4(cursor p, cursor end)
{
	int32_t v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int d = hex_digit(p[i]);

		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

/* The escape whose backslash is at `p`: what it stands for, and where it ends. NULL when it is
 * none, or half a surrogate pair. */
static cursor read_escape(cursor p, cursor end, uint32_t *ret)
{
	int32_t hi, lo;

	if (end - p < 2)
		return NULL;
	switch (p[1]) {
	case '"':
	case '\\':
	case '/':
		*ret = p[1];
		return p + 2;
	case 'b':
		*ret = '\b';
		return p + 2;
	case 'f':
		*ret = '\f';
		return p + 2;
	case 'n':
		*ret = '\n';
		return p + 2;
	case 'r':
		*ret = '\r';
		return p + 2;
	case 't':
		*ret = '\t';
		return p + 2;
	case 'u':
		break;
	default:
		return NULL;
	}
	hi = hex4(p + 2, end);
	if (hi < 0 || (hi & 0xfc00) == 0xdc00)
		return NULL;
	if ((hi & 0xfc00) != 0xd800) {
		*ret = (uint32_t)hi;
		return p + 6;
	}
	if (end - p < 12 || p[6] != '\\' || p[7] != 'u')
		return NULL;
	lo = hex4(p + 8, end);
	if (lo < 0 || (lo & 0xfc00) != 0xdc00)
		return NULL;
	*ret = 0x10000 + ((uint32_t)(hi & 0x3ff) << 10) + (uint32_t)(lo & 0x3ff);
	return p + 12;
}

/* `p` is behind the opening quote; returns behind the closing one. */
static cursor skip_string(struct scan *s, cursor p, bool *ret_escaped)
{
	cursor end = s->end;
	bool escaped = false;

	for (;;) {
		p = escape_plain_end(p, end);
		if (p == end)
			return refuse(s, p, "a string does not end");
		if (*p == '"')
			break;
		if (*p == '\\') {
			uint32_t unused;
			cursor next = read_escape(p, end, &unused);

			if (!next)
				return refuse(s, p, "not an escape that JSON knows");
			p = next;
			escaped = true;
			continue;
		}
		if (*p < 0x80)
			return refuse(s, p, "a control character inside a string");
		do {
			size_t n = utf8_char(p, (size_t)(end - p));

			if (!n)
				return refuse(s, p, "not UTF-8");
			p += n;
		} while (p < end && *p >= 0x80);
	}
	*ret_escaped = escaped;
	return p + 1;
}

bool json_key_means_(struct str key, const char *want)
{
	cursor p = (cursor)key.ptr, end = p + key.len;
	const char *k = want;

	while (p < end) {
		char bytes[4] = { (char)*p };
		size_t n = 1;

		if (*p == '\\') {
			uint32_t c;

			p = read_escape(p, end, &c);
			if (!p)
				return false;
			n = utf8_put(bytes, c);
		} else {
			p++;
		}
		for (size_t i = 0; i < n; i++) {
			if (!*k || *k++ != bytes[i])
				return false;
		}
	}
	return !*k;
}

/* --- scalars --- */

static inline cursor skip_digits(cursor p, cursor end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

static cursor skip_number(struct scan *s, cursor p)
{
	cursor end = s->end, digits;

	if (*p == '-')
		p++;
	digits = p;
	p = skip_digits(p, end);
	if (p == digits)
		return refuse(s, p, "a number without digits");
	if (*digits == '0' && p > digits + 1)
		return refuse(s, digits, "a number may not begin with 0");
	if (p < end && *p == '.') {
		digits = ++p;
		p = skip_digits(p, end);
		if (p == digits)
			return refuse(s, p, "no digit after the decimal point");
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		digits = p;
		p = skip_digits(p, end);
		if (p == digits)
			return refuse(s, p, "no digit in the exponent");
	}
	return p;
}

static cursor skip_word(struct scan *s, cursor p, struct str word)
{
	if ((size_t)(s->end - p) < word.len || memcmp(p, word.ptr, word.len) != 0)
		return refuse(s, p, "a value was expected here");
	return p + word.len;
}

static cursor skip_scalar(struct scan *s, cursor p)
{
	bool unused;

	switch (*p) {
	case '"':
		return skip_string(s, p + 1, &unused);
	case 't':
		return skip_word(s, p, STR("true"));
	case 'f':
		return skip_word(s, p, STR("false"));
	case 'n':
		return skip_word(s, p, STR("null"));
	case '-':
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		return skip_number(s, p);
	default:
		return refuse(s, p, "a value was expected here");
	}
}

/* --- structure --- */

static inline bool in_object(const struct scan *s)
{
	return s->objects[s->depth >> 6] >> (s->depth & 63) & 1;
}

static inline uint32_t letter(const char *name)
{
	return UINT32_C(1) << (*name & 31);
}

/* A key without escapes against a C string. */
static inline bool is_key(struct str key, const char *want)
{
	return *key.ptr == *want && strlen(want) == key.len && memcmp(want, key.ptr, key.len) == 0;
}

/* A key of the outermost object was read: is it one that somebody wants? */
static bool note_key(struct scan *s, cursor open, cursor close, bool escaped)
{
	struct str key = { (const char *)open + 1, (size_t)(close - open) - 2 };

	s->current = NULL;
	if (!escaped && !(s->letters & letter(key.ptr)))
		return true; /* nearly all that nobody wants */
	for (unsigned i = 0; i < s->n_wants; i++) {
		struct json_want *w = &s->wants[i];

		if (escaped ? !json_key_means_(key, w->key) : !is_key(key, w->key))
			continue;
		if (w->value.ptr) {
			s->twice = true;
			refuse(s, open, w->key);
			return false;
		}
		s->current = w;
		s->member = open;
	}
	return true;
}

/* The value that began at s->value ended before `p`. */
static void note_value(struct scan *s, cursor p)
{
	struct json_want *w = s->current;

	w->first = (char)*s->value;
	w->value = (struct str){ (const char *)s->value, (size_t)(p - s->value) };
	w->member = (struct str){ (const char *)s->member, (size_t)(p - s->member) };
	s->current = NULL;
}

/* `p` is where a key must stand; returns where its value begins. */
static cursor read_key(struct scan *s, cursor p)
{
	bool escaped;
	cursor open = p, close;

	if (p == s->end || *p != '"')
		return refuse(s, p, "a member's name was expected here");
	close = skip_string(s, p + 1, &escaped);
	if (!close)
		return NULL;
	if (s->depth == 1 && !note_key(s, open, close, escaped))
		return NULL;
	p = skip_blanks(close, s->end);
	if (p == s->end || *p != ':')
		return refuse(s, p, "a colon was expected here");
	p = skip_blanks(p + 1, s->end);
	if (s->depth == 1)
		s->value = p;
	return p;
}

/* An opening bracket at `p`. Returns where the first element begins, or, with *ret_empty,
 * the closing bracket. */
static cursor open_level(struct scan *s, cursor p, bool *ret_empty)
{
	bool obj = *p == '{';
	uint64_t bit;

	if (s->depth == JSON_MAX_DEPTH)
		return refuse(s, p, "nested too deep");
	s->depth++;
	bit = UINT64_C(1) << (s->depth & 63);
	if (obj)
		s->objects[s->depth >> 6] |= bit;
	else
		s->objects[s->depth >> 6] &= ~bit;
	p = skip_blanks(p + 1, s->end);
	*ret_empty = p < s->end && *p == (obj ? '}' : ']');
	return obj && !*ret_empty ? read_key(s, p) : p;
}

/* A value ended before `p`: closes what closes there. Returns where the next value begins,
 * or, with depth 0, where the text's one value ended. */
static cursor after_value(struct scan *s, cursor p)
{
	for (;;) {
		bool obj = in_object(s);

		if (s->depth == 0)
			return p;
		if (s->depth == 1 && s->current)
			note_value(s, p);
		p = skip_blanks(p, s->end);
		if (p == s->end)
			return refuse(s, p, "the text ends too early");
		if (*p == ',') {
			p = skip_blanks(p + 1, s->end);
			return obj ? read_key(s, p) : p;
		}
		if (*p != (obj ? '}' : ']'))
			return refuse(s, p,
				      obj ? "a comma or } was expected here"
					  : "a comma or ] was expected here");
		s->depth--;
		p++;
	}
}

static cursor scan_value(struct scan *s, cursor p)
{
	do {
		if (p == s->end)
			return refuse(s, p, "the text ends too early");
		if (*p == '{' || *p == '[') {
			bool empty;

			p = open_level(s, p, &empty);
			if (p && !empty)
				continue;
		} else {
			p = skip_scalar(s, p);
		}
		if (p)
			p = after_value(s, p);
	} while (p && s->depth);
	return p;
}

int json_scan(struct str text, struct json_want *wants, unsigned n, struct err *reterr)
{
	cursor start = (cursor)(text.ptr ? text.ptr : "");
	struct scan s = { .start = start, .end = start + text.len, .wants = wants, .n_wants = n };
	cursor p = skip_blanks(s.start, s.end);

	for (unsigned i = 0; i < n; i++) {
		wants[i] = (struct json_want){ .key = wants[i].key };
		s.letters |= letter(wants[i].key);
	}
	if (p == s.end || *p != '{')
		p = refuse(&s, p, "an object was expected");
	else
		p = scan_value(&s, p);
	if (p) {
		p = skip_blanks(p, s.end);
		if (p == s.end)
			return RC_OK;
		refuse(&s, p, "something follows the value");
	}
	if (s.twice)
		return err_param(reterr, RC_INVALID, s.why,
				 "the member \"%s\" stands twice in the body: send it once", s.why);
	return err_at(reterr, RC_SYNTAX, (size_t)(s.bad - s.start),
		      "not valid JSON at byte %zu: %s", (size_t)(s.bad - s.start), s.why);
}

struct str json_unquote(struct arena *a, struct str quoted)
{
	cursor p, end;
	char *out, *to;

	if (quoted.len < 2 || *quoted.ptr != '"' || quoted.ptr[quoted.len - 1] != '"')
		return STR_NONE;
	p = (cursor)quoted.ptr + 1;
	end = (cursor)quoted.ptr + quoted.len - 1;
	if (!memchr(p, '\\', (size_t)(end - p)))
		return (struct str){ (const char *)p, (size_t)(end - p) };
	out = to =
		arena_alloc_raw(a, (size_t)(end - p)); /* no escape is shorter than what it means */
	while (out && p < end) {
		uint32_t c;

		if (*p != '\\') {
			*to++ = (char)*p++;
			continue;
		}
		p = read_escape(p, end, &c);
		if (!p)
			return STR_NONE;
		to += utf8_put(to, c);
	}
	return out ? (struct str){ out, (size_t)(to - out) } : STR_NONE;
}
