/* engine/engine.c - the table of local models: what the configuration says of them, and how they are. */
#include "engine/engine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/priv.h"

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
	deadline_init(&e->retry, e->loop, engine_deliver_late);
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
