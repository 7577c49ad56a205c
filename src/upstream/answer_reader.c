/* upstream/answer_reader.c - which shape an upstream's answer has, and its bytes cut accordingly.
 *
 * The window of a stream is the read buffer itself while frames come whole; only a cut frame's beginning is kept. */
#include "upstream/answer_reader.h"

#include "json/scan.h"
#include "loop/loop.h"

enum {
	STATUS_BODY_MAX = 256 * 1024, /* of an error answer; more is cut off */
	SNIFF_LEN = 6,                /* "event:" */
};

void answer_reader_init(struct answer_reader *r, const struct answer_reader_options *o)
{
	*r = (struct answer_reader){ .o = *o };
	buf_init(&r->body, o->max_body);
	framer_init(&r->framer, o->framing, o->max_frame);
}

void answer_reader_done(struct answer_reader *r)
{
	framer_done(&r->framer);
	buf_done(&r->body);
}

static enum answer_result become_stream(struct answer_reader *r, enum framing framing)
{
	r->shape = ANSWER_STREAM;
	framer_init(&r->framer, framing, r->o.max_frame);
	/* framer_next() bounds the frame; behind its end one read may have brought more. */
	r->body.max = r->o.max_frame + LOOP_READ_BUF;
	return r->o.on_stream(r->o.user) ? ANSWER_STOPPED : ANSWER_OK;
}

enum answer_result answer_reader_head(struct answer_reader *r, int status, struct str content_type)
{
	bool json = str_istarts(content_type, STR("application/json"));

	if (status < 200 || status > 299) {
		r->shape = ANSWER_STATUS;
		return ANSWER_OK;
	}
	if (str_istarts(content_type, STR("text/event-stream")))
		return become_stream(r, FRAMING_SSE);
	if (str_istarts(content_type, STR("application/x-ndjson")))
		return become_stream(r, FRAMING_NDJSON);
	if (r->o.stream && json && r->o.framing == FRAMING_JSON_ARRAY)
		return become_stream(r, FRAMING_JSON_ARRAY);
	r->shape = r->o.stream && !json ? ANSWER_UNKNOWN : ANSWER_WHOLE;
	return ANSWER_OK;
}

/* Hands out every whole frame of `window`; *ret_done: how many of its bytes are done with. */
static enum answer_result deliver(struct answer_reader *r, struct str window, size_t *ret_done)
{
	struct frame frame;
	size_t used;

	for (*ret_done = 0;;) {
		switch (framer_next(&r->framer, str_from_offset(window, *ret_done), &frame,
				    &used)) {
		case FRAMER_MORE:
			return ANSWER_OK;
		case FRAMER_FRAME:
			*ret_done += used;
			if (r->o.on_frame(r->o.user, &frame) != 0)
				return ANSWER_STOPPED;
			break;
		case FRAMER_TOOBIG:
			return ANSWER_FRAME_BIG;
		case FRAMER_NOMEM:
			return ANSWER_NOMEM;
		case FRAMER_SYNTAX:
			return ANSWER_NONSENSE;
		}
	}
}

static enum answer_result stream_bytes(struct answer_reader *r, struct str bytes)
{
	enum answer_result rc;
	size_t done;

	if (buf_len(&r->body) == 0) {
		rc = deliver(r, bytes, &done);
		if (rc == ANSWER_OK)
			buf_put(&r->body, str_from_offset(bytes, done));
	} else {
		buf_put(&r->body, bytes);
		if (!buf_ok(&r->body))
			return ANSWER_FRAME_BIG;
		rc = deliver(r, buf_str(&r->body), &done);
		if (rc == ANSWER_OK)
			buf_consume(&r->body, done);
	}
	return rc == ANSWER_OK && !buf_ok(&r->body) ? ANSWER_FRAME_BIG : rc;
}

/* Some servers stream under a content type that does not say so. */
static bool looks_like_events(struct str start)
{
	struct str s = str_trim(start);

	return str_starts(s, STR("data:")) || str_starts(s, STR("event:")) ||
	       str_starts(s, STR(":"));
}

static enum answer_result sniff(struct answer_reader *r)
{
	enum answer_result rc;

	if (buf_len(&r->body) < SNIFF_LEN)
		return ANSWER_OK;
	if (!looks_like_events(buf_str(&r->body))) {
		r->shape = ANSWER_WHOLE;
		return ANSWER_OK;
	}
	rc = become_stream(r, FRAMING_SSE);
	return rc == ANSWER_OK ? stream_bytes(r, STR("")) : rc;
}

/* An error answer that is long enough is not waited for: it may have no end. */
static enum answer_result status_bytes(struct answer_reader *r, struct str bytes)
{
	size_t room = STATUS_BODY_MAX - buf_len(&r->body);

	buf_put(&r->body, (struct str){ bytes.ptr, bytes.len < room ? bytes.len : room });
	return bytes.len < room ? ANSWER_OK : ANSWER_ENOUGH;
}

enum answer_result answer_reader_bytes(struct answer_reader *r, struct str bytes)
{
	switch (r->shape) {
	case ANSWER_STREAM:
		return stream_bytes(r, bytes);
	case ANSWER_STATUS:
		return status_bytes(r, bytes);
	case ANSWER_UNKNOWN:
	case ANSWER_WHOLE:
		break;
	}
	buf_put(&r->body, bytes);
	if (!buf_ok(&r->body))
		return ANSWER_BODY_BIG;
	return r->shape == ANSWER_UNKNOWN ? sniff(r) : ANSWER_OK;
}

enum answer_result answer_reader_end(struct answer_reader *r)
{
	struct str rest = buf_str(&r->body);
	struct frame frame = { .data = str_trim(rest), .raw = rest };

	if (r->shape != ANSWER_STREAM || r->framer.framing != FRAMING_NDJSON ||
	    json_scan(rest, NULL, 0, NULL) != RC_OK)
		return ANSWER_OK;
	return r->o.on_frame(r->o.user, &frame) ? ANSWER_STOPPED : ANSWER_OK;
}
