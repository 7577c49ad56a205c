/* protocols/anthropic_complete/response_encode.c - events as `completion` events with a piece of the text each, and a whole
 * answer.
 *
 * The hard thing is stop_reason: null until the last event, which has an empty piece and ends the stream (trap 34). Only text
 * has a place here, and no token is counted. */
#include "protocols/anthropic_complete/anthropic_complete.h"

#include "wire/sse.h"

struct protocol_encoder {
	struct str id, model;
	bool owes_blank; /* the text has not begun, and it begins with one */
};

/* The vendor's prompts end in "Assistant:", and its answers begin with the blank that belongs behind that. Clients put the two
 * together, or cut the blank off; so it is there whoever answers. */
static bool begins_with_blank(const struct encoder_options *o)
{
	const json *body = o->request ? o->request->body : NULL;

	return str_ends(json_str(json_get(body, STR("prompt"))), STR("Assistant:"));
}

static bool lacks_blank(struct str text)
{
	return text.len && text.ptr[0] != ' ' && text.ptr[0] != '\n';
}

struct protocol_encoder *ac_encoder_new(const struct encoder_options *o)
{
	struct protocol_encoder *e = arena_alloc(o->arena, sizeof(*e));

	if (!e)
		return NULL;
	e->owes_blank = begins_with_blank(o);
	e->id = arena_dup(o->arena, o->id);
	e->model = arena_dup(o->arena, o->model);
	return e->id.ptr && e->model.ptr ? e : NULL;
}

const char *ac_stop_name(enum ir_stop s)
{
	switch (s) {
	case IR_STOP_END:
	case IR_STOP_SEQUENCE:
	case IR_STOP_TOOL_CALLS: /* cannot be: no tools were offered */
	case IR_STOP_PAUSE:
		return "stop_sequence";
	case IR_STOP_LENGTH:
	case IR_STOP_CONTEXT:
		return "max_tokens";
	case IR_STOP_REFUSAL:
		return "refusal";
	}
	return "stop_sequence";
}

/* What stands behind the text. `stop`: which sequence it was; absent: not known. */
static void put_rest(struct jw *w, struct str model, const char *reason, struct str stop)
{
	if (reason)
		jw_kcstr(w, "stop_reason", reason);
	else
		jw_knull(w, "stop_reason");
	jw_kstr(w, "model", model);
	if (str_present(stop))
		jw_kstr(w, "stop", stop);
	else
		jw_knull(w, "stop");
}

static void put_piece(struct protocol_encoder *e, struct str text, const char *reason,
		      struct str stop, struct buf *out)
{
	bool blank = e->owes_blank && lacks_blank(text);
	struct jw w = jw_on(out);

	e->owes_blank = e->owes_blank && text.len == 0;
	sse_put_head(out, "completion");
	jw_obj(&w);
	jw_kcstr(&w, "type", "completion");
	jw_kstr(&w, "id", e->id);
	jw_key(&w, "completion");
	jw_raw(&w, blank ? STR("\" ") : STR("\""));
	json_escape(out, text);
	buf_putc(out, '"');
	put_rest(&w, e->model, reason, stop);
	jw_end_obj(&w);
	sse_put_end(out);
}

static bool is_said(enum ir_block_kind kind)
{
	return kind == IR_BLOCK_TEXT || kind == IR_BLOCK_REFUSAL;
}

int ac_encode_event(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	switch (ev->kind) {
	case IR_START:
	case IR_OPEN:
	case IR_CLOSE:
	case IR_USAGE:
		break;
	case IR_DELTA:
		if (ev->delta == IR_DELTA_TEXT && is_said(ev->block) && ev->text.len)
			put_piece(e, ev->text, NULL, STR_NONE, out);
		break;
	case IR_FINISH:
		put_piece(e, STR(""), ac_stop_name(ev->stop),
			  ev->stop == IR_STOP_SEQUENCE ? ev->stop_sequence : STR_NONE, out);
		break;
	case IR_ERROR:
		ac_encode_stream_error(ev->error, STR_NONE, FRAMING_SSE, true, out);
		break;
	case IR_PING:
		ac_encode_ping(FRAMING_SSE, true, out);
		break;
	}
	return buf_ok(out) ? RC_OK : RC_NOMEM;
}

int ac_encode_response(const struct encoder_options *o, const struct ir_response *r,
		       struct buf *out)
{
	bool owes_blank = begins_with_blank(o);
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_kcstr(&w, "type", "completion");
	jw_kstr(&w, "id", o->id);
	jw_key(&w, "completion");
	jw_raw(&w, STR("\""));
	for (unsigned i = 0; i < r->n_blocks; i++) {
		struct str text = is_said(r->blocks[i].kind) ? r->blocks[i].text : STR("");

		if (owes_blank && lacks_blank(text))
			buf_putc(out, ' ');
		owes_blank = owes_blank && text.len == 0;
		json_escape(out, text);
	}
	buf_putc(out, '"');
	put_rest(&w, o->model, ac_stop_name(r->stop),
		 r->stop == IR_STOP_SEQUENCE ? r->stop_sequence : STR_NONE);
	jw_end_obj(&w);
	return buf_ok(out) ? RC_OK : RC_NOMEM;
}
