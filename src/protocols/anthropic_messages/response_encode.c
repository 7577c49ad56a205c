/* protocols/anthropic_messages/response_encode.c - events into the stream, and a whole answer into
 * the body, as the official SDKs want them.
 *
 * The one hard thing: a block exists for the client only once it holds something. So a block of
 * text or thinking is opened by its first real delta and gets its index then; empty ones never
 * appear (traps 13, 14), and indices stay contiguous (2).
 */
#include "protocols/anthropic_messages/anthropic_messages.h"

#include "ir/carrier.h"
#include "json/scan.h"
#include "wire/sse.h"

struct protocol_encoder {
	struct encoder_options o;
	struct ir_usage usage;
	bool started, ended;
	bool open;          /* a block is open towards the client */
	bool foreign;       /* the event's block was minted by another protocol */
	bool sealed;        /* the open block of thinking has its signature */
	bool failed;        /* memory ran out */
	const char *origin; /* of a foreign block; NULL unknown */
	bool refused;       /* a refusal block was written */
	unsigned index;     /* the open block's, or the next one's */
};

/* --- pieces that streams and bodies share --- */

/* A call without an id gets one that is the same each time (trap 61 gives its letters). */
static void put_call_id(struct jw *w, struct str id, struct str message, unsigned index)
{
	size_t prefix = sizeof("msg_") - 1;

	jw_key(w, "id");
	if (id.len) {
		jw_str(w, id);
		return;
	}
	if (str_starts(message, STR("msg_")))
		message = str_from_offset(message, prefix);
	jw_raw(w, STR("\"toolu_"));
	json_escape(w->out, message);
	buf_printf(w->out, "_%u\"", index);
}

/* The vendor's own as it came. Another's only where it names a page; it cannot carry the vendor's
 * proof, and am_patch() and the request encoder take it out again (see patch.c). */
static void put_citation(struct jw *w, const struct ir_citation *c)
{
	if (am_minted(c->origin) && str_present(c->raw)) {
		jw_raw_line(w, c->raw);
		return;
	}
	jw_obj(w);
	jw_kcstr(w, "type", "web_search_result_location");
	jw_kstr(w, "cited_text", str_present(c->cited_text) ? c->cited_text : STR(""));
	jw_kstr(w, "url", c->url);
	jw_kstr(w, "title", c->title);
	jw_kcstr(w, "encrypted_index", "");
	jw_end_obj(w);
}

static bool citation_passes(const struct ir_citation *c)
{
	return c && ((am_minted(c->origin) && str_present(c->raw)) || c->url.len);
}

static const char *stop_for(enum ir_stop stop, bool refused)
{
	return am_stop_name(refused && stop == IR_STOP_END ? IR_STOP_REFUSAL : stop);
}

static void put_message_head(struct jw *w, const struct encoder_options *o)
{
	jw_kstr(w, "id", o->id);
	jw_kcstr(w, "type", "message");
	jw_kcstr(w, "role", "assistant");
	jw_kstr(w, "model", o->model);
}

/* --- the stream --- */

static void on_start(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	struct jw w = jw_on(out);

	e->started = true;
	e->usage = ev->usage;
	sse_put_head(out, "message_start");
	jw_obj(&w);
	jw_kcstr(&w, "type", "message_start");
	jw_key(&w, "message");
	jw_obj(&w);
	put_message_head(&w, &e->o);
	jw_kraw(&w, "content", STR("[]"));
	jw_knull(&w, "stop_reason");
	jw_knull(&w, "stop_sequence");
	jw_key(&w, "usage");
	am_usage_write(&w, &e->usage);
	jw_end_obj(&w);
	jw_end_obj(&w);
	sse_put_end(out);
}

/* content_block_start up to the block's own members; the caller ends it with block_started(). */
static struct jw block_start(struct protocol_encoder *e, struct buf *out)
{
	struct jw w = jw_on(out);

	sse_put_head(out, "content_block_start");
	jw_obj(&w);
	jw_kcstr(&w, "type", "content_block_start");
	jw_ki64(&w, "index", e->index);
	jw_key(&w, "content_block");
	e->open = true;
	return w;
}

static void block_started(struct jw *w)
{
	jw_end_obj(w);
	sse_put_end(w->out);
}

/* "data: {...,"delta":{"type":TYPE,KEY:" - by hand, for these are nearly all of a stream. */
static void delta_head(struct protocol_encoder *e, struct buf *out, struct str type_and_key)
{
	buf_put(out, STR("event: content_block_delta\ndata: "
			 "{\"type\":\"content_block_delta\",\"index\":"));
	buf_put_u64(out, e->index);
	buf_put(out, STR(",\"delta\":{\"type\":"));
	buf_put(out, type_and_key);
}

static void put_delta(struct protocol_encoder *e, struct buf *out, struct str type_and_key,
		      struct str text)
{
	delta_head(e, out, type_and_key);
	json_escape(out, text);
	buf_put(out, STR("\"}}\n\n"));
}

static void block_stop(struct protocol_encoder *e, struct buf *out)
{
	if (!e->open)
		return;
	buf_put(out, STR("event: content_block_stop\ndata: "
			 "{\"type\":\"content_block_stop\",\"index\":"));
	buf_put_u64(out, e->index);
	buf_put(out, STR("}\n\n"));
	e->open = false;
	e->index++;
}

static void need_text(struct protocol_encoder *e, struct buf *out)
{
	struct jw w;

	if (e->open)
		return;
	w = block_start(e, out);
	jw_raw(&w, STR("{\"type\":\"text\",\"text\":\"\"}"));
	block_started(&w);
}

static void need_thinking(struct protocol_encoder *e, struct buf *out)
{
	struct jw w;

	if (e->open)
		return;
	w = block_start(e, out);
	jw_raw(&w, STR("{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}"));
	block_started(&w);
}

static void open_call(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	struct jw w = block_start(e, out);

	jw_obj(&w);
	jw_kcstr(&w, "type", "tool_use");
	put_call_id(&w, ev->id, e->o.id, e->index);
	jw_kstr(&w, "name", str_present(ev->name) ? ev->name : STR(""));
	jw_kraw(&w, "input", STR("{}"));
	jw_end_obj(&w);
	block_started(&w);
	put_delta(e, out, STR("\"input_json_delta\",\"partial_json\":\""), STR(""));
}

static void on_open(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	e->foreign = !am_minted(ev->origin);
	e->origin = ev->origin;
	e->sealed = false;
	switch (ev->block) {
	case IR_BLOCK_TOOL_CALL:
		open_call(e, ev, out);
		break;
	case IR_BLOCK_TEXT:
	case IR_BLOCK_REASONING:
	case IR_BLOCK_REFUSAL:
	case IR_BLOCK_OPAQUE:
		break; /* when something comes */
	}
}

/* What this client keeps and brings back: the vendor's own proof, or another's in a carrier (traps 46-51). Empty: nothing. */
static struct str carried(struct arena *a, const char *origin, struct str proof)
{
	if (!proof.len || minter_speaks(origin, AM_NAME))
		return proof;
	return origin ? ir_carrier_pack(a, origin, proof) : STR("");
}

static struct str proof_for_client(struct protocol_encoder *e, struct str proof)
{
	struct str out = carried(e->o.arena, e->origin, proof);

	e->failed = e->failed || !out.ptr;
	return out;
}

static void put_signature(struct protocol_encoder *e, struct str signature, struct buf *out)
{
	signature = proof_for_client(e, signature);
	if (!signature.len)
		return;
	need_thinking(e, out);
	put_delta(e, out, STR("\"signature_delta\",\"signature\":\""), signature);
	e->sealed = true;
}

static void put_redacted(struct protocol_encoder *e, struct str data, struct buf *out)
{
	struct jw w;

	data = proof_for_client(e, data);
	if (!data.len)
		return;
	block_stop(e, out); /* thinking text before it is a block of its own */
	w = block_start(e, out);
	jw_obj(&w);
	jw_kcstr(&w, "type", "redacted_thinking");
	jw_kstr(&w, "data", data);
	jw_end_obj(&w);
	block_started(&w);
}

static void put_opaque(struct protocol_encoder *e, struct str raw, struct buf *out)
{
	struct jw w;

	if (e->foreign)
		return;
	w = block_start(e, out);
	jw_raw_line(&w, raw);
	block_started(&w);
}

static void put_citation_delta(struct protocol_encoder *e, const struct ir_citation *c,
			       struct buf *out)
{
	struct jw w = jw_on(out);

	if (!citation_passes(c))
		return;
	need_text(e, out);
	delta_head(e, out, STR("\"citations_delta\",\"citation\":"));
	put_citation(&w, c);
	buf_put(out, STR("}}\n\n"));
}

static void on_delta(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	switch (ev->delta) {
	case IR_DELTA_TEXT:
		if (ev->text.len == 0)
			return;
		if (ev->block == IR_BLOCK_REASONING) {
			need_thinking(e, out);
			put_delta(e, out, STR("\"thinking_delta\",\"thinking\":\""), ev->text);
			return;
		}
		e->refused |= ev->block == IR_BLOCK_REFUSAL;
		need_text(e, out);
		put_delta(e, out, STR("\"text_delta\",\"text\":\""), ev->text);
		return;
	case IR_DELTA_ARGUMENTS:
		if (ev->text.len)
			put_delta(e, out, STR("\"input_json_delta\",\"partial_json\":\""),
				  ev->text);
		return;
	case IR_DELTA_SIGNATURE:
		put_signature(e, ev->text, out);
		return;
	case IR_DELTA_REDACTED:
		put_redacted(e, ev->text, out);
		return;
	case IR_DELTA_CITATION:
		put_citation_delta(e, ev->citation, out);
		return;
	case IR_DELTA_RAW:
		put_opaque(e, ev->text, out);
		return;
	}
}

static void on_close(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	/* Thinking nobody signed: the SDK's block is complete with an empty signature (traps 4,
	 * 47). */
	if (e->open && ev->block == IR_BLOCK_REASONING && e->foreign && !e->sealed)
		put_delta(e, out, STR("\"signature_delta\",\"signature\":\""), STR(""));
	block_stop(e, out);
}

static void on_finish(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	struct jw w = jw_on(out);

	block_stop(e, out);
	e->ended = true;
	e->usage.tier = IR_TIER_UNSAID; /* only the first report says it */
	sse_put_head(out, "message_delta");
	jw_obj(&w);
	jw_kcstr(&w, "type", "message_delta");
	jw_key(&w, "delta");
	jw_obj(&w);
	jw_kcstr(&w, "stop_reason", stop_for(ev->stop, e->refused));
	jw_kstr(&w, "stop_sequence", ev->stop == IR_STOP_SEQUENCE ? ev->stop_sequence : STR_NONE);
	jw_end_obj(&w);
	jw_key(&w, "usage");
	am_usage_write(&w, &e->usage);
	jw_end_obj(&w);
	sse_put_end(out);
	buf_put(out, STR("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
}

struct protocol_encoder *am_encoder_new(const struct encoder_options *o)
{
	struct protocol_encoder *e = arena_alloc(o->arena, sizeof(*e));

	if (!e)
		return NULL;
	e->o = *o;
	e->usage = IR_USAGE_NONE;
	return e;
}

int am_encode_event(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	if (e->ended)
		return RC_OK;
	switch (ev->kind) {
	case IR_START:
		if (!e->started) /* twice is fatal to the SDK (trap 5) */
			on_start(e, ev, out);
		break;
	case IR_OPEN:
		on_open(e, ev, out);
		break;
	case IR_DELTA:
		on_delta(e, ev, out);
		break;
	case IR_CLOSE:
		on_close(e, ev, out);
		break;
	case IR_USAGE:
		ir_usage_merge(&e->usage, &ev->usage);
		break;
	case IR_FINISH:
		on_finish(e, ev, out);
		break;
	case IR_ERROR:
		e->ended = true;
		am_encode_stream_error(ev->error, e->o.request_id, FRAMING_SSE, true, out);
		break;
	case IR_PING:
		if (e->started)
			am_encode_ping(FRAMING_SSE, true, out);
		break;
	}
	return buf_ok(out) && !e->failed ? RC_OK : RC_NOMEM;
}

/* --- the whole answer --- */

static bool text_block(struct jw *w, const struct ir_block *b)
{
	bool some = false;

	if (b->text.len == 0)
		return false;
	jw_obj(w);
	jw_kcstr(w, "type", "text");
	jw_kstr(w, "text", b->text);
	for (unsigned i = 0; i < b->n_citations; i++) {
		if (!citation_passes(&b->citations[i]))
			continue;
		if (!some) {
			jw_key(w, "citations");
			jw_arr(w);
		}
		some = true;
		put_citation(w, &b->citations[i]);
	}
	if (some)
		jw_end_arr(w);
	jw_end_obj(w);
	return true;
}

/* False when memory is out. */
static bool reasoning_block(struct arena *a, struct jw *w, const struct ir_block *b)
{
	struct str signature =
		carried(a, b->origin, str_present(b->signature) ? b->signature : STR(""));
	struct str redacted =
		carried(a, b->origin, str_present(b->redacted) ? b->redacted : STR(""));

	if (b->text.len || signature.len) {
		jw_obj(w);
		jw_kcstr(w, "type", "thinking");
		jw_kstr(w, "thinking", str_present(b->text) ? b->text : STR(""));
		jw_kstr(w, "signature", signature);
		jw_end_obj(w);
	}
	if (redacted.len) {
		jw_obj(w);
		jw_kcstr(w, "type", "redacted_thinking");
		jw_kstr(w, "data", redacted);
		jw_end_obj(w);
	}
	return signature.ptr && redacted.ptr;
}

/* `input` is an object whatever the model wrote: the SDK makes `{}` of broken JSON in a stream too
 * (traps 16, 59). */
static void call_block(struct jw *w, const struct ir_block *b, struct str message, unsigned index)
{
	jw_obj(w);
	jw_kcstr(w, "type", "tool_use");
	put_call_id(w, b->id, message, index);
	jw_kstr(w, "name", str_present(b->name) ? b->name : STR(""));
	jw_kraw(w, "input", json_scan(b->text, NULL, 0, NULL) == RC_OK ? b->text : STR("{}"));
	jw_end_obj(w);
}

int am_encode_response(const struct encoder_options *o, const struct ir_response *r,
		       struct buf *out)
{
	struct jw w = jw_on(out);
	bool refused = false, whole = true;

	jw_obj(&w);
	put_message_head(&w, o);
	jw_key(&w, "content");
	jw_arr(&w);
	for (unsigned i = 0; i < r->n_blocks; i++) {
		const struct ir_block *b = &r->blocks[i];

		switch (b->kind) {
		case IR_BLOCK_REFUSAL:
			refused |= text_block(&w, b);
			break;
		case IR_BLOCK_TEXT:
			text_block(&w, b);
			break;
		case IR_BLOCK_REASONING:
			whole = reasoning_block(o->arena, &w, b) && whole;
			break;
		case IR_BLOCK_TOOL_CALL:
			call_block(&w, b, o->id, i);
			break;
		case IR_BLOCK_OPAQUE:
			if (am_minted(b->origin))
				jw_raw(&w, b->text);
			break;
		}
	}
	jw_end_arr(&w);
	jw_kcstr(&w, "stop_reason", stop_for(r->stop, refused));
	jw_kstr(&w, "stop_sequence", r->stop == IR_STOP_SEQUENCE ? r->stop_sequence : STR_NONE);
	jw_key(&w, "usage");
	am_usage_write(&w, &r->usage);
	jw_end_obj(&w);
	return buf_ok(out) && whole ? RC_OK : RC_NOMEM;
}
