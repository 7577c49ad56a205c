/* store/store.h - durable state: turns of conversations that outlive the request that made them.
 *
 * A turn is one answer and what was asked for it; a chain is a turn and all before it. A turn that another continues
 * is kept, though no longer shown, as long as that other lives: a conversation does not lose its beginning to the clock.
 *
 * All calls are asynchronous and may come from any loop's thread: they go through a bounded queue to the one thread
 * that owns the backend (store/backend.h), and the answer comes back to the caller's loop. The order of calls is kept.
 * What a call hands in is copied.
 */
#ifndef GW_STORE_STORE_H
#define GW_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

struct store;
struct store_call; /* one call whose answer is awaited */

struct stored_turn {
	struct str id;       /* unique over all owners */
	struct str owner;    /* who may see it; "" where nobody is told apart */
	struct str previous; /* the turn it continues; absent: none */
	int64_t created_s;   /* wall clock, as the next two */
	int64_t expires_s;   /* not shown from then on */
	/* Of an unfinished one: it is lost when nobody moved this on; 0: finished. Of one whose process is gone it is past at once. */
	int64_t alive_until_s;
	bool ends; /* put: takes the place of an unfinished one only; RC_NOTFOUND when there is none any more */
	struct str
		maker; /* the account whose own answer it is, ids and all; absent: it was made here */
	struct str answer; /* JSON: the resource */
	struct str input;  /* JSON: what this turn added: a text or a list of items */
	struct str events; /* the stream's text, to be resumed; absent: not kept */
};

struct store_options {
	struct str path;   /* the SQLite file; absent: memory only */
	size_t max_bytes;  /* of all that is kept; above it the oldest goes */
	size_t max_queued; /* bytes of calls that wait; above it calls are refused */
	uint64_t sweep_ms; /* between two looks for what has expired; 0: 30 s */
};

/* Opens the backend (blocks: at start-up only) and starts the thread. NULL and reterr when it cannot be used. */
struct store *store_open(const struct store_options *o, struct err *reterr) MUST_CHECK;
/* Carries out what is queued and ends the thread; calls from now on are refused with RC_CLOSED. The answers come to their
 * loops before those end: so stop the store before its users, and close it after them. NULL is a no-op. */
void store_stop(struct store *s);
/* Stops, and frees. NULL is a no-op. */
void store_close(struct store *s);
/* "sqlite" or "memory". */
const char *store_kind(const struct store *s);

struct store_answer {
	int rc; /* RC_OK; RC_NOTFOUND: no such turn, or another's; RC_IO, RC_NOMEM, RC_TOOBIG: see err */
	struct err err;
	struct stored_turn *
		turns; /* get: one; chain: oldest first, find: in any order, both without events. They live until the callback returns. */
	unsigned n;
};
typedef void (*store_done)(void *user, const struct store_answer *a);

/* Who wants the answer; `done` runs once on `loop`, never inside the call. */
struct store_wish {
	struct loop *loop;
	store_done done;
	void *user;
};

/* All of these: RC_OK when the call is queued, RC_NOMEM, RC_CLOSED, or RC_TOOBIG when too much waits already. `wish` may be NULL where
 * nobody waits; a failure is then logged. *ret (may be NULL) is for store_cancel(). */

/* Adds or replaces. When the answer comes it is kept, whatever becomes of the process; an unfinished turn, and what ends it, also
 * whatever becomes of the machine: its id is given away before there is anything else of it, and how it ended is told as the store
 * has it. */
int store_put(struct store *s, const struct stored_turn *t, const struct store_wish *wish,
	      struct store_call **ret) MUST_CHECK;
/* Moves alive_until_s of an unfinished turn on, and expires_s at least as far: what is still made is shown, and what it continues is
 * kept. RC_NOTFOUND in the answer: it is none any more, somebody else ended or removed it. */
int store_beat(struct store *s, struct str owner, struct str id, int64_t alive_until_s,
	       const struct store_wish *wish, struct store_call **ret) MUST_CHECK;
int store_get(struct store *s, struct str owner, struct str id, const struct store_wish *wish,
	      struct store_call **ret) MUST_CHECK;
/* The turn and all before it. RC_TOOBIG in the answer: together they are longer than max_bytes. RC_NOTFOUND also when
 * one of those before is gone. */
int store_chain(struct store *s, struct str owner, struct str id, size_t max_bytes,
		const struct store_wish *wish, struct store_call **ret) MUST_CHECK;
/* For each of `ids` a turn that has an item of that id, the one that made it before all others and the newest of equals; else
 * the turn whose own id it is. Each turn once, in any order; an id may have none. RC_TOOBIG in the answer: together they are longer
 * than max_bytes. */
int store_find(struct store *s, struct str owner, const struct str *ids, unsigned n,
	       size_t max_bytes, const struct store_wish *wish, struct store_call **ret) MUST_CHECK;
/* Not shown from now on; its bytes go when no other turn continues it. */
int store_remove(struct store *s, struct str owner, struct str id, const struct store_wish *wish,
		 struct store_call **ret) MUST_CHECK;

/* The answer is not wanted any more: `done` will not run. From the wish's own loop, before `done` ran. */
void store_cancel(struct store_call *c);

#endif
