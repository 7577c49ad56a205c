/* protocols/ollama/usage.c - token counts, the reason of an end and log probabilities, both ways. */
#include "protocols/ollama/ollama.h"

enum { LOGPROBS_MAX = 64 << 20 };

static void read_count(const json *root, struct str name, int64_t *io)
{
	int64_t n;

	if (json_i64(json_get(root, name), &n) && n >= 0)
		*io = n;
}

void ol_usage_read(const json *root, struct ir_usage *io)
{
	/* Ollama leaves a count of 0 out: a prompt that was all in its cache has none (seen). So absent stays unknown. */
	read_count(root, STR("prompt_eval_count"), &io->input);
	read_count(root, STR("eval_count"), &io->output);
}

/* Durations are left out: nobody measured them here, and Ollama itself leaves out those that are 0. */
void ol_usage_write(struct jw *w, const struct ir_usage *u)
{
	jw_ki64(w, "prompt_eval_count", u->input < 0 ? 0 : u->input);
	jw_ki64(w, "eval_count", u->output < 0 ? 0 : u->output);
}

/* "load" and "unload" end answers without words. Old versions say no reason at all. */
enum ir_stop ol_stop_parse(struct str done_reason)
{
	return str_eq(done_reason, STR("length")) ? IR_STOP_LENGTH : IR_STOP_END;
}

/* Ollama has three words, and calls of tools end with "stop". */
const char *ol_stop_name(enum ir_stop s)
{
	switch (s) {
	case IR_STOP_LENGTH:
	case IR_STOP_CONTEXT:
		return "length";
	case IR_STOP_END:
	case IR_STOP_SEQUENCE:
	case IR_STOP_TOOL_CALLS:
	case IR_STOP_REFUSAL:
	case IR_STOP_PAUSE:
		return "stop";
	}
	return "stop";
}

static void put_member(struct jw *w, const json *entry, const char *name, struct str otherwise)
{
	const json *v = json_get_set(entry, str_from(name));

	jw_key(w, name);
	if (v) {
		jw_raw(w, STR(""));
		json_write(w->out, v);
	} else {
		jw_raw(w, otherwise);
	}
}

static void put_logprob(struct jw *w, const json *entry)
{
	jw_obj(w);
	put_member(w, entry, "token", STR("\"\""));
	put_member(w, entry, "logprob", STR("0"));
	put_member(w, entry, "bytes", STR("null"));
}

struct str ol_logprobs_read(struct arena *a, const json *list)
{
	struct json_iter it = json_iter(list), top;
	struct str text;
	struct buf b;
	struct jw w;

	if (!json_is_arr(list) || json_len(list) == 0)
		return STR_NONE;
	buf_init(&b, LOGPROBS_MAX);
	w = jw_on(&b);
	jw_arr(&w);
	while (json_next(&it)) {
		put_logprob(&w, it.val);
		jw_key(&w, "top_logprobs");
		jw_arr(&w);
		top = json_iter(json_get(it.val, STR("top_logprobs")));
		while (json_next(&top)) {
			put_logprob(&w, top.val);
			jw_end_obj(&w);
		}
		jw_end_arr(&w);
		jw_end_obj(&w);
	}
	jw_end_arr(&w);
	text = buf_ok(&b) ? arena_dup(a, buf_str(&b)) : STR_NONE;
	buf_done(&b);
	return text;
}
