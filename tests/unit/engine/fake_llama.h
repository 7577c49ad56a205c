/* tests/unit/engine/fake_llama.h - a llama-server that does as its model file says.
 *
 * The test program plays three parts by itself: the test, the shim (`engine-exec`), and, called with --host, this
 * server. The model file holds one order a line:
 *	print TEXT     a line on standard error
 *	starts FILE    append the process id to FILE
 *	dump FILE      write arguments and environment to FILE
 *	exit N         end with status N
 *	fail N FILE    end with status 7 as long as FILE (of `starts`) has at most N lines
 *	hold FILE      /health is 503 until FILE exists
 *	hang FILE      nothing is answered while FILE exists
 *	ignore_term    SIGTERM does nothing
 *	old            no /v1/chat/completions/input_tokens
 * GET /crash ends it with status 3 at once.
 */
#ifndef GW_TESTS_FAKE_LLAMA_H
#define GW_TESTS_FAKE_LLAMA_H

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { FAKE_CONNS = 32, FAKE_BUF = 65536 };

struct fake_conn {
	int fd;
	size_t len;
	char buf[FAKE_BUF];
};

static struct {
	char hold[256], hang[256];
	bool old;
	struct fake_conn conns[FAKE_CONNS];
} fake;

static bool fake_exists(const char *path)
{
	struct stat st;

	return path[0] && stat(path, &st) == 0;
}

static unsigned fake_lines(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned n = 0;
	int c;

	while (f && (c = getc(f)) != EOF)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

static void fake_dump(const char *path, int argc, char **argv)
{
	extern char **environ;
	char tmp[300];
	FILE *f;

	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	f = fopen(tmp, "w");
	if (!f)
		_exit(99);
	for (int i = 0; i < argc; i++)
		fprintf(f, "arg %s\n", argv[i]);
	for (char **e = environ; *e; e++)
		fprintf(f, "env %s\n", *e);
	fclose(f);
	rename(tmp, path);
}

/* What follows the word `order` and a blank; NULL when `line` is another order. */
static const char *fake_is(const char *line, const char *order)
{
	size_t n = strlen(order);

	return strncmp(line, order, n) == 0 && line[n] == ' ' ? line + n + 1 : NULL;
}

static void fake_started(const char *path)
{
	FILE *f = fopen(path, "a");

	if (!f)
		_exit(95);
	fprintf(f, "%ld\n", (long)getpid());
	fclose(f);
}

static void fake_order(char *line, int argc, char **argv)
{
	const char *rest;
	char *file;

	line[strcspn(line, "\n")] = '\0';
	if ((rest = fake_is(line, "print")))
		fprintf(stderr, "%s\n", rest);
	else if ((rest = fake_is(line, "starts")))
		fake_started(rest);
	else if ((rest = fake_is(line, "dump")))
		fake_dump(rest, argc, argv);
	else if ((rest = fake_is(line, "exit")))
		_exit((int)strtol(rest, NULL, 10));
	else if ((rest = fake_is(line, "hold")))
		snprintf(fake.hold, sizeof(fake.hold), "%s", rest);
	else if ((rest = fake_is(line, "hang")))
		snprintf(fake.hang, sizeof(fake.hang), "%s", rest);
	else if (strcmp(line, "ignore_term") == 0)
		signal(SIGTERM, SIG_IGN);
	else if (strcmp(line, "old") == 0)
		fake.old = true;
	if ((rest = fake_is(line, "fail"))) {
		unsigned long n = strtoul(rest, &file, 10);

		if (fake_lines(file + 1) <= n)
			_exit(7);
	}
}

static void fake_answer(struct fake_conn *c, int status, const char *body)
{
	char out[FAKE_BUF + 256];
	int n = snprintf(
		out, sizeof(out),
		"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		status, strlen(body), body);

	if (write(c->fd, out, (size_t)n) != n)
		_exit(98);
}

static void fake_request(struct fake_conn *c, const char *body, size_t body_len)
{
	char text[FAKE_BUF];

	if (strncmp(c->buf, "GET /crash ", 11) == 0)
		_exit(3);
	if (strncmp(c->buf, "GET /health ", 12) == 0) {
		bool loading = fake.hold[0] && !fake_exists(fake.hold);

		fake_answer(c, loading ? 503 : 200,
			    loading ? "{\"error\":{\"message\":\"Loading model\"}}" : "{}");
	} else if (strncmp(c->buf, "POST /v1/chat/completions/input_tokens ", 39) == 0 &&
		   !fake.old) {
		if (body_len > 2 && memmem(body, body_len, "\"messages\"", 10))
			fake_answer(c, 200,
				    "{\"input_tokens\":34,\"object\":\"response.input_tokens\"}");
		else
			fake_answer(
				c, 400,
				"{\"error\":{\"code\":400,\"message\":\"'messages' is required\","
				"\"type\":\"invalid_request_error\"}}");
	} else if (strncmp(c->buf, "POST /apply-template ", 21) == 0) {
		fake_answer(c, 200, "{\"prompt\":\"<|u|>hi \\\"you\\\"\\n\"}");
	} else if (strncmp(c->buf, "POST /tokenize ", 15) == 0) {
		snprintf(text, sizeof(text), "{\"tokens\":[1,2,3%s]}",
			 memmem(body, body_len, "<|u|>hi \\\"you\\\"\\n", 16) ? ",4,5" : "");
		fake_answer(c, 200, text);
	} else {
		fake_answer(c, 404,
			    "{\"error\":{\"message\":\"File Not "
			    "Found\",\"type\":\"not_found_error\",\"code\":404}}");
	}
}

static void fake_read(struct fake_conn *c)
{
	ssize_t n = read(c->fd, c->buf + c->len, sizeof(c->buf) - c->len - 1);
	char *end;

	if (n <= 0) {
		close(c->fd);
		c->fd = -1;
		return;
	}
	c->len += (size_t)n;
	c->buf[c->len] = '\0';
	if (fake_exists(fake.hang))
		return;
	while ((end = strstr(c->buf, "\r\n\r\n"))) {
		char *cl = strcasestr(c->buf, "\r\ncontent-length:");
		size_t head = (size_t)(end + 4 - c->buf),
		       body = cl && cl < end ? strtoul(cl + 17, NULL, 10) : 0;

		if (c->len < head + body)
			return;
		fake_request(c, c->buf + head, body);
		memmove(c->buf, c->buf + head + body, c->len - head - body + 1);
		c->len -= head + body;
	}
}

static void fake_accept(int listen_fd)
{
	int fd = accept(listen_fd, NULL, NULL);

	for (unsigned i = 0; fd >= 0 && i < FAKE_CONNS; i++) {
		if (fake.conns[i].fd < 0) {
			fake.conns[i].fd = fd;
			fake.conns[i].len = 0;
			return;
		}
	}
	if (fd >= 0)
		close(fd);
}

static int fake_listen(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 || listen(fd, 16) != 0)
		_exit(97);
	return fd;
}

static void fake_serve(int listen_fd)
{
	for (unsigned i = 0; i < FAKE_CONNS; i++)
		fake.conns[i].fd = -1;
	for (;;) {
		struct pollfd p[FAKE_CONNS + 1];

		for (unsigned i = 0; i < FAKE_CONNS; i++)
			p[i] = (struct pollfd){ .fd = fake.conns[i].fd, .events = POLLIN };
		p[FAKE_CONNS] = (struct pollfd){ .fd = listen_fd, .events = POLLIN };
		if (poll(p, FAKE_CONNS + 1, -1) < 0)
			continue;
		for (unsigned i = 0; i < FAKE_CONNS; i++) {
			if (p[i].fd >= 0 && p[i].revents)
				fake_read(&fake.conns[i]);
		}
		if (p[FAKE_CONNS].revents)
			fake_accept(listen_fd);
	}
}

static void fake_orders(const char *model, int argc, char **argv)
{
	FILE *f = model ? fopen(model, "r") : NULL;
	char line[512];

	if (!f)
		_exit(96);
	while (fgets(line, sizeof(line), f))
		fake_order(line, argc, argv);
	fclose(f);
}

/* argv as llama-server would get it. */
static inline int fake_llama_main(int argc, char **argv)
{
	const char *host = NULL, *model = NULL;

	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--host") == 0)
			host = argv[i + 1];
		if (strcmp(argv[i], "-m") == 0)
			model = argv[i + 1];
	}
	fake_orders(model, argc, argv);
	fake_serve(fake_listen(host));
	return 0;
}

#endif
