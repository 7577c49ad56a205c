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

void id_make(char *out, size_t n)
{
	static const char digits[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	unsigned char raw[64];
	size_t left = 0;

	for (size_t i = 0; i < n;) {
		if (!left)
			random_bytes(raw, left = n - i < sizeof(raw) ? n - i : sizeof(raw));
		left--;
		/* 248 = 4 * 62: what lies above would make the first digits likelier. */
		if (raw[left] < 248)
			out[i++] = digits[raw[left] % 62];
	}
	out[n] = '\0';
}
