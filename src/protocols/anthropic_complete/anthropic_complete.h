/* protocols/anthropic_complete/anthropic_complete.h - what the files of this protocol share: Anthropic's Text Completions of
 * old, POST /v1/complete.
 *
 * Nothing outside this folder includes it: the gateway sees only `protocol_anthropic_complete`.
 *
 *	relay.c            bodies and streams that pass as they are; what is as in Messages
 *	request_decode.c   client body -> ir_request: "\n\nHuman: ...\n\nAssistant:" as turns
 *	request_encode.c   ir_request -> upstream body: turns as such a text
 *	response_decode.c  upstream answer -> events
 *	response_encode.c  events -> client answer
 */
#ifndef GW_PROTOCOLS_ANTHROPIC_COMPLETE_H
#define GW_PROTOCOLS_ANTHROPIC_COMPLETE_H

#include "json/json.h"
#include "json/write.h"
#include "protocols/protocol.h"

#define AC_NAME "anthropic-complete"

/* How turns begin inside a prompt. */
#define AC_HUMAN "\n\nHuman:"
#define AC_ASSISTANT "\n\nAssistant:"

/* True when `origin` (a request's) is this protocol. */
bool ac_minted(const char *origin);
/* True when a parsed body or event holds an error instead of an answer. */
bool ac_error_is(const json *root);

int ac_peek(struct arena *a, const struct request_line *line, struct str body,
	    struct request_peek *ret, struct err *reterr);
int ac_patch(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
	     struct buf *out);
unsigned ac_tap_event(struct relay_tap *t, struct arena *scratch, const struct frame *ev);
unsigned ac_tap_body(struct relay_tap *t, struct arena *scratch, struct str body);
void ac_encode_error(const struct ir_error *e, struct str request_id, struct buf *out,
		     int *ret_status);
void ac_encode_stream_error(const struct ir_error *e, struct str request_id, enum framing framing,
			    bool started, struct buf *out);
bool ac_decode_error(struct arena *a, int status, struct str body, struct ir_error *ret);
void ac_encode_ping(enum framing framing, bool started, struct buf *out);

int ac_decode_request(struct arena *a, const struct request_line *line, struct str body,
		      struct ir_request **ret, struct err *reterr);
int ac_check_generate(const struct ir_request *r, struct err *reterr);
int ac_encode_request(struct arena *a, const struct ir_request *r, const struct request_target *t,
		      struct buf *out, struct ir_losses *losses, struct err *reterr);

/* `stop_reason`, both ways. */
enum ir_stop ac_stop_parse(struct str reason);
const char *ac_stop_name(enum ir_stop s);

struct protocol_decoder *ac_decoder_new(const struct decoder_options *o);
int ac_decode_event(struct protocol_decoder *d, const struct frame *ev, struct err *reterr);
int ac_decode_end(struct protocol_decoder *d, struct err *reterr);
int ac_decode_body(const struct decoder_options *o, struct str body, struct err *reterr);

struct protocol_encoder *ac_encoder_new(const struct encoder_options *o);
int ac_encode_event(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out);
int ac_encode_response(const struct encoder_options *o, const struct ir_response *r,
		       struct buf *out);

#endif
