/* protocols/openai_completions/response_encode.c - events as pieces of a text, and a whole answer as text_completion.
 *
 * The hard thing is `echo`: the prompt stands before the answer, though no upstream sent it. Only text has a place here; what a
 * model thinks to itself has none. */
#include "protocols/openai_completions/openai_completions.h"

#include "base/utf8.h"
#include "wire/sse.h"

enum { HEAD_MAX = 1 << 20 };

struct protocol_encoder {
	struct str head;       /* `data: {"id":...,"choices":[{"index":0,"text":"` */
	struct str usage_head; /* the same up to `"choices":[],"usage":` */
	struct str echo;       /* the prompt, where it is asked for; else absent */
	bool include_usage;
	bool logprobs, top; /* asked for; with alternatives */
	struct ir_usage usage;
	int64_t offset; /* characters sent so far whose tokens were counted */
};

/* --- what was asked --- */

/* The prompt as it has to stand before that answer; absent when it was not asked for. With several prompts the first `n` answers are
 * to the first of them, and so on. */
static struct str echo_of(const struct encoder_options *o, unsigned choice)
{
	const struct ir_request *r = o->request;
	const struct ir_message *prompt;
	int64_t i;

	if (!r || o->asked_itself || !ot_minted(r->origin) ||
	    !json_bool(json_get(r->body, STR("echo")), false))
		return STR_NONE;
	i = choice / ir_request_answers(r);
	prompt = i < r->n_prompts ? &r->prompts[i] : r->messages;
	return prompt->parts[0].text;
}

static bool wants_top(const struct ir_request *r)
{
	return r && r->top_logprobs != IR_UNSET && r->top_logprobs > 0;
}

static const char *stop_name(enum ir_stop s)
{
	switch (s) {
	case IR_STOP_END:
	case IR_STOP_SEQUENCE:
	case IR_STOP_TOOL_CALLS: /* cannot be: no tools were offered */
	case IR_STOP_PAUSE:
		return "stop";
	case IR_STOP_LENGTH:
	case IR_STOP_CONTEXT:
		return "length";
	case IR_STOP_REFUSAL:
		return "content_filter";
	}
	return "stop";
}

/* --- streams --- */

static void put_envelope(struct jw *w, const struct encoder_options *o)
{
	jw_kstr(w, "id", o->id);
	jw_kcstr(w, "object", "text_completion");
	jw_ki64(w, "created", o->created_s);
	jw_kstr(w, "model", o->model);
}

/* Up to `before`, the number unless it is negative, `after`. */
static struct str prefix(const struct encoder_options *o, const char *before, int64_t number,
			 const char *after)
{
	struct buf b;
	struct jw w;
	struct str head;

	buf_init(&b, HEAD_MAX);
	sse_put_head(&b, NULL);
	w = jw_on(&b);
	jw_obj(&w);
	put_envelope(&w, o);
	buf_puts(&b, before);
	if (number >= 0)
		buf_put_u64(&b, (uint64_t)number);
	buf_puts(&b, after);
	head = buf_ok(&b) ? arena_dup(o->arena, buf_str(&b)) : STR_NONE;
	buf_done(&b);
	return head;
}

struct protocol_encoder *ot_encoder_new(const struct encoder_options *o)
{
	struct protocol_encoder *e = arena_alloc(o->arena, sizeof(*e));

	if (!e)
		return NULL;
	e->include_usage = o->include_usage;
	e->usage = IR_USAGE_NONE;
	e->head = prefix(o, ",\"choices\":[{\"index\":", o->choice, ",\"text\":\"");
	e->usage_head = prefix(o, ",\"choices\":[],\"usage\":", -1, "");
	e->echo = echo_of(o, o->choice);
	e->logprobs = o->request && o->request->logprobs == IR_TRUE;
	e->top = wants_top(o->request);
	e->offset = utf8_count(e->echo);
	return e->head.ptr && e->usage_head.ptr ? e : NULL;
}

static int put_chunk(struct protocol_encoder *e, struct str text, struct str logprobs,
		     const char *finish, struct buf *out)
{
	struct jw w = jw_on(out);
	int rc;

	buf_put(out, e->head);
	json_escape(out, text);
	buf_puts(out, "\",\"logprobs\":");
	rc = ot_logprobs_write(&w, e->logprobs ? logprobs : STR_NONE, e->top, &e->offset);
	buf_puts(out, ",\"finish_reason\":");
	if (finish) {
		buf_putc(out, '"');
		buf_puts(out, finish);
		buf_putc(out, '"');
	} else {
		buf_puts(out, "null");
	}
	buf_puts(out, e->include_usage ? "}],\"usage\":null}" : "}]}");
	sse_put_end(out);
	return rc;
}

static int put_delta(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	bool said = ev->block == IR_BLOCK_TEXT || ev->block == IR_BLOCK_REFUSAL;

	if (ev->delta != IR_DELTA_TEXT || !said || ev->text.len == 0)
		return RC_OK;
	return put_chunk(e, ev->text, ev->logprobs, NULL, out);
}

static int put_finish(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	struct jw w = jw_on(out);
	int rc = put_chunk(e, STR(""), STR_NONE, stop_name(ev->stop), out);

	if (ev->more)
		return rc;
	if (e->include_usage) {
		buf_put(out, e->usage_head);
		oc_usage_write(&w, &e->usage);
		buf_puts(out, "}");
		sse_put_end(out);
	}
	buf_puts(out, "data: [DONE]\n\n");
	return rc;
}

int ot_encode_event(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	int rc = RC_OK;

	switch (ev->kind) {
	case IR_START:
		ir_usage_merge(&e->usage, &ev->usage);
		if (e->echo.len)
			rc = put_chunk(e, e->echo, STR_NONE, NULL, out);
		break;
	case IR_OPEN:
	case IR_CLOSE:
		break;
	case IR_DELTA:
		rc = put_delta(e, ev, out);
		break;
	case IR_USAGE:
		ir_usage_merge(&e->usage, &ev->usage);
		break;
	case IR_FINISH:
		rc = put_finish(e, ev, out);
		break;
	case IR_ERROR:
		oc_encode_stream_error(ev->error, STR_NONE, FRAMING_SSE, true, out);
		break;
	case IR_PING:
		break;
	}
	if (rc)
		return rc;
	return buf_ok(out) ? RC_OK : RC_NOMEM;
}

/* --- the whole answer --- */

static bool is_said(const struct ir_block *b)
{
	return b->kind == IR_BLOCK_TEXT || b->kind == IR_BLOCK_REFUSAL;
}

static int put_choice(struct jw *w, const struct encoder_options *o, const struct ir_response *r)
{
	struct str echo = echo_of(o, r->choice), logprobs = STR_NONE;
	int64_t offset = utf8_count(echo);
	int rc = RC_OK;

	if (o->request && o->request->logprobs == IR_TRUE)
		rc = oc_logprobs_all(o->arena, r, IR_BLOCK_TEXT, &logprobs);
	if (rc)
		return rc;
	jw_obj(w);
	jw_ki64(w, "index", r->choice);
	jw_key(w, "text");
	jw_raw(w, STR("\""));
	json_escape(w->out, echo);
	for (unsigned i = 0; i < r->n_blocks; i++) {
		if (is_said(&r->blocks[i]))
			json_escape(w->out, r->blocks[i].text);
	}
	buf_putc(w->out, '"');
	jw_key(w, "logprobs");
	rc = ot_logprobs_write(w, logprobs, wants_top(o->request), &offset);
	jw_kcstr(w, "finish_reason", stop_name(r->stop));
	jw_end_obj(w);
	return rc;
}

int ot_encode_response(const struct encoder_options *o, const struct ir_response *r,
		       struct buf *out)
{
	struct jw w = jw_on(out);
	int rc = RC_OK;

	jw_obj(&w);
	put_envelope(&w, o);
	jw_key(&w, "choices");
	jw_arr(&w);
	for (const struct ir_response *c = r; !rc && c; c = c->next)
		rc = put_choice(&w, o, c);
	jw_end_arr(&w);
	jw_key(&w, "usage");
	oc_usage_write(&w, &r->usage);
	jw_end_obj(&w);
	if (rc)
		return rc;
	return buf_ok(out) ? RC_OK : RC_NOMEM;
}
