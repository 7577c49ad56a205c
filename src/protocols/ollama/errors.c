/* protocols/ollama/errors.c - errors as {"error":"text"}, in a body or as the last line of a stream, and out of everybody's.
 *
 * Ollama's form has room for a sentence only, so the kind is read from the status and from what the sentence says. */
#include "protocols/ollama/ollama.h"

#include "protocols/errors.h"

static void put_body(const struct ir_error *e, struct buf *out)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	jw_kstr(&w, "error",
		str_present(e->message) ? e->message : str_from(error_sentence(e->kind)));
	jw_end_obj(&w);
}

void ol_encode_error(const struct ir_error *e, struct str request_id, struct buf *out,
		     int *ret_status)
{
	int status = ir_error_status(e);

	(void)request_id;
	put_body(e, out);
	*ret_status = status == 529 ? 503 : status; /* trap 109: Ollama says 503 when it is busy */
}

/* Trap 111: the SDKs raise on a line with `error`; no line with `done` follows, for nothing was done. */
void ol_encode_stream_error(const struct ir_error *e, struct str request_id, enum framing framing,
			    bool started, struct buf *out)
{
	(void)request_id;
	(void)framing;
	(void)started;
	put_body(e, out);
	buf_putc(out, '\n');
}

/* Lines have no place for one: each is parsed, also an empty one. */
void ol_encode_ping(enum framing framing, bool started, struct buf *out)
{
	(void)framing;
	(void)started;
	(void)out;
}

/* --- reading --- */

static const struct {
	struct str words;
	enum ir_error_kind kind;
} signs[] = {
	{ STR_INIT("server busy"), IR_ERR_OVERLOADED },
	{ STR_INIT("context length"), IR_ERR_CONTEXT_LENGTH },
	{ STR_INIT("exceeds the available context"), IR_ERR_CONTEXT_LENGTH },
	{ STR_INIT("try pulling it first"), IR_ERR_MODEL_NOT_FOUND },
	{ STR_INIT("does not support"), IR_ERR_INVALID_REQUEST },
};

static void look_closer(struct ir_error *io)
{
	for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++) {
		if (str_find(io->message, signs[i].words) >= 0) {
			io->kind = signs[i].kind;
			return;
		}
	}
}

bool ol_error_is(const json *root)
{
	const json *e = json_get(root, STR("error"));

	return json_str(e).len > 0 || json_is_obj(e);
}

void ol_error_read(struct arena *a, const json *root, struct ir_error *ret)
{
	const json *e = json_get(root, STR("error"));
	struct str text = json_str(e);

	if (json_is_obj(e)) /* of a proxy in between */
		text = json_str(json_get(e, STR("message")));
	*ret = (struct ir_error){ .kind = IR_ERR_UPSTREAM, .retry_after_ms = -1 };
	ret->message = text.len ? arena_dup(a, text) : error_without_reason(a, 0);
	look_closer(ret);
}

bool ol_decode_error(struct arena *a, int status, struct str body, struct ir_error *ret)
{
	const json *root = json_parse(a, body, NULL);
	bool native = json_str(json_get(root, STR("error"))).len > 0;

	/* Every shape that stands behind an address (trap 107) is read where all of them are known. */
	(void)protocol_openai_chat.decode_error(a, status, body, ret);
	if (native)
		look_closer(ret);
	return native;
}
