/* protocols/openai_chat/request_decode.c - a Chat Completions body as the canonical request: everything but the messages.
 *
 * The members are a table: name, what to do with it. A member that is null is as if it were not
 * there; one that no row knows becomes an extra, which survives towards this protocol and is disclosed towards others. */
#include "protocols/openai_chat/openai_chat.h"

#include <stdio.h>

/* --- where we are, and what is wrong there --- */

/* A path too long for its field is cut: it is there to be read, not to be parsed. */
static void path_add(struct oc_path *p, const char *more)
{
	size_t at = strlen(p->text);

	while (*more && at + 1 < sizeof(p->text))
		p->text[at++] = *more++;
	p->text[at] = '\0';
}

struct oc_path oc_path_member(const struct oc_path *at, const char *member)
{
	struct oc_path p = *at;

	if (p.text[0])
		path_add(&p, ".");
	path_add(&p, member);
	return p;
}

struct oc_path oc_path_index(const struct oc_path *at, unsigned index)
{
	struct oc_path p = *at;
	char digits[16];

	(void)snprintf(digits, sizeof(digits), "[%u]", index);
	path_add(&p, digits);
	return p;
}

int oc_refuse_type(const struct oc_reader *r, const struct oc_path *at, const char *expected,
		   const json *got)
{
	if (!got)
		return err_param(r->reterr, RC_INVALID, at->text,
				 "Missing required parameter: '%s'.", at->text);
	return err_param(r->reterr, RC_INVALID, at->text,
			 "Invalid type for '%s': expected %s, but got %s instead.", at->text,
			 expected, json_type(got));
}

int oc_refuse(const struct oc_reader *r, const struct oc_path *at, const char *what)
{
	return err_param(r->reterr, RC_INVALID, at->text, "Invalid value for '%s': %s", at->text,
			 what);
}

int oc_nomem(const struct oc_reader *r)
{
	return err_set(r->reterr, RC_NOMEM, "the request needs more memory than it may use");
}

enum ir_cache oc_read_cache(const json *holder)
{
	const json *c = json_get(holder, STR("cache_control"));
	struct str ttl = json_str(json_get(c, STR("ttl")));

	if (!json_is_obj(c)) /* OpenAI's own mark of the same thing */
		return json_is_obj(json_get(holder, STR("prompt_cache_breakpoint")))
			       ? IR_CACHE_DEFAULT
			       : IR_CACHE_NONE;
	if (str_eq(ttl, STR("1h")))
		return IR_CACHE_1H;
	return str_eq(ttl, STR("5m")) ? IR_CACHE_5M : IR_CACHE_DEFAULT;
}

/* --- tools --- */

static int read_function(const struct oc_reader *r, const json *f, const struct oc_path *at,
			 struct ir_tool *ret)
{
	const json *name = json_get(f, STR("name")), *parameters = JSON_GET(f, "parameters");
	const json *strict = JSON_GET(f, "strict");
	struct oc_path p = oc_path_member(at, "name");

	if (!json_is_str(name))
		return oc_refuse_type(r, &p, "a string", name);
	if (json_str(name).len == 0)
		return oc_refuse(r, &p, "a function needs a name.");
	ret->name = json_str(name);
	ret->description = json_str(json_get(f, STR("description"))); /* null: none (trap 80) */
	p = oc_path_member(at, "parameters");
	if (parameters && !json_is_obj(parameters))
		return oc_refuse_type(r, &p, "an object", parameters);
	if (parameters) {
		ret->parameters = json_text(r->arena, parameters);
		if (!ret->parameters.ptr)
			return oc_nomem(r);
	}
	p = oc_path_member(at, "strict");
	if (strict && !json_is_bool(strict))
		return oc_refuse_type(r, &p, "a boolean", strict);
	if (strict)
		ret->strict = json_bool(strict, false) ? IR_TRUE : IR_FALSE;
	return RC_OK;
}

static int read_tool(const struct oc_reader *r, const json *v, const struct oc_path *at,
		     struct ir_tool *ret)
{
	const json *type = json_get(v, STR("type")), *f = json_get(v, STR("function"));
	struct oc_path p = oc_path_member(at, "type");

	*ret = (struct ir_tool){ .cache = oc_read_cache(v) };
	if (!json_is_obj(v))
		return oc_refuse_type(r, at, "an object", v);
	if (!json_is_str(type) && !json_is_obj(f)) /* some clients leave it out */
		return oc_refuse_type(r, &p, "a string", type);
	/* custom, and whatever a vendor offers besides */
	if (json_is_str(type) && !str_eq(json_str(type), STR("function"))) {
		ret->server_raw = json_text(r->arena, v);
		ret->origin = OC_NAME;
		return ret->server_raw.ptr ? RC_OK : oc_nomem(r);
	}
	p = oc_path_member(at, "function");
	if (!json_is_obj(f))
		return oc_refuse_type(r, &p, "an object", f);
	return read_function(r, f, &p, ret);
}

/* `tools`, and `functions` of old, whose items are functions without their wrapping. */
static int read_tool_list(const struct oc_reader *r, const json *v, const char *name,
			  struct ir_request *q)
{
	bool legacy = strcmp(name, "functions") == 0;
	struct oc_path at = { "" };
	struct json_iter it = json_iter(v);
	size_t n = json_len(v);
	int rc = RC_OK;

	at = oc_path_member(&at, name);
	if (!json_is_arr(v))
		return oc_refuse_type(r, &at, "an array", v);
	if (q->n_tools) /* both lists: the newer one counts */
		return RC_OK;
	q->tools = arena_array(r->arena, n + 1, sizeof(*q->tools));
	if (!q->tools)
		return oc_nomem(r);
	for (unsigned i = 0; !rc && json_next(&it); i++) {
		struct oc_path p = oc_path_index(&at, i);

		if (legacy)
			rc = json_is_obj(it.val) ? read_function(r, it.val, &p, &q->tools[i])
						 : oc_refuse_type(r, &p, "an object", it.val);
		else
			rc = read_tool(r, it.val, &p, &q->tools[i]);
		q->n_tools = i + 1;
	}
	return rc;
}

static int read_tools(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	return read_tool_list(r, v, "tools", q);
}

static int read_functions(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	return read_tool_list(r, v, "functions", q);
}

/* --- tool_choice --- */

/* The name in {"type":"function","function":{"name"}}, {"type":"custom","custom":{"name"}}, or flat. */
static struct str choice_name(const json *v)
{
	struct str type = json_str(json_get(v, STR("type")));
	const json *inner = json_get(v, type.len ? type : STR("function"));

	return json_str(json_get(json_is_obj(inner) ? inner : v, STR("name")));
}

static enum ir_choice_mode choice_mode(struct str word)
{
	if (str_eq(word, STR("auto")))
		return IR_CHOICE_AUTO;
	if (str_eq(word, STR("none")))
		return IR_CHOICE_NONE;
	return str_eq(word, STR("required")) || str_eq(word, STR("any")) ? IR_CHOICE_REQUIRED
									 : IR_CHOICE_UNSET;
}

static int read_allowed(const struct oc_reader *r, const json *v, const struct oc_path *at,
			struct ir_request *q)
{
	const json *inner = json_get(v, STR("allowed_tools")), *tools;
	struct oc_path p = oc_path_member(at, "allowed_tools");
	struct json_iter it;

	if (!json_is_obj(inner)) /* the flat form of the Responses API */
		inner = v;
	tools = json_get(inner, STR("tools"));
	q->choice.mode = choice_mode(json_str(json_get(inner, STR("mode"))));
	if (q->choice.mode != IR_CHOICE_AUTO && q->choice.mode != IR_CHOICE_REQUIRED)
		return oc_refuse(r, &p, "mode must be 'auto' or 'required'.");
	if (!json_is_arr(tools))
		return oc_refuse(r, &p, "tools must be an array.");
	q->choice.allowed = arena_array(r->arena, json_len(tools) + 1, sizeof(*q->choice.allowed));
	if (!q->choice.allowed)
		return oc_nomem(r);
	it = json_iter(tools);
	while (json_next(&it)) {
		struct str name = choice_name(it.val);

		if (!name.len)
			return oc_refuse(r, &p, "each of the tools needs a name.");
		q->choice.allowed[q->choice.n_allowed++] = name;
	}
	return RC_OK;
}

static int read_tool_choice(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { "tool_choice" };

	if (json_is_str(v)) {
		q->choice.mode = choice_mode(json_str(v));
		if (q->choice.mode == IR_CHOICE_UNSET)
			return oc_refuse(r, &at,
					 "supported values are 'none', 'auto' and 'required'.");
		return RC_OK;
	}
	if (!json_is_obj(v))
		return oc_refuse_type(r, &at, "a string or an object", v);
	if (str_eq(json_str(json_get(v, STR("type"))), STR("allowed_tools")))
		return read_allowed(r, v, &at, q);
	q->choice.name = choice_name(v);
	q->choice.mode = IR_CHOICE_NAMED;
	return q->choice.name.len ? RC_OK : oc_refuse(r, &at, "it must name a function.");
}

static int read_function_call(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { "function_call" };

	if (q->choice.mode != IR_CHOICE_UNSET)
		return RC_OK;
	if (json_is_str(v)) {
		q->choice.mode = choice_mode(json_str(v));
		return q->choice.mode == IR_CHOICE_UNSET
			       ? oc_refuse(r, &at, "supported values are 'none' and 'auto'.")
			       : RC_OK;
	}
	q->choice.name = json_str(json_get(v, STR("name")));
	q->choice.mode = IR_CHOICE_NAMED;
	return q->choice.name.len ? RC_OK : oc_refuse(r, &at, "it must name a function.");
}

/* --- the other structured members --- */

static int read_format(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const json *s = json_get(v, STR("json_schema")), *schema = JSON_GET(s, "schema"),
		   *strict = JSON_GET(s, "strict");
	struct str type = json_str(json_get(v, STR("type")));
	struct oc_path at = { "response_format" };

	if (!json_is_obj(v))
		return oc_refuse_type(r, &at, "an object", v);
	if (str_eq(type, STR("text"))) {
		q->format.kind = IR_FORMAT_TEXT;
		return RC_OK;
	}
	if (str_eq(type, STR("json_object"))) {
		schema = JSON_GET(v, "schema"); /* llama.cpp, Together: the schema stands here */
	} else if (!str_eq(type, STR("json_schema"))) {
		at = oc_path_member(&at, "type");
		return oc_refuse(r, &at,
				 "supported values are 'text', 'json_object' and 'json_schema'.");
	} else if (!json_is_obj(s)) {
		at = oc_path_member(&at, "json_schema");
		return oc_refuse_type(r, &at, "an object", s);
	}
	/* A schema format without a schema holds the answer to JSON alone. */
	q->format.kind = schema ? IR_FORMAT_JSON_SCHEMA : IR_FORMAT_JSON_OBJECT;
	q->format.name = json_str(json_get(s, STR("name")));
	q->format.description = json_str(json_get(s, STR("description")));
	if (strict)
		q->format.strict = json_bool(strict, false) ? IR_TRUE : IR_FALSE;
	if (!schema)
		return RC_OK;
	q->format.schema = json_text(r->arena, schema);
	return q->format.schema.ptr ? RC_OK : oc_nomem(r);
}

static int read_stop(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	struct oc_path at = { "stop" };
	struct json_iter it = json_iter(v);

	if (!json_is_str(v) && !json_is_arr(v))
		return oc_refuse_type(r, &at, "a string or an array of strings", v);
	q->stop = arena_array(r->arena, json_len(v) + 1, sizeof(*q->stop));
	if (!q->stop)
		return oc_nomem(r);
	if (json_is_str(v)) { /* trap 71 */
		q->stop[q->n_stop++] = json_str(v);
		return RC_OK;
	}
	while (json_next(&it)) {
		struct oc_path p = oc_path_index(&at, q->n_stop);

		if (!json_is_str(it.val))
			return oc_refuse_type(r, &p, "a string", it.val);
		q->stop[q->n_stop++] = json_str(it.val);
	}
	return RC_OK;
}

static int read_effort(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { "reasoning_effort" };

	if (!json_is_str(v))
		return oc_refuse_type(r, &at, "a string", v);
	q->reasoning.effort = ir_effort_parse(json_str(v));
	if (q->reasoning.effort == IR_EFFORT_UNSET)
		return oc_refuse(r, &at,
				 "supported values are 'none', 'minimal', 'low', 'medium', 'high', "
				 "'xhigh' and "
				 "'max'.");
	return RC_OK;
}

static void take_budget(const json *v, struct ir_request *q)
{
	int64_t n;

	if (json_i64(v, &n) && n > 0) {
		q->reasoning.budget = n;
		q->reasoning.thinking = IR_THINKING_ENABLED;
	}
}

/* OpenRouter's {"effort", "max_tokens", "enabled"}. */
static int read_reasoning(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { "reasoning" };
	const json *effort = JSON_GET(v, "effort");

	if (!json_is_obj(v))
		return oc_refuse_type(r, &at, "an object", v);
	take_budget(json_get(v, STR("max_tokens")), q);
	if (json_is_bool(json_get(v, STR("enabled"))) && q->reasoning.thinking == IR_THINKING_UNSET)
		q->reasoning.thinking = json_bool(json_get(v, STR("enabled")), true)
						? IR_THINKING_ADAPTIVE
						: IR_THINKING_DISABLED;
	return effort && q->reasoning.effort == IR_EFFORT_UNSET ? read_effort(r, effort, q) : RC_OK;
}

/* Anthropic's {"type", "budget_tokens"}, as DeepSeek, Z.ai and many proxies take it beside Chat's own members. */
static int read_thinking(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { "thinking" };
	struct str type = json_str(json_get(v, STR("type")));

	if (!json_is_obj(v))
		return oc_refuse_type(r, &at, "an object", v);
	take_budget(json_get(v, STR("budget_tokens")), q);
	if (str_eq(type, STR("enabled")))
		q->reasoning.thinking = IR_THINKING_ENABLED;
	else if (str_eq(type, STR("disabled")))
		q->reasoning.thinking = IR_THINKING_DISABLED;
	else if (str_eq(type, STR("adaptive")))
		q->reasoning.thinking = IR_THINKING_ADAPTIVE;
	else if (type.len) /* without one there are vendors' own members (Z.ai) */
		return oc_refuse(r, &at, "type must be 'enabled', 'disabled' or 'adaptive'.");
	return RC_OK;
}

static int read_stream_options(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { "stream_options" };

	if (!json_is_obj(v))
		return oc_refuse_type(r, &at, "an object", v);
	q->include_usage = json_bool(json_get(v, STR("include_usage")), false);
	return RC_OK;
}

static int read_cache_control(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	struct str ttl = json_str(json_get(v, STR("ttl")));

	q->cache = str_eq(ttl, STR("1h"))   ? IR_CACHE_1H
		   : str_eq(ttl, STR("5m")) ? IR_CACHE_5M
					    : IR_CACHE_DEFAULT;
	return RC_OK;
}

/* OpenRouter and Anthropic-like clients name top_k; parallel_tool_calls sits in the choice. */
static int read_parallel(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { "parallel_tool_calls" };

	if (!json_is_bool(v))
		return oc_refuse_type(r, &at, "a boolean", v);
	q->choice.parallel = json_bool(v, true) ? IR_TRUE : IR_FALSE;
	return RC_OK;
}

static int read_max_completion(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { "max_completion_tokens" };

	/* Of both names the newer one counts (trap 66). */
	return json_i64(v, &q->max_tokens) ? RC_OK : oc_refuse_type(r, &at, "an integer", v);
}

static int read_max_tokens(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { "max_tokens" };

	if (q->max_tokens != IR_UNSET)
		return RC_OK;
	return json_i64(v, &q->max_tokens) ? RC_OK : oc_refuse_type(r, &at, "an integer", v);
}

/* --- the table --- */

enum member_kind {
	M_SKIP, /* read elsewhere */
	M_STRING,
	M_NUMBER, /* kept as its text */
	M_INTEGER,
	M_BOOL,   /* an enum ir_tri */
	M_FLAG,   /* a bool */
	M_OBJECT, /* kept raw */
	M_RAW,    /* kept raw, whatever it is */
	M_CALL,
};

struct member {
	struct str name;
	enum member_kind kind;
	size_t at; /* offset in struct ir_request */
	int (*read)(const struct oc_reader *r, const json *v, struct ir_request *q);
};

#define MEMBER(name, kind, field)                                              \
	{                                                                      \
		STR_INIT(name), kind, offsetof(struct ir_request, field), NULL \
	}
#define CALLS(name, function)                       \
	{                                           \
		STR_INIT(name), M_CALL, 0, function \
	}

/* In the order of reading: where two members say the same, the first one counts. */
static const struct member members[] = {
	MEMBER("model", M_STRING, model),
	MEMBER("stream", M_FLAG, stream),
	CALLS("stream_options", read_stream_options),
	CALLS("max_completion_tokens", read_max_completion),
	CALLS("max_tokens", read_max_tokens),
	MEMBER("temperature", M_NUMBER, temperature),
	MEMBER("top_p", M_NUMBER, top_p),
	MEMBER("frequency_penalty", M_NUMBER, frequency_penalty),
	MEMBER("presence_penalty", M_NUMBER, presence_penalty),
	MEMBER("top_k", M_INTEGER, top_k),
	MEMBER("seed", M_INTEGER, seed),
	MEMBER("n", M_INTEGER, n),
	MEMBER("logprobs", M_BOOL, logprobs),
	MEMBER("top_logprobs", M_INTEGER, top_logprobs),
	MEMBER("store", M_BOOL, store),
	CALLS("stop", read_stop),
	CALLS("tools", read_tools),
	CALLS("functions", read_functions),
	CALLS("tool_choice", read_tool_choice),
	CALLS("function_call", read_function_call),
	CALLS("parallel_tool_calls", read_parallel),
	CALLS("response_format", read_format),
	CALLS("reasoning_effort", read_effort),
	CALLS("reasoning", read_reasoning),
	CALLS("thinking", read_thinking),
	MEMBER("user", M_STRING, user),
	MEMBER("service_tier", M_STRING, service_tier),
	MEMBER("verbosity", M_STRING, verbosity),
	MEMBER("prompt_cache_key", M_STRING, prompt_cache_key),
	MEMBER("safety_identifier", M_STRING, safety_identifier),
	MEMBER("metadata", M_OBJECT, metadata),
	MEMBER("logit_bias", M_OBJECT, logit_bias),
	MEMBER("prediction", M_OBJECT, prediction),
	MEMBER("modalities", M_RAW, modalities),
	MEMBER("audio", M_OBJECT, audio),
	CALLS("cache_control", read_cache_control),
	MEMBER("messages", M_SKIP, messages),
	MEMBER("provider", M_SKIP, model), /* a string is our own pin; an object is an extra */
};

enum { N_MEMBERS = sizeof(members) / sizeof(*members) };

static int read_member(const struct oc_reader *r, const struct member *m, const json *v,
		       struct ir_request *q)
{
	void *field = (char *)q + m->at;
	struct oc_path at = { "" };

	at = oc_path_member(&at, m->name.ptr);
	switch (m->kind) {
	case M_SKIP:
		return RC_OK;
	case M_CALL:
		return m->read(r, v, q);
	case M_STRING:
		*(struct str *)field = json_str(v);
		return json_is_str(v) ? RC_OK : oc_refuse_type(r, &at, "a string", v);
	case M_NUMBER:
		*(struct str *)field = json_num(v);
		return json_is_num(v) ? RC_OK : oc_refuse_type(r, &at, "a number", v);
	case M_INTEGER:
		return json_i64(v, field) ? RC_OK : oc_refuse_type(r, &at, "an integer", v);
	case M_BOOL:
		*(enum ir_tri *)field = json_bool(v, false) ? IR_TRUE : IR_FALSE;
		return json_is_bool(v) ? RC_OK : oc_refuse_type(r, &at, "a boolean", v);
	case M_FLAG:
		*(bool *)field = json_bool(v, false);
		return json_is_bool(v) ? RC_OK : oc_refuse_type(r, &at, "a boolean", v);
	case M_OBJECT:
		if (!json_is_obj(v))
			return oc_refuse_type(r, &at, "an object", v);
		break;
	case M_RAW:
		break;
	}
	*(struct str *)field = json_text(r->arena, v);
	return ((struct str *)field)->ptr ? RC_OK : oc_nomem(r);
}

static bool is_member(struct str name, const json *v)
{
	if (str_eq(name, STR("provider")))
		return json_is_str(v);
	for (unsigned i = 0; i < N_MEMBERS; i++) {
		if (str_eq(name, members[i].name))
			return true;
	}
	return false;
}

static int read_extras(const struct oc_reader *r, const json *root, struct ir_request *q)
{
	struct json_iter it = json_iter(root);

	q->extras = arena_array(r->arena, json_len(root) + 1, sizeof(*q->extras));
	if (!q->extras)
		return oc_nomem(r);
	while (json_next(&it)) {
		struct ir_extra *x = &q->extras[q->n_extras];

		if (json_is_null(it.val) || is_member(it.key, it.val))
			continue;
		*x = (struct ir_extra){ it.key, json_text(r->arena, it.val) };
		if (!x->raw.ptr)
			return oc_nomem(r);
		q->n_extras++;
	}
	return RC_OK;
}

int oc_decode_request(struct arena *a, const struct request_line *line, struct str body,
		      struct ir_request **ret, struct err *reterr)
{
	const struct oc_reader r = { .arena = a, .reterr = reterr };
	const json *root;
	struct ir_request *q = arena_alloc(a, sizeof(*q));
	struct oc_path at = { "" };
	int rc = oc_parse(a, body, &root, reterr);

	if (rc)
		return rc;
	if (!q)
		return oc_nomem(&r);
	if (!json_is_obj(root))
		return err_set(reterr, RC_INVALID,
			       "the request body must be a JSON object, but is %s",
			       json_type(root));
	ir_request_init(q);
	q->origin = OC_NAME;
	for (unsigned i = 0; !rc && i < N_MEMBERS; i++) {
		const json *v = json_get_set(root, members[i].name);

		if (v)
			rc = read_member(&r, &members[i], v, q);
	}
	at = oc_path_member(&at, "model");
	if (!rc && q->model.len == 0)
		rc = str_present(q->model) ? oc_refuse(&r, &at, "it must not be empty.")
					   : oc_refuse_type(&r, &at, "", NULL);
	if (!rc)
		rc = oc_read_messages(&r, json_get(root, STR("messages")), q);
	if (!rc)
		rc = read_extras(&r, root, q);
	if (rc)
		return rc;
	ir_request_needs(q);
	*ret = q;
	return RC_OK;
}
