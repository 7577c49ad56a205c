/* tests/unit/http/test_decode.c - mirrors src/http/decode.c. */
#include <stdlib.h>

#include "check.h"

#include <zlib.h>

#include "base/buf.h"
#include "http/decode.h"

static bool take(void *user, struct str bytes)
{
	buf_put(user, bytes);
	return true;
}

static bool take_once(void *user, struct str bytes)
{
	buf_put(user, bytes);
	return false;
}

static void coded(struct buf *out, struct str plain, int window)
{
	z_stream z = { 0 };
	size_t room = plain.len + 1024;

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (unsigned char *)plain.ptr;
	z.avail_in = (unsigned)plain.len;
	z.next_out = (unsigned char *)buf_reserve(out, room);
	assert_non_null(z.next_out);
	z.avail_out = (unsigned)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	buf_added(out, z.total_out);
	deflateEnd(&z);
}

static void names(void **state)
{
	assert_int_equal(coding_of(STR_NONE), CODING_IDENTITY);
	assert_int_equal(coding_of(STR("identity")), CODING_IDENTITY);
	assert_int_equal(coding_of(STR("GZip")), CODING_GZIP);
	assert_int_equal(coding_of(STR("x-gzip")), CODING_GZIP);
	assert_int_equal(coding_of(STR("deflate")), CODING_DEFLATE);
	assert_int_equal(coding_of(STR("br")), CODING_UNKNOWN);
	assert_int_equal(coding_of(STR("zstd")), CODING_UNKNOWN);
	assert_int_equal(coding_of(STR("gzip, br")), CODING_UNKNOWN);
}

static void every_split_decodes_to_the_same(void **state)
{
	static const int windows[] = { 31, 15, -15 };
	struct buf in, out;

	for (size_t w = 0; w < 3; w++) {
		buf_init(&in, 65536);
		coded(&in, STR("The quick brown fox jumps over the lazy dog. The quick brown fox."),
		      windows[w]);
		for (size_t cut = 0; cut <= buf_len(&in); cut++) {
			struct decoder *d =
				decoder_new(windows[w] == 31 ? CODING_GZIP : CODING_DEFLATE);

			buf_init(&out, 65536);
			assert_true(decoder_complete(d)); /* nothing came yet */
			assert_int_equal(decoder_feed(d, (struct str){ buf_str(&in).ptr, cut },
						      take, &out),
					 DECODE_OK);
			assert_int_equal(decoder_complete(d), cut == 0 || cut == buf_len(&in));
			assert_int_equal(decoder_feed(d, str_from_offset(buf_str(&in), cut), take,
						      &out),
					 DECODE_OK);
			assert_true(decoder_complete(d));
			CHECK_STR(buf_str(&out), "The quick brown fox jumps over the lazy dog. The "
						 "quick brown fox.");
			buf_done(&out);
			assert_null(decoder_free(d));
		}
		buf_done(&in);
	}
}

static void gzip_members_follow_one_another_and_nothing_else_does(void **state)
{
	struct decoder *d = decoder_new(CODING_GZIP);
	struct buf in, out;

	buf_init(&in, 65536);
	buf_init(&out, 65536);
	coded(&in, STR("one "), 31);
	coded(&in, STR("two"), 31);
	assert_int_equal(decoder_feed(d, buf_str(&in), take, &out), DECODE_OK);
	assert_true(decoder_complete(d));
	CHECK_STR(buf_str(&out), "one two");
	assert_int_equal(decoder_feed(d, STR("junk"), take, &out), DECODE_BROKEN);
	decoder_free(d);
	d = decoder_new(CODING_DEFLATE);
	buf_reset(&in);
	coded(&in, STR("x"), 15);
	buf_put(&in, STR("y"));
	assert_int_equal(decoder_feed(d, buf_str(&in), take, &out), DECODE_BROKEN);
	decoder_free(d);
	buf_done(&in);
	buf_done(&out);
}

static void a_sink_may_stop_it(void **state)
{
	struct decoder *d = decoder_new(CODING_GZIP);
	struct buf in, out;
	char *plain = calloc(1, 100000);

	assert_non_null(plain);
	buf_init(&in, 1 << 20);
	buf_init(&out, 1 << 20);
	coded(&in, (struct str){ plain, 100000 }, 31);
	assert_int_equal(decoder_feed(d, buf_str(&in), take_once, &out), DECODE_STOPPED);
	assert_in_range(buf_len(&out), 1, 20000);
	decoder_free(d);
	buf_done(&in);
	buf_done(&out);
	free(plain);
}

/* 3 MiB of zeros at 1000 : 1 are below the free size, and pass; 30 MiB are not. */
static void bar_12_the_ratio_counts_above_the_free_size(void **state)
{
	static const size_t sizes[] = { 3 << 20, 30 << 20 };

	for (int i = 0; i < 2; i++) {
		struct decoder *d = decoder_new(CODING_GZIP);
		struct buf in, out;
		char *plain = calloc(1, sizes[i]);

		assert_non_null(plain);
		buf_init(&in, 64 << 20);
		buf_init(&out, 64 << 20);
		coded(&in, (struct str){ plain, sizes[i] }, 31);
		assert_int_equal(decoder_feed(d, buf_str(&in), take, &out),
				 i ? DECODE_BOMB : DECODE_OK);
		assert_true(buf_len(&out) <= (DECODE_FREE_MIB + 1) << 20);
		decoder_free(d);
		buf_done(&in);
		buf_done(&out);
		free(plain);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(every_split_decodes_to_the_same),
		cmocka_unit_test(gzip_members_follow_one_another_and_nothing_else_does),
		cmocka_unit_test(a_sink_may_stop_it),
		cmocka_unit_test(bar_12_the_ratio_counts_above_the_free_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
