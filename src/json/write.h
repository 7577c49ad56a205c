/* json/write.h - writing JSON straight into a buffer, without a tree.
 *
 * The writer places commas and colons; the caller opens and closes, each as often as the other.
 * Failure is the buffer's (sticky): check buf_ok() once at the end.
 *
 *	struct jw w = jw_on(&buf);
 *	jw_obj(&w);
 *	jw_key(&w, "model"); jw_str(&w, model);
 *	jw_end_obj(&w);
 *
 * What stands here whole is what bodies are made of: with a literal, whose length then is a constant, a key is a few
 * instructions. So do not wrap jw_key() where the key is no literal any more.
 */
#ifndef GW_JSON_WRITE_H
#define GW_JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct jw {
	struct buf *out;
	bool comma; /* one is due before the next key or element */
};

static inline struct jw jw_on(struct buf *out)
{
	return (struct jw){ .out = out };
}

/* The same where an object or a list was begun by other means and holds something already. */
static inline struct jw jw_inside(struct buf *out)
{
	return (struct jw){ .out = out, .comma = true };
}

#define JW_INLINE_ static inline __attribute__((always_inline))

/* `text`, which is not empty, behind the comma that is due. */
JW_INLINE_ void jw_put_(struct jw *w, const char *text, size_t n)
{
	char *to = buf_reserve(w->out, n + w->comma);

	if (!to)
		return;
	*to = ','; /* where none is due the text stands on it */
	memcpy(to + w->comma, text, n);
	buf_added(w->out, n + w->comma);
}

static inline void jw_obj(struct jw *w)
{
	jw_put_(w, "{", 1);
	w->comma = false;
}

static inline void jw_end_obj(struct jw *w)
{
	buf_putc(w->out, '}');
	w->comma = true;
}

static inline void jw_arr(struct jw *w)
{
	jw_put_(w, "[", 1);
	w->comma = false;
}

static inline void jw_end_arr(struct jw *w)
{
	buf_putc(w->out, ']');
	w->comma = true;
}

/* A key without characters to escape. */
JW_INLINE_ void jw_key(struct jw *w, const char *key)
{
	size_t len = strlen(key), n = len + 3 + w->comma;
	char *to = buf_reserve(w->out, n);

	if (to) {
		*to = ',';
		to += w->comma;
		*to++ = '"';
		memcpy(to, key, len);
		to += len;
		*to++ = '"';
		*to = ':';
		buf_added(w->out, n);
	}
	w->comma = false;
}

void jw_key_str(struct jw *w, struct str key);
/* Invalid UTF-8 in `s` is replaced by U+FFFD; an absent `s` is written as null. */
void jw_str(struct jw *w, struct str s);
void jw_cstr(struct jw *w, const char *s);
void jw_i64(struct jw *w, int64_t v);
void jw_u64(struct jw *w, uint64_t v);
/* Ready JSON text, trusted to be one value. Nothing: what follows by other means is the value. */
void jw_raw(struct jw *w, struct str json_text);

static inline void jw_bool(struct jw *w, bool v)
{
	jw_put_(w, v ? "true" : "false", v ? 4 : 5);
	w->comma = true;
}

static inline void jw_null(struct jw *w)
{
	jw_put_(w, "null", 4);
	w->comma = true;
}

/* The same for what stands in a frame that a line break would end (SSE, NDJSON): breaks, which can only stand between tokens,
 * become blanks. Models do write their JSON over several lines. */
void jw_raw_line(struct jw *w, struct str json_text);

/* key and value in one go. */
JW_INLINE_ void jw_kstr(struct jw *w, const char *key, struct str s)
{
	jw_key(w, key);
	jw_str(w, s);
}

JW_INLINE_ void jw_kcstr(struct jw *w, const char *key, const char *s)
{
	jw_key(w, key);
	jw_cstr(w, s);
}

JW_INLINE_ void jw_ki64(struct jw *w, const char *key, int64_t v)
{
	jw_key(w, key);
	jw_i64(w, v);
}

JW_INLINE_ void jw_kbool(struct jw *w, const char *key, bool v)
{
	jw_key(w, key);
	jw_bool(w, v);
}

JW_INLINE_ void jw_knull(struct jw *w, const char *key)
{
	jw_key(w, key);
	jw_null(w);
}

JW_INLINE_ void jw_kraw(struct jw *w, const char *key, struct str json_text)
{
	jw_key(w, key);
	jw_raw(w, json_text);
}

/* Only the escaping: `s` as the inside of a JSON string, without quotes. */
void json_escape(struct buf *out, struct str s);

#endif
