/* http/server.h - the client side of the gateway: HTTP/1.1 connections of one worker.
 *
 * The server reads heads, bodies and pipelined requests, answers what breaks HTTP itself through
 * `refuse`, and hands each good head upward through `struct http_handler`. Answers on one
 * connection leave in the order of the requests: the next pipelined request is not started
 * before the last answer has ended.
 *
 * Life of a request:
 *	on_request -> (http_request_read_body -> on_body)? -> http_respond* -> http_respond_end
 *	              on_gone may come at any moment between, once, and is then the last
 * After http_respond_end(), http_respond(), http_respond_abort() or on_gone the request must not
 * be touched. Everything happens on the worker's loop.
 *
 * Back-pressure: http_respond_write() never blocks and never refuses; when
 * http_respond_pending() is above your mark, stop producing and go on at on_drain. Writes of one
 * callback go out together at http_respond_flush(), at the latest at the end of the loop's turn.
 */
#ifndef GW_HTTP_SERVER_H
#define GW_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"
#include "wire/http1.h"

struct http_server;  /* one per worker */
struct http_request; /* one exchange with a client */

struct http_server_limits {
	size_t max_target, max_head;
	unsigned max_fields;
	/* From the first byte of a head to its end (slowloris): 408; and from accept: closed silently. */
	uint64_t head_timeout_ms;
	uint64_t body_timeout_ms;  /* between two reads of a body: 408 */
	uint64_t idle_timeout_ms;  /* keep-alive connection without a request: closed silently */
	uint64_t write_timeout_ms; /* the client takes nothing for so long: aborted */
	size_t write_low;          /* on_drain when pending falls below */
	size_t arena_max;          /* cap of a request's arena */
	unsigned max_connections;  /* accept pauses above; 0: none */
};

struct http_handler {
	/* A head has come; it lives in the request's arena. Answer at once or ask for the body. */
	void (*on_request)(struct http_request *r, void *user);
	/* Bytes refused by HTTP itself (bad framing, too long a head, ...): write the body of
	 * the error in whatever dialect `head` (NULL when there is none) suggests. The server
	 * sends status and body, closes. */
	void (*refuse)(const struct http_head *head, int status, struct str message,
		       struct arena *a, struct buf *body, struct str *ret_content_type, void *user);
	void *user; /* the worker */
};

struct http_listener_options {
	struct str host;      /* address literal or name */
	uint16_t port;        /* 0: any; see http_server_port() */
	struct str unix_path; /* instead, when present */
	bool reuse_port;
	struct str tls_certificate, tls_key; /* PEM files; absent: plain */
};

struct http_server *http_server_new(struct loop *l, const struct http_server_limits *limits,
				    const struct http_handler *handler);
int http_server_listen(struct http_server *s, const struct http_listener_options *o,
		       struct err *reterr) MUST_CHECK;
uint16_t http_server_port(const struct http_server *s);
/* Reload: for heads that come from now on. Copied. */
void http_server_set_limits(struct http_server *s, const struct http_server_limits *limits);
/* Closes the listeners and idle connections; requests under way finish, with `Connection:
 * close`. */
void http_server_drain(struct http_server *s);
/* Connections still open. */
unsigned http_server_connections(const struct http_server *s);
/* While draining: connections may still come. */
bool http_server_listening(const struct http_server *s);
/* Closes everything now; `done` when nothing is left and the server is freed. */
void http_server_close(struct http_server *s, void (*done)(void *user), void *user);

/* --- a request --- */

const struct http_head *http_request_head(const struct http_request *r);
/* Dies with the request, after on_gone or the end. */
struct arena *http_request_arena(struct http_request *r);
struct str http_request_peer(const struct http_request *r); /* "127.0.0.1:5123" or "unix" */

struct http_request_events {
	/* The body is whole (decoded from chunks); lives as long as the request. */
	void (*on_body)(void *user, struct str body);
	/* It will not come: too large (413), too slow (408), broken framing (400). Answer; the
	 * connection closes after it. */
	void (*on_body_failed)(void *user, int status, struct str message);
	/* Pending output fell below the low mark. */
	void (*on_drain)(void *user);
	/* The client is gone or was too slow to read. Release; do not touch the request again. */
	void (*on_gone)(void *user, const char *why);
};

/* Whom to tell from now on. Call it in on_request. */
void http_request_set_user(struct http_request *r, void *user,
			   const struct http_request_events *ev);

/* Starts reading the body, at most `max` bytes; says 100 Continue when that was expected.
 * on_body may come inside this call. Without a body on_body comes with an empty one. */
void http_request_read_body(struct http_request *r, size_t max);

/* A whole answer in one write. `fields` are checked already; Content-Length, Date and Connection
 * are added. Of a body not read yet a short rest is read and dropped; a longer one closes the
 * connection after the answer. HEAD: no body goes out. */
void http_respond(struct http_request *r, int status, const struct http_field *fields, unsigned n,
		  struct str body);

/* A streamed answer: head (chunked, or close-delimited for HTTP/1.0), then writes, then the end.
 * Nothing leaves before a flush. */
void http_respond_head(struct http_request *r, int status, const struct http_field *fields,
		       unsigned n);
void http_respond_write(struct http_request *r, struct str bytes); /* copied */
/* The buffer that the next flush sends, to append to directly instead of http_respond_write(). */
struct buf *http_respond_buf(struct http_request *r);
void http_respond_flush(struct http_request *r); /* one writev: head, chunk frame, data */
/* Bytes that the client has to make room for. */
size_t http_respond_pending(const struct http_request *r);
/* Flushes, ends the body properly; the connection may be reused. */
void http_respond_end(struct http_request *r);
/* The same with fields behind the body, where the framing has a place for them (not for HTTP/1.0): checked already. */
void http_respond_end_with(struct http_request *r, const struct http_field *trailers, unsigned n);
/* Flushes what is whole; a moment later closes without the final chunk, so that the client can tell a cut. */
void http_respond_abort(struct http_request *r);

#endif
