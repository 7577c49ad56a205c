/* protocols/anthropic_messages/usage.c - token counts, tiers and stop reasons, both ways.
 *
 * The one hard thing: the vendor's input_tokens leave out what came from and went to the cache, the
 * canonical input holds all of it (trap 115), and a later report may say only some of the numbers
 * (trap 118).
 */
#include "protocols/anthropic_messages/anthropic_messages.h"

#include "protocols/glance.h"

static int64_t known(int64_t v)
{
	return v > 0 ? v : 0;
}

/* What of a usage object is read. */
struct counts {
	int64_t fresh; /* input_tokens: what came from and went to no cache */
	struct ir_usage u;
};

#define PLACE(object, name, member)                                               \
	{                                                                         \
		STR_INIT(object), STR_INIT(name), offsetof(struct counts, member) \
	}

static const struct glance_count places[] = {
	PLACE("", "input_tokens", fresh),
	PLACE("", "cache_creation_input_tokens", u.cache_write),
	PLACE("", "cache_read_input_tokens", u.cache_read),
	PLACE("", "output_tokens", u.output),
	PLACE("cache_creation", "ephemeral_5m_input_tokens", u.cache_write_5m),
	PLACE("cache_creation", "ephemeral_1h_input_tokens", u.cache_write_1h),
	PLACE("output_tokens_details", "thinking_tokens", u.reasoning),
};

enum { N_PLACES = sizeof(places) / sizeof(places[0]) };

static void merge_counts(const struct counts *c, struct ir_usage *io)
{
	int64_t before =
		io->input < 0 ? -1 : io->input - known(io->cache_read) - known(io->cache_write);
	int64_t fresh = c->fresh >= 0 ? c->fresh : before;
	bool said = c->fresh >= 0 || c->u.cache_read >= 0 || c->u.cache_write >= 0;

	ir_usage_merge(io, &c->u);
	if (said && fresh >= 0)
		io->input = fresh + known(io->cache_read) + known(io->cache_write);
}

static const struct {
	struct str word;
	enum ir_tier tier;
} tiers[] = {
	{ STR_INIT("standard"), IR_TIER_STANDARD },
	{ STR_INIT("priority"), IR_TIER_PRIORITY },
	{ STR_INIT("batch"), IR_TIER_BATCH },
};

static enum ir_tier tier_parse(struct str word)
{
	for (size_t i = 0; word.len && i < sizeof(tiers) / sizeof(tiers[0]); i++)
		if (str_eq(word, tiers[i].word))
			return tiers[i].tier;
	return IR_TIER_UNSAID;
}

static void tier_write(struct jw *w, enum ir_tier tier)
{
	for (size_t i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++)
		if (tiers[i].tier == tier)
			jw_kstr(w, "service_tier", tiers[i].word);
}

/* Absent, null and negative counts leave what was said before alone. */
void am_usage_read(const json *usage, struct ir_usage *io)
{
	struct counts c = { .fresh = -1, .u = IR_USAGE_NONE };

	glance_counts_read(usage, places, N_PLACES, &c);
	c.u.tier = tier_parse(json_str(JSON_GET(usage, "service_tier")));
	merge_counts(&c, io);
}

void am_usage_glance(struct str text, struct ir_usage *io)
{
	struct counts c = { .fresh = -1, .u = IR_USAGE_NONE };

	if (glance_counts(text, places, N_PLACES, &c))
		merge_counts(&c, io);
}

void am_usage_write(struct jw *w, const struct ir_usage *u)
{
	int64_t fresh = known(u->input) - known(u->cache_read) - known(u->cache_write);

	jw_obj(w);
	jw_ki64(w, "input_tokens", known(fresh));
	jw_ki64(w, "cache_creation_input_tokens", known(u->cache_write));
	jw_ki64(w, "cache_read_input_tokens", known(u->cache_read));
	if (u->cache_write_5m >= 0 || u->cache_write_1h >= 0) {
		jw_key(w, "cache_creation");
		jw_obj(w);
		jw_ki64(w, "ephemeral_5m_input_tokens", known(u->cache_write_5m));
		jw_ki64(w, "ephemeral_1h_input_tokens", known(u->cache_write_1h));
		jw_end_obj(w);
	}
	jw_ki64(w, "output_tokens", known(u->output));
	if (u->reasoning >= 0) {
		jw_key(w, "output_tokens_details");
		jw_obj(w);
		jw_ki64(w, "thinking_tokens", u->reasoning);
		jw_end_obj(w);
	}
	tier_write(w, u->tier);
	jw_end_obj(w);
}

static const struct {
	struct str name;
	enum ir_stop stop;
} stops[] = {
	{ STR_INIT("end_turn"), IR_STOP_END },
	{ STR_INIT("max_tokens"), IR_STOP_LENGTH },
	{ STR_INIT("stop_sequence"), IR_STOP_SEQUENCE },
	{ STR_INIT("tool_use"), IR_STOP_TOOL_CALLS },
	{ STR_INIT("refusal"), IR_STOP_REFUSAL },
	{ STR_INIT("pause_turn"), IR_STOP_PAUSE },
	{ STR_INIT("model_context_window_exceeded"), IR_STOP_CONTEXT },
};

enum ir_stop am_stop_parse(struct str name, bool *ret_known)
{
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		if (str_eq(stops[i].name, name)) {
			if (ret_known)
				*ret_known = true;
			return stops[i].stop;
		}
	}
	if (ret_known)
		*ret_known = false;
	return IR_STOP_END;
}

const char *am_stop_name(enum ir_stop s)
{
	switch (s) {
	case IR_STOP_END:
		return "end_turn";
	case IR_STOP_LENGTH:
		return "max_tokens";
	case IR_STOP_SEQUENCE:
		return "stop_sequence";
	case IR_STOP_TOOL_CALLS:
		return "tool_use";
	case IR_STOP_REFUSAL:
		return "refusal";
	case IR_STOP_PAUSE:
		return "pause_turn";
	case IR_STOP_CONTEXT:
		return "model_context_window_exceeded";
	}
	return "end_turn";
}
