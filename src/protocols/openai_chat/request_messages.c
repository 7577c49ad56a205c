/* protocols/openai_chat/request_messages.c - the conversation of a Chat Completions body.
 *
 * The hard thing is that Chat spreads over several messages what is one turn elsewhere: tool messages
 * that follow each other are the results of one turn, and a user message behind them joins it (trap 39). And reasoning comes
 * back in whatever of three members the client kept. */
#include "protocols/media.h"
#include "protocols/openai_chat/openai_chat.h"

/* --- parts --- */

static int read_image(const struct oc_reader *r, const json *v, const struct oc_path *at,
		      struct ir_part *p)
{
	const json *image = json_get(v, STR("image_url"));
	const json *url = json_is_str(image) ? image : json_get(image, STR("url"));
	const struct oc_path image_at = oc_path_member(at, "image_url");
	const struct oc_path url_at = oc_path_member(&image_at, "url");

	if (!json_is_str(url))
		return oc_refuse_type(r, &url_at, "a string", url);
	media_read_url(json_str(url), &p->media);
	p->media.detail = json_str(json_get(image, STR("detail")));
	return RC_OK;
}

static int read_audio(const struct oc_reader *r, const json *v, const struct oc_path *at,
		      struct ir_part *p)
{
	const json *audio = json_get(v, STR("input_audio")), *data = json_get(audio, STR("data"));
	const struct oc_path audio_at = oc_path_member(at, "input_audio");
	const struct oc_path data_at = oc_path_member(&audio_at, "data");

	if (!json_is_str(data))
		return oc_refuse_type(r, &data_at, "a string", data);
	p->media.source = IR_MEDIA_BASE64;
	p->media.data = json_str(data);
	p->media.detail = json_str(json_get(audio, STR("format")));
	if (p->media.detail.len) {
		p->media.mime = arena_printf(r->arena, "audio/%.*s", STR_ARG(p->media.detail));
		if (!p->media.mime.ptr)
			return oc_nomem(r);
	}
	return RC_OK;
}

static int read_file(const struct oc_reader *r, const json *v, const struct oc_path *at,
		     struct ir_part *p)
{
	const json *file = json_get(v, STR("file"));
	struct str data = json_str(json_get(file, STR("file_data"))),
		   id = json_str(json_get(file, STR("file_id")));
	struct oc_path here = oc_path_member(at, "file");

	p->media.name = json_str(json_get(file, STR("filename")));
	p->citations = STR_NONE;
	if (id.len) {
		p->media.source = IR_MEDIA_FILE_ID;
		p->media.data = id;
		return RC_OK;
	}
	if (!data.len)
		return oc_refuse(r, &here, "it needs file_data or file_id.");
	media_read_url(data, &p->media);
	/* Some clients send the bare base64. */
	if (p->media.source == IR_MEDIA_URL && !str_istarts(data, STR("http")))
		p->media.source = IR_MEDIA_BASE64;
	return RC_OK;
}

static int read_part(const struct oc_reader *r, const json *v, const struct oc_path *at,
		     struct oc_parts *out)
{
	const json *type = json_get(v, STR("type")), *text;
	struct str t = json_str(type);
	struct oc_path here = oc_path_member(at, "type");
	struct ir_part *p;
	int rc = RC_OK;

	if (!json_is_obj(v))
		return oc_refuse_type(r, at, "an object", v);
	if (!json_is_str(type))
		return oc_refuse_type(r, &here, "a string", type);
	if (str_eq(t, STR("text")) || str_eq(t, STR("refusal"))) {
		p = oc_add_part(out, t.len == 4 ? IR_PART_TEXT : IR_PART_REFUSAL);
		text = json_get(v, t);
		here = oc_path_member(at, t.len == 4 ? "text" : "refusal");
		p->text = json_str(text);
		rc = json_is_str(text) ? RC_OK : oc_refuse_type(r, &here, "a string", text);
	} else if (str_eq(t, STR("image_url"))) {
		p = oc_add_part(out, IR_PART_IMAGE);
		rc = read_image(r, v, at, p);
	} else if (str_eq(t, STR("input_audio"))) {
		p = oc_add_part(out, IR_PART_AUDIO);
		rc = read_audio(r, v, at, p);
	} else if (str_eq(t, STR("file"))) {
		p = oc_add_part(out, IR_PART_FILE);
		rc = read_file(r, v, at, p);
	} else { /* a vendor's own, video_url and the like */
		p = oc_add_part(out, IR_PART_OPAQUE);
		p->origin = OC_NAME;
		p->raw = json_text(r->arena, v);
		if (!p->raw.ptr)
			return oc_nomem(r);
	}
	p->cache = oc_read_cache(v);
	return rc;
}

/* A string, a list of parts, or null where `or_null`. */
static int read_content(const struct oc_reader *r, const json *v, const struct oc_path *at,
			bool or_null, struct oc_parts *out)
{
	struct json_iter it = json_iter(v);
	int rc = RC_OK;

	if (json_is_str(v)) {
		oc_add_part(out, IR_PART_TEXT)->text = json_str(v);
		return RC_OK;
	}
	if (or_null && (!v || json_is_null(v)))
		return RC_OK;
	if (!json_is_arr(v))
		return oc_refuse_type(r, at, "a string or an array of parts", v);
	for (unsigned i = 0; !rc && json_next(&it); i++) {
		struct oc_path p = oc_path_index(at, i);

		rc = read_part(r, it.val, &p, out);
	}
	return rc;
}

/* --- reasoning of earlier turns --- */

/* Pieces of one detail, as a client that collected a stream has them, join by their index. */
static int join_text(const struct oc_reader *r, struct ir_part *p, struct str more, size_t *cap)
{
	size_t need = p->text.len + more.len;
	char *to = (char *)p->text.ptr;

	if (p->text.len == 0) {
		p->text = more.len ? more : p->text;
		return RC_OK;
	}
	if (need > *cap) {
		to = arena_alloc_raw(r->arena, need * 2);
		if (!to)
			return oc_nomem(r);
		memcpy(to, p->text.ptr, p->text.len);
		*cap = need * 2;
	}
	if (more.len)
		memcpy(to + p->text.len, more.ptr, more.len);
	p->text = (struct str){ to, need };
	return RC_OK;
}

static int read_details(const struct oc_reader *r, const json *details, struct oc_parts *out)
{
	struct json_iter it = json_iter(details);
	struct ir_part *last = NULL;
	int64_t open_index = -1;
	size_t cap = 0; /* of the last part's text, once it is joined from pieces */
	int rc = RC_OK;

	while (!rc && json_next(&it)) {
		struct oc_detail d;
		bool goes_on;

		if (oc_detail_read(r->arena, it.val, &d))
			return oc_nomem(r);
		if (!d.text.len && !d.signature.len && !d.redacted.len)
			continue;
		goes_on = last && oc_detail_goes_on(&d, last->origin, open_index) &&
			  !str_present(last->signature) && !str_present(last->redacted);
		if (!goes_on) {
			last = oc_add_part(out, IR_PART_REASONING);
			last->text = STR("");
			last->origin = d.origin;
			open_index = d.index;
			cap = 0;
		}
		rc = join_text(r, last, d.text, &cap);
		if (d.redacted.len)
			last->redacted = d.redacted;
		if (d.signature.len)
			last->signature = d.signature;
	}
	return rc;
}

static int read_reasoning(const struct oc_reader *r, const json *m, struct oc_parts *out)
{
	static const struct str names[] = { STR_INIT("reasoning_content"), STR_INIT("reasoning") };
	unsigned before = out->n;
	int rc = read_details(r, json_get(m, STR("reasoning_details")), out);

	for (size_t i = 0; !rc && out->n == before && i < sizeof(names) / sizeof(*names); i++) {
		struct str text = json_str(json_get(m, names[i]));
		struct ir_part *p;

		if (!text.len)
			continue;
		p = oc_add_part(out, IR_PART_REASONING);
		p->text = text;
		p->origin = OC_NAME;
	}
	return rc;
}

/* --- calls --- */

static int read_function(const struct oc_reader *r, const json *f, const struct oc_path *at,
			 struct str id, struct oc_parts *out)
{
	const json *name = json_get(f, STR("name"));
	struct oc_path here = oc_path_member(at, "name");
	struct ir_part *p = oc_add_part(out, IR_PART_TOOL_CALL);

	p->id = id;
	p->name = json_str(name);
	p->arguments = STR("{}");
	if (!p->name.len)
		return oc_refuse_type(r, &here, "a name", name);
	return oc_read_arguments(r, json_get(f, STR("arguments")), at, &p->arguments);
}

/* Gemini's signature of this call or picture, as its endpoint for OpenAI's clients and our own answers have it (trap 51). */
static void read_google_proof(const json *v, struct oc_parts *out)
{
	struct str signature = oc_read_google(v);
	struct ir_part *p;

	if (!signature.len)
		return;
	p = oc_add_part(out, IR_PART_REASONING);
	p->text = STR("");
	p->signature = signature;
	p->origin = OC_GOOGLE;
}

static int read_call(const struct oc_reader *r, const json *v, const struct oc_path *at,
		     struct oc_parts *out)
{
	const json *id = json_get(v, STR("id"));
	struct str type = json_str(json_get(v, STR("type")));
	struct oc_path here = oc_path_member(at, "id");

	if (!json_is_obj(v))
		return oc_refuse_type(r, at, "an object", v);
	if (!json_str(id).len)
		return oc_refuse_type(r, &here, "a string", id);
	read_google_proof(v, out);
	if (str_eq(type, STR("custom"))) {
		const json *custom = json_get(v, STR("custom"));
		struct ir_part *p = oc_add_part(out, IR_PART_TOOL_CALL);

		p->id = json_str(id);
		p->name = json_str(json_get(custom, STR("name")));
		p->arguments = oc_wrap_input(r->arena, json_str(json_get(custom, STR("input"))));
		here = oc_path_member(at, "custom");
		if (!p->name.len)
			return oc_refuse(r, &here, "it needs a name.");
		return p->arguments.ptr ? RC_OK : oc_nomem(r);
	}
	if (type.len && !str_eq(type, STR("function"))) {
		struct ir_part *p = oc_add_part(out, IR_PART_OPAQUE);

		p->id = json_str(id);
		p->origin = OC_NAME;
		p->raw = json_text(r->arena, v);
		return p->raw.ptr ? RC_OK : oc_nomem(r);
	}
	here = oc_path_member(at, "function");
	if (!json_is_obj(json_get(v, STR("function"))))
		return oc_refuse_type(r, &here, "an object", json_get(v, STR("function")));
	return read_function(r, json_get(v, STR("function")), &here, json_str(id), out);
}

/* A call of old has no id; its place in the conversation makes one. */
static struct str legacy_id(const struct oc_reader *r, unsigned message)
{
	return arena_printf(r->arena, "call_function_%u", message);
}

/* What the model drew, in OpenRouter's form, which is that of our own answers. What is none stays as it is. */
static int read_drawn(const struct oc_reader *r, const json *images, struct oc_parts *out)
{
	struct json_iter it = json_iter(images);

	while (json_next(&it)) {
		struct str url = oc_image_url(it.val);
		struct ir_part *p;

		read_google_proof(it.val, out);
		p = oc_add_part(out, url.len ? IR_PART_IMAGE : IR_PART_OPAQUE);
		if (url.len) {
			media_read_url(url, &p->media);
			continue;
		}
		p->origin = OC_NAME;
		p->raw = json_text(r->arena, it.val);
		if (!p->raw.ptr)
			return oc_nomem(r);
	}
	return RC_OK;
}

static int read_assistant(const struct oc_reader *r, const json *m, const struct oc_path *at,
			  unsigned index, struct oc_parts *out)
{
	const json *calls = JSON_GET(m, "tool_calls"), *legacy = JSON_GET(m, "function_call");
	struct str refusal = json_str(json_get(m, STR("refusal")));
	struct str audio = json_str(json_get(json_get(m, STR("audio")), STR("id")));
	struct oc_path here = oc_path_member(at, "content");
	struct json_iter it = json_iter(calls);
	int rc = read_reasoning(r, m, out);

	if (!rc)
		rc = read_content(r, json_get(m, STR("content")), &here, true, out);
	if (refusal.len)
		oc_add_part(out, IR_PART_REFUSAL)->text = refusal;
	if (!rc)
		rc = read_drawn(r, JSON_GET(m, "images"), out);
	if (audio.len) {
		struct ir_part *p = oc_add_part(out, IR_PART_AUDIO);

		p->media.source = IR_MEDIA_FILE_ID;
		p->media.data = audio;
	}
	here = oc_path_member(at, "tool_calls");
	if (!rc && calls && !json_is_arr(calls))
		return oc_refuse_type(r, &here, "an array", calls);
	for (unsigned i = 0; !rc && json_next(&it); i++) {
		struct oc_path p = oc_path_index(&here, i);

		rc = read_call(r, it.val, &p, out);
	}
	here = oc_path_member(at, "function_call");
	if (!rc && json_is_obj(legacy) && !calls) {
		struct str id = legacy_id(r, index);

		rc = id.ptr ? read_function(r, legacy, &here, id, out) : oc_nomem(r);
	}
	return rc;
}

/* --- messages --- */

enum chat_role {
	CHAT_SYSTEM,
	CHAT_DEVELOPER,
	CHAT_USER,
	CHAT_ASSISTANT,
	CHAT_TOOL,
	CHAT_FUNCTION,
	CHAT_UNKNOWN
};

static enum chat_role read_role(struct str s)
{
	static const struct str names[] = { STR_INIT("system"), STR_INIT("developer"),
					    STR_INIT("user"),   STR_INIT("assistant"),
					    STR_INIT("tool"),   STR_INIT("function") };
	unsigned i = 0;

	while (i < CHAT_UNKNOWN && !str_eq(s, names[i]))
		i++;
	return (enum chat_role)i;
}

/* Where the conversation stands while it is read. */
struct reading {
	const struct oc_reader *r;
	struct ir_request *q;
	struct oc_parts parts; /* of the last message in q */
	bool after_results;    /* that message ends in tool results: what follows may join it */
	unsigned last_legacy;  /* index of the message with the last function_call */
};

static struct ir_message *last_message(struct reading *s)
{
	return &s->q->messages[s->q->n_messages - 1];
}

static void begin(struct reading *s, enum ir_role role, const json *m)
{
	struct str name = json_str(json_get(m, STR("name")));

	s->q->messages[s->q->n_messages++] = (struct ir_message){ .role = role, .name = name };
	s->parts = (struct oc_parts){ .arena = s->r->arena };
	s->after_results = false;
}

static int read_result(struct reading *s, const json *m, const struct oc_path *at,
		       enum chat_role role)
{
	const json *id = json_get(m, STR("tool_call_id"));
	struct oc_path here = oc_path_member(at, "tool_call_id");
	struct oc_parts content = { .arena = s->r->arena };
	struct ir_part *p;
	int rc;

	if (role == CHAT_TOOL && !json_str(id).len)
		return oc_refuse_type(s->r, &here, "a string", id);
	if (!s->after_results) {
		begin(s, IR_ROLE_USER, NULL);
		s->after_results = true;
	}
	here = oc_path_member(at, "content");
	rc = read_content(s->r, json_get(m, STR("content")), &here, role == CHAT_FUNCTION,
			  &content);
	p = oc_add_part(&s->parts, IR_PART_TOOL_RESULT);
	p->id = role == CHAT_TOOL ? json_str(id) : legacy_id(s->r, s->last_legacy);
	p->name = json_str(json_get(m, STR("name")));
	p->content = content.items;
	p->n_content = content.n;
	p->cache = oc_read_cache(m);
	return rc || !content.failed ? rc : oc_nomem(s->r);
}

static int read_message(struct reading *s, const json *m, const struct oc_path *at, unsigned index)
{
	const json *role_name = json_get(m, STR("role"));
	enum chat_role role = read_role(json_str(role_name));
	struct oc_path here = oc_path_member(at, "content");
	struct oc_path role_at = oc_path_member(at, "role");
	int rc = RC_OK;

	switch (role) {
	case CHAT_SYSTEM:
	case CHAT_DEVELOPER:
		begin(s, role == CHAT_SYSTEM ? IR_ROLE_SYSTEM : IR_ROLE_DEVELOPER, m);
		rc = read_content(s->r, json_get(m, STR("content")), &here, false, &s->parts);
		break;
	case CHAT_USER:
		if (!s->after_results) /* else it joins the results, and stands behind them */
			begin(s, IR_ROLE_USER, m);
		s->after_results = false;
		rc = read_content(s->r, json_get(m, STR("content")), &here, false, &s->parts);
		break;
	case CHAT_ASSISTANT:
		begin(s, IR_ROLE_ASSISTANT, m);
		if (json_is_obj(json_get(m, STR("function_call"))))
			s->last_legacy = index;
		rc = read_assistant(s->r, m, at, index, &s->parts);
		break;
	case CHAT_TOOL:
	case CHAT_FUNCTION:
		rc = read_result(s, m, at, role);
		break;
	case CHAT_UNKNOWN:
		if (!json_is_str(role_name))
			return oc_refuse_type(s->r, &role_at, "a string", role_name);
		return oc_refuse(s->r, &role_at,
				 "supported values are 'system', 'developer', 'user', 'assistant', "
				 "'tool' and 'function'.");
	}
	if (rc)
		return rc;
	/* A mark on the whole message stands behind its last part. */
	if (s->parts.n && role < CHAT_TOOL && oc_read_cache(m) != IR_CACHE_NONE)
		s->parts.items[s->parts.n - 1].cache = oc_read_cache(m);
	last_message(s)->parts = s->parts.items;
	last_message(s)->n_parts = s->parts.n;
	return s->parts.failed ? oc_nomem(s->r) : RC_OK;
}

int oc_read_messages(const struct oc_reader *r, const json *messages, struct ir_request *q)
{
	struct reading s = { .r = r, .q = q };
	struct json_iter it = json_iter(messages);
	const struct oc_path at = { .member = "messages" };
	int rc = RC_OK;

	if (!json_is_arr(messages))
		return oc_refuse_type(r, &at, "an array of messages", messages);
	if (json_len(messages) == 0)
		return oc_refuse(r, &at, "at least one message is needed.");
	q->messages = arena_array(r->arena, json_len(messages), sizeof(*q->messages));
	if (!q->messages)
		return oc_nomem(r);
	for (unsigned i = 0; !rc && json_next(&it); i++) {
		struct oc_path p = oc_path_index(&at, i);

		rc = json_is_obj(it.val) ? read_message(&s, it.val, &p, i)
					 : oc_refuse_type(r, &p, "an object", it.val);
	}
	if (!rc)
		oc_name_results(q);
	return rc;
}
