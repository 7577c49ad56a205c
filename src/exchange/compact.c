/* exchange/compact.c - a conversation made shorter: POST /v1/responses/compact.
 *
 * Where the provider has the operation the request is passed on. Elsewhere the model is asked for a summary on the usual path,
 * and the summary is the one item of the answer, in a form that this gateway reads back when the item comes again as input
 * (conversation.c), for whatever model. It is the client's own text, so it is marked and not encrypted.
 */
#include "exchange/exchange_impl.h"

#include "base/clock.h"
#include "base/id.h"
#include "json/write.h"

enum { COMPACT_MAX = 1 << 30, ID_LEN = 24 };

static void fail(struct exchange *x, enum ir_error_kind kind, struct str message)
{
	struct ir_error e = { .kind = kind, .message = message, .retry_after_ms = -1 };

	answer_error(x, &e, kind == IR_ERR_UPSTREAM ? "upstream_error" : "refused");
}

static void no_memory(struct exchange *x)
{
	fail(x, IR_ERR_UNAVAILABLE, STR("The gateway is out of memory."));
}

/* The provider does it, and what it makes only it can read. */
static bool passed_on(const struct exchange *x)
{
	const struct target *t = &x->route.targets[0];

	return x->route.n_targets == 1 && t->relay && t->account->kind->compacts;
}

enum step_result compact_start(struct exchange *x)
{
	struct err e = { 0 };
	struct ir_error error;
	struct str body;
	int rc;

	if (x->match.line.op != IR_OP_COMPACT || passed_on(x))
		return NEXT;
	body = turn_ask_summary(x->arena, x->peek.body, &e);
	rc = str_present(body) ? RC_OK : e.code ? (int)e.code : RC_NOMEM;
	x->compacts = true;
	x->match.line.op = IR_OP_GENERATE;
	x->turn.relay = NULL;
	if (rc == RC_OK)
		rc = turns_peek_again(x, body, &x->peek, &e);
	if (rc == RC_OK)
		return NEXT;
	error = forward_error_of(x, rc, &e);
	answer_error(x, &error, "refused");
	return DONE;
}

static void put_id(struct jw *w, const char *prefix)
{
	char id[8 + ID_LEN + 1];
	size_t n = strlen(prefix);

	memcpy(id, prefix, n);
	id_make(id + n, ID_LEN);
	jw_kstr(w, "id", (struct str){ id, n + ID_LEN });
}

void compact_answer(struct exchange *x, struct str resource)
{
	struct str summary = turn_read_summary(x->arena, resource);
	struct str usage = turn_get(resource, "usage");
	struct buf out;
	struct jw w;

	if (!str_present(summary)) {
		fail(x, IR_ERR_UPSTREAM, STR("The model gave no summary of the conversation."));
		return;
	}
	buf_init(&out, COMPACT_MAX);
	w = jw_on(&out);
	jw_obj(&w);
	put_id(&w, "resp_");
	jw_kcstr(&w, "object", "response.compaction");
	jw_ki64(&w, "created_at", clock_wall_s());
	jw_key(&w, "output");
	jw_arr(&w);
	jw_obj(&w);
	put_id(&w, "cmp_");
	jw_kcstr(&w, "type", "compaction");
	jw_kstr(&w, "encrypted_content", summary);
	jw_end_obj(&w);
	jw_end_arr(&w);
	jw_kraw(&w, "usage", str_present(usage) ? usage : STR("null"));
	jw_end_obj(&w);
	if (buf_ok(&out))
		answer_whole(x, 200, STR("application/json"), buf_str(&out), true, "ok");
	else
		no_memory(x);
	buf_done(&out);
}
