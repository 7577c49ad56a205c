/* tests/unit/protocols/test_logprobs.c - log probabilities on their way from one OpenAI dialect into another.
 * Rule: what an upstream said of its tokens reaches the client in the client's own form, streamed and whole, whatever the
 * upstream's form was; who did not ask gets none. */
#include "check.h"
#include "quotes.h"
#include "tape.h"

#define HI                                                                                  \
	"{'token':'Hi','logprob':-0.10,'bytes':[72,105],'top_logprobs':[{'token':'Hi','log" \
	"prob':-0.10,'bytes':[72,105]}]}"
#define BANG "{'token':'!','logprob':-2,'bytes':[33],'top_logprobs':[]}"

static const char chat_stream[] =
	"data: "
	"{'id':'c','model':'m','choices':[{'index':0,'delta':{'role':'assistant','content':''},"
	"'logprobs':null,'finish_reason':null}]}\n\n"
	"data: {'id':'c','model':'m','choices':[{'index':0,'delta':{'content':'Hi'},"
	"'logprobs':{'content':[" HI "],'refusal':null},'finish_reason':null}]}\n\n"
	"data: {'id':'c','model':'m','choices':[{'index':0,'delta':{'content':'!'},"
	"'logprobs':{'content':[" BANG "],'refusal':null},'finish_reason':null}]}\n\n"
	"data: {'id':'c','model':'m','choices':[{'index':0,'delta':{},'logprobs':null,"
	"'finish_reason':'stop'}]}\n\n"
	"data: [DONE]\n\n";

static const char chat_body[] =
	"{'id':'c','model':'m','choices':[{'index':0,'message':{'role':'assistant','content':'Hi!'}"
	","
	"'logprobs':{'content':[" HI "," BANG "],'refusal':null},'finish_reason':'stop'}]}";

static const char completions_stream[] =
	"data: {'id':'c','model':'m','choices':[{'index':0,'text':'Hi','logprobs':{'tokens':['Hi'],"
	"'token_logprobs':[-0.10],'top_logprobs':[{'Hi':-0.10}],'text_offset':[0]},"
	"'finish_reason':null}]}\n\n"
	"data: {'id':'c','model':'m','choices':[{'index':0,'text':'!','logprobs':{'tokens':['!'],"
	"'token_logprobs':[-2],'top_logprobs':[{}],'text_offset':[2]},'finish_reason':'stop'}]}\n\n"
	"data: [DONE]\n\n";

static const char responses_stream[] =
	"event: response.created\ndata: {'type':'response.created','sequence_number':0,'response':{"
	"'id':'r','object':'response','model':'m','status':'in_progress','output':[]}}\n\n"
	"event: response.output_item.added\ndata: {'type':'response.output_item.added',"
	"'sequence_number':1,'output_index':0,'item':{'type':'message','id':'msg','role':'"
	"assistant',"
	"'status':'in_progress','content':[]}}\n\n"
	"event: response.output_text.delta\ndata: {'type':'response.output_text.delta',"
	"'sequence_number':2,'output_index':0,'content_index':0,'item_id':'msg','delta':'Hi',"
	"'logprobs':[" HI "]}\n\n"
	"event: response.output_text.delta\ndata: {'type':'response.output_text.delta',"
	"'sequence_number':3,'output_index':0,'content_index':0,'item_id':'msg','delta':'!',"
	"'logprobs':[" BANG "]}\n\n"
	"event: response.output_item.done\ndata: {'type':'response.output_item.done',"
	"'sequence_number':4,'output_index':0,'item':{'type':'message','id':'msg','role':'"
	"assistant',"
	"'status':'completed','content':[{'type':'output_text','text':'Hi!','annotations':[],"
	"'logprobs':[" HI "," BANG "]}]}}\n\n"
	"event: response.completed\ndata: {'type':'response.completed','sequence_number':5,"
	"'response':{'id':'r','object':'response','model':'m','status':'completed','output':[{"
	"'type':'message','id':'msg','role':'assistant','status':'completed','content':[{'type':"
	"'output_text','text':'Hi!','annotations':[],'logprobs':[" HI "," BANG "]}]}]}}\n\n";

/* A client's request in its own words, asking for them. */
struct front {
	const struct protocol *p;
	const char *asks;
	const char *pieces[2]; /* in a stream */
	const char *whole;
};

static const struct front fronts[] = {
	{ &protocol_openai_chat,
	  "{'model':'m','messages':[{'role':'user','content':'x'}],'logprobs':true,'top_logprobs':"
	  "1}",
	  { "'delta':{'content':'Hi'},'logprobs':{'content':[" HI "],'refusal':null}",
	    "'delta':{'content':'!'},'logprobs':{'content':[" BANG "],'refusal':null}" },
	  "'logprobs':{'content':[" HI "," BANG "],'refusal':null}" },
	{ &protocol_openai_completions,
	  "{'model':'m','prompt':'x','logprobs':1}",
	  { "'text':'Hi','logprobs':{'tokens':['Hi'],'token_logprobs':[-0.10],'top_logprobs':[{'Hi'"
	    ":"
	    "-0.10}],'text_offset':[0]}",
	    "'text':'!','logprobs':{'tokens':['!'],'token_logprobs':[-2],'top_logprobs':[{}],"
	    "'text_offset':[2]}" },
	  "'logprobs':{'tokens':['Hi','!'],'token_logprobs':[-0.10,-2],'top_logprobs':[{'Hi':-0.10}"
	  ","
	  "{}],'text_offset':[0,2]}" },
	{ &protocol_openai_responses,
	  "{'model':'m','input':'x','top_logprobs':1,'include':['message.output_text.logprobs']}",
	  { "'delta':'Hi','logprobs':[" HI "]", "'delta':'!','logprobs':[" BANG "]" },
	  "'logprobs':[" HI "," BANG "]" },
};

enum { N_FRONTS = sizeof(fronts) / sizeof(*fronts) };

static bool has(struct str text, struct arena *a, const char *what)
{
	return str_find(text, quotes(a, what)) >= 0;
}

/* The events on their way to a client, as a stream and folded. */
struct both {
	struct ir_sink sink;
	struct protocol_encoder *e;
	const struct protocol *p;
	struct buf out;
	struct ir_fold fold;
};

static int on_event(struct ir_sink *self, const struct ir_event *ev)
{
	struct both *b = (struct both *)self;
	int rc = b->p->encode_event(b->e, ev, &b->out);

	return rc ? rc : ir_emit(&b->fold.sink, ev);
}

static void check(const struct protocol *from, const char *text, bool whole, const struct front *to)
{
	struct arena *a = arena_new(1 << 22);
	struct both b = { .sink.event = on_event, .p = to->p };
	struct encoder_options o = { .arena = a, .id = STR("i"), .model = STR("m") };
	struct feed f = { .p = from, .sink = &b.sink };
	struct ir_request *asked;
	struct err err;
	struct buf body;

	buf_init(&b.out, 1 << 20);
	buf_init(&body, 1 << 20);
	ir_fold_init(&b.fold, a);
	assert_int_equal(to->p->decode_request(a, &request_line_plain, quotes(a, to->asks), &asked,
					       &err),
			 0);
	o.request = asked;
	b.e = to->p->encoder_new(&o);
	assert_int_equal(
		whole ? feed_body(&f, quotes(a, text)) : feed_stream(&f, quotes(a, text), 7), 0);
	if (!whole) {
		assert_true(has(buf_str(&b.out), a, to->pieces[0]));
		assert_true(has(buf_str(&b.out), a, to->pieces[1]));
	}
	assert_int_equal(to->p->encode_response(&o, &b.fold.response, &body), 0);
	assert_true(has(buf_str(&body), a, to->whole));
	buf_done(&b.out);
	buf_done(&body);
	arena_free(a);
}

static void trap_089_log_probabilities_reach_every_openai_dialect(void **state)
{
	for (unsigned i = 0; i < N_FRONTS; i++) {
		check(&protocol_openai_chat, chat_stream, false, &fronts[i]);
		check(&protocol_openai_chat, chat_body, true, &fronts[i]);
		check(&protocol_openai_completions, completions_stream, false, &fronts[i]);
		check(&protocol_openai_responses, responses_stream, false, &fronts[i]);
	}
}

/* --- Chat's own corners --- */

static int keep(struct ir_sink *self, const struct ir_event *ev)
{
	struct both *b = (struct both *)self;

	if (ev->kind == IR_DELTA && ev->delta == IR_DELTA_TEXT) {
		buf_put(&b->out, ev->text);
		buf_putc(&b->out, '=');
		buf_put(&b->out, str_present(ev->logprobs) ? ev->logprobs : STR("none"));
		buf_putc(&b->out, '\n');
	}
	return RC_OK;
}

static void check_deltas(const char *text, const char *want)
{
	struct arena *a = arena_new(1 << 20);
	struct both b = { .sink.event = keep };
	struct feed f = { .p = &protocol_openai_chat, .sink = &b.sink };

	buf_init(&b.out, 1 << 20);
	assert_int_equal(feed_stream(&f, quotes(a, text), 0), 0);
	CHECK_STR_IS(buf_str(&b.out), quotes(a, want));
	buf_done(&b.out);
	arena_free(a);
}

#define CHUNK(delta, logprobs)                                              \
	"data: {'id':'c','model':'m','choices':[{'index':0,'delta':{" delta \
	"},'logprobs':" logprobs ",'finish_reason':null}]}\n\n"
#define END "data: {'choices':[{'index':0,'delta':{},'finish_reason':'stop'}]}\n\ndata: [DONE]\n\n"

/* A token that is half a character makes no text; its probability goes with the text it is a part of. */
static void a_token_without_text_goes_with_the_next(void **state)
{
	check_deltas(CHUNK("'content':''", "{'content':[{'token':'\\\\xf0'}]}")
			     CHUNK("'content':'ok'", "{'content':[{'token':'ok'}]}") END,
		     "ok=[{'token':'\\\\xf0'},{'token':'ok'}]\n");
}

/* Text that waits behind a call whose brackets are open keeps its own. */
static void held_text_keeps_its_probabilities(void **state)
{
	check_deltas(
		CHUNK("'tool_calls':[{'index':0,'id':'a','function':{'name':'f','arguments':'{'}}]",
		      "null") CHUNK("'content':'x'", "{'content':[1]}") CHUNK("'content':'y'",
									      "{'content':[2]}")
			CHUNK("'tool_calls':[{'index':0,'function':{'arguments':'}'}}]", "null")
				END,
		"xy=[1,2]\n");
}

static void reasoning_has_none_and_a_refusal_its_own_list(void **state)
{
	check_deltas(CHUNK("'reasoning_content':'hm','content':'a'", "{'content':[1]}")
			     CHUNK("'refusal':'no'", "{'content':null,'refusal':[2]}") END,
		     "hm=none\na=[1]\nno=[2]\n");
}

static void a_refusals_list_is_written_as_one(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct ir_block b = { .kind = IR_BLOCK_REFUSAL,
			      .text = STR("no"),
			      .logprobs = STR("[{\"token\":\"no\"}]") };
	struct ir_response r = { .id = STR("i"),
				 .model = STR("m"),
				 .blocks = &b,
				 .n_blocks = 1,
				 .usage = IR_USAGE_NONE,
				 .stop = IR_STOP_REFUSAL };
	struct encoder_options o = { .arena = a, .id = STR("i"), .model = STR("m") };
	struct client_tape c;
	struct buf body;

	buf_init(&body, 1 << 16);
	client_init(&c, &protocol_openai_chat, false);
	assert_int_equal(ir_unfold(&r, &c.sink), 0);
	assert_true(has(buf_str(&c.out), a,
			"{'refusal':'no'},'logprobs':{'content':null,'refusal':[{'token':'no'}]}"));
	assert_int_equal(protocol_openai_chat.encode_response(&o, &r, &body), 0);
	assert_true(
		has(buf_str(&body), a, "'logprobs':{'content':null,'refusal':[{'token':'no'}]}"));
	client_done(&c);
	buf_done(&body);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trap_089_log_probabilities_reach_every_openai_dialect),
		cmocka_unit_test(a_token_without_text_goes_with_the_next),
		cmocka_unit_test(held_text_keeps_its_probabilities),
		cmocka_unit_test(reasoning_has_none_and_a_refusal_its_own_list),
		cmocka_unit_test(a_refusals_list_is_written_as_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
