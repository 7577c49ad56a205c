/* protocols/gemini/response_extras.c - what stands beside the parts of an answer: citations and log probabilities.
 *
 * The one hard thing: the vendor counts bytes where everybody else counts characters. */
#include "protocols/gemini/gemini.h"

#include "base/utf8.h"

/* How many characters stand before byte `at`; -1 when `at` is beyond the text. */
static int64_t characters(struct str text, int64_t at)
{
	if (at < 0 || (size_t)at > text.len)
		return -1;
	return utf8_count((struct str){ text.ptr, (size_t)at });
}

static void set_range(struct ir_citation *c, const json *v, struct str text)
{
	int64_t start = 0, end = -1;

	(void)json_i64(gm_get(v, "startIndex"), &start); /* absent is 0 */
	(void)json_i64(gm_get(v, "endIndex"), &end);
	c->start = end < 0 ? -1 : characters(text, start);
	c->end = characters(text, end);
	if (c->end < 0)
		c->start = -1;
}

static struct ir_citation citation_of(struct arena *a, const json *v, const json *raw)
{
	return (struct ir_citation){
		.url = json_str(gm_get(v, "uri")),
		.title = json_str(gm_get(v, "title")),
		.start = -1,
		.end = -1,
		.raw = json_text(a, raw),
		.origin = GM_NAME,
	};
}

/* The page, map entry or document behind a chunk. */
static const json *source_of(const json *chunk)
{
	static const char *const kinds[] = { "web", "retrievedContext", "maps" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const json *v = gm_get(chunk, kinds[i]);

		if (v)
			return v;
	}
	return NULL;
}

enum { MAX_CHUNKS = 512 };

static const json *nth(const json *const *list, size_t n, const json *index)
{
	int64_t i;

	return json_i64(index, &i) && i >= 0 && (size_t)i < n ? list[i] : NULL;
}

static int each_support(struct arena *a, const json *support, const json *const *chunks, size_t n,
			struct str text, gm_citation_fn *fn, void *user)
{
	struct json_iter it = json_iter(gm_get(support, "groundingChunkIndices"));
	const json *segment = gm_get(support, "segment");
	int rc = RC_OK;

	while (!rc && json_next(&it)) {
		const json *chunk = nth(chunks, n, it.val);
		struct ir_citation c = citation_of(a, source_of(chunk), chunk);

		if (!c.url.len)
			continue;
		c.cited_text = json_str(gm_get(segment, "text"));
		set_range(&c, segment, text);
		rc = fn(user, &c);
	}
	return rc;
}

static int each_grounding(struct arena *a, const json *grounding, struct str text,
			  gm_citation_fn *fn, void *user)
{
	const json *list = gm_get(grounding, "groundingChunks"),
		   *supports = gm_get(grounding, "groundingSupports");
	const json *chunks[MAX_CHUNKS];
	struct json_iter it = json_iter(list);
	size_t n = 0;
	int rc = RC_OK;

	while (n < MAX_CHUNKS && json_next(&it))
		chunks[n++] = it.val;
	it = json_iter(supports);
	while (!rc && json_next(&it))
		rc = each_support(a, it.val, chunks, n, text, fn, user);
	if (json_len(supports))
		return rc;
	for (size_t i = 0; !rc && i < n; i++) { /* pages, but not which words come from which */
		struct ir_citation c = citation_of(a, source_of(chunks[i]), chunks[i]);

		if (c.url.len)
			rc = fn(user, &c);
	}
	return rc;
}

int gm_each_citation(struct arena *scratch, const json *grounding, const json *quoted,
		     struct str text, gm_citation_fn *fn, void *user)
{
	const json *sources = quoted ? gm_get(quoted, "citationSources") : NULL;
	struct json_iter it = json_iter(sources ? sources : gm_get(quoted, "citations"));
	int rc = grounding ? each_grounding(scratch, grounding, text, fn, user) : RC_OK;

	while (!rc && json_next(&it)) {
		struct ir_citation c = citation_of(scratch, it.val, it.val);

		set_range(&c, it.val, text);
		if (c.url.len)
			rc = fn(user, &c);
	}
	return rc;
}

/* --- log probabilities --- */

static void put_token(struct jw *w, const json *v)
{
	struct str token = json_str(gm_get(v, "token"));
	struct str p = json_num(gm_get(v, "logProbability"));

	jw_kstr(w, "token", str_present(token) ? token : STR(""));
	jw_kraw(w, "logprob", str_present(p) ? p : STR("0"));
	jw_key(w, "bytes");
	jw_arr(w);
	for (size_t i = 0; i < token.len; i++)
		jw_i64(w, (unsigned char)token.ptr[i]);
	jw_end_arr(w);
}

struct str gm_logprobs_read(struct arena *scratch, const json *result)
{
	struct json_iter chosen = json_iter(gm_get(result, "chosenCandidates")),
			 top = json_iter(gm_get(result, "topCandidates")), it;
	struct str text = STR_NONE;
	struct buf b;
	struct jw w;

	if (!json_len(gm_get(result, "chosenCandidates")))
		return STR_NONE;
	buf_init(&b, SIZE_MAX / 4);
	w = jw_on(&b);
	jw_arr(&w);
	while (json_next(&chosen)) {
		jw_obj(&w);
		put_token(&w, chosen.val);
		jw_key(&w, "top_logprobs");
		jw_arr(&w);
		if (json_next(&top)) {
			it = json_iter(gm_get(top.val, "candidates"));
			while (json_next(&it)) {
				jw_obj(&w);
				put_token(&w, it.val);
				jw_end_obj(&w);
			}
		}
		jw_end_arr(&w);
		jw_end_obj(&w);
	}
	jw_end_arr(&w);
	if (buf_ok(&b))
		text = arena_dup(scratch, buf_str(&b));
	buf_done(&b);
	return text;
}

static void put_candidate(struct jw *w, const json *v)
{
	struct str p = json_num(JSON_GET(v, "logprob"));

	jw_obj(w);
	jw_kstr(w, "token", json_str(JSON_GET(v, "token")));
	jw_kraw(w, "logProbability", str_present(p) ? p : STR("0"));
	jw_end_obj(w);
}

void gm_logprobs_write(struct jw *w, struct arena *scratch, struct str list)
{
	const json *tokens = json_parse(scratch, list, NULL);
	struct json_iter it = json_iter(tokens), top;

	jw_obj(w);
	jw_key(w, "chosenCandidates");
	jw_arr(w);
	while (json_next(&it))
		put_candidate(w, it.val);
	jw_end_arr(w);
	jw_key(w, "topCandidates");
	jw_arr(w);
	it = json_iter(tokens);
	while (json_next(&it)) {
		jw_obj(w);
		jw_key(w, "candidates");
		jw_arr(w);
		top = json_iter(JSON_GET(it.val, "top_logprobs"));
		while (json_next(&top))
			put_candidate(w, top.val);
		jw_end_arr(w);
		jw_end_obj(w);
	}
	jw_end_arr(w);
	jw_end_obj(w);
}
