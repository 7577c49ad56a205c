/* protocols/openai_responses/relay.c - bodies that pass as they are, and what is read off the answers on their way.
 *
 * Nearly all events of a stream are told by their name and never parsed. The one that matters, the last, holds the whole answer, and
 * with it schemas of tools and metadata in which any name may stand: where a name stands twice, the text is walked level by level. */
#include "ir/carrier.h"
#include "protocols/glance.h"
#include "protocols/openai_responses/openai_responses.h"

int rs_peek(struct arena *a, const struct request_line *line, struct str body,
	    struct request_peek *ret, struct err *reterr)
{
	const struct str mark = STR("\"" IR_CARRIER_MARK);
	int rc = oc_peek(a, line, body, ret, reterr);

	if (rc)
		return rc;
	ret->carriers = glance_strings(body, &mark, 1);
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
static struct str without_foreign(struct arena *a, const struct patch_options *o, struct str input)
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
	if (dropped && o->losses)
		ir_loss(o->losses, STR("reasoning_content"));
	return text;
}

int rs_patch(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
	     struct buf *out)
{
	return peek->carriers ? oc_patch_list(a, peek, o, "input", without_foreign, out)
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
