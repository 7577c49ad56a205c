/* net/listener.c - accepts connections.
 *
 * The hard thing is EMFILE: the socket stays readable, so a loop that goes on would spin, and
 * libuv's own listener would drop every waiting connection. Hence accept() is called from a poll
 * handle here, and polling stops for RETRY_MS when there are no descriptors.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4() */
#endif
#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <netinet/tcp.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/filter.h>
#endif

#include "base/log.h"

enum {
	SOCKETS_MAX = 8,
	ACCEPTS_PER_TURN = 32, /* then the connections that exist get their turn */
	RESERVE = 4,
	RETRY_MS = 100,
};

struct listen_socket {
	uv_poll_t poll;
	int fd;
	struct listener *owner;
};

struct listener {
	struct loop *loop;
	const struct listener_events *ev;
	void *user;
	struct listen_socket sockets[SOCKETS_MAX];
	unsigned n_sockets,
		n_open; /* n_open: handles that libuv still knows, the deadline's included */
	struct deadline retry;
	int reserve[RESERVE];
	bool is_unix, paused, exhausted, closed;
	uint16_t port;
	char unix_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
};

static void on_readable(uv_poll_t *poll, int status, int events);

static int set_flags(int fd)
{
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int accept_one(int fd, union address *from)
{
	socklen_t len = sizeof(*from);
	int got;

	from->any.sa_family = AF_UNSPEC;
#if defined(__linux__) || defined(__FreeBSD__)
	got = accept4(fd, &from->any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return got < 0 ? -errno : got;
#else
	got = accept(fd, &from->any, &len);
	if (got < 0)
		return -errno;
	if (set_flags(got) < 0) {
		close(got);
		return -ECONNABORTED;
	}
	return got;
#endif
}

static void print_peer(const union address *from, char out[LISTENER_PEER_MAX])
{
	char ip[INET6_ADDRSTRLEN] = "?";

	if (from->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &from->v4.sin_addr, ip, sizeof(ip));
		snprintf(out, LISTENER_PEER_MAX, "%s:%u", ip, (unsigned)ntohs(from->v4.sin_port));
	} else if (from->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &from->v6.sin6_addr, ip, sizeof(ip));
		snprintf(out, LISTENER_PEER_MAX, "[%s]:%u", ip,
			 (unsigned)ntohs(from->v6.sin6_port));
	} else {
		snprintf(out, LISTENER_PEER_MAX, "unix");
	}
}

/* --- running out of descriptors --- */

static bool reserve_fill(struct listener *l)
{
	for (int i = 0; i < RESERVE; i++) {
		if (l->reserve[i] < 0)
			l->reserve[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (l->reserve[i] < 0)
			return false;
	}
	return true;
}

static void reserve_drop(struct listener *l)
{
	for (int i = 0; i < RESERVE; i++) {
		if (l->reserve[i] >= 0)
			close(l->reserve[i]);
		l->reserve[i] = -1;
	}
}

static void poll_all(struct listener *l)
{
	bool on = !l->paused && !l->exhausted;

	for (unsigned i = 0; i < l->n_sockets; i++) {
		if (on)
			uv_poll_start(&l->sockets[i].poll, UV_READABLE, on_readable);
		else
			uv_poll_stop(&l->sockets[i].poll);
	}
}

static void run_out(struct listener *l, int error)
{
	if (!l->exhausted)
		log_event(LOG_WARN, "listener.exhausted",
			  "accepting pauses: the process has no descriptor or memory left",
			  LF_CSTR("error", uv_strerror(error)));
	l->exhausted = true;
	reserve_drop(l);
	poll_all(l);
	deadline_set(&l->retry, RETRY_MS);
	if (l->ev->on_exhausted)
		l->ev->on_exhausted(l->user, true);
}

static void on_retry(struct deadline *d)
{
	struct listener *l = LIST_ENTRY(d, struct listener, retry);

	if (!reserve_fill(l)) {
		run_out(l, UV_EMFILE);
		return;
	}
	l->exhausted = false;
	log_event(LOG_INFO, "listener.resumed", NULL, LF_INT("port", l->port));
	poll_all(l);
	if (l->ev->on_exhausted)
		l->ev->on_exhausted(l->user, false);
}

static bool is_shortage(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

/* At most `n` connections. */
static void accept_some(struct listen_socket *ls, int n)
{
	struct listener *l = ls->owner;
	char peer[LISTENER_PEER_MAX];
	union address from;

	for (int i = 0; i < n && !l->paused && !l->closed; i++) {
		int fd = accept_one(ls->fd, &from);

		if (is_shortage(fd)) {
			run_out(l, fd);
			return;
		}
		if (fd == -EAGAIN || fd == -EWOULDBLOCK)
			return;
		if (fd < 0)
			continue; /* the peer left before it was accepted */
		struct stream *s = stream_from_fd(l->loop, fd, l->is_unix);

		print_peer(&from, peer);
		if (s)
			l->ev->on_accept(l->user, s, peer);
	}
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)events;
	if (status == 0)
		accept_some(LIST_ENTRY(poll, struct listen_socket, poll), ACCEPTS_PER_TURN);
}

/* --- opening --- */

static int add_socket(struct listener *l, const union address *a, socklen_t len, bool reuse_port)
{
	struct listen_socket *ls = &l->sockets[l->n_sockets];
	int fd = socket(a->any.sa_family, SOCK_STREAM, 0), on = 1, rc;

	if (fd < 0)
		return -errno;
	rc = set_flags(fd);
	if (rc < 0)
		goto fail;
	if (!l->is_unix) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (a->any.sa_family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		if (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) {
			rc = -errno;
			goto fail;
		}
	}
	if (bind(fd, &a->any, len) < 0 || listen(fd, LISTENER_BACKLOG) < 0) {
		rc = -errno;
		goto fail;
	}
	rc = uv_poll_init(&l->loop->uv, &ls->poll, fd);
	if (rc < 0)
		goto fail;
	ls->fd = fd;
	ls->owner = l;
	l->n_sockets++;
	l->n_open++;
	return 0;

fail:
	close(fd);
	return rc;
}

static uint16_t port_of(int fd)
{
	union address a;
	socklen_t len = sizeof(a);

	if (getsockname(fd, &a.any, &len) < 0)
		return 0;
	return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}

static void set_port(union address *a, uint16_t port)
{
	if (a->any.sa_family == AF_INET6)
		a->v6.sin6_port = htons(port);
	else
		a->v4.sin_port = htons(port);
}

static int open_inet(struct listener *l, const struct listener_options *o, struct err *reterr)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE },
			*found = NULL;
	char host[256];
	int rc, last = 0;

	snprintf(host, sizeof(host), "%.*s", STR_ARG(o->host));
	/* allowed here: at start-up no loop waits for it */
	rc = getaddrinfo(host[0] ? host : NULL, "0", &hints, &found);
	if (rc != 0)
		return err_set(reterr, RC_IO, "cannot listen on \"%s\": %s", host,
			       gai_strerror(rc));
	l->port = o->port;
	for (struct addrinfo *ai = found; ai && l->n_sockets < SOCKETS_MAX; ai = ai->ai_next) {
		union address a;

		if (ai->ai_addrlen > sizeof(a))
			continue;
		memcpy(&a, ai->ai_addr, ai->ai_addrlen);
		set_port(&a, l->port);
		rc = add_socket(l, &a, ai->ai_addrlen, o->reuse_port);
		if (rc == 0 && l->port == 0)
			l->port = port_of(l->sockets[0].fd);
		if (rc < 0)
			last = rc;
		if (rc == -EADDRINUSE || rc == -EACCES)
			break; /* half a listener would answer some callers and not others */
	}
	freeaddrinfo(found);
	if (l->n_sockets == 0 || last == -EADDRINUSE || last == -EACCES)
		return err_set(reterr, RC_IO, "cannot listen on %s port %u: %s", host,
			       (unsigned)o->port, uv_strerror(last));
	return RC_OK;
}

/* A socket file nobody listens behind is what a killed process leaves. */
static bool is_dead_socket(const union address *a, socklen_t len)
{
	struct stat st;
	int fd, rc;

	if (lstat(a->un.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0)
		return false;
	rc = connect(fd, &a->any, len) < 0 ? errno : 0;
	close(fd);
	return rc == ECONNREFUSED;
}

static int open_unix(struct listener *l, const struct listener_options *o, struct err *reterr)
{
	union address a = { .un.sun_family = AF_UNIX };
	int rc;

	if (o->unix_path.len >= sizeof(a.un.sun_path))
		return err_set(reterr, RC_INVALID, "the path of the socket is too long: %.*s",
			       STR_ARG(o->unix_path));
	memcpy(a.un.sun_path, o->unix_path.ptr, o->unix_path.len);
	if (is_dead_socket(&a, sizeof(a.un)))
		unlink(a.un.sun_path);
	rc = add_socket(l, &a, sizeof(a.un), false);
	if (rc < 0)
		return err_set(reterr, RC_IO, "cannot listen on %.*s: %s", STR_ARG(o->unix_path),
			       uv_strerror(rc));
	memcpy(l->unix_path, a.un.sun_path, sizeof(l->unix_path));
	return RC_OK;
}

struct listener *listener_open(struct loop *loop, const struct listener_options *o,
			       const struct listener_events *ev, void *user, struct err *reterr)
{
	struct listener *l = calloc(1, sizeof(*l));
	int rc;

	if (!l) {
		(void)err_set(reterr, RC_NOMEM, "no memory to listen");
		return NULL;
	}
	l->loop = loop;
	l->ev = ev;
	l->user = user;
	l->is_unix = str_present(o->unix_path);
	deadline_init(&l->retry, loop, on_retry);
	l->n_open = 1;
	for (int i = 0; i < RESERVE; i++)
		l->reserve[i] = -1;
	rc = l->is_unix ? open_unix(l, o, reterr) : open_inet(l, o, reterr);
	if (rc < 0) {
		listener_close(l);
		return NULL;
	}
	(void)reserve_fill(l);
	poll_all(l);
	return l;
}

uint16_t listener_port(const struct listener *l)
{
	return l->port;
}

void listener_pause(struct listener *l)
{
	l->paused = true;
	if (!l->closed)
		poll_all(l);
}

void listener_resume(struct listener *l)
{
	l->paused = false;
	if (!l->closed)
		poll_all(l);
}

static void one_closed(struct listener *l)
{
	if (--l->n_open == 0)
		free(l);
}

static void on_poll_closed(uv_handle_t *h)
{
	one_closed(LIST_ENTRY(h, struct listen_socket, poll)->owner);
}

static void on_retry_closed(struct deadline *d)
{
	one_closed(LIST_ENTRY(d, struct listener, retry));
}

static void close_sockets(struct listener *l)
{
	for (unsigned i = 0; i < l->n_sockets; i++) {
		struct listen_socket *ls = &l->sockets[i];

		uv_poll_stop(&ls->poll);
		uv_close((uv_handle_t *)&ls->poll, on_poll_closed);
		/* after uv_close(): a descriptor in epoll must not be reused under it */
		close(ls->fd);
	}
}

static void end(struct listener *l, bool accept_first)
{
	if (!l || l->closed)
		return;
	/* Just before the close: what comes between the two is reset. */
	for (unsigned i = 0; accept_first && !l->exhausted && i < l->n_sockets; i++)
		accept_some(&l->sockets[i], 2 * LISTENER_BACKLOG);
	l->closed = true;
	close_sockets(l);
	if (l->unix_path[0])
		unlink(l->unix_path);
	reserve_drop(l);
	deadline_close(&l->retry, on_retry_closed);
}

bool listener_last_call(struct listener *l)
{
#ifdef __linux__
	/* On a TCP socket a filter sees segments from their TCP header on: byte 13 holds the flags. */
	struct sock_filter drop_syn[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TH_SYN | TH_ACK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TH_SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = { sizeof(drop_syn) / sizeof(drop_syn[0]), drop_syn };
	bool all = !l->is_unix;

	for (unsigned i = 0; all && i < l->n_sockets; i++)
		all = setsockopt(l->sockets[i].fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
				 sizeof(program)) == 0;
	return all;
#else
	(void)l;
	return false;
#endif
}

void listener_close(struct listener *l)
{
	end(l, false);
}

void listener_finish(struct listener *l)
{
	end(l, true);
}
