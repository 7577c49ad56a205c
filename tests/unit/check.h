/* tests/unit/check.h - cmocka with the headers that it wants first, and checks for our own types.
 *
 * A test is `static void what_must_hold(void **state)`; a program ends in
 *	const struct CMUnitTest tests[] = { cmocka_unit_test(what_must_hold), ... };
 *	return cmocka_run_group_tests(tests, NULL, NULL);
 */
#ifndef GW_TESTS_CHECK_H
#define GW_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/str.h"

/* CPU time of the process so far: for bounds that must hold on a busy machine too. */
static inline uint64_t check_cpu_ms(void)
{
	return (uint64_t)clock() * 1000 / CLOCKS_PER_SEC;
}

/* Both absent, or the same bytes; shows both where they differ. */
static inline void check_str(struct str got, struct str want, const char *file, int line)
{
	if (got.len == want.len && !got.ptr == !want.ptr &&
	    (!got.len || !memcmp(got.ptr, want.ptr, got.len)))
		return;
	print_error("got  %s\"%.*s\"\nwant %s\"%.*s\"\n", got.ptr ? "" : "nothing ", STR_ARG(got),
		    want.ptr ? "" : "nothing ", STR_ARG(want));
	_fail(file, line);
}

/* CHECK_STR(got, "literal") and CHECK_STR_IS(got, str) */
#define CHECK_STR_IS(got, want) check_str(got, want, __FILE__, __LINE__)
#define CHECK_STR(got, literal) CHECK_STR_IS(got, STR(literal))

#endif
