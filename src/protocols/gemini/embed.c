/* protocols/gemini/embed.c - embedContent and batchEmbedContents, both ways.
 *
 * The one hard thing: a batch is a list of whole requests, each with a model and options of its own; everybody else has one set of
 * options for all texts. Upstream it is always a batch, so that one input and many go one way. */
#include "protocols/gemini/gemini.h"
#include "protocols/vectors.h"

enum { MAX_EXTRAS = 16 };

/* --- requests in --- */

struct reader {
	struct arena *arena;
	struct ir_embed_request *r;
	struct err *reterr;
};

static int refuse(const struct reader *d, const char *param, const char *what)
{
	return err_param(d->reterr, RC_INVALID, param, "%s: %s", param, what);
}

static int no_memory(struct err *reterr)
{
	return err_set(reterr, RC_NOMEM, "out of memory");
}

/* The texts of a Content, one after another. */
static int read_text(const struct reader *d, const json *content, struct str *ret)
{
	struct json_iter it = json_iter(gm_get(content, "parts"));
	struct buf b;

	if (json_is_str(content)) {
		*ret = json_str(content);
		return RC_OK;
	}
	buf_init(&b, SIZE_MAX / 4);
	while (json_next(&it)) {
		const json *text = gm_get(it.val, "text");

		if (!json_is_str(text)) {
			buf_done(&b);
			return refuse(d, "content", "only texts can be embedded by this model");
		}
		buf_put(&b, json_str(text));
	}
	*ret = buf_ok(&b) ? arena_dup(d->arena, buf_str(&b)) : STR_NONE;
	buf_done(&b);
	if (!str_present(*ret))
		return no_memory(d->reterr);
	return ret->len ? RC_OK : refuse(d, "content", "content is empty");
}

static int read_dimensions(const struct reader *d, const json *v, bool first)
{
	int64_t n = IR_UNSET;

	if (v && (!json_i64(v, &n) || n <= 0))
		return refuse(d, "outputDimensionality", "should be a whole number above 0");
	if (!first && n != d->r->dimensions)
		return refuse(d, "outputDimensionality", "should be the same in all requests");
	d->r->dimensions = n;
	return RC_OK;
}

/* What we have no place for, each name once; only to be disclosed. */
static int note_rest(const struct reader *d, const json *v)
{
	static const char *const known[] = { "model",    "content",
					     "taskType", "title",
					     "provider", "outputDimensionality",
					     "requests", "embedContentConfig" };
	struct ir_embed_request *r = d->r;
	struct json_iter it = json_iter(v);

	while (json_next(&it)) {
		bool skip = json_is_null(it.val) || r->n_extras == MAX_EXTRAS;

		for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
			skip = skip || gm_is(it.key, known[i]);
		for (unsigned i = 0; i < r->n_extras; i++)
			skip = skip || str_eq(it.key, r->extras[i].name);
		if (skip)
			continue;
		if (!r->extras)
			r->extras = arena_array(d->arena, MAX_EXTRAS, sizeof(*r->extras));
		if (!r->extras)
			return no_memory(d->reterr);
		r->extras[r->n_extras++] = (struct ir_extra){ .name = it.key };
	}
	return RC_OK;
}

static int read_one(const struct reader *d, const json *v)
{
	struct ir_embed_input *in = &d->r->inputs[d->r->n_inputs];
	const json *config = gm_get(v, "embedContentConfig");
	int rc = note_rest(d, v);

	if (!rc && config)
		rc = note_rest(d, config);
	if (!config)
		config = v;
	if (!rc)
		rc = read_text(d, gm_get(v, "content"), &in->text);
	if (!rc)
		rc = read_dimensions(d, gm_get(config, "outputDimensionality"),
				     d->r->n_inputs == 0);
	in->task = json_str(gm_get(config, "taskType"));
	in->title = json_str(gm_get(config, "title"));
	d->r->n_inputs++;
	return rc;
}

static int decode_request(struct arena *a, const struct request_line *line, struct str body,
			  struct ir_embed_request **ret, struct err *reterr)
{
	struct reader d = { .arena = a, .reterr = reterr };
	bool batch = line->variant == GM_BATCH;
	const json *root, *list;
	struct json_iter it;
	int rc = gm_parse(a, body, &root, reterr);

	if (rc)
		return rc;
	list = gm_get(root, "requests");
	d.r = arena_alloc(a, sizeof(*d.r));
	if (!d.r)
		return no_memory(reterr);
	*d.r = (struct ir_embed_request){ .model = gm_model_name(line->arg),
					  .dimensions = IR_UNSET,
					  .single = !batch,
					  .origin = GM_NAME };
	if (batch && json_len(list) == 0)
		return refuse(&d, "requests", "at least one request is needed");
	d.r->inputs = arena_array(a, (batch ? json_len(list) : 0) + 1, sizeof(*d.r->inputs));
	if (!d.r->inputs)
		return no_memory(reterr);
	it = json_iter(list);
	if (batch)
		rc = note_rest(&d, root);
	if (!batch)
		rc = read_one(&d, root);
	while (batch && !rc && json_next(&it))
		rc = read_one(&d, it.val);
	*ret = d.r;
	return rc;
}

/* --- requests out --- */

static void put_input(struct jw *w, const struct ir_embed_request *r,
		      const struct ir_embed_input *in, struct str model)
{
	jw_obj(w);
	jw_key(w, "model");
	jw_raw(w, STR(""));
	buf_puts(w->out, "\"models/");
	json_escape(w->out, model);
	buf_putc(w->out, '"');
	jw_key(w, "content");
	jw_obj(w);
	jw_key(w, "parts");
	jw_arr(w);
	jw_obj(w);
	jw_kstr(w, "text", in->text);
	jw_end_obj(w);
	jw_end_arr(w);
	jw_end_obj(w);
	if (in->task.len)
		jw_kstr(w, "taskType", in->task);
	if (in->title.len)
		jw_kstr(w, "title", in->title);
	if (r->dimensions != IR_UNSET)
		jw_ki64(w, "outputDimensionality", r->dimensions);
	jw_end_obj(w);
}

static int encode_request(struct arena *a, const struct ir_embed_request *r,
			  const struct request_target *t, struct buf *out, struct ir_losses *losses,
			  struct err *reterr)
{
	struct jw w = jw_on(out);

	(void)a;
	jw_obj(&w);
	jw_key(&w, "requests");
	jw_arr(&w);
	for (unsigned i = 0; i < r->n_inputs; i++) {
		if (!str_present(r->inputs[i].text))
			return err_param(reterr, RC_UNSUPPORTED, "input",
					 "input: the provider embeds texts, not tokens of another "
					 "vendor's models");
		put_input(&w, r, &r->inputs[i], t->model);
	}
	jw_end_arr(&w);
	jw_end_obj(&w);
	if (r->user.len)
		ir_loss(losses, STR("user"));
	for (unsigned i = 0; i < r->n_extras; i++)
		ir_loss(losses, r->extras[i].name);
	return buf_ok(out) && !losses->failed ? RC_OK : no_memory(reterr);
}

/* --- answers --- */

static void read_usage(const json *root, struct ir_usage *ret)
{
	*ret = IR_USAGE_NONE;
	gm_usage_read(gm_get(root, "usageMetadata"), ret);
}

static int decode_response(struct arena *a, const struct ir_embed_request *r, struct str body,
			   struct ir_embed_response **ret, struct err *reterr)
{
	struct ir_embed_response *e = arena_alloc(a, sizeof(*e));
	const json *root, *list, *one;
	struct json_iter it;
	int rc = e ? gm_parse(a, body, &root, reterr) : no_memory(reterr);

	(void)r;
	if (rc)
		return rc;
	list = gm_get(root, "embeddings");
	one = gm_get(root, "embedding");
	if (!json_is_arr(list) && !one)
		return err_set(reterr, RC_SYNTAX, "the provider's answer holds no embeddings");
	e->vectors = arena_array(a, json_len(list) + 1, sizeof(*e->vectors));
	if (!e->vectors)
		return no_memory(reterr);
	if (one)
		rc = vector_read(a, gm_get(one, "values"), &e->vectors[e->n_vectors++]);
	it = json_iter(list);
	while (!rc && json_next(&it))
		rc = vector_read(a, gm_get(it.val, "values"), &e->vectors[e->n_vectors++]);
	if (rc)
		return err_set(reterr, (enum rc)rc, "the provider's answer holds a broken vector");
	read_usage(root, &e->usage);
	*ret = e;
	return RC_OK;
}

static void put_vector(struct jw *w, const struct ir_vector *v)
{
	jw_obj(w);
	jw_key(w, "values");
	jw_raw(w, STR(""));
	vector_put_json(w->out, v);
	jw_end_obj(w);
}

static int encode_response(const struct ir_embed_request *r, const struct ir_embed_response *e,
			   struct str model, struct buf *out)
{
	struct jw w = jw_on(out);

	(void)model;
	jw_obj(&w);
	if (r->single) {
		jw_key(&w, "embedding");
		put_vector(&w, &e->vectors[0]);
	} else {
		jw_key(&w, "embeddings");
		jw_arr(&w);
		for (unsigned i = 0; i < e->n_vectors; i++)
			put_vector(&w, &e->vectors[i]);
		jw_end_arr(&w);
	}
	if (e->usage.input >= 0) {
		jw_key(&w, "usageMetadata");
		jw_obj(&w);
		jw_ki64(&w, "promptTokenCount", e->usage.input);
		jw_end_obj(&w);
	}
	jw_end_obj(&w);
	return buf_ok(out) ? RC_OK : RC_NOMEM;
}

static bool tap_body(struct arena *scratch, struct str body, struct ir_usage *ret)
{
	const json *root = json_parse(scratch, body, NULL);

	if (!json_is_arr(gm_get(root, "embeddings")) && !gm_get(root, "embedding"))
		return false;
	read_usage(root, ret);
	return true;
}

const struct embed_codec gm_embed = {
	.max_inputs = 100,
	.decode_request = decode_request,
	.encode_request = encode_request,
	.decode_response = decode_response,
	.encode_response = encode_response,
	.tap_body = tap_body,
};
