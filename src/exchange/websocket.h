/* exchange/websocket.h - a client of the Responses API on a WebSocket: each of its messages becomes an exchange like any other.
 *
 *	message --socket_message_read--> body of an exchange --the usual path--> events --outlet--> one text frame each
 *
 * Messages without a stream_id are carried out one after another, as Open Responses has it; a stream_id names a lane, and lanes run
 * side by side, as OpenAI has it. What cannot begin yet waits, up to a bound. What the client may continue is remembered for all
 * lanes together (recent.h), and in the store as ever. A failure before the first event becomes an error envelope, one after it the
 * stream's own response.failed: a turn has exactly one end.
 */
#ifndef GW_EXCHANGE_WEBSOCKET_H
#define GW_EXCHANGE_WEBSOCKET_H

#include "base/buf.h"
#include "base/str.h"
#include "exchange/recent.h"
#include "exchange/websocket_text.h"
#include "wire/http1.h"

struct exchange;
struct exchange_env;
struct websocket_turn; /* a message that is being carried out */

/* Answers the handshake of `x`; what follows it is not part of that exchange. The exchange is over. */
void websocket_open(struct exchange *x);

/* --- of the exchange of a message --- */

/* Its message, read: also when it fails. */
int websocket_read_message(struct websocket_turn *t, struct err *reterr) MUST_CHECK;
bool websocket_generates(const struct websocket_turn *t);
struct str websocket_peer(const struct websocket_turn *t);
struct recent *websocket_recent(struct websocket_turn *t);
/* Its answer may be continued from now on. */
void websocket_show(struct websocket_turn *t, struct recent_turn *made);

/* --- where its answer goes: as outlet.h has it --- */

void websocket_respond(struct websocket_turn *t, int status, const struct http_field *fields,
		       unsigned n, struct str body);
void websocket_head(struct websocket_turn *t, const struct http_field *fields, unsigned n);
struct buf *websocket_buf(struct websocket_turn *t);
void websocket_flush(struct websocket_turn *t);
size_t websocket_pending(const struct websocket_turn *t);
/* Whether it was a proper end or not, the events say. */
void websocket_end(struct websocket_turn *t);

#endif
