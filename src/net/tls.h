/* net/tls.h - TLS 1.2 and 1.3 over any stream (OpenSSL), both sides.
 *
 * A client context verifies the chain and the host name unless told not to, offers http/1.1 by
 * ALPN, and keeps the last sessions by host for resumption. A context belongs to one thread at
 * a time.
 */
#ifndef GW_NET_TLS_H
#define GW_NET_TLS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "net/stream.h"

struct tls_ctx;

/* `ca_file` absent: the system's store. Reads files, for tens of milliseconds: call it off the
 * loop; any thread may. NULL with *reterr on failure. */
struct tls_ctx *tls_client_ctx(struct str ca_file, bool verify, struct err *reterr);
/* PEM files, the certificate with its chain. */
struct tls_ctx *tls_server_ctx(struct str certificate, struct str key, struct err *reterr);
/* Streams made from it may live on. NULL is a no-op. */
void tls_ctx_free(struct tls_ctx *c);

/* Takes `inner` (open, not reading), in failure too. on_open tells when hands are shaken; until
 * then nothing may be written. NULL when memory is out. `host` is verified against and sent as
 * SNI when it is a name. */
struct stream *tls_client(struct stream *inner, struct tls_ctx *ctx, struct str host,
			  const struct stream_events *ev, void *user);
struct stream *tls_server(struct stream *inner, struct tls_ctx *ctx, const struct stream_events *ev,
			  void *user);
/* True when the handshake resumed an earlier session. */
bool tls_resumed(const struct stream *s);

#endif
