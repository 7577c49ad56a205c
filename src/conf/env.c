/* conf/env.c - the environment as the configuration sees it, and ${NAME} in values.
 *
 * `.env` files are read the way dotenv libraries agree on: no expansion, single quotes literal, double quotes
 * with \n \r \t \" \\ \$, both over several lines, ` #` ends an unquoted value. */
#include "conf/env.h"

#include "base/buf.h"
#include "conf/report.h"

enum { MAX_VALUE = 1 << 20, MAX_VARS = 20000 };

static void add(struct conf_env *e, struct str name, struct str value)
{
	unsigned cap = e->cap ? e->cap * 2 : 64;
	struct conf_var *v;

	if (e->n == MAX_VARS)
		return;
	if (e->n == e->cap) {
		v = arena_grow(e->arena, e->vars, e->cap * sizeof(*v), cap * sizeof(*v));
		if (!v) {
			e->failed = true;
			return;
		}
		e->vars = v;
		e->cap = cap;
	}
	e->vars[e->n++] = (struct conf_var){ name, value };
}

void conf_env_init(struct conf_env *e, struct arena *a, const char *const *environment)
{
	*e = (struct conf_env){ .arena = a };
	for (; environment && *environment; environment++) {
		struct str value = str_from(*environment), name = str_cut(&value, '=');

		if (name.len && str_present(value))
			add(e, name, value);
	}
}

struct str conf_env_get(const struct conf_env *e, struct str name)
{
	for (unsigned i = 0; i < e->n; i++)
		if (str_eq(e->vars[i].name, name))
			return e->vars[i].value;
	return STR_NONE;
}

struct str conf_env_set(const struct conf_env *e, const char *name)
{
	struct str v = conf_env_get(e, str_from(name));

	return v.len ? v : STR_NONE;
}

static bool is_name_char(char c, bool first)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
	       (!first && c >= '0' && c <= '9');
}

static size_t name_len(struct str s)
{
	size_t n = 0;

	while (n < s.len && is_name_char(s.ptr[n], n == 0))
		n++;
	return n;
}

/* --- .env --- */

struct dotenv {
	struct conf_env *env;
	struct conf_report *report;
	struct str file, rest;
	unsigned line;
};

static void skip(struct dotenv *d, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (d->rest.ptr[i] == '\n')
			d->line++;
	d->rest = str_from_offset(d->rest, n);
}

static void skip_blanks(struct dotenv *d)
{
	while (d->rest.len && (d->rest.ptr[0] == ' ' || d->rest.ptr[0] == '\t'))
		skip(d, 1);
}

static void skip_line(struct dotenv *d)
{
	ptrdiff_t nl = str_chr(d->rest, '\n');

	skip(d, nl < 0 ? d->rest.len : (size_t)nl + 1);
}

static char unescape(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	default:
		return c;
	}
}

/* The value in quotes that stands at d->rest. */
static bool quoted(struct dotenv *d, struct str *ret)
{
	char quote = d->rest.ptr[0];
	size_t i = 1;
	struct buf b;

	buf_init(&b, MAX_VALUE);
	while (i < d->rest.len && d->rest.ptr[i] != quote) {
		char c = d->rest.ptr[i++];

		if (c == '\\' && quote == '"' && i < d->rest.len) {
			char n = d->rest.ptr[i++];

			if (!strchr("nrt\"\\$", n) || !n)
				buf_putc(&b, '\\');
			c = strchr("nrt\"\\$", n) ? unescape(n) : n;
		}
		buf_putc(&b, c);
	}
	if (i >= d->rest.len) {
		buf_done(&b);
		return false;
	}
	*ret = buf_ok(&b) ? arena_dup(d->env->arena, buf_str(&b)) : STR_NONE;
	if (!ret->ptr)
		d->env->failed = true;
	if (buf_len(&b))
		memset(b.ptr, 0, b.len);
	buf_done(&b);
	skip(d, i + 1);
	return true;
}

static struct str unquoted(struct dotenv *d)
{
	ptrdiff_t nl = str_chr(d->rest, '\n');
	struct str v = { d->rest.ptr, nl < 0 ? d->rest.len : (size_t)nl };

	for (size_t i = 0; i < v.len; i++)
		if (v.ptr[i] == '#' && (i == 0 || v.ptr[i - 1] == ' ' || v.ptr[i - 1] == '\t'))
			v.len = i;
	v = str_trim(v);
	return v.len ? v : STR("");
}

static void dotenv_line(struct dotenv *d)
{
	struct str name, value = STR("");
	unsigned line = d->line;

	skip_blanks(d);
	if (!d->rest.len || d->rest.ptr[0] == '#' || d->rest.ptr[0] == '\n' ||
	    d->rest.ptr[0] == '\r')
		return;
	if (str_starts(d->rest, STR("export ")) || str_starts(d->rest, STR("export\t"))) {
		skip(d, 6);
		skip_blanks(d);
	}
	name = (struct str){ d->rest.ptr, name_len(d->rest) };
	skip(d, name.len);
	skip_blanks(d);
	if (!name.len || !d->rest.len || d->rest.ptr[0] != '=') {
		conf_report_add(d->report, false, d->file, line, 1, "expected NAME=value");
		return;
	}
	skip(d, 1);
	skip_blanks(d);
	if (d->rest.len && (d->rest.ptr[0] == '"' || d->rest.ptr[0] == '\'')) {
		if (!quoted(d, &value)) {
			conf_report_add(d->report, false, d->file, line, 1,
					"%.*s: the quote is not closed", STR_ARG(name));
			skip(d, d->rest.len);
			return;
		}
	} else {
		value = unquoted(d);
	}
	if (!str_present(conf_env_get(d->env, name)))
		add(d->env, name, value);
}

void conf_env_dotenv(struct conf_env *e, struct str text, struct str file,
		     struct conf_report *report)
{
	struct dotenv d = { .env = e, .report = report, .file = file, .rest = text, .line = 1 };

	if (str_starts(d.rest, STR("\xef\xbb\xbf")))
		d.rest = str_from_offset(d.rest, 3);
	while (d.rest.len) {
		dotenv_line(&d);
		skip_line(&d);
	}
}

/* --- ${NAME} --- */

/* What stands between the braces: the value it means, absent when unset. */
static struct str lookup(const struct conf_env *e, struct str inside, bool *syntax)
{
	struct str name = { inside.ptr, name_len(inside) },
		   rest = str_from_offset(inside, name.len), value;

	*syntax = !name.len || (rest.len && !str_starts(rest, STR(":-")));
	if (*syntax)
		return STR_NONE;
	value = conf_env_get(e, name);
	if (rest.len && !value.len)
		return rest.len > 2 ? str_from_offset(rest, 2) : STR("");
	return value;
}

enum expand_result conf_env_expand(const struct conf_env *e, struct str text, struct str *ret,
				   bool *ret_changed, struct str *ret_name)
{
	enum expand_result result = EXPAND_OK;
	struct buf b;

	*ret_changed = str_find(text, STR("${")) >= 0;
	*ret = text;
	if (!*ret_changed)
		return EXPAND_OK;
	buf_init(&b, MAX_VALUE);
	while (text.len && result == EXPAND_OK) {
		ptrdiff_t at = str_find(text, STR("${")), end;
		struct str inside, value;
		bool syntax;

		if (at < 0) {
			buf_put(&b, text);
			break;
		}
		if (at > 0 && text.ptr[at - 1] == '$') {
			buf_put(&b, (struct str){ text.ptr, (size_t)at - 1 });
			buf_puts(&b, "${");
			text = str_from_offset(text, (size_t)at + 2);
			continue;
		}
		buf_put(&b, (struct str){ text.ptr, (size_t)at });
		text = str_from_offset(text, (size_t)at + 2);
		end = str_chr(text, '}');
		inside = (struct str){ text.ptr, end < 0 ? 0 : (size_t)end };
		value = lookup(e, inside, &syntax);
		if (end < 0 || syntax) {
			result = EXPAND_SYNTAX;
		} else if (!str_present(value)) {
			*ret_name = (struct str){ inside.ptr, name_len(inside) };
			result = EXPAND_UNSET;
		} else {
			buf_put(&b, value);
			text = str_from_offset(text, (size_t)end + 1);
		}
	}
	if (result == EXPAND_OK) {
		*ret = arena_dup(e->arena, buf_str(&b));
		if (!buf_ok(&b) || !ret->ptr)
			result = EXPAND_NOMEM;
	}
	buf_done(&b);
	return result;
}
