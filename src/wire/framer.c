/* wire/framer.c - cuts the bytes of a streamed answer into frames, for any split.
 *
 * The hard thing is the JSON array: its elements must be cut without reading them, at any split. Brackets are counted
 * outside strings; what is malformed inside an element is left to who reads it.
 */
#include "wire/framer.h"

void framer_init(struct framer *f, enum framing framing, size_t max_frame)
{
	*f = (struct framer){ .framing = framing, .max_ = max_frame };
	sse_init(&f->sse_, max_frame);
}

void framer_done(struct framer *f)
{
	sse_done(&f->sse_);
}

static enum framer_result next_event(struct framer *f, struct str window, struct frame *ret,
				     size_t *ret_consumed)
{
	switch (sse_next(&f->sse_, window, ret, ret_consumed)) {
	case SSE_EVENT:
		return FRAMER_FRAME;
	case SSE_TOOBIG:
		return FRAMER_TOOBIG;
	case SSE_NOMEM:
		return FRAMER_NOMEM;
	case SSE_MORE:
		break;
	}
	return FRAMER_MORE;
}

static enum framer_result more(struct framer *f, struct str window)
{
	f->seen_ = window.len;
	return window.len > f->max_ ? FRAMER_TOOBIG : FRAMER_MORE;
}

static enum framer_result cut(struct framer *f, struct str window, size_t len, struct str data,
			      struct frame *ret, size_t *ret_consumed)
{
	data = str_trim(data);
	f->seen_ = 0;
	if (len > f->max_)
		return FRAMER_TOOBIG;
	*ret = (struct frame){ .raw = { window.ptr, len }, .comment = data.len == 0 };
	if (data.len > 0)
		ret->data = data;
	*ret_consumed = len;
	return FRAMER_FRAME;
}

static enum framer_result next_line(struct framer *f, struct str window, struct frame *ret,
				    size_t *ret_consumed)
{
	ptrdiff_t lf = str_chr(str_from_offset(window, f->seen_), '\n');
	size_t len = f->seen_ + (size_t)lf + 1;

	if (lf < 0)
		return more(f, window);
	return cut(f, window, len, (struct str){ window.ptr, len - 1 }, ret, ret_consumed);
}

/* One byte of an element. True: the element ends before it, at a ',' or ']' of the array itself. */
static bool element_ends(struct framer *f, char c)
{
	if (f->string_) {
		f->string_ = f->escape_ || c != '"';
		f->escape_ = !f->escape_ && c == '\\';
	} else if (c == '"') {
		f->string_ = true;
	} else if (c == '{' || c == '[') {
		f->depth_++;
	} else if (f->depth_ == 0 && (c == ',' || c == ']')) {
		return true;
	} else if (c == '}' || c == ']') {
		f->depth_ -= f->depth_ > 0;
	}
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* An object or a list is whole with its last bracket: it must not wait for the comma that may come seconds later. */
static bool element_whole(const struct framer *f, char c)
{
	return f->depth_ == 0 && !f->string_ && (c == '}' || c == ']');
}

/* A bracket or comma of the array itself: a frame without data. */
static enum framer_result punctuation(struct framer *f, struct str window, size_t at,
				      struct frame *ret, size_t *ret_consumed)
{
	char c = window.ptr[at];

	if (f->closed_ || (!f->opened_ && c != '['))
		return FRAMER_SYNTAX;
	f->opened_ = true;
	f->closed_ = c == ']';
	return cut(f, window, at + 1, STR(""), ret, ret_consumed);
}

static enum framer_result next_element(struct framer *f, struct str window, struct frame *ret,
				       size_t *ret_consumed)
{
	size_t i = f->seen_;

	while (!f->element_ && i < window.len && is_blank(window.ptr[i]))
		i++;
	if (!f->element_ && i < window.len) {
		char c = window.ptr[i];

		if (!f->opened_ || f->closed_ || c == ',' || c == ']')
			return punctuation(f, window, i, ret, ret_consumed);
		f->element_ = true;
	}
	for (; i < window.len; i++) {
		bool ends = element_ends(f, window.ptr[i]);
		size_t len = ends ? i : i + 1;

		if (!ends && !element_whole(f, window.ptr[i]))
			continue;
		f->element_ = false;
		return cut(f, window, len, (struct str){ window.ptr, len }, ret, ret_consumed);
	}
	return more(f, window);
}

enum framer_result framer_next(struct framer *f, struct str window, struct frame *ret,
			       size_t *ret_consumed)
{
	switch (f->framing) {
	case FRAMING_SSE:
		break;
	case FRAMING_NDJSON:
		return next_line(f, window, ret, ret_consumed);
	case FRAMING_JSON_ARRAY:
		return next_element(f, window, ret, ret_consumed);
	}
	return next_event(f, window, ret, ret_consumed);
}
