/* providers/google.c - Google's Gemini API, and Vertex AI where the base URL names a project.
 *
 * The hard thing is that the path says it all: model, operation and form of stream. A base URL with /projects/ or /publishers/ is
 * Vertex: models stand below publishers/google there, and the key is a bearer token. */
#include "providers/compose.h"

static const struct protocol *const speaks[] = { &protocol_gemini, NULL };
static const char *const prefixes[] = { "gemini-*", NULL };

static bool is_vertex(const struct account *acc)
{
	struct str path = acc->origin.base_path;

	return str_find(path, STR("/projects/")) >= 0 || str_find(path, STR("/publishers/")) >= 0;
}

/* A batch is what translation makes; a client that asked for one vector in the vendor's own way gets its own way. */
static const char *embed_verb(const struct prepare_options *o)
{
	return o->relay && o->client && str_ends(o->client->path, STR(":embedContent"))
		       ? ":embedContent"
		       : ":batchEmbedContents";
}

/* What stands behind the model's name; NULL: there is no such operation. */
static const char *verb(const struct prepare_options *o)
{
	switch (o->op) {
	case IR_OP_GENERATE:
		if (!o->stream)
			return ":generateContent";
		return o->framing == FRAMING_JSON_ARRAY ? ":streamGenerateContent"
							: ":streamGenerateContent?alt=sse";
	case IR_OP_COUNT_TOKENS:
		return ":countTokens";
	case IR_OP_EMBED:
		return embed_verb(o);
	case IR_OP_LIST_MODELS:
		return "?pageSize=1000";
	case IR_OP_GET_MODEL:
		return "";
	case IR_OP_INFO:
	case IR_OP_COMPACT:
	case IR_OP_KEPT:
		break;
	}
	return NULL;
}

static bool ends_at_publisher(const struct prepare_options *o)
{
	return str_ends(o->account->origin.base_path, STR("/publishers/google"));
}

static int prepare(struct arena *a, const struct prepare_options *o, struct upstream_request *ret,
		   struct err *reterr)
{
	bool list = o->op == IR_OP_LIST_MODELS, read = list || o->op == IR_OP_GET_MODEL;
	bool vertex = is_vertex(o->account);
	const char *root = !vertex ? "/v1beta" : ends_at_publisher(o) ? "" : "/publishers/google";
	const char *behind = verb(o);
	struct compose c;

	if (!behind)
		return err_set(reterr, RC_UNSUPPORTED, "the provider has no such operation");
	compose_start(&c, a, o, read ? HTTP_GET : HTTP_POST, ret, reterr);
	if (vertex)
		compose_key(&c, "authorization", "Bearer ");
	else
		compose_key(&c, "x-goog-api-key", "");
	compose_path(&c, root, "/models", list ? STR_NONE : o->model, behind);
	return compose_end(&c);
}

/* Levels of thinking instead of a budget: since the third generation. */
static struct model_wants wants(struct str model)
{
	return (struct model_wants){
		.adaptive_thinking = str_find(model, STR("gemini-3")) >= 0 ||
				     str_find(model, STR("gemini-4")) >= 0,
	};
}

static enum count_form counts(const struct account *acc, const struct protocol *p)
{
	(void)p;
	return is_vertex(acc) ? COUNT_VERTEX : COUNT_OWN;
}

const struct provider provider_google = {
	.name = "google",
	.default_base_url = "https://generativelanguage.googleapis.com",
	.key_env = "GEMINI_API_KEY",
	.key_env_also = "GOOGLE_API_KEY",
	.base_url_env = { "GOOGLE_GEMINI_BASE_URL", "GEMINI_API_BASE" },
	.stray_path = "/v1beta",
	.key_required = true,
	.speaks = speaks,
	.prefixes = prefixes,
	.prepare = prepare,
	.counts = counts,
	.wants = wants,
};
