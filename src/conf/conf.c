/* conf/conf.c - the order of a load: find the file, read `.env`, parse, read the parts, check what concerns the
 * process as a whole.
 *
 * The hard thing is secrets: the file, `.env` and what ${NAME} brought in are overwritten when the load ends, well or
 * badly; only the snapshot keeps a credential. */
#include "conf/conf.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/hash.h"
#include "conf/load.h"
#include "conf/readfile.h"

enum {
	MAX_FILE = 4 << 20,
	MAX_SNAPSHOT = 64 << 20,
	MAX_SCRATCH = 256 << 20,
};

bool conf_is_loopback(struct str host)
{
	struct in6_addr v6;
	struct in_addr v4;
	char text[INET6_ADDRSTRLEN + 1];

	if (str_ieq(host, STR("localhost")))
		return true;
	if (!host.len || host.len >= sizeof(text))
		return false;
	memcpy(text, host.ptr, host.len);
	text[host.len] = 0;
	if (inet_pton(AF_INET, text, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, text, &v6) != 1)
		return false;
	return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

/* --- finding and reading --- */

static struct str folder_of(struct loader *l, struct str path)
{
	size_t n = path.len;

	while (n > 0 && path.ptr[n - 1] != '/')
		n--;
	if (n == 0)
		return STR(".");
	return arena_dup(l->scratch, (struct str){ path.ptr, n == 1 ? 1 : n - 1 });
}

static void try_dotenv(struct loader *l, struct str path)
{
	struct str text;
	struct err e;
	int rc = read_file(l->scratch, path, MAX_FILE, &text, &e);

	if (rc == RC_OK) {
		load_secret(l, text);
		conf_env_dotenv(&l->env, text, path, l->report);
	} else if (rc != RC_NOTFOUND) {
		conf_report_add(l->report, false, path, 0, 0, "%s", e.msg);
	}
}

/* The first of the usual places that holds a file; absent when none does. */
static struct str usual_place(struct loader *l)
{
	struct str places[3] = {
		STR("config.yaml"),
		l->home.len ? arena_printf(l->scratch, "%.*s/.llm-gateway/config.yaml",
					   STR_ARG(l->home))
			    : STR_NONE,
		STR("/etc/llm-gateway/config.yaml"),
	};

	for (unsigned i = 0; i < 3; i++)
		if (str_present(places[i]) && file_readable(places[i]))
			return places[i];
	return STR_NONE;
}

/* False when a file was asked for and cannot be read. */
static bool find_file(struct loader *l, struct str *ret_text)
{
	struct str asked = str_present(l->src->file) ? l->src->file
						     : conf_env_set(&l->env, "LLM_GATEWAY_CONFIG");
	struct err e;

	*ret_text = STR_NONE;
	l->file = str_present(asked) ? asked : usual_place(l);
	if (!str_present(l->file))
		return true;
	l->dir = folder_of(l, l->file);
	if (read_file(l->scratch, l->file, MAX_FILE, ret_text, &e)) {
		conf_report_add(l->report, false,
				str_present(l->src->file) ? STR("command line")
							  : STR("environment"),
				0, 0, "the configuration cannot be read: %s", e.msg);
		return false;
	}
	load_secret(l, *ret_text);
	return true;
}

static void read_dotenv(struct loader *l)
{
	struct str beside = str_present(l->dir)
				    ? arena_printf(l->scratch, "%.*s/.env", STR_ARG(l->dir))
				    : STR_NONE;

	if (str_present(beside) && file_readable(beside))
		try_dotenv(l, beside);
	else
		try_dotenv(l, STR(".env"));
}

/* --- checks over the whole --- */

static const struct setting *option(const struct loader *l, const char *path)
{
	for (unsigned i = 0; i < N_OPTIONS; i++)
		if (!strcmp(conf_options[i].path, path))
			return &l->options[i];
	return NULL;
}

/* Where the address came from, for messages. */
static const struct setting *address_setting(const struct loader *l)
{
	const struct setting *host = option(l, "server.host"),
			     *address = option(l, "server.address");

	return str_present(host->text) && host->from > address->from ? host : address;
}

static void check_callers(struct loader *l)
{
	struct snapshot *s = l->s;
	/* An address that was refused left none. */
	bool loopback = !str_present(s->listen.host) || conf_is_loopback(s->listen.host);

	if (s->auth == AUTH_KEYS && !s->n_keys)
		load_problem(l, option(l, "auth.mode"),
			     "auth.mode is keys, but auth.keys defines none");
	if (s->auth == AUTH_AUTO && !s->n_keys && !loopback)
		load_problem(l, address_setting(l),
			     "%.*s can be reached from other machines, and no gateway key is "
			     "defined: anyone could use your providers. Add auth.keys, or listen "
			     "on 127.0.0.1, or write auth: { mode: none }",
			     STR_ARG(s->listen.host));
	if (s->auth == AUTH_NONE && s->n_keys)
		load_warning(l, option(l, "auth.mode"),
			     "auth.mode is none: the keys of auth.keys are not asked for");
}

static void check_tls(struct loader *l)
{
	const struct http_listener_options *o = &l->s->listen;
	const struct setting *cert = option(l, "server.tls.certificate"),
			     *key = option(l, "server.tls.key");

	if (str_present(o->tls_certificate) != str_present(o->tls_key))
		load_problem(l, str_present(o->tls_key) ? key : cert,
			     "server.tls needs both certificate and key");
	if (str_present(o->tls_certificate) && !file_readable(o->tls_certificate))
		load_problem(l, cert, "server.tls.certificate: cannot be read");
	if (str_present(o->tls_key) && !file_readable(o->tls_key))
		load_problem(l, key, "server.tls.key: cannot be read");
}

static void check_engine(struct loader *l)
{
	bool local = false;

	for (unsigned i = 0; i < l->s->n_accounts; i++)
		local |= l->s->accounts[i].kind == &provider_local;
	if (local && !str_present(local_find_engine(l)))
		load_warning(l, option(l, "engine"),
			     "no llama-server was found, so local models cannot start: `make "
			     "engine` gets one, or set engine");
}

static void finish(struct loader *l)
{
	struct snapshot *s = l->s;

	s->listen.reuse_port = !str_present(s->listen.unix_path);
	if (!s->listen.reuse_port)
		s->workers = 1; /* only ports can be shared among listeners */
	s->server.write_low = s->stream_high / 2;
	if (s->server.arena_max < s->max_body)
		load_problem(l, option(l, "server.max_memory"),
			     "server.max_memory must be at least server.max_body");
	if (s->max_event > s->server.arena_max)
		load_problem(l, option(l, "server.max_event"),
			     "server.max_event must be at most server.max_memory");
	if (str_present(s->admin.host) && s->admin.port && s->admin.port == s->listen.port &&
	    str_ieq(s->admin.host, s->listen.host))
		load_problem(l, option(l, "admin.address"),
			     "admin.address is server.address: give it another port");
	check_callers(l);
	check_tls(l);
	check_engine(l);
	if (!s->n_accounts && !l->report->n_errors)
		conf_report_add(l->report, true,
				str_present(l->file) ? l->file : STR("configuration"), 0, 0,
				"no provider: set OPENAI_API_KEY or ANTHROPIC_API_KEY, write "
				"providers:, or run `make engine` for a local model");
}

/* --- the load --- */

static void wipe(struct loader *l, const struct yaml_node *root)
{
	yaml_wipe(root);
	for (unsigned i = 0; i < l->n_secrets; i++)
		bytes_wipe((void *)(uintptr_t)l->secrets[i].ptr, l->secrets[i].len);
	/* Texts of variables that `.env` gave point into copies of ours, the process's own do not. */
	l->n_secrets = 0;
}

static void read_all(struct loader *l, struct str text)
{
	const struct yaml_node *root = NULL;
	bool empty = true;

	if (str_present(text))
		root = yaml_parse(l->scratch, text, l->file, l->report, &empty);
	if (root || empty) {
		load_options(l, root);
		load_accounts(l);
		load_models(l);
		load_keys(l);
		finish(l);
	}
	wipe(l, root);
}

static struct snapshot *snapshot_new(void)
{
	struct arena *a = arena_new(MAX_SNAPSHOT);
	struct snapshot *s = a ? arena_alloc(a, sizeof(*s)) : NULL;

	if (!s) {
		(void)arena_free(a);
		return NULL;
	}
	s->arena = a;
	atomic_init(&s->refs, 1);
	return s;
}

static bool loader_init(struct loader *l, const struct conf_sources *src,
			struct conf_report *report)
{
	*l = (struct loader){ .src = src, .report = report };
	l->scratch = arena_new(MAX_SCRATCH);
	l->s = l->scratch ? snapshot_new() : NULL;
	if (!l->s) {
		l->scratch = arena_free(l->scratch);
		conf_report_add(report, false, STR("configuration"), 0, 0, "out of memory");
		return false;
	}
	conf_env_init(&l->env, l->scratch, src->environment);
	l->home = conf_env_set(&l->env, "HOME");
	return true;
}

static struct snapshot *loader_end(struct loader *l)
{
	struct snapshot *s = l->s;

	if (str_present(l->file))
		s->source = load_keep(l, l->file);
	if (l->nomem || l->env.failed)
		conf_report_add(l->report, false, STR("configuration"), 0, 0,
				"out of memory while reading it");
	(void)arena_free(l->scratch);
	return l->report->n_errors ? snapshot_unref(s) : s;
}

struct snapshot *conf_load(const struct conf_sources *src, struct conf_report *report)
{
	struct loader l;
	struct str text;

	if (!loader_init(&l, src, report))
		return NULL;
	if (find_file(&l, &text)) {
		read_dotenv(&l);
		read_all(&l, text);
	}
	return loader_end(&l);
}

struct snapshot *conf_load_text(const struct conf_sources *src, struct str text,
				struct conf_report *report)
{
	struct loader l;

	if (!loader_init(&l, src, report))
		return NULL;
	l.file = str_present(src->file) ? src->file : STR("config.yaml");
	l.dir = folder_of(&l, l.file);
	read_all(&l, text);
	return loader_end(&l);
}
