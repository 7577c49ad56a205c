/* protocols/anthropic_messages/anthropic_messages.h - what the files of this protocol share.
 *
 * Nothing outside this folder includes it: the gateway sees only `protocol_anthropic_messages`.
 *
 *	relay.c            peek, tap: bodies that pass as they are
 *	patch.c            what is changed in them all the same
 *	proof.c            where signatures stand in them
 *	request_decode.c   client body -> ir_request       (blocks in request_blocks.c; what is known of them in
 *	                   request_shape.c)
 *	request_encode.c   ir_request -> upstream body     (request_turns.c, request_parts.c)
 *	response_decode.c  upstream answer -> events
 *	response_encode.c  events -> client answer
 *	errors.c, usage.c, models.c
 */
#ifndef GW_PROTOCOLS_ANTHROPIC_MESSAGES_H
#define GW_PROTOCOLS_ANTHROPIC_MESSAGES_H

#include "json/json.h"
#include "json/write.h"
#include "protocols/minters.h"
#include "protocols/protocol.h"
#include "protocols/shape.h"

/* The name under which this protocol mints signatures and opaque blocks. */
#define AM_NAME "anthropic-messages"

/* True when `origin` (an ir part's, block's or citation's) is this protocol. */
bool am_minted(const char *origin);

/* --- usage.c --- */

/* Takes over what the vendor's `usage` object says; members it leaves out keep their value (trap
 * 118). The vendor's input_tokens exclude the cache, ours include it (trap 115). */
void am_usage_read(const json *usage, struct ir_usage *io);
/* The same from the text that begins with the object, without a tree: for relayed answers. */
void am_usage_glance(struct str text, struct ir_usage *io);
/* The vendor's object; every number the SDK reads is there, 0 when unknown (trap 119). */
void am_usage_write(struct jw *w, const struct ir_usage *u);

/* IR_STOP_END for one we do not know. *ret_known (may be NULL) tells. */
enum ir_stop am_stop_parse(struct str name, bool *ret_known);
const char *am_stop_name(enum ir_stop s);

/* --- errors.c --- */

/* Reads an error out of a parsed body or event of any shape. `status`: HTTP status, or 0 inside a
 * stream. Slices are the document's. True when it has Anthropic's own shape. */
bool am_error_read(const json *root, int status, struct ir_error *ret);
/* True when the parsed body or event holds an error instead of an answer (trap 112). */
bool am_error_is(const json *root);

void am_encode_error(const struct ir_error *e, struct str request_id, struct buf *out,
		     int *ret_status);
void am_encode_stream_error(const struct ir_error *e, struct str request_id, enum framing framing,
			    bool started, struct buf *out);
bool am_decode_error(struct arena *a, int status, struct str body, struct ir_error *ret);
void am_encode_ping(enum framing framing, bool started, struct buf *out);

/* --- relay.c --- */

int am_peek(struct arena *a, const struct request_line *line, struct str body,
	    struct request_peek *ret, struct err *reterr);
unsigned am_tap_event(struct relay_tap *t, struct arena *scratch, const struct frame *ev);
unsigned am_tap_body(struct relay_tap *t, struct arena *scratch, struct str body);

/* --- patch.c --- */

int am_patch(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
	     struct buf *out);
/* A text block's citations without those that only look like the vendor's (they carry no proof). False: there were such. */
bool am_write_citations(struct jw *w, const json *citations);

/* --- models.c --- */

void am_encode_models(const struct model_info *models, unsigned n, struct buf *out);
int am_encode_models_page(struct arena *a, const struct request_line *line,
			  const struct model_info *models, unsigned n, struct buf *out,
			  struct err *reterr);
void am_encode_model(const struct model_info *model, struct buf *out);
struct str am_next_models(struct arena *a, struct str body);
int am_decode_models(struct arena *a, struct str body, struct str **ret_ids, unsigned *ret_n,
		     struct err *reterr);
int am_encode_count_request(struct arena *a, struct str request, struct str model,
			    enum count_form form, struct buf *out);
void am_encode_token_count(int64_t input_tokens, struct buf *out);
int64_t am_decode_token_count(struct arena *scratch, struct str body);

/* --- request_decode.c --- */

extern const struct shape am_request_shape[]; /* request_shape.c */
int am_decode_request(struct arena *a, const struct request_line *line, struct str body,
		      struct ir_request **ret, struct err *reterr);
int am_check_generate(const struct ir_request *r, struct err *reterr);

/* Where in the request a decoder stands: a chain through the stack frames of its callers, put into words ("messages.1.content.0")
 * only for an error. */
struct am_path {
	const struct am_path *up; /* NULL: the request itself */
	const char *member;       /* NULL: an element */
	unsigned index;
};

struct am_reader {
	struct arena *arena;
	struct err *reterr;
};

/* `at`.`member`, or `at`.`index`. */
struct am_path am_path_member(const struct am_path *at, const char *member);
struct am_path am_path_index(const struct am_path *at, unsigned index);
/* RC_INVALID in the vendor's words: "messages.1.content: Field required". */
int am_refuse(const struct am_reader *r, const struct am_path *at, const char *what) MUST_CHECK;

enum am_place { AM_IN_MESSAGE, AM_IN_RESULT };

/* request_blocks.c: content that is a string or a list of blocks. */
int am_read_content(const struct am_reader *r, const json *content, const struct am_path *at,
		    enum am_place place, struct ir_part **ret, unsigned *ret_n) MUST_CHECK;
/* A block's, tool's or request's cache_control; absent and null are IR_CACHE_NONE. */
int am_read_cache(const struct am_reader *r, const json *v, const struct am_path *at,
		  enum ir_cache *ret) MUST_CHECK;

/* --- request_encode.c --- */

int am_encode_request(struct arena *a, const struct ir_request *r, const struct request_target *t,
		      struct buf *out, struct ir_losses *losses, struct err *reterr);

struct am_writer {
	struct arena *arena;
	const struct ir_request *r;
	const struct request_target *t;
	struct ir_losses *losses;
	struct err *reterr;
	const char *minted_by; /* the origin of what the target itself has minted */
	struct jw w;
	int64_t budget;      /* thinking tokens to ask for; 0: none */
	bool adaptive;       /* thinking as the model likes */
	bool thinking;       /* one of the two */
	unsigned n_tools;    /* of the client's, how many the target gets */
	bool system_as_user; /* nothing but system messages: the last resort is to send them as the
				user's */
};

/* request_turns.c: `system` and `messages`. */
int am_write_system(struct am_writer *w) MUST_CHECK;
int am_write_messages(struct am_writer *w) MUST_CHECK;
/* Thinking may be asked for though earlier turns are as they are: a tool turn that goes on must
 * start with thinking the vendor can check, and a turn already begun (prefill) cannot think. */
bool am_history_allows_thinking(const struct am_writer *w);
bool am_is_system(const struct ir_message *m);

/* request_parts.c: one block; `message` for the error's text. */
int am_write_part(struct am_writer *w, const struct ir_part *p, unsigned message) MUST_CHECK;
/* True when a part leaves nothing behind towards this target (empty text, unsigned reasoning). */
bool am_part_vanishes(const struct am_writer *w, const struct ir_part *p);
void am_write_cache(struct jw *w, enum ir_cache c);
/* A call's id within ^[a-zA-Z0-9_-]+$, reversible (trap 61); and back. .ptr NULL when memory is
 * out. */
struct str am_tool_id_encode(struct arena *a, struct str id);
struct str am_tool_id_decode(struct arena *a, struct str id);

/* --- proof.c --- */

extern const struct proof_codec am_proofs;

/* --- response_decode.c --- */

struct protocol_decoder *am_decoder_new(const struct decoder_options *o);
int am_decode_event(struct protocol_decoder *d, const struct frame *ev, struct err *reterr);
int am_decode_end(struct protocol_decoder *d, struct err *reterr);
int am_decode_body(const struct decoder_options *o, struct str body, struct err *reterr);

/* --- response_encode.c --- */

struct protocol_encoder *am_encoder_new(const struct encoder_options *o);
int am_encode_event(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out);
int am_encode_response(const struct encoder_options *o, const struct ir_response *r,
		       struct buf *out);

#endif
