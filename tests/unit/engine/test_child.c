/* tests/unit/engine/test_child.c - mirrors src/engine/child.c and shim.c: a process, its last words, its death.
 *
 * The program is its own shim and its own children: see main().
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/child.h"
#include "engine/shim.h"

static char self[512];

struct run {
	struct loop loop;
	struct child *child;
	int64_t status;
	int signal;
	bool exited, closed, overdue;
	char tail[4096];
	uv_timer_t limit;
};

static void on_limit(uv_timer_t *t)
{
	struct run *r = t->data;

	r->overdue = true;
	loop_stop(&r->loop);
}

static void run_init(struct run *r)
{
	struct err e;

	*r = (struct run){ .status = -1 };
	assert_int_equal(loop_init(&r->loop, &e), RC_OK);
	uv_timer_init(&r->loop.uv, &r->limit);
	r->limit.data = r;
	uv_timer_start(&r->limit, on_limit, 20000, 0);
}

static void on_closed(void *user)
{
	struct run *r = user;

	r->closed = true;
	loop_stop(&r->loop);
}

static void on_exit_cb(void *user, int64_t status, int signal)
{
	struct run *r = user;
	struct buf b;

	r->exited = true;
	r->status = status;
	r->signal = signal;
	buf_init(&b, sizeof(r->tail));
	child_tail(r->child, CHILD_TAIL_LINES, "|", &b);
	snprintf(r->tail, sizeof(r->tail), "%.*s", STR_ARG(buf_str(&b)));
	buf_done(&b);
	child_free(r->child, on_closed, r);
}

static struct child *start(struct run *r, const char *mode, char *const *argv, struct err *e)
{
	r->child = child_start(
		&(struct child_options){
			.loop = &r->loop,
			.shim = self,
			.mode = mode,
			.argv = argv,
			.label = STR("test"),
			.env = (const char *const[]){ "SOFT_WISH=1", NULL },
			.on_exit = on_exit_cb,
			.user = r,
		},
		e);
	return r->child;
}

static void run_to_end(struct run *r)
{
	loop_run(&r->loop);
	assert_false(r->overdue);
	loop_done(&r->loop);
}

static void run_part(const char *mode, const char *part, struct run *r)
{
	char *argv[] = { self, (char *)"part", (char *)part, NULL };
	struct err e;

	run_init(r);
	assert_non_null(start(r, mode, argv, &e));
	run_to_end(r);
	assert_true(r->exited);
}

static void last_words_and_status(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct run r;

		run_part(i ? "watch" : "signal", "words", &r);
		assert_int_equal(r.status, 5);
		assert_int_equal(r.signal, 0);
		CHECK_STR(str_from(r.tail), "out one|err two|tab here|no end of line");
	}
}

static void only_the_last_lines_are_kept(void **state)
{
	struct run r;

	run_part(NULL, "flood", &r);
	assert_int_equal(r.status, 0);
	assert_true(str_ends(str_from(r.tail), STR("line 9997|line 9998|line 9999")));
	assert_true(str_starts(str_from(r.tail), STR("line 99"))); /* lines, not bytes of any age */
}

static void words_are_made_printable(void **state)
{
	struct run r;

	run_part(NULL, "bytes", &r);
	CHECK_STR(str_from(r.tail), "a?b \xc3\xa9 [31mred");
}

static void a_signal_is_reported(void **state)
{
	struct run r;

	run_part("signal", "segv", &r);
	assert_int_equal(r.signal, SIGKILL);
	run_part("watch", "segv", &r);
	assert_int_equal(r.status, 128 + SIGKILL);
}

static void not_there_is_127(void **state)
{
	char *argv[] = { (char *)"/nowhere/llama-server", NULL };

	for (unsigned i = 0; i < 2; i++) {
		struct run r;
		struct err e;

		run_init(&r);
		assert_non_null(start(&r, i ? "watch" : "signal", argv, &e));
		run_to_end(&r);
		assert_int_equal(r.status, 127);
		assert_non_null(strstr(r.tail, "/nowhere/llama-server: No such file"));
	}
}

static void a_shim_that_is_not_there_is_an_error(void **state)
{
	char *argv[] = { self, NULL };
	struct err e = { 0 };
	struct run r;

	run_init(&r);
	assert_null(child_start(&(struct child_options){ .loop = &r.loop,
							 .shim = "/nowhere/shim",
							 .argv = argv,
							 .on_exit = on_exit_cb,
							 .user = &r },
				&e));
	assert_int_equal(e.code, RC_IO);
	assert_non_null(strstr(e.msg, "/nowhere/shim"));
	loop_done(&r.loop);
}

/* R11: provider keys in our environment are not the engine's business; nor are our descriptors. */
static void R11_no_key_and_no_descriptor_reaches_the_engine(void **state)
{
	int stray = dup(0); /* without close-on-exec */
	struct run r;

	assert_true(stray > 2);
	setenv("OPENAI_API_KEY", "sk-canary", 1);
	setenv("LLAMA_API_KEY", "sk-canary", 1);
	setenv("HF_TOKEN", "sk-canary", 1);
	run_part(NULL, "dump", &r);
	close(stray);
	assert_null(strstr(r.tail, "canary"));
	assert_non_null(strstr(r.tail, "env PATH="));
	assert_non_null(strstr(r.tail, "env SOFT_WISH=1"));
	assert_non_null(strstr(r.tail, "fds 0 1 2"));
	assert_null(strstr(r.tail, "fds 0 1 2 "));
}

static void term_then_kill(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		char *argv[] = { self, (char *)"part", (char *)"pause", NULL };
		struct run r;
		struct err e;

		run_init(&r);
		assert_non_null(start(&r, i ? "watch" : "signal", argv, &e));
		child_signal(r.child, SIGKILL);
		run_to_end(&r);
		if (i)
			assert_int_equal(r.status, 128 + SIGKILL);
		else
			assert_int_equal(r.signal, SIGKILL);
	}
}

static void freeing_a_running_child_reaps_it(void **state)
{
	char *argv[] = { self, (char *)"part", (char *)"pause", NULL };
	struct run r;
	struct err e;
	int pid;

	run_init(&r);
	assert_non_null(start(&r, NULL, argv, &e));
	pid = child_pid(r.child);
	child_free(r.child, on_closed, &r);
	run_to_end(&r);
	assert_true(r.closed);
	assert_false(r.exited);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

/* --- the gateway is killed: played by a `parent` process with a pausing child --- */

static long read_pid(int fd)
{
	char text[32] = "";
	size_t n = 0;

	while (n < sizeof(text) - 1 && !strchr(text, '\n')) {
		ssize_t got = read(fd, text + n, sizeof(text) - 1 - n);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	return strtol(text, NULL, 10);
}

static void kill_parent_with(const char *mode)
{
	int out[2];
	pid_t parent, grandchild;
	int status;

	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1),
			 0); /* orphans become ours: their end can be waited for */
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	parent = fork();
	if (parent == 0) {
		dup2(out[1], 1);
		execl(self, self, "parent", mode, (char *)NULL);
		_exit(94);
	}
	close(out[1]);
	grandchild =
		(pid_t)read_pid(out[0]); /* it runs: the pausing part itself has written its id */
	assert_true(grandchild > 0);
	assert_int_equal(kill(grandchild, 0), 0);
	assert_int_equal(kill(parent, SIGKILL), 0);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	alarm(20); /* a survivor would let the next line wait for ever */
	while (waitpid(-1, &status, 0) > 0)
		; /* the shim too, in watch mode */
	alarm(0);
	assert_int_equal(kill(grandchild, 0), -1);
	assert_int_equal(errno, ESRCH);
	close(out[0]);
}

static void no_child_survives_kill_9_by_signal(void **state)
{
	kill_parent_with("signal");
}

static void no_child_survives_kill_9_by_watching(void **state)
{
	kill_parent_with("watch");
}

/* The gateway died before the shim could ask for the signal. */
static void a_parent_already_gone_is_noticed(void **state)
{
	char *argv[] = { self,
			 (char *)"engine-exec",
			 (char *)"1",
			 (char *)"signal",
			 (char *)"--",
			 self,
			 (char *)"part",
			 (char *)"words",
			 NULL };
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		(void)!freopen("/dev/null", "w", stderr);
		execv(self, argv);
		_exit(94);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 126);
}

static void misuse_is_refused(void **state)
{
	char *few[] = { self, (char *)"engine-exec", (char *)"1", NULL };
	char *pid[] = {
		self, (char *)"engine-exec", (char *)"0", (char *)"signal", (char *)"--", self, NULL
	};
	int kept = dup(2), quiet = open("/dev/null", O_WRONLY), first, second;

	dup2(quiet, 2);
	first = engine_shim_main(3, few);
	second = engine_shim_main(6, pid);
	dup2(kept, 2);
	close(kept);
	close(quiet);
	assert_int_equal(first, 2);
	assert_int_equal(second, 2);
}

/* --- the parts played by child processes --- */

static int part(const char *name)
{
	if (strcmp(name, "words") == 0) {
		(void)!write(1, "out one\n\n", 9);
		(void)!write(2, "err two\r\ntab\there\n", 18);
		(void)!write(1, "no end of line", 14);
		return 5;
	}
	if (strcmp(name, "flood") == 0) {
		for (int i = 0; i < 10000; i++)
			printf("line %d\n", i);
		return 0;
	}
	if (strcmp(name, "bytes") == 0) {
		(void)!write(1,
			     "a\xff"
			     "b \xc3\xa9\x1b[31mred\n",
			     15);
		return 0;
	}
	if (strcmp(name, "segv") == 0) {
		kill(getpid(), SIGKILL);
		return 1;
	}
	if (strcmp(name, "dump") == 0) {
		extern char **environ;

		for (char **e = environ; *e; e++)
			printf("env %s\n", *e);
		printf("fds");
		for (int fd = 0; fd < 1024; fd++) {
			if (fcntl(fd, F_GETFD) >= 0)
				printf(" %d", fd);
		}
		return 0;
	}
	for (;;)
		pause();
}

static int parent(const char *mode)
{
	char announce[64];
	char *argv[] = { self, (char *)"announce", announce, NULL };
	struct run r;
	struct err e;

	snprintf(announce, sizeof(announce), "/proc/%ld/fd/1", (long)getpid());
	run_init(&r);
	if (!start(&r, mode, argv, &e))
		return 93;
	loop_run(&r.loop);
	return 92;
}

/* Its own output goes to the gateway; the test hears of it through the parent's. */
static int announce(const char *path)
{
	int fd = open(path, O_WRONLY);
	char text[32];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (fd < 0 || write(fd, text, (size_t)n) != n)
		return 91;
	close(fd);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_words_and_status),
		cmocka_unit_test(only_the_last_lines_are_kept),
		cmocka_unit_test(words_are_made_printable),
		cmocka_unit_test(a_signal_is_reported),
		cmocka_unit_test(not_there_is_127),
		cmocka_unit_test(a_shim_that_is_not_there_is_an_error),
		cmocka_unit_test(R11_no_key_and_no_descriptor_reaches_the_engine),
		cmocka_unit_test(term_then_kill),
		cmocka_unit_test(freeing_a_running_child_reaps_it),
		cmocka_unit_test(no_child_survives_kill_9_by_signal),
		cmocka_unit_test(no_child_survives_kill_9_by_watching),
		cmocka_unit_test(a_parent_already_gone_is_noticed),
		cmocka_unit_test(misuse_is_refused),
	};
	size_t n = sizeof(self);

	if (uv_exepath(self, &n) != 0)
		return 90;
	if (argc > 1 && strcmp(argv[1], "engine-exec") == 0)
		return engine_shim_main(argc, argv);
	if (argc > 2 && strcmp(argv[1], "part") == 0)
		return part(argv[2]);
	if (argc > 2 && strcmp(argv[1], "parent") == 0)
		return parent(argv[2]);
	if (argc > 2 && strcmp(argv[1], "announce") == 0)
		return announce(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
