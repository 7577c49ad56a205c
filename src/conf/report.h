/* conf/report.h - gathering what is wrong with a configuration. */
#ifndef GW_CONF_REPORT_H
#define GW_CONF_REPORT_H

#include <stdarg.h>
#include <stdbool.h>

#include "conf/conf.h"

/* One more; beyond the hundredth only one that says so. line 0: no place in a file. */
void conf_report_add(struct conf_report *r, bool warning, struct str file, unsigned line,
		     unsigned column, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
void conf_report_addv(struct conf_report *r, bool warning, struct str file, unsigned line,
		      unsigned column, const char *fmt, va_list ap)
	__attribute__((format(printf, 6, 0)));

/* "'text'" for a message; something else where the text could be a secret that was put in the wrong place (R11) or
 * is not printable. Never NULL. */
const char *conf_shown(struct arena *a, struct str text);

#endif
