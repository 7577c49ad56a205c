/* protocols/gemini/usage.c - token counts, tiers and stop reasons, both ways.
 *
 * The one hard thing: the vendor counts thoughts beside the answer and its own tools' input beside the prompt, and leaves
 * out of a report what it does not know yet (traps 116, 118). */
#include "protocols/gemini/gemini.h"

#include "protocols/glance.h"

static int64_t known(int64_t v)
{
	return v > 0 ? v : 0;
}

/* What a report says; -1: nothing. */
struct counts {
	int64_t prompt, tools, cached, answer, thoughts;
};

#define NO_COUNTS ((struct counts){ -1, -1, -1, -1, -1 })

#define PLACE(name, member)                                                   \
	{                                                                     \
		STR_INIT(""), STR_INIT(name), offsetof(struct counts, member) \
	}

static const struct glance_count places[] = {
	PLACE("promptTokenCount", prompt),        PLACE("toolUsePromptTokenCount", tools),
	PLACE("cachedContentTokenCount", cached), PLACE("candidatesTokenCount", answer),
	PLACE("thoughtsTokenCount", thoughts),
};

enum { N_PLACES = sizeof(places) / sizeof(places[0]) };

static void merge_counts(const struct counts *c, struct ir_usage *io)
{
	int64_t answer = io->output < 0 ? -1 : io->output - known(io->reasoning);

	if (c->prompt >= 0)
		io->input = c->prompt + known(c->tools);
	if (c->cached >= 0)
		io->cache_read = c->cached;
	if (c->thoughts >= 0)
		io->reasoning = c->thoughts;
	if (c->answer >= 0)
		answer = c->answer;
	if (c->answer >= 0 || c->thoughts >= 0)
		io->output = known(answer) + known(io->reasoning);
}

/* The tokens of one modality in a list of {modality, tokenCount}; -1: not said. */
static int64_t modality(const json *details, struct str name)
{
	struct json_iter it = json_iter(details);
	int64_t n;

	while (json_next(&it))
		if (str_eq(json_str(gm_get(it.val, "modality")), name) &&
		    json_i64(gm_get(it.val, "tokenCount"), &n) && n >= 0)
			return n;
	return -1;
}

/* The Gemini API's words, which clients get too, then Vertex AI's. */
static const struct {
	struct str word;
	enum ir_tier tier;
} tiers[] = {
	{ STR_INIT("standard"), IR_TIER_STANDARD },
	{ STR_INIT("priority"), IR_TIER_PRIORITY },
	{ STR_INIT("flex"), IR_TIER_FLEX },
	{ STR_INIT("ON_DEMAND"), IR_TIER_STANDARD },
	{ STR_INIT("ON_DEMAND_PRIORITY"), IR_TIER_PRIORITY },
	{ STR_INIT("ON_DEMAND_FLEX"), IR_TIER_FLEX },
	{ STR_INIT("PROVISIONED_THROUGHPUT"), IR_TIER_RESERVED },
};

enum { N_OWN_TIERS = 3 };

/* As they are asked for: Google's word, everybody's canonical one, another for the same. */
static const struct {
	struct str word, canonical, also;
} wishes[] = {
	{ STR_INIT("standard"), STR_INIT("default"), STR_INIT("standard_only") },
	{ STR_INIT("priority"), STR_INIT("priority"), STR_INIT("fast") },
	{ STR_INIT("flex"), STR_INIT("flex"), STR_INIT("flex") },
};

struct str gm_tier_asked(struct str word)
{
	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++)
		if (str_ieq(word, wishes[i].word))
			return wishes[i].canonical;
	return STR_NONE;
}

struct str gm_tier_word(struct str asked)
{
	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++)
		if (str_eq(asked, wishes[i].canonical) || str_eq(asked, wishes[i].also))
			return wishes[i].word;
	return STR_NONE;
}

static void tier_read(const json *word, struct ir_usage *io)
{
	struct str said = json_str(word);

	for (size_t i = 0; said.len && i < sizeof(tiers) / sizeof(tiers[0]); i++)
		if (str_ieq(said, tiers[i].word))
			io->tier = tiers[i].tier;
}

void gm_usage_read(const json *usage, struct ir_usage *io)
{
	enum { PROMPT, ANSWER, TRAFFIC, TIER, N };
	static const struct str details[N] = {
		[PROMPT] = STR_INIT("promptTokensDetails"),
		[ANSWER] = STR_INIT("candidatesTokensDetails"),
		[TRAFFIC] = STR_INIT("trafficType"),
		[TIER] = STR_INIT("serviceTier"),
	};
	struct counts c = NO_COUNTS;
	const json *said[N_PLACES], *detailed[N];
	int64_t n;

	gm_find(usage, &places[0].name, sizeof(places[0]), N_PLACES, said);
	for (unsigned i = 0; i < N_PLACES; i++)
		if (json_i64(said[i], &n) && n >= 0)
			*(int64_t *)((char *)&c + places[i].at) = n;
	merge_counts(&c, io);
	GM_FIND(usage, details, detailed);
	n = modality(detailed[PROMPT], STR("AUDIO"));
	if (n >= 0)
		io->audio_input = n;
	n = modality(detailed[ANSWER], STR("AUDIO"));
	if (n >= 0)
		io->audio_output = n;
	tier_read(detailed[TRAFFIC], io);
	tier_read(detailed[TIER], io);
}

void gm_usage_glance(struct str text, struct ir_usage *io)
{
	struct counts c = NO_COUNTS;

	if (glance_counts(text, places, N_PLACES, &c))
		merge_counts(&c, io);
}

static void put_audio(struct jw *w, const char *key, int64_t whole, int64_t audio)
{
	if (audio <= 0)
		return;
	jw_key(w, key);
	jw_arr(w);
	jw_obj(w);
	jw_kcstr(w, "modality", "TEXT");
	jw_ki64(w, "tokenCount", known(whole - audio));
	jw_end_obj(w);
	jw_obj(w);
	jw_kcstr(w, "modality", "AUDIO");
	jw_ki64(w, "tokenCount", audio);
	jw_end_obj(w);
	jw_end_arr(w);
}

void gm_usage_write(struct jw *w, const struct ir_usage *u)
{
	int64_t answer = known(known(u->output) - known(u->reasoning));

	jw_obj(w);
	jw_ki64(w, "promptTokenCount", known(u->input));
	jw_ki64(w, "candidatesTokenCount", answer);
	jw_ki64(w, "totalTokenCount", known(u->input) + known(u->output));
	if (u->cache_read > 0)
		jw_ki64(w, "cachedContentTokenCount", u->cache_read);
	if (u->reasoning > 0)
		jw_ki64(w, "thoughtsTokenCount", u->reasoning);
	put_audio(w, "promptTokensDetails", u->input, u->audio_input);
	put_audio(w, "candidatesTokensDetails", answer, u->audio_output);
	for (size_t i = 0; i < N_OWN_TIERS; i++)
		if (tiers[i].tier == u->tier)
			jw_kstr(w, "serviceTier", tiers[i].word);
	jw_end_obj(w);
}

/* --- stop reasons --- */

static const struct {
	struct str name;
	enum gm_ending ending;
	enum ir_stop stop;
} stops[] = {
	{ STR_INIT("STOP"), GM_ENDS, IR_STOP_END },
	{ STR_INIT("MAX_TOKENS"), GM_ENDS, IR_STOP_LENGTH },
	{ STR_INIT("SAFETY"), GM_ENDS, IR_STOP_REFUSAL },
	{ STR_INIT("RECITATION"), GM_ENDS, IR_STOP_REFUSAL },
	{ STR_INIT("LANGUAGE"), GM_ENDS, IR_STOP_REFUSAL },
	{ STR_INIT("BLOCKLIST"), GM_ENDS, IR_STOP_REFUSAL },
	{ STR_INIT("PROHIBITED_CONTENT"), GM_ENDS, IR_STOP_REFUSAL },
	{ STR_INIT("SPII"), GM_ENDS, IR_STOP_REFUSAL },
	{ STR_INIT("MODEL_ARMOR"), GM_ENDS, IR_STOP_REFUSAL },
	{ STR_INIT("IMAGE_SAFETY"), GM_ENDS, IR_STOP_REFUSAL },
	{ STR_INIT("IMAGE_PROHIBITED_CONTENT"), GM_ENDS, IR_STOP_REFUSAL },
	{ STR_INIT("IMAGE_RECITATION"), GM_ENDS, IR_STOP_REFUSAL },
	{ STR_INIT("MALFORMED_FUNCTION_CALL"), GM_FAILS, IR_STOP_END },
	{ STR_INIT("UNEXPECTED_TOOL_CALL"), GM_FAILS, IR_STOP_END },
	{ STR_INIT("TOO_MANY_TOOL_CALLS"), GM_FAILS, IR_STOP_END },
	{ STR_INIT("MISSING_THOUGHT_SIGNATURE"), GM_FAILS, IR_STOP_END },
	{ STR_INIT("MALFORMED_RESPONSE"), GM_FAILS, IR_STOP_END },
	{ STR_INIT("NO_IMAGE"), GM_FAILS, IR_STOP_END },
	/* With `$alt=json;enum-encoding=int` enums are numbers; these mean the same in both of the vendor's APIs. */
	{ STR_INIT("1"), GM_ENDS, IR_STOP_END },
	{ STR_INIT("2"), GM_ENDS, IR_STOP_LENGTH },
	{ STR_INIT("3"), GM_ENDS, IR_STOP_REFUSAL },
	{ STR_INIT("4"), GM_ENDS, IR_STOP_REFUSAL },
	{ STR_INIT("7"), GM_ENDS, IR_STOP_REFUSAL },
	{ STR_INIT("8"), GM_ENDS, IR_STOP_REFUSAL },
};

enum gm_ending gm_stop_parse(struct str reason, enum ir_stop *ret)
{
	*ret = IR_STOP_END;
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		if (!str_eq(stops[i].name, reason))
			continue;
		*ret = stops[i].stop;
		return stops[i].ending;
	}
	return GM_UNSAID;
}

const char *gm_stop_name(enum ir_stop s)
{
	switch (s) {
	case IR_STOP_END:
	case IR_STOP_SEQUENCE:
	case IR_STOP_TOOL_CALLS: /* trap 18: the vendor says STOP then too */
	case IR_STOP_PAUSE:
		return "STOP";
	case IR_STOP_LENGTH:
	case IR_STOP_CONTEXT:
		return "MAX_TOKENS";
	case IR_STOP_REFUSAL:
		return "SAFETY";
	}
	return "STOP";
}
