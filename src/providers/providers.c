/* providers/providers.c - the lists of kinds and presets, and finding one by name. */
#include "providers/provider.h"

const struct provider *const providers[] = {
#define X(id) &provider_##id,
#include "providers/providers.def"
#undef X
	NULL,
};

const struct provider_preset provider_presets[] = {
#define X(name, base_url, key_env, base_url_env, key_required, quirks, prefix, also) \
	{ name, base_url, key_env, base_url_env, key_required, quirks, prefix, also },
#include "providers/presets.def"
#undef X
	{ .name = NULL },
};

/* Other names people know a kind or a preset by. */
static const struct {
	const char *alias, *name;
} aliases[] = {
	{ "claude", "anthropic" },
	{ "gemini", "google" },
	{ "azureopenai", "azure" },
	{ "azure-openai", "azure" },
	{ "openai-like", "openai-compatible" },
	{ "compatible", "openai-compatible" },
	{ "llama", "local" },
	{ "grok", "xai" },
	{ "lm-studio", "lmstudio" },
	{ "llama.cpp", "llamacpp" },
	{ "llama-server", "llamacpp" },
	{ "dashscope", "qwen" },
	{ "kimi", "moonshot" },
	{ "glm", "zhipu" },
	{ "bigmodel", "zhipu" },
	{ "z.ai", "zai" },
	{ "together-ai", "together" },
	{ "fireworks-ai", "fireworks" },
};

static char fold(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c == '_' ? '-' : c;
}

static bool same_name(const char *known, struct str name)
{
	size_t i = 0;

	for (; known[i] && i < name.len; i++)
		if (fold(known[i]) != fold(name.ptr[i]))
			return false;
	return !known[i] && i == name.len;
}

static struct str real_name(struct str name)
{
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (same_name(aliases[i].alias, name))
			return str_from(aliases[i].name);
	return name;
}

const struct provider *provider_find(struct str name)
{
	name = real_name(name);
	for (size_t i = 0; providers[i]; i++)
		if (same_name(providers[i]->name, name))
			return providers[i];
	return NULL;
}

const struct provider_preset *provider_preset_find(struct str name)
{
	name = real_name(name);
	for (const struct provider_preset *p = provider_presets; p->name; p++)
		if (same_name(p->name, name))
			return p;
	return NULL;
}

/* Where the path of a URL begins; its length when there is none. */
static size_t path_at(struct str url)
{
	ptrdiff_t authority = str_find(url, STR("://"));
	size_t from = authority < 0 ? 0 : (size_t)authority + 3;
	ptrdiff_t slash = str_chr(str_from_offset(url, from), '/');

	return slash < 0 ? url.len : from + (size_t)slash;
}

struct str provider_base_url(struct arena *a, const struct provider *kind, struct str url)
{
	if (kind->base_url)
		url = kind->base_url(a, url);
	while (url.len && url.ptr[url.len - 1] == '/')
		url.len--;
	if (kind->stray_path && str_ends(url, str_from(kind->stray_path)))
		url.len -= str_from(kind->stray_path).len;
	if (kind->base_path && path_at(url) == url.len && !str_starts(url, STR("unix:")))
		return arena_printf(a, "%.*s%s", STR_ARG(url), kind->base_path);
	return arena_dup(a, url);
}

enum count_form account_counts(const struct account *acc, const struct protocol *p)
{
	return p && acc->kind->counts ? acc->kind->counts(acc, p) : COUNT_NEVER;
}

bool provider_host_is(const struct account *acc, struct str domain)
{
	struct str host = acc->origin.host;

	if (!str_ends(host, domain))
		return false;
	return host.len == domain.len || host.ptr[host.len - domain.len - 1] == '.';
}

/* The last two labels of the host in such a URL. */
static struct str domain_of(const char *url)
{
	struct str host = str_from_offset(str_from(url), strlen("https://"));
	size_t from, dots = 0;

	host = str_cut(&host, '/');
	for (from = host.len; from > 0; from--)
		if (host.ptr[from - 1] == '.' && ++dots == 2)
			break;
	return str_from_offset(host, from);
}

/* Where the vendors are who want a key; NULL: it is nobody's address that is known. */
static const char *vendor_at(const struct account *acc)
{
	for (size_t i = 0; providers[i]; i++)
		if (providers[i]->key_required && providers[i]->default_base_url &&
		    provider_host_is(acc, domain_of(providers[i]->default_base_url)))
			return providers[i]->name;
	for (const struct provider_preset *p = provider_presets; p->name; p++)
		if (p->key_required && provider_host_is(acc, domain_of(p->base_url)))
			return p->name;
	return provider_host_is(acc, STR("azure.com")) ? provider_azure.name : NULL;
}

/* A name that holds nothing but letters, digits and '-'. */
static const char *plain_name(struct arena *a, struct str name)
{
	char *to = arena_alloc_raw(a, name.len + 1);

	for (size_t i = 0; to && i < name.len; i++) {
		char c = name.ptr[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		to[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : plain ? c : '-');
	}
	if (to)
		to[name.len] = '\0';
	return to;
}

const char *account_minter(struct arena *a, const struct account *acc)
{
	const char *vendor = vendor_at(acc);

	if (vendor)
		return vendor;
	if (acc->preset)
		return acc->preset->name;
	if (acc->kind != &provider_openai_compatible)
		return acc->kind->name;
	return plain_name(a,
			  str_present(acc->origin.unix_path) ? acc->name : acc->origin.host_header);
}

bool account_has_prefix(const struct account *acc, struct str model)
{
	if (acc->preset && acc->preset->prefix && str_glob(str_from(acc->preset->prefix), model))
		return true;
	for (const char *const *p = acc->kind->prefixes; p && *p; p++)
		if (str_glob(str_from(*p), model))
			return true;
	return false;
}
