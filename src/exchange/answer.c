/* exchange/answer.c - what the gateway itself says: errors, model lists, token counts, and the fields of every answer. */
#include "exchange/exchange_impl.h"

#include "base/clock.h"

static void add(struct http_field *fields, unsigned *n, struct str name, struct str value)
{
	/* Names of models and providers come from outside: a value that could break a head is left out. */
	if (*n < MAX_ANSWER_FIELDS && str_present(value) && http_value_ok(value))
		fields[(*n)++] = (struct http_field){ name, value };
}

static bool has_field(const struct http_field *fields, unsigned n, struct str name)
{
	for (unsigned i = 0; i < n; i++)
		if (str_ieq(fields[i].name, name))
			return true;
	return false;
}

static struct str number_text(struct arena *a, unsigned n)
{
	static const char digits[] = "0123456789";

	return n < 10 ? (struct str){ &digits[n], 1 } : arena_printf(a, "%u", n);
}

unsigned answer_fields(struct exchange *x, struct http_field fields[MAX_ANSWER_FIELDS],
		       struct str content_type, bool upstream)
{
	const struct attempt_fields *passed =
		upstream && x->attempt ? attempt_fields(x->attempt) : NULL;
	struct str id_name = str_from(x->match.protocol->request_id_header);
	unsigned n = 0;

	add(fields, &n, STR("content-type"), content_type);
	add(fields, &n, STR("x-request-id"), x->id);
	if (!str_ieq(id_name, STR("x-request-id")))
		add(fields, &n, id_name, x->id);
	if (x->target) {
		add(fields, &n, STR("x-llm-gateway-provider"), x->target->account->name);
		add(fields, &n, STR("x-llm-gateway-model"), x->target->model);
		add(fields, &n, STR("x-llm-gateway-attempts"),
		    number_text(x->arena, x->record.attempts));
		add(fields, &n, STR("x-llm-gateway-dropped"), ir_losses_text(&x->losses));
	}
	for (unsigned i = 0; passed && i < passed->n; i++)
		add(fields, &n, passed->fields[i].name, passed->fields[i].value);
	return n;
}

void answer_whole(struct exchange *x, int status, struct str content_type, struct str body,
		  bool upstream, const char *end)
{
	struct http_field fields[MAX_ANSWER_FIELDS];
	unsigned n = answer_fields(x, fields, content_type, upstream);
	struct outlet to = x->out;

	x->record.status = status;
	x->record.first_byte_us = clock_mono_us();
	exchange_over(x, end); /* first: with its answer the request is gone */
	outlet_respond(to, status, fields, n, body);
}

/* The 200 is out: only the stream itself can still tell. */
static void error_in_stream(struct exchange *x, const struct ir_error *e, const char *end)
{
	struct outlet to = x->out;
	struct buf *out = outlet_buf(to);

	if (x->pump.choices && x->pump.choices[0].encoder && x->committed) {
		struct ir_event ev = { .kind = IR_ERROR, .error = e };

		if (x->match.protocol->encode_event(x->pump.choices[0].encoder, &ev, out) != RC_OK)
			x->match.protocol->encode_stream_error(e, x->id, x->peek.framing,
							       x->committed, out);
	} else if (x->relay && x->committed && x->match.protocol->encode_relay_error) {
		x->match.protocol->encode_relay_error(&x->pump.tap, e, x->id, out);
	} else {
		x->match.protocol->encode_stream_error(e, x->id, x->peek.framing,
						       x->committed || x->prompts.done > 0, out);
	}
	/* No final chunk: who misses the event still sees that this was no proper end. */
	exchange_over(x, end);
	outlet_abort(to);
}

void answer_error(struct exchange *x, const struct ir_error *e, const char *end)
{
	struct http_field fields[MAX_ANSWER_FIELDS];
	struct outlet to = x->out;
	struct buf body;
	unsigned n;
	int status;

	x->record.detail = e->message;
	if (x->head_sent) {
		error_in_stream(x, e, end);
		return;
	}
	buf_init(&body, 64 * 1024);
	x->match.protocol->encode_error(e, x->id, &body, &status);
	n = answer_fields(x, fields, str_from(x->match.protocol->error_content_type), true);
	if (e->kind == IR_ERR_METHOD)
		add(fields, &n, STR("allow"), x->match.allow);
	if (e->status == 426) {
		add(fields, &n, STR("upgrade"), STR("websocket"));
		add(fields, &n, STR("sec-websocket-version"), STR("13"));
	}
	/* Where the provider says it in its body alone (trap 110). */
	if (e->retry_after_ms >= 0 && !has_field(fields, n, STR("retry-after")))
		add(fields, &n, STR("retry-after"),
		    arena_printf(x->arena, "%lld", (long long)(e->retry_after_ms + 999) / 1000));
	if (e->kind == IR_ERR_AUTHENTICATION)
		add(fields, &n, STR("www-authenticate"), STR("Bearer"));
	x->record.status = status;
	x->record.first_byte_us = clock_mono_us();
	exchange_over(x, end);
	outlet_respond(to, status, fields, n, buf_str(&body));
	buf_done(&body);
}

/* The list, or the page of it that was asked for; false when the query makes no sense and that has been said. */
static bool put_models(struct exchange *x, const struct model_info *models, unsigned n,
		       struct buf *body)
{
	const struct protocol *p = x->match.protocol;
	struct ir_error wrong = { .kind = IR_ERR_INVALID_REQUEST, .retry_after_ms = -1 };
	struct err e = { 0 };

	if (!p->encode_models_page) {
		p->encode_models(models, n, body);
		return true;
	}
	if (p->encode_models_page(x->arena, &x->match.line, models, n, body, &e) == RC_OK)
		return true;
	wrong.message = arena_dup(x->arena, str_from(e.msg));
	wrong.param = arena_dup(x->arena, str_from(e.param));
	answer_error(x, &wrong, "refused");
	return false;
}

/* The model is asked about by its name, or with its provider's before it, as it may be asked for. */
static bool is_called(const struct exchange *x, const struct model_info *m, struct str name)
{
	struct str rest = str_from_offset(name, m->owner.len);

	if (str_eq(m->id, name))
		return true;
	return m->owner.len && str_starts(name, m->owner) && str_starts(rest, STR("/")) &&
	       str_eq(str_from_offset(rest, 1), m->id) && auth_model_allowed(&x->principal, name);
}

void answer_models(struct exchange *x)
{
	struct ir_error missing = { .kind = IR_ERR_MODEL_NOT_FOUND, .retry_after_ms = -1 };
	struct model_info *models;
	struct buf body;
	unsigned n;

	if (routing_models(x->snapshot, x->env->catalog, &x->principal, x->arena, &models, &n) !=
	    RC_OK) {
		answer_error(x,
			     &(struct ir_error){ .kind = IR_ERR_UNAVAILABLE,
						 .message = STR("The gateway is out of memory."),
						 .retry_after_ms = -1 },
			     "refused");
		return;
	}
	buf_init(&body, 16 * 1024 * 1024);
	if (x->match.line.op == IR_OP_LIST_MODELS) {
		if (!put_models(x, models, n, &body)) {
			buf_done(&body);
			return;
		}
	} else {
		for (unsigned i = 0; i < n && buf_len(&body) == 0; i++) {
			if (!is_called(x, &models[i], x->match.line.arg))
				continue;
			models[i].id = x->match.line.arg;
			x->match.protocol->encode_model(&models[i], &body);
		}
	}
	if (buf_len(&body) > 0) {
		answer_whole(x, 200, STR("application/json"), buf_str(&body), false, "ok");
	} else {
		missing.message = arena_printf(
			x->arena,
			"The model \"%.*s\" does not exist. GET /v1/models lists those that do.",
			STR_ARG(x->match.line.arg));
		missing.code = STR("model_not_found");
		answer_error(x, &missing, "refused");
	}
	buf_done(&body);
}

void answer_token_count(struct exchange *x, int64_t tokens, bool estimated)
{
	struct http_field fields[MAX_ANSWER_FIELDS];
	unsigned n = answer_fields(x, fields, STR("application/json"), false);
	struct outlet to = x->out;
	struct buf body;

	if (estimated)
		add(fields, &n, STR("x-llm-gateway-estimated"), STR("input_tokens"));
	buf_init(&body, 1024);
	x->match.protocol->encode_token_count(tokens, &body);
	x->record.status = 200;
	x->record.usage.input = tokens;
	x->record.usage.estimated = estimated;
	x->record.first_byte_us = clock_mono_us();
	exchange_over(x, "ok");
	outlet_respond(to, 200, fields, n, buf_str(&body));
	buf_done(&body);
}
