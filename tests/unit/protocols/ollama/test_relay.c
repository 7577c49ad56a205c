/* Mirrors src/protocols/ollama/relay.c: what is known of a body that passes, what is changed in it, what is read off it. */
#include "check.h"

#include "protocols/protocol.h"

static const struct request_line chat = { .op = IR_OP_GENERATE, .variant = 0 },
				 generate = { .op = IR_OP_GENERATE, .variant = 1 };

static struct request_peek peek(struct arena *a, const struct request_line *line, const char *body)
{
	struct request_peek p;
	struct err e = { 0 };

	if (protocol_ollama_chat.peek(a, line, str_from(body), &p, &e) != RC_OK)
		fail_msg("%s: %s", body, e.msg);
	return p;
}

static void a_request_streams_unless_told_not_to(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct request_peek p = peek(a, &chat, "{\"model\":\"m:1b\",\"messages\":[{}]}");

	assert_true(p.stream && p.include_usage);
	assert_int_equal(p.framing, FRAMING_NDJSON);
	assert_true(str_eq(p.model, STR("m:1b")));
	assert_false(str_present(p.load));
	assert_true(peek(a, &chat, "{\"model\":\"m\",\"stream\":null}").stream);
	assert_false(peek(a, &chat, "{\"model\":\"m\",\"stream\":false}").stream);
	arena_free(a);
}

static void nothing_asked_only_loads(void **state)
{
	static const struct {
		const struct request_line *line;
		const char *body, *load;
	} rows[] = {
		{ &chat, "{\"model\":\"m\"}", "load" },
		{ &chat, "{\"model\":\"m\",\"messages\":[ ]}", "load" },
		{ &chat, "{\"model\":\"m\",\"messages\":null,\"keep_alive\":\"5m\"}", "load" },
		{ &chat, "{\"model\":\"m\",\"messages\":[],\"keep_alive\":0}", "unload" },
		{ &chat, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}", NULL },
		{ &generate, "{\"model\":\"m\",\"keep_alive\":-1}", "load" },
		{ &generate, "{\"model\":\"m\",\"prompt\":\"\",\"keep_alive\":\"0\"}", "unload" },
		{ &generate, "{\"model\":\"m\",\"prompt\":\"a\"}", NULL },
		{ &generate, "{\"model\":\"m\",\"keep_alive\":0.0}", "unload" },
		{ &generate, "{\"model\":\"m\",\"keep_alive\":\"10m\"}", "load" },
	};
	struct arena *a = arena_new(1 << 20);

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct request_peek p = peek(a, rows[i].line, rows[i].body);

		if (!str_eq(p.load, str_from(rows[i].load)))
			fail_msg("%s: %.*s", rows[i].body, STR_ARG(p.load));
	}
	arena_free(a);
}

/* A number of seconds or one of Go's durations; below zero: for good. */
static void how_long_a_model_stays(void **state)
{
	static const struct {
		const char *said;
		bool keeps;
		int64_t ms;
	} rows[] = {
		{ "300", true, 300000 },
		{ "0", true, 0 },
		{ "1.5", true, 1500 },
		{ "-1", true, -1 },
		{ "\"5m\"", true, 300000 },
		{ "\"0\"", true, 0 },
		{ "\"1h30m\"", true, 5400000 },
		{ "\"-1m\"", true, -1 },
		{ "\"1.5h\"", true, 5400000 },
		{ "\"250ms\"", true, 250 },
		{ "\"0s\"", true, 0 },
		{ "\"+2s\"", true, 2000 },
		{ "\"1\\u0068\"", true, 3600000 },
		{ "1e300", true, -1 },
		{ "\"99999999h\"", true, -1 },
		{ "null", false, 0 },
	};
	static const char *const bad[] = { "\"5\"", "\"m\"", "\"5 m\"", "\"\"", "\"5m x\"",
					   "true",  "[]",    "{}",      "\"-\"" };
	struct arena *a = arena_new(1 << 20);
	struct request_peek p;
	struct err e;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		p = peek(a, &chat,
			 arena_printf(a, "{\"model\":\"m\",\"keep_alive\":%s}", rows[i].said).ptr);
		if (p.keeps != rows[i].keeps || p.keep_alive_ms != rows[i].ms)
			fail_msg("%s: %d %lld", rows[i].said, p.keeps, (long long)p.keep_alive_ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct str body = arena_printf(a, "{\"model\":\"m\",\"keep_alive\":%s}", bad[i]);

		if (protocol_ollama_chat.peek(a, &chat, body, &p, &e) != RC_INVALID)
			fail_msg("%s", bad[i]);
	}
	arena_free(a);
}

static void what_no_request_is(void **state)
{
	static const char *const bodies[] = {
		"",
		"[]",
		"{}",
		"{\"model\":\"\"}",
		"{\"model\":3}",
		"{\"model\":\"m\",\"model\":\"n\"}",
		"{\"model\":\"m\",\"stream\":\"yes\"}",
	};
	struct arena *a = arena_new(1 << 20);
	struct request_peek p;
	struct err e;

	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
		assert_int_not_equal(
			protocol_ollama_chat.peek(a, &chat, str_from(bodies[i]), &p, &e), RC_OK);
	arena_free(a);
}

static void only_the_gateways_own_is_changed(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct request_peek p = peek(
		a, &chat, "{ \"provider\" : \"o\", \"model\" : \"x\", \"messages\" : [ {} ] }");
	struct patch_options o = { .model = STR("llama3:8b"), .strip_provider = true };
	struct buf out;

	buf_init(&out, 1 << 16);
	assert_true(str_eq(p.provider_pin, STR("o")));
	assert_int_equal(protocol_ollama_chat.patch(a, &p, &o, &out), RC_OK);
	assert_true(str_eq(buf_str(&out),
			   STR("{  \"model\" : \"llama3:8b\", \"messages\" : [ {} ] }")));
	buf_done(&out);
	arena_free(a);
}

static unsigned tap(struct relay_tap *t, struct arena *a, const char *line)
{
	struct frame f = { .data = str_from(line), .raw = str_from(line) };

	return protocol_ollama_chat.tap_event(t, a, &f);
}

static void the_tap_reads_the_last_line(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct relay_tap t = { .arena = a, .usage = IR_USAGE_NONE };

	assert_int_equal(tap(&t, a, "{\"message\":{\"content\":\"\"},\"done\":false}"), 0);
	assert_int_equal(tap(&t, a, "{\"message\":{\"content\":\"x\"},\"done\":false}"),
			 TAP_MEANINGFUL);
	/* what reads like an end inside of words or arguments is none */
	assert_int_equal(tap(&t, a,
			     "{\"message\":{\"content\":\"\\\"done\\\":true\"},\"done\":false}"),
			 TAP_MEANINGFUL);
	assert_int_equal(tap(&t, a,
			     "{\"done\":false,\"message\":{\"tool_calls\":[{\"function\":"
			     "{\"arguments\":{\"done\":true}}}]}}"),
			 TAP_MEANINGFUL);
	assert_false(t.finished);
	assert_int_equal(
		tap(&t, a,
		    "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"length\","
		    "\"prompt_eval_count\":5,\"eval_count\":7}"),
		TAP_MEANINGFUL | TAP_END);
	assert_true(t.finished);
	assert_int_equal(t.usage.input, 5);
	assert_int_equal(t.usage.output, 7);
	arena_free(a);
}

static void trap_112_the_tap_sees_errors(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct relay_tap t = { .arena = a, .usage = IR_USAGE_NONE };

	assert_int_equal(tap(&t, a, "{\"response\":\"x\",\"done\":false}"), TAP_MEANINGFUL);
	assert_int_equal(tap(&t, a, "{\"error\":\"llama runner process has terminated\"}"),
			 TAP_ERROR);
	assert_true(str_eq(t.error.message, STR("llama runner process has terminated")));
	arena_free(a);
}

static void bodies(void **state)
{
	static const struct {
		const char *body;
		unsigned flags;
	} rows[] = {
		{ "{\"message\":{\"content\":\"x\"},\"done\":true,\"eval_count\":3}",
		  TAP_MEANINGFUL },
		{ "{\"response\":\"\",\"done\":true,\"done_reason\":\"load\"}", TAP_MEANINGFUL },
		{ "{\"message\":{\"content\":\"x\"},\"done\":false}", 0 },
		{ "{\"error\":\"no\"}", TAP_ERROR },
		{ "{}", 0 },
		{ "<html>", 0 },
		{ "", 0 },
	};
	struct arena *a = arena_new(1 << 20);

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct relay_tap t = { .arena = a, .usage = IR_USAGE_NONE };

		assert_int_equal(protocol_ollama_chat.tap_body(&t, a, str_from(rows[i].body)),
				 rows[i].flags);
		assert_int_equal(t.usage.output, i == 0 ? 3 : -1);
	}
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_streams_unless_told_not_to),
		cmocka_unit_test(nothing_asked_only_loads),
		cmocka_unit_test(how_long_a_model_stays),
		cmocka_unit_test(what_no_request_is),
		cmocka_unit_test(only_the_gateways_own_is_changed),
		cmocka_unit_test(the_tap_reads_the_last_line),
		cmocka_unit_test(trap_112_the_tap_sees_errors),
		cmocka_unit_test(bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
