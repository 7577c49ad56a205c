/* protocols/glance.h - finding a member in JSON text without reading the text.
 *
 * For the taps of relayed answers, which pass bytes on that somebody else will parse and only want the usage out of them. What
 * makes it sound: inside a JSON string every quote is escaped, so `"usage"` with its two quotes, followed by a colon, can only
 * be a member's name. At which depth it stands is not known; the last one counts, where vendors put it.
 */
#ifndef GW_PROTOCOLS_GLANCE_H
#define GW_PROTOCOLS_GLANCE_H

#include <stdbool.h>

#include "base/str.h"
#include "json/json.h"

struct glance_member {
	struct str quoted; /* the name, of two letters or more: "\"usage\"" */
	struct str
		value; /* found: from the value's first byte to the end of the text; absent when there is none */
	unsigned times; /* how often */
};

/* Looks for several members in one pass. Of each the last counts, a `null` only when there is nothing else. */
void glance_members(struct str text, struct glance_member *members, unsigned n);
/* The same for one. */
struct str glance_last(struct str text, struct str quoted);

/* Which of several beginnings of strings, each with its opening quote and two bytes or more ("\"lgw1."), stand anywhere in the text: bit k for
 * starts[k], n <= 32. Not only members' names: values too. */
unsigned glance_strings(struct str text, const struct str *starts, unsigned n);

/* Calls `hit` wherever one of them stands, with the text from its opening quote on. It may be one that another string talks of, but
 * for a whole name with both of its quotes. */
typedef void glance_hit(void *user, unsigned which, struct str rest);
void glance_each(struct str text, const struct str *starts, unsigned n, glance_hit *hit,
		 void *user);

/* The string that `rest` begins with, quotes included; absent when it begins with none or it does not end. */
struct str glance_string(struct str rest);
/* The same for the value of a member whose name `rest` begins with. */
struct str glance_string_of(struct str rest);

/* A whole number in an object, or in an object inside it. */
struct glance_count {
	struct str object; /* name of the inner object; "" for the outer one */
	struct str name;
	size_t at; /* where the count goes: offset of an int64_t in the caller's struct */
};

/* Reads the counts of the object that `text` begins with (more may follow it) into `into`. What stands twice counts
 * once more; what is no whole number >= 0 is passed over. False when `text` begins with no object or it does not end. */
bool glance_counts(struct str text, const struct glance_count *counts, unsigned n, void *into);

/* The same of a parsed object, whose rows stand together. Where several rows have one place, the last of them that is said
 * counts. */
void glance_counts_read(const json *object, const struct glance_count *counts, unsigned n,
			void *into);

/* True when `text` begins like an object and ends like one. */
bool glance_is_object(struct str text);

#endif
