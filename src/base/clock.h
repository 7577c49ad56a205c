/* base/clock.h - the two clocks. Durations and deadlines use the monotonic one;
 * wall time appears only in records and in fields of a protocol that want it. */
#ifndef GW_BASE_CLOCK_H
#define GW_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
/* Seconds and microseconds since the epoch. */
int64_t clock_wall_s(void);
int64_t clock_wall_us(void);

/* "2026-11-21T12:00:00.123Z" into `out` (at least 25 bytes, NUL-terminated). */
void clock_rfc3339(int64_t wall_us, char out[25]);

#endif
