/* engine/priv.h - what engine.c (the table), lease.c and model.c (one model's life) with launch.c and probe.c share. Internal to engine/.
 *
 * Who may touch what: members marked [lock] are read and written under engine->lock, by any thread; everything else
 * belongs to the control thread. A member that only the control thread writes may be read there without the lock.
 *
 * Lives: the engine is counted (its owner, each wait, each lease). A model lives until it is retired, its child reaped
 * and its leases back; at engine_close() it stays, childless, as long as a lease points at it.
 */
#ifndef GW_ENGINE_PRIV_H
#define GW_ENGINE_PRIV_H

#include <stdatomic.h>

#include "base/list.h"
#include "engine/child.h"
#include "engine/engine.h"
#include "engine/rundir.h"
#include "http/client.h"

enum { ENGINE_MESSAGE = 768, MODEL_EXTRA_ENV = 4 };

struct engine {
	atomic_uint refs;
	struct engine_options o; /* defaults filled in; strings point below */
	char *shim;
	struct loop *loop;
	struct http_client *http; /* health probes */
	struct rundir dir;
	uv_mutex_t lock;
	struct list models; /* [lock] for changes and for other threads */
	bool closing;       /* [lock] */
	bool check_posted;  /* [lock] a sweep of leases that came back is under way */
	char *engine_path;  /* as configured; NULL: searched for */
	unsigned next_seq;
	unsigned open_models;    /* whose timers are not closed yet */
	struct list undelivered; /* answered waits that loop_post() had no memory for */
	struct deadline retry;
	void (*closed)(void *user);
	void *closed_user;
};

#define MODEL_STAYS UINT64_MAX

struct model {
	struct list node;
	struct engine *e;
	struct arena *arena; /* account, conf */
	struct str account;
	struct local_model conf;
	unsigned seq, generation;

	enum engine_state state;  /* [lock] */
	uint64_t since_ms;        /* [lock] clock_mono_ms() of the last change of state */
	bool retired;             /* [lock] gives no new leases */
	unsigned leases, n_waits; /* [lock] */
	unsigned restarts;        /* [lock] */
	int pid;                  /* [lock] */
	uint64_t last_used_ms;    /* [lock] when the last lease came back, or ready */
	bool kept;        /* [lock] a request said how long it stays, until it is stopped: */
	uint64_t keep_ms; /* [lock] so long; MODEL_STAYS */
	char message[ENGINE_MESSAGE]; /* [lock] why FAILED or MISSING */
	char path[SOCKET_PATH];       /* [lock] of the current child */
	atomic_uint touched; /* bytes that came under leases: only that it changes matters */

	struct child *child;
	struct http_call *probe;
	struct origin origin; /* for probes; slices of path */
	bool probe_good;
	struct deadline tick;    /* the next thing to do in this state */
	struct deadline wait_by; /* the next wait to give up on */
	struct list waits;
	unsigned failures; /* since it was last ready for long enough: the back-off's exponent */
	unsigned start_failures; /* in a row */
	unsigned probe_failures, probes;
	unsigned touched_seen;
	uint64_t next_probe_ms;
	uint64_t retry_at_ms;   /* FAILED: not before */
	const char *killed_why; /* we killed it ourselves; NULL */
	unsigned open_timers;
	bool ended;
};

enum wait_state { WAIT_QUEUED, WAIT_ANSWERED, WAIT_OVER };

struct engine_wait {
	struct list node; /* in model->waits or engine->undelivered */
	atomic_uint refs; /* the way to the answer; a cancellation under way */
	struct engine *e;
	struct model *model; /* control: queued at; NULL */
	struct loop *loop;
	char *account, *name;
	uint64_t until_ms;
	void (*done)(void *user, struct engine_lease *lease, const struct ir_error *error);
	void *user;
	enum wait_state state;      /* [lock] */
	struct engine_lease *lease; /* made in advance; given away when granted */
	bool granted;               /* [lock] */
	struct ir_error error;
	char message[ENGINE_MESSAGE];
};

/* --- engine.c --- */

struct engine *engine_ref(struct engine *e);
void engine_unref(struct engine *e);
/* The model not retired under that name; NULL. Under the lock, or on the control thread. */
struct model *engine_find_model(struct engine *e, struct str account, struct str name);
/* A model's timers are closed; it is freed here, or stays for its leases. */
void engine_model_ended(struct model *m);

/* --- lease.c --- */

/* engine->retry: sends the answers that loop_post() had no memory for. */
void engine_deliver_late(struct deadline *d);
/* Fills the lease of a READY model and counts it. Under the lock. */
void lease_grant(struct engine_lease *lease, struct model *m);
/* Answer a wait that is in no list any more; control thread. */
void wait_answer_ready(struct engine_wait *w, struct model *m);
void wait_answer_error(struct engine_wait *w, enum ir_error_kind kind, int64_t retry_after_ms,
		       const char *message);

/* --- model.c: control thread --- */

struct model *model_new(struct engine *e, struct str account, const struct local_model *conf);
/* For a model that never entered the table. */
void model_drop(struct model *m);
bool model_same_child(const struct model *m, const struct local_model *conf);
/* After so long without a lease it is stopped; MODEL_STAYS. Under the lock. */
uint64_t model_idle_ms(const struct model *m);
/* When that will be, if nobody asks; MODEL_STAYS. Under the lock. */
uint64_t model_idle_at(const struct model *m);
/* Starts it, unless it runs, waits for its back-off, or is retired. */
void model_demand(struct model *m);
void model_enter(struct model *m, struct engine_wait *w);
void model_leave(struct model *m, struct engine_wait *w);
/* No new leases; `heir` (or NULL) takes over its waits. Stops when its leases are back. */
void model_retire(struct model *m, struct model *heir);
/* Leases came back, or the configuration of idleness changed. */
void model_check(struct model *m);
/* engine_close(): stop whatever leases are out. */
void model_close(struct model *m);
/* The child's end, however it came about (child_options.on_exit). */
void model_on_exit(void *user, int64_t status, int signal);
/* A probe's result: 200 or not. */
void model_probed(struct model *m, bool good);

/* --- launch.c: control thread --- */

/* A new child on a socket of its own, m->path and m->origin; NULL with what is wrong in `reterr`. */
struct child *model_launch(struct model *m, struct str program, struct err *reterr);

/* --- probe.c: control thread --- */

/* Asks the child, unless a probe is under way; model_probed() hears the result, perhaps at once. */
void model_probe(struct model *m);
void model_probe_cancel(struct model *m);

#endif
