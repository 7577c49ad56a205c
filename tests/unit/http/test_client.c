/* tests/unit/http/test_client.c - mirrors src/http/client*.c over real sockets.
 *
 * The upstream is a `host` of the rig: it accepts, keeps what it gets, and says what the test
 * makes it say.
 */
#include "rig.h"

#include <zlib.h>

#include "http/client.h"
#include "http/client_parts.h"

struct fixture {
	struct rig rig;
	struct arena *arena;
	struct http_client *client;
	struct host up;
	struct origin origin;
	bool closed;
};

/* What a call has led to. */
struct result {
	struct http_call *call; /* NULL when over */
	struct fixture *f;
	int status;
	unsigned n_heads, n_ends, n_errors, n_read_done;
	enum http_failure failure;
	char detail[200];
	char field[64]; /* Content-Encoding of the head, "-" without */
	int64_t length;
	struct buf body;
	struct http_call_stats stats;
	uint64_t over_at_ms;
	/* what to do inside a callback */
	bool cancel_in_head, cancel_in_body, pause_in_head, again_in_end;
	struct result *again;
};

static const struct http_call_options post = {
	.method = HTTP_POST,
	.path = STR_INIT("/v1/chat"),
	.body = STR_INIT("{\"a\":1}"),
	.deadlines = { 5000, 5000, 5000, 5000 },
};

static void start(struct result *r, const struct http_call_options *o);

static void on_head(void *user, const struct http_head *h)
{
	struct result *r = user;
	struct str coding = http_field_get(h, STR("content-encoding"));

	r->n_heads++;
	r->status = h->status;
	r->length = h->content_length;
	snprintf(r->field, sizeof(r->field), "%.*s", STR_ARG(coding.ptr ? coding : STR("-")));
	if (r->pause_in_head)
		http_call_pause(r->call);
	if (r->cancel_in_head) {
		http_call_cancel(r->call);
		http_call_cancel(r->call); /* again is the same */
	}
}

static void on_body(void *user, struct str bytes)
{
	struct result *r = user;

	buf_put(&r->body, bytes);
	if (r->cancel_in_body)
		http_call_cancel(r->call);
}

static void over(struct result *r)
{
	r->stats = *http_call_stats(r->call);
	r->call = NULL;
	r->over_at_ms = now_ms();
}

static void on_end(void *user)
{
	struct result *r = user;

	over(r);
	r->n_ends++;
	if (r->again)
		start(r->again, &post);
}

static void on_error(void *user, enum http_failure f, struct str detail)
{
	struct result *r = user;

	over(r);
	r->n_errors++;
	r->failure = f;
	snprintf(r->detail, sizeof(r->detail), "%.*s", STR_ARG(detail));
}

static void on_read_done(void *user)
{
	((struct result *)user)->n_read_done++;
}

static const struct http_call_events events = {
	.on_head = on_head,
	.on_body = on_body,
	.on_end = on_end,
	.on_error = on_error,
	.on_read_done = on_read_done,
};

static void start(struct result *r, const struct http_call_options *o)
{
	struct http_call_options with = *o;

	if (!with.origin)
		with.origin = &r->f->origin;
	r->call = http_call_start(r->f->client, &with, &events, r);
	assert_non_null(r->call);
	assert_int_equal(r->n_heads + r->n_ends + r->n_errors, 0); /* nothing inside the call */
}

static struct result *result_new(struct fixture *f)
{
	struct result *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->f = f;
	buf_init(&r->body, 512 * 1024 * 1024);
	return r;
}

static struct result *begin(struct fixture *f, const struct http_call_options *o)
{
	struct result *r = result_new(f);

	start(r, o);
	return r;
}

static void result_free(struct result *r)
{
	buf_done(&r->body);
	free(r);
}

static void set_origin(struct fixture *f, const char *url, const char *credential)
{
	struct err err;

	if (origin_parse(f->arena, str_from(url), STR_NONE, true, str_from(credential), &f->origin,
			 &err) < 0)
		fail_msg("%s", err.msg);
}

static void up_limits(struct fixture *f, const struct http_client_limits *limits)
{
	char url[64];

	*f = (struct fixture){ .closed = false };
	rig_init(&f->rig);
	f->arena = arena_new(1024 * 1024);
	f->client = http_client_new(&f->rig.loop, limits);
	assert_non_null(f->client);
	host_init(&f->up, &f->rig);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", listener_port(f->up.listener));
	set_origin(f, url, "key");
}

static const struct http_client_limits roomy = {
	.max_idle_per_origin = 8,
	.idle_timeout_ms = 5000,
	.max_head = 16 * 1024,
	.max_fields = 50,
	.dns_ttl_ms = 30000,
};

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
	http_client_close(f->client, on_closed, f);
	host_done(&f->up);
	RUN_UNTIL(&f->rig, f->closed);
	arena_free(f->arena);
	rig_done(&f->rig);
}

/* Waits until the i-th connection has brought `n` requests in all. */
static struct peer *served(struct fixture *f, unsigned i, unsigned n)
{
	RUN_UNTIL(&f->rig, f->up.n_peers > i && peer_count(f->up.peers[i], " HTTP/1.1\r\n") >= n);
	return f->up.peers[i];
}

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/* A whole call on connection i; what it left behind is in the pool. */
static void warm(struct fixture *f, unsigned i, unsigned nth)
{
	struct result *r = begin(f, &post);

	peer_sends(served(f, i, nth), ok);
	RUN_UNTIL(&f->rig, !r->call);
	assert_int_equal(r->n_ends, 1);
	result_free(r);
}

/* --- whole calls --- */

static void a_call_sends_what_it_was_given_and_gets_the_answer(void **state)
{
	const struct http_field fields[] = { { STR("Authorization"), STR("Bearer k") },
					     { STR("X-A"), STR("b") } };
	struct http_call_options o = post;
	struct fixture f;
	char want[300];

	up(&f);
	o.fields = fields;
	o.n_fields = 2;
	struct result *r = begin(&f, &o);
	struct peer *p = served(&f, 0, 1);

	RUN_UNTIL(&f.rig, peer_has(p, "{\"a\":1}"));
	snprintf(want, sizeof(want),
		 "POST /v1/chat HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAuthorization: Bearer k\r\nX-A: "
		 "b\r\n"
		 "Content-Length: 7\r\n\r\n{\"a\":1}",
		 listener_port(f.up.listener));
	CHECK_STR_IS(buf_str(&p->got), str_from(want));
	peer_sends(p, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
	peer_sends(p, "HTTP/1.1 201 Created\r\nTransfer-Encoding: "
		      "chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: u\r\n\r\n");
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->status, 201);
	assert_int_equal(r->n_heads, 1);
	assert_int_equal(r->n_ends, 1);
	assert_int_equal(r->n_errors, 0);
	assert_false(r->stats.reused);
	CHECK_STR(buf_str(&r->body), "abcde");
	result_free(r);
	down(&f);
}

static void the_answer_is_the_same_for_every_split(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
				   "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
	struct fixture f;

	up(&f);
	for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
		struct result *r = begin(&f, &post);
		struct peer *p = served(&f, 0, (unsigned)cut); /* always the same connection */

		peer_send(p, (struct str){ text, cut });
		rig_settle(&f.rig, 2);
		assert_int_equal(r->n_ends, 0);
		peer_send(p, (struct str){ text + cut, sizeof(text) - 1 - cut });
		RUN_UNTIL(&f.rig, !r->call);
		assert_int_equal(r->n_ends, 1);
		CHECK_STR(buf_str(&r->body), "abcde");
		result_free(r);
	}
	assert_int_equal(f.up.n_peers, 1);
	down(&f);
}

static void R12_redirects_are_answers(void **state)
{
	struct fixture f;

	up(&f);
	struct result *r = begin(&f, &post);

	peer_sends(served(&f, 0, 1), "HTTP/1.1 307 Temporary Redirect\r\nLocation: "
				     "http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->n_ends, 1);
	assert_int_equal(r->status, 307);
	assert_int_equal(f.up.n_peers, 1);
	result_free(r);
	down(&f);
}

static void a_get_has_no_length_and_a_head_no_body(void **state)
{
	struct http_call_options o = post;
	struct fixture f;

	up(&f);
	o.body = STR_NONE;
	o.method = HTTP_HEAD;
	struct result *r = begin(&f, &o);
	struct peer *p = served(&f, 0, 1);

	assert_false(peer_has(p, "Content-Length"));
	peer_sends(p, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->n_ends, 1);
	result_free(r);
	o.method = HTTP_POST; /* an empty body has a length all the same */
	r = begin(&f, &o);
	p = served(&f, 0, 2);
	assert_true(peer_has(p, "Content-Length: 0\r\n"));
	peer_sends(p, ok);
	RUN_UNTIL(&f.rig, !r->call);
	result_free(r);
	assert_int_equal(f.up.n_peers, 1);
	down(&f);
}

static void a_body_that_ends_with_the_connection_is_whole(void **state)
{
	struct fixture f;

	up(&f);
	struct result *r = begin(&f, &post);
	struct peer *p = served(&f, 0, 1);

	peer_sends(p, "HTTP/1.1 200 OK\r\n\r\nuntil the end");
	peer_close(p);
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->n_ends, 1);
	CHECK_STR(buf_str(&r->body), "until the end");
	result_free(r);
	/* but not when it ends in a reset */
	r = begin(&f, &post);
	p = served(&f, 1, 1);
	peer_sends(p, "HTTP/1.1 200 OK\r\n\r\nuntil the e");
	peer_reset(p);
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->n_errors, 1);
	assert_int_equal(r->failure, HTTP_FAIL_RESET);
	result_free(r);
	down(&f);
}

static void a_large_request_body_is_written_without_a_copy(void **state)
{
	enum { SIZE = 64 * 1024 * 1024 };
	struct http_call_options o = post;
	struct fixture f;
	char *big = malloc(SIZE);

	assert_non_null(big);
	memset(big, 'z', SIZE);
	up(&f);
	f.up.deaf = true;
	o.body = (struct str){ big, SIZE };
	struct result *r = begin(&f, &o);

	RUN_UNTIL(&f.rig, f.up.n_peers == 1);
	rig_settle(&f.rig, 50);
	assert_true(r->call->writing);
	assert_true(r->call->conn->rest.cap <
		    64 * 1024); /* what waits is the caller's body itself */
	assert_int_equal(stream_read_start(f.up.peers[0]->stream), 0);
	RUN_UNTIL(&f.rig, buf_len(&f.up.peers[0]->got) > SIZE);
	peer_sends(f.up.peers[0], ok);
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->n_ends, 1);
	result_free(r);
	free(big);
	down(&f);
}

static void after_cancel_the_body_is_not_touched_any_more(void **state)
{
	enum { SIZE = 16 * 1024 * 1024 };
	struct http_call_options o = post;
	struct fixture f;
	char *big = malloc(SIZE);

	assert_non_null(big);
	memset(big, 'z', SIZE);
	up(&f);
	f.up.deaf = true;
	o.body = (struct str){ big, SIZE };
	struct result *r = begin(&f, &o);

	RUN_UNTIL(&f.rig, f.up.n_peers == 1);
	rig_settle(&f.rig, 50);
	http_call_cancel(r->call);
	free(big); /* a later read of it is the address sanitizer's to see */
	assert_int_equal(stream_read_start(f.up.peers[0]->stream), 0);
	RUN_UNTIL(&f.rig, f.up.peers[0]->ended);
	result_free(r);
	down(&f);
}

static void an_early_answer_to_a_request_half_written_counts(void **state)
{
	enum { SIZE = 16 * 1024 * 1024 };
	struct http_call_options o = post;
	struct fixture f;
	char *big = calloc(1, SIZE);

	assert_non_null(big);
	up(&f);
	f.up.deaf = true;
	o.body = (struct str){ big, SIZE };
	struct result *r = begin(&f, &o);

	RUN_UNTIL(&f.rig, f.up.n_peers == 1);
	rig_settle(&f.rig, 50);
	peer_sends(f.up.peers[0], "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->n_ends, 1);
	assert_int_equal(r->status, 413);
	result_free(r);
	/* nobody may use that connection again */
	r = begin(&f, &post);
	RUN_UNTIL(&f.rig, f.up.n_peers == 2);
	http_call_cancel(r->call);
	result_free(r);
	free(big);
	down(&f);
}

/* --- the pool --- */

static void connections_are_used_again_the_newest_first(void **state)
{
	struct result *r[3];
	struct fixture f;

	up(&f);
	for (int i = 0; i < 3; i++)
		r[i] = begin(&f, &post);
	for (unsigned i = 0; i < 3; i++) {
		peer_sends(served(&f, i, 1), ok);
		RUN_UNTIL(&f.rig, r[0]->n_ends + r[1]->n_ends + r[2]->n_ends == i + 1);
	}
	for (int i = 0; i < 3; i++)
		result_free(r[i]);
	r[0] = begin(&f, &post);
	served(&f, 2, 2);
	assert_int_equal(f.up.n_peers, 3);
	peer_sends(f.up.peers[2], ok);
	RUN_UNTIL(&f.rig, !r[0]->call);
	assert_true(r[0]->stats.reused);
	assert_int_equal(r[0]->stats.connect_ms, 0);
	result_free(r[0]);
	down(&f);
}

static void R26_a_connection_serves_only_its_own_pool_key(void **state)
{
	struct fixture f;
	char url[64];

	up(&f);
	warm(&f, 0, 1);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", listener_port(f.up.listener));
	set_origin(&f, url, "another key");
	warm(&f, 1, 1);
	set_origin(&f, url, "key");
	warm(&f, 0, 2);
	assert_int_equal(f.up.n_peers, 2);
	down(&f);
}

static void R26_never_again_after_a_partial_or_aborted_answer(void **state)
{
	struct fixture f;

	up(&f);
	/* cancelled inside an answer */
	struct result *r = begin(&f, &post);

	peer_sends(served(&f, 0, 1), "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
	RUN_UNTIL(&f.rig, buf_len(&r->body));
	http_call_cancel(r->call);
	RUN_UNTIL(&f.rig, f.up.peers[0]->ended);
	result_free(r);
	/* more bytes than the answer has */
	r = begin(&f, &post);
	peer_sends(served(&f, 1, 1),
		   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n");
	RUN_UNTIL(&f.rig, f.up.peers[1]->ended);
	assert_int_equal(r->n_ends, 1);
	result_free(r);
	/* Connection: close */
	r = begin(&f, &post);
	peer_sends(served(&f, 2, 1),
		   "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
	RUN_UNTIL(&f.rig, f.up.peers[2]->ended);
	assert_int_equal(r->n_ends, 1);
	result_free(r);
	warm(&f, 3, 1);
	down(&f);
}

static void R26_bytes_on_an_idle_connection_end_it(void **state)
{
	struct fixture f;

	up(&f);
	warm(&f, 0, 1);
	peer_sends(f.up.peers[0], "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen");
	RUN_UNTIL(&f.rig, f.up.peers[0]->ended);
	warm(&f, 1, 1);
	down(&f);
}

static void idle_connections_are_bounded_and_grow_old(void **state)
{
	struct http_client_limits limits = roomy;
	struct result *r[3];
	struct fixture f;

	limits.max_idle_per_origin = 2;
	limits.idle_timeout_ms = 100;
	up_limits(&f, &limits);
	for (int i = 0; i < 3; i++)
		r[i] = begin(&f, &post);
	for (unsigned i = 0; i < 3; i++)
		peer_sends(served(&f, i, 1), ok);
	RUN_UNTIL(&f.rig, f.up.peers[0]->ended || f.up.peers[1]->ended || f.up.peers[2]->ended);
	RUN_UNTIL(&f.rig, f.up.peers[0]->ended && f.up.peers[1]->ended && f.up.peers[2]->ended);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(r[i]->n_ends, 1);
		result_free(r[i]);
	}
	down(&f);
}

static void a_connection_that_the_peer_closes_leaves_the_pool_at_once(void **state)
{
	struct fixture f;

	up(&f);
	warm(&f, 0, 1);
	struct pool *pool = LIST_ENTRY(f.client->pools.next, struct pool, node);

	assert_int_equal(pool->n_idle, 1);
	peer_close(f.up.peers[0]);
	RUN_UNTIL(&f.rig, pool->n_idle == 0);
	warm(&f, 1, 1);
	down(&f);
}

/* --- the one replay --- */

static void bar_21_stale_pool_end_of_file(void **state)
{
	struct fixture f;

	up(&f);
	warm(&f, 0, 1);
	struct result *r = begin(&f, &post); /* written before the loop could see the end */

	peer_close(f.up.peers[0]);
	struct peer *p = served(&f, 1, 1);

	RUN_UNTIL(&f.rig, peer_has(p, "{\"a\":1}"));
	peer_sends(p, ok);
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->n_ends, 1);
	assert_true(r->stats.replayed);
	assert_int_equal(f.up.n_peers, 2);
	result_free(r);
	down(&f);
}

static void bar_21_stale_pool_reset(void **state)
{
	struct fixture f;

	up(&f);
	warm(&f, 0, 1);
	struct result *r = begin(&f, &post);

	peer_reset(f.up.peers[0]);
	peer_sends(served(&f, 1, 1), ok);
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->n_ends, 1);
	assert_true(r->stats.replayed);
	result_free(r);
	down(&f);
}

struct write_check {
	struct loop_dead dead;
	struct http_call *call;
	bool failed;
};

static void check_write(struct loop_dead *dead)
{
	struct write_check *w = LIST_ENTRY(dead, struct write_check, dead);

	w->failed = w->call->write_failed;
}

static void bar_21_stale_pool_failed_write(void **state)
{
	struct write_check w = { .failed = false };
	struct fixture f;

	up(&f);
	warm(&f, 0, 1);
	peer_reset(f.up.peers[0]); /* the socket knows, the loop does not: the write itself fails */
	struct result *r = begin(&f, &post);

	w.call = r->call; /* written at the end of the turn; the loop reads later */
	loop_free_later(&f.rig.loop, &w.dead, check_write);
	rig_settle(&f.rig, 1);
	assert_true(w.failed);
	peer_sends(served(&f, 1, 1), ok);
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->n_ends, 1);
	assert_true(r->stats.replayed);
	result_free(r);
	down(&f);
}

static void bar_21_stale_pool_speaks_before_the_request_is_written(void **state)
{
	struct fixture f;

	up(&f);
	warm(&f, 0, 1);
	struct result *r = begin(&f, &post); /* written at the end of the turn */
	struct stream *s = r->call->conn->stream;

	s->ev->on_read(s->user, str_from(ok)); /* no answer: nothing was asked for yet */
	assert_int_equal(r->n_heads, 0);
	peer_sends(served(&f, 1, 1), ok);
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->n_ends, 1);
	assert_true(r->stats.replayed);
	result_free(r);
	down(&f);
}

static void bar_21_stale_pool_closed_after_the_request_was_read(void **state)
{
	struct fixture f;

	up(&f);
	warm(&f, 0, 1);
	struct result *r = begin(&f, &post);

	served(&f, 0, 2);
	peer_close(f.up.peers[0]);
	peer_sends(served(&f, 1, 1), ok);
	RUN_UNTIL(&f.rig, !r->call);
	assert_true(r->stats.replayed);
	result_free(r);
	/* the second failure is final */
	r = begin(&f, &post);
	served(&f, 1, 2);
	peer_close(f.up.peers[1]);
	served(&f, 2, 1);
	peer_close(f.up.peers[2]);
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->n_errors, 1);
	assert_int_equal(r->failure, HTTP_FAIL_EOF);
	assert_int_equal(f.up.n_peers, 3);
	result_free(r);
	down(&f);
}

static void bar_21_no_replay_once_a_byte_came_or_on_a_new_connection(void **state)
{
	struct http_call_options o = post;
	struct fixture f;

	up(&f);
	/* new connection */
	struct result *r = begin(&f, &post);

	served(&f, 0, 1);
	peer_close(f.up.peers[0]);
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->failure, HTTP_FAIL_EOF);
	result_free(r);
	/* one byte */
	warm(&f, 1, 1);
	r = begin(&f, &post);
	peer_sends(served(&f, 1, 2), "H");
	peer_close(f.up.peers[1]);
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->failure, HTTP_FAIL_EOF);
	result_free(r);
	/* forbidden */
	warm(&f, 2, 1);
	o.no_replay = true;
	r = begin(&f, &o);
	served(&f, 2, 2);
	peer_close(f.up.peers[2]);
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->failure, HTTP_FAIL_EOF);
	assert_int_equal(f.up.n_peers, 3);
	result_free(r);
	down(&f);
}

/* --- failures --- */

struct cut {
	const char *text;
	bool reset;
	enum http_failure failure;
};

static void bad_answers_fail_each_in_its_way(void **state)
{
	static const struct cut cuts[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", false, HTTP_FAIL_EOF },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", false,
		  HTTP_FAIL_EOF },
		{ "HTTP/1.1 200 OK\r\nContent-Le", false, HTTP_FAIL_EOF },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", true, HTTP_FAIL_RESET },
		{ "SSH-2.0-OpenSSH_9.2\r\n", false, HTTP_FAIL_PROTOCOL },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", false,
		  HTTP_FAIL_PROTOCOL },
		{ "HTTP/1.1 101 Switching Protocols\r\n\r\n", false, HTTP_FAIL_PROTOCOL },
		{ "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nxyz", false,
		  HTTP_FAIL_ENCODING },
		{ "HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: 3\r\n\r\nxyz",
		  false, HTTP_FAIL_ENCODING },
		{ "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!",
		  false, HTTP_FAIL_ENCODING },
	};
	struct fixture f;

	up(&f);
	for (unsigned i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct result *r = begin(&f, &post);
		struct peer *p = served(&f, i, 1);

		peer_sends(p, cuts[i].text);
		if (cuts[i].reset)
			peer_reset(p);
		else
			peer_close(p);
		RUN_UNTIL(&f.rig, !r->call);
		if (r->n_errors != 1 || r->n_ends || r->failure != cuts[i].failure)
			fail_msg("%s: %s", cuts[i].text, http_failure_name(r->failure));
		result_free(r);
	}
	down(&f);
}

static void heads_beyond_the_limit_are_a_failure(void **state)
{
	struct fixture f;

	up(&f);
	struct result *r = begin(&f, &post);
	struct peer *p = served(&f, 0, 1);

	peer_sends(p, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 60; i++)
		peer_sends(p, "X: y\r\n");
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->failure, HTTP_FAIL_PROTOCOL);
	result_free(r);
	down(&f);
}

static void nobody_listening_is_a_connect_failure(void **state)
{
	struct fixture f;
	struct host gone;
	char url[64];

	up(&f);
	host_init(&gone, &f.rig);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", listener_port(gone.listener));
	host_done(&gone);
	rig_settle(&f.rig, 2);
	set_origin(&f, url, "key");
	struct result *r = begin(&f, &post);

	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->failure, HTTP_FAIL_CONNECT);
	assert_non_null(strstr(r->detail, "127.0.0.1"));
	assert_non_null(strstr(r->detail, "refused"));
	result_free(r);
	set_origin(&f, "unix:/nonexistent/socket", "key");
	r = begin(&f, &post);
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->failure, HTTP_FAIL_CONNECT);
	result_free(r);
	set_origin(&f, "http://name.invalid", "key");
	r = begin(&f, &post);
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->failure, HTTP_FAIL_DNS);
	result_free(r);
	down(&f);
}

/* --- deadlines --- */

static void bar_15_first_byte_deadline_counts_from_the_end_of_writing(void **state)
{
	enum { SIZE = 8 * 1024 * 1024 };
	struct http_call_options o = post;
	char *big = calloc(1, SIZE);
	struct fixture f;
	uint64_t written;

	assert_non_null(big);
	up(&f);
	f.up.deaf = true;
	o.body = (struct str){ big, SIZE };
	o.deadlines.first_byte_ms = 100;
	o.deadlines.idle_ms = 3000;
	struct result *r = begin(&f, &o);
	uint64_t begun = now_ms();

	/* twice the deadline goes by while we write */
	RUN_UNTIL(&f.rig, now_ms() - begun > 200);
	assert_non_null(r->call);
	assert_int_equal(stream_read_start(f.up.peers[0]->stream), 0);
	RUN_UNTIL(&f.rig, !r->call->writing);
	written = now_ms();
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->failure, HTTP_FAIL_FIRST_BYTE_TIMEOUT);
	assert_in_range(r->over_at_ms - written, 50,
			3000); /* the loop's clock stands still within a turn */
	result_free(r);
	free(big);
	down(&f);
}

static void bar_16_silence_inside_an_answer_trips_the_idle_deadline(void **state)
{
	struct http_call_options o = post;
	struct fixture f;
	uint64_t last;

	up(&f);
	o.deadlines.idle_ms = 100;
	struct result *r = begin(&f, &o);
	struct peer *p = served(&f, 0, 1);

	peer_sends(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n:)\r\n");
	RUN_UNTIL(&f.rig, buf_len(&r->body) == 2);
	peer_sends(p, "2\r\n:)\r\n");
	RUN_UNTIL(&f.rig, buf_len(&r->body) == 4);
	last = now_ms();
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->failure, HTTP_FAIL_IDLE_TIMEOUT);
	assert_in_range(r->over_at_ms - last, 50, 3000);
	RUN_UNTIL(&f.rig, p->ended);
	result_free(r);
	down(&f);
}

static void bar_16_a_pause_of_ours_does_not_trip_the_idle_deadline(void **state)
{
	struct http_call_options o = post;
	struct fixture f;
	uint64_t begun;

	up(&f);
	o.deadlines.idle_ms = 60;
	o.deadlines.first_byte_ms = 60;
	struct result *r = result_new(&f);

	r->pause_in_head = true;
	start(r, &o);
	struct peer *p = served(&f, 0, 1);

	peer_sends(p, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
	RUN_UNTIL(&f.rig, r->n_heads == 1);
	peer_sends(p, "ab");
	begun = now_ms();
	RUN_UNTIL(&f.rig, now_ms() - begun > 250);
	assert_non_null(r->call);
	assert_int_equal(buf_len(&r->body), 0);
	http_call_resume(r->call);
	RUN_UNTIL(&f.rig, buf_len(&r->body) == 2);
	peer_sends(p, "cd");
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->n_ends, 1);
	result_free(r);
	/* resumed, it counts again */
	r = result_new(&f);
	start(r, &o);
	peer_sends(served(&f, 0, 2), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
	RUN_UNTIL(&f.rig, buf_len(&r->body) == 2);
	http_call_pause(r->call);
	http_call_resume(r->call);
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->failure, HTTP_FAIL_IDLE_TIMEOUT);
	result_free(r);
	down(&f);
}

static void an_upstream_that_does_not_read_trips_a_deadline(void **state)
{
	enum { SIZE = 16 * 1024 * 1024 };
	struct http_call_options o = post;
	char *big = calloc(1, SIZE);
	struct fixture f;

	assert_non_null(big);
	up(&f);
	f.up.deaf = true;
	o.body = (struct str){ big, SIZE };
	o.deadlines.idle_ms = 100;
	struct result *r = begin(&f, &o);

	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->failure, HTTP_FAIL_WRITE);
	result_free(r);
	free(big);
	down(&f);
}

/* --- cancel --- */

static void check_nothing_is_left(struct fixture *f)
{
	RUN_UNTIL(&f->rig, f->client->n_conns == 0);
	assert_true(list_empty(&f->client->calls));
}

static void bar_23_cancel_during_the_look_up(void **state)
{
	struct fixture f;

	up(&f);
	set_origin(&f, "http://name.invalid", "key");
	struct result *r = begin(&f, &post);

	rig_settle(&f.rig, 1);
	if (r->call) { /* unless the resolver was that quick */
		http_call_cancel(r->call);
		rig_settle(&f.rig, 50);
		assert_int_equal(r->n_errors, 0);
	}
	check_nothing_is_left(&f);
	result_free(r);
	down(&f);
}

static void bar_23_cancel_before_and_during_the_connect(void **state)
{
	struct fixture f;

	up(&f);
	struct result *r = begin(&f, &post);

	http_call_cancel(r->call);
	check_nothing_is_left(&f);
	result_free(r);
	r = begin(&f, &post);
	uv_run(&f.rig.loop.uv,
	       UV_RUN_NOWAIT); /* the connect is under way, or done in the kernel alone */
	http_call_cancel(r->call);
	check_nothing_is_left(&f);
	assert_int_equal(r->n_errors, 0);
	result_free(r);
	down(&f);
}

static void bar_23_cancel_during_the_handshake(void **state)
{
	struct fixture f;
	char url[64];

	up(&f);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u", listener_port(f.up.listener));
	set_origin(&f, url, "key");
	struct result *r = begin(&f, &post);

	RUN_UNTIL(&f.rig, f.up.n_peers == 1 && buf_len(&f.up.peers[0]->got)); /* the hello */
	http_call_cancel(r->call);
	RUN_UNTIL(&f.rig, f.up.peers[0]->ended);
	check_nothing_is_left(&f);
	result_free(r);
	down(&f);
}

static void bar_23_cancel_during_the_wait_closes_at_once(void **state)
{
	struct fixture f;

	up(&f);
	struct result *r = begin(&f, &post);

	served(&f, 0, 1);
	http_call_cancel(r->call);
	http_call_cancel(r->call);
	RUN_UNTIL(&f.rig, f.up.peers[0]->ended);
	check_nothing_is_left(&f);
	result_free(r);
	down(&f);
}

static void bar_23_cancel_inside_the_callbacks(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
				   "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
	struct fixture f;

	up(&f);
	struct result *r = result_new(&f);

	r->cancel_in_head = true;
	start(r, &post);
	peer_sends(served(&f, 0, 1), text);
	RUN_UNTIL(&f.rig, f.up.peers[0]->ended);
	assert_int_equal(r->n_heads, 1);
	assert_int_equal(buf_len(&r->body), 0);
	assert_int_equal(r->n_ends + r->n_errors, 0);
	result_free(r);
	r = result_new(&f);
	r->cancel_in_body = true;
	start(r, &post);
	peer_sends(served(&f, 1, 1), text);
	RUN_UNTIL(&f.rig, f.up.peers[1]->ended);
	CHECK_STR(buf_str(&r->body), "abc");
	assert_int_equal(r->n_ends + r->n_errors, 0);
	result_free(r);
	check_nothing_is_left(&f);
	down(&f);
}

static void a_call_may_start_in_the_end_of_another(void **state)
{
	struct fixture f;

	up(&f);
	struct result *first = result_new(&f), *second = result_new(&f);

	first->again = second;
	start(first, &post);
	peer_sends(served(&f, 0, 1), ok);
	peer_sends(served(&f, 0, 2), ok);
	RUN_UNTIL(&f.rig, second->n_ends == 1);
	assert_true(second->stats.reused);
	assert_int_equal(f.up.n_peers, 1);
	result_free(first);
	result_free(second);
	down(&f);
}

static void closing_the_client_ends_calls_without_a_word(void **state)
{
	struct fixture f;

	up(&f);
	warm(&f, 0, 1);
	struct result *a = begin(&f, &post), *b = begin(&f, &post);

	down(&f);
	assert_int_equal(a->n_ends + a->n_errors + b->n_ends + b->n_errors, 0);
	result_free(a);
	result_free(b);
}

/* --- encodings --- */

static void deflated(struct buf *out, struct str plain, int window)
{
	z_stream z = { 0 };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (unsigned char *)plain.ptr;
	z.avail_in = (unsigned)plain.len;
	z.next_out = (unsigned char *)buf_reserve(out, plain.len + 1024);
	assert_non_null(z.next_out);
	z.avail_out = (unsigned)plain.len + 1024;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	buf_added(out, z.total_out);
	deflateEnd(&z);
}

static void coded_answers_come_decoded_and_do_not_show_it(void **state)
{
	static const struct {
		const char *name;
		int window;
	} codings[] = { { "gzip", 31 }, { "x-gzip", 31 }, { "deflate", 15 }, { "deflate", -15 } };
	struct fixture f;

	up(&f);
	for (unsigned i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
		struct result *r = begin(&f, &post);
		struct buf coded;
		char head[200];

		buf_init(&coded, 1024 * 1024);
		deflated(&coded, STR("data: {\"x\":1}\n\ndata: {\"x\":1}\n\n"), codings[i].window);
		snprintf(head, sizeof(head),
			 "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\n\r\n",
			 codings[i].name, buf_len(&coded));
		struct peer *p = served(&f, 0, i + 1);

		peer_sends(p, head);
		for (size_t k = 0; k < buf_len(&coded); k++) { /* in single bytes */
			peer_send(p, (struct str){ buf_str(&coded).ptr + k, 1 });
			rig_settle(&f.rig, 1);
		}
		RUN_UNTIL(&f.rig, !r->call);
		assert_int_equal(r->n_ends, 1);
		CHECK_STR(buf_str(&r->body), "data: {\"x\":1}\n\ndata: {\"x\":1}\n\n");
		assert_string_equal(r->field, "-");
		assert_int_equal(r->length, -1);
		buf_done(&coded);
		result_free(r);
	}
	down(&f);
}

static void bar_12_a_bomb_from_upstream_is_defused(void **state)
{
	enum { SIZE = 64 * 1024 * 1024 };
	char *zeros = calloc(1, SIZE);
	struct buf coded;
	struct fixture f;
	char head[200];

	assert_non_null(zeros);
	buf_init(&coded, 2 * SIZE);
	deflated(&coded, (struct str){ zeros, SIZE }, 31);
	free(zeros);
	up(&f);
	struct result *r = begin(&f, &post);
	struct peer *p = served(&f, 0, 1);

	snprintf(head, sizeof(head),
		 "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
		 buf_len(&coded));
	peer_sends(p, head);
	peer_send(p, buf_str(&coded));
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->failure, HTTP_FAIL_ENCODING);
	assert_true(buf_len(&r->body) <= (size_t)(DECODE_FREE_MIB + 1) * 1024 * 1024);
	buf_done(&coded);
	result_free(r);
	down(&f);
}

static void a_coded_answer_cut_short_is_a_failure(void **state)
{
	struct buf coded;
	struct fixture f;
	char head[200];

	up(&f);
	struct result *r = begin(&f, &post);
	struct peer *p = served(&f, 0, 1);

	buf_init(&coded, 4096);
	deflated(&coded, STR("hello hello hello"), 31);
	snprintf(head, sizeof(head),
		 "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
		 buf_len(&coded) - 5);
	peer_sends(p, head);
	peer_send(p, (struct str){ buf_str(&coded).ptr, buf_len(&coded) - 5 });
	RUN_UNTIL(&f.rig, !r->call);
	assert_int_equal(r->failure, HTTP_FAIL_ENCODING);
	buf_done(&coded);
	result_free(r);
	down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_sends_what_it_was_given_and_gets_the_answer),
		cmocka_unit_test(the_answer_is_the_same_for_every_split),
		cmocka_unit_test(R12_redirects_are_answers),
		cmocka_unit_test(a_get_has_no_length_and_a_head_no_body),
		cmocka_unit_test(a_body_that_ends_with_the_connection_is_whole),
		cmocka_unit_test(a_large_request_body_is_written_without_a_copy),
		cmocka_unit_test(after_cancel_the_body_is_not_touched_any_more),
		cmocka_unit_test(an_early_answer_to_a_request_half_written_counts),
		cmocka_unit_test(connections_are_used_again_the_newest_first),
		cmocka_unit_test(R26_a_connection_serves_only_its_own_pool_key),
		cmocka_unit_test(R26_never_again_after_a_partial_or_aborted_answer),
		cmocka_unit_test(R26_bytes_on_an_idle_connection_end_it),
		cmocka_unit_test(idle_connections_are_bounded_and_grow_old),
		cmocka_unit_test(a_connection_that_the_peer_closes_leaves_the_pool_at_once),
		cmocka_unit_test(bar_21_stale_pool_end_of_file),
		cmocka_unit_test(bar_21_stale_pool_reset),
		cmocka_unit_test(bar_21_stale_pool_failed_write),
		cmocka_unit_test(bar_21_stale_pool_speaks_before_the_request_is_written),
		cmocka_unit_test(bar_21_stale_pool_closed_after_the_request_was_read),
		cmocka_unit_test(bar_21_no_replay_once_a_byte_came_or_on_a_new_connection),
		cmocka_unit_test(bad_answers_fail_each_in_its_way),
		cmocka_unit_test(heads_beyond_the_limit_are_a_failure),
		cmocka_unit_test(nobody_listening_is_a_connect_failure),
		cmocka_unit_test(bar_15_first_byte_deadline_counts_from_the_end_of_writing),
		cmocka_unit_test(bar_16_silence_inside_an_answer_trips_the_idle_deadline),
		cmocka_unit_test(bar_16_a_pause_of_ours_does_not_trip_the_idle_deadline),
		cmocka_unit_test(an_upstream_that_does_not_read_trips_a_deadline),
		cmocka_unit_test(bar_23_cancel_during_the_look_up),
		cmocka_unit_test(bar_23_cancel_before_and_during_the_connect),
		cmocka_unit_test(bar_23_cancel_during_the_handshake),
		cmocka_unit_test(bar_23_cancel_during_the_wait_closes_at_once),
		cmocka_unit_test(bar_23_cancel_inside_the_callbacks),
		cmocka_unit_test(a_call_may_start_in_the_end_of_another),
		cmocka_unit_test(closing_the_client_ends_calls_without_a_word),
		cmocka_unit_test(coded_answers_come_decoded_and_do_not_show_it),
		cmocka_unit_test(bar_12_a_bomb_from_upstream_is_defused),
		cmocka_unit_test(a_coded_answer_cut_short_is_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
