/* tests/unit/wire/test_websocket.c - mirrors src/wire/websocket*.c.
 *
 * Rule under test: what a stream of frames says is the same however its bytes are cut, and whatever RFC 6455 forbids a client
 * ends in the close code that it gives.
 */
#include <stdlib.h>

#include "check.h"
#include "websocket_frames.h"
#include "wire/websocket.h"

enum { MAX_MESSAGE = 300 };

/* What was read, as text: "text(...) ping(...) close(1000) ... !1002" */
static void note(struct buf *tape, enum ws_got got, const struct ws_news *n)
{
	static const char *const names[] = {
		[WS_TEXT] = "text", [WS_PING] = "ping", [WS_PONG] = "pong"
	};

	if (got == WS_CLOSE)
		buf_printf(tape, "close(%d) ", n->code);
	else if (got == WS_FAILED)
		buf_printf(tape, "!%d", n->code);
	else
		buf_printf(tape, "%s(%.*s) ", names[got], STR_ARG(n->payload));
}

/* The first `cut` bytes of `in`, then pieces of `step`. */
static void play(struct buf *tape, struct str in, size_t cut, size_t step)
{
	struct ws_reader *r = ws_reader_new();
	enum ws_got got = WS_MORE;

	assert_non_null(r);
	for (size_t at = 0; at < in.len && got != WS_CLOSE && got != WS_FAILED;) {
		size_t n = at < cut ? cut : step;
		struct str piece = { in.ptr + at, n < in.len - at ? n : in.len - at };
		/* A copy of its own size: ASan sees one byte more. */
		char *copy = malloc(piece.len);
		struct str left = { copy, piece.len };
		struct ws_news news;

		memcpy(copy, piece.ptr, piece.len);
		at += piece.len;
		while ((got = ws_read(r, &left, MAX_MESSAGE, &news)) != WS_MORE) {
			note(tape, got, &news);
			if (got == WS_CLOSE || got == WS_FAILED)
				break;
		}
		if (got == WS_MORE)
			assert_int_equal(left.len, 0);
		free(copy);
	}
	ws_reader_free(r);
}

static void check_tape(struct str in, const char *want)
{
	for (size_t cut = 0; cut <= in.len; cut += in.len < 64 ? 1 : 7) {
		struct buf tape;

		buf_init(&tape, 1 << 20);
		play(&tape, in, cut, cut % 2 ? 1 : in.len);
		CHECK_STR_IS(buf_str(&tape), str_from(want));
		buf_done(&tape);
	}
}

struct frame_case {
	const char *name;
	struct {
		unsigned first;
		struct str payload;
	} frames[5];
	const char *want;
};

#define P(text) STR_INIT(text)

static const struct frame_case cases[] = {
	{ "a text", { { FIN | TEXT, P("hello") } }, "text(hello) " },
	{ "an empty text", { { FIN | TEXT, P("") } }, "text() " },
	{ "two texts", { { FIN | TEXT, P("a") }, { FIN | TEXT, P("b") } }, "text(a) text(b) " },
	{ "in pieces",
	  { { TEXT, P("he") }, { CONT, P("") }, { CONT, P("ll") }, { FIN | CONT, P("o") } },
	  "text(hello) " },
	{ "a ping between the pieces",
	  { { TEXT, P("he") }, { FIN | PING, P("now") }, { FIN | CONT, P("y") } },
	  "ping(now) text(hey) " },
	{ "a character over two pieces",
	  { { TEXT, P("\xc3") }, { FIN | CONT, P("\xa4") } },
	  "text(\xc3\xa4) " },
	{ "ping and pong", { { FIN | PING, P("") }, { FIN | PONG, P("x") } }, "ping() pong(x) " },
	{ "close", { { FIN | CLOSE, P("") } }, "close(1005) " },
	{ "close with a code",
	  { { FIN | CLOSE, P("\x03\xe8"
			     "bye") } },
	  "close(1000) " },
	{ "close with a code of one's own", { { FIN | CLOSE, P("\x0b\xb8") } }, "close(3000) " },
	{ "close in the middle of a message",
	  { { TEXT, P("a") }, { FIN | CLOSE, P("\x03\xe9") } },
	  "close(1001) " },
	{ "nothing is read behind a close",
	  { { FIN | CLOSE, P("") }, { FIN | TEXT, P("a") } },
	  "close(1005) " },
	{ "half a code", { { FIN | CLOSE, P("\x03") } }, "!1002" },
	{ "code 1005", { { FIN | CLOSE, P("\x03\xed") } }, "!1002" },
	{ "code 1006", { { FIN | CLOSE, P("\x03\xee") } }, "!1002" },
	{ "code 1015", { { FIN | CLOSE, P("\x03\xf7") } }, "!1002" },
	{ "code 999", { { FIN | CLOSE, P("\x03\xe7") } }, "!1002" },
	{ "code 2999", { { FIN | CLOSE, P("\x0b\xb7") } }, "!1002" },
	{ "code 5000", { { FIN | CLOSE, P("\x13\x88") } }, "!1002" },
	{ "a reason that is no UTF-8", { { FIN | CLOSE, P("\x03\xe8\xff") } }, "!1007" },
	{ "binary", { { FIN | BINARY, P("x") } }, "!1003" },
	{ "binary in pieces", { { BINARY, P("x") } }, "!1003" },
	{ "no UTF-8", { { FIN | TEXT, P("a\xff") } }, "!1007" },
	{ "a surrogate", { { FIN | TEXT, P("\xed\xa0\x80") } }, "!1007" },
	{ "half a character at the end", { { TEXT, P("a") }, { FIN | CONT, P("\xc3") } }, "!1007" },
	{ "a continuation of nothing", { { FIN | CONT, P("x") } }, "!1002" },
	{ "a second beginning", { { TEXT, P("a") }, { FIN | TEXT, P("b") } }, "!1002" },
	{ "an extension's bit", { { FIN | RSV1 | TEXT, P("a") } }, "!1002" },
	{ "an extension's bit later",
	  { { TEXT, P("a") }, { FIN | 0x10 | CONT, P("b") } },
	  "!1002" },
	{ "kind 3", { { FIN | 3, P("a") } }, "!1002" },
	{ "kind 7", { { FIN | 7, P("") } }, "!1002" },
	{ "kind 11", { { FIN | 11, P("a") } }, "!1002" },
	{ "kind 15", { { FIN | 15, P("") } }, "!1002" },
	{ "a ping in pieces", { { PING, P("a") } }, "!1002" },
	{ "a close in pieces", { { CLOSE, P("") } }, "!1002" },
};

static void what_frames_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf in;

		buf_init(&in, 1 << 16);
		for (size_t k = 0; k < 5 && cases[i].frames[k].payload.ptr; k++)
			put_frame(&in, cases[i].frames[k].first, cases[i].frames[k].payload);
		print_message("%s\n", cases[i].name);
		check_tape(buf_str(&in), cases[i].want);
		buf_done(&in);
	}
}

static void a_frame_without_mask_is_refused(void **state)
{
	(void)state;
	check_tape(STR("\x81\x01"
		       "a"),
		   "!1002");
	check_tape(STR("\x89\x00"), "!1002");
}

static void a_length_in_more_bytes_than_it_needs_is_refused(void **state)
{
	(void)state;
	check_tape(STR("\x81\xfe\x00\x05"
		       "abcd"
		       "\0\0\0\0\0"),
		   "!1002");
	check_tape(STR("\x81\xff\0\0\0\0\0\0\x00\x05"
		       "abcd"
		       "\0\0\0\0\0"),
		   "!1002");
	check_tape(STR("\x81\xff\x80\0\0\0\0\0\0\0"
		       "abcd"
		       "\0"),
		   "!1002");
	check_tape(STR("\x89\xfe\x00\x7e"
		       "abcd"),
		   "!1002"); /* a ping of 126 bytes */
}

static void the_longest_message_and_one_byte_more(void **state)
{
	static char long_text[MAX_MESSAGE + 1];
	struct buf in, want;

	(void)state;
	memset(long_text, 'x', sizeof(long_text));
	buf_init(&in, 1 << 16);
	buf_init(&want, 1 << 16);
	put_frame(&in, FIN | TEXT, (struct str){ long_text, MAX_MESSAGE });
	buf_printf(&want, "text(%.*s) ", MAX_MESSAGE, long_text);
	buf_putc(&want, '\0');
	check_tape(buf_str(&in), buf_str(&want).ptr);
	buf_reset(&in);
	put_frame(&in, FIN | TEXT, (struct str){ long_text, MAX_MESSAGE + 1 });
	check_tape(buf_str(&in), "!1009");
	buf_reset(&in);
	put_frame(&in, TEXT, (struct str){ long_text, MAX_MESSAGE });
	put_frame(&in, FIN | CONT, STR("x"));
	check_tape(buf_str(&in), "!1009");
	buf_reset(&in);
	put_frame_head(&in, FIN | TEXT, INT64_MAX); /* no memory is taken for it */
	buf_put(&in, STR("x"));
	check_tape(buf_str(&in), "!1009");
	buf_done(&in);
	buf_done(&want);
}

static void what_is_written(void **state)
{
	static char text[70000];
	static const struct {
		size_t len;
		struct str head;
	} lengths[] = {
		{ 0, STR_INIT("\x81\x00") },
		{ 125, STR_INIT("\x81\x7d") },
		{ 126, STR_INIT("\x81\x7e\x00\x7e") },
		{ 65535, STR_INIT("\x81\x7e\xff\xff") },
		{ 65536, STR_INIT("\x81\x7f\0\0\0\0\0\x01\0\0") },
	};
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct str all, head = lengths[i].head;

		buf_reset(&out);
		ws_put_frame(&out, WS_OP_TEXT, (struct str){ text, lengths[i].len });
		all = buf_str(&out);
		assert_int_equal(all.len, head.len + lengths[i].len);
		CHECK_STR_IS(((struct str){ all.ptr, head.len }), head);
	}
	buf_reset(&out);
	ws_put_close(&out, WS_GOING_AWAY, STR("bye"));
	CHECK_STR_IS(buf_str(&out), STR("\x88\x05\x03\xe9"
					"bye"));
	buf_reset(&out);
	ws_put_close(&out, WS_NO_CODE, STR("not said"));
	CHECK_STR_IS(buf_str(&out), STR("\x88\x00"));
	buf_done(&out);
}

static void a_long_reason_is_cut_between_characters(void **state)
{
	struct buf out, reason;

	(void)state;
	buf_init(&out, 1 << 10);
	buf_init(&reason, 1 << 10);
	while (buf_len(&reason) < 200)
		buf_put(&reason, STR("\xc3\xa4"));
	ws_put_close(&out, WS_NORMAL, buf_str(&reason));
	assert_int_equal(buf_len(&out), 2 + 2 + 122);
	buf_done(&out);
	buf_done(&reason);
}

/* --- the handshake --- */

#define UPGRADE                              \
	{                                    \
		P("Upgrade"), P("websocket") \
	}
#define CONNECTION                                        \
	{                                                 \
		P("Connection"), P("keep-alive, Upgrade") \
	}
#define VERSION                                     \
	{                                           \
		P("Sec-WebSocket-Version"), P("13") \
	}
#define KEY                                                           \
	{                                                             \
		P("Sec-WebSocket-Key"), P("dGhlIHNhbXBsZSBub25jZQ==") \
	}

static const struct shake_case {
	const char *name;
	struct http_field fields[6];
	enum ws_handshake want;
} shakes[] = {
	{ "good", { UPGRADE, CONNECTION, VERSION, KEY }, WS_SHAKE_OK },
	{ "in other letters",
	  { { P("upgrade"), P("WebSocket") }, { P("connection"), P("upgrade") }, VERSION, KEY },
	  WS_SHAKE_OK },
	{ "plain", { { P("Accept"), P("*/*") } }, WS_SHAKE_NONE },
	{ "to something else", { { P("Upgrade"), P("h2c") }, CONNECTION }, WS_SHAKE_NONE },
	{ "no Connection", { UPGRADE, VERSION, KEY }, WS_SHAKE_MALFORMED },
	{ "Connection without Upgrade",
	  { UPGRADE, { P("Connection"), P("close") }, VERSION, KEY },
	  WS_SHAKE_MALFORMED },
	{ "no version", { UPGRADE, CONNECTION, KEY }, WS_SHAKE_VERSION },
	{ "version 8",
	  { UPGRADE, CONNECTION, { P("Sec-WebSocket-Version"), P("8") }, KEY },
	  WS_SHAKE_VERSION },
	{ "two versions", { UPGRADE, CONNECTION, VERSION, VERSION, KEY }, WS_SHAKE_MALFORMED },
	{ "no key", { UPGRADE, CONNECTION, VERSION }, WS_SHAKE_MALFORMED },
	{ "two keys", { UPGRADE, CONNECTION, VERSION, KEY, KEY }, WS_SHAKE_MALFORMED },
	{ "a short key",
	  { UPGRADE, CONNECTION, VERSION, { P("Sec-WebSocket-Key"), P("dGhlIHNhbXBsZQ==") } },
	  WS_SHAKE_MALFORMED },
	{ "a long key",
	  { UPGRADE,
	    CONNECTION,
	    VERSION,
	    { P("Sec-WebSocket-Key"), P("dGhlIHNhbXBsZSBub25jZSEh") } },
	  WS_SHAKE_MALFORMED },
	{ "no base64",
	  { UPGRADE,
	    CONNECTION,
	    VERSION,
	    { P("Sec-WebSocket-Key"), P("dGhlIHNhbX*sZSBub25jZQ==") } },
	  WS_SHAKE_MALFORMED },
};

static struct http_head head_of(const struct shake_case *c, struct http_field *fields)
{
	struct http_head h = {
		.method = HTTP_GET, .minor = 1, .content_length = -1, .fields = fields
	};

	while (h.n_fields < 6 && c->fields[h.n_fields].name.ptr) {
		fields[h.n_fields] = c->fields[h.n_fields];
		h.n_fields++;
	}
	return h;
}

static void which_requests_become_websockets(void **state)
{
	struct http_field fields[6];
	struct http_head h;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(shakes) / sizeof(shakes[0]); i++) {
		h = head_of(&shakes[i], fields);
		print_message("%s\n", shakes[i].name);
		assert_int_equal(ws_handshake(&h, &why), shakes[i].want);
		assert_int_equal(why != NULL, shakes[i].want > WS_SHAKE_OK);
	}
	h = head_of(&shakes[0], fields);
	h.method = HTTP_POST;
	assert_int_equal(ws_handshake(&h, &why), WS_SHAKE_NONE);
	h.method = HTTP_GET;
	h.minor = 0;
	assert_int_equal(ws_handshake(&h, &why), WS_SHAKE_NONE);
	h.minor = 1;
	h.content_length = 4;
	assert_int_equal(ws_handshake(&h, &why), WS_SHAKE_MALFORMED);
}

static void the_accept_value_of_rfc_6455(void **state)
{
	char text[WS_ACCEPT_LEN + 1];

	(void)state;
	CHECK_STR_IS(ws_accept(STR("dGhlIHNhbXBsZSBub25jZQ=="), text),
		     STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_frames_say),
		cmocka_unit_test(a_frame_without_mask_is_refused),
		cmocka_unit_test(a_length_in_more_bytes_than_it_needs_is_refused),
		cmocka_unit_test(the_longest_message_and_one_byte_more),
		cmocka_unit_test(what_is_written),
		cmocka_unit_test(a_long_reason_is_cut_between_characters),
		cmocka_unit_test(which_requests_become_websockets),
		cmocka_unit_test(the_accept_value_of_rfc_6455),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
