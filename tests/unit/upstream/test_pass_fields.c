/* tests/unit/upstream/test_pass_fields.c - mirrors src/upstream/pass_fields.c.
 * Rule under test: only fields on the allow-list reach a client, rate limits only in the dialect they were written in, and
 * Retry-After means the same in each of its spellings. */
#include "check.h"
#include "upstream/pass_fields.h"

static struct http_head head_of(struct http_field *fields, unsigned n)
{
	return (struct http_head){
		.status = 200, .fields = fields, .n_fields = n, .content_length = -1
	};
}

static bool has(const struct attempt_fields *f, const char *name)
{
	for (unsigned i = 0; i < f->n; i++)
		if (str_ieq(f->fields[i].name, str_from(name)))
			return true;
	return false;
}

static struct http_field answer_fields[] = {
	{ STR_INIT("Set-Cookie"), STR_INIT("session=secret") },
	{ STR_INIT("Server"), STR_INIT("nginx") },
	{ STR_INIT("openai-organization"), STR_INIT("org-secret") },
	{ STR_INIT("X-RateLimit-Remaining-Requests"), STR_INIT("12") },
	{ STR_INIT("anthropic-ratelimit-tokens-reset"), STR_INIT("2026-01-01T00:00:00Z") },
	{ STR_INIT("Retry-After"), STR_INIT("3") },
	{ STR_INIT("request-id"), STR_INIT("req_upstream") },
	{ STR_INIT("transfer-encoding"), STR_INIT("chunked") },
};

static void R11_only_listed_fields_reach_the_client(void **state)
{
	struct http_head h = head_of(answer_fields, 8);
	struct attempt_fields f = { 0 };
	struct arena *a = arena_new(65536);

	pass_fields(a, &h, true, &f);
	assert_true(has(&f, "x-ratelimit-remaining-requests"));
	assert_true(has(&f, "retry-after"));
	assert_true(has(&f, "x-llm-gateway-upstream-request-id"));
	assert_false(has(&f, "set-cookie"));
	assert_false(has(&f, "server"));
	assert_false(has(&f, "openai-organization"));
	assert_false(has(&f, "transfer-encoding"));
	arena_free(a);
}

static void trap_114_rate_limits_do_not_cross_dialects(void **state)
{
	struct http_head h = head_of(answer_fields, 8);
	struct attempt_fields f = { 0 };
	struct arena *a = arena_new(65536);

	pass_fields(a, &h, false, &f);
	assert_false(has(&f, "x-ratelimit-remaining-requests"));
	assert_false(has(&f, "anthropic-ratelimit-tokens-reset"));
	assert_true(has(&f, "retry-after"));
	arena_free(a);
}

static void R20_a_value_with_a_line_break_is_left_out(void **state)
{
	struct http_field evil[] = { { STR_INIT("x-should-retry"),
				       STR_INIT("true\r\nset-cookie: a") } };
	struct http_head h = head_of(evil, 1);
	struct attempt_fields f = { 0 };
	struct arena *a = arena_new(65536);

	pass_fields(a, &h, true, &f);
	assert_int_equal(f.n, 0);
	arena_free(a);
}

static int64_t retry(const char *name, const char *value, int64_t now_s)
{
	struct http_field one[] = { { str_from(name), str_from(value) } };
	struct http_head h = head_of(one, 1);

	return retry_after_ms(&h, now_s);
}

static void trap_110_retry_after_in_each_spelling(void **state)
{
	const int64_t day = 24 * 3600 * 1000;

	assert_int_equal(retry("retry-after", "3", 0), 3000);
	assert_int_equal(retry("retry-after-ms", "250", 0), 250);
	assert_int_equal(retry("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 - 5),
			 5000);
	assert_int_equal(retry("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 + 5), 0);
	assert_int_equal(retry("retry-after", "1000000000", 0), day);
	assert_int_equal(retry("retry-after", "99999999999999999999", 0), -1);
	assert_int_equal(retry("retry-after", "soon", 0), -1);
	assert_int_equal(retry("retry-after", "-1", 0), -1);
	assert_int_equal(retry("date", "3", 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(R11_only_listed_fields_reach_the_client),
		cmocka_unit_test(trap_114_rate_limits_do_not_cross_dialects),
		cmocka_unit_test(R20_a_value_with_a_line_break_is_left_out),
		cmocka_unit_test(trap_110_retry_after_in_each_spelling),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
