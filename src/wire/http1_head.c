/* wire/http1_head.c - the meaning of a head: framing, Host, target, and whether the
 * connection lives on.
 *
 * The one hard thing is that nothing here may be guessed: where two readers of the same
 * head could disagree on where the message ends or where it goes, it is refused.
 */
#include "wire/http1_head.h"

#include "base/escape.h"

/* What the fields that concern us said. */
struct seen {
	unsigned hosts, lengths, codings;
	bool close, keep_alive, upgrade, connection_upgrade;
	enum http1_error error;
};

static const bool tchar[256] = {
	['!'] = true,         ['#'] = true,         ['$'] = true, ['%'] = true,
	['&'] = true,         ['\''] = true,        ['*'] = true, ['+'] = true,
	['-'] = true,         ['.'] = true,         ['^'] = true, ['_'] = true,
	['`'] = true,         ['|'] = true,         ['~'] = true, ['0' ... '9'] = true,
	['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};

/* RFC 3986: reg-name, IPv4, IPv6 in brackets, and a port. The comma of sub-delims is left out:
 * it is what two joined Host fields would show. */
static const bool host_char[256] = {
	['!'] = true,         ['$'] = true, ['%'] = true,         ['&'] = true,
	['\''] = true,        ['('] = true, [')'] = true,         ['*'] = true,
	['+'] = true,         [';'] = true, ['='] = true,         ['-'] = true,
	['.'] = true,         ['_'] = true, ['~'] = true,         ['['] = true,
	[']'] = true,         [':'] = true, ['0' ... '9'] = true, ['A' ... 'Z'] = true,
	['a' ... 'z'] = true,
};

bool http1_is_tchar(unsigned char c)
{
	return tchar[c];
}

static bool all_in(const bool set[256], struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!set[(unsigned char)s.ptr[i]])
			return false;
	}
	return true;
}

bool http_token_ok(struct str name)
{
	return name.len && all_in(tchar, name);
}

static bool is_control(unsigned char c)
{
	return (c < 0x20 && c != '\t') || c == 0x7f;
}

/* What JSON may hold unescaped is good here too, but for DEL; so values are run over as strings are there. */
bool http_value_ok(struct str value)
{
	const unsigned char *p = (const unsigned char *)value.ptr, *end = p + value.len;

	if (value.len && memchr(p, 0x7f, value.len))
		return false;
	while ((p = escape_plain_end(p, end)) < end)
		if (is_control(*p++))
			return false;
	return true;
}

struct str http_field_find_(const struct http_head *h, struct str name)
{
	for (unsigned i = 0; i < h->n_fields; i++) {
		if (str_ieq(h->fields[i].name, name))
			return h->fields[i].value;
	}
	return STR_NONE;
}

static bool list_has(struct str list, struct str token)
{
	while (list.ptr) {
		if (str_ieq(str_trim(str_cut(&list, ',')), token))
			return true;
	}
	return false;
}

bool http_field_has_token(const struct http_head *h, struct str name, struct str token)
{
	for (unsigned i = 0; i < h->n_fields; i++) {
		if (str_ieq(h->fields[i].name, name) && list_has(h->fields[i].value, token))
			return true;
	}
	return false;
}

/* --- what the fields say --- */

static enum http1_error first_error(enum http1_error a, enum http1_error b)
{
	return a ? a : b;
}

static void read_length(struct http_head *h, struct seen *seen, struct str value)
{
	uint64_t n;

	if (seen->lengths++ || !str_to_u64(value, &n) || n > INT64_MAX) {
		seen->error = first_error(seen->error, HTTP1_E_FRAMING);
		return;
	}
	h->content_length = (int64_t)n;
}

static void read_coding(struct http_head *h, struct seen *seen, struct str value)
{
	if (seen->codings++)
		seen->error = first_error(seen->error, HTTP1_E_FRAMING);
	else if (!str_ieq(value, STR("chunked")))
		seen->error = first_error(seen->error, HTTP1_E_TE);
	h->chunked = true;
}

static void read_field(struct http_head *h, struct seen *seen, const struct http_field *f)
{
	switch (f->name.len) { /* most names are told apart by their length alone */
	case 0:
		seen->error = first_error(seen->error, HTTP1_E_SYNTAX);
		break;
	case 4:
		if (!str_ieq(f->name, STR("host")))
			break;
		if (seen->hosts++ || !all_in(host_char, f->value))
			seen->error = first_error(seen->error, HTTP1_E_HOST);
		break;
	case 6:
		if (!str_ieq(f->name, STR("expect")))
			break;
		if (str_ieq(f->value, STR("100-continue")))
			h->expect_continue = true;
		else
			h->expect_unknown = true;
		break;
	case 7:
		seen->upgrade |= str_ieq(f->name, STR("upgrade"));
		break;
	case 10:
		if (!str_ieq(f->name, STR("connection")))
			break;
		seen->close |= list_has(f->value, STR("close"));
		seen->keep_alive |= list_has(f->value, STR("keep-alive"));
		seen->connection_upgrade |= list_has(f->value, STR("upgrade"));
		break;
	case 14:
		if (str_ieq(f->name, STR("content-length")))
			read_length(h, seen, f->value);
		break;
	case 17:
		if (str_ieq(f->name, STR("transfer-encoding")))
			read_coding(h, seen, f->value);
		break;
	default:
		break;
	}
}

/* Framing as both directions have it. Both lengths at once come first: whatever else is wrong with
 * either, that is the attack. */
static enum http1_error read_fields(struct http_head *h, struct seen *seen)
{
	uint64_t names = 0;

	h->content_length = -1;
	for (unsigned i = 0; i < h->n_fields; i++) {
		read_field(h, seen, &h->fields[i]);
		names |= h->fields[i].name.len ? http_name_bit(h->fields[i].name) : 0;
	}
	h->no_names = ~names;
	if (seen->lengths && seen->codings)
		return HTTP1_E_FRAMING;
	if (seen->error)
		return seen->error;
	if (seen->codings && h->minor == 0)
		return HTTP1_E_FRAMING; /* HTTP/1.0 knows no chunks: somebody in between did not understand */
	h->upgrade = seen->upgrade && seen->connection_upgrade;
	h->keep_alive = h->minor ? !seen->close : seen->keep_alive && !seen->close;
	return HTTP1_OK;
}

/* --- requests --- */

static enum http_method method_of(struct str text)
{
	static const struct {
		struct str text;
		enum http_method method;
	} known[] = {
		{ STR_INIT("POST"), HTTP_POST },     { STR_INIT("GET"), HTTP_GET },
		{ STR_INIT("HEAD"), HTTP_HEAD },     { STR_INIT("OPTIONS"), HTTP_OPTIONS },
		{ STR_INIT("DELETE"), HTTP_DELETE }, { STR_INIT("PUT"), HTTP_PUT },
		{ STR_INIT("PATCH"), HTTP_PATCH },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (str_eq(text, known[i].text))
			return known[i].method;
	}
	return HTTP_OTHER;
}

/* Only origin-form, and `*` of OPTIONS: in the other forms the target names a host, and
 * what is asked of us must never say where we connect to. */
static enum http1_error read_target(struct http_head *h)
{
	for (size_t i = 0; i < h->target.len; i++) {
		unsigned char c = (unsigned char)h->target.ptr[i];

		if (c <= 0x20 || c >= 0x7f || c == '#')
			return HTTP1_E_SYNTAX;
	}
	h->query = h->target;
	h->path = str_cut(&h->query, '?');
	if (h->method == HTTP_OPTIONS && str_eq(h->target, STR("*")))
		return HTTP1_OK;
	return str_starts(h->target, STR("/")) ? HTTP1_OK : HTTP1_E_SYNTAX;
}

enum http1_error http1_check_request(struct http_head *h)
{
	struct seen seen = { 0 };
	enum http1_error e;

	h->method = method_of(h->method_text);
	if (str_eq(h->method_text, STR("CONNECT")))
		return HTTP1_E_METHOD; /* its target has a form of its own: say what is really wrong */
	e = read_target(h);
	if (!e)
		e = read_fields(h, &seen);
	if (e)
		return e;
	if (h->minor && !seen.hosts)
		return HTTP1_E_HOST;
	if (!h->minor)
		h->expect_continue = h->expect_unknown = false; /* RFC 9110 10.1.1: to be ignored */
	return HTTP1_OK;
}

/* --- responses --- */

enum http1_error http1_check_response(struct http_head *h)
{
	struct seen seen = { 0 };

	if (h->status < 100 || h->status > 599 || h->status == 101 || !http_value_ok(h->reason))
		return HTTP1_E_SYNTAX;
	return read_fields(h, &seen);
}

struct http_head *http_head_copy(struct arena *a, const struct http_head *head)
{
	struct http_head *h = arena_alloc(a, sizeof(*h));
	struct http_field *fields = arena_array(a, head->n_fields + 1, sizeof(*fields));

	if (!h || !fields)
		return NULL;
	*h = *head;
	h->method_text = arena_dup(a, head->method_text);
	h->target = arena_dup(a, head->target);
	h->path = arena_dup(a, head->path);
	h->query = arena_dup(a, head->query);
	h->fields = fields;
	for (unsigned i = 0; i < head->n_fields; i++) {
		fields[i].name = arena_dup(a, head->fields[i].name);
		fields[i].value = arena_dup(a, head->fields[i].value);
		if (!fields[i].name.ptr || !fields[i].value.ptr)
			return NULL;
	}
	return h->method_text.ptr && h->target.ptr && h->path.ptr ? h : NULL;
}
