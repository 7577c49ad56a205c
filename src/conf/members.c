/* conf/members.c - the rows of members.def, and reading a map against rows.
 *
 * The hard thing is a helpful word about an unknown key: the nearest name at its own level, else the same name at
 * another level ("max_body" belongs under "server"). */
#include <stdio.h>
#include <string.h>

#include "conf/load.h"

const struct conf_row conf_members[N_MEMBERS] = {
#define M(section, id, path_, type_, def, help_) \
	{ .path = path_, .type = type_, .text = def, .max = INT64_MAX, .help = help_ },
#include "conf/members.def"
#undef M
};

const enum conf_section conf_member_section[N_MEMBERS] = {
#define M(section, id, path, type, def, help) SECTION_##section,
#include "conf/members.def"
#undef M
};

const char *const conf_section_name[N_SECTIONS] = {
	[SECTION_ROOT] = "",
	[SECTION_PROVIDER] = "providers",
	[SECTION_LOCAL] = "models of a local provider",
	[SECTION_MODEL] = "models",
	[SECTION_TARGET] = "targets",
	[SECTION_KEY] = "auth.keys",
};

struct level {
	const struct conf_row *rows;
	unsigned n;
	const struct yaml_node **nodes;
	const char *where;
};

static size_t joined(char *out, size_t size, struct str prefix, struct str key)
{
	int n = snprintf(out, size, "%.*s%s%.*s", STR_ARG(prefix), prefix.len ? "." : "",
			 STR_ARG(key));

	return n < 0 || (size_t)n >= size ? 0 : (size_t)n;
}

/* The part of `path` that is a key at the level `prefix`; absent when it lies elsewhere. */
static struct str key_at(const char *path, struct str prefix)
{
	struct str p = str_from(path);

	if (prefix.len) {
		if (!str_starts(p, prefix) || p.ptr[prefix.len] != '.')
			return STR_NONE;
		p = str_from_offset(p, prefix.len + 1);
	}
	return str_cut(&p, '.');
}

static struct str last_part(const char *path)
{
	const char *dot = strrchr(path, '.');

	return str_from(dot ? dot + 1 : path);
}

static void unknown_key(struct loader *l, const struct level *lv, struct str prefix,
			const struct yaml_node *key)
{
	const char *shown = conf_shown(l->scratch, key->text);
	unsigned best = key->text.len > 5 ? 4 : 3;
	struct str near = STR_NONE;
	const char *elsewhere = NULL;

	for (unsigned i = 0; i < lv->n; i++) {
		struct str candidate = key_at(lv->rows[i].path, prefix);
		unsigned d =
			str_present(candidate) ? str_distance(key->text, candidate, best) : best;

		if (d < best) {
			best = d;
			near = candidate;
		}
		if (!elsewhere && str_eq(last_part(lv->rows[i].path), key->text))
			elsewhere = lv->rows[i].path;
	}
	if (str_present(near))
		load_problem_at(l, key, "unknown key %s: did you mean '%.*s'?", shown,
				STR_ARG(near));
	else if (elsewhere)
		load_problem_at(l, key, "unknown key %s here: it belongs to %s%s%s", shown,
				lv->where, lv->where[0] ? "." : "", elsewhere);
	else
		load_problem_at(l, key, "unknown key %s%s%s", shown,
				lv->where[0] || prefix.len ? " in " : "",
				prefix.len ? arena_dup(l->scratch, prefix).ptr : lv->where);
}

static void walk(struct loader *l, const struct level *lv, const struct yaml_node *map,
		 struct str prefix)
{
	for (unsigned k = 0; k < map->n; k++) {
		const struct yaml_node *item = map->items[k];
		char path[160];
		struct str full = { path, joined(path, sizeof(path), prefix, map->keys[k]->text) };
		bool inner = false, found = false;

		for (unsigned i = 0; full.len && i < lv->n && !found; i++) {
			found = str_eq(full, str_from(lv->rows[i].path));
			if (found)
				lv->nodes[i] = item;
			inner |= str_present(key_at(lv->rows[i].path, full));
		}
		/* `auth.keys` is a row and `auth` is not, so a path is a row or leads to rows, never both. */
		if (found || (inner && yaml_is_null(item)))
			continue;
		if (!inner)
			unknown_key(l, lv, prefix, map->keys[k]);
		else if (item->kind != YAML_MAP)
			load_problem_at(l, item, "%.*s must be a map of keys, not %s",
					STR_ARG(full), yaml_kind_name(item));
		else
			walk(l, lv, item, arena_dup(l->scratch, full));
	}
}

void load_rows(struct loader *l, const struct yaml_node *map, const struct conf_row *rows,
	       unsigned n, const struct yaml_node **nodes, const char *where)
{
	const struct level lv = { rows, n, nodes, where };

	if (!map || yaml_is_null(map))
		return;
	if (map->kind != YAML_MAP)
		load_problem_at(l, map, "%s must be a map of keys, not %s", where,
				yaml_kind_name(map));
	else
		walk(l, &lv, map, STR(""));
}

void load_section(struct loader *l, struct section *ret, enum conf_section id,
		  const struct yaml_node *map, const char *where)
{
	unsigned first = 0, n = 0;

	*ret = (struct section){ .id = id, .at = map };
	while (conf_member_section[first] != id)
		first++;
	while (first + n < N_MEMBERS && conf_member_section[first + n] == id)
		n++;
	load_rows(l, map, conf_members + first, n, ret->nodes + first, where);
}

bool section_has(const struct section *sec, enum conf_member m)
{
	return sec->nodes[m] || sec->vars[m];
}

struct setting section_get(struct loader *l, const struct section *sec, enum conf_member m)
{
	const struct conf_row *row = &conf_members[m];
	bool secret = row->type == CONF_SECRET;

	if (sec->vars[m]) {
		sec->vars[m]->used = true;
		return (struct setting){ .text = sec->vars[m]->value,
					 .from = FROM_VARIABLE,
					 .variable = sec->vars[m]->variable,
					 .path = row->path,
					 .hidden = secret };
	}
	if (sec->nodes[m])
		return load_node(l, sec->nodes[m], row->path, secret);
	return (struct setting){ .path = row->path };
}

bool section_value(struct loader *l, const struct section *sec, enum conf_member m, void *ret)
{
	struct setting v = section_get(l, sec, m);

	return str_present(v.text) && load_value(l, &conf_members[m], &v, ret);
}
