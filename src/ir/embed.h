/* ir/embed.h - texts to vectors, in no vendor's words.
 *
 * No event stream: one request, one answer. Vectors keep the numbers as the vendor wrote
 * them where they come as JSON, and their bits where they come as base64, so that no digit is lost on the way.
 */
#ifndef GW_IR_EMBED_H
#define GW_IR_EMBED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "ir/event.h"
#include "ir/request.h"

struct ir_embed_input {
	struct str text;       /* absent when it came as tokens */
	const int64_t *tokens; /* NULL when it came as text */
	unsigned n_tokens;
	struct str task;  /* Gemini's taskType; absent */
	struct str title; /* Gemini's, of a document; absent */
};

struct ir_embed_request {
	struct str model;
	struct ir_embed_input *inputs; /* at least one */
	unsigned n_inputs;
	int64_t dimensions; /* IR_UNSET: the model's own */
	bool base64;     /* the client wants little-endian float32 in base64 instead of numbers */
	bool single;     /* asked without a list (Ollama's and Gemini's single forms) */
	struct str user; /* absent */
	struct ir_extra *extras;
	unsigned n_extras;
	const char *origin; /* the protocol's name */
};

/* One vector: either form, whichever the upstream sent. */
struct ir_vector {
	struct str json;   /* "[0.1,-2e-3]"; absent when it came as base64 */
	struct str base64; /* little-endian float32; absent when it came as JSON */
};

struct ir_embed_response {
	struct ir_vector *vectors; /* in the order of the inputs (trap 99) */
	unsigned n_vectors;
	struct ir_usage usage; /* .input; -1 when the upstream does not say */
};

#endif
