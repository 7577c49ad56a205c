/* tests/unit/ir/test_prefill.c - mirrors src/ir/prefill.c.
 * Rule: cut as it may be, the client's own words are taken out once, and no other text changes. */
#include "check.h"
#include "ir/grammar.h"
#include "ir/prefill.h"

struct heard {
	struct ir_sink sink;
	char text[256];
	unsigned closed;
};

static int hear(struct ir_sink *self, const struct ir_event *ev)
{
	struct heard *h = (struct heard *)self;

	if (ev->kind == IR_DELTA)
		(void)snprintf(h->text + strlen(h->text), sizeof(h->text) - strlen(h->text), "%.*s",
			       STR_ARG(ev->text));
	h->closed += ev->kind == IR_CLOSE;
	return 0;
}

static void say(struct ir_sink *s, struct ir_event ev)
{
	assert_int_equal(ir_emit(s, &ev), 0);
}

/* What a client hears of `answer`, which comes `step` bytes at a time; a checker stands behind. */
static void check(const char *words, const char *answer, const char *want)
{
	for (size_t step = 1; step <= strlen(answer) + 1; step++) {
		struct heard h = { .sink = { hear } };
		struct ir_grammar grammar;
		struct ir_prefill p;
		struct str rest = str_from(answer);

		ir_grammar_init(&grammar, &h.sink);
		ir_prefill_init(&p, str_from(words), &grammar.sink);
		say(&p.sink, (struct ir_event){ .kind = IR_START, .usage = IR_USAGE_NONE });
		say(&p.sink, (struct ir_event){ .kind = IR_OPEN, .block = IR_BLOCK_TEXT });
		for (; rest.len > 0;
		     rest = str_from_offset(rest, rest.len < step ? rest.len : step))
			say(&p.sink,
			    (struct ir_event){
				    .kind = IR_DELTA,
				    .block = IR_BLOCK_TEXT,
				    .delta = IR_DELTA_TEXT,
				    .text = { rest.ptr, rest.len < step ? rest.len : step } });
		say(&p.sink, (struct ir_event){ .kind = IR_CLOSE, .block = IR_BLOCK_TEXT });
		say(&p.sink, (struct ir_event){ .kind = IR_FINISH });
		assert_string_equal(h.text, want);
		assert_int_equal(h.closed, 1);
	}
}

static void trap_045_a_repeated_prefill_is_taken_out(void **state)
{
	(void)state;
	check("The capital is", "The capital is Paris.", " Paris.");
	check("The capital is", "The capital is", "");
	check("aab", "aabaab", "aab");
}

static void trap_045_any_other_text_passes(void **state)
{
	(void)state;
	check("The capital is", " Paris.", " Paris.");
	check("The capital is", "The capital was Rome.", "The capital was Rome.");
	check("The capital is", "The cap", "The cap");
	check("", "x", "x");
}

static void only_words_of_the_assistant_at_the_end_are_a_prefill(void **state)
{
	struct ir_part part = { .kind = IR_PART_TEXT, .text = STR("so") };
	struct ir_message m[] = { { .role = IR_ROLE_ASSISTANT, .parts = &part, .n_parts = 1 },
				  { .role = IR_ROLE_USER, .parts = &part, .n_parts = 1 } };
	struct ir_request r;

	(void)state;
	ir_request_init(&r);
	assert_false(str_present(ir_prefill_words(&r)));
	r.messages = m;
	r.n_messages = 2;
	assert_false(str_present(ir_prefill_words(&r)));
	r.n_messages = 1;
	CHECK_STR(ir_prefill_words(&r), "so");
	part.kind = IR_PART_TOOL_CALL;
	assert_false(str_present(ir_prefill_words(&r)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_045_a_repeated_prefill_is_taken_out),
		cmocka_unit_test(trap_045_any_other_text_passes),
		cmocka_unit_test(only_words_of_the_assistant_at_the_end_are_a_prefill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
