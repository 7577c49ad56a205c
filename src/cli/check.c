/* cli/check.c - `check`: all that is wrong with a configuration, as `serve` would see it. */
#include <stdio.h>

#include "cli/cli.h"
#include "json/write.h"

enum { REPORT_MAX = 16 * 1024 * 1024 };

static void print_json(const struct conf_report *r, const struct snapshot *s)
{
	struct buf out;
	struct jw w = jw_on(&out);

	buf_init(&out, REPORT_MAX);
	jw_obj(&w);
	jw_kbool(&w, "ok", s != NULL);
	jw_key(&w, "problems");
	jw_arr(&w);
	for (unsigned i = 0; i < r->n; i++) {
		jw_obj(&w);
		jw_kstr(&w, "file", r->problems[i].file);
		jw_ki64(&w, "line", r->problems[i].line);
		jw_ki64(&w, "column", r->problems[i].column);
		jw_kstr(&w, "message", r->problems[i].message);
		jw_kbool(&w, "warning", r->problems[i].warning);
		jw_end_obj(&w);
	}
	jw_end_arr(&w);
	jw_end_obj(&w);
	printf("%.*s\n", STR_ARG(buf_str(&out)));
	buf_done(&out);
}

static void print_text(const struct conf_report *r, const struct snapshot *s)
{
	struct buf out;

	buf_init(&out, REPORT_MAX);
	conf_report_text(r, &out);
	fprintf(s ? stdout : stderr, "%.*s", STR_ARG(buf_str(&out)));
	buf_done(&out);
	if (s && str_present(s->source))
		printf("%.*s: fine (%u providers, %u models)\n", STR_ARG(s->source), s->n_accounts,
		       s->n_aliases);
	else if (s)
		printf("no configuration file: the defaults are fine (%u providers)\n",
		       s->n_accounts);
}

int cli_check_sources(const struct conf_sources *src, bool json)
{
	struct arena *a = arena_new(REPORT_MAX);
	struct conf_report report;
	struct snapshot *s;

	if (!a) {
		fputs("llm-gateway check: out of memory\n", stderr);
		return EXIT_FAILED;
	}
	conf_report_init(&report, a);
	s = conf_load(src, &report);
	if (json)
		print_json(&report, s);
	else
		print_text(&report, s);
	arena_free(a);
	if (!s)
		return EXIT_CONFIG;
	snapshot_unref(s);
	return EXIT_OK;
}

int cli_check(const struct cli *c)
{
	const char *config = NULL, *file = NULL;
	bool json = false;
	const struct cli_option options[] = { { "config", &config, NULL },
					      { "json", NULL, &json } };
	struct conf_sources src;
	int words = cli_parse(c, options, sizeof(options) / sizeof(options[0]), &file, 1);

	if (words < 0)
		return EXIT_USAGE;
	src = cli_sources(words == 1 ? file : config, NULL, NULL);
	return cli_check_sources(&src, json);
}
