/* store/store.c - the queue and the thread between the loops and a backend.
 *
 * The hard thing is who owns a call: its submitter fills it, the store's thread carries it out, and the submitter's loop
 * ends it, so its memory goes through three hands one after another and is never shared. Only the submitter's loop looks
 * at `cancelled`. A call without a wish ends on the store's thread.
 */
#include "store/store.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "store/backend.h"

enum {
	SWEEP_MS = 30000,
	RETRY_MS = 100,
	CALL_OVERHEAD = 256,
	BATCH_MAX = 64,
	ANSWER_MAX = 1 << 30
};

enum call_kind { CALL_PUT, CALL_BEAT, CALL_GET, CALL_CHAIN, CALL_FIND, CALL_REMOVE };

struct store_call {
	struct list node;
	enum call_kind kind;
	struct arena *arena;
	struct stored_turn turn; /* what is put; else its id, owner and alive_until_s */
	struct store_ids ids;    /* that are looked for */
	size_t max_bytes;
	size_t weight; /* in the queue */
	struct store_wish wish;
	bool cancelled;
	struct store_answer answer;
};

struct store {
	const struct store_backend *backend;
	void *b;
	uv_thread_t thread;
	uv_mutex_t lock; /* of all below */
	uv_cond_t wake;
	struct list queue;
	size_t queued, max_queued;
	bool closing, stopped;
	/* of the thread */
	struct list undelivered; /* answers that memory did not suffice to post */
	uint64_t sweep_ms, sweep_at_ms;
	bool failing;
};

/* --- a call's three hands --- */

static void call_free(struct store_call *c)
{
	arena_free(c->arena);
	free(c);
}

static void deliver(void *arg)
{
	struct store_call *c = arg;

	if (!c->cancelled)
		c->wish.done(c->wish.user, &c->answer);
	call_free(c);
}

void store_cancel(struct store_call *c)
{
	c->cancelled = true;
}

static int copy_turn(struct store_call *c, const struct stored_turn *t)
{
	struct stored_turn *to = &c->turn;

	*to = *t;
	to->id = arena_dup(c->arena, t->id);
	to->owner = arena_dup(c->arena, t->owner);
	to->previous = arena_dup(c->arena, t->previous);
	to->maker = arena_dup(c->arena, t->maker);
	to->answer = arena_dup(c->arena, t->answer);
	to->input = arena_dup(c->arena, t->input);
	to->events = arena_dup(c->arena, t->events);
	return to->id.ptr && to->owner.ptr && !to->previous.ptr == !t->previous.ptr &&
			       !to->maker.ptr == !t->maker.ptr &&
			       !to->answer.ptr == !t->answer.ptr &&
			       !to->input.ptr == !t->input.ptr && !to->events.ptr == !t->events.ptr
		       ? RC_OK
		       : RC_NOMEM;
}

static int enqueue(struct store *s, struct store_call *c)
{
	int rc = RC_OK;

	uv_mutex_lock(&s->lock);
	if (s->closing)
		rc = RC_CLOSED;
	else if (s->queued + c->weight > s->max_queued)
		rc = RC_TOOBIG;
	if (rc == RC_OK) {
		s->queued += c->weight;
		list_append(&s->queue, &c->node);
		uv_cond_signal(&s->wake);
	}
	uv_mutex_unlock(&s->lock);
	return rc;
}

static int copy_ids(struct store_call *c, const struct store_ids *from)
{
	struct str *ids = arena_array(c->arena, from->n, sizeof(*ids));

	for (unsigned i = 0; ids && i < from->n; i++) {
		ids[i] = arena_dup(c->arena, from->ids[i]);
		if (!ids[i].ptr)
			return RC_NOMEM;
		c->weight += ids[i].len;
	}
	c->ids = (struct store_ids){ ids, from->n };
	return ids ? RC_OK : RC_NOMEM;
}

bool store_turns_grow(struct arena *a, struct stored_turn **io, unsigned n, unsigned *io_cap)
{
	unsigned cap = *io_cap ? *io_cap * 2 : 8;
	struct stored_turn *more;

	if (n < *io_cap)
		return true;
	more = arena_grow(a, *io, n * sizeof(*more), cap * sizeof(*more));
	if (!more)
		return false;
	*io = more;
	*io_cap = cap;
	return true;
}

bool store_turns_have(const struct stored_turn *turns, unsigned n, struct str id)
{
	for (unsigned i = 0; i < n; i++)
		if (str_eq(turns[i].id, id))
			return true;
	return false;
}

/* What a call asks beside its turn. */
struct asked {
	enum call_kind kind;
	size_t max_bytes;
	struct store_ids ids;
};

static int submit_with(struct store *s, const struct asked *what, const struct stored_turn *t,
		       const struct store_wish *wish, struct store_call **ret)
{
	struct store_call *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return RC_NOMEM;
	c->kind = what->kind;
	c->max_bytes = what->max_bytes;
	c->weight = store_turn_bytes(t) + CALL_OVERHEAD;
	c->arena = arena_new(ANSWER_MAX);
	rc = c->arena ? copy_turn(c, t) : RC_NOMEM;
	if (rc == RC_OK && what->ids.n)
		rc = copy_ids(c, &what->ids);
	if (wish)
		c->wish = *wish;
	if (rc == RC_OK)
		rc = enqueue(s, c);
	if (rc != RC_OK)
		call_free(c);
	else if (ret)
		*ret = c;
	return rc;
}

static int submit(struct store *s, enum call_kind kind, const struct stored_turn *t,
		  size_t max_bytes, const struct store_wish *wish, struct store_call **ret)
{
	return submit_with(s, &(struct asked){ .kind = kind, .max_bytes = max_bytes }, t, wish,
			   ret);
}

/* --- the thread --- */

static int carry_out(struct store *s, struct store_call *c)
{
	struct store_key k = { .owner = c->turn.owner, .id = c->turn.id, .now_s = clock_wall_s() };
	struct store_answer *a = &c->answer;
	struct err *e = &a->err;

	switch (c->kind) {
	case CALL_PUT:
		return s->backend->put(s->b, &c->turn, e);
	case CALL_BEAT:
		return s->backend->beat(s->b, &k, c->turn.alive_until_s, e);
	case CALL_REMOVE:
		return s->backend->remove(s->b, &k, e);
	case CALL_CHAIN:
		return s->backend->chain(s->b, &k, c->max_bytes, c->arena, &a->turns, &a->n, e);
	case CALL_FIND:
		return s->backend->find(s->b, &k, &c->ids, c->max_bytes, c->arena, &a->turns, &a->n,
					e);
	case CALL_GET:
		a->turns = arena_alloc(c->arena, sizeof(*a->turns));
		a->n = 1;
		return a->turns ? s->backend->get(s->b, &k, c->arena, a->turns, e) : RC_NOMEM;
	}
	return RC_INVALID;
}

/* A store that fails fails for everybody: said when it begins and when it is over. */
static void note(struct store *s, int rc, const struct err *e, bool awaited)
{
	bool failed = rc == RC_IO || rc == RC_NOMEM;

	if (failed && !s->failing)
		log_event(LOG_ERROR, "store.failed", "Answers cannot be kept or found.",
			  LF_CSTR("store", s->backend->name), LF_CSTR("reason", e->msg));
	else if ((rc == RC_TOOBIG || rc == RC_INVALID) && !awaited)
		log_event(LOG_WARN, "store.refused", NULL, LF_CSTR("store", s->backend->name),
			  LF_CSTR("reason", e->msg));
	if (!failed && s->failing)
		log_event(LOG_INFO, "store.recovered", NULL, LF_CSTR("store", s->backend->name));
	s->failing = failed;
}

static void hand_over(struct store *s, struct store_call *c)
{
	if (!c->wish.loop)
		call_free(c);
	else if (loop_post(c->wish.loop, deliver, c) != RC_OK)
		list_append(&s->undelivered, &c->node);
}

static void carry_out_noting(struct store *s, struct store_call *c)
{
	c->answer.rc = carry_out(s, c);
	if (c->answer.rc == RC_NOMEM && !c->answer.err.msg[0])
		(void)err_set(&c->answer.err, RC_NOMEM, "out of memory");
}

static bool outlasts(const struct store_call *c)
{
	return c->kind == CALL_PUT && (c->turn.alive_until_s || c->turn.ends);
}

/* NULL too when the next one must outlast the machine and that is not wanted. */
static struct store_call *take_call(struct store *s, bool outlasting)
{
	struct store_call *c = NULL;

	uv_mutex_lock(&s->lock);
	if (!list_empty(&s->queue))
		c = LIST_ENTRY(s->queue.next, struct store_call, node);
	if (c && outlasts(c) && !outlasting)
		c = NULL;
	if (c) {
		list_remove(&c->node);
		s->queued -= c->weight;
	}
	uv_mutex_unlock(&s->lock);
	return c;
}

/* This call and those that wait behind it. Nobody hears of any before all have been made to last. */
static void run_calls(struct store *s, struct store_call *c)
{
	struct err e = { 0 };
	struct list done;
	bool outlasting = outlasts(c);
	bool batch = c->kind == CALL_PUT && s->backend->begin &&
		     s->backend->begin(s->b, outlasting, NULL) == RC_OK;
	int rc = RC_OK;

	list_init(&done);
	for (unsigned n = 0; c; c = batch && ++n < BATCH_MAX ? take_call(s, outlasting) : NULL) {
		carry_out_noting(s, c);
		list_append(&done, &c->node);
	}
	if (batch)
		rc = s->backend->end(s->b, &e);
	while (!list_empty(&done)) {
		c = LIST_ENTRY(done.next, struct store_call, node);
		list_remove(&c->node);
		if (rc != RC_OK) {
			c->answer.rc = rc;
			c->answer.err = e;
		}
		note(s, c->answer.rc, &c->answer.err, c->wish.loop);
		hand_over(s, c);
	}
}

static void sweep(struct store *s)
{
	struct err e = { 0 };
	uint64_t now = clock_mono_ms();

	if (now < s->sweep_at_ms)
		return;
	s->sweep_at_ms = now + s->sweep_ms;
	note(s, s->backend->sweep(s->b, clock_wall_s(), &e), &e, false);
}

static void deliver_again(struct store *s)
{
	struct list again;

	list_init(&again);
	while (!list_empty(&s->undelivered)) {
		struct list *node = s->undelivered.next;

		list_remove(node);
		list_append(&again, node);
	}
	while (!list_empty(&again)) {
		struct store_call *c = LIST_ENTRY(again.next, struct store_call, node);

		list_remove(&c->node);
		hand_over(s, c);
	}
}

/* The next call, or NULL when it is time for other things. */
static struct store_call *next_call(struct store *s, bool *ret_over)
{
	uint64_t now = clock_mono_ms();
	uint64_t wait = s->sweep_at_ms > now ? s->sweep_at_ms - now : 0;

	if (!list_empty(&s->undelivered))
		wait = RETRY_MS;
	uv_mutex_lock(&s->lock);
	if (list_empty(&s->queue) && !s->closing && wait > 0)
		(void)uv_cond_timedwait(&s->wake, &s->lock, wait * 1000000);
	*ret_over = list_empty(&s->queue) && s->closing;
	uv_mutex_unlock(&s->lock);
	return take_call(s, true);
}

static void run(void *arg)
{
	struct store *s = arg;
	bool over = false;

	while (!over) {
		struct store_call *c = next_call(s, &over);

		deliver_again(s);
		if (c)
			run_calls(s, c);
		if (!over)
			sweep(s);
	}
	while (!list_empty(&s->undelivered)) /* memory may be there by now */
		deliver_again(s);
	s->backend->close(s->b);
	arena_thread_done();
}

/* --- the store --- */

struct store *store_open(const struct store_options *o, struct err *reterr)
{
	struct store *s = calloc(1, sizeof(*s));

	if (!s) {
		(void)err_set(reterr, RC_NOMEM, "out of memory");
		return NULL;
	}
	s->backend = str_present(o->path) ? &store_sqlite : &store_memory;
	s->max_queued = o->max_queued;
	s->sweep_ms = o->sweep_ms ? o->sweep_ms : SWEEP_MS;
	list_init(&s->queue);
	list_init(&s->undelivered);
	if (s->backend->open(o, &s->b, reterr) != RC_OK) {
		free(s);
		return NULL;
	}
	uv_mutex_init(&s->lock);
	uv_cond_init(&s->wake);
	if (uv_thread_create(&s->thread, run, s) == 0)
		return s;
	(void)err_set(reterr, RC_IO, "cannot start the store's thread");
	s->backend->close(s->b);
	uv_cond_destroy(&s->wake);
	uv_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}

void store_stop(struct store *s)
{
	if (!s || s->stopped)
		return;
	s->stopped = true; /* for the one who stops and closes; all others look at `closing` */
	uv_mutex_lock(&s->lock);
	s->closing = true;
	uv_cond_signal(&s->wake);
	uv_mutex_unlock(&s->lock);
	uv_thread_join(&s->thread);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	store_stop(s);
	uv_cond_destroy(&s->wake);
	uv_mutex_destroy(&s->lock);
	free(s);
}

const char *store_kind(const struct store *s)
{
	return s->backend->name;
}

int store_put(struct store *s, const struct stored_turn *t, const struct store_wish *wish,
	      struct store_call **ret)
{
	return submit(s, CALL_PUT, t, 0, wish, ret);
}

int store_beat(struct store *s, struct str owner, struct str id, int64_t alive_until_s,
	       const struct store_wish *wish, struct store_call **ret)
{
	struct stored_turn t = { .id = id, .owner = owner, .alive_until_s = alive_until_s };

	return submit(s, CALL_BEAT, &t, 0, wish, ret);
}

int store_get(struct store *s, struct str owner, struct str id, const struct store_wish *wish,
	      struct store_call **ret)
{
	return submit(s, CALL_GET, &(struct stored_turn){ .id = id, .owner = owner }, 0, wish, ret);
}

int store_chain(struct store *s, struct str owner, struct str id, size_t max_bytes,
		const struct store_wish *wish, struct store_call **ret)
{
	return submit(s, CALL_CHAIN, &(struct stored_turn){ .id = id, .owner = owner }, max_bytes,
		      wish, ret);
}

int store_find(struct store *s, struct str owner, const struct str *ids, unsigned n,
	       size_t max_bytes, const struct store_wish *wish, struct store_call **ret)
{
	return submit_with(s, &(struct asked){ CALL_FIND, max_bytes, { ids, n } },
			   &(struct stored_turn){ .id = STR(""), .owner = owner }, wish, ret);
}

int store_remove(struct store *s, struct str owner, struct str id, const struct store_wish *wish,
		 struct store_call **ret)
{
	return submit(s, CALL_REMOVE, &(struct stored_turn){ .id = id, .owner = owner }, 0, wish,
		      ret);
}
