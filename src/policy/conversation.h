/* policy/conversation.h - a conversation as the Responses API keeps it: texts in, texts out.
 *
 * What a turn adds is kept as the client wrote it, its `input`, and the answer's resource: most turns are never asked for
 * again, so it is only when they are that items are put into one form. The next turn's input is, in order: input and output of
 * every turn before it, then its own. No I/O, no clock.
 */
#ifndef GW_POLICY_CONVERSATION_H
#define GW_POLICY_CONVERSATION_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "json/json.h"
#include "protocols/protocol.h"
#include "store/store.h"

/* What a body says of state. Slices of the body or the arena. */
struct turn_ask {
	struct str previous;     /* previous_response_id; absent */
	struct str conversation; /* the id of one that the provider keeps; absent */
	struct str input;        /* the value's text; absent */
	bool store;              /* false only when the body says so */
	bool background;
};

/* `at`: of a peek. RC_INVALID with reterr->param when a member is of a wrong type or the body contradicts itself. */
int turn_ask_read(struct arena *a, const struct json_want at[PEEK_TURN_COUNT], struct turn_ask *ret,
		  struct err *reterr) MUST_CHECK;

/* The items of `input` (a string or a list) as a JSON list: each with an id and a type, contents as lists of parts. An item
 * without an id gets one that follows from the turn's and its place, so that it is the same each time. Absent when memory is out
 * or `input` is neither. */
struct str turn_items(struct arena *a, struct str input, struct str turn_id) MUST_CHECK;

/* Items of the input that are only named. */
struct turn_ref {
	struct str ids[3]; /* to look for: the item's, and those of the turn it may be of */
	unsigned n;
};
struct turn_refs {
	struct turn_ref *refs;
	unsigned n;
};
/* RC_INVALID with reterr->param when there are too many; RC_NOMEM. */
int turn_references(struct arena *a, struct str input, struct turn_refs *ret, struct err *reterr)
	MUST_CHECK;

struct turn_resolved {
	struct str
		missing; /* the id of one that no turn has; absent: none is missing, and the others are set */
	struct str ours; /* the input with the items themselves */
	struct str
		foreign; /* the same for another server of Responses: items of `account`'s own answers are left to it by name */
};
/* `turns`: those that were found, the newest of equals first; where an item was made comes before where it was said again. */
int turn_resolve(struct arena *a, struct str input, const struct stored_turn *turns, unsigned n,
		 struct str account, struct turn_resolved *ret) MUST_CHECK;

/* For whom a body is made. */
enum turn_reader {
	TURN_OURS, /* for our own decoder: everything */
	TURN_FOREIGN, /* for another server of Responses, that never heard of these ids: they are left out, and reasoning
			 without anything it could read */
};

/* `body` with its previous_response_id taken out and the turns before put in front of its input. */
int turn_expand(struct arena *a, struct str body, const struct turn_ask *ask,
		const struct stored_turn *turns, unsigned n, enum turn_reader reader,
		struct buf *out, struct err *reterr) MUST_CHECK;

/* GET .../input_items: what the last of `turns` was asked, all before it included. */
struct turn_page {
	unsigned limit; /* 1..100 */
	bool ascending;
	struct str after; /* an item's id; absent */
};
/* RC_INVALID with reterr->param. */
int turn_page_read(struct arena *a, struct str query, struct turn_page *ret, struct err *reterr)
	MUST_CHECK;
int turn_page_write(struct arena *a, const struct turn_page *p, const struct stored_turn *turns,
		    unsigned n, struct buf *out, struct err *reterr) MUST_CHECK;

/* --- a conversation made shorter --- */

/* The body that asks a model for a summary of what `body` holds. Absent: reterr says what is wrong with it, or memory is out. */
struct str turn_ask_summary(struct arena *a, struct str body, struct err *reterr) MUST_CHECK;
/* The text of an answer to that, as the encrypted_content of an item. Absent when there is none. */
struct str turn_read_summary(struct arena *a, struct str resource) MUST_CHECK;
/* `body` with such items read again, as what the conversation began with. The same text where there are none; absent when
 * memory is out. */
struct str turn_open_summaries(struct arena *a, struct str body) MUST_CHECK;

/* `object` with top-level members replaced or added; `with` are ready JSON texts. */
struct turn_member {
	const char *key;
	struct str with;
};
struct str turn_set(struct arena *a, struct str object, const struct turn_member *members,
		    unsigned n) MUST_CHECK;
/* A top-level member's text; absent. */
struct str turn_get(struct str object, const char *key);

#endif
