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

struct socket_message {
	struct str body;      /* as POST /v1/responses would have it, streamed */
	struct str stream_id; /* absent */
	struct str previous;  /* previous_response_id; absent */
	bool generate;        /* false: the client only wants its context kept */
};

/* Reads `response.create`. On failure *ret still holds stream_id and previous where they could be read. RC_SYNTAX, RC_INVALID with
 * reterr->param, RC_NOMEM. */
int socket_message_read(struct arena *a, struct str text, struct socket_message *ret,
			struct err *reterr) MUST_CHECK;
/* Its stream_id alone, of a message that is not carried out. Absent: none, or none that is valid. */
struct str socket_message_stream_id(struct arena *a, struct str text);

/* --- what it is told --- */

/* The object of header fields that an answer over HTTP would have had. Absent when memory is out. */
struct str socket_headers(struct arena *a, const struct http_field *fields, unsigned n);

/* An error envelope with what the body of an HTTP error says; where it says too little, that is filled in. `headers` and `stream_id`
 * may be absent. */
void socket_put_error(struct buf *out, struct arena *a, int status, struct str body,
		      struct str headers, struct str stream_id);
/* The same for what only a WebSocket can fail of. */
void socket_put_own_error(struct buf *out, int status, const char *code, struct str message,
			  struct str stream_id);
/* The envelope for an event of type `error` that ended a stream. */
void socket_put_error_event(struct buf *out, struct arena *a, struct str data,
			    struct str stream_id);

/* An event of a stream: `data` with `headers` and `stream_id` as members where they are present, and its sequence_number less
 * `skipped`. Always valid UTF-8, even where the provider's was not. */
void socket_put_event(struct buf *out, struct arena *a, struct str data, struct str headers,
		      struct str stream_id, unsigned skipped);

#endif
