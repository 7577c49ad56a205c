/* protocols/anthropic_complete/response_decode.c - pieces of a completion as events.
 *
 * The hard thing is the end: a stop_reason that is not null ends the answer, nothing else does (trap 34). And "stop_sequence" says
 * both that the model was done (it began the next "\n\nHuman:") and that one of the caller's sequences came. */
#include "protocols/anthropic_complete/anthropic_complete.h"

struct protocol_decoder {
	struct decoder_options o;
	bool started, open, ended;
};

struct protocol_decoder *ac_decoder_new(const struct decoder_options *o)
{
	struct protocol_decoder *d = arena_alloc(o->arena, sizeof(*d));

	if (d)
		d->o = *o;
	return d;
}

enum ir_stop ac_stop_parse(struct str reason)
{
	if (str_eq(reason, STR("max_tokens")))
		return IR_STOP_LENGTH;
	if (str_eq(reason, STR("refusal")))
		return IR_STOP_REFUSAL;
	return IR_STOP_END;
}

static int start(struct protocol_decoder *d, const json *root)
{
	struct str id = json_str(json_get(root, STR("id"))),
		   model = json_str(json_get(root, STR("model")));
	struct ir_event ev = { .kind = IR_START, .usage = IR_USAGE_NONE };

	if (d->started)
		return RC_OK;
	d->started = true;
	ev.id = id.len ? id : STR("");
	ev.name = model.len ? model : STR("");
	return ir_emit(d->o.sink, &ev);
}

static int say(struct protocol_decoder *d, struct str text)
{
	struct ir_event ev = { .kind = IR_OPEN, .block = IR_BLOCK_TEXT, .usage = IR_USAGE_NONE };
	int rc = RC_OK;

	/* Behind the "Assistant:" that ends the prompt stands a blank; it is no part of what is said. */
	if (!d->open && text.len && text.ptr[0] == ' ')
		text = str_from_offset(text, 1);
	if (!text.len)
		return RC_OK;
	if (!d->open)
		rc = ir_emit(d->o.sink, &ev);
	d->open = true;
	ev.kind = IR_DELTA;
	ev.delta = IR_DELTA_TEXT;
	ev.text = text;
	return rc ? rc : ir_emit(d->o.sink, &ev);
}

static int finish(struct protocol_decoder *d, const json *root, struct str reason)
{
	struct str stop = json_str(json_get(root, STR("stop")));
	struct ir_event close = { .kind = IR_CLOSE,
				  .block = IR_BLOCK_TEXT,
				  .usage = IR_USAGE_NONE };
	struct ir_event ev = { .kind = IR_FINISH,
			       .usage = IR_USAGE_NONE,
			       .stop = ac_stop_parse(reason) };
	const struct ir_request *r = d->o.request;
	int rc = d->open ? ir_emit(d->o.sink, &close) : RC_OK;

	for (unsigned i = 0; ev.stop == IR_STOP_END && stop.len && r && i < r->n_stop; i++) {
		if (!str_eq(r->stop[i], stop))
			continue;
		ev.stop = IR_STOP_SEQUENCE;
		ev.stop_sequence = stop;
	}
	d->ended = true;
	return rc ? rc : ir_emit(d->o.sink, &ev);
}

static int fail(struct protocol_decoder *d, struct str data)
{
	struct ir_error e;
	struct ir_event ev = { .kind = IR_ERROR, .error = &e, .usage = IR_USAGE_NONE };

	(void)ac_decode_error(d->o.arena, 0, data, &e);
	d->ended = true;
	return ir_emit(d->o.sink, &ev);
}

static int read_piece(struct protocol_decoder *d, const json *root)
{
	struct str reason = json_str(json_get(root, STR("stop_reason")));
	int rc = start(d, root);

	if (!rc)
		rc = say(d, json_str(json_get(root, STR("completion"))));
	return rc || !reason.len ? rc : finish(d, root, reason);
}

static int parse(struct protocol_decoder *d, struct str text, const json **ret, struct err *reterr)
{
	struct err e = { .code = RC_SYNTAX };

	*ret = json_parse(d->o.scratch, text, &e);
	return *ret ? RC_OK : err_at(reterr, e.code, e.at, "%s", e.msg);
}

int ac_decode_event(struct protocol_decoder *d, const struct frame *ev, struct err *reterr)
{
	struct str data = str_trim(ev->data);
	const json *root;
	int rc;

	if (data.len == 0 || d->ended)
		return RC_OK;
	rc = parse(d, data, &root, reterr);
	if (rc)
		return rc;
	if (str_eq(ev->name, STR("error")) || ac_error_is(root))
		return fail(d, data);
	if (!json_is_str(json_get(root, STR("completion")))) /* a ping, or what is new */
		return RC_OK;
	return read_piece(d, root);
}

int ac_decode_end(struct protocol_decoder *d, struct err *reterr)
{
	return d->ended ? RC_OK : err_set(reterr, RC_CLOSED, "the provider's answer was cut off");
}

int ac_decode_body(const struct decoder_options *o, struct str body, struct err *reterr)
{
	struct protocol_decoder *d = ac_decoder_new(o);
	const json *root;
	int rc;

	if (!d)
		return err_set(reterr, RC_NOMEM,
			       "the provider's answer needs more memory than it may use");
	rc = parse(d, body, &root, reterr);
	if (rc)
		return rc;
	if (ac_error_is(root))
		return fail(d, body);
	if (!json_is_str(json_get(root, STR("completion"))))
		return err_set(reterr, RC_SYNTAX, "the provider's answer holds no completion");
	rc = read_piece(d, root);
	return rc || d->ended ? rc : finish(d, root, STR(""));
}
