/* conf/options.c - the rows of options.def: gathering their texts from everywhere, reading them, comparing them.
 *
 * The hard thing is precedence: default < plain variable (PORT) < file < LLM_GATEWAY_<PATH> < command line, and that
 * an address may be said in one piece or in two. */
#include <stdio.h>
#include <string.h>

#include "conf/load.h"

const struct conf_row conf_options[N_OPTIONS] = {
#define X(path_, type_, member, def, min_, max_, reload, env_, help_) \
	{ .path = path_,                                              \
	  .type = type_,                                              \
	  .offset = offsetof(struct snapshot, member),                \
	  .text = def,                                                \
	  .min = min_,                                                \
	  .max = max_,                                                \
	  .reloadable = reload,                                       \
	  .env = env_,                                                \
	  .help = help_ },
#include "conf/options.def"
#undef X
};

/* Each type is written through a pointer to its own C type. */
#define SIZE_CONF_TEXT sizeof(struct str)
#define SIZE_CONF_PATH sizeof(struct str)
#define SIZE_CONF_HOST sizeof(struct str)
#define SIZE_CONF_BOOL sizeof(bool)
#define SIZE_CONF_COUNT sizeof(unsigned)
#define SIZE_CONF_WORKERS sizeof(unsigned)
#define SIZE_CONF_NUMBER sizeof(int64_t)
#define SIZE_CONF_SIZE sizeof(size_t)
#define SIZE_CONF_DURATION sizeof(uint64_t)
#define SIZE_CONF_PORT sizeof(uint16_t)
#define SIZE_CONF_ADDRESS sizeof(struct http_listener_options)
#define SIZE_CONF_AUTH sizeof(enum auth_mode)
#define SIZE_CONF_LEVEL sizeof(enum log_level)
#define SIZE_CONF_FORMAT sizeof(enum log_format)
#define X(path, type, member, def, min, max, reload, env, help)                               \
	_Static_assert(sizeof(((struct snapshot *)0)->member) == SIZE_##type, path ": wrong " \
										   "type");
#include "conf/options.def"
#undef X

static const char prefix[] = "LLM_GATEWAY_";

/* "server.max_body" as "SERVER_MAX_BODY". */
static bool is_env_name(const char *path, struct str name)
{
	size_t i = 0;

	for (; path[i] && i < name.len; i++) {
		char c = path[i];

		c = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : '_';
		if (c != name.ptr[i])
			return false;
	}
	return !path[i] && i == name.len;
}

static void suggest_variable(struct loader *l, struct str name, struct str rest)
{
	unsigned best = 3;
	char near[96] = "", text[96];

	for (unsigned i = 0; i < N_OPTIONS; i++) {
		unsigned d;
		size_t n = 0;

		for (; conf_options[i].path[n] && n < sizeof(text) - 1; n++) {
			char c = conf_options[i].path[n];

			text[n] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : '_';
		}
		text[n] = 0;
		d = str_distance(rest, str_from(text), best);
		if (d >= best)
			continue;
		best = d;
		memcpy(near, text, n + 1);
	}
	if (near[0])
		conf_report_add(l->report, true, STR("environment"), 0, 0,
				"%.*s is no option: did you mean %s%s?", STR_ARG(name), prefix,
				near);
}

static bool add_provider_var(struct loader *l, struct conf_var v, struct str rest)
{
	struct provider_var *p =
		arena_grow(l->scratch, l->provider_vars, l->n_provider_vars * sizeof(*p),
			   (l->n_provider_vars + 1) * sizeof(*p));

	if (!p) {
		l->nomem = true;
		return false;
	}
	l->provider_vars = p;
	p[l->n_provider_vars++] = (struct provider_var){ v.name, rest, v.value, false };
	return true;
}

static void take_variable(struct loader *l, struct conf_var v)
{
	struct str rest = str_from_offset(v.name, sizeof(prefix) - 1);

	if (str_eq(rest, STR("CONFIG")))
		return;
	if (str_starts(rest,
		       STR("PROVIDERS_"))) { /* empty ones too: an empty secret is refused (R9) */
		add_provider_var(l, v, str_from_offset(rest, 10));
		return;
	}
	for (unsigned i = 0; i < N_OPTIONS; i++)
		if (is_env_name(conf_options[i].path, rest)) {
			if (!v.value.len) /* NAME= in a compose file means: not set */
				return;
			l->options[i] = (struct setting){
				.text = v.value,
				.from = FROM_VARIABLE,
				.variable = v.name,
				.path = conf_options[i].path,
			};
			return;
		}
	suggest_variable(l, v.name, rest);
}

static void from_environment(struct loader *l)
{
	for (unsigned i = 0; i < l->env.n; i++)
		if (str_starts(l->env.vars[i].name, STR("LLM_GATEWAY_")))
			take_variable(l, l->env.vars[i]);
}

/* The text that counts for option `i` if neither variable nor command line said it. */
static struct setting weaker(struct loader *l, unsigned i)
{
	const struct conf_row *row = &conf_options[i];
	struct str plain = row->env ? conf_env_set(&l->env, row->env) : STR_NONE;

	if (l->option_nodes[i])
		return load_node(l, l->option_nodes[i], row->path, false);
	if (str_present(plain))
		return (struct setting){ .text = plain,
					 .from = FROM_PLAIN_VARIABLE,
					 .variable = str_from(row->env),
					 .path = row->path };
	return (struct setting){ .text = str_from(row->text), .path = row->path };
}

static unsigned option_index(const char *path)
{
	unsigned i = 0;

	while (strcmp(conf_options[i].path, path) != 0)
		i++;
	return i;
}

static void from_command(struct loader *l, const char *path, struct str text)
{
	if (str_present(text))
		l->options[option_index(path)] =
			(struct setting){ .text = text, .from = FROM_COMMAND, .path = path };
}

/* host and port put over an address that was said with less force; beside one of equal force they are a mistake. */
static bool overridden_by_address(struct loader *l, const struct conf_row *row,
				  const struct setting *v)
{
	const struct setting *address = &l->options[option_index("server.address")];

	if ((row->type != CONF_HOST && row->type != CONF_PORT) || address->from == FROM_DEFAULT)
		return false;
	if (v->from == address->from && v->from == FROM_FILE)
		load_problem(l, v, "%s beside server.address: say one or the other", row->path);
	return v->from <= address->from;
}

static void read_options(struct loader *l)
{
	for (unsigned i = 0; i < N_OPTIONS; i++) {
		const struct conf_row *row = &conf_options[i];
		struct setting *v = &l->options[i];

		if (!str_present(v->text))
			*v = weaker(l, i);
		if (!str_present(v->text) || overridden_by_address(l, row, v))
			continue;
		load_value(l, row, v, (char *)l->s + row->offset);
	}
}

/* Sections of the plan that this version does not have: said, not silently accepted. */
static bool is_later(struct loader *l, const struct yaml_node *key)
{
	static const char *const later[] = { "limits", "cache", "telemetry", "admin_ui",
					     "tenants" };

	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		if (str_eq(key->text, str_from(later[i]))) {
			load_problem_at(l, key, "%s is not in this version: remove the section",
					later[i]);
			return true;
		}
	return false;
}

/* The file's top level without the sections of other versions. */
static const struct yaml_node *without_later(struct loader *l, const struct yaml_node *root)
{
	struct yaml_node *copy = arena_alloc(l->scratch, sizeof(*copy));

	if (copy) {
		*copy = *root;
		copy->keys = arena_array(l->scratch, root->n + 1, sizeof(*copy->keys));
		copy->items = arena_array(l->scratch, root->n + 1, sizeof(*copy->items));
	}
	if (!copy || !copy->keys || !copy->items) {
		l->nomem = true;
		return root;
	}
	copy->n = 0;
	for (unsigned i = 0; i < root->n; i++)
		if (!is_later(l, root->keys[i])) {
			copy->keys[copy->n] = root->keys[i];
			copy->items[copy->n++] = root->items[i];
		}
	return copy;
}

void load_options(struct loader *l, const struct yaml_node *root)
{
	struct conf_row rows[N_OPTIONS + 8];
	const struct yaml_node *nodes[N_OPTIONS + 8] = { NULL };
	unsigned n = N_OPTIONS;

	memcpy(rows, conf_options, sizeof(conf_options));
	for (unsigned m = 0; m < N_MEMBERS && conf_member_section[m] == SECTION_ROOT; m++)
		rows[n++] = conf_members[m];
	if (root && root->kind != YAML_MAP)
		load_problem_at(
			l, root,
			"a configuration is a map of keys (`server:`, `providers:`), not %s",
			yaml_kind_name(root));
	else if (root)
		load_rows(l, without_later(l, root), rows, n, nodes, "");
	memcpy(l->option_nodes, nodes, sizeof(l->option_nodes));
	memcpy(l->members, nodes + N_OPTIONS, (n - N_OPTIONS) * sizeof(nodes[0]));
	from_environment(l);
	from_command(l, "server.address", l->src->listen);
	from_command(l, "data_dir", l->src->data_dir);
	read_options(l);
}

static bool same(const struct conf_row *row, const char *a, const char *b)
{
	const struct http_listener_options *x = (const void *)a, *y = (const void *)b;

	switch (row->type) {
	case CONF_TEXT:
	case CONF_SECRET:
	case CONF_PATH:
	case CONF_HOST:
		return str_eq(*(const struct str *)(const void *)a,
			      *(const struct str *)(const void *)b);
	case CONF_ADDRESS:
		return str_eq(x->host, y->host) && str_eq(x->unix_path, y->unix_path) &&
		       x->port == y->port;
	case CONF_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case CONF_PORT:
		return !memcmp(a, b, sizeof(uint16_t));
	case CONF_COUNT:
	case CONF_WORKERS:
	case CONF_AUTH:
	case CONF_LEVEL:
	case CONF_FORMAT:
		return !memcmp(a, b, sizeof(unsigned));
	case CONF_NUMBER:
	case CONF_SIZE:
	case CONF_DURATION:
		return !memcmp(a, b, sizeof(uint64_t));
	case CONF_MAP:
	case CONF_LIST:
		break;
	}
	return true;
}

void conf_reload_check(const struct snapshot *old, const struct snapshot *fresh,
		       struct conf_report *report)
{
	struct str file = str_present(fresh->source) ? fresh->source : STR("environment");

	for (unsigned i = 0; i < N_OPTIONS; i++) {
		const struct conf_row *row = &conf_options[i];

		/* The address row compares host and port too. */
		if (row->reloadable || row->type == CONF_HOST || row->type == CONF_PORT)
			continue;
		if (!same(row, (const char *)old + row->offset, (const char *)fresh + row->offset))
			conf_report_add(report, true, file, 0, 0,
					"%s has changed; that takes a restart, until then the old "
					"value stays",
					row->path);
	}
}
