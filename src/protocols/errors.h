/* protocols/errors.h - what all protocols' errors have in common: what a kind is in words, and how an upstream's error is
 * read whose shape nobody knows (trap 107): the vendor's own, OpenAI's, a bare `detail`, a string, a list of one, a page of
 * HTML, nothing. What a vendor's own words mean is each protocol's to know. Pure; texts come from the arena or are literals. */
#ifndef GW_PROTOCOLS_ERRORS_H
#define GW_PROTOCOLS_ERRORS_H

#include "base/arena.h"
#include "ir/event.h"
#include "json/json.h"

/* A sentence for the user where nobody said more. */
const char *error_sentence(enum ir_error_kind kind);

/* The object in question: the only element of a list ([{...}]), else `root` itself. */
const json *error_unwrap(const json *root);

/* The text that a person can read, wherever it stands below `v` (a body, or its `error`): a string, a member `message`,
 * `detail` and the like, a list of {"msg"}, or an object around one of them. Absent when there is none. Borrowed from `v`. */
struct str error_find_message(const json *v);

/* What to tell of an error that was JSON but named no reason. `status` 0: it came inside a stream. */
struct str error_without_reason(struct arena *a, int status);

/* What to tell of a body that is not JSON: its text when that is a short sentence. */
struct str error_plain_text(struct arena *a, struct str body, int status);

#endif
