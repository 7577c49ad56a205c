/* protocols/anthropic_messages/proof.c - where signatures and opaque thinking stand in texts of this protocol.
 *
 * Many servers borrow the protocol, with signatures of their own or none; Anthropic alone verifies, wherever its models are
 * hosted, and refuses the whole request for one that is not its. */
#include "protocols/anthropic_messages/anthropic_messages.h"
#include "protocols/glance.h"

#define REDACTED "\"redacted_thinking\""

enum { NEAR = 160 }; /* bytes of a frame's data, in which its type and its delta's stand */

/* Nearly all frames are deltas of text: looked at no further than where they say so. */
static bool in_event(const struct frame *ev)
{
	struct str start = { ev->data.ptr, ev->data.len < NEAR ? ev->data.len : NEAR };

	if (str_eq(ev->name, STR("content_block_delta")))
		return str_find(start, STR("\"signature_delta\"")) >= 0;
	return str_eq(ev->name, STR("content_block_start")) &&
	       str_find(start, STR("thinking\"")) >= 0;
}

struct look {
	struct arena *scratch;
	struct proof_sink *to;
};

static void see(void *user, unsigned which, struct str rest)
{
	struct look *l = user;
	struct str quoted = glance_string_of(rest);
	struct str proof = str_present(quoted) ? json_unquote(l->scratch, quoted) : STR_NONE;

	(void)which;
	if (proof.len)
		l->to->see(l->to, proof);
}

/* What else is called `data` is pictures. */
static void each(struct arena *a, struct str text, struct proof_sink *to)
{
	static const struct str redacted = STR_INIT(REDACTED);
	static const struct str names[] = { STR_INIT("\"signature\""), STR_INIT("\"data\"") };
	struct look l = { a, to };

	glance_each(text, names, glance_strings(text, &redacted, 1) ? 2 : 1, see, &l);
}

static bool refuses(const struct ir_error *e)
{
	return str_find(e->message, STR("thinking")) >= 0 &&
	       (str_find(e->message, STR("Invalid `signature`")) >= 0 ||
		str_find(e->message, STR("Invalid `data`")) >= 0);
}

const struct proof_codec am_proofs = {
	.verifier = "anthropic", .in_event = in_event, .each = each, .refuses = refuses
};
