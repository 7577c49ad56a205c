/* tests/unit/providers/test_minter.c - whose proofs an account's answers hold, and the names under which they travel. Rule: vendors
 * that refuse each other's have different names, and one vendor has the same name whatever an operator calls its account. */
#include "snapshot.h"

#include "protocols/minters.h"

static const char yaml[] =
	"providers:\n"
	"  openai: { api_key: k }\n"
	"  proxy: { type: openai, api_key: k, base_url: 'http://127.0.0.1:4000/v1' }\n"
	"  compat: { type: openai-compatible, api_key: k, base_url: 'https://eu.api.openai.com/v1' "
	"}\n"
	"  az: { type: azure, api_key: k, base_url: 'https://r.openai.azure.com/' }\n"
	"  az2: { type: openai, api_key: k, base_url: 'https://r.openai.azure.com/openai/v1' }\n"
	"  grok: { type: xai, api_key: k }\n"
	"  moved: { type: xai, api_key: k, base_url: 'http://127.0.0.1:4000/v1' }\n"
	"  glm: { type: anthropic, api_key: k, base_url: 'https://api.z.ai/api/anthropic' }\n"
	"  claude: { type: anthropic, api_key: k, base_url: 'http://10.0.0.1' }\n"
	"  bedrock: { type: openai-compatible, base_url: "
	"'https://Mantle.us-east-1.api.aws/v1', protocols: [openai-responses] }\n"
	"  near: { type: openai-compatible, base_url: 'http://127.0.0.1:8000/v1' }\n"
	"  pipe: { type: openai-compatible, base_url: 'unix:/run/x.sock:/v1' }\n"
	"default: openai\n";

static void an_account_has_its_vendors_name(void **state)
{
	static const struct {
		const char *account, *minter, *origin;
	} want[] = {
		{ "openai", "openai", "openai-responses" },
		{ "proxy", "openai", "openai-responses" },
		{ "compat", "openai", "openai-responses" },
		{ "az", "azure", "azure-openai-responses-v1" },
		{ "az2", "azure", "azure-openai-responses-v1" },
		{ "grok", "xai", "xai-responses-v1" },
		{ "moved", "xai", "xai-responses-v1" },
		{ "glm", "zai", "zai-responses-v1" },
		{ "claude", "anthropic", "anthropic-responses-v1" },
		{ "bedrock", "mantle-us-east-1-api-aws", "mantle-us-east-1-api-aws-responses-v1" },
		{ "near", "127-0-0-1-8000", "127-0-0-1-8000-responses-v1" },
		{ "pipe", "pipe", "pipe-responses-v1" },
	};
	struct loaded l = load_good(yaml, NULL);
	struct arena *a = arena_new(1 << 16);

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		const struct account *acc = snapshot_account(l.s, str_from(want[i].account));

		assert_non_null(acc);
		assert_string_equal(acc->minter, want[i].minter);
		assert_string_equal(minter_origin(a, "openai-responses", acc->minter),
				    want[i].origin);
		assert_true(minter_has_items(want[i].origin));
	}
	arena_free(a);
	loaded_done(&l);
}

static void protocols_of_one_vendor_bear_their_own_name(void **state)
{
	struct arena *a = arena_new(1 << 12);

	(void)state;
	assert_string_equal(minter_origin(a, "gemini", "google"), "gemini");
	assert_string_equal(minter_origin(a, "openai-responses", NULL), "openai-responses");
	assert_string_equal(minter_origin(a, "anthropic-messages", "anthropic"),
			    "anthropic-messages");
	assert_string_equal(minter_origin(a, "anthropic-messages", "zai"), "zai-messages-v1");
	assert_true(minter_speaks("zai-messages-v1", "anthropic-messages"));
	assert_true(minter_speaks("gemini", "gemini"));
	assert_false(minter_speaks("zai-messages-v1", "openai-responses"));
	assert_false(minter_speaks(NULL, "gemini"));
	assert_false(minter_has_items("gemini"));
	assert_false(minter_has_items(NULL));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_account_has_its_vendors_name),
		cmocka_unit_test(protocols_of_one_vendor_bear_their_own_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
