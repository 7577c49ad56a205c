/* protocols/gemini/response_encode.c - events as a stream of answers, and a whole answer as one.
 *
 * The one hard thing: a call must leave whole, so its arguments are held until it closes; and each chunk is an answer of its own, so
 * what stays the same (role, model, id) stands in every one. The stream is SSE without event names, or a list. */
#include "protocols/gemini/gemini.h"

#include "json/scan.h"
#include "protocols/media.h"

struct source {
	struct str url, title;
	int64_t start, end; /* bytes; -1 unknown */
};

struct protocol_encoder {
	struct encoder_options o;
	struct protocol_encoder
		*lead;    /* of the first of several answers: it knows whether the list has begun */
	struct str index; /* `,"index":0` */
	struct str tail;  /* `,"modelVersion":...,"responseId":...}` */
	bool started, ended;
	bool ascii; /* of the text so far: characters are bytes */
	struct ir_usage usage;
	struct str proof;    /* of a block that follows */
	struct str id, name; /* of the open call */
	const char *origin;  /* of the open reasoning */
	bool had_text;       /* the open reasoning */
	struct {
		char *ptr;
		size_t len, cap;
	} held; /* arguments of the open call */
	struct source *sources;
	unsigned n_sources, cap_sources;
};

enum { TAIL_MAX = 1 << 20 };

/* --- parts, for streams and bodies --- */

static void put_signature(struct jw *w, struct str proof)
{
	if (proof.len)
		jw_kstr(w, "thoughtSignature", proof);
}

static void put_text(struct jw *w, struct str text, bool thought, struct str proof)
{
	jw_obj(w);
	jw_kstr(w, "text", text);
	if (thought)
		jw_kbool(w, "thought", true);
	put_signature(w, proof);
	jw_end_obj(w);
}

/* What another protocol's model drew. */
static void put_picture(struct jw *w, struct str url, struct str proof)
{
	struct ir_media m = { .source = IR_MEDIA_URL };
	bool data;

	media_read_url(url, &m);
	data = m.source == IR_MEDIA_BASE64;
	if (!data)
		m.mime = gm_mime_of_url(url);
	jw_obj(w);
	jw_key(w, data ? "inlineData" : "fileData");
	jw_obj(w);
	jw_kstr(w, "mimeType", str_starts(m.mime, STR("image/")) ? m.mime : STR("image/png"));
	jw_kstr(w, data ? "data" : "fileUri", m.data);
	jw_end_obj(w);
	put_signature(w, proof);
	jw_end_obj(w);
}

/* A part of the vendor's own bears its proof itself. */
static bool bears_proof(struct arena *a, struct str raw)
{
	return gm_get(json_parse(a, raw, NULL), "thoughtSignature") != NULL;
}

/* `args` is an object whatever the model wrote. */
static void put_call(struct jw *w, struct str id, struct str name, struct str args,
		     struct str proof)
{
	jw_obj(w);
	jw_key(w, "functionCall");
	jw_obj(w);
	if (id.len)
		jw_kstr(w, "id", id);
	jw_kstr(w, "name", str_present(name) ? name : STR(""));
	jw_key(w, "args");
	jw_raw_line(w, json_scan(args, NULL, 0, NULL) == RC_OK ? args : STR("{}"));
	jw_end_obj(w);
	put_signature(w, proof);
	jw_end_obj(w);
}

/* Pages behind the answer, and which bytes of it they are behind where that is known. */
static void put_grounding(struct jw *w, const struct source *s, unsigned n)
{
	jw_key(w, "groundingMetadata");
	jw_obj(w);
	jw_key(w, "groundingChunks");
	jw_arr(w);
	for (unsigned i = 0; i < n; i++) {
		jw_obj(w);
		jw_key(w, "web");
		jw_obj(w);
		jw_kstr(w, "uri", s[i].url);
		jw_kstr(w, "title", str_present(s[i].title) ? s[i].title : STR(""));
		jw_end_obj(w);
		jw_end_obj(w);
	}
	jw_end_arr(w);
	jw_key(w, "groundingSupports");
	jw_arr(w);
	for (unsigned i = 0; i < n; i++) {
		if (s[i].start < 0 || s[i].end <= s[i].start)
			continue;
		jw_obj(w);
		jw_key(w, "segment");
		jw_obj(w);
		jw_ki64(w, "startIndex", s[i].start);
		jw_ki64(w, "endIndex", s[i].end);
		jw_end_obj(w);
		jw_key(w, "groundingChunkIndices");
		jw_arr(w);
		jw_i64(w, i);
		jw_end_arr(w);
		jw_end_obj(w);
	}
	jw_end_arr(w);
	jw_end_obj(w);
}

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] >= 0x80)
			return false;
	return true;
}

static struct source source_of(const struct ir_citation *c, bool ascii)
{
	return (struct source){ .url = c->url,
				.title = c->title,
				.start = ascii ? c->start : -1,
				.end = ascii ? c->end : -1 };
}

/* --- the stream --- */

static struct str make_tail(const struct encoder_options *o)
{
	struct str tail = STR_NONE;
	struct buf b;

	buf_init(&b, TAIL_MAX);
	buf_puts(&b, ",\"modelVersion\":\"");
	json_escape(&b, o->model);
	buf_puts(&b, "\",\"responseId\":\"");
	json_escape(&b, o->id);
	buf_puts(&b, "\"}");
	if (buf_ok(&b))
		tail = arena_dup(o->arena, buf_str(&b));
	buf_done(&b);
	return tail;
}

struct protocol_encoder *gm_encoder_new(const struct encoder_options *o)
{
	struct protocol_encoder *e = arena_alloc(o->arena, sizeof(*e));

	if (!e)
		return NULL;
	e->o = *o;
	e->ascii = true;
	e->usage = IR_USAGE_NONE;
	e->lead = o->lead ? o->lead : e;
	e->index = arena_printf(o->arena, ",\"index\":%u", o->choice);
	e->tail = make_tail(o);
	return str_present(e->tail) && str_present(e->index) ? e : NULL;
}

#define CHUNK_HEAD "{\"candidates\":[{\"content\":{\"parts\":["
#define CHUNK_ROLE "],\"role\":\"model\"}"

static void frame_start(struct protocol_encoder *e, struct buf *out)
{
	if (e->o.framing != FRAMING_JSON_ARRAY)
		buf_put(out, STR("data: "));
	else
		buf_put(out, e->lead->started ? STR(",\r\n") : STR("["));
	e->lead->started = true;
}

static void frame_end(struct protocol_encoder *e, struct buf *out)
{
	if (e->o.framing != FRAMING_JSON_ARRAY)
		buf_put(out, STR("\n\n"));
}

/* A chunk up to its part; the caller writes that. */
static struct jw chunk_start(struct protocol_encoder *e, struct buf *out)
{
	frame_start(e, out);
	buf_put(out, STR(CHUNK_HEAD));
	return jw_on(out);
}

static void candidate_end(struct protocol_encoder *e, struct buf *out)
{
	buf_put(out, e->index);
	buf_put(out, STR("}]"));
	buf_put(out, e->tail);
}

static void chunk_end(struct protocol_encoder *e, struct buf *out)
{
	buf_put(out, STR(CHUNK_ROLE));
	candidate_end(e, out);
	frame_end(e, out);
}

static struct str take_proof(struct protocol_encoder *e)
{
	struct str proof = e->proof;

	e->proof = STR_NONE;
	return proof;
}

/* A proof that no block followed. */
static void flush_proof(struct protocol_encoder *e, struct buf *out)
{
	struct str proof = take_proof(e);
	struct jw w;

	if (!proof.len)
		return;
	w = chunk_start(e, out);
	put_text(&w, STR(""), false, proof);
	chunk_end(e, out);
}

/* A text's or thought's next piece; by hand, for these are nearly all of a stream. */
static void put_piece(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	struct str proof = ev->block == IR_BLOCK_REASONING ? STR_NONE : take_proof(e);
	struct jw w;

	(void)chunk_start(e, out);
	buf_put(out, STR("{\"text\":\""));
	json_escape(out, ev->text);
	buf_putc(out, '"');
	if (ev->block == IR_BLOCK_REASONING)
		buf_put(out, STR(",\"thought\":true"));
	if (proof.len) {
		buf_put(out, STR(",\"thoughtSignature\":\""));
		json_escape(out, proof);
		buf_putc(out, '"');
	}
	buf_putc(out, '}');
	if (str_present(ev->logprobs)) {
		buf_put(out, STR(CHUNK_ROLE ",\"logprobsResult\":"));
		w = jw_on(out);
		gm_logprobs_write(&w, e->o.arena, ev->logprobs);
		candidate_end(e, out);
		frame_end(e, out);
		return;
	}
	chunk_end(e, out);
}

static int hold(struct protocol_encoder *e, struct str more)
{
	if (more.len > e->held.cap - e->held.len) {
		size_t cap = 2 * e->held.cap + more.len + 256;
		char *p = arena_grow(e->o.arena, e->held.ptr, e->held.cap, cap);

		if (!p)
			return RC_NOMEM;
		e->held.ptr = p;
		e->held.cap = cap;
	}
	if (more.len)
		memcpy(e->held.ptr + e->held.len, more.ptr, more.len);
	e->held.len += more.len;
	return RC_OK;
}

static int keep_source(struct protocol_encoder *e, const struct ir_citation *c)
{
	struct source s = source_of(c, e->ascii);

	if (!c->url.len)
		return RC_OK;
	if (e->n_sources == e->cap_sources) {
		unsigned cap = e->cap_sources ? 2 * e->cap_sources : 8;
		struct source *grown =
			arena_grow(e->o.arena, e->sources, e->cap_sources * sizeof(*grown),
				   cap * sizeof(*grown));

		if (!grown)
			return RC_NOMEM;
		e->sources = grown;
		e->cap_sources = cap;
	}
	s.url = arena_dup(e->o.arena, s.url);
	s.title = arena_dup(e->o.arena, s.title);
	e->sources[e->n_sources++] = s;
	return str_present(s.url) ? RC_OK : RC_NOMEM;
}

/* The vendor's own proof without a text waits for what it belongs to; all else stands on a thought. */
static int put_proof(struct protocol_encoder *e, struct str proof, bool redacted, struct buf *out)
{
	struct jw w;

	proof = gm_proof_pack(e->o.arena, e->origin, proof, redacted);
	if (!str_present(proof))
		return RC_NOMEM;
	if (gm_minted(e->origin) && !e->had_text) {
		flush_proof(e, out);
		e->proof = arena_dup(e->o.arena, proof);
		return str_present(e->proof) ? RC_OK : RC_NOMEM;
	}
	w = chunk_start(e, out);
	put_text(&w, STR(""), true, proof);
	chunk_end(e, out);
	return RC_OK;
}

static int on_open(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	switch (ev->block) {
	case IR_BLOCK_TOOL_CALL:
		e->held.len = 0;
		e->id = arena_dup(e->o.arena, ev->id);
		e->name = arena_dup(e->o.arena, ev->name);
		return (str_present(ev->name) && !str_present(e->name)) ? RC_NOMEM : RC_OK;
	case IR_BLOCK_REASONING:
		flush_proof(e, out);
		e->origin = ev->origin;
		e->had_text = false;
		return RC_OK;
	case IR_BLOCK_OPAQUE:
		e->origin = ev->origin;
		return RC_OK;
	case IR_BLOCK_TEXT:
	case IR_BLOCK_REFUSAL:
		break;
	}
	return RC_OK;
}

static void put_opaque(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	struct jw w;

	if (gm_minted(e->origin) && e->proof.len && bears_proof(e->o.arena, ev->text))
		(void)take_proof(e);
	if (gm_minted(e->origin) || !ev->picture.len)
		flush_proof(e, out);
	if (!gm_minted(e->origin) && !ev->picture.len)
		return;
	w = chunk_start(e, out);
	if (gm_minted(e->origin))
		jw_raw_line(&w, ev->text);
	else
		put_picture(&w, ev->picture, take_proof(e));
	chunk_end(e, out);
}

static int on_delta(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	switch (ev->delta) {
	case IR_DELTA_TEXT:
		if (!ev->text.len)
			return RC_OK;
		if (ev->block == IR_BLOCK_REASONING)
			e->had_text = true;
		else
			e->ascii = e->ascii && is_ascii(ev->text);
		put_piece(e, ev, out);
		return RC_OK;
	case IR_DELTA_ARGUMENTS:
		return hold(e, ev->text);
	case IR_DELTA_SIGNATURE:
		return ev->text.len ? put_proof(e, ev->text, false, out) : RC_OK;
	case IR_DELTA_REDACTED:
		return ev->text.len ? put_proof(e, ev->text, true, out) : RC_OK;
	case IR_DELTA_CITATION:
		return keep_source(e, ev->citation);
	case IR_DELTA_RAW:
		put_opaque(e, ev, out);
		return RC_OK;
	}
	return RC_OK;
}

static void on_close(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	struct jw w;

	if (ev->block != IR_BLOCK_TOOL_CALL)
		return;
	w = chunk_start(e, out);
	put_call(&w, e->id, e->name, (struct str){ e->held.ptr, e->held.len }, take_proof(e));
	chunk_end(e, out);
}

/* An answer's last chunk: why it ended; behind the last of several the counts. */
static void on_finish(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	struct str proof = take_proof(e);
	struct jw w = chunk_start(e, out);

	put_text(&w, STR(""), false, proof);
	buf_put(out, STR(CHUNK_ROLE));
	buf_puts(out, ",\"finishReason\":\"");
	buf_puts(out, gm_stop_name(ev->stop));
	buf_putc(out, '"');
	buf_put(out, e->index);
	if (e->n_sources) {
		buf_putc(out, ',');
		w = jw_on(out);
		put_grounding(&w, e->sources, e->n_sources);
	}
	buf_put(out, STR("}]"));
	if (!ev->more) {
		buf_put(out, STR(",\"usageMetadata\":"));
		w = jw_on(out);
		gm_usage_write(&w, &e->usage);
	}
	buf_put(out, e->tail);
	frame_end(e, out);
	if (!ev->more && e->o.framing == FRAMING_JSON_ARRAY)
		buf_put(out, STR("]"));
	e->ended = true;
}

int gm_encode_event(struct protocol_encoder *e, const struct ir_event *ev, struct buf *out)
{
	int rc = RC_OK;

	if (e->ended)
		return RC_OK;
	switch (ev->kind) {
	case IR_START:
		ir_usage_merge(&e->usage, &ev->usage);
		break;
	case IR_OPEN:
		rc = on_open(e, ev, out);
		break;
	case IR_DELTA:
		rc = on_delta(e, ev, out);
		break;
	case IR_CLOSE:
		on_close(e, ev, out);
		break;
	case IR_USAGE:
		ir_usage_merge(&e->usage, &ev->usage);
		break;
	case IR_FINISH:
		on_finish(e, ev, out);
		break;
	case IR_ERROR:
		e->ended = true;
		gm_encode_stream_error(ev->error, e->o.request_id, e->o.framing, e->lead->started,
				       out);
		break;
	case IR_PING:
		if (e->lead->started)
			gm_encode_ping(e->o.framing, true, out);
		break;
	}
	return !rc && !buf_ok(out) ? RC_NOMEM : rc;
}

/* --- the whole answer --- */

/* A body on its way: the parts so far, and a proof on its way to its part. */
struct body {
	struct jw w;
	struct arena *arena;
	struct str proof;
	int rc;
};

static void body_flush(struct body *b)
{
	if (b->proof.len)
		put_text(&b->w, STR(""), false, b->proof);
	b->proof = STR_NONE;
}

static void body_reasoning(struct body *b, const struct ir_block *r)
{
	struct str proof = r->signature.len
				   ? gm_proof_pack(b->arena, r->origin, r->signature, false)
				   : STR_NONE;

	if (r->signature.len && !str_present(proof))
		b->rc = RC_NOMEM;
	body_flush(b);
	if (gm_minted(r->origin) && !r->text.len)
		b->proof = proof;
	else if (r->text.len || proof.len)
		put_text(&b->w, str_present(r->text) ? r->text : STR(""), true, proof);
	if (!r->redacted.len)
		return;
	proof = gm_proof_pack(b->arena, r->origin, r->redacted, true);
	if (!str_present(proof))
		b->rc = RC_NOMEM;
	put_text(&b->w, STR(""), true, proof);
}

static void body_opaque(struct body *b, const struct ir_block *block)
{
	bool own = gm_minted(block->origin);

	if (own && b->proof.len && bears_proof(b->arena, block->text))
		b->proof = STR_NONE;
	if (own || !block->picture.len)
		body_flush(b);
	if (own) {
		jw_raw(&b->w, block->text);
	} else if (block->picture.len) {
		put_picture(&b->w, block->picture, b->proof);
		b->proof = STR_NONE;
	}
}

static void body_block(struct body *b, const struct ir_block *block)
{
	switch (block->kind) {
	case IR_BLOCK_TEXT:
	case IR_BLOCK_REFUSAL:
		if (block->text.len)
			put_text(&b->w, block->text, false, b->proof);
		else
			return;
		b->proof = STR_NONE;
		return;
	case IR_BLOCK_REASONING:
		body_reasoning(b, block);
		return;
	case IR_BLOCK_TOOL_CALL:
		put_call(&b->w, block->id, block->name, block->text, b->proof);
		b->proof = STR_NONE;
		return;
	case IR_BLOCK_OPAQUE:
		body_opaque(b, block);
		return;
	}
}

static void body_extras(struct body *b, const struct ir_response *r)
{
	struct source *sources;
	unsigned n = 0, at = 0;
	bool ascii = true;

	for (unsigned i = 0; i < r->n_blocks; i++) {
		if (r->blocks[i].kind == IR_BLOCK_TEXT && str_present(r->blocks[i].logprobs)) {
			jw_key(&b->w, "logprobsResult");
			gm_logprobs_write(&b->w, b->arena, r->blocks[i].logprobs);
			break;
		}
	}
	for (unsigned i = 0; i < r->n_blocks; i++)
		n += r->blocks[i].n_citations;
	sources = n ? arena_array(b->arena, n, sizeof(*sources)) : NULL;
	if (n && !sources)
		b->rc = RC_NOMEM;
	for (unsigned i = 0; sources && i < r->n_blocks; i++) {
		const struct ir_block *block = &r->blocks[i];

		ascii = ascii && (block->kind != IR_BLOCK_TEXT || is_ascii(block->text));
		for (unsigned k = 0; k < block->n_citations; k++)
			if (block->citations[k].url.len)
				sources[at++] = source_of(&block->citations[k], ascii);
	}
	if (at)
		put_grounding(&b->w, sources, at);
}

static void body_candidate(struct body *b, const struct ir_response *r)
{
	struct jw *w = &b->w;

	jw_obj(w);
	jw_key(w, "content");
	jw_obj(w);
	jw_key(w, "parts");
	jw_arr(w);
	for (unsigned i = 0; i < r->n_blocks; i++)
		body_block(b, &r->blocks[i]);
	body_flush(b);
	jw_end_arr(w);
	jw_kcstr(w, "role", "model");
	jw_end_obj(w);
	jw_kcstr(w, "finishReason", gm_stop_name(r->stop));
	jw_ki64(w, "index", r->choice);
	body_extras(b, r);
	jw_end_obj(w);
}

int gm_encode_response(const struct encoder_options *o, const struct ir_response *r,
		       struct buf *out)
{
	struct body b = { .w = jw_on(out), .arena = o->arena };
	struct jw *w = &b.w;

	jw_obj(w);
	jw_key(w, "candidates");
	jw_arr(w);
	for (const struct ir_response *c = r; c; c = c->next)
		body_candidate(&b, c);
	jw_end_arr(w);
	jw_key(w, "usageMetadata");
	gm_usage_write(w, &r->usage);
	jw_kstr(w, "modelVersion", o->model);
	jw_kstr(w, "responseId", o->id);
	jw_end_obj(w);
	if (b.rc)
		return b.rc;
	return buf_ok(out) ? RC_OK : RC_NOMEM;
}
