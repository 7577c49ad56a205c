/* protocols/anthropic_messages/errors.c - errors both ways, and the ping.
 *
 * The one hard thing: an upstream's error may have any shape at all (trap 107): the vendor's own,
 * OpenAI's, a bare `detail`, a string, a list of one, a page of HTML, nothing.
 */
#include "protocols/anthropic_messages/anthropic_messages.h"

#include "protocols/errors.h"
#include "wire/sse.h"

static const char *const type_names[] = {
	[IR_ERR_INVALID_REQUEST] = "invalid_request_error",
	[IR_ERR_AUTHENTICATION] = "authentication_error",
	[IR_ERR_BILLING] = "billing_error",
	[IR_ERR_PERMISSION] = "permission_error",
	[IR_ERR_NOT_FOUND] = "not_found_error",
	[IR_ERR_MODEL_NOT_FOUND] = "not_found_error",
	[IR_ERR_METHOD] = "invalid_request_error",
	[IR_ERR_TOO_LARGE] = "request_too_large",
	[IR_ERR_MEDIA_TYPE] = "invalid_request_error",
	[IR_ERR_CONTEXT_LENGTH] = "invalid_request_error",
	[IR_ERR_CONTENT_FILTER] = "invalid_request_error",
	[IR_ERR_RATE_LIMIT] = "rate_limit_error",
	[IR_ERR_SERVER] = "api_error",
	[IR_ERR_UPSTREAM] = "api_error",
	[IR_ERR_UNAVAILABLE] = "overloaded_error",
	[IR_ERR_OVERLOADED] = "overloaded_error",
	[IR_ERR_TIMEOUT] = "timeout_error",
};

/* Clients know two of the vendor's own by heart: agents compact on the first and wait on the second. */
static const char *sentence(enum ir_error_kind kind)
{
	if (kind == IR_ERR_CONTEXT_LENGTH)
		return "prompt is too long";
	return kind == IR_ERR_OVERLOADED ? "Overloaded" : error_sentence(kind);
}

/* The vendor names the field in the message ("max_tokens: Field required"), having no place of its
 * own for it. */
static void put_message(struct jw *w, const struct ir_error *e)
{
	struct str m = e->message.len ? e->message : str_from(sentence(e->kind));

	jw_key(w, "message");
	if (!e->param.len || str_find(m, e->param) >= 0) {
		jw_str(w, m);
		return;
	}
	jw_raw(w, STR("\""));
	json_escape(w->out, e->param);
	buf_puts(w->out, ": ");
	json_escape(w->out, m);
	buf_putc(w->out, '"');
}

static void put_error(const struct ir_error *e, struct str request_id, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_kcstr(&w, "type", "error");
	jw_key(&w, "error");
	jw_obj(&w);
	jw_kcstr(&w, "type", type_names[e->kind]);
	put_message(&w, e);
	jw_end_obj(&w);
	jw_kstr(&w, "request_id", request_id);
	jw_end_obj(&w);
}

void am_encode_error(const struct ir_error *e, struct str request_id, struct buf *out,
		     int *ret_status)
{
	put_error(e, request_id, out);
	*ret_status = !e->status && e->kind == IR_ERR_OVERLOADED ? 529 : ir_error_status(e);
}

void am_encode_stream_error(const struct ir_error *e, struct str request_id, enum framing framing,
			    bool started, struct buf *out)
{
	(void)framing;
	(void)started;
	sse_put_head(out, "error");
	put_error(e, request_id, out);
	sse_put_end(out);
}

/* The official SDK knows `ping` only after message_start (trap 21); a comment is safe before it. */
void am_encode_ping(enum framing framing, bool started, struct buf *out)
{
	(void)framing;
	buf_put(out,
		started ? STR("event: ping\ndata: {\"type\": \"ping\"}\n\n") : STR(": ping\n"));
}

/* --- reading --- */

static const struct {
	struct str type;
	enum ir_error_kind kind;
} types[] = {
	{ STR_INIT("invalid_request_error"), IR_ERR_INVALID_REQUEST },
	{ STR_INIT("authentication_error"), IR_ERR_AUTHENTICATION },
	{ STR_INIT("billing_error"), IR_ERR_BILLING },
	{ STR_INIT("permission_error"), IR_ERR_PERMISSION },
	{ STR_INIT("not_found_error"), IR_ERR_NOT_FOUND },
	{ STR_INIT("request_too_large"), IR_ERR_TOO_LARGE },
	{ STR_INIT("rate_limit_error"), IR_ERR_RATE_LIMIT },
	{ STR_INIT("api_error"), IR_ERR_SERVER },
	{ STR_INIT("timeout_error"), IR_ERR_TIMEOUT },
	{ STR_INIT("overloaded_error"), IR_ERR_OVERLOADED },
};

static bool says(struct str text, const char *what)
{
	return str_find(text, str_from(what)) >= 0;
}

/* The vendor has one type for several things that a client or a router must tell apart. */
static enum ir_error_kind refine(enum ir_error_kind kind, struct str m)
{
	if (kind == IR_ERR_INVALID_REQUEST) {
		if (says(m, "prompt is too long") || says(m, "exceed context limit") ||
		    says(m, "context window") || says(m, "maximum context length"))
			return IR_ERR_CONTEXT_LENGTH;
		if (says(m, "credit balance is too low"))
			return IR_ERR_BILLING;
		if (says(m, "content filtering policy"))
			return IR_ERR_CONTENT_FILTER;
	}
	if (kind == IR_ERR_NOT_FOUND && (str_starts(m, STR("model:")) || says(m, "model")))
		return IR_ERR_MODEL_NOT_FOUND;
	return kind;
}

bool am_error_is(const json *root)
{
	const json *e = JSON_GET(root, "error");

	return str_eq(json_str(JSON_GET(root, "type")), STR("error")) || json_is_obj(e) ||
	       json_is_str(e);
}

/* OpenAI calls much "invalid_request_error", and compatible servers anything "api_error", that the status tells apart. */
static bool type_says_more(enum ir_error_kind of_type, int status)
{
	if (status == 0)
		return true;
	if (of_type == IR_ERR_INVALID_REQUEST)
		return status == 400;
	return of_type != IR_ERR_SERVER || status == 500;
}

bool am_error_read(const json *root, int status, struct ir_error *ret)
{
	const json *e;
	bool own, typed = false;

	root = error_unwrap(root);
	e = JSON_GET(root, "error");
	*ret = (struct ir_error){ .kind = ir_error_kind_of_status(status), .retry_after_ms = -1 };
	ret->type = json_str(JSON_GET(json_is_obj(e) ? e : root, "type"));
	ret->code = json_str(JSON_GET(json_is_obj(e) ? e : root, "code"));
	ret->param = json_str(JSON_GET(e, "param"));
	ret->message = error_find_message(e);
	if (!ret->message.len)
		ret->message = error_find_message(root);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (str_eq(types[i].type, ret->type)) {
			if (type_says_more(types[i].kind, status))
				ret->kind = types[i].kind;
			typed = true;
		}
	}
	ret->kind = refine(ret->kind, ret->message);
	if (status == 409 || status == 422) /* no kind says as much */
		ret->status = status;
	own = str_eq(json_str(JSON_GET(root, "type")), STR("error")) && json_is_obj(e) &&
	      (typed || ret->type.len) && json_is_str(JSON_GET(e, "message"));
	return own;
}

bool am_decode_error(struct arena *a, int status, struct str body, struct ir_error *ret)
{
	const json *root = json_parse(a, body, NULL);
	bool own = am_error_read(root, status, ret);

	if (ret->message.len)
		return own;
	ret->message = root ? error_without_reason(a, status) : error_plain_text(a, body, status);
	ret->kind = refine(ret->kind, ret->message);
	return false;
}
