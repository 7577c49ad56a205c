/* tests/unit/protocols/anthropic_messages/test_request_encode.c - mirrors request_encode.c,
 * request_turns.c, request_parts.c. Rule under test: the vendor accepts what is written, nothing is
 * lost unsaid, and what the vendor's own client asked comes out as it went in. */
#include "protocols/anthropic_messages/transcript.h"

#include "base/base64.h"

static struct arena *arena;

static int make_arena(void **state)
{
	arena = arena_new(256 << 20);
	return arena ? 0 : -1;
}

static int end_arena(void **state)
{
	arena = arena_free(arena);
	return 0;
}

static struct request_target plain_target(void)
{
	return (struct request_target){
		.model = STR("claude-x"),
		.default_max_tokens = 8192,
		.budget = { [IR_EFFORT_MINIMAL] = 1024,
			    [IR_EFFORT_LOW] = 2048,
			    [IR_EFFORT_MEDIUM] = 8192,
			    [IR_EFFORT_HIGH] = 16384,
			    [IR_EFFORT_XHIGH] = 32768 },
	};
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

/* The same, as if a client of another protocol had asked it. */
static struct ir_request *foreign(const char *body)
{
	struct ir_request *r = decode(body);

	r->origin = "openai-chat";
	return r;
}

static struct ir_request *foreign_with(const char *members)
{
	return foreign(arena_printf(arena,
				    "{\"model\":\"m\",\"max_tokens\":100,\"messages\":[{\"role\":"
				    "\"user\",\"content\":\"x\"}]%s}",
				    members)
			       .ptr);
}

static void expect(const struct ir_request *r, const struct request_target *target,
		   const char *want, const char *losses)
{
	struct request_target plain = plain_target();
	struct ir_losses l;
	struct err e = { 0 };
	struct buf out;
	int rc;

	buf_init(&out, 256 << 20);
	ir_losses_init(&l, arena);
	rc = am->encode_request(arena, r, target ? target : &plain, &out, &l, &e);
	if (rc)
		print_error("%s\n", e.msg);
	assert_int_equal(rc, 0);
	CHECK_STR_IS(buf_str(&out), str_from(want));
	CHECK_STR_IS(ir_losses_text(&l), losses ? str_from(losses) : STR_NONE);
	buf_done(&out);
}

static void expect_refused(const struct ir_request *r, int want_rc, const char *param,
			   const char *message)
{
	struct request_target plain = plain_target();
	struct ir_losses l;
	struct err e = { 0 };
	struct buf out;

	buf_init(&out, 1 << 20);
	ir_losses_init(&l, arena);
	assert_int_equal(am->encode_request(arena, r, &plain, &out, &l, &e), want_rc);
	assert_string_equal(e.param, param);
	if (message)
		assert_string_equal(e.msg, message);
	buf_done(&out);
}

#define U "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}"
#define OUT(rest) "{\"model\":\"claude-x\",\"max_tokens\":100,\"messages\":[" U "]" rest "}"
#define OUT_MAX(n, rest) \
	"{\"model\":\"claude-x\",\"max_tokens\":" #n ",\"messages\":[" U "]" rest "}"

/* --- what the vendor's own clients ask --- */

static void round_trip_of_rich_requests(void **state)
{
	static const char *const bodies[] = {
		OUT(""),
		"{\"model\":\"claude-x\",\"max_tokens\":100,\"stream\":true,\"system\":[{\"type\":"
		"\"text\",\"text\":\"S\","
		"\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}},{\"type\":\"text\","
		"\"text\":\"T\"}],\"messages\":[" U ","
		"{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"Hm\","
		"\"signature\":\"c2ln\"},"
		"{\"type\":\"redacted_thinking\",\"data\":\"b3A=\"},{\"type\":\"text\",\"text\":"
		"\"I look\",\"citations\":[{"
		"\"type\":\"char_location\"}]},{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":"
		"\"w\",\"input\":{}},"
		"{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{\"b\":"
		"9007199254740993}}]},"
		"{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"toolu_"
		"1\",\"content\":[{\"type\":"
		"\"text\",\"text\":\"r\"},{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":"
		"\"https://a\"}},{\"type\":"
		"\"tool_reference\",\"tool_name\":\"z\"}],\"is_error\":true,\"cache_control\":{"
		"\"type\":\"ephemeral\"}},"
		"{\"type\":\"image\",\"source\":{\"type\":\"file\",\"file_id\":\"file_1\"}},{"
		"\"type\":\"document\",\"source\":{"
		"\"type\":\"base64\",\"media_type\":\"application/"
		"pdf\",\"data\":\"JVBERi0=\"},\"title\":\"T\",\"context\":\"C\","
		"\"citations\":{\"enabled\":true}},{\"type\":\"container_upload\",\"file_id\":"
		"\"f\"}]}],\"tools\":[{\"name\":\"f\","
		"\"description\":\"d\",\"input_schema\":{\"type\":\"object\"},\"strict\":true,"
		"\"cache_control\":{\"type\":"
		"\"ephemeral\"}},{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}],"
		"\"tool_choice\":{\"type\":\"auto\","
		"\"disable_parallel_tool_use\":true},\"thinking\":{\"type\":\"enabled\",\"budget_"
		"tokens\":1024,\"display\":"
		"\"summarized\"},\"output_config\":{\"effort\":\"high\",\"format\":{\"type\":"
		"\"json_schema\",\"schema\":{\"a\":1}},"
		"\"task_budget\":{\"total\":2}},\"stop_sequences\":[\"END\"],\"metadata\":{\"user_"
		"id\":\"u\"},\"service_tier\":"
		"\"standard_only\",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"5m\"},"
		"\"context_management\":{\"e\":[1.50]}}",
		OUT(",\"temperature\":0.70,\"top_p\":0.9,\"top_k\":5"),
		OUT(",\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"},\"strict\":"
		    "false}],"
		    "\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\",\"disable_parallel_tool_"
		    "use\":false}"),
		OUT(",\"tools\":[{\"type\":\"bash_20250124\",\"name\":\"bash\"}],\"tool_choice\":{"
		    "\"type\":\"tool\",\"name\":\"bash\"}"),
		OUT(",\"thinking\":{\"type\":\"disabled\"}"),
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct request_target t = plain_target();
		struct ir_request *r = decode(bodies[i]);

		/* The second one's budget would have to be raised: give it room. */
		if (r->reasoning.thinking == IR_THINKING_ENABLED)
			r->max_tokens = 2000;
		if (r->max_tokens == 2000) {
			struct str b = str_from(bodies[i]);
			ptrdiff_t at = str_find(b, STR("\"max_tokens\":100"));
			struct str want =
				arena_printf(arena, "%.*s\"max_tokens\":2000%s", (int)at, b.ptr,
					     b.ptr + at + strlen("\"max_tokens\":100"));

			expect(r, &t, want.ptr, NULL);
		} else {
			expect(r, &t, bodies[i], NULL);
		}
	}
}

/* --- system --- */

static void trap_035_and_trap_036_system_and_developer_are_hoisted(void **state)
{
	struct ir_request *r = foreign(
		"{\"model\":\"m\",\"max_tokens\":100,\"messages\":["
		"{\"role\":\"system\",\"content\":\"A\"},{\"role\":\"system\",\"content\":[{"
		"\"type\":\"text\","
		"\"text\":\"B\",\"cache_control\":{\"type\":\"ephemeral\"}},{\"type\":\"text\","
		"\"text\":\"C\"}]},"
		"{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"system\",\"content\":\"D\"}]}");

	r->messages[1].role = IR_ROLE_DEVELOPER;
	expect(r, NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"system\":[{\"type\":\"text\",\"text\":"
	       "\"A\"},{\"type\":\"text\","
	       "\"text\":\"\\n\\nB\",\"cache_control\":{\"type\":\"ephemeral\"}},{\"type\":"
	       "\"text\",\"text\":\"C\"},{\"type\":"
	       "\"text\",\"text\":\"\\n\\nD\"}],\"messages\":[" U "]}",
	       NULL);
}

static void trap_043_only_system_is_sent_as_the_users_word(void **state)
{
	expect(foreign("{\"model\":\"m\",\"max_tokens\":100,\"messages\":[{\"role\":\"system\","
		       "\"content\":\"x\"}]}"),
	       NULL, OUT(""), NULL);
}

static void trap_037_blocks_only_a_system_turn_may_hold_are_disclosed(void **state)
{
	expect(decode("{\"model\":\"m\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\","
		      "\"content\":\"x\"},{\"role\":\"system\","
		      "\"content\":[{\"type\":\"tool_addition\",\"tool\":{}},{\"type\":\"text\","
		      "\"text\":\"S\"}]}]}"),
	       NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"system\":[{\"type\":\"text\",\"text\":"
	       "\"S\"}],\"messages\":[" U "]}",
	       "system");
}

/* --- turns --- */

static void trap_038_consecutive_roles_are_one_turn(void **state)
{
	expect(foreign("{\"model\":\"m\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\","
		       "\"content\":\"a\"},{\"role\":\"system\","
		       "\"content\":\"S\"},{\"role\":\"user\",\"content\":\"b\"},{\"role\":"
		       "\"assistant\",\"content\":\" \"},"
		       "{\"role\":\"user\",\"content\":\"c\"}]}"),
	       NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"system\":[{\"type\":\"text\",\"text\":"
	       "\"S\"}],\"messages\":[{\"role\":"
	       "\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\","
	       "\"text\":\"b\"},{\"type\":\"text\","
	       "\"text\":\"c\"}]}]}",
	       NULL);
}

#define CALL(id) "{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"f\",\"input\":{}}"
#define RESULT(id, text)                                  \
	"{\"type\":\"tool_result\",\"tool_use_id\":\"" id \
	"\",\"content\":[{\"type\":\"text\",\"text\":\"" text "\"}]}"
#define TOOLS ",\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}]"

static void trap_039_results_stand_first_in_one_user_turn(void **state)
{
	expect(foreign("{\"model\":\"m\",\"max_tokens\":100,\"messages\":[" U
		       ",{\"role\":\"assistant\",\"content\":[" CALL("a") "," CALL(
			       "b") "]},{\"role\":\"user\",\"content\":[" RESULT("a",
										 "1") "]},{"
										      "\"role\":"
										      "\"user\","
										      "\"content\":"
										      "[{\"type\":"
										      "\"text\","
										      "\"text\":"
										      "\"t\"}"
										      "," RESULT(
											      "b",
											      "2") "]}]" TOOLS
												   "}"),
	       NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"messages\":[" U
	       ",{\"role\":\"assistant\",\"content\":[" CALL("a") "," CALL(
		       "b") "]},{\"role\":\"user\",\"content\":[" RESULT("a",
									 "1") "," RESULT("b",
											 "2") ",{"
											      "\"ty"
											      "pe\""
											      ":\"t"
											      "ext"
											      "\","
											      "\"te"
											      "xt\""
											      ":"
											      "\"t"
											      "\"}]"
											      "}"
											      "]" TOOLS
											      "}",
	       NULL);
}

static void trap_040_each_call_has_exactly_one_result(void **state)
{
	expect(foreign("{\"model\":\"m\",\"max_tokens\":100,\"messages\":[" U
		       ",{\"role\":\"assistant\",\"content\":[" CALL(
			       "a") "]},{\"role\":\"user\","
				    "\"content\":[" RESULT("a", "old") "," RESULT(
					    "a", "new") "]}]" TOOLS "}"),
	       NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"messages\":[" U
	       ",{\"role\":\"assistant\",\"content\":[" CALL(
		       "a") "]},{\"role\":\"user\",\"content\":[" RESULT("a", "new") "]}]" TOOLS
										     "}",
	       NULL);
	expect_refused(
		foreign("{\"model\":\"m\",\"messages\":[" U
			",{\"role\":\"assistant\",\"content\":[" CALL("a") "," CALL(
				"b") "]},{\"role\":\"user\",\"content\":[" RESULT("a", "1") "]}]}"),
		RC_INVALID, "messages",
		"messages: the next turn has no result for the tool call 'b'");
	expect_refused(foreign("{\"model\":\"m\",\"messages\":[" U
			       ",{\"role\":\"assistant\",\"content\":[" CALL("a") "]}]}"),
		       RC_INVALID, "messages",
		       "messages: the next turn has no result for the tool call 'a'");
	expect_refused(
		foreign("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[" RESULT(
			"a", "1") "]}]}"),
		RC_INVALID, "messages",
		"messages: the turn before has no tool call for the result 'a'");
}

static void trap_041_error_flag_is_kept(void **state)
{
	struct ir_request *r = foreign(
		"{\"model\":\"m\",\"max_tokens\":100,\"messages\":[{\"role\":\"assistant\","
		"\"content\":[" CALL("a") "]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_"
					  "result\",\"tool_use_id\":\"a\",\"content\":"
					  "\"\",\"is_error\":true}]}]" TOOLS "}");

	expect(r, NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"messages\":[{\"role\":\"assistant\","
	       "\"content\":[" CALL(
		       "a") "]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_"
			    "use_id\":\"a\",\"content\":[],\"is_error\":true}]}]" TOOLS "}",
	       NULL);
}

static void trap_043_empty_text_is_not_there(void **state)
{
	expect(foreign("{\"model\":\"m\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\","
		       "\"content\":[{\"type\":\"text\",\"text\":"
		       "\"\"},{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"text\",\"text\":\" "
		       "\\n\"}]},{\"role\":\"assistant\","
		       "\"content\":[{\"type\":\"text\",\"text\":\"\"}," CALL(
			       "a") "]},{\"role\":\"user\",\"content\":[" RESULT("a",
										 "1") "]}]" TOOLS
										      "}"),
	       NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"messages\":[" U
	       ",{\"role\":\"assistant\",\"content\":[" CALL(
		       "a") "]},{\"role\":\"user\",\"content\":[" RESULT("a", "1") "]}]" TOOLS "}",
	       NULL);
	expect_refused(
		foreign("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}"),
		RC_INVALID, "messages", "messages: at least one message with content is required");
}

static void trap_045_prefill_passes_without_its_trailing_blanks(void **state)
{
	expect(foreign("{\"model\":\"m\",\"max_tokens\":100,\"messages\":[" U
		       ",{\"role\":\"assistant\",\"content\":\"Sure: \\n\"}]}"),
	       NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"messages\":[" U
	       ",{\"role\":\"assistant\",\"content\":[{\"type\":\"text\","
	       "\"text\":\"Sure:\"}]}]}",
	       NULL);
}

static void trap_057_participants_names_are_disclosed(void **state)
{
	struct ir_request *r = foreign_with("");

	r->messages[0].name = STR("bob");
	expect(r, NULL, OUT(""), "name");
}

/* --- thinking --- */

#define SIGNED "{\"type\":\"thinking\",\"thinking\":\"Hm\",\"signature\":\"c2ln\"}"
#define ASK ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}"

static void trap_046_signed_thinking_goes_back_with_its_call(void **state)
{
	expect(foreign("{\"model\":\"m\",\"max_tokens\":2000,\"messages\":[" U
		       ",{\"role\":\"assistant\",\"content\":[" SIGNED
		       "," CALL("a") "]},{\"role\":\"user\",\"content\":[" RESULT(
			       "a", "1") "]}]" TOOLS ASK "}"),
	       NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":2000,\"messages\":[" U
	       ",{\"role\":\"assistant\",\"content\":[" SIGNED
	       "," CALL("a") "]},{\"role\":\"user\",\"content\":[" RESULT("a", "1") "]}]" TOOLS ASK
										    "}",
	       NULL);
}

static void trap_046_and_trap_047_unsigned_thinking_before_a_call_turns_thinking_off(void **state)
{
	expect(foreign("{\"model\":\"m\",\"max_tokens\":2000,\"messages\":[" U
		       ",{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","
		       "\"thinking\":\"Hm\",\"signature\":\"\"}," CALL(
			       "a") "]},{\"role\":\"user\",\"content\":[" RESULT("a",
										 "1") "]}]" TOOLS
			       ASK "}"),
	       NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":2000,\"messages\":[" U
	       ",{\"role\":\"assistant\",\"content\":[" CALL(
		       "a") "]},{\"role\":\"user\",\"content\":[" RESULT("a", "1") "]}]" TOOLS "}",
	       "reasoning_effort, reasoning_content");
}

static void trap_047_servers_that_want_unsigned_thinking_get_it(void **state)
{
	struct request_target t = plain_target();

	t.quirks = QUIRK_SEND_REASONING;
	expect(foreign("{\"model\":\"m\",\"max_tokens\":100,\"messages\":[" U
		       ",{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","
		       "\"thinking\":\"Hm\",\"signature\":\"\"},{\"type\":\"text\",\"text\":\"y\"}]"
		       "}," U "]}"),
	       &t,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"messages\":[" U
	       ",{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","
	       "\"thinking\":\"Hm\",\"signature\":\"\"},{\"type\":\"text\",\"text\":\"y\"}]}," U
	       "]}",
	       NULL);
}

static void trap_045_a_begun_turn_cannot_think(void **state)
{
	expect(foreign("{\"model\":\"m\",\"max_tokens\":2000,\"messages\":[" U
		       ",{\"role\":\"assistant\",\"content\":\"y\"}]" ASK "}"),
	       NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":2000,\"messages\":[" U
	       ",{\"role\":\"assistant\",\"content\":[{\"type\":\"text\","
	       "\"text\":\"y\"}]}]}",
	       "reasoning_effort");
}

static void trap_084_and_trap_086_effort_becomes_a_budget_below_max_tokens(void **state)
{
	struct ir_request *r = foreign_with("");
	static const struct {
		enum ir_effort effort;
		const char *want, *losses;
	} rows[] = {
		{ IR_EFFORT_NONE, OUT(""), NULL },
		{ IR_EFFORT_MINIMAL,
		  OUT_MAX(1124, ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}"),
		  NULL },
		{ IR_EFFORT_LOW,
		  OUT_MAX(2148, ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048}"),
		  NULL },
		{ IR_EFFORT_HIGH,
		  OUT_MAX(16484, ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":16384}"),
		  NULL },
		{ IR_EFFORT_MAX, OUT(""), "reasoning_effort" }, /* the table has none for it */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r->reasoning.effort = rows[i].effort;
		expect(r, NULL, rows[i].want, rows[i].losses);
	}
	r->max_tokens = 1025;
	r->reasoning.effort = IR_EFFORT_MINIMAL;
	expect(r, NULL,
	       OUT_MAX(1025, ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}"), NULL);
}

static void trap_085_adaptive_models_get_the_effort(void **state)
{
	struct request_target t = plain_target();
	struct ir_request *r = foreign_with("");

	t.adaptive_thinking = true;
	r->reasoning.effort = IR_EFFORT_MINIMAL;
	expect(r, &t,
	       OUT(",\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"low\"}"),
	       NULL);
	r->reasoning.effort = IR_EFFORT_XHIGH;
	expect(r, &t,
	       OUT(",\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":"
		   "\"xhigh\"}"),
	       NULL);
	r->reasoning.effort = IR_EFFORT_UNSET;
	r->reasoning.thinking = IR_THINKING_ENABLED;
	r->reasoning.budget = 8000;
	expect(r, &t,
	       OUT(",\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":"
		   "\"medium\"}"),
	       NULL);
	/* The other way: a client's adaptive thinking on a model that wants a budget. */
	r->reasoning =
		(struct ir_reasoning){ .thinking = IR_THINKING_ADAPTIVE, .budget = IR_UNSET };
	expect(r, NULL,
	       OUT_MAX(8292, ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":8192}"), NULL);
}

static void trap_085_models_of_old_are_not_asked_to_think(void **state)
{
	struct request_target t = plain_target();
	struct ir_request *r = foreign_with("");

	t.never_thinks = true;
	r->reasoning.effort = IR_EFFORT_HIGH;
	expect(r, &t, OUT(""), "reasoning_effort");
	r->reasoning = (struct ir_reasoning){ .thinking = IR_THINKING_ENABLED, .budget = 2000 };
	expect(r, &t, OUT(""), "reasoning_effort");
	/* What happens anyway is no loss. */
	r->reasoning = (struct ir_reasoning){ .thinking = IR_THINKING_DISABLED };
	expect(r, &t, OUT(""), NULL);
}

static void trap_078_forced_call_turns_thinking_off(void **state)
{
	struct request_target t = plain_target();

	expect(foreign_with(TOOLS ",\"tool_choice\":{\"type\":\"any\"}" ASK), NULL,
	       OUT(TOOLS ",\"tool_choice\":{\"type\":\"any\"}"), "reasoning_effort");
	/* Seen in a recording: an adaptive model takes both. */
	t.adaptive_thinking = true;
	expect(decode("{\"model\":\"m\",\"max_tokens\":100,\"messages\":[" U "]" TOOLS
		      ",\"tool_choice\":{\"type\":\"any\"},"
		      "\"thinking\":{\"type\":\"adaptive\"}}"),
	       &t,
	       OUT(TOOLS
		   ",\"tool_choice\":{\"type\":\"any\"},\"thinking\":{\"type\":\"adaptive\"}"),
	       NULL);
}

static void trap_070_temperature_goes_where_thinking_comes(void **state)
{
	expect(foreign_with(ASK ",\"temperature\":0.5,\"top_k\":3,\"top_p\":0.5"), NULL,
	       OUT_MAX(1124, ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}"),
	       "temperature, top_p, top_k");
	expect(foreign_with(ASK ",\"temperature\":1.0"), NULL,
	       OUT_MAX(1124, ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024},"
			     "\"temperature\":1.0"),
	       NULL);
	expect(foreign_with(ASK ",\"top_p\":0.95"), NULL,
	       OUT_MAX(1124, ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024},\"top_"
			     "p\":0.95"),
	       NULL);
}

/* --- media, ids, arguments --- */

static struct ir_request *with_part(struct ir_part p)
{
	struct ir_request *r = foreign_with("");

	r->messages[0].parts[0] = p;
	return r;
}

static struct str base64_of(struct str bytes)
{
	struct buf b;
	struct str s;

	buf_init(&b, 1 << 20);
	base64_encode(&b, bytes);
	s = arena_dup(arena, buf_str(&b));
	buf_done(&b);
	return s;
}

static void expect_image(struct str bytes, const char *claimed, const char *want)
{
	struct str data = base64_of(bytes);

	expect(with_part((struct ir_part){ .kind = IR_PART_IMAGE,
					   .media = { .source = IR_MEDIA_BASE64,
						      .mime = str_from(claimed),
						      .data = data } }),
	       NULL,
	       arena_printf(arena,
			    "{\"model\":\"claude-x\",\"max_tokens\":100,\"messages\":[{\"role\":"
			    "\"user\",\"content\":[{\"type\":\"image\","
			    "\"source\":{\"type\":\"base64\",\"media_type\":\"%s\",\"data\":\"%.*"
			    "s\"}}]}]}",
			    want, STR_ARG(data))
		       .ptr,
	       NULL);
}

static void trap_053_the_bytes_decide_the_image_type(void **state)
{
	expect_image(STR("\x89PNG\r\n\x1a\n more bytes"), "image/jpeg", "image/png");
	expect_image(STR("\xff\xd8\xff\xe0 more bytes here"), NULL, "image/jpeg");
	expect_image(STR("GIF89a more bytes of a picture"), "image/png", "image/gif");
	expect_image(STR("RIFF\x10\x00\x00\x00WEBPVP8 and more"), "image/png", "image/webp");
	expect_image(STR("no magic we know of"), "image/jpg", "image/jpeg");
	expect_image(STR("short"), "image/png", "image/png");
	expect_refused(with_part((struct ir_part){ .kind = IR_PART_IMAGE,
						   .media = { .source = IR_MEDIA_BASE64,
							      .mime = STR("image/tiff"),
							      .data = STR("SUkqAA==") } }),
		       RC_UNSUPPORTED, "messages[0].content",
		       "messages[0].content: the provider takes images as image/jpeg, image/png, "
		       "image/gif or image/webp");
}

static void trap_052_image_detail_is_disclosed(void **state)
{
	expect(with_part((struct ir_part){ .kind = IR_PART_IMAGE,
					   .media = { .source = IR_MEDIA_URL,
						      .data = STR("https://a"),
						      .detail = STR("low") } }),
	       NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\","
	       "\"content\":[{\"type\":\"image\",\"source\":{"
	       "\"type\":\"url\",\"url\":\"https://a\"}}]}]}",
	       "image_url.detail");
}

static void trap_054_files_pass_as_pdf_or_text_and_nothing_vanishes(void **state)
{
	struct ir_part pdf = { .kind = IR_PART_FILE,
			       .media = { .source = IR_MEDIA_BASE64,
					  .data = base64_of(STR("%PDF-1.7 x")),
					  .mime = STR("application/octet-stream"),
					  .name = STR("a.pdf") } };
	struct ir_part csv = { .kind = IR_PART_FILE,
			       .media = { .source = IR_MEDIA_BASE64,
					  .data = base64_of(STR("a,b")),
					  .mime = STR("text/csv") } };
	struct ir_part zip = { .kind = IR_PART_FILE,
			       .media = { .source = IR_MEDIA_BASE64,
					  .data = base64_of(STR("PK..")),
					  .mime = STR("application/zip") } };
	struct ir_part stored = { .kind = IR_PART_FILE,
				  .media = { .source = IR_MEDIA_FILE_ID, .data = STR("file-1") } };
	struct ir_part audio = { .kind = IR_PART_AUDIO,
				 .media = { .data = STR("aGk="), .detail = STR("wav") } };
	struct ir_part opaque = { .kind = IR_PART_OPAQUE,
				  .origin = "openai-chat",
				  .raw = STR("{}") };

	expect(with_part(pdf), NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\","
	       "\"content\":[{\"type\":\"document\",\"source\":{"
	       "\"type\":\"base64\",\"media_type\":\"application/"
	       "pdf\",\"data\":\"JVBERi0xLjcgeA==\"},\"title\":\"a.pdf\"}]}]}",
	       NULL);
	expect(with_part(csv), NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\","
	       "\"content\":[{\"type\":\"document\",\"source\":{"
	       "\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"a,b\"}}]}]}",
	       NULL);
	expect_refused(with_part(zip), RC_UNSUPPORTED, "messages[0].content", NULL);
	expect_refused(with_part(stored), RC_UNSUPPORTED, "messages[0].content", NULL);
	expect_refused(with_part(audio), RC_UNSUPPORTED, "messages[0].content", NULL);
	expect_refused(with_part(opaque), RC_UNSUPPORTED, "messages[0].content", NULL);
}

static void trap_061_ids_are_made_valid_and_told_apart(void **state)
{
	struct ir_request *r = foreign(
		"{\"model\":\"m\",\"max_tokens\":100,\"messages\":[{\"role\":\"assistant\","
		"\"content\":[" CALL("call/1_a") "," CALL("call_2") "," CALL("gwx_x") "," CALL("\xc3\xa9") "]},{\"role\":\"user\",\"content\":[" RESULT(
			"call/1_a", "1") "," RESULT("call_2",
						    "2") "," RESULT("gwx_x",
								    "3") "," RESULT("\xc3\xa9",
										    "4") "]}]" TOOLS
											 "}");
	struct ir_request *back;
	struct request_target t = plain_target();
	struct ir_losses l;
	struct buf out;

	/* One that only looks as if we had made it: decoding took it for ours. */
	r->messages[0].parts[2].id = r->messages[1].parts[2].id = STR("gwx_x");
	expect(r, NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"messages\":[{\"role\":\"assistant\","
	       "\"content\":[" CALL("gwx_call_2f1_5fa") "," CALL("call_2") "," CALL("gwx_gwx_5fx") "," CALL("gwx__c3_a9") "]},{\"role\":\"user\",\"content\":[" RESULT(
		       "gwx_call_2f1_5fa",
		       "1") "," RESULT("call_2", "2") "," RESULT("gwx_gwx_5fx",
								 "3") "," RESULT("gwx__c3_a9",
										 "4") "]}]" TOOLS
										      "}",
	       NULL);
	buf_init(&out, 1 << 20);
	ir_losses_init(&l, arena);
	assert_int_equal(am->encode_request(arena, r, &t, &out, &l, NULL), 0);
	back = decode(arena_dup(arena, buf_str(&out)).ptr);
	for (unsigned i = 0; i < 4; i++)
		CHECK_STR_IS(back->messages[0].parts[i].id, r->messages[0].parts[i].id);
	buf_done(&out);
}

static void expect_arguments(const char *arguments, const char *want)
{
	struct ir_request *r =
		foreign("{\"model\":\"m\",\"max_tokens\":100,\"messages\":[{\"role\":\"assistant\","
			"\"content\":[" CALL("a") "]},{\"role\":\"user\",\"content\":[" RESULT(
				"a", "1") "]}]" TOOLS "}");

	r->messages[0].parts[0].arguments = str_from(arguments);
	if (!want) {
		expect_refused(r, RC_INVALID, "messages[0].content",
			       "messages[0].content: the arguments of a tool call should be a JSON "
			       "object");
		return;
	}
	expect(r, NULL,
	       arena_printf(arena,
			    "{\"model\":\"claude-x\",\"max_tokens\":100,\"messages\":[{\"role\":"
			    "\"assistant\",\"content\":[{\"type\":\"tool_use\","
			    "\"id\":\"a\",\"name\":\"f\",\"input\":%s}]},{\"role\":\"user\","
			    "\"content\":[" RESULT("a", "1") "]}]" TOOLS "}",
			    want)
		       .ptr,
	       NULL);
}

static void trap_059_and_trap_060_arguments_are_an_object_or_an_error(void **state)
{
	expect_arguments("{\"z\":9007199254740993, \"a\":1.10}",
			 "{\"z\":9007199254740993, \"a\":1.10}");
	expect_arguments("", "{}");
	expect_arguments(" ", "{}");
	expect_arguments("{\"a\": \"cut", "{}");
	expect_arguments("[1]", NULL);
	expect_arguments("\"text\"", NULL);
}

/* --- tools --- */

static void trap_080_tools_have_an_object_schema_and_no_null_description(void **state)
{
	struct ir_request *r = foreign_with(",\"tools\":[{\"name\":\"f\",\"input_schema\":{"
					    "\"properties\":{\"a\":{}},\"x\":1e2}}]");

	expect(r, NULL,
	       OUT(",\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\","
		   "\"properties\":{\"a\":{}},\"x\":1e2}}]"),
	       NULL);
	r->tools[0].parameters = STR_NONE;
	expect(r, NULL, OUT(",\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}]"),
	       NULL);
	r->tools[0].parameters = STR("{}");
	expect(r, NULL, OUT(",\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}]"),
	       NULL);
	r->tools[0].parameters = STR("[]");
	expect_refused(r, RC_INVALID, "tools",
		       "tools[0]: parameters should be a JSON schema object");
}

static void trap_075_tool_choice_maps_and_none_keeps_the_tools(void **state)
{
	struct ir_request *r = foreign_with(TOOLS);

	r->choice.mode = IR_CHOICE_NONE;
	r->choice.parallel = IR_FALSE;
	expect(r, NULL, OUT(TOOLS ",\"tool_choice\":{\"type\":\"none\"}"), NULL);
	r->choice = (struct ir_tool_choice){ .mode = IR_CHOICE_REQUIRED };
	expect(r, NULL, OUT(TOOLS ",\"tool_choice\":{\"type\":\"any\"}"), NULL);
	r->choice = (struct ir_tool_choice){ .mode = IR_CHOICE_NAMED, .name = STR("f") };
	expect(r, NULL, OUT(TOOLS ",\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}"), NULL);
	r->choice.name = STR("g");
	expect_refused(r, RC_INVALID, "tool_choice",
		       "tool_choice: there is no tool named 'g' to call");
	r->n_tools = 0;
	r->choice = (struct ir_tool_choice){ .mode = IR_CHOICE_REQUIRED };
	expect_refused(r, RC_INVALID, "tool_choice",
		       "tool_choice: a call is required but there is no tool to call");
}

static void trap_076_allowed_tools_filter_the_list(void **state)
{
	struct ir_request *r = foreign_with(",\"tools\":[{\"name\":\"f\",\"input_schema\":{"
					    "\"type\":\"object\"}},{\"name\":\"g\","
					    "\"input_schema\":{\"type\":\"object\"}}]");
	struct str allowed[] = { STR("g") };

	r->choice = (struct ir_tool_choice){ .mode = IR_CHOICE_REQUIRED,
					     .allowed = allowed,
					     .n_allowed = 1 };
	expect(r, NULL,
	       OUT(",\"tools\":[{\"name\":\"g\",\"input_schema\":{\"type\":\"object\"}}],\"tool_"
		   "choice\":{\"type\":\"any\"}"),
	       NULL);
}

static void trap_077_serial_calls_need_a_choice_made_for_them(void **state)
{
	struct ir_request *r = foreign_with(TOOLS);

	r->choice.parallel = IR_FALSE;
	expect(r, NULL,
	       OUT(TOOLS ",\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}"),
	       NULL);
}

static void trap_079_calls_in_the_history_get_their_tools(void **state)
{
	expect(foreign("{\"model\":\"m\",\"max_tokens\":100,\"messages\":[{\"role\":\"assistant\","
		       "\"content\":[" CALL("a") "," CALL(
			       "b") "]},{\"role\":\"user\",\"content\":"
				    "[" RESULT("a", "1") "," RESULT("b", "2") "]}]}"),
	       NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"messages\":[{\"role\":\"assistant\","
	       "\"content\":[" CALL("a") "," CALL("b") "]},{\"role\":\"user\",\"content\":[" RESULT(
		       "a", "1") "," RESULT("b", "2") "]}]" TOOLS
						      ",\"tool_choice\":{\"type\":\"none\"}}",
	       NULL);
}

static void trap_094_foreign_server_tools_are_disclosed_never_sent(void **state)
{
	struct ir_request *r = foreign_with(TOOLS);

	r->tools[0] = (struct ir_tool){ .server_raw = STR("{\"type\":\"web_search\"}"),
					.origin = "openai-responses" };
	expect(r, NULL, OUT(""), "web_search");
}

/* --- parameters --- */

static void trap_067_max_tokens_has_a_default(void **state)
{
	struct request_target t = plain_target();
	struct ir_request *r = foreign_with("");

	r->max_tokens = IR_UNSET;
	expect(r, NULL, OUT_MAX(8192, ""), NULL);
	t.default_max_tokens = 0;
	expect(r, &t, OUT_MAX(4096, ""), NULL);
}

static void trap_068_temperature_is_clamped_and_disclosed(void **state)
{
	struct ir_request *r = foreign_with("");

	r->temperature = STR("1.5");
	expect(r, NULL, OUT(",\"temperature\":1"), "temperature");
	r->temperature = STR("1.0");
	expect(r, NULL, OUT(",\"temperature\":1.0"), NULL);
}

static void trap_069_temperature_excludes_top_p(void **state)
{
	expect(foreign_with(",\"temperature\":0.5,\"top_p\":0.9"), NULL,
	       OUT(",\"temperature\":0.5"), "top_p");
	expect(foreign_with(",\"top_p\":0.9"), NULL, OUT(",\"top_p\":0.9"), NULL);
}

static void trap_071_and_trap_072_stop_sequences_that_hold_something(void **state)
{
	expect(foreign_with(",\"stop_sequences\":[\"a\",\"\\n\",\"\",\" b\"]"), NULL,
	       OUT(",\"stop_sequences\":[\"a\",\" b\"]"), "stop");
	expect(foreign_with(",\"stop_sequences\":[\" \"]"), NULL, OUT(""), "stop");
}

static void trap_081_schema_maps_and_any_json_is_disclosed(void **state)
{
	struct request_target t = plain_target();
	struct ir_request *r = foreign_with("");

	r->format = (struct ir_format){ .kind = IR_FORMAT_JSON_SCHEMA,
					.name = STR("n"),
					.schema = STR("{\"type\":\"object\"}") };
	expect(r, NULL,
	       OUT(",\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":"
		   "\"object\"}}}"),
	       NULL);
	t.quirks = QUIRK_NO_JSON_SCHEMA;
	expect(r, &t, OUT(""), "response_format");
	r->format = (struct ir_format){ .kind = IR_FORMAT_JSON_OBJECT };
	expect(r, NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"system\":[{\"type\":\"text\",\"text\":"
	       "\"Answer with one JSON object and nothing around it.\"}],\"messages\":[" U "]}",
	       "response_format");
	r->format = (struct ir_format){ .kind = IR_FORMAT_TEXT };
	expect(r, NULL, OUT(""), NULL);
}

static void trap_087_user_becomes_user_id(void **state)
{
	struct ir_request *r = foreign_with("");

	r->safety_identifier = STR("s");
	expect(r, NULL, OUT(",\"metadata\":{\"user_id\":\"s\"}"), NULL);
	r->user = STR("u");
	r->metadata = STR("{\"k\":\"v\"}");
	expect(r, NULL, OUT(",\"metadata\":{\"user_id\":\"u\"}"), "metadata, safety_identifier");
}

static void trap_088_service_tiers_map(void **state)
{
	static const struct {
		const char *tier, *want, *losses;
	} rows[] = {
		{ "auto", OUT(",\"service_tier\":\"auto\""), NULL },
		{ "priority", OUT(",\"service_tier\":\"auto\""), NULL },
		{ "default", OUT(",\"service_tier\":\"standard_only\""), NULL },
		{ "flex", OUT(""), "service_tier" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ir_request *r = foreign_with("");

		r->service_tier = str_from(rows[i].tier);
		expect(r, NULL, rows[i].want, rows[i].losses);
	}
}

static void trap_090_top_k_passes(void **state)
{
	expect(foreign_with(",\"top_k\":5"), NULL, OUT(",\"top_k\":5"), NULL);
}

static void trap_091_foreign_extras_are_disclosed(void **state)
{
	expect(foreign_with(",\"tomorrow\":1"), NULL, OUT(""), "tomorrow");
}

static void trap_093_cache_breakpoints_are_kept(void **state)
{
	struct ir_request *r = foreign_with(TOOLS);

	r->messages[0].parts[0].cache = IR_CACHE_5M;
	r->cache = IR_CACHE_DEFAULT;
	expect(r, NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\","
	       "\"content\":[{\"type\":\"text\",\"text\":\"x\","
	       "\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"5m\"}}]}]" TOOLS
	       ",\"cache_control\":{\"type\":\"ephemeral\"}}",
	       NULL);
}

static void trap_055_citations_without_proof_do_not_go_back(void **state)
{
	expect(decode("{\"model\":\"m\",\"max_tokens\":100,\"messages\":[" U
		      ",{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":"
		      "\"y\",\"citations\":[{\"encrypted_index\":\"\"},{\"encrypted_index\":\"E\"}]"
		      "}]}," U "]}"),
	       NULL,
	       "{\"model\":\"claude-x\",\"max_tokens\":100,\"messages\":[" U
	       ",{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":"
	       "\"y\",\"citations\":[{\"encrypted_index\":\"E\"}]}]}," U "]}",
	       "citations");
}

static void trap_032_several_answers_are_refused(void **state)
{
	struct ir_request *r = foreign_with("");

	r->n = 1;
	expect(r, NULL, OUT(""), NULL);
	r->n = 2;
	expect_refused(r, RC_UNSUPPORTED, "n", NULL);
}

static void parameters_that_ask_for_nothing_are_no_losses(void **state)
{
	struct ir_request *r = foreign_with("");

	r->frequency_penalty = STR("0.0");
	r->presence_penalty = STR("0");
	r->logprobs = IR_FALSE;
	r->top_logprobs = 0;
	r->store = IR_FALSE;
	r->modalities = STR("[\"text\"]");
	expect(r, NULL, OUT(""), NULL);
}

static void many_calls_in_one_turn_cost_little(void **state)
{
	struct ir_request *r = foreign_with("");
	unsigned n = 200000;

	r->messages[0].role = IR_ROLE_ASSISTANT;
	r->messages[0].parts = arena_array(arena, n, sizeof(struct ir_part));
	r->messages[0].n_parts = n;
	for (unsigned i = 0; i < n; i++)
		r->messages[0].parts[i] = (struct ir_part){ .kind = IR_PART_TOOL_CALL,
							    .id = arena_printf(arena, "c%u", i),
							    .name = STR("f"),
							    .arguments = STR("{}") };
	expect_refused(r, RC_INVALID, "messages", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip_of_rich_requests),
		cmocka_unit_test(trap_035_and_trap_036_system_and_developer_are_hoisted),
		cmocka_unit_test(trap_043_only_system_is_sent_as_the_users_word),
		cmocka_unit_test(trap_037_blocks_only_a_system_turn_may_hold_are_disclosed),
		cmocka_unit_test(trap_038_consecutive_roles_are_one_turn),
		cmocka_unit_test(trap_039_results_stand_first_in_one_user_turn),
		cmocka_unit_test(trap_040_each_call_has_exactly_one_result),
		cmocka_unit_test(trap_041_error_flag_is_kept),
		cmocka_unit_test(trap_043_empty_text_is_not_there),
		cmocka_unit_test(trap_045_prefill_passes_without_its_trailing_blanks),
		cmocka_unit_test(trap_057_participants_names_are_disclosed),
		cmocka_unit_test(trap_046_signed_thinking_goes_back_with_its_call),
		cmocka_unit_test(
			trap_046_and_trap_047_unsigned_thinking_before_a_call_turns_thinking_off),
		cmocka_unit_test(trap_047_servers_that_want_unsigned_thinking_get_it),
		cmocka_unit_test(trap_045_a_begun_turn_cannot_think),
		cmocka_unit_test(trap_084_and_trap_086_effort_becomes_a_budget_below_max_tokens),
		cmocka_unit_test(trap_085_adaptive_models_get_the_effort),
		cmocka_unit_test(trap_085_models_of_old_are_not_asked_to_think),
		cmocka_unit_test(trap_078_forced_call_turns_thinking_off),
		cmocka_unit_test(trap_070_temperature_goes_where_thinking_comes),
		cmocka_unit_test(trap_053_the_bytes_decide_the_image_type),
		cmocka_unit_test(trap_052_image_detail_is_disclosed),
		cmocka_unit_test(trap_054_files_pass_as_pdf_or_text_and_nothing_vanishes),
		cmocka_unit_test(trap_061_ids_are_made_valid_and_told_apart),
		cmocka_unit_test(trap_059_and_trap_060_arguments_are_an_object_or_an_error),
		cmocka_unit_test(trap_080_tools_have_an_object_schema_and_no_null_description),
		cmocka_unit_test(trap_075_tool_choice_maps_and_none_keeps_the_tools),
		cmocka_unit_test(trap_076_allowed_tools_filter_the_list),
		cmocka_unit_test(trap_077_serial_calls_need_a_choice_made_for_them),
		cmocka_unit_test(trap_079_calls_in_the_history_get_their_tools),
		cmocka_unit_test(trap_094_foreign_server_tools_are_disclosed_never_sent),
		cmocka_unit_test(trap_067_max_tokens_has_a_default),
		cmocka_unit_test(trap_068_temperature_is_clamped_and_disclosed),
		cmocka_unit_test(trap_069_temperature_excludes_top_p),
		cmocka_unit_test(trap_071_and_trap_072_stop_sequences_that_hold_something),
		cmocka_unit_test(trap_081_schema_maps_and_any_json_is_disclosed),
		cmocka_unit_test(trap_087_user_becomes_user_id),
		cmocka_unit_test(trap_088_service_tiers_map),
		cmocka_unit_test(trap_090_top_k_passes),
		cmocka_unit_test(trap_091_foreign_extras_are_disclosed),
		cmocka_unit_test(trap_093_cache_breakpoints_are_kept),
		cmocka_unit_test(trap_055_citations_without_proof_do_not_go_back),
		cmocka_unit_test(trap_032_several_answers_are_refused),
		cmocka_unit_test(parameters_that_ask_for_nothing_are_no_losses),
		cmocka_unit_test(many_calls_in_one_turn_cost_little),
	};

	return cmocka_run_group_tests(tests, make_arena, end_arena);
}
