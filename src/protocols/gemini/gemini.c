/* protocols/gemini/gemini.c - Google's Gemini API as one table, and the small things its files share. Who does what is in
 * the header.
 *
 * The hard thing is that model, operation and form of stream stand in the path: "{model}:streamGenerateContent?alt=sse". */
#include "protocols/gemini/gemini.h"

#include <string.h>

#include "ir/carrier.h"

/* All verbs of a model below one root. What stands for the model may hold slashes: Vertex names projects and locations. */
#define VERBS(root)                                                                          \
	{ HTTP_POST, root "{id}:generateContent", IR_OP_GENERATE, GM_WHOLE },                \
		{ HTTP_POST, root "{id}:streamGenerateContent", IR_OP_GENERATE, GM_STREAM }, \
		{ HTTP_POST, root "{id}:countTokens", IR_OP_COUNT_TOKENS, GM_WHOLE },        \
		{ HTTP_POST, root "{id}:embedContent", IR_OP_EMBED, GM_SINGLE },             \
	{                                                                                    \
		HTTP_POST, root "{id}:batchEmbedContents", IR_OP_EMBED, GM_BATCH             \
	}

static const struct protocol_route routes[] = {
	VERBS("/v1beta/models/"),
	VERBS("/v1/models/"),
	VERBS("/v1/projects/"),
	VERBS("/v1beta1/projects/"),
	VERBS("/v1/publishers/google/models/"),
	VERBS("/v1beta1/publishers/google/models/"),
	{ HTTP_GET, "/v1beta/models", IR_OP_LIST_MODELS, GM_WHOLE },
	{ HTTP_GET, "/v1beta/models/{id}", IR_OP_GET_MODEL, GM_WHOLE },
	/* Newer SDKs ask here, where everybody does: route.c knows them by their fields. */
	{ HTTP_GET, "/v1/models", IR_OP_LIST_MODELS, GM_WHOLE },
	{ HTTP_GET, "/v1/models/{id}", IR_OP_GET_MODEL, GM_WHOLE },
	{ .path = NULL },
};

bool gm_minted(const char *origin)
{
	return origin && strcmp(origin, GM_NAME) == 0;
}

enum { KEY_MAX = 64 };

const json *gm_get(const json *obj, const char *camel)
{
	const json *v = json_get_set(obj, str_from(camel));
	char snake[KEY_MAX];
	size_t n = 0;

	if (v)
		return v;
	for (const char *c = camel; *c && n + 2 < sizeof(snake); c++) {
		bool upper = *c >= 'A' && *c <= 'Z';

		if (upper)
			snake[n++] = '_';
		snake[n++] = (char)(upper ? *c | 0x20 : *c);
	}
	return n == strlen(camel) ? NULL : json_get_set(obj, (struct str){ snake, n });
}

bool gm_is(struct str key, const char *camel)
{
	size_t i = 0;

	if (str_eq(key, str_from(camel)))
		return true;
	for (const char *c = camel; *c; c++) {
		bool upper = *c >= 'A' && *c <= 'Z';

		if (upper && (i >= key.len || key.ptr[i++] != '_'))
			return false;
		if (i >= key.len || key.ptr[i++] != (char)(upper ? *c | 0x20 : *c))
			return false;
	}
	return i == key.len;
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

/* The protocol of that name, for an origin that outlives the text it was read from. */
static const char *origin_named(struct str name)
{
	const struct protocol *p = protocol_find(name);

	return p ? p->name : NULL;
}

void gm_proof_unpack(struct arena *a, struct str value, struct ir_part *p)
{
	struct str origin, proof;

	p->origin = GM_NAME;
	p->signature = value;
	if (!ir_carrier_is(value) || !ir_carrier_unpack(a, value, &origin, &proof))
		return;
	p->origin = origin_named(origin);
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
	.encode_token_count = gm_encode_token_count,
	.decode_token_count = gm_decode_token_count,
	.embed = &gm_embed,
};
