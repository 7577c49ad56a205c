/* tests/unit/routing/test_vendor_by_yaml.c - a vendor that speaks OpenAI's protocol is added by YAML alone: from the text
 * to the head of the request that goes to it, without a line of code that knows its name. */
#include "routing/routing.h"
#include "snapshot.h"

static const char yaml[] = "providers:\n"
			   "  acme:\n"
			   "    type: openai-compatible\n"
			   "    base_url: https://llm.acme.example/api/v3\n"
			   "    api_key: ${ACME_KEY}\n"
			   "    quirks: [max_tokens]\n"
			   "    models: [acme-large]\n"
			   "    headers: { x-acme-project: p1 }\n"
			   "models:\n"
			   "  - { name: fast, provider: acme, provider_model_id: acme-small }\n";

static void check_target(struct loaded *l, const char *model, const char *upstream_model)
{
	struct route_facts f = { .model = str_from(model),
				 .protocol = &protocol_anthropic_messages };
	struct upstream_request r;
	struct ir_error e;
	struct route route;
	struct prepare_options o = { .op = IR_OP_GENERATE, .stream = true };

	assert_int_equal(routing_resolve(l->s, NULL, &f, l->arena, &route, &e), RC_OK);
	assert_int_equal(route.n_targets, 1);
	CHECK_STR_IS(route.targets[0].model, str_from(upstream_model));
	assert_ptr_equal(route.targets[0].protocol, &protocol_openai_chat);
	o.account = route.targets[0].account;
	o.protocol = route.targets[0].protocol;
	o.model = route.targets[0].model;
	assert_int_equal(o.account->kind->prepare(l->arena, &o, &r, NULL), RC_OK);
	CHECK_STR(r.path, "/api/v3/chat/completions");
	assert_int_equal(r.method, HTTP_POST);
	CHECK_STR(r.fields[0].name, "x-acme-project");
	CHECK_STR(r.fields[r.n_fields - 1].name, "authorization");
	CHECK_STR(r.fields[r.n_fields - 1].value, "Bearer s3cret");
}

static void a_vendor_is_yaml_only(void **state)
{
	static const char *const environment[] = { "ACME_KEY=s3cret", NULL };
	struct loaded l = load_good(yaml, environment);
	const struct account *acme = snapshot_account(l.s, STR("acme"));

	CHECK_STR(acme->origin.host, "llm.acme.example");
	assert_true(acme->origin.tls && acme->origin.tls_verify);
	assert_int_equal(acme->quirks, QUIRK_MAX_TOKENS);
	check_target(&l, "acme-large", "acme-large");
	check_target(&l, "fast", "acme-small");
	check_target(&l, "acme/anything", "anything");
	loaded_done(&l);
}

/* R26: a change of credential is a change of pool, and the key itself is not in the pool's name. */
static void R26_the_credential_is_part_of_the_pool(void **state)
{
	static const char *const one[] = { "ACME_KEY=s3cret", NULL }, *const two[] = {
		"ACME_KEY=0ther", NULL
	};
	struct loaded a = load_good(yaml, one), b = load_good(yaml, two), c = load_good(yaml, one);

	assert_false(str_eq(a.s->accounts[0].origin.pool_key, b.s->accounts[0].origin.pool_key));
	assert_true(str_eq(a.s->accounts[0].origin.pool_key, c.s->accounts[0].origin.pool_key));
	assert_true(str_find(a.s->accounts[0].origin.pool_key, STR("s3cret")) < 0);
	loaded_done(&a);
	loaded_done(&b);
	loaded_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vendor_is_yaml_only),
		cmocka_unit_test(R26_the_credential_is_part_of_the_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
