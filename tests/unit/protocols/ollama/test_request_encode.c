/* Mirrors src/protocols/ollama/request_encode.c and request_turns.c: each row is a request of some client's, the body an
 * Ollama server gets, and what is named as dropped; or why it is refused. */
#include "check.h"

#include "protocols/protocol.h"

struct row {
	const char *from; /* protocol */
	const char *request, *body, *dropped;
	const char *refused; /* part of the message; then no body */
};

#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"
#define OUT "{\"model\":\"up\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"
#define TOOLS                                                                                      \
	"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}},{\"type\":\"function\"," \
	"\"function\":{\"name\":\"g\"}}]"
#define F                                                                                          \
	"{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"," \
	"\"properties\":{}}}}"
#define G                                                                                          \
	"{\"type\":\"function\",\"function\":{\"name\":\"g\",\"parameters\":{\"type\":\"object\"," \
	"\"properties\":{}}}}"

static const struct row rows[] = {
	{ "openai-chat", "{\"model\":\"m\"," HI "}", OUT ",\"stream\":false}", NULL, NULL },
	/* traps 66, 71, 90 */
	{ "openai-chat",
	  "{\"model\":\"m\"," HI ",\"stream\":true,\"max_completion_tokens\":5,\"temperature\":0."
	  "70,\"stop\":\"a\",\"top_k\":3,"
	  "\"seed\":9007199254740993,\"top_p\":1,\"frequency_penalty\":1,\"presence_penalty\":2}",
	  OUT ",\"options\":{\"temperature\":0.70,\"top_p\":1,\"top_k\":3,\"num_predict\":5,"
	      "\"stop\":[\"a\"],"
	      "\"seed\":9007199254740993,\"frequency_penalty\":1,\"presence_penalty\":2},"
	      "\"stream\":true}",
	  NULL, NULL },
	/* trap 80 */
	{ "openai-chat", "{\"model\":\"m\"," HI "," TOOLS "}",
	  OUT ",\"tools\":[" F "," G "],\"stream\":false}", NULL, NULL },
	/* trap 75 */
	{ "openai-chat", "{\"model\":\"m\"," HI "," TOOLS ",\"tool_choice\":\"none\"}",
	  OUT ",\"stream\":false}", NULL, NULL },
	{ "openai-chat", "{\"model\":\"m\"," HI "," TOOLS ",\"tool_choice\":\"required\"}",
	  OUT ",\"tools\":[" F "," G "],\"stream\":false}", "tool_choice", NULL },
	{ "openai-chat",
	  "{\"model\":\"m\"," HI "," TOOLS
	  ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}}",
	  OUT ",\"tools\":[" G "],\"stream\":false}", "tool_choice", NULL },
	{ "openai-chat",
	  "{\"model\":\"m\"," HI "," TOOLS
	  ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"h\"}}}",
	  NULL, NULL, "none of the tools" },
	/* trap 76 */
	{ "openai-chat",
	  "{\"model\":\"m\"," HI "," TOOLS ",\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_"
	  "tools\":{\"mode\":\"auto\",\"tools\":["
	  "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}}}",
	  OUT ",\"tools\":[" F "],\"stream\":false}", NULL, NULL },
	/* trap 84 */
	{ "openai-chat", "{\"model\":\"m\"," HI ",\"reasoning_effort\":\"minimal\"}",
	  OUT ",\"think\":\"low\",\"stream\":false}", NULL, NULL },
	{ "openai-chat", "{\"model\":\"m\"," HI ",\"reasoning_effort\":\"xhigh\"}",
	  OUT ",\"think\":\"max\",\"stream\":false}", NULL, NULL },
	{ "openai-chat", "{\"model\":\"m\"," HI ",\"reasoning_effort\":\"none\"}",
	  OUT ",\"think\":false,\"stream\":false}", NULL, NULL },
	{ "anthropic-messages",
	  "{\"model\":\"m\",\"max_tokens\":9000," HI
	  ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":8000}}",
	  OUT ",\"think\":\"medium\",\"options\":{\"num_predict\":9000},\"stream\":false}", NULL,
	  NULL },
	/* trap 81 */
	{ "openai-chat",
	  "{\"model\":\"m\"," HI ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{"
	  "\"name\":\"n\",\"schema\":{\"type\":\"object\"}}}}",
	  OUT ",\"format\":{\"type\":\"object\"},\"stream\":false}", NULL, NULL },
	{ "openai-chat", "{\"model\":\"m\"," HI ",\"response_format\":{\"type\":\"json_object\"}}",
	  OUT ",\"format\":\"json\",\"stream\":false}", NULL, NULL },
	/* trap 52 */
	{ "openai-chat",
	  "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
	  "\"text\":\"a\"},"
	  "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
	  "png;base64,AAAA\",\"detail\":\"low\"}}]}]}",
	  "{\"model\":\"up\",\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"images\":["
	  "\"AAAA\"]}],\"stream\":false}",
	  "image_url.detail", NULL },
	{ "openai-chat",
	  "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
	  "\"image_url\":"
	  "{\"url\":\"https://x/a.png\"}}]}]}",
	  NULL, NULL, "not by URL" },
	{ "openai-chat",
	  "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_"
	  "audio\",\"input_audio\":"
	  "{\"data\":\"AAAA\",\"format\":\"wav\"}}]}]}",
	  NULL, NULL, "audio" },
	{ "anthropic-messages",
	  "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":[{"
	  "\"type\":\"document\","
	  "\"title\":\"t\",\"source\":{\"type\":\"text\",\"media_type\":\"text/"
	  "plain\",\"data\":\"words\"}}]}]}",
	  "{\"model\":\"up\",\"messages\":[{\"role\":\"user\",\"content\":\"t\\n\\nwords\"}],"
	  "\"options\":{\"num_predict\":5},\"stream\":false}",
	  NULL, NULL },
	/* traps 35, 36 */
	{ "openai-chat",
	  "{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":\"a\"},{\"role\":"
	  "\"user\",\"content\":\"b\"}]}",
	  "{\"model\":\"up\",\"messages\":[{\"role\":\"system\",\"content\":\"a\"},{\"role\":"
	  "\"user\",\"content\":\"b\"}],"
	  "\"stream\":false}",
	  NULL, NULL },
	/* traps 39, 41, 59, 60, 62 */
	{ "anthropic-messages",
	  "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{"
	  "\"role\":\"assistant\","
	  "\"content\":[{\"type\":\"thinking\",\"thinking\":\"Hm\",\"signature\":\"s\"},{\"type\":"
	  "\"text\",\"text\":\"I look\"},"
	  "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{\"n\":9007199254740993}}]"
	  "},{\"role\":\"user\","
	  "\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\"content\":\"R\",\"is_"
	  "error\":true},"
	  "{\"type\":\"text\",\"text\":\"go on\"}]}]}",
	  "{\"model\":\"up\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":"
	  "\"assistant\",\"content\":\"I look\","
	  "\"thinking\":\"Hm\",\"tool_calls\":[{\"id\":\"t1\",\"function\":{\"index\":0,\"name\":"
	  "\"f\",\"arguments\":"
	  "{\"n\":9007199254740993}}}]},{\"role\":\"tool\",\"content\":\"R\",\"tool_name\":\"f\","
	  "\"tool_call_id\":\"t1\"},"
	  "{\"role\":\"user\",\"content\":\"go "
	  "on\"}],\"options\":{\"num_predict\":5},\"stream\":false}",
	  "reasoning_content, is_error", NULL },
	{ "openai-chat",
	  "{\"model\":\"m\"," HI ",\"logprobs\":true,\"top_logprobs\":2,\"n\":1,\"store\":false,"
	  "\"modalities\":[\"text\"]}",
	  OUT ",\"logprobs\":true,\"top_logprobs\":2,\"stream\":false}", NULL, NULL },
	/* trap 32 */
	{ "openai-chat", "{\"model\":\"m\"," HI ",\"n\":2}", NULL, NULL, "n = 1" },
	{ "anthropic-messages", "{\"model\":\"m\",\"max_tokens\":0," HI "}", NULL, NULL,
	  "more than 0" },
	/* trap 91 */
	{ "openai-chat", "{\"model\":\"m\"," HI ",\"brand_new\":1}", OUT ",\"stream\":false}",
	  "brand_new", NULL },
	{ "ollama-chat",
	  "{\"model\":\"m\"," HI ",\"options\":{\"num_ctx\":7,\"temperature\":1.0},\"keep_alive\":-"
	  "1,\"think\":true,\"brand_new\":[1]}",
	  OUT ",\"think\":true,\"options\":{\"temperature\":1.0,\"num_ctx\":7},\"stream\":true,"
	      "\"keep_alive\":-1,\"brand_new\":[1]}",
	  NULL, NULL },
	{ "ollama-generate",
	  "{\"model\":\"m\",\"prompt\":\"Hi\",\"raw\":true,\"suffix\":\"e\",\"keep_alive\":3}",
	  OUT ",\"stream\":true,\"keep_alive\":3}", "suffix, raw", NULL },
};

static const struct row prompts[] = {
	{ "ollama-generate",
	  "{\"model\":\"m\",\"prompt\":\"Hi\",\"system\":\"s\",\"raw\":true,\"suffix\":\"e\","
	  "\"images\":[\"AAAA\"],\"context\":[1]}",
	  "{\"model\":\"up\",\"system\":\"s\",\"prompt\":\"Hi\",\"images\":[\"AAAA\"],\"suffix\":"
	  "\"e\",\"stream\":true,"
	  "\"raw\":true,\"context\":[1]}",
	  NULL, NULL },
	{ "openai-chat", "{\"model\":\"m\"," HI "," TOOLS "}",
	  "{\"model\":\"up\",\"prompt\":\"Hi\",\"stream\":false}", "tools", NULL },
	{ "openai-chat", "{\"model\":\"m\"," HI "," TOOLS ",\"tool_choice\":\"required\"}", NULL,
	  NULL, "no tools" },
	{ "openai-chat",
	  "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":"
	  "\"assistant\",\"content\":\"b\"}]}",
	  NULL, NULL, "several turns" },
};

static void check(const struct protocol *to, const struct row *row)
{
	struct arena *a = arena_new(64 << 20);
	struct request_target t = { .model = STR("up"),
				    .default_max_tokens = 100,
				    .budget = { 0, 0, 1024, 2048, 8192, 16384, 32768, 65536 } };
	struct ir_request *r;
	struct ir_losses losses;
	struct err e = { 0 };
	struct buf out;
	int rc = protocol_find(str_from(row->from))
			 ->decode_request(a, &request_line_plain, str_from(row->request), &r, &e);

	if (rc)
		fail_msg("%s: %s", row->request, e.msg);
	ir_losses_init(&losses, a);
	buf_init(&out, 1 << 20);
	rc = to->encode_request(a, r, &t, &out, &losses, &e);
	if (row->refused) {
		if (rc != RC_UNSUPPORTED || str_find(str_from(e.msg), str_from(row->refused)) < 0)
			fail_msg("%s: %d %s", row->request, rc, e.msg);
	} else {
		if (rc || !str_eq(buf_str(&out), str_from(row->body)))
			fail_msg("%s\ngot:  %d %.*s\nwant: %s", row->request, rc,
				 STR_ARG(buf_str(&out)), row->body);
		if (!str_eq(ir_losses_text(&losses), str_from(row->dropped)))
			fail_msg("%s\ndropped %.*s, not %s", row->request,
				 STR_ARG(ir_losses_text(&losses)), row->dropped);
	}
	buf_done(&out);
	arena_free(a);
}

static void towards_chat(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		check(&protocol_ollama_chat, &rows[i]);
}

static void towards_generate(void **state)
{
	for (size_t i = 0; i < sizeof(prompts) / sizeof(*prompts); i++)
		check(&protocol_ollama_generate, &prompts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(towards_chat),
		cmocka_unit_test(towards_generate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
