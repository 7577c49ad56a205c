/* protocols/transcript.h - a conversation as one text with its turns marked, for models that only go on with a text.
 *
 * What such a text cannot hold is refused where the answer would be another one, else named. The marks belong to whoever writes
 * the transcript: what looks like one inside of a turn's words is broken by a blank, so that nobody's words become a turn of somebody
 * else's.
 */
#ifndef GW_PROTOCOLS_TRANSCRIPT_H
#define GW_PROTOCOLS_TRANSCRIPT_H

#include "base/buf.h"
#include "base/err.h"
#include "ir/losses.h"
#include "ir/request.h"

struct transcript {
	struct buf *out; /* inside of a JSON string */
	/* Words that begin a turn when a blank line stands before them ("Human:"); NULL at the end. NULL: there are no turns. */
	const char *const *marks;
	struct ir_losses *losses;
	struct err *reterr;
};

/* Nothing of the message is words, as in the assistant's that drew and said nothing: it makes no turn. */
bool transcript_is_silent(const struct ir_message *m);
/* The last who speaks is the assistant: the model goes on with its words. */
bool transcript_goes_on(const struct ir_request *r);
/* The words of a message. `behind_blank_line`: what has been written so far ends in one. */
int transcript_words(const struct transcript *t, const struct ir_message *m, bool behind_blank_line)
	MUST_CHECK;

#endif
