/* tests/fuzz/fuzz_json_scan.c - arbitrary bytes as a body: scanner, skimmer and parser must agree on what is JSON
 * and on what its members are, and a patched text must still be JSON, changed only where it was meant to be. */
#include <stdint.h>
#include <stdlib.h>

#include "json/json.h"
#include "json/scan.h"

enum { ROOMY = 64 << 20 };

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* The member as the scanner sees it is the member as the parser sees it. */
static void same_member(struct arena *a, const json *doc, const struct json_want *w)
{
	const json *v = json_get(doc, str_from(w->key));

	must(!v == !w->value.ptr);
	if (!v)
		return;
	must(w->first == *w->value.ptr);
	must(str_eq(json_text(a, json_parse(a, w->value, NULL)), json_text(a, v)));
	if (w->first == '"')
		must(str_eq(json_unquote(a, w->value), json_str(v)));
}

static void patched_is_still_json(struct arena *a, struct str text, const json *doc,
				  struct json_want *w)
{
	struct json_edit edits[2] = { json_edit_remove(text, w[0].member),
				      { w[1].value, STR("[\"new\"]") } };
	struct json_want again[] = { { .key = "model" }, { .key = "stream" } };
	struct buf out;

	if (!w[1].value.ptr)
		return;
	buf_init(&out, ROOMY);
	json_patch(&out, text, edits, 2);
	must(buf_ok(&out) && json_scan(buf_str(&out), again, 2, NULL) == RC_OK);
	must(!again[0].value.ptr && str_eq(again[1].value, STR("[\"new\"]")));
	must(json_len(json_parse(a, buf_str(&out), NULL)) ==
	     json_len(doc) - (w[0].value.ptr != NULL));
	buf_done(&out);
}

/* What the scanner takes the skimmer reads the same; and it reads on nothing but the text. */
static void skimmed_as_scanned(struct str text, const struct json_want *scanned, bool valid)
{
	struct json_want w[] = { { .key = "model" }, { .key = "stream" } };
	bool ok = json_skim(text, w, 2);

	must(ok || !valid);
	for (int i = 0; valid && i < 2; i++)
		must(w[i].first == scanned[i].first && w[i].value.ptr == scanned[i].value.ptr &&
		     w[i].value.len == scanned[i].value.len &&
		     str_eq(w[i].member, scanned[i].member));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_want w[] = { { .key = "model" }, { .key = "stream" } };
	struct str text = { (const char *)data, size };
	struct arena *a = arena_new(ROOMY);
	const json *doc = json_parse(a, text, NULL);
	int rc = json_scan(text, w, 2, NULL);

	skimmed_as_scanned(text, w, rc == RC_OK);
	if (rc == RC_OK) {
		must(json_is_obj(doc));
		same_member(a, doc, &w[0]);
		same_member(a, doc, &w[1]);
		patched_is_still_json(a, text, doc, w);
	} else if (rc == RC_SYNTAX) {
		must(!json_is_obj(doc));
	} else {
		must(json_scan(text, NULL, 0, NULL) ==
		     (doc ? RC_OK : RC_SYNTAX)); /* a key that stood twice */
	}
	arena_free(a);
	return 0;
}
