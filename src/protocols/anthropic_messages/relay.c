/* protocols/anthropic_messages/relay.c - bodies and streams that pass as they are: what must be known of a request, and what is read
 * off an answer on its way.
 */
#include "protocols/anthropic_messages/anthropic_messages.h"

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
