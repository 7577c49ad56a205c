/* app/notify.c - one datagram to $NOTIFY_SOCKET, as sd_notify(3) describes; too little to need libsystemd. */
#include "app/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"

void notify(const char *state)
{
	struct str path = str_from(getenv("NOTIFY_SOCKET"));
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	ssize_t sent;
	int fd;

	if (path.len < 2 || path.len >= sizeof(to.sun_path) ||
	    (path.ptr[0] != '/' && path.ptr[0] != '@'))
		return;
	memcpy(to.sun_path, path.ptr, path.len);
	if (path.ptr[0] == '@')
		to.sun_path[0] = '\0'; /* an abstract socket */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len));
	(void)sent; /* a manager that does not listen is no reason to stop */
	close(fd);
}

uint64_t notify_watchdog_ms(void)
{
	uint64_t us;

	if (!str_to_u64(str_from(getenv("WATCHDOG_USEC")), &us))
		return 0;
	return us / 2000;
}
