/* protocols/openai_chat/openai_chat.h - what the files of this protocol share.
 *
 * Nothing outside this folder includes it: the gateway sees only `protocol_openai_chat`.
 *
 *	request_decode.c   client body -> ir_request      (messages in request_messages.c, what is known of them in request_shape.c)
 *	request_encode.c   ir_request -> upstream body    (turns in request_turns.c)
 *	response_decode.c  upstream answer -> events      (blocks in blocks.c)
 *	response_encode.c  events -> client answer
 *	relay.c            what of a body does not pass as it is
 *	embeddings.c       the Embeddings API, both ways
 *	names.c            what has a name of OpenRouter's or Google's only
 *	models.c, tokens.c
 *
 * What it shares with OpenAI's other formats (errors, names, paths, usage, what passes as it is) is in protocols/openai.h.
 */
#ifndef GW_PROTOCOLS_OPENAI_CHAT_H
#define GW_PROTOCOLS_OPENAI_CHAT_H

#include "protocols/openai.h"

/* The name under which this protocol mints opaque parts. */
#define OC_NAME "openai-chat"
/* Minted by Gemini's protocol: what Google's endpoint for this one puts into `extra_content`. */
#define OC_GOOGLE "gemini"

/* True when `origin` (a part's, tool's or request's) is this protocol. */
bool oc_minted(const char *origin);

/* --- names.c --- */

/* OpenRouter's `format` of a reasoning detail <-> the protocol that minted its signature. NULL: memory is out. */
const char *oc_format_origin(struct arena *a, struct str format);
const char *oc_origin_format(const char *origin);

/* The client offers `functions` of old, and looks for a call in `function_call`. `r` may be NULL. */
bool oc_asked_of_old(const struct ir_request *r);

/* `extra_content` with a proof of Gemini's, in a call or a picture; and what it proves with, absent when there is none. */
void oc_write_google(struct jw *w, struct str signature);
struct str oc_read_google(const json *v);
/* The address of an entry of `images`; empty when it is none. */
struct str oc_image_url(const json *image);

/* --- tokens.c --- */

int oc_encode_count_request(struct arena *a, struct str request, struct str model,
			    enum count_form form, struct buf *out);
int64_t oc_decode_token_count(struct arena *scratch, struct str body);

/* --- relay.c --- */

int oc_patch_chat(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
		  struct buf *out);
bool oc_needs_encoder(const struct request_peek *peek, unsigned quirks);

/* --- models.c --- */

void oc_encode_models(const struct model_info *models, unsigned n, struct buf *out);
void oc_encode_model(const struct model_info *model, struct buf *out);
int oc_decode_models(struct arena *a, struct str body, struct str **ret_ids, unsigned *ret_n,
		     struct err *reterr);

/* --- request_decode.c, request_messages.c --- */

extern const struct shape oc_request_shape[]; /* request_shape.c */
int oc_decode_request(struct arena *a, const struct request_line *line, struct str body,
		      struct ir_request **ret, struct err *reterr);

int oc_read_messages(const struct oc_reader *r, const json *messages, struct ir_request *q)
	MUST_CHECK;

/* --- request_encode.c, request_turns.c --- */

int oc_encode_request(struct arena *a, const struct ir_request *r, const struct request_target *t,
		      struct buf *out, struct ir_losses *losses, struct err *reterr);

struct oc_writer {
	struct arena *arena;
	const struct ir_request *r;
	const struct request_target *t;
	struct ir_losses *losses;
	struct err *reterr;
	struct jw w;
	bool lent_schema; /* the schema goes out as a system message, for the target takes only json_object */
	bool failed; /* memory ran out */
};

void oc_write_messages(struct oc_writer *w);

/* --- blocks.c --- */

/* Citations that wait for the end of their text. */
struct oc_cites {
	struct oc_cite {
		struct oc_cite *next;
		struct ir_citation citation;
	} * first, *last;
};

/* One block of the answer, from its first sign to its end. */
struct oc_block {
	struct oc_block *next; /* in the order of arrival */
	enum ir_block_kind kind;
	const char *origin;
	int64_t vendor_index; /* tool call, reasoning detail: as the vendor counts; -1 not said */
	struct str vendor_id; /* tool call: as the vendor has it; may be empty */
	struct str name;      /* tool call; empty until it is known */
	struct str held;      /* content that waits for its turn */
	size_t held_cap;
	struct str held_logprobs; /* of what is held */
	struct str signature, redacted;
	struct str picture, lost; /* opaque; what is held is its raw JSON */
	struct oc_cites cites;    /* text */
	struct oc_nesting {
		int depth;
		bool in_string, escaped, whole;
	} nesting; /* tool call: is the arguments' object whole? */
	bool open, closed, sealed;
};

/* Puts blocks that a vendor mixes into the order of the grammar: one open at a time, none reopened (trap 1).
 *
 *	closed ... | head (open, passes at once) | next (held) | ... | tail (held)
 *
 * The head gives way when it is whole and another waits. Text is whole as soon as something else comes; the arguments of a
 * call when their bracket closes. */
struct oc_blocks {
	struct arena *arena;
	struct ir_sink *sink;
	const struct ir_request *request; /* to give tools their own names back; may be NULL */
	struct str seed;                  /* of ids for calls that come without: the answer's id */
	struct oc_block *head, *tail;
	struct oc_cites early;   /* citations before their text */
	struct oc_block **calls; /* all of them, closed ones too */
	unsigned n_calls, cap_calls;
	unsigned next_index;
	int64_t next_detail; /* reasoning details with a lower index were there */
	bool refused;        /* a refusal block was there */
	struct str logprobs; /* of tokens that made no text by themselves: the next text's */
};

/* TEXT, REASONING (plain, vendor_index -1) or REFUSAL. Empty text does nothing (traps 13, 14). `logprobs`: as in ir_event. */
int oc_blocks_text(struct oc_blocks *b, enum ir_block_kind kind, struct str text,
		   struct str logprobs) MUST_CHECK;
/* Of the text now being written, else of the next. */
int oc_blocks_citation(struct oc_blocks *b, const struct ir_citation *c) MUST_CHECK;

/* A picture that was drawn: its JSON, and its URL. */
int oc_blocks_picture(struct oc_blocks *b, struct str raw, struct str url) MUST_CHECK;
/* Something came that no dialect can be given: it is named `lost`. */
int oc_blocks_lost(struct oc_blocks *b, struct str lost) MUST_CHECK;

struct oc_detail {
	bool known; /* its type is: else there is nothing in it */
	int64_t index;
	const char *origin;
	struct str text, signature, redacted;
};
/* One of OpenRouter's reasoning_details. index -1: not said. RC_NOMEM, or RC_OK. */
int oc_detail_read(struct arena *a, const json *v, struct oc_detail *ret) MUST_CHECK;
int oc_blocks_detail(struct oc_blocks *b, const struct oc_detail *d) MUST_CHECK;
/* reasoning_details.c: as an entry of the list; an item's summary and its content are two with one index. */
void oc_detail_write(struct jw *w, const struct oc_detail *d);
/* It is more of the unsealed one of that origin and index: said by the same index, or an item's content behind its summary. (In a
 * stream of ours that has the next index, for SDKs make one thing of all that has the same.) */
bool oc_detail_goes_on(const struct oc_detail *d, const char *origin, int64_t index);

struct oc_call_delta {
	int64_t index; /* -1: not said */
	struct str id, name, arguments;
};
int oc_blocks_call(struct oc_blocks *b, const struct oc_call_delta *d) MUST_CHECK;
/* The answer is over: everything held goes out and is closed. */
int oc_blocks_end(struct oc_blocks *b) MUST_CHECK;

/* --- response_decode.c --- */

struct protocol_decoder *oc_decoder_new(const struct decoder_options *o);
int oc_decode_event(struct protocol_decoder *d, const struct frame *ev, struct err *reterr);
int oc_decode_end(struct protocol_decoder *d, struct err *reterr);
int oc_decode_body(const struct decoder_options *o, struct str body, struct err *reterr);

/* --- embeddings.c --- */

extern const struct embed_codec oc_embed;

/* --- response_encode.c --- */

struct protocol_encoder *oc_encoder_new(const struct encoder_options *o);
int oc_encode_event(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out);
int oc_encode_response(const struct encoder_options *o, const struct ir_response *r,
		       struct buf *out);

#endif
