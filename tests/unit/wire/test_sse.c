/* tests/unit/wire/test_sse.c - mirrors src/wire/sse.c.
 *
 * Rule under test: the events of a stream are those that WHATWG's algorithm gives (the cases
 * follow the eventsource tests of web-platform-tests), however its bytes are cut; and the
 * blocks' raw bytes put together are the stream, so that a relay changes nothing.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "check.h"
#include "wire/sse.h"

enum { MAX_EVENT = 1000 };

struct tape {
	struct buf out; /* name|data; for each block that is an event */
	struct buf raw; /* all blocks */
	enum sse_result end;
};

/* A caller as it is meant: appends what arrives, reads all that is whole, drops what was read. */
static void feed(struct sse_parser *p, struct buf *window, struct tape *t, struct str bytes)
{
	struct frame ev;
	size_t used = 0;

	buf_put(window, bytes);
	while (t->end == SSE_MORE || t->end == SSE_EVENT) {
		struct str all = buf_str(window);
		/* The parser gets a copy that ends where the bytes end: ASan sees one byte more. */
		char *copy = malloc(all.len ? all.len : 1);

		memcpy(copy, all.ptr, all.len);
		t->end = sse_next(p, (struct str){ copy, all.len }, &ev, &used);
		if (t->end == SSE_EVENT) {
			assert_true(used && used <= all.len);
			assert_int_equal(used, ev.raw.len);
			assert_ptr_equal(ev.raw.ptr, copy);
			buf_put(&t->raw, ev.raw);
			if (ev.data.ptr) {
				assert_false(ev.comment);
				buf_put(&t->out, ev.name);
				buf_putc(&t->out, '|');
				buf_put(&t->out, ev.data);
				buf_putc(&t->out, ';');
			}
			buf_consume(window, used);
		}
		free(copy);
		if (t->end != SSE_EVENT)
			break;
	}
}

static void play(struct tape *t, struct str in, size_t cut, size_t step)
{
	struct sse_parser p;
	struct buf window;

	sse_init(&p, MAX_EVENT);
	buf_init(&window, 1 << 20);
	*t = (struct tape){ 0 };
	buf_init(&t->out, 1 << 20);
	buf_init(&t->raw, 1 << 20);
	if (step) {
		for (size_t i = 0; i < in.len; i += step)
			feed(&p, &window, t,
			     (struct str){ in.ptr + i, in.len - i < step ? in.len - i : step });
	} else {
		feed(&p, &window, t, (struct str){ in.ptr, cut });
		feed(&p, &window, t, str_from_offset(in, cut));
	}
	buf_put(&t->raw, buf_str(&window)); /* what is left over */
	buf_done(&window);
	sse_done(&p);
}

static void tape_done(struct tape *t)
{
	buf_done(&t->out);
	buf_done(&t->raw);
}

static void expect_events(struct str in, struct str want)
{
	struct tape t;

	for (size_t cut = 0; cut <= in.len; cut++) {
		play(&t, in, cut, 0);
		CHECK_STR_IS(buf_str(&t.out), want);
		CHECK_STR_IS(buf_str(&t.raw), in);
		tape_done(&t);
	}
	play(&t, in, 0, 1);
	CHECK_STR_IS(buf_str(&t.out), want);
	CHECK_STR_IS(buf_str(&t.raw), in);
	tape_done(&t);
}

struct row {
	struct str in, want;
};

static void play_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_events(rows[i].in, rows[i].want);
}

#define ROW(in, want)                        \
	{                                    \
		STR_INIT(in), STR_INIT(want) \
	}
#define PLAY(rows) play_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void bar_25_trap_023_line_ends_bom_and_data_lines(void **state)
{
	static const struct row rows[] = {
		ROW("data: a\n\n", "|a;"),
		ROW("data: a\r\n\r\n", "|a;"),
		ROW("data: a\r\r", "|a;"),
		ROW("data: a\r\n\n", "|a;"),
		ROW("data: a\n\r\n", "|a;"),
		ROW("data: a\r\n\r", ""),
		ROW("data: a\n\r", "|a;"),
		ROW("data: a\r\r\n", "|a;"),
		ROW("data: a\r\r\ndata: b\r\r", "|a;|b;"),
		ROW("data: a\n\r\ndata: b\r\n\r\n", "|a;|b;"),
		ROW("data:a\n\n", "|a;"),
		ROW("data:  a\n\n", "| a;"),
		ROW("data: a \n\n", "|a ;"),
		ROW("data:\ta\n\n", "|\ta;"),
		ROW("data:\n\n", "|;"),
		ROW("data\n\n", "|;"),
		ROW("data: \n\n", "|;"),
		ROW("data:a\ndata:b\n\n", "|a\nb;"),
		ROW("data:a\rdata:b\r\ndata:c\n\n", "|a\nb\nc;"),
		ROW("data\ndata\n\n", "|\n;"),
		ROW("data:\ndata:x\ndata\n\n", "|\nx\n;"),
		ROW("\xef\xbb\xbf"
		    "data: a\n\n",
		    "|a;"),
		ROW("\xef\xbb\xbf\xef\xbb\xbf"
		    "data: a\n\ndata: b\n\n",
		    "|b;"),
		ROW("data: a\n\n\xef\xbb\xbf"
		    "data: b\n\n",
		    "|a;"),
		ROW("\xef\xbb\xbf\ndata: a\n\n", "|a;"),
		ROW("\n\n\n\ndata: a\n\n\n\ndata: b\n\n", "|a;|b;"),
		ROW("\r\n\r\ndata: a\r\n\r\n\r\ndata: b\r\n\r\n", "|a;|b;"),
		ROW("\rdata: a\r\r\rdata: b\r\r", "|a;|b;"),
		ROW("data: a:b: c\n\n", "|a:b: c;"),
		ROW(" data: a\n\n", ""),
		ROW("Data: a\n\n", ""),
		ROW("data : a\n\n", ""),
		ROW("data: a\0b\n\n", "|a\0b;"),
		ROW("data: a", ""),
		ROW("data: a\n", ""),
		ROW("", ""),
		ROW("\n", ""),
	};

	PLAY(rows);
}

static void trap_022_comments_are_no_events(void **state)
{
	static const struct row rows[] = {
		ROW(": ping\n\n", ""),
		ROW(":\n\n", ""),
		ROW(": OPENROUTER PROCESSING\n\ndata: a\n\n", "|a;"),
		ROW("data: a\n: in between\ndata: b\n\n", "|a\nb;"),
		ROW(":data: x\n\n", ""),
		ROW("data: a\n:\r\n\r\n", "|a;"),
	};
	struct sse_parser p;
	struct frame ev;
	size_t used;

	PLAY(rows);
	sse_init(&p, MAX_EVENT);
	assert_int_equal(sse_next(&p, STR_NONE, &ev, &used), SSE_MORE);
	assert_int_equal(sse_next(&p, STR(": ping\n\ndata: a\n\n"), &ev, &used), SSE_EVENT);
	assert_true(ev.comment);
	CHECK_STR(ev.raw, ": ping\n\n");
	assert_int_equal(sse_next(&p, STR("retry: 10\n\n"), &ev, &used), SSE_EVENT);
	assert_false(ev.comment);
	assert_null(ev.data.ptr);
	sse_done(&p);
}

static void names_and_other_fields(void **state)
{
	static const struct row rows[] = {
		ROW("event: x\ndata: a\n\ndata: b\n\n", "x|a;|b;"),
		ROW("event:x\nevent: y\ndata: a\n\n", "y|a;"),
		ROW("event: x\nevent:\ndata: a\n\n", "|a;"),
		ROW("event\ndata: a\n\n", "|a;"),
		ROW("data: a\nevent: x\n\n", "x|a;"),
		ROW("event: x\n\ndata: a\n\n", "|a;"),
		ROW("id: 1\nretry: 10\nfoo: bar\nnothing\ndata: a\n\n", "|a;"),
		ROW("id: 1\n\n", ""),
	};

	PLAY(rows);
}

static void bar_25_trap_024_text_of_many_scripts_survives_any_cut(void **state)
{
	expect_events(
		STR("data: {\"t\":\"na\xc3\xafve \xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 "
		    "\xe4\xbd\xa0\xe5\xa5\xbd \xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7 "
		    "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80\"}\r\n\r\n"
		    "event: e\r\ndata: \xf0\x9f\x98\x80\r\n\r\n"),
		STR("|{\"t\":\"na\xc3\xafve \xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 "
		    "\xe4\xbd\xa0\xe5\xa5\xbd \xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7 "
		    "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80\"};"
		    "e|\xf0\x9f\x98\x80;"));
}

/* The blank after the JSON that some servers pad with belongs to the data: whoever reads the JSON trims it. */
static void trap_026_padding_is_kept_for_the_reader_of_the_data(void **state)
{
	expect_events(STR("event: message_stop\ndata: {\"type\":\"message_stop\"}        \n\n"),
		      STR("message_stop|{\"type\":\"message_stop\"}        ;"));
}

/* The event is there with the last byte of its blank line and not one later. */
static void an_event_is_complete_with_its_blank_line(void **state)
{
	static const struct str streams[] = { STR_INIT("data: a\n\n"), STR_INIT("data: a\r\n\r\n"),
					      STR_INIT("data: a\r\r") };

	for (size_t i = 0; i < 3; i++) {
		struct sse_parser p;
		struct frame ev;
		size_t used;

		sse_init(&p, MAX_EVENT);
		for (size_t n = 0; n < streams[i].len; n++)
			assert_int_equal(sse_next(&p, (struct str){ streams[i].ptr, n }, &ev,
						  &used),
					 SSE_MORE);
		assert_int_equal(sse_next(&p, streams[i], &ev, &used), SSE_EVENT);
		assert_int_equal(used, streams[i].len);
		sse_done(&p);
	}
}

static void bar_26_trap_025_a_line_of_16_mib_passes_and_one_byte_more_does_not(void **state)
{
	size_t max = 16 << 20; /* of the block without its blank line */
	char *in = malloc(max + 3);
	struct sse_parser p;
	struct frame ev;
	size_t used;

	memset(in, 'x', max + 3);
	memcpy(in, "data: ", 6);
	in[max - 1] = in[max] = '\n';
	sse_init(&p, max);
	for (size_t n = 0; n < max; n += 65521)
		assert_int_equal(sse_next(&p, (struct str){ in, n }, &ev, &used), SSE_MORE);
	assert_int_equal(sse_next(&p, (struct str){ in, max + 1 }, &ev, &used), SSE_EVENT);
	assert_int_equal(ev.data.len, max - 7);
	in[max - 1] = 'x';
	in[max + 1] = '\n';
	assert_int_equal(sse_next(&p, (struct str){ in, max }, &ev, &used), SSE_MORE);
	assert_int_equal(sse_next(&p, (struct str){ in, max + 2 }, &ev, &used), SSE_TOOBIG);
	sse_done(&p);
	sse_init(&p, max); /* whole at once */
	assert_int_equal(sse_next(&p, (struct str){ in, max + 2 }, &ev, &used), SSE_TOOBIG);
	sse_done(&p);
	sse_init(&p, max); /* and while no end is in sight */
	in[max] = in[max + 1] = 'x';
	assert_int_equal(sse_next(&p, (struct str){ in, max + 2 }, &ev, &used), SSE_TOOBIG);
	sse_done(&p);
	free(in);
}

/* The limit does not depend on the cut, whatever the line ends. */
static void the_limit_is_the_same_however_cut(void **state)
{
	static const struct str ends[] = {
		STR_INIT("\n\n"),   STR_INIT("\r\n\r\n"), STR_INIT("\r\r"),
		STR_INIT("\n\r\n"), STR_INIT("\r\n\n"),   STR_INIT("\r\r\n"),
	};

	for (size_t i = 0; i < 36; i++) {
		for (size_t n = MAX_EVENT - 8; n <= MAX_EVENT; n++) {
			struct tape whole, t;
			struct buf in;

			buf_init(&in, 1 << 20);
			buf_puts(&in, "data: first");
			buf_put(&in, ends[i / 6]);
			buf_printf(&in, "data: %0*d", (int)n - 6, 7);
			buf_put(&in, ends[i % 6]);
			buf_puts(&in, "x");
			play(&whole, buf_str(&in), 0, buf_len(&in));
			for (size_t cut = buf_len(&in) - 8; cut < buf_len(&in); cut++) {
				play(&t, buf_str(&in), cut, 0);
				assert_int_equal(t.end, whole.end);
				tape_done(&t);
			}
			for (size_t cut = 8; cut < 20; cut++) {
				play(&t, buf_str(&in), cut, 0);
				assert_int_equal(t.end, whole.end);
				tape_done(&t);
			}
			assert_int_equal(whole.end, n + (ends[i % 6].ptr[0] == '\r' &&
							 ends[i % 6].ptr[1] == '\n') <
								    MAX_EVENT
							    ? SSE_MORE
							    : SSE_TOOBIG);
			tape_done(&whole);
			buf_done(&in);
		}
	}
}

static void bar_26_one_mebibyte_byte_by_byte_is_linear(void **state)
{
	static const struct str starts[] = { STR_INIT("data: "), STR_INIT("data: a\r"),
					     STR_INIT(": "), STR_INIT("event: ") };
	size_t n = 1 << 20;
	char *in = malloc(n);

	for (size_t i = 0; i < 4; i++) {
		uint64_t began = check_cpu_ms();
		struct sse_parser p;
		struct frame ev;
		size_t used, other = 0;

		memset(in, 'x', n);
		memcpy(in, starts[i].ptr, starts[i].len);
		in[n - 2] = in[n - 1] = '\n';
		sse_init(&p, n);
		for (size_t k = 0; k < n; k++)
			other += sse_next(&p, (struct str){ in, k }, &ev, &used) != SSE_MORE;
		assert_int_equal(other, 0);
		assert_int_equal(sse_next(&p, (struct str){ in, n }, &ev, &used), SSE_EVENT);
		sse_done(&p);
		/* Searching again from the start each time would take minutes. */
		assert_true(check_cpu_ms() - began < 10000);
	}
	free(in);
}

/* Many events in one window, and many lines in one event: each line end is searched for once,
 * also where there is no CR (or no LF) in all that follows. */
static void many_events_in_one_window_are_linear(void **state)
{
	static const struct str blocks[] = { STR_INIT("data: a\n\n"), STR_INIT("data: a\r\r"),
					     STR_INIT("data: a\n") };

	for (size_t i = 0; i < 3; i++) {
		uint64_t began = check_cpu_ms();
		struct sse_parser p;
		struct frame ev;
		struct buf in;
		struct str rest;
		size_t used, n = 0;

		buf_init(&in, 4 << 20);
		while (buf_len(&in) < 1 << 20)
			buf_put(&in, blocks[i]);
		buf_puts(&in, "\n\n");
		sse_init(&p, 4 << 20);
		for (rest = buf_str(&in); sse_next(&p, rest, &ev, &used) == SSE_EVENT; n++)
			rest = str_from_offset(rest, used);
		assert_true(rest.len == 0 && n > 0);
		assert_true(check_cpu_ms() - began < 10000);
		sse_done(&p);
		buf_done(&in);
	}
}

static void random_streams_mean_the_same_however_cut(void **state)
{
	static const struct str bits[] = {
		STR_INIT("\n"),     STR_INIT("\r"),    STR_INIT("\r\n"),         STR_INIT("\n\n"),
		STR_INIT("data: "), STR_INIT("data:"), STR_INIT("event: e"),     STR_INIT(":"),
		STR_INIT("x"),      STR_INIT(" "),     STR_INIT("\xef\xbb\xbf"), STR_INIT("data"),
	};
	uint32_t seed = 7;

	for (int round = 0; round < 3000; round++) {
		struct tape whole, t;
		struct buf in;

		buf_init(&in, 4096);
		for (int i = 0; i < 24; i++) {
			seed = seed * 1664525u + 1013904223u;
			buf_put(&in, bits[(seed >> 8) % 12]);
		}
		play(&whole, buf_str(&in), 0, buf_len(&in));
		CHECK_STR_IS(buf_str(&whole.raw), buf_str(&in));
		for (size_t step = 1; step < 6; step++) {
			play(&t, buf_str(&in), 0, step);
			/* A CR at the very end may or may not be taken for a whole line end yet (see sse.c): compare
			 * what both saw. */
			if (buf_str(&in).ptr[buf_len(&in) - 1] != '\r')
				CHECK_STR_IS(buf_str(&t.out), buf_str(&whole.out));
			CHECK_STR_IS(buf_str(&t.raw), buf_str(&in));
			tape_done(&t);
		}
		tape_done(&whole);
		buf_done(&in);
	}
}

static void what_is_written_is_read(void **state)
{
	struct buf out;

	buf_init(&out, 4096);
	sse_put_head(&out, "message_stop");
	buf_puts(&out, "{}");
	sse_put_end(&out);
	sse_put_head(&out, NULL);
	buf_puts(&out, "[DONE]");
	sse_put_end(&out);
	CHECK_STR(buf_str(&out), "event: message_stop\ndata: {}\n\ndata: [DONE]\n\n");
	expect_events(buf_str(&out), STR("message_stop|{};|[DONE];"));
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bar_25_trap_023_line_ends_bom_and_data_lines),
		cmocka_unit_test(trap_022_comments_are_no_events),
		cmocka_unit_test(names_and_other_fields),
		cmocka_unit_test(bar_25_trap_024_text_of_many_scripts_survives_any_cut),
		cmocka_unit_test(trap_026_padding_is_kept_for_the_reader_of_the_data),
		cmocka_unit_test(an_event_is_complete_with_its_blank_line),
		cmocka_unit_test(
			bar_26_trap_025_a_line_of_16_mib_passes_and_one_byte_more_does_not),
		cmocka_unit_test(the_limit_is_the_same_however_cut),
		cmocka_unit_test(bar_26_one_mebibyte_byte_by_byte_is_linear),
		cmocka_unit_test(many_events_in_one_window_are_linear),
		cmocka_unit_test(random_streams_mean_the_same_however_cut),
		cmocka_unit_test(what_is_written_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
