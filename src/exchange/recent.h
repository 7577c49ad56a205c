/* exchange/recent.h - the turns that one connection remembers, whether they are stored or not.
 *
 *	shown:  one --> two --> four        what the client may continue, oldest first
 *	         \-- three <----/           a turn is kept as long as it is shown or one that is kept continues it
 *
 * A turn knows the one before it, so a long conversation is held once, however many of its answers are shown. All of it
 * belongs to one loop. Unlike the store, nothing here has an owner or a time: it ends with the connection.
 */
#ifndef GW_EXCHANGE_RECENT_H
#define GW_EXCHANGE_RECENT_H

#include "base/arena.h"
#include "base/list.h"
#include "store/items.h"
#include "store/store.h"

struct recent_turn; /* opaque, reference counted */

enum { RECENT_SHOWN_MAX = 64, RECENT_BUCKETS = 256 };

struct recent {
	struct list shown;
	unsigned n_shown;
	size_t bytes;       /* of all turns that are kept */
	size_t shown_bytes; /* of those that are shown, or that one of these continues */
	struct item_index items;
	struct list buckets[RECENT_BUCKETS];
};

void recent_init(struct recent *r);
/* Nothing is shown any more. References taken out may live on; `r` must too. */
void recent_clear(struct recent *r);

/* A turn that continues `before` (NULL: none), with one reference; copied, not shown. NULL when memory is out. */
struct recent_turn *recent_turn_new(struct recent *r, struct recent_turn *before,
				    const struct stored_turn *t);
/* The turns of a chain as the store gave them: the last one, as above. */
struct recent_turn *recent_turns_new(struct recent *r, const struct stored_turn *turns, unsigned n);
struct recent_turn *recent_ref(struct recent_turn *t);
struct recent_turn *recent_unref(struct recent_turn *t); /* NULL is a no-op; always NULL */

/* May be continued from now on, under its id; `by` says who showed it. More than RECENT_SHOWN_MAX turns, or more than `max_bytes` that
 * are kept for them, and the oldest are forgotten, but never this one. What only a reference holds takes none of that room. */
void recent_show(struct recent *r, struct recent_turn *t, const void *by, size_t max_bytes);
/* With one more reference; NULL: not shown. */
struct recent_turn *recent_find(struct recent *r, struct str id);
void recent_forget(struct recent *r, struct str id);
void recent_forget_shown_by(struct recent *r, struct str id, const void *by);
/* As store_find() does for one id, of all turns that are kept, shown or not. With one more reference; NULL: none has it. */
struct recent_turn *recent_find_item(struct recent *r, struct str id);
/* `t` alone, as slices of what is kept. */
struct stored_turn recent_turn_text(const struct recent_turn *t);

/* `t` and all before it, oldest first, as slices of what is kept. NULL when memory is out. */
struct stored_turn *recent_chain(const struct recent_turn *t, struct arena *a, unsigned *ret_n);

#endif
