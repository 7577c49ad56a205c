/* base/base64.c - RFC 4648 section 4, both ways. */
#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, struct str bytes)
{
	const unsigned char *p = (const unsigned char *)bytes.ptr;
	size_t left = bytes.len;
	char *to;

	if (left > SIZE_MAX / 4 * 3 - 3)
		to = buf_reserve(out, SIZE_MAX); /* fails, and says so the usual way */
	else
		to = buf_reserve(out, (left + 2) / 3 * 4);
	if (!to)
		return;
	buf_added(out, (left + 2) / 3 * 4);
	for (; left >= 3; left -= 3, p += 3) {
		uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

		*to++ = alphabet[v >> 18];
		*to++ = alphabet[v >> 12 & 63];
		*to++ = alphabet[v >> 6 & 63];
		*to++ = alphabet[v & 63];
	}
	if (left) {
		uint32_t v = (uint32_t)p[0] << 16 | (left == 2 ? (uint32_t)p[1] << 8 : 0);

		*to++ = alphabet[v >> 18];
		*to++ = alphabet[v >> 12 & 63];
		*to++ = left == 2 ? alphabet[v >> 6 & 63] : '=';
		*to++ = '=';
	}
}

/* The six bits of a character below 0x80; 99: not of the alphabet. */
static const unsigned char values[128] = {
	99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
	99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 62,
	99, 99, 99, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 99, 99, 99, 99, 99, 99, 99, 0,
	1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
	23, 24, 25, 99, 99, 99, 99, 99, 99, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38,
	39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 99, 99, 99, 99, 99,
};

static inline unsigned bits_of(unsigned char c)
{
	return c < 128 ? values[c] : 99;
}

/* Bytes that `text` stands for; writes them to `out` when that is not NULL. -1 when it is not base64. */
static ptrdiff_t decode(struct str text, unsigned char *out)
{
	const unsigned char *p = (const unsigned char *)text.ptr;
	size_t pad = 0, n = 0;

	if (text.len % 4)
		return -1;
	while (pad < 2 && text.len > pad && p[text.len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < text.len; i += 4) {
		size_t have = i + 4 == text.len ? 4 - pad : 4;
		uint32_t v = 0;
		unsigned bad = 0;

		for (size_t k = 0; k < 4; k++) {
			unsigned b = k < have ? bits_of(p[i + k]) : 0;

			bad |= b & 64;
			v = v << 6 | (b & 63);
		}
		/* The bits that no byte takes must be zero, or two texts would mean the same. */
		if (bad || (have == 3 && (v & 0xff)) || (have == 2 && (v & 0xffff)))
			return -1;
		for (size_t k = 0; k + 1 < have; k++, n++) {
			if (out)
				out[n] = (unsigned char)(v >> (16 - 8 * k));
		}
	}
	return (ptrdiff_t)n;
}

struct str base64_decode(struct arena *a, struct str text)
{
	unsigned char *out = arena_alloc_raw(a, text.len / 4 * 3 + 1);
	ptrdiff_t n = out ? decode(text, out) : -1;

	return n < 0 ? STR_NONE : (struct str){ (char *)out, (size_t)n };
}

bool base64_append_decoded(struct buf *out, struct str text)
{
	char *to = buf_reserve(out, text.len / 4 * 3 + 1);
	ptrdiff_t n = to ? decode(text, (unsigned char *)to) : -1;

	if (n < 0)
		return false;
	buf_added(out, (size_t)n);
	return true;
}

bool base64_valid(struct str text)
{
	return decode(text, NULL) >= 0;
}
