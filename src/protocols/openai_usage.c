/* protocols/openai_usage.c - token counts, tiers and finish reasons, with the vendors' dialects of them.
 *
 * OpenAI's prompt_tokens include the cache and completion_tokens the reasoning, as ours do
 * (traps 115, 116); xAI alone counts reasoning beside the completion, which its total gives away. */
#include "protocols/openai.h"

/* Beyond it a number is nonsense, and sums of such would overflow. */
#define MOST_TOKENS (INT64_C(1) << 53)

static const struct glance_count places[] = {
	OC_COUNT("", "prompt_tokens", u.input),
	OC_COUNT("", "completion_tokens", u.output),
	OC_COUNT("", "total_tokens", total),
	OC_COUNT("", "num_cached_tokens",
		 u.cache_read),                      /* Mistral, beside or instead of the details */
	OC_COUNT("", "cached_tokens", u.cache_read), /* Moonshot */
	OC_COUNT("", "prompt_cache_hit_tokens", u.cache_read), /* DeepSeek, trap 117 */
	OC_COUNT("", "reasoning_tokens", u.reasoning),         /* Perplexity, Fireworks */
	OC_COUNT("prompt_tokens_details", "cached_tokens", u.cache_read),
	OC_COUNT("prompt_tokens_details", "cache_write_tokens", u.cache_write),
	OC_COUNT("prompt_tokens_details", "cache_creation_tokens", u.cache_write),
	OC_COUNT("prompt_tokens_details", "audio_tokens", u.audio_input),
	OC_COUNT("completion_tokens_details", "reasoning_tokens", u.reasoning),
	OC_COUNT("completion_tokens_details", "audio_tokens", u.audio_output),
	OC_COUNT("completion_tokens_details", "accepted_prediction_tokens", u.accepted_prediction),
	OC_COUNT("completion_tokens_details", "rejected_prediction_tokens", u.rejected_prediction),
};

enum { N_PLACES = sizeof(places) / sizeof(places[0]) };

static void merge_counts(const struct glance_count *from, unsigned n, struct oc_counts *c,
			 struct ir_usage *io)
{
	struct ir_usage *u = &c->u;

	for (unsigned i = 0; i < n; i++) {
		int64_t *count = (int64_t *)((char *)c + from[i].at);

		if (*count > MOST_TOKENS)
			*count = MOST_TOKENS;
	}
	/* Who counts reasoning beside the output is given away by the total. */
	if (u->reasoning > 0 && u->input >= 0 && u->output >= 0 && u->reasoning <= c->total &&
	    c->total - u->reasoning == u->input + u->output)
		u->output += u->reasoning;
	if (u->output < 0 && u->input >= 0 && c->total >= u->input)
		u->output = c->total - u->input;
	/* A part is at most the whole, which one vendor (Grok at Azure) counts without it. */
	if (u->input >= 0 && u->cache_read > u->input)
		u->cache_read = u->input;
	ir_usage_merge(io, u);
}

void oc_counts_read(const json *usage, const struct glance_count *from, unsigned n,
		    struct ir_usage *io)
{
	struct oc_counts c = { .u = IR_USAGE_NONE, .total = -1 };

	if (!json_is_obj(usage))
		return;
	glance_counts_read(usage, from, n, &c);
	merge_counts(from, n, &c, io);
}

void oc_counts_glance(struct str text, const struct glance_count *from, unsigned n,
		      struct ir_usage *io)
{
	struct oc_counts c = { .u = IR_USAGE_NONE, .total = -1 };

	if (glance_counts(text, from, n, &c))
		merge_counts(from, n, &c, io);
}

int64_t oc_count_known(int64_t n)
{
	return n < 0 ? 0 : n < MOST_TOKENS ? n : MOST_TOKENS;
}

void oc_usage_read(const json *usage, struct ir_usage *io)
{
	oc_counts_read(usage, places, N_PLACES, io);
}

void oc_usage_glance(struct str text, struct ir_usage *io)
{
	oc_counts_glance(text, places, N_PLACES, io);
}

void oc_usage_write(struct jw *w, const struct ir_usage *u)
{
	jw_obj(w);
	jw_ki64(w, "prompt_tokens", oc_count_known(u->input));
	jw_ki64(w, "completion_tokens", oc_count_known(u->output));
	jw_ki64(w, "total_tokens", oc_count_known(u->input) + oc_count_known(u->output));
	jw_key(w, "prompt_tokens_details");
	jw_obj(w);
	jw_ki64(w, "cached_tokens", oc_count_known(u->cache_read));
	jw_ki64(w, "audio_tokens", oc_count_known(u->audio_input));
	if (u->cache_write >= 0)
		jw_ki64(w, "cache_write_tokens", u->cache_write);
	jw_end_obj(w);
	jw_key(w, "completion_tokens_details");
	jw_obj(w);
	jw_ki64(w, "reasoning_tokens", oc_count_known(u->reasoning));
	jw_ki64(w, "audio_tokens", oc_count_known(u->audio_output));
	jw_ki64(w, "accepted_prediction_tokens", oc_count_known(u->accepted_prediction));
	jw_ki64(w, "rejected_prediction_tokens", oc_count_known(u->rejected_prediction));
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

/* OpenAI's own first: the name of a tier is its first word. */
static const struct {
	struct str word;
	enum ir_tier tier;
} tiers[] = {
	{ STR_INIT("default"), IR_TIER_STANDARD },
	{ STR_INIT("priority"), IR_TIER_PRIORITY },
	{ STR_INIT("flex"), IR_TIER_FLEX },
	{ STR_INIT("scale"), IR_TIER_RESERVED },
	{ STR_INIT("fast"), IR_TIER_PRIORITY },
	{ STR_INIT("standard"), IR_TIER_STANDARD },  /* Mistral */
	{ STR_INIT("on_demand"), IR_TIER_STANDARD }, /* Groq */
	{ STR_INIT("provisioned"), IR_TIER_RESERVED },
};

enum ir_tier oc_tier_parse(struct str tier)
{
	for (size_t i = 0; tier.len && i < sizeof(tiers) / sizeof(*tiers); i++)
		if (str_eq(tier, tiers[i].word))
			return tiers[i].tier;
	return IR_TIER_UNSAID;
}

const char *oc_tier_name(enum ir_tier t)
{
	for (size_t i = 0; i < sizeof(tiers) / sizeof(*tiers); i++)
		if (tiers[i].tier == t)
			return tiers[i].word.ptr;
	return NULL;
}
