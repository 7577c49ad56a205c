/* base/utf8.h - UTF-8 as RFC 3629 defines it: no surrogates, no overlong forms. */
#ifndef GW_BASE_UTF8_H
#define GW_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

bool utf8_valid(struct str s);
/* Length of the longest prefix of `s` that does not end inside a character. */
size_t utf8_whole(struct str s);
/* Writes the code point (<= 0x10FFFF, no surrogate) as 1..4 bytes; returns how many. */
size_t utf8_put(char out[4], uint32_t code_point);

#endif
