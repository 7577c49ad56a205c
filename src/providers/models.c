/* providers/models.c - the table of models, and finding one by name. */
#include "providers/models.h"

static const struct model_facts table[] = {
#define VISION MODEL_VISION
#define TOOLS MODEL_TOOLS
#define REASONING MODEL_REASONING
#define EFFORT MODEL_EFFORT
#define X(glob, context, max_output, can) { glob, context, max_output, can },
#include "providers/models.def"
#undef X
#undef VISION
#undef TOOLS
#undef REASONING
#undef EFFORT
};

const struct model_facts *model_facts(struct str model)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (str_glob(str_from(table[i].glob), model))
			return &table[i];
	return NULL;
}
