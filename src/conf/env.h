/* conf/env.h - the environment as the configuration sees it: the process's own, then `.env`.
 *
 * `.env` never enters the process's environment; children do not see it.
 */
#ifndef GW_CONF_ENV_H
#define GW_CONF_ENV_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"
#include "conf/conf.h"

struct conf_var {
	struct str name, value;
};

struct conf_env {
	struct arena *arena;
	struct conf_var *vars; /* the process's first, then those of `.env` that it lacks */
	unsigned n, cap;
	bool failed; /* memory ran out */
};

void conf_env_init(struct conf_env *e, struct arena *a, const char *const *environment);
/* Adds what a `.env` says: NAME=value lines, `export`, quotes, comments. What is not one goes into the report. */
void conf_env_dotenv(struct conf_env *e, struct str text, struct str file,
		     struct conf_report *report);

/* Absent when not set; may be empty. */
struct str conf_env_get(const struct conf_env *e, struct str name);
/* The same, but absent when empty. */
struct str conf_env_set(const struct conf_env *e, const char *name);

enum expand_result { EXPAND_OK, EXPAND_UNSET, EXPAND_SYNTAX, EXPAND_NOMEM };

/* Replaces ${NAME} and ${NAME:-default} (the default also for an empty NAME) once, from left to right; what came in
 * is not looked at again. `$${` stands for `${`. *ret_name: what was not set. */
enum expand_result conf_env_expand(const struct conf_env *e, struct str text, struct str *ret,
				   bool *ret_changed, struct str *ret_name);

#endif
