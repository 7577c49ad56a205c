/* protocols/anthropic_messages/errors.c - errors both ways, and the ping.
 *
 * The one hard thing: an upstream's error may have any shape at all (trap 107): the vendor's own,
 * OpenAI's, a bare `detail`, a string, a list of one, a page of HTML, nothing.
 */
#include "protocols/anthropic_messages/anthropic_messages.h"

#include "base/utf8.h"
#include "wire/sse.h"

struct error_row {
	int status;
	const char *type;
	const char *text; /* when nobody said more */
};

static struct error_row row_of(enum ir_error_kind kind)
{
	switch (kind) {
	case IR_ERR_INVALID_REQUEST:
		return (struct error_row){ 400, "invalid_request_error",
					   "The request is not valid." };
	case IR_ERR_AUTHENTICATION:
		return (struct error_row){ 401, "authentication_error",
					   "The API key is missing or not valid." };
	case IR_ERR_BILLING:
		return (struct error_row){ 402, "billing_error",
					   "There is a problem with billing." };
	case IR_ERR_PERMISSION:
		return (struct error_row){ 403, "permission_error", "This key may not do that." };
	case IR_ERR_NOT_FOUND:
		return (struct error_row){ 404, "not_found_error", "Not found." };
	case IR_ERR_MODEL_NOT_FOUND:
		return (struct error_row){ 404, "not_found_error", "There is no such model." };
	case IR_ERR_METHOD:
		return (struct error_row){ 405, "invalid_request_error", "Method not allowed." };
	case IR_ERR_TOO_LARGE:
		return (struct error_row){ 413, "request_too_large", "The request is too large." };
	case IR_ERR_MEDIA_TYPE:
		return (struct error_row){ 415, "invalid_request_error",
					   "The content type must be application/json." };
	case IR_ERR_CONTEXT_LENGTH:
		return (struct error_row){ 400, "invalid_request_error", "prompt is too long" };
	case IR_ERR_CONTENT_FILTER:
		return (struct error_row){ 400, "invalid_request_error",
					   "The prompt was refused." };
	case IR_ERR_RATE_LIMIT:
		return (struct error_row){ 429, "rate_limit_error",
					   "Too many requests; try again later." };
	case IR_ERR_SERVER:
		return (struct error_row){ 500, "api_error", "Internal server error." };
	case IR_ERR_UPSTREAM:
		return (struct error_row){ 502, "api_error", "The provider failed." };
	case IR_ERR_UNAVAILABLE:
		return (struct error_row){ 503, "overloaded_error",
					   "Temporarily unavailable; try again later." };
	case IR_ERR_OVERLOADED:
		return (struct error_row){ 529, "overloaded_error", "Overloaded" };
	case IR_ERR_TIMEOUT:
		return (struct error_row){ 504, "timeout_error", "The request timed out." };
	}
	return (struct error_row){ 500, "api_error", "Internal server error." };
}

/* The vendor names the field in the message ("max_tokens: Field required"), having no place of its
 * own for it. */
static void put_message(struct jw *w, const struct ir_error *e, const char *otherwise)
{
	struct str m = e->message.len ? e->message : str_from(otherwise);

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
	struct error_row row = row_of(e->kind);
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_kcstr(&w, "type", "error");
	jw_key(&w, "error");
	jw_obj(&w);
	jw_kcstr(&w, "type", row.type);
	put_message(&w, e, row.text);
	jw_end_obj(&w);
	jw_kstr(&w, "request_id", request_id);
	jw_end_obj(&w);
}

void am_encode_error(const struct ir_error *e, struct str request_id, struct buf *out,
		     int *ret_status)
{
	put_error(e, request_id, out);
	*ret_status = e->status ? e->status : row_of(e->kind).status;
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

/* The text a person can read, wherever it stands. Absent when there is none. */
static struct str find_message(struct arena *a, const json *root, const json *e)
{
	static const char *const places[] = { "message", "detail", "error_description", "title" };
	const json *at[2] = { e, root };

	if (json_is_str(e))
		return json_str(e);
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned k = 0; k < sizeof(places) / sizeof(places[0]); k++) {
			const json *v = json_get_set(at[i], str_from(places[k]));

			if (json_is_str(v))
				return json_str(v);
			if (json_is_arr(v) || json_is_obj(v)) {
				struct str text = json_text(a, v);

				if (text.len)
					return text;
			}
		}
	}
	return json_str(root);
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

bool am_error_read(struct arena *a, const json *root, int status, struct ir_error *ret)
{
	const json *e;
	bool own, typed = false;

	if (json_is_arr(root)) { /* [{...}] */
		struct json_iter it = json_iter(root);

		root = json_next(&it) ? it.val : NULL;
	}
	e = JSON_GET(root, "error");
	*ret = (struct ir_error){ .kind = ir_error_kind_of_status(status), .retry_after_ms = -1 };
	ret->type = json_str(JSON_GET(json_is_obj(e) ? e : root, "type"));
	ret->code = json_str(JSON_GET(json_is_obj(e) ? e : root, "code"));
	ret->param = json_str(JSON_GET(e, "param"));
	ret->message = find_message(a, root, e);
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
	struct str text = str_trim(body);
	const json *root = text.len ? json_parse(a, text, NULL) : NULL;
	bool own = am_error_read(a, root, status, ret);

	if (ret->message.len)
		return own;
	if (!root && text.len && text.ptr[0] != '<') { /* a plain sentence: its beginning */
		if (text.len > 500)
			text.len = utf8_whole((struct str){ text.ptr, 500 });
		ret->message = utf8_valid(text) ? arena_dup(a, text) : STR_NONE;
		ret->kind = refine(ret->kind, ret->message);
	}
	if (!ret->message.len)
		ret->message = arena_printf(
			a, "The provider answered HTTP %d without a readable error.", status);
	return false;
}
