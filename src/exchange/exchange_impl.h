/* exchange/exchange_impl.h - the exchange as its own files see it; nobody else includes this. */
#ifndef GW_EXCHANGE_EXCHANGE_IMPL_H
#define GW_EXCHANGE_EXCHANGE_IMPL_H

#include "exchange/exchange.h"
#include "exchange/outlet.h"
#include "exchange/recent.h"
#include "ir/event.h"
#include "ir/fit.h"
#include "ir/fold.h"
#include "ir/forced_tool.h"
#include "ir/grammar.h"
#include "ir/prefill.h"
#include "ir/stop_cut.h"
#include "ir/request.h"
#include "policy/auth.h"
#include "policy/conversation.h"
#include "policy/proof_memory.h"
#include "protocols/detect.h"
#include "protocols/protocol.h"
#include "upstream/attempt.h"

enum { MAX_ANSWER_FIELDS = 32 };

struct count;
struct load;

/* What the access record says at the end. */
struct record {
	uint64_t start_us;
	uint64_t first_byte_us; /* 0: nothing was sent */
	int status;
	unsigned attempts;
	bool reused;
	struct ir_usage usage;
	const char *
		end; /* why it ended: "ok", "refused", "client_gone", "upstream_truncated", ... static */
	struct str detail; /* of a failure, for people; no secret */
};

/* One answer as it is translated; a request may ask for several (`n`), which come mingled. */
struct choice {
	struct exchange *x;
	struct protocol_decoder *decoder;
	struct protocol_encoder *encoder;
	struct ir_grammar grammar;
	struct ir_forced_tool forced;
	struct ir_prefill prefill;
	struct ir_stop_cut stop_cut;
	struct ir_fit fit;
	struct ir_fold fold;
	struct ir_sink sink; /* the pump's own: after all the others */
	struct ir_event end; /* its FINISH, where that has to wait for the other answers */
	bool finished;
};

/* The answer on its way from the upstream to the client: one per attempt, see pump.c. */
struct pump {
	struct arena *arena;   /* the attempt's */
	struct arena *scratch; /* emptied after each event */
	struct relay_tap tap;
	struct choice first;
	struct choice *choices; /* all of them: `first`, or an array */
	unsigned n_choices;
	unsigned first_choice; /* the client's number of the first of them */
	bool several;          /* with those to other prompts: the end of each waits */
	struct buf held;       /* what the client would get, before the commit */
	bool ready;            /* set up for this attempt */
	bool finished;         /* the answer is whole */
	bool errored;          /* an error event came */
	struct ir_error error; /* its text, in the attempt's arena */
};

enum step_result { NEXT, WAIT, DONE };

/* What of this request and its answer outlives it, see turns.c. */
struct turn {
	struct turn_ask ask;
	struct str
		foreign_input; /* ask.input for targets that speak the protocol; absent: the same */
	struct str body;       /* the client's own: peek.body may have what it continues in it */
	bool recalled;         /* what it continues was found here */
	bool known;            /* all of this is set: the request was read before */
	bool keep;             /* the answer is still to be kept */
	bool remember;         /* on a WebSocket: and to be remembered */
	struct recent_turn *before; /* there: what it continues; a reference */
	struct recent_turn **held;  /* there: turns with items it names; references */
	unsigned n_held;
	struct request_peek
		*relay; /* recalled: for targets that speak the protocol; NULL: as for all others */
	struct turn_page page;
	struct str cancelled;    /* the resource of one that another process makes */
	struct store_call *call; /* awaited */
};

/* What of a request's proofs the current target gets, see proofs.c. */
struct proofs {
	struct proof_check base;
	struct exchange *x;
	enum {
		PROOFS_ALL,
		PROOFS_OWN,
		PROOFS_NONE
	} let_through;      /* those not known to be others', ... */
	unsigned n_dropped; /* from the body that was made last */
};

/* Vectors of inputs that go to a target in parts, as far as they have come. */
struct embedded {
	struct ir_vector *vectors; /* NULL: it all goes at once */
	unsigned n;                /* that many of the inputs */
	struct ir_usage usage;
};

/* Several prompts of one request, where they go to a target one after another, as far as they have come. */
struct prompts {
	bool apart;                         /* the current attempt asks for one of them */
	unsigned done;                      /* so many have their answers */
	struct ir_usage usage;              /* of those */
	struct ir_usage current;            /* of the one that is asked for */
	unsigned n_losses;                  /* what was lost for those: so many of the exchange's */
	struct ir_response *answers, *last; /* to those, unless they are streamed */
	size_t kept;                        /* bytes of these */
};

struct exchange {
	struct exchange_env *env;
	struct http_request *request; /* the client's; NULL in the background and on a WebSocket */
	struct outlet out;
	struct following *following; /* the answer is a job's; NULL */
	struct exchange *starting;   /* the runner of one, until the store knows of it; NULL */
	struct loop_dead dead;       /* in the background: frees the arena */
	struct arena *arena;
	struct snapshot *snapshot;
	struct list live;
	const struct http_head *head;
	struct route_match match;
	bool upgrades;            /* it asks for a WebSocket */
	enum detect_place detect; /* the body still decides which protocol that is */
	struct str id;
	char id_text[32];
	struct str response_id; /* in the client's dialect, for answers that are translated */
	int64_t created_s;
	struct principal principal;
	unsigned step;

	struct request_peek peek;
	struct turn turn;
	bool compacts; /* the answer is a summary that becomes the answer to IR_OP_COMPACT */
	struct str pin;
	bool strict;
	struct ir_request *ir;          /* decoded when the first foreign target needs it */
	struct ir_embed_request *embed; /* the same for IR_OP_EMBED */
	struct embedded embedded;
	struct prompts prompts;
	struct proofs proofs;
	struct ir_losses losses;
	unsigned losses_told; /* so many of them are in the head that was sent */

	struct route route;
	unsigned next_target;
	const struct target *target; /* of the current or last attempt */
	bool relay;                  /* the current attempt passes bytes on */
	bool reformed; /* it did, but the answer came in another form than asked for */
	bool forced;   /* the current attempt asks for a forced tool as a schema */
	struct attempt *attempt;
	struct count *counting; /* tokens being counted by the local engine */
	struct load *loading;   /* a local model that is only to be loaded */
	struct pump pump;

	bool head_sent; /* the client has our 200 (perhaps only for a keep-alive) */
	bool committed; /* the client has something of this answer (of several prompts: of the current one's): no other target may
			   follow */
	bool paused;
	bool over;
	uint64_t last_sent_ms;
	struct ir_error last_error; /* of the last target that failed */
	const char *last_end; /* what the access record says of it; NULL: none has failed yet */
	struct record record;
};

/* --- exchange.c --- */

/* Every way out: releases all, writes the record. The client's answer has been ended or aborted before. */
void exchange_over(struct exchange *x, const char *end);
/* The memory, the peer and what comes with it are there: everything else, and the path. */
void exchange_begin(struct exchange *x, struct exchange_env *env, struct arena *a,
		    const struct http_head *head);
/* The answer's id, once an exchange: it stays the same over a stream and over attempts (trap 28). */
int exchange_mint_id(struct exchange *x) MUST_CHECK;
/* The client has taken what was pending; it has left. */
void exchange_drained(struct exchange *x);
void exchange_gone(struct exchange *x, const char *why);
/* The step that said WAIT has what it waited for. */
void exchange_go_on(struct exchange *x);
/* An exchange that somebody else has prepared as far as that. */
void exchange_run_from_route(struct exchange *x);
void exchange_keep_ticking(struct exchange_env *env);
/* Of one in the background: nobody wants the answer any more. */
void exchange_cancel(struct exchange *x);

/* --- turns.c: answers that outlive their exchange --- */

/* What the request continues is put into its body. */
enum step_result turns_recall(struct exchange *x);
int turns_peek_again(struct exchange *x, struct str body, struct request_peek *ret,
		     struct err *reterr) MUST_CHECK;
/* The body for a target that speaks the protocol. */
const struct request_peek *turns_relay_peek(const struct exchange *x);
/* The decoded request without what the gateway does itself; NULL when memory is out. */
const struct ir_request *turns_asked(struct exchange *x);
/* Something of the answer is on its way to the client: kept, if it is the whole of it. */
void turns_keep_body(struct exchange *x, struct str body);
void turns_keep_frame(struct exchange *x, const struct frame *f);
void turns_keep_frames(struct exchange *x, struct str bytes);
/* The turn as the store has it. */
struct stored_turn turns_turn(struct exchange *x, struct str id, struct str resource);
void turns_answer_json(struct exchange *x, struct str body);
/* A relayed frame that has to name our response instead of the provider's, into `a`; absent: it may pass as it is. */
struct str turns_rewrite(struct exchange *x, struct arena *a, const struct frame *f);
struct str turns_rewrite_body(struct exchange *x, struct arena *a, struct str body);
/* Whose answers it may see. */
struct str turns_owner(const struct exchange *x);
void turns_refuse(struct exchange *x, enum ir_error_kind kind, struct str message);
/* The store did not do as it was asked; `too_big` says what RC_TOOBIG means to the client, NULL: that it cannot be. */
void turns_store_failed(struct exchange *x, int rc, const char *too_big);
/* Nothing is awaited of the store any more. */
void turns_cancel(struct exchange *x);
/* The part of turns_recall() that comes after the items that are only named. */
enum step_result turns_recall_previous(struct exchange *x);
/* An id that was not kept here may be one of the provider's own. */
bool turns_may_be_theirs(const struct exchange *x);
/* Some target speaks the client's protocol. */
bool turns_some_relay(const struct exchange *x);

/* --- items.c: items that a request only names --- */

enum step_result items_recall(struct exchange *x, const struct turn_refs *refs);
/* What was found of them on the WebSocket is not needed any more. */
void items_let_go(struct exchange *x);

/* --- warm_up.c: requests for no answer --- */

enum step_result warm_up(struct exchange *x);

/* --- kept.c: answers that were kept --- */

enum step_result kept_answer(struct exchange *x);

/* --- compact.c: conversations made shorter --- */

enum step_result compact_start(struct exchange *x);
/* The model has answered with this resource. */
void compact_answer(struct exchange *x, struct str resource);

/* --- background.c: answers made while nobody waits, and those who follow them --- */

enum step_result background_start(struct exchange *x);
/* Lets go of a runner that has not started. */
void background_drop(struct exchange *x);
/* Answers with the job's events from number `from` on, to its end. */
void background_follow(struct exchange *x, struct job *job, uint64_t from);
void background_drained(struct exchange *x);
void background_keepalive(struct exchange *x);
void background_unfollow(struct exchange *x);

/* --- answer.c: answers of our own --- */

/* Fields of every answer. `upstream`: those of the current attempt too. Returns how many. */
unsigned answer_fields(struct exchange *x, struct http_field fields[MAX_ANSWER_FIELDS],
		       struct str content_type, bool upstream);
/* A whole answer; the exchange is over. */
void answer_whole(struct exchange *x, int status, struct str content_type, struct str body,
		  bool upstream, const char *end);
/* An error in the client's dialect: a whole answer, or the terminal event of a stream that has begun. Over. */
void answer_error(struct exchange *x, const struct ir_error *e, const char *end);
void answer_models(struct exchange *x);
void answer_token_count(struct exchange *x, int64_t tokens, bool estimated);

/* --- forward.c: targets, attempts and what becomes of them --- */

/* Starts the next target, or answers with the last error when none is left. */
void forward_next(struct exchange *x);
/* The same target once more, for the next part of what was asked. */
void forward_again(struct exchange *x);
/* The same target once more, with fewer proofs than it has refused. False: it had none, and nothing has happened; else the exchange
 * may be over. */
bool forward_without_proofs(struct exchange *x);
/* Decodes the request into x->ir, unless somebody has. */
int forward_read_request(struct exchange *x, struct err *reterr) MUST_CHECK;
/* A body that is passed on asks for usage in the stream though the client did not: then it is not told. */
bool forward_asks_usage(const struct exchange *x, const struct target *t);
/* The client's own body for a target that speaks its protocol. */
int forward_patch_body(struct exchange *x, const struct target *t, struct buf *out,
		       struct err *reterr) MUST_CHECK;
/* The request's body for a foreign target, its losses noted; reads the request first. */
int forward_translate_body(struct exchange *x, const struct target *t, struct buf *out,
			   struct err *reterr) MUST_CHECK;
/* The answer must be searched for the request's stop sequences: the target's protocol has no place for all of them, or its
 * model refuses them. */
bool forward_cuts_stops(const struct ir_request *r, const struct target *t);
/* What a provider's encoder may assume of the target. */
struct request_target forward_target(struct exchange *x, const struct target *t);
/* The request says how long the target's model is to stay in memory, and may. */
bool forward_keeps(const struct exchange *x, const struct target *t, int64_t *ret_ms);
/* RC_UNSUPPORTED when something was lost and the caller wants none of that. */
int forward_check_losses(struct exchange *x, const struct target *t, struct err *reterr) MUST_CHECK;
/* What the client is told when that fails. */
struct ir_error forward_error_of(struct exchange *x, int rc, const struct err *e);
/* The current attempt failed before anything was committed, in a way that another target may not share. */
void forward_failed(struct exchange *x, const struct ir_error *e, const char *end);

/* --- proofs.c: whose proofs are whose --- */

/* Nothing has been refused by the current target yet. */
void proofs_begin(struct exchange *x);
/* The current attempt failed with that error. True: it was for a proof, and the target is asked again; else the exchange may be over. */
bool proofs_again(struct exchange *x, const struct ir_error *e);
/* Remembers the proofs in what the target answers: a frame, a whole body. */
void proofs_see_event(struct exchange *x, const struct frame *ev);
void proofs_see_body(struct exchange *x, struct str body);
/* The same in what the client was told of an answer, where that was translated. */
void proofs_see_told(struct exchange *x, struct str text);
/* The same in answers that were kept. */
void proofs_see_kept(struct exchange *x, const struct stored_turn *turns, unsigned n);

/* --- outcome.c: what an attempt came to; after a failure the exchange may be over, or another attempt under way --- */

enum outcome {
	OUTCOME_CUT,          /* the answer ended before its end */
	OUTCOME_NONSENSE,     /* no answer of the protocol */
	OUTCOME_NO_BEGINNING, /* too much came before anything meaningful */
	OUTCOME_ERROR_EVENT,  /* an error inside the stream */
	OUTCOME_ERROR_BODY,   /* an error instead of a body, under a 2xx */
	OUTCOME_NO_ANSWER,    /* the connection or the engine failed, before the commit */
	OUTCOME_BROKEN_OFF,   /* the same after it */
	OUTCOME_STATUS,       /* no 2xx */
	OUTCOME_NO_MEMORY,    /* of ours */
};

/* The provider did its part. */
void outcome_ok(struct exchange *x);
/* It did not, and that is all there is to do about it. */
void outcome_note(struct exchange *x, enum outcome o);
/* Failed, in words of ours; `why` (may be NULL) says more of it. */
void outcome_failed(struct exchange *x, enum outcome o, const char *why);
/* Failed, in the provider's own words. */
void outcome_error(struct exchange *x, enum outcome o, const struct ir_error *e);
void outcome_status(struct exchange *x, int status, struct str body);
void outcome_attempt(struct exchange *x, const struct attempt_fail *f);

/* --- pump.c --- */

extern const struct attempt_events pump_events;
/* Frees what the pump holds outside arenas. */
void pump_done(struct pump *p);
/* The client has taken what was pending. */
void pump_drained(struct exchange *x);
/* The upstream is silent: keeps the client's connection warm. */
void pump_keepalive(struct exchange *x);

/* For an encoder of the client's protocol whose memory comes from `a`. */
struct encoder_options pump_encoder_options(const struct exchange *x, struct arena *a);

/* A whole answer that the client may have. */
void pump_whole_ok(struct exchange *x, struct str content_type, struct str body);

/* --- prompts.c --- */

/* *io: the request that the target gets for `*io`, into *room; the same unless it holds several prompts. */
void prompts_ask(struct exchange *x, const struct ir_request **io, struct ir_request *room);
/* The client's number of the first answer to the prompt that is asked for. */
unsigned prompts_first_choice(const struct exchange *x);
/* There are more behind it. */
bool prompts_more(const struct exchange *x);
/* The provider says what its answers cost. */
void prompts_count(struct exchange *x, const struct ir_usage *usage);
/* Its answers are whole and the client does not stream: a copy is kept. RC_NOMEM; RC_TOOBIG: more than server.max_response. */
int prompts_keep(struct exchange *x, const struct ir_response *answers) MUST_CHECK;
/* All that were kept, as one list, with what they cost together. */
const struct ir_response *prompts_answers(struct exchange *x);
/* It has its answers: the next is asked for. */
void prompts_next(struct exchange *x);

/* --- embed.c --- */

/* The request's body for a target that speaks another protocol. */
int embed_translate_body(struct exchange *x, const struct target *t, struct buf *out,
			 struct err *reterr) MUST_CHECK;
/* The upstream's whole answer. */
void embed_answer(struct exchange *x, struct str body);

/* --- info.c --- */

/* The answer to IR_OP_INFO. */
void answer_info(struct exchange *x);
/* The answer to a request that only has its model loaded (request_peek.load), where no target does that itself. */
void answer_load(struct exchange *x);
/* Ends a loading under way without an answer. */
void load_cancel(struct exchange *x);

/* --- count_tokens.c --- */

/* A count of tokens for which this target's provider is not asked: the local engine is, or nobody. */
bool count_is_ours(struct exchange *x, const struct target *t);
/* Begins or gives the answer to that. Refused: as embed_translate_body(). */
int count_tokens(struct exchange *x, const struct target *t, struct err *reterr) MUST_CHECK;
/* The body of the request for a count, for a provider that is asked. */
int count_body(struct exchange *x, const struct target *t, struct buf *out, struct err *reterr)
	MUST_CHECK;
/* The provider's count has come. */
void count_answer(struct exchange *x, struct str body);
/* It answered with an error instead. True: that said that it does not count, and the client has an estimate. */
bool count_refused(struct exchange *x, int status, const struct ir_error *e, bool native);
/* Ends a count under way without an answer. */
void count_cancel(struct exchange *x);

/* --- settle.c --- */

void settle(struct exchange *x);

#endif
