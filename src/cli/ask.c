/* cli/ask.c - the commands that ask a running gateway over HTTP: status, health, models.
 *
 * They use the gateway's own HTTP client on a loop of their own: one call, then the end.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "http/client.h"
#include "json/json.h"
#include "loop/loop.h"

enum { ASK_MAX = 64 * 1024 * 1024, ASK_MS = 5000 };

/* The options all of them have. */
struct ask_options {
	const char *url, *key;
	bool json;
};

/* One call and its answer. */
struct ask {
	struct loop loop;
	struct http_client *client;
	struct arena *arena;
	struct buf body;
	int status; /* 0: no answer */
	struct str failure;
};

static void on_head(void *user, const struct http_head *head)
{
	((struct ask *)user)->status = head->status;
}

static void on_body(void *user, struct str bytes)
{
	buf_put(&((struct ask *)user)->body, bytes);
}

static void client_closed(void *user)
{
	loop_stop(&((struct ask *)user)->loop);
}

static void on_end(void *user)
{
	struct ask *k = user;

	http_client_close(k->client, client_closed, k);
}

static void on_error(void *user, enum http_failure f, struct str detail)
{
	struct ask *k = user;

	k->status = 0;
	k->failure = arena_printf(k->arena, "%s: %.*s", http_failure_name(f), STR_ARG(detail));
	http_client_close(k->client, client_closed, k);
}

static const struct http_call_events events = {
	.on_head = on_head,
	.on_body = on_body,
	.on_end = on_end,
	.on_error = on_error,
};

/* The address that `serve` would listen on with the same environment, as a URL. */
static struct str default_url(struct arena *a)
{
	struct conf_sources src = cli_sources(NULL, NULL, NULL);
	struct conf_report report;
	struct snapshot *s;
	struct str url = STR("http://127.0.0.1:8080");

	conf_report_init(&report, a);
	s = conf_load(&src, &report);
	if (!s)
		return url;
	if (str_present(s->listen.unix_path))
		url = arena_printf(a, "unix:%.*s", STR_ARG(s->listen.unix_path));
	else
		url = arena_printf(a, "%s://%.*s:%u",
				   str_present(s->listen.tls_certificate) ? "https" : "http",
				   STR_ARG(conf_is_loopback(s->listen.host) ? s->listen.host
									    : STR("127.0.0.1")),
				   s->listen.port);
	snapshot_unref(s);
	return url;
}

static int call(struct ask *k, const struct origin *origin, struct str path, struct str key)
{
	const struct http_field fields[] = {
		{ STR("accept"), STR("application/json") },
		{ STR("authorization"), arena_printf(k->arena, "Bearer %.*s", STR_ARG(key)) },
	};
	struct http_call_options o = {
		.origin = origin,
		.method = HTTP_GET,
		.path = path,
		.fields = fields,
		.n_fields = str_present(key) ? 2 : 1,
		.deadlines = { ASK_MS, ASK_MS, ASK_MS, ASK_MS },
	};
	struct http_client_limits limits = { 1, ASK_MS, 64 * 1024, 100, ASK_MS };
	struct err e;

	if (loop_init(&k->loop, &e) != RC_OK)
		return RC_IO;
	k->client = http_client_new(&k->loop, &limits);
	if (k->client && http_call_start(k->client, &o, &events, k))
		loop_run(&k->loop);
	loop_done(&k->loop);
	return RC_OK;
}

/* 0 and the answer in *k, or the exit status, with the reason printed. End with ask_done(). */
static int ask(struct ask *k, const char *command, const struct ask_options *o, struct str path)
{
	struct origin origin;
	struct str url;
	struct err e = { 0 };

	*k = (struct ask){ .arena = arena_new(ASK_MAX) };
	buf_init(&k->body, ASK_MAX);
	if (!k->arena)
		return EXIT_FAILED;
	url = o->url ? str_from(o->url) : default_url(k->arena);
	if (origin_parse(k->arena, url, STR_NONE, true, STR_NONE, &origin, &e) != RC_OK) {
		fprintf(stderr, "llm-gateway %s: --url: %s\n", command, e.msg);
		return EXIT_USAGE;
	}
	if (call(k, &origin, path, str_from(o->key)) != RC_OK || k->status == 0) {
		fprintf(stderr,
			"llm-gateway %s: no gateway answers at %.*s (%.*s). Start it with "
			"`llm-gateway serve`, or give --url.\n",
			command, STR_ARG(url), STR_ARG(k->failure));
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

static void ask_done(struct ask *k)
{
	buf_done(&k->body);
	arena_free(k->arena);
}

static int read_options(const struct cli *c, struct ask_options *o)
{
	const struct cli_option options[] = { { "url", &o->url, NULL },
					      { "key", &o->key, NULL },
					      { "json", NULL, &o->json } };

	return cli_parse(c, options, 3, NULL, 0);
}

int cli_health(const struct cli *c)
{
	struct ask_options o = { 0 };
	struct ask k;
	int status;

	if (read_options(c, &o) < 0)
		return EXIT_USAGE;
	status = ask(&k, "health", &o, STR("/health"));
	if (status == EXIT_OK && k.status != 200)
		status = EXIT_FAILED;
	if (status == EXIT_OK)
		puts("ok");
	ask_done(&k);
	return status;
}

static void print_provider(struct str name, const json *p)
{
	struct str error = json_str(JSON_GET(p, "error"));
	struct json_iter models = json_iter(JSON_GET(p, "models"));

	printf("  %-20.*s %-18.*s %.*s", STR_ARG(name), STR_ARG(json_str(JSON_GET(p, "type"))),
	       STR_ARG(json_str(JSON_GET(p, "state"))));
	if (str_present(error))
		printf(" (%.*s)", STR_ARG(error));
	putchar('\n');
	while (json_next(&models))
		printf("    %-18.*s %.*s\n", STR_ARG(json_str(JSON_GET(models.val, "name"))),
		       STR_ARG(json_str(JSON_GET(models.val, "state"))));
}

int cli_status(const struct cli *c)
{
	struct ask_options o = { 0 };
	struct json_iter listed;
	const json *root;
	struct ask k;
	int status;

	if (read_options(c, &o) < 0)
		return EXIT_USAGE;
	status = ask(&k, "status", &o, STR("/ready"));
	root = status == EXIT_OK ? json_parse(k.arena, buf_str(&k.body), NULL) : NULL;
	if (status == EXIT_OK && o.json) {
		printf("%.*s\n", STR_ARG(buf_str(&k.body)));
	} else if (status == EXIT_OK) {
		printf("%.*s\n", STR_ARG(json_str(JSON_GET(root, "status"))));
		listed = json_iter(JSON_GET(root, "providers"));
		while (json_next(&listed))
			print_provider(listed.key, listed.val);
	}
	if (status == EXIT_OK && k.status != 200)
		status = EXIT_FAILED;
	ask_done(&k);
	return status;
}

int cli_models(const struct cli *c)
{
	struct ask_options o = { 0 };
	struct json_iter models;
	const json *root;
	struct ask k;
	int status;

	if (read_options(c, &o) < 0)
		return EXIT_USAGE;
	status = ask(&k, "models", &o, STR("/v1/models"));
	root = status == EXIT_OK ? json_parse(k.arena, buf_str(&k.body), NULL) : NULL;
	if (status == EXIT_OK && k.status != 200) {
		fprintf(stderr, "llm-gateway models: %.*s\n",
			STR_ARG(json_str(JSON_GET(JSON_GET(root, "error"), "message"))));
		status = EXIT_FAILED;
	} else if (status == EXIT_OK && o.json) {
		printf("%.*s\n", STR_ARG(buf_str(&k.body)));
	} else if (status == EXIT_OK) {
		models = json_iter(JSON_GET(root, "data"));
		while (json_next(&models))
			printf("%-40.*s %.*s\n", STR_ARG(json_str(JSON_GET(models.val, "id"))),
			       STR_ARG(json_str(JSON_GET(models.val, "owned_by"))));
	}
	ask_done(&k);
	return status;
}
