/* tests/unit/exchange/test_recent.c - mirrors src/exchange/recent.c. What is kept is held to the byte: everything that is not
 * reachable any more is gone, everything that is can be put together. */
#include "check.h"
#include "exchange/recent.h"

static struct recent_turn *add(struct recent *r, struct recent_turn *before, const char *id)
{
	struct stored_turn t = { .id = str_from(id), .answer = STR("{}"), .input = str_from(id) };
	struct recent_turn *made = recent_turn_new(r, before, &t);

	assert_non_null(made);
	return made;
}

/* Adds and shows. */
static void show(struct recent *r, const char *before_id, const char *id, size_t max)
{
	struct recent_turn *before = before_id ? recent_find(r, str_from(before_id)) : NULL;
	struct recent_turn *t = add(r, before, id);

	assert_int_equal(before != NULL, before_id != NULL);
	recent_show(r, t, NULL, max);
	recent_unref(t);
	recent_unref(before);
}

static bool has(struct recent *r, const char *id)
{
	struct recent_turn *t = recent_find(r, str_from(id));

	recent_unref(t);
	return t != NULL;
}

/* The inputs of a chain, in order: "one two three". */
static void check_chain(struct recent *r, const char *id, const char *want)
{
	struct recent_turn *t = recent_find(r, str_from(id));
	struct arena *a = arena_new(1 << 20);
	struct stored_turn *turns;
	char text[256] = "";
	unsigned n;

	assert_non_null(t);
	turns = recent_chain(t, a, &n);
	assert_non_null(turns);
	for (unsigned i = 0; i < n; i++) {
		size_t len = strlen(text);

		snprintf(text + len, sizeof(text) - len, "%s%.*s", i ? " " : "",
			 STR_ARG(turns[i].input));
		assert_int_equal(turns[i].previous.ptr != NULL, i > 0);
	}
	assert_string_equal(text, want);
	arena_free(a);
	recent_unref(t);
}

static void a_conversation_may_fork(void **state)
{
	struct recent r;

	(void)state;
	recent_init(&r);
	show(&r, NULL, "one", 1 << 20);
	show(&r, "one", "two", 1 << 20);
	show(&r, "one", "three", 1 << 20);
	show(&r, "three", "four", 1 << 20);
	check_chain(&r, "two", "one two");
	check_chain(&r, "four", "one three four");
	assert_false(has(&r, "five"));
	recent_clear(&r);
	assert_int_equal(r.bytes, 0);
}

static void what_is_forgotten_lives_on_in_what_continues_it(void **state)
{
	struct recent r;

	(void)state;
	recent_init(&r);
	show(&r, NULL, "one", 1 << 20);
	show(&r, "one", "two", 1 << 20);
	recent_forget(&r, STR("one"));
	recent_forget(&r, STR("one"));
	assert_false(has(&r, "one"));
	check_chain(&r, "two", "one two");
	recent_forget(&r, STR("two"));
	assert_int_equal(r.bytes, 0);
	assert_int_equal(r.n_shown, 0);
}

static void the_oldest_go_when_there_are_many(void **state)
{
	char id[32];
	struct recent r;

	(void)state;
	recent_init(&r);
	for (int i = 0; i < RECENT_SHOWN_MAX + 3; i++) {
		snprintf(id, sizeof(id), "turn%d", i);
		show(&r, NULL, id, 1 << 20);
	}
	assert_int_equal(r.n_shown, RECENT_SHOWN_MAX);
	assert_false(has(&r, "turn2"));
	assert_true(has(&r, "turn3"));
	recent_clear(&r);
	assert_int_equal(r.bytes, 0);
}

static void the_oldest_go_when_they_are_long(void **state)
{
	struct recent r;
	size_t one;

	(void)state;
	recent_init(&r);
	show(&r, NULL, "aaa", 1 << 20);
	one = r.bytes;
	show(&r, NULL, "bbb", 2 * one);
	show(&r, NULL, "ccc", 2 * one);
	assert_false(has(&r, "aaa"));
	assert_true(has(&r, "bbb") && has(&r, "ccc"));
	/* A chain cannot be kept in part, and the newest stays. */
	show(&r, "ccc", "ddd", 2 * one);
	assert_true(has(&r, "ccc") && has(&r, "ddd"));
	show(&r, "ddd", "eee", 2 * one);
	assert_int_equal(r.n_shown, 1);
	check_chain(&r, "eee", "ccc ddd eee");
	show(&r, NULL, "fff", 2 * one);
	assert_int_equal(r.n_shown, 1);
	assert_int_equal(r.bytes, one);
	recent_clear(&r);
	assert_int_equal(r.bytes, 0);
}

/* What running exchanges hold is theirs: it takes nothing of the room of what is shown. */
static void what_is_only_held_drives_nothing_out(void **state)
{
	struct recent_turn *held;
	struct recent r;
	size_t one;

	(void)state;
	recent_init(&r);
	show(&r, NULL, "aaa", 1 << 20);
	one = r.bytes;
	show(&r, "aaa", "bbb", 2 * one);
	held = recent_find(&r, STR("bbb"));
	recent_forget(&r, STR("aaa"));
	recent_forget(&r, STR("bbb"));
	show(&r, NULL, "ccc", 2 * one);
	show(&r, NULL, "ddd", 2 * one);
	assert_true(has(&r, "ccc") && has(&r, "ddd"));
	assert_int_equal(r.bytes, 4 * one);
	/* It counts again with what continues it. */
	{
		struct recent_turn *next = add(&r, held, "eee");

		recent_show(&r, next, NULL, 3 * one);
		recent_unref(next);
	}
	recent_unref(held);
	assert_int_equal(r.n_shown, 1);
	check_chain(&r, "eee", "aaa bbb eee");
	assert_int_equal(r.bytes, 3 * one);
	assert_int_equal(r.shown_bytes, 3 * one);
	recent_clear(&r);
	assert_int_equal(r.bytes, 0);
	assert_int_equal(r.shown_bytes, 0);
}

static void an_id_given_twice_is_the_later_turn(void **state)
{
	struct recent r;

	(void)state;
	recent_init(&r);
	show(&r, NULL, "one", 1 << 20);
	show(&r, "one", "one", 1 << 20);
	assert_int_equal(r.n_shown, 1);
	check_chain(&r, "one", "one one");
	recent_clear(&r);
	assert_int_equal(r.bytes, 0);
}

static void turns_of_the_store_become_a_chain(void **state)
{
	struct stored_turn turns[] = { { .id = STR("a"), .answer = STR("1"), .input = STR("x") },
				       { .id = STR("b"), .answer = STR("2"), .input = STR("y") } };
	struct recent_turn *last;
	struct recent r;

	(void)state;
	recent_init(&r);
	last = recent_turns_new(&r, turns, 2);
	assert_non_null(last);
	assert_false(has(&r, "a") || has(&r, "b")); /* only what was said here is shown */
	recent_show(&r, last, NULL, 1 << 20);
	recent_unref(last);
	check_chain(&r, "b", "x y");
	recent_clear(&r);
	assert_int_equal(r.bytes, 0);
}

static void a_reference_outlives_what_is_shown(void **state)
{
	struct recent_turn *held;
	struct recent r;

	(void)state;
	recent_init(&r);
	show(&r, NULL, "one", 1 << 20);
	held = recent_find(&r, STR("one"));
	recent_clear(&r);
	assert_true(r.bytes > 0);
	recent_unref(held);
	assert_int_equal(r.bytes, 0);
	assert_null(recent_unref(NULL));
}

static void check_item(struct recent *r, const char *id, const char *turn_id)
{
	struct recent_turn *t = recent_find_item(r, str_from(id));

	assert_int_equal(t != NULL, turn_id != NULL);
	if (t)
		assert_true(str_eq(recent_turn_text(t).id, str_from(turn_id)));
	recent_unref(t);
}

static void items_are_found_while_their_turn_is_kept(void **state)
{
	struct stored_turn one = { .id = STR("one"),
				   .maker = STR("acme"),
				   .answer = STR("{\"output\":[{\"id\":\"x1\"}]}"),
				   .input = STR("[{\"id\":\"x2\"}]") };
	struct stored_turn two = { .id = STR("two"), .answer = STR("{}"), .input = one.input };
	struct recent_turn *a, *b;
	struct recent r, other;

	(void)state;
	recent_init(&r);
	recent_init(&other);
	a = recent_turn_new(&r, NULL, &one);
	b = recent_turn_new(&r, a, &two);
	assert_true(str_eq(recent_turn_text(a).maker, STR("acme")));
	recent_show(&r, b, NULL, 1 << 20);
	recent_unref(a);
	recent_unref(b);
	check_item(&r, "x1", "one"); /* not shown, but a part of what is */
	check_item(&r, "x2", "two");
	check_item(&r, "one", "one"); /* by its own id */
	check_item(&r, "x3", NULL);
	check_item(&other, "x1", NULL);
	recent_forget(&r, STR("two"));
	check_item(&r, "x1", NULL);
	assert_int_equal(r.bytes, 0);
}

static void an_item_is_taken_from_the_newest_turn_that_made_it(void **state)
{
	static const char *const outputs[] = { "{\"output\":[{\"id\":\"x1\"}]}",
					       "{\"output\":[{\"id\":\"x1\"}]}", "{}", "{}" };
	static const char *const ids[] = { "one", "two", "three", "four" };
	struct recent r;

	(void)state;
	recent_init(&r);
	for (int i = 0; i < 4; i++) {
		struct stored_turn turn = { .id = str_from(ids[i]),
					    .answer = str_from(outputs[i]),
					    .input = STR("[{\"id\":\"x1\"},{\"id\":\"x2\"}]") };
		struct recent_turn *t = recent_turn_new(&r, NULL, &turn);

		assert_non_null(t);
		recent_show(&r, t, NULL, 1 << 20);
		recent_unref(t);
	}
	check_item(&r, "x1", "two");
	check_item(&r, "x2", "four");
	recent_clear(&r);
	assert_int_equal(r.bytes, 0);
}

static void a_very_long_chain_ends_without_deep_calls(void **state)
{
	struct recent_turn *last = NULL;
	struct recent r;

	(void)state;
	recent_init(&r);
	for (int i = 0; i < 200000; i++) {
		struct recent_turn *next = add(&r, last, "x");

		recent_unref(last);
		last = next;
	}
	recent_unref(last);
	assert_int_equal(r.bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_conversation_may_fork),
		cmocka_unit_test(what_is_forgotten_lives_on_in_what_continues_it),
		cmocka_unit_test(the_oldest_go_when_there_are_many),
		cmocka_unit_test(the_oldest_go_when_they_are_long),
		cmocka_unit_test(what_is_only_held_drives_nothing_out),
		cmocka_unit_test(an_id_given_twice_is_the_later_turn),
		cmocka_unit_test(turns_of_the_store_become_a_chain),
		cmocka_unit_test(a_reference_outlives_what_is_shown),
		cmocka_unit_test(items_are_found_while_their_turn_is_kept),
		cmocka_unit_test(an_item_is_taken_from_the_newest_turn_that_made_it),
		cmocka_unit_test(a_very_long_chain_ends_without_deep_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
