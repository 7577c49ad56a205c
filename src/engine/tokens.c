/* engine/tokens.c - asks the engine how long a prompt is, without having it answered.
 *
 * Newer engines count in one call. Older ones (404) take two: the prompt as the model's template makes it, then its
 * tokens. Both ways count what a request would be billed, template and tools included.
 */
#include "engine/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "json/json.h"
#include "json/write.h"

enum { MAX_ANSWER = 64 * 1024 * 1024, MAX_MEMORY = 512 * 1024 * 1024 };

enum step { STEP_COUNT, STEP_TEMPLATE, STEP_TOKENIZE };

static const struct str step_path[] = {
	[STEP_COUNT] = STR_INIT("/v1/chat/completions/input_tokens"),
	[STEP_TEMPLATE] = STR_INIT("/apply-template"),
	[STEP_TOKENIZE] = STR_INIT("/tokenize"),
};

static const struct http_field fields[] = {
	{ .name = STR_INIT("Content-Type"), .value = STR_INIT("application/json") },
	{ .name = STR_INIT("Accept"), .value = STR_INIT("application/json") },
};

struct engine_tokens {
	struct http_client *client;
	const struct origin *origin;
	struct http_deadlines deadlines;
	struct http_call *call;
	struct arena *arena; /* the parsed answers and the error's text */
	struct buf body, answer;
	enum step step;
	int status;
	void (*done)(void *user, int64_t tokens, const struct ir_error *error);
	void *user;
};

static void tokens_free(struct engine_tokens *t)
{
	buf_done(&t->body);
	buf_done(&t->answer);
	arena_free(t->arena);
	free(t);
}

static void finish(struct engine_tokens *t, int64_t tokens, const struct ir_error *error)
{
	t->done(t->user, tokens, error);
	tokens_free(t);
}

static void fail(struct engine_tokens *t, enum ir_error_kind kind, struct str message)
{
	struct str m = arena_dup(t->arena, message);
	struct ir_error e = { .kind = kind,
			      .message = m.ptr ? m : STR("out of memory"),
			      .retry_after_ms = -1 };

	finish(t, -1, &e);
}

/* The engine's own words, where it has some: {"error": {"message": ...}}. */
static void refused(struct engine_tokens *t)
{
	const json *error = JSON_GET(json_parse(t->arena, buf_str(&t->answer), NULL), "error");
	struct str message = json_str(JSON_GET(error, "message"));
	struct str type = json_str(JSON_GET(error, "type"));
	enum ir_error_kind kind = IR_ERR_UPSTREAM;

	if (str_eq(type, STR("exceed_context_size_error")))
		kind = IR_ERR_CONTEXT_LENGTH;
	else if (t->status >= 400 && t->status < 500)
		kind = IR_ERR_INVALID_REQUEST;
	else if (t->status == 503)
		kind = IR_ERR_UNAVAILABLE;
	fail(t, kind, message.len ? message : STR("the local engine could not count the tokens"));
}

static int send_step(struct engine_tokens *t);

static void next_step(struct engine_tokens *t, enum step step)
{
	t->step = step;
	if (send_step(t) < 0)
		fail(t, IR_ERR_SERVER, STR("out of memory"));
}

/* The answer of /apply-template is the question of /tokenize. */
static void take_prompt(struct engine_tokens *t, const json *answer)
{
	struct str prompt = json_str(JSON_GET(answer, "prompt"));
	struct jw w = jw_on(&t->body);

	if (!str_present(prompt)) {
		fail(t, IR_ERR_UPSTREAM,
		     STR("the local engine answered /apply-template without a prompt"));
		return;
	}
	buf_reset(&t->body);
	jw_obj(&w);
	jw_kstr(&w, "content", prompt);
	jw_kbool(&w, "add_special", true);
	jw_kbool(&w, "parse_special", true);
	jw_end_obj(&w);
	next_step(t, STEP_TOKENIZE);
}

static void take_answer(struct engine_tokens *t)
{
	const json *answer = json_parse(t->arena, buf_str(&t->answer), NULL), *list;
	int64_t n = -1;

	switch (t->step) {
	case STEP_COUNT:
		if (!json_i64(JSON_GET(answer, "input_tokens"), &n))
			n = -1;
		break;
	case STEP_TEMPLATE:
		take_prompt(t, answer);
		return;
	case STEP_TOKENIZE:
		list = JSON_GET(answer, "tokens");
		if (json_is_arr(list))
			n = (int64_t)json_len(list);
		break;
	}
	if (n >= 0)
		finish(t, n, NULL);
	else
		fail(t, IR_ERR_UPSTREAM,
		     STR("the local engine answered something else than a count of tokens"));
}

static void on_head(void *user, const struct http_head *head)
{
	struct engine_tokens *t = user;

	t->status = head->status;
}

static void on_body(void *user, struct str bytes)
{
	struct engine_tokens *t = user;

	buf_put(&t->answer, bytes);
}

static void on_end(void *user)
{
	struct engine_tokens *t = user;

	t->call = NULL;
	if (!buf_ok(&t->answer))
		fail(t, IR_ERR_UPSTREAM, STR("the local engine's answer is too long"));
	else if (t->status == 200)
		take_answer(t);
	else if (t->step == STEP_COUNT && t->status == 404)
		next_step(t, STEP_TEMPLATE);
	else
		refused(t);
}

static void on_error(void *user, enum http_failure f, struct str detail)
{
	struct engine_tokens *t = user;
	struct str text;

	t->call = NULL;
	text = arena_printf(t->arena, "the local engine did not count the tokens: %s%s%.*s",
			    http_failure_name(f), detail.len ? ": " : "", STR_ARG(detail));
	fail(t,
	     f == HTTP_FAIL_FIRST_BYTE_TIMEOUT || f == HTTP_FAIL_IDLE_TIMEOUT ? IR_ERR_TIMEOUT
									      : IR_ERR_UPSTREAM,
	     text.ptr ? text : STR("the local engine did not count the tokens"));
}

static const struct http_call_events call_events = {
	.on_head = on_head,
	.on_body = on_body,
	.on_end = on_end,
	.on_error = on_error,
};

static int send_step(struct engine_tokens *t)
{
	buf_reset(&t->answer);
	t->status = 0;
	if (!buf_ok(&t->body))
		return RC_NOMEM;
	t->call = http_call_start(t->client,
				  &(struct http_call_options){
					  .origin = t->origin,
					  .method = HTTP_POST,
					  .path = step_path[t->step],
					  .fields = fields,
					  .n_fields = sizeof(fields) / sizeof(fields[0]),
					  .body = buf_str(&t->body),
					  .deadlines = t->deadlines,
				  },
				  &call_events, t);
	return t->call ? RC_OK : RC_NOMEM;
}

struct engine_tokens *engine_tokens_start(const struct engine_tokens_options *o)
{
	struct engine_tokens *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->client = o->client;
	t->origin = o->origin;
	t->deadlines = *o->deadlines;
	t->done = o->done;
	t->user = o->user;
	t->step = STEP_COUNT;
	buf_init(&t->body, MAX_MEMORY);
	buf_init(&t->answer, MAX_ANSWER);
	buf_put(&t->body, o->body);
	t->arena = arena_new(MAX_MEMORY);
	if (!t->arena || send_step(t) < 0) {
		tokens_free(t);
		return NULL;
	}
	return t;
}

void engine_tokens_cancel(struct engine_tokens *t)
{
	http_call_cancel(t->call);
	tokens_free(t);
}
