/* providers/openai.c - OpenAI's own API: the base URL ends in /v1, the key is a bearer token.
 *
 * The type is also given to what stands at another address: a proxy before OpenAI, or a server that knows all of its protocols.
 * Whether such a server refuses what OpenAI refuses is not known, so it is spared nothing: the address decides. */
#include "providers/compose.h"

static const struct protocol *const speaks[] = { &protocol_openai_chat, &protocol_openai_responses,
						 &protocol_openai_completions, NULL };
static const char *const prefixes[] = {
	"gpt-*",     "o1*",       "o3*",       "o4*", "text-embedding-*",
	"chatgpt-*", "davinci-*", "babbage-*", NULL,
};

static enum count_form counts(const struct account *acc, const struct protocol *p)
{
	(void)acc;
	return p == &protocol_openai_responses ? COUNT_OWN : COUNT_NEVER;
}

static unsigned account_quirks(const struct account *acc)
{
	return provider_host_is(acc, STR("openai.com")) ? QUIRK_STRICT_MESSAGES : 0;
}

const struct provider provider_openai = {
	.name = "openai",
	.default_base_url = "https://api.openai.com/v1",
	.key_env = "OPENAI_API_KEY",
	.base_url_env = { "OPENAI_BASE_URL", "OPENAI_API_BASE" },
	.base_path = "/v1",
	.compacts = true,
	.counts = counts,
	.key_required = true,
	.speaks = speaks,
	.quirks = QUIRK_ALLOWED_TOOLS | QUIRK_CUSTOM_TOOLS,
	.account_quirks = account_quirks,
	.prefixes = prefixes,
	.prepare = compose_openai,
	.model_speaks = compose_openai_model_speaks,
	.wants = compose_openai_wants,
};
