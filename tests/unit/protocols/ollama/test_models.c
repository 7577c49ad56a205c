/* Mirrors src/protocols/ollama/models.c, errors.c and embed.c. */
#include "check.h"

#include "json/json.h"
#include "protocols/protocol.h"

static struct arena *arena;
static struct buf out;

static int set_up(void **state)
{
	arena = arena_new(64 << 20);
	buf_init(&out, 1 << 20);
	return 0;
}

static int tear_down(void **state)
{
	buf_done(&out);
	arena = arena_free(arena);
	return 0;
}

static const json *written(void)
{
	const json *v = json_parse(arena, buf_str(&out), NULL);

	if (!v)
		fail_msg("no JSON: %.*s", STR_ARG(buf_str(&out)));
	return v;
}

static struct model_info models[] = {
	{ .id = STR_INIT("gpt-5"),
	  .owner = STR_INIT("openai"),
	  .context = 400000,
	  .vision = IR_TRUE },
	{ .id = STR_INIT("small:latest"),
	  .owner = STR_INIT("local"),
	  .running = true,
	  .idle_left_s = 90 },
	{ .id = STR_INIT("vectors"), .owner = STR_INIT("local"), .embeds = true },
};

static bool info(unsigned variant, const char *model)
{
	struct request_line line = { .op = IR_OP_INFO, .variant = variant };
	struct info_facts f = { .line = &line,
				.model = str_from(model),
				.models = models,
				.n_models = 3,
				.version = "9.9" };

	return protocol_ollama_chat.encode_info(&f, &out);
}

static unsigned variant_of(const char *path)
{
	for (const struct protocol_route *r = protocol_ollama_chat.routes; r->path; r++)
		if (strcmp(r->path, path) == 0)
			return r->variant;
	fail_msg("no route %s", path);
	return 0;
}

static struct str member(const json *v, const char *name)
{
	return json_str(json_get(v, str_from(name)));
}

static void the_list_is_what_clients_cut_and_parse(void **state)
{
	const json *list;
	struct json_iter it;

	protocol_ollama_chat.encode_models(models, 3, &out);
	list = json_get(written(), STR("models"));
	assert_int_equal(json_len(list), 3);
	it = json_iter(list);
	assert_true(json_next(&it));
	assert_true(str_eq(member(it.val, "name"), STR("gpt-5")));
	assert_true(str_eq(member(it.val, "model"), STR("gpt-5")));
	assert_int_equal(member(it.val, "digest").len, 64);
	assert_true(str_eq(member(it.val, "modified_at"), STR("1970-01-01T00:00:00Z")));
	assert_true(json_is_obj(json_get(it.val, STR("details"))));
	assert_true(json_is_num(json_get(it.val, STR("size"))));
}

static void one_model_by_any_of_its_names(void **state)
{
	unsigned show = variant_of("/api/show");
	const json *v;
	int64_t n;

	assert_true(info(show, "gpt-5:latest"));
	v = json_get(written(), STR("model_info"));
	assert_true(json_i64(json_get(v, STR("gateway.context_length")), &n) && n == 400000);
	assert_true(str_find(buf_str(&out), STR("[\"completion\",\"tools\",\"vision\"]")) > 0);
	buf_reset(&out);
	assert_true(info(show, "small"));
	buf_reset(&out);
	assert_true(info(show, "vectors"));
	assert_true(str_find(buf_str(&out), STR("\"capabilities\":[\"embedding\"]")) > 0);
	buf_reset(&out);
	assert_false(info(show, "gpt"));
}

static void only_our_own_models_run_here(void **state)
{
	struct json_iter it;

	assert_true(info(variant_of("/api/ps"), NULL));
	it = json_iter(json_get(written(), STR("models")));
	assert_true(json_next(&it));
	assert_true(str_eq(member(it.val, "name"), STR("small:latest")));
	assert_true(str_eq(member(it.val, "expires_at"), STR("1970-01-01T00:01:30Z")));
	assert_false(json_next(&it));
	buf_reset(&out);
	assert_true(info(variant_of("/api/version"), NULL));
	assert_true(member(written(), "version").len > 0);
}

static void lists_of_upstreams(void **state)
{
	struct str *ids;
	unsigned n;
	struct err e;

	assert_int_equal(
		protocol_ollama_chat.decode_models(arena,
						   STR("{\"models\":[{\"name\":\"a\",\"model\":\"a:"
						       "1b\"},{\"name\":\"b\"},{}]}"),
						   &ids, &n, &e),
		RC_OK);
	assert_int_equal(n, 2);
	assert_true(str_eq(ids[0], STR("a:1b")) && str_eq(ids[1], STR("b")));
	assert_int_equal(protocol_ollama_chat.decode_models(arena, STR("{\"models\":null}"), &ids,
							    &n, &e),
			 RC_OK);
	assert_int_equal(n, 0);
	assert_int_equal(protocol_ollama_chat.decode_models(arena, STR("{}"), &ids, &n, &e),
			 RC_SYNTAX);
}

/* --- errors --- */

static void trap_107_errors_of_every_shape(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum ir_error_kind kind;
		const char *message;
		bool native;
	} rows[] = {
		{ 404, "{\"error\":\"model \\\"x\\\" not found, try pulling it first\"}",
		  IR_ERR_MODEL_NOT_FOUND, "model \"x\" not found, try pulling it first", true },
		{ 400, "{\"error\":\"\\\"x\\\" does not support thinking\"}",
		  IR_ERR_INVALID_REQUEST, "\"x\" does not support thinking", true },
		{ 503, "{\"error\":\"server busy, please try again\"}", IR_ERR_OVERLOADED,
		  "server busy, please try again", true },
		{ 500, "{\"error\":\"input exceeds the context length\"}", IR_ERR_CONTEXT_LENGTH,
		  "input exceeds the context length", true },
		{ 500, "{\"error\":\"boom\"}", IR_ERR_SERVER, "boom", true },
		{ 429, "{\"error\":{\"message\":\"slow down\"}}", IR_ERR_RATE_LIMIT, "slow down",
		  false },
		{ 502, "<html>", IR_ERR_UPSTREAM,
		  "The provider answered with status 502 and a body that is no JSON.", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct ir_error e;

		assert_int_equal(protocol_ollama_chat.decode_error(arena, rows[i].status,
								   str_from(rows[i].body), &e),
				 rows[i].native);
		assert_int_equal(e.kind, rows[i].kind);
		assert_true(str_eq(e.message, str_from(rows[i].message)));
	}
}

static void trap_109_no_529_here(void **state)
{
	struct ir_error e = { .kind = IR_ERR_OVERLOADED, .status = 529, .message = STR("busy") };
	int status;

	protocol_ollama_chat.encode_error(&e, STR_NONE, &out, &status);
	assert_int_equal(status, 503);
	assert_true(str_eq(buf_str(&out), STR("{\"error\":\"busy\"}")));
}

/* --- embeddings --- */

static struct ir_embed_request *embed(const char *path, const char *body, int want)
{
	struct request_line line = { .op = IR_OP_EMBED, .variant = variant_of(path) };
	struct ir_embed_request *r = NULL;
	struct err e;

	assert_int_equal(protocol_ollama_chat.embed->decode_request(arena, &line, str_from(body),
								    &r, &e),
			 want);
	return r;
}

static void what_is_to_be_embedded(void **state)
{
	const struct ir_embed_request *r =
		embed("/api/embed",
		      "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"dimensions\":5,\"truncate\":true,"
		      "\"options\":{}}",
		      RC_OK);

	assert_int_equal(r->n_inputs, 2);
	assert_int_equal(r->dimensions, 5);
	assert_false(r->single);
	assert_int_equal(r->n_extras, 1);
	assert_true(str_eq(r->extras[0].name, STR("truncate")));
	r = embed("/api/embeddings", "{\"model\":\"m\",\"prompt\":\"a\"}", RC_OK);
	assert_true(r->single);
	assert_int_equal(r->n_inputs, 1);
	(void)embed("/api/embed", "{\"model\":\"m\",\"input\":[]}", RC_INVALID);
	(void)embed("/api/embed", "{\"model\":\"m\",\"input\":[1]}", RC_INVALID);
	(void)embed("/api/embed", "{\"input\":\"a\"}", RC_INVALID);
	(void)embed("/api/embeddings", "{\"model\":\"m\",\"prompt\":[\"a\"]}", RC_INVALID);
}

static void what_goes_up(void **state)
{
	int64_t tokens[] = { 1, 2 };
	struct ir_embed_request r =
		*embed("/api/embed", "{\"model\":\"m\",\"input\":\"a\",\"truncate\":false}", RC_OK);
	struct request_target t = { .model = STR("up") };
	struct ir_losses l;
	struct err e;

	ir_losses_init(&l, arena);
	assert_int_equal(protocol_ollama_chat.embed->encode_request(arena, &r, &t, &out, &l, &e),
			 RC_OK);
	assert_true(str_eq(buf_str(&out),
			   STR("{\"model\":\"up\",\"input\":[\"a\"],\"truncate\":false}")));
	assert_int_equal(l.n, 0);
	r.inputs[0] = (struct ir_embed_input){ .tokens = tokens, .n_tokens = 2 };
	assert_int_equal(protocol_ollama_chat.embed->encode_request(arena, &r, &t, &out, &l, &e),
			 RC_UNSUPPORTED);
}

static void trap_099_vectors_both_ways(void **state)
{
	const struct embed_codec *c = protocol_ollama_chat.embed;
	struct ir_embed_request list = { .n_inputs = 2 }, one = { .n_inputs = 1, .single = true };
	struct ir_embed_response *e;
	struct ir_usage usage = IR_USAGE_NONE;
	struct err err;
	const struct str body = STR(
		"{\"model\":\"m\",\"embeddings\":[[0.10,-2e-3],[1,2]],\"prompt_eval_count\":4}");

	assert_int_equal(c->decode_response(arena, &list, body, &e, &err), RC_OK);
	assert_int_equal(e->n_vectors, 2);
	assert_int_equal(e->usage.input, 4);
	assert_int_equal(c->encode_response(&list, e, STR("m"), &out), RC_OK);
	assert_true(str_eq(buf_str(&out), body));
	assert_true(c->tap_body(arena, body, &usage) && usage.input == 4);
	buf_reset(&out);
	assert_int_equal(c->decode_response(arena, &one, STR("{\"embedding\":[0.5]}"), &e, &err),
			 RC_OK);
	assert_int_equal(c->encode_response(&one, e, STR("m"), &out), RC_OK);
	assert_true(str_eq(buf_str(&out), STR("{\"embedding\":[0.5]}")));
	assert_int_equal(c->decode_response(arena, &one, STR("{}"), &e, &err), RC_SYNTAX);
	assert_int_equal(c->decode_response(arena, &list, STR("{\"embeddings\":[[\"x\"]]}"), &e,
					    &err),
			 RC_SYNTAX);
	assert_false(c->tap_body(arena, STR("{}"), &usage));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_list_is_what_clients_cut_and_parse),
		TEST(one_model_by_any_of_its_names),
		TEST(only_our_own_models_run_here),
		TEST(lists_of_upstreams),
		TEST(trap_107_errors_of_every_shape),
		TEST(trap_109_no_529_here),
		TEST(what_is_to_be_embedded),
		TEST(what_goes_up),
		TEST(trap_099_vectors_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
