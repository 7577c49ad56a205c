/* tests/unit/ir/test_grammar.c - mirrors src/ir/grammar.c.
 * A row is a sequence of events in letters, and at which of them (from 0) it breaks; -1: it is fine.
 *	S START  t r c f o  OPEN of text, reasoning, call, refusal, opaque   ) CLOSE
 *	T text  A arguments  G signature  D redacted  Q citation  W raw      U USAGE  F FINISH  E ERROR  P PING
 *	+ the next OPEN skips an index   2 DELTA with the wrong index */
#include "check.h"
#include "ir/grammar.h"

static const struct {
	const char *events;
	int breaks_at;
} rows[] = {
	{ "SF", -1 },
	{ "StTT)UF", -1 },
	{ "PSPtPTP)F", -1 },
	{ "SrTG)tTQ)cA)UUF", -1 },
	{ "SrD)fT)oW)F", -1 },
	{ "SU", -1 },
	{ "StT)UtT)UF", -1 },
	{ "E", -1 },
	{ "StTE", -1 },
	{ "tT)F", 0 },
	{ "F", 0 },
	{ "SS", 1 },
	{ "SFF", 2 },
	{ "SEP", 2 },
	{ "St)+c", 3 },
	{ "Stc", 2 },
	{ "St)T", 3 },
	{ "S)", 1 },
	{ "StA", 2 },
	{ "ScT", 2 },
	{ "StG", 2 },
	{ "SrQ", 2 },
	{ "SrGT", 3 },
	{ "SrGG", 3 },
	{ "StF", 2 },
	{ "StU", 2 },
	{ "St2", 2 },
	{ "Sx", 1 }, /* a call without a name */
};

static int take(struct ir_sink *self, const struct ir_event *ev)
{
	return 0;
}

struct writer {
	unsigned next;
	enum ir_block_kind block;
	bool skip;
};

static struct ir_event make(struct writer *w, char c)
{
	static const char kinds[] = "trcfo", deltas[] = "TAGDQW", others[] = "SUFEP";
	static const enum ir_event_kind other_kinds[] = { IR_START, IR_USAGE, IR_FINISH, IR_ERROR,
							  IR_PING };
	static const struct ir_error error = { .kind = IR_ERR_UPSTREAM };
	static const struct ir_citation citation = { .start = -1, .end = -1 };
	struct ir_event ev = { .kind = IR_CLOSE,
			       .index = w->next - 1,
			       .block = w->block,
			       .error = &error,
			       .citation = &citation };
	static const enum ir_block_kind block_kinds[] = { IR_BLOCK_TEXT, IR_BLOCK_REASONING,
							  IR_BLOCK_TOOL_CALL, IR_BLOCK_REFUSAL,
							  IR_BLOCK_OPAQUE };

	if (strchr(kinds, c) || c == 'x') {
		w->next += w->skip;
		w->skip = false;
		w->block = c == 'x' ? IR_BLOCK_TOOL_CALL : block_kinds[strchr(kinds, c) - kinds];
		ev.kind = IR_OPEN;
		ev.index = w->next++;
		ev.block = w->block;
		ev.id = STR("id");
		ev.name = c == 'x' ? STR_NONE : STR("name");
	} else if (strchr(deltas, c) || c == '2') {
		ev.kind = IR_DELTA;
		ev.delta =
			c == '2' ? IR_DELTA_TEXT : (enum ir_delta_kind)(strchr(deltas, c) - deltas);
		ev.index += c == '2';
	} else if (strchr(others, c)) {
		ev.kind = other_kinds[strchr(others, c) - others];
	}
	return ev;
}

static void a_breach_is_found_where_it_happens(void **state)
{
	struct ir_sink sink = { .event = take };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct writer w = { .next = 0 };
		struct ir_grammar g;
		int at = 0, broke = -1;

		ir_grammar_init(&g, &sink);
		for (const char *c = rows[i].events; *c && broke < 0; c++) {
			struct ir_event ev;

			if (*c == '+') {
				w.skip = true;
				continue;
			}
			ev = make(&w, *c);
			if (ir_emit(&g.sink, &ev) != RC_OK)
				broke = at;
			at++;
		}
		if (broke != rows[i].breaks_at)
			fail_msg("%s: breaks at %d, not %d (%s)", rows[i].events, broke,
				 rows[i].breaks_at, g.breach ? g.breach : "");
		assert_true(broke < 0 || g.breach);
	}
}

static int refuse(struct ir_sink *self, const struct ir_event *ev)
{
	return RC_NOMEM;
}

static void the_next_sinks_failure_is_passed_up(void **state)
{
	struct ir_sink sink = { .event = refuse };
	struct ir_event ev = { .kind = IR_START };
	struct ir_grammar g;

	ir_grammar_init(&g, &sink);
	assert_int_equal(ir_emit(&g.sink, &ev), RC_NOMEM);
	assert_null(g.breach);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_breach_is_found_where_it_happens),
		cmocka_unit_test(the_next_sinks_failure_is_passed_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
