/* conf/load.h - what the files that build a snapshot share. Private to conf/.
 *
 *	environment, .env, file -> yaml tree -> rows (options.def, members.def) -> settings -> members of the snapshot
 *
 * Every reader goes on after a problem, so that one run says all that is wrong; the snapshot is thrown away at the end
 * when there was one. */
#ifndef GW_CONF_LOAD_H
#define GW_CONF_LOAD_H

#include <stddef.h>

#include "conf/conf.h"
#include "conf/env.h"
#include "conf/report.h"
#include "conf/snapshot.h"
#include "conf/yaml.h"

enum conf_type {
	CONF_TEXT,
	CONF_SECRET, /* text that is never shown */
	CONF_PATH,   /* text; `~/` and paths relative to the file are resolved */
	CONF_BOOL,
	CONF_COUNT,    /* unsigned */
	CONF_NUMBER,   /* int64_t */
	CONF_SIZE,     /* size_t, bytes */
	CONF_DURATION, /* uint64_t, milliseconds */
	CONF_HOST,
	CONF_PORT,    /* uint16_t */
	CONF_ADDRESS, /* struct http_listener_options */
	CONF_WORKERS, /* unsigned, or auto */
	CONF_AUTH,    /* enum auth_mode */
	CONF_LEVEL,   /* enum log_level */
	CONF_FORMAT,  /* enum log_format, or auto */
	CONF_MAP,     /* not one value: read by code of its own */
	CONF_LIST,
};
const char *conf_type_name(enum conf_type t); /* "duration": for messages and documentation */

/* One row of options.def or members.def. */
struct conf_row {
	const char *path; /* dots: nested maps */
	enum conf_type type;
	size_t offset;    /* options: into struct snapshot */
	const char *text; /* the default */
	uint64_t min, max;
	bool reloadable;
	const char *env;
	const char *help;
};

enum {
#define X(path, type, member, def, min, max, reloadable, env, help) +1
	N_OPTIONS = 0
#include "conf/options.def"
#undef X
};
extern const struct conf_row conf_options[N_OPTIONS];

/* M_<SECTION>_<ID>: index into conf_members; the rows of a section stand together. */
enum conf_member {
#define M(section, id, path, type, def, help) M_##section##_##id,
#include "conf/members.def"
#undef M
	N_MEMBERS
};
enum conf_section {
	SECTION_ROOT,
	SECTION_PROVIDER,
	SECTION_LOCAL,
	SECTION_MODEL,
	SECTION_TARGET,
	SECTION_KEY,
	N_SECTIONS
};
extern const struct conf_row conf_members[N_MEMBERS];
extern const enum conf_section conf_member_section[N_MEMBERS];
extern const char *const conf_section_name[N_SECTIONS]; /* for messages: "providers.*" */

/* Where a value came from, the weakest first. */
enum conf_origin { FROM_DEFAULT, FROM_PLAIN_VARIABLE, FROM_FILE, FROM_VARIABLE, FROM_COMMAND };

/* A value before it is read. */
struct setting {
	struct str text; /* expanded; absent: not given */
	enum conf_origin from;
	const struct yaml_node *node; /* FROM_FILE */
	struct str variable;          /* FROM_*VARIABLE */
	const char *path;             /* of its row */
	bool hidden;                  /* never show the text */
};

/* A variable LLM_GATEWAY_PROVIDERS_<rest>. */
struct provider_var {
	struct str variable, rest, value;
	bool used;
};

struct loader {
	struct arena *scratch; /* dies with the load, secrets in it wiped */
	struct snapshot *s;
	const struct conf_sources *src;
	struct conf_report *report;
	struct conf_env env;
	struct str file, dir; /* the file as named, its folder; absent: none */
	struct str home;
	struct setting options[N_OPTIONS];
	struct yaml_node const *option_nodes[N_OPTIONS];
	struct yaml_node const *members[N_MEMBERS]; /* of ROOT only */
	struct provider_var *provider_vars;
	unsigned n_provider_vars;
	struct str *secrets; /* slices of scratch to wipe */
	unsigned n_secrets, cap_secrets;
	bool nomem;
};

/* --- saying what is wrong --- */

void load_problem_at(struct loader *l, const struct yaml_node *n, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void load_problem(struct loader *l, const struct setting *where, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void load_warning(struct loader *l, const struct setting *where, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The setting's text for a message, or "this". */
const char *load_shown(struct loader *l, const struct setting *v);
/* The nearest of `names` (NULL-terminated) as ": did you mean 'x'?", or "". */
const char *load_suggest(struct loader *l, struct str given, const char *const *names);
/* To be overwritten when the load ends. */
void load_secret(struct loader *l, struct str s);
/* A copy that lives as long as the snapshot. */
struct str load_keep(struct loader *l, struct str s);
void *load_array(struct loader *l, size_t n, size_t size); /* in the snapshot; NULL sets l->nomem */

/* --- settings --- */

/* The text of a scalar node, expanded; absent (and said) when it is none. */
struct setting load_node(struct loader *l, const struct yaml_node *n, const char *path,
			 bool secret);
/* Reads `v` as `row->type` into `*at`. False when it was not given or was wrong (said). */
bool load_value(struct loader *l, const struct conf_row *row, const struct setting *v, void *at);
/* Nodes of the keys of `map` by row: those of [first, first + n) go to nodes[0..n). Says unknown keys; `where` names the
 * map for messages ("" for the root). Null maps count as empty. */
void load_rows(struct loader *l, const struct yaml_node *map, const struct conf_row *rows,
	       unsigned n, const struct yaml_node **nodes, const char *where);
/* Every string of a list (or the one of a scalar), expanded, into the snapshot; "" for one that was refused. */
struct str *load_strings(struct loader *l, const struct yaml_node *n, const char *path,
			 unsigned *ret_n);
/* "no such <what>: 'text': did you mean ...?" at entry `i` of such a list. */
void load_no_such(struct loader *l, const struct yaml_node *list, unsigned i, const char *what,
		  const char *const *names);

/* A map read against a section: its nodes, and texts that the environment put over them. */
struct section {
	enum conf_section id;
	const struct yaml_node *at;               /* the map, for what is missing */
	const struct yaml_node *nodes[N_MEMBERS]; /* only those of the section */
	struct provider_var *vars[N_MEMBERS];     /* PROVIDER only */
};
void load_section(struct loader *l, struct section *ret, enum conf_section id,
		  const struct yaml_node *map, const char *where);
bool section_has(const struct section *sec, enum conf_member m);
/* Absent when not given. */
struct setting section_get(struct loader *l, const struct section *sec, enum conf_member m);
/* True when it was given and right; else *ret is left as it is. */
bool section_value(struct loader *l, const struct section *sec, enum conf_member m, void *ret);

/* --- the parts, in the order in which they are read --- */

void load_options(struct loader *l, const struct yaml_node *root);
void load_accounts(struct loader *l);
void load_models(struct loader *l);
void load_keys(struct loader *l);

/* --- the local engine (local.c) --- */

/* Path of llama-server as the settings say or as found; absent: none. */
struct str local_find_engine(struct loader *l);
/* Models with no configuration at all: $MODEL_PATH, else the cache's. False: there is none. */
bool local_default_models(struct loader *l, struct account *acc);
/* "smollm2-135m-instruct" from ".../SmolLM2-135M-Instruct.Q4_1.gguf". */
struct str local_model_name(struct arena *a, struct str path);
void local_read_models(struct loader *l, struct account *acc, const struct yaml_node *list);

#endif
