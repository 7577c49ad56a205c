/* protocols/openai_chat/request_turns.c - the canonical conversation as Chat messages.
 *
 * The hard thing is the user's turn: each of its tool results is a message of its own, which
 * holds text alone; what else a result held (an image) and what the user said beside goes into a user message
 * behind all the results, for nothing may stand between a call and its results (traps 39, 40, 42). */
#include "protocols/openai_chat/openai_chat.h"

#include "protocols/media.h"

#include "base/base64.h"
#include "base/hash.h"

/* --- parts --- */

static void lose(struct oc_writer *w, const char *name)
{
	ir_loss(w->losses, str_from(name));
}

static void lose_part(struct oc_writer *w, const struct ir_part *p, const char *otherwise)
{
	if (ir_part_is_item(p))
		ir_loss(w->losses, p->name);
	else
		lose(w, otherwise);
}

static void begin_part(struct oc_writer *w, const char *type)
{
	jw_obj(&w->w);
	jw_kcstr(&w->w, "type", type);
}

static void write_text_part(struct oc_writer *w, struct str text)
{
	begin_part(w, "text");
	jw_kstr(&w->w, "text", text);
	jw_end_obj(&w->w);
}

/* "data:MIME;base64,DATA", or the URL as it is (trap 52). */
static void write_url(struct oc_writer *w, const char *key, const struct ir_media *m,
		      struct str mime)
{
	if (m->source == IR_MEDIA_URL) {
		jw_kstr(&w->w, key, m->data);
		return;
	}
	jw_key(&w->w, key);
	jw_raw(&w->w, STR("\"data:"));
	json_escape(w->w.out, str_present(m->mime) ? m->mime : mime);
	buf_puts(w->w.out, ";base64,");
	json_escape(w->w.out, m->data);
	buf_putc(w->w.out, '"');
}

static void write_image(struct oc_writer *w, const struct ir_media *m)
{
	begin_part(w, "image_url");
	jw_key(&w->w, "image_url");
	jw_obj(&w->w);
	write_url(w, "url", m, STR("image/png"));
	if (str_present(m->detail))
		jw_kstr(&w->w, "detail", m->detail);
	jw_end_obj(&w->w);
	jw_end_obj(&w->w);
}

static void write_document_text(struct oc_writer *w, const struct ir_media *m)
{
	struct str text = media_document_text(w->arena, m);

	w->failed = w->failed || !text.ptr;
	write_text_part(w, text);
}

static void write_file(struct oc_writer *w, const struct ir_media *m)
{
	begin_part(w, "file");
	jw_key(&w->w, "file");
	jw_obj(&w->w);
	if (m->source == IR_MEDIA_FILE_ID) {
		jw_kstr(&w->w, "file_id", m->data);
		if (m->name.len)
			jw_kstr(&w->w, "filename", m->name);
	} else {
		/* OpenAI insists on a name. */
		jw_kstr(&w->w, "filename", m->name.len ? m->name : STR("document.pdf"));
		write_url(w, "file_data", m, STR("application/pdf"));
	}
	jw_end_obj(&w->w);
	jw_end_obj(&w->w);
}

static void write_audio(struct oc_writer *w, const struct ir_media *m)
{
	begin_part(w, "input_audio");
	jw_key(&w->w, "input_audio");
	jw_obj(&w->w);
	jw_kstr(&w->w, "data", m->data);
	jw_kstr(&w->w, "format",
		m->detail.len                        ? m->detail
		: str_starts(m->mime, STR("audio/")) ? str_from_offset(m->mime, 6)
						     : STR("wav"));
	jw_end_obj(&w->w);
	jw_end_obj(&w->w);
}

/* Why a part of the user's cannot go out; NULL when it can. */
static const char *part_loss(const struct oc_writer *w, const struct ir_part *p)
{
	enum ir_media_source source = p->media.source;

	switch (p->kind) {
	case IR_PART_TEXT:
		return NULL;
	case IR_PART_IMAGE:
		return source == IR_MEDIA_BASE64 || source == IR_MEDIA_URL ? NULL : "image";
	case IR_PART_FILE:
		if (source == IR_MEDIA_BASE64 || source == IR_MEDIA_TEXT)
			return NULL;
		return source == IR_MEDIA_FILE_ID && oc_is_openai(w->r->origin) ? NULL : "document";
	case IR_PART_AUDIO:
		return source == IR_MEDIA_BASE64 ? NULL : "audio";
	case IR_PART_OPAQUE:
		return oc_minted(p->origin) ? NULL : "content";
	case IR_PART_REFUSAL:
	case IR_PART_REASONING:
	case IR_PART_TOOL_CALL:
	case IR_PART_TOOL_RESULT:
		return "content"; /* not a thing of the user's content */
	}
	return "content";
}

static void write_part(struct oc_writer *w, const struct ir_part *p)
{
	switch (p->kind) {
	case IR_PART_TEXT:
	case IR_PART_REFUSAL:
		write_text_part(w, p->text);
		break;
	case IR_PART_IMAGE:
		write_image(w, &p->media);
		break;
	case IR_PART_FILE:
		if (p->media.source == IR_MEDIA_TEXT)
			write_document_text(w, &p->media);
		else
			write_file(w, &p->media);
		break;
	case IR_PART_AUDIO:
		write_audio(w, &p->media);
		break;
	case IR_PART_OPAQUE:
		jw_raw(&w->w, p->raw);
		break;
	case IR_PART_REASONING:
	case IR_PART_TOOL_CALL:
	case IR_PART_TOOL_RESULT:
		break;
	}
}

/* What a part says besides its content and Chat has no place for (trap 93). */
static void note_losses(struct oc_writer *w, const struct ir_part *p)
{
	if (p->cache != IR_CACHE_NONE)
		lose(w, "cache_control");
	if ((p->kind == IR_PART_FILE || p->kind == IR_PART_TEXT) && str_present(p->citations))
		lose(w, "citations");
	if (p->kind == IR_PART_FILE && p->media.source != IR_MEDIA_TEXT && p->media.context.len)
		lose(w, "document.context");
	if (p->kind == IR_PART_FILE && p->media.detail.len && !str_eq(p->media.detail, STR("auto")))
		lose(w, "file.detail");
}

/* --- content --- */

static bool is_text(const struct ir_part *p)
{
	return p->kind == IR_PART_TEXT;
}

static unsigned count_text(const struct ir_part *parts, unsigned n)
{
	unsigned texts = 0;

	for (unsigned i = 0; i < n; i++)
		texts += is_text(&parts[i]) && parts[i].text.len > 0;
	return texts;
}

/* Texts alone: one is a string, several are a list, or are joined where the target takes no list. */
static void write_texts(struct oc_writer *w, const struct ir_part *parts, unsigned n,
			struct str separator, bool join)
{
	struct str joined;

	if (count_text(parts, n) < 2 || join || (w->t->quirks & QUIRK_TEXT_CONTENT)) {
		joined = ir_parts_text(w->arena, parts, n, separator);
		w->failed = w->failed || !joined.ptr;
		jw_str(&w->w, joined);
		return;
	}
	jw_arr(&w->w);
	for (unsigned i = 0; i < n; i++) {
		if (is_text(&parts[i]) && parts[i].text.len) /* trap 43: an empty one is refused */
			write_text_part(w, parts[i].text);
	}
	jw_end_arr(&w->w);
}

/* The user's own parts, and behind `lead` what the results could not hold. */
static void write_parts(struct oc_writer *w, const struct ir_part *parts, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct ir_part *p = &parts[i];
		const char *loss = part_loss(w, p);

		if (p->kind == IR_PART_TOOL_RESULT || (is_text(p) && p->text.len == 0))
			continue;
		note_losses(w, p);
		if (loss)
			lose_part(w, p, loss);
		else
			write_part(w, p);
	}
}

static void begin_message(struct oc_writer *w, const char *role, const struct ir_message *m)
{
	jw_obj(&w->w);
	jw_kcstr(&w->w, "role", role);
	if (m && str_present(m->name) && (w->t->quirks & (QUIRK_NO_LOGPROBS | QUIRK_CORE_FIELDS)))
		ir_loss(w->losses, STR("name"));
	else if (m && str_present(m->name))
		jw_kstr(&w->w, "name", m->name);
}

/* --- system --- */

static void write_system(struct oc_writer *w, const struct ir_message *m)
{
	bool developer = m->role == IR_ROLE_DEVELOPER && !(w->t->quirks & QUIRK_NO_DEVELOPER_ROLE);

	begin_message(w, developer ? "developer" : "system", m);
	jw_key(&w->w, "content");
	/* Joined with a blank line: many servers' templates take a system text only as a string. */
	write_texts(w, m->parts, m->n_parts, STR("\n\n"), true);
	jw_end_obj(&w->w);
	for (unsigned i = 0; i < m->n_parts; i++) {
		note_losses(w, &m->parts[i]);
		if (!is_text(&m->parts[i]))
			lose(w, "content");
	}
}

/* The schema as words, for a target that holds an answer only to being JSON. */
static void write_lent_schema(struct oc_writer *w)
{
	struct str text =
		arena_printf(w->arena,
			     "Answer with a JSON object that follows this JSON schema:\n%.*s",
			     STR_ARG(w->r->format.schema));

	w->failed = w->failed || !text.ptr;
	begin_message(w, "system", NULL);
	jw_kstr(&w->w, "content", text);
	jw_end_obj(&w->w);
}

/* --- user --- */

static bool goes_behind(const struct oc_writer *w, const struct ir_part *p)
{
	return !is_text(p) && !part_loss(w, p) &&
	       !(p->kind == IR_PART_FILE && p->media.source == IR_MEDIA_TEXT);
}

static unsigned count_behind(const struct oc_writer *w, const struct ir_part *result)
{
	unsigned n = 0;

	for (unsigned i = 0; i < result->n_content; i++)
		n += goes_behind(w, &result->content[i]);
	return n;
}

/* The texts of a result; a text document is one of them. */
static void write_result_text(struct oc_writer *w, const struct ir_part *result)
{
	struct ir_part *texts = arena_array(w->arena, result->n_content + 1, sizeof(*texts));
	unsigned n = 0;

	if (!texts) {
		w->failed = true;
		jw_str(&w->w, STR(""));
		return;
	}
	for (unsigned i = 0; i < result->n_content; i++) {
		const struct ir_part *p = &result->content[i];
		const char *loss = part_loss(w, p);

		if (is_text(p))
			texts[n++] = *p;
		else if (p->kind == IR_PART_FILE && p->media.source == IR_MEDIA_TEXT)
			texts[n++] = (struct ir_part){ .kind = IR_PART_TEXT,
						       .text = media_document_text(w->arena,
										   &p->media) };
		else if (loss)
			lose(w, loss);
	}
	if (count_text(texts, n) == 0 && count_behind(w, result))
		texts[n++] = (struct ir_part){
			.kind = IR_PART_TEXT,
			.text = STR("(The result is attached to the next user message.)")
		};
	write_texts(w, texts, n, STR("\n\n"), false);
}

/* Mistral takes nine letters and digits (trap 61): made of any other id, the same in the call and in its result. */
static struct str call_id(struct oc_writer *w, struct str id)
{
	static const char digits[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	enum { LENGTH = 9 };
	char out[LENGTH];
	bool fits = id.len == LENGTH;
	uint64_t h;

	if (!(w->t->quirks & QUIRK_SHORT_TOOL_IDS))
		return oc_call_id(w->arena, id);
	for (size_t i = 0; fits && i < id.len; i++)
		fits = id.ptr[i] && strchr(digits, id.ptr[i]);
	if (fits)
		return id;
	h = hash_fnv(id);
	for (unsigned i = 0; i < LENGTH; i++, h /= 62)
		out[i] = digits[h % 62];
	return arena_dup(w->arena, (struct str){ out, LENGTH });
}

static void write_result(struct oc_writer *w, const struct ir_part *p)
{
	struct str id = call_id(w, p->id);

	w->failed = w->failed || !id.ptr;
	begin_message(w, "tool", NULL);
	jw_kstr(&w->w, "tool_call_id", id);
	jw_key(&w->w, "content");
	write_result_text(w, p);
	jw_end_obj(&w->w);
	note_losses(w, p);
	for (unsigned i = 0; i < p->n_content; i++)
		note_losses(w, &p->content[i]);
	if (p->is_error) /* trap 41: the content says it, the flag has no place */
		lose(w, "is_error");
}

static void write_behind(struct oc_writer *w, const struct ir_part *result)
{
	struct str lead;

	if (!count_behind(w, result))
		return;
	lead = arena_printf(w->arena, "Attached to the result of %.*s (%.*s):",
			    STR_ARG(str_present(result->name) ? result->name
							      : STR("the tool call")),
			    STR_ARG(result->id));
	w->failed = w->failed || !lead.ptr;
	write_text_part(w, lead);
	for (unsigned i = 0; i < result->n_content; i++) {
		if (goes_behind(w, &result->content[i]))
			write_part(w, &result->content[i]);
	}
}

static void write_user(struct oc_writer *w, const struct ir_message *m)
{
	unsigned results = 0, behind = 0, others = 0;
	bool only_text = true;

	for (unsigned i = 0; i < m->n_parts; i++) {
		const struct ir_part *p = &m->parts[i];

		if (p->kind == IR_PART_TOOL_RESULT) {
			write_result(w, p);
			results++;
			behind += count_behind(w, p);
			continue;
		}
		if (part_loss(w, p)) { /* alone it must not leave an empty list behind */
			lose_part(w, p, part_loss(w, p));
			note_losses(w, p);
			continue;
		}
		others += !is_text(p) || p->text.len > 0;
		only_text = only_text && is_text(p);
	}
	if ((results || ir_message_is_items(m)) && !behind && !others)
		return;
	begin_message(w, "user", m);
	jw_key(&w->w, "content");
	if (only_text && !behind) {
		for (unsigned i = 0; i < m->n_parts; i++)
			if (is_text(&m->parts[i]))
				note_losses(w, &m->parts[i]);
		write_texts(w, m->parts, m->n_parts, STR("\n\n"), false);
	} else {
		jw_arr(&w->w);
		for (unsigned i = 0; i < m->n_parts; i++)
			if (m->parts[i].kind == IR_PART_TOOL_RESULT)
				write_behind(w, &m->parts[i]);
		write_parts(w, m->parts, m->n_parts);
		jw_end_arr(&w->w);
	}
	jw_end_obj(&w->w);
}

/* --- assistant --- */

static unsigned count_kind(const struct ir_message *m, enum ir_part_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_parts; i++)
		n += m->parts[i].kind == kind;
	return n;
}

static bool has_seal(const struct oc_writer *w, const struct ir_part *p)
{
	if (p->kind != IR_PART_REASONING || (!p->signature.len && !str_present(p->redacted)))
		return false;
	return !minter_has_items(p->origin) || !oc_proof_dropped(w->t, p->signature);
}

static void write_detail(struct oc_writer *w, const struct ir_part *p, unsigned index)
{
	bool sealed = has_seal(w, p);

	if (!sealed && p->signature.len)
		lose(w, "reasoning_content");
	oc_detail_write(&w->w, &(struct oc_detail){ .index = index,
						    .origin = p->origin,
						    .text = p->text,
						    .signature = sealed ? p->signature : STR_NONE,
						    .redacted = p->redacted });
}

/* A proof of Gemini's before the call it is of, where the target takes it with the call. */
static bool is_call_proof(const struct oc_writer *w, const struct ir_message *m, unsigned i)
{
	const struct ir_part *p = &m->parts[i];

	return (w->t->quirks & QUIRK_GOOGLE_SIGNATURES) && p->kind == IR_PART_REASONING &&
	       !p->text.len && p->signature.len && p->origin && strcmp(p->origin, OC_GOOGLE) == 0 &&
	       i + 1 < m->n_parts && m->parts[i + 1].kind == IR_PART_TOOL_CALL;
}

/* All of the reasoning, or none: who reads details reads nothing else. */
static void write_details(struct oc_writer *w, const struct ir_message *m)
{
	bool any = false;
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_parts; i++)
		any = any || (has_seal(w, &m->parts[i]) && !is_call_proof(w, m, i));
	if (!any)
		return;
	jw_key(&w->w, "reasoning_details");
	jw_arr(&w->w);
	for (unsigned i = 0; i < m->n_parts; i++) {
		const struct ir_part *p = &m->parts[i];

		if (p->kind == IR_PART_REASONING && (p->text.len || has_seal(w, p)) &&
		    !is_call_proof(w, m, i))
			write_detail(w, p, n++);
	}
	jw_end_arr(&w->w);
}

/* Trap 46: only some want their reasoning back; most answer 400 to it. */
static void write_reasoning(struct oc_writer *w, const struct ir_message *m)
{
	bool first = true;
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_parts; i++)
		n += m->parts[i].kind == IR_PART_REASONING && !is_call_proof(w, m, i);
	if (!n)
		return;
	if (!(w->t->quirks & QUIRK_SEND_REASONING)) {
		lose(w, "reasoning_content");
		return;
	}
	for (unsigned i = 0; i < m->n_parts; i++) {
		const struct ir_part *p = &m->parts[i];

		if (p->kind != IR_PART_REASONING || !p->text.len)
			continue;
		if (first) {
			jw_key(&w->w, w->t->quirks & QUIRK_REASONING_FIELD ? "reasoning"
									   : "reasoning_content");
			jw_raw(&w->w, STR("\""));
		}
		first = false;
		json_escape(w->w.out, p->text);
	}
	if (!first)
		buf_putc(w->w.out, '"');
	write_details(w, m);
}

static void write_call(struct oc_writer *w, const struct ir_part *p, const struct ir_part *proof)
{
	struct str id = call_id(w, p->id), name = oc_tool_name(w->arena, p->name);
	struct jw *j = &w->w;

	w->failed = w->failed || !id.ptr || !name.ptr;
	jw_obj(j);
	jw_kstr(j, "id", id);
	if ((w->t->quirks & QUIRK_CUSTOM_TOOLS) && oc_is_custom(w->r, p->name)) {
		jw_kcstr(j, "type", "custom");
		jw_key(j, "custom");
		jw_obj(j);
		jw_kstr(j, "name", p->name);
		jw_kstr(j, "input", oc_unwrap_input(w->arena, p->arguments));
		jw_end_obj(j);
		jw_end_obj(j);
		return;
	}
	jw_kcstr(j, "type", "function");
	jw_key(j, "function");
	jw_obj(j);
	jw_kstr(j, "name", name);
	jw_kstr(j, "arguments", p->arguments.len ? p->arguments : STR("{}"));
	jw_end_obj(j);
	if (proof)
		oc_write_google(j, proof->signature);
	jw_end_obj(j);
}

/* A call of a kind nobody knows, kept raw: told from other opaque parts by its id. */
static bool is_raw_call(const struct ir_part *p)
{
	return p->kind == IR_PART_OPAQUE && oc_minted(p->origin) && p->id.len;
}

static unsigned write_calls(struct oc_writer *w, const struct ir_message *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_parts; i++) {
		const struct ir_part *p = &m->parts[i];

		if (p->kind != IR_PART_TOOL_CALL && !is_raw_call(p))
			continue;
		if (n++ == 0) {
			jw_key(&w->w, "tool_calls");
			jw_arr(&w->w);
		}
		if (p->kind == IR_PART_TOOL_CALL)
			write_call(w, p, i > 0 && is_call_proof(w, m, i - 1) ? p - 1 : NULL);
		else
			jw_raw(&w->w, p->raw);
	}
	if (n)
		jw_end_arr(&w->w);
	return n;
}

static bool has_calls(const struct ir_message *m)
{
	for (unsigned i = 0; i < m->n_parts; i++) {
		if (m->parts[i].kind == IR_PART_TOOL_CALL || is_raw_call(&m->parts[i]))
			return true;
	}
	return false;
}

/* What OpenAI's model said aloud, and OpenAI keeps. */
static bool is_own_audio(const struct oc_writer *w, const struct ir_part *p)
{
	return p->kind == IR_PART_AUDIO && p->media.source == IR_MEDIA_FILE_ID &&
	       oc_minted(w->r->origin);
}

static void note_assistant_losses(struct oc_writer *w, const struct ir_message *m)
{
	for (unsigned i = 0; i < m->n_parts; i++) {
		const struct ir_part *p = &m->parts[i];

		note_losses(w, p);
		if (p->kind == IR_PART_AUDIO && !is_own_audio(w, p))
			lose(w, "audio");
		else if ((p->kind == IR_PART_IMAGE && part_loss(w, p)) || p->kind == IR_PART_FILE ||
			 p->kind == IR_PART_TOOL_RESULT ||
			 (p->kind == IR_PART_OPAQUE && !is_raw_call(p)))
			lose_part(w, p, p->kind == IR_PART_IMAGE ? "image" : "content");
	}
}

/* What the model drew: only where the target takes it (quirk), else it is the user's (ir/drawn.h). */
static void write_drawn(struct oc_writer *w, const struct ir_message *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_parts; i++) {
		const struct ir_part *p = &m->parts[i];

		if (p->kind != IR_PART_IMAGE || part_loss(w, p))
			continue;
		if (n++ == 0) {
			jw_key(&w->w, "images");
			jw_arr(&w->w);
		}
		write_image(w, &p->media);
	}
	if (n)
		jw_end_arr(&w->w);
}

/* Trap 45: the last word is the assistant's, begun by the caller. */
static bool is_prefill(const struct oc_writer *w, const struct ir_message *m)
{
	return m == w->r->messages + w->r->n_messages - 1 && !has_calls(m);
}

static void write_assistant(struct oc_writer *w, const struct ir_message *m)
{
	bool silent = count_text(m->parts, m->n_parts) == 0;
	bool null = silent && (has_calls(m) || count_kind(m, IR_PART_REFUSAL));

	note_assistant_losses(w, m);
	if (ir_message_is_items(m))
		return;
	begin_message(w, "assistant", m);
	jw_key(&w->w, "content");
	if (null && !(w->t->quirks & QUIRK_NO_NULL_CONTENT)) /* trap 44 */
		jw_null(&w->w);
	else
		write_texts(w, m->parts, m->n_parts, STR(""), false);
	write_reasoning(w, m);
	for (unsigned i = 0; i < m->n_parts; i++) {
		const struct ir_part *p = &m->parts[i];

		if (p->kind == IR_PART_REFUSAL && p->text.len) {
			jw_kstr(&w->w, "refusal", p->text);
			break;
		}
		if (is_own_audio(w, p)) {
			jw_key(&w->w, "audio");
			jw_obj(&w->w);
			jw_kstr(&w->w, "id", p->media.data);
			jw_end_obj(&w->w);
		}
	}
	write_drawn(w, m);
	(void)write_calls(w, m);
	if ((w->t->quirks & QUIRK_PREFIX) && is_prefill(w, m))
		jw_kbool(&w->w, "prefix", true);
	jw_end_obj(&w->w);
}

/* How many messages from `m` on are one turn of the assistant. Elsewhere turns in a row are one turn (trap 38);
 * here each message's calls must be answered before the next, so those in a row become one message. */
static unsigned turn_length(const struct oc_writer *w, const struct ir_message *m)
{
	const struct ir_message *end = w->r->messages + w->r->n_messages, *at = m;

	if (m->role == IR_ROLE_ASSISTANT) {
		while (at + 1 < end && at[1].role == IR_ROLE_ASSISTANT && has_calls(at))
			at++;
	}
	return (unsigned)(at - m) + 1;
}

static void write_turn(struct oc_writer *w, const struct ir_message *m, unsigned n)
{
	struct ir_message turn = *m;
	struct ir_part *parts;

	turn.n_parts = 0;
	for (unsigned i = 0; i < n; i++)
		turn.n_parts += m[i].n_parts;
	turn.parts = parts = arena_array(w->arena, turn.n_parts + 1, sizeof(*parts));
	if (!parts) {
		w->failed = true;
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		if (m[i].n_parts)
			memcpy(parts, m[i].parts, m[i].n_parts * sizeof(*parts));
		parts += m[i].n_parts;
	}
	write_assistant(w, &turn);
}

void oc_write_messages(struct oc_writer *w)
{
	unsigned length;

	jw_arr(&w->w);
	if (w->lent_schema)
		write_lent_schema(w);
	for (unsigned i = 0; i < w->r->n_messages; i += length) {
		const struct ir_message *m = &w->r->messages[i];

		length = turn_length(w, m);
		switch (m->role) {
		case IR_ROLE_SYSTEM:
		case IR_ROLE_DEVELOPER:
			write_system(w, m);
			break;
		case IR_ROLE_USER:
			write_user(w, m);
			break;
		case IR_ROLE_ASSISTANT:
			if (length > 1)
				write_turn(w, m, length);
			else
				write_assistant(w, m);
			break;
		}
	}
	jw_end_arr(&w->w);
}
