/* tests/unit/protocols/test_glance.c - mirrors src/protocols/glance.c.
 * Rule under test: a name is found only where it is a member's name, never inside a string; the last one counts. */
#include "base/buf.h"
#include "check.h"
#include "protocols/glance.h"

#define USAGE STR("\"usage\"")

static void finds_the_last_member(void **state)
{
	CHECK_STR(glance_last(STR("{\"usage\":{\"a\":1},\"x\":{\"usage\" : {\"a\":2}}}"), USAGE),
		  "{\"a\":2}}}");
	CHECK_STR(glance_last(STR("{\"usage\":\n\t7}"), USAGE), "7}");
	CHECK_STR_IS(glance_last(STR("{\"usages\":1}"), USAGE), STR_NONE);
	CHECK_STR_IS(glance_last(STR("{\"usage\":"), USAGE), STR(""));
}

static void a_string_that_talks_of_it_is_not_it(void **state)
{
	struct str talk =
		STR("{\"content\":\"say \\\"usage\\\": "
		    "{\\\"a\\\":9}\",\"v\":\"usage\",\"usage\":{\"a\":1},\"w\":[\"usage\"]}");

	CHECK_STR(glance_last(talk, USAGE), "{\"a\":1},\"w\":[\"usage\"]}");
	CHECK_STR_IS(glance_last(STR("{\"content\":\"\\\"usage\\\":1\"}"), USAGE), STR_NONE);
}

/* Wherever in sixteen bytes they stand, and whichever of them share their first letters. */
static void several_are_found_in_one_pass(void **state)
{
	struct glance_member m[] = {
		{ .quoted = STR("\"usage\"") },  { .quoted = STR("\"used\"") },
		{ .quoted = STR("\"error\"") },  { .quoted = STR("\"output\"") },
		{ .quoted = STR("\"status\"") }, { .quoted = STR("\"usable\"") },
	};
	char text[200];

	(void)state;
	for (int pad = 0; pad < 40; pad++) {
		int n = snprintf(
			text, sizeof(text),
			"{\"p\":\"%*s\",\"used\":1,\"usage\":{\"usage\":2},\"status\":\"output\","
			"\"error\":null,\"usable\":3}",
			pad, "");
		struct str s = { text, (size_t)n };

		glance_members(s, m, 6);
		CHECK_STR(m[0].value, "2},\"status\":\"output\",\"error\":null,\"usable\":3}");
		assert_int_equal(m[0].times, 2);
		assert_int_equal(m[1].times, 1);
		assert_true(m[1].value.ptr[0] == '1' && m[2].value.ptr[0] == 'n');
		assert_int_equal(m[3].times, 0);
		assert_null(m[3].value.ptr);
		assert_true(str_starts(m[4].value, STR("\"output\",")));
		CHECK_STR(m[5].value, "3}");
	}
}

static void beginnings_of_strings_are_found_anywhere(void **state)
{
	static const struct str starts[] = { STR_INIT("\"lgw1."), STR_INIT("\"lg\""),
					     STR_INIT("\"input"), STR_INIT("\"lgw2."),
					     STR_INIT("\"tail\"") };
	char text[200];

	(void)state;
	for (int pad = 0; pad < 40; pad++) {
		int n = snprintf(text, sizeof(text),
				 "{\"%*s\":[\"lgw1.x\",\"lgw2\",\"\\\"lg\\\"\"],\"tail\":1}", pad,
				 "");
		struct str s = { text, (size_t)n };

		assert_int_equal(glance_strings(s, starts, 5), 1u << 0 | 1u << 4);
		assert_int_equal(glance_strings(s, starts, 1), 1);
		assert_int_equal(glance_strings(s, starts + 1, 1), 0);
	}
	assert_int_equal(glance_strings(STR("\"l"), starts, 5), 0);
	assert_int_equal(glance_strings(STR(""), starts, 5), 0);
}

static void note_string(void *user, unsigned which, struct str rest)
{
	struct buf *found = user;
	struct str s = which ? glance_string(rest) : glance_string_of(rest);

	buf_printf(found, "%u%.*s;", which, STR_ARG(s));
}

/* What is cut off, or no string, is absent. What is said of one in another is found too. */
static void strings_are_told_whole(void **state)
{
	static const struct str starts[] = { STR_INIT("\"sealed\""), STR_INIT("\"rs_") };
	struct buf found;

	(void)state;
	buf_init(&found, 1000);
	glance_each(STR("{\"sealed\" : "
			"\"a\\\"b\",\"x\":\"\\\"rs_0\\\"\",\"id\":\"rs_1\",\"sealed\":null,"
			"\"y\":\"sealed\",\"rs_2\":\"rs_3\",\"sealed\":\"cut"),
		    starts, 2, note_string, &found);
	CHECK_STR(buf_str(&found),
		  "0\"a\\\"b\";1\"rs_0\\\"\";1\"rs_1\";0;0;1\"rs_2\";1\"rs_3\";0;");
	buf_done(&found);
	CHECK_STR_IS(glance_string(STR("\"a\\")), STR_NONE);
	CHECK_STR_IS(glance_string(STR("\"")), STR_NONE);
	CHECK_STR_IS(glance_string(STR("")), STR_NONE);
	CHECK_STR_IS(glance_string(STR("7")), STR_NONE);
	CHECK_STR_IS(glance_string_of(STR("\"a\":")), STR_NONE);
	CHECK_STR_IS(glance_string_of(STR("\"a\"")), STR_NONE);
	CHECK_STR(glance_string_of(STR("\"a\"\n:\t\"\"}")), "\"\"");
}

struct counts {
	int64_t a, b, inner;
};

static const struct glance_count places[] = {
	{ STR_INIT(""), STR_INIT("a"), offsetof(struct counts, a) },
	{ STR_INIT(""), STR_INIT("b"), offsetof(struct counts, b) },
	{ STR_INIT("in"), STR_INIT("a"), offsetof(struct counts, inner) },
};

static struct counts count(const char *text, bool want)
{
	struct counts c = { -1, -1, -1 };

	assert_int_equal(glance_counts(str_from(text), places, 3, &c), want);
	return c;
}

static void counts_are_read_where_they_stand(void **state)
{
	struct counts c =
		count("{\"a\":1,\"in\":{\"a\":2,\"deep\":{\"a\":9}},\"b\" : 3},\"a\":8}", true);

	assert_int_equal(c.a, 1);
	assert_int_equal(c.b, 3);
	assert_int_equal(c.inner, 2);
}

static void what_is_no_count_is_passed_over(void **state)
{
	struct counts c = count(
		"{\"a\":-5,\"b\":null,\"in\":null,\"s\":\"}\\\"{\",\"x\":99999999999999999999}",
		true);

	assert_int_equal(c.a, -1);
	assert_int_equal(c.b, -1);
	assert_int_equal(c.inner, -1);
	(void)count("{\"a\":1", false);
	(void)count("{\"a", false);
	(void)count("{\"a\\", false);
	(void)count("[1]", false);
	(void)count("", false);
}

static void an_object_begins_and_ends_as_one(void **state)
{
	assert_true(glance_is_object(STR(" {\"a\":1}\n")));
	assert_false(glance_is_object(STR("{\"a\":1")));
	assert_false(glance_is_object(STR("<html>")));
	assert_false(glance_is_object(STR("{")));
	assert_false(glance_is_object(STR("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_last_member),
		cmocka_unit_test(a_string_that_talks_of_it_is_not_it),
		cmocka_unit_test(several_are_found_in_one_pass),
		cmocka_unit_test(beginnings_of_strings_are_found_anywhere),
		cmocka_unit_test(strings_are_told_whole),
		cmocka_unit_test(counts_are_read_where_they_stand),
		cmocka_unit_test(what_is_no_count_is_passed_over),
		cmocka_unit_test(an_object_begins_and_ends_as_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
