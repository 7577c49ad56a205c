/* protocols/detect.h - which dialect a body is in, where the path does not say it.
 *
 * Two routes of openai_chat do not say it: POST /v1/inference takes every dialect, and is what this is for; POST
 * /v1/chat/completions takes a body with `input` and no `messages` for Responses (request_peek.asks_input). A pure function of
 * fields and body, total: a protocol, or an error that names what decided. The rule as a table: docs/universal.md. */
#ifndef GW_PROTOCOLS_DETECT_H
#define GW_PROTOCOLS_DETECT_H

#include "protocols/protocol.h"

/* Variants of openai_chat's routes to generate. */
enum detect_place { DETECT_NOTHING = 0, DETECT_CHAT, DETECT_UNIVERSAL };

struct detect_ask {
	struct str lals_provider; /* x-lals-provider; absent */
	struct str protocol;      /* x-llm-gateway-protocol; absent */
	bool anthropic_version;   /* the head has that field */
	struct str body;
};

struct detected {
	const struct protocol *protocol;
	struct request_line line;
	struct str
		body; /* as the dialect has it: Gemini's model and stream are in the path, not in the body */
};

/* RC_INVALID or RC_SYNTAX with words for the caller; RC_NOMEM. */
int detect_protocol(struct arena *a, const struct detect_ask *ask, struct detected *ret,
		    struct err *reterr) MUST_CHECK;

/* In whose words to answer while that is not known. */
const struct protocol *detect_speaker(struct str lals_provider, struct str protocol,
				      bool anthropic_version);

#endif
