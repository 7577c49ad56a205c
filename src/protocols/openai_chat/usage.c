/* protocols/openai_chat/usage.c - token counts and finish reasons, with the vendors' dialects of both.
 *
 * OpenAI's prompt_tokens include the cache and completion_tokens the reasoning, as ours do
 * (traps 115, 116); xAI alone counts reasoning beside the completion, which its total gives away. */
#include "protocols/openai_chat/openai_chat.h"

static void take(const json *obj, struct str key, int64_t *io)
{
	int64_t n;

	if (json_i64(json_get(obj, key), &n) && n >= 0)
		*io = n;
}

void oc_usage_read(const json *usage, struct ir_usage *io)
{
	const json *in = json_get(usage, STR("prompt_tokens_details"));
	const json *out = json_get(usage, STR("completion_tokens_details"));
	struct ir_usage u = IR_USAGE_NONE;
	int64_t total = -1;

	if (!json_is_obj(usage))
		return;
	take(usage, STR("prompt_tokens"), &u.input);
	take(usage, STR("completion_tokens"), &u.output);
	take(usage, STR("total_tokens"), &total);

	take(usage, STR("num_cached_tokens"),
	     &u.cache_read); /* Mistral, beside or instead of the details */
	take(usage, STR("cached_tokens"), &u.cache_read);           /* Moonshot */
	take(usage, STR("prompt_cache_hit_tokens"), &u.cache_read); /* DeepSeek, trap 117 */
	take(in, STR("cached_tokens"), &u.cache_read);
	take(in, STR("cache_write_tokens"), &u.cache_write);
	take(in, STR("cache_creation_tokens"), &u.cache_write);
	take(in, STR("audio_tokens"), &u.audio_input);

	take(usage, STR("reasoning_tokens"), &u.reasoning); /* Perplexity, Fireworks */
	take(out, STR("reasoning_tokens"), &u.reasoning);
	take(out, STR("audio_tokens"), &u.audio_output);
	take(out, STR("accepted_prediction_tokens"), &u.accepted_prediction);
	take(out, STR("rejected_prediction_tokens"), &u.rejected_prediction);

	if (u.reasoning > 0 && u.input >= 0 && u.output >= 0 && u.reasoning <= total &&
	    total - u.reasoning == u.input + u.output)
		u.output += u.reasoning;
	if (u.output < 0 && u.input >= 0 && total >= u.input)
		u.output = total - u.input;
	ir_usage_merge(io, &u);
}

static int64_t known(int64_t n)
{
	return n < 0 ? 0 : n;
}

void oc_usage_write(struct jw *w, const struct ir_usage *u)
{
	jw_obj(w);
	jw_ki64(w, "prompt_tokens", known(u->input));
	jw_ki64(w, "completion_tokens", known(u->output));
	jw_ki64(w, "total_tokens", known(u->input) + known(u->output));
	jw_key(w, "prompt_tokens_details");
	jw_obj(w);
	jw_ki64(w, "cached_tokens", known(u->cache_read));
	jw_ki64(w, "audio_tokens", known(u->audio_input));
	if (u->cache_write >= 0)
		jw_ki64(w, "cache_write_tokens", u->cache_write);
	jw_end_obj(w);
	jw_key(w, "completion_tokens_details");
	jw_obj(w);
	jw_ki64(w, "reasoning_tokens", known(u->reasoning));
	jw_ki64(w, "audio_tokens", known(u->audio_output));
	jw_ki64(w, "accepted_prediction_tokens", known(u->accepted_prediction));
	jw_ki64(w, "rejected_prediction_tokens", known(u->rejected_prediction));
	jw_end_obj(w);
	jw_end_obj(w);
}

static const struct {
	struct str reason;
	enum ir_stop stop;
	bool failed;
} reasons[] = {
	{ STR_INIT("stop"), IR_STOP_END, false },
	{ STR_INIT("tool_calls"), IR_STOP_TOOL_CALLS, false },
	{ STR_INIT("length"), IR_STOP_LENGTH, false },
	{ STR_INIT("content_filter"), IR_STOP_REFUSAL, false },
	{ STR_INIT("function_call"), IR_STOP_TOOL_CALLS, false },
	/* From here on vendors' own (traps 105, 112). */
	{ STR_INIT("tool_use"), IR_STOP_TOOL_CALLS, false },
	{ STR_INIT("max_tokens"), IR_STOP_LENGTH, false },
	{ STR_INIT("model_length"), IR_STOP_LENGTH, false },
	{ STR_INIT("stop_sequence"), IR_STOP_SEQUENCE, false },
	{ STR_INIT("refusal"), IR_STOP_REFUSAL, false },
	{ STR_INIT("safety"), IR_STOP_REFUSAL, false },
	{ STR_INIT("recitation"), IR_STOP_REFUSAL, false },
	{ STR_INIT("sensitive"), IR_STOP_REFUSAL, false },
	{ STR_INIT("error"), IR_STOP_END, true },
	{ STR_INIT("network_error"), IR_STOP_END, true },
	{ STR_INIT("insufficient_system_resource"), IR_STOP_END, true },
};

enum ir_stop oc_stop_parse(struct str reason, bool *ret_failed)
{
	*ret_failed = false;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
		if (str_ieq(reason, reasons[i].reason)) {
			*ret_failed = reasons[i].failed;
			return reasons[i].stop;
		}
	}
	return IR_STOP_END;
}

const char *oc_stop_name(enum ir_stop s)
{
	switch (s) {
	case IR_STOP_END:
	case IR_STOP_SEQUENCE:
	case IR_STOP_PAUSE: /* trap 95: no such state here */
		return "stop";
	case IR_STOP_LENGTH:
	case IR_STOP_CONTEXT: /* trap 102 */
		return "length";
	case IR_STOP_TOOL_CALLS:
		return "tool_calls";
	case IR_STOP_REFUSAL:
		return "content_filter";
	}
	return "stop";
}
