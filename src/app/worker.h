/* app/worker.h - one worker: a thread with its own loop, listener, upstream pools and exchanges.
 *
 * All functions are for the control thread; they reach the worker through loop_post().
 */
#ifndef GW_APP_WORKER_H
#define GW_APP_WORKER_H

#include <stdbool.h>

#include "app/catalog.h"
#include "base/err.h"
#include "conf/snapshot.h"

struct engine;
struct health_table;
struct job_table;
struct proof_memory;
struct store;
struct worker;

struct worker_options {
	struct snapshot *snapshot;
	struct engine *engine;
	struct health_table *health;
	struct proof_memory *proofs;
	struct store *store; /* NULL: nothing is kept */
	struct job_table *jobs;
	struct loop *control;
	/* On the control loop: nothing is left of the worker's traffic after worker_drain() or worker_cut(). */
	void (*drained)(void *user);
	void *user;
};

/* Starts the thread and its listener; waits until it listens or cannot. */
struct worker *worker_start(const struct worker_options *o, struct err *reterr) MUST_CHECK;
/* For requests that come from now on. RC_NOMEM: the worker keeps the old one. */
int worker_set_snapshot(struct worker *w, struct snapshot *s) MUST_CHECK;
int worker_set_catalog(struct worker *w, struct catalog_box *c) MUST_CHECK;
/* No new connections; requests under way finish; then `drained`. */
void worker_drain(struct worker *w);
/* Ends what is left with its dialect's terminal error; then `drained`. */
void worker_cut(struct worker *w);
/* After `drained`: ends the thread, waits for it, frees. */
void worker_stop(struct worker *w);

#endif
