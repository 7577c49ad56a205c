/* store/items.c - ids read out of turns, and a hash table of them; see items.h. */
#include "store/items.h"

#include <stdlib.h>

#include "base/hash.h"
#include "json/json.h"
#include "json/scan.h"

enum { ENTRY_BYTES = 128 }; /* of a row of SQLite's in two trees, or of an entry here */

struct item_set {
	unsigned n;
	struct item_entry entries[];
};

/* --- what a turn holds --- */

static void add_ids(struct arena *a, struct str list, bool made, struct item_id **io,
		    unsigned *io_n)
{
	const json *items;
	struct item_id *ids;
	struct json_iter it;
	size_t cap;

	/* Most inputs name no ids: they are not read. */
	if (list.len == 0 || list.ptr[0] != '[' || str_find(list, STR("\"id\"")) < 0)
		return;
	items = json_parse(a, list, NULL);
	if (!items)
		return;
	cap = *io_n + json_len(items);
	cap = cap < TURN_IDS_MAX ? cap : TURN_IDS_MAX;
	ids = arena_grow(a, *io, *io_n * sizeof(*ids), cap * sizeof(*ids));
	if (!ids)
		return;
	for (it = json_iter(items); *io_n < cap && json_next(&it);) {
		struct str id = json_str(json_get(it.val, STR("id")));

		if (id.len)
			ids[(*io_n)++] = (struct item_id){ .id = id, .made = made };
	}
	*io = ids;
}

/* The first of equals stays. How many are left; none when memory is out. */
static unsigned drop_repeated(struct arena *a, struct item_id *ids, unsigned n)
{
	size_t n_slots = 2 * (size_t)n;
	unsigned *slots = arena_array(a, n_slots + 1, sizeof(*slots)); /* places in ids, from 1 */
	unsigned left = 0;

	for (unsigned i = 0; slots && i < n; i++) {
		size_t at = hash_fnv(ids[i].id) % n_slots;

		while (slots[at] && !str_eq(ids[slots[at] - 1].id, ids[i].id))
			at = (at + 1) % n_slots;
		if (slots[at])
			continue;
		ids[left++] = ids[i];
		slots[at] = left;
	}
	return left;
}

unsigned turn_item_ids(struct arena *a, const struct stored_turn *t, struct item_id **ret)
{
	struct json_want output = { .key = "output" };
	unsigned n = 0;

	*ret = NULL;
	if (str_present(t->answer) && json_skim(t->answer, &output, 1))
		add_ids(a, output.value, true, ret, &n);
	add_ids(a, str_trim(t->input), false, ret, &n);
	return drop_repeated(a, *ret, n);
}

size_t item_ids_bytes(const struct item_id *ids, unsigned n)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < n; i++)
		bytes += 2 * ids[i].id.len + ENTRY_BYTES;
	return bytes;
}

/* --- in memory --- */

void item_index_init(struct item_index *x, struct list *buckets, unsigned n_buckets)
{
	*x = (struct item_index){ .buckets = buckets, .n_buckets = n_buckets };
	for (unsigned i = 0; i < n_buckets; i++)
		list_init(&buckets[i]);
}

struct item_set *item_index_add(struct item_index *x, const struct item_id *ids, unsigned n)
{
	size_t bytes = sizeof(struct item_set) + n * sizeof(struct item_entry);
	struct item_set *s;
	char *text;

	for (unsigned i = 0; i < n; i++)
		bytes += ids[i].id.len;
	s = malloc(bytes);
	if (!s)
		return NULL;
	s->n = n;
	text = (char *)&s->entries[n];
	for (unsigned i = 0; i < n; i++) {
		struct item_entry *e = &s->entries[i];

		memcpy(text, ids[i].id.ptr, ids[i].id.len);
		e->item = ids[i];
		e->item.id.ptr = text;
		e->hash = hash_fnv(ids[i].id);
		text += ids[i].id.len;
		list_append(&x->buckets[e->hash % x->n_buckets], &e->in_bucket);
	}
	return s;
}

void item_set_free(struct item_set *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->n; i++)
		list_remove(&s->entries[i].in_bucket);
	free(s);
}

const struct item_entry *item_index_next(const struct item_index *x, struct str id,
					 const struct item_entry *after)
{
	uint64_t hash = hash_fnv(id);
	struct list *head = &x->buckets[hash % x->n_buckets];

	for (struct list *it = after ? after->in_bucket.prev : head->prev; it != head;
	     it = it->prev) {
		struct item_entry *e = LIST_ENTRY(it, struct item_entry, in_bucket);

		if (e->hash == hash && str_eq(e->item.id, id))
			return e;
	}
	return NULL;
}

const struct item_entry *item_index_best(const struct item_index *x, struct str id)
{
	const struct item_entry *e = NULL, *best = NULL;

	while ((e = item_index_next(x, id, e)) != NULL) {
		if (e->item.made)
			return e;
		if (!best)
			best = e;
	}
	return best;
}
