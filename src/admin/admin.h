/* admin/admin.h - what operators and load balancers ask: /health, /ready, and what this is at /. */
#ifndef GW_ADMIN_ADMIN_H
#define GW_ADMIN_ADMIN_H

#include <stdatomic.h>
#include <stdbool.h>

#include "conf/snapshot.h"
#include "http/server.h"

struct engine;
struct health_table;

/* What the answers are made of; borrowed for the call. */
struct admin_facts {
	const struct snapshot *snapshot;
	struct health_table *health;
	struct engine *engine; /* NULL: none */
	bool draining;
};

/* Answers when the request is for one of these paths, and says so; otherwise leaves it alone. */
bool admin_answer(struct http_request *r, const struct admin_facts *f);

#endif
