/* base/arena.h - memory that dies all at once.
 *
 * One arena backs one exchange (client request -> answer) or one upstream
 * attempt. Nothing in it is freed singly, and no pointer into it may be kept
 * by an object that lives longer (a connection, an account, the cache):
 * copy there instead. An arena belongs to the loop thread that made it.
 *
 * Built with -DGW_ARENA_MALLOC=1 each allocation is one malloc(), so that
 * AddressSanitizer sees overruns and uses after the arena's end.
 */
#ifndef GW_BASE_ARENA_H
#define GW_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/str.h"

struct arena; /* opaque: only base/arena.c sees inside */

/* What several arenas of one thread may take together, beside the cap that each has. Counted in blocks, so a little more than their
 * payload; the first block of each is not counted. */
struct arena_budget;
/* With one reference; each arena in it holds another. NULL when out of memory. */
struct arena_budget *arena_budget_new(size_t max_bytes);
struct arena_budget *arena_budget_unref(struct arena_budget *b); /* NULL is a no-op; always NULL */
/* May be less than what is taken: then nothing more is until enough was given back. */
void arena_budget_set_max(struct arena_budget *b, size_t max_bytes);

/* A new arena that will never hold more than `max_bytes` of payload (> 0, rounded
 * up to 16; so is each allocation).
 * The first block is small (4 KiB) and comes from a per-thread free list, so
 * making and ending one is cheap. NULL when out of memory. End with arena_free(). */
struct arena *arena_new(size_t max_bytes);
/* The same within a budget (NULL: none): allocations fail when that is used up, too. */
struct arena *arena_new_within(size_t max_bytes, struct arena_budget *b);
/* The budget of an arena, without a reference; NULL: none. */
struct arena_budget *arena_budget_of(const struct arena *a);

/* Frees the arena and all it handed out; NULL is a no-op. Always returns NULL,
 * so that `x->arena = arena_free(x->arena)` leaves no dangling pointer. */
struct arena *arena_free(struct arena *a);

/* `n` zeroed bytes, aligned for any type. NULL when the cap or the machine is
 * exhausted, never a shorter block: answer 413 or 503, do not abort. */
void *arena_alloc(struct arena *a, size_t n) __attribute__((warn_unused_result));

/* As arena_alloc(), not zeroed; for payload that is overwritten at once. */
void *arena_alloc_raw(struct arena *a, size_t n) __attribute__((warn_unused_result));

/* `count` zeroed objects of `size` bytes; NULL on overflow too. */
void *arena_array(struct arena *a, size_t count, size_t size) __attribute__((warn_unused_result));

/* `p`, an allocation of `old_n` bytes of this arena (or NULL, 0), grown to
 * `new_n`; in place when it was the last one. NULL on failure, `p` then still valid. */
void *arena_grow(struct arena *a, void *p, size_t old_n, size_t new_n)
	__attribute__((warn_unused_result));

/* A copy of `s`, NUL-terminated for C APIs (the NUL is not in .len; `s` may
 * hold NULs). On failure .ptr is NULL; for an empty `s` it is not; an absent
 * `s` gives an absent copy. */
struct str arena_dup(struct arena *a, struct str s) __attribute__((warn_unused_result));

/* printf into the arena; .ptr is NULL on failure. */
struct str arena_printf(struct arena *a, const char *fmt, ...)
	__attribute__((warn_unused_result, format(printf, 2, 3)));

/* Empties the arena: everything handed out dies, the cap is whole again, one block is kept. */
void arena_reset(struct arena *a);

/* Payload bytes handed out so far. */
size_t arena_used(const struct arena *a);

/* Gives back the calling thread's free list; call once before a thread ends. */
void arena_thread_done(void);

#endif
