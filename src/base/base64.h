/* base/base64.h - RFC 4648 section 4 (standard alphabet). Strict when decoding:
 * no white space, right padding, zero trailing bits. */
#ifndef GW_BASE_BASE64_H
#define GW_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

void base64_encode(struct buf *out, struct str bytes);
/* .ptr is NULL when `text` is not base64 or memory is out. */
struct str base64_decode(struct arena *a, struct str text);
/* The same onto the end of a buffer. False, and nothing appended, when `text` is not base64 or the buffer failed. */
bool base64_append_decoded(struct buf *out, struct str text);
/* True when base64_decode() would succeed. */
bool base64_valid(struct str text);

#endif
