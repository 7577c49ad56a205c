/* OpenAI's Completions: answers of providers as events, cut anywhere, and events as such answers, with the prompt in front where
 * it was asked for. */
#include "check.h"

#include "tape.h"

#define CHUNK(text, more)                                                                        \
	"data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\"," \
	"\"choices\":[{\"text\":\"" text "\",\"index\":0," more "}]}\n\n"
#define OPEN "\"logprobs\":null,\"finish_reason\":null"
#define USAGE                                                                     \
	"data: {\"id\":\"cmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":3," \
	"\"completion_tokens\":2,\"total_tokens\":5}}\n\n"
#define DONE "data: [DONE]\n\n"

/* The events of a stream, the same for every cut; or what went wrong. */
static struct str events(struct arena *a, const char *stream, const struct ir_request *r)
{
	struct str first = STR_NONE;

	for (size_t step = 0; step <= strlen(stream); step++) {
		struct tape t;
		struct feed f = { .p = &protocol_openai_completions,
				  .sink = &t.sink,
				  .request = r };
		struct str got;
		int rc;

		tape_init(&t);
		rc = feed_stream(&f, str_from(stream), step);
		assert_null(f.breach);
		got = arena_printf(a, "%.*s%s", STR_ARG(buf_str(&t.text)), rc ? f.err.msg : "");
		tape_done(&t);
		if (step == 0)
			first = got;
		else
			CHECK_STR_IS(got, first);
	}
	return first;
}

#define START "{\"event\":\"START\",\"id\":\"cmpl-1\",\"model\":\"m\",\"usage\":{}}\n"
#define HEL                                                        \
	"{\"event\":\"OPEN\",\"index\":0,\"block\":\"text\"}\n"    \
	"{\"event\":\"DELTA\",\"of\":\"text\",\"text\":\"Hel\"}\n" \
	"{\"event\":\"DELTA\",\"of\":\"text\",\"text\":\"lo\"}\n"  \
	"{\"event\":\"CLOSE\",\"index\":0}\n"
#define COUNTED "{\"event\":\"USAGE\",\"usage\":{\"input\":3,\"output\":2}}\n"
#define FINISH(why) "{\"event\":\"FINISH\",\"stop\":\"" why "\"}\n"

static void streams_end_with_a_reason_usage_or_done_in_any_order(void **state)
{
	struct arena *a = arena_new(64 << 20);

	(void)state;
	CHECK_STR(events(a, CHUNK("Hel", OPEN) CHUNK("lo", "\"finish_reason\":\"stop\"") USAGE DONE,
			 NULL),
		  START HEL COUNTED FINISH("end"));
	CHECK_STR(events(a, CHUNK("Hel", OPEN) CHUNK("lo", "\"finish_reason\":\"length\"") DONE,
			 NULL),
		  START HEL FINISH("length"));
	CHECK_STR(events(a,
			 CHUNK("Hel", OPEN) CHUNK("lo", OPEN)
				 CHUNK("", "\"finish_reason\":\"content_filter\""),
			 NULL),
		  START HEL FINISH("refusal"));
	arena_free(a);
}

static void trap_113_a_cut_stream_is_no_end(void **state)
{
	struct arena *a = arena_new(64 << 20);

	(void)state;
	CHECK_STR(events(a, CHUNK("Hel", OPEN), NULL),
		  START "{\"event\":\"OPEN\",\"index\":0,\"block\":\"text\"}\n"
			"{\"event\":\"DELTA\",\"of\":\"text\",\"text\":\"Hel\"}\n"
			"the provider's answer was cut off");
	CHECK_STR(events(a, DONE, NULL), "the provider's answer was empty");
	arena_free(a);
}

static void trap_112_an_error_inside_a_stream_is_one(void **state)
{
	struct arena *a = arena_new(64 << 20);

	(void)state;
	CHECK_STR(
		events(a,
		       CHUNK("Hel", OPEN) "data: {\"error\":{\"message\":\"no\",\"code\":429}}\n\n",
		       NULL),
		START "{\"event\":\"OPEN\",\"index\":0,\"block\":\"text\"}\n"
		      "{\"event\":\"DELTA\",\"of\":\"text\",\"text\":\"Hel\"}\n"
		      "{\"event\":\"ERROR\",\"kind\":\"rate_limit\",\"status\":429,\"message\":"
		      "\"no\"}\n");
	arena_free(a);
}

static void trap_074_the_sequence_that_matched_is_known(void **state)
{
	struct str stop = STR("END");
	struct ir_request r = { .stop = &stop, .n_stop = 1 };
	struct arena *a = arena_new(64 << 20);

	(void)state;
	CHECK_STR(events(a,
			 CHUNK("Hel", OPEN) CHUNK(
				 "lo", "\"finish_reason\":\"stop\",\"stop_reason\":\"END\"") DONE,
			 &r),
		  START HEL
		  "{\"event\":\"FINISH\",\"stop\":\"stop_sequence\",\"sequence\":\"END\"}\n");
	arena_free(a);
}

static void a_body_says_the_same(void **state)
{
	const char *body =
		"{\"id\":\"cmpl-1\",\"model\":\"m\",\"choices\":[{\"text\":\"other\",\"index\":1},"
		"{\"text\":\"Hello\",\"index\":0,\"finish_reason\":\"stop\"}],"
		"\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}";
	static const char *const nonsense[] = { "{}", "{\"choices\":[]}", "{\"choices\":[{}]}",
						"<p>" };
	struct tape t;
	struct feed f = { .p = &protocol_openai_completions, .sink = &t.sink };

	(void)state;
	tape_init(&t);
	assert_int_equal(feed_body(&f, str_from(body)), RC_OK);
	CHECK_STR(buf_str(&t.text),
		  "{\"event\":\"START\",\"id\":\"cmpl-1\",\"model\":\"m\",\"usage\":{\"input\":3,"
		  "\"output\":2}}\n"
		  "{\"event\":\"OPEN\",\"index\":0,\"block\":\"text\"}\n"
		  "{\"event\":\"DELTA\",\"of\":\"text\",\"text\":\"Hello\"}\n"
		  "{\"event\":\"CLOSE\",\"index\":0}\n" COUNTED FINISH("end"));
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(feed_body(&f, str_from(nonsense[i])), RC_SYNTAX);
	tape_done(&t);
}

/* --- towards clients --- */

/* A request as a client sent it; a prompt in `more` counts instead of the usual one. */
static const struct ir_request *asked(struct arena *a, const char *more)
{
	struct str body = arena_printf(a, "{\"model\":\"m\",\"prompt\":\"\\u00c4h\"%s}", more);
	struct ir_request *r;

	assert_int_equal(protocol_openai_completions.decode_request(a, &request_line_plain, body,
								    &r, NULL),
			 RC_OK);
	return r;
}

#define PIECE(text, logprobs, finish)                                                       \
	"data: {\"id\":\"i\",\"object\":\"text_completion\",\"created\":1,\"model\":\"n\"," \
	"\"choices\":[{\"index\":0,\"text\":\"" text "\",\"logprobs\":" logprobs            \
	",\"finish_reason\":" finish "}]}\n\n"

static struct encoder_options options(struct arena *a, const struct ir_request *r)
{
	return (struct encoder_options){
		.arena = a, .request = r, .id = STR("i"), .model = STR("n"), .created_s = 1
	};
}

static struct str stream(struct arena *a, const struct encoder_options *o, enum ir_stop stop,
			 const char *logprobs)
{
	const struct ir_event evs[] = {
		{ .kind = IR_START, .usage = IR_USAGE_NONE },
		{ .kind = IR_OPEN, .block = IR_BLOCK_REASONING },
		{ .kind = IR_DELTA, .block = IR_BLOCK_REASONING, .text = STR("hm") },
		{ .kind = IR_CLOSE, .block = IR_BLOCK_REASONING },
		{ .kind = IR_OPEN, .index = 1 },
		{ .kind = IR_DELTA,
		  .index = 1,
		  .text = STR("a\n"),
		  .logprobs = str_from(logprobs) },
		{ .kind = IR_DELTA, .index = 1, .text = STR("b"), .logprobs = str_from(logprobs) },
		{ .kind = IR_CLOSE, .index = 1 },
		{ .kind = IR_USAGE, .usage = { .input = 3, .output = 2 } },
		{ .kind = IR_FINISH, .stop = stop },
	};
	struct protocol_encoder *e = protocol_openai_completions.encoder_new(o);
	struct buf b;
	struct str copy;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < sizeof(evs) / sizeof(evs[0]); i++)
		assert_int_equal(protocol_openai_completions.encode_event(e, &evs[i], &b), RC_OK);
	copy = arena_dup(a, buf_str(&b));
	buf_done(&b);
	return copy;
}

static void a_client_gets_pieces_of_text_and_done(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct encoder_options o = options(a, NULL);

	(void)state;
	o.request = asked(a, "");
	CHECK_STR(stream(a, &o, IR_STOP_LENGTH, NULL),
		  PIECE("a\\n", "null", "null") PIECE("b", "null", "null")
			  PIECE("", "null", "\"length\"") DONE);
	arena_free(a);
}

static void echo_puts_the_prompt_before_the_answer(void **state)
{
	struct ir_block block = { .kind = IR_BLOCK_TEXT, .text = STR("!") };
	struct ir_response r = { .blocks = &block, .n_blocks = 1, .usage = IR_USAGE_NONE };
	struct arena *a = arena_new(1 << 20);
	struct encoder_options o = options(a, asked(a, ",\"echo\":true"));
	struct buf b;

	(void)state;
	CHECK_STR(stream(a, &o, IR_STOP_TOOL_CALLS, NULL),
		  PIECE("\xc3\x84h", "null", "null") PIECE("a\\n", "null", "null")
			  PIECE("b", "null", "null") PIECE("", "null", "\"stop\"") DONE);
	buf_init(&b, 1 << 20);
	assert_int_equal(protocol_openai_completions.encode_response(&o, &r, &b), RC_OK);
	assert_true(str_find(buf_str(&b), STR("\"text\":\"\xc3\x84h!\",\"logprobs\":null")) > 0);
	buf_done(&b);
	arena_free(a);
}

/* Two answers to each of two prompts. */
static void each_answer_has_its_own_prompt_before_it(void **state)
{
	static const char *const texts[] = { "\"text\":\"A!\"", "\"text\":\"A!\"",
					     "\"text\":\"B!\"", "\"text\":\"B!\"" };
	struct ir_block block = { .kind = IR_BLOCK_TEXT, .text = STR("!") };
	struct ir_response r[4];
	struct arena *a = arena_new(1 << 20);
	struct encoder_options o =
		options(a, asked(a, ",\"prompt\":[\"A\",\"B\"],\"n\":2,\"echo\":true"));
	struct buf b;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct str first;

		r[i] = (struct ir_response){ .blocks = &block,
					     .n_blocks = 1,
					     .usage = IR_USAGE_NONE,
					     .choice = i,
					     .next = i < 3 ? &r[i + 1] : NULL };
		o.choice = i;
		first = stream(a, &o, IR_STOP_END, NULL);
		assert_true(str_find(first, arena_printf(a, "\"index\":%u,\"text\":\"%c\"", i,
							 i < 2 ? 'A' : 'B')) > 0);
	}
	buf_init(&b, 1 << 20);
	assert_int_equal(protocol_openai_completions.encode_response(&o, r, &b), RC_OK);
	for (unsigned i = 0; i < 4; i++)
		assert_true(str_find(buf_str(&b), arena_printf(a, "\"index\":%u,%s", i, texts[i])) >
			    0);
	buf_done(&b);
	arena_free(a);
}

/* Who got the client's own body has put the prompt there. */
static void a_prompt_is_not_put_before_an_answer_twice(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct encoder_options o = options(a, asked(a, ",\"echo\":true"));

	(void)state;
	o.asked_itself = true;
	CHECK_STR(stream(a, &o, IR_STOP_END, NULL),
		  PIECE("a\\n", "null", "null") PIECE("b", "null", "null")
			  PIECE("", "null", "\"stop\"") DONE);
	arena_free(a);
}

#define CHAT_A                                                                              \
	"[{\"token\":\"\xc3\xa4\",\"logprob\":-0.10,\"bytes\":[195,164],\"top_logprobs\":[" \
	"{\"token\":\"\xc3\xa4\",\"logprob\":-0.10,\"bytes\":[195,164]},"                   \
	"{\"token\":\"b\",\"logprob\":-3,\"bytes\":[98]}]}]"
#define HERE(offset)                                                               \
	"{\"tokens\":[\"\xc3\xa4\"],\"token_logprobs\":[-0.10],\"top_logprobs\":[" \
	"{\"\xc3\xa4\":-0.10,\"b\":-3}],\"text_offset\":[" offset "]}"

static void trap_089_log_probabilities_have_a_form_in_both(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct encoder_options o = options(a, asked(a, ",\"logprobs\":2"));
	struct str got = stream(a, &o, IR_STOP_END, CHAT_A);

	(void)state;
	CHECK_STR(got, PIECE("a\\n", HERE("0"), "null") PIECE("b", HERE("1"), "null")
			       PIECE("", "null", "\"stop\"") DONE);
	o.request = asked(a, ",\"logprobs\":0");
	got = stream(a, &o, IR_STOP_END, CHAT_A);
	assert_true(str_find(got, STR("\"top_logprobs\":null,\"text_offset\":[0]")) > 0);
	o.request = asked(a, "");
	assert_true(str_find(stream(a, &o, IR_STOP_END, CHAT_A), STR("tokens")) < 0);
	arena_free(a);
}

struct listener {
	struct ir_sink sink;
	struct arena *arena;
	struct str logprobs;
};

static int listen(struct ir_sink *self, const struct ir_event *ev)
{
	struct listener *l = (struct listener *)self;

	if (str_present(ev->logprobs))
		l->logprobs = arena_dup(l->arena, ev->logprobs);
	return RC_OK;
}

static void an_upstreams_log_probabilities_are_read_into_chats_form(void **state)
{
	const char *body = "{\"choices\":[{\"text\":\"\xc3\xa4\",\"finish_reason\":\"stop\","
			   "\"logprobs\":" HERE("0") "}]}";
	struct listener l = { .sink.event = listen, .arena = arena_new(1 << 20) };
	struct feed f = { .p = &protocol_openai_completions, .sink = &l.sink };

	(void)state;
	assert_int_equal(feed_body(&f, str_from(body)), RC_OK);
	CHECK_STR(l.logprobs, CHAT_A);
	arena_free(l.arena);
}

static void a_relayed_stream_is_tapped_for_usage_and_its_end(void **state)
{
	const char *chunks[] = { CHUNK("", OPEN), CHUNK("Hel", OPEN),
				 CHUNK("lo", "\"finish_reason\":\"stop\""), USAGE, DONE };
	static const unsigned want[] = { 0, TAP_MEANINGFUL, TAP_MEANINGFUL,
					 TAP_MEANINGFUL | TAP_DROP, TAP_END };
	struct arena *a = arena_new(1 << 20);
	struct relay_tap tap = { .arena = a, .hide_usage = true, .usage = IR_USAGE_NONE };

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct str raw = str_from(chunks[i]);
		struct frame ev = { .raw = raw, .data = { raw.ptr + 6, raw.len - 8 } };

		assert_int_equal(protocol_openai_completions.tap_event(&tap, a, &ev), want[i]);
	}
	assert_int_equal(tap.usage.input, 3);
	assert_int_equal(tap.usage.output, 2);
	assert_true(tap.finished);
	buf_done(&tap.scratch);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_end_with_a_reason_usage_or_done_in_any_order),
		cmocka_unit_test(trap_113_a_cut_stream_is_no_end),
		cmocka_unit_test(trap_112_an_error_inside_a_stream_is_one),
		cmocka_unit_test(trap_074_the_sequence_that_matched_is_known),
		cmocka_unit_test(a_body_says_the_same),
		cmocka_unit_test(a_client_gets_pieces_of_text_and_done),
		cmocka_unit_test(echo_puts_the_prompt_before_the_answer),
		cmocka_unit_test(each_answer_has_its_own_prompt_before_it),
		cmocka_unit_test(a_prompt_is_not_put_before_an_answer_twice),
		cmocka_unit_test(trap_089_log_probabilities_have_a_form_in_both),
		cmocka_unit_test(an_upstreams_log_probabilities_are_read_into_chats_form),
		cmocka_unit_test(a_relayed_stream_is_tapped_for_usage_and_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
