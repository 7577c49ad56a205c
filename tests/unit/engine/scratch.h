/* tests/unit/engine/scratch.h - a directory of a test's own. */
#ifndef GW_TESTS_SCRATCH_H
#define GW_TESTS_SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static inline int scratch_remove_one(const char *path, const struct stat *st, int type,
				     struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* `path` ends in XXXXXX. 0 when made. */
static inline int scratch_make(char *path)
{
	return mkdtemp(path) ? 0 : -1;
}

static inline int scratch_remove(const char *path)
{
	return nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
