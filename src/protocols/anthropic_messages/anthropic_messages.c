/* protocols/anthropic_messages/anthropic_messages.c - Anthropic's Messages API as one table.
 * Who does what is in the header. */
#include "protocols/anthropic_messages/anthropic_messages.h"

#include <string.h>

static const struct protocol_route routes[] = {
	{ HTTP_POST, "/v1/messages", IR_OP_GENERATE, 0 },
	{ HTTP_POST, "/v1/messages/count_tokens", IR_OP_COUNT_TOKENS, 0 },
	{ HTTP_GET, "/v1/models", IR_OP_LIST_MODELS, 0 },
	{ HTTP_GET, "/v1/models/{name}", IR_OP_GET_MODEL, 0 },
	{ .path = NULL },
};

bool am_minted(const char *origin)
{
	return origin && strcmp(origin, AM_NAME) == 0;
}

const struct protocol protocol_anthropic_messages = {
	.name = AM_NAME,
	.id_prefix = "msg_",
	.request_id_header = "request-id",
	.routes = routes,
	.error_content_type = "application/json",
	.end_required = true,
	.peek = am_peek,
	.patch = am_patch,
	.decode_request = am_decode_request,
	.check_generate = am_check_generate,
	.encode_request = am_encode_request,
	.tap_event = am_tap_event,
	.tap_body = am_tap_body,
	.decoder_new = am_decoder_new,
	.decode_event = am_decode_event,
	.decode_end = am_decode_end,
	.decode_body = am_decode_body,
	.encoder_new = am_encoder_new,
	.encode_event = am_encode_event,
	.encode_response = am_encode_response,
	.encode_error = am_encode_error,
	.encode_stream_error = am_encode_stream_error,
	.decode_error = am_decode_error,
	.encode_ping = am_encode_ping,
	.encode_models = am_encode_models,
	.encode_models_page = am_encode_models_page,
	.encode_model = am_encode_model,
	.decode_models = am_decode_models,
	.next_models = am_next_models,
	.encode_count_request = am_encode_count_request,
	.proofs = &am_proofs,
	.encode_token_count = am_encode_token_count,
	.decode_token_count = am_decode_token_count,
};
