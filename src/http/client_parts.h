/* http/client_parts.h - what the files of the HTTP client share: the pool of connections below,
 * calls above.
 *
 * A connection (client_conn.c) knows how to be opened, to carry one message each way and to lie
 * idle; a call (client_call.c) knows what was asked for, and ends. Only client_*.c include this.
 */
#ifndef GW_HTTP_CLIENT_PARTS_H
#define GW_HTTP_CLIENT_PARTS_H

#include "base/buf.h"
#include "base/list.h"
#include "http/client.h"
#include "http/decode.h"
#include "net/dial.h"
#include "net/dns.h"
#include "net/stream.h"
#include "net/tls.h"
#include "wire/http1.h"

/* Connections that may stand for each other: equal origin.pool_key (R26). */
struct pool {
	struct list node; /* in client.pools, last used first */
	struct list idle; /* conn.idle_node, last used first */
	unsigned n_idle, n_conns;
	size_t key_len;
	char key[];
};

/* A TLS context for each way to verify, made on the thread pool at its first use. */
struct trust {
	struct list node;           /* in client.trusts; in none once the client is closed */
	struct http_client *client; /* NULL once it is made, or the client closed */
	uv_work_t work;
	struct list waiting; /* conn.trust_node */
	struct tls_ctx *ctx; /* NULL while it is being made */
	struct err err;
	bool verify, has_ca;
	size_t ca_len;
	char ca_file[];
};

struct http_client {
	struct loop *loop;
	struct http_client_limits limits;
	struct http1_limits h1;
	struct dns *dns;
	struct list pools, trusts;
	unsigned n_pools;
	struct list calls;      /* running */
	struct list free_calls; /* to be used again */
	unsigned n_free_calls;
	struct list conns;
	unsigned n_conns;   /* with those that libuv is still closing */
	struct list unsent; /* conn.unsent_node: their requests leave at the end of the turn */
	unsigned n_unsent;
	bool turn_end_due;
	struct loop_dead turn_end;
	struct buf head;          /* of the request being written */
	struct http_field *shown; /* limits.max_fields of them: a head with the coding hidden */
	bool closing;
	void (*closed)(void *user);
	void *closed_user;
	struct loop_dead dead;
};

enum conn_state { CONN_DIALLING, CONN_SHAKING, CONN_BUSY, CONN_IDLE, CONN_CLOSED };

struct conn {
	struct list node;        /* in client.conns */
	struct list idle_node;   /* in pool.idle */
	struct list trust_node;  /* in trust.waiting */
	struct list unsent_node; /* in client.unsent */
	struct http_client *client;
	struct pool *pool;
	enum conn_state state;
	struct http_call *call; /* NULL when idle or closed */
	struct dial *dial;
	struct stream *stream;
	struct http1_parser *parser;
	struct deadline deadline; /* the one that its state asks for */
	struct buf rest;          /* of a request head that the kernel did not take at once */
};

enum call_state {
	CALL_OPENING,
	CALL_UNSENT, /* on a pooled connection; to be written at the end of the turn */
	CALL_WRITING,
	CALL_WAITING, /* written; no byte of the answer yet */
	CALL_READING,
	CALL_OVER,
};

struct http_call {
	struct list node; /* in client.calls or client.free_calls */
	struct http_client *client;
	struct http_call_options o;
	struct http_call_events ev;
	void *user;
	struct conn *conn;
	enum call_state state;
	bool paused;
	bool answered;  /* a byte of the answer has come: no replay any more */
	bool head_done; /* the final head was delivered */
	bool whole;     /* the parser saw the end of the message */
	bool keep_alive;
	bool writing;      /* bytes of the request have still to leave */
	bool write_failed; /* they never will; the answer may have come first */
	bool doomed;       /* `doom` happened inside a parser callback */
	enum http_failure doom;
	size_t unsent; /* at the last look at a slow write */
	struct decoder *decoder;
	struct http_call_stats stats;
	uint64_t started_at_ms;
	struct loop_dead dead;
};

/* --- client_pool.c --- */
struct pool *pool_find(struct http_client *c,
		       const struct origin *o); /* made when missing; NULL: memory */
struct conn *pool_take(struct pool *p);         /* an idle connection, or NULL */
void pool_put(struct conn *conn);
void pool_drop_all(struct http_client *c);
/* --- client_trust.c --- */
/* The context for an origin; made when missing. NULL: memory. */
struct trust *trust_find(struct http_client *c, const struct origin *o);
void trust_drop_all(struct http_client *c);

/* --- client.c --- */
/* The last connection of a closing client has gone. */
void client_gone(struct http_client *c);

/* --- client_conn.c --- */
/* Opens one for the call, which hears of it later. NULL: memory. */
struct conn *conn_open(struct http_call *call, struct pool *p);
/* The context that the connection waits for is there (NULL: it could not be made). */
void conn_trusted(struct conn *conn, struct tls_ctx *ctx, struct str why_not);
/* Writes the call's request. */
void conn_send(struct conn *conn);
/* Writes it at the end of the turn, together with those of other connections. */
void conn_send_later(struct conn *conn);
/* The deadline that the call's state asks for. */
void conn_arm(struct conn *conn);
void conn_close(struct conn *conn);

/* --- client_call.c --- */
/* The connection's part of the call has failed: replays or ends it. */
void call_failed(struct http_call *call, enum http_failure f, struct str detail);
/* The answer is whole. `reusable`: the connection can carry another. */
void call_whole(struct http_call *call, bool reusable);
extern const struct http1_callbacks call_parser_callbacks; /* user: struct conn */

#endif
