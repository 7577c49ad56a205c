/* protocols/minters.h - one wire format, many vendors: the names under which each vendor's proofs travel.
 *
 * OpenAI, Azure and xAI answer in one protocol, and each refuses what another has encrypted; Anthropic's is spoken by many. So what a
 * part or block calls its origin is the protocol's own name for the vendor whose protocol it is, and for everybody else who speaks it
 * a name of their own, OpenRouter's word where it has one: "xai-responses-v1", "zai-messages-v1". Such a name holds no dot (ir/carrier.h).
 */
#ifndef GW_PROTOCOLS_MINTERS_H
#define GW_PROTOCOLS_MINTERS_H

#include <stdbool.h>

#include "base/arena.h"

/* Of proofs that `minter` (account_minter()) makes in the protocol of that name. `minter` NULL: the protocol's own vendor. The
 * protocol's name, a constant or text in the arena; NULL: memory is out. */
const char *minter_origin(struct arena *a, const char *protocol, const char *minter);

/* Whoever it is makes them in the protocol of that name. `origin` may be NULL. */
bool minter_speaks(const char *origin, const char *protocol);
/* In Responses: they belong to an item with an id. */
bool minter_has_items(const char *origin);

#endif
