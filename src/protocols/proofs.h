/* protocols/proofs.h - proofs that look like the target's own and are another's.
 *
 * Where a client speaks the protocol of several vendors, or one vendor is reached with keys of several organisations, answers pass
 * byte for byte and nothing in a proof says who minted it. What a codec cannot know the gateway remembers: so a codec shows it
 * the proofs that pass, and asks before it lets one through to a target.
 */
#ifndef GW_PROTOCOLS_PROOFS_H
#define GW_PROTOCOLS_PROOFS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"
#include "ir/event.h"
#include "wire/frame.h"

/* What is known of the proofs in a request to one target. Whoever asks owns it; both MUST. */
struct proof_check {
	/* The target would refuse the request with that in it. `id`: that of the item which the proof belongs to, and all there is of it
	 * where only the vendor keeps the rest. Either may be absent. */
	bool (*drops)(const struct proof_check *c, struct str proof, struct str id);
	/* It was left out for that. */
	void (*dropped)(struct proof_check *c, struct str proof, struct str id);
};

/* Whoever wants to see proofs. */
struct proof_sink {
	void (*see)(struct proof_sink *s, struct str proof);
};

/* What a protocol says of the proofs in its texts. MUST, but for the first. */
struct proof_codec {
	/* The only vendor (account_minter()) that looks at them; others who speak the protocol take anybody's. NULL: all do. */
	const char *verifier;
	/* Such a frame of an answer may hold some. Cheap: it is asked of each. */
	bool (*in_event)(const struct frame *ev);
	/* Every proof, and every id that one goes by, that may stand in a text of the protocol (a body, a frame's data), in any order; `a` is
	 * scratch. A string that is none does no harm. */
	void (*each)(struct arena *a, struct str text, struct proof_sink *to);
	/* The provider refuses a request for a proof in it. */
	bool (*refuses)(const struct ir_error *e);
};

/* Some may be there that `check` (MAY be NULL) would drop: without reading the text. Nearly always all in it are the target's own. */
bool proofs_any_dropped(const struct proof_codec *codec, const struct proof_check *check,
			struct arena *a, struct str text);

#endif
