/* upstream/health.h - how each provider did last: shared by all workers, read by /ready.
 *
 * Entries are found by the account's name, so they outlive reloads. Lock-free after an entry exists; any thread.
 * What a leaving client causes never counts.
 */
#ifndef GW_UPSTREAM_HEALTH_H
#define GW_UPSTREAM_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct health_table;

/* What is known of one provider. */
struct health_state {
	bool asked;        /* some attempt has ended */
	unsigned failures; /* in a row; 0: the last one went well */
	const char *error; /* name of the last failure ("connect", "status_503"), static; NULL */
	int64_t since_s;   /* wall clock of the last change between good and bad */
};

struct health_table *health_new(void);
struct health_table *health_free(struct health_table *t);

void health_ok(struct health_table *t, struct str account);
void health_failed(struct health_table *t, struct str account, const char *error);
struct health_state health_get(struct health_table *t, struct str account);

#endif
