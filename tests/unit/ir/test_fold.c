/* tests/unit/ir/test_fold.c - mirrors src/ir/fold.c.
 * Rule: fold(unfold(x)) = x for every kind of block, and what is folded outlives the events. */
#include "check.h"
#include "ir/fold.h"
#include "ir/grammar.h"
#include "tape.h"

static struct ir_citation citations[] = {
	{ .url = STR_INIT("https://a"),
	  .title = STR_INIT("A"),
	  .cited_text = STR_INIT("x"),
	  .start = 1,
	  .end = 2 },
	{ .url = STR_INIT("https://b"), .start = -1, .end = -1 },
	{ .raw = STR_INIT("{}"), .start = -1, .end = -1, .origin = "o" },
	{ .url = STR_INIT("https://c"), .start = 3, .end = 4 },
	{ .url = STR_INIT("https://d"), .start = 5, .end = 6 },
};

static struct ir_block blocks[] = {
	{ .kind = IR_BLOCK_REASONING,
	  .text = STR_INIT("because"),
	  .signature = STR_INIT("sig"),
	  .origin = "o" },
	{ .kind = IR_BLOCK_REASONING,
	  .text = STR_INIT(""),
	  .redacted = STR_INIT("opaque"),
	  .origin = "o" },
	{ .kind = IR_BLOCK_TEXT,
	  .text = STR_INIT("h\xc3\xa9llo"),
	  .citations = citations,
	  .n_citations = 5 },
	{ .kind = IR_BLOCK_TEXT, .text = STR_INIT("") },
	{ .kind = IR_BLOCK_TOOL_CALL,
	  .id = STR_INIT("c1"),
	  .name = STR_INIT("f"),
	  .text = STR_INIT("{\"a\": 1.10}") },
	{ .kind = IR_BLOCK_REFUSAL, .text = STR_INIT("no") },
	{ .kind = IR_BLOCK_OPAQUE, .text = STR_INIT("{\"type\":\"x\"}"), .origin = "o" },
};

static struct ir_response sample(void)
{
	struct ir_response r = { .id = STR("id"),
				 .model = STR("m"),
				 .blocks = blocks,
				 .n_blocks = sizeof(blocks) / sizeof(*blocks),
				 .usage = IR_USAGE_NONE,
				 .stop = IR_STOP_SEQUENCE,
				 .stop_sequence = STR("END") };

	r.usage.input = 3;
	r.usage.output = 4;
	return r;
}

static struct str tape_of(struct tape *t, const struct ir_response *r)
{
	struct ir_grammar g;

	tape_init(t);
	ir_grammar_init(&g, &t->sink);
	assert_int_equal(ir_unfold(r, &g.sink), 0);
	return buf_str(&t->text);
}

static void fold_of_unfold_is_the_same(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct ir_response r = sample();
	struct tape before, after;
	struct ir_fold f;

	ir_fold_init(&f, a);
	assert_int_equal(ir_unfold(&r, &f.sink), 0);
	assert_true(f.finished);
	assert_int_equal(f.response.n_blocks, r.n_blocks);
	assert_int_equal(f.response.blocks[2].n_citations, 5);
	CHECK_STR(f.response.blocks[2].citations[4].url, "https://d");
	CHECK_STR_IS(tape_of(&after, &f.response), tape_of(&before, &r));
	tape_done(&before);
	tape_done(&after);
	arena_free(a);
}

static int emit_text(struct ir_fold *f, enum ir_block_kind block, enum ir_delta_kind delta,
		     const char *text)
{
	struct ir_event ev = {
		.kind = IR_DELTA, .block = block, .delta = delta, .text = str_from(text)
	};

	return ir_emit(&f->sink, &ev);
}

static void pieces_grow_into_one_text_that_outlives_them(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct ir_event open = { .kind = IR_OPEN, .block = IR_BLOCK_TEXT },
			close = { .kind = IR_CLOSE };
	struct ir_fold f;

	ir_fold_init(&f, a);
	assert_int_equal(ir_emit(&f.sink, &open), 0);
	for (unsigned i = 0; i < 1000; i++) {
		char piece[8];

		(void)snprintf(piece, sizeof(piece), "%03u.", i);
		assert_int_equal(emit_text(&f, IR_BLOCK_TEXT, IR_DELTA_TEXT, piece), 0);
	}
	assert_int_equal(ir_emit(&f.sink, &close), 0);
	assert_int_equal(f.response.blocks[0].text.len, 4000);
	CHECK_STR(str_from_offset(f.response.blocks[0].text, 3992), "998.999.");
	arena_free(a);
}

static void trap_016_a_call_without_arguments_is_an_empty_object(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct ir_event open = {
		.kind = IR_OPEN, .block = IR_BLOCK_TOOL_CALL, .id = STR("i"), .name = STR("n")
	};
	struct ir_event close = { .kind = IR_CLOSE, .block = IR_BLOCK_TOOL_CALL };
	struct ir_fold f;

	ir_fold_init(&f, a);
	assert_int_equal(ir_emit(&f.sink, &open), 0);
	assert_int_equal(emit_text(&f, IR_BLOCK_TOOL_CALL, IR_DELTA_ARGUMENTS, ""), 0);
	assert_int_equal(ir_emit(&f.sink, &close), 0);
	CHECK_STR(f.response.blocks[0].text, "{}");
	arena_free(a);
}

static void an_error_is_copied(void **state)
{
	struct arena *a = arena_new(1 << 20);
	char text[] = "gone";
	struct ir_error e = { .kind = IR_ERR_OVERLOADED,
			      .message = str_from(text),
			      .retry_after_ms = 7 };
	struct ir_event ev = { .kind = IR_ERROR, .error = &e };
	struct ir_fold f;

	ir_fold_init(&f, a);
	assert_int_equal(ir_emit(&f.sink, &ev), 0);
	text[0] = 'X';
	assert_true(f.failed);
	assert_false(f.finished);
	assert_int_equal(f.error.kind, IR_ERR_OVERLOADED);
	assert_int_equal(f.error.retry_after_ms, 7);
	CHECK_STR(f.error.message, "gone");
	arena_free(a);
}

static void memory_that_runs_out_is_an_error(void **state)
{
	struct arena *a = arena_new(600);
	struct ir_response r = sample();
	struct ir_fold f;

	ir_fold_init(&f, a);
	assert_int_equal(ir_unfold(&r, &f.sink), RC_NOMEM);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fold_of_unfold_is_the_same),
		cmocka_unit_test(pieces_grow_into_one_text_that_outlives_them),
		cmocka_unit_test(trap_016_a_call_without_arguments_is_an_empty_object),
		cmocka_unit_test(an_error_is_copied),
		cmocka_unit_test(memory_that_runs_out_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
