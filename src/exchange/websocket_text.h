/* exchange/websocket_text.h - the texts of the Responses API's WebSocket transport: what a client sends, what it is told. No I/O.
 *
 * Sources: Open Responses 2026-04-24, "WebSocket Transport"; ResponsesClientEvent and ResponsesServerEvent of OpenAI's description,
 * for `stream_id` and `generate`.
 */
#ifndef GW_EXCHANGE_WEBSOCKET_TEXT_H
#define GW_EXCHANGE_WEBSOCKET_TEXT_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "wire/http1.h"

/* --- what a client sends --- */

/* What of a message is known before it is carried out. Of what is no message nothing is. */
struct socket_envelope {
	bool steers;          /* response.steer, which is for one that is being carried out */
	struct str stream_id; /* absent */
	bool bad_stream_id;   /* it is there and not valid */
};
void socket_envelope_read(struct arena *a, struct str text, struct socket_envelope *ret);

struct socket_message {
	struct str body;     /* as POST /v1/responses would have it, streamed */
	struct str previous; /* previous_response_id; absent */
	bool generate;       /* false: the client only wants its context kept */
};

/* Reads `response.create`. On failure *ret still holds previous where it could be read. RC_SYNTAX, RC_INVALID with
 * reterr->param, RC_NOMEM. */
int socket_message_read(struct arena *a, struct str text, struct socket_message *ret,
			struct err *reterr) MUST_CHECK;

/* `response.steer`, as OpenAI has it: input for a response while it is made. */
struct socket_steer {
	struct str previous; /* the response's id */
	struct str input;    /* as it stands */
};
/* RC_INVALID with reterr->param: one of the two is not there, and *ret not set. Else *ret is, and reterr->msg says what is wrong with the
 * rest of it, or nothing. */
int socket_steer_read(struct arena *a, struct str text, struct socket_steer *ret,
		      struct err *reterr) MUST_CHECK;

/* --- what it is told --- */

/* The object of header fields that an answer over HTTP would have had. Absent when memory is out. */
struct str socket_headers(struct arena *a, const struct http_field *fields, unsigned n);

/* An error envelope with what the body of an HTTP error says; where it says too little, that is filled in. `headers` and `stream_id`
 * may be absent. */
void socket_put_error(struct buf *out, struct arena *a, int status, struct str body,
		      struct str headers, struct str stream_id);
/* The same for what only a WebSocket can fail of. */
struct socket_own_error {
	int status;
	const char *code, *param; /* param may be NULL */
	struct str message, stream_id;
};
void socket_put_own_error(struct buf *out, const struct socket_own_error *e);
/* response.steer.failed, which gives the input back. */
void socket_put_steer_failed(struct buf *out, const struct socket_steer *s, const char *code,
			     struct str message, uint64_t number, struct str stream_id);
/* The envelope for an event of type `error` that ended a stream; `number` takes the place of its sequence_number, if it has one. */
void socket_put_error_event(struct buf *out, struct arena *a, struct str data, uint64_t number,
			    struct str stream_id);

/* An event of a stream: `data` with `headers` and `stream_id` as members where they are present, and `shift` added to
 * its sequence_number. Always valid UTF-8, even where the provider's was not. */
void socket_put_event(struct buf *out, struct arena *a, struct str data, struct str headers,
		      struct str stream_id, int shift);

#endif
