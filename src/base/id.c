/* base/id.c - random bytes from the kernel, drawn in batches per thread.
 * The batch would repeat in a forked child; ours exec at once and draw nothing before. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* getentropy() in <unistd.h> */
#endif

#include "base/id.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

enum { BATCH = 256 }; /* the most getentropy() gives at once */

static _Thread_local struct {
	unsigned char bytes[BATCH];
	size_t left;
} pool;

static void from_kernel(void *out, size_t n)
{
	if (getentropy(out, n) != 0) {
		fputs("llm-gateway: the system gives no random bytes\n", stderr);
		abort();
	}
}

void random_bytes(void *out, size_t n)
{
	unsigned char *to = out;

	for (; n >= BATCH; n -= BATCH, to += BATCH)
		from_kernel(to, BATCH);
	if (n > pool.left) {
		from_kernel(pool.bytes, BATCH);
		pool.left = BATCH;
	}
	pool.left -= n;
	memcpy(to, pool.bytes + pool.left, n);
	memset(pool.bytes + pool.left, 0, n); /* handed out once: do not keep it */
}

/* Digits by the word: 62^10 is what ten of them can say, and 21 times that fits into 64 bits. What lies above (a word in
 * twenty) is drawn again, as it would make the first digits likelier. */
void id_make(char *out, size_t n)
{
	static const char digits[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	enum { IN_A_WORD = 10 };
	const uint64_t combinations = 839299365868340224; /* 62^10 */

	for (size_t i = 0; i < n;) {
		uint64_t word;

		random_bytes(&word, sizeof(word));
		if (word >= 21 * combinations)
			continue;
		for (size_t end = n - i < IN_A_WORD ? n : i + IN_A_WORD; i < end; i++, word /= 62)
			out[i] = digits[word % 62];
	}
	out[n] = '\0';
}
