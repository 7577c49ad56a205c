/* protocols/openai_completions/logprobs.c - log probabilities: four lists side by side here, a list of tokens in Chat.
 *
 *	here   {"tokens":["a"],"token_logprobs":[-1],"top_logprobs":[{"a":-1,"b":-2}],"text_offset":[0]}
 *	Chat   [{"token":"a","logprob":-1,"bytes":[97],"top_logprobs":[{"token":"a",...},{"token":"b",...}]}]
 *
 * Numbers keep their text. Offsets count characters, as those of OpenAI do. */
#include "protocols/openai_completions/openai_completions.h"

#include "base/utf8.h"

enum { LIST_MAX = 64 << 20 };

/* --- from here to Chat --- */

static void put_token(struct jw *w, struct str token, const json *logprob)
{
	jw_kstr(w, "token", token);
	/* A prompt's first token has none; Chat's clients want a number. */
	jw_kraw(w, "logprob", json_is_num(logprob) ? json_num(logprob) : STR("-9999.0"));
	jw_key(w, "bytes");
	jw_arr(w);
	for (size_t i = 0; i < token.len; i++)
		jw_i64(w, (unsigned char)token.ptr[i]);
	jw_end_arr(w);
}

static void put_alternatives(struct jw *w, const json *top)
{
	struct json_iter it = json_iter(top);

	jw_key(w, "top_logprobs");
	jw_arr(w);
	while (json_is_obj(top) && json_next(&it)) {
		jw_obj(w);
		put_token(w, it.key, it.val);
		jw_end_obj(w);
	}
	jw_end_arr(w);
}

int ot_logprobs_read(struct arena *a, const json *v, struct str *ret)
{
	struct json_iter tokens = json_iter(json_get(v, STR("tokens")));
	struct json_iter numbers = json_iter(json_get(v, STR("token_logprobs")));
	struct json_iter tops = json_iter(json_get(v, STR("top_logprobs")));
	struct buf b;
	struct jw w;

	*ret = STR_NONE;
	if (json_len(json_get(v, STR("tokens"))) == 0)
		return RC_OK;
	buf_init(&b, LIST_MAX);
	w = jw_on(&b);
	jw_arr(&w);
	while (json_next(&tokens)) {
		bool number = json_next(&numbers), top = json_next(&tops);

		jw_obj(&w);
		put_token(&w, json_str(tokens.val), number ? numbers.val : NULL);
		put_alternatives(&w, top ? tops.val : NULL);
		jw_end_obj(&w);
	}
	jw_end_arr(&w);
	if (buf_ok(&b))
		*ret = arena_dup(a, buf_str(&b));
	buf_done(&b);
	return str_present(*ret) ? RC_OK : RC_NOMEM;
}

/* --- from Chat to here --- */

static void put_top(struct jw *w, const json *list)
{
	struct json_iter it = json_iter(list);

	jw_obj(w);
	while (json_next(&it)) {
		struct str token = json_str(json_get(it.val, STR("token")));
		struct str number = json_num(json_get(it.val, STR("logprob")));

		if (!str_present(token) || !str_present(number))
			continue;
		jw_key_str(w, token);
		jw_raw(w, number);
	}
	jw_end_obj(w);
}

/* One of the four lists: `kind` 't'okens, 'l'ogprobs, 'a'lternatives, 'o'ffsets. */
static void put_list(struct jw *w, const char *key, const json *content, char kind, int64_t *offset)
{
	struct json_iter it = json_iter(content);

	jw_key(w, key);
	jw_arr(w);
	while (json_next(&it)) {
		struct str token = json_str(json_get(it.val, STR("token")));
		struct str number = json_num(json_get(it.val, STR("logprob")));

		if (kind == 't') {
			jw_str(w, str_present(token) ? token : STR(""));
		} else if (kind == 'l') {
			jw_raw(w, str_present(number) ? number : STR("null"));
		} else if (kind == 'a') {
			put_top(w, json_get(it.val, STR("top_logprobs")));
		} else {
			jw_i64(w, *offset);
			*offset += utf8_count(token);
		}
	}
	jw_end_arr(w);
}

int ot_logprobs_write(struct jw *w, struct str content, bool top, int64_t *offset)
{
	struct arena *a;
	const json *list;

	if (content.len <= 2) {
		jw_null(w);
		return RC_OK;
	}
	a = arena_new(LIST_MAX);
	list = a ? json_parse(a, content, NULL) : NULL;
	if (!list) {
		arena_free(a);
		return RC_NOMEM;
	}
	jw_obj(w);
	put_list(w, "tokens", list, 't', offset);
	put_list(w, "token_logprobs", list, 'l', offset);
	if (top)
		put_list(w, "top_logprobs", list, 'a', offset);
	else
		jw_knull(w, "top_logprobs");
	put_list(w, "text_offset", list, 'o', offset);
	jw_end_obj(w);
	arena_free(a);
	return RC_OK;
}
