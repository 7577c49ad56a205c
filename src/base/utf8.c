/* base/utf8.c - checking and making UTF-8. The one hard thing is the set of second
 * bytes, which depends on the first one: see utf8_char() in the header. */
#include "base/utf8.h"

#include <assert.h>

bool utf8_valid(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	size_t i = 0;

	while (i < s.len) {
		size_t n;

		if (s.len - i >= 8) {
			uint64_t w;

			memcpy(&w, p + i, 8);
			if (!(w & 0x8080808080808080u)) {
				i += 8;
				continue;
			}
		}
		n = utf8_char(p + i, s.len - i);
		if (!n)
			return false;
		i += n;
	}
	return true;
}

size_t utf8_whole(struct str s)
{
	for (size_t back = 1; back <= 3 && back <= s.len; back++) {
		unsigned char c = (unsigned char)s.ptr[s.len - back];
		size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

		if (c >= 0x80 && c < 0xc0)
			continue; /* inside a character: its first byte stands before */
		return need > back ? s.len - back : s.len;
	}
	return s.len;
}

size_t utf8_put(char out[4], uint32_t c)
{
	assert(c <= 0x10ffff && (c < 0xd800 || c > 0xdfff));
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

int64_t utf8_count(struct str s)
{
	int64_t n = 0;
	size_t i = 0;

	for (; i + 8 <= s.len;
	     i += 8) { /* a byte that goes on with a character has bit 7 and not bit 6 */
		uint64_t w;

		memcpy(&w, s.ptr + i, 8);
		w = w >> 7 & ~(w >> 6) & UINT64_C(0x0101010101010101);
		n += 8 - (int64_t)(w * UINT64_C(0x0101010101010101) >> 56);
	}
	for (; i < s.len; i++)
		n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
	return n;
}
