/* tests/unit/protocols/openai_responses/test_relay.c - mirrors src/protocols/openai_responses/relay.c.
 * Rule under test: what is read off a resource is the resource's own, whatever its tools, its metadata and its output say. */
#include "check.h"
#include "protocols/protocol.h"
#include "quotes.h"

#define USAGE                                                                                     \
	"'usage':{'input_tokens':5,'input_tokens_details':{'cached_tokens':2},'output_tokens':7," \
	"'output_tokens_details':{'reasoning_tokens':3},'total_tokens':12}"

static const struct {
	const char *body;
	unsigned flags;
	int64_t input; /* -1: not known */
} bodies[] = {
	{ "{'id':'r','status':'completed','error':null,'output':[]," USAGE "}", TAP_MEANINGFUL, 5 },
	{ "{'output':[]," USAGE ",'metadata':{'usage':'x','error':'y','output':'z'}}",
	  TAP_MEANINGFUL, 5 },
	{ "{'tools':[{'parameters':{'properties':{'usage':{'input_tokens':9},'error':{'type':'"
	  "string'},"
	  "'output':{}}}}],'error':null,'output':[]," USAGE "}",
	  TAP_MEANINGFUL, 5 },
	{ "{" USAGE
	  ",'tools':[{'parameters':{'properties':{'usage':{'input_tokens':9}}}}],'output':[]}",
	  TAP_MEANINGFUL, 5 },
	{ "{'error':null,'output':[{'type':'mcp_call','output':'x','error':{'code':1}}]," USAGE "}",
	  TAP_MEANINGFUL, 5 },
	{ "{'output':[{'text':'\\'usage\\':{\\'input_tokens\\':1} \\'error\\':{'}]," USAGE "}",
	  TAP_MEANINGFUL, 5 },
	{ "{'error':null,'output':[],'usage':null}", TAP_MEANINGFUL, -1 },
	{ "{'output':[]}", TAP_MEANINGFUL, -1 },
	{ "{'error':{'message':'no','type':'server_error'},'output':[]," USAGE "}", TAP_ERROR, -1 },
	{ "{'error':{'message':'no'}}", TAP_ERROR, -1 },
	{ "{'error':'no'}", TAP_ERROR, -1 },
	{ "{'object':'list','data':[]}", 0, -1 },
	{ "{'items':[{'output':[]}]}", 0, -1 },
	{ "<html>'output':[]</html>", 0, -1 },
	{ "", 0, -1 },
};

static struct relay_tap tap_new(struct arena *a)
{
	return (struct relay_tap){ .arena = a, .usage = IR_USAGE_NONE };
}

static void a_resources_own_members_are_read(void **state)
{
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		struct relay_tap t = tap_new(a);
		unsigned flags =
			protocol_openai_responses.tap_body(&t, a, quotes(a, bodies[i].body));

		assert_int_equal(flags, bodies[i].flags);
		assert_int_equal(t.usage.input, bodies[i].input);
		assert_int_equal(t.usage.reasoning, bodies[i].input < 0 ? -1 : 3);
		assert_int_equal(t.finished, flags == TAP_MEANINGFUL);
	}
	arena_free(a);
}

static void the_last_event_says_the_same(void **state)
{
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		struct relay_tap t = tap_new(a);
		struct frame f = { .name = STR("response.completed") };

		f.data = arena_printf(a, "{\"type\":\"response.completed\",\"response\":%.*s}",
				      STR_ARG(quotes(a, bodies[i].body)));
		assert_int_equal(protocol_openai_responses.tap_event(&t, a, &f), TAP_MEANINGFUL);
		assert_int_equal(t.usage.input, bodies[i].input);
		assert_true(t.finished && t.meaningful);
		f.data.len -= 3;
		t = tap_new(a);
		assert_int_equal(protocol_openai_responses.tap_event(&t, a, &f), 0);
		assert_false(t.finished);
	}
	arena_free(a);
}

static void a_request_says_what_it_continues_and_holds(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct request_peek p;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(protocol_openai_responses.peek(
				 a, &request_line_plain,
				 quotes(a,
					"{'model':'m','input':[{'encrypted_content':'lgw1.x.y'}],"
					"'store':false,'previous_response_id':'r'}"),
				 &p, &e),
			 RC_OK);
	assert_true(p.carriers);
	CHECK_STR(p.turn_at[PEEK_PREVIOUS].value, "\"r\"");
	CHECK_STR(p.turn_at[PEEK_STORE].value, "false");
	assert_int_equal(p.turn_at[PEEK_INPUT].first, '[');
	assert_int_equal(p.turn_at[PEEK_BACKGROUND].first, 0);
	assert_int_equal(protocol_openai_responses.peek(
				 a, &request_line_plain,
				 quotes(a, "{'model':'m','input':'of lgw1.'}"), &p, &e),
			 RC_OK);
	assert_false(p.carriers);
	arena_free(a);
}

/* Refuses what begins with an F, and writes down what it heard of. */
struct picky {
	struct proof_check check;
	struct buf log;
};

static bool picky_drops(const struct proof_check *c, struct str proof, struct str id)
{
	(void)c;
	return str_starts(proof, STR("F")) || str_starts(proof, STR("rs_F")) ||
	       str_starts(id, STR("rs_F"));
}

static void picky_dropped(struct proof_check *c, struct str proof, struct str id)
{
	buf_printf(&((struct picky *)c)->log, "%.*s/%.*s ", STR_ARG(proof), STR_ARG(id));
}

#define REASONED "{'id':'rs_1','type':'reasoning','summary':[],'encrypted_content':'own'}"
#define M1 "{'id':'msg_1','type':'message','role':'assistant','content':'b'}"
#define M1_BARE "{'type':'message','role':'assistant','content':'b'}"
#define FC1 "{'type':'function_call','id':'fc_1','call_id':'c','name':'f','arguments':'{}'}"
#define FC1_BARE "{'type':'function_call','call_id':'c','name':'f','arguments':'{}'}"
#define U1 "{'id':'msg_u','type':'message','role':'user','content':'a'}"

/* What the target refuses goes, the ids that lead back to it with it; all else stays, byte for byte where nothing goes. */
static void trap_050_only_what_is_refused_is_left_out(void **state)
{
	static const struct {
		const char *input, *want, *log; /* want NULL: the same */
	} cases[] = {
		{ "[" U1 "," REASONED " , " M1 "]", NULL, "" },
		{ "[{'type':'message','role':'user','content':'is \\'encrypted_content\\': "
		  "\\'F\\'?'}]",
		  NULL, "" },
		{ "[{'type':'reasoning','encrypted_content':'F1','id':'rs_9'}," M1 "," FC1 "," U1
		  "," REASONED "," M1 "]",
		  "[" M1_BARE "," FC1_BARE "," U1 "," REASONED "," M1 "]", "F1/rs_9 " },
		{ "[{'id':'rs_F','type':'reasoning','summary':[]}," REASONED "]", "[" REASONED "]",
		  "/rs_F " },
		{ "[{'type':'reasoning','encrypted_content':'\\u0046\\/1','id':'rs_9'}]", "[]",
		  "F/1/rs_9 " },
		/* the same mark in a compaction, which is the whole conversation */
		{ "[{'type':'compaction','encrypted_content':'F1','id':'cmp_1'}]", NULL, "" },
		{ "[{'type':'reasoning','encrypted_content':'lgw1.gemini.x'}," M1 "]",
		  "[" M1_BARE "]", "" },
	};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct picky picky = { { picky_drops, picky_dropped }, { 0 } };
		struct ir_losses losses;
		struct patch_options o = { .model = STR("m"),
					   .losses = &losses,
					   .proofs = &picky.check };
		const char *want = cases[i].want ? cases[i].want : cases[i].input;
		struct request_peek p;
		struct buf out;
		struct err e;

		ir_losses_init(&losses, a);
		buf_init(&out, 1 << 16);
		buf_init(&picky.log, 1 << 16);
		assert_int_equal(protocol_openai_responses.peek(
					 a, &request_line_plain,
					 quotes(a, arena_printf(a, "{'model':'m','input':%s}",
								cases[i].input)
							   .ptr),
					 &p, &e),
				 RC_OK);
		assert_int_equal(protocol_openai_responses.patch(a, &p, &o, &out), RC_OK);
		CHECK_STR_IS(buf_str(&out),
			     quotes(a, arena_printf(a, "{'model':'m','input':%s}", want).ptr));
		CHECK_STR_IS(buf_str(&picky.log), str_from(cases[i].log));
		assert_int_equal(losses.n, cases[i].want ? 1 : 0);
		buf_done(&out);
		buf_done(&picky.log);
	}
	arena_free(a);
}

static void see(struct proof_sink *s, struct str proof)
{
	(void)s;
	(void)proof;
}

/* OpenAI's, Azure's, xAI's; and errors that say something else. */
static void refusals_are_told_from_other_errors(void **state)
{
	static const struct {
		struct str code, message;
		bool refused;
	} cases[] = {
		{ STR_INIT("invalid_encrypted_content"), STR_INIT(""), true },
		{ STR_INIT(""),
		  STR_INIT("The encrypted content for item rs_1 could not be verified."), true },
		{ STR_INIT("invalid-argument"),
		  STR_INIT("Could not decrypt the provided encrypted_content. Ensure the value is "
			   "the unmodified encrypted_content from a previous response."),
		  true },
		{ STR_INIT(""),
		  STR_INIT("Item with id 'rs_1' not found. Items are not persisted when `store` is "
			   "set to false."),
		  true },
		{ STR_INIT(""), STR_INIT("Item with id 'msg_1' not found."), false },
		{ STR_INIT(""), STR_INIT("Encrypted content is not supported with this model."),
		  false },
		{ STR_INIT("model_not_found"), STR_INIT("The requested model does not exist."),
		  false },
	};
	const struct proof_codec *c = protocol_openai_responses.proofs;
	struct proof_sink nobody = { see };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ir_error e = { .code = cases[i].code, .message = cases[i].message };

		assert_int_equal(c->refuses(&e), cases[i].refused);
	}
	assert_false(c->refuses(&(struct ir_error){ .status = 500 }));
	c->each(NULL, STR(""), &nobody);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_resources_own_members_are_read),
		cmocka_unit_test(the_last_event_says_the_same),
		cmocka_unit_test(a_request_says_what_it_continues_and_holds),
		cmocka_unit_test(trap_050_only_what_is_refused_is_left_out),
		cmocka_unit_test(refusals_are_told_from_other_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
