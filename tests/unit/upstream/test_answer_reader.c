/* tests/unit/upstream/test_answer_reader.c - mirrors src/upstream/answer_reader.c.
 * Rule: the same frames and bodies however the bytes are cut, and a bound for everything. */
#include "check.h"

#include <stdlib.h>

#include "base/buf.h"
#include "upstream/answer_reader.h"

struct seen {
	struct answer_reader reader;
	struct buf frames; /* each frame's data and a '|' */
	unsigned streams;
	int stop_after; /* frames; 0: never */
};

static int on_stream(void *user)
{
	((struct seen *)user)->streams++;
	return 0;
}

static int on_frame(void *user, const struct frame *f)
{
	struct seen *s = user;

	buf_put(&s->frames, f->data);
	buf_putc(&s->frames, '|');
	return s->stop_after > 0 && --s->stop_after == 0;
}

static enum answer_result feed(struct seen *s, const struct answer_reader_options *o, int status,
			       const char *type, struct str bytes, size_t step)
{
	struct answer_reader_options full = *o;
	enum answer_result rc;

	full.on_stream = on_stream;
	full.on_frame = on_frame;
	full.user = s;
	buf_init(&s->frames, 1 << 20);
	answer_reader_init(&s->reader, &full);
	rc = answer_reader_head(&s->reader, status, str_from(type));
	for (size_t at = 0; rc == ANSWER_OK && at < bytes.len; at += step) {
		size_t len = bytes.len - at < step ? bytes.len - at : step;
		char *copy = malloc(len); /* exact, so that a look too far is seen */

		memcpy(copy, bytes.ptr + at, len);
		rc = answer_reader_bytes(&s->reader, (struct str){ copy, len });
		free(copy);
	}
	return rc;
}

static void done(struct seen *s)
{
	answer_reader_done(&s->reader);
	buf_done(&s->frames);
}

static const struct answer_reader_options stream = { .stream = true,
						     .max_frame = 64,
						     .max_body = 4096 };
static const struct answer_reader_options lines = {
	.stream = true, .framing = FRAMING_NDJSON, .max_frame = 64, .max_body = 4096
};
static const struct answer_reader_options list = {
	.stream = true, .framing = FRAMING_JSON_ARRAY, .max_frame = 64, .max_body = 4096
};
static const struct answer_reader_options whole = { .max_frame = 64, .max_body = 4096 };

static const struct {
	const struct answer_reader_options *o;
	int status;
	const char *type, *bytes;
	enum answer_shape shape;
	const char *frames, *body;
} rows[] = {
	{ &stream, 200, "text/event-stream; charset=utf-8", "data: {}\n\ndata: [DONE]\n\nda",
	  ANSWER_STREAM, "{}|[DONE]|", "da" },
	{ &whole, 200, "Text/Event-Stream", "data: x\r\n\r\n", ANSWER_STREAM, "x|", "" },
	{ &lines, 200, "application/x-ndjson", "{\"a\":1}\n{\"b\":2}\n{", ANSWER_STREAM,
	  "{\"a\":1}|{\"b\":2}|", "{" },
	{ &list, 200, "application/json", "[{\"a\":\"]},\\\"\"}\n, {\"b\":[1]}]", ANSWER_STREAM,
	  "|{\"a\":\"]},\\\"\"}||{\"b\":[1]}||", "" },
	{ &list, 200, "text/event-stream", "data: {}\n\n", ANSWER_STREAM, "{}|", "" },
	{ &stream, 200, "application/json", "{\"choices\":[]}", ANSWER_WHOLE, "",
	  "{\"choices\":[]}" },
	{ &stream, 200, "text/plain", "event: x\ndata: 1\n\n", ANSWER_STREAM, "1|", "" },
	{ &stream, 200, "", ": hi there\n\ndata: 1\n\n", ANSWER_STREAM, "|1|", "" },
	{ &stream, 200, "text/plain", "{\"a\":true}", ANSWER_WHOLE, "", "{\"a\":true}" },
	{ &stream, 200, "", "{}", ANSWER_UNKNOWN, "", "{}" },
	{ &whole, 204, "text/plain", "data: 1\n\n", ANSWER_WHOLE, "", "data: 1\n\n" },
	{ &stream, 429, "text/event-stream", "data: slow down\n\n", ANSWER_STATUS, "",
	  "data: slow down\n\n" },
	{ &stream, 302, "", "", ANSWER_STATUS, "", "" },
};

static void bar_17_the_same_at_every_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str bytes = str_from(rows[i].bytes);

		for (size_t step = 1; step <= bytes.len + 1; step++) {
			struct seen s = { 0 };

			assert_int_equal(feed(&s, rows[i].o, rows[i].status, rows[i].type, bytes,
					      step),
					 ANSWER_OK);
			assert_int_equal(s.reader.shape, rows[i].shape);
			assert_int_equal(s.streams, rows[i].shape == ANSWER_STREAM);
			assert_true(str_eq(buf_str(&s.frames), str_from(rows[i].frames)));
			assert_true(str_eq(buf_str(&s.reader.body), str_from(rows[i].body)));
			done(&s);
		}
	}
}

static void a_last_line_may_lack_its_end(void **state)
{
	struct seen s = { 0 };

	(void)state;
	assert_int_equal(feed(&s, &lines, 200, "application/x-ndjson",
			      STR("{\"a\":1}\n{\"done\":true}"), 3),
			 ANSWER_OK);
	assert_int_equal(answer_reader_end(&s.reader), ANSWER_OK);
	assert_true(str_eq(buf_str(&s.frames), STR("{\"a\":1}|{\"done\":true}|")));
	done(&s);
	/* what was cut is no line */
	assert_int_equal(feed(&s, &lines, 200, "application/x-ndjson",
			      STR("{\"a\":1}\n{\"done\":tr"), 3),
			 ANSWER_OK);
	assert_int_equal(answer_reader_end(&s.reader), ANSWER_OK);
	assert_true(str_eq(buf_str(&s.frames), STR("{\"a\":1}|")));
	done(&s);
}

static void R18_everything_has_a_bound(void **state)
{
	static char big[300 * 1024];
	struct seen s = { 0 };

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_int_equal(feed(&s, &stream, 200, "text/event-stream", (struct str){ big, 4096 }, 16),
			 ANSWER_FRAME_BIG);
	done(&s);
	assert_int_equal(feed(&s, &lines, 200, "application/x-ndjson", (struct str){ big, 4096 },
			      4096),
			 ANSWER_FRAME_BIG);
	done(&s);
	assert_int_equal(feed(&s, &whole, 200, "application/json", (struct str){ big, 4097 }, 1000),
			 ANSWER_BODY_BIG);
	done(&s);
	assert_int_equal(feed(&s, &list, 200, "application/json", (struct str){ big, 8 }, 8),
			 ANSWER_NONSENSE);
	done(&s);
	/* Of an error answer of any length the beginning is kept, and the rest not waited for. */
	assert_int_equal(
		feed(&s, &(struct answer_reader_options){ .max_frame = 64, .max_body = 1 << 20 },
		     500, "text/html", (struct str){ big, sizeof(big) }, 1000),
		ANSWER_ENOUGH);
	assert_int_equal(buf_len(&s.reader.body), 256 * 1024);
	done(&s);
}

static void a_callback_may_stop_it(void **state)
{
	struct seen s = { .stop_after = 1 };

	(void)state;
	assert_int_equal(feed(&s, &stream, 200, "text/event-stream", STR("data: 1\n\ndata: 2\n\n"),
			      100),
			 ANSWER_STOPPED);
	CHECK_STR(buf_str(&s.frames), "1|");
	done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bar_17_the_same_at_every_split),
		cmocka_unit_test(a_last_line_may_lack_its_end),
		cmocka_unit_test(R18_everything_has_a_bound),
		cmocka_unit_test(a_callback_may_stop_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
