/* protocols/ollama/request_turns.c - the canonical conversation as Ollama's messages, or as its one prompt.
 *
 * Ollama's message has one string of text and a bare list of pictures in base64 (trap 52): it fetches nothing, so a picture's
 * URL cannot go there, and this gateway fetches nothing on a client's behalf either. What the model was to see and cannot is
 * refused, never left out. Each tool result is a message of its own with the tool's name (trap 39 undone). */
#include "ir/fit.h"
#include "protocols/ollama/ollama.h"

#include "protocols/media.h"

static int refuse(struct ol_writer *w, const char *what)
{
	return err_param(w->reterr, RC_UNSUPPORTED, "messages", "%s", what);
}

/* What of a part's properties has no place here. */
static void note_losses(struct ol_writer *w, const struct ir_part *p)
{
	if (p->cache != IR_CACHE_NONE)
		ol_lose(w, "cache_control");
	if (str_present(p->citations))
		ol_lose(w, "citations");
	if (str_present(p->media.detail) && p->kind == IR_PART_IMAGE &&
	    !str_eq(p->media.detail, STR("auto")))
		ol_lose(w, "image_url.detail");
}

/* Texts and pictures that go into one message. */
struct content {
	struct ir_part *texts;
	const struct ir_part **images;
	unsigned n_texts, n_images;
};

static int take_file(struct ol_writer *w, const struct ir_part *p, struct content *c)
{
	struct str text;

	if (p->media.source != IR_MEDIA_TEXT)
		return refuse(w, "documents other than plain text cannot be sent to Ollama");
	text = media_document_text(w->arena, &p->media);
	w->failed = w->failed || !text.ptr;
	c->texts[c->n_texts++] = (struct ir_part){ .kind = IR_PART_TEXT, .text = text };
	return RC_OK;
}

/* Whose it is decides: what the user shows must be seen, what the model drew can be told where it lies. */
static int take_image(struct ol_writer *w, const struct ir_part *p, bool drawn, struct content *c)
{
	struct str words;

	if (p->media.source == IR_MEDIA_BASE64) {
		c->images[c->n_images++] = p;
		return RC_OK;
	}
	words = drawn ? ir_picture_words(w->arena, p->media.data) : STR_NONE;
	if (!str_present(words))
		return refuse(w, "pictures for Ollama must be sent as data, not by URL");
	c->texts[c->n_texts++] = (struct ir_part){ .kind = IR_PART_TEXT, .text = words };
	return RC_OK;
}

static int take_part(struct ol_writer *w, const struct ir_part *p, bool assistant,
		     struct content *c)
{
	note_losses(w, p);
	switch (p->kind) {
	case IR_PART_TEXT:
	case IR_PART_REFUSAL: /* the assistant's words all the same */
		if (p->text.len)
			c->texts[c->n_texts++] =
				(struct ir_part){ .kind = IR_PART_TEXT, .text = p->text };
		return RC_OK;
	case IR_PART_IMAGE:
		return take_image(w, p, assistant, c);
	case IR_PART_FILE:
		return take_file(w, p, c);
	case IR_PART_AUDIO:
		return refuse(w, "audio cannot be sent to Ollama");
	case IR_PART_OPAQUE:
		ir_loss(w->losses, ir_part_is_item(p) ? p->name : STR("content"));
		return RC_OK;
	case IR_PART_REASONING:
	case IR_PART_TOOL_CALL:
	case IR_PART_TOOL_RESULT:
		return RC_OK;
	}
	return RC_OK;
}

static int take_parts(struct ol_writer *w, const struct ir_part *parts, unsigned n, bool assistant,
		      struct content *c)
{
	int rc = RC_OK;

	*c = (struct content){ .texts = arena_array(w->arena, n + 1, sizeof(*c->texts)),
			       .images = arena_array(w->arena, n + 1, sizeof(*c->images)) };
	if (!c->texts || !c->images) {
		w->failed = true;
		return RC_OK;
	}
	for (unsigned i = 0; !rc && i < n; i++)
		rc = take_part(w, &parts[i], assistant, c);
	return rc;
}

static void write_images(struct ol_writer *w, const struct content *c)
{
	if (!c->n_images)
		return;
	jw_key(&w->w, "images");
	jw_arr(&w->w);
	for (unsigned i = 0; i < c->n_images; i++)
		jw_str(&w->w, c->images[i]->media.data);
	jw_end_arr(&w->w);
}

static void write_text(struct ol_writer *w, const char *key, const struct content *c,
		       struct str between)
{
	struct str text = ir_parts_text(w->arena, c->texts, c->n_texts, between);

	w->failed = w->failed || !text.ptr;
	jw_kstr(&w->w, key, text);
}

static void begin(struct ol_writer *w, const char *role, const struct ir_message *m)
{
	jw_obj(&w->w);
	jw_kcstr(&w->w, "role", role);
	if (m && m->name.len)
		ol_lose(w, "name");
}

static int write_plain(struct ol_writer *w, const char *role, const struct ir_message *m)
{
	struct content c;
	int rc = take_parts(w, m->parts, m->n_parts, false, &c);

	if (rc || w->failed || ir_message_is_items(m))
		return rc;
	begin(w, role, m);
	write_text(w, "content", &c, STR("\n\n"));
	write_images(w, &c);
	jw_end_obj(&w->w);
	return RC_OK;
}

/* --- the assistant's turn --- */

/* Its text; proofs are other vendors' and mean nothing here. */
static void write_thinking(struct ol_writer *w, const struct ir_message *m)
{
	bool open = false;

	for (unsigned i = 0; i < m->n_parts; i++) {
		const struct ir_part *p = &m->parts[i];

		if (p->kind != IR_PART_REASONING)
			continue;
		if (p->signature.len || str_present(p->redacted))
			ol_lose(w, "reasoning_content");
		if (!p->text.len)
			continue;
		if (!open) {
			jw_key(&w->w, "thinking");
			jw_raw(&w->w, STR("\""));
		}
		open = true;
		json_escape(w->w.out, p->text);
	}
	if (open)
		buf_putc(w->w.out, '"');
}

/* Arguments are an object here, not its text: what is none (a model of old wrote it) is sent as the only argument. */
static void write_arguments(struct ol_writer *w, struct str text)
{
	const json *v = json_parse(w->arena, text, NULL);

	jw_key(&w->w, "arguments");
	if (json_is_obj(v) || text.len == 0) {
		jw_raw(&w->w, text.len ? text : STR("{}"));
		return;
	}
	jw_obj(&w->w);
	jw_kstr(&w->w, "input", text);
	jw_end_obj(&w->w);
}

static void write_calls(struct ol_writer *w, const struct ir_message *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_parts; i++) {
		const struct ir_part *p = &m->parts[i];

		if (p->kind != IR_PART_TOOL_CALL)
			continue;
		if (n == 0) {
			jw_key(&w->w, "tool_calls");
			jw_arr(&w->w);
		}
		jw_obj(&w->w);
		jw_kstr(&w->w, "id", p->id);
		jw_key(&w->w, "function");
		jw_obj(&w->w);
		jw_ki64(&w->w, "index", n++);
		jw_kstr(&w->w, "name", p->name);
		write_arguments(w, p->arguments);
		jw_end_obj(&w->w);
		jw_end_obj(&w->w);
	}
	if (n)
		jw_end_arr(&w->w);
}

static int write_assistant(struct ol_writer *w, const struct ir_message *m)
{
	struct content c;
	int rc = take_parts(w, m->parts, m->n_parts, true, &c);

	if (rc || w->failed || ir_message_is_items(m))
		return rc;
	begin(w, "assistant", m);
	write_text(w, "content", &c, STR(""));
	write_thinking(w, m);
	write_images(w, &c);
	write_calls(w, m);
	jw_end_obj(&w->w);
	return RC_OK;
}

/* --- the user's turn --- */

static int write_result(struct ol_writer *w, const struct ir_part *p)
{
	struct str name = str_present(p->name) ? p->name : ir_request_call_name(w->r, p->id);
	struct content c;
	int rc = take_parts(w, p->content, p->n_content, false, &c);

	if (rc || w->failed)
		return rc;
	note_losses(w, p);
	if (p->is_error) /* trap 41: the content says it, the flag has no place */
		ol_lose(w, "is_error");
	begin(w, "tool", NULL);
	write_text(w, "content", &c, STR("\n\n"));
	write_images(w, &c);
	if (name.len)
		jw_kstr(&w->w, "tool_name", name);
	jw_kstr(&w->w, "tool_call_id", p->id);
	jw_end_obj(&w->w);
	return RC_OK;
}

static int write_user(struct ol_writer *w, const struct ir_message *m)
{
	bool results = false, more = false;
	int rc = RC_OK;

	for (unsigned i = 0; !rc && i < m->n_parts; i++) {
		const struct ir_part *p = &m->parts[i];

		if (p->kind == IR_PART_TOOL_RESULT) {
			rc = write_result(w, p);
			results = true;
		} else if (ir_part_is_item(p)) {
			ir_loss(w->losses, p->name);
		} else {
			more = more || p->kind != IR_PART_TEXT || p->text.len;
		}
	}
	if (rc || (results && !more))
		return rc;
	return write_plain(w, "user", m);
}

int ol_write_messages(struct ol_writer *w)
{
	int rc = RC_OK;

	jw_key(&w->w, "messages");
	jw_arr(&w->w);
	for (unsigned i = 0; !rc && i < w->r->n_messages; i++) {
		const struct ir_message *m = &w->r->messages[i];

		switch (m->role) {
		case IR_ROLE_SYSTEM:
		case IR_ROLE_DEVELOPER: /* trap 36 */
			rc = write_plain(w, "system", m);
			break;
		case IR_ROLE_USER:
			rc = write_user(w, m);
			break;
		case IR_ROLE_ASSISTANT:
			rc = write_assistant(w, m);
			break;
		}
	}
	if (rc)
		return rc;
	jw_end_arr(&w->w);
	return RC_OK;
}

/* --- one prompt --- */

static bool is_system(const struct ir_message *m)
{
	return m->role == IR_ROLE_SYSTEM || m->role == IR_ROLE_DEVELOPER;
}

/* All that operators said, in one. */
static int write_system(struct ol_writer *w)
{
	struct content c;
	struct ir_part *all;
	unsigned n = 0, room = 0;
	int rc;

	for (unsigned i = 0; i < w->r->n_messages; i++)
		room += is_system(&w->r->messages[i]) ? w->r->messages[i].n_parts : 0;
	all = arena_array(w->arena, room + 1, sizeof(*all));
	w->failed = w->failed || !all;
	if (!room || !all)
		return RC_OK;
	for (unsigned i = 0; i < w->r->n_messages; i++) {
		const struct ir_message *m = &w->r->messages[i];

		for (unsigned k = 0; is_system(m) && k < m->n_parts; k++)
			all[n++] = m->parts[k];
	}
	rc = take_parts(w, all, n, false, &c);
	if (!rc && !w->failed)
		write_text(w, "system", &c, STR("\n\n"));
	return rc;
}

int ol_write_prompt(struct ol_writer *w)
{
	const struct ir_message *user = NULL;
	struct content c;
	int rc;

	for (unsigned i = 0; i < w->r->n_messages; i++) {
		const struct ir_message *m = &w->r->messages[i];

		if (is_system(m))
			continue;
		if (user || m->role != IR_ROLE_USER)
			return refuse(w, "a conversation of several turns is no prompt for "
					 "/api/generate; use ollama-chat");
		user = m;
	}
	if (!user)
		return refuse(w, "there is no prompt");
	for (unsigned i = 0; i < user->n_parts; i++)
		if (user->parts[i].kind == IR_PART_TOOL_RESULT)
			return refuse(w, "/api/generate knows no tools; use ollama-chat");
	rc = write_system(w);
	if (!rc)
		rc = take_parts(w, user->parts, user->n_parts, false, &c);
	if (rc || w->failed)
		return rc;
	if (user->name.len)
		ol_lose(w, "name");
	write_text(w, "prompt", &c, STR("\n\n"));
	write_images(w, &c);
	return RC_OK;
}
