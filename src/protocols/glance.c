/* protocols/glance.c - substring search that knows where quotes can stand. */
#include "protocols/glance.h"

static size_t skip_blanks(struct str s, size_t i)
{
	while (i < s.len &&
	       (s.ptr[i] == ' ' || s.ptr[i] == '\n' || s.ptr[i] == '\r' || s.ptr[i] == '\t'))
		i++;
	return i;
}

struct str glance_last(struct str text, struct str quoted)
{
	struct str found = STR_NONE;
	ptrdiff_t at;

	while ((at = str_find(text, quoted)) >= 0) {
		size_t colon = skip_blanks(text, (size_t)at + quoted.len);

		if (colon < text.len &&
		    text.ptr[colon] == ':') /* otherwise a value that reads like the name */
			found = str_from_offset(text, skip_blanks(text, colon + 1));
		text = str_from_offset(text, (size_t)at + quoted.len);
	}
	return found;
}

/* The place behind the string whose opening quote is before `i`. */
static size_t skip_string(struct str s, size_t i)
{
	while (i < s.len && s.ptr[i] != '"')
		i += s.ptr[i] == '\\' ? 2 : 1;
	return i + 1;
}

/* Where the walk over nested objects is: names are kept for the first two levels, which is where counts are. */
struct walk {
	struct str name; /* of the member whose value comes */
	struct str inner;
	unsigned depth;
};

static void take(const struct walk *w, struct str digits, const struct glance_count *counts,
		 unsigned n, void *into)
{
	struct str object = w->depth == 1 ? STR("") : w->inner;
	uint64_t v;

	for (unsigned k = 0; k < n; k++)
		if (str_eq(w->name, counts[k].name) && str_eq(object, counts[k].object) &&
		    str_to_u64(digits, &v) && v <= INT64_MAX)
			*(int64_t *)((char *)into + counts[k].at) = (int64_t)v;
}

bool glance_counts(struct str text, const struct glance_count *counts, unsigned n, void *into)
{
	struct walk w = { .name = STR("") };
	size_t i = 0, from;

	if (text.len == 0 || text.ptr[0] != '{')
		return false;
	while (i < text.len) {
		char c = text.ptr[i++];

		if (c == '"') {
			from = i;
			i = skip_string(text, i);
			if (i <= text.len)
				w.name = (struct str){ text.ptr + from, i - 1 - from };
		} else if (c >= '0' && c <= '9') {
			for (from = i - 1;
			     i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9';)
				i++;
			if (w.depth <= 2 && text.ptr[from - 1] != '-' && text.ptr[from - 1] != '.')
				take(&w, (struct str){ text.ptr + from, i - from }, counts, n,
				     into);
		} else if (c == '{' || c == '[') {
			if (++w.depth == 2)
				w.inner = w.name;
		} else if ((c == '}' || c == ']') && --w.depth == 0) {
			return true;
		}
	}
	return false;
}

bool glance_is_object(struct str text)
{
	struct str s = str_trim(text);

	return s.len >= 2 && s.ptr[0] == '{' && s.ptr[s.len - 1] == '}';
}
