/* protocols/openai_chat/response_decode.c - OpenAI's answers, and those of everybody who says to be compatible, as events.
 *
 * The hard thing is the end: finish_reason comes before the usage, on several chunks, or never, and
 * [DONE] may be missing too. So FINISH is held until usage has come after a finish_reason, or [DONE], or the end of the bytes
 * (traps 7, 8, 9, 11); an end without any of them is a cut, and said to be one (trap 113).
 */
#include "protocols/media.h"
#include "protocols/openai_chat/openai_chat.h"

struct protocol_decoder {
	struct decoder_options o;
	struct oc_blocks blocks;
	struct ir_usage usage;
	struct str id, model;
	struct str stop_sequence;
	enum ir_stop stop;
	bool started, ended, done;
	bool finish_seen;
	bool usage_seen, usage_after_finish;
	bool custom_open; /* the JSON around a custom call's input is not closed yet */
	struct oc_call_delta custom;
	struct str logprobs; /* of this chunk's text, until it is said; absent */
	bool spoke;          /* sound came, of which only the transcript is told */
	bool annotated;      /* citations came with the text: those beside it say the same */
	struct str sources;  /* Perplexity's search_results or citations as JSON; absent */
};

struct protocol_decoder *oc_decoder_new(const struct decoder_options *o)
{
	struct protocol_decoder *d = arena_alloc(o->arena, sizeof(*d));

	if (!d)
		return NULL;
	d->o = *o;
	d->blocks = (struct oc_blocks){
		.arena = o->arena, .sink = o->sink, .request = o->request, .seed = STR("")
	};
	d->usage = IR_USAGE_NONE;
	d->id = d->model = STR("");
	return d;
}

static int start(struct protocol_decoder *d)
{
	struct ir_event ev = { .kind = IR_START, .id = d->id, .name = d->model, .usage = d->usage };

	if (d->started)
		return RC_OK;
	d->started = true;
	return ir_emit(d->o.sink, &ev);
}

/* What is read of a chunk or a whole answer. */
enum {
	ID,
	OBJECT,
	MODEL,
	CHOICES,
	USAGE,
	SERVICE_TIER,
	X_GROQ,
	SEARCH_RESULTS,
	CITATIONS,
	ERROR,
	N_CHUNK
};
static const struct str chunk_names[N_CHUNK] = {
	[ID] = STR_INIT("id"),
	[OBJECT] = STR_INIT("object"),
	[MODEL] = STR_INIT("model"),
	[CHOICES] = STR_INIT("choices"),
	[USAGE] = STR_INIT("usage"),
	[SERVICE_TIER] = STR_INIT("service_tier"),
	[X_GROQ] = STR_INIT("x_groq"),
	[SEARCH_RESULTS] = STR_INIT("search_results"),
	[CITATIONS] = STR_INIT("citations"),
	[ERROR] = STR_INIT("error"),
};

static void read_tier(struct protocol_decoder *d, const json *const chunk[N_CHUNK])
{
	enum ir_tier tier = oc_tier_parse(json_str(chunk[SERVICE_TIER]));

	if (tier)
		d->usage.tier = tier;
}

/* Azure's first chunk has neither id nor model: the first real ones count, and stay (trap 28). */
static int learn_head(struct protocol_decoder *d, const json *const chunk[N_CHUNK])
{
	struct str id = json_str(chunk[ID]), model = json_str(chunk[MODEL]);

	if (d->started)
		return RC_OK;
	if (id.len) {
		d->id = arena_dup(d->o.arena, id);
		d->blocks.seed = d->id;
	}
	if (model.len)
		d->model = arena_dup(d->o.arena, model);
	read_tier(d, chunk);
	return d->id.ptr && d->model.ptr ? RC_OK : RC_NOMEM;
}

/* --- one delta, or one whole message: they have the same members --- */

/* What OpenRouter has as `data`: what Gemini calls a signature, the content of an item with its id, or Anthropic's opaque data. */
static int read_encrypted(struct arena *a, const json *v, struct oc_detail *ret)
{
	struct str data = json_str(json_get(v, STR("data")));

	ret->known = data.len > 0;
	if (strcmp(ret->origin, OC_GOOGLE) == 0)
		ret->signature = data;
	else if (minter_has_items(ret->origin) && data.len)
		ret->signature = oc_proof_join(a, json_str(json_get(v, STR("id"))), data);
	else
		ret->redacted = data;
	return ret->signature.ptr || ret->redacted.ptr || !data.len ? RC_OK : RC_NOMEM;
}

int oc_detail_read(struct arena *a, const json *v, struct oc_detail *ret)
{
	struct str type = json_str(json_get(v, STR("type")));

	*ret = (struct oc_detail){ .index = -1 };
	(void)json_i64(json_get(v, STR("index")), &ret->index);
	ret->origin = oc_format_origin(a, json_str(json_get(v, STR("format"))));
	if (!ret->origin)
		return RC_NOMEM;
	if (str_eq(type, STR("reasoning.encrypted")))
		return read_encrypted(a, v, ret);
	if (str_eq(type, STR("reasoning.text"))) {
		ret->known = true;
		ret->text = json_str(json_get(v, STR("text")));
		ret->signature = json_str(json_get(v, STR("signature")));
	} else if (str_eq(type, STR("reasoning.summary"))) {
		ret->known = true;
		ret->text = json_str(json_get(v, STR("summary")));
	}
	return RC_OK;
}

static int read_details(struct protocol_decoder *d, const json *details, bool *ret_any)
{
	struct json_iter it = json_iter(details);
	int rc = RC_OK;

	while (!rc && json_next(&it)) {
		struct oc_detail detail;

		rc = oc_detail_read(d->o.arena, it.val, &detail);
		if (rc || !detail.known)
			continue;
		if (detail.index < 0)
			detail.index = 0;
		*ret_any = true;
		rc = oc_blocks_detail(&d->blocks, &detail);
	}
	return rc;
}

/* What is read of a delta or a message; in the order in which a model writes it (traps 3, 4). */
enum {
	REASONING_DETAILS,
	REASONING_CONTENT,
	REASONING,
	CONTENT,
	AUDIO,
	REFUSAL,
	ANNOTATIONS,
	IMAGES,
	TOOL_CALLS,
	FUNCTION_CALL,
	N_DELTA
};
static const struct str delta_names[N_DELTA] = {
	[REASONING_DETAILS] = STR_INIT("reasoning_details"),
	[REASONING_CONTENT] = STR_INIT("reasoning_content"),
	[REASONING] = STR_INIT("reasoning"),
	[CONTENT] = STR_INIT("content"),
	[AUDIO] = STR_INIT("audio"),
	[REFUSAL] = STR_INIT("refusal"),
	[ANNOTATIONS] = STR_INIT("annotations"),
	[IMAGES] = STR_INIT("images"),
	[TOOL_CALLS] = STR_INIT("tool_calls"),
	[FUNCTION_CALL] = STR_INIT("function_call"),
};

/* Trap 49: everybody's names for it. OpenRouter says all twice, as text and as details with signatures. */
static int read_reasoning(struct protocol_decoder *d, const json *const delta[N_DELTA])
{
	bool any = false;
	int rc = read_details(d, delta[REASONING_DETAILS], &any);

	for (unsigned i = REASONING_CONTENT; !rc && !any && i <= REASONING; i++) {
		struct str text = json_str(delta[i]);

		if (!text.len)
			continue;
		any = true;
		rc = oc_blocks_text(&d->blocks, IR_BLOCK_REASONING, text, STR_NONE);
	}
	return rc;
}

/* One piece of what is said. The log probabilities that came with the chunk go with its first. */
static int say(struct protocol_decoder *d, enum ir_block_kind kind, struct str text)
{
	struct str logprobs = STR_NONE;

	if (kind != IR_BLOCK_REASONING && text.len) {
		logprobs = d->logprobs;
		d->logprobs = STR_NONE;
	}
	return oc_blocks_text(&d->blocks, kind, text, logprobs);
}

/* A choice's lists: one of the text's tokens, one of a refusal's. Absent, where there is neither. */
static int read_logprobs(struct protocol_decoder *d, const json *choice)
{
	const json *logprobs = json_get(choice, STR("logprobs"));
	const json *list = json_get(logprobs, STR("content"));

	d->logprobs = STR_NONE;
	if (json_len(list) == 0)
		list = json_get(logprobs, STR("refusal"));
	if (!json_is_arr(list) || json_len(list) == 0)
		return RC_OK;
	d->logprobs = json_text(d->o.scratch, list);
	return str_present(d->logprobs) ? RC_OK : RC_NOMEM;
}

/* What no text took: a token may be part of a character only. */
static int keep_logprobs(struct protocol_decoder *d)
{
	struct str logprobs = d->logprobs;

	d->logprobs = STR_NONE;
	return oc_blocks_text(&d->blocks, IR_BLOCK_TEXT, STR(""), logprobs);
}

/* The proof goes before what it is of (trap 51); Google's endpoint for OpenAI's clients signs calls in this place. */
static int read_google_proof(struct protocol_decoder *d, const json *v)
{
	struct oc_detail detail = { .index = d->blocks.next_detail,
				    .origin = OC_GOOGLE,
				    .signature = oc_read_google(v) };

	return detail.signature.len ? oc_blocks_detail(&d->blocks, &detail) : RC_OK;
}

static int read_image(struct protocol_decoder *d, const json *image)
{
	struct str url = oc_image_url(image), raw;
	int rc;

	if (!url.len)
		return RC_OK;
	rc = read_google_proof(d, image);
	if (rc)
		return rc;
	raw = json_text(d->o.scratch, image);
	return str_present(raw) ? oc_blocks_picture(&d->blocks, raw, url) : RC_NOMEM;
}

/* A string, or Mistral's list of parts: text, and thinking with a list of its own; a picture in others'. */
static int read_content(struct protocol_decoder *d, const json *content, enum ir_block_kind kind,
			unsigned depth)
{
	struct json_iter it = json_iter(content);
	int rc = RC_OK;

	if (json_is_str(content))
		return say(d, kind, json_str(content));
	if (!json_is_arr(content) || depth == 0)
		return RC_OK;
	while (!rc && json_next(&it)) {
		struct str type = json_str(json_get(it.val, STR("type")));

		if (str_eq(type, STR("thinking")))
			rc = read_content(d, json_get(it.val, STR("thinking")), IR_BLOCK_REASONING,
					  depth - 1);
		else if (str_eq(type, STR("refusal")))
			rc = read_content(d, json_get(it.val, STR("refusal")), IR_BLOCK_REFUSAL,
					  depth - 1);
		else if (str_eq(type, STR("image_url")))
			rc = read_image(d, it.val);
		else
			rc = read_content(d, json_get(it.val, STR("text")), kind, depth - 1);
	}
	return rc;
}

static int read_annotations(struct protocol_decoder *d, const json *annotations)
{
	struct json_iter it = json_iter(annotations);
	int rc = RC_OK;

	while (!rc && json_next(&it)) {
		const json *u = json_get(it.val, STR("url_citation"));
		struct ir_citation c = { .start = -1, .end = -1, .origin = OC_NAME };

		if (!json_is_obj(u))
			continue;
		c.url = json_str(json_get(u, STR("url")));
		c.title = json_str(json_get(u, STR("title")));
		c.cited_text = json_str(json_get(u, STR("content")));
		(void)json_i64(json_get(u, STR("start_index")), &c.start);
		(void)json_i64(json_get(u, STR("end_index")), &c.end);
		c.raw = json_text(d->o.scratch, it.val);
		if (!c.raw.ptr)
			return RC_NOMEM;
		d->annotated = true;
		rc = oc_blocks_citation(&d->blocks, &c);
	}
	return rc;
}

/* OpenRouter's form of what a model drew. */
static int read_images(struct protocol_decoder *d, const json *images)
{
	struct json_iter it = json_iter(images);
	int rc = RC_OK;

	while (!rc && json_next(&it))
		rc = read_image(d, it.val);
	return rc;
}

static int read_function(struct protocol_decoder *d, const json *function,
			 struct oc_call_delta call)
{
	const json *arguments = json_get(function, STR("arguments"));

	call.name = json_str(json_get(function, STR("name")));
	if (json_is_str(arguments)) {
		call.arguments = json_str(arguments);
	} else if (json_is_obj(arguments)) { /* Ollama's own form leaks through some proxies */
		call.arguments = json_text(d->o.scratch, arguments);
		if (!call.arguments.ptr)
			return RC_NOMEM;
	}
	return oc_blocks_call(&d->blocks, &call);
}

/* A custom call's input is free text; in here its arguments are {"input":"..."}. The end of that JSON is owed until
 * something else comes, for Chat does not say when a call is over. */
static int close_custom(struct protocol_decoder *d)
{
	struct oc_call_delta end = d->custom;

	if (!d->custom_open)
		return RC_OK;
	d->custom_open = false;
	end.arguments = STR("\"}");
	end.name = STR_NONE;
	return oc_blocks_call(&d->blocks, &end);
}

static int read_custom(struct protocol_decoder *d, const json *custom, struct oc_call_delta call)
{
	struct str input = json_str(json_get(custom, STR("input")));
	struct buf b;
	int rc = RC_OK;

	call.name = json_str(json_get(custom, STR("name")));
	if (call.name.len && d->custom_open &&
	    (call.index != d->custom.index || !str_eq(call.id, d->custom.id)))
		rc = close_custom(d);
	if (rc)
		return rc;
	buf_init(&b, 6 * input.len + 32);
	if (!d->custom_open) {
		buf_puts(&b, "{\"input\":\"");
		d->custom = call;
		d->custom.id = arena_dup(d->o.arena, call.id);
	}
	d->custom_open = true;
	json_escape(&b, input);
	call.arguments = arena_dup(d->o.scratch, buf_str(&b));
	rc = buf_ok(&b) && call.arguments.ptr ? RC_OK : RC_NOMEM;
	buf_done(&b);
	return rc ? rc : oc_blocks_call(&d->blocks, &call);
}

/* One vendor has both members in every call, the wrong one empty. */
static bool is_custom(const json *call)
{
	return json_is_obj(json_get(call, STR("custom"))) &&
	       !json_is_obj(json_get(call, STR("function")));
}

static int read_calls(struct protocol_decoder *d, const json *const delta[N_DELTA])
{
	const json *legacy = delta[FUNCTION_CALL];
	struct json_iter it = json_iter(delta[TOOL_CALLS]);
	int rc = RC_OK;

	while (!rc && json_next(&it)) {
		struct oc_call_delta call = { .index = -1,
					      .id = json_str(json_get(it.val, STR("id"))) };

		if (!json_i64(json_get(it.val, STR("index")), &call.index) || call.index < 0)
			call.index = -1;
		if (is_custom(it.val)) {
			rc = read_custom(d, json_get(it.val, STR("custom")), call);
			continue;
		}
		rc = close_custom(d);
		if (!rc)
			rc = read_google_proof(d, it.val);
		if (!rc)
			rc = read_function(d, json_get(it.val, STR("function")), call);
	}
	if (!rc && json_is_obj(legacy))
		rc = read_function(d, legacy, (struct oc_call_delta){ .index = INT32_MAX });
	return rc;
}

static int read_delta(struct protocol_decoder *d, const json *v)
{
	const json *delta[N_DELTA], *content;
	int rc;

	JSON_FIND(v, delta_names, delta);
	rc = read_reasoning(d, delta);
	content = delta[CONTENT];
	if (!rc && json_str(content).len == 0 && !json_is_arr(content))
		content = json_get(delta[AUDIO], STR("transcript"));
	d->spoke = d->spoke || json_str(json_get(delta[AUDIO], STR("data"))).len > 0;
	if (!rc)
		rc = read_content(d, content, IR_BLOCK_TEXT, 3);
	if (!rc)
		rc = say(d, IR_BLOCK_REFUSAL, json_str(delta[REFUSAL]));
	if (!rc)
		rc = keep_logprobs(d);
	if (!rc)
		rc = read_annotations(d, delta[ANNOTATIONS]);
	if (!rc)
		rc = read_images(d, delta[IMAGES]);
	return rc ? rc : read_calls(d, delta);
}

/* --- what an answer was found in --- */

/* Perplexity names its sources beside the choices, in every chunk anew: `search_results` with titles, else `citations`,
 * which are bare URLs. The last list counts. */
static int read_sources(struct protocol_decoder *d, const json *const chunk[N_CHUNK])
{
	const json *list = chunk[SEARCH_RESULTS];
	struct str text;

	if (json_len(list) == 0)
		list = chunk[CITATIONS];
	if (!json_is_arr(list) || json_len(list) == 0)
		return RC_OK;
	text = json_text(d->o.scratch, list);
	if (text.ptr && str_present(d->sources) && str_eq(text, d->sources))
		return RC_OK;
	d->sources = text.ptr ? arena_dup(d->o.arena, text) : STR_NONE;
	return str_present(d->sources) ? RC_OK : RC_NOMEM;
}

/* They stand for the whole text, so they come at its end; where in it each is meant, nobody says. */
static int cite_sources(struct protocol_decoder *d)
{
	struct json_iter it;
	int rc = RC_OK;

	if (!str_present(d->sources) || d->annotated)
		return RC_OK;
	it = json_iter(json_parse(d->o.arena, d->sources, NULL));
	while (!rc && json_next(&it)) {
		struct ir_citation c = { .start = -1, .end = -1, .origin = OC_NAME };

		c.url = json_is_str(it.val) ? json_str(it.val)
					    : json_str(json_get(it.val, STR("url")));
		c.title = json_str(json_get(it.val, STR("title")));
		c.cited_text = json_str(json_get(it.val, STR("snippet")));
		if (c.url.len)
			rc = oc_blocks_citation(&d->blocks, &c);
	}
	return rc;
}

/* --- the end --- */

static int fail(struct protocol_decoder *d, const struct ir_error *e)
{
	struct ir_event ev = { .kind = IR_ERROR, .error = e, .usage = IR_USAGE_NONE };

	d->ended = true;
	return ir_emit(d->o.sink, &ev);
}

static int fail_with(struct protocol_decoder *d, const json *root)
{
	struct ir_error e;

	(void)oc_error_read(d->o.arena, root, 200, &e);
	return fail(d, &e);
}

/* Trap 74: vLLM's stop_reason and SGLang's matched_stop name the sequence; elsewhere stop_reason is a reason. */
static int read_stop_sequence(struct protocol_decoder *d, const json *choice)
{
	struct str text = json_str(json_get(choice, STR("stop_reason")));
	const struct ir_request *r = d->o.request;
	bool is_one;

	if (!text.len)
		text = json_str(json_get(choice, STR("matched_stop")));
	is_one = !r && !str_eq(text, STR("stop")) && !str_eq(text, STR("end_turn")) &&
		 !str_eq(text, STR("eos"));
	for (unsigned i = 0; r && i < r->n_stop; i++)
		is_one = is_one || str_eq(r->stop[i], text);
	if (!text.len || !is_one)
		return RC_OK;
	d->stop = IR_STOP_SEQUENCE;
	d->stop_sequence = arena_dup(d->o.arena, text);
	return d->stop_sequence.ptr ? RC_OK : RC_NOMEM;
}

static int read_finish(struct protocol_decoder *d, const json *choice)
{
	struct str reason = json_str(json_get(choice, STR("finish_reason")));
	bool failed;

	if (!reason.len) /* null, or "" on every chunk */
		return RC_OK;
	d->finish_seen = true;
	d->usage_after_finish = false;
	d->stop = oc_stop_parse(reason, &failed);
	if (failed)
		return fail(d, &(struct ir_error){
				       .kind = IR_ERR_UPSTREAM,
				       .retry_after_ms = -1,
				       .message = STR(
					       "The provider ended the answer with an error.") });
	return d->stop == IR_STOP_END || d->stop == IR_STOP_SEQUENCE ? read_stop_sequence(d, choice)
								     : RC_OK;
}

/* Traps 18, 105, 106: calls make it a turn of calls unless it was cut; no calls, no such turn. */
static enum ir_stop final_stop(const struct protocol_decoder *d)
{
	bool ended_well = d->stop == IR_STOP_END || d->stop == IR_STOP_SEQUENCE ||
			  d->stop == IR_STOP_TOOL_CALLS;

	if (d->blocks.n_calls && ended_well)
		return IR_STOP_TOOL_CALLS;
	if (d->stop == IR_STOP_TOOL_CALLS)
		return IR_STOP_END;
	if (d->blocks.refused && d->stop == IR_STOP_END)
		return IR_STOP_REFUSAL;
	return d->stop;
}

static int finish(struct protocol_decoder *d)
{
	struct ir_event usage = { .kind = IR_USAGE, .usage = d->usage };
	struct ir_event ev = { .kind = IR_FINISH, .usage = IR_USAGE_NONE, .stop = final_stop(d) };
	int rc = start(d);

	if (!rc)
		rc = close_custom(d);
	if (!rc)
		rc = cite_sources(d);
	if (!rc && d->spoke)
		rc = oc_blocks_lost(&d->blocks, STR("answer.audio"));
	if (!rc)
		rc = oc_blocks_end(&d->blocks);
	if (!rc && d->usage_seen)
		rc = ir_emit(d->o.sink, &usage);
	if (rc)
		return rc;
	if (ev.stop == IR_STOP_SEQUENCE)
		ev.stop_sequence = d->stop_sequence;
	d->ended = true;
	return ir_emit(d->o.sink, &ev);
}

/* --- chunks --- */

static void read_usage(struct protocol_decoder *d, const json *const chunk[N_CHUNK])
{
	const json *usage = chunk[USAGE];

	if (!json_is_obj(usage))
		usage = json_get(chunk[X_GROQ], STR("usage"));
	if (!json_is_obj(usage))
		return;
	oc_usage_read(usage, &d->usage);
	read_tier(d, chunk);
	d->usage_seen = true;
	d->usage_after_finish = d->finish_seen;
}

/* oc_error_is(), asked of few: what has choices is rarely one. */
static bool is_error(const json *root, const json *const chunk[N_CHUNK])
{
	return (!chunk[CHOICES] || chunk[ERROR] || str_eq(json_str(chunk[OBJECT]), STR("error"))) &&
	       oc_error_is(root);
}

static int read_chunk(struct protocol_decoder *d, const json *const chunk[N_CHUNK])
{
	const json *choice = oc_choice(chunk[CHOICES], d->o.choice);
	int rc = learn_head(d, chunk);

	if (!rc)
		rc = read_sources(d, chunk);
	if (!rc && json_is_obj(choice)) {
		const json *delta = json_get(choice, STR("delta"));

		rc = start(d);
		if (!rc)
			rc = read_logprobs(d, choice);
		if (!rc)
			rc = read_delta(d, json_is_obj(delta) ? delta
							      : json_get(choice, STR("message")));
		if (!rc)
			rc = read_finish(d, choice);
	}
	if (rc || d->ended)
		return rc;
	read_usage(d, chunk);
	return d->finish_seen && d->usage_after_finish ? finish(d) : RC_OK;
}

/* What went wrong, in words, where the code alone does not say it. */
static int explain(int rc, struct err *reterr)
{
	switch (rc) {
	case RC_SYNTAX:
		return err_set(reterr, rc,
			       "the provider's tool calls make no sense: a call without a name, or "
			       "arguments after their end");
	case RC_TOOBIG:
		return err_set(reterr, rc, "the provider's answer holds too many tool calls");
	case RC_NOMEM:
		return err_set(reterr, rc,
			       "the provider's answer needs more memory than it may use");
	}
	return rc;
}

int oc_decode_event(struct protocol_decoder *d, const struct frame *ev, struct err *reterr)
{
	struct str data = str_trim(ev->data);
	const json *root, *chunk[N_CHUNK];
	int rc;

	if (data.len == 0 || d->ended)
		return RC_OK;
	if (str_eq(data, STR("[DONE]"))) {
		d->done = true;
		return d->started ? explain(finish(d), reterr) : RC_OK;
	}
	rc = oc_parse(d->o.scratch, data, &root, reterr);
	if (rc)
		return rc;
	JSON_FIND(root, chunk_names, chunk);
	if (is_error(root, chunk) || str_eq(ev->name, STR("error")))
		return fail_with(d, root);
	if (!json_is_obj(root))
		return err_set(reterr, RC_SYNTAX, "the provider sent a chunk that is no object");
	return explain(read_chunk(d, chunk), reterr);
}

int oc_decode_end(struct protocol_decoder *d, struct err *reterr)
{
	if (d->ended)
		return RC_OK;
	if (d->finish_seen)
		return explain(finish(d), reterr);
	return err_set(reterr, RC_CLOSED,
		       d->done ? "the provider's answer was empty"
			       : "the provider's answer was cut off");
}

int oc_decode_body(const struct decoder_options *o, struct str body, struct err *reterr)
{
	struct protocol_decoder *d = oc_decoder_new(o);
	const json *root, *choice, *message, *chunk[N_CHUNK];
	int rc = oc_parse(o->scratch, body, &root, reterr);

	if (rc)
		return rc;
	if (!d)
		return explain(RC_NOMEM, reterr);
	JSON_FIND(root, chunk_names, chunk);
	choice = oc_choice(chunk[CHOICES], d->o.choice);
	message = json_get(choice, STR("message"));
	if (is_error(root, chunk))
		return fail_with(d, root);
	if (!choice && d->o.choice > 0)
		return RC_OK; /* fewer came than were asked for */
	if (!json_is_obj(message))
		return err_set(reterr, RC_SYNTAX, "the provider's answer holds no message");
	read_usage(d, chunk);
	rc = learn_head(d, chunk);
	if (!rc)
		rc = start(d);
	if (!rc)
		rc = read_sources(d, chunk);
	if (!rc)
		rc = read_logprobs(d, choice);
	if (!rc)
		rc = read_delta(d, message);
	if (!rc)
		rc = read_finish(d, choice);
	if (!rc && !d->ended)
		rc = finish(d);
	return explain(rc, reterr);
}
