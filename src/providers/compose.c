/* providers/compose.c - building the head of an upstream request, the same way for every kind.
 *
 * The hard thing is what must not happen: nothing of the client's head goes up unless a kind asked for that field by
 * name, and no byte of key, header or model name can end a line or a path segment early (R20). */
#include "providers/compose.h"

#include "base/buf.h"
#include "wire/http1.h"

#ifndef GW_VERSION
#define GW_VERSION "dev"
#endif

enum {
	MAX_PATH = 8 * 1024,
	MAX_CLIENT_VALUE = 4096,
	MAX_REQUEST_ID = 128,
};

static void fail(struct compose *c, enum rc rc, const char *what)
{
	if (!c->rc)
		c->rc = err_set(c->reterr, rc, "%s", what);
}

static bool has_field(const struct compose *c, struct str name)
{
	for (unsigned i = 0; i < c->ret->n_fields; i++)
		if (str_ieq(c->ret->fields[i].name, name))
			return true;
	return false;
}

/* A field known to be fit: our own words, or checked before. */
static void add_checked(struct compose *c, struct str name, struct str value)
{
	if (c->rc)
		return;
	if (c->ret->n_fields == UPSTREAM_MAX_FIELDS)
		fail(c, RC_TOOBIG, "too many header fields for the provider");
	else
		c->ret->fields[c->ret->n_fields++] = (struct http_field){ name, value };
}

static void add(struct compose *c, struct str name, struct str value)
{
	if (!http_token_ok(name) || !http_value_ok(value))
		fail(c, RC_INVALID, "a header field for the provider holds a control character");
	else
		add_checked(c, name, value);
}

void compose_field(struct compose *c, const char *name, struct str value)
{
	if (str_present(value) && !has_field(c, str_from(name)))
		add_checked(c, str_from(name), value);
}

/* `before` and `s` in one, in the arena; absent when memory is out. */
static struct str joined(struct arena *a, struct str before, struct str s)
{
	char *to = arena_alloc_raw(a, before.len + s.len);

	if (!to)
		return STR_NONE;
	memcpy(to, before.ptr, before.len);
	memcpy(to + before.len, s.ptr, s.len);
	return (struct str){ to, before.len + s.len };
}

void compose_key(struct compose *c, const char *name, const char *prefix)
{
	struct str key = c->o->account->api_key, value;

	if (c->rc || !key.len || has_field(c, str_from(name)))
		return;
	value = *prefix ? joined(c->arena, str_from(prefix), key) : key;
	if (!value.ptr)
		fail(c, RC_NOMEM, "out of memory");
	else if (!http_value_ok(key))
		fail(c, RC_INVALID, "the provider's api_key holds a control character");
	else
		add_checked(c, str_from(name), value);
}

/* Visible ASCII and blanks: what lists of betas, versions and ids are made of. */
static bool is_simple(struct str s, size_t max)
{
	if (s.len == 0 || s.len > max)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < 0x20 || s.ptr[i] > 0x7e)
			return false;
	return true;
}

void compose_from_client(struct compose *c, const char *name)
{
	const struct http_head *h = c->o->client;
	struct str n = str_from(name);

	if (!c->o->relay || !h || has_field(c, n))
		return;
	for (unsigned i = 0; i < h->n_fields; i++)
		if (str_ieq(h->fields[i].name, n) &&
		    is_simple(h->fields[i].value, MAX_CLIENT_VALUE))
			add(c, n, h->fields[i].value);
}

static bool is_id(struct str s)
{
	if (!is_simple(s, MAX_REQUEST_ID))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char ch = s.ptr[i];

		if (!((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') ||
		      (ch >= 'A' && ch <= 'Z') || ch == '-' || ch == '_' || ch == '.'))
			return false;
	}
	return true;
}

void compose_start(struct compose *c, struct arena *a, const struct prepare_options *o,
		   enum http_method method, struct upstream_request *ret, struct err *reterr)
{
	struct str id = o->client ? http_field_get(o->client, STR("x-request-id")) : STR_NONE;

	*c = (struct compose){ .arena = a,
			       .o = o,
			       .ret = ret,
			       .reterr = reterr,
			       .base = o->account->origin.base_path };
	*ret = (struct upstream_request){ .method = method };
	for (unsigned i = 0; i < o->account->n_headers; i++)
		add(c, o->account->headers[i].name, o->account->headers[i].value);
	if (method == HTTP_POST)
		compose_field(c, "content-type", STR("application/json"));
	compose_field(c, "accept",
		      o->stream && o->framing == FRAMING_SSE ? STR("text/event-stream")
							     : STR("application/json"));
	compose_field(c, "accept-encoding", STR("identity"));
	compose_field(c, "user-agent", STR("llm-gateway/" GW_VERSION));
	if (is_id(id))
		compose_field(c, "x-request-id", id);
}

/* `segment` percent-encoded; absent when it does not fit or memory is out. */
static struct str encode_segment(struct compose *c, struct str segment)
{
	struct str encoded = STR_NONE;
	struct buf b;

	buf_init(&b, MAX_PATH);
	http_put_segment(&b, segment);
	if (b.over)
		fail(c, RC_TOOBIG, "the model's name is too long for a path");
	else if (buf_ok(&b))
		encoded = arena_dup(c->arena, buf_str(&b));
	buf_done(&b);
	return encoded;
}

void compose_path(struct compose *c, const char *root, const char *path, struct str segment,
		  const char *query)
{
	struct str encoded = str_present(segment) ? encode_segment(c, segment) : STR("");
	const struct str parts[] = { c->base,        str_from(root),
				     str_from(path), str_present(segment) ? STR("/") : STR(""),
				     encoded,        str_from(query) };
	enum { N_PARTS = sizeof(parts) / sizeof(parts[0]) };
	size_t len = 0;
	char *to;

	for (unsigned i = 0; i < N_PARTS; i++)
		len += parts[i].len;
	to = str_present(encoded) ? arena_alloc_raw(c->arena, len + 1) : NULL;
	if (!to) {
		fail(c, RC_NOMEM, "out of memory");
		return;
	}
	c->ret->path = (struct str){ to, len };
	for (unsigned i = 0; i < N_PARTS; i++) {
		if (parts[i].len)
			memcpy(to, parts[i].ptr, parts[i].len);
		to += parts[i].len;
	}
	*to = '\0';
}

struct str compose_segment(struct compose *c, struct str segment)
{
	struct str encoded = encode_segment(c, segment);

	if (!str_present(encoded))
		fail(c, RC_NOMEM, "out of memory");
	return str_present(encoded) ? encoded : STR("");
}

int compose_end(struct compose *c)
{
	return c->rc;
}

static int no_such_operation(struct err *reterr)
{
	return err_set(reterr, RC_UNSUPPORTED, "the provider has no such operation");
}

const char *compose_openai_path(const struct prepare_options *o)
{
	bool responses = o->protocol == &protocol_openai_responses;

	switch (o->op) {
	case IR_OP_GENERATE:
		if (o->protocol == &protocol_openai_completions)
			return "/completions";
		return responses ? "/responses" : "/chat/completions";
	case IR_OP_COMPACT:
		return responses ? "/responses/compact" : NULL;
	case IR_OP_EMBED:
		return "/embeddings";
	case IR_OP_LIST_MODELS:
	case IR_OP_GET_MODEL:
		return "/models";
	case IR_OP_COUNT_TOKENS:
		return responses ? "/responses/input_tokens" : NULL;
	case IR_OP_INFO:
	case IR_OP_KEPT:
		break;
	}
	return NULL;
}

bool compose_openai_model_speaks(struct str model, const struct protocol *p)
{
	struct str base = str_starts(model, STR("ft:")) ? str_from_offset(model, 3) : model;
	/* Deployments at Azure are called so: their names hold no dot. */
	bool instructs = str_starts(model, STR("gpt-3.5-turbo-instruct")) ||
			 str_starts(model, STR("gpt-35-turbo-instruct"));
	bool completes =
		instructs || str_starts(base, STR("davinci-")) || str_starts(base, STR("babbage-"));

	return completes == (p == &protocol_openai_completions);
}

/* Those that always reason refuse sampling: "Unsupported value: 'temperature' does not support 0.5 with this model." Since GPT-5.1 those that
 * can do without take it while their effort is none, which it is unless they are told otherwise. */
struct model_wants compose_openai_wants(struct str model)
{
	static const char *const reason[] = {
		"o1*",         "o3*",        "o4*",          "gpt-5",    "gpt-5-mini*",
		"gpt-5-nano*", "gpt-5-pro*", "gpt-5-codex*", "gpt-5-2*", "gpt-5.*-codex*",
		"gpt-5.*-pro*"
	};
	struct str base = str_starts(model, STR("ft:")) ? str_from_offset(model, 3) : model;

	for (size_t i = 0; i < sizeof(reason) / sizeof(*reason); i++)
		if (str_glob(str_from(reason[i]), base))
			return (struct model_wants){ .sampling = IR_SAMPLING_NONE };
	if ((str_glob(STR("gpt-5.*"), base) || str_glob(STR("gpt-6*"), base)) &&
	    !str_glob(STR("*-chat*"), base))
		return (struct model_wants){ .sampling = IR_SAMPLING_AT_REST };
	return (struct model_wants){ .sampling = IR_SAMPLING_FREE };
}

int compose_openai(struct arena *a, const struct prepare_options *o, struct upstream_request *ret,
		   struct err *reterr)
{
	bool post = o->op != IR_OP_LIST_MODELS && o->op != IR_OP_GET_MODEL;
	const char *path = compose_openai_path(o);
	struct compose c;

	if (!path)
		return no_such_operation(reterr);
	compose_start(&c, a, o, post ? HTTP_POST : HTTP_GET, ret, reterr);
	compose_key(&c, "authorization", "Bearer ");
	compose_from_client(&c, "openai-beta");
	compose_path(&c, "", path, o->op == IR_OP_GET_MODEL ? o->model : STR_NONE, "");
	return compose_end(&c);
}

/* `?beta=true` chooses Anthropic's beta routes; it is the only query that goes up. */
static const char *beta_query(const struct prepare_options *o)
{
	struct str rest = o->relay && o->client ? o->client->query : STR_NONE;

	while (str_present(rest))
		if (str_eq(str_cut(&rest, '&'), STR("beta=true")))
			return "?beta=true";
	return "";
}

int compose_anthropic(struct arena *a, const struct prepare_options *o, const char *root,
		      struct upstream_request *ret, struct err *reterr)
{
	bool post = o->op == IR_OP_GENERATE || o->op == IR_OP_COUNT_TOKENS;
	struct compose c;

	if (o->op == IR_OP_EMBED)
		return no_such_operation(reterr);
	compose_start(&c, a, o, post ? HTTP_POST : HTTP_GET, ret, reterr);
	compose_key(&c, "x-api-key", "");
	compose_from_client(&c, "anthropic-version");
	compose_field(&c, "anthropic-version", STR("2023-06-01"));
	compose_from_client(&c, "anthropic-beta");
	switch (o->op) {
	case IR_OP_GENERATE:
		compose_path(&c, root,
			     o->protocol == &protocol_anthropic_complete ? "/complete"
									 : "/messages",
			     STR_NONE, beta_query(o));
		break;
	case IR_OP_COUNT_TOKENS:
		compose_path(&c, root, "/messages/count_tokens", STR_NONE, beta_query(o));
		break;
	case IR_OP_LIST_MODELS:
		compose_path(&c, root, "/models", STR_NONE, "?limit=1000");
		break;
	case IR_OP_GET_MODEL:
		compose_path(&c, root, "/models", o->model, "");
		break;
	case IR_OP_EMBED:
	case IR_OP_INFO:
	case IR_OP_COMPACT:
	case IR_OP_KEPT:
		break;
	}
	return compose_end(&c);
}
