/* protocols/openai_completions/response_decode.c - pieces of a text as events.
 *
 * As in Chat the end is the hard thing: finish_reason, usage and [DONE] come in any order or not at all. FINISH is held until
 * usage has come after a finish_reason, or [DONE], or the end of the bytes; an end without any of them is a cut (trap 113).
 */
#include "protocols/openai_completions/openai_completions.h"

struct protocol_decoder {
	struct decoder_options o;
	struct ir_usage usage;
	struct str id, model;
	struct str stop_sequence;
	enum ir_stop stop;
	bool started, open, ended, done;
	bool finish_seen, usage_seen, usage_after_finish;
};

struct protocol_decoder *ot_decoder_new(const struct decoder_options *o)
{
	struct protocol_decoder *d = arena_alloc(o->arena, sizeof(*d));

	if (!d)
		return NULL;
	d->o = *o;
	d->usage = IR_USAGE_NONE;
	d->id = d->model = STR("");
	return d;
}

static int start(struct protocol_decoder *d)
{
	struct ir_event ev = { .kind = IR_START, .id = d->id, .name = d->model, .usage = d->usage };

	if (d->started)
		return RC_OK;
	d->started = true;
	return ir_emit(d->o.sink, &ev);
}

static int learn_head(struct protocol_decoder *d, const json *root)
{
	struct str id = json_str(json_get(root, STR("id"))),
		   model = json_str(json_get(root, STR("model")));

	if (d->started)
		return RC_OK;
	if (id.len)
		d->id = arena_dup(d->o.arena, id);
	if (model.len)
		d->model = arena_dup(d->o.arena, model);
	return d->id.ptr && d->model.ptr ? RC_OK : RC_NOMEM;
}

static int read_text(struct protocol_decoder *d, const json *choice)
{
	struct ir_event ev = { .kind = IR_OPEN,
			       .block = IR_BLOCK_TEXT,
			       .text = json_str(json_get(choice, STR("text"))),
			       .usage = IR_USAGE_NONE };
	int rc = ot_logprobs_read(d->o.scratch, json_get(choice, STR("logprobs")), &ev.logprobs);

	if (rc || ev.text.len == 0)
		return rc;
	if (!d->open) {
		struct ir_event open = ev;

		open.text = open.logprobs = STR_NONE;
		d->open = true;
		rc = ir_emit(d->o.sink, &open);
	}
	ev.kind = IR_DELTA;
	ev.delta = IR_DELTA_TEXT;
	return rc ? rc : ir_emit(d->o.sink, &ev);
}

/* --- the end --- */

static int fail(struct protocol_decoder *d, const struct ir_error *e)
{
	struct ir_event ev = { .kind = IR_ERROR, .error = e, .usage = IR_USAGE_NONE };

	d->ended = true;
	return ir_emit(d->o.sink, &ev);
}

static int fail_with(struct protocol_decoder *d, const json *root)
{
	struct ir_error e;

	(void)oc_error_read(d->o.arena, root, 200, &e);
	return fail(d, &e);
}

/* Trap 74: vLLM says which sequence it was. */
static int read_stop_sequence(struct protocol_decoder *d, const json *choice)
{
	struct str text = json_str(json_get(choice, STR("stop_reason")));
	const struct ir_request *r = d->o.request;

	for (unsigned i = 0; text.len && r && i < r->n_stop; i++) {
		if (!str_eq(r->stop[i], text))
			continue;
		d->stop = IR_STOP_SEQUENCE;
		d->stop_sequence = arena_dup(d->o.arena, text);
		return d->stop_sequence.ptr ? RC_OK : RC_NOMEM;
	}
	return RC_OK;
}

static int read_finish(struct protocol_decoder *d, const json *choice)
{
	struct str reason = json_str(json_get(choice, STR("finish_reason")));
	bool failed;

	if (!reason.len)
		return RC_OK;
	d->finish_seen = true;
	d->usage_after_finish = false;
	d->stop = oc_stop_parse(reason, &failed);
	if (failed)
		return fail(d, &(struct ir_error){
				       .kind = IR_ERR_UPSTREAM,
				       .retry_after_ms = -1,
				       .message = STR(
					       "The provider ended the answer with an error.") });
	if (d->stop == IR_STOP_TOOL_CALLS)
		d->stop = IR_STOP_END;
	return d->stop == IR_STOP_END ? read_stop_sequence(d, choice) : RC_OK;
}

static int finish(struct protocol_decoder *d)
{
	struct ir_event close = { .kind = IR_CLOSE,
				  .block = IR_BLOCK_TEXT,
				  .usage = IR_USAGE_NONE };
	struct ir_event usage = { .kind = IR_USAGE, .usage = d->usage };
	struct ir_event ev = { .kind = IR_FINISH, .usage = IR_USAGE_NONE, .stop = d->stop };
	int rc = start(d);

	if (!rc && d->open)
		rc = ir_emit(d->o.sink, &close);
	if (!rc && d->usage_seen)
		rc = ir_emit(d->o.sink, &usage);
	if (rc)
		return rc;
	if (ev.stop == IR_STOP_SEQUENCE)
		ev.stop_sequence = d->stop_sequence;
	d->ended = true;
	return ir_emit(d->o.sink, &ev);
}

/* --- chunks --- */

static void read_usage(struct protocol_decoder *d, const json *root)
{
	const json *usage = json_get(root, STR("usage"));

	if (!json_is_obj(usage))
		return;
	oc_usage_read(usage, &d->usage);
	d->usage_seen = true;
	d->usage_after_finish = d->finish_seen;
}

static int read_chunk(struct protocol_decoder *d, const json *root)
{
	const json *choice = oc_choice(json_get(root, STR("choices")), d->o.choice);
	int rc = learn_head(d, root);

	if (!rc && json_is_obj(choice)) {
		rc = start(d);
		if (!rc)
			rc = read_text(d, choice);
		if (!rc)
			rc = read_finish(d, choice);
	}
	if (rc || d->ended)
		return rc;
	read_usage(d, root);
	return d->finish_seen && d->usage_after_finish ? finish(d) : RC_OK;
}

static int explain(int rc, struct err *reterr)
{
	return rc == RC_NOMEM ? err_set(reterr, rc,
					"the provider's answer needs more memory than it may use")
			      : rc;
}

int ot_decode_event(struct protocol_decoder *d, const struct frame *ev, struct err *reterr)
{
	struct str data = str_trim(ev->data);
	const json *root;
	int rc;

	if (data.len == 0 || d->ended)
		return RC_OK;
	if (str_eq(data, STR("[DONE]"))) {
		d->done = true;
		return d->started ? explain(finish(d), reterr) : RC_OK;
	}
	rc = oc_parse(d->o.scratch, data, &root, reterr);
	if (rc)
		return rc;
	if (oc_error_is(root) || str_eq(ev->name, STR("error")))
		return fail_with(d, root);
	if (!json_is_obj(root))
		return err_set(reterr, RC_SYNTAX, "the provider sent a chunk that is no object");
	return explain(read_chunk(d, root), reterr);
}

int ot_decode_end(struct protocol_decoder *d, struct err *reterr)
{
	if (d->ended)
		return RC_OK;
	if (d->finish_seen)
		return explain(finish(d), reterr);
	return err_set(reterr, RC_CLOSED,
		       d->done ? "the provider's answer was empty"
			       : "the provider's answer was cut off");
}

int ot_decode_body(const struct decoder_options *o, struct str body, struct err *reterr)
{
	struct protocol_decoder *d = ot_decoder_new(o);
	const json *root, *choice;
	int rc = oc_parse(o->scratch, body, &root, reterr);

	if (rc)
		return rc;
	if (!d)
		return explain(RC_NOMEM, reterr);
	if (oc_error_is(root))
		return fail_with(d, root);
	choice = oc_choice(json_get(root, STR("choices")), d->o.choice);
	if (!choice && d->o.choice > 0)
		return RC_OK; /* fewer came than were asked for */
	if (!json_is_str(json_get(choice, STR("text"))))
		return err_set(reterr, RC_SYNTAX, "the provider's answer holds no text");
	read_usage(d, root);
	rc = learn_head(d, root);
	if (!rc)
		rc = start(d);
	if (!rc)
		rc = read_text(d, choice);
	if (!rc)
		rc = read_finish(d, choice);
	if (!rc && !d->ended)
		rc = finish(d);
	return explain(rc, reterr);
}
