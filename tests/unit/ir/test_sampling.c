/* tests/unit/ir/test_sampling.c - mirrors src/ir/sampling.c. */
#include "check.h"
#include "ir/sampling.h"

static struct ir_request asked(void)
{
	static struct str stop[] = { STR_INIT("END") };
	struct ir_request r;

	ir_request_init(&r);
	r.temperature = STR("0.5");
	r.top_p = STR("0.9");
	r.frequency_penalty = STR("1");
	r.presence_penalty = STR("0");
	r.logit_bias = STR("{\"5\":1}");
	r.logprobs = IR_TRUE;
	r.top_logprobs = 3;
	r.seed = 7;
	r.stop = stop;
	r.n_stop = 1;
	return r;
}

static void trap_070_what_a_thinking_model_refuses_is_left_out_and_named(void **state)
{
	struct arena *a = arena_new(65536);
	struct ir_request r = asked(), plain;
	struct ir_losses l;

	ir_losses_init(&l, a);
	ir_without_sampling(&r, &plain, &l);
	CHECK_STR(ir_losses_text(&l),
		  "temperature, top_p, frequency_penalty, logprobs, top_logprobs, logit_bias");
	assert_false(str_present(plain.temperature) || str_present(plain.top_p) ||
		     str_present(plain.frequency_penalty) || str_present(plain.presence_penalty) ||
		     str_present(plain.logit_bias));
	assert_int_equal(plain.logprobs, IR_TRI_UNSET);
	assert_int_equal(plain.top_logprobs, IR_UNSET);
	assert_int_equal(plain.seed, 7);
	assert_int_equal(plain.n_stop, 0); /* not named: the gateway cuts there */
	arena_free(a);
}

static void trap_089_what_happens_anyway_is_no_loss(void **state)
{
	struct arena *a = arena_new(65536);
	struct ir_request r, plain;
	struct ir_losses l;

	ir_request_init(&r);
	r.temperature = STR("1.0");
	r.top_p = STR("1");
	r.frequency_penalty = STR("0.0");
	r.logprobs = IR_FALSE;
	ir_losses_init(&l, a);
	ir_without_sampling(&r, &plain, &l);
	assert_null(ir_losses_text(&l).ptr);
	assert_false(str_present(plain.temperature));
	arena_free(a);
}

static void some_refuse_it_only_while_they_reason(void **state)
{
	struct ir_request r = asked();

	assert_false(ir_refuses_sampling(IR_SAMPLING_FREE, &r));
	assert_false(ir_refuses_sampling(IR_SAMPLING_AT_REST, &r));
	assert_true(ir_refuses_sampling(IR_SAMPLING_NONE, &r));
	r.reasoning.effort = IR_EFFORT_NONE;
	assert_false(ir_refuses_sampling(IR_SAMPLING_AT_REST, &r));
	r.reasoning.effort = IR_EFFORT_LOW;
	assert_false(ir_refuses_sampling(IR_SAMPLING_FREE, &r));
	assert_true(ir_refuses_sampling(IR_SAMPLING_AT_REST, &r));
	r.reasoning.effort = IR_EFFORT_UNSET;
	r.reasoning.budget = 1024;
	assert_true(ir_refuses_sampling(IR_SAMPLING_AT_REST, &r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_070_what_a_thinking_model_refuses_is_left_out_and_named),
		cmocka_unit_test(trap_089_what_happens_anyway_is_no_loss),
		cmocka_unit_test(some_refuse_it_only_while_they_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
