/* exchange/count_tokens.c - how many tokens a request is.
 *
 * Exact on the local engine, which has the tokenizer, and where the provider counts: the request is passed on or translated, and
 * what it becomes is counted. Elsewhere an estimate over all the model would read, system and tools included (trap 98), marked
 * as one in the answer. The hard thing is whose count it is: a target that cannot count would still answer the request, so
 * its count is estimated and no other target's is asked for; one that is down or busy is passed over, as in any request.
 */
#include "exchange/exchange_impl.h"

#include "engine/engine.h"
#include "engine/tokens.h"

/* A count under way at the local engine; in the exchange's arena. */
struct count {
	struct exchange *x;
	struct buf body; /* the request as the engine's protocol has it */
	struct engine_wait *waiting;
	struct engine_lease *lease;
	struct engine_tokens *tokens;
};

void count_cancel(struct exchange *x)
{
	struct count *c = x->counting;

	if (!c)
		return;
	x->counting = NULL;
	if (c->waiting)
		engine_acquire_cancel(c->waiting);
	if (c->tokens)
		engine_tokens_cancel(c->tokens);
	engine_release(c->lease);
	buf_done(&c->body);
}

/* The request's own mistakes are the same everywhere. */
static void engine_failed(struct exchange *x, const struct ir_error *e)
{
	struct ir_error copy = *e;

	copy.message = arena_dup(x->arena, e->message); /* it lives where the count does */
	count_cancel(x);
	if (copy.kind == IR_ERR_INVALID_REQUEST || copy.kind == IR_ERR_CONTEXT_LENGTH)
		answer_error(x, &copy, "upstream_error");
	else
		forward_failed(x, &copy, "upstream_error");
}

static void counted(void *user, int64_t tokens, const struct ir_error *error)
{
	struct count *c = user;

	c->tokens = NULL;
	if (error)
		engine_failed(c->x, error);
	else
		answer_token_count(c->x, tokens, false);
}

static void ask_engine(struct count *c)
{
	struct exchange *x = c->x;
	struct engine_tokens_options o = {
		.client = x->env->client,
		.origin = &c->lease->origin,
		.body = buf_str(&c->body),
		.deadlines = &x->snapshot->deadlines,
		.done = counted,
		.user = c,
	};
	struct err no_memory = { .code = RC_NOMEM };
	struct ir_error e;

	c->tokens = engine_tokens_start(&o);
	if (c->tokens)
		return;
	e = forward_error_of(x, RC_NOMEM, &no_memory);
	answer_error(x, &e, "refused");
}

static void leased(void *user, struct engine_lease *lease, const struct ir_error *error)
{
	struct count *c = user;

	c->waiting = NULL;
	c->lease = lease;
	if (lease)
		ask_engine(c);
	else
		engine_failed(c->x, error);
}

static int count_local(struct exchange *x, const struct target *t, struct err *reterr)
{
	struct count *c = arena_alloc(x->arena, sizeof(*c));
	struct engine_acquire_options o = {
		.account = t->account->name,
		.model = t->model,
		.loop = x->env->loop,
		.done = leased,
		.user = c,
	};
	int rc;

	if (!c)
		return RC_NOMEM;
	c->x = x;
	x->counting = c;
	buf_init(&c->body, 2 * x->snapshot->max_body + 65536);
	rc = forward_translate_body(x, t, &c->body, reterr);
	if (rc == RC_OK && !buf_ok(&c->body))
		rc = RC_NOMEM;
	if (rc == RC_OK)
		rc = engine_acquire(x->env->engine, &o, &c->lease, &c->waiting);
	if (rc < 0) {
		count_cancel(x);
		return rc;
	}
	if (rc > 0)
		ask_engine(c);
	return RC_OK;
}

/* --- by the provider --- */

static bool part_is_media(const struct ir_part *p)
{
	if (p->kind == IR_PART_IMAGE || p->kind == IR_PART_AUDIO)
		return true;
	if (p->kind == IR_PART_FILE)
		return p->media.source != IR_MEDIA_TEXT;
	for (unsigned i = 0; p->kind == IR_PART_TOOL_RESULT && i < p->n_content; i++)
		if (part_is_media(&p->content[i]))
			return true;
	return false;
}

static bool has_media(const struct ir_request *r)
{
	for (unsigned i = 0; i < r->n_messages; i++)
		for (unsigned k = 0; k < r->messages[i].n_parts; k++)
			if (part_is_media(&r->messages[i].parts[k]))
				return true;
	return false;
}

bool count_is_ours(struct exchange *x, const struct target *t)
{
	struct err ignored;

	if (x->match.line.op != IR_OP_COUNT_TOKENS)
		return false;
	switch (account_counts(t->account, t->protocol)) {
	case COUNT_NEVER:
		break;
	case COUNT_UNKNOWN:
		return !t->relay;
	case COUNT_OWN:
	case COUNT_VERTEX:
		return false;
	case COUNT_TOKENIZE:
		/* Before its 0.17 vLLM counted a picture as one token. */
		return forward_read_request(x, &ignored) == RC_OK && has_media(x->ir);
	}
	return true;
}

int count_body(struct exchange *x, const struct target *t, struct buf *out, struct err *reterr)
{
	const struct protocol *p = t->protocol;
	enum count_form form = account_counts(t->account, p);
	struct buf request;
	int rc;

	if (x->relay && !p->fit_count_request)
		return forward_patch_body(x, t, out, reterr);
	buf_init(&request, out->max);
	rc = x->relay ? forward_patch_body(x, t, &request, reterr)
		      : forward_translate_body(x, t, &request, reterr);
	if (rc == RC_OK && !buf_ok(&request))
		rc = request.over ? RC_TOOBIG : RC_NOMEM;
	if (rc == RC_OK)
		rc = (x->relay ? p->fit_count_request : p->encode_count_request)(
			x->arena, buf_str(&request), t->model, form, out);
	buf_done(&request);
	return rc;
}

void count_answer(struct exchange *x, struct str body)
{
	int64_t tokens = x->target->protocol->decode_token_count(x->pump.scratch, body);

	if (tokens < 0) {
		outcome_failed(x, OUTCOME_NONSENSE, NULL);
	} else if (x->relay) {
		x->record.usage.input = tokens;
		pump_whole_ok(x, attempt_fields(x->attempt)->content_type, body);
	} else {
		outcome_ok(x);
		answer_token_count(x, tokens, false);
	}
}

/* --- the estimate --- */

enum {
	TOKENS_PER_MESSAGE = 4, /* role and separators of the usual chat templates */
	TOKENS_PER_TOOL = 12,
	TOKENS_PER_IMAGE = 1500,   /* about a megapixel at the usual vendors */
	BYTES_PER_FILE_TOKEN = 40, /* base64 of a text PDF */
};

/* About four characters of English a token; other scripts come to about one token for 1.5 characters. */
static int64_t text_tokens(struct str s)
{
	int64_t ascii = 0, wide = 0;

	for (size_t i = 0; i < s.len; i++) {
		unsigned char b = (unsigned char)s.ptr[i];

		if (b < 0x80)
			ascii++;
		else if (b >= 0xC0)
			wide++;
	}
	return (ascii + 3) / 4 + (wide * 2 + 2) / 3;
}

static int64_t part_tokens(const struct ir_part *p)
{
	int64_t n = 0;

	switch (p->kind) {
	case IR_PART_TEXT:
	case IR_PART_REASONING:
	case IR_PART_REFUSAL:
		return text_tokens(p->text);
	case IR_PART_IMAGE:
		return TOKENS_PER_IMAGE;
	case IR_PART_FILE:
	case IR_PART_AUDIO:
		if (p->media.source == IR_MEDIA_TEXT)
			return text_tokens(p->media.data);
		return (int64_t)p->media.data.len / BYTES_PER_FILE_TOKEN + 1;
	case IR_PART_TOOL_CALL:
		return text_tokens(p->name) + text_tokens(p->arguments) + TOKENS_PER_MESSAGE;
	case IR_PART_TOOL_RESULT:
		for (unsigned i = 0; i < p->n_content; i++)
			n += part_tokens(&p->content[i]);
		return n + TOKENS_PER_MESSAGE;
	case IR_PART_OPAQUE:
		return text_tokens(p->raw);
	}
	return 0;
}

static int64_t estimate(const struct ir_request *r)
{
	int64_t n = 3;

	for (unsigned i = 0; i < r->n_messages; i++) {
		n += TOKENS_PER_MESSAGE;
		for (unsigned k = 0; k < r->messages[i].n_parts; k++)
			n += part_tokens(&r->messages[i].parts[k]);
	}
	for (unsigned i = 0; i < r->n_tools; i++) {
		const struct ir_tool *t = &r->tools[i];

		n += TOKENS_PER_TOOL + text_tokens(t->name) + text_tokens(t->description) +
		     text_tokens(t->parameters) + text_tokens(t->server_raw);
	}
	return n + text_tokens(r->format.schema);
}

static int answer_estimate(struct exchange *x, struct err *reterr)
{
	int rc = forward_read_request(x, reterr);

	if (rc == RC_OK)
		answer_token_count(x, estimate(x->ir), true);
	return rc;
}

int count_tokens(struct exchange *x, const struct target *t, struct err *reterr)
{
	return t->local && x->env->engine ? count_local(x, t, reterr) : answer_estimate(x, reterr);
}

/* There is no such operation, rather than no such model. Words that name the model are about it. */
static bool no_such_operation(const struct exchange *x, int status, const struct ir_error *e,
			      bool native)
{
	if (status == 405 || status == 501)
		return true;
	return status == 404 && !(native && str_find(e->message, x->target->model) >= 0);
}

bool count_refused(struct exchange *x, int status, const struct ir_error *e, bool native)
{
	struct err ignored;

	if (x->match.line.op != IR_OP_COUNT_TOKENS || !no_such_operation(x, status, e, native))
		return false;
	outcome_ok(x); /* it is there, and would answer the request itself */
	return answer_estimate(x, &ignored) == RC_OK;
}
