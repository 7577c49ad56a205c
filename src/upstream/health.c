/* upstream/health.c - a fixed table of atomics, appended to under a lock and never shrunk. */
#include "upstream/health.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"

enum { MAX_ACCOUNTS = 256, NAME_MAX_LEN = 63 };

struct entry {
	char name[NAME_MAX_LEN + 1];
	size_t name_len;
	atomic_bool asked;
	atomic_uint failures;
	_Atomic(const char *) error;
	atomic_llong since_s;
};

struct health_table {
	pthread_mutex_t append;
	atomic_uint n;
	struct entry entries[MAX_ACCOUNTS];
};

struct health_table *health_new(void)
{
	struct health_table *t = calloc(1, sizeof(*t));

	if (t)
		pthread_mutex_init(&t->append, NULL);
	return t;
}

struct health_table *health_free(struct health_table *t)
{
	if (t)
		pthread_mutex_destroy(&t->append);
	free(t);
	return NULL;
}

static struct entry *find(struct health_table *t, struct str name)
{
	unsigned n = atomic_load_explicit(&t->n, memory_order_acquire);

	for (unsigned i = 0; i < n; i++)
		if (str_eq((struct str){ t->entries[i].name, t->entries[i].name_len }, name))
			return &t->entries[i];
	return NULL;
}

/* NULL when the table is full or the name too long: such an account has no state, and nothing else suffers. */
static struct entry *find_or_append(struct health_table *t, struct str name)
{
	struct entry *e = find(t, name);
	unsigned n;

	if (e || name.len > NAME_MAX_LEN)
		return e;
	pthread_mutex_lock(&t->append);
	e = find(t, name); /* somebody else may have been first */
	n = atomic_load(&t->n);
	if (!e && n < MAX_ACCOUNTS) {
		e = &t->entries[n];
		memcpy(e->name, name.ptr, name.len);
		e->name_len = name.len;
		atomic_store(&e->since_s, clock_wall_s());
		atomic_store_explicit(&t->n, n + 1, memory_order_release);
	}
	pthread_mutex_unlock(&t->append);
	return e;
}

void health_ok(struct health_table *t, struct str account)
{
	struct entry *e = find_or_append(t, account);

	if (!e)
		return;
	if (!atomic_load_explicit(&e->asked, memory_order_relaxed))
		atomic_store(&e->asked, true);
	/* Read first: the usual case must not dirty a cache line that all workers share. */
	if (atomic_load_explicit(&e->failures, memory_order_relaxed) == 0)
		return;
	atomic_store(&e->failures, 0);
	atomic_store(&e->since_s, clock_wall_s());
}

void health_failed(struct health_table *t, struct str account, const char *error)
{
	struct entry *e = find_or_append(t, account);

	if (!e)
		return;
	atomic_store(&e->asked, true);
	atomic_store(&e->error, error);
	if (atomic_fetch_add(&e->failures, 1) == 0)
		atomic_store(&e->since_s, clock_wall_s());
}

struct health_state health_get(struct health_table *t, struct str account)
{
	struct entry *e = find(t, account);

	if (!e)
		return (struct health_state){ 0 };
	return (struct health_state){
		.asked = atomic_load(&e->asked),
		.failures = atomic_load(&e->failures),
		.error = atomic_load(&e->error),
		.since_s = atomic_load(&e->since_s),
	};
}
