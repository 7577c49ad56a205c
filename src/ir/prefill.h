/* ir/prefill.h - takes the beginning that the client wrote itself out of an answer.
 *
 * A conversation that ends in the assistant's own words is a prefill: the model goes on from there, and the answer holds
 * only what is new (Anthropic, DeepSeek; trap 45). llama.cpp's server says the prefill again. This sink stands
 * behind its decoder and drops it from the first text, however it is cut; a text that begins otherwise passes as it is.
 */
#ifndef GW_IR_PREFILL_H
#define GW_IR_PREFILL_H

#include "ir/event.h"
#include "ir/request.h"

struct ir_prefill {
	struct ir_sink sink;
	struct ir_sink *next;
	/* private */
	struct str words_; /* of the client */
	size_t matched_;   /* so many of them have come and are held back */
	bool over_;        /* decided: all passes */
};

/* The words that `r` ends in; absent when it does not end in text of the assistant's, in one part. */
struct str ir_prefill_words(const struct ir_request *r);

void ir_prefill_init(struct ir_prefill *p, struct str words, struct ir_sink *next);

#endif
