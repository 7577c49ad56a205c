/* exchange/recent.c - turns in memory, shared where one continues another; see recent.h. */
#include "exchange/recent.h"

#include <stdlib.h>

enum { SCRATCH_MAX = 1 << 30 };

struct recent_turn {
	struct list shown; /* in recent.shown; alone: not shown */
	const void *by;    /* who showed it */
	struct recent *home;
	struct recent_turn *before;
	unsigned refs;
	unsigned
		shown_refs; /* 1 when it is shown, and 1 for each that continues it and has any itself */
	size_t size;
	struct item_set *items;
	struct str id, maker, answer, input;
	char text[]; /* of the four */
};

void recent_init(struct recent *r)
{
	*r = (struct recent){ .n_shown = 0 };
	list_init(&r->shown);
	item_index_init(&r->items, r->buckets, RECENT_BUCKETS);
}

struct recent_turn *recent_ref(struct recent_turn *t)
{
	t->refs++;
	return t;
}

/* Step by step, and not one inside the other: a conversation may be long. */
struct recent_turn *recent_unref(struct recent_turn *t)
{
	while (t && --t->refs == 0) {
		struct recent_turn *before = t->before;

		t->home->bytes -= t->size;
		item_set_free(t->items);
		free(t);
		t = before;
	}
	return NULL;
}

/* Counts it and what it continues, as far as that was not. */
static void count(struct recent *r, struct recent_turn *t)
{
	for (; t && t->shown_refs++ == 0; t = t->before)
		r->shown_bytes += t->size;
}

static void uncount(struct recent *r, struct recent_turn *t)
{
	for (; t && --t->shown_refs == 0; t = t->before)
		r->shown_bytes -= t->size;
}

static void hide(struct recent *r, struct recent_turn *t)
{
	list_remove(&t->shown);
	uncount(r, t);
	r->n_shown--;
	recent_unref(t);
}

static void hide_oldest(struct recent *r)
{
	hide(r, LIST_ENTRY(r->shown.next, struct recent_turn, shown));
}

void recent_clear(struct recent *r)
{
	while (r->n_shown > 0)
		hide_oldest(r);
}

static struct str put(char **io, struct str s)
{
	struct str copy = { *io, s.len };

	if (!str_present(s))
		return s;
	if (s.len)
		memcpy(*io, s.ptr, s.len);
	*io += s.len;
	return copy;
}

/* Its items are found from now on, and itself by its own id. */
static bool index_items(struct recent *r, struct recent_turn *t)
{
	struct stored_turn text = recent_turn_text(t);
	struct arena *a = arena_new(SCRATCH_MAX);
	struct item_id *ids = NULL;
	unsigned n = a ? turn_item_ids(a, &text, &ids) : 0;

	if (a)
		ids = arena_grow(a, ids, n * sizeof(*ids), (n + 1) * sizeof(*ids));
	if (ids) {
		ids[n++] = (struct item_id){ .id = t->id };
		for (unsigned i = 0; i < n; i++)
			ids[i].of = t;
		t->size += item_ids_bytes(ids, n);
		t->items = item_index_add(&r->items, ids, n);
	}
	arena_free(a);
	return t->items;
}

struct recent_turn *recent_turn_new(struct recent *r, struct recent_turn *before,
				    const struct stored_turn *t)
{
	size_t size = sizeof(struct recent_turn) + t->id.len + t->maker.len + t->answer.len +
		      t->input.len;
	struct recent_turn *made = malloc(size);
	char *to;

	if (!made)
		return NULL;
	*made = (struct recent_turn){ .home = r, .refs = 1, .size = size };
	list_init(&made->shown);
	to = made->text;
	made->id = put(&to, t->id);
	made->maker = put(&to, t->maker);
	made->answer = put(&to, t->answer);
	made->input = put(&to, t->input);
	if (!index_items(r, made)) {
		free(made);
		return NULL;
	}
	made->before = before ? recent_ref(before) : NULL;
	r->bytes += made->size;
	return made;
}

struct recent_turn *recent_turns_new(struct recent *r, const struct stored_turn *turns, unsigned n)
{
	struct recent_turn *last = NULL;

	for (unsigned i = 0; i < n; i++) {
		struct recent_turn *made = recent_turn_new(r, last, &turns[i]);

		recent_unref(last); /* the next one holds it */
		if (!made)
			return NULL;
		last = made;
	}
	return last;
}

void recent_show(struct recent *r, struct recent_turn *t, const void *by, size_t max_bytes)
{
	t->by = by;
	recent_forget(r, t->id); /* a provider that gives the same id twice */
	list_append(&r->shown, &recent_ref(t)->shown);
	count(r, t);
	r->n_shown++;
	while (r->n_shown > RECENT_SHOWN_MAX || (r->n_shown > 1 && r->shown_bytes > max_bytes))
		hide_oldest(r);
}

static struct recent_turn *find(const struct recent *r, struct str id)
{
	LIST_EACH (&r->shown, it) {
		struct recent_turn *t = LIST_ENTRY(it, struct recent_turn, shown);

		if (str_eq(t->id, id))
			return t;
	}
	return NULL;
}

struct recent_turn *recent_find(struct recent *r, struct str id)
{
	struct recent_turn *t = find(r, id);

	return t ? recent_ref(t) : NULL;
}

void recent_forget(struct recent *r, struct str id)
{
	struct recent_turn *t = find(r, id);

	if (t)
		hide(r, t);
}

void recent_forget_shown_by(struct recent *r, struct str id, const void *by)
{
	struct recent_turn *t = find(r, id);

	if (t && t->by == by)
		hide(r, t);
}

struct recent_turn *recent_find_item(struct recent *r, struct str id)
{
	const struct item_entry *best = item_index_best(&r->items, id);

	return best ? recent_ref((struct recent_turn *)best->item.of) : NULL;
}

struct stored_turn recent_turn_text(const struct recent_turn *t)
{
	return (struct stored_turn){ .id = t->id,
				     .previous = t->before ? t->before->id : STR_NONE,
				     .maker = t->maker,
				     .answer = t->answer,
				     .input = t->input };
}

struct stored_turn *recent_chain(const struct recent_turn *t, struct arena *a, unsigned *ret_n)
{
	struct stored_turn *turns;
	unsigned n = 0;

	for (const struct recent_turn *it = t; it; it = it->before)
		n++;
	turns = arena_array(a, n, sizeof(*turns));
	*ret_n = n;
	for (; turns && t; t = t->before)
		turns[--n] = recent_turn_text(t);
	return turns;
}
