/* protocols/gemini/schema.c - JSON Schema <-> the OpenAPI subset of `parameters` and `responseSchema`.
 *
 * The one hard thing: in that subset an unknown keyword is a 400, and there are no references. So they are put in place, as deep
 * as they go but not round in circles, and what the subset has no word for is left out (trap 82). */
#include "protocols/gemini/gemini.h"

enum { MAX_NEST = 32, MAX_TEXT = 4 << 20 };

enum value_shape {
	PLAIN,   /* any value */
	NUMBER,  /* a number, or one in a string */
	TYPE,    /* a type's name; in JSON Schema also a list */
	SCHEMA,  /* a schema */
	SCHEMAS, /* a list of them */
	NAMED,   /* an object of them */
	STRINGS, /* a list of strings */
};

static const struct {
	const char *name;
	enum value_shape shape;
} keywords[] = {
	{ "type", TYPE },
	{ "format", PLAIN },
	{ "title", PLAIN },
	{ "description", PLAIN },
	{ "nullable", PLAIN },
	{ "enum", STRINGS },
	{ "items", SCHEMA },
	{ "properties", NAMED },
	{ "required", PLAIN },
	{ "anyOf", SCHEMAS },
	{ "minItems", NUMBER },
	{ "maxItems", NUMBER },
	{ "minLength", NUMBER },
	{ "maxLength", NUMBER },
	{ "minProperties", NUMBER },
	{ "maxProperties", NUMBER },
	{ "minimum", NUMBER },
	{ "maximum", NUMBER },
	{ "pattern", PLAIN },
	{ "example", PLAIN },
	{ "default", PLAIN },
	{ "propertyOrdering", PLAIN },
};

enum { N_KEYWORDS = sizeof(keywords) / sizeof(keywords[0]) };

static int find(struct str key)
{
	for (int i = 0; i < N_KEYWORDS; i++)
		if (gm_is(key, keywords[i].name))
			return i;
	return -1;
}

static void put_value(struct jw *w, const json *v)
{
	jw_raw(w, STR(""));
	json_write(w->out, v);
}

/* --- towards JSON Schema --- */

static void put_json(struct jw *w, const json *s, unsigned depth);

static void put_lower(struct jw *w, struct str name)
{
	jw_raw(w, STR(""));
	buf_putc(w->out, '"');
	for (size_t i = 0; i < name.len && i < 32; i++) {
		char c = name.ptr[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c | 0x20);
		if (c >= 'a' && c <= 'z')
			buf_putc(w->out, c);
	}
	buf_putc(w->out, '"');
}

/* Some of the vendor's SDKs write the number that protobuf has for a type. */
static struct str type_name(const json *type)
{
	static const struct str names[] = { STR_INIT("string"),  STR_INIT("number"),
					    STR_INIT("integer"), STR_INIT("boolean"),
					    STR_INIT("array"),   STR_INIT("object"),
					    STR_INIT("null") };
	int64_t n;

	if (json_i64(type, &n) && n >= 1 && n <= 7)
		return names[n - 1];
	return json_str(type);
}

static void put_json_type(struct jw *w, const json *type, bool nullable)
{
	struct str name = type_name(type);

	if (!name.len) {
		put_value(w, type);
		return;
	}
	if (nullable) {
		jw_arr(w);
		put_lower(w, name);
		jw_cstr(w, "null");
		jw_end_arr(w);
		return;
	}
	put_lower(w, name);
}

/* Counts come as strings where a client writes protobuf's int64. */
static void put_number(struct jw *w, const json *v)
{
	int64_t n;

	if (json_is_str(v) && str_to_i64(json_str(v), &n))
		jw_i64(w, n);
	else
		put_value(w, v);
}

static void put_json_keyword(struct jw *w, enum value_shape shape, const json *v, bool nullable,
			     unsigned depth)
{
	struct json_iter it = json_iter(v);

	switch (shape) {
	case PLAIN:
	case STRINGS:
		put_value(w, v);
		break;
	case NUMBER:
		put_number(w, v);
		break;
	case TYPE:
		put_json_type(w, v, nullable);
		break;
	case SCHEMA:
		put_json(w, v, depth + 1);
		break;
	case SCHEMAS:
		jw_arr(w);
		while (json_next(&it))
			put_json(w, it.val, depth + 1);
		jw_end_arr(w);
		break;
	case NAMED:
		jw_obj(w);
		while (json_next(&it)) {
			jw_key_str(w, it.key);
			put_json(w, it.val, depth + 1);
		}
		jw_end_obj(w);
		break;
	}
}

static void put_json(struct jw *w, const json *s, unsigned depth)
{
	bool nullable = json_bool(JSON_GET(s, "nullable"), false);
	struct json_iter it = json_iter(s);

	if (!json_is_obj(s) || depth >= MAX_NEST / 2) { /* the writer's depth is bounded */
		put_value(w, s);
		return;
	}
	jw_obj(w);
	while (json_next(&it)) {
		int k = find(it.key);

		if (str_eq(it.key, STR("nullable")) || gm_is(it.key, "propertyOrdering"))
			continue;
		if (k < 0) {
			jw_key_str(w, it.key);
			put_value(w, it.val);
			continue;
		}
		jw_key(w, keywords[k].name);
		put_json_keyword(w, keywords[k].shape, it.val, nullable, depth);
	}
	jw_end_obj(w);
}

struct str gm_schema_to_json(struct arena *a, const json *schema)
{
	struct str text = STR_NONE;
	struct buf b;
	struct jw w;

	buf_init(&b, SIZE_MAX / 4);
	w = jw_on(&b);
	put_json(&w, schema, 0);
	if (buf_ok(&b))
		text = arena_dup(a, buf_str(&b));
	buf_done(&b);
	return text;
}

/* --- does the subset say it all? --- */

static bool fits(const json *s, unsigned depth);

static bool strings_only(const json *v)
{
	struct json_iter it = json_iter(v);

	while (json_next(&it))
		if (!json_is_str(it.val))
			return false;
	return json_is_arr(v);
}

static bool keyword_fits(enum value_shape shape, const json *v, unsigned depth)
{
	struct json_iter it = json_iter(v);

	switch (shape) {
	case PLAIN:
		return true;
	case NUMBER:
		return json_is_num(v);
	case TYPE:
		return json_is_str(v) && !str_eq(json_str(v), STR("null"));
	case STRINGS:
		return strings_only(v);
	case SCHEMA:
		return json_is_obj(v) && fits(v, depth + 1);
	case SCHEMAS:
	case NAMED:
		while (json_next(&it))
			if (!fits(it.val, depth + 1))
				return false;
		return shape == NAMED ? json_is_obj(v) : json_is_arr(v);
	}
	return false;
}

static bool fits(const json *s, unsigned depth)
{
	struct json_iter it = json_iter(s);

	if (!json_is_obj(s) || depth >= MAX_NEST)
		return false;
	while (json_next(&it)) {
		int k = find(it.key);

		if (k < 0 || !keyword_fits(keywords[k].shape, it.val, depth))
			return false;
	}
	return true;
}

bool gm_schema_fits(const json *schema)
{
	return fits(schema, 0) && JSON_GET(schema, "type") != NULL;
}

/* --- into the subset --- */

struct subset {
	struct jw *w;
	const json *root; /* where references point into */
	size_t from;      /* of the output, where it began */
	bool lossy;
};

static void put_subset(struct subset *s, const json *schema, unsigned depth);

/* The schema that "#/$defs/Name" means; NULL when it is none of ours. */
static const json *resolve(const struct subset *s, struct str ref)
{
	const json *at = s->root;

	if (!str_starts(ref, STR("#/")))
		return NULL;
	ref = str_from_offset(ref, 2);
	while (str_present(ref) && at)
		at = json_get(at, str_cut(&ref, '/'));
	return json_is_obj(at) ? at : NULL;
}

/* A list of types is one type that may be null, or a choice the subset cannot say. */
static void put_subset_type(struct subset *s, const json *type, const json *schema)
{
	struct json_iter it = json_iter(type);
	struct str only = json_str(type);
	bool nullable = false;

	while (json_next(&it)) {
		struct str name = json_str(it.val);

		if (str_eq(name, STR("null")))
			nullable = true;
		else if (!only.len)
			only = name;
		else
			s->lossy = true;
	}
	jw_kstr(s->w, "type", only.len ? only : STR("string"));
	if (nullable && !JSON_GET(schema, "nullable"))
		jw_kbool(s->w, "nullable", true);
}

/* Values that are no strings become their text: the subset's enum knows no other. */
static void put_subset_enum(struct subset *s, const json *v)
{
	struct json_iter it = json_iter(v);
	struct buf text;

	jw_key(s->w, "enum");
	jw_arr(s->w);
	while (json_next(&it)) {
		if (json_is_str(it.val)) {
			jw_str(s->w, json_str(it.val));
			continue;
		}
		s->lossy = true;
		buf_init(&text, MAX_TEXT);
		json_write(&text, it.val);
		jw_str(s->w, buf_str(&text));
		buf_done(&text);
	}
	jw_end_arr(s->w);
}

static void put_subset_list(struct subset *s, const char *key, const json *v, unsigned depth)
{
	struct json_iter it = json_iter(v);

	jw_key(s->w, key);
	jw_arr(s->w);
	while (json_next(&it))
		put_subset(s, it.val, depth + 1);
	jw_end_arr(s->w);
}

static void put_subset_named(struct subset *s, const char *key, const json *v, unsigned depth)
{
	struct json_iter it = json_iter(v);

	jw_key(s->w, key);
	jw_obj(s->w);
	while (json_next(&it)) {
		jw_key_str(s->w, it.key);
		put_subset(s, it.val, depth + 1);
	}
	jw_end_obj(s->w);
}

static void put_subset_keyword(struct subset *s, const json *schema, struct str key, const json *v,
			       unsigned depth)
{
	int k = find(key);

	if (str_eq(key, STR("oneOf")) || str_eq(key, STR("allOf"))) {
		s->lossy |= str_eq(key, STR("allOf"));
		if (!JSON_GET(schema, "anyOf"))
			put_subset_list(s, "anyOf", v, depth);
		return;
	}
	if (str_eq(key, STR("const"))) {
		if (json_is_str(v)) {
			jw_key(s->w, "enum");
			jw_arr(s->w);
			jw_str(s->w, json_str(v));
			jw_end_arr(s->w);
		} else {
			s->lossy = true;
		}
		return;
	}
	if (k < 0) {
		s->lossy |= !str_eq(key, STR("$schema")) && !str_eq(key, STR("$defs")) &&
			    !str_eq(key, STR("definitions")) && !str_eq(key, STR("$ref"));
		return;
	}
	switch (keywords[k].shape) {
	case TYPE:
		put_subset_type(s, v, schema);
		break;
	case STRINGS:
		put_subset_enum(s, v);
		break;
	case SCHEMA:
		jw_key(s->w, keywords[k].name);
		put_subset(s, v, depth + 1);
		break;
	case SCHEMAS:
		put_subset_list(s, keywords[k].name, v, depth);
		break;
	case NAMED:
		put_subset_named(s, keywords[k].name, v, depth);
		break;
	case PLAIN:
	case NUMBER:
		jw_key(s->w, keywords[k].name);
		put_value(s->w, v);
		break;
	}
}

static void put_subset(struct subset *s, const json *schema, unsigned depth)
{
	const json *target = resolve(s, json_str(JSON_GET(schema, "$ref")));
	struct json_iter it = json_iter(schema);

	/* `true`, a circle of references, or a bomb of them: anything at all. */
	if (!json_is_obj(schema) || depth >= MAX_NEST / 2 ||
	    buf_len(s->w->out) - s->from > MAX_TEXT) {
		s->lossy = true;
		jw_raw(s->w, STR("{\"type\":\"object\"}"));
		return;
	}
	if (target) {
		put_subset(s, target, depth + 1);
		return;
	}
	jw_obj(s->w);
	while (json_next(&it))
		put_subset_keyword(s, schema, it.key, it.val, depth);
	jw_end_obj(s->w);
}

void gm_schema_write(struct jw *w, const json *schema, bool *ret_lossy)
{
	struct subset s = { .w = w, .root = schema, .from = buf_len(w->out) };

	put_subset(&s, schema, 0);
	if (ret_lossy)
		*ret_lossy = s.lossy;
}
