/* bench/load.c - a closed-loop load generator that also checks what comes back.
 *
 * load whole  : C connections, one request at a time each; latency of whole answers.
 * load stream : the same with streams: number, nonce and age of each event, and the terminator.
 * load idle   : opens N connections, one request on each, and keeps them open until its stdin closes.
 * load hold   : opens N streams, waits for the first text of each, and keeps them open likewise.
 *
 * One thread, epoll. The result is one line of JSON. The hard thing is to lose nothing quietly: an
 * answer counts only if it is complete by its framing, carries the nonce of its own request, and
 * (stream) every number from 0 once, in order, and the dialect's terminator last.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load_dialects.h"

enum framing { BY_LENGTH, BY_CHUNKS, BY_CLOSE };
enum chunk_state { CHUNK_SIZE, CHUNK_DATA, CHUNK_CRLF, CHUNK_TRAILER, CHUNK_DONE };

struct samples {
	uint64_t *ns;
	size_t len, cap;
};

/* One connection and the answer being read on it. */
struct conn {
	int fd;
	bool busy, reused;
	char *request; /* its own copy, with its own nonce */
	char nonce[NONCE_LEN + 1];
	uint64_t t_sent;
	size_t received; /* of the answer, framing included */
	/* The answer. */
	struct bytes in;   /* raw: the head, then framing not decoded yet */
	struct bytes body; /* decoded: whole answers, or events not complete yet */
	bool in_body, terminated, bad;
	int status;
	enum framing framing;
	enum chunk_state chunk;
	size_t left; /* of the body or of the chunk */
	unsigned next_seq;
};

static struct {
	bool stream, include_usage;
	enum dialect dialect;
	int port, epoll;
	unsigned conns, deltas;
	uint64_t pace_us, ramp_ms, requests, seconds_ms, stall_ms;
	size_t body_size;
	const char *path, *model, *key, *body_file;
	char *template;
	size_t template_len, nonce_at;
	/* Results. */
	struct samples latency, age, ttft;
	uint64_t started, done, failed, lost, garbled, events, reconnects, last_progress, deadline;
	char why[200]; /* the first failure */
} load = { .conns = 10,
	   .deltas = 64,
	   .body_size = 1024,
	   .model = "gpt-4o-mini",
	   .key = "sk-bench",
	   .stall_ms = 10000 };

/* ---- results ---- */

static void sample(struct samples *s, uint64_t ns)
{
	if (s->len == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 65536;
		s->ns = realloc(s->ns, s->cap * sizeof(*s->ns));
		if (!s->ns)
			die("out of memory");
	}
	s->ns[s->len++] = ns;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print_samples(const char *name, struct samples *s)
{
	static const struct {
		const char *suffix;
		double at;
	} marks[] = {
		{ "p50", 0.50 },
		{ "p90", 0.90 },
		{ "p99", 0.99 },
		{ "max", 1.0 },
	};

	if (!s->len)
		return;
	qsort(s->ns, s->len, sizeof(*s->ns), by_value);
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		size_t at = (size_t)(marks[i].at * (double)s->len);

		at = at >= s->len ? s->len - 1 : at;
		printf(", \"%s_%s_us\": %.1f", name, marks[i].suffix, (double)s->ns[at] / 1000.0);
	}
}

static void fail(const char *why, const struct conn *c)
{
	load.failed++;
	if (!load.why[0])
		snprintf(load.why, sizeof(load.why), "%s (status %d, %zu bytes, next event %u)",
			 why, c->status, c->received, c->next_seq);
}

/* ---- the request ---- */

static void add_text(struct bytes *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add_text(struct bytes *b, const char *format, ...)
{
	va_list ap;
	int n;

	bytes_reserve(b, 1024);
	va_start(ap, format);
	n = vsnprintf(b->ptr + b->len, 1024, format, ap);
	va_end(ap);
	if (n < 0 || n >= 1024)
		die("request too long");
	b->len += (size_t)n;
}

/* The text, with `value` in place of its "%s", where it has one. */
static void add_filled(struct bytes *b, const char *text, const char *value)
{
	const char *gap = strstr(text, "%s");

	bytes_add(b, text, gap ? (size_t)(gap - text) : strlen(text));
	if (!gap)
		return;
	bytes_add(b, value, strlen(value));
	bytes_add(b, gap + 2, strlen(gap + 2));
}

/* A body of the wanted size: one user turn, with the words that the mock reads up front. */
static struct bytes made_body(void)
{
	static const char filler[] =
		"Write down what the keeper of the light did that night, and why. ";
	const struct asker *a = &askers[load.dialect];
	const char *after = load.stream ? a->after_stream : a->after;
	const char *usage =
		load.include_usage ? ",\"stream_options\":{\"include_usage\":true}}" : "";
	struct bytes b = { 0 };
	size_t tail = strlen(after) + strlen(usage);

	add_filled(&b, a->before, load.model);
	add_text(&b, "nonce=0000000000000000 pace=%llu deltas=%u ",
		 (unsigned long long)load.pace_us, load.deltas);
	for (size_t i = 0; b.len + tail < load.body_size; i++)
		bytes_add(&b, &filler[i % (sizeof(filler) - 1)], 1);
	bytes_add(&b, after, strlen(after));
	if (*usage) {
		b.len--; /* the closing brace */
		bytes_add(&b, usage, strlen(usage));
	}
	return b;
}

static struct bytes file_body(const char *path)
{
	struct bytes b = { 0 };
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f)
		die("%s: %s", path, strerror(errno));
	do {
		bytes_reserve(&b, 65536);
		n = fread(b.ptr + b.len, 1, 65536, f);
		b.len += n;
	} while (n);
	fclose(f);
	if (!memmem(b.ptr, b.len, "nonce=0000000000000000", 22))
		die("%s: the text must contain nonce=0000000000000000", path);
	return b;
}

static const char *request_path(void)
{
	const struct asker *a = &askers[load.dialect];

	if (load.path)
		return load.path;
	return load.stream && a->stream_path ? a->stream_path : a->path;
}

static void build_template(void)
{
	struct bytes body = load.body_file ? file_body(load.body_file) : made_body(), all = { 0 };
	char *nonce;

	add_text(&all, "POST ");
	add_filled(&all, request_path(), load.model);
	add_text(&all,
		 " HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nuser-agent: llm-gateway-bench\r\n"
		 "content-type: application/json\r\naccept: */*\r\n",
		 load.port);
	add_filled(&all, askers[load.dialect].credential, load.key);
	add_text(&all, "content-length: %zu\r\n\r\n", body.len);
	bytes_add(&all, body.ptr, body.len);
	free(body.ptr);
	nonce = memmem(all.ptr, all.len, "nonce=", 6);
	load.nonce_at = (size_t)(nonce - all.ptr) + 6;
	load.template = all.ptr;
	load.template_len = all.len;
}

/* ---- connections ---- */

static int dial(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons((uint16_t)load.port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die("connect to port %d: %s", load.port, strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void conn_dial(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };

	c->fd = dial();
	c->reused = false;
	epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &ev);
}

static void conn_hang_up(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
	c->busy = false;
}

/* Sends all of the request on a blocking descriptor: 1 KB always fits. */
static bool send_request(struct conn *c)
{
	size_t at = 0;

	while (at < load.template_len) {
		ssize_t n = send(c->fd, c->request + at, load.template_len - at, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

static void new_nonce(struct conn *c)
{
	static uint64_t count;
	uint64_t x = ++count * 0x9e3779b97f4a7c15ULL ^ (uint64_t)getpid() << 20;

	x ^= x >> 29;
	snprintf(c->nonce, sizeof(c->nonce), "%016llx", (unsigned long long)x);
	memcpy(c->request + load.nonce_at, c->nonce, NONCE_LEN);
}

static void reset_answer(struct conn *c)
{
	c->in.len = c->body.len = 0;
	c->in_body = c->terminated = c->bad = false;
	c->status = 0;
	c->chunk = CHUNK_SIZE;
	c->left = c->received = 0;
	c->next_seq = 0;
}

static bool more_to_start(void)
{
	return (!load.requests || load.started < load.requests) &&
	       (!load.deadline || now_ns() < load.deadline);
}

static void start_request(struct conn *c)
{
	if (!more_to_start()) {
		c->busy = false;
		return;
	}
	new_nonce(c);
	reset_answer(c);
	load.started++;
	c->busy = true;
	if (c->fd < 0)
		conn_dial(c);
	c->t_sent = now_ns();
	if (!send_request(c)) {
		/* A server may close an idle connection at any time: once more on a new one. */
		conn_hang_up(c);
		load.reconnects++;
		conn_dial(c);
		c->busy = true;
		if (!send_request(c))
			die("cannot send a request");
	}
}

/* ---- the answer ---- */

/* Checks the marks of one event, "~NONCE SEQ NS~"; a gateway may have joined several in one event. */
static void check_marks(struct conn *c, const char *p, size_t n, uint64_t t)
{
	const char *end = p + n;

	while ((p = memchr(p, '~', (size_t)(end - p)))) {
		const char *stop = memchr(p + 1, '~', (size_t)(end - p - 1));
		char *at;
		unsigned long seq;
		uint64_t born;

		if (!stop || stop - p < NONCE_LEN + 4 || memcmp(p + 1, c->nonce, NONCE_LEN) != 0) {
			load.garbled++;
			c->bad = true;
			return;
		}
		seq = strtoul(p + 1 + NONCE_LEN, &at, 10);
		born = strtoull(at, NULL, 10);
		if (seq != c->next_seq) {
			load.garbled++;
			c->bad = true;
		}
		if (!c->next_seq)
			sample(&load.ttft, t - c->t_sent);
		c->next_seq = (unsigned)seq + 1;
		load.events++;
		sample(&load.age, t - born);
		p = stop + 1;
	}
}

static bool starts(const char *p, size_t n, const char *with)
{
	size_t len = strlen(with);

	return n >= len && memcmp(p, with, len) == 0;
}

static void check_event(struct conn *c, const char *p, size_t n, uint64_t t)
{
	const struct asker *a = &askers[load.dialect];

	if (c->terminated) {
		c->bad = c->bad || !a->bye || !starts(p, n, a->bye);
		load.garbled += memchr(p, '~', n) != NULL;
		return;
	}
	if (memmem(p, n, a->error, strlen(a->error)))
		c->bad = true;
	if (!a->only || starts(p, n, a->only))
		check_marks(c, p, n, t);
	c->terminated = memmem(p, n, a->end, strlen(a->end)) != NULL;
}

/* The length of the frame at `at`, its end included; 0 while it is not whole. */
static size_t frame_len(const struct bytes *b, size_t at, bool line)
{
	const char *p = b->ptr + at, *end = b->ptr + b->len;

	while ((p = memchr(p, '\n', (size_t)(end - p)))) {
		const char *next = ++p;

		if (line)
			return (size_t)(p - b->ptr) - at;
		if (next < end && *next == '\r')
			next++;
		if (next < end && *next == '\n')
			return (size_t)(next + 1 - b->ptr) - at;
	}
	return 0;
}

/* Takes decoded body bytes. */
static void take_body(struct conn *c, const char *p, size_t n, uint64_t t)
{
	size_t at = 0, len;

	bytes_add(&c->body, p, n);
	if (!load.stream || c->status != 200)
		return;
	while ((len = frame_len(&c->body, at, askers[load.dialect].lines))) {
		check_event(c, c->body.ptr + at, len, t);
		at += len;
	}
	bytes_drop(&c->body, at);
}

static void check_answer(struct conn *c, uint64_t t)
{
	sample(&load.latency, t - c->t_sent);
	load.done++;
	if (c->status != 200) {
		fail("not 200", c);
	} else if (!load.stream) {
		/* An empty body has no buffer yet. */
		const char *mark = c->body.len ? memchr(c->body.ptr, '~', c->body.len) : NULL;
		size_t left = mark ? (size_t)(c->body.ptr + c->body.len - mark) : 0;

		if (left < NONCE_LEN + 2 || memcmp(mark + 1, c->nonce, NONCE_LEN) != 0) {
			load.garbled++;
			fail("the answer is another request's", c);
		}
	} else if (c->next_seq < load.deltas) {
		load.lost += load.deltas - c->next_seq;
		fail("events missing", c);
	} else if (c->bad || !c->terminated || c->body.len) {
		fail(c->bad ? "events out of order or of another stream" : "no terminator", c);
	}
}

static void answer_end(struct conn *c)
{
	check_answer(c, now_ns());
	if (c->in.len) {
		load.garbled++;
		fail("bytes after the answer", c);
	}
	load.last_progress = now_ns();
	c->reused = true;
	start_request(c);
}

static void answer_broken(struct conn *c, const char *why)
{
	if (load.stream && c->next_seq < load.deltas)
		load.lost += load.deltas - c->next_seq;
	load.done++;
	fail(why, c);
	conn_hang_up(c);
	start_request(c);
}

/* Reads the head; false while it is not whole. */
static bool take_head(struct conn *c)
{
	char *end = memmem(c->in.ptr, c->in.len, "\r\n\r\n", 4);
	size_t len;
	long length;

	if (!end)
		return false;
	len = (size_t)(end - c->in.ptr) + 4;
	c->status = 0;
	if (len > 12 && memcmp(c->in.ptr, "HTTP/1.1 ", 9) == 0)
		c->status = (int)strtol(c->in.ptr + 9, NULL, 10);
	length = head_content_length(c->in.ptr, len);
	c->framing = length >= 0 ? BY_LENGTH : BY_CLOSE;
	c->left = length >= 0 ? (size_t)length : 0;
	for (size_t i = 0; i < len; i++)
		c->in.ptr[i] = (char)tolower((unsigned char)c->in.ptr[i]);
	if (memmem(c->in.ptr, len, "\ntransfer-encoding: chunked", 27))
		c->framing = BY_CHUNKS;
	bytes_drop(&c->in, len);
	c->in_body = true;
	return true;
}

/* Decodes what has come of a chunked body; true at its end. Sets c->chunk to CHUNK_DONE then. */
static bool take_chunks(struct conn *c, uint64_t t)
{
	size_t at = 0;

	while (c->chunk != CHUNK_DONE && at < c->in.len) {
		char *p = c->in.ptr + at;
		size_t n = c->in.len - at;

		if (c->chunk == CHUNK_DATA) {
			n = n < c->left ? n : c->left;
			take_body(c, p, n, t);
			at += n;
			c->left -= n;
			c->chunk = c->left ? CHUNK_DATA : CHUNK_CRLF;
			continue;
		}
		char *eol = memmem(p, n, "\r\n", 2);
		if (!eol)
			break;
		at = (size_t)(eol - c->in.ptr) + 2;
		if (c->chunk == CHUNK_CRLF) {
			c->chunk = CHUNK_SIZE;
		} else if (c->chunk == CHUNK_SIZE) {
			c->left = strtoul(p, NULL, 16);
			c->chunk = c->left ? CHUNK_DATA : CHUNK_TRAILER;
		} else if (eol == p) {
			c->chunk = CHUNK_DONE;
		}
	}
	bytes_drop(&c->in, at);
	return c->chunk == CHUNK_DONE;
}

static bool take_sized(struct conn *c, uint64_t t)
{
	size_t n = c->framing == BY_CLOSE || c->in.len < c->left ? c->in.len : c->left;

	take_body(c, c->in.ptr, n, t);
	bytes_drop(&c->in, n);
	c->left -= c->framing == BY_CLOSE ? 0 : n;
	return c->framing == BY_LENGTH && !c->left;
}

/* The server closed: fine for a body that the close ends, and between two requests. */
static void conn_closed(struct conn *c)
{
	if (!c->busy) {
		conn_hang_up(c);
	} else if (c->in_body && c->framing == BY_CLOSE) {
		check_answer(c, now_ns());
		conn_hang_up(c);
		start_request(c);
	} else if (c->reused && !c->received) {
		load.reconnects++;
		load.started--;
		conn_hang_up(c);
		start_request(c);
	} else {
		answer_broken(c, "closed by the server");
	}
}

static void conn_readable(struct conn *c)
{
	uint64_t t;
	ssize_t n;

	bytes_reserve(&c->in, 16384);
	n = recv(c->fd, c->in.ptr + c->in.len, c->in.cap - c->in.len, MSG_DONTWAIT);
	t = now_ns();
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		conn_closed(c);
		return;
	}
	c->in.len += (size_t)n;
	c->received += (size_t)n;
	if (!c->busy) {
		load.garbled++;
		conn_hang_up(c);
		return;
	}
	if (!c->in_body && !take_head(c))
		return;
	if (c->framing == BY_CHUNKS ? take_chunks(c, t) : take_sized(c, t))
		answer_end(c);
}

/* ---- the modes ---- */

static struct conn *new_conn(void)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		die("out of memory");
	c->fd = -1;
	c->request = malloc(load.template_len);
	if (!c->request)
		die("out of memory");
	memcpy(c->request, load.template, load.template_len);
	return c;
}

static bool any_busy(struct conn **conns, unsigned opened)
{
	for (unsigned i = 0; i < opened; i++)
		if (conns[i]->busy)
			return true;
	return false;
}

static void print_results(uint64_t start)
{
	printf("{\"requests\": %llu, \"failed\": %llu, \"lost\": %llu, \"garbled\": %llu, "
	       "\"events\": %llu, "
	       "\"reconnects\": %llu, \"seconds\": %.3f",
	       (unsigned long long)load.done, (unsigned long long)load.failed,
	       (unsigned long long)load.lost, (unsigned long long)load.garbled,
	       (unsigned long long)load.events, (unsigned long long)load.reconnects,
	       (double)(now_ns() - start) / (double)NS_PER_SEC);
	print_samples("latency", &load.latency);
	print_samples("event", &load.age);
	print_samples("ttft", &load.ttft);
	printf(", \"why\": \"%s\"}\n", load.why);
}

/* Takes in what has come, for `wait_ms` at most. */
static void turn(int wait_ms)
{
	struct epoll_event events[256];
	int n = epoll_wait(load.epoll, events, 256, wait_ms);

	for (int i = 0; i < n; i++) {
		struct conn *c = events[i].data.ptr;

		if (c->fd >= 0)
			conn_readable(c);
	}
	if (n > 0 && load.stream)
		load.last_progress = now_ns();
}

/* The closed loop. With a ramp the connections start evenly over it. */
static void run_loop(void)
{
	struct conn **conns = calloc(load.conns, sizeof(*conns));
	uint64_t start = now_ns(), gap = load.ramp_ms * 1000000 / load.conns;
	unsigned opened = 0;

	if (!conns)
		die("out of memory");
	load.deadline = load.seconds_ms ? start + load.seconds_ms * 1000000 : 0;
	load.last_progress = start;
	while (opened < load.conns || any_busy(conns, opened)) {
		uint64_t now = now_ns();

		for (; opened < load.conns && now >= start + opened * gap; opened++) {
			conns[opened] = new_conn();
			conn_dial(conns[opened]);
			start_request(conns[opened]);
		}
		turn(opened < load.conns ? (int)((start + opened * gap - now) / 1000000) : 100);
		if (now_ns() <= load.last_progress + load.stall_ms * 1000000)
			continue;
		for (unsigned i = 0; i < opened; i++)
			if (conns[i]->busy)
				fail("no answer", conns[i]);
		break;
	}
	print_results(start);
}

/* Reads, blocking, until the answer is whole (idle) or its first text is there (hold). */
static void read_until_open(struct conn *c, bool first_text_only)
{
	while (c->busy) {
		conn_readable(c);
		if (load.failed)
			die("%s", load.why);
		if (first_text_only ? load.events >= load.started : !c->busy)
			return;
		struct epoll_event ev;
		if (epoll_wait(load.epoll, &ev, 1, (int)load.stall_ms) < 1)
			die("no answer on connection %llu", (unsigned long long)load.started);
	}
}

/* idle and hold: opens the connections one after the other and keeps them until stdin closes. */
static void run_open(bool streams)
{
	char c;

	for (unsigned i = 0; i < load.conns; i++) {
		struct conn *one = new_conn();

		conn_dial(one);
		load.requests = i + 1; /* one request on each */
		start_request(one);
		read_until_open(one, streams);
	}
	printf("ready %u\n", load.conns);
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
}

static void usage(FILE *out)
{
	fputs("usage: load whole|stream|idle|hold --port N [options]\n"
	      "  --path P          request path (default: the dialect's)\n"
	      "  --dialect D       chat (default), responses, anthropic, gemini or ollama\n"
	      "  --model M         model name in the body\n"
	      "  --key K           API key to send\n"
	      "  -c, --conns N     connections\n"
	      "  --requests N      stop after N requests\n"
	      "  --ms N            stop starting requests after N milliseconds\n"
	      "  --ramp N          start the connections over N milliseconds\n"
	      "  --pace US         ask the mock for this pace (streams)\n"
	      "  --deltas N        ask the mock for this many text deltas (streams)\n"
	      "  --include-usage   ask for the usage chunk (OpenAI streams)\n"
	      "  --body-size N     bytes of the body (default 1024)\n"
	      "  --body FILE       a body of your own, with nonce=0000000000000000 in its text\n"
	      "  --stall N         give up after N milliseconds without progress (default 10000)\n",
	      out);
}

static const struct option options[] = {
	{ "port", required_argument, NULL, 'p' },
	{ "path", required_argument, NULL, 'P' },
	{ "dialect", required_argument, NULL, 'D' },
	{ "model", required_argument, NULL, 'm' },
	{ "key", required_argument, NULL, 'k' },
	{ "conns", required_argument, NULL, 'c' },
	{ "requests", required_argument, NULL, 'n' },
	{ "ms", required_argument, NULL, 't' },
	{ "ramp", required_argument, NULL, 'r' },
	{ "pace", required_argument, NULL, 'T' },
	{ "deltas", required_argument, NULL, 'd' },
	{ "include-usage", no_argument, NULL, 'u' },
	{ "body-size", required_argument, NULL, 's' },
	{ "body", required_argument, NULL, 'b' },
	{ "stall", required_argument, NULL, 'S' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void take_option(int o)
{
	switch (o) {
	case 'p':
		load.port = (int)option_number("port", optarg, 65535);
		break;
	case 'P':
		load.path = optarg;
		break;
	case 'D':
		load.dialect = asker_find(optarg);
		if (load.dialect == N_DIALECTS)
			die("--dialect: chat, responses, anthropic, gemini or ollama, not %s",
			    optarg);
		break;
	case 'm':
		load.model = optarg;
		break;
	case 'k':
		load.key = optarg;
		break;
	case 'c':
		load.conns = (unsigned)option_number("conns", optarg, 16000);
		break;
	case 'n':
		load.requests = option_number("requests", optarg, 1000000000);
		break;
	case 't':
		load.seconds_ms = option_number("ms", optarg, 3600000);
		break;
	case 'r':
		load.ramp_ms = option_number("ramp", optarg, 3600000);
		break;
	case 'T':
		load.pace_us = option_number("pace", optarg, 3600000000ULL);
		break;
	case 'd':
		load.deltas = (unsigned)option_number("deltas", optarg, 1000000);
		break;
	case 'u':
		load.include_usage = true;
		break;
	case 's':
		load.body_size = option_number("body-size", optarg, 1u << 20);
		break;
	case 'b':
		load.body_file = optarg;
		break;
	case 'S':
		load.stall_ms = option_number("stall", optarg, 3600000);
		break;
	case 'h':
		usage(stdout);
		exit(0);
	default:
		usage(stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (strcmp(mode, "--help") == 0) {
		usage(stdout);
		return 0;
	}
	optind = 2;
	for (int o; argc > 1 && (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;)
		take_option(o);
	if (argc < 2 || optind != argc || !load.port || !load.conns) {
		usage(stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	load.stream = strcmp(mode, "stream") == 0 || strcmp(mode, "hold") == 0;
	build_template();
	if (strcmp(mode, "idle") == 0 || strcmp(mode, "hold") == 0)
		run_open(load.stream);
	else if (strcmp(mode, "whole") == 0 || strcmp(mode, "stream") == 0)
		run_loop();
	else
		die("no mode %s: whole, stream, idle or hold", mode);
	return load.failed ? 1 : 0;
}
