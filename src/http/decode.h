/* http/decode.h - undoes a Content-Encoding of an upstream's answer as it streams by.
 *
 * We ask for identity; some upstreams compress all the same. gzip and deflate are undone, others
 * are refused. What comes out is bounded against bombs, by size and by ratio.
 */
#ifndef GW_HTTP_DECODE_H
#define GW_HTTP_DECODE_H

#include <stdbool.h>

#include "base/str.h"

struct decoder;

enum coding { CODING_IDENTITY, CODING_GZIP, CODING_DEFLATE, CODING_UNKNOWN };
enum decode_result { DECODE_OK, DECODE_STOPPED, DECODE_BROKEN, DECODE_BOMB };

enum {
	DECODE_MAX_MIB = 256, /* all of one answer */
	DECODE_FREE_MIB = 8,  /* below it the ratio does not matter */
	DECODE_MAX_RATIO = 200,
};

/* What a Content-Encoding value means; absent is identity. */
enum coding coding_of(struct str value);
/* CODING_GZIP or CODING_DEFLATE (zlib's form, or raw as some send it). NULL when memory is out. */
struct decoder *decoder_new(enum coding c);
struct decoder *decoder_free(struct decoder *d); /* NULL is a no-op; returns NULL */
/* Hands what can be decoded to `sink` in pieces of its own memory. A sink that returns false
 * stops it. */
enum decode_result decoder_feed(struct decoder *d, struct str bytes,
				bool (*sink)(void *user, struct str bytes), void *user);
/* True when the coded stream has come to its end (or nothing of it ever came). */
bool decoder_complete(const struct decoder *d);

#endif
