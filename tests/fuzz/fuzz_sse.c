/* tests/fuzz/fuzz_sse.c - arbitrary bytes as an event stream, whole and byte by byte: the same events, and
 * the blocks' raw bytes are the stream, in order and without a gap. */
#include <stdint.h>
#include <stdlib.h>

#include "base/hash.h"
#include "wire/sse.h"

enum { MAX_EVENT = 256 };

/* Reads events of `in` as if it arrived in pieces of `step`. */
static uint64_t play(struct str in, size_t step)
{
	struct sse_parser p;
	uint64_t hash = 0;
	size_t at = 0, used;

	sse_init(&p, MAX_EVENT);
	for (size_t have = step; at < in.len; have += step) {
		struct frame ev;
		enum sse_result r;

		if (have > in.len)
			have = in.len;
		while ((r = sse_next(&p, (struct str){ in.ptr + at, have - at }, &ev, &used)) ==
		       SSE_EVENT) {
			if (ev.raw.ptr != in.ptr + at || ev.raw.len != used || !used ||
			    used > MAX_EVENT + 3)
				abort();
			if (ev.comment && ev.data.ptr)
				abort();
			at += used;
			if (!ev.data.ptr)
				continue;
			hash = hash * 31 + hash_fnv(ev.name);
			hash = hash * 31 + hash_fnv(ev.data) + ev.data.len;
		}
		if (r != SSE_MORE) {
			hash = hash * 31 + (uint64_t)r;
			break;
		}
		if (have == in.len)
			break;
	}
	sse_done(&p);
	return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };

	/* Whether a CR at the very end is a whole line end depends on what follows. */
	if (!size || data[size - 1] == '\r')
		return 0;
	if (play(in, size) != play(in, 1) || play(in, size) != play(in, 5))
		abort();
	return 0;
}
