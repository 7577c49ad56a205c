/* conf/conf.h - from YAML, `.env` and the environment to a snapshot.
 *
 * All that is wrong is reported, not only the first thing, each as FILE:LINE:COLUMN: what, why, what instead.
 * Every option is one row of options.def (type, unit, bounds, default, reloadable, help).
 */
#ifndef GW_CONF_CONF_H
#define GW_CONF_CONF_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "conf/snapshot.h"

/* One thing wrong. line and column count from 1; 0: not from the file (environment, or none). */
struct conf_problem {
	struct str file; /* or "environment", "command line" */
	unsigned line, column;
	struct str message;
	bool warning; /* said, but not refused */
};

/* Problems of one file stand in the order of its lines. */
struct conf_report {
	struct arena *arena;
	struct conf_problem *problems;
	unsigned n, n_errors, cap;
};

void conf_report_init(struct conf_report *r, struct arena *a);
/* "FILE:LINE:COLUMN: message\n" for each. */
void conf_report_text(const struct conf_report *r, struct buf *out);

/* What the command line says; absent members: nothing. */
struct conf_sources {
	struct str file;                /* --config */
	struct str listen;              /* --listen */
	struct str data_dir;            /* --data-dir */
	const char *const *environment; /* "NAME=value" strings, NULL at the end; usually environ */
};

/* Searches as interface.md section 3 says, reads, validates. The caller owns the reference. NULL when anything is
 * wrong (the report says what) or memory is out. No global state is touched, the environment included:
 * `.env` values live in the snapshot only. */
struct snapshot *conf_load(const struct conf_sources *src, struct conf_report *report);

/* The same for a text that is at hand: no file and no `.env` is looked for. src->file (or "config.yaml") is what the
 * report calls it, and paths in it are relative to its folder. For tests, fuzzing and configurations from elsewhere. */
struct snapshot *conf_load_text(const struct conf_sources *src, struct str text,
				struct conf_report *report);

/* Rules that concern the process, not the file: e.g. no key and an address that is not loopback
 * ("Who may call"). Part of conf_load(); here for tests. */
bool conf_is_loopback(struct str host);

/* Whether an option may change in a reload; changes of others are reported as warnings by conf_reload_check(). */
void conf_reload_check(const struct snapshot *old, const struct snapshot *fresh,
		       struct conf_report *report);

#endif
