/* protocols/openai_chat/tokens.c - counts of tokens. OpenAI has none for Chat; servers of open models have two ways.
 *
 * llama-server takes the whole request at /chat/completions/input_tokens and answers as Responses does. vLLM's /tokenize takes what
 * its template reads, and answers with `count` beside all the tokens. */
#include "protocols/openai_chat/openai_chat.h"

#include "protocols/pick.h"

int oc_encode_count_request(struct arena *a, struct str request, struct str model,
			    enum count_form form, struct buf *out)
{
	static const struct str read_by_template[] = { STR_INIT("model"), STR_INIT("messages"),
						       STR_INIT("tools") };

	(void)model; /* stands in the request */
	if (form == COUNT_TOKENIZE)
		return pick_request(a, request, read_by_template,
				    sizeof(read_by_template) / sizeof(*read_by_template), out);
	buf_put(out, request);
	return RC_OK;
}

int64_t oc_decode_token_count(struct arena *scratch, struct str body)
{
	const json *root = json_parse(scratch, body, NULL);
	int64_t n;

	if (!json_i64(json_get(root, STR("input_tokens")), &n) &&
	    !json_i64(json_get(root, STR("count")), &n))
		return -1;
	return n >= 0 ? n : -1;
}
