/* base/escape.h - text as the inside of a JSON string. It stands this low because the
 * log writes JSON too. */
#ifndef GW_BASE_ESCAPE_H
#define GW_BASE_ESCAPE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/buf.h"
#include "base/str.h"

/* `s` without the quotes around it. Control bytes, quote and backslash are escaped, what
 * is not UTF-8 becomes U+FFFD (one for each bad byte), all else stays as it is. */
void escape_json(struct buf *out, struct str s);

#define ESCAPE_REP_(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Where the run of plain bytes from `p` ends: at a control byte (< 0x20), a quote, a
 * backslash, a byte >= 0x80, or `end`. Eight bytes at a time: in each byte of `odd` the top
 * bit is set if the byte of `w` is one of those (a borrow may set it too, but only above
 * a byte that is one, so the lowest one is true). */
static inline const unsigned char *escape_plain_end(const unsigned char *p,
						    const unsigned char *end)
{
#ifdef __SSE2__
	/* Sixteen at a time: a signed comparison finds control bytes and those >= 0x80 in one go. */
	while (end - p >= 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i hit = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20)),
					   _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
							_mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))));
		unsigned mask = (unsigned)_mm_movemask_epi8(hit);

		if (mask)
			return p + __builtin_ctz(mask);
		p += 16;
	}
#endif
	while (end - p >= 8) {
		uint64_t w, odd;

		memcpy(&w, p, 8);
		odd = ((w - ESCAPE_REP_(0x20)) | ((w ^ ESCAPE_REP_('"')) - ESCAPE_REP_(1)) |
		       ((w ^ ESCAPE_REP_('\\')) - ESCAPE_REP_(1)) | w) &
		      ESCAPE_REP_(0x80);
		if (odd) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
			return p + (__builtin_ctzll(odd) >> 3);
#else
			break;
#endif
		}
		p += 8;
	}
	while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

#endif
