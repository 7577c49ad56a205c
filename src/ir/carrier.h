/* ir/carrier.h - a vendor's proof on its way through another vendor's dialect.
 *
 * Vendors sign what their models think (Anthropic `signature` and `redacted_thinking`, Gemini `thoughtSignature`, OpenAI
 * `encrypted_content`) and want it back unchanged in the next turn. A client that speaks another dialect keeps such a value
 * only in its own dialect's place for one. So an encoder of answers that meets a foreign proof puts it there as
 *
 *	lgw1.<protocol that minted it>.<the proof as it came>
 *
 * and the decoder of requests takes it apart again (traps 46-51). Where the place must hold base64 (Gemini's is `bytes` in
 * the vendor's SDKs) the whole is base64 once more. A value that is no carrier is the dialect's own proof.
 */
#ifndef GW_IR_CARRIER_H
#define GW_IR_CARRIER_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

/* How a carrier begins: to look for one in a text without reading it. */
#define IR_CARRIER_MARK "lgw1."
/* What base64 makes of the mark: its last character depends on the byte behind it. */
#define IR_CARRIER_MARK64 "bGd3MS"

/* Into the arena; absent when memory is out. `origin` is a protocol's name, which holds no dot. */
struct str ir_carrier_pack(struct arena *a, const char *origin, struct str proof);
struct str ir_carrier_pack_base64(struct arena *a, const char *origin, struct str proof);

/* Either form. True: *ret_origin (a slice of the value or the arena) and *ret_proof. False: no carrier, nothing is written. */
bool ir_carrier_unpack(struct arena *a, struct str value, struct str *ret_origin,
		       struct str *ret_proof);

/* The value looks like a carrier: cheap, for those who only want to know whether to look closer. */
bool ir_carrier_is(struct str value);

#endif
