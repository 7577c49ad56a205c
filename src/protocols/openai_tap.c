/* protocols/openai_tap.c - answers of Chat and Completions that pass as they are: what is read off them on their way.
 *
 * The hard thing is the cost: a stream is hundreds of events of which two matter. So once the first event
 * with content has passed, an event is only glanced at for the three members that could make it matter, and parsed
 * when one of them is there. Inside JSON strings quotes are escaped, so `"usage"` in the bytes is the key. */
#include "wire/sse.h"
#include "protocols/glance.h"
#include "protocols/openai.h"

enum { SCRATCH_MAX = 256 << 20 };

static bool says_something(const json *v)
{
	return json_str(v).len > 0 || (json_is_arr(v) && json_len(v) > 0) || json_is_obj(v);
}

/* Content, not just a role or an empty string: opens the commit gate. */
static bool is_meaningful(const json *choice)
{
	static const struct str keys[] = { STR_INIT("content"),           STR_INIT("tool_calls"),
					   STR_INIT("reasoning_content"), STR_INIT("reasoning"),
					   STR_INIT("reasoning_details"), STR_INIT("refusal"),
					   STR_INIT("function_call"),     STR_INIT("audio") };
	const json *delta = json_get(choice, STR("delta"));

	if (!json_is_obj(delta))
		delta = json_get(choice, STR("message"));
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (says_something(json_get(delta, keys[i])))
			return true;
	}
	return json_str(json_get(choice, STR("text"))).len > 0 || /* Completions */
	       json_str(json_get(choice, STR("finish_reason"))).len > 0;
}

static unsigned read_choices(struct relay_tap *t, const json *choices)
{
	struct json_iter it = json_iter(choices);

	while (json_next(&it)) {
		t->meaningful = t->meaningful || is_meaningful(it.val);
		t->finished =
			t->finished || json_str(json_get(it.val, STR("finish_reason"))).len > 0;
	}
	return t->meaningful ? TAP_MEANINGFUL : 0;
}

/* `,"usage":null` where nothing but strings, and the end of the outermost object, follows: as every chunk of OpenAI's has it. Absent
 * when this one is not as plain as that. `value` is where the data's last `usage` has its value. */
static struct str plain_null_usage(struct str data, struct str value)
{
	const struct str plain = STR(",\"usage\":null");
	size_t before = plain.len - strlen("null");
	struct str all = { value.ptr - before, value.len + before }, rest;

	if (!value.len || (size_t)(value.ptr - data.ptr) < before || !str_starts(all, plain))
		return STR_NONE;
	rest = str_trim(str_from_offset(all, plain.len));
	for (size_t i = 0; i + 1 < rest.len; i++) {
		if (rest.ptr[i] == '{' || rest.ptr[i] == '}' || rest.ptr[i] == '\\')
			return STR_NONE;
	}
	return rest.len ? (struct str){ all.ptr, plain.len } : STR_NONE;
}

/* The change that takes the top-level `usage` out; .old absent when there is none. */
static struct json_edit usage_removal(struct str data, struct str value)
{
	struct json_want usage = { .key = "usage" };
	struct str plain = plain_null_usage(data, value);

	if (str_present(plain))
		return (struct json_edit){ plain, STR("") };
	if (json_scan(data, &usage, 1, NULL) || !usage.first)
		return (struct json_edit){ STR_NONE, STR("") };
	return json_edit_remove(data, usage.member);
}

/* Several data lines, joined elsewhere, become one: between JSON's tokens a blank is as good as LF. */
static bool rewrite_joined(struct relay_tap *t, struct str data, struct json_edit edit)
{
	if (!t->scratch.max)
		buf_init(&t->scratch, SCRATCH_MAX);
	buf_reset(&t->scratch);
	sse_put_head(&t->scratch, NULL);
	json_patch(&t->scratch, data, &edit, 1);
	for (size_t i = t->scratch.pos; i < t->scratch.len; i++)
		if (t->scratch.ptr[i] == '\n')
			t->scratch.ptr[i] = ' ';
	sse_put_end(&t->scratch);
	t->edited = buf_str(&t->scratch);
	t->edited_rest = STR("");
	return buf_ok(&t->scratch);
}

/* The event's own bytes without its `usage` member: what stands before it and what stands behind. */
static unsigned strip_usage(struct relay_tap *t, const struct frame *ev, struct str value)
{
	struct json_edit edit = usage_removal(ev->data, value);
	size_t before;

	if (!str_present(edit.old))
		return 0;
	if (ev->data.ptr < ev->raw.ptr || ev->data.ptr >= ev->raw.ptr + ev->raw.len)
		return rewrite_joined(t, ev->data, edit) ? TAP_EDIT : 0;
	before = (size_t)(edit.old.ptr - ev->raw.ptr);
	t->edited = (struct str){ ev->raw.ptr, before };
	t->edited_rest = str_from_offset(ev->raw, before + edit.old.len);
	return TAP_EDIT;
}

static unsigned tap_parsed(struct relay_tap *t, struct arena *scratch, const struct frame *ev)
{
	const json *root = json_parse(scratch, ev->data, NULL);
	const json *usage = json_get(root, STR("usage")), *choices = json_get(root, STR("choices"));
	unsigned flags;

	if (!root)
		return 0;
	if (oc_error_is(root) || str_eq(ev->name, STR("error"))) {
		(void)oc_error_read(t->arena, root, 200, &t->error);
		return TAP_ERROR;
	}
	oc_usage_read(json_is_obj(usage) ? usage
					 : json_get(json_get(root, STR("x_groq")), STR("usage")),
		      &t->usage);
	flags = read_choices(t, choices);
	if (!t->hide_usage || !usage)
		return flags;
	if (json_is_obj(usage) && json_len(choices) == 0)
		return flags | TAP_DROP;
	return flags | strip_usage(t, ev, glance_last(ev->data, STR("\"usage\"")));
}

unsigned oc_tap_event(struct relay_tap *t, struct arena *scratch, const struct frame *ev)
{
	enum { USAGE, FINISH, ERROR };
	struct glance_member found[] = {
		[USAGE] = { .quoted = STR("\"usage\"") },
		[FINISH] = { .quoted = STR("\"finish_reason\"") },
		[ERROR] = { .quoted = STR("\"error\"") },
	};
	struct str data = ev->data;

	if (data.len < 2)
		return 0;
	if (data.len < 16 && str_eq(str_trim(data), STR("[DONE]")))
		return TAP_END;
	if (!t->meaningful)
		return tap_parsed(t, scratch, ev);
	glance_members(data, found, 3);
	if (str_starts(found[USAGE].value, STR("{")) ||
	    (!t->finished && str_starts(found[FINISH].value, STR("\""))) ||
	    str_present(found[ERROR].value) || ev->name.len)
		return tap_parsed(t, scratch, ev);
	if (found[USAGE].value.len && t->hide_usage)
		return TAP_MEANINGFUL | strip_usage(t, ev, found[USAGE].value);
	return TAP_MEANINGFUL;
}

/* What is no answer of this protocol, or an error that came with a 2xx. */
static unsigned tap_odd_body(struct relay_tap *t, struct arena *scratch, struct str body)
{
	const json *root = json_parse(scratch, body, NULL);

	if (!oc_error_is(root))
		return 0;
	(void)oc_error_read(t->arena, root, 200, &t->error);
	return TAP_ERROR;
}

/* Nearly every body is an answer, and its reader is the client: here it is only glanced at. */
unsigned oc_tap_body(struct relay_tap *t, struct arena *scratch, struct str body)
{
	enum { CHOICES, USAGE, FINISH, ERROR };
	struct glance_member found[] = {
		[CHOICES] = { .quoted = STR("\"choices\"") },
		[USAGE] = { .quoted = STR("\"usage\"") },
		[FINISH] = { .quoted = STR("\"finish_reason\"") },
		[ERROR] = { .quoted = STR("\"error\"") },
	};
	struct str choices, reason;

	glance_members(body, found, 4);
	choices = found[CHOICES].value;
	reason = found[FINISH].value;
	if (!glance_is_object(body) || str_present(found[ERROR].value)) {
		struct json_want w[] = { { .key = "choices" }, { .key = "error" } };

		if (json_scan(body, w, 2, NULL))
			return 0;
		if (w[0].first != '[' || w[1].first == '{' || w[1].first == '"')
			return tap_odd_body(t, scratch, body);
	}
	if (choices.len < 2 || choices.ptr[0] != '[' ||
	    str_trim(str_from_offset(choices, 1)).ptr[0] == ']')
		return 0;
	oc_usage_glance(found[USAGE].value, &t->usage);
	t->finished = reason.len > 1 && reason.ptr[0] == '"' && reason.ptr[1] != '"';
	return TAP_MEANINGFUL;
}
