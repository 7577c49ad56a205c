/* protocols/anthropic_messages/request_blocks.c - content of a message, a system prompt or a tool's
 * result.
 *
 * The one hard thing: new kinds of blocks appear every few months. A kind not in the table below
 * stays whole as an OPAQUE part, so that it survives towards the vendor and is disclosed towards
 * others; it is never an error.
 */
#include <stdio.h>

#include "base/buf.h"
#include "ir/carrier.h"
#include "protocols/anthropic_messages/anthropic_messages.h"

struct am_path am_path_member(const struct am_path *at, const char *member)
{
	return (struct am_path){ .up = at, .member = member };
}

struct am_path am_path_index(const struct am_path *at, unsigned index)
{
	return (struct am_path){ .up = at, .index = index };
}

/* Outermost first. What does not fit is left out: the beginning tells most. */
static void put_path(char *text, size_t size, const struct am_path *at)
{
	size_t used;

	if (!at->up)
		return;
	put_path(text, size, at->up);
	used = strlen(text);
	if (at->member)
		(void)snprintf(text + used, size - used, "%s%s", used ? "." : "", at->member);
	else
		(void)snprintf(text + used, size - used, ".%u", at->index);
}

int am_refuse(const struct am_reader *r, const struct am_path *at, const char *what)
{
	char text[64] = "";

	put_path(text, sizeof(text), at);
	return err_param(r->reterr, RC_INVALID, text, "%s: %s", text, what);
}

static int no_memory(const struct am_reader *r)
{
	return err_set(r->reterr, RC_NOMEM, "out of memory");
}

/* `member` of `block` as a string; absent when it may be. */
static int read_str(const struct am_reader *r, const json *block, const char *member, bool must,
		    const struct am_path *at, struct str *ret)
{
	const json *v = json_get_set(block, str_from(member));

	if (v && json_is_str(v)) {
		*ret = json_str(v);
		return RC_OK;
	}
	if (!v && !must)
		return RC_OK;
	{
		struct am_path p = am_path_member(at, member);

		return am_refuse(r, &p, v ? "Input should be a valid string" : "Field required");
	}
}

int am_read_cache(const struct am_reader *r, const json *v, const struct am_path *at,
		  enum ir_cache *ret)
{
	const json *cache = JSON_GET(v, "cache_control");
	struct am_path p = am_path_member(at, "cache_control");
	const json *ttl = JSON_GET(cache, "ttl");

	*ret = IR_CACHE_NONE;
	if (!cache)
		return RC_OK;
	if (!str_eq(json_str(JSON_GET(cache, "type")), STR("ephemeral")))
		return am_refuse(r, &p, "Input should be {\"type\": \"ephemeral\"}");
	if (!ttl)
		*ret = IR_CACHE_DEFAULT;
	else if (str_eq(json_str(ttl), STR("5m")))
		*ret = IR_CACHE_5M;
	else if (str_eq(json_str(ttl), STR("1h")))
		*ret = IR_CACHE_1H;
	else
		return am_refuse(r, &p, "ttl should be '5m' or '1h'");
	return RC_OK;
}

/* --- kinds of blocks; each fills *p, whose kind is set --- */

typedef int block_fn(const struct am_reader *r, const json *b, const struct am_path *at,
		     struct ir_part *p);

static int read_opaque(const struct am_reader *r, const json *b, struct ir_part *p)
{
	*p = (struct ir_part){ .kind = IR_PART_OPAQUE,
			       .origin = AM_NAME,
			       .raw = json_text(r->arena, b) };
	return str_present(p->raw) ? RC_OK : no_memory(r);
}

static int read_text(const struct am_reader *r, const json *b, const struct am_path *at,
		     struct ir_part *p)
{
	const json *citations = JSON_GET(b, "citations");

	if (json_len(citations)) {
		p->citations = json_text(r->arena, citations);
		if (!str_present(p->citations))
			return no_memory(r);
	}
	return read_str(r, b, "text", true, at, &p->text);
}

/* A source that several kinds of blocks share. RC_NOTFOUND: a kind of source we do not know. */
static int read_source(const struct am_reader *r, const json *source, const struct am_path *at,
		       struct ir_media *m)
{
	struct str type;
	int rc;

	if (!json_is_obj(source))
		return am_refuse(r, at,
				 source ? "Input should be a valid dictionary" : "Field required");
	type = json_str(JSON_GET(source, "type"));
	if (str_eq(type, STR("url"))) {
		m->source = IR_MEDIA_URL;
		return read_str(r, source, "url", true, at, &m->data);
	}
	if (str_eq(type, STR("file"))) {
		m->source = IR_MEDIA_FILE_ID;
		return read_str(r, source, "file_id", true, at, &m->data);
	}
	if (!str_eq(type, STR("base64")) && !str_eq(type, STR("text")))
		return RC_NOTFOUND;
	m->source = str_eq(type, STR("text")) ? IR_MEDIA_TEXT : IR_MEDIA_BASE64;
	rc = read_str(r, source, "media_type", true, at, &m->mime);
	return rc ? rc : read_str(r, source, "data", true, at, &m->data);
}

static int read_image(const struct am_reader *r, const json *b, const struct am_path *at,
		      struct ir_part *p)
{
	struct am_path source = am_path_member(at, "source");
	int rc = read_source(r, JSON_GET(b, "source"), &source, &p->media);

	if (rc == RC_NOTFOUND || (rc == RC_OK && p->media.source == IR_MEDIA_TEXT))
		return read_opaque(r, b, p);
	return rc;
}

/* A document given as blocks: text when all of it is text. RC_NOTFOUND otherwise. */
static int read_document_content(const struct am_reader *r, const json *content, struct ir_media *m)
{
	struct json_iter it = json_iter(content);
	struct buf text;

	m->source = IR_MEDIA_TEXT;
	m->mime = STR("text/plain");
	m->data = json_str(content);
	if (str_present(m->data))
		return RC_OK;
	if (!json_is_arr(content))
		return RC_NOTFOUND;
	buf_init(&text, SIZE_MAX / 4);
	while (json_next(&it)) {
		if (!str_eq(json_str(JSON_GET(it.val, "type")), STR("text"))) {
			buf_done(&text);
			return RC_NOTFOUND;
		}
		if (buf_len(&text))
			buf_puts(&text, "\n\n");
		buf_put(&text, json_str(JSON_GET(it.val, "text")));
	}
	if (buf_ok(&text))
		m->data = arena_dup(r->arena, buf_str(&text));
	buf_done(&text);
	return str_present(m->data) ? RC_OK : no_memory(r);
}

/* Whether the model is to cite the document: that it is not to is what happens anyway. */
static int read_citing(const struct am_reader *r, const json *b, struct ir_part *p)
{
	const json *citations = JSON_GET(b, "citations");

	if (!json_bool(JSON_GET(citations, "enabled"), false))
		return RC_OK;
	p->citations = json_text(r->arena, citations);
	return str_present(p->citations) ? RC_OK : no_memory(r);
}

static int read_document(const struct am_reader *r, const json *b, const struct am_path *at,
			 struct ir_part *p)
{
	struct am_path at_source = am_path_member(at, "source");
	const json *source = JSON_GET(b, "source");
	int rc;

	if (str_eq(json_str(JSON_GET(source, "type")), STR("content")))
		rc = read_document_content(r, JSON_GET(source, "content"), &p->media);
	else
		rc = read_source(r, source, &at_source, &p->media);
	if (rc == RC_NOTFOUND)
		return read_opaque(r, b, p);
	if (rc)
		return rc;
	rc = read_citing(r, b, p);
	if (rc)
		return rc;
	rc = read_str(r, b, "title", false, at, &p->media.name);
	return rc ? rc : read_str(r, b, "context", false, at, &p->media.context);
}

/* Text that the model must see whoever runs it: a text document whose context is where it was
 * found. */
static int read_search_result(const struct am_reader *r, const json *b, const struct am_path *at,
			      struct ir_part *p)
{
	int rc = read_document_content(r, JSON_GET(b, "content"), &p->media);

	if (rc == RC_NOTFOUND)
		return read_opaque(r, b, p);
	if (rc)
		return rc;
	rc = read_citing(r, b, p);
	if (rc)
		return rc;
	rc = read_str(r, b, "title", true, at, &p->media.name);
	return rc ? rc : read_str(r, b, "source", true, at, &p->media.context);
}

static int read_tool_use(const struct am_reader *r, const json *b, const struct am_path *at,
			 struct ir_part *p)
{
	const json *input = JSON_GET(b, "input");
	struct am_path at_input = am_path_member(at, "input");
	int rc = read_str(r, b, "id", true, at, &p->id);

	if (!rc)
		rc = read_str(r, b, "name", true, at, &p->name);
	if (rc)
		return rc;
	if (!json_is_obj(input))
		return am_refuse(r, &at_input,
				 input ? "Input should be a valid dictionary" : "Field required");
	p->id = am_tool_id_decode(r->arena, p->id);
	p->arguments = json_text(r->arena, input);
	return str_present(p->id) && str_present(p->arguments) ? RC_OK : no_memory(r);
}

static int read_tool_result(const struct am_reader *r, const json *b, const struct am_path *at,
			    struct ir_part *p)
{
	const json *content = JSON_GET(b, "content");
	struct am_path at_content = am_path_member(at, "content");
	int rc = read_str(r, b, "tool_use_id", true, at, &p->id);

	if (rc)
		return rc;
	p->id = am_tool_id_decode(r->arena, p->id);
	if (!str_present(p->id))
		return no_memory(r);
	p->is_error = json_bool(JSON_GET(b, "is_error"), false);
	if (!content || (json_is_str(content) && json_str(content).len == 0))
		return RC_OK;
	return am_read_content(r, content, &at_content, AM_IN_RESULT, &p->content, &p->n_content);
}

/* An empty signature is one that we gave to thinking of another vendor's model (trap 47): nobody
 * minted it. */
/* A proof in the place for one: the vendor's own, or another's that we put there (ir/carrier.h). */
static int read_proof(const struct am_reader *r, struct ir_part *p, struct str *proof)
{
	struct str origin;

	if (!proof->len)
		return RC_OK;
	p->origin = AM_NAME;
	if (!ir_carrier_is(*proof) || !ir_carrier_unpack(r->arena, *proof, &origin, proof))
		return RC_OK;
	p->origin = arena_dup(r->arena, origin).ptr;
	return p->origin ? RC_OK : no_memory(r);
}

static int read_thinking(const struct am_reader *r, const json *b, const struct am_path *at,
			 struct ir_part *p)
{
	int rc = read_str(r, b, "thinking", true, at, &p->text);

	if (!rc)
		rc = read_str(r, b, "signature", false, at, &p->signature);
	return rc ? rc : read_proof(r, p, &p->signature);
}

static int read_redacted(const struct am_reader *r, const json *b, const struct am_path *at,
			 struct ir_part *p)
{
	int rc = read_str(r, b, "data", true, at, &p->redacted);

	return rc ? rc : read_proof(r, p, &p->redacted);
}

/* What a client's search for tools found: they are among the request's tools from now on. Where the
 * vendor puts their definitions, other models read that they are there. The vendor gets the block. */
static int read_tool_reference(const struct am_reader *r, const json *b, const struct am_path *at,
			       struct ir_part *p)
{
	struct str name = STR_NONE;
	int rc = read_str(r, b, "tool_name", true, at, &name);

	if (rc)
		return rc;
	p->text = arena_printf(r->arena, "The tool %.*s can be called now.", STR_ARG(name));
	p->raw = json_text(r->arena, b);
	p->origin = AM_NAME;
	return str_present(p->text) && str_present(p->raw) ? RC_OK : no_memory(r);
}

static const struct {
	struct str type;
	enum ir_part_kind kind;
	block_fn *read;
	bool in_result; /* may stand in a tool's result; a result in a result is none we know */
} kinds[] = {
	{ STR_INIT("text"), IR_PART_TEXT, read_text, true },
	{ STR_INIT("tool_use"), IR_PART_TOOL_CALL, read_tool_use, false },
	{ STR_INIT("tool_result"), IR_PART_TOOL_RESULT, read_tool_result, false },
	{ STR_INIT("image"), IR_PART_IMAGE, read_image, true },
	{ STR_INIT("document"), IR_PART_FILE, read_document, true },
	{ STR_INIT("search_result"), IR_PART_FILE, read_search_result, true },
	{ STR_INIT("tool_reference"), IR_PART_TEXT, read_tool_reference, true },
	{ STR_INIT("thinking"), IR_PART_REASONING, read_thinking, false },
	{ STR_INIT("redacted_thinking"), IR_PART_REASONING, read_redacted, false },
};

static int read_block(const struct am_reader *r, const json *b, const struct am_path *at,
		      enum am_place place, struct ir_part *p)
{
	struct am_path at_type = am_path_member(at, "type");
	struct str type = json_str(JSON_GET(b, "type"));
	int rc;

	if (!json_is_obj(b))
		return am_refuse(r, at, "Input should be a valid dictionary");
	if (!str_present(type))
		return am_refuse(r, &at_type, "Field required");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!str_eq(kinds[i].type, type) || (place == AM_IN_RESULT && !kinds[i].in_result))
			continue;
		*p = (struct ir_part){ .kind = kinds[i].kind };
		rc = kinds[i].read(r, b, at, p);
		/* An opaque one keeps its breakpoint inside. */
		return rc || p->kind == IR_PART_OPAQUE ? rc : am_read_cache(r, b, at, &p->cache);
	}
	return read_opaque(r, b, p);
}

int am_read_content(const struct am_reader *r, const json *content, const struct am_path *at,
		    enum am_place place, struct ir_part **ret, unsigned *ret_n)
{
	struct json_iter it = json_iter(content);
	struct ir_part *parts;
	unsigned n = 0;

	if (!json_is_str(content) && !json_is_arr(content))
		return am_refuse(r, at,
				 content ? "Input should be a valid string or list"
					 : "Field required");
	parts = arena_array(r->arena, json_is_str(content) ? 1 : json_len(content) + 1,
			    sizeof(*parts));
	if (!parts)
		return no_memory(r);
	if (json_is_str(content))
		parts[n++] = (struct ir_part){ .kind = IR_PART_TEXT, .text = json_str(content) };
	else {
		while (json_next(&it)) {
			struct am_path p = am_path_index(at, n);
			int rc = read_block(r, it.val, &p, place, &parts[n]);

			if (rc)
				return rc;
			n++;
		}
	}
	*ret = parts;
	*ret_n = n;
	return RC_OK;
}
