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
/* Characters of a valid text. */
int64_t utf8_count(struct str s);
/* Writes the code point (<= 0x10FFFF, no surrogate) as 1..4 bytes; returns how many. */
size_t utf8_put(char out[4], uint32_t code_point);

/* Length of the character that starts at `p` (`left` > 0 bytes may be read), or 0
 * when there is no valid one. The table of RFC 3629 section 4:
 *	C2..DF 80..BF            E0 A0..BF 80..BF       E1..EC,EE,EF 80..BF 80..BF
 *	ED 80..9F 80..BF         F0 90..BF (80..BF)x2   F1..F3 (80..BF)x3   F4 80..8F (80..BF)x2 */
static inline size_t utf8_char(const unsigned char *p, size_t left)
{
	unsigned char c = p[0];

	if (c < 0x80)
		return 1;
	if (c < 0xe0)
		return c >= 0xc2 && left >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
	if (c < 0xf0) {
		if (left < 3 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80)
			return 0;
		return (c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) ? 0 : 3;
	}
	if (c > 0xf4 || left < 4 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 ||
	    (p[3] & 0xc0) != 0x80)
		return 0;
	return (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f) ? 0 : 4;
}

#endif
