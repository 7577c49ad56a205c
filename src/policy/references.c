/* policy/references.c - items that an input only names, and the turns' items that take their place.
 *
 * The hard thing is that one id may stand in several turns: where it was made comes before where it was said again.
 */
#include "policy/conversation_impl.h"

#include <stdlib.h>
#include <string.h>

enum { REFERENCES_MAX = 256 };

/* {"type":"item_reference","id"}, or the id alone. */
static struct str named_item(const json *item)
{
	struct str type = json_str(json_get(item, STR("type")));

	if (str_eq(type, STR("item_reference")) || (!type.len && json_len(item) == 1))
		return json_str(json_get(item, STR("id")));
	return STR_NONE;
}

/* `{"id":"x"}` stands in the text: cheap, for whoever must know whether to look closer. */
static bool has_bare_id(struct str text)
{
	ptrdiff_t at;

	while ((at = str_find(text, STR("{\"id\":"))) >= 0) {
		struct str rest = str_trim(str_from_offset(text, (size_t)at + 6));
		ptrdiff_t end = rest.len > 1 && rest.ptr[0] == '"'
					? str_chr(str_from_offset(rest, 1), '"')
					: -1;

		if (end >= 0) {
			rest = str_trim(str_from_offset(rest, (size_t)end + 2));
			if (rest.len && rest.ptr[0] == '}')
				return true;
		}
		text = str_from_offset(text, (size_t)at + 6);
	}
	return false;
}

/* The turns whose id an item's id that was made here has in it. */
static void add_turns_of(struct arena *a, struct str id, struct turn_ref *r)
{
	ptrdiff_t prefix = str_chr(id, '_');
	size_t end = id.len;
	struct str turn;

	while (end > 0 && id.ptr[end - 1] >= '0' && id.ptr[end - 1] <= '9')
		end--;
	if (prefix < 0 || end == id.len || end <= (size_t)prefix + 2 || id.ptr[end - 1] != '_')
		return;
	turn = (struct str){ id.ptr + prefix + 1, end - (size_t)prefix - 2 };
	r->ids[r->n++] = turn;
	turn = arena_printf(a, TURN_PREFIX "%.*s", STR_ARG(turn));
	if (turn.ptr)
		r->ids[r->n++] = turn;
}

int turn_references(struct arena *a, struct str input, struct turn_refs *ret, struct err *reterr)
{
	const json *list;
	struct json_iter it;

	*ret = (struct turn_refs){ 0 };
	if (input.len == 0 || input.ptr[0] != '[' ||
	    (str_find(input, STR("\"item_reference\"")) < 0 && !has_bare_id(input)))
		return RC_OK;
	list = json_parse(a, input, NULL);
	ret->refs = arena_array(a, REFERENCES_MAX, sizeof(*ret->refs));
	if (!list || !ret->refs)
		return RC_NOMEM;
	for (it = json_iter(list); json_next(&it);) {
		struct str id = named_item(it.val);

		if (!id.len)
			continue;
		if (ret->n == REFERENCES_MAX)
			return err_param(reterr, RC_INVALID, "input",
					 "At most %d items may be named by their ids.",
					 REFERENCES_MAX);
		ret->refs[ret->n] = (struct turn_ref){ .ids = { id }, .n = 1 };
		add_turns_of(a, id, &ret->refs[ret->n++]);
	}
	return RC_OK;
}

/* One that is named, and the item of that id that was found. */
struct found_item {
	struct str id;
	const json *item; /* NULL: none yet */
	bool made;
	struct str maker; /* absent: of an input, or made here */
};

/* All of them, in the order of their ids: turns may hold very many items, and few are named. */
struct found {
	struct found_item items[REFERENCES_MAX];
	unsigned n;
};

static int by_id(const void *a, const void *b)
{
	const struct str x = ((const struct found_item *)a)->id;
	const struct str y = ((const struct found_item *)b)->id;
	int diff = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);

	return diff ? diff : (x.len > y.len) - (x.len < y.len);
}

static void look_for_named(struct found *f, const json *list)
{
	struct json_iter it = json_iter(list);

	while (f->n < REFERENCES_MAX && json_next(&it)) {
		struct str id = named_item(it.val);

		if (id.len)
			f->items[f->n++] = (struct found_item){ .id = id };
	}
	qsort(f->items, f->n, sizeof(*f->items), by_id);
}

/* One id may be named several times: it is the same one of them each time. */
static struct found_item *find_item(struct found *f, struct str id)
{
	const struct found_item key = { .id = id };

	return bsearch(&key, f->items, f->n, sizeof(key), by_id);
}

/* Of equals the one that is added last stays. */
static void add_found(struct found *f, const json *list, bool made, struct str maker)
{
	struct json_iter it = json_iter(list);

	while (json_next(&it)) {
		struct str id = turn_item_id(it.val);
		struct found_item *one = id.len ? find_item(f, id) : NULL;

		if (one && (made || !one->made))
			*one = (struct found_item){ one->id, it.val, made, maker };
	}
}

/* Oldest first, so that the newest of equals stays. */
static int read_found(struct arena *a, const struct stored_turn *turns, unsigned n, struct found *f)
{
	for (unsigned i = n; i-- > 0;) {
		struct str input = turn_items(a, turns[i].input, turns[i].id);
		struct str output = turn_get(turns[i].answer, "output");

		if (!str_present(input))
			return RC_NOMEM;
		add_found(f, json_parse(a, input, NULL), false, STR_NONE);
		if (str_present(output))
			add_found(f, json_parse(a, output, NULL), true, turns[i].maker);
	}
	return RC_OK;
}

/* The client's own item, as it is. */
static void put_own(struct buf *out, bool *comma, const json *item)
{
	if (*comma)
		buf_putc(out, ',');
	*comma = true;
	json_write(out, item);
}

struct resolving {
	struct found found;
	struct str account;
	struct buf ours, foreign;
	bool comma, comma_foreign;
};

/* The id of what was not found; absent. */
static struct str resolve_one(struct resolving *r, const json *item)
{
	struct str id = named_item(item);
	const struct found_item *f = id.len ? find_item(&r->found, id) : NULL;

	if (id.len && (!f || !f->item))
		return id;
	put_own(&r->ours, &r->comma, f ? f->item : item);
	if (!f || (str_present(f->maker) && str_eq(f->maker, r->account)))
		put_own(&r->foreign, &r->comma_foreign, item);
	else
		turn_put_kept_item(&r->foreign, &r->comma_foreign, f->item, TURN_FOREIGN);
	return STR_NONE;
}

static int resolve_all(struct arena *a, struct resolving *r, const json *list,
		       struct turn_resolved *ret)
{
	struct json_iter it = json_iter(list);

	buf_putc(&r->ours, '[');
	buf_putc(&r->foreign, '[');
	while (!str_present(ret->missing) && json_next(&it))
		ret->missing = resolve_one(r, it.val);
	if (str_present(ret->missing))
		return RC_OK;
	buf_putc(&r->ours, ']');
	buf_putc(&r->foreign, ']');
	ret->ours = buf_ok(&r->ours) ? arena_dup(a, buf_str(&r->ours)) : STR_NONE;
	ret->foreign = buf_ok(&r->foreign) ? arena_dup(a, buf_str(&r->foreign)) : STR_NONE;
	return ret->ours.ptr && ret->foreign.ptr ? RC_OK : RC_NOMEM;
}

int turn_resolve(struct arena *a, struct str input, const struct stored_turn *turns, unsigned n,
		 struct str account, struct turn_resolved *ret)
{
	const json *list = json_parse(a, input, NULL);
	struct resolving *r = arena_alloc(a, sizeof(*r));
	int rc;

	*ret = (struct turn_resolved){ .missing = STR_NONE };
	if (!list || !r)
		return RC_NOMEM;
	r->account = account;
	look_for_named(&r->found, list);
	buf_init(&r->ours, TURN_ITEMS_MAX);
	buf_init(&r->foreign, TURN_ITEMS_MAX);
	rc = read_found(a, turns, n, &r->found);
	if (rc == RC_OK)
		rc = resolve_all(a, r, list, ret);
	buf_done(&r->ours);
	buf_done(&r->foreign);
	return rc;
}
