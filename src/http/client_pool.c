/* http/client_pool.c - idle connections by origin.
 *
 * Idle connections keep reading, so a peer that closes takes its connection out of the pool at
 * once. The newest is used first: the others grow old and go.
 */
#include <stdlib.h>

#include "http/client_parts.h"

enum { POOLS_MAX = 256 };

static void pool_free(struct http_client *c, struct pool *p)
{
	list_remove(&p->node);
	c->n_pools--;
	free(p);
}

/* Origins come and go with reloads; an empty pool that was used longest ago makes room. */
static void make_room(struct http_client *c)
{
	for (struct list *it = c->pools.prev; it != &c->pools; it = it->prev) {
		struct pool *p = LIST_ENTRY(it, struct pool, node);

		if (p->n_conns == 0) {
			pool_free(c, p);
			return;
		}
	}
}

struct pool *pool_find(struct http_client *c, const struct origin *o)
{
	struct pool *p;

	LIST_EACH (&c->pools, it) {
		p = LIST_ENTRY(it, struct pool, node);
		if (!str_eq(o->pool_key, (struct str){ p->key, p->key_len }))
			continue;
		if (c->pools.next != it) {
			list_remove(it);
			list_prepend(&c->pools, it);
		}
		return p;
	}
	if (c->n_pools >= POOLS_MAX)
		make_room(c);
	p = calloc(1, sizeof(*p) + o->pool_key.len + 1);
	if (!p)
		return NULL;
	p->key_len = o->pool_key.len;
	memcpy(p->key, o->pool_key.ptr, o->pool_key.len);
	list_init(&p->idle);
	list_prepend(&c->pools, &p->node);
	c->n_pools++;
	return p;
}

struct conn *pool_take(struct pool *p)
{
	if (list_empty(&p->idle))
		return NULL;
	struct conn *conn = LIST_ENTRY(p->idle.next, struct conn, idle_node);

	list_remove(&conn->idle_node);
	p->n_idle--;
	return conn;
}

void pool_put(struct conn *conn)
{
	struct pool *p = conn->pool;

	conn->state = CONN_IDLE;
	conn->call = NULL;
	list_prepend(&p->idle, &conn->idle_node);
	p->n_idle++;
	deadline_set(&conn->deadline, conn->client->limits.idle_timeout_ms);
	if (p->n_idle > conn->client->limits.max_idle_per_origin)
		conn_close(LIST_ENTRY(p->idle.prev, struct conn, idle_node));
}

void pool_drop_all(struct http_client *c)
{
	LIST_EACH_SAFE (&c->pools, it, tmp)
		pool_free(c, LIST_ENTRY(it, struct pool, node));
}
