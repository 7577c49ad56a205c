/* protocols/tool_names.c - names of functions within a vendor's limits, and the way back. */
#include "protocols/tool_names.h"

#include "base/hash.h"

enum { DIGEST_CHARS = 16 };

static bool char_fits(char c, const char *marks)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr(marks, c) != NULL);
}

static bool fits(struct str s, const char *marks)
{
	for (size_t i = 0; i < s.len; i++)
		if (!char_fits(s.ptr[i], marks))
			return false;
	return s.len > 0 && s.len <= TOOL_NAME_MAX;
}

static size_t shorten(struct str s, const char *marks, char out[TOOL_NAME_MAX + 1])
{
	size_t most = TOOL_NAME_MAX - 1 - DIGEST_CHARS, head = s.len < most ? s.len : most;
	uint8_t digest[SHA256_LEN];

	for (size_t i = 0; i < head; i++)
		out[i] = char_fits(s.ptr[i], marks) ? s.ptr[i] : '_';
	out[head] = '_';
	sha256(s, digest);
	hex_encode(digest, DIGEST_CHARS / 2, out + head + 1);
	return head + 1 + DIGEST_CHARS;
}

struct str tool_name_shorten(struct arena *a, struct str s, const char *marks)
{
	char out[TOOL_NAME_MAX + 1];

	return arena_dup(a, (struct str){ out, shorten(s, marks, out) });
}

struct str tool_name_fit(struct arena *a, struct str name, const char *marks)
{
	return fits(name, marks) ? name : tool_name_shorten(a, name, marks);
}

struct str tool_name_restore(const struct ir_request *r, struct str name, const char *marks)
{
	char out[TOOL_NAME_MAX + 1];

	for (unsigned i = 0; r && i < r->n_tools; i++) {
		struct str own = r->tools[i].name;

		if (str_present(own) && !fits(own, marks) &&
		    str_eq((struct str){ out, shorten(own, marks, out) }, name))
			return own;
	}
	return name;
}
