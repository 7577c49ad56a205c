/* protocols/media.c - documents as text, data as URLs, and the first bytes of the few kinds of data that models look at. */
#include "protocols/media.h"

#include "base/base64.h"

struct str media_document_text(struct arena *a, const struct ir_media *m)
{
	const char *after_name = m->name.len ? "\n\n" : "",
		   *after_context = m->context.len ? "\n\n" : "";

	if (!m->name.len && !m->context.len)
		return m->data;
	return arena_printf(a, "%.*s%s%.*s%s%.*s", STR_ARG(m->name), after_name,
			    STR_ARG(m->context), after_context, STR_ARG(m->data));
}

struct str media_sniff(struct arena *a, struct str base64)
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
	if (str_starts(b, STR("%PDF")))
		return STR("application/pdf");
	return STR_NONE;
}

void media_read_url(struct str url, struct ir_media *m)
{
	struct str head = url, data;
	ptrdiff_t comma = str_chr(url, ',');

	m->source = IR_MEDIA_URL;
	m->data = url;
	if (!str_istarts(url, STR("data:")) || comma < 0)
		return;
	head = (struct str){ url.ptr + 5, (size_t)comma - 5 };
	data = str_from_offset(url, (size_t)comma + 1);
	if (!str_ends(head, STR(";base64")))
		return;
	head.len -= strlen(";base64");
	m->source = IR_MEDIA_BASE64;
	m->data = data;
	head = str_cut(&head, ';'); /* parameters do not matter */
	if (head.len)
		m->mime = head;
}

struct str media_lost(struct str mime)
{
	if (str_istarts(mime, STR("image/")))
		return STR("answer.image");
	if (str_istarts(mime, STR("audio/")))
		return STR("answer.audio");
	return str_istarts(mime, STR("video/")) ? STR("answer.video") : STR("answer.file");
}

struct str media_data_url(struct arena *a, struct str mime, struct str base64)
{
	return arena_printf(a, "data:%.*s;base64,%.*s", STR_ARG(mime), STR_ARG(base64));
}
