/* protocols/openai_responses/request_encode.c - the canonical request as a Responses body: everything but the items.
 *
 * The rule: a field is mapped, or dropped and named (ir_loss), or the request is refused; nothing vanishes. The hard thing is what is
 * on by default here and nowhere else: an answer is stored, and a schema is strict. Both are said no to unless asked for. */
#include "protocols/openai_responses/openai_responses.h"

#include "ir/drawn.h"

enum { LEAST_OUTPUT = 16 };

static void lose(struct rs_writer *w, const char *name)
{
	ir_loss(w->losses, str_from(name));
}

bool rs_is_custom(const struct ir_request *r, struct str name)
{
	const struct ir_tool *t = ir_request_tool(r, name);

	return t && t->custom;
}

/* --- tools --- */

static void write_custom(struct rs_writer *w, const struct ir_tool *t, struct str name)
{
	jw_obj(&w->w);
	jw_kcstr(&w->w, "type", "custom");
	jw_kstr(&w->w, "name", name);
	if (str_present(t->description))
		jw_kstr(&w->w, "description", t->description);
	if (str_present(t->custom_format))
		jw_kraw(&w->w, "format", t->custom_format);
	jw_end_obj(&w->w);
}

/* Unsaid, `strict` means yes here: a client of this protocol may leave it so, for others it is said (trap 83). */
static void write_strict(struct rs_writer *w, const struct ir_tool *t)
{
	bool ours = rs_minted(w->r->origin);
	bool fits = t->strict != IR_TRUE || ours || oc_may_be_strict(w->arena, t->parameters);

	if (t->strict == IR_TRI_UNSET && ours)
		jw_knull(&w->w, "strict");
	else
		jw_kbool(&w->w, "strict", t->strict == IR_TRUE && fits);
	if (!fits)
		lose(w, "strict");
}

static void write_tool(struct rs_writer *w, const struct ir_tool *t)
{
	struct str name = oc_tool_name(w->arena, t->name);

	w->failed = w->failed || !name.ptr;
	if (t->cache != IR_CACHE_NONE)
		lose(w, "cache_control");
	if (t->custom) {
		write_custom(w, t, name);
		return;
	}
	jw_obj(&w->w);
	jw_kcstr(&w->w, "type", "function");
	jw_kstr(&w->w, "name", name);
	if (str_present(t->description))
		jw_kstr(&w->w, "description", t->description);
	jw_kraw(&w->w, "parameters",
		str_present(t->parameters) ? t->parameters
					   : STR("{\"type\":\"object\",\"properties\":{}}"));
	write_strict(w, t);
	jw_end_obj(&w->w);
}

/* Vendors' own tools go to nobody else (trap 94). Returns how many tools went out. */
static unsigned write_tools(struct rs_writer *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->r->n_tools; i++) {
		const struct ir_tool *t = &w->r->tools[i];

		if (!str_present(t->name) && !rs_minted(t->origin)) {
			struct str type = json_str(
				json_get(json_parse(w->arena, t->server_raw, NULL), STR("type")));

			ir_loss(w->losses, type.len ? type : STR("tools"));
			continue;
		}
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
	return n;
}

/* A name that is none of the tools' is a server tool's type (request_decode.c). */
static void write_named(struct rs_writer *w, struct str name)
{
	const struct ir_tool *t = ir_request_tool(w->r, name);
	struct str out = t ? oc_tool_name(w->arena, name) : name;

	w->failed = w->failed || !out.ptr;
	jw_obj(&w->w);
	if (t) {
		jw_kcstr(&w->w, "type", t->custom ? "custom" : "function");
		jw_kstr(&w->w, "name", out);
	} else {
		jw_kstr(&w->w, "type", name);
	}
	jw_end_obj(&w->w);
}

static void write_allowed(struct rs_writer *w)
{
	const struct ir_tool_choice *c = &w->r->choice;

	jw_obj(&w->w);
	jw_kcstr(&w->w, "type", "allowed_tools");
	jw_kcstr(&w->w, "mode", c->mode == IR_CHOICE_REQUIRED ? "required" : "auto");
	jw_key(&w->w, "tools");
	jw_arr(&w->w);
	for (unsigned i = 0; i < c->n_allowed; i++)
		write_named(w, c->allowed[i]);
	jw_end_arr(&w->w);
	jw_end_obj(&w->w);
}

/* As the client wrote it: it may name what only this protocol knows. */
static void write_own(struct rs_writer *w, const json *v)
{
	struct str text = json_text(w->arena, v);

	w->failed = w->failed || !text.ptr;
	jw_raw(&w->w, text);
}

static int write_choice(struct rs_writer *w, unsigned n_tools)
{
	const struct ir_tool_choice *c = &w->r->choice;
	const json *own = JSON_GET(w->raw, "tool_choice");
	bool known = c->mode != IR_CHOICE_NAMED || ir_request_tool(w->r, c->name);

	if (!known && !own)
		return err_param(
			w->reterr, RC_UNSUPPORTED, "tool_choice",
			"tool_choice names '%.*s', which this model's provider does not offer",
			(int)(c->name.len < 64 ? c->name.len : 64), c->name.ptr);
	if (c->mode == IR_CHOICE_REQUIRED && n_tools == 0)
		return err_param(w->reterr, RC_UNSUPPORTED, "tool_choice",
				 "tool_choice demands a call, but none of the tools exists at this "
				 "model's provider");
	if (n_tools == 0 || c->mode == IR_CHOICE_UNSET)
		return RC_OK;
	jw_key(&w->w, "tool_choice");
	if (c->allowed || c->mode == IR_CHOICE_NAMED) {
		if (own)
			write_own(w, own);
		else if (c->allowed)
			write_allowed(w);
		else
			write_named(w, c->name);
		return RC_OK;
	}
	jw_cstr(&w->w, c->mode == IR_CHOICE_AUTO   ? "auto"
		       : c->mode == IR_CHOICE_NONE ? "none"
						   : "required");
	return RC_OK;
}

/* --- format and reasoning --- */

static void write_schema(struct rs_writer *w)
{
	const struct ir_format *f = &w->r->format;
	enum ir_tri strict = f->strict;

	/* Elsewhere a schema always binds; here only a strict one does. */
	if (strict == IR_TRI_UNSET && !rs_minted(w->r->origin) &&
	    oc_may_be_strict(w->arena, f->schema))
		strict = IR_TRUE;
	jw_kcstr(&w->w, "type", "json_schema");
	jw_kstr(&w->w, "name", f->name.len ? f->name : STR("response"));
	if (str_present(f->description))
		jw_kstr(&w->w, "description", f->description);
	jw_kraw(&w->w, "schema", str_present(f->schema) ? f->schema : STR("{\"type\":\"object\"}"));
	if (strict != IR_TRI_UNSET)
		jw_kbool(&w->w, "strict", strict == IR_TRUE);
}

static void write_text(struct rs_writer *w)
{
	enum ir_format_kind kind = w->r->format.kind;

	if (kind == IR_FORMAT_UNSET && !str_present(w->r->verbosity))
		return;
	jw_key(&w->w, "text");
	jw_obj(&w->w);
	if (kind != IR_FORMAT_UNSET) {
		jw_key(&w->w, "format");
		jw_obj(&w->w);
		if (kind == IR_FORMAT_JSON_SCHEMA)
			write_schema(w);
		else
			jw_kcstr(&w->w, "type", kind == IR_FORMAT_TEXT ? "text" : "json_object");
		jw_end_obj(&w->w);
	}
	if (str_present(w->r->verbosity))
		jw_kstr(&w->w, "verbosity", w->r->verbosity);
	jw_end_obj(&w->w);
}

/* In which words the summary is wanted: the client's own, or OpenAI's choice. */
static struct str wanted_summary(const struct rs_writer *w)
{
	struct str own = json_str(json_get(JSON_GET(w->raw, "reasoning"), STR("summary")));

	if (own.len)
		return own;
	return str_eq(w->r->reasoning.display, STR("summarized")) ? STR("auto") : STR_NONE;
}

/* Returns whether the model was asked to reason. */
static bool write_reasoning(struct rs_writer *w)
{
	enum ir_effort effort = oc_effort(w->r, w->t);
	struct str summary = wanted_summary(w);
	bool asked = effort > IR_EFFORT_NONE || str_present(summary);

	if (effort == IR_EFFORT_UNSET && !str_present(summary))
		return false;
	if (!oc_may_reason(w->t)) {
		if (asked)
			lose(w, "reasoning_effort");
		return false;
	}
	jw_key(&w->w, "reasoning");
	jw_obj(&w->w);
	if (effort != IR_EFFORT_UNSET)
		jw_kcstr(&w->w, "effort", ir_effort_name(effort));
	if (str_present(summary))
		jw_kstr(&w->w, "summary", summary);
	jw_end_obj(&w->w);
	return asked;
}

/* --- the plain parameters --- */

static void write_raw(struct rs_writer *w, const char *key, struct str text)
{
	if (str_present(text))
		jw_kraw(&w->w, key, text);
}

static void write_string(struct rs_writer *w, const char *key, struct str s)
{
	if (str_present(s))
		jw_kstr(&w->w, key, s);
}

static void write_integer(struct rs_writer *w, const char *key, int64_t n)
{
	if (n != IR_UNSET)
		jw_ki64(&w->w, key, n);
}

static bool is_zero(struct str number)
{
	for (size_t i = 0; i < number.len; i++) {
		if (number.ptr[i] == 'e' || number.ptr[i] == 'E')
			break;
		if (number.ptr[i] >= '1' && number.ptr[i] <= '9')
			return false;
	}
	return true;
}

/* Open Responses has it, OpenAI answers 400 to it: it goes to who speaks what the client spoke. */
static void write_penalty(struct rs_writer *w, const char *key, struct str number)
{
	if (!str_present(number) || is_zero(number))
		return;
	if (rs_minted(w->r->origin))
		jw_kraw(&w->w, key, number);
	else
		lose(w, key);
}

static void write_sampling(struct rs_writer *w)
{
	const struct ir_request *r = w->r;
	bool too_few = r->max_tokens != IR_UNSET && r->max_tokens < LEAST_OUTPUT;

	write_integer(w, "max_output_tokens", too_few ? LEAST_OUTPUT : r->max_tokens);
	if (too_few)
		lose(w, "max_tokens");
	write_integer(w, "max_tool_calls", r->max_tool_calls);
	write_raw(w, "temperature", r->temperature);
	write_raw(w, "top_p", r->top_p);
	write_penalty(w, "frequency_penalty", r->frequency_penalty);
	write_penalty(w, "presence_penalty", r->presence_penalty);
	write_integer(w, "top_logprobs", r->top_logprobs);
}

struct including {
	struct rs_writer *w;
	unsigned n;
};

static void include(struct including *s, struct str name)
{
	if (s->n++ == 0) {
		jw_key(&s->w->w, "include");
		jw_arr(&s->w->w);
	}
	jw_str(&s->w->w, name);
}

/* What the client named, and what its other wishes come to here. */
static void write_include(struct rs_writer *w, bool reasons)
{
	const struct str proof = STR("reasoning.encrypted_content"),
			 logprobs = STR("message.output_text.logprobs");
	const json *own = JSON_GET(w->raw, "include");
	bool has_proof = false, has_logprobs = false;
	struct including s = { .w = w };
	struct json_iter it;

	if (!own && str_present(w->r->include))
		own = json_parse(w->arena, w->r->include, NULL);
	it = json_iter(own);
	while (json_next(&it)) {
		has_proof = has_proof || str_eq(json_str(it.val), proof);
		has_logprobs = has_logprobs || str_eq(json_str(it.val), logprobs);
		include(&s, json_str(it.val));
	}
	if (w->r->logprobs == IR_TRUE && !has_logprobs)
		include(&s, logprobs);
	if (reasons && !has_proof)
		include(&s, proof);
	if (s.n)
		jw_end_arr(&w->w);
}

/* previous_response_id and background are ours to keep and to wait for: the provider knows neither of our ids nor of our clients. */
static const uint64_t not_taken =
	IR_FIELD(top_k) | IR_FIELD(seed) | IR_FIELD(logit_bias) | IR_FIELD(prediction) |
	IR_FIELD(modalities) | IR_FIELD(audio) | IR_FIELD(suffix) | IR_FIELD(cache) |
	IR_FIELD(previous_response_id) | IR_FIELD(background) | IR_FIELD(prompts);

static void write_the_rest(struct rs_writer *w)
{
	const struct ir_request *r = w->r;

	jw_kbool(&w->w, "store", r->store == IR_TRUE);
	write_string(w, "user", r->user);
	/* Trap 88: Anthropic's word for the same thing. */
	write_string(w, "service_tier",
		     str_eq(r->service_tier, STR("standard_only")) ? STR("default")
								   : r->service_tier);
	write_string(w, "truncation", r->truncation);
	write_string(w, "prompt_cache_key", r->prompt_cache_key);
	write_string(w, "safety_identifier", r->safety_identifier);
	write_raw(w, "metadata", r->metadata);
	ir_lose_fields_but(w->losses, r, ~not_taken);
	for (unsigned i = 0; i < r->n_extras; i++) { /* trap 91 */
		if (!rs_minted(r->origin) && !oc_shares_extra(r, r->extras[i].name, w->t)) {
			ir_loss(w->losses, r->extras[i].name);
			continue;
		}
		jw_key_str(&w->w, r->extras[i].name);
		jw_raw(&w->w, r->extras[i].raw);
	}
}

int rs_encode_request(struct arena *a, const struct ir_request *r, const struct request_target *t,
		      struct buf *out, struct ir_losses *losses, struct err *reterr)
{
	struct rs_writer w = {
		.arena = a, .r = r, .t = t, .losses = losses, .reterr = reterr, .w = jw_on(out)
	};
	unsigned n_tools;
	bool reasons;
	int rc;

	if (r->max_tokens ==
	    0) /* Anthropic's way to fill a cache; 16 would be an answer nobody wants */
		return err_param(reterr, RC_UNSUPPORTED, "max_tokens",
				 "max_tokens must be more than 0: the provider cannot be asked for "
				 "no answer");
	if (r->n != IR_UNSET && r->n != 1)
		return err_param(reterr, RC_UNSUPPORTED, "n",
				 "this model's provider gives one answer a request; n must be 1");
	if (rs_minted(r->origin))
		w.raw = r->body;
	w.minted_by = minter_origin(a, RS_NAME, t->minter);
	rc = !w.minted_by ? RC_NOMEM : ir_drawn_to_user(a, r, RS_NAME, false, losses, &w.r);
	if (rc)
		return err_set(reterr, rc, "the request needs more memory than it may use");
	jw_obj(&w.w);
	jw_kstr(&w.w, "model", t->model);
	rc = rs_write_input(&w);
	if (rc)
		return rc;
	n_tools = write_tools(&w);
	rc = write_choice(&w, n_tools);
	if (rc)
		return rc;
	if (r->choice.parallel != IR_TRI_UNSET && n_tools)
		jw_kbool(&w.w, "parallel_tool_calls", r->choice.parallel == IR_TRUE);
	write_text(&w);
	reasons = write_reasoning(&w);
	write_sampling(&w);
	write_include(&w, reasons);
	if (r->stream)
		jw_kbool(&w.w, "stream", true);
	write_the_rest(&w);
	jw_end_obj(&w.w);
	return buf_ok(out) && !w.failed && !losses->failed
		       ? RC_OK
		       : err_set(reterr, RC_NOMEM, "the request needs more memory than it may use");
}
