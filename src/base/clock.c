/* base/clock.c - reading the two clocks, and writing a date without the C library's help
 * (gmtime and strftime cost more than the rest of a log line). */
#include "base/clock.h"

#include <string.h>
#include <time.h>

static uint64_t mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_mono_ms(void)
{
	return mono_ns() / 1000000u;
}

uint64_t clock_mono_us(void)
{
	return mono_ns() / 1000u;
}

int64_t clock_wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_wall_s(void)
{
	return clock_wall_us() / 1000000;
}

static void digits(char *to, unsigned v, int n)
{
	while (n--) {
		to[n] = (char)('0' + v % 10);
		v /= 10;
	}
}

/* Days since the epoch to year, month, day. The year is taken to begin on 1 March, so that
 * the leap day is its last and month lengths follow one rule: (153 m + 2) / 5 days precede month m. */
static void civil(int64_t days, unsigned *year, unsigned *month, unsigned *day)
{
	uint64_t d = (uint64_t)(days + 719468); /* since 0000-03-01 */
	uint64_t era = d / 146097;              /* 400 years */
	unsigned in_era = (unsigned)(d % 146097);
	unsigned y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	unsigned in_year = in_era - (365 * y + y / 4 - y / 100);
	unsigned m = (5 * in_year + 2) / 153;

	*day = in_year - (153 * m + 2) / 5 + 1;
	*month = m < 10 ? m + 3 : m - 9;
	*year = (unsigned)(era * 400) + y + (*month <= 2);
}

void clock_rfc3339(int64_t wall_us, char out[25])
{
	const int64_t last = 253402300799999999; /* the format ends with the year 9999 */
	unsigned year, month, day, s;
	int64_t ms;

	if (wall_us < 0)
		wall_us = 0;
	if (wall_us > last)
		wall_us = last;
	ms = wall_us / 1000;
	civil(ms / 86400000, &year, &month, &day);
	s = (unsigned)(ms / 1000 % 86400);
	memcpy(out, "0000-00-00T00:00:00.000Z", 25);
	digits(out, year, 4);
	digits(out + 5, month, 2);
	digits(out + 8, day, 2);
	digits(out + 11, s / 3600, 2);
	digits(out + 14, s / 60 % 60, 2);
	digits(out + 17, s % 60, 2);
	digits(out + 20, (unsigned)(ms % 1000), 3);
}
