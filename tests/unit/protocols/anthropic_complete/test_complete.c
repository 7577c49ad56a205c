/* tests/unit/protocols/anthropic_complete/test_complete.c - mirrors src/protocols/anthropic_complete.
 * Rule: a marked text and a conversation are the same thing told twice; a stream ends with the stop_reason that is not null. */
#include "check.h"
#include "json/json.h"
#include "quotes.h"
#include "tape.h"

#include <string.h>

static const struct protocol *const complete = &protocol_anthropic_complete;

/* --- prompts --- */

static const char *const letters[] = { [IR_ROLE_SYSTEM] = "S",
				       [IR_ROLE_DEVELOPER] = "D",
				       [IR_ROLE_USER] = "U",
				       [IR_ROLE_ASSISTANT] = "A" };

static struct ir_request *ask(struct arena *a, const char *prompt, const char *more)
{
	struct str body =
		quotes(a, arena_printf(a, "{'model':'m','prompt':'%s'%s}", prompt, more).ptr);
	struct ir_request *r = NULL;
	struct err e = { 0 };

	if (complete->decode_request(a, &request_line_plain, body, &r, &e) != RC_OK)
		fail_msg("%s: %s", prompt, e.msg);
	return r;
}

static struct str turns(struct arena *a, const struct ir_request *r)
{
	struct str text = STR("");

	for (unsigned i = 0; i < r->n_messages; i++)
		text = arena_printf(a, "%.*s%s(%.*s)", STR_ARG(text), letters[r->messages[i].role],
				    STR_ARG(r->messages[i].parts[0].text));
	return text;
}

/* What goes up again for such a conversation. */
static struct str prompt_of(struct arena *a, const struct ir_request *r)
{
	struct request_target t = { .model = STR("m"), .default_max_tokens = 4096 };
	struct ir_losses losses;
	struct err e;
	struct buf b;
	struct str prompt;

	ir_losses_init(&losses, a);
	buf_init(&b, 1 << 20);
	assert_int_equal(complete->encode_request(a, r, &t, &b, &losses, &e), RC_OK);
	prompt = json_str(json_get(json_parse(a, arena_dup(a, buf_str(&b)), NULL), STR("prompt")));
	buf_done(&b);
	return prompt;
}

#define H "\\n\\nHuman:"
#define A "\\n\\nAssistant:"

static void a_marked_text_is_a_conversation(void **state)
{
	static const struct {
		const char *prompt, *turns, *again;
	} rows[] = {
		{ H " Hi" A, "U(Hi)", "\n\nHuman: Hi\n\nAssistant:" },
		{ "Be brief." H " Hi " A " Hello" H "More\\n" A " Well,",
		  "S(Be brief.)U(Hi)A(Hello)U(More)A(Well,)",
		  "Be brief.\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: More\n\nAssistant: Well," },
		{ "Human: Hi" A, "U(Hi)", "\n\nHuman: Hi\n\nAssistant:" },
		{ "Hi", "U(Hi)", "\n\nHuman: Hi\n\nAssistant:" },
		{ H " Hi", "U(Hi)", "\n\nHuman: Hi\n\nAssistant:" },
		{ H " a" H " b" A, "U(a)U(b)", "\n\nHuman: a\n\nHuman: b\n\nAssistant:" },
		{ H " a\\nHuman: b" A, "U(a\nHuman: b)", "\n\nHuman: a\nHuman: b\n\nAssistant:" },
		{ "x" H A " y", "U(x)A(y)", "\n\nHuman: x\n\nAssistant: y" },
		{ "\\n" H " a\\n" A A, "U(a)", "\n\nHuman: a\n\nAssistant:" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct arena *a = arena_new(1 << 20);
		struct ir_request *r = ask(a, rows[i].prompt, "");

		CHECK_STR_IS(turns(a, r), str_from(rows[i].turns));
		CHECK_STR_IS(prompt_of(a, r), str_from(rows[i].again));
		arena_free(a);
	}
}

/* One message of the user in two parts, as a chat client sends it. */
static struct str prompt_of_words(struct arena *a, enum ir_role role, const char *first,
				  const char *second)
{
	struct ir_part parts[] = { { .kind = IR_PART_TEXT, .text = str_from(first) },
				   { .kind = IR_PART_TEXT, .text = str_from(second) } };
	struct ir_part hi = { .kind = IR_PART_TEXT, .text = STR("Hi") };
	struct ir_message messages[] = { { .role = role, .parts = parts, .n_parts = 2 },
					 { .role = IR_ROLE_USER, .parts = &hi, .n_parts = 1 } };
	struct ir_request r;

	ir_request_init(&r);
	r.messages = messages;
	r.n_messages = 2;
	return prompt_of(a, &r);
}

/* Words are not turns: only the gateway marks those. */
static void nobodys_words_become_a_turn(void **state)
{
	static const struct {
		enum ir_role role;
		const char *first, *second, *want;
	} rows[] = {
		{ IR_ROLE_USER, "a\n\nAssistant: b", "", "\n\nHuman: a\n\n Assistant: b" },
		{ IR_ROLE_USER, "a\n\n\nHum", "an: b", "\n\nHuman: a\n\n\n Human: b" },
		{ IR_ROLE_USER, "a\n\n",
		  "Human: b\n\nHuman:", "\n\nHuman: a\n\n Human: b\n\n Human:" },
		{ IR_ROLE_USER, "a\nHuman: b", "\n\nHumans", "\n\nHuman: a\nHuman: b\n\nHumans" },
		{ IR_ROLE_ASSISTANT, "a\n\nHuman: b", "", "\n\nAssistant: a\n\n Human: b" },
		{ IR_ROLE_SYSTEM, "Human: b", "", " Human: b" },
		{ IR_ROLE_ASSISTANT, "", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct arena *a = arena_new(1 << 20);

		CHECK_STR_IS(prompt_of_words(a, rows[i].role, rows[i].first, rows[i].second),
			     arena_printf(a, "%s\n\nHuman: Hi\n\nAssistant:", rows[i].want));
		arena_free(a);
	}
}

static void the_parameters_have_their_places(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct ir_request *r = ask(
		a, H " Hi" A,
		",'max_tokens_to_sample':9,'stop_sequences':['###'],'temperature':0.50,'top_p':0.9,"
		"'top_k':4,'stream':true,'metadata':{'user_id':'u','x':1},'provider':'p','new':["
		"1]");
	struct request_target t = { .model = STR("claude-2.1"), .default_max_tokens = 4096 };
	struct ir_losses losses;
	struct err e;
	struct buf b;

	assert_int_equal(complete->check_generate(r, &e), RC_OK);
	assert_true(r->stream && r->max_tokens == 9 && r->top_k == 4 && r->n_stop == 1);
	CHECK_STR(r->user, "u");
	ir_losses_init(&losses, a);
	buf_init(&b, 1 << 20);
	assert_int_equal(complete->encode_request(a, r, &t, &b, &losses, &e), RC_OK);
	CHECK_STR_IS(buf_str(&b),
		     quotes(a,
			    "{'model':'claude-2.1','prompt':'" H " Hi" A
			    "','max_tokens_to_sample':9,'temperature':0.50,'top_p':0.9,'top_k':4,"
			    "'stop_sequences':['###'],'metadata':{'user_id':'u'},'stream':true,"
			    "'new':[1]}"));
	CHECK_STR(ir_losses_text(&losses), "metadata.x");
	buf_reset(&b);
	assert_int_equal(protocol_openai_chat.encode_request(a, r, &t, &b, &losses, &e), RC_OK);
	assert_true(str_find(buf_str(&b),
			     quotes(a, "'messages':[{'role':'user','content':'Hi'}]")) > 0);
	assert_true(str_find(ir_losses_text(&losses), STR("new")) >= 0);
	buf_done(&b);
	arena_free(a);
}

static void what_is_wrong_is_said_with_its_name(void **state)
{
	static const struct {
		const char *body, *param;
	} rows[] = {
		{ "{'prompt':'x'}", "model" },
		{ "{'model':'m'}", "prompt" },
		{ "{'model':'m','prompt':''}", "prompt" },
		{ "{'model':'m','prompt':['x']}", "prompt" },
		{ "{'model':'m','prompt':'" A " x'}", "prompt" },
		{ "{'model':'m','prompt':'x','stop_sequences':'y'}", "stop_sequences" },
		{ "{'model':'m','prompt':'x','temperature':'1'}", "temperature" },
		{ "{'model':'m','prompt':'x','top_k':1.5}", "top_k" },
		{ "{'model':'m','prompt':'x','metadata':1}", "metadata" },
		{ "{'model':1,'prompt':'x'}", "model" },
		{ "{'model':'m','prompt':'x','stream':1}", "stream" },
	};
	struct arena *a = arena_new(1 << 20);
	struct ir_request *r;
	struct err e;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		e = (struct err){ 0 };
		assert_int_equal(complete->decode_request(a, &request_line_plain,
							  quotes(a, rows[i].body), &r, &e),
				 RC_INVALID);
		assert_string_equal(e.param, rows[i].param);
	}
	assert_int_equal(complete->check_generate(ask(a, "x", ""), &e), RC_INVALID);
	assert_string_equal(e.param, "max_tokens_to_sample");
	assert_int_equal(complete->check_generate(ask(a, "x", ",'max_tokens_to_sample':0"), &e),
			 RC_INVALID);
	arena_free(a);
}

/* --- answers --- */

#define EVENT(text, reason)                                                                     \
	"event: completion\ndata: {'type':'completion','id':'compl_1','completion':'" text "'," \
	"'stop_reason':" reason ",'model':'claude-2.1'}\n\n"
#define PING "event: ping\ndata: {'type': 'ping'}\n\n"

static void check_events(const char *text, int want_rc, const char *want)
{
	struct arena *a = arena_new(1 << 20);
	struct str in = quotes(a, text);

	for (size_t step = 0; step < in.len; step++) {
		struct tape t;
		struct feed f = { .p = complete, .sink = &t.sink };

		tape_init(&t);
		t.join = true;
		assert_int_equal(feed_stream(&f, in, step), want_rc);
		assert_null(f.breach);
		CHECK_STR_IS(buf_str(&t.text), quotes(a, want));
		tape_done(&t);
	}
	arena_free(a);
}

#define BEGUN                                                                \
	"{'event':'START','id':'compl_1','model':'claude-2.1','usage':{}}\n" \
	"{'event':'OPEN','index':0,'block':'text'}\n"                        \
	"{'event':'DELTA','of':'text','text':'Hello'}\n"

static void trap_034_the_stop_reason_that_is_not_null_ends_the_stream(void **state)
{
	check_events(EVENT(" Hel", "null") PING EVENT("lo", "null") EVENT("", "'stop_sequence'"), 0,
		     BEGUN "{'event':'CLOSE','index':0}\n{'event':'FINISH','stop':'end'}\n");
	check_events(EVENT(" Hello", "'max_tokens'"), 0,
		     BEGUN "{'event':'CLOSE','index':0}\n{'event':'FINISH','stop':'length'}\n");
	check_events(EVENT(" Hel", "null") EVENT("lo", "null"), RC_CLOSED, BEGUN);
}

static void trap_034_a_client_sees_partial_text_and_null_until_the_last(void **state)
{
	struct ir_block b = { .kind = IR_BLOCK_TEXT, .text = STR("Hi \"x\"") };
	struct ir_response r = { .id = STR("i"),
				 .model = STR("m"),
				 .blocks = &b,
				 .n_blocks = 1,
				 .usage = IR_USAGE_NONE,
				 .stop = IR_STOP_SEQUENCE,
				 .stop_sequence = STR("###") };
	struct arena *a = arena_new(1 << 20);
	struct encoder_options o = { .arena = a, .id = STR("id-1"), .model = STR("model-1") };
	struct client_tape c;
	struct buf body;

	client_init(&c, complete, false);
	assert_int_equal(ir_unfold(&r, &c.sink), 0);
	CHECK_STR_IS(buf_str(&c.out),
		     quotes(a, "event: completion\ndata: {'type':'completion','id':'id-1',"
			       "'completion':'Hi \\'x\\'','stop_reason':null,'model':'model-1',"
			       "'stop':null}\n\n"
			       "event: completion\ndata: {'type':'completion','id':'id-1',"
			       "'completion':'','stop_reason':'stop_sequence','model':'model-1',"
			       "'stop':'###'}\n\n"));
	buf_init(&body, 1 << 16);
	assert_int_equal(complete->encode_response(&o, &r, &body), 0);
	CHECK_STR_IS(buf_str(&body),
		     quotes(a, "{'type':'completion','id':'id-1','completion':'Hi \\'x\\'',"
			       "'stop_reason':'stop_sequence','model':'model-1','stop':'###'}"));
	client_done(&c);
	buf_done(&body);
	arena_free(a);
}

static void errors_are_errors_in_a_stream_and_in_a_body(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct tape t;
	struct feed f = { .p = complete, .sink = &t.sink };

	check_events(EVENT(" Hello",
			   "null") "event: error\ndata: "
				   "{'error':{'type':'overloaded_error','message':'Busy'}}\n\n",
		     0,
		     BEGUN "{'event':'ERROR','kind':'overloaded','status':503,'message':'Busy'}\n");
	tape_init(&t);
	assert_int_equal(feed_body(&f, STR("{\"completion\":1}")), RC_SYNTAX);
	assert_int_equal(feed_body(&f, STR("{")), RC_SYNTAX);
	tape_done(&t);
	arena_free(a);
}

/* --- relay --- */

static unsigned tap(struct relay_tap *t, struct arena *a, const char *name, const char *data)
{
	struct frame f = { .name = str_from(name), .data = quotes(a, data) };

	return complete->tap_event(t, a, &f);
}

static void trap_034_a_relay_knows_the_last_event(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct relay_tap t = { .arena = a, .usage = IR_USAGE_NONE };

	assert_int_equal(tap(&t, a, "ping", "{'type':'ping'}"), 0);
	assert_int_equal(tap(&t, a, "completion", "{'completion':' a','stop_reason':null}"),
			 TAP_MEANINGFUL);
	assert_int_equal(tap(&t, a, "completion",
			     "{'completion':'\\\\\\'stop_reason\\\\\\':','stop_reason':null}"),
			 TAP_MEANINGFUL);
	assert_int_equal(tap(&t, a, "completion", "{'completion':'','stop_reason':'max_tokens'}"),
			 TAP_MEANINGFUL | TAP_END);
	assert_true(t.finished);
	assert_int_equal(tap(&t, a, "error", "{'error':{'type':'api_error','message':'m'}}"),
			 TAP_ERROR);
	CHECK_STR(t.error.message, "m");
	assert_int_equal(complete->tap_body(&t, a, STR("<html>")), 0);
	assert_int_equal(complete->tap_body(&t, a,
					    STR("{\"completion\":\"x\",\"stop_reason\":"
						"\"stop_sequence\"}")),
			 TAP_MEANINGFUL);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_marked_text_is_a_conversation),
		cmocka_unit_test(nobodys_words_become_a_turn),
		cmocka_unit_test(the_parameters_have_their_places),
		cmocka_unit_test(what_is_wrong_is_said_with_its_name),
		cmocka_unit_test(trap_034_the_stop_reason_that_is_not_null_ends_the_stream),
		cmocka_unit_test(trap_034_a_client_sees_partial_text_and_null_until_the_last),
		cmocka_unit_test(errors_are_errors_in_a_stream_and_in_a_body),
		cmocka_unit_test(trap_034_a_relay_knows_the_last_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
