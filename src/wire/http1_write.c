/* wire/http1_write.c - writing heads and chunks. */
#include "wire/http1.h"

const struct str http1_last_chunk = STR_INIT("0\r\n\r\n");

void http1_put_field(struct buf *out, struct str name, struct str value)
{
	char *to = buf_reserve(out, name.len + value.len + 4);

	if (!to)
		return;
	memcpy(to, name.ptr, name.len);
	to += name.len;
	*to++ = ':';
	*to++ = ' ';
	if (value.len)
		memcpy(to, value.ptr, value.len);
	to += value.len;
	*to++ = '\r';
	*to++ = '\n';
	buf_added(out, name.len + value.len + 4);
}

void http1_put_status(struct buf *out, int status)
{
	buf_put(out, STR("HTTP/1.1 "));
	buf_put_u64(out, (uint64_t)status);
	buf_putc(out, ' ');
	buf_put(out, http_reason(status));
	buf_put(out, STR("\r\n"));
}

void http1_put_chunk_head(struct buf *out, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	char text[2 * sizeof(n) + 2], *p = text + sizeof(text);

	*--p = '\n';
	*--p = '\r';
	for (; n; n >>= 4)
		*--p = hex[n & 15];
	buf_put(out, (struct str){ p, (size_t)(text + sizeof(text) - p) });
}

struct str http_reason(int status)
{
	static const struct {
		int status;
		struct str text;
	} reasons[] = {
		{ 100, STR_INIT("Continue") },
		{ 101, STR_INIT("Switching Protocols") },
		{ 200, STR_INIT("OK") },
		{ 201, STR_INIT("Created") },
		{ 202, STR_INIT("Accepted") },
		{ 204, STR_INIT("No Content") },
		{ 206, STR_INIT("Partial Content") },
		{ 301, STR_INIT("Moved Permanently") },
		{ 302, STR_INIT("Found") },
		{ 303, STR_INIT("See Other") },
		{ 304, STR_INIT("Not Modified") },
		{ 307, STR_INIT("Temporary Redirect") },
		{ 308, STR_INIT("Permanent Redirect") },
		{ 400, STR_INIT("Bad Request") },
		{ 401, STR_INIT("Unauthorized") },
		{ 402, STR_INIT("Payment Required") },
		{ 403, STR_INIT("Forbidden") },
		{ 404, STR_INIT("Not Found") },
		{ 405, STR_INIT("Method Not Allowed") },
		{ 406, STR_INIT("Not Acceptable") },
		{ 408, STR_INIT("Request Timeout") },
		{ 409, STR_INIT("Conflict") },
		{ 410, STR_INIT("Gone") },
		{ 411, STR_INIT("Length Required") },
		{ 412, STR_INIT("Precondition Failed") },
		{ 413, STR_INIT("Content Too Large") },
		{ 414, STR_INIT("URI Too Long") },
		{ 415, STR_INIT("Unsupported Media Type") },
		{ 416, STR_INIT("Range Not Satisfiable") },
		{ 417, STR_INIT("Expectation Failed") },
		{ 421, STR_INIT("Misdirected Request") },
		{ 422, STR_INIT("Unprocessable Content") },
		{ 424, STR_INIT("Failed Dependency") },
		{ 425, STR_INIT("Too Early") },
		{ 426, STR_INIT("Upgrade Required") },
		{ 428, STR_INIT("Precondition Required") },
		{ 429, STR_INIT("Too Many Requests") },
		{ 431, STR_INIT("Request Header Fields Too Large") },
		{ 451, STR_INIT("Unavailable For Legal Reasons") },
		{ 500, STR_INIT("Internal Server Error") },
		{ 501, STR_INIT("Not Implemented") },
		{ 502, STR_INIT("Bad Gateway") },
		{ 503, STR_INIT("Service Unavailable") },
		{ 504, STR_INIT("Gateway Timeout") },
		{ 505, STR_INIT("HTTP Version Not Supported") },
		{ 507, STR_INIT("Insufficient Storage") },
		{ 529, STR_INIT("Overloaded") }, /* Anthropic's; in no registry */
	};
	size_t lo = 0, hi = sizeof(reasons) / sizeof(reasons[0]);

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (reasons[mid].status == status)
			return reasons[mid].text;
		if (reasons[mid].status < status)
			lo = mid + 1;
		else
			hi = mid;
	}
	return STR("Unknown"); /* RFC 9112 lets it be empty, but some clients do not */
}

static bool unreserved(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void http_put_segment(struct buf *out, struct str segment)
{
	static const char hex[] = "0123456789ABCDEF";
	/* `.` and `..` are steps, not names, even when they come percent-encoded; there is no way to
	 * send them as a name, so the dots of such a segment are encoded for a server that decodes late. */
	bool dots = str_eq(segment, STR(".")) || str_eq(segment, STR(".."));

	for (size_t i = 0; i < segment.len; i++) {
		unsigned char c = (unsigned char)segment.ptr[i];

		if (unreserved(c) && !dots) {
			buf_putc(out, (char)c);
		} else {
			char text[3] = { '%', hex[c >> 4], hex[c & 15] };

			buf_put(out, (struct str){ text, 3 });
		}
	}
}
