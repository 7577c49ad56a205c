/* tests/unit/ir/test_stop_cut.c - mirrors src/ir/stop_cut.c.
 * Rule (trap 73): cut as it may be, the client's text ends before the sequence that is whole first, and any other text
 * passes unchanged, with its log probabilities. */
#include "check.h"
#include "ir/grammar.h"
#include "ir/stop_cut.h"

struct heard {
	struct ir_sink sink;
	char text[512];   /* of all blocks; a reasoning block's in braces */
	char tokens[512]; /* the lists of log probabilities */
	char cited[128];
	unsigned open, closed;
	int64_t output;
	bool finished;
	enum ir_stop stop;
	char sequence[64];
};

static void add(char *to, size_t cap, struct str s)
{
	(void)snprintf(to + strlen(to), cap - strlen(to), "%.*s", STR_ARG(s));
}

static int hear(struct ir_sink *self, const struct ir_event *ev)
{
	struct heard *h = (struct heard *)self;

	if (ev->kind == IR_DELTA)
		add(h->text, sizeof(h->text), ev->text);
	if (ev->kind == IR_DELTA && str_present(ev->logprobs))
		add(h->tokens, sizeof(h->tokens), ev->logprobs);
	if (ev->kind == IR_DELTA && ev->citation)
		(void)snprintf(h->cited + strlen(h->cited), sizeof(h->cited) - strlen(h->cited),
			       "%.*s %d-%d; ", STR_ARG(ev->citation->url), (int)ev->citation->start,
			       (int)ev->citation->end);
	h->open += ev->kind == IR_OPEN;
	h->closed += ev->kind == IR_CLOSE;
	if (ev->kind == IR_USAGE)
		h->output = ev->usage.output;
	if (ev->kind == IR_FINISH) {
		h->finished = true;
		h->stop = ev->stop;
		add(h->sequence, sizeof(h->sequence), ev->stop_sequence);
	}
	return 0;
}

static void say(struct ir_sink *s, struct ir_event ev)
{
	assert_int_equal(ir_emit(s, &ev), 0);
}

static void say_text(struct ir_sink *s, unsigned index, enum ir_block_kind kind, struct str text,
		     size_t step)
{
	say(s, (struct ir_event){ .kind = IR_OPEN, .index = index, .block = kind });
	while (text.len > 0) {
		size_t n = text.len < step ? text.len : step;

		say(s, (struct ir_event){ .kind = IR_DELTA,
					  .index = index,
					  .block = kind,
					  .delta = IR_DELTA_TEXT,
					  .text = { text.ptr, n } });
		text = str_from_offset(text, n);
	}
	say(s, (struct ir_event){ .kind = IR_CLOSE, .index = index, .block = kind });
}

static void finish(struct ir_sink *s)
{
	struct ir_usage usage = IR_USAGE_NONE;

	usage.output = 99;
	say(s, (struct ir_event){ .kind = IR_USAGE, .usage = usage });
	say(s, (struct ir_event){ .kind = IR_FINISH, .stop = IR_STOP_LENGTH });
}

struct rig {
	struct arena *a;
	struct heard heard;
	struct ir_grammar grammar;
	struct ir_stop_cut cut;
};

static struct ir_sink *rig_start(struct rig *g, const char *const *stops)
{
	struct ir_request r;
	struct str words[8];
	unsigned n = 0;

	memset(g, 0, sizeof(*g));
	g->a = arena_new(1 << 20);
	g->heard.sink.event = hear;
	while (stops[n]) {
		words[n] = str_from(stops[n]);
		n++;
	}
	ir_request_init(&r);
	r.stop = words;
	r.n_stop = n;
	ir_grammar_init(&g->grammar, &g->heard.sink); /* what leaves is an answer by the rules */
	assert_int_equal(ir_stop_cut_init(&g->cut, g->a, &r, &g->grammar.sink), RC_OK);
	say(&g->cut.sink, (struct ir_event){ .kind = IR_START, .usage = IR_USAGE_NONE });
	return &g->cut.sink;
}

/* What a client hears of `answer`, in pieces of each size. `want_stop` NULL: it was not cut. */
static void check(const char *const *stops, const char *answer, const char *want,
		  const char *want_stop)
{
	for (size_t step = 1; step <= strlen(answer) + 1; step++) {
		struct rig g;
		struct ir_sink *s = rig_start(&g, stops);

		say_text(s, 0, IR_BLOCK_TEXT, str_from(answer), step);
		finish(s);
		assert_string_equal(g.heard.text, want);
		assert_string_equal(g.heard.sequence, want_stop ? want_stop : "");
		assert_int_equal(g.heard.stop, want_stop ? IR_STOP_SEQUENCE : IR_STOP_LENGTH);
		assert_int_equal(g.heard.closed, 1);
		assert_int_equal(g.heard.output, 99);
		assert_true(g.heard.finished);
		arena_free(g.a);
	}
}

#define STOPS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void trap_073_the_answer_ends_before_the_sequence(void **state)
{
	(void)state;
	check(STOPS("END"), "one END two", "one ", "END");
	check(STOPS("END"), "one EEND", "one E", "END");
	check(STOPS("END"), "END", "", "END");
	check(STOPS("\n\n"), "a\nb\n\nc", "a\nb", "\n\n");
	check(STOPS("aab"), "aaaab", "aa", "aab");
	check(STOPS("abcabd"), "abcabcabdx", "abc", "abcabd");
	check(STOPS("", "ж"), "привет, журнал", "привет, ", "ж");
}

static void trap_073_any_other_text_passes(void **state)
{
	(void)state;
	check(STOPS("END"), "one EN", "one EN", NULL);
	check(STOPS("END"), "E EN END", "E EN ", "END");
	check(STOPS("END"), "no such word", "no such word", NULL);
	check(STOPS("aab"), "aaaaaa", "aaaaaa", NULL);
}

static void trap_073_the_sequence_that_is_whole_first_counts(void **state)
{
	(void)state;
	check(STOPS("bcd", "c"), "abcd", "ab", "c");
	check(STOPS("c", "abc"), "xabcd", "x", "abc");
	check(STOPS("zz", "b", "abq"), "xabz", "xa", "b");
}

static void trap_073_what_follows_the_cut_is_swallowed(void **state)
{
	struct rig g;
	struct ir_sink *s = rig_start(&g, STOPS("STOP"));

	(void)state;
	say_text(s, 0, IR_BLOCK_REASONING, STR("I STOP to think. "), 3);
	say_text(s, 1, IR_BLOCK_TEXT, STR("ST"), 1);
	say_text(s, 2, IR_BLOCK_TEXT, STR("OP. Now STOP it"), 4);
	say_text(s, 3, IR_BLOCK_TEXT, STR("more"), 4);
	say(s, (struct ir_event){ .kind = IR_OPEN,
				  .index = 4,
				  .block = IR_BLOCK_TOOL_CALL,
				  .id = STR("c"),
				  .name = STR("f") });
	say(s, (struct ir_event){ .kind = IR_CLOSE, .index = 4, .block = IR_BLOCK_TOOL_CALL });
	finish(s);
	assert_string_equal(g.heard.text, "I STOP to think. STOP. Now ");
	assert_int_equal(g.heard.open, 3);
	assert_int_equal(g.heard.closed, 3);
	assert_int_equal(g.heard.stop, IR_STOP_SEQUENCE);
	assert_int_equal(g.heard.output, 99);
	arena_free(g.a);
}

static void cite(struct ir_sink *s, unsigned index, int64_t start, int64_t end, const char *url)
{
	struct ir_citation c = { .start = start, .end = end, .url = str_from(url) };

	say(s, (struct ir_event){ .kind = IR_DELTA,
				  .index = index,
				  .block = IR_BLOCK_TEXT,
				  .delta = IR_DELTA_CITATION,
				  .citation = &c });
}

/* Many vendors cite at the end of a text: what is cited of the part that was said is still told. */
static void trap_055_citations_behind_the_cut_are_told(void **state)
{
	struct rig g;
	struct ir_sink *s = rig_start(&g, STOPS("END"));

	(void)state;
	say(s, (struct ir_event){ .kind = IR_OPEN, .block = IR_BLOCK_TEXT });
	say(s, (struct ir_event){ .kind = IR_DELTA,
				  .block = IR_BLOCK_TEXT,
				  .delta = IR_DELTA_TEXT,
				  .text = STR("wörd END more") });
	cite(s, 0, 0, 4, "a");
	cite(s, 0, 2, 12, "b");
	cite(s, 0, 5, 12, "c");
	cite(s, 0, -1, -1, "d");
	say(s, (struct ir_event){ .kind = IR_CLOSE, .block = IR_BLOCK_TEXT });
	say(s, (struct ir_event){ .kind = IR_OPEN, .index = 1, .block = IR_BLOCK_TEXT });
	cite(s, 1, 0, 4, "e");
	say(s, (struct ir_event){ .kind = IR_CLOSE, .index = 1, .block = IR_BLOCK_TEXT });
	finish(s);
	assert_string_equal(g.heard.text, "wörd ");
	assert_string_equal(g.heard.cited, "a 0-4; b 2-5; d -1--1; ");
	assert_int_equal(g.heard.closed, 1);
	arena_free(g.a);
}

static void tokens_leave_with_their_text(void **state)
{
	static const struct {
		const char *text, *logprobs;
	} deltas[] = {
		{ "a E", "[{\"token\":\"a\"},{\"token\":\" E\"}]" },
		{ "N", "[{\"token\":\"N\",\"bytes\":[78]}]" },
		{ "x", "[{\"token\":\"x\"}]" },
		{ " EN", "[{\"token\":\" EN\"}]" },
		{ "D y", "[{\"token\":\"D\"},{\"token\":\" y\"}]" },
	};
	struct rig g;
	struct ir_sink *s = rig_start(&g, STOPS("END"));

	(void)state;
	say(s, (struct ir_event){ .kind = IR_OPEN, .block = IR_BLOCK_TEXT });
	for (size_t i = 0; i < sizeof(deltas) / sizeof(deltas[0]); i++)
		say(s, (struct ir_event){ .kind = IR_DELTA,
					  .block = IR_BLOCK_TEXT,
					  .delta = IR_DELTA_TEXT,
					  .text = str_from(deltas[i].text),
					  .logprobs = str_from(deltas[i].logprobs) });
	say(s, (struct ir_event){ .kind = IR_CLOSE, .block = IR_BLOCK_TEXT });
	finish(s);
	assert_string_equal(g.heard.text, "a ENx ");
	assert_string_equal(
		g.heard.tokens,
		"[{\"token\":\"a\"}][{\"token\":\" E\"},{\"token\":\"N\",\"bytes\":[78]}]"
		"[{\"token\":\"x\"}]");
	arena_free(g.a);
}

static void empty_sequences_mean_nothing(void **state)
{
	struct str stops[] = { STR(""), STR("x"), STR("") };
	struct ir_request r;

	(void)state;
	ir_request_init(&r);
	assert_int_equal(ir_stop_cut_count(&r), 0);
	r.stop = stops;
	r.n_stop = 3;
	assert_int_equal(ir_stop_cut_count(&r), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_073_the_answer_ends_before_the_sequence),
		cmocka_unit_test(trap_073_any_other_text_passes),
		cmocka_unit_test(trap_073_the_sequence_that_is_whole_first_counts),
		cmocka_unit_test(trap_073_what_follows_the_cut_is_swallowed),
		cmocka_unit_test(trap_055_citations_behind_the_cut_are_told),
		cmocka_unit_test(tokens_leave_with_their_text),
		cmocka_unit_test(empty_sequences_mean_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
