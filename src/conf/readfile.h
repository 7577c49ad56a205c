/* conf/readfile.h - whole small files. */
#ifndef GW_CONF_READFILE_H
#define GW_CONF_READFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* The bytes of a regular file of at most `max` bytes. RC_NOTFOUND when there is none of that name. */
int read_file(struct arena *a, struct str path, size_t max, struct str *ret, struct err *reterr)
	MUST_CHECK;
bool file_readable(struct str path); /* a regular file that we may read; `path` ends in NUL */

#endif
