/* exchange/job.c - events of background answers, kept for whoever asks; see job.h. */
#include "exchange/job.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

#include "base/clock.h"
#include "base/log.h"
#include "json/scan.h"
#include "policy/conversation.h"
#include "wire/framer.h"

enum {
	BEAT_EVERY_S =
		2, /* and so long another process may have to wait until what it ended lets go of its provider */
	ALIVE_S = 90, /* several beats: one that waits in a queue is no death */
	SCRATCH_MAX = 256 * 1024 * 1024,
};

struct job_table {
	uv_mutex_t lock;
	struct list jobs;
	unsigned n;
};

/* An event's end in the text, and its number. Numbers are the provider's: they need not begin at 0. */
struct mark {
	size_t end;
	uint64_t number;
};

struct job {
	atomic_uint refs;
	struct job_table *table;
	struct list in_table; /* under the table's lock, which may be taken inside the job's */
	bool listed;
	struct arena
		*arena; /* of the strings in `turn`, made before anybody else knew of the job */
	struct store *store;
	struct stored_turn turn;
	/* of the runner's thread */
	struct buf written; /* not yet a whole event */
	struct framer framer;
	int64_t beat_at_s;
	bool beating; /* an answer is awaited */
	/* under the lock */
	uv_mutex_t lock;
	struct loop *loop; /* the runner's; NULL when it is gone */
	void (*cancel)(void *runner);
	void *runner;
	struct buf events;
	struct mark *marks; /* of each event in `events` */
	size_t n_events, cap;
	size_t n_shown;      /* so many of them may be read: the last ones wait for the store */
	struct buf resource; /* the newest before the end */
	struct buf last;     /* how it ended */
	struct buf error;    /* of an event of that type */
	bool finished;       /* the runner has said how it ended */
	bool ending; /* so it is, for good: the store is being told, or was by somebody else */
	bool ended;  /* nothing more will come */
	struct list followers;
};

/* --- tables and references --- */

struct job_table *job_table_new(void)
{
	struct job_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	uv_mutex_init(&t->lock);
	list_init(&t->jobs);
	return t;
}

void job_table_free(struct job_table *t)
{
	if (!t)
		return;
	uv_mutex_destroy(&t->lock);
	free(t);
}

struct job *job_ref(struct job *j)
{
	atomic_fetch_add(&j->refs, 1);
	return j;
}

struct job *job_unref(struct job *j)
{
	if (!j || atomic_fetch_sub(&j->refs, 1) != 1)
		return NULL;
	framer_done(&j->framer);
	buf_done(&j->written);
	buf_done(&j->events);
	buf_done(&j->resource);
	buf_done(&j->last);
	buf_done(&j->error);
	free(j->marks);
	arena_free(j->arena);
	uv_mutex_destroy(&j->lock);
	free(j);
	return NULL;
}

static bool enlist(struct job_table *t, struct job *j, unsigned max)
{
	bool room;

	uv_mutex_lock(&t->lock);
	room = t->n < max;
	if (room) {
		t->n++;
		j->listed = true;
		list_append(&t->jobs, &job_ref(j)->in_table);
	}
	uv_mutex_unlock(&t->lock);
	return room;
}

static void delist(struct job *j)
{
	bool was;

	uv_mutex_lock(&j->table->lock);
	was = j->listed;
	if (was) {
		j->listed = false;
		j->table->n--;
		list_remove(&j->in_table);
	}
	uv_mutex_unlock(&j->table->lock);
	if (was)
		job_unref(j);
}

struct job *job_find(struct job_table *t, struct str owner, struct str id)
{
	struct job *found = NULL;

	uv_mutex_lock(&t->lock);
	LIST_EACH (&t->jobs, it) {
		struct job *j = LIST_ENTRY(it, struct job, in_table);

		if (str_eq(j->turn.id, id) && str_eq(j->turn.owner, owner))
			found = job_ref(j);
	}
	uv_mutex_unlock(&t->lock);
	return found;
}

/* --- the store --- */

static int put(struct job *j, struct str resource, struct str events, int64_t alive_until_s,
	       const struct store_wish *wish, struct store_call **ret)
{
	struct stored_turn t = j->turn;

	t.answer = resource;
	t.events = events;
	t.alive_until_s = alive_until_s;
	t.ends = !alive_until_s;
	if (t.ends) /* it is kept for as long as any other, however long it took, */
		t.expires_s += clock_wall_s() - t.created_s;
	else if (t.expires_s < alive_until_s) /* and shown all that time */
		t.expires_s = alive_until_s;
	return store_put(j->store, &t, wish, ret);
}

static void log_not_kept(const struct job *j)
{
	log_event(LOG_WARN, "response.not_kept", NULL, LF_STR("response", j->turn.id));
}

static bool copy_turn(struct job *j, const struct stored_turn *t)
{
	j->turn = *t;
	j->turn.id = arena_dup(j->arena, t->id);
	j->turn.owner = arena_dup(j->arena, t->owner);
	j->turn.previous = arena_dup(j->arena, t->previous);
	j->turn.input = arena_dup(j->arena, t->input);
	buf_put(&j->resource, t->answer);
	return j->turn.id.ptr && j->turn.owner.ptr && j->turn.input.ptr &&
	       !j->turn.previous.ptr == !t->previous.ptr && buf_ok(&j->resource);
}

struct job *job_new(struct job_table *t, const struct job_options *o, enum rc *reterr)
{
	struct job *j = calloc(1, sizeof(*j));

	*reterr = RC_NOMEM;
	if (!j)
		return NULL;
	atomic_init(&j->refs, 1);
	uv_mutex_init(&j->lock);
	list_init(&j->followers);
	list_init(&j->in_table);
	j->table = t;
	j->store = o->store;
	j->loop = o->loop;
	j->cancel = o->cancel;
	j->runner = o->runner;
	buf_init(&j->written, o->max_bytes);
	buf_init(&j->events, o->max_bytes);
	buf_init(&j->resource, o->max_bytes);
	buf_init(&j->last, o->max_bytes);
	buf_init(&j->error, 64 * 1024);
	framer_init(&j->framer, FRAMING_SSE, o->max_bytes);
	j->arena = arena_new(SCRATCH_MAX);
	if (!j->arena || !copy_turn(j, &o->turn))
		return job_unref(j);
	if (!enlist(t, j, o->max_jobs)) {
		*reterr = RC_TOOBIG;
		return job_unref(j);
	}
	j->beat_at_s = clock_wall_s() + BEAT_EVERY_S;
	return j;
}

int job_keep(struct job *j, const struct store_wish *wish, struct store_call **ret)
{
	return put(j, buf_str(&j->resource), STR_NONE, clock_wall_s() + ALIVE_S, wish, ret);
}

void job_drop(struct job *j)
{
	uv_mutex_lock(&j->lock);
	j->ending = j->ended = true;
	j->loop = NULL;
	j->runner = NULL;
	uv_mutex_unlock(&j->lock);
	delist(j);
	if (store_remove(j->store, j->turn.owner, j->turn.id, NULL, NULL) != RC_OK)
		log_event(LOG_WARN, "response.not_removed", NULL, LF_STR("response", j->turn.id));
}

/* --- the runner --- */

struct buf *job_buf(struct job *j)
{
	return &j->written;
}

static void set(struct buf *b, struct str text)
{
	buf_reset(b);
	buf_put(b, text);
}

/* The lifecycle's events carry the resource. */
static void note_resource(struct job *j, const struct frame *f)
{
	static const struct str last[] = { STR_INIT("response.completed"),
					   STR_INIT("response.incomplete"),
					   STR_INIT("response.failed") };
	struct str resource = turn_get(f->data, "response");
	bool ends = false;

	if (str_eq(f->name, STR("error")))
		set(&j->error, f->data);
	if (!str_present(resource))
		return;
	for (unsigned i = 0; i < sizeof(last) / sizeof(*last); i++)
		ends |= str_eq(f->name, last[i]);
	j->finished |= ends;
	set(ends ? &j->last : &j->resource, resource);
}

uint64_t job_event_number(struct str data, uint64_t otherwise)
{
	uint64_t n;

	return str_to_u64(turn_get(data, "sequence_number"), &n) ? n : otherwise;
}

static uint64_t next_number(const struct job *j)
{
	return j->n_events ? j->marks[j->n_events - 1].number + 1 : 0;
}

static void keep_event(struct job *j, const struct frame *f)
{
	if (j->n_events == j->cap) {
		size_t cap = j->cap ? j->cap * 2 : 64;
		struct mark *marks = realloc(j->marks, cap * sizeof(*marks));

		if (!marks)
			return;
		j->marks = marks;
		j->cap = cap;
	}
	buf_put(&j->events, f->raw);
	j->marks[j->n_events] = (struct mark){
		.end = j->events.len,
		.number = job_event_number(f->data, next_number(j)),
	};
	j->n_events++;
	note_resource(j, f);
	if (!j->finished)
		j->n_shown = j->n_events;
}

static void put_event(struct buf *out, const char *name, struct str resource, uint64_t number)
{
	buf_printf(out,
		   "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%llu,\"response\":", name,
		   name, (unsigned long long)number);
	buf_put(out, resource);
	buf_puts(out, "}\n\n");
}

void job_put_end_event(struct buf *out, struct arena *a, struct str resource, uint64_t number)
{
	struct str status = json_unquote(a, turn_get(resource, "status"));

	if (str_eq(status, STR("completed")))
		put_event(out, "response.completed", resource, number);
	else if (str_eq(status, STR("incomplete")))
		put_event(out, "response.incomplete", resource, number);
	else if (str_eq(status, STR("failed")))
		put_event(out, "response.failed", resource, number);
}

/* With the lock held. */
static void wake(struct job_follower *f)
{
	if (!f->woken && loop_post(f->loop, f->wake, f->arg) == RC_OK)
		f->woken = true;
}

/* With the lock held. */
static void wake_followers(struct job *j)
{
	LIST_EACH (&j->followers, it)
		wake(LIST_ENTRY(it, struct job_follower, node));
}

void job_flush(struct job *j)
{
	struct frame f;
	size_t n;

	uv_mutex_lock(&j->lock);
	while (framer_next(&j->framer, buf_str(&j->written), &f, &n) == FRAMER_FRAME) {
		bool end = str_eq(str_trim(f.data), STR("[DONE]"));

		if (!f.comment && str_present(f.data) && !end && !j->ending)
			keep_event(j, &f);
		buf_consume(&j->written, n);
	}
	wake_followers(j);
	uv_mutex_unlock(&j->lock);
}

/* Somebody else has ended it: there is nothing to keep any more, and those who follow it here see it end. */
static void ended_elsewhere(struct job *j)
{
	void (*cancel)(void *runner) = NULL;
	void *runner = NULL;

	uv_mutex_lock(&j->lock);
	if (!j->ending) {
		j->ending = j->ended = true;
		cancel = j->cancel;
		runner = j->runner;
		wake_followers(j);
	}
	uv_mutex_unlock(&j->lock);
	if (runner)
		cancel(runner);
}

static void beaten(void *user, const struct store_answer *a)
{
	struct job *j = user;

	j->beating = false;
	if (a->rc == RC_NOTFOUND)
		ended_elsewhere(j);
	job_unref(j);
}

void job_beat(struct job *j)
{
	struct store_wish w = { .loop = j->loop, .done = beaten, .user = j };
	int64_t now = clock_wall_s();

	if (now < j->beat_at_s || j->beating || !w.loop)
		return;
	j->beat_at_s = now + BEAT_EVERY_S;
	job_ref(j);
	j->beating = true;
	if (store_beat(j->store, j->turn.owner, j->turn.id, now + ALIVE_S, &w, NULL) == RC_OK)
		return;
	j->beating = false;
	log_event(LOG_WARN, "response.not_kept", NULL, LF_STR("response", j->turn.id));
	job_unref(j);
}

/* An error answer may have any code, a resource has one of a list. */
static struct str resource_code(struct str code)
{
	static const struct str known[] = {
		STR_INIT("\"rate_limit_exceeded\""),
		STR_INIT("\"invalid_prompt\""),
		STR_INIT("\"context_length_exceeded\""),
		STR_INIT("\"insufficient_quota\""),
	};

	for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (str_eq(code, known[i]))
			return code;
	return STR("\"server_error\"");
}

/* Why one that has no end of its own has failed, as its resource has it. */
static struct str reason_of(struct job *j, struct arena *a, struct str error)
{
	struct str detail = str_present(error) ? turn_get(error, "error") : STR_NONE, message;

	if (!str_present(detail) && buf_len(&j->error) > 0)
		detail = buf_str(&j->error); /* an event of type error is flat */
	message = str_present(detail) ? turn_get(detail, "message") : STR_NONE;
	if (!str_present(message))
		return STR("{\"code\":\"server_error\",\"message\":\"The answer was cut off.\"}");
	return arena_printf(a, "{\"code\":%.*s,\"message\":%.*s}",
			    STR_ARG(resource_code(turn_get(detail, "code"))), STR_ARG(message));
}

/* Absent when memory is out. */
static struct str failed_resource(struct job *j, struct arena *a, struct str reason)
{
	const struct turn_member m[2] = { { "status", STR("\"failed\"") }, { "error", reason } };

	return a && str_present(reason) && buf_ok(&j->resource)
		       ? turn_set(a, buf_str(&j->resource), m, 2)
		       : STR_NONE;
}

/* A stream that has not said how it ends: those who follow it are told, and before that what it is, if nothing was said at all. */
static void end_events(struct job *j, struct str failed)
{
	struct buf words;
	struct frame f;
	size_t n;

	buf_init(&words, 2 * j->events.max + 1024);
	if (j->n_events == 0)
		put_event(&words, "response.created", buf_str(&j->resource), 0);
	put_event(&words, "response.failed", failed, j->n_events == 0 ? 1 : next_number(j));
	framer_done(&j->framer); /* what stands in it is no whole event */
	framer_init(&j->framer, FRAMING_SSE, words.max);
	while (buf_ok(&words) && framer_next(&j->framer, buf_str(&words), &f, &n) == FRAMER_FRAME) {
		keep_event(j, &f);
		buf_consume(&words, n);
	}
	buf_done(&words);
}

/* With the lock held. */
static void fail(struct job *j, struct str error)
{
	struct arena *a = arena_new(SCRATCH_MAX);
	struct str failed = a ? failed_resource(j, a, reason_of(j, a, error)) : STR_NONE;

	if (str_present(failed))
		end_events(j, failed); /* which note it too, */
	if (str_present(failed) && !j->finished)
		set(&j->last, failed); /* unless there are too many */
	arena_free(a);
}

/* --- the end --- */

/* The store did not take it: that much it may take. Who follows it has all of it, who polls is told that it was not kept. With the lock
 * held. */
static void put_not_kept(struct job *j)
{
	static const struct str reason =
		STR_INIT("{\"code\":\"server_error\",\"message\":\"The gateway could not keep "
			 "the response: the store failed, or it is longer than store.max_size.\"}");
	struct arena *a = arena_new(SCRATCH_MAX);
	struct str failed = failed_resource(j, a, reason);

	log_not_kept(j);
	if (str_present(failed))
		(void)!put(j, failed, STR_NONE, 0, NULL, NULL);
	arena_free(a);
}

/* Nothing more will come. With the lock held. */
static void show_end(struct job *j, int rc)
{
	if (rc != RC_OK && rc != RC_NOTFOUND)
		put_not_kept(j);
	if (rc != RC_NOTFOUND) /* else somebody has ended it otherwise */
		j->n_shown = j->n_events;
	j->ended = true;
	wake_followers(j);
}

static void end_is_kept(void *user, const struct store_answer *a)
{
	struct job *j = user;

	uv_mutex_lock(&j->lock);
	show_end(j, a->rc);
	uv_mutex_unlock(&j->lock);
	job_unref(j);
}

/* `last` is how it ended. With the lock held. Who asks from now on finds no job, and so asks the store, behind this. */
static void put_end(struct job *j)
{
	struct store_wish w = { .loop = j->loop, .done = end_is_kept, .user = j };
	struct str events = buf_ok(&j->events) ? buf_str(&j->events) : STR_NONE;
	int rc;

	j->ending = true;
	job_ref(j);
	delist(j);
	rc = buf_ok(&j->last) && buf_len(&j->last) > 0
		     ? put(j, buf_str(&j->last), events, 0, &w, NULL)
		     : RC_NOMEM;
	if (rc == RC_OK)
		return;
	show_end(j, RC_NOMEM);
	job_unref(j); /* who calls has one too */
}

void job_end(struct job *j, struct str error)
{
	job_flush(j);
	uv_mutex_lock(&j->lock);
	if (!j->finished && !j->ending)
		fail(j, error);
	if (!j->ending)
		put_end(j);
	j->loop = NULL;
	j->runner = NULL;
	uv_mutex_unlock(&j->lock);
	delist(j); /* unless that was done */
}

/* --- anybody --- */

struct str job_resource(struct job *j, struct arena *a)
{
	struct str s;

	uv_mutex_lock(&j->lock);
	s = buf_ok(&j->resource) ? arena_dup(a, buf_str(&j->resource)) : STR_NONE;
	uv_mutex_unlock(&j->lock);
	return s;
}

static void tell_runner(void *arg)
{
	struct job *j = arg;
	void (*cancel)(void *runner);
	void *runner;

	uv_mutex_lock(&j->lock);
	cancel = j->cancel;
	runner = j->runner; /* its own loop runs this: it cannot end meanwhile */
	uv_mutex_unlock(&j->lock);
	if (runner)
		cancel(runner);
	job_unref(j);
}

void job_cancel(struct job *j)
{
	static const struct turn_member cancelled = { "status", STR_INIT("\"cancelled\"") };
	struct arena *a = arena_new(SCRATCH_MAX);
	struct str resource;

	uv_mutex_lock(&j->lock);
	if (!j->ending && !j->finished) {
		resource = a && buf_ok(&j->resource)
				   ? turn_set(a, buf_str(&j->resource), &cancelled, 1)
				   : STR_NONE;
		if (str_present(resource))
			set(&j->last, resource);
		put_end(j);
		if (j->loop && loop_post(j->loop, tell_runner, job_ref(j)) != RC_OK)
			job_unref(j); /* it runs to its end, and nobody will see it */
	}
	uv_mutex_unlock(&j->lock);
	arena_free(a);
}

void job_follow(struct job *j, struct job_follower *f)
{
	uv_mutex_lock(&j->lock);
	list_append(&j->followers, &f->node);
	uv_mutex_unlock(&j->lock);
}

void job_woken(struct job *j, struct job_follower *f)
{
	uv_mutex_lock(&j->lock);
	f->woken = false;
	uv_mutex_unlock(&j->lock);
}

void job_rouse(struct job *j, struct job_follower *f)
{
	uv_mutex_lock(&j->lock);
	wake(f);
	uv_mutex_unlock(&j->lock);
}

bool job_unfollow(struct job *j, struct job_follower *f)
{
	bool arrives;

	uv_mutex_lock(&j->lock);
	list_remove(&f->node);
	arrives = f->woken;
	uv_mutex_unlock(&j->lock);
	return arrives;
}

/* Where there were more events than are kept: how it ended. With the lock held. */
static void put_end_alone(struct job *j, uint64_t from, struct buf *out)
{
	uint64_t number = j->n_events ? j->marks[j->n_events - 1].number : 0;
	struct arena *a = arena_new(SCRATCH_MAX);

	if (a && number >= from && j->n_shown == j->n_events && buf_ok(&j->last))
		job_put_end_event(out, a, buf_str(&j->last), number);
	arena_free(a);
}

enum job_rest job_read(struct job *j, struct job_cursor *c, size_t enough, struct buf *out)
{
	enum job_rest rest;

	uv_mutex_lock(&j->lock);
	while (c->next < j->n_shown && buf_len(out) < enough && buf_ok(&j->events)) {
		const struct mark *m = &j->marks[c->next];
		size_t begin = c->next++ ? m[-1].end : 0;

		if (m->number >= c->from)
			buf_put(out, (struct str){ j->events.ptr + begin, m->end - begin });
	}
	if (c->next < j->n_shown && buf_ok(&j->events))
		rest = JOB_MORE;
	else
		rest = j->ended ? JOB_OVER : JOB_WAIT;
	if (rest == JOB_OVER && !buf_ok(&j->events))
		put_end_alone(j, c->from, out);
	uv_mutex_unlock(&j->lock);
	return rest;
}
