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
	unsigned waiting;            /* parts that wait for a turn of the user */
	unsigned from;               /* the message that holds the first of them */
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

/* The message without what moves. */
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
	for (unsigned i = v->from; i < at; i++) {
		const struct ir_message *from = &v->r->messages[i];

		for (unsigned k = 0; from->role == IR_ROLE_ASSISTANT && k < from->n_parts; k++)
			if (moves(v, &from->parts[k]))
				parts[n++] = from->parts[k];
	}
	for (unsigned i = results; i < m->n_parts; i++)
		parts[n++] = m->parts[i];
	v->messages[at].parts = parts;
	v->messages[at].n_parts = n;
	v->waiting = 0;
	return RC_OK;
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
		else if (v->waiting && v->r->messages[i].role == IR_ROLE_USER)
			rc = put_in(v, i);
	}
	for (unsigned i = v->from; v->waiting && i < v->r->n_messages; i++)
		for (unsigned k = 0; k < v->r->messages[i].n_parts; k++)
			if (count(v, &v->r->messages[i]) && moves(v, &v->r->messages[i].parts[k]))
				ir_loss(v->losses, v->r->messages[i].parts[k].kind == IR_PART_IMAGE
							   ? STR("image")
							   : STR("document"));
	return rc;
}

int ir_drawn_to_user(struct arena *a, const struct ir_request *r, const char *own,
		     bool keep_pictures, struct ir_losses *losses, const struct ir_request **ret)
{
	struct move v = {
		.arena = a, .r = r, .own = own, .keep_pictures = keep_pictures, .losses = losses
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
	*ret = copy;
	return RC_OK;
}
