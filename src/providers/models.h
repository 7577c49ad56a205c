/* providers/models.h - what is known of models by their names, whoever serves them. The table is models.def. */
#ifndef GW_PROVIDERS_MODELS_H
#define GW_PROVIDERS_MODELS_H

#include <stdint.h>

#include "base/str.h"

enum model_can {
	MODEL_VISION = 1u << 0,
	MODEL_TOOLS = 1u << 1,
	MODEL_REASONING = 1u << 2,
	MODEL_EFFORT = 1u << 3, /* takes an effort, not a thinking budget */
	MODEL_EMBEDS = 1u << 4, /* makes vectors, not answers */
};

struct model_facts {
	const char *glob;
	int64_t context, max_output; /* tokens; 0: not known */
	unsigned can;                /* enum model_can */
};

/* NULL: nothing is known of a model of that name. */
const struct model_facts *model_facts(struct str model);

#endif
