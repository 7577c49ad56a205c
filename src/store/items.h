/* store/items.h - the items of turns by their ids: what an item_reference is found by.
 *
 * An item is of a turn's answer, which made it, or of its input, where the client may have said again what an earlier answer
 * made. So one id may stand in many turns, and where it was made is the better place to take the item from.
 *
 * The index holds what is kept in memory. Its entries belong to whoever adds them; nothing in it has an owner or a time.
 */
#ifndef GW_STORE_ITEMS_H
#define GW_STORE_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/str.h"
#include "store/store.h"

enum { TURN_IDS_MAX = 4096 };

struct item_id {
	struct str id;
	bool made; /* of the answer */
	const void *of;
};

/* How many ids its items have: each once, those of its answer first; .of absent. What cannot be read, or not within the
 * arena, has none; what comes after TURN_IDS_MAX has none either, so that what one turn costs has an end. */
unsigned turn_item_ids(struct arena *a, const struct stored_turn *t, struct item_id **ret);
/* What keeping them takes, as a bound. */
size_t item_ids_bytes(const struct item_id *ids, unsigned n);

struct item_index {
	struct list *buckets;
	unsigned n_buckets;
};

struct item_entry {
	struct list in_bucket;
	uint64_t hash;
	struct item_id item;
};
struct item_set; /* entries that come and go together; opaque */

/* `buckets` are the caller's. */
void item_index_init(struct item_index *x, struct list *buckets, unsigned n_buckets);
/* Copies the ids. NULL when memory is out. The set's end must come before that of the index. */
struct item_set *item_index_add(struct item_index *x, const struct item_id *ids, unsigned n)
	MUST_CHECK;
void item_set_free(struct item_set *s); /* NULL is a no-op */
/* The entries of that id, newest first: the first one after NULL; NULL: no more. */
const struct item_entry *item_index_next(const struct item_index *x, struct str id,
					 const struct item_entry *after);
/* The newest that made it, else the newest; NULL: none. */
const struct item_entry *item_index_best(const struct item_index *x, struct str id);

#endif
