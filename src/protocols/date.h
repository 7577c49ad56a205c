/* protocols/date.h - times as RFC 3339 writes them. */
#ifndef GW_PROTOCOLS_DATE_H
#define GW_PROTOCOLS_DATE_H

#include "json/write.h"

/* "2026-11-21T12:00:00Z" as a JSON string: whole seconds; the epoch for what is before it or has no date. */
void date_put(struct jw *w, int64_t seconds);

#endif
