/* protocols/anthropic_messages/relay.c - bodies and streams that pass as they are, with only our
 * own fields changed.
 *
 * The one hard thing: thinking and citations that another vendor's model produced and we showed to
 * this client carry an empty proof or one of their own vendor; this vendor refuses a request that brings them back (trap 47).
 * So a body that holds one is rewritten without it, and what had something to say is named.
 */
#include "protocols/anthropic_messages/anthropic_messages.h"

#include "ir/carrier.h"
#include "protocols/glance.h"

#include <string.h>

/* A wanted string member, unescaped; absent stays absent. */
static int want_str(struct arena *a, const struct json_want *w, struct str *ret, struct err *reterr)
{
	if (!str_present(w->value))
		return RC_OK;
	if (w->first != '"')
		return err_param(reterr, RC_INVALID, w->key, "%s: Input should be a valid string",
				 w->key);
	*ret = json_unquote(a, w->value);
	return str_present(*ret) ? RC_OK : err_set(reterr, RC_NOMEM, "out of memory");
}

static bool forces_tool(struct arena *a, const struct json_want *choice)
{
	struct json_want type = { .key = "type" };
	struct str name;

	if (choice->first != '{' || json_scan(choice->value, &type, 1, NULL) != RC_OK ||
	    type.first != '"')
		return false;
	name = json_unquote(a, type.value);
	return str_eq(name, STR("any")) || str_eq(name, STR("tool"));
}

int am_peek(struct arena *a, const struct request_line *line, struct str body,
	    struct request_peek *ret, struct err *reterr)
{
	enum { MODEL, STREAM, PROVIDER, MAX_TOKENS, CHOICE, N };
	struct json_want w[N] = {
		[MODEL] = { .key = "model" },        [STREAM] = { .key = "stream" },
		[PROVIDER] = { .key = "provider" },  [MAX_TOKENS] = { .key = "max_tokens" },
		[CHOICE] = { .key = "tool_choice" },
	};
	int rc = json_scan(body, w, N, reterr);

	(void)line;
	if (rc)
		return rc;
	*ret = (struct request_peek){ .body = body, .include_usage = true };
	rc = want_str(a, &w[MODEL], &ret->model, reterr);
	if (rc)
		return rc;
	if (!str_present(ret->model))
		return err_param(reterr, RC_INVALID, "model", "model: Field required");
	if (!ret->model.len)
		return err_param(reterr, RC_INVALID, "model",
				 "model: String should have at least 1 character");
	if (w[STREAM].first && w[STREAM].first != 't' && w[STREAM].first != 'f' &&
	    w[STREAM].first != 'n')
		return err_param(reterr, RC_INVALID, "stream",
				 "stream: Input should be a valid boolean");
	ret->stream = w[STREAM].first == 't';
	if (w[PROVIDER].first == '"') {
		rc = want_str(a, &w[PROVIDER], &ret->provider_pin, reterr);
		if (rc)
			return rc;
	}
	ret->forces_tool = forces_tool(a, &w[CHOICE]);
	ret->model_at = w[MODEL];
	ret->provider_at = w[PROVIDER];
	ret->max_tokens_at = w[MAX_TOKENS];
	return RC_OK;
}

/* --- what other vendors' models left in the conversation --- */

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

static bool holds_foreign_proof(struct str body)
{
	enum { SIGNATURE, INDEX, CARRIER };
	static const struct str signs[] = { [SIGNATURE] = STR_INIT("\"signature\""),
					    [INDEX] = STR_INIT("\"encrypted_index\""),
					    [CARRIER] = STR_INIT("\"" IR_CARRIER_MARK) };
	unsigned found = glance_strings(body, signs, sizeof(signs) / sizeof(*signs));

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

/* Thinking that others made. One that says nothing and proves nothing is no loss. */
static bool is_foreign(const struct patch_options *o, const json *block)
{
	struct str type = json_str(JSON_GET(block, "type"));
	bool redacted = str_eq(type, STR("redacted_thinking"));
	const json *proof;

	if (!redacted && !str_eq(type, STR("thinking")))
		return false;
	proof = redacted ? JSON_GET(block, "data") : JSON_GET(block, "signature");
	if (!proves_nothing(proof))
		return false;
	if (!is_empty(proof) || json_str(JSON_GET(block, "thinking")).len)
		lose(o, STR("reasoning_content"));
	return true;
}

static void put_block(struct jw *w, const struct patch_options *o, const json *block)
{
	struct str type = json_str(JSON_GET(block, "type"));
	struct json_iter it;

	if (is_foreign(o, block))
		return;
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

static int rewrite(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
		   struct buf *out)
{
	const json *root = json_parse(a, peek->body, NULL);
	struct json_iter it = json_iter(root);
	struct jw w = jw_on(out);

	if (!root)
		return RC_NOMEM; /* peek found it valid */
	jw_obj(&w);
	while (json_next(&it)) {
		if (str_eq(it.key, STR("provider")) && o->strip_provider)
			continue;
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
	struct json_edit edits[2];
	struct buf model;
	unsigned n = 0;

	if (!(o->quirks & QUIRK_SEND_REASONING) && holds_foreign_proof(peek->body))
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

/* --- the answer, read along --- */

static void tap_delta(struct relay_tap *t, const json *root)
{
	am_usage_read(JSON_GET(root, "usage"), &t->usage);
	t->finished =
		t->finished || json_str(JSON_GET(JSON_GET(root, "delta"), "stop_reason")).len > 0;
}

static unsigned tap_error(struct relay_tap *t, struct str data)
{
	am_decode_error(t->arena, 0, data, &t->error);
	return TAP_ERROR;
}

/* By the event's name, so that the deltas, which are nearly all of a stream, are never parsed. */
static unsigned tap_named(struct relay_tap *t, struct arena *scratch, struct str name,
			  struct str data)
{
	if (str_eq(name, STR("content_block_delta")) || str_eq(name, STR("content_block_stop")))
		return TAP_MEANINGFUL;
	if (str_eq(name, STR("message_start"))) {
		const json *root = json_parse(scratch, data, NULL);

		am_usage_read(JSON_GET(JSON_GET(root, "message"), "usage"), &t->usage);
		return 0; /* an error may still come instead of an answer */
	}
	if (str_eq(name, STR("message_delta"))) {
		tap_delta(t, json_parse(scratch, data, NULL));
		return TAP_MEANINGFUL;
	}
	if (str_eq(name, STR("message_stop")))
		return TAP_MEANINGFUL | TAP_END;
	if (str_eq(name, STR("error")))
		return tap_error(t, data);
	return 0;
}

unsigned am_tap_event(struct relay_tap *t, struct arena *scratch, const struct frame *ev)
{
	const json *root;

	if (ev->comment || !str_present(ev->data))
		return 0;
	if (ev->name.len && !str_eq(ev->name, STR("message")))
		return tap_named(t, scratch, ev->name, ev->data);
	root = json_parse(scratch, ev->data, NULL); /* servers that leave the name out */
	if (am_error_is(root))
		return tap_error(t, ev->data);
	return tap_named(t, scratch, json_str(JSON_GET(root, "type")), ev->data);
}

/* What is no message: an error that came with a 2xx, a token count, or nothing of this protocol. */
static unsigned tap_odd_body(struct relay_tap *t, struct arena *scratch, struct str body)
{
	const json *root = json_parse(scratch, body, NULL);
	int64_t count;

	if (am_error_is(root))
		return tap_error(t, body);
	return json_i64(JSON_GET(root, "input_tokens"), &count) ? TAP_MEANINGFUL : 0;
}

/* Nearly every body is a message, and its reader is the client: here it is only glanced at. */
unsigned am_tap_body(struct relay_tap *t, struct arena *scratch, struct str body)
{
	enum { CONTENT, USAGE, STOP, ERROR };
	struct glance_member found[] = {
		[CONTENT] = { .quoted = STR("\"content\"") },
		[USAGE] = { .quoted = STR("\"usage\"") },
		[STOP] = { .quoted = STR("\"stop_reason\"") },
		[ERROR] = { .quoted = STR("\"error\"") },
	};
	struct str usage, stop;

	glance_members(body, found, 4);
	usage = found[USAGE].value;
	stop = found[STOP].value;
	if (!glance_is_object(body) || str_present(found[ERROR].value) || usage.len == 0) {
		struct json_want w[] = { { .key = "type" },
					 { .key = "error" },
					 { .key = "content" } };

		if (json_scan(body, w, 3, NULL) != RC_OK)
			return 0;
		if (str_eq(w[0].value, STR("\"error\"")) || w[1].first == '{' ||
		    w[1].first == '"' || w[2].first != '[')
			return tap_odd_body(t, scratch, body);
	}
	if (found[CONTENT].value.len == 0)
		return 0;
	am_usage_glance(usage, &t->usage);
	t->finished = stop.len > 0 && stop.ptr[0] == '"';
	return TAP_MEANINGFUL;
}
