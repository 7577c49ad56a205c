/* net/dns.h - names to addresses for one loop: never blocks it, remembers, and asks once for
 * many who wait.
 *
 * Look-ups run on libuv's thread pool. When a refresh fails, the addresses known before are used
 * a little longer (RFC 8767 in spirit): a resolver that hiccups must not stop traffic to an
 * upstream that is well.
 */
#ifndef GW_NET_DNS_H
#define GW_NET_DNS_H

#include <netinet/in.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"
#include "loop/loop.h"

struct dns;

enum { DNS_ADDRS_MAX = 8, DNS_NAME_MAX = 255 };

union dns_addr {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* In the order to be tried: families alternate (RFC 8305 section 4). Ports are 0. */
struct dns_addrs {
	unsigned n;
	union dns_addr addr[DNS_ADDRS_MAX];
};

/* Embedded in whoever waits. Zeroed before first use. */
struct dns_query {
	struct list node;
	/* `addrs` is NULL on failure, `detail` then says why. Both are valid during the call
	 * only. */
	void (*fn)(struct dns_query *q, const struct dns_addrs *addrs, struct str detail);
};

/* NULL when memory is out. */
struct dns *dns_new(struct loop *l, uint64_t ttl_ms);
/* Nobody may be waiting any more; frees later, after look-ups under way. NULL is a no-op. */
void dns_close(struct dns *d);

/* The addresses of a literal or of a name known at present, or NULL: then ask. Valid until the
 * next call of any dns function. */
const struct dns_addrs *dns_known(struct dns *d, struct str host);
/* Asks; q->fn comes later, never inside. False when memory is out or the name is too long. */
bool dns_ask(struct dns *d, struct str host, struct dns_query *q);
/* q->fn will not come. */
void dns_forget(struct dns_query *q);
/* An answer known from elsewhere, for as long as the TTL. False when memory is out. */
bool dns_put(struct dns *d, struct str host, const struct dns_addrs *addrs);
/* Look-ups handed to the resolver so far. */
uint64_t dns_lookups(const struct dns *d);

#endif
