/* tests/unit/engine/test_tokens.c - mirrors src/engine/tokens.c: counting in one call, in two, and not at all. */
#include "check.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/tokens.h"
#include "fake_llama.h"
#include "scratch.h"

static char dir[64], sock[96], orders[96];
static pid_t server;
static struct loop loop;
static struct http_client *client;
static struct origin origin;

struct count {
	bool done;
	int64_t tokens;
	int kind; /* -1: no error */
	char message[512];
};

static void serve(const char *text)
{
	FILE *f = fopen(orders, "w");
	int fd;

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	fd = fake_listen(sock); /* before the fork: calls may come at once */
	server = fork();
	if (server == 0) {
		fake_orders(orders, 0, NULL);
		fake_serve(fd);
	}
	close(fd);
}

static int setup(void **state)
{
	struct http_client_limits limits = { .max_idle_per_origin = 1,
					     .idle_timeout_ms = 1000,
					     .max_head = 8192,
					     .max_fields = 32,
					     .dns_ttl_ms = 1000 };
	struct err e;

	snprintf(dir, sizeof(dir), "/tmp/gw-tokens-XXXXXX");
	assert_int_equal(scratch_make(dir), 0);
	snprintf(sock, sizeof(sock), "%s/s.sock", dir);
	snprintf(orders, sizeof(orders), "%s/orders", dir);
	assert_int_equal(loop_init(&loop, &e), RC_OK);
	client = http_client_new(&loop, &limits);
	assert_non_null(client);
	origin = (struct origin){ .host = STR("localhost"),
				  .port = 80,
				  .unix_path = str_from(sock),
				  .host_header = STR("localhost"),
				  .base_path = STR(""),
				  .pool_key = str_from(sock) };
	return 0;
}

static int teardown(void **state)
{
	http_client_close(client, NULL, NULL);
	loop_done(&loop);
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
		server = 0;
	}
	return scratch_remove(dir);
}

static void on_count(void *user, int64_t tokens, const struct ir_error *error)
{
	struct count *c = user;

	assert_false(c->done);
	c->done = true;
	c->tokens = tokens;
	c->kind = error ? (int)error->kind : -1;
	if (error)
		snprintf(c->message, sizeof(c->message), "%.*s", STR_ARG(error->message));
	loop_stop(&loop);
}

static const struct http_deadlines deadlines = { 5000, 5000, 5000, 5000 };

static struct engine_tokens *start(struct count *c, const char *body)
{
	*c = (struct count){ 0 };
	return engine_tokens_start(&(struct engine_tokens_options){ .client = client,
								    .origin = &origin,
								    .body = str_from(body),
								    .deadlines = &deadlines,
								    .done = on_count,
								    .user = c });
}

static void count(struct count *c, const char *body)
{
	assert_non_null(start(c, body));
	assert_false(c->done);
	loop_run(&loop);
	assert_true(c->done);
}

static void in_one_call(void **state)
{
	struct count c;

	serve("");
	count(&c, "{\"messages\":[]}");
	assert_int_equal(c.kind, -1);
	assert_int_equal(c.tokens, 34);
}

/* An engine without the operation: the prompt goes from one answer into the next question, escapes and all. */
static void in_two_calls_on_an_old_engine(void **state)
{
	struct count c;

	serve("old\n");
	count(&c, "{\"messages\":[]}");
	assert_int_equal(c.kind, -1);
	assert_int_equal(c.tokens, 5);
}

static void a_refusal_keeps_the_engines_words(void **state)
{
	struct count c;

	serve("");
	count(&c, "{}");
	assert_int_equal(c.kind, IR_ERR_INVALID_REQUEST);
	CHECK_STR(str_from(c.message), "'messages' is required");
}

static void no_engine_is_an_error(void **state)
{
	struct count c;

	count(&c, "{\"messages\":[]}");
	assert_int_equal(c.kind, IR_ERR_UPSTREAM);
	assert_non_null(strstr(c.message, "connect"));
}

static void cancelled_is_silent(void **state)
{
	struct count first, second;
	struct engine_tokens *t;

	serve("");
	t = start(&first, "{\"messages\":[]}");
	assert_non_null(t);
	engine_tokens_cancel(t);
	count(&second, "{\"messages\":[]}");
	assert_false(first.done);
	assert_int_equal(second.tokens, 34);
}

#define IT(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IT(in_one_call),
		IT(in_two_calls_on_an_old_engine),
		IT(a_refusal_keeps_the_engines_words),
		IT(no_engine_is_an_error),
		IT(cancelled_is_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
