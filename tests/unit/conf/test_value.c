/* tests/unit/conf/test_value.c - mirrors src/conf/value.c. */
#include "check.h"
#include "conf/value.h"

static void durations(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t ms;
	} table[] = {
		{ "250ms", true, 250 },      { "30s", true, 30000 },
		{ "5m", true, 300000 },      { "1h", true, 3600000 },
		{ "30", true, 30000 },       { "0", true, 0 },
		{ "1.5s", true, 1500 },      { "0.25", true, 250 },
		{ " 10 s ", true, 10000 },   { "", false, 0 },
		{ "s", false, 0 },           { "-1s", false, 0 },
		{ "1d", false, 0 },          { "1.s", false, 0 },
		{ "1.2345s", false, 0 },     { "1e3", false, 0 },
		{ "1 m s", false, 0 },       { "18446744073709551615", false, 0 },
		{ "5124095577h", false, 0 }, { "99999999999999999999", false, 0 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint64_t ms = 0;

		if (value_duration(str_from(table[i].text), &ms) != table[i].ok ||
		    ms != table[i].ms)
			fail_msg("%s: %llu", table[i].text, (unsigned long long)ms);
	}
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t bytes;
	} table[] = {
		{ "4096", true, 4096 },
		{ "64KiB", true, 65536 },
		{ "16MiB", true, 16 << 20 },
		{ "1GiB", true, 1 << 30 },
		{ "1.5MiB", true, 1572864 },
		{ "10B", true, 10 },
		{ "1KB", false, 0 },
		{ "1k", false, 0 },
		{ "1kib", false, 0 },
		{ "-1", false, 0 },
		{ "", false, 0 },
		{ "17179869184GiB", false, 0 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint64_t n = 0;

		if (value_size(str_from(table[i].text), &n) != table[i].ok || n != table[i].bytes)
			fail_msg("%s: %llu", table[i].text, (unsigned long long)n);
	}
}

static void truth(void **state)
{
	static const char *const yes[] = { "true", "True", "YES", "on", "1" };
	static const char *const no[] = { "false", "FALSE", "no", "Off", "0" };
	bool b;

	for (size_t i = 0; i < 5; i++) {
		b = false;
		assert_true(value_bool(str_from(yes[i]), &b) && b);
		b = true;
		assert_true(value_bool(str_from(no[i]), &b) && !b);
	}
	assert_false(value_bool(STR(""), &b));
	assert_false(value_bool(STR("2"), &b));
	assert_false(value_bool(STR("maybe"), &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations),
		cmocka_unit_test(sizes),
		cmocka_unit_test(truth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
