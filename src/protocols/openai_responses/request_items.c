/* protocols/openai_responses/request_items.c - the conversation of a Responses body.
 *
 * The hard thing is that here a turn is a run of items: reasoning, a message, calls, the provider's own tools, each for
 * itself. Those of the model that follow each other become one assistant message, results that follow each other one
 * user message, which a user's message behind them joins (trap 39). An item or part that we do not know stays whole as an
 * OPAQUE part. */
#include "protocols/media.h"
#include "protocols/openai_responses/openai_responses.h"
#include "protocols/shape.h"

enum { MAX_TOOL_PAIRS = 1000000 };

/* Where the conversation stands while it is read. */
struct reading {
	const struct oc_reader *r;
	struct ir_request *q;
	struct oc_parts parts; /* of the last message in q */
	bool after_results;    /* that message ends in results: what follows may join it */
};

/* --- content --- */

static int read_opaque(const struct oc_reader *r, const json *v, struct ir_part *p)
{
	p->kind = IR_PART_OPAQUE;
	p->origin = RS_NAME;
	p->raw = json_text(r->arena, v);
	return p->raw.ptr ? RC_OK : oc_nomem(r);
}

static int read_image(const struct oc_reader *r, const json *v, const struct oc_path *at,
		      struct ir_part *p)
{
	const json *image = JSON_GET(v, "image_url");
	struct str url = json_str(json_is_obj(image) ? json_get(image, STR("url")) : image);
	struct str id = json_str(json_get(v, STR("file_id")));
	struct oc_path here = oc_path_member(at, "image_url");

	p->media.detail = json_str(json_get(v, STR("detail")));
	if (id.len) {
		p->media.source = IR_MEDIA_FILE_ID;
		p->media.data = id;
		return RC_OK;
	}
	if (!url.len)
		return oc_refuse_type(r, &here, "a string", image);
	media_read_url(url, &p->media);
	return RC_OK;
}

static int read_file(const struct oc_reader *r, const json *v, const struct oc_path *at,
		     struct ir_part *p)
{
	struct str data = json_str(json_get(v, STR("file_data"))),
		   url = json_str(json_get(v, STR("file_url"))),
		   id = json_str(json_get(v, STR("file_id")));

	p->media.name = json_str(json_get(v, STR("filename")));
	p->media.detail = json_str(json_get(v, STR("detail")));
	if (id.len) {
		p->media.source = IR_MEDIA_FILE_ID;
		p->media.data = id;
		return RC_OK;
	}
	if (url.len) {
		p->media.source = IR_MEDIA_URL;
		p->media.data = url;
		return RC_OK;
	}
	if (!data.len)
		return oc_refuse(r, at, "it needs file_data, file_url or file_id.");
	media_read_url(data, &p->media);
	if (p->media.source == IR_MEDIA_URL) /* the bare base64 */
		p->media.source = IR_MEDIA_BASE64;
	return RC_OK;
}

static int read_audio(const struct oc_reader *r, const json *v, const struct oc_path *at,
		      struct ir_part *p)
{
	const json *audio = json_get(v, STR("input_audio"));
	struct oc_path here = oc_path_member(at, "input_audio");

	p->media.source = IR_MEDIA_BASE64;
	p->media.data = json_str(json_get(audio, STR("data")));
	p->media.detail = json_str(json_get(audio, STR("format")));
	if (!p->media.data.len)
		return oc_refuse_type(r, &here, "an object with data", audio);
	if (p->media.detail.len)
		p->media.mime = arena_printf(r->arena, "audio/%.*s", STR_ARG(p->media.detail));
	return p->media.detail.len && !p->media.mime.ptr ? oc_nomem(r) : RC_OK;
}

static int read_text(const struct oc_reader *r, const json *v, const char *member,
		     const struct oc_path *at, struct ir_part *p)
{
	const json *text = json_get(v, str_from(member)), *notes = JSON_GET(v, "annotations");
	struct oc_path here = oc_path_member(at, member);

	p->text = json_str(text);
	if (!json_is_str(text))
		return oc_refuse_type(r, &here, "a string", text);
	if (json_len(notes)) {
		p->citations = json_text(r->arena, notes);
		if (!p->citations.ptr)
			return oc_nomem(r);
	}
	return RC_OK;
}

static const struct {
	struct str type;
	enum ir_part_kind kind;
} part_types[] = {
	{ STR_INIT("input_text"), IR_PART_TEXT }, { STR_INIT("output_text"), IR_PART_TEXT },
	{ STR_INIT("text"), IR_PART_TEXT },       { STR_INIT("summary_text"), IR_PART_TEXT },
	{ STR_INIT("refusal"), IR_PART_REFUSAL }, { STR_INIT("input_image"), IR_PART_IMAGE },
	{ STR_INIT("input_file"), IR_PART_FILE }, { STR_INIT("input_audio"), IR_PART_AUDIO },
};

static enum ir_part_kind part_kind(struct str type)
{
	for (size_t i = 0; i < sizeof(part_types) / sizeof(*part_types); i++) {
		if (str_eq(type, part_types[i].type))
			return part_types[i].kind;
	}
	return IR_PART_OPAQUE;
}

static int read_part(const struct oc_reader *r, const json *v, const struct oc_path *at,
		     struct oc_parts *out)
{
	const json *type = json_get(v, STR("type"));
	struct oc_path here = oc_path_member(at, "type");
	enum ir_part_kind kind = part_kind(json_str(type));
	struct ir_part *p;

	if (!json_is_obj(v))
		return oc_refuse_type(r, at, "an object", v);
	if (!json_is_str(type))
		return oc_refuse_type(r, &here, "a string", type);
	p = oc_add_part(out, kind);
	p->cache = oc_read_cache(v);
	switch (kind) {
	case IR_PART_TEXT:
		return read_text(r, v, "text", at, p);
	case IR_PART_REFUSAL:
		return read_text(r, v, "refusal", at, p);
	case IR_PART_IMAGE:
		return read_image(r, v, at, p);
	case IR_PART_FILE:
		return read_file(r, v, at, p);
	case IR_PART_AUDIO:
		return read_audio(r, v, at, p);
	case IR_PART_OPAQUE:
	case IR_PART_REASONING:
	case IR_PART_TOOL_CALL:
	case IR_PART_TOOL_RESULT:
		break;
	}
	return read_opaque(r, v, p);
}

/* Trap 64: a string, or a list of parts. */
static int read_content(const struct oc_reader *r, const json *v, const struct oc_path *at,
			struct oc_parts *out)
{
	struct json_iter it = json_iter(v);
	int rc = RC_OK;

	if (json_is_str(v)) {
		oc_add_part(out, IR_PART_TEXT)->text = json_str(v);
		return RC_OK;
	}
	if (!json_is_arr(v))
		return oc_refuse_type(r, at, "a string or an array of parts", v);
	for (unsigned i = 0; !rc && json_next(&it); i++) {
		struct oc_path p = oc_path_index(at, i);

		rc = read_part(r, it.val, &p, out);
	}
	return rc;
}

/* --- turns --- */

static struct ir_message *last_message(struct reading *s)
{
	return s->q->n_messages ? &s->q->messages[s->q->n_messages - 1] : NULL;
}

static void keep(struct reading *s)
{
	struct ir_message *m = last_message(s);

	if (!m)
		return;
	m->parts = s->parts.items;
	m->n_parts = s->parts.n;
}

static void begin(struct reading *s, enum ir_role role)
{
	keep(s);
	s->q->messages[s->q->n_messages++] = (struct ir_message){ .role = role };
	s->parts = (struct oc_parts){ .arena = s->r->arena };
	s->after_results = false;
}

static bool in_assistant(struct reading *s)
{
	return last_message(s) && last_message(s)->role == IR_ROLE_ASSISTANT;
}

/* What the model said goes on, or begins. */
static void go_on_as_assistant(struct reading *s)
{
	if (!in_assistant(s))
		begin(s, IR_ROLE_ASSISTANT);
}

static void go_on_with_results(struct reading *s)
{
	if (!s->after_results)
		begin(s, IR_ROLE_USER);
	s->after_results = true;
}

static unsigned count_kind(const struct oc_parts *l, enum ir_part_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->n; i++)
		n += l->items[i].kind == kind;
	return n;
}

/* A second message of the model is a message of its own, and the reasoning that led to it goes along; but nothing may come between
 * a call and its result. */
static int begin_assistant_message(struct reading *s)
{
	struct oc_parts before = s->parts;
	unsigned from = before.n;

	if (!in_assistant(s) || !count_kind(&before, IR_PART_TEXT) ||
	    count_kind(&before, IR_PART_TOOL_CALL)) {
		go_on_as_assistant(s);
		return RC_OK;
	}
	while (from > 0 && before.items[from - 1].kind == IR_PART_REASONING)
		from--;
	s->parts.n = from;
	begin(s, IR_ROLE_ASSISTANT);
	for (; from < before.n; from++)
		*oc_add_part(&s->parts, IR_PART_REASONING) = before.items[from];
	return before.failed ? oc_nomem(s->r) : RC_OK;
}

/* --- items --- */

static int read_message(struct reading *s, const json *v, const struct oc_path *at)
{
	const json *role = json_get(v, STR("role"));
	struct str name = json_str(role);
	struct oc_path here = oc_path_member(at, "role");
	int rc = RC_OK;

	if (str_eq(name, STR("assistant"))) {
		rc = begin_assistant_message(s);
	} else if (str_eq(name, STR("user"))) {
		if (!s->after_results)
			begin(s, IR_ROLE_USER);
		s->after_results = false;
	} else if (str_eq(name, STR("system")) || str_eq(name, STR("developer"))) {
		begin(s, name.ptr[0] == 's' ? IR_ROLE_SYSTEM : IR_ROLE_DEVELOPER);
	} else if (!json_is_str(role)) {
		return oc_refuse_type(s->r, &here, "a string", role);
	} else {
		return oc_refuse(
			s->r, &here,
			"supported values are 'assistant', 'system', 'developer' and 'user'.");
	}
	here = oc_path_member(at, "content");
	return rc ? rc : read_content(s->r, json_get(v, STR("content")), &here, &s->parts);
}

static int need_string(const struct oc_reader *r, const json *v, const char *member,
		       const struct oc_path *at, struct str *ret)
{
	const json *value = json_get(v, str_from(member));
	struct oc_path here = oc_path_member(at, member);

	*ret = json_str(value);
	return ret->len ? RC_OK : oc_refuse_type(r, &here, "a string", value);
}

/* A call's name, with its namespace where it has one. */
static int need_name(const struct oc_reader *r, const json *v, const struct oc_path *at,
		     struct str *ret)
{
	int rc = need_string(r, v, "name", at, ret);

	if (rc)
		return rc;
	*ret = rs_joined_name(r->arena, v, *ret);
	return ret->ptr ? RC_OK : oc_nomem(r);
}

/* Trap 63: of the two ids a call has, the result refers to call_id. */
static int read_call(struct reading *s, const json *v, const struct oc_path *at)
{
	struct ir_part *p;
	int rc;

	go_on_as_assistant(s);
	p = oc_add_part(&s->parts, IR_PART_TOOL_CALL);
	p->arguments = STR("{}");
	rc = need_string(s->r, v, "call_id", at, &p->id);
	if (!rc)
		rc = need_name(s->r, v, at, &p->name);
	return rc ? rc : oc_read_arguments(s->r, json_get(v, STR("arguments")), at, &p->arguments);
}

static int read_custom_call(struct reading *s, const json *v, const struct oc_path *at)
{
	const json *input = json_get(v, STR("input"));
	struct oc_path here = oc_path_member(at, "input");
	struct ir_part *p;
	int rc;

	go_on_as_assistant(s);
	p = oc_add_part(&s->parts, IR_PART_TOOL_CALL);
	rc = need_string(s->r, v, "call_id", at, &p->id);
	if (!rc)
		rc = need_name(s->r, v, at, &p->name);
	if (rc)
		return rc;
	if (!json_is_str(input))
		return oc_refuse_type(s->r, &here, "a string", input);
	p->arguments = oc_wrap_input(s->r->arena, json_str(input));
	return p->arguments.ptr ? RC_OK : oc_nomem(s->r);
}

static int read_result(struct reading *s, const json *v, const struct oc_path *at)
{
	struct oc_parts content = { .arena = s->r->arena };
	struct oc_path here = oc_path_member(at, "output");
	struct ir_part *p;
	int rc;

	go_on_with_results(s);
	p = oc_add_part(&s->parts, IR_PART_TOOL_RESULT);
	rc = need_string(s->r, v, "call_id", at, &p->id);
	if (!rc)
		rc = read_content(s->r, json_get(v, STR("output")), &here, &content);
	p->name = json_str(json_get(v, STR("name")));
	p->name = p->name.len ? rs_joined_name(s->r->arena, v, p->name) : STR_NONE;
	p->content = content.items;
	p->n_content = content.n;
	return rc || !content.failed ? rc : oc_nomem(s->r);
}

/* The texts of a list of parts, joined; "" when there are none. */
static struct str join_texts(const struct oc_reader *r, const json *list, struct str separator)
{
	struct oc_parts texts = { .arena = r->arena };
	struct json_iter it = json_iter(list);

	while (json_next(&it)) {
		struct str text = json_str(json_get(it.val, STR("text")));

		if (text.len)
			oc_add_part(&texts, IR_PART_TEXT)->text = text;
	}
	return texts.failed ? STR_NONE : ir_parts_text(r->arena, texts.items, texts.n, separator);
}

/* The text as it was thought, else the summary. What is empty and proves nothing is left out, and named: only the server that
 * keeps it could make sense of its id. */
static int read_reasoning(struct reading *s, const json *v, const struct oc_path *at)
{
	struct arena *a = s->r->arena;
	struct str encrypted = json_str(json_get(v, STR("encrypted_content")));
	struct ir_part p = { .kind = IR_PART_REASONING, .origin = RS_NAME };

	(void)at;
	p.id = json_str(json_get(v, STR("id")));
	p.text = join_texts(s->r, json_get(v, STR("content")), STR(""));
	if (p.text.ptr && !p.text.len)
		p.text = join_texts(s->r, json_get(v, STR("summary")), STR("\n\n"));
	if (!p.text.ptr)
		return oc_nomem(s->r);
	if (str_starts(encrypted, STR(RS_CARRIED_TEXT))) {
		p.text = p.text.len ? p.text
				    : str_from_offset(encrypted, sizeof(RS_CARRIED_TEXT) - 1);
	} else if (encrypted.len &&
		   !rs_carrier_unpack(a, encrypted, &p.origin, &p.signature, &p.redacted)) {
		p.signature = oc_proof_join(a, p.id, encrypted);
		if (!p.signature.ptr)
			return oc_nomem(s->r);
	}
	if (!p.text.len && !encrypted.len)
		return shape_note(a, STR("reasoning_content"), s->q) ? RC_OK : oc_nomem(s->r);
	go_on_as_assistant(s);
	*oc_add_part(&s->parts, IR_PART_REASONING) = p;
	return RC_OK;
}

/* On whose side of the conversation an item stands that we do not know. */
static bool is_the_clients(struct str type)
{
	return str_ends(type, STR("_output")) || str_ends(type, STR("_response")) ||
	       str_starts(type, STR("compaction"));
}

static int read_other(struct reading *s, const json *v, struct str type)
{
	struct ir_part *p;

	if (is_the_clients(type))
		go_on_with_results(s);
	else
		go_on_as_assistant(s);
	p = oc_add_part(&s->parts, IR_PART_OPAQUE);
	p->name = type; /* tells an item from a part of a message */
	return read_opaque(s->r, v, p);
}

/* What the model drew; one without the picture is only an id of OpenAI's. For them the item goes on as it is. */
static int read_drawn(struct reading *s, const json *v, const struct oc_path *at)
{
	struct str base64 = json_str(json_get(v, STR("result")));
	struct ir_part *p;

	(void)at;
	if (!base64.len)
		return read_other(s, v, STR(RS_PICTURE));
	go_on_as_assistant(s);
	p = oc_add_part(&s->parts, IR_PART_IMAGE);
	p->origin = RS_NAME;
	p->raw = json_text(s->r->arena, v);
	p->media = (struct ir_media){ .source = IR_MEDIA_BASE64,
				      .mime = rs_picture_type(s->r->arena, base64),
				      .data = base64 };
	return p->raw.ptr ? RC_OK : oc_nomem(s->r);
}

static int read_reference(struct reading *s, const json *v, const struct oc_path *at)
{
	struct ir_part *p;
	int rc;

	go_on_as_assistant(s);
	p = oc_add_part(&s->parts, IR_PART_OPAQUE);
	rc = need_string(s->r, v, "id", at, &p->id);
	p->name = STR(RS_ITEM_REFERENCE);
	return rc ? rc : read_opaque(s->r, v, p);
}

/* Tools may come as an item: from there on, say its senders; from the start, for whoever has one list of them. */
static int read_more_tools(struct reading *s, const json *v, const struct oc_path *at)
{
	const struct oc_path here = oc_path_member(at, "tools");

	return rs_add_tools(s->r, json_get(v, STR("tools")), &here, s->q);
}

/* By its name, or by the one it went out under when that did not fit (trap 57). */
static bool has_tool(struct arena *a, const struct ir_request *q, unsigned n,
		     const struct ir_tool *t)
{
	struct str fit = str_present(t->name) ? oc_tool_name(a, t->name) : STR_NONE;

	for (unsigned i = 0; i < n; i++) {
		if (str_present(t->name)
			    ? str_eq(q->tools[i].name, t->name) || str_eq(q->tools[i].name, fit)
			    : str_eq(q->tools[i].server_raw, t->server_raw))
			return true;
	}
	return false;
}

/* What a search among deferred tools has found may be called from there on; the search itself only its own server knows. Each
 * is looked for among those that were there, within a bound. */
static int read_found_tools(struct reading *s, const json *v, const struct oc_path *at)
{
	unsigned before = s->q->n_tools, n = before;
	const json *found = json_get(v, STR("tools"));
	int rc = RC_OK;

	if (json_is_arr(found) && (uint64_t)before * json_len(found) <= MAX_TOOL_PAIRS)
		rc = read_more_tools(s, v, at);
	for (unsigned i = before; i < s->q->n_tools; i++) {
		if (!has_tool(s->r->arena, s->q, before, &s->q->tools[i]))
			s->q->tools[n++] = s->q->tools[i];
	}
	s->q->n_tools = n;
	return rc ? rc : read_other(s, v, STR("tool_search_output"));
}

static const struct {
	struct str type;
	int (*read)(struct reading *s, const json *v, const struct oc_path *at);
} items[] = {
	{ STR_INIT("message"), read_message },
	{ STR_INIT("function_call"), read_call },
	{ STR_INIT("function_call_output"), read_result },
	{ STR_INIT("additional_tools"), read_more_tools },
	{ STR_INIT("reasoning"), read_reasoning },
	{ STR_INIT("custom_tool_call"), read_custom_call },
	{ STR_INIT("custom_tool_call_output"), read_result },
	{ STR_INIT("tool_search_output"), read_found_tools },
	{ STR_INIT(RS_PICTURE), read_drawn },
	{ STR_INIT(RS_ITEM_REFERENCE), read_reference },
};

static int read_item(struct reading *s, const json *v, const struct oc_path *at)
{
	const json *type = JSON_GET(v, "type");
	struct oc_path here = oc_path_member(at, "type");

	if (!json_is_obj(v))
		return oc_refuse_type(s->r, at, "an object", v);
	if (!type) /* trap 64: {"role","content"}, or a bare id */
		return json_get(v, STR("role")) || !json_get(v, STR("id"))
			       ? read_message(s, v, at)
			       : read_reference(s, v, at);
	if (!json_is_str(type))
		return oc_refuse_type(s->r, &here, "a string", type);
	for (size_t i = 0; i < sizeof(items) / sizeof(*items); i++) {
		if (str_eq(json_str(type), items[i].type))
			return items[i].read(s, v, at);
	}
	return read_other(s, v, json_str(type));
}

int rs_read_input(const struct oc_reader *r, struct str instructions, const json *input,
		  struct ir_request *q)
{
	struct reading s = { .r = r, .q = q };
	struct json_iter it = json_iter(input);
	const struct oc_path at = { .member = "input" };
	int rc = RC_OK;

	if (input && !json_is_str(input) && !json_is_arr(input))
		return oc_refuse_type(r, &at, "a string or an array of items", input);
	q->messages = arena_array(r->arena, json_len(input) + 2, sizeof(*q->messages));
	if (!q->messages)
		return oc_nomem(r);
	if (instructions.len) {
		begin(&s, IR_ROLE_SYSTEM);
		oc_add_part(&s.parts, IR_PART_TEXT)->text = instructions;
	}
	if (json_is_str(input)) {
		begin(&s, IR_ROLE_USER);
		oc_add_part(&s.parts, IR_PART_TEXT)->text = json_str(input);
	}
	for (unsigned i = 0; !rc && json_is_arr(input) && json_next(&it); i++) {
		struct oc_path p = oc_path_index(&at, i);

		rc = read_item(&s, it.val, &p);
		if (!rc && s.parts.failed)
			rc = oc_nomem(r);
	}
	if (rc)
		return rc;
	keep(&s);
	if (json_is_arr(input) && q->n_messages == 0)
		return oc_refuse(r, &at, "at least one item is needed.");
	oc_name_results(q);
	return s.parts.failed ? oc_nomem(r) : RC_OK;
}
