/* protocols/ollama/models.c - what models there are, what is known of one, which are loaded, and which Ollama this is like.
 *
 * Clients were written for files on a disk: they cut twelve characters off a digest and parse dates. So each member they read
 * is there, with what is true of a model behind a gateway. */
#include "protocols/ollama/ollama.h"

#include "base/hash.h"
#include "protocols/date.h"

/* The release whose API this is. Clients read it as three numbers and refuse to talk to an older one than they need (VS Code's Copilot
 * 0.6.4, Continue 0.6.5); of what is spoken here log probabilities came last, with 0.12.11. */
#define API_VERSION "0.13.0"

enum { MAX_MODELS = 20000 };

/* What stands for "never" with Ollama: as far off as its durations reach, 292 years. */
#define NEVER_S (INT64_MAX / 1000000000)

static void put_time(struct jw *w, const char *key, int64_t s)
{
	jw_key(w, key);
	date_put(w, s);
}

/* Of its name, for there is no file: the same as long as the name is. */
static void put_digest(struct jw *w, const struct model_info *m)
{
	uint8_t digest[SHA256_LEN];
	char text[2 * SHA256_LEN + 1];

	sha256(m->id, digest);
	hex_encode(digest, SHA256_LEN, text);
	jw_kcstr(w, "digest", text);
}

static void put_details(struct jw *w, const struct model_info *m)
{
	jw_key(w, "details");
	jw_obj(w);
	jw_kcstr(w, "parent_model", "");
	jw_kcstr(w, "format", "");
	jw_kstr(w, "family", m->owner);
	jw_key(w, "families");
	jw_arr(w);
	jw_str(w, m->owner);
	jw_end_arr(w);
	jw_kcstr(w, "parameter_size", "");
	jw_kcstr(w, "quantization_level", "");
	jw_end_obj(w);
}

static void put_names(struct jw *w, const struct model_info *m)
{
	jw_kstr(w, "name", m->id);
	jw_kstr(w, "model", m->id);
}

void ol_encode_models(const struct model_info *models, unsigned n, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_key(&w, "models");
	jw_arr(&w);
	for (unsigned i = 0; i < n; i++) {
		jw_obj(&w);
		put_names(&w, &models[i]);
		put_time(&w, "modified_at", models[i].created_s);
		jw_ki64(&w, "size", 0);
		put_digest(&w, &models[i]);
		put_details(&w, &models[i]);
		jw_end_obj(&w);
	}
	jw_end_arr(&w);
	jw_end_obj(&w);
}

static void put_running(const struct info_facts *f, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_key(&w, "models");
	jw_arr(&w);
	for (unsigned i = 0; i < f->n_models; i++) {
		const struct model_info *m = &f->models[i];

		if (!m->running)
			continue;
		jw_obj(&w);
		put_names(&w, m);
		jw_ki64(&w, "size", 0);
		put_digest(&w, m);
		put_details(&w, m);
		put_time(&w, "expires_at",
			 f->now_s + (m->idle_left_s < 0 ? NEVER_S : m->idle_left_s));
		jw_ki64(&w, "size_vram", 0);
		if (m->context > 0)
			jw_ki64(&w, "context_length", m->context);
		jw_end_obj(&w);
	}
	jw_end_arr(&w);
	jw_end_obj(&w);
}

/* Clients offer what they find here. Tools stand there unless it is known that the model has none: to most clients a model
 * without is of no use, and what its provider cannot take is disclosed or refused. */
static void put_capabilities(struct jw *w, const struct model_info *m)
{
	jw_key(w, "capabilities");
	jw_arr(w);
	jw_cstr(w, m->embeds ? "embedding" : "completion");
	if (!m->embeds && m->tools != IR_FALSE)
		jw_cstr(w, "tools");
	if (m->vision == IR_TRUE)
		jw_cstr(w, "vision");
	if (m->reasoning == IR_TRUE)
		jw_cstr(w, "thinking");
	jw_end_arr(w);
}

static void put_model(const struct model_info *m, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_kcstr(&w, "modelfile", "");
	jw_kcstr(&w, "parameters", "");
	jw_kcstr(&w, "template", "");
	put_details(&w, m);
	jw_key(&w, "model_info");
	jw_obj(&w);
	/* Clients look for ARCHITECTURE.context_length. */
	jw_kcstr(&w, "general.architecture", "gateway");
	jw_kstr(&w, "general.basename", m->id);
	if (m->context > 0)
		jw_ki64(&w, "gateway.context_length", m->context);
	jw_end_obj(&w);
	put_capabilities(&w, m);
	put_time(&w, "modified_at", m->created_s);
	jw_end_obj(&w);
}

static void put_version(const struct info_facts *f, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_kcstr(&w, "version", API_VERSION);
	jw_kcstr(&w, "gateway", f->version);
	jw_end_obj(&w);
}

static const struct model_info *find(const struct info_facts *f)
{
	for (unsigned i = 0; i < f->n_models; i++)
		if (str_eq(f->models[i].id, f->model))
			return &f->models[i];
	for (unsigned i = 0; i < f->n_models; i++)
		if (ir_same_model(f->models[i].id, f->model))
			return &f->models[i];
	return NULL;
}

/* The answer to a request that asks for none. */
static void put_loaded(const struct info_facts *f, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_kstr(&w, "model", f->model);
	put_time(&w, "created_at", f->now_s);
	if (f->line->variant == OL_ASK_CHAT)
		jw_kraw(&w, "message", STR("{\"role\":\"assistant\",\"content\":\"\"}"));
	else
		jw_kcstr(&w, "response", "");
	jw_kbool(&w, "done", true);
	jw_kstr(&w, "done_reason", f->load);
	jw_end_obj(&w);
	buf_putc(out, '\n');
}

bool ol_encode_info(const struct info_facts *f, struct buf *out)
{
	const struct model_info *m;

	switch ((enum ol_variant)f->line->variant) {
	case OL_SHOW:
		m = find(f);
		if (m)
			put_model(m, out);
		return m != NULL;
	case OL_PS:
		put_running(f, out);
		return true;
	case OL_VERSION:
		put_version(f, out);
		return true;
	case OL_ASK_CHAT:
	case OL_ASK_GENERATE:
		put_loaded(f, out);
		return true;
	case OL_EMBED:
	case OL_EMBEDDINGS:
		break;
	}
	return false;
}

int ol_decode_models(struct arena *a, struct str body, struct str **ret_ids, unsigned *ret_n,
		     struct err *reterr)
{
	const json *root, *list;
	struct json_iter it;
	struct str *ids;
	unsigned n = 0;
	int rc = ol_parse(a, body, &root, reterr);

	if (rc)
		return rc;
	list = json_get(root, STR("models"));
	if (!json_is_arr(list) && !json_is_null(list)) /* null: there is none yet */
		return err_set(reterr, RC_SYNTAX, "the answer holds no list of models");
	ids = arena_array(a, json_len(list) + 1, sizeof(*ids));
	if (!ids)
		return err_set(reterr, RC_NOMEM, "the list of models is too long");
	it = json_iter(list);
	while (n < MAX_MODELS && json_next(&it)) {
		struct str id = json_str(json_get(it.val, STR("model")));

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
