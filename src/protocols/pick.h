/* protocols/pick.h - a request cut down to some of its members, for endpoints that take fewer. */
#ifndef GW_PROTOCOLS_PICK_H
#define GW_PROTOCOLS_PICK_H

#include "json/json.h"
#include "json/write.h"

/* Members of `root`, as they are; those it does not have are left out. */
void pick_members(struct jw *w, const json *root, const struct str *names, unsigned n);

/* The same of a request's text, as an object of its own. RC_NOMEM. */
int pick_request(struct arena *a, struct str request, const struct str *names, unsigned n,
		 struct buf *out) MUST_CHECK;

#endif
