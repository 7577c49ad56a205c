/* ir/fold.h - events into a whole answer, and a whole answer into events.
 *
 * Non-streaming has no second path: a whole body is unfolded into the same events,
 * and for a client that does not stream the events are folded back.
 */
#ifndef GW_IR_FOLD_H
#define GW_IR_FOLD_H

#include "base/arena.h"
#include "base/err.h"
#include "ir/event.h"

/* Collects events into one ir_response in the arena. */
struct ir_fold {
	struct ir_sink sink;
	struct arena *arena;
	struct ir_response response; /* whole after FINISH */
	struct ir_error error;       /* a copy, after ERROR */
	bool finished, failed;
	/* private */
	unsigned cap_blocks_, cap_citations_;
	size_t cap_text_, cap_logprobs_;
	bool open_;
};

void ir_fold_init(struct ir_fold *f, struct arena *a);

/* Emits `r` as START, blocks, USAGE, FINISH. */
int ir_unfold(const struct ir_response *r, struct ir_sink *sink) MUST_CHECK;

#endif
