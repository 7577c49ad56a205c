/* exchange/count_tokens.c - how many tokens a request is, for clients that do not speak the target's protocol.
 *
 * Exact on the local engine, which has the tokenizer, and where the provider counts: the request is translated, and what it
 * becomes is counted. Elsewhere an estimate over all the model would read, system and tools included (trap 98), marked as
 * one in the answer.
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

static void counted(void *user, int64_t tokens, const struct ir_error *error)
{
	struct count *c = user;

	c->tokens = NULL;
	if (error)
		answer_error(c->x, error, "upstream_error");
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
		answer_error(c->x, error, "upstream_error");
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
	if (rc < 0)
		return rc;
	if (rc > 0)
		ask_engine(c);
	return RC_OK;
}

/* --- by the provider --- */

bool count_is_exact(const struct target *t)
{
	return t->protocol && t->protocol->encode_count_request && t->account->kind->counts &&
	       t->account->kind->counts(t->account);
}

int count_translate_body(struct exchange *x, const struct target *t, struct buf *out,
			 struct err *reterr)
{
	struct buf request;
	int rc;

	if (!count_is_exact(t))
		return err_set(reterr, RC_UNSUPPORTED, "Provider \"%.*s\" counts no tokens.",
			       STR_ARG(t->account->name));
	buf_init(&request, out->max);
	rc = forward_translate_body(x, t, &request, reterr);
	if (rc == RC_OK && !buf_ok(&request))
		rc = request.over ? RC_TOOBIG : RC_NOMEM;
	if (rc == RC_OK)
		rc = t->protocol->encode_count_request(x->arena, buf_str(&request), t->model, out);
	buf_done(&request);
	return rc;
}

void count_answer(struct exchange *x, struct str body)
{
	const struct protocol *p = x->target->protocol;
	int64_t tokens = p->decode_token_count(x->pump.scratch, body);

	if (x->relay) {
		x->record.usage.input = tokens;
		pump_whole_ok(x, attempt_fields(x->attempt)->content_type, body);
	} else if (tokens < 0) {
		outcome_failed(x, OUTCOME_NONSENSE, NULL);
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

void count_tokens(struct exchange *x)
{
	const struct target *t = &x->route.targets[0];
	struct ir_error error;
	struct err e = { 0 };
	int rc;

	x->target = t;
	if (t->local && x->env->engine) {
		rc = count_local(x, t, &e);
	} else {
		rc = x->match.protocol->decode_request(x->arena, &x->match.line, x->peek.body,
						       &x->ir, &e);
		if (rc == RC_OK)
			answer_token_count(x, estimate(x->ir), true);
	}
	if (rc == RC_OK)
		return;
	error = forward_error_of(x, rc, &e);
	answer_error(x, &error, "refused");
}
