/* app/worker.c - a worker's thread and what the control thread may ask of it.
 *
 * Nothing here is shared but through loop_post(): each request of the control thread is a small message that the
 * worker's loop runs. The hard thing is the end: traffic first, then the closing of handles, then the loop.
 */
#include "app/worker.h"

#include <stdlib.h>
#include <uv.h>

#include "admin/admin.h"
#include "base/arena.h"
#include "base/log.h"
#include "exchange/exchange.h"
#include "loop/loop.h"

enum { DRAIN_LOOK_MS = 20 };

struct worker {
	struct worker_options o;
	uv_thread_t thread;
	uv_sem_t started;
	struct err start_error;
	bool listening;
	struct loop loop;
	struct http_server *server;
	struct http_client *client;
	struct exchange_env env;
	struct catalog_box *catalog;
	struct deadline look; /* while draining: is everybody gone? */
	bool draining;
	unsigned closing; /* handles whose end is awaited */
};

/* --- on the worker's thread --- */

static void on_request(struct http_request *r, void *user)
{
	struct worker *w = user;
	struct admin_facts facts = {
		.snapshot = w->env.snapshot,
		.health = w->o.health,
		.engine = w->o.engine,
		.draining = w->draining,
	};

	if (!admin_answer(r, &facts))
		exchange_open(&w->env, r);
}

static void refuse(const struct http_head *head, int status, struct str message, struct arena *a,
		   struct buf *body, struct str *ret_content_type, void *user)
{
	struct worker *w = user;

	exchange_refuse(head, status, message, a, body, ret_content_type, &w->env);
}

static void tell_drained(void *arg)
{
	struct worker *w = arg;

	w->o.drained(w->o.user);
}

static void look_drained(struct deadline *d)
{
	struct worker *w = LIST_ENTRY(d, struct worker, look);

	if (http_server_connections(w->server) > 0 || w->env.n_live > 0 ||
	    http_server_listening(w->server) || loop_post(w->o.control, tell_drained, w) != RC_OK)
		deadline_set(&w->look, DRAIN_LOOK_MS);
}

static int set_up(struct worker *w, struct err *reterr)
{
	struct snapshot *s = w->env.snapshot;
	const struct http_handler handler = { .on_request = on_request,
					      .refuse = refuse,
					      .user = w };

	w->server = http_server_new(&w->loop, &s->server, &handler);
	w->client = http_client_new(&w->loop, &s->client);
	if (!w->server || !w->client)
		return err_set(reterr, RC_NOMEM, "out of memory");
	w->env.client = w->client;
	return http_server_listen(w->server, &s->listen, reterr);
}

static void closed_one(void *user)
{
	struct worker *w = user;

	if (--w->closing == 0)
		loop_stop(&w->loop);
}

static void closed_deadline(struct deadline *d)
{
	closed_one(LIST_ENTRY(d, struct worker, look));
}

static void closed_keepalive(struct deadline *d)
{
	closed_one(LIST_ENTRY(d, struct worker, env.keepalive));
}

static void close_all(void *arg)
{
	struct worker *w = arg;

	w->closing = 2 + (w->server ? 1 : 0) + (w->client ? 1 : 0);
	exchange_end_all(&w->env, "shutdown");
	exchange_env_close(&w->env, closed_keepalive);
	deadline_close(&w->look, closed_deadline);
	if (w->server)
		http_server_close(w->server, closed_one, w);
	if (w->client)
		http_client_close(w->client, closed_one, w);
	w->catalog = catalog_unref(w->catalog);
}

static void run(void *arg)
{
	struct worker *w = arg;

	w->listening = set_up(w, &w->start_error) == RC_OK;
	if (!w->listening)
		close_all(w);
	uv_sem_post(&w->started);
	loop_run(&w->loop);
	loop_done(&w->loop);
	arena_thread_done();
}

static void drain(void *arg)
{
	struct worker *w = arg;

	if (w->draining)
		return;
	w->draining = true;
	http_server_drain(w->server);
	deadline_set(&w->look, 1);
}

static void cut(void *arg)
{
	struct worker *w = arg;

	/* The engine ends next: a head that still comes must not reach for it. */
	w->env.engine = w->o.engine = NULL;
	exchange_end_all(&w->env, "shutdown");
}

/* --- on the control thread --- */

struct worker *worker_start(const struct worker_options *o, struct err *reterr)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w) {
		(void)err_set(reterr, RC_NOMEM, "out of memory");
		return NULL;
	}
	w->o = *o;
	if (loop_init(&w->loop, reterr) != RC_OK) {
		free(w);
		return NULL;
	}
	w->env.snapshot = snapshot_ref(o->snapshot);
	w->env.engine = o->engine;
	w->env.health = o->health;
	w->env.proofs = o->proofs;
	w->env.store = o->store;
	w->env.jobs = o->jobs;
	exchange_env_init(&w->env, &w->loop);
	deadline_init(&w->look, &w->loop, look_drained);
	uv_sem_init(&w->started, 0);
	uv_thread_create(&w->thread, run, w);
	uv_sem_wait(&w->started);
	uv_sem_destroy(&w->started);
	if (w->listening)
		return w;
	uv_thread_join(&w->thread);
	if (reterr)
		*reterr = w->start_error;
	free(w);
	return NULL;
}

struct message {
	struct worker *worker;
	struct snapshot *snapshot;
	struct catalog_box *catalog;
};

static void take_snapshot(void *arg)
{
	struct message *m = arg;
	struct worker *w = m->worker;

	snapshot_unref(w->env.snapshot);
	w->env.snapshot = m->snapshot;
	http_server_set_limits(w->server, &m->snapshot->server);
	free(m);
}

static void take_catalog(void *arg)
{
	struct message *m = arg;
	struct worker *w = m->worker;

	catalog_unref(w->catalog);
	w->catalog = m->catalog;
	w->env.catalog = &w->catalog->catalog;
	free(m);
}

static int post(struct worker *w, void (*fn)(void *arg), struct snapshot *s, struct catalog_box *c)
{
	struct message *m = calloc(1, sizeof(*m));

	if (!m)
		return RC_NOMEM;
	*m = (struct message){ .worker = w, .snapshot = s, .catalog = c };
	if (loop_post(&w->loop, fn, m) == RC_OK)
		return RC_OK;
	free(m);
	return RC_NOMEM;
}

int worker_set_snapshot(struct worker *w, struct snapshot *s)
{
	int rc = post(w, take_snapshot, snapshot_ref(s), NULL);

	if (rc != RC_OK)
		snapshot_unref(s);
	return rc;
}

int worker_set_catalog(struct worker *w, struct catalog_box *c)
{
	int rc = post(w, take_catalog, NULL, catalog_ref(c));

	if (rc != RC_OK)
		catalog_unref(c);
	return rc;
}

/* A message that must arrive: without it the process could not end. */
static void post_or_abort(struct worker *w, void (*fn)(void *arg))
{
	if (loop_post(&w->loop, fn, w) != RC_OK)
		abort();
}

void worker_drain(struct worker *w)
{
	post_or_abort(w, drain);
}

void worker_cut(struct worker *w)
{
	post_or_abort(w, cut);
}

void worker_stop(struct worker *w)
{
	post_or_abort(w, close_all);
	uv_thread_join(&w->thread);
	free(w);
}
