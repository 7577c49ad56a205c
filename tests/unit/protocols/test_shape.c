/* What is inside a request and known to nobody: found, named by its place, and each name once. */
#include "check.h"

#include "base/arena.h"
#include "protocols/protocol.h"
#include "protocols/shape.h"

static const struct shape inner[] = { SHAPE("type"), SHAPE("x"), SHAPE_END };
static const struct shape kinds[] = { SHAPE_KIND("type", "a", inner), SHAPE_KIND("type", "", inner),
				      SHAPE_END };
static const struct shape item[] = { SHAPE("content"), SHAPE_IN("parts", kinds),
				     SHAPE_IN("one", inner), SHAPE_END };
static const struct shape root[] = { SHAPE_IN("items", item), SHAPE_END };

static const struct {
	const char *body;
	const char *unknown; /* names, joined by blanks */
} rows[] = {
	{ "{}", "" },
	{ "{'other':{'y':1},'items':7}", "" },
	{ "{'items':[]}", "" },
	{ "{'items':[{'content':{'whatever':1}}]}", "" },
	{ "{'items':[{'y':1},{'y':2},{'z':'t'}]}", "items.y items.z" },
	{ "{'items':{'y':1}}", "items.y" },
	{ "{'items':[{'y':null,'z':[],'u':{},'v':''}]}", "" },
	{ "{'items':[{'y':0,'z':false}]}", "items.y items.z" },
	{ "{'items':[{'parts':[{'type':'a','y':1},{'x':1,'z':1},'text']}]}",
	  "items.parts.y items.parts.z" },
	{ "{'items':[{'parts':[{'type':'of another kind','y':1}]}]}", "" },
	{ "{'items':[{'one':{'x':{'y':1},'y':1}}]}", "items.one.y" },
	{ "{'items':[{'one':[[{'y':1}]]}]}", "" },
};

static struct str quotes(struct arena *a, const char *text)
{
	struct str s = arena_dup(a, str_from(text));

	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '\'')
			((char *)s.ptr)[i] = '"';
	}
	return s;
}

static struct str joined(struct arena *a, const struct ir_request *r)
{
	struct str all = STR("");

	for (unsigned i = 0; i < r->n_unknown; i++)
		all = arena_printf(a, "%.*s%s%.*s", STR_ARG(all), i ? " " : "",
				   STR_ARG(r->unknown[i]));
	return all;
}

static void trap_089_what_nobody_reads_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct arena *a = arena_new(1 << 20);
		const json *body = json_parse(a, quotes(a, rows[i].body), NULL);
		struct ir_request r;

		assert_non_null(body);
		ir_request_init(&r);
		assert_true(shape_note_unknown(a, body, root, &r));
		CHECK_STR_IS(joined(a, &r), str_from(rows[i].unknown));
		arena_free(a);
	}
}

/* A client may send as many as it likes: what is kept of them is bounded. */
static void many_and_long_names_are_bounded(void **state)
{
	struct arena *a = arena_new(8 << 20);
	struct ir_request r;
	struct buf b;

	(void)state;
	buf_init(&b, 4 << 20);
	buf_puts(&b, "{\"items\":[{");
	for (unsigned i = 0; i < 1000; i++)
		buf_printf(&b, "%s\"%0100u\":1", i ? "," : "", i);
	buf_puts(&b, "}]}");
	ir_request_init(&r);
	assert_true(shape_note_unknown(a, json_parse(a, buf_str(&b), NULL), root, &r));
	assert_int_equal(r.n_unknown, 1); /* they differ behind what is kept of a name */
	assert_int_equal(r.unknown[0].len, 64);
	buf_reset(&b);
	buf_puts(&b, "{\"items\":[{");
	for (unsigned i = 0; i < 1000; i++)
		buf_printf(&b, "%s\"m%u\":1", i ? "," : "", i);
	buf_puts(&b, "}]}");
	ir_request_init(&r);
	assert_true(shape_note_unknown(a, json_parse(a, buf_str(&b), NULL), root, &r));
	assert_int_equal(r.n_unknown, 32);
	buf_done(&b);
	arena_free(a);
}

/* What no encoder can write is said to be lost, whoever is asked. */
static void trap_089_it_is_named(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct ir_request *r;
	struct ir_losses losses;
	struct err e;

	(void)state;
	assert_int_equal(protocol_find(STR("openai-chat"))
				 ->decode_request(a, &request_line_plain,
						  quotes(a,
							 "{'model':'m','messages':[{'role':'user',"
							 "'content':'x','mood':'good'}]}"),
						  &r, &e),
			 RC_OK);
	ir_losses_init(&losses, a);
	ir_lose_unknown(&losses, r);
	CHECK_STR_IS(ir_losses_text(&losses), STR("messages.mood"));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_089_what_nobody_reads_is_found),
		cmocka_unit_test(many_and_long_names_are_bounded),
		cmocka_unit_test(trap_089_it_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
