/* protocols/ollama/request_decode.c - an Ollama body as the canonical request: everything but the messages.
 *
 * Sampling stands in `options`, of which a dozen have canonical places and some thirty are the engine's own: those become
 * extras named "options.NAME". What a client sends empty (format "", options {}, null) it did not ask for. */
#include "protocols/ollama/ollama.h"

/* --- what is wrong, and where --- */

int ol_refuse_type(const struct ol_reader *r, const char *at, const char *expected, const json *got)
{
	return err_param(r->reterr, RC_INVALID, at, "%s must be %s, but is %s", at, expected,
			 json_type(got));
}

int ol_nomem(const struct ol_reader *r)
{
	return err_set(r->reterr, RC_NOMEM, "the request needs more memory than it may use");
}

int ol_read_string(const struct ol_reader *r, const json *holder, const char *member,
		   const char *at, struct str *ret)
{
	const json *v = json_get_set(holder, str_from(member));

	if (!v)
		return RC_OK;
	if (!json_is_str(v))
		return ol_refuse_type(r, at, "a string", v);
	*ret = json_str(v);
	return RC_OK;
}

static int keep_raw(const struct ol_reader *r, const json *v, struct str *ret)
{
	*ret = json_text(r->arena, v);
	return ret->ptr ? RC_OK : ol_nomem(r);
}

/* --- options --- */

enum option_kind { O_NUMBER, O_INTEGER, O_LIMIT, O_STOP };

#define OPTION(name, kind, field)                                                         \
	{                                                                                 \
		STR_INIT(name), "options." name, kind, offsetof(struct ir_request, field) \
	}

static const struct {
	struct str name;
	const char *place;
	enum option_kind kind;
	size_t at; /* offset in struct ir_request */
} options[] = {
	OPTION("temperature", O_NUMBER, temperature),
	OPTION("top_p", O_NUMBER, top_p),
	OPTION("frequency_penalty", O_NUMBER, frequency_penalty),
	OPTION("presence_penalty", O_NUMBER, presence_penalty),
	OPTION("top_k", O_INTEGER, top_k),
	OPTION("seed", O_INTEGER, seed),
	OPTION("num_predict", O_LIMIT, max_tokens),
	OPTION("stop", O_STOP, stop),
};

enum { N_OPTIONS = sizeof(options) / sizeof(*options) };

static int read_stop(const struct ol_reader *r, const json *v, struct ir_request *q)
{
	struct json_iter it = json_iter(v);

	if (!json_is_arr(v) && !json_is_str(v))
		return ol_refuse_type(r, "options.stop", "a list of strings", v);
	q->stop = arena_array(r->arena, json_len(v) + 1, sizeof(*q->stop));
	if (!q->stop)
		return ol_nomem(r);
	q->n_stop = 0;
	if (json_is_str(v)) { /* trap 71 */
		q->stop[q->n_stop++] = json_str(v);
		return RC_OK;
	}
	while (json_next(&it)) {
		if (!json_is_str(it.val))
			return ol_refuse_type(r, "options.stop", "a list of strings", it.val);
		q->stop[q->n_stop++] = json_str(it.val);
	}
	return RC_OK;
}

static int read_option(const struct ol_reader *r, size_t i, const json *v, struct ir_request *q)
{
	void *field = (char *)q + options[i].at;
	const char *at = options[i].place;
	int64_t n;

	switch (options[i].kind) {
	case O_NUMBER:
		*(struct str *)field = json_num(v);
		return json_is_num(v) ? RC_OK : ol_refuse_type(r, at, "a number", v);
	case O_INTEGER:
		return json_i64(v, field) ? RC_OK : ol_refuse_type(r, at, "an integer", v);
	case O_LIMIT:
		if (!json_i64(v, &n))
			return ol_refuse_type(r, at, "an integer", v);
		*(int64_t *)field = n > 0 ? n : IR_UNSET; /* -1, -2, 0: as long as it takes */
		return RC_OK;
	case O_STOP:
		return read_stop(r, v, q);
	}
	return RC_OK;
}

static int add_extra(const struct ol_reader *r, struct ir_request *q, const char *prefix,
		     struct str name, const json *v)
{
	struct ir_extra *x = &q->extras[q->n_extras];

	x->name = *prefix ? arena_printf(r->arena, "%s%.*s", prefix, STR_ARG(name)) : name;
	if (!x->name.ptr)
		return ol_nomem(r);
	q->n_extras++;
	return keep_raw(r, v, &x->raw);
}

static int read_options(const struct ol_reader *r, const json *v, struct ir_request *q)
{
	struct json_iter it = json_iter(v);
	int rc = RC_OK;

	if (!v)
		return RC_OK;
	if (!json_is_obj(v))
		return ol_refuse_type(r, "options", "an object", v);
	while (!rc && json_next(&it)) {
		size_t i;

		if (json_is_null(it.val))
			continue;
		i = json_name_index(&options[0].name, sizeof(options[0]), N_OPTIONS, 0, it.key);
		rc = i < N_OPTIONS ? read_option(r, i, it.val, q)
				   : add_extra(r, q, "options.", it.key, it.val);
	}
	return rc;
}

/* --- the other members --- */

static int read_format(const struct ol_reader *r, const json *v, struct ir_request *q)
{
	struct str word = json_str(v);

	if (!v || (json_is_str(v) && word.len == 0))
		return RC_OK;
	if (json_is_str(v) && str_eq(word, STR("json"))) {
		q->format.kind = IR_FORMAT_JSON_OBJECT;
		return RC_OK;
	}
	if (!json_is_obj(v))
		return ol_refuse_type(r, "format", "\"json\" or a JSON schema", v);
	q->format.kind = IR_FORMAT_JSON_SCHEMA;
	return keep_raw(r, v, &q->format.schema);
}

static int read_think(const struct ol_reader *r, const json *v, struct ir_request *q)
{
	struct str word = json_str(v);

	if (!v || (json_is_str(v) && word.len == 0))
		return RC_OK;
	if (json_is_bool(v)) {
		q->reasoning.thinking =
			json_bool(v, true) ? IR_THINKING_ENABLED : IR_THINKING_DISABLED;
		return RC_OK;
	}
	q->reasoning.effort = ir_effort_parse(word);
	if (q->reasoning.effort == IR_EFFORT_UNSET)
		return ol_refuse_type(r, "think",
				      "true, false, \"low\", \"medium\", \"high\" or \"max\"", v);
	return RC_OK;
}

static int read_tool(const struct ol_reader *r, const json *v, struct ir_tool *ret)
{
	const json *f = json_get(v, STR("function")), *parameters = JSON_GET(f, "parameters");
	struct str type = json_str(json_get(v, STR("type")));

	if (type.len && !str_eq(type, STR("function"))) {
		ret->origin = OL_CHAT_NAME;
		return keep_raw(r, v, &ret->server_raw);
	}
	if (!json_is_obj(f))
		return ol_refuse_type(r, "tools.function", "an object", f);
	ret->name = json_str(json_get(f, STR("name")));
	if (ret->name.len == 0)
		return ol_refuse_type(r, "tools.function.name", "a name", json_get(f, STR("name")));
	ret->description = json_str(json_get(f, STR("description"))); /* null: none (trap 80) */
	if (!parameters)
		return RC_OK;
	if (!json_is_obj(parameters))
		return ol_refuse_type(r, "tools.function.parameters", "an object", parameters);
	return keep_raw(r, parameters, &ret->parameters);
}

static int read_tools(const struct ol_reader *r, const json *v, struct ir_request *q)
{
	struct json_iter it = json_iter(v);
	int rc = RC_OK;

	if (!v)
		return RC_OK;
	if (!json_is_arr(v))
		return ol_refuse_type(r, "tools", "a list", v);
	q->tools = arena_array(r->arena, json_len(v) + 1, sizeof(*q->tools));
	if (!q->tools)
		return ol_nomem(r);
	while (!rc && json_next(&it))
		rc = read_tool(r, it.val, &q->tools[q->n_tools++]);
	return rc;
}

static int read_logprobs(const struct ol_reader *r, const json *root, struct ir_request *q)
{
	const json *wanted = JSON_GET(root, "logprobs"), *top = JSON_GET(root, "top_logprobs");

	if (wanted && !json_is_bool(wanted))
		return ol_refuse_type(r, "logprobs", "a boolean", wanted);
	if (wanted)
		q->logprobs = json_bool(wanted, false) ? IR_TRUE : IR_FALSE;
	if (top && !json_i64(top, &q->top_logprobs))
		return ol_refuse_type(r, "top_logprobs", "an integer", top);
	return RC_OK;
}

/* Members of our own reading, and those that say nothing at their usual value. */
static bool is_extra(enum ol_form form, struct str name, const json *v)
{
	static const struct str shared[] = { STR_INIT("model"),       STR_INIT("stream"),
					     STR_INIT("options"),     STR_INIT("format"),
					     STR_INIT("think"),       STR_INIT("logprobs"),
					     STR_INIT("top_logprobs") };
	static const struct str own[][6] = {
		[OL_CHAT] = { STR_INIT("messages"), STR_INIT("tools") },
		[OL_GENERATE] = { STR_INIT("prompt"), STR_INIT("system"), STR_INIT("images"),
				  STR_INIT("suffix") },
	};

	if (json_is_null(v) || (json_is_str(v) && json_str(v).len == 0) ||
	    (json_is_arr(v) && json_len(v) == 0) ||
	    (str_eq(name, STR("raw")) && json_is_bool(v) && !json_bool(v, true)))
		return false;
	if (str_eq(name, STR("provider")))
		return !json_is_str(v); /* a string is our own pin */
	for (size_t i = 0; i < sizeof(shared) / sizeof(*shared); i++)
		if (str_eq(name, shared[i]))
			return false;
	for (size_t i = 0; i < 6 && own[form][i].ptr; i++)
		if (str_eq(name, own[form][i]))
			return false;
	return true;
}

static int read_extras(const struct ol_reader *r, enum ol_form form, const json *root,
		       struct ir_request *q)
{
	struct json_iter it = json_iter(root);
	int rc = RC_OK;

	while (!rc && json_next(&it)) {
		if (!is_extra(form, it.key, it.val))
			continue;
		if (str_starts(it.key, STR("options."))) /* would be taken for an option */
			return err_param(r->reterr, RC_INVALID, "options",
					 "options must be an object, not a part of a name");
		rc = add_extra(r, q, "", it.key, it.val);
	}
	return rc;
}

/* --- one prompt as a conversation --- */

static int read_prompt(const struct ol_reader *r, const json *root, struct ir_request *q)
{
	const json *images = JSON_GET(root, "images");
	struct ir_part *parts = arena_array(r->arena, json_len(images) + 2, sizeof(*parts));
	struct str system = STR(""), prompt = STR("");
	struct ir_message *user;
	unsigned n = 1;
	int rc = ol_read_string(r, root, "prompt", "prompt", &prompt);

	if (!parts)
		return ol_nomem(r);
	if (!rc)
		rc = ol_read_string(r, root, "system", "system", &system);
	if (!rc)
		rc = ol_read_string(r, root, "suffix", "suffix", &q->suffix);
	if (q->suffix.len == 0)
		q->suffix = STR_NONE;
	if (rc)
		return rc;
	if (prompt.len == 0)
		return err_param(r->reterr, RC_INVALID, "prompt", "prompt must not be empty");
	q->messages = arena_array(r->arena, 2, sizeof(*q->messages));
	if (!q->messages)
		return ol_nomem(r);
	if (system.len) {
		struct ir_part *p = arena_alloc(r->arena, sizeof(*p));

		if (!p)
			return ol_nomem(r);
		*p = (struct ir_part){ .kind = IR_PART_TEXT, .text = system };
		q->messages[q->n_messages++] =
			(struct ir_message){ .role = IR_ROLE_SYSTEM, .parts = p, .n_parts = 1 };
	}
	parts[0] = (struct ir_part){ .kind = IR_PART_TEXT, .text = prompt };
	rc = ol_read_images(r, images, "images", parts, &n);
	user = &q->messages[q->n_messages++];
	*user = (struct ir_message){ .role = IR_ROLE_USER, .parts = parts, .n_parts = n };
	return rc;
}

static int read_all(const struct ol_reader *r, enum ol_form form, const json *root,
		    struct ir_request *q)
{
	const json *stream = JSON_GET(root, "stream");
	int rc = ol_read_string(r, root, "model", "model", &q->model);

	if (!rc && q->model.len == 0)
		return err_param(r->reterr, RC_INVALID, "model", "model is required");
	if (!rc && stream && !json_is_bool(stream))
		return ol_refuse_type(r, "stream", "a boolean", stream);
	q->stream = json_bool(stream, true);
	q->extras =
		arena_array(r->arena, json_len(root) + json_len(json_get(root, STR("options"))) + 1,
			    sizeof(*q->extras));
	if (!q->extras)
		return ol_nomem(r);
	if (!rc)
		rc = form == OL_CHAT ? ol_read_messages(r, JSON_GET(root, "messages"), q)
				     : read_prompt(r, root, q);
	if (!rc && form == OL_CHAT)
		rc = read_tools(r, JSON_GET(root, "tools"), q);
	if (!rc)
		rc = read_format(r, JSON_GET(root, "format"), q);
	if (!rc)
		rc = read_think(r, JSON_GET(root, "think"), q);
	if (!rc)
		rc = read_logprobs(r, root, q);
	if (!rc)
		rc = read_options(r, JSON_GET(root, "options"), q);
	return rc ? rc : read_extras(r, form, root, q);
}

int ol_decode_request(enum ol_form form, struct arena *a, struct str body, struct ir_request **ret,
		      struct err *reterr)
{
	const struct ol_reader r = { .arena = a, .reterr = reterr };
	struct ir_request *q = arena_alloc(a, sizeof(*q));
	const json *root;
	int rc = ol_parse(a, body, &root, reterr);

	if (rc)
		return rc;
	if (!q)
		return ol_nomem(&r);
	if (!json_is_obj(root))
		return err_set(reterr, RC_INVALID,
			       "the request body must be a JSON object, but is %s",
			       json_type(root));
	ir_request_init(q);
	q->origin = form == OL_CHAT ? OL_CHAT_NAME : OL_GENERATE_NAME;
	q->include_usage = true;
	rc = read_all(&r, form, root, q);
	if (!rc && form == OL_CHAT && !shape_note_unknown(a, root, ol_request_shape, q))
		rc = ol_nomem(&r);
	if (rc)
		return rc;
	ir_request_needs(q);
	*ret = q;
	return RC_OK;
}
