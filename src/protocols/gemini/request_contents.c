/* protocols/gemini/request_contents.c - `systemInstruction` and `contents` of a client's body.
 *
 * The one hard thing: most calls and results bear no id (trap 62). They get one by their place in the conversation, which
 * stays the same as it grows; a result belongs to the call with its id, else to the first unanswered one of its name. */
#include <stdio.h>

#include "protocols/gemini/gemini.h"

/* Results are looked up among so many parts of a turn: a bound, so that a hostile body costs little. */
enum { MAX_CALLS = 2048 };

/* The calls of the last model turn and whether each has its result. */
struct calls {
	struct ir_part *parts; /* of that turn's message */
	unsigned n;            /* parts, of which calls are some */
	bool *answered;
};

struct contents {
	struct gm_reader *d;
	struct calls open;
	unsigned made; /* ids given so far */
	struct {
		char *ptr;
		size_t cap;
	} thought; /* text of the reasoning part under way, when it came in pieces */
	bool system;
	unsigned turn;
};

static int refuse(struct contents *c, const char *what)
{
	char at[64] = "systemInstruction";

	if (!c->system)
		(void)snprintf(at, sizeof(at), "contents[%u]", c->turn);
	return gm_refuse(c->d, at, what);
}

static struct str make_id(struct contents *c)
{
	return arena_printf(c->d->arena, "call_%u", c->made++);
}

/* --- media --- */

/* Files that lie with the vendor: an id to everybody else. */
static bool is_stored(struct str uri)
{
	return str_starts(uri, STR("gs://")) || str_starts(uri, STR("files/")) ||
	       str_find(uri, STR("generativelanguage.googleapis.com/")) >= 0;
}

static enum ir_part_kind kind_of(struct str mime)
{
	if (str_istarts(mime, STR("image/")))
		return IR_PART_IMAGE;
	return str_istarts(mime, STR("audio/")) ? IR_PART_AUDIO : IR_PART_FILE;
}

/* Google reads the alphabet for addresses too, padded or not, and its SDKs write it; nobody else takes it. */
static int plain_base64(struct contents *c, struct str *data)
{
	size_t pad = data->len % 4 > 1 ? 4 - data->len % 4 : 0;
	char *to;

	if (str_find(*data, STR("-")) < 0 && str_find(*data, STR("_")) < 0 && !pad)
		return RC_OK;
	to = arena_alloc_raw(c->d->arena, data->len + pad);
	if (!to)
		return gm_no_memory(c->d);
	for (size_t i = 0; i < data->len; i++)
		to[i] = data->ptr[i] == '-' ? '+' : data->ptr[i] == '_' ? '/' : data->ptr[i];
	memset(to + data->len, '=', pad);
	*data = (struct str){ to, data->len + pad };
	return RC_OK;
}

static int read_media(struct contents *c, const json *v, bool inlined, struct ir_part *p)
{
	struct ir_media *m = &p->media;

	m->mime = json_str(gm_get(v, "mimeType"));
	m->name = json_str(gm_get(v, "displayName"));
	m->data = json_str(gm_get(v, inlined ? "data" : "fileUri"));
	p->kind = kind_of(m->mime);
	if (inlined)
		m->source = IR_MEDIA_BASE64;
	else
		m->source = is_stored(m->data) ? IR_MEDIA_FILE_ID : IR_MEDIA_URL;
	if (p->kind == IR_PART_AUDIO) {
		m->detail = str_from_offset(m->mime, strlen("audio/"));
		if (str_ieq(m->detail, STR("mpeg")))
			m->detail = STR("mp3");
		else if (str_ieq(m->detail, STR("x-wav")))
			m->detail = STR("wav");
	}
	return inlined ? plain_base64(c, &m->data) : RC_OK;
}

/* --- calls and results --- */

static int read_call(struct contents *c, const json *v, struct ir_part *p)
{
	const json *args = gm_get(v, "args");

	p->kind = IR_PART_TOOL_CALL;
	p->name = json_str(gm_get(v, "name"));
	p->id = json_str(gm_get(v, "id"));
	if (!p->name.len)
		return refuse(c, "a functionCall needs a name");
	if (args && !json_is_obj(args))
		return refuse(c, "the args of a functionCall should be an object");
	p->arguments = args ? json_text(c->d->arena, args) : STR("{}");
	if (!p->id.len)
		p->id = make_id(c);
	return str_present(p->arguments) && str_present(p->id) ? RC_OK : gm_no_memory(c->d);
}

/* Finds the call that a result answers and marks it; absent when there is none left. */
static struct str match_call(struct contents *c, struct str id, struct str name)
{
	struct calls *open = &c->open;
	unsigned at = open->n;

	for (unsigned i = open->n; i-- > 0;) {
		const struct ir_part *p = &open->parts[i];

		if (p->kind != IR_PART_TOOL_CALL || open->answered[i])
			continue;
		if (id.len ? str_eq(p->id, id) : str_eq(p->name, name))
			at = i; /* the first of them stays */
	}
	if (at == open->n)
		return STR_NONE;
	open->answered[at] = true;
	return open->parts[at].id;
}

/* {"output": text} and the SDK's {"result": text} are wrappings of a text (trap 58); {"error": ...} says that it failed. */
static int read_response(struct contents *c, const json *v, struct ir_part *p)
{
	const json *only = json_len(v) == 1 ? JSON_GET(v, "output") : NULL;
	struct ir_part *text = arena_alloc(c->d->arena, sizeof(*text));

	if (json_len(v) == 1 && !only)
		only = JSON_GET(v, "result");
	if (json_len(v) == 1 && !only) {
		only = JSON_GET(v, "error");
		p->is_error = only != NULL;
	}
	if (!text)
		return gm_no_memory(c->d);
	text->kind = IR_PART_TEXT;
	if (json_is_str(only))
		text->text = json_str(only);
	else
		text->text = json_text(c->d->arena, p->is_error && only ? only : v);
	p->content = text;
	p->n_content = 1;
	return str_present(text->text) ? RC_OK : gm_no_memory(c->d);
}

/* Media inside a result. */
static int read_response_parts(struct contents *c, const json *v, struct ir_part *p)
{
	struct json_iter it = json_iter(v);
	struct ir_part *grown;
	int rc = RC_OK;

	if (json_len(v) == 0)
		return RC_OK;
	grown = arena_array(c->d->arena, p->n_content + json_len(v), sizeof(*grown));
	if (!grown)
		return gm_no_memory(c->d);
	if (p->n_content)
		grown[0] = p->content[0];
	p->content = grown;
	while (!rc && json_next(&it)) {
		const json *inlined = gm_get(it.val, "inlineData"),
			   *file = gm_get(it.val, "fileData");

		if (!inlined && !file)
			return refuse(c, "the parts of a functionResponse should hold data");
		rc = read_media(c, inlined ? inlined : file, inlined != NULL,
				&p->content[p->n_content++]);
	}
	return rc;
}

static int read_result(struct contents *c, const json *v, struct ir_part *p)
{
	struct str id = json_str(gm_get(v, "id"));
	const json *response = gm_get(v, "response");
	int rc = RC_OK;

	p->kind = IR_PART_TOOL_RESULT;
	p->name = json_str(gm_get(v, "name"));
	if (!p->name.len)
		return refuse(c, "a functionResponse needs a name");
	if (response && !json_is_obj(response))
		return refuse(c, "the response of a functionResponse should be an object");
	p->id = match_call(c, id, p->name);
	if (!str_present(p->id))
		p->id = id.len ? id : make_id(c);
	if (!str_present(p->id))
		return gm_no_memory(c->d);
	if (response)
		rc = read_response(c, response, p);
	return rc ? rc : read_response_parts(c, gm_get(v, "parts"), p);
}

/* --- parts --- */

static int read_opaque(struct contents *c, const json *v, struct ir_part *p)
{
	*p = (struct ir_part){ .kind = IR_PART_OPAQUE,
			       .origin = GM_NAME,
			       .raw = json_text(c->d->arena, v) };
	return str_present(p->raw) ? RC_OK : gm_no_memory(c->d);
}

static int join_thought(struct contents *c, struct ir_part *p, struct str more)
{
	if (p->text.ptr != c->thought.ptr) { /* the first piece, a slice of the document */
		c->thought.ptr = NULL;
		c->thought.cap = 0;
	}
	if (p->text.len + more.len > c->thought.cap) {
		size_t cap = 2 * (p->text.len + more.len);
		char *grown = arena_grow(c->d->arena, c->thought.ptr, c->thought.cap, cap);

		if (!grown)
			return RC_NOMEM;
		if (!c->thought.ptr && p->text.len)
			memcpy(grown, p->text.ptr, p->text.len);
		c->thought.ptr = grown;
		c->thought.cap = cap;
	}
	memcpy(c->thought.ptr + p->text.len, more.ptr, more.len);
	p->text = (struct str){ c->thought.ptr, p->text.len + more.len };
	return RC_OK;
}

/* Thoughts in several parts are one reasoning until a proof ends it: what was signed is their whole. */
static int read_thought(struct contents *c, struct str text, struct str signature,
			struct ir_message *m)
{
	struct ir_part *last = m->n_parts ? &m->parts[m->n_parts - 1] : NULL;

	if (!last || last->kind != IR_PART_REASONING || last->signature.len || last->redacted.len) {
		last = &m->parts[m->n_parts++];
		*last = (struct ir_part){ .kind = IR_PART_REASONING,
					  .origin = GM_NAME,
					  .text = text };
	} else if (text.len && join_thought(c, last, text) != RC_OK) {
		return gm_no_memory(c->d);
	}
	if (signature.len)
		gm_proof_unpack(c->d->arena, signature, last);
	return RC_OK;
}

enum { TEXT, THOUGHT, SIGNATURE, CALL, RESULT, INLINED, FILE_DATA, FIRST_REST };
static const struct str part_names[] = {
	[TEXT] = STR_INIT("text"),
	[THOUGHT] = STR_INIT("thought"),
	[SIGNATURE] = STR_INIT("thoughtSignature"),
	[CALL] = STR_INIT("functionCall"),
	[RESULT] = STR_INIT("functionResponse"),
	[INLINED] = STR_INIT("inlineData"),
	[FILE_DATA] = STR_INIT("fileData"),
	/* What only the vendor knows of a part beside its content. */
	[FIRST_REST] = STR_INIT("videoMetadata"),
	STR_INIT("mediaResolution"),
	STR_INIT("partMetadata"),
};

enum { N_PART = sizeof(part_names) / sizeof(part_names[0]) };

static int note_rest(struct contents *c, const json *const said[N_PART])
{
	int rc = RC_OK;

	for (unsigned i = FIRST_REST; !rc && i < N_PART; i++)
		if (said[i])
			rc = gm_add_extra(c->d, "contents", part_names[i], NULL);
	return rc;
}

static int read_part(struct contents *c, const json *v, struct ir_message *m)
{
	const json *said[N_PART];
	struct str text, signature;
	struct ir_part *p;
	int rc;

	if (!json_is_obj(v))
		return refuse(c, "a part should be an object");
	GM_FIND(v, part_names, said);
	text = json_str(said[TEXT]);
	signature = json_str(said[SIGNATURE]);
	if (str_present(text) && json_bool(said[THOUGHT], false))
		return read_thought(c, text, signature, m);
	if (signature.len && (said[CALL] || str_present(text) || said[INLINED])) {
		p = &m->parts[m->n_parts++];
		p->kind = IR_PART_REASONING;
		gm_proof_unpack(c->d->arena, signature, p);
	}
	if (str_present(text) && text.len == 0 && signature.len)
		return RC_OK; /* it was only there to bear it */
	p = &m->parts[m->n_parts++];
	if (said[CALL])
		return read_call(c, said[CALL], p);
	if (said[RESULT])
		return read_result(c, said[RESULT], p);
	rc = note_rest(c, said);
	if (rc)
		return rc;
	if (said[INLINED] || said[FILE_DATA])
		return read_media(c, said[INLINED] ? said[INLINED] : said[FILE_DATA],
				  said[INLINED] != NULL, p);
	if (!str_present(text))
		return read_opaque(c, v, p);
	*p = (struct ir_part){ .kind = IR_PART_TEXT, .text = text };
	return RC_OK;
}

/* `v`: a Content, a Part, a list of parts, or a string, as the SDKs and people write it. */
static int read_content(struct contents *c, const json *v, struct ir_message *m)
{
	const json *parts = gm_get(v, "parts");
	struct json_iter it;
	int rc = RC_OK;

	if (json_is_arr(v))
		parts = v;
	/* Each part may be two: a proof and what it proves. */
	m->parts = arena_array(c->d->arena, 2 * json_len(parts) + 2, sizeof(*m->parts));
	if (!m->parts)
		return gm_no_memory(c->d);
	if (json_is_str(v)) {
		m->parts[m->n_parts++] =
			(struct ir_part){ .kind = IR_PART_TEXT, .text = json_str(v) };
		return RC_OK;
	}
	if (parts && !json_is_arr(parts))
		return json_is_obj(parts) ? read_part(c, parts, m)
					  : refuse(c, "parts should be a list");
	if (!parts)
		return gm_get(v, "text") ? read_part(c, v, m) : RC_OK;
	it = json_iter(parts);
	while (!rc && json_next(&it))
		rc = read_part(c, it.val, m);
	return rc;
}

static int mark_calls(struct contents *c, const struct ir_message *m)
{
	c->open = (struct calls){ .parts = m->parts,
				  .n = m->n_parts < MAX_CALLS ? m->n_parts : MAX_CALLS };
	c->open.answered = arena_array(c->d->arena, m->n_parts + 1, sizeof(bool));
	return c->open.answered ? RC_OK : gm_no_memory(c->d);
}

static int read_turn(struct contents *c, const json *v, unsigned i)
{
	struct ir_request *r = c->d->r;
	struct ir_message *m = &r->messages[r->n_messages];
	struct str role = json_str(gm_get(v, "role"));
	int rc;

	c->system = false;
	c->turn = i;
	if (!json_is_obj(v) && !json_is_str(v))
		return refuse(c, "should be an object");
	m->role = IR_ROLE_USER;
	if (str_eq(role, STR("model")))
		m->role = IR_ROLE_ASSISTANT;
	else if (str_eq(role, STR("system")))
		m->role = IR_ROLE_SYSTEM;
	else if (role.len && !str_eq(role, STR("user")) && !str_eq(role, STR("function")))
		return refuse(c, "role should be user or model");
	rc = read_content(c, v, m);
	if (!rc && m->role == IR_ROLE_ASSISTANT)
		rc = mark_calls(c, m);
	r->n_messages++;
	return rc;
}

int gm_read_contents(struct gm_reader *d, const json *system, const json *contents)
{
	struct contents c = { .d = d, .system = true };
	struct ir_request *r = d->r;
	struct json_iter it = json_iter(contents);
	bool list = json_is_arr(contents);
	unsigned i = 0;
	int rc;

	if (!contents || (list && json_len(contents) == 0))
		return gm_refuse(d, "contents", "contents is not specified");
	r->messages =
		arena_array(d->arena, (list ? json_len(contents) : 1) + 1, sizeof(*r->messages));
	if (!r->messages)
		return gm_no_memory(d);
	if (system && !json_is_obj(system) && !json_is_str(system))
		return gm_refuse(d, "systemInstruction", "should be an object");
	if (system) {
		rc = read_content(&c, system, &r->messages[0]);
		if (rc)
			return rc;
		r->messages[0].role = IR_ROLE_SYSTEM;
		r->n_messages = r->messages[0].n_parts ? 1 : 0;
	}
	if (!list)
		return read_turn(&c, contents, 0);
	while (json_next(&it)) {
		rc = read_turn(&c, it.val, i++);
		if (rc)
			return rc;
	}
	return RC_OK;
}
