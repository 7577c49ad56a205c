/* protocols/anthropic_messages/models.c - the model list, one model, and a token count. */
#include "protocols/anthropic_messages/anthropic_messages.h"

#include "protocols/date.h"

static void put_model(struct jw *w, const struct model_info *m)
{
	jw_obj(w);
	jw_kcstr(w, "type", "model");
	jw_kstr(w, "id", m->id);
	jw_kstr(w, "display_name", m->id);
	jw_key(w, "created_at");
	date_put(w, m->created_s);
	if (m->context > 0)
		jw_ki64(w, "max_input_tokens", m->context);
	if (m->max_output > 0)
		jw_ki64(w, "max_tokens", m->max_output);
	jw_end_obj(w);
}

void am_encode_models(const struct model_info *models, unsigned n, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_key(&w, "data");
	jw_arr(&w);
	for (unsigned i = 0; i < n; i++)
		put_model(&w, &models[i]);
	jw_end_arr(&w);
	jw_kbool(&w, "has_more", false);
	jw_kstr(&w, "first_id", n ? models[0].id : STR_NONE);
	jw_kstr(&w, "last_id", n ? models[n - 1].id : STR_NONE);
	jw_end_obj(&w);
}

void am_encode_model(const struct model_info *model, struct buf *out)
{
	struct jw w = jw_on(out);

	put_model(&w, model);
}

int am_decode_models(struct arena *a, struct str body, struct str **ret_ids, unsigned *ret_n,
		     struct err *reterr)
{
	const json *root = json_parse(a, body, reterr), *data;
	struct json_iter it;
	struct str *ids;
	unsigned n = 0;

	if (!root)
		return reterr ? reterr->code : RC_SYNTAX;
	data = JSON_GET(root, "data");
	if (!json_is_arr(data))
		return err_set(reterr, RC_SYNTAX, "the model list has no \"data\" array");
	ids = arena_array(a, json_len(data) + 1, sizeof(*ids));
	if (!ids)
		return err_set(reterr, RC_NOMEM, "out of memory");
	it = json_iter(data);
	while (json_next(&it)) {
		struct str id = json_str(JSON_GET(it.val, "id"));

		if (id.len)
			ids[n++] = id;
	}
	*ret_ids = ids;
	*ret_n = n;
	return RC_OK;
}

void am_encode_token_count(int64_t input_tokens, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_ki64(&w, "input_tokens", input_tokens);
	jw_end_obj(&w);
}

int64_t am_decode_token_count(struct arena *scratch, struct str body)
{
	int64_t n;

	return json_i64(JSON_GET(json_parse(scratch, body, NULL), "input_tokens"), &n) ? n : -1;
}
