/* exchange/websocket.h - a client of the Responses API on a WebSocket: each of its messages becomes an exchange like any other.
 *
 *	message --socket_message_read--> body of an exchange --the usual path--> events --outlet--> one text frame each
 *
 * One response is made at a time; messages that come meanwhile wait, up to a bound. What the client may continue is remembered
 * here (recent.h), and in the store as ever. A failure before the first event becomes an error envelope, one after it the
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
struct websocket_client;

/* Answers the handshake of `x`; what follows it is not part of that exchange. The exchange is over. */
void websocket_open(struct exchange *x);

/* --- of the exchange of a message --- */

/* Its message, read: also when it fails. */
int websocket_read_message(struct exchange *x, struct err *reterr) MUST_CHECK;
bool websocket_generates(const struct websocket_client *c);
struct str websocket_peer(const struct websocket_client *c);
struct recent *websocket_recent(struct websocket_client *c);

/* --- where its answer goes: as outlet.h has it --- */

void websocket_respond(struct websocket_client *c, int status, const struct http_field *fields,
		       unsigned n, struct str body);
void websocket_head(struct websocket_client *c, const struct http_field *fields, unsigned n);
struct buf *websocket_buf(struct websocket_client *c);
void websocket_flush(struct websocket_client *c);
size_t websocket_pending(const struct websocket_client *c);
/* Whether it was a proper end or not, the events say. */
void websocket_end(struct websocket_client *c);

#endif
