/* tests/unit/conf/test_env.c - mirrors src/conf/env.c: `.env` files and ${NAME}. */
#include "check.h"
#include "conf/env.h"

struct fixture {
	struct arena *arena;
	struct conf_report report;
	struct conf_env env;
};

static int setup(void **state)
{
	static const char *const environment[] = { "NAME=value", "EMPTY=", "EQ=a=b",
						   "nonsense",   "=x",     NULL };
	static struct fixture f;

	f.arena = arena_new(1 << 20);
	conf_report_init(&f.report, f.arena);
	conf_env_init(&f.env, f.arena, environment);
	*state = &f;
	return f.arena ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->arena = arena_free(f->arena);
	return 0;
}

static void the_process_comes_first(void **state)
{
	struct fixture *f = *state;

	CHECK_STR(conf_env_get(&f->env, STR("NAME")), "value");
	CHECK_STR(conf_env_get(&f->env, STR("EQ")), "a=b");
	CHECK_STR(conf_env_get(&f->env, STR("EMPTY")), "");
	assert_false(str_present(conf_env_set(&f->env, "EMPTY")));
	assert_false(str_present(conf_env_get(&f->env, STR("nonsense"))));
	conf_env_dotenv(&f->env, STR("NAME=other\nNEW=1\n"), STR(".env"), &f->report);
	CHECK_STR(conf_env_get(&f->env, STR("NAME")), "value");
	CHECK_STR(conf_env_get(&f->env, STR("NEW")), "1");
}

static void dotenv_syntax(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *name;
		struct str value;
	} want[] = {
		{ "A", STR_INIT("1") },
		{ "B", STR_INIT("two words") },
		{ "C", STR_INIT("x#y") },
		{ "D", STR_INIT("") },
		{ "E", STR_INIT("a\nb\t\"$") },
		{ "F", STR_INIT("a\\n${X} #") },
		{ "G", STR_INIT("line1\nline2") },
		{ "H", STR_INIT("\\d") },
		{ "I", STR_INIT("crlf") },
		{ "J", STR_INIT("after") },
		{ "K", STR_INIT("") },
		{ "L", STR_INIT("end") },
	};

	conf_env_dotenv(
		&f->env,
		STR("\xef\xbb\xbf# comment\n\n  A=1\nexport B = two words  # comment\nC=x#y\nD=\n"
		    "E=\"a\\nb\\t\\\"\\$\"\nF='a\\n${X} #'\nG=\"line1\nline2\" # "
		    "c\nH=\"\\d\"\nI=crlf\r\n"
		    "\r\nexport\tJ=after\nK= # nothing\nL=end"),
		STR(".env"), &f->report);
	assert_int_equal(f->report.n, 0);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		CHECK_STR_IS(conf_env_get(&f->env, str_from(want[i].name)), want[i].value);
}

static void dotenv_says_the_line_and_goes_on(void **state)
{
	struct fixture *f = *state;

	conf_env_dotenv(&f->env, STR("A=\"x\ny\"\nwhat is this\n2B=1\nC=ok\nD='open\nE=lost\n"),
			STR("d/.env"), &f->report);
	assert_int_equal(f->report.n_errors, 3);
	assert_int_equal(f->report.problems[0].line, 3);
	assert_int_equal(f->report.problems[1].line, 4);
	assert_int_equal(f->report.problems[2].line, 6);
	CHECK_STR(f->report.problems[2].message, "D: the quote is not closed");
	CHECK_STR(f->report.problems[2].file, "d/.env");
	CHECK_STR(conf_env_get(&f->env, STR("C")), "ok");
}

static void expansion(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *text;
		enum expand_result result;
		const char *value; /* or the name that is not set */
	} table[] = {
		{ "plain", EXPAND_OK, "plain" },
		{ "$NAME", EXPAND_OK, "$NAME" },
		{ "${NAME}", EXPAND_OK, "value" },
		{ "a${NAME}b${NAME}", EXPAND_OK, "avaluebvalue" },
		{ "${EMPTY}", EXPAND_OK, "" },
		{ "${EMPTY:-d}", EXPAND_OK, "d" },
		{ "${GONE:-d e}", EXPAND_OK, "d e" },
		{ "${GONE:-}", EXPAND_OK, "" },
		{ "${NAME:-d}", EXPAND_OK, "value" },
		{ "$${NAME}", EXPAND_OK, "${NAME}" },
		{ "x$${a}${NAME}", EXPAND_OK, "x${a}value" },
		{ "${GONE}", EXPAND_UNSET, "GONE" },
		{ "${NAME}${GONE2}", EXPAND_UNSET, "GONE2" },
		{ "${NAME", EXPAND_SYNTAX, NULL },
		{ "${}", EXPAND_SYNTAX, NULL },
		{ "${1A}", EXPAND_SYNTAX, NULL },
		{ "${A-b}", EXPAND_SYNTAX, NULL },
		{ "${", EXPAND_SYNTAX, NULL },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct str value = STR_NONE, name = STR_NONE;
		bool changed;

		assert_int_equal(conf_env_expand(&f->env, str_from(table[i].text), &value, &changed,
						 &name),
				 table[i].result);
		if (table[i].result == EXPAND_OK)
			CHECK_STR_IS(value, str_from(table[i].value));
		if (table[i].result == EXPAND_UNSET)
			CHECK_STR_IS(name, str_from(table[i].value));
	}
}

/* What a variable holds is data: it cannot reach for other variables. */
static void expansion_is_not_repeated(void **state)
{
	struct fixture *f = *state;
	struct str value, name;
	bool changed;

	conf_env_dotenv(&f->env, STR("NEST='${NAME}'\n"), STR(".env"), &f->report);
	assert_int_equal(conf_env_expand(&f->env, STR("${NEST}"), &value, &changed, &name),
			 EXPAND_OK);
	CHECK_STR(value, "${NAME}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_process_comes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(dotenv_syntax, setup, teardown),
		cmocka_unit_test_setup_teardown(dotenv_says_the_line_and_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(expansion, setup, teardown),
		cmocka_unit_test_setup_teardown(expansion_is_not_repeated, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
