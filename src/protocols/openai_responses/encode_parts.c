/* protocols/openai_responses/encode_parts.c - parts of a message or of reasoning as events, and as what is kept of them. */
#include "base/utf8.h"
#include "protocols/openai_responses/encoder.h"

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
	return e->part == IR_BLOCK_REASONING && e->summary ? &summary_words : &words[e->part];
}

static void put_part(struct protocol_encoder *e, struct buf *out)
{
	const struct words *w = words_of(e);

	buf_puts(out, "{\"type\":\"");
	buf_puts(out, w->type);
	buf_puts(out, "\",\"");
	buf_puts(out, w->key);
	buf_puts(out, "\":\"");
	buf_put(out, rs_grown(&e->text));
	buf_puts(out, "\"");
	if (e->part == IR_BLOCK_TEXT) {
		buf_puts(out, ",\"annotations\":[");
		buf_put(out, rs_grown(&e->notes));
		buf_puts(out, "],\"logprobs\":[");
		buf_put(out, rs_grown(&e->logprobs));
		buf_puts(out, "]");
	}
	buf_puts(out, "}");
}

static void put_part_event(struct protocol_encoder *e, struct buf *out, const char *type)
{
	rs_event_begin(e, out, type);
	buf_put(out, e->place);
	buf_puts(out, ",\"part\":");
	put_part(e, out);
	rs_event_end(out);
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
	e->place =
		arena_printf(e->o.arena, ",\"item_id\":\"%.*s\",\"output_index\":%u,\"%s\":%u",
			     STR_ARG(rs_escaped(e, e->item_id)), e->n_items, w->index, e->n_parts);
	e->failed = e->failed || !e->place.ptr;
	put_part_event(e, out, w->added);
}

static void put_text_done(struct protocol_encoder *e, struct buf *out, const struct words *w)
{
	rs_event_begin(e, out, w->done);
	buf_put(out, e->place);
	buf_puts(out, ",\"");
	buf_puts(out, w->key);
	buf_puts(out, "\":\"");
	buf_put(out, rs_grown(&e->text));
	buf_puts(out, "\"");
	if (e->part == IR_BLOCK_TEXT) {
		buf_puts(out, ",\"logprobs\":[");
		buf_put(out, rs_grown(&e->logprobs));
		buf_puts(out, "]");
	}
	rs_event_end(out);
}

void rs_part_end(struct protocol_encoder *e, struct buf *out)
{
	const struct words *w = words_of(e);
	size_t before;

	if (!e->in_part)
		return;
	e->in_part = false;
	if (!e->whole) {
		put_text_done(e, out, w);
		rs_event_begin(e, out, w->part_done);
		buf_put(out, e->place);
		buf_puts(out, ",\"part\":");
	}
	if (e->parts.len)
		rs_grow(e, &e->parts, STR(","));
	before = buf_len(out);
	put_part(e, out);
	if (buf_ok(out))
		rs_grow(e, &e->parts, rs_put_since(out, before));
	if (!e->whole)
		rs_event_end(out);
	e->n_parts++;
}

static void need_part(struct protocol_encoder *e, struct buf *out, enum ir_block_kind kind)
{
	bool reasoning = kind == IR_BLOCK_REASONING;

	if (e->in_part)
		return;
	if (e->item != (reasoning ? ITEM_REASONING : ITEM_MESSAGE))
		rs_item_open(e, out, reasoning ? ITEM_REASONING : ITEM_MESSAGE,
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
			rs_grow(e, &e->logprobs, STR(","));
		if (buf_ok(out))
			rs_grow(e, &e->logprobs, rs_put_since(out, before));
	}
	buf_puts(out, "]");
}

void rs_part_put_text(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	size_t before;

	if (ev->text.len == 0)
		return;
	need_part(e, out, ev->block);
	if (!e->whole) {
		rs_event_begin(e, out, words_of(e)->delta);
		buf_put(out, e->place);
		buf_puts(out, ",\"delta\":\"");
	}
	before = buf_len(out);
	json_escape(out, ev->text);
	if (buf_ok(out))
		rs_grow(e, &e->text, rs_put_since(out, before));
	buf_puts(out, "\"");
	if (ev->block == IR_BLOCK_TEXT)
		put_logprobs(e, out, ev->logprobs);
	if (!e->whole)
		rs_event_end(out);
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

void rs_part_put_citation(struct protocol_encoder *e, const struct ir_citation *c, struct buf *out)
{
	size_t before;

	if (!c || (!c->url.len && !(rs_minted(c->origin) && str_present(c->raw))))
		return;
	need_part(e, out, IR_BLOCK_TEXT);
	rs_event_begin(e, out, "response.output_text.annotation.added");
	buf_put(out, e->place);
	buf_puts(out, ",\"annotation_index\":");
	buf_put_u64(out, e->n_notes++);
	buf_puts(out, ",\"annotation\":");
	if (e->notes.len)
		rs_grow(e, &e->notes, STR(","));
	before = buf_len(out);
	(void)put_citation(e, out, c);
	if (buf_ok(out))
		rs_grow(e, &e->notes, rs_put_since(out, before));
	rs_event_end(out);
}
