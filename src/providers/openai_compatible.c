/* providers/openai_compatible.c - any server that speaks OpenAI's protocol at a base URL of its own; a key is optional.
 *
 * Some of them speak Anthropic's protocol beside it, below the same base URL (`protocols:` in the configuration says
 * so). Which of the two headers such a server takes its key from differs, so it gets both. */
#include "providers/compose.h"

static const struct protocol *const speaks[] = { &protocol_openai_chat,
						 &protocol_openai_completions, NULL };

static int prepare(struct arena *a, const struct prepare_options *o, struct upstream_request *ret,
		   struct err *reterr)
{
	struct compose c = { .arena = a, .o = o, .ret = ret, .reterr = reterr };
	int rc;

	if (o->protocol != &protocol_anthropic_messages)
		return compose_openai(a, o, ret, reterr);
	rc = compose_anthropic(a, o, "", ret, reterr);
	if (rc)
		return rc;
	compose_key(&c, "authorization", "Bearer ");
	return compose_end(&c);
}

/* Google's endpoint for OpenAI's clients, whichever host and path of Google's it is. */
static unsigned account_quirks(const struct account *acc)
{
	return str_ends(acc->origin.host, STR(".googleapis.com")) ? QUIRK_GOOGLE_SIGNATURES : 0;
}

const struct provider provider_openai_compatible = {
	.name = "openai-compatible",
	.account_quirks = account_quirks,
	.speaks = speaks,
	.prepare = prepare,
};
