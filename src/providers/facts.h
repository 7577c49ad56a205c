/* providers/facts.h - what the quirks of presets and kinds rest on: real traffic, or somebody's word. The table is facts.def. */
#ifndef GW_PROVIDERS_FACTS_H
#define GW_PROVIDERS_FACTS_H

#include "protocols/protocol.h"

enum fact_ground {
	GROUND_RECORDED,   /* real traffic */
	GROUND_TYPES,      /* the vendor's own SDK */
	GROUND_SOURCE,     /* the server's source */
	GROUND_DOCUMENTED, /* a page of the vendor's */
	GROUND_REPORTED,   /* the vendor's answers, quoted by others; a client library */
	GROUND_CHOSEN,     /* no claim: what every version understands */
};

struct provider_fact {
	const char *owner; /* a preset or a kind */
	enum quirk_bit quirk;
	enum fact_ground ground;
	const char *where;
};

extern const struct provider_fact
	provider_facts[]; /* facts.def in its order; .owner NULL at the end */

/* "recorded", "SDK", ... */
const char *fact_ground_name(enum fact_ground ground);

#endif
