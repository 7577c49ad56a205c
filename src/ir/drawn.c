/* ir/drawn.c - what a model drew in earlier turns, for providers whose assistant's turns hold only words.
 *
 * The hard thing is that the request is const: only the messages that change are made anew, and most requests hold nothing of the
 * kind, so they are looked through first. */
#include "ir/drawn.h"

#include "base/err.h"

struct move {
	struct arena *arena;
	const struct ir_request *r;
	const char *own;
	bool keep_pictures;
	struct ir_losses *losses;
	struct ir_message *messages; /* the copy's */
	unsigned n_messages;
	unsigned waiting; /* parts that wait for a turn of the user */
	unsigned from;    /* the message that holds the first of them */
};

static bool moves(const struct move *v, const struct ir_part *p)
{
	bool picture = p->kind == IR_PART_IMAGE;
	bool document = p->kind == IR_PART_FILE && p->media.source != IR_MEDIA_TEXT;

	if (str_present(p->raw) && p->origin && v->own && strcmp(p->origin, v->own) == 0)
		return false;
	return (picture && !v->keep_pictures) || document;
}

static unsigned count(const struct move *v, const struct ir_message *m)
{
	unsigned n = 0;

	for (unsigned i = 0; m->role == IR_ROLE_ASSISTANT && i < m->n_parts; i++)
		n += moves(v, &m->parts[i]);
	return n;
}

/* The message without what moves, which is one part at least: so there is room for a line in its place. */
static int take_out(struct move *v, unsigned at)
{
	const struct ir_message *m = &v->r->messages[at];
	struct ir_part *parts = arena_array(v->arena, m->n_parts, sizeof(*parts));
	unsigned n = 0;

	if (!parts)
		return RC_NOMEM;
	for (unsigned i = 0; i < m->n_parts; i++)
		if (!moves(v, &m->parts[i]))
			parts[n++] = m->parts[i];
	v->messages[at].parts = parts;
	v->messages[at].n_parts = n;
	return RC_OK;
}

/* Something of it is a turn wherever the assistant's turns hold only words. */
static bool speaks(const struct ir_message *m)
{
	for (unsigned i = 0; i < m->n_parts; i++) {
		const struct ir_part *p = &m->parts[i];

		switch (p->kind) {
		case IR_PART_TEXT:
		case IR_PART_REFUSAL:
			if (p->text.len)
				return true;
			break;
		case IR_PART_OPAQUE: /* a call of a kind nobody knows has one */
			if (p->id.len)
				return true;
			break;
		case IR_PART_IMAGE: /* that may stay */
		case IR_PART_TOOL_CALL:
			return true;
		case IR_PART_FILE:
		case IR_PART_AUDIO:
		case IR_PART_TOOL_RESULT:
		case IR_PART_REASONING:
			break;
		}
	}
	return false;
}

/* What was taken out of a message goes behind `parts`, and a line comes into its place when nothing else is said there. */
static unsigned move_from(struct move *v, unsigned at, struct ir_part *parts)
{
	const struct ir_message *from = &v->r->messages[at];
	struct ir_message *rest = &v->messages[at];
	bool picture = false;
	unsigned n = 0;

	if (from->role != IR_ROLE_ASSISTANT)
		return 0;
	for (unsigned i = 0; i < from->n_parts; i++) {
		if (!moves(v, &from->parts[i]))
			continue;
		parts[n++] = from->parts[i];
		picture = picture || from->parts[i].kind == IR_PART_IMAGE;
	}
	if (n && !speaks(rest))
		rest->parts[rest->n_parts++] =
			(struct ir_part){ .kind = IR_PART_TEXT,
					  .text = picture ? STR(IR_DRAWN_PICTURE)
							  : STR(IR_DRAWN_DOCUMENT) };
	return n;
}

/* Behind the results of the user's turn. */
static int put_in(struct move *v, unsigned at)
{
	const struct ir_message *m = &v->r->messages[at];
	struct ir_part *parts = arena_array(v->arena, m->n_parts + v->waiting + 1, sizeof(*parts));
	unsigned results = 0, n;

	if (!parts)
		return RC_NOMEM;
	while (results < m->n_parts && m->parts[results].kind == IR_PART_TOOL_RESULT)
		results++;
	for (n = 0; n < results; n++)
		parts[n] = m->parts[n];
	parts[n++] = (struct ir_part){ .kind = IR_PART_TEXT, .text = STR(IR_DRAWN_LINE) };
	for (unsigned i = v->from; i < at; i++)
		n += move_from(v, i, parts + n);
	for (unsigned i = results; i < m->n_parts; i++)
		parts[n++] = m->parts[i];
	v->messages[at].parts = parts;
	v->messages[at].n_parts = n;
	v->waiting = 0;
	return RC_OK;
}

/* Some dialects' results come in a message each: it holds nothing else, and the next goes on with them. */
static bool results_go_on(const struct move *v, unsigned at)
{
	const struct ir_message *m = &v->r->messages[at], *next = m + 1;

	if (at + 1 == v->r->n_messages || next->role != IR_ROLE_USER || !next->n_parts ||
	    next->parts[0].kind != IR_PART_TOOL_RESULT)
		return false;
	for (unsigned i = 0; i < m->n_parts; i++)
		if (m->parts[i].kind != IR_PART_TOOL_RESULT)
			return false;
	return m->n_parts > 0;
}

/* Nobody speaks after these. One that is silent now would be the turn that the model has to go on with. */
static void leave_out(struct move *v)
{
	for (unsigned i = v->from; i < v->r->n_messages; i++) {
		const struct ir_message *m = &v->r->messages[i];

		if (m->role != IR_ROLE_ASSISTANT)
			continue;
		for (unsigned k = 0; k < m->n_parts; k++)
			if (moves(v, &m->parts[k]))
				ir_loss(v->losses, m->parts[k].kind == IR_PART_IMAGE
							   ? STR("image")
							   : STR("document"));
	}
	while (v->n_messages > 1 && v->n_messages > v->from) {
		const struct ir_message *m = &v->messages[v->n_messages - 1];

		for (unsigned k = 0; k < m->n_parts; k++)
			if (m->parts[k].kind != IR_PART_TEXT || m->parts[k].text.len)
				return;
		if (m->role != IR_ROLE_ASSISTANT)
			return;
		v->n_messages--;
	}
}

static int move_all(struct move *v)
{
	int rc = RC_OK;

	for (unsigned i = 0; !rc && i < v->r->n_messages; i++) {
		unsigned n = count(v, &v->r->messages[i]);

		if (n && !v->waiting)
			v->from = i;
		v->waiting += n;
		if (n)
			rc = take_out(v, i);
		else if (v->waiting && v->r->messages[i].role == IR_ROLE_USER &&
			 !results_go_on(v, i))
			rc = put_in(v, i);
	}
	if (!rc && v->waiting)
		leave_out(v);
	return rc;
}

int ir_drawn_to_user(struct arena *a, const struct ir_request *r, const char *own,
		     bool keep_pictures, struct ir_losses *losses, const struct ir_request **ret)
{
	struct move v = {
		.arena = a,
		.r = r,
		.own = own,
		.keep_pictures = keep_pictures,
		.losses = losses,
		.n_messages = r->n_messages,
	};
	struct ir_request *copy;
	bool some = false;
	int rc;

	*ret = r;
	for (unsigned i = 0; !some && i < r->n_messages; i++)
		some = count(&v, &r->messages[i]) > 0;
	if (!some)
		return RC_OK;
	copy = arena_alloc(a, sizeof(*copy));
	v.messages = arena_array(a, r->n_messages, sizeof(*v.messages));
	if (!copy || !v.messages)
		return RC_NOMEM;
	memcpy(v.messages, r->messages, r->n_messages * sizeof(*v.messages));
	rc = move_all(&v);
	if (rc)
		return rc;
	*copy = *r;
	copy->messages = v.messages;
	copy->n_messages = v.n_messages;
	*ret = copy;
	return RC_OK;
}
