/* wire/websocket.c - frames and messages of a WebSocket.
 *
 * The hard thing is that control frames stand between the frames of a message: each has a place of its own to be put together
 * in. Memory for a message is taken as its bytes come, whatever its frame's head says. */
#include "wire/websocket.h"

#include <assert.h>
#include <stdlib.h>
#include <wslay/wslay.h>

#include "base/utf8.h"

enum { CONTROL_MAX = 125 };

struct ws_reader {
	wslay_frame_context_ptr frames;
	struct str *from; /* the bytes being read */
	struct buf message;
	bool in_message; /* some frame of one has come, the last has not */
	bool handed_out; /* `message` is with the caller */
	bool in_frame;
	enum ws_opcode opcode; /* of the frame; of a continuation: TEXT */
	uint64_t at;           /* bytes of the frame that have come */
	uint8_t control[CONTROL_MAX];
};

static ssize_t take(uint8_t *to, size_t len, int flags, void *user)
{
	struct ws_reader *r = user;
	size_t n = len < r->from->len ? len : r->from->len;

	(void)flags;
	if (n == 0)
		return -1; /* no failure: wslay then wants more */
	memcpy(to, r->from->ptr, n);
	*r->from = str_from_offset(*r->from, n);
	return (ssize_t)n;
}

struct ws_reader *ws_reader_new(void)
{
	const struct wslay_frame_callbacks callbacks = { .recv_callback = take };
	struct ws_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	buf_init(&r->message, SIZE_MAX / 4); /* each call brings its own limit */
	if (wslay_frame_context_init(&r->frames, &callbacks, r) == 0)
		return r;
	free(r);
	return NULL;
}

struct ws_reader *ws_reader_free(struct ws_reader *r)
{
	if (!r)
		return NULL;
	wslay_frame_context_free(r->frames);
	buf_done(&r->message);
	free(r);
	return NULL;
}

bool ws_reader_busy(const struct ws_reader *r)
{
	return r->in_frame || r->in_message;
}

static enum ws_got fail(struct ws_news *ret, enum ws_code code, const char *why)
{
	*ret = (struct ws_news){ .code = code, .why = why };
	return WS_FAILED;
}

static bool is_control(enum ws_opcode opcode)
{
	return opcode >= WS_OP_CLOSE;
}

/* WS_MORE: the frame may be read. */
static enum ws_got begin_frame(struct ws_reader *r, const struct wslay_frame_iocb *f,
			       size_t max_message, struct ws_news *ret)
{
	if (f->rsv)
		return fail(ret, WS_PROTOCOL_ERROR, "no extension was agreed on");
	if (!f->mask)
		return fail(ret, WS_PROTOCOL_ERROR, "a client's frames must be masked");
	switch (f->opcode) {
	case WSLAY_CONTINUATION_FRAME:
		if (!r->in_message)
			return fail(ret, WS_PROTOCOL_ERROR, "there is no message to go on with");
		r->opcode = WS_OP_TEXT;
		break;
	case WSLAY_TEXT_FRAME:
		if (r->in_message)
			return fail(ret, WS_PROTOCOL_ERROR, "the last message has not ended");
		r->opcode = WS_OP_TEXT;
		break;
	case WSLAY_BINARY_FRAME:
		return fail(ret, WS_NO_BINARY, "messages are text here");
	case WSLAY_CONNECTION_CLOSE:
	case WSLAY_PING:
	case WSLAY_PONG:
		r->opcode = (enum ws_opcode)f->opcode;
		break;
	default: /* the kinds that RFC 6455 reserves */
		return fail(ret, WS_PROTOCOL_ERROR, "a frame of an unknown kind");
	}
	if (!is_control(r->opcode)) {
		if (f->payload_length > max_message ||
		    buf_len(&r->message) > max_message - f->payload_length)
			return fail(ret, WS_TOO_BIG,
				    "the message is longer than what is accepted here");
		r->in_message = true;
	}
	r->in_frame = true;
	r->at = 0;
	return WS_MORE;
}

/* RFC 6455 section 7.4: what may stand in a frame. */
static bool code_ok(unsigned code)
{
	return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
	       (code >= 3000 && code <= 4999);
}

static enum ws_got close_frame(struct str payload, struct ws_news *ret)
{
	unsigned code;

	*ret = (struct ws_news){ .code = WS_NO_CODE };
	if (payload.len == 0)
		return WS_CLOSE;
	if (payload.len == 1)
		return fail(ret, WS_PROTOCOL_ERROR, "half a code to close with");
	code = (unsigned)((unsigned char)payload.ptr[0] << 8 | (unsigned char)payload.ptr[1]);
	if (!code_ok(code))
		return fail(ret, WS_PROTOCOL_ERROR, "no code to close with");
	if (!utf8_valid(str_from_offset(payload, 2)))
		return fail(ret, WS_NOT_UTF8, "the reason to close is no UTF-8");
	ret->code = (enum ws_code)code;
	return WS_CLOSE;
}

/* A frame is whole. WS_MORE: and there is nothing to say yet. */
static enum ws_got end_frame(struct ws_reader *r, bool fin, struct ws_news *ret)
{
	struct str control = { (const char *)r->control, (size_t)r->at };

	r->in_frame = false;
	switch (r->opcode) {
	case WS_OP_CLOSE:
		return close_frame(control, ret);
	case WS_OP_PING:
	case WS_OP_PONG:
		*ret = (struct ws_news){ .payload = control };
		return r->opcode == WS_OP_PING ? WS_PING : WS_PONG;
	case WS_OP_TEXT:
	case WS_OP_BINARY:
		break;
	}
	if (!fin)
		return WS_MORE;
	r->in_message = false;
	r->handed_out = true;
	*ret = (struct ws_news){ .payload = buf_str(&r->message) };
	return utf8_valid(ret->payload) ? WS_TEXT
					: fail(ret, WS_NOT_UTF8, "the message is no UTF-8");
}

enum ws_got ws_read(struct ws_reader *r, struct str *io_bytes, size_t max_message,
		    struct ws_news *ret)
{
	enum ws_got got = WS_MORE;

	if (r->handed_out)
		buf_done(&r->message); /* a silent connection holds no memory */
	r->handed_out = false;
	r->from = io_bytes;
	while (got == WS_MORE) {
		struct wslay_frame_iocb f = { 0 };
		ssize_t n = wslay_frame_recv(r->frames, &f);

		if (n == WSLAY_ERR_WANT_READ)
			return WS_MORE;
		if (n < 0)
			return fail(ret, WS_PROTOCOL_ERROR, "a malformed frame");
		if (!r->in_frame)
			got = begin_frame(r, &f, max_message, ret);
		if (got != WS_MORE)
			break;
		if (is_control(r->opcode)) {
			assert(r->at + (uint64_t)n <= CONTROL_MAX); /* wslay refuses longer ones */
			memcpy(r->control + r->at, f.data, (size_t)n);
		} else {
			buf_put(&r->message, (struct str){ (const char *)f.data, (size_t)n });
			if (!buf_ok(&r->message))
				return fail(ret, WS_INTERNAL, "out of memory");
		}
		r->at += (uint64_t)n;
		if (r->at == f.payload_length)
			got = end_frame(r, f.fin, ret);
	}
	return got;
}

/* --- writing --- */

void ws_put_frame(struct buf *out, enum ws_opcode opcode, struct str payload)
{
	unsigned length_bytes = payload.len < 126 ? 0 : payload.len <= 0xffff ? 2 : 8;
	char head[10] = { (char)(0x80 | opcode) };

	assert(!is_control(opcode) || payload.len <= CONTROL_MAX);
	head[1] = (char)(length_bytes == 0 ? payload.len : length_bytes == 2 ? 126 : 127);
	for (unsigned i = 0; i < length_bytes; i++)
		head[2 + i] = (char)((uint64_t)payload.len >> 8 * (length_bytes - 1 - i));
	buf_put(out, (struct str){ head, 2 + length_bytes });
	buf_put(out, payload);
}

void ws_put_close(struct buf *out, unsigned code, struct str reason)
{
	char payload[CONTROL_MAX] = { (char)(code >> 8), (char)code };
	size_t n = reason.len < CONTROL_MAX - 2 ? reason.len : CONTROL_MAX - 2;

	if (code == WS_NO_CODE) {
		ws_put_frame(out, WS_OP_CLOSE, STR(""));
		return;
	}
	n = utf8_whole((struct str){ reason.ptr, n });
	memcpy(payload + 2, reason.ptr, n);
	ws_put_frame(out, WS_OP_CLOSE, (struct str){ payload, 2 + n });
}
