/* net/dial.h - opens a connection to an origin: look-up, then its addresses in turn.
 *
 * Each address gets a head start of DIAL_HEAD_START_MS before the next one is tried beside it,
 * or none when it failed (RFC 8305 in spirit); the first to connect wins. The deadline covers
 * everything up to the connection; TLS comes after, by the owner.
 */
#ifndef GW_NET_DIAL_H
#define GW_NET_DIAL_H

#include "net/dns.h"
#include "net/origin.h"
#include "net/stream.h"

enum { DIAL_HEAD_START_MS = 250 };

enum dial_failure { DIAL_DNS, DIAL_REFUSED, DIAL_TIMEOUT, DIAL_NOMEM };

struct dial;

struct dial_events {
	/* MUST. The stream is the owner's now; the dial is over. */
	void (*on_open)(void *user, struct stream *s);
	/* MUST. The dial is over. `detail` is for logs, valid during the call. */
	void (*on_fail)(void *user, enum dial_failure f, struct str detail);
};

/* No callback runs inside. `o` and `ev` are borrowed until the end. `timeout_ms` 0: none. NULL
 * when memory is out. */
struct dial *dial_start(struct loop *l, struct dns *dns, const struct origin *o,
			uint64_t timeout_ms, const struct dial_events *ev, void *user);
/* Ends it without callback; everything is closed when it returns. NULL is a no-op. */
void dial_cancel(struct dial *d);

#endif
