/* protocols/protocols.c - the registries: protocols by name, quirks by name. */
#include "protocols/protocol.h"

const struct protocol *const protocols[] = {
#define X(id) &protocol_##id,
#include "protocols/protocols.def"
#undef X
	NULL,
};

const struct request_line request_line_plain = { .op = IR_OP_GENERATE };

const struct protocol *protocol_find(struct str name)
{
	for (unsigned i = 0; protocols[i]; i++) {
		if (str_eq(name, str_from(protocols[i]->name)))
			return protocols[i];
	}
	return NULL;
}

static const char *const quirk_names[QUIRK_COUNT] = {
#define X(NAME, yaml, text) [QUIRK_BIT_##NAME] = yaml,
#include "protocols/quirks.def"
#undef X
};

const char *quirk_name(enum quirk_bit bit)
{
	return quirk_names[bit];
}

unsigned quirk_find(struct str name)
{
	for (unsigned i = 0; i < QUIRK_COUNT; i++) {
		if (str_eq(name, str_from(quirk_names[i])))
			return 1u << i;
	}
	return 0;
}
