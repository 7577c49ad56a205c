/* engine/shim.c - ties a child to the life of the gateway, then becomes the engine.
 *
 * The hard thing is the moment before the tie holds: the gateway may already be dead when the signal is asked for, so
 * the parent is looked at again afterwards. The death signal is sent when the spawning *thread* ends, which is why
 * the engine lives on the control thread (engine.h).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* close_range() */
#endif
#include "engine/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

enum { EXIT_USAGE = 2, EXIT_NOT_RUN = 126, EXIT_NOT_FOUND = 127, EXIT_SIGNAL = 128 };

static int wake_fds[2]; /* watch mode: written by the signal handler */
static volatile sig_atomic_t want_term;

static int complain(int status, const char *what, const char *why)
{
	fprintf(stderr, "engine-exec: %s: %s\n", what, why);
	return status;
}

/* A handler or a mask of the gateway's must not reach the engine: its shutdown relies on SIGTERM. */
static void reset_signals(void)
{
	struct sigaction normal = { .sa_handler = SIG_DFL };
	sigset_t none;

	sigemptyset(&normal.sa_mask);
	for (int s = 1; s < NSIG; s++)
		(void)sigaction(s, &normal,
				NULL); /* fails for KILL and STOP, which nobody catches */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_stray_fds(void)
{
	long max;

#if defined(__linux__) && defined(CLOSE_RANGE_CLOEXEC)
	if (close_range(3, ~0u, 0) == 0)
		return;
#endif
	max = sysconf(_SC_OPEN_MAX);
	if (max < 0 || max > 65536)
		max = 65536;
	for (int fd = 3; fd < max; fd++)
		(void)close(fd);
}

static int become(char **argv)
{
	execv(argv[0], argv);
	return complain(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN, argv[0], strerror(errno));
}

static int run_signal(long parent, char **argv)
{
#ifdef __linux__
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return complain(EXIT_NOT_RUN, "PR_SET_PDEATHSIG", strerror(errno));
	if (getppid() != (pid_t)parent)
		return complain(EXIT_NOT_RUN, "the gateway", "is gone");
	return become(argv);
#else
	(void)parent;
	(void)argv;
	return complain(EXIT_NOT_RUN, "signal",
			"this system has no parent death signal; use watch");
#endif
}

static void on_signal(int sig)
{
	int saved = errno;

	if (sig != SIGCHLD)
		want_term = 1;
	(void)!write(wake_fds[1], "", 1);
	errno = saved;
}

static bool set_flags(int fd)
{
	return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

static int catch_signals(void)
{
	const int sigs[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	if (pipe(wake_fds) != 0 || !set_flags(wake_fds[0]) || !set_flags(wake_fds[1]))
		return -1;
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		if (sigaction(sigs[i], &sa, NULL) != 0)
			return -1;
	}
	return 0;
}

static int exit_status(int status)
{
	return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Ends with the child's status, whoever ends it: itself, the gateway's SIGTERM, or the gateway's death. */
static int watch(pid_t pid)
{
	struct pollfd fds[2] = { { .fd = 0, .events = POLLIN },
				 { .fd = wake_fds[0], .events = POLLIN } };
	char junk[64];
	int status;

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			(void)kill(pid, SIGKILL);
		while (read(wake_fds[0], junk, sizeof(junk)) > 0)
			;
		if (want_term) {
			want_term = 0;
			(void)kill(pid, SIGTERM);
		}
		if (fds[0].revents && read(0, junk, sizeof(junk)) <= 0) {
			(void)kill(pid, SIGKILL);
			fds[0].fd = -1;
			fds[0].revents = 0;
		}
		if (waitpid(pid, &status, WNOHANG) == pid)
			return exit_status(status);
	}
}

static int run_watch(char **argv)
{
	pid_t pid;

	if (catch_signals() != 0)
		return complain(EXIT_NOT_RUN, "signals", strerror(errno));
	pid = fork();
	if (pid < 0)
		return complain(EXIT_NOT_RUN, "fork", strerror(errno));
	if (pid == 0) {
		int null_fd = open("/dev/null", O_RDONLY);

		reset_signals();
		if (null_fd > 0) {
			(void)dup2(null_fd, 0);
			(void)close(null_fd);
		}
		_exit(become(argv));
	}
	return watch(pid);
}

int engine_shim_main(int argc, char **argv)
{
	char *end = NULL;
	long parent;

	if (argc < 6 || strcmp(argv[4], "--") != 0)
		return complain(EXIT_USAGE, "usage",
				"engine-exec PARENT-PID signal|watch -- PROGRAM ARG...");
	parent = strtol(argv[2], &end, 10);
	if (parent <= 0 || *end != '\0')
		return complain(EXIT_USAGE, argv[2], "is not a process id");
	reset_signals();
	close_stray_fds();
	if (strcmp(argv[3], "signal") == 0)
		return run_signal(parent, argv + 5);
	if (strcmp(argv[3], "watch") == 0)
		return run_watch(argv + 5);
	return complain(EXIT_USAGE, argv[3], "is neither signal nor watch");
}
