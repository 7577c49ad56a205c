/* tests/fuzz/codec.h - what must hold of any protocol whatever bytes come; each target names its protocol and adds its own.
 *
 * An answer: events keep to the grammar, do not depend on how the bytes are cut, and every protocol can write them; a tap takes
 * nothing out that it does not say. A request: what peek takes can be patched into JSON; what decodes and can be encoded becomes
 * JSON that decodes again and then encodes to the same bytes; every protocol makes JSON of it. */
#ifndef GW_TESTS_FUZZ_CODEC_H
#define GW_TESTS_FUZZ_CODEC_H

#include <stdint.h>
#include <stdlib.h>

#include "../unit/tape.h"
#include "json/json.h"

static inline void hold(bool ok)
{
	if (!ok)
		abort();
}

/* --- answers --- */

static inline int fuzz_record(const struct protocol *p, struct tape *t, struct str in, size_t step)
{
	struct feed f = { .p = p, .sink = &t->sink };
	int rc;

	tape_init(t);
	rc = feed_stream(&f, in, step);
	hold(!f.breach);
	return rc;
}

static inline void fuzz_cuts(const struct protocol *p, struct str in)
{
	struct tape whole, cut;

	hold(fuzz_record(p, &whole, in, 0) == fuzz_record(p, &cut, in, 1));
	hold(str_eq(buf_str(&whole.text), buf_str(&cut.text)));
	tape_done(&whole);
	tape_done(&cut);
}

static inline void fuzz_clients(const struct protocol *p, struct str in)
{
	for (unsigned i = 0; protocols[i]; i++) {
		struct client_tape c;
		struct feed f = { .p = p, .sink = &c.sink };

		client_init(&c, protocols[i], true);
		(void)feed_stream(&f, in, 0);
		hold(!f.breach);
		client_done(&c);
	}
}

/* Whatever passed, what says that it failed is whole frames. */
static inline void fuzz_relay_error(const struct protocol *p, const struct relay_tap *tap)
{
	struct ir_error e = { .kind = IR_ERR_UPSTREAM, .retry_after_ms = -1 };
	struct buf out;

	if (!p->encode_relay_error)
		return;
	buf_init(&out, TAPE_MAX);
	p->encode_relay_error(tap, &e, STR("req_1"), &out);
	hold(buf_ok(&out) && str_ends(buf_str(&out), STR("}\n\n")));
	buf_done(&out);
}

static inline void fuzz_tap(const struct protocol *p, enum framing framing, struct str in)
{
	struct arena *a = arena_new(TAPE_ARENA), *scratch = arena_new(TAPE_ARENA);
	struct relay_tap tap = { .arena = a, .hide_usage = true, .usage = IR_USAGE_NONE };
	struct framer framer;
	struct frame ev;
	struct str left = in;
	size_t used;

	framer_init(&framer, framing, TAPE_MAX);
	while (left.len && framer_next(&framer, left, &ev, &used) == FRAMER_FRAME) {
		unsigned flags = p->tap_event(&tap, scratch, &ev);

		/* Taking usage out never makes an event longer. */
		hold(!(flags & TAP_EDIT) ||
		     tap.edited.len + tap.edited_rest.len <= ev.raw.len + 16);
		left = str_from_offset(left, used);
		arena_reset(scratch);
	}
	(void)p->tap_body(&tap, scratch, in);
	fuzz_relay_error(p, &tap);
	framer_done(&framer);
	buf_done(&tap.scratch);
	arena_free(scratch);
	arena_free(a);
}

static inline void fuzz_bodies(const struct protocol *p, struct str in)
{
	struct arena *a = arena_new(TAPE_ARENA);
	struct tape t;
	struct feed f = { .p = p, .sink = &t.sink };
	struct ir_error e;
	struct str *ids;
	struct err err;
	unsigned n;

	tape_init(&t);
	(void)feed_body(&f, in);
	hold(!f.breach);
	tape_done(&t);
	(void)p->decode_error(a, 500, in, &e);
	hold(str_present(e.message));
	if (p->decode_models)
		(void)p->decode_models(a, in, &ids, &n, &err);
	if (p->decode_token_count)
		(void)p->decode_token_count(a, in);
	arena_free(a);
}

static inline void fuzz_response(const struct protocol *p, struct str in)
{
	fuzz_cuts(p, in);
	fuzz_clients(p, in);
	fuzz_tap(p, p->framing, in);
	fuzz_bodies(p, in);
}

/* --- requests --- */

static inline struct str fuzz_encode(struct arena *a, const struct protocol *p,
				     const struct ir_request *r, struct str model, unsigned quirks,
				     int *ret_rc)
{
	struct request_target t = { .model = model,
				    .quirks = quirks,
				    .default_max_tokens = 4096,
				    .budget = { 0, 0, 1024, 2048, 8192, 16384, 32768, 65536 } };
	struct ir_losses losses;
	struct err err = { 0 };
	struct buf out;
	struct str text;

	ir_losses_init(&losses, a);
	buf_init(&out, 64 << 20);
	*ret_rc = p->encode_request(a, r, &t, &out, &losses, &err);
	hold(*ret_rc == RC_OK || err.msg[0]);
	(void)ir_losses_text(&losses);
	text = *ret_rc ? STR("") : arena_dup(a, buf_str(&out));
	hold(*ret_rc || json_parse(a, text, NULL));
	buf_done(&out);
	return text;
}

static inline void fuzz_patch(struct arena *a, const struct protocol *p,
			      const struct request_line *line, struct str body)
{
	struct patch_options o = { .model = STR("target \"x\""), .strip_provider = true };
	struct request_peek peek, again;
	struct err err = { 0 };
	struct buf out;

	if (p->peek(a, line, body, &peek, &err) != RC_OK) {
		hold(err.msg[0]);
		return;
	}
	buf_init(&out, 64 << 20);
	hold(p->patch(a, &peek, &o, &out) == RC_OK);
	hold(p->peek(a, line, buf_str(&out), &again, NULL) == RC_OK);
	hold(again.stream == peek.stream);
	buf_done(&out);
}

/* There and back to one's own protocol; `rounds`: how many it may take until the bytes stay the same. */
static inline void fuzz_round(struct arena *a, const struct protocol *p,
			      const struct request_line *line, const struct ir_request *r,
			      struct str model, unsigned quirks, unsigned rounds)
{
	struct ir_request *again;
	struct str once, twice;
	struct err err;
	int rc;

	once = fuzz_encode(a, p, r, model, quirks, &rc);
	if (rc)
		return;
	for (unsigned i = 0; i < rounds; i++) {
		hold(p->decode_request(a, line, once, &again, &err) == RC_OK);
		twice = fuzz_encode(a, p, again, model, quirks, &rc);
		hold(rc == RC_OK);
		if (str_eq(once, twice))
			return;
		once = twice;
	}
	abort();
}

/* `quirks`: with which nothing of its own gets lost. */
static inline void fuzz_request(const struct protocol *p, const struct request_line *line,
				struct str body, unsigned quirks)
{
	struct arena *a = arena_new(256 << 20);
	struct ir_request *r, one;
	struct request_peek peek;
	struct err err = { 0 };
	int rc;

	fuzz_patch(a, p, line, body);
	rc = p->decode_request(a, line, body, &r, &err);
	hold(rc == RC_OK || err.msg[0]);
	if (rc == RC_OK && r->n_prompts > 0) {
		ir_request_prompt(r, r->n_prompts - 1, &one);
		r = &one;
	}
	if (rc == RC_OK) {
		/* Duplicate members are refused by the one and not by the other. */
		hold(p->peek(a, line, body, &peek, &err) != RC_OK || str_eq(peek.model, r->model));
		fuzz_round(a, p, line, r, r->model, quirks, 1);
		for (unsigned q = 0; q <= QUIRK_COUNT; q++)
			(void)fuzz_encode(a, p, r, r->model, q == QUIRK_COUNT ? 0 : 1u << q, &rc);
		for (unsigned i = 0; protocols[i]; i++)
			(void)fuzz_encode(a, protocols[i], r, r->model, 0, &rc);
	}
	arena_free(a);
}

#endif
