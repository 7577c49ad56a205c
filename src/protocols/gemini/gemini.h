/* protocols/gemini/gemini.h - what the files of this protocol share.
 *
 * Nothing outside this folder includes it: the gateway sees only `protocol_gemini`.
 *
 *	relay.c            peek, patch, tap: bodies that pass as they are
 *	request_decode.c   client body -> ir_request       (request_contents.c, request_tools.c)
 *	request_encode.c   ir_request -> upstream body     (request_turns.c, request_parts.c)
 *	response_decode.c  upstream answer -> events       (response_extras.c: citations, log probabilities)
 *	response_encode.c  events -> client answer
 *	schema.c           JSON Schema <-> the vendor's OpenAPI subset
 *	errors.c, usage.c, models.c, embed.c
 *
 * The vendor reads protobuf's JSON: each member may be spelled camelCase or snake_case, so members are
 * looked up with gm_get() and gm_is(), never by the bare key.
 */
#ifndef GW_PROTOCOLS_GEMINI_H
#define GW_PROTOCOLS_GEMINI_H

#include "json/json.h"
#include "json/write.h"
#include "protocols/protocol.h"
#include "protocols/shape.h"

/* The name under which this protocol mints signatures and opaque parts. */
enum { GM_MAX_STOPS = 5 };

#define GM_NAME "gemini"

/* True when `origin` (a part's, tool's or request's) is this protocol. */
bool gm_minted(const char *origin);

/* Several members in one walk, as json_find() has it, each spelled as given (in camelCase) or in snake_case. */
void gm_find(const json *obj, const struct str *camel, size_t stride, size_t n, const json **ret);
#define GM_FIND(obj, names, ret) \
	gm_find((obj), (names), sizeof((names)[0]), sizeof(names) / sizeof((names)[0]), (ret))
/* One; NULL when absent, null or `obj` is no object. */
static inline const json *gm_get(const json *obj, const char *camel)
{
	const struct str name = str_from(camel);
	const json *v;

	gm_find(obj, &name, sizeof(name), 1, &v);
	return v;
}
/* The place of `key`, spelled either way, among the names in a table's column; `n` when it is none of them. */
size_t gm_index(const struct str *camel, size_t stride, size_t n, struct str key);
#define GM_ROW(table, key) \
	gm_index(&(table)[0].name, sizeof((table)[0]), sizeof(table) / sizeof((table)[0]), (key))
/* True when `key` is one of the two spellings. */
bool gm_is(struct str key, const char *camel);

/* json_parse() with the reason as the result: RC_SYNTAX or RC_NOMEM. */
int gm_parse(struct arena *a, struct str text, const json **ret, struct err *reterr) MUST_CHECK;

/* Forms of a route: what the answer looks like (struct protocol_route.variant). */
enum gm_variant {
	GM_WHOLE,  /* generateContent, countTokens, models */
	GM_STREAM, /* streamGenerateContent */
	GM_SINGLE, /* embedContent */
	GM_BATCH,  /* batchEmbedContents */
};

/* The model's name in a path argument: "projects/p/.../models/NAME" and "NAME" are NAME. */
struct str gm_model_name(struct str arg);
/* The query asks for an SSE stream. */
bool gm_wants_sse(struct str query);

/* --- usage.c --- */

/* Takes over what `usageMetadata` says; members it leaves out keep their value (trap 118). The vendor counts thoughts apart
 * from the answer and what its own tools read apart from the prompt; ours are the sums (trap 116). */
void gm_usage_read(const json *usage, struct ir_usage *io);
/* The same from the text that begins with the object, without a tree: for relayed answers. */
void gm_usage_glance(struct str text, struct ir_usage *io);
void gm_usage_write(struct jw *w, const struct ir_usage *u);
/* `serviceTier` of a request, in any case, as the canonical request has it; and the vendor's word for that. Absent: there is none. */
struct str gm_tier_asked(struct str word);
struct str gm_tier_word(struct str asked);

enum gm_ending {
	GM_ENDS,   /* a turn's end, `stop` says which */
	GM_FAILS,  /* no answer, though the status was 200: a broken call, no image (trap 103) */
	GM_UNSAID, /* OTHER and what came after us: an end when there was content, else a failure */
};
enum gm_ending gm_stop_parse(struct str reason, enum ir_stop *ret);
const char *gm_stop_name(enum ir_stop s);

/* --- errors.c --- */

/* True when a parsed body or event holds an error instead of an answer (trap 112). */
bool gm_error_is(const json *root);
/* Reads an error of any shape; texts are copied into `a`. `status`: HTTP status, 0 inside a stream.
 * True when it has the vendor's own shape. */
bool gm_error_read(struct arena *a, const json *root, int status, struct ir_error *ret);
/* {"error":{...}} into an open place. */
void gm_error_write(struct jw *w, const struct ir_error *e, struct str request_id, int *ret_status);

void gm_encode_error(const struct ir_error *e, struct str request_id, struct buf *out,
		     int *ret_status);
void gm_encode_stream_error(const struct ir_error *e, struct str request_id, enum framing framing,
			    bool started, struct buf *out);
bool gm_decode_error(struct arena *a, int status, struct str body, struct ir_error *ret);
void gm_encode_ping(enum framing framing, bool started, struct buf *out);

/* --- relay.c --- */

int gm_peek(struct arena *a, const struct request_line *line, struct str body,
	    struct request_peek *ret, struct err *reterr);
int gm_patch(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
	     struct buf *out);
unsigned gm_tap_event(struct relay_tap *t, struct arena *scratch, const struct frame *ev);
unsigned gm_tap_body(struct relay_tap *t, struct arena *scratch, struct str body);

/* --- models.c --- */

int gm_encode_models_page(struct arena *a, const struct request_line *line,
			  const struct model_info *models, unsigned n, struct buf *out,
			  struct err *reterr);
struct str gm_next_models(struct arena *a, struct str body);
void gm_encode_models(const struct model_info *models, unsigned n, struct buf *out);
void gm_encode_model(const struct model_info *model, struct buf *out);
int gm_decode_models(struct arena *a, struct str body, struct str **ret_ids, unsigned *ret_n,
		     struct err *reterr);
int gm_encode_count_request(struct arena *a, struct str request, struct str model,
			    enum count_form form, struct buf *out);
int gm_fit_count_request(struct arena *a, struct str body, struct str model, enum count_form form,
			 struct buf *out);
void gm_encode_token_count(int64_t input_tokens, struct buf *out);
int64_t gm_decode_token_count(struct arena *scratch, struct str body);

/* --- schema.c --- */

/* A declaration's `parameters` or a `responseSchema` as JSON Schema text; absent when memory is out. */
struct str gm_schema_to_json(struct arena *a, const json *schema);
/* True when the vendor's OpenAPI subset says all that the schema says. */
bool gm_schema_fits(const json *schema);
/* The schema in that subset: references put in place, what the subset has no word for left out (trap 82). *ret_lossy (may be
 * NULL) tells whether something was. */
void gm_schema_write(struct jw *w, const json *schema, bool *ret_lossy);

/* --- request_decode.c --- */

extern const struct shape gm_request_shape[]; /* request_shape.c */
int gm_decode_request(struct arena *a, const struct request_line *line, struct str body,
		      struct ir_request **ret, struct err *reterr);

struct gm_reader {
	struct arena *arena;
	struct ir_request *r;
	struct err *reterr;
	unsigned cap_extras;
};

int gm_no_memory(const struct gm_reader *d);
/* RC_INVALID: "contents[1].parts: ...". `at` is what the sentence begins with and the field concerned. */
int gm_refuse(const struct gm_reader *d, const char *at, const char *what) MUST_CHECK;
/* A member we have no canonical place for, as "group.name" ("" for none); `raw` NULL: only to be disclosed. */
int gm_add_extra(struct gm_reader *d, const char *group, struct str name, const json *raw)
	MUST_CHECK;

/* request_contents.c */
int gm_read_contents(struct gm_reader *d, const json *system, const json *contents) MUST_CHECK;
/* request_tools.c */
int gm_read_tools(struct gm_reader *d, const json *v) MUST_CHECK;
int gm_read_tool_config(struct gm_reader *d, const json *v) MUST_CHECK;

/* --- request_encode.c --- */

int gm_encode_request(struct arena *a, const struct ir_request *r, const struct request_target *t,
		      struct buf *out, struct ir_losses *losses, struct err *reterr);

struct gm_writer {
	struct arena *arena;
	const struct ir_request *r;
	const struct request_target *t;
	struct ir_losses *losses;
	struct err *reterr;
	struct jw w;
	bool system_as_user;        /* nothing but system messages: they are sent as the user's */
	struct str call_name;       /* of the call whose result is written; absent: unknown */
	bool wants_proof;           /* the model refuses a step whose first call has no signature */
	unsigned functions, others; /* of the tools: how many go up */
	bool lent_format;           /* the form of the answer is asked for in words */
};

/* request_turns.c: `systemInstruction` and `contents`. */
int gm_write_conversation(struct gm_writer *w) MUST_CHECK;

/* request_parts.c: one part; `signature` (may be absent) is put on it; `message` for the error's text. */
int gm_write_part(struct gm_writer *w, const struct ir_part *p, struct str signature,
		  unsigned message) MUST_CHECK;
/* Media of a tool's result, which older models take only beside it. */
int gm_write_result_media(struct gm_writer *w, const struct ir_part *p, unsigned message)
	MUST_CHECK;
bool gm_part_vanishes(const struct ir_part *p);
/* The type that the path of a URL tells; absent when it does not. */
struct str gm_mime_of_url(struct str url);
/* A function's name within the vendor's limits, and the client's own name for one that was made to fit. */
struct str gm_tool_name(struct arena *a, struct str name);
struct str gm_tool_name_restore(const struct ir_request *r, struct str name);

/* The third generation and later: levels, signatures that are demanded, media inside results, schemas beside tools. */
bool gm_is_third(struct str model);

/* --- response_decode.c --- */

struct protocol_decoder *gm_decoder_new(const struct decoder_options *o);
int gm_decode_event(struct protocol_decoder *d, const struct frame *ev, struct err *reterr);
int gm_decode_end(struct protocol_decoder *d, struct err *reterr);
int gm_decode_body(const struct decoder_options *o, struct str body, struct err *reterr);

/* response_extras.c: each citation in `groundingMetadata` and `citationMetadata` of a candidate; offsets are characters of `text`. */
typedef int gm_citation_fn(void *user, const struct ir_citation *c);
int gm_each_citation(struct arena *scratch, const json *grounding, const json *quoted,
		     struct str text, gm_citation_fn *fn, void *user) MUST_CHECK;
/* `logprobsResult` as OpenAI Chat's list; absent when there is none. */
struct str gm_logprobs_read(struct arena *scratch, const json *result);
/* OpenAI Chat's list as `logprobsResult`. */
void gm_logprobs_write(struct jw *w, struct arena *scratch, struct str list);

/* --- response_encode.c --- */

struct protocol_encoder *gm_encoder_new(const struct encoder_options *o);
int gm_encode_event(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out);
int gm_encode_response(const struct encoder_options *o, const struct ir_response *r,
		       struct buf *out);

/* --- carried proofs: a signature's place holds base64 (the vendor's SDKs type it as bytes) --- */

/* What to put into `thoughtSignature` for a proof minted by `origin`; absent when memory is out. `redacted`: the proof is opaque
 * reasoning, not the signature of a text. */
struct str gm_proof_pack(struct arena *a, const char *origin, struct str proof, bool redacted);
/* The way back into a REASONING part: origin, and signature or redacted. */
void gm_proof_unpack(struct arena *a, struct str value, struct ir_part *p);

/* --- embed.c --- */

extern const struct embed_codec gm_embed;

#endif
