/* protocols/gemini/response_decode.c - an upstream's answer, streamed or whole, into events.
 *
 * The one hard thing: the vendor streams whole answers, each with the parts that are new. A text goes on over chunks, so its block
 * stays open; a call comes whole and is opened and closed at once, each with its own index (trap 17). A signature may
 * stand on a text, on a call or on an empty part behind all of them. */
#include <string.h>

#include "protocols/gemini/gemini.h"
#include "protocols/media.h"

struct protocol_decoder {
	struct decoder_options o;
	bool started, ended; /* START, and FINISH or ERROR, were emitted */
	bool open;           /* a block is open towards the sink */
	enum ir_block_kind block;
	unsigned next;       /* the next block's index */
	unsigned calls;      /* seen so far */
	bool content;        /* some block was emitted */
	struct str proof;    /* of an empty part: a block of its own, when the open one is closed */
	struct str logprobs; /* for the next text of this chunk */
	struct str answer_id; /* for ids of calls that bear none */
	struct {
		char *ptr;
		size_t len, cap;
	} text; /* of the answer so far: citations count its bytes */
	struct ir_usage usage;
	bool stop_seen;
	struct str reason; /* the vendor's word for the stop */
	struct str reason_text;
	bool blocked;
};

static int no_memory(struct err *reterr)
{
	return err_set(reterr, RC_NOMEM, "out of memory");
}

/* --- emitting --- */

/* What is read of a chunk or a whole answer. */
enum { CANDIDATES, FEEDBACK, USAGE, MODEL, ID, N_CHUNK };
static const struct str chunk_names[N_CHUNK] = {
	[CANDIDATES] = STR_INIT("candidates"), [FEEDBACK] = STR_INIT("promptFeedback"),
	[USAGE] = STR_INIT("usageMetadata"),   [MODEL] = STR_INIT("modelVersion"),
	[ID] = STR_INIT("responseId"),
};

static int start(struct protocol_decoder *d, const json *const chunk[N_CHUNK])
{
	struct ir_event ev = { .kind = IR_START };

	gm_usage_read(chunk[USAGE], &d->usage);
	if (d->started)
		return RC_OK;
	d->started = true;
	ev.id = json_str(chunk[ID]);
	ev.name = json_str(chunk[MODEL]);
	ev.usage = d->usage;
	d->answer_id = arena_dup(d->o.arena, str_present(ev.id) ? ev.id : STR(""));
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

	if (kind == IR_DELTA_TEXT && d->block == IR_BLOCK_TEXT) {
		ev.logprobs = d->logprobs;
		d->logprobs = STR_NONE;
	}
	return ir_emit(d->o.sink, &ev);
}

static int open_raw(struct protocol_decoder *d, enum ir_block_kind kind,
		    const struct ir_event *with)
{
	struct ir_event ev = with ? *with : (struct ir_event){ 0 };

	ev.kind = IR_OPEN;
	ev.block = d->block = kind;
	ev.index = d->next++;
	if (kind == IR_BLOCK_REASONING || kind == IR_BLOCK_OPAQUE)
		ev.origin = GM_NAME;
	d->open = d->content = true;
	return ir_emit(d->o.sink, &ev);
}

static int close_raw(struct protocol_decoder *d)
{
	struct ir_event ev = { .kind = IR_CLOSE, .block = d->block, .index = d->next - 1 };

	if (!d->open)
		return RC_OK;
	d->open = false;
	return ir_emit(d->o.sink, &ev);
}

/* A proof without text: that of the block behind it. */
static int emit_proof(struct protocol_decoder *d, struct str proof)
{
	int rc = close_raw(d);

	if (!proof.len || rc)
		return rc;
	rc = open_raw(d, IR_BLOCK_REASONING, NULL);
	if (!rc)
		rc = delta(d, IR_DELTA_SIGNATURE, proof);
	return rc ? rc : close_raw(d);
}

/* Closes what is open, and what was held back behind it comes. */
static int settle(struct protocol_decoder *d)
{
	struct str proof = d->proof;

	d->proof = STR_NONE;
	return emit_proof(d, proof);
}

static int open_block(struct protocol_decoder *d, enum ir_block_kind kind,
		      const struct ir_event *with)
{
	int rc = settle(d);

	return rc ? rc : open_raw(d, kind, with);
}

/* --- parts --- */

static int keep_text(struct protocol_decoder *d, struct str more)
{
	if (more.len > d->text.cap - d->text.len) {
		size_t cap = 2 * d->text.cap + more.len + 256;
		char *p = arena_grow(d->o.arena, d->text.ptr, d->text.cap, cap);

		if (!p)
			return RC_NOMEM;
		d->text.ptr = p;
		d->text.cap = cap;
	}
	if (more.len)
		memcpy(d->text.ptr + d->text.len, more.ptr, more.len);
	d->text.len += more.len;
	return RC_OK;
}

static int on_thought(struct protocol_decoder *d, struct str text, struct str signature)
{
	int rc = RC_OK;

	if (!text.len && !signature.len)
		return RC_OK;
	if (!d->open || d->block != IR_BLOCK_REASONING)
		rc = open_block(d, IR_BLOCK_REASONING, NULL);
	if (!rc && text.len)
		rc = delta(d, IR_DELTA_TEXT, text);
	if (!rc && signature.len)
		rc = delta(d, IR_DELTA_SIGNATURE, signature);
	return !rc && signature.len ? close_raw(d) : rc;
}

static int on_text(struct protocol_decoder *d, struct str text, struct str signature)
{
	int rc = RC_OK;

	if (!text.len) { /* its signature waits: what cites the text may still come */
		if (!signature.len)
			return RC_OK;
		if (d->proof.len)
			rc = settle(d);
		d->proof = arena_dup(d->o.arena, signature);
		return !rc && !str_present(d->proof) ? RC_NOMEM : rc;
	}
	if (signature.len) {
		rc = settle(d);
		if (!rc)
			rc = emit_proof(d, signature);
	}
	if (!rc && (!d->open || d->block != IR_BLOCK_TEXT || d->proof.len))
		rc = open_block(d, IR_BLOCK_TEXT, NULL);
	if (!rc)
		rc = keep_text(d, text);
	return rc ? rc : delta(d, IR_DELTA_TEXT, text);
}

/* Unlike any other turn's, and the same each time (trap 62). */
static struct str make_id(struct protocol_decoder *d)
{
	if (d->answer_id.len)
		return arena_printf(d->o.scratch, "call_%.*s_%u", STR_ARG(d->answer_id), d->calls);
	return arena_printf(d->o.scratch, "call_%u_%u", d->o.request ? d->o.request->n_messages : 0,
			    d->calls);
}

static int on_call(struct protocol_decoder *d, const json *call, struct str signature,
		   struct err *reterr)
{
	const json *args = gm_get(call, "args");
	struct str text = args ? json_text(d->o.scratch, args) : STR("{}");
	struct ir_event ev = { .id = json_str(gm_get(call, "id")),
			       .name = json_str(gm_get(call, "name")) };
	int rc;

	if (!ev.name.len)
		return err_set(reterr, RC_SYNTAX, "a functionCall without a name");
	/* The vendor cannot be told to call one at a time (trap 77). */
	if (d->calls && d->o.request && d->o.request->choice.parallel == IR_FALSE)
		return RC_OK;
	ev.name = gm_tool_name_restore(d->o.request, ev.name);
	if (!ev.id.len)
		ev.id = make_id(d);
	if (!str_present(ev.id) || !str_present(text))
		return no_memory(reterr);
	d->calls++;
	rc = settle(d);
	if (!rc)
		rc = emit_proof(d, signature);
	if (!rc)
		rc = open_raw(d, IR_BLOCK_TOOL_CALL, &ev);
	if (!rc)
		rc = delta(d, IR_DELTA_ARGUMENTS, text);
	return rc ? rc : close_raw(d);
}

/* What else the model made than words. A picture is one for others too, unless it is only a thought. */
static int read_media(struct protocol_decoder *d, const json *part, struct ir_event *ev)
{
	const json *data = gm_get(part, "inlineData"), *file = gm_get(part, "fileData");
	struct str mime = json_str(gm_get(data ? data : file, "mimeType"));

	if (!data && !file)
		return RC_OK;
	ev->name = media_lost(mime);
	if (!str_istarts(mime, STR("image/")) || json_bool(gm_get(part, "thought"), false))
		return RC_OK;
	ev->picture = json_str(gm_get(file, "fileUri"));
	if (!data)
		return RC_OK;
	ev->picture = media_data_url(d->o.scratch, mime, json_str(gm_get(data, "data")));
	return str_present(ev->picture) ? RC_OK : RC_NOMEM;
}

static int on_opaque(struct protocol_decoder *d, const json *part, struct str signature)
{
	struct ir_event ev = { .kind = IR_DELTA, .block = IR_BLOCK_OPAQUE, .delta = IR_DELTA_RAW };
	int rc = settle(d);

	if (!rc)
		rc = emit_proof(d, signature);
	if (!rc)
		rc = open_raw(d, IR_BLOCK_OPAQUE, NULL);
	ev.index = d->next - 1;
	ev.text = json_text(d->o.scratch, part);
	if (!rc && !str_present(ev.text))
		rc = RC_NOMEM;
	if (!rc)
		rc = read_media(d, part, &ev);
	if (!rc)
		rc = ir_emit(d->o.sink, &ev);
	return rc ? rc : close_raw(d);
}

static int on_part(struct protocol_decoder *d, const json *part, struct err *reterr)
{
	enum { TEXT, THOUGHT, SIGNATURE, CALL, N_PART };
	static const struct str names[N_PART] = {
		[TEXT] = STR_INIT("text"),
		[THOUGHT] = STR_INIT("thought"),
		[SIGNATURE] = STR_INIT("thoughtSignature"),
		[CALL] = STR_INIT("functionCall"),
	};
	const json *m[N_PART];
	struct str text, signature;

	GM_FIND(part, names, m);
	text = json_str(m[TEXT]);
	signature = json_str(m[SIGNATURE]);
	if (str_present(text) && json_bool(m[THOUGHT], false))
		return on_thought(d, text, signature);
	if (str_present(text))
		return on_text(d, text, signature);
	if (m[CALL])
		return on_call(d, m[CALL], signature, reterr);
	if (json_len(part) == 1 && signature.len)
		return on_text(d, STR(""), signature);
	return json_len(part) ? on_opaque(d, part, signature) : RC_OK;
}

/* --- candidates --- */

static int cite(void *user, const struct ir_citation *c)
{
	struct protocol_decoder *d = user;
	struct ir_event ev = {
		.kind = IR_DELTA,
		.block = IR_BLOCK_TEXT,
		.delta = IR_DELTA_CITATION,
		.citation = c,
	};
	int rc = RC_OK;

	if (!d->open || d->block != IR_BLOCK_TEXT)
		rc = open_block(d, IR_BLOCK_TEXT, NULL);
	ev.index = d->next - 1;
	return rc ? rc : ir_emit(d->o.sink, &ev);
}

/* The vendor's word, also where enums are asked for as numbers. */
static struct str reason_of(const json *v)
{
	return json_is_num(v) ? json_num(v) : json_str(v);
}

static int on_candidate(struct protocol_decoder *d, const json *c, struct err *reterr)
{
	enum { CONTENT, REASON, MESSAGE, QUOTED, GROUNDING, LOGPROBS, N_CANDIDATE };
	static const struct str names[N_CANDIDATE] = {
		[CONTENT] = STR_INIT("content"),
		[REASON] = STR_INIT("finishReason"),
		[MESSAGE] = STR_INIT("finishMessage"),
		[QUOTED] = STR_INIT("citationMetadata"),
		[GROUNDING] = STR_INIT("groundingMetadata"),
		[LOGPROBS] = STR_INIT("logprobsResult"),
	};
	const json *m[N_CANDIDATE];
	struct json_iter it;
	struct str reason, answer;
	int rc = RC_OK;

	GM_FIND(c, names, m);
	it = json_iter(gm_get(m[CONTENT], "parts"));
	reason = reason_of(m[REASON]);
	if (m[LOGPROBS])
		d->logprobs = gm_logprobs_read(d->o.scratch, m[LOGPROBS]);
	while (!rc && json_next(&it))
		rc = on_part(d, it.val, reterr);
	d->logprobs = STR_NONE;
	answer = (struct str){ d->text.ptr, d->text.len };
	if (!rc && (m[GROUNDING] || m[QUOTED]))
		rc = gm_each_citation(d->o.scratch, m[GROUNDING], m[QUOTED], answer, cite, d);
	if (rc || !reason.len || str_starts(reason, STR("FINISH_REASON_UNSPEC")))
		return rc;
	d->stop_seen = true;
	d->reason = arena_dup(d->o.arena, reason);
	d->reason_text = arena_dup(d->o.arena, json_str(m[MESSAGE]));
	return str_present(d->reason) ? RC_OK : no_memory(reterr);
}

/* That of the decoder's number; NULL. One that does not say its own has that of its place. */
static const json *own_candidate(const struct protocol_decoder *d, const json *list)
{
	struct json_iter it = json_iter(list);

	for (int64_t at = 0; json_next(&it); at++) {
		int64_t index;

		if (!json_i64(gm_get(it.val, "index"), &index))
			index = at;
		if (index == d->o.choice)
			return it.val;
	}
	return NULL;
}

/* The prompt was refused: there are no candidates (trap 104). */
static void on_feedback(struct protocol_decoder *d, const json *feedback)
{
	struct str reason = reason_of(gm_get(feedback, "blockReason"));

	if (!reason.len || str_starts(reason, STR("BLOCK_REASON_UNSPEC")))
		return;
	d->stop_seen = d->blocked = true;
	d->reason = arena_dup(d->o.arena, reason);
	d->reason_text = arena_dup(d->o.arena, json_str(gm_get(feedback, "blockReasonMessage")));
}

/* --- the end --- */

static int fail(struct protocol_decoder *d, const struct ir_error *e)
{
	struct ir_event ev = { .kind = IR_ERROR, .error = e };

	d->ended = true;
	return ir_emit(d->o.sink, &ev);
}

static int fail_read(struct protocol_decoder *d, const json *root)
{
	struct ir_error e;

	gm_error_read(d->o.scratch, root, 0, &e);
	return fail(d, &e);
}

/* A success that is none: the model's call was broken, or nothing came (trap 103). */
static int fail_reason(struct protocol_decoder *d)
{
	struct ir_error e = { .kind = IR_ERR_UPSTREAM, .retry_after_ms = -1, .code = d->reason };

	e.message = arena_printf(d->o.scratch, "The model gave no usable answer: %.*s%s%.*s",
				 STR_ARG(d->reason), d->reason_text.len ? ": " : "",
				 STR_ARG(d->reason_text));
	return fail(d, &e);
}

/* Why the prompt was refused, where the vendor says it. */
static int emit_refusal(struct protocol_decoder *d)
{
	int rc;

	if (!d->reason_text.len)
		return RC_OK;
	rc = open_raw(d, IR_BLOCK_REFUSAL, NULL);
	if (!rc)
		rc = delta(d, IR_DELTA_TEXT, d->reason_text);
	return rc ? rc : close_raw(d);
}

static int finish(struct protocol_decoder *d)
{
	struct ir_event usage = { .kind = IR_USAGE, .usage = d->usage };
	struct ir_event ev = { .kind = IR_FINISH };
	enum gm_ending ending = gm_stop_parse(d->reason, &ev.stop);
	int rc = settle(d);

	if (rc)
		return rc;
	if (d->blocked) {
		ev.stop = IR_STOP_REFUSAL;
		rc = emit_refusal(d);
		if (rc)
			return rc;
	} else if (ending == GM_FAILS || (ending == GM_UNSAID && !d->content)) {
		return fail_reason(d);
	} else if (ev.stop == IR_STOP_END && d->calls) {
		ev.stop = IR_STOP_TOOL_CALLS; /* trap 18 */
	}
	rc = ir_emit(d->o.sink, &usage);
	d->ended = true;
	return rc ? rc : ir_emit(d->o.sink, &ev);
}

/* --- chunks and bodies --- */

static int on_chunk(struct protocol_decoder *d, const json *root, struct err *reterr)
{
	const json *m[N_CHUNK], *own;
	int rc;

	GM_FIND(root, chunk_names, m);
	own = own_candidate(d, m[CANDIDATES]);
	if (gm_error_is(root))
		return fail_read(d, root);
	if (!m[CANDIDATES] && !m[FEEDBACK] && !m[USAGE] && !m[MODEL])
		return err_set(reterr, RC_SYNTAX,
			       "the provider's answer is no Gemini answer: it has no candidates");
	if (!own && !d->started && d->o.choice > 0)
		return RC_OK; /* not begun, or never to come */
	rc = start(d, m);
	if (!rc && own)
		rc = on_candidate(d, own, reterr);
	if (!rc && m[FEEDBACK])
		on_feedback(d, m[FEEDBACK]);
	return rc;
}

struct protocol_decoder *gm_decoder_new(const struct decoder_options *o)
{
	struct protocol_decoder *d = arena_alloc(o->arena, sizeof(*d));

	if (!d)
		return NULL;
	d->o = *o;
	d->usage = IR_USAGE_NONE;
	return d;
}

int gm_decode_event(struct protocol_decoder *d, const struct frame *ev, struct err *reterr)
{
	const json *root;
	int rc;

	if (d->ended || ev->comment || !ev->data.len)
		return RC_OK;
	if (str_eq(str_trim(ev->data), STR("[DONE]"))) /* servers that speak OpenAI too (trap 19) */
		return RC_OK;
	rc = gm_parse(d->o.scratch, ev->data, &root, reterr);
	return rc ? rc : on_chunk(d, root, reterr);
}

int gm_decode_end(struct protocol_decoder *d, struct err *reterr)
{
	if (d->ended)
		return RC_OK;
	if (d->stop_seen)
		return finish(d);
	return err_set(reterr, RC_CLOSED, "the provider's answer was cut: no finishReason came");
}

/* A body may also be a whole stream in its list form: what a server sends that was not asked for SSE. */
int gm_decode_body(const struct decoder_options *o, struct str body, struct err *reterr)
{
	struct protocol_decoder *d = gm_decoder_new(o);
	const json *root;
	struct json_iter it;
	int rc = d ? gm_parse(o->scratch, body, &root, reterr) : no_memory(reterr);

	if (rc)
		return rc;
	if (!json_is_arr(root)) {
		rc = on_chunk(d, root, reterr);
	} else {
		it = json_iter(root);
		while (!rc && !d->ended && json_next(&it))
			rc = on_chunk(d, it.val, reterr);
	}
	if (rc || d->ended || (!d->started && o->choice > 0))
		return rc;
	/* A whole body cannot be cut; one that does not say why it stopped did because it was done. */
	if (!d->stop_seen)
		d->reason = STR("STOP");
	if (!d->started)
		return err_set(reterr, RC_SYNTAX, "the provider's answer is an empty list");
	return finish(d);
}
