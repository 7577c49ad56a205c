/* tests/unit/exchange/test_websocket_text.c - mirrors src/exchange/websocket_text.c. */
#include "check.h"
#include "quotes.h"
#include "exchange/websocket_text.h"

/* --- what a client sends --- */

static const struct message_case {
	const char *text, *body;
	const char *stream_id, *previous;
	bool warm_up;
} messages[] = {
	{ "{'type':'response.create','model':'m','input':'Hi'}",
	  "{'stream':true,'model':'m','input':'Hi'}", NULL, NULL, false },
	{ "{'type':'response.create'}", "{'stream':true}", NULL, NULL, false },
	{ "{'model':'m','type':'response.create'}", "{'model':'m','stream':true}", NULL, NULL,
	  false },
	{ "{'type':'response.create','stream_id':'a_1.b-2','model':'m'}",
	  "{'stream':true,'model':'m'}", "a_1.b-2", NULL, false },
	{ "{'type':'response.create','previous_response_id':'resp_1'}",
	  "{'stream':true,'previous_response_id':'resp_1'}", NULL, "resp_1", false },
	{ "{'type':'response.create','generate':false,'store':false}",
	  "{'stream':true,'store':false}", NULL, NULL, true },
	{ "{'type':'response.create','generate':true}", "{'stream':true}", NULL, NULL, false },
	/* What asks for that which happens anyway: Codex sends the first. */
	{ "{'type':'response.create','stream':true}", "{'stream':true}", NULL, NULL, false },
	{ "{'stream':null,'type':'response.create','stream_options':null,'background':false,'"
	  "stream_id':null}",
	  "{'stream':true}", NULL, NULL, false },
	/* Inside of values nothing is touched. */
	{ "{'type':'response.create','metadata':{'type':'x','stream':'y'}}",
	  "{'stream':true,'metadata':{'type':'x','stream':'y'}}", NULL, NULL, false },
};

static void what_becomes_of_a_message(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		const struct message_case *c = &messages[i];
		struct arena *a = arena_new(1 << 20);
		struct socket_envelope envelope;
		struct socket_message m;
		struct err e = { 0 };

		print_message("%s\n", c->text);
		assert_int_equal(socket_message_read(a, quotes(a, c->text), &m, &e), RC_OK);
		CHECK_STR_IS(m.body, quotes(a, c->body));
		socket_envelope_read(a, quotes(a, c->text), &envelope);
		CHECK_STR_IS(envelope.stream_id, c->stream_id ? str_from(c->stream_id) : STR_NONE);
		assert_false(envelope.bad_stream_id || envelope.steers);
		CHECK_STR_IS(m.previous, c->previous ? str_from(c->previous) : STR_NONE);
		assert_int_equal(m.generate, !c->warm_up);
		arena_free(a);
	}
}

static const struct {
	const char *text, *param;
} refused[] = {
	{ "", "" },
	{ "[]", "" },
	{ "{'type':'response.create'", "" },
	{ "{'type':'response.create','type':'response.create'}", "type" },
	{ "{}", "type" },
	{ "{'type':'response.cancel','stream_id':'a','previous_response_id':'p'}", "type" },
	{ "{'type':7,'stream_id':'a','previous_response_id':'p'}", "type" },
	{ "{'type':'response.create','stream':false,'stream_id':'a','previous_response_id':'p'}",
	  "stream" },
	{ "{'type':'response.create','stream':'true','stream_id':'a','previous_response_id':'p'}",
	  "stream" },
	{ "{'type':'response.create','stream_options':{},'stream_id':'a','previous_response_id':'p'"
	  "}",
	  "stream_options" },
	{ "{'type':'response.create','background':true,'stream_id':'a','previous_response_id':'p'}",
	  "background" },
	{ "{'type':'response.create','generate':'no','stream_id':'a','previous_response_id':'p'}",
	  "generate" },
};

static void what_is_refused_says_where(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct arena *a = arena_new(1 << 20);
		struct socket_envelope envelope;
		struct socket_message m;
		struct err e = { 0 };
		struct str text = quotes(a, refused[i].text);

		print_message("%s\n", refused[i].text);
		assert_true(socket_message_read(a, text, &m, &e) < 0);
		assert_string_equal(e.param, refused[i].param);
		assert_true(e.msg[0]);
		socket_envelope_read(a, text, &envelope);
		assert_false(envelope.bad_stream_id || envelope.steers);
		/* The answer still goes to the right lane, and what could not be continued is known. */
		if (str_find(text, STR("\"a\"")) >= 0) {
			CHECK_STR(m.previous, "p");
			CHECK_STR_IS(envelope.stream_id, STR("a"));
		} else {
			assert_null(envelope.stream_id.ptr);
		}
		arena_free(a);
	}
}

static void a_stream_id_has_1_to_256_plain_characters(void **state)
{
	static const char *const bad[] = { "''", "'a b'", "7", "{}", "'\xc3\xa4'", "true" };
	struct arena *a = arena_new(1 << 20);
	struct socket_envelope e;
	struct buf text;

	(void)state;
	for (int len = 256; len <= 257; len++) {
		buf_init(&text, 1 << 16);
		buf_puts(&text, "{\"stream_id\":\"");
		for (int i = 0; i < len; i++)
			buf_putc(&text, 'x');
		buf_puts(&text, "\"}");
		socket_envelope_read(a, buf_str(&text), &e);
		assert_int_equal(e.stream_id.len, len == 256 ? 256 : 0);
		assert_int_equal(e.bad_stream_id, len == 257);
		buf_done(&text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct str message = quotes(a, arena_printf(a, "{'stream_id':%s}", bad[i]).ptr);

		socket_envelope_read(a, message, &e);
		assert_true(e.bad_stream_id && !e.stream_id.ptr);
	}
	arena_free(a);
}

/* --- steering --- */

static void what_steers_and_what_is_wrong_with_it(void **state)
{
	static const struct {
		const char *more, *param; /* NULL: it can be given back */
		bool wrong;
	} cases[] = {
		{ "'input':'Now this.'", NULL, false },
		{ "'input':[{'role':'user','content':'x'},{'type':'message','role':'user','content'"
		  ":[{'type':'input_text','text':'x'},"
		  "{'type':'input_image','image_url':'u'},{'type':'input_file','file_id':'f'}]}]",
		  NULL, false },
		{ "'input':''", NULL, true },
		{ "'input':[]", NULL, true },
		{ "'input':['x']", NULL, true },
		{ "'input':[{'role':'system','content':'x'}]", NULL, true },
		{ "'input':[{'role':'user','content':7}]", NULL, true },
		{ "'input':[{'role':'user','content':[{'type':'output_text','text':'x'}]}]", NULL,
		  true },
		{ "'input':[{'type':'function_call_output','role':'user','content':'x'}]", NULL,
		  true },
		{ "'input':'x','stream_id':'a'", NULL, true },
		{ "'input':{}", "input", false },
		{ "'input':null", "input", false },
		{ "'model':'m'", "input", false },
	};
	struct arena *a = arena_new(1 << 20);
	struct socket_envelope envelope;
	struct socket_steer s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str text = quotes(
			a,
			arena_printf(a, "{'type':'response.steer','previous_response_id':'r',%s}",
				     cases[i].more)
				.ptr);
		struct err e = { 0 };
		int rc = socket_steer_read(a, text, &s, &e);

		print_message("%s\n", cases[i].more);
		socket_envelope_read(a, text, &envelope);
		assert_true(envelope.steers);
		assert_int_equal(rc, cases[i].param ? RC_INVALID : RC_OK);
		assert_string_equal(e.param, cases[i].param ? cases[i].param : "");
		assert_int_equal(e.msg[0] != 0, cases[i].wrong || cases[i].param);
		if (rc == RC_OK)
			CHECK_STR(s.previous, "r");
	}
	assert_int_equal(socket_steer_read(a, STR("{\"input\":\"x\"}"), &s, &(struct err){ 0 }),
			 RC_INVALID);
	arena_free(a);
}

static void what_cannot_be_steered_is_given_back(void **state)
{
	const struct socket_steer s = { STR("r\"1"), STR("[ 1.0 ]") };
	struct arena *a = arena_new(1 << 20);
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	socket_put_steer_failed(&out, &s, "response_not_found", STR("No."), 7, STR("lane"));
	CHECK_STR_IS(
		buf_str(&out),
		quotes(a, "{'type':'response.steer.failed','sequence_number':7,'steer':{'previous_"
			  "response_id':'r\\\"1',"
			  "'input':[ 1.0 "
			  "]},'error':{'type':'invalid_request_error','code':'response_not_found',"
			  "'message':'No.'},'stream_id':'lane'}"));
	buf_done(&out);
	arena_free(a);
}

/* --- errors --- */

static void error_bodies_become_envelopes(void **state)
{
	static const struct {
		int status;
		const char *body, *want;
	} cases[] = {
		{ 404,
		  "{'error':{'message':'No.','type':'invalid_request_error','param':'model','code':"
		  "'model_not_found'}}",
		  "{'type':'error','status':404,'error':{'type':'invalid_request_error','code':'"
		  "model_not_found','message':'No.','param':'model'}" },
		/* The envelope's code is a string, OpenAI's may be null. */
		{ 400,
		  "{'error':{'message':'No.','type':'invalid_request_error','param':null,'code':"
		  "null}}",
		  "{'type':'error','status':400,'error':{'type':'invalid_request_error','code':'"
		  "invalid_request_error','message':'No.','param':null}" },
		/* What else a provider says is kept: Codex reads when the limit ends. */
		{ 429,
		  "{'error':{'type':'usage_limit_reached','message':'Enough.','resets_at':1738,'"
		  "plan_type':'pro'}}",
		  "{'type':'error','status':429,'error':{'type':'usage_limit_reached','code':'"
		  "usage_limit_reached','message':'Enough.','param':null,'resets_at':1738,'plan_"
		  "type':'pro'}" },
		{ 502, "<html>",
		  "{'type':'error','status':502,'error':{'type':'server_error','code':'server_"
		  "error','message':'The request failed.','param':null}" },
		{ 401, "{'error':'plain'}",
		  "{'type':'error','status':401,'error':{'type':'authentication_error','code':'"
		  "authentication_error','message':'The request failed.','param':null}" },
		{ 429, "",
		  "{'type':'error','status':429,'error':{'type':'rate_limit_error','code':'rate_"
		  "limit_error','message':'The request failed.','param':null}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *a = arena_new(1 << 20);
		struct str want = quotes(a, cases[i].want);
		struct buf out;

		buf_init(&out, 1 << 16);
		socket_put_error(&out, a, cases[i].status, quotes(a, cases[i].body), STR_NONE,
				 STR_NONE);
		CHECK_STR_IS(buf_str(&out), arena_printf(a, "%.*s}", STR_ARG(want)));
		buf_reset(&out);
		socket_put_error(&out, a, cases[i].status, quotes(a, cases[i].body),
				 STR("{\"a\":\"b\"}"), STR("lane"));
		CHECK_STR_IS(buf_str(&out),
			     arena_printf(a,
					  "%.*s,\"headers\":{\"a\":\"b\"},\"stream_id\":\"lane\"}",
					  STR_ARG(want)));
		buf_done(&out);
		arena_free(a);
	}
}

static void an_error_of_our_own(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	socket_put_own_error(&out, &(struct socket_own_error){
					   .status = 400,
					   .code = "websocket_connection_limit_reached",
					   .message = STR("Enough."),
				   });
	CHECK_STR_IS(
		buf_str(&out),
		quotes(a,
		       "{'type':'error','status':400,'error':{'type':'invalid_request_error','code'"
		       ":'websocket_connection_limit_reached','message':'Enough.','param':null}}"));
	buf_reset(&out);
	socket_put_own_error(&out, &(struct socket_own_error){ .status = 503,
							       .code = "server_error",
							       .param = "p",
							       .message = STR("No."),
							       .stream_id = STR("x") });
	CHECK_STR_IS(buf_str(&out),
		     quotes(a, "{'type':'error','status':503,'error':{'type':'server_error','code':"
			       "'server_error','message':'No.','param':'p'},'stream_id':'x'}"));
	buf_done(&out);
	arena_free(a);
}

static void error_events_become_envelopes(void **state)
{
	static const struct {
		const char *data, *want;
	} cases[] = {
		{ "{'type':'error','code':'rate_limit_exceeded','message':'Slow.','param':null,'"
		  "sequence_number':3}",
		  "{'type':'error','status':429,'error':{'type':'rate_limit_error','code':'rate_"
		  "limit_exceeded','message':'Slow.','param':null},'sequence_number':5}" },
		{ "{'type':'error','sequence_number':0,'error':{'type':'server_error','code':null,'"
		  "message':'Broken.','param':null}}",
		  "{'type':'error','status':500,'error':{'type':'server_error','code':'server_"
		  "error','message':'Broken.','param':null},'sequence_number':5}" },
		{ "{'type':'error','code':'invalid_prompt','message':'No.'}",
		  "{'type':'error','status':400,'error':{'type':'invalid_request_error','code':'"
		  "invalid_prompt','message':'No.','param':null}}" },
		{ "{}", "{'type':'error','status':500,'error':{'type':'server_error','code':'"
			"server_error','message':'The request failed.','param':null}}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *a = arena_new(1 << 20);
		struct buf out;

		buf_init(&out, 1 << 16);
		socket_put_error_event(&out, a, quotes(a, cases[i].data), 5, STR_NONE);
		CHECK_STR_IS(buf_str(&out), quotes(a, cases[i].want));
		buf_done(&out);
		arena_free(a);
	}
}

static void fields_become_headers(void **state)
{
	const struct http_field fields[] = { { STR("content-type"), STR("text/event-stream") },
					     { STR("x-request-id"), STR("req_\"1\"") },
					     { STR("Cache-Control"), STR("no-store") },
					     { STR("x-llm-gateway-dropped"), STR("top_k") } };
	struct arena *a = arena_new(1 << 20);

	(void)state;
	CHECK_STR_IS(
		socket_headers(a, fields, 4),
		STR("{\"x-request-id\":\"req_\\\"1\\\"\",\"x-llm-gateway-dropped\":\"top_k\"}"));
	CHECK_STR_IS(socket_headers(a, fields, 0), STR("{}"));
	arena_free(a);
}

/* --- events --- */

static void events_as_they_are_sent(void **state)
{
	static const struct {
		const char *data, *headers, *stream_id;
		int shift;
		const char *want;
	} cases[] = {
		{ "{'type':'x','sequence_number':4}", NULL, NULL, 0,
		  "{'type':'x','sequence_number':4}" },
		{ "{'type':'x' }\n", NULL, NULL, 0, "{'type':'x' }\n" },
		{ "{'type':'x' }\n", NULL, "a", 0, "{'type':'x' ,'stream_id':'a'}" },
		{ "{'type':'x'}", "{'h':'1'}", NULL, 0, "{'type':'x','headers':{'h':'1'}}" },
		{ "{'type':'x'}", "{'h':'1'}", "a", 0,
		  "{'type':'x','headers':{'h':'1'},'stream_id':'a'}" },
		{ "{'type':'x','sequence_number':4}", NULL, NULL, -1,
		  "{'type':'x','sequence_number':3}" },
		{ "{'type':'x','sequence_number':4}", NULL, NULL, 2,
		  "{'type':'x','sequence_number':6}" },
		{ "{'type':'x','sequence_number':0}", NULL, NULL, -1,
		  "{'type':'x','sequence_number':0}" },
		{ "{'type':'x'}", NULL, "a", 1, "{'type':'x','stream_id':'a'}" },
		{ "no object", NULL, "a", 1, "no object" },
		{ "{'t':'\xff\xc3\xa4\xc3'}", NULL, NULL, 0,
		  "{'t':'\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd'}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *a = arena_new(1 << 20);
		struct buf out;

		buf_init(&out, 1 << 16);
		socket_put_event(&out, a, quotes(a, cases[i].data),
				 cases[i].headers ? quotes(a, cases[i].headers) : STR_NONE,
				 cases[i].stream_id ? str_from(cases[i].stream_id) : STR_NONE,
				 cases[i].shift);
		CHECK_STR_IS(buf_str(&out), quotes(a, cases[i].want));
		buf_done(&out);
		arena_free(a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_becomes_of_a_message),
		cmocka_unit_test(what_is_refused_says_where),
		cmocka_unit_test(a_stream_id_has_1_to_256_plain_characters),
		cmocka_unit_test(what_steers_and_what_is_wrong_with_it),
		cmocka_unit_test(what_cannot_be_steered_is_given_back),
		cmocka_unit_test(error_bodies_become_envelopes),
		cmocka_unit_test(an_error_of_our_own),
		cmocka_unit_test(error_events_become_envelopes),
		cmocka_unit_test(fields_become_headers),
		cmocka_unit_test(events_as_they_are_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
