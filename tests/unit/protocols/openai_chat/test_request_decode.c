/* tests/unit/protocols/openai_chat/test_request_decode.c - mirrors request_decode.c and request_messages.c.
 * Rule: all of a Chat request finds its canonical place, and a mistake is told with the path of where it is. */
#include "check.h"
#include "protocols/protocol.h"
#include "quotes.h"

static const struct protocol *const chat = &protocol_openai_chat;

static struct arena *arena;

static int setup(void **state)
{
	arena = arena_new(8 << 20);
	return arena ? 0 : -1;
}

static int teardown(void **state)
{
	arena = arena_free(arena);
	return 0;
}

static const struct ir_request *decode(const char *body)
{
	struct ir_request *r = NULL;
	struct err err = { .msg = "" };
	int rc = chat->decode_request(arena, &request_line_plain, quotes(arena, body), &r, &err);

	if (rc)
		fail_msg("%s: %s", err.param, err.msg);
	return r;
}

/* A request of these messages. */
static const struct ir_request *talk(const char *messages)
{
	return decode(arena_printf(arena, "{'model':'m','messages':[%s]}", messages).ptr);
}

/* A request with these members besides. */
static const struct ir_request *with(const char *members)
{
	return decode(arena_printf(arena,
				   "{'model':'m','messages':[{'role':'user','content':'u'}],%s}",
				   members)
			      .ptr);
}

static void the_parameters_find_their_fields(void **state)
{
	const struct ir_request *r = with(
		"'stream':true,'stream_options':{'include_usage':true,'include_obfuscation':false},"
		"'temperature':1.10,'top_p':0.5,'frequency_penalty':-1,'presence_penalty':2e0,'top_"
		"k':7,"
		"'seed':9007199254740993,'n':2,'logprobs':true,'top_logprobs':3,'store':false,'"
		"user':'me',"
		"'service_tier':'flex','verbosity':'low','prompt_cache_key':'k','safety_identifier'"
		":'s',"
		"'metadata':{'a':'b'},'logit_bias':{'5':-100},'prediction':{'type':'content','"
		"content':'x'},"
		"'modalities':['text'],'audio':{'voice':'v','format':'wav'},'parallel_tool_calls':"
		"false,"
		"'reasoning_effort':'xhigh','web_search_options':{'x':1},'provider':'pin','seed2':"
		"null");

	CHECK_STR(r->model, "m");
	assert_true(r->stream && r->include_usage);
	CHECK_STR(r->temperature, "1.10");
	CHECK_STR(r->top_p, "0.5");
	CHECK_STR(r->frequency_penalty, "-1");
	CHECK_STR(r->presence_penalty, "2e0");
	assert_int_equal(r->top_k, 7);
	assert_true(r->seed == 9007199254740993);
	assert_int_equal(r->n, 2);
	assert_int_equal(r->logprobs, IR_TRUE);
	assert_int_equal(r->top_logprobs, 3);
	assert_int_equal(r->store, IR_FALSE);
	CHECK_STR(r->user, "me");
	CHECK_STR(r->service_tier, "flex");
	CHECK_STR(r->verbosity, "low");
	CHECK_STR(r->prompt_cache_key, "k");
	CHECK_STR(r->safety_identifier, "s");
	CHECK_STR_IS(r->metadata, quotes(arena, "{'a':'b'}"));
	CHECK_STR_IS(r->logit_bias, quotes(arena, "{'5':-100}"));
	CHECK_STR_IS(r->prediction, quotes(arena, "{'type':'content','content':'x'}"));
	CHECK_STR_IS(r->modalities, quotes(arena, "['text']"));
	CHECK_STR_IS(r->audio, quotes(arena, "{'voice':'v','format':'wav'}"));
	assert_int_equal(r->choice.parallel, IR_FALSE);
	assert_int_equal(r->reasoning.effort, IR_EFFORT_XHIGH);
	/* trap 91: what nobody knows is kept; our own pin and nulls are nothing */
	assert_int_equal(r->n_extras, 1);
	CHECK_STR(r->extras[0].name, "web_search_options");
	CHECK_STR_IS(r->extras[0].raw, quotes(arena, "{'x':1}"));
	CHECK_STR(str_from(r->origin), "openai-chat");
	assert_int_equal(r->needs, IR_NEED_STREAM | IR_NEED_REASONING);
}

static void absent_is_told_from_zero(void **state)
{
	const struct ir_request *r =
		with("'temperature':null,'max_tokens':null,'stop':null,'tools':null,'stream':null");

	assert_null(r->temperature.ptr);
	assert_true(r->max_tokens == IR_UNSET && r->seed == IR_UNSET && r->n == IR_UNSET);
	assert_int_equal(r->logprobs, IR_TRI_UNSET);
	assert_int_equal(r->choice.mode, IR_CHOICE_UNSET);
	assert_int_equal(r->n_stop + r->n_tools + r->n_extras + r->needs, 0);
	assert_false(r->stream);
}

static void trap_066_both_names_of_max_tokens_are_read(void **state)
{
	assert_int_equal(with("'max_tokens':5")->max_tokens, 5);
	assert_int_equal(with("'max_completion_tokens':6")->max_tokens, 6);
	assert_int_equal(with("'max_tokens':5,'max_completion_tokens':6")->max_tokens, 6);
	assert_int_equal(with("'max_tokens':5.0")->max_tokens, 5);
}

static void trap_071_stop_is_a_string_or_a_list(void **state)
{
	const struct ir_request *r = with("'stop':'\\nEND'");

	assert_int_equal(r->n_stop, 1);
	CHECK_STR(r->stop[0], "\nEND");
	r = with("'stop':['a','b']");
	assert_int_equal(r->n_stop, 2);
	CHECK_STR(r->stop[1], "b");
}

static void tools_are_read_with_their_schemas_raw(void **state)
{
	const struct ir_request *r = with(
		"'tools':[{'type':'function','function':{'name':'f','description':'d','parameters':"
		"{'type':'object','x':1.10,'a':9007199254740993},'strict':true},"
		"'cache_control':{'type':'ephemeral','ttl':'1h'}},"
		"{'type':'function','function':{'name':'g','description':null,'parameters':null}},"
		"{'type':'custom','custom':{'name':'c','format':{'type':'grammar','grammar':"
		"{'syntax':'lark','definition':'start: A'}}}},{'type':'web_search'}]");

	assert_int_equal(r->n_tools, 4);
	CHECK_STR(r->tools[0].name, "f");
	CHECK_STR_IS(r->tools[0].parameters,
		     quotes(arena, "{'type':'object','x':1.10,'a':9007199254740993}"));
	assert_int_equal(r->tools[0].strict, IR_TRUE);
	assert_int_equal(r->tools[0].cache, IR_CACHE_1H);
	/* trap 80 */
	assert_null(r->tools[1].description.ptr);
	assert_null(r->tools[1].parameters.ptr);
	assert_true(r->tools[2].custom);
	CHECK_STR(r->tools[2].name, "c");
	CHECK_STR_IS(r->tools[2].custom_format,
		     quotes(arena, "{'type':'grammar','syntax':'lark','definition':'start: A'}"));
	assert_true(str_find(r->tools[2].parameters, STR("\"input\"")) > 0);
	assert_null(r->tools[3].name.ptr);
	CHECK_STR_IS(r->tools[3].server_raw, quotes(arena, "{'type':'web_search'}"));
	CHECK_STR(str_from(r->tools[3].origin), "openai-chat");

	/* Of old. */
	r = with("'functions':[{'name':'f','parameters':{}}],'function_call':{'name':'f'}");
	assert_int_equal(r->n_tools, 1);
	CHECK_STR(r->tools[0].name, "f");
	assert_int_equal(r->choice.mode, IR_CHOICE_NAMED);
	CHECK_STR(r->choice.name, "f");
}

static void trap_075_every_tool_choice_is_read(void **state)
{
	assert_int_equal(with("'tool_choice':'auto'")->choice.mode, IR_CHOICE_AUTO);
	assert_int_equal(with("'tool_choice':'none'")->choice.mode, IR_CHOICE_NONE);
	assert_int_equal(with("'tool_choice':'required'")->choice.mode, IR_CHOICE_REQUIRED);
	CHECK_STR(with("'tool_choice':{'type':'function','function':{'name':'f'}}")->choice.name,
		  "f");
	CHECK_STR(with("'tool_choice':{'type':'custom','custom':{'name':'c'}}")->choice.name, "c");
	assert_int_equal(with("'function_call':'none'")->choice.mode, IR_CHOICE_NONE);
}

static void trap_076_allowed_tools_are_read(void **state)
{
	const struct ir_request *r = with(
		"'tool_choice':{'type':'allowed_tools','allowed_tools':{'mode':'required','tools':["
		"{'type':'function','function':{'name':'f'}},{'type':'function','name':'g'}]}}");

	assert_int_equal(r->choice.mode, IR_CHOICE_REQUIRED);
	assert_int_equal(r->choice.n_allowed, 2);
	CHECK_STR(r->choice.allowed[0], "f");
	CHECK_STR(r->choice.allowed[1], "g");
}

static void formats_are_read(void **state)
{
	const struct ir_request *r =
		with("'response_format':{'type':'json_schema','json_schema':{'name':'n',"
		     "'description':'d','schema':{'type':'object'},'strict':true}}");

	assert_int_equal(r->format.kind, IR_FORMAT_JSON_SCHEMA);
	CHECK_STR(r->format.name, "n");
	CHECK_STR_IS(r->format.schema, quotes(arena, "{'type':'object'}"));
	assert_int_equal(r->format.strict, IR_TRUE);
	assert_true(r->needs & IR_NEED_SCHEMA);
	assert_int_equal(with("'response_format':{'type':'json_object'}")->format.kind,
			 IR_FORMAT_JSON_OBJECT);
	assert_int_equal(with("'response_format':{'type':'json_object','schema':{}}")->format.kind,
			 IR_FORMAT_JSON_SCHEMA);
	assert_int_equal(with("'response_format':{'type':'text'}")->format.kind, IR_FORMAT_TEXT);
}

static void reasoning_is_asked_for_in_three_ways(void **state)
{
	const struct ir_request *r = with("'thinking':{'type':'enabled','budget_tokens':2048}");

	assert_int_equal(r->reasoning.thinking, IR_THINKING_ENABLED);
	assert_int_equal(r->reasoning.budget, 2048);
	r = with("'reasoning':{'effort':'low','max_tokens':100}");
	assert_int_equal(r->reasoning.effort, IR_EFFORT_LOW);
	assert_int_equal(r->reasoning.budget, 100);
	assert_int_equal(with("'thinking':{'type':'disabled'}")->reasoning.thinking,
			 IR_THINKING_DISABLED);
	assert_int_equal(with("'reasoning':{'enabled':false}")->reasoning.thinking,
			 IR_THINKING_DISABLED);
}

/* --- messages --- */

static void trap_035_system_and_developer_stay_where_they_stand(void **state)
{
	const struct ir_request *r =
		talk("{'role':'system','content':'s'},{'role':'user','content':'u','name':'bob'},"
		     "{'role':'developer','content':[{'type':'text','text':'d'},"
		     "{'type':'text','text':'e'}]},{'role':'assistant','content':'a'}");

	assert_int_equal(r->n_messages, 4);
	assert_int_equal(r->messages[0].role, IR_ROLE_SYSTEM);
	assert_int_equal(r->messages[1].role, IR_ROLE_USER);
	CHECK_STR(r->messages[1].name, "bob");
	assert_int_equal(r->messages[2].role, IR_ROLE_DEVELOPER); /* trap_036 */
	assert_int_equal(r->messages[2].n_parts, 2);
	CHECK_STR(r->messages[3].parts[0].text, "a");
}

static void trap_052_images_are_urls_or_data(void **state)
{
	const struct ir_part *p =
		talk("{'role':'user','content':[{'type':'image_url','image_url':{'url':"
		     "'data:image/jpeg;base64,QUJD','detail':'low'}},"
		     "{'type':'image_url','image_url':{'url':'https://x/y.png'}},"
		     "{'type':'image_url','image_url':'https://z'}]}")
			->messages[0]
			.parts;

	assert_int_equal(p[0].kind, IR_PART_IMAGE);
	assert_int_equal(p[0].media.source, IR_MEDIA_BASE64);
	CHECK_STR(p[0].media.mime, "image/jpeg");
	CHECK_STR(p[0].media.data, "QUJD");
	CHECK_STR(p[0].media.detail, "low");
	assert_int_equal(p[1].media.source, IR_MEDIA_URL);
	CHECK_STR(p[1].media.data, "https://x/y.png");
	CHECK_STR(p[2].media.data, "https://z");
}

static void trap_054_files_and_audio_are_read(void **state)
{
	const struct ir_request *r = talk(
		"{'role':'user','content':[{'type':'file','file':{'filename':'a.pdf','file_data':"
		"'data:application/pdf;base64,QUJD'}},{'type':'file','file':{'file_id':'f-1'}},"
		"{'type':'file','file':{'file_data':'QUJD'}},"
		"{'type':'input_audio','input_audio':{'data':'QQ==','format':'mp3'}},"
		"{'type':'video_url','video_url':{'url':'v'}}]}");
	const struct ir_part *p = r->messages[0].parts;

	CHECK_STR(p[0].media.name, "a.pdf");
	CHECK_STR(p[0].media.mime, "application/pdf");
	CHECK_STR(p[0].media.data, "QUJD");
	assert_int_equal(p[1].media.source, IR_MEDIA_FILE_ID);
	CHECK_STR(p[1].media.data, "f-1");
	assert_int_equal(p[2].media.source, IR_MEDIA_BASE64);
	assert_int_equal(p[3].kind, IR_PART_AUDIO);
	CHECK_STR(p[3].media.mime, "audio/mp3");
	assert_int_equal(p[4].kind, IR_PART_OPAQUE);
	CHECK_STR_IS(p[4].raw, quotes(arena, "{'type':'video_url','video_url':{'url':'v'}}"));
	assert_int_equal(r->needs, IR_NEED_FILES | IR_NEED_AUDIO);
}

static void trap_093_cache_marks_are_read(void **state)
{
	const struct ir_request *r = talk(
		"{'role':'user','content':[{'type':'text','text':'a','cache_control':"
		"{'type':'ephemeral'}},{'type':'text','text':'b','cache_control':"
		"{'type':'ephemeral','ttl':'5m'}},{'type':'text','text':'c'}]},"
		"{'role':'user','content':'d','cache_control':{'type':'ephemeral','ttl':'1h'}}");

	assert_int_equal(r->messages[0].parts[0].cache, IR_CACHE_DEFAULT);
	assert_int_equal(r->messages[0].parts[1].cache, IR_CACHE_5M);
	assert_int_equal(r->messages[0].parts[2].cache, IR_CACHE_NONE);
	assert_int_equal(r->messages[1].parts[0].cache, IR_CACHE_1H);
}

static void an_assistant_says_calls_and_refuses(void **state)
{
	const struct ir_request *r =
		talk("{'role':'assistant','content':null,'refusal':null,'tool_calls':["
		     "{'id':'a','type':'function','function':{'name':'f','arguments':'{\\'x\\': "
		     "1.10}'}},"
		     "{'id':'b','type':'custom','custom':{'name':'c','input':'i'}}]},"
		     "{'role':'assistant','content':[{'type':'text','text':'t'},"
		     "{'type':'refusal','refusal':'r'}]},{'role':'assistant','refusal':'no'},"
		     "{'role':'assistant','audio':{'id':'au'}}");
	const struct ir_message *m = r->messages;

	assert_int_equal(m[0].n_parts, 2);
	assert_int_equal(m[0].parts[0].kind, IR_PART_TOOL_CALL);
	CHECK_STR_IS(m[0].parts[0].arguments, quotes(arena, "{'x': 1.10}")); /* trap_060 */
	assert_int_equal(m[0].parts[1].kind, IR_PART_TOOL_CALL);
	CHECK_STR(m[0].parts[1].id, "b");
	CHECK_STR_IS(m[0].parts[1].arguments, quotes(arena, "{'input':'i'}"));
	assert_int_equal(m[1].parts[1].kind, IR_PART_REFUSAL);
	CHECK_STR(m[2].parts[0].text, "no");
	CHECK_STR(m[3].parts[0].media.data, "au");
}

static void trap_059_arguments_are_an_object_or_nothing(void **state)
{
	static const char *const none[] = { "''", "null", "' '", "'{}'", "{}" };
	struct ir_request *r;
	struct err err;

	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		CHECK_STR(talk(arena_printf(arena,
					    "{'role':'assistant','tool_calls':[{'id':'a','type':'"
					    "function',"
					    "'function':{'name':'f','arguments':%s}}]}",
					    none[i])
				       .ptr)
				  ->messages[0]
				  .parts[0]
				  .arguments,
			  "{}");
	assert_int_equal(
		chat->decode_request(
			arena, &request_line_plain,
			quotes(arena,
			       "{'model':'m','messages':[{'role':'assistant','tool_calls':[{'id':"
			       "'a','function':{'name':'f','arguments':'[1]'}}]}]}"),
			&r, &err),
		RC_INVALID);
	assert_string_equal(err.param, "messages[0].tool_calls[0].function.arguments");
	/* As langchain's agents send it, and OpenAI takes it. */
	CHECK_STR_IS(talk("{'role':'assistant','tool_calls':[{'id':'a','function':{'name':'f',"
			  "'arguments':'15 * 4'}}]}")
			     ->messages[0]
			     .parts[0]
			     .arguments,
		     quotes(arena, "{'input':'15 * 4'}"));
}

static void trap_039_results_of_a_turn_are_one_message_and_text_joins_behind(void **state)
{
	const struct ir_request *r = talk(
		"{'role':'assistant','tool_calls':[{'id':'a','type':'function','function':"
		"{'name':'f','arguments':'{}'}},{'id':'b','type':'function','function':"
		"{'name':'g','arguments':'{}'}}]},{'role':'tool','tool_call_id':'a','content':'1'},"
		"{'role':'tool','tool_call_id':'b','content':[{'type':'text','text':'2'},"
		"{'type':'text','text':'3'}]},{'role':'user','content':'go on'},"
		"{'role':'user','content':'please'}");
	const struct ir_message *m = &r->messages[1];

	assert_int_equal(r->n_messages, 3);
	assert_int_equal(m->role, IR_ROLE_USER);
	assert_int_equal(m->n_parts, 3);
	assert_int_equal(m->parts[0].kind, IR_PART_TOOL_RESULT);
	CHECK_STR(m->parts[0].id, "a");
	CHECK_STR(m->parts[0].name, "f"); /* trap_057 */
	assert_int_equal(m->parts[1].n_content, 2);
	CHECK_STR(m->parts[1].name, "g");
	CHECK_STR(m->parts[2].text, "go on");
	CHECK_STR(r->messages[2].parts[0].text, "please");
}

static void calls_of_old_find_their_results(void **state)
{
	const struct ir_request *r = talk(
		"{'role':'assistant','content':null,'function_call':{'name':'f','arguments':'{}'}},"
		"{'role':'function','name':'f','content':'1'}");

	CHECK_STR_IS(r->messages[1].parts[0].id, r->messages[0].parts[0].id);
	assert_true(r->messages[0].parts[0].id.len > 0);
	CHECK_STR(r->messages[1].parts[0].name, "f");
}

static void trap_049_reasoning_is_read_by_every_name(void **state)
{
	const struct ir_part *p =
		talk("{'role':'assistant','content':'t','reasoning_content':'hm'}")
			->messages[0]
			.parts;

	assert_int_equal(p[0].kind, IR_PART_REASONING);
	CHECK_STR(p[0].text, "hm");
	CHECK_STR(str_from(p[0].origin), "openai-chat");
	assert_int_equal(p[1].kind, IR_PART_TEXT);
	CHECK_STR(talk("{'role':'assistant','content':'t','reasoning':'hm'}")
			  ->messages[0]
			  .parts[0]
			  .text,
		  "hm");
}

static void trap_046_signatures_come_back_from_the_details(void **state)
{
	const struct ir_message *m = talk("{'role':'assistant','content':'t','reasoning_content':'"
					  "ab','reasoning_details':["
					  "{'type':'reasoning.text','text':'a','format':'anthropic-"
					  "claude-v1','index':0},"
					  "{'type':'reasoning.text','text':'b','index':0},{'type':'"
					  "reasoning.text','text':'c','index':0},"
					  "{'type':'reasoning.text','signature':'SIG','index':0},"
					  "{'type':'reasoning.encrypted','data':'ENC','format':'"
					  "anthropic-claude-v1','index':1},"
					  "{'type':'reasoning.text','text':'','signature':'S2','"
					  "format':'anthropic-claude-v1','index':2},"
					  "{'type':'reasoning.summary','summary':'sum','format':'"
					  "openai-responses-v1'},{'type':'other'}]}")
					     ->messages;

	assert_int_equal(m->n_parts, 5);
	CHECK_STR(m->parts[0].text, "abc"); /* pieces of a stream join */
	CHECK_STR(m->parts[0].signature, "SIG");
	CHECK_STR(str_from(m->parts[0].origin), "anthropic-messages");
	CHECK_STR(m->parts[1].redacted, "ENC");
	CHECK_STR(m->parts[2].text, ""); /* trap_048 */
	CHECK_STR(m->parts[2].signature, "S2");
	CHECK_STR(m->parts[3].text, "sum");
	assert_int_equal(m->parts[4].kind, IR_PART_TEXT);
}

/* As streams of ours have an item: its content has an index of its own, and is that of the summary before all the same. */
static void trap_050_an_items_summary_and_content_are_one(void **state)
{
	const struct ir_message *m =
		talk("{'role':'assistant','content':'t','reasoning_details':["
		     "{'type':'reasoning.summary','summary':'h','format':'"
		     "openai-responses-v1','index':0},"
		     "{'type':'reasoning.summary','summary':'m','index':0},"
		     "{'type':'reasoning.encrypted','data':'BLOB','id':'rs_x','"
		     "format':'openai-responses-v1','index':1},"
		     "{'type':'reasoning.encrypted','data':'MORE','id':'rs_y','"
		     "format':'openai-responses-v1','index':2}]}")
			->messages;

	assert_int_equal(m->n_parts, 3);
	CHECK_STR(m->parts[0].text, "hm");
	CHECK_STR(m->parts[0].signature, "rs_x:BLOB");
	CHECK_STR(str_from(m->parts[0].origin), "openai-responses");
	CHECK_STR(m->parts[1].text, "");
	CHECK_STR(m->parts[1].signature, "rs_y:MORE");
}

/* --- mistakes --- */

static const struct {
	const char *body, *param;
} bad[] = {
	{ "{'messages':[]}", "model" },
	{ "{'model':'','messages':[]}", "model" },
	{ "{'model':5,'messages':[]}", "model" },
	{ "{'model':'m'}", "messages" },
	{ "{'model':'m','messages':[]}", "messages" },
	{ "{'model':'m','messages':'x'}", "messages" },
	{ "{'model':'m','messages':[5]}", "messages[0]" },
	{ "{'model':'m','messages':[{}]}", "messages[0].role" },
	{ "{'model':'m','messages':[{'role':'x'}]}", "messages[0].role" },
	{ "{'model':'m','messages':[{'role':'user'}]}", "messages[0].content" },
	{ "{'model':'m','messages':[{'role':'user','content':'a'},{'role':'user','content':7}]}",
	  "messages[1].content" },
	{ "{'model':'m','messages':[{'role':'user','content':[{'type':'text'}]}]}",
	  "messages[0].content[0].text" },
	{ "{'model':'m','messages':[{'role':'user','content':[{'text':'x'}]}]}",
	  "messages[0].content[0].type" },
	{ "{'model':'m','messages':[{'role':'user','content':['x']}]}", "messages[0].content[0]" },
	{ "{'model':'m','messages':[{'role':'user','content':[{'type':'image_url'}]}]}",
	  "messages[0].content[0].image_url.url" },
	{ "{'model':'m','messages':[{'role':'user','content':[{'type':'file','file':{}}]}]}",
	  "messages[0].content[0].file" },
	{ "{'model':'m','messages':[{'role':'tool','content':'x'}]}", "messages[0].tool_call_id" },
	{ "{'model':'m','messages':[{'role':'assistant','tool_calls':{}}]}",
	  "messages[0].tool_calls" },
	{ "{'model':'m','messages':[{'role':'assistant','tool_calls':[{'id':'a','function':{}}]}]}",
	  "messages[0].tool_calls[0].function.name" },
};

static const struct {
	const char *members, *param;
} bad_members[] = {
	{ "'temperature':'1'", "temperature" },
	{ "'max_tokens':'5'", "max_tokens" },
	{ "'max_completion_tokens':5.5", "max_completion_tokens" },
	{ "'stream':'true'", "stream" },
	{ "'stop':5", "stop" },
	{ "'stop':['a',5]", "stop[1]" },
	{ "'tools':{}", "tools" },
	{ "'tools':[{'fn':{}}]", "tools[0].type" },
	{ "'tools':[{'function':{}}]", "tools[0].function.name" },
	{ "'tools':[{'type':'function'}]", "tools[0].function" },
	{ "'tools':[{'type':'function','function':{}}]", "tools[0].function.name" },
	{ "'tools':[{'type':'function','function':{'name':'f','parameters':[]}}]",
	  "tools[0].function.parameters" },
	{ "'tool_choice':'maybe'", "tool_choice" },
	{ "'tool_choice':{'type':'function'}", "tool_choice" },
	{ "'tool_choice':{'type':'allowed_tools','allowed_tools':{'mode':'x'}}",
	  "tool_choice.allowed_tools" },
	{ "'parallel_tool_calls':'no'", "parallel_tool_calls" },
	{ "'response_format':'json'", "response_format" },
	{ "'response_format':{'type':'xml'}", "response_format.type" },
	{ "'response_format':{'type':'json_schema'}", "response_format.json_schema" },
	{ "'reasoning_effort':'huge'", "reasoning_effort" },
	{ "'logit_bias':[]", "logit_bias" },
	{ "'n':'2'", "n" },
	{ "'user':7", "user" },
	{ "'stream_options':true", "stream_options" },
};

static void check_bad(struct str body, const char *param)
{
	struct ir_request *r = NULL;
	struct err err = { .msg = "", .param = "" };
	int rc = chat->decode_request(arena, &request_line_plain, body, &r, &err);

	if (rc != RC_INVALID || strcmp(err.param, param) != 0)
		fail_msg("%.*s: rc %d, '%s' and not '%s': %s", STR_ARG(body), rc, err.param, param,
			 err.msg);
	assert_true(err.msg[0]);
}

static void a_mistake_is_told_with_its_place(void **state)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		check_bad(quotes(arena, bad[i].body), bad[i].param);
	for (size_t i = 0; i < sizeof(bad_members) / sizeof(*bad_members); i++) {
		struct str body =
			arena_printf(arena,
				     "{'model':'m','messages':[{'role':'user','content':'u'}],%s}",
				     bad_members[i].members);

		check_bad(quotes(arena, body.ptr), bad_members[i].param);
	}
}

static void what_is_no_json_is_a_syntax_error(void **state)
{
	static const char *const broken[] = { "", "{", "{'model':'m','messages':[],}", "nul" };
	struct ir_request *r;
	struct err err;

	for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++)
		assert_int_equal(chat->decode_request(arena, &request_line_plain,
						      quotes(arena, broken[i]), &r, &err),
				 RC_SYNTAX);
	assert_int_equal(chat->decode_request(arena, &request_line_plain, STR("[]"), &r, &err),
			 RC_INVALID);
}

static void a_million_results_do_not_take_a_minute(void **state)
{
	struct arena *a = arena_new(1 << 30);
	struct ir_request *r;
	struct err err;
	struct buf b;

	buf_init(&b, 64 << 20);
	buf_puts(&b, "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[");
	for (unsigned i = 0; i < 30000; i++)
		buf_printf(&b, "%s{\"id\":\"a%u\",\"function\":{\"name\":\"f\"}}", i ? "," : "", i);
	buf_puts(&b, "]}");
	for (unsigned i = 0; i < 100000; i++)
		buf_printf(&b, ",{\"role\":\"tool\",\"tool_call_id\":\"x%u\",\"content\":\"\"}", i);
	buf_puts(&b, "]}");
	assert_int_equal(chat->decode_request(a, &request_line_plain, buf_str(&b), &r, &err), 0);
	assert_int_equal(r->messages[1].n_parts, 100000);
	buf_done(&b);
	arena_free(a);
}

static void memory_that_runs_out_is_told(void **state)
{
	struct str body = quotes(
		arena,
		"{'model':'m','messages':[{'role':'user','content':[{'type':'text','text':'a'},"
		"{'type':'text','text':'b'}]},{'role':'tool','tool_call_id':'a','content':'b'}],"
		"'tools':[{'type':'function','function':{'name':'f','parameters':{}}}],'x':{}}");
	bool done = false;

	for (size_t cap = 64; !done; cap += 64) {
		struct arena *a = arena_new(cap);
		struct ir_request *r;
		struct err err;
		int rc = chat->decode_request(a, &request_line_plain, body, &r, &err);

		done = rc == RC_OK;
		assert_true(done || rc == RC_NOMEM);
		assert_true(cap < 1 << 20);
		arena_free(a);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(trap_050_an_items_summary_and_content_are_one),
		TEST(the_parameters_find_their_fields),
		TEST(absent_is_told_from_zero),
		TEST(trap_066_both_names_of_max_tokens_are_read),
		TEST(trap_071_stop_is_a_string_or_a_list),
		TEST(tools_are_read_with_their_schemas_raw),
		TEST(trap_075_every_tool_choice_is_read),
		TEST(trap_076_allowed_tools_are_read),
		TEST(formats_are_read),
		TEST(reasoning_is_asked_for_in_three_ways),
		TEST(trap_035_system_and_developer_stay_where_they_stand),
		TEST(trap_052_images_are_urls_or_data),
		TEST(trap_054_files_and_audio_are_read),
		TEST(trap_093_cache_marks_are_read),
		TEST(an_assistant_says_calls_and_refuses),
		TEST(trap_059_arguments_are_an_object_or_nothing),
		TEST(trap_039_results_of_a_turn_are_one_message_and_text_joins_behind),
		TEST(calls_of_old_find_their_results),
		TEST(trap_049_reasoning_is_read_by_every_name),
		TEST(trap_046_signatures_come_back_from_the_details),
		TEST(a_mistake_is_told_with_its_place),
		TEST(what_is_no_json_is_a_syntax_error),
		TEST(a_million_results_do_not_take_a_minute),
		TEST(memory_that_runs_out_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
