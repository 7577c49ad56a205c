/* bench/load_dialects.h - how the load generator asks in each dialect, and what it looks for in the answer. */
#ifndef GW_BENCH_LOAD_DIALECTS_H
#define GW_BENCH_LOAD_DIALECTS_H

#include <stdbool.h>

#include "bench.h"

struct asker {
	const char *name;
	const char *path, *stream_path; /* "%s": the model's name, where the path holds it */
	const char *credential;         /* header line(s), "%s": the key */
	/* The body up to the user's text, and behind it, whole and streamed; "%s" in `before`: the model's name. */
	const char *before, *after, *after_stream;
	const char *
		end; /* what only the last frame of a stream holds; behind it at most `bye` may come */
	const char *bye;  /* NULL: nothing */
	const char *only; /* what the frames begin with in which text comes; NULL: any */
	const char *error;
	bool lines; /* frames are lines, not blocks ended by a blank line */
};

extern const struct asker askers[N_DIALECTS];

/* N_DIALECTS when there is none of that name. */
enum dialect asker_find(const char *name);

#endif
