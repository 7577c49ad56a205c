/* tests/fuzz/fuzz_conversation.c - any bytes as a client's body that continues a conversation whose turns are any bytes too.
 * Held: what comes out is JSON, holds no previous_response_id, and its pages hold no more than was asked for.
 *
 * The input is cut at NUL bytes: the new body, then what one turn was asked, then that turn's answer.
 */
#include <stdlib.h>

#include "json/scan.h"
#include "policy/conversation.h"

enum { ARENA_MAX = 64 << 20, OUT_MAX = 16 << 20 };

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void expand(struct arena *a, struct str body, const struct turn_ask *ask,
		   const struct stored_turn *turn, enum turn_reader reader)
{
	struct err e = { 0 };
	struct str opened;
	struct buf out;

	buf_init(&out, OUT_MAX);
	if (turn_expand(a, body, ask, turn, 1, reader, &out, &e) == RC_OK) {
		check(json_scan(buf_str(&out), NULL, 0, NULL) == RC_OK);
		check(!str_present(turn_get(buf_str(&out), "previous_response_id")));
		check(json_is_arr(json_parse(a, turn_get(buf_str(&out), "input"), NULL)));
		opened = turn_open_summaries(a, buf_str(&out));
		check(str_present(opened) && json_scan(opened, NULL, 0, NULL) == RC_OK);
	}
	buf_done(&out);
}

static void list(struct arena *a, const struct stored_turn *turn)
{
	struct turn_page p = { .limit = 2 };
	struct err e = { 0 };
	struct buf out;

	buf_init(&out, OUT_MAX);
	if (turn_page_write(a, &p, turn, 1, &out, &e) == RC_OK) {
		const json *page = json_parse(a, buf_str(&out), NULL);

		check(page && json_len(json_get(page, STR("data"))) <= p.limit);
	}
	buf_done(&out);
}

/* What is only named is found in the turn or said to be missing. */
static void refer(struct arena *a, const struct turn_ask *ask, const struct stored_turn *turn)
{
	struct turn_resolved r;
	struct turn_refs refs;
	struct err e = { 0 };

	if (turn_references(a, ask->input, &refs, &e) != RC_OK || refs.n == 0 ||
	    turn_resolve(a, ask->input, turn, 1, STR(""), &r) != RC_OK)
		return;
	check(str_present(r.missing) ||
	      (json_parse(a, r.ours, NULL) && json_parse(a, r.foreign, NULL)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data, size };
	struct str body = str_cut(&rest, '\0');
	struct stored_turn turn = { .id = STR("resp_1"), .owner = STR("") };
	struct json_want at[PEEK_TURN_COUNT] = {
		[PEEK_PREVIOUS] = { .key = "previous_response_id" },
		[PEEK_INPUT] = { .key = "input" },
		[PEEK_STORE] = { .key = "store" },
		[PEEK_BACKGROUND] = { .key = "background" },
		[PEEK_CONVERSATION] = { .key = "conversation" },
	};
	struct arena *a = arena_new(ARENA_MAX);
	struct turn_ask ask;
	struct err e = { 0 };
	struct str asked;

	check(a != NULL);
	turn.input = str_present(rest) ? str_cut(&rest, '\0') : STR("[]");
	turn.answer = str_present(rest) ? rest : STR("{}");
	if (json_scan(body, at, PEEK_TURN_COUNT, &e) == RC_OK &&
	    turn_ask_read(a, at, &ask, &e) == RC_OK) {
		expand(a, body, &ask, &turn, TURN_OURS);
		expand(a, body, &ask, &turn, TURN_FOREIGN);
		refer(a, &ask, &turn);
		asked = turn_ask_summary(a, body, &e);
		check(!str_present(asked) || json_scan(asked, NULL, 0, NULL) == RC_OK);
	} else {
		check(e.msg[0]);
	}
	list(a, &turn);
	(void)!str_present(turn_read_summary(a, turn.answer));
	arena_free(a);
	return 0;
}
