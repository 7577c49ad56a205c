/* protocols/openai.c - what OpenAI's wire formats share in reading and writing requests. */
#include "protocols/openai.h"

#include <assert.h>
#include <stdio.h>

enum { WRAPPED_MAX = 256 << 20 };

int oc_parse(struct arena *a, struct str text, const json **ret, struct err *reterr)
{
	struct err err;

	*ret = json_parse(a, text, &err);
	if (*ret)
		return RC_OK;
	if (reterr)
		*reterr = err;
	return err.code;
}

const json *oc_choice(const json *choices, unsigned number)
{
	struct json_iter it = json_iter(choices);

	while (json_next(&it)) {
		int64_t index;

		if (!json_i64(json_get(it.val, STR("index")), &index))
			index = 0;
		if (index == number)
			return it.val;
	}
	return NULL;
}

/* --- where we are, and what is wrong there --- */

struct oc_path oc_path_member(const struct oc_path *at, const char *member)
{
	return (struct oc_path){ .member = member, .up = at };
}

struct oc_path oc_path_index(const struct oc_path *at, unsigned index)
{
	return (struct oc_path){ .index = index, .up = at };
}

/* Outermost first. What does not fit is left out: a path is there to be read, not to be parsed. */
static void put_path(char *text, size_t size, const struct oc_path *at)
{
	size_t used;

	assert(at->up != at);
	if (at->up)
		put_path(text, size, at->up);
	used = strlen(text);
	if (at->member)
		(void)snprintf(text + used, size - used, "%s%s", used ? "." : "", at->member);
	else
		(void)snprintf(text + used, size - used, "[%u]", at->index);
}

int oc_refuse_type(const struct oc_reader *r, const struct oc_path *at, const char *expected,
		   const json *got)
{
	char place[64] = "";

	put_path(place, sizeof(place), at);
	if (!got)
		return err_param(r->reterr, RC_INVALID, place, "Missing required parameter: '%s'.",
				 place);
	return err_param(r->reterr, RC_INVALID, place,
			 "Invalid type for '%s': expected %s, but got %s instead.", place, expected,
			 json_type(got));
}

int oc_refuse(const struct oc_reader *r, const struct oc_path *at, const char *what)
{
	char place[64] = "";

	put_path(place, sizeof(place), at);
	return err_param(r->reterr, RC_INVALID, place, "Invalid value for '%s': %s", place, what);
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

/* --- members --- */

static int read_member(const struct oc_reader *r, const struct oc_member *m, const json *v,
		       struct ir_request *q)
{
	void *field = (char *)q + m->at;
	const struct oc_path at = { .member = m->name.ptr };

	switch (m->kind) {
	case OC_SKIP:
	case OC_PIN:
		return RC_OK;
	case OC_CALL:
		return m->read(r, v, q);
	case OC_STRING:
		/* An empty text says nothing, but of what there must be. */
		if (json_str(v).len || m->at == offsetof(struct ir_request, model))
			*(struct str *)field = json_str(v);
		return json_is_str(v) ? RC_OK : oc_refuse_type(r, &at, "a string", v);
	case OC_NUMBER:
		*(struct str *)field = json_num(v);
		return json_is_num(v) ? RC_OK : oc_refuse_type(r, &at, "a number", v);
	case OC_INTEGER:
		return json_i64(v, field) ? RC_OK : oc_refuse_type(r, &at, "an integer", v);
	case OC_BOOL:
		*(enum ir_tri *)field = json_bool(v, false) ? IR_TRUE : IR_FALSE;
		return json_is_bool(v) ? RC_OK : oc_refuse_type(r, &at, "a boolean", v);
	case OC_FLAG:
		*(bool *)field = json_bool(v, false);
		return json_is_bool(v) ? RC_OK : oc_refuse_type(r, &at, "a boolean", v);
	case OC_OBJECT:
		if (!json_is_obj(v))
			return oc_refuse_type(r, &at, "an object", v);
		if (json_len(v) == 0)
			return RC_OK;
		break;
	case OC_RAW:
		break;
	}
	*(struct str *)field = json_text(r->arena, v);
	return ((struct str *)field)->ptr ? RC_OK : oc_nomem(r);
}

static bool is_member(struct str name, const json *v, const struct oc_member *members, unsigned n)
{
	size_t i = json_name_index(&members->name, sizeof(*members), n, 0, name);

	return i < n && (members[i].kind != OC_PIN || json_is_str(v));
}

static int read_extras(const struct oc_reader *r, const json *root, const struct oc_member *members,
		       unsigned n, struct ir_request *q)
{
	struct json_iter it = json_iter(root);

	q->extras = arena_array(r->arena, json_len(root) + 1, sizeof(*q->extras));
	if (!q->extras)
		return oc_nomem(r);
	while (json_next(&it)) {
		struct ir_extra *x = &q->extras[q->n_extras];

		if (json_is_null(it.val) || is_member(it.key, it.val, members, n))
			continue;
		*x = (struct ir_extra){ it.key, json_text(r->arena, it.val) };
		if (!x->raw.ptr)
			return oc_nomem(r);
		q->n_extras++;
	}
	return RC_OK;
}

int oc_read_members(const struct oc_reader *r, const json *root, const struct oc_member *members,
		    unsigned n, struct ir_request *q)
{
	const json *said[OC_MAX_MEMBERS];
	bool extras;
	int rc = RC_OK;

	assert(n <= OC_MAX_MEMBERS);
	extras = json_find(root, &members->name, sizeof(*members), n, said) > 0;
	for (unsigned i = 0; !rc && i < n; i++) {
		if (!said[i])
			continue;
		extras = extras || (members[i].kind == OC_PIN && !json_is_str(said[i]));
		rc = read_member(r, &members[i], said[i], q);
	}
	return rc || !extras ? rc : read_extras(r, root, members, n, q);
}

bool oc_shares_extra(const struct ir_request *r, struct str name, const struct request_target *t)
{
	static const struct str shared[] = { STR_INIT("prompt_cache_retention"),
					     STR_INIT("prompt_cache_options"),
					     STR_INIT("moderation") };
	bool openai = r->origin && (strcmp(r->origin, "openai-chat") == 0 ||
				    strcmp(r->origin, "openai-responses") == 0);

	for (size_t i = 0; openai && i < sizeof(shared) / sizeof(*shared); i++) {
		if (str_eq(name, shared[i]))
			return !(t->quirks & QUIRK_CORE_FIELDS);
	}
	return false;
}

int oc_read_stop(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	struct oc_path at = { .member = "stop" };
	struct json_iter it = json_iter(v);

	if (!json_is_str(v) && !json_is_arr(v))
		return oc_refuse_type(r, &at, "a string or an array of strings", v);
	q->stop = arena_array(r->arena, json_len(v) + 1, sizeof(*q->stop));
	if (!q->stop)
		return oc_nomem(r);
	q->n_stop = 0;
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

const struct shape oc_stream_options_shape[] = { SHAPE("include_usage"), SHAPE_END };

int oc_read_stream_options(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { .member = "stream_options" };

	if (!json_is_obj(v))
		return oc_refuse_type(r, &at, "an object", v);
	q->include_usage = json_bool(json_get(v, STR("include_usage")), false);
	return RC_OK;
}

/* --- tools --- */

int oc_read_function(const struct oc_reader *r, const json *f, const struct oc_path *at,
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

enum ir_choice_mode oc_choice_mode(struct str word)
{
	if (str_eq(word, STR("auto")))
		return IR_CHOICE_AUTO;
	if (str_eq(word, STR("none")))
		return IR_CHOICE_NONE;
	return str_eq(word, STR("required")) || str_eq(word, STR("any")) ? IR_CHOICE_REQUIRED
									 : IR_CHOICE_UNSET;
}

/* --- parts --- */

/* A new zeroed part at the end; one that nobody keeps when memory is out. */
struct ir_part *oc_add_part(struct oc_parts *l, enum ir_part_kind kind)
{
	struct ir_part *p = &l->lost;

	if (l->n == l->cap) {
		unsigned cap = l->cap ? l->cap * 2 : 4;
		struct ir_part *items = arena_grow(l->arena, l->items, l->cap * sizeof(*items),
						   cap * sizeof(*items));

		if (items) {
			l->items = items;
			l->cap = cap;
		}
		l->failed = l->failed || !items;
	}
	if (l->n < l->cap)
		p = &l->items[l->n++];
	*p = (struct ir_part){ .kind = kind };
	return p;
}

/* --- calls and results --- */

struct str oc_unwrap_input(struct arena *a, struct str arguments)
{
	const json *input = json_get(json_parse(a, arguments, NULL), STR("input"));

	return json_is_str(input) ? json_str(input) : arguments;
}

bool oc_is_custom(const struct ir_request *r, struct str name)
{
	const struct ir_tool *t = r ? ir_request_tool(r, name) : NULL;

	return t && t->custom;
}

/* {"input": text}, for arguments that a model or a client wrote as bare text. */
struct str oc_wrap_input(struct arena *a, struct str text)
{
	struct buf b;
	struct jw w;
	struct str copy;

	buf_init(&b, WRAPPED_MAX);
	w = jw_on(&b);
	jw_obj(&w);
	jw_kstr(&w, "input", text);
	jw_end_obj(&w);
	copy = buf_ok(&b) ? arena_dup(a, buf_str(&b)) : STR_NONE;
	buf_done(&b);
	return copy;
}

/* Trap 59: "" is no arguments; JSON that is no object is the client's mistake; what is no JSON at all is what a
 * model of old once answered, and goes on as the only argument. */
int oc_read_arguments(const struct oc_reader *r, const json *v, const struct oc_path *at,
		      struct str *ret)
{
	struct oc_path here = oc_path_member(at, "arguments");
	const json *parsed;
	int rc;

	if (json_is_obj(v)) { /* the object itself: Ollama's own form */
		*ret = json_text(r->arena, v);
		return ret->ptr ? RC_OK : oc_nomem(r);
	}
	if (v && !json_is_null(v) && !json_is_str(v))
		return oc_refuse_type(r, &here, "a string", v);
	*ret = str_trim(json_str(v));
	if (ret->len == 0) {
		*ret = STR("{}");
		return RC_OK;
	}
	rc = oc_parse(r->arena, *ret, &parsed, NULL);
	if (rc == RC_SYNTAX) {
		*ret = oc_wrap_input(r->arena, *ret);
		return ret->ptr ? RC_OK : oc_nomem(r);
	}
	if (rc)
		return oc_nomem(r);
	return json_is_obj(parsed) ? RC_OK
				   : oc_refuse(r, &here, "it must be the JSON text of an object.");
}

/* The call that a result at `message` answers stands in the nearest assistant message before it. */
static struct str call_name(const struct ir_request *q, unsigned message, struct str id,
			    unsigned *budget)
{
	unsigned i = message;

	while (i > 0 && q->messages[i - 1].role != IR_ROLE_ASSISTANT)
		i--;
	for (unsigned k = 0; i > 0 && k<q->messages[i - 1].n_parts && * budget> 0;
	     k++, (*budget)--) {
		const struct ir_part *p = &q->messages[i - 1].parts[k];

		if (p->kind == IR_PART_TOOL_CALL && str_eq(p->id, id))
			return p->name;
	}
	return STR_NONE;
}

/* Trap 57: Gemini and others need the function's name with its result. The work is bounded: a request of
 * a million results gets no names, and no minutes of ours either. */
void oc_name_results(struct ir_request *q)
{
	unsigned budget = 1000000;

	for (unsigned i = 0; i < q->n_messages; i++) {
		for (unsigned k = 0; k < q->messages[i].n_parts && budget > 0; k++) {
			struct ir_part *p = &q->messages[i].parts[k];

			if (p->kind == IR_PART_TOOL_RESULT && !str_present(p->name))
				p->name = call_name(q, i, p->id, &budget);
		}
	}
}

/* --- strict schemas --- */

/* Trap 83: OpenAI takes `strict` only where every object lists all its properties as required and allows
 * no others; elsewhere it answers 400. Anthropic's own strict is less demanding. */
static bool strict_object(const json *schema)
{
	const json *properties = json_get(schema, STR("properties")),
		   *required = json_get(schema, STR("required"));
	const json *more = json_get(schema, STR("additionalProperties"));

	return json_is_bool(more) && !json_bool(more, true) &&
	       json_len(properties) == json_len(required);
}

static bool strict_fits(const json *schema, unsigned depth)
{
	struct json_iter it = json_iter(schema);
	bool is_object = str_eq(json_str(json_get(schema, STR("type"))), STR("object")) ||
			 json_get(schema, STR("properties"));

	if (depth == 0 || (is_object && !strict_object(schema)))
		return false;
	while (json_next(&it)) {
		if ((json_is_obj(it.val) || json_is_arr(it.val)) && !strict_fits(it.val, depth - 1))
			return false;
	}
	return true;
}

bool oc_may_be_strict(struct arena *a, struct str text)
{
	const json *schema = str_present(text) ? json_parse(a, text, NULL) : NULL;

	return str_eq(json_str(json_get(schema, STR("type"))), STR("object")) &&
	       strict_fits(schema, 32);
}

/* --- what a target may be asked for --- */

bool oc_is_openai(const char *origin)
{
	return origin && str_starts(str_from(origin), STR("openai-"));
}

bool oc_is_allowed(const struct ir_request *r, struct str name)
{
	if (!r->choice.allowed)
		return true;
	for (unsigned i = 0; i < r->choice.n_allowed; i++) {
		if (str_eq(r->choice.allowed[i], name))
			return true;
	}
	return false;
}

/* OpenAI's models from before reasoning answer 400 to reasoning_effort. */
bool oc_may_reason(const struct request_target *t)
{
	static const struct str older[] = { STR_INIT("gpt-3.5"), STR_INIT("gpt-4"),
					    STR_INIT("chatgpt-4o") };

	if (t->quirks & QUIRK_NO_REASONING_EFFORT)
		return false;
	for (size_t i = 0; i < sizeof(older) / sizeof(*older); i++) {
		if (str_starts(t->model, older[i]))
			return false;
	}
	return true;
}

/* The effort whose budget in the target's table is nearest (trap 84). */
static enum ir_effort nearest_effort(const struct request_target *t, int64_t budget)
{
	enum ir_effort best = IR_EFFORT_MEDIUM;
	int64_t best_off = INT64_MAX;

	for (unsigned e = IR_EFFORT_MINIMAL; e <= IR_EFFORT_MAX; e++) {
		int64_t off = t->budget[e] > budget ? t->budget[e] - budget : budget - t->budget[e];

		if (t->budget[e] > 0 && off < best_off) {
			best = (enum ir_effort)e;
			best_off = off;
		}
	}
	return best;
}

/* Disabled, and adaptive without an effort: what a model does that is not told anything. */
enum ir_effort oc_effort(const struct ir_request *r, const struct request_target *t)
{
	const struct ir_reasoning *g = &r->reasoning;

	if (g->effort != IR_EFFORT_UNSET)
		return g->effort;
	if (g->budget != IR_UNSET)
		return nearest_effort(t, g->budget);
	return g->thinking == IR_THINKING_ENABLED ? IR_EFFORT_MEDIUM : IR_EFFORT_UNSET;
}
