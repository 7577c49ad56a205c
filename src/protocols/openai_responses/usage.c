/* protocols/openai_responses/usage.c - token counts, both ways. input_tokens include the cache and output_tokens the
 * reasoning, as ours do (traps 115, 116). */
#include "protocols/openai_responses/openai_responses.h"

#include "protocols/glance.h"

/* Beyond it a number is nonsense, and sums of such would overflow. */
#define MOST_TOKENS (INT64_C(1) << 53)

struct counts {
	struct ir_usage u;
	int64_t total;
};

#define PLACE(object, name, member)                                               \
	{                                                                         \
		STR_INIT(object), STR_INIT(name), offsetof(struct counts, member) \
	}

static const struct glance_count places[] = {
	PLACE("", "input_tokens", u.input),
	PLACE("", "output_tokens", u.output),
	PLACE("", "total_tokens", total),
	PLACE("input_tokens_details", "cached_tokens", u.cache_read),
	PLACE("input_tokens_details", "cache_write_tokens", u.cache_write),
	PLACE("input_tokens_details", "audio_tokens", u.audio_input),
	PLACE("output_tokens_details", "reasoning_tokens", u.reasoning),
	PLACE("output_tokens_details", "audio_tokens", u.audio_output),
};

enum { N_PLACES = sizeof(places) / sizeof(places[0]) };

static void merge_counts(struct counts *c, struct ir_usage *io)
{
	struct ir_usage *u = &c->u;

	for (unsigned i = 0; i < N_PLACES; i++) {
		int64_t *n = (int64_t *)((char *)c + places[i].at);

		if (*n > MOST_TOKENS)
			*n = MOST_TOKENS;
	}
	/* Who counts reasoning beside the output is given away by the total. */
	if (u->reasoning > 0 && u->input >= 0 && u->output >= 0 && u->reasoning <= c->total &&
	    c->total - u->reasoning == u->input + u->output)
		u->output += u->reasoning;
	if (u->output < 0 && u->input >= 0 && c->total >= u->input)
		u->output = c->total - u->input;
	if (u->input >= 0 && u->cache_read > u->input)
		u->cache_read = u->input;
	ir_usage_merge(io, u);
}

void rs_usage_read(const json *usage, struct ir_usage *io)
{
	struct counts c = { .u = IR_USAGE_NONE, .total = -1 };

	if (!json_is_obj(usage))
		return;
	glance_counts_read(usage, places, N_PLACES, &c);
	merge_counts(&c, io);
}

void rs_usage_glance(struct str text, struct ir_usage *io)
{
	struct counts c = { .u = IR_USAGE_NONE, .total = -1 };

	if (glance_counts(text, places, N_PLACES, &c))
		merge_counts(&c, io);
}

static int64_t known(int64_t n)
{
	return n < 0 ? 0 : n < MOST_TOKENS ? n : MOST_TOKENS;
}

void rs_usage_write(struct jw *w, const struct ir_usage *u)
{
	jw_obj(w);
	jw_ki64(w, "input_tokens", known(u->input));
	jw_key(w, "input_tokens_details");
	jw_obj(w);
	jw_ki64(w, "cached_tokens", known(u->cache_read));
	jw_ki64(w, "cache_write_tokens", known(u->cache_write));
	jw_end_obj(w);
	jw_ki64(w, "output_tokens", known(u->output));
	jw_key(w, "output_tokens_details");
	jw_obj(w);
	jw_ki64(w, "reasoning_tokens", known(u->reasoning));
	jw_end_obj(w);
	jw_ki64(w, "total_tokens", known(u->input) + known(u->output));
	jw_end_obj(w);
}
