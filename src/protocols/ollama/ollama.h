/* protocols/ollama/ollama.h - what the files of this protocol share.
 *
 * Nothing outside this folder includes it: the gateway sees only `protocol_ollama_chat` and `protocol_ollama_generate`,
 * which differ in the form of a request and in where an answer's text stands, and share all else.
 *
 *	relay.c            peek, patch, tap: bodies that pass as they are
 *	request_decode.c   client body -> ir_request      (messages in request_messages.c)
 *	request_encode.c   ir_request -> upstream body    (messages in request_turns.c)
 *	response_decode.c  upstream answer -> events
 *	response_encode.c  events -> client answer
 *	embed.c            /api/embed and /api/embeddings
 *	proof.c            other vendors' signatures, both ways
 *	usage.c, errors.c, models.c
 */
#ifndef GW_PROTOCOLS_OLLAMA_H
#define GW_PROTOCOLS_OLLAMA_H

#include "json/json.h"
#include "json/write.h"
#include "protocols/protocol.h"
#include "protocols/shape.h"

#define OL_CHAT_NAME "ollama-chat"
#define OL_GENERATE_NAME "ollama-generate"

enum ol_form { OL_CHAT, OL_GENERATE };

/* Variants of the routes. */
enum ol_variant {
	OL_ASK_CHAT,
	OL_ASK_GENERATE,
	OL_EMBED,      /* /api/embed: a list of vectors */
	OL_EMBEDDINGS, /* /api/embeddings: the older form, one vector */
	OL_SHOW,
	OL_PS,
	OL_VERSION,
};

/* True when `origin` (a part's, tool's or request's) is one of the two. */
bool ol_minted(const char *origin);

/* json_parse() with the reason as the result: RC_SYNTAX or RC_NOMEM. */
int ol_parse(struct arena *a, struct str text, const json **ret, struct err *reterr) MUST_CHECK;

/* --- usage.c --- */

/* Takes over the counts of a last line or a whole body; members left out keep their value. */
void ol_usage_read(const json *root, struct ir_usage *io);
/* Both counts, 0 when unknown (trap 119). */
void ol_usage_write(struct jw *w, const struct ir_usage *u);
enum ir_stop ol_stop_parse(struct str done_reason);
const char *ol_stop_name(enum ir_stop s);
/* Log probabilities: Ollama's list <-> OpenAI Chat's, which wants every member there. Absent when there are none. */
struct str ol_logprobs_read(struct arena *a, const json *list);

/* --- errors.c --- */

/* True when a parsed line or body is an error instead of an answer. */
bool ol_error_is(const json *root);
void ol_error_read(struct arena *a, const json *root, struct ir_error *ret);
void ol_encode_error(const struct ir_error *e, struct str request_id, struct buf *out,
		     int *ret_status);
void ol_encode_stream_error(const struct ir_error *e, struct str request_id, enum framing framing,
			    bool started, struct buf *out);
bool ol_decode_error(struct arena *a, int status, struct str body, struct ir_error *ret);
void ol_encode_ping(enum framing framing, bool started, struct buf *out);

/* --- relay.c --- */

int ol_peek(struct arena *a, const struct request_line *line, struct str body,
	    struct request_peek *ret, struct err *reterr);
int ol_patch(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
	     struct buf *out);
unsigned ol_tap_event(struct relay_tap *t, struct arena *scratch, const struct frame *ev);
unsigned ol_tap_body(struct relay_tap *t, struct arena *scratch, struct str body);

/* --- models.c --- */

void ol_encode_models(const struct model_info *models, unsigned n, struct buf *out);
int ol_decode_models(struct arena *a, struct str body, struct str **ret_ids, unsigned *ret_n,
		     struct err *reterr);
bool ol_encode_info(const struct info_facts *f, struct buf *out);

/* --- request_decode.c, request_messages.c --- */

extern const struct shape ol_request_shape[]; /* request_shape.c: of /api/chat */
int ol_decode_request(enum ol_form form, struct arena *a, struct str body, struct ir_request **ret,
		      struct err *reterr);

struct ol_reader {
	struct arena *arena;
	struct err *reterr;
};

/* RC_INVALID: "messages[1].content must be a string, but is a number". */
int ol_refuse_type(const struct ol_reader *r, const char *at, const char *expected, const json *got)
	MUST_CHECK;
int ol_nomem(const struct ol_reader *r) MUST_CHECK;
/* The member's string; absent and null leave *ret as it is. */
int ol_read_string(const struct ol_reader *r, const json *holder, const char *member,
		   const char *at, struct str *ret) MUST_CHECK;
/* The pictures of a message as parts, behind the *n there are. */
int ol_read_images(const struct ol_reader *r, const json *images, const char *at,
		   struct ir_part *parts, unsigned *n) MUST_CHECK;
int ol_read_messages(const struct ol_reader *r, const json *messages, struct ir_request *q)
	MUST_CHECK;

/* --- request_encode.c, request_turns.c --- */

int ol_encode_request(enum ol_form form, struct arena *a, const struct ir_request *r,
		      const struct request_target *t, struct buf *out, struct ir_losses *losses,
		      struct err *reterr);

struct ol_writer {
	struct arena *arena;
	const struct ir_request *r;
	const struct request_target *t;
	struct ir_losses *losses;
	struct err *reterr;
	struct jw w;
	enum ol_form form;
	bool failed; /* memory ran out */
};

void ol_lose(struct ol_writer *w, const char *name);
int ol_write_messages(struct ol_writer *w) MUST_CHECK;
/* The conversation as one prompt: RC_UNSUPPORTED when it is more than that. */
int ol_write_prompt(struct ol_writer *w) MUST_CHECK;

/* --- proof.c --- */

/* What to put into `signature` for a proof that another vendor minted; absent when memory is out. */
struct str ol_proof_pack(struct arena *a, const char *origin, struct str proof, bool redacted);
/* The way back into a REASONING part. False when the value holds no such proof. */
bool ol_proof_unpack(struct arena *a, struct str value, struct ir_part *io);

/* --- response_decode.c --- */

struct protocol_decoder *ol_decoder_new(const struct decoder_options *o);
int ol_decode_event(struct protocol_decoder *d, const struct frame *ev, struct err *reterr);
int ol_decode_end(struct protocol_decoder *d, struct err *reterr);
int ol_decode_body(const struct decoder_options *o, struct str body, struct err *reterr);

/* --- response_encode.c --- */

struct protocol_encoder *ol_encoder_new(enum ol_form form, const struct encoder_options *o);
int ol_encode_event(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out);
int ol_encode_response(enum ol_form form, const struct encoder_options *o,
		       const struct ir_response *r, struct buf *out);

/* --- embed.c --- */

extern const struct embed_codec ol_embed;

#endif
