/* tests/unit/conf/test_docs.c - docs/configuration.md and docs/providers.md hold the tables that the code holds.
 *
 * With GW_WRITE_DOCS in the environment it writes them anew instead of comparing (tools/gen-config-docs does that). */
#include <stdlib.h>

#include "check.h"
#include "conf/docs.h"
#include "conf/load.h"

static const char *const documents[] = { TESTS_DIR "/../docs/configuration.md",
					 TESTS_DIR "/../docs/providers.md" };
static char text[1 << 20];

static struct str read_document(const char *document)
{
	FILE *f = fopen(document, "rb");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text), f);
	assert_int_equal(fclose(f), 0);
	assert_true(n > 0 && n < sizeof(text));
	return (struct str){ text, n };
}

static void write_document(const char *document, struct str s)
{
	FILE *f = fopen(document, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(s.ptr, 1, s.len, f), s.len);
	assert_int_equal(fclose(f), 0);
}

static void the_tables_are_not_stale(void **state)
{
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
		struct str have = read_document(documents[i]);
		struct buf fresh;
		struct err e = { 0 };

		buf_init(&fresh, 1 << 21);
		if (conf_docs_fill(have, &fresh, &e))
			fail_msg("%s", e.msg);
		if (getenv("GW_WRITE_DOCS"))
			write_document(documents[i], buf_str(&fresh));
		else if (!str_eq(have, buf_str(&fresh)))
			fail_msg("%s is stale: run tools/gen-config-docs", documents[i]);
		buf_done(&fresh);
	}
}

static void every_table_is_in_a_document(void **state)
{
	static const char *const names[] = {
		"options", "provider", "local",  "model", "target",    "key",
		"kinds",   "presets",  "quirks", "facts", "variables",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		bool facts = strcmp(names[i], "facts") == 0;
		struct str have = read_document(documents[facts]);
		char mark[64];
		struct buf b;

		(void)snprintf(mark, sizeof(mark), "<!-- table: %s -->\n", names[i]);
		assert_true(str_find(have, str_from(mark)) > 0);
		buf_init(&b, 1 << 20);
		assert_int_equal(conf_docs_table(str_from(names[i]), &b), RC_OK);
		assert_true(buf_len(&b) > 50);
		buf_done(&b);
	}
}

static void marks_are_checked(void **state)
{
	struct buf b;
	struct err e;

	buf_init(&b, 1 << 20);
	assert_int_equal(conf_docs_fill(STR("a\n<!-- table: key -->\nold\n"), &b, &e), RC_SYNTAX);
	assert_int_equal(conf_docs_fill(STR("<!-- table: nope -->\n<!-- end -->"), &b, &e),
			 RC_NOTFOUND);
	buf_reset(&b);
	assert_int_equal(conf_docs_fill(STR("a\n<!-- table: variables -->\nold\n<!-- end -->\nz\n"),
					&b, &e),
			 RC_OK);
	assert_true(str_find(buf_str(&b), STR("old")) < 0);
	assert_true(str_find(buf_str(&b), STR("| `PORT` | `server.port` |\n")) > 0);
	assert_true(str_ends(buf_str(&b), STR("<!-- end -->\nz\n")));
	buf_done(&b);
}

/* Every default is a value that its own row accepts, and every row says what it does. */
static void every_row_is_whole(void **state)
{
	for (unsigned i = 0; i < N_OPTIONS; i++) {
		assert_true(str_from(conf_options[i].help).len > 10);
		assert_true(conf_options[i].type < CONF_MAP);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(conf_options[i].path, conf_options[k].path);
	}
	for (unsigned i = 0; i < N_MEMBERS; i++)
		assert_true(str_from(conf_members[i].help).len > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tables_are_not_stale),
		cmocka_unit_test(every_table_is_in_a_document),
		cmocka_unit_test(marks_are_checked),
		cmocka_unit_test(every_row_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
