/* protocols/openai_logprobs.c - lists of log probabilities as Chat writes them, put together without reading them. */
#include "protocols/openai.h"

struct str oc_logprobs_join(struct arena *a, struct str list, struct str more)
{
	if (list.len <= 2)
		return more;
	if (more.len <= 2)
		return list;
	return arena_printf(a, "%.*s,%.*s", (int)list.len - 1, list.ptr, (int)more.len - 1,
			    more.ptr + 1);
}

int oc_logprobs_all(struct arena *a, const struct ir_response *r, enum ir_block_kind kind,
		    struct str *ret)
{
	*ret = STR_NONE;
	for (unsigned i = 0; i < r->n_blocks; i++) {
		if (r->blocks[i].kind != kind || r->blocks[i].logprobs.len <= 2)
			continue;
		*ret = oc_logprobs_join(a, *ret, r->blocks[i].logprobs);
		if (!str_present(*ret))
			return RC_NOMEM;
	}
	return RC_OK;
}
