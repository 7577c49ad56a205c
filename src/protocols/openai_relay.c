/* protocols/openai_relay.c - requests that pass as they are: what must be known of one, and what may be changed in it.
 *
 * No tree is built: one pass finds the places, and only they are written anew. */
#include "protocols/openai.h"

enum {
	W_MODEL,
	W_STREAM,
	W_STREAM_OPTIONS,
	W_PROVIDER,
	W_MAX_TOKENS,
	W_MAX_COMPLETION,
	W_CHOICE,
	W_FUNCTION,
	W_MESSAGES,
	W_INPUT,
	W_PREVIOUS,
	W_STORE,
	W_BACKGROUND,
	W_CONVERSATION,
	W_COUNT
};

static bool is_there(struct json_want w)
{
	return w.first && w.first != 'n';
}

static bool is_true(struct json_want w)
{
	return w.first == 't';
}

/* Does the client's tool_choice (or function_call of old) force a call? */
static bool forces(struct arena *a, struct json_want choice, struct json_want function_call)
{
	struct json_want inner[] = { { .key = "type" },
				     { .key = "allowed_tools" },
				     { .key = "mode" } };
	struct json_want mode = { .key = "mode" };

	if (function_call.first == '{')
		return true;
	if (choice.first == '"') {
		struct str s = json_unquote(a, choice.value);

		return str_eq(s, STR("required")) || str_eq(s, STR("any"));
	}
	if (choice.first != '{' || json_scan(choice.value, inner, 3, NULL))
		return false;
	if (!str_eq(json_unquote(a, inner[0].value), STR("allowed_tools")))
		return true; /* {"type":"function"|"custom", ...}: named */
	if (inner[1].first == '{' && json_scan(inner[1].value, &mode, 1, NULL) == 0)
		return str_eq(json_unquote(a, mode.value), STR("required"));
	return str_eq(json_unquote(a, inner[2].value), STR("required"));
}

/* Of a body's model and a deployment in the path the latter counts, as at Azure, whose SDK sends both. */
static int peek_model(struct arena *a, const struct request_line *line, struct json_want w,
		      struct request_peek *ret, struct err *reterr)
{
	bool in_path = str_present(line->arg);

	if (!w.first && !in_path)
		return err_param(reterr, RC_INVALID, "model", "you must provide a model parameter");
	if (w.first && w.first != '"')
		return err_param(reterr, RC_INVALID, "model", "model must be a string");
	ret->model = in_path ? line->arg : json_unquote(a, w.value);
	if (!str_present(ret->model))
		return err_set(reterr, RC_NOMEM, "the request needs more memory than it may use");
	if (ret->model.len == 0)
		return err_param(reterr, RC_INVALID, "model", "model must not be empty");
	return RC_OK;
}

int oc_peek(struct arena *a, const struct request_line *line, struct str body,
	    struct request_peek *ret, struct err *reterr)
{
	struct json_want w[W_COUNT] = {
		[W_MODEL] = { .key = "model" },
		[W_STREAM] = { .key = "stream" },
		[W_STREAM_OPTIONS] = { .key = "stream_options" },
		[W_PROVIDER] = { .key = "provider" },
		[W_MAX_TOKENS] = { .key = "max_tokens" },
		[W_MAX_COMPLETION] = { .key = "max_completion_tokens" },
		[W_CHOICE] = { .key = "tool_choice" },
		[W_FUNCTION] = { .key = "function_call" },
		[W_MESSAGES] = { .key = "messages" },
		[W_INPUT] = { .key = "input" },
		[W_PREVIOUS] = { .key = "previous_response_id" },
		[W_STORE] = { .key = "store" },
		[W_BACKGROUND] = { .key = "background" },
		[W_CONVERSATION] = { .key = "conversation" },
	};
	struct json_want usage = { .key = "include_usage" };
	int rc = json_scan(body, w, W_COUNT, reterr);

	if (rc)
		return rc;
	*ret = (struct request_peek){ .body = body };
	rc = peek_model(a, line, w[W_MODEL], ret, reterr);
	if (rc)
		return rc;
	if (w[W_STREAM].first && !strchr("tfn", w[W_STREAM].first))
		return err_param(reterr, RC_INVALID, "stream", "stream must be true or false");
	ret->stream = is_true(w[W_STREAM]) && line->op != IR_OP_EMBED;
	if (w[W_STREAM_OPTIONS].first == '{' &&
	    json_scan(w[W_STREAM_OPTIONS].value, &usage, 1, NULL) == 0)
		ret->include_usage = is_true(usage);
	ret->forces_tool = forces(a, w[W_CHOICE], w[W_FUNCTION]);
	ret->asks_input = is_there(w[W_INPUT]) && !is_there(w[W_MESSAGES]);
	ret->turn_at[PEEK_PREVIOUS] = w[W_PREVIOUS];
	ret->turn_at[PEEK_INPUT] = w[W_INPUT];
	ret->turn_at[PEEK_STORE] = w[W_STORE];
	ret->turn_at[PEEK_BACKGROUND] = w[W_BACKGROUND];
	ret->turn_at[PEEK_CONVERSATION] = w[W_CONVERSATION];
	ret->model_at = w[W_MODEL];
	ret->stream_options_at = w[W_STREAM_OPTIONS];
	/* Only the newer name ever needs a change (patch); beside max_tokens it stays as it is. */
	ret->max_tokens_at = w[W_MAX_TOKENS].first ? w[W_MAX_TOKENS] : w[W_MAX_COMPLETION];
	if (w[W_PROVIDER].first == '"') { /* an object is OpenRouter's own */
		ret->provider_at = w[W_PROVIDER];
		ret->provider_pin = json_unquote(a, w[W_PROVIDER].value);
	}
	return RC_OK;
}

/* A JSON string of `s` in the arena; absent when memory is out. */
static struct str quoted(struct arena *a, struct str s)
{
	struct buf b;
	struct str copy;

	buf_init(&b, OC_TEXT_MAX);
	buf_putc(&b, '"');
	json_escape(&b, s);
	buf_putc(&b, '"');
	copy = buf_ok(&b) ? arena_dup(a, buf_str(&b)) : STR_NONE;
	buf_done(&b);
	return copy;
}

/* Usage is always asked for (trap 10), whatever the client said about it. Returns whether *ret is to be made. */
static bool usage_edit(struct arena *a, const struct request_peek *p, struct json_edit *ret)
{
	struct json_want usage = { .key = "include_usage" };
	const struct json_want *at = &p->stream_options_at;

	if (at->first != '{') {
		if (at->first)
			*ret = (struct json_edit){ at->value, STR("{\"include_usage\":true}") };
		else
			*ret = json_edit_add(a, p->body,
					     STR("\"stream_options\":{\"include_usage\":true}"));
		return true;
	}
	if (json_scan(at->value, &usage, 1, NULL) || is_true(usage))
		return false;
	if (usage.first)
		*ret = (struct json_edit){ usage.value, STR("true") };
	else
		*ret = json_edit_add(a, at->value, STR("\"include_usage\":true"));
	return true;
}

/* The body names that model already. */
static bool says_model(struct arena *a, const struct request_peek *p, struct str model)
{
	return p->model_at.first && str_eq(json_unquote(a, p->model_at.value), model);
}

static struct json_edit model_edit(struct arena *a, const struct request_peek *p, struct str model)
{
	struct str name = quoted(a, model), member;

	if (p->model_at.first)
		return (struct json_edit){ p->model_at.value, name };
	member = str_present(name) ? arena_printf(a, "\"model\":%.*s", STR_ARG(name)) : STR_NONE;
	return str_present(member) ? json_edit_add(a, p->body, member)
				   : (struct json_edit){ STR_NONE, STR_NONE };
}

int oc_patch(struct arena *a, const struct request_peek *p, const struct patch_options *o,
	     struct buf *out)
{
	const struct str newer = STR("\"max_completion_tokens\"");
	struct json_edit edits[4];
	unsigned n = 0;

	if (str_present(o->model) && !says_model(a, p, o->model)) {
		edits[n++] = model_edit(a, p, o->model);
		if (!str_present(edits[0].with))
			return RC_NOMEM;
	}
	if (o->strip_provider && str_present(p->provider_pin))
		edits[n++] = json_edit_remove(p->body, p->provider_at.member);
	if ((o->quirks & QUIRK_MAX_TOKENS) && str_starts(p->max_tokens_at.member, newer))
		edits[n++] = (struct json_edit){ { p->max_tokens_at.member.ptr, newer.len },
						 STR("\"max_tokens\"") };
	if (o->quirks & QUIRK_NO_STREAM_OPTIONS) {
		if (p->stream_options_at.first)
			edits[n++] = json_edit_remove(p->body, p->stream_options_at.member);
	} else if (p->stream && o->ask_usage && usage_edit(a, p, &edits[n])) {
		if (!str_present(edits[n].with))
			return RC_NOMEM;
		n++;
	}
	json_patch(out, p->body, edits, n);
	return buf_ok(out) ? RC_OK : RC_NOMEM;
}

int oc_patch_list(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
		  const char *key, oc_cut_fn *cut, struct buf *out)
{
	struct json_want list = { .key = key };
	struct json_edit edit = { STR_NONE, STR_NONE };
	struct buf patched;
	int rc;

	buf_init(&patched, OC_TEXT_MAX);
	rc = oc_patch(a, peek, o, &patched);
	if (!rc && json_scan(buf_str(&patched), &list, 1, NULL) == RC_OK && list.first == '[')
		edit = (struct json_edit){ list.value, cut(a, o, list.value) };
	if (!rc)
		json_patch(out, buf_str(&patched), &edit, str_present(edit.with) ? 1 : 0);
	buf_done(&patched);
	return rc ? rc : buf_ok(out) ? RC_OK : RC_NOMEM;
}
