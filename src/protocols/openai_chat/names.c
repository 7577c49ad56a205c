/* protocols/openai_chat/names.c - words for what OpenAI has none: OpenRouter's for pictures and for who minted a signature, Google's for
 * its own.
 *
 * A format that stands in no line is its own origin: whoever minted it, the broker has to find its word again. */
#include "protocols/openai_chat/openai_chat.h"

static const struct {
	const char *origin;
	struct str format;
} formats[] = {
	{ "anthropic-messages", STR_INIT("anthropic-claude-v1") },
	{ "gemini", STR_INIT("google-gemini-v1") },
	{ "openai-responses", STR_INIT("openai-responses-v1") },
};

const char *oc_format_origin(struct arena *a, struct str format)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		if (str_eq(format, formats[i].format))
			return formats[i].origin;
	}
	if (!format.len || str_eq(format, STR("unknown")) || str_chr(format, '.') >= 0)
		return OC_NAME;
	return protocol_find(format) ? protocol_find(format)->name : arena_dup(a, format).ptr;
}

const char *oc_origin_format(const char *origin)
{
	for (size_t i = 0; origin && i < sizeof(formats) / sizeof(*formats); i++) {
		if (strcmp(origin, formats[i].origin) == 0)
			return formats[i].format.ptr;
	}
	return origin && !oc_minted(origin) ? origin : "unknown";
}

void oc_write_google(struct jw *w, struct str signature)
{
	jw_key(w, "extra_content");
	jw_obj(w);
	jw_key(w, "google");
	jw_obj(w);
	jw_kstr(w, "thought_signature", signature);
	jw_end_obj(w);
	jw_end_obj(w);
}

struct str oc_read_google(const json *v)
{
	const json *google = json_get(json_get(v, STR("extra_content")), STR("google"));

	return json_str(json_get(google, STR("thought_signature")));
}

struct str oc_image_url(const json *image)
{
	const json *url = json_is_str(image) ? image : json_get(image, STR("image_url"));

	return json_str(json_is_obj(url) ? json_get(url, STR("url")) : url);
}
