/* Mirrors src/protocols/ollama/response_encode.c: what a client of Ollama's gets for an answer of any provider's. */
#include "check.h"

#include "ir/fold.h"
#include "json/scan.h"
#include "tape.h"

#define HEAD "{\"model\":\"model-1\",\"created_at\":\"2023-11-14T22:13:20Z\","
#define LINE(rest) HEAD rest "}\n"
#define MESSAGE(members) "\"message\":{\"role\":\"assistant\"," members "}"
#define COUNTS ",\"prompt_eval_count\":3,\"eval_count\":4"

static struct ir_block blocks[] = {
	{ .kind = IR_BLOCK_REASONING, .text = STR_INIT("Hm\n"), .signature = STR_INIT("s") },
	{ .kind = IR_BLOCK_TEXT, .text = STR_INIT("\"Hi\"") },
	{ .kind = IR_BLOCK_TOOL_CALL,
	  .id = STR_INIT("call_a"),
	  .name = STR_INIT("f"),
	  .text = STR_INIT("{\"n\":9007199254740993}") },
	{ .kind = IR_BLOCK_TOOL_CALL, .id = STR_INIT("call_b"), .name = STR_INIT("g") },
	{ .kind = IR_BLOCK_TOOL_CALL,
	  .id = STR_INIT("call_c"),
	  .name = STR_INIT("h"),
	  .text = STR_INIT("{\"cut\":") },
};

static struct ir_response answer(struct ir_block *b, unsigned n, enum ir_stop stop)
{
	struct ir_response r = { .id = STR("x"),
				 .model = STR("y"),
				 .blocks = b,
				 .n_blocks = n,
				 .usage = IR_USAGE_NONE,
				 .stop = stop };

	r.usage.input = 3;
	r.usage.output = 4;
	return r;
}

static void expect_stream(const struct protocol *p, const struct ir_response *r, const char *want)
{
	struct client_tape c;

	client_init(&c, p, true);
	assert_int_equal(ir_unfold(r, &c.sink), RC_OK);
	if (!str_eq(buf_str(&c.out), str_from(want)))
		fail_msg("got:  %.*s\nwant: %s", STR_ARG(buf_str(&c.out)), want);
	client_done(&c);
}

static void expect_whole(const struct protocol *p, const struct ir_response *r, const char *want)
{
	struct arena *a = arena_new(1 << 20);
	struct encoder_options o = {
		.arena = a, .id = STR("i"), .model = STR("model-1"), .created_s = 1700000000
	};
	struct buf out;

	buf_init(&out, 1 << 20);
	assert_int_equal(p->encode_response(&o, r, &out), RC_OK);
	if (!str_eq(buf_str(&out), str_from(want)))
		fail_msg("got:  %.*s\nwant: %s", STR_ARG(buf_str(&out)), want);
	assert_int_equal(json_scan(buf_str(&out), NULL, 0, NULL), RC_OK);
	buf_done(&out);
	arena_free(a);
}

static void trap_016_and_trap_059_calls_go_out_whole_as_objects(void **state)
{
	struct ir_response r = answer(blocks, 5, IR_STOP_TOOL_CALLS);

	expect_stream(
		&protocol_ollama_chat, &r,
		LINE(MESSAGE("\"content\":\"\",\"thinking\":\"Hm\\n\"") ",\"done\":false")
			LINE(MESSAGE("\"content\":\"\\\"Hi\\\"\"") ",\"done\":false") LINE(
				MESSAGE("\"content\":\"\",\"tool_calls\":[{\"id\":\"call_a\","
					"\"function\":{\"index\":0,"
					"\"name\":\"f\",\"arguments\":{\"n\":"
					"9007199254740993}}}]") ",\"done\":false")
				LINE(MESSAGE("\"content\":\"\",\"tool_calls\":[{\"id\":"
					     "\"call_b\",\"function\":{"
					     "\"index\":1,\"name\":\"g\",\"arguments\":{}}"
					     "}]") ",\"done\":false")
					LINE(MESSAGE("\"content\":\"\",\"tool_calls\":[{"
						     "\"id\":\"call_c\",\"function\":{"
						     "\"index\":2,\"name\":\"h\","
						     "\"arguments\":{\"input\":\"{"
						     "\\\"cut\\\":\"}}}]") ",\"done\":false")
						LINE(MESSAGE("\"content\":\"\"") ",\"done\":true,"
										 "\"done_reason\":"
										 "\"stop"
										 "\"" COUNTS));
	expect_whole(
		&protocol_ollama_chat, &r,
		HEAD MESSAGE(
			"\"content\":\"\\\"Hi\\\"\",\"thinking\":\"Hm\\n\",\"tool_calls\":["
			"{\"id\":\"call_a\",\"function\":{\"index\":0,\"name\":\"f\",\"arguments\":"
			"{\"n\":9007199254740993}}},"
			"{\"id\":\"call_b\",\"function\":{\"index\":1,\"name\":\"g\",\"arguments\":"
			"{}}},"
			"{\"id\":\"call_c\",\"function\":{\"index\":2,\"name\":\"h\",\"arguments\":"
			"{\"input\":\"{\\\"cut\\\":\"}}}]") ",\"done\":true,\"done_reason\":"
							    "\"stop\"" COUNTS "}");
}

static void a_prompts_answer(void **state)
{
	struct ir_response r = answer(blocks, 2, IR_STOP_LENGTH);

	expect_stream(
		&protocol_ollama_generate, &r,
		LINE("\"response\":\"\",\"thinking\":\"Hm\\n\",\"done\":false") LINE(
			"\"response\":\"\\\"Hi\\\"\",\"done\":false")
			LINE("\"response\":\"\",\"done\":true,\"done_reason\":\"length\"" COUNTS));
	expect_whole(&protocol_ollama_generate, &r,
		     HEAD "\"response\":\"\\\"Hi\\\"\",\"thinking\":\"Hm\\n\",\"done\":true,\"done_"
			  "reason\":\"length\"" COUNTS "}");
}

static void trap_056_a_refusal_is_what_was_said(void **state)
{
	struct ir_block b = { .kind = IR_BLOCK_REFUSAL, .text = STR("No.") };
	struct ir_response r = answer(&b, 1, IR_STOP_REFUSAL);

	expect_whole(
		&protocol_ollama_chat, &r,
		HEAD MESSAGE("\"content\":\"No.\"") ",\"done\":true,\"done_reason\":\"stop\"" COUNTS
						    "}");
}

static void trap_119_counts_nobody_said_are_zero(void **state)
{
	struct ir_response r = answer(NULL, 0, IR_STOP_END);

	r.usage = IR_USAGE_NONE;
	expect_stream(&protocol_ollama_chat, &r,
		      LINE(MESSAGE("\"content\":\"\"") ",\"done\":true,\"done_reason\":\"stop\","
						       "\"prompt_eval_count\":0,\"eval_count\":0"));
}

#define LOGPROBS "[{\"token\":\"a\",\"logprob\":-0.10,\"bytes\":null,\"top_logprobs\":[]}]"

static void logprobs_stand_beside_the_message(void **state)
{
	struct ir_block b = { .kind = IR_BLOCK_TEXT, .text = STR("a"), .logprobs = STR(LOGPROBS) };
	struct ir_response r = answer(&b, 1, IR_STOP_END);

	expect_stream(&protocol_ollama_chat, &r,
		      LINE(MESSAGE("\"content\":\"a\"") ",\"logprobs\":" LOGPROBS ",\"done\":false")
			      LINE(MESSAGE("\"content\":\"\"") ",\"done\":true,\"done_reason\":"
							       "\"stop\"" COUNTS));
	expect_whole(
		&protocol_ollama_chat, &r,
		HEAD MESSAGE("\"content\":\"a\"") ",\"logprobs\":" LOGPROBS
						  ",\"done\":true,\"done_reason\":\"stop\"" COUNTS
						  "}");
}

static void trap_111_an_error_ends_the_stream(void **state)
{
	struct ir_error e = { .kind = IR_ERR_UPSTREAM, .message = STR("It \"broke\".") };
	struct ir_event ev = { .kind = IR_ERROR, .error = &e };
	struct client_tape c;

	client_init(&c, &protocol_ollama_chat, true);
	assert_int_equal(c.sink.event(&c.sink, &ev), RC_OK);
	assert_true(str_eq(buf_str(&c.out), STR("{\"error\":\"It \\\"broke\\\".\"}\n")));
	client_done(&c);
}

static void trap_021_lines_have_no_keep_alive(void **state)
{
	struct buf out;

	buf_init(&out, 100);
	protocol_ollama_chat.encode_ping(FRAMING_NDJSON, true, &out);
	assert_int_equal(buf_len(&out), 0);
	buf_done(&out);
}

static struct ir_block proven[] = {
	{ .kind = IR_BLOCK_REASONING,
	  .text = STR_INIT("Hm"),
	  .signature = STR_INIT("s1"),
	  .origin = "anthropic-messages" },
	{ .kind = IR_BLOCK_REASONING, .signature = STR_INIT("s2"), .origin = "anthropic-messages" },
	{ .kind = IR_BLOCK_TOOL_CALL,
	  .id = STR_INIT("c"),
	  .name = STR_INIT("f"),
	  .text = STR_INIT("{}") },
};

/* A client that sends back what it got: the proofs reach their vendor again. */
static void trap_046_and_trap_051_proofs_travel_in_what_clients_send_back(void **state)
{
	struct ir_response r = answer(proven, 3, IR_STOP_TOOL_CALLS);
	struct arena *a = arena_new(1 << 20);
	struct encoder_options o = { .arena = a, .id = STR("i"), .model = STR("m") };
	struct json_want message = { .key = "message" };
	struct ir_request *q;
	struct str body;
	struct err e = { 0 };
	struct buf out;

	buf_init(&out, 1 << 20);
	assert_int_equal(protocol_ollama_chat.encode_response(&o, &r, &out), RC_OK);
	assert_int_equal(json_scan(buf_str(&out), &message, 1, NULL), RC_OK);
	body = arena_printf(a, "{\"model\":\"m\",\"messages\":[%.*s]}", STR_ARG(message.value));
	if (protocol_ollama_chat.decode_request(a, &request_line_plain, body, &q, &e))
		fail_msg("%.*s: %s", STR_ARG(body), e.msg);
	assert_int_equal(q->messages[0].n_parts, 3);
	for (unsigned i = 0; i < 2; i++) {
		const struct ir_part *p = &q->messages[0].parts[i];

		assert_int_equal(p->kind, IR_PART_REASONING);
		assert_string_equal(p->origin, "anthropic-messages");
		assert_true(str_eq(p->text, i ? STR("") : STR("Hm")));
		assert_true(str_eq(p->signature, i ? STR("s2") : STR("s1")));
	}
	assert_int_equal(q->messages[0].parts[2].kind, IR_PART_TOOL_CALL);
	buf_done(&out);
	arena_free(a);
	expect_stream(&protocol_ollama_chat, &r,
		      LINE(MESSAGE("\"content\":\"\",\"thinking\":\"Hm\"") ",\"done\":false") LINE(
			      MESSAGE("\"content\":\"\",\"signature\":\"lgw1.anthropic-"
				      "messages.s1\"") ",\"done\":false")
			      LINE(MESSAGE("\"content\":\"\",\"tool_calls\":[{\"id\":\"c\","
					   "\"signature\":\"lgw1.anthropic-messages.s2\","
					   "\"function\":{\"index\":0,\"name\":\"f\","
					   "\"arguments\":{}}}]") ",\"done\":false")
				      LINE(MESSAGE("\"content\":\"\"") ",\"done\":true,\"done_"
								       "reason\":\"stop\"" COUNTS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_016_and_trap_059_calls_go_out_whole_as_objects),
		cmocka_unit_test(a_prompts_answer),
		cmocka_unit_test(trap_056_a_refusal_is_what_was_said),
		cmocka_unit_test(trap_119_counts_nobody_said_are_zero),
		cmocka_unit_test(logprobs_stand_beside_the_message),
		cmocka_unit_test(trap_046_and_trap_051_proofs_travel_in_what_clients_send_back),
		cmocka_unit_test(trap_111_an_error_ends_the_stream),
		cmocka_unit_test(trap_021_lines_have_no_keep_alive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
