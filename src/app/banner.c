/* app/banner.c - the start-up lines: addresses, providers, models, who may call, and a first request to paste. */
#include "app/banner.h"

#include <stdio.h>

#include "base/arena.h"
#include "policy/auth.h"
#include "routing/routing.h"

enum { BANNER_ARENA = 1024 * 1024, MODELS_SHOWN = 8 };

static void print_url(const struct http_listener_options *l)
{
	if (str_present(l->unix_path))
		fprintf(stderr, "unix:%.*s", STR_ARG(l->unix_path));
	else
		fprintf(stderr, "%s://%.*s:%u", str_present(l->tls_certificate) ? "https" : "http",
			STR_ARG(l->host), l->port);
}

static void print_providers(const struct snapshot *s)
{
	fputs("  providers   ", stderr);
	for (unsigned i = 0; i < s->n_accounts; i++)
		fprintf(stderr, "%s%.*s", i ? ", " : "", STR_ARG(s->accounts[i].name));
	if (s->n_accounts == 0)
		fputs("none: set OPENAI_API_KEY or ANTHROPIC_API_KEY, or run `make engine` for a "
		      "local model",
		      stderr);
	fputc('\n', stderr);
}

/* The first model, which the request to paste asks for. */
static struct str print_models(const struct snapshot *s, struct arena *a)
{
	struct model_info *models;
	unsigned n;

	if (routing_models(s, NULL, NULL, a, &models, &n) != RC_OK || n == 0)
		return STR_NONE;
	fputs("  models      ", stderr);
	for (unsigned i = 0; i < n && i < MODELS_SHOWN; i++)
		fprintf(stderr, "%s%.*s", i ? ", " : "", STR_ARG(models[i].id));
	if (n > MODELS_SHOWN)
		fprintf(stderr, " and %u more", n - MODELS_SHOWN);
	fputc('\n', stderr);
	return models[0].id;
}

/* A model worth asking for when no list is known yet: the first provider's best-known one. */
static struct str usual_model(const struct snapshot *s)
{
	if (s->n_accounts > 0 && s->accounts[0].kind == &provider_anthropic)
		return STR("claude-sonnet-4-5");
	return STR("gpt-4o-mini");
}

static void print_request(const struct snapshot *s, struct str model)
{
	fputs("\nTry it:\n  curl ", stderr);
	if (str_present(s->listen.unix_path))
		fprintf(stderr, "--unix-socket %.*s http://localhost",
			STR_ARG(s->listen.unix_path));
	else
		print_url(&s->listen);
	fputs("/v1/chat/completions -H 'content-type: application/json'", stderr);
	if (auth_on(s))
		fputs(" -H \"authorization: Bearer $YOUR_GATEWAY_KEY\"", stderr);
	fprintf(stderr,
		" \\\n    -d "
		"'{\"model\":\"%.*s\",\"messages\":[{\"role\":\"user\",\"content\":\"Say "
		"hello.\"}]}'\n\n",
		STR_ARG(model));
}

void banner_print(const struct snapshot *s)
{
	struct arena *a = arena_new(BANNER_ARENA);
	struct str model;

	if (!a)
		return;
	fputs("llm-gateway " GW_VERSION "\n  listening   ", stderr);
	print_url(&s->listen);
	fprintf(stderr, "  (%u worker%s)\n  config      %.*s\n", s->workers,
		s->workers == 1 ? "" : "s",
		STR_ARG(str_present(s->source) ? s->source
					       : STR("none (defaults and environment)")));
	print_providers(s);
	model = print_models(s, a);
	fprintf(stderr, "  who calls   %s\n",
		auth_on(s) ? "holders of a gateway key"
			   : "everyone who reaches the address (no gateway key is configured)");
	if (s->n_accounts > 0)
		print_request(s, str_present(model) ? model : usual_model(s));
	arena_free(a);
}
