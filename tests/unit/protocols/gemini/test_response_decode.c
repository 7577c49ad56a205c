/* tests/unit/protocols/gemini/test_response_decode.c - mirrors src/protocols/gemini/response_decode.c and response_extras.c.
 * Every stream is cut at every byte: the events are the same. */
#include "check.h"

#include "tape.h"

/* The events of a stream; the end of the tape says how it went. */
static struct str events(struct arena *a, const char *stream, size_t step,
			 const struct ir_request *request)
{
	struct tape t;
	struct feed f = { .p = &protocol_gemini, .sink = &t.sink, .request = request };
	struct str text;
	int rc;

	tape_init(&t);
	rc = feed_stream(&f, str_from(stream), step);
	if (f.breach)
		fail_msg("grammar: %s", f.breach);
	if (rc)
		buf_printf(&t.text, "rc %d\n", rc);
	text = arena_dup(a, buf_str(&t.text));
	tape_done(&t);
	return text;
}

static void check_stream(const char *stream, const char *want, const struct ir_request *request)
{
	struct arena *a = arena_new(64 << 20);

	CHECK_STR_IS(events(a, stream, 0, request), str_from(want));
	for (size_t step = 1; step < 9; step++)
		CHECK_STR_IS(events(a, stream, step, request), str_from(want));
	arena_free(a);
}

static void check_body(const char *body, const char *want)
{
	struct tape t;
	struct feed f = { .p = &protocol_gemini, .sink = &t.sink };

	tape_init(&t);
	assert_int_equal(feed_body(&f, str_from(body)), RC_OK);
	assert_null(f.breach);
	CHECK_STR_IS(buf_str(&t.text), str_from(want));
	tape_done(&t);
}

#define EV(fields) "data: {" fields "}\r\n\r\n"
#define PARTS(parts) \
	"\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[" parts "]},\"index\":0}]"
#define LAST(parts, reason) \
	"\"candidates\":[{\"content\":{\"parts\":[" parts "]},\"finishReason\":\"" reason "\"}]"
#define START "{\"event\":\"START\",\"usage\":{}}\n"
#define NO_USAGE "{\"event\":\"USAGE\",\"usage\":{}}\n"
#define FINISH(stop) "{\"event\":\"FINISH\",\"stop\":\"" stop "\"}\n"

static void trap_023_116_118_text_in_pieces_with_crlf_and_its_usage(void **state)
{
	(void)state;
	check_stream(
		EV("\"responseId\":\"r1\",\"modelVersion\":\"gemini-x\"," PARTS(
			"{\"text\":\"a\"}") ","
					    "\"usageMetadata\":{\"promptTokenCount\":5,"
					    "\"totalTokenCount\":5}") EV(PARTS("{\"text\":\"b\"}"))
			EV(LAST("{\"text\":\"\"}",
				"STOP") ",\"usageMetadata\":{\"promptTokenCount\":5,"
					"\"candidatesTokenCount\":2,"
					"\"thoughtsTokenCount\":7,\"cachedContentTokenCount\":3,"
					"\"toolUsePromptTokenCount\":10}"),
		"{\"event\":\"START\",\"id\":\"r1\",\"model\":\"gemini-x\",\"usage\":{\"input\":5}}"
		"\n"
		"{\"event\":\"OPEN\",\"index\":0,\"block\":\"text\"}\n"
		"{\"event\":\"DELTA\",\"of\":\"text\",\"text\":\"a\"}\n"
		"{\"event\":\"DELTA\",\"of\":\"text\",\"text\":\"b\"}\n"
		"{\"event\":\"CLOSE\",\"index\":0}\n"
		/* traps 116, 118: sums, and the last report counts */
		"{\"event\":\"USAGE\",\"usage\":{\"input\":15,\"output\":9,\"cache_read\":3,"
		"\"reasoning\":7}}\n" FINISH("end"),
		NULL);
}

#define CALL(name, args) "{\"functionCall\":{\"name\":\"" name "\",\"args\":" args "}}"
#define OPEN_CALL(index, id, name)                                                     \
	"{\"event\":\"OPEN\",\"index\":" index ",\"block\":\"tool_call\",\"id\":\"" id \
	"\",\"name\":\"" name "\"}\n"
#define ARGS(text) "{\"event\":\"DELTA\",\"of\":\"arguments\",\"text\":\"" text "\"}\n"
#define CLOSE(index) "{\"event\":\"CLOSE\",\"index\":" index "}\n"

static void trap_017_each_call_has_its_own_index(void **state)
{
	(void)state;
	check_stream(EV("\"responseId\":\"r\"," LAST(
			     CALL("f", "{\"n\":9007199254740993}") "," CALL("g", "{}"), "STOP")),
		     "{\"event\":\"START\",\"id\":\"r\",\"usage\":{}}\n" OPEN_CALL(
			     "0", "call_r_0", "f") ARGS("{\\\"n\\\":9007199254740993}") CLOSE("0")
			     OPEN_CALL("1", "call_r_1", "g") ARGS("{}") CLOSE("1")
				     NO_USAGE FINISH("tool_calls"),
		     NULL);
}

static void trap_018_stop_after_a_call_is_tool_calls(void **state)
{
	(void)state;
	check_stream(EV(PARTS("{\"functionCall\":{\"id\":\"theirs\",\"name\":\"f\"}}"))
			     EV(LAST("", "STOP")),
		     START OPEN_CALL("0", "theirs", "f") ARGS("{}") CLOSE("0")
			     NO_USAGE FINISH("tool_calls"),
		     NULL);
	/* trap 106: what was cut was cut */
	check_stream(EV(LAST(CALL("f", "{}"), "MAX_TOKENS")),
		     START OPEN_CALL("0", "call_0_0", "f") ARGS("{}") CLOSE("0")
			     NO_USAGE FINISH("length"),
		     NULL);
}

static void trap_077_one_call_where_one_was_allowed(void **state)
{
	struct ir_request r;

	(void)state;
	ir_request_init(&r);
	r.choice.parallel = IR_FALSE;
	check_stream(EV(LAST(CALL("f", "{}") "," CALL("g", "{}"), "STOP")),
		     START OPEN_CALL("0", "call_0_0", "f") ARGS("{}") CLOSE("0")
			     NO_USAGE FINISH("tool_calls"),
		     &r);
}

#define OPEN_PROOF(index) \
	"{\"event\":\"OPEN\",\"index\":" index ",\"block\":\"reasoning\",\"origin\":\"gemini\"}\n"
#define PROOF(text) "{\"event\":\"DELTA\",\"of\":\"signature\",\"text\":\"" text "\"}\n"
#define OPEN_TEXT(index) "{\"event\":\"OPEN\",\"index\":" index ",\"block\":\"text\"}\n"
#define TEXT(text) "{\"event\":\"DELTA\",\"of\":\"text\",\"text\":\"" text "\"}\n"

static void trap_051_signatures_stand_before_what_they_sign(void **state)
{
	(void)state;
	check_stream(EV(PARTS("{\"text\":\"hm\",\"thought\":true}")) EV(
			     PARTS("{\"text\":\"!\",\"thought\":true}"))
			     EV(PARTS("{\"functionCall\":{\"id\":\"c\",\"name\":\"f\",\"args\":{}},"
				      "\"thoughtSignature\":\"S1\"}")) EV(LAST("", "STOP")),
		     START OPEN_PROOF("0") TEXT("hm") TEXT("!") CLOSE("0") OPEN_PROOF("1")
			     PROOF("S1") CLOSE("1") OPEN_CALL("2", "c", "f") ARGS("{}") CLOSE("2")
				     NO_USAGE FINISH("tool_calls"),
		     NULL);
	/* On an empty part behind the text; on a thought; on a text. */
	check_stream(
		EV(PARTS("{\"text\":\"t\",\"thought\":true,\"thought_signature\":\"S0\"}"))
			EV(PARTS("{\"text\":\"a\"}"))
				EV(LAST("{\"text\":\"\",\"thoughtSignature\":\"S2\"}", "STOP")),
		START OPEN_PROOF("0") TEXT("t") PROOF("S0") CLOSE("0") OPEN_TEXT("1") TEXT("a")
			CLOSE("1") OPEN_PROOF("2") PROOF("S2") CLOSE("2") NO_USAGE FINISH("end"),
		NULL);
	check_stream(EV(LAST("{\"text\":\"a\",\"thoughtSignature\":\"S3\"}", "STOP")),
		     START OPEN_PROOF("0") PROOF("S3") CLOSE("0") OPEN_TEXT("1") TEXT("a")
			     CLOSE("1") NO_USAGE FINISH("end"),
		     NULL);
}

static void trap_103_reasons(void **state)
{
	static const struct {
		const char *reason, *stop; /* NULL: an error */
	} rows[] = {
		{ "STOP", "end" },
		{ "MAX_TOKENS", "length" },
		{ "SAFETY", "refusal" },
		{ "RECITATION", "refusal" },
		{ "BLOCKLIST", "refusal" },
		{ "PROHIBITED_CONTENT", "refusal" },
		{ "SPII", "refusal" },
		{ "IMAGE_SAFETY", "refusal" },
		{ "MALFORMED_FUNCTION_CALL", NULL },
		{ "UNEXPECTED_TOOL_CALL", NULL },
		{ "OTHER", NULL },
		{ "SOMETHING_NEW", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *a = arena_new(1 << 20);
		struct str in =
			arena_printf(a, "data: {\"candidates\":[{\"finishReason\":\"%s\"}]}\n\n",
				     rows[i].reason);
		struct str got = events(a, in.ptr, 0, NULL), want;

		want = rows[i].stop ? arena_printf(a, "\"stop\":\"%s\"", rows[i].stop)
				    : arena_printf(a, "\"event\":\"ERROR\"");
		assert_true(str_find(got, want) >= 0);
		arena_free(a);
	}
	/* With an answer, a reason nobody knows is an end. */
	check_stream(EV(LAST("{\"text\":\"a\"}", "OTHER")),
		     START OPEN_TEXT("0") TEXT("a") CLOSE("0") NO_USAGE FINISH("end"), NULL);
}

static void trap_104_a_refused_prompt_has_no_candidates(void **state)
{
	(void)state;
	check_body("{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}",
		   START NO_USAGE FINISH("refusal"));
	check_body("{\"promptFeedback\":{\"blockReason\":\"MODEL_ARMOR\",\"blockReasonMessage\":"
		   "\"No.\"}}",
		   START "{\"event\":\"OPEN\",\"index\":0,\"block\":\"refusal\"}\n" TEXT("No.")
			   CLOSE("0") NO_USAGE FINISH("refusal"));
}

static void trap_112_errors_inside_a_stream(void **state)
{
	(void)state;
	check_stream(EV(PARTS("{\"text\":\"a\"}"))
			     EV("\"error\":{\"code\":503,\"message\":\"The model is overloaded.\","
				"\"status\":\"UNAVAILABLE\"}"),
		     START OPEN_TEXT("0") TEXT(
			     "a") "{\"event\":\"ERROR\",\"kind\":\"overloaded\",\"status\":503,"
				  "\"message\":\"The model is overloaded.\"}\n",
		     NULL);
}

static void trap_113_a_cut_stream_has_no_end(void **state)
{
	(void)state;
	check_stream(EV(PARTS("{\"text\":\"a\"}")), START OPEN_TEXT("0") TEXT("a") "rc -7\n", NULL);
}

static void trap_055_citations_count_characters(void **state)
{
	(void)state;
	check_body("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"h\xc3\xa9 "
		   "you\"}]},\"finishReason\":\"STOP\","
		   "\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"https://"
		   "x\",\"title\":\"X\"}}],"
		   "\"groundingSupports\":[{\"segment\":{\"startIndex\":4,\"endIndex\":7,\"text\":"
		   "\"you\"},"
		   "\"groundingChunkIndices\":[0]}]}}]}",
		   START OPEN_TEXT("0")
			   TEXT("h\xc3\xa9 you") "{\"event\":\"DELTA\",\"of\":\"citation\",\"url\":"
						 "\"https://x\",\"title\":\"X\",\"cited\":\"you\","
						 "\"start\":3,\"end\":6}\n" CLOSE("0")
							 NO_USAGE FINISH("end"));
}

static void parts_only_the_vendor_knows_are_opaque(void **state)
{
	(void)state;
	check_body(
		"{\"candidates\":[{\"content\":{\"parts\":[{\"executableCode\":{\"code\":\"1\"}}]},"
		"\"finishReason\":\"STOP\"}]}",
		START
		"{\"event\":\"OPEN\",\"index\":0,\"block\":\"opaque\",\"origin\":\"gemini\"}\n"
		"{\"event\":\"DELTA\",\"of\":\"raw\",\"text\":\"{\\\"executableCode\\\":{"
		"\\\"code\\\":\\\"1\\\"}}\"}\n" CLOSE("0") NO_USAGE FINISH("end"));
}

static void the_list_form_and_other_candidates(void **state)
{
	(void)state;
	check_body("[{\"candidates\":[{\"index\":1,\"content\":{\"parts\":[{\"text\":\"no\"}]}},"
		   "{\"index\":0,\"content\":{\"parts\":[{\"text\":\"a\"}]}}]},"
		   "{\"candidates\":[{\"finishReason\":\"STOP\"}]}]",
		   START OPEN_TEXT("0") TEXT("a") CLOSE("0") NO_USAGE FINISH("end"));
}

static void what_is_no_answer_is_refused(void **state)
{
	static const char *const bodies[] = { "", "x", "{}", "[]", "{\"choices\":[]}", "\"a\"" };

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct tape t;
		struct feed f = { .p = &protocol_gemini, .sink = &t.sink };

		tape_init(&t);
		assert_int_equal(feed_body(&f, str_from(bodies[i])), RC_SYNTAX);
		assert_true(f.err.msg[0]);
		tape_done(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_023_116_118_text_in_pieces_with_crlf_and_its_usage),
		cmocka_unit_test(trap_017_each_call_has_its_own_index),
		cmocka_unit_test(trap_018_stop_after_a_call_is_tool_calls),
		cmocka_unit_test(trap_077_one_call_where_one_was_allowed),
		cmocka_unit_test(trap_051_signatures_stand_before_what_they_sign),
		cmocka_unit_test(trap_103_reasons),
		cmocka_unit_test(trap_104_a_refused_prompt_has_no_candidates),
		cmocka_unit_test(trap_112_errors_inside_a_stream),
		cmocka_unit_test(trap_113_a_cut_stream_has_no_end),
		cmocka_unit_test(trap_055_citations_count_characters),
		cmocka_unit_test(parts_only_the_vendor_knows_are_opaque),
		cmocka_unit_test(the_list_form_and_other_candidates),
		cmocka_unit_test(what_is_no_answer_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
