/* base/str.h - a borrowed slice of bytes, passed by value.
 *
 * A slice never owns what it points at, may hold NULs and need not end in one:
 * NUL-terminated strings exist only at the borders of C APIs (arena_dup() gives
 * one). An absent value is {NULL, 0}; an empty one has a non-NULL .ptr.
 */
#ifndef GW_BASE_STR_H
#define GW_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *ptr;
	size_t len;
};

/* A literal; works in static initialisers too. */
#define STR(lit) ((struct str){ "" lit, sizeof(lit) - 1 })
#define STR_INIT(lit)                   \
	{                               \
		"" lit, sizeof(lit) - 1 \
	}
#define STR_NONE ((struct str){ NULL, 0 })

/* For printf: printf("%.*s", STR_ARG(s)). */
#define STR_ARG(s) (int)(s).len, (s).ptr ? (s).ptr : ""

static inline struct str str_from(const char *c_string)
{
	return (struct str){ c_string, c_string ? strlen(c_string) : 0 };
}

static inline bool str_present(struct str s)
{
	return s.ptr != NULL;
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* `s` from byte `from` on (empty when beyond the end). */
static inline struct str str_from_offset(struct str s, size_t from)
{
	if (!s.ptr)
		return s;
	if (from > s.len)
		from = s.len;
	return (struct str){ s.ptr + from, s.len - from };
}

static inline bool str_starts(struct str s, struct str prefix)
{
	return s.len >= prefix.len && str_eq((struct str){ s.ptr, prefix.len }, prefix);
}

static inline bool str_ends(struct str s, struct str suffix)
{
	return s.len >= suffix.len && str_eq(str_from_offset(s, s.len - suffix.len), suffix);
}

bool str_ieq_bytes_(const char *a, const char *b, size_t n);

/* ASCII case folded; other bytes compare as they are. */
static inline bool str_ieq(struct str a, struct str b)
{
	return a.len == b.len && str_ieq_bytes_(a.ptr, b.ptr, a.len);
}

static inline bool str_istarts(struct str s, struct str prefix)
{
	return s.len >= prefix.len && str_ieq_bytes_(s.ptr, prefix.ptr, prefix.len);
}

/* Without blanks and tabs (and CR, LF) at both ends. */
struct str str_trim(struct str s);

/* Offset of the first `c` or of `needle`, or -1. */
ptrdiff_t str_chr(struct str s, char c);
ptrdiff_t str_find(struct str s, struct str needle);

/* Splits `*rest` at the first `sep`: returns what stands before it and leaves
 * what follows in `*rest`; without a `sep` returns all and makes `*rest` absent.
 * Loop: while (str_present(rest)) { part = str_cut(&rest, ','); ... } */
struct str str_cut(struct str *rest, char sep);

/* Decimal digits only, no sign, no blanks, within uint64_t. */
bool str_to_u64(struct str s, uint64_t *ret);
/* An optional '-' and digits, within int64_t. */
bool str_to_i64(struct str s, int64_t *ret);

/* Glob over the whole of `s`: `*` any run, `?` any one byte. Linear in practice
 * and bounded by len(s) * len(pattern). */
bool str_glob(struct str pattern, struct str s);

/* Edit distance (Levenshtein) capped at `cap`; for "did you mean". */
unsigned str_distance(struct str a, struct str b, unsigned cap);

#endif
