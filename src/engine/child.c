/* engine/child.c - spawns, listens to and reaps one process.
 *
 * The hard thing is its last words: they matter most when it dies, and may sit unread in the pipe when its end is
 * noticed. So the pipe is read by hand (uv_poll), and drained once more, without blocking, before on_exit.
 */
#include "engine/child.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/utf8.h"

struct tail {
	char line[CHILD_TAIL_LINES][CHILD_TAIL_WIDTH];
	uint16_t len[CHILD_TAIL_LINES];
	unsigned at;    /* the line being written */
	unsigned whole; /* finished lines, at most CHILD_TAIL_LINES - 1 */
};

struct child {
	struct loop *loop;
	uv_process_t process;
	uv_poll_t poll;
	int out_fd;  /* read end of its output */
	int life_fd; /* watch mode: write end of its standard input; -1 */
	bool running, ending;
	unsigned open_handles;
	struct str label;
	void (*on_exit)(void *user, int64_t status, int signal);
	void *user;
	void (*closed)(void *user);
	void *closed_user;
	struct tail tail;
};

/* What an engine needs from us: where things are, the language, and which devices it may use. No key is called so. */
static const char *const env_kept[] = {
	"PATH",
	"HOME",
	"USER",
	"LANG",
	"LC_ALL",
	"LC_CTYPE",
	"TZ",
	"TMPDIR",
	"XDG_CACHE_HOME",
	"LD_LIBRARY_PATH",
	"DYLD_LIBRARY_PATH",
	"CUDA_VISIBLE_DEVICES",
	"NVIDIA_VISIBLE_DEVICES",
	"HIP_VISIBLE_DEVICES",
	"ROCR_VISIBLE_DEVICES",
	"HSA_OVERRIDE_GFX_VERSION",
	"GGML_VK_VISIBLE_DEVICES",
	"ONEAPI_DEVICE_SELECTOR",
};
enum { ENV_KEPT = sizeof(env_kept) / sizeof(env_kept[0]), ENV_ADDED = 16 };

static struct str tail_line(const struct tail *t, unsigned i)
{
	return (struct str){ t->line[i], t->len[i] };
}

static void line_ended(struct child *c)
{
	struct tail *t = &c->tail;

	if (t->len[t->at] == 0)
		return;
	log_event(LOG_DEBUG, "engine.output", NULL, LF_STR("model", c->label),
		  LF_INT("pid", child_pid(c)), LF_STR("line", tail_line(t, t->at)));
	t->at = (t->at + 1) % CHILD_TAIL_LINES;
	t->len[t->at] = 0;
	if (t->whole < CHILD_TAIL_LINES - 1)
		t->whole++;
}

static void take_output(struct child *c, const char *p, size_t n)
{
	struct tail *t = &c->tail;

	for (size_t i = 0; i < n; i++) {
		unsigned char b = (unsigned char)p[i];

		if (b == '\n' || b == '\r')
			line_ended(c);
		else if (t->len[t->at] < CHILD_TAIL_WIDTH)
			t->line[t->at][t->len[t->at]++] = b < ' ' || b == 0x7f ? ' ' : (char)b;
	}
}

/* One turn's share; false at the end of file. A child that floods us waits in its own pipe. */
static bool read_some(struct child *c, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		ssize_t n = read(c->out_fd, c->loop->read_buf, LOOP_READ_BUF);

		if (n > 0)
			take_output(c, c->loop->read_buf, (size_t)n);
		else if (n == 0)
			return false;
		else if (errno != EINTR)
			return errno == EAGAIN || errno == EWOULDBLOCK;
	}
	return true;
}

static void on_output(uv_poll_t *poll, int status, int events)
{
	struct child *c = poll->data;

	(void)events;
	if (status < 0 || !read_some(c, 1))
		uv_poll_stop(poll);
}

static void on_handle_closed(uv_handle_t *h)
{
	struct child *c = h->data;

	if (--c->open_handles > 0)
		return;
	close(c->out_fd);
	if (c->closed)
		c->closed(c->closed_user);
	free(c);
}

static void close_handles(struct child *c)
{
	uv_close((uv_handle_t *)&c->poll, on_handle_closed);
	uv_close((uv_handle_t *)&c->process, on_handle_closed);
}

static void close_life(struct child *c)
{
	if (c->life_fd >= 0)
		close(c->life_fd);
	c->life_fd = -1;
}

static void on_process_exit(uv_process_t *process, int64_t status, int term_signal)
{
	struct child *c = process->data;

	c->running = false;
	close_life(c);
	if (c->ending) {
		close_handles(c);
		return;
	}
	/* Its pipe holds 64 KiB, and perhaps more by the grace of a grandchild: no endless loop. */
	(void)read_some(c, 16);
	line_ended(c);
	c->on_exit(c->user, status, term_signal);
}

static const char *default_mode(void)
{
#ifdef __linux__
	return "signal";
#else
	return "watch";
#endif
}

/* "NAME=value" of a name that is set, malloc'ed; NULL otherwise. */
static char *env_entry(const char *name)
{
	const char *value = getenv(name);
	size_t n = value ? strlen(name) + strlen(value) + 2 : 0;
	char *s = value ? malloc(n) : NULL;

	if (s)
		snprintf(s, n, "%s=%s", name, value);
	return s;
}

struct spawn {
	char pid[24];
	char *argv[CHILD_MAX_ARGS + 8];
	char *env[ENV_KEPT + ENV_ADDED + 1];
	unsigned n_kept;
	uv_stdio_container_t io[3];
	uv_process_options_t options;
	int out[2], life[2];
};

static int spawn_prepare(struct spawn *s, const struct child_options *o, struct err *reterr)
{
	const char *mode = o->mode ? o->mode : default_mode();
	unsigned n = 0, e = 0;
	int rc;

	s->out[0] = s->out[1] = s->life[0] = s->life[1] = -1;
	snprintf(s->pid, sizeof(s->pid), "%ld", (long)getpid());
	s->argv[n++] = (char *)o->shim;
	s->argv[n++] = (char *)"engine-exec";
	s->argv[n++] = s->pid;
	s->argv[n++] = (char *)mode;
	s->argv[n++] = (char *)"--";
	for (unsigned i = 0; o->argv[i]; i++) {
		if (i == CHILD_MAX_ARGS)
			return err_set(reterr, RC_TOOBIG, "more than %d arguments for the engine",
				       CHILD_MAX_ARGS);
		s->argv[n++] = o->argv[i];
	}
	for (unsigned i = 0; i < ENV_KEPT; i++) {
		s->env[e] = env_entry(env_kept[i]);
		if (s->env[e])
			e++;
	}
	s->n_kept = e;
	for (unsigned i = 0; o->env && o->env[i] && i < ENV_ADDED; i++)
		s->env[e++] = (char *)o->env[i];
	rc = uv_pipe(s->out, UV_NONBLOCK_PIPE, 0);
	if (rc == 0 && strcmp(mode, "watch") == 0)
		rc = uv_pipe(s->life, 0, 0);
	return rc == 0 ? RC_OK
		       : err_set(reterr, RC_IO, "no pipe for the engine: %s", uv_strerror(rc));
}

static void spawn_done(struct spawn *s)
{
	for (unsigned i = 0; i < s->n_kept; i++)
		free(s->env[i]);
	for (unsigned i = 0; i < 2; i++) {
		if (s->out[i] >= 0)
			close(s->out[i]);
		if (s->life[i] >= 0)
			close(s->life[i]);
	}
}

/* Standard input is empty, or the pipe whose end of file tells the shim that we died. */
static void spawn_io(struct spawn *s)
{
	s->io[0].flags = UV_IGNORE;
	if (s->life[0] >= 0) {
		s->io[0].flags = UV_INHERIT_FD;
		s->io[0].data.fd = s->life[0];
	}
	s->io[1].flags = s->io[2].flags = UV_INHERIT_FD;
	s->io[1].data.fd = s->io[2].data.fd = s->out[1];
	s->options.stdio = s->io;
	s->options.stdio_count = 3;
	s->options.args = s->argv;
	s->options.env = s->env;
	s->options.file = s->argv[0];
	s->options.exit_cb = on_process_exit;
}

/* Handles are initialised from here on: whatever fails, they must be closed by the loop. */
static int spawn_run(struct child *c, struct spawn *s, struct err *reterr)
{
	int rc;

	c->out_fd = s->out[0];
	rc = uv_poll_init(&c->loop->uv, &c->poll, c->out_fd);
	if (rc < 0)
		return err_set(reterr, RC_IO, "cannot watch the engine's output: %s",
			       uv_strerror(rc));
	s->out[0] = -1;
	c->open_handles = 2;
	c->poll.data = c->process.data = c;
	rc = uv_spawn(&c->loop->uv, &c->process, &s->options);
	if (rc < 0) {
		err_set(reterr, RC_IO, "cannot run %s: %s", s->argv[0], uv_strerror(rc));
		close_handles(c);
		return 1;
	}
	c->running = true;
	c->life_fd = s->life[1];
	s->life[1] = -1;
	uv_poll_start(&c->poll, UV_READABLE, on_output);
	return RC_OK;
}

struct child *child_start(const struct child_options *o, struct err *reterr)
{
	struct spawn s = { .n_kept = 0 };
	struct child *c = calloc(1, sizeof(*c));
	int rc;

	if (!c) {
		err_set(reterr, RC_NOMEM, "out of memory");
		return NULL;
	}
	c->loop = o->loop;
	c->label = o->label;
	c->on_exit = o->on_exit;
	c->user = o->user;
	c->life_fd = -1;
	rc = spawn_prepare(&s, o, reterr);
	if (rc == RC_OK) {
		spawn_io(&s);
		rc = spawn_run(c, &s, reterr);
	}
	spawn_done(&s);
	if (rc < 0)
		free(c); /* with 1 its handles are closing, and the last one frees it */
	return rc == RC_OK ? c : NULL;
}

/* In watch mode the process we know is only the watcher: killed, it could not take the engine along. */
static void kill_now(struct child *c)
{
	if (c->life_fd >= 0)
		close_life(c);
	else
		(void)uv_process_kill(&c->process, SIGKILL);
}

void child_signal(struct child *c, int signal)
{
	if (!c->running)
		return;
	if (signal == SIGKILL)
		kill_now(c);
	else
		(void)uv_process_kill(&c->process, signal);
}

int child_pid(const struct child *c)
{
	return uv_process_get_pid(&c->process);
}

static void put_clean(struct buf *out, struct str s)
{
	while (s.len > 0) {
		size_t n = 1;

		while (n < 4 && n < s.len && !utf8_valid((struct str){ s.ptr, n }))
			n++;
		if (utf8_valid((struct str){ s.ptr, n })) {
			buf_put(out, (struct str){ s.ptr, n });
		} else {
			n = 1;
			buf_putc(out, '?');
		}
		s = str_from_offset(s, n);
	}
}

void child_tail(const struct child *c, unsigned lines, const char *separator, struct buf *out)
{
	const struct tail *t = &c->tail;
	unsigned n = lines < t->whole ? lines : t->whole;

	for (unsigned i = n; i > 0; i--) {
		put_clean(out, str_trim(tail_line(t, (t->at + CHILD_TAIL_LINES - i) %
							     CHILD_TAIL_LINES)));
		if (i > 1)
			buf_puts(out, separator);
	}
}

void child_free(struct child *c, void (*closed)(void *user), void *user)
{
	assert(!c->ending);
	c->ending = true;
	c->closed = closed;
	c->closed_user = user;
	if (c->running)
		kill_now(c);
	else
		close_handles(c);
}
