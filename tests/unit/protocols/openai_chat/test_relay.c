/* tests/unit/protocols/openai_chat/test_relay.c - mirrors src/protocols/openai_chat/relay.c.
 * Rule: of a body that passes only what is ours is read or changed, every other byte stays. */
#include "check.h"
#include "ir/drawn.h"
#include "protocols/protocol.h"
#include "quotes.h"

static const struct protocol *const chat = &protocol_openai_chat;

/* --- peek --- */

static int peek(struct arena *a, const char *body, struct request_peek *p, struct err *e)
{
	return chat->peek(a, &request_line_plain, quotes(a, body), p, e);
}

static void peek_reads_the_few_members_that_matter(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct request_peek p;
	struct err e;

	assert_int_equal(peek(a,
			      " {'messages':[],'model':'a\\/b','stream':true,'provider':'x',"
			      "'stream_options':{'include_usage':true}} ",
			      &p, &e),
			 0);
	CHECK_STR(p.model, "a/b");
	assert_true(p.stream);
	assert_true(p.include_usage);
	assert_false(p.forces_tool);
	CHECK_STR(p.provider_pin, "x");

	/* OpenRouter's own `provider` is an object and not ours. */
	assert_int_equal(peek(a, "{'model':'m','stream':null,'provider':{'order':[]}}", &p, &e), 0);
	assert_false(p.stream);
	assert_null(p.provider_pin.ptr);
	arena_free(a);
}

static void peek_refuses_what_has_no_model(void **state)
{
	static const struct {
		const char *body, *param;
		int rc;
	} bad[] = {
		{ "{'messages':[]}", "model", RC_INVALID },
		{ "{'model':7}", "model", RC_INVALID },
		{ "{'model':''}", "model", RC_INVALID },
		{ "{'model':null}", "model", RC_INVALID },
		{ "{'model':'m','stream':1}", "stream", RC_INVALID },
		{ "{'model':'m'", "", RC_SYNTAX },
		{ "[]", "", RC_SYNTAX },
		{ "", "", RC_SYNTAX },
		{ "{'model':'a','model':'b'}", "", RC_INVALID },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct arena *a = arena_new(1 << 20);
		struct request_peek p;
		struct err e = { .msg = "", .param = "" };
		int rc = peek(a, bad[i].body, &p, &e);

		if (rc >= 0 ||
		    (bad[i].param[0] && (rc != bad[i].rc || strcmp(e.param, bad[i].param) != 0)))
			fail_msg("%s: %d, %s: %s", bad[i].body, rc, e.param, e.msg);
		assert_true(e.msg[0]);
		arena_free(a);
	}
}

static void peek_knows_when_a_call_is_forced(void **state)
{
	static const struct {
		const char *member;
		bool forces;
	} rows[] = {
		{ "'tool_choice':'auto'", false },
		{ "'tool_choice':'none'", false },
		{ "'tool_choice':'required'", true },
		{ "'tool_choice':null", false },
		{ "'tool_choice':{'type':'function','function':{'name':'f'}}", true },
		{ "'tool_choice':{'type':'allowed_tools','allowed_tools':{'mode':'auto','tools':[]}"
		  "}",
		  false },
		{ "'tool_choice':{'type':'allowed_tools','allowed_tools':{'mode':'required','tools'"
		  ":[]}}",
		  true },
		{ "'function_call':'auto'", false },
		{ "'function_call':{'name':'f'}", true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct arena *a = arena_new(1 << 20);
		struct str body = arena_printf(a, "{'model':'m',%s}", rows[i].member);
		struct request_peek p;
		struct err e;

		assert_int_equal(peek(a, body.ptr, &p, &e), 0);
		if (p.forces_tool != rows[i].forces)
			fail_msg("%s", rows[i].member);
		arena_free(a);
	}
}

static void azure_the_deployment_in_the_path_is_the_model(void **state)
{
	const struct request_line line = { .op = IR_OP_GENERATE, .arg = STR("my-gpt") };
	static const struct {
		const char *body, *target, *want;
	} rows[] = {
		{ "{'messages':[]}", "my-gpt", "{'model':'my-gpt','messages':[]}" },
		{ " { }", "x'y", " {'model':'x\\'y' }" },
		{ "{'model':'gpt-4o','n':1}", "my-gpt", "{'model':'my-gpt','n':1}" },
		{ "{'model':'my-gpt','n':1}", "my-gpt", "{'model':'my-gpt','n':1}" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct arena *a = arena_new(1 << 20);
		struct patch_options o = { .model = quotes(a, rows[i].target) };
		struct request_peek p;
		struct buf out;
		struct err e;

		buf_init(&out, 1 << 20);
		assert_int_equal(chat->peek(a, &line, quotes(a, rows[i].body), &p, &e), 0);
		CHECK_STR(p.model, "my-gpt");
		assert_int_equal(chat->patch(a, &p, &o, &out), 0);
		CHECK_STR_IS(buf_str(&out), quotes(a, rows[i].want));
		buf_done(&out);
		arena_free(a);
	}
}

/* --- patch --- */

static void check_patch(const char *body, struct patch_options o, const char *want)
{
	struct arena *a = arena_new(1 << 20);
	struct request_peek p;
	struct buf out;
	struct err e;

	buf_init(&out, 1 << 20);
	assert_int_equal(peek(a, body, &p, &e), 0);
	assert_int_equal(chat->patch(a, &p, &o, &out), 0);
	CHECK_STR_IS(buf_str(&out), quotes(a, want));
	buf_done(&out);
	arena_free(a);
}

static void patch_changes_nothing_but_what_it_must(void **state)
{
	const char *odd =
		"{ 'z' : 1.10,\t'model':'m' ,'n\\u0065w':[9007199254740993,'\\ud83d\\ude00'] }\n";

	check_patch(odd, (struct patch_options){ .model = STR("m") }, odd);
	check_patch(odd, (struct patch_options){ .model = STR("a\"b\n") },
		    "{ 'z' : 1.10,\t'model':'a\\'b\\n' "
		    ",'n\\u0065w':[9007199254740993,'\\ud83d\\ude00'] }\n");
	check_patch("{'model':'m','provider':'p','x':1}",
		    (struct patch_options){ .strip_provider = true }, "{'model':'m','x':1}");
	check_patch("{'provider':'p','model':'m'}",
		    (struct patch_options){ .model = STR("n"), .strip_provider = true },
		    "{'model':'n'}");
	check_patch("{'model':'m','provider':{'order':[]}}",
		    (struct patch_options){ .strip_provider = true },
		    "{'model':'m','provider':{'order':[]}}");
}

static void trap_010_usage_is_asked_for_in_every_stream(void **state)
{
	const struct patch_options ask = { .ask_usage = true };
	const struct patch_options cannot = { .ask_usage = true,
					      .quirks = QUIRK_NO_STREAM_OPTIONS };

	check_patch("{'model':'m'}", ask, "{'model':'m'}"); /* only streams have the option */
	check_patch("{'model':'m','stream':true}", ask,
		    "{'stream_options':{'include_usage':true},'model':'m','stream':true}");
	check_patch("{'model':'m','stream':true,'stream_options':null}", ask,
		    "{'model':'m','stream':true,'stream_options':{'include_usage':true}}");
	check_patch("{'model':'m','stream':true,'stream_options':{'include_usage': false,'x':1}}",
		    ask,
		    "{'model':'m','stream':true,'stream_options':{'include_usage': true,'x':1}}");
	check_patch("{'model':'m','stream':true,'stream_options':{'x':1}}", ask,
		    "{'model':'m','stream':true,'stream_options':{'include_usage':true,'x':1}}");
	check_patch("{'model':'m','stream':true,'stream_options':{}}", ask,
		    "{'model':'m','stream':true,'stream_options':{'include_usage':true}}");
	check_patch("{'model':'m','stream':true,'stream_options':{'include_usage':true}}", cannot,
		    "{'model':'m','stream':true}");
	check_patch("{'model':'m','stream':true}", cannot, "{'model':'m','stream':true}");
}

static void trap_066_servers_that_know_only_max_tokens_get_it(void **state)
{
	const struct patch_options old = { .quirks = QUIRK_MAX_TOKENS };

	check_patch("{'model':'m','max_completion_tokens': 5}", old,
		    "{'model':'m','max_tokens': 5}");
	check_patch("{'model':'m','max_tokens':4,'max_completion_tokens':5}", old,
		    "{'model':'m','max_tokens':4,'max_completion_tokens':5}");
	check_patch("{'model':'m','max_completion_tokens':5}", (struct patch_options){ 0 },
		    "{'model':'m','max_completion_tokens':5}");
}

/* The same; the losses are `dropped`. */
static void check_cut(const char *body, unsigned quirks, const char *want, const char *dropped)
{
	struct arena *a = arena_new(1 << 20);
	struct ir_losses losses;

	ir_losses_init(&losses, a);
	check_patch(body, (struct patch_options){ .quirks = quirks, .losses = &losses }, want);
	if (losses.n || dropped[0])
		CHECK_STR_IS(ir_losses_text(&losses), str_from(dropped));
	check_patch(body, (struct patch_options){ .quirks = quirks }, want);
	arena_free(a);
}

#define STRICT QUIRK_STRICT_MESSAGES
#define ASKED(turn) \
	"{ 'z':1.10, 'messages' : [{'role':'user','content':'a'}," turn "] ,'model':'m' }\n"
#define CARRIED                                                                               \
	"'reasoning_content':'hm','reasoning_details':[{'type':'reasoning.text','text':'hm'," \
	"'signature':'c2ln','format':'anthropic-claude-v1'}]"
#define GOOGLES "'extra_content':{'google':{'thought_signature':'c2ln'}}"

static void trap_047_who_is_strict_gets_no_reasoning_of_others(void **state)
{
	const char *carried = ASKED("{'role':'assistant'," CARRIED ",'content':'b','n':1e2}");
	const char *called = ASKED("{'role':'assistant','tool_calls':[{'id':'c'," GOOGLES
				   ",'function':{'name':'f'}},7]}");

	check_cut(carried, STRICT, ASKED("{'role':'assistant','content':'b','n':1e2}"),
		  "reasoning_content");
	check_cut(called, STRICT,
		  ASKED("{'role':'assistant','tool_calls':[{'id':'c','function':{'name':'f'}},7]}"),
		  "reasoning_content");
	check_cut(ASKED("{'role':'assistant','reasoning':'hm','content':'b'}"), STRICT,
		  ASKED("{'role':'assistant','content':'b'}"), "reasoning_content");
	/* What is empty is refused too, and nobody's loss. */
	check_cut(ASKED("{'role':'assistant','reasoning_content':null,'reasoning_details':[]}"),
		  STRICT, ASKED("{'role':'assistant'}"), "");
	/* Servers that have them get them. */
	check_cut(carried, 0, carried, "");
	check_cut(called, 0, called, "");
	check_cut(carried, STRICT | QUIRK_SEND_REASONING, carried, "");
	/* Who has the one name does not know the other. */
	check_cut(ASKED("{'role':'assistant','reasoning':'hm','reasoning_content':'hm'}"),
		  STRICT | QUIRK_REASONING_FIELD, ASKED("{'role':'assistant','reasoning':'hm'}"),
		  "reasoning_content");
	check_cut(ASKED("{'role':'assistant','reasoning':'hm','reasoning_details':[1]}"),
		  STRICT | QUIRK_REASONING_FIELD | QUIRK_SEND_REASONING,
		  ASKED("{'role':'assistant','reasoning':'hm'}"), "reasoning_content");
	check_cut(called, STRICT | QUIRK_GOOGLE_SIGNATURES, called, "");
}

#define DREW(content, images) "{'role':'assistant','content':'" content "','images':[" images "]}"
#define IMAGE(url) "{'type':'image_url','image_url':{'url':'" url "'}}"
#define LEAD "{'type':'text','text':'" IR_DRAWN_LINE "'}"

static void trap_042_what_others_drew_is_the_users_where_openai_is_strict(void **state)
{
	const char *drew = ASKED(DREW(
		"b",
		IMAGE("data:image/png;base64,AA==")) ",{'role':'tool','x':1},"
						     "{'role':'user','n':1,'content':'Bluer'}");
	const char *parts =
		ASKED(DREW("b", IMAGE("https://e.com/a.png")) ",{'role':'user','content':["
							      "{'type':'text','text':'c'}]}");

	check_cut(drew, STRICT,
		  ASKED("{'role':'assistant','content':'b'},{'role':'tool','x':1},"
			"{'role':'user','n':1,'content':[" LEAD "," IMAGE(
				"data:image/png;base64,AA==") ",{'type':'text','text':'Bluer'}]}"),
		  "");
	check_cut(parts, STRICT,
		  ASKED("{'role':'assistant','content':'b'},{'role':'user','content':[" LEAD
			"," IMAGE("https://e.com/a.png") ",{'type':'text','text':'c'}]}"),
		  "");
	/* Nobody speaks after it. */
	check_cut(ASKED(DREW("b", IMAGE("https://e.com/a.png"))), STRICT,
		  ASKED("{'role':'assistant','content':'b'}"), "image");
	check_cut(ASKED(DREW("b", "")), STRICT, ASKED("{'role':'assistant','content':'b'}"), "");
	check_cut(drew, 0, drew, "");
	check_cut(drew, STRICT | QUIRK_ASSISTANT_IMAGES, drew, "");
}

#define SAID "{'role':'assistant','content':'" IR_DRAWN_PICTURE "'}"
#define NEXT ",{'role':'user','content':'c'}"
#define SHOWN                              \
	",{'role':'user','content':[" LEAD \
	"," IMAGE("https://e.com/a.png") ",{'type':'text','text':'c'}]}"

static void a_turn_that_was_only_drawn_is_not_left_empty(void **state)
{
	check_cut(ASKED(DREW("", IMAGE("https://e.com/a.png")) NEXT), STRICT, ASKED(SAID SHOWN),
		  "");
	check_cut(ASKED("{'role':'assistant','images':[" IMAGE("https://e.com/a.png") "]}" NEXT),
		  STRICT, ASKED(SAID SHOWN), "");
	check_cut(ASKED("{'role':'assistant','images':[" IMAGE(
			  "https://e.com/a.png") "],'content':[{'type':'text','text':''}]}" NEXT),
		  STRICT, ASKED(SAID SHOWN), "");
	check_cut(ASKED("{'role':'assistant','content':null,'tool_calls':[7],'images':[" IMAGE(
			  "https://e.com/a.png") "]}" NEXT),
		  STRICT, ASKED("{'role':'assistant','content':null,'tool_calls':[7]}" SHOWN), "");
	/* Nobody speaks after it. */
	check_cut(ASKED(DREW("", IMAGE("https://e.com/a.png"))), STRICT, ASKED(SAID), "image");
}

static void a_picture_without_an_address_is_left_out_and_named(void **state)
{
	check_cut(ASKED(DREW("b", "{'type':'image_url'}") NEXT), STRICT,
		  ASKED("{'role':'assistant','content':'b'}" NEXT), "image");
	check_cut(ASKED(DREW("b", IMAGE("") ",7," IMAGE("https://e.com/a.png")) NEXT), STRICT,
		  ASKED("{'role':'assistant','content':'b'}" SHOWN), "image");
}

static void names_that_stand_elsewhere_are_left_alone(void **state)
{
	static const char *const same[] = {
		ASKED("{'role' : 'user','content':'reasoning'}"),
		ASKED("{'role':'user', 'extra_content':1}"),
		ASKED("{'role':'assistant', 'content':'\\'reasoning_content\\':1'}"),
		ASKED("{'role':'assistant', 'content':[{'type':'text','reasoning':'x'}]}"),
		"{'model':'m', 'reasoning':{'effort':'low'},'messages':[7, null]}",
		"{'model':'m', 'reasoning':{},'messages': {'role':'assistant','reasoning':'x'}}",
		"{'model':'m', 'reasoning':{}}",
	};

	for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++)
		check_cut(same[i], STRICT, same[i], "");
}

/* --- tap --- */

struct tapping {
	struct arena *a, *scratch;
	struct relay_tap tap;
};

static struct tapping tapping(bool hide_usage)
{
	struct tapping t = { .a = arena_new(1 << 20), .scratch = arena_new(1 << 20) };

	t.tap = (struct relay_tap){ .arena = t.a,
				    .hide_usage = hide_usage,
				    .usage = IR_USAGE_NONE };
	return t;
}

static void tapping_done(struct tapping *t)
{
	buf_done(&t->tap.scratch);
	arena_free(t->scratch);
	arena_free(t->a);
}

/* One event whose only line is `data`. */
static unsigned tap(struct tapping *t, const char *data)
{
	struct str raw = arena_printf(t->a, "data: %s\n\n", data);
	struct frame ev = { .raw = quotes(t->a, raw.ptr) };
	unsigned flags;

	ev.data = (struct str){ ev.raw.ptr + 6, ev.raw.len - 8 };
	flags = chat->tap_event(&t->tap, t->scratch, &ev);
	arena_reset(t->scratch);
	return flags;
}

#define CHUNK(delta) "{'id':'x','choices':[{'index':0,'delta':" delta ",'finish_reason':null}]}"

static void only_content_opens_the_gate(void **state)
{
	struct tapping t = tapping(false);

	assert_int_equal(tap(&t, "{'choices':[],'prompt_filter_results':[]}"), 0);
	assert_int_equal(tap(&t, CHUNK("{'role':'assistant','content':''}")), 0);
	assert_int_equal(tap(&t, CHUNK("{'role':'assistant','content':null}")), 0);
	assert_int_equal(tap(&t, CHUNK("{}")), 0);
	assert_int_equal(tap(&t, "nonsense"), 0);
	assert_int_equal(tap(&t, CHUNK("{'content':'a'}")), TAP_MEANINGFUL);
	assert_int_equal(tap(&t, CHUNK("{'content':''}")), TAP_MEANINGFUL);
	assert_int_equal(tap(&t, "[DONE]"), TAP_END);
	tapping_done(&t);

	t = tapping(false);
	assert_int_equal(tap(&t, CHUNK("{'tool_calls':[{'index':0}]}")), TAP_MEANINGFUL);
	tapping_done(&t);
	t = tapping(false);
	assert_int_equal(tap(&t, CHUNK("{'reasoning_content':'hm'}")), TAP_MEANINGFUL);
	tapping_done(&t);
}

static void usage_and_finish_are_read_on_the_way(void **state)
{
	struct tapping t = tapping(false);

	(void)tap(&t, CHUNK("{'content':'say \\'usage\\':{\\'finish_reason\\':\\'x\\'} and "
			    "\\'error\\''}"));
	assert_false(t.tap.finished);
	(void)tap(&t, CHUNK("{'content':'\\'usage\\':{\\'error\\':\\'x\\'}'}"));
	assert_false(t.tap.finished);
	assert_int_equal(t.tap.usage.input, -1);
	assert_int_equal(tap(&t, "{'choices':[{'delta':{},'finish_reason': 'length'}]}"),
			 TAP_MEANINGFUL);
	assert_true(t.tap.finished);
	assert_int_equal(tap(&t,
			     "{'choices':[],'usage': {'prompt_tokens':3,'completion_tokens':4}}"),
			 TAP_MEANINGFUL);
	assert_int_equal(t.tap.usage.input, 3);
	assert_int_equal(t.tap.usage.output, 4);
	tapping_done(&t);
}

/* What is passed on instead of the event. */
static struct str edited(struct tapping *t)
{
	return arena_printf(t->a, "%.*s%.*s", STR_ARG(t->tap.edited), STR_ARG(t->tap.edited_rest));
}

static void trap_012_usage_that_only_we_asked_for_is_taken_out(void **state)
{
	struct tapping t = tapping(true);

	assert_int_equal(tap(&t, "{'choices':[{'delta':{'content':'a'}}],'usage':null}"),
			 TAP_MEANINGFUL | TAP_EDIT);
	CHECK_STR_IS(edited(&t), quotes(t.a, "data: {'choices':[{'delta':{'content':'a'}}]}\n\n"));
	assert_int_equal(
		tap(&t,
		    "{'usage': null , 'x':1,'choices':[{'delta':{'content':'\\'usage\\':null'}}]}"),
		TAP_MEANINGFUL | TAP_EDIT);
	assert_true(
		str_find(
			edited(&t),
			quotes(t.a,
			       "'x':1,'choices':[{'delta':{'content':'\\'usage\\':null'}}]}\n\n")) >
		0);
	assert_true(str_find(edited(&t), quotes(t.a, "'usage': null")) < 0);
	/* Another vendor's: with the last choices. */
	assert_int_equal(
		tap(&t,
		    "{'choices':[{'delta':{}}],'usage':{'prompt_tokens':1,'completion_tokens':2}}"),
		TAP_MEANINGFUL | TAP_EDIT);
	assert_int_equal(tap(&t,
			     "{'choices':[],'usage':{'prompt_tokens':1,'completion_tokens':5}}"),
			 TAP_MEANINGFUL | TAP_DROP);
	assert_int_equal(t.tap.usage.output, 5);
	/* Not ours: a chunk without choices that says something else. */
	assert_int_equal(tap(&t, "{'choices':[],'usage':null,'moderation':{}}"),
			 TAP_MEANINGFUL | TAP_EDIT);
	assert_int_equal(tap(&t, CHUNK("{'content':'b'}")), TAP_MEANINGFUL);
	tapping_done(&t);

	t = tapping(false);
	assert_int_equal(tap(&t, "{'choices':[{'delta':{'content':'a'}}],'usage':null}"),
			 TAP_MEANINGFUL);
	assert_int_equal(tap(&t, "{'choices':[],'usage':{'prompt_tokens':1}}"), TAP_MEANINGFUL);
	tapping_done(&t);
}

static void the_rest_of_the_block_stays_when_usage_is_taken_out(void **state)
{
	struct tapping t = tapping(true);
	struct frame ev = {
		.raw = quotes(t.a, "id: 7\r\ndata:{'choices':[],'x':[],'usage':null}\r\n\r\n")
	};

	ev.data = (struct str){ ev.raw.ptr + 12, ev.raw.len - 12 - 4 };
	assert_int_equal(chat->tap_event(&t.tap, t.scratch, &ev), 0 | TAP_EDIT);
	CHECK_STR_IS(edited(&t), quotes(t.a, "id: 7\r\ndata:{'choices':[],'x':[]}\r\n\r\n"));

	/* Data lines that the parser joined stand elsewhere. */
	ev.raw = STR("data: [\ndata: ]\n\n");
	ev.data = quotes(t.a, "{'choices':[],\n'usage':null}");
	assert_int_equal(chat->tap_event(&t.tap, t.scratch, &ev), 0 | TAP_EDIT);
	CHECK_STR_IS(edited(&t), quotes(t.a, "data: {'choices':[]}\n\n"));
	tapping_done(&t);
}

static void trap_112_an_error_inside_a_200_is_an_error(void **state)
{
	struct tapping t = tapping(false);

	(void)tap(&t, CHUNK("{'content':'a'}"));
	assert_int_equal(
		tap(&t,
		    "{'error':{'message':'Tool call validation failed','code':'tool_use_failed',"
		    "'status_code':400}}"),
		TAP_ERROR);
	assert_int_equal(t.tap.error.kind, IR_ERR_INVALID_REQUEST);
	CHECK_STR(t.tap.error.message, "Tool call validation failed");
	tapping_done(&t);

	t = tapping(false);
	assert_int_equal(
		tap(&t, "{'error':{'code':502,'message':'Bad'},'choices':[{'delta':{'content':''},"
			"'finish_reason':'error'}]}"),
		TAP_ERROR);
	assert_int_equal(t.tap.error.kind, IR_ERR_UPSTREAM);
	tapping_done(&t);
}

static unsigned tap_body(struct tapping *t, const char *body)
{
	return chat->tap_body(&t->tap, t->scratch, quotes(t->a, body));
}

static void a_whole_answer_is_told_from_an_error_and_from_nonsense(void **state)
{
	struct tapping t = tapping(false);

	assert_int_equal(tap_body(&t,
				  "{'choices':[{'message':{'content':'a'},'finish_reason':'stop'}],"
				  "'usage':{'prompt_tokens':3,'completion_tokens':4}}"),
			 TAP_MEANINGFUL);
	assert_true(t.tap.finished);
	assert_int_equal(t.tap.usage.output, 4);
	assert_int_equal(tap_body(&t, "{'error':{'message':'m','code':'content_filter'}}"),
			 TAP_ERROR);
	assert_int_equal(t.tap.error.kind, IR_ERR_CONTENT_FILTER);
	assert_int_equal(tap_body(&t, "<html>"), 0);
	assert_int_equal(tap_body(&t, ""), 0);
	assert_int_equal(tap_body(&t, "{}"), 0);
	assert_int_equal(tap_body(&t, "{'choices':[]}"), 0);
	assert_int_equal(tap_body(&t, "{'choices':null,'usage':null}"), 0);
	tapping_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peek_reads_the_few_members_that_matter),
		cmocka_unit_test(peek_refuses_what_has_no_model),
		cmocka_unit_test(azure_the_deployment_in_the_path_is_the_model),
		cmocka_unit_test(peek_knows_when_a_call_is_forced),
		cmocka_unit_test(patch_changes_nothing_but_what_it_must),
		cmocka_unit_test(trap_010_usage_is_asked_for_in_every_stream),
		cmocka_unit_test(trap_066_servers_that_know_only_max_tokens_get_it),
		cmocka_unit_test(trap_047_who_is_strict_gets_no_reasoning_of_others),
		cmocka_unit_test(trap_042_what_others_drew_is_the_users_where_openai_is_strict),
		cmocka_unit_test(a_turn_that_was_only_drawn_is_not_left_empty),
		cmocka_unit_test(a_picture_without_an_address_is_left_out_and_named),
		cmocka_unit_test(names_that_stand_elsewhere_are_left_alone),
		cmocka_unit_test(only_content_opens_the_gate),
		cmocka_unit_test(usage_and_finish_are_read_on_the_way),
		cmocka_unit_test(trap_012_usage_that_only_we_asked_for_is_taken_out),
		cmocka_unit_test(the_rest_of_the_block_stays_when_usage_is_taken_out),
		cmocka_unit_test(trap_112_an_error_inside_a_200_is_an_error),
		cmocka_unit_test(a_whole_answer_is_told_from_an_error_and_from_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
