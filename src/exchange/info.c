/* exchange/info.c - what the gateway answers itself in a protocol's own words: what is known of a model, which of ours are in
 * memory, and requests that only have a model loaded. */
#include "exchange/exchange_impl.h"

#include "base/clock.h"
#include "engine/engine.h"

#ifndef GW_VERSION
#define GW_VERSION "dev"
#endif

enum { INFO_MAX = 16 * 1024 * 1024 };

/* A local model on its way into memory; in the exchange's arena. */
struct load {
	struct exchange *x;
	struct engine_wait *waiting;
};

static void no_memory(struct exchange *x)
{
	struct ir_error e = { .kind = IR_ERR_UNAVAILABLE,
			      .message = STR("The gateway is out of memory for this request."),
			      .retry_after_ms = -1 };

	answer_error(x, &e, "refused");
}

static void note_running(struct model_info *model, const struct engine_model_status *status)
{
	model->running = true;
	model->idle_left_s = status->idle_left_ms < 0 ? -1 : status->idle_left_ms / 1000;
}

static void mark_running(struct exchange *x, struct model_info *models, unsigned n)
{
	struct engine_model_status *rows;
	unsigned n_rows;

	if (!x->env->engine || engine_status(x->env->engine, x->arena, &rows, &n_rows) != RC_OK)
		return;
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < n_rows; k++)
			if (rows[k].state == ENGINE_READY && str_eq(rows[k].model, models[i].id) &&
			    str_eq(rows[k].account, models[i].owner))
				note_running(&models[i], &rows[k]);
}

static void not_found(struct exchange *x)
{
	struct ir_error e = { .kind = IR_ERR_MODEL_NOT_FOUND, .retry_after_ms = -1 };

	e.message = arena_printf(x->arena, "model '%.*s' not found", STR_ARG(x->peek.model));
	e.code = STR("model_not_found");
	answer_error(x, &e, "refused");
}

void answer_info(struct exchange *x)
{
	struct info_facts f = { .line = &x->match.line,
				.model = x->peek.model,
				.now_s = clock_wall_s(),
				.version = GW_VERSION };
	struct model_info *models;
	struct buf body;
	bool found;

	if (routing_models(x->snapshot, x->env->catalog, &x->principal, x->arena, &models,
			   &f.n_models) != RC_OK) {
		no_memory(x);
		return;
	}
	mark_running(x, models, f.n_models);
	f.models = models;
	buf_init(&body, INFO_MAX);
	found = x->match.protocol->encode_info(&f, &body);
	if (!buf_ok(&body))
		no_memory(x);
	else if (found)
		answer_whole(x, 200, STR("application/json; charset=utf-8"), buf_str(&body), false,
			     "ok");
	else
		not_found(x);
	buf_done(&body);
}

/* --- loading --- */

static void loaded(struct exchange *x)
{
	struct info_facts f = { .line = &x->match.line,
				.model = x->peek.model,
				.load = x->peek.load,
				.now_s = clock_wall_s(),
				.version = GW_VERSION };
	struct str type = x->peek.stream ? STR("application/x-ndjson")
					 : STR("application/json; charset=utf-8");
	struct buf body;

	buf_init(&body, INFO_MAX);
	(void)x->match.protocol->encode_info(&f, &body);
	if (buf_ok(&body))
		answer_whole(x, 200, type, buf_str(&body), false, "ok");
	else
		no_memory(x);
	buf_done(&body);
}

static void let_go(struct exchange *x, struct engine_lease *lease)
{
	int64_t keep_ms;

	if (forward_keeps(x, x->target, &keep_ms))
		engine_keep(lease, keep_ms);
	engine_release(lease);
}

static void leased(void *user, struct engine_lease *lease, const struct ir_error *error)
{
	struct load *l = user;

	l->waiting = NULL;
	if (lease)
		let_go(l->x, lease);
	if (lease)
		loaded(l->x);
	else
		answer_error(l->x, error, "upstream_error");
}

void load_cancel(struct exchange *x)
{
	struct load *l = x->loading;

	x->loading = NULL;
	if (l && l->waiting)
		engine_acquire_cancel(l->waiting);
}

/* Whether one client may unload what others use too is the operator's to say; the engine does it when all are done. */
void answer_load(struct exchange *x)
{
	const struct target *t = &x->route.targets[0];
	struct load *l = arena_alloc(x->arena, sizeof(*l));
	struct engine_acquire_options o = {
		.account = t->account->name,
		.model = t->model,
		.loop = x->env->loop,
		.done = leased,
		.user = l,
	};
	struct engine_lease *lease;
	int64_t keep_ms;
	int rc;

	x->target = t;
	if (!l) {
		no_memory(x);
		return;
	}
	if (!t->local || !x->env->engine) {
		loaded(x);
		return;
	}
	if (str_eq(x->peek.load, STR("unload"))) {
		if (forward_keeps(x, t, &keep_ms))
			engine_unload(x->env->engine, o.account, o.model);
		loaded(x);
		return;
	}
	l->x = x;
	x->loading = l;
	rc = engine_acquire(x->env->engine, &o, &lease, &l->waiting);
	if (rc < 0) {
		no_memory(x);
	} else if (rc > 0) {
		let_go(x, lease);
		loaded(x);
	}
}
