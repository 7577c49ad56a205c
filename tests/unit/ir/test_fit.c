/* tests/unit/ir/test_fit.c - mirrors src/ir/fit.c.
 * Rule: a client gets each picture in a form of its dialect or as words that point to it, or it is told what it does not get. */
#include "check.h"
#include "ir/fit.h"
#include "ir/grammar.h"

#define DATA "data:image/png;base64,AAAA"
#define WEB "https://e.com/a.png"

enum { BOTH = IR_PICTURES_DATA | IR_PICTURES_URL };

struct heard {
	struct ir_sink sink;
	char text[512];
};

static void note(struct heard *h, const char *what, struct str s)
{
	size_t at = strlen(h->text);

	(void)snprintf(h->text + at, sizeof(h->text) - at, "%s%.*s", what, STR_ARG(s));
}

static int hear(struct ir_sink *self, const struct ir_event *ev)
{
	struct heard *h = (struct heard *)self;
	bool opaque = ev->block == IR_BLOCK_OPAQUE;

	if (ev->kind == IR_OPEN)
		note(h, opaque ? "<" : "[", STR(""));
	if (ev->kind == IR_DELTA)
		note(h, opaque ? "raw " : "", opaque ? ev->picture : ev->text);
	if (ev->kind == IR_CLOSE)
		note(h, opaque ? ">" : "]", STR(""));
	return 0;
}

static void say(struct ir_sink *s, struct ir_event ev)
{
	ev.usage = IR_USAGE_NONE;
	assert_int_equal(ir_emit(s, &ev), 0);
}

struct drawn {
	const char *origin, *picture, *name;
};

/* What a client hears of a text and a block of that kind, and what it is told that it does not get. */
static void check(unsigned forms, const struct ir_request *r, struct drawn d, const char *want,
		  const char *lost)
{
	struct arena *a = arena_new(1 << 20);
	struct heard h = { .sink = { hear } };
	struct ir_losses losses;
	struct ir_grammar before, behind;
	struct ir_fit f;

	ir_losses_init(&losses, a);
	ir_grammar_init(&behind, &h.sink);
	ir_fit_init(&f, a, "openai-chat", forms, r, &losses, &behind.sink);
	ir_grammar_init(&before, &f.sink);
	say(&before.sink, (struct ir_event){ .kind = IR_START });
	say(&before.sink, (struct ir_event){ .kind = IR_OPEN });
	say(&before.sink, (struct ir_event){ .kind = IR_DELTA, .text = STR("Hi") });
	say(&before.sink, (struct ir_event){ .kind = IR_CLOSE });
	say(&before.sink,
	    (struct ir_event){
		    .kind = IR_OPEN, .index = 1, .block = IR_BLOCK_OPAQUE, .origin = d.origin });
	say(&before.sink, (struct ir_event){ .kind = IR_PING });
	say(&before.sink,
	    (struct ir_event){ .kind = IR_DELTA,
			       .delta = IR_DELTA_RAW,
			       .index = 1,
			       .block = IR_BLOCK_OPAQUE,
			       .text = STR("{}"),
			       .name = d.name ? str_from(d.name) : STR_NONE,
			       .picture = d.picture ? str_from(d.picture) : STR_NONE });
	say(&before.sink,
	    (struct ir_event){ .kind = IR_CLOSE, .index = 1, .block = IR_BLOCK_OPAQUE });
	say(&before.sink, (struct ir_event){ .kind = IR_FINISH });
	assert_string_equal(h.text, want);
	CHECK_STR_IS(losses.n ? ir_losses_text(&losses) : STR(""), str_from(lost));
	arena_free(a);
}

static void what_the_dialect_has_a_form_for_passes(void **state)
{
	const struct drawn data = { "gemini", DATA, "answer.image" },
			   web = { "gemini", WEB, "answer.image" };

	(void)state;
	check(BOTH, NULL, data, "[Hi]<raw " DATA ">", "");
	check(BOTH, NULL, web, "[Hi]<raw " WEB ">", "");
	check(IR_PICTURES_DATA, NULL, data, "[Hi]<raw " DATA ">", "");
	check(IR_PICTURES_DATA, NULL, web, "[Hi][![image](" WEB ")]", "");
	check(IR_PICTURES_URL, NULL, data, "[Hi]<raw >", "answer.image");
}

static void without_a_form_words_point_to_what_lies_in_the_web(void **state)
{
	(void)state;
	check(0, NULL, (struct drawn){ "gemini", "HTTP://e.com/a (\n1).png?x=<2>&y=\"\\", NULL },
	      "[Hi][![image](HTTP://e.com/a%20%28%0A1%29.png?x=%3C2%3E&y=%22%5C)]", "");
}

static void what_has_neither_is_missed(void **state)
{
	(void)state;
	check(0, NULL, (struct drawn){ "gemini", DATA, NULL }, "[Hi]<raw >", "answer.image");
	check(BOTH, NULL, (struct drawn){ "gemini", NULL, "answer.audio" }, "[Hi]<raw >",
	      "answer.audio");
	check(BOTH, NULL, (struct drawn){ "gemini", "gs://bucket/a.png", "answer.image" },
	      "[Hi]<raw >", "answer.image");
	check(BOTH, NULL, (struct drawn){ "gemini", "data:image/png;base64,", "answer.image" },
	      "[Hi]<raw >", "answer.image");
	check(BOTH, NULL, (struct drawn){ "gemini", "data:image/svg+xml,<svg/>", "answer.image" },
	      "[Hi]<raw >", "answer.image");
	check(BOTH, NULL, (struct drawn){ NULL, NULL, "answer.audio" }, "[Hi]<raw >",
	      "answer.audio");
}

static void blocks_that_nobody_misses_and_the_clients_own_pass(void **state)
{
	(void)state;
	check(0, NULL, (struct drawn){ "gemini", NULL, NULL }, "[Hi]<raw >", "");
	check(0, NULL, (struct drawn){ "openai-chat", DATA, "answer.image" }, "[Hi]<raw " DATA ">",
	      "");
	check(0, NULL, (struct drawn){ "openai-chat", "gs://b/a", "answer.image" },
	      "[Hi]<raw gs://b/a>", "");
}

static void an_answer_that_must_be_json_gets_no_words(void **state)
{
	struct ir_request r;

	(void)state;
	ir_request_init(&r);
	r.format.kind = IR_FORMAT_JSON_SCHEMA;
	check(0, &r, (struct drawn){ "gemini", WEB, "answer.image" }, "[Hi]<raw >", "answer.image");
	r.format.kind = IR_FORMAT_TEXT;
	check(0, &r, (struct drawn){ "gemini", WEB, "answer.image" }, "[Hi][![image](" WEB ")]",
	      "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_dialect_has_a_form_for_passes),
		cmocka_unit_test(without_a_form_words_point_to_what_lies_in_the_web),
		cmocka_unit_test(what_has_neither_is_missed),
		cmocka_unit_test(blocks_that_nobody_misses_and_the_clients_own_pass),
		cmocka_unit_test(an_answer_that_must_be_json_gets_no_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
