/* ir/plain_schema.c - a JSON schema boiled down to what engines turn into a grammar.
 *
 * The hard thing is to stay on the safe side: a word may be left out only where that allows more. */
#include "ir/plain_schema.h"

#include "json/write.h"

enum {
	DEPTH_MAX = 20,         /* deeper down anything goes; the writer counts to 64 */
	REPETITIONS_MAX = 1000, /* bounds above it make grammars that are refused */
};

struct plain {
	struct jw w;
	struct str base;
	unsigned depth;
};

static void put_schema(struct plain *p, const json *schema);

static void put_schemas(struct plain *p, const json *list)
{
	struct json_iter it = json_iter(list);

	jw_arr(&p->w);
	while (json_next(&it))
		put_schema(p, it.val);
	jw_end_arr(&p->w);
}

static void put_named(struct plain *p, const char *key, const json *members)
{
	struct json_iter it = json_iter(members);

	jw_key(&p->w, key);
	jw_obj(&p->w);
	while (json_next(&it)) {
		jw_key_str(&p->w, it.key);
		put_schema(p, it.val);
	}
	jw_end_obj(&p->w);
}

static void put_as_is(struct plain *p, const char *key, const json *v)
{
	jw_key(&p->w, key);
	jw_raw(&p->w, STR(""));
	json_write(p->w.out, v);
}

static bool is_type(struct str name)
{
	static const struct str types[] = {
		STR_INIT("object"),  STR_INIT("array"),   STR_INIT("string"), STR_INIT("number"),
		STR_INIT("integer"), STR_INIT("boolean"), STR_INIT("null"),
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (str_eq(name, types[i]))
			return true;
	return false;
}

/* One of the known types, or a list of nothing else. */
static bool known_type(const json *type)
{
	struct json_iter it = json_iter(type);

	if (!json_is_arr(type))
		return is_type(json_str(type));
	while (json_next(&it))
		if (!is_type(json_str(it.val)))
			return false;
	return json_len(type) > 0;
}

static bool allows(const json *type, const char *name)
{
	struct json_iter it = json_iter(type);

	if (json_is_str(type))
		return str_eq(json_str(type), str_from(name));
	while (json_next(&it))
		if (str_eq(json_str(it.val), str_from(name)))
			return true;
	return false;
}

static void put_bound(struct plain *p, const json *schema, const char *key)
{
	const json *v = json_get(schema, str_from(key));
	int64_t n;

	if (json_i64(v, &n) && n >= 0 && n <= REPETITIONS_MAX)
		jw_ki64(&p->w, key, n);
}

static void put_object(struct plain *p, const json *schema)
{
	const json *properties = json_get(schema, STR("properties")),
		   *required = json_get(schema, STR("required")),
		   *more = json_get(schema, STR("additionalProperties"));

	put_named(p, "properties", properties);
	if (json_is_arr(required))
		put_as_is(p, "required", required);
	if (json_is_bool(more)) {
		put_as_is(p, "additionalProperties", more);
	} else if (json_is_obj(more)) {
		jw_key(&p->w, "additionalProperties");
		put_schema(p, more);
	}
}

static void put_list(struct plain *p, const json *schema)
{
	const json *items = json_get(schema, STR("items")),
		   *first = json_get(schema, STR("prefixItems"));

	if (json_is_arr(items) && !first)
		first = items; /* how drafts before 2020-12 said prefixItems */
	if (json_len(first) > 0) {
		jw_key(&p->w, "prefixItems");
		put_schemas(p, first);
		return;
	}
	jw_key(&p->w, "items");
	put_schema(p, json_is_obj(items) ? items : NULL);
	put_bound(p, schema, "minItems");
	put_bound(p, schema, "maxItems");
}

static void put_string(struct plain *p, const json *schema)
{
	static const struct str formats[] = { STR_INIT("date"), STR_INIT("time"),
					      STR_INIT("date-time"), STR_INIT("uuid") };
	struct str format = json_str(json_get(schema, STR("format")));

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (str_eq(format, formats[i])) {
			jw_kstr(&p->w, "format", format);
			return;
		}
	}
	put_bound(p, schema, "minLength");
	put_bound(p, schema, "maxLength");
}

/* Bounds of whole numbers become digits in a grammar; those of fractions are not known there. */
static void put_integer(struct plain *p, const json *schema)
{
	static const char *const bounds[] = { "minimum", "maximum", "exclusiveMinimum",
					      "exclusiveMaximum" };
	int64_t n;

	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
		if (json_i64(json_get(schema, str_from(bounds[i])), &n))
			jw_ki64(&p->w, bounds[i], n);
}

/* "#/$defs/x" below the new root; what points elsewhere, or at a whole schema in itself, says nothing. */
static bool put_reference(struct plain *p, const json *ref)
{
	struct str to = json_str(ref);

	if (!str_starts(to, STR("#/")))
		return false;
	jw_key(&p->w, "$ref");
	buf_puts(p->w.out, "\"#");
	jw_raw(&p->w, STR(""));
	json_escape(p->w.out, p->base);
	json_escape(p->w.out, str_from_offset(to, 1));
	buf_putc(p->w.out, '"');
	return true;
}

static bool put_choice(struct plain *p, const json *schema)
{
	const json *any = json_get(schema, STR("anyOf")), *one = json_get(schema, STR("oneOf"));
	const json *of = json_len(any) > 0 ? any : one;

	/* A choice beside properties mostly says which of them are required together: the properties say more. */
	if (!json_is_arr(of) || json_len(of) == 0 || json_get(schema, STR("properties")))
		return false;
	jw_key(&p->w, "anyOf");
	put_schemas(p, of);
	return true;
}

static void put_typed(struct plain *p, const json *schema)
{
	const json *type = json_get(schema, STR("type"));

	if (!known_type(type)) {
		if (json_is_obj(json_get(schema, STR("properties")))) {
			jw_kcstr(&p->w, "type", "object");
			put_object(p, schema);
		}
		return;
	}
	put_as_is(p, "type", type);
	if (allows(type, "object"))
		put_object(p, schema);
	if (allows(type, "array"))
		put_list(p, schema);
	if (allows(type, "string"))
		put_string(p, schema);
	if (str_eq(json_str(type), STR("integer")))
		put_integer(p, schema);
}

/* The parts of one object, said one after the other. */
static bool put_all(struct plain *p, const json *schema)
{
	const json *all = json_get(schema, STR("allOf"));

	if (json_len(all) == 0 || !json_is_arr(all) || json_get(schema, STR("properties")))
		return false;
	jw_key(&p->w, "allOf");
	put_schemas(p, all);
	return true;
}

static void put_words(struct plain *p, const json *schema)
{
	const json *values = json_get(schema, STR("enum")), *value = json_get(schema, STR("const"));

	if (value)
		put_as_is(p, "const", value);
	else if (json_is_arr(values) && json_len(values) > 0)
		put_as_is(p, "enum", values);
	else if (!put_reference(p, json_get(schema, STR("$ref"))) && !put_choice(p, schema) &&
		 !put_all(p, schema))
		put_typed(p, schema);
}

static void put_schema(struct plain *p, const json *schema)
{
	jw_obj(&p->w);
	if (json_is_obj(schema) && p->depth < DEPTH_MAX) {
		p->depth++;
		put_words(p, schema);
		p->depth--;
	}
	jw_end_obj(&p->w);
}

void ir_plain_schema(struct buf *out, const json *schema, struct str base)
{
	static const char *const definitions[] = { "$defs", "definitions" };
	struct plain p = { .w = jw_on(out), .base = base, .depth = 1 };

	jw_obj(&p.w);
	if (!put_reference(&p, json_get(schema, STR("$ref"))) && !put_choice(&p, schema) &&
	    !put_all(&p, schema)) {
		jw_kcstr(&p.w, "type", "object");
		put_object(&p, schema);
	}
	for (size_t i = 0; i < sizeof(definitions) / sizeof(definitions[0]); i++) {
		const json *defs = json_get(schema, str_from(definitions[i]));

		if (json_is_obj(defs))
			put_named(&p, definitions[i], defs);
	}
	jw_end_obj(&p.w);
}
