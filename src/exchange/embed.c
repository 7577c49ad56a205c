/* exchange/embed.c - embeddings: one body in, one body out, no events.
 *
 * The targets, attempts and failures are those of every exchange (forward.c, pump.c); only what the bodies
 * mean is different. As everywhere: bytes pass where the target speaks the client's protocol.
 */
#include "exchange/exchange_impl.h"

#include "json/scan.h"

enum {
	INPUTS_MAX = 2048
}; /* OpenAI's own limit: what goes in parts must not become any number of requests */

/* What goes to the target next: all that was asked, or the part that it takes at once. */
static struct ir_embed_request next_part(const struct exchange *x, const struct target *t)
{
	struct ir_embed_request part = *x->embed;
	unsigned max = t->protocol->embed->max_inputs;

	part.inputs += x->embedded.n;
	part.n_inputs -= x->embedded.n;
	if (max && part.n_inputs > max)
		part.n_inputs = max;
	return part;
}

int embed_translate_body(struct exchange *x, const struct target *t, struct buf *out,
			 struct err *reterr)
{
	const struct embed_codec *client = x->match.protocol->embed, *target = t->protocol->embed;
	struct request_target rt = forward_target(x, t);
	struct ir_embed_request part;
	int rc = RC_OK;

	if (!x->embed)
		rc = client->decode_request(x->arena, &x->match.line, x->peek.body, &x->embed,
					    reterr);
	if (rc == RC_OK && target->max_inputs && x->embed->n_inputs > INPUTS_MAX)
		rc = err_param(reterr, RC_UNSUPPORTED, "input", "input: %d texts at most at once",
			       INPUTS_MAX);
	if (rc == RC_OK) {
		part = next_part(x, t);
		rc = target->encode_request(x->arena, &part, &rt, out, &x->losses, reterr);
	}
	return rc == RC_OK ? forward_check_losses(x, t, reterr) : rc;
}

/* The vectors of one part go behind those that came before: the attempt and its memory end with it. */
static bool collect(struct exchange *x, const struct ir_embed_response *answer)
{
	struct embedded *all = &x->embedded;

	if (!all->vectors) {
		all->vectors = arena_array(x->arena, x->embed->n_inputs, sizeof(*all->vectors));
		all->usage = IR_USAGE_NONE;
	}
	ir_usage_add(&all->usage, &answer->usage);
	for (unsigned i = 0; all->vectors && i < answer->n_vectors; i++) {
		const struct ir_vector *v = &answer->vectors[i];
		struct ir_vector copy = { arena_dup(x->arena, v->json),
					  arena_dup(x->arena, v->base64) };

		if (!str_present(copy.json) && !str_present(copy.base64))
			return false;
		all->vectors[all->n++] = copy;
	}
	return all->vectors != NULL;
}

static void answer_client(struct exchange *x, const struct ir_embed_response *answer)
{
	struct buf out;

	x->record.usage = answer->usage;
	buf_init(&out, 2 * x->snapshot->max_response);
	if (x->match.protocol->embed->encode_response(x->embed, answer, x->peek.model, &out) !=
		    RC_OK ||
	    !buf_ok(&out))
		outcome_failed(x, OUTCOME_NO_MEMORY, NULL);
	else
		pump_whole_ok(x, STR("application/json"), buf_str(&out));
	buf_done(&out);
}

static void translate(struct exchange *x, struct str body)
{
	struct ir_embed_request asked = next_part(x, x->target);
	struct ir_embed_response *answer, whole;
	struct err e = { 0 };
	int rc = x->target->protocol->embed->decode_response(x->pump.arena, &asked, body, &answer,
							     &e);

	if (rc == RC_OK && answer->n_vectors != asked.n_inputs)
		rc = err_set(&e, RC_SYNTAX, "not one vector for each input");
	if (rc == RC_OK && asked.n_inputs < x->embed->n_inputs && !collect(x, answer))
		rc = RC_NOMEM;
	if (rc == RC_NOMEM || rc == RC_TOOBIG) {
		outcome_failed(x, OUTCOME_NO_MEMORY, NULL);
	} else if (rc != RC_OK) {
		outcome_failed(x, OUTCOME_NONSENSE, e.msg);
	} else if (!x->embedded.vectors) {
		answer_client(x, answer);
	} else if (x->embedded.n < x->embed->n_inputs) {
		outcome_ok(x);
		forward_again(x);
	} else {
		whole = (struct ir_embed_response){ x->embedded.vectors, x->embedded.n,
						    x->embedded.usage };
		answer_client(x, &whole);
	}
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
