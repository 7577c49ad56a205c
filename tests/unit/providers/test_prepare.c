/* tests/unit/providers/test_prepare.c - the head of a request to each kind of provider: which path, which fields, whose
 * key, and what of the client's head never goes up. */
#include "snapshot.h"
#include "wire/http1.h"

static struct http_field client_fields[] = {
	{ STR_INIT("Authorization"), STR_INIT("Bearer gateway-key") },
	{ STR_INIT("x-api-key"), STR_INIT("gateway-key") },
	{ STR_INIT("Cookie"), STR_INIT("a=b") },
	{ STR_INIT("X-Forwarded-For"), STR_INIT("1.2.3.4") },
	{ STR_INIT("anthropic-beta"), STR_INIT("context-1m-2025-08-07,files-api") },
	{ STR_INIT("Anthropic-Beta"), STR_INIT("second") },
	{ STR_INIT("anthropic-version"), STR_INIT("2024-10-22") },
	{ STR_INIT("openai-beta"), STR_INIT("assistants=v2") },
	{ STR_INIT("openai-organization"), STR_INIT("org-of-the-client") },
	{ STR_INIT("x-request-id"), STR_INIT("req-1_a.B") },
	{ STR_INIT("accept-encoding"), STR_INIT("br, gzip") },
	{ STR_INIT("x-stainless-lang"), STR_INIT("python") },
};

static const struct http_head client = {
	.method = HTTP_POST,
	.fields = client_fields,
	.query = STR_INIT("foo=1&beta=true"),
	.n_fields = sizeof(client_fields) / sizeof(client_fields[0]),
};

/* The request as text: "POST /path\nname: value\n..." */
static struct str shown(struct arena *a, const struct upstream_request *r)
{
	struct buf b;
	struct str s;

	buf_init(&b, 1 << 16);
	buf_printf(&b, "%s %.*s\n", r->method == HTTP_POST ? "POST" : "GET", STR_ARG(r->path));
	for (unsigned i = 0; i < r->n_fields; i++)
		buf_printf(&b, "%.*s: %.*s\n", STR_ARG(r->fields[i].name),
			   STR_ARG(r->fields[i].value));
	s = arena_dup(a, buf_str(&b));
	buf_done(&b);
	return s;
}

static const char yaml[] =
	"providers:\n"
	"  openai: { api_key: pk }\n"
	"  anthropic: { api_key: ak, base_url: 'https://api.anthropic.com/v1/' }\n"
	"  free: { type: openai-compatible, base_url: 'http://10.0.0.5:8000/v1' }\n"
	"  az: { type: azure, api_key: zk, base_url: 'https://r.openai.azure.com/' }\n"
	"  az-old: { type: azureopenai, api_key: zk, endpoint: 'https://r.openai.azure.com/openai',"
	" api_version: 2024-02-01 }\n"
	"  az-v1: { type: azure, api_key: zk, base_url: 'https://r.openai.azure.com/openai/v1/',"
	" api_version: preview }\n"
	"  az-one: { type: azure, api_key: zk, base_url: "
	"'https://r.openai.azure.com/openai/deployments/d1' }\n"
	"  foundry: { type: azure, api_key: eyJhbGciOi.eyJhdWQi.c2ln, base_url: "
	"'https://r.services.ai.azure.com/models' }\n"
	"  google: { api_key: gk }\n"
	"  vertex: { type: google, api_key: ya29.tok, base_url: "
	"'https://europe-west4-aiplatform.googleapis.com/v1/projects/P/locations/europe-west4' }\n"
	"  vertex-pub: { type: google, api_key: ya29.tok, base_url: "
	"'https://aiplatform.googleapis.com/v1/publishers/google' }\n"
	"  ol: { type: ollama, base_url: 'http://10.0.0.5:11434/deep' }\n"
	"  ol-key: { type: ollama, api_key: ok, base_url: 'https://ollama.example',"
	" protocols: [ollama-chat, openai-chat, anthropic-messages] }\n"
	"  llama: { type: llamacpp, base_url: 'http://10.0.0.5:8080/v1' }\n"
	"  lone: { type: vllm, base_url: 'http://10.0.0.5:8000/deep' }\n"
	"  two: { type: vllm, api_key: vk, protocols: [openai-chat, anthropic-messages],"
	" headers: { x-team: blue, User-Agent: ours } }\n";

struct asked {
	const char *account;
	const struct protocol *protocol;
	enum ir_op op;
	const char *model;
	bool stream, relay, with_client;
	const char *want;
};

#define COMMON(accept)                                    \
	"content-type: application/json\naccept: " accept \
	"\naccept-encoding: identity\nuser-agent: llm-gateway/" GW_VERSION "\n"
#define COMMON_GET                                                                                 \
	"accept: application/json\naccept-encoding: identity\nuser-agent: llm-gateway/" GW_VERSION \
	"\n"

static const struct asked table[] = {
	{ "openai", &protocol_openai_chat, IR_OP_GENERATE, "gpt", false, false, false,
	  "POST /v1/chat/completions\n" COMMON("application/json") "authorization: Bearer pk\n" },
	{ "openai", &protocol_openai_chat, IR_OP_GENERATE, "gpt", true, true, true,
	  "POST /v1/chat/completions\n" COMMON(
		  "text/event-stream") "x-request-id: req-1_a.B\nauthorization: Bearer "
				       "pk\nopenai-beta: assistants=v2\n" },
	{ "openai", &protocol_openai_chat, IR_OP_GENERATE, "gpt", true, false, true,
	  "POST /v1/chat/completions\n" COMMON(
		  "text/event-stream") "x-request-id: req-1_a.B\nauthorization: Bearer pk\n" },
	{ "openai", &protocol_openai_chat, IR_OP_LIST_MODELS, "", false, false, false,
	  "GET /v1/models\n" COMMON_GET "authorization: Bearer pk\n" },
	{ "openai", &protocol_openai_chat, IR_OP_GET_MODEL, "a/b?c d", false, false, false,
	  "GET /v1/models/a%2Fb%3Fc%20d\n" COMMON_GET "authorization: Bearer pk\n" },
	{ "anthropic", &protocol_anthropic_messages, IR_OP_GENERATE, "claude", true, false, true,
	  "POST /v1/messages\n" COMMON("text/event-stream") "x-request-id: req-1_a.B\nx-api-key: "
							    "ak\nanthropic-version: 2023-06-01\n" },
	{ "anthropic", &protocol_anthropic_messages, IR_OP_GENERATE, "claude", false, true, true,
	  "POST /v1/messages?beta=true\n" COMMON(
		  "application/json") "x-request-id: req-1_a.B\nx-api-key: ak\nanthropic-version: "
				      "2024-10-22\n"
				      "anthropic-beta: "
				      "context-1m-2025-08-07,files-api\nanthropic-beta: second\n" },
	{ "anthropic", &protocol_anthropic_messages, IR_OP_COUNT_TOKENS, "claude", false, true,
	  false,
	  "POST /v1/messages/count_tokens\n" COMMON(
		  "application/json") "x-api-key: ak\nanthropic-version: 2023-06-01\n" },
	{ "openai", &protocol_openai_responses, IR_OP_COUNT_TOKENS, "gpt", false, false, false,
	  "POST /v1/responses/input_tokens\n" COMMON(
		  "application/json") "authorization: Bearer pk\n" },
	{ "llama", &protocol_openai_chat, IR_OP_COUNT_TOKENS, "m", false, false, false,
	  "POST /v1/chat/completions/input_tokens\n" COMMON("application/json") },
	{ "lone", &protocol_openai_chat, IR_OP_COUNT_TOKENS, "m", false, false, false,
	  "POST /deep/tokenize\n" COMMON("application/json") },
	{ "two", &protocol_openai_chat, IR_OP_COUNT_TOKENS, "m", false, false, false,
	  "POST /tokenize\nx-team: blue\nUser-Agent: ours\ncontent-type: "
	  "application/json\naccept: application/json\n"
	  "accept-encoding: identity\nauthorization: Bearer vk\n" },
	{ "anthropic", &protocol_anthropic_messages, IR_OP_LIST_MODELS, "", false, false, false,
	  "GET /v1/models?limit=1000\n" COMMON_GET
	  "x-api-key: ak\nanthropic-version: 2023-06-01\n" },
	{ "anthropic", &protocol_anthropic_messages, IR_OP_GET_MODEL, "../x", false, false, false,
	  "GET /v1/models/..%2Fx\n" COMMON_GET "x-api-key: ak\nanthropic-version: 2023-06-01\n" },
	{ "google", &protocol_gemini, IR_OP_GENERATE, "gemini-3-pro", false, false, true,
	  "POST /v1beta/models/gemini-3-pro:generateContent\n" COMMON(
		  "application/json") "x-request-id: req-1_a.B\nx-goog-api-key: gk\n" },
	{ "google", &protocol_gemini, IR_OP_GENERATE, "a/b", true, false, false,
	  "POST /v1beta/models/a%2Fb:streamGenerateContent?alt=sse\n" COMMON(
		  "text/event-stream") "x-goog-api-key: gk\n" },
	{ "google", &protocol_gemini, IR_OP_EMBED, "gemini-embedding-001", false, false, false,
	  "POST /v1beta/models/gemini-embedding-001:batchEmbedContents\n" COMMON(
		  "application/json") "x-goog-api-key: gk\n" },
	{ "google", &protocol_gemini, IR_OP_LIST_MODELS, "", false, false, false,
	  "GET /v1beta/models?pageSize=1000\n" COMMON_GET "x-goog-api-key: gk\n" },
	{ "vertex", &protocol_gemini, IR_OP_GENERATE, "gemini-3-pro", false, true, true,
	  "POST /v1/projects/P/locations/europe-west4/publishers/google/models/"
	  "gemini-3-pro:generateContent\n" COMMON(
		  "application/json") "x-request-id: req-1_a.B\nauthorization: Bearer ya29.tok\n" },
	{ "vertex-pub", &protocol_gemini, IR_OP_GENERATE, "gemini-3-pro", true, false, false,
	  "POST /v1/publishers/google/models/gemini-3-pro:streamGenerateContent?alt=sse\n" COMMON(
		  "text/event-stream") "authorization: Bearer ya29.tok\n" },
	{ "ol", &protocol_ollama_chat, IR_OP_GENERATE, "llama", true, true, true,
	  "POST /deep/api/chat\n" COMMON("application/json") "x-request-id: req-1_a.B\n" },
	{ "ol", &protocol_ollama_generate, IR_OP_GENERATE, "llama", false, true, false,
	  "POST /deep/api/generate\n" COMMON("application/json") },
	{ "ol", &protocol_ollama_chat, IR_OP_EMBED, "nomic", false, false, true,
	  "POST /deep/api/embed\n" COMMON("application/json") "x-request-id: req-1_a.B\n" },
	{ "ol", &protocol_ollama_chat, IR_OP_LIST_MODELS, "", false, false, false,
	  "GET /deep/api/tags\n" COMMON_GET },
	{ "ol-key", &protocol_openai_chat, IR_OP_GENERATE, "llama", false, true, false,
	  "POST /v1/chat/completions\n" COMMON("application/json") "authorization: Bearer ok\n" },
	{ "ol-key", &protocol_anthropic_messages, IR_OP_GENERATE, "llama", false, true, false,
	  "POST /v1/messages\n" COMMON("application/json") "authorization: Bearer ok\n" },
	{ "ol-key", &protocol_openai_chat, IR_OP_LIST_MODELS, "", false, false, false,
	  "GET /api/tags\n" COMMON_GET "authorization: Bearer ok\n" },
	{ "az", &protocol_openai_chat, IR_OP_GENERATE, "gpt", true, true, true,
	  "POST /openai/v1/chat/completions\n" COMMON(
		  "text/event-stream") "x-request-id: req-1_a.B\napi-key: zk\n" },
	{ "az-old", &protocol_openai_chat, IR_OP_GENERATE, "my gpt/4", false, false, false,
	  "POST /openai/deployments/my%20gpt%2F4/chat/completions?api-version=2024-02-01\n" COMMON(
		  "application/json") "api-key: zk\n" },
	{ "az-v1", &protocol_openai_chat, IR_OP_GENERATE, "gpt", false, false, false,
	  "POST /openai/v1/chat/completions?api-version=preview\n" COMMON(
		  "application/json") "api-key: zk\n" },
	{ "az-one", &protocol_openai_chat, IR_OP_GENERATE, "gpt", false, false, false,
	  "POST /openai/deployments/d1/chat/completions?api-version=2024-10-21\n" COMMON(
		  "application/json") "api-key: zk\n" },
	{ "foundry", &protocol_openai_chat, IR_OP_GENERATE, "gpt", false, false, false,
	  "POST /models/chat/completions?api-version=2024-05-01-preview\n" COMMON(
		  "application/json") "authorization: Bearer eyJhbGciOi.eyJhdWQi.c2ln\n" },
	{ "free", &protocol_openai_chat, IR_OP_GENERATE, "m", false, false, false,
	  "POST /v1/chat/completions\n" COMMON("application/json") },
	{ "two", &protocol_openai_chat, IR_OP_LIST_MODELS, "", false, false, false,
	  "GET /v1/models\nx-team: blue\nUser-Agent: ours\naccept: "
	  "application/json\naccept-encoding: identity\n"
	  "authorization: Bearer vk\n" },
	{ "two", &protocol_anthropic_messages, IR_OP_GENERATE, "m", false, false, false,
	  "POST /v1/messages\nx-team: blue\nUser-Agent: ours\ncontent-type: "
	  "application/json\naccept: application/json\n"
	  "accept-encoding: identity\nx-api-key: vk\nanthropic-version: 2023-06-01\nauthorization: "
	  "Bearer vk\n" },
};

static void R20_trap_092_the_head_is_exactly_this(void **state)
{
	struct loaded l = load_good(yaml, NULL);

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct account *acc = snapshot_account(l.s, str_from(table[i].account));
		struct prepare_options o = {
			.account = acc,
			.protocol = table[i].protocol,
			.op = table[i].op,
			.model = str_from(table[i].model),
			.stream = table[i].stream,
			.framing = table[i].protocol->framing,
			.relay = table[i].relay,
			.client = table[i].with_client ? &client : NULL,
		};
		struct upstream_request r;

		assert_int_equal(acc->kind->prepare(l.arena, &o, &r, NULL), RC_OK);
		CHECK_STR_IS(shown(l.arena, &r), str_from(table[i].want));
	}
	loaded_done(&l);
}

/* Trap 45: what is to be continued is known below /beta alone, however the address was written; what only talks of it is not. */
static void trap_045_deepseek_continues_below_beta(void **state)
{
	static const char begun[] =
		"{\"messages\":[{\"role\":\"user\"},{\"role\":\"assistant\",\"prefix\":true}]}";
	static const char earlier[] =
		"{\"messages\":[{\"role\":\"assistant\",\"prefix\":true},{\"role\":\"user\"}]}";
	static const struct {
		const char *base, *body;
		const struct protocol *protocol;
		const char *path;
	} rows[] = {
		{ "", begun, &protocol_openai_chat, "/beta/chat/completions" },
		{ "/v1", begun, &protocol_openai_chat, "/beta/chat/completions" },
		{ "/beta", begun, &protocol_openai_chat, "/beta/chat/completions" },
		{ "/deep/v1", begun, &protocol_openai_chat, "/deep/beta/chat/completions" },
		{ "", earlier, &protocol_openai_chat, "/chat/completions" },
		{ "/v1", "{\"messages\":[]}", &protocol_openai_chat, "/v1/chat/completions" },
		{ "", "{\"prompt\":\"a\"}", &protocol_openai_completions, "/beta/completions" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct account acc = { .kind = &provider_deepseek, .api_key = STR("k") };
		struct prepare_options o = { .account = &acc,
					     .protocol = rows[i].protocol,
					     .op = IR_OP_GENERATE,
					     .body = str_from(rows[i].body) };
		struct arena *a = arena_new(1 << 20);
		struct upstream_request r;

		acc.origin.base_path = str_from(rows[i].base);
		assert_int_equal(provider_deepseek.prepare(a, &o, &r, NULL), RC_OK);
		CHECK_STR_IS(r.path, str_from(rows[i].path));
		arena_free(a);
	}
}

static void local_models_need_no_key(void **state)
{
	struct account acc = { .name = STR("local"), .kind = &provider_local };
	struct prepare_options o = { .account = &acc,
				     .protocol = &protocol_openai_chat,
				     .op = IR_OP_GENERATE,
				     .client = &client };
	struct arena *a = arena_new(1 << 20);
	struct upstream_request r;

	acc.origin.base_path = STR("");
	assert_int_equal(provider_local.prepare(a, &o, &r, NULL), RC_OK);
	CHECK_STR_IS(shown(a, &r), STR("POST /v1/chat/completions\n" COMMON(
					   "application/json") "x-request-id: req-1_a.B\n"));
	o.op = IR_OP_LIST_MODELS;
	assert_int_equal(provider_local.prepare(a, &o, &r, NULL), RC_UNSUPPORTED);
	arena_free(a);
}

static void what_a_kind_cannot_do_is_said(void **state)
{
	struct loaded l = load_good(yaml, NULL);
	struct prepare_options o = { .account = &l.s->accounts[0],
				     .protocol = &protocol_openai_chat,
				     .op = IR_OP_COUNT_TOKENS };
	struct upstream_request r;
	struct err e;

	assert_int_equal(provider_openai.prepare(l.arena, &o, &r, &e), RC_UNSUPPORTED);
	assert_true(e.msg[0]);
	loaded_done(&l);
}

/* R20: no byte that could end a line or begin another request. */
static void R20_control_bytes_are_refused(void **state)
{
	static const struct str bad[] = { STR_INIT("a\r\nx: y"), STR_INIT("a\nb"), STR_INIT("a\rb"),
					  STR_INIT("a\0b") };
	struct loaded l = load_good(yaml, NULL);
	struct prepare_options o = { .protocol = &protocol_openai_chat,
				     .op = IR_OP_GENERATE,
				     .relay = true };
	struct upstream_request r;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct http_field field = { STR("x-a"), bad[i] },
				  fields[2] = { { STR("openai-beta"), bad[i] },
						{ STR("x-request-id"), bad[i] } };
		struct http_head head = { .fields = fields, .n_fields = 2 };
		struct account acc = l.s->accounts[0];

		o.account = &acc;
		acc.api_key = bad[i];
		assert_int_equal(acc.kind->prepare(l.arena, &o, &r, NULL), RC_INVALID);
		acc.api_key = STR("k");
		acc.headers = &field;
		acc.n_headers = 1;
		assert_int_equal(acc.kind->prepare(l.arena, &o, &r, NULL), RC_INVALID);
		acc.n_headers = 0;
		o.client = &head; /* the client's own are left out */
		assert_int_equal(acc.kind->prepare(l.arena, &o, &r, NULL), RC_OK);
		CHECK_STR_IS(shown(l.arena, &r),
			     STR("POST /v1/chat/completions\n" COMMON(
				     "application/json") "authorization: Bearer k\n"));
		o.op = IR_OP_GET_MODEL; /* in a path they are encoded */
		o.model = bad[i];
		assert_int_equal(acc.kind->prepare(l.arena, &o, &r, NULL), RC_OK);
		assert_true(http_value_ok(r.path) && str_chr(r.path, ' ') < 0);
		o.op = IR_OP_GENERATE;
		o.client = NULL;
	}
	loaded_done(&l);
}

static void a_flood_of_betas_is_refused(void **state)
{
	struct http_field fields[40];
	struct http_head head = { .fields = fields, .n_fields = 40 };
	struct loaded l = load_good(yaml, NULL);
	struct prepare_options o = { .account = &l.s->accounts[1],
				     .protocol = &protocol_anthropic_messages,
				     .op = IR_OP_GENERATE,
				     .relay = true,
				     .client = &head };
	struct upstream_request r;
	struct err e;

	for (unsigned i = 0; i < 40; i++)
		fields[i] = (struct http_field){ STR("anthropic-beta"), STR("b") };
	assert_int_equal(provider_anthropic.prepare(l.arena, &o, &r, &e), RC_TOOBIG);
	assert_true(r.n_fields <= UPSTREAM_MAX_FIELDS);
	loaded_done(&l);
}

static void trap_085_which_models_take_effort(void **state)
{
	static const char *const adaptive[] = {
		"claude-opus-4-7", "claude-opus-4-6-20260205", "claude-sonnet-4-6",
		"claude-opus-5",   "claude-sonnet-5-20260901", "anthropic/claude-opus-4-8",
	};
	static const char *const budget[] = {
		"claude-opus-4-5",
		"claude-sonnet-4-5-20250929",
		"claude-3-7-sonnet-latest",
		"claude-opus-4-20250514",
		"claude-opus-4-1",
		"claude-haiku-4-5",
		"gpt-4o",
		"",
	};

	for (size_t i = 0; i < sizeof(adaptive) / sizeof(adaptive[0]); i++)
		assert_true(provider_anthropic.wants(str_from(adaptive[i])).adaptive_thinking);
	for (size_t i = 0; i < sizeof(budget) / sizeof(budget[0]); i++)
		assert_false(provider_anthropic.wants(str_from(budget[i])).adaptive_thinking);
}

static void trap_085_which_models_cannot_think(void **state)
{
	static const char *const cannot[] = {
		"claude-3-opus-20240229",
		"claude-3-haiku-20240307",
		"anthropic.claude-3-5-sonnet-20241022-v2:0",
		"claude-3-5-sonnet-20240620",
		"claude-3.5-haiku",
		"claude-2.1",
		"claude-instant-1.2",
	};
	static const char *const can[] = { "claude-3-7-sonnet-latest", "claude-opus-4-20250514",
					   "claude-haiku-4-5",         "claude-opus-5",
					   "claude-of-tomorrow",       "glm-5" };

	for (size_t i = 0; i < sizeof(cannot) / sizeof(cannot[0]); i++)
		assert_true(provider_anthropic.wants(str_from(cannot[i])).never_thinks);
	for (size_t i = 0; i < sizeof(can) / sizeof(can[0]); i++)
		assert_false(provider_anthropic.wants(str_from(can[i])).never_thinks);
}

static void trap_067_how_much_a_model_may_say(void **state)
{
	static const struct {
		const char *model;
		int64_t n;
	} models[] = {
		{ "claude-3-haiku-20240307", 4096 },
		{ "claude-3-5-sonnet-latest", 8192 },
		{ "claude-3-7-sonnet-20250219", 8192 },
		{ "claude-opus-4-20250514", 32000 },
		{ "claude-opus-4-1-20250805", 32000 },
		{ "claude-opus-4-5", 64000 },
		{ "claude-sonnet-4-20250514", 64000 },
		{ "claude-sonnet-4-5", 64000 },
		{ "claude-sonnet-4-6", 64000 },
		{ "claude-opus-4-6", 128000 },
		{ "claude-haiku-4-5", 64000 },
		{ "claude-haiku-5-5", 128000 },
		{ "claude-opus-4", 32000 },
		{ "claude-of-tomorrow", 32000 },
		{ "claude-2.1", 0 },
		{ "something-else", 0 },
	};

	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		assert_int_equal(provider_anthropic.wants(str_from(models[i].model)).max_output,
				 models[i].n);
}

static void kinds_and_presets_are_found_by_name(void **state)
{
	assert_ptr_equal(provider_find(STR("openai")), &provider_openai);
	assert_ptr_equal(provider_find(STR("OpenAI_Compatible")), &provider_openai_compatible);
	assert_ptr_equal(provider_find(STR("openai-compatible")), &provider_openai_compatible);
	assert_ptr_equal(provider_find(STR("claude")), &provider_anthropic);
	assert_null(provider_find(STR("openai-")));
	assert_null(provider_find(STR("")));
	assert_string_equal(provider_preset_find(STR("grok"))->name, "xai");
	assert_null(provider_preset_find(STR("openai")));
	assert_ptr_equal(provider_find(STR("AzureOpenAI")), &provider_azure);
}

static void azure_quirks_follow_from_address_and_version(void **state)
{
	struct loaded l = load_good(yaml, NULL);

	assert_int_equal(snapshot_account(l.s, STR("az"))->quirks,
			 provider_azure.quirks | QUIRK_STRICT_MESSAGES);
	assert_int_equal(snapshot_account(l.s, STR("az-v1"))->quirks,
			 provider_azure.quirks | QUIRK_STRICT_MESSAGES);
	assert_true(snapshot_account(l.s, STR("az-old"))->quirks & QUIRK_NO_STREAM_OPTIONS);
	assert_true(snapshot_account(l.s, STR("foundry"))->quirks & QUIRK_MAX_TOKENS);
	loaded_done(&l);
}

/* Whoever adds a kind is told here what was forgotten. */
static void every_kind_and_preset_is_whole(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct origin o;

	for (size_t i = 0; providers[i]; i++) {
		const struct provider *p = providers[i];

		assert_non_null(p->name);
		assert_non_null(p->prepare);
		assert_non_null(p->speaks);
		assert_non_null(p->speaks[0]);
		assert_ptr_equal(provider_find(str_from(p->name)), p);
		assert_null(provider_preset_find(str_from(p->name)));
		assert_true(!p->key_required || p->key_env);
		if (p->default_base_url)
			assert_int_equal(origin_parse(a, str_from(p->default_base_url), STR_NONE,
						      true, STR_NONE, &o, NULL),
					 RC_OK);
	}
	for (const struct provider_preset *p = provider_presets; p->name; p++) {
		assert_null(provider_find(str_from(p->name)));
		assert_true(!p->key_required || p->key_env);
		assert_int_equal(origin_parse(a, str_from(p->base_url), STR_NONE, true, STR_NONE,
					      &o, NULL),
				 RC_OK);
		assert_true(!p->key_required || o.tls);
	}
	arena_free(a);
}

static void base_urls_are_tolerant(void **state)
{
	static const struct {
		const struct provider *kind;
		const char *url, *want;
	} urls[] = {
		{ &provider_openai, "https://api.openai.com", "https://api.openai.com/v1" },
		{ &provider_openai, "https://api.openai.com/", "https://api.openai.com/v1" },
		{ &provider_openai, "https://api.openai.com/v1/", "https://api.openai.com/v1" },
		{ &provider_openai, "https://proxy/openai", "https://proxy/openai" },
		{ &provider_openai, "unix:/run/x.sock", "unix:/run/x.sock" },
		{ &provider_anthropic, "https://api.anthropic.com/v1",
		  "https://api.anthropic.com" },
		{ &provider_anthropic, "https://api.anthropic.com//", "https://api.anthropic.com" },
		{ &provider_openai_compatible, "https://api.deepseek.com",
		  "https://api.deepseek.com" },
		{ &provider_openai_compatible, "http://h:1/v1/", "http://h:1/v1" },
		/* OLLAMA_HOST, as Ollama's own programs read it */
		{ &provider_ollama, "10.0.0.5", "http://10.0.0.5:11434" },
		{ &provider_ollama, "10.0.0.5:8000", "http://10.0.0.5:8000" },
		{ &provider_ollama, ":8000", "http://127.0.0.1:8000" },
		{ &provider_ollama, "0.0.0.0", "http://127.0.0.1:11434" },
		{ &provider_ollama, "http://0.0.0.0:11434/", "http://127.0.0.1:11434" },
		{ &provider_ollama, "[::]:11434", "http://[::1]:11434" },
		{ &provider_ollama, "[fd00::1]", "http://[fd00::1]:11434" },
		{ &provider_ollama, "https://ollama.example/deep/", "https://ollama.example/deep" },
		{ &provider_ollama, "http://h:1/v1", "http://h:1" },
		{ &provider_ollama, "unix:/run/o.sock", "unix:/run/o.sock" },
	};
	struct arena *a = arena_new(1 << 20);

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		CHECK_STR_IS(provider_base_url(a, urls[i].kind, str_from(urls[i].url)),
			     str_from(urls[i].want));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(R20_trap_092_the_head_is_exactly_this),
		cmocka_unit_test(trap_045_deepseek_continues_below_beta),
		cmocka_unit_test(local_models_need_no_key),
		cmocka_unit_test(what_a_kind_cannot_do_is_said),
		cmocka_unit_test(R20_control_bytes_are_refused),
		cmocka_unit_test(a_flood_of_betas_is_refused),
		cmocka_unit_test(trap_085_which_models_take_effort),
		cmocka_unit_test(trap_085_which_models_cannot_think),
		cmocka_unit_test(trap_067_how_much_a_model_may_say),
		cmocka_unit_test(kinds_and_presets_are_found_by_name),
		cmocka_unit_test(azure_quirks_follow_from_address_and_version),
		cmocka_unit_test(every_kind_and_preset_is_whole),
		cmocka_unit_test(base_urls_are_tolerant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
