/* ir/request.c - the canonical request's small questions and the list of losses. */
#include "ir/request.h"

#include "ir/forced_tool.h"

void ir_request_init(struct ir_request *r)
{
	*r = (struct ir_request){
		.max_tokens = IR_UNSET,
		.top_k = IR_UNSET,
		.seed = IR_UNSET,
		.n = IR_UNSET,
		.max_tool_calls = IR_UNSET,
		.top_logprobs = IR_UNSET,
		.reasoning.budget = IR_UNSET,
	};
}

static unsigned parts_needs(const struct ir_part *parts, unsigned n)
{
	unsigned needs = 0;

	for (unsigned i = 0; i < n; i++) {
		switch (parts[i].kind) {
		case IR_PART_IMAGE:
			needs |= IR_NEED_VISION;
			break;
		case IR_PART_FILE:
			/* A text document is text to any model. */
			if (parts[i].media.source != IR_MEDIA_TEXT)
				needs |= IR_NEED_FILES;
			break;
		case IR_PART_AUDIO:
			needs |= IR_NEED_AUDIO;
			break;
		case IR_PART_TOOL_RESULT: /* holds no further results, so this ends */
			needs |= parts_needs(parts[i].content, parts[i].n_content);
			break;
		case IR_PART_TEXT:
		case IR_PART_TOOL_CALL:
		case IR_PART_REASONING:
		case IR_PART_REFUSAL:
		case IR_PART_OPAQUE:
			break;
		}
	}
	return needs;
}

bool ir_asks_reasoning(const struct ir_request *r)
{
	const struct ir_reasoning *t = &r->reasoning;

	return (t->effort != IR_EFFORT_UNSET && t->effort != IR_EFFORT_NONE) ||
	       t->thinking > IR_THINKING_DISABLED || t->budget != IR_UNSET;
}

void ir_request_needs(struct ir_request *r)
{
	unsigned needs = 0;

	if (r->stream)
		needs |= IR_NEED_STREAM;
	if (r->n_tools)
		needs |= IR_NEED_TOOLS;
	if (ir_forces_tool(r))
		needs |= IR_NEED_FORCED_TOOL;
	if (r->format.kind == IR_FORMAT_JSON_SCHEMA)
		needs |= IR_NEED_SCHEMA;
	if (ir_asks_reasoning(r))
		needs |= IR_NEED_REASONING;
	if (r->suffix.len)
		needs |= IR_NEED_GAP;
	for (unsigned i = 0; i < r->n_messages; i++)
		needs |= parts_needs(r->messages[i].parts, r->messages[i].n_parts);
	r->needs = needs;
}

void ir_request_prompt(const struct ir_request *r, unsigned i, struct ir_request *ret)
{
	*ret = *r;
	ret->messages = &r->prompts[i];
	ret->n_messages = 1;
	ret->prompts = NULL;
	ret->n_prompts = 0;
}

int64_t ir_request_answers(const struct ir_request *r)
{
	return r->n > 1 ? r->n : 1;
}

const struct ir_tool *ir_request_tool(const struct ir_request *r, struct str name)
{
	for (unsigned i = 0; i < r->n_tools; i++) {
		if (str_present(r->tools[i].name) && str_eq(r->tools[i].name, name))
			return &r->tools[i];
	}
	return NULL;
}

struct str ir_request_call_name(const struct ir_request *r, struct str call_id)
{
	/* Backwards: where a client reuses an id, the nearest call before the result is meant. */
	for (unsigned i = r->n_messages; i-- > 0;) {
		const struct ir_message *m = &r->messages[i];

		for (unsigned k = m->n_parts; k-- > 0;) {
			if (m->parts[k].kind == IR_PART_TOOL_CALL &&
			    str_eq(m->parts[k].id, call_id))
				return m->parts[k].name;
		}
	}
	return STR_NONE;
}

struct str ir_parts_text(struct arena *a, const struct ir_part *parts, unsigned n, struct str sep)
{
	const struct ir_part *only = NULL;
	size_t len = 0;
	unsigned texts = 0;
	char *to, *at;

	for (unsigned i = 0; i < n; i++) {
		if (parts[i].kind != IR_PART_TEXT || parts[i].text.len == 0)
			continue;
		len += parts[i].text.len + (texts++ ? sep.len : 0);
		only = &parts[i];
	}
	if (texts == 0)
		return STR("");
	if (texts == 1)
		return only->text;
	at = to = arena_alloc_raw(a, len + 1);
	if (!to)
		return STR_NONE;
	for (unsigned i = 0; i < n; i++) {
		if (parts[i].kind != IR_PART_TEXT || parts[i].text.len == 0)
			continue;
		if (at != to && sep.len) {
			memcpy(at, sep.ptr, sep.len);
			at += sep.len;
		}
		memcpy(at, parts[i].text.ptr, parts[i].text.len);
		at += parts[i].text.len;
	}
	return (struct str){ to, len };
}

bool ir_part_is_item(const struct ir_part *p)
{
	return p->kind == IR_PART_OPAQUE && str_present(p->name);
}

bool ir_message_is_items(const struct ir_message *m)
{
	for (unsigned i = 0; i < m->n_parts; i++) {
		if (!ir_part_is_item(&m->parts[i]))
			return false;
	}
	return m->n_parts > 0;
}

/* --- effort --- */

static const char *const efforts[] = {
	[IR_EFFORT_UNSET] = NULL,    [IR_EFFORT_NONE] = "none",     [IR_EFFORT_MINIMAL] = "minimal",
	[IR_EFFORT_LOW] = "low",     [IR_EFFORT_MEDIUM] = "medium", [IR_EFFORT_HIGH] = "high",
	[IR_EFFORT_XHIGH] = "xhigh", [IR_EFFORT_MAX] = "max",
};

bool ir_same_model(struct str a, struct str b)
{
	const struct str latest = STR(":latest");

	if (str_ends(a, latest))
		a.len -= latest.len;
	if (str_ends(b, latest))
		b.len -= latest.len;
	return str_eq(a, b);
}

const char *ir_effort_name(enum ir_effort e)
{
	return efforts[e];
}

enum ir_effort ir_effort_parse(struct str s)
{
	for (unsigned e = IR_EFFORT_NONE; e <= IR_EFFORT_MAX; e++) {
		if (str_eq(s, str_from(efforts[e])))
			return (enum ir_effort)e;
	}
	return IR_EFFORT_UNSET;
}
