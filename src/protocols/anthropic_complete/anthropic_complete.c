/* protocols/anthropic_complete/anthropic_complete.c - Anthropic's Text Completions as one table: who does what is in the header. */
#include "protocols/anthropic_complete/anthropic_complete.h"

#include <string.h>

static const struct protocol_route routes[] = {
	{ HTTP_POST, "/v1/complete", IR_OP_GENERATE, 0 },
	{ .path = NULL },
};

bool ac_minted(const char *origin)
{
	return origin && strcmp(origin, AC_NAME) == 0;
}

const struct protocol protocol_anthropic_complete = {
	.name = AC_NAME,
	.id_prefix = "compl_",
	.request_id_header = "request-id",
	.routes = routes,
	.error_content_type = "application/json",
	.end_required = true,
	.peek = ac_peek,
	.patch = ac_patch,
	.decode_request = ac_decode_request,
	.check_generate = ac_check_generate,
	.encode_request = ac_encode_request,
	.tap_event = ac_tap_event,
	.tap_body = ac_tap_body,
	.decoder_new = ac_decoder_new,
	.decode_event = ac_decode_event,
	.decode_end = ac_decode_end,
	.decode_body = ac_decode_body,
	.encoder_new = ac_encoder_new,
	.encode_event = ac_encode_event,
	.encode_response = ac_encode_response,
	.encode_error = ac_encode_error,
	.encode_stream_error = ac_encode_stream_error,
	.decode_error = ac_decode_error,
	.encode_ping = ac_encode_ping,
};
