/* tests/unit/protocols/openai_responses/test_response.c - mirrors response_decode.c, response_items.c, response_encode.c and
 * relay.c. Rule: however items overlap and bytes are cut, the events are the same; a failure is told in both its forms. */
#include "check.h"

#include "tape.h"

static const struct protocol *const p = &protocol_openai_responses;

#define CREATED                                                                                \
	"event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":"  \
	"\"resp_9\",\"status\":\"in_progress\",\"error\":null,\"model\":\"m\",\"output\":[]}," \
	"\"sequence_number\":0}\n\n"
#define CALL(n, args)                                                                            \
	"{\"type\":\"function_call\",\"id\":\"fc_" #n "\",\"call_id\":\"call_" #n "\",\"name\":" \
	"\"f\",\"arguments\":\"" args "\"}"
#define ADDED(n)                                                              \
	"data: {\"type\":\"response.output_item.added\",\"output_index\":" #n \
	",\"item\":" CALL(n, "") "}\n\n"
#define ARGS(n, piece)                                                                    \
	"data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":" #n \
	",\"delta\":\"" piece "\"}\n\n"
#define DONE(n, args)                                                        \
	"data: {\"type\":\"response.output_item.done\",\"output_index\":" #n \
	",\"item\":" CALL(n, args) "}\n\n"
#define COMPLETED(output)                                                                      \
	"data: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_9\",\"status\":"   \
	"\"completed\",\"model\":\"m\",\"output\":[" output "],\"usage\":{\"input_tokens\":3," \
	"\"output_tokens\":4,\"total_tokens\":7}}}\n\n"

/* The events of a stream, the same at every cut. */
static void play(const char *stream, struct tape *ret, int want)
{
	struct feed f = { .p = p, .sink = &ret->sink };

	tape_init(ret);
	assert_int_equal(feed_stream(&f, str_from(stream), 0), want);
	for (size_t step = 1; step < 40; step++) {
		struct tape cut;
		struct feed again = { .p = p, .sink = &cut.sink };

		tape_init(&cut);
		assert_int_equal(feed_stream(&again, str_from(stream), step), want);
		assert_true(str_eq(buf_str(&cut.text), buf_str(&ret->text)));
		tape_done(&cut);
	}
}

static void assert_has(struct str text, const char *piece)
{
	if (str_find(text, str_from(piece)) < 0)
		fail_msg("\"%s\" is not in %.*s", piece, STR_ARG(text));
}

static void trap_001_calls_that_overlap_come_one_after_another(void **state)
{
	struct tape t;

	(void)state;
	play(CREATED ADDED(0) ADDED(1) ARGS(1, "{}") ARGS(0, "{\\\"a\\\":") DONE(1, "{}")
		     ARGS(0, "1}") DONE(0, "{\\\"a\\\":1}") COMPLETED(""),
	     &t, RC_OK);
	assert_has(buf_str(&t.text),
		   "\"id\":\"call_0\",\"name\":\"f\"}\n"
		   "{\"event\":\"DELTA\",\"of\":\"arguments\",\"text\":\"{\\\"a\\\":\"}\n"
		   "{\"event\":\"DELTA\",\"of\":\"arguments\",\"text\":\"1}\"}\n"
		   "{\"event\":\"CLOSE\",\"index\":0}\n"
		   "{\"event\":\"OPEN\",\"index\":1,\"block\":\"tool_call\",\"id\":\"call_1\"");
	assert_has(buf_str(&t.text), "\"stop\":\"tool_calls\"");
	tape_done(&t);
}

static void only_the_last_event_is_enough(void **state)
{
	struct tape t;

	(void)state;
	play(COMPLETED("{\"type\":\"message\",\"id\":\"msg_1\",\"content\":[{\"type\":"
		       "\"output_text\",\"text\":\"Hi\",\"annotations\":[]}]}," CALL(1, "{}")),
	     &t, RC_OK);
	assert_has(buf_str(&t.text), "\"text\":\"Hi\"");
	assert_has(buf_str(&t.text), "\"id\":\"call_1\"");
	assert_has(buf_str(&t.text), "\"input\":3,\"output\":4");
	tape_done(&t);
}

static void trap_113_without_its_last_event_it_was_cut(void **state)
{
	struct tape t;

	(void)state;
	play(CREATED ADDED(0) DONE(0, "{}"), &t, RC_CLOSED);
	tape_done(&t);
}

static void trap_111_errors_in_every_shape(void **state)
{
	static const char *const ends[] = {
		"data: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"slow "
		"down\",\"param\":null}\n\n",
		"data: {\"type\":\"error\",\"error\":{\"type\":\"x\",\"code\":"
		"\"rate_limit_exceeded\",\"message\":\"slow down\",\"param\":null}}\n\n",
		"data: "
		"{\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{"
		"\"code\":\"rate_limit_exceeded\",\"message\":\"slow down\"}}}\n\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct tape t;

		play(ends[i], &t, RC_OK);
		assert_has(buf_str(&t.text), "\"message\":\"slow down\"");
		assert_has(buf_str(&t.text), "\"status\":429");
		tape_done(&t);
	}
}

static void trap_111_a_relayed_stream_that_fails_ends_in_response_failed(void **state)
{
	struct arena *a = arena_new(1 << 20), *scratch = arena_new(1 << 20);
	struct relay_tap tap = { .arena = a, .usage = IR_USAGE_NONE };
	struct ir_error e = { .kind = IR_ERR_UPSTREAM,
			      .message = STR("gone"),
			      .retry_after_ms = -1 };
	struct sse_parser sse;
	struct frame ev;
	struct buf out;
	size_t used;

	(void)state;
	sse_init(&sse, 1 << 20);
	assert_int_equal(sse_next(&sse, STR(CREATED), &ev, &used), SSE_EVENT);
	assert_int_equal(p->tap_event(&tap, scratch, &ev), 0);
	buf_init(&out, 1 << 20);
	p->encode_relay_error(&tap, &e, STR("req_1"), &out);
	assert_has(buf_str(&out), "event: error\ndata: {\"type\":\"error\"");
	assert_has(buf_str(&out), "\"sequence_number\":1}");
	assert_has(buf_str(&out),
		   "\"response\":{\"id\":\"resp_9\",\"status\":\"failed\",\"error\":{"
		   "\"code\":\"server_error\",\"message\":\"gone\"}");
	buf_done(&out);
	sse_done(&sse);
	arena_free(scratch);
	arena_free(a);
}

#define DRAWN                                                                           \
	"{\"type\":\"image_generation_call\",\"id\":\"ig_1\",\"status\":\"completed\"," \
	"\"result\":\"/9j/4AAQ\"}"

static void trap_053_what_is_drawn_is_a_picture_by_its_bytes(void **state)
{
	struct tape t;

	(void)state;
	play(CREATED
	     "data: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":"
	     "\"image_generation_call\",\"id\":\"ig_1\",\"status\":\"in_progress\",\"result\":"
	     "null}}\n\n"
	     "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":" DRAWN
	     "}\n\n" COMPLETED(DRAWN),
	     &t, RC_OK);
	assert_has(buf_str(&t.text), "\"block\":\"opaque\",\"origin\":\"openai-responses\"}\n"
				     "{\"event\":\"DELTA\",\"of\":\"raw\"");
	assert_has(buf_str(&t.text), "\"picture\":\"data:image/jpeg;base64,/9j/4AAQ\","
				     "\"lost\":\"answer.image\"}\n{\"event\":\"CLOSE\",\"index\":0}"
				     "\n{\"event\":\"USAGE\"");
	tape_done(&t);
}

/* An answer that was cut behind a picture, which is whole. */
static void a_picture_of_anothers_is_an_item_that_is_completed(void **state)
{
	const struct ir_event events[] = {
		{ .kind = IR_START, .id = STR("x"), .name = STR("y"), .usage = IR_USAGE_NONE },
		{ .kind = IR_OPEN, .block = IR_BLOCK_OPAQUE, .origin = "gemini" },
		{ .kind = IR_DELTA,
		  .block = IR_BLOCK_OPAQUE,
		  .delta = IR_DELTA_RAW,
		  .text = STR("{}"),
		  .picture = STR("data:image/png;base64,AA\"A") },
		{ .kind = IR_CLOSE, .block = IR_BLOCK_OPAQUE },
		{ .kind = IR_OPEN, .index = 1, .block = IR_BLOCK_OPAQUE, .origin = "gemini" },
		{ .kind = IR_DELTA,
		  .index = 1,
		  .block = IR_BLOCK_OPAQUE,
		  .delta = IR_DELTA_RAW,
		  .text = STR("{\"executableCode\":1}") },
		{ .kind = IR_CLOSE, .index = 1, .block = IR_BLOCK_OPAQUE },
		{ .kind = IR_FINISH, .stop = IR_STOP_LENGTH },
	};
	struct client_tape c;

	(void)state;
	client_init(&c, p, true);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		assert_int_equal(ir_emit(&c.sink, &events[i]), RC_OK);
	assert_has(buf_str(&c.out), "\"type\":\"image_generation_call\",\"result\":null,"
				    "\"status\":\"in_progress\"}");
	assert_has(buf_str(&c.out), "\"output\":[{\"id\":\"ig_id-100\",\"type\":"
				    "\"image_generation_call\",\"result\":\"AA\\\"A\","
				    "\"status\":\"completed\"}]");
	assert_has(buf_str(&c.out), "\"status\":\"incomplete\"");
	client_done(&c);
}

static void trap_106_the_item_in_which_an_answer_was_cut_is_incomplete(void **state)
{
	const struct ir_event events[] = {
		{ .kind = IR_START, .id = STR("x"), .name = STR("y"), .usage = IR_USAGE_NONE },
		{ .kind = IR_OPEN, .block = IR_BLOCK_TEXT },
		{ .kind = IR_DELTA, .block = IR_BLOCK_TEXT, .text = STR("Hi") },
		{ .kind = IR_CLOSE, .block = IR_BLOCK_TEXT },
		{ .kind = IR_FINISH, .stop = IR_STOP_LENGTH },
	};
	struct client_tape c;

	(void)state;
	client_init(&c, p, true);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		assert_int_equal(ir_emit(&c.sink, &events[i]), RC_OK);
	assert_has(buf_str(&c.out), "\"status\":\"incomplete\",\"completed_at\":null");
	assert_has(buf_str(&c.out), "{\"reason\":\"max_output_tokens\"}");
	assert_has(buf_str(&c.out), "\"logprobs\":[]}],\"status\":\"incomplete\"}");
	assert_true(str_ends(buf_str(&c.out), STR("data: [DONE]\n\n")));
	client_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_001_calls_that_overlap_come_one_after_another),
		cmocka_unit_test(only_the_last_event_is_enough),
		cmocka_unit_test(trap_113_without_its_last_event_it_was_cut),
		cmocka_unit_test(trap_111_errors_in_every_shape),
		cmocka_unit_test(trap_111_a_relayed_stream_that_fails_ends_in_response_failed),
		cmocka_unit_test(trap_053_what_is_drawn_is_a_picture_by_its_bytes),
		cmocka_unit_test(a_picture_of_anothers_is_an_item_that_is_completed),
		cmocka_unit_test(trap_106_the_item_in_which_an_answer_was_cut_is_incomplete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
