/* protocols/gemini/models.c - the model list, one model, and a token count. */
#include "protocols/gemini/gemini.h"

/* Clients choose by them: of a model that nobody knows all may be true. */
static struct str methods(const struct model_info *m)
{
	if (m->embeds)
		return STR("[\"embedContent\"]");
	return m->tools == IR_TRI_UNSET
		       ? STR("[\"generateContent\",\"countTokens\",\"embedContent\"]")
		       : STR("[\"generateContent\",\"countTokens\"]");
}

static void put_model(struct jw *w, const struct model_info *m)
{
	jw_obj(w);
	jw_key(w, "name");
	jw_raw(w, STR(""));
	buf_puts(w->out, "\"models/");
	json_escape(w->out, m->id);
	buf_putc(w->out, '"');
	jw_kstr(w, "displayName", m->id);
	jw_kstr(w, "description", m->owner);
	jw_kcstr(w, "version", "001");
	if (m->context > 0)
		jw_ki64(w, "inputTokenLimit", m->context);
	if (m->max_output > 0)
		jw_ki64(w, "outputTokenLimit", m->max_output);
	jw_kraw(w, "supportedGenerationMethods", methods(m));
	jw_end_obj(w);
}

/* `next`: the token for the page behind; absent when there is none. */
static void put_list(const struct model_info *models, unsigned n, struct str next, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_key(&w, "models");
	jw_arr(&w);
	for (unsigned i = 0; i < n; i++)
		put_model(&w, &models[i]);
	jw_end_arr(&w);
	if (str_present(next))
		jw_kstr(&w, "nextPageToken", next);
	jw_end_obj(&w);
}

void gm_encode_models(const struct model_info *models, unsigned n, struct buf *out)
{
	put_list(models, n, STR_NONE, out);
}

/* `pageSize`, `pageToken`: the token is the last model of the page before, so that a list that grows in between loses none. Without a
 * size all there are. */
int gm_encode_models_page(struct arena *a, const struct request_line *line,
			  const struct model_info *models, unsigned n, struct buf *out,
			  struct err *reterr)
{
	struct str size_text = query_get(a, line->query, "pageSize");
	struct str after = query_get(a, line->query, "pageToken");
	int64_t size = 0;
	unsigned from = 0;

	if (str_present(size_text) && (!str_to_i64(size_text, &size) || size < 0))
		return err_param(reterr, RC_INVALID, "pageSize",
				 "pageSize: there are no pages of that size");
	if (after.len) {
		while (from < n && !str_eq(models[from].id, after))
			from++;
		if (from == n)
			return err_param(reterr, RC_INVALID, "pageToken",
					 "pageToken: it belongs to no page of this list");
		from++;
	}
	if (size == 0 || size > n - from)
		size = n - from;
	put_list(models + from, (unsigned)size,
		 size > 0 && from + size < n ? models[from + size - 1].id : STR_NONE, out);
	return RC_OK;
}

struct str gm_next_models(struct arena *a, struct str body)
{
	struct str token = json_str(gm_get(json_parse(a, body, NULL), "nextPageToken"));

	return token.len ? query_put(a, "pageToken", token) : STR_NONE;
}

void gm_encode_model(const struct model_info *model, struct buf *out)
{
	struct jw w = jw_on(out);

	put_model(&w, model);
}

int gm_decode_models(struct arena *a, struct str body, struct str **ret_ids, unsigned *ret_n,
		     struct err *reterr)
{
	const json *root, *list;
	struct json_iter it;
	struct str *ids;
	unsigned n = 0;
	int rc = gm_parse(a, body, &root, reterr);

	if (rc)
		return rc;
	list = gm_get(root, "models");
	if (!list)
		list = gm_get(root, "publisherModels"); /* Vertex */
	if (!json_is_arr(list))
		return err_set(reterr, RC_SYNTAX, "the model list has no \"models\" array");
	ids = arena_array(a, json_len(list) + 1, sizeof(*ids));
	if (!ids)
		return err_set(reterr, RC_NOMEM, "out of memory");
	it = json_iter(list);
	while (json_next(&it)) {
		struct str id = gm_model_name(json_str(gm_get(it.val, "name")));

		if (id.len)
			ids[n++] = id;
	}
	*ret_ids = ids;
	*ret_n = n;
	return RC_OK;
}

/* --- token counts --- */

/* The Gemini API counts bare contents, or a whole request, which names its model. */
static void put_whole(struct jw *w, const json *request, struct str model)
{
	struct json_iter it = json_iter(request);

	jw_obj(w);
	jw_key(w, "generateContentRequest");
	jw_obj(w);
	jw_key(w, "model");
	jw_raw(w, STR("\"models/"));
	json_escape(w->out, model);
	buf_putc(w->out, '"');
	while (json_next(&it)) {
		if (str_eq(it.key, STR("model")))
			continue;
		jw_key_str(w, it.key);
		jw_raw(w, STR(""));
		json_write(w->out, it.val);
	}
	jw_end_obj(w);
	jw_end_obj(w);
}

/* Vertex AI knows no request inside, and refuses members that are not about the prompt. */
static void put_bare(struct jw *w, const json *request)
{
	static const char *const counted[] = { "contents", "systemInstruction", "tools",
					       "generationConfig" };

	jw_obj(w);
	for (unsigned i = 0; i < sizeof(counted) / sizeof(*counted); i++) {
		const json *v = gm_get(request, counted[i]);

		if (!v)
			continue;
		jw_key_str(w, str_from(counted[i]));
		jw_raw(w, STR(""));
		json_write(w->out, v);
	}
	jw_end_obj(w);
}

int gm_encode_count_request(struct arena *a, struct str request, struct str model,
			    enum count_form form, struct buf *out)
{
	const json *root = json_parse(a, request, NULL);
	struct jw w = jw_on(out);

	if (!root)
		return RC_NOMEM;
	if (form == COUNT_VERTEX)
		put_bare(&w, root);
	else
		put_whole(&w, root, model);
	return RC_OK;
}

/* More than the Gemini API counts without a request around it. */
static bool says_more_than_contents(const json *root)
{
	struct json_iter it = json_iter(root);

	while (json_next(&it))
		if (!str_eq(it.key, STR("contents")))
			return true;
	return false;
}

int gm_fit_count_request(struct arena *a, struct str body, struct str model, enum count_form form,
			 struct buf *out)
{
	const json *root = json_parse(a, body, NULL), *inner;
	struct jw w = jw_on(out);

	if (!root)
		return RC_NOMEM;
	inner = gm_get(root, "generateContentRequest");
	if (form == COUNT_VERTEX && json_is_obj(inner))
		put_bare(&w, inner);
	else if (form == COUNT_OWN && !inner && says_more_than_contents(root))
		put_whole(&w, root, model);
	else
		buf_put(out, body);
	return RC_OK;
}

void gm_encode_token_count(int64_t input_tokens, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_ki64(&w, "totalTokens", input_tokens);
	jw_end_obj(&w);
}

int64_t gm_decode_token_count(struct arena *scratch, struct str body)
{
	const json *root = json_parse(scratch, body, NULL);
	int64_t n;

	if (json_is_obj(root) && json_len(root) == 0)
		return 0; /* the vendor leaves zeros out */
	return json_i64(gm_get(root, "totalTokens"), &n) ? n : -1;
}
