/* base/err.h - how functions fail.
 *
 * Fallible functions return RC_OK or a negative enum rc and are
 * warn_unused_result; details, where they help somebody, go to a `struct err`
 * given as the last parameter (NULL: not wanted), written only on failure.
 */
#ifndef GW_BASE_ERR_H
#define GW_BASE_ERR_H

#include <stddef.h>

enum rc {
	RC_OK = 0,
	RC_NOMEM = -1,       /* memory or an arena's cap exhausted */
	RC_SYNTAX = -2,      /* the bytes are not what they should be */
	RC_TOOBIG = -3,      /* a limit of ours was passed */
	RC_INVALID = -4,     /* well-formed, but not acceptable; reterr says why */
	RC_UNSUPPORTED = -5, /* valid, but the target cannot do it and it may not be dropped */
	RC_IO = -6,          /* the system refused */
	RC_CLOSED = -7,      /* the peer is gone */
	RC_TIMEOUT = -8,
	RC_NOTFOUND = -9,
};

/* Long enough for a sentence with a field name; always NUL-terminated. */
struct err {
	enum rc code;
	size_t at;      /* byte position in the input, where one makes sense */
	char param[64]; /* the field concerned ("messages[2].content"), or "" */
	char msg[256];  /* what is wrong and what to do; no secrets, no newline */
};

#define MUST_CHECK __attribute__((warn_unused_result))

/* Fills *e (when not NULL) and returns `code`, so that a failing function can
 * end in `return err_set(e, RC_INVALID, ...)`. */
int err_set(struct err *e, enum rc code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with the field concerned. */
int err_param(struct err *e, enum rc code, const char *param, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same with a byte position. */
int err_at(struct err *e, enum rc code, size_t at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
