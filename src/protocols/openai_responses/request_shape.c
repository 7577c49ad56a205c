/* protocols/openai_responses/request_shape.c - the members that the readers of this folder know inside a request.
 *
 * Items, parts and tools of other kinds are kept whole and go on, or are named, as one. Ids, `status` and `logprobs` are the
 * server's own: they are no word to a model, and no loss. */
#include "protocols/openai_responses/openai_responses.h"
#include "protocols/shape.h"

/* --- tools --- */

#define CACHE_MARKS SHAPE("cache_control"), SHAPE("prompt_cache_breakpoint")
#define FUNCTION SHAPE("name"), SHAPE("description"), SHAPE("parameters"), SHAPE("strict")

static const struct shape inner_function[] = { FUNCTION, SHAPE_END };
static const struct shape function_tool[] = {
	SHAPE("type"), FUNCTION, SHAPE_IN("function", inner_function), CACHE_MARKS, SHAPE_END,
};
static const struct shape custom_tool[] = {
	SHAPE("type"), SHAPE("name"), SHAPE("description"), SHAPE("format"), CACHE_MARKS, SHAPE_END,
};
static const struct shape inner_tool[] = {
	SHAPE_KIND("type", "function", function_tool),
	SHAPE_KIND("type", "custom", custom_tool),
	SHAPE_END,
};
/* Its description is of all its tools together, which elsewhere stand each for itself. */
static const struct shape namespace_tool[] = {
	SHAPE("type"),
	SHAPE("name"),
	SHAPE_IN("tools", inner_tool),
	SHAPE_END,
};
static const struct shape tool[] = {
	SHAPE_KIND("type", "function", function_tool),
	SHAPE_KIND("type", "custom", custom_tool),
	SHAPE_KIND("type", "namespace", namespace_tool),
	SHAPE_END,
};

/* --- parts --- */

static const struct shape input_text[] = { SHAPE("type"), SHAPE("text"), CACHE_MARKS, SHAPE_END };
static const struct shape output_text[] = {
	SHAPE("type"),     SHAPE("text"), SHAPE("annotations"),
	SHAPE("logprobs"), CACHE_MARKS,   SHAPE_END,
};
static const struct shape refusal[] = { SHAPE("type"), SHAPE("refusal"), SHAPE_END };
static const struct shape input_image[] = {
	SHAPE("type"),   SHAPE("image_url"), SHAPE("file_id"),
	SHAPE("detail"), CACHE_MARKS,        SHAPE_END,
};
static const struct shape input_file[] = {
	SHAPE("type"),     SHAPE("file_data"), SHAPE("file_id"), SHAPE("file_url"),
	SHAPE("filename"), SHAPE("detail"),    CACHE_MARKS,      SHAPE_END,
};
static const struct shape audio[] = { SHAPE("data"), SHAPE("format"), SHAPE_END };
static const struct shape input_audio[] = {
	SHAPE("type"),
	SHAPE_IN("input_audio", audio),
	CACHE_MARKS,
	SHAPE_END,
};
static const struct shape part[] = {
	SHAPE_KIND("type", "input_text", input_text),
	SHAPE_KIND("type", "output_text", output_text),
	SHAPE_KIND("type", "text", output_text),
	SHAPE_KIND("type", "summary_text", output_text),
	SHAPE_KIND("type", "refusal", refusal),
	SHAPE_KIND("type", "input_image", input_image),
	SHAPE_KIND("type", "input_file", input_file),
	SHAPE_KIND("type", "input_audio", input_audio),
	SHAPE_END,
};

/* --- items --- */

#define ITEM SHAPE("type"), SHAPE("id"), SHAPE("status")

static const struct shape message[] = {
	ITEM, SHAPE("role"), SHAPE_IN("content", part), CACHE_MARKS, SHAPE_END,
};
/* That the model itself called is how it is anyway; a program that did is its server's own. */
static const struct shape no_more[] = { SHAPE("type"), SHAPE_END };
static const struct shape caller[] = { SHAPE_KIND("type", "direct", no_more),
				       SHAPE_KIND("type", "program", no_more), SHAPE_END };
static const struct shape call[] = {
	ITEM,
	SHAPE("call_id"),
	SHAPE("name"),
	SHAPE("namespace"),
	SHAPE("arguments"),
	SHAPE("input"),
	SHAPE_IN("caller", caller),
	SHAPE_END,
};
static const struct shape result[] = {
	ITEM,
	SHAPE("call_id"),
	SHAPE("name"),
	SHAPE("namespace"),
	SHAPE_IN("output", part),
	SHAPE_IN("caller", caller),
	SHAPE_END,
};
static const struct shape reasoning_item[] = {
	ITEM, SHAPE("summary"), SHAPE("content"), SHAPE("encrypted_content"), SHAPE_END,
};
/* How it was drawn is no word to a model. */
static const struct shape drawn_image[] = {
	ITEM,
	SHAPE("result"),
	SHAPE("revised_prompt"),
	SHAPE("action"),
	SHAPE("background"),
	SHAPE("output_format"),
	SHAPE("quality"),
	SHAPE("size"),
	SHAPE("svg_usage"),
	SHAPE("error"),
	SHAPE_END,
};
static const struct shape additional_tools[] = {
	ITEM,
	SHAPE("role"),
	SHAPE_IN("tools", tool),
	SHAPE_END,
};
static const struct shape found_tools[] = {
	ITEM, SHAPE("call_id"), SHAPE("execution"), SHAPE_IN("tools", tool), SHAPE_END,
};
static const struct shape item[] = {
	SHAPE_KIND("type", "message", message),
	SHAPE_KIND("type", "", message), /* trap 64 */
	SHAPE_KIND("type", "function_call", call),
	SHAPE_KIND("type", "function_call_output", result),
	SHAPE_KIND("type", "custom_tool_call", call),
	SHAPE_KIND("type", "custom_tool_call_output", result),
	SHAPE_KIND("type", "reasoning", reasoning_item),
	SHAPE_KIND("type", "image_generation_call", drawn_image),
	SHAPE_KIND("type", "additional_tools", additional_tools),
	SHAPE_KIND("type", "tool_search_output", found_tools),
	SHAPE_END,
};

/* --- the rest --- */

static const struct shape format[] = {
	SHAPE("type"),   SHAPE("name"),   SHAPE("description"),
	SHAPE("schema"), SHAPE("strict"), SHAPE_END,
};
static const struct shape text[] = { SHAPE_IN("format", format), SHAPE("verbosity"), SHAPE_END };
static const struct shape reasoning[] = {
	SHAPE("effort"),
	SHAPE("summary"),
	SHAPE("generate_summary"),
	SHAPE_END,
};

/* It may only ask for padding, or that there be none: nobody else pads. */
static const struct shape stream_options[] = { SHAPE_END };

const struct shape rs_request_shape[] = {
	SHAPE_IN("input", item),
	SHAPE_IN("tools", tool),
	SHAPE_IN("text", text),
	SHAPE_IN("reasoning", reasoning),
	SHAPE_IN("stream_options", stream_options),
	SHAPE_END,
};
