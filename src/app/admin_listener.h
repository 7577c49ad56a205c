/* app/admin_listener.h - the operators' own address (`admin.address`): health and readiness on the control loop.
 *
 * It goes on answering while the workers drain, so that a load balancer sees `draining` and not a refused connection. All
 * functions are for the control thread.
 */
#ifndef GW_APP_ADMIN_LISTENER_H
#define GW_APP_ADMIN_LISTENER_H

#include "base/err.h"
#include "conf/snapshot.h"
#include "loop/loop.h"

struct admin_listener;
struct engine;
struct health_table;

struct admin_listener_options {
	struct loop *loop;
	struct snapshot *snapshot;
	struct health_table *health;
	struct engine *engine; /* NULL: none */
};

struct admin_listener *admin_listener_start(const struct admin_listener_options *o,
					    struct err *reterr) MUST_CHECK;
/* For requests that come from now on; the address itself stays. */
void admin_listener_set_snapshot(struct admin_listener *l, struct snapshot *s);
void admin_listener_set_draining(struct admin_listener *l);
/* `closed` when nothing is left of it. */
void admin_listener_close(struct admin_listener *l, void (*closed)(void *user), void *user);

#endif
