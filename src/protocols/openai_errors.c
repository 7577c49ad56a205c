/* protocols/openai_errors.c - errors in OpenAI's words, and out of everybody's.
 *
 * OpenAI's SDKs show a user only {"error":{"message"}}; an upstream's
 * {"detail"}, bare string or HTML page would arrive as "status code (no body)". So every shape is read
 * into an ir_error and written anew with all four keys (trap 107). */
#include "protocols/openai.h"

#include "protocols/errors.h"
#include "wire/sse.h"

/* How a kind reads to OpenAI's clients. */
static const struct {
	const char *type, *code;
} words[] = {
	[IR_ERR_INVALID_REQUEST] = { "invalid_request_error", NULL },
	[IR_ERR_AUTHENTICATION] = { "invalid_request_error", "invalid_api_key" },
	[IR_ERR_BILLING] = { "insufficient_quota", "insufficient_quota" },
	[IR_ERR_PERMISSION] = { "invalid_request_error", "permission_denied" },
	[IR_ERR_NOT_FOUND] = { "invalid_request_error", "not_found" },
	[IR_ERR_MODEL_NOT_FOUND] = { "invalid_request_error", "model_not_found" },
	[IR_ERR_METHOD] = { "invalid_request_error", "method_not_allowed" },
	[IR_ERR_TOO_LARGE] = { "invalid_request_error", "request_too_large" },
	[IR_ERR_MEDIA_TYPE] = { "invalid_request_error", "unsupported_media_type" },
	[IR_ERR_CONTEXT_LENGTH] = { "invalid_request_error", "context_length_exceeded" },
	[IR_ERR_CONTENT_FILTER] = { "invalid_request_error", "content_filter" },
	[IR_ERR_RATE_LIMIT] = { "rate_limit_error", "rate_limit_exceeded" },
	[IR_ERR_SERVER] = { "server_error", "internal_error" },
	[IR_ERR_UPSTREAM] = { "server_error", "upstream_error" },
	[IR_ERR_UNAVAILABLE] = { "server_error", "service_unavailable" },
	[IR_ERR_OVERLOADED] = { "server_error", "overloaded" },
	[IR_ERR_TIMEOUT] = { "server_error", "timeout" },
};

const char *oc_error_type(const struct ir_error *e)
{
	return words[e->kind].type;
}

struct str oc_error_code(const struct ir_error *e)
{
	return str_present(e->code) ? e->code : str_from(words[e->kind].code);
}

static void put_body(const struct ir_error *e, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_key(&w, "error");
	jw_obj(&w);
	jw_kstr(&w, "message",
		str_present(e->message) ? e->message : str_from(error_sentence(e->kind)));
	jw_kcstr(&w, "type", oc_error_type(e));
	jw_kstr(&w, "param", e->param);
	jw_kstr(&w, "code", oc_error_code(e));
	jw_end_obj(&w);
	jw_end_obj(&w);
}

/* The body has no place for the request's id: it goes in the header. */
void oc_encode_error(const struct ir_error *e, struct str request_id, struct buf *out,
		     int *ret_status)
{
	int status = ir_error_status(e);

	(void)request_id;
	put_body(e, out);
	*ret_status = status == 529 ? 503 : status; /* trap 109: OpenAI has no 529 */
}

/* Trap 111: the SDKs raise on a data line with `error`; no [DONE] follows, for nothing was done. */
void oc_encode_stream_error(const struct ir_error *e, struct str request_id, enum framing framing,
			    bool started, struct buf *out)
{
	(void)request_id;
	(void)framing;
	(void)started;
	sse_put_head(out, NULL);
	put_body(e, out);
	sse_put_end(out);
}

/* A comment: the only thing that no client of this protocol takes for a chunk. */
void oc_encode_ping(enum framing framing, bool started, struct buf *out)
{
	(void)framing;
	(void)started;
	buf_puts(out, ": keep-alive\n\n");
}

/* --- reading --- */

/* Words that tell more than the status. The first row that fits the code or the type, else the message, counts. */
static const struct {
	struct str word;
	enum ir_error_kind kind;
} signs[] = {
	{ STR_INIT("context_length"), IR_ERR_CONTEXT_LENGTH },
	{ STR_INIT("exceed_context_size"), IR_ERR_CONTEXT_LENGTH }, /* llama-server */
	{ STR_INIT("too_many_prompt_tokens"), IR_ERR_CONTEXT_LENGTH },
	{ STR_INIT("content_filter"), IR_ERR_CONTENT_FILTER },
	{ STR_INIT("content_policy"), IR_ERR_CONTENT_FILTER },
	{ STR_INIT("ResponsibleAIPolicyViolation"), IR_ERR_CONTENT_FILTER }, /* Azure */
	{ STR_INIT("model_not_found"), IR_ERR_MODEL_NOT_FOUND },
	{ STR_INIT("DeploymentNotFound"), IR_ERR_MODEL_NOT_FOUND },
	{ STR_INIT("invalid_model"), IR_ERR_MODEL_NOT_FOUND },
	{ STR_INIT("insufficient_quota"), IR_ERR_BILLING },
	{ STR_INIT("billing"), IR_ERR_BILLING },
	{ STR_INIT("rate_limit"), IR_ERR_RATE_LIMIT },
	{ STR_INIT("RateLimitReached"), IR_ERR_RATE_LIMIT },
	{ STR_INIT("invalid_api_key"), IR_ERR_AUTHENTICATION },
	{ STR_INIT("authentication"), IR_ERR_AUTHENTICATION },
	{ STR_INIT("permission"), IR_ERR_PERMISSION },
	{ STR_INIT("overloaded"), IR_ERR_OVERLOADED },
	{ STR_INIT("timeout"), IR_ERR_TIMEOUT },
};

static const struct str too_long_signs[] = {
	STR_INIT("maximum context length"), STR_INIT("max context length"),
	STR_INIT("context window"),         STR_INIT("exceeds the available context"),
	STR_INIT("prompt is too long"),     STR_INIT("prompt too long"),
};

static bool find_sign(struct str text, enum ir_error_kind *ret)
{
	for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++) {
		if (str_find(text, signs[i].word) >= 0) {
			*ret = signs[i].kind;
			return true;
		}
	}
	return false;
}

static enum ir_error_kind classify(int status, struct str code, struct str type, struct str message)
{
	enum ir_error_kind kind = ir_error_kind_of_status(status);

	if (find_sign(code, &kind) || find_sign(type, &kind))
		return kind;
	if (kind == IR_ERR_INVALID_REQUEST || kind == IR_ERR_TOO_LARGE || status == 500) {
		for (size_t i = 0; i < sizeof(too_long_signs) / sizeof(*too_long_signs); i++) {
			if (str_find(message, too_long_signs[i]) >= 0)
				return IR_ERR_CONTEXT_LENGTH;
		}
	}
	/* The path is ours and right, so what an upstream does not find is the model. */
	if (kind == IR_ERR_NOT_FOUND && (str_find(message, STR("model")) >= 0 || code.len == 0))
		return IR_ERR_MODEL_NOT_FOUND;
	return kind;
}

static struct str scalar(const json *v)
{
	struct str s = json_str(v);

	return str_present(s) ? s : json_num(v);
}

bool oc_error_is(const json *root)
{
	const json *e = json_get(root, STR("error"));

	if (json_is_arr(root)) { /* Gemini's compat endpoint wraps errors in a list */
		struct json_iter it = json_iter(root);

		return json_next(&it) && json_is_obj(it.val) && oc_error_is(it.val);
	}
	if (json_is_obj(e) || json_is_arr(e) || json_str(e).len)
		return true;
	if (str_eq(json_str(json_get(root, STR("object"))), STR("error")))
		return true;
	return json_is_obj(root) && !json_get(root, STR("choices")) &&
	       (json_get(root, STR("detail")) ||
		(json_str(json_get(root, STR("message"))).len && json_get(root, STR("code"))));
}

/* A code that is an HTTP status says more than the 200 it came with (OpenRouter, Groq; trap 112). */
static int status_said(const json *e, int status)
{
	static const struct str keys[] = { STR_INIT("status_code"), STR_INIT("status"),
					   STR_INIT("code") };
	int64_t n;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys) && status < 400; i++) {
		const json *v = json_get(e, keys[i]);

		if ((json_i64(v, &n) || str_to_i64(json_str(v), &n)) && n >= 400 && n <= 599)
			status = (int)n;
	}
	return status;
}

/* Memory that ran out while copying leaves the text away: the status still says what happened. */
static struct str copy(struct arena *a, struct str s)
{
	return arena_dup(a, s);
}

bool oc_error_read(struct arena *a, const json *root, int status, struct ir_error *ret)
{
	const json *e = json_get(root, STR("error"));
	struct str code, type, message, numeric;
	struct json_iter it;

	if (json_is_arr(root)) {
		it = json_iter(root);
		if (json_next(&it) && json_is_obj(it.val)) {
			(void)oc_error_read(a, it.val, status, ret);
			return false; /* wrapped: not OpenAI's own shape */
		}
	}
	if (!json_is_obj(e))
		e = root; /* the members stand at the top: xAI, vLLM of old, {"detail"} */
	status = status_said(e, status);
	code = scalar(json_get(e, STR("code")));
	if (!code.len) /* Azure's reason stands one deeper, sometimes alone */
		code = json_str(json_get(json_get(e, STR("innererror")), STR("code")));
	type = json_str(json_get(e, STR("type")));
	message = error_find_message(e);
	numeric = json_num(json_get(e, STR("code")));

	*ret = (struct ir_error){ .kind = classify(status, code, type, message),
				  .status = status,
				  .retry_after_ms = -1 };
	if (status < 400)
		ret->status = 0;
	ret->message = message.len ? copy(a, message) : error_without_reason(a, status);
	ret->type = copy(a, type);
	ret->param = copy(a, json_str(json_get(e, STR("param"))));
	if (!str_present(numeric) && code.len) /* a bare status is no code */
		ret->code = copy(a, code);
	return e != root && json_str(json_get(e, STR("message"))).len > 0;
}

bool oc_decode_error(struct arena *a, int status, struct str body, struct ir_error *ret)
{
	const json *root = json_parse(a, body, NULL);

	if (json_is_obj(root) || json_is_arr(root))
		return oc_error_read(a, root, status, ret);
	*ret = (struct ir_error){ .kind = classify(status, STR(""), STR(""), STR("")),
				  .status = status,
				  .retry_after_ms = -1 };
	if (ret->kind == IR_ERR_MODEL_NOT_FOUND)
		ret->kind =
			IR_ERR_NOT_FOUND; /* not even JSON: a wrong address, not a wrong model */
	ret->message =
		json_is_str(root) ? copy(a, json_str(root)) : error_plain_text(a, body, status);
	return false;
}
