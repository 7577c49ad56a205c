/* tests/unit/store/test_store.c - mirrors src/store/: every backend keeps the same promises, the queue keeps order
 * and bounds, and a file that cannot be used is said to be so. */
#include "rig.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/arena.h"
#include "base/clock.h"
#include "store/items.h"
#include "store/store.h"

/* --- a store on a loop --- */

struct fixture {
	struct rig rig;
	struct store *store;
	char dir[64], path[128];
	bool in_file;
	/* the last answer */
	bool answered;
	int rc;
	unsigned n;
	char text[512]; /* id=answer/input/events; of each turn */
	int64_t alive_until_s;
};

static void take(void *user, const struct store_answer *a)
{
	struct fixture *f = user;
	size_t at = 0;

	f->answered = true;
	f->rc = a->rc;
	f->n = a->rc == RC_OK ? a->n : 0;
	f->text[0] = '\0';
	for (unsigned i = 0; i < f->n; i++) {
		const struct stored_turn *t = &a->turns[i];

		at += (size_t)snprintf(f->text + at, sizeof(f->text) - at, "%.*s=%.*s/%.*s/%.*s;",
				       STR_ARG(t->id), STR_ARG(t->answer), STR_ARG(t->input),
				       STR_ARG(t->events));
		f->alive_until_s = t->alive_until_s;
	}
}

static void open_with(struct fixture *f, size_t max_bytes)
{
	struct store_options o = { .path = f->in_file ? str_from(f->path) : STR_NONE,
				   .max_bytes = max_bytes,
				   .max_queued = 1 << 20,
				   .sweep_ms = 20 };
	struct err e = { 0 };

	f->store = store_open(&o, &e);
	if (!f->store)
		fail_msg("%s", e.msg);
}

static void set_up(struct fixture *f, bool in_file)
{
	*f = (struct fixture){ .in_file = in_file };
	rig_init(&f->rig);
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/gw-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/deep/state.db", f->dir);
	open_with(f, 1 << 20);
}

static void tear_down(struct fixture *f)
{
	static const char *const names[] = { "/deep/state.db",
					     "/deep/state.db-wal",
					     "/deep/state.db-shm",
					     "/deep/state.db-runners",
					     "/deep",
					     "" };
	char path[256];

	store_close(f->store);
	rig_done(&f->rig);
	for (unsigned i = 0; i < 6; i++) {
		(void)snprintf(path, sizeof(path), "%s%s", f->dir, names[i]);
		(void)remove(path);
	}
}

/* Each test that every backend must pass runs on both. */
#define ON_BOTH(name)                         \
	static void name(void **state)        \
	{                                     \
		struct fixture f;             \
                                              \
		(void)state;                  \
		for (int i = 0; i < 2; i++) { \
			set_up(&f, i == 1);   \
			check_##name(&f);     \
			tear_down(&f);        \
		}                             \
	}

static struct store_wish wish(struct fixture *f)
{
	f->answered = false;
	return (struct store_wish){ .loop = &f->rig.loop, .done = take, .user = f };
}

static struct stored_turn turn(const char *id, const char *owner, const char *previous)
{
	int64_t now = clock_wall_s();

	return (struct stored_turn){ .id = str_from(id),
				     .owner = str_from(owner),
				     .previous = str_from(previous),
				     .created_s = now,
				     .expires_s = now + 3600,
				     .answer = str_from(id),
				     .input = STR("in"),
				     .events = STR_NONE };
}

static int put(struct fixture *f, struct stored_turn t)
{
	struct store_wish w = wish(f);

	assert_int_equal(store_put(f->store, &t, &w, NULL), RC_OK);
	RUN_UNTIL(&f->rig, f->answered);
	return f->rc;
}

static int get(struct fixture *f, const char *owner, const char *id)
{
	struct store_wish w = wish(f);

	assert_int_equal(store_get(f->store, str_from(owner), str_from(id), &w, NULL), RC_OK);
	RUN_UNTIL(&f->rig, f->answered);
	return f->rc;
}

static int chain_within(struct fixture *f, const char *owner, const char *id, size_t max)
{
	struct store_wish w = wish(f);

	assert_int_equal(store_chain(f->store, str_from(owner), str_from(id), max, &w, NULL),
			 RC_OK);
	RUN_UNTIL(&f->rig, f->answered);
	return f->rc;
}

static int chain(struct fixture *f, const char *owner, const char *id)
{
	return chain_within(f, owner, id, 1 << 20);
}

static int delete (struct fixture *f, const char *owner, const char *id)
{
	struct store_wish w = wish(f);

	assert_int_equal(store_remove(f->store, str_from(owner), str_from(id), &w, NULL), RC_OK);
	RUN_UNTIL(&f->rig, f->answered);
	return f->rc;
}

/* --- what every backend promises --- */

static void check_what_was_put_is_got(struct fixture *f)
{
	struct stored_turn t = turn("a", "ann", NULL);

	t.answer = STR("{\"x\":\"\xc3\xa9\"}");
	t.events = STR("ev\0en");
	assert_int_equal(put(f, t), RC_OK);
	assert_int_equal(get(f, "ann", "a"), RC_OK);
	assert_string_equal(f->text, "a={\"x\":\"\xc3\xa9\"}/in/ev;");
	assert_int_equal(get(f, "ann", "b"), RC_NOTFOUND);
	t.answer = STR("{}");
	t.events = STR_NONE;
	assert_int_equal(put(f, t), RC_OK);
	assert_int_equal(get(f, "ann", "a"), RC_OK);
	assert_string_equal(f->text, "a={}/in/;");
}
ON_BOTH(what_was_put_is_got)

static void check_another_owner_finds_nothing(struct fixture *f)
{
	assert_int_equal(put(f, turn("a", "ann", NULL)), RC_OK);
	assert_int_equal(get(f, "bob", "a"), RC_NOTFOUND);
	assert_int_equal(chain(f, "bob", "a"), RC_NOTFOUND);
	assert_int_equal(delete (f, "bob", "a"), RC_NOTFOUND);
	assert_int_equal(get(f, "", "a"), RC_NOTFOUND);
	assert_int_equal(put(f, turn("a", "bob", NULL)), RC_INVALID);
	/* one that names another's as its own past */
	assert_int_equal(put(f, turn("b", "bob", "a")), RC_OK);
	assert_int_equal(chain(f, "bob", "b"), RC_NOTFOUND);
	assert_int_equal(get(f, "ann", "a"), RC_OK);
}
ON_BOTH(another_owner_finds_nothing)

static void check_trap_096_a_chain_comes_oldest_first(struct fixture *f)
{
	assert_int_equal(put(f, turn("a", "", NULL)), RC_OK);
	assert_int_equal(put(f, turn("b", "", "a")), RC_OK);
	assert_int_equal(put(f, turn("c", "", "b")), RC_OK);
	assert_int_equal(put(f, turn("d", "", "b")), RC_OK);
	assert_int_equal(chain(f, "", "c"), RC_OK);
	assert_string_equal(f->text, "a=a/in/;b=b/in/;c=c/in/;");
	assert_int_equal(chain(f, "", "d"), RC_OK);
	assert_string_equal(f->text, "a=a/in/;b=b/in/;d=d/in/;");
	assert_int_equal(chain_within(f, "", "c", 8), RC_TOOBIG);
	assert_int_equal(chain_within(f, "", "c", 9), RC_OK);
	assert_int_equal(put(f, turn("y", "", "gone")), RC_OK);
	assert_int_equal(chain(f, "", "y"), RC_NOTFOUND);
}
ON_BOTH(trap_096_a_chain_comes_oldest_first)

/* How many turns have an item of that id, or that one themselves; -1: they are too long. */
static int look_for(struct fixture *f, const char *id, size_t max_bytes)
{
	struct str ids[] = { STR("nowhere"), str_from(id), str_from(id) };
	struct store_wish w = wish(f);

	assert_int_equal(store_find(f->store, STR("ann"), ids, 3, max_bytes, &w, NULL), RC_OK);
	RUN_UNTIL(&f->rig, f->answered);
	if (f->rc == RC_TOOBIG)
		return -1;
	assert_int_equal(f->rc, RC_OK);
	return (int)f->n;
}

static void finds(struct fixture *f, const char *id, const char *turn_id)
{
	assert_int_equal(look_for(f, id, 1 << 20), turn_id ? 1 : 0);
	if (turn_id) {
		assert_memory_equal(f->text, turn_id, strlen(turn_id));
		assert_int_equal(f->text[strlen(turn_id)], '=');
	}
}

static struct stored_turn holding(const char *id, const char *owner, const char *output,
				  const char *input)
{
	struct stored_turn t = turn(id, owner, NULL);

	t.answer = str_from(output);
	t.input = str_from(input);
	return t;
}

static void check_turns_are_found_by_the_items_they_hold(struct fixture *f)
{
	assert_int_equal(put(f,
			     holding("old", "ann", "{\"id\":\"x9\",\"output\":[{\"id\":\"x1\"}]}",
				     "[{\"id\":\"x2\"},{\"role\":\"user\"},7]")),
			 RC_OK);
	assert_int_equal(put(f, holding("new", "ann", "{\"output\":[{\"id\":\"x\\u0033\"}]}",
					"[{\"id\":\"x1\"},{\"id\":\"x2\"},{\"id\":\"x2\"}]")),
			 RC_OK);
	assert_int_equal(put(f,
			     holding("bobs", "bob",
				     "{\"output\":[{\"id\":\"x1\"},{\"id\":\"x4\"}]}", "\"x1\"")),
			 RC_OK);
	assert_int_equal(
		put(f, holding("odd", "ann", "{\"output\":[{\"id\":\"x5\"}", "[{\"id\":\"x6\"},]")),
		RC_OK);        /* no JSON: it is kept and has no items */
	finds(f, "x1", "old"); /* which made it */
	finds(f, "x2", "new"); /* the newest of those that only said it */
	finds(f, "x3", "new");
	finds(f, "old", "old"); /* by its own id */
	finds(f, "bobs", NULL);
	for (unsigned i = 4; i < 10; i++)
		finds(f, (const char[]){ 'x', (char)('0' + i), '\0' }, NULL);
	finds(f, "x", NULL); /* only whole ids */
	assert_int_equal(look_for(f, "x1", 16), -1);
	/* replaced */
	assert_int_equal(put(f, holding("old", "ann", "{\"output\":[{\"id\":\"x7\"}]}", "\"\"")),
			 RC_OK);
	finds(f, "x1", "new");
	finds(f, "x7", "old");
	/* gone */
	assert_int_equal(delete (f, "ann", "new"), RC_OK);
	finds(f, "x1", NULL);
	finds(f, "x2", NULL);
}
ON_BOTH(turns_are_found_by_the_items_they_hold)

static void check_an_item_is_found_however_much_came_after_it(struct fixture *f)
{
	static char long_text[60000];
	struct stored_turn t = turn("", "ann", NULL);
	char id[16];

	memset(long_text, 'x', sizeof(long_text));
	store_close(f->store);
	open_with(f, 64 << 20);
	assert_int_equal(put(f, holding("first", "ann", "{\"output\":[{\"id\":\"x1\"}]}", "[]")),
			 RC_OK);
	t.answer = (struct str){ long_text, sizeof(long_text) };
	for (int i = 0; i < 200; i++) {
		(void)snprintf(id, sizeof(id), "t%d", i);
		t.id = str_from(id);
		assert_int_equal(put(f, t), RC_OK);
	}
	assert_int_equal(look_for(f, "x1", 100), 1);
}
ON_BOTH(an_item_is_found_however_much_came_after_it)

static void check_items_expire_with_their_turn(struct fixture *f)
{
	struct stored_turn t = holding("a", "ann", "{\"output\":[{\"id\":\"x1\"}]}", "[]");

	t.expires_s = clock_wall_s() + 1;
	assert_int_equal(put(f, t), RC_OK);
	finds(f, "x1", "a");
	assert_int_equal(put(f, turn("b", "ann", "a")), RC_OK); /* it stays, but is not shown */
	for (uint64_t until = now_ms() + GUARD_MS; look_for(f, "x1", 1000);)
		assert_true(now_ms() < until);
	assert_int_equal(chain(f, "ann", "b"), RC_OK);
	assert_int_equal(f->n, 2);
}
ON_BOTH(items_expire_with_their_turn)

static void check_a_chain_that_bites_its_tail_ends(struct fixture *f)
{
	assert_int_equal(put(f, turn("a", "", "b")), RC_OK);
	assert_int_equal(put(f, turn("b", "", "a")), RC_OK);
	assert_int_equal(chain(f, "", "a"), RC_TOOBIG);
}
ON_BOTH(a_chain_that_bites_its_tail_ends)

static void check_what_has_expired_is_gone_but_for_those_who_continue_it(struct fixture *f)
{
	struct stored_turn t = turn("a", "", NULL);

	t.expires_s = clock_wall_s() + 1;
	assert_int_equal(put(f, t), RC_OK);
	assert_int_equal(put(f, turn("b", "", "a")), RC_OK);
	for (uint64_t until = now_ms() + GUARD_MS; get(f, "", "a") == RC_OK;)
		assert_true(now_ms() < until);
	assert_int_equal(chain(f, "", "a"), RC_NOTFOUND);
	for (uint64_t until = now_ms() + 100; now_ms() < until;) /* several sweeps */
		assert_int_equal(chain(f, "", "b"), RC_OK);
	assert_string_equal(f->text, "a=a/in/;b=b/in/;");
	t.id = STR("z");
	assert_int_equal(put(f, t), RC_OK);
	t.id = STR("y");
	t.previous = STR("z");
	assert_int_equal(put(f, t), RC_OK);
	/* swept away: its id may be another's */
	t.owner = STR("bob");
	t.previous = STR_NONE;
	for (uint64_t until = now_ms() + GUARD_MS; put(f, t) != RC_OK;)
		assert_true(now_ms() < until);
}
ON_BOTH(what_has_expired_is_gone_but_for_those_who_continue_it)

static void check_a_removed_turn_goes_when_nothing_continues_it(struct fixture *f)
{
	assert_int_equal(put(f, turn("a", "", NULL)), RC_OK);
	assert_int_equal(put(f, turn("b", "", "a")), RC_OK);
	assert_int_equal(delete (f, "", "a"), RC_OK);
	assert_int_equal(delete (f, "", "a"), RC_NOTFOUND);
	assert_int_equal(get(f, "", "a"), RC_NOTFOUND);
	assert_int_equal(chain(f, "", "b"), RC_OK);
	assert_int_equal(f->n, 2);
	assert_int_equal(delete (f, "", "b"), RC_OK);
	/* both are really gone: their ids are free for others */
	assert_int_equal(put(f, turn("a", "bob", NULL)), RC_OK);
	assert_int_equal(put(f, turn("b", "bob", NULL)), RC_OK);
}
ON_BOTH(a_removed_turn_goes_when_nothing_continues_it)

static void check_only_an_unfinished_turn_is_kept_alive(struct fixture *f)
{
	struct stored_turn t = turn("a", "", NULL);

	assert_int_equal(put(f, t), RC_OK);
	assert_int_equal(store_beat(f->store, t.owner, t.id, 77, NULL, NULL), RC_OK);
	assert_int_equal(get(f, "", "a"), RC_OK);
	assert_int_equal(f->alive_until_s, 0);
	t.alive_until_s = 5;
	assert_int_equal(put(f, t), RC_OK);
	assert_int_equal(store_beat(f->store, STR("bob"), t.id, 66, NULL, NULL), RC_OK);
	assert_int_equal(get(f, "", "a"), RC_OK);
	assert_int_equal(f->alive_until_s, 5);
	assert_int_equal(store_beat(f->store, t.owner, t.id, 77, NULL, NULL), RC_OK);
	assert_int_equal(get(f, "", "a"), RC_OK);
	assert_int_equal(f->alive_until_s, 77);
}
ON_BOTH(only_an_unfinished_turn_is_kept_alive)

/* It may be made for longer than it is to be kept. */
static void check_what_is_still_made_does_not_expire(struct fixture *f)
{
	struct stored_turn before = turn("a", "ann", NULL), t = turn("b", "ann", "a");
	int64_t now = clock_wall_s();

	before.expires_s = t.expires_s = now + 1;
	t.alive_until_s = now + 60;
	assert_int_equal(put(f, before), RC_OK);
	assert_int_equal(put(f, t), RC_OK);
	assert_int_equal(store_beat(f->store, t.owner, t.id, now + 70, NULL, NULL), RC_OK);
	for (uint64_t until = now_ms() + GUARD_MS; get(f, "ann", "a") == RC_OK;)
		assert_true(now_ms() < until);
	for (uint64_t until = now_ms() + 100; now_ms() < until;) /* several sweeps */
		assert_int_equal(chain(f, "ann", "b"), RC_OK);
	assert_int_equal(f->n, 2);
	assert_int_equal(get(f, "ann", "b"), RC_OK);
	assert_int_equal(f->alive_until_s, now + 70);
}
ON_BOTH(what_is_still_made_does_not_expire)

static void check_what_ends_a_turn_needs_one_that_is_unfinished(struct fixture *f)
{
	struct stored_turn t = turn("a", "ann", NULL), end = t;

	end.ends = true;
	assert_int_equal(put(f, end), RC_NOTFOUND); /* none was begun */
	t.alive_until_s = clock_wall_s() + 60;
	assert_int_equal(put(f, t), RC_OK);
	assert_int_equal(get(f, "ann", "a"), RC_OK);
	assert_int_equal(f->alive_until_s, t.alive_until_s); /* this process lives */
	assert_int_equal(put(f, end), RC_OK);
	assert_int_equal(put(f, end), RC_NOTFOUND); /* it has ended */
}
ON_BOTH(what_ends_a_turn_needs_one_that_is_unfinished)

static void check_the_oldest_makes_room(struct fixture *f)
{
	static char long_text[20000];
	struct stored_turn t;
	char id[8];
	unsigned left = 0;

	memset(long_text, 'x', sizeof(long_text));
	store_close(f->store);
	open_with(f, 500000);
	for (int i = 0; i < 60; i++) {
		(void)snprintf(id, sizeof(id), "t%d", i);
		t = turn(id, "", NULL);
		t.expires_s += i;
		t.answer = (struct str){ long_text, sizeof(long_text) };
		assert_int_equal(put(f, t), RC_OK);
	}
	assert_int_equal(get(f, "", "t0"), RC_NOTFOUND);
	assert_int_equal(get(f, "", "t59"), RC_OK);
	for (int i = 0; i < 60; i++) {
		(void)snprintf(id, sizeof(id), "t%d", i);
		left += get(f, "", id) == RC_OK;
	}
	assert_true(left >= 8 && left <= 25);
	t.answer = (struct str){ long_text, sizeof(long_text) };
	store_close(f->store);
	open_with(f, 10000);
	assert_int_equal(put(f, t), RC_TOOBIG);
}
ON_BOTH(the_oldest_makes_room)

/* `n` items of different ids, each said twice. */
static size_t write_items(char *to, size_t size, char prefix, unsigned n)
{
	size_t at = 0;

	for (unsigned i = 0; i < n; i++)
		at += (size_t)snprintf(to + at, size - at, "%c{\"id\":\"%c%u\"},{\"id\":\"%c%u\"}",
				       i ? ',' : '[', prefix, i, prefix, i);
	return at + (size_t)snprintf(to + at, size - at, "]");
}

static void check_one_turn_takes_no_more_than_its_share_of_the_index(struct fixture *f)
{
	static char input[200000], answer[1000];
	struct stored_turn t = turn("a", "ann", NULL);
	size_t at = (size_t)snprintf(answer, sizeof(answer), "{\"output\":");

	at += write_items(answer + at, sizeof(answer) - at, 'o', 10);
	(void)snprintf(answer + at, sizeof(answer) - at, "}");
	(void)write_items(input, sizeof(input), 'i', 3000);
	t.answer = str_from(answer);
	t.input = str_from(input);
	assert_int_equal(put(f, t), RC_OK);
	finds(f, "o0", "a");
	finds(f, "o9", "a");
	finds(f, "i0", "a");
	finds(f, "i2037", "a"); /* 20 + 2 * 2038: all that are looked at */
	finds(f, "i2038", NULL);
	assert_int_equal(get(f, "ann", "a"), RC_OK);
}
ON_BOTH(one_turn_takes_no_more_than_its_share_of_the_index)

static void a_turns_ids_are_each_once_and_those_of_its_answer_first(void **state)
{
	struct stored_turn t =
		holding("a", "ann", "{\"output\":[{\"id\":\"x1\"},{\"id\":\"x2\"}]}",
			"[{\"id\":\"x3\"},{\"id\":\"x1\"},{\"id\":\"x3\"},{\"id\":7},{}]");
	struct arena *a = arena_new(1 << 20);
	struct item_id *ids;

	(void)state;
	assert_int_equal(turn_item_ids(a, &t, &ids), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(str_eq(ids[i].id, (struct str){ &"x1x2x3"[2 * i], 2 }));
		assert_int_equal(ids[i].made, i < 2);
	}
	arena_free(a);
}

/* It is kept all the same. */
static void a_turn_that_is_too_large_to_be_read_has_no_ids(void **state)
{
	static char input[100000];
	struct stored_turn t = holding("a", "ann", "{\"output\":[{\"id\":\"x1\"}]}", input);
	struct arena *a = arena_new(32768);
	struct item_id *ids;

	(void)state;
	(void)write_items(input, sizeof(input), 'i', 2000);
	t.input = str_from(input);
	assert_int_equal(turn_item_ids(a, &t, &ids), 1); /* the answer could be */
	assert_true(str_eq(ids[0].id, STR("x1")));
	arena_reset(a);
	t.answer = STR("{}");
	assert_int_equal(turn_item_ids(a, &t, &ids), 0);
	arena_free(a);
}

/* --- the queue --- */

static void a_cancelled_call_does_not_come_back(void **state)
{
	struct fixture f;
	struct store_call *c = NULL;
	struct store_wish w;

	(void)state;
	set_up(&f, false);
	w = wish(&f);
	assert_int_equal(store_get(f.store, STR(""), STR("a"), &w, &c), RC_OK);
	store_cancel(c);
	store_close(f.store);
	f.store = NULL;
	rig_settle(&f.rig, 5);
	assert_false(f.answered);
	tear_down(&f);
}

static void too_much_that_waits_is_refused(void **state)
{
	static char long_text[300000];
	struct fixture f;
	struct stored_turn t = turn("a", "", NULL);
	int rc = RC_OK;

	(void)state;
	memset(long_text, 'x', sizeof(long_text));
	set_up(&f, true);
	t.answer = (struct str){ long_text, sizeof(long_text) };
	for (int i = 0; i < 10000 && rc == RC_OK; i++)
		rc = store_put(f.store, &t, NULL, NULL);
	assert_int_equal(rc, RC_TOOBIG);
	store_close(f.store); /* and what was taken is carried out */
	open_with(&f, 1 << 20);
	assert_int_equal(get(&f, "", "a"), RC_OK);
	tear_down(&f);
}

/* Calls that wait together are made to last together: what fails among them takes none along. */
static void one_that_fails_fails_alone(void **state)
{
	struct fixture f;
	struct stored_turn bad = turn("a", "bob", NULL), good = turn("", "ann", NULL);
	char id[16];

	(void)state;
	set_up(&f, true);
	assert_int_equal(put(&f, turn("a", "ann", NULL)), RC_OK);
	for (int i = 0; i < 200; i++) {
		(void)snprintf(id, sizeof(id), "g%d", i);
		good.id = good.answer = str_from(id);
		assert_int_equal(store_put(f.store, &good, NULL, NULL), RC_OK);
		if (i % 50 == 25)
			assert_int_equal(store_put(f.store, &bad, NULL, NULL), RC_OK);
	}
	for (int i = 0; i < 200; i++) {
		(void)snprintf(id, sizeof(id), "g%d", i);
		assert_int_equal(get(&f, "ann", id), RC_OK);
	}
	assert_int_equal(get(&f, "bob", "a"), RC_NOTFOUND);
	assert_int_equal(get(&f, "ann", "a"), RC_OK);
	tear_down(&f);
}

/* In the place of the system's: what waits for the disk is counted. */
static atomic_int n_syncs;

int fdatasync(int fd)
{
	n_syncs++;
	return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	n_syncs++;
	return (int)syscall(SYS_fsync, fd);
}

/* Nobody waits for the disk with what outlasts the process anyhow, but with an unfinished turn: its id is given away. */
static void an_unfinished_turn_waits_for_the_disk(void **state)
{
	struct stored_turn plain = turn("a", "", NULL), unfinished = turn("b", "", NULL);
	struct fixture f;
	int before;

	(void)state;
	unfinished.alive_until_s = clock_wall_s() + 60;
	set_up(&f, true);
	assert_int_equal(put(&f, plain), RC_OK);
	before = n_syncs;
	assert_int_equal(put(&f, plain), RC_OK);
	assert_int_equal(n_syncs, before);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(put(&f, unfinished), RC_OK);
		assert_true(n_syncs > before);
		before = n_syncs;
		assert_int_equal(put(&f, plain), RC_OK);
		assert_int_equal(n_syncs, before);
	}
	/* what ends it too */
	unfinished.alive_until_s = 0;
	unfinished.ends = true;
	assert_int_equal(put(&f, unfinished), RC_OK);
	assert_true(n_syncs > before);
	before = n_syncs;
	unfinished.alive_until_s = clock_wall_s() + 60;
	unfinished.ends = false;
	/* in one row with others */
	assert_int_equal(store_put(f.store, &plain, NULL, NULL), RC_OK);
	assert_int_equal(store_put(f.store, &plain, NULL, NULL), RC_OK);
	assert_int_equal(put(&f, unfinished), RC_OK);
	assert_true(n_syncs > before);
	tear_down(&f);
}

enum { THREADS = 3, PUTS = 40 };

struct writer {
	struct fixture *f;
	uv_thread_t thread;
	int number;
};

static void write_many(void *arg)
{
	struct writer *w = arg;
	char id[16];

	for (int i = 0; i < PUTS; i++) {
		struct stored_turn t;

		(void)snprintf(id, sizeof(id), "w%d-%d", w->number, i);
		t = turn(id, "", NULL);
		if (store_put(w->f->store, &t, NULL, NULL) != RC_OK)
			abort();
	}
	arena_thread_done();
}

static void threads_share_a_store_and_its_close_finishes_the_queue(void **state)
{
	struct writer writers[THREADS];
	struct fixture f;
	char id[16];

	(void)state;
	set_up(&f, true);
	for (int i = 0; i < THREADS; i++) {
		writers[i] = (struct writer){ .f = &f, .number = i };
		assert_int_equal(uv_thread_create(&writers[i].thread, write_many, &writers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		uv_thread_join(&writers[i].thread);
	store_close(f.store);
	open_with(&f, 1 << 20); /* the file again: nothing was lost */
	assert_string_equal(store_kind(f.store), "sqlite");
	for (int i = 0; i < THREADS; i++) {
		for (int k = 0; k < PUTS; k++) {
			(void)snprintf(id, sizeof(id), "w%d-%d", i, k);
			assert_int_equal(get(&f, "", id), RC_OK);
		}
	}
	tear_down(&f);
}

/* --- the file --- */

static void refuses(struct fixture *f, const char *what)
{
	struct store_options o = { .path = str_from(f->path), .max_bytes = 1 << 20 };
	struct err e = { 0 };

	assert_null(store_open(&o, &e));
	if (str_find(str_from(e.msg), str_from(what)) < 0)
		fail_msg("\"%s\" does not say \"%s\"", e.msg, what);
}

static void the_file_is_its_users_alone(void **state)
{
	struct fixture f;
	struct stat st;
	char wal[160];

	(void)state;
	set_up(&f, true);
	assert_int_equal(put(&f, turn("a", "", NULL)), RC_OK);
	assert_int_equal(stat(f.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	(void)snprintf(wal, sizeof(wal), "%s-wal", f.path);
	assert_int_equal(stat(wal, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	tear_down(&f);
}

static void overwrite(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void a_file_that_is_no_store_is_left_alone(void **state)
{
	struct fixture f;
	struct stat st;

	(void)state;
	set_up(&f, true);
	store_close(f.store);
	f.store = NULL;
	overwrite(f.path,
		  "This is somebody's diary, and it is longer than the head of a database.");
	refuses(&f, "move it away");
	assert_int_equal(stat(f.path, &st), 0);
	assert_true(st.st_size > 60);
	tear_down(&f);
}

static void sql(struct fixture *f, const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, GUARD_MS); /* the store may be sweeping */
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static int count(struct fixture *f, const char *query)
{
	sqlite3_stmt *s;
	sqlite3 *db;
	int n;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, GUARD_MS); /* the store may be sweeping */
	assert_int_equal(sqlite3_prepare_v2(db, query, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	n = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return n;
}

static void a_file_of_a_later_version_is_refused(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, true);
	store_close(f.store);
	f.store = NULL;
	sql(&f, "PRAGMA user_version = 99");
	refuses(&f, "later version");
	tear_down(&f);
}

/* As the version before the index of items made it. */
#define SCHEMA_2                                                               \
	"CREATE TABLE turns (id TEXT PRIMARY KEY, owner TEXT NOT NULL,"        \
	" previous TEXT, created_s INTEGER NOT NULL,"                          \
	" expires_s INTEGER NOT NULL, keep_s INTEGER NOT NULL DEFAULT 0,"      \
	" alive_until_s INTEGER NOT NULL, bytes INTEGER NOT NULL,"             \
	" answer BLOB, input BLOB, events BLOB);"                              \
	"CREATE INDEX turns_previous ON turns(previous) WHERE previous IS NOT" \
	" NULL; CREATE INDEX turns_end ON turns(max(expires_s, keep_s));"      \
	"ALTER TABLE turns ADD COLUMN maker TEXT;"                             \
	"ALTER TABLE turns ADD COLUMN runner INTEGER NOT NULL DEFAULT 0;"      \
	"PRAGMA user_version = 2;"
#define ROW_2(id, answer, input)                                                           \
	"INSERT INTO turns (id, owner, created_s, expires_s, alive_until_s, bytes, "       \
	"answer, input) VALUES ('" id "', 'ann', 1, 9999999999, 0, 300, CAST('" answer "'" \
	" AS BLOB), CAST('" input "' AS BLOB));"

static void a_file_of_the_version_before_is_brought_to_this_one(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, true);
	store_close(f.store);
	assert_int_equal(remove(f.path), 0);
	sql(&f, SCHEMA_2 ROW_2("a", "{\"output\":[{\"id\":\"x1\"},{\"id\":\"x2\"}]}",
			       "[{\"id\":\"x3\"}]") ROW_2("b", "{\"output\":", "[")
			ROW_2("c", "{}", "\"x1\""));
	open_with(&f, 1 << 20);
	finds(&f, "x1", "a");
	finds(&f, "x2", "a");
	finds(&f, "x3", "a");
	finds(&f, "b", "b");
	assert_int_equal(get(&f, "ann", "c"), RC_OK);
	assert_int_equal(put(&f, turn("d", "ann", "a")), RC_OK);
	store_close(f.store);
	assert_int_equal(count(&f, "PRAGMA user_version"), 3);
	assert_int_equal(count(&f, "SELECT count(*) FROM items"), 3);
	open_with(&f, 1 << 20); /* nothing more to do */
	finds(&f, "x1", "a");
	tear_down(&f);
}

/* However turns go, their items go along: also when a gateway of the version before deletes them. */
static void no_item_outlives_its_turn(void **state)
{
	static char long_text[30000];
	struct fixture f;
	struct stored_turn t =
		holding("", "ann", "{\"output\":[{\"id\":\"y\"},{\"id\":\"z\"}]}", "");
	char id[8];

	(void)state;
	memset(long_text, ' ', sizeof(long_text));
	set_up(&f, true);
	store_close(f.store);
	open_with(&f, 1000000);
	t.input = (struct str){ long_text, sizeof(long_text) };
	for (int i = 0; i < 40; i++) { /* the oldest make room */
		(void)snprintf(id, sizeof(id), "t%d", i);
		t.id = str_from(id);
		assert_int_equal(put(&f, t), RC_OK);
	}
	t.expires_s = 1; /* swept */
	t.id = STR("gone");
	assert_int_equal(put(&f, t), RC_OK);
	assert_int_equal(delete (&f, "ann", "t39"), RC_OK);
	for (uint64_t until = now_ms() + GUARD_MS;
	     count(&f, "SELECT count(*) FROM turns WHERE id = 'gone'");)
		assert_true(now_ms() < until);
	sql(&f, "DELETE FROM turns WHERE id = 't38'");
	store_close(f.store);
	assert_true(count(&f, "SELECT count(*) FROM turns") > 2);
	assert_int_equal(
		count(&f, "SELECT count(*) FROM items WHERE turn NOT IN (SELECT id FROM turns)"),
		0);
	assert_int_equal(count(&f, "SELECT 2 * (SELECT count(*) FROM turns) - count(*) FROM items"),
			 0);
	f.store = NULL;
	tear_down(&f);
}

static void a_folder_that_cannot_be_made_is_said(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, false);
	(void)snprintf(f.path, sizeof(f.path), "/proc/none/state.db");
	refuses(&f, "cannot be opened");
	tear_down(&f);
}

static void set_file_limit(rlim_t bytes)
{
	struct rlimit r;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

/* A disk that takes no more, as far as a process without a disk of its own can have one. */
static void a_full_disk_fails_the_call_and_not_the_store(void **state)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct fixture f;
	struct stored_turn t = turn("big", "", NULL);
	static char long_text[400000];

	(void)state;
	memset(long_text, 'x', sizeof(long_text));
	sigaction(SIGXFSZ, &ignore, NULL);
	set_up(&f, true);
	assert_int_equal(put(&f, turn("a", "", NULL)), RC_OK);
	t.answer = (struct str){ long_text, sizeof(long_text) };
	set_file_limit(200000);
	assert_int_equal(put(&f, t), RC_IO);
	set_file_limit(RLIM_INFINITY);
	assert_int_equal(get(&f, "", "big"), RC_NOTFOUND);
	assert_int_equal(get(&f, "", "a"), RC_OK);
	assert_int_equal(put(&f, turn("b", "", "a")), RC_OK);
	assert_int_equal(chain(&f, "", "b"), RC_OK);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_got),
		cmocka_unit_test(another_owner_finds_nothing),
		cmocka_unit_test(trap_096_a_chain_comes_oldest_first),
		cmocka_unit_test(turns_are_found_by_the_items_they_hold),
		cmocka_unit_test(an_item_is_found_however_much_came_after_it),
		cmocka_unit_test(items_expire_with_their_turn),
		cmocka_unit_test(a_chain_that_bites_its_tail_ends),
		cmocka_unit_test(what_has_expired_is_gone_but_for_those_who_continue_it),
		cmocka_unit_test(a_removed_turn_goes_when_nothing_continues_it),
		cmocka_unit_test(only_an_unfinished_turn_is_kept_alive),
		cmocka_unit_test(what_is_still_made_does_not_expire),
		cmocka_unit_test(what_ends_a_turn_needs_one_that_is_unfinished),
		cmocka_unit_test(the_oldest_makes_room),
		cmocka_unit_test(one_turn_takes_no_more_than_its_share_of_the_index),
		cmocka_unit_test(a_turns_ids_are_each_once_and_those_of_its_answer_first),
		cmocka_unit_test(a_turn_that_is_too_large_to_be_read_has_no_ids),
		cmocka_unit_test(a_cancelled_call_does_not_come_back),
		cmocka_unit_test(too_much_that_waits_is_refused),
		cmocka_unit_test(one_that_fails_fails_alone),
		cmocka_unit_test(an_unfinished_turn_waits_for_the_disk),
		cmocka_unit_test(threads_share_a_store_and_its_close_finishes_the_queue),
		cmocka_unit_test(the_file_is_its_users_alone),
		cmocka_unit_test(a_file_that_is_no_store_is_left_alone),
		cmocka_unit_test(a_file_of_a_later_version_is_refused),
		cmocka_unit_test(a_file_of_the_version_before_is_brought_to_this_one),
		cmocka_unit_test(no_item_outlives_its_turn),
		cmocka_unit_test(a_folder_that_cannot_be_made_is_said),
		cmocka_unit_test(a_full_disk_fails_the_call_and_not_the_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
