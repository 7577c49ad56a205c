/* engine/find.h - where the llama-server program is. Looks at the file system; does not run it. */
#ifndef GW_ENGINE_FIND_H
#define GW_ENGINE_FIND_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* The first that is an executable file: `configured` (then nothing else is tried; "none" is none), $LLM_GATEWAY_ENGINE (likewise),
 * `llama-server` in $PATH, the newest ${XDG_CACHE_HOME:-~/.cache}/llm-gateway/engine/<version>/llama-server.
 * RC_NOTFOUND with what to do in reterr. The result lives in the arena and ends in NUL. */
int engine_find(struct arena *a, struct str configured, struct str *ret, struct err *reterr)
	MUST_CHECK;

#endif
