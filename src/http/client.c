/* http/client.c - the client of one worker: its birth and its end.
 *
 * The hard thing is the end: connections live on until libuv has closed them, and name their
 * client then.
 */
#include "http/client.h"

#include <assert.h>
#include <stdlib.h>

#include "http/client_parts.h"

enum {
	REQUEST_HEAD_MAX = 64 * 1024,
	ANSWER_CHUNK_EXT_MAX = 16 * 1024,
};

struct http_client *http_client_new(struct loop *l, const struct http_client_limits *limits)
{
	struct http_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->loop = l;
	c->limits = *limits;
	c->h1 = (struct http1_limits){
		.max_target = limits->max_head, /* has no meaning for answers */
		.max_head = limits->max_head,
		.max_fields = limits->max_fields,
		.max_chunk_ext = ANSWER_CHUNK_EXT_MAX,
	};
	list_init(&c->pools);
	list_init(&c->trusts);
	list_init(&c->calls);
	list_init(&c->free_calls);
	list_init(&c->conns);
	list_init(&c->unsent);
	buf_init(&c->head, REQUEST_HEAD_MAX);
	c->dns = dns_new(l, limits->dns_ttl_ms);
	c->shown = calloc(limits->max_fields, sizeof(*c->shown));
	if (!c->dns || !c->shown) {
		dns_close(c->dns);
		free(c->shown);
		free(c);
		return NULL;
	}
	return c;
}

static void client_free(struct loop_dead *dead)
{
	struct http_client *c = LIST_ENTRY(dead, struct http_client, dead);
	void (*closed)(void *user) = c->closed;
	void *user = c->closed_user;

	LIST_EACH_SAFE (&c->free_calls, it, tmp)
		free(LIST_ENTRY(it, struct http_call, node));
	pool_drop_all(c);
	trust_drop_all(c);
	buf_done(&c->head);
	free(c->shown);
	free(c);
	if (closed)
		closed(user);
}

void client_gone(struct http_client *c)
{
	loop_free_later(c->loop, &c->dead, client_free);
}

void http_client_close(struct http_client *c, void (*done)(void *user), void *user)
{
	assert(!c->closing);
	c->closing = true;
	c->closed = done;
	c->closed_user = user;
	while (!list_empty(&c->calls))
		http_call_cancel(LIST_ENTRY(c->calls.next, struct http_call, node));
	while (!list_empty(&c->conns))
		conn_close(LIST_ENTRY(c->conns.next, struct conn, node));
	dns_close(c->dns);
	if (c->n_conns == 0) /* else when libuv has closed them */
		client_gone(c);
}
