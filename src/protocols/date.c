/* protocols/date.c - times as RFC 3339 writes them, without a look at the clock. */
#include "protocols/date.h"

enum { DAY = 86400 };

/* The end of the year 9999: beyond it a year has no four digits. */
#define LAST INT64_C(253402300799)

static void put_digits(char *to, unsigned n, unsigned digits)
{
	while (digits--) {
		to[digits] = (char)('0' + n % 10);
		n /= 10;
	}
}

/* Years are counted from March on, so that the day that comes and goes is a year's last. 400 years have 146097 days, however
 * one counts. */
void date_put(struct jw *w, int64_t seconds)
{
	char text[] = "0000-00-00T00:00:00Z";
	unsigned t = (unsigned)((seconds > 0 ? seconds : 0) % DAY), days, era, year, day, month;

	if (seconds > LAST)
		t = DAY - 1;
	days = (unsigned)((seconds > LAST ? LAST : seconds > 0 ? seconds : 0) / DAY) + 719468;
	era = days / 146097;
	days %= 146097;
	year = (days - days / 1460 + days / 36524 - days / 146096) / 365;
	day = days - (365 * year + year / 4 - year / 100);
	month = (5 * day + 2) / 153;
	day = day - (153 * month + 2) / 5 + 1;
	month = month < 10 ? month + 3 : month - 9;
	put_digits(text, 400 * era + year + (month <= 2), 4);
	put_digits(text + 5, month, 2);
	put_digits(text + 8, day, 2);
	put_digits(text + 11, t / 3600, 2);
	put_digits(text + 14, t / 60 % 60, 2);
	put_digits(text + 17, t % 60, 2);
	jw_str(w, (struct str){ text, sizeof(text) - 1 });
}
