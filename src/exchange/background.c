/* exchange/background.c - `background: true`: a second exchange without a client makes the answer, and clients follow it.
 *
 * The client's exchange checks the request as far as it goes without a target, has the store keep that it was begun, starts the
 * runner, and answers with the queued resource or follows the runner's events. The runner is an exchange like any other that writes into a job (outlet.h); it always
 * asks for a stream, so that there is something to follow. Everything it works on is copied into an arena of its own, since the
 * client's request dies with its answer.
 */
#include "exchange/exchange_impl.h"

#include <stdlib.h>

#include "base/clock.h"
#include "json/scan.h"
#include "wire/framer.h"

/* --- opening a runner --- */

/* The body as the runner has it: streamed, and without `background` where the gateway must not pass it on. */
static struct str runner_body(struct arena *a, struct str body, bool passed_on)
{
	static const struct turn_member stream = { "stream", STR_INIT("true") };
	struct json_want w = { .key = "background" };
	struct str result = turn_set(a, body, &stream, 1);
	struct json_edit e;
	struct buf out;

	if (!str_present(result) || !passed_on)
		return result;
	if (json_scan(result, &w, 1, NULL) != RC_OK)
		return STR_NONE;
	e = json_edit_remove(result, w.member);
	buf_init(&out, result.len + 1);
	json_patch(&out, result, &e, 1);
	result = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
	buf_done(&out);
	return result;
}

static int peek_into(struct exchange *y, struct str body, struct request_peek *ret,
		     struct err *reterr)
{
	if (!str_present(body))
		return RC_NOMEM;
	*ret = (struct request_peek){ .body = body };
	return y->match.protocol->peek(y->arena, &y->match.line, body, ret, reterr);
}

static int copy_request(struct exchange *y, const struct exchange *x, struct err *reterr)
{
	struct arena *a = y->arena;
	int rc;

	y->head = http_head_copy(a, x->head);
	y->match = x->match;
	y->match.line.arg = arena_dup(a, x->match.line.arg);
	y->match.line.query = arena_dup(a, x->match.line.query);
	y->id = arena_dup(a, x->id);
	y->response_id = arena_dup(a, x->response_id);
	y->created_s = x->created_s;
	y->principal = x->principal;
	y->strict = x->strict;
	y->turn.ask = x->turn.ask;
	y->turn.ask.previous = arena_dup(a, x->turn.ask.previous);
	y->turn.ask.conversation = STR_NONE; /* as with the input: the job has it */
	y->turn.ask.input = STR_NONE;        /* the job has it */
	y->turn.recalled = x->turn.recalled;
	y->turn.known = true;
	y->turn.body = arena_dup(a, x->turn.body);
	y->turn.relay = arena_alloc(a, sizeof(*y->turn.relay));
	if (!y->head || !y->id.ptr || !y->response_id.ptr || !y->turn.body.ptr || !y->turn.relay)
		return RC_NOMEM;
	rc = peek_into(y, runner_body(a, x->peek.body, false), &y->peek, reterr);
	if (rc == RC_OK)
		rc = peek_into(y, runner_body(a, turns_relay_peek(x)->body, true), y->turn.relay,
			       reterr);
	y->pin = str_present(x->pin) ? arena_dup(a, x->pin) : y->peek.provider_pin;
	return rc;
}

static void cancel_runner(void *runner)
{
	exchange_cancel(runner);
}

static struct exchange *runner_new(struct exchange *x, struct err *reterr)
{
	struct arena *a = arena_new(x->snapshot->server.arena_max);
	struct exchange *y = a ? arena_alloc(a, sizeof(*y)) : NULL;

	if (!y) {
		arena_free(a);
		(void)err_set(reterr, RC_NOMEM, "out of memory");
		return NULL;
	}
	y->arena = a;
	y->env = x->env;
	y->record.start_us = clock_mono_us();
	y->record.usage = IR_USAGE_NONE;
	ir_losses_init(&y->losses, a);
	if (copy_request(y, x, reterr) != RC_OK) {
		arena_free(a);
		return NULL;
	}
	return y;
}

/* --- the resource before anything is known of its answer --- */

static int decode(struct exchange *x, struct err *reterr)
{
	int rc = forward_read_request(x, reterr);

	return rc == RC_OK && !turns_asked(x) ? RC_NOMEM : rc;
}

/* What the codec begins every stream with holds the resource: it is the queued one but for its status. */
static struct str queued_resource(struct exchange *x)
{
	static const struct turn_member queued[] = { { "status", STR_INIT("\"queued\"") },
						     { "background", STR_INIT("true") } };
	struct ir_event start = { .kind = IR_START, .usage = IR_USAGE_NONE };
	struct encoder_options o = pump_encoder_options(x, x->arena);
	struct str resource = STR_NONE;
	struct protocol_encoder *e;
	struct framer framer;
	struct frame f;
	struct buf out;
	size_t n;

	o.framing = FRAMING_SSE; /* whatever the client has asked for */
	e = x->match.protocol->encoder_new(&o);
	buf_init(&out, 2 * x->snapshot->max_body + 65536);
	framer_init(&framer, FRAMING_SSE, out.max);
	if (e && x->match.protocol->encode_event(e, &start, &out) == RC_OK && buf_ok(&out) &&
	    framer_next(&framer, buf_str(&out), &f, &n) == FRAMER_FRAME)
		resource = turn_get(f.data, "response");
	if (str_present(resource))
		resource = turn_set(x->arena, resource, queued, 2);
	framer_done(&framer);
	buf_done(&out);
	return resource;
}

static void refuse(struct exchange *x, enum ir_error_kind kind, struct str message)
{
	struct ir_error e = { .kind = kind, .message = message, .retry_after_ms = -1 };

	answer_error(x, &e, "refused");
}

static void start_runner(struct exchange *y, struct exchange *x)
{
	y->snapshot = snapshot_ref(x->snapshot);
	list_append(&y->env->live, &y->live);
	y->env->n_live++;
	exchange_keep_ticking(y->env);
	exchange_run_from_route(y);
}

static struct job *make_job(struct exchange *x, struct exchange *y, enum rc *reterr)
{
	struct job_options o = {
		.store = x->env->store,
		.turn = turns_turn(x, x->response_id, queued_resource(x)),
		.max_jobs = x->snapshot->responses.max_background,
		.max_bytes = 2 * x->snapshot->max_response,
		.loop = x->env->loop,
		.cancel = cancel_runner,
		.runner = y,
	};

	*reterr = RC_NOMEM;
	if (!str_present(o.turn.answer) || !str_present(o.turn.input))
		return NULL;
	return job_new(x->env->jobs, &o, reterr);
}

static void cannot_start(struct exchange *x, int rc, const struct err *e)
{
	struct ir_error error = forward_error_of(x, rc, e);

	answer_error(x, &error, "refused");
}

void background_drop(struct exchange *x)
{
	struct exchange *y = x->starting;

	if (!y)
		return;
	x->starting = NULL;
	job_drop(y->out.job);
	job_unref(y->out.job);
	arena_free(y->arena);
}

/* The store has it: from now on the client may know its id, for no crash can lose it any more. */
static void kept(void *user, const struct store_answer *a)
{
	struct exchange *x = user, *y = x->starting;
	struct job *job = y->out.job;

	x->turn.call = NULL;
	if (a->rc != RC_OK) {
		background_drop(x);
		turns_store_failed(x, a->rc,
				   "The request is longer than what this gateway keeps, which "
				   "'background' needs.");
		return;
	}
	x->starting = NULL;
	job_ref(job); /* for this client; the other one is the runner's */
	start_runner(y, x);
	if (x->peek.stream)
		background_follow(x, job, 0);
	else
		turns_answer_json(x, job_resource(job, x->arena));
	job_unref(job);
}

static enum step_result keep(struct exchange *x)
{
	struct store_wish w = { .loop = x->env->loop, .done = kept, .user = x };

	if (job_keep(x->starting->out.job, &w, &x->turn.call) == RC_OK)
		return WAIT;
	background_drop(x);
	turns_store_failed(x, RC_NOMEM, NULL);
	return DONE;
}

enum step_result background_start(struct exchange *x)
{
	struct err e = { 0 };
	struct exchange *y;
	enum rc why;
	int rc;

	if (!x->turn.ask.background || x->match.line.op != IR_OP_GENERATE || x->out.job)
		return NEXT;
	if (!x->turn.keep) {
		refuse(x, IR_ERR_INVALID_REQUEST,
		       STR("'background' needs answers to be kept, which this gateway is "
			   "configured not to do."));
		return DONE;
	}
	rc = exchange_mint_id(x);
	if (rc == RC_OK)
		rc = decode(x, &e);
	if (rc != RC_OK) {
		cannot_start(x, rc, &e);
		return DONE;
	}
	y = runner_new(x, &e);
	if (!y) {
		cannot_start(x, e.code, &e);
		return DONE;
	}
	y->out.job = make_job(x, y, &why);
	if (!y->out.job) {
		arena_free(y->arena);
		refuse(x, why == RC_TOOBIG ? IR_ERR_RATE_LIMIT : IR_ERR_UNAVAILABLE,
		       why == RC_TOOBIG ? STR("Too many background responses are under way. Try "
					      "again later.")
					: STR("The gateway is out of memory."));
		return DONE;
	}
	x->turn.keep = false; /* the job does that */
	x->starting = y;
	return keep(x);
}

/* --- following --- */

/* On the heap: what was posted may arrive when its exchange is over. */
struct following {
	struct exchange *x; /* NULL: over */
	struct job *job;
	struct job_follower follower;
	struct job_cursor at;
};

static void following_free(struct following *f)
{
	job_unref(f->job);
	free(f);
}

static void pull(struct following *f)
{
	struct exchange *x = f->x;
	struct outlet to = x->out;
	struct buf *out = outlet_buf(to);
	enum job_rest rest;

	if (outlet_pending(to) > x->snapshot->stream_high)
		return; /* on_drain comes back here */
	rest = job_read(f->job, &f->at, x->snapshot->stream_high, out);
	x->last_sent_ms = loop_now_ms(x->env->loop);
	if (rest == JOB_OVER) {
		buf_put(out, STR("data: [DONE]\n\n"));
		exchange_over(x, "ok");
		outlet_end(to);
		return;
	}
	outlet_flush(to);
	if (rest == JOB_MORE && outlet_pending(to) <= x->snapshot->stream_high)
		job_rouse(f->job, &f->follower); /* one piece a turn: others wait too */
}

static void woken(void *arg)
{
	struct following *f = arg;

	if (!f->x) {
		following_free(f);
		return;
	}
	job_woken(f->job, &f->follower);
	pull(f);
}

void background_drained(struct exchange *x)
{
	if (x->following)
		pull(x->following);
}

void background_keepalive(struct exchange *x)
{
	if (outlet_pending(x->out) > 0)
		return;
	x->match.protocol->encode_ping(FRAMING_SSE, true, outlet_buf(x->out));
	x->last_sent_ms = loop_now_ms(x->env->loop);
	outlet_flush(x->out);
}

void background_unfollow(struct exchange *x)
{
	struct following *f = x->following;

	if (!f)
		return;
	x->following = NULL;
	f->x = NULL;
	if (!job_unfollow(f->job, &f->follower))
		following_free(f); /* else woken() does */
}

void background_follow(struct exchange *x, struct job *job, uint64_t from)
{
	struct http_field fields[MAX_ANSWER_FIELDS];
	struct following *f = calloc(1, sizeof(*f));
	unsigned n;

	if (!f) {
		refuse(x, IR_ERR_UNAVAILABLE, STR("The gateway is out of memory."));
		return;
	}
	*f = (struct following){ .x = x, .job = job_ref(job), .at = { .from = from } };
	f->follower = (struct job_follower){ .loop = x->env->loop, .wake = woken, .arg = f };
	x->following = f;
	n = answer_fields(x, fields, STR("text/event-stream; charset=utf-8"), false);
	fields[n++] = (struct http_field){ STR("cache-control"), STR("no-store") };
	x->head_sent = x->committed = true;
	x->record.status = 200;
	x->record.first_byte_us = clock_mono_us();
	outlet_head(x->out, 200, fields, n);
	job_follow(job, &f->follower);
	pull(f);
}
