/* protocols/anthropic_messages/request_turns.c - the conversation as the vendor wants it: `system`
 * apart, then turns.
 *
 * The one hard thing: the vendor knows no messages, only turns. Consecutive messages of one role
 * are one turn (trap 38), all results of a turn's calls stand first in the next user turn (39),
 * each call has exactly one (40), and messages that hold nothing are not there (43). So everything
 * below walks over *visible* messages.
 */
#include <stdio.h>
#include <string.h>

#include "protocols/anthropic_messages/anthropic_messages.h"

/* Calls and results are matched pair by pair: a bound, so that a hostile body costs little. */
enum { MAX_CALLS = 1024 };

bool am_is_system(const struct ir_message *m)
{
	return m->role == IR_ROLE_SYSTEM || m->role == IR_ROLE_DEVELOPER;
}

static bool message_vanishes(const struct am_writer *w, const struct ir_message *m)
{
	if (am_is_system(m) && !w->system_as_user)
		return true;
	for (unsigned i = 0; i < m->n_parts; i++) {
		if (!am_part_vanishes(w, &m->parts[i]))
			return false;
	}
	return true;
}

static enum ir_role role_of(const struct am_writer *w, const struct ir_message *m)
{
	return w->system_as_user && am_is_system(m) ? IR_ROLE_USER : m->role;
}

/* Messages [first, end) are one turn; the vanishing ones among them do not count. */
struct turn {
	enum ir_role role;
	unsigned first, end;
};

/* The turn that begins at or after message `from`; false when there is none. */
static bool next_turn(const struct am_writer *w, unsigned from, struct turn *ret)
{
	const struct ir_message *m = w->r->messages;
	unsigned n = w->r->n_messages, i = from;

	while (i < n && message_vanishes(w, &m[i]))
		i++;
	if (i == n)
		return false;
	ret->role = role_of(w, &m[i]);
	ret->first = i;
	ret->end = i + 1;
	for (i++; i < n; i++) {
		if (message_vanishes(w, &m[i]))
			continue;
		if (role_of(w, &m[i]) != ret->role)
			break;
		ret->end = i + 1;
	}
	return true;
}

/* --- system --- */

/* A system message after the first is told apart by a blank line (section 6 of the facts). */
static int put_system_part(struct am_writer *w, const struct ir_part *p, unsigned message,
			   bool apart)
{
	struct ir_part copy = *p;

	if (apart && p->kind == IR_PART_TEXT) {
		copy.text = arena_printf(w->arena, "\n\n%.*s", STR_ARG(p->text));
		if (!str_present(copy.text))
			return err_set(w->reterr, RC_NOMEM, "out of memory");
	}
	if (p->kind != IR_PART_TEXT) {
		char at[64];

		(void)snprintf(at, sizeof(at), "messages[%u].content", message);
		return err_param(w->reterr, RC_UNSUPPORTED, at,
				 "%s: the provider takes only text from the system", at);
	}
	return am_write_part(w, &copy, message);
}

/* The vendor has no mode of "any JSON object": it is told in words, and takes_schema() says that this is all. */
static void put_json_hint(struct am_writer *w, bool *some)
{
	struct jw *j = &w->w;

	if (w->r->format.kind != IR_FORMAT_JSON_OBJECT || w->system_as_user)
		return;
	if (!*some) {
		jw_key(j, "system");
		jw_arr(j);
	}
	*some = true;
	jw_obj(j);
	jw_kcstr(j, "type", "text");
	jw_kcstr(j, "text", "Answer with one JSON object and nothing around it.");
	jw_end_obj(j);
}

int am_write_system(struct am_writer *w)
{
	const struct ir_request *r = w->r;
	bool some = false;

	for (unsigned i = 0; i < r->n_messages && !w->system_as_user; i++) {
		const struct ir_message *m = &r->messages[i];
		bool apart = some;

		for (unsigned k = 0; am_is_system(m) && k < m->n_parts; k++) {
			int rc;

			if (am_part_vanishes(w, &m->parts[k]))
				continue;
			if (m->parts[k].kind ==
			    IR_PART_OPAQUE) { /* only a system message in its place may hold such */
				ir_loss(w->losses, STR("system"));
				continue;
			}
			if (!some) {
				jw_key(&w->w, "system");
				jw_arr(&w->w);
			}
			some = true;
			rc = put_system_part(w, &m->parts[k], i, apart);
			apart = false;
			if (rc)
				return rc;
		}
	}
	put_json_hint(w, &some);
	if (some)
		jw_end_arr(&w->w);
	return RC_OK;
}

/* --- calls and their results --- */

/* Parts of one kind in a turn, in order. */
struct part_list {
	const struct ir_part **parts;
	unsigned n;
};

static int collect(const struct am_writer *w, const struct turn *t, enum ir_part_kind kind,
		   struct part_list *ret)
{
	const struct ir_message *m = w->r->messages;

	ret->n = 0;
	if (!ret->parts) /* one array serves all turns */
		ret->parts = arena_array(w->arena, MAX_CALLS, sizeof(*ret->parts));
	if (!ret->parts)
		return err_set(w->reterr, RC_NOMEM, "out of memory");
	for (unsigned i = t->first; i < t->end; i++) {
		for (unsigned k = 0; k < m[i].n_parts; k++) {
			if (m[i].parts[k].kind != kind)
				continue;
			if (ret->n == MAX_CALLS)
				return err_param(
					w->reterr, RC_INVALID, "messages",
					"messages: more than %d tool calls or results in one turn",
					MAX_CALLS);
			ret->parts[ret->n++] = &m[i].parts[k];
		}
	}
	return RC_OK;
}

static bool has_id(const struct part_list *l, unsigned from, struct str id)
{
	for (unsigned i = from; i < l->n; i++) {
		if (str_eq(l->parts[i]->id, id))
			return true;
	}
	return false;
}

static int refuse_id(const struct am_writer *w, const char *what, struct str id)
{
	return err_param(w->reterr, RC_INVALID, "messages", "messages: %s '%.*s'", what,
			 (int)(id.len < 64 ? id.len : 64), id.ptr);
}

/* Both vendors refuse a conversation where they do not match; we can say so in the client's own
 * ids. */
static int check_pairs(const struct am_writer *w, const struct part_list *calls,
		       const struct part_list *results)
{
	for (unsigned i = 0; i < calls->n; i++) {
		if (!has_id(results, 0, calls->parts[i]->id))
			return refuse_id(w, "the next turn has no result for the tool call",
					 calls->parts[i]->id);
	}
	for (unsigned i = 0; i < results->n; i++) {
		if (!has_id(calls, 0, results->parts[i]->id))
			return refuse_id(w, "the turn before has no tool call for the result",
					 results->parts[i]->id);
	}
	return RC_OK;
}

/* --- turns --- */

static bool has_calls(const struct am_writer *w, const struct turn *t, enum ir_part_kind kind)
{
	for (unsigned i = t->first; i < t->end; i++) {
		for (unsigned k = 0; k < w->r->messages[i].n_parts; k++) {
			if (w->r->messages[i].parts[k].kind == kind)
				return true;
		}
	}
	return false;
}

/* A turn already begun by the client may not end in white space. */
static int put_last_text(struct am_writer *w, const struct ir_part *p, unsigned message)
{
	struct ir_part copy = *p;

	while (copy.text.len && memchr(" \t\r\n", copy.text.ptr[copy.text.len - 1], 4))
		copy.text.len--;
	return am_write_part(w, &copy, message);
}

static int put_others(struct am_writer *w, const struct turn *t, bool last)
{
	const struct ir_message *m = w->r->messages;
	int rc = RC_OK;

	for (unsigned i = t->first; i < t->end; i++) {
		if (message_vanishes(w, &m[i]))
			continue;
		for (unsigned k = 0; !rc && k < m[i].n_parts; k++) {
			const struct ir_part *p = &m[i].parts[k];
			bool end = last && i + 1 == t->end && k + 1 == m[i].n_parts;

			if (p->kind == IR_PART_TOOL_RESULT || am_part_vanishes(w, p))
				continue;
			/* What another vendor's server did in its own turn is no input of the
			 * client's. */
			if (p->kind == IR_PART_OPAQUE && t->role == IR_ROLE_ASSISTANT &&
			    !am_minted(p->origin))
				ir_loss(w->losses, STR("messages"));
			else if (end && p->kind == IR_PART_TEXT && t->role == IR_ROLE_ASSISTANT)
				rc = put_last_text(w, p, i);
			else
				rc = am_write_part(w, p, i);
		}
	}
	return rc;
}

static int put_turn(struct am_writer *w, const struct turn *t, const struct part_list *results,
		    bool last)
{
	int rc = RC_OK;

	jw_obj(&w->w);
	jw_kcstr(&w->w, "role", t->role == IR_ROLE_ASSISTANT ? "assistant" : "user");
	jw_key(&w->w, "content");
	jw_arr(&w->w);
	for (unsigned i = 0; !rc && i < results->n; i++) {
		if (!has_id(results, i + 1,
			    results->parts[i]->id)) /* of several for one call the last counts */
			rc = am_write_part(w, results->parts[i], t->first);
	}
	if (!rc)
		rc = put_others(w, t, last);
	if (rc)
		return rc;
	jw_end_arr(&w->w);
	jw_end_obj(&w->w);
	return RC_OK;
}

/* What no turn will show: names of participants, reasoning nobody here can check, items of another vendor's. */
static void note_losses(struct am_writer *w)
{
	for (unsigned i = 0; i < w->r->n_messages; i++) {
		const struct ir_message *m = &w->r->messages[i];

		if (m->name.len)
			ir_loss(w->losses, STR("name"));
		for (unsigned k = 0; k < m->n_parts; k++) {
			const struct ir_part *p = &m->parts[k];

			if (!am_part_vanishes(w, p))
				continue;
			if (p->kind == IR_PART_REASONING)
				ir_loss(w->losses, STR("reasoning_content"));
			else if (p->kind == IR_PART_OPAQUE)
				ir_loss(w->losses, p->name);
		}
	}
}

static int put_turns(struct am_writer *w)
{
	struct part_list calls = { 0 }, results = { 0 };
	struct turn t;
	unsigned at = 0;
	int rc = RC_OK;

	while (!rc && next_turn(w, at, &t)) {
		struct turn after;
		bool last = !next_turn(w, t.end, &after);

		results.n = 0;
		if (t.role == IR_ROLE_USER && (calls.n || has_calls(w, &t, IR_PART_TOOL_RESULT))) {
			rc = collect(w, &t, IR_PART_TOOL_RESULT, &results);
			if (!rc)
				rc = check_pairs(w, &calls, &results);
		}
		calls.n = 0;
		if (!rc && t.role == IR_ROLE_ASSISTANT && has_calls(w, &t, IR_PART_TOOL_CALL))
			rc = collect(w, &t, IR_PART_TOOL_CALL, &calls);
		if (!rc && last && calls.n)
			rc = check_pairs(w, &calls, &(struct part_list){ 0 });
		if (!rc)
			rc = put_turn(w, &t, &results, last);
		at = t.end;
	}
	return rc;
}

int am_write_messages(struct am_writer *w)
{
	struct turn t;
	int rc;

	if (!next_turn(w, 0, &t))
		return err_param(w->reterr, RC_INVALID, "messages",
				 "messages: at least one message with content is required");
	note_losses(w);
	jw_key(&w->w, "messages");
	jw_arr(&w->w);
	rc = put_turns(w);
	if (rc)
		return rc;
	jw_end_arr(&w->w);
	return RC_OK;
}

bool am_history_allows_thinking(const struct am_writer *w)
{
	struct turn t, last = { 0 };
	bool some = false, prefill = false;
	unsigned at = 0;

	while (next_turn(w, at, &t)) {
		prefill = t.role == IR_ROLE_ASSISTANT;
		if (prefill) {
			last = t;
			some = true;
		}
		at = t.end;
	}
	if (prefill)
		return false;
	if (!some || w->adaptive || !has_calls(w, &last, IR_PART_TOOL_CALL))
		return true;
	for (unsigned k = 0; k < w->r->messages[last.first].n_parts; k++) {
		const struct ir_part *p = &w->r->messages[last.first].parts[k];

		if (!am_part_vanishes(w, p))
			return p->kind == IR_PART_REASONING;
	}
	return false;
}
