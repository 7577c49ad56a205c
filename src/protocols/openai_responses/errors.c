/* protocols/openai_responses/errors.c - errors in the words of the Responses API, whole and in a stream.
 *
 * The body is that of all of OpenAI's formats; a model that is not there is 400 here where Chat says 404. A stream that
 * fails says so twice: a flat `error` event, at which SDKs raise, and response.failed, at which agents look (trap 111). */
#include "protocols/openai_responses/openai_responses.h"

#include "wire/sse.h"

static struct str code_of(const struct ir_error *e)
{
	if (e->kind == IR_ERR_INVALID_REQUEST && !str_present(e->code) &&
	    str_eq(e->param, STR("previous_response_id")))
		return STR("previous_response_not_found");
	return oc_error_code(e);
}

static struct str message_of(const struct ir_error *e)
{
	return str_present(e->message) ? e->message : STR("The request failed.");
}

void rs_encode_error(const struct ir_error *e, struct str request_id, struct buf *out,
		     int *ret_status)
{
	struct ir_error copy = *e;

	copy.code = code_of(e);
	if (e->kind == IR_ERR_MODEL_NOT_FOUND && (e->status == 0 || e->status == 404))
		copy.status = 400;
	oc_encode_error(&copy, request_id, out, ret_status);
}

/* The specification lists few codes; the API itself uses two more there, which agents act on. */
void rs_error_write(struct jw *w, const struct ir_error *e)
{
	const char *code = "server_error";

	if (e->kind == IR_ERR_RATE_LIMIT || e->kind == IR_ERR_OVERLOADED)
		code = "rate_limit_exceeded";
	else if (e->kind == IR_ERR_BILLING)
		code = "insufficient_quota";
	else if (e->kind == IR_ERR_CONTEXT_LENGTH)
		code = "context_length_exceeded";
	else if (e->kind == IR_ERR_INVALID_REQUEST || e->kind == IR_ERR_CONTENT_FILTER)
		code = "invalid_prompt";
	jw_obj(w);
	jw_kcstr(w, "code", code);
	jw_kstr(w, "message", message_of(e));
	jw_end_obj(w);
}

void rs_put_error_event(struct buf *out, const struct ir_error *e, int64_t sequence)
{
	struct jw w = jw_on(out);

	sse_put_head(out, "error");
	jw_obj(&w);
	jw_kcstr(&w, "type", "error");
	jw_kstr(&w, "code", code_of(e));
	jw_kstr(&w, "message", message_of(e));
	jw_kstr(&w, "param", e->param);
	jw_ki64(&w, "sequence_number", sequence);
	jw_end_obj(&w);
	sse_put_end(out);
}

/* Nothing is known of the request here, so the resource in response.failed holds what it has to. */
void rs_encode_stream_error(const struct ir_error *e, struct str request_id, enum framing framing,
			    bool started, struct buf *out)
{
	struct arena *a = arena_new(1 << 20);
	struct encoder_options o = { .arena = a, .model = STR("") };
	struct rs_resource resource;
	struct rs_state state = { .status = "failed", .error = e, .output = STR("") };

	(void)framing;
	(void)started;
	rs_put_error_event(out, e, 0);
	if (!a)
		return;
	o.id = arena_printf(a, "resp_%.*s", STR_ARG(request_id));
	if (o.id.ptr && rs_resource_init(&resource, &o) == RC_OK) {
		sse_put_head(out, "response.failed");
		buf_puts(out, "{\"type\":\"response.failed\",\"response\":");
		rs_resource_write(out, &resource, &state);
		buf_puts(out, ",\"sequence_number\":1}");
		sse_put_end(out);
	}
	arena_free(a);
}

/* The resource of response.created, as the provider wrote it, with how it ended. Absent when it is none or memory is out. */
static struct str failed_resource(struct arena *a, struct str opening, const struct ir_error *e)
{
	struct json_want w[] = { { .key = "status" }, { .key = "error" } };
	struct str text = STR_NONE;
	struct buf error, out;
	struct jw jw;

	if (json_scan(opening, w, 2, NULL) != RC_OK || !w[0].first || !w[1].first)
		return STR_NONE;
	buf_init(&error, RS_TEXT_MAX);
	buf_init(&out, RS_TEXT_MAX);
	jw = jw_on(&error);
	rs_error_write(&jw, e);
	if (buf_ok(&error)) {
		struct json_edit edits[] = { { w[0].value, STR("\"failed\"") },
					     { w[1].value, buf_str(&error) } };

		json_patch(&out, opening, edits, 2);
		text = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
	}
	buf_done(&error);
	buf_done(&out);
	return text;
}

void rs_encode_relay_error(const struct relay_tap *t, const struct ir_error *e,
			   struct str request_id, struct buf *out)
{
	/* What the provider called an error, and did not end with, is said again only in the end. */
	const struct ir_error *why = str_present(t->error.message) ? &t->error : e;
	struct str resource = failed_resource(t->arena, t->opening, why);
	uint64_t sequence = t->n_events;

	if (!str_present(resource)) {
		rs_encode_stream_error(e, request_id, FRAMING_SSE, true, out);
		return;
	}
	if (why == e)
		rs_put_error_event(out, e, (int64_t)sequence++);
	sse_put_head(out, "response.failed");
	buf_puts(out, "{\"type\":\"response.failed\",\"response\":");
	buf_put(out, resource);
	buf_puts(out, ",\"sequence_number\":");
	buf_put_u64(out, sequence);
	buf_puts(out, "}");
	sse_put_end(out);
}

bool rs_decode_error(struct arena *a, int status, struct str body, struct ir_error *ret)
{
	return oc_decode_error(a, status, body, ret);
}

void rs_error_read(struct arena *a, const json *root, struct ir_error *ret)
{
	const json *response = JSON_GET(root, "response");

	(void)oc_error_read(a, json_is_obj(response) ? response : root, 200, ret);
	if (str_eq(ret->type, STR("error"))) /* the event's type, not the error's */
		ret->type = STR_NONE;
}
