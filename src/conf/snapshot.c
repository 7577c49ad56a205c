/* conf/snapshot.c - the life of a snapshot: counted references, and no secret left behind at the end. */
#include "conf/snapshot.h"

#include <assert.h>

static void wipe(struct str s)
{
	if (s.len)
		bytes_wipe((void *)(uintptr_t)s.ptr, s.len);
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
	unsigned before = atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);

	assert(before > 0);
	return s;
}

struct snapshot *snapshot_unref(struct snapshot *s)
{
	struct arena *a;

	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return NULL;
	for (unsigned i = 0; i < s->n_accounts; i++) {
		wipe(s->accounts[i].api_key);
		for (unsigned h = 0; h < s->accounts[i].n_headers; h++)
			wipe(s->accounts[i].headers[h].value);
	}
	a = s->arena;
	(void)arena_free(a);
	return NULL;
}

const struct account *snapshot_account(const struct snapshot *s, struct str name)
{
	for (unsigned i = 0; i < s->n_accounts; i++)
		if (str_eq(s->accounts[i].name, name))
			return &s->accounts[i];
	return NULL;
}

const struct model_alias *snapshot_alias(const struct snapshot *s, struct str name)
{
	for (unsigned i = 0; i < s->n_aliases; i++)
		if (str_eq(s->aliases[i].name, name))
			return &s->aliases[i];
	return NULL;
}
