/* providers/models.c - the table of models, and finding one by name. */
#include "providers/models.h"

static const struct model_facts table[] = {
#define VISION MODEL_VISION
#define TOOLS MODEL_TOOLS
#define REASONING MODEL_REASONING
#define EFFORT MODEL_EFFORT
#define EMBEDS MODEL_EMBEDS
#define X(glob, context, max_output, can) { glob, context, max_output, can },
#include "providers/models.def"
#undef X
#undef VISION
#undef TOOLS
#undef REASONING
#undef EFFORT
#undef EMBEDS
};

static const struct model_facts *look_up(struct str model)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (str_glob(str_from(table[i].glob), model))
			return &table[i];
	return NULL;
}

/* Every request to Anthropic asks, for one of a few names: the last answers are kept. */
static _Thread_local struct {
	char name[48];
	size_t len; /* 0: nothing */
	const struct model_facts *facts;
} answers[8];

const struct model_facts *model_facts(struct str model)
{
	size_t last = model.len ? model.len - 1 : 0, at;

	if (!model.len || model.len > sizeof(answers[0].name))
		return look_up(model);
	at = (model.len + (unsigned char)model.ptr[last]) % (sizeof(answers) / sizeof(answers[0]));
	if (!str_eq((struct str){ answers[at].name, answers[at].len }, model)) {
		memcpy(answers[at].name, model.ptr, model.len);
		answers[at].len = model.len;
		answers[at].facts = look_up(model);
	}
	return answers[at].facts;
}
