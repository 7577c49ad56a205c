/* tests/unit/engine/test_find.c - mirrors src/engine/find.c: where llama-server is looked for, and in which order. */
#include "check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include "engine/find.h"
#include "scratch.h"

static char root[64];

static void put(const char *path, int mode, long mtime)
{
	char full[256];
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(full, 0755);
		*p = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(chmod(full, (mode_t)mode), 0);
	assert_int_equal(utime(full, &(struct utimbuf){ mtime, mtime }), 0);
}

static void set_env(const char *name, const char *tail)
{
	char full[256];

	snprintf(full, sizeof(full), "%s/%s", root, tail);
	assert_int_equal(setenv(name, full, 1), 0);
}

static void want(struct str configured, const char *tail)
{
	struct arena *a = arena_new(65536);
	char full[256];
	struct str got;
	struct err e;

	snprintf(full, sizeof(full), "%s/%s", root, tail);
	assert_int_equal(engine_find(a, configured, &got, &e), RC_OK);
	CHECK_STR_IS(got, str_from(full));
	arena_free(a);
}

static void want_missing(struct str configured, const char *word)
{
	struct arena *a = arena_new(65536);
	struct str got;
	struct err e;

	assert_int_equal(engine_find(a, configured, &got, &e), RC_NOTFOUND);
	assert_non_null(strstr(e.msg, word));
	assert_non_null(strstr(e.msg, "make engine"));
	arena_free(a);
}

static int fresh(void **state)
{
	snprintf(root, sizeof(root), "/tmp/gw-find-XXXXXX");
	assert_int_equal(scratch_make(root), 0);
	unsetenv("LLM_GATEWAY_ENGINE");
	unsetenv("XDG_CACHE_HOME");
	set_env("HOME", "home");
	set_env("PATH", "bin");
	return 0;
}

static int clear(void **state)
{
	return scratch_remove(root);
}

static void nothing_says_what_to_do(void **state)
{
	want_missing(STR_NONE, "not installed");
}

static void newest_in_the_cache(void **state)
{
	put("home/.cache/llm-gateway/engine/0.9/llama-server", 0755, 2000);
	put("home/.cache/llm-gateway/engine/0.10/llama-server", 0755, 3000);
	put("home/.cache/llm-gateway/engine/0.8/llama-server", 0755, 1000);
	put("home/.cache/llm-gateway/engine/broken/llama-server", 0644, 9000);
	want(STR_NONE, "home/.cache/llm-gateway/engine/0.10/llama-server");
	set_env("XDG_CACHE_HOME", "xdg");
	put("xdg/llm-gateway/engine/1/llama-server", 0755, 10);
	want(STR_NONE, "xdg/llm-gateway/engine/1/llama-server");
}

static void path_comes_before_the_cache(void **state)
{
	put("home/.cache/llm-gateway/engine/1/llama-server", 0755, 2000);
	put("bin/llama-server", 0755, 10);
	want(STR_NONE, "bin/llama-server");
}

static void a_word_of_the_operator_is_not_guessed_past(void **state)
{
	char full[256];

	put("bin/llama-server", 0755, 10);
	put("own/llama-server", 0755, 10);
	set_env("LLM_GATEWAY_ENGINE", "own/llama-server");
	want(STR_NONE, "own/llama-server");
	set_env("LLM_GATEWAY_ENGINE", "own/none");
	want_missing(STR_NONE, "LLM_GATEWAY_ENGINE");
	snprintf(full, sizeof(full), "%s/bin/llama-server", root);
	want(str_from(full), "bin/llama-server");
	want_missing(STR("none"), "engine: none");
	want_missing(STR("/nowhere/llama-server"), "configuration");
	want_missing(str_from(root), "configuration"); /* a directory is executable too */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_says_what_to_do, fresh, clear),
		cmocka_unit_test_setup_teardown(newest_in_the_cache, fresh, clear),
		cmocka_unit_test_setup_teardown(path_comes_before_the_cache, fresh, clear),
		cmocka_unit_test_setup_teardown(a_word_of_the_operator_is_not_guessed_past, fresh,
						clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
