/* protocols/gemini/request_tools.c - `tools` and `toolConfig` of a client's body.
 *
 * The one hard thing: one entry of the list is many functions, or the vendor's own tools side by side, or both. */
#include <stdio.h>

#include "protocols/gemini/gemini.h"

static int read_declaration(struct gm_reader *d, const json *v, unsigned n, struct ir_tool *t)
{
	const json *schema = gm_get(v, "parametersJsonSchema"), *own = gm_get(v, "parameters");
	char at[64];

	(void)snprintf(at, sizeof(at), "tools.functionDeclarations[%u].name", n);
	t->name = json_str(gm_get(v, "name"));
	if (!t->name.len)
		return gm_refuse(d, at, "a function needs a name");
	t->description = json_str(gm_get(v, "description"));
	if (schema)
		t->parameters = json_text(d->arena, schema);
	else if (own)
		t->parameters = gm_schema_to_json(d->arena, own);
	if ((schema || own) && !str_present(t->parameters))
		return gm_no_memory(d);
	/* `response` says what the function gives back: nobody else wants to know. */
	if (gm_get(v, "response") || gm_get(v, "responseJsonSchema"))
		return gm_add_extra(d, "functionDeclarations", STR("response"), NULL);
	return RC_OK;
}

/* One of the vendor's own tools, as a list entry of its own. */
static int read_server_tool(struct gm_reader *d, struct str key, const json *v, struct ir_tool *t)
{
	struct buf b;
	struct jw w;

	buf_init(&b, SIZE_MAX / 4);
	w = jw_on(&b);
	jw_obj(&w);
	jw_key_str(&w, key);
	jw_raw(&w, STR(""));
	json_write(&b, v);
	jw_end_obj(&w);
	if (buf_ok(&b))
		t->server_raw = arena_dup(d->arena, buf_str(&b));
	buf_done(&b);
	t->origin = GM_NAME;
	return str_present(t->server_raw) ? RC_OK : gm_no_memory(d);
}

/* How many tools read_entry() makes of it at most. */
static size_t count_entry(const json *entry)
{
	return json_len(entry) + json_len(gm_get(entry, "functionDeclarations"));
}

static int read_entry(struct gm_reader *d, const json *entry)
{
	struct json_iter functions = json_iter(gm_get(entry, "functionDeclarations"));
	struct json_iter it = json_iter(entry);
	struct ir_request *r = d->r;
	int rc = RC_OK;

	while (!rc && json_next(&functions)) {
		rc = read_declaration(d, functions.val, r->n_tools, &r->tools[r->n_tools]);
		r->n_tools += rc == RC_OK;
	}
	while (!rc && json_next(&it)) {
		if (json_is_null(it.val) || gm_is(it.key, "functionDeclarations"))
			continue;
		rc = read_server_tool(d, it.key, it.val, &r->tools[r->n_tools]);
		r->n_tools += rc == RC_OK;
	}
	return rc;
}

int gm_read_tools(struct gm_reader *d, const json *v)
{
	struct json_iter it = json_iter(v);
	size_t most = 1;
	int rc = RC_OK;

	/* The vendor's own parser takes one object for a list of one. */
	if (!json_is_arr(v) && !json_is_obj(v))
		return gm_refuse(d, "tools", "should be a list");
	if (json_is_obj(v)) {
		most += count_entry(v);
	} else {
		while (json_next(&it))
			most += count_entry(it.val);
	}
	d->r->tools = arena_array(d->arena, most, sizeof(*d->r->tools));
	if (!d->r->tools)
		return gm_no_memory(d);
	if (json_is_obj(v))
		return read_entry(d, v);
	it = json_iter(v);
	while (!rc && json_next(&it)) {
		if (!json_is_obj(it.val))
			return gm_refuse(d, "tools", "should be a list of objects");
		rc = read_entry(d, it.val);
	}
	return rc;
}

static int read_allowed(struct gm_reader *d, const json *v)
{
	struct ir_tool_choice *c = &d->r->choice;
	struct json_iter it = json_iter(v);

	if (json_len(v) == 0)
		return RC_OK;
	c->allowed = arena_array(d->arena, json_len(v), sizeof(*c->allowed));
	if (!c->allowed)
		return gm_no_memory(d);
	while (json_next(&it)) {
		if (!json_is_str(it.val))
			return gm_refuse(d, "toolConfig.functionCallingConfig.allowedFunctionNames",
					 "should be a list of strings");
		c->allowed[c->n_allowed++] = json_str(it.val);
	}
	return RC_OK;
}

static int read_calling(struct gm_reader *d, const json *v)
{
	struct ir_tool_choice *c = &d->r->choice;
	struct str mode = json_str(gm_get(v, "mode"));
	int rc = read_allowed(d, gm_get(v, "allowedFunctionNames"));

	if (rc)
		return rc;
	if (str_ieq(mode, STR("ANY")))
		c->mode = IR_CHOICE_REQUIRED;
	else if (str_ieq(mode, STR("NONE")))
		c->mode = IR_CHOICE_NONE;
	/* VALIDATED is AUTO whose calls keep to their schemas. */
	else if (str_ieq(mode, STR("AUTO")) || str_ieq(mode, STR("VALIDATED")))
		c->mode = IR_CHOICE_AUTO;
	else if (mode.len && !str_ieq(mode, STR("MODE_UNSPECIFIED")))
		return gm_refuse(d, "toolConfig.functionCallingConfig.mode",
				 "should be AUTO, ANY, NONE or VALIDATED");
	if (c->mode == IR_CHOICE_REQUIRED && c->n_allowed == 1) {
		c->mode = IR_CHOICE_NAMED;
		c->name = c->allowed[0];
		c->allowed = NULL;
		c->n_allowed = 0;
	}
	return RC_OK;
}

int gm_read_tool_config(struct gm_reader *d, const json *v)
{
	struct json_iter it = json_iter(v);
	int rc = RC_OK;

	if (!json_is_obj(v))
		return gm_refuse(d, "toolConfig", "should be an object");
	while (!rc && json_next(&it)) {
		if (json_is_null(it.val))
			continue;
		rc = gm_is(it.key, "functionCallingConfig")
			     ? read_calling(d, it.val)
			     : gm_add_extra(d, "toolConfig", it.key, it.val);
	}
	return rc;
}
