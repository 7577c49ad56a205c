/* conf/docs.c - the tables of docs/configuration.md and docs/providers.md, written from the rows that the code reads. */
#include "conf/docs.h"

#include "conf/load.h"
#include "providers/facts.h"

/* A cell may hold no bar. */
static void cell(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			buf_putc(out, '\\');
		buf_putc(out, *text);
	}
}

static void options(struct buf *out)
{
	buf_puts(out,
		 "| option | type | default | reload | what it does |\n|---|---|---|---|---|\n");
	for (unsigned i = 0; i < N_OPTIONS; i++) {
		const struct conf_row *row = &conf_options[i];

		buf_printf(out, "| `%s` | %s | ", row->path, conf_type_name(row->type));
		if (row->text)
			buf_printf(out, "`%s`", row->text);
		buf_printf(out, " | %s | ", row->reloadable ? "yes" : "restart");
		cell(out, row->help);
		buf_puts(out, " |\n");
	}
}

static void section(struct buf *out, enum conf_section id)
{
	buf_puts(out, "| key | type | default | what it is |\n|---|---|---|---|\n");
	for (unsigned i = 0; i < N_MEMBERS; i++) {
		if (conf_member_section[i] != id)
			continue;
		buf_printf(out, "| `%s` | %s | ", conf_members[i].path,
			   conf_type_name(conf_members[i].type));
		cell(out, conf_members[i].text);
		buf_puts(out, " | ");
		cell(out, conf_members[i].help);
		buf_puts(out, " |\n");
	}
}

static void kinds(struct buf *out)
{
	buf_puts(out, "| type | base URL | key from | speaks | serves by name "
		      "|\n|---|---|---|---|---|\n");
	for (size_t i = 0; providers[i]; i++) {
		const struct provider *p = providers[i];

		buf_printf(out, "| `%s` | %s | %s%s%s | ", p->name,
			   p->default_base_url ? p->default_base_url : "", p->key_env ? "`" : "",
			   p->key_env ? p->key_env : "", p->key_env ? "`" : "");
		for (unsigned k = 0; p->speaks[k]; k++)
			buf_printf(out, "%s%s", k ? ", " : "", p->speaks[k]->name);
		buf_puts(out, " | ");
		for (unsigned k = 0; p->prefixes && p->prefixes[k]; k++)
			buf_printf(out, "%s`%s`", k ? " " : "", p->prefixes[k]);
		buf_puts(out, " |\n");
	}
}

static void presets(struct buf *out)
{
	buf_puts(out, "| type | base URL | key from | base URL from | key | speaks besides "
		      "|\n|---|---|---|---|---|---|\n");
	for (const struct provider_preset *p = provider_presets; p->name; p++)
		buf_printf(out, "| `%s` | %s | `%s` | `%s` | %s | %s |\n", p->name, p->base_url,
			   p->key_env, p->base_url_env, p->key_required ? "needed" : "optional",
			   p->also ? p->also->name : "");
}

/* What quirks rest on, kinds first as they are in the list. */
static void facts(struct buf *out)
{
	const char *owner = "";

	buf_puts(out, "| type | quirk | rests on | namely |\n|---|---|---|---|\n");
	for (const struct provider_fact *f = provider_facts; f->owner; f++) {
		bool again = strcmp(f->owner, owner) == 0;

		buf_printf(out, "| %s%s%s | `%s` | %s | ", again ? "" : "`", again ? "" : f->owner,
			   again ? "" : "`", quirk_name(f->quirk), fact_ground_name(f->ground));
		cell(out, f->where);
		buf_puts(out, " |\n");
		owner = f->owner;
	}
}

static void quirks(struct buf *out)
{
	buf_puts(out, "| quirk | the server ... |\n|---|---|\n");
#define X(NAME, yaml, text)               \
	buf_puts(out, "| `" yaml "` | "); \
	cell(out, text);                  \
	buf_puts(out, " |\n");
#include "protocols/quirks.def"
#undef X
}

static void variables(struct buf *out)
{
	buf_puts(out, "| variable | stands for |\n|---|---|\n");
	for (unsigned i = 0; i < N_OPTIONS; i++)
		if (conf_options[i].env)
			buf_printf(out, "| `%s` | `%s` |\n", conf_options[i].env,
				   conf_options[i].path);
}

int conf_docs_table(struct str name, struct buf *out)
{
	static const struct {
		const char *name;
		void (*write)(struct buf *out);
	} tables[] = {
		{ "options", options }, { "kinds", kinds },         { "presets", presets },
		{ "quirks", quirks },   { "variables", variables }, { "facts", facts },
	};
	static const struct {
		const char *name;
		enum conf_section id;
	} sections[] = {
		{ "provider", SECTION_PROVIDER }, { "local", SECTION_LOCAL },
		{ "model", SECTION_MODEL },       { "target", SECTION_TARGET },
		{ "key", SECTION_KEY },
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (str_eq(name, str_from(tables[i].name))) {
			tables[i].write(out);
			return RC_OK;
		}
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		if (str_eq(name, str_from(sections[i].name))) {
			section(out, sections[i].id);
			return RC_OK;
		}
	return RC_NOTFOUND;
}

int conf_docs_fill(struct str document, struct buf *out, struct err *reterr)
{
	const struct str open = STR("<!-- table: "), shut = STR(" -->\n"),
			 end = STR("<!-- end -->");

	for (;;) {
		ptrdiff_t at = str_find(document, open), name_end, close;
		struct str name, rest;

		if (at < 0) {
			buf_put(out, document);
			return buf_ok(out) ? RC_OK : err_set(reterr, RC_NOMEM, "out of memory");
		}
		rest = str_from_offset(document, (size_t)at + open.len);
		name_end = str_find(rest, shut);
		close = str_find(rest, end);
		if (name_end < 0 || close < name_end)
			return err_set(reterr, RC_SYNTAX,
				       "a table's mark is not followed by its end");
		name = (struct str){ rest.ptr, (size_t)name_end };
		buf_put(out,
			(struct str){ document.ptr, (size_t)at + open.len + name.len + shut.len });
		if (conf_docs_table(name, out))
			return err_set(reterr, RC_NOTFOUND, "there is no table '%.*s'",
				       STR_ARG(name));
		document = str_from_offset(rest, (size_t)close);
	}
}
