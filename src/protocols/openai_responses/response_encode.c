/* protocols/openai_responses/response_encode.c - events as the events of the Responses API, and a whole answer as its resource.
 *
 *	TEXT, REFUSAL   a message item; texts in a row are parts of one message
 *	REASONING       a reasoning item; its text is a summary where it is OpenAI's own or the client asked for one, else reasoning_text
 *	TOOL_CALL       function_call, or custom_tool_call where the client's tool is one
 *	OPAQUE          the item as it came, when it is one of ours; another's picture as one of OpenAI's tool
 *
 * The hard thing is that the last event repeats the whole answer (trap 30): each item is kept, as JSON, when it is done. */
#include "ir/fold.h"
#include "protocols/openai_responses/encoder.h"

static struct protocol_encoder *encoder_of(const struct encoder_options *o)
{
	struct protocol_encoder *e = arena_alloc(o->arena, sizeof(*e));

	if (!e)
		return NULL;
	e->o = *o;
	e->usage = IR_USAGE_NONE;
	return e;
}

struct protocol_encoder *rs_encoder_new(const struct encoder_options *o)
{
	struct protocol_encoder *e = encoder_of(o);

	return e && rs_resource_init(&e->resource, o) == RC_OK ? e : NULL;
}

static void put_resource_event(struct protocol_encoder *e, struct buf *out, const char *type,
			       const struct rs_state *state)
{
	rs_event_begin(e, out, type);
	buf_puts(out, ",\"response\":");
	rs_resource_write(out, &e->resource, state);
	rs_event_end(out);
}

/* --- reasoning's proof --- */

static void put_proof(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	bool redacted = ev->delta == IR_DELTA_REDACTED;
	struct str id, encrypted;

	if (ev->text.len == 0 && !redacted)
		return;
	rs_part_end(e, out);
	if (e->item != ITEM_REASONING)
		rs_item_open(e, out, ITEM_REASONING, e->own_id);
	oc_proof_split(ev->text, &id, &encrypted);
	/* It is bound to its item: with another id, as a broker's, it is carried like a foreign one. */
	if (!e->origin && id.len && str_eq(id, e->own_id))
		encrypted = arena_dup(e->o.arena, encrypted);
	else
		encrypted = rs_carrier_pack(e->o.arena, e->origin ? e->origin : e->minted_by,
					    redacted ? STR_NONE : ev->text,
					    redacted ? ev->text : STR_NONE);
	e->failed = e->failed || !encrypted.ptr;
	e->encrypted = encrypted;
}

/* --- calls --- */

static void open_call(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	const struct ir_tool *t = e->o.request ? ir_request_tool(e->o.request, ev->name) : NULL;
	bool custom = t && t->custom, spaced = t && str_present(t->ns);

	rs_item_close(e, out, "completed"); /* with its own names, while they are there */
	e->call_id = rs_escaped(e, ev->id);
	e->name = rs_escaped(e, spaced ? str_from_offset(ev->name, t->ns.len + 2) : ev->name);
	e->ns = spaced ? rs_escaped(e, t->ns) : STR_NONE;
	e->text.len = 0;
	rs_item_open(e, out, custom ? ITEM_CUSTOM : ITEM_CALL, STR_NONE);
	rs_item_set_place(e);
}

static void put_arguments(struct protocol_encoder *e, struct str piece, struct buf *out)
{
	size_t before;

	if (piece.len == 0)
		return;
	if (e->item == ITEM_CUSTOM) { /* what its JSON says is known when it is whole */
		rs_grow(e, &e->text, piece);
		return;
	}
	rs_event_begin(e, out, "response.function_call_arguments.delta");
	buf_put(out, e->place);
	buf_puts(out, ",\"delta\":\"");
	before = buf_len(out);
	json_escape(out, piece);
	if (buf_ok(out))
		rs_grow(e, &e->parts, rs_put_since(out, before));
	buf_puts(out, "\"");
	rs_event_end(out);
}

static void end_custom(struct protocol_encoder *e, struct buf *out)
{
	struct arena *a = arena_new(RS_TEXT_MAX);
	const json *v = a ? json_parse(a, rs_grown(&e->text), NULL) : NULL;
	const json *input = json_get(v, STR("input"));
	size_t before;

	e->failed = e->failed || !a;
	rs_event_begin(e, out, "response.custom_tool_call_input.delta");
	buf_put(out, e->place);
	buf_puts(out, ",\"delta\":\"");
	before = buf_len(out);
	json_escape(out, json_is_str(input) ? json_str(input) : rs_grown(&e->text));
	if (buf_ok(out))
		rs_grow(e, &e->parts, rs_put_since(out, before));
	buf_puts(out, "\"");
	rs_event_end(out);
	rs_event_begin(e, out, "response.custom_tool_call_input.done");
	buf_put(out, e->place);
	buf_puts(out, ",\"input\":\"");
	buf_put(out, rs_grown(&e->parts));
	buf_puts(out, "\"");
	rs_event_end(out);
	arena_free(a);
}

static void end_call(struct protocol_encoder *e, struct buf *out)
{
	if (e->item == ITEM_CUSTOM) {
		end_custom(e, out);
		return;
	}
	if (e->parts.len == 0) /* trap 16 */
		put_arguments(e, STR("{}"), out);
	rs_event_begin(e, out, "response.function_call_arguments.done");
	buf_put(out, e->place);
	buf_puts(out, ",\"name\":\"");
	buf_put(out, e->name);
	buf_puts(out, "\",\"arguments\":\"");
	buf_put(out, rs_grown(&e->parts));
	buf_puts(out, "\"");
	rs_event_end(out);
}

/* --- the whole --- */

/* Most clients look at the summary alone, OpenAI's models having nothing else to show. Who asks for one gets one. */
static bool wants_summary(const struct protocol_encoder *e)
{
	return e->o.request && str_present(e->o.request->reasoning.display);
}

static void put_open(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	if (ev->block == IR_BLOCK_TOOL_CALL) {
		open_call(e, ev, out);
	} else if (ev->block == IR_BLOCK_REASONING) {
		bool ours = minter_has_items(ev->origin);

		/* Each is an item of its own: it has one proof. */
		rs_item_close(e, out, "completed");
		e->origin = ours ? NULL : ev->origin ? ev->origin : "unknown";
		e->summary = ours || wants_summary(e);
		e->minted_by = ev->origin;
		e->own_id = ours ? arena_dup(e->o.arena, ev->id) : STR_NONE;
		e->failed = e->failed || (ours && ev->id.len && !e->own_id.ptr);
	} else if (ev->block == IR_BLOCK_OPAQUE) {
		e->origin = rs_minted(ev->origin) ? NULL : "elsewhere";
	}
}

static void put_delta(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	switch (ev->delta) {
	case IR_DELTA_TEXT:
		rs_part_put_text(e, ev, out);
		break;
	case IR_DELTA_ARGUMENTS:
		put_arguments(e, ev->text, out);
		break;
	case IR_DELTA_SIGNATURE:
	case IR_DELTA_REDACTED:
		put_proof(e, ev, out);
		break;
	case IR_DELTA_CITATION:
		rs_part_put_citation(e, ev->citation, out);
		break;
	case IR_DELTA_RAW:
		if (!e->origin)
			rs_item_put_opaque(e, out, ev->text);
		else
			rs_item_put_picture(e, out, ev->picture);
		break;
	}
}

static void put_start(struct protocol_encoder *e, struct buf *out)
{
	struct rs_state state = { .status = "in_progress",
				  .output = STR(""),
				  .tier = e->usage.tier };

	put_resource_event(e, out, "response.created", &state);
	put_resource_event(e, out, "response.in_progress", &state);
}

/* Section 6: who refused without a word gets a refusal; a filter that cut a text leaves it incomplete. */
static void put_silent_refusal(struct protocol_encoder *e, struct buf *out)
{
	struct ir_event ev = { .kind = IR_DELTA,
			       .block = IR_BLOCK_REFUSAL,
			       .text = STR("The model refused to answer.") };

	rs_part_put_text(e, &ev, out);
	rs_part_end(e, out);
}

static struct rs_state finish(struct protocol_encoder *e, enum ir_stop stop, struct buf *out)
{
	struct rs_state state = {
		.status = "completed", .usage = &e->usage, .tier = e->usage.tier, .over = true
	};

	if (stop == IR_STOP_REFUSAL && !e->spoke)
		put_silent_refusal(e, out);
	if (stop == IR_STOP_LENGTH || stop == IR_STOP_CONTEXT)
		state.incomplete_reason = "max_output_tokens";
	else if (stop == IR_STOP_REFUSAL && !e->refused)
		state.incomplete_reason = "content_filter";
	if (state.incomplete_reason)
		state.status = "incomplete";
	else
		state.completed_at = e->o.now_s ? e->o.now_s() : e->o.created_s;
	rs_item_close(e, out, state.status);
	state.output = rs_grown(&e->output);
	return state;
}

static void put_finish(struct protocol_encoder *e, enum ir_stop stop, struct buf *out)
{
	struct rs_state state = finish(e, stop, out);

	put_resource_event(e, out,
			   state.incomplete_reason ? "response.incomplete" : "response.completed",
			   &state);
	buf_puts(out, "data: [DONE]\n\n"); /* trap 19 */
}

static void put_error(struct protocol_encoder *e, const struct ir_error *error, struct buf *out)
{
	struct rs_state state = { .status = "failed",
				  .error = error,
				  .tier = e->usage.tier,
				  .over = true,
				  .output = rs_grown(&e->output) };

	rs_put_error_event(out, error, (int64_t)e->sequence++);
	put_resource_event(e, out, "response.failed", &state);
}

int rs_encode_event(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	switch (ev->kind) {
	case IR_START:
		ir_usage_merge(&e->usage, &ev->usage);
		put_start(e, out);
		break;
	case IR_OPEN:
		put_open(e, ev, out);
		break;
	case IR_DELTA:
		put_delta(e, ev, out);
		break;
	case IR_CLOSE:
		if (ev->block == IR_BLOCK_TOOL_CALL)
			end_call(e, out);
		else
			rs_part_end(e, out);
		break;
	case IR_USAGE:
		ir_usage_merge(&e->usage, &ev->usage);
		break;
	case IR_FINISH:
		put_finish(e, ev->stop, out);
		break;
	case IR_ERROR:
		put_error(e, ev->error, out);
		break;
	case IR_PING: /* trap 21: not known here */
		break;
	}
	return buf_ok(out) && !e->failed ? RC_OK : RC_NOMEM;
}

/* --- the whole answer: the same events, of which only the items are kept --- */

struct collector {
	struct ir_sink sink;
	struct protocol_encoder *e;
	struct buf *out;
	size_t start;
};

static int collect(struct ir_sink *self, const struct ir_event *ev)
{
	struct collector *c = (struct collector *)self;
	struct rs_state state;
	int rc = RC_OK;

	if (ev->kind != IR_FINISH) {
		if (ev->kind != IR_START)
			rc = rs_encode_event(c->e, ev, c->out);
		if (!rc)
			buf_truncate(c->out, c->start);
		return rc;
	}
	state = finish(c->e, ev->stop, c->out);
	if (!buf_ok(c->out) || c->e->failed)
		return RC_NOMEM;
	buf_truncate(c->out, c->start);
	rs_resource_write_once(c->out, &c->e->o, &state);
	return RC_OK;
}

int rs_encode_response(const struct encoder_options *o, const struct ir_response *r,
		       struct buf *out)
{
	struct collector c = {
		.sink.event = collect, .e = encoder_of(o), .out = out, .start = out->len
	};
	int rc;

	if (!c.e)
		return RC_NOMEM;
	c.e->whole = true;
	rc = ir_unfold(r, &c.sink);
	return rc ? rc : buf_ok(out) ? RC_OK : RC_NOMEM;
}
