/* protocols/ollama/response_encode.c - events as Ollama's lines, and a whole answer as its one body.
 *
 * A line is a prefix written once, the delta's own few bytes and a suffix. A call goes out whole, for its arguments are
 * an object here and no text: they are held until the call is closed. */
#include "protocols/ollama/ollama.h"

#include "json/scan.h"
#include "protocols/date.h"

enum { HEAD_MAX = 1 << 20 };

struct protocol_encoder {
	enum ol_form form;
	struct arena *arena;
	struct str
		head; /* `{"model":...,"message":{"role":"assistant","content":"` or `..."response":"` */
	struct str shut; /* what ends the message behind a member: `}` or nothing */
	struct ir_usage usage;
	struct str call_id, call_name, held; /* the open call; its arguments so far */
	size_t held_cap;
	unsigned n_calls;
	const char *origin; /* of the open reasoning block, where it is another vendor's */
	bool has_text;      /* it has some */
	struct str proof;   /* that waits for the block it belongs to; absent: none */
};

static void put_envelope(struct jw *w, const struct encoder_options *o)
{
	jw_kstr(w, "model", o->model);
	jw_key(w, "created_at");
	date_put(w, o->created_s);
}

struct protocol_encoder *ol_encoder_new(enum ol_form form, const struct encoder_options *o)
{
	struct protocol_encoder *e = arena_alloc(o->arena, sizeof(*e));
	struct buf b;
	struct jw w = jw_on(&b);

	if (!e)
		return NULL;
	e->form = form;
	e->arena = o->arena;
	e->usage = IR_USAGE_NONE;
	e->shut = form == OL_CHAT ? STR("}") : STR("");
	buf_init(&b, HEAD_MAX);
	jw_obj(&w);
	put_envelope(&w, o);
	buf_puts(&b, form == OL_CHAT ? ",\"message\":{\"role\":\"assistant\",\"content\":\""
				     : ",\"response\":\"");
	e->head = buf_ok(&b) ? arena_dup(o->arena, buf_str(&b)) : STR_NONE;
	buf_done(&b);
	return e->head.ptr ? e : NULL;
}

static void put_end_of_line(struct buf *out)
{
	buf_put(out, STR(",\"done\":false}\n"));
}

/* `before` leads from the still open string of words to that of `text`. */
static void put_text_line(struct protocol_encoder *e, struct buf *out, struct str before,
			  struct str text, struct str logprobs)
{
	buf_put(out, e->head);
	buf_put(out, before);
	json_escape(out, text);
	buf_putc(out, '"');
	buf_put(out, e->shut);
	if (str_present(logprobs)) {
		buf_puts(out, ",\"logprobs\":");
		buf_put(out, logprobs);
	}
	put_end_of_line(out);
}

/* --- calls --- */

/* Traps 16 and 59: none are {}; what is no object, for a model wrote nonsense or was cut, is the only argument. */
static void put_arguments(struct jw *w, struct str text)
{
	text = str_trim(text);
	jw_key(w, "arguments");
	if (text.len == 0 || json_scan(text, NULL, 0, NULL) == RC_OK) {
		jw_raw_line(w, text.len ? text : STR("{}"));
		return;
	}
	jw_obj(w);
	jw_kstr(w, "input", text);
	jw_end_obj(w);
}

static void put_call(struct jw *w, unsigned index, struct str id, struct str name,
		     struct str arguments, struct str proof)
{
	jw_obj(w);
	jw_kstr(w, "id", id);
	if (str_present(proof))
		jw_kstr(w, "signature", proof);
	jw_key(w, "function");
	jw_obj(w);
	jw_ki64(w, "index", index);
	jw_kstr(w, "name", name);
	put_arguments(w, arguments);
	jw_end_obj(w);
	jw_end_obj(w);
}

static int open_call(struct protocol_encoder *e, const struct ir_event *ev)
{
	e->call_id = arena_dup(e->arena, ev->id);
	e->call_name = arena_dup(e->arena, ev->name);
	e->held.len = 0;
	return e->call_id.ptr && e->call_name.ptr ? RC_OK : RC_NOMEM;
}

static int hold(struct protocol_encoder *e, struct str text)
{
	size_t need = e->held.len + text.len, cap = e->held_cap ? e->held_cap : 256;
	char *to = (char *)e->held.ptr;

	if (!text.len)
		return RC_OK;
	while (cap < need)
		cap *= 2;
	if (cap != e->held_cap) {
		to = arena_grow(e->arena, to, e->held_cap, cap);
		if (!to)
			return RC_NOMEM;
		e->held_cap = cap;
	}
	memcpy(to + e->held.len, text.ptr, text.len);
	e->held = (struct str){ to, need };
	return RC_OK;
}

static void close_call(struct protocol_encoder *e, struct buf *out)
{
	struct jw w = jw_on(out);

	buf_put(out, e->head);
	buf_puts(out, "\",\"tool_calls\":");
	jw_arr(&w);
	put_call(&w, e->n_calls++, e->call_id, e->call_name, e->held, e->proof);
	e->proof = STR_NONE;
	jw_end_arr(&w);
	buf_put(out, e->shut);
	put_end_of_line(out);
}

/* --- proofs --- */

static const char *foreign(const char *origin)
{
	return origin && !ol_minted(origin) ? origin : NULL;
}

/* A proof that belongs to what the message says, not to a call. */
static void put_proof(struct protocol_encoder *e, struct buf *out)
{
	if (!str_present(e->proof))
		return;
	put_text_line(e, out, STR("\",\"signature\":\""), e->proof, STR_NONE);
	e->proof = STR_NONE;
}

static int take_proof(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	if (!e->origin || !ev->text.len)
		return RC_OK;
	e->proof = ol_proof_pack(e->arena, e->origin, ev->text, ev->delta == IR_DELTA_REDACTED);
	if (!e->proof.ptr)
		return RC_NOMEM;
	if (e->has_text) /* else it may be that of the block behind */
		put_proof(e, out);
	return RC_OK;
}

static int put_open(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	if (ev->block == IR_BLOCK_TOOL_CALL)
		return open_call(e, ev);
	put_proof(e, out);
	e->origin = ev->block == IR_BLOCK_REASONING ? foreign(ev->origin) : NULL;
	e->has_text = false;
	return RC_OK;
}

/* --- events --- */

static int put_delta(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	switch (ev->delta) {
	case IR_DELTA_TEXT:
		if (ev->text.len == 0)
			return RC_OK;
		e->has_text = true;
		if (ev->block == IR_BLOCK_REASONING)
			put_text_line(e, out, STR("\",\"thinking\":\""), ev->text, STR_NONE);
		else /* a refusal is what the model said */
			put_text_line(e, out, STR(""), ev->text, ev->logprobs);
		return RC_OK;
	case IR_DELTA_ARGUMENTS:
		return hold(e, ev->text);
	case IR_DELTA_SIGNATURE:
	case IR_DELTA_REDACTED:
		return take_proof(e, ev, out);
	case IR_DELTA_CITATION:
	case IR_DELTA_RAW: /* no place for either */
		return RC_OK;
	}
	return RC_INVALID;
}

static void put_last(struct protocol_encoder *e, enum ir_stop stop, struct buf *out)
{
	struct jw w = jw_inside(out);

	buf_put(out, e->head);
	buf_putc(out, '"');
	buf_put(out, e->shut);
	jw_kbool(&w, "done", true);
	jw_kcstr(&w, "done_reason", ol_stop_name(stop));
	ol_usage_write(&w, &e->usage);
	buf_put(out, STR("}\n"));
}

int ol_encode_event(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	int rc = RC_OK;

	switch (ev->kind) {
	case IR_START:
	case IR_USAGE:
		ir_usage_merge(&e->usage, &ev->usage);
		break;
	case IR_OPEN:
		rc = put_open(e, ev, out);
		break;
	case IR_DELTA:
		rc = put_delta(e, ev, out);
		break;
	case IR_CLOSE:
		if (ev->block == IR_BLOCK_TOOL_CALL)
			close_call(e, out);
		break;
	case IR_FINISH:
		put_proof(e, out);
		put_last(e, ev->stop, out);
		break;
	case IR_ERROR:
		ol_encode_stream_error(ev->error, STR_NONE, FRAMING_NDJSON, true, out);
		break;
	case IR_PING: /* trap 21: not known here */
		break;
	}
	if (rc)
		return rc;
	return buf_ok(out) ? RC_OK : RC_NOMEM;
}

/* --- the whole answer --- */

static bool says(const struct ir_block *b, bool thoughts)
{
	if (thoughts)
		return b->kind == IR_BLOCK_REASONING && b->text.len;
	return b->kind == IR_BLOCK_TEXT || b->kind == IR_BLOCK_REFUSAL;
}

static void put_joined(struct jw *w, const char *key, const struct ir_response *r, bool thoughts)
{
	jw_key(w, key);
	jw_raw(w, STR("\""));
	for (unsigned i = 0; i < r->n_blocks; i++) {
		if (says(&r->blocks[i], thoughts))
			json_escape(w->out, r->blocks[i].text);
	}
	buf_putc(w->out, '"');
}

/* The proof in block `i`, packed; absent when it holds none of another vendor's. */
static struct str proof_in(struct arena *a, const struct ir_response *r, unsigned i)
{
	const struct ir_block *b = &r->blocks[i];
	bool redacted = b->redacted.len > 0;

	if (b->kind != IR_BLOCK_REASONING || !foreign(b->origin) ||
	    (!redacted && !b->signature.len))
		return STR_NONE;
	return ol_proof_pack(a, b->origin, redacted ? b->redacted : b->signature, redacted);
}

static bool is_call(const struct ir_response *r, unsigned i)
{
	return i < r->n_blocks && r->blocks[i].kind == IR_BLOCK_TOOL_CALL;
}

/* As in a stream: without text of its own a proof is that of the call behind it. The last one counts. */
static void put_message_proof(struct jw *w, struct arena *a, const struct ir_response *r)
{
	struct str last = STR_NONE;

	for (unsigned i = 0; i < r->n_blocks; i++) {
		struct str proof = proof_in(a, r, i);

		if (str_present(proof) && (r->blocks[i].text.len || !is_call(r, i + 1)))
			last = proof;
	}
	if (str_present(last))
		jw_kstr(w, "signature", last);
}

static struct str call_proof(struct arena *a, const struct ir_response *r, unsigned call)
{
	return call > 0 && !r->blocks[call - 1].text.len ? proof_in(a, r, call - 1) : STR_NONE;
}

static void put_words(struct jw *w, enum ol_form form, struct arena *a, const struct ir_response *r)
{
	unsigned n = 0;
	bool thoughts = false;

	for (unsigned i = 0; i < r->n_blocks; i++)
		thoughts = thoughts || says(&r->blocks[i], true);
	put_joined(w, form == OL_CHAT ? "content" : "response", r, false);
	if (thoughts)
		put_joined(w, "thinking", r, true);
	put_message_proof(w, a, r);
	for (unsigned i = 0; i < r->n_blocks; i++) {
		const struct ir_block *b = &r->blocks[i];

		if (b->kind != IR_BLOCK_TOOL_CALL)
			continue;
		if (n == 0) {
			jw_key(w, "tool_calls");
			jw_arr(w);
		}
		put_call(w, n++, b->id, b->name, b->text, call_proof(a, r, i));
	}
	if (n)
		jw_end_arr(w);
}

/* Each text block has a list of its own: they are one here. */
static void put_logprobs(struct jw *w, const struct ir_response *r)
{
	bool open = false;

	for (unsigned i = 0; i < r->n_blocks; i++) {
		struct str list = str_trim(r->blocks[i].logprobs);

		if (list.len <= 2) /* "[]" */
			continue;
		if (!open) {
			jw_key(w, "logprobs");
			jw_raw(w, STR("["));
		} else {
			buf_putc(w->out, ',');
		}
		open = true;
		buf_put(w->out, (struct str){ list.ptr + 1, list.len - 2 });
	}
	if (open)
		buf_putc(w->out, ']');
}

int ol_encode_response(enum ol_form form, const struct encoder_options *o,
		       const struct ir_response *r, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	put_envelope(&w, o);
	if (form == OL_CHAT) {
		jw_key(&w, "message");
		jw_obj(&w);
		jw_kcstr(&w, "role", "assistant");
	}
	put_words(&w, form, o->arena, r);
	if (form == OL_CHAT)
		jw_end_obj(&w);
	put_logprobs(&w, r);
	jw_kbool(&w, "done", true);
	jw_kcstr(&w, "done_reason", ol_stop_name(r->stop));
	ol_usage_write(&w, &r->usage);
	jw_end_obj(&w);
	return buf_ok(out) ? RC_OK : RC_NOMEM;
}
