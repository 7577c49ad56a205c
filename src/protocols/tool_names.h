/* protocols/tool_names.h - names of functions within a vendor's limits, and the way back.
 *
 * A name that does not fit goes out as its head and a digest of all of it; the way back is a search through the request's
 * tools, so nothing is kept (trap 57). `marks`: what a vendor allows beside letters and digits. All allow 64 characters.
 */
#ifndef GW_PROTOCOLS_TOOL_NAMES_H
#define GW_PROTOCOLS_TOOL_NAMES_H

#include "base/arena.h"
#include "base/str.h"
#include "ir/request.h"

enum { TOOL_NAME_MAX = 64 };

/* Itself where it fits. Absent when memory is out. */
struct str tool_name_fit(struct arena *a, struct str name, const char *marks);
/* The client's own name for a tool that an upstream calls by the name we gave it. `r` may be NULL. */
struct str tool_name_restore(const struct ir_request *r, struct str name, const char *marks);
/* `s` as it would be were it too long: its beginning, made valid, "_" and a digest. */
struct str tool_name_shorten(struct arena *a, struct str s, const char *marks);

#endif
