/* protocols/openai_chat/request_shape.c - the members that the readers of this folder know inside a request. */
#include "protocols/openai_chat/openai_chat.h"

/* --- messages --- */

static const struct shape image_url[] = { SHAPE("url"), SHAPE("detail"), SHAPE_END };
static const struct shape input_audio[] = { SHAPE("data"), SHAPE("format"), SHAPE_END };
static const struct shape file[] = { SHAPE("filename"), SHAPE("file_data"), SHAPE("file_id"),
				     SHAPE_END };

#define CACHE_MARKS SHAPE("cache_control"), SHAPE("prompt_cache_breakpoint")
static const struct shape text_part[] = { SHAPE("type"), SHAPE("text"), CACHE_MARKS, SHAPE_END };
static const struct shape refusal_part[] = { SHAPE("type"), SHAPE("refusal"), CACHE_MARKS,
					     SHAPE_END };
static const struct shape image_part[] = { SHAPE("type"), SHAPE_IN("image_url", image_url),
					   CACHE_MARKS, SHAPE_END };
static const struct shape audio_part[] = { SHAPE("type"), SHAPE_IN("input_audio", input_audio),
					   CACHE_MARKS, SHAPE_END };
static const struct shape file_part[] = { SHAPE("type"), SHAPE_IN("file", file), CACHE_MARKS,
					  SHAPE_END };
static const struct shape part[] = {
	SHAPE_KIND("type", "text", text_part),       SHAPE_KIND("type", "image_url", image_part),
	SHAPE_KIND("type", "refusal", refusal_part), SHAPE_KIND("type", "input_audio", audio_part),
	SHAPE_KIND("type", "file", file_part),       SHAPE_END,
};

static const struct shape called_function[] = { SHAPE("name"), SHAPE("arguments"), SHAPE_END };
static const struct shape called_custom[] = { SHAPE("name"), SHAPE("input"), SHAPE_END };
static const struct shape google[] = { SHAPE("thought_signature"), SHAPE_END };
static const struct shape extra_content[] = { SHAPE_IN("google", google), SHAPE_END };
static const struct shape drawn_image[] = {
	SHAPE("type"),
	SHAPE_IN("image_url", image_url),
	SHAPE_IN("extra_content", extra_content),
	SHAPE("index"),
	SHAPE_END,
};
/* `index` is what clients keep of a stream. */
static const struct shape function_call[] = {
	SHAPE("id"),
	SHAPE("type"),
	SHAPE_IN("function", called_function),
	SHAPE_IN("extra_content", extra_content),
	SHAPE("index"),
	SHAPE_END,
};
static const struct shape custom_call[] = {
	SHAPE("id"),
	SHAPE("type"),
	SHAPE_IN("custom", called_custom),
	SHAPE_IN("extra_content", extra_content),
	SHAPE("index"),
	SHAPE_END,
};
static const struct shape call[] = {
	SHAPE_KIND("type", "function", function_call),
	SHAPE_KIND("type", "", function_call),
	SHAPE_KIND("type", "custom", custom_call),
	SHAPE_END,
};

static const struct shape spoken[] = {
	SHAPE("role"), SHAPE_IN("content", part), SHAPE("name"), CACHE_MARKS, SHAPE_END,
};
/* `prefix` asks that the model go on from here, which a last message of the assistant always does. */
static const struct shape assistant[] = {
	SHAPE("role"),
	SHAPE_IN("content", part),
	SHAPE_IN("tool_calls", call),
	SHAPE("name"),
	SHAPE("refusal"),
	SHAPE("reasoning_content"),
	SHAPE("reasoning"),
	SHAPE("reasoning_details"),
	SHAPE_IN("function_call", called_function),
	SHAPE("audio"),
	SHAPE_IN("images", drawn_image),
	SHAPE("prefix"),
	CACHE_MARKS,
	SHAPE_END,
};
/* `name` says again whose result it is. */
static const struct shape tool_message[] = {
	SHAPE("role"), SHAPE_IN("content", part), SHAPE("tool_call_id"), SHAPE("name"), CACHE_MARKS,
	SHAPE_END,
};
static const struct shape message[] = {
	SHAPE_KIND("role", "user", spoken),
	SHAPE_KIND("role", "assistant", assistant),
	SHAPE_KIND("role", "tool", tool_message),
	SHAPE_KIND("role", "system", spoken),
	SHAPE_KIND("role", "developer", spoken),
	SHAPE_KIND("role", "function", tool_message),
	SHAPE_END,
};

/* --- tools --- */

static const struct shape function[] = { SHAPE("name"), SHAPE("description"), SHAPE("parameters"),
					 SHAPE("strict"), SHAPE_END };
static const struct shape custom[] = { SHAPE("name"), SHAPE("description"), SHAPE("format"),
				       SHAPE_END };
/* Flat, as Responses has them, where there is no `function`. */
static const struct shape function_tool[] = {
	SHAPE("type"),       SHAPE_IN("function", function),
	SHAPE("name"),       SHAPE("description"),
	SHAPE("parameters"), SHAPE("strict"),
	CACHE_MARKS,         SHAPE_END,
};
static const struct shape custom_tool[] = { SHAPE("type"), SHAPE_IN("custom", custom), CACHE_MARKS,
					    SHAPE_END };
static const struct shape tool[] = {
	SHAPE_KIND("type", "function", function_tool),
	SHAPE_KIND("type", "", function_tool),
	SHAPE_KIND("type", "custom", custom_tool),
	SHAPE_END,
};

/* --- the rest --- */

static const struct shape json_schema[] = { SHAPE("name"), SHAPE("description"), SHAPE("schema"),
					    SHAPE("strict"), SHAPE_END };
static const struct shape response_format[] = { SHAPE("type"), SHAPE_IN("json_schema", json_schema),
						SHAPE("schema"), SHAPE_END };
static const struct shape reasoning[] = { SHAPE("effort"), SHAPE("max_tokens"), SHAPE("enabled"),
					  SHAPE_END };
static const struct shape thinking[] = { SHAPE("type"), SHAPE("budget_tokens"), SHAPE_END };

const struct shape oc_request_shape[] = {
	SHAPE_IN("messages", message),
	SHAPE_IN("tools", tool),
	SHAPE_IN("functions", function),
	SHAPE_IN("response_format", response_format),
	SHAPE_IN("stream_options", oc_stream_options_shape),
	SHAPE_IN("reasoning", reasoning),
	SHAPE_IN("thinking", thinking),
	SHAPE_END,
};
