/* protocols/date.c - times as RFC 3339 writes them, without a look at the clock. */
#include "protocols/date.h"

#include <time.h>

void date_put(struct jw *w, int64_t seconds)
{
	time_t t = (time_t)(seconds > 0 ? seconds : 0);
	struct tm tm;
	char text[32];
	size_t n = 0;

	if (gmtime_r(&t, &tm))
		n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (n)
		jw_str(w, (struct str){ text, n });
	else
		jw_cstr(w, "1970-01-01T00:00:00Z");
}
