/* protocols/openai_responses/resource.c - the response resource: what an answer repeats of its request, with every key that either
 * specification requires.
 *
 * The hard thing is that most keys must be there with a real value whether the client said anything or not. So the client's
 * words are taken where there are any, made compact (a line of a stream holds no newline), and the API's defaults elsewhere. */
#include "protocols/openai_responses/openai_responses.h"

enum kind { K_RAW, K_TOOLS, K_TEXT, K_REASONING };

/* Each member: its name, what a value may begin with ("t": a boolean; "" any), and what stands there when it is absent or null. */
#define ECHOED(X)                                                                           \
	X("instructions", K_RAW, "\"", "null")                                              \
	X("previous_response_id", K_RAW, "\"", "null")                                      \
	X("tools", K_TOOLS, "[", "[]")                                                      \
	X("tool_choice", K_RAW, "\"{", "\"auto\"")                                          \
	X("parallel_tool_calls", K_RAW, "t", "true")                                        \
	X("max_tool_calls", K_RAW, "", "null")                                              \
	X("truncation", K_RAW, "\"", "\"disabled\"")                                        \
	X("text", K_TEXT, "{", "{\"format\":{\"type\":\"text\"},\"verbosity\":\"medium\"}") \
	X("reasoning", K_REASONING, "{", "{\"effort\":null,\"summary\":null}")              \
	X("temperature", K_RAW, "", "1.0")                                                  \
	X("top_p", K_RAW, "", "1.0")                                                        \
	X("top_logprobs", K_RAW, "", "0")                                                   \
	X("presence_penalty", K_RAW, "", "0.0")                                             \
	X("frequency_penalty", K_RAW, "", "0.0")                                            \
	X("max_output_tokens", K_RAW, "", "null")                                           \
	X("store", K_RAW, "t", "true")                                                      \
	X("background", K_RAW, "t", "false")                                                \
	X("metadata", K_RAW, "{", "{}")                                                     \
	X("safety_identifier", K_RAW, "\"", "null")                                         \
	X("prompt_cache_key", K_RAW, "\"", "null")

#define UNSAID(name, kind, first, otherwise) ",\"" name "\":" otherwise
#define ROW(name, kind, first, otherwise) \
	{ STR_INIT(name), kind, first, sizeof(UNSAID(name, kind, first, otherwise)) - 1 },

/* All of them as they stand when nothing is said, one behind the other: most are copied from here in a few pieces. */
static const char unsaid[] = ECHOED(UNSAID);

static const struct {
	struct str name;
	enum kind kind;
	char first[4];
	size_t unsaid; /* length of its piece there */
} echoed[] = { ECHOED(ROW) };

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

static char first_of(const json *v)
{
	return json_is_str(v)    ? '"'
	       : json_is_obj(v)  ? '{'
	       : json_is_arr(v)  ? '['
	       : json_is_bool(v) ? 't'
				 : '0';
}

static bool may_be_said(unsigned i, const json *v)
{
	return v && (!echoed[i].first[0] || strchr(echoed[i].first, first_of(v)));
}

static void put_echo(struct jw *w, unsigned i, const json *said)
{
	jw_key_str(w, echoed[i].name);
	switch (echoed[i].kind) {
	case K_TOOLS:
		put_tools(w, said);
		break;
	case K_TEXT:
		put_text(w, said);
		break;
	case K_REASONING:
		put_reasoning(w, said);
		break;
	case K_RAW:
		put_value(w, said);
		break;
	}
}

static void put_head(struct buf *out, const struct encoder_options *o)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_kstr(&w, "id", o->id);
	jw_kstr(&w, "object", STR("response"));
	jw_ki64(&w, "created_at", o->created_s);
	jw_kstr(&w, "model", o->model);
}

/* From behind the state on. The client's words are there only where it spoke this protocol. */
static void put_tail(struct buf *out, const struct encoder_options *o)
{
	const struct ir_request *r = o->request;
	struct str previous = r ? r->previous_response_id : STR_NONE;
	const json *body = r && rs_minted(r->origin) ? r->body : NULL, *said[N_ECHOED];
	struct jw w = jw_inside(out);
	size_t done = 0, at = 0; /* in the pieces of what is not said */

	(void)JSON_FIND_ROWS(body, echoed, said);
	for (unsigned i = 0; i < N_ECHOED; at += echoed[i++].unsaid) {
		/* What the gateway put in the place of it is in the body now. */
		bool own = str_present(previous) &&
			   str_eq(echoed[i].name, STR("previous_response_id"));

		if (!own && !may_be_said(i, said[i]))
			continue;
		buf_put(out, (struct str){ unsaid + done, at - done });
		done = at + echoed[i].unsaid;
		if (own)
			jw_kstr(&w, "previous_response_id", previous);
		else
			put_echo(&w, i, said[i]);
	}
	buf_put(out, (struct str){ unsaid + done, at - done });
	if (json_is_str(json_get(body, STR("user"))))
		jw_kstr(&w, "user", json_str(json_get(body, STR("user"))));
	jw_end_obj(&w);
}

static struct str keep(struct arena *a, struct buf *b)
{
	struct str copy = buf_ok(b) ? arena_dup(a, buf_str(b)) : STR_NONE;

	buf_done(b);
	return copy;
}

/* What was asked for stands there while the answer is made; then how it was processed, as far as the provider says. */
static struct str asked_tier(const struct encoder_options *o)
{
	const struct ir_request *r = o->request;

	return r && rs_minted(r->origin) && str_present(r->service_tier) &&
			       !str_eq(r->service_tier, STR("auto"))
		       ? r->service_tier
		       : STR("default");
}

int rs_resource_init(struct rs_resource *ret, const struct encoder_options *o)
{
	struct buf b;

	buf_init(&b, RS_TEXT_MAX);
	put_head(&b, o);
	ret->head = keep(o->arena, &b);
	put_tail(&b, o);
	ret->tail = keep(o->arena, &b);
	ret->tier = asked_tier(o);
	return ret->head.ptr && ret->tail.ptr ? RC_OK : RC_NOMEM;
}

static void put_state(struct buf *out, struct str asked, const struct rs_state *s)
{
	const char *tier = oc_tier_name(s->tier);
	struct jw w = jw_inside(out);

	jw_kcstr(&w, "status", s->status);
	jw_key(&w, "completed_at");
	if (s->completed_at)
		jw_i64(&w, s->completed_at);
	else
		jw_null(&w);
	jw_key(&w, "error");
	if (s->error)
		rs_error_write(&w, s->error);
	else
		jw_null(&w);
	jw_key(&w, "incomplete_details");
	if (s->incomplete_reason) {
		jw_obj(&w);
		jw_kcstr(&w, "reason", s->incomplete_reason);
		jw_end_obj(&w);
	} else {
		jw_null(&w);
	}
	jw_key(&w, "output");
	jw_arr(&w);
	jw_raw(&w, s->output);
	jw_end_arr(&w);
	jw_key(&w, "usage");
	if (s->usage)
		rs_usage_write(&w, s->usage);
	else
		jw_null(&w);
	jw_kstr(&w, "service_tier", tier ? str_from(tier) : s->over ? STR("default") : asked);
}

void rs_resource_write(struct buf *out, const struct rs_resource *r, const struct rs_state *s)
{
	buf_put(out, r->head);
	put_state(out, r->tier, s);
	buf_put(out, r->tail);
}

void rs_resource_write_once(struct buf *out, const struct encoder_options *o,
			    const struct rs_state *s)
{
	put_head(out, o);
	put_state(out, asked_tier(o), s);
	put_tail(out, o);
}
