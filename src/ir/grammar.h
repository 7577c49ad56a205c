/* ir/grammar.h - holds a stream of events to the grammar of ir/event.h.
 *
 * Put between a decoder and what follows. A breach is a bug of the decoder, but one that a
 * strange upstream may trigger, so it is an error (RC_INVALID), never an assert.
 */
#ifndef GW_IR_GRAMMAR_H
#define GW_IR_GRAMMAR_H

#include "base/err.h"
#include "ir/event.h"

struct ir_grammar {
	struct ir_sink sink; /* give this one to the decoder */
	struct ir_sink *next;
	bool started, open, ended;
	bool sealed; /* the open block has its signature */
	unsigned next_index;
	enum ir_block_kind block;
	const char *breach; /* what was wrong, after RC_INVALID */
};

void ir_grammar_init(struct ir_grammar *g, struct ir_sink *next);

#endif
