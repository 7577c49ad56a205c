/* Mirrors src/protocols/ollama/response_decode.c. Rule under test: however the network cuts the lines, the same events come,
 * and an answer ends only where it says so. */
#include "check.h"

#include "tape.h"

#define LINE(rest) \
	"{\"model\":\"llama3\",\"created_at\":\"2024-05-24T20:26:46.294874Z\"," rest "}\n"
#define SAID(text) \
	LINE("\"message\":{\"role\":\"assistant\",\"content\":\"" text "\"},\"done\":false")
#define DONE(rest) LINE("\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true" rest)
#define COUNTS ",\"total_duration\":5,\"prompt_eval_count\":17,\"eval_count\":63"
#define START "{\"event\":\"START\",\"id\":\"\",\"model\":\"llama3\",\"usage\":{}}\n"
#define TEXT(i, text)                                                   \
	"{\"event\":\"OPEN\",\"index\":" i ",\"block\":\"text\"}\n"     \
	"{\"event\":\"DELTA\",\"of\":\"text\",\"text\":\"" text "\"}\n" \
	"{\"event\":\"CLOSE\",\"index\":" i "}\n"
#define USAGE "{\"event\":\"USAGE\",\"usage\":{\"input\":17,\"output\":63}}\n"
#define END(stop) "{\"event\":\"FINISH\",\"stop\":\"" stop "\"}\n"

static struct str tape_of(struct tape *t, const struct protocol *p, const char *in, size_t step,
			  int want_rc)
{
	struct feed f = { .p = p, .sink = &t->sink };

	tape_init(t);
	t->join = true;
	if (step == SIZE_MAX)
		assert_int_equal(feed_body(&f, str_from(in)), want_rc);
	else
		assert_int_equal(feed_stream(&f, str_from(in), step), want_rc);
	if (want_rc == 0 && f.breach)
		fail_msg("%s", f.breach);
	return buf_str(&t->text);
}

static void expect(const struct protocol *p, const char *in, const char *want, int rc)
{
	struct tape t;

	for (size_t step = 0; step <= strlen(in); step++) {
		struct str got = tape_of(&t, p, in, step, rc);

		if (!str_eq(got, str_from(want)))
			fail_msg("%zu bytes at a time\ngot:  %.*s\nwant: %s", step, STR_ARG(got),
				 want);
		tape_done(&t);
	}
}

static void body(const char *in, const char *want, int rc)
{
	struct tape t;
	struct str got = tape_of(&t, &protocol_ollama_chat, in, SIZE_MAX, rc);

	if (!str_eq(got, str_from(want)))
		fail_msg("got:  %.*s\nwant: %s", STR_ARG(got), want);
	tape_done(&t);
}

static void a_streamed_conversation(void **state)
{
	expect(&protocol_ollama_chat,
	       SAID("H\xc3\xa9l") SAID("lo\\n") SAID("") DONE(",\"done_reason\":\"stop\"" COUNTS),
	       START TEXT("0", "H\xc3\xa9llo\\n") USAGE END("end"), 0);
}

static void a_streamed_prompt(void **state)
{
	expect(&protocol_ollama_generate,
	       LINE("\"response\":\"Hel\",\"done\":false")
		       LINE("\"response\":\"lo\",\"done\":false")
			       LINE("\"response\":\"\",\"done\":true,\"done_reason\":\"length\","
				    "\"context\":[1]" COUNTS),
	       START TEXT("0", "Hello") USAGE END("length"), 0);
}

static void blank_lines_and_crlf_do_nothing(void **state)
{
	expect(&protocol_ollama_chat, "\r\n" SAID("a") "\n\r\n" DONE(COUNTS),
	       START TEXT("0", "a") USAGE END("end"), 0);
}

static void thoughts_come_before_words(void **state)
{
	expect(&protocol_ollama_chat,
	       LINE("\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"Hm\"},"
		    "\"done\":false") LINE("\"message\":{\"role\":\"assistant\",\"content\":"
					   "\"Yes\",\"thinking\":\".\"},\"done\":false")
		       DONE(COUNTS),
	       START "{\"event\":\"OPEN\",\"index\":0,\"block\":\"reasoning\"}\n"
		     "{\"event\":\"DELTA\",\"of\":\"text\",\"text\":\"Hm.\"}\n"
		     "{\"event\":\"CLOSE\",\"index\":0}\n" TEXT("1", "Yes") USAGE END("end"),
	       0);
}

#define CALL(i, id, name, arguments)                                               \
	"{\"event\":\"OPEN\",\"index\":" i ",\"block\":\"tool_call\",\"id\":\"" id \
	"\",\"name\":\"" name "\"}\n"                                              \
	"{\"event\":\"DELTA\",\"of\":\"arguments\",\"text\":\"" arguments "\"}\n"  \
	"{\"event\":\"CLOSE\",\"index\":" i "}\n"

static void trap_018_and_trap_059_calls_are_objects_and_end_with_stop(void **state)
{
	expect(&protocol_ollama_chat,
	       LINE("\"message\":{\"role\":\"assistant\",\"content\":\"So\",\"tool_calls\":["
		    "{\"id\":\"call_a\",\"function\":{\"index\":0,\"name\":\"f\",\"arguments\":{"
		    "\"n\":9007199254740993}}},"
		    "{\"id\":\"call_b\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]},"
		    "\"done\":false") DONE(",\"done_reason\":\"stop\"" COUNTS),
	       START TEXT("0", "So") CALL("1", "call_a", "f", "{\\\"n\\\":9007199254740993}")
		       CALL("2", "call_b", "g", "{}") USAGE END("tool_calls"),
	       0);
}

/* The ids of two calls without any, from the tape. */
static void made_ids(const char *created_at, char ids[2][32])
{
	char in[1024];
	struct tape t;
	struct str got;

	(void)snprintf(in, sizeof(in),
		       "{\"model\":\"m\",\"created_at\":\"%s\",\"message\":{\"tool_calls\":["
		       "{\"function\":{\"name\":\"f\",\"arguments\":{}}},"
		       "{\"function\":{\"name\":\"f\",\"arguments\":{}}}]},\"done\":true}\n",
		       created_at);
	got = tape_of(&t, &protocol_ollama_chat, in, 0, 0);
	for (unsigned i = 0; i < 2; i++) {
		ptrdiff_t at = str_find(got, STR("\"call_"));
		struct str rest;

		assert_true(at >= 0);
		rest = str_from_offset(got, (size_t)at + 1);
		got = rest;
		rest = str_cut(&got, '"');
		assert_true(rest.len < 32);
		memcpy(ids[i], rest.ptr, rest.len);
		ids[i][rest.len] = '\0';
	}
	tape_done(&t);
}

static void trap_062_calls_without_ids_get_some_unlike_any_other(void **state)
{
	char a[2][32], again[2][32], later[2][32];

	made_ids("2024-05-24T20:26:46.294874Z", a);
	made_ids("2024-05-24T20:26:46.294874Z", again);
	made_ids("2024-05-24T20:26:47.294874Z", later);
	assert_string_not_equal(a[0], a[1]);
	assert_string_equal(a[0], again[0]);
	assert_string_equal(a[1], again[1]);
	assert_string_not_equal(a[0], later[0]);
}

static void trap_111_an_error_in_the_stream(void **state)
{
	expect(&protocol_ollama_chat, SAID("So") "{\"error\":\"an error was encountered\"}\n",
	       START "{\"event\":\"OPEN\",\"index\":0,\"block\":\"text\"}\n"
		     "{\"event\":\"DELTA\",\"of\":\"text\",\"text\":\"So\"}\n"
		     "{\"event\":\"ERROR\",\"kind\":\"upstream\",\"status\":502,\"message\":\"an "
		     "error was encountered\"}\n",
	       0);
}

static void trap_113_without_done_it_was_cut(void **state)
{
	const char *open = START "{\"event\":\"OPEN\",\"index\":0,\"block\":\"text\"}\n"
				 "{\"event\":\"DELTA\",\"of\":\"text\",\"text\":\"So\"}\n";

	expect(&protocol_ollama_chat, SAID("So"), open, RC_CLOSED);
	expect(&protocol_ollama_chat, SAID("So") "{\"model\":\"llama3\",\"mess", open, RC_CLOSED);
	expect(&protocol_ollama_chat, "", "", RC_CLOSED);
}

static void trap_119_no_counts_are_unknown_not_zero(void **state)
{
	expect(&protocol_ollama_chat, SAID("a") DONE(""), START TEXT("0", "a") END("end"), 0);
	expect(&protocol_ollama_chat, SAID("a") DONE(",\"eval_count\":3"),
	       START TEXT("0", "a") "{\"event\":\"USAGE\",\"usage\":{\"output\":3}}\n" END("end"),
	       0);
}

static void what_is_no_line_of_ours(void **state)
{
	expect(&protocol_ollama_chat, "<html>\n", "", RC_SYNTAX);
	expect(&protocol_ollama_chat, "[1]\n", "", RC_SYNTAX);
}

static void whole_bodies(void **state)
{
	body("{\"model\":\"llama3\",\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},"
	     "\"done\":true,"
	     "\"done_reason\":\"stop\"" COUNTS "}",
	     START TEXT("0", "Hi") USAGE END("end"), 0);
	body("{\"model\":\"llama3\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":"
	     "true,"
	     "\"done_reason\":\"load\"}",
	     START END("end"), 0);
	body("{\"error\":\"no\"}",
	     "{\"event\":\"ERROR\",\"kind\":\"upstream\",\"status\":502,\"message\":\"no\"}\n", 0);
	body("{\"model\":\"llama3\"}", "", RC_SYNTAX);
	body("", "", RC_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_streamed_conversation),
		cmocka_unit_test(a_streamed_prompt),
		cmocka_unit_test(blank_lines_and_crlf_do_nothing),
		cmocka_unit_test(thoughts_come_before_words),
		cmocka_unit_test(trap_018_and_trap_059_calls_are_objects_and_end_with_stop),
		cmocka_unit_test(trap_062_calls_without_ids_get_some_unlike_any_other),
		cmocka_unit_test(trap_111_an_error_in_the_stream),
		cmocka_unit_test(trap_113_without_done_it_was_cut),
		cmocka_unit_test(trap_119_no_counts_are_unknown_not_zero),
		cmocka_unit_test(what_is_no_line_of_ours),
		cmocka_unit_test(whole_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
