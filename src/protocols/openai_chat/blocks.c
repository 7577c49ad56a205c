/* protocols/openai_chat/blocks.c - what a vendor mixes, put into blocks one after the other.
 *
 * The hard thing is to know when a tool call is over: Chat has no end mark for it, and closing one too
 * early loses what comes late for it (trap 1). So its arguments' brackets are counted as they pass, and another block has
 * to wait until they close. OpenAI itself never makes anything wait; servers that interleave calls do. */
#include "protocols/openai_chat/openai_chat.h"

#include "base/hash.h"

enum { MAX_CALLS = 512 };

static int emit(struct oc_blocks *b, const struct oc_block *k, enum ir_event_kind kind,
		enum ir_delta_kind delta, struct str text)
{
	struct ir_event ev = { .kind = kind,
			       .index = b->next_index - 1,
			       .block = k->kind,
			       .delta = delta,
			       .text = text,
			       .usage = IR_USAGE_NONE };

	return ir_emit(b->sink, &ev);
}

static int emit_content(struct oc_blocks *b, const struct oc_block *k, struct str text,
			struct str logprobs)
{
	struct ir_event ev = { .kind = IR_DELTA,
			       .index = b->next_index - 1,
			       .block = k->kind,
			       .delta = k->kind == IR_BLOCK_TOOL_CALL ? IR_DELTA_ARGUMENTS
								      : IR_DELTA_TEXT,
			       .text = text,
			       .logprobs = logprobs,
			       .usage = IR_USAGE_NONE };

	return ir_emit(b->sink, &ev);
}

static int emit_citation(struct oc_blocks *b, const struct ir_citation *c)
{
	struct ir_event ev = { .kind = IR_DELTA,
			       .index = b->next_index - 1,
			       .block = IR_BLOCK_TEXT,
			       .delta = IR_DELTA_CITATION,
			       .citation = c,
			       .usage = IR_USAGE_NONE };

	return ir_emit(b->sink, &ev);
}

static int emit_picture(struct oc_blocks *b, const struct oc_block *k)
{
	struct ir_event ev = { .kind = IR_DELTA,
			       .index = b->next_index - 1,
			       .block = IR_BLOCK_OPAQUE,
			       .delta = IR_DELTA_RAW,
			       .text = k->held,
			       .picture = k->picture,
			       .name = k->lost,
			       .usage = IR_USAGE_NONE };

	return ir_emit(b->sink, &ev);
}

/* The call's id for the client: the vendor's, unless there is none or another call has it already. */
static struct str call_id(struct oc_blocks *b, const struct oc_block *k)
{
	bool taken = k->vendor_id.len == 0;

	for (unsigned i = 0; i < b->n_calls && b->calls[i] != k && !taken; i++)
		taken = str_eq(b->calls[i]->vendor_id, k->vendor_id);
	if (!taken)
		return k->vendor_id;
	return arena_printf(b->arena, "call_%016llx%u", (unsigned long long)hash_fnv(b->seed),
			    b->next_index);
}

static int open_block(struct oc_blocks *b, struct oc_block *k)
{
	struct ir_event ev = { .kind = IR_OPEN,
			       .index = b->next_index,
			       .block = k->kind,
			       .origin = k->origin,
			       .usage = IR_USAGE_NONE };
	int rc;

	if (k->kind == IR_BLOCK_TOOL_CALL) {
		ev.name = oc_tool_name_restore(b->request, k->name);
		ev.id = call_id(b, k);
		if (!str_present(ev.id))
			return RC_NOMEM;
	}
	b->next_index++;
	k->open = true;
	rc = ir_emit(b->sink, &ev);
	if (!rc && k->kind == IR_BLOCK_OPAQUE)
		return emit_picture(b, k);
	if (!rc && k->held.len)
		rc = emit_content(b, k, k->held, k->held_logprobs);
	if (!rc && str_present(k->redacted))
		rc = emit(b, k, IR_DELTA, IR_DELTA_REDACTED, k->redacted);
	if (!rc && str_present(k->signature))
		rc = emit(b, k, IR_DELTA, IR_DELTA_SIGNATURE, k->signature);
	return rc;
}

static int close_block(struct oc_blocks *b, struct oc_block *k)
{
	int rc = RC_OK;

	for (const struct oc_cite *c = k->cites.first; !rc && c; c = c->next)
		rc = emit_citation(b, &c->citation);
	k->open = false;
	k->closed = true;
	return rc ? rc : emit(b, k, IR_CLOSE, IR_DELTA_TEXT, STR_NONE);
}

/* The head gives way to the next as long as it may; a new head opens as soon as it can. */
static int advance(struct oc_blocks *b)
{
	while (b->head) {
		struct oc_block *k = b->head;
		int rc = RC_OK;

		if (!k->open && (k->kind != IR_BLOCK_TOOL_CALL || k->name.len))
			rc = open_block(b, k);
		if (rc)
			return rc;
		if (!k->next || (k->kind == IR_BLOCK_TOOL_CALL && !(k->open && k->nesting.whole)))
			return RC_OK;
		rc = close_block(b, k);
		if (rc)
			return rc;
		b->head = k->next;
	}
	return RC_OK;
}

static struct oc_block *add_block(struct oc_blocks *b, enum ir_block_kind kind)
{
	struct oc_block *k = arena_alloc(b->arena, sizeof(*k));

	if (!k)
		return NULL;
	k->kind = kind;
	k->vendor_index = -1;
	k->held = k->vendor_id = k->name = STR("");
	if (b->head)
		b->tail->next = k;
	else
		b->head = k;
	b->tail = k;
	return k;
}

static int hold(struct oc_blocks *b, struct oc_block *k, struct str text)
{
	size_t need = k->held.len + text.len;
	char *to = (char *)k->held.ptr;

	if (text.len == 0)
		return RC_OK;
	if (need > k->held_cap) {
		size_t cap = k->held_cap ? k->held_cap : 256;

		while (cap < need)
			cap *= 2;
		to = arena_grow(b->arena, k->held_cap ? to : NULL, k->held_cap, cap);
		if (!to)
			return RC_NOMEM;
		k->held_cap = cap;
	}
	memcpy(to + k->held.len, text.ptr, text.len);
	k->held = (struct str){ to, need };
	return RC_OK;
}

/* Content of `k`: at once when it is open, else held. */
static int add_content(struct oc_blocks *b, struct oc_block *k, struct str text)
{
	if (text.len == 0)
		return RC_OK;
	return k->open ? emit_content(b, k, text, STR_NONE) : hold(b, k, text);
}

/* Puts a list behind one that is kept. */
static int keep_logprobs(struct oc_blocks *b, struct str *kept, struct str more)
{
	if (more.len <= 2)
		return RC_OK;
	*kept = str_present(*kept) ? oc_logprobs_join(b->arena, *kept, more)
				   : arena_dup(b->arena, more);
	return str_present(*kept) ? RC_OK : RC_NOMEM;
}

static int add_text(struct oc_blocks *b, struct oc_block *k, struct str text, struct str logprobs)
{
	int rc = RC_OK;

	if (str_present(b->logprobs)) {
		rc = keep_logprobs(b, &b->logprobs, logprobs);
		logprobs = b->logprobs;
		b->logprobs = STR_NONE;
	}
	if (!rc && k->open)
		return emit_content(b, k, text, logprobs);
	if (!rc)
		rc = keep_logprobs(b, &k->held_logprobs, logprobs);
	return rc ? rc : hold(b, k, text);
}

int oc_blocks_text(struct oc_blocks *b, enum ir_block_kind kind, struct str text,
		   struct str logprobs)
{
	struct oc_block *k = b->head ? b->tail : NULL;
	int rc;

	if (text.len == 0)
		return keep_logprobs(b, &b->logprobs, logprobs);
	/* Blanks amid or behind calls are padding, no text (trap 3). */
	if (k && k->kind == IR_BLOCK_TOOL_CALL && str_trim(text).len == 0)
		return RC_OK;
	if (!k || k->kind != kind || k->sealed || k->vendor_index >= 0) {
		k = add_block(b, kind);
		if (!k)
			return RC_NOMEM;
		k->origin = kind == IR_BLOCK_REASONING ? OC_NAME : NULL;
		if (kind == IR_BLOCK_TEXT) {
			k->cites = b->early;
			b->early = (struct oc_cites){ NULL, NULL };
		}
		b->refused = b->refused || kind == IR_BLOCK_REFUSAL;
		rc = advance(b);
		if (rc)
			return rc;
	}
	return add_text(b, k, text, logprobs);
}

int oc_blocks_picture(struct oc_blocks *b, struct str raw, struct str url)
{
	struct oc_block *k = add_block(b, IR_BLOCK_OPAQUE);

	if (!k)
		return RC_NOMEM;
	k->origin = OC_NAME;
	k->held = arena_dup(b->arena, raw);
	k->picture = arena_dup(b->arena, url);
	return str_present(k->held) && str_present(k->picture) ? advance(b) : RC_NOMEM;
}

int oc_blocks_lost(struct oc_blocks *b, struct str lost)
{
	struct oc_block *k = add_block(b, IR_BLOCK_OPAQUE);

	if (!k)
		return RC_NOMEM;
	k->held = STR("{}");
	k->lost = lost;
	return advance(b);
}

/* A copy of `c` behind the others of the list. */
static int keep_citation(struct oc_blocks *b, struct oc_cites *list, const struct ir_citation *c)
{
	struct oc_cite *kept = arena_alloc(b->arena, sizeof(*kept));

	if (!kept)
		return RC_NOMEM;
	kept->next = NULL;
	kept->citation = *c;
	kept->citation.url = arena_dup(b->arena, c->url);
	kept->citation.title = arena_dup(b->arena, c->title);
	kept->citation.cited_text = arena_dup(b->arena, c->cited_text);
	kept->citation.raw = arena_dup(b->arena, c->raw);
	if (list->first)
		list->last->next = kept;
	else
		list->first = kept;
	list->last = kept;
	return str_present(kept->citation.url) ? RC_OK : RC_NOMEM;
}

/* OpenRouter streams the sources first: they wait for the text that they are of. */
int oc_blocks_citation(struct oc_blocks *b, const struct ir_citation *c)
{
	struct oc_block *k = b->head ? b->tail : NULL;

	if (!k || k->kind != IR_BLOCK_TEXT)
		return keep_citation(b, &b->early, c);
	return k->open ? emit_citation(b, c) : keep_citation(b, &k->cites, c);
}

/* What seals a block: at once when it is open, else kept until it opens. */
static int seal(struct oc_blocks *b, struct oc_block *k, enum ir_delta_kind kind, struct str text)
{
	struct str *keep = kind == IR_DELTA_SIGNATURE ? &k->signature : &k->redacted;

	k->sealed = true;
	if (k->open)
		return emit(b, k, IR_DELTA, kind, text);
	*keep = arena_dup(b->arena, text);
	return keep->ptr ? RC_OK : RC_NOMEM;
}

int oc_blocks_detail(struct oc_blocks *b, const struct oc_detail *d)
{
	struct oc_block *k = b->head ? b->tail : NULL;
	bool goes_on = k && k->kind == IR_BLOCK_REASONING && !k->sealed &&
		       oc_detail_goes_on(d, k->origin, k->vendor_index);
	int rc;

	if (!goes_on) {
		/* A signature that comes when its text is closed signs nothing any more; one without any text
		 * stands for thinking that is not shown (trap 48). */
		if (d->text.len == 0 && !str_present(d->redacted) &&
		    (!d->signature.len || d->index < b->next_detail))
			return RC_OK;
		if (d->index >= b->next_detail)
			b->next_detail = d->index + 1;
		k = add_block(b, IR_BLOCK_REASONING);
		if (!k)
			return RC_NOMEM;
		k->origin = d->origin;
		k->vendor_index = d->index;
		rc = advance(b);
		if (rc)
			return rc;
	}
	rc = add_content(b, k, d->text);
	if (!rc && str_present(d->redacted))
		rc = seal(b, k, IR_DELTA_REDACTED, d->redacted);
	if (!rc && d->signature.len)
		rc = seal(b, k, IR_DELTA_SIGNATURE, d->signature);
	return rc;
}

/* --- tool calls --- */

static void count_nesting(struct oc_nesting *n, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (n->in_string) {
			if (n->escaped)
				n->escaped = false;
			else if (c == '\\')
				n->escaped = true;
			else if (c == '"')
				n->in_string = false;
		} else if (c == '"') {
			n->in_string = true;
		} else if (c == '{' || c == '[') {
			n->depth++;
		} else if ((c == '}' || c == ']') && --n->depth == 0) {
			n->whole = true;
		}
	}
}

/* Which call is meant? Vendors leave out the index, give every call the index 0, repeat or leave out ids. NULL: a new one. */
static struct oc_block *find_call(const struct oc_blocks *b, const struct oc_call_delta *d)
{
	struct oc_block *by_id = NULL, *by_index = NULL, *last = NULL;

	for (unsigned i = b->n_calls; i-- > 0;) {
		struct oc_block *k = b->calls[i];

		if (!last)
			last = k;
		if (!by_id && d->id.len && str_eq(k->vendor_id, d->id))
			by_id = k;
		if (!by_index && d->index >= 0 && k->vendor_index == d->index)
			by_index = k;
	}
	if (d->index < 0) {
		if (d->id.len)
			return by_id || d->name.len ? by_id : last;
		return d->name.len ? NULL : last;
	}
	if (!by_index)
		return d->name.len ? NULL : by_id;
	if (by_id && by_id->vendor_index == d->index)
		return by_id;
	if (d->name.len && d->id.len && by_index->vendor_id.len)
		return NULL; /* another id at the same index, with a name: another call */
	if (d->name.len && !d->id.len && d->arguments.len && by_index->nesting.whole)
		return NULL; /* no ids at all, every call at index 0 */
	return by_index;
}

static struct oc_block *add_call(struct oc_blocks *b, const struct oc_call_delta *d)
{
	struct oc_block *k;

	if (b->n_calls == b->cap_calls) {
		unsigned cap = b->cap_calls ? b->cap_calls * 2 : 8;
		struct oc_block **calls =
			arena_grow(b->arena, b->calls, b->cap_calls * sizeof(struct oc_block *),
				   cap * sizeof(struct oc_block *));

		if (!calls)
			return NULL;
		b->calls = calls;
		b->cap_calls = cap;
	}
	k = add_block(b, IR_BLOCK_TOOL_CALL);
	if (!k)
		return NULL;
	k->vendor_index = d->index;
	b->calls[b->n_calls++] = k;
	return k;
}

static int learn(struct oc_blocks *b, struct str *known, struct str said)
{
	if (known->len || said.len == 0)
		return RC_OK;
	*known = arena_dup(b->arena, said);
	return known->ptr ? RC_OK : RC_NOMEM;
}

int oc_blocks_call(struct oc_blocks *b, const struct oc_call_delta *d)
{
	struct oc_block *k = find_call(b, d);
	int rc;

	if (!k) {
		if (!d->id.len && !d->name.len && !d->arguments.len)
			return RC_OK;
		if (b->n_calls == MAX_CALLS)
			return RC_TOOBIG;
		k = add_call(b, d);
		if (!k)
			return RC_NOMEM;
	}
	if (k->closed) /* blanks after its end are nothing; more than that is no JSON */
		return str_trim(d->arguments).len ? RC_SYNTAX : RC_OK;
	rc = learn(b, &k->vendor_id, d->id);
	if (!rc)
		rc = learn(b, &k->name, d->name);
	if (rc)
		return rc;
	count_nesting(&k->nesting, d->arguments);
	if (k == b->head) { /* before the content, lest advance() close it first */
		struct oc_block *next = k->next;

		k->next = NULL;
		rc = advance(b);
		k->next = next;
	}
	if (!rc)
		rc = add_content(b, k, d->arguments);
	return rc ? rc : advance(b);
}

int oc_blocks_end(struct oc_blocks *b)
{
	for (struct oc_block *k = b->head; k; k = b->head) {
		int rc = RC_OK;

		if (k->kind == IR_BLOCK_TOOL_CALL && !k->name.len)
			return RC_SYNTAX; /* a call of nothing: neither to be passed on nor to be hidden */
		if (!k->open)
			rc = open_block(b, k);
		if (!rc)
			rc = close_block(b, k);
		if (rc)
			return rc;
		b->head = k->next;
	}
	return RC_OK;
}
