/* tests/unit/providers/test_facts.c - every quirk of a preset or a kind says what it rests on, and nothing else does; and what of a
 * quirk hangs on the address it is set for. */
#include "providers/facts.h"
#include "snapshot.h"

static unsigned facts_of(const char *owner)
{
	unsigned bits = 0;

	for (const struct provider_fact *f = provider_facts; f->owner; f++)
		if (strcmp(f->owner, owner) == 0)
			bits |= 1u << f->quirk;
	return bits;
}

/* Each kind at each address that matters to it. */
static const char kinds[] =
	"providers:\n"
	"  openai: { api_key: k }\n"
	"  openai-proxy: { type: openai, api_key: k, base_url: 'https://llm.corp.example/v1' }\n"
	"  azure: { api_key: k, endpoint: 'https://r.openai.azure.com' }\n"
	"  azure-old: { type: azure, api_key: k, endpoint: 'https://r.openai.azure.com', "
	"api_version: "
	"2024-02-01 }\n"
	"  azure-foundry: { type: azure, api_key: k, endpoint: "
	"'https://r.services.ai.azure.com/models' }\n"
	"  anthropic: { api_key: k }\n"
	"  google: { api_key: k }\n"
	"  deepseek: { api_key: k }\n"
	"  ollama: {}\n"
	"  openai-compatible: { base_url: "
	"'https://generativelanguage.googleapis.com/v1beta/openai' }\n";

static void every_quirk_of_a_kind_rests_on_something(void **state)
{
	struct loaded l = load_good(kinds, NULL);

	for (size_t i = 0; providers[i]; i++) {
		unsigned quirks = providers[i]->quirks;

		for (unsigned a = 0; a < l.s->n_accounts; a++)
			if (l.s->accounts[a].kind == providers[i])
				quirks |= l.s->accounts[a].quirks;
		if (quirks != facts_of(providers[i]->name))
			fail_msg("%s has the quirks %x, facts.def those of %x", providers[i]->name,
				 quirks, facts_of(providers[i]->name));
	}
	loaded_done(&l);
}

static void every_quirk_of_a_preset_rests_on_something(void **state)
{
	for (const struct provider_preset *p = provider_presets; p->name; p++)
		if (p->quirks != facts_of(p->name))
			fail_msg("%s has the quirks %x, facts.def those of %x", p->name, p->quirks,
				 facts_of(p->name));
}

/* A fact is said once, of somebody who exists, and with words. */
static void facts_are_whole(void **state)
{
	for (const struct provider_fact *f = provider_facts; f->owner; f++) {
		struct str owner = str_from(f->owner);

		assert_true(provider_find(owner) || provider_preset_find(owner));
		assert_true(strlen(f->where) > 5 && fact_ground_name(f->ground)[0]);
		for (const struct provider_fact *g = provider_facts; g < f; g++)
			assert_false(g->quirk == f->quirk && strcmp(g->owner, f->owner) == 0);
	}
}

/* Trap 47: who is strict is known by the address. A proxy or another server of the type `openai` is passed everything. */
static void trap_047_strictness_goes_by_the_address(void **state)
{
	static const struct {
		const char *yaml;
		bool strict;
	} table[] = {
		{ "type: openai", true },
		{ "type: openai, base_url: 'https://API.OpenAI.com/v1'", true },
		{ "type: openai, base_url: 'https://eu.api.openai.com/v1'", true },
		{ "type: openai, base_url: 'https://openai.com.example/v1'", false },
		{ "type: openai, base_url: 'https://notopenai.com/v1'", false },
		{ "type: openai, base_url: 'http://10.0.0.5:8000/v1'", false },
		{ "type: openai, base_url: 'unix:/run/llm.sock:/v1'", false },
		{ "type: openai, base_url: 'http://10.0.0.5/v1', quirks: [strict_messages]", true },
		{ "type: azure, endpoint: 'https://r.openai.azure.com'", true },
		{ "type: azure, endpoint: 'https://r.openai.azure.us'", true },
		{ "type: azure, endpoint: 'https://r.services.ai.azure.com/openai/v1'", true },
		{ "type: azure, endpoint: 'https://gate.azure-api.net'", true },
		{ "type: azure, endpoint: 'https://westeurope.api.cognitive.microsoft.com'", true },
		{ "type: azure, endpoint: 'https://r.services.ai.azure.com/models'", false },
		{ "type: azure, endpoint: 'https://llm.corp.example'", false },
		{ "type: groq", true },
		{ "type: mistral", true },
		{ "type: openai-compatible, base_url: 'https://api.openai.com/v1'", false },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char yaml[256];
		struct loaded l;

		(void)snprintf(yaml, sizeof(yaml), "providers:\n  p: { api_key: k, %s }\n",
			       table[i].yaml);
		l = load_good(yaml, NULL);
		if (!!(l.s->accounts[0].quirks & QUIRK_STRICT_MESSAGES) != table[i].strict)
			fail_msg("%s", table[i].yaml);
		loaded_done(&l);
	}
}

/* A preset's further protocol is asked for by its clients, and only after the others for all else. */
static void xai_is_asked_in_responses_by_their_clients(void **state)
{
	struct loaded l = load_good("providers:\n  xai: { api_key: k }\n"
				    "  chat: { type: xai, api_key: k, protocols: [openai-chat] }\n",
				    NULL);
	const struct account *acc = snapshot_account(l.s, STR("xai"));

	assert_ptr_equal(acc->speaks[0], &protocol_openai_chat);
	assert_ptr_equal(acc->speaks[2], &protocol_openai_responses);
	assert_null(acc->speaks[3]);
	acc = snapshot_account(l.s, STR("chat"));
	assert_ptr_equal(acc->speaks[0], &protocol_openai_chat);
	assert_null(acc->speaks[1]);
	loaded_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_quirk_of_a_kind_rests_on_something),
		cmocka_unit_test(every_quirk_of_a_preset_rests_on_something),
		cmocka_unit_test(facts_are_whole),
		cmocka_unit_test(trap_047_strictness_goes_by_the_address),
		cmocka_unit_test(xai_is_asked_in_responses_by_their_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
