/* tests/unit/snapshot.h - snapshots out of a text, for tests of what works on one. */
#ifndef GW_TESTS_SNAPSHOT_H
#define GW_TESTS_SNAPSHOT_H

#include "check.h"
#include "conf/conf.h"

struct loaded {
	struct arena *arena;
	struct conf_report report;
	struct snapshot *s;
	struct buf text; /* the report */
};

/* `environment` may be NULL: empty. */
static inline struct loaded load_yaml(const char *yaml, const char *const *environment)
{
	static const char *const none[] = { NULL };
	struct loaded l = { .arena = arena_new(8 << 20) };
	struct conf_sources src = { .environment = environment ? environment : none };

	assert_non_null(l.arena);
	conf_report_init(&l.report, l.arena);
	l.s = conf_load_text(&src, str_from(yaml), &l.report);
	buf_init(&l.text, 1 << 20);
	conf_report_text(&l.report, &l.text);
	return l;
}

/* The same, and it must be right. */
static inline struct loaded load_good(const char *yaml, const char *const *environment)
{
	struct loaded l = load_yaml(yaml, environment);

	if (!l.s)
		print_error("%.*s", STR_ARG(buf_str(&l.text)));
	assert_non_null(l.s);
	return l;
}

static inline void loaded_done(struct loaded *l)
{
	l->s = snapshot_unref(l->s);
	buf_done(&l->text);
	l->arena = arena_free(l->arena);
}

#endif
