/* tests/unit/ir/test_losses.c - mirrors src/ir/losses.c. */
#include "check.h"
#include "ir/losses.h"

static void losses_are_named_once_and_fit_a_header(void **state)
{
	struct arena *a = arena_new(65536);
	struct ir_losses l;
	char name[256];

	ir_losses_init(&l, a);
	assert_null(ir_losses_text(&l).ptr);
	ir_loss(&l, STR("top_k"));
	ir_loss(&l, STR("seed"));
	ir_loss(&l, STR("top_k"));
	ir_loss(&l, STR("e\r\nvil: 1"));
	CHECK_STR(ir_losses_text(&l), "top_k, seed, evil:1");

	/* A client may name as many extras as it likes, as long as it likes. */
	memset(name, 'x', sizeof(name));
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(name, 16, "extra-%u", i);
		ir_loss(&l, (struct str){ name, sizeof(name) });
	}
	assert_in_range(ir_losses_text(&l).len, 100, 8192);
	assert_false(l.failed);
	arena_free(a);
}

static void memory_that_ran_out_is_told(void **state)
{
	struct arena *a = arena_new(64);
	struct ir_losses l;

	ir_losses_init(&l, a);
	for (unsigned i = 0; i < 20; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "name-%u", i);
		ir_loss(&l, str_from(name));
	}
	assert_true(l.failed);
	arena_free(a);
}

/* That each field of a real request is written, named or refused is held by tests/unit/protocols/test_fields.c. */
static void fields_that_say_something_are_named_unless_taken(void **state)
{
	struct arena *a = arena_new(65536);
	struct ir_request r;
	struct ir_losses l;

	ir_request_init(&r);
	ir_losses_init(&l, a);
	ir_lose_fields_but(&l, &r, 0);
	assert_null(ir_losses_text(&l).ptr);

	/* what asks for what happens anyway is no loss */
	r.n = 1;
	r.store = IR_FALSE;
	r.truncation = STR("disabled");
	r.service_tier = STR("auto");
	r.modalities = STR(" [\"text\"] ");
	r.verbosity = STR("medium");
	r.frequency_penalty = STR("0.00");
	r.presence_penalty = STR("-0");
	ir_lose_fields_but(&l, &r, 0);
	assert_null(ir_losses_text(&l).ptr);

	r.presence_penalty = STR("0.1");
	r.n = 2;
	r.seed = 0;
	r.user = STR("u");
	ir_lose_fields_but(&l, &r, IR_FIELD(n) | IR_FIELD(user));
	CHECK_STR(ir_losses_text(&l), "presence_penalty, seed");
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(losses_are_named_once_and_fit_a_header),
		cmocka_unit_test(memory_that_ran_out_is_told),
		cmocka_unit_test(fields_that_say_something_are_named_unless_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
