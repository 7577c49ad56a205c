/* json/patch.c - changing a JSON text without rebuilding it.
 *
 * The hard thing is the commas: a member goes with one comma beside it, and the removals of
 * neighbours may both claim the same one (see merge_removals()).
 */
#include "json/scan.h"

#include <assert.h>

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The comma before `p`, only blanks between; NULL when there is none. */
static const char *comma_before(const char *start, const char *p)
{
	while (p > start && is_blank(p[-1]))
		p--;
	return p > start && p[-1] == ',' ? p - 1 : NULL;
}

static inline const char *end_of(const struct json_edit *e)
{
	return e->old.ptr + e->old.len;
}

/* By position; an insertion before what is replaced at the same place. Few edits: by insertion. */
static void sort_edits(struct json_edit *edits, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		struct json_edit e = edits[i];
		unsigned k = i;

		for (; k &&
		       (edits[k - 1].old.ptr > e.old.ptr ||
			(edits[k - 1].old.ptr == e.old.ptr && edits[k - 1].old.len && !e.old.len));
		     k--)
			edits[k] = edits[k - 1];
		edits[k] = e;
	}
}

/* The last member of an object is removed with the comma before it, all others with the
 * comma behind. Where the last two go, both claim the comma between them, and the one before
 * both is left over: it goes too, which may in turn meet the removal before that. */
static unsigned merge_removals(struct str text, struct json_edit *edits, unsigned n)
{
	for (unsigned i = n; i-- > 1;) {
		struct json_edit *e = &edits[i], *prev = &edits[i - 1];
		const char *start, *end;

		if (end_of(prev) <= e->old.ptr)
			continue;
		assert(!prev->with.len && !e->with.len); /* anything else that overlaps is a bug */
		start = comma_before(text.ptr, prev->old.ptr);
		if (!start)
			start = prev->old.ptr;
		end = end_of(e) > end_of(prev) ? end_of(e) : end_of(prev);
		prev->old = (struct str){ start, (size_t)(end - start) };
		memmove(e, e + 1, (n - i - 1) * sizeof(*e));
		n--;
	}
	return n;
}

void json_patch(struct buf *out, struct str text, struct json_edit *edits, unsigned n)
{
	const char *at = text.ptr;

	for (unsigned i = 0; i < n; i++) {
		if (!edits[i].old.ptr) { /* an edit that memory did not suffice for */
			buf_done(out);
			out->failed = true;
			return;
		}
		assert(edits[i].old.ptr >= text.ptr && end_of(&edits[i]) <= text.ptr + text.len);
	}
	sort_edits(edits, n);
	n = merge_removals(text, edits, n);
	for (unsigned i = 0; i < n; i++) {
		buf_put(out, (struct str){ at, (size_t)(edits[i].old.ptr - at) });
		buf_put(out, edits[i].with);
		at = end_of(&edits[i]);
	}
	buf_put(out, (struct str){ at, (size_t)(text.ptr + text.len - at) });
}

struct json_edit json_edit_remove(struct str text, struct str member)
{
	const char *from, *to, *end = text.ptr + text.len;
	const char *after, *comma;

	if (!member.ptr)
		return (struct json_edit){ .old = { text.ptr, 0 }, .with = STR("") };
	from = member.ptr;
	after = to = from + member.len;
	while (after < end && is_blank(*after))
		after++;
	comma = comma_before(text.ptr, from);
	if (after < end && *after == ',')
		to = after + 1;
	else if (comma)
		from = comma;
	return (struct json_edit){ .old = { from, (size_t)(to - from) }, .with = STR("") };
}

struct json_edit json_edit_add(struct arena *a, struct str text, struct str key_value)
{
	ptrdiff_t brace = str_chr(text, '{');
	const char *p = text.ptr + brace + 1, *end = text.ptr + text.len;
	struct json_edit e = { .old = { p, 0 }, .with = key_value };
	char *with;

	assert(brace >= 0);
	while (p < end && is_blank(*p))
		p++;
	if (p < end && *p == '}')
		return e;
	with = arena_alloc_raw(a, key_value.len + 1);
	if (!with)
		return (struct json_edit){ .old = STR_NONE };
	memcpy(with, key_value.ptr, key_value.len);
	with[key_value.len] = ',';
	e.with = (struct str){ with, key_value.len + 1 };
	return e;
}
