/* protocols/openai_responses/resource.c - the response resource: what an answer repeats of its request, with every key that either
 * specification requires.
 *
 * The hard thing is that most keys must be there with a real value whether the client said anything or not. So the client's
 * words are taken where there are any, made compact (a line of a stream holds no newline), and the API's defaults elsewhere. The
 * client's body is scanned for them, not parsed: it may hold megabytes of images. */
#include "protocols/openai_responses/openai_responses.h"

enum kind { K_RAW, K_TOOLS, K_TEXT, K_REASONING, K_TIER };

static const struct {
	const char *key;
	enum kind kind;
	const char *otherwise; /* when absent or null */
	char first[4];         /* what a value may begin with; "" any */
} echoed[] = {
	{ "instructions", K_RAW, "null", "\"" },
	{ "previous_response_id", K_RAW, "null", "\"" },
	{ "tools", K_TOOLS, "[]", "[" },
	{ "tool_choice", K_RAW, "\"auto\"", "\"{" },
	{ "parallel_tool_calls", K_RAW, "true", "tf" },
	{ "max_tool_calls", K_RAW, "null", "" },
	{ "truncation", K_RAW, "\"disabled\"", "\"" },
	{ "text", K_TEXT, "{\"format\":{\"type\":\"text\"},\"verbosity\":\"medium\"}", "{" },
	{ "reasoning", K_REASONING, "{\"effort\":null,\"summary\":null}", "{" },
	{ "temperature", K_RAW, "1.0", "" },
	{ "top_p", K_RAW, "1.0", "" },
	{ "top_logprobs", K_RAW, "0", "" },
	{ "presence_penalty", K_RAW, "0.0", "" },
	{ "frequency_penalty", K_RAW, "0.0", "" },
	{ "max_output_tokens", K_RAW, "null", "" },
	{ "store", K_RAW, "true", "tf" },
	{ "background", K_RAW, "false", "tf" },
	{ "service_tier", K_TIER, "\"default\"", "\"" },
	{ "metadata", K_RAW, "{}", "{" },
	{ "safety_identifier", K_RAW, "null", "\"" },
	{ "prompt_cache_key", K_RAW, "null", "\"" },
	{ "user", K_RAW, NULL, "\"" },
};

enum { N_ECHOED = sizeof(echoed) / sizeof(echoed[0]) };

static void put_value(struct jw *w, const json *v)
{
	jw_raw(w, STR("")); /* the comma or nothing; the value itself follows */
	json_write(w->out, v);
}

static void put_or_null(struct jw *w, const char *key, const json *v)
{
	jw_key(w, key);
	if (v)
		put_value(w, v);
	else
		jw_null(w);
}

/* A function in the answer has keys that it need not have in the request. */
static void put_tool(struct jw *w, const json *tool)
{
	static const char *const required[] = { "description", "parameters", "strict" };
	const json *inner = JSON_GET(tool, "function");
	struct json_iter it;

	if (!str_eq(json_str(json_get(tool, STR("type"))), STR("function"))) {
		put_value(w, tool);
		return;
	}
	it = json_iter(json_is_obj(inner) ? inner : tool);
	jw_obj(w);
	jw_kcstr(w, "type", "function");
	while (json_next(&it)) {
		bool special = str_eq(it.key, STR("type"));

		for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++)
			special = special || str_eq(it.key, str_from(required[i]));
		if (special)
			continue;
		jw_key_str(w, it.key);
		put_value(w, it.val);
	}
	for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++)
		put_or_null(w, required[i],
			    json_get_set(json_is_obj(inner) ? inner : tool, str_from(required[i])));
	jw_end_obj(w);
}

static void put_tools(struct jw *w, const json *tools)
{
	struct json_iter it = json_iter(tools);

	jw_arr(w);
	while (json_next(&it))
		put_tool(w, it.val);
	jw_end_arr(w);
}

static void put_text(struct jw *w, const json *text)
{
	const json *format = JSON_GET(text, "format"), *verbosity = JSON_GET(text, "verbosity");

	jw_obj(w);
	jw_key(w, "format");
	if (format)
		put_value(w, format);
	else
		jw_raw(w, STR("{\"type\":\"text\"}"));
	jw_key(w, "verbosity");
	if (verbosity)
		put_value(w, verbosity);
	else
		jw_cstr(w, "medium");
	jw_end_obj(w);
}

static void put_reasoning(struct jw *w, const json *reasoning)
{
	jw_obj(w);
	put_or_null(w, "effort", json_get_set(reasoning, STR("effort")));
	put_or_null(w, "summary", json_get_set(reasoning, STR("summary")));
	jw_end_obj(w);
}

static int put_echo(struct jw *w, struct arena *a, unsigned i, const struct json_want *said)
{
	const json *v = said->first && said->first != 'n' ? json_parse(a, said->value, NULL) : NULL;

	if (said->first && said->first != 'n' && !v)
		return RC_NOMEM; /* it was scanned: it is valid */
	if (v && echoed[i].first[0] && !strchr(echoed[i].first, said->first))
		v = NULL;
	if (v && echoed[i].kind == K_TIER && str_eq(json_str(v), STR("auto")))
		v = NULL;
	if (!v && !echoed[i].otherwise)
		return RC_OK;
	jw_key(w, echoed[i].key);
	if (!v)
		jw_raw(w, str_from(echoed[i].otherwise));
	else if (echoed[i].kind == K_TOOLS)
		put_tools(w, v);
	else if (echoed[i].kind == K_TEXT)
		put_text(w, v);
	else if (echoed[i].kind == K_REASONING)
		put_reasoning(w, v);
	else
		put_value(w, v);
	return RC_OK;
}

/* Where the client's words stand; nothing when the request was not made in this protocol. */
static bool is_key(unsigned i, struct str key)
{
	return str_eq(str_from(echoed[i].key), key);
}

static void find_said(const struct encoder_options *o, struct json_want said[N_ECHOED])
{
	const struct ir_request *r = o->request;

	for (unsigned i = 0; i < N_ECHOED; i++)
		said[i] = (struct json_want){ .key = echoed[i].key };
	if (!r || !rs_minted(r->origin) || !str_present(r->raw))
		return;
	if (json_scan(r->raw, said, N_ECHOED, NULL) == RC_OK)
		return;
	for (unsigned i = 0; i < N_ECHOED; i++)
		said[i] = (struct json_want){ .key = echoed[i].key };
}

static struct str keep(struct arena *a, struct buf *b)
{
	struct str copy = buf_ok(b) ? arena_dup(a, buf_str(b)) : STR_NONE;

	buf_done(b);
	return copy;
}

int rs_resource_init(struct rs_resource *ret, const struct encoder_options *o)
{
	struct json_want said[N_ECHOED];
	struct buf b;
	struct jw w;
	int rc = RC_OK;

	buf_init(&b, RS_TEXT_MAX);
	w = jw_on(&b);
	jw_obj(&w);
	jw_kstr(&w, "id", o->id);
	jw_kcstr(&w, "object", "response");
	jw_ki64(&w, "created_at", o->created_s);
	jw_kstr(&w, "model", o->model);
	ret->head = keep(o->arena, &b);

	find_said(o, said);
	buf_init(&b, RS_TEXT_MAX);
	w = jw_on(&b);
	jw_obj(&w);
	for (unsigned i = 0; !rc && i < N_ECHOED; i++) {
		/* What the gateway put in the place of it is in the body now. */
		if (o->request && is_key(i, STR("previous_response_id")) &&
		    str_present(o->request->previous_response_id))
			jw_kstr(&w, echoed[i].key, o->request->previous_response_id);
		else
			rc = put_echo(&w, o->arena, i, &said[i]);
	}
	jw_end_obj(&w);
	ret->tail = keep(o->arena, &b);
	if (rc || !ret->head.ptr || !ret->tail.ptr)
		return RC_NOMEM;
	ret->tail = str_from_offset(ret->tail, 1); /* goes on where the state ends */
	return RC_OK;
}

void rs_resource_write(struct buf *out, const struct rs_resource *r, const struct rs_state *s)
{
	struct jw w = jw_on(out);

	buf_put(out, r->head);
	buf_puts(out, ",\"status\":\"");
	buf_puts(out, s->status);
	buf_puts(out, "\",\"completed_at\":");
	if (s->completed_at)
		buf_put_i64(out, s->completed_at);
	else
		buf_puts(out, "null");
	buf_puts(out, ",\"error\":");
	if (s->error)
		rs_error_write(&w, s->error);
	else
		buf_puts(out, "null");
	buf_puts(out, ",\"incomplete_details\":");
	if (s->incomplete_reason) {
		buf_puts(out, "{\"reason\":\"");
		buf_puts(out, s->incomplete_reason);
		buf_puts(out, "\"}");
	} else {
		buf_puts(out, "null");
	}
	buf_puts(out, ",\"output\":[");
	buf_put(out, s->output);
	buf_puts(out, "],\"usage\":");
	w = jw_on(out);
	if (s->usage)
		rs_usage_write(&w, s->usage);
	else
		buf_puts(out, "null");
	buf_putc(out, ',');
	buf_put(out, r->tail);
}
