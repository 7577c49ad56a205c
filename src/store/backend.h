/* store/backend.h - what a place to keep turns in must do; for the files of store/ alone.
 *
 * To add one: a file here with a `const struct store_backend`, a line in store.c's choice, and the shared tests of
 * tests/unit/store run on it. All functions run on the store's one thread, so they may block; none may log. Two
 * processes may work on the same state at once (a takeover), so what is said about one turn must happen at once.
 *
 * A turn has two ends: `expires_s`, from which on it is not shown, and `keep_s`, up to which another turn needs it. put
 * moves keep_s of all turns before it to its own expiry, unless theirs is later.
 */
#ifndef GW_STORE_BACKEND_H
#define GW_STORE_BACKEND_H

#include <stdbool.h>

#include "base/arena.h"
#include "store/store.h"

struct store_key {
	struct str owner, id;
	int64_t now_s; /* what has expired by then is not found */
};

/* Ids that are looked for. */
struct store_ids {
	const struct str *ids;
	unsigned n;
};
/* Room for one more in a list that grows. */
bool store_turns_grow(struct arena *a, struct stored_turn **io, unsigned n, unsigned *io_cap);
bool store_turns_have(const struct stored_turn *turns, unsigned n, struct str id);

/* The longest chain: more turns than anybody talks, and a bound for one that leads into itself. */
enum { STORE_CHAIN_MAX = 4096 };

/* RC_OK, RC_NOTFOUND, or RC_IO, RC_NOMEM, RC_TOOBIG with reterr. */
struct store_backend {
	const char *name;
	int (*open)(const struct store_options *o, void **ret, struct err *reterr);
	void (*close)(void *b);
	/* MAY be NULL, both: what stands between them is made to last at once, or not at all; a call of its own that fails
	 * undoes only itself. Cheaper than each for itself. `outlasts`: what was put must also be there when the machine fails
	 * right after end(), and not only the process. */
	int (*begin)(void *b, bool outlasts, struct err *reterr);
	int (*end)(void *b, struct err *reterr);
	/* Adds or replaces; makes room by dropping what expires first. RC_TOOBIG: it alone is too much. RC_INVALID: the id
	 * is another owner's. RC_NOTFOUND: it ends one (t->ends) that is not there or has ended. */
	int (*put)(void *b, const struct stored_turn *t, struct err *reterr);
	/* RC_NOTFOUND: it is no unfinished turn. */
	int (*beat)(void *b, const struct store_key *k, int64_t alive_until_s, struct err *reterr);
	int (*get)(void *b, const struct store_key *k, struct arena *a, struct stored_turn *ret,
		   struct err *reterr);
	/* Oldest first, .events absent. */
	int (*chain)(void *b, const struct store_key *k, size_t max_bytes, struct arena *a,
		     struct stored_turn **ret, unsigned *ret_n, struct err *reterr);
	/* As store_find(), by an index of the items' ids (store/items.h) that is kept with every put and lost with its turn.
	 * k->id absent, .events absent. */
	int (*find)(void *b, const struct store_key *k, const struct store_ids *ids,
		    size_t max_bytes, struct arena *a, struct stored_turn **ret, unsigned *ret_n,
		    struct err *reterr);
	int (*remove)(void *b, const struct store_key *k, struct err *reterr);
	/* Drops what is neither shown nor needed. */
	int (*sweep)(void *b, int64_t now_s, struct err *reterr);
};

extern const struct store_backend store_memory, store_sqlite;

static inline size_t store_turn_bytes(const struct stored_turn *t)
{
	return t->id.len + t->owner.len + t->previous.len + t->maker.len + t->answer.len +
	       t->input.len + t->events.len + 128;
}

#endif
