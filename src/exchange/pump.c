/* exchange/pump.c - the answer on its way: upstream bytes in, client bytes out.
 *
 *	relay:      frame -> tap -------------------------------------> the same bytes
 *	translate:  frame -> decoder -> grammar -> (prefill, forced tool, stop) -> fit -> encoder -> client bytes
 *	whole body: the same events, folded (client does not stream) or streamed
 *	n answers:  all of it n times, each decoder and encoder with its own number
 *	m prompts:  all of it m times, one after another (prompts.c)
 *
 * The hard thing is the commit gate: until the first meaningful event the client's bytes are held, and a failure may
 * still go to the next target. After it a failure becomes the client's own terminal error, never a made-up end.
 * What one upstream read brought goes out in one write.
 */
#include "exchange/exchange_impl.h"

#include "base/clock.h"
#include "json/scan.h"

enum {
	SCRATCH_MAX = 256 * 1024 * 1024, /* a parsed event of the longest kind */
	HELD_MAX = 64 * 1024 * 1024,
};

/* --- setting up for one attempt --- */

static int sink_event(struct ir_sink *sink, const struct ir_event *ev);

/* The sinks between the decoder and the pump, the last first; returns the first. NULL: memory is out. */
static struct ir_sink *set_up_sinks(struct exchange *x, struct choice *c)
{
	struct ir_sink *first = &c->sink;
	const struct ir_request *r = x->ir;

	c->sink.event = sink_event;
	ir_fit_init(&c->fit, x->pump.arena, x->match.protocol->name, x->match.protocol->pictures, r,
		    &x->losses, first);
	first = &c->fit.sink;
	if (r && forward_cuts_stops(r, x->target)) {
		if (ir_stop_cut_init(&c->stop_cut, x->pump.arena, r, first) != RC_OK)
			return NULL;
		first = &c->stop_cut.sink;
	}
	if (x->forced) {
		if (ir_forced_tool_init(&c->forced, x->pump.arena, r, first) != RC_OK)
			return NULL;
		first = &c->forced.sink;
	}
	if (r && (x->target->account->quirks & QUIRK_REPEATS_PREFILL)) {
		ir_prefill_init(&c->prefill, ir_prefill_words(r), first);
		first = &c->prefill.sink;
	}
	ir_grammar_init(&c->grammar, first);
	return &c->grammar.sink;
}

struct encoder_options pump_encoder_options(const struct exchange *x, struct arena *a)
{
	return (struct encoder_options){
		.arena = a,
		.id = x->response_id,
		.request = x->ir,
		.asked_itself = x->reformed,
		.framing = x->peek.framing,
		.model = x->peek.model,
		.created_s = x->created_s,
		.now_s = clock_wall_s,
		.include_usage = x->peek.include_usage || !x->peek.stream,
		.request_id = x->id,
	};
}

static struct decoder_options decoder_options(struct exchange *x, unsigned choice)
{
	struct pump *p = &x->pump;

	return (struct decoder_options){
		.arena = p->arena,
		.scratch = p->scratch,
		.sink = &p->choices[choice].grammar.sink,
		.request = x->ir,
		.quirks = x->target->account->quirks,
		.minter = x->target->account->minter,
		.choice = choice,
	};
}

static int set_up_choice(struct exchange *x, unsigned i)
{
	struct choice *c = &x->pump.choices[i];
	struct encoder_options e = pump_encoder_options(x, x->pump.arena);
	struct decoder_options d = decoder_options(x, i);

	c->x = x;
	if (!set_up_sinks(x, c))
		return RC_NOMEM;
	c->decoder = x->target->protocol->decoder_new(&d);
	e.choice = x->pump.first_choice + i;
	e.lead = x->pump.choices[0].encoder;
	if (x->peek.stream)
		c->encoder = x->match.protocol->encoder_new(&e);
	else
		ir_fold_init(&c->fold, x->pump.arena);
	return c->decoder && (c->encoder || !x->peek.stream) ? RC_OK : RC_NOMEM;
}

/* So many answers come in what the target sends. One that speaks the client's protocol answers all prompts at once. */
static int64_t answers_to_come(const struct exchange *x)
{
	int64_t n = x->ir ? ir_request_answers(x->ir) : 1;

	if (n > IR_CHOICES_MAX)
		return n;
	return x->ir && x->ir->n_prompts > 1 && !x->prompts.apart ? n * x->ir->n_prompts : n;
}

static int set_up_translation(struct exchange *x)
{
	struct pump *p = &x->pump;
	int64_t n = answers_to_come(x);
	int rc = RC_OK;

	if (n > IR_CHOICES_MAX)
		return RC_TOOBIG;
	p->choices = &p->first;
	p->n_choices = (unsigned)n;
	p->first_choice = prompts_first_choice(x);
	p->several = n > 1 || x->prompts.apart;
	if (n > 1)
		p->choices = arena_array(p->arena, p->n_choices, sizeof(*p->choices));
	if (!p->choices)
		return RC_NOMEM;
	for (unsigned i = 0; !rc && i < p->n_choices; i++)
		rc = set_up_choice(x, i);
	return rc;
}

static int set_up(struct exchange *x)
{
	struct pump *p = &x->pump;

	if (p->ready)
		return RC_OK;
	p->arena = attempt_arena(x->attempt);
	p->scratch = arena_new(SCRATCH_MAX);
	p->tap.arena = p->arena;
	p->tap.usage = IR_USAGE_NONE;
	p->tap.hide_usage = x->relay && forward_asks_usage(x, x->target);
	buf_init(&p->tap.scratch, x->snapshot->max_event);
	buf_init(&p->held, HELD_MAX);
	if (!p->scratch)
		return RC_NOMEM;
	p->ready = true;
	if (x->relay || x->match.line.op != IR_OP_GENERATE)
		return RC_OK;
	return exchange_mint_id(x) == RC_OK ? set_up_translation(x) : RC_NOMEM;
}

/* False: the exchange is over. */
static bool set_up_or_end(struct exchange *x)
{
	int rc = set_up(x);

	if (rc)
		outcome_failed(x, OUTCOME_NO_MEMORY,
			       rc == RC_TOOBIG
				       ? "more answers in it than can be put into another form"
				       : NULL);
	return rc == RC_OK;
}

void pump_done(struct pump *p)
{
	if (p->scratch) {
		arena_free(p->scratch);
		buf_done(&p->tap.scratch);
		buf_done(&p->held);
	}
	memset(p, 0, sizeof(*p));
}

/* --- towards the client --- */

static const struct str stream_types[] = {
	[FRAMING_SSE] = STR_INIT("text/event-stream; charset=utf-8"),
	[FRAMING_NDJSON] = STR_INIT("application/x-ndjson"),
	[FRAMING_JSON_ARRAY] = STR_INIT("application/json; charset=utf-8"),
};

static void send_head(struct exchange *x)
{
	struct http_field fields[MAX_ANSWER_FIELDS];
	unsigned n;

	if (x->head_sent)
		return;
	n = answer_fields(x, fields, stream_types[x->peek.framing], true);
	fields[n++] = (struct http_field){ STR("cache-control"), STR("no-store") };
	fields[n++] = (struct http_field){ STR("x-accel-buffering"), STR("no") };
	x->losses_told = x->losses.n;
	x->head_sent = true;
	x->record.status = 200;
	x->record.first_byte_us = clock_mono_us();
	outlet_head(x->out, 200, fields, n);
}

/* Where client bytes go now. */
static struct buf *out(struct exchange *x)
{
	return x->committed ? outlet_buf(x->out) : &x->pump.held;
}

static void commit(struct exchange *x)
{
	if (x->committed)
		return;
	send_head(x);
	x->committed = true;
	outlet_write(x->out, buf_str(&x->pump.held));
	buf_done(&x->pump.held);
}

static void flush(struct exchange *x)
{
	x->last_sent_ms = loop_now_ms(x->env->loop);
	outlet_flush(x->out);
	if (x->over || x->paused || outlet_pending(x->out) <= x->snapshot->stream_high)
		return;
	x->paused = true;
	attempt_pause(x->attempt);
}

void pump_drained(struct exchange *x)
{
	if (!x->paused)
		return;
	x->paused = false;
	if (x->attempt)
		attempt_resume(x->attempt);
}

void pump_keepalive(struct exchange *x)
{
	if (x->paused || x->match.line.op != IR_OP_GENERATE)
		return;
	send_head(x);
	x->match.protocol->encode_ping(x->peek.framing, x->committed, outlet_buf(x->out));
	flush(x);
}

/* What got lost when the head was out already stands behind the body. Returns how many fields that is. */
static unsigned late_losses(const struct exchange *x, struct http_field *ret)
{
	struct ir_losses late = x->losses;

	if (late.n <= x->losses_told)
		return 0;
	late.names += x->losses_told;
	late.n -= x->losses_told;
	*ret = (struct http_field){ STR("x-llm-gateway-dropped"), ir_losses_text(&late) };
	return ret->value.len > 0;
}

static void answer_folded(struct exchange *x);
static bool next_prompt(struct exchange *x);

/* The answer is whole and everything of it was handed over. */
static void finish(struct exchange *x)
{
	struct outlet to = x->out;
	struct http_field late;
	unsigned n_late;

	if (!x->pump.errored)
		outcome_ok(x);
	if (x->prompts.apart && next_prompt(x))
		return;
	if (!x->relay && !x->pump.choices[0].encoder) {
		answer_folded(x);
		return;
	}
	commit(x);
	attempt_detach(x->attempt, &x->env->detached);
	x->attempt = NULL;
	if (x->pump.errored) { /* as after an error of our own: no proper end */
		exchange_over(x, "upstream_error");
		outlet_abort(to);
		return;
	}
	n_late = late_losses(x, &late);
	exchange_over(x, "ok");
	outlet_end_with(to, &late, n_late);
}

/* --- events of the upstream --- */

/* One event of an answer goes to the client, or where the answer is made whole. */
static int tell(struct choice *c, const struct ir_event *ev)
{
	struct exchange *x = c->x;
	size_t before;

	if (!c->encoder)
		return c->fold.sink.event(&c->fold.sink, ev);
	before = buf_len(out(x));
	if (x->match.protocol->encode_event(c->encoder, ev, out(x)) != RC_OK)
		return RC_NOMEM;
	if (ev->kind == IR_FINISH) {
		proofs_see_told(x, str_from_offset(buf_str(out(x)), before));
		turns_keep_frames(x, str_from_offset(buf_str(out(x)), before));
	}
	if (ev->kind == IR_DELTA || ev->kind == IR_CLOSE || ev->kind == IR_FINISH)
		commit(x);
	return RC_OK;
}

/* Of several answers none is over for the client before all are: only behind the last stands the end of the whole. */
static int hold_end(struct choice *c, const struct ir_event *ev)
{
	c->end = *ev;
	if (!str_present(ev->stop_sequence))
		return RC_OK;
	c->end.stop_sequence = arena_dup(c->x->pump.arena, ev->stop_sequence);
	return str_present(c->end.stop_sequence) ? RC_OK : RC_NOMEM;
}

/* Those that came are whole: what each of them held back. A provider may make fewer than it was asked for. */
static int end_choices(struct exchange *x)
{
	struct pump *p = &x->pump;
	struct ir_event usage = { .kind = IR_USAGE, .usage = x->record.usage };
	unsigned left = 0;
	int rc = RC_OK;

	for (unsigned i = 0; i < p->n_choices; i++)
		left += p->choices[i].finished;
	for (unsigned i = 0; !rc && i < p->n_choices; i++) {
		struct choice *c = &p->choices[i];

		if (!c->finished)
			continue;
		c->end.more = --left > 0 || prompts_more(x);
		rc = tell(c, &usage);
		if (!rc)
			rc = tell(c, &c->end);
	}
	p->finished = true;
	return rc;
}

static void count(struct exchange *x, const struct ir_usage *usage)
{
	if (x->prompts.apart)
		prompts_count(x, usage);
	else
		ir_usage_merge(&x->record.usage, usage);
}

/* Last of the sinks: canonical events, in order. */
static int sink_event(struct ir_sink *sink, const struct ir_event *ev)
{
	struct choice *c = LIST_ENTRY(sink, struct choice, sink);
	struct exchange *x = c->x;
	struct pump *p = &x->pump;

	if (ev->kind == IR_START || ev->kind == IR_USAGE)
		count(x, &ev->usage);
	if (ev->kind == IR_ERROR) {
		p->errored = true;
		p->error = *ev->error;
		p->error.message = arena_dup(p->arena, ev->error->message);
		p->error.code = arena_dup(p->arena, ev->error->code);
		p->error.param = arena_dup(p->arena, ev->error->param);
		p->error.type = arena_dup(p->arena, ev->error->type);
		return RC_OK; /* who called the decoder decides what becomes of it */
	}
	if (ev->kind == IR_FINISH) {
		c->finished = true;
		if (p->several)
			return hold_end(c, ev);
		p->finished = true;
	}
	return tell(c, ev);
}

/* The decoder of an answer met an error event, or what it read makes no sense. True: the exchange went another way. */
static bool decoded_badly(struct exchange *x, const struct choice *c, int rc, const struct err *e)
{
	struct pump *p = &x->pump;

	if (p->errored)
		outcome_error(x, OUTCOME_ERROR_EVENT, &p->error);
	else if (rc == RC_NOMEM || rc == RC_TOOBIG)
		outcome_failed(x, OUTCOME_NO_MEMORY, NULL);
	else if (rc == RC_CLOSED)
		outcome_failed(x, OUTCOME_CUT, NULL);
	else if (rc != RC_OK)
		outcome_failed(x, OUTCOME_NONSENSE, c->grammar.breach ? c->grammar.breach : e->msg);
	else
		return false;
	return true;
}

/* Several answers in one frame: each decoder looks for its own. */
static int translate_for_all(struct exchange *x, const struct frame *ev)
{
	struct pump *p = &x->pump;
	unsigned n_finished = 0;
	int rc = RC_OK;

	for (unsigned i = 0; i < p->n_choices; i++) {
		struct choice *c = &p->choices[i];
		struct err e = { 0 };

		if (!c->finished)
			rc = x->target->protocol->decode_event(c->decoder, ev, &e);
		arena_reset(p->scratch);
		if (decoded_badly(x, c, rc, &e))
			return -1;
		n_finished += c->finished;
	}
	if (n_finished < p->n_choices)
		return 0;
	rc = end_choices(x);
	return decoded_badly(x, &p->first, rc, &(struct err){ 0 }) ? -1 : 0;
}

static int translate_event(struct exchange *x, const struct frame *ev)
{
	struct choice *c = x->pump.choices;
	struct err e = { 0 };
	int rc;

	if (x->pump.several)
		return translate_for_all(x, ev);
	rc = x->target->protocol->decode_event(c->decoder, ev, &e);
	arena_reset(x->pump.scratch);
	return decoded_badly(x, c, rc, &e) ? -1 : 0;
}

static void pass_frame(struct exchange *x, const struct frame *ev)
{
	struct str ours;

	if (!x->match.protocol->keeps_turns) {
		buf_put(out(x), ev->raw);
		return;
	}
	ours = turns_rewrite(x, x->pump.scratch, ev);
	if (str_present(ours)) {
		buf_put(out(x), ours);
		turns_keep_frames(x, ours);
	} else {
		buf_put(out(x), ev->raw);
		turns_keep_frame(x, ev);
	}
	arena_reset(x->pump.scratch);
}

static int relay_event(struct exchange *x, const struct frame *ev)
{
	struct pump *p = &x->pump;
	unsigned flags = x->target->protocol->tap_event(&p->tap, p->scratch, ev);

	arena_reset(p->scratch);
	if (flags & TAP_ERROR) {
		if (!x->committed) {
			outcome_error(x, OUTCOME_ERROR_EVENT, &p->tap.error);
			return -1;
		}
		outcome_note(x, OUTCOME_ERROR_EVENT);
		p->errored = p->finished = true; /* it is the last thing the client hears */
	}
	if ((flags & TAP_END) && !x->committed && !p->tap.finished) {
		outcome_failed(x, OUTCOME_NONSENSE, "it ended without an answer");
		return -1;
	}
	if (flags & (TAP_MEANINGFUL | TAP_END))
		commit(x);
	if (flags & TAP_EDIT) { /* of no protocol that keeps turns */
		buf_put(out(x), p->tap.edited);
		buf_put(out(x), p->tap.edited_rest);
	} else if (!(flags & TAP_DROP)) {
		pass_frame(x, ev);
	}
	if (!x->committed && !buf_ok(&p->held)) {
		outcome_failed(x, OUTCOME_NO_BEGINNING, NULL);
		return -1;
	}
	if (flags & TAP_END)
		p->finished = true;
	return 0;
}

/*
 * Some servers stream whatever was asked for, or never do: the client gets the form it asked for, by translation. That repeats
 * what was asked, which a relay had no need to read; what cannot be read is not repeated, for the answer is here.
 */
static void mind_form(struct exchange *x, bool streamed)
{
	struct err ignored = { 0 };

	if (x->match.line.op != IR_OP_GENERATE)
		return;
	if (streamed == x->peek.stream &&
	    (!streamed || attempt_framing(x->attempt) == x->peek.framing))
		return;
	if (x->relay && (forward_read_request(x, &ignored) != RC_OK || !turns_asked(x)))
		x->ir = NULL;
	x->reformed = x->relay;
	x->relay = false;
}

static void on_answer(void *user)
{
	struct exchange *x = user;

	mind_form(x, true);
	x->record.reused = attempt_stats(x->attempt).reused;
	(void)set_up_or_end(x);
}

static int on_event(void *user, const struct frame *ev)
{
	struct exchange *x = user;

	if (x->pump.finished)
		return 0; /* after its own end nothing counts */
	proofs_see_event(x, ev);
	return x->relay ? relay_event(x, ev) : translate_event(x, ev);
}

static void on_read_done(void *user)
{
	struct exchange *x = user;

	if (x->pump.finished)
		finish(x);
	else if (x->committed)
		flush(x);
}

/* The decoders hear that nothing more comes. An answer that never began was never made. */
static void translate_end(struct exchange *x)
{
	struct pump *p = &x->pump;
	int rc = RC_OK;

	for (unsigned i = 0; i < p->n_choices; i++) {
		struct choice *c = &p->choices[i];
		struct err e = { 0 };

		if (c->finished || (i > 0 && !c->grammar.started))
			continue;
		rc = x->target->protocol->decode_end(c->decoder, &e);
		if (decoded_badly(x, c, rc, &e))
			return;
	}
	if (p->several)
		rc = end_choices(x);
	if (!decoded_badly(x, &p->first, rc, &(struct err){ 0 }))
		finish(x);
}

/* The body of a stream has ended. */
static void on_end(void *user)
{
	struct exchange *x = user;
	struct pump *p = &x->pump;

	if (p->finished) {
		finish(x);
		return;
	}
	if (x->target->protocol->end_required) {
		outcome_failed(x, OUTCOME_CUT, NULL);
	} else if (!x->relay) {
		translate_end(x);
	} else if (p->tap.finished) {
		finish(x);
	} else {
		outcome_failed(x, OUTCOME_CUT, NULL);
	}
}

/* --- whole answers --- */

void pump_whole_ok(struct exchange *x, struct str content_type, struct str body)
{
	struct str ours = turns_rewrite_body(x, x->arena, body);

	outcome_ok(x);
	if (str_present(ours))
		body = ours;
	if (x->compacts) {
		compact_answer(x, body);
		return;
	}
	turns_keep_body(x, body);
	answer_whole(x, 200, content_type, body, true, "ok");
}

static void relay_whole(struct exchange *x, struct str body)
{
	struct pump *p = &x->pump;
	unsigned flags;

	proofs_see_body(x, body);
	/* The tap only glances at a body. Where HTTP cannot tell a cut, the JSON must. */
	if (attempt_fields(x->attempt)->until_close && json_scan(body, NULL, 0, NULL) != RC_OK) {
		outcome_failed(x, OUTCOME_CUT, NULL);
		return;
	}
	flags = x->target->protocol->tap_body(&p->tap, p->scratch, body);
	x->record.usage = p->tap.usage;
	if (flags & TAP_ERROR) {
		outcome_error(x, OUTCOME_ERROR_BODY, &p->tap.error);
	} else if (!(flags & TAP_MEANINGFUL)) {
		outcome_failed(x, OUTCOME_NONSENSE, NULL);
	} else {
		pump_whole_ok(x, attempt_fields(x->attempt)->content_type, body);
	}
}

/* The answers that came, as one list. */
static const struct ir_response *folded(struct pump *p)
{
	struct ir_response *next = NULL;

	for (unsigned i = p->n_choices; i-- > 0;) {
		struct ir_response *r = &p->choices[i].fold.response;

		if (!p->choices[i].finished)
			continue;
		r->choice = p->first_choice + i;
		r->next = next;
		next = r;
	}
	return next;
}

static void answer_folded(struct exchange *x)
{
	struct encoder_options o = pump_encoder_options(x, x->pump.arena);
	const struct ir_response *r = x->prompts.apart ? prompts_answers(x) : folded(&x->pump);
	struct buf body;

	buf_init(&body, 2 * x->snapshot->max_response);
	if (x->match.protocol->encode_response(&o, r, &body) != RC_OK || !buf_ok(&body)) {
		outcome_failed(x, OUTCOME_NO_MEMORY, NULL);
	} else if (x->compacts) {
		compact_answer(x, buf_str(&body));
	} else {
		proofs_see_told(x, buf_str(&body));
		turns_keep_body(x, buf_str(&body));
		answer_whole(x, 200, STR("application/json"), buf_str(&body), true, "ok");
	}
	buf_done(&body);
}

/* One of several prompts has its answers. False: it was the last, and the whole can end. */
static bool next_prompt(struct exchange *x)
{
	bool streams = x->pump.choices[0].encoder;
	int rc = streams ? RC_OK : prompts_keep(x, folded(&x->pump));

	if (rc) {
		outcome_failed(x, OUTCOME_NO_MEMORY,
			       rc == RC_TOOBIG ? "those to all prompts together are longer than "
						 "server.max_response allows"
					       : NULL);
		return true;
	}
	if (!prompts_more(x))
		return false;
	if (streams)
		flush(x);
	if (!x->over)
		prompts_next(x);
	return true;
}

static void translate_whole(struct exchange *x, struct str body)
{
	struct pump *p = &x->pump;
	unsigned n_finished = 0;

	proofs_see_body(x, body);
	for (unsigned i = 0; i < p->n_choices; i++) {
		struct decoder_options d = decoder_options(x, i);
		struct err e = { 0 };
		int rc = x->target->protocol->decode_body(&d, body, &e);

		if (decoded_badly(x, &p->choices[i], rc, &e))
			return;
		n_finished += p->choices[i].finished;
	}
	if (n_finished == 0)
		outcome_failed(x, OUTCOME_NONSENSE, NULL);
	else if (p->several && end_choices(x) != RC_OK)
		outcome_failed(x, OUTCOME_NO_MEMORY, NULL);
	else
		finish(x);
}

static void on_body(void *user, struct str body)
{
	struct exchange *x = user;

	mind_form(x, false);
	x->record.reused = attempt_stats(x->attempt).reused;
	if (!set_up_or_end(x))
		return;
	if (x->match.line.op == IR_OP_EMBED)
		embed_answer(x, body);
	else if (x->match.line.op == IR_OP_COUNT_TOKENS)
		count_answer(x, body);
	else if (x->relay)
		relay_whole(x, body);
	else
		translate_whole(x, body);
}

/* --- other statuses and no answer at all: outcome.c --- */

static void on_status(void *user, int status, struct str body)
{
	struct exchange *x = user;

	x->record.reused = attempt_stats(x->attempt).reused;
	outcome_status(x, status, body);
}

static void on_fail(void *user, const struct attempt_fail *f)
{
	struct exchange *x = user;

	if (x->pump.finished) /* the answer was whole; how the connection ended does not matter */
		finish(x);
	else
		outcome_attempt(x, f);
}

const struct attempt_events pump_events = {
	.on_answer = on_answer,
	.on_event = on_event,
	.on_read_done = on_read_done,
	.on_end = on_end,
	.on_body = on_body,
	.on_status = on_status,
	.on_fail = on_fail,
};
