/* engine/lease.c - the leases of the workers, and their waits for one.
 *
 * The hard thing is a wait, which two threads can end at once: the control thread by an answer, the worker by
 * cancelling. Whoever changes its state under the lock first has won, and the other only puts things back.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/priv.h"

struct lease {
	struct engine_lease pub;
	struct engine *e;
	struct model *m;
	char path[SOCKET_PATH];
	char key[SOCKET_PATH + 8];
};

/* --- leases --- */

static struct engine_lease *lease_new(struct engine *e)
{
	struct lease *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->e = e;
	l->pub.private_ = l;
	return &l->pub;
}

static void lease_free(struct engine_lease *lease)
{
	if (lease)
		free(lease->private_);
}

void lease_grant(struct engine_lease *lease, struct model *m)
{
	struct lease *l = lease->private_;

	assert(m->state == ENGINE_READY);
	engine_ref(m->e);
	m->leases++;
	l->m = m;
	snprintf(l->path, sizeof(l->path), "%s", m->path);
	snprintf(l->key, sizeof(l->key), "engine:%s", m->path);
	l->pub.origin = (struct origin){
		.host = STR("localhost"),
		.port = 80,
		.unix_path = str_from(l->path),
		.host_header = STR("localhost"),
		.base_path = STR(""),
		.tls_verify = true,
		.pool_key = str_from(l->key),
	};
}

static void check_leases(void *arg)
{
	struct engine *e = arg;

	uv_mutex_lock(&e->lock);
	e->check_posted = false;
	uv_mutex_unlock(&e->lock);
	LIST_EACH_SAFE (&e->models, it, next)
		model_check(LIST_ENTRY(it, struct model, node));
	engine_unref(e);
}

/* The control thread cares when the last lease of a model that is to stop came back. Under the lock. */
static void tell_control(struct engine *e, struct model *m)
{
	if (e->closing || e->check_posted || (!m->retired && model_idle_ms(m) == MODEL_STAYS))
		return;
	engine_ref(e);
	if (loop_post(e->loop, check_leases, e) == RC_OK)
		e->check_posted = true;
	else
		atomic_fetch_sub_explicit(&e->refs, 1,
					  memory_order_relaxed); /* not the last: we hold one */
}

void engine_release(struct engine_lease *lease)
{
	struct lease *l = lease ? lease->private_ : NULL;
	struct engine *e = l ? l->e : NULL;

	if (!l)
		return;
	uv_mutex_lock(&e->lock);
	assert(l->m->leases > 0);
	l->m->last_used_ms = clock_mono_ms();
	if (--l->m->leases == 0)
		tell_control(e, l->m);
	uv_mutex_unlock(&e->lock);
	free(l);
	engine_unref(e);
}

/* Under the lock. */
static void keep(struct model *m, uint64_t keep_ms)
{
	m->kept = true;
	m->keep_ms = keep_ms;
}

void engine_keep(struct engine_lease *lease, int64_t keep_ms)
{
	struct lease *l = lease->private_;

	uv_mutex_lock(&l->e->lock);
	keep(l->m, keep_ms < 0 ? MODEL_STAYS : (uint64_t)keep_ms);
	uv_mutex_unlock(&l->e->lock);
}

void engine_unload(struct engine *e, struct str account, struct str model)
{
	struct model *m;

	uv_mutex_lock(&e->lock);
	m = e->closing ? NULL : engine_find_model(e, account, model);
	if (m && m->state == ENGINE_READY) {
		keep(m, 0);
		if (m->leases == 0)
			tell_control(e, m);
	}
	uv_mutex_unlock(&e->lock);
}

void engine_touch(struct engine_lease *lease)
{
	struct lease *l = lease->private_;

	atomic_fetch_add_explicit(&l->m->touched, 1, memory_order_relaxed);
}

/* --- waits --- */

static void wait_unref(struct engine_wait *w)
{
	struct engine *e = w->e;

	if (atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) != 1)
		return;
	lease_free(w->lease);
	free(w->account);
	free(w->name);
	free(w);
	engine_unref(e);
}

/* Worker: the answer has come. */
static void wait_deliver(void *arg)
{
	struct engine_wait *w = arg;
	struct engine_lease *lease = NULL;
	bool over;

	uv_mutex_lock(&w->e->lock);
	over = w->state == WAIT_OVER;
	w->state = WAIT_OVER;
	if (!over && w->granted) {
		lease = w->lease;
		w->lease = NULL;
	}
	uv_mutex_unlock(&w->e->lock);
	if (!over)
		w->done(w->user, lease, lease ? NULL : &w->error);
	wait_unref(w);
}

static void wait_send(struct engine_wait *w)
{
	struct engine *e = w->e;

	if (loop_post(w->loop, wait_deliver, w) == RC_OK)
		return;
	list_append(&e->undelivered, &w->node);
	if (!uv_is_closing((uv_handle_t *)&e->retry))
		deadline_set(&e->retry, 100);
}

void engine_deliver_late(struct deadline *d)
{
	struct engine *e = LIST_ENTRY(d, struct engine, retry);
	struct list todo;

	list_init(&todo);
	list_append(&e->undelivered, &todo); /* todo takes over the whole ring */
	list_remove(&e->undelivered);
	while (!list_empty(&todo)) {
		struct engine_wait *w = LIST_ENTRY(todo.next, struct engine_wait, node);

		list_remove(&w->node);
		wait_send(w);
	}
}

/* False when the worker has cancelled: nobody is to be told. */
static bool wait_settle(struct engine_wait *w, struct model *grant)
{
	bool queued;

	uv_mutex_lock(&w->e->lock);
	queued = w->state == WAIT_QUEUED;
	if (queued) {
		w->state = WAIT_ANSWERED;
		w->granted = grant != NULL;
		if (grant)
			lease_grant(w->lease, grant);
	}
	uv_mutex_unlock(&w->e->lock);
	if (!queued)
		wait_unref(w);
	return queued;
}

void wait_answer_ready(struct engine_wait *w, struct model *m)
{
	if (wait_settle(w, m))
		wait_send(w);
}

void wait_answer_error(struct engine_wait *w, enum ir_error_kind kind, int64_t retry_after_ms,
		       const char *message)
{
	snprintf(w->message, sizeof(w->message), "%s", message);
	w->error = (struct ir_error){
		.kind = kind,
		.message = str_from(w->message),
		.retry_after_ms = retry_after_ms,
		.code = kind == IR_ERR_MODEL_NOT_FOUND ? STR("model_not_found")
						       : STR("engine_unavailable"),
	};
	if (wait_settle(w, NULL))
		wait_send(w);
}

/* Control: a worker has asked. */
static void wait_arrive(void *arg)
{
	struct engine_wait *w = arg;
	struct engine *e = w->e;
	struct model *m =
		e->closing ? NULL : engine_find_model(e, str_from(w->account), str_from(w->name));
	char text[ENGINE_MESSAGE];

	if (m) {
		model_enter(m, w);
		return;
	}
	if (e->closing) {
		wait_answer_error(w, IR_ERR_UNAVAILABLE, -1,
				  "The gateway is shutting down; try again later.");
		return;
	}
	snprintf(text, sizeof(text),
		 "The local model \"%s\" of provider \"%s\" is no longer configured; see GET "
		 "/v1/models for what is.",
		 w->name, w->account);
	wait_answer_error(w, IR_ERR_MODEL_NOT_FOUND, -1, text);
}

/* Control: a worker has cancelled; the wait is over already and only has to leave its queue. */
static void wait_leave(void *arg)
{
	struct engine_wait *w = arg;

	if (w->model) {
		model_leave(w->model, w);
		wait_unref(w); /* that of the answer, which nobody will send */
	}
	wait_unref(w);
}

static struct engine_wait *wait_new(struct engine *e, const struct engine_acquire_options *o,
				    struct engine_lease *lease)
{
	struct engine_wait *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	list_init(&w->node);
	atomic_init(&w->refs, 1);
	w->loop = o->loop;
	w->done = o->done;
	w->user = o->user;
	w->until_ms = clock_mono_ms() + (o->wait_ms ? o->wait_ms : e->o.start_ms);
	w->account = strndup(o->account.len ? o->account.ptr : "", o->account.len);
	w->name = strndup(o->model.len ? o->model.ptr : "", o->model.len);
	if (!w->account || !w->name) {
		free(w->account);
		free(w->name);
		free(w);
		return NULL;
	}
	w->e = engine_ref(e);
	w->lease = lease;
	return w;
}

int engine_acquire(struct engine *e, const struct engine_acquire_options *o,
		   struct engine_lease **ret_lease, struct engine_wait **ret_wait)
{
	struct engine_lease *lease = lease_new(e);
	struct engine_wait *w;
	struct model *m;
	bool ready;

	if (!lease)
		return RC_NOMEM;
	uv_mutex_lock(&e->lock);
	m = e->closing ? NULL : engine_find_model(e, o->account, o->model);
	ready = m && m->state == ENGINE_READY;
	if (ready)
		lease_grant(lease, m);
	uv_mutex_unlock(&e->lock);
	if (ready) {
		*ret_lease = lease;
		return 1;
	}
	w = wait_new(e, o, lease);
	if (!w) {
		lease_free(lease);
		return RC_NOMEM;
	}
	if (loop_post(e->loop, wait_arrive, w) != RC_OK) {
		wait_unref(w);
		return RC_NOMEM;
	}
	*ret_wait = w;
	return 0;
}

void engine_acquire_cancel(struct engine_wait *w)
{
	struct engine_lease *granted = NULL;
	bool queued;

	uv_mutex_lock(&w->e->lock);
	assert(w->state != WAIT_OVER);
	queued = w->state == WAIT_QUEUED;
	w->state = WAIT_OVER;
	if (w->granted) {
		granted = w->lease;
		w->lease = NULL;
		w->granted = false;
	}
	/* The answer may be on its way and would free the wait under our hands. */
	if (queued)
		atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
	uv_mutex_unlock(&w->e->lock);
	engine_release(granted);
	/* Without memory for the message the wait stays queued, unheard, until its time is up. */
	if (queued && loop_post(w->e->loop, wait_leave, w) != RC_OK)
		wait_unref(w);
}
