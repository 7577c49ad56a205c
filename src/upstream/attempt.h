/* upstream/attempt.h - one upstream try: lease, send, read, and exactly one outcome.
 *
 * An attempt knows one target and one wire protocol, frames the answer (frames of a stream, or one whole
 * body, bounded either way) and tells its owner. It neither decodes nor retries: the pump and
 * the exchange do.
 *
 *	attempt_start -> on_answer -> on_event* -> on_end            a streamed 2xx
 *	              -> on_body                                    a whole 2xx
 *	              -> on_status                                  any other status, body whole
 *	              -> on_fail                                    no (whole) answer, at any moment
 *
 * on_end, on_body, on_status and on_fail are last: the attempt is over and ends itself at the end of the loop
 * turn; what it handed out lives until then. attempt_cancel() ends it without a further callback, from anywhere.
 */
#ifndef GW_UPSTREAM_ATTEMPT_H
#define GW_UPSTREAM_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "conf/snapshot.h"
#include "http/client.h"
#include "ir/event.h"
#include "protocols/protocol.h"
#include "providers/provider.h"
#include "wire/framer.h"

struct attempt;
struct engine;

/* Why there is no whole answer. */
enum attempt_failure {
	ATTEMPT_TRANSPORT, /* see .http */
	ATTEMPT_ENGINE,    /* the local engine has no such model ready; .error says why */
	ATTEMPT_TOO_BIG,   /* an event or a body above our limit */
	ATTEMPT_NOMEM,
};

struct attempt_fail {
	enum attempt_failure kind;
	enum http_failure http;
	const char *name;      /* "connect_timeout", "too_big": for the access record */
	struct str detail;     /* for the log; no secret */
	struct ir_error error; /* what the client would be told */
};

/* Fields of the upstream's head that may concern the client; live as long as the attempt. */
struct attempt_fields {
	struct http_field fields[20];
	unsigned n;
	struct str content_type;
	int64_t retry_after_ms; /* -1: none; clamped to a day */
	bool until_close;       /* nothing but the connection's end tells the body's */
};

struct attempt_events {
	/* A 2xx head whose body is a stream. */
	void (*on_answer)(void *user);
	/* One frame. Non-zero: the owner has cancelled, stop. */
	int (*on_event)(void *user, const struct frame *ev);
	/* All that one read brought was delivered. */
	void (*on_read_done)(void *user);
	void (*on_end)(void *user);
	void (*on_body)(void *user, struct str body);
	void (*on_status)(void *user, int status, struct str body);
	void (*on_fail)(void *user, const struct attempt_fail *fail);
};

struct attempt_options {
	struct loop *loop;
	struct http_client *client;
	struct engine *engine;     /* NULL: no local models here */
	struct snapshot *snapshot; /* the attempt takes a reference of its own */
	const struct account *account;
	struct str model;                /* the provider's name for it */
	const struct protocol *protocol; /* spoken upstream */
	enum ir_op op;
	bool stream, relay;
	enum framing framing;  /* of the stream that is asked for */
	bool keeps;            /* a local model is to stay so long once it is done: */
	int64_t keep_alive_ms; /* as engine_keep() has it */
	const struct http_head *client_head;
	struct arena_budget *budget; /* its arena is in; NULL: none */
	struct buf body;             /* the attempt takes it over, also when it cannot start */
};

/* NULL and reterr when it cannot even be prepared. No callback runs inside. */
struct attempt *attempt_start(const struct attempt_options *o, const struct attempt_events *ev,
			      void *user, struct err *reterr) MUST_CHECK;
/* Idempotent while the attempt's memory lives (until the end of the turn in which it was over). */
void attempt_cancel(struct attempt *t);
/* The owner has all it wanted (the answer's own end came) and goes: the rest is read, for a moment and without a callback, so
 * that the connection can be used again. Until it is over it stays in `detached`. */
void attempt_detach(struct attempt *t, struct list *detached);
/* At the end of a loop: cancels all that are in `detached`. */
void attempt_cancel_detached(struct list *detached);
void attempt_pause(struct attempt *t);
void attempt_resume(struct attempt *t);

struct arena *attempt_arena(struct attempt *t);
/* In which the answer comes, from on_answer on. */
enum framing attempt_framing(const struct attempt *t);
const struct attempt_fields *attempt_fields(const struct attempt *t);
/* Connection figures; zeroes while there is no call. */
struct http_call_stats attempt_stats(const struct attempt *t);

#endif
