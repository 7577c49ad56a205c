/* policy/auth.h - who is calling, and what may they do.
 *
 * A gateway key is read from every carrier that SDKs use: `Authorization: Bearer`, `x-api-key`, `api-key`,
 * `x-goog-api-key`, `?key=`. All lead to this one check (R6), which needs the head only, so that a
 * bad key is answered before the body is read (R17). No memory is allocated, nothing is logged, no clock is read.
 */
#ifndef GW_POLICY_AUTH_H
#define GW_POLICY_AUTH_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "conf/snapshot.h"
#include "ir/event.h"
#include "wire/http1.h"

/* Who a request comes from. Valid as long as the snapshot it was checked against. */
struct principal {
	const struct gateway_key *key; /* NULL: keys are not asked for */
	unsigned permissions;          /* enum permission */
};

/* Checks key and right of a request head: `read` for GET and HEAD, `write` for all else. RC_OK fills `ret`;
 * RC_INVALID fills `reterr` (401 or 403; texts are static and say what to do, never what was sent or is
 * stored). Two carriers that disagree are refused. Where no key is asked for, one that is there is
 * ignored: SDKs insist on sending some. */
int auth_check(const struct snapshot *s, const struct http_head *head, struct principal *ret,
	       struct ir_error *reterr) MUST_CHECK;

/* True when keys are asked for under this snapshot. */
bool auth_on(const struct snapshot *s);

/* May it use that model, by the name as the client gave it? */
bool auth_model_allowed(const struct principal *p, struct str model);
/* As auth_model_allowed(), with the refusal (403) in `reterr`, its text in `a`. */
int auth_check_model(const struct principal *p, struct str model, struct arena *a,
		     struct ir_error *reterr) MUST_CHECK;

#endif
