/* protocols/anthropic_messages/request_shape.c - the members that the readers of this folder know inside a request. */
#include "protocols/anthropic_messages/anthropic_messages.h"

static const struct shape source[] = { SHAPE("type"), SHAPE("data"),    SHAPE("media_type"),
				       SHAPE("url"),  SHAPE("file_id"), SHAPE("content"),
				       SHAPE_END };
/* Who called: the model itself is what is meant everywhere. */
static const struct shape caller[] = { SHAPE("type"), SHAPE_END };

static const struct shape text[] = { SHAPE("type"), SHAPE("text"), SHAPE("cache_control"),
				     SHAPE("citations"), SHAPE_END };
static const struct shape image[] = { SHAPE("type"), SHAPE_IN("source", source),
				      SHAPE("cache_control"), SHAPE_END };
static const struct shape document[] = {
	SHAPE("type"),  SHAPE_IN("source", source), SHAPE("cache_control"),
	SHAPE("title"), SHAPE("citations"),         SHAPE("context"),
	SHAPE_END
};
static const struct shape search_result[] = { SHAPE("type"),      SHAPE_IN("content", text),
					      SHAPE("title"),     SHAPE("source"),
					      SHAPE("citations"), SHAPE("cache_control"),
					      SHAPE_END };
static const struct shape tool_reference[] = { SHAPE("type"), SHAPE("tool_name"),
					       SHAPE("cache_control"), SHAPE_END };
static const struct shape thinking[] = { SHAPE("type"), SHAPE("thinking"), SHAPE("signature"),
					 SHAPE_END };
static const struct shape redacted[] = { SHAPE("type"), SHAPE("data"), SHAPE_END };
static const struct shape tool_use[] = { SHAPE("type"),
					 SHAPE("id"),
					 SHAPE("name"),
					 SHAPE("input"),
					 SHAPE("cache_control"),
					 SHAPE_IN("caller", caller),
					 SHAPE_END };

static const struct shape in_result[] = {
	SHAPE_KIND("type", "text", text),
	SHAPE_KIND("type", "image", image),
	SHAPE_KIND("type", "document", document),
	SHAPE_KIND("type", "search_result", search_result),
	SHAPE_KIND("type", "tool_reference", tool_reference),
	SHAPE_END,
};
static const struct shape tool_result[] = {
	SHAPE("type"),     SHAPE("tool_use_id"),   SHAPE_IN("content", in_result),
	SHAPE("is_error"), SHAPE("cache_control"), SHAPE_END
};
static const struct shape block[] = {
	SHAPE_KIND("type", "text", text),
	SHAPE_KIND("type", "tool_use", tool_use),
	SHAPE_KIND("type", "tool_result", tool_result),
	SHAPE_KIND("type", "thinking", thinking),
	SHAPE_KIND("type", "image", image),
	SHAPE_KIND("type", "document", document),
	SHAPE_KIND("type", "redacted_thinking", redacted),
	SHAPE_KIND("type", "search_result", search_result),
	SHAPE_KIND("type", "tool_reference", tool_reference),
	SHAPE_END,
};
static const struct shape message[] = { SHAPE("role"), SHAPE_IN("content", block), SHAPE_END };

static const struct shape thinking_config[] = { SHAPE("type"), SHAPE("budget_tokens"),
						SHAPE("display"), SHAPE_END };
static const struct shape tool_choice[] = { SHAPE("type"), SHAPE("name"),
					    SHAPE("disable_parallel_tool_use"), SHAPE_END };

const struct shape am_request_shape[] = {
	SHAPE_IN("messages", message),
	SHAPE_IN("system", text),
	SHAPE_IN("thinking", thinking_config),
	SHAPE_IN("tool_choice", tool_choice),
	SHAPE_END,
};
