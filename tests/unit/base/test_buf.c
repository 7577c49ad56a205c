/* tests/unit/base/test_buf.c - mirrors src/base/buf.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "check.h"

static void putting_things(void **state)
{
	struct buf b;

	buf_init(&b, 4096);
	CHECK_STR(buf_str(&b), "");
	assert_null(b.ptr); /* born without memory */
	buf_put(&b, STR("a\0b"));
	buf_put(&b, STR_NONE);
	buf_puts(&b, "-c");
	buf_putc(&b, ' ');
	buf_put_u64(&b, 0);
	buf_putc(&b, ' ');
	buf_put_u64(&b, UINT64_MAX);
	buf_putc(&b, ' ');
	buf_put_i64(&b, INT64_MIN);
	buf_printf(&b, " %d %s", 7, "x");
	CHECK_STR(buf_str(&b), "a\0b-c 0 18446744073709551615 -9223372036854775808 7 x");
	assert_true(buf_ok(&b));
	buf_done(&b);
	buf_done(&b);
	buf_done(&(struct buf){ 0 });
}

static void numbers_of_every_length(void **state)
{
	char want[32];

	for (uint64_t power = 1;; power *= 10) {
		for (uint64_t v = power - 1; v <= power + 1; v++) {
			struct buf b;

			buf_init(&b, 64);
			buf_put_u64(&b, v);
			snprintf(want, sizeof(want), "%" PRIu64, v);
			assert_true(str_eq(buf_str(&b), str_from(want)));
			buf_done(&b);
		}
		if (power > UINT64_MAX / 10)
			break;
	}
}

static void printing_of_any_length(void **state)
{
	struct buf b;

	buf_init(&b, 100000);
	for (size_t n = 250; n < 260; n++) {
		buf_reset(&b);
		buf_printf(&b, "%*s", (int)n, "x");
		assert_int_equal(buf_len(&b), n);
		assert_int_equal(buf_str(&b).ptr[n - 1], 'x');
	}
	buf_reset(&b);
	buf_printf(&b, "%100000s", "x"); /* exactly max: the NUL of printf does not count */
	assert_true(buf_ok(&b));
	buf_printf(&b, "%s", "y");
	assert_true(b.failed && b.over);
	buf_done(&b);
}

static void the_maximum_holds_and_failure_sticks(void **state)
{
	struct buf b;

	buf_init(&b, 10);
	buf_puts(&b, "1234567890");
	assert_true(buf_ok(&b));
	buf_putc(&b, 'x');
	assert_true(b.failed && b.over);
	assert_null(b.ptr); /* what it held is freed */
	buf_puts(&b, "y");
	buf_put_u64(&b, 1);
	buf_printf(&b, "%d", 1);
	assert_null(buf_reserve(&b, 1));
	CHECK_STR(buf_str(&b), "");
	buf_reset(&b);
	buf_puts(&b, "again");
	assert_true(buf_ok(&b));
	CHECK_STR(buf_str(&b), "again");
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_true(b.over);
	buf_done(&b);
	assert_int_equal(b.max, 10);
}

static void consumed_bytes_make_room_for_others(void **state)
{
	struct buf b;

	buf_init(&b, 100);
	for (int i = 0; i < 1000; i++) {
		buf_printf(&b, "%060d", i);
		assert_true(buf_ok(&b));
		assert_int_equal(buf_len(&b), 60 + (i ? 30 : 0));
		buf_consume(&b, buf_len(&b) - 30);
	}
	assert_true(b.cap <= 200);
	buf_consume(&b, 30);
	assert_int_equal(b.pos + b.len, 0);
	buf_done(&b);
}

/* A queue that is nearly full and moves on by a byte at a time: if each byte moved all others, this would be
 * some 50 thousand million moves. */
static void consuming_is_cheap_in_a_full_buffer(void **state)
{
	enum { FULL = 100000 };
	uint64_t began = check_cpu_ms();
	struct buf b;

	buf_init(&b, FULL);
	for (int i = 0; i < FULL - 1; i++)
		buf_putc(&b, (char)i);
	for (int i = FULL - 1; i < 10 * FULL; i++) {
		buf_putc(&b, (char)i);
		assert_int_equal(buf_str(&b).ptr[0], (char)(i - (FULL - 1)));
		buf_consume(&b, 1);
	}
	assert_true(buf_ok(&b));
	assert_true(b.cap <= 2 * FULL);
	assert_true(check_cpu_ms() - began < 5000);
	buf_done(&b);
}

static void reserving_and_truncating(void **state)
{
	struct buf b;
	char *p;

	buf_init(&b, 1000);
	assert_non_null(buf_reserve(&b, 0));
	p = buf_reserve(&b, 500);
	assert_non_null(p);
	memset(p, 'x', 500);
	buf_added(&b, 3);
	CHECK_STR(buf_str(&b), "xxx");
	buf_puts(&b, "yz");
	buf_truncate(&b, 4);
	CHECK_STR(buf_str(&b), "xxxy");
	buf_truncate(&b, 0);
	CHECK_STR(buf_str(&b), "");
	buf_done(&b);
}

/* Random puts and consumes against a plain array. */
static void behaves_like_a_queue(void **state)
{
	static unsigned char model[1 << 16];
	size_t from = 0, to = 0;
	uint32_t seed = 5;
	struct buf b;

	buf_init(&b, 700);
	while (to < sizeof(model) - 200) {
		size_t n = (seed = seed * 1664525u + 1013904223u) >> 25;

		if (seed & 0x10000 && buf_len(&b) + n <= 700) {
			for (size_t i = 0; i < n; i++)
				model[to + i] = (unsigned char)(seed >> (i % 8));
			buf_put(&b, (struct str){ (char *)model + to, n });
			to += n;
		} else if (n <= to - from) {
			buf_consume(&b, n);
			from += n;
		}
		assert_true(buf_ok(&b));
		CHECK_STR_IS(buf_str(&b), ((struct str){ (char *)model + from, to - from }));
	}
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(putting_things),
		cmocka_unit_test(numbers_of_every_length),
		cmocka_unit_test(printing_of_any_length),
		cmocka_unit_test(the_maximum_holds_and_failure_sticks),
		cmocka_unit_test(consumed_bytes_make_room_for_others),
		cmocka_unit_test(consuming_is_cheap_in_a_full_buffer),
		cmocka_unit_test(reserving_and_truncating),
		cmocka_unit_test(behaves_like_a_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
