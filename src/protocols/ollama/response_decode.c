/* protocols/ollama/response_decode.c - Ollama's lines, or its one body, as events.
 *
 * Both forms are read alike: words stand in message.content or in response, calls come whole. The hard thing is what is
 * not there: an answer has no id, and a call often has none, so ids are made of the answer's time and the call's place,
 * unlike any other turn's (trap 62). Only a line with done:true ends an answer; without one it was cut (trap 113). */
#include "protocols/ollama/ollama.h"

#include "base/hash.h"

struct protocol_decoder {
	struct decoder_options o;
	struct ir_usage usage;
	struct str seed; /* of ids: the first line's created_at */
	enum ir_block_kind kind;
	unsigned index, n_calls;
	bool started, open, ended;
};

struct protocol_decoder *ol_decoder_new(const struct decoder_options *o)
{
	struct protocol_decoder *d = arena_alloc(o->arena, sizeof(*d));

	if (!d)
		return NULL;
	d->o = *o;
	d->usage = IR_USAGE_NONE;
	return d;
}

static int explain(int rc, struct err *reterr)
{
	if (rc == RC_NOMEM)
		return err_set(reterr, rc,
			       "the provider's answer needs more memory than it may use");
	return rc;
}

/* --- blocks --- */

static int close_block(struct protocol_decoder *d)
{
	struct ir_event ev = {
		.kind = IR_CLOSE, .index = d->index, .block = d->kind, .usage = IR_USAGE_NONE
	};

	if (!d->open)
		return RC_OK;
	d->open = false;
	d->index++;
	return ir_emit(d->o.sink, &ev);
}

static int open_block(struct protocol_decoder *d, enum ir_block_kind kind, struct str id,
		      struct str name)
{
	struct ir_event ev = {
		.kind = IR_OPEN, .block = kind, .id = id, .name = name, .usage = IR_USAGE_NONE
	};
	int rc = close_block(d);

	if (rc)
		return rc;
	ev.index = d->index;
	d->kind = kind;
	d->open = true;
	return ir_emit(d->o.sink, &ev);
}

static int emit_delta(struct protocol_decoder *d, enum ir_delta_kind delta, struct str text,
		      struct str logprobs)
{
	struct ir_event ev = { .kind = IR_DELTA,
			       .index = d->index,
			       .block = d->kind,
			       .delta = delta,
			       .text = text,
			       .logprobs = logprobs,
			       .usage = IR_USAGE_NONE };

	return ir_emit(d->o.sink, &ev);
}

/* Empty text, as on the last line, does nothing (traps 13, 14). */
static int read_text(struct protocol_decoder *d, enum ir_block_kind kind, struct str text,
		     struct str logprobs)
{
	int rc = RC_OK;

	if (!text.len)
		return RC_OK;
	if (!d->open || d->kind != kind)
		rc = open_block(d, kind, STR_NONE, STR_NONE);
	return rc ? rc : emit_delta(d, IR_DELTA_TEXT, text, logprobs);
}

/* "call_" and 16 hex digits, in scratch. */
static struct str make_id(struct protocol_decoder *d, struct str name)
{
	struct str seed = arena_printf(d->o.scratch, "%.*s %u %.*s", STR_ARG(d->seed), d->n_calls,
				       STR_ARG(name));

	if (!seed.ptr)
		return STR_NONE;
	return arena_printf(d->o.scratch, "call_%016llx", (unsigned long long)hash_fnv(seed));
}

static int read_call(struct protocol_decoder *d, const json *v)
{
	const json *f = json_get(v, STR("function")), *arguments = json_get(f, STR("arguments"));
	struct str id = json_str(json_get(v, STR("id"))), name = json_str(json_get(f, STR("name")));
	struct str text = STR("{}");
	int rc;

	if (!name.len)
		return RC_OK; /* nobody could make that call */
	if (!id.len)
		id = make_id(d, name);
	if (json_is_obj(arguments))
		text = json_text(d->o.scratch, arguments); /* traps 59, 60: their text, untouched */
	else if (json_str(arguments).len)
		text = json_str(arguments);
	if (!id.ptr || !text.ptr)
		return RC_NOMEM;
	d->n_calls++;
	rc = open_block(d, IR_BLOCK_TOOL_CALL, id, name);
	if (!rc)
		rc = emit_delta(d, IR_DELTA_ARGUMENTS, text, STR_NONE);
	return rc ? rc : close_block(d);
}

static int read_calls(struct protocol_decoder *d, const json *list)
{
	struct json_iter it = json_iter(list);
	int rc = RC_OK;

	while (!rc && json_next(&it))
		rc = read_call(d, it.val);
	return rc;
}

/* --- lines --- */

/* What is read of a line or a whole answer. */
enum { MODEL, CREATED, MESSAGE, RESPONSE, THINKING, TOOL_CALLS, REASON, DONE, LOGPROBS, N_LINE };
static const struct str line_names[N_LINE] = {
	[MODEL] = STR_INIT("model"),
	[CREATED] = STR_INIT("created_at"),
	[MESSAGE] = STR_INIT("message"),
	/* In generate's form the words stand here. */
	[RESPONSE] = STR_INIT("response"),
	[THINKING] = STR_INIT("thinking"),
	[TOOL_CALLS] = STR_INIT("tool_calls"),
	[REASON] = STR_INIT("done_reason"),
	[DONE] = STR_INIT("done"),
	[LOGPROBS] = STR_INIT("logprobs"),
};

static int start(struct protocol_decoder *d, const json *const line[N_LINE])
{
	struct ir_event ev = { .kind = IR_START,
			       .id = STR(""),
			       .name = json_str(line[MODEL]),
			       .usage = IR_USAGE_NONE };

	if (d->started)
		return RC_OK;
	d->started = true;
	d->seed = json_str(line[CREATED]);
	if (d->seed.len) {
		d->seed = arena_dup(d->o.arena, d->seed);
		if (!d->seed.ptr)
			return RC_NOMEM;
	}
	if (!ev.name.ptr)
		ev.name = STR("");
	return ir_emit(d->o.sink, &ev);
}

static int finish(struct protocol_decoder *d, const json *root, const json *reason)
{
	struct ir_event usage = { .kind = IR_USAGE }, end = { .kind = IR_FINISH };
	int rc = close_block(d);

	ol_usage_read(root, &d->usage);
	usage.usage = d->usage;
	end.usage = IR_USAGE_NONE;
	end.stop = ol_stop_parse(json_str(reason));
	if (d->n_calls && end.stop == IR_STOP_END) /* trap 18: it says "stop" to them too */
		end.stop = IR_STOP_TOOL_CALLS;
	d->ended = true;
	if (!rc && (d->usage.input >= 0 || d->usage.output >= 0)) /* trap 119 */
		rc = ir_emit(d->o.sink, &usage);
	return rc ? rc : ir_emit(d->o.sink, &end);
}

static int fail_with(struct protocol_decoder *d, const json *root)
{
	struct ir_error e;
	struct ir_event ev = { .kind = IR_ERROR, .error = &e, .usage = IR_USAGE_NONE };

	ol_error_read(d->o.arena, root, &e);
	d->ended = true;
	return ir_emit(d->o.sink, &ev);
}

/* Thoughts before words before calls, as a model writes them (traps 3, 4). */
static int read_line(struct protocol_decoder *d, const json *root)
{
	static const struct str names[] = { STR_INIT("content"), STR_INIT("thinking"),
					    STR_INIT("tool_calls") };
	const json *line[N_LINE], *said[3];
	struct str words, logprobs = STR_NONE;
	int rc = RC_OK;

	JSON_FIND(root, line_names, line);
	if (line[MESSAGE]) {
		JSON_FIND(line[MESSAGE], names, said);
	} else {
		said[0] = line[RESPONSE];
		said[1] = line[THINKING];
		said[2] = line[TOOL_CALLS];
	}
	words = json_str(said[0]);
	if (words.len && json_len(line[LOGPROBS])) {
		logprobs = ol_logprobs_read(d->o.scratch, line[LOGPROBS]);
		rc = logprobs.ptr ? RC_OK : RC_NOMEM;
	}
	if (!rc)
		rc = start(d, line);
	if (!rc)
		rc = read_text(d, IR_BLOCK_REASONING, json_str(said[1]), STR_NONE);
	if (!rc)
		rc = read_text(d, IR_BLOCK_TEXT, words, logprobs);
	if (!rc)
		rc = read_calls(d, said[2]);
	if (!rc && json_bool(line[DONE], false))
		rc = finish(d, root, line[REASON]);
	return rc;
}

int ol_decode_event(struct protocol_decoder *d, const struct frame *ev, struct err *reterr)
{
	struct str data = str_trim(ev->data);
	const json *root;
	int rc;

	if (data.len == 0 || d->ended)
		return RC_OK;
	rc = ol_parse(d->o.scratch, data, &root, reterr);
	if (rc)
		return rc;
	if (!json_is_obj(root))
		return err_set(reterr, RC_SYNTAX, "the provider sent a line that is no object");
	return explain(ol_error_is(root) ? fail_with(d, root) : read_line(d, root), reterr);
}

int ol_decode_end(struct protocol_decoder *d, struct err *reterr)
{
	if (d->ended)
		return RC_OK;
	return err_set(reterr, RC_CLOSED,
		       d->started ? "the provider's answer was cut off"
				  : "the provider's answer was empty");
}

int ol_decode_body(const struct decoder_options *o, struct str body, struct err *reterr)
{
	struct protocol_decoder *d = ol_decoder_new(o);
	const json *root;
	int rc = ol_parse(o->scratch, body, &root, reterr);

	if (rc)
		return rc;
	if (!d)
		return explain(RC_NOMEM, reterr);
	if (ol_error_is(root))
		return explain(fail_with(d, root), reterr);
	if (!json_bool(json_get(root, STR("done")), false))
		return err_set(reterr, RC_SYNTAX, "the provider's answer does not say it is done");
	return explain(read_line(d, root), reterr);
}
