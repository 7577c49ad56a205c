/* protocols/openai_chat/openai_chat.h - what the files of this protocol share.
 *
 * Nothing outside this folder includes it: the gateway sees only `protocol_openai_chat`.
 *
 *	relay.c            peek, patch, tap: bodies that pass as they are
 *	request_decode.c   client body -> ir_request      (messages in request_messages.c)
 *	request_encode.c   ir_request -> upstream body    (turns in request_turns.c)
 *	response_decode.c  upstream answer -> events      (blocks in blocks.c)
 *	response_encode.c  events -> client answer
 *	names.c            ids and names within OpenAI's limits
 *	usage.c, errors.c, models.c
 */
#ifndef GW_PROTOCOLS_OPENAI_CHAT_H
#define GW_PROTOCOLS_OPENAI_CHAT_H

#include "json/json.h"
#include "json/write.h"
#include "protocols/protocol.h"

/* The name under which this protocol mints opaque parts. */
#define OC_NAME "openai-chat"

/* True when `origin` (a part's, tool's or request's) is this protocol. */
bool oc_minted(const char *origin);

/* --- usage.c --- */

/* Takes over what a vendor's `usage` object says; members it leaves out keep their value (trap 118). */
void oc_usage_read(const json *usage, struct ir_usage *io);
/* The object with every number the SDKs type, 0 when unknown (trap 119). */
void oc_usage_write(struct jw *w, const struct ir_usage *u);

/* IR_STOP_END for one nobody knows (trap 105). *ret_failed: the vendor says "error" this way. */
enum ir_stop oc_stop_parse(struct str reason, bool *ret_failed);
const char *oc_stop_name(enum ir_stop s);

/* --- errors.c --- */

/* True when a parsed body or event holds an error instead of an answer (trap 112). */
bool oc_error_is(const json *root);
/* Reads an error out of a parsed body or event of any shape; texts are copied into `a`. `status`: HTTP status of the
 * answer. True when it has OpenAI's own shape. */
bool oc_error_read(struct arena *a, const json *root, int status, struct ir_error *ret);

void oc_encode_error(const struct ir_error *e, struct str request_id, struct buf *out, int *ret_status);
void oc_encode_stream_error(const struct ir_error *e, struct str request_id, struct buf *out);
bool oc_decode_error(struct arena *a, int status, struct str body, struct ir_error *ret);
void oc_encode_ping(bool started, struct buf *out);

/* --- relay.c --- */

int oc_peek(struct arena *a, struct str body, struct request_peek *ret, struct err *reterr);
int oc_patch(struct arena *a, const struct request_peek *peek, const struct patch_options *o, struct buf *out);
unsigned oc_tap_event(struct relay_tap *t, struct arena *scratch, const struct sse_event *ev);
unsigned oc_tap_body(struct relay_tap *t, struct arena *scratch, struct str body);

/* --- models.c --- */

void oc_encode_models(const struct model_info *models, unsigned n, struct buf *out);
void oc_encode_model(const struct model_info *model, struct buf *out);
int oc_decode_models(struct arena *a, struct str body, struct str **ret_ids, unsigned *ret_n, struct err *reterr);

#endif
