/* conf/yaml.c - YAML text as a tree that knows where everything stood.
 *
 * Built from events instead of libfyaml's own documents, because those lose the position of a duplicate key and
 * stop at the first thing that is wrong. The hard thing is aliases: an anchored node is
 * shared, not copied, and gets its name only when it is whole, so no tree can contain itself. */
#include "conf/yaml.h"

#include <libfyaml.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "conf/report.h"

enum {
	MAX_DEPTH = 32,
	MAX_KEYS = 4096,
	MAX_ITEMS = 65536,
	MAX_NODES = 200000,
	MAX_ANCHORS = 256,
};

struct open_node {
	struct yaml_node *node;
	struct yaml_node *key; /* MAP: read, its value is awaited */
	struct str anchor;
	unsigned cap;
	bool skip; /* MAP: the value awaited belongs to a key that was refused */
};

struct builder {
	struct arena *arena;
	struct conf_report *report;
	struct str file;
	struct open_node stack[MAX_DEPTH];
	unsigned depth, n_nodes, n_anchors;
	struct {
		struct str name;
		struct yaml_node *node;
	} anchors[MAX_ANCHORS];
	struct yaml_node *root, *last;
	bool failed; /* no use to go on */
};

static void complain(struct builder *b, unsigned line, unsigned column, const char *what)
{
	conf_report_add(b->report, false, b->file, line, column, "%s", what);
}

static void give_up(struct builder *b, unsigned line, unsigned column, const char *what)
{
	complain(b, line, column, what);
	b->failed = true;
}

static struct str token_text(struct builder *b, struct fy_token *t)
{
	size_t len = 0;
	const char *p = t ? fy_token_get_text(t, &len) : NULL;
	struct str s = arena_dup(b->arena, p ? (struct str){ p, len } : STR(""));

	if (!s.ptr)
		b->failed = true;
	return s;
}

static struct yaml_node *node_new(struct builder *b, enum yaml_kind kind, const struct fy_mark *at)
{
	struct yaml_node *n = arena_alloc(b->arena, sizeof(*n));

	if (!n) {
		b->failed = true;
		return NULL;
	}
	*n = (struct yaml_node){ .kind = kind, .text = STR(""), .before_ = b->last };
	b->last = n;
	n->line = at ? (unsigned)at->line + 1 : 0;
	n->column = at ? (unsigned)at->column + 1 : 0;
	if (++b->n_nodes > MAX_NODES)
		give_up(b, n->line, n->column, "the file holds too much to be a configuration");
	return n;
}

/* Room for one more key and item of the innermost collection. */
static bool grow(struct builder *b, struct open_node *f)
{
	struct yaml_node *n = f->node;
	unsigned cap = f->cap ? f->cap * 2 : 8;
	size_t old = f->cap * sizeof(*n->items), fresh = cap * sizeof(*n->items);
	struct yaml_node **items, **keys = NULL;

	if (n->n < f->cap)
		return true;
	if (n->n >= (n->kind == YAML_MAP ? MAX_KEYS : MAX_ITEMS)) {
		give_up(b, n->line, n->column, "too many entries");
		return false;
	}
	items = arena_grow(b->arena, n->items, old, fresh);
	if (n->kind == YAML_MAP)
		keys = arena_grow(b->arena, n->keys, old, fresh);
	if (!items || (n->kind == YAML_MAP && !keys)) {
		b->failed = true;
		return false;
	}
	n->items = items;
	n->keys = keys;
	f->cap = cap;
	return true;
}

static void take_key(struct builder *b, struct open_node *f, struct yaml_node *key)
{
	f->key = key;
	f->skip = key->kind != YAML_SCALAR;
	if (f->skip) {
		complain(b, key->line, key->column, "a key must be a plain name");
		return;
	}
	for (unsigned i = 0; i < f->node->n; i++) {
		if (!str_eq(f->node->keys[i]->text, key->text))
			continue;
		conf_report_add(b->report, false, b->file, key->line, key->column,
				"%s is given twice, first in line %u: remove one",
				conf_shown(b->report->arena, key->text), f->node->keys[i]->line);
		f->skip = true;
		return;
	}
}

/* A whole node has come: it is the root, a key, or a value. */
static void place(struct builder *b, struct yaml_node *n)
{
	struct open_node *f = b->depth ? &b->stack[b->depth - 1] : NULL;

	if (!f) {
		b->root = n;
		return;
	}
	if (f->node->kind == YAML_MAP && !f->key) {
		take_key(b, f, n);
		return;
	}
	if (!f->skip && grow(b, f)) {
		if (f->node->kind == YAML_MAP)
			f->node->keys[f->node->n] = f->key;
		if (!n->line && f->key) { /* an empty value has no place of its own */
			n->line = f->key->line;
			n->column = f->key->column;
		}
		f->node->items[f->node->n++] = n;
	}
	f->key = NULL;
	f->skip = false;
}

static void name_anchor(struct builder *b, struct str anchor, struct yaml_node *n)
{
	if (!str_present(anchor))
		return;
	if (b->n_anchors == MAX_ANCHORS) {
		give_up(b, n->line, n->column, "too many anchors");
		return;
	}
	b->anchors[b->n_anchors].name = anchor;
	b->anchors[b->n_anchors++].node = n;
}

static void on_scalar(struct builder *b, struct fy_event *ev)
{
	struct fy_token *value = ev->scalar.value;
	struct yaml_node *n = node_new(b, YAML_SCALAR, value ? fy_token_start_mark(value) : NULL);

	if (!n)
		return;
	n->text = token_text(b, value);
	n->plain = !value || fy_token_scalar_style(value) == FYSS_PLAIN;
	if (value &&
	    (fy_token_scalar_style(value) == FYSS_SINGLE_QUOTED ||
	     fy_token_scalar_style(value) == FYSS_DOUBLE_QUOTED) &&
	    n->column > 1)
		n->column--; /* libfyaml points behind the quote */
	if (n->text.len && memchr(n->text.ptr, 0, n->text.len))
		complain(b, n->line, n->column, "a value may not hold a NUL");
	if (ev->scalar.anchor)
		name_anchor(b, token_text(b, ev->scalar.anchor), n);
	place(b, n);
}

static void on_open(struct builder *b, enum yaml_kind kind, struct fy_event *ev,
		    struct fy_token *anchor)
{
	struct yaml_node *n = node_new(b, kind, fy_event_start_mark(ev));

	if (!n)
		return;
	if (b->depth == MAX_DEPTH) {
		give_up(b, n->line, n->column, "nested too deeply");
		return;
	}
	b->stack[b->depth++] = (struct open_node){
		.node = n,
		.anchor = anchor ? token_text(b, anchor) : STR_NONE,
	};
}

static void on_close(struct builder *b)
{
	struct open_node f = b->stack[--b->depth];

	name_anchor(b, f.anchor, f.node);
	place(b, f.node);
}

static void on_alias(struct builder *b, struct fy_event *ev)
{
	struct str name = token_text(b, ev->alias.anchor);
	const struct fy_mark *at = fy_event_start_mark(ev);

	for (unsigned i = b->n_anchors; i-- > 0;)
		if (str_eq(b->anchors[i].name, name)) {
			place(b, b->anchors[i].node);
			return;
		}
	give_up(b, at ? (unsigned)at->line + 1 : 0,
		at ? (unsigned)at->column : 0, /* points behind the * */
		"an alias (*) of an anchor (&) that was not given before it");
}

static void on_event(struct builder *b, struct fy_event *ev)
{
	switch (ev->type) {
	case FYET_SCALAR:
		on_scalar(b, ev);
		break;
	case FYET_MAPPING_START:
		on_open(b, YAML_MAP, ev, ev->mapping_start.anchor);
		break;
	case FYET_SEQUENCE_START:
		on_open(b, YAML_LIST, ev, ev->sequence_start.anchor);
		break;
	case FYET_MAPPING_END:
	case FYET_SEQUENCE_END:
		on_close(b);
		break;
	case FYET_ALIAS:
		on_alias(b, ev);
		break;
	case FYET_DOCUMENT_START:
		if (b->root) {
			const struct fy_mark *at = fy_event_start_mark(ev);

			give_up(b, at ? (unsigned)at->line + 1 : 0,
				at ? (unsigned)at->column + 1 : 0,
				"a second document: a configuration is one");
		}
		break;
	case FYET_NONE:
	case FYET_STREAM_START:
	case FYET_STREAM_END:
	case FYET_DOCUMENT_END:
		break;
	}
}

/* What libfyaml had to say. Its texts name what it expected, not what stood there. */
static void report_syntax(struct builder *b, struct fy_diag *diag)
{
	struct fy_diag_error *e;
	void *it = NULL;
	bool said = false;

	while ((e = fy_diag_errors_iterate(diag, &it)) != NULL) {
		if (e->type < FYET_ERROR || said)
			continue;
		conf_report_add(b->report, false, b->file, e->line > 0 ? (unsigned)e->line : 0,
				e->column > 0 ? (unsigned)e->column : 0, "not YAML: %s",
				e->msg ? e->msg : "it cannot be read");
		said = true;
	}
	if (!said)
		complain(b, 0, 0, "not YAML");
}

static void read_events(struct builder *b, struct fy_parser *p, struct str text)
{
	struct fy_event *ev;

	if (fy_parser_set_string(p, text.ptr, text.len)) {
		b->failed = true;
		return;
	}
	while (!b->failed && (ev = fy_parser_parse(p)) != NULL) {
		on_event(b, ev);
		fy_parser_event_free(p, ev);
	}
}

static void run(struct builder *b, struct str text)
{
	const struct fy_diag_cfg dcfg = { .level = FYET_ERROR, .module_mask = ~0u };
	struct fy_diag *diag = fy_diag_create(&dcfg);
	/* Given here and not by fy_parser_set_diag(): 0.7.12's reader would go on with the one that call frees. */
	const struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_JSON_NONE, .diag = diag };
	struct fy_parser *p = NULL;

	if (diag) {
		fy_diag_set_collect_errors(diag, true);
		p = fy_parser_create(&cfg);
	}
	if (p)
		read_events(b, p, text);
	else
		b->failed = true;
	if (p && !b->failed && (fy_parser_get_stream_error(p) || b->depth)) {
		report_syntax(b, diag);
		b->failed = true;
	}
	if (p)
		fy_parser_destroy(p);
	if (diag)
		fy_diag_destroy(diag);
}

static void report_not_utf8(struct builder *b, struct str text)
{
	const unsigned char *p = (const unsigned char *)text.ptr;
	unsigned line = 1, column = 1;

	for (size_t i = 0, n; i < text.len && (n = utf8_char(p + i, text.len - i)) > 0; i += n) {
		column = p[i] == '\n' ? 1 : column + 1;
		line += p[i] == '\n';
	}
	conf_report_add(b->report, false, b->file, line, column,
			"not UTF-8: save the file in that encoding");
}

const struct yaml_node *yaml_parse(struct arena *a, struct str text, struct str file,
				   struct conf_report *report, bool *ret_empty)
{
	struct builder *b = arena_alloc(a, sizeof(*b));
	unsigned errors = report->n_errors;

	*ret_empty = false;
	if (!b)
		return NULL;
	*b = (struct builder){ .arena = a, .report = report, .file = file };
	if (memchr(text.ptr, 0, text.len)) {
		give_up(b, 0, 0, "holds a NUL: not a text file");
		return NULL;
	}
	if (!utf8_valid(text)) { /* libfyaml 0.7.12 may never come back from such a directive */
		report_not_utf8(b, text);
		return NULL;
	}
	run(b, text);
	if (b->failed) {
		if (report->n_errors == errors)
			complain(b, 0, 0, "out of memory while reading it");
		return NULL;
	}
	if (b->root)
		b->root->last_ = b->last;
	*ret_empty = !b->root || yaml_is_null(b->root);
	return *ret_empty ? NULL : b->root;
}

bool yaml_is_null(const struct yaml_node *n)
{
	return n->kind == YAML_SCALAR && n->plain &&
	       (n->text.len == 0 || str_eq(n->text, STR("~")) || str_ieq(n->text, STR("null")));
}

const struct yaml_node *yaml_get(const struct yaml_node *map, struct str key)
{
	if (map && map->kind == YAML_MAP)
		for (unsigned i = 0; i < map->n; i++)
			if (str_eq(map->keys[i]->text, key))
				return map->items[i];
	return NULL;
}

const char *yaml_kind_name(const struct yaml_node *n)
{
	switch (n->kind) {
	case YAML_SCALAR:
		return "a value";
	case YAML_MAP:
		return "a map of keys";
	case YAML_LIST:
		return "a list";
	}
	return "nothing";
}

/* Not down the tree: shared nodes could make that walk very long. */
void yaml_wipe(const struct yaml_node *root)
{
	for (struct yaml_node *n = root ? root->last_ : NULL; n; n = n->before_)
		if (n->text.len)
			bytes_wipe((void *)(uintptr_t)n->text.ptr, n->text.len);
}
