/* providers/compose.h - building the head of an upstream request, the same way for every kind.
 *
 * Upstream fields come from an allow-list, never from the client's head as a whole (R20). A field that the
 * operator configured goes first and keeps ours of the same name out. Every value is checked; the
 * first failure sticks and compose_end() returns it.
 */
#ifndef GW_PROVIDERS_COMPOSE_H
#define GW_PROVIDERS_COMPOSE_H

#include "providers/provider.h"

struct compose {
	struct arena *arena;
	const struct prepare_options *o;
	struct upstream_request *ret;
	struct err *reterr;
	struct str base; /* path that all others stand below; the account's own unless changed */
	int rc;
};

/* Puts the operator's fields, then those that every request has: content-type (POST), accept,
 * accept-encoding: identity, user-agent, and the client's x-request-id when it is a simple one. */
void compose_start(struct compose *c, struct arena *a, const struct prepare_options *o,
		   enum http_method method, struct upstream_request *ret, struct err *reterr);

/* A field, unless one of that name is there. An absent `value` is left out; any other is a word of ours or was checked. */
void compose_field(struct compose *c, const char *name, struct str value);
/* `name: <prefix><api_key>`; without a key nothing. */
void compose_key(struct compose *c, const char *name, const char *prefix);
/* When relaying: the client's lines of that field, each that holds only visible characters and blanks. */
void compose_from_client(struct compose *c, const char *name);

/* The request's path: base path, `root`, `path`, and when `segment` is present "/" and the segment,
 * percent-encoded; `query` is "" or starts with '?'. */
void compose_path(struct compose *c, const char *root, const char *path, struct str segment,
		  const char *query);

/* `segment` percent-encoded, as compose_path() has it; empty when that failed (compose_end() says so). */
struct str compose_segment(struct compose *c, struct str segment);

int compose_end(struct compose *c) MUST_CHECK;

/* The path below the base URL for what is asked in the protocol spoken: "/chat/completions". NULL: there is no such operation. */
const char *compose_openai_path(const struct prepare_options *o);

/* Models of OpenAI's from before conversations, and what was tuned from them, know the Completions API alone, the others all but it. */
bool compose_openai_model_speaks(struct str model, const struct protocol *p);
/* What is known of OpenAI's models that reason. */
struct model_wants compose_openai_wants(struct str model);

/* prepare() of every kind that speaks openai-chat: paths below the base path, a bearer key where there is one. */
int compose_openai(struct arena *a, const struct prepare_options *o, struct upstream_request *ret,
		   struct err *reterr) MUST_CHECK;
/* prepare() of what speaks anthropic-messages; `root` stands between base path and "/messages": "/v1" or "". */
int compose_anthropic(struct arena *a, const struct prepare_options *o, const char *root,
		      struct upstream_request *ret, struct err *reterr) MUST_CHECK;

#endif
