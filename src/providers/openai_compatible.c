/* providers/openai_compatible.c - any server that speaks OpenAI's protocol at a base URL of its own; a key is optional.
 *
 * Some of them speak Anthropic's protocol beside it, below the same base URL (`protocols:` in the configuration says
 * so). Which of the two headers such a server takes its key from differs, so it gets both. */
#include "providers/compose.h"

static const struct protocol *const speaks[] = { &protocol_openai_chat,
						 &protocol_openai_completions, NULL };

static bool speaks_of(const struct account *acc, const struct protocol *p)
{
	for (unsigned i = 0; i < PROVIDER_MAX_PROTOCOLS && acc->speaks[i]; i++)
		if (acc->speaks[i] == p)
			return true;
	return false;
}

/* Vendors' own protocols have an endpoint for it, which few others have; Chat has one at llama-server, and vLLM another. */
static enum count_form counts(const struct account *acc, const struct protocol *p)
{
	bool vendors = p == &protocol_openai_responses || p == &protocol_anthropic_messages;

	if (vendors)
		return acc->quirks & QUIRK_COUNTS_TOKENS ? COUNT_OWN : COUNT_UNKNOWN;
	if (p != &protocol_openai_chat)
		return COUNT_NEVER;
	if (acc->quirks & QUIRK_TOKENIZE)
		return COUNT_TOKENIZE;
	return (acc->quirks & QUIRK_COUNTS_TOKENS) && !speaks_of(acc, &protocol_openai_responses) &&
			       !speaks_of(acc, &protocol_anthropic_messages)
		       ? COUNT_OWN
		       : COUNT_NEVER;
}

/* Chat's own way is llama-server's. vLLM's stands beside /v1, and needs no key, which it gets as all else does. */
static int prepare_chat_count(struct arena *a, const struct prepare_options *o,
			      struct upstream_request *ret, struct err *reterr)
{
	bool tokenize = counts(o->account, o->protocol) == COUNT_TOKENIZE;
	struct compose c;

	compose_start(&c, a, o, HTTP_POST, ret, reterr);
	compose_key(&c, "authorization", "Bearer ");
	if (tokenize && str_ends(c.base, STR("/v1")))
		c.base.len -= strlen("/v1");
	compose_path(&c, "", tokenize ? "/tokenize" : "/chat/completions/input_tokens", STR_NONE,
		     "");
	return compose_end(&c);
}

static int prepare(struct arena *a, const struct prepare_options *o, struct upstream_request *ret,
		   struct err *reterr)
{
	struct compose c = { .arena = a, .o = o, .ret = ret, .reterr = reterr };
	int rc;

	if (o->op == IR_OP_COUNT_TOKENS && o->protocol == &protocol_openai_chat)
		return prepare_chat_count(a, o, ret, reterr);
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
	.counts = counts,
	.speaks = speaks,
	.prepare = prepare,
};
