/* protocols/ollama/request_messages.c - Ollama's messages as the canonical conversation.
 *
 * The hard thing is which call a result answers: Ollama's calls had no ids for long, and many clients know none. So
 * each call gets an id by its place in the conversation, which stays the same from turn to turn (trap 62), and a result
 * belongs to the call it names by id, else to the first unanswered one of its name, else to the first unanswered one. */
#include "protocols/ollama/ollama.h"

#include <stdio.h>

#include "base/base64.h"
#include "protocols/media.h"

/* Looks at calls that results may cost, over the whole request: a million results get no calls, and no minutes of ours. */
enum { MATCH_BUDGET = 1000000 };

struct reading {
	const struct ol_reader *r;
	struct ir_request *q;
	struct ir_part *calls; /* of the last assistant message; its parts */
	unsigned n_calls;
	bool *answered;     /* one per part there */
	bool after_results; /* the last message holds tool results, and more may follow */
	unsigned cap_results;
	unsigned index;
	unsigned budget;
};

/* RC_INVALID: "messages[3].content must be ...". */
static int refuse(struct reading *s, const char *member, const char *expected, const json *got)
{
	char at[64];

	(void)snprintf(at, sizeof(at), "messages[%u]%s%s", s->index, *member ? "." : "", member);
	return ol_refuse_type(s->r, at, expected, got);
}

/* Absent and null leave *ret as it is. */
static int read_string(struct reading *s, const json *m, const char *member, struct str *ret)
{
	const json *v = json_get_set(m, str_from(member));

	if (v && !json_is_str(v))
		return refuse(s, member, "a string", v);
	if (v)
		*ret = json_str(v);
	return RC_OK;
}

/* --- content --- */

int ol_read_images(const struct ol_reader *r, const json *images, const char *at,
		   struct ir_part *parts, unsigned *n)
{
	struct json_iter it = json_iter(images);

	if (!images)
		return RC_OK;
	if (!json_is_arr(images))
		return ol_refuse_type(r, at, "a list of base64 strings", images);
	while (json_next(&it)) {
		struct str data = json_str(it.val);

		if (!base64_valid(data) || data.len == 0)
			return err_param(r->reterr, RC_INVALID, at,
					 "%s must be base64 without a data: prefix", at);
		parts[(*n)++] = (struct ir_part){ .kind = IR_PART_IMAGE,
						  .media = { .source = IR_MEDIA_BASE64,
							     .mime = media_sniff(r->arena, data),
							     .data = data } };
	}
	return RC_OK;
}

/* Text and pictures of a message into `parts`, which has room for them. */
static int read_content(struct reading *s, const json *m, struct ir_part *parts, unsigned *n)
{
	const json *images = JSON_GET(m, "images");
	struct str text = STR("");
	char at[64];
	int rc = read_string(s, m, "content", &text);

	if (rc)
		return rc;
	if (text.len)
		parts[(*n)++] = (struct ir_part){ .kind = IR_PART_TEXT, .text = text };
	if (!images)
		return RC_OK;
	(void)snprintf(at, sizeof(at), "messages[%u].images", s->index);
	return ol_read_images(s->r, images, at, parts, n);
}

/* Thoughts, a text, pictures, and calls, each of which may bring its proof. */
static struct ir_part *room_for(struct reading *s, const json *m)
{
	size_t n = 2 + json_len(json_get(m, STR("images"))) +
		   2 * json_len(json_get(m, STR("tool_calls")));

	return arena_array(s->r->arena, n, sizeof(struct ir_part));
}

static int add_plain(struct reading *s, enum ir_role role, const json *m)
{
	struct ir_part *parts = room_for(s, m);
	unsigned n = 0;
	int rc = parts ? read_content(s, m, parts, &n) : ol_nomem(s->r);

	s->after_results = false;
	s->q->messages[s->q->n_messages++] =
		(struct ir_message){ .role = role, .parts = parts, .n_parts = n };
	return rc;
}

/* --- calls --- */

/* An object; some clients send its text. Trap 59: nothing is {}, what is no object is the client's mistake. */
static int read_arguments(struct reading *s, const json *v, struct str *ret)
{
	struct str text = str_trim(json_str(v));
	const json *parsed = v;

	*ret = STR("{}");
	if (!v || json_is_null(v) || (json_is_str(v) && text.len == 0))
		return RC_OK;
	if (json_is_str(v))
		parsed = json_parse(s->r->arena, text, NULL);
	if (!json_is_obj(parsed))
		return refuse(s, "tool_calls.function.arguments", "an object", v);
	*ret = json_text(s->r->arena, parsed); /* trap 60: numbers stay as they are */
	return ret->ptr ? RC_OK : ol_nomem(s->r);
}

static int read_call(struct reading *s, const json *v, unsigned number, struct ir_part *ret)
{
	const json *f = json_get(v, STR("function"));
	struct str id = json_str(json_get(v, STR("id")));

	*ret = (struct ir_part){ .kind = IR_PART_TOOL_CALL, .arguments = STR("{}") };
	ret->name = json_str(json_get(f, STR("name")));
	if (ret->name.len == 0)
		return refuse(s, "tool_calls.function.name", "a name", json_get(f, STR("name")));
	ret->id = id.len ? id : arena_printf(s->r->arena, "call_%u_%u", s->index, number);
	if (!ret->id.ptr)
		return ol_nomem(s->r);
	return read_arguments(s, json_get(f, STR("arguments")), &ret->arguments);
}

/* Thoughts, and the proof of them or of the words behind them. */
static int read_thinking(struct reading *s, const json *m, struct ir_part *parts, unsigned *n)
{
	struct ir_part p = { .kind = IR_PART_REASONING, .text = STR("") };
	int rc = read_string(s, m, "thinking", &p.text);
	bool proven = ol_proof_unpack(s->r->arena, json_str(json_get(m, STR("signature"))), &p);

	if (!rc && (p.text.len || proven))
		parts[(*n)++] = p;
	return rc;
}

/* A call, behind the proof of it where there is one. */
static int read_calls(struct reading *s, const json *calls, struct ir_part *parts, unsigned *n)
{
	struct json_iter it = json_iter(calls);
	unsigned number = 0;
	int rc = RC_OK;

	while (!rc && json_next(&it)) {
		struct ir_part p = { .kind = IR_PART_REASONING, .text = STR("") };

		if (ol_proof_unpack(s->r->arena, json_str(json_get(it.val, STR("signature"))), &p))
			parts[(*n)++] = p;
		rc = read_call(s, it.val, number++, &parts[(*n)++]);
	}
	return rc;
}

static int add_assistant(struct reading *s, const json *m)
{
	const json *calls = JSON_GET(m, "tool_calls");
	struct ir_part *parts = room_for(s, m);
	unsigned n = 0;
	int rc = parts ? read_thinking(s, m, parts, &n) : ol_nomem(s->r);

	if (!rc)
		rc = read_content(s, m, parts, &n);
	if (!rc && calls && !json_is_arr(calls))
		rc = refuse(s, "tool_calls", "a list", calls);
	if (!rc)
		rc = read_calls(s, calls, parts, &n);
	if (rc)
		return rc;
	s->q->messages[s->q->n_messages++] =
		(struct ir_message){ .role = IR_ROLE_ASSISTANT, .parts = parts, .n_parts = n };
	s->after_results = false;
	s->calls = parts;
	s->n_calls = n;
	s->answered = arena_array(s->r->arena, n + 1, sizeof(*s->answered));
	return s->answered ? RC_OK : ol_nomem(s->r);
}

/* --- results --- */

enum match { BY_ID, BY_NAME, BY_ORDER, N_MATCHES };

static bool matches(const struct ir_part *call, enum match how, struct str id, struct str name)
{
	switch (how) {
	case BY_ID:
		return id.len && str_eq(call->id, id);
	case BY_NAME:
		return name.len && str_eq(call->name, name);
	case BY_ORDER:
	case N_MATCHES:
		break;
	}
	return !name.len && !id.len;
}

/* The part of the call that a result answers; NULL when there is none. */
static const struct ir_part *find_call(struct reading *s, struct str id, struct str name)
{
	for (int how = BY_ID; how < N_MATCHES; how++) {
		for (unsigned i = 0; i < s->n_calls && s->budget; i++, s->budget--) {
			if (s->calls[i].kind != IR_PART_TOOL_CALL || s->answered[i] ||
			    !matches(&s->calls[i], (enum match)how, id, name))
				continue;
			s->answered[i] = true;
			return &s->calls[i];
		}
	}
	return NULL;
}

static struct ir_part *add_result(struct reading *s)
{
	struct ir_message *m;

	if (!s->after_results) {
		s->q->messages[s->q->n_messages++] = (struct ir_message){ .role = IR_ROLE_USER };
		s->after_results = true;
		s->cap_results = 0;
	}
	m = &s->q->messages[s->q->n_messages - 1];
	if (m->n_parts == s->cap_results) {
		unsigned cap = s->cap_results ? s->cap_results * 2 : 4;
		struct ir_part *parts =
			arena_grow(s->r->arena, m->parts, s->cap_results * sizeof(*parts),
				   cap * sizeof(*parts));

		if (!parts)
			return NULL;
		m->parts = parts;
		s->cap_results = cap;
	}
	return &m->parts[m->n_parts++];
}

static int add_tool(struct reading *s, const json *m)
{
	struct str id = json_str(json_get(m, STR("tool_call_id")));
	struct str name = json_str(json_get(m, STR("tool_name")));
	struct ir_part *content = room_for(s, m), *p;
	const struct ir_part *call;
	unsigned n = 0;
	int rc = content ? read_content(s, m, content, &n) : ol_nomem(s->r);

	if (rc)
		return rc;
	if (name.len == 0) /* some clients' word for it */
		name = json_str(json_get(m, STR("name")));
	call = find_call(s, id, name);
	if (call) {
		id = call->id;
		name = call->name;
	} else if (id.len == 0) {
		id = arena_printf(s->r->arena, "call_%u_0", s->index);
	}
	p = add_result(s);
	if (!p || !id.ptr)
		return ol_nomem(s->r);
	*p = (struct ir_part){ .kind = IR_PART_TOOL_RESULT,
			       .id = id,
			       .name = name.len ? name : STR_NONE,
			       .content = content,
			       .n_content = n };
	return RC_OK;
}

/* --- messages --- */

static int read_message(struct reading *s, const json *m)
{
	const json *v = json_get(m, STR("role"));
	struct str role = json_str(v);

	if (!json_is_obj(m))
		return refuse(s, "", "an object", m);
	if (str_eq(role, STR("user")))
		return add_plain(s, IR_ROLE_USER, m);
	if (str_eq(role, STR("assistant")))
		return add_assistant(s, m);
	if (str_eq(role, STR("system")))
		return add_plain(s, IR_ROLE_SYSTEM, m);
	if (str_eq(role, STR("tool")))
		return add_tool(s, m);
	if (str_eq(role, STR("developer")))
		return add_plain(s, IR_ROLE_DEVELOPER, m);
	return refuse(s, "role", "\"system\", \"user\", \"assistant\" or \"tool\"", v);
}

int ol_read_messages(const struct ol_reader *r, const json *messages, struct ir_request *q)
{
	struct reading s = { .r = r, .q = q, .budget = MATCH_BUDGET };
	struct json_iter it = json_iter(messages);
	int rc = RC_OK;

	if (!json_is_arr(messages))
		return ol_refuse_type(r, "messages", "a list of messages", messages);
	if (json_len(messages) == 0)
		return err_param(r->reterr, RC_INVALID, "messages",
				 "messages must hold at least one message");
	q->messages = arena_array(r->arena, json_len(messages), sizeof(*q->messages));
	if (!q->messages)
		return ol_nomem(r);
	for (; !rc && json_next(&it); s.index++)
		rc = read_message(&s, it.val);
	return rc;
}
