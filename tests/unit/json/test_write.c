/* tests/unit/json/test_write.c - mirrors src/json/write.c. */
#include "check.h"
#include "json/json.h"
#include "json/write.h"

static void commas_and_colons_come_right(void **state)
{
	struct buf b;
	struct jw w;

	buf_init(&b, 4096);
	w = jw_on(&b);
	jw_obj(&w);
	jw_kstr(&w, "s", STR("a\"b"));
	jw_kcstr(&w, "c", "x");
	jw_kcstr(&w, "none", NULL);
	jw_kstr(&w, "absent", STR_NONE);
	jw_kstr(&w, "empty", STR(""));
	jw_ki64(&w, "i", INT64_MIN);
	jw_kbool(&w, "t", true);
	jw_kbool(&w, "f", false);
	jw_knull(&w, "z");
	jw_kraw(&w, "raw", STR("{\"x\":1.10}"));
	jw_key(&w, "a");
	jw_arr(&w);
	jw_arr(&w);
	jw_end_arr(&w);
	jw_obj(&w);
	jw_end_obj(&w);
	jw_u64(&w, UINT64_MAX);
	jw_i64(&w, -1);
	jw_str(&w, STR("s"));
	jw_cstr(&w, "c");
	jw_bool(&w, true);
	jw_null(&w);
	jw_raw(&w, STR("[]"));
	jw_obj(&w);
	jw_key_str(&w, STR("k\n"));
	jw_obj(&w);
	jw_kbool(&w, "x", true);
	jw_end_obj(&w);
	jw_ki64(&w, "y", 0);
	jw_end_obj(&w);
	jw_end_arr(&w);
	jw_kcstr(&w, "last", "");
	jw_end_obj(&w);
	CHECK_STR(
		buf_str(&b),
		"{\"s\":\"a\\\"b\",\"c\":\"x\",\"none\":null,\"absent\":null,\"empty\":\"\","
		"\"i\":-9223372036854775808,\"t\":true,\"f\":false,\"z\":null,\"raw\":{\"x\":1.10},"
		"\"a\":[[],{},18446744073709551615,-1,\"s\",\"c\",true,null,[],"
		"{\"k\\n\":{\"x\":true},\"y\":0}],\"last\":\"\"}");
	buf_done(&b);
}

/* Whether a comma is due is known by what was written last, at any depth. */
static void levels_do_not_remember_their_predecessors(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct buf b;
	struct jw w;

	buf_init(&b, 1 << 16);
	w = jw_on(&b);
	for (int depth = 0; depth < 63; depth++) {
		jw_arr(&w);
		if (depth)
			jw_i64(&w, depth);
		if (depth < 62) {
			jw_arr(&w);
			jw_end_arr(&w);
		}
	}
	for (int depth = 0; depth < 63; depth++)
		jw_end_arr(&w);
	CHECK_STR_IS(json_text(a, json_parse(a, buf_str(&b), NULL)), buf_str(&b));
	buf_done(&b);
	arena_free(a);
}

static void several_values_stand_apart(void **state)
{
	struct buf b;
	struct jw w;

	buf_init(&b, 64);
	w = jw_on(&b);
	jw_i64(&w, 1);
	w = jw_on(&b); /* a new writer on the same buffer starts anew */
	jw_i64(&w, 2);
	CHECK_STR(buf_str(&b), "12");
	buf_done(&b);
}

static void whatever_bytes_come_json_goes_out(void **state)
{
	struct arena *a = arena_new(1 << 20);
	uint32_t seed = 3;

	for (int round = 0; round < 5000; round++) {
		char bytes[64];
		struct buf b;
		struct jw w;

		for (size_t i = 0; i < sizeof(bytes); i++) {
			seed = seed * 1664525u + 1013904223u;
			bytes[i] = seed & 0x1000 ? (char)(seed >> 24)
						 : "a\"\\\n\xc3\xa9\xf0\x9f"[seed >> 29];
		}
		buf_init(&b, 1024);
		w = jw_on(&b);
		jw_str(&w, (struct str){ bytes, (seed >> 8) % sizeof(bytes) });
		assert_non_null(json_parse(a, buf_str(&b), NULL));
		buf_done(&b);
		arena_reset(a);
	}
	arena_free(a);
}

static void failure_is_the_buffers(void **state)
{
	struct buf b;
	struct jw w;

	buf_init(&b, 10);
	w = jw_on(&b);
	jw_obj(&w);
	jw_kcstr(&w, "key", "a value that is too long");
	jw_ki64(&w, "n", 1);
	jw_end_obj(&w);
	assert_true(b.failed && b.over);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas_and_colons_come_right),
		cmocka_unit_test(levels_do_not_remember_their_predecessors),
		cmocka_unit_test(several_values_stand_apart),
		cmocka_unit_test(whatever_bytes_come_json_goes_out),
		cmocka_unit_test(failure_is_the_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
