/* protocols/openai_names.c - ids and names within OpenAI's limits, and the way back.
 *
 * Anthropic allows longer tool names than OpenAI's 64 characters. One that does not fit goes
 * out as its head and a digest; the way back is a search through the request's tools, so nothing is kept. */
#include "protocols/openai.h"

#include "base/hash.h"

enum { NAME_MAX_LEN = 64, DIGEST_CHARS = 16 };

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

static bool name_fits(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!name_char(s.ptr[i]))
			return false;
	}
	return s.len > 0 && s.len <= NAME_MAX_LEN;
}

/* The first characters of `s`, made valid, "_" and a digest of all of it: NAME_MAX_LEN at most. */
static size_t shorten(struct str s, char out[NAME_MAX_LEN + 1])
{
	size_t head =
		s.len < NAME_MAX_LEN - 1 - DIGEST_CHARS ? s.len : NAME_MAX_LEN - 1 - DIGEST_CHARS;
	uint8_t digest[SHA256_LEN];

	for (size_t i = 0; i < head; i++)
		out[i] = name_char(s.ptr[i]) ? s.ptr[i] : '_';
	out[head] = '_';
	sha256(s, digest);
	hex_encode(digest, DIGEST_CHARS / 2, out + head + 1);
	return head + 1 + DIGEST_CHARS;
}

struct str oc_tool_name(struct arena *a, struct str name)
{
	char out[NAME_MAX_LEN + 1];

	if (name_fits(name))
		return name;
	return arena_dup(a, (struct str){ out, shorten(name, out) });
}

/* OpenAI bounds only the length of a call's id; other servers have ids with dots and colons of their own. */
struct str oc_call_id(struct arena *a, struct str id)
{
	char out[NAME_MAX_LEN + 1];

	if (id.len > 0 && id.len <= NAME_MAX_LEN)
		return id;
	return arena_dup(a, (struct str){ out, shorten(id, out) });
}

struct str oc_tool_name_restore(const struct ir_request *r, struct str name)
{
	char out[NAME_MAX_LEN + 1];

	for (unsigned i = 0; r && i < r->n_tools; i++) {
		struct str own = r->tools[i].name;

		if (str_present(own) && !name_fits(own) &&
		    str_eq((struct str){ out, shorten(own, out) }, name))
			return own;
	}
	return name;
}
