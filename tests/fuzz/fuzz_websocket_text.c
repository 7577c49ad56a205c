/* tests/fuzz/fuzz_websocket_text.c - arbitrary bytes as a client's message, a provider's event and an error's body: what is made of them is
 * UTF-8, and JSON wherever it was. */
#include <stdint.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "exchange/websocket_text.h"
#include "json/scan.h"

static void check_message(struct arena *a, struct str in)
{
	struct json_want w[] = { { .key = "stream" },
				 { .key = "stream_id" },
				 { .key = "generate" } };
	struct socket_message m;
	struct err e = { 0 };

	if (socket_message_read(a, in, &m, &e) != RC_OK) {
		if (!e.msg[0])
			abort();
		return;
	}
	if (json_scan(m.body, w, 3, NULL) != RC_OK || w[0].first != 't' || w[1].first || w[2].first)
		abort();
}

static void check_text(struct buf *out, bool object)
{
	struct str text = buf_str(out);

	if (!buf_ok(out) || !utf8_valid(text) ||
	    (object && json_scan(text, NULL, 0, NULL) != RC_OK))
		abort();
	buf_reset(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size }, headers = STR("{\"a\":\"b\"}"), id = STR("x");
	struct json_want w[] = { { .key = "headers" }, { .key = "stream_id" }, { .key = "type" } };
	bool event = json_scan(in, w, 3, NULL) == RC_OK && !w[0].first && !w[1].first && w[2].first;
	struct arena *a = arena_new(64 << 20);
	struct socket_envelope envelope;
	struct socket_steer steer;
	struct err e = { 0 };
	struct buf out;

	buf_init(&out, 64 << 20);
	socket_envelope_read(a, in, &envelope);
	check_message(a, in);
	socket_put_event(&out, a, in, STR_NONE, STR_NONE, (int)(size % 3) - 1);
	check_text(&out, event);
	socket_put_event(&out, a, in, headers, id, 0);
	check_text(&out, event);
	socket_put_error(&out, a, 500, in, headers, id);
	check_text(&out, true);
	if (socket_steer_read(a, in, &steer, &e) == RC_OK) {
		socket_put_steer_failed(&out, &steer, "c", STR("m"), size, id);
		check_text(&out, true);
	}
	socket_put_error_event(&out, a, in, size, id);
	check_text(&out, true);
	buf_done(&out);
	arena_free(a);
	return 0;
}
