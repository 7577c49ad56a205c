/* tests/fuzz/fuzz_framer.c - arbitrary bytes as a stream in each framing, whole and in pieces: the same frames, and their raw bytes
 * are the stream, in order and without a gap. */
#include <stdint.h>
#include <stdlib.h>

#include "base/hash.h"
#include "wire/framer.h"

enum { MAX_FRAME = 256 };

/* Reads frames of `in` as if it arrived in pieces of `step`. */
static uint64_t play(enum framing framing, struct str in, size_t step)
{
	struct framer f;
	uint64_t hash = 0;
	size_t at = 0, used;

	framer_init(&f, framing, MAX_FRAME);
	for (size_t have = step; at < in.len; have += step) {
		enum framer_result r;
		struct frame ev;

		if (have > in.len)
			have = in.len;
		while ((r = framer_next(&f, (struct str){ in.ptr + at, have - at }, &ev, &used)) ==
		       FRAMER_FRAME) {
			if (ev.raw.ptr != in.ptr + at || ev.raw.len != used || !used ||
			    used > MAX_FRAME + 3)
				abort();
			at += used;
			if (ev.comment && ev.data.ptr)
				abort();
			hash = hash * 31 + hash_fnv(ev.data) + ev.data.len;
		}
		if (r != FRAMER_MORE) {
			hash = hash * 31 + (uint64_t)r;
			break;
		}
		if (have == in.len)
			break;
	}
	framer_done(&f);
	return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum framing framings[] = { FRAMING_NDJSON, FRAMING_JSON_ARRAY, FRAMING_SSE };
	struct str in = { (const char *)data, size };

	if (!size)
		return 0;
	for (size_t i = 0; i < sizeof(framings) / sizeof(framings[0]); i++) {
		/* Whether a CR at the very end is a whole line end of SSE depends on what follows. */
		if (framings[i] == FRAMING_SSE && data[size - 1] == '\r')
			continue;
		if (play(framings[i], in, size) != play(framings[i], in, 1) ||
		    play(framings[i], in, size) != play(framings[i], in, 5))
			abort();
	}
	return 0;
}
