/* engine/rundir.c - makes the private socket directory, and clears away those of gateways that were killed.
 *
 * The hard thing is to know a dead gateway's directory: process ids come again and differ between containers that
 * share /tmp, so a living gateway holds a lock on a file in its own, which the kernel drops with it.
 */
#include "engine/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

#define PREFIX "llm-gateway-"
enum { NEWBORN_S = 10 }; /* a directory so young may not have its lock yet */

static bool is_ours(const char *path, struct stat *ret)
{
	return lstat(path, ret) == 0 && S_ISDIR(ret->st_mode) && ret->st_uid == geteuid();
}

/* Only what a gateway puts there is removed; anything else makes rmdir() fail, and the directory stays. */
static void remove_dir(int dir_fd, const char *path)
{
	DIR *d = fdopendir(dup(dir_fd));
	struct dirent *de;

	while (d && (de = readdir(d))) {
		struct str name = str_from(de->d_name);

		if (str_ends(name, STR(".sock")) || str_eq(name, STR("lock")))
			(void)unlinkat(dir_fd, de->d_name, 0);
	}
	if (d)
		closedir(d);
	(void)rmdir(path);
}

static void sweep_one(const char *path)
{
	struct stat st;
	int dir_fd, lock_fd;

	if (!is_ours(path, &st))
		return;
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir_fd < 0)
		return;
	lock_fd = openat(dir_fd, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (lock_fd >= 0 ? flock(lock_fd, LOCK_EX | LOCK_NB) == 0
			 : time(NULL) - st.st_mtime > NEWBORN_S)
		remove_dir(dir_fd, path);
	if (lock_fd >= 0)
		close(lock_fd);
	close(dir_fd);
}

static void sweep(const char *base)
{
	DIR *d = opendir(base);
	struct dirent *de;
	char path[512];

	while (d && (de = readdir(d))) {
		if (!str_starts(str_from(de->d_name), STR(PREFIX)))
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", base, de->d_name) < sizeof(path))
			sweep_one(path);
	}
	if (d)
		closedir(d);
}

/* The lock is taken before the file has its name, so that no sweeper finds it free. */
static int make_lock(const char *dir)
{
	char hidden[RUNDIR_PATH + 16], path[RUNDIR_PATH + 16];
	int fd;

	snprintf(hidden, sizeof(hidden), "%s/lock.sock", dir);
	snprintf(path, sizeof(path), "%s/lock", dir);
	fd = open(hidden, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && rename(hidden, path) == 0)
		return fd;
	(void)unlink(hidden);
	close(fd);
	return -1;
}

static const char *choose_base(void)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (xdg && xdg[0] == '/' && strlen(xdg) < RUNDIR_PATH - 32 && is_ours(xdg, &st) &&
	    access(xdg, W_OK) == 0)
		return xdg;
	return "/tmp";
}

int rundir_init(struct rundir *d, const char *base, struct err *reterr)
{
	int n;

	d->lock_fd = -1;
	d->path[0] = '\0';
	if (!base)
		base = choose_base();
	sweep(base);
	n = snprintf(d->path, sizeof(d->path), "%s/" PREFIX "%ld-XXXXXX", base, (long)getpid());
	if (n < 0 || (size_t)n >= sizeof(d->path)) {
		d->path[0] = '\0';
		return err_set(reterr, RC_TOOBIG, "%s is too long a directory for Unix sockets",
			       base);
	}
	if (!mkdtemp(d->path)) {
		d->path[0] = '\0';
		return err_set(reterr, RC_IO, "cannot make a directory in %s: %s", base,
			       strerror(errno));
	}
	d->lock_fd = make_lock(d->path);
	if (d->lock_fd < 0) {
		err_set(reterr, RC_IO, "cannot lock %s: %s", d->path, strerror(errno));
		(void)rmdir(d->path);
		d->path[0] = '\0';
		return RC_IO;
	}
	return RC_OK;
}

void rundir_done(struct rundir *d)
{
	int dir_fd =
		d->path[0] ? open(d->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;

	if (dir_fd >= 0) {
		remove_dir(dir_fd, d->path);
		close(dir_fd);
		close(d->lock_fd);
	}
	d->path[0] = '\0';
	d->lock_fd = -1;
}
