/* wire/websocket_handshake.c - the request that turns an HTTP connection into a WebSocket (RFC 6455 section 4.2). */
#include "base/base64.h"
#include "base/hash.h"
#include "wire/websocket.h"

enum { KEY_LEN = 24 }; /* 16 bytes in base64 */

static unsigned count(const struct http_head *h, struct str name)
{
	unsigned n = 0;

	for (unsigned i = 0; i < h->n_fields; i++)
		n += str_ieq(h->fields[i].name, name);
	return n;
}

static bool key_ok(const struct http_head *h)
{
	struct str key = http_field_get(h, STR("sec-websocket-key"));

	return count(h, STR("sec-websocket-key")) == 1 && key.len == KEY_LEN &&
	       str_ends(key, STR("==")) && base64_valid(key);
}

/* In HTTP/1.0 there is no Upgrade (RFC 9110 section 7.8). */
static bool is_asked(const struct http_head *h)
{
	return h->method == HTTP_GET && h->minor > 0 &&
	       http_field_has_token(h, STR("upgrade"), STR("websocket"));
}

enum ws_handshake ws_handshake(const struct http_head *h, const char **ret_why)
{
	struct str version = http_field_get(h, STR("sec-websocket-version"));

	*ret_why = NULL;
	if (!is_asked(h))
		return WS_SHAKE_NONE;
	if (!http_field_has_token(h, STR("connection"), STR("upgrade")))
		*ret_why =
			"The request asks for a WebSocket, but its Connection field does not say "
			"'Upgrade'. A proxy in between may have taken that out.";
	else if (h->chunked || h->content_length > 0)
		*ret_why = "A request for a WebSocket has no body.";
	else if (count(h, STR("sec-websocket-version")) > 1)
		*ret_why = "There is more than one Sec-WebSocket-Version.";
	if (*ret_why)
		return WS_SHAKE_MALFORMED;
	if (!str_eq(version, STR("13"))) {
		*ret_why = "The version of the WebSocket protocol spoken here is 13.";
		return WS_SHAKE_VERSION;
	}
	if (key_ok(h))
		return WS_SHAKE_OK;
	*ret_why = "Sec-WebSocket-Key has to be there once, with 16 bytes in base64.";
	return WS_SHAKE_MALFORMED;
}

struct str ws_accept(struct str key, char out[WS_ACCEPT_LEN + 1])
{
	static const struct str salt = STR_INIT("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
	char bytes[128];
	uint8_t digest[SHA1_LEN];
	struct buf text = { .ptr = out, .cap = WS_ACCEPT_LEN + 1, .max = WS_ACCEPT_LEN + 1 };

	if (key.len > sizeof(bytes) - salt.len)
		return STR_NONE;
	memcpy(bytes, key.ptr, key.len);
	memcpy(bytes + key.len, salt.ptr, salt.len);
	sha1((struct str){ bytes, key.len + salt.len }, digest);
	base64_encode(&text, (struct str){ (const char *)digest, sizeof(digest) });
	return buf_str(&text);
}
