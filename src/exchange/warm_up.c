/* exchange/warm_up.c - `generate: false` on a WebSocket: the client gives its context ahead, and wants an id to continue, no answer.
 *
 * No provider is asked. What the client gets is the stream of an answer without output, by the encoder of its own protocol. */
#include "exchange/exchange_impl.h"

#include "base/clock.h"

/* To have nothing to say yet is no mistake here. What is said does not show in the answer. */
static struct str body_of(struct exchange *x)
{
	static const struct turn_member words = { "input", STR_INIT("\"-\"") };
	struct str input = str_trim(turn_get(x->peek.body, "input"));
	bool empty = input.len >= 2 && input.ptr[0] == '[' &&
		     str_trim((struct str){ input.ptr + 1, input.len - 2 }).len == 0;

	return empty || input.len == 0 ? turn_set(x->arena, x->peek.body, &words, 1) : x->peek.body;
}

static int make(struct exchange *x, struct buf *out, struct err *reterr)
{
	const struct ir_event start = { .kind = IR_START, .usage = { 0 } };
	const struct ir_event finish = { .kind = IR_FINISH, .stop = IR_STOP_END };
	const struct protocol *p = x->match.protocol;
	struct encoder_options o;
	struct protocol_encoder *e;
	struct str body = body_of(x);
	int rc = RC_NOMEM;

	if (str_present(body))
		rc = p->decode_request(x->arena, &x->match.line, body, &x->ir, reterr);
	if (rc != RC_OK)
		return rc;
	if (!turns_asked(x) || exchange_mint_id(x) != RC_OK)
		return RC_NOMEM;
	o = pump_encoder_options(x, x->arena);
	e = p->encoder_new(&o);
	if (!e || p->encode_event(e, &start, out) != RC_OK ||
	    p->encode_event(e, &finish, out) != RC_OK || !buf_ok(out))
		return RC_NOMEM;
	return RC_OK;
}

enum step_result warm_up(struct exchange *x)
{
	struct http_field fields[MAX_ANSWER_FIELDS];
	struct outlet to = x->out;
	struct err e = { 0 };
	struct ir_error error;
	int rc;

	if (!x->out.ws || websocket_generates(x->out.ws))
		return NEXT;
	rc = make(x, outlet_buf(to), &e);
	if (rc != RC_OK) {
		buf_reset(outlet_buf(to));
		error = forward_error_of(x, rc, &e);
		answer_error(x, &error, "refused");
		return DONE;
	}
	outlet_head(to, 200, fields, answer_fields(x, fields, STR("text/event-stream"), false));
	turns_keep_frames(x, buf_str(outlet_buf(to)));
	x->record.status = 200;
	x->record.first_byte_us = clock_mono_us();
	exchange_over(x, "ok");
	outlet_end(to);
	return DONE;
}
