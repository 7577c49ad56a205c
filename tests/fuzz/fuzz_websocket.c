/* tests/fuzz/fuzz_websocket.c - arbitrary bytes as a client's frames, whole and in pieces: the same messages, and texts are UTF-8 within
 * the limit. */
#include <stdint.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "wire/websocket.h"

enum { MAX_MESSAGE = 512 };

static void check(enum ws_got got, const struct ws_news *n)
{
	size_t max = got == WS_TEXT ? MAX_MESSAGE : 125;

	if (got == WS_FAILED ? !n->why : got != WS_CLOSE && n->payload.len > max)
		abort();
	if (got == WS_TEXT && !utf8_valid(n->payload))
		abort();
	if (got == WS_FAILED && (n->code < 1002 || n->code > 1011))
		abort();
}

/* What frames of `in` say as it arrives in pieces of `step`. */
static uint64_t play(struct str in, size_t step)
{
	struct ws_reader *r = ws_reader_new();
	uint64_t hash = 0;
	bool over = false;

	for (size_t at = 0; r && at < in.len && !over; at += step) {
		struct str piece = { in.ptr + at, step < in.len - at ? step : in.len - at };
		struct ws_news news = { 0 };
		enum ws_got got;

		while (!over && (got = ws_read(r, &piece, MAX_MESSAGE, &news)) != WS_MORE) {
			check(got, &news);
			over = got == WS_CLOSE || got == WS_FAILED;
			hash = hash * 31 + (uint64_t)got +
			       (over ? news.code : hash_fnv(news.payload));
		}
	}
	ws_reader_free(r);
	return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };

	if (size && (play(in, size) != play(in, 1) || play(in, size) != play(in, 5)))
		abort();
	return 0;
}
