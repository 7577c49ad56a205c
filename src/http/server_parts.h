/* http/server_parts.h - what the files of the HTTP server share.
 *
 *	SHAKING -> IDLE -> HEAD -> REQUEST -> (FLUSH) -> (DRAIN) -> IDLE ...
 *	                              |         \-> LINGER, CUT -> CLOSED
 *	                              \-> SOCKET -> (FLUSH) -> LINGER
 *
 * Only conn_set() changes the state. Only server_*.c include this.
 */
#ifndef GW_HTTP_SERVER_PARTS_H
#define GW_HTTP_SERVER_PARTS_H

#include "base/buf.h"
#include "base/list.h"
#include "http/server.h"
#include "net/listener.h"
#include "net/stream.h"
#include "net/tls.h"
#include "wire/http1.h"

enum {
	LISTENERS_MAX = 8,
	KEPT_STOP = 64 * 1024,  /* bytes not yet wanted, above which reading stops */
	KEPT_MAX = 1024 * 1024, /* never reached: one read or TLS record beyond KEPT_STOP */
	DRAIN_MAX = 64 * 1024,  /* rest of a body worth reading to keep the connection */
	LINGER_MAX = 128 * 1024 * 1024,
	LINGER_MS = 5000,
	CUT_MS = 100, /* from an aborted answer's last byte to the cut, for the client to read it */
	FRESH_MS = 1000, /* while draining: for the first request of a new connection */
	ANSWER_HEAD_MAX = 256 * 1024,
	ANSWER_DATA_MAX =
		1024 * 1024 * 1024, /* the marks above bound it; this is for our own mistakes */
	SPARE_BUFS = 64,
	SPARE_BUF_MAX = 64 * 1024,
};

struct server_listener {
	struct http_server *server;
	struct listener *listener;
	struct tls_ctx *tls; /* NULL: plain */
};

struct http_server {
	struct loop *loop;
	struct http_server_limits limits;
	struct http1_limits h1;
	struct http_handler handler;
	struct server_listener listeners[LISTENERS_MAX];
	unsigned n_listeners;
	struct list idle;   /* connections without a request, idle longest first */
	struct list busy;   /* all others */
	unsigned n_conns;   /* open */
	unsigned n_closing; /* closed, still known to libuv */
	bool paused, draining, closing;
	struct deadline room; /* when accepting is paused: look for idle connections to end */
	unsigned n_own;       /* handles of our own that libuv still knows */
	struct buf head;      /* of the answer being made */
	struct buf spare[SPARE_BUFS]; /* answer buffers to be used again */
	unsigned n_spare;
	struct list waiting; /* conn.waiting_node: their output leaves at the end of the turn */
	unsigned n_waiting;
	bool turn_end_due;
	struct loop_dead turn_end;
	int64_t date_s;
	char date[48]; /* "Date: ...\r\n" */
	void (*closed)(void *user);
	void *closed_user;
	struct loop_dead dead;
};

enum conn_state {
	CONN_SHAKING,
	CONN_IDLE,    /* no byte of a request */
	CONN_HEAD,    /* some */
	CONN_REQUEST, /* the handler has it */
	CONN_FLUSH,   /* answered; bytes of the answer have still to leave */
	CONN_DRAIN,   /* answered; the rest of the body is read and dropped */
	CONN_SOCKET,  /* a WebSocket */
	CONN_LINGER,  /* our side is shut; what comes is dropped until the peer closes too */
	CONN_CUT, /* an answer was aborted; what was said of it is being read, then it is closed */
	CONN_CLOSED,
};

struct http_websocket;

struct server_conn {
	struct list node;         /* in server.idle or server.busy */
	struct list waiting_node; /* in server.waiting */
	struct http_server *server;
	struct stream *stream;
	struct http1_parser *parser;
	enum conn_state state;
	struct http_request *req;
	struct http_websocket *ws; /* CONN_SOCKET, and after it */
	struct buf in;             /* received, not wanted yet */
	struct buf out;            /* to be sent after `fly` */
	struct buf fly;            /* with the stream */
	struct deadline read_deadline, write_deadline;
	size_t unsent; /* at the last look at a slow write */
	size_t lingered;
	uint64_t idle_at_ms;
	bool flying;
	bool feeding; /* the parse loop is on the stack */
	bool in_call; /* of a request's owner, which no further request may be started inside of */
	bool served;  /* it has had a request */
	bool message_ended;    /* the parser has seen the end of the last request */
	bool held;             /* reading is stopped: too much is kept */
	bool last;             /* to be closed after the answer */
	bool cut;              /* after a moment: the answer was aborted */
	bool reset;            /* and so that the client sees a cut */
	bool linger;           /* gently: the client may still be sending */
	bool no_memory;        /* for a request's head */
	const char *broken;    /* writing failed: why; on_gone is owed */
	struct loop_dead kick; /* what must wait for an empty stack */
	bool kicked;
	char peer[LISTENER_PEER_MAX];
};

/* Lives in its own arena. */
struct http_request {
	struct server_conn *conn; /* NULL when over */
	const char *peer;         /* the connection's; good inside on_gone too */
	struct arena *arena;
	struct http_head head;
	bool no_head; /* made for a refusal only */
	void *user;
	struct http_request_events ev;
	/* body */
	bool wants_body, body_told, body_failed, continued;
	bool body_too_large, body_no_memory;
	size_t body_max, body_got;
	struct buf body;
	struct str whole; /* a small body, in the arena */
	/* answer */
	bool keep_alive, head_out, chunked, no_content;
	bool waited;            /* for bytes to leave: on_drain is owed */
	struct str answer_head; /* not sent yet */
	struct buf data;
	struct loop_dead dead;
};

/* --- server.c --- */
/* A connection, already shaken hands or none to be shaken. Takes the stream. */
void server_adopt(struct http_server *s, struct stream *stream, const char *peer);
void server_conn_closed(struct http_server *s);
void server_conn_freed(struct http_server *s);
struct str server_date(struct http_server *s);
struct buf server_spare_buf(struct http_server *s);
void server_keep_buf(struct http_server *s, struct buf *b);

/* --- server_conn.c --- */
/* Takes the stream, in failure too (NULL: no memory). */
struct server_conn *server_conn_new(struct http_server *s, struct stream *stream,
				    struct tls_ctx *tls, const char *peer);
void server_conn_close(struct server_conn *c, bool reset);
/* The server drains: ends an idle connection, unless its first request is still to come; a WebSocket is told. */
void server_conn_drain(struct server_conn *c);
/* Tells the handler that its client is gone, and closes. */
void server_conn_gone(struct server_conn *c, const char *why);
/* The request was answered: what comes next. */
void server_conn_answered(struct server_conn *c);
/* Goes on when the stack is empty. */
void server_conn_kick(struct server_conn *c);
/* All output has left. */
void server_conn_flushed(struct server_conn *c);
/* Reads on what was kept. */
void server_conn_go_on(struct server_conn *c);

/* It speaks no HTTP any more. */
void server_conn_upgraded(struct server_conn *c);

/* --- server_websocket.c; of connections that have one --- */
void server_websocket_read(struct server_conn *c, struct str bytes);
/* Its deadline has come. */
void server_websocket_tick(struct server_conn *c);
void server_websocket_drain(struct server_conn *c);
/* Some output has to wait; some has left. */
void server_websocket_waits(struct http_websocket *ws);
void server_websocket_flushed(struct server_conn *c);
/* Tells its owner, who has not been told yet. Does nothing without a WebSocket. */
void server_websocket_over(struct server_conn *c, const char *why);
void server_websocket_free(struct http_websocket *ws);

/* --- server_request.c --- */
extern const struct http1_callbacks server_parser_callbacks; /* user: struct server_conn */
void request_over(struct http_request *r);
/* What the parser found in the last feed is handed on. */
void request_begin(struct server_conn *c);
void request_body_progress(struct http_request *r);
void request_body_fail(struct http_request *r, int status, struct str message);
/* Answers what breaks HTTP, and closes. */
void request_refuse(struct server_conn *c, int status, struct str message);

/* --- server_write.c --- */
void server_write(struct server_conn *c, const struct str *v, unsigned n);
void server_written(struct server_conn *c, int status);
/* Nothing can be written any more: the end comes when the stack is empty. */
void server_break_off(struct server_conn *c, const char *why);
/* The connection closes: what waits for the end of the turn is not sent. */
void server_forget_output(struct server_conn *c);
void server_write_deadline(struct server_conn *c);
size_t server_pending(const struct server_conn *c);

#endif
