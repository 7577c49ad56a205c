/* protocols/openai_responses/response_items.c - the items of an answer as blocks, one after the other.
 *
 * The hard thing is that an item is told twice, in pieces and then whole, and that servers leave out either. So for each item is
 * counted what of it went out, and the whole item only adds what is missing. Items that overlap wait for their turn. */
#include "protocols/media.h"
#include "protocols/openai_responses/openai_responses.h"

enum { MAX_ITEMS = 4096 };

/* --- blocks --- */

/* `id`: a call's, or the reasoning item's. */
static int open_block(struct rs_items *s, enum ir_block_kind kind, struct str id, struct str name)
{
	struct ir_event ev = { .kind = IR_OPEN,
			       .index = s->next_index++,
			       .block = kind,
			       .id = id,
			       .name = name,
			       .usage = IR_USAGE_NONE };

	if (kind == IR_BLOCK_REASONING)
		ev.origin = s->minted_by;
	else if (kind == IR_BLOCK_OPAQUE)
		ev.origin = RS_NAME;
	s->open = true;
	s->block = kind;
	return ir_emit(s->sink, &ev);
}

static struct ir_event event(const struct rs_items *s, enum ir_event_kind kind)
{
	return (struct ir_event){
		.kind = kind, .index = s->next_index - 1, .block = s->block, .usage = IR_USAGE_NONE
	};
}

static int close_block(struct rs_items *s)
{
	struct ir_event ev = event(s, IR_CLOSE);

	if (!s->open)
		return RC_OK;
	s->open = false;
	return ir_emit(s->sink, &ev);
}

static int need_block(struct rs_items *s, enum ir_block_kind kind)
{
	int rc;

	if (s->open && s->block == kind)
		return RC_OK;
	rc = close_block(s);
	return rc ? rc
		  : open_block(s, kind, kind == IR_BLOCK_REASONING && s->at ? s->at->id : STR_NONE,
			       STR_NONE);
}

static int delta(struct rs_items *s, enum ir_delta_kind kind, struct str text)
{
	struct ir_event ev = event(s, IR_DELTA);

	ev.delta = kind;
	ev.text = text;
	return ir_emit(s->sink, &ev);
}

/* --- parts of a message --- */

/* The form in which the canonical events have them is Chat's. */
static int convert_logprobs(struct rs_items *s, const json *list, struct str *ret)
{
	struct json_iter it = json_iter(list);
	struct buf b;
	struct jw w;

	*ret = STR_NONE;
	if (!json_is_arr(list) || json_len(list) == 0)
		return RC_OK;
	buf_init(&b, RS_TEXT_MAX);
	w = jw_on(&b);
	jw_arr(&w);
	while (json_next(&it))
		rs_logprob_write(&w, it.val, false);
	jw_end_arr(&w);
	*ret = buf_ok(&b) ? arena_dup(s->scratch, buf_str(&b)) : STR_NONE;
	buf_done(&b);
	return ret->ptr ? RC_OK : RC_NOMEM;
}

static int say(struct rs_items *s, enum ir_block_kind kind, struct str text, const json *logprobs)
{
	struct ir_event ev;
	int rc;

	if (text.len == 0) /* traps 13, 14 */
		return RC_OK;
	rc = need_block(s, kind);
	if (rc)
		return rc;
	ev = event(s, IR_DELTA);
	ev.delta = IR_DELTA_TEXT;
	ev.text = text;
	rc = convert_logprobs(s, logprobs, &ev.logprobs);
	s->refused = s->refused || kind == IR_BLOCK_REFUSAL;
	return rc ? rc : ir_emit(s->sink, &ev);
}

static int cite(struct rs_items *s, const json *note)
{
	struct ir_citation c = { .start = -1, .end = -1, .origin = RS_NAME };
	struct ir_event ev;
	int rc = need_block(s, IR_BLOCK_TEXT);

	if (rc)
		return rc;
	c.url = json_str(json_get(note, STR("url")));
	c.title = json_str(json_get(note, STR("title")));
	if (!str_present(c.title))
		c.title = json_str(json_get(note, STR("filename")));
	(void)json_i64(json_get(note, STR("start_index")), &c.start);
	(void)json_i64(json_get(note, STR("end_index")), &c.end);
	c.raw = json_text(s->scratch, note);
	if (!c.raw.ptr)
		return RC_NOMEM;
	ev = event(s, IR_DELTA);
	ev.delta = IR_DELTA_CITATION;
	ev.citation = &c;
	return ir_emit(s->sink, &ev);
}

static struct str text_of(const json *part, enum ir_block_kind *ret_kind)
{
	bool refusal = str_eq(json_str(json_get(part, STR("type"))), STR("refusal"));

	*ret_kind = refusal ? IR_BLOCK_REFUSAL : IR_BLOCK_TEXT;
	return json_str(json_get(part, refusal ? STR("refusal") : STR("text")));
}

static bool is_text(enum ir_block_kind kind)
{
	return kind == IR_BLOCK_TEXT;
}

/* What of the current part did not come in pieces, and its end. */
static int finish_part(struct rs_items *s, struct rs_item *it, const json *part)
{
	enum ir_block_kind kind;
	struct str text = text_of(part, &kind);
	struct json_iter notes = json_iter(json_get(part, STR("annotations")));
	unsigned n = 0;
	int rc = RC_OK;

	if (text.len > it->said)
		rc = say(s, kind, str_from_offset(text, it->said),
			 it->said ? NULL : json_get(part, STR("logprobs")));
	while (!rc && is_text(kind) && json_next(&notes)) {
		if (n++ >= it->notes)
			rc = cite(s, notes.val);
	}
	it->parts_done++;
	it->said = it->notes = 0;
	it->part = -1;
	return rc ? rc : close_block(s);
}

static int finish_message(struct rs_items *s, struct rs_item *it, const json *item)
{
	struct json_iter parts = json_iter(json_get(item, STR("content")));
	unsigned k = 0;
	int rc = RC_OK;

	while (!rc && json_next(&parts)) {
		if (k++ >= it->parts_done)
			rc = finish_part(s, it, parts.val);
	}
	return rc ? rc : close_block(s);
}

/* --- reasoning --- */

/* The texts of a list, joined. */
static int join(struct rs_items *s, const json *list, struct str separator, struct str *ret)
{
	struct json_iter it = json_iter(list);
	struct buf b;

	*ret = STR("");
	if (!json_is_arr(list) || json_len(list) == 0)
		return RC_OK;
	buf_init(&b, RS_TEXT_MAX);
	while (json_next(&it)) {
		struct str text = json_str(json_get(it.val, STR("text")));

		if (buf_len(&b) && text.len)
			buf_put(&b, separator);
		buf_put(&b, text);
	}
	*ret = buf_ok(&b) ? arena_dup(s->scratch, buf_str(&b)) : STR_NONE;
	buf_done(&b);
	return ret->ptr ? RC_OK : RC_NOMEM;
}

static int finish_reasoning(struct rs_items *s, struct rs_item *it, const json *item)
{
	struct str encrypted = json_str(json_get(item, STR("encrypted_content")));
	struct str text = STR(""), proof;
	int rc = RC_OK;

	if (!it->summary)
		rc = join(s, json_get(item, STR("content")), STR(""), &text);
	if (!rc && !it->content && !text.len)
		rc = join(s, json_get(item, STR("summary")), STR("\n\n"), &text);
	if (!rc && text.len > it->said)
		rc = say(s, IR_BLOCK_REASONING, str_from_offset(text, it->said), NULL);
	if (rc || !encrypted.len)
		return rc ? rc : close_block(s);
	proof = oc_proof_join(s->scratch, json_str(json_get(item, STR("id"))), encrypted);
	if (!proof.ptr)
		return RC_NOMEM;
	rc = need_block(s, IR_BLOCK_REASONING);
	if (!rc)
		rc = delta(s, IR_DELTA_SIGNATURE, proof);
	return rc ? rc : close_block(s);
}

/* --- calls --- */

static int open_call(struct rs_items *s, struct rs_item *it, const json *item, bool last_chance)
{
	struct str id = json_str(json_get(item, STR("call_id"))),
		   name = json_str(json_get(item, STR("name")));
	int rc;

	if (it->opened)
		return RC_OK;
	if (!id.len && last_chance)
		id = json_str(json_get(item, STR("id")));
	if (!id.len && last_chance) {
		id = arena_printf(s->scratch, "call_%u", s->next_index);
		if (!id.ptr)
			return RC_NOMEM;
	}
	if (!name.len && last_chance)
		return RC_SYNTAX;
	if (!id.len || !name.len)
		return RC_OK;
	rc = close_block(s);
	it->opened = true;
	s->n_calls++;
	if (!rc)
		rc = open_block(s, IR_BLOCK_TOOL_CALL, id, oc_tool_name_restore(s->request, name));
	if (!rc && it->kind == RS_CUSTOM_CALL)
		rc = delta(s, IR_DELTA_ARGUMENTS, STR("{\"input\":\""));
	return rc;
}

static int say_arguments(struct rs_items *s, struct rs_item *it, struct str piece)
{
	struct buf b;
	struct str text = piece;

	if (piece.len == 0)
		return RC_OK;
	it->said += piece.len;
	if (it->kind == RS_CALL)
		return delta(s, IR_DELTA_ARGUMENTS, piece);
	buf_init(&b, RS_TEXT_MAX);
	json_escape(&b, piece);
	text = buf_ok(&b) ? arena_dup(s->scratch, buf_str(&b)) : STR_NONE;
	buf_done(&b);
	return text.ptr ? delta(s, IR_DELTA_ARGUMENTS, text) : RC_NOMEM;
}

static int finish_call(struct rs_items *s, struct rs_item *it, const json *item)
{
	struct str all =
		json_str(json_get(item, it->kind == RS_CALL ? STR("arguments") : STR("input")));
	int rc = open_call(s, it, item, true);

	if (!rc && all.len > it->said)
		rc = say_arguments(s, it, str_from_offset(all, it->said));
	if (!rc && it->kind == RS_CUSTOM_CALL)
		rc = delta(s, IR_DELTA_ARGUMENTS, STR("\"}"));
	return rc ? rc : close_block(s);
}

/* --- items --- */

struct str rs_picture_type(struct arena *a, struct str base64)
{
	struct str mime = media_sniff(a, base64);

	return str_starts(mime, STR("image/")) ? mime : STR("image/png");
}

/* What OpenAI's tool drew, as a URL; one that could not be drawn is missed all the same. Other items stay as they are. */
static int read_picture(struct rs_items *s, const json *item, struct ir_event *ev)
{
	struct str base64 = json_str(json_get(item, STR("result")));

	if (!str_eq(json_str(json_get(item, STR("type"))), STR(RS_PICTURE)))
		return RC_OK;
	ev->name = media_lost(STR("image/"));
	if (!base64.len)
		return RC_OK;
	ev->picture = media_data_url(s->scratch, rs_picture_type(s->scratch, base64), base64);
	return str_present(ev->picture) ? RC_OK : RC_NOMEM;
}

static int finish_other(struct rs_items *s, const json *item)
{
	struct str raw = json_text(s->scratch, item);
	struct ir_event ev;
	int rc;

	if (!raw.ptr)
		return RC_NOMEM;
	rc = need_block(s, IR_BLOCK_OPAQUE);
	if (rc)
		return rc;
	ev = event(s, IR_DELTA);
	ev.delta = IR_DELTA_RAW;
	ev.text = raw;
	rc = read_picture(s, item, &ev);
	if (!rc)
		rc = ir_emit(s->sink, &ev);
	return rc ? rc : close_block(s);
}

static int finish_item(struct rs_items *s, struct rs_item *it, const json *item)
{
	it->done = true;
	s->at = it;
	switch (it->kind) {
	case RS_MESSAGE:
		return finish_message(s, it, item);
	case RS_REASONING:
		return finish_reasoning(s, it, item);
	case RS_CALL:
	case RS_CUSTOM_CALL:
		return finish_call(s, it, item);
	case RS_OTHER:
		return finish_other(s, item);
	}
	return RC_OK;
}

static enum rs_item_kind kind_of(const json *item)
{
	struct str type = json_str(json_get(item, STR("type")));

	if (str_eq(type, STR("message")))
		return RS_MESSAGE;
	if (str_eq(type, STR("reasoning")))
		return RS_REASONING;
	if (str_eq(type, STR("function_call")))
		return RS_CALL;
	return str_eq(type, STR("custom_tool_call")) ? RS_CUSTOM_CALL : RS_OTHER;
}

static struct rs_item *find(const struct rs_items *s, int64_t index)
{
	for (unsigned i = s->n; i-- > 0;) {
		if (s->all[i]->index == index)
			return s->all[i];
	}
	return NULL;
}

static int add(struct rs_items *s, int64_t index, enum rs_item_kind kind, struct rs_item **ret)
{
	struct rs_item *it = arena_alloc(s->arena, sizeof(*it));

	if (!it)
		return RC_NOMEM;
	if (s->n == MAX_ITEMS)
		return RC_TOOBIG;
	if (s->n == s->cap) {
		unsigned cap = s->cap ? s->cap * 2 : 8;
		struct rs_item **all =
			arena_grow(s->arena, s->all, s->cap * sizeof(*all), cap * sizeof(*all));

		if (!all)
			return RC_NOMEM;
		s->all = all;
		s->cap = cap;
	}
	*it = (struct rs_item){ .index = index, .kind = kind, .part = -1 };
	s->all[s->n++] = it;
	*ret = it;
	return RC_OK;
}

/* The first that waits for its turn; one that gave way has had it, and waits for its whole. */
static struct rs_item *next_waiting(const struct rs_items *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct rs_item *it = s->all[i];

		if (!it->done && (!it->yielded || str_present(it->held)))
			return it;
	}
	return NULL;
}

static int advance(struct rs_items *s)
{
	struct rs_item *it;
	int rc = RC_OK;

	while (!rc && !s->head && (it = next_waiting(s))) {
		if (!str_present(it->held)) {
			s->head = it;
			break;
		}
		rc = finish_item(s, it, json_parse(s->scratch, it->held, NULL));
	}
	return rc;
}

int rs_items_begin(struct rs_items *s, int64_t index, const json *item)
{
	struct rs_item *it = find(s, index);
	int rc;

	if (it)
		return RC_OK;
	rc = add(s, index, kind_of(item), &it);
	if (rc)
		return rc;
	it->id = arena_dup(s->arena, json_str(json_get(item, STR("id"))));
	if (s->head && (s->head->kind == RS_MESSAGE || s->head->kind == RS_REASONING)) {
		rc = close_block(s);
		s->head->yielded = true;
		s->head = NULL;
	}
	if (rc || s->head)
		return rc;
	rc = advance(s);
	if (!rc && s->head == it && (it->kind == RS_CALL || it->kind == RS_CUSTOM_CALL))
		rc = open_call(s, it, item, false);
	return rc;
}

/* The item if it is its turn; NULL when it has to wait. */
static int turn(struct rs_items *s, int64_t index, enum rs_item_kind kind, struct rs_item **ret)
{
	struct rs_item *it = find(s, index);
	int rc;

	*ret = NULL;
	if (!it) { /* a piece of an item that nobody began */
		rc = add(s, index, kind, &it);
		if (!rc && !s->head)
			rc = advance(s);
		if (rc)
			return rc;
	}
	if (it->done || it->kind != kind)
		return RC_OK;
	it->missed = it->missed || it != s->head;
	if (!it->missed)
		*ret = it;
	return RC_OK;
}

static int begin_part(struct rs_items *s, struct rs_item *it, int64_t part)
{
	int rc = RC_OK;

	if (it->part == part)
		return RC_OK;
	if (it->part >= 0) { /* the part before had no end of its own */
		it->parts_done++;
		it->said = it->notes = 0;
		rc = close_block(s);
	}
	it->part = part;
	return rc;
}

static int reasoning_text(struct rs_items *s, const struct rs_piece *p)
{
	struct rs_item *it;
	int rc = turn(s, p->index, RS_REASONING, &it);

	if (rc || !it || !p->text.len || (p->summary ? it->content : it->summary))
		return rc;
	if (p->summary && it->said && it->part != p->part) {
		rc = say(s, IR_BLOCK_REASONING, STR("\n\n"), NULL);
		it->said += 2;
	}
	it->summary = p->summary;
	it->content = !p->summary;
	it->part = p->part;
	it->said += p->text.len;
	s->at = it;
	return rc ? rc : say(s, IR_BLOCK_REASONING, p->text, NULL);
}

int rs_items_text(struct rs_items *s, const struct rs_piece *p)
{
	struct rs_item *it;
	int rc;

	if (p->block == IR_BLOCK_REASONING)
		return reasoning_text(s, p);
	rc = turn(s, p->index, RS_MESSAGE, &it);
	if (!rc && it)
		rc = begin_part(s, it, p->part);
	if (rc || !it)
		return rc;
	it->said += p->text.len;
	return say(s, p->block, p->text, p->logprobs);
}

int rs_items_citation(struct rs_items *s, int64_t index, const json *annotation)
{
	struct rs_item *it;
	int rc = turn(s, index, RS_MESSAGE, &it);

	if (rc || !it || !json_is_obj(annotation) || !(s->open && s->block == IR_BLOCK_TEXT))
		return rc;
	it->notes++;
	return cite(s, annotation);
}

int rs_items_part_done(struct rs_items *s, int64_t index, int64_t part_index, const json *part)
{
	struct rs_item *it = find(s, index);
	int rc;

	if (!it || it->kind != RS_MESSAGE)
		return RC_OK;
	rc = turn(s, index, RS_MESSAGE, &it);
	if (!rc && it)
		rc = begin_part(s, it, part_index);
	return rc || !it ? rc : finish_part(s, it, part);
}

int rs_items_arguments(struct rs_items *s, int64_t index, struct str piece)
{
	struct rs_item *it = find(s, index);
	int rc;

	if (!it || (it->kind != RS_CALL && it->kind != RS_CUSTOM_CALL))
		return RC_OK;
	rc = turn(s, index, it->kind, &it);
	if (rc || !it)
		return rc;
	if (!it->opened) { /* who it is comes with the whole */
		it->missed = true;
		return RC_OK;
	}
	return say_arguments(s, it, piece);
}

int rs_items_done(struct rs_items *s, int64_t index, const json *item)
{
	struct rs_item *it = find(s, index);
	int rc = RC_OK;

	if (!it) {
		rc = rs_items_begin(s, index, item);
		it = find(s, index);
	}
	if (rc || !it || it->done)
		return rc;
	if (it == s->head) {
		s->head = NULL;
		rc = finish_item(s, it, item);
		return rc ? rc : advance(s);
	}
	it->held = json_text(s->arena, item);
	if (!it->held.ptr)
		return RC_NOMEM;
	return s->head ? RC_OK : advance(s);
}

int rs_items_end(struct rs_items *s, const json *output)
{
	struct json_iter list = json_iter(output);
	int64_t index = 0;
	int rc = RC_OK;

	while (!rc && json_is_arr(output) && json_next(&list))
		rc = rs_items_done(s, index++, list.val);
	/* What nobody told the end of: as far as it came. */
	while (!rc && s->head) {
		struct rs_item *it = s->head;

		s->head = NULL;
		it->done = true;
		if (it->opened && it->kind == RS_CUSTOM_CALL)
			rc = delta(s, IR_DELTA_ARGUMENTS, STR("\"}"));
		if (!rc)
			rc = close_block(s);
		if (!rc)
			rc = advance(s);
	}
	return rc ? rc : close_block(s);
}
