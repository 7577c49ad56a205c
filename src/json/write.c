/* json/write.c - the writer without a tree: what is not in the header. */
#include "json/write.h"

#include "base/escape.h"

/* What is due before a value or a key. */
static void before(struct jw *w)
{
	if (w->comma)
		buf_putc(w->out, ',');
}

/* Most strings have nothing to escape: they go in one piece. */
static void put_string(struct jw *w, struct str s)
{
	const unsigned char *from = (const unsigned char *)s.ptr;
	size_t plain = s.len ? (size_t)(escape_plain_end(from, from + s.len) - from) : 0;
	char *to = buf_reserve(w->out, w->comma + s.len + 2);

	if (!to)
		return;
	*to = ',';
	to += w->comma;
	*to++ = '"';
	if (plain)
		memcpy(to, s.ptr, plain);
	to[plain] = '"';
	buf_added(w->out, w->comma + plain + (plain == s.len ? 2 : 1));
	if (plain == s.len)
		return;
	escape_json(w->out, str_from_offset(s, plain));
	buf_putc(w->out, '"');
}

void jw_key_str(struct jw *w, struct str key)
{
	put_string(w, key);
	buf_putc(w->out, ':');
	w->comma = false;
}

void jw_str(struct jw *w, struct str s)
{
	if (!s.ptr) {
		jw_null(w);
		return;
	}
	put_string(w, s);
	w->comma = true;
}

void jw_cstr(struct jw *w, const char *s)
{
	jw_str(w, str_from(s));
}

void jw_i64(struct jw *w, int64_t v)
{
	if (v >= 0 && v < 10) { /* most counts are 0 */
		jw_put_(w, &"0123456789"[v], 1);
	} else {
		before(w);
		buf_put_i64(w->out, v);
	}
	w->comma = true;
}

void jw_u64(struct jw *w, uint64_t v)
{
	before(w);
	buf_put_u64(w->out, v);
	w->comma = true;
}

void jw_raw(struct jw *w, struct str json_text)
{
	before(w);
	buf_put(w->out, json_text);
	w->comma = true;
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
	w->comma = true;
}

void json_escape(struct buf *out, struct str s)
{
	escape_json(out, s);
}
