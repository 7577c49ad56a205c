/* policy/summary.c - a conversation made shorter: a summary is asked for, sealed in an item, and read again when it comes back.
 *
 * The item is the client's own text, encoded and marked as ours: whatever model reads it next, it is opened here before.
 */
#include "policy/conversation_impl.h"

#include "base/base64.h"
#include "ir/carrier.h"
#include "json/scan.h"

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
	turn_put_text_content(
		w, false,
		before.len ? arena_printf(a, "%.*s%.*s", STR_ARG(before), STR_ARG(text)) : text);
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
	buf_init(&out, TURN_ITEMS_MAX);
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

	buf_init(&text, TURN_ITEMS_MAX);
	buf_init(&coded, TURN_ITEMS_MAX);
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
	buf_init(&out, TURN_ITEMS_MAX);
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
