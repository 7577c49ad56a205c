/* tests/fuzz/fuzz_anthropic_messages_request.c - any bytes as a client's request.
 * Held: what decodes also encodes or is refused with a reason; what was encoded decodes again, and
 * encodes to the same bytes; what peek accepts, patch leaves valid.
 */
#include <stdlib.h>

#include "protocols/protocol.h"

enum { ARENA_MAX = 64 << 20, OUT_MAX = 16 << 20 };

static const struct protocol *const am = &protocol_anthropic_messages;

static void check(bool ok)
{
	if (!ok)
		abort();
}

static int encode(struct arena *a, const struct ir_request *r, unsigned quirks, bool adaptive,
		  struct buf *out)
{
	struct request_target t = { .model = STR("claude-x"),
				    .quirks = quirks,
				    .default_max_tokens = 4096,
				    .budget = { 0, 0, 1024, 2048, 8192, 16384, 32768, 65536 },
				    .adaptive_thinking = adaptive };
	struct ir_losses l;
	struct err e = { 0 };
	int rc;

	buf_init(out, OUT_MAX);
	ir_losses_init(&l, a);
	rc = am->encode_request(a, r, &t, out, &l, &e);
	check(rc == 0 || e.msg[0]);
	return rc;
}

static void translate(struct arena *a, struct str in)
{
	struct ir_request *r, *again;
	struct err e = { 0 };
	struct buf once, twice;
	int rc = am->decode_request(a, &request_line_plain, in, &r, &e);

	check(rc == 0 || e.msg[0]);
	if (rc)
		return;
	if (encode(a, r, 0, false, &once) == 0) {
		check(am->decode_request(a, &request_line_plain, buf_str(&once), &again, &e) == 0);
		check(encode(a, again, 0, false, &twice) == 0);
		check(str_eq(buf_str(&once), buf_str(&twice)));
		buf_done(&twice);
	}
	buf_done(&once);
	r->origin = "openai-chat";
	(void)encode(a, r, QUIRK_SEND_REASONING, true, &once);
	buf_done(&once);
}

static void relay(struct arena *a, struct str in)
{
	struct request_peek p, again;
	struct patch_options o = { .model = STR("target \"x\""), .strip_provider = true };
	struct err e = { 0 };
	struct buf out;

	if (am->peek(a, &request_line_plain, in, &p, &e) != 0) {
		check(e.msg[0]);
		return;
	}
	buf_init(&out, OUT_MAX);
	check(am->patch(a, &p, &o, &out) == 0);
	check(am->peek(a, &request_line_plain, buf_str(&out), &again, NULL) == 0);
	check(str_eq(again.model, o.model) && again.stream == p.stream);
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(ARENA_MAX);

	translate(a, (struct str){ (const char *)data, size });
	arena_reset(a);
	relay(a, (struct str){ (const char *)data, size });
	arena_free(a);
	return 0;
}
