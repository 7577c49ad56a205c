/* tests/unit/protocols/gemini/test_relay.c - mirrors src/protocols/gemini/relay.c, errors.c, models.c and embed.c. */
#include "check.h"

#include "base/arena.h"
#include "ir/carrier.h"
#include "json/json.h"
#include "protocols/protocol.h"
#include "wire/framer.h"

#define P protocol_gemini

static struct route_match route(struct arena *a, enum http_method method, const char *path,
				const char *query)
{
	struct http_head head = { .method = method,
				  .path = str_from(path),
				  .query = query ? str_from(query) : STR_NONE };
	struct route_match m;

	if (route_find(a, &head, &m) != ROUTE_OK)
		m.line.arg = STR("none");
	return m;
}

static void everything_stands_in_the_path(void **state)
{
	static const struct {
		const char *path, *query, *model;
		bool stream;
		enum framing framing;
	} rows[] = {
		{ "/v1beta/models/g:generateContent", NULL, "g", false, FRAMING_JSON_ARRAY },
		{ "/v1beta/models/openai/gpt%2D5:streamGenerateContent", "key=x&alt=sse",
		  "openai/gpt-5", true, FRAMING_SSE },
		{ "/v1/models/g:streamGenerateContent", NULL, "g", true, FRAMING_JSON_ARRAY },
		{ "/google/v1beta/models/g:streamGenerateContent", "alt=json", "g", true,
		  FRAMING_JSON_ARRAY },
		{ "/v1/projects/p/locations/l/publishers/google/models/g:generateContent", NULL,
		  "g", false, FRAMING_JSON_ARRAY },
		{ "/v1beta1/publishers/google/models/g:streamGenerateContent", "alt=sse", "g", true,
		  FRAMING_SSE },
	};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct route_match m = route(a, HTTP_POST, rows[i].path, rows[i].query);
		struct request_peek peek;

		assert_ptr_equal(m.protocol, &P);
		assert_int_equal(m.line.op, IR_OP_GENERATE);
		assert_int_equal(P.peek(a, &m.line, STR("{\"contents\":[]}"), &peek, NULL), RC_OK);
		CHECK_STR_IS(peek.model, str_from(rows[i].model));
		assert_int_equal(peek.stream, rows[i].stream);
		assert_int_equal(peek.framing, rows[i].framing);
	}
	assert_int_equal(route(a, HTTP_POST, "/v1beta/models/g:countTokens", NULL).line.op,
			 IR_OP_COUNT_TOKENS);
	assert_int_equal(route(a, HTTP_POST, "/v1beta/models/g:embedContent", NULL).line.op,
			 IR_OP_EMBED);
	assert_int_equal(route(a, HTTP_GET, "/v1beta/models/g", NULL).line.op, IR_OP_GET_MODEL);
	/* Refusals below these paths are in the vendor's words, the list below /v1 is OpenAI's. */
	assert_ptr_equal(route(a, HTTP_POST, "/v1beta/cachedContents", NULL).protocol, &P);
	assert_ptr_equal(route(a, HTTP_GET, "/v1/models", NULL).protocol, &protocol_openai_chat);
	arena_free(a);
}

static struct str patched_losing(struct arena *a, const char *from, const char *to,
				 const char *body, const char *lost)
{
	struct ir_losses losses;
	struct request_line line = { .op = IR_OP_GENERATE, .arg = str_from(from) };
	struct patch_options o = { .model = str_from(to),
				   .strip_provider = true,
				   .losses = &losses };
	struct request_peek peek;
	struct buf out;
	struct str text;

	assert_int_equal(P.peek(a, &line, str_from(body), &peek, NULL), RC_OK);
	buf_init(&out, 1 << 20);
	ir_losses_init(&losses, a);
	assert_int_equal(P.patch(a, &peek, &o, &out), RC_OK);
	text = arena_dup(a, buf_str(&out));
	buf_done(&out);
	assert_int_equal(losses.n > 0, lost[0] != 0);
	if (losses.n)
		CHECK_STR_IS(ir_losses_text(&losses), str_from(lost));
	return text;
}

static struct str patched(struct arena *a, const char *from, const char *to, const char *body)
{
	return patched_losing(a, from, to, body, "");
}

#define TURN(parts) "{\"contents\":[{\"role\":\"model\",\"parts\":[" parts "]}]}"

static void trap_091_bodies_pass_as_they_are(void **state)
{
	static const char odd[] =
		"{ \"contents\" : [ {\"parts\":[{\"text\":\"a\\u00e9\"}]} ],\"later\":1.0e0 }";
	struct arena *a = arena_new(1 << 20);
	struct str carrier = ir_carrier_pack_base64(a, "anthropic-messages", STR("s"));
	struct str body = arena_printf(
		a,
		TURN("{\"text\":\"hm\",\"thought\":true,\"thoughtSignature\":\"%.*s\"},"
		     "{\"functionCall\":{\"name\":\"f\",\"args\":{\"thoughtSignature\":1.50}}},"
		     "{\"functionCall\":{\"name\":\"g\"}}"),
		STR_ARG(carrier));

	(void)state;
	CHECK_STR_IS(patched(a, "x", "y", odd), str_from(odd));
	CHECK_STR(patched(a, "x", "x", "{\"provider\":\"p\",\"contents\":[]}"),
		  "{\"contents\":[]}");
	/* Where the body names the model too it must be the same. */
	CHECK_STR(
		patched(a, "x", "y",
			"{\"requests\":[{\"model\":\"models/x\",\"content\":{\"model\":\"x\"}}]}"),
		"{\"requests\":[{\"model\":\"models/y\",\"content\":{\"model\":\"x\"}}]}");
	/* What another vendor's model left does not go to this one. */
	CHECK_STR(patched_losing(a, "x", "gemini-2.5-flash", body.ptr, "reasoning_content"),
		  TURN("{\"functionCall\":{\"name\":\"f\",\"args\":{\"thoughtSignature\":1.50}}},"
		       "{\"functionCall\":{\"name\":\"g\"}}"));
	CHECK_STR(patched_losing(a, "x", "y",
				 TURN("{\"text\":\"a\",\"thoughtSignature\":\"lgw1.x.c2ln\"}"),
				 "reasoning_content"),
		  TURN("{\"text\":\"a\"}"));
	/* A call without any has nothing to lose. */
	CHECK_STR(patched(a, "x", "gemini-3-flash",
			  TURN("{\"functionCall\":{\"name\":\"f\"}},{\"functionCall\":{\"name\":"
			       "\"g\"}}")),
		  TURN("{\"functionCall\":{\"name\":\"f\"},\"thoughtSignature\":"
		       "\"c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=\"},{\"functionCall\":{"
		       "\"name\":\"g\"}}"));
	arena_free(a);
}

struct read_along {
	unsigned flags;
	struct relay_tap tap;
};

static struct read_along tap(struct arena *a, enum framing framing, const char *stream)
{
	struct read_along r = { .tap = { .arena = a, .usage = IR_USAGE_NONE } };
	struct str left = str_from(stream);
	struct framer f;
	struct frame ev;
	size_t used;

	framer_init(&f, framing, 1 << 16);
	while (left.len && framer_next(&f, left, &ev, &used) == FRAMER_FRAME) {
		r.flags |= P.tap_event(&r.tap, a, &ev);
		left = str_from_offset(left, used);
	}
	framer_done(&f);
	return r;
}

#define CHUNK(more)                                                                     \
	"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}" more             \
	"}],\"usageMetadata\":"                                                         \
	"{\"promptTokenCount\":5,\"candidatesTokenCount\":2,\"promptTokensDetails\":[{" \
	"\"modality\":\"TEXT\",\"tokenCount\":5}]}}"

static void trap_118_usage_and_ends_are_read_along(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct read_along r = tap(a, FRAMING_SSE,
				  "data: " CHUNK("") "\r\n\r\ndata: " CHUNK(
					  ",\"finishReason\":\"MAX_TOKENS\"") "\r\n\r\n");

	(void)state;
	assert_true(r.tap.finished);
	assert_int_equal(r.flags, TAP_MEANINGFUL);
	assert_int_equal(r.tap.usage.input, 5);
	assert_int_equal(r.tap.usage.output, 2);
	r = tap(a, FRAMING_SSE, "data: " CHUNK("") "\n\n");
	assert_false(r.tap.finished);
	r = tap(a, FRAMING_JSON_ARRAY, "[" CHUNK(",\"finishReason\":\"STOP\"") "\n");
	assert_false(r.tap.finished); /* the list was cut (trap 113) */
	r = tap(a, FRAMING_JSON_ARRAY,
		"[" CHUNK("") ",\r\n" CHUNK(",\"finishReason\":\"STOP\"") "]");
	assert_true(r.tap.finished && (r.flags & TAP_END));
	r = tap(a, FRAMING_JSON_ARRAY, "[" CHUNK("") "]");
	assert_false(r.tap.finished);
	r = tap(a, FRAMING_SSE, "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n");
	assert_true(r.tap.finished);
	r = tap(a, FRAMING_SSE,
		"data: "
		"{\"error\":{\"code\":429,\"message\":\"slow\",\"status\":\"RESOURCE_EXHAUSTED\"}}"
		"\n\n");
	assert_int_equal(r.flags, TAP_ERROR);
	assert_int_equal(r.tap.error.kind, IR_ERR_RATE_LIMIT);
	arena_free(a);
}

static void trap_107_110_errors_are_read(void **state)
{
	static const struct {
		int status;
		const char *body, *message;
		enum ir_error_kind kind;
		bool own;
		int64_t retry_ms;
	} rows[] = {
		{ 400,
		  "[{\"error\":{\"code\":400,\"message\":\"API key not "
		  "valid.\",\"status\":\"INVALID_ARGUMENT\","
		  "\"details\":[{\"@type\":\"type.googleapis.com/"
		  "google.rpc.ErrorInfo\",\"reason\":\"API_KEY_INVALID\"}]}}]",
		  "API key not valid.", IR_ERR_AUTHENTICATION, true, -1 },
		{ 429,
		  "{\"error\":{\"code\":429,\"message\":\"q\",\"status\":\"RESOURCE_EXHAUSTED\","
		  "\"details\":["
		  "{\"@type\":\"type.googleapis.com/"
		  "google.rpc.RetryInfo\",\"retryDelay\":\"12.5s\"}]}}",
		  "q", IR_ERR_RATE_LIMIT, true, 12500 },
		{ 404,
		  "{\"error\":{\"code\":404,\"message\":\"models/x is not "
		  "found\",\"status\":\"NOT_FOUND\"}}",
		  "models/x is not found", IR_ERR_MODEL_NOT_FOUND, true, -1 },
		{ 400,
		  "{\"error\":{\"code\":400,\"message\":\"The input token count (2) exceeds the "
		  "maximum number of tokens "
		  "allowed (1).\",\"status\":\"INVALID_ARGUMENT\"}}",
		  "The input token count (2) exceeds the maximum number of tokens allowed (1).",
		  IR_ERR_CONTEXT_LENGTH, true, -1 },
		{ 503,
		  "{\"error\":{\"code\":503,\"message\":\"The model is "
		  "overloaded.\",\"status\":\"UNAVAILABLE\"}}",
		  "The model is overloaded.", IR_ERR_OVERLOADED, true, -1 },
		{ 500, "{\"detail\":\"boom\"}", "boom", IR_ERR_SERVER, false, -1 },
		{ 502, "<html>",
		  "The provider answered with status 502 and a body that is no JSON.",
		  IR_ERR_UPSTREAM, false, -1 },
	};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ir_error e;

		assert_int_equal(P.decode_error(a, rows[i].status, str_from(rows[i].body), &e),
				 rows[i].own);
		assert_int_equal(e.kind, rows[i].kind);
		CHECK_STR_IS(e.message, str_from(rows[i].message));
		assert_int_equal(e.retry_after_ms, rows[i].retry_ms);
	}
	arena_free(a);
}

static void errors_are_written_in_the_vendors_shape(void **state)
{
	struct ir_error e = { .kind = IR_ERR_RATE_LIMIT,
			      .message = STR("slow \"down\""),
			      .retry_after_ms = 1500 };
	struct buf out;
	int status;

	(void)state;
	buf_init(&out, 1 << 16);
	P.encode_error(&e, STR("req"), &out, &status);
	assert_int_equal(status, 429);
	CHECK_STR(buf_str(&out), "{\"error\":{\"code\":429,\"message\":\"slow "
				 "\\\"down\\\"\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":["
				 "{\"@type\":\"type.googleapis.com/"
				 "google.rpc.RetryInfo\",\"retryDelay\":\"1.500s\"},"
				 "{\"@type\":\"type.googleapis.com/"
				 "google.rpc.RequestInfo\",\"requestId\":\"req\"}]}}");
	buf_reset(&out);
	e.retry_after_ms = -1;
	P.encode_stream_error(&e, STR_NONE, FRAMING_JSON_ARRAY, true, &out);
	assert_true(str_starts(buf_str(&out), STR(",\r\n{\"error\"")) &&
		    str_ends(buf_str(&out), STR("}]")));
	buf_reset(&out);
	P.encode_stream_error(&e, STR_NONE, FRAMING_SSE, true, &out);
	assert_true(
		str_starts(buf_str(&out), STR("data: {\"error\""))); /* trap 20: no event line */
	buf_done(&out);
}

/* --- embeddings --- */

static void trap_099_embeddings_both_ways(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct route_match m = route(a, HTTP_POST, "/v1beta/models/e:batchEmbedContents", NULL);
	struct request_target t = { .model = STR("g") };
	struct ir_embed_request *r;
	struct ir_embed_response *e;
	struct ir_losses losses;
	struct buf out;
	static const char body[] =
		"{\"requests\":[{\"model\":\"models/"
		"g\",\"content\":{\"parts\":[{\"text\":\"a\"}]},\"taskType\":\"CLUSTERING\","
		"\"outputDimensionality\":2},{\"model\":\"models/"
		"g\",\"content\":{\"parts\":[{\"text\":\"b\"}]},"
		"\"outputDimensionality\":2}]}";

	(void)state;
	buf_init(&out, 1 << 16);
	ir_losses_init(&losses, a);
	assert_int_equal(P.embed->decode_request(a, &m.line, str_from(body), &r, NULL), RC_OK);
	assert_int_equal(r->n_inputs, 2);
	CHECK_STR(r->model, "e");
	assert_int_equal(P.embed->encode_request(a, r, &t, &out, &losses, NULL), RC_OK);
	CHECK_STR_IS(buf_str(&out), str_from(body));
	buf_reset(&out);
	assert_int_equal(
		P.embed->decode_response(
			a, r, STR("{\"embeddings\":[{\"values\":[0.10,-2e-3]},{\"values\":[1]}]}"),
			&e, NULL),
		RC_OK);
	assert_int_equal(P.embed->encode_response(r, e, STR("e"), &out), RC_OK);
	CHECK_STR(buf_str(&out), "{\"embeddings\":[{\"values\":[0.10,-2e-3]},{\"values\":[1]}]}");
	buf_reset(&out);
	r->single = true;
	assert_int_equal(P.embed->encode_response(r, e, STR("e"), &out), RC_OK);
	CHECK_STR(buf_str(&out), "{\"embedding\":{\"values\":[0.10,-2e-3]}}");
	buf_done(&out);
	arena_free(a);
}

static void models_and_counts(void **state)
{
	struct model_info m = { .id = STR("openai/x"), .owner = STR("openai"), .context = 100 };
	struct arena *a = arena_new(1 << 20);
	struct str *ids;
	unsigned n;
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	P.encode_models(&m, 1, &out);
	assert_int_equal(P.decode_models(a, buf_str(&out), &ids, &n, NULL), RC_OK);
	assert_int_equal(n, 1);
	CHECK_STR(ids[0], "openai/x");
	buf_reset(&out);
	P.encode_token_count(7, &out);
	CHECK_STR(buf_str(&out), "{\"totalTokens\":7}");
	assert_int_equal(P.decode_token_count(a, buf_str(&out)), 7);
	assert_int_equal(P.decode_token_count(a, STR("{}")), 0);
	assert_int_equal(P.decode_token_count(a, STR("{\"error\":{}}")), -1);
	assert_int_equal(P.decode_token_count(a, STR("<html>")), -1);
	buf_done(&out);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_stands_in_the_path),
		cmocka_unit_test(trap_091_bodies_pass_as_they_are),
		cmocka_unit_test(trap_118_usage_and_ends_are_read_along),
		cmocka_unit_test(trap_107_110_errors_are_read),
		cmocka_unit_test(errors_are_written_in_the_vendors_shape),
		cmocka_unit_test(trap_099_embeddings_both_ways),
		cmocka_unit_test(models_and_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
