/* ir/request.h - the canonical request: what any client asked, in no vendor's words.
 *
 * Decoders build it in the exchange's arena; it is const from then on. Slices
 * point into the arena. "Absent" is always told from "empty" or "zero": an absent
 * slice has .ptr NULL, an absent number is IR_UNSET, an absent tri-state is IR_TRI_UNSET.
 * JSON that is not ours to read (tool arguments, schemas, opaque blocks) stays raw
 * text, so that key order and big numbers survive (trap 60).
 *
 * When you add a field or a kind: the compiler's -Wswitch names the encoders that must answer
 * for a kind; for a field, ir_request_fields.def lists it, and tests/unit/protocols holds each
 * encoder to "mapped, disclosed or refused" over that list.
 */
#ifndef GW_IR_REQUEST_H
#define GW_IR_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

#define IR_UNSET INT64_MIN

enum ir_tri { IR_TRI_UNSET = 0, IR_FALSE, IR_TRUE };

/* More answers to one request than that are not translated: each piece of a stream is looked at once for each answer. */
enum { IR_CHOICES_MAX = 32 };
/* More prompts in one request than that are not answered one after another. */
enum { IR_PROMPTS_MAX = 128 };

/* What is asked of the gateway. */
enum ir_op {
	IR_OP_GENERATE,     /* a model's turn */
	IR_OP_COUNT_TOKENS, /* how long is this request */
	IR_OP_LIST_MODELS,
	IR_OP_GET_MODEL,
	IR_OP_EMBED,   /* texts to vectors (ir/embed.h) */
	IR_OP_COMPACT, /* a conversation to a shorter one */
	IR_OP_KEPT, /* an answer that the gateway has kept: the route's variant is an enum kept_op */
	IR_OP_INFO, /* what the gateway itself answers in a protocol's own words */
};

enum ir_role {
	IR_ROLE_SYSTEM,
	IR_ROLE_DEVELOPER, /* OpenAI's name for the operator's word; encoders without it use system */
	IR_ROLE_USER,      /* carries tool results too, results before text (trap 39) */
	IR_ROLE_ASSISTANT,
};

enum ir_part_kind {
	IR_PART_TEXT,
	IR_PART_IMAGE,
	IR_PART_FILE, /* PDF or other document */
	IR_PART_AUDIO,
	IR_PART_TOOL_CALL,
	IR_PART_TOOL_RESULT,
	IR_PART_REASONING,
	IR_PART_REFUSAL,
	IR_PART_OPAQUE, /* a block only its own protocol understands (server tools, ...) */
};

enum ir_media_source {
	IR_MEDIA_BASE64,  /* .data holds base64 text */
	IR_MEDIA_URL,     /* .data holds the URL */
	IR_MEDIA_FILE_ID, /* .data holds a vendor's file id */
	IR_MEDIA_TEXT,    /* .data holds plain text (Anthropic's text documents) */
};

enum ir_cache { IR_CACHE_NONE, IR_CACHE_DEFAULT, IR_CACHE_5M, IR_CACHE_1H };

struct ir_media {
	enum ir_media_source source;
	struct str mime; /* "image/png"; absent when unknown */
	struct str data;
	struct str name;    /* file name or title; absent when none */
	struct str detail;  /* OpenAI's image detail */
	struct str context; /* Anthropic's document context */
};

/* One part of a message. Which members mean something depends on the kind. */
struct ir_part {
	enum ir_part_kind kind;
	struct str text;         /* TEXT, REASONING, REFUSAL */
	struct ir_media media;   /* IMAGE, FILE, AUDIO (detail: the audio format) */
	struct str id;           /* TOOL_CALL, TOOL_RESULT: the call's id; REASONING: an item id */
	struct str name;         /* TOOL_CALL; TOOL_RESULT when known */
	struct str arguments;    /* TOOL_CALL: raw JSON object text, never absent ("{}") */
	struct ir_part *content; /* TOOL_RESULT: TEXT, IMAGE, FILE, OPAQUE parts */
	unsigned n_content;
	bool is_error; /* TOOL_RESULT */
	struct str
		signature; /* REASONING: proof by the vendor that minted it; may be empty. Without text the
				 proof is that of the part that follows (Gemini signs calls and texts) */
	struct str redacted; /* REASONING: opaque data instead of text (trap 48) */
	const char *
		origin; /* REASONING, OPAQUE, what has `raw`: name of the protocol that minted it; NULL unknown */
	/* OPAQUE: the block as JSON; one with a name stands beside the messages, as an item of OpenAI's. TEXT, IMAGE: present when origin has a block of its own for what the part tells others. */
	struct str raw;
	struct str citations; /* TEXT, FILE: raw JSON (FILE: the request's citations setting) */
	enum ir_cache cache;  /* a cache breakpoint after this part */
};

struct ir_message {
	enum ir_role role;
	struct str name; /* OpenAI's participant name */
	struct ir_part *parts;
	unsigned n_parts;
};

struct ir_tool {
	struct str name;        /* absent for a server tool */
	struct str description; /* absent when none or null */
	struct str parameters;  /* raw JSON schema; absent when none */
	enum ir_tri strict;
	enum ir_cache cache;
	struct str server_raw; /* a vendor's own tool (web search, ...): its JSON; else absent */
	const char *origin;    /* of server_raw: the protocol's name */
	/* OpenAI's custom tool: its input is free text, not JSON. Its calls are {"input":"..."} everywhere in here, and that is
	 * its schema where only functions are known; encoders that know custom tools look it up by name. */
	bool custom;
	struct str custom_format; /* raw JSON of `format` (a grammar); absent */
	struct str
		ns; /* OpenAI's namespace that it stands in; `name` then begins with it and "__". Absent: none */
};

enum ir_choice_mode {
	IR_CHOICE_UNSET,
	IR_CHOICE_AUTO,
	IR_CHOICE_NONE,
	IR_CHOICE_REQUIRED, /* some tool must be called */
	IR_CHOICE_NAMED,    /* this one */
};

struct ir_tool_choice {
	enum ir_choice_mode mode;
	struct str name;     /* NAMED */
	struct str *allowed; /* allowed_tools: a hard constraint (trap 76); NULL: all */
	unsigned n_allowed;
	enum ir_tri parallel; /* may several calls come in one turn? */
};

enum ir_format_kind {
	IR_FORMAT_UNSET,
	IR_FORMAT_TEXT,
	IR_FORMAT_JSON_OBJECT,
	IR_FORMAT_JSON_SCHEMA
};

struct ir_format {
	enum ir_format_kind kind;
	struct str name, description;
	struct str schema; /* raw JSON */
	enum ir_tri strict;
};

enum ir_effort {
	IR_EFFORT_UNSET,
	IR_EFFORT_NONE,
	IR_EFFORT_MINIMAL,
	IR_EFFORT_LOW,
	IR_EFFORT_MEDIUM,
	IR_EFFORT_HIGH,
	IR_EFFORT_XHIGH,
	IR_EFFORT_MAX,
};

enum ir_thinking {
	IR_THINKING_UNSET,
	IR_THINKING_DISABLED,
	IR_THINKING_ENABLED,
	IR_THINKING_ADAPTIVE
};

struct ir_reasoning {
	enum ir_effort effort;
	enum ir_thinking thinking;
	int64_t budget;     /* tokens; IR_UNSET */
	struct str display; /* "summarized", "omitted", ...; absent */
};

/* A member that the decoder knows no canonical place for. One of the body's own survives in a relay and towards its own protocol,
 * one inside a message, an item or a tool only in a relay; wherever it is not sent it is disclosed as dropped. */
struct ir_extra {
	struct str name; /* of one inside something: its place too, "tools.defer_loading" */
	struct str raw;  /* absent of one inside something */
};

/* What a target must be able to do. */
enum ir_need {
	IR_NEED_STREAM = 1u << 0,
	IR_NEED_TOOLS = 1u << 1,
	IR_NEED_FORCED_TOOL = 1u << 2,
	IR_NEED_VISION = 1u << 3,
	IR_NEED_FILES = 1u << 4,
	IR_NEED_AUDIO = 1u << 5,
	IR_NEED_SCHEMA = 1u << 6,
	IR_NEED_REASONING = 1u << 7,
	IR_NEED_GAP = 1u << 8, /* text behind the gap that is to be filled */
};

struct yyjson_val;

struct ir_request {
	struct str model;
	bool stream;
	bool include_usage; /* the client asked for usage in the stream (Chat); true where it always comes */
	bool keeps_reasoning; /* Responses: it asked for encrypted reasoning, for it keeps the conversation and gives back that alone */

	struct ir_message *messages;
	unsigned n_messages;
	/* Completions: several texts, each of which is to be answered for itself, as one turn of the user each; `messages` is the first.
	 * Encoders know of one conversation alone: who has one encode asks for one prompt (ir_request_prompt()). */
	struct ir_message *prompts;
	unsigned n_prompts; /* 0: it is one conversation */
	struct ir_tool *tools;
	unsigned n_tools;
	struct ir_tool_choice choice;
	struct ir_format format;
	struct ir_reasoning reasoning;

	int64_t max_tokens;                                                 /* IR_UNSET: absent */
	struct str temperature, top_p, frequency_penalty, presence_penalty; /* number texts */
	int64_t top_k, seed, n, top_logprobs;
	enum ir_tri logprobs, store;
	struct str *stop;
	unsigned n_stop;

	struct str user; /* Chat `user`, Anthropic metadata.user_id */
	/* Responses */
	struct str previous_response_id, truncation;
	struct str include; /* raw JSON list */
	int64_t max_tool_calls;
	enum ir_tri background;
	/* Completions, Ollama's generate: text behind the gap */
	struct str suffix;
	struct str service_tier, verbosity, prompt_cache_key, safety_identifier;
	struct str metadata; /* raw JSON object of strings (Chat) */
	struct str logit_bias, prediction, modalities, audio; /* raw JSON */
	enum ir_cache cache; /* Anthropic's top-level cache_control */

	struct ir_extra *extras;
	unsigned n_extras;
	/* Members further in (of messages, parts, tools) that the decoder knows no place for, "messages.content.foo": no
	 * encoder can write them, so whoever has one encode says ir_lose_unknown(). */
	struct str *unknown;
	unsigned n_unknown;

	bool one_call; /* the client's form of an answer has a place for one call only, the first */
	unsigned needs;     /* enum ir_need, set by ir_request_needs() at the end of decoding */
	const char *origin; /* name of the protocol it was decoded from */
	/* The client's body (a `json`), for encoders whose answers repeat parts of it; MAY be NULL. */
	const struct yyjson_val *body;
};

/* All numbers IR_UNSET, the rest absent. */
void ir_request_init(struct ir_request *r);
/* It asks the model to think, in whatever words. */
bool ir_asks_reasoning(const struct ir_request *r);
/* Fills .needs from the rest. */
void ir_request_needs(struct ir_request *r);

/* *ret: a copy, which shares everything with `r`, that asks for prompt number `i` of several alone. */
void ir_request_prompt(const struct ir_request *r, unsigned i, struct ir_request *ret);
/* So many answers are asked for to each prompt, or to the conversation: at least one. */
int64_t ir_request_answers(const struct ir_request *r);

/* The tool whose name is `name`, or NULL. */
const struct ir_tool *ir_request_tool(const struct ir_request *r, struct str name);
/* The name of the call with that id in an earlier assistant message; absent when unknown. */
struct str ir_request_call_name(const struct ir_request *r, struct str call_id);

/* An item beside the messages, which goes to nobody but who minted it: left out elsewhere, and named by its type (.name). */
bool ir_part_is_item(const struct ir_part *p);
/* It holds items and nothing else: where they are left out nothing of it is left. */
bool ir_message_is_items(const struct ir_message *m);

/* All TEXT parts of a message that are not empty joined by `sep` into the arena; .ptr NULL when memory is out. */
struct str ir_parts_text(struct arena *a, const struct ir_part *parts, unsigned n, struct str sep);

/* Ollama's names have a tag, ":latest" when none is said: "llama3" and "llama3:latest" are one model. */
bool ir_same_model(struct str a, struct str b);

const char *ir_effort_name(enum ir_effort e); /* "low"; NULL for UNSET */
enum ir_effort ir_effort_parse(struct str s); /* UNSET when unknown */

#endif
