/* providers/facts.c - the list of what quirks rest on. Nothing of it matters to a request. */
#include "providers/facts.h"

#include <stddef.h>

const struct provider_fact provider_facts[] = {
#define X(owner, NAME, ground, where) { owner, QUIRK_BIT_##NAME, GROUND_##ground, where },
#include "providers/facts.def"
#undef X
	{ .owner = NULL },
};

const char *fact_ground_name(enum fact_ground ground)
{
	switch (ground) {
	case GROUND_RECORDED:
		return "recorded";
	case GROUND_TYPES:
		return "SDK";
	case GROUND_SOURCE:
		return "source";
	case GROUND_DOCUMENTED:
		return "documentation";
	case GROUND_REPORTED:
		return "reported";
	case GROUND_CHOSEN:
		return "chosen";
	}
	return "";
}
