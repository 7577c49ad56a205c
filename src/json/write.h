/* json/write.h - writing JSON straight into a buffer, without a tree.
 *
 * The writer places commas and colons; the caller opens and closes. Nesting is
 * kept in a bit set, so depth is at most 64 (asserted: our own output is flat).
 * Failure is the buffer's (sticky): check buf_ok() once at the end.
 *
 *	struct jw w = jw_on(&buf);
 *	jw_obj(&w);
 *	jw_key(&w, "model"); jw_str(&w, model);
 *	jw_end_obj(&w);
 */
#ifndef GW_JSON_WRITE_H
#define GW_JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct jw {
	struct buf *out;
	uint64_t has_items; /* bit d: something was written at depth d */
	unsigned depth;
	bool after_key;
};

static inline struct jw jw_on(struct buf *out)
{
	return (struct jw){ .out = out };
}

void jw_obj(struct jw *w);
void jw_end_obj(struct jw *w);
void jw_arr(struct jw *w);
void jw_end_arr(struct jw *w);
/* A literal without characters to escape. (Inline, as its length then is a constant; so are those below.) */
void jw_key_plain_(struct jw *w, const char *key, size_t len);
static inline void jw_key(struct jw *w, const char *key)
{
	jw_key_plain_(w, key, strlen(key));
}
void jw_key_str(struct jw *w, struct str key);
/* Invalid UTF-8 in `s` is replaced by U+FFFD; an absent `s` is written as null. */
void jw_str(struct jw *w, struct str s);
void jw_cstr(struct jw *w, const char *s);
void jw_i64(struct jw *w, int64_t v);
void jw_u64(struct jw *w, uint64_t v);
void jw_bool(struct jw *w, bool v);
void jw_null(struct jw *w);
/* Ready JSON text, trusted to be one value. */
void jw_raw(struct jw *w, struct str json_text);

/* The same for what stands in a frame that a line break would end (SSE, NDJSON): breaks, which can only stand between tokens,
 * become blanks. Models do write their JSON over several lines. */
void jw_raw_line(struct jw *w, struct str json_text);

/* key and value in one go. */
static inline void jw_kstr(struct jw *w, const char *key, struct str s)
{
	jw_key(w, key);
	jw_str(w, s);
}

static inline void jw_kcstr(struct jw *w, const char *key, const char *s)
{
	jw_key(w, key);
	jw_cstr(w, s);
}

static inline void jw_ki64(struct jw *w, const char *key, int64_t v)
{
	jw_key(w, key);
	jw_i64(w, v);
}

static inline void jw_kbool(struct jw *w, const char *key, bool v)
{
	jw_key(w, key);
	jw_bool(w, v);
}

static inline void jw_knull(struct jw *w, const char *key)
{
	jw_key(w, key);
	jw_null(w);
}

static inline void jw_kraw(struct jw *w, const char *key, struct str json_text)
{
	jw_key(w, key);
	jw_raw(w, json_text);
}

/* Only the escaping: `s` as the inside of a JSON string, without quotes. */
void json_escape(struct buf *out, struct str s);

#endif
