/* exchange/exchange.h - one client request's life, from its head to its record.
 *
 * The only module that knows the whole path. An exchange lives on one worker's loop, in its request's arena; it pins
 * the snapshot it began with. It ends by itself; the worker only opens exchanges and, at a drain's end, ends those left.
 */
#ifndef GW_EXCHANGE_EXCHANGE_H
#define GW_EXCHANGE_EXCHANGE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/str.h"
#include "conf/snapshot.h"
#include "http/client.h"
#include "http/server.h"
#include "loop/loop.h"
#include "routing/routing.h"

struct engine;
struct health_table;
struct job_table;
struct proof_memory;
struct store;

/* What all exchanges of one worker share. The worker owns it. */
struct exchange_env {
	struct loop *loop;
	struct http_client *client;
	struct engine *engine; /* NULL: none */
	struct health_table *health;
	struct proof_memory *proofs;
	struct store *store; /* NULL: nothing is kept */
	struct job_table *jobs;
	struct snapshot
		*snapshot; /* for exchanges that begin from now on; the env holds a reference */
	const struct catalog
		*catalog; /* models found by discovery; NULL: none; swapped between turns */
	struct list live; /* all exchanges under way */
	unsigned n_live;
	struct list
		detached; /* attempts whose exchange is over, reading their answer's last bytes */
	struct deadline keepalive; /* one tick for all silent streams */
};

void exchange_env_init(struct exchange_env *env, struct loop *l);
/* No exchange may be left. Before the client closes. */
void exchange_env_close(struct exchange_env *env, void (*closed)(struct deadline *self));

/* A head has come that belongs to a protocol (http_handler.on_request). */
void exchange_open(struct exchange_env *env, struct http_request *r);

/* The drain's time is over: what is left gets its dialect's terminal error and is cut. */
void exchange_end_all(struct exchange_env *env, const char *why);

/* http_handler.refuse: HTTP itself was broken; the body of the answer, in the dialect that `head` suggests. */
void exchange_refuse(const struct http_head *head, int status, struct str message, struct arena *a,
		     struct buf *body, struct str *ret_content_type, void *env);

#endif
