/* protocols/openai_responses/proof.c - foreign proofs in the place of a reasoning item's encrypted_content; and where proofs stand in
 * texts of this protocol.
 *
 * Anthropic has two kinds of proof, a signature beside text and opaque data instead of it; in the one place that there
 * is here the second kind is marked. Signatures are base64 and never begin like the mark. */
#include "protocols/openai_responses/openai_responses.h"

#include "protocols/glance.h"

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

/* --- where they stand --- */

/* OpenAI encrypts the same reasoning anew each time that it tells it: all tellings count that a client may keep. */
static bool in_event(const struct frame *ev)
{
	return str_eq(ev->name, STR("response.output_item.done")) ||
	       str_eq(ev->name, STR("response.completed")) ||
	       str_eq(ev->name, STR("response.incomplete"));
}

enum { ENCRYPTED, ID, N_PROOFS, CARRIER = N_PROOFS, N_MARKS };

static const struct str marks[N_MARKS] = { [ENCRYPTED] = STR_INIT("\"encrypted_content\""),
					   [ID] = STR_INIT("\"rs_"),
					   [CARRIER] = STR_INIT("\"" IR_CARRIER_MARK) };

unsigned rs_signs(struct str body)
{
	unsigned found = glance_strings(body, marks, N_MARKS);

	return (found & 1u << CARRIER ? RS_SIGN_CARRIER : 0) |
	       (found & (1u << ENCRYPTED | 1u << ID) ? RS_SIGN_PROOF : 0);
}

struct look {
	struct arena *scratch;
	struct proof_sink *to;
};

static void see(void *user, unsigned which, struct str rest)
{
	struct look *l = user;
	struct str quoted = which == ENCRYPTED ? glance_string_of(rest) : glance_string(rest);
	struct str proof = str_present(quoted) ? json_unquote(l->scratch, quoted) : STR_NONE;

	if (proof.len)
		l->to->see(l->to, proof);
}

static void each(struct arena *a, struct str text, struct proof_sink *to)
{
	struct look l = { a, to };

	glance_each(text, marks, N_PROOFS, see, &l);
}

/* As OpenAI, Azure and xAI put it; Azure's has no code. The last is about reasoning that is not encrypted, which another keeps. */
static bool refuses(const struct ir_error *e)
{
	static const struct str words[][2] = {
		{ STR_INIT("ncrypted content"), STR_INIT("could not be verified") },
		{ STR_INIT("encrypted_content"), STR_INIT("Could not decrypt") },
		{ STR_INIT("compaction blob"), STR_INIT("Could not decode") },
		{ STR_INIT("Item with id 'rs_"), STR_INIT("not found") },
	};

	if (str_eq(e->code, STR("invalid_encrypted_content")))
		return true;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (str_find(e->message, words[i][0]) >= 0 &&
		    str_find(e->message, words[i][1]) >= 0)
			return true;
	return false;
}

const struct proof_codec rs_proofs = { .in_event = in_event, .each = each, .refuses = refuses };
