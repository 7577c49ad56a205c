/* protocols/openai_responses/relay.c - bodies that pass as they are, and what is read off the answers on their way.
 *
 * Nearly all events of a stream are told by their name and never parsed. The one that matters, the last, holds the whole answer, in
 * which any text may stand: so it is not searched for its usage but scanned, level by level. */
#include "ir/carrier.h"
#include "protocols/glance.h"
#include "protocols/openai_responses/openai_responses.h"

int rs_peek(struct arena *a, const struct request_line *line, struct str body,
	    struct request_peek *ret, struct err *reterr)
{
	int rc = oc_peek(a, line, body, ret, reterr);

	if (rc)
		return rc;
	/* Chat's own, which mean nothing here or another thing. */
	ret->include_usage = true;
	ret->stream_options_at = ret->max_tokens_at = (struct json_want){ .key = NULL };
	if (line->op == IR_OP_COUNT_TOKENS)
		ret->stream = false;
	return RC_OK;
}

/* Another vendor's proof in the place of encrypted_content: the provider would refuse the whole request for it. */
static bool is_foreign(const json *item)
{
	return str_eq(json_str(json_get(item, STR("type"))), STR("reasoning")) &&
	       ir_carrier_is(json_str(json_get(item, STR("encrypted_content"))));
}

/* The list of items without those; absent when there are none or memory is out. */
static struct str without_foreign(struct arena *a, struct str input)
{
	const json *items = json_parse(a, input, NULL);
	struct json_iter it = json_iter(items);
	struct str text = STR_NONE;
	unsigned dropped = 0;
	struct buf b;
	struct jw w;

	buf_init(&b, RS_TEXT_MAX);
	w = jw_on(&b);
	jw_arr(&w);
	while (json_next(&it)) {
		if (is_foreign(it.val)) {
			dropped++;
			continue;
		}
		jw_raw(&w, STR("")); /* the comma */
		json_write(&b, it.val);
	}
	jw_end_arr(&w);
	if (dropped && buf_ok(&b))
		text = arena_dup(a, buf_str(&b));
	buf_done(&b);
	return text;
}

/* The rest of the body stays as it is, byte for byte. */
int rs_patch(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
	     struct buf *out)
{
	struct json_want input = { .key = "input" };
	struct json_edit edit;
	struct buf patched;
	int rc;

	if (str_find(peek->body, STR("\"lgw1.")) < 0) /* ir/carrier.h */
		return oc_patch(a, peek, o, out);
	buf_init(&patched, RS_TEXT_MAX);
	rc = oc_patch(a, peek, o, &patched);
	if (!rc && json_scan(buf_str(&patched), &input, 1, NULL) == RC_OK && input.first == '[') {
		edit = (struct json_edit){ input.value, without_foreign(a, input.value) };
		if (str_present(edit.with))
			json_patch(out, buf_str(&patched), &edit, 1);
		else
			buf_put(out, buf_str(&patched));
	} else if (!rc) {
		buf_put(out, buf_str(&patched));
	}
	buf_done(&patched);
	return rc ? rc : buf_ok(out) ? RC_OK : RC_NOMEM;
}

/* --- answers --- */

/* What of a resource says how it ended. */
enum { W_STATUS, W_USAGE, W_INCOMPLETE, W_ERROR, W_OUTPUT, W_COUNT };

static bool read_resource(struct str resource, struct json_want w[W_COUNT])
{
	static const char *const keys[W_COUNT] = { "status", "usage", "incomplete_details", "error",
						   "output" };

	for (unsigned i = 0; i < W_COUNT; i++)
		w[i] = (struct json_want){ .key = keys[i] };
	return json_scan(resource, w, W_COUNT, NULL) == RC_OK;
}

static void note_end(struct relay_tap *t, const struct json_want w[W_COUNT])
{
	t->finished = true;
	t->stop = IR_STOP_END;
	if (w[W_USAGE].first == '{')
		rs_usage_glance(w[W_USAGE].value, &t->usage);
	if (str_eq(w[W_STATUS].value, STR("\"incomplete\"")))
		t->stop = str_find(w[W_INCOMPLETE].value, STR("\"content_filter\"")) >= 0
				  ? IR_STOP_REFUSAL
				  : IR_STOP_LENGTH;
	else if (str_find(w[W_OUTPUT].value, STR("\"function_call\"")) >= 0)
		t->stop = IR_STOP_TOOL_CALLS;
}

static unsigned tap_end(struct relay_tap *t, struct str data)
{
	struct json_want response = { .key = "response" }, w[W_COUNT];

	if (json_scan(data, &response, 1, NULL) || response.first != '{' ||
	    !read_resource(response.value, w))
		return 0;
	note_end(t, w);
	t->meaningful = true;
	return TAP_MEANINGFUL;
}

static unsigned tap_failed(struct relay_tap *t, struct arena *scratch, struct str data)
{
	const json *root = json_parse(scratch, data, NULL);

	if (!root)
		return 0;
	rs_usage_read(json_get(json_get(root, STR("response")), STR("usage")), &t->usage);
	rs_error_read(t->arena, root, &t->error);
	return TAP_ERROR;
}

static void keep_opening(struct relay_tap *t, struct str data)
{
	struct json_want response = { .key = "response" };

	if (json_scan(data, &response, 1, NULL) == RC_OK && response.first == '{')
		t->opening = arena_dup(t->arena, response.value);
}

/* Events that only say "it begins". */
static bool is_opening(struct str type)
{
	return str_eq(type, STR("response.created")) || str_eq(type, STR("response.queued")) ||
	       str_eq(type, STR("response.in_progress")) || str_ends(type, STR(".added")) ||
	       str_eq(type, STR("keepalive"));
}

/* Its name, which some servers only say inside. */
static struct str type_of(struct arena *scratch, const struct frame *ev)
{
	struct json_want type = { .key = "type" };

	if (ev->name.len || json_scan(ev->data, &type, 1, NULL))
		return ev->name;
	return json_unquote(scratch, type.value);
}

/* The last event is not yet the end: some send [DONE] behind it (trap 19), which is the client's too.
 *
 * After an `error` event that comes late, response.failed follows and is the client's last word; where it does not, the cut says
 * so. */
unsigned rs_tap_event(struct relay_tap *t, struct arena *scratch, const struct frame *ev)
{
	struct str type;

	if (ev->data.len < 2)
		return 0;
	if (ev->data.len < 16 && str_eq(str_trim(ev->data), STR("[DONE]")))
		return TAP_END;
	type = type_of(scratch, ev);
	t->n_events++;
	if (str_eq(type, STR("response.created")))
		keep_opening(t, ev->data);
	if (str_eq(type, STR("response.completed")) || str_eq(type, STR("response.incomplete")))
		return tap_end(t, ev->data);
	if (str_eq(type, STR("response.failed")))
		return tap_failed(t, scratch, ev->data);
	if (str_eq(type, STR("error")) || !type.len) {
		unsigned flags = tap_failed(t, scratch, ev->data);

		return t->meaningful ? 0 : flags;
	}
	if (is_opening(type))
		return 0;
	t->meaningful = true;
	return TAP_MEANINGFUL;
}

/* An error that came with a 2xx, or no answer of this protocol. */
static unsigned tap_odd_body(struct relay_tap *t, struct arena *scratch, struct str body)
{
	const json *root = json_parse(scratch, body, NULL);

	if (!oc_error_is(root))
		return 0;
	rs_error_read(t->arena, root, &t->error);
	return TAP_ERROR;
}

unsigned rs_tap_body(struct relay_tap *t, struct arena *scratch, struct str body)
{
	struct json_want w[W_COUNT];

	if (!read_resource(body, w))
		return 0;
	if (w[W_OUTPUT].first != '[' || w[W_ERROR].first == '{' || w[W_ERROR].first == '"')
		return tap_odd_body(t, scratch, body);
	note_end(t, w);
	return TAP_MEANINGFUL;
}
