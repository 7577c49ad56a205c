/* protocols/openai_responses/relay.c - bodies that pass as they are, and what is read off the answers on their way.
 *
 * Nearly all events of a stream are told by their name and never parsed. The one that matters, the last, holds the whole answer, and
 * with it schemas of tools and metadata in which any name may stand: where a name stands twice, the text is walked level by level. */
#include "protocols/glance.h"
#include "protocols/openai_responses/openai_responses.h"

int rs_peek(struct arena *a, const struct request_line *line, struct str body,
	    struct request_peek *ret, struct err *reterr)
{
	int rc = oc_peek(a, line, body, ret, reterr);
	unsigned signs;

	if (rc)
		return rc;
	signs = rs_signs(body);
	ret->carriers = signs & RS_SIGN_CARRIER;
	ret->proofs = signs & RS_SIGN_PROOF;
	/* Chat's own, which mean nothing here or another thing. */
	ret->include_usage = true;
	ret->stream_options_at = ret->max_tokens_at = (struct json_want){ .key = NULL };
	if (line->op == IR_OP_COUNT_TOKENS)
		ret->stream = false;
	return RC_OK;
}

/* --- reasoning that the provider would refuse the whole request for --- */

static bool is_reasoning(const json *item)
{
	return str_eq(json_str(JSON_GET(item, "type")), STR("reasoning"));
}

/* Another vendor's, in a carrier or known to be one; or nothing but the id of what another keeps. */
static bool is_foreign(const struct patch_options *o, const json *item)
{
	struct str encrypted = json_str(JSON_GET(item, "encrypted_content"));
	struct str id = json_str(JSON_GET(item, "id"));

	if (ir_carrier_is(encrypted))
		return true;
	if (!o->proofs || !o->proofs->drops(o->proofs, encrypted, id))
		return false;
	o->proofs->dropped(o->proofs, encrypted, id);
	return true;
}

/* What the model said and did. Its id leads a server that keeps the item to the reasoning before it. */
static bool leads_back(const json *item)
{
	struct str type = json_str(JSON_GET(item, "type"));

	return str_eq(type, STR("function_call")) || str_eq(type, STR("custom_tool_call")) ||
	       (str_eq(type, STR("message")) &&
		str_eq(json_str(JSON_GET(item, "role")), STR("assistant")));
}

static void put_without_id(struct jw *w, const json *item)
{
	struct json_iter it = json_iter(item);

	jw_obj(w);
	while (json_next(&it)) {
		if (str_eq(it.key, STR("id")))
			continue;
		jw_key_str(w, it.key);
		jw_raw(w, STR(""));
		json_write(w->out, it.val);
	}
	jw_end_obj(w);
}

/* The list of items without those; absent when there are none or memory is out. */
static struct str without_foreign(struct arena *a, const struct patch_options *o, struct str input)
{
	const json *items = json_parse(a, input, NULL);
	struct json_iter it = json_iter(items);
	struct str text = STR_NONE;
	bool any = false, dropped = false;
	struct buf b;
	struct jw w;

	buf_init(&b, RS_TEXT_MAX);
	w = jw_on(&b);
	jw_arr(&w);
	while (json_next(&it)) {
		bool reasoning = is_reasoning(it.val);

		if (reasoning)
			dropped = is_foreign(o, it.val);
		any = any || dropped;
		if (dropped && reasoning)
			continue;
		if (dropped && leads_back(it.val)) {
			put_without_id(&w, it.val);
		} else {
			jw_raw(&w, STR("")); /* the comma */
			json_write(&b, it.val);
		}
	}
	jw_end_arr(&w);
	if (any && buf_ok(&b))
		text = arena_dup(a, buf_str(&b));
	buf_done(&b);
	if (any && o->losses)
		ir_loss(o->losses, STR("reasoning_content"));
	return text;
}

int rs_patch(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
	     struct buf *out)
{
	bool foreign = peek->carriers ||
		       (peek->proofs && proofs_any_dropped(&rs_proofs, o->proofs, a, peek->body));

	return foreign ? oc_patch_list(a, peek, o, "input", without_foreign, out)
		       : oc_patch(a, peek, o, out);
}

/* --- answers --- */

/* What of a resource says how it ended. */
struct ending {
	struct str usage;   /* from its first byte on; absent */
	bool failed, whole; /* it has an error; an output */
};

/* Level by level. */
static bool walk(struct str resource, struct ending *ret)
{
	enum { USAGE, ERROR, OUTPUT };
	struct json_want w[] = { [USAGE] = { .key = "usage" },
				 [ERROR] = { .key = "error" },
				 [OUTPUT] = { .key = "output" } };

	if (!json_skim(resource, w, 3))
		return false;
	*ret = (struct ending){
		.usage = w[USAGE].value,
		.failed = w[ERROR].first == '{' || w[ERROR].first == '"',
		.whole = w[OUTPUT].first == '[',
	};
	return true;
}

/* The same with less work: names that stand there once are nobody else's, and an error that is null everywhere is none. True: that
 * was enough to tell, which it is but for schemas of tools that use the same names. */
static bool glance(struct str resource, struct ending *ret)
{
	enum { USAGE, ERROR, OUTPUT };
	struct glance_member found[] = { [USAGE] = { .quoted = STR("\"usage\"") },
					 [ERROR] = { .quoted = STR("\"error\"") },
					 [OUTPUT] = { .quoted = STR("\"output\"") } };

	glance_members(resource, found, 3);
	*ret = (struct ending){ .usage = found[USAGE].value, .whole = true };
	return found[USAGE].times == 1 && found[OUTPUT].times == 1 &&
	       str_starts(found[OUTPUT].value, STR("[")) &&
	       (!found[ERROR].times || str_starts(found[ERROR].value, STR("null")));
}

static void note_end(struct relay_tap *t, const struct ending *e)
{
	t->finished = true;
	rs_usage_glance(e->usage, &t->usage);
}

static unsigned tap_end(struct relay_tap *t, struct str data)
{
	struct json_want response = { .key = "response" };
	struct ending e;

	if (!glance_is_object(data))
		return 0;
	if (!glance(data, &e) &&
	    (!json_skim(data, &response, 1) || response.first != '{' || !walk(response.value, &e)))
		return 0;
	note_end(t, &e);
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

	if (json_skim(data, &response, 1) && response.first == '{')
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

	if (ev->name.len || !json_skim(ev->data, &type, 1))
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
	struct ending e;

	if (!glance_is_object(body) || (!glance(body, &e) && !walk(body, &e)))
		return 0;
	if (!e.whole || e.failed)
		return tap_odd_body(t, scratch, body);
	note_end(t, &e);
	return TAP_MEANINGFUL;
}
