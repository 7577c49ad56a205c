/* protocols/anthropic_messages/patch.c - a body that passes with only our own fields changed.
 *
 * The one hard thing: thinking and citations that another vendor's model produced and we showed to
 * this client carry an empty proof or one of their own vendor; this vendor refuses a request that brings them back (trap 47).
 * So a body that holds one is rewritten without it, and what had something to say is named.
 */
#include "protocols/anthropic_messages/anthropic_messages.h"

#include "ir/carrier.h"
#include "protocols/glance.h"

/* The member `key` with the value "" stands somewhere in the text. A hit may be a false one (inside
 * a tool's input): the rewriting looks closely. */
static bool holds_empty(struct str text, struct str key)
{
	ptrdiff_t at;

	while ((at = str_find(text, key)) >= 0) {
		text = str_from_offset(text, (size_t)at + key.len);
		while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == ':'))
			text = str_from_offset(text, 1);
		if (str_starts(text, STR("\"\"")))
			return true;
	}
	return false;
}

/* What may stand in a body, by one pass over it. */
enum { SIGNATURE, INDEX, CARRIER, REDACTED, N_SIGNS };

static const struct str signs[N_SIGNS] = { [SIGNATURE] = STR_INIT("\"signature\""),
					   [INDEX] = STR_INIT("\"encrypted_index\""),
					   [CARRIER] = STR_INIT("\"" IR_CARRIER_MARK),
					   [REDACTED] = STR_INIT("\"redacted_thinking\"") };

static bool holds_foreign_proof(struct str body, unsigned found)
{
	return found & 1u << CARRIER ||
	       (found & 1u << SIGNATURE && holds_empty(body, signs[SIGNATURE])) ||
	       (found & 1u << INDEX && holds_empty(body, signs[INDEX]));
}

static bool is_empty(const json *v)
{
	return json_is_str(v) && json_str(v).len == 0;
}

/* No proof, or another vendor's in a carrier: the block is for others. */
static bool proves_nothing(const json *v)
{
	return is_empty(v) || ir_carrier_is(json_str(v));
}

static void put_value(struct jw *w, const json *v)
{
	jw_raw(w, STR(""));
	json_write(w->out, v);
}

bool am_write_citations(struct jw *w, const json *citations)
{
	struct json_iter it = json_iter(citations);
	bool whole = true;

	jw_arr(w);
	while (json_next(&it)) {
		if (is_empty(JSON_GET(it.val, "encrypted_index")))
			whole = false;
		else
			put_value(w, it.val);
	}
	jw_end_arr(w);
	return whole;
}

static void lose(const struct patch_options *o, struct str name)
{
	if (o->losses)
		ir_loss(o->losses, name);
}

static bool is_redacted(const json *block)
{
	return str_eq(json_str(JSON_GET(block, "type")), STR("redacted_thinking"));
}

static bool is_thinking(const json *block)
{
	return is_redacted(block) || str_eq(json_str(JSON_GET(block, "type")), STR("thinking"));
}

static const json *proof_of(const json *block)
{
	return is_redacted(block) ? JSON_GET(block, "data") : JSON_GET(block, "signature");
}

/* Thinking that others made: it proves nothing, or is known to be of no use to this target. */
static bool is_foreign(const struct patch_options *o, const json *block)
{
	if (!is_thinking(block))
		return false;
	if (!(o->quirks & QUIRK_SEND_REASONING) && proves_nothing(proof_of(block)))
		return true;
	return o->proofs && o->proofs->drops(o->proofs, json_str(proof_of(block)), STR_NONE);
}

/* One that says nothing and proves nothing is no loss. */
static void leave_out(const struct patch_options *o, const json *block)
{
	const json *proof = proof_of(block);

	if (!is_empty(proof) || json_str(JSON_GET(block, "thinking")).len)
		lose(o, STR("reasoning_content"));
	if (o->proofs && !proves_nothing(proof))
		o->proofs->dropped(o->proofs, json_str(proof), STR_NONE);
}

static void put_block(struct jw *w, const struct patch_options *o, const json *block)
{
	struct str type = json_str(JSON_GET(block, "type"));
	struct json_iter it;

	if (is_foreign(o, block)) {
		leave_out(o, block);
		return;
	}
	if (!str_eq(type, STR("text")) || !json_is_arr(JSON_GET(block, "citations"))) {
		put_value(w, block);
		return;
	}
	it = json_iter(block);
	jw_obj(w);
	while (json_next(&it)) {
		jw_key_str(w, it.key);
		if (!str_eq(it.key, STR("citations")))
			put_value(w, it.val);
		else if (!am_write_citations(w, it.val))
			lose(o, STR("citations"));
	}
	jw_end_obj(w);
}

static void put_message(struct jw *w, const struct patch_options *o, const json *message)
{
	struct json_iter it = json_iter(message);

	jw_obj(w);
	while (json_next(&it)) {
		jw_key_str(w, it.key);
		if (str_eq(it.key, STR("content")) && json_is_arr(it.val)) {
			struct json_iter blocks = json_iter(it.val);

			jw_arr(w);
			while (json_next(&blocks))
				put_block(w, o, blocks.val);
			jw_end_arr(w);
		} else {
			put_value(w, it.val);
		}
	}
	jw_end_obj(w);
}

/* --- thinking that can no longer be asked for --- */

static bool has_type(const json *content, struct str type)
{
	struct json_iter it = json_iter(content);

	while (json_next(&it))
		if (str_eq(json_str(JSON_GET(it.val, "type")), type))
			return true;
	return false;
}

/* Of a turn that goes on with results of tools, what it begins with is left out: with a budget the vendor wants thinking there (trap 46). */
static bool loses_its_beginning(const struct patch_options *o, const json *content)
{
	struct json_iter it = json_iter(content);
	bool lost = false;

	while (json_next(&it)) {
		if (!is_foreign(o, it.val))
			return lost && !is_thinking(it.val) && has_type(content, STR("tool_use"));
		lost = true;
	}
	return false;
}

static bool asks_to_think(const json *root)
{
	return str_eq(json_str(JSON_GET(JSON_GET(root, "thinking"), "type")), STR("enabled"));
}

static bool cannot_think(const struct patch_options *o, const json *root)
{
	struct json_iter it = json_iter(JSON_GET(root, "messages"));
	const json *last = NULL;

	if (!asks_to_think(root))
		return false;
	while (json_next(&it))
		if (str_eq(json_str(JSON_GET(it.val, "role")), STR("assistant")))
			last = it.val;
	return last && loses_its_beginning(o, JSON_GET(last, "content"));
}

/* The thinking of this turn, and what is to become of earlier thinking, which the vendor takes beside it only. */
static bool is_about_thinking(struct str key, const json *value)
{
	struct json_iter it = json_iter(JSON_GET(value, "edits"));

	if (str_eq(key, STR("thinking")))
		return true;
	while (str_eq(key, STR("context_management")) && json_next(&it))
		if (str_starts(json_str(JSON_GET(it.val, "type")), STR("clear_thinking")))
			return true;
	return false;
}

static int rewrite(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
		   struct buf *out)
{
	const json *root = json_parse(a, peek->body, NULL);
	struct json_iter it = json_iter(root);
	struct jw w = jw_on(out);
	bool silent;

	if (!root)
		return RC_NOMEM; /* peek found it valid */
	silent = cannot_think(o, root);
	jw_obj(&w);
	while (json_next(&it)) {
		if (str_eq(it.key, STR("provider")) && o->strip_provider)
			continue;
		if (silent && is_about_thinking(it.key, it.val)) {
			lose(o, it.key);
			continue;
		}
		jw_key_str(&w, it.key);
		if (str_eq(it.key, STR("model"))) {
			jw_str(&w, o->model);
		} else if (str_eq(it.key, STR("messages")) && json_is_arr(it.val)) {
			struct json_iter messages = json_iter(it.val);

			jw_arr(&w);
			while (json_next(&messages)) {
				if (json_is_obj(messages.val))
					put_message(&w, o, messages.val);
				else
					put_value(&w, messages.val);
			}
			jw_end_arr(&w);
		} else {
			put_value(&w, it.val);
		}
	}
	jw_end_obj(&w);
	return buf_ok(out) ? RC_OK : RC_NOMEM;
}

int am_patch(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
	     struct buf *out)
{
	unsigned found = glance_strings(peek->body, signs, N_SIGNS), n = 0;
	struct json_edit edits[2];
	struct buf model;

	if (!(o->quirks & QUIRK_SEND_REASONING) && holds_foreign_proof(peek->body, found))
		return rewrite(a, peek, o, out);
	if (found & (1u << SIGNATURE | 1u << REDACTED) &&
	    proofs_any_dropped(&am_proofs, o->proofs, a, peek->body))
		return rewrite(a, peek, o, out);
	buf_init(&model, 6 * o->model.len + 16);
	if (!str_eq(o->model, peek->model)) {
		buf_putc(&model, '"');
		json_escape(&model, o->model);
		buf_putc(&model, '"');
		edits[n++] =
			(struct json_edit){ .old = peek->model_at.value, .with = buf_str(&model) };
	}
	if (o->strip_provider && str_present(peek->provider_at.value))
		edits[n++] = json_edit_remove(peek->body, peek->provider_at.member);
	if (buf_ok(&model))
		json_patch(out, peek->body, edits, n);
	n = buf_ok(&model) && buf_ok(out);
	buf_done(&model);
	return n ? RC_OK : RC_NOMEM;
}
