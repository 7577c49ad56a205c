/* policy/conversation.c - input items in one form, and turns put together to the input of the next.
 *
 * The hard thing is for whom: our own decoder reads everything that was kept, but a server that never saw these items
 * refuses references to what it does not have (an item's id, reasoning without its encrypted content).
 */
#include "policy/conversation_impl.h"

#include "json/scan.h"
#include "json/write.h"

enum { LIMIT_DEFAULT = 20, LIMIT_MAX = 100 };

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
		buf_init(&out, TURN_ITEMS_MAX);
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
void turn_put_text_content(struct jw *w, bool assistant, struct str text)
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
			turn_put_text_content(w, str_eq(role, STR("assistant")), json_str(it.val));
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
	turn_put_text_content(w, false, text);
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
	buf_init(&out, TURN_ITEMS_MAX);
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

void turn_put_kept_item(struct buf *out, bool *comma, const json *item, enum turn_reader reader)
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
			turn_put_kept_item(out, comma, it.val, reader);
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
	buf_init(&list, TURN_ITEMS_MAX);
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

/* --- pages of input items --- */

struct str turn_item_id(const json *item)
{
	return json_str(json_get(item, STR("id")));
}

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

		if (str_eq(turn_item_id(items[at]), p->after))
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
			first = turn_item_id(item);
		else
			buf_putc(out, ',');
		last = turn_item_id(item);
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

	buf_init(&all, TURN_ITEMS_MAX);
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
