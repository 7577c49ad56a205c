/* protocols/shape.c - finds what no decoder reads, below the top of a request.
 *
 * It runs over every object of every translated request: a member costs a few comparisons of lengths, and a path is only
 * put together for what is not known. */
#include "protocols/shape.h"

#include <string.h>

enum { MAX_UNKNOWN = 32, MAX_NAME = 64, MAX_DEPTH = 12 };

struct finder {
	struct arena *arena;
	struct ir_request *r;
	struct str path[MAX_DEPTH]; /* of the object looked at */
	unsigned depth;
	bool failed;
};

static void put(char *to, size_t *len, struct str more)
{
	for (size_t i = 0; i < more.len && *len < MAX_NAME; i++)
		to[(*len)++] = more.ptr[i];
}

bool shape_note(struct arena *a, struct str name, struct ir_request *r)
{
	for (unsigned i = 0; i < r->n_unknown; i++) {
		if (str_eq(r->unknown[i], name))
			return true;
	}
	if (r->n_unknown == MAX_UNKNOWN)
		return true;
	if (!r->unknown)
		r->unknown = arena_array(a, MAX_UNKNOWN, sizeof(*r->unknown));
	name = arena_dup(a, name);
	if (!r->unknown || !name.ptr)
		return false;
	r->unknown[r->n_unknown++] = name;
	return true;
}

static void note(struct finder *f, struct str member)
{
	char text[MAX_NAME];
	struct str name = { text, 0 };

	for (unsigned i = 0; i < f->depth; i++) {
		put(text, &name.len, f->path[i]);
		put(text, &name.len, STR("."));
	}
	put(text, &name.len, member);
	f->failed = !shape_note(f->arena, name, f->r) || f->failed;
}

static bool is_empty(const json *v)
{
	return json_is_null(v) || (json_is_str(v) && json_str(v).len == 0) ||
	       ((json_is_obj(v) || json_is_arr(v)) && json_len(v) == 0);
}

/* The table of an object's own kind; NULL: it is of none that is known. */
static const struct shape *table_of(const json *v, const struct shape *table)
{
	while (table && str_present(table->kind)) {
		struct str word = json_str(json_get(v, table->member));

		while (str_present(table->member) && !str_eq(table->kind, word))
			table++;
		table = table->in; /* the end of a table has none */
	}
	return table;
}

static const struct shape *find(const struct shape *table, struct str member)
{
	while (str_present(table->member)) {
		if (table->member.len == 0 || str_eq(table->member, member))
			return table;
		table++;
	}
	return NULL;
}

/* Recursive, as deep as the tables are. */
static void look(struct finder *f, const json *v, const struct shape *table)
{
	struct json_iter it = json_iter(v);

	if (json_is_arr(v)) {
		while (json_next(&it)) {
			if (json_is_obj(it.val))
				look(f, it.val, table);
		}
		return;
	}
	table = json_is_obj(v) ? table_of(v, table) : NULL;
	if (!table)
		return;
	while (json_next(&it)) {
		const struct shape *row = find(table, it.key);

		if (!row && !is_empty(it.val)) {
			note(f, it.key);
		} else if (row && row->in && f->depth < MAX_DEPTH) {
			f->path[f->depth++] = it.key;
			look(f, it.val, row->in);
			f->depth--;
		}
	}
}

bool shape_note_unknown(struct arena *a, const json *root, const struct shape *root_shape,
			struct ir_request *r)
{
	struct finder f = { .arena = a, .r = r, .depth = 1 };

	for (const struct shape *row = root_shape; str_present(row->member); row++) {
		f.path[0] = row->member;
		look(&f, json_get(root, row->member), row->in);
	}
	return !f.failed;
}
