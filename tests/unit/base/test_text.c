/* tests/unit/base/test_text.c - mirrors src/base/{utf8,base64,hash,escape,clock,id,err}.c. */
#include <stdlib.h>
#include <time.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/escape.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/utf8.h"
#include "check.h"

/* --- UTF-8 --- */

/* Every code point is valid, and nothing else that decodes to one: all sequences of up to three
 * bytes and, of those of four, all leads with all second bytes. */
static bool valid_by_definition(const unsigned char *p, size_t n)
{
	uint32_t c;

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return false;
	}
	switch (n) {
	case 1:
		return p[0] < 0x80;
	case 2:
		c = (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
		return (p[0] & 0xe0) == 0xc0 && c >= 0x80;
	case 3:
		c = (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
		return (p[0] & 0xf0) == 0xe0 && c >= 0x800 && (c < 0xd800 || c > 0xdfff);
	default:
		c = (p[0] & 7u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
		return (p[0] & 0xf8) == 0xf0 && c >= 0x10000 && c <= 0x10ffff;
	}
}

static void utf8_is_what_rfc_3629_defines(void **state)
{
	for (uint32_t v = 0; v < 1 << 24; v += v < 1 << 16 ? 1 : 3) {
		unsigned char p[4] = { (unsigned char)(v >> 16), (unsigned char)(v >> 8),
				       (unsigned char)v, 0x80 };
		size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

		assert_int_equal(utf8_char(p, 4), valid_by_definition(p, n) ? n : 0);
		if (n > 1)
			assert_int_equal(utf8_char(p, n - 1), 0);
	}
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		char text[12] = "abcdefgh";
		size_t n;

		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		n = utf8_put(text + 5, c);
		assert_true(utf8_valid((struct str){ text, 5 + n }));
		assert_int_equal(utf8_whole((struct str){ text, 5 + n }), 5 + n);
		for (size_t cut = 1; cut < n; cut++) {
			assert_false(utf8_valid((struct str){ text, 5 + cut }));
			assert_int_equal(utf8_whole((struct str){ text, 5 + cut }), 5);
		}
	}
	assert_true(utf8_valid(STR("")) && utf8_valid(STR_NONE));
	assert_true(utf8_valid(STR("a\0b")));
	assert_false(utf8_valid(STR("01234567\x80")));
	assert_int_equal(utf8_whole(STR("")) + utf8_whole(STR_NONE), 0);
	assert_int_equal(utf8_whole(STR("\x80\x80\x80\x80")),
			 4); /* broken anyway: not made longer or shorter */
}

/* --- escaping --- */

static void escaping_for_json(void **state)
{
	struct buf out;

	buf_init(&out, 4096);
	escape_json(&out, STR("plain text that is longer than eight bytes"));
	escape_json(&out, STR("\"\\/\b\f\n\r\t\x01\x1f\x7f\0"));
	escape_json(&out, STR("h\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x98\x80"));
	escape_json(&out, STR("\xff\xc3x\xed\xa0\x80\xe4\xbd"));
	escape_json(&out, STR_NONE);
	CHECK_STR(buf_str(&out), "plain text that is longer than eight bytes"
				 "\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\\u0000"
				 "h\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x98\x80"
				 "\xef\xbf\xbd\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef"
				 "\xbf\xbd\xef\xbf\xbd");
	buf_done(&out);
}

/* Every byte at every place of a word, before and behind plain ones. */
static void the_end_of_a_plain_run_is_found_anywhere(void **state)
{
	unsigned char text[40];

	for (unsigned c = 0; c < 256; c++) {
		bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';

		for (size_t at = 0; at < sizeof(text); at++) {
			memset(text, 'a' + (int)(at % 26), sizeof(text));
			text[at] = (unsigned char)c;
			if (at + 1 < sizeof(text))
				text[at + 1] =
					(unsigned char)(c +
							1); /* a borrow must not hide or invent one */
			for (size_t from = 0; from <= at; from++) {
				const unsigned char *end =
					escape_plain_end(text + from, text + at + 1);

				assert_ptr_equal(end, text + at + plain);
			}
			if (!plain)
				assert_ptr_equal(escape_plain_end(text, text + sizeof(text)),
						 text + at);
		}
	}
}

/* --- base64 --- */

static void base64_of_rfc_4648(void **state)
{
	static const struct {
		struct str bytes, text;
	} rows[] = {
		{ STR_INIT(""), STR_INIT("") },
		{ STR_INIT("f"), STR_INIT("Zg==") },
		{ STR_INIT("fo"), STR_INIT("Zm8=") },
		{ STR_INIT("foo"), STR_INIT("Zm9v") },
		{ STR_INIT("foob"), STR_INIT("Zm9vYg==") },
		{ STR_INIT("fooba"), STR_INIT("Zm9vYmE=") },
		{ STR_INIT("foobar"), STR_INIT("Zm9vYmFy") },
		{ STR_INIT("\0\xff\xfe"), STR_INIT("AP/+") },
	};
	static const struct str bad[] = {
		STR_INIT("Z"),        STR_INIT("Zg"),     STR_INIT("Zg="),   STR_INIT("Zg==="),
		STR_INIT("===="),     STR_INIT("Z==="),   STR_INIT("Zh=="),  STR_INIT("Zm9="),
		STR_INIT("Zg==Zg=="), STR_INIT("Zm9v\n"), STR_INIT(" Zm9v"), STR_INIT("Zm9-"),
		STR_INIT("Zm9_"),     STR_INIT("Z=9v"),   STR_INIT("Zm=v"),  STR_INIT("Zm9\x80"),
		STR_INIT("Zm9\0"),    STR_INIT("Zm 9"),
	};
	struct arena *a = arena_new(1 << 16);
	struct buf out;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_init(&out, 100);
		base64_encode(&out, rows[i].bytes);
		CHECK_STR_IS(buf_str(&out), rows[i].text);
		CHECK_STR_IS(base64_decode(a, rows[i].text), rows[i].bytes);
		assert_true(base64_valid(rows[i].text));
		buf_done(&out);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(base64_decode(a, bad[i]).ptr);
		assert_false(base64_valid(bad[i]));
	}
	buf_init(&out, 4);
	base64_encode(&out, STR_NONE);
	assert_true(base64_valid(STR_NONE) && buf_len(&out) == 0);
	base64_encode(&out, STR("four")); /* 8 characters into 4 */
	assert_true(out.over);
	arena_free(a);
}

/* --- hashes, ids --- */

static void sha256_and_hex(void **state)
{
	uint8_t digest[SHA256_LEN], back[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];

	sha256(STR("abc"), digest);
	hex_encode(digest, sizeof(digest), hex);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_true(hex_decode(
		STR("BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015AD"), back, 32));
	assert_true(bytes_eq_secret(digest, back, 32));
	back[31] ^= 1;
	assert_false(bytes_eq_secret(digest, back, 32));
	assert_false(hex_decode(STR("ab"), back, 2) || hex_decode(STR("abc"), back, 1) ||
		     hex_decode(STR("ag"), back, 1) || hex_decode(STR("a "), back, 1));
	sha256(STR_NONE, digest);
	hex_encode(digest, 4, hex);
	assert_string_equal(hex, "e3b0c442");
	assert_true(hash_fnv(STR("")) == 0xcbf29ce484222325u);
	assert_true(hash_fnv(STR("a")) == 0xaf63dc4c8601ec8cu);
	bytes_wipe(digest, sizeof(digest));
	for (size_t i = 0; i < sizeof(digest); i++)
		assert_int_equal(digest[i], 0);
}

static void ids_are_of_the_alphabet_and_differ(void **state)
{
	unsigned seen[256] = { 0 };
	char a[33], b[33];
	unsigned char bytes[1000], others[1000];

	for (int i = 0; i < 4000; i++) {
		id_make(a, 32);
		assert_int_equal(strlen(a), 32);
		for (int k = 0; k < 32; k++)
			seen[(unsigned char)a[k]]++;
	}
	for (int c = 0; c < 256; c++) {
		bool digit =
			(c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

		/* 128,000 draws of 62: 2,065 each, and 10 standard deviations to either side */
		assert_true(digit ? seen[c] > 1600 && seen[c] < 2530 : seen[c] == 0);
	}
	id_make(b, 32);
	assert_string_not_equal(a, b);
	id_make(b, 0);
	assert_string_equal(b, "");
	random_bytes(bytes, sizeof(bytes));
	random_bytes(others, sizeof(others));
	assert_memory_not_equal(bytes, others, 16);
	assert_memory_not_equal(bytes + 984, others + 984, 16);
	assert_memory_not_equal(bytes, bytes + 256, 16);
}

/* --- clocks, errors --- */

static void dates_are_those_of_the_c_library(void **state)
{
	char got[25], want[40];

	for (int64_t t = 0; t < 253402300800; t += 86400 * 13 + 12347) {
		time_t s = (time_t)t;
		struct tm tm;

		assert_non_null(gmtime_r(&s, &tm));
		strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.042Z", &tm);
		clock_rfc3339(t * 1000000 + 42999, got);
		assert_string_equal(got, want);
	}
	clock_rfc3339(951782400 * INT64_C(1000000),
		      got); /* a leap day of a year that 100 divides */
	assert_string_equal(got, "2000-02-29T00:00:00.000Z");
	clock_rfc3339(-1, got);
	assert_string_equal(got, "1970-01-01T00:00:00.000Z");
	clock_rfc3339(INT64_MAX, got);
	assert_string_equal(got, "9999-12-31T23:59:59.999Z");
}

static void clocks_agree(void **state)
{
	uint64_t ms = clock_mono_ms(), us = clock_mono_us();

	assert_true(us / 1000 >= ms && us / 1000 < ms + 10000);
	assert_true(clock_wall_us() / 1000000 - clock_wall_s() <= 1);
	assert_true(llabs((long long)clock_wall_s() - (long long)time(NULL)) <= 1);
}

static void errors_are_one_clean_line(void **state)
{
	char long_text[600];
	struct err e;

	assert_int_equal(err_set(NULL, RC_IO, "x"), RC_IO);
	assert_int_equal(err_param(&e, RC_INVALID, "messages[2]", "bad %s", "a\r\nb\x01"),
			 RC_INVALID);
	assert_string_equal(e.param, "messages[2]");
	assert_string_equal(e.msg, "bad a  b ");
	assert_int_equal(err_at(&e, RC_SYNTAX, 17, "here"), RC_SYNTAX);
	assert_int_equal(e.at, 17);
	assert_string_equal(e.param, "");
	/* A cut never leaves half a character. */
	for (int shift = 0; shift < 4; shift++) {
		memset(long_text, 'a', sizeof(long_text));
		for (size_t i = (size_t)shift; i + 4 <= 599; i += 4)
			memcpy(long_text + i, "\xf0\x9f\x98\x80", 4);
		long_text[599] = '\0';
		assert_int_equal(err_param(&e, RC_NOMEM, long_text, "%s", long_text), RC_NOMEM);
		assert_true(strlen(e.msg) > 250 && utf8_valid(str_from(e.msg)));
		assert_true(strlen(e.param) > 58 && utf8_valid(str_from(e.param)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_is_what_rfc_3629_defines),
		cmocka_unit_test(escaping_for_json),
		cmocka_unit_test(the_end_of_a_plain_run_is_found_anywhere),
		cmocka_unit_test(base64_of_rfc_4648),
		cmocka_unit_test(sha256_and_hex),
		cmocka_unit_test(ids_are_of_the_alphabet_and_differ),
		cmocka_unit_test(dates_are_those_of_the_c_library),
		cmocka_unit_test(clocks_agree),
		cmocka_unit_test(errors_are_one_clean_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
