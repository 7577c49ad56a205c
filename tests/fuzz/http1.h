/* tests/fuzz/http1.h - what both HTTP/1 targets do: read the input whole, byte by byte, and with
 * a pause at every callback. All three must tell the same, or the target aborts. */
#ifndef GW_FUZZ_HTTP1_H
#define GW_FUZZ_HTTP1_H

#include <stdint.h>
#include <stdlib.h>

#include "base/hash.h"
#include "wire/http1.h"

/* A running digest of all that was told; body bytes one by one, as they may come in any pieces. */
struct fuzz_tape {
	uint64_t hash;
	unsigned calls;
	bool pausing;
};

static void fuzz_note(struct fuzz_tape *t, struct str s)
{
	t->hash = t->hash * 31 + hash_fnv(s) + s.len;
}

static enum http1_next fuzz_on_head(void *user, const struct http_head *h)
{
	struct fuzz_tape *t = user;

	t->calls++;
	t->hash = t->hash * 31 + (uint64_t)h->status + (uint64_t)h->content_length + h->method +
		  h->chunked * 2u + h->keep_alive;
	fuzz_note(t, h->target);
	fuzz_note(t, h->path);
	fuzz_note(t, h->query);
	fuzz_note(t, h->reason);
	for (unsigned i = 0; i < h->n_fields; i++) {
		if (!http_token_ok(h->fields[i].name) || !http_value_ok(h->fields[i].value))
			abort(); /* R20: what we read we may be asked to write */
		fuzz_note(t, h->fields[i].name);
		fuzz_note(t, h->fields[i].value);
	}
	if (h->chunked && h->content_length >= 0)
		abort(); /* R21 */
	return t->pausing ? HTTP1_PAUSE : HTTP1_GO;
}

static enum http1_next fuzz_on_body(void *user, struct str bytes)
{
	struct fuzz_tape *t = user;

	t->calls++;
	for (size_t i = 0; i < bytes.len; i++)
		t->hash = t->hash * 31 + (unsigned char)bytes.ptr[i];
	return t->pausing ? HTTP1_PAUSE : HTTP1_GO;
}

static void fuzz_on_end(void *user)
{
	struct fuzz_tape *t = user;

	t->calls++;
	t->hash = t->hash * 31 + 7;
}

static void fuzz_feed(struct http1_parser *p, struct fuzz_tape *t, struct str bytes)
{
	unsigned calls;
	size_t n;

	do {
		calls = t->calls;
		n = http1_feed(p, bytes);
		if (n > bytes.len)
			abort();
		bytes = str_from_offset(bytes, n);
	} while (!http1_error(p) && (n || t->calls != calls));
	if (!http1_error(p) && bytes.len)
		abort();
}

static uint64_t fuzz_play(enum http1_side side, struct str in, size_t step, bool pausing)
{
	static const struct http1_callbacks callbacks = { fuzz_on_head, fuzz_on_body, fuzz_on_end };
	static const struct http1_limits limits = {
		.max_target = 64, .max_head = 512, .max_fields = 8, .max_chunk_ext = 16
	};
	struct fuzz_tape t = { .pausing = pausing };
	struct http1_parser *p = http1_new(side, &limits, &callbacks, &t);

	if (!p)
		abort();
	for (size_t i = 0; i < in.len && !http1_error(p); i += step)
		fuzz_feed(p, &t, (struct str){ in.ptr + i, in.len - i < step ? in.len - i : step });
	t.hash = t.hash * 31 + (uint64_t)http1_error(p);
	t.hash = t.hash * 31 + (uint64_t)http1_eof(p);
	http1_free(p);
	return t.hash;
}

static int fuzz_http1(enum http1_side side, const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	uint64_t whole = fuzz_play(side, in, size ? size : 1, false);

	if (whole != fuzz_play(side, in, 1, false) ||
	    whole != fuzz_play(side, in, size ? size : 1, true) ||
	    whole != fuzz_play(side, in, 7, true))
		abort();
	return 0;
}

#endif
