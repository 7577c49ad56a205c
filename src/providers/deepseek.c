/* providers/deepseek.c - DeepSeek: OpenAI's protocol, with reasoning that wants to be sent back, at one address; and what goes
 * on with a text that the caller began at another.
 *
 * The hard thing is that a request whose last message is to be continued (`prefix: true`, trap 45) is known only below
 * /beta, and so is filling a gap (Completions): the path depends on the body. */
#include "json/json.h"
#include "providers/compose.h"

static const struct protocol *const speaks[] = { &protocol_openai_chat,
						 &protocol_openai_completions, NULL };
static const char *const prefixes[] = { "deepseek-*", NULL };

static bool continues(struct arena *a, struct str body)
{
	const json *messages, *last = NULL;
	struct json_iter it;

	if (!str_present(body) || str_find(body, STR("\"prefix\"")) < 0)
		return false;
	messages = json_get(json_parse(a, body, NULL), STR("messages"));
	it = json_iter(messages);
	while (json_next(&it))
		last = it.val;
	return json_bool(json_get(last, STR("prefix")), false);
}

static struct str beta_path(struct arena *a, struct str base)
{
	if (str_ends(base, STR("/beta")))
		return base;
	if (str_ends(base, STR("/v1")))
		base.len -= strlen("/v1");
	return arena_printf(a, "%.*s/beta", STR_ARG(base));
}

static int prepare(struct arena *a, const struct prepare_options *o, struct upstream_request *ret,
		   struct err *reterr)
{
	const char *path = compose_openai_path(o);
	bool post = o->op == IR_OP_GENERATE;
	struct compose c;

	if (!path || o->op == IR_OP_EMBED)
		return err_set(reterr, RC_UNSUPPORTED, "the provider has no such operation");
	compose_start(&c, a, o, post ? HTTP_POST : HTTP_GET, ret, reterr);
	compose_key(&c, "authorization", "Bearer ");
	if (post && (strcmp(path, "/completions") == 0 || continues(a, o->body)))
		c.base = beta_path(a, c.base);
	if (!str_present(c.base))
		return err_set(reterr, RC_NOMEM, "out of memory");
	compose_path(&c, "", path, o->op == IR_OP_GET_MODEL ? o->model : STR_NONE, "");
	return compose_end(&c);
}

const struct provider provider_deepseek = {
	.name = "deepseek",
	.default_base_url = "https://api.deepseek.com",
	.key_env = "DEEPSEEK_API_KEY",
	.base_url_env = { "DEEPSEEK_BASE_URL", NULL },
	.key_required = true,
	.quirks = QUIRK_MAX_TOKENS | QUIRK_NO_DEVELOPER_ROLE | QUIRK_SEND_REASONING |
		  QUIRK_NO_JSON_SCHEMA | QUIRK_NO_NULL_CONTENT | QUIRK_PREFIX | QUIRK_THINKING_TYPE,
	.speaks = speaks,
	.prefixes = prefixes,
	.prepare = prepare,
};
