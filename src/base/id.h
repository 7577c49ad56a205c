/* base/id.h - randomness and identifiers. */
#ifndef GW_BASE_ID_H
#define GW_BASE_ID_H

#include <stddef.h>

/* Cryptographically strong bytes; aborts only if the system has none at all.
 * Buffered per thread, so that short draws cost no system call. */
void random_bytes(void *out, size_t n);

/* `n` characters of [0-9A-Za-z] (log2(62) bits each) and a NUL into out[n + 1]. */
void id_make(char *out, size_t n);

#endif
