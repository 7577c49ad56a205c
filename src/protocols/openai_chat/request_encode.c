/* protocols/openai_chat/request_encode.c - the canonical request as a Chat Completions body: everything but the messages.
 *
 * The rule: a field is mapped, or dropped and named (ir_loss), or the request is refused; nothing vanishes. */
#include "protocols/openai_chat/openai_chat.h"

#include "ir/drawn.h"

/* --- tools --- */

/* A custom tool's name, which stands inside its raw JSON. */
static struct str raw_name(struct arena *a, const struct ir_tool *t)
{
	const json *v = json_parse(a, t->server_raw, NULL);
	const json *inner = json_get(v, json_str(json_get(v, STR("type"))));

	return json_str(json_get(json_is_obj(inner) ? inner : v, STR("name")));
}

/* Where a choice cannot be said in words, the list says it: the named tool alone, or none. */
static bool is_chosen(const struct oc_writer *w, const struct ir_tool *t)
{
	const struct ir_tool_choice *c = &w->r->choice;

	if (c->mode == IR_CHOICE_NONE)
		return !(w->t->quirks & QUIRK_AUTO_TOOL_CHOICE);
	if (c->mode != IR_CHOICE_NAMED || !(w->t->quirks & QUIRK_NO_NAMED_TOOL))
		return true;
	return str_eq(str_present(t->name) ? t->name : raw_name(w->arena, t), c->name);
}

/* Goes this tool out? Where the target does not know allowed_tools, the list itself is the
 * constraint (trap 76); vendors' own tools go to nobody else (trap 94). */
static bool goes_out(const struct oc_writer *w, const struct ir_tool *t)
{
	if (!is_chosen(w, t))
		return false;
	if (!str_present(t->name))
		return oc_minted(t->origin);
	return (w->t->quirks & QUIRK_ALLOWED_TOOLS) || oc_is_allowed(w->r, t->name);
}

static void lose_tool(struct oc_writer *w, const struct ir_tool *t)
{
	struct str type =
		json_str(json_get(json_parse(w->arena, t->server_raw, NULL), STR("type")));

	ir_loss(w->losses, type.len ? type : STR("tools"));
}

static void write_custom_tool(struct oc_writer *w, const struct ir_tool *t)
{
	const json *format =
		str_present(t->custom_format) ? json_parse(w->arena, t->custom_format, NULL) : NULL;
	bool grammar = str_eq(json_str(json_get(format, STR("type"))), STR("grammar"));
	struct jw *j = &w->w;

	jw_obj(j);
	jw_kcstr(j, "type", "custom");
	jw_key(j, "custom");
	jw_obj(j);
	jw_kstr(j, "name", t->name);
	if (str_present(t->description))
		jw_kstr(j, "description", t->description);
	if (format && !grammar)
		jw_kraw(j, "format", t->custom_format);
	if (grammar) {
		jw_key(j, "format");
		jw_obj(j);
		jw_kcstr(j, "type", "grammar");
		jw_key(j, "grammar");
		jw_obj(j);
		jw_kstr(j, "syntax", json_str(json_get(format, STR("syntax"))));
		jw_kstr(j, "definition", json_str(json_get(format, STR("definition"))));
		jw_end_obj(j);
		jw_end_obj(j);
	}
	jw_end_obj(j);
	jw_end_obj(j);
}

static void write_tool(struct oc_writer *w, const struct ir_tool *t)
{
	struct jw *j = &w->w;
	struct str name = oc_tool_name(w->arena, t->name);
	bool strict_ok = t->strict != IR_TRUE || oc_minted(w->r->origin) ||
			 oc_may_be_strict(w->arena, t->parameters);

	w->failed = w->failed || !name.ptr;
	jw_obj(j);
	jw_kcstr(j, "type", "function");
	jw_key(j, "function");
	jw_obj(j);
	jw_kstr(j, "name", name);
	if (str_present(t->description))
		jw_kstr(j, "description", t->description);
	/* Not left out even when empty: some servers insist on it. */
	jw_kraw(j, "parameters",
		str_present(t->parameters) ? t->parameters
					   : STR("{\"type\":\"object\",\"properties\":{}}"));
	if (t->strict != IR_TRI_UNSET && strict_ok)
		jw_kbool(j, "strict", t->strict == IR_TRUE);
	jw_end_obj(j);
	jw_end_obj(j);
	ir_lose_tool_words(w->losses, t);
	if (!strict_ok)
		ir_loss(w->losses, STR("strict"));
	if (t->cache != IR_CACHE_NONE)
		ir_loss(w->losses, STR("cache_control"));
}

/* Returns how many went out. */
static unsigned write_tools(struct oc_writer *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->r->n_tools; i++) {
		const struct ir_tool *t = &w->r->tools[i];

		if (!goes_out(w, t)) {
			if (!str_present(t->name))
				lose_tool(w, t);
			continue;
		}
		if (n++ == 0) {
			jw_key(&w->w, "tools");
			jw_arr(&w->w);
		}
		if (t->custom && (w->t->quirks & QUIRK_CUSTOM_TOOLS))
			write_custom_tool(w, t);
		else if (str_present(t->name))
			write_tool(w, t);
		else
			jw_raw(&w->w, t->server_raw);
	}
	if (n)
		jw_end_arr(&w->w);
	return n;
}

static void write_named(struct oc_writer *w, struct str name)
{
	bool custom = oc_is_custom(w->r, name) && (w->t->quirks & QUIRK_CUSTOM_TOOLS);
	bool function = ir_request_tool(w->r, name) != NULL && !custom;
	const char *kind = function ? "function" : "custom";
	struct str out = function ? oc_tool_name(w->arena, name) : name;

	w->failed = w->failed || !out.ptr;
	jw_obj(&w->w);
	jw_kcstr(&w->w, "type", kind);
	jw_key(&w->w, kind);
	jw_obj(&w->w);
	jw_kstr(&w->w, "name", out);
	jw_end_obj(&w->w);
	jw_end_obj(&w->w);
}

static void write_allowed(struct oc_writer *w)
{
	const struct ir_tool_choice *c = &w->r->choice;

	jw_obj(&w->w);
	jw_kcstr(&w->w, "type", "allowed_tools");
	jw_key(&w->w, "allowed_tools");
	jw_obj(&w->w);
	jw_kcstr(&w->w, "mode", c->mode == IR_CHOICE_REQUIRED ? "required" : "auto");
	jw_key(&w->w, "tools");
	jw_arr(&w->w);
	for (unsigned i = 0; i < c->n_allowed; i++)
		write_named(w, c->allowed[i]);
	jw_end_arr(&w->w);
	jw_end_obj(&w->w);
	jw_end_obj(&w->w);
}

static bool names_sent_tool(const struct oc_writer *w, struct str name)
{
	if (ir_request_tool(w->r, name))
		return true;
	for (unsigned i = 0; i < w->r->n_tools; i++) {
		const struct ir_tool *t = &w->r->tools[i];

		if (!str_present(t->name) && goes_out(w, t) && str_eq(raw_name(w->arena, t), name))
			return true;
	}
	return false;
}

static void write_mode(struct oc_writer *w, const struct ir_tool_choice *c)
{
	bool only_auto = w->t->quirks & QUIRK_AUTO_TOOL_CHOICE;

	switch (c->mode) {
	case IR_CHOICE_UNSET:
		return;
	case IR_CHOICE_AUTO:
		break;
	case IR_CHOICE_NONE:
		jw_kcstr(&w->w, "tool_choice", "none");
		return;
	case IR_CHOICE_REQUIRED:
	case IR_CHOICE_NAMED:
		if (only_auto) {
			ir_loss(w->losses, STR("tool_choice"));
			break;
		}
		if (c->mode == IR_CHOICE_REQUIRED || (w->t->quirks & QUIRK_NO_NAMED_TOOL)) {
			jw_kcstr(&w->w, "tool_choice", "required");
			return;
		}
		jw_key(&w->w, "tool_choice");
		write_named(w, c->name);
		return;
	}
	jw_kcstr(&w->w, "tool_choice", "auto");
}

static int write_choice(struct oc_writer *w, unsigned n_tools)
{
	const struct ir_tool_choice *c = &w->r->choice;

	if (c->mode == IR_CHOICE_NAMED && !names_sent_tool(w, c->name))
		return err_param(
			w->reterr, RC_UNSUPPORTED, "tool_choice",
			"tool_choice names '%.*s', which this model's provider does not offer",
			(int)(c->name.len < 64 ? c->name.len : 64), c->name.ptr);
	if (c->mode == IR_CHOICE_REQUIRED && n_tools == 0)
		return err_param(w->reterr, RC_UNSUPPORTED, "tool_choice",
				 "tool_choice demands a call, but none of the tools exists at this "
				 "model's provider");
	if (n_tools == 0) /* OpenAI refuses a choice among nothing */
		return RC_OK;
	if (c->allowed && (w->t->quirks & QUIRK_ALLOWED_TOOLS)) {
		jw_key(&w->w, "tool_choice");
		write_allowed(w);
		return RC_OK;
	}
	write_mode(w, c);
	return RC_OK;
}

static void write_parallel(struct oc_writer *w, unsigned n_tools)
{
	enum ir_tri parallel = w->r->choice.parallel;

	if (parallel == IR_TRI_UNSET || n_tools == 0)
		return;
	if (!(w->t->quirks & QUIRK_NO_PARALLEL_TOOL_CALLS))
		jw_kbool(&w->w, "parallel_tool_calls", parallel == IR_TRUE);
	else if (parallel == IR_FALSE)
		ir_loss(w->losses, STR("parallel_tool_calls"));
}

/* --- format and reasoning --- */

static void write_schema(struct oc_writer *w)
{
	const struct ir_format *f = &w->r->format;
	struct jw *j = &w->w;
	enum ir_tri strict = f->strict;

	/* Elsewhere a schema always binds; here only a strict one does. */
	if (strict == IR_TRI_UNSET && !oc_minted(w->r->origin) &&
	    oc_may_be_strict(w->arena, f->schema))
		strict = IR_TRUE;
	jw_obj(j);
	jw_kcstr(j, "type", "json_schema");
	jw_key(j, "json_schema");
	jw_obj(j);
	jw_kstr(j, "name", f->name.len ? f->name : STR("response"));
	if (str_present(f->description))
		jw_kstr(j, "description", f->description);
	if (str_present(f->schema))
		jw_kraw(j, "schema", f->schema);
	if (strict != IR_TRI_UNSET)
		jw_kbool(j, "strict", strict == IR_TRUE);
	jw_end_obj(j);
	jw_end_obj(j);
}

static void write_format(struct oc_writer *w)
{
	enum ir_format_kind kind = w->r->format.kind;

	if (kind == IR_FORMAT_UNSET)
		return;
	jw_key(&w->w, "response_format");
	if (kind == IR_FORMAT_JSON_SCHEMA && !w->lent_schema) {
		write_schema(w);
		return;
	}
	jw_obj(&w->w);
	jw_kcstr(&w->w, "type", kind == IR_FORMAT_TEXT ? "text" : "json_object");
	jw_end_obj(&w->w);
	if (w->lent_schema)
		ir_loss(w->losses, STR("response_format"));
}

/* Does the caller want reasoning? Unset: it says nothing about it. */
static enum ir_tri wants_reasoning(const struct ir_reasoning *g)
{
	if (g->thinking == IR_THINKING_DISABLED || g->effort == IR_EFFORT_NONE)
		return IR_FALSE;
	if (g->thinking != IR_THINKING_UNSET || g->effort != IR_EFFORT_UNSET ||
	    g->budget != IR_UNSET)
		return IR_TRUE;
	return IR_TRI_UNSET;
}

/* The switch of vendors that have one. Returns whether an effort may stand beside it. */
static bool write_thinking(struct oc_writer *w)
{
	const struct ir_reasoning *g = &w->r->reasoning;
	enum ir_choice_mode mode = w->r->choice.mode;
	enum ir_tri wants = wants_reasoning(g);
	bool switched = w->t->quirks & (QUIRK_THINKING_TYPE | QUIRK_ENABLE_THINKING);
	bool forced = w->r->n_tools && !(w->t->quirks & QUIRK_AUTO_TOOL_CHOICE) &&
		      (mode == IR_CHOICE_REQUIRED || mode == IR_CHOICE_NAMED);

	if (switched && forced) { /* trap 78: one of them, and the call was demanded */
		if (wants == IR_TRUE)
			ir_loss(w->losses, STR("reasoning_effort"));
		wants = IR_FALSE;
	}
	if (wants == IR_TRI_UNSET)
		return true;
	if (w->t->quirks & QUIRK_THINKING_TYPE) {
		jw_kraw(&w->w, "thinking",
			wants == IR_TRUE ? STR("{\"type\":\"enabled\"}")
					 : STR("{\"type\":\"disabled\"}"));
		return wants == IR_TRUE && (g->effort != IR_EFFORT_UNSET || g->budget != IR_UNSET);
	}
	if (w->t->quirks & QUIRK_ENABLE_THINKING) {
		int64_t budget = g->budget;

		if (budget == IR_UNSET && g->effort > IR_EFFORT_NONE && w->t->budget[g->effort] > 0)
			budget = w->t->budget[g->effort];
		jw_kbool(&w->w, "enable_thinking", wants == IR_TRUE);
		if (wants == IR_TRUE && budget != IR_UNSET)
			jw_ki64(&w->w, "thinking_budget", budget);
		return false;
	}
	return true;
}

static void write_effort(struct oc_writer *w)
{
	enum ir_effort effort = oc_effort(w->r, w->t);

	if (!write_thinking(w))
		return;
	if (effort == IR_EFFORT_UNSET)
		return;
	if (oc_may_reason(w->t))
		jw_kcstr(&w->w, "reasoning_effort", ir_effort_name(effort));
	else if (effort != IR_EFFORT_NONE)
		ir_loss(w->losses, STR("reasoning_effort"));
}

/* --- the plain parameters --- */

static void write_number(struct oc_writer *w, const char *key, struct str text)
{
	if (str_present(text))
		jw_kraw(&w->w, key, text);
}

static void write_integer(struct oc_writer *w, const char *key, int64_t n)
{
	if (n != IR_UNSET)
		jw_ki64(&w->w, key, n);
}

static void write_string(struct oc_writer *w, const char *key, struct str s)
{
	if (str_present(s))
		jw_kstr(&w->w, key, s);
}

static void write_bool(struct oc_writer *w, const char *key, enum ir_tri v)
{
	if (v != IR_TRI_UNSET)
		jw_kbool(&w->w, key, v == IR_TRUE);
}

static void write_stop(struct oc_writer *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->r->n_stop; i++) {
		if (w->r->stop[i].len == 0) /* trap 72: means nothing, and is refused */
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

static void write_sampling(struct oc_writer *w)
{
	const struct ir_request *r = w->r;

	write_integer(w, w->t->quirks & QUIRK_MAX_TOKENS ? "max_tokens" : "max_completion_tokens",
		      r->max_tokens);
	write_number(w, "temperature", r->temperature);
	write_number(w, "top_p", r->top_p);
	write_number(w, "frequency_penalty", r->frequency_penalty);
	write_number(w, "presence_penalty", r->presence_penalty);
	if (w->t->quirks & QUIRK_TOP_K) /* trap 90 */
		write_integer(w, "top_k", r->top_k);
	write_integer(w, w->t->quirks & QUIRK_RANDOM_SEED ? "random_seed" : "seed", r->seed);
	write_integer(w, "n", r->n);
	if (!(w->t->quirks & QUIRK_NO_LOGPROBS)) {
		write_bool(w, "logprobs", r->logprobs);
		write_integer(w, "top_logprobs", r->top_logprobs);
	}
	write_stop(w);
}

/* Pictures are asked for by a word that OpenAI itself refuses: another dialect's client gets it to servers that draw. */
static bool takes_modalities(const struct oc_writer *w)
{
	return oc_minted(w->r->origin) || (w->t->quirks & QUIRK_ASSISTANT_IMAGES) ||
	       str_find(w->r->modalities, STR("\"image\"")) < 0;
}

/* What not every vendor has, and most ignore; one that refuses it is Mistral. */
static void write_uncommon(struct oc_writer *w)
{
	const struct ir_request *r = w->r;

	write_bool(w, "store", r->store);
	write_string(w, "user", r->user);
	/* Trap 88: Anthropic's word for the same thing. */
	write_string(w, "service_tier",
		     str_eq(r->service_tier, STR("standard_only")) ? STR("default")
								   : r->service_tier);
	write_string(w, "verbosity", r->verbosity);
	write_string(w, "safety_identifier", r->safety_identifier);
	if (!(w->t->quirks & QUIRK_NO_LOGPROBS))
		write_number(w, "logit_bias", r->logit_bias);
	if (takes_modalities(w))
		write_number(w, "modalities", r->modalities);
	write_number(w, "audio", r->audio);
}

/* Written, refused, or named where they are looked at. */
static uint64_t taken(const struct oc_writer *w)
{
	const unsigned quirks = w->t->quirks;
	const uint64_t uncommon = IR_FIELD(store) | IR_FIELD(user) | IR_FIELD(service_tier) |
				  IR_FIELD(verbosity) | IR_FIELD(safety_identifier) |
				  IR_FIELD(logit_bias) | IR_FIELD(modalities) | IR_FIELD(audio),
		       logprobs =
			       IR_FIELD(logprobs) | IR_FIELD(top_logprobs) | IR_FIELD(logit_bias);
	uint64_t set = IR_FIELD(tools) | IR_FIELD(choice) | IR_FIELD(parallel) | IR_FIELD(format) |
		       IR_FIELD(reasoning) | IR_FIELD(max_tokens) | IR_FIELD(temperature) |
		       IR_FIELD(top_p) | IR_FIELD(frequency_penalty) | IR_FIELD(presence_penalty) |
		       IR_FIELD(seed) | IR_FIELD(n) | IR_FIELD(stop) | IR_FIELD(prompt_cache_key) |
		       IR_FIELD(metadata) | IR_FIELD(prediction) | IR_FIELD(top_k) | uncommon |
		       logprobs;

	if (!(quirks & QUIRK_TOP_K))
		set &= ~IR_FIELD(top_k);
	if (quirks & QUIRK_CORE_FIELDS)
		set &= ~uncommon;
	if (quirks & QUIRK_NO_LOGPROBS)
		set &= ~logprobs;
	if (!takes_modalities(w))
		set &= ~IR_FIELD(modalities);
	return set;
}

static void write_the_rest(struct oc_writer *w)
{
	const struct ir_request *r = w->r;

	if (!(w->t->quirks & QUIRK_CORE_FIELDS))
		write_uncommon(w);
	write_string(w, "prompt_cache_key", r->prompt_cache_key);
	write_number(w, "metadata", r->metadata);
	write_number(w, "prediction", r->prediction);
	ir_lose_fields_but(w->losses, r, taken(w));
	if (str_eq(r->reasoning.display, STR("omitted"))) /* who reasons aloud does so */
		ir_loss(w->losses, STR("thinking.display"));
	for (unsigned i = 0; i < r->n_extras; i++) { /* trap 91 */
		if (!oc_minted(r->origin) && !oc_shares_extra(r, r->extras[i].name, w->t)) {
			ir_loss(w->losses, r->extras[i].name);
			continue;
		}
		jw_key_str(&w->w, r->extras[i].name);
		jw_raw(&w->w, r->extras[i].raw);
	}
}

static void write_stream(struct oc_writer *w)
{
	if (!w->r->stream)
		return;
	jw_kbool(&w->w, "stream", true);
	if (w->t->quirks & QUIRK_NO_STREAM_OPTIONS)
		return;
	jw_kraw(&w->w, "stream_options", STR("{\"include_usage\":true}")); /* trap 10 */
}

int oc_encode_request(struct arena *a, const struct ir_request *r, const struct request_target *t,
		      struct buf *out, struct ir_losses *losses, struct err *reterr)
{
	struct oc_writer w = {
		.arena = a, .r = r, .t = t, .losses = losses, .reterr = reterr, .w = jw_on(out)
	};
	unsigned n_tools;
	int rc;

	if (r->n != IR_UNSET && r->n > 1 && (t->quirks & QUIRK_ONE_ANSWER)) /* trap 32 */
		return err_param(reterr, RC_UNSUPPORTED, "n",
				 "this provider makes one answer to a request; ask for one");
	rc = ir_drawn_to_user(a, r, NULL, t->quirks & QUIRK_ASSISTANT_IMAGES, losses, &w.r);
	if (rc)
		return err_set(reterr, rc, "the request needs more memory than it may use");
	w.lent_schema =
		r->format.kind == IR_FORMAT_JSON_SCHEMA && (t->quirks & QUIRK_NO_JSON_SCHEMA);
	jw_obj(&w.w);
	jw_kstr(&w.w, "model", t->model);
	jw_key(&w.w, "messages");
	oc_write_messages(&w);
	n_tools = write_tools(&w);
	rc = write_choice(&w, n_tools);
	if (rc)
		return rc;
	write_parallel(&w, n_tools);
	write_format(&w);
	write_effort(&w);
	write_sampling(&w);
	write_stream(&w);
	write_the_rest(&w);
	jw_end_obj(&w.w);
	return buf_ok(out) && !w.failed && !losses->failed
		       ? RC_OK
		       : err_set(reterr, RC_NOMEM, "the request needs more memory than it may use");
}
