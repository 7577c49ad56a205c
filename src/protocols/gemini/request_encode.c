/* protocols/gemini/request_encode.c - the canonical request as a body for an upstream that speaks this protocol.
 *
 * The one hard thing: models of three generations stand behind one endpoint. The third takes a level of thinking where the second
 * takes a budget and the first takes neither; together the two are a 400, and so is a schema beside tools before the third. */
#include "protocols/gemini/gemini.h"

enum { MAX_TOOL_PAIRS = 1 << 24 };

static void loss(struct gm_writer *w, const char *name)
{
	ir_loss(w->losses, str_from(name));
}

/* The model's name holds the word. */
static bool names(struct str model, const char *word)
{
	return str_find(model, str_from(word)) >= 0;
}

bool gm_is_third(struct str model)
{
	return names(model, "gemini-3") || names(model, "gemini-4");
}

/* What kind of thinking a model takes. */
enum thinking { THINKS_NOT, THINKS_BUDGET, THINKS_LEVEL };

static enum thinking thinking_of(const struct request_target *t)
{
	static const char *const none[] = { "gemini-1", "gemini-2.0", "gemma", "learnlm" };

	if (t->adaptive_thinking || gm_is_third(t->model))
		return THINKS_LEVEL;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (names(t->model, none[i]))
			return THINKS_NOT;
	return THINKS_BUDGET;
}

/* --- thinking --- */

/* The effort that comes nearest to a budget from above. */
static enum ir_effort effort_of(const struct request_target *t, int64_t budget)
{
	for (enum ir_effort e = IR_EFFORT_LOW; e < IR_EFFORT_MAX; e++)
		if (t->budget[e] >= budget)
			return e;
	return IR_EFFORT_HIGH;
}

/* No model of the third generation can be told not to think; the Pro ones know fewer levels. */
static const char *level_word(struct gm_writer *w, enum ir_effort e)
{
	bool pro = names(w->t->model, "gemini-3-pro");

	switch (e) {
	case IR_EFFORT_NONE:
		loss(w, "reasoning_effort");
		return pro ? "low" : "minimal";
	case IR_EFFORT_MINIMAL:
		return pro ? "low" : "minimal";
	case IR_EFFORT_LOW:
		return "low";
	case IR_EFFORT_MEDIUM:
		return pro ? "high" : "medium";
	case IR_EFFORT_HIGH:
	case IR_EFFORT_XHIGH:
	case IR_EFFORT_MAX:
		return "high";
	case IR_EFFORT_UNSET:
		break;
	}
	return NULL;
}

static int64_t fit_budget(struct gm_writer *w, int64_t n)
{
	bool pro = names(w->t->model, "-pro");
	bool lite = names(w->t->model, "-lite");
	int64_t most = pro ? 32768 : 24576, least = pro ? 128 : lite ? 512 : 1;

	if (n == 0 && pro) /* cannot be switched off */
		loss(w, "reasoning_effort");
	if (n == 0)
		return pro ? least : 0;
	return n > most ? most : n < least ? least : n;
}

static void put_level(struct gm_writer *w)
{
	const struct ir_reasoning *t = &w->r->reasoning;
	enum ir_effort e = t->effort;
	const char *word;

	if (t->thinking == IR_THINKING_DISABLED)
		e = IR_EFFORT_NONE;
	else if (e == IR_EFFORT_UNSET && t->thinking == IR_THINKING_ENABLED)
		e = effort_of(w->t, t->budget);
	word = level_word(w, e);
	if (word)
		jw_kcstr(&w->w, "thinkingLevel", word);
}

static void put_budget(struct gm_writer *w)
{
	const struct ir_reasoning *t = &w->r->reasoning;
	int64_t n = -1; /* as the model likes */

	if (t->thinking == IR_THINKING_DISABLED)
		n = 0;
	else if (t->thinking == IR_THINKING_ENABLED && t->budget != IR_UNSET)
		n = t->budget;
	else if (t->effort != IR_EFFORT_UNSET)
		n = w->t->budget[t->effort];
	jw_ki64(&w->w, "thinkingBudget", n < 0 ? -1 : fit_budget(w, n));
}

static void put_thinking(struct gm_writer *w)
{
	const struct ir_reasoning *t = &w->r->reasoning;
	bool off = t->thinking == IR_THINKING_DISABLED ||
		   (t->thinking == IR_THINKING_UNSET && t->effort == IR_EFFORT_NONE);
	enum thinking kind;

	if (t->thinking == IR_THINKING_UNSET && t->effort == IR_EFFORT_UNSET)
		return;
	kind = thinking_of(w->t);
	if (kind == THINKS_NOT || (w->t->quirks & QUIRK_NO_REASONING_EFFORT)) {
		if (!off)
			loss(w, "reasoning_effort");
		return;
	}
	jw_key(&w->w, "thinkingConfig");
	jw_obj(&w->w);
	if (!off && !str_eq(t->display, STR("omitted")))
		jw_kbool(&w->w, "includeThoughts", true);
	if (kind == THINKS_LEVEL)
		put_level(w);
	else
		put_budget(w);
	jw_end_obj(&w->w);
}

/* --- format --- */

static int put_schema_text(struct gm_writer *w, const char *subset_key, const char *json_key,
			   struct str schema, const char *what)
{
	const json *s = json_parse(w->arena, schema, NULL);
	bool lossy = false;

	if (!json_is_obj(s))
		return err_param(w->reterr, RC_INVALID, what, "%s: should be a JSON schema object",
				 what);
	if (gm_schema_fits(s)) {
		jw_kraw(&w->w, subset_key, schema);
	} else if (!(w->t->quirks & QUIRK_NO_JSON_SCHEMA)) {
		jw_kraw(&w->w, json_key, schema);
	} else {
		jw_key(&w->w, subset_key);
		gm_schema_write(&w->w, s, &lossy);
	}
	if (lossy)
		loss(w, what);
	return RC_OK;
}

/* Models before the third generation refuse a form beside functions: it is asked for in words. */
static bool must_lend_format(const struct gm_writer *w)
{
	enum ir_format_kind kind = w->r->format.kind;

	return (kind == IR_FORMAT_JSON_OBJECT || kind == IR_FORMAT_JSON_SCHEMA) && w->functions &&
	       !gm_is_third(w->t->model);
}

static int put_format(struct gm_writer *w)
{
	const struct ir_format *f = &w->r->format;

	if (f->kind == IR_FORMAT_UNSET || f->kind == IR_FORMAT_TEXT)
		return RC_OK;
	ir_lose_format_words(w->losses, f);
	if (w->lent_format) {
		loss(w, "response_format");
		return RC_OK;
	}
	jw_kcstr(&w->w, "responseMimeType", "application/json");
	if (f->kind != IR_FORMAT_JSON_SCHEMA || !str_present(f->schema))
		return RC_OK;
	return put_schema_text(w, "responseSchema", "responseJsonSchema", f->schema,
			       "response_format");
}

/* --- tools --- */

static bool tool_allowed(const struct ir_tool_choice *c, const struct ir_tool *t)
{
	if (!c->allowed)
		return true;
	for (unsigned i = 0; i < c->n_allowed; i++)
		if (str_present(t->name) && str_eq(c->allowed[i], t->name))
			return true;
	return false;
}

/* Beside AUTO the vendor takes no list of names, so the list of functions is cut (trap 76). */
static bool tool_passes(const struct gm_writer *w, const struct ir_tool *t)
{
	const struct ir_tool_choice *c = &w->r->choice;

	if (str_present(t->server_raw))
		return gm_minted(t->origin) && !c->allowed;
	return c->mode == IR_CHOICE_REQUIRED || tool_allowed(c, t);
}

static int put_declaration(struct gm_writer *w, const struct ir_tool *t)
{
	struct str name = gm_tool_name(w->arena, t->name), schema = t->parameters;
	const json *s;
	int rc = RC_OK;

	if (!str_present(name))
		return err_set(w->reterr, RC_NOMEM, "out of memory");
	if (t->custom && !str_present(schema))
		schema =
			STR("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},"
			    "\"required\":[\"input\"]}");
	if (t->cache != IR_CACHE_NONE)
		loss(w, "cache_control");
	if (t->strict == IR_TRUE)
		loss(w, "strict");
	ir_lose_tool_words(w->losses, t);
	jw_obj(&w->w);
	jw_kstr(&w->w, "name", name);
	if (t->description.len)
		jw_kstr(&w->w, "description", t->description);
	s = str_present(schema) ? json_parse(w->arena, schema, NULL) : NULL;
	/* An object without properties is a 400 in the subset; no schema at all says the same (trap 80). */
	if (str_present(schema) && !json_is_null(s) &&
	    !(json_is_obj(s) && json_len(JSON_GET(s, "properties")) == 0 && !JSON_GET(s, "$ref") &&
	      !JSON_GET(s, "anyOf")))
		rc = put_schema_text(w, "parameters", "parametersJsonSchema", schema, "tools");
	jw_end_obj(&w->w);
	return rc;
}

static const char *mode_word(enum ir_choice_mode mode)
{
	switch (mode) {
	case IR_CHOICE_UNSET:
	case IR_CHOICE_AUTO:
		return "AUTO";
	case IR_CHOICE_NONE:
		return "NONE";
	case IR_CHOICE_REQUIRED:
	case IR_CHOICE_NAMED:
		return "ANY";
	}
	return "AUTO";
}

static int put_names(struct gm_writer *w, const struct str *names, unsigned n)
{
	jw_key(&w->w, "allowedFunctionNames");
	jw_arr(&w->w);
	for (unsigned i = 0; i < n; i++) {
		struct str name = gm_tool_name(w->arena, names[i]);

		if (!str_present(name))
			return err_set(w->reterr, RC_NOMEM, "out of memory");
		jw_str(&w->w, name);
	}
	jw_end_arr(&w->w);
	return RC_OK;
}

static bool has_extras(const struct gm_writer *w, const char *group);
static void put_extras(struct gm_writer *w, const char *group);

static int put_choice(struct gm_writer *w)
{
	const struct ir_tool_choice *c = &w->r->choice;
	int rc = RC_OK;

	if (c->parallel ==
	    IR_FALSE) /* the answer's first call is kept, see response_decode.c (trap 77) */
		loss(w, "parallel_tool_calls");
	if (c->mode == IR_CHOICE_UNSET && !has_extras(w, "toolConfig."))
		return RC_OK;
	jw_key(&w->w, "toolConfig");
	jw_obj(&w->w);
	if (c->mode != IR_CHOICE_UNSET) {
		jw_key(&w->w, "functionCallingConfig");
		jw_obj(&w->w);
		jw_kcstr(&w->w, "mode", mode_word(c->mode));
		if (c->mode == IR_CHOICE_NAMED)
			rc = put_names(w, &c->name, 1);
		else if (c->mode == IR_CHOICE_REQUIRED && c->n_allowed)
			rc = put_names(w, c->allowed, c->n_allowed);
		jw_end_obj(&w->w);
	}
	put_extras(w, "toolConfig.");
	jw_end_obj(&w->w);
	return rc;
}

/* Another vendor's own tool never goes as a function (trap 94). */
static void lose_server_tool(struct gm_writer *w, const struct ir_tool *t)
{
	const json *raw = json_parse(w->arena, t->server_raw, NULL);
	struct str type = json_str(JSON_GET(raw, "type"));

	ir_loss(w->losses, type.len ? type : STR("tools"));
}

static int put_functions(struct gm_writer *w, unsigned functions)
{
	int rc = RC_OK;

	if (!functions)
		return RC_OK;
	jw_obj(&w->w);
	jw_key(&w->w, "functionDeclarations");
	jw_arr(&w->w);
	for (unsigned i = 0; !rc && i < w->r->n_tools; i++)
		if (!str_present(w->r->tools[i].server_raw) && tool_passes(w, &w->r->tools[i]))
			rc = put_declaration(w, &w->r->tools[i]);
	jw_end_arr(&w->w);
	jw_end_obj(&w->w);
	return rc;
}

/* The tools that go up; others are named. */
static int count_tools(struct gm_writer *w)
{
	const struct ir_request *r = w->r;

	if (r->choice.allowed && (uint64_t)r->n_tools * r->choice.n_allowed > MAX_TOOL_PAIRS)
		return err_param(w->reterr, RC_INVALID, "tools",
				 "tools: too many tools and allowed_tools");
	for (unsigned i = 0; i < r->n_tools; i++) {
		bool passes = tool_passes(w, &r->tools[i]);

		if (!str_present(r->tools[i].server_raw))
			w->functions += passes;
		else if (passes)
			w->others++;
		else
			lose_server_tool(w, &r->tools[i]);
	}
	return RC_OK;
}

static int put_tools(struct gm_writer *w)
{
	const struct ir_request *r = w->r;
	unsigned functions = w->functions, others = w->others;
	int rc;

	if (!functions &&
	    (r->choice.mode == IR_CHOICE_REQUIRED || r->choice.mode == IR_CHOICE_NAMED))
		return err_param(w->reterr, RC_INVALID, "tool_choice",
				 "tool_choice: a call is required but there is no tool to call");
	if (functions + others == 0)
		return RC_OK;
	jw_key(&w->w, "tools");
	jw_arr(&w->w);
	rc = put_functions(w, functions);
	if (rc)
		return rc;
	for (unsigned i = 0; i < r->n_tools; i++)
		if (str_present(r->tools[i].server_raw) && tool_passes(w, &r->tools[i]))
			jw_raw(&w->w, r->tools[i].server_raw);
	jw_end_arr(&w->w);
	return put_choice(w);
}

/* --- extras of this protocol's own clients --- */

static const char *const groups[] = { "generationConfig.", "toolConfig." };

static bool in_group(struct str name, const char *group)
{
	if (group[0])
		return str_starts(name, str_from(group));
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (str_starts(name, str_from(groups[i])))
			return false;
	return true;
}

static bool has_extras(const struct gm_writer *w, const char *group)
{
	for (unsigned i = 0; i < w->r->n_extras && gm_minted(w->r->origin); i++)
		if (str_present(w->r->extras[i].raw) && in_group(w->r->extras[i].name, group))
			return true;
	return false;
}

static void put_extras(struct gm_writer *w, const char *group)
{
	for (unsigned i = 0; i < w->r->n_extras && gm_minted(w->r->origin); i++) {
		const struct ir_extra *x = &w->r->extras[i];

		if (!str_present(x->raw) || !in_group(x->name, group))
			continue;
		jw_key_str(&w->w, str_from_offset(x->name, strlen(group)));
		jw_raw(&w->w, x->raw);
	}
}

/* --- generationConfig --- */

static double number(struct str text, double otherwise)
{
	double d;

	return json_text_f64(text, &d) ? d : otherwise;
}

static void put_number(struct gm_writer *w, const char *key, struct str text)
{
	if (str_present(text))
		jw_kraw(&w->w, key, text);
}

static void put_count(struct gm_writer *w, const char *key, int64_t n)
{
	if (n != IR_UNSET)
		jw_ki64(&w->w, key, n);
}

static void put_stop(struct gm_writer *w)
{
	unsigned n = 0;

	if (!w->r->n_stop)
		return;
	jw_key(&w->w, "stopSequences");
	jw_arr(&w->w);
	for (unsigned i = 0; i < w->r->n_stop; i++) {
		if (w->r->stop[i].len == 0) /* trap 72: means nothing */
			continue;
		if (n++ == GM_MAX_STOPS) /* trap 71: the gateway cuts at the others */
			break;
		jw_str(&w->w, w->r->stop[i]);
	}
	jw_end_arr(&w->w);
}

static void put_sampling(struct gm_writer *w)
{
	const struct ir_request *r = w->r;

	put_number(w, "temperature", r->temperature);
	put_number(w, "topP", r->top_p);
	put_count(w, "topK", r->top_k);
	put_number(w, "presencePenalty", r->presence_penalty);
	put_number(w, "frequencyPenalty", r->frequency_penalty);
	if (r->seed != IR_UNSET && (r->seed > INT32_MAX || r->seed < INT32_MIN))
		loss(w, "seed"); /* 32 bits there */
	else
		put_count(w, "seed", r->seed);
	if (r->logprobs == IR_TRUE)
		jw_kbool(&w->w, "responseLogprobs", true);
	if (r->top_logprobs != IR_UNSET && r->top_logprobs > 0)
		jw_ki64(&w->w, "logprobs", r->top_logprobs);
}

/* Chat's words for kinds of answers; its sounds have a form of their own there, and none here. */
static void put_modalities(struct gm_writer *w)
{
	bool text = false, image = false, more;
	struct json_iter it;
	const json *wanted;

	if (!str_present(w->r->modalities))
		return;
	wanted = json_parse(w->arena, w->r->modalities, NULL);
	more = !json_is_arr(wanted);
	it = json_iter(wanted);
	while (json_next(&it)) {
		bool is_text = str_eq(json_str(it.val), STR("text")),
		     is_image = str_eq(json_str(it.val), STR("image"));

		text = text || is_text;
		image = image || is_image;
		more = more || !(is_text || is_image);
	}
	if (more)
		loss(w, "modalities");
	if (image)
		jw_kraw(&w->w, "responseModalities",
			text ? STR("[\"TEXT\",\"IMAGE\"]") : STR("[\"IMAGE\"]"));
}

static int put_config(struct gm_writer *w)
{
	int rc;

	jw_key(&w->w, "generationConfig");
	jw_obj(&w->w);
	put_count(w, "maxOutputTokens", w->r->max_tokens);
	if (w->r->n > 1)
		put_count(w, "candidateCount", w->r->n);
	put_sampling(w);
	put_stop(w);
	put_modalities(w);
	put_thinking(w);
	rc = put_format(w);
	put_extras(w, "generationConfig.");
	jw_end_obj(&w->w);
	return rc;
}

/* What Google serves unasked needs no word; reserved throughput is bought elsewhere. */
static void put_tier(struct gm_writer *w)
{
	struct str asked = w->r->service_tier, word = gm_tier_word(asked);

	if (str_present(word))
		jw_kstr(&w->w, "serviceTier", word);
	else if (str_present(asked) && !str_eq(asked, STR("auto")))
		loss(w, "service_tier");
}

/* --- what has no counterpart (trap 89) --- */

static void note_foreign(struct gm_writer *w)
{
	const struct ir_request *r = w->r;

	ir_lose_fields_but(w->losses, r,
			   IR_FIELD(tools) | IR_FIELD(choice) | IR_FIELD(parallel) |
				   IR_FIELD(format) | IR_FIELD(reasoning) | IR_FIELD(max_tokens) |
				   IR_FIELD(temperature) | IR_FIELD(top_p) |
				   IR_FIELD(frequency_penalty) | IR_FIELD(presence_penalty) |
				   IR_FIELD(top_k) | IR_FIELD(seed) | IR_FIELD(n) |
				   IR_FIELD(logprobs) | IR_FIELD(top_logprobs) | IR_FIELD(stop) |
				   IR_FIELD(modalities) | IR_FIELD(service_tier));
	if (number(r->temperature, 0) > 2)
		loss(w, "temperature");
	for (unsigned i = 0; i < r->n_extras; i++)
		if (!gm_minted(r->origin) || !str_present(r->extras[i].raw))
			ir_loss(w->losses, r->extras[i].name);
}

static bool is_system(const struct ir_message *m)
{
	return m->role == IR_ROLE_SYSTEM || m->role == IR_ROLE_DEVELOPER;
}

static bool only_system(const struct ir_request *r)
{
	for (unsigned i = 0; i < r->n_messages; i++)
		if (!is_system(&r->messages[i]))
			return false;
	return r->n_messages > 0;
}

int gm_encode_request(struct arena *a, const struct ir_request *r, const struct request_target *t,
		      struct buf *out, struct ir_losses *losses, struct err *reterr)
{
	struct gm_writer w = {
		.arena = a,
		.r = r,
		.t = t,
		.losses = losses,
		.reterr = reterr,
		.w = jw_on(out),
		.system_as_user = only_system(r),
		.wants_proof = gm_is_third(t->model),
	};
	int rc = count_tools(&w);

	if (rc)
		return rc;
	w.lent_format = must_lend_format(&w);
	jw_obj(&w.w);
	rc = gm_write_conversation(&w);
	if (!rc)
		rc = put_tools(&w);
	if (!rc)
		rc = put_config(&w);
	if (rc)
		return rc;
	put_tier(&w);
	note_foreign(&w);
	put_extras(&w, "");
	jw_end_obj(&w.w);
	if (!buf_ok(out) || losses->failed)
		return err_set(reterr, out->over ? RC_TOOBIG : RC_NOMEM,
			       "out of memory for the provider's request");
	return RC_OK;
}
