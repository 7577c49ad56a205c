/* tests/unit/protocols/test_duplicate_members.c - a member that stands twice, in every protocol: the last one counts, as for every
 * parser of JSON, and whatever the first one made is gone with it. Each member at any depth of each sample request is doubled;
 * the request must be read as if it stood once. A new protocol is tested without a line. */
#include "check.h"

#include <dirent.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "json/json.h"
#include "json/write.h"
#include "protocols/protocol.h"

static const struct request_line line = { .op = IR_OP_GENERATE, .arg = STR_INIT("models/m") };

/* Writes `v` with the member number `*skip` (counted from the outside in, from 0) doubled. */
static void put_doubled(struct buf *out, const json *v, long *skip)
{
	struct json_iter it = json_iter(v);
	bool object = json_is_obj(v), first = true;

	if (!object && !json_is_arr(v)) {
		json_write(out, v);
		return;
	}
	buf_putc(out, object ? '{' : '[');
	while (json_next(&it)) {
		/* Each member of a Gemini tool that is no list of functions is a tool of the server. */
		bool server_tool = object && str_eq(it.key, STR("googleSearch"));
		unsigned times = object && !server_tool && (*skip)-- == 0 ? 2 : 1;

		for (unsigned i = 0; i < times; i++) {
			if (!first)
				buf_putc(out, ',');
			first = false;
			if (object) {
				buf_putc(out, '"');
				json_escape(out, it.key);
				buf_puts(out, "\":");
			}
			/* What a Gemini tool answered is the tool's: its members are not for the codec to read. */
			if (object && str_eq(it.key, STR("response")))
				json_write(out, it.val);
			else
				put_doubled(out, it.val, skip);
		}
	}
	buf_putc(out, object ? '}' : ']');
}

static bool comes_again(struct json_iter rest, struct str key)
{
	while (json_next(&rest))
		if (str_eq(rest.key, key))
			return true;
	return false;
}

/* Without them: what only its vendor knows is passed on as it stands, both members of it. */
static void put_last(struct buf *out, const json *v)
{
	struct json_iter it = json_iter(v);
	bool object = json_is_obj(v), first = true;

	if (!object && !json_is_arr(v)) {
		json_write(out, v);
		return;
	}
	buf_putc(out, object ? '{' : '[');
	while (json_next(&it)) {
		if (object && comes_again(it, it.key))
			continue;
		if (!first)
			buf_putc(out, ',');
		first = false;
		if (object) {
			buf_putc(out, '"');
			json_escape(out, it.key);
			buf_puts(out, "\":");
		}
		put_last(out, it.val);
	}
	buf_putc(out, object ? '}' : ']');
}

static struct str without_duplicates(struct arena *a, struct str text)
{
	struct str got;
	struct buf out;

	buf_init(&out, 1 << 20);
	put_last(&out, json_parse(a, text, NULL));
	got = arena_dup(a, buf_str(&out));
	buf_done(&out);
	return got;
}

/* `body` read and written again; absent when it is no request of this protocol. */
static struct str again(struct arena *a, const struct protocol *p, struct str body)
{
	struct request_target t = { .default_max_tokens = 100 };
	struct ir_losses losses;
	struct ir_request *r;
	struct err e = { 0 };
	struct str text = STR_NONE;
	struct buf out;

	if (p->decode_request(a, &line, body, &r, &e) != RC_OK)
		return STR_NONE;
	t.model = r->model;
	ir_losses_init(&losses, a);
	buf_init(&out, 1 << 20);
	if (p->encode_request(a, r, &t, &out, &losses, &e) == RC_OK)
		text = without_duplicates(a, buf_str(&out));
	buf_done(&out);
	return text;
}

/* How many members were doubled. */
static unsigned try_sample(const struct protocol *p, struct str body, const char *name)
{
	struct arena *a = arena_new(64 << 20);
	const json *v = json_parse(a, body, NULL);
	struct str want = v ? again(a, p, body) : STR_NONE;
	unsigned n = 0;
	struct buf out;

	buf_init(&out, 1 << 20);
	for (long left = -1; str_present(want) && left < 0; n++) {
		struct arena *each = arena_new(64 << 20);
		struct str got;

		left = (long)n;
		buf_reset(&out);
		put_doubled(&out, v, &left);
		got = again(each, p, buf_str(&out));
		if (left < 0 && !str_eq(got, want)) {
			print_error("%s, %s, member %u doubled\n%.*s\ngot  %.*s\nwant %.*s\n",
				    p->name, name, n, STR_ARG(buf_str(&out)), STR_ARG(got),
				    STR_ARG(want));
			fail();
		}
		arena_free(each);
	}
	buf_done(&out);
	arena_free(a);
	return n;
}

static unsigned try_file(const struct protocol *p, const char *folder, const char *name)
{
	static char text[1 << 16];
	char path[512];
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "rb");
	if (!f)
		return 0;
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	return n < sizeof(text) ? try_sample(p, (struct str){ text, n }, name) : 0;
}

static void R27_the_last_of_duplicate_members_counts(void **state)
{
	static const char *const folders[] = {
		"openai_chat_request",
		"openai_responses_request",
		"openai_completions_request",
		"anthropic_messages_request",
		"anthropic_complete_request",
		"ollama_request",
		"gemini_request",
	};
	char folder[512];

	for (unsigned i = 0; protocols[i]; i++) {
		unsigned doubled = 0;

		for (unsigned k = 0; k < sizeof(folders) / sizeof(*folders); k++) {
			struct dirent *entry;
			DIR *d;

			(void)snprintf(folder, sizeof(folder), "%s/fuzz/corpus/%s", TESTS_DIR,
				       folders[k]);
			d = opendir(folder);
			assert_non_null(d);
			while ((entry = readdir(d)) != NULL)
				if (entry->d_name[0] != '.')
					doubled += try_file(protocols[i], folder, entry->d_name);
			closedir(d);
		}
		assert_true(doubled > 20); /* there were samples */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(R27_the_last_of_duplicate_members_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
