/* protocols/protocol.h - what a wire format is to the gateway.
 *
 * A protocol is ONE module that decodes requests, encodes requests, decodes responses (whole or streamed) into events
 * and encodes events into responses: the same module serves clients that speak
 * it and providers that speak it. No I/O, no clock, no globals, no logging.
 *
 * To add one: a folder here, a `const struct protocol protocol_NAME`, one line in protocols.def,
 * golden files under tests/golden/NAME, and the shared codec tests run on it.
 *
 *	client bytes  -> peek ............................ relay: patch, bytes pass, tap reads along
 *	              -> decode_request -> ir_request -> encode_request -> upstream bytes
 *	upstream bytes -> decoder/decode_body -> ir_event -> encoder/encode_response -> client bytes
 */
#ifndef GW_PROTOCOLS_PROTOCOL_H
#define GW_PROTOCOLS_PROTOCOL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "ir/embed.h"
#include "ir/event.h"
#include "ir/fit.h"
#include "ir/losses.h"
#include "ir/request.h"
#include "ir/sampling.h"
#include "json/scan.h"
#include "protocols/proofs.h"
#include "wire/http1.h"
#include "wire/frame.h"

enum quirk_bit {
#define X(NAME, yaml, text) QUIRK_BIT_##NAME,
#include "protocols/quirks.def"
#undef X
	QUIRK_COUNT
};
enum quirk {
#define X(NAME, yaml, text) QUIRK_##NAME = 1u << QUIRK_BIT_##NAME,
#include "protocols/quirks.def"
#undef X
};

struct protocol;

/* How an endpoint counts the tokens of a request, in the form of one of its protocols. */
enum count_form {
	COUNT_NEVER,   /* not at all, for all that is known */
	COUNT_UNKNOWN, /* who speaks the protocol anyway may ask, and see */
	COUNT_OWN,     /* as the protocol's own vendor does */
	COUNT_VERTEX,  /* Gemini's, with contents, instructions and tools at the top */
	COUNT_TOKENIZE /* Chat's, as vLLM's /tokenize, which counts texts alone */
};

/* --- routes --- */

/* What is asked of an answer that was kept. */
enum kept_op { KEPT_GET, KEPT_DELETE, KEPT_INPUT, KEPT_CANCEL };

struct protocol_route {
	enum http_method method;
	/* Literal but for one "{id}", which takes one segment, or "{name}", which takes one or more (model names hold slashes);
	 * what stands behind it must follow: "/v1beta/models/{name}:countTokens". Of several paths that match, the one that says
	 * most counts, by whatever method: where it has none for a request, that is ROUTE_METHOD. Eight bytes or more, the end
	 * counted, stand before the brace (route_find() looks at them first). */
	const char *path;
	enum ir_op op;
	unsigned variant; /* of the protocol's own: which of several forms of one operation */
};

/* What the head says of a request beside its body. */
struct request_line {
	enum ir_op op;
	unsigned variant; /* of the route */
	struct str
		arg; /* what stood in the braces' place, percent-decoded: a model's or a response's name; absent */
	struct str query; /* without '?'; absent */
};

/* A plain request to generate: nothing in the path, no query. */
extern const struct request_line request_line_plain;

struct route_match {
	const struct protocol *protocol; /* never NULL: the one to answer in, also for a refusal */
	struct request_line line;
	struct str allow; /* with ROUTE_METHOD: "GET, POST" */
};

enum route_result { ROUTE_OK, ROUTE_NOT_FOUND, ROUTE_METHOD };

/* Which protocol and operation a request head asks for. Vendor prefixes (/openai, /anthropic, /api) and the query
 * (`?beta=true`) are taken off; /v1/models goes to Anthropic when the head has anthropic-version, to Gemini when it has Google's key or
 * x-goog-api-client. */
enum route_result route_find(struct arena *a, const struct http_head *head,
			     struct route_match *ret);

/* --- requests: relay --- */

/* Members of a body whose protocol keeps turns. */
enum peek_turn {
	PEEK_PREVIOUS,
	PEEK_INPUT,
	PEEK_STORE,
	PEEK_BACKGROUND,
	PEEK_CONVERSATION,
	PEEK_TURN_COUNT
};

/* What the gateway must know of a body it may pass on as it is. Slices of the body or the arena. */
struct request_peek {
	struct str body;
	struct str model;
	bool stream;
	enum framing framing; /* of the stream the client wants */
	bool include_usage; /* the client asked for usage in the stream, or the protocol always sends it */
	bool forces_tool; /* tool_choice forces a call */
	struct str
		load; /* asks for no answer, only that the model be ready ("load") or not ("unload"); absent: asks as usual */
	bool keeps;   /* says how long the model is to stay in memory once it is done: */
	int64_t keep_alive_ms; /* so long; negative: for good */
	struct str
		provider_pin; /* our own top-level `provider` string (interface.md section 3); absent */
	struct json_want model_at, stream_options_at, provider_at,
		max_tokens_at; /* where they stand */
	bool asks_input; /* of OpenAI's: `input` stands there and no `messages`, so that no Chat was meant */
	bool carriers; /* of a protocol that keeps turns: strings that begin as in ir/carrier.h stand somewhere in it */
	bool proofs; /* of a protocol with a proof_codec: some may stand in it */
	struct json_want turn_at[PEEK_TURN_COUNT]; /* the same: what the body says of them */
};

struct patch_options {
	struct str model; /* the target's name for the model */
	unsigned quirks;
	bool strip_provider; /* take our own `provider` member out */
	bool ask_usage;      /* ask for usage in the stream though the client did not */
	struct ir_losses
		*losses; /* what had to be left out, for the target would refuse it; MAY be NULL */
	struct proof_check *proofs; /* MAY be NULL: all that look like the target's own are */
};

/* --- requests: translation --- */

/* What the encoder may assume of the target. */
struct request_target {
	struct str model;
	unsigned quirks;
	int64_t default_max_tokens; /* where the protocol demands one and the client gave none (> 0) */
	int64_t budget[8];          /* thinking tokens by enum ir_effort; 0: that effort has none */
	const char *
		minter; /* whose proofs it takes (account_minter()); NULL: the protocol's own vendor's */
	struct proof_check *proofs; /* MAY be NULL: all that bear that name are the target's own */
	bool adaptive_thinking;     /* the model takes effort, not a budget */
	bool never_thinks;          /* the model refuses to be asked to */
	enum ir_sampling sampling;  /* heeded before encoding: encoders need not look */
};

/* --- responses: relay --- */

enum tap_flags {
	TAP_MEANINGFUL = 1u << 0, /* opens the commit gate */
	TAP_ERROR = 1u << 1,      /* an error inside the stream; tap.error is set */
	TAP_END = 1u << 2,        /* the protocol's own end ([DONE], message_stop) */
	TAP_DROP = 1u << 3,       /* only there because we asked for it: do not pass on */
	TAP_EDIT =
		1u << 4, /* pass tap.edited and tap.edited_rest on instead of the event's bytes */
};

/* State of one relayed answer; zero it, then set the first two members. */
struct relay_tap {
	struct arena *arena;   /* for the error's text; lives as long as the attempt */
	bool hide_usage;       /* we asked for usage, the client did not */
	struct ir_usage usage; /* set to IR_USAGE_NONE first; last seen, cumulative */
	struct ir_error error;
	bool finished;   /* a stop reason was seen */
	bool meaningful; /* of the tap's own: something meaningful has passed */
	/* Of the tap's own, for a protocol whose errors repeat what was said: the answer's beginning, and how much came. */
	struct str opening;
	uint64_t n_events;
	struct str edited, edited_rest;
	struct buf scratch; /* of the tap's own, for `edited`; the pump ends it with buf_done() */
};

/* --- responses: translation --- */

struct protocol_decoder; /* each protocol defines its own */
struct protocol_encoder;

struct decoder_options {
	struct arena *arena;   /* lives as long as the answer; not for per-event memory */
	struct arena *scratch; /* emptied by the pump after each frame (arena_reset) */
	struct ir_sink *sink;
	unsigned quirks;
	const char *minter; /* whose answer it is, as in request_target */
	const struct ir_request *
		request; /* what was asked, to give tools back the names the client knows; MAY be NULL */
	/* Which of several answers to read (Chat's choices, Gemini's candidates). Of one that does not come no event comes; only
	 * protocols whose requests can ask for several have to look. */
	unsigned choice;
};

struct encoder_options {
	struct arena *arena;
	const struct ir_request
		*request; /* what the client asked, for what an answer repeats; NULL in a relay */
	bool asked_itself; /* that went up as it is: what encoders add to an answer (`echo`) the provider has done already */
	enum framing framing;   /* the form of stream the client wants */
	struct str id;          /* ready, with the protocol's prefix (id_prefix + random) */
	struct str model;       /* as the client asked */
	int64_t created_s;      /* wall clock */
	int64_t (*now_s)(void); /* the wall clock, for what says when it ended; MAY be NULL */
	bool include_usage;
	struct str request_id; /* for an error's body; absent: none */
	unsigned choice;       /* of a stream of several answers: which one this encoder writes */
	struct protocol_encoder *lead; /* the encoder of the first of them; NULL: it is this one */
};

/* A line of the model list. */
struct model_info {
	struct str id;
	struct str owner; /* the provider's name */
	int64_t created_s;
	int64_t context;     /* tokens; 0 unknown */
	int64_t max_output;  /* 0 unknown */
	bool embeds;         /* makes vectors, not answers */
	bool running;        /* a model of ours that is in memory now */
	int64_t idle_left_s; /* of one that runs: until it is unloaded if nobody asks; -1: never */
	/* What it can, as far as it is known by its name. */
	enum ir_tri vision, tools, reasoning, effort;
};

/* What an answer to IR_OP_INFO, or to a request that only loads, may be made of. */
struct info_facts {
	const struct request_line *line;
	struct str model;                /* that was asked about; absent: none */
	struct str load;                 /* as in request_peek */
	const struct model_info *models; /* all the caller may use */
	unsigned n_models;
	int64_t now_s;       /* wall clock */
	const char *version; /* the gateway's own */
};

/* Embeddings of a protocol: one body in, one body out. All MUST. Errors as in struct protocol. */
struct embed_codec {
	unsigned
		max_inputs; /* of one request: more go in several; 0: no limit of the protocol's own */
	int (*decode_request)(struct arena *a, const struct request_line *line, struct str body,
			      struct ir_embed_request **ret, struct err *reterr);
	int (*encode_request)(struct arena *a, const struct ir_embed_request *r,
			      const struct request_target *t, struct buf *out,
			      struct ir_losses *losses, struct err *reterr);
	/* A whole 2xx body; `r` is what was asked. RC_SYNTAX: no answer of this protocol. */
	int (*decode_response)(struct arena *a, const struct ir_embed_request *r, struct str body,
			       struct ir_embed_response **ret, struct err *reterr);
	/* `r` is what the client asked (form of the vectors); `model` as it asked for it. */
	int (*encode_response)(const struct ir_embed_request *r, const struct ir_embed_response *e,
			       struct str model, struct buf *out);
	/* Relay: usage out of a whole 2xx body; false when it is no answer of this protocol. */
	bool (*tap_body)(struct arena *scratch, struct str body, struct ir_usage *ret);
};

struct protocol {
	const char *name;      /* MUST: "openai-chat" */
	const char *id_prefix; /* MUST: "chatcmpl-" */
	const char
		*request_id_header; /* MUST: name under which clients look for the request's id */
	const struct protocol_route *routes; /* MUST: ends with .path NULL */
	const char *error_content_type;      /* MUST: "application/json" */
	enum framing framing; /* in which its streams come, when it is spoken upstream */
	bool fills_gaps;      /* has a place for the text behind a gap, `suffix` */
	unsigned
		pictures; /* enum ir_pictures: in which forms its answers hold what a model drew; 0: in none */
	bool keeps_turns; /* its answers may be kept and continued: bodies and answers are those of policy/conversation.h */
	bool over_websocket; /* what its route of IR_OP_GENERATE takes by POST may also come in messages of a WebSocket */
	bool cannot_stop; /* its requests have no stop sequences: the gateway cuts the answers (ir/stop_cut.h, trap 73) */
	unsigned
		max_stops; /* so many fit (0: any number); of more the first go up, and the gateway cuts the answers (trap 71) */
	bool end_required; /* a stream without its own end (TAP_END) was cut, even when a stop reason came before (trap 113) */

	/* Requests, relay. MUST. RC_INVALID / RC_SYNTAX with a message for the caller. */
	int (*peek)(struct arena *a, const struct request_line *line, struct str body,
		    struct request_peek *ret, struct err *reterr);
	/* The body with only the gateway's fields changed. */
	int (*patch)(struct arena *a, const struct request_peek *peek,
		     const struct patch_options *o, struct buf *out);

	/* The body asks for what a target with these quirks has no word for, and an encoder knows a way: it is translated though
	 * the target speaks the protocol. MAY be NULL: never. */
	bool (*needs_encoder)(const struct request_peek *peek, unsigned quirks);

	/* Requests, translation. MUST. decode: RC_INVALID with reterr->param for what the caller did wrong. */
	int (*decode_request)(struct arena *a, const struct request_line *line, struct str body,
			      struct ir_request **ret, struct err *reterr);
	/* What the protocol demands of a decoded request before a model may answer it, beyond its shape (Anthropic: max_tokens,
	 * which counting tokens does not need). MAY be NULL: nothing. To be called for IR_OP_GENERATE only. */
	int (*check_generate)(const struct ir_request *r, struct err *reterr);
	/* Maps, drops-and-discloses (ir_loss) or refuses (RC_UNSUPPORTED) every field. `a` is scratch. */
	int (*encode_request)(struct arena *a, const struct ir_request *r,
			      const struct request_target *t, struct buf *out,
			      struct ir_losses *losses, struct err *reterr);

	/* Responses, relay. MUST. One frame that is about to be passed on. */
	unsigned (*tap_event)(struct relay_tap *t, struct arena *scratch, const struct frame *ev);
	/* A whole 2xx body. Returns TAP_ERROR when it holds an error instead of an answer, TAP_MEANINGFUL else; 0 when it is
	 * no answer of this protocol at all (HTML, empty). */
	unsigned (*tap_body)(struct relay_tap *t, struct arena *scratch, struct str body);

	/* Responses, translation. MUST. new: NULL when memory is out. */
	struct protocol_decoder *(*decoder_new)(const struct decoder_options *o);
	/* One frame. RC_SYNTAX: not this protocol (reterr says what). */
	int (*decode_event)(struct protocol_decoder *d, const struct frame *ev, struct err *reterr);
	/* The body ended. RC_CLOSED when the answer was cut (no FINISH and no ERROR was emitted, and none can be
	 * honestly made up: trap 7 allows it only where the protocol's own end came). */
	int (*decode_end)(struct protocol_decoder *d, struct err *reterr);
	/* A whole 2xx body, as the same events. */
	int (*decode_body)(const struct decoder_options *o, struct str body, struct err *reterr);

	struct protocol_encoder *(*encoder_new)(const struct encoder_options *o);
	/* Appends what the client gets for `ev`: whole frames, or nothing. ERROR: the protocol's own terminal error event. */
	int (*encode_event)(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out);
	/* A whole answer. */
	int (*encode_response)(const struct encoder_options *o, const struct ir_response *r,
			       struct buf *out);

	/* Errors. MUST. The body of an error answer; *ret_status its HTTP status. */
	void (*encode_error)(const struct ir_error *e, struct str request_id, struct buf *out,
			     int *ret_status);
	/* An error as the terminal event(s) of a stream that is being relayed (no encoder exists). */
	void (*encode_stream_error)(const struct ir_error *e, struct str request_id,
				    enum framing framing, bool started, struct buf *out);
	/* The same where the error needs to know what passed. MAY be NULL: encode_stream_error. */
	void (*encode_relay_error)(const struct relay_tap *t, const struct ir_error *e,
				   struct str request_id, struct buf *out);
	/* Reads an upstream's error answer of whatever shape (trap 107). Returns true when the
	 * body has this protocol's own shape, so that a relay may pass it on as it is. */
	bool (*decode_error)(struct arena *a, int status, struct str body, struct ir_error *ret);
	/* Keep-alive while the upstream is silent, between events; `started`: some event was sent already. Where a stream has
	 * no place for one it appends nothing. */
	void (*encode_ping)(enum framing framing, bool started, struct buf *out);

	/* Models. MAY be NULL when the protocol lists none. */
	void (*encode_models)(const struct model_info *models, unsigned n, struct buf *out);
	void (*encode_model)(const struct model_info *model, struct buf *out);
	/* Instead of encode_models where lists come in pages, as the query asks; `a` is scratch. MAY be NULL. */
	int (*encode_models_page)(struct arena *a, const struct request_line *line,
				  const struct model_info *models, unsigned n, struct buf *out,
				  struct err *reterr);
	/* Ids out of an upstream's list; each into the arena. MAY be NULL. */
	int (*decode_models)(struct arena *a, struct str body, struct str **ret_ids,
			     unsigned *ret_n, struct err *reterr);

	/* Of a list that comes in pages: the query that asks for the page behind this one ("after_id=x", ready to be sent); absent: it was
	 * the last. MAY be NULL: there are no pages. */
	struct str (*next_models)(struct arena *a, struct str body);

	/* What only clients of this protocol ask the gateway itself (IR_OP_INFO). MAY be NULL: no route leads there. False: there is
	 * no such model. */
	bool (*encode_info)(const struct info_facts *f, struct buf *out);

	/* Token counts. MAY be NULL; decode: -1 when it is none. The request for a count is made of what encode_request() made; NULL:
	 * nobody who speaks another protocol can ask this one for a count. */
	int (*encode_count_request)(struct arena *a, struct str request, struct str model,
				    enum count_form form, struct buf *out);
	/* A client's own request for a count, in the form that this target takes. NULL: there is but one. */
	int (*fit_count_request)(struct arena *a, struct str body, struct str model,
				 enum count_form form, struct buf *out);
	int64_t (*decode_token_count)(struct arena *scratch, struct str body);
	void (*encode_token_count)(int64_t input_tokens, struct buf *out);

	/* Embeddings. MAY be NULL: the protocol has none. */
	const struct embed_codec *embed;

	/* Proofs in its texts. MAY be NULL: nobody asks whose they are. */
	const struct proof_codec *proofs;
};

/* A parameter of the query, percent-decoded; absent when it is not there, is broken or memory is out. */
struct str query_get(struct arena *a, struct str query, const char *name);

/* The next parameter that has a value, which is taken off `*io_rest`; both are percent-decoded, and absent when they are broken or
 * memory is out. False: there are no more. */
bool query_next(struct arena *a, struct str *io_rest, struct str *ret_name, struct str *ret_value);

/* "name=value" for a query, the value percent-encoded; absent when memory is out. */
struct str query_put(struct arena *a, const char *name, struct str value);

/* All of protocols.def, in its order; NULL at the end. */
extern const struct protocol *const protocols[];
const struct protocol *protocol_find(struct str name);

/* Quirk by its YAML name; 0 when unknown. */
unsigned quirk_find(struct str name);
/* As it is written in a configuration. */
const char *quirk_name(enum quirk_bit bit);

#define X(id) extern const struct protocol protocol_##id;
#include "protocols/protocols.def"
#undef X

#endif
