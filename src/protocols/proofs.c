/* protocols/proofs.c - whether it is worth to look for proofs that a target would refuse. */
#include "protocols/proofs.h"

struct suspicion {
	struct proof_sink sink;
	const struct proof_check *check;
	bool found;
};

static void suspect(struct proof_sink *sink, struct str proof)
{
	struct suspicion *s = (struct suspicion *)sink;

	s->found = s->found || s->check->drops(s->check, proof, STR_NONE);
}

bool proofs_any_dropped(const struct proof_codec *codec, const struct proof_check *check,
			struct arena *a, struct str text)
{
	struct suspicion s = { .sink.see = suspect, .check = check };

	if (check)
		codec->each(a, text, &s.sink);
	return s.found;
}
