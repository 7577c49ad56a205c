/* protocols/openai_completions/openai_completions.h - what the files of this protocol share.
 *
 * Nothing outside this folder includes it: the gateway sees only `protocol_openai_completions`.
 *
 *	request_decode.c   client body -> ir_request
 *	request_encode.c   ir_request -> upstream body: a conversation becomes one text
 *	response_decode.c  upstream answer -> events
 *	response_encode.c  events -> client answer
 *	logprobs.c         this format's lists of log probabilities <-> Chat's
 */
#ifndef GW_PROTOCOLS_OPENAI_COMPLETIONS_H
#define GW_PROTOCOLS_OPENAI_COMPLETIONS_H

#include "protocols/openai.h"

#define OT_NAME "openai-completions"

/* True when `origin` (a request's) is this protocol. */
bool ot_minted(const char *origin);

/* What the format answers with when the request does not say how much. */
enum { OT_DEFAULT_MAX_TOKENS = 16 };

int ot_decode_request(struct arena *a, const struct request_line *line, struct str body,
		      struct ir_request **ret, struct err *reterr);
int ot_encode_request(struct arena *a, const struct ir_request *r, const struct request_target *t,
		      struct buf *out, struct ir_losses *losses, struct err *reterr);

struct protocol_decoder *ot_decoder_new(const struct decoder_options *o);
int ot_decode_event(struct protocol_decoder *d, const struct frame *ev, struct err *reterr);
int ot_decode_end(struct protocol_decoder *d, struct err *reterr);
int ot_decode_body(const struct decoder_options *o, struct str body, struct err *reterr);

struct protocol_encoder *ot_encoder_new(const struct encoder_options *o);
int ot_encode_event(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out);
int ot_encode_response(const struct encoder_options *o, const struct ir_response *r,
		       struct buf *out);

/* {"tokens","token_logprobs","top_logprobs","text_offset"} -> Chat's `content` list, raw JSON in the arena; absent when there
 * is nothing in it. RC_NOMEM. */
int ot_logprobs_read(struct arena *a, const json *v, struct str *ret) MUST_CHECK;
/* The other way round, from Chat's list as text; null when there is none. *offset: where in the answer's text the first
 * token stands, in characters; moved behind the last. `top`: with the alternatives. */
int ot_logprobs_write(struct jw *w, struct str content, bool top, int64_t *offset) MUST_CHECK;

#endif
