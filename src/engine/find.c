/* engine/find.c - looks for the llama-server program where people and `make engine` put it.
 *
 * The hard thing is not to guess past a word of the operator's: a path that was given and is wrong is an error, not a
 * reason to search on.
 */
#include "engine/find.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool runnable(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static int given(struct arena *a, struct str path, const char *by, struct str *ret,
		 struct err *reterr)
{
	struct str p = arena_dup(a, path);

	if (!p.ptr)
		return err_set(reterr, RC_NOMEM, "out of memory");
	if (!runnable(p.ptr))
		return err_set(reterr, RC_NOTFOUND,
			       "%s names %.*s, which is not an executable file: correct it, or "
			       "remove it and run `make engine`",
			       by, STR_ARG(p));
	*ret = p;
	return RC_OK;
}

static struct str in_path(struct arena *a)
{
	struct str rest = str_from(getenv("PATH"));

	while (str_present(rest)) {
		struct str dir = str_cut(&rest, ':');
		struct str p;

		if (dir.len == 0 || dir.ptr[0] != '/')
			continue; /* not the working directory, whoever's that is */
		p = arena_printf(a, "%.*s/llama-server", STR_ARG(dir));
		if (p.ptr && runnable(p.ptr))
			return p;
	}
	return STR_NONE;
}

/* The newest by the time of the file: versions of engines do not sort as text. */
static struct str in_cache(struct arena *a)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	struct str dir = STR_NONE, best = STR_NONE;
	struct timespec best_at = { 0, 0 };
	struct dirent *de;
	DIR *d;

	if (xdg && xdg[0] == '/')
		dir = arena_printf(a, "%s/llm-gateway/engine", xdg);
	else if (home && home[0])
		dir = arena_printf(a, "%s/.cache/llm-gateway/engine", home);
	d = dir.ptr ? opendir(dir.ptr) : NULL;
	if (!d)
		return STR_NONE;
	while ((de = readdir(d))) {
		struct stat st;
		struct str p;

		if (de->d_name[0] == '.')
			continue;
		p = arena_printf(a, "%.*s/%s/llama-server", STR_ARG(dir), de->d_name);
		if (!p.ptr || !runnable(p.ptr) || stat(p.ptr, &st) != 0)
			continue;
		if (!best.ptr || st.st_mtim.tv_sec > best_at.tv_sec ||
		    (st.st_mtim.tv_sec == best_at.tv_sec && st.st_mtim.tv_nsec > best_at.tv_nsec)) {
			best = p;
			best_at = st.st_mtim;
		}
	}
	closedir(d);
	return best;
}

int engine_find(struct arena *a, struct str configured, struct str *ret, struct err *reterr)
{
	struct str env = str_from(getenv("LLM_GATEWAY_ENGINE"));
	struct str found;

	if (str_eq(configured, STR("none")))
		return err_set(
			reterr, RC_NOTFOUND,
			"the local engine is switched off by `engine: none` in the configuration; "
			"remove that and run `make engine`");
	if (configured.len > 0)
		return given(a, configured, "the configuration", ret, reterr);
	if (env.len > 0)
		return given(a, env, "LLM_GATEWAY_ENGINE", ret, reterr);
	found = in_path(a);
	if (!found.ptr)
		found = in_cache(a);
	if (!found.ptr)
		return err_set(
			reterr, RC_NOTFOUND,
			"the local engine, llama-server, is not installed: run `make engine`, "
			"or put llama-server into PATH, or name it in LLM_GATEWAY_ENGINE");
	*ret = found;
	return RC_OK;
}
