/* conf/report.c - gathering what is wrong with a configuration.
 *
 * The hard thing is to quote enough to be of help and never a secret (R11): people put keys into the wrong
 * line, so a text that looks like one is not quoted wherever it stands. */
#include "conf/report.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PROBLEMS = 100, MAX_SHOWN = 48 };

void conf_report_init(struct conf_report *r, struct arena *a)
{
	*r = (struct conf_report){ .arena = a };
}

static bool room(struct conf_report *r)
{
	unsigned cap = r->cap ? r->cap * 2 : 8;
	struct conf_problem *p;

	if (r->n < r->cap)
		return true;
	p = arena_grow(r->arena, r->problems, r->cap * sizeof(*p), cap * sizeof(*p));
	if (!p)
		return false;
	r->problems = p;
	r->cap = cap;
	return true;
}

/* Where a problem of that place belongs: the readers take several passes, people read from top to bottom. */
static unsigned place_for(const struct conf_report *r, struct str file, unsigned line,
			  unsigned column)
{
	for (unsigned i = 0; i < r->n && line; i++) {
		const struct conf_problem *p = &r->problems[i];

		if (str_eq(p->file, file) &&
		    (p->line > line || (p->line == line && p->column > column)))
			return i;
	}
	return r->n;
}

void conf_report_addv(struct conf_report *r, bool warning, struct str file, unsigned line,
		      unsigned column, const char *fmt, va_list ap)
{
	unsigned at = r->n;
	char text[1024];

	if (!warning)
		r->n_errors++;
	if (r->n > MAX_PROBLEMS || !room(r))
		return;
	if (r->n == MAX_PROBLEMS) {
		(void)snprintf(text, sizeof(text), "and more; only the first %d are shown",
			       MAX_PROBLEMS);
	} else {
		(void)vsnprintf(text, sizeof(text), fmt, ap);
		at = place_for(r, file, line, column);
		memmove(&r->problems[at + 1], &r->problems[at], (r->n - at) * sizeof(*r->problems));
	}
	r->n++;
	r->problems[at] = (struct conf_problem){
		.file = arena_dup(r->arena, file),
		.line = line,
		.column = column,
		.message = arena_dup(r->arena, str_from(text)),
		.warning = warning,
	};
}

void conf_report_add(struct conf_report *r, bool warning, struct str file, unsigned line,
		     unsigned column, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	conf_report_addv(r, warning, file, line, column, fmt, ap);
	va_end(ap);
}

void conf_report_text(const struct conf_report *r, struct buf *out)
{
	for (unsigned i = 0; i < r->n; i++) {
		const struct conf_problem *p = &r->problems[i];

		buf_put(out, p->file);
		if (p->line)
			buf_printf(out, ":%u:%u", p->line, p->column);
		buf_puts(out, p->warning ? ": warning: " : ": ");
		buf_put(out, p->message);
		buf_putc(out, '\n');
	}
}

/* Prefixes that vendors give their keys. */
static const char *const key_prefixes[] = {
	"sk-",    "sk_",  "gsk_", "xai-", "pplx-",   "csk-",
	"nvapi-", "AIza", "hf_",  "fw_",  "Bearer ", "tgp_",
};

/* A long unbroken run of letters and digits; names of models and paths are made of short ones. */
static bool looks_random(struct str s)
{
	unsigned run = 0, digits = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		bool digit = c >= '0' && c <= '9';

		if (!digit && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z')) {
			run = digits = 0;
			continue;
		}
		run++;
		digits += digit;
		if (run >= 20 && digits >= 3)
			return true;
	}
	return false;
}

const char *conf_shown(struct arena *a, struct str text)
{
	struct str s;

	for (size_t i = 0; i < sizeof(key_prefixes) / sizeof(key_prefixes[0]); i++)
		if (str_istarts(text, str_from(key_prefixes[i])))
			return "this (not shown, it looks like a secret)";
	if (text.len > MAX_SHOWN || looks_random(text) || str_find(text, STR("@")) >= 0)
		return "this (not shown)";
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
			return "this (not printable)";
	s = arena_printf(a, "'%.*s'", STR_ARG(text));
	return s.ptr ? s.ptr : "this";
}
