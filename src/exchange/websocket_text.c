/* exchange/websocket_text.c - messages and events of the WebSocket transport; see websocket_text.h.
 *
 * The hard thing is what clients really send: Codex says `stream: true` in every message, though the specification forbids the member. So
 * what asks for that which happens anyway is let pass, and only what asks for something else is refused.
 */
#include "exchange/websocket_text.h"

#include "base/utf8.h"
#include "json/json.h"
#include "json/scan.h"
#include "json/write.h"

enum { TEXT_MAX = 1 << 30, STREAM_ID_MAX = 256 };

/* --- what a client sends --- */

enum { M_TYPE, M_STREAM, M_OPTIONS, M_BACKGROUND, M_STREAM_ID, M_GENERATE, M_PREVIOUS, M_COUNT };

#define MESSAGE_MEMBERS                                                                           \
	{                                                                                         \
		[M_TYPE] = { .key = "type" }, [M_STREAM] = { .key = "stream" },                   \
		[M_OPTIONS] = { .key = "stream_options" },                                        \
		[M_BACKGROUND] = { .key = "background" }, [M_STREAM_ID] = { .key = "stream_id" }, \
		[M_GENERATE] = { .key = "generate" }, [M_PREVIOUS] = {                            \
			.key = "previous_response_id"                                             \
		}                                                                                 \
	}

static bool is_null(const struct json_want *w)
{
	return !w->first || w->first == 'n';
}

/* As OpenAI's description has it: ^[A-Za-z0-9_.-]+$ */
static struct str stream_id_of(struct arena *a, const struct json_want *w)
{
	struct str id = w->first == '"' ? json_unquote(a, w->value) : STR_NONE;

	if (id.len == 0 || id.len > STREAM_ID_MAX)
		return STR_NONE;
	for (size_t i = 0; i < id.len; i++) {
		char c = id.ptr[i];
		bool alnum =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!alnum && c != '_' && c != '.' && c != '-')
			return STR_NONE;
	}
	return id;
}

void socket_envelope_read(struct arena *a, struct str text, struct socket_envelope *ret)
{
	struct json_want w[] = { { .key = "type" }, { .key = "stream_id" } };

	*ret = (struct socket_envelope){ .stream_id = STR_NONE };
	if (json_scan(text, w, 2, NULL) != RC_OK)
		return;
	ret->steers =
		w[0].first == '"' && str_eq(json_unquote(a, w[0].value), STR("response.steer"));
	ret->stream_id = stream_id_of(a, &w[1]);
	ret->bad_stream_id = !is_null(&w[1]) && !str_present(ret->stream_id);
}

/* What belongs to HTTP: only a value that changes nothing may stand there. */
static int check_transport(const struct json_want *w, struct err *reterr)
{
	if (!is_null(&w[M_STREAM]) && w[M_STREAM].first != 't')
		return err_param(
			reterr, RC_INVALID, "stream",
			"'stream' must not be sent on a WebSocket: every response is streamed.");
	if (!is_null(&w[M_OPTIONS]))
		return err_param(reterr, RC_INVALID, "stream_options",
				 "'stream_options' must not be sent on a WebSocket.");
	if (!is_null(&w[M_BACKGROUND]) && w[M_BACKGROUND].first != 'f')
		return err_param(
			reterr, RC_INVALID, "background",
			"'background' must not be sent on a WebSocket. Send such a request "
			"by POST.");
	return RC_OK;
}

static int check(struct arena *a, const struct json_want *w, struct err *reterr)
{
	struct str type = w[M_TYPE].first == '"' ? json_unquote(a, w[M_TYPE].value) : STR_NONE;

	if (!str_eq(type, STR("response.create")))
		return err_param(reterr, RC_INVALID, "type",
				 "The 'type' of a message must be 'response.create'.");
	if (!is_null(&w[M_GENERATE]) && w[M_GENERATE].first != 't' && w[M_GENERATE].first != 'f')
		return err_param(reterr, RC_INVALID, "generate",
				 "'generate' must be true or false.");
	return check_transport(w, reterr);
}

int socket_message_read(struct arena *a, struct str text, struct socket_message *ret,
			struct err *reterr)
{
	struct json_want w[M_COUNT] = MESSAGE_MEMBERS;
	struct json_edit edits[M_COUNT];
	struct buf out;
	unsigned n = 0;
	int rc;

	*ret = (struct socket_message){ .generate = true };
	rc = json_scan(text, w, M_COUNT, reterr);
	if (rc != RC_OK)
		return rc;
	if (w[M_PREVIOUS].first == '"')
		ret->previous = json_unquote(a, w[M_PREVIOUS].value);
	ret->generate = w[M_GENERATE].first != 'f';
	rc = check(a, w, reterr);
	if (rc != RC_OK)
		return rc;
	/* `type` is always there, so its place is free for what a POST would say. */
	edits[n++] = (struct json_edit){ w[M_TYPE].member, STR("\"stream\":true") };
	for (unsigned i = M_STREAM; i <= M_GENERATE; i++)
		if (w[i].first)
			edits[n++] = json_edit_remove(text, w[i].member);
	buf_init(&out, text.len + 64);
	json_patch(&out, text, edits, n);
	ret->body = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
	buf_done(&out);
	return str_present(ret->body) ? RC_OK : err_set(reterr, RC_NOMEM, "out of memory");
}

/* --- steering --- */

static bool is_input_part(const json *part)
{
	struct str type = json_str(json_get(part, STR("type")));

	return str_eq(type, STR("input_text")) || str_eq(type, STR("input_image")) ||
	       str_eq(type, STR("input_file"));
}

static bool is_user_message(const json *item)
{
	struct str type = json_str(json_get(item, STR("type")));
	const json *content = json_get(item, STR("content"));
	struct json_iter it = json_iter(content);

	if ((json_get(item, STR("type")) && !str_eq(type, STR("message"))) ||
	    !str_eq(json_str(json_get(item, STR("role"))), STR("user")) ||
	    (!json_is_str(content) && !json_is_arr(content)))
		return false;
	while (json_next(&it))
		if (!is_input_part(it.val))
			return false;
	return true;
}

/* A text, or messages of the user. */
static bool may_steer(const json *input)
{
	struct json_iter it = json_iter(json_is_arr(input) ? input : NULL);

	if (json_is_str(input))
		return json_str(input).len > 0;
	while (json_next(&it))
		if (!is_user_message(it.val))
			return false;
	return json_len(input) > 0 && json_is_arr(input);
}

int socket_steer_read(struct arena *a, struct str text, struct socket_steer *ret,
		      struct err *reterr)
{
	struct json_want w[] = { { .key = "previous_response_id" }, { .key = "input" } };
	const json *message;
	int rc = json_scan(text, w, 2, reterr);

	if (rc != RC_OK)
		return rc;
	if (w[0].first != '"')
		return err_param(reterr, RC_INVALID, "previous_response_id",
				 "'previous_response_id' must be the id of the response to steer.");
	if (w[1].first != '"' && w[1].first != '[')
		return err_param(reterr, RC_INVALID, "input",
				 "'input' must be a text or a list of messages.");
	message = json_parse(a, text, reterr);
	*ret = (struct socket_steer){ json_unquote(a, w[0].value), w[1].value };
	if (!message || !ret->previous.ptr)
		return err_set(reterr, RC_NOMEM, "out of memory");
	if (json_len(message) > 3)
		(void)err_set(
			reterr, RC_OK,
			"A response.steer has 'type', 'previous_response_id' and 'input' only.");
	else if (!may_steer(json_get(message, STR("input"))))
		(void)err_set(reterr, RC_OK,
			      "'input' must be a text or messages of the user with texts, pictures "
			      "and files.");
	return RC_OK;
}

void socket_put_steer_failed(struct buf *out, const struct socket_steer *s, const char *code,
			     struct str message, uint64_t number, struct str stream_id)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_kcstr(&w, "type", "response.steer.failed");
	jw_ki64(&w, "sequence_number", (int64_t)number);
	jw_key(&w, "steer");
	jw_obj(&w);
	jw_kstr(&w, "previous_response_id", s->previous);
	jw_kraw(&w, "input", s->input);
	jw_end_obj(&w);
	jw_key(&w, "error");
	jw_obj(&w);
	jw_kcstr(&w, "type", "invalid_request_error");
	jw_kcstr(&w, "code", code);
	jw_kstr(&w, "message", message);
	jw_end_obj(&w);
	if (str_present(stream_id))
		jw_kstr(&w, "stream_id", stream_id);
	jw_end_obj(&w);
}

/* --- errors --- */

struct str socket_headers(struct arena *a, const struct http_field *fields, unsigned n)
{
	struct str text;
	struct buf out;
	struct jw w;

	buf_init(&out, TEXT_MAX);
	w = jw_on(&out);
	jw_obj(&w);
	for (unsigned i = 0; i < n; i++) {
		if (str_ieq(fields[i].name, STR("content-type")) ||
		    str_ieq(fields[i].name, STR("cache-control")) ||
		    str_ieq(fields[i].name, STR("x-accel-buffering")))
			continue; /* of HTTP alone */
		jw_key_str(&w, fields[i].name);
		jw_str(&w, fields[i].value);
	}
	jw_end_obj(&w);
	text = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
	buf_done(&out);
	return text;
}

static const char *type_of_status(int status)
{
	return status == 401   ? "authentication_error"
	       : status == 429 ? "rate_limit_error"
	       : status >= 500 ? "server_error"
			       : "invalid_request_error";
}

static bool is_own_member(struct str key)
{
	return str_eq(key, STR("type")) || str_eq(key, STR("code")) ||
	       str_eq(key, STR("message")) || str_eq(key, STR("param")) ||
	       str_eq(key, STR("sequence_number"));
}

/* `code` and `message` are strings in an envelope, whatever the provider made of them. */
static void put_error_object(struct jw *w, struct arena *a, int status, const json *error)
{
	struct str type = json_str(json_get(error, STR("type")));
	struct str code = json_str(json_get(error, STR("code")));
	struct str message = json_str(json_get(error, STR("message")));
	struct json_iter it = json_iter(json_is_obj(error) ? error : NULL);

	if (!str_present(type) || str_eq(type, STR("error"))) /* that is the event's */
		type = str_from(type_of_status(status));
	jw_obj(w);
	jw_kstr(w, "type", type);
	jw_kstr(w, "code", str_present(code) ? code : type);
	jw_kstr(w, "message", str_present(message) ? message : STR("The request failed."));
	jw_kstr(w, "param", json_str(json_get(error, STR("param"))));
	while (json_next(&it)) {
		if (is_own_member(it.key))
			continue;
		jw_key_str(w, it.key);
		jw_raw(w, json_text(a, it.val));
	}
	jw_end_obj(w);
}

static void put_envelope(struct buf *out, struct arena *a, int status, const json *error,
			 int64_t sequence, struct str headers, struct str stream_id)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_kcstr(&w, "type", "error");
	jw_ki64(&w, "status", status);
	jw_key(&w, "error");
	put_error_object(&w, a, status, error);
	if (sequence >= 0)
		jw_ki64(&w, "sequence_number", sequence);
	if (str_present(headers))
		jw_kraw(&w, "headers", headers);
	if (str_present(stream_id))
		jw_kstr(&w, "stream_id", stream_id);
	jw_end_obj(&w);
}

void socket_put_error(struct buf *out, struct arena *a, int status, struct str body,
		      struct str headers, struct str stream_id)
{
	put_envelope(out, a, status, JSON_GET(json_parse(a, body, NULL), "error"), -1, headers,
		     stream_id);
}

void socket_put_own_error(struct buf *out, const struct socket_own_error *e)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_kcstr(&w, "type", "error");
	jw_ki64(&w, "status", e->status);
	jw_key(&w, "error");
	jw_obj(&w);
	jw_kcstr(&w, "type", type_of_status(e->status));
	jw_kcstr(&w, "code", e->code);
	jw_kstr(&w, "message", e->message);
	jw_kstr(&w, "param", e->param ? str_from(e->param) : STR_NONE);
	jw_end_obj(&w);
	if (str_present(e->stream_id))
		jw_kstr(&w, "stream_id", e->stream_id);
	jw_end_obj(&w);
}

/* The status that an error of a stream would have had before it. */
static int status_of_code(struct str code)
{
	if (str_eq(code, STR("rate_limit_exceeded")) || str_eq(code, STR("insufficient_quota")))
		return 429;
	if (str_starts(code, STR("invalid_")) || str_eq(code, STR("context_length_exceeded")))
		return 400;
	return 500;
}

void socket_put_error_event(struct buf *out, struct arena *a, struct str data, uint64_t number,
			    struct str stream_id)
{
	const json *event = json_parse(a, data, NULL), *error = JSON_GET(event, "error");
	int64_t sequence = -1;

	if (!json_is_obj(error))
		error = event;
	if (JSON_GET(event, "sequence_number"))
		sequence = (int64_t)number;
	put_envelope(out, a, status_of_code(json_str(json_get(error, STR("code")))), error,
		     sequence, STR_NONE, stream_id);
}

/* --- events --- */

/* A WebSocket's text must be UTF-8; a relayed stream may be anything. */
static void put_valid(struct buf *out, struct str s)
{
	size_t from = 0, at = 0;

	while (at < s.len) {
		size_t n = utf8_char((const unsigned char *)s.ptr + at, s.len - at);

		if (n) {
			at += n;
			continue;
		}
		buf_put(out, (struct str){ s.ptr + from, at - from });
		buf_put(out, STR("\xef\xbf\xbd"));
		from = ++at;
	}
	buf_put(out, (struct str){ s.ptr + from, at - from });
}

/* `object` without its closing brace, or all of it where it has none. */
static struct str without_brace(struct str object, bool *ret_open)
{
	struct str s = str_trim(object);

	*ret_open = s.len > 0 && s.ptr[s.len - 1] == '}';
	return *ret_open ? (struct str){ s.ptr, s.len - 1 } : object;
}

/* Numbers go on without a gap when an event was left out or put in. */
static struct str renumbered(struct arena *a, struct str data, int shift)
{
	struct json_want w = { .key = "sequence_number" };
	struct str result = data;
	struct json_edit e;
	struct buf out;
	uint64_t n;

	if (!shift || json_scan(data, &w, 1, NULL) != RC_OK || !str_to_u64(w.value, &n) ||
	    (shift < 0 && n < (uint64_t)-shift))
		return data;
	e = (struct json_edit){
		w.value, arena_printf(a, "%llu", (unsigned long long)n + (unsigned long long)shift)
	};
	buf_init(&out, TEXT_MAX);
	json_patch(&out, data, &e, 1);
	if (buf_ok(&out))
		result = arena_dup(a, buf_str(&out));
	buf_done(&out);
	return str_present(result) ? result : data;
}

void socket_put_event(struct buf *out, struct arena *a, struct str data, struct str headers,
		      struct str stream_id, int shift)
{
	bool open = false;

	data = renumbered(a, data, shift);
	if (str_present(headers) || str_present(stream_id))
		data = without_brace(data, &open);
	put_valid(out, data);
	if (!open)
		return;
	if (str_present(headers)) {
		buf_puts(out, ",\"headers\":");
		buf_put(out, headers);
	}
	if (str_present(stream_id)) {
		buf_puts(out, ",\"stream_id\":\"");
		buf_put(out, stream_id); /* of characters that need no escape */
		buf_putc(out, '"');
	}
	buf_putc(out, '}');
}
