/* http/websocket.h - a client connection that has become a WebSocket: messages in, messages out.
 *
 * http_websocket_accept() takes a request's connection over; from then on it carries no HTTP. Pings are answered and sent here,
 * and a client that answers none for the idle timeout is let go. What breaks the protocol is closed here with the code that RFC 6455
 * gives.
 *
 * After http_websocket_close() or on_gone the WebSocket must not be touched. Everything happens on the worker's loop.
 *
 * Back-pressure is as for answers (http/server.h): when http_websocket_pending() is above your mark, stop producing and go on at
 * on_drain. A client that does not take what it is sent is not read either, once much waits for it.
 */
#ifndef GW_HTTP_WEBSOCKET_H
#define GW_HTTP_WEBSOCKET_H

#include "http/server.h"
#include "wire/websocket.h"

struct http_websocket;

struct http_websocket_limits {
	size_t max_message; /* above it: closed with 1009 */
	uint64_t
		ping_ms; /* silence after which a ping goes out; at the latest after half the idle timeout */
};

struct http_websocket_events {
	/* MUST. A whole message; valid during the call only. */
	void (*on_text)(void *user, struct str text);
	/* MUST. Pending output fell below the low mark. */
	void (*on_drain)(void *user);
	/* MUST. The server drains: finish what is under way, then close with WS_GOING_AWAY. Said once. */
	void (*on_shutdown)(void *user);
	/* MUST. It is over, and was not closed by you. */
	void (*on_gone)(void *user, const char *why);
};

/* Answers 101 to a request whose handshake is good; the request must not be touched any more. `fields` are added to the head. NULL, and
 * the request is as it was, when memory is out or the server drains. `ev` is borrowed. */
struct http_websocket *http_websocket_accept(struct http_request *r,
					     const struct http_field *fields, unsigned n,
					     const struct http_websocket_limits *limits,
					     const struct http_websocket_events *ev, void *user);
/* Reload. */
void http_websocket_set_limits(struct http_websocket *ws,
			       const struct http_websocket_limits *limits);
/* Nothing new should begin: on_shutdown has come or is on its way. */
bool http_websocket_draining(const struct http_websocket *ws);
struct str http_websocket_peer(const struct http_websocket *ws);

/* One message of valid UTF-8; copied. Nothing leaves before a flush. */
void http_websocket_send(struct http_websocket *ws, struct str text);
void http_websocket_flush(struct http_websocket *ws);
/* Bytes that the client has to make room for. */
size_t http_websocket_pending(const struct http_websocket *ws);
/* Flushes, says goodbye and waits a moment for the client to say so too. */
void http_websocket_close(struct http_websocket *ws, enum ws_code code, struct str reason);

#endif
