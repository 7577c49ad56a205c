/* protocols/openai_responses/request_turns.c - the canonical conversation as items.
 *
 * The hard thing is reasoning: it goes back only with the proof that OpenAI minted, and only when the item that it led to
 * follows it; everything else is a 400 for the whole conversation (trap 50). */
#include "protocols/openai_responses/openai_responses.h"

#include "protocols/media.h"

#include "base/base64.h"

static void lose(struct rs_writer *w, const char *name)
{
	ir_loss(w->losses, str_from(name));
}

static int refuse(struct rs_writer *w, const char *what)
{
	return err_param(w->reterr, RC_UNSUPPORTED, "messages",
			 "this model's provider cannot take %s", what);
}

static void begin(struct rs_writer *w, const char *type)
{
	jw_obj(&w->w);
	jw_kcstr(&w->w, "type", type);
}

/* --- content --- */

static void write_text_part(struct rs_writer *w, struct str text)
{
	begin(w, "input_text");
	jw_kstr(&w->w, "text", text);
	jw_end_obj(&w->w);
}

static void write_data_url(struct rs_writer *w, const char *key, const struct ir_media *m,
			   struct str mime)
{
	jw_key(&w->w, key);
	jw_raw(&w->w, STR("\"data:"));
	json_escape(w->w.out, str_present(m->mime) ? m->mime : mime);
	buf_puts(w->w.out, ";base64,");
	json_escape(w->w.out, m->data);
	buf_putc(w->w.out, '"');
}

static int write_image(struct rs_writer *w, const struct ir_media *m)
{
	begin(w, "input_image");
	switch (m->source) {
	case IR_MEDIA_BASE64:
		write_data_url(w, "image_url", m, STR("image/png"));
		break;
	case IR_MEDIA_URL:
		jw_kstr(&w->w, "image_url", m->data);
		break;
	case IR_MEDIA_FILE_ID:
		if (!oc_is_openai(w->r->origin))
			return refuse(w, "a file that another provider keeps");
		jw_kstr(&w->w, "file_id", m->data);
		break;
	case IR_MEDIA_TEXT:
		return refuse(w, "an image that is text");
	}
	jw_kstr(&w->w, "detail", m->detail.len ? m->detail : STR("auto"));
	jw_end_obj(&w->w);
	return RC_OK;
}

static int write_file(struct rs_writer *w, const struct ir_part *p)
{
	const struct ir_media *m = &p->media;

	if (str_present(p->citations))
		lose(w, "citations");
	if (m->source == IR_MEDIA_TEXT) {
		struct str text = media_document_text(w->arena, m);

		w->failed = w->failed || !text.ptr;
		write_text_part(w, text);
		return RC_OK;
	}
	if (m->context.len)
		lose(w, "document.context");
	if (m->source == IR_MEDIA_FILE_ID && !oc_is_openai(w->r->origin))
		return refuse(w, "a file that another provider keeps");
	begin(w, "input_file");
	if (m->name.len && m->source != IR_MEDIA_BASE64)
		lose(w, "filename");
	if (m->source == IR_MEDIA_URL) {
		jw_kstr(&w->w, "file_url", m->data);
	} else if (m->source == IR_MEDIA_FILE_ID) {
		jw_kstr(&w->w, "file_id", m->data);
	} else {
		jw_kstr(&w->w, "filename", m->name.len ? m->name : STR("document.pdf"));
		write_data_url(w, "file_data", m, STR("application/pdf"));
	}
	if (m->detail.len)
		jw_kstr(&w->w, "detail", m->detail);
	jw_end_obj(&w->w);
	return RC_OK;
}

static int write_audio(struct rs_writer *w, const struct ir_media *m)
{
	if (m->source != IR_MEDIA_BASE64 || !rs_minted(w->r->origin))
		return refuse(w, "a recording");
	begin(w, "input_audio");
	jw_key(&w->w, "input_audio");
	jw_obj(&w->w);
	jw_kstr(&w->w, "data", m->data);
	jw_kstr(&w->w, "format", m->detail.len ? m->detail : STR("wav"));
	jw_end_obj(&w->w);
	jw_end_obj(&w->w);
	return RC_OK;
}

/* An item that only this protocol knows; parts of that kind have no name (request_items.c). */
static bool is_item(const struct ir_part *p)
{
	return p->kind == IR_PART_OPAQUE && rs_minted(p->origin) && str_present(p->name);
}

static int write_part(struct rs_writer *w, const struct ir_part *p)
{
	if (p->cache != IR_CACHE_NONE)
		lose(w, "cache_control");
	switch (p->kind) {
	case IR_PART_TEXT:
	case IR_PART_REFUSAL:
		if (str_present(p->citations))
			lose(w, "citations");
		if (p->text.len) /* trap 43 */
			write_text_part(w, p->text);
		return RC_OK;
	case IR_PART_IMAGE:
		return write_image(w, &p->media);
	case IR_PART_FILE:
		return write_file(w, p);
	case IR_PART_AUDIO:
		return write_audio(w, &p->media);
	case IR_PART_OPAQUE:
		if (rs_minted(p->origin))
			jw_raw(&w->w, p->raw);
		else
			lose(w, "content");
		return RC_OK;
	case IR_PART_REASONING:
	case IR_PART_TOOL_CALL:
	case IR_PART_TOOL_RESULT:
		break;
	}
	lose(w, "content");
	return RC_OK;
}

static bool is_plain_text(const struct ir_part *p)
{
	return p->kind == IR_PART_TEXT && p->cache == IR_CACHE_NONE && !str_present(p->citations);
}

/* One text is a string, anything more a list. */
static int write_parts(struct rs_writer *w, const struct ir_part *parts, unsigned n)
{
	int rc = RC_OK;

	if (n == 0 || (n == 1 && is_plain_text(parts))) {
		jw_str(&w->w, n && parts->text.len ? parts->text : STR(""));
		return RC_OK;
	}
	jw_arr(&w->w);
	for (unsigned i = 0; !rc && i < n; i++)
		rc = write_part(w, &parts[i]);
	jw_end_arr(&w->w);
	return rc;
}

/* --- the user's side --- */

static int write_result(struct rs_writer *w, const struct ir_part *p)
{
	struct str id = oc_call_id(w->arena, p->id);
	struct str name = str_present(p->name) ? p->name : ir_request_call_name(w->r, p->id);
	int rc;

	w->failed = w->failed || !id.ptr;
	begin(w, rs_is_custom(w->r, name) ? "custom_tool_call_output" : "function_call_output");
	jw_kstr(&w->w, "call_id", id);
	jw_key(&w->w, "output");
	rc = write_parts(w, p->content, p->n_content);
	jw_end_obj(&w->w);
	if (p->cache != IR_CACHE_NONE)
		lose(w, "cache_control");
	if (p->is_error) /* trap 41: the content says it */
		lose(w, "is_error");
	return rc;
}

static int write_message(struct rs_writer *w, const char *role, const struct ir_message *m,
			 const struct ir_part *parts, unsigned n)
{
	int rc;

	if (str_present(m->name))
		lose(w, "name");
	jw_obj(&w->w);
	jw_kcstr(&w->w, "role", role);
	jw_key(&w->w, "content");
	rc = write_parts(w, parts, n);
	jw_end_obj(&w->w);
	return rc;
}

static int write_user(struct rs_writer *w, const struct ir_message *m)
{
	struct ir_part *said = arena_array(w->arena, m->n_parts + 1, sizeof(*said));
	unsigned n = 0;
	int rc = RC_OK;

	if (!said)
		return err_set(w->reterr, RC_NOMEM,
			       "the request needs more memory than it may use");
	for (unsigned i = 0; !rc && i < m->n_parts; i++) {
		const struct ir_part *p = &m->parts[i];

		if (p->kind == IR_PART_TOOL_RESULT)
			rc = write_result(w, p);
		else if (is_item(p))
			jw_raw(&w->w, p->raw);
		else if (p->kind != IR_PART_TEXT || p->text.len)
			said[n++] = *p;
	}
	if (rc || (n == 0 && m->n_parts))
		return rc;
	return write_message(w, "user", m, said, n);
}

/* --- the model's side --- */

/* What a model of this protocol drew, as the item that it came in; others' is the user's (ir/drawn.h). */
static bool is_drawn(const struct ir_part *p)
{
	return p->kind == IR_PART_IMAGE && rs_minted(p->origin) && str_present(p->raw);
}

static bool goes_out(const struct ir_part *p)
{
	return is_drawn(p) || (p->kind == IR_PART_TEXT && p->text.len) ||
	       p->kind == IR_PART_REFUSAL || p->kind == IR_PART_TOOL_CALL || is_item(p);
}

static bool is_followed(const struct ir_message *m, unsigned at)
{
	for (unsigned i = at + 1; i < m->n_parts; i++) {
		if (goes_out(&m->parts[i]))
			return true;
	}
	return false;
}

/* Reasoning that the target itself has minted, as far as names tell. What a client of this protocol gives back bears nobody's name,
 * whoever minted it (request_items.c). */
static bool is_the_targets(const struct rs_writer *w, const struct ir_part *p)
{
	return p->origin && (strcmp(p->origin, w->minted_by) == 0 ||
			     (rs_minted(p->origin) && rs_minted(w->r->origin)));
}

static bool write_reasoning(struct rs_writer *w, const struct ir_message *m, unsigned at)
{
	const struct ir_part *p = &m->parts[at];
	struct str id, encrypted;

	if (!is_the_targets(w, p) || !p->signature.len || !is_followed(m, at) ||
	    oc_proof_dropped(w->t, p->signature)) {
		lose(w, "reasoning_content");
		return false;
	}
	oc_proof_split(p->signature, &id, &encrypted);
	begin(w, "reasoning");
	if (id.len)
		jw_kstr(&w->w, "id", id);
	jw_key(&w->w, "summary");
	jw_arr(&w->w);
	if (p->text.len) {
		begin(w, "summary_text");
		jw_kstr(&w->w, "text", p->text);
		jw_end_obj(&w->w);
	}
	jw_end_arr(&w->w);
	jw_kstr(&w->w, "encrypted_content", encrypted);
	jw_end_obj(&w->w);
	return true;
}

/* The text of a custom call's {"input":"..."}; the whole when it is not that. */
static struct str custom_input(struct rs_writer *w, struct str arguments)
{
	const json *input = json_get(json_parse(w->arena, arguments, NULL), STR("input"));

	return json_is_str(input) ? json_str(input) : arguments;
}

static void write_call(struct rs_writer *w, const struct ir_part *p)
{
	struct str id = oc_call_id(w->arena, p->id), name = oc_tool_name(w->arena, p->name);
	bool custom = rs_is_custom(w->r, p->name);

	w->failed = w->failed || !id.ptr || !name.ptr;
	begin(w, custom ? "custom_tool_call" : "function_call");
	jw_kstr(&w->w, "call_id", id);
	jw_kstr(&w->w, "name", name);
	if (custom)
		jw_kstr(&w->w, "input", custom_input(w, p->arguments));
	else
		jw_kstr(&w->w, "arguments", p->arguments.len ? p->arguments : STR("{}"));
	jw_end_obj(&w->w);
}

static bool is_said(const struct ir_part *p)
{
	return p->kind == IR_PART_TEXT || p->kind == IR_PART_REFUSAL;
}

static void write_said_part(struct rs_writer *w, const struct ir_part *p)
{
	bool refusal = p->kind == IR_PART_REFUSAL;

	begin(w, refusal ? "refusal" : "output_text");
	jw_kstr(&w->w, refusal ? "refusal" : "text", p->text);
	if (!refusal)
		jw_kraw(&w->w, "annotations",
			str_present(p->citations) && rs_minted(w->r->origin) ? p->citations
									     : STR("[]"));
	jw_end_obj(&w->w);
	if (!refusal && str_present(p->citations) && !rs_minted(w->r->origin))
		lose(w, "citations");
}

/* A run of texts is one message. Alone it is plain text; behind reasoning it has the form that answers have. */
static void write_said(struct rs_writer *w, const struct ir_part *parts, unsigned n, bool plain)
{
	unsigned filled = 0;

	for (unsigned i = 0; i < n; i++) {
		filled += parts[i].text.len > 0;
		plain = plain && parts[i].kind == IR_PART_TEXT && !str_present(parts[i].citations);
		if (parts[i].cache != IR_CACHE_NONE)
			lose(w, "cache_control");
	}
	if (!filled)
		return;
	if (plain) {
		struct str text = ir_parts_text(w->arena, parts, n, STR(""));

		w->failed = w->failed || !text.ptr;
		jw_obj(&w->w);
		jw_kcstr(&w->w, "role", "assistant");
		jw_kstr(&w->w, "content", text);
		jw_end_obj(&w->w);
		return;
	}
	begin(w, "message");
	jw_kcstr(&w->w, "role", "assistant");
	jw_key(&w->w, "content");
	jw_arr(&w->w);
	for (unsigned i = 0; i < n; i++) {
		if (parts[i].text.len)
			write_said_part(w, &parts[i]);
	}
	jw_end_arr(&w->w);
	jw_end_obj(&w->w);
}

static void write_assistant(struct rs_writer *w, const struct ir_message *m)
{
	bool reasoned = false;

	if (str_present(m->name))
		lose(w, "name");
	for (unsigned i = 0; i < m->n_parts; i++) {
		const struct ir_part *p = &m->parts[i];
		unsigned n = 0;

		while (i + n < m->n_parts && is_said(&m->parts[i + n]))
			n++;
		if (n) {
			write_said(w, p, n, !reasoned);
			i += n - 1;
			continue;
		}
		if (p->cache != IR_CACHE_NONE)
			lose(w, "cache_control");
		if (p->kind == IR_PART_REASONING)
			reasoned = write_reasoning(w, m, i) || reasoned;
		else if (p->kind == IR_PART_TOOL_CALL)
			write_call(w, p);
		else if (is_item(p) || is_drawn(p))
			jw_raw(&w->w, p->raw);
		else
			lose(w, p->kind == IR_PART_AUDIO ? "audio" : "content");
	}
}

/* --- all of it --- */

static bool only_text(const struct ir_message *m)
{
	for (unsigned i = 0; i < m->n_parts; i++) {
		if (m->parts[i].kind != IR_PART_TEXT)
			return false;
	}
	return m->n_parts > 0;
}

static int write_turn(struct rs_writer *w, const struct ir_message *m)
{
	bool developer = m->role == IR_ROLE_DEVELOPER && !(w->t->quirks & QUIRK_NO_DEVELOPER_ROLE);

	switch (m->role) {
	case IR_ROLE_SYSTEM:
	case IR_ROLE_DEVELOPER:
		return write_message(w, developer ? "developer" : "system", m, m->parts,
				     m->n_parts);
	case IR_ROLE_USER:
		return write_user(w, m);
	case IR_ROLE_ASSISTANT:
		write_assistant(w, m);
		return RC_OK;
	}
	return RC_OK;
}

static void write_instructions(struct rs_writer *w, const struct ir_message *m)
{
	struct str text = ir_parts_text(w->arena, m->parts, m->n_parts, STR("\n\n"));

	w->failed = w->failed || !text.ptr;
	jw_kstr(&w->w, "instructions", text);
	if (m->name.len)
		lose(w, "name");
	for (unsigned i = 0; i < m->n_parts; i++) {
		if (m->parts[i].cache != IR_CACHE_NONE)
			lose(w, "cache_control");
	}
}

int rs_write_input(struct rs_writer *w)
{
	const struct ir_request *r = w->r;
	unsigned i = 0;
	int rc = RC_OK;

	/* What opens the conversation is what `instructions` are for; alone it must be an item, for there must be one. */
	if (r->n_messages > 1 && r->messages[0].role == IR_ROLE_SYSTEM &&
	    only_text(&r->messages[0]))
		write_instructions(w, &r->messages[i++]);
	jw_key(&w->w, "input");
	jw_arr(&w->w);
	for (; !rc && i < r->n_messages; i++)
		rc = write_turn(w, &r->messages[i]);
	jw_end_arr(&w->w);
	return rc;
}
