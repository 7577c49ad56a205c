/* protocols/vectors.h - one embedding's numbers in the two forms vendors send: a JSON list, and little-endian float32 in base64.
 *
 * A form is only left when the other side wants the other one, and then exactly: a decimal goes to the nearest float32, a
 * float32 to the shortest decimal that comes back as the same bits. Not locale-dependent as long as nobody calls setlocale().
 */
#ifndef GW_PROTOCOLS_VECTORS_H
#define GW_PROTOCOLS_VECTORS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "ir/embed.h"
#include "json/json.h"

/* One vector out of an upstream's answer: a list of numbers, each within float32, or a string of base64 over finite float32s.
 * The text is copied into the arena. RC_SYNTAX: it is neither. RC_NOMEM. */
int vector_read(struct arena *a, const json *v, struct ir_vector *ret) MUST_CHECK;

/* Appends the vector as a JSON list: "[0.1,-2e-3]". The vendor's own decimals where it sent such. Failure is the buffer's;
 * what vector_read() would refuse becomes "[]". */
void vector_put_json(struct buf *out, const struct ir_vector *v);
/* Appends the vector as base64, without quotes. */
void vector_put_base64(struct buf *out, const struct ir_vector *v);

#endif
