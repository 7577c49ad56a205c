/* protocols/ollama/embed.c - /api/embed, and /api/embeddings, its older form for one text and one vector. */
#include "protocols/ollama/ollama.h"

#include "protocols/vectors.h"

/* --- requests --- */

static int read_inputs(const struct ol_reader *r, const json *v, const char *at,
		       struct ir_embed_request *q)
{
	struct json_iter it = json_iter(v);

	if (!json_is_str(v) && !(json_is_arr(v) && !q->single))
		return ol_refuse_type(r, at, q->single ? "a string" : "a string or a list of them",
				      v);
	if (json_is_arr(v) && json_len(v) == 0)
		return err_param(r->reterr, RC_INVALID, at, "%s must hold at least one text", at);
	q->inputs = arena_array(r->arena, json_is_arr(v) ? json_len(v) : 1, sizeof(*q->inputs));
	if (!q->inputs)
		return ol_nomem(r);
	if (json_is_str(v)) {
		q->inputs[q->n_inputs++].text = json_str(v);
		return RC_OK;
	}
	while (json_next(&it)) {
		if (!json_is_str(it.val))
			return ol_refuse_type(r, at, "a string or a list of them", it.val);
		q->inputs[q->n_inputs++].text = json_str(it.val);
	}
	return RC_OK;
}

static int read_extras(const struct ol_reader *r, const json *root, const char *input,
		       struct ir_embed_request *q)
{
	struct json_iter it = json_iter(root);

	q->extras = arena_array(r->arena, json_len(root) + 1, sizeof(*q->extras));
	if (!q->extras)
		return ol_nomem(r);
	while (json_next(&it)) {
		struct ir_extra *x = &q->extras[q->n_extras];

		if (json_is_null(it.val) || (json_is_obj(it.val) && json_len(it.val) == 0) ||
		    str_eq(it.key, STR("model")) || str_eq(it.key, STR("dimensions")) ||
		    str_eq(it.key, STR("provider")) || str_eq(it.key, str_from(input)))
			continue;
		*x = (struct ir_extra){ it.key, json_text(r->arena, it.val) };
		if (!x->raw.ptr)
			return ol_nomem(r);
		q->n_extras++;
	}
	return RC_OK;
}

static int decode_request(struct arena *a, const struct request_line *line, struct str body,
			  struct ir_embed_request **ret, struct err *reterr)
{
	const struct ol_reader r = { .arena = a, .reterr = reterr };
	const char *input = line->variant == OL_EMBEDDINGS ? "prompt" : "input";
	struct ir_embed_request *q = arena_alloc(a, sizeof(*q));
	const json *root, *dimensions;
	int rc = ol_parse(a, body, &root, reterr);

	if (rc)
		return rc;
	if (!q)
		return ol_nomem(&r);
	*q = (struct ir_embed_request){ .dimensions = IR_UNSET,
					.single = line->variant == OL_EMBEDDINGS,
					.origin = OL_CHAT_NAME };
	rc = ol_read_string(&r, root, "model", "model", &q->model);
	if (!rc && q->model.len == 0)
		return err_param(reterr, RC_INVALID, "model", "model is required");
	if (!rc)
		rc = read_inputs(&r, json_get_set(root, str_from(input)), input, q);
	dimensions = JSON_GET(root, "dimensions");
	if (!rc && dimensions && !json_i64(dimensions, &q->dimensions))
		return ol_refuse_type(&r, "dimensions", "an integer", dimensions);
	if (q->dimensions == 0) /* Ollama's word for the model's own */
		q->dimensions = IR_UNSET;
	if (!rc)
		rc = read_extras(&r, root, input, q);
	*ret = q;
	return rc;
}

static int encode_request(struct arena *a, const struct ir_embed_request *r,
			  const struct request_target *t, struct buf *out, struct ir_losses *losses,
			  struct err *reterr)
{
	struct jw w = jw_on(out);

	(void)a;
	jw_obj(&w);
	jw_kstr(&w, "model", t->model);
	jw_key(&w, "input");
	jw_arr(&w);
	for (unsigned i = 0; i < r->n_inputs; i++) {
		if (!str_present(r->inputs[i].text))
			return err_param(reterr, RC_UNSUPPORTED, "input",
					 "Ollama takes texts to embed, not lists of tokens");
		if (str_present(r->inputs[i].task))
			ir_loss(losses, STR("taskType"));
		if (str_present(r->inputs[i].title))
			ir_loss(losses, STR("title"));
		jw_str(&w, r->inputs[i].text);
	}
	jw_end_arr(&w);
	if (r->dimensions != IR_UNSET)
		jw_ki64(&w, "dimensions", r->dimensions);
	if (str_present(r->user))
		ir_loss(losses, STR("user"));
	for (unsigned i = 0; i < r->n_extras; i++) {
		if (!ol_minted(r->origin)) {
			ir_loss(losses, r->extras[i].name);
			continue;
		}
		jw_key_str(&w, r->extras[i].name);
		jw_raw(&w, r->extras[i].raw);
	}
	jw_end_obj(&w);
	return buf_ok(out)
		       ? RC_OK
		       : err_set(reterr, RC_NOMEM, "the request needs more memory than it may use");
}

/* --- answers --- */

static int decode_response(struct arena *a, const struct ir_embed_request *r, struct str body,
			   struct ir_embed_response **ret, struct err *reterr)
{
	struct ir_embed_response *e = arena_alloc(a, sizeof(*e));
	const json *root, *list, *one;
	struct json_iter it;
	int rc = ol_parse(a, body, &root, reterr);

	(void)r;
	if (rc)
		return rc;
	list = json_get(root, STR("embeddings"));
	one = json_get(root, STR("embedding"));
	if (!json_is_arr(list) && !json_is_arr(one))
		return err_set(reterr, RC_SYNTAX, "the provider's answer holds no embeddings");
	if (e)
		e->vectors = arena_array(a, json_len(list) + 1, sizeof(*e->vectors));
	if (!e || !e->vectors)
		return err_set(reterr, RC_NOMEM, "the answer needs more memory than it may use");
	it = json_iter(list);
	while (!rc && json_is_arr(list) && json_next(&it))
		rc = vector_read(a, it.val, &e->vectors[e->n_vectors++]);
	if (!json_is_arr(list))
		rc = vector_read(a, one, &e->vectors[e->n_vectors++]);
	if (rc)
		return err_set(reterr, rc, "an embedding of the provider's is no list of numbers");
	e->usage = IR_USAGE_NONE;
	ol_usage_read(root, &e->usage);
	e->usage.output = -1;
	*ret = e;
	return RC_OK;
}

static int encode_response(const struct ir_embed_request *r, const struct ir_embed_response *e,
			   struct str model, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	if (r->single) {
		jw_kraw(&w, "embedding", STR(""));
		vector_put_json(out, &e->vectors[0]);
		jw_end_obj(&w);
		return buf_ok(out) ? RC_OK : RC_NOMEM;
	}
	jw_kstr(&w, "model", model);
	jw_key(&w, "embeddings");
	jw_arr(&w);
	for (unsigned i = 0; i < e->n_vectors; i++) {
		jw_raw(&w, STR(""));
		vector_put_json(out, &e->vectors[i]);
	}
	jw_end_arr(&w);
	jw_ki64(&w, "prompt_eval_count", e->usage.input < 0 ? 0 : e->usage.input);
	jw_end_obj(&w);
	return buf_ok(out) ? RC_OK : RC_NOMEM;
}

static bool tap_body(struct arena *scratch, struct str body, struct ir_usage *ret)
{
	struct json_want w[] = { { .key = "embeddings" },
				 { .key = "embedding" },
				 { .key = "prompt_eval_count" } };
	uint64_t n;

	(void)scratch;
	if (json_scan(body, w, 3, NULL) || (w[0].first != '[' && w[1].first != '['))
		return false;
	if (w[2].first && str_to_u64(w[2].value, &n) && n <= INT64_MAX)
		ret->input = (int64_t)n;
	return true;
}

const struct embed_codec ol_embed = {
	.decode_request = decode_request,
	.encode_request = encode_request,
	.decode_response = decode_response,
	.encode_response = encode_response,
	.tap_body = tap_body,
};
