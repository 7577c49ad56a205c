/* protocols/openai_responses/encode_items.c - items of an answer as events, and as what is kept of them.
 *
 * An item is done when the next begins, for only then it is known that the answer was not cut in it. */
#include "protocols/media.h"
#include "protocols/openai_responses/encoder.h"
#include "wire/sse.h"

void rs_grow(struct protocol_encoder *e, struct grown *g, struct str more)
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

struct str rs_escaped(struct protocol_encoder *e, struct str s)
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

/* --- events --- */

void rs_event_begin(struct protocol_encoder *e, struct buf *out, const char *type)
{
	sse_put_head(out, type);
	buf_puts(out, "{\"type\":\"");
	buf_puts(out, type);
	buf_puts(out, "\",\"sequence_number\":");
	buf_put_u64(out, e->sequence++);
}

void rs_event_end(struct buf *out)
{
	buf_putc(out, '}');
	sse_put_end(out);
}

static void begin_item_event(struct protocol_encoder *e, struct buf *out, const char *type)
{
	rs_event_begin(e, out, type);
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

/* Clients that ask for encrypted reasoning keep nothing else of it: what nobody signed goes as a carrier of its text, for the provider
 * that wants it back. Such reasoning has one part, which is still there. */
static void put_encrypted(struct protocol_encoder *e, struct buf *out)
{
	bool carry = e->origin && e->n_parts == 1 && e->o.request && e->o.request->keeps_reasoning;

	if (!str_present(e->encrypted) && !carry)
		return;
	buf_puts(out, ",\"encrypted_content\":\"");
	if (str_present(e->encrypted)) {
		json_escape(out, e->encrypted);
	} else {
		buf_puts(out, RS_CARRIED_TEXT);
		buf_put(out, rs_grown(&e->text));
	}
	buf_puts(out, "\"");
}

/* The open item as JSON; `status` as the specification has it. */
static void put_item(struct protocol_encoder *e, struct buf *out, const char *status)
{
	buf_puts(out, "{\"id\":\"");
	json_escape(out, e->item_id);
	switch (e->item) {
	case ITEM_NONE:
		break;
	case ITEM_MESSAGE:
		buf_puts(out, "\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[");
		buf_put(out, rs_grown(&e->parts));
		buf_puts(out, "]");
		break;
	case ITEM_REASONING:
		buf_puts(out, "\",\"type\":\"reasoning\",\"summary\":[");
		if (e->summary)
			buf_put(out, rs_grown(&e->parts));
		buf_puts(out, "]");
		if (!e->summary && e->parts.len) {
			buf_puts(out, ",\"content\":[");
			buf_put(out, rs_grown(&e->parts));
			buf_puts(out, "]");
		}
		put_encrypted(e, out);
		break;
	case ITEM_CALL:
	case ITEM_CUSTOM:
		buf_puts(out, e->item == ITEM_CALL
				      ? "\",\"type\":\"function_call\",\"arguments\":\""
				      : "\",\"type\":\"custom_tool_call\",\"input\":\"");
		buf_put(out, rs_grown(&e->parts));
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
		rs_grow(e, &e->output, STR(","));
	rs_grow(e, &e->output, item);
	e->n_items++;
}

void rs_item_close(struct protocol_encoder *e, struct buf *out, const char *status)
{
	size_t before;

	if (e->item == ITEM_NONE)
		return;
	if (!e->whole)
		begin_item_event(e, out, "response.output_item.done");
	before = buf_len(out);
	put_item(e, out, status);
	if (buf_ok(out))
		keep_item(e, rs_put_since(out, before));
	if (!e->whole)
		rs_event_end(out);
	e->item = ITEM_NONE;
}

void rs_item_open(struct protocol_encoder *e, struct buf *out, enum item_kind kind, struct str id)
{
	rs_item_close(e, out, "completed");
	e->item = kind;
	e->item_id = id.len ? id : mint_id(e, prefixes[kind]);
	e->parts.len = 0;
	e->n_parts = 0;
	e->encrypted = STR_NONE;
	if (e->whole)
		return;
	begin_item_event(e, out, "response.output_item.added");
	put_item(e, out, "in_progress");
	rs_event_end(out);
}

void rs_item_set_place(struct protocol_encoder *e)
{
	e->place = arena_printf(e->o.arena, ",\"item_id\":\"%.*s\",\"output_index\":%u",
				STR_ARG(e->item_id), e->n_items);
	e->failed = e->failed || !e->place.ptr;
}

void rs_item_put_opaque(struct protocol_encoder *e, struct buf *out, struct str raw)
{
	static const char *const types[] = { "response.output_item.added",
					     "response.output_item.done" };

	rs_item_close(e, out, "completed");
	for (unsigned i = 0; !e->whole && i < 2; i++) {
		begin_item_event(e, out, types[i]);
		buf_put(out, raw);
		rs_event_end(out);
	}
	keep_item(e, raw);
}

void rs_item_put_picture(struct protocol_encoder *e, struct buf *out, struct str url)
{
	static const char *const types[] = { "response." RS_PICTURE ".in_progress",
					     "response." RS_PICTURE ".completed" };
	struct ir_media m = { .source = IR_MEDIA_URL };

	media_read_url(url, &m);
	if (m.source != IR_MEDIA_BASE64)
		return;
	rs_item_open(e, out, ITEM_PICTURE, STR_NONE);
	rs_item_set_place(e);
	for (unsigned i = 0; !e->whole && i < 2; i++) {
		rs_event_begin(e, out, types[i]);
		buf_put(out, e->place);
		rs_event_end(out);
	}
	e->picture = m.data;
	rs_item_close(e, out, "completed"); /* it is, even if the answer is cut behind it */
	e->picture = STR_NONE;
}
