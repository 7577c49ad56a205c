/* ir/losses.h - what a target could not take of a request, for `x-llm-gateway-dropped`.
 *
 * Nothing vanishes without a word: whoever encodes a request says which fields of it the target takes, and all others that say
 * something are named here. Pure; memory is the arena's. */
#ifndef GW_IR_LOSSES_H
#define GW_IR_LOSSES_H

#include "ir/request.h"

/* Names, each once: the canonical ones of ir/request_fields.def, or an extra's own. */
struct ir_losses {
	struct arena *arena;
	struct str *names;
	unsigned n, cap;
	bool failed; /* memory ran out while noting one: answer 503, do not pretend */
};

enum ir_field {
#define X(field, name, said) IR_FIELD_##field,
#include "ir/request_fields.def"
#undef X
	IR_FIELD_COUNT
};
_Static_assert(IR_FIELD_COUNT <= 64, "a set of them is a uint64_t");

/* One field as a set; sets are joined by `|`. */
#define IR_FIELD(name) (UINT64_C(1) << IR_FIELD_##name)

void ir_losses_init(struct ir_losses *l, struct arena *a);
void ir_loss(struct ir_losses *l, struct str name);
/* It was not lost after all. */
void ir_losses_forget(struct ir_losses *l, struct str name);
/* Names every field by which the request says something, but those in `taken`: the ones the encoder writes, or refuses, or
 * names itself where it depends on the value. */
void ir_lose_fields_but(struct ir_losses *l, const struct ir_request *r, uint64_t taken);
/* Notes what OpenAI says of a function or of the answer's schema that is said nowhere else. Its name is a label: no loss. */
void ir_lose_tool_words(struct ir_losses *l, const struct ir_tool *t);
void ir_lose_format_words(struct ir_losses *l, const struct ir_format *f);
/* Notes what the decoder found no place for inside messages and tools. */
void ir_lose_unknown(struct ir_losses *l, const struct ir_request *r);
/* "a, b, c" for the header: bytes that may not stand in a field value are left out. Absent when nothing was lost. */
struct str ir_losses_text(const struct ir_losses *l);

#endif
