/* protocols/gemini/request_shape.c - the members that the readers of this folder know inside a request, in both spellings. */
#include "protocols/gemini/gemini.h"

#define BOTH(camel, snake) SHAPE(camel), SHAPE(snake)
#define BOTH_IN(camel, snake, table) SHAPE_IN(camel, table), SHAPE_IN(snake, table)

static const struct shape blob[] = { BOTH("mimeType", "mime_type"), SHAPE("data"),
				     BOTH("displayName", "display_name"), SHAPE_END };
static const struct shape file[] = { BOTH("mimeType", "mime_type"), BOTH("fileUri", "file_uri"),
				     BOTH("displayName", "display_name"), SHAPE_END };
static const struct shape call[] = { SHAPE("id"), SHAPE("name"), SHAPE("args"), SHAPE_END };
static const struct shape result_part[] = { BOTH_IN("inlineData", "inline_data", blob),
					    BOTH_IN("fileData", "file_data", file), SHAPE_END };
static const struct shape result[] = { SHAPE("id"), SHAPE("name"), SHAPE("response"),
				       SHAPE_IN("parts", result_part), SHAPE_END };
/* Those that only Google runs or makes are kept whole, those that go with a part are named by its reader. */
static const struct shape part[] = {
	SHAPE("text"),
	SHAPE("thought"),
	BOTH("thoughtSignature", "thought_signature"),
	BOTH_IN("functionCall", "function_call", call),
	BOTH_IN("functionResponse", "function_response", result),
	BOTH_IN("inlineData", "inline_data", blob),
	BOTH_IN("fileData", "file_data", file),
	BOTH("videoMetadata", "video_metadata"),
	BOTH("mediaResolution", "media_resolution"),
	BOTH("partMetadata", "part_metadata"),
	BOTH("executableCode", "executable_code"),
	BOTH("codeExecutionResult", "code_execution_result"),
	BOTH("toolCall", "tool_call"),
	BOTH("toolResponse", "tool_response"),
	SHAPE_END,
};
/* A part may stand in its content's place. */
static const struct shape content[] = { SHAPE("role"), SHAPE_IN("parts", part), SHAPE("text"),
					SHAPE_END };

/* An answer's schema is named by the tools' reader. */
static const struct shape function[] = {
	SHAPE("name"),       SHAPE("description"),
	SHAPE("parameters"), BOTH("parametersJsonSchema", "parameters_json_schema"),
	SHAPE("response"),   BOTH("responseJsonSchema", "response_json_schema"),
	SHAPE_END,
};
static const struct shape tool[] = {
	BOTH_IN("functionDeclarations", "function_declarations", function), SHAPE_OTHERS, SHAPE_END
};
static const struct shape calling[] = { SHAPE("mode"),
					BOTH("allowedFunctionNames", "allowed_function_names"),
					SHAPE_END };
static const struct shape tool_config[] = { BOTH_IN("functionCallingConfig",
						    "function_calling_config", calling),
					    SHAPE_OTHERS, SHAPE_END };
static const struct shape thinking[] = { BOTH("includeThoughts", "include_thoughts"),
					 BOTH("thinkingBudget", "thinking_budget"),
					 BOTH("thinkingLevel", "thinking_level"), SHAPE_END };
static const struct shape config[] = { BOTH_IN("thinkingConfig", "thinking_config", thinking),
				       SHAPE_OTHERS, SHAPE_END };

const struct shape gm_request_shape[] = {
	SHAPE_IN("contents", content),
	BOTH_IN("systemInstruction", "system_instruction", content),
	SHAPE_IN("tools", tool),
	BOTH_IN("toolConfig", "tool_config", tool_config),
	BOTH_IN("generationConfig", "generation_config", config),
	SHAPE_END,
};
