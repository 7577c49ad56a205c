/* protocols/route.c - which protocol and operation a request head asks for.
 *
 * The one hard thing is that two protocols share paths (/v1/models) and that a refusal must be worded in the protocol
 * the caller most likely speaks: a vendor's prefix decides, then the fields of an SDK, then the path. */
#include "protocols/protocol.h"

/* What stands before the path proper, as the vendors' SDKs may be configured. With `family`
 * only protocols whose name starts with it are meant. */
static const struct {
	struct str prefix, then, family;
} prefixes[] = {
	{ STR_INIT("/openai"), STR_INIT("/"), STR_INIT("openai") },
	{ STR_INIT("/anthropic"), STR_INIT("/"), STR_INIT("anthropic") },
	{ STR_INIT("/google"), STR_INIT("/"), STR_INIT("gemini") },
	{ STR_INIT("/api"), STR_INIT("/v1/"), STR_INIT("") },
};

/* Paths that speak of a protocol even where it has no such route: "/v1/messages/batches". */
static const struct {
	struct str path, family;
} hints[] = {
	{ STR_INIT("/v1/messages"), STR_INIT("anthropic") },
	{ STR_INIT("/v1/complete"), STR_INIT("anthropic") },
	{ STR_INIT("/api"), STR_INIT("ollama") }, /* "/api/pull" */
	{ STR_INIT("/v1beta"), STR_INIT("gemini") },
	{ STR_INIT("/v1beta1"), STR_INIT("gemini") },
	{ STR_INIT("/v1/projects"), STR_INIT("gemini") },
	{ STR_INIT("/v1/publishers"), STR_INIT("gemini") },
	{ STR_INIT("/v1/responses"), STR_INIT("openai-responses") },
};

/* What the head says beside the path. */
struct asked {
	struct str path;   /* without a prefix */
	struct str full;   /* with it: some routes name it (Azure's deployments) */
	struct str family; /* of the prefix; empty: any */
	struct str sdk;    /* the family whose SDK's fields were sent; empty: none */
	enum http_method method;
};

static struct asked read_head(const struct http_head *head)
{
	struct asked q = {
		.path = head->path, .full = head->path, .family = STR(""), .method = head->method
	};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		struct str rest = str_from_offset(head->path, prefixes[i].prefix.len);

		if (str_starts(head->path, prefixes[i].prefix) &&
		    str_starts(rest, prefixes[i].then)) {
			q.path = rest;
			q.family = prefixes[i].family;
			break;
		}
	}
	q.sdk = STR("");
	if (str_present(http_field_get(head, STR("anthropic-version"))))
		q.sdk = STR("anthropic");
	else if (str_present(http_field_get(head, STR("x-goog-api-key"))) ||
		 str_present(http_field_get(head, STR("x-goog-api-client"))))
		q.sdk = STR("gemini");
	if (q.method == HTTP_HEAD)
		q.method = HTTP_GET;
	return q;
}

static bool in_family(const struct protocol *p, struct str family)
{
	return family.len == 0 || str_starts(str_from(p->name), family);
}

static const struct protocol *first_of(struct str family)
{
	for (unsigned i = 0; protocols[i]; i++) {
		if (in_family(protocols[i], family))
			return protocols[i];
	}
	return protocols[0];
}

/* In whose words to say no. */
static const struct protocol *speaker(const struct asked *q)
{
	if (q->family.len)
		return first_of(q->family);
	if (q->sdk.len)
		return first_of(q->sdk);
	for (size_t i = 0; i < sizeof(hints) / sizeof(*hints); i++) {
		struct str rest = str_from_offset(q->path, hints[i].path.len);

		if (str_starts(q->path, hints[i].path) && (rest.len == 0 || rest.ptr[0] == '/'))
			return first_of(hints[i].family);
	}
	return protocols[0];
}

/* The first eight bytes of a path in one word, zeros behind a shorter one: most routes differ in them, and there are many. */
static uint64_t head_word(const char *text, size_t len)
{
	uint64_t word = 0;

	memcpy(&word, text, len < sizeof(word) ? len : sizeof(word));
	return word;
}

/* How much of the path the route says, SIZE_MAX where it has no placeholder; 0: it does not match. */
static size_t path_matches(const char *route, struct str path, struct str *ret_arg)
{
	struct str brace, rest;
	size_t n = 0;

	*ret_arg = STR_NONE;
	while (n < path.len && route[n] != '{' && route[n] == path.ptr[n])
		n++;
	if (route[n] != '{')
		return n == path.len && !route[n] ? SIZE_MAX : 0;
	brace = str_from(route + n);
	rest = str_from_offset(path, n);
	n = (size_t)str_chr(brace, '}') + 1;
	if (rest.len <= brace.len - n || !str_ends(rest, str_from_offset(brace, n)))
		return 0;
	rest.len -= brace.len - n;
	if (str_starts(brace, STR("{id}")) && str_chr(rest, '/') >= 0)
		return 0;
	*ret_arg = rest;
	return path.len - rest.len;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Absent when an escape is broken or says NUL, or memory is out: such a thing does not exist here. */
static struct str percent_decode(struct arena *a, struct str s)
{
	char *to = arena_alloc_raw(a, s.len + 1);
	size_t n = 0;

	if (!to)
		return STR_NONE;
	for (size_t i = 0; i < s.len; i++) {
		int high, low;

		if (s.ptr[i] != '%') {
			to[n++] = s.ptr[i];
			continue;
		}
		if (i + 2 >= s.len)
			return STR_NONE;
		high = hex_digit(s.ptr[i + 1]);
		low = hex_digit(s.ptr[i + 2]);
		if (high < 0 || low < 0 || (high | low) == 0)
			return STR_NONE;
		to[n++] = (char)(high << 4 | low);
		i += 2;
	}
	return (struct str){ to, n };
}

bool query_next(struct arena *a, struct str *io_rest, struct str *ret_name, struct str *ret_value)
{
	while (str_present(*io_rest)) {
		struct str value = str_cut(io_rest, '&'), name = str_cut(&value, '=');

		if (!str_present(value))
			continue;
		*ret_name = percent_decode(a, name);
		*ret_value = percent_decode(a, value);
		return true;
	}
	return false;
}

struct str query_get(struct arena *a, struct str query, const char *name)
{
	struct str key, value;

	while (query_next(a, &query, &key, &value))
		if (str_eq(key, str_from(name)))
			return value;
	return STR_NONE;
}

struct str query_put(struct arena *a, const char *name, struct str value)
{
	struct str copy;
	struct buf b;

	buf_init(&b, 3 * value.len + strlen(name) + 2);
	buf_puts(&b, name);
	buf_putc(&b, '=');
	http_put_segment(&b, value);
	copy = buf_ok(&b) ? arena_dup(a, buf_str(&b)) : STR_NONE;
	buf_done(&b);
	return copy;
}

static const struct str method_names[] = {
	[HTTP_GET] = STR_INIT("GET, HEAD"), [HTTP_HEAD] = STR_INIT("HEAD"),
	[HTTP_POST] = STR_INIT("POST"),     [HTTP_PUT] = STR_INIT("PUT"),
	[HTTP_DELETE] = STR_INIT("DELETE"), [HTTP_OPTIONS] = STR_INIT("OPTIONS"),
	[HTTP_PATCH] = STR_INIT("PATCH"),   [HTTP_OTHER] = STR_INIT(""),
};

static struct str allow_list(struct arena *a, unsigned methods)
{
	struct str list = STR("");

	for (unsigned m = 0; m <= HTTP_PATCH; m++) {
		if (!(methods & 1u << m))
			continue;
		list = list.len ? arena_printf(a, "%.*s, %.*s", STR_ARG(list),
					       STR_ARG(method_names[m]))
				: method_names[m];
	}
	return list;
}

/* What the routes say to the path: of those that say most of it the first that fits, unless another of the SDK's family does too. */
struct search {
	size_t said; /* as path_matches() has it: all below is of such routes alone */
	const struct protocol
		*protocol; /* of `route`; else the one that has the path at all; NULL */
	const struct protocol_route *route; /* NULL: none with that path and method */
	struct str arg;
	unsigned methods; /* bit m: some route has the path with the method m */
	bool preferred;   /* `protocol` is of the SDK's family */
};

/* No other route can be meant. */
static bool is_settled(const struct asked *q, const struct search *s)
{
	return s->route && s->said == SIZE_MAX && (s->preferred || !q->sdk.len);
}

static void search_routes(const struct asked *q, const struct protocol *p, struct search *s)
{
	uint64_t path = head_word(q->path.ptr, q->path.len);
	uint64_t full = head_word(q->full.ptr, q->full.len);
	bool preferred = q->sdk.len && in_family(p, q->sdk);
	struct str arg;

	for (const struct protocol_route *r = p->routes; r->path; r++) {
		uint64_t word = head_word(r->path, sizeof(word));
		size_t said;

		if (word != path && word != full)
			continue;
		said = path_matches(r->path, q->path, &arg);
		if (!said && q->path.len != q->full.len)
			said = path_matches(r->path, q->full, &arg);
		if (!said || said < s->said)
			continue;
		if (said > s->said)
			*s = (struct search){ .said = said, .arg = STR_NONE };
		if (!s->route && (!s->methods || preferred))
			s->protocol = p;
		s->methods |= 1u << r->method;
		if (r->method != q->method || (s->route && (s->preferred || !preferred)))
			continue;
		s->route = r;
		s->protocol = p;
		s->arg = arg;
		s->preferred = preferred;
		if (is_settled(q, s))
			return;
	}
}

enum route_result route_find(struct arena *a, const struct http_head *head, struct route_match *ret)
{
	struct asked q = read_head(head);
	struct search s = { .arg = STR_NONE };

	for (unsigned i = 0; protocols[i] && !is_settled(&q, &s); i++)
		if (in_family(protocols[i], q.family))
			search_routes(&q, protocols[i], &s);
	*ret = (struct route_match){ .protocol = s.protocol ? s.protocol : speaker(&q) };
	if (s.route) {
		ret->line = (struct request_line){ .op = s.route->op,
						   .variant = s.route->variant,
						   .query = head->query };
		if (!str_present(s.arg))
			return ROUTE_OK;
		ret->line.arg = percent_decode(a, s.arg);
		return str_present(ret->line.arg) ? ROUTE_OK : ROUTE_NOT_FOUND;
	}
	/* "models/x:predict" is a verb of Google's that nobody knows here, and no model of that name. */
	if (!s.methods || (q.method == HTTP_POST && str_find(q.path, STR(":")) >= 0))
		return ROUTE_NOT_FOUND;
	ret->allow = allow_list(a, s.methods);
	return ROUTE_METHOD;
}
