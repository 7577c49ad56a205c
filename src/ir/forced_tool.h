/* ir/forced_tool.h - a forced tool call on engines that cannot force one.
 *
 * llama.cpp's server answers `tool_choice: required` with prose, but does hold an answer to a JSON schema.
 * So the request goes out with a schema over the allowed tools instead of tools,
 * and the JSON text that comes back is turned into a proper tool call, streamed or not.
 * One tool allowed: the schema is its parameters. Several: {"name": <one of>, "arguments": <its parameters>}.
 */
#ifndef GW_IR_FORCED_TOOL_H
#define GW_IR_FORCED_TOOL_H

#include "base/arena.h"
#include "base/err.h"
#include "ir/event.h"
#include "ir/request.h"

/* True when `r` forces a call (REQUIRED or NAMED with tools). */
bool ir_forces_tool(const struct ir_request *r);

/* A copy of `r` (sharing its messages) with tools and choice replaced by a schema, and a system sentence that
 * names the tools. RC_INVALID when the named tool does not exist or no tool is allowed. */
int ir_forced_tool_request(struct arena *a, const struct ir_request *r, struct ir_request *ret,
			   struct err *reterr) MUST_CHECK;

/* Sink that turns the text block of the answer into a tool call block. */
struct ir_forced_tool {
	struct ir_sink sink;
	struct ir_sink *next;
	struct arena *arena;
	const struct ir_request *request;
	/* private */
	struct str only_; /* the one tool's name; absent when several are allowed */
	struct str id_;   /* seed of the calls' ids: the upstream's response id */
	struct str held_; /* text seen before the name is known */
	size_t held_cap_;
	int state_, depth_;
	bool in_string_, escaped_, in_block_, called_;
	unsigned index_; /* of the next block we open */
};

int ir_forced_tool_init(struct ir_forced_tool *f, struct arena *a,
			const struct ir_request *original, struct ir_sink *next) MUST_CHECK;

#endif
