/* protocols/openai_chat/usage.c - token counts and finish reasons, with the vendors' dialects of both.
 *
 * OpenAI's prompt_tokens include the cache and completion_tokens the reasoning, as ours do
 * (traps 115, 116); xAI alone counts reasoning beside the completion, which its total gives away. */
#include "protocols/openai_chat/openai_chat.h"

/* Where a count goes. Of several spellings of one count, the details win over the others. */
struct place {
	struct str key;
	size_t at; /* offset in struct ir_usage */
};

#define PLACE(name, member)                                       \
	{                                                         \
		STR_INIT(name), offsetof(struct ir_usage, member) \
	}

static const struct place of_usage[] = {
	PLACE("prompt_tokens", input),
	PLACE("completion_tokens", output),
	PLACE("num_cached_tokens", cache_read), /* Mistral, beside or instead of the details */
	PLACE("cached_tokens", cache_read),     /* Moonshot */
	PLACE("prompt_cache_hit_tokens", cache_read), /* DeepSeek, trap 117 */
	PLACE("reasoning_tokens", reasoning),         /* Perplexity, Fireworks */
};
static const struct place of_prompt[] = {
	PLACE("cached_tokens", cache_read),
	PLACE("cache_write_tokens", cache_write),
	PLACE("cache_creation_tokens", cache_write),
	PLACE("audio_tokens", audio_input),
};
static const struct place of_completion[] = {
	PLACE("reasoning_tokens", reasoning),
	PLACE("audio_tokens", audio_output),
	PLACE("accepted_prediction_tokens", accepted_prediction),
	PLACE("rejected_prediction_tokens", rejected_prediction),
};

/* One walk over the members, whatever their order and number. */
static void take_all(const json *obj, const struct place *places, unsigned n, struct ir_usage *io)
{
	struct json_iter it = json_iter(json_is_obj(obj) ? obj : NULL);
	int64_t v;

	while (json_next(&it))
		for (unsigned i = 0; i < n; i++)
			if (str_eq(it.key, places[i].key) && json_i64(it.val, &v) && v >= 0)
				*(int64_t *)((char *)io + places[i].at) = v;
}

#define TAKE_ALL(obj, places, io) take_all(obj, places, sizeof(places) / sizeof((places)[0]), io)

static int64_t total_of(const json *usage)
{
	int64_t n;

	return json_i64(json_get(usage, STR("total_tokens")), &n) && n >= 0 ? n : -1;
}

void oc_usage_read(const json *usage, struct ir_usage *io)
{
	struct ir_usage u = IR_USAGE_NONE;
	int64_t total;

	if (!json_is_obj(usage))
		return;
	total = total_of(usage);
	TAKE_ALL(usage, of_usage, &u);
	TAKE_ALL(json_get(usage, STR("prompt_tokens_details")), of_prompt, &u);
	TAKE_ALL(json_get(usage, STR("completion_tokens_details")), of_completion, &u);
	if (u.reasoning > 0 && u.input >= 0 && u.output >= 0 && u.reasoning <= total &&
	    total - u.reasoning == u.input + u.output)
		u.output += u.reasoning;
	if (u.output < 0 && u.input >= 0 && total >= u.input)
		u.output = total - u.input;
	/* A part is at most the whole, which one vendor (Grok at Azure) counts without it. */
	if (u.input >= 0 && u.cache_read > u.input)
		u.cache_read = u.input;
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
