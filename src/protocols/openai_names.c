/* protocols/openai_names.c - ids and names within OpenAI's limits, and the way back; a reasoning item's proof, which is bound to
 * its id, as one text. */
#include "protocols/openai.h"

#include "protocols/tool_names.h"

#define MARKS "_-"

struct str oc_tool_name(struct arena *a, struct str name)
{
	return tool_name_fit(a, name, MARKS);
}

/* OpenAI bounds only the length of a call's id; other servers have ids with dots and colons of their own. */
struct str oc_call_id(struct arena *a, struct str id)
{
	if (id.len > 0 && id.len <= TOOL_NAME_MAX)
		return id;
	return tool_name_shorten(a, id, MARKS);
}

struct str oc_tool_name_restore(const struct ir_request *r, struct str name)
{
	return tool_name_restore(r, name, MARKS);
}

struct str oc_proof_join(struct arena *a, struct str id, struct str encrypted)
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

void oc_proof_split(struct str proof, struct str *ret_id, struct str *ret_encrypted)
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

bool oc_proof_dropped(const struct request_target *t, struct str proof)
{
	struct str id, encrypted;

	oc_proof_split(proof, &id, &encrypted);
	if (!t->proofs || !t->proofs->drops(t->proofs, encrypted, id))
		return false;
	t->proofs->dropped(t->proofs, encrypted, id);
	return true;
}
