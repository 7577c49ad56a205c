/* protocols/anthropic_complete/request_encode.c - a conversation as one text with its turns marked.
 *
 * The hard thing is what such a text cannot hold: it is refused where the answer would be another one, else named. */
#include "protocols/anthropic_complete/anthropic_complete.h"

#include "protocols/transcript.h"

struct writer {
	const struct ir_request *r;
	struct ir_losses *losses;
	struct err *reterr;
	struct jw w;
};

/* The rest is named, or refused. */
#define TAKEN                                                                         \
	(IR_FIELD(choice) | IR_FIELD(format) | IR_FIELD(n) | IR_FIELD(max_tokens) |   \
	 IR_FIELD(temperature) | IR_FIELD(top_p) | IR_FIELD(top_k) | IR_FIELD(stop) | \
	 IR_FIELD(user))

static bool is_operator(const struct ir_message *m)
{
	return m->role == IR_ROLE_SYSTEM || m->role == IR_ROLE_DEVELOPER;
}

/* The operator's word stands first, without a mark; later it is a turn of the user. */
static void put_mark(struct writer *w, const struct ir_message *m, bool first)
{
	switch (m->role) {
	case IR_ROLE_SYSTEM:
	case IR_ROLE_DEVELOPER:
		if (first)
			return;
		json_escape(w->w.out, STR(AC_HUMAN " "));
		return;
	case IR_ROLE_USER:
		json_escape(w->w.out, STR(AC_HUMAN " "));
		return;
	case IR_ROLE_ASSISTANT:
		json_escape(w->w.out, STR(AC_ASSISTANT " "));
		return;
	}
}

static int put_prompt(struct writer *w)
{
	const struct ir_request *r = w->r;
	static const char *const marks[] = { "Human:", "Assistant:", NULL };
	const struct transcript t = {
		.out = w->w.out, .marks = marks, .losses = w->losses, .reterr = w->reterr
	};
	int rc = RC_OK;

	jw_key(&w->w, "prompt");
	jw_raw(&w->w, STR("\""));
	for (unsigned i = 0; !rc && i < r->n_messages; i++) {
		const struct ir_message *m = &r->messages[i];

		if (!transcript_is_silent(m))
			put_mark(w, m, i == 0 && r->n_messages > 1);
		rc = transcript_words(&t, m, i == 0 && is_operator(m));
	}
	if (!transcript_goes_on(r))
		json_escape(w->w.out, STR(AC_ASSISTANT));
	buf_putc(w->w.out, '"');
	return rc;
}

static int refuse_what_it_cannot(const struct writer *w)
{
	const struct ir_request *r = w->r;

	if (r->choice.mode == IR_CHOICE_REQUIRED || r->choice.mode == IR_CHOICE_NAMED)
		return err_param(w->reterr, RC_UNSUPPORTED, "tool_choice",
				 "this model goes on with a text, and calls no tools");
	if (r->format.kind == IR_FORMAT_JSON_OBJECT || r->format.kind == IR_FORMAT_JSON_SCHEMA)
		return err_param(w->reterr, RC_UNSUPPORTED, "response_format",
				 "this model's provider cannot hold a completion to a form");
	if (r->n != IR_UNSET && r->n > 1)
		return err_param(w->reterr, RC_UNSUPPORTED, "n",
				 "several answers at once are not translated; ask for one");
	return RC_OK;
}

static void put_stop(struct writer *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->r->n_stop; i++) {
		if (str_trim(w->r->stop[i]).len == 0) { /* trap 72 */
			ir_loss(w->losses, STR("stop"));
			continue;
		}
		if (n++ == 0) {
			jw_key(&w->w, "stop_sequences");
			jw_arr(&w->w);
		}
		jw_str(&w->w, w->r->stop[i]);
	}
	if (n)
		jw_end_arr(&w->w);
}

static void put_parameters(struct writer *w, const struct request_target *t)
{
	const struct ir_request *r = w->r;

	jw_ki64(&w->w, "max_tokens_to_sample",
		r->max_tokens != IR_UNSET ? r->max_tokens : t->default_max_tokens);
	if (str_present(r->temperature))
		jw_kraw(&w->w, "temperature", r->temperature);
	if (str_present(r->top_p))
		jw_kraw(&w->w, "top_p", r->top_p);
	if (r->top_k != IR_UNSET)
		jw_ki64(&w->w, "top_k", r->top_k);
	put_stop(w);
	if (str_present(r->user)) {
		jw_key(&w->w, "metadata");
		jw_obj(&w->w);
		jw_kstr(&w->w, "user_id", r->user);
		jw_end_obj(&w->w);
	}
	if (r->stream)
		jw_kbool(&w->w, "stream", true);
	for (unsigned i = 0; i < r->n_extras; i++) {
		if (ac_minted(r->origin) && str_present(r->extras[i].raw)) {
			jw_key_str(&w->w, r->extras[i].name);
			jw_raw(&w->w, r->extras[i].raw);
		} else {
			ir_loss(w->losses, r->extras[i].name);
		}
	}
}

int ac_encode_request(struct arena *a, const struct ir_request *r, const struct request_target *t,
		      struct buf *out, struct ir_losses *losses, struct err *reterr)
{
	struct writer w = { .r = r, .losses = losses, .reterr = reterr, .w = jw_on(out) };
	int rc = refuse_what_it_cannot(&w);

	(void)a;
	if (rc)
		return rc;
	jw_obj(&w.w);
	jw_kstr(&w.w, "model", t->model);
	rc = put_prompt(&w);
	if (rc)
		return rc;
	put_parameters(&w, t);
	ir_lose_fields_but(losses, r, TAKEN);
	jw_end_obj(&w.w);
	return buf_ok(out) && !losses->failed
		       ? RC_OK
		       : err_set(reterr, RC_NOMEM, "the request needs more memory than it may use");
}
