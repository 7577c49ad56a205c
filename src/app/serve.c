/* app/serve.c - the daemon: one control thread over N workers.
 *
 *	start -> RUNNING --SIGTERM--> DRAINING --all gone, or drain time over + cut--> CLOSING -> exit 0
 *	            | SIGHUP: a new snapshot, or the old one and a log line a problem
 *
 * The hard thing is the order of the end: traffic, then the engine's children, then the workers' threads, then what
 * lives on the control loop, then the log.
 */
#include "app/serve.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "app/admin_listener.h"
#include "app/banner.h"
#include "app/catalog.h"
#include "app/notify.h"
#include "app/worker.h"
#include "base/log.h"
#include "engine/engine.h"
#include "exchange/job.h"
#include "loop/loop.h"
#include "policy/auth.h"
#include "policy/proof_memory.h"
#include "store/store.h"
#include "upstream/health.h"

enum {
	REPORT_MAX = 16 * 1024 * 1024,
	STORE_QUEUE_MAX = 256 * 1024 * 1024,
	STORE_MEMORY_MAX = 256 * 1024 * 1024,
	CUT_MS = 2000, /* from the cut of what is left to the end, whoever still hangs */
	N_SIGNALS = 4,
	HANDLES = N_SIGNALS + 2 + 2, /* signals; deadlines; discovery and client */
};

static const int signals[N_SIGNALS] = { SIGHUP, SIGUSR1, SIGTERM, SIGINT };

enum state { RUNNING, DRAINING, CUT, CLOSING };

struct daemon {
	struct conf_sources sources;
	struct snapshot *snapshot;
	struct loop loop;
	struct health_table *health;
	struct proof_memory *proofs;
	struct engine *engine;
	struct job_table *jobs;
	struct store *store;        /* NULL: nothing is kept */
	struct http_client *client; /* of discovery */
	struct discovery *discovery;
	struct admin_listener *admin; /* NULL: no address of its own */
	struct worker **workers;
	unsigned n_workers, n_drained;
	uv_signal_t signals[N_SIGNALS];
	struct deadline drain, watchdog;
	enum state state;
	unsigned closing;
};

/* --- the end --- */

static void handle_closed(struct daemon *d)
{
	if (--d->closing == 0)
		loop_stop(&d->loop);
}

static void signal_closed(uv_handle_t *h)
{
	handle_closed(h->data);
}

static void drain_closed(struct deadline *dl)
{
	handle_closed(LIST_ENTRY(dl, struct daemon, drain));
}

static void watchdog_closed(struct deadline *dl)
{
	handle_closed(LIST_ENTRY(dl, struct daemon, watchdog));
}

static void client_closed(void *user) /* or the admin listener */
{
	handle_closed(user);
}

static void discovery_closed(void *user)
{
	struct daemon *d = user;

	http_client_close(d->client, client_closed, d);
	handle_closed(d);
}

static void close_control(void *user)
{
	struct daemon *d = user;

	store_stop(d->store);
	for (unsigned i = 0; i < d->n_workers; i++)
		worker_stop(d->workers[i]);
	d->n_workers = 0;
	d->closing = HANDLES + (d->admin ? 1 : 0);
	if (d->admin)
		admin_listener_close(d->admin, client_closed, d);
	for (unsigned i = 0; i < N_SIGNALS; i++)
		uv_close((uv_handle_t *)&d->signals[i], signal_closed);
	deadline_close(&d->drain, drain_closed);
	deadline_close(&d->watchdog, watchdog_closed);
	discovery_close(d->discovery, discovery_closed, d);
}

static void shut(struct daemon *d)
{
	if (d->state == CLOSING)
		return;
	d->state = CLOSING;
	if (d->engine)
		engine_close(d->engine, close_control, d);
	else
		close_control(d);
}

static void worker_drained(void *user)
{
	struct daemon *d = user;

	if (++d->n_drained == d->n_workers)
		shut(d);
}

static void cut(struct daemon *d)
{
	if (d->state == CUT || d->state == CLOSING)
		return;
	d->state = CUT;
	log_event(LOG_WARN, "drain.over", "What is still under way is cut.");
	for (unsigned i = 0; i < d->n_workers; i++)
		worker_cut(d->workers[i]);
	deadline_set(&d->drain, CUT_MS);
}

static void drain_over(struct deadline *dl)
{
	struct daemon *d = LIST_ENTRY(dl, struct daemon, drain);

	if (d->state == DRAINING)
		cut(d);
	else
		shut(d);
}

static void drain(struct daemon *d)
{
	d->state = DRAINING;
	notify("STOPPING=1");
	log_event(LOG_INFO, "drain", "Finishing what is under way; a second signal ends it now.",
		  LF_INT("at_most_ms", d->snapshot->drain_ms));
	if (d->admin)
		admin_listener_set_draining(d->admin);
	for (unsigned i = 0; i < d->n_workers; i++)
		worker_drain(d->workers[i]);
	deadline_set(&d->drain, d->snapshot->drain_ms ? d->snapshot->drain_ms : 1);
}

/* --- reload --- */

static void log_problems(const struct conf_report *r, enum log_level errors)
{
	for (unsigned i = 0; i < r->n; i++) {
		const struct conf_problem *p = &r->problems[i];

		log_event(p->warning ? LOG_WARN : errors, "configuration", NULL,
			  LF_STR("file", p->file), LF_INT("line", p->line),
			  LF_INT("column", p->column), LF_STR("problem", p->message));
	}
}

static void use_snapshot(struct daemon *d, struct snapshot *fresh)
{
	struct err e;

	if (d->engine && engine_apply(d->engine, fresh, &e) != RC_OK) {
		log_event(LOG_ERROR, "reload.refused",
			  "The local models could not be taken over; the old configuration stays.",
			  LF_CSTR("reason", e.msg));
		return;
	}
	for (unsigned i = 0; i < d->n_workers; i++)
		if (worker_set_snapshot(d->workers[i], fresh) != RC_OK)
			log_event(LOG_ERROR, "reload.incomplete",
				  "A worker keeps the old configuration: out of memory.");
	snapshot_unref(d->snapshot);
	d->snapshot = snapshot_ref(fresh);
	if (d->admin)
		admin_listener_set_snapshot(d->admin, fresh);
	log_set_level(fresh->log_level);
	discovery_start(d->discovery, fresh);
	log_event(LOG_INFO, "reload", "The new configuration is in force.",
		  LF_STR("file", fresh->source));
}

static void reload(struct daemon *d)
{
	struct arena *a = arena_new(REPORT_MAX);
	struct conf_report report;
	struct snapshot *fresh;

	if (!a || d->state != RUNNING) {
		arena_free(a);
		return;
	}
	notify("RELOADING=1");
	conf_report_init(&report, a);
	fresh = conf_load(&d->sources, &report);
	if (fresh)
		conf_reload_check(d->snapshot, fresh, &report);
	log_problems(&report, LOG_ERROR);
	if (fresh)
		use_snapshot(d, fresh);
	else
		log_event(LOG_ERROR, "reload.refused",
			  "The configuration is wrong; the old one stays in force.");
	snapshot_unref(fresh);
	arena_free(a);
	notify("READY=1");
}

static void on_signal(uv_signal_t *h, int number)
{
	struct daemon *d = h->data;

	switch (number) {
	case SIGHUP:
		reload(d);
		break;
	case SIGUSR1:
		log_reopen();
		break;
	default:
		if (d->state == RUNNING)
			drain(d);
		else
			cut(d);
		break;
	}
}

/* --- the start --- */

static void tick_watchdog(struct deadline *dl)
{
	notify("WATCHDOG=1");
	deadline_set(dl, notify_watchdog_ms());
}

static void found_models(void *user, struct catalog_box *c)
{
	struct daemon *d = user;

	for (unsigned i = 0; i < d->n_workers; i++)
		if (worker_set_catalog(d->workers[i], c) != RC_OK)
			log_event(LOG_ERROR, "discovery.incomplete",
				  "A worker keeps its old list of models: out of memory.");
}

/* With SO_REUSEPORT a second gateway could share the port unnoticed; somebody who starts it twice wants to be told. */
static int address_is_free(const struct http_listener_options *l, struct err *reterr)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM },
			*found = NULL;
	struct arena *a = arena_new(4096);
	struct str host = a ? arena_dup(a, l->host) : STR_NONE;
	char port[8];
	int fd, one = 1, rc = RC_OK;

	(void)snprintf(port, sizeof(port), "%u", l->port);
	/* allowed here: at start-up no loop waits for it */
	if (str_present(host) && getaddrinfo(host.ptr, port, &hints, &found) == 0) {
		fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (fd >= 0 && bind(fd, found->ai_addr, found->ai_addrlen) != 0)
			rc = err_set(reterr, RC_IO,
				     "cannot listen on %s:%s: %s. Is a gateway already running? "
				     "Give it another address, or --takeover to replace that one.",
				     host.ptr, port, uv_strerror(uv_translate_sys_error(errno)));
		if (fd >= 0)
			close(fd);
		freeaddrinfo(found);
	}
	arena_free(a);
	return rc;
}

static void raise_fd_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int start_control(struct daemon *d, struct err *reterr)
{
	struct discovery_options o = {
		.loop = &d->loop, .health = d->health, .found = found_models, .user = d
	};

	d->client = http_client_new(&d->loop, &d->snapshot->client);
	o.client = d->client;
	d->discovery = d->client ? discovery_new(&o) : NULL;
	if (!d->discovery)
		return err_set(reterr, RC_NOMEM, "out of memory");
	deadline_init(&d->drain, &d->loop, drain_over);
	deadline_init(&d->watchdog, &d->loop, tick_watchdog);
	for (unsigned i = 0; i < N_SIGNALS; i++) {
		uv_signal_init(&d->loop.uv, &d->signals[i]);
		d->signals[i].data = d;
		uv_signal_start(&d->signals[i], on_signal, signals[i]);
	}
	return RC_OK;
}

static int start_engine(struct daemon *d, struct err *reterr)
{
	d->engine = engine_new(&(struct engine_options){ .loop = &d->loop }, reterr);
	return d->engine ? engine_apply(d->engine, d->snapshot, reterr) : RC_IO;
}

/* The usual place may not be writable, and most of the gateway needs none; a place that somebody named has to be. */
static int start_store(struct daemon *d, struct err *reterr)
{
	const struct snapshot *s = d->snapshot;
	struct store_options o = { .max_bytes = s->store.max_bytes, .max_queued = STORE_QUEUE_MAX };
	struct arena *a = arena_new(64 * 1024);
	struct err e = { 0 };

	d->jobs = job_table_new();
	if (!a || !d->jobs) {
		arena_free(a);
		return err_set(reterr, RC_NOMEM, "out of memory");
	}
	if (!s->store.memory_only)
		o.path = str_present(s->store.path)
				 ? s->store.path
				 : arena_printf(a, "%.*s/state.db", STR_ARG(s->data_dir));
	d->store = store_open(&o, &e);
	if (!d->store && !str_present(s->store.path) && str_present(o.path)) {
		log_event(LOG_WARN, "store.memory",
			  "What is kept of answers will be lost when the gateway stops.",
			  LF_CSTR("reason", e.msg));
		o.path = STR_NONE;
		o.max_bytes = o.max_bytes < STORE_MEMORY_MAX ? o.max_bytes : STORE_MEMORY_MAX;
		d->store = store_open(&o, &e);
	}
	arena_free(a);
	return d->store ? RC_OK : err_set(reterr, RC_IO, "store: %.240s", e.msg);
}

static int start_admin(struct daemon *d, struct err *reterr)
{
	struct admin_listener_options o = {
		.loop = &d->loop,
		.snapshot = d->snapshot,
		.health = d->health,
		.engine = d->engine,
	};

	if (!str_present(d->snapshot->admin.host) && !str_present(d->snapshot->admin.unix_path))
		return RC_OK;
	d->admin = admin_listener_start(&o, reterr);
	return d->admin ? RC_OK : RC_IO;
}

static int start_workers(struct daemon *d, struct err *reterr)
{
	struct worker_options o = {
		.snapshot = d->snapshot,
		.engine = d->engine,
		.health = d->health,
		.proofs = d->proofs,
		.store = d->store,
		.jobs = d->jobs,
		.control = &d->loop,
		.drained = worker_drained,
		.user = d,
	};

	d->workers = calloc(d->snapshot->workers, sizeof(*d->workers));
	if (!d->workers)
		return err_set(reterr, RC_NOMEM, "out of memory");
	for (unsigned i = 0; i < d->snapshot->workers; i++) {
		d->workers[i] = worker_start(&o, reterr);
		if (!d->workers[i])
			return RC_IO;
		d->n_workers++;
	}
	return RC_OK;
}

static void say_started(struct daemon *d)
{
	const struct snapshot *s = d->snapshot;

	log_event(LOG_INFO, "start", NULL, LF_CSTR("version", GW_VERSION),
		  LF_STR("config", s->source), LF_STR("host", s->listen.host),
		  LF_INT("port", s->listen.port), LF_INT("workers", s->workers),
		  LF_INT("providers", s->n_accounts));
	if (!auth_on(s))
		log_event(LOG_WARN, "auth.off",
			  "No gateway key is asked for: whoever reaches the address may call.");
	if (isatty(STDERR_FILENO))
		banner_print(s);
	notify("READY=1");
	if (notify_watchdog_ms() > 0)
		deadline_set(&d->watchdog, notify_watchdog_ms());
}

static int start(struct daemon *d, const struct cli_serve *o, struct err *reterr)
{
	const struct http_listener_options *own[] = { &d->snapshot->listen, &d->snapshot->admin };
	int rc = RC_OK;

	for (unsigned i = 0; i < 2 && rc == RC_OK && !o->takeover; i++)
		if (str_present(own[i]->host) && !str_present(own[i]->unix_path))
			rc = address_is_free(own[i], reterr);
	if (rc == RC_OK)
		rc = start_control(d, reterr);
	if (rc == RC_OK)
		rc = start_engine(d, reterr);
	if (rc == RC_OK)
		rc = start_admin(d, reterr);
	if (rc == RC_OK)
		rc = start_store(d, reterr);
	if (rc == RC_OK)
		rc = start_workers(d, reterr);
	return rc;
}

/* conf_load() with its problems on stderr: before the log is open, and for a person to read. */
static struct snapshot *load(const struct conf_sources *src)
{
	struct arena *a = arena_new(REPORT_MAX);
	struct conf_report report;
	struct snapshot *s;
	struct buf text;

	if (!a)
		return NULL;
	conf_report_init(&report, a);
	s = conf_load(src, &report);
	buf_init(&text, REPORT_MAX);
	conf_report_text(&report, &text);
	fprintf(stderr, "%.*s", STR_ARG(buf_str(&text)));
	if (!s)
		fputs("llm-gateway: the configuration is refused; nothing was started.\n", stderr);
	buf_done(&text);
	arena_free(a);
	return s;
}

static int run(struct daemon *d, const struct cli_serve *o)
{
	struct err e = { 0 };

	if (loop_init(&d->loop, &e) != RC_OK || start(d, o, &e) != RC_OK) {
		fprintf(stderr, "llm-gateway: %s\n", e.msg);
		/* Threads and handles may be half there: the process ends, and with it all of them. */
		log_close();
		_exit(EXIT_FAILED);
	}
	say_started(d);
	discovery_start(d->discovery, d->snapshot);
	loop_run(&d->loop);
	loop_done(&d->loop);
	store_close(d->store);
	job_table_free(d->jobs);
	free(d->workers);
	log_event(LOG_INFO, "stop", NULL, LF_INT("log_lines_dropped", log_dropped()));
	return EXIT_OK;
}

int serve(const struct cli_serve *o)
{
	struct daemon d = { .sources = o->sources, .snapshot = load(&o->sources) };
	struct log_options log = { 0 };
	struct err e = { 0 };
	int status;

	if (!d.snapshot)
		return EXIT_CONFIG;
	log = (struct log_options){ d.snapshot->log_level, d.snapshot->log_format,
				    d.snapshot->log_path.ptr };
	if (log_open(&log, &e) != RC_OK) {
		fprintf(stderr, "llm-gateway: %s\n", e.msg);
		snapshot_unref(d.snapshot);
		return EXIT_FAILED;
	}
	raise_fd_limit();
	d.health = health_new();
	d.proofs = proof_memory_new();
	status = d.health && d.proofs ? run(&d, o) : EXIT_FAILED;
	proof_memory_free(d.proofs);
	health_free(d.health);
	snapshot_unref(d.snapshot);
	arena_thread_done();
	log_close();
	return status;
}
