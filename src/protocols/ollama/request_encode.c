/* protocols/ollama/request_encode.c - the canonical request as an Ollama body: everything but the messages.
 *
 * The rule: a field is mapped, or dropped and named (ir_loss), or the request is refused; nothing vanishes. Ollama itself
 * passes over what it does not know without a word, so what is not written here is really lost. */
#include "protocols/ollama/ollama.h"

void ol_lose(struct ol_writer *w, const char *name)
{
	ir_loss(w->losses, str_from(name));
}

/* --- tools --- */

static bool is_allowed(const struct ir_request *r, struct str name)
{
	if (r->choice.mode == IR_CHOICE_NONE)
		return false;
	if (r->choice.mode == IR_CHOICE_NAMED)
		return str_eq(r->choice.name, name);
	if (!r->choice.allowed)
		return true;
	for (unsigned i = 0; i < r->choice.n_allowed; i++) {
		if (str_eq(r->choice.allowed[i], name))
			return true;
	}
	return false;
}

static void write_tool(struct ol_writer *w, const struct ir_tool *t)
{
	struct jw *j = &w->w;

	jw_obj(j);
	jw_kcstr(j, "type", "function");
	jw_key(j, "function");
	jw_obj(j);
	jw_kstr(j, "name", t->name);
	if (str_present(t->description))
		jw_kstr(j, "description", t->description);
	/* Ollama's templates walk through it: never left out (trap 80). */
	jw_kraw(j, "parameters",
		str_present(t->parameters) ? t->parameters
					   : STR("{\"type\":\"object\",\"properties\":{}}"));
	jw_end_obj(j);
	jw_end_obj(j);
	ir_lose_tool_words(w->losses, t);
	if (t->strict == IR_TRUE)
		ol_lose(w, "strict");
	if (str_present(t->custom_format))
		ol_lose(w, "tools.format");
	if (t->cache != IR_CACHE_NONE)
		ol_lose(w, "cache_control");
}

static void lose_server_tool(struct ol_writer *w, const struct ir_tool *t)
{
	struct str type =
		json_str(json_get(json_parse(w->arena, t->server_raw, NULL), STR("type")));

	ir_loss(w->losses, type.len ? type : STR("tools"));
}

/* There is no tool_choice. What can be done about it is done with the list: "none" sends no tools, a name only that one,
 * allowed tools only those (trap 76). That a call is made at all cannot be had this way: the quirk
 * forced_tool_as_schema is how, and without it that is disclosed (trap 75). */
static void write_tools(struct ol_writer *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->r->n_tools; i++) {
		const struct ir_tool *t = &w->r->tools[i];

		if (!str_present(t->name) && !ol_minted(t->origin)) {
			lose_server_tool(w, t);
			continue;
		}
		if (!is_allowed(w->r, t->name))
			continue;
		if (n++ == 0) {
			jw_key(&w->w, "tools");
			jw_arr(&w->w);
		}
		if (str_present(t->name))
			write_tool(w, t);
		else
			jw_raw(&w->w, t->server_raw);
	}
	if (n)
		jw_end_arr(&w->w);
}

static int write_choice(struct ol_writer *w)
{
	const struct ir_tool_choice *c = &w->r->choice;
	bool forced = c->mode == IR_CHOICE_REQUIRED || c->mode == IR_CHOICE_NAMED;

	if (c->mode == IR_CHOICE_NAMED && !ir_request_tool(w->r, c->name))
		return err_param(w->reterr, RC_UNSUPPORTED, "tool_choice",
				 "tool_choice names '%.*s', which is none of the tools",
				 (int)(c->name.len < 64 ? c->name.len : 64), c->name.ptr);
	if (forced && w->form == OL_GENERATE)
		return err_param(w->reterr, RC_UNSUPPORTED, "tool_choice",
				 "tool_choice demands a call, but /api/generate knows no tools");
	if (forced)
		ol_lose(w, "tool_choice");
	if (c->parallel == IR_FALSE)
		ol_lose(w, "parallel_tool_calls");
	if (w->form == OL_GENERATE && w->r->n_tools && c->mode != IR_CHOICE_NONE)
		ol_lose(w, "tools");
	return RC_OK;
}

/* --- format and reasoning --- */

static void write_format(struct ol_writer *w)
{
	const struct ir_format *f = &w->r->format;

	if (f->kind == IR_FORMAT_JSON_SCHEMA && str_present(f->description))
		ol_lose(w, "response_format.description");
	if (f->kind == IR_FORMAT_JSON_SCHEMA && str_present(f->schema))
		jw_kraw(&w->w, "format", f->schema);
	else if (f->kind == IR_FORMAT_JSON_OBJECT || f->kind == IR_FORMAT_JSON_SCHEMA)
		jw_kcstr(&w->w, "format", "json");
	ir_lose_format_words(w->losses, f);
}

/* Of Ollama's levels the one whose budget in the target's table is nearest (trap 84). */
static enum ir_effort nearest_level(const struct request_target *t, int64_t budget)
{
	static const enum ir_effort levels[] = { IR_EFFORT_LOW, IR_EFFORT_MEDIUM, IR_EFFORT_HIGH };
	enum ir_effort best = IR_EFFORT_MEDIUM;
	int64_t best_off = INT64_MAX;

	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		int64_t at = t->budget[levels[i]], off = at > budget ? at - budget : budget - at;

		if (at > 0 && off < best_off) {
			best = levels[i];
			best_off = off;
		}
	}
	return best;
}

static void write_level(struct ol_writer *w, enum ir_effort e)
{
	switch (e) {
	case IR_EFFORT_UNSET:
		break;
	case IR_EFFORT_NONE:
		jw_kbool(&w->w, "think", false);
		break;
	case IR_EFFORT_MINIMAL:
	case IR_EFFORT_LOW:
		jw_kcstr(&w->w, "think", "low");
		break;
	case IR_EFFORT_MEDIUM:
		jw_kcstr(&w->w, "think", "medium");
		break;
	case IR_EFFORT_HIGH:
		jw_kcstr(&w->w, "think", "high");
		break;
	case IR_EFFORT_XHIGH:
	case IR_EFFORT_MAX:
		jw_kcstr(&w->w, "think", "max"); /* as Ollama's own /v1 has it */
		break;
	}
}

/* A model that cannot think answers 400 to being told to; one that is left alone thinks as it is used to. */
static void write_think(struct ol_writer *w)
{
	const struct ir_reasoning *g = &w->r->reasoning;

	if (g->effort != IR_EFFORT_UNSET)
		write_level(w, g->effort);
	else if (g->thinking == IR_THINKING_DISABLED)
		jw_kbool(&w->w, "think", false);
	else if (g->budget != IR_UNSET)
		write_level(w, nearest_level(w->t, g->budget));
	else if (g->thinking == IR_THINKING_ENABLED)
		jw_kbool(&w->w, "think", true);
}

/* --- options --- */

static void write_number(struct ol_writer *w, const char *key, struct str text)
{
	if (str_present(text))
		jw_kraw(&w->w, key, text);
}

static void write_integer(struct ol_writer *w, const char *key, int64_t n)
{
	if (n != IR_UNSET)
		jw_ki64(&w->w, key, n);
}

static void write_stop(struct ol_writer *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->r->n_stop; i++) {
		if (w->r->stop[i].len == 0) /* trap 72: would end every answer at once */
			continue;
		if (n++ == 0) {
			jw_key(&w->w, "stop");
			jw_arr(&w->w);
		}
		jw_str(&w->w, w->r->stop[i]);
	}
	if (n)
		jw_end_arr(&w->w);
}

static const struct str option_prefix = STR_INIT("options.");

static bool has_options(const struct ir_request *r)
{
	for (unsigned i = 0; i < r->n_extras; i++)
		if (ol_minted(r->origin) && str_starts(r->extras[i].name, option_prefix))
			return true;
	return str_present(r->temperature) || str_present(r->top_p) || r->top_k != IR_UNSET ||
	       str_present(r->frequency_penalty) || str_present(r->presence_penalty) ||
	       r->seed != IR_UNSET || r->max_tokens != IR_UNSET || r->n_stop;
}

static int write_options(struct ol_writer *w)
{
	const struct ir_request *r = w->r;

	if (r->max_tokens != IR_UNSET && r->max_tokens <= 0)
		return err_param(
			w->reterr, RC_UNSUPPORTED, "max_tokens",
			"max_tokens must be more than 0: to Ollama it would mean no limit");
	if (!has_options(r))
		return RC_OK;
	jw_key(&w->w, "options");
	jw_obj(&w->w);
	write_number(w, "temperature", r->temperature);
	write_number(w, "top_p", r->top_p);
	write_integer(w, "top_k", r->top_k);
	write_integer(w, "num_predict", r->max_tokens); /* trap 66 */
	write_stop(w);
	write_integer(w, "seed", r->seed);
	write_number(w, "frequency_penalty", r->frequency_penalty);
	write_number(w, "presence_penalty", r->presence_penalty);
	for (unsigned i = 0; i < r->n_extras && ol_minted(r->origin); i++) {
		if (!str_starts(r->extras[i].name, option_prefix))
			continue;
		jw_key_str(&w->w, str_from_offset(r->extras[i].name, option_prefix.len));
		jw_raw(&w->w, r->extras[i].raw);
	}
	jw_end_obj(&w->w);
	return RC_OK;
}

/* --- the rest --- */

static void write_logprobs(struct ol_writer *w)
{
	if (w->r->logprobs != IR_TRI_UNSET)
		jw_kbool(&w->w, "logprobs", w->r->logprobs == IR_TRUE);
	write_integer(w, "top_logprobs", w->r->top_logprobs);
}

/* Only /api/generate knows it, and there it is what makes a model fill a gap. */
static void write_suffix(struct ol_writer *w)
{
	if (str_present(w->r->suffix) && w->form == OL_GENERATE)
		jw_kstr(&w->w, "suffix", w->r->suffix);
}

/* What Ollama has nothing for: disclosed unless it asks for what happens anyway (trap 89). */
static int note_foreign(struct ol_writer *w)
{
	const uint64_t taken = IR_FIELD(tools) | IR_FIELD(choice) | IR_FIELD(parallel) |
			       IR_FIELD(format) | IR_FIELD(reasoning) | IR_FIELD(max_tokens) |
			       IR_FIELD(temperature) | IR_FIELD(top_p) |
			       IR_FIELD(frequency_penalty) | IR_FIELD(presence_penalty) |
			       IR_FIELD(top_k) | IR_FIELD(seed) | IR_FIELD(n) | IR_FIELD(logprobs) |
			       IR_FIELD(top_logprobs) | IR_FIELD(stop) |
			       (w->form == OL_GENERATE ? IR_FIELD(suffix) : 0);

	if (w->r->n != IR_UNSET && w->r->n > 1) /* trap 32 */
		return err_param(w->reterr, RC_UNSUPPORTED, "n",
				 "n: the provider gives one answer a request; ask for n = 1");
	ir_lose_fields_but(w->losses, w->r, taken);
	return RC_OK;
}

/* Of the other form's own members. */
static bool fits_form(const struct ol_writer *w, struct str name)
{
	bool prompt_only = str_eq(name, STR("template")) || str_eq(name, STR("context")) ||
			   str_eq(name, STR("raw")) || str_eq(name, STR("width")) ||
			   str_eq(name, STR("height")) || str_eq(name, STR("steps"));

	return w->form == OL_GENERATE || !prompt_only;
}

static void write_extras(struct ol_writer *w)
{
	const struct ir_request *r = w->r;

	if (str_eq(r->reasoning.display, STR("omitted"))) /* who reasons aloud does so */
		ol_lose(w, "thinking.display");
	for (unsigned i = 0; i < r->n_extras; i++) { /* trap 91 */
		const struct ir_extra *x = &r->extras[i];

		if (!ol_minted(r->origin) || !fits_form(w, x->name)) {
			ir_loss(w->losses, x->name);
		} else if (!str_starts(x->name, option_prefix)) {
			jw_key_str(&w->w, x->name);
			jw_raw(&w->w, x->raw);
		}
	}
}

static int write_body(struct ol_writer *w)
{
	int rc = w->form == OL_CHAT ? ol_write_messages(w) : ol_write_prompt(w);

	if (!rc)
		rc = write_choice(w);
	if (rc)
		return rc;
	if (w->form == OL_CHAT)
		write_tools(w);
	write_format(w);
	write_think(w);
	write_logprobs(w);
	write_suffix(w);
	rc = write_options(w);
	if (!rc)
		rc = note_foreign(w);
	if (rc)
		return rc;
	jw_kbool(&w->w, "stream", w->r->stream); /* not said, it would stream */
	write_extras(w);
	return RC_OK;
}

int ol_encode_request(enum ol_form form, struct arena *a, const struct ir_request *r,
		      const struct request_target *t, struct buf *out, struct ir_losses *losses,
		      struct err *reterr)
{
	struct ol_writer w = { .arena = a,
			       .r = r,
			       .t = t,
			       .losses = losses,
			       .reterr = reterr,
			       .w = jw_on(out),
			       .form = form };
	int rc;

	jw_obj(&w.w);
	jw_kstr(&w.w, "model", t->model);
	rc = write_body(&w);
	if (rc)
		return rc;
	jw_end_obj(&w.w);
	return buf_ok(out) && !w.failed && !losses->failed
		       ? RC_OK
		       : err_set(reterr, RC_NOMEM, "the request needs more memory than it may use");
}
