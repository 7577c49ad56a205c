/* tests/unit/protocols/anthropic_messages/test_response_encode.c - mirrors response_encode.c.
 * Rule under test: what the official SDK is given is exactly what it can take (section 3.4 of the
 * facts), and decoding what was encoded gives the same answer again. */
#include "protocols/anthropic_messages/transcript.h"

#define EV(name, data) "event: " name "\ndata: " data "\n\n"
#define START_EV                                                                                  \
	EV("message_start", "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_9\",\"type\":" \
			    "\"message\",\"role\":\"assistant\","                                 \
			    "\"model\":\"asked\",\"content\":[],\"stop_reason\":null,\"stop_"     \
			    "sequence\":null,\"usage\":{"                                         \
			    "\"input_tokens\":0,\"cache_creation_input_tokens\":0,\"cache_read_"  \
			    "input_tokens\":0,\"output_tokens\":0}}}")
#define BLOCK(index, block)       \
	EV("content_block_start", \
	   "{\"type\":\"content_block_start\",\"index\":" #index ",\"content_block\":" block "}")
#define DELTA(index, delta)       \
	EV("content_block_delta", \
	   "{\"type\":\"content_block_delta\",\"index\":" #index ",\"delta\":" delta "}")
#define STOP(index) \
	EV("content_block_stop", "{\"type\":\"content_block_stop\",\"index\":" #index "}")
#define END(reason, sequence, usage)                                                           \
	EV("message_delta", "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"" reason \
			    "\",\"stop_sequence\":" sequence "},\"usage\":" usage "}")         \
	EV("message_stop", "{\"type\":\"message_stop\"}")
#define NO_USAGE                                                                               \
	"{\"input_tokens\":0,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0," \
	"\"output_tokens\":0}"
#define EMPTY_TEXT "{\"type\":\"text\",\"text\":\"\"}"

static const struct ir_event begin = { .kind = IR_START, .usage = IR_USAGE_NONE };

static struct ir_event open_of(enum ir_block_kind b, unsigned i)
{
	return (struct ir_event){ .kind = IR_OPEN, .block = b, .index = i };
}

static struct ir_event delta_of(enum ir_block_kind b, unsigned i, enum ir_delta_kind d,
				const char *text)
{
	return (struct ir_event){
		.kind = IR_DELTA, .block = b, .index = i, .delta = d, .text = str_from(text)
	};
}

static struct ir_event close_of(enum ir_block_kind b, unsigned i)
{
	return (struct ir_event){ .kind = IR_CLOSE, .block = b, .index = i };
}

static struct ir_event end_of(enum ir_stop s)
{
	return (struct ir_event){ .kind = IR_FINISH, .stop = s, .usage = IR_USAGE_NONE };
}

static void encode(const struct ir_event *evs, size_t n, struct buf *out)
{
	struct arena *a = arena_new(1 << 20);
	struct encoder_options o = {
		.arena = a, .id = STR("msg_9"), .model = STR("asked"), .include_usage = true
	};
	struct protocol_encoder *e = am->encoder_new(&o);

	buf_init(out, 1 << 24);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(am->encode_event(e, &evs[i], out), 0);
	arena_free(a);
}

#define EXPECT(want, ...)                                        \
	do {                                                     \
		const struct ir_event evs[] = { __VA_ARGS__ };   \
		struct buf out;                                  \
		encode(evs, sizeof(evs) / sizeof(evs[0]), &out); \
		CHECK_STR(buf_str(&out), want);                  \
		buf_done(&out);                                  \
	} while (0)

static void text_stream_as_the_vendor_sends_it(void **state)
{
	EXPECT(START_EV BLOCK(0, EMPTY_TEXT)
		       DELTA(0, "{\"type\":\"text_delta\",\"text\":\"a\\n\\\"b\\\"\"}") STOP(0)
			       END("end_turn", "null", NO_USAGE),
	       begin, open_of(IR_BLOCK_TEXT, 0),
	       delta_of(IR_BLOCK_TEXT, 0, IR_DELTA_TEXT, "a\n\"b\""), close_of(IR_BLOCK_TEXT, 0),
	       end_of(IR_STOP_END));
}

static void trap_005_message_start_comes_once(void **state)
{
	EXPECT(START_EV END("end_turn", "null", NO_USAGE), begin, begin, end_of(IR_STOP_END));
}

static void trap_006_real_usage_comes_with_message_delta(void **state)
{
	struct ir_event usage = { .kind = IR_USAGE,
				  .usage = { .input = 123,
					     .output = 7,
					     .cache_read = 100,
					     .cache_write = 20,
					     .cache_write_5m = 15,
					     .cache_write_1h = 5,
					     .reasoning = 4 } };

	/* Traps 115 and 116: the vendor's input leaves the cache out, its output includes thinking.
	 */
	EXPECT(START_EV END(
		       "end_turn", "null",
		       "{\"input_tokens\":3,\"cache_creation_input_tokens\":20,\"cache_read_input_"
		       "tokens\":100,"
		       "\"cache_creation\":{\"ephemeral_5m_input_tokens\":15,\"ephemeral_1h_input_"
		       "tokens\":5},"
		       "\"output_tokens\":7,\"output_tokens_details\":{\"thinking_tokens\":4}}"),
	       begin, usage, end_of(IR_STOP_END));
}

static void trap_119_usage_is_there_when_nobody_knows_it(void **state)
{
	EXPECT(START_EV END("max_tokens", "null", NO_USAGE), begin, end_of(IR_STOP_LENGTH));
}

static void trap_016_call_opens_with_an_empty_piece(void **state)
{
	struct ir_event call = open_of(IR_BLOCK_TOOL_CALL, 0);

	call.id = STR("call_1");
	call.name = STR("f");
	EXPECT(START_EV BLOCK(
		       0, "{\"type\":\"tool_use\",\"id\":\"call_1\",\"name\":\"f\",\"input\":{}}")
		       DELTA(0, "{\"type\":\"input_json_delta\",\"partial_json\":\"\"}") DELTA(
			       0,
			       "{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":1}\"}")
			       STOP(0) END("tool_use", "null", NO_USAGE),
	       begin, call, delta_of(IR_BLOCK_TOOL_CALL, 0, IR_DELTA_ARGUMENTS, "{\"a\":1}"),
	       close_of(IR_BLOCK_TOOL_CALL, 0), end_of(IR_STOP_TOOL_CALLS));
}

static void trap_002_and_trap_014_empty_blocks_take_no_index(void **state)
{
	struct ir_event foreign = open_of(IR_BLOCK_OPAQUE, 2);

	foreign.origin = "openai-responses";
	EXPECT(START_EV BLOCK(0, EMPTY_TEXT) DELTA(0, "{\"type\":\"text_delta\",\"text\":\"x\"}")
		       STOP(0) END("end_turn", "null", NO_USAGE),
	       begin, open_of(IR_BLOCK_TEXT, 0), close_of(IR_BLOCK_TEXT, 0),
	       open_of(IR_BLOCK_REASONING, 1), close_of(IR_BLOCK_REASONING, 1), foreign,
	       delta_of(IR_BLOCK_OPAQUE, 2, IR_DELTA_RAW, "{}"), close_of(IR_BLOCK_OPAQUE, 2),
	       open_of(IR_BLOCK_TEXT, 3), delta_of(IR_BLOCK_TEXT, 3, IR_DELTA_TEXT, ""),
	       delta_of(IR_BLOCK_TEXT, 3, IR_DELTA_TEXT, "x"), close_of(IR_BLOCK_TEXT, 3),
	       end_of(IR_STOP_END));
}

static void trap_003_text_block_is_closed_before_the_call(void **state)
{
	struct ir_event call = open_of(IR_BLOCK_TOOL_CALL, 1);

	call.id = STR("c");
	call.name = STR("f");
	EXPECT(START_EV BLOCK(0, EMPTY_TEXT) DELTA(
		       0, "{\"type\":\"text_delta\",\"text\":\"x\"}") STOP(0)
		       BLOCK(1, "{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"f\",\"input\":{}}")
			       DELTA(1, "{\"type\":\"input_json_delta\",\"partial_json\":\"\"}")
				       STOP(1) END("tool_use", "null", NO_USAGE),
	       begin, open_of(IR_BLOCK_TEXT, 0), delta_of(IR_BLOCK_TEXT, 0, IR_DELTA_TEXT, "x"),
	       close_of(IR_BLOCK_TEXT, 0), call, close_of(IR_BLOCK_TOOL_CALL, 1),
	       end_of(IR_STOP_TOOL_CALLS));
}

#define THINKING "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}"

static void trap_047_foreign_thinking_ends_with_an_empty_signature(void **state)
{
	/* Another vendor's signature proves nothing to this one. */
	EXPECT(START_EV BLOCK(0, THINKING)
		       DELTA(0, "{\"type\":\"thinking_delta\",\"thinking\":\"Hm\"}")
			       DELTA(0, "{\"type\":\"signature_delta\",\"signature\":\"\"}") STOP(0)
				       END("end_turn", "null", NO_USAGE),
	       begin, open_of(IR_BLOCK_REASONING, 0),
	       delta_of(IR_BLOCK_REASONING, 0, IR_DELTA_TEXT, "Hm"),
	       delta_of(IR_BLOCK_REASONING, 0, IR_DELTA_SIGNATURE, "theirs"),
	       close_of(IR_BLOCK_REASONING, 0), end_of(IR_STOP_END));
}

static void trap_046_own_signature_and_redacted_thinking_pass(void **state)
{
	struct ir_event own = open_of(IR_BLOCK_REASONING, 0), own2 = open_of(IR_BLOCK_REASONING, 1);

	own.origin = own2.origin = "anthropic-messages";
	EXPECT(START_EV BLOCK(0, THINKING)
		       DELTA(0, "{\"type\":\"thinking_delta\",\"thinking\":\"Hm\"}") DELTA(
			       0, "{\"type\":\"signature_delta\",\"signature\":\"c2ln\"}") STOP(0)
			       BLOCK(1, "{\"type\":\"redacted_thinking\",\"data\":\"b3A=\"}")
				       STOP(1) END("end_turn", "null", NO_USAGE),
	       begin, own, delta_of(IR_BLOCK_REASONING, 0, IR_DELTA_TEXT, "Hm"),
	       delta_of(IR_BLOCK_REASONING, 0, IR_DELTA_SIGNATURE, "c2ln"),
	       close_of(IR_BLOCK_REASONING, 0), own2,
	       delta_of(IR_BLOCK_REASONING, 1, IR_DELTA_REDACTED, "b3A="),
	       close_of(IR_BLOCK_REASONING, 1), end_of(IR_STOP_END));
}

static void trap_056_refusal_becomes_text_and_its_stop_reason(void **state)
{
	EXPECT(START_EV BLOCK(0, EMPTY_TEXT) DELTA(0, "{\"type\":\"text_delta\",\"text\":\"No.\"}")
		       STOP(0) END("refusal", "null", NO_USAGE),
	       begin, open_of(IR_BLOCK_REFUSAL, 0),
	       delta_of(IR_BLOCK_REFUSAL, 0, IR_DELTA_TEXT, "No."), close_of(IR_BLOCK_REFUSAL, 0),
	       end_of(IR_STOP_END));
}

static void trap_055_citations_pass_own_and_map_foreign(void **state)
{
	static const struct ir_citation own = { .raw = STR_INIT("{\"type\":\"char_location\"}"),
						.origin = "anthropic-messages" };
	static const struct ir_citation foreign = { .url = STR_INIT("https://a.example"),
						    .title = STR_INIT("A"),
						    .origin = "openai-chat",
						    .raw = STR_INIT("{\"x\":1}") };
	static const struct ir_citation nowhere = { .title = STR_INIT("A"),
						    .origin = "openai-chat" };
	struct ir_event c[3];

	for (int i = 0; i < 3; i++)
		c[i] = delta_of(IR_BLOCK_TEXT, 0, IR_DELTA_CITATION, "");
	c[0].citation = &own;
	c[1].citation = &foreign;
	c[2].citation = &nowhere;
	EXPECT(START_EV BLOCK(0, EMPTY_TEXT) DELTA(0, "{\"type\":\"text_delta\",\"text\":\"x\"}")
		       DELTA(0, "{\"type\":\"citations_delta\",\"citation\":{\"type\":\"char_"
				"location\"}}")
			       DELTA(0, "{\"type\":\"citations_delta\",\"citation\":{\"type\":"
					"\"web_search_result_location\",\"cited_text\":\"\","
					"\"url\":\"https://a.example\","
					"\"title\":\"A\",\"encrypted_index\":\"\"}}") STOP(0)
				       END("end_turn", "null", NO_USAGE),
	       begin, open_of(IR_BLOCK_TEXT, 0), delta_of(IR_BLOCK_TEXT, 0, IR_DELTA_TEXT, "x"),
	       c[0], c[1], c[2], close_of(IR_BLOCK_TEXT, 0), end_of(IR_STOP_END));
}

static void trap_111_error_ends_the_stream_and_nothing_follows(void **state)
{
	static const struct ir_error e = { .kind = IR_ERR_OVERLOADED, .message = STR_INIT("busy") };
	struct ir_event error = { .kind = IR_ERROR, .error = &e };

	EXPECT(START_EV EV("error", "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
				    "\"message\":\"busy\"},"
				    "\"request_id\":null}"),
	       begin, error, end_of(IR_STOP_END));
}

static void trap_021_ping_only_after_message_start(void **state)
{
	struct ir_event ping = { .kind = IR_PING };

	EXPECT(START_EV EV("ping", "{\"type\": \"ping\"}") END("end_turn", "null", NO_USAGE), ping,
	       begin, ping, end_of(IR_STOP_END));
}

static void trap_074_stop_sequence_text(void **state)
{
	struct ir_event end = end_of(IR_STOP_SEQUENCE);

	EXPECT(START_EV END("stop_sequence", "null", NO_USAGE), begin, end);
	end.stop_sequence = STR("\"END\"");
	EXPECT(START_EV END("stop_sequence", "\"\\\"END\\\"\"", NO_USAGE), begin, end);
}

static void trap_101_and_trap_095_stop_names(void **state)
{
	EXPECT(START_EV END("pause_turn", "null", NO_USAGE), begin, end_of(IR_STOP_PAUSE));
	EXPECT(START_EV END("refusal", "null", NO_USAGE), begin, end_of(IR_STOP_REFUSAL));
	EXPECT(START_EV END("model_context_window_exceeded", "null", NO_USAGE), begin,
	       end_of(IR_STOP_CONTEXT));
}

static void trap_061_call_without_id_gets_a_valid_stable_one(void **state)
{
	struct ir_event call = open_of(IR_BLOCK_TOOL_CALL, 0);

	call.name = STR("f");
	EXPECT(START_EV BLOCK(
		       0,
		       "{\"type\":\"tool_use\",\"id\":\"toolu_9_0\",\"name\":\"f\",\"input\":{}}")
		       DELTA(0, "{\"type\":\"input_json_delta\",\"partial_json\":\"\"}") STOP(0)
			       END("tool_use", "null", NO_USAGE),
	       begin, call, close_of(IR_BLOCK_TOOL_CALL, 0), end_of(IR_STOP_TOOL_CALLS));
}

/* --- whole --- */

static void expect_whole(const struct ir_response *r, const char *want)
{
	struct encoder_options o = { .id = STR("msg_9"), .model = STR("asked") };
	struct buf out;

	buf_init(&out, 1 << 20);
	assert_int_equal(am->encode_response(&o, r, &out), 0);
	CHECK_STR_IS(buf_str(&out), str_from(want));
	buf_done(&out);
}

#define HEAD                                                                                 \
	"{\"id\":\"msg_9\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"asked\"," \
	"\"content\":["

static void whole_answer_has_every_key(void **state)
{
	struct ir_citation c = { .url = STR("https://a.example"),
				 .origin = "openai-chat",
				 .title = STR("A") };
	struct ir_block blocks[] = {
		{ .kind = IR_BLOCK_REASONING, .text = STR("Hm"), .origin = "openai-chat" },
		{ .kind = IR_BLOCK_REASONING,
		  .text = STR(""),
		  .redacted = STR("b3A="),
		  .origin = "anthropic-messages" },
		{ .kind = IR_BLOCK_TEXT, .text = STR("Hi"), .citations = &c, .n_citations = 1 },
		{ .kind = IR_BLOCK_TEXT, .text = STR("") },
		{ .kind = IR_BLOCK_TOOL_CALL,
		  .id = STR("c"),
		  .name = STR("f"),
		  .text = STR("{\"n\":9007199254740993}") },
		{ .kind = IR_BLOCK_OPAQUE,
		  .text = STR("{\"type\":\"x\"}"),
		  .origin = "anthropic-messages" },
		{ .kind = IR_BLOCK_OPAQUE, .text = STR("{\"type\":\"y\"}"), .origin = "gemini" },
	};
	struct ir_response r = {
		.blocks = blocks, .n_blocks = 7, .usage = IR_USAGE_NONE, .stop = IR_STOP_TOOL_CALLS
	};

	r.usage.input = 5;
	r.usage.output = 6;
	expect_whole(
		&r, HEAD
		"{\"type\":\"thinking\",\"thinking\":\"Hm\",\"signature\":\"\"},"
		"{\"type\":\"redacted_thinking\",\"data\":\"b3A=\"},"
		"{\"type\":\"text\",\"text\":\"Hi\",\"citations\":[{\"type\":\"web_search_result_"
		"location\","
		"\"cited_text\":\"\",\"url\":\"https://"
		"a.example\",\"title\":\"A\",\"encrypted_index\":\"\"}]},"
		"{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"f\",\"input\":{\"n\":"
		"9007199254740993}},"
		"{\"type\":\"x\"}],\"stop_reason\":\"tool_use\",\"stop_sequence\":null,\"usage\":{"
		"\"input_tokens\":5,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":"
		"0,"
		"\"output_tokens\":6}}");
}

static void trap_059_input_is_an_object_whatever_the_model_wrote(void **state)
{
	static const char *const broken[] = { "{\"a\": \"cu", "", "[1]", "42" };

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct ir_block call = { .kind = IR_BLOCK_TOOL_CALL,
					 .id = STR("c"),
					 .name = STR("f"),
					 .text = str_from(broken[i]) };
		struct ir_response r = { .blocks = &call,
					 .n_blocks = 1,
					 .usage = IR_USAGE_NONE,
					 .stop = IR_STOP_LENGTH };

		expect_whole(&r,
			     HEAD "{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"f\",\"input\":{}}"
				  "],\"stop_reason\":"
				  "\"max_tokens\",\"stop_sequence\":null,\"usage\":" NO_USAGE "}");
	}
}

static void whole_refusal(void **state)
{
	struct ir_block b = { .kind = IR_BLOCK_REFUSAL, .text = STR("No.") };
	struct ir_response r = {
		.blocks = &b, .n_blocks = 1, .usage = IR_USAGE_NONE, .stop = IR_STOP_END
	};

	expect_whole(&r, HEAD "{\"type\":\"text\",\"text\":\"No.\"}],\"stop_reason\":\"refusal\","
			      "\"stop_sequence\":null,"
			      "\"usage\":" NO_USAGE "}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_stream_as_the_vendor_sends_it),
		cmocka_unit_test(trap_005_message_start_comes_once),
		cmocka_unit_test(trap_006_real_usage_comes_with_message_delta),
		cmocka_unit_test(trap_119_usage_is_there_when_nobody_knows_it),
		cmocka_unit_test(trap_016_call_opens_with_an_empty_piece),
		cmocka_unit_test(trap_002_and_trap_014_empty_blocks_take_no_index),
		cmocka_unit_test(trap_003_text_block_is_closed_before_the_call),
		cmocka_unit_test(trap_047_foreign_thinking_ends_with_an_empty_signature),
		cmocka_unit_test(trap_046_own_signature_and_redacted_thinking_pass),
		cmocka_unit_test(trap_056_refusal_becomes_text_and_its_stop_reason),
		cmocka_unit_test(trap_055_citations_pass_own_and_map_foreign),
		cmocka_unit_test(trap_111_error_ends_the_stream_and_nothing_follows),
		cmocka_unit_test(trap_021_ping_only_after_message_start),
		cmocka_unit_test(trap_074_stop_sequence_text),
		cmocka_unit_test(trap_101_and_trap_095_stop_names),
		cmocka_unit_test(trap_061_call_without_id_gets_a_valid_stable_one),
		cmocka_unit_test(whole_answer_has_every_key),
		cmocka_unit_test(trap_059_input_is_an_object_whatever_the_model_wrote),
		cmocka_unit_test(whole_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
