/* bench/mock.c - a very cheap upstream that speaks every dialect of the gateway.
 *
 * One thread, epoll, keep-alive. It answers by the end of the path (/chat/completions, /messages, :generateContent, ...)
 * and by what the dialect calls streaming: a whole answer of about 0.6 KB, or a stream of proper
 * events, each in a write of its own, at once or paced. The hard thing is honest pacing with many
 * streams: deltas are due at absolute times kept in a heap, and each stream starts at a phase of its
 * own, so that 500 streams do not fire in the same instant.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "mock_answers.h"

#define MAX_CONNS 16384
#define REQUEST_MAX (4u << 20)

struct conn {
	int fd;
	bool want_write;
	struct bytes in, out;
	struct mock_stream stream; /* being sent */
	uint64_t pace_ns, due_ns;
	int heap_at; /* index in the heap, or -1 */
};

static struct {
	int epoll, listener, timer, port;
	unsigned deltas;
	uint64_t pace_us;
	bool chunked_whole;
	struct conn *conns[MAX_CONNS]; /* by descriptor */
	struct conn *heap[MAX_CONNS];  /* streams by due time, earliest first */
	int heap_len;
	uint64_t armed_ns;
	uint32_t seed;
} mock = { .deltas = 64, .seed = 1 };

/* ---- the heap of paced streams ---- */

static void heap_put(int at, struct conn *c)
{
	mock.heap[at] = c;
	c->heap_at = at;
}

static void heap_up(int at)
{
	struct conn *c = mock.heap[at];

	while (at > 0 && mock.heap[(at - 1) / 2]->due_ns > c->due_ns) {
		heap_put(at, mock.heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_put(at, c);
}

static void heap_down(int at)
{
	struct conn *c = mock.heap[at];

	for (int child; (child = 2 * at + 1) < mock.heap_len; at = child) {
		if (child + 1 < mock.heap_len &&
		    mock.heap[child + 1]->due_ns < mock.heap[child]->due_ns)
			child++;
		if (mock.heap[child]->due_ns >= c->due_ns)
			break;
		heap_put(at, mock.heap[child]);
	}
	heap_put(at, c);
}

static void heap_add(struct conn *c)
{
	heap_put(mock.heap_len++, c);
	heap_up(c->heap_at);
}

static void heap_remove(struct conn *c)
{
	int at = c->heap_at;

	if (at < 0)
		return;
	c->heap_at = -1;
	if (at != --mock.heap_len) {
		heap_put(at, mock.heap[mock.heap_len]);
		heap_up(at);
		heap_down(mock.heap[at]->heap_at);
	}
}

static void arm_timer(void)
{
	struct itimerspec when = { 0 };
	uint64_t due = mock.heap_len ? mock.heap[0]->due_ns : 0;

	if (due == mock.armed_ns)
		return;
	when.it_value.tv_sec = (time_t)(due / NS_PER_SEC);
	when.it_value.tv_nsec = (long)(due % NS_PER_SEC);
	timerfd_settime(mock.timer, TFD_TIMER_ABSTIME, &when, NULL);
	mock.armed_ns = due;
}

/* ---- bytes out ---- */

static void conn_close(struct conn *c)
{
	heap_remove(c);
	mock.conns[c->fd] = NULL;
	close(c->fd);
	free(c->in.ptr);
	free(c->out.ptr);
	free(c->stream.text.ptr);
	free(c);
}

static void watch(struct conn *c, bool want_write)
{
	struct epoll_event ev = { .events = EPOLLIN | (want_write ? EPOLLOUT : 0),
				  .data.fd = c->fd };

	if (want_write == c->want_write)
		return;
	c->want_write = want_write;
	epoll_ctl(mock.epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

/* Writes, or keeps what the socket does not take. False if the peer is gone: the caller closes. */
static bool conn_write(struct conn *c, const char *p, size_t n)
{
	ssize_t w = 0;

	if (!c->out.len) {
		w = send(c->fd, p, n, MSG_NOSIGNAL);
		if (w < 0 && errno != EAGAIN)
			return false;
		if (w < 0)
			w = 0;
	}
	if ((size_t)w < n) {
		bytes_add(&c->out, p + w, n - (size_t)w);
		watch(c, true);
	}
	return true;
}

static bool conn_flush(struct conn *c)
{
	ssize_t w = send(c->fd, c->out.ptr, c->out.len, MSG_NOSIGNAL);

	if (w < 0)
		return errno == EAGAIN;
	bytes_drop(&c->out, (size_t)w);
	if (!c->out.len)
		watch(c, false);
	return true;
}

/* ---- answers ---- */

static bool answer_json(struct conn *c, int status, const char *body, size_t len)
{
	char wire[EVENT_MAX + 512];
	const char *reason = status == 200 ? "OK" : "Not Found";
	int n;

	if (mock.chunked_whole)
		n = snprintf(wire, sizeof(wire),
			     "HTTP/1.1 %d %s\r\ncontent-type: application/json\r\nx-request-id: "
			     "req_bench\r\n"
			     "transfer-encoding: chunked\r\n\r\n%zx\r\n%.*s\r\n0\r\n\r\n",
			     status, reason, len, (int)len, body);
	else
		n = snprintf(wire, sizeof(wire),
			     "HTTP/1.1 %d %s\r\ncontent-type: application/json\r\nx-request-id: "
			     "req_bench\r\n"
			     "content-length: %zu\r\n\r\n%.*s",
			     status, reason, len, (int)len, body);
	return conn_write(c, wire, (size_t)n);
}

static bool answer_whole(struct conn *c)
{
	char body[EVENT_MAX];
	int n = answerers[c->stream.dialect].whole(&c->stream, body, sizeof(body));

	return answer_json(c, 200, body, (size_t)n);
}

static bool answer_models(struct conn *c)
{
	static const char body[] = "{\"object\":\"list\",\"data\":[{\"id\":\"gpt-4o-mini\","
				   "\"object\":\"model\",\"type\":\"model\","
				   "\"created\":1721172741,\"created_at\":\"2025-09-29T00:00:00Z\","
				   "\"display_name\":\"Bench\","
				   "\"owned_by\":\"system\"}],\"has_more\":false,\"first_id\":"
				   "\"gpt-4o-mini\",\"last_id\":\"gpt-4o-mini\"}";

	return answer_json(c, 200, body, sizeof(body) - 1);
}

/* One event as one chunk in one write, with `before` ahead of it and `after` behind it. */
static bool send_event(struct conn *c, const char *before, const char *event, int len,
		       const char *after)
{
	char wire[EVENT_MAX + 1024];
	int n;

	if (len >= EVENT_MAX)
		die("an event of %d bytes: ask for fewer deltas", len);
	n = snprintf(wire, sizeof(wire), "%s%x\r\n%.*s\r\n%s", before, (unsigned)len, len, event,
		     after);

	return conn_write(c, wire, (size_t)n);
}

/* `head` goes out with the first event. */
static bool send_opening(struct conn *c, char *head)
{
	const struct answerer *a = &answerers[c->stream.dialect];
	char event[EVENT_MAX];

	for (unsigned i = 0; i < a->n_opening; i++) {
		int n = a->opening(&c->stream, i, event, sizeof(event));

		if (n && !send_event(c, head, event, n, ""))
			return false;
		head[0] = '\0';
	}
	return true;
}

static bool send_delta(struct conn *c, const char *head)
{
	char event[EVENT_MAX];
	int n = answerers[c->stream.dialect].delta(&c->stream, now_ns(), event, sizeof(event));

	c->stream.sent++;
	return send_event(c, head, event, n, "");
}

static bool send_closing(struct conn *c)
{
	const struct answerer *a = &answerers[c->stream.dialect];
	char event[EVENT_MAX];

	for (unsigned i = 0; i < a->n_closing; i++) {
		int n = a->closing(&c->stream, i, event, sizeof(event));

		if (n && !send_event(c, "", event, n, i + 1 == a->n_closing ? "0\r\n\r\n" : ""))
			return false;
	}
	return true;
}

static bool stream_end(struct conn *c)
{
	bool alive = send_closing(c);

	c->stream.deltas = 0;
	return alive;
}

static bool stream_start(struct conn *c)
{
	char head[256];

	c->stream.sent = 0;
	c->stream.text.len = 0;
	snprintf(head, sizeof(head),
		 "HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncache-control: no-cache\r\n"
		 "x-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n",
		 answerers[c->stream.dialect].content_type);
	/* The first delta goes out at once: it is what a gateway waits for before it commits. */
	if (!send_opening(c, head) || !send_delta(c, head))
		return false;
	if (c->pace_ns) {
		mock.seed = mock.seed * 1664525u + 1013904223u;
		c->due_ns = now_ns() + c->pace_ns / 1024 * (mock.seed >> 22);
		heap_add(c);
		return true;
	}
	while (c->stream.sent < c->stream.deltas)
		if (!send_delta(c, ""))
			return false;
	return stream_end(c);
}

static void stream_due(struct conn *c)
{
	bool alive = true;

	if (c->stream.sent < c->stream.deltas)
		alive = send_delta(c, "");
	if (alive && c->stream.sent >= c->stream.deltas) {
		heap_remove(c);
		alive = stream_end(c);
	} else if (alive) {
		c->due_ns += c->pace_ns;
		heap_down(c->heap_at);
	}
	if (!alive)
		conn_close(c);
}

/* ---- requests ---- */

static const char *find(const char *p, size_t n, const char *what)
{
	return memmem(p, n, what, strlen(what));
}

/* Whether the body says "name": true, with any blanks; `otherwise` when it says nothing. */
static bool flag_set(const char *body, size_t n, const char *name, bool otherwise)
{
	const char *p = find(body, n, name);

	if (!p)
		return otherwise;
	for (p += strlen(name); p < body + n && (*p == ' ' || *p == ':' || *p == '\n'); p++)
		;
	return (size_t)(body + n - p) >= 4 && memcmp(p, "true", 4) == 0;
}

static uint64_t parameter(const char *body, size_t n, const char *name, uint64_t otherwise)
{
	const char *p = find(body, n, name);

	return p ? strtoull(p + strlen(name), NULL, 10) : otherwise;
}

static bool path_ends(const char *head, size_t line, const char *end)
{
	const char *path = memchr(head, ' ', line);
	const char *stop = path ? memchr(path + 1, ' ', line - (size_t)(path + 1 - head)) : NULL;
	const char *query = stop ? memchr(path, '?', (size_t)(stop - path)) : NULL;
	size_t n = strlen(end);

	if (!stop)
		return false;
	stop = query ? query : stop;
	return (size_t)(stop - path) > n && memcmp(stop - n, end, n) == 0;
}

static bool find_dialect(const char *head, size_t line, enum dialect *ret)
{
	static const struct {
		const char *end;
		enum dialect dialect;
	} paths[] = {
		{ "/chat/completions", CHAT },        { "/responses", RESPONSES },
		{ "/messages", ANTHROPIC },           { ":generateContent", GEMINI },
		{ ":streamGenerateContent", GEMINI }, { "/api/chat", OLLAMA },
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (path_ends(head, line, paths[i].end)) {
			*ret = paths[i].dialect;
			return true;
		}
	}
	return false;
}

/* Gemini says it in the path, Ollama streams unless told not to. */
static bool wants_stream(enum dialect d, const char *head, size_t line, const char *body, size_t n)
{
	if (d == GEMINI)
		return path_ends(head, line, ":streamGenerateContent");
	return flag_set(body, n, "\"stream\"", d == OLLAMA);
}

static bool answer(struct conn *c, const char *head, size_t head_len, const char *body, size_t n)
{
	static const char nothing[] =
		"{\"error\":{\"message\":\"no such path\",\"type\":\"not_found_error\"}}";
	size_t line = (size_t)((const char *)memchr(head, '\r', head_len) - head);
	const char *nonce = find(body, n, "nonce=");

	memset(c->stream.nonce, '0', NONCE_LEN);
	if (nonce && (size_t)(body + n - nonce) >= 6 + NONCE_LEN)
		memcpy(c->stream.nonce, nonce + 6, NONCE_LEN);
	if (path_ends(head, line, "/models"))
		return answer_models(c);
	if (!find_dialect(head, line, &c->stream.dialect))
		return answer_json(c, 404, nothing, sizeof(nothing) - 1);
	if (!wants_stream(c->stream.dialect, head, line, body, n))
		return answer_whole(c);
	c->stream.include_usage = flag_set(body, n, "\"include_usage\"", false);
	c->stream.deltas = (unsigned)parameter(body, n, "deltas=", mock.deltas);
	c->pace_ns = parameter(body, n, "pace=", mock.pace_us) * 1000;
	return stream_start(c);
}

/* Dechunks in place; the body's length, or -1 if more is to come. `*used` is its length on the wire. */
static long dechunk(char *p, size_t n, size_t *used)
{
	size_t at = 0, out = 0;

	for (;;) {
		char *eol = memmem(p + at, n - at, "\r\n", 2);
		size_t size;

		if (!eol)
			return -1;
		size = strtoul(p + at, NULL, 16);
		at = (size_t)(eol - p) + 2;
		if (size > REQUEST_MAX || n - at < size + 2)
			return -1;
		memmove(p + out, p + at, size);
		at += size + 2;
		out += size;
		if (!size) {
			*used = at;
			return (long)out;
		}
	}
}

/* Answers all whole requests in the buffer. False if the connection is to be closed. */
static bool take_requests(struct conn *c)
{
	while (c->in.len && !c->stream.deltas) {
		char *end = memmem(c->in.ptr, c->in.len, "\r\n\r\n", 4);
		size_t head_len, used;
		long length;
		struct bytes copy = { 0 };

		if (!end)
			return c->in.len < REQUEST_MAX;
		head_len = (size_t)(end - c->in.ptr) + 4;
		length = head_content_length(c->in.ptr, head_len);
		used = length > 0 ? (size_t)length : 0;
		if (length < 0 && find(c->in.ptr, head_len, "chunked")) {
			/* The decoder works in place, so it gets a copy: more may have to come. */
			bytes_add(&copy, end + 4, c->in.len - head_len);
			length = dechunk(copy.ptr, copy.len, &used);
			if (length < 0) {
				free(copy.ptr);
				return c->in.len < REQUEST_MAX;
			}
		}
		if (c->in.len - head_len < used)
			return used < REQUEST_MAX;
		if (!answer(c, c->in.ptr, head_len, copy.ptr ? copy.ptr : end + 4,
			    length > 0 ? (size_t)length : 0)) {
			free(copy.ptr);
			return false;
		}
		free(copy.ptr);
		bytes_drop(&c->in, head_len + used);
	}
	return true;
}

static void conn_readable(struct conn *c)
{
	for (;;) {
		ssize_t n;
		size_t room;

		bytes_reserve(&c->in, 2048);
		room = c->in.cap - c->in.len;
		n = recv(c->fd, c->in.ptr + c->in.len, room, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			conn_close(c);
			return;
		}
		c->in.len += (size_t)n;
		if (!take_requests(c)) {
			conn_close(c);
			return;
		}
		if ((size_t)n < room)
			return;
	}
}

static void watch_new(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(mock.epoll, EPOLL_CTL_ADD, fd, &ev))
		die("epoll: %s", strerror(errno));
}

static void accept_all(void)
{
	int fd, one = 1;

	while ((fd = accept4(mock.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = fd < MAX_CONNS ? calloc(1, sizeof(*c)) : NULL;

		if (!c)
			die("too many connections");
		c->fd = fd;
		c->heap_at = -1;
		mock.conns[fd] = c;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		watch_new(fd);
	}
}

static void fire_due(void)
{
	uint64_t count, now = now_ns();

	if (read(mock.timer, &count, sizeof(count)) < 0 && errno != EAGAIN)
		die("timer: %s", strerror(errno));
	while (mock.heap_len && mock.heap[0]->due_ns <= now) {
		struct conn *c = mock.heap[0];
		int fd = c->fd;

		stream_due(c);
		/* A pipelined request waits for the end of the stream. */
		if (mock.conns[fd] == c && !c->stream.deltas && c->in.len && !take_requests(c))
			conn_close(c);
	}
}

static void listen_on(int port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int one = 1;

	mock.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(mock.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(mock.listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(mock.listener, 4096))
		die("listen on port %d: %s", port, strerror(errno));
	getsockname(mock.listener, (struct sockaddr *)&addr, &len);
	mock.port = ntohs(addr.sin_port);
}

static _Noreturn void run(void)
{
	struct epoll_event events[256];

	for (;;) {
		int n;

		arm_timer();
		n = epoll_wait(mock.epoll, events, 256, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			struct conn *c = mock.conns[fd];

			if (fd == mock.listener)
				accept_all();
			else if (fd == mock.timer)
				fire_due();
			else if (c && (events[i].events & EPOLLOUT) && !conn_flush(c))
				conn_close(c);
			else if (c && (events[i].events & ~(uint32_t)EPOLLOUT))
				conn_readable(c);
		}
	}
}

static void usage(FILE *out)
{
	fputs("usage: mock [--port N] [--pace US] [--deltas N] [--chunked]\n"
	      "A mock of the vendors (OpenAI Chat and Responses, Anthropic, Gemini, Ollama) on "
	      "127.0.0.1; prints its port.\n"
	      "The words pace=US and deltas=N in a request's text override the options; nonce=X is "
	      "sent back.\n",
	      out);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "pace", required_argument, NULL, 't' },
		{ "deltas", required_argument, NULL, 'd' },
		{ "chunked", no_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int port = 0;

	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (o) {
		case 'p':
			port = (int)option_number("port", optarg, 65535);
			break;
		case 't':
			mock.pace_us = option_number("pace", optarg, 3600000000ULL);
			break;
		case 'd':
			mock.deltas = (unsigned)option_number("deltas", optarg, 1000000);
			break;
		case 'c':
			mock.chunked_whole = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	listen_on(port);
	mock.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	mock.epoll = epoll_create1(EPOLL_CLOEXEC);
	watch_new(mock.listener);
	watch_new(mock.timer);
	printf("%d\n", mock.port);
	fflush(stdout);
	run();
}
