/* tests/unit/protocols/anthropic_messages/test_relay.c - mirrors relay.c, patch.c, proof.c, errors.c and models.c.
 * Rule under test: a relayed body changes only where the gateway must change it, the tap reads
 * usage and errors without touching a byte, and an error always has the vendor's shape. */
#include "protocols/anthropic_messages/transcript.h"

static struct arena *arena;

static int make_arena(void **state)
{
	arena = arena_new(64 << 20);
	return arena ? 0 : -1;
}

static int end_arena(void **state)
{
	arena = arena_free(arena);
	return 0;
}

/* --- peek and patch --- */

static void expect_refused(const char *body, const char *param, const char *message)
{
	struct request_peek p;
	struct err e = { 0 };

	assert_int_equal(am->peek(arena, &request_line_plain, str_from(body), &p, &e), RC_INVALID);
	assert_string_equal(e.param, param);
	assert_string_equal(e.msg, message);
}

static void peek_reads_what_the_gateway_must_know(void **state)
{
	struct request_peek p;

	assert_int_equal(am->peek(arena, &request_line_plain,
				  STR("{\"mod\\u0065l\":\"claude\\/"
				      "x\",\"stream\":true,\"max_tokens\":5,\"provider\":\"p\","
				      "\"tool_choice\":{\"type\":\"any\"},\"messages\":[]}"),
				  &p, NULL),
			 0);
	CHECK_STR(p.model, "claude/x");
	assert_true(p.stream);
	assert_true(p.include_usage);
	assert_true(p.forces_tool);
	CHECK_STR(p.provider_pin, "p");
	CHECK_STR(p.max_tokens_at.value, "5");
	assert_int_equal(
		am->peek(arena, &request_line_plain,
			 STR("{\"model\":\"m\",\"provider\":{\"order\":[]},\"stream\":null,"
			     "\"tool_choice\":{\"type\":\"auto\"}}"),
			 &p, NULL),
		0);
	assert_false(p.stream);
	assert_false(p.forces_tool);
	assert_false(str_present(p.provider_pin));
	expect_refused("{}", "model", "model: Field required");
	expect_refused("{\"model\":5}", "model", "model: Input should be a valid string");
	expect_refused("{\"model\":\"\"}", "model",
		       "model: String should have at least 1 character");
	expect_refused("{\"model\":\"m\",\"stream\":\"yes\"}", "stream",
		       "stream: Input should be a valid boolean");
}

static void expect_patch_losing(const char *body, unsigned quirks, const char *want,
				const char *lost)
{
	struct ir_losses losses;
	struct patch_options o = {
		.losses = &losses, .model = STR("target"), .strip_provider = true, .quirks = quirks
	};
	struct request_peek p;
	struct buf out;

	buf_init(&out, 1 << 20);
	ir_losses_init(&losses, arena);
	assert_int_equal(am->peek(arena, &request_line_plain, str_from(body), &p, NULL), 0);
	assert_int_equal(am->patch(arena, &p, &o, &out), 0);
	CHECK_STR_IS(buf_str(&out), str_from(want));
	buf_done(&out);
	assert_int_equal(losses.n > 0, lost[0] != 0);
	if (losses.n)
		CHECK_STR_IS(ir_losses_text(&losses), str_from(lost));
}

static void expect_patch(const char *body, unsigned quirks, const char *want)
{
	expect_patch_losing(body, quirks, want, "");
}

static void trap_091_unknown_fields_pass_byte_for_byte(void **state)
{
	expect_patch("{ \"model\" : \"m\",\"context_management\":{\"edits\":[ 1.10 "
		     "]},\n\"provider\":\"p\", \"x\":\"\\u00e9\"}",
		     0,
		     "{ \"model\" : \"target\",\"context_management\":{\"edits\":[ 1.10 ]},\n "
		     "\"x\":\"\\u00e9\"}");
	expect_patch("{\"model\":\"target\",\"messages\":[]}", 0,
		     "{\"model\":\"target\",\"messages\":[]}");
}

static void trap_047_unsigned_thinking_is_taken_out_of_a_relayed_body(void **state)
{
	static const char body[] =
		"{\"model\":\"m\",\"provider\":\"p\",\"new\":1e2,\"messages\":[{\"role\":\"user\","
		"\"content\":\"x\"},"
		"{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"Hm\","
		"\"signature\": \"\"},"
		"{\"type\":\"text\",\"text\":\"a\",\"citations\":[{\"encrypted_index\":\"\"},{"
		"\"encrypted_index\":\"E\"}]},"
		"{\"type\":\"tool_use\",\"input\":{\"signature\":\"\"}}],\"extra\":true}]}";

	expect_patch_losing(
		body, 0,
		"{\"model\":\"target\",\"new\":1e2,\"messages\":[{\"role\":\"user\","
		"\"content\":\"x\"},"
		"{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"a\","
		"\"citations\":["
		"{\"encrypted_index\":\"E\"}]},{\"type\":\"tool_use\",\"input\":{"
		"\"signature\":\"\"}}],"
		"\"extra\":true}]}",
		"reasoning_content, citations");
	/* A carrier, whether it is read or not, is another's proof; what says and proves nothing is no loss. */
	expect_patch_losing(
		"{\"model\":\"m\",\"messages\":[{\"content\":[{\"type\":\"redacted_thinking\","
		"\"data\":\"lgw1.gemini.c2ln\"}]}]}",
		0, "{\"model\":\"target\",\"messages\":[{\"content\":[]}]}", "reasoning_content");
	expect_patch("{\"model\":\"m\",\"messages\":[{\"content\":[{\"type\":\"thinking\","
		     "\"thinking\":\"\","
		     "\"signature\":\"\"}]}]}",
		     0, "{\"model\":\"target\",\"messages\":[{\"content\":[]}]}");
	/* Servers that only borrow the format want it back. */
	expect_patch("{\"model\":\"m\",\"messages\":[{\"content\":[{\"type\":\"thinking\","
		     "\"signature\":\"\"}]}]}",
		     QUIRK_SEND_REASONING,
		     "{\"model\":\"target\",\"messages\":[{\"content\":[{\"type\":\"thinking\","
		     "\"signature\":\"\"}]}]}");
	/* A signed one is left alone, to the byte (trap 46). */
	expect_patch("{\"model\":\"m\",\"messages\":[{\"content\":[{\"type\":\"thinking\", "
		     "\"signature\": \"c\"}]}]}",
		     0,
		     "{\"model\":\"target\",\"messages\":[{\"content\":[{\"type\":\"thinking\", "
		     "\"signature\": \"c\"}]}]}");
}

/* --- taps --- */

static unsigned tap(struct relay_tap *t, const char *name, const char *data)
{
	struct frame ev = { .name = str_from(name), .data = str_from(data) };

	return am->tap_event(t, arena, &ev);
}

struct seen {
	struct proof_sink sink;
	char text[200];
};

static void see(struct proof_sink *sink, struct str proof)
{
	struct seen *s = (struct seen *)sink;
	size_t n = strlen(s->text);

	(void)snprintf(s->text + n, sizeof(s->text) - n, "%.*s;", STR_ARG(proof));
}

#define DELTA(d) "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":" d "}"

/* Where proofs stand in answers and requests; of all that is called `data` pictures are none. */
static void trap_046_proofs_are_found_where_they_stand(void **state)
{
	static const struct {
		const char *name, *data;
		bool in;
		const char *proofs;
	} cases[] = {
		{ "content_block_delta",
		  DELTA("{\"type\":\"signature_delta\",\"signature\":\"a\\/b\"}"), true, "a/b;" },
		{ "content_block_delta", DELTA("{\"type\":\"text_delta\",\"text\":\"signature\"}"),
		  false, "" },
		{ "content_block_start",
		  "{\"type\":\"content_block_start\",\"content_block\":{\"type\":"
		  "\"redacted_thinking\",\"data\":\"r\"}}",
		  true, "r;" },
		{ "content_block_start",
		  "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\"}}", false,
		  "" },
		{ "message_stop", "{\"type\":\"message_stop\"}", false, "" },
		{ NULL,
		  "[{\"type\":\"image\",\"source\":{\"data\":\"p\"}},{\"signature\":\"s\",\"type\":"
		  "\"thinking\"},{\"signature\":\"\"}]",
		  false, "s;" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct frame f = { .data = str_from(cases[i].data) };
		struct seen s = { .sink.see = see };

		f.name = cases[i].name ? str_from(cases[i].name) : STR_NONE;
		assert_int_equal(am->proofs->in_event(&f), cases[i].in);
		am->proofs->each(arena, f.data, &s.sink);
		assert_string_equal(s.text, cases[i].proofs);
	}
}

static void trap_047_refusals_are_told_from_other_errors(void **state)
{
	static const struct {
		struct str message;
		bool refused;
	} cases[] = {
		{ STR_INIT("messages.1.content.0: Invalid `signature` in `thinking` block"), true },
		{ STR_INIT("messages.3.content.1: Invalid `data` in `redacted_thinking` block"),
		  true },
		{ STR_INIT("messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, "
			   "but found `tool_use`."),
		  false },
		{ STR_INIT("Invalid `signature` of the request"), false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(
			am->proofs->refuses(&(struct ir_error){ .message = cases[i].message }),
			cases[i].refused);
	assert_false(am->proofs->refuses(&(struct ir_error){ .status = 400 }));
}

static void tap_reads_usage_and_the_end(void **state)
{
	struct relay_tap t = { .arena = arena, .usage = IR_USAGE_NONE };

	assert_int_equal(
		tap(&t, "message_start",
		    "{\"message\":{\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":7,"
		    "\"output_tokens\":1}}}"),
		0);
	assert_int_equal(t.usage.input, 10);
	assert_int_equal(tap(&t, "ping", "{\"type\":\"ping\"}"), 0);
	/* Not JSON, and never looked at: deltas are not parsed. */
	assert_int_equal(tap(&t, "content_block_delta", "{broken"), TAP_MEANINGFUL);
	assert_false(t.finished);
	assert_int_equal(
		tap(&t, "message_delta",
		    "{\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":9}}"),
		TAP_MEANINGFUL);
	assert_true(t.finished);
	assert_int_equal(t.usage.input, 10);
	assert_int_equal(t.usage.output, 9);
	assert_int_equal(tap(&t, "message_stop", "{}"), TAP_MEANINGFUL | TAP_END);
}

static void trap_112_tap_sees_errors_with_and_without_a_name(void **state)
{
	struct relay_tap t = { .arena = arena, .usage = IR_USAGE_NONE };
	static const char error[] = "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
				    "\"message\":\"Overloaded\"}}";

	assert_int_equal(tap(&t, "error", error), TAP_ERROR);
	assert_int_equal(t.error.kind, IR_ERR_OVERLOADED);
	CHECK_STR(t.error.message, "Overloaded");
	t.error.kind = IR_ERR_SERVER;
	assert_int_equal(tap(&t, NULL, error), TAP_ERROR);
	assert_int_equal(t.error.kind, IR_ERR_OVERLOADED);
	assert_int_equal(tap(&t, NULL, "{\"type\":\"content_block_delta\"}"), TAP_MEANINGFUL);
}

static void tap_of_whole_bodies(void **state)
{
	struct relay_tap t = { .arena = arena, .usage = IR_USAGE_NONE };

	assert_int_equal(am->tap_body(&t, arena,
				      STR("{\"type\":\"message\",\"content\":[],\"stop_reason\":"
					  "\"end_turn\",\"usage\":{"
					  "\"input_tokens\":3,\"cache_creation_input_tokens\":2,"
					  "\"output_tokens\":1}}")),
			 TAP_MEANINGFUL);
	assert_true(t.finished);
	assert_int_equal(t.usage.input, 5);
	assert_int_equal(am->tap_body(&t, arena, STR("{\"input_tokens\":12}")), TAP_MEANINGFUL);
	assert_int_equal(am->tap_body(&t, arena, STR("{\"error\":{\"message\":\"no\"}}")),
			 TAP_ERROR);
	CHECK_STR(t.error.message, "no");
	assert_int_equal(am->tap_body(&t, arena, STR("<html>")), 0);
	assert_int_equal(am->tap_body(&t, arena, STR("")), 0);
	assert_int_equal(am->tap_body(&t, arena, STR("{\"choices\":[]}")), 0);
}

/* --- errors --- */

static void expect_error(struct ir_error e, int status, const char *want)
{
	struct buf out;
	int got = 0;

	buf_init(&out, 1 << 20);
	am->encode_error(&e, STR("req_1"), &out, &got);
	assert_int_equal(got, status);
	CHECK_STR_IS(buf_str(&out), str_from(want));
	buf_done(&out);
}

#define ERROR(type, message)                                                          \
	"{\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":\"" message \
	"\"},\"request_id\":\"req_1\"}"

static void trap_107_and_trap_120_errors_have_the_vendors_shape_and_the_request_id(void **state)
{
	expect_error((struct ir_error){ .kind = IR_ERR_INVALID_REQUEST,
					.message = STR("Field required"),
					.param = STR("max_tokens") },
		     400, ERROR("invalid_request_error", "max_tokens: Field required"));
	expect_error((struct ir_error){ .kind = IR_ERR_INVALID_REQUEST,
					.message = STR("max_tokens: Field required"),
					.param = STR("max_tokens") },
		     400, ERROR("invalid_request_error", "max_tokens: Field required"));
	expect_error((struct ir_error){ .kind = IR_ERR_AUTHENTICATION,
					.message = STR("a \"key\"") },
		     401, ERROR("authentication_error", "a \\\"key\\\""));
	expect_error((struct ir_error){ .kind = IR_ERR_CONTEXT_LENGTH, .message = STR("m") }, 400,
		     ERROR("invalid_request_error", "m"));
	expect_error((struct ir_error){ .kind = IR_ERR_UPSTREAM, .message = STR("m") }, 502,
		     ERROR("api_error", "m"));
	expect_error(
		(struct ir_error){ .kind = IR_ERR_TIMEOUT, .status = 408, .message = STR("m") },
		408, ERROR("timeout_error", "m"));
	expect_error((struct ir_error){ .kind = IR_ERR_RATE_LIMIT, .message = STR("m") }, 429,
		     ERROR("rate_limit_error", "m"));
}

static void trap_109_overloaded_is_529(void **state)
{
	expect_error((struct ir_error){ .kind = IR_ERR_OVERLOADED }, 529,
		     ERROR("overloaded_error", "Overloaded"));
}

static void trap_121_routes_methods_and_sizes(void **state)
{
	expect_error((struct ir_error){ .kind = IR_ERR_TOO_LARGE, .message = STR("m") }, 413,
		     ERROR("request_too_large", "m"));
	expect_error((struct ir_error){ .kind = IR_ERR_NOT_FOUND, .message = STR("m") }, 404,
		     ERROR("not_found_error", "m"));
	expect_error((struct ir_error){ .kind = IR_ERR_MODEL_NOT_FOUND, .message = STR("m") }, 404,
		     ERROR("not_found_error", "m"));
	expect_error((struct ir_error){ .kind = IR_ERR_METHOD, .message = STR("m") }, 405,
		     ERROR("invalid_request_error", "m"));
	expect_error((struct ir_error){ .kind = IR_ERR_MEDIA_TYPE, .message = STR("m") }, 415,
		     ERROR("invalid_request_error", "m"));
}

static void trap_107_upstream_errors_of_any_shape_are_read(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum ir_error_kind kind;
		const char *message;
		bool own;
	} rows[] = {
		{ 401,
		  "{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\",\"message\":"
		  "\"invalid x-api-key\"},"
		  "\"request_id\":\"r\"}",
		  IR_ERR_AUTHENTICATION, "invalid x-api-key", true },
		{ 404,
		  "{\"error\": {\"message\": \"model: claude-sonet\", \"type\": "
		  "\"not_found_error\"}, \"request_id\": \"r\","
		  " \"type\": \"error\"}",
		  IR_ERR_MODEL_NOT_FOUND, "model: claude-sonet", true },
		{ 400,
		  "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":"
		  "\"prompt is too long: "
		  "210000 tokens > 200000 maximum\"}}",
		  IR_ERR_CONTEXT_LENGTH, "prompt is too long: 210000 tokens > 200000 maximum",
		  true },
		{ 400,
		  "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":"
		  "\"Your credit balance is "
		  "too low\"}}",
		  IR_ERR_BILLING, "Your credit balance is too low", true },
		{ 529,
		  "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":"
		  "\"Overloaded\"}}",
		  IR_ERR_OVERLOADED, "Overloaded", true },
		{ 429,
		  "{\"error\":{\"message\":\"slow\",\"type\":\"requests\",\"param\":null,\"code\":"
		  "\"rate_limit\"}}",
		  IR_ERR_RATE_LIMIT, "slow", false },
		{ 401, "{\"error\":{\"message\":\"bad key\",\"type\":\"invalid_request_error\"}}",
		  IR_ERR_AUTHENTICATION, "bad key", false },
		{ 401, "{\"detail\":\"Invalid API Key\"}", IR_ERR_AUTHENTICATION, "Invalid API Key",
		  false },
		{ 400, "{\"code\":\"x\",\"error\":\"a string\"}", IR_ERR_INVALID_REQUEST,
		  "a string", false },
		{ 429,
		  "[{\"error\":{\"code\":429,\"message\":\"quota\",\"status\":\"RESOURCE_"
		  "EXHAUSTED\"}}]",
		  IR_ERR_RATE_LIMIT, "quota", false },
		{ 422, "{\"detail\":[{\"msg\":\"x\"}]}", IR_ERR_INVALID_REQUEST, "x", false },
		{ 502, "<html><body>Bad gateway</body></html>", IR_ERR_UPSTREAM,
		  "The provider answered with status 502 and a body that is no JSON.", false },
		{ 503, "upstream connect error\n", IR_ERR_UNAVAILABLE, "upstream connect error",
		  false },
		{ 500, "", IR_ERR_SERVER,
		  "The provider answered with status 500 and an empty body.", false },
		{ 500, "null", IR_ERR_SERVER,
		  "The provider answered with an error (status 500) and did not say why.", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ir_error e;

		assert_int_equal(am->decode_error(arena, rows[i].status, str_from(rows[i].body),
						  &e),
				 rows[i].own);
		assert_int_equal(e.kind, rows[i].kind);
		CHECK_STR_IS(e.message, str_from(rows[i].message));
		assert_int_equal(e.retry_after_ms, -1);
	}
}

static void trap_020_stream_error_has_its_event_line(void **state)
{
	struct ir_error e = { .kind = IR_ERR_UPSTREAM, .message = STR("cut") };
	struct buf out;

	buf_init(&out, 1 << 20);
	am->encode_stream_error(&e, STR("req_1"), FRAMING_SSE, true, &out);
	CHECK_STR(buf_str(&out), "event: error\ndata: " ERROR("api_error", "cut") "\n\n");
	buf_done(&out);
}

static void trap_021_ping_is_a_comment_before_the_start(void **state)
{
	struct buf out;

	buf_init(&out, 100);
	am->encode_ping(FRAMING_SSE, false, &out);
	CHECK_STR(buf_str(&out), ": ping\n");
	buf_reset(&out);
	am->encode_ping(FRAMING_SSE, true, &out);
	CHECK_STR(buf_str(&out), "event: ping\ndata: {\"type\": \"ping\"}\n\n");
	buf_done(&out);
}

/* --- models, counts --- */

static void model_lists(void **state)
{
	const struct model_info m[] = {
		{ .id = STR("claude-x"),
		  .created_s = 1731672000,
		  .context = 200000,
		  .max_output = 64000 },
		{ .id = STR("gpt") },
	};
	struct str *ids = NULL;
	unsigned n = 0;
	struct buf out;

	buf_init(&out, 1 << 16);
	am->encode_models(m, 2, &out);
	CHECK_STR(
		buf_str(&out),
		"{\"data\":[{\"type\":\"model\",\"id\":\"claude-x\",\"display_name\":\"claude-x\","
		"\"created_at\":\"2024-11-15T12:00:00Z\",\"max_input_tokens\":200000,\"max_"
		"tokens\":64000,\"lifecycle\":\"active\",\"capabilities\":null},"
		"{\"type\":\"model\",\"id\":\"gpt\",\"display_name\":\"gpt\",\"created_at\":"
		"\"1970-01-01T00:00:00Z\",\"lifecycle\":\"active\",\"capabilities\":null}],\"has_"
		"more\":false,\"first_id\":\"claude-x\",\"last_"
		"id\":\"gpt\"}");
	assert_int_equal(am->decode_models(arena, buf_str(&out), &ids, &n, NULL), 0);
	assert_int_equal(n, 2);
	CHECK_STR(ids[1], "gpt");
	buf_reset(&out);
	am->encode_models(NULL, 0, &out);
	CHECK_STR(buf_str(&out),
		  "{\"data\":[],\"has_more\":false,\"first_id\":null,\"last_id\":null}");
	assert_int_equal(am->decode_models(arena, STR("{}"), &ids, &n, NULL), RC_SYNTAX);
	buf_reset(&out);
	am->encode_model(&m[1], &out);
	CHECK_STR(buf_str(&out),
		  "{\"type\":\"model\",\"id\":\"gpt\",\"display_name\":\"gpt\",\"created_at\":"
		  "\"1970-01-01T00:00:00Z\",\"lifecycle\":\"active\",\"capabilities\":null}");
	buf_reset(&out);
	am->encode_token_count(42, &out);
	CHECK_STR(buf_str(&out), "{\"input_tokens\":42}");
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peek_reads_what_the_gateway_must_know),
		cmocka_unit_test(trap_091_unknown_fields_pass_byte_for_byte),
		cmocka_unit_test(trap_047_unsigned_thinking_is_taken_out_of_a_relayed_body),
		cmocka_unit_test(trap_046_proofs_are_found_where_they_stand),
		cmocka_unit_test(trap_047_refusals_are_told_from_other_errors),
		cmocka_unit_test(tap_reads_usage_and_the_end),
		cmocka_unit_test(trap_112_tap_sees_errors_with_and_without_a_name),
		cmocka_unit_test(tap_of_whole_bodies),
		cmocka_unit_test(
			trap_107_and_trap_120_errors_have_the_vendors_shape_and_the_request_id),
		cmocka_unit_test(trap_109_overloaded_is_529),
		cmocka_unit_test(trap_121_routes_methods_and_sizes),
		cmocka_unit_test(trap_107_upstream_errors_of_any_shape_are_read),
		cmocka_unit_test(trap_020_stream_error_has_its_event_line),
		cmocka_unit_test(trap_021_ping_is_a_comment_before_the_start),
		cmocka_unit_test(model_lists),
	};

	return cmocka_run_group_tests(tests, make_arena, end_arena);
}
