/* protocols/openai_responses/proof.c - a reasoning item's proof: its id and its encrypted_content in one, and foreign
 * proofs in its place.
 *
 * Anthropic has two kinds of proof, a signature beside text and opaque data instead of it; in the one place that there
 * is here the second kind is marked. Signatures are base64 and never begin like the mark. */
#include "protocols/openai_responses/openai_responses.h"

#include "ir/carrier.h"

#define REDACTED "redacted."

struct str rs_proof_join(struct arena *a, struct str id, struct str encrypted)
{
	size_t len = id.len + 1 + encrypted.len;
	char *to = arena_alloc_raw(a, len + 1);

	if (!to)
		return STR_NONE;
	if (id.len)
		memcpy(to, id.ptr, id.len);
	to[id.len] = ':';
	if (encrypted.len)
		memcpy(to + id.len + 1, encrypted.ptr, encrypted.len);
	to[len] = '\0';
	return (struct str){ to, len };
}

void rs_proof_split(struct str proof, struct str *ret_id, struct str *ret_encrypted)
{
	ptrdiff_t colon = str_chr(proof, ':');

	*ret_id = STR("");
	*ret_encrypted = proof;
	if (colon < 0)
		return;
	ret_id->ptr = proof.ptr;
	ret_id->len = (size_t)colon;
	*ret_encrypted = str_from_offset(proof, (size_t)colon + 1);
}

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
	const struct protocol *p;
	struct str origin, proof;

	if (!ir_carrier_unpack(a, encrypted, &origin, &proof))
		return false;
	p = protocol_find(origin);
	*ret_origin = p ? p->name : arena_dup(a, origin).ptr;
	*ret_signature = *ret_redacted = STR_NONE;
	if (str_starts(proof, STR(REDACTED)))
		*ret_redacted = str_from_offset(proof, sizeof(REDACTED) - 1);
	else
		*ret_signature = proof;
	return true;
}
