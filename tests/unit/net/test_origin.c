/* tests/unit/net/test_origin.c - mirrors src/net/origin.c. */
#include "check.h"

#include "net/origin.h"

struct row {
	const char *url;
	/* tls host port unix_path host_header base_path; or what the error must say */
	const char *shown;
};

static void check(const struct row *row)
{
	struct arena *a = arena_new(64 * 1024);
	struct err err = { .msg = "" };
	struct origin o;
	int rc = origin_parse(a, str_from(row->url), STR_NONE, true, STR("k"), &o, &err);

	if (rc == RC_OK) {
		struct str got =
			arena_printf(a, "%d %.*s %u %.*s %.*s %.*s", o.tls, STR_ARG(o.host),
				     (unsigned)o.port, STR_ARG(o.unix_path), STR_ARG(o.host_header),
				     STR_ARG(o.base_path));

		CHECK_STR_IS(got, str_from(row->shown));
	} else {
		assert_int_equal(rc, RC_INVALID);
		if (!strstr(err.msg, row->shown))
			fail_msg("%s: %s", row->url, err.msg);
	}
	arena_free(a);
}

static void urls_that_are_good(void **state)
{
	static const struct row rows[] = {
		{ "https://api.openai.com", "1 api.openai.com 443  api.openai.com " },
		{ "https://api.openai.com/", "1 api.openai.com 443  api.openai.com " },
		{ "HTTPS://API.OpenAI.com/v1/", "1 api.openai.com 443  api.openai.com /v1" },
		{ "https://h:443/a/b//", "1 h 443  h /a/b" },
		{ "https://h:8443", "1 h 8443  h:8443 " },
		{ "http://127.0.0.1:8000/v1", "0 127.0.0.1 8000  127.0.0.1:8000 /v1" },
		{ "http://h", "0 h 80  h " },
		{ "http://h:443", "0 h 443  h:443 " },
		{ "http://[::1]:8080/x", "0 ::1 8080  [::1]:8080 /x" },
		{ "https://[2001:DB8::1]", "1 2001:db8::1 443  [2001:db8::1] " },
		{ "unix:/run/x.sock", "0 localhost 0 /run/x.sock localhost " },
		{ "unix:/run/x.sock:/v1/", "0 localhost 0 /run/x.sock localhost /v1" },
		{ "http://my_host-1.local.", "0 my_host-1.local. 80  my_host-1.local. " },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

static void urls_that_are_not(void **state)
{
	static const struct row rows[] = {
		{ "", "must begin" },
		{ "api.openai.com", "must begin" },
		{ "ftp://h", "must begin" },
		{ "https://", "no host" },
		{ "https:///v1", "no host" },
		{ "https://user:pw@h/", "user information" },
		{ "https://h:0", "65535" },
		{ "https://h:65536", "65535" },
		{ "https://h:", "65535" },
		{ "https://h:8x", "65535" },
		{ "https://h/v1?key=x", "no query" },
		{ "https://h?x", "no query" },
		{ "https://h/#f", "no fragment" },
		{ "https://h/a b", "blank" },
		{ "https://h\r\nX: y", "character" },
		{ "https://h%41", "character" },
		{ "https://[::1", "bracket" },
		{ "https://[h]", "IPv6" },
		{ "https://[::1]x", "only a port" },
		{ "unix:relative", "absolute path" },
		{ "unix:", "absolute path" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

static void a_unix_path_too_long_is_refused(void **state)
{
	char url[200] = "unix:/";

	memset(url + 6, 'a', 150);
	check(&(struct row){ url, "at most" });
}

static struct str key(struct arena *a, const char *url, struct str ca, bool verify,
		      struct str credential)
{
	struct origin o;

	assert_int_equal(origin_parse(a, str_from(url), ca, verify, credential, &o, NULL), RC_OK);
	return o.pool_key;
}

static void R26_pool_keys_differ_in_everything_that_makes_a_connection(void **state)
{
	struct arena *a = arena_new(64 * 1024);
	struct str keys[] = {
		key(a, "https://h", STR_NONE, true, STR("k")),
		key(a, "http://h", STR_NONE, true, STR("k")),
		key(a, "https://h:444", STR_NONE, true, STR("k")),
		key(a, "https://g", STR_NONE, true, STR("k")),
		key(a, "https://h", STR("/ca.pem"), true, STR("k")),
		key(a, "https://h", STR_NONE, false, STR("k")),
		key(a, "https://h", STR_NONE, true, STR("other")),
		key(a, "https://h", STR_NONE, true, STR_NONE),
		key(a, "https://h", STR_NONE, true, STR("")),
		key(a, "unix:/h", STR_NONE, true, STR("k")),
		key(a, "unix:/g", STR_NONE, true, STR("k")),
	};
	const size_t n = sizeof(keys) / sizeof(keys[0]);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++)
			assert_int_equal(str_eq(keys[i], keys[j]), i == j);
	}
	/* the path does not matter, nor how the host is written */
	assert_true(str_eq(keys[0], key(a, "https://H:443/v1", STR_NONE, true, STR("k"))));
	arena_free(a);
}

static void R11_the_credential_is_in_the_pool_key_as_a_hash_only(void **state)
{
	struct arena *a = arena_new(64 * 1024);
	struct str k = key(a, "https://h", STR_NONE, true, STR("sk-secret-secret"));

	assert_true(str_find(k, STR("secret")) < 0);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_that_are_good),
		cmocka_unit_test(urls_that_are_not),
		cmocka_unit_test(a_unix_path_too_long_is_refused),
		cmocka_unit_test(R26_pool_keys_differ_in_everything_that_makes_a_connection),
		cmocka_unit_test(R11_the_credential_is_in_the_pool_key_as_a_hash_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
