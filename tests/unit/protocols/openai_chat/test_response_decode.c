/* tests/unit/protocols/openai_chat/test_response_decode.c - mirrors response_decode.c and blocks.c.
 * Rule: what an upstream says becomes the events of its golden file, however the network cuts the bytes; each file of
 * tests/golden/openai-chat/decode is a case, named after the trap it is about. */
#include "check.h"

#include <dirent.h>
#include <stdlib.h>

#include "quotes.h"
#include "tape.h"

#define GOLDEN TESTS_DIR "/golden/openai-chat/decode"

static const struct protocol *const chat = &protocol_openai_chat;

static struct str slurp(const char *name, const char *suffix)
{
	char path[512];
	char *text = malloc(1 << 20);
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), GOLDEN "/%s%s", name, suffix);
	f = fopen(path, "rb");
	assert_non_null(f);
	n = fread(text, 1, 1 << 20, f);
	(void)fclose(f);
	assert_true(n < 1 << 20);
	return (struct str){ text, n };
}

/* The tape of `in` fed `step` bytes at a time, with the line on how it ended. */
static void record(struct tape *t, struct str in, size_t step)
{
	struct feed f = { .p = chat, .sink = &t->sink };
	struct jw w;
	int rc;

	tape_init(t);
	rc = feed_stream(&f, in, step);
	w = jw_on(&t->text);
	jw_obj(&w);
	jw_kcstr(&w, "end", rc == 0 ? "ok" : f.breach ? f.breach : f.err.msg);
	jw_ki64(&w, "rc", rc);
	jw_end_obj(&w);
	buf_putc(&t->text, '\n');
}

static void check_cut(const char *name, struct str in, struct str want, size_t step)
{
	struct tape t;

	record(&t, in, step);
	if (!str_eq(buf_str(&t.text), want))
		fail_msg("%s, cut every %zu bytes:\n%.*s", name, step, STR_ARG(buf_str(&t.text)));
	tape_done(&t);
}

static void check_golden(const char *name)
{
	struct str in = slurp(name, ".sse"), want = slurp(name, ".events");
	/* Every split into equal pieces, and so every single cut in the second half; long ones in samples. */
	size_t stride = in.len > 1000 ? in.len / 20 : 1;

	check_cut(name, in, want, 0);
	for (size_t step = 1; step < 8 && step < in.len; step++)
		check_cut(name, in, want, step);
	for (size_t step = 8; step < in.len; step += stride)
		check_cut(name, in, want, step);
	free((char *)in.ptr);
	free((char *)want.ptr);
}

static void trap_024_events_do_not_depend_on_how_the_bytes_are_cut(void **state)
{
	DIR *dir = opendir(GOLDEN);
	struct dirent *entry;
	unsigned n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		struct str name = str_from(entry->d_name);
		char base[256];

		if (!str_ends(name, STR(".sse")))
			continue;
		(void)snprintf(base, sizeof(base), "%.*s", (int)name.len - 4, name.ptr);
		check_golden(base);
		n++;
	}
	(void)closedir(dir);
	assert_true(n > 70);
}

/* --- whole bodies --- */

static void check_body(const char *body, int want_rc, const char *want)
{
	struct arena *a = arena_new(1 << 20);
	struct tape t;
	struct feed f = { .p = chat, .sink = &t.sink };

	tape_init(&t);
	assert_int_equal(feed_body(&f, quotes(a, body)), want_rc);
	CHECK_STR_IS(buf_str(&t.text), quotes(a, want));
	tape_done(&t);
	arena_free(a);
}

static void a_whole_answer_is_the_same_events(void **state)
{
	check_body(
		"{'id':'c1','object':'chat.completion','model':'m-1','choices':[{'index':0,'"
		"message':{"
		"'role':'assistant','content':'Hi','reasoning_content':'hm','refusal':null,'"
		"annotations':["
		"{'type':'url_citation','url_citation':{'url':'u','title':'t','start_index':0,'end_"
		"index':2}}],"
		"'tool_calls':[{'id':'a','type':'function','function':{'name':'f','arguments':'{}'}"
		"},"
		"{'id':'b','type':'function','function':{'name':'g','arguments':''}}]},"
		"'finish_reason':'tool_calls'}],'usage':{'prompt_tokens':1,'completion_tokens':2}}",
		0,
		"{'event':'START','id':'c1','model':'m-1','usage':{'input':1,'output':2}}\n"
		"{'event':'OPEN','index':0,'block':'reasoning','origin':'openai-chat'}\n"
		"{'event':'DELTA','of':'text','text':'hm'}\n{'event':'CLOSE','index':0}\n"
		"{'event':'OPEN','index':1,'block':'text'}\n{'event':'DELTA','of':'text','text':'"
		"Hi'}\n"
		"{'event':'DELTA','of':'citation','url':'u','title':'t','start':0,'end':2}\n"
		"{'event':'CLOSE','index':1}\n"
		"{'event':'OPEN','index':2,'block':'tool_call','id':'a','name':'f'}\n"
		"{'event':'DELTA','of':'arguments','text':'{}'}\n{'event':'CLOSE','index':2}\n"
		"{'event':'OPEN','index':3,'block':'tool_call','id':'b','name':'g'}\n"
		"{'event':'CLOSE','index':3}\n"
		"{'event':'USAGE','usage':{'input':1,'output':2}}\n{'event':'FINISH','stop':'tool_"
		"calls'}\n");
}

static void pictures_are_blocks_behind_the_text_and_sound_is_missed(void **state)
{
	(void)state;
	check_body(
		"{'id':'c1','model':'m','choices':[{'index':0,'message':{'role':'assistant','"
		"content':'Hi','audio':{'data':'UklG'},'images':["
		"{'type':'image_url','image_url':{'url':'https://e.com/a.png'}},7,"
		"{'type':'image_url','image_url':{'url':'data:image/png;base64,AAAA'},"
		"'extra_content':{'google':{'thought_signature':'c2ln'}}}]},"
		"'finish_reason':'stop'}]}",
		0,
		"{'event':'START','id':'c1','model':'m','usage':{}}\n"
		"{'event':'OPEN','index':0,'block':'text'}\n{'event':'DELTA','of':'text','text':'"
		"Hi'}\n{'event':'CLOSE','index':0}\n"
		"{'event':'OPEN','index':1,'block':'opaque','origin':'openai-chat'}\n"
		"{'event':'DELTA','of':'raw','text':'{\\'type\\':\\'image_url\\',\\'image_url\\':{"
		"\\'url\\':\\'https://e.com/a.png\\'}}','picture':'https://e.com/a.png'}\n"
		"{'event':'CLOSE','index':1}\n"
		"{'event':'OPEN','index':2,'block':'reasoning','origin':'gemini'}\n"
		"{'event':'DELTA','of':'signature','text':'c2ln'}\n{'event':'CLOSE','index':2}\n"
		"{'event':'OPEN','index':3,'block':'opaque','origin':'openai-chat'}\n"
		"{'event':'DELTA','of':'raw','text':'{\\'type\\':\\'image_url\\',\\'image_url\\':{"
		"\\'url\\':\\'data:image/png;base64,AAAA\\'},\\'extra_content\\':{\\'google\\':{"
		"\\'thought_signature\\':\\'c2ln\\'}}}','picture':'data:image/png;base64,AAAA'}\n"
		"{'event':'CLOSE','index':3}\n"
		"{'event':'OPEN','index':4,'block':'opaque'}\n"
		"{'event':'DELTA','of':'raw','text':'{}','lost':'answer.audio'}\n"
		"{'event':'CLOSE','index':4}\n{'event':'FINISH','stop':'end'}\n");
}

static void what_is_no_answer_is_refused(void **state)
{
	check_body("{'id':'c1','choices':[]}", RC_SYNTAX, "");
	check_body("{'id':'c1','choices':[{'index':0}]}", RC_SYNTAX, "");
	check_body("[]", RC_SYNTAX, "");
	check_body("<html>", RC_SYNTAX, "");
	check_body("", RC_SYNTAX, "");
}

static void trap_112_an_error_in_a_200_body_is_an_error(void **state)
{
	check_body("{'error':{'message':'The prompt was "
		   "filtered','code':'content_filter','status':400}}",
		   0,
		   "{'event':'ERROR','kind':'content_filter','status':400,'message':'The prompt "
		   "was filtered',"
		   "'code':'content_filter'}\n");
}

/* --- with the request at hand --- */

static void trap_057_a_shortened_name_comes_back_as_the_clients_own(void **state)
{
	struct arena *a = arena_new(1 << 20);
	char name[101] = "";
	struct ir_tool tool = { .name = { name, 100 } };
	struct ir_request r;
	struct request_target target = { .model = STR("m") };
	struct ir_losses losses;
	struct buf body, answer;
	struct tape t;
	struct feed f = { .p = chat, .sink = &t.sink, .request = &r };
	struct err err;
	ptrdiff_t at;

	memset(name, 'n', 100);
	ir_request_init(&r);
	r.tools = &tool;
	r.n_tools = 1;
	ir_losses_init(&losses, a);
	buf_init(&body, 1 << 20);
	buf_init(&answer, 1 << 20);
	assert_int_equal(chat->encode_request(a, &r, &target, &body, &losses, &err), 0);
	assert_true(str_find(buf_str(&body), tool.name) < 0);
	at = str_find(buf_str(&body), STR("\"name\":\""));
	assert_true(at > 0);
	buf_puts(&answer, "{\"choices\":[{\"message\":{\"tool_calls\":[{\"id\":\"a\",\"function\":{"
			  "\"name\":\"");
	buf_put(&answer, (struct str){ buf_str(&body).ptr + at + 8, 64 });
	buf_puts(&answer, "\",\"arguments\":\"{}\"}}]}}]}");

	tape_init(&t);
	assert_int_equal(feed_body(&f, buf_str(&answer)), 0);
	assert_true(str_find(buf_str(&t.text), tool.name) > 0);
	tape_done(&t);
	buf_done(&body);
	buf_done(&answer);
	arena_free(a);
}

static void trap_074_only_a_sequence_that_was_asked_for_is_one(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct str stop[] = { STR("END") };
	struct ir_request r;
	struct tape t;
	struct feed f = { .p = chat, .sink = &t.sink, .request = &r };

	ir_request_init(&r);
	r.stop = stop;
	r.n_stop = 1;
	tape_init(&t);
	assert_int_equal(
		feed_body(&f,
			  quotes(a, "{'choices':[{'message':{'content':'a'},'finish_reason':'stop',"
				    "'matched_stop':'</s>'}]}")),
		0);
	assert_true(str_ends(buf_str(&t.text), quotes(a, "{'event':'FINISH','stop':'end'}\n")));
	assert_int_equal(
		feed_body(&f,
			  quotes(a, "{'choices':[{'message':{'content':'a'},'finish_reason':'stop',"
				    "'stop_reason':'END'}]}")),
		0);
	assert_true(str_ends(
		buf_str(&t.text),
		quotes(a, "{'event':'FINISH','stop':'stop_sequence','sequence':'END'}\n")));
	tape_done(&t);
	arena_free(a);
}

static void too_many_calls_are_too_many(void **state)
{
	struct tape t;
	struct feed f = { .p = chat, .sink = &t.sink };
	struct buf b;

	buf_init(&b, 1 << 20);
	tape_init(&t);
	for (unsigned i = 0; i < 600; i++)
		buf_printf(&b,
			   "data: "
			   "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":%u,\"id\":\"%u\","
			   "\"function\":"
			   "{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\n\n",
			   i, i);
	assert_int_equal(feed_stream(&f, buf_str(&b), 0), RC_TOOBIG);
	tape_done(&t);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_024_events_do_not_depend_on_how_the_bytes_are_cut),
		cmocka_unit_test(a_whole_answer_is_the_same_events),
		cmocka_unit_test(pictures_are_blocks_behind_the_text_and_sound_is_missed),
		cmocka_unit_test(what_is_no_answer_is_refused),
		cmocka_unit_test(trap_112_an_error_in_a_200_body_is_an_error),
		cmocka_unit_test(trap_057_a_shortened_name_comes_back_as_the_clients_own),
		cmocka_unit_test(trap_074_only_a_sequence_that_was_asked_for_is_one),
		cmocka_unit_test(too_many_calls_are_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
