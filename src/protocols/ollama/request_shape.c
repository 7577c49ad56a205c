/* protocols/ollama/request_shape.c - the members that the readers of this folder know inside a request. */
#include "protocols/ollama/ollama.h"

static const struct shape called[] = { SHAPE("name"), SHAPE("arguments"), SHAPE("index"),
				       SHAPE_END };
static const struct shape call[] = { SHAPE_IN("function", called), SHAPE("id"), SHAPE("type"),
				     SHAPE("signature"), SHAPE_END };
/* Roles are not told apart: what one of them has no use for is what clients keep of answers. */
static const struct shape message[] = {
	SHAPE("role"),     SHAPE("content"),   SHAPE("images"),       SHAPE_IN("tool_calls", call),
	SHAPE("thinking"), SHAPE("tool_name"), SHAPE("tool_call_id"), SHAPE("signature"),
	SHAPE("name"),     SHAPE_END,
};
static const struct shape function[] = { SHAPE("name"), SHAPE("description"), SHAPE("parameters"),
					 SHAPE_END };
static const struct shape function_tool[] = { SHAPE("type"), SHAPE_IN("function", function),
					      SHAPE_END };
static const struct shape tool[] = { SHAPE_KIND("type", "function", function_tool),
				     SHAPE_KIND("type", "", function_tool), SHAPE_END };

const struct shape ol_request_shape[] = { SHAPE_IN("messages", message), SHAPE_IN("tools", tool),
					  SHAPE_END };
