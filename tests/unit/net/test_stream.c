/* tests/unit/net/test_stream.c - mirrors src/net/stream_uv.c and stream_mem.c: one contract,
 * each carrier. */
#include "rig.h"

struct pair {
	struct rig rig;
	struct host host;
	struct peer *a, *b; /* two ends of one stream */
	bool mem;
};

static void pair_up(struct pair *p, bool mem, size_t window, size_t piece)
{
	struct stream *ends[2];

	*p = (struct pair){ .mem = mem };
	rig_init(&p->rig);
	if (mem) {
		assert_true(stream_mem_pair(&p->rig.loop, window, piece, ends));
		p->a = peer_new(&p->rig, ends[0]);
		p->b = peer_new(&p->rig, ends[1]);
		return;
	}
	host_init(&p->host, &p->rig);
	p->a = peer_connect(&p->rig, listener_port(p->host.listener));
	RUN_UNTIL(&p->rig, p->host.n_peers == 1);
	p->b = p->host.peers[0];
}

static void pair_down(struct pair *p)
{
	peer_free(p->a);
	if (p->mem)
		peer_free(p->b);
	else
		host_done(&p->host);
	rig_done(&p->rig);
}

static void check_all_bytes_arrive_in_order(bool mem, size_t window, size_t piece, size_t size)
{
	struct pair p;
	char *bytes = malloc(size);

	assert_non_null(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 31 + i / 251);
	pair_up(&p, mem, window, piece);
	peer_send(p.a, (struct str){ bytes, size });
	peer_send(p.b, STR("meanwhile"));
	RUN_UNTIL(&p.rig, buf_len(&p.b->got) == size && peer_has(p.a, "meanwhile"));
	assert_memory_equal(buf_str(&p.b->got).ptr, bytes, size);
	assert_int_equal(stream_pending(p.a->stream), 0);
	peer_close(p.a);
	RUN_UNTIL(&p.rig, p.b->ended);
	assert_int_equal(p.b->end_status, UV_EOF);
	free(bytes);
	pair_down(&p);
}

static void all_bytes_arrive_in_order(void **state)
{
	check_all_bytes_arrive_in_order(false, 0, 0, 10 * 1000 * 1000);
	check_all_bytes_arrive_in_order(true, 1024, 0, 100 * 1000);
	check_all_bytes_arrive_in_order(true, 1, 1, 3000);
	check_all_bytes_arrive_in_order(true, 5, 3, 3000);
}

static void several_slices_go_out_as_one(void **state)
{
	for (int mem = 0; mem < 2; mem++) {
		struct str v[4] = { STR("one "), STR(""), STR("two "), STR("three") };
		struct pair p;

		pair_up(&p, mem, 4096, 0);
		assert_int_equal(stream_try_write(p.a->stream, v, 4), 13);
		RUN_UNTIL(&p.rig, peer_has(p.b, "one two three"));
		pair_down(&p);
	}
}

static void a_shut_side_is_an_end_of_file_and_the_other_side_lives(void **state)
{
	for (int mem = 0; mem < 2; mem++) {
		struct pair p;

		pair_up(&p, mem, 4096, 0);
		peer_sends(p.a, "last words");
		stream_shutdown(p.a->stream);
		RUN_UNTIL(&p.rig, p.b->ended);
		assert_int_equal(p.b->end_status, UV_EOF);
		assert_true(peer_has(p.b, "last words"));
		peer_sends(p.b, "an answer all the same");
		RUN_UNTIL(&p.rig, peer_has(p.a, "an answer all the same"));
		pair_down(&p);
	}
}

static void a_reset_is_told_from_an_end(void **state)
{
	for (int mem = 0; mem < 2; mem++) {
		struct pair p;

		pair_up(&p, mem, 4096, 0);
		peer_sends(p.a, "some bytes");
		peer_reset(p.a);
		RUN_UNTIL(&p.rig, p.b->ended);
		assert_int_equal(p.b->end_status, UV_ECONNRESET);
		assert_true(stream_try_write(p.b->stream, &STR("x"), 1) < 0);
		pair_down(&p);
	}
}

static void when_nobody_reads_a_write_waits_and_says_how_much(void **state)
{
	enum { SIZE = 32 * 1024 * 1024 };

	for (int mem = 0; mem < 2; mem++) {
		struct pair p;
		char *bytes = calloc(1, SIZE);

		assert_non_null(bytes);
		pair_up(&p, mem, 4096, 0);
		stream_read_stop(p.b->stream);
		peer_send(p.a, (struct str){ bytes, SIZE });
		rig_settle(&p.rig, 20);
		assert_true(p.a->writing);
		assert_in_range(stream_pending(p.a->stream), 1, SIZE);
		assert_int_equal(stream_try_write(p.a->stream, &STR("more"), 1), 0);
		/* after the close the borrowed bytes are not read any more */
		peer_close(p.a);
		buf_done(&p.a->sending);
		assert_int_equal(stream_read_start(p.b->stream), 0);
		RUN_UNTIL(&p.rig, p.b->ended);
		free(bytes);
		pair_down(&p);
	}
}

static void close_in_read(void *user, struct str bytes)
{
	struct peer *p = user;

	buf_put(&p->got, bytes);
	peer_close(p);
	assert_int_equal(bytes.ptr[0], 'x'); /* still there */
}

static void a_stream_may_be_closed_in_its_own_callback(void **state)
{
	static const struct stream_events closing = {
		.on_read = close_in_read,
		.on_end = peer_end,
		.on_written = peer_written,
	};

	for (int mem = 0; mem < 2; mem++) {
		struct pair p;

		pair_up(&p, mem, 4096, 1);
		p.b->stream->ev = &closing;
		peer_sends(p.a, "xxxx");
		RUN_UNTIL(&p.rig, !p.b->stream);
		rig_settle(&p.rig, 3);
		assert_false(p.b->ended);
		pair_down(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_bytes_arrive_in_order),
		cmocka_unit_test(several_slices_go_out_as_one),
		cmocka_unit_test(a_shut_side_is_an_end_of_file_and_the_other_side_lives),
		cmocka_unit_test(a_reset_is_told_from_an_end),
		cmocka_unit_test(when_nobody_reads_a_write_waits_and_says_how_much),
		cmocka_unit_test(a_stream_may_be_closed_in_its_own_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
