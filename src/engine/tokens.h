/* engine/tokens.h - how many input tokens a chat request is for a local model, counted by the engine itself.
 *
 * Two calls: /apply-template turns the chat into the prompt the model would see, /tokenize counts it.
 */
#ifndef GW_ENGINE_TOKENS_H
#define GW_ENGINE_TOKENS_H

#include <stdint.h>

#include "base/str.h"
#include "http/client.h"
#include "ir/event.h"
#include "net/origin.h"

struct engine_tokens; /* a count under way */

struct engine_tokens_options {
	struct http_client *client;  /* of the calling loop */
	const struct origin *origin; /* a lease's; borrowed until the count is over */
	struct str body;             /* the request as openai-chat JSON, tools included; copied */
	const struct http_deadlines *deadlines;
	/* Once, on the caller's loop, never inside engine_tokens_start(): `error` NULL and the count, or an error
	 * that lives during the call only. */
	void (*done)(void *user, int64_t tokens, const struct ir_error *error);
	void *user;
};

/* NULL when memory is out. */
struct engine_tokens *engine_tokens_start(const struct engine_tokens_options *o);
/* Ends it without `done`; only before `done`. */
void engine_tokens_cancel(struct engine_tokens *t);

#endif
