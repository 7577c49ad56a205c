/* tests/unit/protocols/openai_responses/test_request.c - mirrors request_decode.c, request_items.c, request_encode.c and
 * request_turns.c. Rule: what a client sends is understood as it means it, and what cannot be kept is said. */
#include "check.h"

#include "ir/stop_cut.h"
#include "protocols/protocol.h"

static const struct protocol *const p = &protocol_openai_responses;

struct made {
	struct arena *a;
	struct ir_request *r;
	struct err err;
	int rc;
};

static struct made decode(const char *body)
{
	struct made m = { .a = arena_new(16 << 20) };

	m.rc = p->decode_request(m.a, &request_line_plain, str_from(body), &m.r, &m.err);
	return m;
}

/* What an upstream of `to` gets; into the arena. */
static struct str send_to(struct made *m, const struct protocol *to, struct ir_losses *losses)
{
	struct request_target t = { .model = STR("up"), .default_max_tokens = 100 };
	struct buf out;
	struct str copy;

	ir_losses_init(losses, m->a);
	buf_init(&out, 1 << 20);
	m->rc = to->encode_request(m->a, m->r, &t, &out, losses, &m->err);
	ir_lose_unknown(losses, m->r);
	copy = m->rc ? STR("") : arena_dup(m->a, buf_str(&out));
	buf_done(&out);
	return copy;
}

static void assert_has(struct str text, const char *piece)
{
	if (str_find(text, str_from(piece)) < 0)
		fail_msg("\"%s\" is not in %.*s", piece, STR_ARG(text));
}

static void assert_lacks(struct str text, const char *piece)
{
	if (str_find(text, str_from(piece)) >= 0)
		fail_msg("\"%s\" is in %.*s", piece, STR_ARG(text));
}

static void trap_064_text_bare_items_and_assistants_in_text(void **state)
{
	struct made m =
		decode("{\"model\":\"m\",\"instructions\":\"I\",\"input\":[{\"role\":\"user\","
		       "\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},"
		       "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":"
		       "\"input_text\",\"text\":\"c\"}]}]}");

	(void)state;
	assert_int_equal(m.rc, RC_OK);
	assert_int_equal(m.r->n_messages, 4);
	assert_int_equal(m.r->messages[0].role, IR_ROLE_SYSTEM);
	assert_int_equal(m.r->messages[2].role, IR_ROLE_ASSISTANT);
	assert_true(str_eq(m.r->messages[3].parts[0].text, STR("c")));
	arena_free(m.a);
	m = decode("{\"model\":\"m\",\"input\":\"Hi\"}");
	assert_int_equal(m.r->n_messages, 1);
	arena_free(m.a);
}

static void trap_063_results_refer_to_call_id_not_to_the_items_id(void **state)
{
	struct made m =
		decode("{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"a\"},"
		       "{\"type\":\"function_call\",\"id\":\"fc_1\",\"call_id\":\"call_1\","
		       "\"name\":\"f\",\"arguments\":\"{\\\"n\\\":9007199254740993}\"},"
		       "{\"type\":\"function_call_output\",\"call_id\":\"call_1\",\"output\":"
		       "\"r\"}]}");
	struct ir_losses losses;
	struct str chat;

	(void)state;
	assert_int_equal(m.rc, RC_OK);
	chat = send_to(&m, &protocol_openai_chat, &losses);
	assert_has(chat, "\"tool_call_id\":\"call_1\"");
	assert_has(chat, "9007199254740993"); /* trap 60 */
	assert_lacks(chat, "fc_1");
	arena_free(m.a);
}

static void trap_050_reasoning_goes_back_with_its_own_id_and_proof_and_what_follows(void **state)
{
	const char *body =
		"{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"a\"},"
		"{\"type\":\"reasoning\",\"id\":\"rs_7\",\"summary\":[{\"type\":\"summary_text\","
		"\"text\":\"hm\"}],\"encrypted_content\":\"gAAA\"},"
		"{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_"
		"text\","
		"\"text\":\"b\"}]},{\"role\":\"user\",\"content\":\"c\"},"
		"{\"type\":\"reasoning\",\"id\":\"rs_8\",\"summary\":[],\"encrypted_content\":"
		"\"gBBB\"}]}";
	struct made m = decode(body);
	struct ir_losses losses;
	struct str out;

	(void)state;
	assert_int_equal(m.rc, RC_OK);
	out = send_to(&m, p, &losses);
	assert_has(out, "\"id\":\"rs_7\"");
	assert_has(out, "\"encrypted_content\":\"gAAA\"");
	assert_lacks(out, "rs_8"); /* nothing follows it: the provider would refuse all of it */
	assert_true(str_eq(ir_losses_text(&losses), STR("reasoning_content")));
	arena_free(m.a);
}

static void trap_047_another_vendors_proof_reaches_that_vendor_alone(void **state)
{
	const char *body =
		"{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"a\"},"
		"{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[],\"content\":[{\"type\":"
		"\"reasoning_text\",\"text\":\"hm\"}],\"encrypted_content\":"
		"\"lgw1.anthropic-messages.c2ln\"},{\"role\":\"assistant\",\"content\":\"b\"},"
		"{\"role\":\"user\",\"content\":\"c\"}]}";
	struct made m = decode(body);
	struct patch_options o = { .model = STR("up") };
	struct request_peek peek;
	struct ir_losses losses;
	struct buf patched;

	(void)state;
	assert_has(send_to(&m, &protocol_anthropic_messages, &losses),
		   "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"c2ln\"}");
	assert_lacks(send_to(&m, p, &losses), "c2ln");
	assert_int_equal(p->peek(m.a, &request_line_plain, str_from(body), &peek, &m.err), RC_OK);
	buf_init(&patched, 1 << 20);
	assert_int_equal(p->patch(m.a, &peek, &o, &patched), RC_OK);
	assert_lacks(buf_str(&patched), "lgw1");
	assert_has(buf_str(&patched), "{\"role\":\"assistant\",\"content\":\"b\"}");
	buf_done(&patched);
	arena_free(m.a);
}

static void trap_076_allowed_tools_stay_a_constraint(void **state)
{
	struct made m = decode(
		"{\"model\":\"m\",\"input\":\"a\",\"tools\":[{\"type\":\"function\",\"name\":\"f\","
		"\"parameters\":{\"type\":\"object\"}},{\"type\":\"function\",\"name\":\"g\","
		"\"parameters\":{\"type\":\"object\"}}],\"tool_choice\":{\"type\":\"allowed_"
		"tools\","
		"\"mode\":\"required\",\"tools\":[{\"type\":\"function\",\"name\":\"g\"}]}}");
	struct ir_losses losses;
	struct str out;

	(void)state;
	assert_int_equal(m.rc, RC_OK);
	assert_lacks(send_to(&m, &protocol_anthropic_messages, &losses), "\"name\":\"f\"");
	out = send_to(&m, p, &losses);
	assert_has(out, "\"name\":\"f\"");
	assert_has(out, "\"mode\":\"required\"");
	arena_free(m.a);
}

static void custom_calls_and_their_results_keep_their_kind(void **state)
{
	struct made m = decode(
		"{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"a\"},{\"type\":"
		"\"custom_tool_call\",\"call_id\":\"c1\",\"name\":\"patch\",\"input\":"
		"\"x\\n\\\"y\\\"\"},"
		"{\"type\":\"custom_tool_call_output\",\"call_id\":\"c1\",\"output\":\"ok\"}],"
		"\"tools\":[{\"type\":\"custom\",\"name\":\"patch\"}]}");
	struct ir_losses losses;
	struct str out;

	(void)state;
	assert_int_equal(m.rc, RC_OK);
	assert_true(
		str_eq(m.r->messages[1].parts[0].arguments, STR("{\"input\":\"x\\n\\\"y\\\"\"}")));
	out = send_to(&m, p, &losses);
	assert_has(out, "\"type\":\"custom_tool_call\",\"call_id\":\"c1\",\"name\":\"patch\","
			"\"input\":\"x\\n\\\"y\\\"\"");
	assert_has(out, "\"type\":\"custom_tool_call_output\"");
	arena_free(m.a);
}

static void tools_in_namespaces_are_tools_of_joined_names(void **state)
{
	struct made m = decode(
		"{\"model\":\"m\",\"input\":["
		"{\"type\":\"additional_tools\",\"role\":\"developer\",\"tools\":[{\"type\":"
		"\"namespace\",\"name\":\"clock\",\"tools\":[{\"type\":\"custom\",\"name\":"
		"\"sleep\"}]}]},{\"role\":\"user\",\"content\":\"a\"},"
		"{\"type\":\"function_call\",\"call_id\":\"c1\",\"namespace\":\"team\",\"name\":"
		"\"spawn\",\"arguments\":\"{}\"},"
		"{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"ok\"}],"
		"\"tools\":[{\"type\":\"function\",\"name\":\"bare\"},{\"type\":\"namespace\","
		"\"name\":\"team\",\"tools\":[{\"type\":\"function\",\"name\":\"spawn\"},"
		"{\"type\":\"function\",\"name\":\"wait\"}]},{\"type\":\"web_search\"}]}");

	(void)state;
	assert_int_equal(m.rc, RC_OK);
	assert_int_equal(m.r->n_tools, 5);
	for (unsigned i = 0; i < 5; i++) {
		if (str_eq(m.r->tools[i].name, STR("clock__sleep")))
			assert_true(m.r->tools[i].custom && str_eq(m.r->tools[i].ns, STR("clock")));
	}
	assert_non_null(ir_request_tool(m.r, STR("clock__sleep")));
	assert_non_null(ir_request_tool(m.r, STR("team__wait")));
	assert_false(str_present(ir_request_tool(m.r, STR("bare"))->ns));
	assert_int_equal(m.r->n_messages, 3);
	assert_true(str_eq(m.r->messages[1].parts[0].name, STR("team__spawn")));
	assert_true(str_eq(m.r->messages[2].parts[0].name, STR("team__spawn")));
	arena_free(m.a);
}

static void trap_096_what_is_kept_elsewhere_is_refused(void **state)
{
	static const char *const bodies[] = {
		"{\"model\":\"m\",\"input\":\"a\",\"previous_response_id\":\"resp_1\"}",
		"{\"model\":\"m\",\"input\":\"a\",\"conversation\":\"conv_1\"}",
		"{\"model\":\"m\",\"prompt\":{\"id\":\"pmpt_1\"}}",
		"{\"model\":\"m\",\"input\":[{\"type\":\"item_reference\",\"id\":\"msg_1\"}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct made m = decode(bodies[i]);

		assert_int_equal(m.rc, RC_OK);
		assert_int_equal(p->check_generate(m.r, &m.err), RC_INVALID);
		assert_true(m.err.param[0] != '\0');
		arena_free(m.a);
	}
}

static void trap_073_stop_sequences_are_the_gateways_part(void **state)
{
	struct str stops[IR_STOP_CUT_MAX + 1];
	struct made m = decode("{\"model\":\"m\",\"input\":\"a\"}");
	struct ir_losses losses;
	struct str out;

	(void)state;
	for (unsigned i = 0; i <= IR_STOP_CUT_MAX; i++)
		stops[i] = STR("END");
	assert_true(p->cannot_stop);
	m.r->origin = "elsewhere";
	m.r->stop = stops;
	m.r->n_stop = IR_STOP_CUT_MAX;
	out = send_to(&m, p, &losses);
	assert_int_equal(m.rc, RC_OK);
	assert_lacks(out, "END");
	assert_int_equal(losses.n, 0);
	arena_free(m.a);
}

static void trap_097_what_the_api_lacks_is_named(void **state)
{
	struct made m = decode("{\"model\":\"m\",\"input\":\"a\",\"max_output_tokens\":5}");
	struct ir_losses losses;
	struct str out;

	(void)state;
	m.r->origin = "elsewhere";
	m.r->top_k = 5;
	out = send_to(&m, p, &losses);
	assert_has(out, "\"max_output_tokens\":16");
	assert_has(out, "\"store\":false");
	assert_true(str_eq(ir_losses_text(&losses), STR("max_tokens, top_k")));
	m.r->n = 2;
	(void)send_to(&m, p, &losses);
	assert_int_equal(m.rc, RC_UNSUPPORTED);
	arena_free(m.a);
}

static void wrong_types_are_refused_by_their_place(void **state)
{
	static const struct {
		const char *body, *param;
	} cases[] = {
		{ "{\"model\":\"m\"}", "input" },
		{ "{\"model\":\"m\",\"input\":[]}", "input" },
		{ "{\"model\":\"m\",\"input\":[{\"role\":\"king\",\"content\":\"a\"}]}",
		  "input[0].role" },
		{ "{\"model\":\"m\",\"input\":[{\"type\":\"function_call\",\"name\":\"f\"}]}",
		  "input[0].call_id" },
		{ "{\"model\":\"m\",\"input\":\"a\",\"reasoning\":{\"effort\":\"huge\"}}",
		  "reasoning.effort" },
		{ "{\"input\":\"a\"}", "model" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct made m = decode(cases[i].body);

		assert_int_equal(m.rc, RC_INVALID);
		assert_string_equal(m.err.param, cases[i].param);
		arena_free(m.a);
	}
}

/* One user's turn, an item, another turn. */
static struct made decode_item(const char *item)
{
	static char body[1024]; /* what is decoded are slices of it */

	(void)snprintf(body, sizeof(body),
		       "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"before\"},%s,"
		       "{\"role\":\"user\",\"content\":\"behind\"}]}",
		       item);
	return decode(body);
}

static void trap_094_items_only_openai_knows_are_left_out_and_named_everywhere(void **state)
{
	static const struct {
		const char *item, *name;
	} rows[] = {
		{ "{\"type\":\"compaction\",\"encrypted_content\":\"gAAA\"}", "compaction" },
		{ "{\"type\":\"tool_search_call\",\"arguments\":{}}", "tool_search_call" },
		{ "{\"type\":\"tool_search_output\",\"tools\":[]}", "tool_search_output" },
		{ "{\"type\":\"web_search_call\",\"id\":\"ws_1\",\"status\":\"completed\"}",
		  "web_search_call" },
		{ "{\"type\":\"computer_call_output\",\"call_id\":\"c\",\"output\":{}}",
		  "computer_call_output" },
		{ "{\"type\":\"tomorrows_item\"}", "tomorrows_item" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		for (unsigned k = 0; protocols[k]; k++) {
			struct made m = decode_item(rows[i].item);
			struct ir_losses losses;
			struct str out;

			assert_int_equal(m.rc, RC_OK);
			out = send_to(&m, protocols[k], &losses);
			if (str_eq(str_from(protocols[k]->name), STR("ollama-generate"))) {
				assert_int_equal(m.rc, RC_UNSUPPORTED); /* several turns */
			} else if (protocols[k] == p) {
				assert_has(out, rows[i].name);
			} else {
				assert_int_equal(m.rc, RC_OK);
				assert_has(out, "before");
				assert_has(out, "behind");
				assert_lacks(out, rows[i].name);
				assert_lacks(out, "\"content\":\"\"");
				assert_lacks(out, "\"content\":[]");
				CHECK_STR_IS(ir_losses_text(&losses), str_from(rows[i].name));
			}
			arena_free(m.a);
		}
	}
}

static void tools_that_a_search_found_may_be_called(void **state)
{
	struct made m = decode_item("{\"type\":\"tool_search_output\",\"tools\":[{\"type\":"
				    "\"function\",\"name\":\"found\"}]},{\"type\":\"function_"
				    "call\",\"call_id\":\"c\",\"name\":\"found\",\"arguments\":"
				    "\"{}\"},{\"type\":\"function_call_output\",\"call_id\":\"c\","
				    "\"output\":\"x\"}");
	struct ir_losses losses;

	(void)state;
	assert_int_equal(m.rc, RC_OK);
	assert_int_equal(m.r->n_tools, 1);
	assert_has(send_to(&m, &protocol_anthropic_messages, &losses), "\"name\":\"found\"");
	arena_free(m.a);
	m = decode(
		"{\"model\":\"m\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}],\"input\":[{"
		"\"type\":\"tool_search_output\",\"tools\":[{\"type\":\"function\",\"name\":"
		"\"f\",\"description\":\"again\"},{\"type\":\"web_search\"}]},{\"role\":"
		"\"user\",\"content\":\"x\"}]}");
	assert_int_equal(m.r->n_tools, 2); /* the one that was there, and the server's */
	assert_false(str_present(m.r->tools[0].description));
	arena_free(m.a);
}

static void a_choice_may_name_a_tool_in_a_namespace(void **state)
{
	const char *tools = "\"tools\":[{\"type\":\"namespace\",\"name\":\"crm\",\"description\":"
			    "\"\",\"tools\":[{\"type\":\"function\",\"name\":\"find\"},{\"type\":"
			    "\"function\",\"name\":\"drop\"}]}]";
	static const char *const choices[] = {
		"{\"type\":\"function\",\"namespace\":\"crm\",\"name\":\"find\"}",
		"{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"function\","
		"\"namespace\":\"crm\",\"name\":\"find\"}]}",
	};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct arena *a = arena_new(1 << 20);
		struct str body =
			arena_printf(a, "{\"model\":\"m\",\"input\":\"x\",%s,\"tool_choice\":%s}",
				     tools, choices[i]);
		struct made m = decode(body.ptr);
		struct ir_losses losses;
		struct str out;

		assert_int_equal(m.rc, RC_OK);
		out = send_to(&m, &protocol_anthropic_messages, &losses);
		assert_int_equal(m.rc, RC_OK);
		assert_has(out, "\"name\":\"crm__find\"");
		if (i == 0)
			assert_has(out,
				   "\"tool_choice\":{\"type\":\"tool\",\"name\":\"crm__find\"");
		else
			assert_lacks(out, "crm__drop");
		arena_free(m.a);
		arena_free(a);
	}
}

static void trap_091_members_inside_items_and_tools_are_named(void **state)
{
	struct made m = decode(
		"{\"model\":\"m\",\"reasoning\":{\"summary\":\"concise\",\"mode\":\"pro\"},"
		"\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"defer_loading\":true,"
		"\"output_schema\":null}],\"input\":[{\"role\":\"assistant\",\"content\":\"a\","
		"\"phase\":\"commentary\",\"id\":\"msg_1\",\"status\":\"completed\"},{\"role\":"
		"\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"b\",\"tone\":1}]}]}");
	struct ir_losses losses;

	(void)state;
	assert_int_equal(m.rc, RC_OK);
	for (unsigned k = 0; protocols[k]; k++) {
		(void)send_to(&m, protocols[k], &losses);
		if (m.rc)
			continue; /* /api/generate: several turns */
		assert_has(ir_losses_text(&losses), "reasoning.mode");
		assert_has(ir_losses_text(&losses), "tools.defer_loading");
		assert_has(ir_losses_text(&losses), "input.phase");
		assert_has(ir_losses_text(&losses), "input.content.tone");
		assert_lacks(ir_losses_text(&losses), "output_schema");
		assert_lacks(ir_losses_text(&losses), "status");
		assert_has(ir_losses_text(&losses), "reasoning.summary");
	}
	arena_free(m.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			trap_094_items_only_openai_knows_are_left_out_and_named_everywhere),
		cmocka_unit_test(tools_that_a_search_found_may_be_called),
		cmocka_unit_test(a_choice_may_name_a_tool_in_a_namespace),
		cmocka_unit_test(trap_091_members_inside_items_and_tools_are_named),
		cmocka_unit_test(trap_064_text_bare_items_and_assistants_in_text),
		cmocka_unit_test(trap_063_results_refer_to_call_id_not_to_the_items_id),
		cmocka_unit_test(
			trap_050_reasoning_goes_back_with_its_own_id_and_proof_and_what_follows),
		cmocka_unit_test(trap_047_another_vendors_proof_reaches_that_vendor_alone),
		cmocka_unit_test(trap_076_allowed_tools_stay_a_constraint),
		cmocka_unit_test(custom_calls_and_their_results_keep_their_kind),
		cmocka_unit_test(tools_in_namespaces_are_tools_of_joined_names),
		cmocka_unit_test(trap_096_what_is_kept_elsewhere_is_refused),
		cmocka_unit_test(trap_073_stop_sequences_are_the_gateways_part),
		cmocka_unit_test(trap_097_what_the_api_lacks_is_named),
		cmocka_unit_test(wrong_types_are_refused_by_their_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
