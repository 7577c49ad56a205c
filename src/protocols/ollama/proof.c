/* protocols/ollama/proof.c - another vendor's proofs on their way through Ollama's messages.
 *
 * Ollama has no member for one. So a carrier (ir/carrier.h) goes out as a member `signature` of our own: in a message for its
 * thoughts and words, in an entry of tool_calls for that call. Clients that send messages back as they came keep
 * it; those that keep only what they know lose it, and with it what the vendor would have made of it (traps 46-51). */
#include "protocols/ollama/ollama.h"

#include "ir/carrier.h"

#define REDACTED "redacted:"

struct str ol_proof_pack(struct arena *a, const char *origin, struct str proof, bool redacted)
{
	if (redacted)
		proof = arena_printf(a, REDACTED "%.*s", STR_ARG(proof));
	return str_present(proof) ? ir_carrier_pack(a, origin, proof) : STR_NONE;
}

bool ol_proof_unpack(struct arena *a, struct str value, struct ir_part *io)
{
	struct str origin, proof;
	const char *name;

	if (!ir_carrier_is(value) || !ir_carrier_unpack(a, value, &origin, &proof))
		return false;
	name = arena_dup(a, origin)
		       .ptr; /* a broker's word for a vendor may be no protocol's name */
	if (!name)
		return false;
	io->origin = name;
	if (str_starts(proof, STR(REDACTED)))
		io->redacted = str_from_offset(proof, sizeof(REDACTED) - 1);
	else
		io->signature = proof;
	return true;
}
