/* protocols/gemini/request_parts.c - one part of a message as the vendor's part.
 *
 * The one hard thing: an input the model would not see must never vanish unsaid. What has no part here is refused with the
 * reason; only what another vendor minted for itself is left out, and disclosed. */
#include <stdio.h>

#include "base/base64.h"
#include "json/scan.h"
#include "protocols/gemini/gemini.h"

#include "protocols/media.h"
#include "protocols/tool_names.h"

struct str gm_tool_name(struct arena *a, struct str name)
{
	return tool_name_fit(a, name, "_-.:");
}

struct str gm_tool_name_restore(const struct ir_request *r, struct str name)
{
	return tool_name_restore(r, name, "_-.:");
}

static int refuse(const struct gm_writer *w, unsigned message, enum rc code, const char *what)
{
	char at[64];

	(void)snprintf(at, sizeof(at), "messages[%u].content", message);
	return err_param(w->reterr, code, at, "%s: %s", at, what);
}

static void put_signature(struct gm_writer *w, struct str signature)
{
	if (signature.len)
		jw_kstr(&w->w, "thoughtSignature", signature);
}

/* --- media --- */

/* What the first bytes say the data is; absent when they say nothing we know. */
static struct str sniff(struct arena *a, struct str base64)
{
	struct str head = { base64.ptr, base64.len < 24 ? base64.len / 4 * 4 : 24 };
	struct str b = head.len ? base64_decode(a, head) : STR("");

	if (str_starts(b, STR("\x89PNG\r\n")))
		return STR("image/png");
	if (str_starts(b, STR("\xff\xd8\xff")))
		return STR("image/jpeg");
	if (str_starts(b, STR("GIF8")))
		return STR("image/gif");
	if (str_starts(b, STR("RIFF")) && b.len >= 12 && memcmp(b.ptr + 8, "WEBP", 4) == 0)
		return STR("image/webp");
	if (str_starts(b, STR("RIFF")) && b.len >= 12 && memcmp(b.ptr + 8, "WAVE", 4) == 0)
		return STR("audio/wav");
	if (str_starts(b, STR("%PDF")))
		return STR("application/pdf");
	return STR_NONE;
}

static const struct {
	struct str ending, mime;
} endings[] = {
	{ STR_INIT(".png"), STR_INIT("image/png") },
	{ STR_INIT(".jpg"), STR_INIT("image/jpeg") },
	{ STR_INIT(".jpeg"), STR_INIT("image/jpeg") },
	{ STR_INIT(".webp"), STR_INIT("image/webp") },
	{ STR_INIT(".gif"), STR_INIT("image/gif") },
	{ STR_INIT(".heic"), STR_INIT("image/heic") },
	{ STR_INIT(".pdf"), STR_INIT("application/pdf") },
	{ STR_INIT(".mp3"), STR_INIT("audio/mp3") },
	{ STR_INIT(".wav"), STR_INIT("audio/wav") },
	{ STR_INIT(".mp4"), STR_INIT("video/mp4") },
	{ STR_INIT(".txt"), STR_INIT("text/plain") },
};

struct str gm_mime_of_url(struct str url)
{
	struct str path = str_cut(&url, '?');

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		struct str tail = str_from_offset(path, path.len > endings[i].ending.len
								? path.len - endings[i].ending.len
								: path.len);

		if (str_ieq(tail, endings[i].ending))
			return endings[i].mime;
	}
	return STR_NONE;
}

static struct str mime_of(struct gm_writer *w, const struct ir_part *p)
{
	const struct ir_media *m = &p->media;
	struct str seen = m->source == IR_MEDIA_BASE64 ? sniff(w->arena, m->data) : STR_NONE;

	if (p->kind == IR_PART_IMAGE && str_starts(seen, STR("image/")))
		return seen; /* the bytes decide (trap 53) */
	if (m->mime.len)
		return m->mime;
	if (p->kind == IR_PART_AUDIO && m->detail.len)
		return arena_printf(w->arena, "audio/%.*s", STR_ARG(m->detail));
	return m->source == IR_MEDIA_BASE64 ? seen : gm_mime_of_url(m->data);
}

static void put_uri(struct gm_writer *w, struct str uri, struct str mime)
{
	jw_key(&w->w, "fileData");
	jw_obj(&w->w);
	if (mime.len)
		jw_kstr(&w->w, "mimeType", mime);
	jw_kstr(&w->w, "fileUri", uri);
	jw_end_obj(&w->w);
}

/* The vendor fetches from the public web and from its own stores, but only over TLS (trap 52). */
static int put_media(struct gm_writer *w, const struct ir_part *p, unsigned message)
{
	const struct ir_media *m = &p->media;
	struct str mime = mime_of(w, p);

	switch (m->source) {
	case IR_MEDIA_URL:
		if (!str_istarts(m->data, STR("https://")))
			return refuse(w, message, RC_UNSUPPORTED,
				      "the provider fetches https:// addresses only; send the data "
				      "as base64 instead");
		put_uri(w, m->data, mime);
		return RC_OK;
	case IR_MEDIA_FILE_ID:
		if (!gm_minted(w->r->origin))
			return refuse(w, message, RC_UNSUPPORTED,
				      "the id of a file stored with another provider means nothing "
				      "to this one; send the file's data instead");
		put_uri(w, m->data, mime);
		return RC_OK;
	case IR_MEDIA_BASE64:
		if (!mime.len)
			return refuse(w, message, RC_UNSUPPORTED,
				      "the provider must be told what kind of data it is (a media "
				      "type)");
		jw_key(&w->w, "inlineData");
		jw_obj(&w->w);
		jw_kstr(&w->w, "mimeType", mime);
		jw_kstr(&w->w, "data", m->data);
		jw_end_obj(&w->w);
		return RC_OK;
	case IR_MEDIA_TEXT:
		break;
	}
	return RC_OK;
}

static int put_media_part(struct gm_writer *w, const struct ir_part *p, struct str signature,
			  unsigned message)
{
	bool document = p->media.source == IR_MEDIA_TEXT;
	int rc = RC_OK;

	if (p->kind == IR_PART_IMAGE && str_present(p->media.detail) &&
	    !str_eq(p->media.detail, STR("auto")))
		ir_loss(w->losses, STR("image_url.detail"));
	if (p->kind == IR_PART_FILE && p->media.name.len && !document)
		ir_loss(w->losses, STR("filename"));
	if (p->media.context.len && !document)
		ir_loss(w->losses, STR("document.context"));
	if (p->kind == IR_PART_FILE && p->media.detail.len && !str_eq(p->media.detail, STR("auto")))
		ir_loss(w->losses, STR("file.detail"));
	jw_obj(&w->w);
	if (document) {
		struct str text = media_document_text(w->arena, &p->media);

		if (!str_present(text))
			return err_set(w->reterr, RC_NOMEM, "out of memory");
		jw_kstr(&w->w, "text", text);
	} else {
		rc = put_media(w, p, message);
	}
	put_signature(w, signature);
	jw_end_obj(&w->w);
	return rc;
}

/* What a part says besides its content and Google has no place for. */
static void note_losses(struct gm_writer *w, const struct ir_part *p)
{
	if (p->cache != IR_CACHE_NONE)
		ir_loss(w->losses, STR("cache_control"));
	if ((p->kind == IR_PART_FILE || p->kind == IR_PART_TEXT) && str_present(p->citations))
		ir_loss(w->losses, STR("citations"));
}

/* --- calls and results --- */

static int put_name(struct gm_writer *w, struct str name)
{
	name = gm_tool_name(w->arena, name);
	if (!str_present(name))
		return err_set(w->reterr, RC_NOMEM, "out of memory");
	jw_kstr(&w->w, "name", name);
	return RC_OK;
}

/* Arguments that are empty or no JSON at all (a model was cut) become {}; JSON that is no object is the client's mistake
 * (trap 59). The text stays as it is (60). */
static int put_call(struct gm_writer *w, const struct ir_part *p, struct str signature,
		    unsigned message)
{
	struct str args = p->arguments;
	int rc;

	if (json_scan(args, NULL, 0, NULL) != RC_OK) {
		if (str_trim(args).len && json_parse(w->arena, args, NULL))
			return refuse(w, message, RC_INVALID,
				      "the arguments of a tool call should be a JSON object");
		args = STR("{}");
	}
	jw_obj(&w->w);
	jw_key(&w->w, "functionCall");
	jw_obj(&w->w);
	if (p->id.len)
		jw_kstr(&w->w, "id", p->id);
	rc = put_name(w, p->name);
	jw_kraw(&w->w, "args", args);
	jw_end_obj(&w->w);
	put_signature(w, signature);
	jw_end_obj(&w->w);
	return rc;
}

static bool is_media(const struct ir_part *p)
{
	return (p->kind == IR_PART_IMAGE || p->kind == IR_PART_FILE || p->kind == IR_PART_AUDIO) &&
	       p->media.source != IR_MEDIA_TEXT;
}

/* The texts of a result, text documents among them. */
static struct str result_text(struct gm_writer *w, const struct ir_part *p)
{
	struct str text = STR_NONE;
	struct buf b;

	buf_init(&b, SIZE_MAX / 4);
	for (unsigned i = 0; i < p->n_content; i++) {
		const struct ir_part *c = &p->content[i];
		bool document = c->kind == IR_PART_FILE && c->media.source == IR_MEDIA_TEXT;

		if (c->kind == IR_PART_OPAQUE)
			ir_loss(w->losses, STR("messages"));
		note_losses(w, c);
		if (c->kind != IR_PART_TEXT && !document)
			continue;
		if (buf_len(&b))
			buf_puts(&b, "\n");
		buf_put(&b, document ? media_document_text(w->arena, &c->media) : c->text);
	}
	if (buf_ok(&b))
		text = arena_dup(w->arena, buf_str(&b));
	buf_done(&b);
	return text;
}

/* An object goes as it is, all else is wrapped in one (trap 58). */
static int put_response(struct gm_writer *w, const struct ir_part *p)
{
	struct str text = result_text(w, p);

	if (!str_present(text))
		return err_set(w->reterr, RC_NOMEM, "out of memory");
	jw_key(&w->w, "response");
	if (!p->is_error && json_scan(text, NULL, 0, NULL) == RC_OK) {
		jw_raw(&w->w, text);
		return RC_OK;
	}
	jw_obj(&w->w);
	jw_kstr(&w->w, p->is_error ? "error" : "output", text);
	jw_end_obj(&w->w);
	return RC_OK;
}

static int put_result(struct gm_writer *w, const struct ir_part *p, unsigned message)
{
	struct str name = w->call_name; /* trap 57 */
	bool inside = gm_is_third(w->t->model), some = false;
	int rc;

	if (!name.len)
		name = p->name;
	if (!name.len)
		return refuse(w, message, RC_INVALID,
			      "the turn before has no tool call with the id of this tool result");
	jw_obj(&w->w);
	jw_key(&w->w, "functionResponse");
	jw_obj(&w->w);
	if (p->id.len)
		jw_kstr(&w->w, "id", p->id);
	rc = put_name(w, name);
	if (!rc)
		rc = put_response(w, p);
	for (unsigned i = 0; !rc && inside && i < p->n_content; i++) {
		if (!is_media(&p->content[i]))
			continue;
		if (!some) {
			jw_key(&w->w, "parts");
			jw_arr(&w->w);
		}
		some = true;
		rc = put_media_part(w, &p->content[i], STR_NONE, message);
	}
	if (some)
		jw_end_arr(&w->w);
	jw_end_obj(&w->w);
	jw_end_obj(&w->w);
	return rc;
}

int gm_write_result_media(struct gm_writer *w, const struct ir_part *p, unsigned message)
{
	int rc = RC_OK;

	for (unsigned i = 0; !rc && !gm_is_third(w->t->model) && i < p->n_content; i++)
		if (is_media(&p->content[i]))
			rc = put_media_part(w, &p->content[i], STR_NONE, message);
	return rc;
}

/* --- parts --- */

static void put_text(struct gm_writer *w, struct str text, struct str signature)
{
	jw_obj(&w->w);
	jw_kstr(&w->w, "text", text);
	put_signature(w, signature);
	jw_end_obj(&w->w);
}

static void put_thought(struct gm_writer *w, const struct ir_part *p)
{
	jw_obj(&w->w);
	jw_kstr(&w->w, "text", p->text);
	jw_kbool(&w->w, "thought", true);
	put_signature(w, p->signature);
	jw_end_obj(&w->w);
}

bool gm_part_vanishes(const struct ir_part *p)
{
	switch (p->kind) {
	case IR_PART_TEXT:
	case IR_PART_REFUSAL:
		return p->text.len == 0;
	case IR_PART_REASONING: /* the vendor reads only its own */
		return !gm_minted(p->origin) || (p->text.len == 0 && p->signature.len == 0);
	case IR_PART_IMAGE:
	case IR_PART_FILE:
	case IR_PART_AUDIO:
	case IR_PART_TOOL_CALL:
	case IR_PART_TOOL_RESULT:
	case IR_PART_OPAQUE:
		break;
	}
	return false;
}

int gm_write_part(struct gm_writer *w, const struct ir_part *p, struct str signature,
		  unsigned message)
{
	note_losses(w, p);
	switch (p->kind) {
	case IR_PART_TEXT:
	case IR_PART_REFUSAL:
		put_text(w, p->text, signature);
		return RC_OK;
	case IR_PART_IMAGE:
	case IR_PART_FILE:
	case IR_PART_AUDIO:
		return put_media_part(w, p, signature, message);
	case IR_PART_TOOL_CALL:
		return put_call(w, p, signature, message);
	case IR_PART_TOOL_RESULT:
		return put_result(w, p, message);
	case IR_PART_REASONING:
		put_thought(w, p);
		return RC_OK;
	case IR_PART_OPAQUE:
		if (!gm_minted(p->origin))
			return refuse(w, message, RC_UNSUPPORTED,
				      "a part of a kind that only another provider understands");
		jw_raw(&w->w, p->raw);
		return RC_OK;
	}
	return RC_OK;
}
