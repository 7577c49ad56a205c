/* tests/unit/protocols/anthropic_messages/test_response_decode.c - mirrors response_decode.c.
 * Rule under test: whatever an upstream that claims this protocol sends, the events keep to the
 * grammar and say what the official SDK would have understood, or the answer is an error. */
#include "protocols/anthropic_messages/transcript.h"

#define EV(name, data) "event: " name "\ndata: " data "\n\n"
#define START_ID                                                                               \
	EV("message_start",                                                                    \
	   "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude-x\"," \
	   "\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}")
#define BLOCK(index, block)       \
	EV("content_block_start", \
	   "{\"type\":\"content_block_start\",\"index\":" #index ",\"content_block\":" block "}")
#define DELTA(index, delta)       \
	EV("content_block_delta", \
	   "{\"type\":\"content_block_delta\",\"index\":" #index ",\"delta\":" delta "}")
#define TEXT(index, text) DELTA(index, "{\"type\":\"text_delta\",\"text\":\"" text "\"}")
#define ARGS(index, text) \
	DELTA(index, "{\"type\":\"input_json_delta\",\"partial_json\":\"" text "\"}")
#define STOP(index) \
	EV("content_block_stop", "{\"type\":\"content_block_stop\",\"index\":" #index "}")
#define END(reason)                                                                            \
	EV("message_delta", "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"" reason \
			    "\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":7}}")
#define HALT EV("message_stop", "{\"type\":\"message_stop\"}")
#define EMPTY_TEXT "{\"type\":\"text\",\"text\":\"\"}"

#define STARTED "START msg_1 claude-x in=10 out=1\n"
#define USED "USAGE in=10 out=7\n"

/* The stream gives exactly these lines, wherever it is cut. */
static void expect_stream(struct str in, const char *want)
{
	for (size_t cut = 0; cut <= in.len; cut++) {
		struct tape t;

		tape_init(&t);
		assert_int_equal(play_stream(in, cut, &t), 0);
		CHECK_STR_IS(buf_str(&t.log), str_from(want));
		tape_done(&t);
	}
}

static void expect_failure(struct str in, int want_rc, const char *want)
{
	struct tape t;

	tape_init(&t);
	assert_int_equal(play_stream(in, 0, &t), want_rc);
	CHECK_STR_IS(buf_str(&t.log), str_from(want));
	tape_done(&t);
}

static void expect_body(struct str in, const char *want)
{
	struct tape t;

	tape_init(&t);
	assert_int_equal(play_body(in, &t), 0);
	CHECK_STR_IS(buf_str(&t.log), str_from(want));
	tape_done(&t);
}

static void text_streams_through(void **state)
{
	expect_stream(STR(START_ID BLOCK(0, EMPTY_TEXT) EV("ping", "{\"type\": \"ping\"}")
				  TEXT(0, "Hel") TEXT(0, "l\\u00f6") STOP(0) END("end_turn") HALT),
		      STARTED
		      "OPEN 0 text\nPING\nDELTA 0 text Hel\nDELTA 0 text l\xc3\xb6\nCLOSE 0\n" USED
		      "FINISH end\n");
}

static void trap_026_padding_after_the_json_is_no_syntax_error(void **state)
{
	expect_stream(STR(START_ID
			  "event: message_delta\ndata: "
			  "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
			  "\"end_turn\"},\"usage\":{\"output_tokens\":7}}              \n\n" HALT),
		      STARTED USED "FINISH end\n");
}

static void trap_005_second_message_start_is_tolerated(void **state)
{
	expect_stream(STR(START_ID START_ID BLOCK(0, EMPTY_TEXT) TEXT(0, "a") STOP(0)
				  END("end_turn") HALT),
		      STARTED "OPEN 0 text\nDELTA 0 text a\nCLOSE 0\n" USED "FINISH end\n");
}

static void trap_016_call_without_arguments_yields_an_object(void **state)
{
	expect_stream(
		STR(START_ID BLOCK(
			0,
			"{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"now\",\"input\":{}}")
			    ARGS(0, "") STOP(0) END("tool_use") HALT),
		STARTED "OPEN 0 tool_call toolu_1 now\nDELTA 0 arguments {}\nCLOSE 0\n" USED
			"FINISH tool_calls\n");
}

static void tool_arguments_keep_their_text(void **state)
{
	expect_stream(
		STR(START_ID BLOCK(0, EMPTY_TEXT) TEXT(0, "Let me") STOP(0) BLOCK(
			1, "{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{}}")
			    ARGS(1, "") ARGS(1, "{\\\"n\\\": 9007199254") ARGS(1, "740993}") STOP(1)
				    END("tool_use") HALT),
		STARTED
		"OPEN 0 text\nDELTA 0 text Let me\nCLOSE 0\nOPEN 1 tool_call toolu_1 f\n"
		"DELTA 1 arguments {\"n\": 9007199254\nDELTA 1 arguments 740993}\nCLOSE 1\n" USED
		"FINISH tool_calls\n");
}

static void trap_033_text_in_block_start_is_a_delta(void **state)
{
	expect_stream(STR(START_ID BLOCK(0, "{\"type\":\"text\",\"text\":\"He\"}") TEXT(0, "y")
				  STOP(0) END("end_turn") HALT),
		      STARTED "OPEN 0 text\nDELTA 0 text He\nDELTA 0 text y\nCLOSE 0\n" USED
			      "FINISH end\n");
	expect_stream(
		STR(START_ID BLOCK(
			0,
			"{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"a\":1.0}}")
			    STOP(0) END("tool_use") HALT),
		STARTED "OPEN 0 tool_call t f\nDELTA 0 arguments {\"a\":1.0}\nCLOSE 0\n" USED
			"FINISH tool_calls\n");
}

static void trap_004_thinking_closes_with_its_signature(void **state)
{
	expect_stream(
		STR(START_ID BLOCK(0,
				   "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")
			    DELTA(0, "{\"type\":\"thinking_delta\",\"thinking\":\"Hm\"}") DELTA(
				    0, "{\"type\":\"signature_delta\",\"signature\":\"c2ln\"}")
				    STOP(0) BLOCK(1, EMPTY_TEXT) TEXT(1, "4") STOP(1)
					    END("end_turn") HALT),
		STARTED "OPEN 0 reasoning by anthropic-messages\nDELTA 0 text Hm\nDELTA 0 "
			"signature c2ln\nCLOSE 0\n"
			"OPEN 1 text\nDELTA 1 text 4\nCLOSE 1\n" USED "FINISH end\n");
}

static void trap_048_redacted_and_omitted_thinking_survive(void **state)
{
	expect_stream(
		STR(START_ID BLOCK(0,
				   "{\"type\":\"redacted_thinking\",\"data\":\"b3BhcXVl\"}") STOP(0)
			    BLOCK(1, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")
				    DELTA(1,
					  "{\"type\":\"signature_delta\",\"signature\":\"c2ln\"}")
					    STOP(1) END("end_turn") HALT),
		STARTED
		"OPEN 0 reasoning by anthropic-messages\nDELTA 0 redacted b3BhcXVl\nCLOSE 0\n"
		"OPEN 1 reasoning by anthropic-messages\nDELTA 1 signature c2ln\nCLOSE 1\n" USED
		"FINISH end\n");
}

static void trap_055_citations_carry_what_vendors_share_and_their_own_text(void **state)
{
	expect_stream(
		STR(START_ID BLOCK(0, "{\"type\":\"text\",\"text\":\"\",\"citations\":[]}")
			    DELTA(0, "{\"type\":\"citations_delta\",\"citation\":{\"type\":"
				     "\"web_search_result_location\",\"url\":\"https://"
				     "a.example\",\"title\":\"A\","
				     "\"cited_text\":\"x\",\"encrypted_index\":\"Eo8=\"}}")
				    TEXT(0, "t") STOP(0) END("end_turn") HALT),
		STARTED
		"OPEN 0 text\nDELTA 0 citation https://a.example|A|{\"type\":"
		"\"web_search_result_location\",\"url\":\"https://a.example\",\"title\":\"A\","
		"\"cited_text\":\"x\",\"encrypted_index\":\"Eo8=\"}\nDELTA 0 text t\nCLOSE 0\n" USED
		"FINISH end\n");
}

static void trap_094_server_tools_are_opaque_and_never_calls(void **state)
{
	expect_stream(
		STR(START_ID BLOCK(0, "{\"type\":\"server_tool_use\",\"id\":\"srv\",\"name\":"
				      "\"web_search\",\"input\":{}}") ARGS(0, "")
			    ARGS(0, "{\\\"query\\\":") ARGS(0, "\\\"x\\\"}") STOP(0) BLOCK(
				    1, "{\"type\":\"web_search_tool_result\",\"tool_use_id\":"
				       "\"srv\",\"content\":[]}") STOP(1) END("end_turn") HALT),
		STARTED "OPEN 0 opaque by anthropic-messages\nDELTA 0 raw "
			"{\"type\":\"server_tool_use\",\"id\":\"srv\","
			"\"name\":\"web_search\",\"input\":{\"query\":\"x\"}}\nCLOSE 0\n"
			"OPEN 1 opaque by anthropic-messages\nDELTA 1 raw "
			"{\"type\":\"web_search_tool_result\","
			"\"tool_use_id\":\"srv\",\"content\":[]}\nCLOSE 1\n" USED "FINISH end\n");
	expect_stream(STR(START_ID BLOCK(0, "{\"type\":\"compaction\",\"content\":null}") DELTA(
			      0, "{\"type\":\"compaction_delta\",\"content\":\"a \\\"b\\\"\"}")
				  STOP(0) END("end_turn") HALT),
		      STARTED "OPEN 0 opaque by anthropic-messages\nDELTA 0 raw "
			      "{\"type\":\"compaction\",\"content\":"
			      "\"a \\\"b\\\"\"}\nCLOSE 0\n" USED "FINISH end\n");
}

static void trap_106_length_inside_a_call_without_its_stop(void **state)
{
	expect_stream(STR(START_ID BLOCK(
			      0, "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}")
				  ARGS(0, "{\\\"a\\\": \\\"cu") END("max_tokens") HALT),
		      STARTED "OPEN 0 tool_call t f\nDELTA 0 arguments {\"a\": \"cu\nCLOSE 0\n" USED
			      "FINISH length\n");
}

static void trap_101_stop_reasons_map(void **state)
{
	expect_stream(STR(START_ID END("pause_turn") HALT),
		      STARTED USED "FINISH pause\n"); /* trap 95 */
	expect_stream(STR(START_ID END("refusal") HALT), STARTED USED "FINISH refusal\n");
	expect_stream(STR(START_ID END("max_tokens") HALT), STARTED USED "FINISH length\n");
	expect_stream(STR(START_ID END("tomorrows_reason") HALT), STARTED USED "FINISH end\n");
}

#define EXPLAINED \
	"\"stop_details\":{\"type\":\"refusal\",\"category\":null,\"explanation\":\"No.\"}"

static void trap_056_why_it_refused_is_its_refusal(void **state)
{
	(void)state;
	expect_body(
		STR("{\"id\":\"m\",\"model\":\"c\",\"content\":[],\"stop_reason\":"
		    "\"refusal\"," EXPLAINED "}"),
		"START m c\nOPEN 0 refusal\nDELTA 0 text No.\nCLOSE 0\nUSAGE\nFINISH refusal\n");
	expect_body(STR("{\"id\":\"m\",\"model\":\"c\",\"content\":[],\"stop_reason\":\"end_"
			"turn\"," EXPLAINED "}"),
		    "START m c\nUSAGE\nFINISH end\n");
	expect_stream(
		STR(START_ID "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"
			     "\"stop_reason\":\"refusal\"," EXPLAINED "},\"usage\":{"
			     "\"output_tokens\":7}}\n\n" HALT),
		STARTED "OPEN 0 refusal\nDELTA 0 text No.\nCLOSE 0\n" USED "FINISH refusal\n");
}

static void trap_102_full_context_window_is_its_own_stop(void **state)
{
	expect_stream(STR(START_ID END("model_context_window_exceeded") HALT),
		      STARTED USED "FINISH context\n");
}

static void trap_074_stop_sequence_is_told(void **state)
{
	expect_stream(
		STR(START_ID EV(
			"message_delta",
			"{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"stop_sequence\","
			"\"stop_sequence\":\"END\"},\"usage\":{\"output_tokens\":7}}") HALT),
		STARTED USED "FINISH stop_sequence END\n");
}

static void trap_007_end_without_a_reason_is_an_end(void **state)
{
	expect_stream(STR(START_ID BLOCK(0, EMPTY_TEXT) TEXT(0, "a") STOP(0) HALT), STARTED
		      "OPEN 0 text\nDELTA 0 text a\nCLOSE 0\nUSAGE in=10 out=1\nFINISH end\n");
	expect_stream(STR(START_ID BLOCK(
			      0, "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}")
				  STOP(0) HALT),
		      STARTED
		      "OPEN 0 tool_call t f\nDELTA 0 arguments {}\nCLOSE 0\nUSAGE in=10 out=1\n"
		      "FINISH tool_calls\n");
}

static void trap_008_reason_on_several_events_finishes_once(void **state)
{
	expect_stream(STR(START_ID END("end_turn") END("end_turn") HALT HALT),
		      STARTED USED "FINISH end\n");
}

static void reason_without_message_stop_is_a_whole_answer(void **state)
{
	expect_stream(STR(START_ID BLOCK(0, EMPTY_TEXT) TEXT(0, "a") STOP(0) END("end_turn")),
		      STARTED "OPEN 0 text\nDELTA 0 text a\nCLOSE 0\n" USED "FINISH end\n");
}

static void trap_113_cut_stream_is_never_finished(void **state)
{
	expect_failure(STR(START_ID BLOCK(0, EMPTY_TEXT) TEXT(0, "a")), RC_CLOSED,
		       STARTED "OPEN 0 text\nDELTA 0 text a\n");
	expect_failure(STR(START_ID BLOCK(0, EMPTY_TEXT) TEXT(0, "a") STOP(0)), RC_CLOSED,
		       STARTED "OPEN 0 text\nDELTA 0 text a\nCLOSE 0\n");
	expect_failure(STR(""), RC_CLOSED, "");
}

static void trap_112_error_inside_a_stream(void **state)
{
	expect_stream(
		STR(START_ID BLOCK(0, EMPTY_TEXT) TEXT(0, "a") EV(
			"error",
			"{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":"
			"\"Overloaded\"}}") TEXT(0, "b")),
		STARTED "OPEN 0 text\nDELTA 0 text a\nERROR overloaded Overloaded\n");
	/* As servers that borrowed the format put it. */
	expect_stream(STR("data: {\"error\":{\"message\":\"no GPU\",\"code\":500}}\n\n"),
		      "ERROR upstream no GPU\n");
}

static void trap_014_and_trap_013_empty_deltas_say_nothing(void **state)
{
	expect_stream(STR(START_ID BLOCK(0, EMPTY_TEXT) TEXT(0, "") TEXT(0, "a") TEXT(0, "") STOP(0)
				  END("end_turn") HALT),
		      STARTED "OPEN 0 text\nDELTA 0 text a\nCLOSE 0\n" USED "FINISH end\n");
	/* An empty text between two pieces of arguments opens no block. */
	expect_stream(
		STR(START_ID BLOCK(
			0, "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}")
			    ARGS(0, "{") TEXT(1, "") ARGS(0, "}") STOP(0) END("tool_use") HALT),
		STARTED
		"OPEN 0 tool_call t f\nDELTA 0 arguments {\nDELTA 0 arguments }\nCLOSE 0\n" USED
		"FINISH tool_calls\n");
}

static void trap_002_indices_are_ours_whatever_theirs_are(void **state)
{
	expect_stream(
		STR(START_ID BLOCK(1, EMPTY_TEXT) TEXT(1, "a") STOP(1) BLOCK(5, EMPTY_TEXT)
			    TEXT(5, "b") STOP(5) END("end_turn") HALT),
		STARTED
		"OPEN 0 text\nDELTA 0 text a\nCLOSE 0\nOPEN 1 text\nDELTA 1 text b\nCLOSE 1\n" USED
		"FINISH end\n");
}

static void trap_001_block_that_was_not_stopped_is_closed(void **state)
{
	expect_stream(
		STR(START_ID BLOCK(0, EMPTY_TEXT) TEXT(0, "a") BLOCK(1, EMPTY_TEXT) TEXT(1, "b")
			    STOP(0) STOP(1) END("end_turn") HALT),
		STARTED
		"OPEN 0 text\nDELTA 0 text a\nCLOSE 0\nOPEN 1 text\nDELTA 1 text b\nCLOSE 1\n" USED
		"FINISH end\n");
	/* Arguments for a call that is closed would go to the wrong call: that is an error. */
	expect_failure(
		STR(START_ID BLOCK(0, "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\","
				      "\"input\":{}}")
			    BLOCK(1, "{\"type\":\"tool_use\",\"id\":\"u\",\"name\":\"g\",\"input\":"
				     "{}}") ARGS(0, "{}")),
		RC_SYNTAX,
		STARTED
		"OPEN 0 tool_call t f\nDELTA 0 arguments {}\nCLOSE 0\nOPEN 1 tool_call u g\n");
}

static void text_delta_without_a_start_opens_its_block(void **state)
{
	expect_stream(STR(START_ID TEXT(0, "a") TEXT(0, "b") STOP(0) END("end_turn") HALT), STARTED
		      "OPEN 0 text\nDELTA 0 text a\nDELTA 0 text b\nCLOSE 0\n" USED "FINISH end\n");
	expect_failure(STR(START_ID ARGS(0, "{}")), RC_SYNTAX, STARTED);
}

static void trap_061_call_without_id_gets_a_stable_one(void **state)
{
	expect_stream(STR(START_ID BLOCK(0, "{\"type\":\"tool_use\",\"name\":\"f\",\"input\":{}}")
				  STOP(0) END("tool_use") HALT),
		      STARTED
		      "OPEN 0 tool_call toolu_msg_1_0 f\nDELTA 0 arguments {}\nCLOSE 0\n" USED
		      "FINISH tool_calls\n");
	expect_failure(STR(START_ID BLOCK(0, "{\"type\":\"tool_use\",\"id\":\"t\",\"input\":{}}")),
		       RC_SYNTAX, STARTED);
}

static void trap_019_done_marker_and_trap_022_comments_are_skipped(void **state)
{
	expect_stream(STR(": hello\n\n" START_ID ": more\n\n" END("end_turn") HALT
			  "data: [DONE]\n\n"),
		      STARTED USED "FINISH end\n");
}

static void trap_020_events_without_a_name_go_by_their_type(void **state)
{
	expect_stream(
		STR("data: "
		    "{\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\"}}\n\n"
		    "data: "
		    "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":" EMPTY_TEXT
		    "}\n\n"
		    "data: "
		    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_"
		    "delta\","
		    "\"text\":\"a\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n"),
		"START m c\nOPEN 0 text\nDELTA 0 text a\nCLOSE 0\nUSAGE\nFINISH end\n");
}

static void new_events_and_deltas_are_no_errors(void **state)
{
	expect_stream(STR(START_ID EV("tomorrow", "{\"type\":\"tomorrow\"}") BLOCK(0, EMPTY_TEXT)
				  DELTA(0, "{\"type\":\"glow_delta\",\"glow\":1}") TEXT(0, "a")
					  STOP(0) END("end_turn") HALT),
		      STARTED "OPEN 0 text\nDELTA 0 text a\nCLOSE 0\n" USED "FINISH end\n");
}

static void another_protocol_is_refused(void **state)
{
	expect_failure(STR("data: {\"id\":\"chatcmpl-1\",\"choices\":[]}\n\n"), RC_SYNTAX, "");
	expect_failure(STR("data: <html>\n\n"), RC_SYNTAX, "");
}

static void trap_115_cache_tokens_are_part_of_the_input(void **state)
{
	expect_stream(STR(EV("message_start", "{\"type\":\"message_start\",\"message\":{\"id\":"
					      "\"m\",\"model\":\"c\",\"usage\":{"
					      "\"input_tokens\":3,\"cache_creation_input_tokens\":"
					      "20,\"cache_read_input_tokens\":100,"
					      "\"cache_creation\":{\"ephemeral_5m_input_tokens\":"
					      "15,\"ephemeral_1h_input_tokens\":5},"
					      "\"output_tokens\":1}}}") END("end_turn") HALT),
		      "START m c in=123 out=1 read=100 write=20 5m=15 1h=5\nUSAGE in=123 out=7 "
		      "read=100 write=20 5m=15 1h=5\n"
		      "FINISH end\n");
}

static void trap_118_usage_is_cumulative_and_the_last_counts(void **state)
{
	expect_stream(
		STR(START_ID EV(
			"message_delta",
			"{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":null},\"usage\":{"
			"\"output_tokens\":3}}")
			    EV("message_delta",
			       "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_"
			       "turn\"},\"usage\":{"
			       "\"input_tokens\":12,\"cache_read_input_tokens\":8,\"output_"
			       "tokens\":9,"
			       "\"output_tokens_details\":{\"thinking_tokens\":4}}}")
				    HALT), /* trap 116 */
		STARTED "USAGE in=20 out=9 read=8 reasoning=4\nFINISH end\n");
}

static void whole_bodies_give_the_same_events(void **state)
{
	expect_body(STR("{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
			"\"claude-x\",\"content\":["
			"{\"type\":\"thinking\",\"thinking\":\"Hm\",\"signature\":\"c2ln\"},"
			"{\"type\":\"redacted_thinking\",\"data\":\"b3A=\"},"
			"{\"type\":\"text\",\"text\":\"Hi\",\"citations\":[{\"type\":\"char_"
			"location\",\"cited_text\":\"c\","
			"\"document_title\":\"D\"}]},"
			"{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"b\":1,"
			"\"a\":9007199254740993}},"
			"{\"type\":\"tool_use\",\"id\":\"u\",\"name\":\"g\",\"input\":{}},"
			"{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"w\",\"input\":{"
			"\"q\":1}}],"
			"\"stop_reason\":\"tool_use\",\"stop_sequence\":null,\"usage\":{\"input_"
			"tokens\":10,\"output_tokens\":7}}"),
		    "START msg_1 claude-x in=10 out=7\n"
		    "OPEN 0 reasoning by anthropic-messages\nDELTA 0 text Hm\nDELTA 0 signature "
		    "c2ln\nCLOSE 0\n"
		    "OPEN 1 reasoning by anthropic-messages\nDELTA 1 redacted b3A=\nCLOSE 1\n"
		    "OPEN 2 text\nDELTA 2 text Hi\nDELTA 2 citation "
		    "|D|{\"type\":\"char_location\",\"cited_text\":\"c\","
		    "\"document_title\":\"D\"}\nCLOSE 2\n"
		    "OPEN 3 tool_call t f\nDELTA 3 arguments "
		    "{\"b\":1,\"a\":9007199254740993}\nCLOSE 3\n"
		    "OPEN 4 tool_call u g\nDELTA 4 arguments {}\nCLOSE 4\n"
		    "OPEN 5 opaque by anthropic-messages\nDELTA 5 raw "
		    "{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"w\","
		    "\"input\":{\"q\":1}}\nCLOSE 5\n"
		    "USAGE in=10 out=7\nFINISH tool_calls\n");
}

static void trap_056_refusal_with_empty_content(void **state)
{
	expect_body(
		STR("{\"id\":\"m\",\"model\":\"c\",\"content\":[],\"stop_reason\":\"refusal\"}"),
		"START m c\nUSAGE\nFINISH refusal\n");
}

static void bodies_that_are_errors_or_nonsense(void **state)
{
	struct tape t;

	expect_body(
		STR("{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"boom\"}}"),
		"ERROR server boom\n");
	tape_init(&t);
	assert_int_equal(play_body(STR("<html>"), &t), RC_SYNTAX);
	assert_int_equal(play_body(STR(""), &t), RC_SYNTAX);
	assert_int_equal(play_body(STR("{\"choices\":[]}"), &t), RC_SYNTAX);
	assert_int_equal(buf_len(&t.log), 0);
	tape_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_streams_through),
		cmocka_unit_test(trap_026_padding_after_the_json_is_no_syntax_error),
		cmocka_unit_test(trap_005_second_message_start_is_tolerated),
		cmocka_unit_test(trap_016_call_without_arguments_yields_an_object),
		cmocka_unit_test(tool_arguments_keep_their_text),
		cmocka_unit_test(trap_033_text_in_block_start_is_a_delta),
		cmocka_unit_test(trap_004_thinking_closes_with_its_signature),
		cmocka_unit_test(trap_048_redacted_and_omitted_thinking_survive),
		cmocka_unit_test(trap_055_citations_carry_what_vendors_share_and_their_own_text),
		cmocka_unit_test(trap_094_server_tools_are_opaque_and_never_calls),
		cmocka_unit_test(trap_106_length_inside_a_call_without_its_stop),
		cmocka_unit_test(trap_101_stop_reasons_map),
		cmocka_unit_test(trap_102_full_context_window_is_its_own_stop),
		cmocka_unit_test(trap_074_stop_sequence_is_told),
		cmocka_unit_test(trap_007_end_without_a_reason_is_an_end),
		cmocka_unit_test(trap_008_reason_on_several_events_finishes_once),
		cmocka_unit_test(reason_without_message_stop_is_a_whole_answer),
		cmocka_unit_test(trap_113_cut_stream_is_never_finished),
		cmocka_unit_test(trap_112_error_inside_a_stream),
		cmocka_unit_test(trap_014_and_trap_013_empty_deltas_say_nothing),
		cmocka_unit_test(trap_002_indices_are_ours_whatever_theirs_are),
		cmocka_unit_test(trap_001_block_that_was_not_stopped_is_closed),
		cmocka_unit_test(text_delta_without_a_start_opens_its_block),
		cmocka_unit_test(trap_061_call_without_id_gets_a_stable_one),
		cmocka_unit_test(trap_019_done_marker_and_trap_022_comments_are_skipped),
		cmocka_unit_test(trap_020_events_without_a_name_go_by_their_type),
		cmocka_unit_test(new_events_and_deltas_are_no_errors),
		cmocka_unit_test(another_protocol_is_refused),
		cmocka_unit_test(trap_115_cache_tokens_are_part_of_the_input),
		cmocka_unit_test(trap_118_usage_is_cumulative_and_the_last_counts),
		cmocka_unit_test(whole_bodies_give_the_same_events),
		cmocka_unit_test(trap_056_refusal_with_empty_content),
		cmocka_unit_test(trap_056_why_it_refused_is_its_refusal),
		cmocka_unit_test(bodies_that_are_errors_or_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
