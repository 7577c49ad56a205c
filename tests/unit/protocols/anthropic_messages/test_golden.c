/* tests/unit/protocols/anthropic_messages/test_golden.c - recorded traffic against written-down
 * expectations. Rule under test: a stream means the same however it is cut, comes back the same
 * when it is encoded and decoded again, and a request survives the way through the canonical form.
 * See tests/golden/anthropic-messages/README.md.
 */
#include <dirent.h>
#include <stdlib.h>

#include "check.h"
#include "tape.h"

#define FOLDER TESTS_DIR "/golden/anthropic-messages/"

static const struct protocol *const am = &protocol_anthropic_messages;

static bool read_golden(const char *name, struct buf *b)
{
	char path[4096], chunk[65536];
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s%s", FOLDER, name);
	buf_init(b, TAPE_MAX);
	f = fopen(path, "rb");
	while (f && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_put(b, (struct str){ chunk, n });
	if (f)
		fclose(f);
	return f != NULL;
}

/* `got` is what stands in the file whose name is `name` with its ending replaced. */
static void expect_file(const char *name, const char *ending, struct str got)
{
	char path[4096], other[256];
	struct buf want;
	FILE *f;

	(void)snprintf(other, sizeof(other), "%.*s%s", (int)(strrchr(name, '.') - name), name,
		       ending);
	if (getenv("GOLDEN_WRITE")) {
		(void)snprintf(path, sizeof(path), "%s%s", FOLDER, other);
		f = fopen(path, "wb");
		assert_non_null(f);
		assert_int_equal(fwrite(got.ptr, 1, got.len, f), got.len);
		fclose(f);
	}
	assert_true(read_golden(other, &want));
	CHECK_STR_IS(got, buf_str(&want));
	buf_done(&want);
}

/* Calls `fn` for each file with that beginning and ending; there must be some. */
static void each(const char *beginning, const char *ending,
		 void (*fn)(const char *name, struct str text))
{
	DIR *dir = opendir(FOLDER);
	struct dirent *entry;
	unsigned n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		struct str name = str_from(entry->d_name);
		struct buf text;

		if (!str_starts(name, str_from(beginning)) || !str_ends(name, str_from(ending)))
			continue;
		print_message("# %s\n", entry->d_name);
		assert_true(read_golden(entry->d_name, &text));
		fn(entry->d_name, buf_str(&text));
		buf_done(&text);
		n++;
	}
	closedir(dir);
	assert_true(n > 0);
}

static void play(struct str stream, size_t step, bool join, struct tape *t)
{
	struct feed f = { .p = am, .sink = &t->sink };

	tape_init(t);
	t->join = join;
	assert_int_equal(feed_stream(&f, stream, step), 0);
}

static void check_stream(const char *name, struct str stream)
{
	static const size_t steps[] = { 1, 2, 3, 7, 61, 1000 };
	struct tape whole, t;

	play(stream, 0, false, &whole);
	expect_file(name, ".events", buf_str(&whole.text));
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		play(stream, steps[i], false, &t);
		CHECK_STR_IS(buf_str(&t.text), buf_str(&whole.text));
		tape_done(&t);
	}
	tape_done(&whole);
}

static void streams_mean_the_same_however_they_are_cut(void **state)
{
	each("", ".sse", check_stream);
}

/* Without START, whose id and model are the gateway's own towards a client, and without pings: one
 * between a block's opening and its first delta stands before the block afterwards, for blocks are
 * opened late. */
static struct str content_of(const struct tape *t, struct arena *a)
{
	struct str rest = buf_str(&t->text), line, kept;
	struct buf b;

	buf_init(&b, TAPE_MAX);
	while (str_present(rest)) {
		line = str_cut(&rest, '\n');
		if (str_starts(line, STR("{\"event\":\"START\"")) ||
		    str_starts(line, STR("{\"event\":\"PING\"")))
			continue;
		buf_put(&b, line);
		buf_putc(&b, '\n');
	}
	kept = arena_dup(a, buf_str(&b));
	buf_done(&b);
	return kept;
}

static void check_stream_again(const char *name, struct str stream)
{
	struct arena *a = arena_new(TAPE_ARENA);
	struct client_tape c;
	struct feed f = { .p = am, .sink = &c.sink };
	struct tape before, after;

	client_init(&c, am, true);
	assert_int_equal(feed_stream(&f, stream, 0), 0);
	play(stream, 0, true, &before);
	play(buf_str(&c.out), 0, true, &after);
	CHECK_STR_IS(content_of(&after, a), content_of(&before, a));
	tape_done(&before);
	tape_done(&after);
	client_done(&c);
	arena_free(a);
}

static void round_trip_of_streams(void **state)
{
	each("", ".sse", check_stream_again);
}

static void check_body(const char *name, struct str body)
{
	struct arena *a = arena_new(TAPE_ARENA);
	struct encoder_options o = { .arena = a, .id = STR("msg_1"), .model = STR("m") };
	struct tape before, after;
	struct feed f = { .p = am, .sink = &before.sink };
	struct ir_fold fold;
	struct buf again;

	tape_init(&before);
	assert_int_equal(feed_body(&f, body), 0);
	expect_file(name, ".events", buf_str(&before.text));
	ir_fold_init(&fold, a);
	f.sink = &fold.sink;
	assert_int_equal(feed_body(&f, body), 0);
	buf_init(&again, TAPE_MAX);
	assert_int_equal(am->encode_response(&o, &fold.response, &again), 0);
	tape_init(&after);
	f.sink = &after.sink;
	assert_int_equal(feed_body(&f, buf_str(&again)), 0);
	CHECK_STR_IS(content_of(&after, a), content_of(&before, a));
	tape_done(&before);
	tape_done(&after);
	buf_done(&again);
	arena_free(a);
}

static void round_trip_of_bodies(void **state)
{
	each("body-", ".json", check_body);
}

/* Encoded once more, a request that came through the canonical form must not change any further. */
static struct str through(struct arena *a, struct str body)
{
	struct request_target t = { .model = STR("claude-x"), .default_max_tokens = 4096 };
	struct ir_request *r;
	struct ir_losses l;
	struct err e = { 0 };
	struct buf out;
	struct str s;
	int rc = am->decode_request(a, &request_line_plain, body, &r, &e);

	buf_init(&out, TAPE_MAX);
	ir_losses_init(&l, a);
	if (!rc)
		rc = am->encode_request(a, r, &t, &out, &l, &e);
	if (rc)
		print_error("%s\n", e.msg);
	assert_int_equal(rc, 0);
	buf_putc(&out, '\n');
	s = arena_dup(a, buf_str(&out));
	buf_done(&out);
	return s;
}

static void check_request(const char *name, struct str body)
{
	struct arena *a = arena_new(TAPE_ARENA);
	struct str once = through(a, body);

	expect_file(name, ".upstream", once);
	CHECK_STR_IS(through(a, once), once);
	arena_free(a);
}

static void round_trip_of_requests(void **state)
{
	each("request-", ".json", check_request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_mean_the_same_however_they_are_cut),
		cmocka_unit_test(round_trip_of_streams),
		cmocka_unit_test(round_trip_of_bodies),
		cmocka_unit_test(round_trip_of_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
