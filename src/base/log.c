/* base/log.c - the process's one log: lines are composed by whoever logs, queued under a
 * short lock and written by a thread of the log's own.
 *
 * The hard thing is a target that does not take bytes (a blocked pipe, a full disk): the
 * writer may wait for it, nobody else may, and neither may the end of the process. So the
 * queue is bounded, what does not fit is counted, and the writer asks with poll() before
 * it writes pieces that a pipe takes without blocking.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/escape.h"

enum {
	QUEUE_MAX = 1 << 20,
	QUEUE_KEEP = 64 << 10, /* a burst's memory above this is given back */
	LINE_MAX_BYTES = 64 << 10,
	LINE_USUAL = 1024,    /* one allocation for nearly every line */
	GATHER_MS = 10,       /* how long the writer lets lines gather after a wake-up */
	CLOSE_WAIT_MS = 2000, /* how long log_close() waits for a target that is stuck */
	PIECE = 4096,         /* PIPE_BUF: poll() promises room for it */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	struct buf queue; /* lines waiting; the writer swaps it for an empty one */
	char *path;       /* NULL: stderr */
	int next_fd;      /* log_reopen(): to be taken over by the writer; -1: none */
	size_t next_from; /* where in the queue the lines for next_fd begin */
	bool closing;
	bool urgent; /* do not let lines gather */
	bool idle;   /* the writer sleeps until it is woken */
	uint64_t close_at_ms;
	/* the writer's own */
	int fd;
	bool pieces;       /* the target is no plain file */
	bool torn;         /* the target took half a line before it refused the rest */
	uint64_t reported; /* losses the log has told about */
} g = { .lock = PTHREAD_MUTEX_INITIALIZER, .next_fd = -1, .fd = STDERR_FILENO };

static atomic_int least = LOG_INFO;
static atomic_int format = LOG_TEXT;
static atomic_bool colours, running;
static atomic_uint_least64_t dropped;

static const char *const level_names[] = { "debug", "info", "warn", "error" };

bool log_enabled(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&least, memory_order_relaxed);
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&least, level, memory_order_relaxed);
}

uint64_t log_dropped(void)
{
	return atomic_load_explicit(&dropped, memory_order_relaxed);
}

/* --- one line --- */

static void put_millis(struct buf *out, int64_t now_us)
{
	unsigned ms = (unsigned)(now_us / 1000 % 1000);
	char text[3] = { (char)('0' + ms / 100), (char)('0' + ms / 10 % 10),
			 (char)('0' + ms % 10) };

	buf_put(out, (struct str){ text, sizeof(text) });
}

/* The date is made once a second. */
static void put_time(struct buf *out)
{
	enum { SECONDS_LEN = 20 }; /* "2026-11-21T12:00:00." */
	static _Thread_local int64_t second = -1;
	static _Thread_local char text[25];
	int64_t now_us = clock_wall_us();

	if (second != now_us / 1000000) {
		second = now_us / 1000000;
		clock_rfc3339(now_us, text);
	}
	buf_put(out, (struct str){ text, SECONDS_LEN });
	put_millis(out, now_us);
	buf_putc(out, 'Z');
}

/* Local time of day; the time zone's rules are asked once a second. */
static void put_local_time(struct buf *out)
{
	static _Thread_local int64_t second = -1;
	static _Thread_local char text[16];
	int64_t now_us = clock_wall_us();
	struct tm tm;
	time_t t = (time_t)(now_us / 1000000);

	if (second != t && localtime_r(&t, &tm)) {
		second = t;
		strftime(text, sizeof(text), "%H:%M:%S.", &tm);
	}
	buf_puts(out, text);
	put_millis(out, now_us);
}

static void put_quoted(struct buf *out, struct str s)
{
	buf_putc(out, '"');
	escape_json(out, s);
	buf_putc(out, '"');
}

static bool field_absent(const struct log_field *f)
{
	return (f->kind == LOG_F_STR || f->kind == LOG_F_RAW) && !f->s.ptr;
}

static void put_value(struct buf *out, const struct log_field *f, bool bare)
{
	switch (f->kind) {
	case LOG_F_STR:
		if (bare)
			escape_json(out, f->s);
		else
			put_quoted(out, f->s);
		break;
	case LOG_F_INT:
		buf_put_i64(out, f->i);
		break;
	case LOG_F_BOOL:
		buf_put(out, f->i ? STR("true") : STR("false"));
		break;
	case LOG_F_RAW:
		buf_put(out, f->s);
		break;
	}
}

static bool is_plain(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;

	return escape_plain_end(p, p + s.len) == p + s.len;
}

/* `,"key":value`. An access record is two dozen of these, so words that need no escape, nearly all, take one look at the room. */
static void put_field(struct buf *out, const struct log_field *f)
{
	bool word = f->kind == LOG_F_STR && is_plain(f->s);
	size_t most = f->key.len + 6 + (word ? f->s.len : 0);
	char *to = buf_reserve(out, most), *p = to;

	if (!p)
		return;
	*p++ = ',';
	*p++ = '"';
	memcpy(p, f->key.ptr, f->key.len);
	p += f->key.len;
	*p++ = '"';
	*p++ = ':';
	if (word) {
		*p++ = '"';
		memcpy(p, f->s.ptr, f->s.len);
		p += f->s.len;
		*p++ = '"';
	}
	buf_added(out, (size_t)(p - to));
	if (!word)
		put_value(out, f, false);
}

static void compose_json(struct buf *out, enum log_level level, const char *event, const char *msg,
			 const struct log_field *fields, unsigned n)
{
	buf_put(out, STR("{\"time\":\""));
	put_time(out);
	buf_put(out, STR("\",\"level\":\""));
	buf_puts(out, level_names[level]);
	buf_put(out, STR("\",\"event\":"));
	put_quoted(out, str_from(event));
	if (msg) {
		buf_put(out, STR(",\"msg\":"));
		put_quoted(out, str_from(msg));
	}
	for (unsigned i = 0; i < n; i++) {
		if (!field_absent(&fields[i]))
			put_field(out, &fields[i]);
	}
	buf_put(out, STR("}\n"));
}

/* A value may stand without quotes in a text line when nothing in it could be misread. */
static bool plain_word(const struct log_field *f)
{
	if (f->kind != LOG_F_STR || !f->s.len || !is_plain(f->s))
		return false;
	return !memchr(f->s.ptr, ' ', f->s.len) && !memchr(f->s.ptr, '=', f->s.len);
}

static void compose_text(struct buf *out, enum log_level level, const char *event, const char *msg,
			 const struct log_field *fields, unsigned n)
{
	static const char *const padded[] = { "debug", "info ", "warn ", "error" };
	static const char *const colour[] = { "\33[2m", "\33[32m", "\33[33m", "\33[31m" };
	bool paint = atomic_load_explicit(&colours, memory_order_relaxed);

	put_local_time(out);
	buf_putc(out, ' ');
	if (paint)
		buf_puts(out, colour[level]);
	buf_puts(out, padded[level]);
	if (paint)
		buf_puts(out, "\33[0m");
	buf_puts(out, "  ");
	buf_puts(out, event);
	if (msg) {
		buf_puts(out, "  ");
		escape_json(out, str_from(msg));
	}
	for (unsigned i = 0; i < n; i++) {
		if (field_absent(&fields[i]))
			continue;
		buf_puts(out, i ? " " : "  ");
		buf_put(out, fields[i].key);
		buf_putc(out, '=');
		put_value(out, &fields[i], plain_word(&fields[i]));
	}
	buf_putc(out, '\n');
}

static void compose(struct buf *out, enum log_level level, const char *event, const char *msg,
		    const struct log_field *fields, unsigned n)
{
	if (atomic_load_explicit(&format, memory_order_relaxed) == LOG_JSON)
		compose_json(out, level, event, msg, fields, n);
	else
		compose_text(out, level, event, msg, fields, n);
}

/* --- writing --- */

static uint64_t count_lines(struct str s)
{
	uint64_t n = 0;

	for (ptrdiff_t at; (at = str_chr(s, '\n')) >= 0; n++)
		s = str_from_offset(s, (size_t)at + 1);
	return n;
}

/* True when the target takes bytes; false when the end of the process will not wait for it longer. */
static bool target_ready(void)
{
	for (;;) {
		struct pollfd p = { .fd = g.fd, .events = POLLOUT };
		bool late;

		if (poll(&p, 1, 100) > 0)
			return true;
		pthread_mutex_lock(&g.lock);
		late = g.closing && clock_mono_ms() >= g.close_at_ms;
		pthread_mutex_unlock(&g.lock);
		if (late)
			return false;
	}
}

/* Writes as much of `s` as the target takes; returns the rest. */
static struct str write_some(struct str s)
{
	while (s.len) {
		size_t n = g.pieces && s.len > PIECE ? PIECE : s.len;
		ssize_t done;

		if (g.pieces && !target_ready())
			break;
		done = write(g.fd, s.ptr, n);
		if (done < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (done <= 0)
			break;
		g.torn = s.ptr[done - 1] != '\n';
		s = str_from_offset(s, (size_t)done);
	}
	return s;
}

/* Writes all of `s`, or counts as lost the lines that the target refuses. */
static void write_out(struct str s)
{
	if (s.len && g.torn)
		write_some(STR("\n"));
	s = write_some(s);
	atomic_fetch_add_explicit(&dropped, count_lines(s), memory_order_relaxed);
}

static void report_losses(void)
{
	uint64_t lost = log_dropped();
	struct log_field f = LF_INT("lines", lost - g.reported);
	struct buf line;

	if (lost == g.reported)
		return;
	g.reported = lost;
	buf_init(&line, LINE_MAX_BYTES);
	compose(&line, LOG_WARN, "log.dropped", "the log's target did not keep up; lines were lost",
		&f, 1);
	write_out(buf_str(&line));
	buf_done(&line);
}

static void take_fd(int fd)
{
	struct stat st;

	if (g.fd != STDERR_FILENO)
		close(g.fd);
	g.fd = fd;
	g.torn = false;
	g.pieces = fstat(fd, &st) != 0 || !S_ISREG(st.st_mode);
}

/* Sleeps until there is something to write, then lets more gather unless it is urgent. Called
 * with the lock held. */
static void wait_for_lines(void)
{
	struct timespec until;

	while (!buf_len(&g.queue) && !g.closing && g.next_fd < 0) {
		g.idle = true;
		pthread_cond_wait(&g.wake, &g.lock);
	}
	g.idle = false;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += GATHER_MS * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	while (!g.urgent && !g.closing && g.next_fd < 0) {
		if (pthread_cond_timedwait(&g.wake, &g.lock, &until) == ETIMEDOUT)
			break;
	}
	g.urgent = false;
}

static void *writer(void *unused)
{
	struct buf batch;
	bool last = false;

	(void)unused;
	buf_init(&batch, QUEUE_MAX);
	while (!last) {
		struct buf swap = batch;
		struct str old, new;
		int fd;

		pthread_mutex_lock(&g.lock);
		wait_for_lines();
		batch = g.queue;
		g.queue = swap;
		old = new = buf_str(&batch);
		fd = g.next_fd;
		g.next_fd = -1;
		if (fd >= 0 && old.len > g.next_from)
			old.len = g.next_from;
		last = g.closing;
		pthread_mutex_unlock(&g.lock);
		write_out(old);
		if (fd >= 0)
			take_fd(fd);
		write_out(str_from_offset(new, old.len));
		report_losses();
		if (batch.cap > QUEUE_KEEP)
			buf_done(&batch);
		buf_reset(&batch);
	}
	buf_done(&batch);
	return NULL;
}

static void enqueue(struct str line, bool urgent)
{
	bool wake;

	pthread_mutex_lock(&g.lock);
	/* Asked first, because a put that fails would take the queued lines with it. */
	if (line.len > QUEUE_MAX - buf_len(&g.queue)) {
		atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
		pthread_mutex_unlock(&g.lock);
		return;
	}
	buf_put(&g.queue, line);
	if (!buf_ok(&g.queue)) { /* out of memory: start again with what fits */
		atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
		buf_reset(&g.queue);
	}
	wake = g.idle || urgent;
	g.idle = false;
	g.urgent |= urgent;
	pthread_mutex_unlock(&g.lock);
	if (wake)
		pthread_cond_signal(&g.wake);
}

void log_fields(enum log_level level, const char *event, const char *msg,
		const struct log_field *fields, unsigned n)
{
	struct buf line;

	if (!log_enabled(level))
		return;
	buf_init(&line, LINE_MAX_BYTES);
	if (buf_reserve(&line, LINE_USUAL))
		compose(&line, level, event, msg, fields, n);
	if (line.over) {
		buf_reset(&line);
		compose(&line, level, event, "(the line's fields were too long to log)", NULL, 0);
	}
	if (!buf_ok(&line)) {
		atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
	} else if (atomic_load_explicit(&running, memory_order_acquire)) {
		enqueue(buf_str(&line), level == LOG_ERROR);
	} else {
		struct str s = buf_str(&line);

		if (write(STDERR_FILENO, s.ptr, s.len) < 0)
			atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
	}
	buf_done(&line);
}

/* --- open, reopen, close --- */

static int open_target(const char *path, struct err *reterr)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);

	if (fd < 0)
		return err_set(reterr, RC_IO, "cannot open the log file %s: %s", path,
			       strerror(errno));
	return fd;
}

/* The writer must never be the thread that a signal of the process interrupts. */
static int start_writer(void)
{
	pthread_condattr_t attr;
	sigset_t all, before;
	int rc;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g.wake, &attr);
	pthread_condattr_destroy(&attr);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&g.thread, NULL, writer, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		pthread_cond_destroy(&g.wake);
	return rc;
}

int log_open(const struct log_options *o, struct err *reterr)
{
	int fd = STDERR_FILENO;

	if (atomic_load(&running))
		return err_set(reterr, RC_INVALID, "the log is open already");
	if (o->path) {
		fd = open_target(o->path, reterr);
		if (fd < 0)
			return fd;
		g.path = strdup(o->path);
		if (!g.path) {
			close(fd);
			return err_set(reterr, RC_NOMEM, "out of memory");
		}
	}
	log_set_level(o->level);
	atomic_store(&format, o->format);
	atomic_store(&colours, !o->path && isatty(STDERR_FILENO));
	buf_init(&g.queue, QUEUE_MAX);
	g.closing = g.urgent = g.idle = false;
	g.fd = STDERR_FILENO;
	take_fd(fd);
	g.reported = log_dropped();
	if (start_writer()) {
		take_fd(STDERR_FILENO);
		free(g.path);
		g.path = NULL;
		return err_set(reterr, RC_NOMEM, "cannot start the thread that writes the log");
	}
	atomic_store_explicit(&running, true, memory_order_release);
	return RC_OK;
}

void log_reopen(void)
{
	struct err e;
	int fd, stale;

	if (!atomic_load(&running) || !g.path)
		return;
	fd = open_target(g.path, &e);
	if (fd < 0) {
		log_event(LOG_ERROR, "log.reopen", "the old file stays in use",
			  LF_CSTR("reason", e.msg));
		return;
	}
	pthread_mutex_lock(&g.lock);
	stale = g.next_fd;
	g.next_fd = fd;
	g.next_from = buf_len(&g.queue);
	g.idle = false;
	pthread_mutex_unlock(&g.lock);
	pthread_cond_signal(&g.wake);
	if (stale >= 0)
		close(stale);
}

void log_close(void)
{
	if (!atomic_exchange(&running, false))
		return;
	pthread_mutex_lock(&g.lock);
	g.closing = true;
	g.close_at_ms = clock_mono_ms() + CLOSE_WAIT_MS;
	pthread_mutex_unlock(&g.lock);
	pthread_cond_signal(&g.wake);
	pthread_join(g.thread, NULL);
	pthread_cond_destroy(&g.wake);
	buf_done(&g.queue);
	if (g.next_fd >= 0)
		close(g.next_fd);
	g.next_fd = -1;
	take_fd(STDERR_FILENO);
	free(g.path);
	g.path = NULL;
}
