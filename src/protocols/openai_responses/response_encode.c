/* protocols/openai_responses/response_encode.c - events as the events of the Responses API, and a whole answer as its resource.
 *
 *	TEXT, REFUSAL   a message item; texts in a row are parts of one message
 *	REASONING       a reasoning item: OpenAI's own text is a summary, everybody else's is reasoning_text
 *	TOOL_CALL       function_call, or custom_tool_call where the client's tool is one
 *	OPAQUE          the item as it came, when it is one of ours; another's picture as one of OpenAI's tool
 *
 * The hard thing is that the last event repeats the whole answer (trap 30): each item is kept, as JSON, when it is done. An item
 * is done when the next begins, for only then it is known that the answer was not cut in it. */
#include "protocols/openai_responses/openai_responses.h"

#include "base/utf8.h"
#include "ir/fold.h"
#include "protocols/media.h"
#include "wire/sse.h"

/* Text that grows in the answer's arena. */
struct grown {
	char *ptr;
	size_t len, cap;
};

enum item_kind { ITEM_NONE, ITEM_MESSAGE, ITEM_REASONING, ITEM_CALL, ITEM_CUSTOM, ITEM_PICTURE };

struct protocol_encoder {
	struct encoder_options o;
	bool whole; /* no events are wanted, only the items that they tell of */
	struct rs_resource resource;
	uint64_t sequence;
	struct ir_usage usage;
	bool failed; /* memory ran out */
	bool spoke;  /* a text or refusal came */
	bool refused;

	struct grown output; /* items that are done */
	unsigned n_items;

	/* the open item */
	enum item_kind item;
	struct str item_id;
	struct grown parts; /* message: parts that are done */
	unsigned n_parts;
	struct str call_id, name, ns; /* escaped; ns absent without a namespace */
	struct str encrypted;         /* reasoning; absent */
	const char *origin;           /* reasoning: NULL when it is ours */
	struct str own_id;            /* reasoning of ours: the id that its proof is bound to */
	struct str picture;           /* its base64, for as long as its event; absent before */

	/* the open part: a text, or a call's arguments */
	bool in_part;
	enum ir_block_kind part;
	struct str place;  /* `,"item_id":...` to the content_index */
	struct grown text; /* escaped, but for a custom call's arguments */
	struct grown notes, logprobs;
	unsigned n_notes;
	int64_t n_chars;
};

static void grow(struct protocol_encoder *e, struct grown *g, struct str more)
{
	size_t need = g->len + more.len;

	if (need > g->cap) {
		size_t cap = g->cap ? g->cap : 256;
		char *ptr;

		while (cap < need)
			cap *= 2;
		ptr = arena_grow(e->o.arena, g->ptr, g->cap, cap);
		if (!ptr) {
			e->failed = true;
			return;
		}
		g->ptr = ptr;
		g->cap = cap;
	}
	if (more.len)
		memcpy(g->ptr + g->len, more.ptr, more.len);
	g->len = need;
}

static struct str grown_str(const struct grown *g)
{
	return (struct str){ g->ptr ? g->ptr : "", g->len };
}

/* What was put into `out` since buf_len() said `before`. */
static struct str put_since(const struct buf *out, size_t before)
{
	return str_from_offset(buf_str(out), before);
}

static struct str escaped(struct protocol_encoder *e, struct str s)
{
	struct buf b;
	struct str copy;

	buf_init(&b, RS_TEXT_MAX);
	json_escape(&b, s);
	copy = buf_ok(&b) ? arena_dup(e->o.arena, buf_str(&b)) : STR_NONE;
	buf_done(&b);
	e->failed = e->failed || !copy.ptr;
	return copy;
}

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

/* --- events --- */

/* `event: TYPE`, and the data up to where its own members follow. */
static void begin_event(struct protocol_encoder *e, struct buf *out, const char *type)
{
	sse_put_head(out, type);
	buf_puts(out, "{\"type\":\"");
	buf_puts(out, type);
	buf_puts(out, "\",\"sequence_number\":");
	buf_put_u64(out, e->sequence++);
}

static void end_event(struct buf *out)
{
	buf_putc(out, '}');
	sse_put_end(out);
}

static void put_resource_event(struct protocol_encoder *e, struct buf *out, const char *type,
			       const struct rs_state *state)
{
	begin_event(e, out, type);
	buf_puts(out, ",\"response\":");
	rs_resource_write(out, &e->resource, state);
	end_event(out);
}

static void begin_item_event(struct protocol_encoder *e, struct buf *out, const char *type)
{
	begin_event(e, out, type);
	buf_put(out, STR(",\"output_index\":"));
	buf_put_u64(out, e->n_items);
	buf_put(out, STR(",\"item\":"));
}

/* --- items --- */

static const struct str prefixes[] = {
	[ITEM_NONE] = STR_INIT("item_"),    [ITEM_MESSAGE] = STR_INIT("msg_"),
	[ITEM_REASONING] = STR_INIT("rs_"), [ITEM_CALL] = STR_INIT("fc_"),
	[ITEM_CUSTOM] = STR_INIT("ctc_"),   [ITEM_PICTURE] = STR_INIT("ig_"),
};

/* The prefix, what is behind the "_" of the answer's own id, and the item's number, two hexadecimal digits or more. */
static struct str mint_id(struct protocol_encoder *e, struct str prefix)
{
	static const char hex[] = "0123456789abcdef";
	ptrdiff_t bar = str_chr(e->o.id, '_');
	struct str own = str_from_offset(e->o.id, (size_t)(bar + 1));
	unsigned digits = 2;
	char *to;

	while (digits < 8 && e->n_items >> (4 * digits))
		digits++;
	to = arena_alloc_raw(e->o.arena, prefix.len + own.len + digits);
	if (!to) {
		e->failed = true;
		return STR_NONE;
	}
	memcpy(to, prefix.ptr, prefix.len);
	if (own.len)
		memcpy(to + prefix.len, own.ptr, own.len);
	for (unsigned i = 0; i < digits; i++)
		to[prefix.len + own.len + i] = hex[e->n_items >> (4 * (digits - 1 - i)) & 15];
	return (struct str){ to, prefix.len + own.len + digits };
}

/* The open item as JSON; `status` as the specification has it. */
static void put_item(struct protocol_encoder *e, struct buf *out, const char *status)
{
	bool summary = !e->origin;

	buf_puts(out, "{\"id\":\"");
	json_escape(out, e->item_id);
	switch (e->item) {
	case ITEM_NONE:
		break;
	case ITEM_MESSAGE:
		buf_puts(out, "\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[");
		buf_put(out, grown_str(&e->parts));
		buf_puts(out, "]");
		break;
	case ITEM_REASONING:
		buf_puts(out, "\",\"type\":\"reasoning\",\"summary\":[");
		if (summary)
			buf_put(out, grown_str(&e->parts));
		buf_puts(out, "]");
		if (!summary && e->parts.len) {
			buf_puts(out, ",\"content\":[");
			buf_put(out, grown_str(&e->parts));
			buf_puts(out, "]");
		}
		if (str_present(e->encrypted)) {
			buf_puts(out, ",\"encrypted_content\":\"");
			json_escape(out, e->encrypted);
			buf_puts(out, "\"");
		}
		break;
	case ITEM_CALL:
	case ITEM_CUSTOM:
		buf_puts(out, e->item == ITEM_CALL
				      ? "\",\"type\":\"function_call\",\"arguments\":\""
				      : "\",\"type\":\"custom_tool_call\",\"input\":\"");
		buf_put(out, grown_str(&e->parts));
		buf_puts(out, "\",\"call_id\":\"");
		buf_put(out, e->call_id);
		buf_puts(out, "\",\"name\":\"");
		buf_put(out, e->name);
		if (str_present(e->ns)) {
			buf_puts(out, "\",\"namespace\":\"");
			buf_put(out, e->ns);
		}
		buf_puts(out, "\"");
		break;
	case ITEM_PICTURE:
		buf_puts(out, "\",\"type\":\"" RS_PICTURE "\",\"result\":");
		buf_puts(out, str_present(e->picture) ? "\"" : "null");
		if (str_present(e->picture)) {
			json_escape(out, e->picture);
			buf_putc(out, '"');
		}
		break;
	}
	buf_puts(out, ",\"status\":\"");
	buf_puts(out, status);
	buf_puts(out, "\"}");
}

static void keep_item(struct protocol_encoder *e, struct str item)
{
	if (e->output.len)
		grow(e, &e->output, STR(","));
	grow(e, &e->output, item);
	e->n_items++;
}

static void close_item(struct protocol_encoder *e, struct buf *out, const char *status)
{
	size_t before;

	if (e->item == ITEM_NONE)
		return;
	if (!e->whole)
		begin_item_event(e, out, "response.output_item.done");
	before = buf_len(out);
	put_item(e, out, status);
	if (buf_ok(out))
		keep_item(e, put_since(out, before));
	if (!e->whole)
		end_event(out);
	e->item = ITEM_NONE;
}

static void open_item(struct protocol_encoder *e, struct buf *out, enum item_kind kind,
		      struct str id)
{
	close_item(e, out, "completed");
	e->item = kind;
	e->item_id = id.len ? id : mint_id(e, prefixes[kind]);
	e->parts.len = 0;
	e->n_parts = 0;
	e->encrypted = STR_NONE;
	if (e->whole)
		return;
	begin_item_event(e, out, "response.output_item.added");
	put_item(e, out, "in_progress");
	end_event(out);
}

/* Where events of the open item are that are not of a part of it. */
static void set_item_place(struct protocol_encoder *e)
{
	e->place = arena_printf(e->o.arena, ",\"item_id\":\"%.*s\",\"output_index\":%u",
				STR_ARG(e->item_id), e->n_items);
	e->failed = e->failed || !e->place.ptr;
}

/* An item that only this protocol knows: both of its events at once. */
static void put_opaque(struct protocol_encoder *e, struct buf *out, struct str raw)
{
	static const char *const types[] = { "response.output_item.added",
					     "response.output_item.done" };

	close_item(e, out, "completed");
	for (unsigned i = 0; !e->whole && i < 2; i++) {
		begin_item_event(e, out, types[i]);
		buf_put(out, raw);
		end_event(out);
	}
	keep_item(e, raw);
}

/* A picture that the model of another protocol drew. */
static void put_picture(struct protocol_encoder *e, struct buf *out, struct str url)
{
	static const char *const types[] = { "response." RS_PICTURE ".in_progress",
					     "response." RS_PICTURE ".completed" };
	struct ir_media m = { .source = IR_MEDIA_URL };

	media_read_url(url, &m);
	if (m.source != IR_MEDIA_BASE64)
		return;
	open_item(e, out, ITEM_PICTURE, STR_NONE);
	set_item_place(e);
	for (unsigned i = 0; !e->whole && i < 2; i++) {
		begin_event(e, out, types[i]);
		buf_put(out, e->place);
		end_event(out);
	}
	e->picture = m.data;
	close_item(e, out, "completed"); /* it is, even if the answer is cut behind it */
	e->picture = STR_NONE;
}

/* --- parts --- */

/* How a part of each kind goes over the wire. */
static const struct words {
	const char *added, *delta, *done, *part_done;
	const char *index, *type, *key;
} words[] = {
	[IR_BLOCK_TEXT] = { "response.content_part.added", "response.output_text.delta",
			    "response.output_text.done", "response.content_part.done",
			    "content_index", "output_text", "text" },
	[IR_BLOCK_REFUSAL] = { "response.content_part.added", "response.refusal.delta",
			       "response.refusal.done", "response.content_part.done",
			       "content_index", "refusal", "refusal" },
	[IR_BLOCK_REASONING] = { "response.content_part.added", "response.reasoning_text.delta",
				 "response.reasoning_text.done", "response.content_part.done",
				 "content_index", "reasoning_text", "text" },
};

static const struct words summary_words = {
	"response.reasoning_summary_part.added",
	"response.reasoning_summary_text.delta",
	"response.reasoning_summary_text.done",
	"response.reasoning_summary_part.done",
	"summary_index",
	"summary_text",
	"text",
};

static const struct words *words_of(const struct protocol_encoder *e)
{
	return e->part == IR_BLOCK_REASONING && !e->origin ? &summary_words : &words[e->part];
}

static void put_part(struct protocol_encoder *e, struct buf *out)
{
	const struct words *w = words_of(e);

	buf_puts(out, "{\"type\":\"");
	buf_puts(out, w->type);
	buf_puts(out, "\",\"");
	buf_puts(out, w->key);
	buf_puts(out, "\":\"");
	buf_put(out, grown_str(&e->text));
	buf_puts(out, "\"");
	if (e->part == IR_BLOCK_TEXT) {
		buf_puts(out, ",\"annotations\":[");
		buf_put(out, grown_str(&e->notes));
		buf_puts(out, "],\"logprobs\":[");
		buf_put(out, grown_str(&e->logprobs));
		buf_puts(out, "]");
	}
	buf_puts(out, "}");
}

static void put_part_event(struct protocol_encoder *e, struct buf *out, const char *type)
{
	begin_event(e, out, type);
	buf_put(out, e->place);
	buf_puts(out, ",\"part\":");
	put_part(e, out);
	end_event(out);
}

static void begin_part(struct protocol_encoder *e, struct buf *out, enum ir_block_kind kind)
{
	const struct words *w;

	e->in_part = true;
	e->part = kind;
	e->text.len = e->notes.len = e->logprobs.len = 0;
	e->n_notes = 0;
	e->n_chars = 0;
	if (e->whole)
		return;
	w = words_of(e);
	e->place = arena_printf(e->o.arena, ",\"item_id\":\"%.*s\",\"output_index\":%u,\"%s\":%u",
				STR_ARG(escaped(e, e->item_id)), e->n_items, w->index, e->n_parts);
	e->failed = e->failed || !e->place.ptr;
	put_part_event(e, out, w->added);
}

static void put_text_done(struct protocol_encoder *e, struct buf *out, const struct words *w)
{
	begin_event(e, out, w->done);
	buf_put(out, e->place);
	buf_puts(out, ",\"");
	buf_puts(out, w->key);
	buf_puts(out, "\":\"");
	buf_put(out, grown_str(&e->text));
	buf_puts(out, "\"");
	if (e->part == IR_BLOCK_TEXT) {
		buf_puts(out, ",\"logprobs\":[");
		buf_put(out, grown_str(&e->logprobs));
		buf_puts(out, "]");
	}
	end_event(out);
}

static void end_part(struct protocol_encoder *e, struct buf *out)
{
	const struct words *w = words_of(e);
	size_t before;

	if (!e->in_part)
		return;
	e->in_part = false;
	if (!e->whole) {
		put_text_done(e, out, w);
		begin_event(e, out, w->part_done);
		buf_put(out, e->place);
		buf_puts(out, ",\"part\":");
	}
	if (e->parts.len)
		grow(e, &e->parts, STR(","));
	before = buf_len(out);
	put_part(e, out);
	if (buf_ok(out))
		grow(e, &e->parts, put_since(out, before));
	if (!e->whole)
		end_event(out);
	e->n_parts++;
}

static void need_part(struct protocol_encoder *e, struct buf *out, enum ir_block_kind kind)
{
	bool reasoning = kind == IR_BLOCK_REASONING;

	if (e->in_part)
		return;
	if (e->item != (reasoning ? ITEM_REASONING : ITEM_MESSAGE))
		open_item(e, out, reasoning ? ITEM_REASONING : ITEM_MESSAGE,
			  reasoning ? e->own_id : STR_NONE);
	begin_part(e, out, kind);
}

/* Chat's form of a list without its brackets; `bytes` must be there, for what is no text is told by them. */
static void put_logprobs(struct protocol_encoder *e, struct buf *out, struct str list)
{
	size_t before;

	buf_puts(out, ",\"logprobs\":[");
	if (list.len > 2) {
		struct arena *a = arena_new(RS_TEXT_MAX);
		const json *root = a ? json_parse(a, list, NULL) : NULL;
		struct json_iter it = json_iter(root);

		before = buf_len(out);
		while (json_next(&it)) {
			struct jw w = jw_on(out);

			if (buf_len(out) > before)
				buf_putc(out, ',');
			rs_logprob_write(&w, it.val, false);
		}
		arena_free(a);
		if (e->logprobs.len)
			grow(e, &e->logprobs, STR(","));
		if (buf_ok(out))
			grow(e, &e->logprobs, put_since(out, before));
	}
	buf_puts(out, "]");
}

static void put_text(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	size_t before;

	if (ev->text.len == 0)
		return;
	need_part(e, out, ev->block);
	if (!e->whole) {
		begin_event(e, out, words_of(e)->delta);
		buf_put(out, e->place);
		buf_puts(out, ",\"delta\":\"");
	}
	before = buf_len(out);
	json_escape(out, ev->text);
	if (buf_ok(out))
		grow(e, &e->text, put_since(out, before));
	buf_puts(out, "\"");
	if (ev->block == IR_BLOCK_TEXT)
		put_logprobs(e, out, ev->logprobs);
	if (!e->whole)
		end_event(out);
	e->n_chars += utf8_count(ev->text);
	e->spoke = e->spoke || ev->block != IR_BLOCK_REASONING;
	e->refused = e->refused || ev->block == IR_BLOCK_REFUSAL;
}

/* --- citations --- */

/* Of others' citations those of pages have a form here. They stand for the text of their part (trap 55). */
static bool put_citation(struct protocol_encoder *e, struct buf *out, const struct ir_citation *c)
{
	struct jw w = jw_on(out);

	if (rs_minted(c->origin) && str_present(c->raw)) {
		buf_put(out, c->raw);
		return true;
	}
	if (!c->url.len)
		return false;
	jw_obj(&w);
	jw_kcstr(&w, "type", "url_citation");
	jw_ki64(&w, "start_index", c->start < 0 ? 0 : c->start);
	jw_ki64(&w, "end_index", c->end < 0 ? e->n_chars : c->end);
	jw_kstr(&w, "url", c->url);
	jw_kstr(&w, "title", str_present(c->title) ? c->title : STR(""));
	jw_end_obj(&w);
	return true;
}

static void put_annotation(struct protocol_encoder *e, const struct ir_citation *c, struct buf *out)
{
	size_t before;

	if (!c || (!c->url.len && !(rs_minted(c->origin) && str_present(c->raw))))
		return;
	need_part(e, out, IR_BLOCK_TEXT);
	begin_event(e, out, "response.output_text.annotation.added");
	buf_put(out, e->place);
	buf_puts(out, ",\"annotation_index\":");
	buf_put_u64(out, e->n_notes++);
	buf_puts(out, ",\"annotation\":");
	if (e->notes.len)
		grow(e, &e->notes, STR(","));
	before = buf_len(out);
	(void)put_citation(e, out, c);
	if (buf_ok(out))
		grow(e, &e->notes, put_since(out, before));
	end_event(out);
}

/* --- reasoning's proof --- */

static void put_proof(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	bool redacted = ev->delta == IR_DELTA_REDACTED;
	struct str id, encrypted;

	if (ev->text.len == 0 && !redacted)
		return;
	end_part(e, out);
	if (e->item != ITEM_REASONING)
		open_item(e, out, ITEM_REASONING, e->own_id);
	oc_proof_split(ev->text, &id, &encrypted);
	/* OpenAI's own is bound to its item: with another id, as a broker's, it is carried like a foreign one. */
	if (!e->origin && id.len && str_eq(id, e->own_id))
		encrypted = arena_dup(e->o.arena, encrypted);
	else
		encrypted = rs_carrier_pack(e->o.arena, e->origin ? e->origin : RS_NAME,
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

	close_item(e, out, "completed"); /* with its own names, while they are there */
	e->call_id = escaped(e, ev->id);
	e->name = escaped(e, spaced ? str_from_offset(ev->name, t->ns.len + 2) : ev->name);
	e->ns = spaced ? escaped(e, t->ns) : STR_NONE;
	e->text.len = 0;
	open_item(e, out, custom ? ITEM_CUSTOM : ITEM_CALL, STR_NONE);
	set_item_place(e);
}

static void put_arguments(struct protocol_encoder *e, struct str piece, struct buf *out)
{
	size_t before;

	if (piece.len == 0)
		return;
	if (e->item == ITEM_CUSTOM) { /* what its JSON says is known when it is whole */
		grow(e, &e->text, piece);
		return;
	}
	begin_event(e, out, "response.function_call_arguments.delta");
	buf_put(out, e->place);
	buf_puts(out, ",\"delta\":\"");
	before = buf_len(out);
	json_escape(out, piece);
	if (buf_ok(out))
		grow(e, &e->parts, put_since(out, before));
	buf_puts(out, "\"");
	end_event(out);
}

static void end_custom(struct protocol_encoder *e, struct buf *out)
{
	struct arena *a = arena_new(RS_TEXT_MAX);
	const json *v = a ? json_parse(a, grown_str(&e->text), NULL) : NULL;
	const json *input = json_get(v, STR("input"));
	size_t before;

	e->failed = e->failed || !a;
	begin_event(e, out, "response.custom_tool_call_input.delta");
	buf_put(out, e->place);
	buf_puts(out, ",\"delta\":\"");
	before = buf_len(out);
	json_escape(out, json_is_str(input) ? json_str(input) : grown_str(&e->text));
	if (buf_ok(out))
		grow(e, &e->parts, put_since(out, before));
	buf_puts(out, "\"");
	end_event(out);
	begin_event(e, out, "response.custom_tool_call_input.done");
	buf_put(out, e->place);
	buf_puts(out, ",\"input\":\"");
	buf_put(out, grown_str(&e->parts));
	buf_puts(out, "\"");
	end_event(out);
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
	begin_event(e, out, "response.function_call_arguments.done");
	buf_put(out, e->place);
	buf_puts(out, ",\"name\":\"");
	buf_put(out, e->name);
	buf_puts(out, "\",\"arguments\":\"");
	buf_put(out, grown_str(&e->parts));
	buf_puts(out, "\"");
	end_event(out);
}

/* --- the whole --- */

static void put_open(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	if (ev->block == IR_BLOCK_TOOL_CALL) {
		open_call(e, ev, out);
	} else if (ev->block == IR_BLOCK_REASONING) {
		bool ours = rs_minted(ev->origin);

		/* Each is an item of its own: it has one proof. */
		close_item(e, out, "completed");
		e->origin = ours ? NULL : ev->origin ? ev->origin : "unknown";
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
		put_text(e, ev, out);
		break;
	case IR_DELTA_ARGUMENTS:
		put_arguments(e, ev->text, out);
		break;
	case IR_DELTA_SIGNATURE:
	case IR_DELTA_REDACTED:
		put_proof(e, ev, out);
		break;
	case IR_DELTA_CITATION:
		put_annotation(e, ev->citation, out);
		break;
	case IR_DELTA_RAW:
		if (!e->origin)
			put_opaque(e, out, ev->text);
		else
			put_picture(e, out, ev->picture);
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

	put_text(e, &ev, out);
	end_part(e, out);
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
	close_item(e, out, state.status);
	state.output = grown_str(&e->output);
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
				  .output = grown_str(&e->output) };

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
			end_part(e, out);
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
