/* Vectors keep every bit on the way from one form to the other and back; what is no vector is refused. */
#include "check.h"

#include <float.h>

#include "base/base64.h"
#include "protocols/vectors.h"

static struct ir_vector read_text(struct arena *a, const char *text)
{
	struct ir_vector v = { 0 };

	assert_int_equal(vector_read(a, json_parse(a, str_from(text), NULL), &v), RC_OK);
	return v;
}

static struct str to_json(struct arena *a, const struct ir_vector *v)
{
	struct buf b;
	struct str copy;

	buf_init(&b, 1 << 20);
	vector_put_json(&b, v);
	assert_true(buf_ok(&b));
	copy = arena_dup(a, buf_str(&b));
	buf_done(&b);
	return copy;
}

static struct str to_base64(struct arena *a, const struct ir_vector *v)
{
	struct buf b;
	struct str copy;

	buf_init(&b, 1 << 20);
	vector_put_base64(&b, v);
	assert_true(buf_ok(&b));
	copy = arena_dup(a, buf_str(&b));
	buf_done(&b);
	return copy;
}

static void trap_099_decimals_stay_as_the_vendor_wrote_them(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct ir_vector v = read_text(a, "[0.10, -2e-3,1.0 ,0,123456789012345678]");

	(void)state;
	CHECK_STR(to_json(a, &v), "[0.10,-2e-3,1.0,0,123456789012345678]");
	arena_free(a);
}

static void trap_099_base64_is_little_endian_float32(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct ir_vector v = read_text(a, "[1,-2.5,0.1]"), back;

	(void)state;
	/* 0000803f 000020c0 cdcccc3d */
	CHECK_STR(to_base64(a, &v), "AACAPwAAIMDNzMw9");
	back = read_text(a, "\"AACAPwAAIMDNzMw9\"");
	CHECK_STR(to_json(a, &back), "[1,-2.5,0.1]");
	CHECK_STR(to_base64(a, &back), "AACAPwAAIMDNzMw9");
	arena_free(a);
}

/* Bits -> base64 -> decimals -> base64: the same bits, and no decimal longer than nine digits. */
static void trap_099_every_float_comes_back_from_its_decimals(void **state)
{
	static const float edges[] = { 0.0f,        -0.0f,    FLT_MAX, -FLT_MAX, FLT_MIN,
				       FLT_EPSILON, 1.4e-45f, 1e-40f,  1.0f / 3, 16777217.0f,
				       8388608.5f,  1e-5f,    1e21f,   0.3f,     -1e-10f };
	struct arena *a = arena_new(1 << 24);
	uint32_t x = 2463534242u;
	unsigned char bytes[1000][4];
	struct ir_vector v = { 0 }, decimals;
	struct buf b;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		float f;

		do {
			x ^= x << 13;
			x ^= x >> 17;
			x ^= x << 5;
		} while ((x >> 23 & 0xff) == 0xff); /* neither infinite nor no number */
		memcpy(&f, &x, sizeof(f));
		if (i < sizeof(edges) / sizeof(*edges))
			f = edges[i];
		memcpy(bytes[i], &f, 4); /* the machine of the test is little-endian */
	}
	buf_init(&b, 1 << 20);
	base64_encode(&b, (struct str){ (const char *)bytes, sizeof(bytes) });
	v.base64 = arena_dup(a, buf_str(&b));
	decimals = read_text(a, to_json(a, &v).ptr);
	assert_true(str_present(decimals.json));
	CHECK_STR_IS(to_base64(a, &decimals), v.base64);
	buf_done(&b);
	arena_free(a);
}

static void what_is_no_vector_is_refused(void **state)
{
	static const char *const texts[] = {
		"null",   "1",        "{}",           "[\"1\"]",      "[[1]]",        "[null]",
		"[1e99]", "\"AACA\"", "\"AAC*PwAA\"", "\"AACAfw==\"", "\"AADAfw==\"", "\"AACAP\"",
	};
	struct arena *a = arena_new(1 << 20);
	struct ir_vector v;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (vector_read(a, json_parse(a, str_from(texts[i]), NULL), &v) != RC_SYNTAX)
			fail_msg("%s was taken for a vector", texts[i]);
	arena_free(a);
}

static void an_empty_vector_is_empty_in_both_forms(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct ir_vector list = read_text(a, "[]"), base64 = read_text(a, "\"\"");

	(void)state;
	CHECK_STR(to_base64(a, &list), "");
	CHECK_STR(to_json(a, &base64), "[]");
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_099_decimals_stay_as_the_vendor_wrote_them),
		cmocka_unit_test(trap_099_base64_is_little_endian_float32),
		cmocka_unit_test(trap_099_every_float_comes_back_from_its_decimals),
		cmocka_unit_test(what_is_no_vector_is_refused),
		cmocka_unit_test(an_empty_vector_is_empty_in_both_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
