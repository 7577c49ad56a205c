/* ir/event.c - names, statuses and arithmetic of the canonical answer. */
#include "ir/event.h"

/* What was said last. */
static inline int64_t last(int64_t had, int64_t said)
{
	return said >= 0 ? said : had;
}

static inline int64_t sum(int64_t had, int64_t said)
{
	if (had < 0 || said < 0)
		return last(had, said);
	return had > INT64_MAX - said ? INT64_MAX : had + said;
}

/* Every count, so that none is forgotten where they are taken over or added up. */
static inline void join(struct ir_usage *u, const struct ir_usage *with,
			int64_t (*how)(int64_t had, int64_t said))
{
	u->input = how(u->input, with->input);
	u->output = how(u->output, with->output);
	u->cache_read = how(u->cache_read, with->cache_read);
	u->cache_write = how(u->cache_write, with->cache_write);
	u->cache_write_5m = how(u->cache_write_5m, with->cache_write_5m);
	u->cache_write_1h = how(u->cache_write_1h, with->cache_write_1h);
	u->reasoning = how(u->reasoning, with->reasoning);
	u->audio_input = how(u->audio_input, with->audio_input);
	u->audio_output = how(u->audio_output, with->audio_output);
	u->accepted_prediction = how(u->accepted_prediction, with->accepted_prediction);
	u->rejected_prediction = how(u->rejected_prediction, with->rejected_prediction);
	u->estimated = u->estimated || with->estimated;
}

void ir_usage_merge(struct ir_usage *u, const struct ir_usage *with)
{
	join(u, with, last);
	if (with->tier)
		u->tier = with->tier;
}

void ir_usage_add(struct ir_usage *u, const struct ir_usage *more)
{
	join(u, more, sum);
	if (!u->tier)
		u->tier = more->tier;
}

const char *ir_stop_name(enum ir_stop s)
{
	switch (s) {
	case IR_STOP_END:
		return "end";
	case IR_STOP_LENGTH:
		return "length";
	case IR_STOP_SEQUENCE:
		return "stop_sequence";
	case IR_STOP_TOOL_CALLS:
		return "tool_calls";
	case IR_STOP_REFUSAL:
		return "refusal";
	case IR_STOP_PAUSE:
		return "pause";
	case IR_STOP_CONTEXT:
		return "context";
	}
	return "?";
}

const char *ir_event_name(enum ir_event_kind k)
{
	switch (k) {
	case IR_START:
		return "START";
	case IR_OPEN:
		return "OPEN";
	case IR_DELTA:
		return "DELTA";
	case IR_CLOSE:
		return "CLOSE";
	case IR_USAGE:
		return "USAGE";
	case IR_FINISH:
		return "FINISH";
	case IR_ERROR:
		return "ERROR";
	case IR_PING:
		return "PING";
	}
	return "?";
}

/* One row a kind: its usual status and its name in logs. */
static const struct {
	int status;
	const char *name;
} error_kinds[] = {
	[IR_ERR_INVALID_REQUEST] = { 400, "invalid_request" },
	[IR_ERR_AUTHENTICATION] = { 401, "authentication" },
	[IR_ERR_BILLING] = { 402, "billing" },
	[IR_ERR_PERMISSION] = { 403, "permission" },
	[IR_ERR_NOT_FOUND] = { 404, "not_found" },
	[IR_ERR_MODEL_NOT_FOUND] = { 404, "model_not_found" },
	[IR_ERR_METHOD] = { 405, "method" },
	[IR_ERR_TOO_LARGE] = { 413, "too_large" },
	[IR_ERR_MEDIA_TYPE] = { 415, "media_type" },
	[IR_ERR_CONTEXT_LENGTH] = { 400, "context_length" },
	[IR_ERR_CONTENT_FILTER] = { 400, "content_filter" },
	[IR_ERR_RATE_LIMIT] = { 429, "rate_limit" },
	[IR_ERR_SERVER] = { 500, "server" },
	[IR_ERR_UPSTREAM] = { 502, "upstream" },
	[IR_ERR_UNAVAILABLE] = { 503, "unavailable" },
	[IR_ERR_OVERLOADED] = { 503, "overloaded" },
	[IR_ERR_TIMEOUT] = { 504, "timeout" },
};

int ir_error_status(const struct ir_error *e)
{
	return e->status ? e->status : error_kinds[e->kind].status;
}

enum ir_error_kind ir_error_kind_of_status(int status)
{
	switch (status) {
	case 401:
		return IR_ERR_AUTHENTICATION;
	case 402:
		return IR_ERR_BILLING;
	case 403:
		return IR_ERR_PERMISSION;
	case 404:
		return IR_ERR_NOT_FOUND;
	case 405:
		return IR_ERR_METHOD;
	case 408:
	case 504:
	case 524: /* a proxy in front of the vendor waited in vain */
		return IR_ERR_TIMEOUT;
	case 413:
		return IR_ERR_TOO_LARGE;
	case 415:
		return IR_ERR_MEDIA_TYPE;
	case 429:
		return IR_ERR_RATE_LIMIT;
	case 500:
		return IR_ERR_SERVER;
	case 503:
		return IR_ERR_UNAVAILABLE;
	case 529:
		return IR_ERR_OVERLOADED;
	}
	return status >= 400 && status < 500 ? IR_ERR_INVALID_REQUEST : IR_ERR_UPSTREAM;
}

const char *ir_error_kind_name(enum ir_error_kind k)
{
	return error_kinds[k].name;
}
