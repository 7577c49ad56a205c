/* protocols/gemini/errors.c - errors both ways, and the ping.
 *
 * The one hard thing: one status stands for many things. A bad key is a 400 like a wrong field (trap 108), and how long to
 * wait stands inside the body (trap 110). And, as everywhere, an upstream's error may have any shape (trap 107). */
#include "protocols/gemini/gemini.h"

#include "protocols/errors.h"
#include "wire/sse.h"

/* How a kind reads to clients of this protocol; the vendor's own names are fewer. */
static const char *const status_names[] = {
	[IR_ERR_INVALID_REQUEST] = "INVALID_ARGUMENT",
	[IR_ERR_AUTHENTICATION] = "UNAUTHENTICATED",
	[IR_ERR_BILLING] = "FAILED_PRECONDITION",
	[IR_ERR_PERMISSION] = "PERMISSION_DENIED",
	[IR_ERR_NOT_FOUND] = "NOT_FOUND",
	[IR_ERR_MODEL_NOT_FOUND] = "NOT_FOUND",
	[IR_ERR_METHOD] = "INVALID_ARGUMENT",
	[IR_ERR_TOO_LARGE] = "INVALID_ARGUMENT",
	[IR_ERR_MEDIA_TYPE] = "INVALID_ARGUMENT",
	[IR_ERR_CONTEXT_LENGTH] = "INVALID_ARGUMENT",
	[IR_ERR_CONTENT_FILTER] = "INVALID_ARGUMENT",
	[IR_ERR_RATE_LIMIT] = "RESOURCE_EXHAUSTED",
	[IR_ERR_SERVER] = "INTERNAL",
	[IR_ERR_UPSTREAM] = "UNAVAILABLE",
	[IR_ERR_UNAVAILABLE] = "UNAVAILABLE",
	[IR_ERR_OVERLOADED] = "UNAVAILABLE",
	[IR_ERR_TIMEOUT] = "DEADLINE_EXCEEDED",
};

#define DETAIL(name) "type.googleapis.com/google.rpc." name

/* What the vendor has a place for only here: how long to wait, which field, what code, whose request. */
static void put_details(struct jw *w, const struct ir_error *e, struct str message,
			struct str request_id)
{
	jw_key(w, "details");
	jw_arr(w);
	if (e->code.len) {
		jw_obj(w);
		jw_kcstr(w, "@type", DETAIL("ErrorInfo"));
		jw_kstr(w, "reason", e->code);
		jw_end_obj(w);
	}
	if (e->param.len) {
		jw_obj(w);
		jw_kcstr(w, "@type", DETAIL("BadRequest"));
		jw_key(w, "fieldViolations");
		jw_arr(w);
		jw_obj(w);
		jw_kstr(w, "field", e->param);
		jw_kstr(w, "description", message);
		jw_end_obj(w);
		jw_end_arr(w);
		jw_end_obj(w);
	}
	if (e->retry_after_ms >= 0) {
		jw_obj(w);
		jw_kcstr(w, "@type", DETAIL("RetryInfo"));
		jw_key(w, "retryDelay");
		jw_raw(w, STR(""));
		if (e->retry_after_ms % 1000)
			buf_printf(w->out, "\"%lld.%03llds\"",
				   (long long)(e->retry_after_ms / 1000),
				   (long long)(e->retry_after_ms % 1000));
		else
			buf_printf(w->out, "\"%llds\"", (long long)(e->retry_after_ms / 1000));
		jw_end_obj(w);
	}
	if (request_id.len) {
		jw_obj(w);
		jw_kcstr(w, "@type", DETAIL("RequestInfo"));
		jw_kstr(w, "requestId", request_id);
		jw_end_obj(w);
	}
	jw_end_arr(w);
}

void gm_error_write(struct jw *w, const struct ir_error *e, struct str request_id, int *ret_status)
{
	struct str message = e->message.len ? e->message : str_from(error_sentence(e->kind));

	*ret_status = ir_error_status(e);
	jw_obj(w);
	jw_key(w, "error");
	jw_obj(w);
	jw_ki64(w, "code", *ret_status);
	jw_kstr(w, "message", message);
	jw_kcstr(w, "status", status_names[e->kind]);
	put_details(w, e, message, request_id);
	jw_end_obj(w);
	jw_end_obj(w);
}

void gm_encode_error(const struct ir_error *e, struct str request_id, struct buf *out,
		     int *ret_status)
{
	struct jw w = jw_on(out);

	gm_error_write(&w, e, request_id, ret_status);
}

void gm_encode_stream_error(const struct ir_error *e, struct str request_id, enum framing framing,
			    bool started, struct buf *out)
{
	bool list = framing == FRAMING_JSON_ARRAY;
	struct jw w;
	int ignored;

	if (list)
		buf_put(out, started ? STR(",\r\n") : STR("["));
	else
		sse_put_head(out, NULL);
	w = jw_on(out);
	gm_error_write(&w, e, request_id, &ignored);
	if (list)
		buf_put(out, STR("]"));
	else
		sse_put_end(out);
}

/* The vendor's Python SDK takes a comment line for a chunk and fails on it; an empty line is nothing in either form. */
void gm_encode_ping(enum framing framing, bool started, struct buf *out)
{
	(void)framing;
	(void)started;
	buf_putc(out, '\n');
}

/* --- reading --- */

static const struct {
	struct str name;
	enum ir_error_kind kind;
} names[] = {
	{ STR_INIT("INVALID_ARGUMENT"), IR_ERR_INVALID_REQUEST },
	{ STR_INIT("FAILED_PRECONDITION"), IR_ERR_INVALID_REQUEST },
	{ STR_INIT("OUT_OF_RANGE"), IR_ERR_INVALID_REQUEST },
	{ STR_INIT("UNAUTHENTICATED"), IR_ERR_AUTHENTICATION },
	{ STR_INIT("PERMISSION_DENIED"), IR_ERR_PERMISSION },
	{ STR_INIT("NOT_FOUND"), IR_ERR_NOT_FOUND },
	{ STR_INIT("RESOURCE_EXHAUSTED"), IR_ERR_RATE_LIMIT },
	{ STR_INIT("INTERNAL"), IR_ERR_SERVER },
	{ STR_INIT("UNKNOWN"), IR_ERR_SERVER },
	{ STR_INIT("UNAVAILABLE"), IR_ERR_UNAVAILABLE },
	{ STR_INIT("DEADLINE_EXCEEDED"), IR_ERR_TIMEOUT },
};

static bool says(struct str text, const char *what)
{
	return str_find(text, str_from(what)) >= 0;
}

/* The vendor has one name for several things that a client or a router must tell apart. */
static enum ir_error_kind refine(enum ir_error_kind kind, struct str m, struct str reason)
{
	if (str_starts(reason, STR("API_KEY_")) || says(m, "API key not valid") ||
	    says(m, "API key expired"))
		return IR_ERR_AUTHENTICATION;
	if (kind == IR_ERR_INVALID_REQUEST &&
	    (says(m, "exceeds the maximum number of tokens") || says(m, "input token count")))
		return IR_ERR_CONTEXT_LENGTH;
	if (kind == IR_ERR_NOT_FOUND && (says(m, "models/") || says(m, "Model")))
		return IR_ERR_MODEL_NOT_FOUND;
	if (kind == IR_ERR_UNAVAILABLE && says(m, "overloaded"))
		return IR_ERR_OVERLOADED;
	return kind;
}

bool gm_error_is(const json *root)
{
	const json *e = JSON_GET(error_unwrap(root), "error");

	return json_is_obj(e) || json_is_str(e);
}

/* "12.5s" in milliseconds, at most a day; -1 when it is no duration. */
static int64_t duration_ms(struct str s)
{
	int64_t ms = 0, scale = 1000;
	bool fraction = false;

	if (s.len < 2 || s.ptr[s.len - 1] != 's')
		return -1;
	for (size_t i = 0; i + 1 < s.len; i++) {
		if (s.ptr[i] == '.' && !fraction && i > 0) {
			fraction = true;
			continue;
		}
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return -1;
		if (!fraction)
			ms = ms * 10 + (s.ptr[i] - '0') * 1000;
		else
			ms += (s.ptr[i] - '0') * (scale /= 10);
		if (ms > 86400000)
			return 86400000;
	}
	return ms;
}

static void read_details(const json *details, struct ir_error *ret)
{
	struct json_iter it = json_iter(details);

	while (json_next(&it)) {
		struct str type = json_str(JSON_GET(it.val, "@type"));

		if (str_ends(type, STR(".RetryInfo")))
			ret->retry_after_ms = duration_ms(json_str(gm_get(it.val, "retryDelay")));
		else if (str_ends(type, STR(".ErrorInfo")) && !ret->code.len)
			ret->code = json_str(JSON_GET(it.val, "reason"));
	}
}

bool gm_error_read(struct arena *a, const json *root, int status, struct ir_error *ret)
{
	const json *e;
	int64_t code;
	bool own;

	root = error_unwrap(root); /* the list form of a stream says no in a list too */
	e = JSON_GET(root, "error");
	own = json_i64(JSON_GET(e, "code"), &code) && json_is_str(JSON_GET(e, "message"));
	if (own && status < 400 && code >= 400 && code < 600)
		status = (int)code;
	*ret = (struct ir_error){ .kind = ir_error_kind_of_status(status), .retry_after_ms = -1 };
	ret->type = json_str(JSON_GET(e, "status"));
	if (status == 0 || status == 400 || status == 500)
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (str_eq(names[i].name, ret->type))
				ret->kind = names[i].kind;
	ret->message = error_find_message(e);
	ret->message = arena_dup(a, ret->message.len ? ret->message : error_find_message(root));
	read_details(JSON_GET(e, "details"), ret);
	ret->kind = refine(ret->kind, ret->message, ret->code);
	ret->code = arena_dup(a, ret->code);
	ret->type = arena_dup(a, ret->type);
	if (status == 409 || status == 422 || status == 499) /* no kind says as much */
		ret->status = status;
	return own;
}

bool gm_decode_error(struct arena *a, int status, struct str body, struct ir_error *ret)
{
	const json *root = json_parse(a, body, NULL);
	bool own = gm_error_read(a, root, status, ret);

	if (ret->message.len)
		return own;
	ret->message = root ? error_without_reason(a, status) : error_plain_text(a, body, status);
	ret->kind = refine(ret->kind, ret->message, STR_NONE);
	return false;
}
