/* tests/unit/policy/test_conversation.c - mirrors src/policy/conversation.c. */
#include "check.h"

#include "json/scan.h"
#include "policy/conversation.h"

static struct arena *arena;

static int set_up(void **state)
{
	(void)state;
	arena = arena_new(64 << 20);
	return arena ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	arena = arena_free(arena);
	return 0;
}

/* Without what made ids have of their turn and place. */
static struct str plain(struct str text)
{
	static const struct str turns[] = { STR_INIT("_r_"), STR_INIT("_in_") };
	char *to = arena_alloc(arena, text.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		to[n++] = text.ptr[i];
		for (unsigned k = 0; k < 2; k++) {
			size_t end = i + turns[k].len;

			if (!str_starts(str_from_offset(text, i), turns[k]))
				continue;
			while (end < text.len && text.ptr[end] >= '0' && text.ptr[end] <= '9')
				end++;
			i = end - 1;
		}
	}
	return (struct str){ to, n };
}

/* As a peek finds them. */
static int ask_of(struct str body, struct turn_ask *ret, struct err *reterr)
{
	struct json_want at[PEEK_TURN_COUNT] = {
		[PEEK_PREVIOUS] = { .key = "previous_response_id" },
		[PEEK_INPUT] = { .key = "input" },
		[PEEK_STORE] = { .key = "store" },
		[PEEK_BACKGROUND] = { .key = "background" },
		[PEEK_CONVERSATION] = { .key = "conversation" },
	};
	int rc = json_scan(body, at, PEEK_TURN_COUNT, reterr);

	return rc ? rc : turn_ask_read(arena, at, ret, reterr);
}

static struct turn_ask read_ask(const char *body)
{
	struct turn_ask ask;
	struct err e = { 0 };

	if (ask_of(str_from(body), &ask, &e) != RC_OK)
		fail_msg("%s", e.msg);
	return ask;
}

static void refuses_ask(const char *body, const char *param)
{
	struct turn_ask ask;
	struct err e = { 0 };

	assert_int_equal(ask_of(str_from(body), &ask, &e), RC_INVALID);
	assert_string_equal(e.param, param);
}

static void trap_097_what_a_body_says_of_state_is_read(void **state)
{
	struct turn_ask ask = read_ask(
		"{\"input\":\"x\",\"previous_response_id\":\"re\\u0073p_1\",\"stream\":true}");

	(void)state;
	CHECK_STR(ask.previous, "resp_1");
	CHECK_STR(ask.input, "\"x\"");
	assert_true(ask.store && !ask.background);
	ask = read_ask("{\"previous_response_id\":null,\"store\":null,\"background\":false}");
	assert_false(str_present(ask.previous) || str_present(ask.input));
	assert_true(ask.store);
	assert_false(read_ask("{\"store\":false}").store);
	assert_true(read_ask("{\"background\":true}").background);
	refuses_ask("{\"background\":true,\"store\":false}", "background");
	refuses_ask("{\"store\":\"no\"}", "store");
	refuses_ask("{\"previous_response_id\":7}", "previous_response_id");
	CHECK_STR(read_ask("{\"conversation\":\"conv_1\"}").conversation, "conv_1");
	CHECK_STR(read_ask("{\"conversation\":{\"id\":\"conv_1\"}}").conversation, "conv_1");
	assert_false(str_present(read_ask("{\"conversation\":null}").conversation));
	refuses_ask("{\"conversation\":{\"id\":1}}", "conversation");
	refuses_ask("{\"conversation\":\"conv_1\",\"previous_response_id\":\"resp_1\"}",
		    "conversation");
}

static void trap_064_short_items_take_their_full_form(void **state)
{
	(void)state;
	CHECK_STR(
		plain(turn_items(arena, STR("\"a\\\"b\""), STR("r"))),
		"[{\"id\":\"msg_\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"user\","
		"\"content\":[{\"type\":\"input_text\",\"text\":\"a\\\"b\"}]}]");
	CHECK_STR(plain(turn_items(arena, STR("[{\"role\":\"assistant\",\"content\":\"hi\"}]"),
				   STR("r"))),
		  "[{\"id\":\"msg_\",\"type\":\"message\",\"status\":\"completed\",\"role\":"
		  "\"assistant\","
		  "\"content\":[{\"type\":\"output_text\",\"text\":\"hi\",\"annotations\":[],"
		  "\"logprobs\":[]}]}]");
	CHECK_STR(plain(turn_items(
			  arena,
			  STR("[{\"type\":\"function_call_output\",\"id\":null,\"call_id\":\"c\","
			      "\"output\":\"1.10\"},{\"type\":\"reasoning\",\"id\":\"rs_1\",\"n\":"
			      "1.10}]"),
			  STR("r"))),
		  "[{\"id\":\"fco_\",\"type\":\"function_call_output\",\"call_id\":\"c\","
		  "\"output\":\"1.10\"},"
		  "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"n\":1.10}]");
	CHECK_STR(turn_items(arena, STR_NONE, STR("r")), "[]");
	/* an id that was made up is made up the same each time, and for no other turn or place */
	CHECK_STR_IS(turn_items(arena, STR("\"a\""), STR("r")),
		     turn_items(arena, STR("\"a\""), STR("r")));
	assert_false(str_eq(turn_items(arena, STR("\"a\""), STR("r")),
			    turn_items(arena, STR("\"a\""), STR("s"))));
	assert_false(str_present(turn_items(arena, STR("7"), STR("r"))));
}

static const struct stored_turn turns[] = {
	{ .id = STR_INIT("r1"),
	  .input = STR_INIT(
		  "[{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"user\",\"content\":[]}]"),
	  .answer = STR_INIT("{\"id\":\"r1\",\"output\":[{\"type\":\"reasoning\",\"id\":\"rs_1\","
			     "\"summary\":[]},"
			     "{\"type\":\"reasoning\",\"id\":\"rs_2\",\"encrypted_content\":\"E\"},"
			     "{\"id\":\"fc_1\",\"type\":\"function_call\",\"call_id\":\"c1\"}]}") },
	{ .id = STR_INIT("r2"),
	  .input = STR_INIT(
		  "[{\"type\":\"function_call_output\",\"id\":\"fco_1\",\"call_id\":\"c1\"}]"),
	  .answer = STR_INIT("{\"id\":\"r2\",\"output\":[{\"type\":\"message\",\"id\":\"msg_2\","
			     "\"role\":\"assistant\"}]}") },
};

static struct str expand(const char *body, enum turn_reader reader)
{
	struct turn_ask ask = read_ask(body);
	struct err e = { 0 };
	struct str result;
	struct buf out;

	buf_init(&out, 1 << 20);
	if (turn_expand(arena, str_from(body), &ask, turns, 2, reader, &out, &e) != RC_OK)
		fail_msg("%s", e.msg);
	assert_int_equal(json_scan(buf_str(&out), NULL, 0, NULL), RC_OK);
	result = arena_dup(arena, buf_str(&out));
	buf_done(&out);
	return result;
}

static void trap_096_all_turns_stand_before_the_new_input_in_order(void **state)
{
	(void)state;
	CHECK_STR(plain(expand("{\"model\":\"m\",\"previous_response_id\":\"r2\",\"input\":\"go "
			       "on\",\"x\":1.50}",
			       TURN_OURS)),
		  "{\"model\":\"m\",\"input\":[{\"type\":\"message\",\"status\":\"completed\","
		  "\"id\":\"msg_1\",\"role\":\"user\",\"content\":[]},{\"type\":\"reasoning\","
		  "\"id\":\"rs_1\",\"summary\":[]},{\"type\":\"reasoning\",\"id\":\"rs_2\","
		  "\"encrypted_content\":\"E\"},{\"id\":\"fc_1\",\"type\":\"function_call\",\"call_"
		  "id\":\"c1\"},{\"type\":\"function_call_output\",\"id\":\"fco_1\",\"call_id\":"
		  "\"c1\"},{\"type\":\"message\",\"id\":\"msg_2\",\"role\":\"assistant\"},{\"id\":"
		  "\"msg_\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"user\","
		  "\"content\":[{\"type\":\"input_text\",\"text\":\"go on\"}]}],\"x\":1.50}");
}

static void trap_050_another_server_gets_no_ids_it_cannot_know(void **state)
{
	(void)state;
	CHECK_STR(expand("{\"previous_response_id\":\"r2\",\"model\":\"m\"}", TURN_FOREIGN),
		  "{\"input\":[{\"type\":\"message\",\"status\":\"completed\",\"role\":\"user\","
		  "\"content\":[]},{\"type\":\"reasoning\",\"id\":\"rs_2\",\"encrypted_content\":"
		  "\"E\"},{\"type\":\"function_call\",\"call_id\":\"c1\"},{\"type\":\"function_"
		  "call_output\",\"call_id\":\"c1\"},{\"type\":\"message\",\"role\":\"assistant\"}]"
		  ",\"model\":\"m\"}");
}

static struct str page(const char *query)
{
	struct turn_page p;
	struct err e = { 0 };
	struct str result;
	struct buf out;
	int rc;

	buf_init(&out, 1 << 20);
	rc = turn_page_read(arena, str_from(query), &p, &e);
	if (rc == RC_OK)
		rc = turn_page_write(arena, &p, turns, 2, &out, &e);
	result =
		rc == RC_OK ? arena_dup(arena, buf_str(&out)) : arena_dup(arena, str_from(e.param));
	buf_done(&out);
	return result;
}

static unsigned count(struct str text, const char *needle)
{
	unsigned n = 0;

	for (ptrdiff_t at; (at = str_find(text, str_from(needle))) >= 0; n++)
		text = str_from_offset(text, (size_t)at + strlen(needle));
	return n;
}

static void input_items_come_in_pages(void **state)
{
	struct str p = page("order=asc&limit=100");

	(void)state;
	/* what was asked: all before, but not the answer itself */
	assert_int_equal(count(p, "\"id\":"), 5);
	assert_true(str_find(p, STR("msg_2")) < 0);
	assert_true(
		str_find(p,
			 STR("\"first_id\":\"msg_1\",\"last_id\":\"fco_1\",\"has_more\":false}")) >
		0);
	p = page("limit=2"); /* newest first, when nothing is said */
	assert_true(
		str_find(p, STR("\"first_id\":\"fco_1\",\"last_id\":\"fc_1\",\"has_more\":true}")) >
		0);
	p = page("limit=2&after=fc%5F1");
	assert_true(
		str_find(p, STR("\"first_id\":\"rs_2\",\"last_id\":\"rs_1\",\"has_more\":true}")) >
		0);
	p = page("after=msg_1");
	CHECK_STR(p, "{\"object\":\"list\",\"data\":[],\"first_id\":\"\",\"last_id\":\"\",\"has_"
		     "more\":false}");
	CHECK_STR(page("limit=0"), "limit");
	CHECK_STR(page("limit=101"), "limit");
	CHECK_STR(page("limit=x"), "limit");
	CHECK_STR(page("order=up"), "order");
	CHECK_STR(page("after=nobody"), "after");
}

static void members_are_set_and_read(void **state)
{
	struct turn_member m[] = { { "status", STR("\"cancelled\"") }, { "new", STR("[1]") } };

	(void)state;
	CHECK_STR(turn_set(arena, STR("{\"id\":\"a\",\"status\":\"queued\"}"), m, 2),
		  "{\"new\":[1],\"id\":\"a\",\"status\":\"cancelled\"}");
	CHECK_STR(turn_get(STR("{\"a\":{\"b\":1}}"), "a"), "{\"b\":1}");
	assert_false(str_present(turn_get(STR("{}"), "a")));
}

static struct stored_turn kept(const char *id, const char *input, const char *output,
			       const char *maker)
{
	return (struct stored_turn){
		.id = str_from(id),
		.input = str_from(input),
		.answer = arena_printf(arena, "{\"id\":\"%s\",\"output\":%s}", id, output),
		.maker = str_from(maker),
	};
}

static void items_that_are_only_named_are_found(void **state)
{
	const struct str input =
		STR("[{\"type\":\"item_reference\",\"id\":\"msg_abc_1\"},{\"id\": \"msg_9\" },"
		    "{\"type\":\"item_reference\",\"id\":\"rs_1\"},{\"role\":\"user\",\"content\":"
		    "\"x\"}]");
	const struct stored_turn held[] = {
		kept("resp_abc",
		     "[{\"role\":\"user\",\"content\":\"zero\"},\"no item\",{\"role\":"
		     "\"user\",\"content\":\"one\"}]",
		     "[]", NULL),
		kept("other", "\"y\"",
		     "[{\"type\":\"message\",\"id\":\"msg_9\",\"role\":\"assistant\","
		     "\"content\":[]}]",
		     NULL),
		kept("theirs", "\"z\"", "[{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[]}]",
		     "acme"),
	};
	struct turn_refs refs;
	struct turn_resolved r;
	struct err e;

	(void)state;
	assert_int_equal(turn_references(arena, input, &refs, &e), RC_OK);
	assert_int_equal(refs.n, 3);
	assert_int_equal(refs.refs[0].n, 3);
	CHECK_STR(refs.refs[0].ids[0], "msg_abc_1");
	CHECK_STR(refs.refs[0].ids[1], "abc");
	CHECK_STR(refs.refs[0].ids[2], "resp_abc");
	assert_int_equal(refs.refs[2].n, 1); /* of no turn here */
	CHECK_STR(refs.refs[2].ids[0], "rs_1");
	assert_int_equal(turn_resolve(arena, input, held, 3, STR("acme"), &r), RC_OK);
	CHECK_STR(r.missing, "msg_abc_1"); /* the turn has an item 0 and an item 2 */
	assert_int_equal(turn_references(arena, STR("[{\"role\":\"user\",\"content\":[]}]"), &refs,
					 &e),
			 RC_OK);
	assert_int_equal(refs.n, 0);
	assert_int_equal(turn_references(arena, STR("\"item_reference\""), &refs, &e), RC_OK);
	assert_int_equal(refs.n, 0);
}

static void what_the_provider_made_is_left_to_it_by_name(void **state)
{
	const struct str input = STR("[{\"id\":\"rs_1\"},{\"id\":\"msg_9\"}]");
	const struct stored_turn held[] = {
		kept("a", "\"z\"", "[{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[]}]",
		     "acme"),
		kept("b", "\"y\"",
		     "[{\"type\":\"message\",\"id\":\"msg_9\",\"role\":\"assistant\","
		     "\"content\":[]}]",
		     NULL),
	};
	struct turn_resolved r;

	(void)state;
	assert_int_equal(turn_resolve(arena, input, held, 2, STR("acme"), &r), RC_OK);
	assert_false(str_present(r.missing));
	CHECK_STR(r.ours, "[{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[]},{\"type\":"
			  "\"message\",\"id\":\"msg_9\",\"role\":\"assistant\",\"content\":[]}]");
	CHECK_STR(r.foreign, "[{\"id\":\"rs_1\"},{\"type\":\"message\",\"role\":\"assistant\","
			     "\"content\":[]}]");
	assert_int_equal(turn_resolve(arena, input, held, 2, STR("another"), &r), RC_OK);
	CHECK_STR(r.foreign, "[{\"type\":\"message\",\"role\":\"assistant\",\"content\":[]}]");
}

static void an_item_is_taken_from_where_it_was_made(void **state)
{
	const struct str input = STR("[{\"id\":\"msg_9\"},{\"id\":\"msg_8\"}]");
	const struct stored_turn held[] = {
		kept("b", "[{\"id\":\"msg_9\",\"n\":2},{\"id\":\"msg_8\",\"n\":3}]", "[]", NULL),
		kept("c", "[{\"id\":\"msg_8\",\"n\":4}]", "[]", NULL),
		kept("a", "\"z\"", "[{\"id\":\"msg_9\",\"n\":1}]", "acme"),
	};
	struct turn_resolved r;

	(void)state;
	assert_int_equal(turn_resolve(arena, input, held, 3, STR("acme"), &r), RC_OK);
	CHECK_STR(
		r.ours,
		"[{\"id\":\"msg_9\",\"n\":1},{\"id\":\"msg_8\",\"n\":3}]"); /* the newest of equals */
	CHECK_STR(r.foreign, "[{\"id\":\"msg_9\"},{\"id\":\"msg_8\",\"n\":3}]");
}

/* The list is as long as may be, the ids begin alike, and turns say each of them again and again. */
static void many_names_each_find_their_own(void **state)
{
	struct buf input, said;
	struct stored_turn held[2];
	struct turn_refs refs;
	struct turn_resolved r;
	struct err e = { 0 };

	(void)state;
	buf_init(&input, 1 << 20);
	buf_init(&said, 1 << 20);
	for (int i = 256; i > 0; i--)
		buf_printf(&input, "%c{\"id\":\"i%d\"}", i == 256 ? '[' : ',', i % 128);
	for (int i = 0; i < 1000; i++)
		buf_printf(&said, "%c{\"id\":\"i%d\",\"n\":%d}", i ? ',' : '[', i % 200, i);
	buf_puts(&input, "]");
	buf_puts(&said, ",{\"id\":\"\"},{\"id\":\"i\"}]");
	held[0] = kept("a", arena_dup(arena, buf_str(&said)).ptr, "[]", NULL);
	held[1] = kept("b", "[{\"id\":\"i1\",\"n\":-2}]", "[{\"id\":\"i12\",\"n\":-1}]", NULL);
	assert_int_equal(turn_references(arena, buf_str(&input), &refs, &e), RC_OK);
	assert_int_equal(refs.n, 256);
	assert_int_equal(turn_resolve(arena, buf_str(&input), held, 2, STR("acme"), &r), RC_OK);
	assert_false(str_present(r.missing));
	for (int i = 0; i < 128; i++) {
		char want[64];

		(void)snprintf(want, sizeof(want), "{\"id\":\"i%d\",\"n\":%d}", i,
			       i == 12 ? -1 : 800 + i);
		assert_true(str_find(r.ours, str_from(want)) >= 0);
	}
	assert_true(str_find(r.ours, STR("-2")) < 0);
	assert_int_equal(turn_resolve(arena, STR("[{\"id\":\"i1\"},{\"id\":\"i1000\"}]"), held, 2,
				      STR("acme"), &r),
			 RC_OK);
	CHECK_STR(r.missing, "i1000");
	buf_done(&input);
	buf_done(&said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(items_that_are_only_named_are_found, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(an_item_is_taken_from_where_it_was_made, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(many_names_each_find_their_own, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_provider_made_is_left_to_it_by_name,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(trap_097_what_a_body_says_of_state_is_read, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(trap_064_short_items_take_their_full_form, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			trap_096_all_turns_stand_before_the_new_input_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(trap_050_another_server_gets_no_ids_it_cannot_know,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(input_items_come_in_pages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(members_are_set_and_read, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
