/* upstream/attempt.c - one upstream try over one http_call.
 *
 * The hard thing is who may still be on the stack: the owner may cancel from inside any callback, and the
 * call's callbacks may be the attempt's last. So the attempt's memory always ends through loop_free_later(), and every
 * callback that goes on after telling the owner looks at `over` first.
 */
#include "upstream/attempt.h"

#include "base/clock.h"
#include "engine/engine.h"
#include "upstream/answer_reader.h"
#include "upstream/pass_fields.h"

enum { DETACHED_MS = 1000 };

struct attempt {
	struct arena *arena;
	struct attempt_options o; /* .body and .snapshot are ours */
	struct attempt_events ev;
	void *user;
	struct upstream_request prepared;
	struct engine_wait *waiting;
	struct engine_lease *lease;
	struct http_call *call;
	struct http_call_stats stats; /* a copy once the call is over */
	struct attempt_fields fields;
	int status;
	struct answer_reader reader;
	bool paused, over, detached;
	uint64_t detached_until_ms;
	struct list in_detached;
	struct loop_dead dead;
};

static void attempt_free(struct loop_dead *dead)
{
	struct attempt *t = LIST_ENTRY(dead, struct attempt, dead);

	answer_reader_done(&t->reader);
	buf_done(&t->o.body);
	snapshot_unref(t->o.snapshot);
	arena_free(t->arena);
}

/* Every way out goes through here, once. */
static void attempt_over(struct attempt *t)
{
	if (t->over)
		return;
	t->over = true;
	list_remove(&t->in_detached);
	if (t->call)
		t->stats = *http_call_stats(t->call);
	t->call = NULL;
	if (t->waiting)
		engine_acquire_cancel(t->waiting);
	t->waiting = NULL;
	engine_release(t->lease);
	t->lease = NULL;
	loop_free_later(t->o.loop, &t->dead, attempt_free);
}

void attempt_cancel(struct attempt *t)
{
	struct http_call *call = t->call;

	if (t->over)
		return;
	attempt_over(t);
	if (call)
		http_call_cancel(call);
}

/* Ends the call if it still runs, then tells the owner: the last thing that happens. */
static void fail(struct attempt *t, struct attempt_fail f)
{
	attempt_cancel(t);
	f.error.retry_after_ms = f.error.retry_after_ms ? f.error.retry_after_ms : -1;
	t->ev.on_fail(t->user, &f);
}

static struct str account_says(struct attempt *t, const char *what)
{
	return arena_printf(t->arena, "Provider \"%.*s\" %s.", STR_ARG(t->o.account->name), what);
}

static void fail_local(struct attempt *t, enum attempt_failure kind, const char *name,
		       enum ir_error_kind error, const char *what)
{
	fail(t,
	     (struct attempt_fail){ .kind = kind,
				    .name = name,
				    .detail = str_from(what),
				    .error = { .kind = error, .message = account_says(t, what) } });
}

/* --- reading --- */

static int on_stream(void *user)
{
	struct attempt *t = user;

	t->ev.on_answer(t->user);
	return t->over;
}

static int on_frame(void *user, const struct frame *f)
{
	struct attempt *t = user;

	return t->ev.on_event(t->user, f) != 0 || t->over;
}

/* What reading came to, where it was not simply more. */
static void note(struct attempt *t, enum answer_result result)
{
	switch (result) {
	case ANSWER_OK:
	case ANSWER_STOPPED:
		break;
	case ANSWER_ENOUGH:
		attempt_cancel(t);
		t->ev.on_status(t->user, t->status, buf_str(&t->reader.body));
		break;
	case ANSWER_FRAME_BIG:
		fail_local(t, ATTEMPT_TOO_BIG, "event_too_big", IR_ERR_UPSTREAM,
			   "sent an event longer than server.max_event allows");
		break;
	case ANSWER_BODY_BIG:
		fail_local(t, ATTEMPT_TOO_BIG, "answer_too_big", IR_ERR_UPSTREAM,
			   "sent an answer longer than server.max_response allows");
		break;
	case ANSWER_NONSENSE:
		fail_local(t, ATTEMPT_TRANSPORT, "nonsense", IR_ERR_UPSTREAM,
			   "sent a stream that is no JSON list");
		break;
	case ANSWER_NOMEM:
		fail_local(t, ATTEMPT_NOMEM, "out_of_memory", IR_ERR_UNAVAILABLE,
			   "sent more than there is memory for");
		break;
	}
}

/* --- the call's callbacks --- */

static void call_head(void *user, const struct http_head *head)
{
	struct attempt *t = user;
	struct str type = http_field_get(head, STR("content-type"));

	t->status = head->status;
	t->fields.content_type = arena_dup(t->arena, type);
	t->fields.retry_after_ms = retry_after_ms(head, clock_wall_s());
	t->fields.until_close = !head->chunked && head->content_length < 0;
	pass_fields(t->arena, head, t->o.relay, &t->fields);
	note(t, answer_reader_head(&t->reader, head->status, type));
}

static void call_body(void *user, struct str bytes)
{
	struct attempt *t = user;

	if (t->detached && loop_now_ms(t->o.loop) > t->detached_until_ms)
		attempt_cancel(t); /* it is not silent, but does not end either */
	if (t->over || t->detached)
		return;
	note(t, answer_reader_bytes(&t->reader, bytes));
}

static void call_read_done(void *user)
{
	struct attempt *t = user;

	if (t->lease)
		engine_touch(t->lease);
	if (!t->over && !t->detached && t->ev.on_read_done)
		t->ev.on_read_done(t->user);
}

static void call_end(void *user)
{
	struct attempt *t = user;

	if (t->over)
		return;
	if (!t->detached)
		note(t, answer_reader_end(&t->reader));
	if (t->over) /* its owner wanted no more */
		return;
	attempt_over(t);
	if (t->detached)
		return;
	/* A frame that the upstream did not finish (WHATWG: with its blank line) is none: it is never passed on. */
	if (t->reader.shape == ANSWER_STREAM)
		t->ev.on_end(t->user);
	else if (t->reader.shape == ANSWER_STATUS)
		t->ev.on_status(t->user, t->status, buf_str(&t->reader.body));
	else
		t->ev.on_body(t->user, buf_str(&t->reader.body));
}

/* What the client is told about a connection that failed. */
static const struct {
	enum ir_error_kind kind;
	const char *what;
} transport_words[] = {
	[HTTP_FAIL_DNS] = { IR_ERR_UPSTREAM, "has a host name that cannot be resolved" },
	[HTTP_FAIL_CONNECT] = { IR_ERR_UPSTREAM,
				"cannot be reached (connection refused or no route)" },
	[HTTP_FAIL_CONNECT_TIMEOUT] = { IR_ERR_TIMEOUT,
					"did not accept a connection in time (timeouts.connect)" },
	[HTTP_FAIL_TLS] = { IR_ERR_UPSTREAM,
			    "failed the TLS handshake or its certificate is not trusted" },
	[HTTP_FAIL_TLS_TIMEOUT] = { IR_ERR_TIMEOUT,
				    "did not finish the TLS handshake in time (timeouts.tls)" },
	[HTTP_FAIL_WRITE] = { IR_ERR_UPSTREAM, "reset the connection" },
	[HTTP_FAIL_FIRST_BYTE_TIMEOUT] = { IR_ERR_TIMEOUT,
					   "did not answer in time (timeouts.first_byte)" },
	[HTTP_FAIL_IDLE_TIMEOUT] = { IR_ERR_TIMEOUT, "stopped sending in the middle of its answer "
						     "(timeouts.idle)" },
	[HTTP_FAIL_RESET] = { IR_ERR_UPSTREAM, "reset the connection" },
	[HTTP_FAIL_EOF] = { IR_ERR_UPSTREAM, "closed the connection before its answer was whole" },
	[HTTP_FAIL_PROTOCOL] = { IR_ERR_UPSTREAM, "did not answer in proper HTTP/1.1" },
	[HTTP_FAIL_ENCODING] = { IR_ERR_UPSTREAM, "sent a Content-Encoding that cannot be read" },
	[HTTP_FAIL_NOMEM] = { IR_ERR_UNAVAILABLE,
			      "could not be asked: the gateway is out of memory" },
};

static void call_error(void *user, enum http_failure f, struct str detail)
{
	struct attempt *t = user;

	if (t->over)
		return;
	attempt_over(t);
	if (t->detached)
		return;
	t->ev.on_fail(t->user,
		      &(struct attempt_fail){
			      .kind = ATTEMPT_TRANSPORT,
			      .http = f,
			      .name = http_failure_name(f),
			      .detail = detail,
			      .error = { .kind = transport_words[f].kind,
					 .message = account_says(t, transport_words[f].what),
					 .retry_after_ms = -1 },
		      });
}

static const struct http_call_events call_events = {
	.on_head = call_head,
	.on_body = call_body,
	.on_end = call_end,
	.on_error = call_error,
	.on_read_done = call_read_done,
};

/* --- start --- */

static struct http_deadlines deadlines_of(const struct attempt *t)
{
	return t->o.account->deadlines ? *t->o.account->deadlines : t->o.snapshot->deadlines;
}

static bool start_call(struct attempt *t, const struct origin *origin)
{
	struct http_call_options o = {
		.origin = origin,
		.method = t->prepared.method,
		.path = t->prepared.path,
		.fields = t->prepared.fields,
		.n_fields = t->prepared.n_fields,
		.body = buf_str(&t->o.body),
		.deadlines = deadlines_of(t),
	};

	t->call = http_call_start(t->o.client, &o, &call_events, t);
	if (t->call && t->paused)
		http_call_pause(t->call);
	return t->call != NULL;
}

/* The local model is up, or will not be. */
static void engine_ready(void *user, struct engine_lease *lease, const struct ir_error *error)
{
	struct attempt *t = user;

	t->waiting = NULL;
	if (!lease) {
		fail(t, (struct attempt_fail){ .kind = ATTEMPT_ENGINE,
					       .name = "engine",
					       .detail = error->message,
					       .error = *error });
		return;
	}
	t->lease = lease;
	if (t->o.keeps)
		engine_keep(lease, t->o.keep_alive_ms);
	if (!start_call(t, &lease->origin))
		fail_local(t, ATTEMPT_NOMEM, "out_of_memory", IR_ERR_UNAVAILABLE,
			   "could not be asked: the gateway is out of memory");
}

static int begin_local(struct attempt *t, struct err *reterr)
{
	struct engine_acquire_options o = {
		.account = t->o.account->name,
		.model = t->o.model,
		.loop = t->o.loop,
		.done = engine_ready,
		.user = t,
	};
	int rc;

	if (!t->o.engine)
		return err_set(reterr, RC_UNSUPPORTED, "This gateway runs without a local engine.");
	rc = engine_acquire(t->o.engine, &o, &t->lease, &t->waiting);
	if (rc < 0)
		return err_set(reterr, rc, "out of memory");
	if (rc == 0)
		return RC_OK;
	if (t->o.keeps)
		engine_keep(t->lease, t->o.keep_alive_ms);
	return start_call(t, &t->lease->origin) ? RC_OK
						: err_set(reterr, RC_NOMEM, "out of memory");
}

static int begin(struct attempt *t, struct err *reterr)
{
	if (t->o.account->n_local > 0)
		return begin_local(t, reterr);
	return start_call(t, &t->o.account->origin) ? RC_OK
						    : err_set(reterr, RC_NOMEM, "out of memory");
}

struct attempt *attempt_start(const struct attempt_options *o, const struct attempt_events *ev,
			      void *user, struct err *reterr)
{
	struct arena *a = arena_new_within(o->snapshot->server.arena_max, o->budget);
	struct attempt *t = a ? arena_alloc(a, sizeof(*t)) : NULL;
	struct prepare_options p = {
		.account = o->account,
		.protocol = o->protocol,
		.op = o->op,
		.model = o->model,
		.stream = o->stream,
		.framing = o->framing,
		.relay = o->relay,
		.body = buf_str(&o->body),
		.client = o->client_head,
	};
	struct answer_reader_options r = {
		.stream = o->stream,
		.framing = o->framing,
		.max_frame = o->snapshot->max_event,
		.max_body = o->snapshot->max_response,
		.on_stream = on_stream,
		.on_frame = on_frame,
		.user = t,
	};

	if (!t) {
		struct buf body = o->body;

		buf_done(&body);
		arena_free(a);
		(void)err_set(reterr, RC_NOMEM, "out of memory");
		return NULL;
	}
	t->arena = a;
	t->o = *o;
	t->o.snapshot = snapshot_ref(o->snapshot);
	t->ev = *ev;
	t->user = user;
	t->fields.retry_after_ms = -1;
	list_init(&t->in_detached);
	answer_reader_init(&t->reader, &r);
	if (o->account->kind->prepare(a, &p, &t->prepared, reterr) != RC_OK ||
	    begin(t, reterr) != RC_OK) {
		engine_release(t->lease);
		attempt_free(&t->dead);
		return NULL;
	}
	return t;
}

void attempt_detach(struct attempt *t, struct list *detached)
{
	if (t->over)
		return;
	if (!t->call) {
		attempt_cancel(t);
		return;
	}
	t->detached = true;
	list_append(detached, &t->in_detached);
	t->detached_until_ms = loop_now_ms(t->o.loop) + DETACHED_MS;
	http_call_set_idle(t->call, DETACHED_MS);
	attempt_resume(t);
}

void attempt_cancel_detached(struct list *detached)
{
	LIST_EACH_SAFE (detached, it, tmp)
		attempt_cancel(LIST_ENTRY(it, struct attempt, in_detached));
}

void attempt_pause(struct attempt *t)
{
	t->paused = true;
	if (t->call)
		http_call_pause(t->call);
}

void attempt_resume(struct attempt *t)
{
	t->paused = false;
	if (t->call)
		http_call_resume(t->call);
}

enum framing attempt_framing(const struct attempt *t)
{
	return t->reader.framer.framing;
}

struct arena *attempt_arena(struct attempt *t)
{
	return t->arena;
}

const struct attempt_fields *attempt_fields(const struct attempt *t)
{
	return &t->fields;
}

struct http_call_stats attempt_stats(const struct attempt *t)
{
	return t->call ? *http_call_stats(t->call) : t->stats;
}
