/* tests/unit/engine/test_real.c - the engine with a real llama-server and the default model, where both are there.
 *
 * What others rely on and docs/local-models.md says is held here: counting, a forced answer streamed, recovery. Skipped
 * without `make engine`.
 */
#include "check.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/engine.h"
#include "engine/find.h"
#include "engine/shim.h"
#include "engine/tokens.h"
#include "json/json.h"
#include "scratch.h"

enum { LIMIT_MS = 110000 };

static struct {
	char dir[64], model[512];
	struct loop loop;
	struct http_client *client;
	struct engine *e;
	struct engine_lease *lease;
	struct arena *a;
	bool here, over, overdue, failed;
	int status;
	int64_t tokens;
	struct buf body;
	uv_timer_t limit;
} R;

static bool engine_is_here(void)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	struct str program;

	if (xdg && xdg[0] == '/')
		snprintf(R.model, sizeof(R.model), "%s", xdg);
	else
		snprintf(R.model, sizeof(R.model), "%s/.cache", home ? home : "");
	snprintf(R.model + strlen(R.model), sizeof(R.model) - strlen(R.model),
		 "/llm-gateway/models/SmolLM2-135M-Instruct.Q4_1.gguf");
	return engine_find(R.a, STR_NONE, &program, NULL) == RC_OK && access(R.model, R_OK) == 0;
}

static void on_limit(uv_timer_t *t)
{
	R.overdue = true;
	loop_stop(&R.loop);
}

static void wait_over(void)
{
	while (!R.over && !R.overdue)
		loop_run(&R.loop);
	assert_false(R.overdue);
	R.over = false;
}

static void now_over(void)
{
	R.over = true;
	loop_stop(&R.loop);
}

static int setup(void **state)
{
	struct http_client_limits limits = { .max_idle_per_origin = 2,
					     .idle_timeout_ms = 4000,
					     .max_head = 16384,
					     .max_fields = 64,
					     .dns_ttl_ms = 1000 };
	struct err e;

	R.a = arena_new(64 << 20);
	R.here = engine_is_here();
	if (!R.here)
		return 0;
	snprintf(R.dir, sizeof(R.dir), "/tmp/gw-real-XXXXXX");
	assert_int_equal(scratch_make(R.dir), 0);
	assert_int_equal(loop_init(&R.loop, &e), RC_OK);
	uv_timer_init(&R.loop.uv, &R.limit);
	uv_timer_start(&R.limit, on_limit, LIMIT_MS, 0);
	R.client = http_client_new(&R.loop, &limits);
	R.e = engine_new(&(struct engine_options){ .loop = &R.loop, .runtime_dir = R.dir }, &e);
	assert_non_null(R.client);
	assert_non_null(R.e);
	buf_init(&R.body, 1 << 20);
	return 0;
}

static void on_closed(void *user)
{
	now_over();
}

static int teardown(void **state)
{
	if (R.here) {
		engine_close(R.e, on_closed, NULL);
		wait_over();
		http_client_close(R.client, NULL, NULL);
		loop_done(&R.loop);
		buf_done(&R.body);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* reaped */
		assert_int_equal(rmdir(R.dir), 0);                /* and cleared away */
	}
	arena_free(R.a);
	return 0;
}

static void on_lease(void *user, struct engine_lease *lease, const struct ir_error *error)
{
	if (error)
		print_error("%.*s\n", STR_ARG(error->message));
	R.lease = lease;
	now_over();
}

static void acquire(void)
{
	struct engine_wait *w;
	struct engine_acquire_options o = {
		.account = STR("local"), .model = STR("m"), .loop = &R.loop, .done = on_lease
	};
	int rc = engine_acquire(R.e, &o, &R.lease, &w);

	assert_true(rc >= 0);
	if (rc == 0)
		wait_over();
	assert_non_null(R.lease);
}

static void on_tokens(void *user, int64_t tokens, const struct ir_error *error)
{
	if (error)
		print_error("%.*s\n", STR_ARG(error->message));
	R.tokens = tokens;
	now_over();
}

static const struct http_deadlines deadlines = { 5000, 5000, 100000, 100000 };

static int64_t count(const char *body)
{
	assert_non_null(
		engine_tokens_start(&(struct engine_tokens_options){ .client = R.client,
								     .origin = &R.lease->origin,
								     .body = str_from(body),
								     .deadlines = &deadlines,
								     .done = on_tokens }));
	wait_over();
	return R.tokens;
}

static void on_head(void *user, const struct http_head *head)
{
	R.status = head->status;
}

static void on_body(void *user, struct str bytes)
{
	engine_touch(R.lease);
	buf_put(&R.body, bytes);
}

static void on_end(void *user)
{
	now_over();
}

static void on_error(void *user, enum http_failure f, struct str detail)
{
	R.failed = true;
	print_error("%s %.*s\n", http_failure_name(f), STR_ARG(detail));
	now_over();
}

static const struct http_call_events events = {
	.on_head = on_head, .on_body = on_body, .on_end = on_end, .on_error = on_error
};

static void post(const char *path, const char *body)
{
	static const struct http_field json_type = { .name = STR_INIT("Content-Type"),
						     .value = STR_INIT("application/json") };

	buf_reset(&R.body);
	assert_non_null(http_call_start(R.client,
					&(struct http_call_options){ .origin = &R.lease->origin,
								     .method = HTTP_POST,
								     .path = str_from(path),
								     .fields = &json_type,
								     .n_fields = 1,
								     .body = str_from(body),
								     .deadlines = deadlines },
					&events, NULL));
	wait_over();
	assert_false(R.failed);
}

#define CHAT                                                         \
	"\"messages\":[{\"role\":\"user\",\"content\":\"Weather in " \
	"Paris?\"}],\"temperature\":0,\"seed\":1"

/* The content of a streamed answer, put together; usage of its last chunk into *prompt_tokens. */
static struct str streamed(int64_t *prompt_tokens)
{
	struct str rest = buf_str(&R.body), all = arena_dup(R.a, STR(""));
	bool done = false;

	while (str_present(rest)) {
		struct str line = str_trim(str_cut(&rest, '\n'));
		const json *chunk;
		struct json_iter it;

		if (!str_starts(line, STR("data: ")))
			continue;
		line = str_from_offset(line, 6);
		done = str_eq(line, STR("[DONE]"));
		if (done)
			continue;
		chunk = json_parse(R.a, line, NULL);
		assert_non_null(chunk);
		it = json_iter(JSON_GET(chunk, "choices"));
		if (json_next(&it)) {
			struct str piece = json_str(JSON_GET(JSON_GET(it.val, "delta"), "content"));

			all = arena_printf(R.a, "%.*s%.*s", STR_ARG(all), STR_ARG(piece));
		}
		(void)json_i64(JSON_GET(JSON_GET(chunk, "usage"), "prompt_tokens"), prompt_tokens);
	}
	assert_true(done);
	return all;
}

static void counts_what_a_request_is_billed(void)
{
	int64_t counted = count("{" CHAT "}"), billed = -1;

	post("/v1/chat/completions",
	     "{" CHAT
	     ",\"max_tokens\":4,\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
	assert_int_equal(R.status, 200);
	(void)streamed(&billed);
	assert_true(counted > 5);
	assert_int_equal(counted, billed);
}

/* The shape that a choice among forced tools has, references included. */
static void holds_a_streamed_answer_to_a_schema(void)
{
	int64_t n = -1;
	const json *answer;
	struct str name;

	post("/v1/chat/completions",
	     "{" CHAT ",\"max_tokens\":100,\"stream\":true,\"response_format\":{\"type\":\"json_"
	     "schema\",\"json_schema\":{"
	     "\"name\":\"call\",\"schema\":{\"anyOf\":["
	     "{\"type\":\"object\",\"properties\":{\"name\":{\"const\":\"get_weather\"},"
	     "\"arguments\":{\"$ref\":\"#/$defs/t0\"}},"
	     "\"required\":[\"name\",\"arguments\"],\"additionalProperties\":false},"
	     "{\"type\":\"object\",\"properties\":{\"name\":{\"const\":\"get_time\"},\"arguments\":"
	     "{\"$ref\":\"#/$defs/t1\"}},"
	     "\"required\":[\"name\",\"arguments\"],\"additionalProperties\":false}],"
	     "\"$defs\":{\"t0\":{\"type\":\"object\",\"properties\":{\"unit\":{\"$ref\":\"#/$defs/"
	     "t0/$defs/u\"}},"
	     "\"required\":[\"unit\"],\"$defs\":{\"u\":{\"type\":\"string\",\"enum\":[\"c\",\"f\"]}"
	     "}},"
	     "\"t1\":{\"type\":\"object\",\"properties\":{\"zone\":{\"type\":\"string\","
	     "\"maxLength\":8}},"
	     "\"required\":[\"zone\"]}}}}}}");
	if (R.status != 200)
		print_error("%.*s\n", STR_ARG(buf_str(&R.body)));
	assert_int_equal(R.status, 200);
	answer = json_parse(R.a, streamed(&n), NULL);
	name = json_str(JSON_GET(answer, "name"));
	assert_true(str_eq(name, STR("get_weather")) || str_eq(name, STR("get_time")));
	assert_true(json_is_obj(JSON_GET(answer, "arguments")));
}

static void says_that_the_context_is_full(void)
{
	static char body[40000];
	size_t n = (size_t)snprintf(body, sizeof(body),
				    "{\"messages\":[{\"role\":\"user\",\"content\":\"");
	const json *error;

	for (unsigned i = 0; i < 3000; i++)
		n += (size_t)snprintf(body + n, sizeof(body) - n, "hello ");
	snprintf(body + n, sizeof(body) - n, "\"}]}");
	post("/v1/chat/completions", body);
	assert_int_equal(R.status, 400);
	error = JSON_GET(json_parse(R.a, buf_str(&R.body), NULL), "error");
	CHECK_STR(json_str(JSON_GET(error, "type")), "exceed_context_size_error");
}

static void a_real_engine(void **state)
{
	struct local_model m = { .name = STR("m"),
				 .path = str_from(R.model),
				 .context = 1024,
				 .threads = 2,
				 .parallel = 2 };
	struct account account = { .name = STR("local"), .local = &m, .n_local = 1 };
	struct snapshot s = { .accounts = &account, .n_accounts = 1 };
	struct engine_model_status *rows;
	unsigned n;
	struct err e;

	if (!R.here) {
		print_message("no llama-server or model: run `make engine`\n");
		skip();
	}
	assert_int_equal(engine_apply(R.e, &s, &e), RC_OK);
	acquire();
	counts_what_a_request_is_billed();
	holds_a_streamed_answer_to_a_schema();
	says_that_the_context_is_full();

	/* Killed from outside, it is back for the next request. */
	assert_int_equal(engine_status(R.e, R.a, &rows, &n), RC_OK);
	assert_int_equal(rows[0].state, ENGINE_READY);
	engine_release(R.lease);
	assert_int_equal(kill((pid_t)rows[0].pid, SIGKILL), 0);
	while (rows[0].state == ENGINE_READY) {
		uv_run(&R.loop.uv, UV_RUN_ONCE);
		assert_int_equal(engine_status(R.e, R.a, &rows, &n), RC_OK);
	}
	acquire();
	assert_true(count("{" CHAT "}") > 5);
	engine_release(R.lease);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(a_real_engine, setup,
									    teardown) };

	if (argc > 1 && strcmp(argv[1], "engine-exec") == 0)
		return engine_shim_main(argc, argv);
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
