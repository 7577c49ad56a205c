/* protocols/openai_names.c - ids and names within OpenAI's limits, and the way back. */
#include "protocols/openai.h"

#include "protocols/tool_names.h"

#define MARKS "_-"

struct str oc_tool_name(struct arena *a, struct str name)
{
	return tool_name_fit(a, name, MARKS);
}

/* OpenAI bounds only the length of a call's id; other servers have ids with dots and colons of their own. */
struct str oc_call_id(struct arena *a, struct str id)
{
	if (id.len > 0 && id.len <= TOOL_NAME_MAX)
		return id;
	return tool_name_shorten(a, id, MARKS);
}

struct str oc_tool_name_restore(const struct ir_request *r, struct str name)
{
	return tool_name_restore(r, name, MARKS);
}
