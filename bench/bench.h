/* bench/bench.h - what the mock upstream and the load generator share.
 *
 * Both pass a mark through the gateway inside the text of each event, "~NONCE SEQ NS~": whose stream
 * it is, its number in the stream, and when the mock wrote it (CLOCK_MONOTONIC, which both read on the
 * same machine). The nonce comes from the load generator in the request's text, as do the pace and the
 * number of deltas, so that the same mark survives a relay and a translation alike.
 */
#ifndef GW_BENCH_BENCH_H
#define GW_BENCH_BENCH_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NONCE_LEN 16
#define NS_PER_SEC 1000000000ULL

enum dialect { CHAT, RESPONSES, ANTHROPIC, GEMINI, OLLAMA, N_DIALECTS };

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static inline _Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline _Noreturn void die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* A number in [0, max], or the end of the program: options of a tool for ourselves. */
static inline uint64_t option_number(const char *name, const char *text, uint64_t max)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);

	if (!*text || *end || v > max)
		die("--%s: %s is not a number from 0 to %llu", name, text, (unsigned long long)max);
	return v;
}

/* A growing run of bytes; capped, so that a broken peer shows as an error and not as swap. */
struct bytes {
	char *ptr;
	size_t len, cap;
};

#define BYTES_MAX (8u << 20)

static inline void bytes_reserve(struct bytes *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 4096;

	while (cap < b->len + more)
		cap *= 2;
	if (cap == b->cap)
		return;
	if (cap > BYTES_MAX)
		die("a buffer grew beyond %u bytes", BYTES_MAX);
	b->ptr = realloc(b->ptr, cap);
	if (!b->ptr)
		die("out of memory");
	b->cap = cap;
}

static inline void bytes_add(struct bytes *b, const char *p, size_t n)
{
	bytes_reserve(b, n);
	memcpy(b->ptr + b->len, p, n);
	b->len += n;
}

/* Drops the first n bytes. */
static inline void bytes_drop(struct bytes *b, size_t n)
{
	memmove(b->ptr, b->ptr + n, b->len - n);
	b->len -= n;
}

/* The value of a Content-Length field in a head, or -1. */
static inline long head_content_length(const char *head, size_t len)
{
	static const char name[] = "\ncontent-length:";

	for (size_t i = 0; i + sizeof(name) < len; i++) {
		size_t k = 0;

		while (k < sizeof(name) - 1 && (head[i + k] | (k ? 0x20 : 0)) == name[k])
			k++;
		/* '-' and ':' have bit 0x20 set already, so that folding the case leaves them. */
		if (k == sizeof(name) - 1)
			return strtol(head + i + k, NULL, 10);
	}
	return -1;
}

#endif
