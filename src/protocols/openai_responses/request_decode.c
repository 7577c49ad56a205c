/* protocols/openai_responses/request_decode.c - a Responses body as the canonical request: everything but the items.
 *
 * The hard thing is what asks the server to remember: a stored response, a conversation, a template, an item's id. Here nothing is
 * kept, so such a request is refused before a model sees half of it (trap 96); who keeps state takes these members out
 * before. */
#include "protocols/openai_responses/openai_responses.h"
#include "protocols/shape.h"

/* --- tools --- */

/* Its schema where only functions are known: the input as one string. */
static int read_custom(const struct oc_reader *r, const json *v, const struct oc_path *at,
		       struct ir_tool *ret)
{
	const json *name = json_get(v, STR("name")), *format = JSON_GET(v, "format");
	struct oc_path p = oc_path_member(at, "name");

	if (!json_str(name).len)
		return oc_refuse_type(r, &p, "a name", name);
	ret->name = json_str(name);
	ret->description = json_str(json_get(v, STR("description")));
	ret->parameters =
		STR("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},"
		    "\"required\":[\"input\"],\"additionalProperties\":false}");
	ret->custom = true;
	if (!format || str_eq(json_str(json_get(format, STR("type"))), STR("text")))
		return RC_OK;
	ret->custom_format = json_text(r->arena, format);
	return ret->custom_format.ptr ? RC_OK : oc_nomem(r);
}

static int read_tool(const struct oc_reader *r, const json *v, const struct oc_path *at,
		     struct ir_tool *ret)
{
	const json *type = json_get(v, STR("type"));
	struct oc_path p = oc_path_member(at, "type");

	*ret = (struct ir_tool){ .cache = oc_read_cache(v) };
	if (!json_is_obj(v))
		return oc_refuse_type(r, at, "an object", v);
	if (!json_is_str(type))
		return oc_refuse_type(r, &p, "a string", type);
	if (str_eq(json_str(type), STR("function"))) {
		const json *inner =
			JSON_GET(v, "function"); /* Chat's form, by clients that mix both up */

		return oc_read_function(r, json_is_obj(inner) ? inner : v, at, ret);
	}
	if (str_eq(json_str(type), STR("custom")))
		return read_custom(r, v, at, ret);
	ret->server_raw = json_text(r->arena, v);
	ret->origin = RS_NAME;
	return ret->server_raw.ptr ? RC_OK : oc_nomem(r);
}

struct str rs_joined_name(struct arena *a, const json *v, struct str name)
{
	struct str ns = json_str(json_get(v, STR("namespace")));

	return ns.len ? arena_printf(a, "%.*s__%.*s", STR_ARG(ns), STR_ARG(name)) : name;
}

/* The tools inside, when `v` is a namespace of tools; else NULL. */
static const json *inside(const json *v)
{
	const json *tools = json_get(v, STR("tools"));

	return str_eq(json_str(json_get(v, STR("type"))), STR("namespace")) && json_is_arr(tools) &&
			       json_str(json_get(v, STR("name"))).len
		       ? tools
		       : NULL;
}

static int read_namespace(const struct oc_reader *r, const json *v, const struct oc_path *at,
			  struct ir_request *q)
{
	struct str ns = json_str(json_get(v, STR("name")));
	const struct oc_path tools = oc_path_member(at, "tools");
	struct json_iter it = json_iter(inside(v));
	int rc = RC_OK;

	for (unsigned i = 0; !rc && json_next(&it); i++) {
		struct oc_path p = oc_path_index(&tools, i);
		struct ir_tool *t = &q->tools[q->n_tools];

		rc = read_tool(r, it.val, &p, t);
		q->n_tools++;
		if (rc || !str_present(t->name))
			continue;
		t->ns = ns;
		t->name = arena_printf(r->arena, "%.*s__%.*s", STR_ARG(ns), STR_ARG(t->name));
		rc = t->name.ptr ? RC_OK : oc_nomem(r);
	}
	return rc;
}

int rs_add_tools(const struct oc_reader *r, const json *list, const struct oc_path *at,
		 struct ir_request *q)
{
	struct json_iter it = json_iter(list);
	size_t n = q->n_tools + 1;
	struct ir_tool *tools;
	int rc = RC_OK;

	if (!json_is_arr(list))
		return oc_refuse_type(r, at, "an array", list);
	while (json_next(&it))
		n += inside(it.val) ? json_len(inside(it.val)) : 1;
	tools = arena_array(r->arena, n, sizeof(*tools));
	if (!tools)
		return oc_nomem(r);
	for (unsigned i = 0; i < q->n_tools; i++)
		tools[i] = q->tools[i];
	q->tools = tools;
	it = json_iter(list);
	for (unsigned i = 0; !rc && json_next(&it); i++) {
		struct oc_path p = oc_path_index(at, i);

		rc = inside(it.val) ? read_namespace(r, it.val, &p, q)
				    : read_tool(r, it.val, &p, &q->tools[q->n_tools++]);
	}
	return rc;
}

static int read_tools(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { .member = "tools" };

	return rs_add_tools(r, v, &at, q);
}

/* A function's or custom tool's name, with its namespace where it stands in one; a server tool goes by its type. Absent when memory is
 * out. */
static struct str choice_name(const struct oc_reader *r, const json *v)
{
	struct str name = json_str(json_get(v, STR("name")));

	if (!name.len)
		name = json_str(json_get(json_get(v, STR("function")), STR("name")));
	return name.len ? rs_joined_name(r->arena, v, name) : json_str(json_get(v, STR("type")));
}

/* Trap 76: a hard constraint; the list of tools itself stays as it is. */
static int read_allowed(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { .member = "tool_choice" };
	const json *inner = json_get(v, STR("allowed_tools")), *tools;
	const json *mode = JSON_GET(v, "mode");
	struct oc_path p;
	struct json_iter it;

	if (json_is_obj(inner)) /* Chat's form */
		v = inner;
	mode = JSON_GET(v, "mode");
	tools = json_get(v, STR("tools"));
	q->choice.mode = mode ? oc_choice_mode(json_str(mode)) : IR_CHOICE_AUTO;
	p = oc_path_member(&at, "mode");
	if (q->choice.mode == IR_CHOICE_UNSET)
		return oc_refuse(r, &p, "supported values are 'auto' and 'required'.");
	p = oc_path_member(&at, "tools");
	if (!json_is_arr(tools))
		return oc_refuse_type(r, &p, "an array", tools);
	q->choice.allowed = arena_array(r->arena, json_len(tools) + 1, sizeof(*q->choice.allowed));
	if (!q->choice.allowed)
		return oc_nomem(r);
	it = json_iter(tools);
	while (json_next(&it)) {
		struct str name = choice_name(r, it.val);

		if (!name.len)
			return oc_refuse(r, &p, "each of the tools needs a type and a name.");
		q->choice.allowed[q->choice.n_allowed++] = name;
	}
	return RC_OK;
}

static int read_tool_choice(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { .member = "tool_choice" };

	if (json_is_str(v)) {
		q->choice.mode = oc_choice_mode(json_str(v));
		return q->choice.mode != IR_CHOICE_UNSET
			       ? RC_OK
			       : oc_refuse(r, &at,
					   "supported values are 'none', 'auto' and 'required'.");
	}
	if (!json_is_obj(v))
		return oc_refuse_type(r, &at, "a string or an object", v);
	if (str_eq(json_str(json_get(v, STR("type"))), STR("allowed_tools")))
		return read_allowed(r, v, q);
	q->choice.name = choice_name(r, v);
	q->choice.mode = IR_CHOICE_NAMED;
	return q->choice.name.len ? RC_OK : oc_refuse(r, &at, "it must name a tool.");
}

/* --- the other structured members --- */

static int read_format(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const json *schema = JSON_GET(v, "schema"), *strict = JSON_GET(v, "strict");
	struct str type = json_str(json_get(v, STR("type")));
	const struct oc_path at = { .member = "text.format" };
	struct oc_path p;

	if (!json_is_obj(v))
		return oc_refuse_type(r, &at, "an object", v);
	if (str_eq(type, STR("text"))) {
		q->format.kind = IR_FORMAT_TEXT;
		return RC_OK;
	}
	if (str_eq(type, STR("json_object"))) {
		q->format.kind = IR_FORMAT_JSON_OBJECT;
		return RC_OK;
	}
	if (!str_eq(type, STR("json_schema"))) {
		p = oc_path_member(&at, "type");
		return oc_refuse(r, &p,
				 "supported values are 'text', 'json_object' and 'json_schema'.");
	}
	p = oc_path_member(&at, "schema");
	if (!json_is_obj(schema))
		return oc_refuse_type(r, &p, "an object", schema);
	q->format.kind = IR_FORMAT_JSON_SCHEMA;
	q->format.name = json_str(json_get(v, STR("name")));
	q->format.description = json_str(json_get(v, STR("description")));
	if (json_is_bool(strict))
		q->format.strict = json_bool(strict, false) ? IR_TRUE : IR_FALSE;
	q->format.schema = json_text(r->arena, schema);
	return q->format.schema.ptr ? RC_OK : oc_nomem(r);
}

static int read_text(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { .member = "text" };
	const json *format = JSON_GET(v, "format"), *verbosity = JSON_GET(v, "verbosity");
	struct oc_path p = oc_path_member(&at, "verbosity");

	if (!json_is_obj(v))
		return oc_refuse_type(r, &at, "an object", v);
	if (verbosity && !json_is_str(verbosity))
		return oc_refuse_type(r, &p, "a string", verbosity);
	q->verbosity = json_str(verbosity);
	return format ? read_format(r, format, q) : RC_OK;
}

/* How long a summary is wanted is OpenAI's own matter; others know only that one is. False: out of memory. */
static bool read_summary(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const json *summary = JSON_GET(v, "summary");

	if (!summary)
		summary = JSON_GET(v, "generate_summary");
	if (!summary)
		return true;
	q->reasoning.display = STR("summarized");
	return str_eq(json_str(summary), STR("auto")) ||
	       shape_note(r->arena, STR("reasoning.summary"), q);
}

static int read_reasoning(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const json *effort = JSON_GET(v, "effort");
	const struct oc_path at = { .member = "reasoning" };
	const struct oc_path effort_at = oc_path_member(&at, "effort");

	if (!json_is_obj(v))
		return oc_refuse_type(r, &at, "an object", v);
	if (!read_summary(r, v, q))
		return oc_nomem(r);
	if (!effort)
		return RC_OK;
	if (!json_is_str(effort))
		return oc_refuse_type(r, &effort_at, "a string", effort);
	q->reasoning.effort = ir_effort_parse(json_str(effort));
	return q->reasoning.effort != IR_EFFORT_UNSET
		       ? RC_OK
		       : oc_refuse(r, &effort_at,
				   "supported values are 'none', 'minimal', 'low', 'medium', "
				   "'high', 'xhigh' and 'max'.");
}

/* What we give anyway, or know by another name, is nothing that a target could lose. */
static bool is_ours_to_give(struct str include)
{
	return str_eq(include, STR("reasoning.encrypted_content")) ||
	       str_eq(include, STR("message.output_text.logprobs"));
}

static int read_include(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { .member = "include" };
	struct json_iter it = json_iter(v);
	bool others = false;

	if (!json_is_arr(v))
		return oc_refuse_type(r, &at, "an array of strings", v);
	for (unsigned i = 0; json_next(&it); i++) {
		struct oc_path p = oc_path_index(&at, i);

		if (!json_is_str(it.val))
			return oc_refuse_type(r, &p, "a string", it.val);
		others = others || !is_ours_to_give(json_str(it.val));
		q->keeps_reasoning = q->keeps_reasoning ||
				     str_eq(json_str(it.val), STR("reasoning.encrypted_content"));
		if (str_eq(json_str(it.val), STR("message.output_text.logprobs")))
			q->logprobs = IR_TRUE;
	}
	if (!others)
		return RC_OK;
	q->include = json_text(r->arena, v);
	return q->include.ptr ? RC_OK : oc_nomem(r);
}

static int read_parallel(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { .member = "parallel_tool_calls" };

	if (!json_is_bool(v))
		return oc_refuse_type(r, &at, "a boolean", v);
	q->choice.parallel = json_bool(v, true) ? IR_TRUE : IR_FALSE;
	return RC_OK;
}

static const struct oc_member members[] = {
	OC_MEMBER("model", OC_STRING, model),
	OC_MEMBER("stream", OC_FLAG, stream),
	OC_MEMBER("max_output_tokens", OC_INTEGER, max_tokens),
	OC_MEMBER("max_tool_calls", OC_INTEGER, max_tool_calls),
	OC_MEMBER("temperature", OC_NUMBER, temperature),
	OC_MEMBER("top_p", OC_NUMBER, top_p),
	OC_MEMBER("frequency_penalty", OC_NUMBER, frequency_penalty),
	OC_MEMBER("presence_penalty", OC_NUMBER, presence_penalty),
	OC_MEMBER("top_logprobs", OC_INTEGER, top_logprobs),
	OC_MEMBER("store", OC_BOOL, store),
	OC_MEMBER("background", OC_BOOL, background),
	OC_MEMBER("previous_response_id", OC_STRING, previous_response_id),
	OC_MEMBER("truncation", OC_STRING, truncation),
	OC_CALLS("include", read_include),
	OC_CALLS("tools", read_tools),
	OC_CALLS("tool_choice", read_tool_choice),
	OC_CALLS("parallel_tool_calls", read_parallel),
	OC_CALLS("text", read_text),
	OC_CALLS("reasoning", read_reasoning),
	OC_MEMBER("user", OC_STRING, user),
	OC_MEMBER("service_tier", OC_STRING, service_tier),
	OC_MEMBER("prompt_cache_key", OC_STRING, prompt_cache_key),
	OC_MEMBER("safety_identifier", OC_STRING, safety_identifier),
	OC_MEMBER("metadata", OC_OBJECT, metadata),
	OC_MEMBER("instructions", OC_SKIP, model),
	OC_MEMBER("input", OC_SKIP, model),
	OC_MEMBER("stream_options", OC_SKIP, model), /* only obfuscation: request_shape.c */
	OC_MEMBER("provider", OC_PIN, model),
};

enum { N_MEMBERS = sizeof(members) / sizeof(*members) };

/* Without an input there must be something else that says what to go on from. */
static bool input_may_miss(const json *root)
{
	return JSON_GET(root, "previous_response_id") || JSON_GET(root, "conversation") ||
	       JSON_GET(root, "prompt");
}

static int read_conversation(const struct oc_reader *r, const json *root, struct ir_request *q)
{
	const json *instructions = JSON_GET(root, "instructions"), *input = JSON_GET(root, "input");
	struct oc_path at = { .member = "instructions" };

	if (instructions && !json_is_str(instructions))
		return oc_refuse_type(r, &at, "a string", instructions);
	at = (struct oc_path){ .member = "input" };
	if (!input && !input_may_miss(root))
		return oc_refuse_type(r, &at, "", NULL);
	return rs_read_input(r, json_str(instructions), input, q);
}

int rs_decode_request(struct arena *a, const struct request_line *line, struct str body,
		      struct ir_request **ret, struct err *reterr)
{
	const struct oc_reader r = { .arena = a, .reterr = reterr };
	const struct oc_path at = { .member = "model" };
	const json *root;
	struct ir_request *q = arena_alloc(a, sizeof(*q));
	int rc = oc_parse(a, body, &root, reterr);

	(void)line;
	if (rc)
		return rc;
	if (!q)
		return oc_nomem(&r);
	if (!json_is_obj(root))
		return err_set(reterr, RC_INVALID,
			       "the request body must be a JSON object, but is %s",
			       json_type(root));
	ir_request_init(q);
	q->origin = RS_NAME;
	q->body = root;
	q->include_usage = true;
	rc = oc_read_members(&r, root, members, N_MEMBERS, q);
	if (!rc && q->model.len == 0)
		rc = str_present(q->model) ? oc_refuse(&r, &at, "it must not be empty.")
					   : oc_refuse_type(&r, &at, "", NULL);
	if (!rc && q->top_logprobs > 0)
		q->logprobs = IR_TRUE;
	if (!rc)
		rc = read_conversation(&r, root, q);
	if (!rc && !shape_note_unknown(a, root, rs_request_shape, q))
		rc = oc_nomem(&r);
	if (rc)
		return rc;
	ir_request_needs(q);
	*ret = q;
	return RC_OK;
}

static int refuse_reference(const struct ir_request *r, struct err *reterr)
{
	for (unsigned i = 0; i < r->n_messages; i++) {
		for (unsigned k = 0; k < r->messages[i].n_parts; k++) {
			const struct ir_part *p = &r->messages[i].parts[k];

			if (p->kind == IR_PART_OPAQUE && str_eq(p->name, STR(RS_ITEM_REFERENCE)))
				return err_param(
					reterr, RC_INVALID, "input",
					"Item with id '%.*s' not found. Send the item itself.",
					(int)(p->id.len < 80 ? p->id.len : 80), p->id.ptr);
		}
	}
	return RC_OK;
}

int rs_check_generate(const struct ir_request *r, struct err *reterr)
{
	if (str_present(r->previous_response_id))
		return err_param(
			reterr, RC_INVALID, "previous_response_id",
			"Previous response with id '%.*s' not found.",
			(int)(r->previous_response_id.len < 80 ? r->previous_response_id.len : 80),
			r->previous_response_id.ptr);
	for (unsigned i = 0; i < r->n_extras; i++) {
		struct str name = r->extras[i].name;

		if (str_eq(name, STR("conversation")) || str_eq(name, STR("prompt")))
			return err_param(
				reterr, RC_INVALID, name.ptr[0] == 'c' ? "conversation" : "prompt",
				"'%.*s' is kept by the provider that made it, and what it holds "
				"cannot be read here. Send the items themselves.",
				STR_ARG(name));
	}
	return refuse_reference(r, reterr);
}
