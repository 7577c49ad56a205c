/* base/escape.c - escaping for JSON: runs that need nothing are copied whole. */
#include "base/escape.h"

#include "base/utf8.h"

static void put_control(struct buf *out, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char text[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

	switch (c) {
	case '"':
	case '\\':
		text[1] = (char)c;
		break;
	case '\b':
		text[1] = 'b';
		break;
	case '\f':
		text[1] = 'f';
		break;
	case '\n':
		text[1] = 'n';
		break;
	case '\r':
		text[1] = 'r';
		break;
	case '\t':
		text[1] = 't';
		break;
	default:
		buf_put(out, (struct str){ text, 6 });
		return;
	}
	buf_put(out, (struct str){ text, 2 });
}

void escape_json(struct buf *out, struct str s)
{
	const unsigned char *p = (const unsigned char *)(s.ptr ? s.ptr : ""), *end = p + s.len,
			    *run = p;

	while (p < end) {
		size_t n;

		p = escape_plain_end(p, end);
		if (p == end)
			break;
		n = *p < 0x80 ? 0 : utf8_char(p, (size_t)(end - p));
		if (n) {
			p += n;
			continue;
		}
		buf_put(out, (struct str){ (const char *)run, (size_t)(p - run) });
		if (*p < 0x80)
			put_control(out, *p);
		else
			buf_puts(out, "\xef\xbf\xbd");
		run = ++p;
	}
	if (p != run)
		buf_put(out, (struct str){ (const char *)run, (size_t)(p - run) });
}
