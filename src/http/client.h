/* http/client.h - the provider side of the gateway: HTTP/1.1 calls over pooled connections of
 * one worker.
 *
 * A call leases an idle connection of its origin or opens one (DNS off the loop, several
 * addresses tried, TLS verified), writes, reads, and ends in exactly one of on_end and on_error.
 * It keeps the four deadlines itself. It replays by itself once, and only when the connection
 * was a reused one, not one response byte had come, and the failure was the connection's (R:
 * stale pool). Never follows redirects (R12). Sends exactly the fields it is given, plus Host
 * and Content-Length.
 */
#ifndef GW_HTTP_CLIENT_H
#define GW_HTTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"
#include "net/origin.h"
#include "wire/http1.h"

struct http_client; /* one per worker: pools, DNS cache, TLS contexts */
struct http_call;

struct http_client_limits {
	unsigned max_idle_per_origin;
	uint64_t idle_timeout_ms; /* of a pooled connection; below the usual peer's */
	size_t max_head;
	unsigned max_fields;
	uint64_t dns_ttl_ms;
};

/* 0: none. */
struct http_deadlines {
	uint64_t connect_ms, tls_ms;
	uint64_t first_byte_ms; /* from the request's last byte to the answer's first */
	uint64_t idle_ms;       /* between two reads; stands still while we are paused */
};

enum http_failure {
	HTTP_FAIL_DNS,
	HTTP_FAIL_CONNECT, /* refused, unreachable */
	HTTP_FAIL_CONNECT_TIMEOUT,
	HTTP_FAIL_TLS, /* handshake or verification */
	HTTP_FAIL_TLS_TIMEOUT,
	HTTP_FAIL_WRITE,
	HTTP_FAIL_FIRST_BYTE_TIMEOUT,
	HTTP_FAIL_IDLE_TIMEOUT,
	HTTP_FAIL_RESET,    /* RST */
	HTTP_FAIL_EOF,      /* closed inside a message or before one */
	HTTP_FAIL_PROTOCOL, /* not HTTP/1.1 as we accept it */
	HTTP_FAIL_ENCODING, /* a Content-Encoding that cannot be decoded, or expands past the cap */
	HTTP_FAIL_NOMEM,
};
const char *http_failure_name(enum http_failure f); /* "connect_timeout": for logs and records */

struct http_call_events {
	/* The final head (no 1xx). Slices valid during the call only. */
	void (*on_head)(void *user, const struct http_head *head);
	/* Decoded body bytes (chunks, and gzip/deflate should the upstream send it unasked).
	 * Valid during the call only. */
	void (*on_body)(void *user, struct str bytes);
	/* The answer is whole. The call is over. */
	void (*on_end)(void *user);
	/* The call is over without a whole answer. `detail` is for logs and holds no secret. */
	void (*on_error)(void *user, enum http_failure f, struct str detail);
	/* End of one read of the socket: everything that had arrived was delivered. Good moment
	 * to flush. MAY be NULL. */
	void (*on_read_done)(void *user);
};

struct http_call_options {
	const struct origin *origin; /* borrowed until the call ends */
	enum http_method method;
	struct str path;                 /* with the query; starts with '/' */
	const struct http_field *fields; /* borrowed until the call ends */
	unsigned n_fields;
	struct str body; /* borrowed until the call ends */
	struct http_deadlines deadlines;
	bool no_replay;
};

struct http_call_stats {
	bool reused; /* on a pooled connection */
	bool replayed;
	uint64_t connect_ms;    /* DNS, connect and TLS; 0 when reused */
	uint64_t first_byte_ms; /* from start to the first byte of the answer */
};

struct http_client *http_client_new(struct loop *l, const struct http_client_limits *limits);
/* Closes idle connections, ends running calls without callbacks. `done` when freed. */
void http_client_close(struct http_client *c, void (*done)(void *user), void *user);

/* Starts a call. No callback runs inside; NULL when memory is out. */
struct http_call *http_call_start(struct http_client *c, const struct http_call_options *o,
				  const struct http_call_events *ev, void *user);
/* Ends a call without further callbacks, closing its connection; idempotent until the call is
 * over. Call it from anywhere, callbacks included. */
void http_call_cancel(struct http_call *call);
/* Stops reading; bytes already read may still be delivered. The idle deadline stands still. */
void http_call_pause(struct http_call *call);
void http_call_resume(struct http_call *call);
/* Moves the idle deadline of a running call; counts from now. */
void http_call_set_idle(struct http_call *call, uint64_t idle_ms);
/* Valid until the call is over, and inside its last callback. */
const struct http_call_stats *http_call_stats(const struct http_call *call);

#endif
