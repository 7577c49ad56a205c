/* tests/unit/protocols/openai_chat/test_response_encode.c - mirrors response_encode.c.
 * Rule: chunks as OpenAI's SDKs want them, and decode(encode(x)) = x for all that Chat can say. */
#include "check.h"
#include "json/json.h"
#include "quotes.h"
#include "tape.h"

static const struct protocol *const chat = &protocol_openai_chat;

static struct ir_citation cited = { .url = STR_INIT("https://a"),
				    .title = STR_INIT("A"),
				    .start = 0,
				    .end = 4,
				    .origin = "openai-chat" };

static struct ir_block blocks[] = {
	{ .kind = IR_BLOCK_REASONING,
	  .text = STR_INIT("be\"cause"),
	  .signature = STR_INIT("SIG"),
	  .origin = "anthropic-messages" },
	{ .kind = IR_BLOCK_REASONING,
	  .text = STR_INIT(""),
	  .redacted = STR_INIT("ENC"),
	  .origin = "anthropic-messages" },
	{ .kind = IR_BLOCK_TEXT,
	  .text = STR_INIT("Rome \xf0\x9f\x98\x80\n"),
	  .citations = &cited,
	  .n_citations = 1 },
	{ .kind = IR_BLOCK_TOOL_CALL,
	  .id = STR_INIT("a"),
	  .name = STR_INIT("f"),
	  .text = STR_INIT("{\"x\": 1.10}") },
	{ .kind = IR_BLOCK_TOOL_CALL,
	  .id = STR_INIT("b"),
	  .name = STR_INIT("g"),
	  .text = STR_INIT("{}") },
};

static struct ir_response sample(unsigned from, unsigned n, enum ir_stop stop)
{
	struct ir_response r = { .id = STR("id-1"),
				 .model = STR("model-1"),
				 .blocks = blocks + from,
				 .n_blocks = n,
				 .usage = IR_USAGE_NONE,
				 .stop = stop };

	r.usage.input = 10;
	r.usage.output = 5;
	r.usage.cache_read = 4;
	r.usage.cache_write = 3;
	r.usage.reasoning = 2;
	r.usage.audio_input = r.usage.audio_output = 0;
	r.usage.accepted_prediction = r.usage.rejected_prediction = 0;
	return r;
}

/* What a client gets for `r` in a stream, one line an event's data. */
static struct str stream(struct client_tape *c, const struct ir_response *r, bool include_usage)
{
	client_init(c, chat, include_usage);
	assert_int_equal(ir_unfold(r, &c->sink), 0);
	return buf_str(&c->out);
}

/* The JSON of the n-th chunk. */
static const json *chunk(struct client_tape *c, unsigned n)
{
	struct str rest = buf_str(&c->out), line = STR_NONE;
	struct err err;
	const json *v;

	for (unsigned i = 0; i <= n; i++) {
		line = str_cut(&rest, '\n');
		assert_int_equal(str_cut(&rest, '\n').len, 0); /* a blank line, and one data line */
		assert_true(str_starts(line, STR("data: ")));
	}
	v = json_parse(c->arena, str_from_offset(line, 6), &err);
	assert_non_null(v);
	return v;
}

static const json *choice(const json *chunk)
{
	struct json_iter it = json_iter(json_get(chunk, STR("choices")));

	return json_next(&it) ? it.val : NULL;
}

static const json *delta(const json *chunk)
{
	return json_get(choice(chunk), STR("delta"));
}

static unsigned count(struct str s, struct str needle)
{
	unsigned n = 0;

	for (ptrdiff_t at; (at = str_find(s, needle)) >= 0; n++)
		s = str_from_offset(s, (size_t)at + needle.len);
	return n;
}

static void trap_027_the_role_comes_once_and_first(void **state)
{
	struct ir_response r = sample(2, 1, IR_STOP_END);
	struct client_tape c;
	struct str out = stream(&c, &r, false);

	CHECK_STR(json_str(json_get(delta(chunk(&c, 0)), STR("role"))), "assistant");
	assert_int_equal(count(out, STR("\"role\"")), 1);
	client_done(&c);
}

static void trap_028_id_created_and_model_stay_the_same(void **state)
{
	struct ir_response r = sample(0, 5, IR_STOP_TOOL_CALLS);
	struct client_tape c;
	struct str out = stream(&c, &r, true);
	struct str head =
		STR("data: "
		    "{\"id\":\"id-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
		    "\"model\":\"model-1\",\"choices\":[");

	assert_int_equal(count(out, head), count(out, STR("data: {")));
	assert_int_equal(count(out, STR("event:")), 0); /* trap_020: clients lose named events */
	client_done(&c);
}

static void trap_015_calls_have_indices_and_open_with_empty_arguments(void **state)
{
	struct ir_response r = sample(3, 2, IR_STOP_TOOL_CALLS);
	struct client_tape c;
	struct str out = stream(&c, &r, false);
	struct arena *a = arena_new(1 << 16);

	assert_true(str_find(out, quotes(a, "{'tool_calls':[{'index':0,'id':'a','type':'function','"
					    "function':{'name':'f',"
					    "'arguments':''}}]}")) > 0);
	assert_true(str_find(out, quotes(a, "{'tool_calls':[{'index':0,'function':{'arguments':'{"
					    "\\'x\\': 1.10}'}}]}")) > 0);
	assert_true(str_find(out, quotes(a, "{'tool_calls':[{'index':1,'id':'b',")) > 0);
	assert_int_equal(count(out, STR("\"id\":\"a\"")), 1);
	client_done(&c);
	arena_free(a);
}

static void trap_016_a_call_without_arguments_says_so(void **state)
{
	struct ir_event call = {
		.kind = IR_OPEN, .block = IR_BLOCK_TOOL_CALL, .id = STR("a"), .name = STR("f")
	};
	struct ir_event none = { .kind = IR_DELTA,
				 .block = IR_BLOCK_TOOL_CALL,
				 .delta = IR_DELTA_ARGUMENTS,
				 .text = STR("") };
	struct ir_event close = { .kind = IR_CLOSE, .block = IR_BLOCK_TOOL_CALL };
	struct client_tape c;

	client_init(&c, chat, false);
	assert_int_equal(ir_emit(&c.sink, &call), 0);
	assert_int_equal(ir_emit(&c.sink, &none), 0);
	assert_int_equal(ir_emit(&c.sink, &close), 0);
	assert_int_equal(count(buf_str(&c.out), STR("\"function\":{\"arguments\":\"{}\"}")), 1);
	client_done(&c);
}

static void trap_010_usage_goes_only_to_who_asked(void **state)
{
	struct ir_response r = sample(2, 1, IR_STOP_LENGTH);
	struct client_tape c;
	struct str out = stream(&c, &r, false);

	assert_int_equal(count(out, STR("\"usage\"")), 0);
	assert_true(str_ends(out, STR("\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n")));
	client_done(&c);
}

static void trap_012_usage_is_null_on_all_chunks_but_the_last(void **state)
{
	struct ir_response r = sample(2, 1, IR_STOP_LENGTH);
	struct client_tape c;
	struct str out = stream(&c, &r, true);
	unsigned n = count(out, STR("data: {"));
	const json *last = chunk(&c, n - 1), *before = chunk(&c, n - 2);

	for (unsigned i = 0; i < n - 1; i++)
		assert_true(json_is_null(json_get(chunk(&c, i), STR("usage"))));
	CHECK_STR(json_str(json_get(choice(before), STR("finish_reason"))), "length");
	assert_int_equal(json_len(delta(before)), 0);
	assert_int_equal(json_len(json_get(last, STR("choices"))), 0);
	CHECK_STR(json_num(json_get(json_get(last, STR("usage")), STR("total_tokens"))), "15");
	assert_true(str_ends(out, STR("data: [DONE]\n\n"))); /* trap_019 */
	client_done(&c);
}

static void trap_115_the_usage_details_are_written(void **state)
{
	struct ir_response r = sample(2, 1, IR_STOP_END);
	struct arena *a = arena_new(1 << 16);
	struct client_tape c;
	struct str out = stream(&c, &r, true);

	assert_true(
		str_find(out,
			 quotes(a, "'usage':{'prompt_tokens':10,'completion_tokens':5,'total_"
				   "tokens':15,"
				   "'prompt_tokens_details':{'cached_tokens':4,'audio_tokens':0,"
				   "'cache_write_tokens':3},'completion_tokens_details':{'"
				   "reasoning_tokens':2,"
				   "'audio_tokens':0,'accepted_prediction_tokens':0,"
				   "'rejected_prediction_tokens':0}}}\n")) > 0);
	client_done(&c);
	arena_free(a);
}

static void trap_119_usage_that_nobody_knows_is_0_but_there(void **state)
{
	struct ir_response r = sample(2, 1, IR_STOP_END);
	struct client_tape c;
	unsigned n;

	r.usage = IR_USAGE_NONE;
	n = count(stream(&c, &r, true), STR("data: {"));
	CHECK_STR(
		json_num(json_get(json_get(chunk(&c, n - 1), STR("usage")), STR("prompt_tokens"))),
		"0");
	client_done(&c);
}

static void trap_101_every_stop_is_one_the_sdk_knows(void **state)
{
	static const char *const want[] = { [IR_STOP_END] = "stop",
					    [IR_STOP_LENGTH] = "length",
					    [IR_STOP_SEQUENCE] = "stop",
					    [IR_STOP_TOOL_CALLS] = "tool_calls",
					    [IR_STOP_REFUSAL] = "content_filter",
					    [IR_STOP_PAUSE] = "stop",
					    [IR_STOP_CONTEXT] = "length" }; /* trap_102 */

	for (int s = IR_STOP_END; s <= IR_STOP_CONTEXT; s++) {
		struct ir_response r = sample(2, 1, (enum ir_stop)s);
		struct client_tape c;
		char text[64];

		(void)snprintf(text, sizeof(text), "\"finish_reason\":\"%s\"", want[s]);
		assert_int_equal(count(stream(&c, &r, false), str_from(text)), 1);
		client_done(&c);
	}
}

static void trap_111_an_error_is_the_last_thing_and_no_done_follows(void **state)
{
	struct ir_error e = { .kind = IR_ERR_OVERLOADED, .message = STR("busy") };
	struct ir_event start = { .kind = IR_START, .usage = IR_USAGE_NONE };
	struct ir_event error = { .kind = IR_ERROR, .error = &e };
	struct client_tape c;

	client_init(&c, chat, true);
	assert_int_equal(ir_emit(&c.sink, &start), 0);
	assert_int_equal(ir_emit(&c.sink, &error), 0);
	assert_true(str_ends(buf_str(&c.out),
			     STR("data: {\"error\":{\"message\":\"busy\",\"type\":\"server_error\","
				 "\"param\":null,\"code\":\"overloaded\"}}\n\n")));
	assert_int_equal(count(buf_str(&c.out), STR("[DONE]")), 0);
	assert_int_equal(count(buf_str(&c.out), STR("\"finish_reason\":\"")), 0);
	client_done(&c);
}

static void trap_021_a_ping_is_not_passed_on(void **state)
{
	struct ir_event ping = { .kind = IR_PING };
	struct client_tape c;

	client_init(&c, chat, true);
	assert_int_equal(ir_emit(&c.sink, &ping), 0);
	assert_int_equal(buf_len(&c.out), 0);
	client_done(&c);
}

/* --- round trips --- */

static struct str tape_of(struct tape *t, const struct ir_response *r)
{
	tape_init(t);
	t->join = true;
	assert_int_equal(ir_unfold(r, &t->sink), 0);
	return buf_str(&t->text);
}

static void check_stream_round_trip(const struct ir_response *r)
{
	struct client_tape c;
	struct tape want, got;
	struct feed f = { .p = chat, .sink = &got.sink };
	struct str left, right = tape_of(&want, r);

	(void)stream(&c, r, true);
	tape_init(&got);
	got.join = true;
	assert_int_equal(feed_stream(&f, buf_str(&c.out), 0), 0);
	left = buf_str(&got.text);
	(void)str_cut(&left, '\n'); /* START, for a stream does not know its usage there */
	(void)str_cut(&right, '\n');
	CHECK_STR_IS(left, right);
	tape_done(&got);
	tape_done(&want);
	client_done(&c);
}

static void decode_of_encode_is_the_same_stream(void **state)
{
	for (unsigned from = 0; from < 5; from++) {
		for (unsigned n = 1; from + n <= 5; n++) {
			struct ir_response r =
				sample(from, n, from + n > 3 ? IR_STOP_TOOL_CALLS : IR_STOP_END);

			check_stream_round_trip(&r);
		}
	}
}

static void check_round_trip(const struct ir_response *r)
{
	struct arena *a = arena_new(1 << 20);
	struct encoder_options o = { .arena = a, .id = r->id, .model = r->model };
	struct tape want, got;
	struct feed f = { .p = chat, .sink = &got.sink };
	struct buf out;

	buf_init(&out, 1 << 20);
	assert_int_equal(chat->encode_response(&o, r, &out), 0);
	tape_init(&got);
	got.join = true;
	assert_int_equal(feed_body(&f, buf_str(&out)), 0);
	CHECK_STR_IS(buf_str(&got.text), tape_of(&want, r));
	tape_done(&got);
	tape_done(&want);
	buf_done(&out);
	arena_free(a);
}

static void trap_046_signatures_survive_a_whole_answer_too(void **state)
{
	struct ir_response r = sample(0, 5, IR_STOP_TOOL_CALLS);

	check_round_trip(&r);
}

static void a_format_nobody_knows_cannot_end_the_event(void **state)
{
	struct ir_block evil = { .kind = IR_BLOCK_REASONING,
				 .text = STR("hm"),
				 .signature = STR("SIG"),
				 .origin = "evil\"\n\ndata: x" };
	struct ir_response r = sample(0, 1, IR_STOP_END);

	r.blocks = &evil;
	check_stream_round_trip(&r);
}

/* Items of Responses: an entry of what they say, and one of their content with the id that it is bound to. */
static void trap_050_an_items_content_is_data_with_its_id(void **state)
{
	struct ir_block items[] = {
		{ .kind = IR_BLOCK_REASONING,
		  .text = STR_INIT("hm"),
		  .signature = STR_INIT("rs_x:BLOB"),
		  .origin = "openai-responses" },
		{ .kind = IR_BLOCK_REASONING,
		  .text = STR_INIT(""),
		  .signature = STR_INIT("rs_y:MORE"),
		  .origin = "openai-responses" },
		{ .kind = IR_BLOCK_REASONING,
		  .text = STR_INIT("so"),
		  .signature = STR_INIT("rs_z:LAST"),
		  .origin = "xai-responses-v1" },
	};
	struct ir_response r = sample(0, 3, IR_STOP_END);
	struct arena *a = arena_new(1 << 16);
	struct client_tape c;

	r.blocks = items;
	check_round_trip(&r);
	check_stream_round_trip(&r);
	(void)stream(&c, &r, false);
	assert_int_equal(
		count(buf_str(&c.out),
		      quotes(a, "{'reasoning_content':'hm','reasoning_details':[{'type':'reasoning."
				"summary','summary':'hm','format':'openai-responses-v1','index':0}"
				"]}")),
		1);
	assert_int_equal(count(buf_str(&c.out),
			       quotes(a, "{'reasoning_details':[{'type':'reasoning.encrypted','"
					 "data':'BLOB','id':'rs_x','format':'openai-responses-v1','"
					 "index':1}]}")),
			 1);
	client_done(&c);
	arena_free(a);
}

/* --- whole answers --- */

static void check_message(struct ir_response r, const char *want)
{
	struct arena *a = arena_new(1 << 20);
	struct encoder_options o = { .arena = a, .id = r.id, .model = r.model, .created_s = 7 };
	struct buf out;

	buf_init(&out, 1 << 20);
	assert_int_equal(chat->encode_response(&o, &r, &out), 0);
	if (str_find(buf_str(&out), quotes(a, want)) < 0)
		fail_msg("%.*s\nlacks %.*s", STR_ARG(buf_str(&out)), STR_ARG(quotes(a, want)));
	buf_done(&out);
	arena_free(a);
}

static void trap_044_content_is_null_beside_calls_and_a_string_elsewhere(void **state)
{
	struct ir_block refusal = { .kind = IR_BLOCK_REFUSAL, .text = STR("no") };
	struct ir_block empty = { .kind = IR_BLOCK_TEXT, .text = STR("") };
	struct ir_response r = sample(3, 2, IR_STOP_TOOL_CALLS);

	check_message(r, "{'id':'id-1','object':'chat.completion','created':7,'model':'model-1','"
			 "choices':[{'index':0,"
			 "'message':{'role':'assistant','content':null,'refusal':null,'annotations'"
			 ":[],'tool_calls':["
			 "{'id':'a','type':'function','function':{'name':'f','arguments':'{\\'x\\':"
			 " 1.10}'}},"
			 "{'id':'b','type':'function','function':{'name':'g','arguments':'{}'}}]},'"
			 "logprobs':null,"
			 "'finish_reason':'tool_calls'}],'usage':{");
	r.n_blocks = 0;
	check_message(r, "'content':'','refusal':null,");
	r.blocks = &empty;
	r.n_blocks = 1;
	check_message(r, "'content':'','refusal':null,");
	/* trap 56 */
	r.blocks = &refusal;
	r.stop = IR_STOP_REFUSAL;
	check_message(r, "'content':null,'refusal':'no','annotations':[]},'logprobs':null,'finish_"
			 "reason':'content_filter'");
}

/* Two calls that Gemini signed, for a client that offers `functions`. */
static void trap_051_a_call_of_old_has_its_proof_among_the_details(void **state)
{
	const struct ir_block proof = { .kind = IR_BLOCK_REASONING,
					.text = STR(""),
					.signature = STR("UFJPT0Y="),
					.origin = "gemini" };
	struct ir_block signed_calls[] = { proof, blocks[3], proof, blocks[4] };
	struct ir_response r = sample(0, 4, IR_STOP_TOOL_CALLS);
	struct arena *a = arena_new(1 << 20);
	struct encoder_options o = { .arena = a, .id = r.id, .model = r.model };
	struct ir_request *asked;
	struct client_tape c;
	struct buf out;
	struct err err;

	r.blocks = signed_calls;
	signed_calls[2].signature = STR("b3RoZXI=");
	assert_int_equal(chat->decode_request(a, &(struct request_line){ .arg = STR_NONE },
					      quotes(a, "{'model':'m','messages':[{'role':'user','"
							"content':'hi'}],'functions':[{'name':"
							"'f','parameters':{}}]}"),
					      &asked, &err),
			 0);
	client_init_asking(&c, chat, false, asked);
	assert_int_equal(ir_unfold(&r, &c.fit.sink), 0);
	CHECK_STR(ir_losses_text(&c.losses), "answer.tool_calls");
	assert_int_equal(count(buf_str(&c.out),
			       quotes(a,
				      "{'reasoning_details':[{'type':'reasoning.encrypted','"
				      "data':'UFJPT0Y=','format':'google-gemini-v1','index':0}]}")),
			 1);
	assert_int_equal(count(buf_str(&c.out), STR("b3RoZXI=")), 0);
	client_done(&c);
	o.request = asked;
	buf_init(&out, 1 << 20);
	assert_int_equal(chat->encode_response(&o, &r, &out), 0);
	assert_int_equal(count(buf_str(&out),
			       quotes(a,
				      "'reasoning_details':[{'type':'reasoning.encrypted','data':"
				      "'UFJPT0Y=','format':'google-gemini-v1','index':0}],")),
			 1);
	assert_int_equal(count(buf_str(&out), quotes(a, "'function_call':{'name':'f',")), 1);
	buf_done(&out);
	arena_free(a);
}

static void memory_that_runs_out_is_told(void **state)
{
	struct ir_response r = sample(0, 5, IR_STOP_END);
	struct arena *a = arena_new(1 << 20);
	struct encoder_options o = { .arena = a, .id = r.id, .model = r.model };
	struct ir_event start = { .kind = IR_START, .usage = IR_USAGE_NONE };
	struct protocol_encoder *e = chat->encoder_new(&o);
	struct buf out;

	buf_init(&out, 50);
	assert_int_equal(chat->encode_event(e, &start, &out), RC_NOMEM);
	buf_reset(&out);
	assert_int_equal(chat->encode_response(&o, &r, &out), RC_NOMEM);
	buf_done(&out);
	arena_free(a);
	o.arena = a = arena_new(16);
	assert_null(chat->encoder_new(&o));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_027_the_role_comes_once_and_first),
		cmocka_unit_test(trap_028_id_created_and_model_stay_the_same),
		cmocka_unit_test(trap_015_calls_have_indices_and_open_with_empty_arguments),
		cmocka_unit_test(trap_016_a_call_without_arguments_says_so),
		cmocka_unit_test(trap_010_usage_goes_only_to_who_asked),
		cmocka_unit_test(trap_012_usage_is_null_on_all_chunks_but_the_last),
		cmocka_unit_test(trap_115_the_usage_details_are_written),
		cmocka_unit_test(trap_119_usage_that_nobody_knows_is_0_but_there),
		cmocka_unit_test(trap_101_every_stop_is_one_the_sdk_knows),
		cmocka_unit_test(trap_111_an_error_is_the_last_thing_and_no_done_follows),
		cmocka_unit_test(trap_021_a_ping_is_not_passed_on),
		cmocka_unit_test(a_format_nobody_knows_cannot_end_the_event),
		cmocka_unit_test(trap_050_an_items_content_is_data_with_its_id),
		cmocka_unit_test(trap_051_a_call_of_old_has_its_proof_among_the_details),
		cmocka_unit_test(decode_of_encode_is_the_same_stream),
		cmocka_unit_test(trap_046_signatures_survive_a_whole_answer_too),
		cmocka_unit_test(trap_044_content_is_null_beside_calls_and_a_string_elsewhere),
		cmocka_unit_test(memory_that_runs_out_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
