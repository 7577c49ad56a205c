/* app/catalog.h - the models that providers list, found in the background and shared with the workers.
 *
 * Discovery asks each provider for its list on the control loop, never on a request's path, and hands each
 * new catalog out as a reference-counted box. A provider that cannot be asked keeps its last list.
 */
#ifndef GW_APP_CATALOG_H
#define GW_APP_CATALOG_H

#include <stdatomic.h>

#include "base/arena.h"
#include "conf/snapshot.h"
#include "http/client.h"
#include "loop/loop.h"
#include "routing/routing.h"

struct health_table;

struct catalog_box {
	struct catalog catalog;
	struct arena *arena;
	atomic_uint refs;
};
struct catalog_box *catalog_ref(struct catalog_box *c);   /* NULL is a no-op */
struct catalog_box *catalog_unref(struct catalog_box *c); /* NULL is a no-op; always NULL */

struct discovery;

struct discovery_options {
	struct loop *loop;
	struct http_client *client;
	struct health_table *health;
	/* A fresh catalog; the callee takes a reference of its own. */
	void (*found)(void *user, struct catalog_box *c);
	void *user;
};

struct discovery *discovery_new(const struct discovery_options *o);
/* Asks the providers of `s`, now and again every few minutes. Takes a reference. */
void discovery_start(struct discovery *d, struct snapshot *s);
void discovery_close(struct discovery *d, void (*closed)(void *user), void *user);

#endif
