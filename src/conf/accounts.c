/* conf/accounts.c - which accounts there are: `providers:` and the variables that stand for it.
 *
 * The hard thing is where an account may come from: the file, LLM_GATEWAY_PROVIDERS_<NAME>_<KEY>, and, when the file
 * names no provider at all, the variables that vendors' SDKs read (OPENAI_API_KEY). */
#include "conf/account.h"

#include <string.h>

enum { MAX_ACCOUNTS = 256 };

struct drafts {
	struct account_draft list[MAX_ACCOUNTS];
	unsigned n;
};

/* "my-vllm" as the "MY_VLLM" of a variable's name. */
static bool var_name_eq(struct str name, struct str in_var)
{
	if (name.len != in_var.len)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		else if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9'))
			c = '_';
		if (c != in_var.ptr[i])
			return false;
	}
	return true;
}

enum conf_member account_var_member(struct str name, struct str rest)
{
	struct str head = { rest.ptr, name.len };

	if (rest.len <= name.len + 1 || rest.ptr[name.len] != '_' || !var_name_eq(name, head))
		return N_MEMBERS;
	rest = str_from_offset(rest, name.len + 1);
	for (unsigned m = 0; m < N_MEMBERS; m++)
		if (conf_member_section[m] == SECTION_PROVIDER && conf_members[m].type < CONF_MAP &&
		    var_name_eq(str_from(conf_members[m].path), rest))
			return (enum conf_member)m;
	return N_MEMBERS;
}

static void add_draft(struct loader *l, struct drafts *d, struct account_draft fresh)
{
	for (unsigned i = 0; i < d->n; i++)
		if (str_eq(d->list[i].name, fresh.name))
			return;
	if (d->n == MAX_ACCOUNTS)
		load_problem_at(l, fresh.key, "more than %d providers", MAX_ACCOUNTS);
	else
		d->list[d->n++] = fresh;
}

static bool name_ok(struct str s)
{
	if (!s.len || s.len > ACCOUNT_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      c == '-' || c == '_' || c == '.'))
			return false;
	}
	return true;
}

static void drafts_from_file(struct loader *l, struct drafts *d)
{
	const struct yaml_node *n = l->members[M_ROOT_PROVIDERS];

	if (!n || yaml_is_null(n))
		return;
	if (n->kind != YAML_MAP) {
		load_problem_at(l, n, "providers must be a map of names, not %s",
				yaml_kind_name(n));
		return;
	}
	for (unsigned i = 0; i < n->n && d->n < MAX_ACCOUNTS; i++) {
		if (!name_ok(n->keys[i]->text))
			load_problem_at(
				l, n->keys[i],
				"a provider's name is made of letters, digits, '-', '_' and '.'");
		else
			add_draft(l, d,
				  (struct account_draft){ n->keys[i]->text, n->keys[i], n->items[i],
							  false });
	}
}

static bool var_has_draft(const struct drafts *d, struct str rest)
{
	for (unsigned i = 0; i < d->n; i++)
		if (account_var_member(d->list[i].name, rest) != N_MEMBERS)
			return true;
	return false;
}

/* A provider that only variables speak of is made when it has the name of a kind or a preset. */
static void drafts_from_variables(struct loader *l, struct drafts *d)
{
	for (unsigned v = 0; v < l->n_provider_vars; v++) {
		struct str rest = l->provider_vars[v].rest;

		if (var_has_draft(d, rest))
			continue;
		for (size_t i = 0; providers[i]; i++)
			if (account_var_member(str_from(providers[i]->name), rest) != N_MEMBERS)
				add_draft(l, d,
					  (struct account_draft){
						  .name = str_from(providers[i]->name) });
		for (const struct provider_preset *p = provider_presets; p->name; p++)
			if (account_var_member(str_from(p->name), rest) != N_MEMBERS)
				add_draft(l, d,
					  (struct account_draft){ .name = str_from(p->name) });
	}
}

struct str account_key_variable(struct loader *l, const struct provider *kind)
{
	struct str key = kind->key_env ? conf_env_set(&l->env, kind->key_env) : STR_NONE;

	if (!str_present(key) && kind->key_env_also)
		key = conf_env_set(&l->env, kind->key_env_also);
	return key;
}

/* The variables of a kind are set: its key and, where it has no address of its own, that too. */
static bool is_automatic(struct loader *l, const struct provider *kind)
{
	/* One that needs no key is asked for by its address. */
	if (!kind->key_required)
		return kind->base_url_env[0] &&
		       str_present(conf_env_set(&l->env, kind->base_url_env[0]));
	if (!str_present(account_key_variable(l, kind)))
		return false;
	if (kind->default_base_url || !kind->base_url_env[0])
		return true;
	if (str_present(conf_env_set(&l->env, kind->base_url_env[0])))
		return true;
	conf_report_add(l->report, true, STR("environment"), 0, 0,
			"%s is set without %s: there is no provider %s", kind->key_env,
			kind->base_url_env[0], kind->name);
	return false;
}

static void drafts_automatic(struct loader *l, struct drafts *d)
{
	for (size_t i = 0; providers[i]; i++)
		if (is_automatic(l, providers[i]))
			add_draft(l, d,
				  (struct account_draft){ .name = str_from(providers[i]->name),
							  .automatic = true });
	for (const struct provider_preset *p = provider_presets; p->name; p++) {
		const char *variable = p->key_required ? p->key_env : p->base_url_env;

		if (variable && str_present(conf_env_set(&l->env, variable)))
			add_draft(l, d,
				  (struct account_draft){ .name = str_from(p->name),
							  .automatic = true });
	}
}

static void warn_unused_variables(struct loader *l, const struct drafts *d)
{
	for (unsigned v = 0; v < l->n_provider_vars; v++)
		if (!var_has_draft(d, l->provider_vars[v].rest))
			conf_report_add(
				l->report, true, STR("environment"), 0, 0,
				"%.*s names no provider of the configuration, or no key of one",
				STR_ARG(l->provider_vars[v].variable));
}

static void find_default(struct loader *l)
{
	static const char *const path = "default";
	const char **names = arena_array(l->scratch, l->s->n_accounts + 1, sizeof(*names));

	if (!str_present(l->s->default_provider))
		return;
	l->s->default_account = snapshot_account(l->s, l->s->default_provider);
	for (unsigned i = 0; names && i < l->s->n_accounts; i++)
		names[i] = l->s->accounts[i].name.ptr;
	for (unsigned i = 0; i < N_OPTIONS && !l->s->default_account; i++)
		if (!strcmp(conf_options[i].path, path))
			load_problem(l, &l->options[i], "default: there is no provider %s%s",
				     load_shown(l, &l->options[i]),
				     names && !l->options[i].hidden
					     ? load_suggest(l, l->s->default_provider, names)
					     : "");
}

/* Without a word about providers: what the cache and the engine allow. */
static void add_automatic_local(struct loader *l)
{
	struct account *acc = &l->s->accounts[l->s->n_accounts];
	bool asked = str_present(conf_env_set(&l->env, "MODEL_PATH"));

	if (snapshot_account(l->s, STR("local")))
		return;
	if (!str_present(local_find_engine(l))) {
		if (asked)
			conf_report_add(l->report, true, STR("environment"), 0, 0,
					"MODEL_PATH is set, but no llama-server was found: `make "
					"engine` gets one");
		return;
	}
	*acc = (struct account){ .name = STR("local"),
				 .kind = &provider_local,
				 .quirks = provider_local.quirks };
	for (unsigned i = 0; provider_local.speaks[i]; i++)
		acc->speaks[i] = provider_local.speaks[i];
	acc->id = l->s->n_accounts;
	if (local_default_models(l, acc))
		l->s->n_accounts++;
}

void load_accounts(struct loader *l)
{
	struct drafts *d = arena_alloc(l->scratch, sizeof(*d));
	bool silent = !l->members[M_ROOT_PROVIDERS];

	if (!d) {
		l->nomem = true;
		return;
	}
	drafts_from_file(l, d);
	drafts_from_variables(l, d);
	if (silent)
		drafts_automatic(l, d);
	l->s->accounts = load_array(l, d->n + 1, sizeof(*l->s->accounts));
	for (unsigned i = 0; l->s->accounts && i < d->n; i++) {
		struct account *acc = &l->s->accounts[l->s->n_accounts];

		acc->id = l->s->n_accounts++;
		account_read(l, &d->list[i], acc);
	}
	if (!l->s->accounts)
		return;
	warn_unused_variables(l, d);
	if (silent)
		add_automatic_local(l);
	find_default(l);
}
