/* exchange/settle.c - the end of an exchange: one access record, written exactly once. */
#include "exchange/exchange_impl.h"

#include "base/clock.h"
#include "base/log.h"

/* What nobody said is left out, not claimed to be 0. */
static struct log_field tokens(struct str key, int64_t n)
{
	return (struct log_field){ .key = key, .kind = n < 0 ? LOG_F_STR : LOG_F_INT, .i = n };
}

static struct log_field millis(struct str key, uint64_t from_us, uint64_t to_us)
{
	return tokens(key, to_us < from_us ? -1 : (int64_t)((to_us - from_us) / 1000));
}

static struct str client_of(const struct exchange *x)
{
	if (x->out.ws)
		return websocket_peer(x->out.ws);
	return x->request ? http_request_peer(x->request) : STR("background");
}

void settle(struct exchange *x)
{
	const struct record *r = &x->record;
	const struct target *t = x->target;
	uint64_t now = clock_mono_us();

	if (!x->snapshot->access_log)
		return;
	log_event(LOG_INFO, "access", NULL, LF_STR("id", x->id), LF_STR("client", client_of(x)),
		  LF_STR("key", x->principal.key ? x->principal.key->name : STR_NONE),
		  LF_STR("method", x->head->method_text), LF_STR("path", x->head->path),
		  LF_STR("transport", x->out.ws ? STR("websocket") : STR_NONE),
		  LF_CSTR("protocol", x->match.protocol->name), LF_STR("model", x->peek.model),
		  LF_BOOL("stream", x->peek.stream),
		  LF_STR("provider", t ? t->account->name : STR_NONE),
		  LF_STR("upstream_model", t ? t->model : STR_NONE),
		  LF_CSTR("upstream_protocol", t && t->protocol ? t->protocol->name : NULL),
		  LF_INT("status", r->status), tokens(STR("input_tokens"), r->usage.input),
		  tokens(STR("output_tokens"), r->usage.output),
		  tokens(STR("cache_read_tokens"), r->usage.cache_read),
		  tokens(STR("cache_write_tokens"), r->usage.cache_write),
		  tokens(STR("reasoning_tokens"), r->usage.reasoning),
		  LF_INT("attempts", r->attempts), LF_BOOL("reused", r->reused),
		  millis(STR("first_byte_ms"), r->start_us, r->first_byte_us),
		  millis(STR("total_ms"), r->start_us, now),
		  LF_STR("dropped", ir_losses_text(&x->losses)), LF_CSTR("end", r->end),
		  LF_STR("detail", r->detail));
}
