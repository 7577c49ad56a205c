/* protocols/detect.c - which dialect a body is in, by its members.
 *
 * The hard thing is that dialects share most of their words: {"model","messages","max_tokens"} is a request to OpenAI and one to
 * Anthropic. So a body is judged by what only one dialect has (detect.def), then by what stands inside, then by a default
 * that is written down; what speaks for two dialects is refused with both names, never guessed. */
#include "protocols/detect.h"

#include "json/json.h"

/* What a request is asked in: exactly one of them stands in every body. */
enum holds { MESSAGES, INPUT, PROMPT, CONTENTS, N_HOLDS };

static const struct {
	const char *name;
	const char *usual;     /* the dialect, when nothing else speaks */
	const char *openai;    /* by x-lals-provider; NULL: has no such member */
	const char *anthropic; /* the same */
} holds[N_HOLDS] = {
	[MESSAGES] = { "messages", "openai-chat", "openai-chat", "anthropic-messages" },
	[INPUT] = { "input", "openai-responses", "openai-responses", NULL },
	[PROMPT] = { "prompt", "openai-completions", "openai-completions", "anthropic-complete" },
	[CONTENTS] = { "contents", "gemini", NULL, NULL },
};

static const struct {
	enum holds in;
	const char *name;
	const char *protocol;
} marks[] = {
#define X(in, name, protocol) { in, name, protocol },
#include "protocols/detect.def"
#undef X
};

enum { N_MARKS = sizeof(marks) / sizeof(*marks) };

/* What else is looked at, behind `holds` and `marks` in one list of wants. */
enum { TOOLS = N_HOLDS + N_MARKS, MODEL, STREAM, ENCODING, DIMENSIONS, N_WANTS };

static bool is_there(const struct json_want *w)
{
	return w->first != 0 && w->first != 'n';
}

/* A name is looked for once, though it may speak for several dialects: where it is found. */
static int place_of(int mark)
{
	for (int i = 0; i < mark; i++)
		if (strcmp(marks[i].name, marks[mark].name) == 0)
			return N_HOLDS + i;
	return N_HOLDS + mark;
}

/* --- inside --- */

/* Blocks that only Anthropic's conversations hold. */
static bool is_anthropic_block(const json *block)
{
	struct str type = json_str(json_get(block, STR("type")));

	return str_eq(type, STR("tool_use")) || str_eq(type, STR("tool_result")) ||
	       str_eq(type, STR("thinking")) || str_eq(type, STR("redacted_thinking")) ||
	       json_is_obj(json_get(block, STR("source")));
}

static bool holds_anthropic(struct arena *a, const struct json_want *w)
{
	struct json_iter it = json_iter(json_parse(a, w[TOOLS].value, NULL));

	if (w[TOOLS].first == '[') {
		while (json_next(&it))
			if (json_is_obj(json_get(it.val, STR("input_schema"))))
				return true;
	}
	if (w[MESSAGES].first != '[')
		return false;
	it = json_iter(json_parse(a, w[MESSAGES].value, NULL));
	while (json_next(&it)) {
		const json *content = json_get(it.val, STR("content"));
		struct json_iter blocks = json_iter(content);

		while (json_is_arr(content) && json_next(&blocks))
			if (is_anthropic_block(blocks.val))
				return true;
	}
	return false;
}

/* --- the body --- */

static int which_holds(const struct json_want *w, enum holds *ret, struct err *reterr)
{
	bool template = w[PROMPT].first == '{'; /* Responses has a `prompt` too: a stored one */
	int found = -1;

	for (int h = 0; h < N_HOLDS; h++) {
		if (!is_there(&w[h]) || (h == PROMPT && template))
			continue;
		if (found >= 0)
			return err_param(
				reterr, RC_INVALID, holds[h].name,
				"the body has both `%s` and `%s`: it is of no one dialect. "
				"Leave one out.",
				holds[found].name, holds[h].name);
		found = h;
	}
	if (found < 0 && template)
		found = INPUT;
	if (found < 0)
		return err_set(
			reterr, RC_INVALID,
			"the body has none of `messages`, `input`, `prompt`, `contents`: it is "
			"of no dialect known here");
	*ret = (enum holds)found;
	return RC_OK;
}

static int by_marks(const struct json_want *w, enum holds in, const char **ret, struct err *reterr)
{
	int first = -1;

	*ret = NULL;
	for (int i = 0; i < N_MARKS; i++) {
		if (marks[i].in != in || !is_there(&w[place_of(i)]))
			continue;
		if (first >= 0 && strcmp(marks[first].protocol, marks[i].protocol) != 0)
			return err_param(
				reterr, RC_INVALID, marks[i].name,
				"beside `%s` the body has `%s`, which makes it %s, and `%s`, which "
				"makes it %s. Leave one out, or name the protocol in "
				"x-llm-gateway-protocol.",
				holds[in].name, marks[first].name, marks[first].protocol,
				marks[i].name, marks[i].protocol);
		if (first < 0)
			first = i;
		*ret = marks[i].protocol;
	}
	return RC_OK;
}

static int refuse_embedding(const struct json_want *w, struct err *reterr)
{
	int at = is_there(&w[ENCODING]) ? ENCODING : DIMENSIONS;

	return err_param(reterr, RC_INVALID, w[at].key,
			 "`input` with `%s` asks for embeddings: send it to /v1/embeddings",
			 w[at].key);
}

static int by_body(struct arena *a, const struct detect_ask *ask, const struct json_want *w,
		   enum holds in, const char **ret, struct err *reterr)
{
	int rc;

	if (in == INPUT && (is_there(&w[ENCODING]) || is_there(&w[DIMENSIONS])))
		return refuse_embedding(w, reterr);
	rc = by_marks(w, in, ret, reterr);
	if (rc || *ret)
		return rc;
	*ret = holds[in].usual;
	if (in == MESSAGES && (holds_anthropic(a, w) || ask->anthropic_version))
		*ret = holds[in].anthropic;
	return RC_OK;
}

/* --- the fields --- */

static bool names_family(struct str name, const char *family)
{
	return str_ieq(name, str_from(family));
}

static int by_lals(struct str provider, enum holds in, const char **ret, struct err *reterr)
{
	bool anthropic = names_family(provider, "anthropic");

	if (!anthropic && !names_family(provider, "openai"))
		return err_set(reterr, RC_INVALID,
			       "x-lals-provider is `%.*s`, and may be `openai` or `anthropic`",
			       (int)(provider.len < 64 ? provider.len : 64), provider.ptr);
	*ret = anthropic ? holds[in].anthropic : holds[in].openai;
	if (*ret)
		return RC_OK;
	return err_param(reterr, RC_INVALID, holds[in].name,
			 "x-lals-provider says %s, which has no dialect with `%s`",
			 anthropic ? "anthropic" : "openai", holds[in].name);
}

static int by_name(struct str name, const struct protocol **ret, struct err *reterr)
{
	*ret = protocol_find(name);
	if (*ret)
		return RC_OK;
	return err_set(reterr, RC_INVALID,
		       "x-llm-gateway-protocol is `%.*s`, which is no protocol spoken here: "
		       "openai-chat, openai-responses, openai-completions, anthropic-messages, "
		       "anthropic-complete, gemini, "
		       "ollama-chat and ollama-generate are",
		       (int)(name.len < 64 ? name.len : 64), name.ptr);
}

const struct protocol *detect_speaker(struct str lals_provider, struct str protocol,
				      bool anthropic_version)
{
	const struct protocol *named = str_present(protocol) ? protocol_find(protocol) : NULL;

	if (names_family(lals_provider, "anthropic"))
		return &protocol_anthropic_messages;
	if (!str_present(lals_provider) && named)
		return named;
	return anthropic_version && !str_present(lals_provider) ? &protocol_anthropic_messages
								: &protocol_openai_chat;
}

/* --- the answer --- */

/* The protocol's own route to generate: of several forms the one that streams, or not. */
static unsigned variant_of(const struct protocol *p, bool stream)
{
	const struct protocol_route *plain = NULL;

	for (const struct protocol_route *r = p->routes; r->path; r++) {
		if (r->op != IR_OP_GENERATE)
			continue;
		if (stream && str_find(str_from(r->path), STR(":stream")) >= 0)
			return r->variant;
		if (!plain)
			plain = r;
	}
	return plain ? plain->variant : 0;
}

/* Gemini's model and form of answer stand in its path, and its vendor refuses a body with `stream` in it. */
static int as_gemini(struct arena *a, const struct json_want *w, struct detected *d,
		     struct err *reterr)
{
	struct json_edit edits[] = { json_edit_remove(d->body, w[MODEL].member),
				     json_edit_remove(d->body, w[STREAM].member) };
	struct buf b;

	if (w[MODEL].first != '"')
		return err_param(
			reterr, RC_INVALID, "model",
			"`model` is missing: with `contents` it must stand in the body here");
	if (is_there(&w[STREAM]) && w[STREAM].first != 't' && w[STREAM].first != 'f')
		return err_param(reterr, RC_INVALID, "stream", "`stream` must be true or false");
	d->line.arg = json_unquote(a, w[MODEL].value);
	if (w[STREAM].first == 't')
		d->line.query = STR("alt=sse");
	buf_init(&b, d->body.len + 2);
	json_patch(&b, d->body, edits, sizeof(edits) / sizeof(*edits));
	d->body = buf_ok(&b) ? arena_dup(a, buf_str(&b)) : STR_NONE;
	buf_done(&b);
	return d->body.ptr && d->line.arg.ptr ? RC_OK : err_set(reterr, RC_NOMEM, "out of memory");
}

static int answer(struct arena *a, const struct protocol *p, const struct json_want *w,
		  struct str body, struct detected *ret, struct err *reterr)
{
	*ret = (struct detected){ .protocol = p, .line = request_line_plain, .body = body };
	ret->line.variant = variant_of(p, w[STREAM].first == 't');
	return p == &protocol_gemini ? as_gemini(a, w, ret, reterr) : RC_OK;
}

static void set_wants(struct json_want w[N_WANTS])
{
	for (int h = 0; h < N_HOLDS; h++)
		w[h] = (struct json_want){ .key = holds[h].name };
	for (int i = 0; i < N_MARKS; i++)
		w[N_HOLDS + i] =
			(struct json_want){ .key = place_of(i) == N_HOLDS + i ? marks[i].name
									      : "" };
	w[TOOLS] = (struct json_want){ .key = "tools" };
	w[MODEL] = (struct json_want){ .key = "model" };
	w[STREAM] = (struct json_want){ .key = "stream" };
	w[ENCODING] = (struct json_want){ .key = "encoding_format" };
	w[DIMENSIONS] = (struct json_want){ .key = "dimensions" };
}

int detect_protocol(struct arena *a, const struct detect_ask *ask, struct detected *ret,
		    struct err *reterr)
{
	struct json_want w[N_WANTS];
	const struct protocol *p = NULL;
	const char *name = NULL;
	enum holds in;
	int rc;

	set_wants(w);
	rc = json_scan(ask->body, w, N_WANTS, reterr);
	if (!rc && str_present(ask->protocol))
		rc = by_name(ask->protocol, &p, reterr);
	if (!rc && p && !str_present(ask->lals_provider))
		return answer(a, p, w, ask->body, ret, reterr);
	if (!rc)
		rc = which_holds(w, &in, reterr);
	if (!rc && str_present(ask->lals_provider))
		rc = by_lals(ask->lals_provider, in, &name, reterr);
	else if (!rc)
		rc = by_body(a, ask, w, in, &name, reterr);
	if (rc)
		return rc;
	if (p && strcmp(p->name, name) != 0)
		return err_set(
			reterr, RC_INVALID,
			"x-llm-gateway-protocol says %s, x-lals-provider and the body say %s",
			p->name, name);
	return answer(a, protocol_find(str_from(name)), w, ask->body, ret, reterr);
}
