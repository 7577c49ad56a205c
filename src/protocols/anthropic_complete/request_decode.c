/* protocols/anthropic_complete/request_decode.c - one text in which turns are marked, as turns.
 *
 * The hard thing is what is not well marked. The vendor asks for "\n\nHuman: ...\n\nAssistant:" and forgives some of it; here what
 * stands before the first mark is the operator's word, a text without marks is one turn of the user, and a last turn of
 * the assistant that has begun is gone on with. */
#include "protocols/anthropic_complete/anthropic_complete.h"

struct decode {
	struct arena *arena;
	struct err *reterr;
	struct ir_request *r;
	unsigned cap_messages, cap_extras;
};

static int no_memory(const struct decode *d)
{
	return err_set(d->reterr, RC_NOMEM, "out of memory");
}

static int refuse(const struct decode *d, const char *name, const char *what)
{
	return err_param(d->reterr, RC_INVALID, name, "%s: %s", name, what);
}

/* --- the prompt --- */

static int add_turn(struct decode *d, enum ir_role role, struct str text)
{
	struct ir_request *r = d->r;
	struct ir_part *part;

	text = str_trim(text);
	if (!text.len)
		return RC_OK;
	if (r->n_messages == d->cap_messages) {
		unsigned cap = d->cap_messages ? 2 * d->cap_messages : 8;
		struct ir_message *grown =
			arena_grow(d->arena, r->messages, d->cap_messages * sizeof(*grown),
				   cap * sizeof(*grown));

		if (!grown)
			return no_memory(d);
		r->messages = grown;
		d->cap_messages = cap;
	}
	part = arena_alloc(d->arena, sizeof(*part));
	if (!part)
		return no_memory(d);
	*part = (struct ir_part){ .kind = IR_PART_TEXT, .text = text };
	r->messages[r->n_messages++] =
		(struct ir_message){ .role = role, .parts = part, .n_parts = 1 };
	return RC_OK;
}

/* Where the next mark stands; its role and length. -1: there is none. */
static ptrdiff_t find_mark(struct str s, enum ir_role *ret_role, size_t *ret_len)
{
	const struct str human = STR(AC_HUMAN), assistant = STR(AC_ASSISTANT);
	size_t at = 0;

	for (;; at++) {
		ptrdiff_t next = str_find(str_from_offset(s, at), STR("\n\n"));
		struct str rest;

		if (next < 0)
			return -1;
		at += (size_t)next;
		rest = str_from_offset(s, at);
		*ret_role = str_starts(rest, human) ? IR_ROLE_USER : IR_ROLE_ASSISTANT;
		*ret_len = *ret_role == IR_ROLE_USER ? human.len : assistant.len;
		if (*ret_role == IR_ROLE_USER || str_starts(rest, assistant))
			return (ptrdiff_t)at;
	}
}

/* What stands before the first mark, when nothing else is the user's. */
static struct str without_speaker(struct str lead)
{
	const struct str human = STR("Human:");

	lead = str_trim(lead);
	return str_starts(lead, human) ? str_from_offset(lead, human.len) : lead;
}

/* Some turn of the user holds something. */
static bool has_user(struct str prompt)
{
	enum ir_role role, next;
	size_t len;
	ptrdiff_t at = find_mark(prompt, &next, &len);

	while (at >= 0) {
		struct str turn = prompt = str_from_offset(prompt, (size_t)at + len);

		role = next;
		at = find_mark(prompt, &next, &len);
		if (at >= 0)
			turn.len = (size_t)at;
		if (role == IR_ROLE_USER && str_trim(turn).len)
			return true;
	}
	return false;
}

static int read_prompt(struct decode *d, const json *v)
{
	struct str prompt = json_str(v), lead;
	enum ir_role role, next;
	bool user;
	ptrdiff_t at;
	size_t len;
	int rc;

	if (!json_is_str(v))
		return refuse(d, "prompt", "Input should be a valid string");
	d->r->n_messages = 0;
	at = find_mark(prompt, &next, &len);
	lead = at < 0 ? prompt : (struct str){ prompt.ptr, (size_t)at };
	user = has_user(prompt);
	rc = add_turn(d, user ? IR_ROLE_SYSTEM : IR_ROLE_USER, user ? lead : without_speaker(lead));
	while (!rc && at >= 0) {
		struct str rest = str_from_offset(prompt, (size_t)at + len);

		role = next;
		at = find_mark(rest, &next, &len);
		rc = add_turn(d, role, at < 0 ? rest : (struct str){ rest.ptr, (size_t)at });
		prompt = rest;
	}
	for (unsigned i = 0; i < d->r->n_messages; i++)
		user = user || d->r->messages[i].role == IR_ROLE_USER;
	return rc || user ? rc : refuse(d, "prompt", "it must hold a turn of the user");
}

/* --- the rest --- */

static int add_extra(struct decode *d, struct str name, struct str raw)
{
	struct ir_request *r = d->r;

	if (r->n_extras == d->cap_extras) {
		unsigned cap = d->cap_extras ? 2 * d->cap_extras : 8;
		struct ir_extra *grown = arena_grow(
			d->arena, r->extras, d->cap_extras * sizeof(*grown), cap * sizeof(*grown));

		if (!grown)
			return no_memory(d);
		r->extras = grown;
		d->cap_extras = cap;
	}
	r->extras[r->n_extras++] = (struct ir_extra){ name, raw };
	return RC_OK;
}

static int read_stop(struct decode *d, const json *v)
{
	struct json_iter it = json_iter(v);

	if (!json_is_arr(v))
		return refuse(d, "stop_sequences", "Input should be a valid list");
	d->r->n_stop = 0;
	d->r->stop = arena_alloc(d->arena, (json_len(v) + 1) * sizeof(*d->r->stop));
	if (!d->r->stop)
		return no_memory(d);
	while (json_next(&it)) {
		if (!json_is_str(it.val))
			return refuse(d, "stop_sequences", "Input should be a list of strings");
		d->r->stop[d->r->n_stop++] = json_str(it.val);
	}
	return RC_OK;
}

/* Of metadata the user's id has a place elsewhere. */
static int read_metadata(struct decode *d, const json *v)
{
	struct json_iter it = json_iter(v);
	int rc = RC_OK;

	if (!json_is_obj(v))
		return refuse(d, "metadata", "Input should be a valid dictionary");
	while (!rc && json_next(&it)) {
		if (str_eq(it.key, STR("user_id")) && json_is_str(it.val))
			d->r->user = json_str(it.val);
		else if (!str_eq(it.key, STR("user_id")) || !json_is_null(it.val))
			rc = add_extra(d, arena_printf(d->arena, "metadata.%.*s", STR_ARG(it.key)),
				       STR_NONE);
	}
	return rc;
}

static int read_number(struct decode *d, const char *name, const json *v, struct str *ret)
{
	*ret = json_num(v);
	return json_is_num(v) ? RC_OK : refuse(d, name, "Input should be a valid number");
}

static int read_count(struct decode *d, const char *name, const json *v, int64_t *ret)
{
	return json_i64(v, ret) ? RC_OK : refuse(d, name, "Input should be a valid integer");
}

static int read_member(struct decode *d, struct str key, const json *v)
{
	struct ir_request *r = d->r;

	if (str_eq(key, STR("prompt")))
		return read_prompt(d, v);
	if (str_eq(key, STR("provider")) && json_is_str(v))
		return RC_OK; /* our own pin */
	if (json_is_null(v))
		return RC_OK;
	if (str_eq(key, STR("model"))) {
		r->model = json_str(v);
		return json_is_str(v) ? RC_OK
				      : refuse(d, "model", "Input should be a valid string");
	}
	if (str_eq(key, STR("stream"))) {
		r->stream = json_bool(v, false);
		return json_is_bool(v) ? RC_OK
				       : refuse(d, "stream", "Input should be a valid boolean");
	}
	if (str_eq(key, STR("max_tokens_to_sample")))
		return read_count(d, "max_tokens_to_sample", v, &r->max_tokens);
	if (str_eq(key, STR("temperature")))
		return read_number(d, "temperature", v, &r->temperature);
	if (str_eq(key, STR("top_p")))
		return read_number(d, "top_p", v, &r->top_p);
	if (str_eq(key, STR("top_k")))
		return read_count(d, "top_k", v, &r->top_k);
	if (str_eq(key, STR("stop_sequences")))
		return read_stop(d, v);
	if (str_eq(key, STR("metadata")))
		return read_metadata(d, v);
	return add_extra(d, key, json_text(d->arena, v));
}

int ac_decode_request(struct arena *a, const struct request_line *line, struct str body,
		      struct ir_request **ret, struct err *reterr)
{
	struct decode d = { .arena = a, .reterr = reterr };
	struct err e = { .code = RC_SYNTAX };
	const json *root = json_parse(a, body, &e);
	struct json_iter it = json_iter(root);
	int rc = RC_OK;

	(void)line;
	if (!root)
		return err_at(reterr, e.code, e.at, "%s", e.msg);
	if (!json_is_obj(root))
		return err_set(reterr, RC_INVALID, "Input should be a valid dictionary");
	d.r = arena_alloc(a, sizeof(*d.r));
	if (!d.r)
		return no_memory(&d);
	ir_request_init(d.r);
	d.r->origin = AC_NAME;
	d.r->body = root;
	while (!rc && json_next(&it))
		rc = read_member(&d, it.key, it.val);
	for (unsigned i = 0; !rc && i < d.r->n_extras; i++)
		if (!str_present(d.r->extras[i].name))
			rc = no_memory(&d);
	if (!rc && !d.r->model.len)
		rc = refuse(&d, "model", "Field required");
	if (!rc && !d.r->n_messages)
		rc = refuse(&d, "prompt", "Field required");
	if (rc)
		return rc;
	ir_request_needs(d.r);
	*ret = d.r;
	return RC_OK;
}

int ac_check_generate(const struct ir_request *r, struct err *reterr)
{
	if (r->max_tokens == IR_UNSET)
		return err_param(reterr, RC_INVALID, "max_tokens_to_sample",
				 "max_tokens_to_sample: Field required");
	if (r->max_tokens < 1)
		return err_param(
			reterr, RC_INVALID, "max_tokens_to_sample",
			"max_tokens_to_sample: Input should be greater than or equal to 1");
	return RC_OK;
}
