/* protocols/openai_responses/proof.c - foreign proofs in the place of a reasoning item's encrypted_content.
 *
 * Anthropic has two kinds of proof, a signature beside text and opaque data instead of it; in the one place that there
 * is here the second kind is marked. Signatures are base64 and never begin like the mark. */
#include "protocols/openai_responses/openai_responses.h"

#include "ir/carrier.h"

#define REDACTED "redacted."

struct str rs_carrier_pack(struct arena *a, const char *origin, struct str signature,
			   struct str redacted)
{
	struct str marked;

	if (!str_present(redacted))
		return ir_carrier_pack(a, origin, signature);
	marked = arena_printf(a, REDACTED "%.*s", STR_ARG(redacted));
	return marked.ptr ? ir_carrier_pack(a, origin, marked) : STR_NONE;
}

bool rs_carrier_unpack(struct arena *a, struct str encrypted, const char **ret_origin,
		       struct str *ret_signature, struct str *ret_redacted)
{
	struct str origin, proof;

	if (!ir_carrier_unpack(a, encrypted, &origin, &proof))
		return false;
	*ret_origin = arena_dup(a, origin).ptr;
	*ret_signature = *ret_redacted = STR_NONE;
	if (str_starts(proof, STR(REDACTED)))
		*ret_redacted = str_from_offset(proof, sizeof(REDACTED) - 1);
	else
		*ret_signature = proof;
	return true;
}
