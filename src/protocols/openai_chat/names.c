/* protocols/openai_chat/names.c - OpenRouter's names for who minted a signature. */
#include "protocols/openai_chat/openai_chat.h"

static const struct {
	const char *origin;
	struct str format;
} formats[] = {
	{ "anthropic-messages", STR_INIT("anthropic-claude-v1") },
	{ "openai-responses", STR_INIT("openai-responses-v1") },
	{ "gemini", STR_INIT("google-gemini-v1") },
};

const char *oc_format_origin(struct str format)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		if (str_eq(format, formats[i].format))
			return formats[i].origin;
	}
	return protocol_find(format) ? protocol_find(format)->name : OC_NAME;
}

const char *oc_origin_format(const char *origin)
{
	for (size_t i = 0; origin && i < sizeof(formats) / sizeof(*formats); i++) {
		if (strcmp(origin, formats[i].origin) == 0)
			return formats[i].format.ptr;
	}
	return origin && !oc_minted(origin) ? origin : "unknown";
}
