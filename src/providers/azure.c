/* providers/azure.c - Azure OpenAI and Foundry: OpenAI's protocols below paths of Azure's own, the key in `api-key` or a token of Entra.
 *
 * The hard thing is that the same resource is reached in three ways, and that people paste whichever address their portal
 * shows. What the base URL and `api_version` say decides:
 *
 *	base URL ends in      api_version   a request goes to
 *	(nothing), /openai    no            /openai/v1/chat/completions, the deployment is the body's model
 *	                      yes           /openai/deployments/{model}/chat/completions?api-version=...
 *	/openai/v1            either        base URL + /chat/completions, with api-version where given
 *	/deployments/{d}      either        base URL + /chat/completions?api-version=..., whatever the model's name
 *	/models               either        Foundry: base URL + /chat/completions?api-version=...
 */
#include "providers/compose.h"

#define FOUNDRY_VERSION "2024-05-01-preview"
#define DEPLOYMENT_VERSION "2024-10-21"

static const struct protocol *const speaks[] = { &protocol_openai_chat, &protocol_openai_responses,
						 &protocol_openai_completions, NULL };

enum form { FORM_V1, FORM_V1_BASE, FORM_DEPLOYMENT, FORM_DEPLOYMENT_BASE, FORM_FOUNDRY };

static enum form form_of(const struct account *acc)
{
	struct str base = acc->origin.base_path;

	if (str_ends(base, STR("/models")))
		return FORM_FOUNDRY;
	if (str_ends(base, STR("/v1")))
		return FORM_V1_BASE;
	if (str_find(base, STR("/deployments/")) >= 0)
		return FORM_DEPLOYMENT_BASE;
	return str_present(acc->api_version) ? FORM_DEPLOYMENT : FORM_V1;
}

/* A token of Entra is a JWT; keys of a resource are letters and digits alone. */
static bool is_token(struct str key)
{
	ptrdiff_t dot = str_chr(key, '.');

	return str_starts(key, STR("eyJ")) && dot > 0 &&
	       str_chr(str_from_offset(key, (size_t)dot + 1), '.') > 0;
}

/* "?api-version=..."; its characters were checked when the configuration was read. */
static const char *query(struct arena *a, const struct account *acc, const char *fallback)
{
	struct str version = str_present(acc->api_version) ? acc->api_version : str_from(fallback);

	return str_present(version) ? arena_printf(a, "?api-version=%.*s", STR_ARG(version)).ptr
				    : "";
}

static int put_path(struct compose *c, const char *path)
{
	const struct account *acc = c->o->account;
	const char *openai = str_ends(acc->origin.base_path, STR("/openai")) ? "" : "/openai";
	struct str root = STR("");
	const char *fallback = NULL, *q;

	switch (form_of(acc)) {
	case FORM_V1:
		root = arena_printf(c->arena, "%s/v1", openai);
		break;
	case FORM_V1_BASE:
		break;
	case FORM_DEPLOYMENT:
		root = arena_printf(c->arena, "%s/deployments/%.*s", openai,
				    STR_ARG(compose_segment(c, c->o->model)));
		break;
	case FORM_DEPLOYMENT_BASE:
		fallback = DEPLOYMENT_VERSION;
		break;
	case FORM_FOUNDRY:
		fallback = FOUNDRY_VERSION;
		break;
	}
	q = query(c->arena, acc, fallback);
	if (!root.ptr || !q)
		return err_set(c->reterr, RC_NOMEM, "out of memory");
	compose_path(c, root.ptr, path, STR_NONE, q);
	return RC_OK;
}

/* No list of models: what a resource lists are the models one might deploy, not the deployments that answer. */
static int prepare(struct arena *a, const struct prepare_options *o, struct upstream_request *ret,
		   struct err *reterr)
{
	const char *path = compose_openai_path(o);
	struct compose c;
	int rc;

	if (!path || o->op == IR_OP_LIST_MODELS || o->op == IR_OP_GET_MODEL)
		return err_set(reterr, RC_UNSUPPORTED, "the provider has no such operation");
	compose_start(&c, a, o, HTTP_POST, ret, reterr);
	if (is_token(o->account->api_key))
		compose_key(&c, "authorization", "Bearer ");
	else
		compose_key(&c, "api-key", "");
	rc = put_path(&c, path);
	return rc ? rc : compose_end(&c);
}

/* Azure's own clouds, the API management in front of resources included. */
static bool is_at_home(const struct account *acc)
{
	return provider_host_is(acc, STR("azure.com")) || provider_host_is(acc, STR("azure.us")) ||
	       provider_host_is(acc, STR("azure.cn")) ||
	       provider_host_is(acc, STR("azure-api.net")) ||
	       provider_host_is(acc, STR("microsoft.com"));
}

/* Foundry's common interface is that of many makers' models; usage in streams came with 2024-09. */
static unsigned account_quirks(const struct account *acc)
{
	const struct str since = STR("2024-09-01");
	unsigned quirks = 0;

	if (form_of(acc) == FORM_FOUNDRY)
		return QUIRK_MAX_TOKENS | QUIRK_NO_DEVELOPER_ROLE;
	if (acc->api_version.len >= since.len &&
	    memcmp(acc->api_version.ptr, since.ptr, since.len) < 0 &&
	    acc->api_version.ptr[0] == '2')
		quirks |= QUIRK_NO_STREAM_OPTIONS;
	return quirks | (is_at_home(acc) ? QUIRK_STRICT_MESSAGES : 0);
}

/* Responses came with the v1 addresses; below a deployment's there are none. Foundry's common interface knows Chat alone. */
static bool account_speaks(const struct account *acc, const struct protocol *p)
{
	enum form form = form_of(acc);

	if (p == &protocol_openai_completions)
		return form != FORM_FOUNDRY;
	return p != &protocol_openai_responses || form == FORM_V1 || form == FORM_V1_BASE;
}

/* It answers 404 to POST /responses/input_tokens: "Unknown request URL". */
static enum count_form counts(const struct account *acc, const struct protocol *p)
{
	return p == &protocol_openai_responses && (acc->quirks & QUIRK_COUNTS_TOKENS) ? COUNT_OWN
										      : COUNT_NEVER;
}

const struct provider provider_azure = {
	.name = "azure",
	.key_env = "AZURE_OPENAI_API_KEY",
	.base_url_env = { "AZURE_OPENAI_ENDPOINT", NULL },
	.api_version_env = { "AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION" },
	.key_required = true,
	.quirks = QUIRK_ALLOWED_TOOLS | QUIRK_CUSTOM_TOOLS,
	.account_quirks = account_quirks,
	.account_speaks = account_speaks,
	.takes_api_version = true,
	.counts = counts,
	.speaks = speaks,
	.prepare = prepare,
	.model_speaks = compose_openai_model_speaks,
	.wants = compose_openai_wants,
};
