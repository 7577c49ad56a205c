/* providers/openai.c - OpenAI's own API: the base URL ends in /v1, the key is a bearer token. */
#include "providers/compose.h"

static const struct protocol *const speaks[] = { &protocol_openai_chat, &protocol_openai_responses,
						 &protocol_openai_completions, NULL };
static const char *const prefixes[] = {
	"gpt-*",     "o1*",       "o3*",       "o4*", "text-embedding-*",
	"chatgpt-*", "davinci-*", "babbage-*", NULL,
};

/* Models from before conversations, and what was tuned from them: they know the Completions API alone, the others all but it. */
static bool only_completes(struct str model)
{
	struct str base = str_starts(model, STR("ft:")) ? str_from_offset(model, 3) : model;

	return str_starts(base, STR("davinci-")) || str_starts(base, STR("babbage-")) ||
	       str_starts(model, STR("gpt-3.5-turbo-instruct"));
}

static bool model_speaks(struct str model, const struct protocol *p)
{
	return only_completes(model) == (p == &protocol_openai_completions);
}

const struct provider provider_openai = {
	.name = "openai",
	.default_base_url = "https://api.openai.com/v1",
	.key_env = "OPENAI_API_KEY",
	.base_url_env = { "OPENAI_BASE_URL", "OPENAI_API_BASE" },
	.base_path = "/v1",
	.compacts = true,
	.key_required = true,
	.speaks = speaks,
	.quirks = QUIRK_ALLOWED_TOOLS | QUIRK_CUSTOM_TOOLS,
	.prefixes = prefixes,
	.prepare = compose_openai,
	.model_speaks = model_speaks,
};
