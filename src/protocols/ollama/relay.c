/* protocols/ollama/relay.c - bodies that pass as they are: what must be known of a request, what may be changed in
 * it, and what is read off the answer on its way.
 *
 * As everywhere the cost is the hard thing: once something meaningful has passed, a line is only searched for the two
 * members that could make it matter, `"done":true` and `"error"`, and parsed when one of them may be there. */
#include "protocols/ollama/ollama.h"

#include "protocols/glance.h"

enum { NAME_MAX_LEN = 1 << 20 };

/* --- requests --- */

enum {
	W_MODEL,
	W_NAME,
	W_STREAM,
	W_PROVIDER,
	W_MESSAGES,
	W_PROMPT,
	W_KEEP_ALIVE,
	W_COUNT,
};

/* A list with nothing in it. */
static bool is_empty_list(struct json_want w)
{
	return w.first == '[' && str_trim(str_from_offset(w.value, 1)).ptr[0] == ']';
}

/* Milliseconds of one of Go's units at the head of `*io`, which is taken off; 0 when there is none. */
static double unit_ms(struct str *io)
{
	static const struct {
		struct str name;
		double ms;
	} units[] = {
		{ STR_INIT("ns"), 1e-6 },        { STR_INIT("us"), 1e-3 },
		{ STR_INIT("\xc2\xb5s"), 1e-3 }, { STR_INIT("\xce\xbcs"), 1e-3 },
		{ STR_INIT("ms"), 1 },           { STR_INIT("s"), 1000 },
		{ STR_INIT("m"), 60e3 },         { STR_INIT("h"), 3600e3 },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (!str_starts(*io, units[i].name))
			continue;
		*io = str_from_offset(*io, units[i].name.len);
		return units[i].ms;
	}
	return 0;
}

/* The number at the head of `*io`, which is taken off; false when there is none. */
static bool take_number(struct str *io, double *ret)
{
	size_t n = 0;

	while (n < io->len && ((io->ptr[n] >= '0' && io->ptr[n] <= '9') || io->ptr[n] == '.'))
		n++;
	if (!n || !json_text_f64((struct str){ io->ptr, n }, ret))
		return false;
	*io = str_from_offset(*io, n);
	return true;
}

/* "1h30m", "-1s", "0", as Go has it. */
static bool read_duration(struct str s, double *ret_ms)
{
	bool minus = s.len && s.ptr[0] == '-';
	double n;

	if (minus || (s.len && s.ptr[0] == '+'))
		s = str_from_offset(s, 1);
	*ret_ms = 0;
	if (str_eq(s, STR("0")))
		return true;
	do {
		double unit;

		if (!take_number(&s, &n) || !(unit = unit_ms(&s)))
			return false;
		*ret_ms += n * unit;
	} while (s.len);
	if (minus)
		*ret_ms = -*ret_ms;
	return true;
}

/* A number of seconds, or a duration; below zero it is for good. */
static int read_keep_alive(struct arena *a, struct json_want w, struct request_peek *ret,
			   struct err *reterr)
{
	const double longest = 100.0 * 365 * 86400e3;
	double ms = 0;
	bool ok;

	if (!w.first || w.first == 'n')
		return RC_OK;
	if (w.first == '"') {
		ok = read_duration(json_unquote(a, w.value), &ms);
	} else {
		ok = json_text_f64(str_trim(w.value), &ms);
		ms *= 1000;
	}
	if (!ok)
		return err_param(reterr, RC_INVALID, "keep_alive",
				 "keep_alive must be a number of seconds or a duration as \"5m\"");
	ret->keeps = true;
	ret->keep_alive_ms = ms < 0 || ms > longest ? -1 : (int64_t)ms;
	return RC_OK;
}

/* Without a message or a prompt a request only has the model loaded, or with a keep_alive of 0 unloaded. */
static struct str load_only(unsigned variant, const struct json_want *w,
			    const struct request_peek *peek)
{
	struct json_want what = w[variant == OL_ASK_CHAT ? W_MESSAGES : W_PROMPT];
	bool nothing = !what.first || what.first == 'n' || is_empty_list(what) ||
		       (what.first == '"' && what.value.len == 2);

	if (!nothing)
		return STR_NONE;
	return peek->keeps && peek->keep_alive_ms == 0 ? STR("unload") : STR("load");
}

int ol_peek(struct arena *a, const struct request_line *line, struct str body,
	    struct request_peek *ret, struct err *reterr)
{
	struct json_want w[W_COUNT] = {
		[W_MODEL] = { .key = "model" },           [W_NAME] = { .key = "name" },
		[W_STREAM] = { .key = "stream" },         [W_PROVIDER] = { .key = "provider" },
		[W_MESSAGES] = { .key = "messages" },     [W_PROMPT] = { .key = "prompt" },
		[W_KEEP_ALIVE] = { .key = "keep_alive" },
	};
	int rc = json_scan(body, w, W_COUNT, reterr);

	if (rc)
		return rc;
	*ret = (struct request_peek){ .body = body,
				      .include_usage = true,
				      .framing = FRAMING_NDJSON };
	if (!w[W_MODEL].first && line->op == IR_OP_INFO) /* what it once was called there */
		w[W_MODEL] = w[W_NAME];
	if (w[W_MODEL].first && w[W_MODEL].first != '"')
		return err_param(reterr, RC_INVALID, "model", "model must be a string");
	ret->model = w[W_MODEL].first ? json_unquote(a, w[W_MODEL].value) : STR("");
	if (!str_present(ret->model))
		return err_set(reterr, RC_NOMEM, "the request needs more memory than it may use");
	if (ret->model.len == 0)
		return err_param(reterr, RC_INVALID, "model", "model is required");
	if (w[W_STREAM].first && !strchr("tfn", w[W_STREAM].first))
		return err_param(reterr, RC_INVALID, "stream", "stream must be true or false");
	/* Not said, an answer streams. */
	ret->stream = line->op == IR_OP_GENERATE && w[W_STREAM].first != 'f';
	rc = read_keep_alive(a, w[W_KEEP_ALIVE], ret, reterr);
	if (rc)
		return rc;
	if (line->op == IR_OP_GENERATE)
		ret->load = load_only(line->variant, w, ret);
	ret->model_at = w[W_MODEL];
	if (w[W_PROVIDER].first == '"') {
		ret->provider_at = w[W_PROVIDER];
		ret->provider_pin = json_unquote(a, w[W_PROVIDER].value);
	}
	return RC_OK;
}

/* A JSON string of `s` in the arena; absent when memory is out. */
static struct str quoted(struct arena *a, struct str s)
{
	struct buf b;
	struct str copy;

	buf_init(&b, NAME_MAX_LEN);
	buf_putc(&b, '"');
	json_escape(&b, s);
	buf_putc(&b, '"');
	copy = buf_ok(&b) ? arena_dup(a, buf_str(&b)) : STR_NONE;
	buf_done(&b);
	return copy;
}

int ol_patch(struct arena *a, const struct request_peek *p, const struct patch_options *o,
	     struct buf *out)
{
	struct json_edit edits[2];
	unsigned n = 0;

	if (str_present(o->model) && !str_eq(o->model, p->model)) {
		struct str name = quoted(a, o->model);

		if (!str_present(name))
			return RC_NOMEM;
		edits[n++] = (struct json_edit){ p->model_at.value, name };
	}
	if (o->strip_provider && str_present(p->provider_pin))
		edits[n++] = json_edit_remove(p->body, p->provider_at.member);
	json_patch(out, p->body, edits, n);
	return buf_ok(out) ? RC_OK : RC_NOMEM;
}

/* --- answers --- */

static bool says_something(const json *v)
{
	return json_str(v).len > 0 || json_len(v) > 0;
}

/* Words, thoughts or calls: opens the commit gate. */
static bool is_meaningful(const json *root)
{
	static const struct str keys[] = { STR_INIT("content"), STR_INIT("thinking"),
					   STR_INIT("tool_calls") };
	const json *m = json_get(root, STR("message"));

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (says_something(json_get(m, keys[i])))
			return true;
	}
	return says_something(json_get(root, STR("response"))) ||
	       says_something(json_get(root, STR("thinking")));
}

static unsigned tap_parsed(struct relay_tap *t, struct arena *scratch, struct str data)
{
	const json *root = json_parse(scratch, data, NULL);

	if (!json_is_obj(root))
		return 0;
	if (ol_error_is(root)) {
		ol_error_read(t->arena, root, &t->error);
		return TAP_ERROR;
	}
	t->meaningful = t->meaningful || is_meaningful(root);
	if (!json_bool(json_get(root, STR("done")), false))
		return t->meaningful ? TAP_MEANINGFUL : 0;
	ol_usage_read(root, &t->usage);
	t->finished = t->meaningful = true;
	return TAP_MEANINGFUL | TAP_END;
}

unsigned ol_tap_event(struct relay_tap *t, struct arena *scratch, const struct frame *ev)
{
	struct str done;

	if (ev->data.len < 2)
		return 0;
	if (!t->meaningful)
		return tap_parsed(t, scratch, ev->data);
	done = glance_last(ev->data, STR("\"done\""));
	if ((done.len && done.ptr[0] == 't') || str_find(ev->data, STR("\"error\"")) >= 0)
		return tap_parsed(t, scratch, ev->data);
	return TAP_MEANINGFUL;
}

static int64_t count_of(struct json_want w, int64_t otherwise)
{
	uint64_t n;

	return w.first && str_to_u64(w.value, &n) && n <= INT64_MAX ? (int64_t)n : otherwise;
}

unsigned ol_tap_body(struct relay_tap *t, struct arena *scratch, struct str body)
{
	enum { ERROR, DONE, MESSAGE, RESPONSE, COUNT, PROMPT_COUNT };
	struct json_want w[] = {
		[ERROR] = { .key = "error" },      [DONE] = { .key = "done" },
		[MESSAGE] = { .key = "message" },  [RESPONSE] = { .key = "response" },
		[COUNT] = { .key = "eval_count" }, [PROMPT_COUNT] = { .key = "prompt_eval_count" },
	};

	if (!json_skim(body, w, sizeof(w) / sizeof(*w)))
		return 0;
	if (w[ERROR].first == '"' || w[ERROR].first == '{')
		return tap_parsed(t, scratch, body);
	if (w[DONE].first != 't' || (w[MESSAGE].first != '{' && w[RESPONSE].first != '"'))
		return 0;
	t->usage.input = count_of(w[PROMPT_COUNT], t->usage.input);
	t->usage.output = count_of(w[COUNT], t->usage.output);
	t->finished = true;
	return TAP_MEANINGFUL;
}
