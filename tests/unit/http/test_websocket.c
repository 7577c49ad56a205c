/* tests/unit/http/test_websocket.c - mirrors src/http/server_websocket.c.
 *
 * The owner under test echoes, and does what some words say: "close", "flood".
 */
#include "rig.h"

#include "http/server_parts.h"
#include "http/websocket.h"
#include "websocket_frames.h"

struct fixture {
	struct rig rig;
	struct http_server *server;
	struct http_websocket *ws; /* the last one; NULL when it is over */
	bool refused;              /* it could not be accepted */
	unsigned n_texts, n_drained, n_shutdowns, n_gone;
	size_t flood_left;
	char why[128];
	char last[64];
	bool closed;
};

/* --- the owner --- */

static const char flood_bytes[16 * 1024];

static void flood(struct fixture *f)
{
	while (f->flood_left && http_websocket_pending(f->ws) < 256 * 1024) {
		http_websocket_send(f->ws, (struct str){ flood_bytes, sizeof(flood_bytes) });
		http_websocket_flush(f->ws);
		f->flood_left -= sizeof(flood_bytes);
	}
}

static void on_text(void *user, struct str text)
{
	struct fixture *f = user;

	f->n_texts++;
	snprintf(f->last, sizeof(f->last), "%.*s", STR_ARG(text));
	if (str_eq(text, STR("close"))) {
		struct http_websocket *ws = f->ws;

		f->ws = NULL;
		http_websocket_send(ws, STR("bye"));
		http_websocket_close(ws, WS_NORMAL, STR("as you wish"));
	} else if (str_eq(text, STR("flood"))) {
		f->flood_left = 4 * 1024 * 1024;
		flood(f);
	} else {
		http_websocket_send(f->ws, text);
		http_websocket_flush(f->ws);
	}
}

static void on_drain(void *user)
{
	((struct fixture *)user)->n_drained++;
	flood(user);
}

static void on_shutdown(void *user)
{
	((struct fixture *)user)->n_shutdowns++;
}

static void on_gone(void *user, const char *why)
{
	struct fixture *f = user;

	f->n_gone++;
	f->ws = NULL;
	snprintf(f->why, sizeof(f->why), "%s", why);
}

static const struct http_websocket_events events = {
	.on_text = on_text,
	.on_drain = on_drain,
	.on_shutdown = on_shutdown,
	.on_gone = on_gone,
};

static uint64_t ping_ms; /* of the next one accepted */

static void on_request(struct http_request *r, void *user)
{
	struct http_websocket_limits limits = { .max_message = 1024, .ping_ms = ping_ms };
	struct http_field field = { STR("X-Own"), STR("yes") };
	struct fixture *f = user;
	const char *why;

	if (ws_handshake(http_request_head(r), &why) != WS_SHAKE_OK) {
		http_respond(r, 200, NULL, 0, STR("plain"));
		return;
	}
	f->ws = http_websocket_accept(r, &field, 1, &limits, &events, f);
	f->refused = !f->ws;
	if (f->refused)
		http_respond(r, 503, NULL, 0, STR(""));
}

static void refuse(const struct http_head *head, int status, struct str message, struct arena *a,
		   struct buf *body, struct str *ret_content_type, void *user)
{
	(void)head, (void)status, (void)message, (void)a, (void)body, (void)ret_content_type,
		(void)user;
}

/* --- the stage --- */

static void up_idle(struct fixture *f, uint64_t idle_timeout_ms)
{
	const struct http_server_limits limits = {
		.max_target = 1024,
		.max_head = 16 * 1024,
		.max_fields = 50,
		.head_timeout_ms = 5000,
		.body_timeout_ms = 5000,
		.idle_timeout_ms = idle_timeout_ms,
		.write_timeout_ms = 5000,
		.write_low = 64 * 1024,
		.arena_max = 1024 * 1024,
	};
	struct http_handler h = { .on_request = on_request, .refuse = refuse, .user = f };
	struct http_listener_options o = { .host = STR("127.0.0.1"), .reuse_port = true };

	*f = (struct fixture){ .closed = false };
	ping_ms = 0;
	rig_init(&f->rig);
	f->server = http_server_new(&f->rig.loop, &limits, &h);
	assert_non_null(f->server);
	assert_int_equal(http_server_listen(f->server, &o, NULL), RC_OK);
}

static void up(struct fixture *f)
{
	up_idle(f, 60000);
}

static void on_closed(void *user)
{
	((struct fixture *)user)->closed = true;
}

static void down(struct fixture *f)
{
	http_server_close(f->server, on_closed, f);
	RUN_UNTIL(&f->rig, f->closed);
	rig_done(&f->rig);
}

#define HANDSHAKE                                                                      \
	"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"   \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
	"Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: chat\r\n\r\n"

static void say_frame(struct peer *p, unsigned first, struct str payload)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	put_frame(&b, first, payload);
	peer_send(p, buf_str(&b));
	buf_done(&b);
}

#define say(p, text) say_frame(p, FIN | TEXT, STR(text))

/* A client whose WebSocket is open, and who has nothing to read. */
static void open_on(struct fixture *f, struct peer *p)
{
	peer_sends(p, HANDSHAKE);
	RUN_UNTIL(&f->rig, peer_has(p, "\r\n\r\n"));
	assert_true(peer_has(p, "HTTP/1.1 101 Switching Protocols\r\n"));
	buf_reset(&p->got);
}

static struct peer *dial(struct fixture *f)
{
	struct peer *p = peer_connect(&f->rig, http_server_port(f->server));

	open_on(f, p);
	return p;
}

/* --- opening --- */

static void the_head_that_opens(void **state)
{
	struct fixture f;
	struct peer *p;

	(void)state;
	up(&f);
	p = peer_connect(&f.rig, http_server_port(f.server));
	peer_sends(p, HANDSHAKE);
	RUN_UNTIL(&f.rig, peer_has(p, "\r\n\r\n"));
	assert_true(peer_has(p, "Upgrade: websocket\r\nConnection: Upgrade\r\n"));
	assert_true(peer_has(
		p, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Own: yes\r\n"));
	assert_false(peer_has(p, "Sec-WebSocket-Extensions"));
	assert_false(peer_has(p, "Sec-WebSocket-Protocol"));
	assert_false(peer_has(p, "Content-Length"));
	peer_free(p);
	RUN_UNTIL(&f.rig, f.n_gone == 1);
	down(&f);
}

/* Any cut: the first frames may come with the handshake, and that with a request before it. */
static void frames_may_come_at_once(void **state)
{
	for (size_t piece = 0; piece < 3; piece++) {
		struct stream *ends[2];
		struct fixture f;
		struct peer *p;
		struct buf b;

		(void)state;
		up(&f);
		assert_true(stream_mem_pair(&f.rig.loop, 65536, piece, ends));
		server_adopt(f.server, ends[0], "memory");
		p = peer_new(&f.rig, ends[1]);
		buf_init(&b, 1 << 16);
		buf_puts(&b, "GET /plain HTTP/1.1\r\nHost: h\r\n\r\n" HANDSHAKE);
		put_frame(&b, TEXT, STR("on"));
		put_frame(&b, FIN | CONT, STR("e"));
		put_frame(&b, FIN | TEXT, STR("two"));
		peer_send(p, buf_str(&b));
		buf_done(&b);
		RUN_UNTIL(&f.rig, peer_has(p, "\x81\x03two"));
		assert_true(peer_has(p, "plain"));
		assert_true(peer_has(p, "\r\n\r\n\x81\x03one\x81\x03two"));
		assert_int_equal(f.n_texts, 2);
		peer_free(p);
		RUN_UNTIL(&f.rig, f.n_gone == 1);
		down(&f);
	}
}

/* --- the end --- */

static void a_client_says_goodbye(void **state)
{
	struct fixture f;
	struct peer *p;

	(void)state;
	up(&f);
	p = dial(&f);
	say_frame(p, FIN | CLOSE,
		  STR("\x0f\xa0"
		      "done"));
	RUN_UNTIL(&f.rig, p->ended);
	CHECK_STR_IS(buf_str(&p->got), STR("\x88\x02\x0f\xa0"));
	assert_int_equal(p->end_status, UV_EOF);
	assert_int_equal(f.n_gone, 1);
	assert_string_equal(f.why, "the client closed the WebSocket");
	peer_free(p);
	RUN_UNTIL(&f.rig, http_server_connections(f.server) == 0);
	down(&f);
	assert_int_equal(f.n_gone, 1);
}

static void we_say_goodbye_and_wait_for_the_client_to(void **state)
{
	struct fixture f;
	struct peer *p;

	(void)state;
	up(&f);
	p = dial(&f);
	say(p, "close");
	RUN_UNTIL(&f.rig, peer_has(p, "\x81\x03"
				      "bye\x88\x0d\x03\xe8"
				      "as you wish"));
	say(p, "too late");
	rig_settle(&f.rig, 5);
	assert_false(p->ended);
	say_frame(p, FIN | CLOSE, STR("\x03\xe8"));
	RUN_UNTIL(&f.rig, p->ended);
	assert_int_equal(p->end_status, UV_EOF);
	assert_int_equal(f.n_texts, 1);
	assert_int_equal(f.n_gone, 0); /* who closes is not told */
	peer_free(p);
	RUN_UNTIL(&f.rig, http_server_connections(f.server) == 0);
	down(&f);
}

static void a_client_that_leaves_is_noticed(void **state)
{
	struct fixture f;
	struct peer *p;

	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		up(&f);
		p = dial(&f);
		if (reset)
			peer_reset(p);
		else
			peer_close(p);
		RUN_UNTIL(&f.rig, f.n_gone == 1);
		RUN_UNTIL(&f.rig, http_server_connections(f.server) == 0);
		peer_free(p);
		down(&f);
	}
}

static void who_breaks_the_rules_is_told_and_let_go(void **state)
{
	static const struct {
		struct str frame;
		const char *want;
	} breaches[] = {
		{ STR_INIT("\x81\x01"
			   "a"),
		  "\x03\xea" }, /* 1002: not masked */
		{ STR_INIT("\x82\x80"
			   "abcd"),
		  "\x03\xeb" }, /* 1003: binary */
		{ STR_INIT("\x81\x81"
			   "abcd\x9e"),
		  "\x03\xef" }, /* 1007: no UTF-8 */
		{ STR_INIT("\x81\xfe\x04\x01"
			   "abcd"
			   "x"),
		  "\x03\xf1" }, /* 1009: 1025 bytes */
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof(breaches) / sizeof(breaches[0]); i++) {
		struct peer *p;

		up(&f);
		p = dial(&f);
		peer_send(p, breaches[i].frame);
		say(p, "nobody reads this");
		RUN_UNTIL(&f.rig, p->ended);
		assert_true(peer_has(p, "\x88"));
		assert_true(peer_has(p, breaches[i].want));
		assert_int_equal(p->end_status, UV_EOF);
		assert_int_equal(f.n_gone, 1);
		assert_int_equal(f.n_texts, 0);
		peer_free(p);
		RUN_UNTIL(&f.rig, http_server_connections(f.server) == 0);
		down(&f);
	}
}

static void the_server_may_close_under_it(void **state)
{
	struct fixture f;
	struct peer *p;

	(void)state;
	up(&f);
	p = dial(&f);
	http_server_close(f.server, on_closed, &f);
	assert_int_equal(f.n_gone, 1);
	RUN_UNTIL(&f.rig, f.closed && p->ended);
	peer_free(p);
	rig_done(&f.rig);
}

/* --- draining --- */

static void a_drain_asks_for_the_end_and_takes_no_more(void **state)
{
	struct fixture f;
	struct peer *p, *late;

	(void)state;
	up(&f);
	late = peer_connect(&f.rig, http_server_port(f.server));
	p = dial(&f);
	http_server_drain(f.server);
	assert_int_equal(f.n_shutdowns, 0); /* not inside of the call */
	RUN_UNTIL(&f.rig, f.n_shutdowns == 1);
	say(p, "still there"); /* what is under way goes on */
	RUN_UNTIL(&f.rig, peer_has(p, "still there"));
	http_websocket_close(f.ws, WS_GOING_AWAY, STR(""));
	RUN_UNTIL(&f.rig, peer_has(p, "\x88\x02\x03\xe9"));
	peer_sends(late, HANDSHAKE);
	RUN_UNTIL(&f.rig, peer_has(late, "\r\n\r\n"));
	assert_true(peer_has(late, "HTTP/1.1 503 "));
	assert_true(f.refused);
	peer_free(p);
	peer_free(late);
	RUN_UNTIL(&f.rig, http_server_connections(f.server) == 0);
	down(&f);
}

/* --- pings --- */

static void a_ping_is_answered(void **state)
{
	struct fixture f;
	struct peer *p;

	(void)state;
	up(&f);
	p = dial(&f);
	say_frame(p, TEXT, STR("be"));
	say_frame(p, FIN | PING, STR("you?"));
	say_frame(p, FIN | CONT, STR("fore"));
	RUN_UNTIL(&f.rig, peer_has(p, "before"));
	CHECK_STR_IS(buf_str(&p->got), STR("\x8a\x04you?\x81\x06"
					   "before"));
	peer_free(p);
	down(&f);
}

static void silence_is_filled_with_pings(void **state)
{
	struct fixture f;
	struct peer *p;
	uint64_t start;

	(void)state;
	up_idle(&f, 400);
	ping_ms = 50;
	p = dial(&f);
	start = now_ms();
	while (now_ms() - start < 1200) { /* three times the idle timeout */
		buf_reset(&p->got);
		RUN_UNTIL(&f.rig, p->ended || peer_has(p, "\x89\x00"));
		assert_false(p->ended);
		say_frame(p, FIN | PONG, STR(""));
	}
	assert_int_equal(f.n_gone, 0);
	peer_free(p);
	down(&f);
}

static void who_answers_no_ping_is_let_go(void **state)
{
	struct fixture f;
	struct peer *p;

	(void)state;
	up_idle(&f, 200); /* and pings after half of it, though none were asked for */
	p = dial(&f);
	RUN_UNTIL(&f.rig, p->ended);
	assert_true(peer_has(p, "\x89\x00"));
	assert_true(peer_has(p, "\x03\xe9no answer to pings"));
	assert_int_equal(f.n_gone, 1);
	peer_free(p);
	down(&f);
}

/* --- back-pressure --- */

static void output_waits_for_a_slow_client(void **state)
{
	struct stream *ends[2];
	struct fixture f;
	struct peer *p;

	(void)state;
	up(&f);
	assert_true(stream_mem_pair(&f.rig.loop, 4096, 0, ends));
	server_adopt(f.server, ends[0], "memory");
	p = peer_new(&f.rig, ends[1]);
	open_on(&f, p);
	say(p, "flood");
	RUN_UNTIL(&f.rig, f.flood_left == 0 && buf_len(&p->got) >= 4 * 1024 * 1024);
	assert_true(f.n_drained > 10);
	assert_true(http_websocket_pending(f.ws) == 0);
	peer_free(p);
	RUN_UNTIL(&f.rig, f.n_gone == 1);
	down(&f);
}

static void who_does_not_read_is_not_read(void **state)
{
	struct stream *ends[2];
	struct fixture f;
	struct peer *p;
	struct buf pings;

	(void)state;
	up(&f);
	assert_true(stream_mem_pair(&f.rig.loop, 65536, 0, ends));
	server_adopt(f.server, ends[0], "memory");
	p = peer_new(&f.rig, ends[1]);
	open_on(&f, p);
	stream_read_stop(p->stream);
	buf_init(&pings, 64 << 20);
	for (int i = 0; i < 40000; i++) /* their pongs are 5 MB */
		put_frame(&pings, FIN | PING,
			  STR("a hundred and twenty-five bytes are the most that a ping may hold, "
			      "and this one is nearly as long as that, is it not?"));
	peer_send(p, buf_str(&pings));
	buf_done(&pings);
	for (int i = 0; i < 500; i++)
		rig_settle(&f.rig, 1);
	assert_in_range(http_websocket_pending(f.ws), 512 * 1024, 1536 * 1024);
	assert_true(p->writing);
	assert_int_equal(stream_read_start(p->stream), 0);
	RUN_UNTIL(&f.rig, !p->writing && http_websocket_pending(f.ws) == 0);
	say(p, "and on");
	RUN_UNTIL(&f.rig, peer_has(p, "and on"));
	peer_free(p);
	RUN_UNTIL(&f.rig, f.n_gone == 1);
	down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_head_that_opens),
		cmocka_unit_test(frames_may_come_at_once),
		cmocka_unit_test(a_client_says_goodbye),
		cmocka_unit_test(we_say_goodbye_and_wait_for_the_client_to),
		cmocka_unit_test(a_client_that_leaves_is_noticed),
		cmocka_unit_test(who_breaks_the_rules_is_told_and_let_go),
		cmocka_unit_test(the_server_may_close_under_it),
		cmocka_unit_test(a_drain_asks_for_the_end_and_takes_no_more),
		cmocka_unit_test(a_ping_is_answered),
		cmocka_unit_test(silence_is_filled_with_pings),
		cmocka_unit_test(who_answers_no_ping_is_let_go),
		cmocka_unit_test(output_waits_for_a_slow_client),
		cmocka_unit_test(who_does_not_read_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
