/* net/listener.h - listening sockets of one loop, for one address, name or Unix path.
 *
 * When the process runs out of descriptors, accepting stops for a moment and goes on by itself;
 * connections wait in the kernel's queue meanwhile. A few descriptors kept in reserve are given
 * up for that time, so that requests under way still find one for their upstream.
 */
#ifndef GW_NET_LISTENER_H
#define GW_NET_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"
#include "net/stream.h"

struct listener;

enum { LISTENER_BACKLOG = 1024, LISTENER_PEER_MAX = 56 };

struct listener_options {
	struct str host; /* address literal or name; every address of it is listened on */
	uint16_t port;   /* 0: any; the same for all addresses */
	/* Instead of host and port, when present; a dead socket in its place is replaced. */
	struct str unix_path;
	bool reuse_port; /* several loops share the port (SO_REUSEPORT) */
};

struct listener_events {
	/* MUST. A connection; `peer` ("127.0.0.1:5123" or "unix") is valid during the call. May
	 * pause or close the listener. */
	void (*on_accept)(void *user, struct stream *s, const char *peer);
	/* MAY. Descriptors have run out (true; told at each try) or are back (false): close what
	 * is idle. */
	void (*on_exhausted)(void *user, bool exhausted);
};

/* Blocks for the name's look-up: for start-up only. NULL with *reterr on failure. `ev` is
 * borrowed. */
struct listener *listener_open(struct loop *l, const struct listener_options *o,
			       const struct listener_events *ev, void *user, struct err *reterr);
uint16_t listener_port(const struct listener *l);
/* New connections stay in the kernel's queue. */
void listener_pause(struct listener *l);
void listener_resume(struct listener *l);
/* Nothing is accepted after it; frees later. NULL is a no-op. */
void listener_close(struct listener *l);
/* Before the end, where a successor listens on the same port: handshakes that have begun are finished and accepted, new
 * ones are left unanswered, so that the caller's kernel tries again in a second and finds the successor. False where the
 * system cannot do that. */
bool listener_last_call(struct listener *l);
/* Closes, but what already waits in the kernel's queue is accepted first: the close would reset it. */
void listener_finish(struct listener *l);

#endif
