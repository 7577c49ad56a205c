/* tests/unit/protocols/test_detect.c - mirrors src/protocols/detect.c.
 * Rule: every body is of one dialect, or refused in words that say which members decided; the whole of detect.def is
 * gone through, alone and in pairs. */
#include "check.h"
#include "protocols/detect.h"
#include "quotes.h"

#include <stdio.h>

static int detect(struct arena *a, struct detect_ask ask, const char *body, struct detected *d,
		  struct err *e)
{
	*e = (struct err){ 0 };
	ask.body = quotes(a, body);
	return detect_protocol(a, &ask, d, e);
}

/* --- rows of docs/universal.md --- */

static const struct {
	const char *lals, *protocol;
	bool anthropic_version;
	const char *body;
	const char *is;   /* NULL: refused */
	const char *says; /* the refusal: words in it */
} rows[] = {
	/* by what it holds */
	{ NULL, NULL, false, "{'model':'m','messages':[]}", "openai-chat", NULL },
	{ NULL, NULL, false, "{'model':'m','messages':[],'max_tokens':9,'temperature':0.7}",
	  "openai-chat", NULL },
	{ NULL, NULL, true, "{'model':'m','messages':[],'max_tokens':9}", "anthropic-messages",
	  NULL },
	{ NULL, NULL, false, "{'model':'m','input':'x'}", "openai-responses", NULL },
	{ NULL, NULL, false, "{'model':'m','prompt':{'id':'p'}}", "openai-responses", NULL },
	{ NULL, NULL, false, "{'model':'m','input':[],'prompt':{'id':'p'}}", "openai-responses",
	  NULL },
	{ NULL, NULL, false, "{'model':'m','prompt':'x'}", "openai-completions", NULL },
	{ NULL, NULL, false, "{'model':'m','contents':[]}", "gemini", NULL },
	{ NULL, NULL, false, "{'model':'m'}", NULL, "none of `messages`, `input`, `prompt`" },
	{ NULL, NULL, false, "{'messages':null}", NULL, "none of" },
	{ NULL, NULL, false, "{'messages':[],'input':'x'}", NULL, "both `messages` and `input`" },
	{ NULL, NULL, false, "{'messages':[],'input':null}", "openai-chat", NULL },
	{ NULL, NULL, false, "{'prompt':'x','contents':[]}", NULL, "both `prompt` and `contents`" },
	{ NULL, NULL, false, "{'input':'x','encoding_format':'float'}", NULL, "/v1/embeddings" },
	{ NULL, NULL, false, "{'input':'x','dimensions':8}", NULL, "`dimensions`" },
	{ NULL, NULL, false, "{'contents':[]}", NULL, "`model` is missing" },
	{ NULL, NULL, false, "{'model':'m','contents':[],'stream':1}", NULL, "`stream` must be" },
	{ NULL, NULL, false, "[]", NULL, "not valid JSON" },
	{ NULL, NULL, false, "{'messages':[],'messages':[]}", NULL, "stands twice" },
	/* by what is inside */
	{ NULL, NULL, false, "{'messages':[],'tools':[{'name':'f','input_schema':{}}]}",
	  "anthropic-messages", NULL },
	{ NULL, NULL, false,
	  "{'messages':[],'tools':[{'type':'function','function':{'name':'f'}}]}", "openai-chat",
	  NULL },
	{ NULL, NULL, false,
	  "{'messages':[{'role':'user','content':[{'type':'tool_result','tool_use_id':'t'}]}]}",
	  "anthropic-messages", NULL },
	{ NULL, NULL, false,
	  "{'messages':[{'role':'user','content':[{'type':'image','source':{'type':'url'}}]}]}",
	  "anthropic-messages", NULL },
	{ NULL, NULL, false,
	  "{'messages':[{'role':'user','content':[{'type':'text','text':'tool_use'}]}]}",
	  "openai-chat", NULL },
	/* a mark outweighs the inside and the field */
	{ NULL, NULL, true, "{'messages':[],'response_format':{}}", "openai-chat", NULL },
	{ NULL, NULL, false, "{'messages':[],'system':null}", "openai-chat", NULL },
	{ NULL, NULL, false, "{'messages':[],'system':'s','stop':'x'}", NULL,
	  "`system`, which makes it anthropic-messages, and `stop`, which makes it openai-chat" },
	{ NULL, NULL, false, "{'prompt':'x','options':{},'max_tokens':1}", NULL,
	  "ollama-generate" },
	/* x-lals-provider */
	{ "openai", NULL, false, "{'messages':[],'system':'s'}", "openai-chat", NULL },
	{ "OpenAI", NULL, true, "{'input':'x'}", "openai-responses", NULL },
	{ "openai", NULL, false, "{'prompt':'x'}", "openai-completions", NULL },
	{ "openai", NULL, false, "{'contents':[]}", NULL, "no dialect with `contents`" },
	{ "anthropic", NULL, false, "{'messages':[],'stop':'x'}", "anthropic-messages", NULL },
	{ "anthropic", NULL, false, "{'input':'x'}", NULL, "no dialect with `input`" },
	{ "anthropic", NULL, false, "{'prompt':'x'}", "anthropic-complete", NULL },
	{ NULL, NULL, false, "{'prompt':'x','max_tokens_to_sample':1}", "anthropic-complete",
	  NULL },
	{ "anthropic", NULL, false, "{}", NULL, "none of" },
	{ "google", NULL, false, "{'contents':[]}", NULL, "may be `openai` or `anthropic`" },
	/* x-llm-gateway-protocol */
	{ NULL, "gemini", false, "{'model':'m','messages':[]}", "gemini", NULL },
	{ NULL, "ollama-chat", true, "{'messages':[],'system':'s','stop':'x'}", "ollama-chat",
	  NULL },
	{ NULL, "openai", false, "{'messages':[]}", NULL, "no protocol spoken here" },
	{ NULL, "openai-chat", false, "{", NULL, "not valid JSON" },
	{ "anthropic", "anthropic-messages", false, "{'messages':[]}", "anthropic-messages", NULL },
	{ "anthropic", "openai-chat", false, "{'messages':[]}", NULL, "says openai-chat" },
};

static void every_row_of_the_rule(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct arena *a = arena_new(1 << 20);
		struct detect_ask ask = { .lals_provider = str_from(rows[i].lals),
					  .protocol = str_from(rows[i].protocol),
					  .anthropic_version = rows[i].anthropic_version };
		struct detected d;
		struct err e;
		int rc = detect(a, ask, rows[i].body, &d, &e);

		if (rc == RC_OK && !rows[i].is)
			fail_msg("row %zu, %s: %s", i, rows[i].body, d.protocol->name);
		if (rc != RC_OK && rows[i].is)
			fail_msg("row %zu, %s: %s", i, rows[i].body, e.msg);
		if (rc == RC_OK)
			assert_string_equal(d.protocol->name, rows[i].is);
		else if (!strstr(e.msg, rows[i].says))
			fail_msg("row %zu, %s: %s", i, rows[i].body, e.msg);
		arena_free(a);
	}
}

/* --- all of detect.def --- */

#define MESSAGES "messages"
#define PROMPT "prompt"
static const struct {
	const char *in, *name, *protocol;
} marks[] = {
#define X(in, name, protocol) { in, name, protocol },
#include "protocols/detect.def"
#undef X
};

enum { N_MARKS = sizeof(marks) / sizeof(*marks) };

static void check_pair(unsigned i, unsigned k)
{
	const struct detect_ask ask = { .body = STR_NONE };
	struct arena *a = arena_new(1 << 20);
	struct detected d;
	struct err e;
	char body[256];
	int rc;

	(void)snprintf(body, sizeof(body),
		       i == k ? "{'model':'m','%s':[],'%s':1}"
			      : "{'model':'m','%s':[],'%s':1,'%s':1}",
		       marks[i].in, marks[i].name, marks[k].name);
	rc = detect(a, ask, body, &d, &e);
	if (strcmp(marks[i].protocol, marks[k].protocol) == 0) {
		assert_int_equal(rc, RC_OK);
		assert_string_equal(d.protocol->name, marks[i].protocol);
	} else if (rc != RC_INVALID || !strstr(e.msg, marks[i].name) ||
		   !strstr(e.msg, marks[k].name)) {
		fail_msg("%s: %d %s", body, rc, e.msg);
	}
	arena_free(a);
}

static void every_mark_speaks_for_its_dialect_and_none_for_two(void **state)
{
	for (unsigned i = 0; i < N_MARKS; i++) {
		assert_non_null(protocol_find(str_from(marks[i].protocol)));
		for (unsigned k = 0; k < N_MARKS; k++)
			if (strcmp(marks[i].in, marks[k].in) == 0 &&
			    (i == k || strcmp(marks[i].name, marks[k].name) != 0))
				check_pair(i, k);
	}
}

static void the_documentation_names_every_mark(void **state)
{
	FILE *f = fopen(TESTS_DIR "/../docs/universal.md", "r");
	char text[32768], quoted[64];

	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	(void)fclose(f);
	for (unsigned i = 0; i < N_MARKS; i++) {
		(void)snprintf(quoted, sizeof(quoted), "`%s`", marks[i].name);
		if (!strstr(text, quoted))
			fail_msg("docs/universal.md does not name %s", quoted);
	}
}

/* --- what becomes of the body --- */

static void geminis_model_and_stream_leave_the_body(void **state)
{
	const struct detect_ask ask = { .body = STR_NONE };
	struct arena *a = arena_new(1 << 20);
	struct request_peek peek;
	struct detected d;
	struct err e;

	assert_int_equal(
		detect(a, ask, "{'stream':true,'contents':[1],'model':'g\\u0031'}", &d, &e), RC_OK);
	CHECK_STR_IS(d.body, quotes(a, "{'contents':[1]}"));
	assert_int_equal(d.protocol->peek(a, &d.line, d.body, &peek, &e), RC_OK);
	CHECK_STR(peek.model, "g1");
	assert_true(peek.stream && peek.framing == FRAMING_SSE);
	assert_int_equal(detect(a, ask, "{'contents':[1],'model':'g','stream':false}", &d, &e),
			 RC_OK);
	CHECK_STR_IS(d.body, quotes(a, "{'contents':[1]}"));
	assert_int_equal(d.protocol->peek(a, &d.line, d.body, &peek, &e), RC_OK);
	assert_true(!peek.stream);
	arena_free(a);
}

static void a_chat_with_input_and_no_messages_is_responses(void **state)
{
	static const struct {
		const char *body;
		bool is;
	} chats[] = {
		{ "{'model':'m','input':'x'}", true },
		{ "{'model':'m','in\\u0070ut':'x'}", true },
		{ "{'model':'m','input':'x','messages':null}", true },
		{ "{'model':'m','input':'x','messages':[]}", false },
		{ "{'model':'m','input':null}", false },
		{ "{'model':'m','messages':[],'tools':[{'input':1}]}", false },
		{ "{'model':'m','system':'s'}", false },
	};
	struct arena *a = arena_new(1 << 20);
	struct request_peek p;
	struct err e = { 0 };

	for (size_t i = 0; i < sizeof(chats) / sizeof(*chats); i++) {
		assert_int_equal(protocol_openai_chat.peek(a, &request_line_plain,
							   quotes(a, chats[i].body), &p, &e),
				 RC_OK);
		assert_int_equal(p.asks_input, chats[i].is);
	}
	arena_free(a);
}

static void it_says_no_in_the_words_of_who_asks(void **state)
{
	assert_ptr_equal(detect_speaker(STR_NONE, STR_NONE, false), &protocol_openai_chat);
	assert_ptr_equal(detect_speaker(STR_NONE, STR_NONE, true), &protocol_anthropic_messages);
	assert_ptr_equal(detect_speaker(STR("anthropic"), STR_NONE, false),
			 &protocol_anthropic_messages);
	assert_ptr_equal(detect_speaker(STR("openai"), STR_NONE, true), &protocol_openai_chat);
	assert_ptr_equal(detect_speaker(STR_NONE, STR("gemini"), true), &protocol_gemini);
	assert_ptr_equal(detect_speaker(STR_NONE, STR("nonsense"), false), &protocol_openai_chat);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_the_rule),
		cmocka_unit_test(every_mark_speaks_for_its_dialect_and_none_for_two),
		cmocka_unit_test(the_documentation_names_every_mark),
		cmocka_unit_test(geminis_model_and_stream_leave_the_body),
		cmocka_unit_test(a_chat_with_input_and_no_messages_is_responses),
		cmocka_unit_test(it_says_no_in_the_words_of_who_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
