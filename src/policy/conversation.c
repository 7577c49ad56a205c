/* policy/conversation.c - input items in one form, and turns put together to the input of the next.
 *
 * The hard thing is for whom: our own decoder reads everything that was kept, but a server that never saw these items
 * refuses references to what it does not have (an item's id, reasoning without its encrypted content).
 */
#include "policy/conversation.h"

#include "base/base64.h"
#include "ir/carrier.h"
#include "json/scan.h"
#include "json/write.h"
#include "store/items.h"

#define TURN_PREFIX "resp_"

enum {
	REFERENCES_MAX = 256,
	FOUND_BUCKETS = 256,
	ITEMS_MAX = 1 << 30,
	LIMIT_DEFAULT = 20,
	LIMIT_MAX = 100
};

/* --- single members --- */

struct str turn_get(struct str object, const char *key)
{
	struct json_want w = { .key = key };

	return json_skim(object, &w, 1) ? w.value : STR_NONE;
}

struct str turn_set(struct arena *a, struct str object, const struct turn_member *members,
		    unsigned n)
{
	struct str result = object;

	for (unsigned i = 0; i < n && str_present(result); i++) {
		struct json_want w = { .key = members[i].key };
		struct json_edit e;
		struct buf out;

		if (json_scan(result, &w, 1, NULL) != RC_OK)
			return STR_NONE;
		if (w.first)
			e = (struct json_edit){ .old = w.value, .with = members[i].with };
		else
			e = json_edit_add(a, result,
					  arena_printf(a, "\"%s\":%.*s", members[i].key,
						       STR_ARG(members[i].with)));
		buf_init(&out, ITEMS_MAX);
		json_patch(&out, result, &e, 1);
		result = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
		buf_done(&out);
	}
	return result;
}

/* --- what a body asks --- */

static int want_bool(const struct json_want *w, bool *io, struct err *reterr)
{
	if (w->first == 't' || w->first == 'f')
		*io = w->first == 't';
	else if (w->first && w->first != 'n')
		return err_param(reterr, RC_INVALID, w->key, "'%s' must be true or false.", w->key);
	return RC_OK;
}

/* A string, or an object with an id. */
static int want_conversation(struct arena *a, const struct json_want *w, struct turn_ask *io,
			     struct err *reterr)
{
	struct str id;

	if (!w->first || w->first == 'n')
		return RC_OK;
	id = w->first == '{' ? turn_get(w->value, "id") : w->value;
	io->conversation = str_present(id) ? json_unquote(a, id) : STR_NONE;
	if (!str_present(io->conversation))
		return err_param(reterr, RC_INVALID, "conversation",
				 "'conversation' must be an id or an object with one.");
	if (str_present(io->previous))
		return err_param(reterr, RC_INVALID, "conversation",
				 "Mutually exclusive parameters: 'previous_response_id' and "
				 "'conversation'. Only one of them may say what is continued.");
	return RC_OK;
}

int turn_ask_read(struct arena *a, const struct json_want at[PEEK_TURN_COUNT], struct turn_ask *ret,
		  struct err *reterr)
{
	const struct json_want *previous = &at[PEEK_PREVIOUS], *input = &at[PEEK_INPUT];
	int rc;

	*ret = (struct turn_ask){ .store = true };
	if (previous->first && previous->first != 'n') {
		ret->previous = json_unquote(a, previous->value);
		if (!str_present(ret->previous))
			return err_param(reterr, RC_INVALID, "previous_response_id",
					 "'previous_response_id' must be a string.");
	}
	if (input->first && input->first != 'n')
		ret->input = input->value;
	rc = want_conversation(a, &at[PEEK_CONVERSATION], ret, reterr);
	if (rc == RC_OK)
		rc = want_bool(&at[PEEK_STORE], &ret->store, reterr);
	if (rc == RC_OK)
		rc = want_bool(&at[PEEK_BACKGROUND], &ret->background, reterr);
	if (rc == RC_OK && ret->background && !ret->store)
		return err_param(
			reterr, RC_INVALID, "background",
			"'background' needs 'store': the answer must be kept to be fetched.");
	return rc;
}

/* --- items --- */

static const char *prefix_of(struct str type)
{
	static const struct {
		struct str type;
		const char *prefix;
	} known[] = {
		{ STR_INIT("message"), "msg_" },
		{ STR_INIT("function_call"), "fc_" },
		{ STR_INIT("function_call_output"), "fco_" },
		{ STR_INIT("custom_tool_call"), "ctc_" },
		{ STR_INIT("custom_tool_call_output"), "cto_" },
		{ STR_INIT("reasoning"), "rs_" },
		{ STR_INIT("compaction"), "cmp_" },
	};

	for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (str_eq(known[i].type, type))
			return known[i].prefix;
	return "item_";
}

/* Whose item it is, and which. */
struct place {
	struct str turn_id;
	unsigned n;
};

/* The turn's own id is in it, so that who only has the item's can find the turn (turn_references()). */
static void put_id(struct jw *w, struct str type, const struct place *at)
{
	struct str turn = at->turn_id.len ? at->turn_id : STR("in");
	char number[16];
	int n = snprintf(number, sizeof(number), "_%u", at->n);

	if (str_starts(turn, STR(TURN_PREFIX)))
		turn = str_from_offset(turn, strlen(TURN_PREFIX));
	jw_key(w, "id");
	jw_raw(w, STR("\""));
	buf_puts(w->out, prefix_of(type));
	json_escape(w->out, turn);
	buf_put(w->out, (struct str){ number, (size_t)n });
	buf_putc(w->out, '"');
}

/* The short form of a content, as one part. */
static void put_text_content(struct jw *w, bool assistant, struct str text)
{
	jw_key(w, "content");
	jw_arr(w);
	jw_obj(w);
	jw_kcstr(w, "type", assistant ? "output_text" : "input_text");
	jw_kstr(w, "text", text);
	if (assistant) {
		jw_kraw(w, "annotations", STR("[]"));
		jw_kraw(w, "logprobs", STR("[]"));
	}
	jw_end_obj(w);
	jw_end_arr(w);
}

static void put_value(struct jw *w, struct buf *out, struct str key, const json *v)
{
	jw_key_str(w, key);
	jw_raw(w, STR("")); /* the value follows, straight from the tree */
	json_write(out, v);
}

/* One item in its full form. A bare {role, content} is a message (trap 64). */
static void put_item(struct jw *w, struct buf *out, const json *item, const struct place *at)
{
	struct str type = json_str(json_get(item, STR("type")));
	struct str role = json_str(json_get(item, STR("role")));
	bool message = (!str_present(type) && str_present(role)) || str_eq(type, STR("message"));
	struct json_iter it = json_iter(item);

	jw_obj(w);
	if (message)
		type = STR("message");
	if (!json_is_str(json_get(item, STR("id"))))
		put_id(w, type, at);
	if (message)
		jw_kcstr(w, "type", "message");
	if (message && !JSON_GET(item, "status"))
		jw_kcstr(w, "status", "completed");
	while (json_next(&it)) {
		bool known = str_eq(it.key, STR("id")) && !json_is_str(it.val);

		if (message)
			known = known || str_eq(it.key, STR("type")) ||
				(str_eq(it.key, STR("status")) && json_is_null(it.val));
		if (known)
			continue;
		if (message && str_eq(it.key, STR("content")) && json_is_str(it.val))
			put_text_content(w, str_eq(role, STR("assistant")), json_str(it.val));
		else
			put_value(w, out, it.key, it.val);
	}
	jw_end_obj(w);
}

static void put_string_input(struct jw *w, struct str text, const struct place *at)
{
	jw_obj(w);
	put_id(w, STR("message"), at);
	jw_kcstr(w, "type", "message");
	jw_kcstr(w, "status", "completed");
	jw_kcstr(w, "role", "user");
	put_text_content(w, false, text);
	jw_end_obj(w);
}

static void put_items(struct jw *w, struct buf *out, const json *input, struct str turn_id)
{
	struct place at = { .turn_id = turn_id };
	struct json_iter it = json_iter(input);

	if (json_is_str(input)) {
		put_string_input(w, json_str(input), &at);
		return;
	}
	for (; json_next(&it); at.n++)
		if (json_is_obj(it.val))
			put_item(w, out, it.val, &at);
}

struct str turn_items(struct arena *a, struct str input, struct str turn_id)
{
	const json *v = str_present(input) ? json_parse(a, input, NULL) : NULL;
	struct str items;
	struct buf out;
	struct jw w;

	if (str_present(input) && !json_is_str(v) && !json_is_arr(v))
		return STR_NONE;
	buf_init(&out, ITEMS_MAX);
	w = jw_on(&out);
	jw_arr(&w);
	put_items(&w, &out, v, turn_id);
	jw_end_arr(&w);
	items = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
	buf_done(&out);
	return items;
}

/* --- turns put together --- */

/* Reasoning that only its minter could look up by id. */
static bool unreadable(const json *item)
{
	return str_eq(json_str(json_get(item, STR("type"))), STR("reasoning")) &&
	       json_str(json_get(item, STR("encrypted_content"))).len == 0;
}

/* Its id is only of use to who keeps the item: encrypted reasoning is bound to its own (trap 50). */
static bool drops_id(const json *item)
{
	static const struct str types[] = { STR_INIT("message"), STR_INIT("function_call"),
					    STR_INIT("function_call_output"),
					    STR_INIT("custom_tool_call"),
					    STR_INIT("custom_tool_call_output") };
	struct str type = json_str(json_get(item, STR("type")));

	for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (str_eq(types[i], type))
			return true;
	return false;
}

static void put_kept_item(struct buf *out, bool *comma, const json *item, enum turn_reader reader)
{
	struct json_iter it = json_iter(item);
	bool bare, first = true;

	if (reader == TURN_FOREIGN && unreadable(item))
		return;
	if (*comma)
		buf_putc(out, ',');
	*comma = true;
	bare = reader == TURN_FOREIGN && drops_id(item);
	if (!bare) {
		json_write(out, item);
		return;
	}
	buf_putc(out, '{');
	while (json_next(&it)) {
		if (str_eq(it.key, STR("id")))
			continue;
		buf_puts(out, first ? "\"" : ",\"");
		first = false;
		json_escape(out, it.key);
		buf_puts(out, "\":");
		json_write(out, it.val);
	}
	buf_putc(out, '}');
}

static int put_kept_list(struct arena *a, struct buf *out, bool *comma, struct str list,
			 enum turn_reader reader)
{
	const json *items;
	struct json_iter it;
	struct err e = { 0 };

	if (!str_present(list))
		return RC_OK;
	items = json_parse(a, list, &e);
	if (!items)
		return e.code ? (int)e.code : RC_NOMEM;
	it = json_iter(items);
	while (json_next(&it))
		if (json_is_obj(it.val))
			put_kept_item(out, comma, it.val, reader);
	return RC_OK;
}

/* Input and output of all turns; without the last one's output when that is not wanted. */
static int put_turns(struct arena *a, struct buf *out, bool *comma, const struct stored_turn *turns,
		     unsigned n, bool last_output, enum turn_reader reader)
{
	for (unsigned i = 0; i < n; i++) {
		struct str input = turn_items(a, turns[i].input, turns[i].id);
		int rc =
			str_present(input) ? put_kept_list(a, out, comma, input, reader) : RC_NOMEM;

		if (rc == RC_OK && (last_output || i + 1 < n))
			rc = put_kept_list(a, out, comma, turn_get(turns[i].answer, "output"),
					   reader);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

int turn_expand(struct arena *a, struct str body, const struct turn_ask *ask,
		const struct stored_turn *turns, unsigned n, enum turn_reader reader,
		struct buf *out, struct err *reterr)
{
	struct json_want w[2] = { { .key = "previous_response_id" }, { .key = "input" } };
	struct json_edit edits[2];
	unsigned n_edits = 0;
	struct str own = turn_items(a, ask->input, STR("")), all;
	bool comma = false;
	struct buf list;
	int rc;

	if (!str_present(own))
		return err_param(reterr, RC_INVALID, "input",
				 "'input' must be a string or a list of items.");
	rc = json_scan(body, w, 2, reterr);
	if (rc != RC_OK)
		return rc;
	buf_init(&list, ITEMS_MAX);
	buf_putc(&list, '[');
	rc = put_turns(a, &list, &comma, turns, n, true, reader);
	if (rc == RC_OK)
		rc = put_kept_list(a, &list, &comma, own, reader);
	buf_putc(&list, ']');
	all = rc == RC_OK && buf_ok(&list) ? arena_dup(a, buf_str(&list)) : STR_NONE;
	buf_done(&list);
	if (!str_present(all))
		return rc == RC_OK || rc == RC_NOMEM
			       ? RC_NOMEM
			       : err_set(reterr, RC_IO,
					 "what was kept of the conversation is damaged");
	if (w[1].first) {
		edits[n_edits++] = json_edit_remove(body, w[0].member);
		edits[n_edits++] = (struct json_edit){ .old = w[1].value, .with = all };
	} else { /* in the place of the other: it may be the only member */
		struct str input = arena_printf(a, "\"input\":%.*s", STR_ARG(all));

		if (!str_present(input))
			return RC_NOMEM;
		edits[n_edits++] = w[0].first
					   ? (struct json_edit){ .old = w[0].member, .with = input }
					   : json_edit_add(a, body, input);
	}
	json_patch(out, body, edits, n_edits);
	return buf_ok(out) ? RC_OK : out->over ? RC_TOOBIG : RC_NOMEM;
}

/* --- items that are only named --- */

static struct str id_of(const json *item)
{
	return json_str(json_get(item, STR("id")));
}

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

/* An item of a turn that was found. */
struct found_item {
	const json *item;
	struct str maker; /* absent: of an input, or made here */
};

/* All of them, by their ids. */
struct found {
	struct item_index index;
	struct item_set *set;
	struct list buckets[FOUND_BUCKETS];
};

static unsigned add_found(struct item_id *ids, struct found_item *items, unsigned n,
			  const json *list, bool made, struct str maker)
{
	struct json_iter it = json_iter(list);

	while (json_next(&it)) {
		struct str id = id_of(it.val);

		if (!id.len)
			continue;
		items[n] = (struct found_item){ it.val, maker };
		ids[n] = (struct item_id){ .id = id, .made = made, .of = &items[n] };
		n++;
	}
	return n;
}

/* Oldest first, so that the newest of equals is met first. */
static int read_found(struct arena *a, const struct stored_turn *turns, unsigned n,
		      struct found *ret)
{
	const json **lists = arena_array(a, 2 * (size_t)n + 1, sizeof(*lists));
	struct found_item *items;
	struct item_id *ids;
	size_t cap = 0;
	unsigned n_ids = 0;

	for (unsigned i = 0; lists && i < n; i++) {
		struct str input = turn_items(a, turns[i].input, turns[i].id);
		struct str output = turn_get(turns[i].answer, "output");

		if (!str_present(input))
			return RC_NOMEM;
		lists[2 * i] = json_parse(a, input, NULL);
		lists[2 * i + 1] = str_present(output) ? json_parse(a, output, NULL) : NULL;
		cap += json_len(lists[2 * i]) + json_len(lists[2 * i + 1]);
	}
	items = arena_array(a, cap + 1, sizeof(*items));
	ids = arena_array(a, cap + 1, sizeof(*ids));
	if (!lists || !items || !ids)
		return RC_NOMEM;
	for (unsigned i = n; i-- > 0;) {
		n_ids = add_found(ids, items, n_ids, lists[2 * i], false, STR_NONE);
		n_ids = add_found(ids, items, n_ids, lists[2 * i + 1], true, turns[i].maker);
	}
	ret->set = item_index_add(&ret->index, ids, n_ids);
	return ret->set ? RC_OK : RC_NOMEM;
}

/* From where it was made, if that was found; NULL: from nowhere. */
static const struct found_item *find_item(const struct found *f, struct str id)
{
	const struct item_entry *e = NULL, *best = NULL;

	while ((e = item_index_next(&f->index, id, e)) != NULL)
		if (!best || (e->item.made && !best->item.made))
			best = e;
	return best ? best->item.of : NULL;
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

	if (id.len && !f)
		return id;
	put_own(&r->ours, &r->comma, f ? f->item : item);
	if (!f || (str_present(f->maker) && str_eq(f->maker, r->account)))
		put_own(&r->foreign, &r->comma_foreign, item);
	else
		put_kept_item(&r->foreign, &r->comma_foreign, f->item, TURN_FOREIGN);
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
	item_index_init(&r->found.index, r->found.buckets, FOUND_BUCKETS);
	buf_init(&r->ours, ITEMS_MAX);
	buf_init(&r->foreign, ITEMS_MAX);
	rc = read_found(a, turns, n, &r->found);
	if (rc == RC_OK)
		rc = resolve_all(a, r, list, ret);
	buf_done(&r->ours);
	buf_done(&r->foreign);
	item_set_free(r->found.set);
	return rc;
}

/* --- pages of input items --- */

int turn_page_read(struct arena *a, struct str query, struct turn_page *ret, struct err *reterr)
{
	struct str limit = query_get(a, query, "limit");
	struct str order = query_get(a, query, "order");
	uint64_t n = LIMIT_DEFAULT;

	*ret = (struct turn_page){ .after = query_get(a, query, "after") };
	if (str_present(limit) && (!str_to_u64(limit, &n) || n < 1 || n > LIMIT_MAX))
		return err_param(reterr, RC_INVALID, "limit", "'limit' must be from 1 to %d.",
				 LIMIT_MAX);
	if (str_present(order) && !str_eq(order, STR("asc")) && !str_eq(order, STR("desc")))
		return err_param(reterr, RC_INVALID, "order",
				 "'order' must be \"asc\" or \"desc\".");
	ret->limit = (unsigned)n;
	ret->ascending = str_eq(order, STR("asc"));
	return RC_OK;
}

/* Where the page begins; the number of items when `after` is none of them. */
static size_t find_start(const json *const *items, size_t n, const struct turn_page *p)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = p->ascending ? i : n - 1 - i;

		if (str_eq(id_of(items[at]), p->after))
			return i + 1;
	}
	return SIZE_MAX;
}

static void write_page(const json *const *items, size_t n, size_t from, const struct turn_page *p,
		       struct buf *out)
{
	struct str first = STR_NONE, last = STR_NONE;
	size_t end = n - from > p->limit ? from + p->limit : n;
	struct jw w;

	buf_puts(out, "{\"object\":\"list\",\"data\":[");
	for (size_t i = from; i < end; i++) {
		const json *item = items[p->ascending ? i : n - 1 - i];

		if (i == from)
			first = id_of(item);
		else
			buf_putc(out, ',');
		last = id_of(item);
		json_write(out, item);
	}
	buf_puts(out, "],\"first_id\":");
	w = jw_on(out);
	jw_str(&w, str_present(first) ? first : STR(""));
	buf_puts(out, ",\"last_id\":");
	w = jw_on(out);
	jw_str(&w, str_present(last) ? last : STR(""));
	buf_puts(out, end < n ? ",\"has_more\":true}" : ",\"has_more\":false}");
}

int turn_page_write(struct arena *a, const struct turn_page *p, const struct stored_turn *turns,
		    unsigned n, struct buf *out, struct err *reterr)
{
	bool comma = false;
	const json *list = NULL, **items;
	struct json_iter it;
	size_t n_items, from = 0, i = 0;
	struct buf all;
	int rc;

	buf_init(&all, ITEMS_MAX);
	buf_putc(&all, '[');
	rc = put_turns(a, &all, &comma, turns, n, false, TURN_OURS);
	buf_putc(&all, ']');
	if (rc == RC_OK && buf_ok(&all))
		list = json_parse(a, buf_str(&all), NULL);
	buf_done(&all);
	n_items = json_len(list);
	items = arena_array(a, n_items ? n_items : 1, sizeof(*items));
	if (!list || !items)
		return RC_NOMEM;
	for (it = json_iter(list); json_next(&it);)
		items[i++] = it.val;
	if (str_present(p->after))
		from = find_start(items, n_items, p);
	if (from > n_items)
		return err_param(reterr, RC_INVALID, "after",
				 "No item of this response has the id '%.*s'.",
				 (int)(p->after.len < 80 ? p->after.len : 80), p->after.ptr);
	write_page(items, n_items, from, p, out);
	return buf_ok(out) ? RC_OK : RC_NOMEM;
}

/* --- a conversation made shorter --- */

/* Who minted the item: no protocol has this name. */
#define SUMMARY_ORIGIN "llm-gateway"

static const struct str summary_asked =
	STR_INIT("Write a summary of the conversation so far that can stand in its place: whoever "
		 "goes on with it "
		 "will have your summary and nothing else. Say what was asked, what was decided "
		 "and why, what was done "
		 "and what came of it, names, numbers and exact words that are still needed, and "
		 "what is still to be done. "
		 "Write the summary only.");
static const struct str summary_given =
	STR_INIT("The conversation so far, in a summary made when it had grown long:\n\n");

static void put_user_text(struct jw *w, struct str before, struct str text, struct arena *a)
{
	jw_obj(w);
	jw_kcstr(w, "type", "message");
	jw_kcstr(w, "role", "user");
	put_text_content(w, false,
			 before.len ? arena_printf(a, "%.*s%.*s", STR_ARG(before), STR_ARG(text))
				    : text);
	jw_end_obj(w);
}

struct str turn_ask_summary(struct arena *a, struct str body, struct err *reterr)
{
	struct json_want w[3] = { { .key = "model" },
				  { .key = "input" },
				  { .key = "instructions" } };
	struct str items, result;
	struct buf out;
	struct jw jw;

	if (json_scan(body, w, 3, reterr) != RC_OK)
		return STR_NONE;
	items = turn_items(a, w[1].first && w[1].first != 'n' ? w[1].value : STR_NONE, STR(""));
	if (!str_present(items) || str_eq(items, STR("[]"))) {
		(void)err_param(reterr, RC_INVALID, "input",
				"'input' or 'previous_response_id' must say what to compact.");
		return STR_NONE;
	}
	buf_init(&out, ITEMS_MAX);
	jw = jw_on(&out);
	jw_obj(&jw);
	if (w[0].first)
		jw_kraw(&jw, "model", w[0].value);
	if (w[2].first && w[2].first != 'n')
		jw_kraw(&jw, "instructions", w[2].value);
	jw_kraw(&jw, "store", STR("false"));
	jw_key(&jw, "input");
	jw_arr(&jw);
	jw_raw(&jw, (struct str){ items.ptr + 1, items.len - 2 });
	put_user_text(&jw, STR(""), summary_asked, a);
	jw_end_arr(&jw);
	jw_end_obj(&jw);
	result = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
	buf_done(&out);
	return result;
}

static void put_texts(struct buf *out, const json *content)
{
	struct json_iter it = json_iter(content);

	while (json_next(&it))
		if (str_eq(json_str(json_get(it.val, STR("type"))), STR("output_text")))
			buf_put(out, json_str(json_get(it.val, STR("text"))));
}

struct str turn_read_summary(struct arena *a, struct str resource)
{
	struct str list = turn_get(resource, "output"), result = STR_NONE;
	const json *output = str_present(list) ? json_parse(a, list, NULL) : NULL;
	struct json_iter it = json_iter(output);
	struct buf text, coded;

	buf_init(&text, ITEMS_MAX);
	buf_init(&coded, ITEMS_MAX);
	while (json_next(&it))
		put_texts(&text, json_get(it.val, STR("content")));
	base64_encode(&coded, buf_str(&text));
	if (buf_len(&text) > 0 && buf_ok(&text) && buf_ok(&coded))
		result = ir_carrier_pack(a, SUMMARY_ORIGIN, buf_str(&coded));
	buf_done(&text);
	buf_done(&coded);
	return result;
}

/* The summary in an item that this gateway made; absent: it is none. */
static struct str summary_of(struct arena *a, const json *item)
{
	struct str sealed = json_str(json_get(item, STR("encrypted_content")));
	struct str origin, coded;

	if (!str_starts(json_str(json_get(item, STR("type"))), STR("compaction")) || !sealed.len ||
	    !ir_carrier_unpack(a, sealed, &origin, &coded) || !str_eq(origin, STR(SUMMARY_ORIGIN)))
		return STR_NONE;
	return base64_decode(a, coded);
}

struct str turn_open_summaries(struct arena *a, struct str body)
{
	struct turn_member input = { .key = "input" };
	struct str list, summary;
	const json *items;
	struct json_iter it;
	struct buf out;
	struct jw w;

	if (str_find(body, STR("." SUMMARY_ORIGIN ".")) < 0)
		return body;
	list = turn_get(body, "input");
	items = str_present(list) ? json_parse(a, list, NULL) : NULL;
	if (!json_is_arr(items))
		return body;
	buf_init(&out, ITEMS_MAX);
	w = jw_on(&out);
	jw_arr(&w);
	for (it = json_iter(items); json_next(&it);) {
		summary = summary_of(a, it.val);
		if (str_present(summary)) {
			put_user_text(&w, summary_given, summary, a);
		} else {
			jw_raw(&w, STR(""));
			json_write(&out, it.val);
		}
	}
	jw_end_arr(&w);
	input.with = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
	buf_done(&out);
	return str_present(input.with) ? turn_set(a, body, &input, 1) : STR_NONE;
}
