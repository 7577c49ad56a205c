/* protocols/ollama/ollama.c - Ollama's native API as two tables: a conversation, and one prompt. Who does what is in the
 * header. */
#include "protocols/ollama/ollama.h"

static const struct protocol_route chat_routes[] = {
	{ HTTP_POST, "/api/chat", IR_OP_GENERATE, OL_ASK_CHAT },
	{ HTTP_POST, "/api/embed", IR_OP_EMBED, OL_EMBED },
	{ HTTP_POST, "/api/embeddings", IR_OP_EMBED, OL_EMBEDDINGS },
	{ HTTP_GET, "/api/tags", IR_OP_LIST_MODELS, 0 },
	{ HTTP_POST, "/api/show", IR_OP_INFO, OL_SHOW },
	{ HTTP_GET, "/api/ps", IR_OP_INFO, OL_PS },
	{ HTTP_GET, "/api/version", IR_OP_INFO, OL_VERSION },
	{ .path = NULL },
};

static const struct protocol_route generate_routes[] = {
	{ HTTP_POST, "/api/generate", IR_OP_GENERATE, OL_ASK_GENERATE },
	{ .path = NULL },
};

bool ol_minted(const char *origin)
{
	return origin &&
	       (strcmp(origin, OL_CHAT_NAME) == 0 || strcmp(origin, OL_GENERATE_NAME) == 0);
}

int ol_parse(struct arena *a, struct str text, const json **ret, struct err *reterr)
{
	struct err err;

	*ret = json_parse(a, text, &err);
	if (*ret)
		return RC_OK;
	if (reterr)
		*reterr = err;
	return err.code;
}

#define FORM(name, FORM)                                                                    \
	static int name##_decode_request(struct arena *a, const struct request_line *line,  \
					 struct str body, struct ir_request **ret,          \
					 struct err *reterr)                                \
	{                                                                                   \
		(void)line;                                                                 \
		return ol_decode_request(FORM, a, body, ret, reterr);                       \
	}                                                                                   \
	static int name##_encode_request(struct arena *a, const struct ir_request *r,       \
					 const struct request_target *t, struct buf *out,   \
					 struct ir_losses *losses, struct err *reterr)      \
	{                                                                                   \
		return ol_encode_request(FORM, a, r, t, out, losses, reterr);               \
	}                                                                                   \
	static struct protocol_encoder *name##_encoder_new(const struct encoder_options *o) \
	{                                                                                   \
		return ol_encoder_new(FORM, o);                                             \
	}                                                                                   \
	static int name##_encode_response(const struct encoder_options *o,                  \
					  const struct ir_response *r, struct buf *out)     \
	{                                                                                   \
		return ol_encode_response(FORM, o, r, out);                                 \
	}

FORM(chat, OL_CHAT)
FORM(generate, OL_GENERATE)

/* Both have no id for an answer; the prefix is for the gateway's own records. */
#define SHARED                                                                                   \
	.id_prefix = "ollama-", .request_id_header = "x-request-id",                             \
	.error_content_type = "application/json; charset=utf-8", .framing = FRAMING_NDJSON,      \
	.end_required = true, .peek = ol_peek, .patch = ol_patch, .tap_event = ol_tap_event,     \
	.tap_body = ol_tap_body, .decoder_new = ol_decoder_new, .decode_event = ol_decode_event, \
	.decode_end = ol_decode_end, .decode_body = ol_decode_body,                              \
	.encode_event = ol_encode_event, .encode_error = ol_encode_error,                        \
	.encode_stream_error = ol_encode_stream_error, .decode_error = ol_decode_error,          \
	.encode_ping = ol_encode_ping, .decode_models = ol_decode_models

const struct protocol protocol_ollama_chat = {
	.name = OL_CHAT_NAME,
	.routes = chat_routes,
	SHARED,
	.decode_request = chat_decode_request,
	.encode_request = chat_encode_request,
	.encoder_new = chat_encoder_new,
	.encode_response = chat_encode_response,
	.encode_models = ol_encode_models,
	.encode_info = ol_encode_info,
	.embed = &ol_embed,
};

const struct protocol protocol_ollama_generate = {
	.name = OL_GENERATE_NAME,
	.routes = generate_routes,
	.fills_gaps = true,
	SHARED,
	.decode_request = generate_decode_request,
	.encode_request = generate_encode_request,
	.encoder_new = generate_encoder_new,
	.encode_response = generate_encode_response,
	.encode_info = ol_encode_info,
};
