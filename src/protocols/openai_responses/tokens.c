/* protocols/openai_responses/tokens.c - counts of tokens: POST /v1/responses/input_tokens. */
#include "protocols/openai_responses/openai_responses.h"

#include "protocols/pick.h"

/* What is only about the answer is refused there. */
int rs_encode_count_request(struct arena *a, struct str request, struct str model,
			    enum count_form form, struct buf *out)
{
	static const struct str counted[] = {
		STR_INIT("model"),        STR_INIT("input"),
		STR_INIT("instructions"), STR_INIT("previous_response_id"),
		STR_INIT("conversation"), STR_INIT("tools"),
		STR_INIT("tool_choice"),  STR_INIT("parallel_tool_calls"),
		STR_INIT("text"),         STR_INIT("reasoning"),
		STR_INIT("truncation"),   STR_INIT("personality"),
	};

	(void)model; /* stands in the request */
	(void)form;
	return pick_request(a, request, counted, sizeof(counted) / sizeof(*counted), out);
}

int64_t rs_decode_token_count(struct arena *scratch, struct str body)
{
	int64_t n;

	return json_i64(json_get(json_parse(scratch, body, NULL), STR("input_tokens")), &n) &&
			       n >= 0
		       ? n
		       : -1;
}

void rs_encode_token_count(int64_t input_tokens, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_kcstr(&w, "object", "response.input_tokens");
	jw_ki64(&w, "input_tokens", input_tokens);
	jw_end_obj(&w);
}
