/* protocols/anthropic_messages/request_decode.c - a client's body into the canonical request.
 *
 * The one hard thing: what we have no canonical place for must not vanish unsaid. Every member that
 * is not in the table below becomes an extra, which a target of another protocol discloses as
 * dropped.
 */
#include <stdio.h>

#include "protocols/anthropic_messages/anthropic_messages.h"

struct decode {
	struct am_reader in;
	struct ir_request *r;
	const json *system, *messages;
	unsigned cap_extras;
};

static int no_memory(const struct decode *d)
{
	return err_set(d->in.reterr, RC_NOMEM, "out of memory");
}

/* `raw` NULL: an extra that is only to be disclosed. */
static int add_extra(struct decode *d, const char *group, struct str name, const json *raw)
{
	struct ir_request *r = d->r;
	struct ir_extra x = { .name = name };

	if (group[0])
		x.name = arena_printf(d->in.arena, "%s.%.*s", group, STR_ARG(name));
	if (raw)
		x.raw = json_text(d->in.arena, raw);
	if (!str_present(x.name) || (raw && !str_present(x.raw)))
		return no_memory(d);
	if (r->n_extras == d->cap_extras) {
		unsigned cap = d->cap_extras ? 2 * d->cap_extras : 8;
		struct ir_extra *grown =
			arena_grow(d->in.arena, r->extras, d->cap_extras * sizeof(*grown),
				   cap * sizeof(*grown));

		if (!grown)
			return no_memory(d);
		r->extras = grown;
		d->cap_extras = cap;
	}
	r->extras[r->n_extras++] = x;
	return RC_OK;
}

/* --- plain members --- */

typedef int member_fn(struct decode *d, const json *v, const struct am_path *at);

static int take_str(struct decode *d, const json *v, const struct am_path *at, struct str *ret)
{
	if (!json_is_str(v))
		return am_refuse(&d->in, at, "Input should be a valid string");
	*ret = json_str(v);
	return RC_OK;
}

static int take_count(struct decode *d, const json *v, const struct am_path *at, int64_t *ret)
{
	int64_t n;

	if (!json_i64(v, &n))
		return am_refuse(&d->in, at, "Input should be a valid integer");
	if (n < 0)
		return am_refuse(&d->in, at, "Input should be greater than or equal to 0");
	*ret = n;
	return RC_OK;
}

static int take_number(struct decode *d, const json *v, const struct am_path *at, struct str *ret)
{
	if (!json_is_num(v))
		return am_refuse(&d->in, at, "Input should be a valid number");
	*ret = json_num(v);
	return RC_OK;
}

static int read_model(struct decode *d, const json *v, const struct am_path *at)
{
	return take_str(d, v, at, &d->r->model);
}

static int read_stream(struct decode *d, const json *v, const struct am_path *at)
{
	if (!json_is_bool(v))
		return am_refuse(&d->in, at, "Input should be a valid boolean");
	d->r->stream = json_bool(v, false);
	return RC_OK;
}

static int read_max_tokens(struct decode *d, const json *v, const struct am_path *at)
{
	return take_count(d, v, at, &d->r->max_tokens);
}

static int read_top_k(struct decode *d, const json *v, const struct am_path *at)
{
	return take_count(d, v, at, &d->r->top_k);
}

static int read_temperature(struct decode *d, const json *v, const struct am_path *at)
{
	return take_number(d, v, at, &d->r->temperature);
}

static int read_top_p(struct decode *d, const json *v, const struct am_path *at)
{
	return take_number(d, v, at, &d->r->top_p);
}

static int read_service_tier(struct decode *d, const json *v, const struct am_path *at)
{
	return take_str(d, v, at, &d->r->service_tier);
}

static int read_stop(struct decode *d, const json *v, const struct am_path *at)
{
	struct json_iter it = json_iter(v);
	unsigned n = 0;

	if (!json_is_arr(v))
		return am_refuse(&d->in, at, "Input should be a valid list");
	d->r->stop = arena_array(d->in.arena, json_len(v) + 1, sizeof(*d->r->stop));
	if (!d->r->stop)
		return no_memory(d);
	while (json_next(&it)) {
		struct am_path p = am_path_index(at, n);
		int rc = take_str(d, it.val, &p, &d->r->stop[n]);

		if (rc)
			return rc;
		n++;
	}
	d->r->n_stop = n;
	return RC_OK;
}

static int read_metadata(struct decode *d, const json *v, const struct am_path *at)
{
	struct json_iter it = json_iter(v);

	if (!json_is_obj(v))
		return am_refuse(&d->in, at, "Input should be a valid dictionary");
	while (json_next(&it)) {
		struct am_path p = am_path_member(at, "user_id");
		int rc = RC_OK;

		if (!str_eq(it.key, STR("user_id")))
			rc = add_extra(d, "metadata", it.key, it.val);
		else if (!json_is_null(it.val))
			rc = take_str(d, it.val, &p, &d->r->user);
		if (rc)
			return rc;
	}
	return RC_OK;
}

static int read_top_cache(struct decode *d, const json *v, const struct am_path *at)
{
	(void)v;
	(void)at;
	return RC_OK; /* read with the whole object at hand, in am_decode_request() */
}

/* --- thinking and output --- */

static int read_thinking(struct decode *d, const json *v, const struct am_path *at)
{
	struct ir_reasoning *t = &d->r->reasoning;
	struct str type = json_str(JSON_GET(v, "type"));
	struct am_path at_budget = am_path_member(at, "budget_tokens"),
		       at_type = am_path_member(at, "type");
	const json *budget = JSON_GET(v, "budget_tokens");

	t->display = json_str(JSON_GET(v, "display"));
	if (str_eq(type, STR("disabled"))) {
		t->thinking = IR_THINKING_DISABLED;
		return RC_OK;
	}
	if (str_eq(type, STR("adaptive"))) {
		t->thinking = IR_THINKING_ADAPTIVE;
		return RC_OK;
	}
	if (str_eq(type, STR("between_tools"))) { /* nobody else can be told where to think */
		t->thinking = IR_THINKING_ADAPTIVE;
		return add_extra(d, "thinking", STR("type"), NULL);
	}
	if (!str_eq(type, STR("enabled")))
		return am_refuse(&d->in, &at_type,
				 "Input should be 'enabled', 'disabled' or 'adaptive'");
	t->thinking = IR_THINKING_ENABLED;
	if (!budget)
		return am_refuse(&d->in, &at_budget, "Field required");
	return take_count(d, budget, &at_budget, &t->budget);
}

static int read_format(struct decode *d, const json *v, const struct am_path *at)
{
	const json *schema = JSON_GET(v, "schema");
	struct am_path at_schema = am_path_member(at, "schema"),
		       at_type = am_path_member(at, "type");

	if (!str_eq(json_str(JSON_GET(v, "type")), STR("json_schema")))
		return am_refuse(&d->in, &at_type, "Input should be 'json_schema'");
	if (!json_is_obj(schema))
		return am_refuse(&d->in, &at_schema, "Input should be a valid dictionary");
	d->r->format.kind = IR_FORMAT_JSON_SCHEMA;
	d->r->format.schema = json_text(d->in.arena, schema);
	return str_present(d->r->format.schema) ? RC_OK : no_memory(d);
}

static int read_output_config(struct decode *d, const json *v, const struct am_path *at)
{
	struct json_iter it = json_iter(v);

	if (!json_is_obj(v))
		return am_refuse(&d->in, at, "Input should be a valid dictionary");
	while (json_next(&it)) {
		int rc = RC_OK;

		if (json_is_null(it.val))
			continue;
		if (str_eq(it.key, STR("effort"))) {
			struct am_path p = am_path_member(at, "effort");

			d->r->reasoning.effort = ir_effort_parse(json_str(it.val));
			if (d->r->reasoning.effort == IR_EFFORT_UNSET)
				return am_refuse(&d->in, &p,
						 "Input should be 'low', 'medium', 'high', 'xhigh' "
						 "or 'max'");
		} else if (str_eq(it.key, STR("format"))) {
			struct am_path p = am_path_member(at, "format");

			rc = read_format(d, it.val, &p);
		} else {
			rc = add_extra(d, "output_config", it.key, it.val);
		}
		if (rc)
			return rc;
	}
	return RC_OK;
}

/* --- tools --- */

/* What we have no place for in a custom tool; it only matters when it asks for something. */
static int read_tool_rest(struct decode *d, const json *v)
{
	static const struct str known[] = { STR_INIT("type"),        STR_INIT("name"),
					    STR_INIT("description"), STR_INIT("input_schema"),
					    STR_INIT("strict"),      STR_INIT("cache_control") };
	struct json_iter it = json_iter(v);

	while (json_next(&it)) {
		bool skip =
			json_is_null(it.val) || (json_is_bool(it.val) && !json_bool(it.val, true));

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			skip |= str_eq(known[i], it.key);
		if (!skip) {
			int rc = add_extra(d, "tools", it.key, NULL);

			if (rc)
				return rc;
		}
	}
	return RC_OK;
}

static int read_tool(struct decode *d, const json *v, const struct am_path *at, struct ir_tool *t)
{
	struct str type = json_str(JSON_GET(v, "type"));
	struct am_path at_name = am_path_member(at, "name"),
		       at_schema = am_path_member(at, "input_schema");
	const json *schema = JSON_GET(v, "input_schema"), *strict = JSON_GET(v, "strict");
	int rc;

	if (!json_is_obj(v))
		return am_refuse(&d->in, at, "Input should be a valid dictionary");
	if (str_present(type) && !str_eq(type, STR("custom"))) {
		t->server_raw = json_text(d->in.arena, v);
		t->origin = AM_NAME;
		return str_present(t->server_raw) ? RC_OK : no_memory(d);
	}
	t->name = json_str(JSON_GET(v, "name"));
	if (!t->name.len)
		return am_refuse(&d->in, &at_name,
				 str_present(t->name) ? "String should have at least 1 character"
						      : "Field required");
	t->description = json_str(JSON_GET(v, "description"));
	if (!json_is_obj(schema))
		return am_refuse(&d->in, &at_schema,
				 schema ? "Input should be a valid dictionary" : "Field required");
	t->parameters = json_text(d->in.arena, schema);
	if (!str_present(t->parameters))
		return no_memory(d);
	if (json_is_bool(strict))
		t->strict = json_bool(strict, false) ? IR_TRUE : IR_FALSE;
	rc = am_read_cache(&d->in, v, at, &t->cache);
	return rc ? rc : read_tool_rest(d, v);
}

static int read_tools(struct decode *d, const json *v, const struct am_path *at)
{
	struct json_iter it = json_iter(v);
	struct ir_request *r = d->r;

	if (!json_is_arr(v))
		return am_refuse(&d->in, at, "Input should be a valid list");
	r->n_tools = 0; /* a second member of that name replaces the first */
	r->tools = arena_array(d->in.arena, json_len(v) + 1, sizeof(*r->tools));
	if (!r->tools)
		return no_memory(d);
	while (json_next(&it)) {
		struct am_path p = am_path_index(at, r->n_tools);
		int rc = read_tool(d, it.val, &p, &r->tools[r->n_tools]);

		if (rc)
			return rc;
		r->n_tools++;
	}
	return RC_OK;
}

static int read_tool_choice(struct decode *d, const json *v, const struct am_path *at)
{
	struct ir_tool_choice *c = &d->r->choice;
	struct str type = json_str(JSON_GET(v, "type"));
	const json *serial = JSON_GET(v, "disable_parallel_tool_use");
	struct am_path at_type = am_path_member(at, "type"), at_name = am_path_member(at, "name");

	if (json_is_bool(serial))
		c->parallel = json_bool(serial, false) ? IR_FALSE : IR_TRUE;
	if (str_eq(type, STR("auto")))
		c->mode = IR_CHOICE_AUTO;
	else if (str_eq(type, STR("any")))
		c->mode = IR_CHOICE_REQUIRED;
	else if (str_eq(type, STR("none")))
		c->mode = IR_CHOICE_NONE;
	else if (str_eq(type, STR("tool")))
		c->mode = IR_CHOICE_NAMED;
	else
		return am_refuse(&d->in, &at_type,
				 "Input should be 'auto', 'any', 'tool' or 'none'");
	if (c->mode != IR_CHOICE_NAMED)
		return RC_OK;
	c->name = json_str(JSON_GET(v, "name"));
	return c->name.len ? RC_OK : am_refuse(&d->in, &at_name, "Field required");
}

/* --- system and messages --- */

static int read_system(struct decode *d, const json *v, const struct am_path *at)
{
	(void)at;
	d->system = v; /* stands before the messages, wherever the member stands */
	return RC_OK;
}

static int read_messages(struct decode *d, const json *v, const struct am_path *at)
{
	(void)at;
	d->messages = v;
	return RC_OK;
}

/* Calls are the assistant's and their results the user's, as the vendor holds it: elsewhere they would belong to nothing, and no
 * dialect has a place for them. */
static int check_speakers(const struct decode *d, const struct ir_message *m,
			  const struct am_path *at_content)
{
	for (unsigned i = 0; i < m->n_parts; i++) {
		const struct am_path at = am_path_index(at_content, i);

		if (m->parts[i].kind == IR_PART_TOOL_CALL && m->role != IR_ROLE_ASSISTANT)
			return am_refuse(&d->in, &at,
					 "`tool_use` blocks can only be in `assistant` messages");
		if (m->parts[i].kind == IR_PART_TOOL_RESULT && m->role != IR_ROLE_USER)
			return am_refuse(&d->in, &at,
					 "`tool_result` blocks can only be in `user` messages");
	}
	return RC_OK;
}

static int read_message(struct decode *d, const json *v, const struct am_path *at,
			struct ir_message *m)
{
	int rc;
	struct str role = json_str(JSON_GET(v, "role"));
	struct am_path at_role = am_path_member(at, "role"),
		       at_content = am_path_member(at, "content");

	if (!json_is_obj(v))
		return am_refuse(&d->in, at, "Input should be a valid dictionary");
	if (str_eq(role, STR("user")))
		m->role = IR_ROLE_USER;
	else if (str_eq(role, STR("assistant")))
		m->role = IR_ROLE_ASSISTANT;
	else if (str_eq(role, STR("system"))) /* in the middle: stays in its place (trap 37) */
		m->role = IR_ROLE_SYSTEM;
	else
		return am_refuse(&d->in, &at_role,
				 JSON_GET(v, "role")
					 ? "Input should be 'user', 'assistant' or 'system'"
					 : "Field required");
	rc = am_read_content(&d->in, JSON_GET(v, "content"), &at_content, AM_IN_MESSAGE, &m->parts,
			     &m->n_parts);
	return rc ? rc : check_speakers(d, m, &at_content);
}

static int read_conversation(struct decode *d)
{
	const struct am_path top = { 0 };
	const struct am_path at = am_path_member(&top, "messages");
	const struct am_path at_system = am_path_member(&top, "system");
	struct json_iter it = json_iter(d->messages);
	struct ir_request *r = d->r;
	unsigned n = 0;

	if (!json_is_arr(d->messages))
		return am_refuse(&d->in, &at,
				 d->messages ? "Input should be a valid list" : "Field required");
	if (json_len(d->messages) == 0)
		return am_refuse(&d->in, &at, "at least one message is required");
	r->messages = arena_array(d->in.arena, json_len(d->messages) + 1, sizeof(*r->messages));
	if (!r->messages)
		return no_memory(d);
	if (d->system && !(json_is_str(d->system) && json_str(d->system).len == 0)) {
		struct ir_message *m = &r->messages[0];
		int rc = am_read_content(&d->in, d->system, &at_system, AM_IN_MESSAGE, &m->parts,
					 &m->n_parts);

		if (rc)
			return rc;
		m->role = IR_ROLE_SYSTEM;
		r->n_messages = m->n_parts ? 1 : 0;
	}
	while (json_next(&it)) {
		struct am_path p = am_path_index(&at, n++);
		int rc = read_message(d, it.val, &p, &r->messages[r->n_messages]);

		if (rc)
			return rc;
		r->n_messages++;
	}
	return RC_OK;
}

/* --- the whole --- */

static const struct {
	struct str name;
	member_fn *read;
} members[] = {
	{ STR_INIT("model"), read_model },
	{ STR_INIT("stream"), read_stream },
	{ STR_INIT("messages"), read_messages },
	{ STR_INIT("system"), read_system },
	{ STR_INIT("max_tokens"), read_max_tokens },
	{ STR_INIT("temperature"), read_temperature },
	{ STR_INIT("top_p"), read_top_p },
	{ STR_INIT("top_k"), read_top_k },
	{ STR_INIT("stop_sequences"), read_stop },
	{ STR_INIT("tools"), read_tools },
	{ STR_INIT("tool_choice"), read_tool_choice },
	{ STR_INIT("thinking"), read_thinking },
	{ STR_INIT("output_config"), read_output_config },
	{ STR_INIT("output_format"),
	  read_format }, /* what output_config.format was called while in beta */
	{ STR_INIT("metadata"), read_metadata },
	{ STR_INIT("service_tier"), read_service_tier },
	{ STR_INIT("cache_control"), read_top_cache },
};

enum { N_MEMBERS = sizeof(members) / sizeof(members[0]) };

static int read_member(struct decode *d, struct str key, const json *v)
{
	const struct am_path top = { 0 };
	struct am_path at;
	size_t i;

	if (json_is_null(v))
		return RC_OK;
	if (str_eq(key, STR("provider")) && json_is_str(v)) /* our own pin */
		return RC_OK;
	i = json_name_index(&members[0].name, sizeof(members[0]), N_MEMBERS, 0, key);
	if (i == N_MEMBERS)
		return add_extra(d, "", key, v);
	at = am_path_member(&top, members[i].name.ptr);
	return members[i].read(d, v, &at);
}

int am_decode_request(struct arena *a, const struct request_line *line, struct str body,
		      struct ir_request **ret, struct err *reterr)
{
	struct decode d = { .in = { a, reterr } };
	const struct am_path top = { 0 };
	struct err e = { 0 };
	const json *root = json_parse(a, body, &e);
	struct json_iter it;
	int rc;

	if (!root)
		return err_at(reterr, e.code, e.at, "%s", e.msg);
	if (!json_is_obj(root))
		return err_set(reterr, RC_INVALID,
			       "The request body should be a JSON object, not %s", json_type(root));
	d.r = arena_alloc(a, sizeof(*d.r));
	if (!d.r)
		return no_memory(&d);
	ir_request_init(d.r);
	d.r->origin = AM_NAME;
	d.r->include_usage = true;
	it = json_iter(root);
	while (json_next(&it)) {
		rc = read_member(&d, it.key, it.val);
		if (rc)
			return rc;
	}
	if (!d.r->model.len)
		return err_param(reterr, RC_INVALID, "model", "model: Field required");
	rc = am_read_cache(&d.in, root, &top, &d.r->cache);
	if (!rc)
		rc = read_conversation(&d);
	if (!rc && !shape_note_unknown(a, root, am_request_shape, d.r))
		rc = no_memory(&d);
	if (rc)
		return rc;
	ir_request_needs(d.r);
	*ret = d.r;
	return RC_OK;
}

int am_check_generate(const struct ir_request *r, struct err *reterr)
{
	if (r->max_tokens == IR_UNSET)
		return err_param(reterr, RC_INVALID, "max_tokens", "max_tokens: Field required");
	return RC_OK;
}
