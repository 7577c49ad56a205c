/* tests/unit/quotes.h - JSON in tests, written with ' for " so that it can be read. */
#ifndef GW_TESTS_QUOTES_H
#define GW_TESTS_QUOTES_H

#include "base/arena.h"
#include "base/str.h"

/* A copy of `text` with every ' made a ". */
static inline struct str quotes(struct arena *a, const char *text)
{
	struct str s = arena_dup(a, str_from(text));

	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '\'')
			((char *)s.ptr)[i] = '"';
	}
	return s;
}

#endif
