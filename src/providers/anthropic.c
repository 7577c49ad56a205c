/* providers/anthropic.c - Anthropic's API: the key in x-api-key, a version in every request, /v1 in the paths.
 *
 * What its models take differs, and is in models.def: newer ones want an effort and refuse a thinking budget
 * (trap 85), those before Claude 3.7 cannot think, and max_tokens is demanded though the client may have said none (trap 67). */
#include "providers/compose.h"
#include "providers/models.h"

static const struct protocol *const speaks[] = { &protocol_anthropic_messages,
						 &protocol_anthropic_complete, NULL };
static const char *const prefixes[] = { "claude-*", "anthropic-*", NULL };

static int prepare(struct arena *a, const struct prepare_options *o, struct upstream_request *ret,
		   struct err *reterr)
{
	return compose_anthropic(a, o, "/v1", ret, reterr);
}

static enum count_form counts(const struct account *acc, const struct protocol *p)
{
	(void)acc;
	return p == &protocol_anthropic_messages ? COUNT_OWN : COUNT_NEVER;
}

/* Models from before Messages; they know both, newer ones Messages alone. */
static const char *const completes[] = { "claude-2*", "claude-instant*", "claude-1*", "claude-v1*",
					 NULL };

static bool model_speaks(struct str model, const struct protocol *p)
{
	if (p != &protocol_anthropic_complete)
		return true;
	for (unsigned i = 0; completes[i]; i++)
		if (str_glob(str_from(completes[i]), model))
			return true;
	return false;
}

static struct model_wants wants(struct str model)
{
	const struct model_facts *facts = model_facts(model);

	return (struct model_wants){
		.adaptive_thinking = facts && (facts->can & MODEL_EFFORT),
		.never_thinks = facts && !(facts->can & MODEL_REASONING),
		.max_output = facts ? facts->max_output : 0,
	};
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
	.counts = counts,
	.prepare = prepare,
	.model_speaks = model_speaks,
	.wants = wants,
};
