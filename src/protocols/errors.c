/* protocols/errors.c - reading errors of any shape. */
#include "protocols/errors.h"

#include "base/utf8.h"

enum {
	DEEPEST = 4,       /* {"error":{"message":{"detail":[{"msg"}]}}} (Mistral before FastAPI) */
	SENTENCE_MAX = 500 /* bytes; what is longer is a page or a dump */
};

const char *error_sentence(enum ir_error_kind kind)
{
	switch (kind) {
	case IR_ERR_INVALID_REQUEST:
		return "The request is not valid.";
	case IR_ERR_AUTHENTICATION:
		return "The API key is missing or not valid.";
	case IR_ERR_BILLING:
		return "There is a problem with billing.";
	case IR_ERR_PERMISSION:
		return "This key may not do that.";
	case IR_ERR_NOT_FOUND:
		return "Not found.";
	case IR_ERR_MODEL_NOT_FOUND:
		return "There is no such model.";
	case IR_ERR_METHOD:
		return "Method not allowed.";
	case IR_ERR_TOO_LARGE:
		return "The request is too large.";
	case IR_ERR_MEDIA_TYPE:
		return "The content type must be application/json.";
	case IR_ERR_CONTEXT_LENGTH:
		return "The prompt is too long for the model.";
	case IR_ERR_CONTENT_FILTER:
		return "The prompt was refused.";
	case IR_ERR_RATE_LIMIT:
		return "Too many requests; try again later.";
	case IR_ERR_SERVER:
		return "Internal server error.";
	case IR_ERR_UPSTREAM:
		return "The provider failed.";
	case IR_ERR_UNAVAILABLE:
		return "Temporarily unavailable; try again later.";
	case IR_ERR_OVERLOADED:
		return "The model is overloaded; try again later.";
	case IR_ERR_TIMEOUT:
		return "The request timed out.";
	}
	return "The request failed.";
}

const json *error_unwrap(const json *root)
{
	struct json_iter it = json_iter(root);

	return json_is_arr(root) ? (json_next(&it) ? it.val : NULL) : root;
}

/* Where vendors keep their sentence, the likelier first. */
static struct str find_message(const json *v, unsigned depth)
{
	static const struct str keys[] = { STR_INIT("message"), STR_INIT("msg"),
					   STR_INIT("detail"),  STR_INIT("error_description"),
					   STR_INIT("error"),   STR_INIT("error_message"),
					   STR_INIT("title") };

	v = error_unwrap(v);
	if (json_is_str(v) || depth == 0)
		return json_str(v);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		struct str found = find_message(json_get(v, keys[i]), depth - 1);

		if (found.len)
			return found;
	}
	return STR_NONE;
}

struct str error_find_message(const json *v)
{
	return find_message(v, DEEPEST);
}

struct str error_without_reason(struct arena *a, int status)
{
	if (status == 0)
		return STR("The provider broke off with an error and did not say why.");
	return arena_printf(
		a, "The provider answered with an error (status %d) and did not say why.", status);
}

struct str error_plain_text(struct arena *a, struct str body, int status)
{
	struct str text = str_trim(body);

	if (text.len == 0)
		return arena_printf(a, "The provider answered with status %d and an empty body.",
				    status);
	if (text.ptr[0] == '<' || text.len > SENTENCE_MAX || !utf8_valid(text))
		return arena_printf(
			a, "The provider answered with status %d and a body that is no JSON.",
			status);
	return arena_dup(a, text);
}
