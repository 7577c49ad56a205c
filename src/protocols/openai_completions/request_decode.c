/* protocols/openai_completions/request_decode.c - a prompt as a conversation of one turn, several as one each.
 *
 * The hard thing is what a model that only converses cannot do: read another tokenizer's tokens, say how likely the prompt
 * itself was. That is refused here, where the prompt is read, for it is the
 * same for every such target; a provider that speaks this format gets the client's own bytes and none of this applies. */
#include "protocols/openai_completions/openai_completions.h"

static const struct oc_path prompt_path = { .member = "prompt" };

/* A turn of the user for each text; those of a list are answered apart. */
static int read_texts(const struct oc_reader *r, const json *v, size_t n, struct ir_request *q)
{
	struct ir_message *m = arena_array(r->arena, n, sizeof(*m));
	struct ir_part *p = arena_array(r->arena, n, sizeof(*p));
	struct json_iter it = json_iter(v);

	if (!m || !p)
		return oc_nomem(r);
	for (unsigned i = 0; i < n; i++) {
		const json *text = json_next(&it) ? it.val : v; /* no list: it is the one text */
		const struct oc_path at = oc_path_index(&prompt_path, i);

		if (!json_is_str(text))
			return oc_refuse_type(r, &at, "a string", text);
		p[i] = (struct ir_part){ .kind = IR_PART_TEXT, .text = json_str(text) };
		m[i] = (struct ir_message){ .role = IR_ROLE_USER, .parts = &p[i], .n_parts = 1 };
	}
	q->messages = m;
	q->n_messages = 1;
	if (n > 1) {
		q->prompts = m;
		q->n_prompts = (unsigned)n;
	}
	return RC_OK;
}

static int read_prompt(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	struct json_iter it = json_iter(v);

	if (json_is_str(v))
		return read_texts(r, v, 1, q);
	if (!json_is_arr(v))
		return oc_refuse_type(r, &prompt_path, "a string or an array", v);
	if (!json_next(&it))
		return oc_refuse(r, &prompt_path, "it must not be empty.");
	if (json_is_num(it.val) || json_is_arr(it.val))
		return oc_refuse(
			r, &prompt_path,
			"tokens mean something only to the model they were made for, and this "
			"one's provider takes text. Send the text.");
	if (json_len(v) > IR_PROMPTS_MAX)
		return err_param(r->reterr, RC_INVALID, "prompt",
				 "Invalid value for 'prompt': this model's provider answers one "
				 "prompt at a time, and is asked for %d of one request at most. "
				 "Send several requests.",
				 IR_PROMPTS_MAX);
	return read_texts(r, v, json_len(v), q);
}

static int read_logprobs(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { .member = "logprobs" };

	if (!json_i64(v, &q->top_logprobs))
		return oc_refuse_type(r, &at, "an integer", v);
	if (q->top_logprobs < 0)
		return oc_refuse(r, &at, "it must not be negative.");
	q->logprobs = IR_TRUE;
	return RC_OK;
}

/* So many tries of which the best `n` are given back: no more than those is what happens anyway, more stays an extra, to be
 * disclosed. */
static int read_best_of(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { .member = "best_of" };
	int64_t best_of, answers = ir_request_answers(q);

	if (!json_i64(v, &best_of))
		return oc_refuse_type(r, &at, "an integer", v);
	if (best_of < answers && answers > 1)
		return oc_refuse(r, &at, "it must not be less than n.");
	if (best_of <= answers)
		return RC_OK;
	if (!q->extras) /* there are no others; where there are, there is room for one for each member */
		q->extras = arena_array(r->arena, 1, sizeof(*q->extras));
	if (!q->extras)
		return oc_nomem(r);
	q->extras[q->n_extras] = (struct ir_extra){ STR("best_of"), json_text(r->arena, v) };
	return q->extras[q->n_extras++].raw.ptr ? RC_OK : oc_nomem(r);
}

/* The prompt's own text is put before the answer by our encoder, which finds `echo` in the raw body. */
static int read_echo(const struct oc_reader *r, const json *v, struct ir_request *q)
{
	const struct oc_path at = { .member = "echo" };

	if (!json_is_bool(v))
		return oc_refuse_type(r, &at, "a boolean", v);
	if (json_bool(v, false) && q->logprobs == IR_TRUE)
		return oc_refuse(
			r, &at,
			"together with logprobs it asks how likely the prompt is, which this "
			"model's provider does not say.");
	return RC_OK;
}

/* In the order of reading. */
static const struct oc_member members[] = {
	OC_MEMBER("model", OC_STRING, model),
	OC_MEMBER("stream", OC_FLAG, stream),
	OC_CALLS("stream_options", oc_read_stream_options),
	OC_MEMBER("max_tokens", OC_INTEGER, max_tokens),
	OC_MEMBER("temperature", OC_NUMBER, temperature),
	OC_MEMBER("top_p", OC_NUMBER, top_p),
	OC_MEMBER("frequency_penalty", OC_NUMBER, frequency_penalty),
	OC_MEMBER("presence_penalty", OC_NUMBER, presence_penalty),
	OC_MEMBER("top_k", OC_INTEGER, top_k),
	OC_MEMBER("seed", OC_INTEGER, seed),
	OC_MEMBER("n", OC_INTEGER, n),
	OC_CALLS("logprobs", read_logprobs),
	OC_CALLS("stop", oc_read_stop),
	OC_MEMBER("logit_bias", OC_OBJECT, logit_bias),
	OC_MEMBER("suffix", OC_STRING, suffix),
	OC_MEMBER("user", OC_STRING, user),
	OC_CALLS("echo", read_echo),
	OC_CALLS("prompt", read_prompt),
	OC_MEMBER("best_of", OC_SKIP, n),
	OC_MEMBER("provider", OC_PIN, model),
};

static const struct shape shape[] = { SHAPE_IN("stream_options", oc_stream_options_shape),
				      SHAPE_END };

enum { N_MEMBERS = sizeof(members) / sizeof(*members) };

int ot_decode_request(struct arena *a, const struct request_line *line, struct str body,
		      struct ir_request **ret, struct err *reterr)
{
	const struct oc_reader r = { .arena = a, .reterr = reterr };
	const struct oc_path model = { .member = "model" };
	struct ir_request *q = arena_alloc(a, sizeof(*q));
	const json *root;
	int rc = oc_parse(a, body, &root, reterr);

	if (rc)
		return rc;
	if (!q)
		return oc_nomem(&r);
	if (!json_is_obj(root))
		return err_set(reterr, RC_INVALID,
			       "the request body must be a JSON object, but is %s",
			       json_type(root));
	ir_request_init(q);
	q->origin = OT_NAME;
	q->body = root;
	rc = oc_read_members(&r, root, members, N_MEMBERS, q);
	if (str_present(line->arg)) /* the path names it: Azure's deployments */
		q->model = line->arg;
	if (!rc && q->model.len == 0)
		rc = oc_refuse_type(&r, &model, "", NULL);
	if (!rc && !q->n_messages)
		rc = oc_refuse_type(&r, &prompt_path, "", NULL);
	if (!rc && JSON_GET(root, "best_of"))
		rc = read_best_of(&r, JSON_GET(root, "best_of"), q);
	if (!rc && !shape_note_unknown(a, root, shape, q))
		rc = oc_nomem(&r);
	if (rc)
		return rc;
	if (q->max_tokens == IR_UNSET)
		q->max_tokens = OT_DEFAULT_MAX_TOKENS;
	if (q->suffix.len == 0)
		q->suffix = STR_NONE;
	ir_request_needs(q);
	*ret = q;
	return RC_OK;
}
