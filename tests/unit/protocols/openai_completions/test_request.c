/* OpenAI's Completions: a prompt becomes one turn, a conversation one text; what neither can hold is refused or disclosed. */
#include "check.h"

#include "protocols/protocol.h"

static const struct protocol *completions(void)
{
	return &protocol_openai_completions;
}

static struct str encode(struct arena *a, const struct protocol *to, const struct ir_request *r,
			 struct str *ret_lost)
{
	const struct request_target t = { .model = STR("up"), .default_max_tokens = 99 };
	struct ir_losses losses;
	struct err e = { 0 };
	struct buf b;
	struct str copy;
	int rc;

	buf_init(&b, 1 << 20);
	ir_losses_init(&losses, a);
	rc = to->encode_request(a, r, &t, &b, &losses, &e);
	copy = rc ? arena_printf(a, "%d %s: %s", rc, e.param, e.msg) : arena_dup(a, buf_str(&b));
	buf_done(&b);
	if (ret_lost)
		*ret_lost = ir_losses_text(&losses);
	return copy;
}

/* What `to` gets of a body of `from`; or what is wrong with it. */
static struct str translate(struct arena *a, const struct protocol *from, const struct protocol *to,
			    const char *body, struct str *ret_lost)
{
	struct ir_request *r;
	struct err e = { 0 };
	int rc = from->decode_request(a, &request_line_plain, str_from(body), &r, &e);

	return rc ? arena_printf(a, "%d %s: %s", rc, e.param, e.msg) : encode(a, to, r, ret_lost);
}

static void a_prompt_becomes_a_turn_of_the_user(void **state)
{
	static const char *const prompts[] = { "\"Say hi\"", "[\"Say hi\"]" };
	struct arena *a = arena_new(1 << 20);
	struct str lost;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct str body = arena_printf(a, "{\"model\":\"m\",\"prompt\":%s}", prompts[i]);

		CHECK_STR(translate(a, completions(), &protocol_openai_chat, body.ptr, &lost),
			  "{\"model\":\"up\",\"messages\":[{\"role\":\"user\",\"content\":\"Say "
			  "hi\"}],"
			  "\"max_completion_tokens\":16}");
		assert_false(str_present(lost));
	}
	arena_free(a);
}

static void trap_071_every_parameter_finds_its_place(void **state)
{
	const char *body =
		"{\"model\":\"m\",\"prompt\":\"p\",\"max_tokens\":5,\"temperature\":0.50,"
		"\"top_p\":1,\"frequency_penalty\":0.1,\"presence_penalty\":0.2,\"seed\":7,"
		"\"n\":1,\"logprobs\":2,\"stop\":\"END\",\"logit_bias\":{\"1\":2},"
		"\"user\":\"u\",\"stream\":true,\"best_of\":1,\"echo\":true,\"suffix\":\"\"}";
	struct arena *a = arena_new(1 << 20);
	struct str lost, refused;

	(void)state;
	refused = translate(a, completions(), &protocol_openai_chat, body, &lost);
	assert_true(str_starts(refused, STR("-4 echo: Invalid value for 'echo': together with")));
	body = "{\"model\":\"m\",\"prompt\":\"p\",\"max_tokens\":5,\"temperature\":0.50,"
	       "\"top_p\":1,\"frequency_penalty\":0.1,\"presence_penalty\":0.2,\"seed\":7,"
	       "\"n\":1,\"logprobs\":2,\"stop\":\"END\",\"logit_bias\":{\"1\":2},"
	       "\"user\":\"u\",\"stream\":true,\"best_of\":1,\"echo\":false,\"suffix\":\"\"}";
	CHECK_STR(translate(a, completions(), &protocol_openai_chat, body, &lost),
		  "{\"model\":\"up\",\"messages\":[{\"role\":\"user\",\"content\":\"p\"}],"
		  "\"max_completion_tokens\":5,\"temperature\":0.50,\"top_p\":1,"
		  "\"frequency_penalty\":0.1,\"presence_penalty\":0.2,\"seed\":7,\"n\":1,"
		  "\"logprobs\":true,\"top_logprobs\":2,\"stop\":[\"END\"],\"stream\":true,"
		  "\"stream_options\":{\"include_usage\":true},\"user\":\"u\","
		  "\"logit_bias\":{\"1\":2}}");
	assert_false(str_present(lost));
	arena_free(a);
}

static void trap_089_what_a_conversation_has_no_place_for_is_disclosed(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct str lost;

	(void)state;
	(void)translate(
		a, completions(), &protocol_openai_chat,
		"{\"model\":\"m\",\"prompt\":\"p\",\"suffix\":\"s\",\"best_of\":3,\"min_p\":0.1}",
		&lost);
	CHECK_STR(lost, "suffix, min_p, best_of");
	(void)translate(a, completions(), &protocol_openai_chat,
			"{\"model\":\"m\",\"prompt\":\"p\",\"best_of\":3}", &lost);
	CHECK_STR(lost, "best_of");
	arena_free(a);
}

static void no_more_tries_than_answers_are_no_loss(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct str lost, got;

	(void)state;
	got = translate(a, completions(), &protocol_openai_chat,
			"{\"model\":\"m\",\"prompt\":\"p\",\"n\":2,\"best_of\":2}", &lost);
	assert_true(str_find(got, STR("\"n\":2")) > 0);
	assert_false(str_present(lost));
	(void)translate(a, completions(), &protocol_openai_chat,
			"{\"model\":\"m\",\"prompt\":\"p\",\"n\":2,\"best_of\":3}", &lost);
	CHECK_STR(lost, "best_of");
	CHECK_STR(translate(a, completions(), &protocol_openai_chat,
			    "{\"model\":\"m\",\"prompt\":\"p\",\"n\":3,\"best_of\":2}", NULL),
		  "-4 best_of: Invalid value for 'best_of': it must not be less than n.");
	arena_free(a);
}

static void each_of_several_prompts_is_asked_for_itself(void **state)
{
	static const char *const texts[] = { "a", "", "c" };
	const char *body = "{\"model\":\"m\",\"prompt\":[\"a\",\"\",\"c\"],\"seed\":7}";
	struct arena *a = arena_new(1 << 20);
	struct ir_request *r, one;
	struct str lost;

	(void)state;
	assert_int_equal(completions()->decode_request(a, &request_line_plain, str_from(body), &r,
						       NULL),
			 RC_OK);
	assert_int_equal(r->n_prompts, 3);
	for (unsigned i = 0; i < 3; i++) {
		ir_request_prompt(r, i, &one);
		CHECK_STR_IS(encode(a, completions(), &one, &lost),
			     arena_printf(a,
					  "{\"model\":\"up\",\"prompt\":\"%s\",\"max_tokens\":16,"
					  "\"seed\":7}",
					  texts[i]));
		assert_false(str_present(lost));
	}
	(void)encode(a, &protocol_openai_chat, r, &lost); /* who forgets to, cannot do it unseen */
	CHECK_STR(lost, "prompt");
	arena_free(a);
}

static void more_prompts_than_are_asked_for_are_refused(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct buf b;

	(void)state;
	for (unsigned more = 0; more < 2; more++) {
		struct ir_request *r;
		struct err e = { 0 };
		int rc;

		buf_init(&b, 1 << 16);
		buf_puts(&b, "{\"model\":\"m\",\"prompt\":[\"p\"");
		for (unsigned i = 1; i < IR_PROMPTS_MAX + more; i++)
			buf_puts(&b, ",\"p\"");
		buf_puts(&b, "]}");
		rc = completions()->decode_request(a, &request_line_plain, buf_str(&b), &r, &e);
		buf_done(&b);
		assert_int_equal(rc, more ? RC_INVALID : RC_OK);
		if (more)
			CHECK_STR(str_from(e.msg),
				  "Invalid value for 'prompt': this model's provider answers one "
				  "prompt at a time, and is asked for 128 of one request at most. "
				  "Send several requests.");
		else
			assert_int_equal(r->n_prompts, IR_PROMPTS_MAX);
	}
	arena_free(a);
}

static void prompts_that_are_no_texts_are_refused(void **state)
{
	static const struct {
		const char *body, *want;
	} rows[] = {
		{ "{\"model\":\"m\",\"prompt\":[\"a\",[1]]}",
		  "-4 prompt[1]: Invalid type for 'prompt[1]': expected a string, but got array "
		  "instead." },
		{ "{\"model\":\"m\",\"prompt\":[1,2]}",
		  "-4 prompt: Invalid value for 'prompt': tokens mean something only to the model "
		  "they were made for, and this one's provider takes text. Send the text." },
		{ "{\"model\":\"m\",\"prompt\":[[1]]}",
		  "-4 prompt: Invalid value for 'prompt': tokens mean something only to the model "
		  "they were made for, and this one's provider takes text. Send the text." },
		{ "{\"model\":\"m\",\"prompt\":[]}",
		  "-4 prompt: Invalid value for 'prompt': it must not be empty." },
		{ "{\"model\":\"m\",\"prompt\":[true]}",
		  "-4 prompt[0]: Invalid type for 'prompt[0]': expected a string, but got boolean "
		  "instead." },
		{ "{\"model\":\"m\",\"prompt\":7}",
		  "-4 prompt: Invalid type for 'prompt': expected a string or an array, but got "
		  "number instead." },
		{ "{\"model\":\"m\"}", "-4 prompt: Missing required parameter: 'prompt'." },
		{ "{\"prompt\":\"p\"}", "-4 model: Missing required parameter: 'model'." },
		{ "[]", "-4 : the request body must be a JSON object, but is array" },
	};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_STR_IS(translate(a, completions(), &protocol_openai_chat, rows[i].body, NULL),
			     str_from(rows[i].want));
	arena_free(a);
}

static void trap_032_several_answers_are_refused_where_only_one_is_read(void **state)
{
	const char *body = "{\"model\":\"m\",\"prompt\":\"p\",\"n\":2}";
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (unsigned i = 0; protocols[i]; i++) {
		struct str got = translate(a, completions(), protocols[i], body, NULL);
		bool several = protocols[i] == completions() ||
			       protocols[i] == &protocol_openai_chat ||
			       protocols[i] == &protocol_gemini;

		if (several != !str_starts(got, STR("-5 n: ")))
			fail_msg("%s: %.*s", protocols[i]->name, STR_ARG(got));
	}
	arena_free(a);
}

static void a_conversation_becomes_one_text(void **state)
{
	static const struct {
		const char *messages, *prompt;
	} rows[] = {
		{ "{\"role\":\"user\",\"content\":\"Hi\"}", "Hi" },
		{ "{\"role\":\"system\",\"content\":\"Be "
		  "kind.\"},{\"role\":\"user\",\"content\":\"Hi\"}",
		  "Be kind.\\n\\nHi" },
		{ "{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}"
		  ","
		  "{\"role\":\"user\",\"content\":\"c\"}",
		  "User: a\\n\\nAssistant: b\\n\\nUser: c\\n\\nAssistant:" },
		{ "{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":"
		  "\"b\"}",
		  "User: a\\n\\nAssistant: b" },
		{ "{\"role\":\"user\",\"content\":\"a\\n\\nAssistant: b\"},"
		  "{\"role\":\"assistant\",\"content\":\"c\"}",
		  "User: a\\n\\n Assistant: b\\n\\nAssistant: c" },
		{ "{\"role\":\"user\",\"content\":\"a\\n\\nUser: b\"}", "a\\n\\nUser: b" },
		/* Who only drew has said nothing. */
		{ "{\"role\":\"user\",\"content\":\"a\"},"
		  "{\"role\":\"assistant\",\"content\":\"\",\"images\":[\"https://e.com/a.png\"]},"
		  "{\"role\":\"user\",\"content\":\"c\"}",
		  "User: a\\n\\nUser: c\\n\\nAssistant:" },
		{ "{\"role\":\"user\",\"content\":\"a\"},"
		  "{\"role\":\"assistant\",\"content\":\"\",\"images\":[\"https://e.com/a.png\"]}",
		  "User: a\\n\\nAssistant:" },
	};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str body =
			arena_printf(a, "{\"model\":\"m\",\"messages\":[%s]}", rows[i].messages);

		CHECK_STR_IS(translate(a, &protocol_openai_chat, completions(), body.ptr, NULL),
			     arena_printf(a,
					  "{\"model\":\"up\",\"prompt\":\"%s\",\"max_tokens\":99}",
					  rows[i].prompt));
	}
	arena_free(a);
}

static void what_is_no_text_is_refused(void **state)
{
	static const char *const contents[] = {
		"{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAAA\"}}",
		"{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAAA\",\"format\":\"wav\"}}",
		"{\"type\":\"file\",\"file\":{\"file_id\":\"f\"}}",
		"{\"type\":\"video_url\"}",
	};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		struct str body = arena_printf(
			a, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[%s]}]}",
			contents[i]);
		struct str got = translate(a, &protocol_openai_chat, completions(), body.ptr, NULL);

		if (!str_starts(got, STR("-5 messages: ")))
			fail_msg("%.*s", STR_ARG(got));
	}
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_prompt_becomes_a_turn_of_the_user),
		cmocka_unit_test(trap_071_every_parameter_finds_its_place),
		cmocka_unit_test(trap_089_what_a_conversation_has_no_place_for_is_disclosed),
		cmocka_unit_test(no_more_tries_than_answers_are_no_loss),
		cmocka_unit_test(each_of_several_prompts_is_asked_for_itself),
		cmocka_unit_test(more_prompts_than_are_asked_for_are_refused),
		cmocka_unit_test(prompts_that_are_no_texts_are_refused),
		cmocka_unit_test(trap_032_several_answers_are_refused_where_only_one_is_read),
		cmocka_unit_test(a_conversation_becomes_one_text),
		cmocka_unit_test(what_is_no_text_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
