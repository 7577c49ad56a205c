/* protocols/openai_responses/encoder.h - the encoder of answers, shared by the files that write its items and parts.
 *
 *	response_encode.c  which event of ours becomes what; calls; the whole answer
 *	encode_items.c     items: opened, closed, kept as JSON for the last event, which repeats them
 *	encode_parts.c     parts of messages and of reasoning, and the citations in them
 *
 * Everything is written twice at the most: as an event, and into what is kept. All of it lives in the answer's arena; what
 * runs out of memory sets `failed`, which is looked at once an event. */
#ifndef GW_PROTOCOLS_OPENAI_RESPONSES_ENCODER_H
#define GW_PROTOCOLS_OPENAI_RESPONSES_ENCODER_H

#include "protocols/openai_responses/openai_responses.h"

/* Text that grows in the answer's arena. */
struct grown {
	char *ptr;
	size_t len, cap;
};

enum item_kind { ITEM_NONE, ITEM_MESSAGE, ITEM_REASONING, ITEM_CALL, ITEM_CUSTOM, ITEM_PICTURE };

struct protocol_encoder {
	struct encoder_options o;
	bool whole; /* no events are wanted, only the items that they tell of */
	struct rs_resource resource;
	uint64_t sequence;
	struct ir_usage usage;
	bool failed; /* memory ran out */
	bool spoke;  /* a text or refusal came */
	bool refused;

	struct grown output; /* items that are done */
	unsigned n_items;

	/* the open item */
	enum item_kind item;
	struct str item_id;
	struct grown parts; /* message: parts that are done */
	unsigned n_parts;
	struct str call_id, name, ns; /* escaped; ns absent without a namespace */
	struct str encrypted;         /* reasoning; absent */
	const char *origin;           /* reasoning: NULL when it came in this protocol's form */
	bool summary;                 /* reasoning: its text is a summary of it */
	const char *minted_by;        /* reasoning that did: whose it is */
	struct str own_id;            /* reasoning of ours: the id that its proof is bound to */
	struct str picture;           /* its base64, for as long as its event; absent before */

	/* the open part: a text, or a call's arguments */
	bool in_part;
	enum ir_block_kind part;
	struct str place;  /* `,"item_id":...` to the content_index */
	struct grown text; /* escaped, but for a custom call's arguments */
	struct grown notes, logprobs;
	unsigned n_notes;
	int64_t n_chars;
};

/* --- encode_items.c --- */

void rs_grow(struct protocol_encoder *e, struct grown *g, struct str more);
static inline struct str rs_grown(const struct grown *g)
{
	return (struct str){ g->ptr ? g->ptr : "", g->len };
}

/* What was put into `out` since buf_len() said `before`. */
static inline struct str rs_put_since(const struct buf *out, size_t before)
{
	return str_from_offset(buf_str(out), before);
}

/* As it stands inside of a JSON string; absent, and `failed`, when memory is out. */
struct str rs_escaped(struct protocol_encoder *e, struct str s);

/* `event: TYPE`, and the data up to where its own members follow. */
void rs_event_begin(struct protocol_encoder *e, struct buf *out, const char *type);
void rs_event_end(struct buf *out);

/* Closes the open item and begins one; without an `id` it gets one of ours. */
void rs_item_open(struct protocol_encoder *e, struct buf *out, enum item_kind kind, struct str id);
/* The open item, if there is one, is done; `status` as the specification has it. */
void rs_item_close(struct protocol_encoder *e, struct buf *out, const char *status);
/* Where events of the open item are that are not of a part of it. */
void rs_item_set_place(struct protocol_encoder *e);
/* An item that only this protocol knows: both of its events at once. */
void rs_item_put_opaque(struct protocol_encoder *e, struct buf *out, struct str raw);
/* A picture that the model of another protocol drew; nothing when `url` holds no picture itself. */
void rs_item_put_picture(struct protocol_encoder *e, struct buf *out, struct str url);

/* --- encode_parts.c --- */

/* Text of the event's block, in a part and an item that are opened where need be. */
void rs_part_put_text(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out);
/* `c` may be NULL; of others' citations those of pages have a form here. */
void rs_part_put_citation(struct protocol_encoder *e, const struct ir_citation *c, struct buf *out);
/* The open part, if there is one, is done. */
void rs_part_end(struct protocol_encoder *e, struct buf *out);

#endif
