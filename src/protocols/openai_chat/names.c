/* protocols/openai_chat/names.c - OpenRouter's names for who minted a signature.
 *
 * A format that stands in no line is its own origin: whoever minted it, the broker has to find its word again. */
#include "protocols/openai_chat/openai_chat.h"

static const struct {
	const char *origin;
	struct str format;
	bool item; /* proofs are those of items: an `id` and a `data` */
} formats[] = {
	{ "anthropic-messages", STR_INIT("anthropic-claude-v1"), false },
	{ "gemini", STR_INIT("google-gemini-v1"), false },
	{ "openai-responses", STR_INIT("openai-responses-v1"), true },
	{ "azure-openai-responses-v1", STR_INIT("azure-openai-responses-v1"), true },
	{ "xai-responses-v1", STR_INIT("xai-responses-v1"), true },
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

bool oc_origin_has_items(const char *origin)
{
	for (size_t i = 0; origin && i < sizeof(formats) / sizeof(*formats); i++) {
		if (strcmp(origin, formats[i].origin) == 0)
			return formats[i].item;
	}
	return false;
}
