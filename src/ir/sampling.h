/* ir/sampling.h - models that think take no sampling: temperature, top_p, penalties and log probabilities.
 *
 * OpenAI refuses the whole request for them (trap 70), and for stop sequences, at which the gateway then cuts the answer (stop_cut.h). What a client of another dialect asked is left out then, and named where it asks
 * for anything but what happens anyway. Pure. */
#ifndef GW_IR_SAMPLING_H
#define GW_IR_SAMPLING_H

#include "ir/losses.h"

enum ir_sampling {
	IR_SAMPLING_FREE,    /* the model takes it, or is not known to refuse it */
	IR_SAMPLING_AT_REST, /* only while it is not told to reason */
	IR_SAMPLING_NONE,
};

/* A model that takes sampling as `takes` says would refuse this request for it. */
bool ir_refuses_sampling(enum ir_sampling takes, const struct ir_request *r);

/* *ret: a copy, which shares everything with `r`, without any sampling or stop sequences. */
void ir_without_sampling(const struct ir_request *r, struct ir_request *ret, struct ir_losses *l);

#endif
