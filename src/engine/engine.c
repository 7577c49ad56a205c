/* engine/engine.c - the table of local models, and the leases and waits of the workers.
 *
 * The hard thing is a wait, which two threads can end at once: the control thread by an answer, the worker by
 * cancelling. Whoever changes its state under the lock first has won, and the other only puts things back.
 */
#include "engine/engine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/priv.h"

struct lease {
	struct engine_lease pub;
	struct engine *e;
	struct model *m;
	char path[SOCKET_PATH];
	char key[SOCKET_PATH + 8];
};

static const struct engine_options defaults = {
	.start_ms = 120000,
	.stop_ms = 5000,
	.probe_ms = 50,
	.health_ms = 5000,
	.health_timeout_ms = 5000,
	.health_failures = 3,
	.backoff_min_ms = 250,
	.backoff_max_ms = 30000,
	.backoff_reset_ms = 60000,
};

static const struct http_client_limits probe_limits = {
	.max_idle_per_origin = 1,
	.idle_timeout_ms = 1000,
	.max_head = 16 * 1024,
	.max_fields = 64,
	.dns_ttl_ms = 1000,
};

static void models_free(struct engine *e)
{
	LIST_EACH_SAFE (&e->models, it, next)
		model_drop(LIST_ENTRY(it, struct model, node));
}

struct engine *engine_ref(struct engine *e)
{
	atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
	return e;
}

void engine_unref(struct engine *e)
{
	if (atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1)
		return;
	models_free(e);
	uv_mutex_destroy(&e->lock);
	free(e->engine_path);
	free(e->shim);
	free(e);
}

/* --- making and ending --- */

static uint64_t or_default(uint64_t v, uint64_t d)
{
	return v ? v : d;
}

static void take_options(struct engine *e, const struct engine_options *o)
{
	const struct engine_options *d = &defaults;

	e->o = *o;
	e->o.start_ms = or_default(o->start_ms, d->start_ms);
	e->o.stop_ms = or_default(o->stop_ms, d->stop_ms);
	e->o.probe_ms = or_default(o->probe_ms, d->probe_ms);
	e->o.health_ms = or_default(o->health_ms, d->health_ms);
	e->o.health_timeout_ms = or_default(o->health_timeout_ms, d->health_timeout_ms);
	e->o.health_failures = (unsigned)or_default(o->health_failures, d->health_failures);
	e->o.backoff_min_ms = or_default(o->backoff_min_ms, d->backoff_min_ms);
	e->o.backoff_max_ms = or_default(o->backoff_max_ms, d->backoff_max_ms);
	e->o.backoff_reset_ms = or_default(o->backoff_reset_ms, d->backoff_reset_ms);
	e->o.runtime_dir = NULL;
	e->o.shim = NULL;
}

static char *own_program(void)
{
	char path[4096];
	size_t n = sizeof(path);

	return uv_exepath(path, &n) == 0 ? strdup(path) : NULL;
}

static void on_retry(struct deadline *d);

struct engine *engine_new(const struct engine_options *o, struct err *reterr)
{
	struct engine *e = calloc(1, sizeof(*e));

	if (!e)
		goto nomem;
	atomic_init(&e->refs, 1);
	e->loop = o->loop;
	list_init(&e->models);
	list_init(&e->undelivered);
	take_options(e, o);
	e->shim = o->shim ? strdup(o->shim) : own_program();
	if (!e->shim)
		goto nomem;
	if (rundir_init(&e->dir, o->runtime_dir, reterr) < 0)
		goto fail;
	e->http = http_client_new(e->loop, &probe_limits);
	if (!e->http || uv_mutex_init(&e->lock) != 0)
		goto nomem;
	deadline_init(&e->retry, e->loop, on_retry);
	return e;

nomem:
	err_set(reterr, RC_NOMEM, "out of memory");
fail:
	if (e) {
		if (e->http)
			http_client_close(e->http, NULL, NULL);
		rundir_done(&e->dir);
		free(e->shim);
		free(e);
	}
	return NULL;
}

static void on_http_closed(void *user)
{
	struct engine *e = user;
	void (*closed)(void *) = e->closed;
	void *closed_user = e->closed_user;

	rundir_done(&e->dir);
	engine_unref(e);
	if (closed)
		closed(closed_user);
}

static void on_retry_closed(struct deadline *d)
{
	struct engine *e = LIST_ENTRY(d, struct engine, retry);

	http_client_close(e->http, on_http_closed, e);
}

static void close_step(struct engine *e)
{
	if (e->closing && e->open_models == 0)
		deadline_close(&e->retry, on_retry_closed);
}

void engine_close(struct engine *e, void (*done)(void *user), void *user)
{
	e->closed = done;
	e->closed_user = user;
	uv_mutex_lock(&e->lock);
	assert(!e->closing);
	e->closing = true;
	uv_mutex_unlock(&e->lock);
	e->open_models++; /* ours: none of the models may finish the job inside the loop */
	LIST_EACH_SAFE (&e->models, it, next)
		model_close(LIST_ENTRY(it, struct model, node));
	e->open_models--;
	close_step(e);
}

void engine_model_ended(struct model *m)
{
	struct engine *e = m->e;
	bool leased;

	uv_mutex_lock(&e->lock);
	m->ended = true;
	leased = m->leases > 0;
	if (!leased)
		list_remove(&m->node);
	uv_mutex_unlock(&e->lock);
	if (!leased)
		model_drop(m);
	e->open_models--;
	close_step(e);
}

/* --- configuration --- */

struct model *engine_find_model(struct engine *e, struct str account, struct str name)
{
	LIST_EACH (&e->models, it) {
		struct model *m = LIST_ENTRY(it, struct model, node);

		if (!m->retired && str_eq(m->conf.name, name) && str_eq(m->account, account))
			return m;
	}
	return NULL;
}

/* What may change under a running child. */
static void adopt_soft(struct model *m, const struct local_model *conf)
{
	m->conf.preload = conf->preload;
	m->conf.idle_ms = conf->idle_ms;
	m->kept = m->kept && conf->keep_alive;
	if (conf->keep_alive_max_ms && m->keep_ms > conf->keep_alive_max_ms)
		m->keep_ms = conf->keep_alive_max_ms;
}

static const struct local_model *configured(const struct snapshot *s, const struct model *m)
{
	for (unsigned i = 0; i < s->n_accounts; i++) {
		const struct account *ac = &s->accounts[i];

		for (unsigned k = 0; str_eq(ac->name, m->account) && k < ac->n_local; k++) {
			if (str_eq(ac->local[k].name, m->conf.name))
				return &ac->local[k];
		}
	}
	return NULL;
}

/* Makes, aside, the models that `s` has and the table has not (or has otherwise). */
static int make_new(struct engine *e, const struct snapshot *s, bool all, struct list *made,
		    struct err *reterr)
{
	for (unsigned i = 0; i < s->n_accounts; i++) {
		const struct account *ac = &s->accounts[i];

		for (unsigned k = 0; k < ac->n_local; k++) {
			struct model *old = engine_find_model(e, ac->name, ac->local[k].name), *m;

			if (old && !all && model_same_child(old, &ac->local[k]))
				continue;
			m = model_new(e, ac->name, &ac->local[k]);
			if (!m)
				return err_set(reterr, RC_NOMEM,
					       "no memory for the local model %.*s",
					       STR_ARG(ac->local[k].name));
			list_append(made, &m->node);
		}
	}
	return RC_OK;
}

static bool was_wanted(const struct model *m)
{
	return m->child || m->state == ENGINE_RESTARTING || !list_empty(&m->waits);
}

static void replace(struct engine *e, struct model *old, struct list *made)
{
	struct model *heir = NULL;

	LIST_EACH (made, it) {
		struct model *m = LIST_ENTRY(it, struct model, node);

		if (str_eq(m->account, old->account) && str_eq(m->conf.name, old->conf.name))
			heir = m;
	}
	if (heir) {
		bool wanted = was_wanted(old);

		uv_mutex_lock(&e->lock);
		list_remove(&heir->node);
		list_append(&e->models, &heir->node);
		uv_mutex_unlock(&e->lock);
		e->open_models++;
		model_retire(old, heir);
		if (wanted || heir->conf.preload)
			model_demand(heir);
		return;
	}
	model_retire(old, NULL);
}

static void commit(struct engine *e, const struct snapshot *s, bool all, struct list *made)
{
	struct list *last =
		e->models.prev; /* heirs are appended behind it: not to be looked at again */
	bool end = list_empty(&e->models);

	for (struct list *it = e->models.next, *next; !end; it = next) {
		struct model *m = LIST_ENTRY(it, struct model, node);
		const struct local_model *conf = configured(s, m);

		next = it->next;
		end = it == last;
		if (m->retired)
			continue;
		if (conf && !all && model_same_child(m, conf)) {
			uv_mutex_lock(&e->lock);
			adopt_soft(m, conf);
			uv_mutex_unlock(&e->lock);
			if (conf->preload)
				model_demand(m);
			model_check(m);
		} else {
			replace(e, m, made);
		}
	}
	while (!list_empty(made)) {
		struct model *m = LIST_ENTRY(made->next, struct model, node);

		uv_mutex_lock(&e->lock);
		list_remove(&m->node);
		list_append(&e->models, &m->node);
		uv_mutex_unlock(&e->lock);
		e->open_models++;
		if (m->conf.preload)
			model_demand(m);
	}
}

int engine_apply(struct engine *e, const struct snapshot *s, struct err *reterr)
{
	struct str old = str_from(e->engine_path);
	bool all = !str_eq(old, s->engine_path);
	char *path = NULL;
	struct list made;
	int rc;

	list_init(&made);
	if (s->engine_path.len > 0) {
		path = strndup(s->engine_path.ptr, s->engine_path.len);
		if (!path)
			return err_set(reterr, RC_NOMEM, "out of memory");
	}
	rc = make_new(e, s, all, &made, reterr);
	if (rc < 0) {
		LIST_EACH_SAFE (&made, it, next)
			model_drop(LIST_ENTRY(it, struct model, node));
		free(path);
		return rc;
	}
	free(e->engine_path);
	e->engine_path = path;
	commit(e, s, all, &made);
	return RC_OK;
}

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

static void on_retry(struct deadline *d)
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

/* --- status --- */

const char *engine_state_name(enum engine_state s)
{
	static const char *const names[] = {
		[ENGINE_STOPPED] = "stopped",   [ENGINE_STARTING] = "starting",
		[ENGINE_READY] = "ready",       [ENGINE_RESTARTING] = "restarting",
		[ENGINE_FAILED] = "failed",     [ENGINE_MISSING] = "missing",
		[ENGINE_STOPPING] = "stopping",
	};

	return names[s];
}

/* As model.c decides on it, without asking for it. */
static int64_t idle_left(const struct model *m, uint64_t now_ms)
{
	uint64_t end_ms = model_idle_at(m);

	if (end_ms == MODEL_STAYS)
		return -1;
	if (m->leases > 0)
		return (int64_t)model_idle_ms(m);
	return end_ms > now_ms ? (int64_t)(end_ms - now_ms) : 0;
}

static bool status_fill(struct arena *a, const struct model *m, uint64_t now_ms,
			struct engine_model_status *ret)
{
	bool says = m->state == ENGINE_FAILED || m->state == ENGINE_MISSING;

	*ret = (struct engine_model_status){
		.account = arena_dup(a, m->account),
		.model = arena_dup(a, m->conf.name),
		.state = m->state,
		.pid = m->pid,
		.restarts = m->restarts,
		.leases = m->leases,
		.waits = m->n_waits,
		.since_ms = now_ms > m->since_ms ? now_ms - m->since_ms : 0,
		.idle_left_ms = idle_left(m, now_ms),
		.message = says ? arena_dup(a, str_from(m->message)) : STR_NONE,
	};
	return ret->account.ptr && ret->model.ptr && (!says || ret->message.ptr);
}

int engine_status(struct engine *e, struct arena *a, struct engine_model_status **ret,
		  unsigned *ret_n)
{
	struct engine_model_status *rows = NULL;
	uint64_t now_ms = clock_mono_ms();
	unsigned n = 0, max = 0;
	bool ok = true;

	uv_mutex_lock(&e->lock);
	LIST_EACH (&e->models, it)
		max++;
	rows = arena_array(a, max ? max : 1, sizeof(*rows));
	ok = rows != NULL;
	LIST_EACH (&e->models, it) {
		const struct model *m = LIST_ENTRY(it, struct model, node);

		if (ok && !m->retired)
			ok = status_fill(a, m, now_ms, &rows[n++]);
	}
	uv_mutex_unlock(&e->lock);
	if (!ok)
		return RC_NOMEM;
	*ret = rows;
	*ret_n = n;
	return RC_OK;
}
