/* upstream/pass_fields.h - which fields of an upstream's answer a client may see.
 *
 * An allow-list: what is not on it stays behind (cookies, server, organisation ids, hop-by-hop fields). Rate-limit
 * fields only make sense in the dialect they were written in (trap 114): durations at OpenAI, RFC 3339 at Anthropic.
 */
#ifndef GW_UPSTREAM_PASS_FIELDS_H
#define GW_UPSTREAM_PASS_FIELDS_H

#include "upstream/attempt.h"

/* Copies into `a`. `relay`: the client speaks the upstream's protocol. What does not fit is left out. */
void pass_fields(struct arena *a, const struct http_head *head, bool relay,
		 struct attempt_fields *ret);

/* Seconds, an HTTP-date (RFC 9110 section 10.2.3) or milliseconds (retry-after-ms) as milliseconds from `now_s`;
 * -1 when there is none or it makes no sense; never above a day. */
int64_t retry_after_ms(const struct http_head *head, int64_t now_s);

#endif
