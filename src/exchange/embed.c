/* exchange/embed.c - embeddings: one body in, one body out, no events.
 *
 * The targets, attempts and failures are those of every exchange (forward.c, pump.c); only what the bodies
 * mean is different. As everywhere: bytes pass where the target speaks the client's protocol.
 */
#include "exchange/exchange_impl.h"

#include "json/scan.h"

int embed_translate_body(struct exchange *x, const struct target *t, struct buf *out,
			 struct err *reterr)
{
	const struct embed_codec *client = x->match.protocol->embed;
	struct request_target rt = forward_target(x, t);
	int rc = RC_OK;

	if (!x->embed)
		rc = client->decode_request(x->arena, &x->match.line, x->peek.body, &x->embed,
					    reterr);
	if (rc == RC_OK)
		rc = t->protocol->embed->encode_request(x->arena, x->embed, &rt, out, &x->losses,
							reterr);
	return rc == RC_OK ? forward_check_losses(x, t, reterr) : rc;
}

static void translate(struct exchange *x, struct str body)
{
	const struct embed_codec *client = x->match.protocol->embed;
	struct ir_embed_response *answer;
	struct err e = { 0 };
	struct buf out;
	int rc = x->target->protocol->embed->decode_response(x->pump.arena, x->embed, body, &answer,
							     &e);

	if (rc == RC_NOMEM || rc == RC_TOOBIG) {
		outcome_failed(x, OUTCOME_NO_MEMORY, NULL);
		return;
	}
	if (rc != RC_OK || answer->n_vectors != x->embed->n_inputs) {
		outcome_failed(x, OUTCOME_NONSENSE,
			       rc != RC_OK ? e.msg : "not one vector for each input");
		return;
	}
	x->record.usage = answer->usage;
	buf_init(&out, 2 * x->snapshot->max_response);
	if (client->encode_response(x->embed, answer, x->peek.model, &out) != RC_OK ||
	    !buf_ok(&out))
		outcome_failed(x, OUTCOME_NO_MEMORY, NULL);
	else
		pump_whole_ok(x, STR("application/json"), buf_str(&out));
	buf_done(&out);
}

void embed_answer(struct exchange *x, struct str body)
{
	/* Where HTTP cannot tell a cut, the JSON must. */
	if (attempt_fields(x->attempt)->until_close && json_scan(body, NULL, 0, NULL) != RC_OK)
		outcome_failed(x, OUTCOME_NONSENSE, "it was cut off");
	else if (!x->relay)
		translate(x, body);
	else if (!x->target->protocol->embed->tap_body(x->pump.scratch, body, &x->record.usage))
		outcome_failed(x, OUTCOME_NONSENSE, NULL);
	else
		pump_whole_ok(x, attempt_fields(x->attempt)->content_type, body);
}
