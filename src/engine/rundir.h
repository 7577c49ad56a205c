/* engine/rundir.h - the private directory that holds the engine's sockets. Internal to engine/. */
#ifndef GW_ENGINE_RUNDIR_H
#define GW_ENGINE_RUNDIR_H

#include <stddef.h>

#include "base/err.h"

enum {
	RUNDIR_PATH = 72,
	SOCKET_PATH = 108
}; /* sun_path of Linux; a socket's name takes up to 32 */

struct rundir {
	char path[RUNDIR_PATH];
	int lock_fd; /* holds an advisory lock as long as we live; -1: not made */
};

/* Sweeps `base` (NULL: $XDG_RUNTIME_DIR, else /tmp) of directories whose gateway is dead, and makes a new one, 0700. */
int rundir_init(struct rundir *d, const char *base, struct err *reterr) MUST_CHECK;
/* Removes it with what it holds. Accepts a zeroed struct. */
void rundir_done(struct rundir *d);

#endif
