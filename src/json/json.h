/* json/json.h - reading JSON: a thin skin over yyjson, bound to an arena.
 *
 * Strict RFC 8259: no comments, no trailing commas, no NaN, valid UTF-8 (bytes
 * and escapes: a lone surrogate is refused), nesting at most JSON_MAX_DEPTH.
 * Numbers are kept as their text, so that 9007199254740993 and 1.10 survive.
 * Values are borrowed from the document, which lives as long as its arena.
 */
#ifndef GW_JSON_JSON_H
#define GW_JSON_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { JSON_MAX_DEPTH = 256 };

/* A value; NULL means "absent", and every reader below accepts NULL. */
struct yyjson_val;
typedef struct yyjson_val
	json; /* the one typedef of the tree: yyjson's own name is not ours to spread */

/* Parses all of `text` (blanks around it allowed). On failure NULL and reterr
 * with RC_SYNTAX and the byte position, or RC_NOMEM. The text is copied. Besides the copy
 * a value takes 16 bytes of the arena (while the list of them grows, up to 40). */
const json *json_parse(struct arena *a, struct str text, struct err *reterr) MUST_CHECK;

bool json_is_obj(const json *v);
bool json_is_arr(const json *v);
bool json_is_str(const json *v);
bool json_is_num(const json *v);
bool json_is_bool(const json *v);
/* Also false for absent. */
bool json_is_null(const json *v);
/* "object", "array", "string", "number", "boolean", "null" or "nothing": for error messages. */
const char *json_type(const json *v);

/* The member `key` of an object; NULL when absent or `obj` is no object. Of duplicate keys the last counts. */
const json *json_get(const json *obj, struct str key);
/* As json_get() with a literal, but NULL also when the value is JSON null. */
#define JSON_GET(obj, lit) json_get_set((obj), STR(lit))
const json *json_get_set(const json *obj, struct str key);

/* Several members in one walk: ret[i] becomes the member names[i], NULL when it is absent or JSON null. Of duplicate keys the last
 * counts. Returns how many members of `obj` have none of the names (0 when it is no object). The names may be a column of
 * a table, whose rows are `stride` bytes apart. Quickest where both stand in the same order. */
size_t json_find(const json *obj, const struct str *names, size_t stride, size_t n,
		 const json **ret);
/* With an array of names, and with a table whose rows have a `name`. */
#define JSON_FIND(obj, names, ret) \
	json_find((obj), (names), sizeof((names)[0]), sizeof(names) / sizeof((names)[0]), (ret))
#define JSON_FIND_ROWS(obj, table, ret)                                                            \
	json_find((obj), &(table)[0].name, sizeof((table)[0]), sizeof(table) / sizeof((table)[0]), \
		  (ret))
/* The place of `key` among such names, looked for from the one at `from` on and then from the start; `n` when it is none of them. */
size_t json_name_index(const struct str *names, size_t stride, size_t n, size_t from,
		       struct str key);

/* A string's bytes (may hold NUL); absent (.ptr NULL) when `v` is no string. */
struct str json_str(const json *v);
/* A number's text as it stood; absent when `v` is no number. */
struct str json_num(const json *v);
/* An integer that fits, also from "3.0" or "3e0"; false otherwise. */
bool json_i64(const json *v, int64_t *ret);
bool json_f64(const json *v, double *ret);
/* The same of a number's text that was kept; false when it is none, or longer than anybody writes numbers (500 bytes). */
bool json_text_f64(struct str number, double *ret);
/* `v` as a boolean, `otherwise` when it is not one. */
bool json_bool(const json *v, bool otherwise);

size_t json_len(const json *v); /* members or elements; 0 otherwise */

/* Walks an array or object:
 *	struct json_iter it = json_iter(v);
 *	while (json_next(&it)) use(it.key, it.val);  (.key absent in arrays) */
struct json_iter {
	struct str key;
	const json *val; /* never absent inside the loop */
	/* private */
	const json *at_;
	size_t left_;
	bool obj_;
};
struct json_iter json_iter(const json *v);
bool json_next(struct json_iter *it);

/* Appends `v` as compact JSON; key order and number texts are kept. */
void json_write(struct buf *out, const json *v);
/* The same into the arena; .ptr NULL when memory is out. */
struct str json_text(struct arena *a, const json *v) MUST_CHECK;

#endif
