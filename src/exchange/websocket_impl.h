/* exchange/websocket_impl.h - clients on WebSockets as their own files see them; nobody else includes this.
 *
 *	client ──► lanes (one without a name, one for each stream_id) ──► each at most one turn under way
 *	  └──► waiting: messages of lanes that are busy, or above responses.websocket_lanes
 */
#ifndef GW_EXCHANGE_WEBSOCKET_IMPL_H
#define GW_EXCHANGE_WEBSOCKET_IMPL_H

#include "exchange/exchange_impl.h"
#include "http/websocket.h"
#include "wire/framer.h"

/* As OpenAI has it: named ones that a connection may ever use. */
enum { LANES_NAMED_MAX = 32 };

/* Messages of one lane are carried out one after another. It lives as long as its client. */
struct lane {
	struct list node;
	struct str name;             /* stream_id; absent: the lane of messages without one */
	struct websocket_turn *turn; /* under way; NULL */
	unsigned n_waiting;
};

struct websocket_client {
	struct exchange_env *env;
	struct http_websocket *ws;   /* NULL: over */
	struct arena *arena;         /* of this, of the head, and of the lanes */
	struct arena_budget *budget; /* of all turns together */
	const struct http_head *head;
	struct str peer;
	struct recent recent;
	struct list lanes;
	struct lane plain; /* without a name */
	unsigned n_named;
	unsigned n_turns;    /* under way */
	struct list waiting; /* messages, oldest first */
	unsigned n_waiting;
	size_t waiting_bytes;
	struct deadline lifetime;
	struct loop_dead kick;
	bool kicked, expired;
};

/* A message that is being carried out. In its exchange's arena, as all that it points to. */
struct websocket_turn {
	struct websocket_client *client;
	struct lane *lane;
	struct exchange *x;
	struct socket_message message;
	struct str headers; /* for the first event; absent when that is out */
	struct str error;   /* an event of that type, which may be the end */
	struct buf out;     /* events that have not been sent */
	struct framer framer;
	struct str response_id; /* absent until response.created is out */
	uint64_t next_number;   /* of the event after the last */
	int shift;              /* of events' numbers: some are left out, some are our own */
	bool ended;             /* the end is out */
	bool failed;
};

/* --- websocket_turn.c --- */

/* NULL when memory is out. */
struct websocket_turn *websocket_turn_new(struct websocket_client *c, struct lane *lane,
					  struct exchange *x, struct arena *a);
void websocket_turn_over(struct websocket_turn *t);

/* --- websocket.c --- */

/* The lane's turn is over: another may begin. */
void websocket_lane_free(struct websocket_client *c, struct lane *lane);

/* --- websocket_steer.c --- */

/* `response.steer`: an event that says why not. */
void websocket_steer(struct websocket_client *c, struct str text);

#endif
