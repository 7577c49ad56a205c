/* tests/unit/base/test_str.c - mirrors src/base/str.c. */
#include "check.h"

static void absent_and_empty_are_told_apart(void **state)
{
	assert_false(str_present(STR_NONE));
	assert_true(str_present(STR("")));
	assert_true(str_eq(STR_NONE, STR("")));
	assert_false(str_present(str_from(NULL)));
	assert_int_equal(str_from("abc").len, 3);
}

static void comparing(void **state)
{
	assert_true(str_eq(STR("a\0b"), STR("a\0b")));
	assert_false(str_eq(STR("a\0b"), STR("a\0c")));
	assert_true(str_ieq(STR("Content-LENGTH"), STR("content-length")));
	assert_false(str_ieq(STR("a"), STR("ab")));
	/* '[' and '{' differ in the bit that letters fold by; so do '@' and '`'. */
	assert_false(str_ieq(STR("[@"), STR("{`")));
	assert_false(str_ieq(STR("\xc3\x89"), STR("\xc3\xa9")));
	assert_true(str_starts(STR("abc"), STR("ab")) && str_starts(STR("abc"), STR("")));
	assert_false(str_starts(STR("ab"), STR("abc")));
	assert_true(str_istarts(STR("BEARER x"), STR("bearer ")));
	assert_true(str_ends(STR("abc"), STR("bc")) && str_ends(STR("abc"), STR("abc")));
	assert_false(str_ends(STR("bc"), STR("abc")));
}

static void cutting(void **state)
{
	struct str rest = STR("a,,b"), none = STR_NONE;

	CHECK_STR(str_cut(&rest, ','), "a");
	CHECK_STR(str_cut(&rest, ','), "");
	CHECK_STR(str_cut(&rest, ','), "b");
	assert_null(rest.ptr);
	assert_null(str_cut(&none, ',').ptr);
	rest = STR("a,");
	CHECK_STR(str_cut(&rest, ','), "a");
	CHECK_STR(rest, ""); /* present: an empty last part follows */
	CHECK_STR(str_trim(STR(" \t\r\na b\n ")), "a b");
	CHECK_STR(str_trim(STR("  ")), "");
	CHECK_STR(str_from_offset(STR("abc"), 1), "bc");
	CHECK_STR(str_from_offset(STR("abc"), 9), "");
	assert_null(str_from_offset(STR_NONE, 1).ptr);
}

static void finding(void **state)
{
	assert_int_equal(str_chr(STR("abca"), 'a'), 0);
	assert_int_equal(str_chr(STR("abc"), 'd'), -1);
	assert_int_equal(str_chr(STR_NONE, 'd'), -1);
	assert_int_equal(str_find(STR("ababc"), STR("abc")), 2);
	assert_int_equal(str_find(STR("ab"), STR("abc")), -1);
	assert_int_equal(str_find(STR("ab"), STR("")), 0);
	assert_int_equal(str_find(STR_NONE, STR("a")), -1);
	/* At every place of texts of every length, among what nearly is the needle. */
	static const struct str needles[] = { STR_INIT("x"), STR_INIT("xy"), STR_INIT("\"xyz\"") };
	char text[80];

	for (size_t k = 0; k < sizeof(needles) / sizeof(needles[0]); k++) {
		struct str n = needles[k];

		for (size_t len = n.len; len <= sizeof(text); len++) {
			for (size_t at = 0; at + n.len <= len; at++) {
				for (size_t i = 0; i < len; i++)
					text[i] = i % 3 ? '"' : 'y';
				assert_int_equal(str_find((struct str){ text, len }, n), -1);
				memcpy(text + at, n.ptr, n.len);
				assert_int_equal(str_find((struct str){ text, len }, n), at);
			}
		}
	}
}

static void numbers_are_read_to_their_bounds(void **state)
{
	uint64_t u = 7;
	int64_t i = 7;

	assert_true(str_to_u64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
	assert_false(str_to_u64(STR("18446744073709551616"), &u));
	assert_false(str_to_u64(STR("99999999999999999999999"), &u));
	assert_true(str_to_u64(STR("007"), &u) && u == 7);
	assert_false(str_to_u64(STR(""), &u) || str_to_u64(STR("+1"), &u) ||
		     str_to_u64(STR("-0"), &u) || str_to_u64(STR(" 1"), &u) ||
		     str_to_u64(STR("1 "), &u) || str_to_u64(STR("0x1"), &u) ||
		     str_to_u64(STR("1\0"), &u));
	assert_int_equal(u, 7); /* untouched by failures */
	assert_true(str_to_i64(STR("-9223372036854775808"), &i) && i == INT64_MIN);
	assert_true(str_to_i64(STR("9223372036854775807"), &i) && i == INT64_MAX);
	assert_false(str_to_i64(STR("9223372036854775808"), &i) ||
		     str_to_i64(STR("-9223372036854775809"), &i) || str_to_i64(STR("-"), &i) ||
		     str_to_i64(STR("--1"), &i) || str_to_i64(STR(""), &i));
}

static void globs(void **state)
{
	static const struct {
		struct str pattern, s;
		bool want;
	} rows[] = {
		{ STR_INIT("*"), STR_INIT(""), true },
		{ STR_INIT(""), STR_INIT(""), true },
		{ STR_INIT(""), STR_INIT("a"), false },
		{ STR_INIT("gpt-*"), STR_INIT("gpt-4o"), true },
		{ STR_INIT("gpt-*"), STR_INIT("gpt"), false },
		{ STR_INIT("*-mini"), STR_INIT("o3-mini"), true },
		{ STR_INIT("*-mini"), STR_INIT("o3-minix"), false },
		{ STR_INIT("o?"), STR_INIT("o3"), true },
		{ STR_INIT("o?"), STR_INIT("o"), false },
		{ STR_INIT("a*b*c"), STR_INIT("axbxbxc"), true },
		{ STR_INIT("a*b*c"), STR_INIT("axbxbx"), false },
		{ STR_INIT("**a**"), STR_INIT("bab"), true },
		{ STR_INIT("[a]"), STR_INIT("a"), false },
	};
	char many[4096];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(str_glob(rows[i].pattern, rows[i].s), rows[i].want);
	memset(many, 'a', sizeof(many));
	/* Exponential in a matcher that tries every star again. */
	assert_false(
		str_glob(STR("*a*a*a*a*a*a*a*a*a*a*a*a*b"), (struct str){ many, sizeof(many) }));
}

static void distances(void **state)
{
	char long_a[300], long_b[300];

	assert_int_equal(str_distance(STR("kitten"), STR("sitting"), 9), 3);
	assert_int_equal(str_distance(STR("adress"), STR("address"), 9), 1);
	assert_int_equal(str_distance(STR("abc"), STR("abc"), 9), 0);
	assert_int_equal(str_distance(STR(""), STR("abc"), 9), 3);
	assert_int_equal(str_distance(STR("abc"), STR("xyz"), 2), 2);
	memset(long_a, 'a', sizeof(long_a));
	memset(long_b, 'b', sizeof(long_b));
	assert_int_equal(str_distance((struct str){ long_a, 300 }, (struct str){ long_b, 300 }, 5),
			 5);
	long_b[299] = 'a';
	memcpy(long_b, long_a, 298);
	assert_int_equal(str_distance((struct str){ long_a, 300 }, (struct str){ long_b, 300 }, 5),
			 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absent_and_empty_are_told_apart),
		cmocka_unit_test(comparing),
		cmocka_unit_test(cutting),
		cmocka_unit_test(finding),
		cmocka_unit_test(numbers_are_read_to_their_bounds),
		cmocka_unit_test(globs),
		cmocka_unit_test(distances),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
