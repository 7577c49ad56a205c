/* wire/http1_head.h - private to wire/: what a whole head must satisfy beyond its grammar. */
#ifndef GW_WIRE_HTTP1_HEAD_H
#define GW_WIRE_HTTP1_HEAD_H

#include "wire/http1.h"

/* Both take a head whose start line and fields are filled in, check it and fill in the rest
 * (method, path, keep_alive, lengths, expectations). */
enum http1_error http1_check_request(struct http_head *h);
enum http1_error http1_check_response(struct http_head *h);

/* A byte of a token (RFC 9110 section 5.6.2). */
bool http1_is_tchar(unsigned char c);

#endif
