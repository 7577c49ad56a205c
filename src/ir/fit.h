/* ir/fit.h - an answer's pictures, sounds and calls, for a client whose dialect may have no form for them.
 *
 * The last of the sinks, so that it alone decides and every encoder may rely on it: a picture that comes through is one that the
 * client's dialect holds. Where the dialect has no form, a picture that lies somewhere becomes a text that points there, as
 * Markdown writes it, for that is what clients show; one that is here as data, and a sound or a film, is left out and its loss noted.
 * Calls beyond the one that the client has a place for are the encoder's to leave out, and are named here.
 */
#ifndef GW_IR_FIT_H
#define GW_IR_FIT_H

#include "ir/event.h"
#include "ir/losses.h"
#include "ir/request.h"

/* Forms in which a protocol's answers hold pictures. */
enum ir_pictures {
	IR_PICTURES_DATA = 1u << 0, /* as base64 */
	IR_PICTURES_URL = 1u << 1,  /* as the address of one that lies in the web */
};

struct ir_fit {
	struct ir_sink sink;
	struct ir_sink *next;
	/* private */
	struct arena *arena_;
	unsigned forms_;
	const char *client_;
	bool json_, one_call_;
	unsigned n_calls_;
	struct ir_losses *losses_;
	struct ir_event held_; /* an OPEN whose block is not known yet */
	bool holds_;
	bool as_text_; /* the open block is told in words */
};

/* `client`: the name of its protocol, whose own blocks all pass; `forms`: enum ir_pictures. `request` (MAY be NULL): where it demands
 * JSON nothing is told in words. */
void ir_fit_init(struct ir_fit *f, struct arena *a, const char *client, unsigned forms,
		 const struct ir_request *request, struct ir_losses *losses, struct ir_sink *next);

/* "![image](URL)": a picture in words. Absent when `url` is no address in the web, or memory is out. */
struct str ir_picture_words(struct arena *a, struct str url);

#endif
