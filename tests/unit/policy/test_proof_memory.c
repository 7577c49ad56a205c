/* tests/unit/policy/test_proof_memory.c - mirrors src/policy/proof_memory.c.
 * Rule under test: what is said of a proof was noted of that proof and that account; what is forgotten is unknown. */
#include "check.h"

#include <pthread.h>
#include <stdlib.h>

#include "policy/proof_memory.h"

static const struct proof_account one = { STR_INIT("one"), "openai" };
static const struct proof_account two = { STR_INIT("two"), "openai" };
static const struct proof_account grok = { STR_INIT("grok"), "xai" };

/* A proof like no other, of a length that they have. */
static struct str proof(char *to, size_t size, unsigned n)
{
	int len = snprintf(to, size, "gAAAAA%08x%s%08x", n * 2654435761u,
			   "-------------------------------------------------------------------"
			   "-------------------------------------------------------------------",
			   n);

	return (struct str){ to, (size_t)len };
}

static void who_minted_it_is_known(void **state)
{
	struct proof_memory *m = proof_memory_new();
	char text[256];
	struct str p = proof(text, sizeof(text), 1);

	(void)state;
	assert_int_equal(proof_memory_ask(m, &one, p), PROOF_UNKNOWN);
	proof_memory_minted(m, &one, p);
	assert_int_equal(proof_memory_ask(m, &one, p), PROOF_OWN);
	assert_int_equal(proof_memory_ask(m, &two, p), PROOF_KIN);
	assert_int_equal(proof_memory_ask(m, &grok, p), PROOF_FOREIGN);
	proof_memory_minted(m, &one, STR(""));
	proof_memory_refused(m, &one, STR_NONE);
	assert_int_equal(proof_memory_ask(m, &one, STR("")), PROOF_UNKNOWN);
	assert_int_equal(proof_memory_ask(m, &one, STR_NONE), PROOF_UNKNOWN);
	proof_memory_free(m);
	assert_null(proof_memory_free(NULL));
}

static void a_refusal_is_the_accounts_that_refused(void **state)
{
	struct proof_memory *m = proof_memory_new();
	char text[256];
	struct str p = proof(text, sizeof(text), 1);

	(void)state;
	proof_memory_minted(m, &one, p);
	proof_memory_refused(m, &two, p);
	assert_int_equal(proof_memory_ask(m, &one, p), PROOF_OWN);
	assert_int_equal(proof_memory_ask(m, &two, p), PROOF_REFUSED);
	assert_int_equal(proof_memory_ask(m, &grok, p), PROOF_FOREIGN);
	proof_memory_refused(m, &one, p); /* its keys have changed, say */
	assert_int_equal(proof_memory_ask(m, &one, p), PROOF_REFUSED);
	proof_memory_free(m);
}

/* Short ones, and such as differ in the middle or the length alone. */
static void proofs_are_told_apart(void **state)
{
	static const char *const shorts[] = { "a", "b", "ab", "rs_1", "rs_2", "rs_12" };
	struct proof_memory *m = proof_memory_new();

	(void)state;
	for (size_t i = 0; i < sizeof(shorts) / sizeof(*shorts); i++) {
		assert_int_equal(proof_memory_ask(m, &one, str_from(shorts[i])), PROOF_UNKNOWN);
		proof_memory_minted(m, &one, str_from(shorts[i]));
		assert_int_equal(proof_memory_ask(m, &one, str_from(shorts[i])), PROOF_OWN);
	}
	proof_memory_free(m);
}

enum { MANY = 1000000, LATEST = 1000 };

/* What is forgotten is no other's: nothing is ever known that was not noted. */
static void a_full_table_forgets_and_never_errs(void **state)
{
	struct proof_memory *m = proof_memory_new();
	unsigned wrong = 0, kept = 0;
	char text[256];

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		proof_memory_minted(m, &one, proof(text, sizeof(text), i));
	for (unsigned i = MANY - LATEST; i < MANY; i++)
		kept += proof_memory_ask(m, &one, proof(text, sizeof(text), i)) == PROOF_OWN;
	for (unsigned i = MANY; i < 2 * MANY; i++)
		wrong += proof_memory_ask(m, &one, proof(text, sizeof(text), i)) != PROOF_UNKNOWN;
	assert_in_range(kept, LATEST * 9 / 10, LATEST);
	assert_in_range(wrong, 0, 3); /* half a hash is compared: by chance, once in a lifetime */
	proof_memory_free(m);
}

static void *note_and_ask(void *arg)
{
	struct proof_memory *m = arg;
	unsigned known = 0;
	char text[256];

	for (unsigned i = 0; i < 20000; i++) {
		struct str p = proof(text, sizeof(text), i % 5000);

		proof_memory_minted(m, &one, p);
		proof_memory_refused(m, &grok, p);
		known += proof_memory_ask(m, &one, p) == PROOF_OWN;
	}
	return (void *)(uintptr_t)known;
}

static void threads_share_it(void **state)
{
	struct proof_memory *m = proof_memory_new();
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, note_and_ask, m), 0);
	for (int i = 0; i < 4; i++) {
		void *known;

		pthread_join(threads[i], &known);
		assert_in_range((uintptr_t)known, 19000, 20000);
	}
	proof_memory_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_minted_it_is_known),
		cmocka_unit_test(a_refusal_is_the_accounts_that_refused),
		cmocka_unit_test(proofs_are_told_apart),
		cmocka_unit_test(a_full_table_forgets_and_never_errs),
		cmocka_unit_test(threads_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
