/* tests/unit/protocols/gemini/test_response_encode.c - mirrors src/protocols/gemini/response_encode.c. What a client of Google's SDK
 * gets, in both forms of stream and as a body; and read by our own decoder it says the same. */
#include "check.h"

#include "ir/carrier.h"
#include "json/json.h"
#include "tape.h"

/* Plays an upstream's SSE stream to a Gemini client. */
static struct str client(struct arena *a, const struct protocol *upstream, const char *stream,
			 enum framing framing)
{
	struct encoder_options o = {
		.arena = a, .id = STR("r"), .model = STR("m"), .framing = framing
	};
	struct client_tape c = { .sink.event = client_event, .p = &protocol_gemini };
	struct feed f = { .p = upstream, .sink = &c.sink };
	struct str text;

	c.e = protocol_gemini.encoder_new(&o);
	buf_init(&c.out, TAPE_MAX);
	if (feed_stream(&f, str_from(stream), 0) != RC_OK)
		fail_msg("%s", f.err.msg);
	text = arena_dup(a, buf_str(&c.out));
	buf_done(&c.out);
	return text;
}

#define CHAT(delta, finish)                                                              \
	"data: {\"id\":\"x\",\"model\":\"y\",\"choices\":[{\"index\":0,\"delta\":" delta \
	",\"finish_reason\":" finish "}]}\n\n"
#define CHAT_USAGE                                                                             \
	"data: "                                                                               \
	"{\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":7," \
	"\"prompt_tokens_details\":{\"cached_tokens\":4},\"completion_tokens_details\":{"      \
	"\"reasoning_tokens\":5}}}\n\ndata: [DONE]\n\n"
#define TAIL "\"modelVersion\":\"m\",\"responseId\":\"r\"}"
#define CHUNK(part)                                       \
	"{\"candidates\":[{\"content\":{\"parts\":[" part \
	"],\"role\":\"model\"},\"index\":0}]," TAIL
#define COUNTS                                                                  \
	"\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":2," \
	"\"totalTokenCount\":16,"                                               \
	"\"cachedContentTokenCount\":4,\"thoughtsTokenCount\":5},"
#define LAST(reason)                                                                      \
	"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"}," \
	"\"finishReason\":\"" reason "\",\"index\":0}]," COUNTS TAIL

static const char calls[] = CHAT("{\"role\":\"assistant\",\"content\":\"a\"}",
				 "null") CHAT("{\"tool_calls\":[{\"index\":0,\"id\":\"c1\","
					      "\"type\":\"function\",\"function\":{\"name\":\"f\","
					      "\"arguments\":\"\"}}]}",
					      "null")
	CHAT("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"n\\\":\"}}]}",
	     "null")
		CHAT("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]}", "null")
			CHAT("{\"tool_calls\":[{\"index\":1,\"id\":\"c2\",\"type\":\"function\","
			     "\"function\":{\"name\":\"g\","
			     "\"arguments\":\"{\\\"cut\"}}]}",
			     "null") CHAT("{}", "\"tool_calls\"") CHAT_USAGE;

static void trap_019_020_plain_events_without_an_end_mark(void **state)
{
	struct arena *a = arena_new(16 << 20);

	(void)state;
	CHECK_STR(
		client(a, &protocol_openai_chat, calls, FRAMING_SSE),
		"data: " CHUNK(
			"{\"text\":\"a\"}") "\n\n"
					    /* whole, when it closes; broken arguments are an object all the same (trap 59) */
					    "data: " CHUNK(
						    "{\"functionCall\":{\"id\":"
						    "\"c1\",\"name\":\"f\",\"args\":{"
						    "\"n\":1}}}") "\n\n"
								  "data: " CHUNK(
									  "{\"functio"
									  "nCall\":{"
									  "\"id\":"
									  "\"c2\","
									  "\"name\":"
									  "\"g\","
									  "\"args\":{"
									  "}}}") "\n"
										 "\n"
										 "dat"
										 "a:"
										 " " LAST(
											 "STOP") "\n\n");
	arena_free(a);
}

static void the_list_form_is_json(void **state)
{
	struct arena *a = arena_new(16 << 20);
	struct str got = client(a, &protocol_openai_chat, calls, FRAMING_JSON_ARRAY);

	(void)state;
	assert_int_equal(json_len(json_parse(a, got, NULL)), 4);
	assert_true(str_starts(got, STR("[{\"candidates\"")));
	assert_true(str_find(got, STR("},\r\n{\"candidates\"")) > 0);
	arena_free(a);
}

#define AM(name, rest) "event: " name "\ndata: {\"type\":\"" name "\"," rest "}\n\n"
#define AM_START                                                                    \
	AM("message_start",                                                         \
	   "\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\"," \
	   "\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\":1}}")
#define AM_BLOCK(index, start, delta)                                             \
	AM("content_block_start", "\"index\":" index ",\"content_block\":" start) \
	delta AM("content_block_stop", "\"index\":" index)
#define AM_DELTA(index, delta) AM("content_block_delta", "\"index\":" index ",\"delta\":" delta)
#define AM_END                                                                         \
	AM("message_delta",                                                            \
	   "\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":1}") \
	AM("message_stop", "\"x\":1")

/* Anthropic's proofs stand on thoughts as carriers; base64 all through, for the SDKs type the place as bytes. */
static void trap_046_foreign_proofs_are_carried(void **state)
{
	struct arena *a = arena_new(16 << 20);
	struct str got = client(
		a, &protocol_anthropic_messages,
		AM_START AM_BLOCK(
			"0", "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}",
			AM_DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}") AM_DELTA(
				"0", "{\"type\":\"signature_delta\",\"signature\":\"s+/=\"}"))
			AM_BLOCK("1", "{\"type\":\"redacted_thinking\",\"data\":\"dd==\"}", "")
				AM_BLOCK("2", "{\"type\":\"text\",\"text\":\"\"}",
					 AM_DELTA("2", "{\"type\":\"text_delta\",\"text\":\"b\"}"))
					AM_END,
		FRAMING_SSE);
	struct str proof = ir_carrier_pack_base64(a, "anthropic-messages", STR("s+/="));
	struct str data = ir_carrier_pack_base64(a, "anthropic-messages", STR("redacted:dd=="));
	struct str want = arena_printf(
		a,
		"data: " CHUNK(
			"{\"text\":\"hm\",\"thought\":true}") "\n\ndata:"
							      " " CHUNK(
								      "{\""
								      "tex"
								      "t\""
								      ":\""
								      "\","
								      "\"t"
								      "hou"
								      "ght"
								      "\":"
								      "tru"
								      "e,"
								      "\"t"
								      "hou"
								      "ght"
								      "Sig"
								      "nat"
								      "ure"
								      "\":"
								      "\"%"
								      ".*"
								      "s\""
								      "}") "\n\ndata:"
									   " " CHUNK(
										   "{\"te"
										   "xt\":"
										   "\"\","
										   "\"tho"
										   "ught"
										   "\":"
										   "true,"
										   "\"tho"
										   "ughtS"
										   "ignat"
										   "ure\""
										   ":\"%."
										   "*s\""
										   "}") "\n\ndata:"
											" " CHUNK(
												"{"
												"\""
												"te"
												"xt"
												"\""
												":"
												"\""
												"b"
												"\""
												"}") "\n\n",
		STR_ARG(proof), STR_ARG(data));

	(void)state;
	assert_true(str_starts(got, want));
	arena_free(a);
}

#define GM(parts, more) "data: {\"candidates\":[{\"content\":{\"parts\":[" parts "]}" more "}]}\n\n"

static void trap_051_own_signatures_stay_on_their_parts(void **state)
{
	struct arena *a = arena_new(16 << 20);
	struct str got =
		client(a, &protocol_gemini,
		       GM("{\"text\":\"t\",\"thought\":true,\"thoughtSignature\":\"S0\"},{\"text\":"
			  "\"a\",\"thoughtSignature\":\"S1\"},"
			  "{\"functionCall\":{\"id\":\"c\",\"name\":\"f\",\"args\":{}},"
			  "\"thoughtSignature\":\"S2\"},"
			  "{\"executableCode\":{\"code\":\"1\"},\"thoughtSignature\":\"S3\"}",
			  "") GM("{\"text\":\"\",\"thoughtSignature\":\"S4\"}",
				 ",\"finishReason\":\"STOP\""),
		       FRAMING_SSE);

	(void)state;
	assert_true(str_starts(
		got,
		STR("data: " CHUNK(
			"{\"text\":\"t\",\"thought\":true}") "\n\n"
							     "data: " CHUNK(
								     "{\"text\":\"\",\"thought\":"
								     "true,\"thoughtSignature\":"
								     "\"S0\"}") "\n\n"
										"data: " CHUNK(
											"{\"text\":"
											"\"a\","
											"\"thoughtS"
											"ignature\""
											":\"S1\"}") "\n\n"
												    "data: " CHUNK(
													    "{\"functionCall\":{\"id\":\"c\",\"name\":\"f\",\"args\":{}},"
													    "\"thoughtSignature\":\"S2\"}") "\n\n"
																	    "data: " CHUNK(
																		    "{\"executableCode\":{\"code\":\"1\"},\"thoughtSignature\":\"S3\"}") "\n\n"
																											 "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\",\"thoughtSignature\":\"S4\"}],"
																											 "\"role\":\"model\"},\"finishReason\":\"STOP\"")));
	arena_free(a);
}

/* --- whole --- */

static struct str whole(struct arena *a, const struct protocol *upstream, const char *body)
{
	struct encoder_options o = { .arena = a, .id = STR("r"), .model = STR("m") };
	struct ir_fold fold;
	struct feed f = { .p = upstream, .sink = &fold.sink };
	struct buf out;
	struct str text;

	ir_fold_init(&fold, a);
	assert_int_equal(feed_body(&f, str_from(body)), RC_OK);
	buf_init(&out, 1 << 20);
	assert_int_equal(protocol_gemini.encode_response(&o, &fold.response, &out), RC_OK);
	text = arena_dup(a, buf_str(&out));
	buf_done(&out);
	assert_non_null(json_parse(a, text, NULL));
	return text;
}

#define DREW(item)                                                                          \
	"data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":"     \
	"\"completed\",\"model\":\"m\",\"output\":[{\"type\":\"" item "\",\"id\":\"ig_1\"," \
	"\"status\":\"completed\",\"result\":\"iVBORw0KGgo=\"}]}}\n\n"

static void pictures_of_others_are_inline_data(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct str text =
		client(a, &protocol_openai_responses, DREW("image_generation_call"), FRAMING_SSE);

	(void)state;
	assert_true(str_find(text, STR("data: " CHUNK("{\"inlineData\":{\"mimeType\":\"image/png\","
						      "\"data\":\"iVBORw0KGgo=\"}}"))) == 0);
	text = client(a, &protocol_openai_responses, DREW("web_search_call"), FRAMING_SSE);
	assert_true(str_starts(text, STR("data: {\"candidates\":[{\"content\":{\"parts\":[{"
					 "\"text\":\"\"}]")));
	arena_free(a);
}

static void trap_101_stops(void **state)
{
	static const struct {
		const char *theirs, *want;
	} rows[] = { { "stop", "STOP" },
		     { "length", "MAX_TOKENS" },
		     { "content_filter", "SAFETY" } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *a = arena_new(1 << 20);
		struct str body = arena_printf(a,
					       "{\"id\":\"x\",\"choices\":[{\"index\":0,"
					       "\"message\":{\"role\":\"assistant\","
					       "\"content\":\"a\"},\"finish_reason\":\"%s\"}]}",
					       rows[i].theirs);
		struct str want = arena_printf(a, "\"finishReason\":\"%s\"", rows[i].want);

		assert_true(str_find(whole(a, &protocol_openai_chat, body.ptr), want) > 0);
		arena_free(a);
	}
}

static void citations_and_log_probabilities_go_both_ways(void **state)
{
	struct arena *a = arena_new(16 << 20);
	static const char body[] =
		"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"see "
		"it\"}],\"role\":\"model\"},"
		"\"finishReason\":\"STOP\",\"index\":0,\"logprobsResult\":{\"chosenCandidates\":[{"
		"\"token\":\"see\","
		"\"logProbability\":-0.25}],\"topCandidates\":[{\"candidates\":[{\"token\":\"see\","
		"\"logProbability\":-0.25},{\"token\":\"x\",\"logProbability\":-3}]}]},"
		"\"groundingMetadata\":{"
		"\"groundingChunks\":[{\"web\":{\"uri\":\"https://"
		"x\",\"title\":\"X\"}}],\"groundingSupports\":[{\"segment\":{"
		"\"startIndex\":4,\"endIndex\":6},\"groundingChunkIndices\":[0]}]}}],"
		"\"usageMetadata\":{"
		"\"promptTokenCount\":1,\"candidatesTokenCount\":2,\"totalTokenCount\":3},"
		"\"modelVersion\":\"m\","
		"\"responseId\":\"r\"}";

	(void)state;
	CHECK_STR_IS(whole(a, &protocol_gemini, body), str_from(body));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_019_020_plain_events_without_an_end_mark),
		cmocka_unit_test(the_list_form_is_json),
		cmocka_unit_test(trap_046_foreign_proofs_are_carried),
		cmocka_unit_test(trap_051_own_signatures_stay_on_their_parts),
		cmocka_unit_test(pictures_of_others_are_inline_data),
		cmocka_unit_test(trap_101_stops),
		cmocka_unit_test(citations_and_log_probabilities_go_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
