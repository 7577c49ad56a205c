/* OpenAI's embeddings: requests of every form come through decoding and encoding whole; vectors land at their input. */
#include "check.h"

#include "protocols/protocol.h"

static const struct request_line line = { .op = IR_OP_EMBED };

static const struct embed_codec *codec(void)
{
	return protocol_openai_chat.embed;
}

/* The request after decoding and encoding it again, or the reason why not. */
static struct str again(struct arena *a, const char *body, const char *origin, struct str *ret_lost)
{
	const struct request_target t = { .model = STR("upstream-model") };
	struct ir_embed_request *r;
	struct ir_losses losses;
	struct err e = { 0 };
	struct buf b;
	struct str copy;

	ir_losses_init(&losses, a);
	if (codec()->decode_request(a, &line, str_from(body), &r, &e))
		return arena_printf(a, "%s: %s", e.param, e.msg);
	if (origin)
		r->origin = origin;
	buf_init(&b, 1 << 20);
	assert_int_equal(codec()->encode_request(a, r, &t, &b, &losses, &e), RC_OK);
	copy = arena_dup(a, buf_str(&b));
	buf_done(&b);
	if (ret_lost)
		*ret_lost = ir_losses_text(&losses);
	return copy;
}

static void trap_099_every_form_of_input_passes(void **state)
{
	static const char *const inputs[] = { "\"a\"",   "[\"a\"]",     "[\"a\",\"\"]",
					      "[1,2,3]", "[[1],[2,3]]", "[\"a\",[7]]" };
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		struct str body = arena_printf(a, "{\"input\":%s,\"model\":\"m\"}", inputs[i]);
		struct str want =
			arena_printf(a, "{\"model\":\"upstream-model\",\"input\":%s}", inputs[i]);

		CHECK_STR_IS(again(a, body.ptr, NULL, NULL), want);
	}
	arena_free(a);
}

static void all_members_pass_and_foreign_extras_are_disclosed(void **state)
{
	const char *body =
		"{\"model\":\"m\",\"input\":\"a\",\"dimensions\":64,"
		"\"encoding_format\":\"base64\",\"user\":\"u\",\"input_type\":\"query\"}";
	struct arena *a = arena_new(1 << 20);
	struct str lost;

	(void)state;
	CHECK_STR(again(a, body, NULL, &lost),
		  "{\"model\":\"upstream-model\",\"input\":\"a\",\"dimensions\":64,"
		  "\"encoding_format\":\"base64\",\"user\":\"u\",\"input_type\":\"query\"}");
	assert_false(str_present(lost));
	CHECK_STR(again(a, body, "gemini", &lost),
		  "{\"model\":\"upstream-model\",\"input\":\"a\",\"dimensions\":64,"
		  "\"encoding_format\":\"base64\",\"user\":\"u\"}");
	CHECK_STR(lost, "input_type");
	arena_free(a);
}

static void the_path_may_name_the_model(void **state)
{
	const struct request_line azure = { .op = IR_OP_EMBED, .arg = STR("deployed") };
	struct arena *a = arena_new(1 << 20);
	struct ir_embed_request *r;

	(void)state;
	assert_int_equal(codec()->decode_request(a, &azure, STR("{\"input\":\"a\"}"), &r, NULL),
			 RC_OK);
	CHECK_STR(r->model, "deployed");
	arena_free(a);
}

static void what_only_gemini_says_of_an_input_is_disclosed(void **state)
{
	const struct request_target t = { .model = STR("m") };
	struct arena *a = arena_new(1 << 20);
	struct ir_embed_input in = { .text = STR("a"), .task = STR("X"), .title = STR("T") };
	struct ir_embed_request r = { .inputs = &in, .n_inputs = 1, .dimensions = IR_UNSET };
	struct ir_losses losses;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	ir_losses_init(&losses, a);
	assert_int_equal(codec()->encode_request(a, &r, &t, &b, &losses, NULL), RC_OK);
	CHECK_STR(ir_losses_text(&losses), "taskType, title");
	buf_done(&b);
	arena_free(a);
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *body, *want;
	} rows[] = {
		{ "{\"input\":\"a\"}", "model: Missing required parameter: 'model'." },
		{ "{\"model\":\"m\"}", "input: Missing required parameter: 'input'." },
		{ "{\"model\":\"m\",\"input\":[]}",
		  "input: Invalid value for 'input': it must not be empty." },
		{ "{\"model\":\"m\",\"input\":[[]]}",
		  "input[0]: Invalid value for 'input[0]': it must not be empty." },
		{ "{\"model\":\"m\",\"input\":[\"a\",7]}",
		  "input[1]: Invalid type for 'input[1]': expected a string or an array of "
		  "tokens, but got number instead." },
		{ "{\"model\":\"m\",\"input\":[1,\"a\"]}",
		  "input[1]: Invalid type for 'input[1]': expected an integer, but got string "
		  "instead." },
		{ "{\"model\":\"m\",\"input\":{}}",
		  "input: Invalid type for 'input': expected a string or an array, but got object "
		  "instead." },
		{ "{\"model\":\"m\",\"input\":\"a\",\"encoding_format\":\"int8\"}",
		  "encoding_format: Invalid value for 'encoding_format': supported values are "
		  "'float' and 'base64'." },
		{ "{\"model\":\"m\",\"input\":\"a\",\"dimensions\":\"x\"}",
		  "dimensions: Invalid type for 'dimensions': expected an integer, but got string "
		  "instead." },
	};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_STR_IS(again(a, rows[i].body, NULL, NULL), str_from(rows[i].want));
	arena_free(a);
}

/* The vectors of an upstream's answer, as a client gets them that asked for numbers. */
static struct str answer(struct arena *a, const char *body, bool ask_base64, bool give_base64)
{
	struct ir_embed_request r = { .base64 = ask_base64 };
	struct ir_embed_response *e;
	struct err err = { 0 };
	struct buf b;
	struct str copy;

	if (codec()->decode_response(a, &r, str_from(body), &e, &err))
		return arena_dup(a, str_from(err.msg));
	r.base64 = give_base64;
	buf_init(&b, 1 << 20);
	assert_int_equal(codec()->encode_response(&r, e, STR("asked"), &b), RC_OK);
	copy = arena_dup(a, buf_str(&b));
	buf_done(&b);
	return copy;
}

#define TWO(i0, i1)                                                                              \
	"{\"data\":[{\"index\":" i0 ",\"embedding\":[1]},{\"index\":" i1 ",\"embedding\":[2]}]," \
	"\"usage\":{\"prompt_tokens\":9,\"total_tokens\":9}}"
#define GIVEN(v0, v1)                                                                            \
	"{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":" v0 \
	"},{\"object\":\"embedding\",\"index\":1,\"embedding\":" v1                              \
	"}],\"model\":\"asked\",\"usage\":{\"prompt_tokens\":9,\"total_tokens\":9}}"

static void trap_099_vectors_stand_in_the_order_of_the_inputs(void **state)
{
	struct arena *a = arena_new(1 << 20);

	(void)state;
	CHECK_STR(answer(a, TWO("0", "1"), false, false), GIVEN("[1]", "[2]"));
	CHECK_STR(answer(a, TWO("1", "0"), false, false), GIVEN("[2]", "[1]"));
	CHECK_STR(answer(a, TWO("0", "0"), false, false), GIVEN("[1]", "[2]"));
	CHECK_STR(answer(a, TWO("7", "0"), false, false), GIVEN("[1]", "[2]"));
	CHECK_STR(answer(a, TWO("0", "1"), false, true), GIVEN("\"AACAPw==\"", "\"AAAAQA==\""));
	arena_free(a);
}

static void trap_099_base64_counts_only_where_it_was_asked_for(void **state)
{
	const char *body = "{\"data\":[{\"index\":0,\"embedding\":\"AACAPw==\"}]}";
	struct arena *a = arena_new(1 << 20);

	(void)state;
	CHECK_STR(answer(a, body, false, false), "an embedding is no list of numbers");
	CHECK_STR(answer(a, body, true, false),
		  "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,"
		  "\"embedding\":[1]}],\"model\":\"asked\",\"usage\":{\"prompt_tokens\":0,"
		  "\"total_tokens\":0}}");
	arena_free(a);
}

static void what_is_no_answer_is_refused(void **state)
{
	struct ir_usage usage = IR_USAGE_NONE;
	struct arena *a = arena_new(1 << 20);

	(void)state;
	CHECK_STR(answer(a, "{}", false, false), "the provider's answer holds no embeddings");
	CHECK_STR(answer(a, "{\"data\":[{}]}", false, false), "an embedding is no list of numbers");
	assert_false(codec()->tap_body(a, STR("<html>"), &usage));
	assert_false(codec()->tap_body(a, STR("{\"error\":{\"message\":\"x\"}}"), &usage));
	assert_true(codec()->tap_body(a, str_from(TWO("0", "1")), &usage));
	assert_int_equal(usage.input, 9);
	assert_int_equal(usage.output, 0);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_099_every_form_of_input_passes),
		cmocka_unit_test(all_members_pass_and_foreign_extras_are_disclosed),
		cmocka_unit_test(what_only_gemini_says_of_an_input_is_disclosed),
		cmocka_unit_test(the_path_may_name_the_model),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(trap_099_vectors_stand_in_the_order_of_the_inputs),
		cmocka_unit_test(trap_099_base64_counts_only_where_it_was_asked_for),
		cmocka_unit_test(what_is_no_answer_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
