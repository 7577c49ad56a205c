/* tests/unit/protocols/gemini/test_request.c - mirrors src/protocols/gemini/request_*.c and schema.c: a client's body to what other
 * providers get, and other clients' bodies to what Google gets. */
#include "check.h"

#include "base/arena.h"
#include "ir/carrier.h"
#include "protocols/protocol.h"

static const struct request_line line = { .op = IR_OP_GENERATE, .arg = STR_INIT("models/m") };

struct sent {
	int rc;
	struct str body, dropped, error;
};

static struct sent send_to(struct arena *a, const struct protocol *from, const struct protocol *to,
			   const char *model, unsigned quirks, const char *body)
{
	struct request_target t = { .model = str_from(model),
				    .quirks = quirks,
				    .default_max_tokens = 4096,
				    .budget = { 0, 0, 1024, 2048, 8192, 16384, 32768, 65536 } };
	struct sent s = { .body = STR("") };
	struct ir_request *r;
	struct ir_losses losses;
	struct err e = { .msg = "" };
	struct buf out;

	buf_init(&out, 1 << 20);
	ir_losses_init(&losses, a);
	s.rc = from->decode_request(a, &line, str_from(body), &r, &e);
	if (!s.rc)
		s.rc = to->encode_request(a, r, &t, &out, &losses, &e);
	if (!s.rc)
		s.body = arena_dup(a, buf_str(&out));
	s.dropped = ir_losses_text(&losses);
	s.error = arena_dup(a, str_from(e.msg));
	buf_done(&out);
	return s;
}

/* What a Chat client's body becomes for Google; `dropped` NULL: nothing is lost. */
static void check_chat(const char *model, const char *body, const char *want, const char *dropped)
{
	struct arena *a = arena_new(16 << 20);
	struct sent s = send_to(a, &protocol_openai_chat, &protocol_gemini, model, 0, body);

	if (s.rc)
		fail_msg("refused: %.*s", STR_ARG(s.error));
	CHECK_STR_IS(s.body, str_from(want));
	CHECK_STR_IS(s.dropped, str_from(dropped));
	arena_free(a);
}

static void check_claude(const char *model, const char *body, const char *want, const char *dropped)
{
	struct arena *a = arena_new(16 << 20);
	struct sent s = send_to(a, &protocol_anthropic_messages, &protocol_gemini, model, 0, body);

	if (s.rc)
		fail_msg("refused: %.*s", STR_ARG(s.error));
	CHECK_STR_IS(s.body, str_from(want));
	CHECK_STR_IS(s.dropped, str_from(dropped));
	arena_free(a);
}

/* What a Gemini client's body becomes for Google when it has to be written anew. */
static void check_again(const char *body, const char *want)
{
	struct arena *a = arena_new(16 << 20);
	struct sent s = send_to(a, &protocol_gemini, &protocol_gemini, "gemini-2.5-flash", 0, body);

	if (s.rc)
		fail_msg("refused: %.*s", STR_ARG(s.error));
	CHECK_STR_IS(s.body, str_from(want));
	arena_free(a);
}

static void check_refused(const struct protocol *from, const char *body, const char *words)
{
	struct arena *a = arena_new(16 << 20);
	struct sent s = send_to(a, from, &protocol_gemini, "gemini-2.5-flash", 0, body);

	assert_true(s.rc == RC_INVALID || s.rc == RC_UNSUPPORTED);
	if (str_find(s.error, str_from(words)) < 0)
		fail_msg("said: %.*s", STR_ARG(s.error));
	arena_free(a);
}

#define HI "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}]"
#define CONFIG(members) ",\"generationConfig\":{" members "}"
#define CHAT_HI "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

/* What a Gemini client's body becomes for Anthropic. */
static void check_towards_claude(const char *body, const char *want)
{
	struct arena *a = arena_new(16 << 20);
	struct sent s =
		send_to(a, &protocol_gemini, &protocol_anthropic_messages, "claude", 0, body);

	if (s.rc)
		fail_msg("refused: %.*s", STR_ARG(s.error));
	if (str_find(s.body, str_from(want)) < 0)
		fail_msg("no %s in %.*s", want, STR_ARG(s.body));
	arena_free(a);
}

static void trap_052_the_alphabet_for_addresses_becomes_the_usual_one(void **state)
{
	(void)state;
	check_towards_claude("{\"contents\":[{\"role\":\"user\",\"parts\":[{\"inlineData\":{"
			     "\"mimeType\":\"application/pdf\",\"data\":\"JVBERi0-_w\"}}]}]}",
			     "\"data\":\"JVBERi0+/w==\"");
	check_towards_claude("{\"contents\":[{\"role\":\"user\",\"parts\":[{\"inlineData\":{"
			     "\"mimeType\":\"application/pdf\",\"data\":\"JVBERi0xLjQK\"}}]}]}",
			     "\"data\":\"JVBERi0xLjQK\"");
}

static void trap_082_types_by_their_numbers_get_their_names(void **state)
{
	(void)state;
	check_towards_claude(
		"{" HI ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\",\"parameters\":{"
		"\"type\":6,\"properties\":{\"a\":{\"type\":1,\"nullable\":true},"
		"\"b\":{\"type\":5,\"items\":{\"type\":3}}}}}]}]}",
		"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":[\"string\",\"null\"]},"
		"\"b\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}}}");
}

static void a_turn_of_anothers_tools_alone_is_left_out_and_named(void **state)
{
	(void)state;
	check_claude("gemini-2.5-flash",
		     "{\"model\":\"m\",\"max_tokens\":9,\"messages\":["
		     "{\"role\":\"user\",\"content\":\"a\"},"
		     "{\"role\":\"assistant\",\"content\":[{\"type\":\"server_tool_use\","
		     "\"id\":\"srvtoolu_1\",\"name\":\"web_search\",\"input\":{}}]},"
		     "{\"role\":\"user\",\"content\":\"b\"}]}",
		     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"},{\"text\":"
		     "\"b\"}]}]" CONFIG("\"maxOutputTokens\":9") "}",
		     "messages");
}

static void trap_036_038_system_apart_and_roles_merged(void **state)
{
	(void)state;
	check_chat("gemini-2.5-flash",
		   "{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":\"be\"},"
		   "{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"},"
		   "{\"role\":\"assistant\",\"content\":\"c\"},{\"role\":\"system\",\"content\":"
		   "\"kind\"},"
		   "{\"role\":\"user\",\"content\":\"d\"}]}",
		   "{\"systemInstruction\":{\"parts\":[{\"text\":\"be\"},{\"text\":\"kind\"}]},"
		   "\"contents\":["
		   "{\"role\":\"user\",\"parts\":[{\"text\":\"a\"},{\"text\":\"b\"}]},"
		   "{\"role\":\"model\",\"parts\":[{\"text\":\"c\"}]},"
		   "{\"role\":\"user\",\"parts\":[{\"text\":\"d\"}]}]" CONFIG("") "}",
		   NULL);
}

#define CALLS                                                                                 \
	"{\"role\":\"assistant\",\"content\":null,\"tool_calls\":["                           \
	"{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{" \
	"\\\"n\\\":9007199254740993}\"}},"                                                    \
	"{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]}"

static void trap_057_058_results_have_names_and_objects(void **state)
{
	(void)state;
	check_chat(
		"gemini-2.5-flash",
		"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}," CALLS
		",{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"{\\\"ok\\\":true}\"},"
		"{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"plain\"},"
		"{\"role\":\"user\",\"content\":\"go\"}]}",
		"{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"}]},{\"role\":"
		"\"model\",\"parts\":["
		"{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{\"n\":9007199254740993}}"
		"},"
		"{\"functionCall\":{\"id\":\"c2\",\"name\":\"g\",\"args\":{}}}]},{\"role\":"
		"\"user\",\"parts\":["
		/* traps 39, 62: in the calls' order, before the text */
		"{\"functionResponse\":{\"id\":\"c1\",\"name\":\"f\",\"response\":{\"output\":"
		"\"plain\"}}},"
		"{\"functionResponse\":{\"id\":\"c2\",\"name\":\"g\",\"response\":{\"ok\":true}}},"
		"{\"text\":\"go\"}]}]" CONFIG("") "}",
		NULL);
}

static void trap_051_the_third_generation_wants_a_signature(void **state)
{
	(void)state;
	check_chat("gemini-3-flash",
		   "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}," CALLS
		   ",{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"x\"},"
		   "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"y\"}]}",
		   "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"}]},{\"role\":"
		   "\"model\",\"parts\":["
		   "{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{\"n\":"
		   "9007199254740993}},"
		   "\"thoughtSignature\":\"c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=\"},"
		   "{\"functionCall\":{\"id\":\"c2\",\"name\":\"g\",\"args\":{}}}]},{\"role\":"
		   "\"user\",\"parts\":["
		   "{\"functionResponse\":{\"id\":\"c1\",\"name\":\"f\",\"response\":{\"output\":"
		   "\"x\"}}},"
		   "{\"functionResponse\":{\"id\":\"c2\",\"name\":\"g\",\"response\":{\"output\":"
		   "\"y\"}}}]}]" CONFIG("") "}",
		   NULL);
}

static void trap_052_images(void **state)
{
	(void)state;
	check_chat("gemini-2.5-flash",
		   "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":["
		   "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
		   "jpeg;base64,iVBORw0KGgoAAAAN\"}},"
		   "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x.example/"
		   "a.PNG?b=1\"}}]}]}",
		   /* trap 53: the bytes decide */
		   "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"inlineData\":{\"mimeType\":"
		   "\"image/png\","
		   "\"data\":\"iVBORw0KGgoAAAAN\"}},{\"fileData\":{\"mimeType\":\"image/png\","
		   "\"fileUri\":\"https://x.example/a.PNG?b=1\"}}]}]" CONFIG("") "}",
		   NULL);
	check_refused(
		&protocol_openai_chat,
		"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":["
		"{\"type\":\"image_url\",\"image_url\":{\"url\":\"http://x.example/a.png\"}}]}]}",
		"https://");
}

static void trap_071_090_parameters(void **state)
{
	(void)state;
	check_chat("gemini-2.0-flash",
		   CHAT_HI
		   ",\"max_tokens\":5,\"temperature\":1.50,\"top_p\":0.9,\"seed\":3,\"stop\":\"x\","
		   "\"presence_penalty\":0.5,\"frequency_penalty\":1,\"logprobs\":true,\"top_"
		   "logprobs\":2,"
		   "\"user\":\"u\",\"reasoning_effort\":\"high\"}",
		   "{" HI CONFIG("\"maxOutputTokens\":5,\"temperature\":1.50,\"topP\":0.9,"
				 "\"presencePenalty\":0.5,"
				 "\"frequencyPenalty\":1,\"seed\":3,\"responseLogprobs\":true,"
				 "\"logprobs\":2,"
				 "\"stopSequences\":[\"x\"]") "}",
		   "reasoning_effort, user");
	check_chat("gemini-2.5-flash", CHAT_HI ",\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"]}",
		   "{" HI CONFIG("\"stopSequences\":[\"1\",\"2\",\"3\",\"4\",\"5\"]") "}", NULL);
	check_claude("gemini-2.5-flash",
		     "{\"model\":\"m\",\"max_tokens\":9,\"top_k\":40,\"messages\":[{\"role\":"
		     "\"user\",\"content\":\"hi\"}]}",
		     "{" HI CONFIG("\"maxOutputTokens\":9,\"topK\":40") "}", NULL);
	check_chat("gemini-2.5-flash", CHAT_HI ",\"n\":2}",
		   "{" HI CONFIG("\"candidateCount\":2") "}", NULL);
	check_chat("gemini-2.5-flash", CHAT_HI ",\"n\":1}", "{" HI CONFIG("") "}", NULL);
}

static void trap_084_effort_budget_and_level(void **state)
{
	static const struct {
		const char *model, *effort, *want, *dropped;
	} rows[] = {
		{ "gemini-2.5-flash", "high", "\"includeThoughts\":true,\"thinkingBudget\":16384",
		  NULL },
		{ "gemini-2.5-flash", "xhigh", "\"includeThoughts\":true,\"thinkingBudget\":24576",
		  NULL },
		{ "gemini-2.5-flash", "none", "\"thinkingBudget\":0", NULL },
		{ "gemini-2.5-pro", "none", "\"thinkingBudget\":128", "reasoning_effort" },
		{ "gemini-3-flash-preview", "medium",
		  "\"includeThoughts\":true,\"thinkingLevel\":\"medium\"", NULL },
		{ "gemini-3-pro-preview", "minimal",
		  "\"includeThoughts\":true,\"thinkingLevel\":\"low\"", NULL },
		{ "gemini-3-flash", "none", "\"thinkingLevel\":\"minimal\"", "reasoning_effort" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *a = arena_new(1 << 20);
		struct str body =
			arena_printf(a, CHAT_HI ",\"reasoning_effort\":\"%s\"}", rows[i].effort);
		struct str want = arena_printf(
			a, "{" HI ",\"generationConfig\":{\"thinkingConfig\":{%s}}}", rows[i].want);

		check_chat(rows[i].model, body.ptr, want.ptr, rows[i].dropped);
		arena_free(a);
	}
	check_refused(
		&protocol_gemini,
		"{" HI CONFIG(
			"\"thinkingConfig\":{\"thinkingBudget\":5,\"thinkingLevel\":\"LOW\"}") "}",
		"exclude each other");
}

#define TOOL(schema)                                                                            \
	",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":null," \
	"\"parameters\":" schema "}}]"
#define FUNCTION(schema) ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"" schema "}]}]"

static void trap_080_082_schemas(void **state)
{
	(void)state;
	/* All of it within the subset; with more; with nothing in it. */
	check_chat(
		"gemini-2.5-flash",
		CHAT_HI TOOL(
			"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}") "}",
		"{" HI FUNCTION(",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{"
				"\"type\":\"string\"}}}") CONFIG("") "}",
		NULL);
	check_chat("gemini-2.5-flash",
		   CHAT_HI TOOL("{\"type\":\"object\",\"additionalProperties\":false,"
				"\"properties\":{\"a\":{\"const\":1}}}") "}",
		   "{" HI FUNCTION(",\"parametersJsonSchema\":{\"type\":\"object\","
				   "\"additionalProperties\":false,"
				   "\"properties\":{\"a\":{\"const\":1}}}") CONFIG("") "}",
		   NULL);
	check_chat("gemini-2.5-flash", CHAT_HI TOOL("{\"type\":\"object\",\"properties\":{}}") "}",
		   "{" HI FUNCTION("") CONFIG("") "}", NULL);
}

static void trap_082_references_are_put_in_place(void **state)
{
	struct arena *a = arena_new(16 << 20);
	struct sent s =
		send_to(a, &protocol_openai_chat, &protocol_gemini, "m", QUIRK_NO_JSON_SCHEMA,
			CHAT_HI TOOL("{\"$schema\":\"x\",\"type\":\"object\","
				     "\"additionalProperties\":false,\"$defs\":"
				     "{\"P\":{\"type\":\"object\",\"properties\":{\"next\":{\"$"
				     "ref\":\"#/$defs/P\"}}}},"
				     "\"properties\":{\"p\":{\"anyOf\":[{\"$ref\":\"#/$defs/"
				     "Q\"},{\"type\":[\"integer\",\"null\"],"
				     "\"exclusiveMinimum\":0}]},\"k\":{\"const\":\"v\"},\"e\":{"
				     "\"enum\":[1,\"b\"]}}}") "}");

	(void)state;
	CHECK_STR(
		s.body,
		"{" HI FUNCTION(
			",\"parameters\":{\"type\":\"object\",\"properties\":{\"p\":{\"anyOf\":[{},"
			"{\"type\":\"integer\",\"nullable\":true}]},\"k\":{\"enum\":[\"v\"]},"
			"\"e\":{\"enum\":[\"1\",\"b\"]}}}") CONFIG("") "}");
	CHECK_STR(s.dropped, "tools");
	s = send_to(a, &protocol_openai_chat, &protocol_gemini, "m", QUIRK_NO_JSON_SCHEMA,
		    CHAT_HI TOOL("{\"type\":\"object\",\"$defs\":{\"P\":{\"type\":\"object\","
				 "\"properties\":{"
				 "\"next\":{\"$ref\":\"#/$defs/"
				 "P\"}}}},\"properties\":{\"p\":{\"$ref\":\"#/$defs/P\"}}}") "}");
	assert_int_equal(s.rc, RC_OK); /* round in circles, but not for ever */
	assert_true(s.body.len < 4096);
	arena_free(a);
}

static void trap_075_076_tool_choice(void **state)
{
	static const struct {
		const char *choice, *want, *dropped;
	} rows[] = {
		{ "\"tool_choice\":\"required\"", "\"mode\":\"ANY\"", NULL },
		{ "\"tool_choice\":\"none\"", "\"mode\":\"NONE\"", NULL },
		{ "\"tool_choice\":\"auto\",\"parallel_tool_calls\":false", "\"mode\":\"AUTO\"",
		  "parallel_tool_calls" },
		{ "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}",
		  "\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\"]", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *a = arena_new(1 << 20);
		struct str body = arena_printf(a, CHAT_HI TOOL("{}") ",%s}", rows[i].choice);
		struct str want = arena_printf(
			a,
			"{" HI FUNCTION("") ",\"toolConfig\":{\"functionCallingConfig\":{%s}"
					    "}" CONFIG("") "}",
			rows[i].want);

		check_chat("gemini-2.5-flash", body.ptr, want.ptr, rows[i].dropped);
		arena_free(a);
	}
	check_refused(&protocol_openai_chat, CHAT_HI ",\"tool_choice\":\"required\"}",
		      "no tool to call");
}

#define LENT_FORM                                                                           \
	"{\"text\":\"When you answer, and do not call a function, say one JSON object and " \
	"nothing "                                                                          \
	"around it.\"}"

static void trap_081_structured_output(void **state)
{
	(void)state;
	check_chat("gemini-2.5-flash",
		   CHAT_HI ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{"
			   "\"name\":\"n\",\"strict\":true,"
			   "\"schema\":{\"type\":\"object\",\"additionalProperties\":false}}}}",
		   "{" HI CONFIG("\"responseMimeType\":\"application/json\",\"responseJsonSchema\":"
				 "{\"type\":\"object\",\"additionalProperties\":false}") "}",
		   NULL);
	check_chat("gemini-2.5-flash",
		   CHAT_HI TOOL("{}") ",\"response_format\":{\"type\":\"json_object\"}}",
		   "{\"systemInstruction\":{\"parts\":[" LENT_FORM "]}," HI FUNCTION("")
			   CONFIG("") "}",
		   "response_format");
}

/* --- a client's own words --- */

static void both_spellings_and_what_is_the_vendors_own(void **state)
{
	(void)state;
	check_again("{\"system_instruction\":\"s\",\"contents\":\"hi\",\"safety_settings\":[],"
		    "\"labels\":{\"a\":\"b\"},"
		    "\"generation_config\":{\"max_output_tokens\":\"7\",\"top_k\":2.0,\"response_"
		    "mime_type\":"
		    "\"application/"
		    "json\",\"media_resolution\":\"LOW\"},\"tools\":[{\"google_search\":{}},"
		    "{\"function_declarations\":[{\"name\":\"f\",\"parameters\":{\"type\":"
		    "\"OBJECT\",\"properties\":"
		    "{\"a\":{\"type\":\"STRING\",\"nullable\":true}}}}]}],"
		    "\"toolConfig\":{\"retrievalConfig\":{},\"functionCallingConfig\":{\"mode\":"
		    "\"VALIDATED\"}}}",
		    "{\"systemInstruction\":{\"parts\":[{\"text\":\"s\"}," LENT_FORM "]}," HI
		    ",\"tools\":[{\"functionDeclarations\":["
		    "{\"name\":\"f\",\"parametersJsonSchema\":{\"type\":\"object\",\"properties\":{"
		    "\"a\":{\"type\":"
		    "[\"string\",\"null\"]}}}}]},{\"google_search\":{}}],\"toolConfig\":{"
		    "\"functionCallingConfig\":"
		    "{\"mode\":\"AUTO\"},\"retrievalConfig\":{}}" CONFIG(
			    "\"maxOutputTokens\":7,\"topK\":2,"
			    "\"media_resolution\":\"LOW\"") ",\"safety_settings\":[],\"labels\":{"
							    "\"a\":\"b\"}}");
}

#define SIGNED                                                                                     \
	"{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"}]},{\"role\":\"model\","     \
	"\"parts\":["                                                                              \
	"{\"text\":\"hm\",\"thought\":true},"                                                      \
	"{\"functionCall\":{\"id\":\"1\",\"name\":\"f\",\"args\":{}},\"thoughtSignature\":\"U1\"}" \
	","                                                                                        \
	"{\"functionCall\":{\"id\":\"2\",\"name\":\"f\",\"args\":{}}}]},{\"role\":\"user\","       \
	"\"parts\":["                                                                              \
	"{\"functionResponse\":{\"id\":\"1\",\"name\":\"f\",\"response\":{\"output\":\"x\"}}},"    \
	"{\"functionResponse\":{\"id\":\"2\",\"name\":\"f\",\"response\":{\"error\":\"y\"}}}]},{"  \
	"\"role\":\"model\","                                                                      \
	"\"parts\":[{\"text\":\"b\",\"thoughtSignature\":\"U2\"},{\"executableCode\":{\"code\":"   \
	"\"1\"}},"                                                                                 \
	"{\"text\":\"\",\"thoughtSignature\":\"U3\"}]}]" CONFIG("") "}"

static void trap_051_signatures_stay_where_they_stood(void **state)
{
	(void)state;
	check_again(SIGNED, SIGNED);
}

static void trap_062_calls_without_ids(void **state)
{
	(void)state;
	/* Two of one name: results belong in order. */
	check_again("{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"}]},{\"role\":"
		    "\"model\",\"parts\":["
		    "{\"functionCall\":{\"name\":\"f\",\"args\":{\"n\":1}}},{\"functionCall\":{"
		    "\"name\":\"g\"}},"
		    "{\"functionCall\":{\"name\":\"f\",\"args\":{\"n\":2}}}]},{\"role\":"
		    "\"function\",\"parts\":["
		    "{\"functionResponse\":{\"name\":\"f\",\"response\":{\"result\":\"1\"}}},"
		    "{\"functionResponse\":{\"name\":\"f\",\"response\":{\"a\":2}}},"
		    "{\"functionResponse\":{\"name\":\"g\",\"response\":{}}}]}]}",
		    "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"}]},{\"role\":"
		    "\"model\",\"parts\":["
		    "{\"functionCall\":{\"id\":\"call_0\",\"name\":\"f\",\"args\":{\"n\":1}}},"
		    "{\"functionCall\":{\"id\":\"call_1\",\"name\":\"g\",\"args\":{}}},"
		    "{\"functionCall\":{\"id\":\"call_2\",\"name\":\"f\",\"args\":{\"n\":2}}}]},{"
		    "\"role\":\"user\",\"parts\":["
		    "{\"functionResponse\":{\"id\":\"call_0\",\"name\":\"f\",\"response\":{"
		    "\"output\":\"1\"}}},"
		    "{\"functionResponse\":{\"id\":\"call_1\",\"name\":\"g\",\"response\":{}}},"
		    "{\"functionResponse\":{\"id\":\"call_2\",\"name\":\"f\",\"response\":{\"a\":2}"
		    "}}]}]" CONFIG("") "}");
}

/* Thoughts of another vendor's model come back in pieces, the proof on the last: what it gets is what it signed. */
static void trap_046_a_carried_proof_goes_home(void **state)
{
	struct arena *a = arena_new(16 << 20);
	struct str proof = ir_carrier_pack_base64(a, "anthropic-messages", STR("sig=="));
	struct str redacted =
		ir_carrier_pack_base64(a, "anthropic-messages", STR("redacted:data=="));
	struct str body = arena_printf(
		a,
		"{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"}]},{\"role\":"
		"\"model\",\"parts\":["
		"{\"text\":\"let "
		"\",\"thought\":true},{\"text\":\"me\",\"thought\":true},{\"text\":\" "
		"see\",\"thought\":true},"
		"{\"text\":\"\",\"thought\":true,\"thoughtSignature\":\"%.*s\"},"
		"{\"text\":\"\",\"thought\":true,\"thoughtSignature\":\"%.*s\"},{\"text\":\"b\"}]},"
		"{\"role\":\"user\",\"parts\":[{\"text\":\"c\"}]}]}",
		STR_ARG(proof), STR_ARG(redacted));
	struct sent s =
		send_to(a, &protocol_gemini, &protocol_anthropic_messages, "claude", 0, body.ptr);

	(void)state;
	assert_true(str_find(s.body, STR("{\"type\":\"thinking\",\"thinking\":\"let me "
					 "see\",\"signature\":\"sig==\"},"
					 "{\"type\":\"redacted_thinking\",\"data\":\"data==\"},{"
					 "\"type\":\"text\",")) > 0);
	assert_false(str_present(s.dropped));
	s = send_to(a, &protocol_gemini, &protocol_gemini, "gemini-2.5-flash", 0, body.ptr);
	assert_true(str_find(s.body, STR("see")) < 0); /* nobody here can check it */
	CHECK_STR(s.dropped, "reasoning_content");
	arena_free(a);
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *body, *words;
	} rows[] = {
		{ "{}", "contents is not specified" },
		{ "{\"contents\":[]}", "contents is not specified" },
		{ "{\"contents\":[1]}", "contents[0]" },
		{ "{\"contents\":[{\"role\":\"dog\",\"parts\":[]}]}", "user or model" },
		{ "{\"contents\":[{\"parts\":[{\"functionCall\":{}}]}]}", "needs a name" },
		{ "{" HI CONFIG("\"temperature\":\"x\"") "}", "generationConfig.temperature" },
		{ "{" HI ",\"tools\":3}", "tools" },
		{ "[]", "JSON object" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_refused(&protocol_gemini, rows[i].body, rows[i].words);
}

/* The list that counts is the one there is room for. */
static void the_last_of_two_lists_of_functions_counts(void **state)
{
	(void)state;
	check_again("{" HI ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"a\"},{\"name\":"
		    "\"b\"},{\"name\":\"c\"},{\"name\":\"d\"},{\"name\":\"e\"}],"
		    "\"functionDeclarations\":[{\"name\":\"z\"}]}]}",
		    "{" HI ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"z\"}]}],"
		    "\"generationConfig\":{}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_of_two_lists_of_functions_counts),
		cmocka_unit_test(trap_036_038_system_apart_and_roles_merged),
		cmocka_unit_test(trap_052_the_alphabet_for_addresses_becomes_the_usual_one),
		cmocka_unit_test(trap_082_types_by_their_numbers_get_their_names),
		cmocka_unit_test(a_turn_of_anothers_tools_alone_is_left_out_and_named),
		cmocka_unit_test(trap_057_058_results_have_names_and_objects),
		cmocka_unit_test(trap_051_the_third_generation_wants_a_signature),
		cmocka_unit_test(trap_052_images),
		cmocka_unit_test(trap_071_090_parameters),
		cmocka_unit_test(trap_084_effort_budget_and_level),
		cmocka_unit_test(trap_080_082_schemas),
		cmocka_unit_test(trap_082_references_are_put_in_place),
		cmocka_unit_test(trap_075_076_tool_choice),
		cmocka_unit_test(trap_081_structured_output),
		cmocka_unit_test(both_spellings_and_what_is_the_vendors_own),
		cmocka_unit_test(trap_051_signatures_stay_where_they_stood),
		cmocka_unit_test(trap_062_calls_without_ids),
		cmocka_unit_test(trap_046_a_carried_proof_goes_home),
		cmocka_unit_test(what_is_wrong_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
