/* protocols/openai_chat/models.c - the list of models, written for clients and read from providers. */
#include "protocols/openai_chat/openai_chat.h"

enum { MAX_MODELS = 10000 };

static void put_can(struct jw *w, const char *name, enum ir_tri can)
{
	if (can != IR_TRI_UNSET)
		jw_kbool(w, name, can == IR_TRUE);
}

static void put_model(struct jw *w, const struct model_info *m)
{
	jw_obj(w);
	jw_kstr(w, "id", m->id);
	jw_kcstr(w, "object", "model");
	jw_ki64(w, "created", m->created_s);
	jw_kstr(w, "owned_by", str_present(m->owner) ? m->owner : STR(""));
	if (m->context > 0)
		jw_ki64(w, "context_length", m->context);
	if (m->max_output > 0)
		jw_ki64(w, "max_output_tokens", m->max_output);
	if (m->tools != IR_TRI_UNSET) {
		jw_key(w, "capabilities");
		jw_obj(w);
		put_can(w, "vision", m->vision);
		put_can(w, "tools", m->tools);
		put_can(w, "reasoning", m->reasoning);
		if (m->embeds)
			jw_kbool(w, "embeddings", true);
		jw_end_obj(w);
	}
	jw_end_obj(w);
}

void oc_encode_models(const struct model_info *models, unsigned n, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_kcstr(&w, "object", "list");
	jw_key(&w, "data");
	jw_arr(&w);
	for (unsigned i = 0; i < n; i++)
		put_model(&w, &models[i]);
	jw_end_arr(&w);
	jw_end_obj(&w);
}

void oc_encode_model(const struct model_info *model, struct buf *out)
{
	struct jw w = jw_on(out);

	put_model(&w, model);
}

/* `{"data":[{"id"}]}` as OpenAI has it; some servers say `models`, or send the bare list (Together). */
int oc_decode_models(struct arena *a, struct str body, struct str **ret_ids, unsigned *ret_n,
		     struct err *reterr)
{
	const json *root, *list;
	struct json_iter it;
	struct str *ids;
	unsigned n = 0;
	int rc = oc_parse(a, body, &root, reterr);

	if (rc)
		return rc;
	list = json_is_arr(root) ? root : json_get(root, STR("data"));
	if (!json_is_arr(list))
		list = json_get(root, STR("models"));
	if (!json_is_arr(list))
		return err_set(reterr, RC_SYNTAX, "the answer holds no list of models");
	ids = arena_array(a, json_len(list) + 1, sizeof(*ids));
	if (!ids)
		return err_set(reterr, RC_NOMEM, "the list of models is too long");
	it = json_iter(list);
	while (n < MAX_MODELS && json_next(&it)) {
		struct str id = json_str(json_get(it.val, STR("id")));

		if (!id.len)
			id = json_str(json_get(it.val, STR("name")));
		if (!id.len)
			continue;
		ids[n] = arena_dup(a, id);
		if (!ids[n++].ptr)
			return err_set(reterr, RC_NOMEM, "the list of models is too long");
	}
	*ret_ids = ids;
	*ret_n = n;
	return RC_OK;
}
