/* wire/http1.h - HTTP/1.1 messages without I/O, on llhttp in its strict mode.
 *
 * One parser reads one direction of one connection, message after message.
 * Sources: RFC 9110, RFC 9112; strictness beyond them (R20, R21): both
 * Content-Length and Transfer-Encoding, more than one Content-Length, a value
 * that is not 1*DIGIT, a Transfer-Encoding other than exactly "chunked", bare CR or LF, obs-fold,
 * NUL, whitespace before a colon, two Host fields or none (1.1), absolute-form or authority-form targets,
 * targets with anything but VCHAR, are refused; the connection cannot be used further after a refusal.
 *
 * Slices handed out (heads and bodies) point into the fed bytes or into memory of
 * the parser's and are valid during the callback only: the owner copies what it keeps.
 */
#ifndef GW_WIRE_HTTP1_H
#define GW_WIRE_HTTP1_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_PATCH,
	HTTP_OTHER
};

struct http_field {
	struct str name, value; /* value trimmed */
};

/* The head of a request or response. */
struct http_head {
	enum http_method method; /* request */
	struct str method_text, target;
	struct str path, query; /* target split at '?'; query absent when there is none */
	int status;             /* response */
	struct str reason;
	int minor;       /* HTTP/1.<minor> */
	bool keep_alive; /* after this message the connection may be used again */
	bool chunked;
	int64_t content_length; /* -1: none */
	bool expect_continue;   /* Expect: 100-continue */
	bool expect_unknown;    /* any other Expect: answer 417 */
	bool upgrade;           /* Upgrade asked for */
	struct http_field *fields;
	unsigned n_fields;
	/* One bit for every so many names (http_name_bit()): set where no field has such a name, as for nearly all that is ever
	 * asked for. 0: nobody has reckoned it, all fields are looked at. */
	uint64_t no_names;
};

/* Which bit of http_head.no_names stands for a name. */
static inline uint64_t http_name_bit(struct str name)
{
	unsigned first = (unsigned char)name.ptr[0] | 0x20u;
	unsigned last = (unsigned char)name.ptr[name.len - 1] | 0x20u;

	return UINT64_C(1) << ((name.len + 4 * (first + last)) & 63);
}

struct str http_field_find_(const struct http_head *h, struct str name);

/* First field of that name (not empty; ASCII case ignored); absent when there is none. */
static inline struct str http_field_get(const struct http_head *h, struct str name)
{
	return h->no_names & http_name_bit(name) ? STR_NONE : http_field_find_(h, name);
}
/* A copy that lives in `a`; NULL when memory is out. */
struct http_head *http_head_copy(struct arena *a, const struct http_head *h);
/* True when the comma-separated field `name` has the token (case ignored) in any of its lines. */
bool http_field_has_token(const struct http_head *h, struct str name, struct str token);

enum http1_side { HTTP1_REQUESTS, HTTP1_RESPONSES };

struct http1_limits {
	size_t max_target;    /* -> HTTP1_E_TARGET */
	size_t max_head;      /* all of the head's bytes; all of the trailers' -> HTTP1_E_HEAD */
	unsigned max_fields;  /* -> HTTP1_E_HEAD */
	size_t max_chunk_ext; /* per message, extension bytes together */
};

/* Why a message was refused; each has its HTTP status. */
enum http1_error {
	HTTP1_OK,
	HTTP1_E_SYNTAX,  /* 400 */
	HTTP1_E_FRAMING, /* 400: lengths that disagree (smuggling) */
	HTTP1_E_HOST,    /* 400 */
	HTTP1_E_TARGET,  /* 414 */
	HTTP1_E_HEAD,    /* 431 */
	HTTP1_E_METHOD,  /* 501 */
	HTTP1_E_TE,      /* 501: a transfer coding other than chunked */
	HTTP1_E_VERSION, /* 505 */
	HTTP1_E_NOMEM,
	HTTP1_E_EOF, /* the peer closed inside a message */
};

/* What the parser tells its owner. A callback must not feed or free the parser.
 * on_head and on_body may ask to stop by returning HTTP1_PAUSE: http1_feed() then
 * returns after the bytes consumed so far. To go on, feed what follows; when nothing does,
 * feed an empty slice, as the end of the message may be due. */
enum http1_next { HTTP1_GO, HTTP1_PAUSE };

struct http1_parser; /* opaque */

struct http1_callbacks {
	/* The head is whole. 1xx responses are reported too (status < 200; at most 8 in a row; 101 is refused):
	 * after one no on_end comes, but the next head. */
	enum http1_next (*on_head)(void *user, const struct http_head *head);
	enum http1_next (*on_body)(void *user, struct str bytes);
	/* The message is whole. After it the parser pauses by itself, so that
	 * http1_feed() returns with pipelined bytes unconsumed. Trailers were checked and dropped. */
	void (*on_end)(void *user);
};

/* `limits` and `cb` are borrowed and must outlive the parser. Small (< 600 bytes) while between messages.
 * NULL when memory is out. */
struct http1_parser *http1_new(enum http1_side side, const struct http1_limits *limits,
			       const struct http1_callbacks *cb, void *user);
struct http1_parser *http1_free(struct http1_parser *p); /* NULL is a no-op; returns NULL */

/* Consumes a prefix of `bytes` and returns its length; less than bytes.len after a pause, the end of a
 * message, or an error (http1_error() tells). The result does not depend on how the bytes are cut. */
size_t http1_feed(struct http1_parser *p, struct str bytes);
/* The peer closed. Ends a response delimited by close (calls on_end); otherwise HTTP1_E_EOF inside a message. */
enum http1_error http1_eof(struct http1_parser *p);
enum http1_error http1_error(const struct http1_parser *p);
const char *http1_error_text(enum http1_error e); /* a sentence for the caller */
int http1_error_status(enum http1_error e);
/* Requests only: the first bytes (48 at most) of the target of the head that is being read or was refused, as far as it came:
 * enough to tell in whose words to refuse it. Valid until the next feed. */
struct str http1_target_start(const struct http1_parser *p);
/* Responses only: what the request was (HEAD has no body; GET/POST otherwise). Call before the head arrives. */
void http1_expect(struct http1_parser *p, enum http_method of_request);
/* True while inside a message (some byte of a head has come, the end has not; also after a 1xx response). */
bool http1_in_message(const struct http1_parser *p);

/* --- writing --- */

/* True for a field value that may be sent: no CR, LF, NUL or other control byte but tab. */
bool http_value_ok(struct str value);
bool http_token_ok(struct str name);
/* "name: value\r\n". The caller has checked both. */
void http1_put_field(struct buf *out, struct str name, struct str value);
/* "HTTP/1.1 200 OK\r\n" */
void http1_put_status(struct buf *out, int status);
/* The chunk-size line before `n` bytes of data (n > 0); "\r\n" goes after the data. */
void http1_put_chunk_head(struct buf *out, size_t n);
extern const struct str http1_last_chunk; /* "0\r\n\r\n" */
struct str http_reason(int status);
/* Percent-encodes one path segment (RFC 3986 unreserved stay). */
void http_put_segment(struct buf *out, struct str segment);

#endif
