/* protocols/openai_responses/response_decode.c - a Responses answer as events.
 *
 * Of some sixty kinds of events few say anything that a later one does not repeat; the others, and those that came after us, are passed
 * over. The end is response.completed or response.incomplete, and nothing else: without it the answer was cut (trap 113). */
#include "protocols/openai_responses/openai_responses.h"

struct protocol_decoder {
	struct decoder_options o;
	struct rs_items items;
	struct ir_usage usage;
	bool started, ended, usage_seen;
};

struct protocol_decoder *rs_decoder_new(const struct decoder_options *o)
{
	struct protocol_decoder *d = arena_alloc(o->arena, sizeof(*d));

	if (!d)
		return NULL;
	d->o = *o;
	d->items = (struct rs_items){
		.arena = o->arena, .scratch = o->scratch, .sink = o->sink, .request = o->request
	};
	d->items.minted_by = minter_origin(o->arena, RS_NAME, o->minter);
	d->usage = IR_USAGE_NONE;
	return d->items.minted_by ? d : NULL;
}

static int start(struct protocol_decoder *d, const json *response)
{
	struct ir_event ev = { .kind = IR_START,
			       .id = json_str(json_get(response, STR("id"))),
			       .name = json_str(json_get(response, STR("model"))),
			       .usage = IR_USAGE_NONE };

	if (d->started)
		return RC_OK;
	ev.usage.tier = oc_tier_parse(json_str(json_get(response, STR("service_tier"))));
	d->started = true;
	if (!ev.id.ptr)
		ev.id = STR("");
	if (!ev.name.ptr)
		ev.name = STR("");
	return ir_emit(d->o.sink, &ev);
}

/* --- the end --- */

static int fail(struct protocol_decoder *d, const json *root)
{
	struct ir_error e;
	struct ir_event ev = { .kind = IR_ERROR, .error = &e, .usage = IR_USAGE_NONE };

	rs_error_read(d->o.arena, root, &e);
	d->ended = true;
	return ir_emit(d->o.sink, &ev);
}

/* Traps 18, 56, 106: a cut says more than calls, calls more than a refusal. */
static enum ir_stop stop_of(const struct protocol_decoder *d, const json *response)
{
	struct str reason =
		json_str(json_get(json_get(response, STR("incomplete_details")), STR("reason")));

	if (str_eq(json_str(json_get(response, STR("status"))), STR("incomplete")))
		return str_eq(reason, STR("content_filter")) ? IR_STOP_REFUSAL : IR_STOP_LENGTH;
	if (d->items.n_calls)
		return IR_STOP_TOOL_CALLS;
	return d->items.refused ? IR_STOP_REFUSAL : IR_STOP_END;
}

static int finish(struct protocol_decoder *d, const json *response)
{
	struct ir_event usage = { .kind = IR_USAGE, .usage = IR_USAGE_NONE };
	struct ir_event ev = { .kind = IR_FINISH, .usage = IR_USAGE_NONE };
	int rc = start(d, response);

	if (!rc)
		rc = rs_items_end(&d->items, json_get(response, STR("output")));
	rs_usage_read(json_get(response, STR("usage")), &d->usage);
	d->usage.tier = oc_tier_parse(json_str(json_get(response, STR("service_tier"))));
	usage.usage = d->usage;
	if (!rc && (d->usage.tier || json_is_obj(json_get(response, STR("usage")))))
		rc = ir_emit(d->o.sink, &usage);
	if (rc)
		return rc;
	ev.stop = stop_of(d, response);
	d->ended = true;
	return ir_emit(d->o.sink, &ev);
}

/* --- events --- */

static int64_t number(const json *root, struct str name)
{
	int64_t n;

	return json_i64(json_get(root, name), &n) && n >= 0 ? n : 0;
}

static int64_t output_index(const json *root)
{
	return number(root, STR("output_index"));
}

static int on_opening(struct protocol_decoder *d, const json *root)
{
	return start(d, json_get(root, STR("response")));
}

static int on_item_added(struct protocol_decoder *d, const json *root)
{
	return rs_items_begin(&d->items, output_index(root), json_get(root, STR("item")));
}

static int on_item_done(struct protocol_decoder *d, const json *root)
{
	return rs_items_done(&d->items, output_index(root), json_get(root, STR("item")));
}

static int on_part_done(struct protocol_decoder *d, const json *root)
{
	return rs_items_part_done(&d->items, output_index(root), number(root, STR("content_index")),
				  json_get(root, STR("part")));
}

static int text(struct protocol_decoder *d, const json *root, enum ir_block_kind block,
		bool summary)
{
	struct rs_piece p = { .index = output_index(root),
			      .block = block,
			      .summary = summary,
			      .text = json_str(json_get(root, STR("delta"))),
			      .logprobs = json_get(root, STR("logprobs")) };

	p.part = number(root, summary ? STR("summary_index") : STR("content_index"));
	return rs_items_text(&d->items, &p);
}

static int on_text(struct protocol_decoder *d, const json *root)
{
	return text(d, root, IR_BLOCK_TEXT, false);
}

static int on_refusal(struct protocol_decoder *d, const json *root)
{
	return text(d, root, IR_BLOCK_REFUSAL, false);
}

static int on_reasoning(struct protocol_decoder *d, const json *root)
{
	return text(d, root, IR_BLOCK_REASONING, false);
}

static int on_summary(struct protocol_decoder *d, const json *root)
{
	return text(d, root, IR_BLOCK_REASONING, true);
}

static int on_arguments(struct protocol_decoder *d, const json *root)
{
	return rs_items_arguments(&d->items, output_index(root),
				  json_str(json_get(root, STR("delta"))));
}

static int on_annotation(struct protocol_decoder *d, const json *root)
{
	return rs_items_citation(&d->items, output_index(root), json_get(root, STR("annotation")));
}

static int on_end(struct protocol_decoder *d, const json *root)
{
	return finish(d, json_get(root, STR("response")));
}

static const struct {
	struct str type;
	int (*on)(struct protocol_decoder *d, const json *root);
} events[] = {
	{ STR_INIT("response.output_text.delta"), on_text },
	{ STR_INIT("response.function_call_arguments.delta"), on_arguments },
	{ STR_INIT("response.reasoning_summary_text.delta"), on_summary },
	{ STR_INIT("response.reasoning_text.delta"), on_reasoning },
	{ STR_INIT("response.reasoning.delta"), on_reasoning }, /* Open Responses' name */
	{ STR_INIT("response.custom_tool_call_input.delta"), on_arguments },
	{ STR_INIT("response.refusal.delta"), on_refusal },
	{ STR_INIT("response.output_item.added"), on_item_added },
	{ STR_INIT("response.output_item.done"), on_item_done },
	{ STR_INIT("response.content_part.done"), on_part_done },
	{ STR_INIT("response.output_text.annotation.added"), on_annotation },
	{ STR_INIT("response.created"), on_opening },
	{ STR_INIT("response.queued"), on_opening },
	{ STR_INIT("response.in_progress"), on_opening },
	{ STR_INIT("response.completed"), on_end },
	{ STR_INIT("response.incomplete"), on_end },
	{ STR_INIT("response.failed"), fail },
	{ STR_INIT("error"), fail },
};

/* What went wrong, in words, where the code alone does not say it. */
static int explain(int rc, struct err *reterr)
{
	switch (rc) {
	case RC_SYNTAX:
		return err_set(reterr, rc, "the provider's answer holds a call without a name");
	case RC_TOOBIG:
		return err_set(reterr, rc, "the provider's answer holds too many items");
	case RC_NOMEM:
		return err_set(reterr, rc,
			       "the provider's answer needs more memory than it may use");
	}
	return rc;
}

static int dispatch(struct protocol_decoder *d, struct str type, const json *root)
{
	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
		bool early = events[i].on == on_opening || events[i].on == fail;
		int rc;

		if (!str_eq(type, events[i].type))
			continue;
		rc = early || events[i].on == on_end ? RC_OK : start(d, NULL);
		return rc ? rc : events[i].on(d, root);
	}
	return RC_OK;
}

int rs_decode_event(struct protocol_decoder *d, const struct frame *ev, struct err *reterr)
{
	struct str data = str_trim(ev->data), type;
	const json *root;
	int rc;

	if (data.len == 0 || d->ended || str_eq(data, STR("[DONE]")))
		return RC_OK;
	rc = oc_parse(d->o.scratch, data, &root, reterr);
	if (rc)
		return rc;
	type = json_str(json_get(root, STR("type")));
	if (!type.len)
		type = ev->name;
	if (!type.len && oc_error_is(root))
		type = STR("error");
	if (!json_is_obj(root) || !type.len)
		return err_set(reterr, RC_SYNTAX,
			       "an event without a type: this is no Responses stream");
	return explain(dispatch(d, type, root), reterr);
}

int rs_decode_end(struct protocol_decoder *d, struct err *reterr)
{
	if (d->ended)
		return RC_OK;
	return err_set(reterr, RC_CLOSED,
		       "the provider's answer was cut: response.completed never came");
}

int rs_decode_body(const struct decoder_options *o, struct str body, struct err *reterr)
{
	struct protocol_decoder *d = rs_decoder_new(o);
	const json *root;
	struct str status;
	int rc = oc_parse(o->scratch, body, &root, reterr);

	if (rc)
		return rc;
	if (!d)
		return explain(RC_NOMEM, reterr);
	status = json_str(json_get(root, STR("status")));
	if (oc_error_is(root) || str_eq(status, STR("failed")))
		return fail(d, root);
	if (!json_is_arr(json_get(root, STR("output"))))
		return err_set(reterr, RC_SYNTAX, "the provider's answer holds no output");
	if (str_eq(status, STR("queued")) || str_eq(status, STR("in_progress")) ||
	    str_eq(status, STR("cancelled")))
		return err_set(reterr, RC_SYNTAX,
			       "the provider answered with a response that is not complete");
	return explain(finish(d, root), reterr);
}
