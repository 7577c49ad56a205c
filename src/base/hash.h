/* base/hash.h - digests and comparison of secrets. */
#ifndef GW_BASE_HASH_H
#define GW_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { SHA1_LEN = 20, SHA256_LEN = 32 };

void sha256(struct str s, uint8_t out[SHA256_LEN]);
/* For protocols that ask for it; it keeps no secret and proves nothing. */
void sha1(struct str s, uint8_t out[SHA1_LEN]);
/* Lower-case hex of `n` bytes and a NUL into out[2 * n + 1]. */
void hex_encode(const uint8_t *bytes, size_t n, char *out);
/* Exactly 2 * n hex digits, either case. */
bool hex_decode(struct str text, uint8_t *out, size_t n);
/* Time does not depend on where the bytes differ. */
bool bytes_eq_secret(const void *a, const void *b, size_t n);
/* FNV-1a, for hash tables of names of our own; not against attackers. */
uint64_t hash_fnv(struct str s);
/* Overwrites a secret; not optimised away. */
void bytes_wipe(void *p, size_t n);

#endif
