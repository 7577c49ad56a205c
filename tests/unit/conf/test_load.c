/* tests/unit/conf/test_load.c - right configurations: defaults, file, environment, command line, in that order of force;
 * and the files themselves, in a folder of the test's own. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot.h"

static void no_configuration_at_all(void **state)
{
	struct loaded l = load_good("", NULL);
	const struct snapshot *s = l.s;

	CHECK_STR(s->listen.host, "127.0.0.1");
	assert_int_equal(s->listen.port, 8080);
	assert_true(s->listen.reuse_port);
	assert_false(str_present(s->admin.host));
	assert_true(s->workers >= 1);
	assert_int_equal(s->max_body, 64 << 20);
	assert_int_equal(s->max_response, 64 << 20);
	assert_int_equal(s->max_event, 32 << 20);
	assert_int_equal(s->stream_high, 128 << 10);
	assert_true(s->server.write_low < s->stream_high);
	assert_int_equal(s->keepalive_ms, 15000);
	assert_int_equal(s->server.head_timeout_ms, 10000);
	assert_int_equal(s->server.idle_timeout_ms, 75000);
	assert_int_equal(s->client.idle_timeout_ms, 55000);
	assert_int_equal(s->deadlines.connect_ms, 5000);
	assert_int_equal(s->deadlines.tls_ms, 5000);
	assert_int_equal(s->deadlines.first_byte_ms, 120000);
	assert_int_equal(s->deadlines.idle_ms, 120000);
	assert_int_equal(s->drain_ms, 600000);
	assert_int_equal(s->budget[IR_EFFORT_UNSET], 0);
	assert_int_equal(s->budget[IR_EFFORT_MINIMAL], 1024);
	assert_int_equal(s->budget[IR_EFFORT_MEDIUM], 8192);
	assert_true(s->enable_openai && s->enable_anthropic && s->enable_universal &&
		    s->access_log);
	assert_false(s->strict_parameters);
	assert_int_equal(s->auth, AUTH_AUTO);
	assert_int_equal(s->n_accounts, 0);
	assert_int_equal(l.report.n, 1);
	assert_true(l.report.problems[0].warning);
	loaded_done(&l);
}

static void providers_from_the_variables_of_sdks(void **state)
{
	static const char *const environment[] = {
		"OPENAI_API_KEY=k1",
		"ANTHROPIC_API_KEY=k2",
		"DEEPSEEK_API_KEY=k3",
		"GROQ_API_KEY=",
		"ANTHROPIC_BASE_URL=https://proxy.example/anthropic/v1/",
		"OPENAI_API_BASE=https://other.example",
		"GOOGLE_API_KEY=k4",
		NULL,
	};
	struct loaded l = load_good("", environment);
	const struct account *a;

	assert_int_equal(l.s->n_accounts, 4);
	a = snapshot_account(l.s, STR("openai"));
	assert_ptr_equal(a->kind, &provider_openai);
	CHECK_STR(a->api_key, "k1");
	CHECK_STR(a->origin.host, "other.example");
	CHECK_STR(a->origin.base_path, "/v1");
	assert_true(a->discover);
	a = snapshot_account(l.s, STR("anthropic"));
	CHECK_STR(a->origin.host, "proxy.example");
	CHECK_STR(a->origin.base_path, "/anthropic");
	a = snapshot_account(l.s, STR("deepseek"));
	assert_ptr_equal(a->kind, &provider_deepseek);
	CHECK_STR(a->origin.host, "api.deepseek.com");
	CHECK_STR(a->origin.base_path, "");
	assert_true(a->quirks & QUIRK_MAX_TOKENS);
	a = snapshot_account(l.s, STR("google"));
	assert_ptr_equal(a->kind, &provider_google);
	CHECK_STR(a->api_key, "k4"); /* the second of its variables */
	CHECK_STR(a->origin.host, "generativelanguage.googleapis.com");
	assert_int_equal(l.report.n, 0);
	loaded_done(&l);
}

/* A shell that points its SDKs at the gateway must not make the gateway call itself. */
static void a_base_url_that_is_ourselves_is_not_used(void **state)
{
	static const char *const environment[] = { "OPENAI_API_KEY=k",
						   "OPENAI_BASE_URL=http://localhost:8080/v1",
						   NULL };
	struct loaded l = load_good("", environment);

	CHECK_STR(l.s->accounts[0].origin.host, "api.openai.com");
	assert_int_equal(l.report.n, 1);
	loaded_done(&l);
}

static void a_file_that_names_providers_is_the_whole_truth(void **state)
{
	static const char *const environment[] = { "OPENAI_API_KEY=k", "GROQ_API_KEY=g",
						   "ANTHROPIC_API_KEY=a",
						   "OPENAI_BASE_URL=http://elsewhere/v1", NULL };
	struct loaded l = load_good("providers:\n  openai:\n  fast: { type: Groq }\n", environment);

	assert_int_equal(l.s->n_accounts, 2);
	CHECK_STR(l.s->accounts[0].api_key, "k");
	CHECK_STR(l.s->accounts[0].origin.host, "api.openai.com");
	CHECK_STR(l.s->accounts[1].name, "fast");
	CHECK_STR(l.s->accounts[1].api_key, "g");
	CHECK_STR(l.s->accounts[1].origin.base_path, "/openai/v1");
	loaded_done(&l);
}

static const char everything[] =
	"server:\n  address: '[::1]:9000'\n  workers: 3\n  max_body: 1MiB\n  tls:\n"
	"admin: { address: 'unix:/run/a.sock' }\n"
	"data_dir: ~/data\n"
	"timeouts: { connect: 250ms, idle: 2m }\n"
	"reasoning: { budgets: { high: 20000 } }\n"
	"strict_parameters: yes\n"
	"default: vllm\n"
	"logging: { level: WARNING, format: json, file: log.txt, access: off }\n"
	"providers:\n"
	"  openai:\n    api_key: ${KEY}\n    models: [gpt-4o, gpt-4o-mini]\n    timeouts: { "
	"first_byte: 1s }\n"
	"    headers: { OpenAI-Organization: org-1 }\n"
	"  vllm:\n    type: openai-compatible\n    base_url: http://10.0.0.5:8000/v1/\n"
	"    protocols: [anthropic-messages, openai-chat]\n    quirks: [top_k, no_json_schema]\n"
	"models:\n"
	"  - name: short\n    provider: vllm\n    provider_model_id: meta/llama\n"
	"  - name: same\n    provider: openai\n"
	"  - name: best\n    strategy: priority\n    targets:\n"
	"      - { provider: openai, model: gpt-4o }\n      - { provider: vllm }\n"
	"auth:\n  mode: keys\n  keys:\n"
	"    - name: ci\n      sha256: "
	"00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff\n"
	"      permissions: read\n      models: ['gpt-*', best]\n"
	"    - name: dev\n      sha256: "
	"0123456789012345678901234567890123456789012345678901234567890123\n";

static void everything_in_a_file(void **state)
{
	static const char *const environment[] = { "KEY=secret", "HOME=/home/u", NULL };
	struct loaded l = load_good(everything, environment);
	const struct snapshot *s = l.s;
	const struct account *openai = &s->accounts[0], *vllm = &s->accounts[1];

	CHECK_STR(s->listen.host, "::1");
	assert_int_equal(s->listen.port, 9000);
	assert_int_equal(s->workers, 3);
	CHECK_STR(s->admin.unix_path, "/run/a.sock");
	CHECK_STR(s->data_dir, "/home/u/data");
	assert_int_equal(s->deadlines.connect_ms, 250);
	assert_int_equal(s->deadlines.idle_ms, 120000);
	assert_int_equal(s->budget[IR_EFFORT_HIGH], 20000);
	assert_int_equal(s->log_level, LOG_WARN);
	assert_int_equal(s->log_format, LOG_JSON);
	CHECK_STR(s->log_path, "log.txt");
	assert_true(s->strict_parameters && !s->access_log);
	CHECK_STR(openai->api_key, "secret");
	assert_int_equal(openai->n_models, 2);
	assert_false(openai->discover);
	assert_int_equal(openai->deadlines->first_byte_ms, 1000);
	assert_int_equal(openai->deadlines->connect_ms, 250); /* the rest is the general one */
	assert_int_equal(openai->n_headers, 1);
	assert_null(vllm->deadlines);
	assert_true(vllm->discover);
	assert_int_equal(vllm->quirks, QUIRK_TOP_K | QUIRK_NO_JSON_SCHEMA);
	assert_ptr_equal(vllm->speaks[0], &protocol_anthropic_messages);
	assert_ptr_equal(vllm->speaks[1], &protocol_openai_chat);
	assert_null(vllm->speaks[2]);
	CHECK_STR(vllm->origin.base_path, "/v1");
	assert_int_equal(vllm->id, 1);
	assert_ptr_equal(s->default_account, vllm);
	assert_int_equal(s->n_aliases, 3);
	CHECK_STR(snapshot_alias(s, STR("short"))->targets[0].model, "meta/llama");
	CHECK_STR(snapshot_alias(s, STR("same"))->targets[0].model, "same");
	assert_int_equal(snapshot_alias(s, STR("best"))->n_targets, 2);
	CHECK_STR(snapshot_alias(s, STR("best"))->targets[1].model, "best");
	assert_int_equal(s->n_keys, 2);
	assert_int_equal(s->keys[0].permissions, PERMISSION_READ);
	assert_int_equal(s->keys[0].sha256[10], 0xaa);
	assert_int_equal(s->keys[0].n_models, 2);
	assert_int_equal(s->keys[1].permissions, PERMISSION_READ | PERMISSION_WRITE);
	assert_int_equal(l.report.n, 0);
	loaded_done(&l);
}

static void ollama_is_on_where_its_host_is_said(void **state)
{
	static const char *const environment[] = { "OLLAMA_HOST=0.0.0.0:11500", "OLLAMA_API_KEY=k",
						   NULL };
	static const char *const key_alone[] = { "OLLAMA_API_KEY=k", NULL };
	struct loaded l = load_good("", environment);
	const struct account *acc = snapshot_account(l.s, STR("ollama"));

	assert_non_null(acc);
	assert_ptr_equal(acc->kind, &provider_ollama);
	CHECK_STR(acc->origin.host, "127.0.0.1");
	assert_int_equal(acc->origin.port, 11500);
	CHECK_STR(acc->api_key, "k");
	assert_true(acc->discover);
	loaded_done(&l);
	l = load_good("", key_alone);
	assert_null(snapshot_account(l.s, STR("ollama")));
	loaded_done(&l);
	/* Somebody whose clients find the gateway by that variable. */
	l = load_good("server: { port: 11500 }\n", environment);
	assert_int_equal(snapshot_account(l.s, STR("ollama"))->origin.port, 11434);
	loaded_done(&l);
	l = load_good("providers: { ollama: {} }\n", NULL);
	assert_int_equal(snapshot_account(l.s, STR("ollama"))->origin.port, 11434);
	loaded_done(&l);
}

static void azure_needs_no_configuration_but_its_variables(void **state)
{
	static const char *const environment[] = {
		"AZURE_OPENAI_API_KEY=k", "AZURE_OPENAI_ENDPOINT=https://r.openai.azure.com/",
		"OPENAI_API_VERSION=2024-10-21", NULL
	};
	static const char *const no_endpoint[] = { "AZURE_OPENAI_API_KEY=k", NULL };
	struct loaded l = load_good("", environment);
	const struct account *acc = snapshot_account(l.s, STR("azure"));

	assert_non_null(acc);
	assert_ptr_equal(acc->kind, &provider_azure);
	CHECK_STR(acc->origin.host, "r.openai.azure.com");
	CHECK_STR(acc->api_version, "2024-10-21");
	loaded_done(&l);
	/* Named in the file without an address: the variable stands for it. */
	l = load_good("providers: { azure: { api_version: v1 } }\n", environment);
	acc = snapshot_account(l.s, STR("azure"));
	CHECK_STR(acc->origin.host, "r.openai.azure.com");
	CHECK_STR(acc->api_version, "v1");
	loaded_done(&l);
	l = load_good("", no_endpoint);
	assert_null(snapshot_account(l.s, STR("azure")));
	assert_true(str_find(buf_str(&l.text), STR("AZURE_OPENAI_ENDPOINT")) >= 0);
	loaded_done(&l);
}

static void the_order_of_force(void **state)
{
	static const char *const plain[] = { "PORT=1111", "HOST=localhost", "LOG_LEVEL=DEBUG",
					     NULL };
	static const char *const strong[] = { "PORT=1111", "LLM_GATEWAY_SERVER_PORT=2222",
					      "LLM_GATEWAY_LOGGING_LEVEL=error",
					      "LLM_GATEWAY_SERVER_MAX_BODY=", NULL };
	const char *yaml = "server: { port: 3333 }\nlogging: { level: warn }\n";
	struct loaded l = load_good("", plain);

	CHECK_STR(l.s->listen.host, "localhost");
	assert_int_equal(l.s->listen.port, 1111);
	assert_int_equal(l.s->log_level, LOG_DEBUG);
	loaded_done(&l);
	l = load_good(yaml, plain);
	assert_int_equal(l.s->listen.port, 3333);
	assert_int_equal(l.s->log_level, LOG_WARN);
	loaded_done(&l);
	l = load_good(yaml, strong);
	assert_int_equal(l.s->listen.port, 2222);
	assert_int_equal(l.s->log_level, LOG_ERROR);
	assert_int_equal(l.s->max_body, 64 << 20);
	loaded_done(&l);
	/* The file's address in one piece beats a plain HOST; a strong variable beats the file. */
	l = load_good("server: { address: '127.0.0.1:4444' }\n", plain);
	CHECK_STR(l.s->listen.host, "127.0.0.1");
	assert_int_equal(l.s->listen.port, 4444);
	loaded_done(&l);
	l = load_good("server: { address: '127.0.0.1:4444' }\n", strong);
	assert_int_equal(l.s->listen.port, 2222);
	loaded_done(&l);
}

static void the_command_line_is_strongest(void **state)
{
	static const char *const environment[] = { "LLM_GATEWAY_SERVER_ADDRESS=127.0.0.1:1",
						   "LLM_GATEWAY_SERVER_PORT=2", NULL };
	struct conf_sources src = { .environment = environment,
				    .listen = STR("127.0.0.1:3"),
				    .data_dir = STR("/d") };
	struct arena *a = arena_new(1 << 20);
	struct conf_report report;
	struct snapshot *s;

	conf_report_init(&report, a);
	s = conf_load_text(&src, STR(""), &report);
	assert_non_null(s);
	assert_int_equal(s->listen.port, 3);
	CHECK_STR(s->data_dir, "/d");
	snapshot_unref(s);
	src.listen = STR("0.0.0.0:3");
	assert_null(conf_load_text(&src, STR(""), &report));
	CHECK_STR(report.problems[report.n - 1].file, "command line");
	arena_free(a);
}

static void variables_of_providers(void **state)
{
	static const char *const environment[] = {
		"LLM_GATEWAY_PROVIDERS_OPENAI_API_KEY=strong",
		"LLM_GATEWAY_PROVIDERS_MY_VLLM_BASE_URL=http://b/v1",
		"LLM_GATEWAY_PROVIDERS_MY_VLLM_TIMEOUTS_IDLE=7s",
		"LLM_GATEWAY_PROVIDERS_GROQ_API_KEY=g",
		"LLM_GATEWAY_PROVIDERS_NOBODY_API_KEY=x",
		NULL,
	};
	struct loaded l = load_good("providers:\n  openai: { api_key: weak }\n"
				    "  my-vllm: { type: vllm, base_url: 'http://a/v1' }\n",
				    environment);

	assert_int_equal(l.s->n_accounts, 3);
	CHECK_STR(l.s->accounts[0].api_key, "strong");
	CHECK_STR(l.s->accounts[1].origin.host, "b");
	assert_int_equal(l.s->accounts[1].deadlines->idle_ms, 7000);
	CHECK_STR(l.s->accounts[2].name, "groq");
	CHECK_STR(l.s->accounts[2].api_key, "g");
	assert_int_equal(l.report.n, 1);
	assert_true(str_find(l.report.problems[0].message, STR("NOBODY")) > 0);
	loaded_done(&l);
}

static void a_mistyped_variable_is_said(void **state)
{
	static const char *const environment[] = { "LLM_GATEWAY_SERVER_PROT=1",
						   "LLM_GATEWAY_SOMETHING_ELSE=1",
						   "OPENAI_API_KEY=k", NULL };
	struct loaded l = load_good("", environment);

	CHECK_STR_IS(buf_str(&l.text), STR("environment: warning: LLM_GATEWAY_SERVER_PROT is no "
					   "option: did you mean LLM_GATEWAY_SERVER_PORT?\n"));
	loaded_done(&l);
}

static void loopback(void **state)
{
	static const char *const yes[] = { "localhost", "LOCALHOST", "127.0.0.1",
					   "127.9.9.9", "::1",       "::ffff:127.0.0.1" };
	static const char *const no[] = { "",
					  "0.0.0.0",
					  "::",
					  "10.0.0.1",
					  "128.0.0.1",
					  "localhost.evil.com",
					  "127.0.0.1.nip.io",
					  "::ffff:10.0.0.1",
					  "1270.0.0.1" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		assert_true(conf_is_loopback(str_from(yes[i])));
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_false(conf_is_loopback(str_from(no[i])));
}

#define DIGEST "0123456789012345678901234567890123456789012345678901234567890123"

static void who_may_call_from_elsewhere(void **state)
{
	static const char *const good[] = {
		"server: { host: 0.0.0.0 }\nauth: { mode: none }\n",
		"server: { host: '::' }\nauth: { keys: [ { name: a, sha256: " DIGEST " } ] }\n",
		"server: { address: 'unix:/run/x.sock' }\n",
		"server: { host: '[::1]' }\n",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct loaded l = load_good(good[i], NULL);

		loaded_done(&l);
	}
}

static void anchors_are_shared(void **state)
{
	struct loaded l = load_good(
		"providers:\n  a: &x { type: vllm, timeouts: { idle: 9s } }\n  b: *x\n", NULL);

	assert_int_equal(l.s->accounts[1].deadlines->idle_ms, 9000);
	loaded_done(&l);
}

static void references_are_counted(void **state)
{
	struct loaded l = load_good("", NULL);

	assert_ptr_equal(snapshot_ref(l.s), l.s);
	assert_null(snapshot_unref(l.s));
	CHECK_STR(l.s->listen.host, "127.0.0.1"); /* still there: asan would tell */
	assert_null(snapshot_unref(NULL));
	loaded_done(&l);
}

static void what_a_reload_cannot_change_is_said(void **state)
{
	struct loaded a = load_good("server: { port: 1, workers: 2, max_body: 1MiB }\n", NULL);
	struct loaded b = load_good(
		"server: { port: 2, workers: 3, max_body: 2MiB }\nlogging: { level: debug }\n",
		NULL);

	conf_report_init(&a.report, a.arena);
	conf_reload_check(a.s, b.s, &a.report);
	assert_int_equal(a.report.n, 2);
	assert_int_equal(a.report.n_errors, 0);
	assert_true(str_starts(a.report.problems[0].message, STR("server.address has changed")));
	assert_true(str_starts(a.report.problems[1].message, STR("server.workers has changed")));
	conf_report_init(&a.report, a.arena);
	conf_reload_check(b.s, b.s, &a.report);
	assert_int_equal(a.report.n, 0);
	loaded_done(&a);
	loaded_done(&b);
}

/* --- files --- */

struct folder {
	char path[64], here[512];
};

static void put(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int enter(void **state)
{
	static struct folder f;

	(void)snprintf(f.path, sizeof(f.path), "/tmp/gw-conf-XXXXXX");
	*state = &f;
	if (!getcwd(f.here, sizeof(f.here)) || !mkdtemp(f.path))
		return -1;
	return chdir(f.path);
}

static int leave(void **state)
{
	static const char *const names[] = {
		"config.yaml",
		".env",
		"sub/other.yaml",
		"sub/.env",
		"sub/m.gguf",
		"sub/key",
		"sub",
		"cache/llm-gateway/models/B.Q4_1.gguf",
		"cache/llm-gateway/models/Alpha-1.0-Instruct-q4_k_m.gguf",
		"cache/llm-gateway/models/notes.txt",
		"cache/llm-gateway/models",
		"cache/llm-gateway/engine/1/llama-server",
		"cache/llm-gateway/engine/1",
		"cache/llm-gateway/engine",
		"cache/llm-gateway",
		"cache",
	};
	struct folder *f = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)remove(names[i]);
	if (chdir(f->here))
		return -1;
	return rmdir(f->path);
}

static struct loaded load_files(const char *file, const char *const *environment)
{
	struct loaded l = { .arena = arena_new(8 << 20) };
	struct conf_sources src = { .file = str_from(file), .environment = environment };

	conf_report_init(&l.report, l.arena);
	l.s = conf_load(&src, &l.report);
	buf_init(&l.text, 1 << 20);
	conf_report_text(&l.report, &l.text);
	return l;
}

static void the_file_is_found_where_it_may_be(void **state)
{
	static const char *const none[] = { NULL };
	static const char *const named[] = { "LLM_GATEWAY_CONFIG=sub/other.yaml", NULL };
	static const char *const gone[] = { "LLM_GATEWAY_CONFIG=no.yaml", NULL };
	struct loaded l;

	assert_int_equal(mkdir("sub", 0700), 0);
	put("config.yaml", "server: { port: 1 }\n");
	put("sub/other.yaml", "server: { port: 2 }\nproviders: { v: { type: vllm, api_key_file: "
			      "key, base_url: 'http://h' } }\n");
	put("sub/key", "  k1\n");
	l = load_files(NULL, none);
	assert_int_equal(l.s->listen.port, 1);
	CHECK_STR(l.s->source, "config.yaml");
	loaded_done(&l);
	l = load_files(NULL, named);
	assert_int_equal(l.s->listen.port, 2);
	CHECK_STR(l.s->accounts[0].api_key, "k1"); /* the path is relative to the file */
	loaded_done(&l);
	l = load_files("config.yaml", named);
	assert_int_equal(l.s->listen.port, 1);
	loaded_done(&l);
	l = load_files("sub", none);
	assert_null(l.s);
	CHECK_STR_IS(buf_str(&l.text),
		     STR("command line: the configuration cannot be read: sub is not a file\n"));
	loaded_done(&l);
	l = load_files(NULL, gone);
	assert_null(l.s);
	loaded_done(&l);
}

static void dotenv_beside_the_file_or_here(void **state)
{
	static const char *const environment[] = { "P2=9", NULL };
	struct loaded l;

	assert_int_equal(mkdir("sub", 0700), 0);
	put(".env", "P1=1\nP2=2\nOPENAI_API_KEY=k\n");
	put("sub/other.yaml", "server: { port: '${P1}${P2}' }\n");
	l = load_files("sub/other.yaml", environment);
	assert_int_equal(l.s->listen.port, 19);
	CHECK_STR(l.s->accounts[0].api_key, "k");
	assert_null(getenv("P1")); /* nothing leaks into the process */
	loaded_done(&l);
	put("sub/.env", "P1=3\n");
	l = load_files("sub/other.yaml", environment);
	assert_int_equal(l.s->listen.port, 39);
	loaded_done(&l);
	put("sub/.env", "P1=3\nwhat\n");
	l = load_files("sub/other.yaml", environment);
	assert_null(l.s);
	CHECK_STR_IS(buf_str(&l.text), STR("sub/.env:2:1: expected NAME=value\n"));
	loaded_done(&l);
}

static void make_cache(bool engine)
{
	assert_int_equal(mkdir("cache", 0700), 0);
	assert_int_equal(mkdir("cache/llm-gateway", 0700), 0);
	assert_int_equal(mkdir("cache/llm-gateway/models", 0700), 0);
	put("cache/llm-gateway/models/B.Q4_1.gguf", "x");
	put("cache/llm-gateway/models/Alpha-1.0-Instruct-q4_k_m.gguf", "x");
	put("cache/llm-gateway/models/notes.txt", "x");
	if (!engine)
		return;
	assert_int_equal(mkdir("cache/llm-gateway/engine", 0700), 0);
	assert_int_equal(mkdir("cache/llm-gateway/engine/1", 0700), 0);
	put("cache/llm-gateway/engine/1/llama-server", "#!/bin/sh\n");
	assert_int_equal(chmod("cache/llm-gateway/engine/1/llama-server", 0700), 0);
}

static void the_local_model_is_on_where_engine_and_model_are(void **state)
{
	static const char *const environment[] = { "XDG_CACHE_HOME=cache", "MODEL_N_CTX=2048",
						   "MODEL_N_THREADS=4", NULL };
	static const char *const off[] = { "XDG_CACHE_HOME=cache", "LLM_GATEWAY_ENGINE=none",
					   NULL };
	struct loaded l;

	make_cache(true);
	l = load_files(NULL, environment);
	assert_int_equal(l.s->n_accounts, 1);
	assert_ptr_equal(l.s->accounts[0].kind, &provider_local);
	assert_int_equal(l.s->accounts[0].n_local, 2);
	CHECK_STR(l.s->accounts[0].local[0].name, "alpha-1.0-instruct");
	CHECK_STR(l.s->accounts[0].local[1].name, "b");
	assert_int_equal(l.s->accounts[0].local[0].context, 2048);
	assert_int_equal(l.s->accounts[0].local[0].threads, 4);
	CHECK_STR(l.s->engine_path, "cache/llm-gateway/engine/1/llama-server");
	loaded_done(&l);
	l = load_files(NULL, off);
	assert_int_equal(l.s->n_accounts, 0);
	loaded_done(&l);
}

static void MODEL_PATH_names_the_local_model(void **state)
{
	static const char *const good[] = { "XDG_CACHE_HOME=cache", "MODEL_PATH=sub/m.gguf", NULL };
	static const char *const gone[] = { "XDG_CACHE_HOME=cache", "MODEL_PATH=no.gguf", NULL };
	static const char *const no_engine[] = { "MODEL_PATH=sub/m.gguf", "PATH=/nowhere", NULL };
	struct loaded l;

	make_cache(true);
	assert_int_equal(mkdir("sub", 0700), 0);
	put("sub/m.gguf", "x");
	l = load_files(NULL, good);
	assert_int_equal(l.s->accounts[0].n_local, 1);
	CHECK_STR(l.s->accounts[0].local[0].path, "sub/m.gguf");
	loaded_done(&l);
	l = load_files(NULL, gone);
	assert_null(l.s);
	CHECK_STR_IS(buf_str(&l.text), STR("environment: MODEL_PATH: there is no such file\n"));
	loaded_done(&l);
	l = load_files(NULL, no_engine);
	assert_int_equal(l.s->n_accounts, 0);
	assert_true(str_find(buf_str(&l.text), STR("make engine")) > 0);
	loaded_done(&l);
}

static void local_models_of_a_file(void **state)
{
	static const char *const environment[] = { "PATH=/nowhere", NULL };
	struct loaded l;
	const struct local_model *m;

	assert_int_equal(mkdir("sub", 0700), 0);
	put("sub/m.gguf", "x");
	put("sub/other.yaml", "providers:\n  local:\n    engine: /opt/llama-server\n    models:\n"
			      "    - { path: m.gguf, context: 4096, threads: 2, parallel: 3, "
			      "embeddings: true, preload: yes,"
			      " idle_timeout: 5m, args: [--flash-attn, auto] }\n"
			      "    - { path: m.gguf, name: second }\n");
	l = load_files("sub/other.yaml", environment);
	assert_non_null(l.s);
	m = &l.s->accounts[0].local[0];
	CHECK_STR(m->name, "m");
	CHECK_STR(m->path, "sub/m.gguf");
	assert_int_equal(m->context, 4096);
	assert_int_equal(m->threads, 2);
	assert_int_equal(m->parallel, 3);
	assert_true(m->embeddings && m->preload);
	assert_int_equal(m->idle_ms, 300000);
	assert_int_equal(m->n_extra_args, 2);
	CHECK_STR(m->extra_args[1], "auto");
	CHECK_STR(l.s->accounts[0].local[1].name, "second");
	CHECK_STR(l.s->engine_path, "/opt/llama-server");
	assert_int_equal(l.report.n, 1); /* it is not there */
	loaded_done(&l);
	put("sub/other.yaml",
	    "providers: { local: { models: [ { path: m.gguf }, { path: m.gguf } ] } }\n");
	l = load_files("sub/other.yaml", environment);
	assert_null(l.s);
	loaded_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_configuration_at_all),
		cmocka_unit_test(providers_from_the_variables_of_sdks),
		cmocka_unit_test(a_base_url_that_is_ourselves_is_not_used),
		cmocka_unit_test(a_file_that_names_providers_is_the_whole_truth),
		cmocka_unit_test(everything_in_a_file),
		cmocka_unit_test(ollama_is_on_where_its_host_is_said),
		cmocka_unit_test(azure_needs_no_configuration_but_its_variables),
		cmocka_unit_test(the_order_of_force),
		cmocka_unit_test(the_command_line_is_strongest),
		cmocka_unit_test(variables_of_providers),
		cmocka_unit_test(a_mistyped_variable_is_said),
		cmocka_unit_test(loopback),
		cmocka_unit_test(who_may_call_from_elsewhere),
		cmocka_unit_test(anchors_are_shared),
		cmocka_unit_test(references_are_counted),
		cmocka_unit_test(what_a_reload_cannot_change_is_said),
		cmocka_unit_test_setup_teardown(the_file_is_found_where_it_may_be, enter, leave),
		cmocka_unit_test_setup_teardown(dotenv_beside_the_file_or_here, enter, leave),
		cmocka_unit_test_setup_teardown(the_local_model_is_on_where_engine_and_model_are,
						enter, leave),
		cmocka_unit_test_setup_teardown(MODEL_PATH_names_the_local_model, enter, leave),
		cmocka_unit_test_setup_teardown(local_models_of_a_file, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
