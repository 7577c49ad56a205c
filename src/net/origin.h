/* net/origin.h - where an upstream is: plain data, parsed once from a URL. */
#ifndef GW_NET_ORIGIN_H
#define GW_NET_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* Everything that makes two connections interchangeable (R26): two origins share a pool only
 * when their .pool_key is equal. Lives as long as the snapshot that holds it; the pool copies. */
struct origin {
	bool tls;
	struct str host; /* without brackets; for unix sockets the name for Host */
	uint16_t port;
	struct str unix_path;   /* absent for TCP */
	struct str host_header; /* "api.openai.com" or "127.0.0.1:8000" */
	struct str base_path;   /* "" or "/v1": no trailing slash */
	struct str ca_file;     /* absent: the system's store */
	bool tls_verify;
	struct str pool_key; /* scheme, host, port or path, TLS settings, hash of the credential */
};

/* Parses "https://host[:port][/path]", "http://...", "unix:/path.sock[:/base]" . No user info,
 * query or fragment. `credential` goes into the pool key as a hash only. Slices live in the
 * arena. */
int origin_parse(struct arena *a, struct str url, struct str ca_file, bool tls_verify,
		 struct str credential, struct origin *ret, struct err *reterr) MUST_CHECK;

#endif
