/* tests/unit/http/test_both.c - client and server of src/http against each other: over TLS and
 * Unix sockets. */
#include "rig.h"

#include "certs.h"
#include "http/client.h"
#include "http/client_parts.h"
#include "http/server.h"

struct fixture {
	struct rig rig;
	struct certs certs;
	struct arena *arena;
	struct http_server *server;
	struct http_client *client;
	struct origin origin;
	unsigned n_closed;
	uint64_t tls_ms;
	char dir[32], sock[64];
};

/* --- the server echoes bodies: whole, or as a stream when the path says so --- */

static void on_request_body(void *user, struct str body)
{
	struct http_request *r = user;
	struct http_field type = { STR("Content-Type"), STR("application/octet-stream") };

	if (!str_eq(http_request_head(r)->path, STR("/stream"))) {
		http_respond(r, 200, &type, 1, body);
		return;
	}
	http_respond_head(r, 200, &type, 1);
	while (body.len > 0) {
		size_t n = body.len < 10000 ? body.len : 10000;

		http_respond_write(r, (struct str){ body.ptr, n });
		http_respond_flush(r);
		body = str_from_offset(body, n);
	}
	http_respond_end(r);
}

static void on_request_body_failed(void *user, int status, struct str message)
{
	http_respond(user, status, NULL, 0, message);
}

static void on_request_drain(void *user)
{
}

static void on_request_gone(void *user, const char *why)
{
}

static const struct http_request_events request_events = {
	.on_body = on_request_body,
	.on_body_failed = on_request_body_failed,
	.on_drain = on_request_drain,
	.on_gone = on_request_gone,
};

static void on_request(struct http_request *r, void *user)
{
	http_request_set_user(r, r, &request_events);
	http_request_read_body(r, 64 * 1024 * 1024);
}

static void refuse(const struct http_head *head, int status, struct str message, struct arena *a,
		   struct buf *body, struct str *ret_content_type, void *user)
{
	buf_put(body, message);
}

/* --- calls --- */

struct result {
	struct http_call *call;
	bool over;
	int status;
	enum http_failure failure;
	char detail[200];
	struct buf body;
	bool reused;
};

static void on_head(void *user, const struct http_head *h)
{
	((struct result *)user)->status = h->status;
}

static void on_body(void *user, struct str bytes)
{
	buf_put(&((struct result *)user)->body, bytes);
}

static void on_end(void *user)
{
	struct result *r = user;

	r->over = true;
	r->reused = http_call_stats(r->call)->reused;
}

static void on_error(void *user, enum http_failure f, struct str detail)
{
	struct result *r = user;

	r->over = true;
	r->status = -1;
	r->failure = f;
	snprintf(r->detail, sizeof(r->detail), "%.*s", STR_ARG(detail));
}

static const struct http_call_events call_events = {
	.on_head = on_head,
	.on_body = on_body,
	.on_end = on_end,
	.on_error = on_error,
};

static void up(struct fixture *f, bool tls, bool is_unix)
{
	static const struct http_server_limits sl = {
		.max_target = 1024,
		.max_head = 16384,
		.max_fields = 50,
		.head_timeout_ms = 5000,
		.body_timeout_ms = 5000,
		.idle_timeout_ms = 5000,
		.write_timeout_ms = 5000,
		.write_low = 65536,
		.arena_max = 1048576,
	};
	static const struct http_client_limits cl = {
		.max_idle_per_origin = 8,
		.idle_timeout_ms = 5000,
		.max_head = 16384,
		.max_fields = 50,
		.dns_ttl_ms = 30000,
	};
	struct http_handler h = { .on_request = on_request, .refuse = refuse, .user = f };
	struct http_listener_options o = { .host = STR("127.0.0.1") };
	struct err err = { .msg = "" };

	*f = (struct fixture){ .dir = "/tmp/gw-both-XXXXXX", .tls_ms = 20000 };
	rig_init(&f->rig);
	certs_init(&f->certs, "DNS:localhost");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->sock, sizeof(f->sock), "%s/s", f->dir);
	f->arena = arena_new(65536);
	f->server = http_server_new(&f->rig.loop, &sl, &h);
	f->client = http_client_new(&f->rig.loop, &cl);
	if (is_unix)
		o.unix_path = str_from(f->sock);
	if (tls) {
		o.tls_certificate = str_from(f->certs.cert);
		o.tls_key = str_from(f->certs.key);
	}
	if (http_server_listen(f->server, &o, &err) < 0)
		fail_msg("%s", err.msg);
}

static void aim(struct fixture *f, struct str url, bool with_ca)
{
	struct err err = { .msg = "" };

	if (origin_parse(f->arena, url, with_ca ? str_from(f->certs.ca) : STR_NONE, true, STR("k"),
			 &f->origin, &err) < 0)
		fail_msg("%s", err.msg);
}

static void on_closed(void *user)
{
	((struct fixture *)user)->n_closed++;
}

static void down(struct fixture *f)
{
	http_client_close(f->client, on_closed, f);
	http_server_close(f->server, on_closed, f);
	RUN_UNTIL(&f->rig, f->n_closed == 2);
	arena_free(f->arena);
	certs_done(&f->certs);
	rmdir(f->dir);
	rig_done(&f->rig);
}

static void call(struct fixture *f, struct result *r, const char *path, struct str body)
{
	struct http_call_options o = {
		.origin = &f->origin,
		.method = HTTP_POST,
		.path = str_from(path),
		.body = body,
		.deadlines = { 20000, f->tls_ms, 20000, 20000 },
	};

	*r = (struct result){ .over = false };
	buf_init(&r->body, 256 * 1024 * 1024);
	r->call = http_call_start(f->client, &o, &call_events, r);
	assert_non_null(r->call);
	RUN_UNTIL(&f->rig, r->over);
}

static void check_echo(struct fixture *f, const char *path, size_t size, bool reused)
{
	struct result r;
	char *bytes = malloc(size + 1);

	assert_non_null(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 13 + i / 255);
	call(f, &r, path, (struct str){ bytes, size });
	if (r.status != 200)
		fail_msg("%s: %s", http_failure_name(r.failure), r.detail);
	assert_int_equal(buf_len(&r.body), size);
	assert_memory_equal(buf_str(&r.body).ptr, bytes, size);
	assert_int_equal(r.reused, reused);
	buf_done(&r.body);
	free(bytes);
}

static void check_echoes(struct fixture *f)
{
	check_echo(f, "/", 0, false);
	check_echo(f, "/", 1, true);
	check_echo(f, "/stream", 100, true);
	check_echo(f, "/stream", 1000 * 1000, true);
	check_echo(f, "/", 20 * 1000 * 1000, true);
}

static void calls_over_tcp(void **state)
{
	struct fixture f;

	up(&f, false, false);
	aim(&f, arena_printf(f.arena, "http://127.0.0.1:%u", (unsigned)http_server_port(f.server)),
	    false);
	check_echoes(&f);
	down(&f);
}

static void calls_over_a_unix_socket(void **state)
{
	struct fixture f;

	up(&f, false, true);
	aim(&f, arena_printf(f.arena, "unix:%s", f.sock), false);
	check_echoes(&f);
	down(&f);
}

static void calls_over_tls(void **state)
{
	struct fixture f;

	up(&f, true, false);
	aim(&f, arena_printf(f.arena, "https://localhost:%u", (unsigned)http_server_port(f.server)),
	    true);
	check_echoes(&f);
	down(&f);
}

static void a_certificate_nobody_vouches_for_is_a_tls_failure(void **state)
{
	struct fixture f;
	struct result r;

	up(&f, true, false);
	aim(&f, arena_printf(f.arena, "https://localhost:%u", (unsigned)http_server_port(f.server)),
	    false);
	call(&f, &r, "/", STR("x"));
	assert_int_equal(r.status, -1);
	assert_int_equal(r.failure, HTTP_FAIL_TLS);
	assert_non_null(strstr(r.detail, "certificate"));
	/* nor is one for another name */
	aim(&f, arena_printf(f.arena, "https://127.0.0.1:%u", (unsigned)http_server_port(f.server)),
	    true);
	call(&f, &r, "/", STR("x"));
	assert_int_equal(r.failure, HTTP_FAIL_TLS);
	RUN_UNTIL(&f.rig, http_server_connections(f.server) == 0);
	down(&f);
}

static void a_handshake_that_does_not_end_is_a_tls_timeout(void **state)
{
	struct fixture f;
	struct host mute;
	struct result r;

	up(&f, false, false);
	host_init(&mute, &f.rig);
	f.tls_ms = 200;
	aim(&f,
	    arena_printf(f.arena, "https://localhost:%u", (unsigned)listener_port(mute.listener)),
	    true);
	call(&f, &r, "/", STR("x"));
	assert_int_equal(r.failure, HTTP_FAIL_TLS_TIMEOUT);
	host_done(&mute);
	down(&f);
}

static void a_ca_file_that_is_missing_is_a_tls_failure_that_names_it(void **state)
{
	struct fixture f;
	struct result r;

	up(&f, true, false);
	aim(&f, arena_printf(f.arena, "https://localhost:%u", (unsigned)http_server_port(f.server)),
	    true);
	unlink(f.certs.ca);
	call(&f, &r, "/", STR("x"));
	assert_int_equal(r.failure, HTTP_FAIL_TLS);
	assert_non_null(strstr(r.detail, f.certs.ca));
	down(&f);
}

static void plain_http_at_a_tls_listener_is_closed(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f, true, false);
	p = peer_connect(&f.rig, http_server_port(f.server));
	peer_sends(p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, p->ended && http_server_connections(f.server) == 0);
	peer_free(p);
	down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_over_tcp),
		cmocka_unit_test(calls_over_a_unix_socket),
		cmocka_unit_test(calls_over_tls),
		cmocka_unit_test(a_certificate_nobody_vouches_for_is_a_tls_failure),
		cmocka_unit_test(a_handshake_that_does_not_end_is_a_tls_timeout),
		cmocka_unit_test(a_ca_file_that_is_missing_is_a_tls_failure_that_names_it),
		cmocka_unit_test(plain_http_at_a_tls_listener_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
