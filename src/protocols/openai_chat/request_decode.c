/* protocols/openai_chat/request_decode.c - a Chat Completions body as the canonical request: everything but the messages.
 *
 * The members are a table: name, what to do with it. A member that is null is as if it were not
 * there; one that no row knows becomes an extra, which survives towards this protocol and is disclosed towards others. */
#include "protocols/openai_chat/openai_chat.h"

enum { FORMAT_MAX = 16 << 20 };

/* --- tools --- */

/* {"type":"grammar","grammar":{"syntax","definition"}}: kept as the Responses API has it, without the inner object. */
static int read_custom_format(const struct oc_reader *r, const json *format, struct ir_tool *ret)
{
	const json *grammar = JSON_GET(format, "grammar");
	struct buf b;
	struct jw w;

	if (str_eq(json_str(json_get(format, STR("type"))), STR("text")))
		return RC_OK; /* which is what there is without one */
	if (!json_is_obj(grammar)) {
		ret->custom_format = json_text(r->arena, format);
		return ret->custom_format.ptr ? RC_OK : oc_nomem(r);
	}
	buf_init(&b, FORMAT_MAX);
	w = jw_on(&b);
	jw_obj(&w);
	jw_kcstr(&w, "type", "grammar");
	jw_kstr(&w, "syntax", json_str(json_get(grammar, STR("syntax"))));
	jw_kstr(&w, "definition", json_str(json_get(grammar, STR("definition"))));
	jw_end_obj(&w);
	ret->custom_format = buf_ok(&b) ? arena_dup(r->arena, buf_str(&b)) : STR_NONE;
	buf_done(&b);
	return ret->custom_format.ptr ? RC_OK : oc_nomem(r);
}

/* Its parameters are its schema where only functions are known: the input as one string. */
static int read_custom(const struct oc_reader *r, const json *c, const struct oc_path *at,
		       struct ir_tool *ret)
{
	const json *format = JSON_GET(c, "format");
	const struct oc_path custom_at = oc_path_member(at, "custom");
	const struct oc_path name_at = oc_path_member(&custom_at, "name");

	ret->name = json_str(json_get(c, STR("name")));
	if (!ret->name.len)
		return oc_refuse_type(r, &name_at, "a name", json_get(c, STR("name")));
	ret->description = json_str(json_get(c, STR("description")));
	ret->parameters =
		STR("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},"
		    "\"required\":[\"input\"],\"additionalProperties\":false}");
	ret->custom = true;
	return format ? read_custom_format(r, format, ret) : RC_OK;
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
	if (str_eq(json_str(type), STR("custom")))
		return read_custom(r, json_get(v, STR("custom")), at, ret);
	/* whatever a vendor offers besides */
	if (json_is_str(type) && !str_eq(json_str(type), STR("function"))) {
		ret->server_raw = json_text(r->arena, v);
		ret->origin = OC_NAME;
		return ret->server_raw.ptr ? RC_OK : oc_nomem(r);
	}
	if (!f &&
	    json_is_str(json_get(v, STR("name")))) /* as Responses has it, from clients of both */
		return oc_read_function(r, v, at, ret);
	p = oc_path_member(at, "function");
	if (!json_is_obj(f))
		return oc_refuse_type(r, &p, "an object", f);
	return oc_read_function(r, f, &p, ret);
}

/* `tools`, and `functions` of old, whose items are functions without their wrapping. */
static int read_tool_list(const struct oc_reader *r, const json *v, const char *name,
			  struct ir_request *q)
{
	bool legacy = strcmp(name, "functions") == 0;
	const struct oc_path at = { .member = name };
	struct json_iter it = json_iter(v);
	size_t n = json_len(v);
	int rc = RC_OK;

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
			rc = json_is_obj(it.val) ? oc_read_function(r, it.val, &p, &q->tools[i])
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

static int read_allowed(const struct oc_reader *r, const json *v, const struct oc_path *at,
			struct ir_request *q)
{
	const json *inner = json_get(v, STR("allowed_tools")), *tools;
	struct oc_path p = oc_path_member(at, "allowed_tools");
	struct json_iter it;

	if (!json_is_obj(inner)) /* the flat form of the Responses API */
		inner = v;
	tools = json_get(inner, STR("tools"));
	q->choice.mode = oc_choice_mode(json_str(json_get(inner, STR("mode"))));
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
	const struct oc_path at = { .member = "tool_choice" };

	if (json_is_str(v)) {
		q->choice.mode = oc_choice_mode(json_str(v));
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
	const struct oc_path at = { .member = "function_call" };

	if (q->choice.mode != IR_CHOICE_UNSET)
		return RC_OK;
	if (json_is_str(v)) {
		q->choice.mode = oc_choice_mode(json_str(v));
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
	const struct oc_path at = { .member = "response_format" };
	struct oc_path here;

	if (!json_is_obj(v))
		return oc_refuse_type(r, &at, "an object", v);
	if (str_eq(type, STR("text"))) {
		q->format.kind = IR_FORMAT_TEXT;
		return RC_OK;
	}
	if (str_eq(type, STR("json_object"))) {
		schema = JSON_GET(v, "schema"); /* llama.cpp, Together: the schema stands here */
	} else if (!str_eq(type, STR("json_schema"))) {
		here = oc_path_member(&at, "type");
		return oc_refuse(r, &here,
				 "supported values are 'text', 'json_object' and 'json_schema'.");
	} else if (!json_is_obj(s)) {
		here = oc_path_member(&at, "json_schema");
		return oc_refuse_type(r, &here, "an object", s);
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

static int read_effort(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { .member = "reasoning_effort" };

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
	const struct oc_path at = { .member = "reasoning" };
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
	const struct oc_path at = { .member = "thinking" };
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
	const struct oc_path at = { .member = "parallel_tool_calls" };

	if (!json_is_bool(v))
		return oc_refuse_type(r, &at, "a boolean", v);
	q->choice.parallel = json_bool(v, true) ? IR_TRUE : IR_FALSE;
	return RC_OK;
}

static int read_max_completion(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { .member = "max_completion_tokens" };

	/* Of both names the newer one counts (trap 66). */
	return json_i64(v, &q->max_tokens) ? RC_OK : oc_refuse_type(r, &at, "an integer", v);
}

static int read_max_tokens(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { .member = "max_tokens" };

	if (q->max_tokens != IR_UNSET)
		return RC_OK;
	return json_i64(v, &q->max_tokens) ? RC_OK : oc_refuse_type(r, &at, "an integer", v);
}

/* --- the table --- */

/* In the order of reading: where two members say the same, the first one counts. */
static const struct oc_member members[] = {
	OC_MEMBER("model", OC_STRING, model),
	OC_MEMBER("stream", OC_FLAG, stream),
	OC_CALLS("stream_options", oc_read_stream_options),
	OC_CALLS("max_completion_tokens", read_max_completion),
	OC_CALLS("max_tokens", read_max_tokens),
	OC_MEMBER("temperature", OC_NUMBER, temperature),
	OC_MEMBER("top_p", OC_NUMBER, top_p),
	OC_MEMBER("frequency_penalty", OC_NUMBER, frequency_penalty),
	OC_MEMBER("presence_penalty", OC_NUMBER, presence_penalty),
	OC_MEMBER("top_k", OC_INTEGER, top_k),
	OC_MEMBER("seed", OC_INTEGER, seed),
	OC_MEMBER("n", OC_INTEGER, n),
	OC_MEMBER("logprobs", OC_BOOL, logprobs),
	OC_MEMBER("top_logprobs", OC_INTEGER, top_logprobs),
	OC_MEMBER("store", OC_BOOL, store),
	OC_CALLS("stop", oc_read_stop),
	OC_CALLS("tools", read_tools),
	OC_CALLS("functions", read_functions),
	OC_CALLS("tool_choice", read_tool_choice),
	OC_CALLS("function_call", read_function_call),
	OC_CALLS("parallel_tool_calls", read_parallel),
	OC_CALLS("response_format", read_format),
	OC_CALLS("reasoning_effort", read_effort),
	OC_CALLS("reasoning", read_reasoning),
	OC_CALLS("thinking", read_thinking),
	OC_MEMBER("user", OC_STRING, user),
	OC_MEMBER("service_tier", OC_STRING, service_tier),
	OC_MEMBER("verbosity", OC_STRING, verbosity),
	OC_MEMBER("prompt_cache_key", OC_STRING, prompt_cache_key),
	OC_MEMBER("safety_identifier", OC_STRING, safety_identifier),
	OC_MEMBER("metadata", OC_OBJECT, metadata),
	OC_MEMBER("logit_bias", OC_OBJECT, logit_bias),
	OC_MEMBER("prediction", OC_OBJECT, prediction),
	OC_MEMBER("modalities", OC_RAW, modalities),
	OC_MEMBER("audio", OC_OBJECT, audio),
	OC_CALLS("cache_control", read_cache_control),
	OC_MEMBER("messages", OC_SKIP, messages),
	OC_MEMBER("provider", OC_PIN, model), /* a string is our own pin; an object is an extra */
};

enum { N_MEMBERS = sizeof(members) / sizeof(*members) };

int oc_decode_request(struct arena *a, const struct request_line *line, struct str body,
		      struct ir_request **ret, struct err *reterr)
{
	const struct oc_reader r = { .arena = a, .reterr = reterr };
	const json *root;
	struct ir_request *q = arena_alloc(a, sizeof(*q));
	const struct oc_path at = { .member = "model" };
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
	q->body = root;
	rc = oc_read_members(&r, root, members, N_MEMBERS, q);
	if (str_present(line->arg)) /* the path names it: Azure's deployments */
		q->model = line->arg;
	if (!rc && q->model.len == 0)
		rc = str_present(q->model) ? oc_refuse(&r, &at, "it must not be empty.")
					   : oc_refuse_type(&r, &at, "", NULL);
	if (!rc)
		rc = oc_read_messages(&r, json_get(root, STR("messages")), q);
	if (!rc && !shape_note_unknown(a, root, oc_request_shape, q))
		rc = oc_nomem(&r);
	if (rc)
		return rc;
	ir_request_needs(q);
	q->one_call = oc_asked_of_old(q);
	*ret = q;
	return RC_OK;
}

bool oc_asked_of_old(const struct ir_request *r)
{
	const json *body = r && oc_minted(r->origin) ? r->body : NULL;

	return body && JSON_GET(body, "functions") && !JSON_GET(body, "tools");
}
