/* tests/unit/wire/test_framer.c - mirrors src/wire/framer.c.
 *
 * Rule under test: the frames of a stream are the same however its bytes are cut, none waits for bytes it does not need, and
 * the frames' raw bytes put together are the stream, so that a relay changes nothing.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "check.h"
#include "wire/framer.h"

enum { MAX_FRAME = 40 };

struct tape {
	struct buf out; /* data; for each frame that has some, '.' for one that has none */
	struct buf raw;
	enum framer_result end;
};

static void feed(struct framer *f, struct buf *window, struct tape *t, struct str bytes)
{
	struct frame ev;
	size_t used = 0;

	buf_put(window, bytes);
	while (t->end == FRAMER_MORE || t->end == FRAMER_FRAME) {
		struct str all = buf_str(window);
		/* The framer gets a copy that ends where the bytes end: ASan sees one byte more. */
		char *copy = malloc(all.len ? all.len : 1);

		memcpy(copy, all.ptr, all.len);
		t->end = framer_next(f, (struct str){ copy, all.len }, &ev, &used);
		if (t->end == FRAMER_FRAME) {
			assert_true(used && used <= all.len);
			assert_int_equal(used, ev.raw.len);
			assert_ptr_equal(ev.raw.ptr, copy);
			assert_int_equal(ev.comment, !ev.data.ptr);
			buf_put(&t->raw, ev.raw);
			buf_put(&t->out, ev.data.ptr ? ev.data : STR("."));
			if (ev.data.ptr)
				buf_putc(&t->out, ';');
			buf_consume(window, used);
		}
		free(copy);
		if (t->end != FRAMER_FRAME)
			break;
	}
}

/* `in` in pieces: up to `cut`, then `step` bytes each. */
static void play(struct tape *t, enum framing framing, struct str in, size_t cut, size_t step)
{
	struct framer f;
	struct buf window;

	*t = (struct tape){ .end = FRAMER_MORE };
	buf_init(&t->out, 1 << 16);
	buf_init(&t->raw, 1 << 16);
	buf_init(&window, 1 << 16);
	framer_init(&f, framing, MAX_FRAME);
	feed(&f, &window, t, (struct str){ in.ptr, cut });
	for (size_t at = cut; at < in.len; at += step) {
		size_t n = step < in.len - at ? step : in.len - at;

		feed(&f, &window, t, (struct str){ in.ptr + at, n });
	}
	framer_done(&f);
	buf_done(&window);
}

static void tape_done(struct tape *t)
{
	buf_done(&t->out);
	buf_done(&t->raw);
}

static const struct {
	enum framing framing;
	const char *in, *out;
	enum framer_result end;
} cases[] = {
	{ FRAMING_SSE, "data: 1\n\n: c\n\ndata: 2\r\n\r\ndata: 3", "1;.2;", FRAMER_MORE },
	{ FRAMING_SSE, "data: 12345678901234567890123456789012345678901\n\n", "", FRAMER_TOOBIG },

	{ FRAMING_NDJSON, "{\"a\":1}\n{\"b\":2}\r\n\n  \n{\"c\":3}\n{\"d\"",
	  "{\"a\":1};{\"b\":2};..{\"c\":3};", FRAMER_MORE },
	{ FRAMING_NDJSON, "", "", FRAMER_MORE },
	{ FRAMING_NDJSON, "no json\n[}\n", "no json;[};", FRAMER_MORE },
	{ FRAMING_NDJSON, "1\n12345678901234567890123456789012345678901\n", "1;", FRAMER_TOOBIG },
	{ FRAMING_NDJSON, "12345678901234567890123456789012345678901", "", FRAMER_TOOBIG },

	{ FRAMING_JSON_ARRAY, "[{\"a\":1}\n,\r\n{\"b\":[1,{\"c\":2}]}\n]\n",
	  ".{\"a\":1};.{\"b\":[1,{\"c\":2}]};.", FRAMER_MORE },
	{ FRAMING_JSON_ARRAY, "[{\"a\":\"]},[\\\"}\"},{\"\\\\\":0}]",
	  ".{\"a\":\"]},[\\\"}\"};.{\"\\\\\":0};.", FRAMER_MORE },
	{ FRAMING_JSON_ARRAY, " [ ] ", "..", FRAMER_MORE },
	{ FRAMING_JSON_ARRAY, "[1, \"x,]\" ,null]", ".1;.\"x,]\";.null;.", FRAMER_MORE },
	{ FRAMING_JSON_ARRAY, "[[1],[[2]]]", ".[1];.[[2]];.", FRAMER_MORE },
	{ FRAMING_JSON_ARRAY, "[{\"a\":1}", ".{\"a\":1};", FRAMER_MORE }, /* waits for no comma */
	{ FRAMING_JSON_ARRAY, "[{\"a\":{}", ".", FRAMER_MORE },
	{ FRAMING_JSON_ARRAY, "{\"error\":{}}", "", FRAMER_SYNTAX },
	{ FRAMING_JSON_ARRAY, "<html>", "", FRAMER_SYNTAX },
	{ FRAMING_JSON_ARRAY, "[]]", "..", FRAMER_SYNTAX },
	{ FRAMING_JSON_ARRAY, "[1]2", ".1;.", FRAMER_SYNTAX },
	{ FRAMING_JSON_ARRAY, "[1,\"3456789012345678901234567890123456789012\"]", ".1;.",
	  FRAMER_TOOBIG },
	{ FRAMING_JSON_ARRAY, "[{\"2345678901234567890123456789012345678901", ".", FRAMER_TOOBIG },
};

static void check(size_t i, size_t cut, size_t step)
{
	struct str in = str_from(cases[i].in);
	struct tape t;

	play(&t, cases[i].framing, in, cut, step);
	if (!str_eq(buf_str(&t.out), str_from(cases[i].out)) || t.end != cases[i].end)
		fail_msg("case %zu cut at %zu by %zu: %.*s end %d", i, cut, step,
			 STR_ARG(buf_str(&t.out)), t.end);
	assert_memory_equal(buf_str(&t.raw).ptr, in.ptr, buf_len(&t.raw));
	tape_done(&t);
}

static void the_same_frames_at_every_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].in);

		for (size_t cut = 0; cut <= len; cut++)
			check(i, cut, len + 1);
		for (size_t step = 1; step < 8; step++)
			check(i, 0, step);
	}
}

/* What lies there while the rest trickles in is looked at once: the state is the framer's, not made anew. */
static void a_long_element_is_not_read_again(void **state)
{
	struct framer f;
	struct frame ev;
	size_t used, len = 1 << 20;
	char *text = malloc(len);

	(void)state;
	memset(text, 'x', len);
	memcpy(text, "\"", 1);
	framer_init(&f, FRAMING_JSON_ARRAY, len);
	assert_int_equal(framer_next(&f, STR("["), &ev, &used), FRAMER_FRAME);
	for (size_t have = 1; have < len - 1; have++)
		assert_int_equal(framer_next(&f, (struct str){ text, have }, &ev, &used),
				 FRAMER_MORE);
	memcpy(text + len - 2, "\",", 2);
	assert_int_equal(framer_next(&f, (struct str){ text, len }, &ev, &used), FRAMER_FRAME);
	assert_int_equal(used, len - 1);
	framer_done(&f);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_frames_at_every_split),
		cmocka_unit_test(a_long_element_is_not_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
