/* conf/account.c - one provider of the configuration as an account: its kind, key, address, headers, quirks, models. */
#include "conf/account.h"

#include <stdio.h>
#include <string.h>

#include "conf/readfile.h"
#include "wire/http1.h"

enum { MAX_HEADERS = 12, MAX_KEY_FILE = 64 * 1024 };

struct reading {
	struct loader *l;
	const struct account_draft *draft;
	struct account *acc;
	struct section sec;
	char where[ACCOUNT_NAME_MAX + 16]; /* "providers.openai" */
};

static void problem_here(struct reading *r, const char *what)
{
	struct setting v = { .from = r->draft->key ? FROM_FILE : FROM_VARIABLE,
			     .node = r->draft->key };

	load_problem(r->l, &v, "%s %s", r->where, what);
}

static const char *const *kind_names(struct loader *l)
{
	size_t n = 0, max = 64;
	const char **names = arena_array(l->scratch, max, sizeof(*names));

	if (!names)
		return NULL;
	for (size_t i = 0; providers[i] && n < max - 1; i++)
		names[n++] = providers[i]->name;
	for (const struct provider_preset *p = provider_presets; p->name && n < max - 1; p++)
		names[n++] = p->name;
	return names;
}

static bool kind_by_name(struct account *acc, struct str name)
{
	acc->kind = provider_find(name);
	if (!acc->kind) {
		acc->preset = provider_preset_find(name);
		acc->kind = acc->preset ? &provider_openai_compatible : NULL;
	}
	return acc->kind != NULL;
}

static bool read_kind(struct reading *r)
{
	struct setting v = section_get(r->l, &r->sec, M_PROVIDER_TYPE);
	struct str name = str_present(v.text) ? v.text : r->draft->name;
	const char *const *names = kind_names(r->l);

	if (section_has(&r->sec, M_PROVIDER_TYPE) && !str_present(v.text))
		return false; /* said */
	if (kind_by_name(r->acc, name))
		return true;
	if (!str_present(v.text))
		v = (struct setting){ .from = FROM_FILE, .node = r->draft->key, .text = name };
	if (section_has(&r->sec, M_PROVIDER_TYPE))
		load_problem(r->l, &v, "type: %s is no kind of provider%s", load_shown(r->l, &v),
			     names && !v.hidden ? load_suggest(r->l, name, names) : "");
	else
		load_problem(r->l, &v,
			     "%s needs a type, its name being no known kind%s; for a server that "
			     "speaks OpenAI's protocol: type: openai-compatible",
			     r->where, names ? load_suggest(r->l, name, names) : "");
	return false;
}

static void read_key_file(struct reading *r)
{
	struct loader *l = r->l;
	struct setting v = section_get(l, &r->sec, M_PROVIDER_API_KEY_FILE);
	struct str path, text;
	struct err e;

	if (!section_value(l, &r->sec, M_PROVIDER_API_KEY_FILE, &path))
		return;
	if (read_file(l->scratch, path, MAX_KEY_FILE, &text, &e)) {
		load_problem(l, &v, "api_key_file: %s", e.msg);
		return;
	}
	load_secret(l, text);
	text = str_trim(text);
	if (!text.len)
		load_problem(l, &v, "api_key_file: the file is empty");
	else
		r->acc->api_key = load_keep(l, text);
}

static void read_key(struct reading *r)
{
	struct loader *l = r->l;
	struct account *acc = r->acc;
	const char *variable = acc->preset ? acc->preset->key_env : acc->kind->key_env;
	bool required = acc->preset ? acc->preset->key_required : acc->kind->key_required;
	bool given = section_has(&r->sec, M_PROVIDER_API_KEY);

	if (given && section_has(&r->sec, M_PROVIDER_API_KEY_FILE))
		problem_here(r, "has both api_key and api_key_file: keep one");
	if (given)
		section_value(l, &r->sec, M_PROVIDER_API_KEY, &acc->api_key);
	else if (section_has(&r->sec, M_PROVIDER_API_KEY_FILE))
		read_key_file(r);
	else if (variable && str_present(conf_env_set(&l->env, variable)))
		acc->api_key = load_keep(l, conf_env_set(&l->env, variable));
	else if (!acc->preset && str_present(account_key_variable(l, acc->kind)))
		acc->api_key = load_keep(l, account_key_variable(l, acc->kind));
	else if (required)
		problem_here(
			r,
			arena_printf(l->scratch,
				     "has no api_key: set %s, or write api_key: or api_key_file:",
				     variable ? variable : "it")
				.ptr);
	acc->api_key = str_trim(acc->api_key);
	if (str_present(acc->api_key) && !http_value_ok(acc->api_key))
		problem_here(r, "has an api_key with a control character in it");
	for (size_t i = 0; i < acc->api_key.len; i++)
		if ((unsigned char)acc->api_key.ptr[i] >= 0x80 || acc->api_key.ptr[i] == ' ') {
			problem_here(r, "has an api_key with a blank or a byte beyond ASCII in it");
			break;
		}
}

/* The variables that SDKs read for the base URL; only where no file speaks of providers, or there is no other address. */
static struct setting base_url_variable(struct reading *r)
{
	const struct account *acc = r->acc;
	const char *names[3] = { acc->kind->base_url_env[0], acc->kind->base_url_env[1], NULL };
	bool look = r->draft->automatic || (!acc->preset && !acc->kind->default_base_url);

	if (acc->preset) {
		names[0] = acc->preset->base_url_env;
		names[1] = NULL;
	}
	for (unsigned i = 0; look && i < 2; i++)
		if (names[i] && str_present(conf_env_set(&r->l->env, names[i])))
			return (struct setting){ .text = conf_env_set(&r->l->env, names[i]),
						 .from = FROM_PLAIN_VARIABLE,
						 .variable = str_from(names[i]),
						 .path = "base_url" };
	return (struct setting){ .path = "base_url" };
}

/* Somebody who points SDKs at this gateway by OPENAI_BASE_URL must not make it talk to itself. */
static bool is_ourselves(const struct loader *l, const struct origin *o)
{
	const struct http_listener_options *us = &l->s->listen;

	if (str_present(o->unix_path) || str_present(us->unix_path))
		return str_present(o->unix_path) && str_eq(o->unix_path, us->unix_path);
	return o->port == us->port && us->port != 0 &&
	       (str_ieq(o->host, us->host) ||
		(conf_is_loopback(o->host) &&
		 (conf_is_loopback(us->host) || str_eq(us->host, STR("0.0.0.0")))));
}

static struct setting base_url(struct reading *r)
{
	struct loader *l = r->l;
	const struct account *acc = r->acc;
	const char *fallback = acc->preset ? acc->preset->base_url : acc->kind->default_base_url;
	struct setting v = section_get(l, &r->sec, M_PROVIDER_BASE_URL);

	if (section_has(&r->sec, M_PROVIDER_BASE_URL) && section_has(&r->sec, M_PROVIDER_ENDPOINT))
		problem_here(r, "has both base_url and endpoint: they are the same, keep one");
	if (!section_has(&r->sec, M_PROVIDER_BASE_URL))
		v = section_get(l, &r->sec, M_PROVIDER_ENDPOINT);
	if (section_has(&r->sec, M_PROVIDER_BASE_URL) || section_has(&r->sec, M_PROVIDER_ENDPOINT))
		return v;
	v = base_url_variable(r);
	if (!str_present(v.text))
		v.text = str_from(fallback);
	if (!str_present(v.text))
		problem_here(r, "needs a base_url, such as http://127.0.0.1:8000/v1");
	return v;
}

static void check_origin(struct reading *r, const struct setting *v)
{
	struct loader *l = r->l;
	struct account *acc = r->acc;
	const char *fallback = acc->preset ? acc->preset->base_url : acc->kind->default_base_url;
	struct err e;

	if (is_ourselves(l, &acc->origin) && v->from == FROM_PLAIN_VARIABLE && fallback) {
		load_warning(l, v, "is this gateway's own address; %s is used instead", fallback);
		if (origin_parse(l->s->arena, str_from(fallback), acc->origin.ca_file,
				 acc->origin.tls_verify, acc->api_key, &acc->origin, &e))
			l->nomem = true;
	}
	if (is_ourselves(l, &acc->origin)) { /* also where it listens at the kind's usual one */
		load_problem(l, v, "%s: base_url is this gateway's own address", r->where);
		return;
	}
	if (!acc->origin.tls && !str_present(acc->origin.unix_path) && acc->api_key.len &&
	    !conf_is_loopback(acc->origin.host))
		load_warning(l, v, "%s: the api_key goes over the network in clear: use https",
			     r->where);
	if (!acc->origin.tls_verify)
		load_warning(l, v,
			     "%s: tls_verify is off: whoever sits in between can read the api_key",
			     r->where);
}

static void read_origin(struct reading *r)
{
	struct loader *l = r->l;
	struct setting v = base_url(r), ca = section_get(l, &r->sec, M_PROVIDER_CA_FILE);
	struct str ca_file = STR_NONE, url;
	bool verify = true;
	struct err e;

	if (section_value(l, &r->sec, M_PROVIDER_CA_FILE, &ca_file) && !file_readable(ca_file))
		load_problem(l, &ca, "ca_file: cannot be read");
	section_value(l, &r->sec, M_PROVIDER_TLS_VERIFY, &verify);
	if (!str_present(v.text))
		return;
	url = provider_base_url(l->scratch, r->acc->kind, str_trim(v.text));
	if (origin_parse(l->s->arena, url, ca_file, verify, r->acc->api_key, &r->acc->origin, &e)) {
		load_problem(l, &v, "%s: base_url: %s", r->where,
			     v.hidden ? "it is not a URL such as https://host[:port][/path]"
				      : e.msg);
		return;
	}
	check_origin(r, &v);
}

static bool header_ours(struct str name)
{
	static const char *const names[] = {
		"host",
		"content-length",
		"content-type",
		"transfer-encoding",
		"connection",
		"te",
		"trailer",
		"upgrade",
		"keep-alive",
		"expect",
		"accept-encoding",
		"proxy-authorization",
		"proxy-connection",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_ieq(name, str_from(names[i])))
			return true;
	return false;
}

static void read_headers(struct reading *r)
{
	struct loader *l = r->l;
	const struct yaml_node *map = r->sec.nodes[M_PROVIDER_HEADERS];

	if (!map || yaml_is_null(map))
		return;
	if (map->kind != YAML_MAP || map->n > MAX_HEADERS) {
		load_problem_at(l, map, "headers must be a map of at most %d names and values",
				MAX_HEADERS);
		return;
	}
	r->acc->headers = load_array(l, map->n, sizeof(*r->acc->headers));
	for (unsigned i = 0; r->acc->headers && i < map->n; i++) {
		struct setting v = load_node(l, map->items[i], "a header's value", true);

		if (!http_token_ok(map->keys[i]->text))
			load_problem_at(l, map->keys[i], "this is no name of a header field");
		else if (header_ours(map->keys[i]->text))
			load_problem_at(l, map->keys[i], "header %.*s is the gateway's own to send",
					STR_ARG(map->keys[i]->text));
		else if (str_present(v.text) && !http_value_ok(v.text))
			load_problem_at(l, map->items[i],
					"a header's value may not hold control characters");
		else if (str_present(v.text))
			r->acc->headers[r->acc->n_headers++] = (struct http_field){
				load_keep(l, map->keys[i]->text),
				load_keep(l, v.text),
			};
	}
}

static void read_quirks(struct reading *r)
{
	static const char *const names[] = {
#define X(NAME, yaml, text) yaml,
#include "protocols/quirks.def"
#undef X
		NULL,
	};
	const struct yaml_node *list = r->sec.nodes[M_PROVIDER_QUIRKS];
	unsigned n = 0;
	struct str *given = list ? load_strings(r->l, list, "quirks", &n) : NULL;

	for (unsigned i = 0; i < n; i++) {
		unsigned bit = 0;

		for (unsigned q = 0; names[q]; q++)
			if (str_eq(given[i], str_from(names[q])))
				bit = 1u << q;
		if (!bit && given[i].len)
			load_no_such(r->l, list, i, "quirk", names);
		r->acc->quirks |= bit;
	}
}

static void read_protocols(struct reading *r)
{
	const struct yaml_node *list = r->sec.nodes[M_PROVIDER_PROTOCOLS];
	const char *names[32] = { NULL };
	struct account *acc = r->acc;
	unsigned n = 0, used = 0;
	struct str *given;

	for (; acc->kind->speaks[used] && used < PROVIDER_MAX_PROTOCOLS - 1; used++)
		acc->speaks[used] = acc->kind->speaks[used];
	acc->speaks[used] = acc->preset ? acc->preset->also : NULL;
	if (!list)
		return;
	if (acc->kind != &provider_openai_compatible && acc->kind != &provider_ollama) {
		load_problem_at(
			r->l, list,
			"protocols is for providers of type openai-compatible or ollama only");
		return;
	}
	for (unsigned i = 0; protocols[i] && i < 31; i++)
		names[i] = protocols[i]->name;
	given = load_strings(r->l, list, "protocols", &n);
	memset(acc->speaks, 0, sizeof(acc->speaks));
	used = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct protocol *p = protocol_find(given[i]);

		if (!p)
			load_no_such(r->l, list, i, "protocol", names);
		else if (used < PROVIDER_MAX_PROTOCOLS)
			acc->speaks[used++] = p;
	}
	if (!used)
		load_problem_at(r->l, list, "protocols names none");
}

/* Takes out what this account does not speak, though its kind does. */
static void keep_spoken(struct account *acc)
{
	unsigned used = 0;

	for (unsigned i = 0; i < PROVIDER_MAX_PROTOCOLS && acc->speaks[i]; i++) {
		const struct protocol *p = acc->speaks[i];

		acc->speaks[i] = NULL;
		if (acc->kind->account_speaks(acc, p))
			acc->speaks[used++] = p;
	}
}

static void read_deadlines(struct reading *r)
{
	static const enum conf_member members[] = {
		M_PROVIDER_CONNECT,
		M_PROVIDER_TLS,
		M_PROVIDER_FIRST_BYTE,
		M_PROVIDER_IDLE,
	};
	struct http_deadlines *d;
	bool any = false;

	for (unsigned i = 0; i < 4; i++)
		any |= section_has(&r->sec, members[i]);
	d = any ? load_array(r->l, 1, sizeof(*d)) : NULL;
	if (!d)
		return;
	*d = r->l->s->deadlines;
	section_value(r->l, &r->sec, M_PROVIDER_CONNECT, &d->connect_ms);
	section_value(r->l, &r->sec, M_PROVIDER_TLS, &d->tls_ms);
	section_value(r->l, &r->sec, M_PROVIDER_FIRST_BYTE, &d->first_byte_ms);
	section_value(r->l, &r->sec, M_PROVIDER_IDLE, &d->idle_ms);
	r->acc->deadlines = d;
}

/* Keys that mean nothing for this kind are mistakes, not decoration. */
static void refuse_members(struct reading *r, const enum conf_member *members, unsigned n,
			   const char *why)
{
	for (unsigned i = 0; i < n; i++)
		if (section_has(&r->sec, members[i]))
			load_problem_at(r->l,
					r->sec.nodes[members[i]] ? r->sec.nodes[members[i]]
								 : r->draft->key,
					"%s: %s %s", r->where, conf_members[members[i]].path, why);
}

static void read_local(struct reading *r)
{
	static const enum conf_member remote_only[] = {
		M_PROVIDER_API_KEY,    M_PROVIDER_API_KEY_FILE, M_PROVIDER_BASE_URL,
		M_PROVIDER_ENDPOINT,   M_PROVIDER_HEADERS,      M_PROVIDER_CA_FILE,
		M_PROVIDER_TLS_VERIFY, M_PROVIDER_DISCOVER,     M_PROVIDER_PROTOCOLS,
	};
	struct loader *l = r->l;
	const struct yaml_node *list = r->sec.nodes[M_PROVIDER_MODELS];

	refuse_members(r, remote_only, sizeof(remote_only) / sizeof(remote_only[0]),
		       "means nothing for a local provider");
	if (section_has(&r->sec, M_PROVIDER_ENGINE) && !str_present(l->s->engine_path))
		section_value(l, &r->sec, M_PROVIDER_ENGINE, &l->s->engine_path);
	if (list && !yaml_is_null(list))
		local_read_models(l, r->acc, list);
	else if (!local_default_models(l, r->acc))
		problem_here(r, "has no models, and none is in the cache: write models: [ { path: "
				"FILE.gguf } ]");
}

/* It becomes part of a path's query, so it is made of what stands there for itself. */
static bool version_ok(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      c == '-' || c == '.' || c == '_'))
			return false;
	}
	return s.len > 0 && s.len <= ACCOUNT_NAME_MAX;
}

static void read_api_version(struct reading *r)
{
	static const enum conf_member member[] = { M_PROVIDER_API_VERSION };
	const struct provider *kind = r->acc->kind;
	struct setting v = section_get(r->l, &r->sec, M_PROVIDER_API_VERSION);
	struct str given = STR_NONE;

	if (!kind->takes_api_version) {
		refuse_members(r, member, 1, "means nothing for this kind of provider");
		return;
	}
	if (section_has(&r->sec, M_PROVIDER_API_VERSION))
		section_value(r->l, &r->sec, M_PROVIDER_API_VERSION, &given);
	for (unsigned i = 0; i < 2 && !section_has(&r->sec, M_PROVIDER_API_VERSION); i++)
		if (!str_present(given) && kind->api_version_env[i])
			given = conf_env_set(&r->l->env, kind->api_version_env[i]);
	if (!str_present(given))
		return;
	if (!version_ok(given))
		load_problem(r->l, &v,
			     "%s: an api_version is made of letters, digits, '-', '_' and '.'",
			     r->where);
	else
		r->acc->api_version = load_keep(r->l, given);
}

static void read_remote(struct reading *r)
{
	static const enum conf_member local_only[] = { M_PROVIDER_ENGINE };
	struct account *acc = r->acc;
	const struct yaml_node *models = r->sec.nodes[M_PROVIDER_MODELS];

	refuse_members(r, local_only, 1, "is for local providers only");
	if (models)
		acc->models = load_strings(r->l, models, "models", &acc->n_models);
	acc->discover = acc->n_models == 0;
	section_value(r->l, &r->sec, M_PROVIDER_DISCOVER, &acc->discover);
	read_key(r);
	read_origin(r);
	read_api_version(r);
	read_headers(r);
	if (acc->kind->account_quirks)
		acc->quirks |= acc->kind->account_quirks(acc);
	if (acc->kind->account_speaks)
		keep_spoken(acc);
	acc->minter = account_minter(r->l->s->arena, acc);
	r->l->nomem = r->l->nomem || !acc->minter;
}

void account_read(struct loader *l, const struct account_draft *d, struct account *acc)
{
	struct reading r = { .l = l, .draft = d, .acc = acc };
	bool is_default = false;

	(void)snprintf(r.where, sizeof(r.where), "providers.%.*s", STR_ARG(d->name));
	acc->name = load_keep(l, d->name);
	load_section(l, &r.sec, SECTION_PROVIDER, d->map, r.where);
	for (unsigned v = 0; v < l->n_provider_vars; v++) {
		enum conf_member m = account_var_member(d->name, l->provider_vars[v].rest);

		if (m != N_MEMBERS)
			r.sec.vars[m] = &l->provider_vars[v];
	}
	if (!read_kind(&r))
		return;
	acc->quirks = acc->kind->quirks | (acc->preset ? acc->preset->quirks : 0);
	read_quirks(&r);
	read_protocols(&r);
	read_deadlines(&r);
	if (acc->kind == &provider_local)
		read_local(&r);
	else
		read_remote(&r);
	if (section_value(l, &r.sec, M_PROVIDER_DEFAULT, &is_default) && is_default) {
		if (l->s->default_account || str_present(l->s->default_provider))
			problem_here(&r, "is not the only one marked as default");
		l->s->default_account = acc;
	}
}
