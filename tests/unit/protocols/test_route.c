/* tests/unit/protocols/test_route.c - mirrors src/protocols/route.c and protocols.c.
 * Rule: a head finds its protocol and operation, or is refused in the words of the protocol it most likely speaks. */
#include "check.h"
#include "protocols/protocol.h"

static const struct {
	enum http_method method;
	const char *path;
	bool anthropic_version;
	enum route_result result;
	const char *protocol;
	enum ir_op op;
	const char *arg, *allow;
} rows[] = {
	{ HTTP_POST, "/v1/chat/completions", false, ROUTE_OK, "openai-chat", IR_OP_GENERATE, NULL,
	  NULL },
	{ HTTP_POST, "/openai/v1/chat/completions", false, ROUTE_OK, "openai-chat", IR_OP_GENERATE,
	  NULL, NULL },
	{ HTTP_POST, "/api/v1/chat/completions", false, ROUTE_OK, "openai-chat", IR_OP_GENERATE,
	  NULL, NULL },
	{ HTTP_POST, "/openai/deployments/gpt%204o/chat/completions", false, ROUTE_OK,
	  "openai-chat", IR_OP_GENERATE, "gpt 4o", NULL },
	{ HTTP_POST, "/deployments/gpt/chat/completions", false, ROUTE_NOT_FOUND, "openai-chat", 0,
	  NULL, NULL },
	{ HTTP_GET, "/openai/deployments/gpt/chat/completions", false, ROUTE_METHOD, "openai-chat",
	  0, NULL, "POST" },
	{ HTTP_POST, "/v1/inference", false, ROUTE_OK, "openai-chat", IR_OP_GENERATE, NULL, NULL },
	{ HTTP_GET, "/v1/inference", false, ROUTE_METHOD, "openai-chat", 0, NULL, "POST" },
	{ HTTP_POST, "/v1/messages", false, ROUTE_OK, "anthropic-messages", IR_OP_GENERATE, NULL,
	  NULL },
	{ HTTP_POST, "/anthropic/v1/messages", true, ROUTE_OK, "anthropic-messages", IR_OP_GENERATE,
	  NULL, NULL },
	{ HTTP_POST, "/v1/messages/count_tokens", true, ROUTE_OK, "anthropic-messages",
	  IR_OP_COUNT_TOKENS, NULL, NULL },
	{ HTTP_GET, "/v1/models", false, ROUTE_OK, "openai-chat", IR_OP_LIST_MODELS, NULL, NULL },
	{ HTTP_HEAD, "/v1/models", false, ROUTE_OK, "openai-chat", IR_OP_LIST_MODELS, NULL, NULL },
	{ HTTP_GET, "/v1/models", true, ROUTE_OK, "anthropic-messages", IR_OP_LIST_MODELS, NULL,
	  NULL },
	{ HTTP_GET, "/openai/v1/models", true, ROUTE_OK, "openai-chat", IR_OP_LIST_MODELS, NULL,
	  NULL },
	{ HTTP_GET, "/anthropic/v1/models", false, ROUTE_OK, "anthropic-messages",
	  IR_OP_LIST_MODELS, NULL, NULL },
	{ HTTP_GET, "/v1/models/a/b:c", false, ROUTE_OK, "openai-chat", IR_OP_GET_MODEL, "a/b:c",
	  NULL },
	{ HTTP_GET, "/v1/models/a%2Fb%20c", true, ROUTE_OK, "anthropic-messages", IR_OP_GET_MODEL,
	  "a/b c", NULL },
	/* trap 121 */
	{ HTTP_GET, "/v1/models/a%zz", false, ROUTE_NOT_FOUND, "openai-chat", 0, NULL, NULL },
	{ HTTP_GET, "/v1/models/a%00", false, ROUTE_NOT_FOUND, "openai-chat", 0, NULL, NULL },
	{ HTTP_GET, "/v1/models/%4", false, ROUTE_NOT_FOUND, "openai-chat", 0, NULL, NULL },
	{ HTTP_GET, "/v1/models/", false, ROUTE_NOT_FOUND, "openai-chat", 0, NULL, NULL },
	{ HTTP_GET, "/v1/chat/completions", false, ROUTE_METHOD, "openai-chat", 0, NULL, "POST" },
	{ HTTP_OPTIONS, "/v1/messages", false, ROUTE_METHOD, "anthropic-messages", 0, NULL,
	  "POST" },
	{ HTTP_DELETE, "/v1/models/x", false, ROUTE_METHOD, "openai-chat", 0, NULL, "GET, HEAD" },
	{ HTTP_POST, "/v1/models", true, ROUTE_METHOD, "anthropic-messages", 0, NULL, "GET, HEAD" },
	{ HTTP_GET, "/v1/responses/resp_1/cancel", false, ROUTE_METHOD, "openai-responses", 0, NULL,
	  "POST" },
	{ HTTP_GET, "/v1/responses/compact", false, ROUTE_METHOD, "openai-responses", 0, NULL,
	  "POST" },
	{ HTTP_DELETE, "/responses/resp_1/input_items", false, ROUTE_METHOD, "openai-responses", 0,
	  NULL, "GET, HEAD" },
	{ HTTP_POST, "/openai/v1/responses/resp_1", false, ROUTE_METHOD, "openai-responses", 0,
	  NULL, "GET, HEAD, DELETE" },
	{ HTTP_GET, "/v1/responses/resp_1/output_items", false, ROUTE_NOT_FOUND, "openai-responses",
	  0, NULL, NULL },
	{ HTTP_GET, "/v1/responses/a%2Fcancel", false, ROUTE_OK, "openai-responses", IR_OP_KEPT,
	  "a/cancel", NULL },
	{ HTTP_GET, "/v1/models/x:countTokens", false, ROUTE_METHOD, "gemini", 0, NULL, "POST" },
	{ HTTP_POST, "/v1beta/models", false, ROUTE_METHOD, "gemini", 0, NULL, "GET, HEAD" },
	{ HTTP_POST, "/v1/messages/batches", false, ROUTE_NOT_FOUND, "anthropic-messages", 0, NULL,
	  NULL },
	{ HTTP_POST, "/v1/complete", false, ROUTE_OK, "anthropic-complete", IR_OP_GENERATE, NULL,
	  NULL },
	{ HTTP_GET, "/anthropic/v1/complete", false, ROUTE_METHOD, "anthropic-complete", 0, NULL,
	  "POST" },
	{ HTTP_POST, "/v1/completions", false, ROUTE_OK, "openai-completions", IR_OP_GENERATE, NULL,
	  NULL },
	{ HTTP_POST, "/openai/v1/completions", true, ROUTE_OK, "openai-completions", IR_OP_GENERATE,
	  NULL, NULL },
	{ HTTP_POST, "/openai/deployments/d/completions", false, ROUTE_OK, "openai-completions",
	  IR_OP_GENERATE, "d", NULL },
	{ HTTP_GET, "/v1/completions", false, ROUTE_METHOD, "openai-completions", 0, NULL, "POST" },
	{ HTTP_POST, "/v1/embeddings", false, ROUTE_OK, "openai-chat", IR_OP_EMBED, NULL, NULL },
	{ HTTP_POST, "/v1/messagesx", false, ROUTE_NOT_FOUND, "openai-chat", 0, NULL, NULL },
	{ HTTP_POST, "/v1/foo", true, ROUTE_NOT_FOUND, "anthropic-messages", 0, NULL, NULL },
	{ HTTP_POST, "/openai/v1/messages", true, ROUTE_NOT_FOUND, "openai-chat", 0, NULL, NULL },
	{ HTTP_POST, "/anthropic/v1/chat/completions", false, ROUTE_NOT_FOUND, "anthropic-messages",
	  0, NULL, NULL },
	{ HTTP_POST, "/api/chat", false, ROUTE_OK, "ollama-chat", IR_OP_GENERATE, NULL, NULL },
	{ HTTP_POST, "/api/generate", false, ROUTE_OK, "ollama-generate", IR_OP_GENERATE, NULL,
	  NULL },
	{ HTTP_POST, "/api/embeddings", false, ROUTE_OK, "ollama-chat", IR_OP_EMBED, NULL, NULL },
	{ HTTP_GET, "/api/tags", false, ROUTE_OK, "ollama-chat", IR_OP_LIST_MODELS, NULL, NULL },
	{ HTTP_POST, "/api/show", false, ROUTE_OK, "ollama-chat", IR_OP_INFO, NULL, NULL },
	{ HTTP_GET, "/api/generate", false, ROUTE_METHOD, "ollama-generate", 0, NULL, "POST" },
	{ HTTP_POST, "/api/pull", false, ROUTE_NOT_FOUND, "ollama-chat", 0, NULL, NULL },
	{ HTTP_POST, "/api/v1/chat/completions", false, ROUTE_OK, "openai-chat", IR_OP_GENERATE,
	  NULL, NULL },
	{ HTTP_POST, "/openai/api/chat", false, ROUTE_NOT_FOUND, "openai-chat", 0, NULL, NULL },
	{ HTTP_POST, "/openaiv1/chat/completions", false, ROUTE_NOT_FOUND, "openai-chat", 0, NULL,
	  NULL },
	{ HTTP_POST, "/", false, ROUTE_NOT_FOUND, "openai-chat", 0, NULL, NULL },
	{ HTTP_POST, "", false, ROUTE_NOT_FOUND, "openai-chat", 0, NULL, NULL },
};

static void trap_121_a_head_finds_its_protocol_or_is_refused_in_its_words(void **state)
{
	struct http_field version = { STR("Anthropic-Version"), STR("2023-06-01") };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct arena *a = arena_new(65536);
		struct http_head head = { .method = rows[i].method,
					  .path = str_from(rows[i].path),
					  .fields = &version,
					  .n_fields = rows[i].anthropic_version };
		struct route_match m;
		enum route_result got = route_find(a, &head, &m);

		if (got != rows[i].result || strcmp(m.protocol->name, rows[i].protocol) != 0)
			fail_msg("row %zu, %s: %d in %s", i, rows[i].path, got, m.protocol->name);
		if (got == ROUTE_OK) {
			assert_int_equal(m.line.op, rows[i].op);
			CHECK_STR_IS(m.line.arg, str_from(rows[i].arg));
		}
		if (got == ROUTE_METHOD)
			CHECK_STR_IS(m.allow, str_from(rows[i].allow));
		arena_free(a);
	}
}

/* A route's path with something in the place of its placeholder. */
static struct str filled(struct arena *a, const char *path)
{
	const char *open = strchr(path, '{');

	return open ? arena_printf(a, "%.*sx1%s", (int)(open - path), path, strchr(path, '}') + 1)
		    : str_from(path);
}

/* Bit m: some route of any protocol has just this path with the method m. */
static unsigned methods_of(const char *path)
{
	unsigned methods = 0;

	for (unsigned i = 0; protocols[i]; i++)
		for (const struct protocol_route *r = protocols[i]->routes; r->path; r++)
			if (strcmp(r->path, path) == 0)
				methods |= 1u << r->method;
	return methods & 1u << HTTP_GET ? methods | 1u << HTTP_HEAD : methods;
}

static void check_methods_of(struct arena *a, const struct protocol_route *r)
{
	unsigned may = methods_of(r->path);

	for (enum http_method m = HTTP_GET; m <= HTTP_OTHER; m++) {
		struct http_head head = { .method = m, .path = filled(a, r->path) };
		struct route_match found;
		enum route_result got = route_find(a, &head, &found);

		if (got != (may & 1u << m ? ROUTE_OK : ROUTE_METHOD))
			fail_msg("%s by method %d: %d", r->path, m, got);
		if (got == ROUTE_OK)
			continue;
		for (unsigned k = 0; k < 4; k++) {
			static const struct str names[] = { STR_INIT("GET"), STR_INIT("HEAD"),
							    STR_INIT("POST"), STR_INIT("DELETE") };
			static const enum http_method same[] = { HTTP_GET, HTTP_HEAD, HTTP_POST,
								 HTTP_DELETE };

			if ((str_find(found.allow, names[k]) >= 0) != !!(may & 1u << same[k]))
				fail_msg("%s: allow is %.*s", r->path, STR_ARG(found.allow));
		}
	}
}

static void every_route_takes_its_own_methods_and_names_them_to_all_others(void **state)
{
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (unsigned i = 0; protocols[i]; i++)
		for (const struct protocol_route *r = protocols[i]->routes; r->path; r++)
			check_methods_of(a, r);
	arena_free(a);
}

static void protocols_and_quirks_are_found_by_name(void **state)
{
	unsigned all = 0;

	for (unsigned i = 0; protocols[i]; i++)
		assert_ptr_equal(protocol_find(str_from(protocols[i]->name)), protocols[i]);
	assert_null(protocol_find(STR("openai")));
#define X(NAME, yaml, text)                                    \
	assert_int_equal(quirk_find(STR(yaml)), QUIRK_##NAME); \
	all |= QUIRK_##NAME;
#include "protocols/quirks.def"
#undef X
	assert_int_equal(all, (1u << QUIRK_COUNT) - 1);
	assert_int_equal(quirk_find(STR("nonsense")), 0);
	assert_int_equal(quirk_find(STR("")), 0);
}

static void every_route_has_eight_bytes_to_tell_it_by(void **state)
{
	(void)state;
	for (unsigned i = 0; protocols[i]; i++)
		for (const struct protocol_route *r = protocols[i]->routes; r->path; r++) {
			assert_true(strlen(r->path) >= 7);
			assert_null(memchr(r->path, '{', 8));
		}
}

static void a_query_is_read_one_parameter_after_the_other(void **state)
{
	struct arena *a = arena_new(65536);
	struct str rest = STR("include%5B%5D=a%2Eb&flag&x=%ZZ&%0=1&y=&include[]=c=d"), name, value;
	const struct {
		const char *name, *value; /* NULL: absent */
	} want[] = { { "include[]", "a.b" },
		     { "x", NULL },
		     { NULL, "1" },
		     { "y", "" },
		     { "include[]", "c=d" } };

	(void)state;
	assert_true(str_eq(query_get(a, rest, "include[]"), STR("a.b")));
	assert_false(str_present(query_get(a, rest, "flag")));
	for (unsigned i = 0; i < sizeof(want) / sizeof(*want); i++) {
		assert_true(query_next(a, &rest, &name, &value));
		assert_int_equal(str_present(name), want[i].name != NULL);
		assert_int_equal(str_present(value), want[i].value != NULL);
		assert_true(!want[i].name || str_eq(name, str_from(want[i].name)));
		assert_true(!want[i].value || str_eq(value, str_from(want[i].value)));
	}
	assert_false(query_next(a, &rest, &name, &value));
	assert_false(query_next(a, &(struct str){ 0 }, &name, &value));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_is_read_one_parameter_after_the_other),
		cmocka_unit_test(every_route_has_eight_bytes_to_tell_it_by),
		cmocka_unit_test(trap_121_a_head_finds_its_protocol_or_is_refused_in_its_words),
		cmocka_unit_test(every_route_takes_its_own_methods_and_names_them_to_all_others),
		cmocka_unit_test(protocols_and_quirks_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
