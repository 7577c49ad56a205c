/* app/admin_listener.c - one more HTTP server, on the control loop, that knows the operators' paths only. */
#include "app/admin_listener.h"

#include <stdlib.h>

#include "admin/admin.h"
#include "base/buf.h"
#include "exchange/exchange.h"
#include "http/server.h"

enum { REFUSAL_MAX = 64 * 1024 };

struct admin_listener {
	struct admin_facts facts; /* .snapshot is a reference of our own */
	struct snapshot *snapshot;
	struct http_server *server;
	void (*closed)(void *user);
	void *closed_user;
};

static void on_request(struct http_request *r, void *user)
{
	struct admin_listener *l = user;
	struct str type;
	struct buf body;

	if (admin_answer(r, &l->facts))
		return;
	buf_init(&body, REFUSAL_MAX);
	exchange_refuse(http_request_head(r), 404,
			STR("Here are only /health and /ready. Models answer on server.address."),
			http_request_arena(r), &body, &type, NULL);
	http_respond(r, 404, &(struct http_field){ STR("content-type"), type }, 1, buf_str(&body));
	buf_done(&body);
}

struct admin_listener *admin_listener_start(const struct admin_listener_options *o,
					    struct err *reterr)
{
	struct admin_listener *l = calloc(1, sizeof(*l));
	const struct http_handler handler = { .on_request = on_request,
					      .refuse = exchange_refuse,
					      .user = l };
	struct http_listener_options listen = o->snapshot->admin;

	listen.reuse_port =
		!str_present(listen.unix_path); /* a successor comes beside us (--takeover) */
	if (!l) {
		(void)err_set(reterr, RC_NOMEM, "out of memory");
		return NULL;
	}
	l->facts = (struct admin_facts){ .health = o->health, .engine = o->engine };
	l->server = http_server_new(o->loop, &o->snapshot->server, &handler);
	if (!l->server || http_server_listen(l->server, &listen, reterr) != RC_OK) {
		free(l); /* the process ends: it was told to listen where it cannot */
		return NULL;
	}
	admin_listener_set_snapshot(l, o->snapshot);
	return l;
}

void admin_listener_set_snapshot(struct admin_listener *l, struct snapshot *s)
{
	snapshot_unref(l->snapshot);
	l->snapshot = snapshot_ref(s);
	l->facts.snapshot = s;
}

void admin_listener_set_draining(struct admin_listener *l)
{
	l->facts.draining = true;
}

static void server_closed(void *user)
{
	struct admin_listener *l = user;
	void (*closed)(void *user) = l->closed;
	void *closed_user = l->closed_user;

	snapshot_unref(l->snapshot);
	free(l);
	closed(closed_user);
}

void admin_listener_close(struct admin_listener *l, void (*closed)(void *user), void *user)
{
	l->closed = closed;
	l->closed_user = user;
	http_server_close(l->server, server_closed, l);
}
