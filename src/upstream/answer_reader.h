/* upstream/answer_reader.h - which shape an upstream's answer has, and its bytes cut accordingly.
 *
 * The head decides: another status than 2xx (collected up to a bound, for people), a stream (cut into frames), or one whole
 * body (collected up to a bound). Some servers stream under a content type that does not say so: then the first
 * bytes decide. No I/O; the owner feeds what arrives and is told what it means, and may end the reader's owner
 * from inside a callback by returning non-zero.
 */
#ifndef GW_UPSTREAM_ANSWER_READER_H
#define GW_UPSTREAM_ANSWER_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"
#include "wire/framer.h"

enum answer_shape { ANSWER_UNKNOWN, ANSWER_STREAM, ANSWER_WHOLE, ANSWER_STATUS };

struct answer_reader_options {
	bool stream;          /* was asked for */
	enum framing framing; /* of that stream */
	size_t max_frame, max_body;
	/* It is a stream. */
	int (*on_stream)(void *user);
	/* Each frame, in order. Slices valid during the call. */
	int (*on_frame)(void *user, const struct frame *f);
	void *user;
};

struct answer_reader {
	struct answer_reader_options o;
	enum answer_shape shape; /* read by the owner */
	struct framer framer;    /* .framing: of the stream that comes */
	struct buf body;         /* whole body, error body, or the beginning of a cut frame */
};

enum answer_result {
	ANSWER_OK,
	ANSWER_STOPPED,   /* a callback wanted no more */
	ANSWER_ENOUGH,    /* a status body is as long as anybody reads: it need not be waited for */
	ANSWER_FRAME_BIG, /* a frame longer than max_frame */
	ANSWER_BODY_BIG,  /* a body longer than max_body */
	ANSWER_NONSENSE,  /* a stream that is not framed as it says */
	ANSWER_NOMEM,
};

void answer_reader_init(struct answer_reader *r, const struct answer_reader_options *o);
void answer_reader_done(struct answer_reader *r);

enum answer_result answer_reader_head(struct answer_reader *r, int status, struct str content_type);
enum answer_result answer_reader_bytes(struct answer_reader *r, struct str bytes);
/* The body has ended: a last line of JSON that only lacks its line end is a frame all the same. */
enum answer_result answer_reader_end(struct answer_reader *r);

#endif
