/* tests/unit/base/test_log.c - mirrors src/base/log.c. What was logged is read back after log_close(). */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "check.h"

static char folder[] = "/tmp/gw-test-log-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static int make_folder(void **state)
{
	return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
	static const char *const names[] = { "a", "b", "fifo" };

	for (size_t i = 0; i < 3; i++)
		unlink(path_of(names[i]));
	return rmdir(folder);
}

/* The whole file, for CHECK_STR and str_cut(); the caller frees .ptr. */
static struct str read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = malloc(8 << 20);
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, 8 << 20, f);
	fclose(f);
	return (struct str){ text, n };
}

static void open_log(const char *path, enum log_format format, enum log_level level)
{
	struct log_options o = { .level = level, .format = format, .path = path };
	struct err e;

	assert_int_equal(log_open(&o, &e), RC_OK);
}

/* "2026-11-21T12:00:00.123Z" and the like have changing digits; blank them. */
static void blank_digits(struct str s, size_t n)
{
	for (size_t i = 0; i < n && i < s.len; i++) {
		if (s.ptr[i] >= '0' && s.ptr[i] <= '9')
			((char *)(uintptr_t)s.ptr)[i] = '0';
	}
}

static void json_lines_hold_all_fields(void **state)
{
	struct log_field raw = { .key = STR("raw"), .kind = LOG_F_RAW, .s = STR("{\"x\":[1]}") };
	struct str all, rest, line;

	open_log(path_of("a"), LOG_JSON, LOG_INFO);
	log_event(LOG_INFO, "test.one", "a \"quoted\"\nsentence",
		  LF_STR("s", STR("\x01\xff\xc3\xa9")), LF_INT("i", -5), LF_BOOL("b", true),
		  LF_BOOL("c", false), LF_STR("absent", STR_NONE), LF_CSTR("null", NULL), raw);
	log_event(LOG_DEBUG, "test.hidden", NULL, LF_INT("i", 1));
	log_fields(LOG_ERROR, "test.two", NULL, NULL, 0);
	log_close();
	all = read_file(path_of("a"));
	rest = all;
	line = str_cut(&rest, '\n');
	blank_digits(line, 34);
	CHECK_STR(
		line,
		"{\"time\":\"0000-00-00T00:00:00.000Z\",\"level\":\"info\",\"event\":\"test.one\","
		"\"msg\":\"a "
		"\\\"quoted\\\"\\nsentence\",\"s\":\"\\u0001\xef\xbf\xbd\xc3\xa9\",\"i\":-5,"
		"\"b\":true,\"c\":false,\"raw\":{\"x\":[1]}}");
	line = str_cut(&rest, '\n');
	blank_digits(line, 34);
	CHECK_STR(line, "{\"time\":\"0000-00-00T00:00:00.000Z\",\"level\":\"error\",\"event\":"
			"\"test.two\"}");
	CHECK_STR(rest, "");
	free((char *)(uintptr_t)all.ptr);
	unlink(path_of("a"));
}

static void text_lines_are_for_people(void **state)
{
	struct str all;

	open_log(path_of("a"), LOG_TEXT, LOG_WARN);
	log_event(LOG_WARN, "test.one", "it happened", LF_CSTR("word", "abc"),
		  LF_CSTR("two", "a b"), LF_CSTR("eq", "a=b"), LF_CSTR("none", ""),
		  LF_CSTR("ctl", "a\nb"), LF_INT("i", 7));
	log_event(LOG_INFO, "test.hidden", NULL, LF_INT("i", 1));
	log_set_level(LOG_DEBUG);
	log_event(LOG_DEBUG, "test.two", NULL, LF_BOOL("b", true));
	log_close();
	all = read_file(path_of("a"));
	blank_digits(all, 12);
	assert_true(all.len > 90);
	blank_digits(str_from_offset(all, (size_t)str_find(all, STR("i=7\n")) + 4), 12);
	CHECK_STR(all, "00:00:00.000 warn   test.one  it happened  word=abc two=\"a b\" eq=\"a=b\" "
		       "none=\"\" "
		       "ctl=\"a\\nb\" i=7\n00:00:00.000 debug  test.two  b=true\n");
	free((char *)(uintptr_t)all.ptr);
	unlink(path_of("a"));
}

static void lines_too_long_are_named_and_cut_short(void **state)
{
	char *text = malloc(1 << 20);
	struct str all;

	memset(text, 'x', 1 << 20);
	open_log(path_of("a"), LOG_JSON, LOG_INFO);
	log_event(LOG_INFO, "test.long", NULL, LF_STR("s", ((struct str){ text, 1 << 20 })));
	log_close();
	all = read_file(path_of("a"));
	assert_true(str_find(all, STR("\"test.long\",\"msg\":\"(the line's fields were too long to "
				      "log)\"}\n")) > 0);
	assert_true(all.len < 200);
	free((char *)(uintptr_t)all.ptr);
	free(text);
	unlink(path_of("a"));
}

static void expect_in_file(const char *path, const char *there, const char *not_there)
{
	struct str all = read_file(path);

	assert_true(str_find(all, str_from(there)) > 0);
	assert_true(str_find(all, str_from(not_there)) < 0);
	free((char *)(uintptr_t)all.ptr);
}

/* As logrotate does it. Lines go where the name pointed when they were logged, written or not. */
static void reopening_follows_the_name(void **state)
{
	char old[128];

	snprintf(old, sizeof(old), "%s", path_of("b"));
	open_log(path_of("a"), LOG_JSON, LOG_INFO);
	log_event(LOG_INFO, "test.before", NULL, LF_INT("i", 1));
	assert_int_equal(rename(path_of("a"), old), 0);
	log_event(LOG_INFO, "test.between", NULL, LF_INT("i", 2));
	log_reopen();
	log_event(LOG_INFO, "test.after", NULL, LF_INT("i", 3));
	log_close();
	expect_in_file(old, "test.before", "test.after");
	expect_in_file(old, "test.between", "test.after");
	expect_in_file(path_of("a"), "test.after", "test.be");
	unlink(path_of("a"));
	unlink(old);
}

static void opening_what_cannot_be_opened_says_why(void **state)
{
	struct log_options o = { .level = LOG_INFO, .format = LOG_JSON, .path = "/nowhere/at/all" };
	struct err e;

	assert_int_equal(log_open(&o, &e), RC_IO);
	assert_non_null(strstr(e.msg, "/nowhere/at/all"));
	open_log(path_of("a"), LOG_JSON, LOG_INFO);
	assert_int_equal(log_open(&o, &e), RC_INVALID);
	log_close();
	log_close();
	unlink(path_of("a"));
}

/* Before log_open() and after log_close() lines go to stderr at once. */
static void a_closed_log_speaks_on_stderr(void **state)
{
	int keep = dup(STDERR_FILENO), fd = open(path_of("a"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct str all;

	dup2(fd, STDERR_FILENO);
	log_event(LOG_WARN, "test.direct", NULL, LF_INT("i", 3));
	dup2(keep, STDERR_FILENO);
	close(keep);
	close(fd);
	all = read_file(path_of("a"));
	assert_true(str_find(all, STR("test.direct")) > 0);
	free((char *)(uintptr_t)all.ptr);
	unlink(path_of("a"));
}

/* --- many threads --- */

enum { THREADS = 4, LINES = 2000 };

static void *log_many(void *arg)
{
	for (int i = 0; i < LINES; i++)
		log_event(i % 100 ? LOG_INFO : LOG_ERROR, "test.many", NULL,
			  LF_INT("thread", (intptr_t)arg), LF_INT("n", i));
	return NULL;
}

static void lines_of_many_threads_stay_whole_and_in_order(void **state)
{
	uint64_t next[THREADS] = { 0 };
	pthread_t threads[THREADS];
	uint64_t dropped = log_dropped();
	struct str all, rest, line;

	open_log(path_of("a"), LOG_JSON, LOG_INFO);
	for (intptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_many, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	log_close();
	assert_true(log_dropped() == dropped);
	all = rest = read_file(path_of("a"));
	while (line = str_cut(&rest, '\n'), line.len) {
		uint64_t thread = THREADS, n = 0;

		assert_true(str_starts(line, STR("{\"time\":")) && str_ends(line, STR("}")));
		line = str_from_offset(line, (size_t)str_find(line, STR("\"thread\":")) + 9);
		assert_true(str_to_u64(str_cut(&line, ','), &thread) && thread < THREADS);
		line = str_from_offset(line, 4); /* "n": */
		assert_true(str_to_u64(str_cut(&line, '}'), &n));
		assert_int_equal(n, next[thread]++);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(next[i], LINES);
	free((char *)(uintptr_t)all.ptr);
	unlink(path_of("a"));
}

/* --- a target that does not take bytes (bar 34) --- */

/* Reads what comes until "log.dropped" was seen; the test's time limit is its end. */
static void read_until_loss_is_told(int fd)
{
	static char text[1 << 16];
	struct buf tail;
	bool told = false;

	buf_init(&tail, 1 << 20);
	while (!told) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		assert_int_equal(poll(&p, 1, 20000), 1);
		n = read(fd, text, sizeof(text));
		assert_true(n > 0);
		buf_put(&tail, (struct str){ text, (size_t)n });
		told = str_find(buf_str(&tail), STR("\"log.dropped\"")) >= 0;
		if (buf_len(&tail) > 100)
			buf_consume(&tail, buf_len(&tail) - 100);
	}
	buf_done(&tail);
}

static void a_blocked_target_blocks_nobody_and_losses_are_counted(void **state)
{
	uint64_t began, before = log_dropped();
	char filler[1000];
	int fd;

	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	fd = open(path_of("fifo"), O_RDONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	memset(filler, 'x', sizeof(filler));
	open_log(path_of("fifo"), LOG_JSON, LOG_INFO);
	began = clock_mono_ms();
	for (int i = 0; i < 5000;
	     i++) /* 5 MB, where pipe and queue together hold little more than 1 */
		log_event(LOG_INFO, "test.flood", NULL,
			  LF_STR("s", ((struct str){ filler, sizeof(filler) })), LF_INT("i", i));
	assert_true(clock_mono_ms() - began < 10000);
	assert_true(log_dropped() > before);
	read_until_loss_is_told(fd);
	/* Blocked again, the end of the process does not wait for long either. */
	for (int i = 0; i < 5000; i++)
		log_event(LOG_INFO, "test.flood", NULL,
			  LF_STR("s", ((struct str){ filler, sizeof(filler) })), LF_INT("i", i));
	began = clock_mono_ms();
	log_close();
	assert_true(clock_mono_ms() - began < 10000);
	close(fd);
	unlink(path_of("fifo"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_lines_hold_all_fields),
		cmocka_unit_test(text_lines_are_for_people),
		cmocka_unit_test(lines_too_long_are_named_and_cut_short),
		cmocka_unit_test(reopening_follows_the_name),
		cmocka_unit_test(opening_what_cannot_be_opened_says_why),
		cmocka_unit_test(a_closed_log_speaks_on_stderr),
		cmocka_unit_test(lines_of_many_threads_stay_whole_and_in_order),
		cmocka_unit_test(a_blocked_target_blocks_nobody_and_losses_are_counted),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
