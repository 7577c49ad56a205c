/* tests/unit/ir/test_drawn.c - mirrors src/ir/drawn.c.
 * Rule: what the model drew stands behind the results of the user's next turn, once and in order, and the request itself is as it was. */
#include "check.h"
#include "ir/drawn.h"

static const struct ir_part text = { .kind = IR_PART_TEXT, .text = STR_INIT("t") },
			    image = { .kind = IR_PART_IMAGE }, file = { .kind = IR_PART_FILE },
			    words = { .kind = IR_PART_FILE, .media.source = IR_MEDIA_TEXT },
			    nothing = { .kind = IR_PART_TEXT, .text = STR_INIT("") },
			    thought = { .kind = IR_PART_REASONING },
			    result = { .kind = IR_PART_TOOL_RESULT },
			    call = { .kind = IR_PART_TOOL_CALL },
			    own = { .kind = IR_PART_IMAGE,
				    .raw = STR_INIT("{}"),
				    .origin = "openai-responses" };

struct turn {
	enum ir_role role;
	const struct ir_part *parts[6];
};

/* "u:t" is a turn of the user with a text; the line that stands before what was drawn is "-", that in its place "p" or "d". */
static void write_down(const struct ir_request *r, char *to, size_t room)
{
	static const char *const names[] = {
		[IR_PART_TEXT] = "t",      [IR_PART_IMAGE] = "i",     [IR_PART_FILE] = "f",
		[IR_PART_TOOL_CALL] = "c", [IR_PART_REASONING] = "h", [IR_PART_TOOL_RESULT] = "r"
	};

	to[0] = '\0';
	for (unsigned i = 0; i < r->n_messages; i++) {
		const struct ir_message *m = &r->messages[i];

		(void)snprintf(to + strlen(to), room - strlen(to), "%s%s:", i ? " " : "",
			       m->role == IR_ROLE_USER     ? "u"
			       : m->role == IR_ROLE_SYSTEM ? "s"
							   : "a");
		for (unsigned k = 0; k < m->n_parts; k++)
			(void)snprintf(to + strlen(to), room - strlen(to), "%s",
				       str_eq(m->parts[k].text, STR(IR_DRAWN_LINE))      ? "-"
				       : str_eq(m->parts[k].text, STR(IR_DRAWN_PICTURE)) ? "p"
				       : str_eq(m->parts[k].text, STR(IR_DRAWN_DOCUMENT))
					       ? "d"
					       : names[m->parts[k].kind]);
	}
}

static void check(const struct turn *turns, unsigned n, bool keep_pictures, const char *want,
		  const char *lost)
{
	struct arena *a = arena_new(1 << 20);
	struct ir_message messages[8] = { 0 };
	struct ir_part parts[8][6];
	struct ir_request r;
	const struct ir_request *got;
	struct ir_losses losses;
	char before[256], after[256], shown[256];

	ir_request_init(&r);
	r.messages = messages;
	r.n_messages = n;
	for (unsigned i = 0; i < n; i++) {
		messages[i].role = turns[i].role;
		messages[i].parts = parts[i];
		while (messages[i].n_parts < 6 && turns[i].parts[messages[i].n_parts]) {
			parts[i][messages[i].n_parts] = *turns[i].parts[messages[i].n_parts];
			messages[i].n_parts++;
		}
	}
	ir_losses_init(&losses, a);
	write_down(&r, before, sizeof(before));
	assert_int_equal(ir_drawn_to_user(a, &r, "openai-responses", keep_pictures, &losses, &got),
			 0);
	write_down(got, shown, sizeof(shown));
	assert_string_equal(shown, want);
	write_down(&r, after, sizeof(after));
	assert_string_equal(before, after);
	CHECK_STR_IS(losses.n ? ir_losses_text(&losses) : STR(""), str_from(lost));
	if (strcmp(before, want) == 0)
		assert_ptr_equal(got, &r);
	arena_free(a);
}

#define USER IR_ROLE_USER
#define MODEL IR_ROLE_ASSISTANT
#define CHECK(keep, want, lost, ...)                                            \
	do {                                                                    \
		const struct turn turns[] = { __VA_ARGS__ };                    \
		check(turns, sizeof(turns) / sizeof(*turns), keep, want, lost); \
	} while (0)

static void trap_042_it_goes_into_the_users_next_turn_behind_the_results(void **state)
{
	(void)state;
	CHECK(false, "u:t a:t u:-it", "", { USER, { &text } }, { MODEL, { &text, &image } },
	      { USER, { &text } });
	CHECK(false, "a:tc u:rr-ift", "", { MODEL, { &image, &text, &file, &call } },
	      { USER, { &result, &result, &text } });
	/* From several turns, whoever speaks between them. */
	CHECK(false, "a:p s:t a:t u:-iit a:p u:-i", "", { MODEL, { &image } },
	      { IR_ROLE_SYSTEM, { &text } }, { MODEL, { &text, &image } }, { USER, { &text } },
	      { MODEL, { &image } }, { USER, { 0 } });
}

static void what_nobody_answers_is_lost_and_said(void **state)
{
	(void)state;
	CHECK(false, "u:t a:t", "image", { USER, { &text } }, { MODEL, { &text, &image } });
	CHECK(false, "u:t a:t", "document, image", { USER, { &text } }, { MODEL, { &text, &file } },
	      { MODEL, { &image } });
}

static void trap_040_nothing_comes_between_results_of_their_own_messages(void **state)
{
	(void)state;
	CHECK(false, "a:c u:r u:r-i", "", { MODEL, { &image, &call } }, { USER, { &result } },
	      { USER, { &result } });
	CHECK(false, "a:c u:rr u:r u:r-it u:r", "", { MODEL, { &image, &call } },
	      { USER, { &result, &result } }, { USER, { &result } }, { USER, { &result, &text } },
	      { USER, { &result } });
	CHECK(false, "a:c u:r-i u:t", "", { MODEL, { &image, &call } }, { USER, { &result } },
	      { USER, { &text } });
}

static void a_turn_that_was_nothing_else_says_what_it_was(void **state)
{
	(void)state;
	CHECK(false, "u:t a:tp u:-it", "", { USER, { &text } }, { MODEL, { &nothing, &image } },
	      { USER, { &text } });
	CHECK(false, "a:d u:-ft", "", { MODEL, { &file } }, { USER, { &text } });
	CHECK(false, "a:hp u:-fit", "", { MODEL, { &thought, &file, &image } },
	      { USER, { &text } });
	/* Behind it nobody speaks: the user's is the last turn. */
	CHECK(false, "u:t", "image", { USER, { &text } }, { MODEL, { &nothing, &image } });
	CHECK(false, "u:t a:h", "image", { USER, { &text } }, { MODEL, { &thought, &image } });
	CHECK(false, "a:", "image", { MODEL, { &image } });
}

/* The work for a body grows with it, not with its square: that was a minute for this one. */
static void trap_042_many_pictures_are_no_more_work_each(void **state)
{
	enum { MANY = 100 * 1000 };
	struct arena *a = arena_new(1u << 30);
	struct ir_message m = { .role = MODEL, .n_parts = MANY };
	const struct ir_request *got;
	struct ir_request r;
	struct ir_losses losses;
	uint64_t before;

	(void)state;
	ir_request_init(&r);
	m.parts = arena_array(a, MANY, sizeof(*m.parts));
	assert_non_null(m.parts);
	for (unsigned i = 0; i < MANY; i++)
		m.parts[i].kind = IR_PART_IMAGE;
	r.messages = &m;
	r.n_messages = 1;
	ir_losses_init(&losses, a);
	before = check_cpu_ms();
	assert_int_equal(ir_drawn_to_user(a, &r, NULL, false, &losses, &got), 0);
	assert_true(check_cpu_ms() - before < 3000);
	assert_int_equal(got->messages[0].n_parts, 0);
	CHECK_STR_IS(ir_losses_text(&losses), STR("image"));
	arena_free(a);
}

static void what_may_stay_stays(void **state)
{
	(void)state;
	CHECK(false, "u:ti a:t u:t", "", { USER, { &text, &image } }, { MODEL, { &text } },
	      { USER, { &text } });
	CHECK(false, "a:if u:t", "", { MODEL, { &own, &words } }, { USER, { &text } });
	CHECK(true, "a:i u:-ft", "", { MODEL, { &image, &file } }, { USER, { &text } });
	CHECK(true, "a:ti u:t", "", { MODEL, { &text, &image } }, { USER, { &text } });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_042_it_goes_into_the_users_next_turn_behind_the_results),
		cmocka_unit_test(what_nobody_answers_is_lost_and_said),
		cmocka_unit_test(trap_040_nothing_comes_between_results_of_their_own_messages),
		cmocka_unit_test(a_turn_that_was_nothing_else_says_what_it_was),
		cmocka_unit_test(trap_042_many_pictures_are_no_more_work_each),
		cmocka_unit_test(what_may_stay_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
