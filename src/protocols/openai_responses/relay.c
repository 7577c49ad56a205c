/* protocols/openai_responses/relay.c - bodies that pass as they are, and what is read off the answers on their way.
 *
 * Nearly all events of a stream are told by their name and never parsed. The one that matters, the last, holds the whole answer, in
 * which any text may stand: so it is not searched for its usage but scanned, level by level. */
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

int rs_patch(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
	     struct buf *out)
{
	return oc_patch(a, peek, o, out);
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
