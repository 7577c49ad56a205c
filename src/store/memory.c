/* store/memory.c - turns in this process only: for tests, and where there is no folder to write to.
 *
 * A hash table by id, one by the ids of items, and a list by age for making room. Everything is lost with the process.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/list.h"
#include "store/backend.h"
#include "store/items.h"

enum { BUCKETS = 4096, SCRATCH_MAX = 1 << 30 };

struct kept {
	struct list in_bucket;
	struct list by_age;      /* oldest first */
	struct stored_turn turn; /* slices of what follows the struct */
	struct item_set *items;
	int64_t keep_s;
	size_t bytes;
};

struct memory {
	struct list buckets[BUCKETS], item_buckets[BUCKETS];
	struct item_index items;
	struct list ages;
	size_t bytes, max_bytes;
};

static struct list *bucket_of(struct memory *m, struct str id)
{
	return &m->buckets[hash_fnv(id) % BUCKETS];
}

static struct kept *find(struct memory *m, struct str id)
{
	LIST_EACH (bucket_of(m, id), it) {
		struct kept *k = LIST_ENTRY(it, struct kept, in_bucket);

		if (str_eq(k->turn.id, id))
			return k;
	}
	return NULL;
}

/* Shown to this owner now. */
static struct kept *find_shown(struct memory *m, const struct store_key *key)
{
	struct kept *k = find(m, key->id);

	return k && str_eq(k->turn.owner, key->owner) && k->turn.expires_s > key->now_s ? k : NULL;
}

static void kept_free(struct kept *k)
{
	item_set_free(k->items);
	free(k);
}

static void drop(struct memory *m, struct kept *k)
{
	m->bytes -= k->bytes;
	list_remove(&k->in_bucket);
	list_remove(&k->by_age);
	kept_free(k);
}

static int open_memory(const struct store_options *o, void **ret, struct err *reterr)
{
	struct memory *m = calloc(1, sizeof(*m));

	if (!m)
		return err_set(reterr, RC_NOMEM, "out of memory");
	for (unsigned i = 0; i < BUCKETS; i++)
		list_init(&m->buckets[i]);
	item_index_init(&m->items, m->item_buckets, BUCKETS);
	list_init(&m->ages);
	m->max_bytes = o->max_bytes;
	*ret = m;
	return RC_OK;
}

static void close_memory(void *b)
{
	struct memory *m = b;

	LIST_EACH_SAFE (&m->ages, it, tmp)
		drop(m, LIST_ENTRY(it, struct kept, by_age));
	free(m);
}

static struct str place(char **at, struct str s)
{
	struct str copy = { *at, s.len };

	if (!str_present(s))
		return s;
	if (s.len)
		memcpy(*at, s.ptr, s.len);
	*at += s.len;
	return copy;
}

static struct kept *copy_of(const struct stored_turn *t)
{
	struct kept *k = calloc(1, sizeof(*k) + store_turn_bytes(t));
	char *at = (char *)(k + 1);

	if (!k)
		return NULL;
	k->turn = *t;
	k->turn.id = place(&at, t->id);
	k->turn.owner = place(&at, t->owner);
	k->turn.previous = place(&at, t->previous);
	k->turn.maker = place(&at, t->maker);
	k->turn.answer = place(&at, t->answer);
	k->turn.input = place(&at, t->input);
	k->turn.events = place(&at, t->events);
	return k;
}

/* Its items are found from now on. */
static int index_items(struct memory *m, struct kept *k)
{
	struct arena *a = arena_new(SCRATCH_MAX);
	struct item_id *ids;

	if (a) {
		unsigned n = turn_item_ids(a, &k->turn, &ids);

		for (unsigned i = 0; i < n; i++)
			ids[i].of = k;
		k->bytes = store_turn_bytes(&k->turn) + item_ids_bytes(ids, n);
		k->items = item_index_add(&m->items, ids, n);
	}
	arena_free(a);
	return k->items ? RC_OK : RC_NOMEM;
}

/* As it would stand in the table; NULL when memory is out. */
static struct kept *kept_new(struct memory *m, const struct stored_turn *t)
{
	struct kept *k = copy_of(t);

	if (!k || index_items(m, k) == RC_OK)
		return k;
	free(k);
	return NULL;
}

static void keep_those_before(struct memory *m, struct str previous, int64_t until_s)
{
	for (unsigned n = 0; str_present(previous) && n < STORE_CHAIN_MAX; n++) {
		struct kept *k = find(m, previous);

		if (!k)
			return;
		if (k->keep_s < until_s)
			k->keep_s = until_s;
		previous = k->turn.previous;
	}
}

static int put(void *b, const struct stored_turn *t, struct err *reterr)
{
	struct memory *m = b;
	struct kept *old = find(m, t->id), *k;

	if (old && !str_eq(old->turn.owner, t->owner))
		return err_set(reterr, RC_INVALID, "the id is taken");
	if (t->ends && (!old || !old->turn.alive_until_s))
		return RC_NOTFOUND;
	k = kept_new(m, t);
	if (!k)
		return err_set(reterr, RC_NOMEM, "out of memory");
	if (k->bytes > m->max_bytes) {
		kept_free(k);
		return err_set(reterr, RC_TOOBIG, "one turn is longer than all that may be kept");
	}
	if (old) {
		k->keep_s = old->keep_s;
		drop(m, old);
	}
	while (m->bytes + k->bytes > m->max_bytes)
		drop(m, LIST_ENTRY(m->ages.next, struct kept, by_age));
	m->bytes += k->bytes;
	list_append(bucket_of(m, k->turn.id), &k->in_bucket);
	list_append(&m->ages, &k->by_age);
	keep_those_before(m, k->turn.previous, k->turn.expires_s);
	return RC_OK;
}

static int beat(void *b, const struct store_key *key, int64_t alive_until_s, struct err *reterr)
{
	struct kept *k = find(b, key->id);

	(void)reterr;
	if (!k || !str_eq(k->turn.owner, key->owner) || !k->turn.alive_until_s)
		return RC_NOTFOUND;
	k->turn.alive_until_s = alive_until_s;
	if (k->turn.expires_s < alive_until_s) {
		k->turn.expires_s = alive_until_s;
		keep_those_before(b, k->turn.previous, alive_until_s);
	}
	return RC_OK;
}

static int copy_out(const struct kept *k, struct arena *a, struct stored_turn *ret)
{
	*ret = k->turn;
	ret->id = arena_dup(a, k->turn.id);
	ret->owner = arena_dup(a, k->turn.owner);
	ret->previous = arena_dup(a, k->turn.previous);
	ret->maker = arena_dup(a, k->turn.maker);
	ret->answer = arena_dup(a, k->turn.answer);
	ret->input = arena_dup(a, k->turn.input);
	ret->events = arena_dup(a, k->turn.events);
	return ret->id.ptr && ret->owner.ptr && !ret->previous.ptr == !k->turn.previous.ptr &&
			       !ret->maker.ptr == !k->turn.maker.ptr &&
			       !ret->answer.ptr == !k->turn.answer.ptr &&
			       !ret->input.ptr == !k->turn.input.ptr &&
			       !ret->events.ptr == !k->turn.events.ptr
		       ? RC_OK
		       : RC_NOMEM;
}

static int get(void *b, const struct store_key *key, struct arena *a, struct stored_turn *ret,
	       struct err *reterr)
{
	struct kept *k = find_shown(b, key);

	(void)reterr;
	return k ? copy_out(k, a, ret) : RC_NOTFOUND;
}

static int chain(void *b, const struct store_key *key, size_t max_bytes, struct arena *a,
		 struct stored_turn **ret, unsigned *ret_n, struct err *reterr)
{
	struct memory *m = b;
	struct kept *last = find_shown(m, key);
	size_t bytes = 0;
	unsigned n = 0, at;

	for (struct kept *k = last; k || n == 0; n++) {
		if (!k || !str_eq(k->turn.owner, key->owner))
			return RC_NOTFOUND;
		bytes += k->turn.answer.len + k->turn.input.len;
		if (bytes > max_bytes || n >= STORE_CHAIN_MAX)
			return err_set(reterr, RC_TOOBIG, "the conversation is too long");
		if (!str_present(k->turn.previous)) {
			n++;
			break;
		}
		k = find(m, k->turn.previous);
		if (!k)
			return RC_NOTFOUND;
	}
	*ret = arena_array(a, n, sizeof(**ret));
	*ret_n = at = n;
	for (struct kept *k = last; *ret && at-- > 0; k = find(m, k->turn.previous)) {
		struct kept without = *k;

		without.turn.events = STR_NONE;
		if (copy_out(&without, a, &(*ret)[at]) != RC_OK)
			return RC_NOMEM;
		if (at == 0)
			break;
	}
	return *ret ? RC_OK : RC_NOMEM;
}

/* Where that item is to be taken from; NULL: nowhere. */
static struct kept *find_item(struct memory *m, const struct store_key *key, struct str id)
{
	const struct item_entry *e = NULL;
	struct kept *best = NULL;

	while ((e = item_index_next(&m->items, id, e)) != NULL) {
		struct kept *k = (struct kept *)e->item.of;

		if (!str_eq(k->turn.owner, key->owner) || k->turn.expires_s <= key->now_s)
			continue;
		if (e->item.made)
			return k;
		if (!best)
			best = k;
	}
	return best;
}

static int find_items(void *b, const struct store_key *key, const struct store_ids *ids,
		      size_t max_bytes, struct arena *a, struct stored_turn **ret, unsigned *ret_n,
		      struct err *reterr)
{
	struct memory *m = b;
	unsigned cap = 0;

	for (unsigned i = 0; i < ids->n; i++) {
		struct store_key by_id = { .owner = key->owner,
					   .id = ids->ids[i],
					   .now_s = key->now_s };
		struct kept *k = find_item(m, key, ids->ids[i]), without;

		if (!k)
			k = find_shown(m, &by_id);
		if (!k || store_turns_have(*ret, *ret_n, k->turn.id))
			continue;
		without = *k;
		without.turn.events = STR_NONE;
		if (k->turn.answer.len + k->turn.input.len > max_bytes)
			return err_set(reterr, RC_TOOBIG, "what is referred to is too long");
		max_bytes -= k->turn.answer.len + k->turn.input.len;
		if (!store_turns_grow(a, ret, *ret_n, &cap) ||
		    copy_out(&without, a, &(*ret)[*ret_n]) != RC_OK)
			return RC_NOMEM;
		++*ret_n;
	}
	return RC_OK;
}

static bool continued(struct memory *m, struct str id)
{
	LIST_EACH (&m->ages, it) {
		struct str previous = LIST_ENTRY(it, struct kept, by_age)->turn.previous;

		if (str_present(previous) && str_eq(previous, id))
			return true;
	}
	return false;
}

/* What stood before goes along when it was only waiting for this. */
static int remove_turn(void *b, const struct store_key *key, struct err *reterr)
{
	struct memory *m = b;
	struct kept *k = find_shown(m, key);

	(void)reterr;
	if (!k)
		return RC_NOTFOUND;
	k->turn.expires_s = 0;
	while (k && k->turn.expires_s <= key->now_s && !continued(m, k->turn.id)) {
		struct kept *before =
			str_present(k->turn.previous) ? find(m, k->turn.previous) : NULL;

		drop(m, k);
		k = before;
	}
	return RC_OK;
}

static int sweep(void *b, int64_t now_s, struct err *reterr)
{
	struct memory *m = b;

	(void)reterr;
	LIST_EACH_SAFE (&m->ages, it, tmp) {
		struct kept *k = LIST_ENTRY(it, struct kept, by_age);

		if (k->turn.expires_s <= now_s && k->keep_s <= now_s &&
		    k->turn.alive_until_s <= now_s)
			drop(m, k);
	}
	return RC_OK;
}

const struct store_backend store_memory = {
	.name = "memory",
	.open = open_memory,
	.close = close_memory,
	.put = put,
	.beat = beat,
	.get = get,
	.chain = chain,
	.find = find_items,
	.remove = remove_turn,
	.sweep = sweep,
};
