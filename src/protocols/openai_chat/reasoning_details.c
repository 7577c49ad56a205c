/* protocols/openai_chat/reasoning_details.c - reasoning and what proves it in OpenRouter's form, `reasoning_details`: the only one in
 * which a signature survives a trip through an OpenAI client.
 *
 * The hard thing is that an entry's members depend on who minted it: a text with its signature, opaque data, or an item's summary and
 * behind it its content with the id that it is bound to. */
#include "protocols/openai_chat/openai_chat.h"

static void begin(struct jw *w, const char *type)
{
	jw_obj(w);
	jw_kcstr(w, "type", type);
}

static void end(struct jw *w, const struct oc_detail *d)
{
	jw_kcstr(w, "format", oc_origin_format(d->origin));
	jw_ki64(w, "index", d->index);
	jw_end_obj(w);
}

static void write_item(struct jw *w, const struct oc_detail *d)
{
	struct str id, data;

	if (d->text.len) {
		begin(w, "reasoning.summary");
		jw_kstr(w, "summary", d->text);
		end(w, d);
	}
	if (!d->signature.len)
		return;
	oc_proof_split(d->signature, &id, &data);
	begin(w, "reasoning.encrypted");
	jw_kstr(w, "data", data);
	if (id.len)
		jw_kstr(w, "id", id);
	end(w, d);
}

void oc_detail_write(struct jw *w, const struct oc_detail *d)
{
	bool google = d->origin && strcmp(d->origin, OC_GOOGLE) == 0;
	struct str data =
		google && !d->text.len ? d->signature : d->redacted; /* OpenRouter's form of it */

	if (minter_has_items(d->origin) && !str_present(data)) {
		write_item(w, d);
		return;
	}
	begin(w, str_present(data) ? "reasoning.encrypted" : "reasoning.text");
	if (str_present(data)) {
		jw_kstr(w, "data", data);
	} else {
		jw_kstr(w, "text", d->text);
		if (d->signature.len)
			jw_kstr(w, "signature", d->signature);
	}
	end(w, d);
}

bool oc_detail_goes_on(const struct oc_detail *d, const char *origin, int64_t index)
{
	if (d->index < 0 || index < 0 || d->redacted.len)
		return false;
	return d->index == index || (d->index == index + 1 && !d->text.len && d->signature.len &&
				     minter_has_items(d->origin) && strcmp(d->origin, origin) == 0);
}
