/* protocols/openai_completions/openai_completions.c - OpenAI's Completions API of old as one table: who does what is in the header. */
#include "protocols/openai_completions/openai_completions.h"

static const struct protocol_route routes[] = {
	{ HTTP_POST, "/v1/completions", IR_OP_GENERATE, 0 },
	{ HTTP_POST, "/openai/deployments/{name}/completions", IR_OP_GENERATE, 0 },
	{ .path = NULL },
};

bool ot_minted(const char *origin)
{
	return origin && strcmp(origin, OT_NAME) == 0;
}

const struct protocol protocol_openai_completions = {
	.name = OT_NAME,
	.id_prefix = "cmpl-",
	.request_id_header = "x-request-id",
	.max_stops = OC_MAX_STOPS,
	.routes = routes,
	.fills_gaps = true,
	.error_content_type = "application/json",
	.peek = oc_peek,
	.patch = oc_patch,
	.decode_request = ot_decode_request,
	.encode_request = ot_encode_request,
	.tap_event = oc_tap_event,
	.tap_body = oc_tap_body,
	.decoder_new = ot_decoder_new,
	.decode_event = ot_decode_event,
	.decode_end = ot_decode_end,
	.decode_body = ot_decode_body,
	.encoder_new = ot_encoder_new,
	.encode_event = ot_encode_event,
	.encode_response = ot_encode_response,
	.encode_error = oc_encode_error,
	.encode_stream_error = oc_encode_stream_error,
	.decode_error = oc_decode_error,
	.encode_ping = oc_encode_ping,
};
