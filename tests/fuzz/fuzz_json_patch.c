/* tests/fuzz/fuzz_json_patch.c - any bytes as a body that is relayed with the gateway's fields changed.
 * Held: what the scanner takes the parser takes too; a patched body is JSON, says the new model, and all
 * members that are not ours stand in it as they stood. */
#include <stdint.h>
#include <stdlib.h>

#include "json/json.h"
#include "protocols/protocol.h"

static bool is_ours(struct str key)
{
	static const struct str ours[] = { STR_INIT("model"), STR_INIT("stream_options"),
					   STR_INIT("provider"), STR_INIT("max_completion_tokens"),
					   STR_INIT("max_tokens") };

	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
		if (str_eq(key, ours[i]))
			return true;
	}
	return false;
}

static void check_same(struct arena *a, const json *before, const json *after)
{
	struct json_iter it = json_iter(before);

	while (json_next(&it)) {
		if (!is_ours(it.key) && !str_eq(json_text(a, json_get(before, it.key)),
						json_text(a, json_get(after, it.key))))
			abort();
	}
}

static void check_patch(struct arena *a, const struct request_peek *p, struct patch_options o)
{
	const json *before = json_parse(a, p->body, NULL), *after;
	struct request_peek again;
	struct err err;
	struct buf out;

	buf_init(&out, 64 << 20);
	if (protocol_openai_chat.patch(a, p, &o, &out))
		abort();
	after = json_parse(a, buf_str(&out), NULL);
	if (!before || !after)
		abort();
	if (!str_eq(json_str(json_get(after, STR("model"))), o.model))
		abort();
	check_same(a, before, after);
	if (protocol_openai_chat.peek(a, &request_line_plain, buf_str(&out), &again, &err))
		abort();
	if (again.stream != p->stream || again.forces_tool != p->forces_tool ||
	    (o.strip_provider && str_present(again.provider_pin)) ||
	    (p->stream && o.ask_usage && !(o.quirks & QUIRK_NO_STREAM_OPTIONS) &&
	     !again.include_usage))
		abort();
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str body = { (const char *)data, size };
	struct arena *a = arena_new(256 << 20);
	struct request_peek p;
	struct err err;
	struct json_want want = { .key = "model" };

	if (json_scan(body, &want, 1, NULL) == RC_OK && !json_is_obj(json_parse(a, body, NULL)))
		abort();
	if (protocol_openai_chat.peek(a, &request_line_plain, body, &p, &err) == RC_OK) {
		check_patch(a, &p, (struct patch_options){ .model = p.model });
		check_patch(a, &p,
			    (struct patch_options){ .model = STR("new\"\n"),
						    .strip_provider = true,
						    .ask_usage = true });
		check_patch(a, &p,
			    (struct patch_options){ .model = STR("m"),
						    .strip_provider = true,
						    .ask_usage = true,
						    .quirks = QUIRK_MAX_TOKENS |
							      QUIRK_NO_STREAM_OPTIONS });
	}
	arena_free(a);
	return 0;
}
