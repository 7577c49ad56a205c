/* tests/fuzz/fuzz_conf.c - the configuration: any text is read or refused with reasons, never a crash, never without one.
 * What is read is also put through `.env` and through the comparison of a reload. */
#include <stdlib.h>

#include "conf/conf.h"
#include "conf/env.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libfyaml 0.7 loses a block when it joins the many pieces of one quoted scalar: 4 KiB a load of such a file, and not ours to mend. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libfyaml.so\n";
}

static void check(int holds)
{
	if (!holds)
		abort();
}

static void dotenv(struct arena *a, struct str text)
{
	struct conf_report report;
	struct conf_env env;
	struct str value, name;
	bool changed;

	conf_report_init(&report, a);
	conf_env_init(&env, a, NULL);
	conf_env_dotenv(&env, text, STR(".env"), &report);
	(void)conf_env_expand(&env, text, &value, &changed, &name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const environment[] = { "KEY=secret", "EMPTY=", "HOME=/nonexistent",
						   "PATH=/nonexistent", NULL };
	struct conf_sources src = { .environment = environment,
				    .file = STR("/nonexistent/config.yaml") };
	struct str text = { (const char *)data, size };
	struct arena *a = arena_new(64 << 20);
	struct conf_report report, changes;
	struct snapshot *s;
	struct buf out;

	check(a != NULL);
	conf_report_init(&report, a);
	s = conf_load_text(&src, text, &report);
	check((s == NULL) == (report.n_errors > 0));
	buf_init(&out, 1 << 24);
	conf_report_text(&report, &out);
	check(!report.n || buf_len(&out) > 0);
	buf_done(&out);
	if (s) {
		conf_report_init(&changes, a);
		conf_reload_check(s, s, &changes);
		check(changes.n == 0);
	}
	(void)snapshot_unref(s);
	dotenv(a, text);
	(void)arena_free(a);
	return 0;
}
