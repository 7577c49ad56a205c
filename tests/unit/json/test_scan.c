/* tests/unit/json/test_scan.c - mirrors src/json/{scan,skim,patch}.c: finding members, and changing a text in
 * place. That the scanner takes exactly what is JSON is test_json.c's matter. */
#include <stdlib.h>

#include "check.h"
#include "json/json.h"
#include "json/scan.h"

static void members_are_found_where_they_stand(void **state)
{
	struct str text = STR(" {\"a\" : [1, {\"model\":\"inner\"}], \"model\"\t:\n \"gpt\" , "
			      "\"stream\":true,\"n\":-1,\"o\":{\"stream\":0} } ");
	struct json_want w[] = { { .key = "stream" }, { .key = "model" }, { .key = "none" },
				 { .key = "n" },      { .key = "o" },     { .key = "a" } };

	assert_int_equal(json_scan(text, w, 6, NULL), RC_OK);
	CHECK_STR(w[0].value, "true");
	CHECK_STR(w[0].member, "\"stream\":true");
	assert_int_equal(w[0].first, 't');
	CHECK_STR(w[1].value, "\"gpt\"");
	CHECK_STR(w[1].member, "\"model\"\t:\n \"gpt\"");
	assert_ptr_equal(w[1].value.ptr, text.ptr + str_find(text, STR("\"gpt\"")));
	assert_int_equal(w[1].first, '"');
	assert_null(w[2].value.ptr);
	assert_null(w[2].member.ptr);
	assert_int_equal(w[2].first, 0);
	CHECK_STR(w[3].value, "-1");
	assert_int_equal(w[3].first, '-');
	CHECK_STR(w[4].value, "{\"stream\":0}");
	CHECK_STR(w[5].value, "[1, {\"model\":\"inner\"}]");
}

/* The skimmer against the scanner, on a text, cut short at every byte, and with a byte behind it. */
static void skim_as_scanned(struct str text)
{
	struct json_want scanned[] = { { .key = "stream" }, { .key = "model" }, { .key = "n" } };
	struct json_want skimmed[] = { { .key = "stream" }, { .key = "model" }, { .key = "n" } };
	char more[512];

	assert_int_equal(json_scan(text, scanned, 3, NULL), RC_OK);
	assert_true(json_skim(text, skimmed, 3));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(skimmed[i].first, scanned[i].first);
		assert_ptr_equal(skimmed[i].value.ptr, scanned[i].value.ptr);
		assert_int_equal(skimmed[i].value.len, scanned[i].value.len);
		assert_ptr_equal(skimmed[i].member.ptr, scanned[i].member.ptr);
		assert_int_equal(skimmed[i].member.len, scanned[i].member.len);
	}
	for (size_t n = 0; n < text.len; n++) { /* on the heap, where a byte too far is seen */
		char *cut = malloc(n + 1);

		memcpy(cut, text.ptr, n);
		assert_false(json_skim((struct str){ cut, n }, skimmed, 3));
		free(cut);
	}
	memcpy(more, text.ptr, text.len);
	more[text.len] = '}';
	assert_false(json_skim((struct str){ more, text.len + 1 }, skimmed, 3));
}

static void a_skimmed_text_has_the_members_of_a_scanned_one(void **state)
{
	static const struct str texts[] = {
		STR_INIT("{}"),
		STR_INIT("{\"model\":\"gpt\",\"stream\":true,\"n\":-1.5e3}"),
		STR_INIT("{ \"a\" : [1,{\"model\":\"in\\\"ner\"},[[]]] ,\n\"model\"\t: null , "
			 "\"n\" : 7 }"),
		STR_INIT("{\"mod\\u0065l\":\"a long text with \\\"model\\\": and {[ in "
			 "it\\\\\",\"n\":{\"n\":[]}}"),
		STR_INIT("{\"\":\"\",\"mode\":1,\"models\":2,\"stream\":[\"}\",\"]\",{\"x\":\"{\"}]"
			 "}"),
		STR_INIT("{\"tools\":[{\"properties\":{\"n\":{\"type\":\"object\"}}}],\"n\":"
			 "\"0123456789abcdef\"}"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		skim_as_scanned(texts[i]);
}

static void of_a_name_skimmed_twice_the_last_counts(void **state)
{
	struct json_want w = { .key = "n" };

	(void)state;
	assert_true(json_skim(STR("{\"n\":1,\"n\":2}"), &w, 1));
	CHECK_STR(w.value, "2");
	assert_false(json_skim(STR("[\"n\"]"), &w, 1));
	assert_false(json_skim(STR(""), &w, 1));
	assert_false(json_skim(STR_NONE, &w, 1));
	assert_null(w.value.ptr);
	assert_false(json_skim(STR("{\"n\":}"), &w, 1));
	assert_false(json_skim(STR("{\"n\" 1}"), &w, 1));
	assert_false(json_skim(STR("{n:1}"), &w, 1));
}

static void wants_of_an_earlier_scan_are_cleared(void **state)
{
	struct json_want w = { .key = "a" };

	assert_int_equal(json_scan(STR("{\"a\":1}"), &w, 1, NULL), RC_OK);
	assert_int_equal(json_scan(STR("{}"), &w, 1, NULL), RC_OK);
	assert_null(w.value.ptr);
	assert_int_equal(w.first, 0);
}

static void keys_are_compared_by_what_they_mean(void **state)
{
	static const struct {
		struct str text;
		bool found;
	} rows[] = {
		{ STR_INIT("{\"mod\\u0065l\":1}"), true },
		{ STR_INIT("{\"\\u006d\\u006F\\u0064el\":1}"), true },
		{ STR_INIT("{\"Model\":1}"), false },
		{ STR_INIT("{\"model\\u0000\":1}"), false },
		{ STR_INIT("{\"mode\":1}"), false },
		{ STR_INIT("{\"modell\":1}"), false },
		{ STR_INIT("{\"mode\\u006c\\u006c\":1}"), false },
		{ STR_INIT("{\"\\u006d\":1}"), false },
		{ STR_INIT("{\"model \":1}"), false },
		{ STR_INIT("{\"\":1}"), false },
	};
	struct json_want w = { .key = "model" }, euro = { .key = "\xe2\x82\xac\xf0\x9f\x98\x80/" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(json_scan(rows[i].text, &w, 1, NULL), RC_OK);
		assert_int_equal(str_present(w.value), rows[i].found);
	}
	assert_int_equal(json_scan(STR("{\"\\u20ac\\ud83d\\ude00\\/\":1}"), &euro, 1, NULL), RC_OK);
	CHECK_STR(euro.value, "1");
}

/* What we route by and what the upstream reads must be one thing (R1, R27). */
static void R27_a_wanted_key_that_stands_twice_is_refused(void **state)
{
	static const struct str texts[] = {
		STR_INIT("{\"model\":1,\"model\":2}"),
		STR_INIT("{\"model\":1,\"x\":0,\"mod\\u0065l\":2}"),
		STR_INIT("{\"\\u006dodel\":1,\"model\":1}"),
	};
	struct json_want w[] = { { .key = "x" }, { .key = "model" } };
	struct err e;

	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(json_scan(texts[i], w, 2, &e), RC_INVALID);
		assert_string_equal(e.param, "model");
		assert_int_equal(json_scan(texts[i], w, 1, &e),
				 RC_OK); /* nobody asks: not our business */
	}
	assert_int_equal(
		json_scan(STR("{\"model\":{\"model\":1},\"a\":[{\"model\":2}]}"), w, 2, &e), RC_OK);
}

static void errors_name_the_place(void **state)
{
	static const struct {
		struct str text;
		size_t at;
	} rows[] = {
		{ STR_INIT(""), 0 },
		{ STR_INIT("[]"), 0 },
		{ STR_INIT("{\"a\":1,}"), 7 },
		{ STR_INIT("{\"a\":01}"), 5 },
		{ STR_INIT("{\"a\":\"\xff\"}"), 6 },
		{ STR_INIT("{\"a\":1} x"), 8 },
		{ STR_INIT("{\"a\":\"\\q\"}"), 6 },
		{ STR_INIT("{\"a\":tru}"), 5 },
		{ STR_INIT("{\"a\":[1}"), 7 },
		{ STR_INIT("{\"a\""), 4 },
		{ STR_INIT("{\"a\":\"x"), 7 },
	};
	struct err e;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(json_scan(rows[i].text, NULL, 0, &e), RC_SYNTAX);
		assert_int_equal(e.at, rows[i].at);
	}
	assert_int_equal(json_scan(STR_NONE, NULL, 0, &e), RC_SYNTAX);
	assert_int_equal(json_scan(STR("x"), NULL, 0, NULL), RC_SYNTAX);
}

static void strings_are_unquoted(void **state)
{
	static const struct str bad[] = {
		STR_INIT(""),        STR_INIT("\""),          STR_INIT("1"),
		STR_INIT("null"),    STR_INIT("\"a"),         STR_INIT("a\""),
		STR_INIT("\"\\q\""), STR_INIT("\"\\ud800\""), STR_INIT("\"\\u12\""),
		STR_INIT("\"\\\""),
	};
	struct arena *a = arena_new(1024);
	struct str plain = STR("\"gpt-4o\"");

	CHECK_STR(json_unquote(a, plain), "gpt-4o");
	assert_ptr_equal(json_unquote(a, plain).ptr, plain.ptr + 1); /* borrowed */
	CHECK_STR(json_unquote(a, STR("\"\"")), "");
	CHECK_STR(json_unquote(a, STR("\"a\\n\\\"\\\\\\/\\u00e9\\ud83d\\ude00\\u0000z\"")),
		  "a\n\"\\/\xc3\xa9\xf0\x9f\x98\x80\0z");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(json_unquote(a, bad[i]).ptr);
	assert_null(json_unquote(a, STR_NONE).ptr);
	arena_free(a);
	a = arena_new(16);
	assert_null(json_unquote(a, STR("\"\\n0123456789012345678901234567890123456789\"")).ptr);
	arena_free(a);
}

/* --- patching --- */

static void a_value_is_replaced_and_all_else_stays_byte_for_byte(void **state)
{
	struct str text = STR("{ \"x\": [1.10 , {\"model\":\"a\"}],\r\n\t\"model\" : "
			      "\"gpt-4o\",\"temperature\":1e-0 }\n");
	struct json_want w[] = { { .key = "model" }, { .key = "temperature" } };
	struct json_edit edits[2];
	struct buf out;

	buf_init(&out, 1000);
	assert_int_equal(json_scan(text, w, 2, NULL), RC_OK);
	edits[0] = (struct json_edit){ w[1].value, STR("2") };
	edits[1] = (struct json_edit){ w[0].value, STR("\"a longer name\"") };
	json_patch(&out, text, edits, 2);
	CHECK_STR(buf_str(&out), "{ \"x\": [1.10 , {\"model\":\"a\"}],\r\n\t\"model\" : \"a longer "
				 "name\",\"temperature\":2 }\n");
	buf_reset(&out);
	json_patch(&out, text, NULL, 0);
	CHECK_STR_IS(buf_str(&out), text);
	buf_done(&out);
}

static void a_member_is_added_first(void **state)
{
	static const struct {
		struct str text, want;
	} rows[] = {
		{ STR_INIT("{}"), STR_INIT("{\"k\":[1]}") },
		{ STR_INIT(" { } "), STR_INIT(" {\"k\":[1] } ") },
		{ STR_INIT("{\"a\":1}"), STR_INIT("{\"k\":[1],\"a\":1}") },
		{ STR_INIT("{ \"a\":1}"), STR_INIT("{\"k\":[1], \"a\":1}") },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *a = arena_new(1024);
		struct json_edit e = json_edit_add(a, rows[i].text, STR("\"k\":[1]"));
		struct buf out;

		buf_init(&out, 1000);
		json_patch(&out, rows[i].text, &e, 1);
		CHECK_STR_IS(buf_str(&out), rows[i].want);
		buf_done(&out);
		arena_free(a);
	}
}

static void an_edit_without_memory_fails_the_patch(void **state)
{
	struct arena *a = arena_new(16);
	struct str text = STR("{\"a\":1}");
	struct json_edit e = json_edit_add(a, text, STR("\"a key that is longer than that\":1"));
	struct buf out;

	buf_init(&out, 1000);
	buf_puts(&out, "before");
	json_patch(&out, text, &e, 1);
	assert_true(out.failed && !out.over);
	arena_free(a);
}

/* Any members of an object go, whichever they are and however it is spaced: what is left is
 * the object without them. With another one replaced, and one added, in the same patch. */
static void any_set_of_members_can_be_removed(void **state)
{
	static const char *const spacing[][4] = {
		/* after {, before the comma, after it, before } */
		{ "", "", "", "" },
		{ " ", " ", " ", " " },
		{ "\n\t", "", "\n\t", "\n" },
		{ "", "\r\n", "", "\t" },
	};
	enum { MEMBERS = 5 };

	for (unsigned style = 0; style < 4; style++) {
		for (unsigned n = 1; n <= MEMBERS; n++) {
			for (unsigned gone = 0; gone < 1u << n; gone++) {
				struct json_want w[] = { { .key = "k0" },
							 { .key = "k1" },
							 { .key = "k2" },
							 { .key = "k3" },
							 { .key = "k4" } };
				struct json_edit edits[MEMBERS + 1];
				bool all = gone == (1u << n) - 1;
				struct buf text, want, out;
				struct arena *a = arena_new(1 << 16);
				unsigned count = 0;

				buf_init(&text, 4096);
				buf_init(&want, 4096);
				buf_init(&out, 4096);
				buf_printf(&text, "{%s", spacing[style][0]);
				buf_puts(&want, all ? "{" : "{\"new\":0");
				for (unsigned i = 0; i < n; i++) {
					if (i)
						buf_printf(&text, "%s,%s", spacing[style][1],
							   spacing[style][2]);
					buf_printf(&text, "\"k%u\":[%u,\",\"]", i, i);
					if (!(gone >> i & 1))
						buf_printf(&want, ",\"k%u\":[%u,\",\"]", i, i);
				}
				buf_printf(&text, "%s}", spacing[style][3]);
				buf_puts(&want, "}");
				assert_int_equal(json_scan(buf_str(&text), w, n, NULL), RC_OK);
				for (unsigned i = 0; i < n; i++) {
					unsigned k =
						style % 2
							? i
							: n - 1 - i; /* the order of edits does not matter */

					if (gone >> k & 1)
						edits[count++] = json_edit_remove(buf_str(&text),
										  w[k].member);
				}
				if (!all)
					edits[count++] =
						json_edit_add(a, buf_str(&text), STR("\"new\":0"));
				json_patch(&out, buf_str(&text), edits, count);
				CHECK_STR_IS(json_text(a, json_parse(a, buf_str(&out), NULL)),
					     buf_str(&want));
				buf_done(&text);
				buf_done(&want);
				buf_done(&out);
				arena_free(a);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_found_where_they_stand),
		cmocka_unit_test(a_skimmed_text_has_the_members_of_a_scanned_one),
		cmocka_unit_test(of_a_name_skimmed_twice_the_last_counts),
		cmocka_unit_test(wants_of_an_earlier_scan_are_cleared),
		cmocka_unit_test(keys_are_compared_by_what_they_mean),
		cmocka_unit_test(R27_a_wanted_key_that_stands_twice_is_refused),
		cmocka_unit_test(errors_name_the_place),
		cmocka_unit_test(strings_are_unquoted),
		cmocka_unit_test(a_value_is_replaced_and_all_else_stays_byte_for_byte),
		cmocka_unit_test(a_member_is_added_first),
		cmocka_unit_test(an_edit_without_memory_fails_the_patch),
		cmocka_unit_test(any_set_of_members_can_be_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
