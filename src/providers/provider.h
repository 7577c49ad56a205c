/* providers/provider.h - what an endpoint is to the gateway: an address, a way to authenticate, the protocols it
 * speaks natively and its quirks. No I/O here.
 *
 * To add a kind: copy providers/openai.c, add its line to providers.def. A vendor that speaks
 * OpenAI's protocol needs no code at all: `type: openai-compatible` and a base_url in the configuration.
 */
#ifndef GW_PROVIDERS_PROVIDER_H
#define GW_PROVIDERS_PROVIDER_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "http/client.h"
#include "net/origin.h"
#include "protocols/protocol.h"

enum { PROVIDER_MAX_PROTOCOLS = 8, UPSTREAM_MAX_FIELDS = 24 };

/* One model of a `local` provider: a llama-server child of ours. */
struct local_model {
	struct str name;
	struct str path;            /* GGUF file */
	int64_t context;            /* tokens; 0: the model's own */
	int64_t threads;            /* 0: the engine's choice */
	int64_t parallel;           /* slots */
	bool embeddings;            /* start with --embeddings */
	bool preload;               /* start with the gateway, not on the first request */
	uint64_t idle_ms;           /* unload after so long without use; 0: never */
	bool keep_alive;            /* requests may say otherwise (request_peek.keep_alive_ms) */
	uint64_t keep_alive_max_ms; /* no longer than that; 0: as they say */
	struct str *extra_args;     /* handed to llama-server as they are */
	unsigned n_extra_args;
};

/* A vendor that needs no code: data over the kind `openai-compatible`. One line of presets.def each. */
struct provider_preset {
	const char *name;         /* as in `type:` */
	const char *base_url;     /* NULL: must be configured */
	const char *key_env;      /* environment variable with the key; NULL: none */
	const char *base_url_env; /* variable that moves the base URL; NULL: none */
	bool key_required;
	unsigned quirks;
	const char *prefix;          /* glob of model names it is taken to serve; NULL: none */
	const struct protocol *also; /* spoken beside those of the kind; NULL: none */
};

/* An account with a provider, as configured. Lives in its snapshot. */
struct account {
	struct str name; /* the operator's name for it */
	const struct provider *kind;
	const struct provider_preset *preset; /* NULL: none */
	const char *minter;                   /* account_minter() */
	struct origin origin;                 /* for `local`: filled per model at run time */
	struct str api_key;                   /* absent: none is sent */
	struct str api_version;               /* Azure's; absent: none */
	unsigned quirks;
	const struct protocol *speaks[PROVIDER_MAX_PROTOCOLS]; /* NULL-terminated unless full */
	struct http_field *headers; /* extra fields of the operator's, checked */
	unsigned n_headers;
	struct str *models; /* listed by the operator; [0] also serves health probes */
	unsigned n_models;
	bool discover;             /* ask the provider for its list in the background */
	struct local_model *local; /* kind local */
	unsigned n_local;
	const struct http_deadlines *deadlines; /* NULL: the general ones */
	unsigned id;                            /* index in the snapshot */
};

/* What goes upstream, besides the body. */
struct upstream_request {
	enum http_method method;
	struct str path; /* with query, base path included */
	struct http_field fields[UPSTREAM_MAX_FIELDS];
	unsigned n_fields;
};

struct prepare_options {
	const struct account *account;
	const struct protocol *protocol; /* the one spoken upstream: one of account->speaks */
	enum ir_op op;
	struct str model;
	bool stream;
	enum framing framing; /* of the stream that is asked for */
	bool relay;           /* the client speaks the same protocol */
	struct str body;      /* what goes up, for kinds whose path depends on it */
	const struct http_head
		*client; /* the client's head: fields on the allow-list are taken from it (R20) */
};

/* What must be known of a model to write a request for it. */
struct model_wants {
	bool adaptive_thinking; /* effort instead of a thinking budget (trap 85) */
	bool never_thinks;      /* refuses to be asked to */
	enum ir_sampling sampling;
	int64_t max_output; /* the most output tokens, for protocols that demand max_tokens (trap 67); 0: 4096 */
};

struct provider {
	const char *name;             /* MUST: as in `type:` */
	const char *default_base_url; /* NULL: base_url must be configured */
	const char *key_env; /* environment variable with the key, "OPENAI_API_KEY"; NULL: none */
	const char *key_env_also;    /* looked at when key_env is not set; NULL: none */
	const char *base_url_env[2]; /* variables that move the base URL; NULL: none */
	const char *base_path; /* path of a base URL that was given without one ("/v1"); NULL: "" */
	const char *
		stray_path; /* path that a base URL may end in though prepare() adds it itself; NULL: none */
	const char *api_version_env[2];       /* variables that give `api_version`; NULL: none */
	bool takes_api_version;               /* `api_version` means something */
	bool compacts;                        /* its Responses have /compact */
	bool key_required;                    /* configuration without a key is refused */
	unsigned quirks;                      /* of every account of this kind */
	const struct protocol *const *speaks; /* NULL-terminated, preferred first */
	const char *const *
		prefixes; /* globs of model names it is taken to serve; NULL-terminated; NULL: none */

	/* MUST: path and fields, authentication included, into `ret`. RC_UNSUPPORTED when the kind has no such operation. */
	int (*prepare)(struct arena *a, const struct prepare_options *o,
		       struct upstream_request *ret, struct err *reterr);
	/* MAY: quirks that follow from what was configured (address, api_version). */
	unsigned (*account_quirks)(const struct account *acc);
	/* MAY: the account, as configured, speaks this one of its kind's protocols. NULL: all of them. */
	bool (*account_speaks)(const struct account *acc, const struct protocol *p);
	/* MAY: a base URL as people write it for this kind, made into a URL; absent when memory is out. NULL: as it is. */
	struct str (*base_url)(struct arena *a, struct str text);
	/* MAY: what that model wants; NULL: nothing special. */
	struct model_wants (*wants)(struct str model);
	/* MAY: how the account counts tokens in that protocol, one of `speaks`; NULL: it never does. */
	enum count_form (*counts)(const struct account *acc, const struct protocol *p);
	/* MAY: that model answers in that protocol, one of `speaks`; NULL: all do in each. */
	bool (*model_speaks)(struct str model, const struct protocol *p);
};

extern const struct provider *const providers[]; /* providers.def in its order; NULL at the end */
const struct provider *provider_find(
	struct str name); /* aliases included; case, '-' and '_' do not matter */

extern const struct provider_preset
	provider_presets[]; /* presets.def in its order; .name NULL at the end */
const struct provider_preset *provider_preset_find(struct str name);

/* The base URL as the kind wants it: slashes at the end and a stray path taken off, a missing path added. */
struct str provider_base_url(struct arena *a, const struct provider *kind, struct str url);

/* How the account counts tokens in that protocol; COUNT_NEVER when there is none (NULL). */
enum count_form account_counts(const struct account *acc, const struct protocol *p);

/* True when the account's address is `domain` or a host in it. */
bool provider_host_is(const struct account *acc, struct str domain);

/* By which vendor's key what the account's models sign and encrypt is made: a short name of letters, digits and '-', in the arena
 * or a constant. The vendor whose address it is; else the preset, or the kind. NULL: memory is out. */
const char *account_minter(struct arena *a, const struct account *acc);

/* True when the account is taken to serve a model of that name, by the globs of its kind or preset. */
bool account_has_prefix(const struct account *acc, struct str model);

#define X(id) extern const struct provider provider_##id;
#include "providers/providers.def"
#undef X

#endif
