/* json/json.c - reading JSON by yyjson, out of an arena.
 *
 * The hard thing is bounding what a peer can make us spend: yyjson has no depth limit and
 * reserves memory by the length of the text (16 bytes for every 6), which an image in
 * base64 makes absurd. So depth is counted before, in one pass over the structure, and
 * yyjson is told to stop at the end of the value, in which mode it starts small and grows;
 * what stands after the value is then ours to refuse.
 */
#include "json/json.h"

#include <assert.h>
#include <yyjson.h>

#include "base/escape.h"

/* --- parsing --- */

static void *from_arena(void *arena, size_t n)
{
	return arena_alloc_raw(arena, n);
}

static void *grow_in_arena(void *arena, void *p, size_t old_n, size_t n)
{
	return arena_grow(arena, p, old_n, n);
}

static void keep(void *arena, void *p)
{
	(void)arena; /* dies with the arena */
	(void)p;
}

/* Where the string that opens before `p` ends (its quote). A quote after an odd number of
 * backslashes is none. Linear: each backslash is counted for one quote only. */
static const char *string_end(const char *p, const char *end)
{
	const char *from = p, *q;

	while ((q = memchr(p, '"', (size_t)(end - p)))) {
		const char *b = q;

		while (b > from && b[-1] == '\\')
			b--;
		if ((q - b) % 2 == 0)
			return q;
		p = from = q + 1;
	}
	return end;
}

/* Brackets that open, inside strings too. */
static size_t count_openings(struct str text)
{
	size_t n = 0, i = 0;

#ifdef __SSE2__
	while (i + 16 <=
	       text.len) { /* sixteen counters of a byte each, summed up before one can overflow */
		size_t end = text.len - i < 255 * 16 ? text.len - 15 : i + 255 * 16 - 15;
		__m128i counts = _mm_setzero_si128(), sums;

		for (; i < end; i += 16) {
			__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(text.ptr + i));
			__m128i lower = _mm_or_si128(v, _mm_set1_epi8('[' ^ '{'));

			counts = _mm_sub_epi8(counts, _mm_cmpeq_epi8(lower, _mm_set1_epi8('{')));
		}
		sums = _mm_sad_epu8(counts, _mm_setzero_si128());
		n += (size_t)(_mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4));
	}
#endif
	for (; i < text.len; i++)
		n += text.ptr[i] == '{' || text.ptr[i] == '[';
	return n;
}

/* Offset of the bracket that passes JSON_MAX_DEPTH, or -1. In a text that is no JSON
 * the answer means little, but then the parser refuses anyway. */
static ptrdiff_t too_deep_at(struct str text)
{
	const char *p = text.ptr, *end = p + text.len;
	size_t depth = 0;

	if (count_openings(text) <= JSON_MAX_DEPTH)
		return -1;
	for (; p < end; p++) {
		switch (*p) {
		case '"':
			p = string_end(p + 1, end);
			break;
		case '{':
		case '[':
			if (++depth > JSON_MAX_DEPTH)
				return p - text.ptr;
			break;
		case '}':
		case ']':
			depth -= depth > 0;
			break;
		default:
			break;
		}
	}
	return -1;
}

static int refuse(struct err *reterr, const yyjson_read_err *e)
{
	if (e->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
		return err_set(reterr, RC_NOMEM,
			       "the JSON text takes more memory than one request may");
	return err_at(reterr, RC_SYNTAX, e->pos, "not valid JSON at byte %zu: %s", e->pos, e->msg);
}

const json *json_parse(struct arena *a, struct str text, struct err *reterr)
{
	const yyjson_alc in_arena = {
		.malloc = from_arena, .realloc = grow_in_arena, .free = keep, .ctx = a
	};
	const yyjson_read_flag flags = YYJSON_READ_NUMBER_AS_RAW | YYJSON_READ_STOP_WHEN_DONE;
	yyjson_read_err e = { 0 };
	yyjson_doc *doc;
	ptrdiff_t deep;

	if (!text.len) {
		err_at(reterr, RC_SYNTAX, 0, "not valid JSON: the text is empty");
		return NULL;
	}
	deep = too_deep_at(text);
	if (deep >= 0) {
		err_at(reterr, RC_SYNTAX, (size_t)deep, "the JSON text is nested more than %d deep",
		       JSON_MAX_DEPTH);
		return NULL;
	}
	/* Without YYJSON_READ_INSITU the text is copied, not written to: the cast is for C only. */
	doc = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, flags, &in_arena, &e);
	if (!doc) {
		refuse(reterr, &e);
		return NULL;
	}
	for (size_t i = yyjson_doc_get_read_size(doc); i < text.len; i++) {
		char c = text.ptr[i];

		if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
			continue;
		err_at(reterr, RC_SYNTAX, i,
		       "not valid JSON at byte %zu: something follows the value", i);
		return NULL;
	}
	return yyjson_doc_get_root(doc);
}

/* --- asking --- */

static yyjson_val *val(const json *v)
{
	return (yyjson_val *)(uintptr_t)v; /* yyjson's readers take no const, and write nothing */
}

bool json_is_obj(const json *v)
{
	return yyjson_is_obj(val(v));
}

bool json_is_arr(const json *v)
{
	return yyjson_is_arr(val(v));
}

bool json_is_str(const json *v)
{
	return yyjson_is_str(val(v));
}

bool json_is_num(const json *v)
{
	return yyjson_is_raw(val(v));
}

bool json_is_bool(const json *v)
{
	return yyjson_is_bool(val(v));
}

bool json_is_null(const json *v)
{
	return yyjson_is_null(val(v));
}

const char *json_type(const json *v)
{
	switch (yyjson_get_type(val(v))) {
	case YYJSON_TYPE_OBJ:
		return "object";
	case YYJSON_TYPE_ARR:
		return "array";
	case YYJSON_TYPE_STR:
		return "string";
	case YYJSON_TYPE_RAW:
	case YYJSON_TYPE_NUM:
		return "number";
	case YYJSON_TYPE_BOOL:
		return "boolean";
	case YYJSON_TYPE_NULL:
		return "null";
	default:
		return "nothing";
	}
}

struct json_iter json_iter(const json *v)
{
	bool obj = json_is_obj(v);

	return (struct json_iter){
		.left_ = json_len(v),
		.at_ = json_len(v) ? unsafe_yyjson_get_first(val(v)) : NULL,
		.obj_ = obj,
	};
}

bool json_next(struct json_iter *it)
{
	yyjson_val *at = val(it->at_);

	if (!it->left_)
		return false;
	it->left_--;
	if (it->obj_) {
		it->key = (struct str){ unsafe_yyjson_get_str(at), unsafe_yyjson_get_len(at) };
		at++; /* a member's value follows its key */
	}
	it->val = at;
	it->at_ = unsafe_yyjson_get_next(at);
	return true;
}

const json *json_get(const json *obj, struct str key)
{
	const json *found = NULL;
	yyjson_val *at;

	if (!json_is_obj(obj))
		return NULL;
	at = unsafe_yyjson_get_first(val(obj));
	for (size_t left = json_len(obj); left; left--, at = unsafe_yyjson_get_next(at + 1)) {
		const char *name = unsafe_yyjson_get_str(at);

		/* by length and first byte nearly all are told apart */
		if (unsafe_yyjson_get_len(at) == key.len &&
		    (!key.len || (*name == *key.ptr && memcmp(name, key.ptr, key.len) == 0)))
			found = at + 1; /* a member's value follows its key */
	}
	return found;
}

const json *json_get_set(const json *obj, struct str key)
{
	const json *v = json_get(obj, key);

	return json_is_null(v) ? NULL : v;
}

static inline bool is_name(const struct str *name, struct str key)
{
	/* by length and first byte nearly all are told apart */
	return name->len == key.len &&
	       (!key.len || (*name->ptr == *key.ptr && memcmp(name->ptr, key.ptr, key.len) == 0));
}

size_t json_name_index(const struct str *names, size_t stride, size_t n, size_t from,
		       struct str key)
{
	const char *row = (const char *)names;

	for (size_t i = from; i < n; i++)
		if (is_name((const struct str *)(const void *)(row + i * stride), key))
			return i;
	for (size_t i = 0; i < from; i++)
		if (is_name((const struct str *)(const void *)(row + i * stride), key))
			return i;
	return n;
}

size_t json_find(const json *obj, const struct str *names, size_t stride, size_t n,
		 const json **ret)
{
	size_t strangers = 0, next = 0;
	yyjson_val *at;

	memset(ret, 0, n * sizeof(*ret));
	if (!json_is_obj(obj))
		return 0;
	at = unsafe_yyjson_get_first(val(obj));
	for (size_t left = json_len(obj); left; left--, at = unsafe_yyjson_get_next(at + 1)) {
		struct str key = { unsafe_yyjson_get_str(at), unsafe_yyjson_get_len(at) };
		size_t i = json_name_index(names, stride, n, next, key);

		if (i == n) {
			strangers++;
			continue;
		}
		ret[i] = unsafe_yyjson_is_null(at + 1) ? NULL : at + 1;
		next = i + 1;
	}
	return strangers;
}

struct str json_str(const json *v)
{
	if (!json_is_str(v))
		return STR_NONE;
	return (struct str){ unsafe_yyjson_get_str(val(v)), unsafe_yyjson_get_len(val(v)) };
}

struct str json_num(const json *v)
{
	if (!json_is_num(v))
		return STR_NONE;
	return (struct str){ unsafe_yyjson_get_raw(val(v)), unsafe_yyjson_get_len(val(v)) };
}

/* The number after the `e` of a JSON number, clamped: beyond that all are alike, as no
 * text has as many digits as would bring the value back into range. */
static int64_t exponent(struct str s)
{
	bool minus = s.len && *s.ptr == '-';
	int64_t e = 0;

	if (s.len && (*s.ptr == '-' || *s.ptr == '+'))
		s = str_from_offset(s, 1);
	for (size_t i = 0; i < s.len; i++) {
		e = e * 10 + (s.ptr[i] - '0');
		if (e > INT32_MAX)
			e = INT32_MAX;
	}
	return minus ? -e : e;
}

/* A few digits and nothing else, which most numbers are. */
static bool short_digits(struct str s, int64_t *ret)
{
	int64_t n = 0;

	if (s.len == 0 || s.len > 18)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned d = (unsigned)(s.ptr[i] - '0');

		if (d > 9)
			return false;
		n = n * 10 + d;
	}
	*ret = n;
	return true;
}

/* Digits are taken one by one up to where the exponent puts the point; any beyond it must be 0. */
static bool any_digits(struct str rest, int64_t *ret)
{
	struct str whole, fraction = STR_NONE;
	bool minus = rest.len && *rest.ptr == '-';
	int64_t point, at = 0;
	uint64_t n = 0;

	if (minus)
		rest = str_from_offset(rest, 1);
	whole = str_cut(&rest, str_chr(rest, 'e') >= 0 ? 'e' : 'E');
	point = exponent(rest);
	fraction = whole;
	whole = str_cut(&fraction, '.');
	point += (int64_t)whole.len;
	for (int part = 0; part < 2; part++) {
		struct str digits = part ? fraction : whole;

		for (size_t i = 0; i < digits.len; i++, at++) {
			unsigned d = (unsigned)(digits.ptr[i] - '0');

			if (at >= point ? d != 0 : n > (UINT64_MAX - d) / 10)
				return false;
			if (at < point)
				n = n * 10 + d;
		}
	}
	for (; n && at < point; at++) {
		if (n > UINT64_MAX / 10)
			return false;
		n *= 10;
	}
	if (n > (uint64_t)INT64_MAX + minus)
		return false;
	*ret = minus ? (int64_t)(0 - n) : (int64_t)n;
	return true;
}

bool json_i64(const json *v, int64_t *ret)
{
	struct str number = json_num(v);

	return number.len && (short_digits(number, ret) || any_digits(number, ret));
}

bool json_f64(const json *v, double *ret)
{
	yyjson_val n;

	/* The raw text of a number ends in a NUL that yyjson put there. */
	if (!json_is_num(v) || !yyjson_read_number(json_num(v).ptr, &n, 0, NULL, NULL))
		return false;
	*ret = yyjson_get_num(&n);
	return true;
}

bool json_text_f64(struct str number, double *ret)
{
	char copy[501]; /* yyjson wants a NUL behind it */
	yyjson_val n;

	if (!number.len || number.len >= sizeof(copy))
		return false;
	memcpy(copy, number.ptr, number.len);
	copy[number.len] = '\0';
	if (yyjson_read_number(copy, &n, 0, NULL, NULL) != copy + number.len)
		return false;
	*ret = yyjson_get_num(&n);
	return true;
}

bool json_bool(const json *v, bool otherwise)
{
	return json_is_bool(v) ? yyjson_get_bool(val(v)) : otherwise;
}

size_t json_len(const json *v)
{
	return yyjson_is_ctn(val(v)) ? unsafe_yyjson_get_len(val(v)) : 0;
}

/* --- writing --- */

static void put_string(struct buf *out, struct str s)
{
	buf_putc(out, '"');
	escape_json(out, s);
	buf_putc(out, '"');
}

static void put_scalar(struct buf *out, const json *v)
{
	if (json_is_str(v))
		put_string(out, json_str(v));
	else if (json_is_num(v))
		buf_put(out, json_num(v));
	else if (json_is_bool(v))
		buf_puts(out, json_bool(v, false) ? "true" : "false");
	else
		buf_puts(out, "null");
}

void json_write(struct buf *out, const json *v)
{
	struct json_iter open[JSON_MAX_DEPTH + 1], *top = open;

	/* A list of one element that is not written itself: the value. */
	*top = (struct json_iter){ .at_ = v, .left_ = 1 };
	if (!v) {
		buf_puts(out, "null");
		return;
	}
	for (bool first = true;;) {
		if (!json_next(top)) {
			if (top == open)
				return;
			buf_putc(out, top->obj_ ? '}' : ']');
			top--;
			first = false;
			continue;
		}
		if (!first)
			buf_putc(out, ',');
		if (top->obj_) {
			put_string(out, top->key);
			buf_putc(out, ':');
		}
		first = json_is_obj(top->val) || json_is_arr(top->val);
		if (!first) {
			put_scalar(out, top->val);
			continue;
		}
		assert(top < open + JSON_MAX_DEPTH);
		top[1] = json_iter(top->val);
		top++;
		buf_putc(out, top->obj_ ? '{' : '[');
	}
}

struct str json_text(struct arena *a, const json *v)
{
	struct str text = STR_NONE;
	struct buf out;

	buf_init(&out, SIZE_MAX);
	json_write(&out, v);
	if (buf_ok(&out))
		text = arena_dup(a, buf_str(&out));
	buf_done(&out);
	return text;
}
