/* providers/ollama.c - an Ollama server, or ollama.com with a key, by its native protocol.
 *
 * Beside it Ollama speaks OpenAI's and Anthropic's protocols below /v1, and to relay is better than to translate where
 * nothing is lost. But there much is, and without a word: tool_choice, n, logit_bias, user and max_completion_tokens are
 * passed over (the last one: no limit at all), Anthropic's tool_choice, metadata and cache marks too (traps 66, 75, 96). The native
 * protocol can do all that /v1 can and has log probabilities and keep_alive besides; what it cannot do the gateway discloses, refuses or
 * makes up for (a forced call is held by a schema). So that is what is spoken, and /v1 only where the operator lists
 * its protocols. */
#include "providers/compose.h"

static const struct protocol *const speaks[] = { &protocol_ollama_chat, &protocol_ollama_generate,
						 NULL };

/* Embeddings have two forms, and a relayed body is in the one that the client chose. */
static const char *embed_path(const struct prepare_options *o)
{
	const struct str older = STR("/api/embeddings");

	return o->relay && o->client && str_ends(o->client->path, older) ? "/api/embeddings"
									 : "/api/embed";
}

static int prepare_native(struct arena *a, const struct prepare_options *o,
			  struct upstream_request *ret, struct err *reterr)
{
	bool list = o->op == IR_OP_LIST_MODELS;
	const char *path = NULL;
	struct compose c;

	switch (o->op) {
	case IR_OP_GENERATE:
		path = o->protocol == &protocol_ollama_generate ? "/api/generate" : "/api/chat";
		break;
	case IR_OP_EMBED:
		path = embed_path(o);
		break;
	case IR_OP_LIST_MODELS:
		path = "/api/tags";
		break;
	case IR_OP_GET_MODEL:
	case IR_OP_COUNT_TOKENS:
	case IR_OP_INFO:
	case IR_OP_COMPACT:
	case IR_OP_KEPT:
		return err_set(reterr, RC_UNSUPPORTED, "the provider has no such operation");
	}
	compose_start(&c, a, o, list ? HTTP_GET : HTTP_POST, ret, reterr);
	compose_key(&c, "authorization", "Bearer ");
	compose_path(&c, "", path, STR_NONE, "");
	return compose_end(&c);
}

static int prepare(struct arena *a, const struct prepare_options *o, struct upstream_request *ret,
		   struct err *reterr)
{
	const char *path;
	struct compose c;

	/* The list of models is the server's, whatever else it is asked in. */
	if (o->op == IR_OP_LIST_MODELS || o->protocol == &protocol_ollama_chat ||
	    o->protocol == &protocol_ollama_generate)
		return prepare_native(a, o, ret, reterr);
	path = o->protocol == &protocol_anthropic_messages ? "/messages" : compose_openai_path(o);
	if (!path || (o->op != IR_OP_GENERATE && o->op != IR_OP_EMBED))
		return err_set(reterr, RC_UNSUPPORTED, "the provider has no such operation");
	compose_start(&c, a, o, HTTP_POST, ret, reterr);
	compose_key(&c, "authorization", "Bearer ");
	compose_path(&c, "/v1", path, STR_NONE, "");
	return compose_end(&c);
}

/* OLLAMA_HOST as Ollama's own programs read it: "10.0.0.5", ":11434", "0.0.0.0:8000", "https://host/path". What a server
 * listens on everywhere is talked to at home; the port is Ollama's unless the scheme has one. */
static struct str base_url(struct arena *a, struct str s)
{
	const struct str schemes[] = { STR("http://"), STR("https://"), STR("unix:") };
	struct str scheme = STR("http://"), host = s, port = STR(""), path;
	bool said = false, v6;
	ptrdiff_t slash, colon;

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		if (str_istarts(s, schemes[i])) {
			scheme = schemes[i];
			said = true;
			host = str_from_offset(s, scheme.len);
		}
	}
	if (str_eq(scheme, STR("unix:")))
		return s;
	slash = str_chr(host, '/');
	path = slash < 0 ? STR("") : str_from_offset(host, (size_t)slash);
	host.len -= path.len;
	v6 = host.len && host.ptr[0] == '[';
	colon = v6 ? str_find(host, STR("]:")) + (str_find(host, STR("]:")) >= 0)
		   : str_chr(host, ':');
	if (colon >= 0) {
		port = str_from_offset(host, (size_t)colon);
		host.len = (size_t)colon;
	} else if (!said) {
		port = STR(":11434");
	}
	if (host.len == 0 || str_eq(host, STR("0.0.0.0")))
		host = STR("127.0.0.1");
	else if (str_eq(host, STR("[::]")))
		host = STR("[::1]");
	return arena_printf(a, "%.*s%.*s%.*s%.*s", STR_ARG(scheme), STR_ARG(host), STR_ARG(port),
			    STR_ARG(path));
}

const struct provider provider_ollama = {
	.name = "ollama",
	.default_base_url = "http://127.0.0.1:11434",
	.key_env = "OLLAMA_API_KEY",
	.base_url_env = { "OLLAMA_HOST", "OLLAMA_BASE_URL" },
	.stray_path = "/v1",
	.quirks = QUIRK_FORCED_TOOL_AS_SCHEMA | QUIRK_MAX_TOKENS,
	.speaks = speaks,
	.prepare = prepare,
	.base_url = base_url,
};
