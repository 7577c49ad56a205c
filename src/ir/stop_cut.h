/* ir/stop_cut.h - ends an answer before the client's stop sequence where the provider cannot.
 *
 * OpenAI's Responses API has no stop sequences (trap 73), others take a few only (trap 71). This sink stands behind its decoder: text that may be the
 * beginning of a sequence is held back until that is decided, what follows a sequence is swallowed, and the answer ends in
 * IR_STOP_SEQUENCE. Only the model's text counts, not its thoughts, refusals or calls; no sequence reaches over two
 * blocks. Of several the one that is whole first ends the text, as where tokens are made. The provider is heard to its end
 * all the same, for only there it tells the usage: the tokens were made and are paid for.
 */
#ifndef GW_IR_STOP_CUT_H
#define GW_IR_STOP_CUT_H

#include "ir/event.h"
#include "ir/request.h"

enum { IR_STOP_CUT_MAX = 64 }; /* sequences: each byte of text is compared with each */

struct ir_stop_cut {
	struct ir_sink sink;
	struct ir_sink *next;
	/* private */
	struct arena *arena_;
	struct stop_word *words_;
	unsigned n_words_;
	const struct stop_word *found_;
	uint64_t came_, said_; /* bytes of the open block's text */
	int64_t chars_;        /* of all the text that was said: citations count them */
	unsigned last_;        /* the block that was cut */
	struct stop_token *tokens_, **last_token_;
};

/* How many sequences of the request mean something (an empty one does not, trap 72). */
unsigned ir_stop_cut_count(const struct ir_request *r);

/* At most IR_STOP_CUT_MAX of them. `arena` and `r` outlive `c`. */
int ir_stop_cut_init(struct ir_stop_cut *c, struct arena *arena, const struct ir_request *r,
		     struct ir_sink *next) __attribute__((warn_unused_result));

#endif
