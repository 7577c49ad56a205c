/* tests/unit/engine/test_engine.c - mirrors src/engine/engine.c and model.c: the life of local models.
 *
 * The program is its own shim and its own llama-server (fake_llama.h). Control thread and worker are one loop here, but for
 * the last test. Nothing sleeps: a loop runs until what must come has come, and fails after a limit.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/engine.h"
#include "engine/shim.h"
#include "fake_llama.h"
#include "scratch.h"

enum { LIMIT_MS = 30000, MAX_MODELS = 3, MAX_WAITS = 16 };

static char self[512];

struct asked {
	struct engine_wait *wait;
	struct engine_lease *lease;
	bool answered;
	enum ir_error_kind kind;
	char message[1024];
	int64_t retry_after_ms;
};

struct rig {
	char dir[64], run[80];
	struct loop loop;
	struct engine *e;
	struct snapshot snap;
	struct account account;
	struct local_model models[MAX_MODELS];
	char paths[MAX_MODELS][128];
	struct asked asked[MAX_WAITS];
	bool closed, overdue;
	uv_timer_t limit, poll;
	bool (*until)(struct rig *r);
	unsigned which;
	enum engine_state want;
};

static struct rig R;

/* --- the rig --- */

static void on_limit(uv_timer_t *t)
{
	R.overdue = true;
	loop_stop(&R.loop);
}

static void on_poll(uv_timer_t *t)
{
	if (R.until && R.until(&R))
		loop_stop(&R.loop);
}

/* Runs the loop until `until` holds; the timer only makes the loop look. */
static void run_until(bool (*until)(struct rig *r))
{
	R.until = until;
	R.overdue = false;
	uv_timer_start(&R.limit, on_limit, LIMIT_MS, 0);
	uv_timer_start(&R.poll, on_poll, 0, 2);
	while (!until(&R) && !R.overdue)
		loop_run(&R.loop);
	uv_timer_stop(&R.limit);
	uv_timer_stop(&R.poll);
	R.until = NULL;
	assert_false(R.overdue);
}

static void in_dir(char *out, size_t size, const char *name)
{
	snprintf(out, size, "%s/%s", R.dir, name);
}

/* A model whose file holds `orders`; %s in them is the rig's directory. */
static struct local_model *model(unsigned i, const char *name, const char *orders)
{
	FILE *f;

	in_dir(R.paths[i], sizeof(R.paths[i]), name);
	f = fopen(R.paths[i], "w");
	assert_non_null(f);
	for (const char *p = orders; *p; p++) {
		if (p[0] == '%' && p[1] == 's') {
			fputs(R.dir, f);
			p++;
		} else {
			putc(*p, f);
		}
	}
	fclose(f);
	R.models[i] = (struct local_model){ .name = str_from(name),
					    .path = str_from(R.paths[i]),
					    .parallel = 1 };
	if (R.account.n_local <= i)
		R.account.n_local = i + 1;
	return &R.models[i];
}

static void apply(void)
{
	struct err e;

	assert_int_equal(engine_apply(R.e, &R.snap, &e), RC_OK);
}

static void touch_file(const char *name)
{
	char path[128];
	int fd;

	in_dir(path, sizeof(path), name);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static unsigned starts(const char *name)
{
	char path[128];

	in_dir(path, sizeof(path), name);
	return fake_lines(path);
}

static int setup_with(const struct engine_options *o)
{
	struct engine_options all = *o;
	struct err e;

	memset(&R, 0, sizeof(R));
	snprintf(R.dir, sizeof(R.dir), "/tmp/gw-engine-XXXXXX");
	assert_int_equal(scratch_make(R.dir), 0);
	in_dir(R.run, sizeof(R.run), "run");
	assert_int_equal(mkdir(R.run, 0700), 0);
	assert_int_equal(loop_init(&R.loop, &e), RC_OK);
	uv_timer_init(&R.loop.uv, &R.limit);
	uv_timer_init(&R.loop.uv, &R.poll);
	R.account = (struct account){ .name = STR("local"), .local = R.models };
	R.snap = (struct snapshot){ .accounts = &R.account,
				    .n_accounts = 1,
				    .engine_path = str_from(self) };
	all.loop = &R.loop;
	all.runtime_dir = R.run;
	all.probe_ms = 5;
	R.e = engine_new(&all, &e);
	assert_non_null(R.e);
	return 0;
}

static int setup(void **state)
{
	return setup_with(&(struct engine_options){ .backoff_min_ms = 10, .backoff_max_ms = 40 });
}

static void on_closed(void *user)
{
	R.closed = true;
}

static bool is_closed(struct rig *r)
{
	return r->closed;
}

static void close_engine(void)
{
	engine_close(R.e, on_closed, NULL);
	run_until(is_closed);
}

static bool nothing_in(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *de;
	bool empty = true;

	assert_non_null(d);
	while ((de = readdir(d)))
		empty = empty && de->d_name[0] == '.';
	closedir(d);
	return empty;
}

/* Every test ends so: no child left, no socket, no directory. */
static int teardown(void **state)
{
	int status;

	if (!R.closed)
		close_engine();
	assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_true(nothing_in(R.run));
	loop_done(&R.loop);
	return scratch_remove(R.dir);
}

/* --- asking --- */

static void on_acquired(void *user, struct engine_lease *lease, const struct ir_error *error)
{
	struct asked *a = user;

	assert_false(a->answered);
	assert_true(!lease != !error);
	a->answered = true;
	a->wait = NULL;
	a->lease = lease;
	if (error) {
		a->kind = error->kind;
		a->retry_after_ms = error->retry_after_ms;
		snprintf(a->message, sizeof(a->message), "%.*s", STR_ARG(error->message));
	}
}

/* 1 when it was ready at once. */
static int ask_for(unsigned slot, const char *name, uint64_t wait_ms)
{
	struct asked *a = &R.asked[slot];
	int rc;

	*a = (struct asked){ 0 };
	rc = engine_acquire(R.e,
			    &(struct engine_acquire_options){ .account = STR("local"),
							      .model = str_from(name),
							      .wait_ms = wait_ms,
							      .loop = &R.loop,
							      .done = on_acquired,
							      .user = a },
			    &a->lease, &a->wait);
	assert_true(rc >= 0);
	a->answered = rc == 1;
	return rc;
}

static bool all_answered(struct rig *r)
{
	for (unsigned i = 0; i < MAX_WAITS; i++) {
		if (r->asked[i].wait && !r->asked[i].answered)
			return false;
	}
	return true;
}

static struct engine_lease *lease_of(const char *name)
{
	if (!ask_for(0, name, 0))
		run_until(all_answered);
	if (!R.asked[0].lease)
		print_error("%s\n", R.asked[0].message);
	assert_non_null(R.asked[0].lease);
	return R.asked[0].lease;
}

static struct engine_model_status status_of(unsigned i, struct arena *a)
{
	struct engine_model_status *rows;
	unsigned n;

	assert_int_equal(engine_status(R.e, a, &rows, &n), RC_OK);
	assert_true(i < n);
	return rows[i];
}

static bool in_state(struct rig *r)
{
	struct arena *a = arena_new(1 << 20);
	bool yes = status_of(r->which, a).state == r->want;

	arena_free(a);
	return yes;
}

static void until_state(unsigned i, enum engine_state s)
{
	R.which = i;
	R.want = s;
	run_until(in_state);
}

static int64_t pid_of(unsigned i)
{
	struct arena *a = arena_new(1 << 20);
	int64_t pid = status_of(i, a).pid;

	arena_free(a);
	return pid;
}

/* A call to the child under a lease, blocking: the fake answers at once. The status; 0: it hung up; -1: not there. */
static int try_call(const struct engine_lease *l, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char buf[512];
	ssize_t n = -1;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.*s", STR_ARG(l->origin.unix_path));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
		n = snprintf(buf, sizeof(buf), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
		n = send(fd, buf, (size_t)n, MSG_NOSIGNAL) == n ? read(fd, buf, sizeof(buf) - 1)
								: 0;
	}
	close(fd);
	if (n < 0)
		return -1;
	buf[n] = '\0';
	return n > 12 ? (int)strtol(buf + 9, NULL, 10) : 0;
}

static int call(const struct engine_lease *l, const char *path)
{
	int status = try_call(l, path);

	assert_true(status >= 0);
	return status;
}

/* --- starting --- */

static void starts_on_demand_and_leases(void **state)
{
	struct engine_lease *l;

	model(0, "m", "starts %s/starts\n");
	apply();
	assert_int_equal(starts("starts"), 0);
	assert_int_equal(pid_of(0), 0);
	l = lease_of("m");
	assert_int_equal(starts("starts"), 1);
	assert_int_equal(call(l, "/health"), 200);
	assert_false(l->origin.tls);
	assert_true(l->origin.pool_key.len > 0);
	assert_int_equal(ask_for(1, "m", 0), 1); /* ready: no way through the control thread */
	engine_release(R.asked[1].lease);
	engine_release(l);
	engine_release(NULL);
}

static void several_waiters_one_start(void **state)
{
	model(0, "m", "starts %s/starts\nhold %s/go\n");
	apply();
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(ask_for(i, "m", 0), 0);
	until_state(0, ENGINE_STARTING);
	assert_false(R.asked[0].answered);
	touch_file("go");
	run_until(all_answered);
	for (unsigned i = 0; i < 8; i++) {
		assert_non_null(R.asked[i].lease);
		engine_release(R.asked[i].lease);
	}
	assert_int_equal(starts("starts"), 1);
}

static void preload_starts_without_a_request(void **state)
{
	model(0, "m", "starts %s/starts\n")->preload = true;
	apply();
	until_state(0, ENGINE_READY);
	assert_int_equal(ask_for(0, "m", 0), 1);
	engine_release(R.asked[0].lease);
}

static void read_file(const char *name, char *out, size_t size)
{
	char path[128];
	FILE *f;
	size_t n;

	in_dir(path, sizeof(path), name);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	fclose(f);
}

static void side_by_side(void **state)
{
	struct engine_lease *chat, *embed;
	char dump[16384];

	model(0, "chat", "");
	model(1, "embed", "dump %s/dump\n")->embeddings = true;
	R.models[1].context = 2048;
	apply();
	chat = lease_of("chat");
	R.asked[0].lease = NULL;
	embed = lease_of("embed");
	assert_false(str_eq(chat->origin.unix_path, embed->origin.unix_path));
	assert_false(str_eq(chat->origin.pool_key, embed->origin.pool_key));
	assert_int_equal(call(chat, "/health"), 200);
	assert_int_equal(call(embed, "/health"), 200);
	read_file("dump", dump, sizeof(dump));
	assert_non_null(strstr(dump, "arg --embeddings\narg -b\narg 2048\narg -ub\narg 2048\n"));
	assert_null(strstr(dump, "--jinja"));
	engine_release(chat);
	engine_release(embed);
}

static void R11_arguments_and_environment(void **state)
{
	struct str extra[] = { STR_INIT("--mlock"), STR_INIT("a b;$(c)") };
	struct local_model *m = model(0, "m", "dump %s/dump\n");
	char dump[16384];

	m->context = 4096;
	m->threads = 3;
	m->parallel = 2;
	m->extra_args = extra;
	m->n_extra_args = 2;
	setenv("ANTHROPIC_API_KEY", "sk-canary", 1);
	apply();
	engine_release(lease_of("m"));
	read_file("dump", dump, sizeof(dump));
	assert_non_null(strstr(dump, "arg --alias\narg m\n"));
	assert_non_null(strstr(dump, "arg --jinja\n"));
	assert_non_null(strstr(dump, "arg -c\narg 8192\n")); /* 4096 for each of two slots */
	assert_non_null(strstr(dump, "arg -t\narg 3\narg -np\narg 2\n"));
	assert_non_null(strstr(dump, "arg --mlock\narg a b;$(c)\n"));
	assert_null(strstr(dump, "--embeddings"));
	assert_non_null(strstr(dump, "env LLAMA_ARG_OFFLINE=1\n"));
	assert_null(strstr(dump, "canary"));
}

/* The engine takes a comma in --alias for two names, neither of which the client asked for. */
static void a_name_with_a_comma_is_no_alias(void **state)
{
	char dump[16384];

	model(0, "a,b", "dump %s/dump\n");
	apply();
	engine_release(lease_of("a,b"));
	read_file("dump", dump, sizeof(dump));
	assert_null(strstr(dump, "--alias"));
}

/* --- what goes wrong --- */

static void want_error(unsigned slot, enum ir_error_kind kind, const char *word)
{
	assert_true(R.asked[slot].answered);
	assert_null(R.asked[slot].lease);
	assert_int_equal(R.asked[slot].kind, kind);
	if (!strstr(R.asked[slot].message, word))
		print_error("message: %s\n", R.asked[slot].message);
	assert_non_null(strstr(R.asked[slot].message, word));
}

static void a_missing_binary_says_make_engine(void **state)
{
	struct arena *a = arena_new(1 << 20);

	R.snap.engine_path = STR_NONE;
	unsetenv("LLM_GATEWAY_ENGINE");
	setenv("PATH", "/nowhere", 1);
	setenv("XDG_CACHE_HOME", R.dir, 1);
	model(0, "m", "");
	apply();
	assert_int_equal(ask_for(0, "m", 0), 0);
	run_until(all_answered);
	want_error(0, IR_ERR_UNAVAILABLE, "run `make engine`");
	assert_int_equal(status_of(0, a).state, ENGINE_MISSING);
	assert_non_null(strstr(status_of(0, a).message.ptr, "llama-server"));
	/* It may be installed meanwhile: the next request finds it, without a reload. */
	setenv("LLM_GATEWAY_ENGINE", self, 1);
	engine_release(lease_of("m"));
	unsetenv("LLM_GATEWAY_ENGINE");
	unsetenv("XDG_CACHE_HOME");
	setenv("PATH", "/usr/bin:/bin", 1);
	arena_free(a);
}

static void a_missing_model_file_is_named(void **state)
{
	model(0, "m", "");
	unlink(R.paths[0]);
	apply();
	assert_int_equal(ask_for(0, "m", 0), 0);
	run_until(all_answered);
	want_error(0, IR_ERR_UNAVAILABLE, R.paths[0]);
	model(0, "m", "");
	engine_release(lease_of("m"));
}

static void an_unknown_model_is_not_found(void **state)
{
	model(0, "m", "");
	apply();
	assert_int_equal(ask_for(0, "other", 0), 0);
	run_until(all_answered);
	want_error(0, IR_ERR_MODEL_NOT_FOUND, "\"other\"");
}

static void a_start_that_fails_twice_gives_the_last_words(void **state)
{
	model(0, "m", "starts %s/starts\nprint gguf: bad magic\nexit 4\n");
	apply();
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ask_for(i, "m", 0), 0);
	run_until(all_answered);
	for (unsigned i = 0; i < 3; i++) {
		want_error(i, IR_ERR_UNAVAILABLE,
			   "ended with status 4. Its last words: gguf: bad magic");
		assert_true(R.asked[i].retry_after_ms > 0);
	}
	assert_int_equal(starts("starts"), 2);
	assert_true(in_state(&(struct rig){ .which = 0, .want = ENGINE_FAILED }));
}

static int setup_long_backoff(void **state)
{
	return setup_with(
		&(struct engine_options){ .backoff_min_ms = 600000, .backoff_max_ms = 900000 });
}

static int setup_second_failure_backs_off_long(void **state)
{
	return setup_with(
		&(struct engine_options){ .backoff_min_ms = 1, .backoff_max_ms = 900000 });
}

static void a_failed_model_is_not_started_for_every_request(void **state)
{
	model(0, "m", "starts %s/starts\nexit 4\n");
	apply();
	assert_int_equal(ask_for(0, "m", 0), 0);
	run_until(all_answered);
	/* Back-off 2 ms after two failures: it has passed or not. Ask until its exponent has made it long. */
	for (unsigned i = 0; i < 200; i++) {
		unsigned before = starts("starts");

		assert_int_equal(ask_for(1, "m", 0), 0);
		run_until(all_answered);
		want_error(1, IR_ERR_UNAVAILABLE, "status 4");
		if (starts("starts") == before)
			return; /* refused from memory, with the same words */
	}
	fail();
}

static void a_flaky_start_is_tried_again(void **state)
{
	struct arena *a = arena_new(1 << 20);

	model(0, "m", "starts %s/starts\nfail 1 %s/starts\n");
	apply();
	engine_release(lease_of("m"));
	assert_int_equal(starts("starts"), 2);
	assert_int_equal(status_of(0, a).restarts, 1);
	arena_free(a);
}

static void a_wait_has_a_limit(void **state)
{
	model(0, "m", "hold %s/never\n");
	apply();
	assert_int_equal(ask_for(0, "m", 20), 0);
	assert_int_equal(ask_for(1, "m", 600000), 0);
	R.asked[1].answered = true; /* not waited for by all_answered() */
	run_until(all_answered);
	R.asked[1].answered = false;
	want_error(0, IR_ERR_UNAVAILABLE, "not ready yet (starting)");
	assert_true(R.asked[0].retry_after_ms > 0);
	assert_non_null(R.asked[1].wait);
	engine_acquire_cancel(R.asked[1].wait);
	R.asked[1].wait = NULL;
}

static int setup_short_start(void **state)
{
	return setup_with(&(struct engine_options){
		.start_ms = 60, .backoff_min_ms = 1, .backoff_max_ms = 2 });
}

static void a_start_has_a_limit(void **state)
{
	struct arena *a = arena_new(1 << 20);

	model(0, "m", "hold %s/never\n");
	apply();
	assert_int_equal(ask_for(0, "m", 600000), 0);
	run_until(all_answered);
	want_error(0, IR_ERR_UNAVAILABLE, "was not ready in time");
	assert_int_equal(status_of(0, a).restarts, 1);
	arena_free(a);
}

static void a_crash_is_noticed_and_restarted(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct engine_lease *l;
	int64_t first;

	model(0, "m", "starts %s/starts\n");
	apply();
	l = lease_of("m");
	first = pid_of(0);
	assert_int_equal(call(l, "/crash"), 0);
	until_state(0, ENGINE_RESTARTING);
	assert_int_equal(ask_for(1, "m", 0), 0); /* waits for the restart */
	run_until(all_answered);
	assert_non_null(R.asked[1].lease);
	assert_int_equal(call(R.asked[1].lease, "/health"), 200);
	assert_int_not_equal(pid_of(0), first);
	assert_int_equal(status_of(0, a).restarts, 1);
	assert_false(str_eq(l->origin.pool_key,
			    R.asked[1].lease->origin.pool_key)); /* no connection to the dead */
	engine_release(R.asked[1].lease);
	engine_release(l); /* of the dead one: harmless */
	assert_int_equal(starts("starts"), 2);
	arena_free(a);
}

static void the_back_off_is_kept(void **state)
{
	struct engine_lease *l;

	model(0, "m", "starts %s/starts\n");
	apply();
	l = lease_of("m");
	assert_int_equal(call(l, "/crash"), 0);
	engine_release(l);
	until_state(0, ENGINE_RESTARTING);
	assert_int_equal(ask_for(1, "m", 50), 0); /* ten minutes of back-off: the wait ends first */
	run_until(all_answered);
	want_error(1, IR_ERR_UNAVAILABLE, "not ready yet (restarting)");
	assert_int_equal(starts("starts"), 1);
}

static int setup_quick_health(void **state)
{
	return setup_with(&(struct engine_options){ .health_ms = 10,
						    .health_timeout_ms = 40,
						    .health_failures = 2,
						    .backoff_min_ms = 1,
						    .backoff_max_ms = 2 });
}

static bool restarted(struct rig *r)
{
	struct arena *a = arena_new(1 << 20);
	bool yes = status_of(0, a).restarts > 0;

	arena_free(a);
	return yes;
}

static void a_hung_child_is_killed_and_restarted(void **state)
{
	char hang[128];
	struct engine_lease *l;
	int64_t first;

	model(0, "m", "starts %s/starts\nhang %s/hang\n");
	apply();
	l = lease_of("m");
	first = pid_of(0);
	touch_file("hang");
	run_until(restarted);
	in_dir(hang, sizeof(hang), "hang");
	unlink(hang);
	engine_release(l);
	engine_release(lease_of("m"));
	assert_int_not_equal(pid_of(0), first);
}

struct toucher {
	struct engine_lease *lease;
	uv_timer_t timer;
	unsigned left;
};

static void on_touch(uv_timer_t *t)
{
	struct toucher *x = t->data;

	engine_touch(x->lease);
	if (x->left > 0 && --x->left == 0)
		uv_timer_stop(t);
}

static bool touched_enough(struct rig *r)
{
	struct toucher *x = r->poll.data;

	return x->left == 0;
}

/* Bytes that come are life, though /health does not answer: three times the probes that mean death pass. */
static void a_busy_child_is_not_hung(void **state)
{
	static struct toucher x; /* its timer is closed after this function */
	int64_t first;

	model(0, "m", "hang %s/hang\n");
	apply();
	x.left = 300;
	x.lease = lease_of("m");
	first = pid_of(0);
	touch_file("hang");
	uv_timer_init(&R.loop.uv, &x.timer);
	x.timer.data = R.poll.data = &x;
	uv_timer_start(&x.timer, on_touch, 0, 1);
	run_until(touched_enough); /* 300 ms and more, a death takes about 100 */
	assert_int_equal(pid_of(0), first);
	assert_true(in_state(&(struct rig){ .which = 0, .want = ENGINE_READY }));
	run_until(restarted); /* and when they cease, it is */
	engine_release(x.lease);
	uv_close((uv_handle_t *)&x.timer, NULL);
}

/* --- leases, idleness, reload --- */

static void a_cancelled_wait_is_never_answered(void **state)
{
	model(0, "m", "hold %s/go\n");
	apply();
	assert_int_equal(ask_for(0, "m", 0), 0);
	assert_int_equal(ask_for(1, "m", 0), 0);
	engine_acquire_cancel(R.asked[0].wait); /* before the control thread has heard of it */
	R.asked[0].wait = NULL;
	until_state(0, ENGINE_STARTING);
	assert_int_equal(ask_for(2, "m", 0), 0);
	assert_int_equal(ask_for(3, "m", 0), 0);
	engine_acquire_cancel(R.asked[2].wait);
	R.asked[2].wait = NULL;
	touch_file("go");
	run_until(all_answered);
	assert_false(R.asked[0].answered);
	assert_false(R.asked[2].answered);
	engine_release(R.asked[1].lease);
	engine_release(R.asked[3].lease);
	struct arena *a = arena_new(1 << 20);
	assert_int_equal(status_of(0, a).leases, 0);
	assert_int_equal(status_of(0, a).waits, 0);
	arena_free(a);
}

static void idle_is_unloaded_and_comes_back(void **state)
{
	struct engine_lease *l;

	model(0, "m", "starts %s/starts\n")->idle_ms = 30;
	apply();
	l = lease_of("m");
	assert_int_equal(ask_for(1, "m", 0), 1);
	engine_release(l);
	engine_release(R.asked[1].lease);
	until_state(0, ENGINE_STOPPED);
	assert_int_equal(pid_of(0), 0);
	engine_release(lease_of("m"));
	assert_int_equal(starts("starts"), 2);
}

static bool enough_polls(struct rig *r)
{
	return r->which == 0 || --r->which == 0;
}

static void a_leased_model_is_not_idle(void **state)
{
	struct engine_lease *l;

	model(0, "m", "starts %s/starts\n")->idle_ms = 1;
	apply();
	l = lease_of("m");
	R.which = 60; /* of 2 ms: sixty idle times */
	run_until(enough_polls);
	assert_true(in_state(&(struct rig){ .which = 0, .want = ENGINE_READY }));
	assert_int_equal(call(l, "/health"), 200);
	engine_release(l);
	until_state(0, ENGINE_STOPPED);
	assert_int_equal(starts("starts"), 1);
}

static int64_t left_of(unsigned which)
{
	struct arena *a = arena_new(1 << 20);
	int64_t left = status_of(which, a).idle_left_ms;

	arena_free(a);
	return left;
}

/* What a request said counts until the model is stopped, and no longer than its operator lets it. */
static void a_request_says_how_long_it_stays(void **state)
{
	struct local_model *m = model(0, "m", "starts %s/starts\n");
	struct engine_lease *l;

	m->keep_alive = true;
	apply();
	assert_int_equal(left_of(0), -1);
	engine_unload(R.e, STR("local"), STR("m")); /* nothing runs */
	l = lease_of("m");
	engine_keep(l, 3600000);
	assert_int_equal(left_of(0), 3600000);
	m->keep_alive_max_ms = 60000;
	apply();
	assert_int_equal(left_of(0), 60000);
	engine_keep(l, -1);
	assert_int_equal(left_of(0), -1);
	engine_unload(R.e, STR("local"), STR("m")); /* once it is not used any more */
	assert_true(in_state(&(struct rig){ .which = 0, .want = ENGINE_READY }));
	engine_release(l);
	until_state(0, ENGINE_STOPPED);
	l = lease_of("m");
	assert_int_equal(left_of(0), -1); /* said of the one before */
	engine_keep(l, 1);
	m->keep_alive = false;
	apply();
	assert_int_equal(left_of(0), -1);
	engine_release(l);
	assert_int_equal(ask_for(0, "m", 0), 1);
	engine_release(R.asked[0].lease);
	engine_unload(R.e, STR("local"), STR("m"));
	until_state(0, ENGINE_STOPPED);
	assert_int_equal(starts("starts"), 2);
}

static void reload_without_a_change_changes_nothing(void **state)
{
	struct local_model *m = model(0, "m", "starts %s/starts\n");
	int64_t pid;

	m->preload = true;
	apply();
	until_state(0, ENGINE_READY);
	pid = pid_of(0);
	m->idle_ms = 3600000; /* may change under a running child */
	apply();
	assert_int_equal(ask_for(0, "m", 0), 1);
	engine_release(R.asked[0].lease);
	assert_int_equal(pid_of(0), pid);
	assert_int_equal(starts("starts"), 1);
}

static bool process_gone(struct rig *r)
{
	return kill((pid_t)r->which, 0) != 0;
}

static void reload_changes_a_model_under_a_lease(void **state)
{
	struct engine_lease *old, *new;
	int64_t old_pid;

	model(0, "m", "starts %s/starts\n");
	apply();
	old = lease_of("m");
	old_pid = pid_of(0);
	R.models[0].context = 512;
	apply();
	new = lease_of("m"); /* started anew at once: it was running */
	assert_int_equal(starts("starts"), 2);
	assert_int_not_equal(pid_of(0), old_pid);
	assert_int_equal(call(old, "/health"), 200); /* a request under way is not disturbed */
	assert_int_equal(call(new, "/health"), 200);
	engine_release(old);
	R.which = (unsigned)old_pid;
	run_until(process_gone);
	assert_int_equal(call(new, "/health"), 200);
	engine_release(new);
}

static void reload_removes_a_model(void **state)
{
	struct engine_lease *l;
	int64_t pid;

	model(0, "m", "");
	model(1, "slow", "hold %s/never\n");
	apply();
	l = lease_of("m");
	pid = pid_of(0);
	assert_int_equal(ask_for(1, "slow", 0), 0);
	until_state(1, ENGINE_STARTING);
	R.account.n_local = 0;
	apply();
	run_until(all_answered);
	want_error(1, IR_ERR_MODEL_NOT_FOUND, "taken out of the configuration");
	assert_int_equal(ask_for(2, "m", 0), 0);
	run_until(all_answered);
	want_error(2, IR_ERR_MODEL_NOT_FOUND, "no longer configured");
	assert_int_equal(call(l, "/health"), 200);
	engine_release(l);
	R.which = (unsigned)pid;
	run_until(process_gone);
}

static void reload_hands_waits_to_the_new_model(void **state)
{
	model(0, "m", "hold %s/never\n");
	apply();
	assert_int_equal(ask_for(0, "m", 0), 0);
	until_state(0, ENGINE_STARTING);
	model(0, "m2", "");
	R.models[0].name = STR("m"); /* the same name, another file */
	apply();
	run_until(all_answered);
	assert_non_null(R.asked[0].lease);
	engine_release(R.asked[0].lease);
}

/* --- the end --- */

static void close_reaps_everything(void **state)
{
	struct engine_lease *l;

	model(0, "ready", "")->preload = true;
	model(1, "starting", "hold %s/never\n");
	model(2, "broken", "exit 1\n")->preload = true;
	apply();
	l = lease_of("ready");
	assert_int_equal(ask_for(1, "starting", 0), 0);
	until_state(1, ENGINE_STARTING);
	close_engine();
	run_until(all_answered);
	want_error(1, IR_ERR_UNAVAILABLE, "shutting down");
	engine_release(l); /* of a dead child, after the end: still an object of ours */
}

static int setup_short_stop(void **state)
{
	return setup_with(&(struct engine_options){ .stop_ms = 30 });
}

static void a_child_that_ignores_term_is_killed(void **state)
{
	model(0, "m", "ignore_term\n");
	apply();
	engine_release(lease_of("m"));
	close_engine();
}

/* The whole gateway is killed: played by a child process with an engine of its own. */
static void no_child_survives_kill_9_of_the_gateway(void **state)
{
	int out[2], status;
	char text[32] = "";
	pid_t parent, llama;

	model(0, "m", "");
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	parent = fork();
	if (parent == 0) {
		dup2(out[1], 1);
		execl(self, self, "gateway", R.run, R.paths[0], (char *)NULL);
		_exit(94);
	}
	close(out[1]);
	assert_true(read(out[0], text, sizeof(text) - 1) > 0);
	llama = (pid_t)strtol(text, NULL, 10);
	assert_true(llama > 0);
	assert_int_equal(kill(llama, 0), 0);
	assert_false(nothing_in(R.run));
	assert_int_equal(kill(parent, SIGKILL), 0);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	alarm(20);
	assert_int_equal(waitpid(llama, &status, 0), llama);
	alarm(0);
	assert_true(WIFSIGNALED(status));
	close(out[0]);

	/* What it left behind is swept by the next gateway. */
	close_engine();
	R.closed = false;
	struct err e;
	R.e = engine_new(&(struct engine_options){ .loop = &R.loop, .runtime_dir = R.run }, &e);
	assert_non_null(R.e);
}

static bool ready_then_print(struct rig *r)
{
	return in_state(&(struct rig){ .which = 0, .want = ENGINE_READY });
}

static int gateway(const char *run, const char *path)
{
	struct err e;

	memset(&R, 0, sizeof(R));
	if (loop_init(&R.loop, &e) < 0)
		return 93;
	uv_timer_init(&R.loop.uv, &R.limit);
	uv_timer_init(&R.loop.uv, &R.poll);
	R.models[0] =
		(struct local_model){ .name = STR("m"), .path = str_from(path), .preload = true };
	R.account = (struct account){ .name = STR("local"), .local = R.models, .n_local = 1 };
	R.snap = (struct snapshot){ .accounts = &R.account,
				    .n_accounts = 1,
				    .engine_path = str_from(self) };
	R.e = engine_new(
		&(struct engine_options){ .loop = &R.loop, .runtime_dir = run, .probe_ms = 5 }, &e);
	if (!R.e || engine_apply(R.e, &R.snap, &e) < 0)
		return 92;
	run_until(ready_then_print);
	printf("%ld\n", (long)pid_of(0));
	fflush(stdout);
	loop_run(&R.loop);
	return 91;
}

/* --- threads --- */

enum { WORKERS = 3, ROUNDS = 60 };

struct worker {
	uv_thread_t thread;
	struct loop loop;
	struct engine_wait *wait;
	unsigned leases, errors, rounds, n;
};

static void worker_next(struct worker *w);

static void worker_done(void *user, struct engine_lease *lease, const struct ir_error *error)
{
	struct worker *w = user;

	w->wait = NULL;
	if (lease) {
		w->leases++;
		engine_touch(lease);
		if (w->n == 0 && w->rounds % 20 == 0)
			(void)try_call(lease, "/crash");
		engine_release(lease);
	} else {
		w->errors++;
	}
	worker_next(w);
}

static void worker_step(void *arg)
{
	struct worker *w = arg;
	struct engine_lease *lease;
	int rc;

	rc = engine_acquire(R.e,
			    &(struct engine_acquire_options){ .account = STR("local"),
							      .model = STR("m"),
							      .loop = &w->loop,
							      .done = worker_done,
							      .user = w },
			    &lease, &w->wait);
	if (rc == 1)
		worker_done(w, lease, NULL);
	else if (w->n == 1 && w->rounds % 3 == 0) {
		engine_acquire_cancel(w->wait);
		w->wait = NULL;
		worker_next(w);
	}
}

static atomic_uint workers_left;

static void worker_next(struct worker *w)
{
	if (++w->rounds >= ROUNDS) {
		atomic_fetch_sub(&workers_left, 1);
		loop_stop(&w->loop);
		return;
	}
	if (loop_post(&w->loop, worker_step, w) != RC_OK)
		abort();
}

static void worker_main(void *arg)
{
	struct worker *w = arg;

	loop_run(&w->loop);
}

static bool workers_done(struct rig *r)
{
	struct arena *a = arena_new(1 << 20);

	(void)status_of(0, a);
	arena_free(a);
	return atomic_load(&workers_left) == 0;
}

/* Workers acquire, release and cancel while the child crashes and is restarted. */
static void leases_from_many_threads(void **state)
{
	static struct worker ws[WORKERS];
	struct arena *a = arena_new(1 << 20);
	struct err e;

	memset(ws, 0, sizeof(ws));
	atomic_store(&workers_left, WORKERS);
	model(0, "m", "")->idle_ms = 1;
	apply();
	for (unsigned i = 0; i < WORKERS; i++) {
		ws[i].n = i;
		assert_int_equal(loop_init(&ws[i].loop, &e), RC_OK);
		assert_int_equal(loop_post(&ws[i].loop, worker_step, &ws[i]), RC_OK);
		assert_int_equal(uv_thread_create(&ws[i].thread, worker_main, &ws[i]), 0);
	}
	run_until(workers_done);
	for (unsigned i = 0; i < WORKERS; i++) {
		uv_thread_join(&ws[i].thread);
		loop_done(&ws[i].loop);
		assert_true(ws[i].leases > 0);
	}
	assert_int_equal(status_of(0, a).leases, 0);
	arena_free(a);
}

#define IT(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define IT_WITH(fn, with) cmocka_unit_test_setup_teardown(fn, with, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IT(starts_on_demand_and_leases),
		IT(several_waiters_one_start),
		IT(preload_starts_without_a_request),
		IT(side_by_side),
		IT(R11_arguments_and_environment),
		IT(a_name_with_a_comma_is_no_alias),
		IT(a_missing_binary_says_make_engine),
		IT(a_missing_model_file_is_named),
		IT(an_unknown_model_is_not_found),
		IT(a_start_that_fails_twice_gives_the_last_words),
		IT_WITH(a_failed_model_is_not_started_for_every_request,
			setup_second_failure_backs_off_long),
		IT(a_flaky_start_is_tried_again),
		IT(a_wait_has_a_limit),
		IT_WITH(a_start_has_a_limit, setup_short_start),
		IT(a_crash_is_noticed_and_restarted),
		IT_WITH(the_back_off_is_kept, setup_long_backoff),
		IT_WITH(a_hung_child_is_killed_and_restarted, setup_quick_health),
		IT_WITH(a_busy_child_is_not_hung, setup_quick_health),
		IT(a_cancelled_wait_is_never_answered),
		IT(idle_is_unloaded_and_comes_back),
		IT(a_leased_model_is_not_idle),
		IT(a_request_says_how_long_it_stays),
		IT(reload_without_a_change_changes_nothing),
		IT(reload_changes_a_model_under_a_lease),
		IT(reload_removes_a_model),
		IT(reload_hands_waits_to_the_new_model),
		IT(close_reaps_everything),
		IT_WITH(a_child_that_ignores_term_is_killed, setup_short_stop),
		IT(no_child_survives_kill_9_of_the_gateway),
		IT(leases_from_many_threads),
	};
	size_t n = sizeof(self);

	if (uv_exepath(self, &n) != 0)
		return 90;
	if (argc > 1 && strcmp(argv[1], "engine-exec") == 0)
		return engine_shim_main(argc, argv);
	if (argc > 1 && strcmp(argv[1], "--host") == 0)
		return fake_llama_main(argc, argv);
	if (argc > 3 && strcmp(argv[1], "gateway") == 0)
		return gateway(argv[2], argv[3]);
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
