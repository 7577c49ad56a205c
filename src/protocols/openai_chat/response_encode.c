/* protocols/openai_chat/response_encode.c - events as chat.completion.chunk, and a whole answer as chat.completion.
 *
 * The hard thing is to be cheap per delta: all that stays the same over a stream (id, created, model, the
 * empty usage) is written once, and a chunk is that prefix, the delta's own few bytes, and the suffix. */
#include "protocols/openai_chat/openai_chat.h"

#include "wire/sse.h"

enum { HEAD_MAX = 1 << 20 };

#define NO_LOGPROBS ",\"logprobs\":null"
#define CHUNK_END "}\n\n"

struct protocol_encoder {
	struct arena *arena;
	struct str head;       /* `data: {"id":...,"choices":[{"index":0,"delta":` */
	struct str usage_head; /* the same up to `"choices":[],"usage":` */
	struct str tail; /* from `,"logprobs":null,"finish_reason":null}]` to the blank line */
	bool include_usage;
	struct ir_usage usage;
	unsigned n_calls; /* calls opened so far: the open one has the index n_calls - 1 */
	bool has_arguments;
	unsigned n_details, n_citations, n_pictures;
	const char *origin; /* of the open reasoning block, where its signature is not ours */
	bool format_said;   /* the block has an entry among the details */
	bool has_text;      /* the open reasoning block */
	struct str google;  /* a proof of Gemini's for the call or picture that follows; absent */
	const struct ir_request *request; /* to know custom tools; may be NULL */
	bool custom;                      /* the open call is one of a custom tool */
	bool old;                         /* the client asked in `functions` of old */
	struct str input;                 /* its arguments so far */
	size_t input_cap;
	bool failed; /* memory ran out */
};

static void put_envelope(struct jw *w, const struct encoder_options *o, const char *object)
{
	jw_kstr(w, "id", o->id);
	jw_kcstr(w, "object", object);
	jw_ki64(w, "created", o->created_s);
	jw_kstr(w, "model", o->model);
}

/* Up to `before`, the number unless it is negative, `after`. */
static struct str prefix(const struct encoder_options *o, const char *before, int64_t number,
			 const char *after)
{
	struct buf b;
	struct jw w;
	struct str head;

	buf_init(&b, HEAD_MAX);
	sse_put_head(&b, NULL);
	w = jw_on(&b);
	jw_obj(&w);
	put_envelope(&w, o, "chat.completion.chunk");
	buf_puts(&b, before);
	if (number >= 0)
		buf_put_u64(&b, (uint64_t)number);
	buf_puts(&b, after);
	head = buf_ok(&b) ? arena_dup(o->arena, buf_str(&b)) : STR_NONE;
	buf_done(&b);
	return head;
}

struct protocol_encoder *oc_encoder_new(const struct encoder_options *o)
{
	struct protocol_encoder *e = arena_alloc(o->arena, sizeof(*e));

	if (!e)
		return NULL;
	e->arena = o->arena;
	e->request = o->request;
	e->old = oc_asked_of_old(o->request);
	e->include_usage = o->include_usage;
	e->usage = IR_USAGE_NONE;
	e->head = prefix(o, ",\"choices\":[{\"index\":", o->choice, ",\"delta\":");
	e->usage_head = prefix(o, ",\"choices\":[],\"usage\":", -1, "");
	e->tail = o->include_usage
			  ? STR(NO_LOGPROBS ",\"finish_reason\":null}],\"usage\":null}\n\n")
			  : STR(NO_LOGPROBS ",\"finish_reason\":null}]}\n\n");
	return e->head.ptr && e->usage_head.ptr ? e : NULL;
}

/* A chunk whose delta is `before`, the escaped `text`, `after`. */
static void put_text_chunk(struct protocol_encoder *e, struct buf *out, struct str before,
			   struct str text, struct str after)
{
	buf_put(out, e->head);
	buf_put(out, before);
	json_escape(out, text);
	buf_put(out, after);
	buf_put(out, e->tail);
}

/* The same for what has log probabilities, which stand beside the delta. */
static void put_probable_chunk(struct protocol_encoder *e, struct buf *out,
			       const struct ir_event *ev)
{
	bool refusal = ev->block == IR_BLOCK_REFUSAL;

	buf_put(out, e->head);
	buf_puts(out, refusal ? "{\"refusal\":\"" : "{\"content\":\"");
	json_escape(out, ev->text);
	buf_puts(out, refusal ? "\"},\"logprobs\":{\"content\":null,\"refusal\":"
			      : "\"},\"logprobs\":{\"content\":");
	buf_put(out, ev->logprobs);
	buf_puts(out, refusal ? "}" : ",\"refusal\":null}");
	buf_put(out, str_from_offset(e->tail, sizeof(NO_LOGPROBS) - 1));
}

/* The end of a chunk that says how the answer was processed: the first, for it is the one that SDKs build on, and the last. */
static void put_end(struct protocol_encoder *e, struct buf *out)
{
	const char *tier = oc_tier_name(e->usage.tier);

	if (tier) {
		buf_puts(out, ",\"service_tier\":\"");
		buf_puts(out, tier);
		buf_putc(out, '"');
	}
	buf_put(out, STR(CHUNK_END));
}

static void put_role(struct protocol_encoder *e, struct buf *out)
{
	buf_put(out, e->head);
	buf_put(out, STR("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}"));
	buf_put(out, (struct str){ e->tail.ptr, e->tail.len - strlen(CHUNK_END) });
	put_end(e, out);
}

/* --- reasoning details --- */

/* In a stream the text comes piece by piece beside reasoning_content, the signature last; `format` stands in the first piece only, for
 * the SDKs join the strings of pieces with the same index. */
static void put_detail_piece(struct protocol_encoder *e, struct buf *out, const char *key,
			     struct str value)
{
	if (!e->format_said)
		e->n_details++;
	buf_puts(out, "\"reasoning_details\":[{\"type\":\"");
	buf_puts(out, strcmp(key, "data") == 0      ? "reasoning.encrypted"
		      : strcmp(key, "summary") == 0 ? "reasoning.summary"
						    : "reasoning.text");
	buf_puts(out, "\",\"");
	buf_puts(out, key);
	buf_puts(out, "\":\"");
	json_escape(out, value);
	if (!e->format_said) {
		buf_puts(out, "\",\"format\":\"");
		json_escape(out, str_from(oc_origin_format(e->origin)));
	}
	e->format_said = true;
	buf_puts(out, "\",\"index\":");
	buf_put_u64(out, e->n_details - 1);
	buf_puts(out, "}]}");
}

static void put_reasoning_chunk(struct protocol_encoder *e, struct buf *out, struct str text)
{
	e->has_text = true;
	if (!e->origin) {
		put_text_chunk(e, out, STR("{\"reasoning_content\":\""), text, STR("\"}"));
		return;
	}
	buf_put(out, e->head);
	buf_puts(out, "{\"reasoning_content\":\"");
	json_escape(out, text);
	buf_puts(out, "\",");
	put_detail_piece(e, out, minter_has_items(e->origin) ? "summary" : "text", text);
	buf_put(out, e->tail);
}

static void put_seal_chunk(struct protocol_encoder *e, struct buf *out, const char *key,
			   struct str value)
{
	buf_put(out, e->head);
	buf_putc(out, '{');
	put_detail_piece(e, out, key, value);
	buf_put(out, e->tail);
}

/* An item's content, which is not a text's signature: an entry of its own. */
static void put_item_chunk(struct protocol_encoder *e, struct buf *out, struct str proof)
{
	struct jw w = jw_on(out);

	buf_put(out, e->head);
	buf_puts(out, "{\"reasoning_details\":[");
	oc_detail_write(&w, &(struct oc_detail){ .index = e->n_details++,
						 .origin = e->origin,
						 .signature = proof });
	buf_puts(out, "]}");
	buf_put(out, e->tail);
}

/* The same in a whole answer. */
static void put_detail(struct jw *w, unsigned index, const struct ir_block *b)
{
	oc_detail_write(w, &(struct oc_detail){ .index = index,
						.origin = b->origin,
						.text = b->text,
						.signature = b->signature,
						.redacted = b->redacted });
}

/* --- citations --- */

/* Chat knows citations of pages only; one of a document without a URL has no form here. */
static bool can_cite(const struct ir_citation *c)
{
	return c && c->url.len > 0;
}

static void put_citation(struct jw *w, const struct ir_citation *c, int64_t index)
{
	jw_obj(w);
	if (index >= 0)
		jw_ki64(w, "index", index);
	jw_kcstr(w, "type", "url_citation");
	jw_key(w, "url_citation");
	jw_obj(w);
	jw_ki64(w, "start_index", c->start < 0 ? 0 : c->start);
	jw_ki64(w, "end_index", c->end < 0 ? 0 : c->end);
	jw_kstr(w, "url", c->url);
	jw_kstr(w, "title", str_present(c->title) ? c->title : STR(""));
	jw_end_obj(w);
	jw_end_obj(w);
}

static void put_citation_chunk(struct protocol_encoder *e, struct buf *out,
			       const struct ir_citation *c)
{
	struct jw w = jw_on(out);

	if (!can_cite(c))
		return;
	buf_put(out, e->head);
	jw_obj(&w);
	jw_key(&w, "annotations");
	jw_arr(&w);
	/* OpenAI's SDK refuses a second entry of any list in a delta unless it says where it belongs. */
	put_citation(&w, c, e->n_citations++);
	jw_end_arr(&w);
	jw_end_obj(&w);
	buf_put(out, e->tail);
}

/* --- events --- */

/* The proof was of neither call nor picture: it goes where all others do. */
static void put_google_detail(struct protocol_encoder *e, struct buf *out)
{
	struct str proof = e->google;
	const char *origin = e->origin;
	bool said = e->format_said;

	if (!str_present(proof))
		return;
	e->google = STR_NONE;
	e->origin = OC_GOOGLE;
	e->format_said = false;
	put_seal_chunk(e, out, "data", proof);
	e->origin = origin;
	e->format_said = said;
}

/* Where a proof of Gemini's stands alone it is that of the block behind it; calls and pictures have a place for it (trap 51). */
static void put_signature(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	bool alone = !e->has_text && e->origin && strcmp(e->origin, OC_GOOGLE) == 0;

	if (!ev->text.len)
		return;
	if (minter_has_items(e->origin)) {
		put_item_chunk(e, out, ev->text);
		return;
	}
	if (!alone) {
		put_seal_chunk(e, out, "signature", ev->text);
		return;
	}
	e->google = arena_dup(e->arena, ev->text);
	e->failed = e->failed || !e->google.ptr;
}

/* `functions` of old have a place for one call, the first, and none in it for a proof: that stands among the details. The model makes
 * the other calls again when the first is answered, and with them go their proofs. */
static void put_old_open(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	bool first = e->n_calls++ == 0;

	if (first)
		put_google_detail(e, out);
	e->google = STR_NONE;
	if (first)
		put_text_chunk(e, out, STR("{\"function_call\":{\"name\":\""), ev->name,
			       STR("\",\"arguments\":\"\"}}"));
}

/* Beside the other members of what it is of. */
static void put_google(struct buf *out, struct str *proof)
{
	if (!str_present(*proof))
		return;
	buf_puts(out, ",\"extra_content\":{\"google\":{\"thought_signature\":\"");
	json_escape(out, *proof);
	buf_puts(out, "\"}}");
	*proof = STR_NONE;
}

static int put_open(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	if (ev->block == IR_BLOCK_REASONING) {
		e->origin = ev->origin && !oc_minted(ev->origin) ? ev->origin : NULL;
		e->format_said = e->has_text = false;
	}
	if (ev->block == IR_BLOCK_OPAQUE)
		return RC_OK; /* what comes in it says whether it is a picture */
	if (ev->block != IR_BLOCK_TOOL_CALL) {
		put_google_detail(e, out);
		return RC_OK;
	}
	e->has_arguments = false;
	if (e->old) {
		put_old_open(e, ev, out);
		return RC_OK;
	}
	buf_put(out, e->head);
	buf_puts(out, "{\"tool_calls\":[{\"index\":");
	buf_put_u64(out, e->n_calls++);
	buf_puts(out, ",\"id\":\"");
	json_escape(out, ev->id);
	e->custom = oc_is_custom(e->request, ev->name);
	e->input = (struct str){ e->input.ptr, 0 };
	buf_puts(out, e->custom ? "\",\"type\":\"custom\",\"custom\":{\"name\":\""
				: "\",\"type\":\"function\",\"function\":{\"name\":\"");
	json_escape(out, ev->name);
	buf_puts(out, e->custom ? "\",\"input\":\"\"}" : "\",\"arguments\":\"\"}");
	put_google(out, &e->google);
	buf_puts(out, "}]}");
	buf_put(out, e->tail);
	return RC_OK;
}

/* A custom call's input stands inside its arguments, which must be whole to be read. */
static int collect_input(struct protocol_encoder *e, struct str text)
{
	size_t need = e->input.len + text.len;
	char *to = (char *)e->input.ptr;

	if (need > e->input_cap) {
		to = arena_grow(e->arena, e->input_cap ? to : NULL, e->input_cap, 2 * need);
		if (!to)
			return RC_NOMEM;
		e->input_cap = 2 * need;
	}
	if (text.len)
		memcpy(to + e->input.len, text.ptr, text.len);
	e->input = (struct str){ to, need };
	return RC_OK;
}

static void put_input(struct protocol_encoder *e, struct buf *out)
{
	buf_put(out, e->head);
	buf_put(out, STR("{\"tool_calls\":[{\"index\":"));
	buf_put_u64(out, e->n_calls - 1);
	buf_put(out, STR(",\"custom\":{\"input\":\""));
	json_escape(out, oc_unwrap_input(e->arena, e->input));
	buf_put(out, STR("\"}}]}"));
	buf_put(out, e->tail);
}

static void put_arguments(struct protocol_encoder *e, struct buf *out, struct str text)
{
	if (text.len == 0)
		return;
	e->has_arguments = true;
	if (e->old) {
		if (e->n_calls == 1)
			put_text_chunk(e, out, STR("{\"function_call\":{\"arguments\":\""), text,
				       STR("\"}}"));
		return;
	}
	buf_put(out, e->head);
	buf_put(out, STR("{\"tool_calls\":[{\"index\":"));
	buf_put_u64(out, e->n_calls - 1);
	buf_put(out, STR(",\"function\":{\"arguments\":\""));
	json_escape(out, text);
	buf_put(out, STR("\"}}]}"));
	buf_put(out, e->tail);
}

/* In OpenRouter's form, the only one there is for pictures in an answer of Chat. */
static void put_picture(struct buf *out, struct str url, unsigned index, struct str proof)
{
	buf_puts(out, "{\"type\":\"image_url\",\"index\":");
	buf_put_u64(out, index);
	buf_puts(out, ",\"image_url\":{\"url\":\"");
	json_escape(out, url);
	buf_puts(out, "\"}");
	put_google(out, &proof);
	buf_putc(out, '}');
}

static void put_picture_chunk(struct protocol_encoder *e, struct buf *out, struct str url)
{
	if (!url.len) {
		put_google_detail(e, out);
		return;
	}
	buf_put(out, e->head);
	buf_puts(out, "{\"images\":[");
	put_picture(out, url, e->n_pictures++, e->google);
	e->google = STR_NONE;
	buf_puts(out, "]}");
	buf_put(out, e->tail);
}

static int put_delta(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	const struct str end = STR("\"}");

	switch (ev->delta) {
	case IR_DELTA_TEXT:
		if (ev->text.len == 0)
			return RC_OK;
		if (ev->block == IR_BLOCK_REASONING)
			put_reasoning_chunk(e, out, ev->text);
		else if (ev->logprobs.len > 2)
			put_probable_chunk(e, out, ev);
		else if (ev->block == IR_BLOCK_REFUSAL)
			put_text_chunk(e, out, STR("{\"refusal\":\""), ev->text, end);
		else
			put_text_chunk(e, out, STR("{\"content\":\""), ev->text, end);
		return RC_OK;
	case IR_DELTA_ARGUMENTS:
		if (e->custom)
			return collect_input(e, ev->text);
		put_arguments(e, out, ev->text);
		return RC_OK;
	case IR_DELTA_SIGNATURE:
		put_signature(e, ev, out);
		return RC_OK;
	case IR_DELTA_REDACTED:
		put_seal_chunk(e, out, "data", ev->text);
		return RC_OK;
	case IR_DELTA_CITATION:
		put_citation_chunk(e, out, ev->citation);
		return RC_OK;
	case IR_DELTA_RAW: /* a block that only its own protocol understands, unless it is a picture */
		put_picture_chunk(e, out, ev->picture);
		return RC_OK;
	}
	return RC_INVALID;
}

static const char *stop_name(enum ir_stop stop, bool old)
{
	return old && stop == IR_STOP_TOOL_CALLS ? "function_call" : oc_stop_name(stop);
}

static void put_finish(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	struct jw w = jw_on(out);

	buf_put(out, e->head);
	buf_puts(out, "{},\"logprobs\":null,\"finish_reason\":\"");
	buf_puts(out, stop_name(ev->stop, e->old));
	buf_puts(out, e->include_usage ? "\"}],\"usage\":null" : "\"}]");
	put_end(e, out);
	if (ev->more)
		return;
	if (e->include_usage) {
		buf_put(out, e->usage_head);
		oc_usage_write(&w, &e->usage);
		put_end(e, out);
	}
	buf_puts(out, "data: [DONE]\n\n");
}

int oc_encode_event(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	int rc = RC_OK;

	switch (ev->kind) {
	case IR_START:
		ir_usage_merge(&e->usage, &ev->usage);
		put_role(e, out);
		break;
	case IR_OPEN:
		rc = put_open(e, ev, out);
		break;
	case IR_DELTA:
		rc = put_delta(e, ev, out);
		break;
	case IR_CLOSE:
		/* Trap 16: clients parse the arguments, and "" is no JSON. */
		if (ev->block == IR_BLOCK_TOOL_CALL && e->custom)
			put_input(e, out);
		else if (ev->block == IR_BLOCK_TOOL_CALL && !e->has_arguments)
			put_arguments(e, out, STR("{}"));
		break;
	case IR_USAGE:
		ir_usage_merge(&e->usage, &ev->usage);
		break;
	case IR_FINISH:
		put_google_detail(e, out);
		put_finish(e, ev, out);
		break;
	case IR_ERROR:
		oc_encode_stream_error(ev->error, STR_NONE, FRAMING_SSE, true, out);
		break;
	case IR_PING: /* trap 21: not known here */
		break;
	}
	if (rc)
		return rc;
	return buf_ok(out) && !e->failed ? RC_OK : RC_NOMEM;
}

/* --- the whole answer --- */

static bool has_text(const struct ir_response *r, enum ir_block_kind kind)
{
	for (unsigned i = 0; i < r->n_blocks; i++) {
		if (r->blocks[i].kind == kind && r->blocks[i].text.len > 0)
			return true;
	}
	return false;
}

/* The texts of all blocks of a kind as one string; null when there is none. */
static void put_joined(struct jw *w, const struct ir_response *r, enum ir_block_kind kind)
{
	if (!has_text(r, kind)) {
		jw_null(w);
		return;
	}
	jw_raw(w, STR("\""));
	for (unsigned i = 0; i < r->n_blocks; i++) {
		if (r->blocks[i].kind == kind)
			json_escape(w->out, r->blocks[i].text);
	}
	buf_putc(w->out, '"');
}

static unsigned count_kind(const struct ir_response *r, enum ir_block_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_blocks; i++)
		n += r->blocks[i].kind == kind;
	return n;
}

/* A proof of Gemini's that stands before the call or picture it is of; NULL. */
static const struct ir_block *proof_of(const struct ir_response *r, unsigned at)
{
	const struct ir_block *b = at ? &r->blocks[at - 1] : NULL;
	bool bears = r->blocks[at].kind == IR_BLOCK_TOOL_CALL || r->blocks[at].picture.len;

	return bears && b && b->kind == IR_BLOCK_REASONING && !b->text.len && b->signature.len &&
			       b->origin && strcmp(b->origin, OC_GOOGLE) == 0
		       ? b
		       : NULL;
}

static unsigned first_call(const struct ir_response *r)
{
	unsigned i = 0;

	while (i < r->n_blocks && r->blocks[i].kind != IR_BLOCK_TOOL_CALL)
		i++;
	return i;
}

/* The block is a proof that goes where what it is of goes. `old`: as put_old_open() has it. */
static bool is_borne(const struct ir_response *r, unsigned i, bool old)
{
	return i + 1 < r->n_blocks && proof_of(r, i + 1) == &r->blocks[i] &&
	       !(old && i + 1 == first_call(r));
}

/* A block that says or proves something among the details. */
static bool has_seal(const struct ir_response *r, unsigned i, bool old)
{
	const struct ir_block *b = &r->blocks[i];

	return b->kind == IR_BLOCK_REASONING && !is_borne(r, i, old) &&
	       (b->signature.len || str_present(b->redacted));
}

/* All of the reasoning, or none: who reads details reads nothing else. */
static void put_details(struct jw *w, const struct ir_response *r, bool old)
{
	bool any = false;
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_blocks; i++)
		any = any || has_seal(r, i, old);
	if (!any)
		return;
	jw_key(w, "reasoning_details");
	jw_arr(w);
	for (unsigned i = 0; i < r->n_blocks; i++) {
		const struct ir_block *b = &r->blocks[i];

		if (b->kind == IR_BLOCK_REASONING && (b->text.len || has_seal(r, i, old)))
			put_detail(w, n++, b);
	}
	jw_end_arr(w);
}

static void put_reasoning(struct jw *w, const struct encoder_options *o,
			  const struct ir_response *r)
{
	if (has_text(r, IR_BLOCK_REASONING)) {
		jw_key(w, "reasoning_content");
		put_joined(w, r, IR_BLOCK_REASONING);
	}
	put_details(w, r, oc_asked_of_old(o->request));
}

static void put_annotations(struct jw *w, const struct ir_response *r)
{
	jw_key(w, "annotations");
	jw_arr(w);
	for (unsigned i = 0; i < r->n_blocks; i++) {
		for (unsigned k = 0; k < r->blocks[i].n_citations; k++) {
			if (can_cite(&r->blocks[i].citations[k]))
				put_citation(w, &r->blocks[i].citations[k], -1);
		}
	}
	jw_end_arr(w);
}

static void put_pictures(struct jw *w, const struct ir_response *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_blocks; i++) {
		if (!r->blocks[i].picture.len)
			continue;
		if (n == 0) {
			jw_key(w, "images");
			jw_arr(w);
		}
		jw_raw(w, STR(""));
		put_picture(w->out, r->blocks[i].picture, n++,
			    proof_of(r, i) ? proof_of(r, i)->signature : STR_NONE);
	}
	if (n)
		jw_end_arr(w);
}

static void put_call(struct jw *w, const struct encoder_options *o, const struct ir_response *r,
		     unsigned i)
{
	const struct ir_block *b = &r->blocks[i];
	bool custom = oc_is_custom(o->request, b->name);

	jw_obj(w);
	jw_kstr(w, "id", b->id);
	jw_kcstr(w, "type", custom ? "custom" : "function");
	jw_key(w, custom ? "custom" : "function");
	jw_obj(w);
	jw_kstr(w, "name", b->name);
	if (custom)
		jw_kstr(w, "input", oc_unwrap_input(o->arena, b->text));
	else
		jw_kstr(w, "arguments", b->text.len ? b->text : STR("{}"));
	jw_end_obj(w);
	if (proof_of(r, i))
		oc_write_google(w, proof_of(r, i)->signature);
	jw_end_obj(w);
}

static void put_old_call(struct jw *w, const struct ir_response *r)
{
	const struct ir_block *call = &r->blocks[first_call(r)];

	jw_key(w, "function_call");
	jw_obj(w);
	jw_kstr(w, "name", call->name);
	jw_kstr(w, "arguments", call->text.len ? call->text : STR("{}"));
	jw_end_obj(w);
}

static void put_calls(struct jw *w, const struct encoder_options *o, const struct ir_response *r)
{
	if (!count_kind(r, IR_BLOCK_TOOL_CALL))
		return;
	if (oc_asked_of_old(o->request)) {
		put_old_call(w, r);
		return;
	}
	jw_key(w, "tool_calls");
	jw_arr(w);
	for (unsigned i = 0; i < r->n_blocks; i++)
		if (r->blocks[i].kind == IR_BLOCK_TOOL_CALL)
			put_call(w, o, r, i);
	jw_end_arr(w);
}

static void put_message(struct jw *w, const struct encoder_options *o, const struct ir_response *r)
{
	jw_obj(w);
	jw_kcstr(w, "role", "assistant");
	jw_key(w, "content");
	/* Trap 44: null beside calls or a refusal, else a string, be it empty. */
	if (!has_text(r, IR_BLOCK_TEXT) && !count_kind(r, IR_BLOCK_TOOL_CALL) &&
	    !count_kind(r, IR_BLOCK_REFUSAL))
		jw_str(w, STR(""));
	else
		put_joined(w, r, IR_BLOCK_TEXT);
	put_reasoning(w, o, r);
	jw_key(w, "refusal");
	put_joined(w, r, IR_BLOCK_REFUSAL);
	put_annotations(w, r);
	put_pictures(w, r);
	put_calls(w, o, r);
	jw_end_obj(w);
}

static int put_logprobs(struct jw *w, const struct encoder_options *o, const struct ir_response *r)
{
	struct str content, refusal;
	int rc = oc_logprobs_all(o->arena, r, IR_BLOCK_TEXT, &content);

	if (!rc)
		rc = oc_logprobs_all(o->arena, r, IR_BLOCK_REFUSAL, &refusal);
	if (rc)
		return rc;
	jw_key(w, "logprobs");
	if (!str_present(content) && !str_present(refusal)) {
		jw_null(w);
		return RC_OK;
	}
	jw_obj(w);
	jw_key(w, "content");
	jw_raw_line(w, str_present(content) ? content : STR("null"));
	jw_key(w, "refusal");
	jw_raw_line(w, str_present(refusal) ? refusal : STR("null"));
	jw_end_obj(w);
	return RC_OK;
}

static int put_choice(struct jw *w, const struct encoder_options *o, const struct ir_response *r)
{
	int rc;

	jw_obj(w);
	jw_ki64(w, "index", r->choice);
	jw_key(w, "message");
	put_message(w, o, r);
	rc = put_logprobs(w, o, r);
	jw_kcstr(w, "finish_reason", stop_name(r->stop, oc_asked_of_old(o->request)));
	jw_end_obj(w);
	return rc;
}

int oc_encode_response(const struct encoder_options *o, const struct ir_response *r,
		       struct buf *out)
{
	struct jw w = jw_on(out);
	int rc = RC_OK;

	jw_obj(&w);
	put_envelope(&w, o, "chat.completion");
	jw_key(&w, "choices");
	jw_arr(&w);
	for (const struct ir_response *c = r; !rc && c; c = c->next)
		rc = put_choice(&w, o, c);
	jw_end_arr(&w);
	jw_key(&w, "usage");
	oc_usage_write(&w, &r->usage);
	if (oc_tier_name(r->usage.tier))
		jw_kcstr(&w, "service_tier", oc_tier_name(r->usage.tier));
	jw_end_obj(&w);
	if (rc)
		return rc;
	return buf_ok(out) ? RC_OK : RC_NOMEM;
}
