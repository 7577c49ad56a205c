/* protocols/openai_responses/usage.c - token counts, both ways. input_tokens include the cache and output_tokens the
 * reasoning, as ours do (traps 115, 116). */
#include "protocols/openai_responses/openai_responses.h"

static const struct glance_count places[] = {
	OC_COUNT("", "input_tokens", u.input),
	OC_COUNT("", "output_tokens", u.output),
	OC_COUNT("", "total_tokens", total),
	OC_COUNT("input_tokens_details", "cached_tokens", u.cache_read),
	OC_COUNT("input_tokens_details", "cache_write_tokens", u.cache_write),
	OC_COUNT("input_tokens_details", "audio_tokens", u.audio_input),
	OC_COUNT("output_tokens_details", "reasoning_tokens", u.reasoning),
	OC_COUNT("output_tokens_details", "audio_tokens", u.audio_output),
};

enum { N_PLACES = sizeof(places) / sizeof(places[0]) };

void rs_usage_read(const json *usage, struct ir_usage *io)
{
	oc_counts_read(usage, places, N_PLACES, io);
}

void rs_usage_glance(struct str text, struct ir_usage *io)
{
	oc_counts_glance(text, places, N_PLACES, io);
}

void rs_usage_write(struct jw *w, const struct ir_usage *u)
{
	jw_obj(w);
	jw_ki64(w, "input_tokens", oc_count_known(u->input));
	jw_key(w, "input_tokens_details");
	jw_obj(w);
	jw_ki64(w, "cached_tokens", oc_count_known(u->cache_read));
	jw_ki64(w, "cache_write_tokens", oc_count_known(u->cache_write));
	jw_end_obj(w);
	jw_ki64(w, "output_tokens", oc_count_known(u->output));
	jw_key(w, "output_tokens_details");
	jw_obj(w);
	jw_ki64(w, "reasoning_tokens", oc_count_known(u->reasoning));
	jw_end_obj(w);
	jw_ki64(w, "total_tokens", oc_count_known(u->input) + oc_count_known(u->output));
	jw_end_obj(w);
}
