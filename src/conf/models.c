/* conf/models.c - `models:` (names that clients may ask for) and `auth.keys` (who may ask). */
#include <string.h>

#include "conf/load.h"

enum { MAX_ALIASES = 4096, MAX_TARGETS = 32, MAX_KEYS = 10000 };

/* --- models --- */

static const struct account *find_account(struct loader *l, const struct setting *v)
{
	const struct account *acc = snapshot_account(l->s, v->text);
	const char **names;

	if (acc)
		return acc;
	names = arena_array(l->scratch, l->s->n_accounts + 1, sizeof(*names));
	for (unsigned i = 0; names && i < l->s->n_accounts; i++)
		names[i] = l->s->accounts[i].name.ptr;
	load_problem(l, v, "there is no provider %s under providers%s", load_shown(l, v),
		     names && !v->hidden ? load_suggest(l, v->text, names) : "");
	return NULL;
}

static void add_target(struct loader *l, struct model_alias *alias, const struct section *sec,
		       enum conf_member provider, enum conf_member model)
{
	struct setting v = section_get(l, sec, provider);
	struct route_target *t = &alias->targets[alias->n_targets];

	if (!sec->nodes[provider]) {
		load_problem_at(l, sec->at, "a target needs a provider");
		return;
	}
	t->account = str_present(v.text) ? find_account(l, &v) : NULL;
	t->model = alias->name;
	section_value(l, sec, model, &t->model);
	if (t->account)
		alias->n_targets++;
}

static void read_targets(struct loader *l, struct model_alias *alias, const struct section *entry)
{
	const struct yaml_node *list = entry->nodes[M_MODEL_TARGETS];

	if (entry->nodes[M_MODEL_PROVIDER] || entry->nodes[M_MODEL_PROVIDER_MODEL_ID])
		load_problem_at(l, entry->at, "provider beside targets: say one or the other");
	if (list->kind != YAML_LIST || list->n == 0 || list->n > MAX_TARGETS) {
		load_problem_at(
			l, list,
			"targets must be a list of 1 to %d: [ { provider: NAME, model: ID } ]",
			MAX_TARGETS);
		return;
	}
	alias->targets = load_array(l, list->n, sizeof(*alias->targets));
	for (unsigned i = 0; alias->targets && i < list->n; i++) {
		struct section sec;

		load_section(l, &sec, SECTION_TARGET, list->items[i], "targets");
		if (list->items[i]->kind == YAML_MAP)
			add_target(l, alias, &sec, M_TARGET_PROVIDER, M_TARGET_MODEL);
	}
}

static void read_strategy(struct loader *l, const struct section *sec)
{
	struct setting v = section_get(l, sec, M_MODEL_STRATEGY);

	if (str_present(v.text) && !str_eq(v.text, STR("priority")))
		load_problem(l, &v,
			     "strategy %s is not in this version: remove it, or write priority",
			     load_shown(l, &v));
}

static void read_alias(struct loader *l, const struct yaml_node *map)
{
	struct model_alias *alias = &l->s->aliases[l->s->n_aliases];
	struct section sec;

	load_section(l, &sec, SECTION_MODEL, map, "models");
	if (map->kind != YAML_MAP)
		return;
	if (!sec.nodes[M_MODEL_NAME])
		load_problem_at(l, map, "an entry of models needs a name");
	if (!section_value(l, &sec, M_MODEL_NAME, &alias->name))
		return;
	if (snapshot_alias(l->s, alias->name))
		load_problem_at(
			l, sec.nodes[M_MODEL_NAME],
			"a second entry of that name; give one entry several targets instead");
	read_strategy(l, &sec);
	if (sec.nodes[M_MODEL_TARGETS]) {
		read_targets(l, alias, &sec);
	} else if (!sec.nodes[M_MODEL_PROVIDER]) {
		load_problem_at(l, map, "an entry of models needs a provider, or targets");
	} else {
		alias->targets = load_array(l, 1, sizeof(*alias->targets));
		if (alias->targets)
			add_target(l, alias, &sec, M_MODEL_PROVIDER, M_MODEL_PROVIDER_MODEL_ID);
	}
	l->s->n_aliases++;
}

void load_models(struct loader *l)
{
	const struct yaml_node *list = l->members[M_ROOT_MODELS];

	if (!list || yaml_is_null(list))
		return;
	if (list->kind != YAML_LIST || list->n > MAX_ALIASES) {
		load_problem_at(l, list, "models must be a list of at most %d: - name: ...",
				MAX_ALIASES);
		return;
	}
	l->s->aliases = load_array(l, list->n, sizeof(*l->s->aliases));
	for (unsigned i = 0; l->s->aliases && i < list->n; i++)
		read_alias(l, list->items[i]);
}

/* --- keys --- */

/* Digests of keys that everybody knows; such a key keeps nobody out (R9). */
static bool is_known_secret(const uint8_t digest[SHA256_LEN])
{
	static const char *const known[] = {
		"",        "changeme",     "change-me",    "secret", "password",
		"sk-1234", "your-api-key", "your_api_key", "test",   "key",
	};
	uint8_t d[SHA256_LEN];

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		sha256(str_from(known[i]), d);
		if (!memcmp(d, digest, SHA256_LEN))
			return true;
	}
	return false;
}

static void read_digest(struct loader *l, struct gateway_key *key, const struct section *sec)
{
	struct setting v = section_get(l, sec, M_KEY_SHA256);

	v.hidden = true; /* a key may have been put here */
	if (!str_present(v.text))
		return;
	if (!hex_decode(v.text, key->sha256, SHA256_LEN)) {
		load_problem(l, &v,
			     "sha256 must be 64 hex digits: printf %%s \"$KEY\" | sha256sum");
		return;
	}
	if (is_known_secret(key->sha256))
		load_problem(l, &v,
			     "sha256 is that of an empty or well-known key: make one with: openssl "
			     "rand -hex 32");
	for (unsigned i = 0; i < l->s->n_keys; i++)
		if (!memcmp(l->s->keys[i].sha256, key->sha256, SHA256_LEN))
			load_problem(l, &v, "the same key as '%.*s' has",
				     STR_ARG(l->s->keys[i].name));
}

static void read_permissions(struct loader *l, struct gateway_key *key,
			     const struct yaml_node *list)
{
	static const char *const words[] = { "read", "write", NULL };
	unsigned n = 0;
	struct str *given = list ? load_strings(l, list, "permissions", &n) : NULL;

	if (!list) {
		key->permissions = PERMISSION_READ | PERMISSION_WRITE;
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		struct str rest = given[i]; /* "read, write" as one text is fine too */

		while (str_present(rest)) {
			struct str word = str_trim(str_cut(&rest, ','));

			if (str_eq(word, STR("read")))
				key->permissions |= PERMISSION_READ;
			else if (str_eq(word, STR("write")))
				key->permissions |= PERMISSION_WRITE;
			else
				load_no_such(l, list, i, "permission", words);
		}
	}
	if (!n)
		load_problem_at(l, list, "permissions names none: remove the key, or the entry");
}

static void read_key(struct loader *l, const struct yaml_node *map)
{
	struct gateway_key *key = &l->s->keys[l->s->n_keys];
	const struct yaml_node *plain = yaml_get(map, STR("key"));
	struct section sec;

	if (plain)
		load_problem_at(l, plain,
				"write the key's SHA-256 as sha256, not the key: printf %%s "
				"\"$KEY\" | sha256sum");
	load_section(l, &sec, SECTION_KEY, map, "auth.keys");
	if (map->kind != YAML_MAP)
		return;
	if (!sec.nodes[M_KEY_NAME])
		load_problem_at(l, map, "a gateway key needs a name, for the logs");
	if (!sec.nodes[M_KEY_SHA256] && !plain)
		load_problem_at(l, map,
				"a gateway key needs sha256: printf %%s \"$KEY\" | sha256sum");
	if (!section_value(l, &sec, M_KEY_NAME, &key->name))
		return;
	for (unsigned i = 0; i < l->s->n_keys; i++)
		if (str_eq(l->s->keys[i].name, key->name))
			load_problem_at(l, sec.nodes[M_KEY_NAME],
					"two gateway keys have this name");
	read_digest(l, key, &sec);
	read_permissions(l, key, sec.nodes[M_KEY_PERMISSIONS]);
	if (sec.nodes[M_KEY_MODELS]) {
		key->models = load_strings(l, sec.nodes[M_KEY_MODELS], "models", &key->n_models);
		if (!key->n_models) /* an empty list would read as "all" */
			load_problem_at(l, sec.nodes[M_KEY_MODELS],
					"models names none: remove it for all models");
	}
	l->s->n_keys++;
}

void load_keys(struct loader *l)
{
	const struct yaml_node *list = l->members[M_ROOT_AUTH_KEYS];

	if (!list || yaml_is_null(list))
		return;
	if (list->kind != YAML_LIST || list->n > MAX_KEYS) {
		load_problem_at(l, list, "auth.keys must be a list: - { name: ..., sha256: ... }");
		return;
	}
	l->s->keys = load_array(l, list->n, sizeof(*l->s->keys));
	for (unsigned i = 0; l->s->keys && i < list->n; i++)
		read_key(l, list->items[i]);
}
