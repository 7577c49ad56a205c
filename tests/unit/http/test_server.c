/* tests/unit/http/test_server.c - mirrors src/http/server*.c over real sockets.
 *
 * The handler under test answers by the request's path, so that a test reads as what goes in and
 * what comes out.
 */
#include "rig.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "certs.h"
#include "http/server.h"
#include "http/server_parts.h"

/* --- a server whose handler does what the path says --- */

enum { HELD_MAX = 16 };

struct fixture {
	struct rig rig;
	struct http_server *server;
	struct http_request *held[HELD_MAX]; /* /hold: not answered by the handler */
	unsigned n_held, n_requests, n_gone, n_drained, n_body_failed, n_refused;
	size_t body_max, flood_left;
	bool closed, body_came;
	char why[128]; /* of the last on_gone */
	char last_path[256];
	char last_body[64];
	size_t body_len;
	int refused_status;
	bool refused_with_head;
	uint64_t failed_at_ms;
};

struct exchange {
	struct fixture *f;
	struct http_request *r;
};

static void answer_path(struct exchange *x)
{
	struct fixture *f = x->f;
	const struct http_head *h = http_request_head(x->r);
	struct http_field type = { STR("Content-Type"), STR("text/plain") };

	if (str_eq(h->path, STR("/hold"))) {
		assert_true(f->n_held < HELD_MAX);
		f->held[f->n_held++] = x->r;
	} else if (str_eq(h->path, STR("/stream"))) {
		http_respond_head(x->r, 200, &type, 1);
		http_respond_write(x->r, STR("one "));
		http_respond_flush(x->r);
		http_respond_write(x->r, STR("two"));
		http_respond_end(x->r);
	} else if (str_eq(h->path, STR("/late"))) {
		http_respond_head(x->r, 200, NULL, 0);
		http_respond_write(x->r, STR("one"));
		http_respond_end_with(x->r, &type, 1);
	} else if (str_eq(h->path, STR("/cut"))) {
		http_respond_head(x->r, 200, &type, 1);
		http_respond_write(x->r, STR("half"));
		http_respond_abort(x->r);
	} else if (str_eq(h->path, STR("/empty"))) {
		http_respond(x->r, 204, NULL, 0, STR(""));
	} else {
		http_respond(x->r, 200, &type, 1, h->path);
	}
}

static void on_body(void *user, struct str body)
{
	struct exchange *x = user;

	x->f->body_came = true;
	x->f->body_len = body.len;
	snprintf(x->f->last_body, sizeof(x->f->last_body), "%.*s", STR_ARG(body));
	answer_path(x);
}

static void on_body_failed(void *user, int status, struct str message)
{
	struct exchange *x = user;

	x->f->n_body_failed++;
	x->f->failed_at_ms = now_ms();
	http_respond(x->r, status, NULL, 0, message);
}

static const char flood_bytes[16 * 1024];

static void flood(struct exchange *x)
{
	struct fixture *f = x->f;

	while (f->flood_left && http_respond_pending(x->r) < 256 * 1024) {
		size_t n =
			f->flood_left < sizeof(flood_bytes) ? f->flood_left : sizeof(flood_bytes);

		http_respond_write(x->r, (struct str){ flood_bytes, n });
		http_respond_flush(x->r);
		f->flood_left -= n;
	}
	if (!f->flood_left)
		http_respond_end(x->r);
}

static void on_drain(void *user)
{
	struct exchange *x = user;

	x->f->n_drained++;
	flood(x);
}

static void on_gone(void *user, const char *why)
{
	struct exchange *x = user;

	x->f->n_gone++;
	snprintf(x->f->why, sizeof(x->f->why), "%s", why);
	/* what a careless owner may do is harmless */
	http_respond_write(x->r, STR("into the void"));
	http_respond_flush(x->r);
	http_respond_end(x->r);
}

static const struct http_request_events request_events = {
	.on_body = on_body,
	.on_body_failed = on_body_failed,
	.on_drain = on_drain,
	.on_gone = on_gone,
};

static void on_request(struct http_request *r, void *user)
{
	struct fixture *f = user;
	struct exchange *x = arena_alloc(http_request_arena(r), sizeof(*x));
	const struct http_head *h = http_request_head(r);

	assert_non_null(x);
	*x = (struct exchange){ .f = f, .r = r };
	f->n_requests++;
	snprintf(f->last_path, sizeof(f->last_path), "%.*s", STR_ARG(h->path));
	http_request_set_user(r, x, &request_events);
	if (str_eq(h->path, STR("/deny"))) {
		http_respond(r, 401, NULL, 0, STR("no"));
	} else if (str_eq(h->path, STR("/flood"))) {
		http_respond_head(r, 200, NULL, 0);
		flood(x);
	} else if (str_eq(h->path, STR("/later"))) {
		f->held[f->n_held++] = r; /* its body is asked for by the test */
	} else {
		http_request_read_body(r, f->body_max);
	}
}

static void refuse(const struct http_head *head, int status, struct str message, struct arena *a,
		   struct buf *body, struct str *ret_content_type, void *user)
{
	struct fixture *f = user;

	f->n_refused++;
	f->refused_status = status;
	f->refused_with_head = head != NULL;
	*ret_content_type = STR("application/json");
	buf_puts(body, "{\"error\":\"");
	buf_put(body, message);
	buf_puts(body, "\"}");
}

static const struct http_server_limits roomy = {
	.max_target = 1024,
	.max_head = 16 * 1024,
	.max_fields = 50,
	.head_timeout_ms = 5000,
	.body_timeout_ms = 5000,
	.idle_timeout_ms = 5000,
	.write_timeout_ms = 5000,
	.write_low = 64 * 1024,
	.arena_max = 1024 * 1024,
};

static void up_with(struct fixture *f, const struct http_server_limits *limits,
		    const struct http_listener_options *o)
{
	struct http_handler h = { .on_request = on_request, .refuse = refuse, .user = f };
	struct err err = { .msg = "" };

	*f = (struct fixture){ .body_max = 1024 * 1024 };
	rig_init(&f->rig);
	f->server = http_server_new(&f->rig.loop, limits, &h);
	assert_non_null(f->server);
	if (http_server_listen(f->server, o, &err) < 0)
		fail_msg("%s", err.msg);
}

static void up_limits(struct fixture *f, const struct http_server_limits *limits)
{
	up_with(f, limits,
		&(struct http_listener_options){ .host = STR("127.0.0.1"), .reuse_port = true });
}

static void up(struct fixture *f)
{
	up_limits(f, &roomy);
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

static struct peer *dial(struct fixture *f)
{
	return peer_connect(&f->rig, http_server_port(f->server));
}

/* One exchange on a fresh connection: what `text` gets, until the server closes or `want` has
 * come. */
static struct peer *ask(struct fixture *f, const char *text, const char *want)
{
	struct peer *p = dial(f);

	peer_sends(p, text);
	RUN_UNTIL(&f->rig, p->ended || peer_has(p, want));
	if (!peer_has(p, want))
		fail_msg("got: %.*s", STR_ARG(buf_str(&p->got)));
	return p;
}

/* --- answers --- */

static void a_request_gets_its_answer_and_the_connection_lives(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	p = ask(&f, "GET /hello?x=1 HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n\r\n/hello");
	assert_true(peer_has(p, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: "));
	assert_true(peer_has(p, " GMT\r\nContent-Length: 6\r\n\r\n/hello"));
	assert_false(peer_has(p, "Connection:"));
	peer_sends(p, "GET /again HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, peer_has(p, "/again"));
	assert_int_equal(http_server_connections(f.server), 1);
	peer_free(p);
	RUN_UNTIL(&f.rig, http_server_connections(f.server) == 0);
	down(&f);
}

static void a_streamed_answer_is_chunked_one_chunk_a_flush(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	p = ask(&f, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n", "0\r\n\r\n");
	assert_true(peer_has(
		p, "Transfer-Encoding: chunked\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"));
	assert_false(p->ended);
	peer_free(p);
	down(&f);
}

static void fields_behind_the_body_stand_in_its_last_chunk(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	p = ask(&f, "GET /late HTTP/1.1\r\nHost: h\r\n\r\n",
		"one\r\n0\r\nContent-Type: text/plain\r\n\r\n");
	peer_sends(p, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, peer_has(p, "/a")); /* it was the end of the message */
	peer_free(p);
	p = ask(&f, "GET /late HTTP/1.0\r\n\r\n", "\r\n\r\none");
	RUN_UNTIL(&f.rig, p->ended);
	assert_false(peer_has(p, "Content-Type"));
	peer_free(p);
	down(&f);
}

static void http_1_0_gets_no_chunks_and_the_end_of_the_connection(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	p = ask(&f, "GET /stream HTTP/1.0\r\n\r\n", "one two");
	RUN_UNTIL(&f.rig, p->ended);
	assert_int_equal(p->end_status, UV_EOF);
	assert_false(peer_has(p, "chunked"));
	assert_true(peer_has(p, "Connection: close\r\n\r\none two"));
	peer_free(p);
	p = ask(&f, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "/a");
	assert_true(peer_has(p, "Connection: keep-alive\r\n"));
	peer_sends(p, "GET /b HTTP/1.0\r\n\r\n");
	RUN_UNTIL(&f.rig, p->ended);
	assert_true(peer_has(p, "/b"));
	peer_free(p);
	down(&f);
}

static void head_gets_the_head_alone(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	p = ask(&f, "HEAD /four HTTP/1.1\r\nHost: h\r\n\r\n", "Content-Length: 5\r\n\r\n");
	peer_sends(
		p,
		"HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\nGET /empty HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, peer_has(p, "204 No Content"));
	assert_false(peer_has(p, "/four"));
	assert_false(peer_has(p, "one"));
	assert_true(peer_has(p, "Transfer-Encoding: chunked\r\n\r\nHTTP/1.1 204"));
	rig_settle(&f.rig, 3);
	assert_int_equal(peer_count(p, "Content-Length"), 1); /* a 204 has none */
	peer_free(p);
	down(&f);
}

static void an_aborted_stream_can_be_told_from_a_whole_one(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	p = ask(&f, "GET /cut HTTP/1.1\r\nHost: h\r\n\r\n", "4\r\nhalf\r\n");
	RUN_UNTIL(&f.rig, p->ended);
	assert_false(peer_has(p, "0\r\n\r\n"));
	peer_free(p);
	/* without chunks only a reset tells */
	p = dial(&f);
	peer_sends(p, "GET /cut HTTP/1.0\r\n\r\n");
	RUN_UNTIL(&f.rig, p->ended);
	assert_int_equal(p->end_status, UV_ECONNRESET);
	peer_free(p);
	down(&f);
}

static void connection_close_is_done_as_asked(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	p = ask(&f, "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "/x");
	RUN_UNTIL(&f.rig, p->ended);
	assert_int_equal(p->end_status, UV_EOF);
	assert_true(peer_has(p, "Connection: close\r\n"));
	peer_free(p);
	down(&f);
}

/* --- pipelining and splits --- */

static const char pair[] = "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
			   "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: ignored\r\n\r\n"
			   "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nwxyz"
			   "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n";

static void check_pair(struct fixture *f, struct peer *p)
{
	RUN_UNTIL(&f->rig, p->ended || peer_has(p, "0\r\n\r\n"));
	ptrdiff_t a = str_find(buf_str(&p->got), STR("\r\n\r\n/a")),
		  b = str_find(buf_str(&p->got), STR("\r\n\r\n/b"));
	ptrdiff_t s = str_find(buf_str(&p->got), STR("4\r\none "));

	assert_true(a > 0 && b > a && s > b);
	assert_int_equal(peer_count(p, "HTTP/1.1 200 OK"), 3);
	assert_string_equal(f->last_path, "/stream");
}

static void pipelined_requests_are_answered_in_order_for_every_split(void **state)
{
	struct fixture f;

	up(&f);
	for (size_t cut = 1; cut < sizeof(pair) - 1; cut++) {
		struct peer *p = dial(&f);
		unsigned before = f.n_requests;

		peer_send(p, (struct str){ pair, cut });
		/* what was sent has been read before the rest goes out */
		rig_settle(&f.rig, 3);
		peer_send(p, (struct str){ pair + cut, sizeof(pair) - 1 - cut });
		check_pair(&f, p);
		assert_int_equal(f.n_requests - before, 3);
		peer_free(p);
	}
	down(&f);
}

static void pipelined_requests_byte_by_byte_over_a_narrow_pipe(void **state)
{
	for (size_t window = 1; window <= 64; window = window * 3 + 1) {
		struct stream *ends[2];
		struct fixture f;
		struct peer *p;

		up(&f);
		assert_true(stream_mem_pair(&f.rig.loop, window, 1, ends));
		server_adopt(f.server, ends[0], "memory");
		p = peer_new(&f.rig, ends[1]);
		peer_sends(p, pair);
		check_pair(&f, p);
		peer_free(p);
		down(&f);
	}
}

static void the_next_request_waits_for_the_answer_before_it(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	p = dial(&f);
	peer_sends(p,
		   "GET /hold HTTP/1.1\r\nHost: h\r\n\r\nGET /second HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, f.n_held == 1);
	rig_settle(&f.rig, 5);
	assert_int_equal(f.n_requests, 1);
	http_respond(f.held[0], 200, NULL, 0, STR("first"));
	assert_int_equal(f.n_requests, 1); /* not started inside of the call */
	RUN_UNTIL(&f.rig, peer_has(p, "/second"));
	assert_true(str_find(buf_str(&p->got), STR("first")) <
		    str_find(buf_str(&p->got), STR("/second")));
	peer_free(p);
	down(&f);
}

static void a_thousand_pipelined_requests_do_not_pile_up_the_stack(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	p = dial(&f);
	struct buf all;

	buf_init(&all, 1024 * 1024);
	for (int i = 0; i < 1000; i++)
		buf_puts(&all, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
	peer_send(p, buf_str(&all));
	buf_done(&all);
	RUN_UNTIL(&f.rig, peer_count(p, "\r\n\r\n/x") == 1000);
	peer_free(p);
	down(&f);
}

static void what_is_pipelined_during_a_request_is_kept_within_bounds(void **state)
{
	static char junk[4 * 1024 * 1024];
	struct fixture f;
	struct peer *p;

	up(&f);
	p = dial(&f);
	peer_sends(p, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, f.n_held == 1);
	memset(junk, 'G', sizeof(junk));
	peer_send(p, (struct str){ junk, sizeof(junk) });
	rig_settle(&f.rig, 200);
	struct server_conn *c = LIST_ENTRY(f.server->busy.next, struct server_conn, node);

	assert_true(c->held);
	assert_in_range(buf_len(&c->in), KEPT_STOP, 3 * KEPT_STOP);
	http_respond(f.held[0], 200, NULL, 0, STR("done"));
	RUN_UNTIL(&f.rig, p->ended || f.n_refused == 1); /* the junk is no request */
	assert_true(peer_has(p, "done"));
	peer_free(p);
	down(&f);
}

/* --- bodies --- */

static void a_chunked_body_comes_whole_and_its_trailers_do_not_matter(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	p = ask(&f, pair, "/a");
	RUN_UNTIL(&f.rig, f.n_requests == 3);
	peer_free(p);
	p = ask(&f,
		"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
		"chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n",
		"/c");
	assert_string_equal(f.last_body, "abcde");
	peer_free(p);
	down(&f);
}

static void a_large_body_comes_whole(void **state)
{
	enum { SIZE = 900 * 1000 };
	struct fixture f;
	struct peer *p;
	char *big = malloc(SIZE);

	assert_non_null(big);
	memset(big, 'b', SIZE);
	up(&f);
	p = dial(&f);
	peer_sends(p, "POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n");
	peer_send(p, (struct str){ big, SIZE });
	RUN_UNTIL(&f.rig, peer_has(p, "/big"));
	assert_int_equal(f.body_len, SIZE);
	free(big);
	peer_free(p);
	down(&f);
}

static void a_body_that_is_asked_for_late_is_there(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	p = dial(&f);
	peer_sends(p, "POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /x "
		      "HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, f.n_held == 1);
	rig_settle(&f.rig, 3);
	assert_false(f.body_came);
	http_request_read_body(f.held[0], 100);
	assert_true(f.body_came); /* inside the call: all of it had arrived */
	assert_string_equal(f.last_body, "hello");
	RUN_UNTIL(&f.rig, peer_has(p, "\r\n\r\n/x"));
	peer_free(p);
	down(&f);
}

static void expect_continue_is_answered_when_the_body_is_wanted(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	p = ask(&f,
		"POST /e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n");
	assert_false(peer_has(p, "200 OK"));
	peer_sends(p, "ok");
	RUN_UNTIL(&f.rig, peer_has(p, "/e"));
	assert_string_equal(f.last_body, "ok");
	peer_free(p);
	/* refused before the body: no 100, and the connection cannot go on */
	p = ask(&f,
		"POST /deny HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: "
		"2\r\n\r\n",
		"401");
	assert_false(peer_has(p, "100 Continue"));
	assert_true(peer_has(p, "Connection: close"));
	peer_free(p);
	p = ask(&f, "POST /e HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\nContent-Length: 2\r\n\r\n",
		"HTTP/1.1 417 ");
	assert_true(f.refused_with_head);
	peer_free(p);
	down(&f);
}

static void a_short_unread_body_is_dropped_and_the_connection_lives(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	p = ask(&f, "POST /deny HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nfiv", "401");
	assert_false(peer_has(p, "Connection: close"));
	peer_sends(p, "e bytesGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, p->ended || peer_has(p, "\r\n\r\n/next"));
	assert_true(peer_has(p, "\r\n\r\n/next"));
	peer_free(p);
	down(&f);
}

/* --- limits --- */

static void bar_11_a_body_declared_too_large_is_refused_before_a_byte_of_it(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	f.body_max = 1000;
	p = ask(&f, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1073741824\r\n\r\n",
		"HTTP/1.1 413 ");
	assert_int_equal(f.n_body_failed, 1);
	assert_false(f.body_came);
	peer_free(p);
	down(&f);
}

static void bar_11_a_chunked_body_is_refused_when_it_grows_too_large(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	f.body_max = 10;
	p = ask(&f,
		"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
		"chunked\r\n\r\n8\r\n12345678\r\n8\r\n12345678\r\n",
		"HTTP/1.1 413 ");
	assert_false(f.body_came);
	peer_free(p);
	/* exactly the limit passes */
	p = ask(&f,
		"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
		"chunked\r\n\r\na\r\n1234567890\r\n0\r\n\r\n",
		"/x");
	assert_int_equal(f.body_len, 10);
	peer_free(p);
	down(&f);
}

static void the_answer_to_a_body_too_large_reaches_a_client_that_sends_on(void **state)
{
	static char body[8 * 1024 * 1024];
	struct fixture f;
	struct peer *p;

	up(&f);
	f.body_max = 1000;
	p = dial(&f);
	stream_read_stop(p->stream); /* sends all before it reads, as simple clients do */
	peer_sends(p, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\n");
	peer_send(p, (struct str){ body, sizeof(body) });
	RUN_UNTIL(&f.rig, !p->writing);
	assert_int_equal(stream_read_start(p->stream), 0);
	RUN_UNTIL(&f.rig, p->ended);
	assert_true(peer_has(p, "HTTP/1.1 413 "));
	assert_int_equal(p->end_status, UV_EOF);
	peer_free(p);
	down(&f);
}

struct breach {
	const char *name;
	const char *text;
	int status;
};

static void check_breach(const struct breach *b)
{
	struct fixture f;
	struct peer *p;
	char want[32];

	up(&f);
	snprintf(want, sizeof(want), "HTTP/1.1 %d ", b->status);
	p = dial(&f);
	peer_sends(p, b->text);
	RUN_UNTIL(&f.rig, p->ended);
	if (!peer_has(p, want) || p->end_status != UV_EOF)
		fail_msg("%s: %.*s", b->name, STR_ARG(buf_str(&p->got)));
	assert_true(peer_has(p, "Connection: close"));
	assert_true(peer_has(p, "Content-Type: application/json"));
	assert_true(peer_has(p, "{\"error\":\""));
	assert_int_equal(f.refused_status, b->status);
	assert_int_equal(f.n_requests, 0);
	peer_free(p);
	down(&f);
}

static void R20_R21_bytes_that_break_framing_are_refused_and_closed(void **state)
{
	static const struct breach breaches[] = {
		{ "two lengths",
		  "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
		  400 },
		{ "length and coding",
		  "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n0\r\n\r\n",
		  400 },
		{ "signed length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\na",
		  400 },
		{ "empty length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", 400 },
		{ "other coding",
		  "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501 },
		{ "no host", "GET / HTTP/1.1\r\n\r\n", 400 },
		{ "two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400 },
		{ "bare LF", "GET / HTTP/1.1\nHost: h\n\n", 400 },
		{ "blank before colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400 },
		{ "folded line", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400 },
		{ "absolute target", "GET http://evil/ HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
		{ "other version", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505 },
		{ "no HTTP at all", "\x16\x03\x01\x02", 400 },
	};

	for (size_t i = 0; i < sizeof(breaches) / sizeof(breaches[0]); i++)
		check_breach(&breaches[i]);
}

static char *repeat(const char *before, const char *what, unsigned n, const char *after)
{
	struct buf b;

	buf_init(&b, 64 * 1024 * 1024);
	buf_puts(&b, before);
	while (n-- > 0)
		buf_puts(&b, what);
	buf_puts(&b, after);
	buf_putc(&b, '\0');
	assert_true(buf_ok(&b));
	return b.ptr;
}

static void bar_11_heads_beyond_the_limits_are_refused(void **state)
{
	char *text;

	text = repeat("GET /", "aaaaaaaaaaaaaaaa", 65536, " HTTP/1.1\r\nHost: h\r\n\r\n");
	check_breach(&(struct breach){ "target of 1 MiB", text, 414 });
	free(text);
	text = repeat("GET / HTTP/1.1\r\nHost: h\r\nX: ", "aaaaaaaaaaaaaaaa", 65536, "\r\n\r\n");
	check_breach(&(struct breach){ "field of 1 MiB", text, 431 });
	free(text);
	text = repeat("GET / HTTP/1.1\r\nHost: h\r\n", "X: y\r\n", 10000, "\r\n");
	check_breach(&(struct breach){ "10000 fields", text, 431 });
	free(text);
}

static void R21_broken_chunks_inside_a_body_end_in_400_and_close(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	p = ask(&f,
		"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n",
		"HTTP/1.1 400 ");
	RUN_UNTIL(&f.rig, p->ended);
	assert_int_equal(f.n_body_failed, 1);
	assert_false(f.body_came);
	peer_free(p);
	down(&f);
}

/* --- deadlines --- */

static void bar_09_slowloris_is_answered_408_at_the_deadline_of_the_head(void **state)
{
	struct http_server_limits limits = roomy;
	struct fixture f;
	struct peer *p;
	uint64_t begin;

	limits.head_timeout_ms = 120;
	up_limits(&f, &limits);
	p = dial(&f);
	begin = now_ms();
	peer_sends(p, "GET / HTTP/1.1\r\n");
	/* a byte now and then does not move the deadline: it counts from the first byte */
	for (char c = 'a'; !p->ended && !f.n_refused; c = c == 'z' ? 'a' : (char)(c + 1)) {
		peer_send(p, (struct str){ &c, 1 });
		uv_run(&f.rig.loop.uv, UV_RUN_ONCE);
		assert_true(now_ms() - begin < 5000);
	}
	RUN_UNTIL(&f.rig, peer_has(p, "HTTP/1.1 408 "));
	assert_in_range(now_ms() - begin, 80, 3000);
	peer_free(p);
	down(&f);
}

static void bar_09_a_connection_that_says_nothing_is_closed_silently(void **state)
{
	struct http_server_limits limits = roomy;
	struct fixture f;
	struct peer *p;

	limits.head_timeout_ms = 40;
	up_limits(&f, &limits);
	p = dial(&f);
	RUN_UNTIL(&f.rig, p->ended);
	assert_int_equal(buf_len(&p->got), 0);
	peer_free(p);
	down(&f);
}

static void bar_09_a_body_that_stalls_is_answered_408(void **state)
{
	struct http_server_limits limits = roomy;
	struct fixture f;
	struct peer *p;
	uint64_t begin;

	limits.body_timeout_ms = 80;
	up_limits(&f, &limits);
	p = dial(&f);
	begin = now_ms();
	peer_sends(p, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
	RUN_UNTIL(&f.rig, peer_has(p, "HTTP/1.1 408 "));
	assert_in_range(f.failed_at_ms - begin, 50, 3000);
	assert_int_equal(f.n_body_failed, 1);
	peer_free(p);
	down(&f);
}

static void an_idle_connection_is_closed_silently_at_its_deadline(void **state)
{
	struct http_server_limits limits = roomy;
	struct fixture f;
	struct peer *p;

	limits.idle_timeout_ms = 60;
	up_limits(&f, &limits);
	p = ask(&f, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n", "/x");
	size_t before = buf_len(&p->got);

	RUN_UNTIL(&f.rig, p->ended);
	assert_int_equal(buf_len(&p->got), before);
	peer_free(p);
	down(&f);
}

static void a_client_that_does_not_read_is_given_up_at_the_write_deadline(void **state)
{
	struct http_server_limits limits = roomy;
	struct fixture f;
	struct peer *p;

	limits.write_timeout_ms = 100;
	up_limits(&f, &limits);
	f.flood_left = 256 * 1024 * 1024;
	p = dial(&f);
	stream_read_stop(p->stream);
	peer_sends(p, "GET /flood HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, f.n_gone == 1);
	assert_string_equal(f.why, "the client stopped reading");
	RUN_UNTIL(&f.rig, http_server_connections(f.server) == 0);
	/* The rest that the kernel holds is not sent on, and what had come does not look like all. */
	assert_int_equal(stream_read_start(p->stream), 0);
	RUN_UNTIL(&f.rig, p->ended);
	assert_int_equal(p->end_status, UV_ECONNRESET);
	peer_free(p);
	down(&f);
}

/* --- back-pressure --- */

static void bar_24_a_slow_reader_holds_no_more_than_the_marks_and_gets_every_byte(void **state)
{
	enum { SIZE = 20 * 1000 * 1000 };
	struct fixture f;
	struct peer *p;

	up(&f);
	f.flood_left = SIZE;
	p = dial(&f);
	stream_read_stop(p->stream);
	peer_sends(p, "GET /flood HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, f.n_requests == 1);
	rig_settle(&f.rig, 100);
	assert_true(f.flood_left > 0); /* production has stopped */
	struct server_conn *c = LIST_ENTRY(f.server->busy.next, struct server_conn, node);

	assert_true(server_pending(c) <= 512 * 1024);
	assert_int_equal(stream_read_start(p->stream), 0);
	RUN_UNTIL(&f.rig, peer_has(p, "\r\n0\r\n\r\n"));
	assert_true(f.n_drained > 0);
	assert_true(buf_len(&p->got) > SIZE);
	peer_free(p);
	down(&f);
}

/* A reload may move the mark while an owner waits. */
static void bar_24_a_low_mark_above_the_owners_own_does_not_leave_it_waiting(void **state)
{
	struct http_server_limits limits = roomy;
	struct fixture f;
	struct peer *p;

	limits.write_low = 64 * 1024 * 1024;
	up_limits(&f, &limits);
	f.flood_left = 20 * 1000 * 1000;
	p = dial(&f);
	stream_read_stop(p->stream);
	peer_sends(p, "GET /flood HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, f.n_requests == 1);
	rig_settle(&f.rig, 100);
	assert_true(f.flood_left > 0);
	assert_int_equal(stream_read_start(p->stream), 0);
	RUN_UNTIL(&f.rig, peer_has(p, "\r\n0\r\n\r\n"));
	peer_free(p);
	down(&f);
}

/* The ciphertext of an answer may still be on its way when all of its plaintext was taken. */
static void the_last_answer_of_a_tls_connection_reaches_a_slow_client_whole(void **state)
{
	enum { SIZE = 20000 };
	struct http_server_limits limits = roomy;
	struct tls_ctx *ours, *theirs;
	char path[SIZE + 1] = "/";
	struct stream *pipe[2];
	struct certs certs;
	struct fixture f;
	struct peer *p;

	limits.max_target = limits.max_head = 2 * SIZE;
	up_limits(&f, &limits);
	certs_init(&certs, "DNS:localhost");
	ours = tls_server_ctx(str_from(certs.cert), str_from(certs.key), NULL);
	theirs = tls_client_ctx(str_from(certs.ca), true, NULL);
	assert_true(ours && theirs && stream_mem_pair(&f.rig.loop, 4096, 0, pipe));
	server_adopt(f.server, tls_server(pipe[0], ours, NULL, NULL), "memory");
	p = peer_new(&f.rig, NULL);
	p->stream = tls_client(pipe[1], theirs, STR("localhost"), &peer_events, p);
	RUN_UNTIL(&f.rig, p->open);
	memset(path + 1, 'x', SIZE - 1);
	peer_sends(p, "GET ");
	peer_sends(p, path);
	peer_sends(p, " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	RUN_UNTIL(&f.rig, p->ended);
	assert_true(peer_has(p, "Connection: close"));
	assert_true(str_ends(buf_str(&p->got), (struct str){ path, SIZE }));
	RUN_UNTIL(&f.rig, http_server_connections(f.server) == 0);
	peer_free(p);
	tls_ctx_free(theirs);
	tls_ctx_free(ours);
	certs_done(&certs);
	down(&f);
}

/* --- leaving clients --- */

static void bar_23_a_client_that_leaves_is_noticed_in_every_phase(void **state)
{
	struct fixture f;
	struct peer *p;

	up(&f);
	/* before the head is whole: no request yet */
	p = dial(&f);
	peer_sends(p, "GET /x HT");
	RUN_UNTIL(&f.rig, http_server_connections(f.server) == 1);
	peer_free(p);
	RUN_UNTIL(&f.rig, http_server_connections(f.server) == 0);
	assert_int_equal(f.n_gone, 0);
	/* in the body */
	p = dial(&f);
	peer_sends(p, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
	RUN_UNTIL(&f.rig, f.n_requests == 1);
	peer_free(p);
	RUN_UNTIL(&f.rig, f.n_gone == 1);
	assert_string_equal(f.why, "the client closed the connection");
	/* while it is being worked on; by a reset */
	p = dial(&f);
	peer_sends(
		p,
		"GET /hold HTTP/1.1\r\nHost: h\r\n\r\nGET /pipelined HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, f.n_held == 1);
	peer_reset(p);
	RUN_UNTIL(&f.rig, f.n_gone == 2);
	peer_free(p);
	/* during the answer */
	p = dial(&f);
	peer_sends(p, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, f.n_held == 2);
	http_respond_head(f.held[1], 200, NULL, 0);
	http_respond_write(f.held[1], STR("event 1"));
	http_respond_flush(f.held[1]);
	RUN_UNTIL(&f.rig, peer_has(p, "event 1"));
	peer_close(p);
	RUN_UNTIL(&f.rig, f.n_gone == 3);
	peer_free(p);
	assert_int_equal(http_server_connections(f.server), 0);
	down(&f);
}

static void nothing_and_then_much_in_one_turn_leaves_once(void **state)
{
	static char text[64 * 1024];
	struct stream *ends[2];
	struct fixture f;

	up(&f);
	memset(text, 'x', sizeof(text));
	assert_true(stream_mem_pair(&f.rig.loop, 4096, 0, ends));
	server_adopt(f.server, ends[0], "memory");
	struct peer *p = peer_new(&f.rig, ends[1]);

	peer_sends(p, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, f.n_held == 1);
	http_respond_head(f.held[0], 200, NULL, 0);
	http_respond_flush(f.held[0]);
	RUN_UNTIL(&f.rig, peer_has(p, "\r\n\r\n"));
	buf_reset(&p->got);
	http_respond_flush(f.held[0]); /* nothing */
	http_respond_write(f.held[0], (struct str){ text, sizeof(text) });
	http_respond_end(f.held[0]);
	RUN_UNTIL(&f.rig, peer_has(p, "\r\n0\r\n\r\n"));
	assert_true(str_starts(buf_str(&p->got), STR("10000\r\nxxx")));
	assert_int_equal(buf_len(&p->got), 7 + sizeof(text) + 7);
	peer_free(p);
	down(&f);
}

static void a_write_that_fails_tells_on_gone_after_the_call_and_once(void **state)
{
	struct stream *ends[2];
	struct fixture f;

	up(&f);
	assert_true(stream_mem_pair(&f.rig.loop, 4096, 0, ends));
	server_adopt(f.server, ends[0], "memory");
	struct peer *p = peer_new(&f.rig, ends[1]);

	peer_sends(p, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, f.n_held == 1);
	peer_close(p); /* the server has not been told yet: its next write fails */
	http_respond_head(f.held[0], 200, NULL, 0);
	for (int i = 0; i < 3; i++) {
		http_respond_write(f.held[0], STR("x"));
		http_respond_flush(f.held[0]);
		assert_int_equal(f.n_gone, 0);
	}
	assert_int_equal(http_respond_pending(f.held[0]), 0);
	RUN_UNTIL(&f.rig, f.n_gone == 1);
	rig_settle(&f.rig, 3);
	assert_int_equal(f.n_gone, 1);
	peer_free(p);
	down(&f);
}

static void an_end_after_a_failed_write_is_the_end(void **state)
{
	struct stream *ends[2];
	struct fixture f;

	up(&f);
	assert_true(stream_mem_pair(&f.rig.loop, 4096, 0, ends));
	server_adopt(f.server, ends[0], "memory");
	struct peer *p = peer_new(&f.rig, ends[1]);

	peer_sends(p, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, f.n_held == 1);
	peer_close(p);
	http_respond(f.held[0], 200, NULL, 0, STR("nobody hears it"));
	RUN_UNTIL(&f.rig, http_server_connections(f.server) == 0);
	assert_int_equal(f.n_gone, 0);
	peer_free(p);
	down(&f);
}

/* --- being full, draining, ending --- */

static void above_max_connections_accepting_pauses_and_goes_on(void **state)
{
	struct http_server_limits limits = roomy;
	struct fixture f;
	struct peer *p[4];

	limits.max_connections = 2;
	up_limits(&f, &limits);
	for (int i = 0; i < 4; i++) {
		p[i] = dial(&f); /* the kernel's queue takes them all */
		peer_sends(p[i], "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
	}
	RUN_UNTIL(&f.rig, f.n_held == 2);
	rig_settle(&f.rig, 20);
	assert_int_equal(http_server_connections(f.server), 2);
	assert_int_equal(f.n_requests, 2);
	peer_close(p[0]);
	peer_close(p[1]);
	RUN_UNTIL(&f.rig, f.n_held == 4);
	for (int i = 0; i < 4; i++)
		peer_free(p[i]);
	down(&f);
}

static void bar_10_idle_connections_make_room_for_new_ones(void **state)
{
	struct http_server_limits limits = roomy;
	struct fixture f;
	struct peer *idle, *fresh;

	limits.max_connections = 1;
	up_limits(&f, &limits);
	idle = ask(&f, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n", "/x");
	fresh = dial(&f);
	peer_sends(fresh, "GET /y HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, peer_has(fresh, "/y"));
	assert_true(idle->ended);
	peer_free(idle);
	peer_free(fresh);
	down(&f);
}

static void bar_10_without_descriptors_accepting_pauses_and_recovers(void **state)
{
	struct http_server_limits limits = roomy;
	struct rlimit before, tight;
	struct fixture f;
	struct peer *p[3];
	int highest;

	up_limits(&f, &limits);
	p[0] = dial(&f);
	RUN_UNTIL(&f.rig, http_server_connections(f.server) == 1);
	for (int i = 1; i < 3; i++)
		p[i] = peer_new(&f.rig, NULL);
	struct sockaddr_in a;
	int status;

	/* connect two without turning the loop, then take away every descriptor before it
	 * accepts */
	uv_ip4_addr("127.0.0.1", http_server_port(f.server), &a);
	for (int i = 1; i < 3; i++) {
		p[i]->stream = stream_connect(&f.rig.loop, (struct sockaddr *)&a, &peer_events,
					      p[i], &status);
		assert_non_null(p[i]->stream);
	}
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	highest = dup(0);
	close(highest);
	tight = before;
	tight.rlim_cur = (rlim_t)highest;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	RUN_UNTIL(&f.rig, p[1]->open && p[2]->open);
	uint64_t begin = now_ms();
	unsigned turns = 0;

	RUN_UNTIL(&f.rig, (turns++, now_ms() - begin > 150)); /* waits, and does not spin */
	assert_in_range(turns, 1, 100);
	assert_int_equal(http_server_connections(f.server), 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	RUN_UNTIL(&f.rig, http_server_connections(f.server) == 3);
	for (int i = 0; i < 3; i++)
		peer_free(p[i]);
	down(&f);
}

static void draining_ends_idle_connections_and_lets_requests_finish(void **state)
{
	struct fixture f;
	struct peer *idle, *busy, *half;

	up(&f);
	idle = ask(&f, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n", "/x");
	busy = dial(&f);
	peer_sends(busy, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
	half = dial(&f);
	peer_sends(half, "GET /half HTTP/1.1\r\n");
	RUN_UNTIL(&f.rig, f.n_held == 1 && http_server_connections(f.server) == 3);
	rig_settle(&f.rig, 3);
	http_server_drain(f.server);
	RUN_UNTIL(&f.rig, idle->ended);
	peer_sends(half, "Host: h\r\n\r\n");
	RUN_UNTIL(&f.rig, half->ended);
	assert_true(peer_has(half, "Connection: close\r\n"));
	assert_true(peer_has(half, "/half"));
	http_respond(f.held[0], 200, NULL, 0, STR("finished"));
	RUN_UNTIL(&f.rig, busy->ended);
	assert_true(peer_has(busy, "Connection: close\r\n"));
	assert_true(peer_has(busy, "finished"));
	assert_int_equal(http_server_connections(f.server), 0);
	peer_free(idle);
	peer_free(busy);
	peer_free(half);
	down(&f);
}

static void closing_tells_every_request_that_its_client_is_gone(void **state)
{
	struct fixture f;
	struct peer *p[3];

	up(&f);
	for (int i = 0; i < 3; i++) {
		p[i] = dial(&f);
		peer_sends(p[i], "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
	}
	RUN_UNTIL(&f.rig, f.n_held == 3);
	http_server_close(f.server, on_closed, &f);
	assert_int_equal(f.n_gone, 3);
	RUN_UNTIL(&f.rig, f.closed);
	for (int i = 0; i < 3; i++)
		peer_free(p[i]);
	rig_done(&f.rig);
}

static void a_unix_socket_serves_too(void **state)
{
	char path[] = "/tmp/gw-test-XXXXXX";
	struct fixture f;
	struct peer *p;
	int status;

	assert_non_null(mkdtemp(path));
	char sock[sizeof(path) + 8];

	snprintf(sock, sizeof(sock), "%s/s.sock", path);
	up_with(&f, &roomy, &(struct http_listener_options){ .unix_path = str_from(sock) });
	p = peer_new(&f.rig, NULL);
	p->stream = stream_connect_unix(&f.rig.loop, sock, &peer_events, p, &status);
	assert_non_null(p->stream);
	RUN_UNTIL(&f.rig, p->open);
	peer_sends(p, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
	RUN_UNTIL(&f.rig, f.n_held == 1);
	CHECK_STR(http_request_peer(f.held[0]), "unix");
	http_respond(f.held[0], 200, NULL, 0, STR("by path"));
	RUN_UNTIL(&f.rig, peer_has(p, "by path"));
	peer_free(p);
	down(&f);
	assert_int_not_equal(access(sock, F_OK), 0); /* removed with the listener */
	rmdir(path);
}

static void an_idle_connection_is_small(void **state)
{
	/* Of ours; what malloc and the kernel add is measured by the bench. */
	assert_true(sizeof(struct server_conn) < 1400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_gets_its_answer_and_the_connection_lives),
		cmocka_unit_test(a_streamed_answer_is_chunked_one_chunk_a_flush),
		cmocka_unit_test(fields_behind_the_body_stand_in_its_last_chunk),
		cmocka_unit_test(http_1_0_gets_no_chunks_and_the_end_of_the_connection),
		cmocka_unit_test(head_gets_the_head_alone),
		cmocka_unit_test(an_aborted_stream_can_be_told_from_a_whole_one),
		cmocka_unit_test(connection_close_is_done_as_asked),
		cmocka_unit_test(pipelined_requests_are_answered_in_order_for_every_split),
		cmocka_unit_test(pipelined_requests_byte_by_byte_over_a_narrow_pipe),
		cmocka_unit_test(the_next_request_waits_for_the_answer_before_it),
		cmocka_unit_test(a_thousand_pipelined_requests_do_not_pile_up_the_stack),
		cmocka_unit_test(what_is_pipelined_during_a_request_is_kept_within_bounds),
		cmocka_unit_test(a_chunked_body_comes_whole_and_its_trailers_do_not_matter),
		cmocka_unit_test(a_large_body_comes_whole),
		cmocka_unit_test(a_body_that_is_asked_for_late_is_there),
		cmocka_unit_test(expect_continue_is_answered_when_the_body_is_wanted),
		cmocka_unit_test(a_short_unread_body_is_dropped_and_the_connection_lives),
		cmocka_unit_test(bar_11_a_body_declared_too_large_is_refused_before_a_byte_of_it),
		cmocka_unit_test(bar_11_a_chunked_body_is_refused_when_it_grows_too_large),
		cmocka_unit_test(the_answer_to_a_body_too_large_reaches_a_client_that_sends_on),
		cmocka_unit_test(R20_R21_bytes_that_break_framing_are_refused_and_closed),
		cmocka_unit_test(bar_11_heads_beyond_the_limits_are_refused),
		cmocka_unit_test(R21_broken_chunks_inside_a_body_end_in_400_and_close),
		cmocka_unit_test(bar_09_slowloris_is_answered_408_at_the_deadline_of_the_head),
		cmocka_unit_test(bar_09_a_connection_that_says_nothing_is_closed_silently),
		cmocka_unit_test(bar_09_a_body_that_stalls_is_answered_408),
		cmocka_unit_test(an_idle_connection_is_closed_silently_at_its_deadline),
		cmocka_unit_test(a_client_that_does_not_read_is_given_up_at_the_write_deadline),
		cmocka_unit_test(
			bar_24_a_slow_reader_holds_no_more_than_the_marks_and_gets_every_byte),
		cmocka_unit_test(bar_24_a_low_mark_above_the_owners_own_does_not_leave_it_waiting),
		cmocka_unit_test(the_last_answer_of_a_tls_connection_reaches_a_slow_client_whole),
		cmocka_unit_test(bar_23_a_client_that_leaves_is_noticed_in_every_phase),
		cmocka_unit_test(nothing_and_then_much_in_one_turn_leaves_once),
		cmocka_unit_test(a_write_that_fails_tells_on_gone_after_the_call_and_once),
		cmocka_unit_test(an_end_after_a_failed_write_is_the_end),
		cmocka_unit_test(above_max_connections_accepting_pauses_and_goes_on),
		cmocka_unit_test(bar_10_idle_connections_make_room_for_new_ones),
		cmocka_unit_test(bar_10_without_descriptors_accepting_pauses_and_recovers),
		cmocka_unit_test(draining_ends_idle_connections_and_lets_requests_finish),
		cmocka_unit_test(closing_tells_every_request_that_its_client_is_gone),
		cmocka_unit_test(a_unix_socket_serves_too),
		cmocka_unit_test(an_idle_connection_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
