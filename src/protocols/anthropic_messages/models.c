/* protocols/anthropic_messages/models.c - the model list, one model, and a token count. */
#include "protocols/anthropic_messages/anthropic_messages.h"

#include "protocols/date.h"
#include "protocols/pick.h"

static void put_support(struct jw *w, const char *name, enum ir_tri can)
{
	jw_key(w, name);
	jw_obj(w);
	jw_kbool(w, "supported", can == IR_TRUE);
	jw_end_obj(w);
}

/* All keys the vendor has: what the gateway itself cannot do for a client is not supported. */
static void put_capabilities(struct jw *w, const struct model_info *m)
{
	jw_key(w, "capabilities");
	if (m->tools == IR_TRI_UNSET) {
		jw_null(w);
		return;
	}
	jw_obj(w);
	put_support(w, "batch", IR_FALSE);
	put_support(w, "citations", IR_FALSE);
	put_support(w, "code_execution", IR_FALSE);
	put_support(w, "context_management", IR_FALSE);
	put_support(w, "effort", m->reasoning);
	put_support(w, "image_input", m->vision);
	put_support(w, "pdf_input", IR_FALSE);
	put_support(w, "server_tools", IR_FALSE);
	put_support(w, "structured_outputs", m->tools);
	jw_key(w, "thinking");
	jw_obj(w);
	jw_kbool(w, "supported", m->reasoning == IR_TRUE);
	jw_key(w, "types");
	jw_obj(w);
	put_support(w, "adaptive", m->effort);
	put_support(w, "enabled",
		    m->reasoning == IR_TRUE && m->effort != IR_TRUE ? IR_TRUE : IR_FALSE);
	jw_end_obj(w);
	jw_end_obj(w);
	jw_end_obj(w);
}

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
	jw_kcstr(w, "lifecycle", "active");
	put_capabilities(w, m);
	jw_end_obj(w);
}

static void put_list(const struct model_info *models, unsigned n, bool more, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_key(&w, "data");
	jw_arr(&w);
	for (unsigned i = 0; i < n; i++)
		put_model(&w, &models[i]);
	jw_end_arr(&w);
	jw_kbool(&w, "has_more", more);
	jw_kstr(&w, "first_id", n ? models[0].id : STR_NONE);
	jw_kstr(&w, "last_id", n ? models[n - 1].id : STR_NONE);
	jw_end_obj(&w);
}

void am_encode_models(const struct model_info *models, unsigned n, struct buf *out)
{
	put_list(models, n, false, out);
}

/* Where in the list the model of that name stands; `n` when nowhere. */
static unsigned place_of(const struct model_info *models, unsigned n, struct str id)
{
	unsigned i = 0;

	while (i < n && !str_eq(models[i].id, id))
		i++;
	return i;
}

/* `limit`, `after_id`, `before_id` as the vendor has them; without a limit all there are, for a list of every provider's is
 * no list of twenty. */
int am_encode_models_page(struct arena *a, const struct request_line *line,
			  const struct model_info *models, unsigned n, struct buf *out,
			  struct err *reterr)
{
	struct str limit_text = query_get(a, line->query, "limit");
	struct str after = query_get(a, line->query, "after_id");
	struct str before = query_get(a, line->query, "before_id");
	unsigned from = 0, to = n;
	int64_t limit = n;

	if (str_present(limit_text) &&
	    (!str_to_i64(limit_text, &limit) || limit < 1 || limit > 1000))
		return err_param(reterr, RC_INVALID, "limit",
				 "limit: Input should be a number from 1 to 1000");
	if (str_present(after)) {
		from = place_of(models, n, after);
		if (from == n)
			return err_param(reterr, RC_INVALID, "after_id",
					 "after_id: there is no such model");
		from++;
	}
	if (str_present(before)) {
		to = place_of(models, n, before);
		if (to == n)
			return err_param(reterr, RC_INVALID, "before_id",
					 "before_id: there is no such model");
		if (to - from > limit && to > from) /* the page that ends there */
			from = to - (unsigned)limit;
	}
	if (to < from)
		to = from;
	if (to - from > limit)
		to = from + (unsigned)limit;
	put_list(models + from, to - from,
		 str_present(before) && !str_present(after) ? from > 0 : to < n, out);
	return RC_OK;
}

void am_encode_model(const struct model_info *model, struct buf *out)
{
	struct jw w = jw_on(out);

	put_model(&w, model);
}

struct str am_next_models(struct arena *a, struct str body)
{
	const json *root = json_parse(a, body, NULL);
	struct str last = json_str(JSON_GET(root, "last_id"));

	return json_bool(JSON_GET(root, "has_more"), false) && last.len
		       ? query_put(a, "after_id", last)
		       : STR_NONE;
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

/* What is only about the answer is refused there. */
int am_encode_count_request(struct arena *a, struct str request, struct str model,
			    enum count_form form, struct buf *out)
{
	static const struct str counted[] = {
		STR_INIT("model"),         STR_INIT("system"),
		STR_INIT("messages"),      STR_INIT("tools"),
		STR_INIT("tool_choice"),   STR_INIT("thinking"),
		STR_INIT("output_config"), STR_INIT("cache_control"),
		STR_INIT("mcp_servers"),   STR_INIT("context_management"),
	};

	(void)model; /* stands in the request */
	(void)form;
	return pick_request(a, request, counted, sizeof(counted) / sizeof(*counted), out);
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
