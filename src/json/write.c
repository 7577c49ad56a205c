/* json/write.c - the writer without a tree: it only keeps track of commas. */
#include "json/write.h"

#include <assert.h>

#include "base/escape.h"

/* What stands before a value or a key: a comma, unless it is the first at its depth or follows a key. */
static void before(struct jw *w)
{
	uint64_t here = UINT64_C(1) << w->depth;

	if (w->after_key)
		w->after_key = false;
	else if (w->has_items & here)
		buf_putc(w->out, ',');
	w->has_items |= here;
}

static void open_level(struct jw *w, char bracket)
{
	before(w);
	assert(w->depth < 63);
	w->depth++;
	w->has_items &= ~(UINT64_C(1) << w->depth);
	buf_putc(w->out, bracket);
}

static void close_level(struct jw *w, char bracket)
{
	assert(w->depth > 0 && !w->after_key);
	w->depth--;
	buf_putc(w->out, bracket);
}

void jw_obj(struct jw *w)
{
	open_level(w, '{');
}

void jw_end_obj(struct jw *w)
{
	close_level(w, '}');
}

void jw_arr(struct jw *w)
{
	open_level(w, '[');
}

void jw_end_arr(struct jw *w)
{
	close_level(w, ']');
}

void jw_key_plain_(struct jw *w, const char *key, size_t len)
{
	char *to;

	assert(!w->after_key);
	before(w);
	w->after_key = true;
	to = buf_reserve(w->out, len + 3);
	if (!to)
		return;
	*to++ = '"';
	memcpy(to, key, len);
	to += len;
	*to++ = '"';
	*to = ':';
	buf_added(w->out, len + 3);
}

void jw_key_str(struct jw *w, struct str key)
{
	assert(!w->after_key);
	before(w);
	buf_putc(w->out, '"');
	escape_json(w->out, key);
	buf_put(w->out, STR("\":"));
	w->after_key = true;
}

void jw_str(struct jw *w, struct str s)
{
	if (!s.ptr) {
		jw_null(w);
		return;
	}
	before(w);
	buf_putc(w->out, '"');
	escape_json(w->out, s);
	buf_putc(w->out, '"');
}

void jw_cstr(struct jw *w, const char *s)
{
	jw_str(w, str_from(s));
}

void jw_i64(struct jw *w, int64_t v)
{
	before(w);
	buf_put_i64(w->out, v);
}

void jw_u64(struct jw *w, uint64_t v)
{
	before(w);
	buf_put_u64(w->out, v);
}

void jw_bool(struct jw *w, bool v)
{
	before(w);
	buf_puts(w->out, v ? "true" : "false");
}

void jw_null(struct jw *w)
{
	before(w);
	buf_put(w->out, STR("null"));
}

void jw_raw(struct jw *w, struct str json_text)
{
	before(w);
	buf_put(w->out, json_text);
}

void jw_raw_line(struct jw *w, struct str json_text)
{
	size_t done = 0;

	before(w);
	for (size_t i = 0; i < json_text.len; i++) {
		if (json_text.ptr[i] != '\n' && json_text.ptr[i] != '\r')
			continue;
		buf_put(w->out, (struct str){ json_text.ptr + done, i - done });
		buf_putc(w->out, ' ');
		done = i + 1;
	}
	buf_put(w->out, str_from_offset(json_text, done));
}

void json_escape(struct buf *out, struct str s)
{
	escape_json(out, s);
}
