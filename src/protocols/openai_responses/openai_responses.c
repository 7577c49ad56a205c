/* protocols/openai_responses/openai_responses.c - the Responses API and Open Responses as one table: who does what is in the
 * header. */
#include "protocols/openai_responses/openai_responses.h"

/* All of it twice: behind /openai, as Azure's SDKs have it, there is no version in the path. */
static const struct protocol_route routes[] = {
	{ HTTP_POST, "/v1/responses", IR_OP_GENERATE, 0 },
	{ HTTP_POST, "/v1/responses/input_tokens", IR_OP_COUNT_TOKENS, 0 },
	{ HTTP_POST, "/v1/responses/compact", IR_OP_COMPACT, 0 },
	{ HTTP_POST, "/v1/responses/{id}/cancel", IR_OP_KEPT, KEPT_CANCEL },
	{ HTTP_GET, "/v1/responses/{id}/input_items", IR_OP_KEPT, KEPT_INPUT },
	{ HTTP_GET, "/v1/responses/{id}", IR_OP_KEPT, KEPT_GET },
	{ HTTP_DELETE, "/v1/responses/{id}", IR_OP_KEPT, KEPT_DELETE },
	{ HTTP_POST, "/responses", IR_OP_GENERATE, 0 },
	{ HTTP_POST, "/responses/input_tokens", IR_OP_COUNT_TOKENS, 0 },
	{ HTTP_POST, "/responses/compact", IR_OP_COMPACT, 0 },
	{ HTTP_POST, "/responses/{id}/cancel", IR_OP_KEPT, KEPT_CANCEL },
	{ HTTP_GET, "/responses/{id}/input_items", IR_OP_KEPT, KEPT_INPUT },
	{ HTTP_GET, "/responses/{id}", IR_OP_KEPT, KEPT_GET },
	{ HTTP_DELETE, "/responses/{id}", IR_OP_KEPT, KEPT_DELETE },
	{ .path = NULL },
};

bool rs_minted(const char *origin)
{
	return origin && strcmp(origin, RS_NAME) == 0;
}

const struct protocol protocol_openai_responses = {
	.name = RS_NAME,
	.id_prefix = "resp_",
	.request_id_header = "x-request-id",
	.keeps_turns = true,
	.pictures = IR_PICTURES_DATA,
	.over_websocket = true,
	.cannot_stop = true,
	.routes = routes,
	.error_content_type = "application/json",
	.peek = rs_peek,
	.patch = rs_patch,
	.decode_request = rs_decode_request,
	.check_generate = rs_check_generate,
	.encode_request = rs_encode_request,
	.tap_event = rs_tap_event,
	.tap_body = rs_tap_body,
	.decoder_new = rs_decoder_new,
	.decode_event = rs_decode_event,
	.decode_end = rs_decode_end,
	.decode_body = rs_decode_body,
	.encoder_new = rs_encoder_new,
	.encode_event = rs_encode_event,
	.encode_response = rs_encode_response,
	.encode_error = rs_encode_error,
	.encode_stream_error = rs_encode_stream_error,
	.encode_relay_error = rs_encode_relay_error,
	.decode_error = rs_decode_error,
	.encode_ping = oc_encode_ping,
	.encode_count_request = rs_encode_count_request,
	.decode_token_count = rs_decode_token_count,
	.encode_token_count = rs_encode_token_count,
	.proofs = &rs_proofs,
};
