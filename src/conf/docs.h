/* conf/docs.h - the tables of docs/configuration.md and docs/providers.md, written from the rows that the code reads.
 *
 * A document holds each between `<!-- table: NAME -->` and `<!-- end -->`; tools/gen-config-docs rewrites what is
 * between, and a test fails when it is stale. */
#ifndef GW_CONF_DOCS_H
#define GW_CONF_DOCS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* One table: "options", "provider", "local", "model", "target", "key", "kinds", "presets", "quirks", "facts", "variables".
 * RC_NOTFOUND for another name. */
int conf_docs_table(struct str name, struct buf *out) MUST_CHECK;

/* `document` with every table in it written anew. RC_SYNTAX when a mark is not closed. */
int conf_docs_fill(struct str document, struct buf *out, struct err *reterr) MUST_CHECK;

#endif
