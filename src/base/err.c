/* base/err.c - filling a struct err. Messages may quote what a peer sent, so control
 * bytes are blanked and a cut never leaves half a character. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"

static void tidy(char *text, size_t size, int wanted)
{
	size_t len = strlen(text);

	if (wanted >= 0 && (size_t)wanted >= size) {
		len = utf8_whole((struct str){ text, len });
		text[len] = '\0';
	}
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = ' ';
	}
}

__attribute__((format(printf, 5, 0))) /* fmt is a literal of one of our callers */
static void
fill(struct err *e, enum rc code, size_t at, const char *param, const char *fmt, va_list ap)
{
	if (!e)
		return;
	e->code = code;
	e->at = at;
	tidy(e->param, sizeof(e->param), snprintf(e->param, sizeof(e->param), "%s", param));
	e->msg[0] = '\0'; /* should formatting itself fail */
	tidy(e->msg, sizeof(e->msg), vsnprintf(e->msg, sizeof(e->msg), fmt, ap));
}

int err_set(struct err *e, enum rc code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, code, 0, "", fmt, ap);
	va_end(ap);
	return code;
}

int err_param(struct err *e, enum rc code, const char *param, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, code, 0, param, fmt, ap);
	va_end(ap);
	return code;
}

int err_at(struct err *e, enum rc code, size_t at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, code, at, "", fmt, ap);
	va_end(ap);
	return code;
}
