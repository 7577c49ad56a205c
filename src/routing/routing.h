/* routing/routing.h - from the name of a model to the places that may answer, in order of preference.
 *
 * Pure: facts in, choice out. The first rule that has an answer decides (docs/configuration.md, "Which provider
 * gets a model name"):
 *
 *	pin -> alias under `models:` -> provider/model -> listed by a provider -> prefix -> default -> not found
 *
 * An alias keeps the order the operator gave. Where a rule finds several accounts that are equal to it (listed,
 * prefix), those that speak the client's protocol natively come first, since their answers can be relayed; then
 * the order of the configuration.
 */
#ifndef GW_ROUTING_ROUTING_H
#define GW_ROUTING_ROUTING_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "conf/snapshot.h"
#include "ir/event.h"
#include "ir/request.h"
#include "policy/auth.h"
#include "protocols/protocol.h"
#include "providers/provider.h"

/* Model ids that providers themselves list, as discovery found them. By the account's name, not by its
 * id, so that a catalog outlives a reload; lists of accounts that are gone are not looked at. */
struct catalog_list {
	struct str account;
	const struct str *ids;
	unsigned n_ids;
};
struct catalog {
	const struct catalog_list *lists;
	unsigned n_lists;
};

/* All that routing knows of a request. */
struct route_facts {
	struct str model; /* as the client asked */
	struct str
		pin; /* name of a provider, from the body or x-llm-gateway-provider; absent or empty: none */
	const struct protocol *protocol; /* the client's */
	enum ir_op op;  /* what is asked; decides which of an account's protocols will do */
	unsigned needs; /* enum ir_need; of equal targets those that can come first */
	const struct principal
		*principal; /* names are suggested only as far as it may use them; NULL: all */
};

enum route_rule {
	ROUTE_BY_PIN,
	ROUTE_BY_ALIAS,
	ROUTE_BY_PROVIDER_NAME,
	ROUTE_BY_LIST,
	ROUTE_BY_PREFIX,
	ROUTE_BY_DEFAULT,
};
const char *route_rule_name(enum route_rule r); /* "prefix": for logs */

/* One place to try. */
struct target {
	const struct account *account;
	const struct local_model *local; /* account of kind `local`: the model to wake; else NULL */
	struct str model;                /* the provider's own name for it */
	const struct protocol *protocol; /* to speak upstream; one of account->speaks */
	bool relay;                      /* it is the client's own */
};

struct route {
	enum route_rule rule;
	struct target *targets; /* at least one */
	unsigned n_targets;
};

/* `catalog` may be NULL. Slices and targets live in `a` or the snapshot, which the caller keeps pinned.
 *	RC_NOTFOUND  no such model; reterr is MODEL_NOT_FOUND with the nearest names
 *	RC_INVALID   the request's own mistake (no model, unknown pin): INVALID_REQUEST with param set
 *	RC_NOMEM     reterr is UNAVAILABLE */
int routing_resolve(const struct snapshot *s, const struct catalog *catalog,
		    const struct route_facts *f, struct arena *a, struct route *ret,
		    struct ir_error *reterr) MUST_CHECK;

/* Every name a client may ask for: aliases, then each account's list in order, each once; only those that
 * `principal` may use (NULL: all). For GET /v1/models. `created_s` is 0. */
int routing_models(const struct snapshot *s, const struct catalog *catalog,
		   const struct principal *principal, struct arena *a, struct model_info **ret,
		   unsigned *ret_n) MUST_CHECK;

#endif
