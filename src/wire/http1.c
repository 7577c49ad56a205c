/* wire/http1.c - one direction of an HTTP/1.1 connection, on llhttp in its strict mode.
 *
 * The hard thing is that the outcome must not depend on how the bytes are cut, and that a
 * head which arrives in one piece (nearly all do) is not copied. So places in the head are
 * kept as offsets; what stands in the fed bytes is copied only when they end inside the
 * head; and limits are kept by never showing llhttp more bytes than may still come.
 *
 *	IDLE --first byte--> HEAD --on_head--> BODY --on_end--> IDLE
 *	                      ^ 1xx |            | last chunk
 *	                      +-----+            +--> TRAILERS --on_end--> IDLE
 *
 * llhttp is paused at the end of the head, before trailers and at the end of the message, so
 * that all that follows from these happens outside of its callbacks.
 */
#include "wire/http1.h"

#include <assert.h>
#include <stdlib.h>

/* llhttp's names of methods are ours too; its own are not needed here. */
#define HTTP_GET LLHTTP_GET
#define HTTP_HEAD LLHTTP_HEAD
#define HTTP_POST LLHTTP_POST
#define HTTP_PUT LLHTTP_PUT
#define HTTP_DELETE LLHTTP_DELETE
#define HTTP_OPTIONS LLHTTP_OPTIONS
#define HTTP_PATCH LLHTTP_PATCH
#include <llhttp.h>
#undef HTTP_GET
#undef HTTP_HEAD
#undef HTTP_POST
#undef HTTP_PUT
#undef HTTP_DELETE
#undef HTTP_OPTIONS
#undef HTTP_PATCH

#include "wire/http1_head.h"

enum {
	STACK_FIELDS = 64, /* heads with more pay for an allocation */
	TARGET_START = 48, /* longer than the longest path that means something */
	MAX_INTERIM = 8,   /* 1xx responses before the final one */
};

/* Places in the head, from its first byte. */
struct span {
	uint32_t at, len;
};

struct field_span {
	struct span name, value;
};

enum phase { IDLE, HEAD, BODY, TRAILERS };
enum pause {
	PAUSE_NONE,
	PAUSE_HEAD_WHOLE,
	PAUSE_BEFORE_TRAILERS,
	PAUSE_MESSAGE_WHOLE,
	PAUSE_BY_OWNER
};

struct http1_parser {
	llhttp_t ll;
	const struct http1_limits *limits;
	const struct http1_callbacks *cb;
	void *user;

	const char *feed; /* the bytes that llhttp is reading now */
	size_t before;    /* bytes of this head, or of these trailers, in earlier feeds */
	struct buf head;  /* those bytes (of a head); empty while it came in one piece */
	struct field_span *fields;
	unsigned n_fields, cap_fields;
	bool fields_on_stack; /* of http1_feed(); saved before it returns */
	bool in_name;
	struct span method, target, reason, name;
	size_t chunk_ext; /* extension bytes of this message */

	enum phase phase;
	enum pause pause;
	enum http1_error error;
	enum http1_side side;
	bool again;           /* llhttp may go on without a further byte */
	bool to_head_request; /* the next response has no body whatever it says */
	bool until_close;     /* the body ends with the connection */
	bool cr;              /* IDLE: half of an empty line has come */
	uint8_t empty_lines, interim;
	uint8_t target_start_len;
	char target_start[TARGET_START];
};

/* --- llhttp's callbacks: they note places and limits, nothing else --- */

static int fail(struct http1_parser *p, enum http1_error e)
{
	p->error = e;
	return HPE_USER;
}

static int halt(struct http1_parser *p, enum pause why)
{
	p->pause = why;
	return HPE_PAUSED;
}

/* Takes another piece of a place that may have come in several. */
static void extend(struct http1_parser *p, struct span *s, const char *at, size_t len)
{
	uint32_t start = (uint32_t)(p->before + (size_t)(at - p->feed));

	if (!s->len)
		s->at = start;
	s->len = start + (uint32_t)len - s->at;
}

static int on_method(llhttp_t *ll, const char *at, size_t len)
{
	struct http1_parser *p = ll->data;

	extend(p, &p->method, at, len);
	return 0;
}

static int on_target(llhttp_t *ll, const char *at, size_t len)
{
	struct http1_parser *p = ll->data;

	extend(p, &p->target, at, len);
	for (size_t i = 0; i < len && p->target_start_len < TARGET_START; i++)
		p->target_start[p->target_start_len++] = at[i];
	return p->target.len > p->limits->max_target ? fail(p, HTTP1_E_TARGET) : 0;
}

static int on_reason(llhttp_t *ll, const char *at, size_t len)
{
	struct http1_parser *p = ll->data;

	extend(p, &p->reason, at, len);
	return 0;
}

static int on_field_name(llhttp_t *ll, const char *at, size_t len)
{
	struct http1_parser *p = ll->data;

	if (p->phase != HEAD)
		return 0;
	if (!p->in_name)
		p->name.len = 0;
	p->in_name = true;
	extend(p, &p->name, at, len);
	return 0;
}

static bool grow_fields(struct http1_parser *p)
{
	unsigned cap = p->cap_fields ? 2 * p->cap_fields : STACK_FIELDS;
	struct field_span *f = realloc(p->fields_on_stack ? NULL : p->fields, cap * sizeof(*f));

	if (!f)
		return false;
	if (p->fields_on_stack)
		memcpy(f, p->fields, p->n_fields * sizeof(*f));
	p->fields = f;
	p->cap_fields = cap;
	p->fields_on_stack = false;
	return true;
}

/* Counted here and not at the name's first byte, because this happens at the same byte (the
 * colon) however the name was cut. */
static int on_field_name_end(llhttp_t *ll)
{
	struct http1_parser *p = ll->data;

	p->in_name = false;
	if (p->phase != HEAD)
		return 0;
	if (p->n_fields >= p->limits->max_fields)
		return fail(p, HTTP1_E_HEAD);
	if (p->n_fields == p->cap_fields && !grow_fields(p))
		return fail(p, HTTP1_E_NOMEM);
	p->fields[p->n_fields++] = (struct field_span){ .name = p->name };
	return 0;
}

static int on_field_value(llhttp_t *ll, const char *at, size_t len)
{
	struct http1_parser *p = ll->data;

	if (p->phase == HEAD)
		extend(p, &p->fields[p->n_fields - 1].value, at, len);
	return 0;
}

static int on_head_whole(llhttp_t *ll)
{
	return halt(ll->data, PAUSE_HEAD_WHOLE);
}

static int on_chunk_size(llhttp_t *ll)
{
	return ll->content_length ? 0 : halt(ll->data, PAUSE_BEFORE_TRAILERS);
}

static int on_chunk_ext(llhttp_t *ll, const char *at, size_t len)
{
	struct http1_parser *p = ll->data;

	(void)at;
	p->chunk_ext += len;
	return p->chunk_ext > p->limits->max_chunk_ext ? fail(p, HTTP1_E_SYNTAX) : 0;
}

static int on_body(llhttp_t *ll, const char *at, size_t len)
{
	struct http1_parser *p = ll->data;

	if (!len || p->cb->on_body(p->user, (struct str){ at, len }) == HTTP1_GO)
		return 0;
	return halt(p, PAUSE_BY_OWNER);
}

static int on_message_whole(llhttp_t *ll)
{
	return halt(ll->data, PAUSE_MESSAGE_WHOLE);
}

static const llhttp_settings_t settings = {
	.on_method = on_method,
	.on_url = on_target,
	.on_status = on_reason,
	.on_header_field = on_field_name,
	.on_header_field_complete = on_field_name_end,
	.on_header_value = on_field_value,
	.on_headers_complete = on_head_whole,
	.on_chunk_header = on_chunk_size,
	.on_chunk_extension_name = on_chunk_ext,
	.on_chunk_extension_value = on_chunk_ext,
	.on_body = on_body,
	.on_message_complete = on_message_whole,
};

/* --- life --- */

struct http1_parser *http1_new(enum http1_side side, const struct http1_limits *limits,
			       const struct http1_callbacks *cb, void *user)
{
	struct http1_parser *p = calloc(1, sizeof(*p));

	_Static_assert(sizeof(*p) < 600, "every idle connection has one");
	assert(limits->max_head > 0 && limits->max_head <= UINT32_MAX);
	if (!p)
		return NULL;
	llhttp_init(&p->ll, side == HTTP1_REQUESTS ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	p->ll.data = p;
	p->side = side;
	p->limits = limits;
	p->cb = cb;
	p->user = user;
	buf_init(&p->head, limits->max_head);
	return p;
}

/* Forgets the head that was being read, or has been handed out. */
static void drop_head(struct http1_parser *p)
{
	buf_done(&p->head);
	if (!p->fields_on_stack) {
		free(p->fields);
		p->fields = NULL;
		p->cap_fields = 0;
	}
	p->n_fields = 0;
	p->before = 0;
}

struct http1_parser *http1_free(struct http1_parser *p)
{
	if (p) {
		drop_head(p);
		free(p);
	}
	return NULL;
}

void http1_expect(struct http1_parser *p, enum http_method of_request)
{
	p->to_head_request = of_request == HTTP_HEAD;
}

bool http1_in_message(const struct http1_parser *p)
{
	return p->phase != IDLE;
}

struct str http1_target_start(const struct http1_parser *p)
{
	return (struct str){ p->target_start, p->target_start_len };
}

enum http1_error http1_error(const struct http1_parser *p)
{
	return p->error;
}

/* --- the head --- */

static void begin_head(struct http1_parser *p)
{
	llhttp_reset(&p->ll);
	p->phase = HEAD;
	p->before = 0;
	p->n_fields = 0;
	p->in_name = false;
	p->method = p->target = p->reason = (struct span){ 0, 0 };
	p->target_start_len = 0;
	p->chunk_ext = 0;
	p->until_close = false;
	p->cr = false;
	p->empty_lines = 0;
}

static struct str slice(const char *base, struct span s)
{
	return (struct str){ s.len ? base + s.at : "", s.len };
}

/* llhttp lets pass what we do not: more than one space, other protocols that look like HTTP. So the
 * start line is compared with what it must look like, byte for byte, around the places found. */
static enum http1_error read_start_line(struct http1_parser *p, const char *base, size_t len,
					struct http_head *h)
{
	bool request = p->side == HTTP1_REQUESTS;
	struct str version = { base, len };

	if (request) {
		h->method_text = slice(base, p->method);
		h->target = slice(base, p->target);
		if (p->method.at != 0 || p->target.at != p->method.len + 1 ||
		    base[p->method.len] != ' ')
			return HTTP1_E_SYNTAX;
		version = str_from_offset(version, (size_t)p->target.at + p->target.len);
		if (!str_starts(version, STR(" ")))
			return HTTP1_E_VERSION; /* HTTP/0.9, which had none */
		version = str_from_offset(version, 1);
	} else {
		h->status = p->ll.status_code;
		h->reason = slice(base, p->reason);
	}
	if (!str_starts(version, STR("HTTP/")) || version.len < 10)
		return HTTP1_E_SYNTAX;
	if (version.ptr[5] != '1' || version.ptr[6] != '.' ||
	    (version.ptr[7] != '0' && version.ptr[7] != '1'))
		return HTTP1_E_VERSION;
	h->minor = version.ptr[7] - '0';
	if (request ? !str_starts(str_from_offset(version, 8), STR("\r\n")) : version.ptr[8] != ' ')
		return HTTP1_E_SYNTAX;
	return HTTP1_OK;
}

static void fill_fields(struct http1_parser *p, const char *base, struct http_field *fields)
{
	for (unsigned i = 0; i < p->n_fields; i++) {
		fields[i].name = slice(base, p->fields[i].name);
		fields[i].value = str_trim(slice(base, p->fields[i].value));
	}
}

/* Tells llhttp how the body ends, where it would not know, and remembers what it does not. */
static void prepare_body(struct http1_parser *p, struct http_head *h)
{
	p->ll.upgrade =
		0; /* to us an upgrade is a wish, never the end of HTTP on this connection */
	if (p->side == HTTP1_REQUESTS)
		return;
	if (h->status < 200 || h->status == 204 || h->status == 304 || p->to_head_request) {
		p->ll.flags |= F_SKIPBODY;
	} else if (!h->chunked && h->content_length < 0) {
		p->until_close = true;
		h->keep_alive = false;
	}
}

static enum http1_error hand_out_head(struct http1_parser *p, struct str bytes,
				      struct http_field *fields)
{
	struct http_head h = { .fields = fields, .n_fields = p->n_fields };
	enum http1_error e = read_start_line(p, bytes.ptr, bytes.len, &h);

	fill_fields(p, bytes.ptr, fields);
	if (!e)
		e = p->side == HTTP1_REQUESTS ? http1_check_request(&h) : http1_check_response(&h);
	if (!e && p->side == HTTP1_RESPONSES && h.status < 200 && p->interim++ >= MAX_INTERIM)
		e = HTTP1_E_SYNTAX;
	if (e)
		return e;
	if (h.status >= 200)
		p->interim = 0;
	prepare_body(p, &h);
	p->phase = BODY;
	p->again = true;
	if (p->cb->on_head(p->user, &h) == HTTP1_PAUSE)
		p->pause = PAUSE_BY_OWNER;
	return HTTP1_OK;
}

/* llhttp has read the whole head, the last `n` bytes of it from this feed. */
static enum http1_error head_whole(struct http1_parser *p, size_t n)
{
	struct http_field stack[STACK_FIELDS], *fields = stack;
	struct str bytes = { p->feed, n };
	enum http1_error e = HTTP1_E_NOMEM;

	if (p->before) {
		buf_put(&p->head, bytes);
		bytes = buf_str(&p->head);
	}
	if (p->n_fields > STACK_FIELDS)
		fields = malloc(p->n_fields * sizeof(*fields));
	if (fields && buf_ok(&p->head))
		e = hand_out_head(p, bytes, fields);
	if (fields != stack)
		free(fields);
	drop_head(p);
	return e;
}

/* The feed ended inside the head: keep what the next one needs. */
static enum http1_error keep_head(struct http1_parser *p, struct str bytes)
{
	buf_put(&p->head, bytes);
	if (!buf_ok(&p->head))
		return HTTP1_E_NOMEM;
	if (p->fields_on_stack && p->n_fields && !grow_fields(p))
		return HTTP1_E_NOMEM;
	return HTTP1_OK;
}

/* --- feeding --- */

static enum http1_error error_of(const struct http1_parser *p, llhttp_errno_t code, size_t at,
				 struct str bytes)
{
	switch (code) {
	case HPE_INVALID_METHOD:
		/* A method nobody knows, or no HTTP at all (TLS, for one)? */
		return at < bytes.len && http1_is_tchar((unsigned char)bytes.ptr[at])
			       ? HTTP1_E_METHOD
			       : HTTP1_E_SYNTAX;
	case HPE_INVALID_VERSION:
		/* A good version and a bare LF are this too; HTTP/2's preface has LFs of its own. */
		return p->ll.method != HTTP_PRI && at > 0 && bytes.ptr[at - 1] == '\n'
			       ? HTTP1_E_SYNTAX
			       : HTTP1_E_VERSION;
	case HPE_PAUSED_H2_UPGRADE:
		return HTTP1_E_VERSION;
	case HPE_INVALID_URL:
		/* Cut differently, the length would have been noticed before the bad byte. */
		return p->before + at > p->method.len + 1 + p->limits->max_target ? HTTP1_E_TARGET
										  : HTTP1_E_SYNTAX;
	case HPE_INVALID_CONTENT_LENGTH:
	case HPE_UNEXPECTED_CONTENT_LENGTH:
	case HPE_INVALID_TRANSFER_ENCODING:
	case HPE_INVALID_CHUNK_SIZE:
		return HTTP1_E_FRAMING;
	default:
		return HTTP1_E_SYNTAX;
	}
}

static void end_message(struct http1_parser *p)
{
	p->phase = IDLE;
	p->again = false;
	p->to_head_request = false;
	p->before = 0;
	p->cb->on_end(p->user);
}

/* Acts on a pause of llhttp's after `n` bytes of this feed. True when http1_feed() goes on. */
static bool after_pause(struct http1_parser *p, size_t n)
{
	enum pause why = p->pause;

	p->pause = PAUSE_NONE;
	p->again = true;
	llhttp_resume(&p->ll);
	switch (why) {
	case PAUSE_HEAD_WHOLE:
		p->error = head_whole(p, n);
		break;
	case PAUSE_BEFORE_TRAILERS:
		p->phase = TRAILERS;
		p->before = 0;
		break;
	case PAUSE_MESSAGE_WHOLE:
		if (p->interim) { /* a 1xx: the response proper is still to come */
			begin_head(p);
			p->again = false;
			break;
		}
		end_message(p);
		return false;
	case PAUSE_BY_OWNER:
		return false;
	case PAUSE_NONE:
		assert(!"llhttp pauses only where it is told to");
	}
	return !p->error && p->pause != PAUSE_BY_OWNER;
}

/* Gives llhttp a prefix of `bytes`, as much as the limits allow. Returns how many were
 * consumed; *ret_go_on says whether more may be. */
static size_t run(struct http1_parser *p, struct str bytes, bool *ret_go_on)
{
	bool limited = p->phase == HEAD || p->phase == TRAILERS;
	llhttp_errno_t code;
	const char *stop;
	size_t n;

	if (limited && bytes.len > p->limits->max_head - p->before)
		bytes.len = p->limits->max_head - p->before;
	p->feed = bytes.ptr;
	p->again = false;
	code = llhttp_execute(&p->ll, bytes.ptr, bytes.len);
	stop = code == HPE_OK ? NULL : llhttp_get_error_pos(&p->ll);
	n = stop ? (size_t)(stop - bytes.ptr) : bytes.len;
	*ret_go_on = false;
	if (code == HPE_PAUSED && p->pause != PAUSE_NONE) {
		*ret_go_on = after_pause(p, n);
	} else if (code != HPE_OK) {
		if (!p->error)
			p->error = error_of(p, code, n, bytes);
	} else if (limited && p->before + n == p->limits->max_head) {
		p->error = HTTP1_E_HEAD;
	} else {
		if (p->phase == HEAD)
			p->error = keep_head(p, bytes);
		if (limited)
			p->before += n;
		*ret_go_on = !p->error;
	}
	return n;
}

/* Before a request one empty line is let pass (RFC 9112 section 2.2). Returns true when the byte was part of it. */
static bool skip_empty_line(struct http1_parser *p, char c)
{
	if (p->side != HTTP1_REQUESTS)
		return false;
	if (p->cr && c == '\n') {
		p->cr = false;
		p->empty_lines++;
		return true;
	}
	if (!p->cr && c == '\r' && !p->empty_lines) {
		p->cr = true;
		return true;
	}
	if (p->cr || c == '\r' || c == '\n')
		p->error = HTTP1_E_SYNTAX;
	return false;
}

size_t http1_feed(struct http1_parser *p, struct str bytes)
{
	struct field_span stack[STACK_FIELDS];
	bool go_on = !p->error;
	size_t done = 0;

	if (!p->fields) {
		p->fields = stack;
		p->cap_fields = STACK_FIELDS;
		p->fields_on_stack = true;
	}
	if (!bytes.ptr)
		bytes = STR("");
	while (go_on && (p->again || done < bytes.len)) {
		if (p->phase == IDLE) {
			if (skip_empty_line(p, bytes.ptr[done])) {
				done++;
				continue;
			}
			if (p->error)
				break;
			begin_head(p);
		}
		done += run(p, str_from_offset(bytes, done), &go_on);
	}
	p->pause = PAUSE_NONE;
	if (p->error)
		drop_head(p);
	if (p->fields_on_stack) {
		p->fields = NULL;
		p->cap_fields = 0;
		p->fields_on_stack = false;
	}
	return done;
}

enum http1_error http1_eof(struct http1_parser *p)
{
	if (p->error || p->phase == IDLE)
		return p->error;
	if (p->phase == BODY && p->until_close) {
		end_message(p);
		return HTTP1_OK;
	}
	p->error = HTTP1_E_EOF;
	drop_head(p);
	return p->error;
}

/* --- errors --- */

static const struct {
	int status;
	const char *text;
} errors[] = {
	[HTTP1_OK] = { 200, "no error" },
	[HTTP1_E_SYNTAX] = { 400, "The message is not valid HTTP/1.1." },
	[HTTP1_E_FRAMING] = { 400, "The length of the message is not stated in one clear way: send "
				   "either one "
				   "Content-Length of digits or Transfer-Encoding: chunked." },
	[HTTP1_E_HOST] = { 400, "The request must have exactly one valid Host header." },
	[HTTP1_E_TARGET] = { 414, "The request target is too long." },
	[HTTP1_E_HEAD] = { 431, "The headers are too large or too many." },
	[HTTP1_E_METHOD] = { 501, "The request method is not supported." },
	[HTTP1_E_TE] = { 501, "The only transfer coding supported is chunked." },
	[HTTP1_E_VERSION] = { 505, "The HTTP version is not supported here: use HTTP/1.1." },
	[HTTP1_E_NOMEM] = { 503, "There is no memory left for this request; try again later." },
	[HTTP1_E_EOF] = { 400, "The connection was closed in the middle of a message." },
};

const char *http1_error_text(enum http1_error e)
{
	return errors[e].text;
}

int http1_error_status(enum http1_error e)
{
	return errors[e].status;
}
