/* ir/plain_schema.h - a JSON schema boiled down to what engines turn into a grammar.
 *
 * llama.cpp makes a grammar of a schema and refuses the whole request over a word it does not know (a pattern without anchors,
 * a boolean as a schema, `"$ref": "#"`, ten thousand repetitions), or forgets what stands beside one (properties beside
 * anyOf). A schema that is only there to give a call its shape may be coarser than the tool's own: what the model
 * writes is checked by whoever runs the tool. So words are left out here, never added, and every
 * value that the full schema allows the plain one allows too.
 */
#ifndef GW_IR_PLAIN_SCHEMA_H
#define GW_IR_PLAIN_SCHEMA_H

#include "base/buf.h"
#include "base/str.h"
#include "json/json.h"

/* Appends the schema of an object (absent, or anything but an object's: any object). Its local references ("#/$defs/x")
 * are moved below `base` ("/$defs/t0", or ""), where the text will stand. */
void ir_plain_schema(struct buf *out, const json *schema, struct str base);

#endif
