/* json/scan.h - one strict pass over a JSON text that keeps positions.
 *
 * The relay must not rebuild a body; it needs to know that the text is valid
 * (as strictly as json_parse(): same grammar, UTF-8, depth) and where a few
 * top-level members stand. No memory is allocated. Differentially fuzzed
 * against json_parse().
 */
#ifndef GW_JSON_SCAN_H
#define GW_JSON_SCAN_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* A top-level member that the caller wants to know about. */
struct json_want {
	const char *key;   /* in: compared after unescaping: "mod\u0065l" is "model" */
	struct str value;  /* out: the value's text, as it stands; absent when there is none */
	struct str member; /* out: from the key's opening quote to the value's end */
	char first;        /* out: first byte of the value: " { [ t f n - or digit; 0 when absent */
};

/* Checks all of `text`, which must be an object, and fills `wants`. A wanted key
 * that stands twice is refused (RC_INVALID): what we read and what the upstream
 * reads must be the same one. RC_SYNTAX with position for anything malformed. */
int json_scan(struct str text, struct json_want *wants, unsigned n, struct err *reterr) MUST_CHECK;

/* Nearly the same for a text that its reader will check, as the answers are that are passed on: from a valid one the same members in a
 * fraction of the time. Of what is wrong with a text little is noticed. False when it is no object or does not end as one; of a
 * name that stands twice the last counts. */
bool json_skim(struct str text, struct json_want *wants, unsigned n);

/* The unescaped content of a string value's text (with its quotes) as found by
 * json_scan(). Borrowed from the text when nothing is escaped, else in the arena.
 * .ptr NULL when it is no string or memory is out. */
struct str json_unquote(struct arena *a, struct str quoted);

/* Private to json/: the name between the quotes of a key, escapes in it, is `want`. */
bool json_key_means_(struct str key, const char *want);

/* One change of a text. Edits must not overlap; their order does not matter. */
struct json_edit {
	struct str old;  /* slice of the text to be replaced; .len 0 inserts before .ptr */
	struct str with; /* "" removes */
};

/* `text` with the edits made, into `out` (whose failure says that something was too big or memory out).
 * `edits` is put in order on the way and is used up. Removals made by json_edit_remove() may meet:
 * the commas come out right whichever members go. */
void json_patch(struct buf *out, struct str text, struct json_edit *edits, unsigned n);

/* The edit that removes the member `m` of `text` (as found by json_scan(), at
 * top level) together with one comma beside it. For an absent one: an edit that changes nothing. */
struct json_edit json_edit_remove(struct str text, struct str member);
/* The edit that adds `"key":value` (ready text, no braces or commas around) as the first member of the
 * object `text`. Not together with edits that remove all of its members. Without memory .old is absent,
 * and json_patch() then fails its buffer. */
struct json_edit json_edit_add(struct arena *a, struct str text, struct str key_value);

#endif
