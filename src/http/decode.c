/* http/decode.c - gzip and deflate by zlib.
 *
 * The hard thing is "deflate": the name means zlib's form (RFC 9110 section 8.4.1.2), but raw
 * deflate is sent under it too; the first byte tells them apart.
 */
#include "http/decode.h"

#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

enum { PIECE = 16 * 1024, MIB = 1024 * 1024 };

struct decoder {
	z_stream z;
	enum coding coding;
	bool begun, complete;
	uint64_t in, out;
};

enum coding coding_of(struct str value)
{
	if (!str_present(value) || value.len == 0 || str_ieq(value, STR("identity")))
		return CODING_IDENTITY;
	if (str_ieq(value, STR("gzip")) || str_ieq(value, STR("x-gzip")))
		return CODING_GZIP;
	return str_ieq(value, STR("deflate")) ? CODING_DEFLATE : CODING_UNKNOWN;
}

struct decoder *decoder_new(enum coding c)
{
	struct decoder *d = calloc(1, sizeof(*d));

	if (d)
		d->coding = c;
	return d;
}

struct decoder *decoder_free(struct decoder *d)
{
	if (d && d->begun)
		inflateEnd(&d->z);
	free(d);
	return NULL;
}

static bool begin(struct decoder *d, unsigned char first)
{
	int window = 15 + 16; /* gzip */

	if (d->coding == CODING_DEFLATE)
		window = (first & 0x0f) == 8 && first >> 4 <= 7 ? 15 : -15;
	d->begun = inflateInit2(&d->z, window) == Z_OK;
	return d->begun;
}

static bool is_bomb(const struct decoder *d)
{
	if (d->out > (uint64_t)DECODE_MAX_MIB * MIB)
		return true;
	return d->out > (uint64_t)DECODE_FREE_MIB * MIB && d->out > d->in * DECODE_MAX_RATIO;
}

enum decode_result decoder_feed(struct decoder *d, struct str bytes,
				bool (*sink)(void *user, struct str bytes), void *user)
{
	unsigned char out[PIECE];
	int rc = Z_OK;

	if (bytes.len == 0)
		return DECODE_OK;
	if (!d->begun && !begin(d, (unsigned char)bytes.ptr[0]))
		return DECODE_BROKEN;
	d->z.next_in = (unsigned char *)bytes.ptr;
	d->z.avail_in = (unsigned)bytes.len;
	do {
		if (d->complete) { /* a further gzip member may follow; nothing else may */
			if (d->coding != CODING_GZIP || inflateReset(&d->z) != Z_OK)
				return DECODE_BROKEN;
			d->complete = false;
		}
		size_t before = d->z.avail_in;

		d->z.next_out = out;
		d->z.avail_out = sizeof(out);
		rc = inflate(&d->z, Z_SYNC_FLUSH);
		size_t n = sizeof(out) - d->z.avail_out;

		d->in += before - d->z.avail_in;

		if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
			return DECODE_BROKEN;
		d->complete = rc == Z_STREAM_END;
		d->out += n;
		if (is_bomb(d))
			return DECODE_BOMB;
		if (n > 0 && !sink(user, (struct str){ (const char *)out, n }))
			return DECODE_STOPPED;
	} while (d->z.avail_in > 0 || (d->z.avail_out == 0 && !d->complete));
	return DECODE_OK;
}

bool decoder_complete(const struct decoder *d)
{
	return !d->begun || d->complete;
}
