/* tests/unit/policy/test_auth.c - mirrors src/policy/auth.c. */
#include "policy/auth.h"
#include "snapshot.h"

static char yaml[1024];

static void digest_of(const char *key, char out[2 * SHA256_LEN + 1])
{
	uint8_t d[SHA256_LEN];

	sha256(str_from(key), d);
	hex_encode(d, SHA256_LEN, out);
}

static int make_yaml(void **state)
{
	char a[65], b[65], c[65];

	digest_of("good-key", a);
	digest_of("read-key", b);
	digest_of("write-key", c);
	(void)snprintf(yaml, sizeof(yaml),
		       "auth:\n  keys:\n    - { name: good, sha256: %s, models: ['gpt-*', best] }\n"
		       "    - { name: reader, sha256: %s, permissions: [read] }\n"
		       "    - { name: writer, sha256: %s, permissions: [write] }\n",
		       a, b, c);
	return 0;
}

struct answer {
	int rc;
	struct principal p;
	struct ir_error e;
};

static struct answer ask(const struct snapshot *s, enum http_method method,
			 const struct http_field *fields, unsigned n, struct str query)
{
	struct http_head head = { .method = method,
				  .fields = (struct http_field *)(uintptr_t)fields,
				  .n_fields = n,
				  .query = query };
	struct answer a = { 0 };

	a.rc = auth_check(s, &head, &a.p, &a.e);
	return a;
}

static const struct http_field carriers[] = {
	{ STR_INIT("Authorization"), STR_INIT("Bearer good-key") },
	{ STR_INIT("authorization"), STR_INIT("bearer   good-key ") },
	{ STR_INIT("x-api-key"), STR_INIT("good-key") },
	{ STR_INIT("X-API-Key"), STR_INIT("good-key") },
	{ STR_INIT("api-key"), STR_INIT("good-key") },
	{ STR_INIT("x-goog-api-key"), STR_INIT("good-key") },
};
enum { N_CARRIERS = sizeof(carriers) / sizeof(carriers[0]) };

static void R6_every_carrier_leads_to_one_principal(void **state)
{
	struct loaded l = load_good(yaml, NULL);
	static const char *const queries[] = { "key=good-key", "a=b&key=good%2Dkey&c",
					       "key=good-key&key=good-key" };
	struct answer a;

	for (unsigned i = 0; i < N_CARRIERS; i++) {
		a = ask(l.s, HTTP_POST, &carriers[i], 1, STR_NONE);
		assert_int_equal(a.rc, RC_OK);
		assert_ptr_equal(a.p.key, &l.s->keys[0]);
	}
	for (unsigned i = 0; i < 3; i++) {
		a = ask(l.s, HTTP_POST, NULL, 0, str_from(queries[i]));
		assert_int_equal(a.rc, RC_OK);
		assert_ptr_equal(a.p.key, &l.s->keys[0]);
	}
	a = ask(l.s, HTTP_POST, carriers, N_CARRIERS, STR("key=good-key"));
	assert_int_equal(a.rc, RC_OK);
	loaded_done(&l);
}

static void R6_two_carriers_that_disagree_are_refused(void **state)
{
	struct loaded l = load_good(yaml, NULL);

	for (unsigned i = 0; i < N_CARRIERS; i++) {
		struct http_field two[2] = { carriers[i], { STR("x-api-key"), STR("read-key") } };
		struct answer a = ask(l.s, HTTP_POST, two, 2, STR_NONE);

		assert_int_equal(a.rc, RC_INVALID);
		assert_int_equal(a.e.kind, IR_ERR_AUTHENTICATION);
		a = ask(l.s, HTTP_POST, &carriers[i], 1, STR("key=read-key"));
		assert_int_equal(a.rc, RC_INVALID);
		a = ask(l.s, HTTP_POST, &carriers[i], 1, STR("key=good-key&key=good-kez"));
		assert_int_equal(a.rc, RC_INVALID);
	}
	loaded_done(&l);
}

static void bad_keys_are_refused_with_advice(void **state)
{
	static const struct http_field fields[] = {
		{ STR_INIT("authorization"), STR_INIT("Bearer wrong") },
		{ STR_INIT("authorization"), STR_INIT("Basic Z29vZC1rZXk=") },
		{ STR_INIT("authorization"), STR_INIT("good-key") },
		{ STR_INIT("authorization"), STR_INIT("Bearer ") },
		{ STR_INIT("authorization"), STR_INIT("Bearer") },
		{ STR_INIT("x-api-key"), STR_INIT("") },
		{ STR_INIT("x-api-key"), STR_INIT("good-ke") },
		{ STR_INIT("x-api-key"), STR_INIT("good-keyy") },
		{ STR_INIT("x-other-key"), STR_INIT("good-key") },
		{ STR_INIT("cookie"), STR_INIT("key=good-key") },
	};
	static const char *const queries[] = { "key=",        "key",          "key=good%2",
					       "key=good%zz", "Key=good-key", "" };
	struct loaded l = load_good(yaml, NULL);
	struct answer a;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		a = ask(l.s, HTTP_POST, &fields[i], 1, STR_NONE);
		assert_int_equal(a.rc, RC_INVALID);
		assert_int_equal(a.e.kind, IR_ERR_AUTHENTICATION);
		assert_true(str_find(a.e.message, STR("end ")) > 0 ||
			    str_find(a.e.message, STR("Ask ")) > 0);
	}
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		a = ask(l.s, HTTP_POST, NULL, 0, str_from(queries[i]));
		assert_int_equal(a.rc, RC_INVALID);
	}
	a = ask(l.s, HTTP_POST, NULL, 0, STR_NONE);
	assert_int_equal(a.rc, RC_INVALID);
	CHECK_STR(a.e.code, "missing_api_key");
	loaded_done(&l);
}

/* A key longer than any of ours is no reason to read past a buffer. */
static void long_keys_are_refused(void **state)
{
	static char text[20000];
	struct loaded l = load_good(yaml, NULL);
	struct http_field field = { STR("x-api-key"), { text, sizeof(text) } };
	struct str query;

	memset(text, 'a', sizeof(text));
	assert_int_equal(ask(l.s, HTTP_POST, &field, 1, STR_NONE).rc, RC_INVALID);
	memcpy(text, "key=", 4);
	for (query = (struct str){ text, 4 + 4090 }; query.len < 4 + 4100; query.len++)
		assert_int_equal(ask(l.s, HTTP_POST, NULL, 0, query).rc, RC_INVALID);
	loaded_done(&l);
}

static void permissions_go_by_method(void **state)
{
	static const struct {
		const char *key;
		enum http_method method;
		bool ok;
	} table[] = {
		{ "read-key", HTTP_GET, true },    { "read-key", HTTP_HEAD, true },
		{ "read-key", HTTP_POST, false },  { "read-key", HTTP_DELETE, false },
		{ "read-key", HTTP_OTHER, false }, { "write-key", HTTP_GET, false },
		{ "write-key", HTTP_POST, true },  { "good-key", HTTP_GET, true },
		{ "good-key", HTTP_POST, true },
	};
	struct loaded l = load_good(yaml, NULL);

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct http_field field = { STR("x-api-key"), str_from(table[i].key) };
		struct answer a = ask(l.s, table[i].method, &field, 1, STR_NONE);

		assert_int_equal(a.rc == RC_OK, table[i].ok);
		if (!table[i].ok)
			assert_int_equal(a.e.kind, IR_ERR_PERMISSION);
	}
	loaded_done(&l);
}

/* SDKs cannot be told to send no key; without keys of our own theirs mean nothing. */
static void a_key_is_ignored_where_none_is_asked_for(void **state)
{
	static const char *const yamls[] = { "", "auth: { mode: none }\n" };

	for (size_t i = 0; i < 2; i++) {
		struct loaded l = load_good(yamls[i], NULL);
		struct http_field two[2] = { carriers[0], { STR("x-api-key"), STR("dummy") } };
		struct answer a = ask(l.s, HTTP_POST, two, 2, STR("key=%zz"));

		assert_false(auth_on(l.s));
		assert_int_equal(a.rc, RC_OK);
		assert_null(a.p.key);
		assert_int_equal(a.p.permissions, PERMISSION_READ | PERMISSION_WRITE);
		assert_true(auth_model_allowed(&a.p, STR("anything")));
		loaded_done(&l);
	}
}

static void models_are_allowed_by_glob(void **state)
{
	struct loaded l = load_good(yaml, NULL);
	struct answer a = ask(l.s, HTTP_POST, &carriers[0], 1, STR_NONE);
	struct ir_error e;

	assert_true(auth_model_allowed(&a.p, STR("gpt-4o")));
	assert_true(auth_model_allowed(&a.p, STR("best")));
	assert_true(auth_model_allowed(&a.p, STR("best:latest"))); /* Ollama's clients say it so */
	assert_false(auth_model_allowed(&a.p, STR("best:8b")));
	assert_false(auth_model_allowed(&a.p, STR("bestest")));
	assert_false(auth_model_allowed(&a.p, STR("claude-x")));
	assert_false(auth_model_allowed(&a.p, STR("")));
	assert_false(auth_model_allowed(&a.p, STR("openai/gpt-4o")));
	assert_int_equal(auth_check_model(&a.p, STR("gpt-4o"), l.arena, &e), RC_OK);
	assert_int_equal(auth_check_model(&a.p, STR("claude-x"), l.arena, &e), RC_INVALID);
	assert_int_equal(e.kind, IR_ERR_PERMISSION);
	assert_true(str_find(e.message, STR("'claude-x'")) > 0);
	loaded_done(&l);
}

/* R11: what was sent and what is stored stay out of the answer. */
static void R11_refusals_repeat_no_key(void **state)
{
	struct loaded l = load_good(yaml, NULL);
	struct http_field field = { STR("x-api-key"), STR("CANARY-123") };
	struct answer a = ask(l.s, HTTP_POST, &field, 1, STR("key=CANARY-456"));

	assert_true(str_find(a.e.message, STR("CANARY")) < 0);
	a = ask(l.s, HTTP_POST, &field, 1, STR_NONE);
	assert_true(str_find(a.e.message, STR("CANARY")) < 0);
	assert_true(str_find(a.e.message, STR("good")) < 0);
	loaded_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(R6_every_carrier_leads_to_one_principal),
		cmocka_unit_test(R6_two_carriers_that_disagree_are_refused),
		cmocka_unit_test(bad_keys_are_refused_with_advice),
		cmocka_unit_test(long_keys_are_refused),
		cmocka_unit_test(permissions_go_by_method),
		cmocka_unit_test(a_key_is_ignored_where_none_is_asked_for),
		cmocka_unit_test(models_are_allowed_by_glob),
		cmocka_unit_test(R11_refusals_repeat_no_key),
	};

	return cmocka_run_group_tests(tests, make_yaml, NULL);
}
