/* protocols/openai_responses/openai_responses.h - what the files of this protocol share.
 *
 * Nothing outside this folder includes it: the gateway sees only `protocol_openai_responses`. It serves OpenAI's Responses
 * API and the Open Responses specification, which differ in details (required keys, event names); where they do we
 * read both and write what satisfies both.
 *
 *	relay.c            peek, patch, taps: bodies that pass as they are
 *	request_decode.c   client body -> ir_request        (items in request_items.c, what is known of them in request_shape.c)
 *	request_encode.c   ir_request -> upstream body      (items in request_turns.c)
 *	response_decode.c  upstream answer -> events        (items in response_items.c)
 *	response_encode.c  events -> client answer          (its items and parts: encoder.h; the resource in resource.c)
 *	proof.c            foreign proofs in the place of encrypted_content; where proofs stand
 *	usage.c, logprobs.c, errors.c, tokens.c
 */
#ifndef GW_PROTOCOLS_OPENAI_RESPONSES_H
#define GW_PROTOCOLS_OPENAI_RESPONSES_H

#include "ir/carrier.h"
#include "protocols/openai.h"

/* The name under which this protocol mints opaque items and reasoning. */
#define RS_NAME "openai-responses"

/* The type of the item that holds a picture. */
#define RS_PICTURE "image_generation_call"
/* What was drawn, by its first bytes: the item does not say. */
struct str rs_picture_type(struct arena *a, struct str base64);

enum { RS_TEXT_MAX = 256 << 20 };

/* True when `origin` (a part's, tool's or request's) is this protocol. */
bool rs_minted(const char *origin);

/* --- proof.c --- */

/* Foreign proofs in the place of encrypted_content (ir/carrier.h). Absent when memory is out. */
struct str rs_carrier_pack(struct arena *a, const char *origin, struct str signature,
			   struct str redacted);
/* False: no carrier. The slices that fit are set, the others absent. */
bool rs_carrier_unpack(struct arena *a, struct str encrypted, const char **ret_origin,
		       struct str *ret_signature, struct str *ret_redacted);
/* What stands before the text in a carrier of reasoning that nobody signed. */
#define RS_CARRIED_TEXT IR_CARRIER_MARK "unsigned."

extern const struct proof_codec rs_proofs;
/* Signs, anywhere in a body, that it is worth to look closer. */
enum rs_sign { RS_SIGN_CARRIER = 1u << 0, RS_SIGN_PROOF = 1u << 1 };
unsigned rs_signs(struct str body);

/* --- usage.c --- */

void rs_usage_read(const json *usage, struct ir_usage *io);
void rs_usage_glance(struct str text, struct ir_usage *io);
/* Every number that either specification requires, 0 when unknown (trap 119). */
void rs_usage_write(struct jw *w, const struct ir_usage *u);

/* --- logprobs.c --- */

/* One token's entry; `top`: an alternative inside another's. */
void rs_logprob_write(struct jw *w, const json *v, bool top);

/* --- errors.c --- */

void rs_encode_error(const struct ir_error *e, struct str request_id, struct buf *out,
		     int *ret_status);
void rs_encode_stream_error(const struct ir_error *e, struct str request_id, enum framing framing,
			    bool started, struct buf *out);
void rs_encode_relay_error(const struct relay_tap *t, const struct ir_error *e,
			   struct str request_id, struct buf *out);
bool rs_decode_error(struct arena *a, int status, struct str body, struct ir_error *ret);
/* The error in an event of type `error` (either form) or in a failed response. */
void rs_error_read(struct arena *a, const json *root, struct ir_error *ret);
/* `error` of a resource: code and message, the code one of OpenAI's list. */
void rs_error_write(struct jw *w, const struct ir_error *e);
/* The event of type `error`, OpenAI's flat form. */
void rs_put_error_event(struct buf *out, const struct ir_error *e, int64_t sequence);

/* --- tokens.c --- */

int rs_encode_count_request(struct arena *a, struct str request, struct str model,
			    enum count_form form, struct buf *out);
int64_t rs_decode_token_count(struct arena *scratch, struct str body);
void rs_encode_token_count(int64_t input_tokens, struct buf *out);

/* --- relay.c --- */

int rs_peek(struct arena *a, const struct request_line *line, struct str body,
	    struct request_peek *ret, struct err *reterr);
int rs_patch(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
	     struct buf *out);
unsigned rs_tap_event(struct relay_tap *t, struct arena *scratch, const struct frame *ev);
unsigned rs_tap_body(struct relay_tap *t, struct arena *scratch, struct str body);

/* --- request_decode.c, request_items.c --- */

int rs_decode_request(struct arena *a, const struct request_line *line, struct str body,
		      struct ir_request **ret, struct err *reterr);
int rs_check_generate(const struct ir_request *r, struct err *reterr);
extern const struct shape rs_request_shape[]; /* request_shape.c */
/* `name` of an OPAQUE part that only refers to an item kept elsewhere. */
#define RS_ITEM_REFERENCE "item_reference"
/* The conversation: `instructions` (MAY be absent), then the items of `input`. */
int rs_read_input(const struct oc_reader *r, struct str instructions, const json *input,
		  struct ir_request *q) MUST_CHECK;

/* --- request_encode.c, request_turns.c --- */

int rs_encode_request(struct arena *a, const struct ir_request *r, const struct request_target *t,
		      struct buf *out, struct ir_losses *losses, struct err *reterr);

struct rs_writer {
	struct arena *arena;
	const struct ir_request *r;
	const struct request_target *t;
	struct ir_losses *losses;
	struct err *reterr;
	const json *raw; /* the client's own body, where it came in this protocol; else NULL */
	const char *minted_by; /* the origin of what the target itself has minted */
	struct jw w;
	bool failed; /* memory ran out */
};

/* `instructions` and `input`. RC_UNSUPPORTED for what may not vanish. */
int rs_write_input(struct rs_writer *w) MUST_CHECK;
/* The tool of that name is a custom one. */
bool rs_is_custom(const struct ir_request *r, struct str name);

/* The name that a tool or a call goes by where namespaces are unknown; `name` itself where `v` names none. */
struct str rs_joined_name(struct arena *a, const json *v, struct str name);
/* Puts the tools of a list behind those that the request has, those in namespaces one by one. */
int rs_add_tools(const struct oc_reader *r, const json *list, const struct oc_path *at,
		 struct ir_request *q);

/* --- response_items.c --- */

enum rs_item_kind { RS_MESSAGE, RS_REASONING, RS_CALL, RS_CUSTOM_CALL, RS_OTHER };

/* One item of the answer, from its first sign to its end. */
struct rs_item {
	int64_t index; /* output_index */
	struct str id; /* absent when it is not known */
	enum rs_item_kind kind;
	bool done;    /* all of it is out */
	bool yielded; /* gave way to a later item before it was whole */
	bool missed; /* something of it passed while it waited: only the whole item tells the rest */
	bool opened;           /* call: its block was opened */
	bool summary, content; /* reasoning: which of its two texts is taken */
	struct str held;       /* the whole item, waiting for its turn; absent */
	size_t said; /* bytes of the current part, reasoning text or arguments that are out */
	unsigned parts_done; /* message: parts that are out */
	unsigned notes;      /* annotations of the current part that are out */
	int64_t part;        /* content_index or summary_index of the current part; -1: none */
};

/* Puts the items of an answer into the order of the grammar: one block open at a time.
 *
 *	head (passes at once) | waiting (what comes of them is taken from the whole item later)
 *
 * A message or reasoning gives way to the item that begins behind it, for some servers end it only at the very end; a call does
 * not, for its end must stay with it. What an item that gave way still owes follows as a block of its own. */
struct rs_items {
	struct arena *arena, *scratch;
	struct ir_sink *sink;
	const struct ir_request *request; /* to give tools their own names back; may be NULL */
	const char *minted_by;            /* the origin of reasoning (protocols/minters.h) */
	struct rs_item **all;             /* in the order of arrival */
	unsigned n, cap;
	struct rs_item *head;
	const struct rs_item
		*at; /* the one whose text goes out: its id goes along with reasoning */
	unsigned next_index;
	bool open;
	enum ir_block_kind block;
	unsigned n_calls;
	bool refused;
};

/* The item at that output_index begins. */
int rs_items_begin(struct rs_items *s, int64_t index, const json *item) MUST_CHECK;
/* A piece of text of a part of a message or of reasoning. */
struct rs_piece {
	int64_t index, part; /* output_index; content_index or summary_index */
	enum ir_block_kind block;
	bool summary; /* of a reasoning item's summary, not its text */
	struct str text;
	const json *logprobs;
};
int rs_items_text(struct rs_items *s, const struct rs_piece *p) MUST_CHECK;
int rs_items_citation(struct rs_items *s, int64_t index, const json *annotation) MUST_CHECK;
/* The part is whole. */
int rs_items_part_done(struct rs_items *s, int64_t index, int64_t part_index, const json *part)
	MUST_CHECK;
int rs_items_arguments(struct rs_items *s, int64_t index, struct str piece) MUST_CHECK;
/* The item is whole. */
int rs_items_done(struct rs_items *s, int64_t index, const json *item) MUST_CHECK;
/* The answer is: what is owed is taken from its list. */
int rs_items_end(struct rs_items *s, const json *output) MUST_CHECK;

/* --- response_decode.c --- */

struct protocol_decoder *rs_decoder_new(const struct decoder_options *o);
int rs_decode_event(struct protocol_decoder *d, const struct frame *ev, struct err *reterr);
int rs_decode_end(struct protocol_decoder *d, struct err *reterr);
int rs_decode_body(const struct decoder_options *o, struct str body, struct err *reterr);

/* --- response_encode.c, resource.c --- */

struct protocol_encoder *rs_encoder_new(const struct encoder_options *o);
int rs_encode_event(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out);
int rs_encode_response(const struct encoder_options *o, const struct ir_response *r,
		       struct buf *out);

/* The two ends of a resource that stay the same over an answer; in between stand the members of struct rs_state. */
struct rs_resource {
	struct str head; /* `{"id":...` to the model */
	struct str tier; /* that was asked for */
	struct str tail; /* `,"instructions":...`: what repeats the request, to the closing brace */
};

struct rs_state {
	const char *status;
	int64_t completed_at;          /* 0: null */
	const char *incomplete_reason; /* NULL: null */
	const struct ir_error *error;  /* NULL: null */
	struct str output;             /* the items, comma between, no brackets */
	const struct ir_usage *usage;  /* NULL: null */
	enum ir_tier tier;
	bool over; /* it will not change any more */
};

/* RC_NOMEM. */
int rs_resource_init(struct rs_resource *ret, const struct encoder_options *o) MUST_CHECK;
void rs_resource_write(struct buf *out, const struct rs_resource *r, const struct rs_state *s);
/* The same without one kept: for an answer that is written whole. */
void rs_resource_write_once(struct buf *out, const struct encoder_options *o,
			    const struct rs_state *s);

#endif
