/* Every field of the canonical request, towards every protocol and with every quirk of an endpoint: mapped, disclosed or
 * refused, never lost without a word (trap 89). A new field is set here; a new protocol is tested without a line. */
#include "check.h"

#include "base/arena.h"
#include "protocols/protocol.h"

static struct ir_tool tools[] = {
	{ .name = STR_INIT("f"), .parameters = STR_INIT("{\"type\":\"object\"}") },
	{ .name = STR_INIT("g"), .parameters = STR_INIT("{\"type\":\"object\"}") },
};
static struct str stops[] = { STR_INIT("END") };

#define SET(field, code)                              \
	static void set_##field(struct ir_request *r) \
	{                                             \
		code;                                 \
	}

SET(tools, r->n_tools = 2)
SET(choice, r->choice.mode = IR_CHOICE_REQUIRED)
SET(parallel, r->choice.parallel = IR_FALSE)
SET(format,
    (r->format.kind = IR_FORMAT_JSON_SCHEMA, r->format.schema = STR("{\"type\":\"object\"}")))
SET(reasoning, r->reasoning.effort = IR_EFFORT_HIGH)
SET(max_tokens, r->max_tokens = 77)
SET(temperature, r->temperature = STR("0.5"))
SET(top_p, r->top_p = STR("0.5"))
SET(frequency_penalty, r->frequency_penalty = STR("0.5"))
SET(presence_penalty, r->presence_penalty = STR("0.5"))
SET(top_k, r->top_k = 5)
SET(seed, r->seed = 5)
SET(n, r->n = 2)
SET(logprobs, r->logprobs = IR_TRUE)
SET(top_logprobs, (r->logprobs = IR_TRUE, r->top_logprobs = 5))
SET(store, r->store = IR_TRUE)
SET(stop, (r->stop = stops, r->n_stop = 1))
SET(user, r->user = STR("u"))
SET(service_tier, r->service_tier = STR("flex"))
SET(verbosity, r->verbosity = STR("low"))
SET(prompt_cache_key, r->prompt_cache_key = STR("k"))
SET(safety_identifier, r->safety_identifier = STR("s"))
SET(metadata, r->metadata = STR("{\"k\":\"v\"}"))
SET(logit_bias, r->logit_bias = STR("{\"1\":1}"))
SET(prediction, r->prediction = STR("{\"type\":\"content\",\"content\":\"x\"}"))
SET(modalities, r->modalities = STR("[\"text\",\"audio\"]"))
SET(audio, r->audio = STR("{\"voice\":\"v\"}"))
SET(cache, r->cache = IR_CACHE_5M)
SET(previous_response_id, r->previous_response_id = STR("resp_1"))
SET(truncation, r->truncation = STR("auto"))
SET(include, r->include = STR("[\"file_search_call.results\"]"))
SET(max_tool_calls, r->max_tool_calls = 3)
SET(background, r->background = IR_TRUE)
SET(suffix, r->suffix = STR("the end"))
SET(prompts, r->n_prompts = 2)

static const struct {
	const char *name;
	void (*set)(struct ir_request *r);
} fields[] = {
#define X(field, name, said) { name, set_##field },
#include "ir/request_fields.def"
#undef X
};

/* What becomes of a small request with that field set; NULL: of the small request as it is. */
static int encode(struct arena *a, const struct protocol *p, unsigned quirks,
		  void (*set)(struct ir_request *r), struct ir_losses *losses, struct str *ret,
		  struct err *reterr)
{
	struct ir_part part = { .kind = IR_PART_TEXT, .text = STR("hello") };
	struct ir_message m = { .role = IR_ROLE_USER, .parts = &part, .n_parts = 1 };
	struct request_target t = { .model = STR("model-x"),
				    .quirks = quirks,
				    .default_max_tokens = 100 };
	struct ir_request r;
	struct buf out;
	int rc;

	for (unsigned i = 0; i < sizeof(t.budget) / sizeof(t.budget[0]); i++)
		t.budget[i] = i >= IR_EFFORT_MINIMAL ? 1024 << i : 0;
	ir_request_init(&r);
	r.model = STR("m");
	r.messages = &m;
	r.n_messages = 1;
	r.tools = tools;
	r.n_tools = 1;
	r.origin = "elsewhere";
	if (set)
		set(&r);
	buf_init(&out, 1 << 20);
	ir_losses_init(losses, a);
	rc = p->encode_request(a, &r, &t, &out, losses, reterr);
	*ret = rc ? STR_NONE : arena_dup(a, buf_str(&out));
	buf_done(&out);
	return rc;
}

static bool discloses(const struct ir_losses *l, struct str name)
{
	for (unsigned i = 0; i < l->n; i++)
		if (str_eq(l->names[i], name))
			return true;
	return false;
}

static void check(struct arena *a, const struct protocol *p, unsigned quirks)
{
	struct str plain, with;
	struct ir_losses losses;
	struct err e;

	assert_int_equal(encode(a, p, quirks, NULL, &losses, &plain, &e), RC_OK);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		int rc = encode(a, p, quirks, fields[i].set, &losses, &with, &e);

		if (rc == RC_UNSUPPORTED)
			continue;
		if (p->cannot_stop && strcmp(fields[i].name, "stop") == 0)
			continue; /* the gateway does it itself */
		assert_int_equal(rc, RC_OK);
		if (str_eq(with, plain) && !discloses(&losses, str_from(fields[i].name)))
			fail_msg("%s, quirks %x: %s is neither mapped, disclosed nor refused",
				 p->name, quirks, fields[i].name);
	}
}

static void trap_089_every_field_is_mapped_disclosed_or_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; protocols[i]; i++) {
		struct arena *a = arena_new(64 << 20);

		check(a, protocols[i], 0);
		for (unsigned q = 0; q < QUIRK_COUNT; q++)
			check(a, protocols[i], 1u << q);
		arena_free(a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_089_every_field_is_mapped_disclosed_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
