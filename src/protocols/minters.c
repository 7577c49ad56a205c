/* protocols/minters.c - the names under which each vendor's proofs travel. */
#include "protocols/minters.h"

#include "base/str.h"

#define RESPONSES "openai-responses"

/* Protocols that several vendors mint proofs in: whose they are, and how the names of all others end. */
static const struct {
	const char *protocol, *owner, *ending;
} shared[] = {
	{ RESPONSES, "openai", "-responses-v1" },
	{ "anthropic-messages", "anthropic", "-messages-v1" },
};

enum { N_SHARED = sizeof(shared) / sizeof(*shared) };

/* Those whose name does not follow from theirs and the protocol's. */
static const struct {
	const char *protocol, *minter, *origin;
} known[] = {
	{ RESPONSES, "azure", "azure-openai-responses-v1" },
};

static size_t shared_index(const char *protocol)
{
	size_t i = 0;

	while (i < N_SHARED && strcmp(shared[i].protocol, protocol) != 0)
		i++;
	return i;
}

const char *minter_origin(struct arena *a, const char *protocol, const char *minter)
{
	size_t at = shared_index(protocol);

	if (!minter || at == N_SHARED || strcmp(shared[at].owner, minter) == 0)
		return protocol;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(known[i].protocol, protocol) == 0 &&
		    strcmp(known[i].minter, minter) == 0)
			return known[i].origin;
	return arena_printf(a, "%s%s", minter, shared[at].ending).ptr;
}

bool minter_speaks(const char *origin, const char *protocol)
{
	size_t at = shared_index(protocol);

	if (!origin)
		return false;
	return strcmp(origin, protocol) == 0 ||
	       (at < N_SHARED && str_ends(str_from(origin), str_from(shared[at].ending)));
}

bool minter_has_items(const char *origin)
{
	return minter_speaks(origin, RESPONSES);
}
