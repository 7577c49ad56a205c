/* protocols/minters.c - the names under which each vendor's proofs travel. */
#include "protocols/minters.h"

#include "base/str.h"

#define RESPONSES "openai-responses"

/* Those whose name does not follow from theirs and the protocol's. */
static const struct {
	const char *protocol, *minter, *origin;
} known[] = {
	{ RESPONSES, "openai", RESPONSES },
	{ RESPONSES, "azure", "azure-openai-responses-v1" },
};

const char *minter_origin(struct arena *a, const char *protocol, const char *minter)
{
	if (!minter || strcmp(protocol, RESPONSES) != 0)
		return protocol;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(known[i].protocol, protocol) == 0 &&
		    strcmp(known[i].minter, minter) == 0)
			return known[i].origin;
	return arena_printf(a, "%s-responses-v1", minter).ptr;
}

bool minter_has_items(const char *origin)
{
	return origin &&
	       (strcmp(origin, RESPONSES) == 0 || str_ends(str_from(origin), STR("-responses-v1")));
}
