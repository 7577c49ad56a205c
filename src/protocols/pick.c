/* protocols/pick.c - a request cut down to some of its members. */
#include "protocols/pick.h"

void pick_members(struct jw *w, const json *root, const struct str *names, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const json *v = json_get(root, names[i]);

		if (!v)
			continue;
		jw_key_str(w, names[i]);
		jw_raw(w, STR(""));
		json_write(w->out, v);
	}
}

int pick_request(struct arena *a, struct str request, const struct str *names, unsigned n,
		 struct buf *out)
{
	const json *root = json_parse(a, request, NULL);
	struct jw w = jw_on(out);

	if (!root)
		return RC_NOMEM;
	jw_obj(&w);
	pick_members(&w, root, names, n);
	jw_end_obj(&w);
	return RC_OK;
}
