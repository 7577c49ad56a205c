/* tests/unit/json/test_json.c - mirrors src/json/json.c, and holds src/json/scan.c to the same
 * grammar: whatever one of the two takes, the other takes. */
#include <stdlib.h>

#include "base/clock.h"
#include "check.h"
#include "json/cases.h"
#include "json/json.h"
#include "json/scan.h"

enum { ROOMY = 64 << 20 };

/* A text on the heap that ends where it ends, so that ASan sees one byte more. */
static struct str exact(struct str s)
{
	char *p = malloc(s.len ? s.len : 1);

	memcpy(p, s.ptr, s.len);
	return (struct str){ p, s.len };
}

static void drop(struct str s)
{
	free((char *)(uintptr_t)s.ptr);
}

static int parse(struct str text, bool *ret_object)
{
	struct arena *a = arena_new(ROOMY);
	struct str copy = exact(text);
	struct err e = { .code = RC_OK };
	const json *v = json_parse(a, copy, &e);

	assert_true(v ? e.code == RC_OK : e.code == RC_SYNTAX && e.at <= text.len && e.msg[0]);
	if (ret_object)
		*ret_object = json_is_obj(v);
	drop(copy);
	arena_free(a);
	return e.code;
}

static int scan(struct str text)
{
	struct str copy = exact(text);
	struct err e = { .code = RC_OK };
	int rc = json_scan(copy, NULL, 0, &e);

	assert_true(rc == RC_OK ||
		    (rc == RC_SYNTAX && e.code == rc && e.at <= text.len && e.msg[0]));
	drop(copy);
	return rc;
}

static void both(struct str text, int want)
{
	bool object;

	if (parse(text, &object) != want || (scan(text) != (want || !object ? RC_SYNTAX : RC_OK))) {
		print_error("%s: %.*s\n", want ? "not JSON" : "JSON", STR_ARG(text));
		fail();
	}
}

/* The text alone, and as a member's value, where the scanner takes what is not an object too. */
static void alone_and_inside(struct str text, int want)
{
	struct buf b;

	both(text, want);
	buf_init(&b, 1 << 20);
	buf_puts(&b, "{\"first\":[],\"v\":");
	buf_put(&b, text);
	buf_puts(&b, ",\"last\":1}");
	both(buf_str(&b), want);
	buf_done(&b);
}

static void bar_04_what_is_json_is_taken(void **state)
{
	for (size_t i = 0; i < N_YES; i++)
		alone_and_inside(json_yes[i], RC_OK);
}

static void bar_04_what_is_not_json_is_refused(void **state)
{
	for (size_t i = 0; i < N_NO; i++)
		alone_and_inside(json_no[i], RC_SYNTAX);
}

/* Every beginning of a text is incomplete, bar a number's, or what only blanks follow. */
static void bar_04_every_cut_is_refused_alike(void **state)
{
	for (size_t i = 0; i < N_YES; i++) {
		for (size_t n = 0; n < json_yes[i].len; n++) {
			struct str cut = { json_yes[i].ptr, n };
			bool object;
			int rc = parse(cut, &object);

			if (rc == RC_OK && !object)
				continue;
			assert_int_equal(scan(cut), rc);
		}
	}
}

static void bar_04_depth_is_limited(void **state)
{
	static const struct str open[] = { STR_INIT("["), STR_INIT("{\"k\":"), STR_INIT("[{\"k\":"),
					   STR_INIT(" [ ") };
	static const struct str close[] = { STR_INIT("]"), STR_INIT("}"), STR_INIT("}]"),
					    STR_INIT(" ] ") };

	for (size_t kind = 0; kind < 4; kind++) {
		for (int depth = JSON_MAX_DEPTH - 2; depth <= JSON_MAX_DEPTH + 2; depth++) {
			int each = kind == 2 ? 2 : 1, levels = 1;
			struct buf b;

			buf_init(&b, 1 << 20);
			buf_puts(&b, "{\"a\":");
			for (; levels + each <= depth; levels += each)
				buf_put(&b, open[kind]);
			buf_puts(&b, "\"[[{{\\\"\\\\\"");
			for (int i = 1; i < levels; i += each)
				buf_put(&b, close[kind]);
			buf_puts(&b, "}");
			both(buf_str(&b), levels <= JSON_MAX_DEPTH ? RC_OK : RC_SYNTAX);
			buf_done(&b);
		}
	}
}

/* --- cost --- */

/* Far above what a linear pass needs (1 to 5 ms, 50 with sanitizers), far below a quadratic one. */
enum { PATIENCE_MS = 5000 };

static void fill(struct buf *b, size_t n, const char *before, const char *unit, const char *after)
{
	buf_init(b, 4 << 20);
	buf_puts(b, before);
	while (buf_len(b) < n)
		buf_puts(b, unit);
	buf_puts(b, after);
}

static void bar_04_one_mebibyte_of_anything_is_linear(void **state)
{
	static const struct {
		const char *before, *unit, *after;
		int want;
	} rows[] = {
		{ "{\"a\":\"", "x", "\"}", RC_OK },
		{ "{\"a\":\"", "\\\\", "\"}", RC_OK },
		{ "{\"a\":\"", "\\\"", "\"}", RC_OK },
		{ "{\"a\":\"", "\\\\", "", RC_SYNTAX },
		{ "{\"a\":\"", "\\\"", "", RC_SYNTAX },
		{ "{\"a\":\"", "\\u00e9", "\"}", RC_OK },
		{ "{\"a\":\"", "\xe4\xbd\xa0", "\"}", RC_OK },
		{ "{\"a\":[", "1,", "1]}", RC_OK },
		{ "{\"a\":", "1", "}", RC_OK },
		{ "{\"a\":", " ", "1}", RC_OK },
		{ "{\"a\":0.", "0", "}", RC_OK },
		{ "{\"a\":1e", "9", "}", RC_OK },
		{ "{\"a\":[", "{},", "{}]}", RC_OK },
		{ "{", "\"a\":1,", "\"b\":2}", RC_OK },
		{ "", "[", "", RC_SYNTAX },
		{ "", "{\"a\":", "", RC_SYNTAX },
		{ "{\"a\":[", "\"\",", "\"\"]}", RC_OK },
		{ "{}", " ", "", RC_OK },
		{ "{}", " ", "x", RC_SYNTAX },
		{ "", "\"", "", RC_SYNTAX },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t began = check_cpu_ms();
		struct buf b;

		fill(&b, 1 << 20, rows[i].before, rows[i].unit, rows[i].after);
		both(buf_str(&b), rows[i].want);
		assert_true(check_cpu_ms() - began < PATIENCE_MS);
		buf_done(&b);
	}
}

/* The arena's cap is the limit of what a text may make us spend: RC_NOMEM, at any cap, and no crash. */
static void R16_a_small_arena_is_no_memory_and_no_crash(void **state)
{
	struct buf b;
	bool fits = false;

	buf_init(&b, 1 << 20);
	buf_puts(&b, "{\"a\":[");
	for (int i = 0; i < 300; i++)
		buf_printf(&b, "%d,{\"k%d\":\"v\"},", i, i);
	buf_puts(&b, "null]}");
	for (size_t cap = 16; cap < 64 << 10; cap += cap < 1024 ? 16 : 331) {
		struct arena *a = arena_new(cap);
		struct err e = { 0 };

		if (json_parse(a, buf_str(&b), &e))
			fits = true;
		else
			assert_int_equal(e.code, RC_NOMEM);
		assert_true(arena_used(a) <= cap + 16);
		arena_free(a);
	}
	assert_true(fits);
	buf_done(&b);
}

/* A large string costs its copy and little more, not a reservation by its length. */
static void an_image_costs_about_its_size(void **state)
{
	struct arena *a = arena_new(ROOMY);
	struct buf b;

	fill(&b, 1 << 20, "{\"image\":\"", "QUFB", "\"}");
	assert_non_null(json_parse(a, buf_str(&b), NULL));
	assert_true(arena_used(a) < buf_len(&b) + 4096);
	buf_done(&b);
	arena_free(a);
}

/* --- mutation: the two readers agree on whatever comes --- */

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void damaged_texts_are_taken_or_refused_by_both(void **state)
{
	static const struct str good[] = {
		STR_INIT("{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":"
			 "\"h\xc3\xa9 \\\"x\\\" \\u00e9\\ud83d\\ude00\"}],"
			 "\"stream\":true,\"n\":-1.50e+3,\"x\":{},\"y\":[],\"z\":null}"),
		STR_INIT(" { \"a\" : [ 1 , 2.5 , -0 , 1e9 ] ,\n\t\"b\" : { \"c\" : { \"d\" : [ [ ] "
			 ", { } ] } } , \"e\" : false } "),
		STR_INIT("{\"\xf0\x9f\x98\x80\":\"\xe4\xbd\xa0\xe5\xa5\xbd\\\\\",\"\":\"\",\"k\":["
			 "\"\",\"\\n\",true,false,null]}"),
	};
	static const char spice[] =
		"{}[]:,\"\\ \n\t0123456789.eE+-truefalsn/ud8\x00\x1f\x7f\x80\xbf\xc3\xed\xf0\xff";
	uint32_t seed = 20261121, taken = 0;

	for (int round = 0; round < 40000; round++) {
		struct str from = good[round % 3];
		size_t len = from.len;
		char in[512];
		bool object;
		int rc;

		memcpy(in, from.ptr, len);
		for (uint32_t n = 1 + next_random(&seed) % 3; n; n--) {
			size_t at = next_random(&seed) % len, to = next_random(&seed) % len;
			char c = spice[next_random(&seed) % (sizeof(spice) - 1)];

			switch (next_random(&seed) % 4) {
			case 0:
				in[at] = c;
				break;
			case 1:
				memmove(in + at + 1, in + at, len - at);
				in[at] = c;
				len++;
				break;
			case 2:
				memmove(in + at, in + at + 1, len - at - 1);
				len--;
				break;
			default:
				in[at] = in[to];
			}
		}
		rc = parse((struct str){ in, len }, &object);
		taken += rc == RC_OK;
		if (scan((struct str){ in, len }) != (rc == RC_OK && !object ? RC_SYNTAX : rc)) {
			print_error("parse %d, scan %d: %.*s\n", rc, scan((struct str){ in, len }),
				    (int)len, in);
			fail();
		}
	}
	assert_true(taken > 1000); /* or the test would only ever compare refusals */
}

/* --- reading values --- */

static void values_are_what_they_are(void **state)
{
	struct arena *a = arena_new(ROOMY);
	const json *v = json_parse(
		a,
		STR("{\"o\":{},\"a\":[1,2],\"s\":\"x\\u0000y\",\"n\":1.10,\"t\":true,\"f\":false,"
		    "\"z\":null,\"\\u0061\":3,\"big\":9007199254740993}"),
		NULL);

	assert_true(json_is_obj(v) && json_is_obj(JSON_GET(v, "o")) &&
		    json_is_arr(json_get(v, STR("s"))) == false);
	CHECK_STR(json_str(JSON_GET(v, "s")), "x\0y");
	CHECK_STR(json_num(JSON_GET(v, "n")), "1.10");
	CHECK_STR(json_num(JSON_GET(v, "big")), "9007199254740993");
	CHECK_STR(json_num(JSON_GET(v, "a")), "3"); /* of duplicate keys the last counts */
	assert_true(json_is_bool(JSON_GET(v, "t")) && json_bool(JSON_GET(v, "t"), false));
	assert_false(json_bool(JSON_GET(v, "f"), true));
	assert_true(json_bool(JSON_GET(v, "n"), true) && !json_bool(NULL, false));
	assert_true(json_is_null(json_get(v, STR("z"))));
	assert_null(JSON_GET(v, "z"));
	assert_null(json_get(v, STR("nothing")));
	assert_null(json_get(JSON_GET(v, "n"), STR("x")));
	assert_int_equal(json_len(v), 9);
	assert_int_equal(json_len(JSON_GET(v, "s")), 0);
	assert_string_equal(json_type(v), "object");
	assert_string_equal(json_type(JSON_GET(v, "n")), "number");
	assert_string_equal(json_type(JSON_GET(v, "s")), "string");
	assert_string_equal(json_type(JSON_GET(v, "f")), "boolean");
	assert_string_equal(json_type(json_get(v, STR("z"))), "null");
	assert_string_equal(json_type(NULL), "nothing");
	arena_free(a);
}

static void everything_reads_absent_values(void **state)
{
	struct json_iter it = json_iter(NULL);
	struct arena *a = arena_new(1000);
	int64_t i;
	double d;

	assert_false(json_is_obj(NULL) || json_is_arr(NULL) || json_is_str(NULL) ||
		     json_is_num(NULL) || json_is_bool(NULL) || json_is_null(NULL) ||
		     json_i64(NULL, &i) || json_f64(NULL, &d));
	assert_false(json_next(&it));
	assert_null(json_str(NULL).ptr);
	assert_null(json_num(NULL).ptr);
	assert_null(json_get(NULL, STR("a")));
	assert_int_equal(json_len(NULL), 0);
	assert_null(json_parse(a, STR_NONE, NULL));
	arena_free(a);
}

static void walking(void **state)
{
	struct arena *a = arena_new(ROOMY);
	const json *v = json_parse(a, STR("{\"a\":[1,[2,3],{\"x\":4},5],\"b\":{},\"c\":[]}"), NULL);
	struct json_iter it = json_iter(v), in;

	assert_true(json_next(&it));
	CHECK_STR(it.key, "a");
	in = json_iter(it.val);
	for (int i = 0; i < 4; i++) {
		assert_true(json_next(&in));
		assert_null(in.key.ptr);
		assert_int_equal(json_len(in.val), i == 1 ? 2 : i == 2 ? 1 : 0);
	}
	CHECK_STR(json_num(in.val), "5");
	assert_false(json_next(&in) || json_next(&in));
	assert_true(json_next(&it));
	CHECK_STR(it.key, "b");
	in = json_iter(it.val);
	assert_false(json_next(&in));
	assert_true(json_next(&it));
	in = json_iter(it.val);
	assert_false(json_next(&in) || json_next(&it));
	in = json_iter(JSON_GET(JSON_GET(v, "a"), "x"));
	assert_false(json_next(&in));
	arena_free(a);
}

static void R16_integers_only_where_they_fit(void **state)
{
	static const struct {
		struct str text;
		bool ok;
		int64_t want;
	} rows[] = {
		{ STR_INIT("0"), true, 0 },
		{ STR_INIT("-0"), true, 0 },
		{ STR_INIT("42"), true, 42 },
		{ STR_INIT("-42"), true, -42 },
		{ STR_INIT("3.0"), true, 3 },
		{ STR_INIT("3e0"), true, 3 },
		{ STR_INIT("3E2"), true, 300 },
		{ STR_INIT("-3.50e1"), true, -35 },
		{ STR_INIT("3.5"), false, 0 },
		{ STR_INIT("35e-1"), false, 0 },
		{ STR_INIT("350e-1"), true, 35 },
		{ STR_INIT("0.0001e4"), true, 1 },
		{ STR_INIT("0.00000"), true, 0 },
		{ STR_INIT("0e999999999999999"), true, 0 },
		{ STR_INIT("0.0e-999999999999999"), true, 0 },
		{ STR_INIT("1e999999999999999"), false, 0 },
		{ STR_INIT("1e-999999999999999"), false, 0 },
		{ STR_INIT("1e18"), true, 1000000000000000000 },
		{ STR_INIT("1e19"), false, 0 },
		{ STR_INIT("9223372036854775807"), true, INT64_MAX },
		{ STR_INIT("9223372036854775808"), false, 0 },
		{ STR_INIT("-9223372036854775808"), true, INT64_MIN },
		{ STR_INIT("-9223372036854775809"), false, 0 },
		{ STR_INIT("18446744073709551617"), false, 0 },
		{ STR_INIT("9223372036854775807.000"), true, INT64_MAX },
		{ STR_INIT("922337203685477580.70e1"), true, INT64_MAX },
		{ STR_INIT("99999999999999999999999999999999"), false, 0 },
		{ STR_INIT("1e+2"), true, 100 },
		{ STR_INIT("100000000000000000000e-20"), true, 1 },
	};
	struct arena *a = arena_new(ROOMY);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const json *v = json_parse(a, rows[i].text, NULL);
		int64_t got = 77;

		CHECK_STR_IS(json_num(v), rows[i].text);
		assert_int_equal(json_i64(v, &got), rows[i].ok);
		assert_true(got == (rows[i].ok ? rows[i].want : 77));
	}
	assert_false(json_i64(json_parse(a, STR("\"3\""), NULL), &(int64_t){ 0 }));
	arena_free(a);
}

static void several_members_in_one_walk(void **state)
{
	static const struct str names[] = { STR_INIT("a"), STR_INIT(""), STR_INIT("bc"),
					    STR_INIT("missing"), STR_INIT("null") };
	static const struct {
		int other;
		struct str name;
	} rows[] = { { 1, STR_INIT("bd") }, { 2, STR_INIT("bc") } };
	struct arena *a = arena_new(ROOMY);
	const json *v = json_parse(a,
				   STR("{\"bc\":1,\"x\":{\"a\":9},\"\":2,\"a\":3,\"null\":4,"
				       "\"a\":5,\"null\":null,\"b\\u0064\":6,\"A\":7}"),
				   NULL);
	const json *got[5], *of_rows[2];

	assert_int_equal(JSON_FIND(v, names, got), 3); /* x, bd, A */
	CHECK_STR(json_num(got[0]), "5");              /* of duplicates the last */
	CHECK_STR(json_num(got[1]), "2");
	CHECK_STR(json_num(got[2]), "1");
	assert_null(got[3]);
	assert_null(got[4]); /* the last one, too, when it is null */
	for (size_t i = 0; i < 5; i++)
		assert_ptr_equal(got[i], json_get_set(v, names[i]));

	assert_int_equal(JSON_FIND_ROWS(v, rows, of_rows), 7);
	CHECK_STR(json_num(of_rows[0]), "6");
	CHECK_STR(json_num(of_rows[1]), "1");

	assert_int_equal(JSON_FIND(NULL, names, got), 0);
	assert_null(got[0]);
	assert_int_equal(JSON_FIND(got[0], names, got), 0);
	assert_int_equal(JSON_FIND(json_parse(a, STR("[1]"), NULL), names, got), 0);
	for (size_t from = 0; from <= 5; from++) {
		assert_int_equal(json_name_index(names, sizeof(*names), 5, from, STR("bc")), 2);
		assert_int_equal(json_name_index(names, sizeof(*names), 5, from, STR("bd")), 5);
	}
	arena_free(a);
}

static void doubles(void **state)
{
	struct arena *a = arena_new(ROOMY);
	const json *v = json_parse(
		a, STR("[0.7, -1e3, 1, 18446744073709551616, 5e-324, 1e999, 9007199254740993]"),
		NULL);
	static const double want[] = {
		0.7, -1e3, 1, 18446744073709551616.0, 5e-324, 0, 9007199254740992.0
	};
	struct json_iter it = json_iter(v);
	double d;

	for (int i = 0; json_next(&it); i++) {
		bool ok = json_f64(it.val, &d);

		assert_int_equal(ok, i != 5); /* beyond any double is no number to calculate with */
		if (ok)
			assert_true(d == want[i]);
		d = 77;
		assert_int_equal(json_text_f64(json_num(it.val), &d), i != 5);
		assert_true(d == (ok ? want[i] : 77));
	}
	assert_false(json_text_f64(STR_NONE, &d) || json_text_f64(STR("1x"), &d) ||
		     json_text_f64(STR("\"1\""), &d) || json_text_f64(STR("1 "), &d));
	arena_free(a);
}

/* --- writing what was read --- */

static void written_texts_are_the_same_but_for_blanks_and_escapes(void **state)
{
	static const struct {
		struct str in, want;
	} rows[] = {
		{ STR_INIT(" { \"b\" : [ 1.10 , -0 , 1E+2 ] , \"a\" : { \"\" : null } , \"b\" : "
			   "true , \"e\" : [ ] , \"o\" : { } } "),
		  STR_INIT("{\"b\":[1.10,-0,1E+2],\"a\":{\"\":null},\"b\":true,\"e\":[],\"o\":{}"
			   "}") },
		{ STR_INIT("\"\\u0041\\/\\u00e9\\u0000\\n\\\"\""),
		  STR_INIT("\"A/\xc3\xa9\\u0000\\n\\\"\"") },
		{ STR_INIT("[[[]],[[],[]],[]]"), STR_INIT("[[[]],[[],[]],[]]") },
		{ STR_INIT("[1,[2],3,{\"a\":[4],\"b\":5},6]"),
		  STR_INIT("[1,[2],3,{\"a\":[4],\"b\":5},6]") },
		{ STR_INIT("false"), STR_INIT("false") },
		{ STR_INIT("12345678901234567890.5"), STR_INIT("12345678901234567890.5") },
	};
	struct arena *a = arena_new(ROOMY);
	struct str deep, again;
	struct buf b;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_STR_IS(json_text(a, json_parse(a, rows[i].in, NULL)), rows[i].want);
	for (size_t i = 0; i < N_YES; i++) { /* writing is stable */
		struct str once = json_text(a, json_parse(a, json_yes[i], NULL));

		CHECK_STR_IS(json_text(a, json_parse(a, once, NULL)), once);
	}
	buf_init(&b, 4096);
	for (int i = 0; i < JSON_MAX_DEPTH; i++)
		buf_putc(&b, '[');
	for (int i = 0; i < JSON_MAX_DEPTH; i++)
		buf_putc(&b, ']');
	deep = buf_str(&b);
	again = json_text(a, json_parse(a, deep, NULL));
	CHECK_STR_IS(again, deep);
	buf_done(&b);
	/* a part of a document */
	CHECK_STR(json_text(a, JSON_GET(json_parse(a, STR("{\"x\":[{\"y\":1},2],\"z\":3}"), NULL),
					"x")),
		  "[{\"y\":1},2]");
	CHECK_STR(json_text(a, NULL), "null");
	arena_free(a);
	a = arena_new(4000); /* room for the document, not for another copy of its text */
	fill(&b, 2000, "[\"", "x", "\"]");
	{
		const json *v = json_parse(a, buf_str(&b), NULL);

		assert_non_null(v);
		assert_null(json_text(a, v).ptr);
	}
	buf_done(&b);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bar_04_what_is_json_is_taken),
		cmocka_unit_test(bar_04_what_is_not_json_is_refused),
		cmocka_unit_test(bar_04_every_cut_is_refused_alike),
		cmocka_unit_test(bar_04_depth_is_limited),
		cmocka_unit_test(bar_04_one_mebibyte_of_anything_is_linear),
		cmocka_unit_test(R16_a_small_arena_is_no_memory_and_no_crash),
		cmocka_unit_test(an_image_costs_about_its_size),
		cmocka_unit_test(damaged_texts_are_taken_or_refused_by_both),
		cmocka_unit_test(values_are_what_they_are),
		cmocka_unit_test(everything_reads_absent_values),
		cmocka_unit_test(walking),
		cmocka_unit_test(R16_integers_only_where_they_fit),
		cmocka_unit_test(several_members_in_one_walk),
		cmocka_unit_test(doubles),
		cmocka_unit_test(written_texts_are_the_same_but_for_blanks_and_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
