/* ir/drawn.h - what a model drew in earlier turns, for providers whose assistant's turns hold only words.
 *
 * A conversation goes on about the picture that was drawn, so the model must see it: it goes into the turn of the user that
 * follows, behind the results there and a line that says what it is. Results' pictures go the same way in Chat (trap 42).
 */
#ifndef GW_IR_DRAWN_H
#define GW_IR_DRAWN_H

#include "ir/losses.h"
#include "ir/request.h"

/*
 * *ret is `r` itself, or a copy in which no assistant's message holds a picture or a document. What stands in raw form of `own` (a
 * protocol's name; NULL: none) stays, and so do pictures where `keep_pictures`. A message of which no words and
 * no call are left says IR_DRAWN_PICTURE or IR_DRAWN_DOCUMENT, for some refuse an empty one, and turns must alternate. Behind the last turn of
 * the user there is nowhere to go: then it is left out and noted, with the message when nothing of that is left. RC_NOMEM.
 */
int ir_drawn_to_user(struct arena *a, const struct ir_request *r, const char *own,
		     bool keep_pictures, struct ir_losses *losses, const struct ir_request **ret)
	__attribute__((warn_unused_result));

/* That line. */
#define IR_DRAWN_LINE "Attached to the last answer of the assistant:"
/* What stands in the place of a turn that was nothing else. */
#define IR_DRAWN_PICTURE "(a picture)"
#define IR_DRAWN_DOCUMENT "(a document)"

#endif
