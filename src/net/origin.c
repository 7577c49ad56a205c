/* net/origin.c - reads an upstream's URL, once, at configuration time.
 *
 * The hard thing is what is not accepted: user info, query and fragment have no meaning here,
 * and a host that is not plainly a name or an address would reach the resolver, the SNI and the
 * Host field alike.
 */
#include "net/origin.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include "base/hash.h"

static bool host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

static struct str lower(struct arena *a, struct str s)
{
	char *p = arena_alloc_raw(a, s.len + 1);

	if (!p)
		return STR_NONE;
	for (size_t i = 0; i < s.len; i++)
		p[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] + 32) : s.ptr[i];
	p[s.len] = '\0';
	return (struct str){ p, s.len };
}

static int parse_port(struct str text, uint16_t *ret, struct err *reterr)
{
	uint64_t v;

	if (!str_to_u64(text, &v) || v < 1 || v > 65535)
		return err_set(reterr, RC_INVALID,
			       "the port \"%.*s\" is not a number from 1 to 65535", STR_ARG(text));
	*ret = (uint16_t)v;
	return RC_OK;
}

/* "[::1]" or "[::1]:80"; `*ret_rest` is what follows the bracket. */
static int parse_ipv6(struct arena *a, struct str auth, struct origin *ret, struct str *ret_rest,
		      struct err *reterr)
{
	ptrdiff_t end = str_chr(auth, ']');
	struct in6_addr bin;

	if (end < 0)
		return err_set(reterr, RC_INVALID, "the address has no closing bracket");
	ret->host = lower(a, (struct str){ auth.ptr + 1, (size_t)end - 1 });
	if (!ret->host.ptr)
		return err_set(reterr, RC_NOMEM, "out of memory");
	if (inet_pton(AF_INET6, ret->host.ptr, &bin) != 1)
		return err_set(reterr, RC_INVALID, "\"%.*s\" is not an IPv6 address",
			       STR_ARG(ret->host));
	*ret_rest = str_from_offset(auth, (size_t)end + 1);
	return RC_OK;
}

static int parse_name(struct arena *a, struct str auth, struct origin *ret, struct str *ret_rest,
		      struct err *reterr)
{
	ptrdiff_t colon = str_chr(auth, ':');
	struct str name = colon < 0 ? auth : (struct str){ auth.ptr, (size_t)colon };

	*ret_rest = str_from_offset(auth, name.len);
	if (name.len == 0 || name.len > 253)
		return err_set(reterr, RC_INVALID, "the URL has no host name, or too long a one");
	ret->host = lower(a, name);
	if (!ret->host.ptr)
		return err_set(reterr, RC_NOMEM, "out of memory");
	for (size_t i = 0; i < name.len; i++) {
		if (!host_char(ret->host.ptr[i]))
			return err_set(reterr, RC_INVALID,
				       "the host name holds a character that names do not have");
	}
	return RC_OK;
}

static int parse_authority(struct arena *a, struct str auth, struct origin *ret, struct err *reterr)
{
	bool v6 = auth.len > 0 && auth.ptr[0] == '[';
	uint16_t standard = ret->tls ? 443 : 80;
	struct str rest;
	int rc;

	if (str_chr(auth, '@') >= 0)
		return err_set(
			reterr, RC_INVALID,
			"a URL with user information is not accepted: give the key as api_key");
	rc = v6 ? parse_ipv6(a, auth, ret, &rest, reterr) : parse_name(a, auth, ret, &rest, reterr);
	if (rc < 0)
		return rc;
	ret->port = standard;
	if (rest.len > 0) {
		if (rest.ptr[0] != ':')
			return err_set(reterr, RC_INVALID, "only a port may follow the address");
		rc = parse_port(str_from_offset(rest, 1), &ret->port, reterr);
		if (rc < 0)
			return rc;
	}
	const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";

	if (ret->port == standard)
		ret->host_header = arena_printf(a, "%s%.*s%s", open, STR_ARG(ret->host), close);
	else
		ret->host_header = arena_printf(a, "%s%.*s%s:%u", open, STR_ARG(ret->host), close,
						(unsigned)ret->port);
	return ret->host_header.ptr ? RC_OK : err_set(reterr, RC_NOMEM, "out of memory");
}

static int parse_base(struct arena *a, struct str path, struct origin *ret, struct err *reterr)
{
	for (size_t i = 0; i < path.len; i++) {
		unsigned char c = (unsigned char)path.ptr[i];

		if (c == '?' || c == '#')
			return err_set(reterr, RC_INVALID,
				       "a base URL has no query and no fragment");
		if (c <= ' ' || c >= 0x7f)
			return err_set(reterr, RC_INVALID,
				       "the path of the URL holds a blank or a byte beyond ASCII");
	}
	while (path.len > 0 && path.ptr[path.len - 1] == '/')
		path.len--;
	ret->base_path = arena_dup(a, path.len ? path : STR(""));
	return ret->base_path.ptr ? RC_OK : err_set(reterr, RC_NOMEM, "out of memory");
}

static int parse_unix(struct arena *a, struct str rest, struct origin *ret, struct err *reterr)
{
	ptrdiff_t colon = str_find(rest, STR(":/"));
	struct str path = colon < 0 ? rest : (struct str){ rest.ptr, (size_t)colon };

	if (path.len == 0 || path.ptr[0] != '/')
		return err_set(reterr, RC_INVALID, "unix: wants the absolute path of a socket");
	if (path.len >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return err_set(reterr, RC_INVALID,
			       "the path of a Unix socket has at most %zu bytes",
			       sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	if (memchr(path.ptr, '\0', path.len))
		return err_set(reterr, RC_INVALID, "the path of the socket holds a NUL");
	ret->unix_path = arena_dup(a, path);
	ret->host = ret->host_header = STR("localhost");
	if (!ret->unix_path.ptr)
		return err_set(reterr, RC_NOMEM, "out of memory");
	return parse_base(a, colon < 0 ? STR("") : str_from_offset(rest, (size_t)colon + 1), ret,
			  reterr);
}

/* Free text stands last, so that no two different origins print alike. */
static int make_pool_key(struct arena *a, struct str credential, struct origin *o,
			 struct err *reterr)
{
	uint8_t digest[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1] = "-";

	if (str_present(credential)) {
		sha256(credential, digest);
		hex_encode(digest, SHA256_LEN, hex);
	}
	if (str_present(o->unix_path))
		o->pool_key = arena_printf(a, "unix %s %.*s", hex, STR_ARG(o->unix_path));
	else if (o->tls)
		o->pool_key = arena_printf(a, "https %.*s %u %s %s %.*s", STR_ARG(o->host),
					   (unsigned)o->port, hex,
					   o->tls_verify ? "verify" : "trust", STR_ARG(o->ca_file));
	else
		o->pool_key = arena_printf(a, "http %.*s %u %s", STR_ARG(o->host),
					   (unsigned)o->port, hex);
	return o->pool_key.ptr ? RC_OK : err_set(reterr, RC_NOMEM, "out of memory");
}

int origin_parse(struct arena *a, struct str url, struct str ca_file, bool tls_verify,
		 struct str credential, struct origin *ret, struct err *reterr)
{
	struct origin o = { .tls_verify = tls_verify };
	int rc;

	if (str_istarts(url, STR("unix:"))) {
		rc = parse_unix(a, str_from_offset(url, 5), &o, reterr);
	} else {
		struct str rest;

		if (str_istarts(url, STR("https://")))
			rest = str_from_offset(url, 8), o.tls = true;
		else if (str_istarts(url, STR("http://")))
			rest = str_from_offset(url, 7);
		else
			return err_set(reterr, RC_INVALID,
				       "the URL must begin with https://, http:// or unix:");
		size_t n = 0;

		while (n < rest.len && rest.ptr[n] != '/' && rest.ptr[n] != '?' &&
		       rest.ptr[n] != '#')
			n++;
		rc = parse_authority(a, (struct str){ rest.ptr, n }, &o, reterr);
		if (rc == RC_OK)
			rc = parse_base(a, str_from_offset(rest, n), &o, reterr);
	}
	if (rc < 0)
		return rc;
	if (str_present(ca_file)) {
		o.ca_file = arena_dup(a, ca_file);
		if (!o.ca_file.ptr)
			return err_set(reterr, RC_NOMEM, "out of memory");
	}
	rc = make_pool_key(a, credential, &o, reterr);
	if (rc == RC_OK)
		*ret = o;
	return rc;
}
