/* conf/local.c - the local models: as configured, or as found where set-up puts them.
 *
 * The hard thing is that with no configuration at all a model must just be there: engine and model are looked for in
 * the cache that `make engine` fills, and a file's name becomes a name people would type. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/load.h"
#include "conf/readfile.h"

enum { MAX_FOUND = 64 };

/* ${XDG_CACHE_HOME:-~/.cache}/llm-gateway/<what>; absent when there is no home. */
static struct str cache_dir(struct loader *l, const char *what)
{
	struct str xdg = conf_env_set(&l->env, "XDG_CACHE_HOME");

	if (str_present(xdg))
		return arena_printf(l->scratch, "%.*s/llm-gateway/%s", STR_ARG(xdg), what);
	if (l->home.len)
		return arena_printf(l->scratch, "%.*s/.cache/llm-gateway/%s", STR_ARG(l->home),
				    what);
	return STR_NONE;
}

static bool is_program(struct str path)
{
	struct stat st;

	return path.ptr && stat(path.ptr, &st) == 0 && S_ISREG(st.st_mode) &&
	       access(path.ptr, X_OK) == 0;
}

static struct str in_path(struct loader *l, struct str program)
{
	struct str rest = conf_env_set(&l->env, "PATH");

	while (str_present(rest)) {
		struct str dir = str_cut(&rest, ':');
		struct str p =
			arena_printf(l->scratch, "%.*s/%.*s", STR_ARG(dir), STR_ARG(program));

		if (dir.len && is_program(p))
			return p;
	}
	return STR_NONE;
}

/* The newest build in the cache. */
static struct str in_cache(struct loader *l)
{
	struct str dir = cache_dir(l, "engine"), best = STR_NONE;
	DIR *d = str_present(dir) ? opendir(dir.ptr) : NULL;
	struct dirent *entry;
	time_t newest = 0;
	struct stat st;

	while (d && (entry = readdir(d)) != NULL) {
		struct str p = arena_printf(l->scratch, "%.*s/%s/llama-server", STR_ARG(dir),
					    entry->d_name);

		if (entry->d_name[0] == '.' || !is_program(p) || stat(p.ptr, &st) != 0)
			continue;
		if (!str_present(best) || st.st_mtime > newest) {
			best = p;
			newest = st.st_mtime;
		}
	}
	if (d)
		closedir(d);
	return best;
}

struct str local_find_engine(struct loader *l)
{
	struct str given = l->s->engine_path, found;

	if (str_eq(given, STR("none")))
		return STR_NONE;
	if (str_present(given) && str_starts(given, STR("~/")))
		given = arena_printf(l->scratch, "%.*s%.*s", STR_ARG(l->home),
				     STR_ARG(str_from_offset(given, 1)));
	if (str_present(given))
		found = str_chr(given, '/') < 0 ? in_path(l, given)
			: is_program(given)     ? given
						: STR_NONE;
	else
		found = in_path(l, STR("llama-server"));
	if (!str_present(given) && !str_present(found))
		found = in_cache(l);
	if (str_present(found))
		l->s->engine_path = load_keep(l, found);
	return found;
}

/* --- names --- */

/* "q4_k_m", "f16", "iq2_xs": how the weights are packed says nothing to a client. */
static bool is_quantisation(struct str s)
{
	static const char *const words[] = {
		"f16", "f32", "bf16", "fp16", "fp8", "mxfp4", NULL,
	};

	for (unsigned i = 0; words[i]; i++)
		if (str_ieq(s, str_from(words[i])))
			return true;
	if (s.len && (s.ptr[0] == 'i' || s.ptr[0] == 'I'))
		s = str_from_offset(s, 1);
	return s.len >= 2 && (s.ptr[0] == 'q' || s.ptr[0] == 'Q') && s.ptr[1] >= '0' &&
	       s.ptr[1] <= '9';
}

struct str local_model_name(struct arena *a, struct str path)
{
	struct str name = path, copy;
	size_t cut;

	for (size_t i = 0; i < path.len; i++)
		if (path.ptr[i] == '/')
			name = str_from_offset(path, i + 1);
	if (name.len > 5 && str_ieq(str_from_offset(name, name.len - 5), STR(".gguf")))
		name.len -= 5;
	for (cut = name.len; cut > 0; cut--)
		if (name.ptr[cut - 1] == '.' || name.ptr[cut - 1] == '-')
			break;
	if (cut > 1 && is_quantisation(str_from_offset(name, cut)))
		name.len = cut - 1;
	copy = arena_dup(a, name);
	for (size_t i = 0; copy.ptr && i < copy.len; i++) {
		char *c = (char *)(uintptr_t)copy.ptr + i;

		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	}
	return copy;
}

/* --- with no configuration --- */

static void number_variable(struct loader *l, const char *name, int64_t *ret)
{
	struct setting v = { .text = conf_env_set(&l->env, name),
			     .from = FROM_PLAIN_VARIABLE,
			     .variable = str_from(name),
			     .path = "value" };
	const struct conf_row row = { .path = "value", .type = CONF_NUMBER, .max = 1 << 24 };

	if (str_present(v.text))
		load_value(l, &row, &v, ret);
}

static bool name_taken(const struct account *acc, struct str name)
{
	for (unsigned i = 0; i < acc->n_local; i++)
		if (str_eq(acc->local[i].name, name))
			return true;
	return false;
}

static void add_found(struct loader *l, struct account *acc, struct str path)
{
	struct local_model *m = &acc->local[acc->n_local];
	struct str name = local_model_name(l->s->arena, path);

	if (!name.ptr) {
		l->nomem = true;
		return;
	}
	if (acc->n_local == MAX_FOUND || name_taken(acc, name))
		return;
	*m = (struct local_model){ .name = name, .path = load_keep(l, path) };
	number_variable(l, "MODEL_N_CTX", &m->context);
	number_variable(l, "MODEL_N_THREADS", &m->threads);
	acc->n_local++;
}

static void models_in_cache(struct loader *l, struct account *acc)
{
	struct str dir = cache_dir(l, "models"), paths[MAX_FOUND];
	DIR *d = str_present(dir) ? opendir(dir.ptr) : NULL;
	struct dirent *entry;
	unsigned n = 0;

	while (d && n < MAX_FOUND && (entry = readdir(d)) != NULL) {
		struct str p = arena_printf(l->scratch, "%.*s/%s", STR_ARG(dir), entry->d_name);
		unsigned at = n;

		if (entry->d_name[0] == '.' || !str_ends(p, STR(".gguf")) || !file_readable(p))
			continue;
		/* readdir() has no order of its own; the first is the one that answers for any name. */
		for (; at > 0 && strcmp(paths[at - 1].ptr, p.ptr) > 0; at--)
			paths[at] = paths[at - 1];
		paths[at] = p;
		n++;
	}
	if (d)
		closedir(d);
	for (unsigned i = 0; i < n; i++)
		add_found(l, acc, paths[i]);
}

bool local_default_models(struct loader *l, struct account *acc)
{
	struct str path = conf_env_set(&l->env, "MODEL_PATH");

	acc->local = load_array(l, MAX_FOUND, sizeof(*acc->local));
	if (!acc->local)
		return false;
	path = arena_dup(l->scratch, path);
	if (str_present(path) && !file_readable(path)) {
		struct setting v = { .text = path,
				     .from = FROM_PLAIN_VARIABLE,
				     .variable = STR("MODEL_PATH") };

		load_problem(l, &v, "there is no such file");
	} else if (str_present(path)) {
		add_found(l, acc, path);
	} else {
		models_in_cache(l, acc);
	}
	return acc->n_local > 0;
}

/* --- as configured --- */

static void read_model(struct loader *l, struct account *acc, const struct yaml_node *map)
{
	struct local_model *m = &acc->local[acc->n_local];
	struct section sec;

	load_section(l, &sec, SECTION_LOCAL, map, "models");
	if (map->kind != YAML_MAP)
		return;
	*m = (struct local_model){ .name = STR_NONE };
	if (!sec.nodes[M_LOCAL_PATH]) {
		load_problem_at(l, map, "a local model needs a path: the GGUF file");
		return;
	}
	if (!section_value(l, &sec, M_LOCAL_PATH, &m->path))
		return;
	if (!file_readable(m->path))
		load_problem_at(l, sec.nodes[M_LOCAL_PATH],
				"path: there is no file that can be read there");
	if (!section_value(l, &sec, M_LOCAL_NAME, &m->name))
		m->name = local_model_name(l->s->arena, m->path);
	section_value(l, &sec, M_LOCAL_CONTEXT, &m->context);
	section_value(l, &sec, M_LOCAL_THREADS, &m->threads);
	section_value(l, &sec, M_LOCAL_PARALLEL, &m->parallel);
	section_value(l, &sec, M_LOCAL_EMBEDDINGS, &m->embeddings);
	section_value(l, &sec, M_LOCAL_PRELOAD, &m->preload);
	section_value(l, &sec, M_LOCAL_IDLE_TIMEOUT, &m->idle_ms);
	section_value(l, &sec, M_LOCAL_KEEP_ALIVE, &m->keep_alive);
	section_value(l, &sec, M_LOCAL_KEEP_ALIVE_MAX, &m->keep_alive_max_ms);
	if (sec.nodes[M_LOCAL_ARGS])
		m->extra_args = load_strings(l, sec.nodes[M_LOCAL_ARGS], "args", &m->n_extra_args);
	if (name_taken(acc, m->name))
		load_problem_at(l, map, "two local models are called %s",
				conf_shown(l->scratch, m->name));
	else
		acc->n_local++;
}

void local_read_models(struct loader *l, struct account *acc, const struct yaml_node *list)
{
	if (list->kind != YAML_LIST) {
		load_problem_at(
			l, list,
			"models of a local provider must be a list: [ { path: FILE.gguf } ]");
		return;
	}
	acc->local = load_array(l, list->n, sizeof(*acc->local));
	for (unsigned i = 0; acc->local && i < list->n; i++)
		read_model(l, acc, list->items[i]);
}
