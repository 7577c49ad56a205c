/* tests/unit/websocket_frames.h - frames as a client writes them, good ones and bad. */
#ifndef GW_TESTS_WEBSOCKET_FRAMES_H
#define GW_TESTS_WEBSOCKET_FRAMES_H

#include "base/buf.h"

enum {
	FIN = 0x80,
	RSV1 = 0x40,
	CONT = 0,
	TEXT = 1,
	BINARY = 2,
	CLOSE = 8,
	PING = 9,
	PONG = 10,
};

/* A frame's head that says `len` bytes follow, with the mask "abcd". */
static inline void put_frame_head(struct buf *out, unsigned first, uint64_t len)
{
	unsigned n = len < 126 ? 0 : len <= 0xffff ? 2 : 8;

	buf_putc(out, (char)first);
	buf_putc(out, (char)(0x80 | (n == 0 ? len : n == 2 ? 126 : 127)));
	while (n-- > 0)
		buf_putc(out, (char)(len >> 8 * n));
	buf_put(out, STR("abcd"));
}

static inline void put_frame(struct buf *out, unsigned first, struct str payload)
{
	put_frame_head(out, first, payload.len);
	for (size_t i = 0; i < payload.len; i++)
		buf_putc(out, (char)(payload.ptr[i] ^ "abcd"[i % 4]));
}

#endif
