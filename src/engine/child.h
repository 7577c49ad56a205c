/* engine/child.h - one child process: spawned through the shim, its output kept in a small ring, reaped.
 *
 * Internal to engine/. Lives on the loop (and thread) that started it.
 */
#ifndef GW_ENGINE_CHILD_H
#define GW_ENGINE_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

enum { CHILD_TAIL_LINES = 50, CHILD_TAIL_WIDTH = 240, CHILD_MAX_ARGS = 128 };

struct child;

struct child_options {
	struct loop *loop;
	const char *shim;  /* program that knows `engine-exec` */
	const char *mode;  /* `signal` or `watch`; NULL: what the system can */
	char *const *argv; /* PROGRAM ARG... NULL; at most CHILD_MAX_ARGS */
	const char *const
		*env;     /* "NAME=value"... NULL; added to the few names that are handed on */
	struct str label; /* for the log; borrowed until the end */
	/* The process is gone and reaped, its last output is in the tail. Once. The child may be freed inside. */
	void (*on_exit)(void *user, int64_t status, int signal);
	void *user;
};

/* NULL on failure: nothing runs then, and on_exit does not come. */
struct child *child_start(const struct child_options *o, struct err *reterr);

/* No-op once it is gone. */
void child_signal(struct child *c, int signal);
int child_pid(const struct child *c);

/* The last `lines` lines of its output, oldest first, separated by `separator`; control bytes are blanks and what is not
 * UTF-8 is `?`. */
void child_tail(const struct child *c, unsigned lines, const char *separator, struct buf *out);

/* Ends it; a process that still runs is killed with SIGKILL and reaped, without on_exit. `closed` (MAY be NULL) when
 * nothing of it is left. */
void child_free(struct child *c, void (*closed)(void *user), void *user);

#endif
