/* protocols/gemini/request_turns.c - the conversation as the vendor wants it: `systemInstruction` apart, then turns of user and
 * model.
 *
 * The one hard thing: consecutive messages of one role are one turn (trap 38), results of a turn's calls stand first in the next
 * one and in the calls' order, for many models match them by place (39, 62), and a signature stands on the part it signs (51). */
#include <stdio.h>

#include "protocols/gemini/gemini.h"

/* Documented for conversations that another model began; the base64 of "skip_thought_signature_validator". */
#define DUMMY STR("c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=")

/* Calls and results are matched pair by pair: a bound, so that a hostile body costs little. */
enum { MAX_CALLS = 1024 };

static bool is_system(const struct gm_writer *w, const struct ir_message *m)
{
	return !w->system_as_user && (m->role == IR_ROLE_SYSTEM || m->role == IR_ROLE_DEVELOPER);
}

static bool by_model(const struct ir_message *m)
{
	return m->role == IR_ROLE_ASSISTANT;
}

/* What another vendor's server did in its own turn, or keeps beside the messages, is no input of the client's. */
static bool is_foreign(const struct ir_message *m, const struct ir_part *p)
{
	return p->kind == IR_PART_OPAQUE && !gm_minted(p->origin) &&
	       (by_model(m) || ir_part_is_item(p));
}

static bool vanishes(const struct gm_writer *w, const struct ir_message *m)
{
	if (is_system(w, m))
		return true;
	for (unsigned i = 0; i < m->n_parts; i++)
		if (!gm_part_vanishes(&m->parts[i]) && !is_foreign(m, &m->parts[i]))
			return false;
	return true;
}

/* Messages [first, end) are one turn; the vanishing ones among them do not count. */
struct turn {
	bool model;
	unsigned first, end;
};

static bool next_turn(const struct gm_writer *w, unsigned from, struct turn *ret)
{
	const struct ir_message *m = w->r->messages;
	unsigned n = w->r->n_messages, i = from;

	while (i < n && vanishes(w, &m[i]))
		i++;
	if (i == n)
		return false;
	*ret = (struct turn){ .model = by_model(&m[i]), .first = i, .end = i + 1 };
	for (i++; i < n; i++) {
		if (vanishes(w, &m[i]))
			continue;
		if (by_model(&m[i]) != ret->model)
			break;
		ret->end = i + 1;
	}
	return true;
}

/* --- system --- */

static void begin_system(struct gm_writer *w, bool *some)
{
	if (!*some) {
		jw_key(&w->w, "systemInstruction");
		jw_obj(&w->w);
		jw_key(&w->w, "parts");
		jw_arr(&w->w);
	}
	*some = true;
}

/* The form of the answer as words, for a model that is held to none beside functions. */
static int put_lent_format(struct gm_writer *w)
{
	const struct ir_format *f = &w->r->format;
	bool schema = f->kind == IR_FORMAT_JSON_SCHEMA && str_present(f->schema);
	struct str text = arena_printf(w->arena,
				       "When you answer, and do not call a function, say one JSON "
				       "object and nothing around it%s%.*s",
				       schema ? ", following this JSON schema:\n" : ".",
				       STR_ARG(schema ? f->schema : STR("")));

	if (!text.ptr)
		return err_set(w->reterr, RC_NOMEM, "out of memory");
	jw_obj(&w->w);
	jw_kstr(&w->w, "text", text);
	jw_end_obj(&w->w);
	return RC_OK;
}

static int put_system_message(struct gm_writer *w, unsigned i, bool *some)
{
	const struct ir_message *m = &w->r->messages[i];
	char at[64];

	for (unsigned k = 0; k < m->n_parts; k++) {
		if (gm_part_vanishes(&m->parts[k]))
			continue;
		if (m->parts[k].kind != IR_PART_TEXT) {
			(void)snprintf(at, sizeof(at), "messages[%u].content", i);
			return err_param(w->reterr, RC_UNSUPPORTED, at,
					 "%s: the provider takes only text from the system", at);
		}
		begin_system(w, some);
		if (gm_write_part(w, &m->parts[k], STR_NONE, i) != RC_OK)
			return w->reterr->code;
	}
	return RC_OK;
}

static int put_system(struct gm_writer *w)
{
	bool some = false;
	int rc = RC_OK;

	for (unsigned i = 0; !rc && i < w->r->n_messages; i++)
		if (is_system(w, &w->r->messages[i]))
			rc = put_system_message(w, i, &some);
	if (!rc && w->lent_format) {
		begin_system(w, &some);
		rc = put_lent_format(w);
	}
	if (some) {
		jw_end_arr(&w->w);
		jw_end_obj(&w->w);
	}
	return rc;
}

/* --- turns of the user --- */

/* Parts of one kind in a turn, in order; more than fit are left to their places. */
struct part_list {
	const struct ir_part **parts;
	bool *done;
	unsigned n, cap;
};

/* Room for `n` parts; one array serves all turns that have no more. */
static int need_room(const struct gm_writer *w, struct part_list *l, unsigned n)
{
	if (n <= l->cap)
		return RC_OK;
	l->parts = arena_array(w->arena, n, sizeof(*l->parts));
	l->done = arena_array(w->arena, n, sizeof(*l->done));
	l->cap = n;
	return l->parts && l->done ? RC_OK : err_set(w->reterr, RC_NOMEM, "out of memory");
}

static bool is_of(const struct gm_writer *w, const struct ir_message *m, unsigned k,
		  enum ir_part_kind kind)
{
	return m->parts[k].kind == kind && !is_system(w, m);
}

static int collect(const struct gm_writer *w, const struct turn *t, enum ir_part_kind kind,
		   struct part_list *ret)
{
	unsigned n = 0;
	int rc;

	ret->n = 0;
	for (unsigned i = t->first; i < t->end; i++)
		for (unsigned k = 0; k < w->r->messages[i].n_parts; k++)
			n += is_of(w, &w->r->messages[i], k, kind);
	if (n > MAX_CALLS)
		return err_param(w->reterr, RC_INVALID, "messages",
				 "messages: more than %d tool calls or results in one turn",
				 MAX_CALLS);
	rc = need_room(w, ret, n);
	for (unsigned i = t->first; !rc && i < t->end; i++) {
		const struct ir_message *m = &w->r->messages[i];

		for (unsigned k = 0; k < m->n_parts; k++) {
			if (!is_of(w, m, k, kind))
				continue;
			ret->done[ret->n] = false;
			ret->parts[ret->n++] = &m->parts[k];
		}
	}
	return rc;
}

/* First the results of the calls, call by call; then what answers none of them. Of several for one call the last counts. */
static int put_results(struct gm_writer *w, const struct part_list *calls,
		       struct part_list *results, unsigned message)
{
	int rc = RC_OK;

	for (unsigned c = 0; c < calls->n; c++) {
		const struct ir_part *last = NULL;

		for (unsigned i = 0; i < results->n; i++) {
			if (results->done[i] || !str_eq(results->parts[i]->id, calls->parts[c]->id))
				continue;
			results->done[i] = true;
			last = results->parts[i];
		}
		w->call_name = calls->parts[c]->name;
		if (last)
			rc = gm_write_part(w, last, STR_NONE, message);
		if (rc)
			return rc;
	}
	w->call_name = STR_NONE;
	for (unsigned i = 0; !rc && i < results->n; i++)
		if (!results->done[i])
			rc = gm_write_part(w, results->parts[i], STR_NONE, message);
	for (unsigned i = 0; !rc && i < results->n; i++)
		rc = gm_write_result_media(w, results->parts[i], message);
	return rc;
}

static int put_user_parts(struct gm_writer *w, const struct turn *t)
{
	int rc = RC_OK;

	for (unsigned i = t->first; i < t->end; i++) {
		const struct ir_message *m = &w->r->messages[i];

		if (vanishes(w, m))
			continue;
		for (unsigned k = 0; !rc && k < m->n_parts; k++)
			if (m->parts[k].kind != IR_PART_TOOL_RESULT &&
			    !gm_part_vanishes(&m->parts[k]) && !is_foreign(m, &m->parts[k]))
				rc = gm_write_part(w, &m->parts[k], STR_NONE, i);
	}
	return rc;
}

/* --- turns of the model --- */

static void put_proof_alone(struct gm_writer *w, struct str proof)
{
	jw_obj(&w->w);
	jw_kcstr(&w->w, "text", "");
	jw_kstr(&w->w, "thoughtSignature", proof);
	jw_end_obj(&w->w);
}

static bool can_bear(const struct ir_part *p)
{
	switch (p->kind) {
	case IR_PART_TEXT:
	case IR_PART_TOOL_CALL:
	case IR_PART_IMAGE:
	case IR_PART_REFUSAL:
		return true;
	case IR_PART_FILE:
	case IR_PART_AUDIO:
	case IR_PART_TOOL_RESULT:
	case IR_PART_REASONING:
	case IR_PART_OPAQUE:
		break;
	}
	return false;
}

/* A proof on its way to the part it belongs to. */
struct bearer {
	struct str proof;
	bool called; /* the turn's first call is behind us */
};

static int put_model_part(struct gm_writer *w, const struct ir_part *p, struct bearer *b,
			  unsigned message)
{
	struct str proof = b->proof;

	if (p->kind == IR_PART_REASONING && p->text.len == 0) {
		if (b->proof.len)
			put_proof_alone(w, b->proof);
		b->proof = p->signature;
		return RC_OK;
	}
	b->proof = STR_NONE;
	if (proof.len && !can_bear(p)) {
		put_proof_alone(w, proof);
		proof = STR_NONE;
	}
	if (p->kind == IR_PART_IMAGE && !proof.len && w->wants_proof)
		proof = DUMMY; /* each picture that was drawn has one */
	if (p->kind == IR_PART_TOOL_CALL) {
		if (!proof.len && !b->called && w->wants_proof)
			proof = DUMMY;
		b->called = true;
	}
	return gm_write_part(w, p, proof, message);
}

static int put_model_parts(struct gm_writer *w, const struct turn *t)
{
	struct bearer b = { 0 };
	int rc = RC_OK;

	for (unsigned i = t->first; i < t->end; i++) {
		const struct ir_message *m = &w->r->messages[i];

		if (vanishes(w, m))
			continue;
		for (unsigned k = 0; !rc && k < m->n_parts; k++)
			if (!gm_part_vanishes(&m->parts[k]) && !is_foreign(m, &m->parts[k]))
				rc = put_model_part(w, &m->parts[k], &b, i);
	}
	if (!rc && b.proof.len)
		put_proof_alone(w, b.proof);
	return rc;
}

/* --- all of it --- */

/* What no turn will show: names of participants, reasoning the vendor did not sign, what other vendors' servers did. */
static void note_losses(struct gm_writer *w)
{
	for (unsigned i = 0; i < w->r->n_messages; i++) {
		const struct ir_message *m = &w->r->messages[i];

		if (m->name.len)
			ir_loss(w->losses, STR("name"));
		for (unsigned k = 0; k < m->n_parts; k++) {
			if (m->parts[k].kind == IR_PART_REASONING && gm_part_vanishes(&m->parts[k]))
				ir_loss(w->losses, STR("reasoning_content"));
			if (is_foreign(m, &m->parts[k]))
				ir_loss(w->losses, ir_part_is_item(&m->parts[k]) ? m->parts[k].name
										 : STR("messages"));
		}
	}
}

static int put_turn(struct gm_writer *w, const struct turn *t, struct part_list *calls,
		    struct part_list *results)
{
	int rc = RC_OK;

	jw_obj(&w->w);
	jw_kcstr(&w->w, "role", t->model ? "model" : "user");
	jw_key(&w->w, "parts");
	jw_arr(&w->w);
	if (t->model) {
		rc = put_model_parts(w, t);
		if (!rc)
			rc = collect(w, t, IR_PART_TOOL_CALL, calls);
	} else {
		rc = collect(w, t, IR_PART_TOOL_RESULT, results);
		if (!rc)
			rc = put_results(w, calls, results, t->first);
		if (!rc)
			rc = put_user_parts(w, t);
		calls->n = 0;
	}
	jw_end_arr(&w->w);
	jw_end_obj(&w->w);
	return rc;
}

int gm_write_conversation(struct gm_writer *w)
{
	struct part_list calls = { 0 }, results = { 0 };
	struct turn t;
	unsigned at = 0;
	int rc = put_system(w);

	if (rc)
		return rc;
	if (!next_turn(w, 0, &t))
		return err_param(w->reterr, RC_INVALID, "messages",
				 "messages: at least one message with content is required");
	note_losses(w);
	jw_key(&w->w, "contents");
	jw_arr(&w->w);
	while (!rc && next_turn(w, at, &t)) {
		rc = put_turn(w, &t, &calls, &results);
		at = t.end;
	}
	jw_end_arr(&w->w);
	return rc;
}
