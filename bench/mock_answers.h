/* bench/mock_answers.h - what the mock upstream says, dialect by dialect: bytes only, no sockets. */
#ifndef GW_BENCH_MOCK_ANSWERS_H
#define GW_BENCH_MOCK_ANSWERS_H

#include <stdbool.h>

#include "bench.h"

#define EVENT_MAX 16384

/* One answer under way. */
struct mock_stream {
	enum dialect dialect;
	bool include_usage;
	unsigned deltas, sent; /* wanted; gone out. `deltas` is 0 when there is no stream */
	char nonce[NONCE_LEN + 1];
	struct bytes text; /* Responses: all deltas so far, which its last events repeat */
};

struct answerer {
	const char *content_type;      /* of a stream */
	unsigned n_opening, n_closing; /* events before the first and after the last delta */
	/* Each writes one event, delimiter included, and returns its length; 0: this answer has no such event. */
	int (*opening)(const struct mock_stream *s, unsigned i, char *out, size_t cap);
	int (*delta)(struct mock_stream *s, uint64_t now, char *out, size_t cap);
	int (*closing)(const struct mock_stream *s, unsigned i, char *out, size_t cap);
	/* A whole answer of about 0.6 KB. */
	int (*whole)(const struct mock_stream *s, char *out, size_t cap);
};

extern const struct answerer answerers[N_DIALECTS];

#endif
