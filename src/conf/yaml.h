/* conf/yaml.h - YAML text as a tree that knows where everything stood.
 *
 * A thin skin over libfyaml's events; nobody else includes its header. Stricter than YAML where a configuration
 * gains by it: one document, no key twice, no NULs, bounded depth and size.
 */
#ifndef GW_CONF_YAML_H
#define GW_CONF_YAML_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"
#include "conf/conf.h"

enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_LIST };

struct yaml_node {
	enum yaml_kind kind;
	unsigned line, column;    /* from 1 */
	struct str text;          /* SCALAR; never absent */
	bool plain;               /* SCALAR without quotes */
	struct yaml_node **keys;  /* MAP: scalars */
	struct yaml_node **items; /* MAP: values; LIST */
	unsigned n;
	struct yaml_node *before_,
		*last_; /* private: all nodes in a row; .last_ of the root only */
};

/* The document's root, in `a`; NULL when something is wrong (said in `report`) or the text holds nothing
 * (*ret_empty). `file` names the text in reports. */
const struct yaml_node *yaml_parse(struct arena *a, struct str text, struct str file,
				   struct conf_report *report, bool *ret_empty);

/* Nothing was written: `key:`, `~` or null. */
bool yaml_is_null(const struct yaml_node *n);
/* Value of `key` in a map; NULL when there is none. */
const struct yaml_node *yaml_get(const struct yaml_node *map, struct str key);
/* "a value", "a list", "a map of keys". */
const char *yaml_kind_name(const struct yaml_node *n);
/* Overwrites every text of the tree: it may hold secrets. NULL is a no-op. */
void yaml_wipe(const struct yaml_node *root);

#endif
