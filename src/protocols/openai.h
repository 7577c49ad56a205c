/* protocols/openai.h - what OpenAI's wire formats share: Chat Completions, Responses, Completions.
 *
 *	openai.c         reading requests: where we are, parts, calls; which schemas may be strict
 *	openai_errors.c  errors in OpenAI's words, and out of everybody's
 *	openai_relay.c   requests that pass as they are
 *	openai_tap.c     answers of Chat and Completions that do
 *	openai_names.c   ids and names within OpenAI's limits; a reasoning item's proof
 *	openai_usage.c   token counts, tiers and finish reasons
 *	openai_logprobs.c  lists of log probabilities
 */
#ifndef GW_PROTOCOLS_OPENAI_H
#define GW_PROTOCOLS_OPENAI_H

#include "json/json.h"
#include "json/write.h"
#include "protocols/glance.h"
#include "protocols/minters.h"
#include "protocols/protocol.h"
#include "protocols/shape.h"

/* --- openai.c --- */

/* json_parse() with the reason as the result: RC_SYNTAX or RC_NOMEM. */
int oc_parse(struct arena *a, struct str text, const json **ret, struct err *reterr) MUST_CHECK;

enum { OC_TEXT_MAX = 256 << 20 }; /* bytes that one text is written into */
enum { OC_MAX_STOPS = 4 };        /* sequences in Chat and Completions */

/* The one of that number among the `choices` of a chunk or a body, NULL when it is not there. One that does not say its own is the
 * first. */
const json *oc_choice(const json *choices, unsigned number);

/* Where in the request the decoder stands: a chain through the stack frames of its callers, put into words
 * ("messages[1].content") only for an error. Each link is a variable of its own. */
struct oc_path {
	const char *member;       /* NULL: an element */
	unsigned index;           /* of the element */
	const struct oc_path *up; /* NULL: the request itself */
};

struct oc_reader {
	struct arena *arena;
	struct err *reterr;
};

struct oc_path oc_path_member(const struct oc_path *at, const char *member);
struct oc_path oc_path_index(const struct oc_path *at, unsigned index);
/* RC_INVALID: "Invalid type for 'messages[1].content': expected a string, but got a number instead." */
int oc_refuse_type(const struct oc_reader *r, const struct oc_path *at, const char *expected,
		   const json *got) MUST_CHECK;
int oc_refuse(const struct oc_reader *r, const struct oc_path *at, const char *what) MUST_CHECK;
int oc_nomem(const struct oc_reader *r) MUST_CHECK;
/* A cache_control extension (trap 93); absent and null are IR_CACHE_NONE. */
enum ir_cache oc_read_cache(const json *holder);

enum oc_member_kind {
	OC_SKIP, /* read elsewhere */
	OC_PIN,  /* our own `provider`: skipped when it is a string, else an extra */
	OC_STRING,
	OC_NUMBER, /* kept as its text */
	OC_INTEGER,
	OC_BOOL,   /* an enum ir_tri */
	OC_FLAG,   /* a bool */
	OC_OBJECT, /* kept raw */
	OC_RAW,    /* kept raw, whatever it is */
	OC_CALL,
};

struct oc_member {
	struct str name;
	enum oc_member_kind kind;
	size_t at; /* offset in struct ir_request */
	int (*read)(const struct oc_reader *r, const json *v, struct ir_request *q);
};

#define OC_MEMBER(name, kind, field)                                           \
	{                                                                      \
		STR_INIT(name), kind, offsetof(struct ir_request, field), NULL \
	}
#define OC_CALLS(name, function)                     \
	{                                            \
		STR_INIT(name), OC_CALL, 0, function \
	}

enum { OC_MAX_MEMBERS = 64 };

/* In the table's order; a member that is null is as if it were not there. What no row of the table knows becomes an extra. */
int oc_read_members(const struct oc_reader *r, const json *root, const struct oc_member *members,
		    unsigned n, struct ir_request *q) MUST_CHECK;
/* A member of Chat and Responses alike that is kept as an extra, and that `t` would not refuse as unknown: both write it. */
bool oc_shares_extra(const struct ir_request *r, struct str name, const struct request_target *t);

/* `stop`: a string or a list of strings. */
int oc_read_stop(const struct oc_reader *r, const json *v, struct ir_request *q) MUST_CHECK;
extern const struct shape oc_stream_options_shape[];
int oc_read_stream_options(const struct oc_reader *r, const json *v, struct ir_request *q)
	MUST_CHECK;

/* {"name","description","parameters","strict"} of a function tool. */
int oc_read_function(const struct oc_reader *r, const json *f, const struct oc_path *at,
		     struct ir_tool *ret) MUST_CHECK;
/* "auto", "none", "required" (and Anthropic's "any"); UNSET for another word. */
enum ir_choice_mode oc_choice_mode(struct str word);

/* A growing list of parts; memory that runs out sets failed. */
struct oc_parts {
	struct arena *arena;
	struct ir_part *items;
	unsigned n, cap;
	struct ir_part lost; /* written to when memory is out */
	bool failed;
};
/* A new zeroed part at the end; one that nobody keeps when memory is out. */
struct ir_part *oc_add_part(struct oc_parts *l, enum ir_part_kind kind);
/* {"input": text}: a custom tool's input, or arguments that are bare text. Absent when memory is out. */
struct str oc_wrap_input(struct arena *a, struct str text);
/* The way back: the input that {"input": text} holds; the whole text when it is not that. */
struct str oc_unwrap_input(struct arena *a, struct str arguments);
/* The tool of that name is a custom one. `r` may be NULL. */
bool oc_is_custom(const struct ir_request *r, struct str name);
/* Trap 59: "" is no arguments; JSON that is no object is the client's mistake; what is no JSON at all goes on as the only
 * argument. `at` is the call's place. */
int oc_read_arguments(const struct oc_reader *r, const json *v, const struct oc_path *at,
		      struct str *ret) MUST_CHECK;
/* Trap 57: gives results the names of the calls they answer. */
void oc_name_results(struct ir_request *q);
/* Trap 83: OpenAI answers 400 to `strict` on a schema that is not. */
bool oc_may_be_strict(struct arena *a, struct str schema);

/* The protocol of that name is one of OpenAI's: ids of files kept there mean the same in each. */
bool oc_is_openai(const char *origin);
/* tool_choice allows this tool (trap 76). */
bool oc_is_allowed(const struct ir_request *r, struct str name);
/* The model takes an effort at all. */
bool oc_may_reason(const struct request_target *t);
/* The effort that is asked for in whatever words; UNSET: none. */
enum ir_effort oc_effort(const struct ir_request *r, const struct request_target *t);

/* --- openai_usage.c --- */

/* What of a usage object is read: our counts, and its total, which settles doubts. */
struct oc_counts {
	struct ir_usage u;
	int64_t total;
};

/* A place in such an object (`object` "" is its top) and the count it is read into. */
#define OC_COUNT(object, name, member)                                               \
	{                                                                            \
		STR_INIT(object), STR_INIT(name), offsetof(struct oc_counts, member) \
	}

/* Takes over what a usage object in words of those places says; counts it leaves out keep their value (trap 118). Numbers beyond
 * reason are cut, and a count that the total contradicts is put right. */
void oc_counts_read(const json *usage, const struct glance_count *from, unsigned n,
		    struct ir_usage *io);
/* The same of its text. */
void oc_counts_glance(struct str text, const struct glance_count *from, unsigned n,
		      struct ir_usage *io);
/* A count as it is written: 0 where nobody counted. */
int64_t oc_count_known(int64_t n);

/* Takes over what a vendor's `usage` object says; members it leaves out keep their value (trap 118). */
void oc_usage_read(const json *usage, struct ir_usage *io);
/* The same from the text that begins with the object, without a tree: for relayed answers. */
void oc_usage_glance(struct str text, struct ir_usage *io);
/* The object with every number the SDKs type, 0 when unknown (trap 119). */
void oc_usage_write(struct jw *w, const struct ir_usage *u);

/* `service_tier` of an answer. A word that says nothing of how it was processed ("auto") is none; the name is NULL where OpenAI has
 * none. */
enum ir_tier oc_tier_parse(struct str tier);
const char *oc_tier_name(enum ir_tier t);

/* IR_STOP_END for one nobody knows (trap 105). *ret_failed: the vendor says "error" this way. */
enum ir_stop oc_stop_parse(struct str reason, bool *ret_failed);
const char *oc_stop_name(enum ir_stop s);

/* --- openai_logprobs.c --- */

/* "[a]" and "[b,c]" make "[a,b,c]"; either may be absent or empty. Absent when there is nothing or memory is out. */
struct str oc_logprobs_join(struct arena *a, struct str list, struct str more);
/* The lists of all blocks of one kind; absent when there are none. RC_NOMEM. */
int oc_logprobs_all(struct arena *a, const struct ir_response *r, enum ir_block_kind kind,
		    struct str *ret) MUST_CHECK;

/* --- openai_relay.c --- */

int oc_peek(struct arena *a, const struct request_line *line, struct str body,
	    struct request_peek *ret, struct err *reterr);
int oc_patch(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
	     struct buf *out);
/* A list of the body written anew without what the target would refuse, which it names in o->losses; absent: it stays. */
typedef struct str oc_cut_fn(struct arena *a, const struct patch_options *o, struct str list);
/* The same, and the list `key` cut; the rest of the body stays as it is, byte for byte. */
int oc_patch_list(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
		  const char *key, oc_cut_fn *cut, struct buf *out);

/* --- openai_tap.c --- */

unsigned oc_tap_event(struct relay_tap *t, struct arena *scratch, const struct frame *ev);
unsigned oc_tap_body(struct relay_tap *t, struct arena *scratch, struct str body);

/* --- openai_names.c --- */

/* A call's id and a function's name within 64 characters of [A-Za-z0-9_-] (traps 57, 61): itself where it fits, else a
 * digest of it: the same in the call and in its result. Absent when memory is out. */
struct str oc_call_id(struct arena *a, struct str id);
struct str oc_tool_name(struct arena *a, struct str name);
/* The client's own name for a tool that an upstream calls by the name we gave it. `r` may be NULL. */
struct str oc_tool_name_restore(const struct ir_request *r, struct str name);
/* What a model of OpenAI's proves its reasoning with is bound to the id of an item of Responses (trap 50), so in the canonical form
 * both travel as one signature, "ID:ENCRYPTED". Absent when memory is out. */
struct str oc_proof_join(struct arena *a, struct str id, struct str encrypted);
void oc_proof_split(struct str proof, struct str *ret_id, struct str *ret_encrypted);
/* The target would refuse it (protocols/proofs.h), so it must not go out, and whoever said so knows now that it does not. */
bool oc_proof_dropped(const struct request_target *t, struct str proof);

/* --- openai_errors.c --- */

/* True when a parsed body or event holds an error instead of an answer (trap 112). */
bool oc_error_is(const json *root);
/* Reads an error out of a parsed body or event of any shape; texts are copied into `a`. `status`: HTTP status of the
 * answer. True when it has OpenAI's own shape. */
bool oc_error_read(struct arena *a, const json *root, int status, struct ir_error *ret);
/* How an error reads to OpenAI's clients. */
const char *oc_error_type(const struct ir_error *e);
struct str oc_error_code(const struct ir_error *e); /* absent: null */

void oc_encode_error(const struct ir_error *e, struct str request_id, struct buf *out,
		     int *ret_status);
void oc_encode_stream_error(const struct ir_error *e, struct str request_id, enum framing framing,
			    bool started, struct buf *out);
bool oc_decode_error(struct arena *a, int status, struct str body, struct ir_error *ret);
void oc_encode_ping(enum framing framing, bool started, struct buf *out);

#endif
