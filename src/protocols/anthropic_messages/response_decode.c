/* protocols/anthropic_messages/response_decode.c - an upstream's answer, streamed or whole, into
 * events.
 *
 * The one hard thing: what the official stream never does but real servers do must not break the
 * grammar: a second message_start (trap 5), text already in content_block_start (33), a block
 * without its stop, a delta without its start. Blocks of server tools are collected and come out
 * whole as OPAQUE: they are no calls for the client to make.
 */
#include <string.h>

#include "protocols/anthropic_messages/anthropic_messages.h"

/* Text that outlives an event, in the answer's arena. */
struct grown {
	char *ptr;
	size_t len, cap;
};

struct protocol_decoder {
	struct decoder_options o;
	const char *minted_by; /* the origin of thinking (protocols/minters.h) */
	bool started, ended;   /* START, and FINISH or ERROR, were emitted */
	bool open;             /* a block is open towards the sink */
	bool got_text;         /* the open tool call had arguments */
	bool called;           /* some tool call was seen */
	bool stop_seen, stop_known;
	int64_t theirs; /* the open block's index in the upstream's counting */
	unsigned next;  /* the next block's in ours */
	enum ir_block_kind block;
	struct str signature;   /* of the open reasoning block, owed before its CLOSE */
	struct str opaque;      /* the open opaque block as it started */
	const char *opaque_key; /* its member that deltas fill in: "input" (JSON) or "content"
				   (text); NULL: none came */
	struct grown held;
	struct str message_id;
	struct ir_usage usage;
	enum ir_stop stop;
	struct str stop_sequence;
	struct str explanation; /* why the vendor refused, in words; absent */
};

static int no_memory(struct err *reterr)
{
	return err_set(reterr, RC_NOMEM, "out of memory");
}

static int grow(struct protocol_decoder *d, struct str more)
{
	struct grown *g = &d->held;

	if (more.len > g->cap - g->len) {
		size_t cap = 2 * g->cap + more.len + 256;
		char *p = arena_grow(d->o.arena, g->ptr, g->cap, cap);

		if (!p)
			return RC_NOMEM;
		g->ptr = p;
		g->cap = cap;
	}
	if (more.len)
		memcpy(g->ptr + g->len, more.ptr, more.len);
	g->len += more.len;
	return RC_OK;
}

/* --- emitting --- */

/* What is read of a message. */
enum { MODEL, ID, TYPE, CONTENT, STOP_REASON, STOP_SEQUENCE, USAGE, ERROR, N_MESSAGE };
static const struct str message_names[N_MESSAGE] = {
	[MODEL] = STR_INIT("model"),
	[ID] = STR_INIT("id"),
	[TYPE] = STR_INIT("type"),
	[CONTENT] = STR_INIT("content"),
	[STOP_REASON] = STR_INIT("stop_reason"),
	[STOP_SEQUENCE] = STR_INIT("stop_sequence"),
	[USAGE] = STR_INIT("usage"),
	[ERROR] = STR_INIT("error"),
};

static int start_message(struct protocol_decoder *d, const json *const m[N_MESSAGE])
{
	struct ir_event ev = { .kind = IR_START };

	am_usage_read(m[USAGE], &d->usage);
	if (d->started)
		return RC_OK;
	d->started = true;
	ev.id = json_str(m[ID]);
	ev.name = json_str(m[MODEL]);
	ev.usage = d->usage;
	d->message_id = arena_dup(d->o.arena, str_present(ev.id) ? ev.id : STR(""));
	return ir_emit(d->o.sink, &ev);
}

/* An answer that began without its message. */
static int start(struct protocol_decoder *d)
{
	static const json *const nothing[N_MESSAGE];

	return d->started ? RC_OK : start_message(d, nothing);
}

static int open_block(struct protocol_decoder *d, enum ir_block_kind kind,
		      const struct ir_event *with)
{
	struct ir_event ev = with ? *with : (struct ir_event){ 0 };

	ev.kind = IR_OPEN;
	ev.block = d->block = kind;
	ev.index = d->next++;
	d->open = true;
	d->got_text = false;
	d->signature = STR_NONE;
	return ir_emit(d->o.sink, &ev);
}

static int delta(struct protocol_decoder *d, enum ir_delta_kind kind, struct str text)
{
	struct ir_event ev = {
		.kind = IR_DELTA,
		.block = d->block,
		.delta = kind,
		.index = d->next - 1,
		.text = text,
	};

	return ir_emit(d->o.sink, &ev);
}

static int citation(struct protocol_decoder *d, const json *c)
{
	struct ir_citation what = {
		.url = json_str(JSON_GET(c, "url")),
		.title = json_str(JSON_GET(c, "title")),
		.cited_text = json_str(JSON_GET(c, "cited_text")),
		.start = -1,
		.end = -1,
		.raw = json_text(d->o.scratch, c),
		.origin = AM_NAME,
	};
	struct ir_event ev = {
		.kind = IR_DELTA,
		.block = IR_BLOCK_TEXT,
		.delta = IR_DELTA_CITATION,
		.index = d->next - 1,
		.citation = &what,
	};

	if (!json_is_obj(c))
		return RC_OK;
	if (!str_present(what.title))
		what.title = json_str(JSON_GET(c, "document_title"));
	if (!str_present(what.url))
		what.url = json_str(JSON_GET(c, "source"));
	return str_present(what.raw) ? ir_emit(d->o.sink, &ev) : RC_NOMEM;
}

/* The collected block with what its deltas brought put in. */
static int emit_opaque(struct protocol_decoder *d)
{
	struct str held = { d->held.ptr, d->held.len };
	const json *block = json_parse(d->o.scratch, d->opaque, NULL);
	struct json_iter it = json_iter(block);
	struct buf raw;
	struct jw w;
	int rc = RC_NOMEM;

	if (!d->opaque_key || held.len == 0)
		return delta(d, IR_DELTA_RAW, d->opaque);
	if (!block)
		return RC_NOMEM;
	buf_init(&raw, SIZE_MAX / 4);
	w = jw_on(&raw);
	jw_obj(&w);
	while (json_next(&it)) {
		if (str_eq(it.key, str_from(d->opaque_key)))
			continue;
		jw_key_str(&w, it.key);
		jw_raw(&w, STR(""));
		json_write(&raw, it.val);
	}
	jw_key(&w, d->opaque_key);
	if (d->opaque_key[0] == 'c') {
		jw_str(&w, held);
	} else {
		const json *input = json_parse(d->o.scratch, held, NULL);

		jw_raw(&w, STR(""));
		if (input)
			json_write(&raw, input);
		else
			buf_puts(&raw, "{}");
	}
	jw_end_obj(&w);
	if (buf_ok(&raw))
		rc = delta(d, IR_DELTA_RAW, buf_str(&raw));
	buf_done(&raw);
	return rc;
}

static int close_block(struct protocol_decoder *d)
{
	struct ir_event ev = { .kind = IR_CLOSE, .block = d->block, .index = d->next - 1 };
	int rc = RC_OK;

	if (!d->open)
		return RC_OK;
	d->open = false;
	if (d->block == IR_BLOCK_TOOL_CALL && !d->got_text)
		rc = delta(d, IR_DELTA_ARGUMENTS, STR("{}")); /* trap 16 */
	else if (d->block == IR_BLOCK_REASONING && d->signature.len)
		rc = delta(d, IR_DELTA_SIGNATURE, d->signature);
	else if (d->block == IR_BLOCK_OPAQUE)
		rc = emit_opaque(d);
	return rc ? rc : ir_emit(d->o.sink, &ev);
}

static int emit_usage(struct protocol_decoder *d)
{
	struct ir_event ev = { .kind = IR_USAGE, .usage = d->usage };

	return ir_emit(d->o.sink, &ev);
}

/* Of the answer or its last delta: {"type":"refusal","category","explanation"}. */
static int read_stop_details(struct protocol_decoder *d, const json *holder)
{
	struct str text = json_str(JSON_GET(JSON_GET(holder, "stop_details"), "explanation"));

	if (!text.len || d->stop != IR_STOP_REFUSAL)
		return RC_OK;
	d->explanation = arena_dup(d->o.arena, text);
	return str_present(d->explanation) ? RC_OK : RC_NOMEM;
}

/* What the vendor says instead of an answer stands beside the content there, and is a refusal everywhere else. */
static int emit_explanation(struct protocol_decoder *d)
{
	int rc = open_block(d, IR_BLOCK_REFUSAL, NULL);

	if (!rc)
		rc = delta(d, IR_DELTA_TEXT, d->explanation);
	return rc ? rc : close_block(d);
}

static int finish(struct protocol_decoder *d)
{
	struct ir_event ev = { .kind = IR_FINISH };
	int rc = close_block(d);

	if (!rc && d->explanation.len)
		rc = emit_explanation(d);
	if (!rc)
		rc = emit_usage(d);
	if (rc)
		return rc;
	d->ended = true;
	ev.stop = d->stop;
	/* A reason that is missing or new: what we saw decides (traps 7, 101). */
	if (!d->stop_known)
		ev.stop = d->called ? IR_STOP_TOOL_CALLS : IR_STOP_END;
	if (ev.stop == IR_STOP_SEQUENCE)
		ev.stop_sequence = d->stop_sequence;
	return ir_emit(d->o.sink, &ev);
}

static int fail(struct protocol_decoder *d, const json *root)
{
	struct ir_error e;
	struct ir_event ev = {
		.kind = IR_ERROR, .error = &e
	}; /* may stand inside a block: nothing is made up for it */

	am_error_read(root, 0, &e);
	d->ended = true;
	return ir_emit(d->o.sink, &ev);
}

/* --- blocks --- */

static int text_of(struct protocol_decoder *d, struct str text)
{
	return text.len ? delta(d, IR_DELTA_TEXT, text) : RC_OK; /* trap 14 */
}

static int open_text(struct protocol_decoder *d, const json *b)
{
	struct json_iter it = json_iter(JSON_GET(b, "citations"));
	int rc = open_block(d, IR_BLOCK_TEXT, NULL);

	if (!rc)
		rc = text_of(d, json_str(JSON_GET(b, "text")));
	while (!rc && json_next(&it))
		rc = citation(d, it.val);
	return rc;
}

static int open_reasoning(struct protocol_decoder *d, const json *b)
{
	struct str data = json_str(JSON_GET(b, "data")),
		   signature = json_str(JSON_GET(b, "signature"));
	int rc = open_block(d, IR_BLOCK_REASONING, &(struct ir_event){ .origin = d->minted_by });

	if (!rc && data.len)
		rc = delta(d, IR_DELTA_REDACTED, data);
	if (!rc)
		rc = text_of(d, json_str(JSON_GET(b, "thinking")));
	if (!rc && signature.len) {
		d->signature = arena_dup(d->o.arena, signature);
		rc = str_present(d->signature) ? RC_OK : RC_NOMEM;
	}
	return rc;
}

static int open_call(struct protocol_decoder *d, const json *b, struct err *reterr)
{
	const json *input = JSON_GET(b, "input");
	struct ir_event ev = { .id = json_str(JSON_GET(b, "id")),
			       .name = json_str(JSON_GET(b, "name")) };
	int rc;

	if (!ev.name.len)
		return err_set(reterr, RC_SYNTAX, "a tool_use block without a name");
	if (!ev.id.len) /* unlike any other turn's, and the same each time */
		ev.id = arena_printf(d->o.scratch, "toolu_%.*s_%u", STR_ARG(d->message_id),
				     d->next);
	if (!str_present(ev.id))
		return no_memory(reterr);
	rc = open_block(d, IR_BLOCK_TOOL_CALL, &ev);
	d->called = true;
	if (!rc &&
	    json_len(input)) { /* servers that send it whole; a `{}` is only the place for deltas */
		struct str text = json_text(d->o.scratch, input);

		d->got_text = true;
		rc = str_present(text) ? delta(d, IR_DELTA_ARGUMENTS, text) : RC_NOMEM;
	}
	return rc;
}

static int open_opaque(struct protocol_decoder *d, const json *b)
{
	struct str raw = json_text(d->o.scratch, b);

	d->opaque = str_present(raw) ? arena_dup(d->o.arena, raw) : STR_NONE;
	d->opaque_key = NULL;
	d->held.len = 0;
	if (!str_present(d->opaque))
		return RC_NOMEM;
	return open_block(d, IR_BLOCK_OPAQUE, &(struct ir_event){ .origin = AM_NAME });
}

static int open_any(struct protocol_decoder *d, const json *b, struct err *reterr)
{
	struct str type = json_str(JSON_GET(b, "type"));

	if (str_eq(type, STR("text")))
		return open_text(d, b);
	if (str_eq(type, STR("tool_use")))
		return open_call(d, b, reterr);
	if (str_eq(type, STR("thinking")) || str_eq(type, STR("redacted_thinking")))
		return open_reasoning(d, b);
	return open_opaque(d, b);
}

/* --- events --- */

typedef int event_fn(struct protocol_decoder *d, const json *root, struct err *reterr);

static int on_message_start(struct protocol_decoder *d, const json *root, struct err *reterr)
{
	const json *m[N_MESSAGE];

	(void)reterr;
	JSON_FIND(JSON_GET(root, "message"), message_names, m);
	return start_message(d, m);
}

static int on_block_start(struct protocol_decoder *d, const json *root, struct err *reterr)
{
	const json *b = JSON_GET(root, "content_block");
	int rc = start(d);

	if (!json_is_obj(b))
		return err_set(reterr, RC_SYNTAX, "content_block_start without a content_block");
	if (!rc)
		rc = close_block(d); /* one that was never stopped */
	if (rc)
		return rc;
	if (!json_i64(JSON_GET(root, "index"), &d->theirs))
		d->theirs = d->next;
	return open_any(d, b, reterr);
}

/* A delta of text or thinking opens its block where the server forgot to. */
static int need_block(struct protocol_decoder *d, const json *root, enum ir_block_kind kind,
		      struct err *reterr)
{
	int64_t index;
	bool given = json_i64(JSON_GET(root, "index"), &index);
	int rc;

	if (d->open && d->block == kind && (!given || index == d->theirs))
		return RC_OK;
	if ((kind != IR_BLOCK_TEXT && kind != IR_BLOCK_REASONING) || (given && index < d->theirs))
		return err_set(reterr, RC_SYNTAX,
			       "content_block_delta for a block that is not open");
	rc = start(d);
	if (!rc)
		rc = close_block(d);
	if (rc)
		return rc;
	d->theirs = given ? index : d->theirs + 1;
	return open_block(d, kind,
			  kind == IR_BLOCK_REASONING ? &(struct ir_event){ .origin = d->minted_by }
						     : NULL);
}

static int on_json_delta(struct protocol_decoder *d, const json *root, struct str piece,
			 struct err *reterr)
{
	int rc;

	if (d->open && d->block == IR_BLOCK_OPAQUE) {
		d->opaque_key = "input";
		return grow(d, piece);
	}
	rc = need_block(d, root, IR_BLOCK_TOOL_CALL, reterr);
	if (rc || piece.len == 0)
		return rc;
	d->got_text = true;
	return delta(d, IR_DELTA_ARGUMENTS, piece);
}

static int on_delta(struct protocol_decoder *d, const json *root, struct err *reterr)
{
	const json *what = JSON_GET(root, "delta");
	struct str type = json_str(JSON_GET(what, "type"));
	int rc = RC_OK;

	if (str_eq(type, STR("text_delta"))) {
		struct str text = json_str(JSON_GET(what, "text"));

		if (text.len)
			rc = need_block(d, root, IR_BLOCK_TEXT, reterr);
		return rc ? rc : text_of(d, text);
	}
	if (str_eq(type, STR("input_json_delta")))
		return on_json_delta(d, root, json_str(JSON_GET(what, "partial_json")), reterr);
	if (str_eq(type, STR("thinking_delta"))) {
		struct str text = json_str(JSON_GET(what, "thinking"));

		if (text.len)
			rc = need_block(d, root, IR_BLOCK_REASONING, reterr);
		return rc ? rc : text_of(d, text);
	}
	if (str_eq(type, STR("signature_delta"))) {
		rc = need_block(d, root, IR_BLOCK_REASONING, reterr);
		if (rc)
			return rc;
		d->signature = arena_dup(d->o.arena, json_str(JSON_GET(what, "signature")));
		return RC_OK;
	}
	if (str_eq(type, STR("citations_delta"))) {
		rc = need_block(d, root, IR_BLOCK_TEXT, reterr);
		return rc ? rc : citation(d, JSON_GET(what, "citation"));
	}
	if (str_eq(type, STR("compaction_delta")) && d->open && d->block == IR_BLOCK_OPAQUE) {
		d->opaque_key = "content";
		return grow(d, json_str(JSON_GET(what, "content")));
	}
	return RC_OK; /* a kind of delta that came after us */
}

static int on_block_stop(struct protocol_decoder *d, const json *root, struct err *reterr)
{
	int64_t index;

	(void)reterr;
	if (json_i64(JSON_GET(root, "index"), &index) && index != d->theirs)
		return RC_OK; /* the stop of a block that we had to close already */
	return close_block(d);
}

static int on_message_delta(struct protocol_decoder *d, const json *root, struct err *reterr)
{
	const json *what = JSON_GET(root, "delta");
	struct str stop = json_str(JSON_GET(what, "stop_reason")),
		   sequence = json_str(JSON_GET(what, "stop_sequence"));
	int rc = start(d);

	am_usage_read(JSON_GET(root, "usage"), &d->usage);
	if (!rc && stop.len) {
		d->stop_seen = true;
		d->stop = am_stop_parse(stop, &d->stop_known);
		d->stop_sequence = arena_dup(d->o.arena, sequence);
		if (str_present(sequence) && !str_present(d->stop_sequence))
			return no_memory(reterr);
		if (read_stop_details(d, what))
			return no_memory(reterr);
		rc = close_block(d); /* max_tokens inside a call: its stop never comes */
	}
	return rc;
}

static int on_message_stop(struct protocol_decoder *d, const json *root, struct err *reterr)
{
	(void)root;
	if (!d->started)
		return err_set(reterr, RC_SYNTAX, "message_stop without a message");
	return finish(d);
}

static int on_ping(struct protocol_decoder *d, const json *root, struct err *reterr)
{
	(void)root;
	(void)reterr;
	return ir_emit(d->o.sink, &(struct ir_event){ .kind = IR_PING });
}

static const struct {
	struct str type;
	event_fn *on;
} events[] = {
	{ STR_INIT("content_block_delta"), on_delta },
	{ STR_INIT("content_block_start"), on_block_start },
	{ STR_INIT("content_block_stop"), on_block_stop },
	{ STR_INIT("message_start"), on_message_start },
	{ STR_INIT("message_delta"), on_message_delta },
	{ STR_INIT("message_stop"), on_message_stop },
	{ STR_INIT("ping"), on_ping },
};

struct protocol_decoder *am_decoder_new(const struct decoder_options *o)
{
	struct protocol_decoder *d = arena_alloc(o->arena, sizeof(*d));

	if (!d)
		return NULL;
	d->o = *o;
	d->theirs = -1;
	d->usage = IR_USAGE_NONE;
	d->minted_by = minter_origin(o->arena, AM_NAME, o->minter);
	return d->minted_by ? d : NULL;
}

int am_decode_event(struct protocol_decoder *d, const struct frame *ev, struct err *reterr)
{
	const json *root;
	struct str type;

	if (d->ended || ev->comment || !ev->data.len)
		return RC_OK;
	if (str_eq(str_trim(ev->data), STR("[DONE]"))) /* servers that speak OpenAI too (trap 19) */
		return RC_OK;
	root = json_parse(d->o.scratch, ev->data, reterr);
	if (!root)
		return reterr ? (int)reterr->code : RC_SYNTAX;
	type = json_str(JSON_GET(root, "type"));
	if (!str_present(type))
		type = ev->name;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (str_eq(events[i].type, type))
			return events[i].on(d, root, reterr);
	}
	if (am_error_is(root) || str_eq(ev->name, STR("error")))
		return fail(d, root);
	if (!str_present(type))
		return err_set(reterr, RC_SYNTAX,
			       "an event without a type: this is no Anthropic stream");
	return RC_OK; /* an event that came after us */
}

int am_decode_end(struct protocol_decoder *d, struct err *reterr)
{
	if (d->ended)
		return RC_OK;
	if (d->stop_seen)
		return finish(d);
	return err_set(
		reterr, RC_CLOSED,
		"the provider's answer was cut: neither message_stop nor a stop_reason came");
}

int am_decode_body(const struct decoder_options *o, struct str body, struct err *reterr)
{
	struct protocol_decoder *d = am_decoder_new(o);
	const json *root = json_parse(o->scratch, body, reterr), *m[N_MESSAGE];
	struct json_iter it;
	int rc;

	if (!d)
		return no_memory(reterr);
	if (!root)
		return reterr ? (int)reterr->code : RC_SYNTAX;
	JSON_FIND(root, message_names, m);
	if ((m[ERROR] || str_eq(json_str(m[TYPE]), STR("error"))) && am_error_is(root))
		return fail(d, root);
	if (!json_is_arr(m[CONTENT]))
		return err_set(
			reterr, RC_SYNTAX,
			"the provider's answer is no Anthropic message: it has no content list");
	rc = start_message(d, m);
	it = json_iter(m[CONTENT]);
	while (!rc && json_next(&it)) {
		rc = open_any(d, it.val, reterr);
		if (!rc)
			rc = close_block(d);
	}
	if (rc)
		return rc;
	d->stop = am_stop_parse(json_str(m[STOP_REASON]), &d->stop_known);
	d->stop_sequence = json_str(m[STOP_SEQUENCE]);
	return read_stop_details(d, root) ? no_memory(reterr) : finish(d);
}
