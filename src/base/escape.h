/* base/escape.h - text as the inside of a JSON string. It stands this low because the
 * log writes JSON too. */
#ifndef GW_BASE_ESCAPE_H
#define GW_BASE_ESCAPE_H

#include <stdbool.h>
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

/* Is any of the eight bytes of `w` not plain? */
static inline bool escape_any_(uint64_t w)
{
	return ((w - ESCAPE_REP_(0x20)) | ((w ^ ESCAPE_REP_('"')) - ESCAPE_REP_(1)) |
		((w ^ ESCAPE_REP_('\\')) - ESCAPE_REP_(1)) | w) &
	       ESCAPE_REP_(0x80);
}

#ifdef __SSE2__
/* A bit for each of sixteen bytes that is not plain; a signed comparison finds control bytes and those >= 0x80 in one go. */
static inline unsigned escape_mask_(const unsigned char *p)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i hit = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20)),
				   _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
						_mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))));

	return (unsigned)_mm_movemask_epi8(hit);
}
#endif

/* Where the run of plain bytes from `p` ends: at a control byte (< 0x20), a quote, a
 * backslash, a byte >= 0x80, or `end`. Most runs are names and short words, so short ones matter. */
static inline const unsigned char *escape_plain_end(const unsigned char *p,
						    const unsigned char *end)
{
	uint64_t w = 0;

#ifdef __SSE2__
	const unsigned char *start = p;

	for (; end - p >= 16; p += 16) {
		unsigned mask = escape_mask_(p);

		if (mask)
			return p + __builtin_ctz(mask);
	}
	if (p != start) { /* the last sixteen; those before `p` are known to be plain */
		unsigned mask = escape_mask_(end - 16);

		return mask ? end - 16 + __builtin_ctz(mask) : end;
	}
#endif
	for (; end - p >= 8; p += 8) {
		memcpy(&w, p, 8);
		if (escape_any_(w))
			break;
	}
	if (end - p < 8 && end - p >= 4) { /* in two fours, which may overlap */
		memcpy(&w, p, 4);
		memcpy((char *)&w + 4, end - 4, 4);
		if (!escape_any_(w))
			return end;
	}
	while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

#endif
