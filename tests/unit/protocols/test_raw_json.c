/* JSON that is not ours to read, in every protocol: the arguments of calls keep the order of their keys and every digit of their
 * numbers on each way (trap 60), and what is no JSON is read by none (trap 65). A new protocol is tested without a line. */
#include "check.h"

#include "base/arena.h"
#include "ir/fold.h"
#include "json/json.h"
#include "protocols/protocol.h"
#include "wire/framer.h"

#define ARGUMENTS "{\"zeta\":9007199254740993,\"alpha\":1.50,\"n\":{\"b\":-0.0,\"a\":1E400}}"
#define AS_A_TEXT                                                                                \
	"{\\\"zeta\\\":9007199254740993,\\\"alpha\\\":1.50,\\\"n\\\":{\\\"b\\\":-0.0,\\\"a\\\":" \
	"1E400}}"

static bool has_arguments(const struct buf *out)
{
	return str_find(buf_str(out), STR(ARGUMENTS)) >= 0 ||
	       str_find(buf_str(out), STR(AS_A_TEXT)) >= 0;
}

/* A conversation with a call and its result, asked for elsewhere. */
static int encode_request(struct arena *a, const struct protocol *p, struct buf *out)
{
	struct ir_part hello = { .kind = IR_PART_TEXT, .text = STR("hello") };
	struct ir_part call = { .kind = IR_PART_TOOL_CALL,
				.id = STR("call_1"),
				.name = STR("f"),
				.arguments = STR(ARGUMENTS) };
	struct ir_part result = { .kind = IR_PART_TOOL_RESULT,
				  .id = STR("call_1"),
				  .name = STR("f"),
				  .content = &hello,
				  .n_content = 1 };
	struct ir_message m[] = { { .role = IR_ROLE_USER, .parts = &hello, .n_parts = 1 },
				  { .role = IR_ROLE_ASSISTANT, .parts = &call, .n_parts = 1 },
				  { .role = IR_ROLE_USER, .parts = &result, .n_parts = 1 } };
	struct ir_tool tool = { .name = STR("f"), .parameters = STR("{\"type\":\"object\"}") };
	struct request_target t = { .model = STR("m"), .default_max_tokens = 100 };
	struct ir_losses losses;
	struct ir_request r;
	struct err e = { 0 };

	ir_losses_init(&losses, a);
	ir_request_init(&r);
	r.model = STR("m");
	r.messages = m;
	r.n_messages = 3;
	r.tools = &tool;
	r.n_tools = 1;
	r.origin = "elsewhere";
	return p->encode_request(a, &r, &t, out, &losses, &e);
}

struct stream {
	struct ir_sink sink;
	const struct protocol *protocol;
	struct protocol_encoder *encoder;
	struct buf *out;
};

static int encode(struct ir_sink *self, const struct ir_event *ev)
{
	struct stream *s = (struct stream *)self;

	return s->protocol->encode_event(s->encoder, ev, s->out);
}

static void encode_answer(struct arena *a, const struct protocol *p, struct ir_block *block,
			  bool stream, struct buf *out)
{
	struct ir_response r = { .id = STR("x"),
				 .model = STR("m"),
				 .blocks = block,
				 .n_blocks = 1,
				 .usage = IR_USAGE_NONE,
				 .stop = block->kind == IR_BLOCK_TEXT ? IR_STOP_END
								      : IR_STOP_TOOL_CALLS };
	struct encoder_options o = { .arena = a,
				     .id = STR("id_1"),
				     .framing = p->framing,
				     .model = STR("m"),
				     .created_s = 1,
				     .request_id = STR("req_1") };
	struct stream s = { .sink = { encode }, .protocol = p, .out = out };

	if (!stream) {
		assert_int_equal(p->encode_response(&o, &r, out), RC_OK);
		return;
	}
	s.encoder = p->encoder_new(&o);
	assert_non_null(s.encoder);
	assert_int_equal(ir_unfold(&r, &s.sink), RC_OK);
}

static void trap_060_arguments_keep_their_keys_and_digits(void **state)
{
	struct ir_block call = { .kind = IR_BLOCK_TOOL_CALL,
				 .id = STR("call_1"),
				 .name = STR("f"),
				 .text = STR(ARGUMENTS) };
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; protocols[i]; i++) {
		struct arena *a = arena_new(64 << 20);
		struct buf out;

		buf_init(&out, 1 << 20);
		if (encode_request(a, protocols[i], &out) == RC_OK) { /* others know no calls */
			n++;
			if (!has_arguments(&out))
				fail_msg("%s: request: %.*s", protocols[i]->name,
					 STR_ARG(buf_str(&out)));
			for (int stream = 0; stream < 2; stream++) {
				buf_reset(&out);
				encode_answer(a, protocols[i], &call, stream, &out);
				if (!has_arguments(&out))
					fail_msg("%s: answer: %.*s", protocols[i]->name,
						 STR_ARG(buf_str(&out)));
			}
		}
		buf_done(&out);
		arena_free(a);
	}
	assert_true(n >= 5);
}

static int discard(struct ir_sink *self, const struct ir_event *ev)
{
	(void)self;
	(void)ev;
	return RC_OK;
}

static void trap_065_an_answer_with_a_byte_that_is_no_text_is_read_by_none(void **state)
{
	struct ir_block text = { .kind = IR_BLOCK_TEXT, .text = STR("before?after") };

	(void)state;
	for (unsigned i = 0; protocols[i]; i++) {
		const struct protocol *p = protocols[i];
		struct arena *a = arena_new(64 << 20);
		struct ir_sink sink = { discard };
		struct decoder_options o = { .sink = &sink, .arena = a, .scratch = a };
		struct err e = { 0 };
		struct buf out;
		char *byte;

		buf_init(&out, 1 << 20);
		encode_answer(a, p, &text, false, &out);
		assert_int_equal(p->decode_body(&o, buf_str(&out), &e), RC_OK);
		byte = memchr(out.ptr, '?', buf_len(&out));
		assert_non_null(byte);
		*byte = '\xff';
		if (p->decode_body(&o, buf_str(&out), &e) != RC_SYNTAX)
			fail_msg("%s reads it", p->name);
		buf_done(&out);
		arena_free(a);
	}
}

static void trap_065_a_request_that_is_no_json_is_read_by_none(void **state)
{
	static const struct str bad[] = {
		STR_INIT(""),
		STR_INIT("{"),
		STR_INIT("{\"model\":\"m\",\"x\":\"\\ud800\"}"),
		STR_INIT("{\"model\":\"m\",\"x\":\"\\udc00\\ud800\"}"),
		STR_INIT("{\"model\":\"m\",\"x\":\"\xff\"}"),
		STR_INIT("{\"model\":\"m\",\"x\":\"\xed\xa0\x80\"}"),
		STR_INIT("{\"model\":\"m\",\"x\":\"a\0b\"}"),
		STR_INIT("{\"model\":\"m\",\"\xc3\":1}"),
		STR_INIT("{\"model\":\"m\",}"),
	};
	struct request_line line = { .op = IR_OP_GENERATE, .arg = STR("m") };

	(void)state;
	for (unsigned i = 0; protocols[i]; i++) {
		const struct protocol *p = protocols[i];
		struct arena *a = arena_new(64 << 20);

		for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
			struct request_peek peek;
			struct ir_request *r;
			struct err e = { 0 };

			if (p->peek(a, &line, bad[k], &peek, &e) != RC_SYNTAX)
				fail_msg("%s peeks into body %zu", p->name, k);
			if (p->decode_request(a, &line, bad[k], &r, &e) != RC_SYNTAX)
				fail_msg("%s reads request %zu", p->name, k);
		}
		arena_free(a);
	}
}

/* Models write their arguments over several lines; in a stream every frame must still be one JSON text. */
static void trap_023_arguments_over_several_lines_stay_in_their_frame(void **state)
{
	(void)state;
	for (unsigned i = 0; protocols[i]; i++) {
		struct arena *a = arena_new(1 << 20);
		struct ir_block call = { .kind = IR_BLOCK_TOOL_CALL,
					 .id = STR("call_1"),
					 .name = STR("f"),
					 .text = STR("{\n  \"city\": \"Bonn\",\r\n  \"n\": 1\n}") };
		struct framer framer;
		struct frame f;
		struct str left;
		struct buf out;
		size_t used;

		buf_init(&out, 1 << 20);
		encode_answer(a, protocols[i], &call, true, &out);
		left = buf_str(&out);
		framer_init(&framer, protocols[i]->framing, 1 << 20);
		while (left.len && framer_next(&framer, left, &f, &used) == FRAMER_FRAME) {
			if (f.data.len && !str_eq(f.data, STR("[DONE]")))
				assert_non_null(json_parse(a, f.data, NULL));
			assert_null(f.data.ptr ? memchr(f.data.ptr, '\n', f.data.len) : NULL);
			left = str_from_offset(left, used);
		}
		assert_int_equal(left.len, 0);
		framer_done(&framer);
		buf_done(&out);
		arena_free(a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_023_arguments_over_several_lines_stay_in_their_frame),
		cmocka_unit_test(trap_060_arguments_keep_their_keys_and_digits),
		cmocka_unit_test(trap_065_a_request_that_is_no_json_is_read_by_none),
		cmocka_unit_test(trap_065_an_answer_with_a_byte_that_is_no_text_is_read_by_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
