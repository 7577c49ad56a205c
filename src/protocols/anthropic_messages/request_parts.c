/* protocols/anthropic_messages/request_parts.c - one part of a message as the vendor's block.
 *
 * The one hard thing: an input the model would not see must never vanish unsaid. What has no block
 * here is refused with the reason; only what another vendor minted for itself (its reasoning, its
 * proofs) is left out, and disclosed.
 */
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/utf8.h"
#include "json/scan.h"
#include "protocols/anthropic_messages/anthropic_messages.h"
#include "protocols/media.h"

void am_write_cache(struct jw *w, enum ir_cache c)
{
	if (c == IR_CACHE_NONE)
		return;
	jw_key(w, "cache_control");
	jw_obj(w);
	jw_kcstr(w, "type", "ephemeral");
	if (c == IR_CACHE_5M)
		jw_kcstr(w, "ttl", "5m");
	else if (c == IR_CACHE_1H)
		jw_kcstr(w, "ttl", "1h");
	jw_end_obj(w);
}

/* --- ids: valid ones pass; others become "gwx_" and a text where each byte that is not a letter,
 * digit or '-' is _HH --- */

#define ID_PREFIX "gwx_"

static bool id_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-';
}

struct str am_tool_id_encode(struct arena *a, struct str id)
{
	static const char hex[] = "0123456789abcdef";
	bool valid = id.len > 0 && !str_starts(id, STR(ID_PREFIX));
	char *to;
	size_t n = sizeof(ID_PREFIX) - 1;

	for (size_t i = 0; i < id.len; i++)
		valid &= id_plain(id.ptr[i]) || id.ptr[i] == '_';
	if (valid)
		return id;
	to = arena_alloc_raw(a, n + 3 * id.len);
	if (!to)
		return STR_NONE;
	memcpy(to, ID_PREFIX, n);
	for (size_t i = 0; i < id.len; i++) {
		unsigned char c = (unsigned char)id.ptr[i];

		if (id_plain((char)c)) {
			to[n++] = (char)c;
			continue;
		}
		to[n++] = '_';
		to[n++] = hex[c >> 4];
		to[n++] = hex[c & 15];
	}
	return (struct str){ to, n };
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct str am_tool_id_decode(struct arena *a, struct str id)
{
	struct str in = str_from_offset(id, sizeof(ID_PREFIX) - 1);
	char *to;
	size_t n = 0;

	if (!str_starts(id, STR(ID_PREFIX)))
		return id;
	to = arena_alloc_raw(a, in.len + 1);
	if (!to)
		return STR_NONE;
	for (size_t i = 0; i < in.len; i++) {
		int high, low;

		if (in.ptr[i] != '_') {
			to[n++] = in.ptr[i];
			continue;
		}
		high = i + 1 < in.len ? hex_value(in.ptr[i + 1]) : -1;
		low = i + 2 < in.len ? hex_value(in.ptr[i + 2]) : -1;
		if (high < 0 || low < 0)
			return id; /* not of our making */
		to[n++] = (char)(high << 4 | low);
		i += 2;
	}
	/* Bytes that are no text would make a body of ours invalid. */
	return utf8_valid((struct str){ to, n }) ? (struct str){ to, n } : id;
}

/* --- media --- */

static int refuse(const struct am_writer *w, unsigned message, enum rc code, const char *what)
{
	char at[64];

	(void)snprintf(at, sizeof(at), "messages[%u].content", message);
	return err_param(w->reterr, code, at, "%s: %s", at, what);
}

static bool image_type(struct str mime)
{
	return str_eq(mime, STR("image/png")) || str_eq(mime, STR("image/jpeg")) ||
	       str_eq(mime, STR("image/gif")) || str_eq(mime, STR("image/webp"));
}

static void put_source(struct jw *w, const char *type, struct str mime, const char *key,
		       struct str data)
{
	jw_key(w, "source");
	jw_obj(w);
	jw_kcstr(w, "type", type);
	if (str_present(mime))
		jw_kstr(w, "media_type", mime);
	jw_kstr(w, key, data);
	jw_end_obj(w);
}

/* Sources that need no look inside. RC_NOTFOUND: the data is here, see to it. */
static int put_plain_source(struct am_writer *w, const struct ir_media *m, unsigned message)
{
	switch (m->source) {
	case IR_MEDIA_URL:
		put_source(&w->w, "url", STR_NONE, "url", m->data);
		return RC_OK;
	case IR_MEDIA_FILE_ID:
		if (!am_minted(w->r->origin))
			return refuse(w, message, RC_UNSUPPORTED,
				      "the id of a file stored with another provider means nothing "
				      "to this one; send "
				      "the file's data instead");
		put_source(&w->w, "file", STR_NONE, "file_id", m->data);
		return RC_OK;
	case IR_MEDIA_BASE64:
	case IR_MEDIA_TEXT:
		break;
	}
	return RC_NOTFOUND;
}

/* The vendor refuses a media_type that does not match the bytes (trap 53), so the bytes decide. */
static int put_image(struct am_writer *w, const struct ir_part *p, unsigned message)
{
	struct str seen, mime = p->media.mime;
	int rc;

	if (str_present(p->media.detail) && !str_eq(p->media.detail, STR("auto")))
		ir_loss(w->losses, STR("image_url.detail"));
	rc = put_plain_source(w, &p->media, message);
	if (rc != RC_NOTFOUND)
		return rc;
	seen = p->media.source == IR_MEDIA_BASE64 ? media_sniff(w->arena, p->media.data) : STR_NONE;
	if (image_type(seen))
		mime = seen;
	else if (str_ieq(mime, STR("image/jpg")))
		mime = STR("image/jpeg");
	if (!image_type(mime) || p->media.source != IR_MEDIA_BASE64)
		return refuse(w, message, RC_UNSUPPORTED,
			      "the provider takes images as image/jpeg, image/png, image/gif or "
			      "image/webp");
	put_source(&w->w, "base64", mime, "data", p->media.data);
	return RC_OK;
}

static int put_document(struct am_writer *w, const struct ir_part *p, unsigned message)
{
	const struct ir_media *m = &p->media;
	struct str text;
	int rc = put_plain_source(w, m, message);

	if (rc != RC_NOTFOUND)
		return rc;
	if (m->source == IR_MEDIA_TEXT) {
		put_source(&w->w, "text", STR("text/plain"), "data", m->data);
		return RC_OK;
	}
	if (str_eq(m->mime, STR("application/pdf")) ||
	    str_eq(media_sniff(w->arena, m->data), STR("application/pdf"))) {
		put_source(&w->w, "base64", STR("application/pdf"), "data", m->data);
		return RC_OK;
	}
	text = str_istarts(m->mime, STR("text/")) || str_ieq(m->mime, STR("application/json"))
		       ? base64_decode(w->arena, m->data)
		       : STR_NONE;
	if (!str_present(text) || !utf8_valid(text))
		return refuse(w, message, RC_UNSUPPORTED,
			      "the provider takes files as PDF or plain text");
	put_source(&w->w, "text", STR("text/plain"), "data", text);
	return RC_OK;
}

/* --- blocks --- */

static void put_text(struct am_writer *w, const struct ir_part *p)
{
	jw_obj(&w->w);
	jw_kcstr(&w->w, "type", "text");
	jw_kstr(&w->w, "text", p->text);
	if (p->kind == IR_PART_TEXT && str_present(p->citations) && am_minted(w->r->origin)) {
		const json *citations = json_parse(w->arena, p->citations, NULL);

		jw_key(&w->w, "citations");
		if (!am_write_citations(&w->w, citations))
			ir_loss(w->losses, STR("citations"));
	} else if (str_present(p->citations)) {
		ir_loss(w->losses, STR("citations"));
	}
	am_write_cache(&w->w, p->cache);
	jw_end_obj(&w->w);
}

static int put_file(struct am_writer *w, const struct ir_part *p, unsigned message)
{
	int rc;

	jw_obj(&w->w);
	jw_kcstr(&w->w, "type", "document");
	rc = put_document(w, p, message);
	if (rc)
		return rc;
	if (p->media.name.len)
		jw_kstr(&w->w, "title", p->media.name);
	if (p->media.context.len)
		jw_kstr(&w->w, "context", p->media.context);
	if (p->media.detail.len && !str_eq(p->media.detail, STR("auto")))
		ir_loss(w->losses, STR("file.detail"));
	if (str_present(p->citations) && am_minted(w->r->origin))
		jw_kraw(&w->w, "citations", p->citations);
	am_write_cache(&w->w, p->cache);
	jw_end_obj(&w->w);
	return RC_OK;
}

/* Arguments that are empty or no JSON at all (a model was cut) become {}; JSON that is no object is
 * the client's mistake (trap 59). */
static int put_call(struct am_writer *w, const struct ir_part *p, unsigned message)
{
	struct str id = am_tool_id_encode(w->arena, p->id), input = p->arguments;

	if (!str_present(id))
		return err_set(w->reterr, RC_NOMEM, "out of memory");
	if (json_scan(input, NULL, 0, NULL) != RC_OK) {
		if (str_trim(input).len && json_parse(w->arena, input, NULL))
			return refuse(w, message, RC_INVALID,
				      "the arguments of a tool call should be a JSON object");
		input = STR("{}");
	}
	jw_obj(&w->w);
	jw_kcstr(&w->w, "type", "tool_use");
	jw_kstr(&w->w, "id", id);
	jw_kstr(&w->w, "name", p->name);
	jw_kraw(&w->w, "input", input);
	am_write_cache(&w->w, p->cache);
	jw_end_obj(&w->w);
	return RC_OK;
}

static int put_result(struct am_writer *w, const struct ir_part *p, unsigned message)
{
	struct str id = am_tool_id_encode(w->arena, p->id);
	int rc = RC_OK;

	if (!str_present(id))
		return err_set(w->reterr, RC_NOMEM, "out of memory");
	jw_obj(&w->w);
	jw_kcstr(&w->w, "type", "tool_result");
	jw_kstr(&w->w, "tool_use_id", id);
	jw_key(&w->w, "content");
	jw_arr(&w->w);
	for (unsigned i = 0; !rc && i < p->n_content; i++) {
		if (p->content[i].kind == IR_PART_TOOL_RESULT)
			rc = refuse(w, message, RC_INVALID, "a tool result may not hold another");
		else if (!am_part_vanishes(w, &p->content[i]))
			rc = am_write_part(w, &p->content[i], message);
	}
	if (rc)
		return rc;
	jw_end_arr(&w->w);
	if (p->is_error)
		jw_kbool(&w->w, "is_error", true);
	am_write_cache(&w->w, p->cache);
	jw_end_obj(&w->w);
	return RC_OK;
}

/* Thinking that the target itself has minted, as far as names and what is remembered tell. What a client of this protocol gives back
 * bears nobody's name, whoever minted it. */
static bool is_the_targets(const struct am_writer *w, const struct ir_part *p)
{
	struct str proof = p->redacted.len ? p->redacted : p->signature;
	struct proof_check *check = w->t->proofs;

	if (!proof.len || !p->origin ||
	    (strcmp(p->origin, w->minted_by) != 0 &&
	     !(am_minted(p->origin) && am_minted(w->r->origin))))
		return false;
	if (!check || !check->drops(check, proof, STR_NONE))
		return true;
	check->dropped(check, proof, STR_NONE);
	return false;
}

/* Unchanged, or the vendor says no (traps 46, 48). */
static void put_reasoning(struct am_writer *w, const struct ir_part *p)
{
	bool own = is_the_targets(w, p);

	jw_obj(&w->w);
	if (own && p->redacted.len) {
		jw_kcstr(&w->w, "type", "redacted_thinking");
		jw_kstr(&w->w, "data", p->redacted);
	} else {
		jw_kcstr(&w->w, "type", "thinking");
		jw_kstr(&w->w, "thinking", str_present(p->text) ? p->text : STR(""));
		jw_kstr(&w->w, "signature",
			own && str_present(p->signature) ? p->signature : STR(""));
	}
	jw_end_obj(&w->w);
}

bool am_part_vanishes(const struct am_writer *w, const struct ir_part *p)
{
	switch (p->kind) {
	case IR_PART_TEXT:
	case IR_PART_REFUSAL:
		return str_trim(p->text).len == 0; /* trap 43: refused even beside other blocks */
	case IR_PART_REASONING:
		if (is_the_targets(w, p))
			return false;
		/* Servers that only borrow the format want the text back; the vendor wants its
		 * signature (trap 47). */
		return !(w->t->quirks & QUIRK_SEND_REASONING) || p->text.len == 0;
	case IR_PART_OPAQUE:
		return ir_part_is_item(p) && !am_minted(p->origin);
	case IR_PART_IMAGE:
	case IR_PART_FILE:
	case IR_PART_AUDIO:
	case IR_PART_TOOL_CALL:
	case IR_PART_TOOL_RESULT:
		return false;
	}
	return false;
}

int am_write_part(struct am_writer *w, const struct ir_part *p, unsigned message)
{
	int rc;

	switch (p->kind) {
	case IR_PART_TEXT:
	case IR_PART_REFUSAL:
		if (str_present(p->raw) && am_minted(p->origin))
			jw_raw(&w->w, p->raw);
		else
			put_text(w, p);
		return RC_OK;
	case IR_PART_IMAGE:
		jw_obj(&w->w);
		jw_kcstr(&w->w, "type", "image");
		rc = put_image(w, p, message);
		if (rc)
			return rc;
		am_write_cache(&w->w, p->cache);
		jw_end_obj(&w->w);
		return RC_OK;
	case IR_PART_FILE:
		return put_file(w, p, message);
	case IR_PART_AUDIO:
		return refuse(w, message, RC_UNSUPPORTED,
			      "the provider's models do not hear audio; send a transcript");
	case IR_PART_TOOL_CALL:
		return put_call(w, p, message);
	case IR_PART_TOOL_RESULT:
		return put_result(w, p, message);
	case IR_PART_REASONING:
		put_reasoning(w, p);
		return RC_OK;
	case IR_PART_OPAQUE:
		if (!am_minted(p->origin))
			return refuse(w, message, RC_UNSUPPORTED,
				      "a part of a kind that only another provider understands");
		jw_raw(&w->w, p->raw);
		return RC_OK;
	}
	return RC_OK;
}
