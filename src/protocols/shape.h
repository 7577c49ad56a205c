/* protocols/shape.h - which members the objects inside a request may have, as far as a decoder knows them.
 *
 * Members at the top of a request that no decoder knows are extras. Those further in, of messages, parts and tools,
 * have no place to be kept in: they are named, so that nothing vanishes without a word (trap 89).
 */
#ifndef GW_PROTOCOLS_SHAPE_H
#define GW_PROTOCOLS_SHAPE_H

#include "base/str.h"
#include "ir/request.h"
#include "json/json.h"

/* One row of a table, which ends with SHAPE_END. Either every row is a member, or every row is a kind. */
struct shape {
	struct str member;
	const struct shape *
		in; /* what an object there, or each of a list, may have; NULL: whatever is in it is read, or goes on as it is */
	struct str kind; /* present: an object whose `member` says this has the members in `in` */
};

#define SHAPE(name)                      \
	{                                \
		.member = STR_INIT(name) \
	}
#define SHAPE_IN(name, table)                           \
	{                                               \
		.member = STR_INIT(name), .in = (table) \
	}
/* Objects that say another word than any of the rows are kept as they are by the decoder, and not looked into. */
#define SHAPE_KIND(name, word, table)                   \
	{                                               \
		STR_INIT(name), (table), STR_INIT(word) \
	}
/* Last before the end: what else is there somebody else reads. */
#define SHAPE_OTHERS                \
	{                           \
		.member = { "", 0 } \
	}
#define SHAPE_END                     \
	{                             \
		.member = { NULL, 0 } \
	}

/* Adds the names of what is inside the members of `root` and not in the tables to r->unknown: "messages.content.foo". The
 * rows of `root_shape` are the members to look into. Empty values are no loss. False: out of memory. */
bool shape_note(struct arena *a, struct str name, struct ir_request *r)
	MUST_CHECK; /* one of them */
bool shape_note_unknown(struct arena *a, const json *root, const struct shape *root_shape,
			struct ir_request *r) MUST_CHECK;

#endif
