/* tests/unit/protocols/openai_responses/test_relay.c - mirrors src/protocols/openai_responses/relay.c.
 * Rule under test: what is read off a resource is the resource's own, whatever its tools, its metadata and its output say. */
#include "check.h"
#include "protocols/protocol.h"
#include "quotes.h"

#define USAGE                                                                                     \
	"'usage':{'input_tokens':5,'input_tokens_details':{'cached_tokens':2},'output_tokens':7," \
	"'output_tokens_details':{'reasoning_tokens':3},'total_tokens':12}"

static const struct {
	const char *body;
	unsigned flags;
	int64_t input; /* -1: not known */
} bodies[] = {
	{ "{'id':'r','status':'completed','error':null,'output':[]," USAGE "}", TAP_MEANINGFUL, 5 },
	{ "{'output':[]," USAGE ",'metadata':{'usage':'x','error':'y','output':'z'}}",
	  TAP_MEANINGFUL, 5 },
	{ "{'tools':[{'parameters':{'properties':{'usage':{'input_tokens':9},'error':{'type':'"
	  "string'},"
	  "'output':{}}}}],'error':null,'output':[]," USAGE "}",
	  TAP_MEANINGFUL, 5 },
	{ "{" USAGE
	  ",'tools':[{'parameters':{'properties':{'usage':{'input_tokens':9}}}}],'output':[]}",
	  TAP_MEANINGFUL, 5 },
	{ "{'error':null,'output':[{'type':'mcp_call','output':'x','error':{'code':1}}]," USAGE "}",
	  TAP_MEANINGFUL, 5 },
	{ "{'output':[{'text':'\\'usage\\':{\\'input_tokens\\':1} \\'error\\':{'}]," USAGE "}",
	  TAP_MEANINGFUL, 5 },
	{ "{'error':null,'output':[],'usage':null}", TAP_MEANINGFUL, -1 },
	{ "{'output':[]}", TAP_MEANINGFUL, -1 },
	{ "{'error':{'message':'no','type':'server_error'},'output':[]," USAGE "}", TAP_ERROR, -1 },
	{ "{'error':{'message':'no'}}", TAP_ERROR, -1 },
	{ "{'error':'no'}", TAP_ERROR, -1 },
	{ "{'object':'list','data':[]}", 0, -1 },
	{ "{'items':[{'output':[]}]}", 0, -1 },
	{ "<html>'output':[]</html>", 0, -1 },
	{ "", 0, -1 },
};

static struct relay_tap tap_new(struct arena *a)
{
	return (struct relay_tap){ .arena = a, .usage = IR_USAGE_NONE };
}

static void a_resources_own_members_are_read(void **state)
{
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		struct relay_tap t = tap_new(a);
		unsigned flags =
			protocol_openai_responses.tap_body(&t, a, quotes(a, bodies[i].body));

		assert_int_equal(flags, bodies[i].flags);
		assert_int_equal(t.usage.input, bodies[i].input);
		assert_int_equal(t.usage.reasoning, bodies[i].input < 0 ? -1 : 3);
		assert_int_equal(t.finished, flags == TAP_MEANINGFUL);
	}
	arena_free(a);
}

static void the_last_event_says_the_same(void **state)
{
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		struct relay_tap t = tap_new(a);
		struct frame f = { .name = STR("response.completed") };

		f.data = arena_printf(a, "{\"type\":\"response.completed\",\"response\":%.*s}",
				      STR_ARG(quotes(a, bodies[i].body)));
		assert_int_equal(protocol_openai_responses.tap_event(&t, a, &f), TAP_MEANINGFUL);
		assert_int_equal(t.usage.input, bodies[i].input);
		assert_true(t.finished && t.meaningful);
		f.data.len -= 3;
		t = tap_new(a);
		assert_int_equal(protocol_openai_responses.tap_event(&t, a, &f), 0);
		assert_false(t.finished);
	}
	arena_free(a);
}

static void a_request_says_what_it_continues_and_holds(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct request_peek p;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(protocol_openai_responses.peek(
				 a, &request_line_plain,
				 quotes(a,
					"{'model':'m','input':[{'encrypted_content':'lgw1.x.y'}],"
					"'store':false,'previous_response_id':'r'}"),
				 &p, &e),
			 RC_OK);
	assert_true(p.carriers);
	CHECK_STR(p.turn_at[PEEK_PREVIOUS].value, "\"r\"");
	CHECK_STR(p.turn_at[PEEK_STORE].value, "false");
	assert_int_equal(p.turn_at[PEEK_INPUT].first, '[');
	assert_int_equal(p.turn_at[PEEK_BACKGROUND].first, 0);
	assert_int_equal(protocol_openai_responses.peek(
				 a, &request_line_plain,
				 quotes(a, "{'model':'m','input':'of lgw1.'}"), &p, &e),
			 RC_OK);
	assert_false(p.carriers);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_resources_own_members_are_read),
		cmocka_unit_test(the_last_event_says_the_same),
		cmocka_unit_test(a_request_says_what_it_continues_and_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
