/* protocols/vectors.c - JSON numbers <-> base64 of float32.
 *
 * The hard thing is to be exact both ways without a decimal library: strtof() rounds correctly, so the shortest text is found by
 * trying 6 digits, then more, until the bits come back (9 always do). */
#include "protocols/vectors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"

enum { FLOAT_BYTES = 4, MIN_DIGITS = 6, MAX_DIGITS = 9 };

static float float_at(const unsigned char *p)
{
	uint32_t bits =
		(uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static void put_float_at(unsigned char *p, float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	for (unsigned i = 0; i < FLOAT_BYTES; i++)
		p[i] = (unsigned char)(bits >> 8 * i);
}

/* --- reading --- */

/* What is less than half a step above FLT_MAX still rounds to it. */
#define FLOAT_LIMIT 0x1.ffffffp127

static bool all_numbers(const json *list)
{
	struct json_iter it = json_iter(list);
	double d;

	while (json_next(&it)) {
		if (!json_is_num(it.val) || !json_f64(it.val, &d) || !(fabs(d) < FLOAT_LIMIT))
			return false;
	}
	return true;
}

static int read_base64(struct arena *a, struct str text)
{
	struct str bytes = base64_valid(text) ? base64_decode(a, text) : STR("x");

	if (!str_present(bytes))
		return RC_NOMEM;
	if (bytes.len % FLOAT_BYTES)
		return RC_SYNTAX;
	for (size_t i = 0; i < bytes.len; i += FLOAT_BYTES) {
		if (!isfinite(float_at((const unsigned char *)bytes.ptr + i)))
			return RC_SYNTAX;
	}
	return RC_OK;
}

int vector_read(struct arena *a, const json *v, struct ir_vector *ret)
{
	struct ir_vector got = { 0 };
	int rc = RC_OK;

	if (json_is_str(v)) {
		rc = read_base64(a, json_str(v));
		got.base64 = arena_dup(a, json_str(v));
	} else if (json_is_arr(v) && all_numbers(v)) {
		got.json = json_text(a, v);
	} else {
		return RC_SYNTAX;
	}
	if (rc)
		return rc;
	*ret = got;
	return str_present(got.json) || str_present(got.base64) ? RC_OK : RC_NOMEM;
}

/* --- writing numbers --- */

static void put_float(struct buf *out, float f)
{
	char text[32];
	int n = 0;

	for (int digits = MIN_DIGITS; digits <= MAX_DIGITS; digits++) {
		n = snprintf(text, sizeof(text), "%.*g", digits, (double)f);
		if (strtof(text, NULL) == f)
			break;
	}
	buf_put(out, (struct str){ text, (size_t)n });
}

/* The floats' bytes; an empty buffer when the text is none of ours. */
static struct str bytes_of(struct str base64, struct buf *hold)
{
	buf_init(hold, base64.len + 1);
	if (!base64_append_decoded(hold, base64) || buf_len(hold) % FLOAT_BYTES)
		buf_reset(hold);
	return buf_str(hold);
}

void vector_put_json(struct buf *out, const struct ir_vector *v)
{
	struct buf hold;
	struct str bytes;

	if (str_present(v->json)) {
		buf_put(out, v->json);
		return;
	}
	bytes = bytes_of(v->base64, &hold);
	buf_putc(out, '[');
	for (size_t i = 0; i < bytes.len; i += FLOAT_BYTES) {
		if (i)
			buf_putc(out, ',');
		put_float(out, float_at((const unsigned char *)bytes.ptr + i));
	}
	buf_putc(out, ']');
	buf_done(&hold);
}

/* Packs the numbers of a list as they come: what stands between two of them is no digit, sign, dot or `e`. */
static void pack(struct buf *bytes, struct str list)
{
	size_t i = 0;

	while (i < list.len) {
		unsigned char four[FLOAT_BYTES];
		char *end;

		if (list.ptr[i] != '-' && (list.ptr[i] < '0' || list.ptr[i] > '9')) {
			i++;
			continue;
		}
		/* The list ends in ']', so strtof() stops inside it. */
		put_float_at(four, strtof(list.ptr + i, &end));
		buf_put(bytes, (struct str){ (const char *)four, FLOAT_BYTES });
		i = (size_t)(end - list.ptr);
	}
}

void vector_put_base64(struct buf *out, const struct ir_vector *v)
{
	struct buf bytes;

	if (str_present(v->base64)) {
		buf_put(out, v->base64);
		return;
	}
	if (!str_ends(v->json, STR("]")))
		return;
	buf_init(&bytes, 4 * v->json.len);
	pack(&bytes, v->json);
	base64_encode(out, buf_str(&bytes));
	if (!buf_ok(&bytes)) { /* memory ran out: `out` must say so */
		buf_done(out);
		out->failed = true;
	}
	buf_done(&bytes);
}
