/* conf/snapshot.h - one immutable, validated view of the configuration.
 *
 * Built by conf_load() on the control thread, then shared by all threads through a reference count; each exchange
 * pins the one it started with, so a reload never changes a request under way. Every slice lives in the snapshot's arena.
 */
#ifndef GW_CONF_SNAPSHOT_H
#define GW_CONF_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "http/client.h"
#include "http/server.h"
#include "ir/request.h"
#include "providers/provider.h"

enum permission { PERMISSION_READ = 1u << 0, PERMISSION_WRITE = 1u << 1 };

/* A gateway key of `auth.keys`. The key itself is never known to us. */
struct gateway_key {
	struct str name;
	uint8_t sha256[SHA256_LEN];
	unsigned permissions; /* enum permission */
	struct str *models;   /* globs; n_models 0: all */
	unsigned n_models;
};

enum auth_mode {
	AUTH_AUTO, /* keys when some are defined; else everyone, on loopback only */
	AUTH_NONE, /* everyone, by the operator's word */
	AUTH_KEYS, /* keys, and there must be one */
};

/* One place a model name may go. */
struct route_target {
	const struct account *account;
	struct str model; /* the provider's own name */
};

/* An entry of `models:`. */
struct model_alias {
	struct str name;
	struct route_target *targets; /* in order of preference */
	unsigned n_targets;
};

struct snapshot {
	struct arena *arena;
	atomic_uint refs;

	struct str source; /* the file it came from; absent: none */

	struct http_listener_options listen;
	struct http_listener_options admin; /* .host absent: off */
	unsigned workers;
	uint64_t drain_ms;
	struct http_server_limits server;
	size_t max_body,
		max_response;  /* bytes of a whole request body, of a whole (not streamed) answer */
	size_t max_event;      /* longest event of a stream */
	size_t stream_high;    /* unsent bytes of a stream above which the upstream is paused */
	uint64_t keepalive_ms; /* silence after which a stream gets a keep-alive; 0: never */
	struct http_client_limits client;
	struct http_deadlines deadlines;
	struct str data_dir;
	struct {
		struct str path; /* absent: in data_dir */
		size_t max_bytes;
		bool memory_only;
	} store;
	struct {
		bool store;
		uint64_t retention_ms;
		size_t max_context;
		unsigned max_background;
		unsigned websocket_lanes; /* responses made at once on one */
		unsigned websocket_queue; /* messages that wait on one */
	} responses;
	uint64_t websocket_ms; /* how long one may be open */
	bool enable_openai, enable_anthropic, enable_universal;

	struct account *accounts;
	unsigned n_accounts;
	struct str default_provider;           /* `default:` as written; absent */
	const struct account *default_account; /* NULL: none */
	struct model_alias *aliases;
	unsigned n_aliases;

	enum auth_mode auth;
	struct gateway_key *keys;
	unsigned n_keys;

	bool strict_parameters;
	int64_t default_max_tokens; /* 0: the provider's own rule */
	int64_t budget[8];          /* thinking tokens by enum ir_effort */

	struct str engine_path; /* llama-server; absent: searched for */

	enum log_level log_level;
	enum log_format log_format;
	struct str log_path; /* absent: stderr */
	bool access_log;
};

struct snapshot *snapshot_ref(struct snapshot *s);
/* Frees at the last reference; secrets are wiped. NULL is a no-op; always NULL. */
struct snapshot *snapshot_unref(struct snapshot *s);

const struct account *snapshot_account(const struct snapshot *s, struct str name);
const struct model_alias *snapshot_alias(const struct snapshot *s, struct str name);

#endif
