/* engine/engine.h - the local engine: one supervised llama-server child per local model.
 *
 * The engine lives on the control loop: there children are spawned, watched, restarted and reaped. Workers only ask
 * for a lease. The hard thing is that line: a lease of a ready model is taken under a short lock without leaving the
 * worker; everything else (start on demand, back-off, failure) is asked of the control thread and answered
 * by loop_post() to the worker's loop.
 *
 *	stopped --demand, preload--> starting --/health 200--> ready --exit, hang--> restarting --back-off--> starting
 *	   ^ idle, removed              |  two starts in a row failed: failed; binary or model file not there: missing
 *	   +----------------------------+  (both are tried again: failed after its back-off, missing on the next demand)
 *
 * No child outlives the gateway, whatever ends it: see engine/shim.h.
 */
#ifndef GW_ENGINE_ENGINE_H
#define GW_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "conf/snapshot.h"
#include "ir/event.h"
#include "loop/loop.h"
#include "net/origin.h"

struct engine;
struct engine_wait; /* an acquire that was not answered at once */

/* The right to talk to one ready child. While it is out the child is not stopped for idleness, and a model that a
 * reload took away or changed keeps running. A child may still die: the call then fails as with any upstream. */
struct engine_lease {
	struct origin origin; /* plain HTTP on a Unix socket; valid until engine_release() */
	void *private_;
};

/* 0 means the default, in brackets. Copied. */
struct engine_options {
	struct loop *loop; /* MUST: the control loop. Its thread must live as long as the engine */
	const char
		*shim; /* the program whose first argument `engine-exec` leads to engine_shim_main()
				     * [this executable] */
	const char *
		runtime_dir; /* where the private socket directory is made [$XDG_RUNTIME_DIR, else /tmp] */
	uint64_t start_ms; /* from spawn to ready [120 s] */
	uint64_t stop_ms;  /* from SIGTERM to SIGKILL [5 s] */
	uint64_t probe_ms; /* first distance of probes of a starting child; grows to 10 x [50 ms] */
	uint64_t health_ms;         /* distance of probes of a ready child [5 s] */
	uint64_t health_timeout_ms; /* of one such probe [5 s] */
	unsigned
		health_failures; /* failed probes in a row, without a byte for any lease, that mean: hung [3] */
	uint64_t backoff_min_ms, backoff_max_ms; /* before a restart, doubling [250 ms, 30 s] */
	uint64_t backoff_reset_ms;               /* so long ready forgets earlier failures [60 s] */
};

/* On the control thread. Makes the private directory and sweeps those of gateways that died. NULL on failure. */
struct engine *engine_new(const struct engine_options *o, struct err *reterr) MUST_CHECK;

/* Takes over the local models of `s` (control thread; at start and at each reload). New models are started when they
 * are to be preloaded; a model that is gone or changed keeps serving the leases that are out, gives no new ones, and is then
 * stopped; a changed one is started anew (at once when preloaded or running). Copies what it
 * needs from `s`. RC_NOMEM: nothing was changed. */
int engine_apply(struct engine *e, const struct snapshot *s, struct err *reterr) MUST_CHECK;

/* SIGTERM to all children, SIGKILL after stop_ms, all reaped, the directory removed, then `done`. Waits are answered
 * UNAVAILABLE. Leases still out stay valid objects whose child is gone; all of them must be released and all waits
 * answered or cancelled before the workers' loops end. Control thread. */
void engine_close(struct engine *e, void (*done)(void *user), void *user);

/* --- for the workers: any thread --- */

struct engine_acquire_options {
	struct str account, model; /* account->name and the local_model's name */
	uint64_t wait_ms;          /* how long it may take to become ready; 0: start_ms */
	struct loop *loop;         /* MUST: the caller's own loop */
	/* On the caller's loop, never inside engine_acquire(): exactly one of `lease` and `error` is not NULL. The error
	 * is UNAVAILABLE (or MODEL_NOT_FOUND, or TIMEOUT), says what to do, and lives during the call only. */
	void (*done)(void *user, struct engine_lease *lease, const struct ir_error *error);
	void *user;
};

/* 1: ready, *ret_lease is yours and `done` will not come. 0: wait for `done`; *ret_wait can cancel it until then.
 * RC_NOMEM: neither. */
int engine_acquire(struct engine *e, const struct engine_acquire_options *o,
		   struct engine_lease **ret_lease, struct engine_wait **ret_wait) MUST_CHECK;

/* The caller lost interest: `done` will not come. Only from the loop that acquired, only before `done`. */
void engine_acquire_cancel(struct engine_wait *w);

/* Gives a lease back, once, when no call uses its origin any more; NULL is a no-op. Any thread. */
void engine_release(struct engine_lease *lease);

/* How long the model stays once all leases are back, until it is stopped or somebody says otherwise, instead of its idle time;
 * negative: for good. Any thread. */
void engine_keep(struct engine_lease *lease, int64_t keep_ms);

/* The same with 0, for a model that is ready; else nothing. It is stopped when nobody uses it any more. */
void engine_unload(struct engine *e, struct str account, struct str model);

/* Bytes came from the child under this lease: it is not hung, however busy. Cheap; once per read is right. */
void engine_touch(struct engine_lease *lease);

/* --- status, for /ready and the like: any thread --- */

enum engine_state {
	ENGINE_STOPPED,  /* not wanted now */
	ENGINE_STARTING, /* spawned, loading */
	ENGINE_READY,
	ENGINE_RESTARTING, /* died; waiting for its back-off */
	ENGINE_FAILED,     /* would not start */
	ENGINE_MISSING,    /* no llama-server, or no model file */
	ENGINE_STOPPING,   /* told to end */
};
const char *engine_state_name(enum engine_state s);

struct engine_model_status {
	struct str account, model;
	enum engine_state state;
	int64_t pid;       /* 0: none */
	unsigned restarts; /* since it is configured */
	unsigned leases, waits;
	uint64_t since_ms;    /* in this state, so long */
	int64_t idle_left_ms; /* READY: until it is stopped if nobody asks; -1: it is not */
	struct str message;   /* FAILED, MISSING: why and what to do; absent otherwise */
};

/* One row per configured model, in the arena. */
int engine_status(struct engine *e, struct arena *a, struct engine_model_status **ret,
		  unsigned *ret_n) MUST_CHECK;

#endif
