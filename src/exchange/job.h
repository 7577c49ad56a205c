/* exchange/job.h - an answer that is made while nobody holds a connection for it.
 *
 *	runner (an exchange without a client) --job_buf/flush/end--> job --job_read--> any number of followers
 *
 * A job belongs to the process: its runner lives on one worker's loop, those who ask for it on any. The runner writes what a
 * client would get; the job cuts it into events and keeps them, until the end puts the answer into the store and the job is
 * forgotten. How it ended is told to nobody before the store has it: who asks then is answered by the store, and who follows gets the
 * last event when it is there.
 *
 * The hard thing is two threads: all that both touch is behind the job's lock, nobody is called while it is held, and a loop is only
 * posted to while something on it is registered here.
 */
#ifndef GW_EXCHANGE_JOB_H
#define GW_EXCHANGE_JOB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/str.h"
#include "loop/loop.h"
#include "store/store.h"

struct job;
struct job_table; /* all jobs of the process */

struct job_table *job_table_new(void);
/* No job may be under way. NULL is a no-op. */
void job_table_free(struct job_table *t);

struct job_options {
	struct store *store;
	struct stored_turn
		turn; /* id, owner, previous, input, times; .answer: the resource while it is queued */
	unsigned max_jobs; /* of the process */
	size_t max_bytes;  /* of the events */
	struct loop *loop; /* the runner's */
	/* Somebody wants it cancelled; on that loop, never inside a call. */
	void (*cancel)(void *runner);
	void *runner;
};

/* NULL and *reterr: RC_TOOBIG when there are too many, else RC_NOMEM. */
struct job *job_new(struct job_table *t, const struct job_options *o, enum rc *reterr) MUST_CHECK;
/* Puts it into the store as unfinished; before the wish has come true nobody may hear of it. As store_put(). */
int job_keep(struct job *j, const struct store_wish *wish, struct store_call **ret) MUST_CHECK;
/* It was not to be, and nobody has heard of it: it is forgotten here and in the store. Not once its runner runs. */
void job_drop(struct job *j);
struct job *job_ref(struct job *j);
struct job *job_unref(struct job *j); /* always NULL */

/* --- of the runner, on its loop --- */

/* Where it writes what a client would get. */
struct buf *job_buf(struct job *j);
/* Events that are whole become visible. */
void job_flush(struct job *j);
/* It still lives: tells the store, now and then. */
void job_beat(struct job *j);
/* Nothing more will come. What has no end of its own has failed: `error` is the body of an error answer, or absent. The runner is
 * not told of anything any more. */
void job_end(struct job *j, struct str error);

/* --- of anybody --- */

/* The owner's job of that id, with a reference; NULL: none is under way. */
struct job *job_find(struct job_table *t, struct str owner, struct str id);
/* The resource as it is before its end. Absent when memory is out. */
struct str job_resource(struct job *j, struct arena *a);
/* Ends it, unless it has ended; its runner is told. What became of it the store knows: a call of it that comes after this one finds that. */
void job_cancel(struct job *j);

struct job_follower {
	struct list node;
	struct loop *loop;
	void (*wake)(
		void *arg); /* posted to the loop with `arg`: there may be more to read. It calls job_woken() */
	void *arg;
	bool woken; /* a post is on its way: there is at most one */
};
void job_follow(struct job *j, struct job_follower *f);
void job_woken(struct job *j, struct job_follower *f);
/* No post begins after this. True: one has, and still arrives. */
bool job_unfollow(struct job *j, struct job_follower *f);
/* A place in the events. */
struct job_cursor {
	uint64_t from; /* events of a smaller sequence_number are left out */
	size_t next;   /* starts as 0 */
};
enum job_rest {
	JOB_WAIT, /* all is read that is there: `wake` comes */
	JOB_MORE, /* there is more; no `wake` comes for it, but for job_rouse() */
	JOB_OVER  /* it has ended and all is read */
};
/* Appends events until `out` holds `enough` bytes, and moves on. */
enum job_rest job_read(struct job *j, struct job_cursor *c, size_t enough, struct buf *out);
/* `wake` comes, in a later turn of the loop. */
void job_rouse(struct job *j, struct job_follower *f);
/* The sequence_number of an event; `otherwise` when it has none. */
uint64_t job_event_number(struct str data, uint64_t otherwise);
/* `resource` as the one event that says how a response ended, into `out`; nothing where the protocol has none for that end. */
void job_put_end_event(struct buf *out, struct arena *a, struct str resource, uint64_t number);

#endif
