/* base/hash.c - digests by libcrypto, and the small things around secrets. */
/* OpenSSL 3's one-shot SHA256() looks up an implementation by name each time, and the first time loads all that machinery
 * (2 MiB, which a gateway without TLS never needs otherwise). The functions it calls in the end are still there. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/hash.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

void sha256(struct str s, uint8_t out[SHA256_LEN])
{
	SHA256_CTX c;

	SHA256_Init(&c);
	SHA256_Update(&c, s.ptr ? s.ptr : "", s.len);
	SHA256_Final(out, &c);
	OPENSSL_cleanse(&c, sizeof(c));
}

void sha1(struct str s, uint8_t out[SHA1_LEN])
{
	SHA_CTX c;

	SHA1_Init(&c);
	SHA1_Update(&c, s.ptr ? s.ptr : "", s.len);
	SHA1_Final(out, &c);
}

void hex_encode(const uint8_t *bytes, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * n] = '\0';
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_decode(struct str text, uint8_t *out, size_t n)
{
	if (text.len % 2 || text.len / 2 != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = digit_of(text.ptr[2 * i]), lo = digit_of(text.ptr[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

bool bytes_eq_secret(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

uint64_t hash_fnv(struct str s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.ptr[i]) * 0x100000001b3u;
	return h;
}

void bytes_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}
