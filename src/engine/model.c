/* engine/model.c - the life of one local model: start, probe, restart, unload.
 *
 * The hard thing is that four things may end a child (itself, a probe that finds it hung, idleness, a reload) and that all
 * of them come back as one event, its exit; what is done then depends only on the state the model was put into
 * before. So the state changes in one function, set_state(), and exits are handled in one, on_exit().
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/find.h"
#include "engine/priv.h"

enum { START_FAILURES = 2, PROBE_SLOWEST = 10, TAIL_IN_MESSAGE = 6 };

static void on_tick(struct deadline *d);
static void on_wait_by(struct deadline *d);
static void set_ready(struct model *m);

/* --- making and ending --- */

static bool copy_args(struct arena *a, struct local_model *to, const struct local_model *from)
{
	to->extra_args = arena_array(a, from->n_extra_args ? from->n_extra_args : 1,
				     sizeof(*to->extra_args));
	if (!to->extra_args)
		return false;
	for (unsigned i = 0; i < from->n_extra_args; i++) {
		to->extra_args[i] = arena_dup(a, from->extra_args[i]);
		if (!to->extra_args[i].ptr)
			return false;
	}
	return true;
}

struct model *model_new(struct engine *e, struct str account, const struct local_model *conf)
{
	struct model *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	list_init(&m->node);
	list_init(&m->waits);
	m->e = e;
	m->seq = e->next_seq++;
	m->since_ms = clock_mono_ms();
	m->arena = arena_new(256 * 1024);
	m->conf = *conf;
	if (m->arena) {
		m->account = arena_dup(m->arena, account);
		m->conf.name = arena_dup(m->arena, conf->name);
		m->conf.path = arena_dup(m->arena, conf->path);
	}
	if (!m->arena || !m->account.ptr || !m->conf.name.ptr || !m->conf.path.ptr ||
	    !copy_args(m->arena, &m->conf, conf)) {
		arena_free(m->arena);
		free(m);
		return NULL;
	}
	return m;
}

void model_drop(struct model *m)
{
	list_remove(&m->node);
	arena_free(m->arena);
	free(m);
}

bool model_same_child(const struct model *m, const struct local_model *conf)
{
	const struct local_model *c = &m->conf;

	if (!str_eq(c->path, conf->path) || c->context != conf->context ||
	    c->threads != conf->threads || c->parallel != conf->parallel ||
	    c->embeddings != conf->embeddings || c->n_extra_args != conf->n_extra_args)
		return false;
	for (unsigned i = 0; i < c->n_extra_args; i++) {
		if (!str_eq(c->extra_args[i], conf->extra_args[i]))
			return false;
	}
	return true;
}

static void timers_open(struct model *m)
{
	if (m->open_timers)
		return;
	deadline_init(&m->tick, m->e->loop, on_tick);
	deadline_init(&m->wait_by, m->e->loop, on_wait_by);
	m->open_timers = 2;
}

static void timer_closed(struct model *m)
{
	if (--m->open_timers == 0)
		engine_model_ended(m);
}

static void on_tick_closed(struct deadline *d)
{
	timer_closed(LIST_ENTRY(d, struct model, tick));
}

static void on_wait_by_closed(struct deadline *d)
{
	timer_closed(LIST_ENTRY(d, struct model, wait_by));
}

/* Nothing runs and nobody waits: the end, once its timers are closed. */
static void model_end(struct model *m)
{
	assert(!m->child && list_empty(&m->waits));
	if (m->ended)
		return;
	m->ended = true;
	timers_open(m);
	deadline_close(&m->tick, on_tick_closed);
	deadline_close(&m->wait_by, on_wait_by_closed);
}

/* --- state --- */

static void set_state(struct model *m, enum engine_state state, const char *message)
{
	uv_mutex_lock(&m->e->lock);
	m->state = state;
	m->since_ms = clock_mono_ms();
	m->pid = m->child ? child_pid(m->child) : 0;
	if (message)
		snprintf(m->message, sizeof(m->message), "%s", message);
	uv_mutex_unlock(&m->e->lock);
}

static void log_model(enum log_level level, const char *event, const char *msg,
		      const struct model *m)
{
	log_event(level, event, msg, LF_STR("provider", m->account), LF_STR("model", m->conf.name),
		  LF_INT("pid", m->pid), LF_CSTR("state", engine_state_name(m->state)));
}

static unsigned leases_out(struct model *m)
{
	unsigned n;

	uv_mutex_lock(&m->e->lock);
	n = m->leases;
	uv_mutex_unlock(&m->e->lock);
	return n;
}

static uint64_t backoff_ms(struct model *m)
{
	uint64_t ms = m->e->o.backoff_min_ms, max = m->e->o.backoff_max_ms;

	for (unsigned i = 1; i < m->failures && ms < max; i++)
		ms *= 2;
	return ms < max ? ms : max;
}

/* --- waits --- */

static struct engine_wait *take_wait(struct model *m, struct list *it)
{
	struct engine_wait *w = LIST_ENTRY(it, struct engine_wait, node);

	list_remove(&w->node);
	w->model = NULL;
	uv_mutex_lock(&m->e->lock);
	m->n_waits--;
	uv_mutex_unlock(&m->e->lock);
	return w;
}

static void queue_wait(struct model *m, struct engine_wait *w)
{
	w->model = m;
	list_append(&m->waits, &w->node);
	uv_mutex_lock(&m->e->lock);
	m->n_waits++;
	uv_mutex_unlock(&m->e->lock);
}

static void arm_wait_by(struct model *m)
{
	uint64_t now = clock_mono_ms(), first = UINT64_MAX;

	LIST_EACH (&m->waits, it) {
		struct engine_wait *w = LIST_ENTRY(it, struct engine_wait, node);

		if (w->until_ms < first)
			first = w->until_ms;
	}
	if (first == UINT64_MAX)
		deadline_clear(&m->wait_by);
	else
		deadline_set(&m->wait_by, first > now ? first - now : 0);
}

static void fail_waits(struct model *m, enum ir_error_kind kind, int64_t retry_after_ms,
		       const char *message)
{
	while (!list_empty(&m->waits))
		wait_answer_error(take_wait(m, m->waits.next), kind, retry_after_ms, message);
	arm_wait_by(m);
}

static void on_wait_by(struct deadline *d)
{
	struct model *m = LIST_ENTRY(d, struct model, wait_by);
	uint64_t now = clock_mono_ms();
	char text[ENGINE_MESSAGE];

	snprintf(text, sizeof(text),
		 "The local model \"%.*s\" is not ready yet (%s); try again in a few seconds.",
		 STR_ARG(m->conf.name), engine_state_name(m->state));
	LIST_EACH_SAFE (&m->waits, it, next) {
		if (LIST_ENTRY(it, struct engine_wait, node)->until_ms <= now)
			wait_answer_error(take_wait(m, it), IR_ERR_UNAVAILABLE, 5000, text);
	}
	arm_wait_by(m);
}

/* --- starting --- */

static void missing(struct model *m, const char *why)
{
	char text[ENGINE_MESSAGE];

	snprintf(text, sizeof(text), "The local model \"%.*s\" cannot run: %s.",
		 STR_ARG(m->conf.name), why);
	if (m->state != ENGINE_MISSING || strcmp(m->message, text) != 0)
		log_event(LOG_WARN, "engine.missing", text, LF_STR("provider", m->account));
	set_state(m, ENGINE_MISSING, text);
	fail_waits(m, IR_ERR_UNAVAILABLE, -1, text);
	if (m->conf.preload)
		deadline_set(&m->tick, m->e->o.backoff_max_ms);
}

static void start_failed(struct model *m, const char *why);

static void start(struct model *m)
{
	struct arena *a = arena_new(64 * 1024);
	struct err err = { .msg = "out of memory" };
	struct str program;
	char why[512];

	timers_open(m);
	if (!a || engine_find(a, str_from(m->e->engine_path), &program, &err) < 0) {
		missing(m, err.msg);
	} else if (access(m->conf.path.ptr, R_OK) != 0) {
		snprintf(why, sizeof(why),
			 "its file %s cannot be read (%s); correct `path`, or fetch the default "
			 "model with `make engine`",
			 m->conf.path.ptr, strerror(errno));
		missing(m, why);
	} else {
		m->killed_why = NULL;
		m->probes = m->probe_failures = 0;
		m->child = model_launch(m, program, &err);
		if (m->child) {
			set_state(m, ENGINE_STARTING, NULL);
			log_model(LOG_INFO, "engine.start", NULL, m);
			deadline_set(&m->tick, m->e->o.probe_ms);
		} else {
			start_failed(m, err.msg);
		}
	}
	arena_free(a);
}

static void restart_later(struct model *m)
{
	uv_mutex_lock(&m->e->lock);
	m->restarts++;
	uv_mutex_unlock(&m->e->lock);
	set_state(m, ENGINE_RESTARTING, NULL);
	deadline_set(&m->tick, backoff_ms(m));
}

static void start_failed(struct model *m, const char *why)
{
	char text[ENGINE_MESSAGE];

	m->failures++;
	if (++m->start_failures < START_FAILURES) {
		restart_later(m);
		return;
	}
	snprintf(text, sizeof(text), "The local model \"%.*s\" could not be started: %s",
		 STR_ARG(m->conf.name), why);
	log_model(LOG_ERROR, "engine.failed", text, m);
	set_state(m, ENGINE_FAILED, text);
	m->retry_at_ms = clock_mono_ms() + backoff_ms(m);
	fail_waits(m, IR_ERR_UNAVAILABLE, (int64_t)backoff_ms(m), text);
	deadline_set(&m->tick, backoff_ms(m));
}

void model_demand(struct model *m)
{
	if (m->retired || m->ended)
		return;
	if (m->state == ENGINE_STOPPED || m->state == ENGINE_MISSING ||
	    (m->state == ENGINE_FAILED && clock_mono_ms() >= m->retry_at_ms))
		start(m);
}

void model_enter(struct model *m, struct engine_wait *w)
{
	uint64_t now = clock_mono_ms();

	timers_open(m);
	if (m->state == ENGINE_READY) {
		wait_answer_ready(w, m);
		return;
	}
	if (m->state == ENGINE_FAILED && now < m->retry_at_ms) {
		wait_answer_error(w, IR_ERR_UNAVAILABLE, (int64_t)(m->retry_at_ms - now),
				  m->message);
		return;
	}
	queue_wait(m, w);
	arm_wait_by(m);
	model_demand(m); /* may already have answered it */
}

void model_leave(struct model *m, struct engine_wait *w)
{
	list_remove(&w->node);
	w->model = NULL;
	uv_mutex_lock(&m->e->lock);
	m->n_waits--;
	uv_mutex_unlock(&m->e->lock);
	arm_wait_by(m);
}

/* --- probing --- */

static void kill_child(struct model *m, const char *why)
{
	m->killed_why = why;
	log_model(LOG_WARN, "engine.kill", why, m);
	child_signal(m->child, SIGKILL);
}

uint64_t model_idle_ms(const struct model *m)
{
	if (m->kept)
		return m->keep_ms;
	return m->conf.idle_ms ? m->conf.idle_ms : MODEL_STAYS;
}

uint64_t model_idle_at(const struct model *m)
{
	uint64_t idle_ms = model_idle_ms(m);

	return idle_ms == MODEL_STAYS ? MODEL_STAYS : m->last_used_ms + idle_ms;
}

static void stop_child(struct model *m)
{
	set_state(m, ENGINE_STOPPING, NULL);
	child_signal(m->child, SIGTERM);
	deadline_set(&m->tick, m->e->o.stop_ms);
}

static void next_ready_tick(struct model *m)
{
	uint64_t now = clock_mono_ms(), at = m->next_probe_ms;

	uv_mutex_lock(&m->e->lock);
	if (m->leases == 0 && model_idle_at(m) < at)
		at = model_idle_at(m);
	uv_mutex_unlock(&m->e->lock);
	deadline_set(&m->tick, at > now ? at - now : 0);
}

void model_probed(struct model *m, bool good)
{
	unsigned touched = atomic_load_explicit(&m->touched, memory_order_relaxed);

	if (m->state == ENGINE_STARTING) {
		if (good) {
			set_ready(m);
			return;
		}
		m->probes++;
		deadline_set(&m->tick,
			     m->e->o.probe_ms *
				     (m->probes < PROBE_SLOWEST ? m->probes : PROBE_SLOWEST));
		return;
	}
	if (m->state != ENGINE_READY)
		return;
	if (good || touched != m->touched_seen)
		m->probe_failures =
			0; /* a busy child may be slow to answer us: its bytes are proof enough */
	else
		m->probe_failures++;
	m->touched_seen = touched;
	m->next_probe_ms = clock_mono_ms() + m->e->o.health_ms;
	if (m->probe_failures >= m->e->o.health_failures)
		kill_child(m, "it hung: its health endpoint did not answer");
	else
		next_ready_tick(m);
}

static void set_ready(struct model *m)
{
	uint64_t now = clock_mono_ms(), took = now - m->since_ms;

	m->start_failures = 0;
	uv_mutex_lock(&m->e->lock);
	m->last_used_ms = now;
	m->kept = false;
	uv_mutex_unlock(&m->e->lock);
	m->next_probe_ms = now + m->e->o.health_ms;
	set_state(m, ENGINE_READY, NULL);
	log_event(LOG_INFO, "engine.ready", NULL, LF_STR("provider", m->account),
		  LF_STR("model", m->conf.name), LF_INT("pid", child_pid(m->child)),
		  LF_INT("ms", took));
	while (!list_empty(&m->waits))
		wait_answer_ready(take_wait(m, m->waits.next), m);
	arm_wait_by(m);
	next_ready_tick(m);
}

/* --- what time brings --- */

/* Under one lock with the leases: no worker may take one between the look and the decision. */
static bool stop_if_unused(struct model *m, bool idle_only)
{
	bool stop, kept;

	uv_mutex_lock(&m->e->lock);
	kept = m->kept;
	stop = m->leases == 0 && (!idle_only || clock_mono_ms() >= model_idle_at(m));
	if (stop)
		m->state = ENGINE_STOPPING;
	uv_mutex_unlock(&m->e->lock);
	if (!stop)
		return false;
	log_model(LOG_INFO, "engine.stop",
		  !idle_only ? "no longer configured"
		  : kept     ? "not used for keep_alive"
			     : "not used for idle_timeout",
		  m);
	model_probe_cancel(m);
	stop_child(m);
	return true;
}

static void tick_ready(struct model *m)
{
	if (m->retired ? stop_if_unused(m, false) : stop_if_unused(m, true))
		return;
	if (clock_mono_ms() >= m->next_probe_ms)
		model_probe(m);
	else
		next_ready_tick(m);
}

static void on_tick(struct deadline *d)
{
	struct model *m = LIST_ENTRY(d, struct model, tick);

	switch (m->state) {
	case ENGINE_STARTING:
		if (clock_mono_ms() - m->since_ms < m->e->o.start_ms)
			model_probe(m);
		else
			kill_child(m, "it was not ready in time (start_timeout)");
		break;
	case ENGINE_READY:
		tick_ready(m);
		break;
	case ENGINE_RESTARTING:
		start(m);
		break;
	case ENGINE_FAILED:
	case ENGINE_MISSING:
		if (m->conf.preload)
			model_demand(m);
		break;
	case ENGINE_STOPPING:
		kill_child(m, "it did not end when told to");
		break;
	case ENGINE_STOPPED:
		break;
	}
}

/* --- the end of a child --- */

/* "llama-server was killed by signal 9 (it hung: ...). Its last words: a | b | c" */
static void death_message(struct model *m, int64_t status, int signal, char *out, size_t size)
{
	struct buf b;

	buf_init(&b, size - 1);
	if (signal)
		buf_printf(&b, "llama-server was ended by signal %d", signal);
	else
		buf_printf(&b, "llama-server ended with status %lld", (long long)status);
	if (m->killed_why)
		buf_printf(&b, " (%s)", m->killed_why);
	if (buf_ok(&b)) {
		struct buf words;

		buf_init(&words, CHILD_TAIL_LINES * CHILD_TAIL_WIDTH * 4);
		child_tail(m->child, TAIL_IN_MESSAGE, " | ", &words);
		if (buf_len(&words) > 0) {
			size_t room = size - 1 - buf_len(&b), n = buf_len(&words);
			struct str s = buf_str(&words);

			if (n + 20 > room) /* what comes last says most */
				s = str_from_offset(s, n + 20 - room);
			while (s.len > 0 && ((unsigned char)s.ptr[0] & 0xc0) == 0x80)
				s = str_from_offset(s, 1);
			buf_puts(&b, ". Its last words: ");
			buf_put(&b, s);
		}
		buf_done(&words);
	}
	snprintf(out, size, "%.*s", STR_ARG(buf_str(&b)));
	buf_done(&b);
}

static void after_stop(struct model *m)
{
	set_state(m, ENGINE_STOPPED, NULL);
	if (m->e->closing || (m->retired && leases_out(m) == 0))
		model_end(m);
	else if (!list_empty(&m->waits))
		model_demand(m);
}

static void crashed(struct model *m, const char *why)
{
	if (clock_mono_ms() - m->since_ms >= m->e->o.backoff_reset_ms)
		m->failures = 0;
	m->failures++;
	log_model(LOG_ERROR, "engine.exit", why, m);
	restart_later(m);
}

void model_on_exit(void *user, int64_t status, int signal)
{
	struct model *m = user;
	enum engine_state was = m->state;
	char why[ENGINE_MESSAGE - 128];

	death_message(m, status, signal, why, sizeof(why));
	model_probe_cancel(m);
	child_free(m->child, NULL, NULL);
	m->child = NULL;
	deadline_clear(&m->tick);
	(void)unlink(m->path);
	if (was == ENGINE_STOPPING || m->retired || m->e->closing)
		after_stop(m);
	else if (was == ENGINE_READY)
		crashed(m, why);
	else
		start_failed(m, why);
}

/* --- from engine.c --- */

void model_check(struct model *m)
{
	if (m->ended)
		return;
	if (!m->retired) {
		if (m->state == ENGINE_READY && !m->probe)
			tick_ready(m);
		return;
	}
	if (m->child) {
		if (m->state != ENGINE_STOPPING)
			(void)stop_if_unused(m, false);
	} else if (leases_out(m) == 0) {
		model_end(m);
	}
}

void model_retire(struct model *m, struct model *heir)
{
	char text[ENGINE_MESSAGE];

	uv_mutex_lock(&m->e->lock);
	m->retired = true;
	uv_mutex_unlock(&m->e->lock);
	if (heir) {
		timers_open(heir);
		while (!list_empty(&m->waits))
			queue_wait(heir, take_wait(m, m->waits.next));
		arm_wait_by(heir);
	}
	timers_open(m);
	if (!m->child) {
		deadline_clear(&m->tick);
		set_state(m, ENGINE_STOPPED, NULL);
	}
	snprintf(text, sizeof(text), "The local model \"%.*s\" was taken out of the configuration.",
		 STR_ARG(m->conf.name));
	fail_waits(m, IR_ERR_MODEL_NOT_FOUND, -1, text);
	model_check(m);
}

void model_close(struct model *m)
{
	timers_open(m);
	uv_mutex_lock(&m->e->lock);
	m->retired = true;
	uv_mutex_unlock(&m->e->lock);
	fail_waits(m, IR_ERR_UNAVAILABLE, -1, "The gateway is shutting down; try again later.");
	model_probe_cancel(m);
	if (!m->child) {
		deadline_clear(&m->tick);
		model_end(m);
	} else if (m->state != ENGINE_STOPPING) {
		stop_child(m);
	}
}
