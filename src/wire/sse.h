/* wire/sse.h - Server-Sent Events as WHATWG parses them, for any split.
 *
 * A pull parser over a contiguous window of bytes that its caller keeps: the
 * caller appends what arrives, calls sse_next() until it says "more", and drops
 * the consumed prefix. The parser remembers how far it has looked, so that an event arriving
 * byte by byte costs linear time. Line ends CR, LF, CRLF; a BOM at the start; comments; several data lines.
 *
 *	window:  | event | event | part of an event |
 *	          <-consumed-->   <- kept by the caller ->
 */
#ifndef GW_WIRE_SSE_H
#define GW_WIRE_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "wire/frame.h"

struct sse_parser {
	size_t max_event; /* longest block in bytes, its line ends included, its blank line not */
	/* private */
	struct buf joined; /* several data lines, joined; unused for one line */
	size_t seen_;      /* bytes of the window already searched for the block's end */
	size_t line_;      /* start of the current line, relative to the window */
	bool skip_lf_;     /* the last block ended in CR: an LF at the front belongs to it */
	bool started_;     /* no BOM any more */
};

void sse_init(struct sse_parser *p, size_t max_event);
void sse_done(struct sse_parser *p);

/* After SSE_TOOBIG and SSE_NOMEM the stream cannot be read further. */
enum sse_result { SSE_MORE, SSE_EVENT, SSE_TOOBIG, SSE_NOMEM };

/* Looks for one whole block at the front of `window`. SSE_EVENT: *ret filled (slices
 * of the window, or of the parser for joined data; valid until the next call or the
 * window moves), *ret_consumed is how many bytes to drop before the next call. */
enum sse_result sse_next(struct sse_parser *p, struct str window, struct frame *ret,
			 size_t *ret_consumed);

/* --- writing: always LF, one data line (the caller's JSON has no newline) --- */

/* "event: NAME\n" (when name is not NULL) "data: " */
void sse_put_head(struct buf *out, const char *name);
/* "\n\n" */
void sse_put_end(struct buf *out);

#endif
