/* tests/unit/routing/test_routing.c - mirrors src/routing/routing.c: the order of the rules, one after another. */
#include "routing/routing.h"
#include "snapshot.h"

static const char yaml[] =
	"engine: none\n"
	"providers:\n"
	"  openai: { api_key: k, models: [gpt-4o, shared] }\n"
	"  openai2: { type: openai, api_key: k2 }\n"
	"  anthropic: { api_key: k, models: [claude-sonnet-4-5, shared] }\n"
	"  openrouter: { api_key: k, models: [openai/gpt-oss, openrouter/auto] }\n"
	"  deepseek: { api_key: k }\n"
	"  both: { type: vllm, protocols: [anthropic-messages, openai-chat], models: [shared, "
	"meta/llama] }\n"
	"models:\n"
	"  - { name: best, targets: [ { provider: anthropic, model: claude-x }, { provider: "
	"openai, model: gpt-x } ] }\n"
	"  - { name: gpt-4o, provider: openai2, provider_model_id: deployed }\n";

static const struct str found_ids[] = { STR_INIT("found-model"), STR_INIT("shared"),
					STR_INIT("tagged:latest") };
static const struct catalog_list found_lists[] = {
	{ STR_INIT("openai2"), found_ids, 3 },
	{ STR_INIT("gone"), found_ids, 2 },
};
static const struct catalog catalog = { found_lists, 2 };

struct answer {
	int rc;
	struct route r;
	struct ir_error e;
	char text[512]; /* "rule: account=model+, account=model": + for relay */
};

static struct answer ask(struct loaded *l, struct route_facts f)
{
	struct answer a = { 0 };
	size_t n = 0;

	a.rc = routing_resolve(l->s, &catalog, &f, l->arena, &a.r, &a.e);
	if (a.rc)
		return a;
	n = (size_t)snprintf(a.text, sizeof(a.text), "%s:", route_rule_name(a.r.rule));
	for (unsigned i = 0; i < a.r.n_targets; i++)
		n += (size_t)snprintf(a.text + n, sizeof(a.text) - n, "%s%.*s=%.*s%s",
				      i ? ", " : " ", STR_ARG(a.r.targets[i].account->name),
				      STR_ARG(a.r.targets[i].model),
				      a.r.targets[i].relay ? "+" : "");
	return a;
}

/* The protocol in which a target is asked for a count; how it counts there is the provider's. */
static void tokens_are_counted_in_the_protocol_that_can(void **state)
{
	static const struct {
		const char *model;
		const struct protocol *client, *asked;
		enum count_form form;
	} table[] = {
		{ "openai/gpt-5", &protocol_anthropic_messages, &protocol_openai_responses,
		  COUNT_OWN },
		{ "openai/gpt-5", &protocol_openai_responses, &protocol_openai_responses,
		  COUNT_OWN },
		{ "openai/davinci-002", &protocol_gemini, &protocol_openai_completions,
		  COUNT_NEVER },
		{ "anthropic/c", &protocol_gemini, &protocol_anthropic_messages, COUNT_OWN },
		{ "deepseek/d", &protocol_gemini, &protocol_openai_chat, COUNT_NEVER },
		{ "both/m", &protocol_anthropic_messages, &protocol_anthropic_messages,
		  COUNT_UNKNOWN },
		{ "both/m", &protocol_gemini, &protocol_openai_chat, COUNT_TOKENIZE },
		{ "says/m", &protocol_gemini, &protocol_anthropic_messages, COUNT_OWN },
		{ "chats/m", &protocol_gemini, &protocol_openai_chat, COUNT_OWN },
		{ "ollama/m", &protocol_anthropic_messages, &protocol_ollama_chat, COUNT_NEVER },
		{ "vertex/m", &protocol_gemini, &protocol_gemini, COUNT_VERTEX },
		{ "azure/m", &protocol_openai_responses, &protocol_openai_chat, COUNT_NEVER },
	};
	static const char more[] =
		"  says: { type: openai-compatible, base_url: 'http://x/v1', quirks: "
		"[counts_tokens], "
		"protocols: [openai-chat, anthropic-messages] }\n"
		"  chats: { type: openai-compatible, base_url: 'http://x/v1', quirks: "
		"[counts_tokens] }\n"
		"  ollama: { protocols: [ollama-chat, anthropic-messages] }\n"
		"  azure: { api_key: k, base_url: 'https://r.openai.azure.com' }\n"
		"  vertex: { type: google, api_key: k, base_url: "
		"'https://x.googleapis.com/v1/projects/p/locations/l' }\n";
	const char *models = strstr(yaml, "models:\n  - {");
	char text[4096];
	struct loaded l;

	snprintf(text, sizeof(text), "%.*s%s%s", (int)(models - yaml), yaml, more, models);
	l = load_good(text, NULL);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct answer a = ask(&l, (struct route_facts){ .model = str_from(table[i].model),
								.protocol = table[i].client,
								.op = IR_OP_COUNT_TOKENS });
		const struct target *t = a.r.targets;

		assert_int_equal(a.rc, RC_OK);
		assert_string_equal(t->protocol->name, table[i].asked->name);
		assert_int_equal(account_counts(t->account, t->protocol), table[i].form);
		assert_int_equal(t->relay, table[i].asked == table[i].client);
	}
	loaded_done(&l);
}

static void the_first_rule_with_an_answer_decides(void **state)
{
	static const struct {
		const char *pin, *model;
		bool anthropic; /* the client's protocol */
		const char *want;
	} table[] = {
		/* pin */
		{ "openai", "anything", false, "pin: openai=anything+" },
		{ "openai", "anything", true, "pin: openai=anything" },
		{ "openai", "best", false, "pin: openai=gpt-x+" },
		{ "deepseek", "best", false, "pin: deepseek=best+" },
		{ "openai", "gpt-4o", false, "pin: openai=gpt-4o+" },
		{ "openai2", "gpt-4o", false, "pin: openai2=deployed+" },
		{ "openai", "openai/gpt-5", false, "pin: openai=gpt-5+" },
		{ "openrouter", "openrouter/auto", false, "pin: openrouter=openrouter/auto+" },
		{ "openrouter", "openai/gpt-oss", false, "pin: openrouter=openai/gpt-oss+" },
		{ "", "best", true, "alias: anthropic=claude-x+, openai=gpt-x" },
		/* alias: the operator's order, whatever the client speaks */
		{ NULL, "best", false, "alias: anthropic=claude-x, openai=gpt-x+" },
		{ NULL, "gpt-4o", false, "alias: openai2=deployed+" },
		/* provider/model */
		{ NULL, "openai/gpt-4o", false, "provider_name: openai=gpt-4o+" },
		{ NULL, "openrouter/a/b", false, "provider_name: openrouter=a/b+" },
		{ NULL, "openrouter/auto", false, "provider_name: openrouter=openrouter/auto+" },
		/* listed: relay first, then as configured */
		{ NULL, "claude-sonnet-4-5", false, "list: anthropic=claude-sonnet-4-5" },
		{ NULL, "meta/llama", true, "list: both=meta/llama+" },
		{ NULL, "found-model", false, "list: openai2=found-model+" },
		{ NULL, "shared", false,
		  "list: openai=shared+, openai2=shared+, both=shared+, anthropic=shared" },
		{ NULL, "shared", true,
		  "list: anthropic=shared+, both=shared+, openai=shared, openai2=shared" },
		/* trap 100: Ollama's clients say ":latest", or leave it out */
		{ NULL, "best:latest", false, "alias: anthropic=claude-x, openai=gpt-x+" },
		{ NULL, "shared:latest", true,
		  "list: anthropic=shared+, both=shared+, openai=shared, openai2=shared" },
		{ NULL, "tagged", false, "list: openai2=tagged:latest+" },
		{ NULL, "tagged:latest", false, "list: openai2=tagged:latest+" },
		/* prefix */
		{ NULL, "gpt-5", false, "prefix: openai=gpt-5+, openai2=gpt-5+" },
		{ NULL, "o3-mini", true, "prefix: openai=o3-mini, openai2=o3-mini" },
		{ NULL, "text-embedding-3-large", false,
		  "prefix: openai=text-embedding-3-large+, openai2=text-embedding-3-large+" },
		{ NULL, "chatgpt-4o-latest", false,
		  "prefix: openai=chatgpt-4o-latest+, openai2=chatgpt-4o-latest+" },
		{ NULL, "claude-opus-5", false, "prefix: anthropic=claude-opus-5" },
		{ NULL, "anthropic-x", true, "prefix: anthropic=anthropic-x+" },
		{ NULL, "deepseek-chat", false, "prefix: deepseek=deepseek-chat+" },
	};
	struct loaded l = load_good(yaml, NULL);

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct answer a = ask(
			&l, (struct route_facts){ .pin = str_from(table[i].pin),
						  .model = str_from(table[i].model),
						  .protocol = table[i].anthropic
								      ? &protocol_anthropic_messages
								      : &protocol_openai_chat });

		assert_int_equal(a.rc, RC_OK);
		assert_string_equal(a.text, table[i].want);
	}
	loaded_done(&l);
}

static void a_target_says_what_to_speak(void **state)
{
	struct loaded l = load_good(yaml, NULL);
	struct answer a = ask(&l, (struct route_facts){ .model = STR("meta/llama"),
							.protocol = &protocol_openai_chat });

	assert_ptr_equal(a.r.targets[0].protocol, &protocol_openai_chat);
	assert_true(a.r.targets[0].relay);
	a = ask(&l, (struct route_facts){ .model = STR("gpt-5"),
					  .protocol = &protocol_anthropic_messages });
	assert_ptr_equal(a.r.targets[0].protocol, &protocol_openai_chat);
	assert_false(a.r.targets[0].relay);
	loaded_done(&l);
}

/* Of equal targets, one that is known to lack what the request needs comes last. */
static void needs_come_before_relay(void **state)
{
	struct loaded l =
		load_good("providers:\n"
			  "  a: { type: vllm, quirks: [no_json_schema], models: [m] }\n"
			  "  b: { type: vllm, protocols: [anthropic-messages], models: [m] }\n",
			  NULL);
	struct answer a = ask(&l, (struct route_facts){ .model = STR("m"),
							.protocol = &protocol_openai_chat });

	assert_string_equal(a.text, "list: a=m+, b=m");
	a = ask(&l, (struct route_facts){ .model = STR("m"),
					  .protocol = &protocol_openai_chat,
					  .needs = IR_NEED_SCHEMA });
	assert_string_equal(a.text, "list: b=m, a=m+");
	loaded_done(&l);
}

static void the_default_gets_the_rest(void **state)
{
	struct loaded l = load_good(
		"default: v\nproviders: { v: { type: vllm }, openai: { api_key: k } }\n", NULL);
	struct answer a = ask(&l, (struct route_facts){ .model = STR("nobody"),
							.protocol = &protocol_openai_chat });

	assert_string_equal(a.text, "default: v=nobody+");
	a = ask(&l,
		(struct route_facts){ .model = STR("gpt-9"), .protocol = &protocol_openai_chat });
	assert_string_equal(a.text, "prefix: openai=gpt-9+");
	loaded_done(&l);
}

/* A local provider has the models it has: no other name reaches it, except as the default. */
static void local_models_are_known_by_name(void **state)
{
	struct loaded l = load_good("providers: { openai: { api_key: k } }\n", NULL);
	struct local_model models[] = { { .name = STR("tiny") }, { .name = STR("small") } };
	struct account accounts[2] = { l.s->accounts[0] };
	struct account *kept = l.s->accounts;
	struct answer a;

	accounts[1] = (struct account){
		.name = STR("local"), .kind = &provider_local, .local = models, .n_local = 2
	};
	accounts[1].speaks[0] = &protocol_openai_chat;
	l.s->accounts = accounts;
	l.s->n_accounts = 2;
	a = ask(&l,
		(struct route_facts){ .model = STR("small"), .protocol = &protocol_openai_chat });
	assert_string_equal(a.text, "list: local=small+");
	assert_ptr_equal(a.r.targets[0].local, &models[1]);
	a = ask(&l, (struct route_facts){ .model = STR("local/tiny"),
					  .protocol = &protocol_anthropic_messages });
	assert_string_equal(a.text, "provider_name: local=tiny");
	a = ask(&l, (struct route_facts){ .model = STR("x"),
					  .pin = STR("local"),
					  .protocol = &protocol_openai_chat });
	assert_int_equal(a.rc, RC_NOTFOUND);
	l.s->default_account = &accounts[1];
	a = ask(&l, (struct route_facts){ .model = STR("x"), .protocol = &protocol_openai_chat });
	assert_string_equal(a.text, "default: local=tiny+");
	l.s->accounts = kept;
	l.s->n_accounts = 1;
	loaded_done(&l);
}

static void an_unknown_model_is_answered_with_the_nearest(void **state)
{
	struct loaded l = load_good(yaml, NULL);
	struct answer a = ask(&l, (struct route_facts){ .model = STR("mta/lama"),
							.protocol = &protocol_openai_chat });

	assert_int_equal(a.rc, RC_NOTFOUND);
	assert_int_equal(a.e.kind, IR_ERR_MODEL_NOT_FOUND);
	CHECK_STR(a.e.code, "model_not_found");
	CHECK_STR(a.e.param, "model");
	CHECK_STR(a.e.message, "The model 'mta/lama' does not exist here. Did you mean "
			       "'meta/llama'? GET /v1/models lists all.");
	a = ask(&l, (struct route_facts){ .model = STR("zzzzzzzzzzzzzzzzzzzzz"),
					  .protocol = &protocol_openai_chat });
	CHECK_STR(a.e.message, "The model 'zzzzzzzzzzzzzzzzzzzzz' does not exist here. GET "
			       "/v1/models lists what does.");
	loaded_done(&l);
}

static void a_request_can_be_wrong(void **state)
{
	struct loaded l = load_good(yaml, NULL);
	struct answer a = ask(&l, (struct route_facts){ .model = STR("m"),
							.pin = STR("nobody"),
							.protocol = &protocol_openai_chat });

	assert_int_equal(a.rc, RC_INVALID);
	assert_int_equal(a.e.kind, IR_ERR_INVALID_REQUEST);
	CHECK_STR(a.e.param, "provider");
	CHECK_STR(a.e.message, "There is no provider 'nobody' here. Configured: 'openai', "
			       "'openai2', 'anthropic', 'openrouter', 'deepseek', 'both'");
	a = ask(&l, (struct route_facts){ .model = STR(""), .protocol = &protocol_openai_chat });
	assert_int_equal(a.rc, RC_INVALID);
	CHECK_STR(a.e.param, "model");
	a = ask(&l,
		(struct route_facts){ .model = STR("openai/"), .protocol = &protocol_openai_chat });
	assert_int_equal(a.rc, RC_NOTFOUND);
	loaded_done(&l);
}

/* A name as long as a body is not repeated in full. */
static void long_names_are_clipped(void **state)
{
	static char text[100000];
	struct loaded l = load_good(yaml, NULL);
	struct answer a;

	memset(text, 'x', sizeof(text));
	a = ask(&l, (struct route_facts){ .model = { text, sizeof(text) },
					  .protocol = &protocol_openai_chat });
	assert_int_equal(a.rc, RC_NOTFOUND);
	assert_true(a.e.message.len < 300);
	a = ask(&l, (struct route_facts){ .model = STR("m"),
					  .pin = { text, sizeof(text) },
					  .protocol = &protocol_openai_chat });
	assert_true(a.e.message.len < 500);
	loaded_done(&l);
}

static void the_list_has_each_name_once(void **state)
{
	static const char *const want[] = {
		"best",           "gpt-4o",          "shared",
		"found-model",    "tagged:latest",   "claude-sonnet-4-5",
		"openai/gpt-oss", "openrouter/auto", "meta/llama",
	};
	struct loaded l = load_good(yaml, NULL);
	struct model_info *models;
	unsigned n;

	assert_int_equal(routing_models(l.s, &catalog, NULL, l.arena, &models, &n), RC_OK);
	assert_int_equal(n, sizeof(want) / sizeof(want[0]));
	for (unsigned i = 0; i < n; i++)
		CHECK_STR_IS(models[i].id, str_from(want[i]));
	CHECK_STR(models[0].owner, "anthropic");
	CHECK_STR(models[2].owner, "openai");
	loaded_done(&l);
}

/* R7: a key learns of no model that it may not use, neither from the list nor from a suggestion. */
static void R7_a_key_sees_its_own_models_only(void **state)
{
	struct str globs[] = { STR("gpt-*"), STR("best") };
	struct gateway_key key = { .name = STR("k"), .models = globs, .n_models = 2 };
	struct principal p = { .key = &key };
	struct loaded l = load_good(yaml, NULL);
	struct model_info *models;
	struct answer a;
	unsigned n;

	assert_int_equal(routing_models(l.s, &catalog, &p, l.arena, &models, &n), RC_OK);
	assert_int_equal(n, 2);
	a = ask(&l, (struct route_facts){ .model = STR("mta/lama"),
					  .principal = &p,
					  .protocol = &protocol_openai_chat });
	assert_int_equal(a.rc, RC_NOTFOUND);
	assert_true(str_find(a.e.message, STR("meta")) < 0);
	loaded_done(&l);
}

/* R1: nothing in a model's name or a pin chooses anything but an account of the configuration. */
static void R1_names_never_become_addresses(void **state)
{
	static const char *const models[] = { "http://evil/v1", "//evil", "evil.com/gpt",
					      "openai@evil/gpt-4o", "../x" };
	struct loaded l = load_good(yaml, NULL);

	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		struct answer a =
			ask(&l, (struct route_facts){ .model = str_from(models[i]),
						      .protocol = &protocol_openai_chat });

		assert_int_equal(a.rc, RC_NOTFOUND);
		a = ask(&l, (struct route_facts){ .model = STR("gpt-4o"),
						  .pin = str_from(models[i]),
						  .protocol = &protocol_openai_chat });
		assert_int_equal(a.rc, RC_INVALID);
	}
	loaded_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_rule_with_an_answer_decides),
		cmocka_unit_test(a_target_says_what_to_speak),
		cmocka_unit_test(needs_come_before_relay),
		cmocka_unit_test(the_default_gets_the_rest),
		cmocka_unit_test(local_models_are_known_by_name),
		cmocka_unit_test(an_unknown_model_is_answered_with_the_nearest),
		cmocka_unit_test(tokens_are_counted_in_the_protocol_that_can),
		cmocka_unit_test(a_request_can_be_wrong),
		cmocka_unit_test(long_names_are_clipped),
		cmocka_unit_test(the_list_has_each_name_once),
		cmocka_unit_test(R7_a_key_sees_its_own_models_only),
		cmocka_unit_test(R1_names_never_become_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
