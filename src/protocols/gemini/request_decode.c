/* protocols/gemini/request_decode.c - a client's body into the canonical request.
 *
 * The one hard thing: what we have no canonical place for must not vanish unsaid. Every member that is not in the tables below
 * becomes an extra, which a target of another protocol discloses as dropped. */
#include "protocols/gemini/gemini.h"

int gm_no_memory(const struct gm_reader *d)
{
	return err_set(d->reterr, RC_NOMEM, "out of memory");
}

int gm_refuse(const struct gm_reader *d, const char *at, const char *what)
{
	return err_param(d->reterr, RC_INVALID, at, "%s: %s", at, what);
}

int gm_add_extra(struct gm_reader *d, const char *group, struct str name, const json *raw)
{
	struct ir_request *r = d->r;
	struct ir_extra x = { .name = name };

	if (group[0])
		x.name = arena_printf(d->arena, "%s.%.*s", group, STR_ARG(name));
	if (raw)
		x.raw = json_text(d->arena, raw);
	if (!str_present(x.name) || (raw && !str_present(x.raw)))
		return gm_no_memory(d);
	if (r->n_extras == d->cap_extras) {
		unsigned cap = d->cap_extras ? 2 * d->cap_extras : 8;
		struct ir_extra *grown = arena_grow(
			d->arena, r->extras, d->cap_extras * sizeof(*grown), cap * sizeof(*grown));

		if (!grown)
			return gm_no_memory(d);
		r->extras = grown;
		d->cap_extras = cap;
	}
	r->extras[r->n_extras++] = x;
	return RC_OK;
}

/* --- generationConfig --- */

#define CONFIG "generationConfig"

typedef int member_fn(struct gm_reader *d, const json *v, const char *at);

/* A whole number, also as the string that protobuf's JSON allows. */
static int take_count(struct gm_reader *d, const json *v, const char *at, int64_t *ret)
{
	if (json_i64(v, ret) || (json_is_str(v) && str_to_i64(json_str(v), ret)))
		return RC_OK;
	return gm_refuse(d, at, "should be a whole number");
}

static int take_number(struct gm_reader *d, const json *v, const char *at, struct str *ret)
{
	*ret = json_num(v);
	return str_present(*ret) ? RC_OK : gm_refuse(d, at, "should be a number");
}

#define COUNT(function, member)                                                 \
	static int function(struct gm_reader *d, const json *v, const char *at) \
	{                                                                       \
		return take_count(d, v, at, &d->r->member);                     \
	}
#define NUMBER(function, member)                                                \
	static int function(struct gm_reader *d, const json *v, const char *at) \
	{                                                                       \
		return take_number(d, v, at, &d->r->member);                    \
	}

COUNT(read_max_tokens, max_tokens)
COUNT(read_candidates, n)
COUNT(read_seed, seed)
COUNT(read_top_logprobs, top_logprobs)
NUMBER(read_temperature, temperature)
NUMBER(read_top_p, top_p)
NUMBER(read_presence, presence_penalty)
NUMBER(read_frequency, frequency_penalty)

/* A float in the vendor's proto, a whole number to everybody. */
static int read_top_k(struct gm_reader *d, const json *v, const char *at)
{
	double f;

	if (json_f64(v, &f) && f >= 0 && f < 1e9) {
		d->r->top_k = (int64_t)f;
		return RC_OK;
	}
	return gm_refuse(d, at, "should be a number");
}

static int read_logprobs(struct gm_reader *d, const json *v, const char *at)
{
	if (!json_is_bool(v))
		return gm_refuse(d, at, "should be true or false");
	d->r->logprobs = json_bool(v, false) ? IR_TRUE : IR_FALSE;
	return RC_OK;
}

static int read_stop(struct gm_reader *d, const json *v, const char *at)
{
	struct json_iter it = json_iter(v);

	if (!json_is_arr(v))
		return gm_refuse(d, at, "should be a list of strings");
	d->r->n_stop = 0;
	d->r->stop = arena_array(d->arena, json_len(v) + 1, sizeof(*d->r->stop));
	if (!d->r->stop)
		return gm_no_memory(d);
	while (json_next(&it)) {
		if (!json_is_str(it.val))
			return gm_refuse(d, at, "should be a list of strings");
		d->r->stop[d->r->n_stop++] = json_str(it.val);
	}
	return RC_OK;
}

static int read_mime_type(struct gm_reader *d, const json *v, const char *at)
{
	struct str mime = json_str(v);

	if (!str_present(mime))
		return gm_refuse(d, at, "should be a string");
	if (str_eq(mime, STR("text/plain")))
		return RC_OK;
	if (!str_eq(mime, STR("application/json"))) /* text/x.enum */
		return gm_add_extra(d, CONFIG, STR("responseMimeType"), v);
	if (d->r->format.kind == IR_FORMAT_UNSET)
		d->r->format.kind = IR_FORMAT_JSON_OBJECT;
	return RC_OK;
}

static int take_schema(struct gm_reader *d, const json *v, const char *at, struct str text)
{
	if (!json_is_obj(v))
		return gm_refuse(d, at, "should be an object");
	if (!str_present(text))
		return gm_no_memory(d);
	d->r->format.kind = IR_FORMAT_JSON_SCHEMA;
	d->r->format.schema = text;
	return RC_OK;
}

static int read_schema(struct gm_reader *d, const json *v, const char *at)
{
	return take_schema(d, v, at, gm_schema_to_json(d->arena, v));
}

static int read_json_schema(struct gm_reader *d, const json *v, const char *at)
{
	return take_schema(d, v, at, json_text(d->arena, v));
}

static struct str lower(struct arena *a, struct str s)
{
	char *to = arena_alloc_raw(a, s.len + 1);

	for (size_t i = 0; to && i < s.len; i++)
		to[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] | 0x20) : s.ptr[i];
	return (struct str){ to, to ? s.len : 0 };
}

static int read_thinking(struct gm_reader *d, const json *v, const char *at)
{
	const json *budget = gm_get(v, "thinkingBudget"), *level = gm_get(v, "thinkingLevel");
	struct ir_reasoning *t = &d->r->reasoning;
	int64_t n;

	if (!json_is_obj(v))
		return gm_refuse(d, at, "should be an object");
	if (budget && level)
		return gm_refuse(d, at, "thinkingBudget and thinkingLevel exclude each other");
	if (json_bool(gm_get(v, "includeThoughts"), false))
		t->thinking = IR_THINKING_ADAPTIVE;
	if (level) {
		t->effort = ir_effort_parse(lower(d->arena, json_str(level)));
		if (t->effort == IR_EFFORT_UNSET &&
		    !str_ieq(json_str(level), STR("THINKING_LEVEL_UNSPECIFIED")))
			return gm_refuse(d, at,
					 "thinkingLevel should be MINIMAL, LOW, MEDIUM or HIGH");
	}
	if (!budget)
		return RC_OK;
	if (take_count(d, budget, CONFIG ".thinkingConfig.thinkingBudget", &n) != RC_OK)
		return RC_INVALID;
	if (n == 0) {
		t->thinking = IR_THINKING_DISABLED;
	} else if (n < 0) { /* as the model likes */
		t->thinking = IR_THINKING_ADAPTIVE;
	} else {
		t->thinking = IR_THINKING_ENABLED;
		t->budget = n;
	}
	return RC_OK;
}

/* Text alone is what happens anyway. Texts and pictures are asked for in Chat too; more is for those who know it. */
static int read_modalities(struct gm_reader *d, const json *v, const char *at)
{
	bool text = false, image = false;
	struct json_iter it = json_iter(v);

	(void)at;
	while (json_next(&it)) {
		if (str_ieq(json_str(it.val), STR("TEXT")))
			text = true;
		else if (str_ieq(json_str(it.val), STR("IMAGE")))
			image = true;
		else
			return gm_add_extra(d, CONFIG, STR("responseModalities"), v);
	}
	if (image)
		d->r->modalities = text ? STR("[\"text\",\"image\"]") : STR("[\"image\"]");
	return RC_OK;
}

#define MEMBER(name, read)                            \
	{                                             \
		STR_INIT(name), CONFIG "." name, read \
	}

static const struct {
	struct str name;
	const char *at;
	member_fn *read;
} config_members[] = {
	MEMBER("maxOutputTokens", read_max_tokens),
	MEMBER("temperature", read_temperature),
	MEMBER("topP", read_top_p),
	MEMBER("topK", read_top_k),
	MEMBER("stopSequences", read_stop),
	MEMBER("candidateCount", read_candidates),
	MEMBER("seed", read_seed),
	MEMBER("presencePenalty", read_presence),
	MEMBER("frequencyPenalty", read_frequency),
	MEMBER("responseLogprobs", read_logprobs),
	MEMBER("logprobs", read_top_logprobs),
	MEMBER("responseMimeType", read_mime_type),
	MEMBER("responseSchema", read_schema),
	MEMBER("responseJsonSchema", read_json_schema),
	MEMBER("_responseJsonSchema", read_json_schema), /* as older SDKs send it */
	MEMBER("responseModalities", read_modalities),
	MEMBER("thinkingConfig", read_thinking),
};

enum { N_CONFIG = sizeof(config_members) / sizeof(config_members[0]) };

static int read_config(struct gm_reader *d, const json *v)
{
	struct json_iter it = json_iter(v);

	if (!json_is_obj(v))
		return gm_refuse(d, CONFIG, "should be an object");
	while (json_next(&it)) {
		size_t i;
		int rc;

		if (json_is_null(it.val))
			continue;
		i = GM_ROW(config_members, it.key);
		rc = i < N_CONFIG ? config_members[i].read(d, it.val, config_members[i].at)
				  : gm_add_extra(d, CONFIG, it.key, it.val);
		if (rc)
			return rc;
	}
	return RC_OK;
}

/* --- the whole --- */

/* What is read of a body. */
enum { CONTENTS, SYSTEM, TOOLS, TOOL_CONFIG, CONFIGURATION, TIER, N_BODY };
static const struct str body_names[N_BODY] = {
	[CONTENTS] = STR_INIT("contents"),  [SYSTEM] = STR_INIT("systemInstruction"),
	[TOOLS] = STR_INIT("tools"),        [TOOL_CONFIG] = STR_INIT("toolConfig"),
	[CONFIGURATION] = STR_INIT(CONFIG), [TIER] = STR_INIT("serviceTier"),
};

static int read_member(struct gm_reader *d, const json *body[N_BODY], struct str key, const json *v)
{
	size_t i;

	if (json_is_null(v) || str_eq(key, STR("model")))
		return RC_OK;
	if (str_eq(key, STR("provider")) && json_is_str(v)) /* our own pin */
		return RC_OK;
	i = gm_index(body_names, sizeof(*body_names), N_BODY, key);
	if (i == N_BODY)
		return gm_add_extra(d, "", key, v);
	body[i] = v;
	return RC_OK;
}

/* Google's words in any case; one that is not known is as unknown as any other member. */
static int read_tier(struct gm_reader *d, const json *v)
{
	if (str_ieq(json_str(v), STR("unspecified")))
		return RC_OK;
	d->r->service_tier = gm_tier_asked(json_str(v));
	return str_present(d->r->service_tier) ? RC_OK : gm_add_extra(d, "", body_names[TIER], v);
}

static int read_body(struct gm_reader *d, const json *root)
{
	struct json_iter it = json_iter(root);
	const json *b[N_BODY] = { NULL };
	int rc = RC_OK;

	while (!rc && json_next(&it))
		rc = read_member(d, b, it.key, it.val);
	if (!rc)
		rc = gm_read_contents(d, b[SYSTEM], b[CONTENTS]);
	if (!rc && b[TOOLS])
		rc = gm_read_tools(d, b[TOOLS]);
	if (!rc && b[TOOL_CONFIG])
		rc = gm_read_tool_config(d, b[TOOL_CONFIG]);
	if (!rc && b[CONFIGURATION])
		rc = read_config(d, b[CONFIGURATION]);
	if (!rc && b[TIER])
		rc = read_tier(d, b[TIER]);
	return rc;
}

int gm_decode_request(struct arena *a, const struct request_line *line, struct str body,
		      struct ir_request **ret, struct err *reterr)
{
	struct gm_reader d = { .arena = a, .reterr = reterr };
	const json *root, *inner;
	int rc = gm_parse(a, body, &root, reterr);

	if (rc)
		return rc;
	if (!json_is_obj(root))
		return err_set(reterr, RC_INVALID,
			       "the request body should be a JSON object, not %s", json_type(root));
	d.r = arena_alloc(a, sizeof(*d.r));
	if (!d.r)
		return gm_no_memory(&d);
	ir_request_init(d.r);
	d.r->origin = GM_NAME;
	d.r->include_usage = true;
	d.r->model = gm_model_name(line->arg);
	d.r->stream = line->op == IR_OP_GENERATE && line->variant == GM_STREAM;
	if (!d.r->model.len)
		return err_param(reterr, RC_INVALID, "model", "the path names no model");
	/* countTokens takes bare contents, or a whole request inside. */
	inner = line->op == IR_OP_COUNT_TOKENS ? gm_get(root, "generateContentRequest") : NULL;
	root = json_is_obj(inner) ? inner : root;
	rc = read_body(&d, root);
	if (!rc && !shape_note_unknown(a, root, gm_request_shape, d.r))
		rc = gm_no_memory(&d);
	if (rc)
		return rc;
	ir_request_needs(d.r);
	*ret = d.r;
	return RC_OK;
}
