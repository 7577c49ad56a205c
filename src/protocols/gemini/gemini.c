/* protocols/gemini/gemini.c - Google's Gemini API as one table, and the small things its files share. Who does what is in
 * the header.
 *
 * The hard thing is that model, operation and form of stream stand in the path: "{model}:streamGenerateContent?alt=sse". */
#include "protocols/gemini/gemini.h"

#include <assert.h>
#include <string.h>

#include "ir/carrier.h"

/* All verbs of a model below one root. What stands for the model may hold slashes: Vertex names projects and locations. */
#define VERBS(root)                                                                            \
	{ HTTP_POST, root "{name}:generateContent", IR_OP_GENERATE, GM_WHOLE },                \
		{ HTTP_POST, root "{name}:streamGenerateContent", IR_OP_GENERATE, GM_STREAM }, \
		{ HTTP_POST, root "{name}:countTokens", IR_OP_COUNT_TOKENS, GM_WHOLE },        \
		{ HTTP_POST, root "{name}:embedContent", IR_OP_EMBED, GM_SINGLE },             \
	{                                                                                      \
		HTTP_POST, root "{name}:batchEmbedContents", IR_OP_EMBED, GM_BATCH             \
	}

static const struct protocol_route routes[] = {
	VERBS("/v1beta/models/"),
	VERBS("/v1/models/"),
	VERBS("/v1/projects/"),
	VERBS("/v1beta1/projects/"),
	VERBS("/v1/publishers/google/models/"),
	VERBS("/v1beta1/publishers/google/models/"),
	{ HTTP_GET, "/v1beta/models", IR_OP_LIST_MODELS, GM_WHOLE },
	{ HTTP_GET, "/v1beta/models/{name}", IR_OP_GET_MODEL, GM_WHOLE },
	/* Newer SDKs ask here, where everybody does: route.c knows them by their fields. */
	{ HTTP_GET, "/v1/models", IR_OP_LIST_MODELS, GM_WHOLE },
	{ HTTP_GET, "/v1/models/{name}", IR_OP_GET_MODEL, GM_WHOLE },
	{ .path = NULL },
};

bool gm_minted(const char *origin)
{
	return origin && strcmp(origin, GM_NAME) == 0;
}

/* True when `key` is `camel` in snake_case. */
static bool is_snake(struct str key, struct str camel)
{
	size_t i = 0;

	for (size_t c = 0; c < camel.len; c++) {
		bool upper = camel.ptr[c] >= 'A' && camel.ptr[c] <= 'Z';

		if (upper && (i >= key.len || key.ptr[i++] != '_'))
			return false;
		if (i >= key.len ||
		    key.ptr[i++] != (char)(upper ? camel.ptr[c] | 0x20 : camel.ptr[c]))
			return false;
	}
	return i == key.len;
}

bool gm_is(struct str key, const char *camel)
{
	return str_eq(key, str_from(camel)) || is_snake(key, str_from(camel));
}

static size_t snake_index(const struct str *camel, size_t stride, size_t n, struct str key)
{
	const char *row = (const char *)camel;
	size_t i = 0;

	if (str_chr(key, '_') < 0)
		return n;
	while (i < n && !is_snake(key, *(const struct str *)(const void *)(row + i * stride)))
		i++;
	return i;
}

size_t gm_index(const struct str *camel, size_t stride, size_t n, struct str key)
{
	size_t i = json_name_index(camel, stride, n, 0, key);

	return i < n ? i : snake_index(camel, stride, n, key);
}

enum { MAX_NAMES = 32 };

static bool has_snakes(const json *obj)
{
	struct json_iter it = json_iter(obj);

	while (json_next(&it))
		if (str_chr(it.key, '_') >= 0)
			return true;
	return false;
}

/* Where a member stands in both spellings the vendor's own, camelCase, counts. */
static void find_snakes(const json *obj, const struct str *camel, size_t stride, size_t n,
			const json **ret)
{
	const json *snake[MAX_NAMES] = { NULL };
	struct json_iter it = json_iter(obj);

	assert(n <= MAX_NAMES);
	while (json_next(&it)) {
		size_t i = snake_index(camel, stride, n, it.key);

		if (i < n)
			snake[i] = json_is_null(it.val) ? NULL : it.val;
	}
	for (size_t i = 0; i < n; i++)
		if (!ret[i])
			ret[i] = snake[i];
}

void gm_find(const json *obj, const struct str *camel, size_t stride, size_t n, const json **ret)
{
	if (json_find(obj, camel, stride, n, ret) && has_snakes(obj))
		find_snakes(obj, camel, stride, n, ret);
}

int gm_parse(struct arena *a, struct str text, const json **ret, struct err *reterr)
{
	struct err e = { .code = RC_SYNTAX };

	*ret = json_parse(a, text, &e);
	return *ret ? RC_OK : err_at(reterr, e.code, e.at, "%s", e.msg);
}

struct str gm_model_name(struct str arg)
{
	ptrdiff_t at;

	if (!str_starts(arg, STR("models/")) && str_find(arg, STR("/models/")) < 0)
		return arg;
	at = str_find(arg, STR("models/"));
	return str_from_offset(arg, (size_t)at + strlen("models/"));
}

bool gm_wants_sse(struct str query)
{
	while (str_present(query))
		if (str_eq(str_cut(&query, '&'), STR("alt=sse")))
			return true;
	return false;
}

/* --- carried proofs --- */

#define REDACTED "redacted:"

struct str gm_proof_pack(struct arena *a, const char *origin, struct str proof, bool redacted)
{
	if (gm_minted(origin) && !redacted)
		return proof;
	if (redacted)
		proof = arena_printf(a, REDACTED "%.*s", STR_ARG(proof));
	return str_present(proof) ? ir_carrier_pack_base64(a, origin ? origin : "unknown", proof)
				  : STR_NONE;
}

void gm_proof_unpack(struct arena *a, struct str value, struct ir_part *p)
{
	struct str origin, proof;

	p->origin = GM_NAME;
	p->signature = value;
	if (!ir_carrier_is(value) || !ir_carrier_unpack(a, value, &origin, &proof))
		return;
	p->origin = arena_dup(a, origin)
			    .ptr; /* a broker's word for a vendor may be no protocol's name */
	p->signature = STR_NONE;
	if (str_starts(proof, STR(REDACTED)))
		p->redacted = str_from_offset(proof, strlen(REDACTED));
	else
		p->signature = proof;
}

const struct protocol protocol_gemini = {
	.name = GM_NAME,
	.id_prefix = "",
	.request_id_header = "x-request-id",
	.max_stops = GM_MAX_STOPS,
	.pictures = IR_PICTURES_DATA | IR_PICTURES_URL,
	.routes = routes,
	.error_content_type = "application/json; charset=UTF-8",
	.framing = FRAMING_SSE,
	.peek = gm_peek,
	.patch = gm_patch,
	.decode_request = gm_decode_request,
	.encode_request = gm_encode_request,
	.tap_event = gm_tap_event,
	.tap_body = gm_tap_body,
	.decoder_new = gm_decoder_new,
	.decode_event = gm_decode_event,
	.decode_end = gm_decode_end,
	.decode_body = gm_decode_body,
	.encoder_new = gm_encoder_new,
	.encode_event = gm_encode_event,
	.encode_response = gm_encode_response,
	.encode_error = gm_encode_error,
	.encode_stream_error = gm_encode_stream_error,
	.decode_error = gm_decode_error,
	.encode_ping = gm_encode_ping,
	.encode_models = gm_encode_models,
	.encode_models_page = gm_encode_models_page,
	.next_models = gm_next_models,
	.encode_model = gm_encode_model,
	.decode_models = gm_decode_models,
	.encode_count_request = gm_encode_count_request,
	.fit_count_request = gm_fit_count_request,
	.encode_token_count = gm_encode_token_count,
	.decode_token_count = gm_decode_token_count,
	.embed = &gm_embed,
};
