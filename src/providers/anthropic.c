/* providers/anthropic.c - Anthropic's API: the key in x-api-key, a version in every request, /v1 in the paths.
 *
 * The hard thing is that models differ in what they take: newer ones want an effort and refuse a
 * thinking budget (trap 85), and max_tokens is demanded though the client may have said none (trap 67). */
#include "providers/compose.h"

static const struct protocol *const speaks[] = { &protocol_anthropic_messages, NULL };
static const char *const prefixes[] = { "claude-*", "anthropic-*", NULL };

/* First match counts. Output limits are those of the vendor's model pages. */
static const struct {
	const char *glob;
	int64_t max_output;
	bool adaptive;
} models[] = {
	{ "*claude-3-haiku*", 4096, false },
	{ "*claude-3-sonnet*", 4096, false },
	{ "*claude-3-opus*", 4096, false },
	{ "*claude-3-5-*", 8192, false },
	{ "*claude-3-7-sonnet*", 64000, false },
	{ "*claude-opus-4-0*", 32000, false },
	{ "*claude-opus-4-1*", 32000, false },
	{ "*claude-opus-4-2*", 32000, false }, /* claude-opus-4-20250514 */
	{ "*claude-opus-4-5*", 64000, false },
	{ "*claude-opus-4-6*", 128000, true },
	{ "*claude-opus-4-7*", 128000, true },
	{ "*claude-opus-4-8*", 128000, true },
	{ "*claude-sonnet-4-6*", 128000, true },
	{ "*claude-sonnet-4*", 64000, false },
	{ "*claude-haiku-4*", 64000, false },
	{ "*claude-opus-5*", 128000, true },
	{ "*claude-sonnet-5*", 128000, true },
	{ "*claude-haiku-5*", 64000, true },
	{ "*claude-fable-*", 128000, true },
	{ "*claude-mythos-*", 128000, true },
	{ "*claude-2*", 4096, false },
	{ "*claude-instant*", 4096, false },
	{ "*claude-*", 32000, false },
};

static int prepare(struct arena *a, const struct prepare_options *o, struct upstream_request *ret,
		   struct err *reterr)
{
	return compose_anthropic(a, o, "/v1", ret, reterr);
}

static bool adaptive_thinking(struct str model)
{
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (str_glob(str_from(models[i].glob), model))
			return models[i].adaptive;
	return false;
}

static int64_t default_max_tokens(struct str model)
{
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (str_glob(str_from(models[i].glob), model))
			return models[i].max_output;
	return 0;
}

const struct provider provider_anthropic = {
	.name = "anthropic",
	.default_base_url = "https://api.anthropic.com",
	.key_env = "ANTHROPIC_API_KEY",
	.base_url_env = { "ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE" },
	.stray_path = "/v1",
	.key_required = true,
	.speaks = speaks,
	.prefixes = prefixes,
	.prepare = prepare,
	.adaptive_thinking = adaptive_thinking,
	.default_max_tokens = default_max_tokens,
};
