/* tests/unit/ir/test_request.c - mirrors src/ir/request.c. */
#include "check.h"
#include "ir/request.h"

static void what_a_request_needs_is_read_off_its_parts(void **state)
{
	struct ir_part inner[] = { { .kind = IR_PART_IMAGE } };
	struct ir_part parts[] = {
		{ .kind = IR_PART_TEXT },
		{ .kind = IR_PART_TOOL_RESULT, .content = inner, .n_content = 1 },
		{ .kind = IR_PART_FILE, .media.source = IR_MEDIA_TEXT }
	};
	struct ir_message m = { .role = IR_ROLE_USER, .parts = parts, .n_parts = 3 };
	struct ir_tool tool = { .name = STR("t") };
	struct ir_request r;

	ir_request_init(&r);
	r.messages = &m;
	r.n_messages = 1;
	ir_request_needs(&r);
	assert_int_equal(r.needs, IR_NEED_VISION); /* a text document needs nothing */

	parts[2].media.source = IR_MEDIA_BASE64;
	r.stream = true;
	r.tools = &tool;
	r.n_tools = 1;
	r.choice.mode = IR_CHOICE_REQUIRED;
	r.reasoning.effort = IR_EFFORT_LOW;
	r.format.kind = IR_FORMAT_JSON_SCHEMA;
	ir_request_needs(&r);
	assert_int_equal(r.needs, IR_NEED_VISION | IR_NEED_FILES | IR_NEED_STREAM | IR_NEED_TOOLS |
					  IR_NEED_FORCED_TOOL | IR_NEED_REASONING | IR_NEED_SCHEMA);

	r.reasoning.effort = IR_EFFORT_NONE;
	r.choice.mode = IR_CHOICE_AUTO;
	ir_request_needs(&r);
	assert_false(r.needs & (IR_NEED_REASONING | IR_NEED_FORCED_TOOL));
}

static void the_nearest_call_gives_a_result_its_name(void **state)
{
	struct ir_part first = { .kind = IR_PART_TOOL_CALL, .id = STR("c"), .name = STR("old") };
	struct ir_part second = { .kind = IR_PART_TOOL_CALL, .id = STR("c"), .name = STR("new") };
	struct ir_message messages[] = {
		{ .role = IR_ROLE_ASSISTANT, .parts = &first, .n_parts = 1 },
		{ .role = IR_ROLE_ASSISTANT, .parts = &second, .n_parts = 1 }
	};
	struct ir_request r;

	ir_request_init(&r);
	r.messages = messages;
	r.n_messages = 2;
	CHECK_STR(ir_request_call_name(&r, STR("c")), "new");
	assert_null(ir_request_call_name(&r, STR("d")).ptr);
}

static void texts_join_with_the_separator_between(void **state)
{
	struct arena *a = arena_new(4096);
	struct ir_part parts[] = { { .kind = IR_PART_TEXT, .text = STR("a") },
				   { .kind = IR_PART_IMAGE },
				   { .kind = IR_PART_TEXT, .text = STR("b") } };

	CHECK_STR(ir_parts_text(a, parts, 3, STR(", ")), "a, b");
	CHECK_STR(ir_parts_text(a, parts, 1, STR(", ")), "a");
	CHECK_STR(ir_parts_text(a, parts, 0, STR(", ")), "");
	arena_free(a);
}

static void efforts_have_names_both_ways(void **state)
{
	for (int e = IR_EFFORT_NONE; e <= IR_EFFORT_MAX; e++)
		assert_int_equal(ir_effort_parse(str_from(ir_effort_name((enum ir_effort)e))), e);
	assert_int_equal(ir_effort_parse(STR("huge")), IR_EFFORT_UNSET);
	assert_null(ir_effort_name(IR_EFFORT_UNSET));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_request_needs_is_read_off_its_parts),
		cmocka_unit_test(the_nearest_call_gives_a_result_its_name),
		cmocka_unit_test(texts_join_with_the_separator_between),
		cmocka_unit_test(efforts_have_names_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
