/* tests/unit/protocols/openai_chat/test_errors.c - mirrors src/protocols/openai_chat/errors.c and models.c.
 * The bodies are as the vendors sent them. */
#include "check.h"
#include "json/json.h"
#include "protocols/protocol.h"
#include "quotes.h"

static const struct protocol *const chat = &protocol_openai_chat;

static const struct {
	int status;
	const char *body;
	bool own_shape;
	enum ir_error_kind kind;
	const char *message, *code;
} rows[] = {
	{ 404,
	  "{'error':{'message':'The model `x` does not "
	  "exist','type':'invalid_request_error','param':null,"
	  "'code':'model_not_found'}}",
	  true, IR_ERR_MODEL_NOT_FOUND, "The model `x` does not exist", "model_not_found" },
	{ 401,
	  "{'error':{'message':'Incorrect API key','type':'invalid_request_error','param':null,"
	  "'code':'invalid_api_key'}}",
	  true, IR_ERR_AUTHENTICATION, "Incorrect API key", "invalid_api_key" },
	{ 429,
	  "{'error':{'message':'Quota','type':'insufficient_quota','param':null,'code':'"
	  "insufficient_quota'}}",
	  true, IR_ERR_BILLING, "Quota", "insufficient_quota" },
	{ 429, "{'error':{'code':'RateLimitReached','message':'Slow','details':'Slow'}}", true,
	  IR_ERR_RATE_LIMIT, "Slow", "RateLimitReached" },
	{ 404,
	  "{'error':{'type':'invalid_request_error','code':'DeploymentNotFound','message':'No "
	  "deployment'}}",
	  true, IR_ERR_MODEL_NOT_FOUND, "No deployment", "DeploymentNotFound" },
	{ 401, "{'error':{'code':'401','message':'Access denied'}}", true, IR_ERR_AUTHENTICATION,
	  "Access denied", "401" },
	{ 400,
	  "{'error':{'message':'filtered','type':null,'param':'prompt','code':'content_filter','"
	  "status':400,"
	  "'innererror':{'code':'ResponsibleAIPolicyViolation'}}}",
	  true, IR_ERR_CONTENT_FILTER, "filtered", "content_filter" },
	{ 401, "{'detail':'Invalid API Key'}", false, IR_ERR_AUTHENTICATION, "Invalid API Key",
	  NULL },
	{ 422, "{'detail':[{'loc':['body','x'],'msg':'field required','type':'value_error'}]}",
	  false, IR_ERR_INVALID_REQUEST, "field required", NULL },
	{ 422,
	  "{'object':'error','message':{'detail':[{'msg':'too "
	  "high'}]},'type':'invalid_request_error'}",
	  false, IR_ERR_INVALID_REQUEST, "too high", NULL },
	{ 400,
	  "{'code':'Client specified an invalid argument','error':'Incorrect API key provided'}",
	  false, IR_ERR_INVALID_REQUEST, "Incorrect API key provided",
	  "Client specified an invalid argument" },
	{ 400, "{'object':'error','message':'maximum context length is 4096','code':40303}", false,
	  IR_ERR_CONTEXT_LENGTH, "maximum context length is 4096", NULL },
	{ 400,
	  "{'error':{'message':'prompt too long; exceeded max context length by 9 "
	  "tokens','type':'x','code':null}}",
	  true, IR_ERR_CONTEXT_LENGTH, "prompt too long; exceeded max context length by 9 tokens",
	  NULL },
	{ 400, "[{'error':{'code':400,'message':'API key not valid','status':'INVALID_ARGUMENT'}}]",
	  false, IR_ERR_INVALID_REQUEST, "API key not valid", NULL },
	{ 429, "{'error':{'message':'Rate limit','code':429,'metadata':{}}}", true,
	  IR_ERR_RATE_LIMIT, "Rate limit", NULL },
	{ 404, "{'error':'model not found'}", false, IR_ERR_MODEL_NOT_FOUND, "model not found",
	  NULL },
	{ 400,
	  "{'error':{'code':'content_filter','message':'filtered','param':'prompt','status':400,"
	  "'innererror':{'code':'ResponsibleAIPolicyViolation'}}}",
	  true, IR_ERR_CONTENT_FILTER, "filtered", "content_filter" },
	{ 400,
	  "{'error':{'code':null,'message':'blocked','innererror':{'code':"
	  "'ResponsibleAIPolicyViolation','content_filter_result':{}}}}",
	  true, IR_ERR_CONTENT_FILTER, "blocked", "ResponsibleAIPolicyViolation" },
	{ 503, "{'error':{'message':'Loading model','type':'unavailable_error','code':503}}", true,
	  IR_ERR_UNAVAILABLE, "Loading model", NULL },
	{ 529, "{'type':'error','error':{'type':'overloaded_error','message':'Overloaded'}}", true,
	  IR_ERR_OVERLOADED, "Overloaded", NULL },
	{ 502, "<html><body>Bad Gateway</body></html>", false, IR_ERR_UPSTREAM,
	  "The provider answered with status 502 and a body that is no JSON.", NULL },
	{ 500, "", false, IR_ERR_SERVER, "The provider answered with status 500 and an empty body.",
	  NULL },
	{ 404, "404 page not found", false, IR_ERR_NOT_FOUND, "404 page not found", NULL },
	{ 500, "{}", false, IR_ERR_SERVER,
	  "The provider answered with an error (status 500) and did not say why.", NULL },
	{ 504, "'gateway'", false, IR_ERR_TIMEOUT, "gateway", NULL },
};

static void trap_107_errors_of_every_shape_are_read(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct arena *a = arena_new(1 << 20);
		struct ir_error e;
		bool own = chat->decode_error(a, rows[i].status, quotes(a, rows[i].body), &e);

		if (own != rows[i].own_shape || e.kind != rows[i].kind)
			fail_msg("%s: own %d, kind %s", rows[i].body, own,
				 ir_error_kind_name(e.kind));
		CHECK_STR_IS(e.message, str_from(rows[i].message));
		CHECK_STR_IS(e.code, str_from(rows[i].code));
		assert_int_equal(e.retry_after_ms, -1);
		arena_free(a);
	}
}

static const json *encoded(struct arena *a, struct ir_error e, int *status)
{
	const json *root;
	struct buf out;

	buf_init(&out, 65536);
	chat->encode_error(&e, STR("req-1"), &out, status);
	root = json_parse(a, buf_str(&out), NULL);
	buf_done(&out);
	assert_non_null(root);
	return json_get(root, STR("error"));
}

static void trap_107_all_four_keys_are_always_there(void **state)
{
	struct arena *a = arena_new(1 << 20);
	int status;

	for (int k = IR_ERR_INVALID_REQUEST; k <= IR_ERR_TIMEOUT; k++) {
		const json *e = encoded(
			a, (struct ir_error){ .kind = (enum ir_error_kind)k, .message = STR("m") },
			&status);

		assert_int_equal(json_len(e), 4);
		CHECK_STR(json_str(json_get(e, STR("message"))), "m");
		assert_true(json_is_str(json_get(e, STR("type"))));
		assert_true(json_is_null(json_get(e, STR("param"))));
		assert_non_null(json_get(e, STR("code")));
		assert_in_range(status, 400, 599);
	}
	arena_free(a);
}

static void an_unknown_model_is_404_model_not_found(void **state)
{
	struct arena *a = arena_new(1 << 20);
	int status;
	const json *e = encoded(a,
				(struct ir_error){ .kind = IR_ERR_MODEL_NOT_FOUND,
						   .message = STR("no \"x\""),
						   .param = STR("model") },
				&status);

	assert_int_equal(status, 404);
	CHECK_STR(json_str(json_get(e, STR("type"))), "invalid_request_error");
	CHECK_STR(json_str(json_get(e, STR("code"))), "model_not_found");
	CHECK_STR(json_str(json_get(e, STR("param"))), "model");
	CHECK_STR(json_str(json_get(e, STR("message"))), "no \"x\"");
	arena_free(a);
}

static void trap_109_there_is_no_529_here(void **state)
{
	struct arena *a = arena_new(1 << 20);
	int status;

	(void)encoded(a, (struct ir_error){ .kind = IR_ERR_OVERLOADED, .status = 529 }, &status);
	assert_int_equal(status, 503);
	arena_free(a);
}

static void trap_111_an_error_in_a_stream_ends_it_without_done(void **state)
{
	struct ir_error e = { .kind = IR_ERR_UPSTREAM, .message = STR("cut") };
	struct buf out;

	buf_init(&out, 65536);
	chat->encode_stream_error(&e, STR("req-1"), FRAMING_SSE, true, &out);
	CHECK_STR(buf_str(&out),
		  "data: {\"error\":{\"message\":\"cut\",\"type\":\"server_error\",\"param\":null,"
		  "\"code\":\"upstream_error\"}}\n\n");
	buf_done(&out);
}

static void models_are_listed_and_read_back(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct model_info models[] = {
		{ .id = STR("a/b"), .owner = STR("o"), .created_s = 5, .context = 4096 },
		{ .id = STR("c") }
	};
	struct str *ids;
	struct err err;
	struct buf out;
	unsigned n;

	buf_init(&out, 65536);
	chat->encode_models(models, 2, &out);
	CHECK_STR_IS(buf_str(&out),
		     quotes(a, "{'object':'list','data':[{'id':'a/b','object':'model','created':5,"
			       "'owned_by':'o','context_length':4096},"
			       "{'id':'c','object':'model','created':0,'owned_by':''}]}"));
	assert_int_equal(chat->decode_models(a, buf_str(&out), &ids, &n, &err), 0);
	assert_int_equal(n, 2);
	CHECK_STR(ids[0], "a/b");
	CHECK_STR(ids[1], "c");
	buf_reset(&out);
	chat->encode_model(&models[1], &out);
	CHECK_STR_IS(buf_str(&out),
		     quotes(a, "{'id':'c','object':'model','created':0,'owned_by':''}"));
	buf_done(&out);

	assert_int_equal(chat->decode_models(a, quotes(a, "[{'id':'x'},{'no':1},{'name':'y'}]"),
					     &ids, &n, &err),
			 0);
	assert_int_equal(n, 2);
	assert_int_equal(
		chat->decode_models(a, quotes(a, "{'models':[{'name':'z'}]}"), &ids, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(chat->decode_models(a, STR("{}"), &ids, &n, &err), RC_SYNTAX);
	assert_int_equal(chat->decode_models(a, STR("<html>"), &ids, &n, &err), RC_SYNTAX);
	arena_free(a);
}

static void a_ping_is_a_comment(void **state)
{
	struct buf out;

	buf_init(&out, 64);
	chat->encode_ping(FRAMING_SSE, true, &out);
	assert_int_equal(buf_str(&out).ptr[0], ':');
	assert_true(str_ends(buf_str(&out), STR("\n\n")));
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_107_errors_of_every_shape_are_read),
		cmocka_unit_test(trap_107_all_four_keys_are_always_there),
		cmocka_unit_test(an_unknown_model_is_404_model_not_found),
		cmocka_unit_test(trap_109_there_is_no_529_here),
		cmocka_unit_test(trap_111_an_error_in_a_stream_ends_it_without_done),
		cmocka_unit_test(models_are_listed_and_read_back),
		cmocka_unit_test(a_ping_is_a_comment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
