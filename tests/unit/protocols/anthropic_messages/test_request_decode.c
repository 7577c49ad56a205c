/* tests/unit/protocols/anthropic_messages/test_request_decode.c - mirrors request_decode.c and
 * request_blocks.c. Rule under test: what a client asked is found in the canonical request, unknown
 * things stay whole or become extras, and a wrong type is refused in the vendor's words with the
 * place where it stands. */
#include "protocols/anthropic_messages/transcript.h"

static struct arena *arena;

static int make_arena(void **state)
{
	arena = arena_new(64 << 20);
	return arena ? 0 : -1;
}

static int end_arena(void **state)
{
	arena = arena_free(arena);
	return 0;
}

static struct ir_request *decode(const char *body)
{
	struct ir_request *r = NULL;
	struct err e = { 0 };
	int rc = am->decode_request(arena, &request_line_plain, str_from(body), &r, &e);

	if (rc)
		print_error("%s\n", e.msg);
	assert_int_equal(rc, 0);
	return r;
}

/* A body whose members beside model and messages are `members`. */
static struct ir_request *decode_with(const char *members)
{
	return decode(
		arena_printf(
			arena,
			"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],%s}",
			members)
			.ptr);
}

static void plain_parameters(void **state)
{
	struct ir_request *r = decode_with(
		"\"max_tokens\":100,\"stream\":true,\"temperature\":0.70,\"top_p\":1,\"top_k\":5,"
		"\"stop_sequences\":[\"a\",\" b\"],\"service_tier\":\"standard_only\","
		"\"metadata\":{\"user_id\":\"u\"},\"cache_control\":{\"type\":\"ephemeral\","
		"\"ttl\":\"1h\"}");

	CHECK_STR(r->model, "m");
	assert_string_equal(r->origin, "anthropic-messages");
	assert_true(r->stream && r->include_usage);
	assert_int_equal(r->max_tokens, 100);
	CHECK_STR(r->temperature, "0.70");
	CHECK_STR(r->top_p, "1");
	assert_int_equal(r->top_k, 5);
	assert_int_equal(r->n_stop, 2);
	CHECK_STR(r->stop[1], " b");
	CHECK_STR(r->service_tier, "standard_only");
	CHECK_STR(r->user, "u");
	assert_int_equal(r->cache, IR_CACHE_1H);
	assert_int_equal(r->n_extras, 0);
	assert_true(r->needs & IR_NEED_STREAM);
	r = decode_with("\"temperature\":null,\"provider\":\"pin\"");
	assert_false(str_present(r->temperature));
	assert_int_equal(r->max_tokens, IR_UNSET);
	assert_int_equal(r->n_extras, 0);
}

static void trap_091_unknown_members_become_extras(void **state)
{
	struct ir_request *r =
		decode_with("\"context_management\":{\"edits\":[]},\"mcp_servers\":[1.50],"
			    "\"output_config\":{\"effort\":\"high\",\"task_budget\":{\"total\":1}},"
			    "\"metadata\":{\"team\":\"x\"},"
			    "\"tools\":[{\"name\":\"f\",\"input_schema\":{},\"defer_loading\":true,"
			    "\"new\":false}]");
	static const char *const names[] = { "context_management", "mcp_servers",
					     "output_config.task_budget", "metadata.team",
					     "tools.defer_loading" };

	assert_int_equal(r->n_extras, 5);
	for (unsigned i = 0; i < 5; i++)
		CHECK_STR_IS(r->extras[i].name, str_from(names[i]));
	CHECK_STR(r->extras[1].raw, "[1.50]");
	assert_int_equal(r->reasoning.effort, IR_EFFORT_HIGH);
}

static void trap_035_and_trap_037_system_stands_first_and_in_its_place(void **state)
{
	struct ir_request *r = decode(
		"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"},"
		"{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"mid\"},"
		"{\"type\":\"tool_addition\",\"tool\":{}}]},{\"role\":\"assistant\",\"content\":"
		"\"y\"}],"
		"\"system\":[{\"type\":\"text\",\"text\":\"top\",\"cache_control\":{\"type\":"
		"\"ephemeral\"}}]}");

	assert_int_equal(r->n_messages, 4);
	assert_int_equal(r->messages[0].role, IR_ROLE_SYSTEM);
	CHECK_STR(r->messages[0].parts[0].text, "top");
	assert_int_equal(r->messages[0].parts[0].cache, IR_CACHE_DEFAULT);
	assert_int_equal(r->messages[2].role, IR_ROLE_SYSTEM);
	CHECK_STR(r->messages[2].parts[0].text, "mid");
	assert_int_equal(r->messages[2].parts[1].kind, IR_PART_OPAQUE);
	assert_int_equal(r->messages[3].role, IR_ROLE_ASSISTANT);
	r = decode_with("\"system\":\"top\"");
	CHECK_STR(r->messages[0].parts[0].text, "top");
	r = decode_with("\"system\":\"\"");
	assert_int_equal(r->n_messages, 1);
}

/* The parts of one message with this content. */
static struct ir_part *parts(const char *role, const char *content, unsigned n)
{
	struct ir_request *r = decode(
		arena_printf(arena,
			     "{\"model\":\"m\",\"messages\":[{\"role\":\"%s\",\"content\":%s}]}",
			     role, content)
			.ptr);

	assert_int_equal(r->messages[0].n_parts, n);
	return r->messages[0].parts;
}

static void trap_052_images_of_every_source(void **state)
{
	struct ir_part *p =
		parts("user",
		      "[{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/"
		      "png\",\"data\":\"aGk=\"}},"
		      "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://"
		      "a.example/b\"}},"
		      "{\"type\":\"image\",\"source\":{\"type\":\"file\",\"file_id\":\"file_1\"}},"
		      "{\"type\":\"image\",\"source\":{\"type\":\"hologram\"}}]",
		      4);

	assert_int_equal(p[0].media.source, IR_MEDIA_BASE64);
	CHECK_STR(p[0].media.mime, "image/png");
	CHECK_STR(p[0].media.data, "aGk=");
	assert_int_equal(p[1].media.source, IR_MEDIA_URL);
	CHECK_STR(p[1].media.data, "https://a.example/b");
	assert_int_equal(p[2].media.source, IR_MEDIA_FILE_ID);
	assert_int_equal(p[3].kind, IR_PART_OPAQUE);
	CHECK_STR(p[3].raw, "{\"type\":\"image\",\"source\":{\"type\":\"hologram\"}}");
}

static void trap_054_documents_of_every_source(void **state)
{
	struct ir_part *p = parts("user",
				  "[{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_"
				  "type\":\"application/pdf\","
				  "\"data\":\"JVBERi0=\"},\"title\":\"T\",\"context\":\"C\","
				  "\"citations\":{\"enabled\":true}},"
				  "{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_"
				  "type\":\"text/plain\",\"data\":\"d\"}},"
				  "{\"type\":\"document\",\"source\":{\"type\":\"content\","
				  "\"content\":[{\"type\":\"text\",\"text\":"
				  "\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}},"
				  "{\"type\":\"document\",\"source\":{\"type\":\"content\","
				  "\"content\":[{\"type\":\"image\"}]}},"
				  "{\"type\":\"search_result\",\"source\":\"https://"
				  "s.example\",\"title\":\"S\",\"content\":["
				  "{\"type\":\"text\",\"text\":\"found\"}]}]",
				  5);

	assert_int_equal(p[0].kind, IR_PART_FILE);
	CHECK_STR(p[0].media.name, "T");
	CHECK_STR(p[0].media.context, "C");
	CHECK_STR(p[0].citations, "{\"enabled\":true}");
	assert_int_equal(p[1].media.source, IR_MEDIA_TEXT);
	CHECK_STR(p[1].media.data, "d");
	CHECK_STR(p[2].media.data, "a\n\nb");
	assert_int_equal(p[3].kind, IR_PART_OPAQUE);
	assert_int_equal(p[4].kind, IR_PART_FILE);
	CHECK_STR(p[4].media.name, "S");
	CHECK_STR(p[4].media.context, "https://s.example");
	CHECK_STR(p[4].media.data, "found");
}

static void trap_060_tool_input_stays_raw(void **state)
{
	struct ir_part *p =
		parts("assistant",
		      "[{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":"
		      "{\"z\":9007199254740993,\"a\":1.10}}]",
		      1);

	assert_int_equal(p->kind, IR_PART_TOOL_CALL);
	CHECK_STR(p->id, "toolu_1");
	CHECK_STR(p->name, "f");
	CHECK_STR(p->arguments, "{\"z\":9007199254740993,\"a\":1.10}");
}

static void trap_041_and_trap_042_results_keep_their_flag_and_their_blocks(void **state)
{
	struct ir_part *p = parts("user",
				  "[{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":"
				  "\"ok\",\"is_error\":true},"
				  "{\"type\":\"tool_result\",\"tool_use_id\":\"u\"},"
				  "{\"type\":\"tool_result\",\"tool_use_id\":\"v\",\"content\":[{"
				  "\"type\":\"image\",\"source\":"
				  "{\"type\":\"url\",\"url\":\"https://"
				  "a\"}},{\"type\":\"tool_reference\",\"tool_name\":\"x\"},"
				  "{\"type\":\"tool_result\",\"tool_use_id\":\"w\"}],\"cache_"
				  "control\":{\"type\":\"ephemeral\"}}]",
				  3);

	assert_true(p[0].is_error);
	CHECK_STR(p[0].content[0].text, "ok");
	assert_int_equal(p[1].n_content, 0);
	assert_false(p[1].is_error);
	assert_int_equal(p[2].content[0].kind, IR_PART_IMAGE);
	/* Claude Code's search for tools: every model has to learn what it found. */
	assert_int_equal(p[2].content[1].kind, IR_PART_TEXT);
	CHECK_STR(p[2].content[1].text, "The tool x can be called now.");
	assert_int_equal(p[2].content[2].kind, IR_PART_OPAQUE);
	assert_int_equal(p[2].cache, IR_CACHE_DEFAULT);
}

static void trap_047_and_trap_048_only_signed_thinking_is_ours(void **state)
{
	struct ir_part *p =
		parts("assistant",
		      "[{\"type\":\"thinking\",\"thinking\":\"a\",\"signature\":\"c2ln\"},"
		      "{\"type\":\"thinking\",\"thinking\":\"b\",\"signature\":\"\"},"
		      "{\"type\":\"redacted_thinking\",\"data\":\"b3A=\"},"
		      "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"c2ln\"}]",
		      4);

	assert_string_equal(p[0].origin, "anthropic-messages");
	CHECK_STR(p[0].signature, "c2ln");
	assert_null(p[1].origin);
	assert_string_equal(p[2].origin, "anthropic-messages");
	CHECK_STR(p[2].redacted, "b3A=");
	assert_string_equal(p[3].origin, "anthropic-messages");
}

static void trap_094_server_tools_and_their_blocks_are_opaque(void **state)
{
	struct ir_request *r = decode_with(
		"\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\",\"max_uses\":"
		"3},"
		"{\"type\":\"custom\",\"name\":\"f\",\"description\":\"d\",\"input_schema\":"
		"{\"type\":\"object\"},\"strict\":true,\"cache_control\":{\"type\":\"ephemeral\"}}"
		"]");
	struct ir_part *p;

	assert_false(str_present(r->tools[0].name));
	CHECK_STR(r->tools[0].server_raw,
		  "{\"type\":\"web_search_20250305\",\"name\":\"web_search\",\"max_uses\":3}");
	assert_string_equal(r->tools[0].origin, "anthropic-messages");
	CHECK_STR(r->tools[1].name, "f");
	CHECK_STR(r->tools[1].parameters, "{\"type\":\"object\"}");
	assert_int_equal(r->tools[1].strict, IR_TRUE);
	assert_int_equal(r->tools[1].cache, IR_CACHE_DEFAULT);
	p = parts("assistant",
		  "[{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"w\",\"input\":{},\"cache_"
		  "control\":"
		  "{\"type\":\"ephemeral\"}}]",
		  1);
	assert_int_equal(p->kind, IR_PART_OPAQUE);
	assert_string_equal(p->origin, "anthropic-messages");
}

static void trap_075_and_trap_077_tool_choice(void **state)
{
	struct ir_request *r = decode_with(
		"\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true}");

	assert_int_equal(r->choice.mode, IR_CHOICE_REQUIRED);
	assert_int_equal(r->choice.parallel, IR_FALSE);
	r = decode_with("\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}");
	assert_int_equal(r->choice.mode, IR_CHOICE_NAMED);
	CHECK_STR(r->choice.name, "f");
	assert_int_equal(r->choice.parallel, IR_TRI_UNSET);
	assert_int_equal(decode_with("\"tool_choice\":{\"type\":\"none\"}")->choice.mode,
			 IR_CHOICE_NONE);
	assert_int_equal(decode_with("\"tool_choice\":{\"type\":\"auto\"}")->choice.mode,
			 IR_CHOICE_AUTO);
}

static void trap_084_and_trap_081_thinking_effort_and_format(void **state)
{
	struct ir_request *r = decode_with("\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":"
					   "2048,\"display\":\"omitted\"},"
					   "\"output_config\":{\"format\":{\"type\":\"json_"
					   "schema\",\"schema\":{\"type\":\"object\"}}}");

	assert_int_equal(r->reasoning.thinking, IR_THINKING_ENABLED);
	assert_int_equal(r->reasoning.budget, 2048);
	CHECK_STR(r->reasoning.display, "omitted");
	assert_int_equal(r->format.kind, IR_FORMAT_JSON_SCHEMA);
	CHECK_STR(r->format.schema, "{\"type\":\"object\"}");
	assert_true(r->needs & IR_NEED_SCHEMA);
	assert_true(r->needs & IR_NEED_REASONING);
	assert_int_equal(decode_with("\"thinking\":{\"type\":\"adaptive\"}")->reasoning.thinking,
			 IR_THINKING_ADAPTIVE);
	assert_int_equal(decode_with("\"thinking\":{\"type\":\"disabled\"}")->reasoning.thinking,
			 IR_THINKING_DISABLED);
	r = decode_with("\"output_format\":{\"type\":\"json_schema\",\"schema\":{\"a\":1}}");
	CHECK_STR(r->format.schema, "{\"a\":1}");
}

static void trap_061_ids_we_made_valid_are_read_back(void **state)
{
	struct ir_part *p = parts(
		"assistant",
		"[{\"type\":\"tool_use\",\"id\":\"gwx_call_2f1_5fa\",\"name\":\"f\",\"input\":{}},"
		"{\"type\":\"tool_use\",\"id\":\"gwx_not_ours\",\"name\":\"f\",\"input\":{}},"
		"{\"type\":\"tool_use\",\"id\":\"gwx__ff\",\"name\":\"f\",\"input\":{}}]",
		3);

	CHECK_STR(p[0].id, "call/1_a");
	CHECK_STR(p[1].id, "gwx_not_ours");
	CHECK_STR(p[2].id, "gwx__ff");
}

static void duplicate_members_do_no_harm(void **state)
{
	struct ir_request *r = decode_with("\"tools\":[{\"name\":\"a\",\"input_schema\":{}},{"
					   "\"name\":\"b\",\"input_schema\":{}}],"
					   "\"tools\":[{\"name\":\"c\",\"input_schema\":{}}]");

	assert_int_equal(r->n_tools, 1);
	CHECK_STR(r->tools[0].name, "c");
}

static void refusals_name_the_place(void **state)
{
	static const struct {
		const char *body, *param, *message;
	} rows[] = {
		{ "[]", "", "The request body should be a JSON object, not array" },
		{ "{\"messages\":[]}", "model", "model: Field required" },
		{ "{\"model\":1}", "model", "model: Input should be a valid string" },
		{ "{\"model\":\"m\"}", "messages", "messages: Field required" },
		{ "{\"model\":\"m\",\"messages\":{}}", "messages",
		  "messages: Input should be a valid list" },
		{ "{\"model\":\"m\",\"messages\":[]}", "messages",
		  "messages: at least one message is required" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":"
		  "\"user\",\"content\":5}]}",
		  "messages.1.content",
		  "messages.1.content: Input should be a valid string or list" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}", "messages.0.content",
		  "messages.0.content: Field required" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"content\":\"\"}]}",
		  "messages.0.role",
		  "messages.0.role: Input should be 'user', 'assistant' or 'system'" },
		{ "{\"model\":\"m\",\"messages\":[5]}", "messages.0",
		  "messages.0: Input should be a valid dictionary" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
		  "\"text\"}]}]}",
		  "messages.0.content.0.text", "messages.0.content.0.text: Field required" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"a\"}]"
		  "}]}",
		  "messages.0.content.0.type", "messages.0.content.0.type: Field required" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":"
		  "\"tool_use\",\"id\":\"a\","
		  "\"name\":\"b\",\"input\":\"{}\"}]}]}",
		  "messages.0.content.0.input",
		  "messages.0.content.0.input: Input should be a valid dictionary" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":"
		  "\"tool_result\",\"tool_use_id\":\"a\"}]}]}",
		  "messages.0.content.0",
		  "messages.0.content.0: `tool_result` blocks can only be in `user` messages" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
		  "\"tool_use\",\"id\":\"a\",\"name\":\"b\",\"input\":{}}]}]}",
		  "messages.0.content.0",
		  "messages.0.content.0: `tool_use` blocks can only be in `assistant` messages" },
		{ "{\"model\":\"m\",\"max_tokens\":\"5\"}", "max_tokens",
		  "max_tokens: Input should be a valid integer" },
		{ "{\"model\":\"m\",\"max_tokens\":-1}", "max_tokens",
		  "max_tokens: Input should be greater than or equal to 0" },
		{ "{\"model\":\"m\",\"temperature\":\"hot\"}", "temperature",
		  "temperature: Input should be a valid number" },
		{ "{\"model\":\"m\",\"stop_sequences\":\"x\"}", "stop_sequences",
		  "stop_sequences: Input should be a valid list" },
		{ "{\"model\":\"m\",\"stop_sequences\":[\"a\",1]}", "stop_sequences.1",
		  "stop_sequences.1: Input should be a valid string" },
		{ "{\"model\":\"m\",\"tools\":[{\"name\":\"f\"}]}", "tools.0.input_schema",
		  "tools.0.input_schema: Field required" },
		{ "{\"model\":\"m\",\"tools\":[{\"input_schema\":{}}]}", "tools.0.name",
		  "tools.0.name: Field required" },
		{ "{\"model\":\"m\",\"tool_choice\":{\"type\":\"tool\"}}", "tool_choice.name",
		  "tool_choice.name: Field required" },
		{ "{\"model\":\"m\",\"tool_choice\":\"auto\"}", "tool_choice.type",
		  "tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'" },
		{ "{\"model\":\"m\",\"thinking\":{\"type\":\"enabled\"}}", "thinking.budget_tokens",
		  "thinking.budget_tokens: Field required" },
		{ "{\"model\":\"m\",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"2d\"},"
		  "\"messages\":[]}",
		  "cache_control", "cache_control: ttl should be '5m' or '1h'" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ir_request *r;
		struct err e = { 0 };

		assert_int_equal(am->decode_request(arena, &request_line_plain,
						    str_from(rows[i].body), &r, &e),
				 RC_INVALID);
		assert_string_equal(e.msg, rows[i].message);
		assert_string_equal(e.param, rows[i].param);
	}
}

static void trap_065_bytes_that_are_no_json_are_refused(void **state)
{
	static const struct str bad[] = { STR_INIT(""), STR_INIT("{"),
					  STR_INIT("{\"model\":\"\\ud800\"}"),
					  STR_INIT("{\"model\":\"\xff\"}"),
					  STR_INIT("{\"a\":1,}") };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ir_request *r;
		struct err e = { 0 };

		assert_int_equal(am->decode_request(arena, &request_line_plain, bad[i], &r, &e),
				 RC_SYNTAX);
		assert_true(e.msg[0] != '\0');
	}
}

static void trap_067_max_tokens_is_required_to_generate_only(void **state)
{
	struct err e = { 0 };
	struct ir_request *r = decode_with("\"max_tokens\":0"); /* fills a cache, answers nothing */

	assert_int_equal(am->check_generate(r, &e), 0);
	r->max_tokens = IR_UNSET;
	assert_int_equal(am->check_generate(r, &e), RC_INVALID);
	assert_string_equal(e.msg, "max_tokens: Field required");
	assert_string_equal(e.param, "max_tokens");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_parameters),
		cmocka_unit_test(trap_091_unknown_members_become_extras),
		cmocka_unit_test(trap_035_and_trap_037_system_stands_first_and_in_its_place),
		cmocka_unit_test(trap_052_images_of_every_source),
		cmocka_unit_test(trap_054_documents_of_every_source),
		cmocka_unit_test(trap_060_tool_input_stays_raw),
		cmocka_unit_test(trap_041_and_trap_042_results_keep_their_flag_and_their_blocks),
		cmocka_unit_test(trap_047_and_trap_048_only_signed_thinking_is_ours),
		cmocka_unit_test(trap_094_server_tools_and_their_blocks_are_opaque),
		cmocka_unit_test(trap_075_and_trap_077_tool_choice),
		cmocka_unit_test(trap_084_and_trap_081_thinking_effort_and_format),
		cmocka_unit_test(trap_061_ids_we_made_valid_are_read_back),
		cmocka_unit_test(duplicate_members_do_no_harm),
		cmocka_unit_test(refusals_name_the_place),
		cmocka_unit_test(trap_065_bytes_that_are_no_json_are_refused),
		cmocka_unit_test(trap_067_max_tokens_is_required_to_generate_only),
	};

	return cmocka_run_group_tests(tests, make_arena, end_arena);
}
