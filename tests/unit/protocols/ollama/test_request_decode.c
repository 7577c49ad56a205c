/* Mirrors src/protocols/ollama/request_decode.c and request_messages.c: what a client asks, and that nothing of it vanishes. */
#include "check.h"

#include "protocols/protocol.h"

static struct arena *arena;

static int set_up(void **state)
{
	arena = arena_new(64 << 20);
	return 0;
}

static int tear_down(void **state)
{
	arena = arena_free(arena);
	return 0;
}

static const struct ir_request *decode(const struct protocol *p, const char *body)
{
	struct ir_request *r = NULL;
	struct err e = { 0 };

	if (p->decode_request(arena, &request_line_plain, str_from(body), &r, &e) != RC_OK)
		fail_msg("%s: %s", body, e.msg);
	return r;
}

static const struct ir_request *chat(const char *rest)
{
	return decode(
		&protocol_ollama_chat,
		arena_printf(
			arena,
			"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]%s}",
			rest)
			.ptr);
}

static void expect_str(struct str got, const char *want)
{
	if (!str_eq(got, str_from(want)) || str_present(got) != (want != NULL))
		fail_msg("got %.*s, want %s", STR_ARG(got), want ? want : "nothing");
}

static void options_have_their_places(void **state)
{
	const struct ir_request *r = chat(",\"stream\":false,\"options\":{\"temperature\":0.10,"
					  "\"top_p\":1,\"top_k\":4,\"seed\":5,\"num_predict\":6,"
					  "\"stop\":[\"a\",\"b\"],\"frequency_penalty\":0.5,"
					  "\"presence_penalty\":-1e-1,\"num_ctx\":4096,"
					  "\"mirostat\":null},\"keep_alive\":\"5m\"");

	assert_false(r->stream);
	expect_str(r->temperature, "0.10");
	expect_str(r->top_p, "1");
	expect_str(r->frequency_penalty, "0.5");
	expect_str(r->presence_penalty, "-1e-1");
	assert_int_equal(r->top_k, 4);
	assert_int_equal(r->seed, 5);
	assert_int_equal(r->max_tokens, 6);
	assert_int_equal(r->n_stop, 2);
	assert_int_equal(r->n_extras, 2);
	expect_str(r->extras[0].name, "options.num_ctx");
	expect_str(r->extras[0].raw, "4096");
	expect_str(r->extras[1].name, "keep_alive");
	expect_str(r->extras[1].raw, "\"5m\"");
	assert_string_equal(r->origin, "ollama-chat");
}

static void what_is_sent_empty_was_not_asked(void **state)
{
	const struct ir_request *r = chat(",\"format\":\"\",\"options\":{},\"keep_alive\":null,"
					  "\"tools\":[],\"think\":null,\"template\":\"\"");

	assert_true(r->stream && r->include_usage);
	assert_int_equal(r->n_extras, 0);
	assert_int_equal(r->format.kind, IR_FORMAT_UNSET);
	assert_int_equal(r->reasoning.thinking, IR_THINKING_UNSET);
	assert_int_equal(r->max_tokens, IR_UNSET);
}

static void trap_066_no_limit_is_no_limit(void **state)
{
	assert_int_equal(chat(",\"options\":{\"num_predict\":-1}")->max_tokens, IR_UNSET);
	assert_int_equal(chat(",\"options\":{\"num_predict\":-2}")->max_tokens, IR_UNSET);
	assert_int_equal(chat(",\"options\":{\"num_predict\":0}")->max_tokens, IR_UNSET);
}

static void formats(void **state)
{
	const struct ir_request *r = chat(",\"format\":{\"type\":\"object\",\"x\":1.50}");

	assert_int_equal(r->format.kind, IR_FORMAT_JSON_SCHEMA);
	expect_str(r->format.schema, "{\"type\":\"object\",\"x\":1.50}");
	assert_int_equal(chat(",\"format\":\"json\"")->format.kind, IR_FORMAT_JSON_OBJECT);
}

static void trap_084_thinking(void **state)
{
	assert_int_equal(chat(",\"think\":true")->reasoning.thinking, IR_THINKING_ENABLED);
	assert_int_equal(chat(",\"think\":false")->reasoning.thinking, IR_THINKING_DISABLED);
	assert_int_equal(chat(",\"think\":\"high\"")->reasoning.effort, IR_EFFORT_HIGH);
}

static void trap_080_tools(void **state)
{
	const struct ir_request *r = chat(",\"tools\":[{\"type\":\"function\",\"function\":{"
					  "\"name\":\"f\",\"description\":null}},"
					  "{\"function\":{\"name\":\"g\",\"description\":\"d\","
					  "\"parameters\":{\"type\":\"object\"}}}]");

	assert_int_equal(r->n_tools, 2);
	expect_str(r->tools[0].name, "f");
	expect_str(r->tools[0].description, NULL);
	expect_str(r->tools[0].parameters, NULL);
	expect_str(r->tools[1].parameters, "{\"type\":\"object\"}");
}

#define PNG "iVBORw0KGgoAAAANSUhEUg=="

static void trap_053_pictures_are_known_by_their_bytes(void **state)
{
	const struct ir_request *r =
		decode(&protocol_ollama_chat,
		       "{\"model\":\"m\",\"messages\":[{\"role\":\"user\","
		       "\"content\":\"x\",\"images\":[\"" PNG "\",\"AAAA\"]}]}");
	const struct ir_message *m = &r->messages[0];

	assert_int_equal(m->n_parts, 3);
	assert_int_equal(m->parts[1].kind, IR_PART_IMAGE);
	expect_str(m->parts[1].media.mime, "image/png");
	expect_str(m->parts[1].media.data, PNG);
	expect_str(m->parts[2].media.mime, NULL);
}

static void trap_062_results_find_their_calls(void **state)
{
	const struct ir_request *r = decode(
		&protocol_ollama_chat,
		"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"},"
		"{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"Hm\",\"tool_calls\":["
		"{\"function\":{\"name\":\"f\",\"arguments\":{\"n\":9007199254740993}}},"
		"{\"function\":{\"name\":\"f\"}},{\"id\":\"call_own\",\"function\":{\"name\":\"g\","
		"\"arguments\":\"{}\"}}]},"
		"{\"role\":\"tool\",\"tool_call_id\":\"call_own\",\"content\":\"3\"},"
		"{\"role\":\"tool\",\"tool_name\":\"f\",\"content\":\"1\"},"
		"{\"role\":\"tool\",\"content\":\"2\"},{\"role\":\"tool\",\"content\":\"none\"}]}");
	const struct ir_part *calls = r->messages[1].parts, *results = r->messages[2].parts;

	assert_int_equal(r->n_messages, 3);
	assert_int_equal(r->messages[1].n_parts, 4);
	assert_int_equal(calls[0].kind, IR_PART_REASONING);
	expect_str(calls[1].id, "call_1_0");
	expect_str(calls[2].id, "call_1_1");
	expect_str(calls[3].id, "call_own");
	expect_str(calls[1].arguments, "{\"n\":9007199254740993}");
	expect_str(calls[2].arguments, "{}");
	assert_int_equal(r->messages[2].role, IR_ROLE_USER);
	assert_int_equal(r->messages[2].n_parts, 4);
	expect_str(results[0].id, "call_own");
	expect_str(results[0].name, "g");
	expect_str(results[1].id, "call_1_0");
	expect_str(results[2].id, "call_1_1");
	expect_str(results[2].name, "f");
	expect_str(results[3].id, "call_5_0");
}

/* Six calls, so that room for one part each is not enough however it is rounded. */
static void trap_051_each_call_may_bring_its_proof(void **state)
{
#define CALL "{\"signature\":\"lgw1.gemini.QUFB\",\"function\":{\"name\":\"f\",\"arguments\":{}}}"
	const struct ir_request *r =
		decode(&protocol_ollama_chat,
		       "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":\"t\","
		       "\"thinking\":\"y\",\"signature\":\"lgw1.anthropic-messages.QUFB\","
		       "\"tool_calls\":[" CALL "," CALL "," CALL "," CALL "," CALL "," CALL "]}]}");
	const struct ir_message *m = &r->messages[0];

	assert_int_equal(m->n_parts, 2 + 6 * 2);
	assert_int_equal(m->parts[0].kind, IR_PART_REASONING);
	for (unsigned i = 2; i < m->n_parts; i += 2) {
		assert_int_equal(m->parts[i].kind, IR_PART_REASONING);
		assert_string_equal(m->parts[i].origin, "gemini");
		assert_int_equal(m->parts[i + 1].kind, IR_PART_TOOL_CALL);
	}
}

static void trap_039_the_user_speaks_behind_the_results(void **state)
{
	const struct ir_request *r = decode(
		&protocol_ollama_chat,
		"{\"model\":\"m\",\"messages\":["
		"{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
		"\"arguments\":{}}}]},"
		"{\"role\":\"tool\",\"content\":\"1\"},{\"role\":\"user\",\"content\":\"and\"}]}");

	assert_int_equal(r->n_messages, 3);
	assert_int_equal(r->messages[1].parts[0].kind, IR_PART_TOOL_RESULT);
	expect_str(r->messages[2].parts[0].text, "and");
}

static void a_prompt(void **state)
{
	const struct ir_request *r =
		decode(&protocol_ollama_generate,
		       "{\"model\":\"m\",\"prompt\":\"p\",\"system\":\"s\",\"suffix\":\"end\","
		       "\"images\":[\"" PNG
		       "\"],\"raw\":true,\"context\":[1,2],\"template\":\"\"}");

	assert_int_equal(r->n_messages, 2);
	assert_int_equal(r->messages[0].role, IR_ROLE_SYSTEM);
	expect_str(r->messages[1].parts[0].text, "p");
	assert_int_equal(r->messages[1].parts[1].kind, IR_PART_IMAGE);
	expect_str(r->suffix, "end");
	assert_int_equal(r->n_extras, 2);
	expect_str(r->extras[0].name, "raw");
	expect_str(r->extras[1].name, "context");
	assert_string_equal(r->origin, "ollama-generate");
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *body, *param;
	} rows[] = {
		{ "[]", "" },
		{ "{\"messages\":[]}", "model" },
		{ "{\"model\":\"m\"}", "messages" },
		{ "{\"model\":\"m\",\"messages\":[]}", "messages" },
		{ "{\"model\":\"m\",\"messages\":[1]}", "messages[0]" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"x\"}]}", "messages[0].role" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[]}]}",
		  "messages[0].content" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"images\":[\"data:image/"
		  "png;base64,AAAA\"]}]}",
		  "messages[0].images" },
		/* trap 59 */
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{"
		  "\"function\":{\"name\":\"f\","
		  "\"arguments\":\"[1]\"}}]}]}",
		  "messages[0].tool_calls.function.arguments" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{"
		  "\"function\":{}}]}]}",
		  "messages[0].tool_calls.function.name" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"options\":{"
		  "\"temperature\":\"hot\"}}",
		  "options.temperature" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"options\":[]}",
		  "options" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"options\":{\"stop\":[1]}}",
		  "options.stop" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"options.seed\":1}",
		  "options" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"format\":\"xml\"}",
		  "format" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"think\":\"a lot\"}",
		  "think" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"tools\":{}}", "tools" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct ir_request *r;
		struct err e = { 0 };
		int rc = protocol_ollama_chat.decode_request(arena, &request_line_plain,
							     str_from(rows[i].body), &r, &e);

		assert_int_equal(rc, RC_INVALID);
		assert_string_equal(e.param, rows[i].param);
		assert_true(e.msg[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_have_their_places),
		cmocka_unit_test(what_is_sent_empty_was_not_asked),
		cmocka_unit_test(trap_066_no_limit_is_no_limit),
		cmocka_unit_test(formats),
		cmocka_unit_test(trap_084_thinking),
		cmocka_unit_test(trap_080_tools),
		cmocka_unit_test(trap_053_pictures_are_known_by_their_bytes),
		cmocka_unit_test(trap_062_results_find_their_calls),
		cmocka_unit_test(trap_051_each_call_may_bring_its_proof),
		cmocka_unit_test(trap_039_the_user_speaks_behind_the_results),
		cmocka_unit_test(a_prompt),
		cmocka_unit_test(what_is_wrong_is_said),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
