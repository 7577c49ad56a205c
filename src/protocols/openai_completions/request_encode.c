/* protocols/openai_completions/request_encode.c - a conversation as one text for a model to go on with.
 *
 * The hard thing is that such a model knows no turns. One question, with what the operator says before it, is its own text.
 * More turns become a transcript, each under its speaker's name, that ends where the assistant is to speak; what
 * cannot be written as text is refused. */
#include "protocols/openai_completions/openai_completions.h"

#include "protocols/transcript.h"

struct writer {
	const struct ir_request *r;
	const struct request_target *t;
	struct ir_losses *losses;
	struct err *reterr;
	struct jw w;
};

/* --- the prompt --- */

static bool is_operator(const struct ir_message *m)
{
	return m->role == IR_ROLE_SYSTEM || m->role == IR_ROLE_DEVELOPER;
}

/* One question and nothing before it but the operator's word? */
static bool is_question(const struct ir_request *r)
{
	unsigned turns = 0;

	for (unsigned i = 0; i < r->n_messages; i++)
		turns += is_operator(&r->messages[i]) || transcript_is_silent(&r->messages[i]) ? 0
											       : 1;
	return turns == 1 && r->messages[r->n_messages - 1].role == IR_ROLE_USER;
}

static const char *speaker(enum ir_role role)
{
	switch (role) {
	case IR_ROLE_SYSTEM:
	case IR_ROLE_DEVELOPER:
		return "";
	case IR_ROLE_USER:
		return "User: ";
	case IR_ROLE_ASSISTANT:
		return "Assistant: ";
	}
	return "";
}

static int put_prompt(struct writer *w)
{
	const struct ir_request *r = w->r;
	static const char *const marks[] = { "User:", "Assistant:", NULL };
	bool question = is_question(r);
	const struct transcript t = { .out = w->w.out,
				      .marks = question ? NULL : marks,
				      .losses = w->losses,
				      .reterr = w->reterr };
	int rc = RC_OK;

	jw_key(&w->w, "prompt");
	jw_raw(&w->w, STR("\""));
	for (unsigned i = 0; !rc && i < r->n_messages; i++) {
		const struct ir_message *m = &r->messages[i];
		bool silent = transcript_is_silent(m);

		if (i && !silent)
			buf_puts(w->w.out, "\\n\\n");
		if (!question && !silent)
			buf_puts(w->w.out, speaker(m->role));
		rc = transcript_words(&t, m, i == 0 || is_operator(m));
	}
	if (!question && r->n_messages && !transcript_goes_on(r))
		buf_puts(w->w.out, "\\n\\nAssistant:");
	buf_putc(w->w.out, '"');
	return rc;
}

/* --- the parameters --- */

/* A call, or a form, that the answer must have: without it the caller would get something else. */
static int refuse_what_it_cannot(const struct writer *w)
{
	const struct ir_request *r = w->r;

	if (r->choice.mode == IR_CHOICE_REQUIRED || r->choice.mode == IR_CHOICE_NAMED)
		return err_param(w->reterr, RC_UNSUPPORTED, "tool_choice",
				 "this model goes on with a text, and calls no tools");
	if (r->format.kind == IR_FORMAT_JSON_OBJECT || r->format.kind == IR_FORMAT_JSON_SCHEMA)
		return err_param(w->reterr, RC_UNSUPPORTED, "response_format",
				 "this model's provider cannot hold a completion to a form");
	if (r->n != IR_UNSET && r->n > 1 && (w->t->quirks & QUIRK_ONE_ANSWER)) /* trap 32 */
		return err_param(w->reterr, RC_UNSUPPORTED, "n",
				 "this provider makes one answer to a request; ask for one");
	return RC_OK;
}

static void put_number(struct writer *w, const char *key, struct str text)
{
	if (str_present(text))
		jw_kraw(&w->w, key, text);
}

static void put_integer(struct writer *w, const char *key, int64_t n)
{
	if (n != IR_UNSET)
		jw_ki64(&w->w, key, n);
}

static void put_stop(struct writer *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->r->n_stop; i++) {
		if (w->r->stop[i].len == 0) /* trap 72 */
			continue;
		if (n == OC_MAX_STOPS) /* trap 71: the gateway cuts at the others */
			break;
		if (n++ == 0) {
			jw_key(&w->w, "stop");
			jw_arr(&w->w);
		}
		jw_str(&w->w, w->r->stop[i]);
	}
	if (n)
		jw_end_arr(&w->w);
}

static void put_logprobs(struct writer *w)
{
	if (w->r->logprobs == IR_TRUE)
		jw_ki64(&w->w, "logprobs", w->r->top_logprobs == IR_UNSET ? 0 : w->r->top_logprobs);
}

static void put_parameters(struct writer *w)
{
	const struct ir_request *r = w->r;

	/* Unsaid, the format's own 16 would cut every answer. */
	jw_ki64(&w->w, "max_tokens",
		r->max_tokens != IR_UNSET ? r->max_tokens : w->t->default_max_tokens);
	put_number(w, "temperature", r->temperature);
	put_number(w, "top_p", r->top_p);
	put_number(w, "frequency_penalty", r->frequency_penalty);
	put_number(w, "presence_penalty", r->presence_penalty);
	if (w->t->quirks & QUIRK_TOP_K)
		put_integer(w, "top_k", r->top_k);
	put_integer(w, "seed", r->seed);
	put_integer(w, "n", r->n);
	put_logprobs(w);
	put_stop(w);
	put_number(w, "logit_bias", r->logit_bias);
	if (str_present(r->suffix))
		jw_kstr(&w->w, "suffix", r->suffix);
	if (str_present(r->user))
		jw_kstr(&w->w, "user", r->user);
	if (!r->stream)
		return;
	jw_kbool(&w->w, "stream", true);
	if (!(w->t->quirks & QUIRK_NO_STREAM_OPTIONS)) /* trap 10 */
		jw_kraw(&w->w, "stream_options", STR("{\"include_usage\":true}"));
}

/* --- what has no place here --- */

static void put_extras(struct writer *w)
{
	for (unsigned i = 0; i < w->r->n_extras; i++) {
		if (ot_minted(w->r->origin)) {
			jw_key_str(&w->w, w->r->extras[i].name);
			jw_raw(&w->w, w->r->extras[i].raw);
		} else {
			ir_loss(w->losses, w->r->extras[i].name);
		}
	}
}

/* Written, or refused. */
static uint64_t taken(const struct request_target *t)
{
	return IR_FIELD(choice) | IR_FIELD(format) | IR_FIELD(max_tokens) | IR_FIELD(temperature) |
	       IR_FIELD(top_p) | IR_FIELD(frequency_penalty) | IR_FIELD(presence_penalty) |
	       IR_FIELD(seed) | IR_FIELD(n) | IR_FIELD(logprobs) | IR_FIELD(top_logprobs) |
	       IR_FIELD(stop) | IR_FIELD(logit_bias) | IR_FIELD(suffix) | IR_FIELD(user) |
	       (t->quirks & QUIRK_TOP_K ? IR_FIELD(top_k) : 0);
}

int ot_encode_request(struct arena *a, const struct ir_request *r, const struct request_target *t,
		      struct buf *out, struct ir_losses *losses, struct err *reterr)
{
	struct writer w = { .r = r, .t = t, .losses = losses, .reterr = reterr, .w = jw_on(out) };
	int rc = refuse_what_it_cannot(&w);

	(void)a;
	if (rc)
		return rc;
	jw_obj(&w.w);
	jw_kstr(&w.w, "model", t->model);
	rc = put_prompt(&w);
	if (rc)
		return rc;
	put_parameters(&w);
	put_extras(&w);
	ir_lose_fields_but(losses, r, taken(t));
	jw_end_obj(&w.w);
	return buf_ok(out) && !losses->failed
		       ? RC_OK
		       : err_set(reterr, RC_NOMEM, "the request needs more memory than it may use");
}
