/* ir/event.h - the canonical answer as a stream of events, and as a whole.
 *
 * Grammar (held by ir/grammar.h):
 *
 *	START (OPEN DELTA* CLOSE)* USAGE* (FINISH | ERROR)      PING anywhere
 *
 * Block indices count from 0 in the order of OPEN; one block is open at a time (decoders buffer
 * calls that a vendor interleaves, trap 1). USAGE is cumulative and may also come
 * between blocks: the last one counts (trap 118). After FINISH or ERROR nothing follows.
 * ERROR may come at any time, also before START and inside a block: that is when upstreams fail.
 * A REASONING block with a signature and no text is a proof that belongs to the block behind it (Gemini signs calls).
 * An answer without a block is allowed. Slices are valid only during the sink's call.
 * Several answers to one request (`n` above 1) are as many streams, each with a decoder and an encoder of its own.
 */
#ifndef GW_IR_EVENT_H
#define GW_IR_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* How an answer was processed and is paid for, as far as several vendors mean the same by it. */
enum ir_tier {
	IR_TIER_UNSAID, /* or a word that no other vendor has */
	IR_TIER_STANDARD,
	IR_TIER_PRIORITY,
	IR_TIER_FLEX,     /* cheaper, and may wait */
	IR_TIER_RESERVED, /* throughput bought beforehand */
	IR_TIER_BATCH,
};

/* Tokens. -1: not said. Canonical meaning whatever the vendor's (traps 115, 116):
 * input includes what was read from and written to a cache; output includes reasoning. */
struct ir_usage {
	int64_t input, output;
	int64_t cache_read, cache_write;        /* parts of input */
	int64_t cache_write_5m, cache_write_1h; /* parts of cache_write */
	int64_t reasoning;                      /* part of output */
	int64_t audio_input, audio_output;
	int64_t accepted_prediction, rejected_prediction;
	bool estimated;
	enum ir_tier tier;
};

#define IR_USAGE_NONE \
	((struct ir_usage){ -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, false, IR_TIER_UNSAID })

/* Members of `with` that are said replace those of `u` (cumulative: last wins). */
void ir_usage_merge(struct ir_usage *u, const struct ir_usage *with);
/* Adds up what two answers cost: what one of them does not say counts as nothing, unless neither does. */
void ir_usage_add(struct ir_usage *u, const struct ir_usage *more);

enum ir_block_kind {
	IR_BLOCK_TEXT,
	IR_BLOCK_REASONING,
	IR_BLOCK_TOOL_CALL,
	IR_BLOCK_REFUSAL,
	IR_BLOCK_OPAQUE, /* raw JSON of a block only its own protocol knows */
};

enum ir_delta_kind {
	IR_DELTA_TEXT,      /* TEXT, REASONING, REFUSAL */
	IR_DELTA_ARGUMENTS, /* TOOL_CALL: a piece of the arguments' JSON text */
	IR_DELTA_SIGNATURE, /* REASONING: whole signature, at most once, last */
	IR_DELTA_REDACTED,  /* REASONING: opaque data instead of text, whole */
	IR_DELTA_CITATION,  /* TEXT: one citation, see ir_citation */
	IR_DELTA_RAW,       /* OPAQUE: the whole block */
};

/* A citation as far as several vendors share it; `raw` is the minting vendor's own. */
struct ir_citation {
	struct str url, title, cited_text;
	int64_t start,
		end; /* character range in the answer's text; IR_UNSET-like -1 when unknown */
	struct str raw;
	const char *origin;
};

enum ir_stop {
	IR_STOP_END,      /* the turn is complete */
	IR_STOP_LENGTH,   /* max_tokens */
	IR_STOP_SEQUENCE, /* a stop sequence; text in stop_sequence when known */
	IR_STOP_TOOL_CALLS,
	IR_STOP_REFUSAL, /* refused or filtered */
	IR_STOP_PAUSE,   /* Anthropic pause_turn */
	IR_STOP_CONTEXT, /* the context window is full */
};

/* What went wrong, in no vendor's words. Each protocol maps kind -> its own type and status. */
enum ir_error_kind {
	IR_ERR_INVALID_REQUEST, /* 400 */
	IR_ERR_AUTHENTICATION,  /* 401 */
	IR_ERR_BILLING,         /* 402 */
	IR_ERR_PERMISSION,      /* 403 */
	IR_ERR_NOT_FOUND,       /* 404: no such route or thing */
	IR_ERR_MODEL_NOT_FOUND, /* 404 */
	IR_ERR_METHOD,          /* 405 */
	IR_ERR_TOO_LARGE,       /* 413 */
	IR_ERR_MEDIA_TYPE,      /* 415 */
	IR_ERR_CONTEXT_LENGTH,  /* 400: the prompt does not fit */
	IR_ERR_CONTENT_FILTER,  /* 400: the prompt was refused */
	IR_ERR_RATE_LIMIT,      /* 429 */
	IR_ERR_SERVER,          /* 500 */
	IR_ERR_UPSTREAM,        /* 502: the provider failed or answered nonsense */
	IR_ERR_UNAVAILABLE,     /* 503 */
	IR_ERR_OVERLOADED,      /* 503, Anthropic 529 */
	IR_ERR_TIMEOUT,         /* 504; 408 when the client was the slow one (status says) */
};

struct ir_error {
	enum ir_error_kind kind;
	int status;         /* HTTP status to answer with; 0: the protocol's own for the kind */
	struct str message; /* for the user: what is wrong and what to do; no secrets */
	struct str code;    /* machine-readable, "model_not_found"; absent */
	struct str param;   /* the field concerned; absent */
	struct str type;    /* the upstream's own type, kept towards the same protocol; absent */
	int64_t retry_after_ms; /* -1: none */
};

enum ir_event_kind {
	IR_START,
	IR_OPEN,
	IR_DELTA,
	IR_CLOSE,
	IR_USAGE,
	IR_FINISH,
	IR_ERROR,
	IR_PING,
};

struct ir_event {
	enum ir_event_kind kind;
	unsigned index;           /* OPEN, DELTA, CLOSE */
	enum ir_block_kind block; /* OPEN, DELTA, CLOSE */
	enum ir_delta_kind delta; /* DELTA */
	struct str id; /* START: the upstream's response id; OPEN of TOOL_CALL: the call's id; of
			  REASONING: the item's, where there are items; else absent */
	struct str
		name; /* START: the upstream's model; OPEN of TOOL_CALL: the tool's name; DELTA of RAW: by which its loss is
		       named where a dialect has no form for it ("answer.audio"); absent: nobody misses it */
	const char *origin; /* OPEN of REASONING or OPAQUE: the minting protocol */
	struct str text;    /* DELTA */
	struct str
		logprobs; /* DELTA of a TEXT or REFUSAL block's text: the tokens' log probabilities as OpenAI Chat's `content` list, raw JSON; absent */
	struct str
		picture; /* DELTA of RAW: the block is a picture; its URL (`data:` mostly), for protocols that have a form for one; absent */
	const struct ir_citation *citation; /* DELTA of CITATION */
	struct ir_usage usage;              /* START and USAGE (START: all -1 when unknown) */
	enum ir_stop stop;                  /* FINISH */
	struct str stop_sequence;           /* FINISH with IR_STOP_SEQUENCE; absent when unknown */
	bool more; /* FINISH, towards an encoder: other answers to the same request still end */
	const struct ir_error *error; /* ERROR */
};

/* Takes events one by one. Non-zero (a negative rc) means: stop, I failed. */
struct ir_sink {
	int (*event)(struct ir_sink *self, const struct ir_event *ev);
};

static inline int ir_emit(struct ir_sink *s, const struct ir_event *ev)
{
	return s->event(s, ev);
}

/* --- the answer as a whole --- */

struct ir_block {
	enum ir_block_kind kind;
	struct str id, name; /* TOOL_CALL */
	struct str
		text; /* TEXT, REASONING, REFUSAL; TOOL_CALL: the arguments' JSON ("{}" when none came); OPAQUE: raw */
	struct str signature, redacted; /* REASONING */
	struct str picture;             /* OPAQUE: as in ir_event */
	const char *origin;
	struct str logprobs;           /* TEXT, REFUSAL: one JSON list, as in ir_event; absent */
	struct ir_citation *citations; /* TEXT */
	unsigned n_citations;
};

struct ir_response {
	struct str id, model;
	struct ir_block *blocks;
	unsigned n_blocks;
	struct ir_usage usage;
	enum ir_stop stop;
	struct str stop_sequence;
	unsigned choice;                /* which of the answers to the request, from 0 */
	const struct ir_response *next; /* another answer to the same request; NULL */
};

const char *ir_stop_name(enum ir_stop s); /* for logs */
const char *ir_event_name(enum ir_event_kind k);
int ir_error_status(const struct ir_error *e); /* its status, or the kind's usual one */
/* What an HTTP status says by itself. */
enum ir_error_kind ir_error_kind_of_status(int status);
const char *ir_error_kind_name(enum ir_error_kind k);

#endif
