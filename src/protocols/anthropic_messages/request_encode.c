/* protocols/anthropic_messages/request_encode.c - the canonical request as a body for an upstream
 * that speaks this protocol.
 *
 * The one hard thing: thinking, tools, sampling and max_tokens exclude each other in ways the
 * vendor answers with 400. So what can be had together is decided first (decide_*), every
 * concession is noted as a loss, and then it is written.
 */
#include "ir/drawn.h"
#include "protocols/anthropic_messages/anthropic_messages.h"

enum {
	MIN_BUDGET = 1024,
	FALLBACK_MAX_TOKENS = 4096,
	MAX_MADE_TOOLS = 1024,
	MAX_TOOL_PAIRS = 1 << 24
};

static void loss(struct am_writer *w, const char *name)
{
	ir_loss(w->losses, str_from(name));
}

/* --- thinking --- */

static int64_t budget_of(const struct request_target *t, enum ir_effort e)
{
	return e >= IR_EFFORT_NONE && e <= IR_EFFORT_MAX ? t->budget[e] : 0;
}

/* The effort that comes nearest to a budget from above. */
static enum ir_effort effort_of(const struct request_target *t, int64_t budget)
{
	for (enum ir_effort e = IR_EFFORT_LOW; e < IR_EFFORT_MAX; e++) {
		if (t->budget[e] >= budget)
			return e;
	}
	return IR_EFFORT_HIGH;
}

static bool forced(const struct am_writer *w)
{
	return w->r->choice.mode == IR_CHOICE_REQUIRED || w->r->choice.mode == IR_CHOICE_NAMED;
}

/* What was asked, in the terms this model takes (traps 84, 85). */
static void want_thinking(struct am_writer *w)
{
	const struct ir_reasoning *t = &w->r->reasoning;
	enum ir_effort effort = t->effort;
	bool wanted = t->thinking == IR_THINKING_ENABLED || t->thinking == IR_THINKING_ADAPTIVE;

	/* Among the vendor's own clients effort alone asks for no thinking. */
	if (t->thinking == IR_THINKING_UNSET && effort > IR_EFFORT_NONE)
		wanted = !am_minted(w->r->origin);
	if (!wanted)
		return;
	w->adaptive = w->t->adaptive_thinking;
	w->thinking = true;
	if (w->adaptive)
		return;
	w->budget =
		t->budget != IR_UNSET
			? t->budget
			: budget_of(w->t, effort != IR_EFFORT_UNSET ? effort : IR_EFFORT_MEDIUM);
	if (w->budget > 0 && w->budget < MIN_BUDGET)
		w->budget = MIN_BUDGET;
	if (w->budget <= 0) {
		w->budget = 0;
		w->thinking = false;
		loss(w, "reasoning_effort");
	}
}

static void decide_thinking(struct am_writer *w)
{
	want_thinking(w);
	if (!w->thinking)
		return;
	/* A forced call and a thinking budget exclude each other (78; adaptive models just do not
	 * think then), and a tool turn that goes on cannot begin to think (46). */
	if (w->t->never_thinks || (forced(w) && w->r->n_tools && !w->adaptive) ||
	    !am_history_allows_thinking(w)) {
		w->thinking = w->adaptive = false;
		w->budget = 0;
		loss(w, "reasoning_effort");
	}
}

static void put_thinking(struct am_writer *w)
{
	const struct ir_reasoning *t = &w->r->reasoning;

	if (!w->thinking && (t->thinking != IR_THINKING_DISABLED || w->t->never_thinks))
		return;
	jw_key(&w->w, "thinking");
	jw_obj(&w->w);
	if (!w->thinking) {
		jw_kcstr(&w->w, "type", "disabled");
	} else if (w->adaptive) {
		jw_kcstr(&w->w, "type", "adaptive");
	} else {
		jw_kcstr(&w->w, "type", "enabled");
		jw_ki64(&w->w, "budget_tokens", w->budget);
	}
	if (w->thinking && str_present(t->display))
		jw_kstr(&w->w, "display", t->display);
	jw_end_obj(&w->w);
}

/* Extras of this protocol's own clients whose name is `group`.member; "" takes those without a dot.
 */
static void put_extras(struct am_writer *w, const char *group)
{
	struct str prefix = str_from(group);

	for (unsigned i = 0; i < w->r->n_extras && am_minted(w->r->origin); i++) {
		const struct ir_extra *x = &w->r->extras[i];
		struct str name = x->name;

		if (!str_present(x->raw))
			continue;
		if (prefix.len == 0 ? str_starts(name, STR("output_config.")) ||
					      str_starts(name, STR("metadata."))
				    : !str_starts(name, prefix))
			continue;
		jw_key_str(&w->w, str_from_offset(name, prefix.len));
		jw_raw(&w->w, x->raw);
	}
}

static bool has_extras(const struct am_writer *w, const char *group)
{
	for (unsigned i = 0; i < w->r->n_extras && am_minted(w->r->origin); i++) {
		if (str_present(w->r->extras[i].raw) &&
		    str_starts(w->r->extras[i].name, str_from(group)))
			return true;
	}
	return false;
}

/* --- output_config: effort and format --- */

static const char *effort_word(struct am_writer *w)
{
	const struct ir_reasoning *t = &w->r->reasoning;
	enum ir_effort e = t->effort;

	/* Effort is a word of the newer models; it may stand without thinking only where the client
	 * knew that. */
	if (!w->t->adaptive_thinking && !(am_minted(w->r->origin) && t->effort != IR_EFFORT_UNSET))
		return NULL;
	if (e == IR_EFFORT_UNSET && t->thinking == IR_THINKING_ENABLED && w->adaptive)
		e = effort_of(w->t, t->budget);
	if (e == IR_EFFORT_MINIMAL)
		e = IR_EFFORT_LOW;
	return e > IR_EFFORT_NONE ? ir_effort_name(e) : NULL;
}

static bool takes_schema(struct am_writer *w)
{
	if (w->r->format.kind == IR_FORMAT_JSON_OBJECT)
		loss(w, "response_format"); /* any JSON at all: the vendor has no such mode */
	if (w->r->format.kind != IR_FORMAT_JSON_SCHEMA)
		return false;
	if ((w->t->quirks & QUIRK_NO_JSON_SCHEMA) || !str_present(w->r->format.schema)) {
		loss(w, "response_format");
		return false;
	}
	return true;
}

static void put_output_config(struct am_writer *w)
{
	const char *effort = effort_word(w);
	bool schema = takes_schema(w);

	if (!effort && !schema && !has_extras(w, "output_config."))
		return;
	jw_key(&w->w, "output_config");
	jw_obj(&w->w);
	if (effort)
		jw_kcstr(&w->w, "effort", effort);
	if (schema) {
		jw_key(&w->w, "format");
		jw_obj(&w->w);
		jw_kcstr(&w->w, "type", "json_schema");
		jw_kraw(&w->w, "schema", w->r->format.schema);
		jw_end_obj(&w->w);
		ir_lose_format_words(w->losses, &w->r->format);
	}
	put_extras(w, "output_config.");
	jw_end_obj(&w->w);
}

/* --- tools --- */

static bool tool_allowed(const struct ir_tool_choice *c, const struct ir_tool *t)
{
	if (!c->allowed)
		return true;
	for (unsigned i = 0; i < c->n_allowed; i++) {
		if (str_present(t->name) && str_eq(c->allowed[i], t->name))
			return true;
	}
	return false;
}

static bool tool_passes(const struct am_writer *w, const struct ir_tool *t)
{
	if (str_present(t->server_raw))
		return am_minted(t->origin) && !w->r->choice.allowed;
	return tool_allowed(&w->r->choice, t);
}

/* The vendor takes an object schema and nothing else (trap 80). */
static int put_schema(struct am_writer *w, struct str schema, unsigned index)
{
	const json *s = str_present(schema) ? json_parse(w->arena, schema, NULL) : NULL;
	struct json_iter it = json_iter(s);

	if (str_present(schema) && !json_is_obj(s) && !json_is_null(s))
		return err_param(w->reterr, RC_INVALID, "tools",
				 "tools[%u]: parameters should be a JSON schema object", index);
	jw_key(&w->w, "input_schema");
	if (!json_is_obj(s)) {
		jw_raw(&w->w, STR("{\"type\":\"object\"}"));
		return RC_OK;
	}
	if (JSON_GET(s, "type")) {
		jw_raw(&w->w, schema);
		return RC_OK;
	}
	jw_obj(&w->w);
	jw_kcstr(&w->w, "type", "object");
	while (json_next(&it)) {
		if (str_eq(it.key, STR("type")))
			continue;
		jw_key_str(&w->w, it.key);
		jw_raw(&w->w, STR(""));
		json_write(w->w.out, it.val);
	}
	jw_end_obj(&w->w);
	return RC_OK;
}

static int put_tool(struct am_writer *w, const struct ir_tool *t, unsigned index)
{
	int rc;

	if (str_present(t->server_raw)) {
		jw_raw(&w->w, t->server_raw);
		return RC_OK;
	}
	jw_obj(&w->w);
	jw_kstr(&w->w, "name", t->name);
	if (str_present(t->description))
		jw_kstr(&w->w, "description", t->description);
	rc = put_schema(w, t->parameters, index);
	if (rc)
		return rc;
	if (t->strict == IR_TRUE || (t->strict == IR_FALSE && am_minted(w->r->origin)))
		jw_kbool(&w->w, "strict", t->strict == IR_TRUE);
	am_write_cache(&w->w, t->cache);
	jw_end_obj(&w->w);
	ir_lose_tool_words(w->losses, t);
	return RC_OK;
}

/* Names of the calls in the history, each once; for a request that brings no tools (trap 79). */
static int collect_called(struct am_writer *w, struct str **ret, unsigned *ret_n)
{
	struct str *names = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < w->r->n_messages; i++) {
		for (unsigned k = 0; k < w->r->messages[i].n_parts; k++) {
			const struct ir_part *p = &w->r->messages[i].parts[k];
			unsigned at = 0;

			if (p->kind != IR_PART_TOOL_CALL)
				continue;
			if (!names) /* most histories hold no call */
				names = arena_array(w->arena, MAX_MADE_TOOLS, sizeof(*names));
			if (!names)
				return err_set(w->reterr, RC_NOMEM, "out of memory");
			while (at < n && !str_eq(names[at], p->name))
				at++;
			if (at < n)
				continue;
			if (n == MAX_MADE_TOOLS)
				return err_param(w->reterr, RC_INVALID, "tools",
						 "tools: the calls in the messages name too many "
						 "tools that are not given");
			names[n++] = p->name;
		}
	}
	*ret = names;
	*ret_n = n;
	return RC_OK;
}

static int put_made_tools(struct am_writer *w, bool *ret_made)
{
	struct str *names = NULL;
	unsigned n = 0;
	int rc = collect_called(w, &names, &n);

	*ret_made = !rc && n > 0;
	if (!*ret_made)
		return rc;
	jw_key(&w->w, "tools");
	jw_arr(&w->w);
	for (unsigned i = 0; i < n; i++) {
		jw_obj(&w->w);
		jw_kstr(&w->w, "name", names[i]);
		jw_kraw(&w->w, "input_schema", STR("{\"type\":\"object\"}"));
		jw_end_obj(&w->w);
	}
	jw_end_arr(&w->w);
	/* They are there for the history's sake, not to be called. */
	jw_kraw(&w->w, "tool_choice", STR("{\"type\":\"none\"}"));
	return RC_OK;
}

static const char *choice_word(enum ir_choice_mode mode)
{
	switch (mode) {
	case IR_CHOICE_UNSET:
	case IR_CHOICE_AUTO:
		return "auto";
	case IR_CHOICE_NONE:
		return "none";
	case IR_CHOICE_REQUIRED:
		return "any";
	case IR_CHOICE_NAMED:
		return "tool";
	}
	return "auto";
}

static void put_choice(struct am_writer *w)
{
	const struct ir_tool_choice *c = &w->r->choice;
	enum ir_tri parallel = c->mode == IR_CHOICE_NONE ? IR_TRI_UNSET : c->parallel;

	if (parallel != IR_TRI_UNSET && (w->t->quirks & QUIRK_NO_PARALLEL_TOOL_CALLS)) {
		if (parallel == IR_FALSE)
			loss(w, "parallel_tool_calls");
		parallel = IR_TRI_UNSET;
	}
	if (c->mode == IR_CHOICE_UNSET && parallel == IR_TRI_UNSET)
		return;
	jw_key(&w->w, "tool_choice");
	jw_obj(&w->w);
	jw_kcstr(&w->w, "type", choice_word(c->mode));
	if (c->mode == IR_CHOICE_NAMED)
		jw_kstr(&w->w, "name", c->name);
	if (parallel !=
	    IR_TRI_UNSET) /* trap 77: it stands inside the choice, which may exist for it alone */
		jw_kbool(&w->w, "disable_parallel_tool_use", parallel == IR_FALSE);
	jw_end_obj(&w->w);
}

static int check_choice(struct am_writer *w)
{
	const struct ir_tool_choice *c = &w->r->choice;

	if (c->mode == IR_CHOICE_NAMED) {
		const struct ir_tool *t = ir_request_tool(w->r, c->name);
		bool named_by_vendor = am_minted(w->r->origin) &&
				       w->n_tools > 0; /* a server tool's name is inside its raw */

		if (!(t && tool_passes(w, t)) && !(!t && named_by_vendor))
			return err_param(w->reterr, RC_INVALID, "tool_choice",
					 "tool_choice: there is no tool named '%.*s' to call",
					 (int)(c->name.len < 64 ? c->name.len : 64), c->name.ptr);
	}
	if (c->mode == IR_CHOICE_REQUIRED && !w->n_tools)
		return err_param(w->reterr, RC_INVALID, "tool_choice",
				 "tool_choice: a call is required but there is no tool to call");
	return RC_OK;
}

/* Another vendor's own tool: it has no name but its type, and never goes as a function (trap 94). */
static void lose_server_tool(struct am_writer *w, const struct ir_tool *t)
{
	struct str type = json_str(JSON_GET(json_parse(w->arena, t->server_raw, NULL), "type"));

	ir_loss(w->losses, type.len ? type : STR("tools"));
}

static int put_tools(struct am_writer *w)
{
	const struct ir_request *r = w->r;
	bool made;
	int rc;

	if (r->choice.allowed && (uint64_t)r->n_tools * r->choice.n_allowed > MAX_TOOL_PAIRS)
		return err_param(w->reterr, RC_INVALID, "tools",
				 "tools: too many tools and allowed_tools");
	for (unsigned i = 0; i < r->n_tools; i++) {
		if (tool_passes(w, &r->tools[i]))
			w->n_tools++;
		else if (str_present(r->tools[i].server_raw))
			lose_server_tool(w, &r->tools[i]);
	}
	rc = check_choice(w);
	if (rc)
		return rc;
	if (!w->n_tools)
		return put_made_tools(w, &made);
	jw_key(&w->w, "tools");
	jw_arr(&w->w);
	for (unsigned i = 0; !rc && i < r->n_tools; i++) {
		if (tool_passes(w, &r->tools[i]))
			rc = put_tool(w, &r->tools[i], i);
	}
	if (rc)
		return rc;
	jw_end_arr(&w->w);
	put_choice(w);
	return RC_OK;
}

/* --- sampling and limits --- */

static double number(struct str text, double otherwise)
{
	double d;

	return json_text_f64(text, &d) ? d : otherwise;
}

static void put_max_tokens(struct am_writer *w)
{
	int64_t n = w->r->max_tokens;

	if (n == IR_UNSET)
		n = w->t->default_max_tokens > 0 ? w->t->default_max_tokens : FALLBACK_MAX_TOKENS;
	if (w->budget > 0 && n <= w->budget) /* thinking is paid out of it (trap 86) */
		n = n > INT64_MAX - w->budget ? INT64_MAX : n + w->budget;
	jw_ki64(&w->w, "max_tokens", n);
}

static void put_sampling(struct am_writer *w)
{
	const struct ir_request *r = w->r;
	bool heat = str_present(r->temperature), nucleus = str_present(r->top_p);

	if (heat && w->thinking &&
	    number(r->temperature, 0) != 1) { /* must be 1 or absent (trap 70) */
		loss(w, "temperature");
		heat = false;
	}
	/* Newer models refuse both (trap 69); the vendor's own clients know what they ask. */
	if (nucleus &&
	    ((heat && !am_minted(r->origin)) || (w->thinking && number(r->top_p, 0) < 0.95))) {
		if (number(r->top_p, 0) != 1) /* all of it: so it is anyway */
			loss(w, "top_p");
		nucleus = false;
	}
	if (heat && number(r->temperature, 0) > 1) { /* trap 68 */
		loss(w, "temperature");
		jw_kraw(&w->w, "temperature", STR("1"));
	} else if (heat) {
		jw_kraw(&w->w, "temperature", r->temperature);
	}
	if (nucleus)
		jw_kraw(&w->w, "top_p", r->top_p);
	if (r->top_k != IR_UNSET && w->thinking)
		loss(w, "top_k");
	else if (r->top_k != IR_UNSET)
		jw_ki64(&w->w, "top_k", r->top_k);
}

/* Sequences of white space are a 400 (trap 72). */
static void put_stop(struct am_writer *w)
{
	bool some = false;

	for (unsigned i = 0; i < w->r->n_stop; i++) {
		if (str_trim(w->r->stop[i]).len == 0) {
			loss(w, "stop");
			continue;
		}
		if (!some) {
			jw_key(&w->w, "stop_sequences");
			jw_arr(&w->w);
		}
		some = true;
		jw_str(&w->w, w->r->stop[i]);
	}
	if (some)
		jw_end_arr(&w->w);
}

/* --- who, how fast, and what has no counterpart --- */

static void put_metadata(struct am_writer *w)
{
	const struct ir_request *r = w->r;
	struct str user = r->user.len ? r->user : r->safety_identifier;

	if (r->user.len && r->safety_identifier.len && !str_eq(r->user, r->safety_identifier))
		loss(w, "safety_identifier");
	if (!user.len && !has_extras(w, "metadata."))
		return;
	jw_key(&w->w, "metadata");
	jw_obj(&w->w);
	if (user.len)
		jw_kstr(&w->w, "user_id", user);
	put_extras(w, "metadata.");
	jw_end_obj(&w->w);
}

static void put_service_tier(struct am_writer *w)
{
	struct str tier = w->r->service_tier;

	if (!str_present(tier))
		return;
	if (str_eq(tier, STR("auto")) || str_eq(tier, STR("priority")))
		jw_kcstr(&w->w, "service_tier", "auto");
	else if (str_eq(tier, STR("default")) || str_eq(tier, STR("standard_only")))
		jw_kcstr(&w->w, "service_tier", "standard_only");
	else
		loss(w, "service_tier");
}

/* Parameters the vendor has nothing for: disclosed unless they ask for what happens anyway (trap
 * 89). */
static int note_foreign(struct am_writer *w)
{
	const struct ir_request *r = w->r;

	if (r->n != IR_UNSET && r->n > 1) /* trap 32 */
		return err_param(w->reterr, RC_UNSUPPORTED, "n",
				 "n: the provider gives one answer a request; ask for n = 1");
	ir_lose_fields_but(w->losses, r,
			   IR_FIELD(tools) | IR_FIELD(choice) | IR_FIELD(parallel) |
				   IR_FIELD(format) | IR_FIELD(reasoning) | IR_FIELD(max_tokens) |
				   IR_FIELD(temperature) | IR_FIELD(top_p) | IR_FIELD(top_k) |
				   IR_FIELD(n) | IR_FIELD(stop) | IR_FIELD(user) |
				   IR_FIELD(service_tier) | IR_FIELD(safety_identifier) |
				   IR_FIELD(cache));
	for (unsigned i = 0; i < r->n_extras; i++) {
		if (!am_minted(r->origin) || !str_present(r->extras[i].raw))
			ir_loss(w->losses, r->extras[i].name);
	}
	return RC_OK;
}

/* Only operators spoke: their word is sent as the user's, for without a message there is no answer
 * (trap 43). */
static bool only_system(const struct ir_request *r)
{
	for (unsigned i = 0; i < r->n_messages; i++) {
		if (!am_is_system(&r->messages[i]))
			return false;
	}
	return r->n_messages > 0;
}

int am_encode_request(struct arena *a, const struct ir_request *r, const struct request_target *t,
		      struct buf *out, struct ir_losses *losses, struct err *reterr)
{
	struct am_writer w = {
		.arena = a,
		.r = r,
		.t = t,
		.losses = losses,
		.reterr = reterr,
		.w = jw_on(out),
		.system_as_user = only_system(r),
	};
	int rc = ir_drawn_to_user(a, r, NULL, false, losses, &w.r);

	w.minted_by = minter_origin(a, AM_NAME, t->minter);
	if (!rc && !w.minted_by)
		rc = RC_NOMEM;
	if (rc)
		return err_set(reterr, rc, "out of memory for the provider's request");
	decide_thinking(&w);
	jw_obj(&w.w);
	jw_kstr(&w.w, "model", t->model);
	put_max_tokens(&w);
	if (r->stream)
		jw_kbool(&w.w, "stream", true);
	rc = am_write_system(&w);
	if (!rc)
		rc = am_write_messages(&w);
	if (!rc)
		rc = put_tools(&w);
	if (!rc)
		rc = note_foreign(&w);
	if (rc)
		return rc;
	put_thinking(&w);
	put_output_config(&w);
	put_sampling(&w);
	put_stop(&w);
	put_metadata(&w);
	put_service_tier(&w);
	am_write_cache(&w.w, r->cache);
	put_extras(&w, "");
	jw_end_obj(&w.w);
	if (!buf_ok(out) || losses->failed)
		return err_set(reterr, out->over ? RC_TOOBIG : RC_NOMEM,
			       "out of memory for the provider's request");
	return RC_OK;
}
