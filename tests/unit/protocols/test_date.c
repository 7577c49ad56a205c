/* tests/unit/protocols/test_date.c - mirrors src/protocols/date.c. */
#include <time.h>

#include "check.h"
#include "protocols/date.h"

static void check_date(int64_t seconds, const char *want)
{
	struct buf b;
	struct jw w;

	buf_init(&b, 64);
	w = jw_on(&b);
	date_put(&w, seconds);
	CHECK_STR_IS(buf_str(&b), str_from(want));
	buf_done(&b);
}

static void all_days_of_eight_thousand_years(void **state)
{
	for (int64_t t = 0; t <= INT64_C(253402300799); t += 86400 + 3601) {
		time_t at = (time_t)t;
		char want[40];
		struct tm tm;

		assert_non_null(gmtime_r(&at, &tm));
		assert_int_equal(strftime(want, sizeof(want), "\"%Y-%m-%dT%H:%M:%SZ\"", &tm), 22);
		check_date(t, want);
	}
}

static void the_ends(void **state)
{
	check_date(0, "\"1970-01-01T00:00:00Z\"");
	check_date(INT64_MIN, "\"1970-01-01T00:00:00Z\"");
	check_date(951782399, "\"2000-02-28T23:59:59Z\"");
	check_date(951782400, "\"2000-02-29T00:00:00Z\"");
	check_date(4107542400, "\"2100-03-01T00:00:00Z\"");
	check_date(INT64_C(253402300799), "\"9999-12-31T23:59:59Z\"");
	check_date(INT64_C(253402300800), "\"9999-12-31T23:59:59Z\"");
	check_date(INT64_MAX, "\"9999-12-31T23:59:59Z\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_days_of_eight_thousand_years),
		cmocka_unit_test(the_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
