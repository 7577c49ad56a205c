/* protocols/openai_responses/logprobs.c - one token's log probability in the form that suits Chat and Responses both: with `bytes`,
 * which one side lets be null and the other leaves out of its events. */
#include "protocols/openai_responses/openai_responses.h"

static void put_bytes(struct jw *w, const json *bytes, struct str token)
{
	struct json_iter it = json_iter(bytes);

	jw_key(w, "bytes");
	jw_arr(w);
	if (json_is_arr(bytes)) {
		while (json_next(&it))
			jw_raw(w, json_is_num(it.val) ? json_num(it.val) : STR("0"));
	} else {
		for (size_t i = 0; i < token.len; i++)
			jw_u64(w, (unsigned char)token.ptr[i]);
	}
	jw_end_arr(w);
}

void rs_logprob_write(struct jw *w, const json *v, bool top)
{
	struct str token = json_str(json_get(v, STR("token"))),
		   logprob = json_num(json_get(v, STR("logprob")));
	const json *more = json_get(v, STR("top_logprobs"));
	struct json_iter it = json_iter(more);

	jw_obj(w);
	jw_kstr(w, "token", str_present(token) ? token : STR(""));
	jw_kraw(w, "logprob", str_present(logprob) ? logprob : STR("0"));
	put_bytes(w, json_get(v, STR("bytes")), token);
	if (!top) {
		jw_key(w, "top_logprobs");
		jw_arr(w);
		while (json_is_arr(more) && json_next(&it))
			rs_logprob_write(w, it.val, true);
		jw_end_arr(w);
	}
	jw_end_obj(w);
}
