/* wire/sse.c - finding and reading blocks of Server-Sent Events.
 *
 * The hard thing is CR: it ends a line by itself or together with an LF that may not have
 * arrived yet. At the end of the window a CR therefore waits for its neighbour, with one
 * exception: where the stream's lines end in bare CR, a blank line is complete at once
 * (no LF is to be expected), and should an LF follow nevertheless it is skipped.
 */
#include "wire/sse.h"

enum { JOINED_KEEP = 16 << 10 }; /* memory that one large event may leave to the next */

void sse_init(struct sse_parser *p, size_t max_event)
{
	*p = (struct sse_parser){ .max_event = max_event };
	buf_init(&p->joined, max_event);
}

void sse_done(struct sse_parser *p)
{
	buf_done(&p->joined);
}

/* Offset of the first line end at or after `from`; window.len when there is none. */
static size_t find_line_end(struct str window, size_t from)
{
	struct str rest = str_from_offset(window, from);
	ptrdiff_t lf, cr;

	if (rest.len && *rest.ptr == '\n') /* every second line */
		return from;
	lf = str_chr(rest, '\n');
	if (lf >= 0)
		rest.len = (size_t)lf;
	cr = str_chr(rest,
		     '\r'); /* only up to the LF, or each line would look through all that follow */
	return from + (cr >= 0 ? (size_t)cr : rest.len);
}

static bool crlf_before(struct str window, size_t line)
{
	return line >= 2 && window.ptr[line - 1] == '\n' && window.ptr[line - 2] == '\r';
}

/* Where the first lines of a block end, from the window's front; so that a block that comes in one piece is searched once. */
struct line_ends {
	size_t at[4]; /* event, data, id: few have more */
	unsigned n;
};

/* Length of the block at the front of the window, its blank line included; 0 when more bytes
 * are needed. Leaves seen_ where the blank line begins. Every byte is looked at once over all calls for a block. */
static size_t find_block(struct sse_parser *p, struct str window, struct line_ends *ends)
{
	bool fresh = p->seen_ == 0;

	ends->n = 0;
	if (p->seen_ == 0 && p->skip_lf_ && window.len) {
		p->skip_lf_ = *window.ptr == '\n';
		p->seen_ = p->line_ = p->skip_lf_;
	}
	for (;;) {
		size_t end = find_line_end(window, p->seen_), next = end + 1;
		bool blank = end == p->line_;

		p->seen_ = end;
		if (end == window.len)
			return 0;
		if (window.ptr[end] == '\r') {
			if (next < window.len)
				next += window.ptr[next] == '\n';
			else if (!blank || !end || crlf_before(window, end))
				return 0;
		}
		if (blank)
			return next;
		if (fresh && ends->n < sizeof(ends->at) / sizeof(ends->at[0]))
			ends->at[ends->n++] = end;
		p->seen_ = p->line_ = next;
	}
}

/* One data line more: the first is borrowed, from the second on they are joined. */
static void add_data(struct sse_parser *p, struct frame *ev, struct str value, bool *joining)
{
	if (!ev->data.ptr) {
		ev->data = value;
		return;
	}
	if (!*joining) {
		buf_reset(&p->joined);
		buf_put(&p->joined, ev->data);
		*joining = true;
	}
	buf_putc(&p->joined, '\n');
	buf_put(&p->joined, value);
}

/* Fills *ev from the lines of `block`, which ends in its blank line and begins `from` bytes into the window. */
static bool read_block(struct sse_parser *p, struct str block, size_t from,
		       const struct line_ends *ends, struct frame *ev)
{
	const char *window = block.ptr - from;
	bool joining = false;
	unsigned n = 0;

	if (p->joined.cap > JOINED_KEEP)
		buf_done(&p->joined);
	ev->comment = true;
	while (block.len) {
		size_t end = n < ends->n ? ends->at[n++] - (size_t)(block.ptr - window)
					 : find_line_end(block, 0);
		struct str line = { block.ptr, end }, value;
		ptrdiff_t colon = str_chr(line, ':');

		if (end + 1 < block.len && block.ptr[end] == '\r' && block.ptr[end + 1] == '\n')
			end++;
		block = str_from_offset(block, end + 1);
		if (!line.len || colon == 0)
			continue; /* the blank line, a comment */
		ev->comment = false;
		value = str_from_offset(line, colon < 0 ? line.len : (size_t)colon + 1);
		if (colon > 0)
			line.len = (size_t)colon;
		if (value.len && *value.ptr == ' ')
			value = str_from_offset(value, 1);
		if (str_eq(line, STR("data")))
			add_data(p, ev, value, &joining);
		else if (str_eq(line, STR("event")))
			ev->name = value.len ? value : STR_NONE;
	}
	if (joining)
		ev->data = buf_str(&p->joined);
	return !joining || buf_ok(&p->joined);
}

enum sse_result sse_next(struct sse_parser *p, struct str window, struct frame *ret,
			 size_t *ret_consumed)
{
	struct line_ends ends;
	size_t len = find_block(p, window, &ends), from;
	struct frame ev = { 0 };

	/* Measured without the blank line and without an LF of the last one, as it depends on the cut whether
	 * those count here. While the block is open, one byte more may be the CR of its blank line. */
	if ((len ? p->seen_ : window.len - (window.len > 0)) > p->max_event + p->skip_lf_)
		return SSE_TOOBIG;
	if (!len)
		return SSE_MORE;
	ev.raw = (struct str){ window.ptr, len };
	from = p->skip_lf_;
	if (!p->started_ && len - from >= 3 && memcmp(window.ptr + from, "\xef\xbb\xbf", 3) == 0)
		from += 3;
	/* The next block may begin with the LF that belongs to this one's last CR. */
	p->skip_lf_ = window.ptr[len - 1] == '\r';
	p->started_ = true;
	p->seen_ = p->line_ = 0;
	if (!read_block(p, str_from_offset(ev.raw, from), from, &ends, &ev))
		return SSE_NOMEM;
	*ret = ev;
	*ret_consumed = len;
	return SSE_EVENT;
}

void sse_put_head(struct buf *out, const char *name)
{
	if (name) {
		buf_put(out, STR("event: "));
		buf_puts(out, name);
		buf_putc(out, '\n');
	}
	buf_put(out, STR("data: "));
}

void sse_put_end(struct buf *out)
{
	buf_put(out, STR("\n\n"));
}
