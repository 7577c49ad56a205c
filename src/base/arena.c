/* base/arena.c - bump allocation out of a chain of blocks.
 *
 * The first block also holds the struct arena, is always FIRST_BLOCK bytes and goes
 * back to a short per-thread list, because one arena is made for each exchange. The
 * hard thing is accounting: `used` counts what was handed out (rounded), whatever block
 * it came from, so that the cap holds for the peer's bytes and not for our slack.
 *
 *	struct arena | payload ...        first block, FIRST_BLOCK bytes
 *	struct block | payload ...        further ones, growing; the newest is bumped from
 *	struct block | one allocation     big ones, in a list of their own
 */
#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { ALIGN = 16 };
_Static_assert(alignof(max_align_t) <= ALIGN, "an allocation must suit any type");

/* `n` rounded up; 0 when that overflows (n == 0 counts as 1, to be a block of its own). */
static inline size_t rounded(size_t n)
{
	n = n ? n : 1;
	return n > SIZE_MAX - (ALIGN - 1) ? 0 : (n + (ALIGN - 1)) & ~(size_t)(ALIGN - 1);
}

/* --- budgets --- */

struct arena_budget {
	size_t used, max;
	unsigned refs;
};

/* An arena's part in one. */
struct share {
	struct arena_budget *budget; /* NULL: none */
	size_t taken;
};

struct arena_budget *arena_budget_new(size_t max_bytes)
{
	struct arena_budget *b = malloc(sizeof(*b));

	if (b)
		*b = (struct arena_budget){ .max = max_bytes, .refs = 1 };
	return b;
}

struct arena_budget *arena_budget_unref(struct arena_budget *b)
{
	if (b && --b->refs == 0)
		free(b);
	return NULL;
}

void arena_budget_set_max(struct arena_budget *b, size_t max_bytes)
{
	b->max = max_bytes;
}

static bool share_take(struct share *s, size_t n)
{
	struct arena_budget *b = s->budget;

	if (!b)
		return true;
	if (b->used > b->max || n > b->max - b->used)
		return false;
	b->used += n;
	s->taken += n;
	return true;
}

static void share_give(struct share *s, size_t n)
{
	if (!s->budget)
		return;
	s->budget->used -= n;
	s->taken -= n;
}

#if GW_ARENA_MALLOC
/* What was given just now, whatever the budget says. */
static void share_take_back(struct share *s, size_t n)
{
	if (!s->budget)
		return;
	s->budget->used += n;
	s->taken += n;
}
#endif

static void share_join(struct share *s, struct arena_budget *b)
{
	*s = (struct share){ .budget = b };
	if (b)
		b->refs++;
}

static void share_leave(struct share *s)
{
	share_give(s, s->taken);
	s->budget = arena_budget_unref(s->budget);
}

/* --- arenas --- */

struct arena *arena_new(size_t max_bytes)
{
	return arena_new_within(max_bytes, NULL);
}

#if GW_ARENA_MALLOC

/* One malloc() an allocation, in a list that runs both ways so that arena_grow() can
 * free what it moved: a stale pointer is then a report and not a silent wrong byte. */
struct node {
	alignas(ALIGN) struct node *prev;
	struct node *next;
};

struct arena {
	struct node head;
	size_t used, max;
	struct share share;
};

static void link_node(struct arena *a, struct node *n)
{
	n->prev = &a->head;
	n->next = a->head.next;
	n->next->prev = n;
	a->head.next = n;
}

static void unlink_node(struct node *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
}

struct arena *arena_new_within(size_t max_bytes, struct arena_budget *b)
{
	struct arena *a = malloc(sizeof(*a));

	if (!a)
		return NULL;
	share_join(&a->share, b);
	a->head.prev = a->head.next = &a->head;
	a->used = 0;
	a->max = max_bytes > SIZE_MAX - ALIGN ? SIZE_MAX : rounded(max_bytes);
	return a;
}

void arena_reset(struct arena *a)
{
	while (a->head.next != &a->head) {
		struct node *n = a->head.next;

		unlink_node(n);
		free(n);
	}
	a->used = 0;
	share_give(&a->share, a->share.taken);
}

struct arena *arena_free(struct arena *a)
{
	if (a) {
		arena_reset(a);
		share_leave(&a->share);
		free(a);
	}
	return NULL;
}

void *arena_alloc_raw(struct arena *a, size_t n)
{
	size_t take = rounded(n);
	struct node *node;

	if (!take || take > a->max - a->used || n > SIZE_MAX - sizeof(*node) ||
	    !share_take(&a->share, take))
		return NULL;
	node = malloc(sizeof(*node) + n);
	if (!node) {
		share_give(&a->share, take);
		return NULL;
	}
	link_node(a, node);
	a->used += take;
	return node + 1;
}

void *arena_grow(struct arena *a, void *p, size_t old_n, size_t new_n)
{
	struct node *old = p ? (struct node *)p - 1 : NULL;
	size_t before = a->used;
	void *moved;

	if (p && new_n <= old_n)
		return p;
	if (p) {
		a->used -= rounded(old_n);
		share_give(&a->share, rounded(old_n));
	}
	moved = arena_alloc_raw(a, new_n);
	if (!moved) {
		share_take_back(&a->share, before - a->used);
		a->used = before;
		return NULL;
	}
	if (p) {
		memcpy(moved, p, old_n);
		unlink_node(old);
		free(old);
	}
	return moved;
}

void arena_thread_done(void)
{
}

#else

enum {
	FIRST_BLOCK = 4096,
	MAX_BLOCK = 1 << 20,
	FREE_LIST_MAX = 64, /* 256 KiB a thread: more arenas than that rarely begin at once */
};

struct block {
	struct block *next;
	size_t size; /* payload bytes */
};
_Static_assert(sizeof(struct block) % ALIGN == 0, "payload follows the header");

struct arena {
	char *at, *end;       /* what is left of the newest block */
	char *last;           /* start of the newest bump allocation */
	struct block *blocks; /* without the first one */
	struct block *big;    /* allocations with a block of their own, newest first */
	size_t used, max;
	size_t next_size;
	struct share share;
};
_Static_assert(sizeof(struct arena) % ALIGN == 0, "payload follows the header");

static _Thread_local struct {
	struct block *list;
	unsigned n;
} spare;

static void start_over(struct arena *a)
{
	a->at = (char *)(a + 1);
	a->end = (char *)a + FIRST_BLOCK;
	a->last = NULL;
	a->blocks = a->big = NULL;
	a->used = 0;
	a->next_size = 2 * FIRST_BLOCK;
}

struct arena *arena_new_within(size_t max_bytes, struct arena_budget *b)
{
	struct arena *a;

	assert(max_bytes > 0);
	if (spare.list) {
		a = (void *)spare.list;
		spare.list = spare.list->next;
		spare.n--;
	} else {
		a = malloc(FIRST_BLOCK);
		if (!a)
			return NULL;
	}
	start_over(a);
	share_join(&a->share, b);
	a->max = max_bytes > SIZE_MAX - ALIGN ? SIZE_MAX : rounded(max_bytes);
	return a;
}

static void free_blocks(struct block *b)
{
	while (b) {
		struct block *next = b->next;

		free(b);
		b = next;
	}
}

void arena_reset(struct arena *a)
{
	free_blocks(a->blocks);
	free_blocks(a->big);
	share_give(&a->share, a->share.taken);
	start_over(a);
}

struct arena *arena_free(struct arena *a)
{
	struct block *b = (void *)a;

	if (!a)
		return NULL;
	free_blocks(a->blocks);
	free_blocks(a->big);
	share_leave(&a->share);
	if (spare.n >= FREE_LIST_MAX) {
		free(a);
		return NULL;
	}
	b->next = spare.list;
	spare.list = b;
	spare.n++;
	return NULL;
}

void arena_thread_done(void)
{
	free_blocks(spare.list);
	spare.list = NULL;
	spare.n = 0;
}

static struct block *block_new(struct arena *a, struct block **chain, size_t size)
{
	struct block *b;

	if (size > SIZE_MAX - sizeof(*b) || !share_take(&a->share, size))
		return NULL;
	b = malloc(sizeof(*b) + size);
	if (!b) {
		share_give(&a->share, size);
		return NULL;
	}
	b->next = *chain;
	b->size = size;
	*chain = b;
	return b;
}

/* `take` bytes that the newest block has no room for. */
static void *alloc_slow(struct arena *a, size_t take)
{
	struct block *b;

	if (take > a->next_size / 4) {
		b = block_new(a, &a->big, take);
		return b ? b + 1 : NULL;
	}
	b = block_new(a, &a->blocks, a->next_size - sizeof(*b));
	if (!b)
		return NULL;
	if (a->next_size < MAX_BLOCK)
		a->next_size *= 2;
	a->last = (char *)(b + 1);
	a->at = a->last + take;
	a->end = a->last + b->size;
	return a->last;
}

void *arena_alloc_raw(struct arena *a, size_t n)
{
	size_t take = rounded(n);
	void *p;

	if (!take || take > a->max - a->used)
		return NULL;
	if (take <= (size_t)(a->end - a->at)) {
		p = a->last = a->at;
		a->at += take;
	} else {
		p = alloc_slow(a, take);
		if (!p)
			return NULL;
	}
	a->used += take;
	return p;
}

/* Grows the newest big allocation with realloc(), which moves large ones by remapping. */
static void *grow_big(struct arena *a, size_t have, size_t take)
{
	struct block *b = a->big;

	if (take - have > a->max - a->used || take > SIZE_MAX - sizeof(*b) ||
	    !share_take(&a->share, take - have))
		return NULL;
	b = realloc(b, sizeof(*b) + take);
	if (!b) {
		share_give(&a->share, take - have);
		return NULL;
	}
	b->size = take;
	a->big = b;
	a->used += take - have;
	return b + 1;
}

void *arena_grow(struct arena *a, void *p, size_t old_n, size_t new_n)
{
	size_t have = rounded(old_n), take = rounded(new_n);
	void *moved;

	if (!p)
		return arena_alloc_raw(a, new_n);
	if (!take)
		return NULL;
	if (take <= have)
		return p;
	if (p == a->last && take - have <= (size_t)(a->end - a->at)) {
		if (take - have > a->max - a->used)
			return NULL;
		a->at += take - have;
		a->used += take - have;
		return p;
	}
	if (a->big && p == a->big + 1)
		return grow_big(a, have, take);
	moved = arena_alloc_raw(a, new_n);
	if (moved)
		memcpy(moved, p, old_n);
	return moved;
}

#endif

struct arena_budget *arena_budget_of(const struct arena *a)
{
	return a->share.budget;
}

void *arena_alloc(struct arena *a, size_t n)
{
	void *p = arena_alloc_raw(a, n);

	return p ? memset(p, 0, n) : NULL;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	size_t n;

	return __builtin_mul_overflow(count, size, &n) ? NULL : arena_alloc(a, n);
}

struct str arena_dup(struct arena *a, struct str s)
{
	char *p;

	if (!s.ptr || s.len == SIZE_MAX)
		return STR_NONE;
	p = arena_alloc_raw(a, s.len + 1);
	if (!p)
		return STR_NONE;
	if (s.len)
		memcpy(p, s.ptr, s.len);
	p[s.len] = '\0';
	return (struct str){ p, s.len };
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
	char small[256], *p;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < 0)
		return STR_NONE;
	if ((size_t)n < sizeof(small))
		return arena_dup(a, (struct str){ small, (size_t)n });
	p = arena_alloc_raw(a, (size_t)n + 1);
	if (!p)
		return STR_NONE;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return (struct str){ p, (size_t)n };
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}
