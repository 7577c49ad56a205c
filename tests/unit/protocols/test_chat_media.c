/* tests/unit/protocols/test_chat_media.c - what a Chat client says beside words, towards every protocol that could take it.
 * Rule: recordings and files go where there is a place for them and are refused elsewhere, never left out; predicted outputs
 * pass between OpenAI's own and are named elsewhere. */
#include "check.h"
#include "quotes.h"
#include "tape.h"

#define ASK(part)                                                                                  \
	"{'model':'m','messages':[{'role':'user','content':[{'type':'text','text':'x'}," part "]}" \
	"]}"
#define AUDIO ASK("{'type':'input_audio','input_audio':{'data':'UklGRg==','format':'mp3'}}")
#define PDF                                                                                       \
	ASK("{'type':'file','file':{'filename':'a.pdf','file_data':'data:application/pdf;base64," \
	    "JVBERi0='}}")
#define STORED ASK("{'type':'file','file':{'file_id':'file-1'}}")
#define PREDICTED                                                                        \
	"{'model':'m','messages':[{'role':'user','content':'x'}],'prediction':{'type':'" \
	"content','content':'int main'}}"

static const struct {
	const char *body;
	const struct protocol *to;
	const char *holds;  /* in what goes up; NULL: it is refused */
	const char *misses; /* named as lost; NULL: nothing is */
} rows[] = {
	{ AUDIO, &protocol_openai_chat,
	  "{'type':'input_audio','input_audio':{'data':'UklGRg==','format':'mp3'}}", NULL },
	{ AUDIO, &protocol_gemini, "{'inlineData':{'mimeType':'audio/mp3','data':'UklGRg=='}}",
	  NULL },
	{ AUDIO, &protocol_openai_responses, NULL, NULL },
	{ AUDIO, &protocol_anthropic_messages, NULL, NULL },
	{ AUDIO, &protocol_anthropic_complete, NULL, NULL },
	{ AUDIO, &protocol_openai_completions, NULL, NULL },
	{ AUDIO, &protocol_ollama_chat, NULL, NULL },
	{ PDF, &protocol_openai_chat,
	  "{'type':'file','file':{'filename':'a.pdf','file_data':'data:application/"
	  "pdf;base64,JVBERi0='}}",
	  NULL },
	{ PDF, &protocol_openai_responses,
	  "{'type':'input_file','filename':'a.pdf','file_data':'data:application/"
	  "pdf;base64,JVBERi0='}",
	  NULL },
	{ PDF, &protocol_gemini, "'mimeType':'application/pdf','data':'JVBERi0='", "filename" },
	{ PDF, &protocol_anthropic_messages, "'media_type':'application/pdf','data':'JVBERi0='",
	  NULL },
	{ PDF, &protocol_anthropic_complete, NULL, NULL },
	{ PDF, &protocol_openai_completions, NULL, NULL },
	{ PDF, &protocol_ollama_chat, NULL, NULL },
	{ STORED, &protocol_openai_chat, "{'type':'file','file':{'file_id':'file-1'}}", NULL },
	{ STORED, &protocol_openai_responses, "{'type':'input_file','file_id':'file-1'}", NULL },
	{ STORED, &protocol_gemini, NULL, NULL },
	{ STORED, &protocol_anthropic_messages, NULL, NULL },
	{ PREDICTED, &protocol_openai_chat, "'prediction':{'type':'content','content':'int main'}",
	  NULL },
	{ PREDICTED, &protocol_openai_responses, "'x'", "prediction" },
	{ PREDICTED, &protocol_gemini, "'x'", "prediction" },
	{ PREDICTED, &protocol_anthropic_messages, "'x'", "prediction" },
	{ PREDICTED, &protocol_anthropic_complete, "x", "prediction" },
	{ PREDICTED, &protocol_openai_completions, "'x'", "prediction" },
	{ PREDICTED, &protocol_ollama_chat, "'x'", "prediction" },
};

static void trap_054_what_is_no_text_is_placed_or_refused(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct arena *a = arena_new(1 << 20);
		struct request_target t = { .model = STR("m"), .default_max_tokens = 4096 };
		struct ir_losses losses;
		struct ir_request *r;
		struct err e = { 0 };
		struct buf b;
		int rc;

		ir_losses_init(&losses, a);
		buf_init(&b, 1 << 20);
		assert_int_equal(protocol_openai_chat.decode_request(
					 a, &request_line_plain, quotes(a, rows[i].body), &r, &e),
				 RC_OK);
		rc = rows[i].to->encode_request(a, r, &t, &b, &losses, &e);
		if (rc != (rows[i].holds ? RC_OK : RC_UNSUPPORTED))
			fail_msg("row %zu, %s: %d %s", i, rows[i].to->name, rc, e.msg);
		if (!rc && str_find(buf_str(&b), quotes(a, rows[i].holds)) < 0)
			fail_msg("row %zu, %s: %.*s", i, rows[i].to->name, STR_ARG(buf_str(&b)));
		if (rows[i].misses)
			CHECK_STR_IS(ir_losses_text(&losses), str_from(rows[i].misses));
		else
			assert_int_equal(losses.n, 0);
		buf_done(&b);
		arena_free(a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_054_what_is_no_text_is_placed_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
