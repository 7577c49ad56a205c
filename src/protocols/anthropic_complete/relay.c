/* protocols/anthropic_complete/relay.c - what passes as it is, and what is as in the vendor's other protocol.
 *
 * Head of a request, errors and pings are those of Messages, so they are asked of it. The one hard thing is the end of a stream:
 * no event of its own says it, the last completion does, by a stop_reason that is not null (trap 34). */
#include "protocols/anthropic_complete/anthropic_complete.h"
#include "protocols/glance.h"

static const struct protocol *const messages = &protocol_anthropic_messages;

int ac_peek(struct arena *a, const struct request_line *line, struct str body,
	    struct request_peek *ret, struct err *reterr)
{
	return messages->peek(a, line, body, ret, reterr);
}

int ac_patch(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
	     struct buf *out)
{
	return messages->patch(a, peek, o, out);
}

void ac_encode_error(const struct ir_error *e, struct str request_id, struct buf *out,
		     int *ret_status)
{
	messages->encode_error(e, request_id, out, ret_status);
}

void ac_encode_stream_error(const struct ir_error *e, struct str request_id, enum framing framing,
			    bool started, struct buf *out)
{
	messages->encode_stream_error(e, request_id, framing, started, out);
}

bool ac_decode_error(struct arena *a, int status, struct str body, struct ir_error *ret)
{
	return messages->decode_error(a, status, body, ret);
}

void ac_encode_ping(enum framing framing, bool started, struct buf *out)
{
	messages->encode_ping(framing, started, out);
}

bool ac_error_is(const json *root)
{
	const json *e = json_get(root, STR("error"));

	return str_eq(json_str(json_get(root, STR("type"))), STR("error")) || json_is_obj(e) ||
	       json_is_str(e);
}

/* --- the answer, read along --- */

static unsigned tap_error(struct relay_tap *t, struct str data)
{
	(void)ac_decode_error(t->arena, 0, data, &t->error);
	return TAP_ERROR;
}

static unsigned tap_stop(struct relay_tap *t, const json *root)
{
	if (!json_str(json_get(root, STR("stop_reason"))).len)
		return TAP_MEANINGFUL;
	t->finished = true;
	return TAP_MEANINGFUL | TAP_END;
}

unsigned ac_tap_event(struct relay_tap *t, struct arena *scratch, const struct frame *ev)
{
	struct str stop;
	const json *root;

	if (ev->comment || !str_present(ev->data))
		return 0;
	if (str_eq(ev->name, STR("error")))
		return tap_error(t, ev->data);
	/* Nearly all of a stream: a piece that is not the last. */
	stop = glance_last(ev->data, STR("\"stop_reason\""));
	if (t->meaningful && str_starts(stop, STR("null")))
		return TAP_MEANINGFUL;
	root = json_parse(scratch, ev->data, NULL);
	if (ac_error_is(root))
		return tap_error(t, ev->data);
	if (!json_is_str(json_get(root, STR("completion")))) /* a ping */
		return 0;
	t->meaningful = true;
	return tap_stop(t, root);
}

unsigned ac_tap_body(struct relay_tap *t, struct arena *scratch, struct str body)
{
	const json *root = json_parse(scratch, body, NULL);

	if (ac_error_is(root))
		return tap_error(t, body);
	if (!json_is_str(json_get(root, STR("completion"))))
		return 0;
	return tap_stop(t, root) & ~(unsigned)TAP_END;
}
