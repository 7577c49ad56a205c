/* tests/unit/protocols/openai_chat/test_request_encode.c - mirrors request_encode.c, request_turns.c and names.c.
 * Rule: every field is mapped, disclosed or refused; and decode(encode(x)) = x for what Chat can say. */
#include "check.h"
#include "json/json.h"
#include "protocols/protocol.h"
#include "quotes.h"

static const struct protocol *const chat = &protocol_openai_chat;

static struct arena *arena;
static struct ir_losses losses;
static struct err err;
static struct request_target target;

static int setup(void **state)
{
	arena = arena_new(64 << 20);
	target = (struct request_target){
		.model = STR("up"), .budget = { 0, 0, 1024, 2048, 8192, 16384, 32768, 65536 }
	};
	return arena ? 0 : -1;
}

static int teardown(void **state)
{
	arena = arena_free(arena);
	return 0;
}

static int try_encode(const struct ir_request *r, struct str *ret)
{
	struct buf out;
	int rc;

	buf_init(&out, 32 << 20);
	ir_losses_init(&losses, arena);
	err = (struct err){ .msg = "" };
	rc = chat->encode_request(arena, r, &target, &out, &losses, &err);
	*ret = arena_dup(arena, buf_str(&out));
	buf_done(&out);
	return rc;
}

static struct str encode(const struct ir_request *r)
{
	struct str out;

	if (try_encode(r, &out))
		fail_msg("%s: %s", err.param, err.msg);
	if (!json_parse(arena, out, NULL))
		fail_msg("no JSON: %.*s", STR_ARG(out));
	return out;
}

static struct ir_request *decode(struct str body)
{
	struct ir_request *r = NULL;

	if (chat->decode_request(arena, &request_line_plain, body, &r, &err))
		fail_msg("%s: %s\n%.*s", err.param, err.msg, STR_ARG(body));
	return r;
}

static void lacks(struct str out, const char *text)
{
	if (str_find(out, quotes(arena, text)) >= 0)
		fail_msg("%.*s\nhas %s", STR_ARG(out), text);
}

static void has(struct str out, const char *text)
{
	if (str_find(out, quotes(arena, text)) < 0)
		fail_msg("%.*s\nlacks %s", STR_ARG(out), text);
}

static void lost(const char *names)
{
	struct str got = ir_losses_text(&losses);

	CHECK_STR_IS(got, names ? str_from(names) : STR_NONE);
}

/* A request of one user message, as another protocol would have it. */
static struct ir_request foreign(struct ir_message *m, struct ir_part *parts, unsigned n)
{
	struct ir_request r;

	ir_request_init(&r);
	*m = (struct ir_message){ .role = IR_ROLE_USER, .parts = parts, .n_parts = n };
	r.origin = "anthropic-messages";
	r.messages = m;
	r.n_messages = 1;
	return r;
}

/* --- round trips --- */

/* encode(decode(body)) as it should read. */
static void check_round(const char *body)
{
	struct str want = quotes(arena, body), got = encode(decode(want));

	CHECK_STR_IS(got, want);
}

static void what_chat_says_comes_back_the_same(void **state)
{
	target.quirks =
		QUIRK_TOP_K | QUIRK_SEND_REASONING | QUIRK_ALLOWED_TOOLS | QUIRK_CUSTOM_TOOLS;
	check_round(
		"{'model':'up','messages':[{'role':'system','content':'s'},{'role':'developer','"
		"content':'d'},"
		"{'role':'user','name':'bob','content':[{'type':'text','text':'a'},{'type':'image_"
		"url','image_url':"
		"{'url':'data:image/"
		"png;base64,QUJD','detail':'low'}},{'type':'image_url','image_url':{'url':'https://"
		"x'}},"
		"{'type':'file','file':{'filename':'a.pdf','file_data':'data:application/"
		"pdf;base64,QUJD'}},"
		"{'type':'file','file':{'file_id':'f'}},{'type':'input_audio','input_audio':{'data'"
		":'QQ==','format':'wav'}},"
		"{'type':'video_url','video_url':{'url':'v'}}]},"
		"{'role':'assistant','content':null,'reasoning_content':'hm','reasoning_details':[{"
		"'type':'reasoning.text',"
		"'text':'hm','signature':'S','format':'anthropic-claude-v1','index':0},{'type':'"
		"reasoning.encrypted',"
		"'data':'E','format':'anthropic-claude-v1','index':1}],'tool_calls':[{'id':'a','"
		"type':'function','function':"
		"{'name':'f','arguments':'{\\'x\\': "
		"1.10}'}},{'id':'b','type':'custom','custom':{'name':'c','input':'i'}}]},"
		"{'role':'tool','tool_call_id':'a','content':'1'},{'role':'tool','tool_call_id':'b'"
		",'content':"
		"[{'type':'text','text':'2'},{'type':'text','text':'3'}]},{'role':'user','content':"
		"'go'},"
		"{'role':'assistant','content':'no','refusal':'r'},{'role':'user','content':''},"
		"{'role':'assistant','content':'pre'}],"
		"'tools':[{'type':'function','function':{'name':'f','description':'d','parameters':"
		"{'type':'object'},"
		"'strict':true}},{'type':'custom','custom':{'name':'c','format':{'type':'grammar',"
		"'grammar':{'syntax':'lark','definition':'start: A'}}}}],"
		"'tool_choice':{'type':'allowed_tools','allowed_tools':{'mode':'auto','tools':[{'"
		"type':'function',"
		"'function':{'name':'f'}}]}},'parallel_tool_calls':false,"
		"'response_format':{'type':'json_schema','json_schema':{'name':'n','description':'"
		"d','schema':{'a':1.10},"
		"'strict':false}},'reasoning_effort':'minimal','max_completion_tokens':5,'"
		"temperature':1.10,'top_p':0.5,"
		"'frequency_penalty':1,'presence_penalty':-1,'top_k':4,'seed':9007199254740993,'n':"
		"1,'logprobs':true,"
		"'top_logprobs':2,'stop':['a','\\n'],'stream':true,'stream_options':{'include_"
		"usage':true},'store':true,"
		"'user':'u','service_tier':'flex','verbosity':'low','safety_identifier':'s',"
		"'logit_bias':{'5':1},'modalities':['text'],'audio':{'voice':'v'},"
		"'prompt_cache_key':'k','metadata':{'a':'b'},"
		"'prediction':{'type':'content','content':'x'},'web_search_options':{'x':1}}");
	lost(NULL);
	check_round("{'model':'up','messages':[{'role':'user','content':'u'}],'tools':[{'type':'"
		    "function','function':"
		    "{'name':'f','parameters':{}}}],'tool_choice':{'type':'function','function':{'"
		    "name':'f'}},"
		    "'response_format':{'type':'json_object'}}");
	check_round("{'model':'up','messages':[{'role':'assistant','content':'','reasoning_content'"
		    ":'hm'}]}");
}

/* As OpenRouter sends what OpenAI's models think: a summary, and the content of an item with its id (recorded so). */
static void trap_050_an_items_proof_goes_back_as_its_data_and_its_id(void **state)
{
	static const char *const formats[] = { "openai-responses-v1", "azure-openai-responses-v1",
					       "xai-responses-v1" };

	target.quirks = QUIRK_SEND_REASONING;
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		struct str body = arena_printf(
			arena,
			"{'model':'up','messages':[{'role':'assistant','content':'t','reasoning_"
			"content':"
			"'sum','reasoning_details':["
			"{'type':'reasoning.summary','summary':'sum','format':'%s','index':0},"
			"{'type':'reasoning.encrypted','data':'gA:A=','id':'rs_1','format':'%s',"
			"'index':0},"
			"{'type':'reasoning.encrypted','data':'gB=','format':'%s','index':1}]}]}",
			formats[i], formats[i], formats[i]);

		check_round(body.ptr);
	}
	/* A vendor whose word for itself is new finds it again. */
	check_round(
		"{'model':'up','messages':[{'role':'assistant','content':'t','reasoning_details':["
		"{'type':'reasoning.encrypted','data':'E','format':'later-v9','index':0}]}]}");
}

static void trap_091_extras_of_another_protocol_are_disclosed(void **state)
{
	struct ir_extra extra = { STR("context_management"), STR("{}") };
	struct ir_part part = { .kind = IR_PART_TEXT, .text = STR("u") };
	struct ir_message m;
	struct ir_request r = foreign(&m, &part, 1);

	r.extras = &extra;
	r.n_extras = 1;
	lacks(encode(&r), "context_management");
	lost("context_management");
}

/* --- messages --- */

static void trap_036_developer_is_system_where_it_is_unknown(void **state)
{
	struct ir_request *r = decode(
		quotes(arena, "{'model':'m','messages':[{'role':'developer','content':'d'}]}"));

	has(encode(r), "{'role':'developer','content':'d'}");
	target.quirks = QUIRK_NO_DEVELOPER_ROLE;
	has(encode(r), "{'role':'system','content':'d'}");
}

static void trap_035_system_blocks_join_with_a_blank_line(void **state)
{
	struct ir_part parts[] = { { .kind = IR_PART_TEXT, .text = STR("a"), .cache = IR_CACHE_5M },
				   { .kind = IR_PART_TEXT, .text = STR("b") } };
	struct ir_message m;
	struct ir_request r = foreign(&m, parts, 2);

	m.role = IR_ROLE_SYSTEM;
	has(encode(&r), "[{'role':'system','content':'a\\n\\nb'}]");
	lost("cache_control"); /* trap_093 */
}

static void trap_042_what_a_result_cannot_hold_follows_the_results(void **state)
{
	struct ir_part image[] = { { .kind = IR_PART_IMAGE,
				     .media = { .mime = STR("image/png"), .data = STR("QUJD") } } };
	struct ir_part mixed[] = { { .kind = IR_PART_TEXT, .text = STR("see") }, image[0] };
	struct ir_part parts[] = {
		{ .kind = IR_PART_TOOL_RESULT,
		  .id = STR("a"),
		  .name = STR("f"),
		  .content = image,
		  .n_content = 1 },
		{ .kind = IR_PART_TOOL_RESULT, .id = STR("b"), .content = mixed, .n_content = 2 },
		{ .kind = IR_PART_TEXT, .text = STR("well?") },
	};
	struct ir_message m;
	struct ir_request r = foreign(&m, parts, 3);

	has(encode(&r),
	    "[{'role':'tool','tool_call_id':'a','content':'(The result is attached to the next "
	    "user message.)'},"
	    "{'role':'tool','tool_call_id':'b','content':'see'},{'role':'user','content':["
	    "{'type':'text','text':'Attached to the result of f (a):'},"
	    "{'type':'image_url','image_url':{'url':'data:image/png;base64,QUJD'}},"
	    "{'type':'text','text':'Attached to the result of the tool call (b):'},"
	    "{'type':'image_url','image_url':{'url':'data:image/png;base64,QUJD'}},"
	    "{'type':'text','text':'well?'}]}]");
	lost(NULL);
}

static void trap_041_an_error_keeps_its_content_and_is_disclosed(void **state)
{
	struct ir_part text = { .kind = IR_PART_TEXT, .text = STR("ENOENT") };
	struct ir_part result = { .kind = IR_PART_TOOL_RESULT,
				  .id = STR("a"),
				  .content = &text,
				  .n_content = 1,
				  .is_error = true };
	struct ir_message m;
	struct ir_request r = foreign(&m, &result, 1);

	has(encode(&r), "[{'role':'tool','tool_call_id':'a','content':'ENOENT'}]");
	lost("is_error");
}

static void trap_043_empty_content_is_a_string_and_empty_parts_vanish(void **state)
{
	struct ir_part parts[] = { { .kind = IR_PART_TEXT, .text = STR("") },
				   { .kind = IR_PART_IMAGE,
				     .media = { .source = IR_MEDIA_URL, .data = STR("u") } } };
	struct ir_part result = { .kind = IR_PART_TOOL_RESULT, .id = STR("a") };
	struct ir_message m;
	struct ir_request r = foreign(&m, parts, 0);

	has(encode(&r), "[{'role':'user','content':''}]");
	r = foreign(&m, parts, 1);
	has(encode(&r), "[{'role':'user','content':''}]");
	r = foreign(&m, parts, 2);
	has(encode(&r),
	    "[{'role':'user','content':[{'type':'image_url','image_url':{'url':'u'}}]}]");
	r = foreign(&m, &result, 1);
	has(encode(&r), "[{'role':'tool','tool_call_id':'a','content':''}]");
}

static void trap_044_content_beside_calls_is_null_or_empty(void **state)
{
	struct ir_part call = {
		.kind = IR_PART_TOOL_CALL, .id = STR("a"), .name = STR("f"), .arguments = STR("{}")
	};
	struct ir_message m;
	struct ir_request r = foreign(&m, &call, 1);

	m.role = IR_ROLE_ASSISTANT;
	has(encode(&r), "'content':null,'tool_calls':[");
	target.quirks = QUIRK_NO_NULL_CONTENT;
	has(encode(&r), "'content':'','tool_calls':[");
	r.messages->n_parts = 0;
	has(encode(&r), "{'role':'assistant','content':''}");
}

static void trap_046_reasoning_goes_only_to_who_wants_it(void **state)
{
	struct ir_part parts[] = { { .kind = IR_PART_REASONING, .text = STR("hm") },
				   { .kind = IR_PART_TEXT, .text = STR("t") } };
	struct ir_message m;
	struct ir_request r = foreign(&m, parts, 2);

	m.role = IR_ROLE_ASSISTANT;
	has(encode(&r), "[{'role':'assistant','content':'t'}]");
	lost("reasoning_content");
	target.quirks = QUIRK_SEND_REASONING;
	has(encode(&r), "[{'role':'assistant','content':'t','reasoning_content':'hm'}]");
	lost(NULL);
	target.quirks |= QUIRK_REASONING_FIELD; /* trap_049 */
	has(encode(&r), "'reasoning':'hm'}]");
}

static void trap_054_documents_become_files_or_text(void **state)
{
	struct ir_part parts[] = {
		{ .kind = IR_PART_FILE,
		  .media = { .mime = STR("application/pdf"), .data = STR("QUJD") } },
		{ .kind = IR_PART_FILE,
		  .media = { .source = IR_MEDIA_TEXT, .data = STR("body"), .name = STR("T") } },
		{ .kind = IR_PART_FILE,
		  .media = { .source = IR_MEDIA_URL, .data = STR("https://d") } },
	};
	struct ir_message m;
	struct ir_request r = foreign(&m, parts, 3);

	has(encode(&r),
	    "'content':[{'type':'file','file':{'filename':'document.pdf','file_data':"
	    "'data:application/pdf;base64,QUJD'}},{'type':'text','text':'T\\n\\nbody'}]");
	lost("document");
}

static void text_goes_as_one_string_where_parts_are_unknown(void **state)
{
	struct ir_part parts[] = { { .kind = IR_PART_TEXT, .text = STR("a") },
				   { .kind = IR_PART_TEXT, .text = STR("b") } };
	struct ir_message m;
	struct ir_request r = foreign(&m, parts, 2);

	has(encode(&r), "'content':[{'type':'text','text':'a'},{'type':'text','text':'b'}]");
	target.quirks = QUIRK_TEXT_CONTENT;
	has(encode(&r), "'content':'a\\n\\nb'");
}

static void trap_061_ids_that_are_too_long_are_shortened_alike(void **state)
{
	char id[80];
	struct ir_part call = { .kind = IR_PART_TOOL_CALL,
				.id = { id, 80 },
				.name = STR("f"),
				.arguments = STR("{}") };
	struct ir_part result = { .kind = IR_PART_TOOL_RESULT, .id = { id, 80 } };
	struct ir_message messages[] = {
		{ .role = IR_ROLE_ASSISTANT, .parts = &call, .n_parts = 1 },
		{ .role = IR_ROLE_USER, .parts = &result, .n_parts = 1 }
	};
	struct ir_request r;
	const struct ir_request *back;

	memset(id, 'x', sizeof(id));
	ir_request_init(&r);
	r.messages = messages;
	r.n_messages = 2;
	back = decode(encode(&r));
	assert_int_equal(back->messages[0].parts[0].id.len, 64);
	CHECK_STR_IS(back->messages[1].parts[0].id, back->messages[0].parts[0].id);
	id[79] = 'y';
	assert_false(
		str_eq(decode(encode(&r))->messages[0].parts[0].id, back->messages[0].parts[0].id));
}

/* --- tools and choice --- */

static struct ir_tool function = { .name = STR_INIT("f") };
static struct ir_tool server = {
	.server_raw = STR_INIT("{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}"),
	.origin = "anthropic-messages"
};

static struct ir_request asking(struct ir_message *m, struct ir_part *part, struct ir_tool *tools,
				unsigned n)
{
	struct ir_request r = foreign(m, part, 1);

	*part = (struct ir_part){ .kind = IR_PART_TEXT, .text = STR("u") };
	r.tools = tools;
	r.n_tools = n;
	return r;
}

static void trap_094_a_vendors_own_tool_is_left_out_by_name_or_refused(void **state)
{
	struct ir_part part;
	struct ir_message m;
	struct ir_tool tools[] = { function, server };
	struct ir_request r = asking(&m, &part, tools, 2);
	struct str out = encode(&r);

	lacks(out, "web_search");
	has(out, "'tools':[{'type':'function','function':{'name':'f','parameters':{'type':'object',"
		 "'properties':{}}}}]");
	lost("web_search_20250305");

	r.choice = (struct ir_tool_choice){ .mode = IR_CHOICE_NAMED, .name = STR("web_search") };
	assert_int_equal(try_encode(&r, &out), RC_UNSUPPORTED);
	assert_string_equal(err.param, "tool_choice");
	r = asking(&m, &part, &server, 1);
	r.choice.mode = IR_CHOICE_REQUIRED;
	assert_int_equal(try_encode(&r, &out), RC_UNSUPPORTED);
	r.choice.mode = IR_CHOICE_AUTO; /* OpenAI refuses a choice among nothing */
	r.choice.parallel = IR_TRUE;
	out = encode(&r);
	lacks(out, "tool_choice");
	lacks(out, "parallel_tool_calls");
}

static void trap_076_allowed_tools_bind_everywhere(void **state)
{
	struct ir_part part;
	struct ir_message m;
	struct ir_tool tools[] = { function, { .name = STR("g") } };
	struct str allowed[] = { STR("g") };
	struct ir_request r = asking(&m, &part, tools, 2);
	struct str out;

	r.choice = (struct ir_tool_choice){ .mode = IR_CHOICE_REQUIRED,
					    .allowed = allowed,
					    .n_allowed = 1 };
	out = encode(&r);
	lacks(out, "'name':'f'");
	has(out, "'tool_choice':'required'");
	target.quirks = QUIRK_ALLOWED_TOOLS;
	out = encode(&r);
	has(out, "'name':'f'");
	has(out, "'tool_choice':{'type':'allowed_tools','allowed_tools':{'mode':'required','tools':"
		 "[{'type':'function',"
		 "'function':{'name':'g'}}]}}");
}

static void trap_077_parallel_calls_are_switched_off_or_disclosed(void **state)
{
	struct ir_part part;
	struct ir_message m;
	struct ir_request r = asking(&m, &part, &function, 1);

	r.choice.parallel = IR_FALSE;
	has(encode(&r), "'parallel_tool_calls':false");
	target.quirks = QUIRK_NO_PARALLEL_TOOL_CALLS;
	lacks(encode(&r), "parallel_tool_calls");
	lost("parallel_tool_calls");
}

static void trap_083_strict_is_set_only_where_the_schema_is(void **state)
{
	struct ir_part part;
	struct ir_message m;
	struct ir_tool tool = { .name = STR("f"), .strict = IR_TRUE };
	struct ir_request r = asking(&m, &part, &tool, 1);

	tool.parameters =
		quotes(arena,
		       "{'type':'object','properties':{'a':{'type':'object','properties':{}}},"
		       "'required':['a'],'additionalProperties':false}");
	lacks(encode(&r), "strict");
	lost("strict");
	tool.parameters =
		quotes(arena,
		       "{'type':'object','properties':{'a':{'type':'string'}},'required':['a'],"
		       "'additionalProperties':false}");
	has(encode(&r), "'strict':true");
	r.format = (struct ir_format){ .kind = IR_FORMAT_JSON_SCHEMA, .schema = tool.parameters };
	has(encode(&r), "'response_format':{'type':'json_schema','json_schema':{'name':'response','"
			"schema':{'type':'object',"
			"'properties':{'a':{'type':'string'}},'required':['a'],'"
			"additionalProperties':false},'strict':true}}");
	r.format.schema = STR("{}");
	lacks(encode(&r), "'schema':{},'strict'");
}

static void a_schema_is_lent_as_words_where_it_is_unknown(void **state)
{
	struct ir_part part;
	struct ir_message m;
	struct ir_request r = asking(&m, &part, NULL, 0);
	struct str out;

	r.format = (struct ir_format){ .kind = IR_FORMAT_JSON_SCHEMA, .schema = STR("{\"a\":1}") };
	target.quirks = QUIRK_NO_JSON_SCHEMA;
	out = encode(&r);
	has(out, "'response_format':{'type':'json_object'}");
	has(out, "{'role':'system','content':'Answer with a JSON object that follows this JSON "
		 "schema:\\n{\\'a\\':1}'}");
	lost("response_format");
}

/* --- parameters --- */

static void trap_084_a_budget_becomes_the_nearest_effort(void **state)
{
	static const struct {
		int64_t budget;
		const char *effort;
	} rows[] = { { 100, "minimal" }, { 1500, "minimal" }, { 2048, "low" },
		     { 6000, "medium" }, { 12000, "medium" }, { 16000, "high" },
		     { 31999, "xhigh" }, { 1000000, "max" } };
	struct ir_part part;
	struct ir_message m;
	struct ir_request r = asking(&m, &part, NULL, 0);

	r.reasoning.thinking = IR_THINKING_ENABLED;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		r.reasoning.budget = rows[i].budget;
		has(encode(&r), arena_printf(arena, "'reasoning_effort':'%s'", rows[i].effort).ptr);
	}
	r.reasoning.effort = IR_EFFORT_LOW; /* what is said in words goes before */
	has(encode(&r), "'reasoning_effort':'low'");
	target.model = STR("gpt-4o-mini"); /* answers 400 to it */
	lacks(encode(&r), "reasoning_effort");
	lost("reasoning_effort");
	target.model = STR("up");
	r.reasoning = (struct ir_reasoning){ .thinking = IR_THINKING_DISABLED, .budget = IR_UNSET };
	lacks(encode(&r), "reasoning_effort");
	lost(NULL);
}

static void trap_066_max_tokens_goes_by_the_name_the_target_knows(void **state)
{
	struct ir_part part;
	struct ir_message m;
	struct ir_request r = asking(&m, &part, NULL, 0);

	r.max_tokens = 5;
	has(encode(&r), "'max_completion_tokens':5");
	target.quirks = QUIRK_MAX_TOKENS;
	has(encode(&r), "'max_tokens':5");
}

static void trap_090_top_k_goes_only_to_who_knows_it(void **state)
{
	struct ir_part part;
	struct ir_message m;
	struct ir_request r = asking(&m, &part, NULL, 0);

	r.top_k = 5;
	lacks(encode(&r), "top_k");
	lost("top_k");
	target.quirks = QUIRK_TOP_K;
	has(encode(&r), "'top_k':5");
	lost(NULL);
}

static void trap_010_a_stream_always_asks_for_usage(void **state)
{
	struct ir_part part;
	struct ir_message m;
	struct ir_request r = asking(&m, &part, NULL, 0);

	lacks(encode(&r), "stream");
	r.stream = true;
	has(encode(&r), "'stream':true,'stream_options':{'include_usage':true}");
	target.quirks = QUIRK_NO_STREAM_OPTIONS;
	lacks(encode(&r), "stream_options");
}

static void trap_072_an_empty_stop_is_left_out(void **state)
{
	struct ir_part part;
	struct ir_message m;
	struct str stop[] = { STR(""), STR("\n") };
	struct ir_request r = asking(&m, &part, NULL, 0);

	r.stop = stop;
	r.n_stop = 2;
	has(encode(&r), "'stop':['\\n']");
	r.n_stop = 1;
	lacks(encode(&r), "stop");
}

static void custom_tools_are_functions_where_nobody_knows_them(void **state)
{
	struct ir_request *r = decode(quotes(
		arena,
		"{'model':'m','messages':[{'role':'user','content':'x'},{'role':'assistant',"
		"'tool_calls':[{'id':'b','type':'custom','custom':{'name':'c','input':'i'}}]},"
		"{'role':'tool','tool_call_id':'b','content':'r'}],'tools':[{'type':'custom',"
		"'custom':{'name':'c','description':'d','format':{'type':'grammar','grammar':"
		"{'syntax':'lark','definition':'A'}}}}],'tool_choice':{'type':'custom','custom':"
		"{'name':'c'}}}"));
	struct str out = encode(r);

	has(out, "{'type':'function','function':{'name':'c','description':'d','parameters':{'type':"
		 "'object','properties':{'input':{'type':'string'}}");
	has(out, "'tool_choice':{'type':'function','function':{'name':'c'}}");
	has(out, "{'id':'b','type':'function','function':{'name':'c','arguments':");
	lost("tools.format");
	target.quirks = QUIRK_CUSTOM_TOOLS;
	out = encode(r);
	has(out, "'tool_choice':{'type':'custom','custom':{'name':'c'}}");
	has(out, "{'id':'b','type':'custom','custom':{'name':'c','input':'i'}}");
	lost(NULL);
}

#define CHOSEN(choice)                                                                         \
	"{'model':'m','messages':[{'role':'user','content':'x'}],'tools':[{'type':'function'," \
	"'function':{'name':'f'}},{'type':'function','function':{'name':'g'}}],'tool_choice'"  \
	":" choice "}"

/* Trap 75: what cannot be said in words the list of tools says, or the caller is told. */
static void trap_075_a_choice_goes_as_far_as_the_vendor_knows_it(void **state)
{
	struct ir_request *named =
		decode(quotes(arena, CHOSEN("{'type':'function','function':{'name':'g'}}")));
	struct ir_request *any = decode(quotes(arena, CHOSEN("'required'")));
	struct ir_request *none = decode(quotes(arena, CHOSEN("'none'")));

	target.quirks = QUIRK_NO_NAMED_TOOL;
	has(encode(named), "'tool_choice':'required'");
	has(encode(named), "'name':'g'");
	lacks(encode(named), "'name':'f'");
	lost(NULL);
	has(encode(any), "'name':'f'");
	has(encode(any), "'tool_choice':'required'");
	has(encode(none), "'tool_choice':'none'");
	target.quirks = QUIRK_AUTO_TOOL_CHOICE;
	has(encode(named), "'tool_choice':'auto'");
	has(encode(named), "'name':'f'");
	lost("tool_choice");
	has(encode(any), "'tool_choice':'auto'");
	lost("tool_choice");
	lacks(encode(none), "tool");
	lost(NULL);
}

static void trap_078_thinking_gives_way_to_a_forced_call(void **state)
{
	struct ir_request *r = decode(quotes(arena, CHOSEN("'required','reasoning_effort':'low'")));

	target.quirks = QUIRK_THINKING_TYPE;
	has(encode(r), "'thinking':{'type':'disabled'}");
	lost("reasoning_effort");
	target.quirks = QUIRK_ENABLE_THINKING;
	has(encode(r), "'enable_thinking':false");
	lost("reasoning_effort");
	/* Where the call is only offered, nothing stands in the way of thinking. */
	target.quirks = QUIRK_THINKING_TYPE | QUIRK_AUTO_TOOL_CHOICE;
	has(encode(r), "'thinking':{'type':'enabled'}");
	lost("tool_choice");
}

static void vendors_have_names_of_their_own(void **state)
{
	struct ir_request *r = decode(quotes(
		arena,
		"{'model':'m','messages':[{'role':'user','name':'n','content':'x'}],'seed':7,"
		"'logprobs':true,'user':'u','store':false,'metadata':{'a':'b'},"
		"'prompt_cache_key':'k','reasoning_effort':'low'}"));

	target.quirks = QUIRK_RANDOM_SEED | QUIRK_CORE_FIELDS;
	has(encode(r), "'random_seed':7");
	has(encode(r), "'logprobs':true");
	has(encode(r), "'prompt_cache_key':'k','metadata':{'a':'b'}");
	lacks(encode(r), "'user':");
	lost("name, user");
	target.quirks = QUIRK_THINKING_TYPE;
	has(encode(r), "'thinking':{'type':'enabled'},'reasoning_effort':'low'");
	target.quirks = QUIRK_ENABLE_THINKING;
	target.budget[IR_EFFORT_LOW] = 2000;
	has(encode(r), "'enable_thinking':true,'thinking_budget':2000");
	lacks(encode(r), "reasoning_effort");
	r->reasoning.effort = IR_EFFORT_NONE;
	has(encode(r), "'enable_thinking':false");
	lost(NULL);
}

static void trap_088_the_other_vendors_tier_is_translated(void **state)
{
	struct ir_part part;
	struct ir_message m;
	struct ir_request r = asking(&m, &part, NULL, 0);

	r.service_tier = STR("standard_only");
	has(encode(&r), "'service_tier':'default'");
}

static void memory_that_runs_out_is_told(void **state)
{
	struct ir_request *r = decode(quotes(
		arena,
		"{'model':'m','messages':[{'role':'user','content':[{'type':'text','text':'a'},"
		"{'type':'text','text':'b'}]}]}"));
	struct buf out;

	buf_init(&out, 20);
	ir_losses_init(&losses, arena);
	assert_int_equal(chat->encode_request(arena, r, &target, &out, &losses, &err), RC_NOMEM);
	buf_done(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_chat_says_comes_back_the_same),
		TEST(trap_050_an_items_proof_goes_back_as_its_data_and_its_id),
		TEST(trap_091_extras_of_another_protocol_are_disclosed),
		TEST(trap_036_developer_is_system_where_it_is_unknown),
		TEST(trap_035_system_blocks_join_with_a_blank_line),
		TEST(trap_042_what_a_result_cannot_hold_follows_the_results),
		TEST(trap_041_an_error_keeps_its_content_and_is_disclosed),
		TEST(trap_043_empty_content_is_a_string_and_empty_parts_vanish),
		TEST(trap_044_content_beside_calls_is_null_or_empty),
		TEST(trap_046_reasoning_goes_only_to_who_wants_it),
		TEST(trap_054_documents_become_files_or_text),
		TEST(text_goes_as_one_string_where_parts_are_unknown),
		TEST(trap_061_ids_that_are_too_long_are_shortened_alike),
		TEST(trap_094_a_vendors_own_tool_is_left_out_by_name_or_refused),
		TEST(trap_076_allowed_tools_bind_everywhere),
		TEST(trap_077_parallel_calls_are_switched_off_or_disclosed),
		TEST(trap_083_strict_is_set_only_where_the_schema_is),
		TEST(a_schema_is_lent_as_words_where_it_is_unknown),
		TEST(trap_084_a_budget_becomes_the_nearest_effort),
		TEST(trap_066_max_tokens_goes_by_the_name_the_target_knows),
		TEST(trap_090_top_k_goes_only_to_who_knows_it),
		TEST(trap_010_a_stream_always_asks_for_usage),
		TEST(trap_072_an_empty_stop_is_left_out),
		TEST(custom_tools_are_functions_where_nobody_knows_them),
		TEST(trap_075_a_choice_goes_as_far_as_the_vendor_knows_it),
		TEST(trap_078_thinking_gives_way_to_a_forced_call),
		TEST(vendors_have_names_of_their_own),
		TEST(trap_088_the_other_vendors_tier_is_translated),
		TEST(memory_that_runs_out_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
