/* tests/unit/ir/test_event.c - mirrors src/ir/event.c. */
#include "check.h"
#include "ir/event.h"

static void trap_118_usage_is_cumulative_the_last_one_said_counts(void **state)
{
	struct ir_usage u = IR_USAGE_NONE, first = IR_USAGE_NONE, last = IR_USAGE_NONE;

	first.input = 10;
	first.output = 1;
	first.cache_read = 4;
	last.output = 7;
	ir_usage_merge(&u, &first);
	ir_usage_merge(&u, &last);
	assert_int_equal(u.input, 10);
	assert_int_equal(u.output, 7);
	assert_int_equal(u.cache_read, 4);
	assert_int_equal(u.reasoning, -1);
	assert_false(u.estimated);
	last.estimated = true;
	ir_usage_merge(&u, &last);
	assert_true(u.estimated);
}

static void what_two_answers_cost_is_added_up(void **state)
{
	struct ir_usage u = IR_USAGE_NONE, one = IR_USAGE_NONE, two = IR_USAGE_NONE;

	ir_usage_add(&u, &one);
	assert_int_equal(u.input, -1);
	one.input = 10;
	one.cache_read = 4;
	one.tier = IR_TIER_FLEX;
	two.input = 5;
	two.output = INT64_MAX;
	two.reasoning = 0;
	two.estimated = true;
	ir_usage_add(&u, &one);
	ir_usage_add(&u, &two);
	assert_int_equal(u.input, 15);
	assert_int_equal(u.cache_read, 4);
	assert_int_equal(u.reasoning, 0);
	assert_int_equal(u.cache_write, -1);
	assert_true(u.estimated);
	assert_int_equal(u.tier, IR_TIER_FLEX);
	ir_usage_add(&u, &two); /* what no vendor says in earnest is no reason to overflow */
	assert_true(u.output == INT64_MAX);
}

static void an_error_has_its_own_status_or_its_kinds(void **state)
{
	struct ir_error e = { .kind = IR_ERR_TIMEOUT };

	assert_int_equal(ir_error_status(&e), 504);
	e.status = 408;
	assert_int_equal(ir_error_status(&e), 408);
	e = (struct ir_error){ .kind = IR_ERR_MODEL_NOT_FOUND };
	assert_int_equal(ir_error_status(&e), 404);
}

static void every_name_is_said(void **state)
{
	for (int k = IR_ERR_INVALID_REQUEST; k <= IR_ERR_TIMEOUT; k++) {
		struct ir_error e = { .kind = (enum ir_error_kind)k };

		assert_non_null(ir_error_kind_name(e.kind));
		assert_in_range(ir_error_status(&e), 400, 599);
	}
	for (int k = IR_START; k <= IR_PING; k++)
		assert_string_not_equal(ir_event_name((enum ir_event_kind)k), "?");
	for (int s = IR_STOP_END; s <= IR_STOP_CONTEXT; s++)
		assert_string_not_equal(ir_stop_name((enum ir_stop)s), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_118_usage_is_cumulative_the_last_one_said_counts),
		cmocka_unit_test(what_two_answers_cost_is_added_up),
		cmocka_unit_test(an_error_has_its_own_status_or_its_kinds),
		cmocka_unit_test(every_name_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
