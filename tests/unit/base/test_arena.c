/* tests/unit/base/test_arena.c - mirrors src/base/arena.c. Holds for both builds of it. */
#include <stdlib.h>

#include "base/arena.h"
#include "check.h"

static void memory_is_aligned_zeroed_and_distinct(void **state)
{
	struct arena *a = arena_new(1 << 20);
	unsigned char *all[300];

	for (size_t i = 0; i < 300; i++) {
		all[i] = arena_alloc(a, i);
		assert_non_null(all[i]);
		assert_int_equal((uintptr_t)all[i] % 16, 0);
		for (size_t k = 0; k < i; k++)
			assert_int_equal(all[i][k], 0);
		memset(all[i], (int)i, i);
	}
	for (size_t i = 0; i < 300; i++) {
		for (size_t k = 0; k < i; k++)
			assert_int_equal(all[i][k], i & 0xff);
	}
	assert_null(arena_free(a));
	assert_null(arena_free(NULL));
}

static void the_cap_holds_to_the_byte(void **state)
{
	struct arena *a = arena_new(1000);
	size_t n = 0;

	assert_null(arena_alloc(a, 1009));
	assert_non_null(arena_alloc(a, 1000));
	assert_null(arena_alloc(a, 1000));
	arena_reset(a);
	assert_int_equal(arena_used(a), 0);
	while (arena_alloc(a, 16))
		n += 16;
	assert_int_equal(n, 1008); /* 1000 rounded up */
	assert_int_equal(arena_used(a), 1008);
	arena_free(a);
	/* Allocations of nothing count as well: they take memory. */
	a = arena_new(1 << 12);
	for (n = 0; arena_alloc_raw(a, 0); n++)
		;
	assert_int_equal(n, (1 << 12) / 16);
	arena_free(a);
}

static void R16_sizes_that_overflow_are_refused(void **state)
{
	struct arena *a = arena_new(SIZE_MAX);

	assert_null(arena_alloc_raw(a, SIZE_MAX));
	assert_null(arena_alloc_raw(a, SIZE_MAX - 8));
	assert_null(arena_array(a, SIZE_MAX / 8, 16));
	assert_null(arena_array(a, (size_t)1 << 33, (size_t)1 << 33));
	assert_non_null(arena_array(a, 3, 5));
	assert_null(arena_dup(a, (struct str){ "x", SIZE_MAX }).ptr);
	arena_free(a);
}

static void growing_keeps_the_bytes(void **state)
{
	struct arena *a = arena_new(64 << 20);
	unsigned char *p = arena_alloc(a, 1), *q, *grown;
	size_t n = 1;

	p[0] = 0;
	for (int round = 0; n < 8 << 20; round++) {
		size_t more = n * 2 + 7;

		if (round % 3 == 2) { /* not the last one any more */
			q = arena_alloc_raw(a, 24);
			memset(q, 0xee, 24);
		}
		grown = arena_grow(a, p, n, more);
		assert_non_null(grown);
		for (size_t i = 0; i < n; i += 1 + n / 1000)
			assert_int_equal(grown[i], i % 251);
		for (size_t i = 0; i < more; i++)
			grown[i] = (unsigned char)(i % 251);
		p = grown;
		n = more;
	}
	assert_ptr_equal(arena_grow(a, p, n, n), p);
	assert_ptr_equal(arena_grow(a, p, n, 10), p);
	assert_null(arena_grow(a, p, n, (size_t)65 << 20));
	assert_int_equal(p[n - 1], (n - 1) % 251); /* still valid */
	assert_non_null(arena_grow(a, NULL, 0, 10));
	arena_free(a);
}

static void growing_the_last_one_costs_no_second_copy(void **state)
{
	struct arena *a = arena_new(1 << 20);
	char *p = arena_alloc_raw(a, 16);

	p = arena_grow(a, p, 16, 1024);
	assert_int_equal(arena_used(a), 1024);
	p = arena_grow(a, p, 1024, 100000); /* a block of its own */
	assert_non_null(p);
	p = arena_grow(a, p, 100000, 200000);
	assert_non_null(p);
	assert_true(arena_used(a) <= 200000 + 1024);
	arena_free(a);
}

static void copies_end_in_nul(void **state)
{
	struct arena *a = arena_new(4096);
	struct str s = arena_dup(a, STR("a\0b"));

	CHECK_STR(s, "a\0b");
	assert_int_equal(s.ptr[3], 0);
	CHECK_STR(arena_dup(a, STR("")), "");
	assert_null(arena_dup(a, STR_NONE).ptr);
	assert_null(arena_dup(a, (struct str){ "x", 5000 }).ptr);
	arena_free(a);
}

static void printing_of_any_length(void **state)
{
	struct arena *a = arena_new(1 << 16);
	struct str s = arena_printf(a, "%d-%s", 42, "x");
	char spaces[1001];

	CHECK_STR(s, "42-x");
	assert_int_equal(s.ptr[s.len], 0);
	memset(spaces, ' ', 1000);
	spaces[1000] = '\0';
	for (int width = 250; width < 260; width++) {
		s = arena_printf(a, "%*s", width, "");
		CHECK_STR_IS(s, ((struct str){ spaces, (size_t)width }));
	}
	s = arena_printf(a, "%s", spaces);
	CHECK_STR_IS(s, ((struct str){ spaces, 1000 }));
	assert_null(arena_printf(a, "%100000s", "").ptr);
	arena_free(a);
}

static void resetting_makes_it_as_new(void **state)
{
	struct arena *a = arena_new(1 << 20);

	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 100; i++)
			assert_non_null(memset(arena_alloc_raw(a, 10000), 1, 10000));
		arena_reset(a);
	}
	arena_free(a);
}

static void many_arenas_share_blocks_and_stay_apart(void **state)
{
	struct arena *all[200];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 200; i++) {
			all[i] = arena_new(4096);
			memset(arena_alloc_raw(all[i], 100), i, 100);
			assert_int_equal(arena_used(all[i]), 112);
		}
		for (int i = 0; i < 200; i++)
			arena_free(all[i]);
	}
	arena_thread_done();
	arena_thread_done();
}

static void arenas_of_one_budget_share_it(void **state)
{
	struct arena_budget *b = arena_budget_new(1 << 20);
	struct arena *one = arena_new_within(SIZE_MAX, b), *two = arena_new_within(SIZE_MAX, b);
	struct arena *free_one = arena_new(SIZE_MAX);
	char *p;

	assert_ptr_equal(arena_budget_of(one), b);
	assert_null(arena_budget_of(free_one));
	p = arena_alloc_raw(one, 600000);
	assert_non_null(p);
	assert_null(arena_alloc_raw(two, 600000));
	assert_null(arena_alloc_raw(one, 600000));
	assert_null(arena_grow(one, p, 600000, 1200000)); /* `p` is still there */
	assert_non_null(arena_alloc_raw(two, 300000));
	assert_non_null(arena_alloc_raw(free_one, 2 << 20));
	p = arena_grow(one, p, 600000, 650000);
	assert_non_null(p);
	arena_reset(one);
	assert_non_null(arena_alloc_raw(two, 600000));
	arena_budget_set_max(b, 1000); /* less than is taken */
	assert_null(arena_alloc_raw(two, 100000));
	arena_free(two);
	assert_null(arena_alloc_raw(one, 100000));
	arena_budget_set_max(b, 1 << 20);
	assert_null(arena_budget_unref(b)); /* `one` holds it on */
	assert_non_null(arena_alloc_raw(one, 900000));
	arena_free(one);
	arena_free(free_one);
	assert_null(arena_budget_unref(NULL));
}

/* However memory is taken: all of it comes back. */
static void a_budget_is_whole_again_when_its_arenas_are_gone(void **state)
{
	struct arena_budget *b = arena_budget_new(8 << 20);
	struct arena *all;

	for (int round = 0; round < 20; round++) {
		struct arena *a = arena_new_within(SIZE_MAX, b);
		size_t n = 1;
		char *p = NULL;

		for (int step = 0; step < round + 3; step++) {
			size_t more = n * 2 + 40;

			p = arena_grow(a, p, p ? n : 0, more);
			if (!p)
				break; /* it is used up */
			n = more;
			(void)!arena_alloc_raw(a, step % 3 ? 16 : 5000);
			if (step == 12) {
				arena_reset(a);
				p = NULL;
			}
		}
		arena_free(a);
	}
	all = arena_new_within(SIZE_MAX, b);
	assert_non_null(arena_alloc_raw(all, (8 << 20) - 64));
	arena_free(all);
	arena_budget_unref(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_aligned_zeroed_and_distinct),
		cmocka_unit_test(the_cap_holds_to_the_byte),
		cmocka_unit_test(R16_sizes_that_overflow_are_refused),
		cmocka_unit_test(growing_keeps_the_bytes),
		cmocka_unit_test(growing_the_last_one_costs_no_second_copy),
		cmocka_unit_test(copies_end_in_nul),
		cmocka_unit_test(printing_of_any_length),
		cmocka_unit_test(resetting_makes_it_as_new),
		cmocka_unit_test(arenas_of_one_budget_share_it),
		cmocka_unit_test(a_budget_is_whole_again_when_its_arenas_are_gone),
		cmocka_unit_test(many_arenas_share_blocks_and_stay_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
