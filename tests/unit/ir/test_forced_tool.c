/* tests/unit/ir/test_forced_tool.c - mirrors src/ir/forced_tool.c.
 * Rule: however the text is cut, the same call comes out; and what is no call stays text. */
#include "check.h"
#include "ir/forced_tool.h"
#include "ir/grammar.h"
#include "json/json.h"
#include "quotes.h"
#include "tape.h"

static struct ir_tool tools[] = {
	{ .name = STR_INIT("weather"),
	  .description = STR_INIT("Looks"),
	  .parameters = STR_INIT(
		  "{\"type\":\"object\",\"properties\":{\"city\":{\"$ref\": \"#/$defs/c\"}},"
		  "\"$defs\":{\"c\":{\"type\":\"string\",\"enum\":[\"$ref\",\"#x\"]}}}") },
	{ .name = STR_INIT("time") },
	{ .server_raw = STR_INIT("{\"type\":\"web_search\"}"), .origin = "x" },
};

static struct ir_request request(enum ir_choice_mode mode, unsigned n_tools)
{
	struct ir_request r;

	ir_request_init(&r);
	r.tools = tools;
	r.n_tools = n_tools;
	r.choice.mode = mode;
	return r;
}

static void only_required_and_named_force(void **state)
{
	struct ir_request r = request(IR_CHOICE_AUTO, 2);

	assert_false(ir_forces_tool(&r));
	r.choice.mode = IR_CHOICE_REQUIRED;
	assert_true(ir_forces_tool(&r));
	r.tools = &tools[2];
	r.n_tools = 1;
	assert_false(ir_forces_tool(&r));
}

static void one_tool_becomes_its_own_schema(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct ir_request r = request(IR_CHOICE_NAMED, 3), out;
	struct ir_part part = { .kind = IR_PART_TEXT, .text = STR("Be brief.") };
	struct ir_message m = { .role = IR_ROLE_SYSTEM, .parts = &part, .n_parts = 1 };
	struct err err;

	r.messages = &m;
	r.n_messages = 1;
	r.choice.name = STR("time");
	assert_int_equal(ir_forced_tool_request(a, &r, &out, &err), 0);
	assert_int_equal(out.n_tools, 0);
	assert_int_equal(out.choice.mode, IR_CHOICE_UNSET);
	assert_int_equal(out.format.kind, IR_FORMAT_JSON_SCHEMA);
	CHECK_STR(out.format.schema, "{\"type\":\"object\",\"properties\":{}}");
	/* The sentence joins the system message that is there, and leaves the original alone. */
	assert_int_equal(out.n_messages, 1);
	assert_int_equal(out.messages[0].n_parts, 2);
	assert_true(str_find(out.messages[0].parts[1].text, STR("\"time\"")) > 0);
	assert_int_equal(m.n_parts, 1);
	assert_true(out.needs & IR_NEED_SCHEMA);
	assert_false(out.needs & IR_NEED_FORCED_TOOL);

	r.n_messages = 0;
	assert_int_equal(ir_forced_tool_request(a, &r, &out, &err), 0);
	assert_int_equal(out.n_messages, 1);
	assert_int_equal(out.messages[0].role, IR_ROLE_SYSTEM);
	arena_free(a);
}

static void several_tools_become_a_choice_whose_references_still_point_right(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct ir_request r = request(IR_CHOICE_REQUIRED, 3), out;
	struct err err;
	const json *schema, *def;

	assert_int_equal(ir_forced_tool_request(a, &r, &out, &err), 0);
	schema = json_parse(a, out.format.schema, &err);
	assert_non_null(schema);
	assert_int_equal(json_len(json_get(schema, STR("anyOf"))),
			 2); /* a server tool cannot be forced */
	def = json_get(json_get(schema, STR("$defs")), STR("t0"));
	CHECK_STR(json_str(json_get(json_get(json_get(def, STR("properties")), STR("city")),
				    STR("$ref"))),
		  "#/$defs/t0/$defs/c");
	/* A value that looks like a reference is none. */
	assert_true(str_find(out.format.schema, STR("[\"$ref\",\"#x\"]")) > 0);
	arena_free(a);
}

static void allowed_tools_are_the_only_ones(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct str allowed[] = { STR("time") }, unknown[] = { STR("nothing") };
	struct ir_request r = request(IR_CHOICE_REQUIRED, 2), out;
	struct err err;

	r.choice.allowed = allowed;
	r.choice.n_allowed = 1;
	assert_int_equal(ir_forced_tool_request(a, &r, &out, &err), 0);
	assert_true(str_find(out.messages[0].parts[0].text, STR("weather")) < 0);

	r.choice.allowed = unknown;
	assert_int_equal(ir_forced_tool_request(a, &r, &out, &err), RC_INVALID);
	r = request(IR_CHOICE_NAMED, 2);
	r.choice.name = STR("nothing");
	assert_int_equal(ir_forced_tool_request(a, &r, &out, &err), RC_INVALID);
	assert_string_equal(err.param, "tool_choice");
	arena_free(a);
}

/* The tape of an answer with `text`, cut after every `step` bytes. */
static void answer(struct tape *t, const struct ir_request *r, struct str text, size_t step,
		   enum ir_stop stop)
{
	struct arena *a = arena_new(1 << 20);
	struct ir_event ev = {
		.kind = IR_START, .id = STR("chatcmpl-1"), .name = STR("m"), .usage = IR_USAGE_NONE
	};
	struct ir_forced_tool f;
	struct ir_grammar g;

	tape_init(t);
	t->join = true;
	ir_grammar_init(&g, &t->sink);
	assert_int_equal(ir_forced_tool_init(&f, a, r, &g.sink), 0);
	assert_int_equal(ir_emit(&f.sink, &ev), 0);
	ev = (struct ir_event){ .kind = IR_OPEN, .block = IR_BLOCK_TEXT };
	assert_int_equal(ir_emit(&f.sink, &ev), 0);
	for (size_t at = 0; at < text.len; at += step) {
		struct str rest = str_from_offset(text, at);

		ev = (struct ir_event){ .kind = IR_DELTA,
					.block = IR_BLOCK_TEXT,
					.delta = IR_DELTA_TEXT };
		ev.text = (struct str){ rest.ptr, rest.len < step ? rest.len : step };
		assert_int_equal(ir_emit(&f.sink, &ev), 0);
	}
	ev = (struct ir_event){ .kind = IR_CLOSE, .block = IR_BLOCK_TEXT };
	assert_int_equal(ir_emit(&f.sink, &ev), 0);
	ev = (struct ir_event){ .kind = IR_FINISH, .stop = stop };
	assert_int_equal(ir_emit(&f.sink, &ev), 0);
	arena_free(a);
}

/* `want`: the tape between START and the end, ids left out; "" for nothing. */
static void check_answer(const struct ir_request *r, const char *text, enum ir_stop stop,
			 const char *want)
{
	struct arena *a = arena_new(1 << 20);
	struct str in = quotes(a, text), out = quotes(a, want);

	for (size_t step = 1; step <= in.len; step++) {
		struct tape t;

		answer(&t, r, in, step, stop);
		if (str_find(buf_str(&t.text), out) < 0)
			fail_msg("cut every %zu bytes:\n%.*swants\n%.*s", step,
				 STR_ARG(buf_str(&t.text)), STR_ARG(out));
		tape_done(&t);
	}
	arena_free(a);
}

#define OPEN_CALL "{'event':'OPEN','index':0,'block':'tool_call','id':'call_"

static void the_text_of_one_tool_flows_as_its_arguments(void **state)
{
	struct ir_request r = request(IR_CHOICE_REQUIRED, 1);

	check_answer(&r, " \n{'city': 'Rome}', 'l': [1, {}]} \n", IR_STOP_END,
		     "'name':'weather'}\n{'event':'DELTA','of':'arguments','text':"
		     "'{\\'city\\': \\'Rome}\\', \\'l\\': [1, {}]}'}\n{'event':'CLOSE','index':0}\n"
		     "{'event':'FINISH','stop':'tool_calls'}\n");
}

static void the_name_is_read_off_the_front_when_several_are_allowed(void **state)
{
	struct ir_request r = request(IR_CHOICE_REQUIRED, 2);

	check_answer(&r, "{ 'name' : 'time', 'arguments' : {'a':'\\'}'} }", IR_STOP_END,
		     "'name':'time'}\n{'event':'DELTA','of':'arguments','text':'{\\'a\\':\\'\\\\\\'"
		     "}\\'}'}\n"
		     "{'event':'CLOSE','index':0}\n{'event':'FINISH','stop':'tool_calls'}\n");
}

static void the_other_order_is_understood_when_it_is_whole(void **state)
{
	struct ir_request r = request(IR_CHOICE_REQUIRED, 2);

	check_answer(&r, "{'arguments':{'a':1},'name':'time'}", IR_STOP_END,
		     "'name':'time'}\n{'event':'DELTA','of':'arguments','text':'{\\'a\\':1}'}\n");
}

static void what_is_no_call_stays_text(void **state)
{
	struct ir_request one = request(IR_CHOICE_REQUIRED, 1),
			  two = request(IR_CHOICE_REQUIRED, 2);
	const char *want =
		"{'event':'OPEN','index':0,'block':'text'}\n{'event':'DELTA','of':'text','text':";

	check_answer(&one, "Sorry, no.", IR_STOP_END, want);
	check_answer(&two, "{'name':'rm','arguments':{}}", IR_STOP_END, want);
	check_answer(&two, "{'answer':42}", IR_STOP_END, want);
	check_answer(&two, "{'answer':42}", IR_STOP_END, "{'event':'FINISH','stop':'end'}\n");
	check_answer(&one, "  \n", IR_STOP_END,
		     "{'event':'START','id':'chatcmpl-1','model':'m','usage':{}}\n"
		     "{'event':'FINISH','stop':'end'}\n");
}

static void trap_106_a_call_that_was_cut_says_length(void **state)
{
	struct ir_request r = request(IR_CHOICE_REQUIRED, 1);

	check_answer(&r, "{'city':'Ro", IR_STOP_LENGTH,
		     "{'event':'CLOSE','index':0}\n"
		     "{'event':'FINISH','stop':'length'}\n");
	check_answer(&r, "{'city':'Ro", IR_STOP_LENGTH, OPEN_CALL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_required_and_named_force),
		cmocka_unit_test(one_tool_becomes_its_own_schema),
		cmocka_unit_test(several_tools_become_a_choice_whose_references_still_point_right),
		cmocka_unit_test(allowed_tools_are_the_only_ones),
		cmocka_unit_test(the_text_of_one_tool_flows_as_its_arguments),
		cmocka_unit_test(the_name_is_read_off_the_front_when_several_are_allowed),
		cmocka_unit_test(the_other_order_is_understood_when_it_is_whole),
		cmocka_unit_test(what_is_no_call_stays_text),
		cmocka_unit_test(trap_106_a_call_that_was_cut_says_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
