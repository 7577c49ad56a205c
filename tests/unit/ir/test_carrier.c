/* A proof comes out as it went in, in both forms; what is no carrier is left alone. */
#include "check.h"

#include "ir/carrier.h"

static void trap_046_a_proof_survives_another_dialect(void **state)
{
	static const char *const proofs[] = { "EqoBCkgI.x+/=", "", "a", "ab", "abc", "rs_1.gAAAA" };
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(proofs) / sizeof(proofs[0]); i++) {
		struct str proof = str_from(proofs[i]), origin, got;
		struct str plain = ir_carrier_pack(a, "gemini", proof);
		struct str coded = ir_carrier_pack_base64(a, "anthropic-messages", proof);

		assert_true(ir_carrier_is(plain) && ir_carrier_is(coded));
		assert_true(ir_carrier_unpack(a, plain, &origin, &got));
		CHECK_STR(origin, "gemini");
		CHECK_STR_IS(got, proof);
		assert_true(ir_carrier_unpack(a, coded, &origin, &got));
		CHECK_STR(origin, "anthropic-messages");
		CHECK_STR_IS(got, proof);
	}
	arena_free(a);
}

static void trap_047_other_values_are_no_carriers(void **state)
{
	static const char *const values[] = { "",        "EqoBCkgI",    "lgw1",    "lgw1.",
					      "lgw1..x", "lgw1.gemini", "bGd3MS!", "bGd3MSx" };
	struct arena *a = arena_new(1 << 20);
	struct str origin, got;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		assert_false(ir_carrier_unpack(a, str_from(values[i]), &origin, &got));
	assert_false(ir_carrier_unpack(a, STR_NONE, &origin, &got));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_046_a_proof_survives_another_dialect),
		cmocka_unit_test(trap_047_other_values_are_no_carriers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
