/* wire/framer.h - cuts the bytes of a streamed answer into frames, for any split.
 *
 * A pull parser over a window of bytes that its caller keeps, like the SSE parser it holds (wire/sse.h): append what
 * arrives, call framer_next() until it says "more", drop what was consumed. A line or an element is looked
 * at once, however it trickles in. What the frames hold is not read here: it may be no JSON at all.
 */
#ifndef GW_WIRE_FRAMER_H
#define GW_WIRE_FRAMER_H

#include "wire/frame.h"
#include "wire/sse.h"

struct framer {
	enum framing framing;
	/* private */
	struct sse_parser sse_;
	size_t max_;
	size_t seen_;          /* bytes of the window already looked at */
	unsigned depth_;       /* JSON array: how many brackets of the element are open */
	bool string_, escape_; /* JSON array: inside a string; behind its backslash */
	bool element_;         /* JSON array: something of an element has been seen */
	bool opened_, closed_;
};

/* After any but MORE and FRAME the stream cannot be read further. SYNTAX: no JSON array (SSE and lines have none). */
enum framer_result { FRAMER_MORE, FRAMER_FRAME, FRAMER_TOOBIG, FRAMER_NOMEM, FRAMER_SYNTAX };

/* `max_frame`: the longest frame in bytes. */
void framer_init(struct framer *f, enum framing framing, size_t max_frame);
void framer_done(struct framer *f);

/* One whole frame at the front of `window`: *ret (slices of the window, or of the framer; valid until the next call or
 * until the window moves), *ret_consumed is how many bytes to drop before the next call. */
enum framer_result framer_next(struct framer *f, struct str window, struct frame *ret,
			       size_t *ret_consumed);

#endif
