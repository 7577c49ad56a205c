/* ir/forced_tool.c - a forced tool call on engines that hold an answer to a schema but cannot force a call.
 *
 * The hard thing is the way back while it streams: the arguments must flow as they are written, yet
 * with several tools allowed the name stands inside the same JSON text, in front of them. So text is
 * held until the prefix {"name": "x", "arguments": is whole, and from there passes until its bracket closes.
 * What does not look like a call after all (the engine ignored the schema) is passed on as the text it is. */
#include "ir/forced_tool.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/hash.h"
#include "ir/plain_schema.h"
#include "json/json.h"
#include "json/write.h"

enum { SCHEMA_MAX = 4 << 20 };

/* Server tools have no name and no schema of ours: they cannot be forced this way. */
static bool is_allowed(const struct ir_request *r, const struct ir_tool *t)
{
	if (!str_present(t->name))
		return false;
	if (r->choice.mode == IR_CHOICE_NAMED)
		return str_eq(t->name, r->choice.name);
	if (!r->choice.allowed)
		return true;
	for (unsigned i = 0; i < r->choice.n_allowed; i++) {
		if (str_eq(t->name, r->choice.allowed[i]))
			return true;
	}
	return false;
}

static unsigned count_allowed(const struct ir_request *r, const struct ir_tool **ret_last)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_tools; i++) {
		if (is_allowed(r, &r->tools[i])) {
			*ret_last = &r->tools[i];
			n++;
		}
	}
	return n;
}

bool ir_forces_tool(const struct ir_request *r)
{
	if (r->choice.mode != IR_CHOICE_REQUIRED && r->choice.mode != IR_CHOICE_NAMED)
		return false;
	for (unsigned i = 0; i < r->n_tools; i++) {
		if (str_present(r->tools[i].name))
			return true;
	}
	return false;
}

static int no_tool(const struct ir_request *r, struct err *reterr)
{
	if (r->choice.mode == IR_CHOICE_NAMED)
		return err_param(reterr, RC_INVALID, "tool_choice",
				 "tool_choice names '%.*s', which is not among the tools",
				 (int)(r->choice.name.len < 64 ? r->choice.name.len : 64),
				 r->choice.name.ptr);
	return err_param(reterr, RC_INVALID, "tool_choice",
			 "tool_choice demands a call, but allows no tool");
}

/* --- the request --- */

/* Arguments that are not an object are no arguments (trap 80). */
static int put_parameters(struct arena *a, struct buf *out, struct str parameters, const char *base)
{
	const json *schema = str_present(parameters) ? json_parse(a, parameters, NULL) : NULL;

	if (str_present(parameters) && !json_is_obj(schema))
		return RC_INVALID;
	ir_plain_schema(out, schema, str_from(base));
	return RC_OK;
}

/* One allowed tool: its parameters. Several: a choice of {"name", "arguments"}; their
 * schemas stand under $defs by number, so that their references can be moved there. */
static int put_schema(struct arena *a, struct buf *out, const struct ir_request *r,
		      const struct ir_tool *only)
{
	unsigned k = 0;
	int rc = RC_OK;

	if (only)
		return put_parameters(a, out, only->parameters, "");
	buf_puts(out, "{\"anyOf\":[");
	for (unsigned i = 0; i < r->n_tools; i++) {
		if (!is_allowed(r, &r->tools[i]))
			continue;
		buf_puts(out, k ? ",{" : "{");
		buf_puts(out, "\"type\":\"object\",\"properties\":{\"name\":{\"const\":\"");
		json_escape(out, r->tools[i].name);
		buf_printf(out,
			   "\"},\"arguments\":{\"$ref\":\"#/$defs/t%u\"}},"
			   "\"required\":[\"name\",\"arguments\"],\"additionalProperties\":false}",
			   k++);
	}
	buf_puts(out, "],\"$defs\":{");
	k = 0;
	for (unsigned i = 0; !rc && i < r->n_tools; i++) {
		char base[32];

		if (!is_allowed(r, &r->tools[i]))
			continue;
		(void)snprintf(base, sizeof(base), "/$defs/t%u", k);
		buf_printf(out, "%s\"t%u\":", k ? "," : "", k);
		rc = put_parameters(a, out, r->tools[i].parameters, base);
		k++;
	}
	buf_puts(out, "}}");
	return rc;
}

static void put_sentence(struct buf *out, const struct ir_request *r, const struct ir_tool *only)
{
	buf_puts(out, only ? "Call the tool below. Answer with nothing but the JSON object of its "
			     "arguments."
			   : "Call one of the tools below. Answer with nothing but a JSON object "
			     "{\"name\": the tool's name, \"arguments\": its arguments}.");
	for (unsigned i = 0; i < r->n_tools; i++) {
		const struct ir_tool *t = &r->tools[i];
		struct jw w = jw_on(out);

		if (!is_allowed(r, t))
			continue;
		buf_putc(out, '\n');
		jw_obj(&w);
		jw_kstr(&w, "name", t->name);
		if (str_present(t->description))
			jw_kstr(&w, "description", t->description);
		if (str_present(t->parameters))
			jw_kraw(&w, "parameters", t->parameters);
		jw_end_obj(&w);
	}
}

/* The sentence joins a leading system message, for many chat templates take only one, and only in front. */
static int add_sentence(struct arena *a, struct ir_request *r, struct str sentence)
{
	bool joins = r->n_messages && (r->messages[0].role == IR_ROLE_SYSTEM ||
				       r->messages[0].role == IR_ROLE_DEVELOPER);
	const struct ir_message *first = joins ? &r->messages[0] : NULL;
	unsigned n_parts = first ? first->n_parts : 0, n = r->n_messages + !joins;
	struct ir_message *messages = arena_array(a, n, sizeof(*messages));
	struct ir_part *parts = arena_array(a, n_parts + 1, sizeof(*parts));

	if (!messages || !parts)
		return RC_NOMEM;
	if (n_parts)
		memcpy(parts, first->parts, n_parts * sizeof(*parts));
	parts[n_parts] = (struct ir_part){ .kind = IR_PART_TEXT, .text = sentence };
	messages[0] = first ? *first : (struct ir_message){ .role = IR_ROLE_SYSTEM };
	messages[0].parts = parts;
	messages[0].n_parts = n_parts + 1;
	if (n > 1)
		memcpy(messages + 1, r->messages + joins, (n - 1) * sizeof(*messages));
	r->messages = messages;
	r->n_messages = n;
	return RC_OK;
}

int ir_forced_tool_request(struct arena *a, const struct ir_request *r, struct ir_request *ret,
			   struct err *reterr)
{
	const struct ir_tool *tool = NULL;
	unsigned n = count_allowed(r, &tool);
	struct buf b;
	int rc;

	if (n == 0)
		return no_tool(r, reterr);
	if (n > 1)
		tool = NULL;
	*ret = *r;
	ret->tools = NULL;
	ret->n_tools = 0;
	ret->choice = (struct ir_tool_choice){ 0 };
	ret->format = (struct ir_format){ .kind = IR_FORMAT_JSON_SCHEMA, .name = STR("tool_call") };

	buf_init(&b, SCHEMA_MAX);
	rc = put_schema(a, &b, r, tool);
	if (rc == RC_INVALID)
		err_param(reterr, RC_INVALID, "tools",
			  "a tool's parameters are not a JSON schema object");
	if (!rc) {
		ret->format.schema = arena_dup(a, buf_str(&b));
		buf_reset(&b);
		put_sentence(&b, r, tool);
		rc = add_sentence(a, ret, arena_dup(a, buf_str(&b)));
		if (!buf_ok(&b) || !ret->format.schema.ptr)
			rc = RC_NOMEM;
	}
	buf_done(&b);
	ir_request_needs(ret);
	return rc;
}

/* --- the answer --- */

enum {
	FT_OFF,       /* outside text blocks: events pass */
	FT_UNDECIDED, /* held_ may still become a call */
	FT_CALL,      /* inside the arguments; depth_ counts open brackets */
	FT_AFTER,     /* the arguments are whole: the rest of the text is closing brackets */
	FT_TEXT,      /* no call after all */
	FT_HOLD,      /* not in the usual order: decide when the text is whole */
};

static int out_open(struct ir_forced_tool *f, enum ir_block_kind kind, struct str name)
{
	struct ir_event ev = {
		.kind = IR_OPEN, .index = f->index_++, .block = kind, .usage = IR_USAGE_NONE
	};

	f->in_block_ = true;
	if (kind == IR_BLOCK_TOOL_CALL) {
		f->called_ = true;
		ev.name = name;
		/* No randomness here: the id grows from the upstream's own, which is unique. */
		ev.id = arena_printf(f->arena, "call_%016llx%u",
				     (unsigned long long)hash_fnv(f->id_), ev.index);
		if (!ev.id.ptr)
			return RC_NOMEM;
	}
	return ir_emit(f->next, &ev);
}

static int out_delta(struct ir_forced_tool *f, enum ir_block_kind kind, struct str text)
{
	struct ir_event ev = { .kind = IR_DELTA,
			       .index = f->index_ - 1,
			       .block = kind,
			       .text = text,
			       .usage = IR_USAGE_NONE };

	ev.delta = kind == IR_BLOCK_TOOL_CALL ? IR_DELTA_ARGUMENTS : IR_DELTA_TEXT;
	return text.len ? ir_emit(f->next, &ev) : RC_OK;
}

static int out_close(struct ir_forced_tool *f, enum ir_block_kind kind)
{
	struct ir_event ev = {
		.kind = IR_CLOSE, .index = f->index_ - 1, .block = kind, .usage = IR_USAGE_NONE
	};

	f->in_block_ = false;
	return ir_emit(f->next, &ev);
}

/* Passes arguments on until their bracket closes. */
static int pass_arguments(struct ir_forced_tool *f, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (f->in_string_) {
			if (f->escaped_)
				f->escaped_ = false;
			else if (c == '\\')
				f->escaped_ = true;
			else if (c == '"')
				f->in_string_ = false;
		} else if (c == '"') {
			f->in_string_ = true;
		} else if (c == '{' || c == '[') {
			f->depth_++;
		} else if ((c == '}' || c == ']') && --f->depth_ == 0) {
			f->state_ = FT_AFTER;
			return out_delta(f, IR_BLOCK_TOOL_CALL, (struct str){ text.ptr, i + 1 });
		}
	}
	return out_delta(f, IR_BLOCK_TOOL_CALL, text);
}

static int start_call(struct ir_forced_tool *f, struct str name, struct str arguments)
{
	int rc = out_open(f, IR_BLOCK_TOOL_CALL, name);

	f->state_ = FT_CALL;
	f->depth_ = 0;
	f->in_string_ = f->escaped_ = false;
	return rc ? rc : pass_arguments(f, arguments);
}

static int start_text(struct ir_forced_tool *f, struct str text)
{
	int rc = out_open(f, IR_BLOCK_TEXT, STR_NONE);

	f->state_ = FT_TEXT;
	return rc ? rc : out_delta(f, IR_BLOCK_TEXT, text);
}

/* Takes `word` off the front of `*rest`, blanks before it too. 1: it was there; 0: it cannot be; -1: more is needed. */
static int take_word(struct str *rest, struct str word)
{
	size_t n = 0;

	while (rest->len && strchr(" \t\r\n", rest->ptr[0]) && rest->ptr[0])
		*rest = str_from_offset(*rest, 1);
	while (n < word.len && n < rest->len && rest->ptr[n] == word.ptr[n])
		n++;
	if (n == word.len) {
		*rest = str_from_offset(*rest, n);
		return 1;
	}
	return n == rest->len ? -1 : 0;
}

/* A string without escapes: tool names have none. Same answers as take_word(). */
static int take_name(struct str *rest, struct str *ret)
{
	int got = take_word(rest, STR("\""));
	ptrdiff_t end;

	if (got != 1)
		return got;
	end = str_chr(*rest, '"');
	if (str_chr((struct str){ rest->ptr, end < 0 ? rest->len : (size_t)end }, '\\') >= 0)
		return 0;
	if (end < 0)
		return -1;
	*ret = (struct str){ rest->ptr, (size_t)end };
	*rest = str_from_offset(*rest, (size_t)end + 1);
	return 1;
}

/* Looks for {"name":"x","arguments":{ at the front of what is held. */
static int read_prefix(struct ir_forced_tool *f, struct str *ret_name, struct str *ret_arguments)
{
	static const struct str before[] = { STR_INIT("{"), STR_INIT("\"name\""), STR_INIT(":") };
	static const struct str after[] = { STR_INIT(","), STR_INIT("\"arguments\""),
					    STR_INIT(":") };
	struct str rest = f->held_, brace;
	int got = 1;

	for (unsigned i = 0; got == 1 && i < 3; i++)
		got = take_word(&rest, before[i]);
	if (got == 1)
		got = take_name(&rest, ret_name);
	for (unsigned i = 0; got == 1 && i < 3; i++)
		got = take_word(&rest, after[i]);
	brace = rest;
	if (got == 1)
		got = take_word(&brace, STR("{"));
	*ret_arguments = str_trim(rest);
	if (got == 1 && !ir_request_tool(f->request, *ret_name))
		return 0;
	return got;
}

static int decide(struct ir_forced_tool *f)
{
	struct str text = f->held_, name, arguments;
	int got;

	while (text.len && strchr(" \t\r\n", text.ptr[0]) && text.ptr[0])
		text = str_from_offset(text, 1);
	if (text.len == 0)
		return RC_OK;
	if (text.ptr[0] != '{')
		return start_text(f, f->held_);
	if (str_present(f->only_))
		return start_call(f, f->only_, text);
	got = read_prefix(f, &name, &arguments);
	if (got == 1)
		return start_call(f, name, arguments);
	if (got == 0)
		f->state_ = FT_HOLD;
	return RC_OK;
}

static int hold(struct ir_forced_tool *f, struct str text)
{
	size_t need = f->held_.len + text.len;
	char *to = (char *)f->held_.ptr;

	if (need > f->held_cap_) {
		size_t cap = f->held_cap_ ? f->held_cap_ : 256;

		while (cap < need)
			cap *= 2;
		to = arena_grow(f->arena, f->held_cap_ ? to : NULL, f->held_cap_, cap);
		if (!to)
			return RC_NOMEM;
		f->held_cap_ = cap;
	}
	if (text.len)
		memcpy(to + f->held_.len, text.ptr, text.len);
	f->held_ = (struct str){ to, need };
	return RC_OK;
}

static int take_text(struct ir_forced_tool *f, struct str text)
{
	int rc;

	switch (f->state_) {
	case FT_CALL:
		return pass_arguments(f, text);
	case FT_TEXT:
		return out_delta(f, IR_BLOCK_TEXT, text);
	case FT_UNDECIDED:
		rc = hold(f, text);
		return rc ? rc : decide(f);
	case FT_HOLD:
		return hold(f, text);
	}
	return RC_OK; /* FT_AFTER: closing brackets */
}

/* The text is whole and was not in the usual order: {"arguments":…,"name":…}, or no call. */
static int decide_late(struct ir_forced_tool *f)
{
	const json *call = json_parse(f->arena, f->held_, NULL);
	struct str name = json_str(json_get(call, STR("name")));
	const json *arguments = json_get(call, STR("arguments"));
	struct str text;

	if (!str_present(name) || !ir_request_tool(f->request, name) || !json_is_obj(arguments))
		return start_text(f, f->held_);
	text = json_text(f->arena, arguments);
	return text.ptr ? start_call(f, name, text) : RC_NOMEM;
}

static int end_text(struct ir_forced_tool *f)
{
	int rc = RC_OK;

	if (f->state_ == FT_HOLD || (f->state_ == FT_UNDECIDED && str_trim(f->held_).len))
		rc = decide_late(f);
	if (!rc && f->in_block_)
		rc = out_close(f, f->state_ == FT_TEXT ? IR_BLOCK_TEXT : IR_BLOCK_TOOL_CALL);
	f->state_ = FT_OFF;
	return rc;
}

/* Other blocks pass; only their indices move, for an empty text block before them vanishes. */
static int pass(struct ir_forced_tool *f, const struct ir_event *ev)
{
	struct ir_event moved = *ev;

	if (ev->kind == IR_OPEN)
		f->index_++;
	if (ev->kind == IR_OPEN || ev->kind == IR_DELTA || ev->kind == IR_CLOSE)
		moved.index = f->index_ - 1;
	if (ev->kind == IR_FINISH && f->called_ &&
	    (ev->stop == IR_STOP_END || ev->stop == IR_STOP_SEQUENCE)) {
		moved.stop = IR_STOP_TOOL_CALLS;
		moved.stop_sequence = STR_NONE;
	}
	return ir_emit(f->next, &moved);
}

static int forced_event(struct ir_sink *self, const struct ir_event *ev)
{
	struct ir_forced_tool *f = (struct ir_forced_tool *)self;

	if (ev->kind == IR_START && str_present(ev->id)) {
		f->id_ = arena_dup(f->arena, ev->id);
		if (!f->id_.ptr)
			return RC_NOMEM;
	}
	if (ev->kind == IR_OPEN && ev->block == IR_BLOCK_TEXT) {
		f->state_ = FT_UNDECIDED;
		f->held_.len = 0;
		return RC_OK;
	}
	if (f->state_ != FT_OFF && ev->kind == IR_DELTA)
		return ev->delta == IR_DELTA_TEXT ? take_text(f, ev->text) : RC_OK;
	if (f->state_ != FT_OFF && ev->kind == IR_CLOSE)
		return end_text(f);
	return pass(f, ev);
}

int ir_forced_tool_init(struct ir_forced_tool *f, struct arena *a,
			const struct ir_request *original, struct ir_sink *next)
{
	const struct ir_tool *tool = NULL;
	unsigned n = count_allowed(original, &tool);

	if (n == 0)
		return RC_INVALID;
	*f = (struct ir_forced_tool){ .sink.event = forced_event,
				      .next = next,
				      .arena = a,
				      .request = original,
				      .state_ = FT_OFF };
	if (n == 1)
		f->only_ = tool->name;
	return RC_OK;
}
