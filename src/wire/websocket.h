/* wire/websocket.h - WebSocket without I/O (RFC 6455): the opening handshake, frames and messages. The server's side only, no
 * extensions.
 *
 * wslay reads the heads, lengths and masks of frames; what they make together, and what is wrong with it, is found here. (Of
 * wslay's two layers this uses the lower one: the upper takes memory on the word of a frame's head, and would keep what is
 * to be sent in a queue of its own beside the connection's.)
 *
 * A reader is pulled: it takes what it needs from the bytes given, and says one thing at a time. What one call handed out is good
 * until the next.
 */
#ifndef GW_WIRE_WEBSOCKET_H
#define GW_WIRE_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"
#include "wire/http1.h"

/* --- the handshake --- */

enum ws_handshake {
	WS_SHAKE_NONE, /* nothing of the kind is asked for */
	WS_SHAKE_OK,
	WS_SHAKE_VERSION,   /* another version of the protocol: 426 */
	WS_SHAKE_MALFORMED, /* 400 */
};

/* Reads a request's head; *ret_why is a sentence for the caller where it cannot be done. */
enum ws_handshake ws_handshake(const struct http_head *head, const char **ret_why) MUST_CHECK;

enum { WS_ACCEPT_LEN = 28 };
/* Sec-WebSocket-Accept for the key of a good handshake. */
struct str ws_accept(struct str key, char out[WS_ACCEPT_LEN + 1]);

/* --- reading --- */

enum ws_code {
	WS_NORMAL = 1000,
	WS_GOING_AWAY = 1001,
	WS_PROTOCOL_ERROR = 1002,
	WS_NO_BINARY = 1003,
	WS_NO_CODE = 1005, /* of a close frame without one; never sent */
	WS_NOT_UTF8 = 1007,
	WS_POLICY = 1008,
	WS_TOO_BIG = 1009,
	WS_INTERNAL = 1011,
};

enum ws_got {
	WS_MORE,   /* all bytes are taken */
	WS_TEXT,   /* a whole message, valid UTF-8: `payload` */
	WS_PING,   /* `payload` */
	WS_PONG,   /* `payload` */
	WS_CLOSE,  /* `code`; nothing may follow */
	WS_FAILED, /* the peer broke the rules: close with `code` and `why`; nothing more is read */
};

struct ws_news {
	struct str payload;
	enum ws_code code; /* CLOSE: the peer's, any valid one */
	const char *why;
};

struct ws_reader; /* opaque */

/* NULL when memory is out. */
struct ws_reader *ws_reader_new(void);
struct ws_reader *ws_reader_free(struct ws_reader *r); /* NULL is a no-op; returns NULL */
/* Takes bytes off the front of *io_bytes. A message may have at most `max_message` bytes. */
enum ws_got ws_read(struct ws_reader *r, struct str *io_bytes, size_t max_message,
		    struct ws_news *ret) MUST_CHECK;
/* In the middle of a frame or a message of several. */
bool ws_reader_busy(const struct ws_reader *r);

/* --- writing --- */

enum ws_opcode {
	WS_OP_TEXT = 1,
	WS_OP_BINARY = 2,
	WS_OP_CLOSE = 8,
	WS_OP_PING = 9,
	WS_OP_PONG = 10
};

/* One whole frame. Control frames have at most 125 bytes. */
void ws_put_frame(struct buf *out, enum ws_opcode opcode, struct str payload);
/* `reason` is UTF-8 and is cut where it is too long. WS_NO_CODE: an empty frame. */
void ws_put_close(struct buf *out, unsigned code, struct str reason);

#endif
