/* tests/unit/net/test_tls.c - mirrors src/net/tls.c, over pipes in memory that cut as the test
 * wants. */
#include "rig.h"

#include "certs.h"
#include "net/tls.h"

struct fixture {
	struct rig rig;
	struct certs certs;
	struct tls_ctx *client_ctx, *server_ctx;
	struct stream *wire[2]; /* the carrier's ends */
	struct peer *client, *server;
};

static void up(struct fixture *f, const char *alt)
{
	struct err err = { .msg = "" };

	*f = (struct fixture){ .client = NULL };
	rig_init(&f->rig);
	certs_init(&f->certs, alt);
	f->server_ctx = tls_server_ctx(str_from(f->certs.cert), str_from(f->certs.key), &err);
	f->client_ctx = tls_client_ctx(str_from(f->certs.ca), true, &err);
	if (!f->server_ctx || !f->client_ctx)
		fail_msg("%s", err.msg);
}

static void connect_as(struct fixture *f, const char *host, size_t window, size_t piece)
{
	assert_true(stream_mem_pair(&f->rig.loop, window, piece, f->wire));
	f->client = peer_new(&f->rig, NULL);
	f->server = peer_new(&f->rig, NULL);
	f->server->stream = tls_server(f->wire[1], f->server_ctx, &peer_events, f->server);
	assert_non_null(f->server->stream);
	assert_int_equal(stream_read_start(f->server->stream), 0);
	f->client->stream =
		tls_client(f->wire[0], f->client_ctx, str_from(host), &peer_events, f->client);
	assert_non_null(f->client->stream);
}

static void disconnect(struct fixture *f)
{
	peer_free(f->client);
	peer_free(f->server);
}

static void down(struct fixture *f)
{
	tls_ctx_free(f->client_ctx);
	tls_ctx_free(f->server_ctx);
	certs_done(&f->certs);
	rig_done(&f->rig);
}

static const char both[] = "DNS:localhost,DNS:*.example.test,IP:127.0.0.1,IP:::1";

static void good_names_shake_hands_and_talk(void **state)
{
	static const char *const hosts[] = { "localhost", "api.example.test", "127.0.0.1", "::1" };
	struct fixture f;

	up(&f, both);
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		connect_as(&f, hosts[i], 64 * 1024, 0);
		RUN_UNTIL(&f.rig, f.client->open && f.server->open);
		peer_sends(f.client, "ping");
		peer_sends(f.server, "pong");
		RUN_UNTIL(&f.rig, peer_has(f.server, "ping") && peer_has(f.client, "pong"));
		disconnect(&f);
	}
	down(&f);
}

static void names_and_authorities_that_do_not_match_are_refused(void **state)
{
	static const char *const hosts[] = { "other.test", "127.0.0.2", "a.b.example.test",
					     "example.test" };
	struct fixture f;

	up(&f, both);
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		connect_as(&f, hosts[i], 64 * 1024, 0);
		RUN_UNTIL(&f.rig, f.client->open_status < 0);
		assert_false(f.client->open);
		disconnect(&f);
	}
	/* the system's store does not know our authority */
	tls_ctx_free(f.client_ctx);
	f.client_ctx = tls_client_ctx(STR_NONE, true, NULL);
	assert_non_null(f.client_ctx);
	connect_as(&f, "localhost", 64 * 1024, 0);
	RUN_UNTIL(&f.rig, f.client->open_status < 0);
	disconnect(&f);
	/* unless told not to look */
	tls_ctx_free(f.client_ctx);
	f.client_ctx = tls_client_ctx(STR_NONE, false, NULL);
	connect_as(&f, "localhost", 64 * 1024, 0);
	RUN_UNTIL(&f.rig, f.client->open);
	disconnect(&f);
	down(&f);
}

static void every_cut_of_the_wire_gives_the_same(void **state)
{
	struct fixture f;

	up(&f, both);
	for (size_t window = 1; window <= 1000; window = window * 7 + 1) {
		connect_as(&f, "localhost", window, window > 8 ? 3 : 1);
		RUN_UNTIL(&f.rig, f.client->open && f.server->open);
		peer_sends(f.client, "a question");
		RUN_UNTIL(&f.rig, peer_has(f.server, "a question"));
		peer_sends(f.server, "an answer");
		RUN_UNTIL(&f.rig, peer_has(f.client, "an answer"));
		peer_close(f.client);
		RUN_UNTIL(&f.rig, f.server->ended);
		disconnect(&f);
	}
	down(&f);
}

static void large_transfers_pass_both_ways_with_little_buffered(void **state)
{
	enum { SIZE = 5 * 1000 * 1000 };
	char *bytes = malloc(SIZE);
	struct fixture f;

	assert_non_null(bytes);
	for (int i = 0; i < SIZE; i++)
		bytes[i] = (char)(i * 7 + i / 1000);
	up(&f, both);
	connect_as(&f, "localhost", 100 * 1000, 0);
	RUN_UNTIL(&f.rig, f.client->open && f.server->open);
	peer_send(f.client, (struct str){ bytes, SIZE });
	peer_send(f.server, (struct str){ bytes, SIZE });
	assert_true(stream_pending(f.client->stream) > SIZE / 2);
	RUN_UNTIL(&f.rig, buf_len(&f.client->got) == SIZE && buf_len(&f.server->got) == SIZE);
	assert_memory_equal(buf_str(&f.client->got).ptr, bytes, SIZE);
	assert_memory_equal(buf_str(&f.server->got).ptr, bytes, SIZE);
	assert_int_equal(stream_pending(f.client->stream), 0);
	free(bytes);
	disconnect(&f);
	down(&f);
}

static void an_end_without_notice_is_no_clean_end(void **state)
{
	struct fixture f;

	up(&f, both);
	connect_as(&f, "localhost", 64 * 1024, 0);
	RUN_UNTIL(&f.rig, f.client->open && f.server->open);
	stream_shutdown(f.server->stream); /* with notice */
	RUN_UNTIL(&f.rig, f.client->ended);
	assert_int_equal(f.client->end_status, UV_EOF);
	disconnect(&f);
	connect_as(&f, "localhost", 64 * 1024, 0);
	RUN_UNTIL(&f.rig, f.client->open && f.server->open);
	stream_shutdown(f.wire[1]); /* below TLS: as somebody in between would */
	RUN_UNTIL(&f.rig, f.client->ended);
	assert_int_equal(f.client->end_status, UV_ECONNRESET);
	disconnect(&f);
	down(&f);
}

static void what_is_not_tls_fails_the_handshake(void **state)
{
	struct fixture f;
	struct peer *plain;

	up(&f, both);
	assert_true(stream_mem_pair(&f.rig.loop, 4096, 0, f.wire));
	plain = peer_new(&f.rig, f.wire[1]);
	f.client = peer_new(&f.rig, NULL);
	f.client->stream =
		tls_client(f.wire[0], f.client_ctx, STR("localhost"), &peer_events, f.client);
	peer_sends(plain, "HTTP/1.1 400 Bad Request\r\n\r\n");
	RUN_UNTIL(&f.rig, f.client->open_status < 0);
	peer_free(f.client);
	peer_free(plain);
	/* and a peer that leaves during it */
	assert_true(stream_mem_pair(&f.rig.loop, 4096, 0, f.wire));
	plain = peer_new(&f.rig, f.wire[1]);
	f.client = peer_new(&f.rig, NULL);
	f.client->stream =
		tls_client(f.wire[0], f.client_ctx, STR("localhost"), &peer_events, f.client);
	peer_close(plain);
	RUN_UNTIL(&f.rig, f.client->open_status < 0);
	peer_free(f.client);
	peer_free(plain);
	down(&f);
}

static void a_second_connection_resumes_the_session(void **state)
{
	struct fixture f;

	up(&f, both);
	for (int i = 0; i < 2; i++) {
		connect_as(&f, "localhost", 64 * 1024, 0);
		RUN_UNTIL(&f.rig, f.client->open && f.server->open);
		assert_int_equal(tls_resumed(f.client->stream), i == 1);
		peer_sends(f.server, "the ticket comes with it");
		RUN_UNTIL(&f.rig, peer_has(f.client, "ticket"));
		disconnect(&f);
	}
	/* of another host: not */
	connect_as(&f, "127.0.0.1", 64 * 1024, 0);
	RUN_UNTIL(&f.rig, f.client->open && f.server->open);
	assert_false(tls_resumed(f.client->stream));
	disconnect(&f);
	down(&f);
}

static void a_close_is_safe_at_every_step(void **state)
{
	struct fixture f;

	up(&f, both);
	for (int turns = 0; turns < 12; turns++) {
		connect_as(&f, "localhost", 300, 100);
		rig_settle(&f.rig, turns);
		disconnect(&f);
	}
	down(&f);
}

static void bad_files_are_errors_that_name_them(void **state)
{
	struct certs c, other;
	struct err err;

	certs_init(&c, both);
	certs_init(&other, both);
	assert_null(tls_client_ctx(STR("/no/such/ca.pem"), true, &err));
	assert_non_null(strstr(err.msg, "/no/such/ca.pem"));
	assert_null(tls_server_ctx(STR("/no/such/cert.pem"), str_from(c.key), &err));
	assert_non_null(strstr(err.msg, "/no/such/cert.pem"));
	assert_null(tls_server_ctx(str_from(c.cert), str_from(other.key), &err));
	assert_non_null(strstr(err.msg, other.key));
	certs_done(&c);
	certs_done(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_names_shake_hands_and_talk),
		cmocka_unit_test(names_and_authorities_that_do_not_match_are_refused),
		cmocka_unit_test(every_cut_of_the_wire_gives_the_same),
		cmocka_unit_test(large_transfers_pass_both_ways_with_little_buffered),
		cmocka_unit_test(an_end_without_notice_is_no_clean_end),
		cmocka_unit_test(what_is_not_tls_fails_the_handshake),
		cmocka_unit_test(a_second_connection_resumes_the_session),
		cmocka_unit_test(a_close_is_safe_at_every_step),
		cmocka_unit_test(bad_files_are_errors_that_name_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
