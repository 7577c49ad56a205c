/* tests/unit/conf/test_problems.c - what a wrong configuration is told: where, what, what instead.
 *
 * A table of texts and whole reports; "K" in a text stands where a key would. */
#include "snapshot.h"

static const struct {
	const char *yaml, *report;
} table[] = {
	/* keys */
	{ "server:\n  adress: x\n",
	  "config.yaml:2:3: unknown key 'adress': did you mean 'address'?\n" },
	{ "sever: {}\n", "config.yaml:1:1: unknown key 'sever': did you mean 'server'?\n" },
	{ "max_body: 1\n",
	  "config.yaml:1:1: unknown key 'max_body' here: it belongs to server.max_body\n" },
	{ "server:\n  tls: { cert: x }\n", "config.yaml:2:10: unknown key 'cert' in server.tls\n" },
	{ "providers:\n  openai: { api_key: k, modles: [a] }\n",
	  "config.yaml:2:25: unknown key 'modles': did you mean 'models'?\n" },
	{ "server:\n  port: 1\n  port: 2\n",
	  "config.yaml:3:3: 'port' is given twice, first in line 2: remove one\n" },
	{ "providers:\n  openai: { api_key: k }\n  openai: { api_key: j }\n",
	  "config.yaml:3:3: 'openai' is given twice, first in line 2: remove one\n" },
	{ "? [a]\n: 1\n", "config.yaml:1:3: a key must be a plain name\n" },
	{ "limits: { rpm: 3 }\n",
	  "config.yaml:1:1: limits is not in this version: remove the section\n" },
	{ "telemetry: {}\ncache: {}\n",
	  "config.yaml:1:1: telemetry is not in this version: remove the section\n"
	  "config.yaml:2:1: cache is not in this version: remove the section\n" },
	/* a text of another encoding: read by its parser, it could hold the program for ever */
	{ "%s\xdb"
	  "e: {}\n",
	  "config.yaml:1:3: not UTF-8: save the file in that encoding\n" },
	{ "# \xc3\xa9\nserver: { port: 1 } # gr\xfc\xdf\n",
	  "config.yaml:2:25: not UTF-8: save the file in that encoding\n" },
	/* in the order of the file, whichever pass finds them */
	{ "models:\n  - { name: a, provider: nobody }\nproviders:\n  x: { type: opnai }\n"
	  "server: { port: 80x }\n",
	  "config.yaml:2:26: there is no provider 'nobody' under providers\n"
	  "config.yaml:4:14: type: 'opnai' is no kind of provider: did you mean 'openai'?\n"
	  "config.yaml:5:17: server.port: '80x' is not a number\n" },
	/* types and bounds */
	{ "- a\n", "config.yaml:1:1: a configuration is a map of keys (`server:`, `providers:`), "
		   "not a list\n" },
	{ "server: 8080\n", "config.yaml:1:9: server must be a map of keys, not a value\n" },
	{ "server: { port: [1] }\n",
	  "config.yaml:1:17: server.port must be one value, not a list\n" },
	{ "server: { port: }\n",
	  "config.yaml:1:11: server.port has no value: give one, or remove the key\n" },
	{ "server: { port: 80x }\n", "config.yaml:1:17: server.port: '80x' is not a number\n" },
	{ "server: { port: 65536 }\n", "config.yaml:1:17: server.port must be at most 65535\n" },
	{ "server: { port: -1 }\n", "config.yaml:1:17: server.port: '-1' is not a number\n" },
	{ "server: { workers: 0 }\n", "config.yaml:1:20: server.workers must be at least 1\n" },
	{ "server: { workers: many }\n",
	  "config.yaml:1:20: server.workers: 'many' is not a number, or auto\n" },
	{ "server: { max_body: 10MB }\n", "config.yaml:1:21: server.max_body: '10MB' is not a size "
					  "such as 4096, 64KiB or 16MiB\n" },
	{ "server: { max_body: 1 }\n",
	  "config.yaml:1:21: server.max_body must be at least 1024 bytes\n" },
	{ "server: { max_body: 1GiB }\n",
	  "configuration: server.max_memory must be at least server.max_body\n" },
	{ "server: { address: 127.0.0.1:9000 }\nadmin: { address: 127.0.0.1:9000 }\n",
	  "config.yaml:2:19: admin.address is server.address: give it another port\n" },
	{ "timeouts: { connect: 5 days }\n", "config.yaml:1:22: timeouts.connect: '5 days' is not "
					     "a duration such as 250ms, 30s, 5m or 1h\n" },
	{ "timeouts: { connect: 1ms }\n",
	  "config.yaml:1:22: timeouts.connect must be at least 10 ms\n" },
	{ "server: { address: '1:2:3' }\n", "config.yaml:1:20: server.address: '1:2:3' is not an "
					    "address: IPv6 ones are written [::1]:8080\n" },
	{ "server: { address: 'localhost' }\n",
	  "config.yaml:1:20: server.address: 'localhost' is not an address such as 127.0.0.1:8080, "
	  "[::1]:8080, :8080 or unix:/run/gateway.sock\n" },
	{ "server: { address: 'localhost:1', port: 2 }\n",
	  "config.yaml:1:41: server.port beside server.address: say one or the other\n" },
	{ "logging: { level: inf }\n", "config.yaml:1:19: logging.level: 'inf' is none of debug, "
				       "info, warn, error: did you mean 'info'?\n" },
	{ "strict_parameters: perhaps\n",
	  "config.yaml:1:20: strict_parameters: 'perhaps' is not true or false\n" },
	{ "server: { tls: { certificate: /no/such } }\n",
	  "config.yaml:1:31: server.tls needs both certificate and key\n"
	  "config.yaml:1:31: server.tls.certificate: cannot be read\n" },
	/* YAML itself */
	{ "a: [1\n", "config.yaml:2:1: not YAML: flow sequence without a closing bracket\n" },
	{ "server:\n\tport: 1\n",
	  "config.yaml:2:1: not YAML: tab character may not be used as indentation\n" },
	{ "a: *b\n",
	  "config.yaml:1:4: an alias (*) of an anchor (&) that was not given before it\n" },
	{ "a: 1\n---\nb: 2\n", "config.yaml:2:1: a second document: a configuration is one\n" },
	/* ${NAME} */
	{ "providers:\n  openai: { api_key: '${GONE}' }\n",
	  "config.yaml:2:22: api_key: ${GONE} is not set: set it in the environment or in .env, or "
	  "write ${GONE:-default}\n" },
	{ "data_dir: '${'\n", "config.yaml:1:11: data_dir: after ${ a name and } are expected, as "
			      "in ${NAME} or ${NAME:-default}; write $${ for ${\n" },
	/* providers */
	{ "providers: [openai]\n",
	  "config.yaml:1:12: providers must be a map of names, not a list\n" },
	{ "providers: { a/b: { type: openai, api_key: k } }\n",
	  "config.yaml:1:14: a provider's name is made of letters, digits, '-', '_' and '.'\n" },
	{ "providers: { x: { type: opnai } }\n",
	  "config.yaml:1:25: type: 'opnai' is no kind of provider: did you mean 'openai'?\n" },
	{ "providers: { mine: { api_key: k } }\n",
	  "config.yaml:1:14: providers.mine needs a type, its name being no known kind; for a "
	  "server that speaks OpenAI's protocol: type: openai-compatible\n" },
	{ "providers: { azure: { endpoint: 'https://x' } }\n",
	  "config.yaml:1:14: providers.azure has no api_key: set AZURE_OPENAI_API_KEY, or write "
	  "api_key: or api_key_file:\n" },
	{ "providers: { azure: { api_key: k } }\n",
	  "config.yaml:1:14: providers.azure needs a base_url, such as "
	  "http://127.0.0.1:8000/v1\n" },
	{ "providers: { azure: { api_key: k, endpoint: 'https://x', api_version: '2024&a=b' } }\n",
	  "config.yaml:1:71: providers.azure: an api_version is made of letters, digits, '-', '_' "
	  "and '.'\n" },
	{ "providers: { groq: { api_key: k, api_version: '2024-02-01' } }\n",
	  "config.yaml:1:47: providers.groq: api_version means nothing for this kind of "
	  "provider\n" },
	{ "providers: { openai: {} }\n", "config.yaml:1:14: providers.openai has no api_key: set "
					 "OPENAI_API_KEY, or write api_key: or api_key_file:\n" },
	{ "providers: { v: { type: openai-compatible } }\n",
	  "config.yaml:1:14: providers.v needs a base_url, such as http://127.0.0.1:8000/v1\n" },
	{ "providers: { v: { type: vllm, base_url: 'ftp://x' } }\n",
	  "config.yaml:1:41: providers.v: base_url: the URL must begin with https://, http:// or "
	  "unix:\n" },
	{ "providers: { v: { type: vllm, base_url: 'http://a/', endpoint: 'http://a/' } }\n",
	  "config.yaml:1:14: providers.v has both base_url and endpoint: they are the same, keep "
	  "one\n" },
	{ "providers: { v: { type: vllm, base_url: 'http://localhost:8080/v1' } }\n",
	  "config.yaml:1:41: providers.v: base_url is this gateway's own address\n" },
	{ "providers: { v: { type: vllm, quirks: [top_kk] } }\n",
	  "config.yaml:1:40: no such quirk: 'top_kk': did you mean 'top_k'?\n" },
	{ "providers: { v: { type: vllm, protocols: [openai-chta] } }\n",
	  "config.yaml:1:42: protocols names none\n"
	  "config.yaml:1:43: no such protocol: 'openai-chta': did you mean 'openai-chat'?\n" },
	{ "providers: { openai: { api_key: k, protocols: [openai-chat] } }\n",
	  "config.yaml:1:47: protocols is for providers of type openai-compatible or ollama "
	  "only\n" },
	{ "providers: { v: { type: vllm, headers: { Host: x } } }\n",
	  "config.yaml:1:42: header Host is the gateway's own to send\n" },
	{ "providers: { v: { type: vllm, headers: { 'a b': x } } }\n",
	  "config.yaml:1:42: this is no name of a header field\n" },
	{ "providers: { v: { type: vllm, headers: { a: \"x\\r\\ny\" } } }\n",
	  "config.yaml:1:45: a header's value may not hold control characters\n" },
	{ "providers: { v: { type: vllm, engine: x } }\n",
	  "config.yaml:1:39: providers.v: engine is for local providers only\n" },
	{ "engine: none\nproviders: { l: { type: local, api_key: k, models: [ { path: "
	  "/no/such.gguf } ] } }\n",
	  "config.yaml:1:9: warning: no llama-server was found, so local models cannot start: "
	  "`make engine` gets one, or set engine\n"
	  "config.yaml:2:41: providers.l: api_key means nothing for a local provider\n"
	  "config.yaml:2:62: path: there is no file that can be read there\n" },
	{ "providers: { a: { type: vllm, default: true }, b: { type: vllm, default: true } }\n",
	  "config.yaml:1:48: providers.b is not the only one marked as default\n" },
	{ "default: vlm\nproviders: { vllm: { } }\n",
	  "config.yaml:1:10: default: there is no provider 'vlm': did you mean 'vllm'?\n" },
	/* models */
	{ "models: { a: b }\n",
	  "config.yaml:1:9: models must be a list of at most 4096: - name: ...\n" },
	{ "providers: { vllm: {} }\nmodels: [ { name: m, provider: vlm } ]\n",
	  "config.yaml:2:32: there is no provider 'vlm' under providers: did you mean 'vllm'?\n" },
	{ "providers: { vllm: {} }\nmodels: [ { provider: vllm } ]\n",
	  "config.yaml:2:11: an entry of models needs a name\n" },
	{ "providers: { vllm: {} }\nmodels: [ { name: m } ]\n",
	  "config.yaml:2:11: an entry of models needs a provider, or targets\n" },
	{ "providers: { vllm: {} }\nmodels: [ { name: m, targets: [] } ]\n",
	  "config.yaml:2:31: targets must be a list of 1 to 32: [ { provider: NAME, model: ID } "
	  "]\n" },
	{ "providers: { vllm: {} }\nmodels: [ { name: m, strategy: weighted, provider: vllm } ]\n",
	  "config.yaml:2:32: strategy 'weighted' is not in this version: remove it, or write "
	  "priority\n" },
	{ "providers: { vllm: {} }\nmodels: [ { name: m, provider: vllm }, { name: m, provider: "
	  "vllm } ]\n",
	  "config.yaml:2:48: a second entry of that name; give one entry several targets "
	  "instead\n" },
	/* who may call */
	{ "server: { host: 0.0.0.0 }\n",
	  "config.yaml:1:17: 0.0.0.0 can be reached from other machines, and no gateway key is "
	  "defined: anyone could use your providers. Add auth.keys, or listen on 127.0.0.1, or "
	  "write auth: { mode: none }\n" },
	{ "server: { address: ':80' }\nauth: { keys: [] }\n",
	  "config.yaml:1:20: 0.0.0.0 can be reached from other machines, and no gateway key is "
	  "defined: anyone could use your providers. Add auth.keys, or listen on 127.0.0.1, or "
	  "write auth: { mode: none }\n" },
	{ "auth: { mode: keys }\n",
	  "config.yaml:1:15: auth.mode is keys, but auth.keys defines none\n" },
	{ "auth: { keys: [ { name: a, key: K } ] }\n",
	  "config.yaml:1:28: unknown key 'key' in auth.keys\n"
	  "config.yaml:1:33: write the key's SHA-256 as sha256, not the key: printf %s \"$KEY\" | "
	  "sha256sum\n" },
	{ "auth: { keys: [ { name: a, sha256: abcd } ] }\n",
	  "config.yaml:1:36: sha256 must be 64 hex digits: printf %s \"$KEY\" | sha256sum\n" },
	{ "auth: { keys: [ { name: a, permissions: [raed],"
	  " sha256: 0123456789012345678901234567890123456789012345678901234567890123 } ] }\n",
	  "config.yaml:1:42: no such permission: 'raed': did you mean 'read'?\n" },
	{ "auth: { keys: [ { name: a, models: [],"
	  " sha256: 0123456789012345678901234567890123456789012345678901234567890123 } ] }\n",
	  "config.yaml:1:36: models names none: remove it for all models\n" },
};

static void every_problem_has_its_place_and_advice(void **state)
{
	bool failed = false;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct loaded l = load_yaml(table[i].yaml, NULL);
		struct str got = buf_str(&l.text);

		if (l.s || !str_eq(got, str_from(table[i].report))) {
			print_error("%s---\ngot:  %.*swant: %s\n", table[i].yaml, STR_ARG(got),
				    table[i].report);
			failed = true;
		}
		loaded_done(&l);
	}
	assert_false(failed);
}

static void all_that_is_wrong_is_said_in_one_go(void **state)
{
	struct loaded l = load_yaml("server: { prot: 1, port: x }\nlogging: { level: 7 }\n"
				    "providers: { q: {}, openai: {} }\nmodels: [ { nam: 1 } ]\n",
				    NULL);

	assert_null(l.s);
	assert_int_equal(l.report.n_errors, 7);
	loaded_done(&l);
}

static void a_flood_of_problems_is_cut(void **state)
{
	struct buf b;
	struct loaded l;

	buf_init(&b, 1 << 20);
	for (int i = 0; i < 500; i++)
		buf_printf(&b, "k%d: 1\n", i);
	buf_putc(&b, 0);
	l = load_yaml(buf_str(&b).ptr, NULL);
	assert_int_equal(l.report.n_errors, 500);
	assert_int_equal(l.report.n, 101);
	CHECK_STR(l.report.problems[100].message, "and more; only the first 100 are shown");
	loaded_done(&l);
	buf_done(&b);
}

/* R9: an empty secret, or one that everybody knows, keeps nobody out. */
static void R9_empty_and_well_known_secrets_are_refused(void **state)
{
	static const char *const yaml[] = {
		"providers: { openai: { api_key: '' } }\n",
		"providers: { openai: { api_key: '${EMPTY}' } }\n",
		"auth: { keys: [ { name: a, sha256: "
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 } ] }\n",
		/* sha256("changeme") */
		"auth: { keys: [ { name: a, sha256: "
		"057ba03d6c44104863dc7361fe4578965d1887360f90a0895882e58a6248fc86 } ] }\n",
	};
	static const char *const environment[] = { "EMPTY=", NULL };
	static const char *const empty_variable[] = { "LLM_GATEWAY_PROVIDERS_OPENAI_API_KEY=",
						      NULL };
	struct loaded l;

	for (size_t i = 0; i < sizeof(yaml) / sizeof(yaml[0]); i++) {
		l = load_yaml(yaml[i], environment);
		assert_null(l.s);
		assert_int_equal(l.report.n_errors, 1);
		loaded_done(&l);
	}
	l = load_yaml("", empty_variable);
	assert_null(l.s);
	loaded_done(&l);
}

/* R11: whatever is wrong, and wherever a secret was put, no message repeats it. */
static void R11_no_message_repeats_a_secret(void **state)
{
#define SECRET "Zq7Canary4xW"
	static const char *const yaml[] = {
		"providers: { openai: { api_key: '" SECRET "\\n', type: nope } }\n",
		"providers: { openai: { api_key: \"" SECRET "\\r\\n x\" } }\n",
		"providers: { openai: { api_key: '" SECRET "\xc3\xa9' } }\n",
		"providers: { openai: { type: 'sk-" SECRET "' } }\n",
		"providers: { openai: { type: '${KEY}' } }\n",
		"providers: { openai: { api_key: k, base_url: '${KEY}' } }\n",
		"providers: { openai: { api_key: k, base_url: 'http://[${KEY}]/' } }\n",
		"providers: { openai: { api_key: k, base_url: 'http://h:${KEY}/' } }\n",
		"providers: { openai: { api_key: k, base_url: 'https://u:" SECRET "@host/' } }\n",
		"providers: { openai: { api_key: k, headers: { 'x y': " SECRET " } } }\n",
		"providers: { openai: { api_key: k, headers: { x: \"" SECRET "\\n\" } } }\n",
		"providers: { openai: { api_key: { a: " SECRET " } } }\n",
		"providers: { openai: { api_key: [ " SECRET " ] } }\n",
		"providers: { openai: { api_key: k, quirks: [ '${KEY}' ] } }\n",
		"server: { port: '${KEY}' }\n",
		"server: { port: 'sk-" SECRET "' }\n",
		"logging: { level: '${KEY}' }\n",
		"default: '${KEY}'\n",
		"auth: { keys: [ { name: a, sha256: " SECRET " } ] }\n",
		"auth: { keys: [ { name: a, key: " SECRET " } ] }\n",
		"models: [ { name: a, provider: '${KEY}' } ]\n",
		"data_dir: '${" SECRET "'\nserver: [\n",
		"a: \"" SECRET "\nb\n",
		"a: '" SECRET "\n",
		"providers: { openai: { api_key: " SECRET ": x } }\n",
		"providers:\n  openai:\n    api_key: k\n   " SECRET "\n",
		"a: !" SECRET "!x 1\n",
		"%YAML " SECRET "\n---\n",
	};
	static const char *const environment[] = { "KEY=" SECRET, "LLM_GATEWAY_SERVER_WORKERS=2",
						   NULL };
	static const char *const variable[] = { "LLM_GATEWAY_PROVIDERS_OPENAI_API_KEY=" SECRET "\r",
						"PORT=x" SECRET SECRET "12345", NULL };
	struct loaded l;

	for (size_t i = 0; i < sizeof(yaml) / sizeof(yaml[0]); i++) {
		l = load_yaml(yaml[i], environment);
		if (l.s || str_find(buf_str(&l.text), STR(SECRET)) >= 0)
			fail_msg("%s\n%.*s", yaml[i], STR_ARG(buf_str(&l.text)));
		loaded_done(&l);
	}
	l = load_yaml("", variable);
	assert_null(l.s);
	assert_true(str_find(buf_str(&l.text), STR(SECRET)) < 0);
	loaded_done(&l);
}

/* A tree that shares its branches must not take exponential time to read or to wipe. */
static void nested_aliases_cost_nothing(void **state)
{
	struct buf b;
	struct loaded l;

	buf_init(&b, 1 << 20);
	buf_puts(&b, "a0: &a0 [x, x]\n");
	for (int i = 1; i < 200; i++)
		buf_printf(&b, "a%d: &a%d [*a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1);
	buf_putc(&b, 0);
	l = load_yaml(buf_str(&b).ptr, NULL);
	assert_null(l.s);
	loaded_done(&l);
	buf_done(&b);
}

static void depth_is_bounded(void **state)
{
	struct buf b;
	struct loaded l;

	buf_init(&b, 1 << 20);
	buf_puts(&b, "a: ");
	for (int i = 0; i < 40; i++)
		buf_putc(&b, '[');
	buf_putc(&b, 0);
	l = load_yaml(buf_str(&b).ptr, NULL);
	assert_null(l.s);
	assert_true(str_find(buf_str(&l.text), STR("nested too deeply")) > 0);
	loaded_done(&l);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_problem_has_its_place_and_advice),
		cmocka_unit_test(all_that_is_wrong_is_said_in_one_go),
		cmocka_unit_test(a_flood_of_problems_is_cut),
		cmocka_unit_test(R9_empty_and_well_known_secrets_are_refused),
		cmocka_unit_test(R11_no_message_repeats_a_secret),
		cmocka_unit_test(nested_aliases_cost_nothing),
		cmocka_unit_test(depth_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
