/* protocols/openai_chat/embeddings.c - OpenAI's Embeddings API, both ways.
 *
 * The hard thing is the order: vectors belong to inputs by `index`, which some servers leave at 0 for all and others
 * send in the order in which they got ready (trap 99). */
#include "protocols/glance.h"
#include "protocols/openai_chat/openai_chat.h"
#include "protocols/vectors.h"

static const struct oc_path input_path = { .member = "input" };

/* --- requests --- */

static int read_tokens(const struct oc_reader *r, const json *list, const struct oc_path *at,
		       struct ir_embed_input *ret)
{
	struct json_iter it = json_iter(list);
	int64_t *tokens = arena_array(r->arena, json_len(list) + 1, sizeof(*tokens));

	if (!tokens)
		return oc_nomem(r);
	if (json_len(list) == 0)
		return oc_refuse(r, at, "it must not be empty.");
	for (unsigned i = 0; json_next(&it); i++) {
		struct oc_path p = oc_path_index(at, i);

		if (!json_i64(it.val, &tokens[i]))
			return oc_refuse_type(r, &p, "an integer", it.val);
	}
	ret->tokens = tokens;
	ret->n_tokens = (unsigned)json_len(list);
	return RC_OK;
}

static int read_input(const struct oc_reader *r, const json *v, const struct oc_path *at,
		      struct ir_embed_input *ret)
{
	if (json_is_arr(v))
		return read_tokens(r, v, at, ret);
	ret->text = json_str(v);
	return json_is_str(v) ? RC_OK : oc_refuse_type(r, at, "a string or an array of tokens", v);
}

/* A text, tokens, or a list of either. */
static int read_inputs(const struct oc_reader *r, const json *v, struct ir_embed_request *q)
{
	struct json_iter it = json_iter(v);
	bool tokens = json_is_arr(v) && json_next(&it) && json_is_num(it.val);
	int rc = RC_OK;

	q->single = tokens || json_is_str(v);
	if (!q->single && !json_is_arr(v))
		return oc_refuse_type(r, &input_path, "a string or an array", v);
	if (!q->single && json_len(v) == 0)
		return oc_refuse(r, &input_path, "it must not be empty.");
	q->n_inputs = q->single ? 1 : (unsigned)json_len(v);
	q->inputs = arena_array(r->arena, q->n_inputs, sizeof(*q->inputs));
	if (!q->inputs)
		return oc_nomem(r);
	if (q->single)
		return read_input(r, v, &input_path, &q->inputs[0]);
	it = json_iter(v);
	for (unsigned i = 0; !rc && json_next(&it); i++) {
		struct oc_path p = oc_path_index(&input_path, i);

		rc = read_input(r, it.val, &p, &q->inputs[i]);
	}
	return rc;
}

static int read_encoding(const struct oc_reader *r, const json *v, struct ir_embed_request *q)
{
	const struct oc_path at = { .member = "encoding_format" };

	q->base64 = str_eq(json_str(v), STR("base64"));
	if (q->base64 || str_eq(json_str(v), STR("float")))
		return RC_OK;
	return oc_refuse(r, &at, "supported values are 'float' and 'base64'.");
}

static int read_member(const struct oc_reader *r, struct str name, const json *v,
		       struct ir_embed_request *q)
{
	const struct oc_path at = { .member = name.ptr };

	if (json_is_null(v))
		return RC_OK;
	if (str_eq(name, STR("model"))) {
		q->model = json_str(v);
		return q->model.len ? RC_OK : oc_refuse_type(r, &at, "a model's name", v);
	}
	if (str_eq(name, STR("input")))
		return read_inputs(r, v, q);
	if (str_eq(name, STR("encoding_format")))
		return read_encoding(r, v, q);
	if (str_eq(name, STR("dimensions")))
		return json_i64(v, &q->dimensions) ? RC_OK
						   : oc_refuse_type(r, &at, "an integer", v);
	if (str_eq(name, STR("user"))) {
		q->user = json_str(v);
		return json_is_str(v) ? RC_OK : oc_refuse_type(r, &at, "a string", v);
	}
	if (str_eq(name, STR("provider")) && json_is_str(v)) /* our own pin */
		return RC_OK;
	q->extras[q->n_extras] = (struct ir_extra){ name, json_text(r->arena, v) };
	return q->extras[q->n_extras++].raw.ptr ? RC_OK : oc_nomem(r);
}

static int decode_request(struct arena *a, const struct request_line *line, struct str body,
			  struct ir_embed_request **ret, struct err *reterr)
{
	const struct oc_reader r = { .arena = a, .reterr = reterr };
	const struct oc_path model = { .member = "model" };
	struct ir_embed_request *q = arena_alloc(a, sizeof(*q));
	const json *root;
	struct json_iter it;
	int rc = oc_parse(a, body, &root, reterr);

	if (rc)
		return rc;
	if (!json_is_obj(root))
		return err_set(reterr, RC_INVALID, "the request body must be a JSON object");
	if (q)
		q->extras = arena_array(a, json_len(root) + 1, sizeof(*q->extras));
	if (!q || !q->extras)
		return oc_nomem(&r);
	q->origin = OC_NAME;
	q->dimensions = IR_UNSET;
	it = json_iter(root);
	while (!rc && json_next(&it))
		rc = read_member(&r, it.key, it.val, q);
	if (str_present(line->arg)) /* the path names it: Azure's deployments */
		q->model = line->arg;
	if (!rc && !str_present(q->model))
		rc = oc_refuse_type(&r, &model, "", NULL);
	if (!rc && !q->n_inputs)
		rc = oc_refuse_type(&r, &input_path, "", NULL);
	if (!rc)
		*ret = q;
	return rc;
}

static void put_input(struct jw *w, const struct ir_embed_input *in)
{
	if (!in->tokens) {
		jw_str(w, in->text);
		return;
	}
	jw_arr(w);
	for (unsigned i = 0; i < in->n_tokens; i++)
		jw_i64(w, in->tokens[i]);
	jw_end_arr(w);
}

static void put_inputs(struct jw *w, const struct ir_embed_request *r, struct ir_losses *losses)
{
	jw_key(w, "input");
	if (!r->single)
		jw_arr(w);
	for (unsigned i = 0; i < r->n_inputs; i++) {
		put_input(w, &r->inputs[i]);
		if (str_present(r->inputs[i].task))
			ir_loss(losses, STR("taskType"));
		if (str_present(r->inputs[i].title))
			ir_loss(losses, STR("title"));
	}
	if (!r->single)
		jw_end_arr(w);
}

static int encode_request(struct arena *a, const struct ir_embed_request *r,
			  const struct request_target *t, struct buf *out, struct ir_losses *losses,
			  struct err *reterr)
{
	struct jw w = jw_on(out);

	(void)a;
	jw_obj(&w);
	jw_kstr(&w, "model", t->model);
	put_inputs(&w, r, losses);
	if (r->dimensions != IR_UNSET)
		jw_ki64(&w, "dimensions", r->dimensions);
	if (r->base64) /* numbers are what everybody sends who is not told */
		jw_kcstr(&w, "encoding_format", "base64");
	if (str_present(r->user))
		jw_kstr(&w, "user", r->user);
	for (unsigned i = 0; i < r->n_extras; i++) {
		if (oc_minted(r->origin)) {
			jw_key_str(&w, r->extras[i].name);
			jw_raw(&w, r->extras[i].raw);
		} else {
			ir_loss(losses, r->extras[i].name);
		}
	}
	jw_end_obj(&w);
	return buf_ok(out) && !losses->failed
		       ? RC_OK
		       : err_set(reterr, RC_NOMEM, "the request needs more memory than it may use");
}

/* --- answers --- */

/* Where the vector belongs: its index, where all indices are there once each, else its place in the list. */
static unsigned *places_of(struct arena *a, const json *data)
{
	unsigned n = (unsigned)json_len(data);
	unsigned *places = arena_array(a, n + 1, sizeof(*places));
	bool *seen = arena_array(a, n + 1, sizeof(*seen)), whole = true;
	struct json_iter it = json_iter(data);

	if (!places || !seen)
		return NULL;
	for (unsigned i = 0; json_next(&it); i++) {
		int64_t index = -1;

		whole = whole && json_i64(json_get(it.val, STR("index")), &index) && index >= 0 &&
			index < n && !seen[index];
		if (!whole)
			break;
		seen[index] = true;
		places[i] = (unsigned)index;
	}
	for (unsigned i = 0; !whole && i < n; i++)
		places[i] = i;
	return places;
}

static int decode_response(struct arena *a, const struct ir_embed_request *r, struct str body,
			   struct ir_embed_response **ret, struct err *reterr)
{
	struct ir_embed_response *e = arena_alloc(a, sizeof(*e));
	const json *root, *data;
	struct json_iter it;
	unsigned *places;
	int rc = oc_parse(a, body, &root, reterr);

	if (rc)
		return rc;
	data = json_get(root, STR("data"));
	if (!json_is_arr(data))
		return err_set(reterr, RC_SYNTAX, "the provider's answer holds no embeddings");
	places = places_of(a, data);
	if (e)
		e->vectors = arena_array(a, json_len(data) + 1, sizeof(*e->vectors));
	if (!e || !e->vectors || !places)
		return RC_NOMEM;
	e->usage = IR_USAGE_NONE;
	oc_usage_read(json_get(root, STR("usage")), &e->usage);
	it = json_iter(data);
	while (!rc && json_next(&it)) {
		const json *v = json_get(it.val, STR("embedding"));

		/* Base64 that nobody asked for may hold anything: Perplexity's holds int8. */
		rc = json_is_str(v) && !r->base64
			     ? RC_SYNTAX
			     : vector_read(a, v, &e->vectors[places[e->n_vectors++]]);
	}
	if (!rc)
		*ret = e;
	return rc == RC_SYNTAX ? err_set(reterr, rc, "an embedding is no list of numbers") : rc;
}

static int encode_response(const struct ir_embed_request *r, const struct ir_embed_response *e,
			   struct str model, struct buf *out)
{
	struct jw w = jw_on(out);
	int64_t tokens = e->usage.input < 0 ? 0 : e->usage.input;

	jw_obj(&w);
	jw_kcstr(&w, "object", "list");
	jw_key(&w, "data");
	jw_arr(&w);
	for (unsigned i = 0; i < e->n_vectors; i++) {
		jw_obj(&w);
		jw_kcstr(&w, "object", "embedding");
		jw_ki64(&w, "index", i);
		jw_key(&w, "embedding");
		if (r->base64) {
			jw_raw(&w, STR("\""));
			vector_put_base64(out, &e->vectors[i]);
			buf_putc(out, '"');
		} else {
			jw_raw(&w, STR(""));
			vector_put_json(out, &e->vectors[i]);
		}
		jw_end_obj(&w);
	}
	jw_end_arr(&w);
	jw_kstr(&w, "model", model);
	jw_key(&w, "usage");
	jw_obj(&w);
	jw_ki64(&w, "prompt_tokens", tokens);
	jw_ki64(&w, "total_tokens", tokens);
	jw_end_obj(&w);
	jw_end_obj(&w);
	return buf_ok(out) ? RC_OK : RC_NOMEM;
}

/* As with any relayed body: the client reads it, here it is only glanced at. */
static bool tap_body(struct arena *scratch, struct str body, struct ir_usage *ret)
{
	struct str data = glance_last(body, STR("\"data\""));

	(void)scratch;
	if (!glance_is_object(body) || data.len == 0 || data.ptr[0] != '[')
		return false;
	oc_usage_glance(glance_last(body, STR("\"usage\"")), ret);
	return true;
}

const struct embed_codec oc_embed = {
	.decode_request = decode_request,
	.encode_request = encode_request,
	.decode_response = decode_response,
	.encode_response = encode_response,
	.tap_body = tap_body,
};
