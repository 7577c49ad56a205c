/* conf/readfile.c - whole small files. Only regular ones: a FIFO or a device would make the load wait or never end. */
#include "conf/readfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(int fd, char *p, size_t max, size_t *ret_len)
{
	size_t len = 0;

	while (len < max) {
		ssize_t n = read(fd, p + len, max - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return 0;
}

int read_file(struct arena *a, struct str path, size_t max, struct str *ret, struct err *reterr)
{
	struct str name = arena_dup(a, path);
	int fd = name.ptr ? open(name.ptr, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1, rc = RC_OK;
	struct stat st;
	size_t len = 0;
	char *p;

	if (fd < 0)
		return err_set(reterr, errno == ENOENT ? RC_NOTFOUND : RC_IO, "%.*s: %s",
			       STR_ARG(path), strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		rc = err_set(reterr, RC_IO, "%.*s is not a file", STR_ARG(path));
	} else if ((uint64_t)st.st_size > max) {
		rc = err_set(reterr, RC_TOOBIG, "%.*s is longer than %zu bytes", STR_ARG(path),
			     max);
	} else {
		p = arena_alloc(a, (size_t)st.st_size + 1);
		if (!p)
			rc = err_set(reterr, RC_NOMEM, "out of memory");
		else if (read_all(fd, p, (size_t)st.st_size, &len) != 0)
			rc = err_set(reterr, RC_IO, "%.*s: %s", STR_ARG(path), strerror(errno));
		else
			*ret = (struct str){ p, len };
	}
	(void)close(fd);
	return rc;
}

bool file_readable(struct str path)
{
	struct stat st;

	return path.ptr && stat(path.ptr, &st) == 0 && S_ISREG(st.st_mode) &&
	       access(path.ptr, R_OK) == 0;
}
