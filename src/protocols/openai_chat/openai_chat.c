/* protocols/openai_chat/openai_chat.c - OpenAI's Chat Completions API as one table: who does what is in the header. */
#include "protocols/openai_chat/openai_chat.h"

#include "protocols/detect.h"

static const struct protocol_route routes[] = {
	{ HTTP_POST, "/v1/chat/completions", IR_OP_GENERATE, DETECT_CHAT },
	/* Any dialect: this one's words are for what is of none. */
	{ HTTP_POST, "/v1/inference", IR_OP_GENERATE, DETECT_UNIVERSAL },
	/* Azure's SDK class: the deployment in the path is the model. */
	{ HTTP_POST, "/openai/deployments/{name}/chat/completions", IR_OP_GENERATE, 0 },
	{ HTTP_POST, "/v1/embeddings", IR_OP_EMBED, 0 },
	{ HTTP_POST, "/openai/deployments/{name}/embeddings", IR_OP_EMBED, 0 },
	{ HTTP_GET, "/v1/models", IR_OP_LIST_MODELS, 0 },
	{ HTTP_GET, "/v1/models/{name}", IR_OP_GET_MODEL, 0 },
	{ .path = NULL },
};

bool oc_minted(const char *origin)
{
	return origin && strcmp(origin, OC_NAME) == 0;
}

const struct protocol protocol_openai_chat = {
	.name = OC_NAME,
	.id_prefix = "chatcmpl-",
	.request_id_header = "x-request-id",
	.max_stops = OC_MAX_STOPS,
	.pictures = IR_PICTURES_DATA | IR_PICTURES_URL,
	.routes = routes,
	.error_content_type = "application/json",
	.peek = oc_peek,
	.patch = oc_patch_chat,
	.needs_encoder = oc_needs_encoder,
	.decode_request = oc_decode_request,
	.encode_request = oc_encode_request,
	.tap_event = oc_tap_event,
	.tap_body = oc_tap_body,
	.decoder_new = oc_decoder_new,
	.decode_event = oc_decode_event,
	.decode_end = oc_decode_end,
	.decode_body = oc_decode_body,
	.encoder_new = oc_encoder_new,
	.encode_event = oc_encode_event,
	.encode_response = oc_encode_response,
	.encode_error = oc_encode_error,
	.encode_stream_error = oc_encode_stream_error,
	.decode_error = oc_decode_error,
	.encode_ping = oc_encode_ping,
	.encode_models = oc_encode_models,
	.encode_model = oc_encode_model,
	.decode_models = oc_decode_models,
	.encode_count_request = oc_encode_count_request,
	.decode_token_count = oc_decode_token_count,
	.embed = &oc_embed,
};
