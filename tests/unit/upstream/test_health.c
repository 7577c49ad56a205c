/* tests/unit/upstream/test_health.c - mirrors src/upstream/health.c.
 * Rule under test: one row a provider however many threads ask, failures count in a row, success clears them. */
#include "check.h"

#include <pthread.h>

#include "upstream/health.h"

static void failures_count_in_a_row(void **state)
{
	struct health_table *t = health_new();

	assert_false(health_get(t, STR("a")).asked);
	health_failed(t, STR("a"), "connect");
	health_failed(t, STR("a"), "status_503");
	assert_int_equal(health_get(t, STR("a")).failures, 2);
	assert_string_equal(health_get(t, STR("a")).error, "status_503");
	assert_false(health_get(t, STR("b")).asked);
	health_ok(t, STR("a"));
	assert_int_equal(health_get(t, STR("a")).failures, 0);
	assert_true(health_get(t, STR("a")).asked);
	health_free(t);
}

static void more_accounts_than_there_is_room_for_do_no_harm(void **state)
{
	struct health_table *t = health_new();
	char name[16];

	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "p%d", i);
		health_failed(t, str_from(name), "connect");
	}
	assert_int_equal(health_get(t, STR("p0")).failures, 1);
	assert_int_equal(health_get(t, STR("p999")).failures, 0);
	health_free(t);
}

static void *fail_often(void *arg)
{
	for (int i = 0; i < 1000; i++)
		health_failed(arg, STR("shared"), "connect");
	return NULL;
}

static void threads_share_one_row(void **state)
{
	struct health_table *t = health_new();
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fail_often, t), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(health_get(t, STR("shared")).failures, 4000);
	health_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_count_in_a_row),
		cmocka_unit_test(more_accounts_than_there_is_room_for_do_no_harm),
		cmocka_unit_test(threads_share_one_row),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
