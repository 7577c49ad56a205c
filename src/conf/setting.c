/* conf/setting.c - one value: from the text as it was written to the C type that its row names.
 *
 * The hard thing is to say what is wrong with a value without repeating it where it may be a secret (R11): what came
 * from the environment through ${NAME} is never shown. */
#include <arpa/inet.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "conf/load.h"
#include "conf/value.h"

const char *conf_type_name(enum conf_type t)
{
	switch (t) {
	case CONF_TEXT:
	case CONF_HOST:
		return "text";
	case CONF_SECRET:
		return "secret";
	case CONF_PATH:
		return "path";
	case CONF_BOOL:
		return "true or false";
	case CONF_COUNT:
	case CONF_NUMBER:
	case CONF_PORT:
		return "number";
	case CONF_SIZE:
		return "size";
	case CONF_DURATION:
		return "duration";
	case CONF_ADDRESS:
		return "address";
	case CONF_WORKERS:
		return "number or `auto`";
	case CONF_AUTH:
	case CONF_LEVEL:
	case CONF_FORMAT:
		return "word";
	case CONF_MAP:
		return "map";
	case CONF_LIST:
		return "list";
	}
	return "";
}

/* --- saying what is wrong --- */

__attribute__((format(printf, 4, 0))) /* fmt is a literal of a caller below */
static void
say(struct loader *l, bool warning, const struct setting *v, const char *fmt, va_list ap)
{
	struct str file = STR("configuration"), s;
	unsigned line = 0, column = 0;
	char text[1024];

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	s = str_from(text);
	switch (v->from) {
	case FROM_FILE:
		file = l->file;
		line = v->node ? v->node->line : 0;
		column = v->node ? v->node->column : 0;
		break;
	case FROM_VARIABLE:
	case FROM_PLAIN_VARIABLE:
		file = STR("environment");
		if (v->variable.len)
			s = arena_printf(l->scratch, "%.*s: %s", STR_ARG(v->variable), text);
		break;
	case FROM_COMMAND:
		file = STR("command line");
		break;
	case FROM_DEFAULT:
		break;
	}
	conf_report_add(l->report, warning, file, line, column, "%.*s", STR_ARG(s));
}

void load_problem_at(struct loader *l, const struct yaml_node *n, const char *fmt, ...)
{
	struct setting where = { .from = n ? FROM_FILE : FROM_DEFAULT, .node = n };
	va_list ap;

	va_start(ap, fmt);
	say(l, false, &where, fmt, ap);
	va_end(ap);
}

void load_problem(struct loader *l, const struct setting *where, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(l, false, where, fmt, ap);
	va_end(ap);
}

void load_warning(struct loader *l, const struct setting *where, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(l, true, where, fmt, ap);
	va_end(ap);
}

const char *load_shown(struct loader *l, const struct setting *v)
{
	return v->hidden ? "this (not shown)" : conf_shown(l->scratch, v->text);
}

const char *load_suggest(struct loader *l, struct str given, const char *const *names)
{
	unsigned best = given.len > 5 ? 4 : 3;
	const char *near = NULL;
	struct str s;

	for (; *names; names++) {
		unsigned d = str_distance(given, str_from(*names), best);

		if (d < best) {
			best = d;
			near = *names;
		}
	}
	s = near ? arena_printf(l->scratch, ": did you mean '%s'?", near) : STR("");
	return s.ptr ? s.ptr : "";
}

void load_secret(struct loader *l, struct str s)
{
	unsigned cap = l->cap_secrets ? l->cap_secrets * 2 : 32;
	struct str *p = l->secrets;

	if (!s.len)
		return;
	if (l->n_secrets == l->cap_secrets) {
		p = arena_grow(l->scratch, p, l->cap_secrets * sizeof(*p), cap * sizeof(*p));
		if (!p) {
			l->nomem = true;
			return;
		}
		l->secrets = p;
		l->cap_secrets = cap;
	}
	l->secrets[l->n_secrets++] = s;
}

struct str load_keep(struct loader *l, struct str s)
{
	struct str copy = arena_dup(l->s->arena, s);

	if (!copy.ptr && s.ptr)
		l->nomem = true;
	return copy;
}

void *load_array(struct loader *l, size_t n, size_t size)
{
	void *p = arena_array(l->s->arena, n ? n : 1, size);

	if (!p)
		l->nomem = true;
	return p;
}

/* --- texts --- */

struct setting load_node(struct loader *l, const struct yaml_node *n, const char *path, bool secret)
{
	struct setting v = { .from = FROM_FILE, .node = n, .path = path, .hidden = secret };
	struct str name = STR_NONE, text = STR_NONE;
	bool changed;

	if (n->kind != YAML_SCALAR) {
		load_problem(l, &v, "%s must be one value, not %s", path, yaml_kind_name(n));
		return v;
	}
	if (yaml_is_null(n)) {
		load_problem(l, &v, "%s has no value: give one, or remove the key", path);
		return v;
	}
	switch (conf_env_expand(&l->env, n->text, &text, &changed, &name)) {
	case EXPAND_OK:
		v.text = text;
		v.hidden |= changed;
		if (changed)
			load_secret(l, text);
		break;
	case EXPAND_UNSET:
		load_problem(l, &v,
			     "%s: ${%.*s} is not set: set it in the environment or in .env, or "
			     "write ${%.*s:-default}",
			     path, STR_ARG(name), STR_ARG(name));
		break;
	case EXPAND_SYNTAX:
		load_problem(l, &v,
			     "%s: after ${ a name and } are expected, as in ${NAME} or "
			     "${NAME:-default}; write $${ for ${",
			     path);
		break;
	case EXPAND_NOMEM:
		l->nomem = true;
		break;
	}
	return v;
}

struct str *load_strings(struct loader *l, const struct yaml_node *n, const char *path,
			 unsigned *ret_n)
{
	struct yaml_node *const *items = n->items, *one = (struct yaml_node *)(uintptr_t)n;
	unsigned count = n->n;
	struct str *list;

	*ret_n = 0;
	if (n->kind == YAML_MAP) {
		load_problem_at(l, n, "%s must be a list, not a map of keys", path);
		return NULL;
	}
	if (n->kind == YAML_SCALAR) {
		if (yaml_is_null(n))
			return NULL;
		items = &one;
		count = 1;
	}
	list = load_array(l, count, sizeof(*list));
	for (unsigned i = 0; list && i < count; i++) {
		struct setting v = load_node(l, items[i], path, false);

		if (str_present(v.text) && !v.text.len)
			load_problem(l, &v, "%s: an empty entry", path);
		list[(*ret_n)++] = v.text.len ? load_keep(l, v.text) : STR("");
	}
	return list;
}

void load_no_such(struct loader *l, const struct yaml_node *list, unsigned i, const char *what,
		  const char *const *names)
{
	const struct yaml_node *item = list->kind == YAML_LIST ? list->items[i] : list;

	/* As it was written: what ${NAME} stands for is not repeated. */
	load_problem_at(l, item, "no such %s: %s%s", what, conf_shown(l->scratch, item->text),
			load_suggest(l, item->text, names));
}

/* --- types --- */

static bool bad(struct loader *l, const struct setting *v, const char *expected)
{
	load_problem(l, v, "%s: %s is not %s", v->path, load_shown(l, v), expected);
	return false;
}

static bool in_bounds(struct loader *l, const struct conf_row *row, const struct setting *v,
		      uint64_t n, const char *unit)
{
	if (n < row->min) {
		load_problem(l, v, "%s must be at least %llu%s", row->path,
			     (unsigned long long)row->min, unit);
		return false;
	}
	if (n > row->max) {
		load_problem(l, v, "%s must be at most %llu%s", row->path,
			     (unsigned long long)row->max, unit);
		return false;
	}
	return true;
}

static bool read_number(struct loader *l, const struct conf_row *row, const struct setting *v,
			uint64_t *ret)
{
	if (row->type == CONF_DURATION) {
		if (!value_duration(v->text, ret))
			return bad(l, v, "a duration such as 250ms, 30s, 5m or 1h");
		return in_bounds(l, row, v, *ret, " ms");
	}
	if (row->type == CONF_SIZE) {
		if (!value_size(v->text, ret))
			return bad(l, v, "a size such as 4096, 64KiB or 16MiB");
		return in_bounds(l, row, v, *ret, " bytes");
	}
	if (!str_to_u64(str_trim(v->text), ret))
		return bad(l, v, "a number");
	return in_bounds(l, row, v, *ret, "");
}

static bool read_word(struct loader *l, const struct setting *v, const char *const *words,
		      unsigned *ret)
{
	struct str list = STR("");

	for (unsigned i = 0; words[i]; i++) {
		if (str_ieq(v->text, str_from(words[i]))) {
			*ret = i;
			return true;
		}
		list = arena_printf(l->scratch, "%.*s%s%s", STR_ARG(list), i ? ", " : "", words[i]);
	}
	load_problem(l, v, "%s: %s is none of %.*s%s", v->path, load_shown(l, v), STR_ARG(list),
		     v->hidden ? "" : load_suggest(l, v->text, words));
	return false;
}

static bool read_level(struct loader *l, const struct setting *v, enum log_level *ret)
{
	static const char *const words[] = { "debug", "info", "warn", "error", NULL };
	unsigned i = LOG_WARN;

	/* Python's names, since LOG_LEVEL is a variable of its programs too. */
	if (str_ieq(v->text, STR("critical")))
		i = LOG_ERROR;
	else if (!str_ieq(v->text, STR("warning")) && !read_word(l, v, words, &i))
		return false;
	*ret = (enum log_level)i;
	return true;
}

static bool read_format(struct loader *l, const struct setting *v, enum log_format *ret)
{
	static const char *const words[] = { "auto", "json", "text", NULL };
	unsigned i;

	if (!read_word(l, v, words, &i))
		return false;
	if (i == 0) /* logging.file stands before it in the table */
		*ret = !str_present(l->s->log_path) && isatty(STDERR_FILENO) ? LOG_TEXT : LOG_JSON;
	else
		*ret = i == 1 ? LOG_JSON : LOG_TEXT;
	return true;
}

static bool read_auth(struct loader *l, const struct setting *v, enum auth_mode *ret)
{
	static const char *const words[] = { "auto", "none", "keys", NULL };
	unsigned i;

	if (!read_word(l, v, words, &i))
		return false;
	*ret = (enum auth_mode)i;
	return true;
}

static bool read_workers(struct loader *l, const struct conf_row *row, const struct setting *v,
			 unsigned *ret)
{
	uint64_t n = 0;
	cpu_set_t set;

	if (str_eq(v->text, STR("auto"))) {
		*ret = 1;
		if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
			*ret = (unsigned)CPU_COUNT(&set);
		if (*ret > row->max)
			*ret = (unsigned)row->max;
		return true;
	}
	if (!str_to_u64(v->text, &n))
		return bad(l, v, "a number, or auto");
	if (!in_bounds(l, row, v, n, ""))
		return false;
	*ret = (unsigned)n;
	return true;
}

/* What a name or address literal is made of. */
static bool host_ok(struct str s)
{
	if (!s.len || s.len > 253)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      c == '.' || c == '-' || c == '_' || c == ':' || c == '%'))
			return false;
	}
	return true;
}

static bool read_host(struct loader *l, const struct setting *v, struct str *ret)
{
	struct str s = v->text;

	if (s.len > 2 && s.ptr[0] == '[' && s.ptr[s.len - 1] == ']')
		s = (struct str){ s.ptr + 1, s.len - 2 };
	if (!host_ok(s))
		return bad(l, v, "a host name or address");
	*ret = load_keep(l, s);
	return true;
}

/* host:port, [v6]:port, :port, port alone, unix:/path */
static bool read_address(struct loader *l, const struct setting *v,
			 struct http_listener_options *ret)
{
	struct str s = v->text, host = STR("0.0.0.0");
	struct http_listener_options o = { .host = STR_NONE };
	ptrdiff_t colon = -1;
	uint64_t port;

	if (str_starts(s, STR("unix:"))) {
		s = str_from_offset(s, 5);
		if (!s.len || s.ptr[0] != '/' || s.len > 107)
			return bad(l, v, "unix: and an absolute path of at most 107 bytes");
		ret->unix_path = load_keep(l, s);
		return true;
	}
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == ':')
			colon = (ptrdiff_t)i;
	if (colon > 0) {
		host = (struct str){ s.ptr, (size_t)colon };
		if (host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
			host = (struct str){ host.ptr + 1, host.len - 2 };
		else if (str_chr(host, ':') >= 0)
			return bad(l, v, "an address: IPv6 ones are written [::1]:8080");
	}
	if (!str_to_u64(str_from_offset(s, (size_t)(colon + 1)), &port) || port > 65535 ||
	    !host_ok(host))
		return bad(l, v,
			   "an address such as 127.0.0.1:8080, [::1]:8080, :8080 or "
			   "unix:/run/gateway.sock");
	o.host = load_keep(l, host);
	o.port = (uint16_t)port;
	*ret = o;
	return true;
}

static bool read_path(struct loader *l, const struct setting *v, struct str *ret)
{
	struct str s = v->text, p;

	if (!s.len)
		return bad(l, v, "a path");
	if (s.ptr[0] == '~' && (s.len == 1 || s.ptr[1] == '/')) {
		if (!l->home.len && v->from == FROM_DEFAULT) { /* a service without a home */
			*ret = STR("/var/lib/llm-gateway");
			return true;
		}
		if (!l->home.len) {
			load_problem(l, v, "%s: ~ needs the variable HOME", v->path);
			return false;
		}
		p = arena_printf(l->s->arena, "%.*s%.*s", STR_ARG(l->home),
				 STR_ARG(str_from_offset(s, 1)));
	} else if (s.ptr[0] != '/' && v->from == FROM_FILE && l->dir.len &&
		   !str_eq(l->dir, STR("."))) {
		p = arena_printf(l->s->arena, "%.*s/%.*s", STR_ARG(l->dir), STR_ARG(s));
	} else {
		p = load_keep(l, s);
	}
	if (!p.ptr)
		l->nomem = true;
	*ret = p;
	return p.ptr != NULL;
}

bool load_value(struct loader *l, const struct conf_row *row, const struct setting *v, void *at)
{
	uint64_t n = 0;
	bool truth;

	switch (row->type) {
	case CONF_TEXT:
	case CONF_SECRET:
		if (!v->text.len) {
			load_problem(l, v, "%s is empty", row->path);
			return false;
		}
		*(struct str *)at = load_keep(l, v->text);
		return true;
	case CONF_PATH:
		return read_path(l, v, at);
	case CONF_BOOL:
		if (!value_bool(v->text, &truth))
			return bad(l, v, "true or false");
		*(bool *)at = truth;
		return true;
	case CONF_COUNT:
		if (!read_number(l, row, v, &n))
			return false;
		*(unsigned *)at = (unsigned)n;
		return true;
	case CONF_NUMBER:
		if (!read_number(l, row, v, &n))
			return false;
		*(int64_t *)at = (int64_t)n;
		return true;
	case CONF_PORT:
		if (!read_number(l, row, v, &n))
			return false;
		*(uint16_t *)at = (uint16_t)n;
		return true;
	case CONF_SIZE:
		if (!read_number(l, row, v, &n))
			return false;
		*(size_t *)at = (size_t)n;
		return true;
	case CONF_DURATION:
		return read_number(l, row, v, at);
	case CONF_HOST:
		return read_host(l, v, at);
	case CONF_ADDRESS:
		return read_address(l, v, at);
	case CONF_WORKERS:
		return read_workers(l, row, v, at);
	case CONF_AUTH:
		return read_auth(l, v, at);
	case CONF_LEVEL:
		return read_level(l, v, at);
	case CONF_FORMAT:
		return read_format(l, v, at);
	case CONF_MAP:
	case CONF_LIST:
		break;
	}
	return false;
}
