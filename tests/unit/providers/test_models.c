/* tests/unit/providers/test_models.c - the table of models: no line stands in another's shadow, and names find theirs. */
#include "check.h"
#include "providers/models.h"
#include "providers/provider.h"

static const char *const globs[] = {
#define X(glob, context, max_output, can) glob,
#include "providers/models.def"
#undef X
};

/* The shortest name that a glob fits. */
static struct str name_of(const char *glob, char *to)
{
	size_t n = 0;

	for (; *glob; glob++)
		if (*glob != '*')
			to[n++] = *glob == '?' ? '-' : *glob;
	return (struct str){ to, n };
}

static void no_line_is_hidden_by_an_earlier_one(void **state)
{
	for (size_t i = 0; i < sizeof(globs) / sizeof(globs[0]); i++) {
		char name[64];
		const struct model_facts *f = model_facts(name_of(globs[i], name));

		assert_non_null(f);
		assert_string_equal(f->glob, globs[i]);
	}
}

static void numbers_make_sense(void **state)
{
	for (size_t i = 0; i < sizeof(globs) / sizeof(globs[0]); i++) {
		char name[64];
		const struct model_facts *f = model_facts(name_of(globs[i], name));

		assert_true(f->context == 0 || (f->context >= 2048 && f->context <= 2097152));
		assert_true(f->context == 0 || f->max_output <= f->context);
		assert_true(!(f->can & MODEL_EFFORT) || (f->can & MODEL_REASONING));
	}
}

static void names_as_vendors_and_brokers_write_them(void **state)
{
	static const struct {
		const char *model;
		int64_t context, max_output;
		unsigned can;
	} table[] = {
		{ "claude-opus-4-20250514", 200000, 32000,
		  MODEL_VISION | MODEL_TOOLS | MODEL_REASONING },
		{ "anthropic/claude-opus-4.6", 1000000, 128000,
		  MODEL_VISION | MODEL_TOOLS | MODEL_REASONING | MODEL_EFFORT },
		{ "anthropic/claude-sonnet-4.5", 200000, 64000,
		  MODEL_VISION | MODEL_TOOLS | MODEL_REASONING },
		{ "us.anthropic.claude-3-5-haiku-20241022-v1:0", 200000, 8192,
		  MODEL_VISION | MODEL_TOOLS },
		{ "gpt-5.2-codex", 400000, 128000, MODEL_VISION | MODEL_TOOLS | MODEL_REASONING },
		{ "gpt-5.4-mini-2026-03-17", 400000, 128000,
		  MODEL_VISION | MODEL_TOOLS | MODEL_REASONING },
		{ "openai/gpt-6-sol", 1050000, 128000,
		  MODEL_VISION | MODEL_TOOLS | MODEL_REASONING },
		{ "gpt-5.1-chat-latest", 128000, 16384, MODEL_VISION | MODEL_TOOLS },
		{ "gpt-4-0613", 8192, 4096, MODEL_TOOLS },
		{ "models/gemini-3.1-pro-preview", 1048576, 65536,
		  MODEL_VISION | MODEL_TOOLS | MODEL_REASONING },
		{ "grok-4-1-fast-non-reasoning", 2000000, 0, MODEL_VISION | MODEL_TOOLS },
		{ "grok-4.20-0309-reasoning", 1000000, 0,
		  MODEL_VISION | MODEL_TOOLS | MODEL_REASONING },
		{ "perplexity/sonar", 128000, 0, 0 },
		{ "kimi-k2.5", 262144, 0, MODEL_VISION | MODEL_TOOLS | MODEL_REASONING },
		{ "z-ai/glm-5.2", 1000000, 128000, MODEL_TOOLS | MODEL_REASONING },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct model_facts *f = model_facts(str_from(table[i].model));

		assert_non_null(f);
		assert_int_equal(f->context, table[i].context);
		assert_int_equal(f->max_output, table[i].max_output);
		assert_int_equal(f->can, table[i].can);
	}
	assert_null(model_facts(STR("my-own-model")));
	assert_null(model_facts(STR("")));
}

static void trap_070_openais_models_that_reason_take_no_sampling(void **state)
{
	static const struct {
		const char *model;
		enum ir_sampling takes;
	} rows[] = {
		{ "o1", IR_SAMPLING_NONE },
		{ "o3-mini", IR_SAMPLING_NONE },
		{ "o4-mini-2025-04-16", IR_SAMPLING_NONE },
		{ "gpt-5", IR_SAMPLING_NONE },
		{ "gpt-5-2025-08-07", IR_SAMPLING_NONE },
		{ "gpt-5-mini", IR_SAMPLING_NONE },
		{ "gpt-5-chat-latest", IR_SAMPLING_FREE },
		{ "gpt-5.1", IR_SAMPLING_AT_REST },
		{ "gpt-5.2-codex", IR_SAMPLING_NONE },
		{ "gpt-5.4-pro", IR_SAMPLING_NONE },
		{ "gpt-6", IR_SAMPLING_AT_REST },
		{ "gpt-5.4-mini", IR_SAMPLING_AT_REST },
		{ "gpt-5.2-chat-latest", IR_SAMPLING_FREE },
		{ "gpt-4o", IR_SAMPLING_FREE },
		{ "ft:gpt-4.1-mini:org::id", IR_SAMPLING_FREE },
		{ "ft:o4-mini:org::id", IR_SAMPLING_NONE },
		{ "my-deployment", IR_SAMPLING_FREE },
	};
	static const struct provider *const kinds[] = { &provider_openai, &provider_azure };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			assert_int_equal(kinds[k]->wants(str_from(rows[i].model)).sampling,
					 rows[i].takes);
	/* Of a compatible server nothing is known. */
	assert_null(provider_openai_compatible.wants);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_line_is_hidden_by_an_earlier_one),
		cmocka_unit_test(numbers_make_sense),
		cmocka_unit_test(names_as_vendors_and_brokers_write_them),
		cmocka_unit_test(trap_070_openais_models_that_reason_take_no_sampling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
