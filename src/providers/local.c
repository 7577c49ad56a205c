/* providers/local.c - a llama-server child of ours, on a Unix socket that the engine makes when it starts one.
 *
 * llama-server does not hold a model to `tool_choice`, but does hold it to a schema; hence the first quirk. No key: the
 * socket's folder is ours alone. */
#include "providers/compose.h"

static const struct protocol *const speaks[] = { &protocol_openai_chat,
						 &protocol_openai_completions, NULL };

static bool embeds(const struct account *acc, struct str model)
{
	for (unsigned i = 0; i < acc->n_local; i++)
		if (str_eq(acc->local[i].name, model))
			return acc->local[i].embeddings;
	return false;
}

static int prepare(struct arena *a, const struct prepare_options *o, struct upstream_request *ret,
		   struct err *reterr)
{
	struct compose c;

	if (o->op != IR_OP_GENERATE && o->op != IR_OP_EMBED)
		return err_set(reterr, RC_UNSUPPORTED, "local models have no such operation");
	if (o->op == IR_OP_EMBED && !embeds(o->account, o->model))
		return err_set(
			reterr, RC_UNSUPPORTED,
			"the local model was not started for embeddings; its operator can say "
			"embeddings: true");
	compose_start(&c, a, o, HTTP_POST, ret, reterr);
	compose_path(&c, "/v1", compose_openai_path(o), STR_NONE, "");
	return compose_end(&c);
}

const struct provider provider_local = {
	.name = "local",
	.quirks = QUIRK_FORCED_TOOL_AS_SCHEMA | QUIRK_NO_DEVELOPER_ROLE | QUIRK_TOP_K |
		  QUIRK_MAX_TOKENS | QUIRK_REPEATS_PREFILL | QUIRK_ONE_ANSWER,
	.speaks = speaks,
	.prepare = prepare,
};
